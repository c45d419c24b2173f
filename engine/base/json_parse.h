/* jansson's parser behind engine/base/json.h, with what it has not: memory that runs out is told for what it is, and a text
 * takes no more memory than it may.
 *
 *     json_t *v = json_parse(text, n, true, 0, e);
 *
 * A text is any one value. Integers are of 64 bits, what has a point or an exponent is a double; both must fit. Strings are
 * UTF-8 without NUL. Keys come once in an object. At most JSON_LEVELS lists and objects lie in each other.
 *
 * Where an allocation fails, jansson's own parser may leave a character out and go on, or end in an assertion. So
 * it never sees one fail: its allocator leaves it for good, and frees what the text has taken so far. That is why whatever
 * jansson allocates has to be freed by jansson; json_dump_text() is there for the text of a value. */
#ifndef KERF_ENGINE_BASE_JSON_PARSE_H
#define KERF_ENGINE_BASE_JSON_PARSE_H

#include "engine/base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_LEVELS = 2048 };

/* The value, new; NULL with "line 3, column 7: words", or without the line. `most`: bytes of memory that it may take;
 * 0: any. */
json_t *json_parse(const char *text, size_t n, bool line, size_t most, struct error *e);
/* Of a piece of a text: lines and columns are those of the text that begins at `whole`. */
json_t *json_parse_part(const char *whole, const char *part, size_t n, size_t most, struct error *e);

struct json_place {
    size_t line, column; /* from 1, in characters; the column is 0 at the end of a text without a last line */
};
/* Where `at` is, which may be the end. */
struct json_place json_place(const char *whole, const char *at, const char *end);

#endif
