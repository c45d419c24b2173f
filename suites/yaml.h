/* YAML files as JSON values, with the line of every key kept for errors.
 *
 *     struct yaml y;
 *     if (yaml_file_read(&y, "suites/endings.yaml", e)) return e->code;
 *     json_t *v = json_object_get(y.root, "context");
 *     if (!json_is_integer(v)) return yaml_file_error(&y, e, "context", "must be a whole number");
 *     yaml_file_free(&y);
 *
 * Scalars follow the core schema of YAML 1.2.2 (section 10.3.2): plain null, booleans, integers and floats are typed
 * (yes, no, on and off are strings), whatever is quoted or in a block is a string. What a settings file does not need
 * and a hostile one abuses is refused: anchors, aliases, tags, repeated keys, more than one document, files above
 * YAML_BYTES bytes, more than YAML_DEPTH levels. (The functions are yaml_file_...: libyaml has a yaml_free of its own.)
 */
#ifndef KERF_SUITES_YAML_H
#define KERF_SUITES_YAML_H

#include "engine/base/error.h"
#include <jansson.h>
#include <stddef.h>

enum { YAML_BYTES = 256 * 1024, YAML_DEPTH = 16, YAML_KEY_BYTES = 128, YAML_PLACE_BYTES = 256 };

struct yaml {
    char *path;
    json_t *root;  /* an object: a file that is no mapping is an error */
    json_t *lines; /* the line of every place: "metric_list", "metric_list[0].metric" */
};

int yaml_file_read(struct yaml *y, const char *path, struct error *e);
void yaml_file_free(struct yaml *y); /* also a zeroed one */

/* ERROR_INPUT with "PATH: line 3: PLACE: words"; without a line where the place is not in the file. */
int yaml_file_error(const struct yaml *y, struct error *e, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* What went wrong with a value, at its place; memory that ran out is not the file's fault and stays as it is. */
int yaml_file_pass(const struct yaml *y, struct error *e, const char *place, const struct error *x);

#endif
