/* Fields of JSON, each checked for its type, with errors that say where it is and what would be right:
 * "comparison: rows[3].items: is a string; a whole number or null would be right".
 *
 *     struct fields s = {.document = "run", .e = e};
 *     const char *name = fields_text(&s, v, "name");
 *     const size_t place = fields_enter(&s, "machine");
 *     ...
 *     fields_leave(&s, place);
 *     return s.status;
 *
 * Only the first problem is told: it stays in `status`, and what is taken then is empty. Values belong to the JSON. */
#ifndef KERF_REPORTS_FIELDS_H
#define KERF_REPORTS_FIELDS_H

#include "engine/base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fields {
    const char *document;
    char where[128]; /* the place that is being read */
    struct error *e;
    int status;
};

/* `found`: NULL where it is missing; `key`: "" where the place itself is meant. */
void fields_wrong(struct fields *s, const char *key, const json_t *found, const char *right);
/* NULL where it is missing or of another type. */
const json_t *fields_typed(struct fields *s, const json_t *object, const char *key, json_type type, const char *right);
const json_t *fields_object(struct fields *s, const json_t *object, const char *key);
const json_t *fields_array(struct fields *s, const json_t *object, const char *key);
const char *fields_text(struct fields *s, const json_t *object, const char *key);
double fields_number(struct fields *s, const json_t *object, const char *key); /* NAN where it is null */
double fields_amount(struct fields *s, const json_t *object, const char *key); /* likewise, and not below 0 */
int64_t fields_count(struct fields *s, const json_t *object, const char *key); /* -1 where it is null */
bool fields_bool(struct fields *s, const json_t *object, const char *key);     /* false where it is null */
/* One of two words, of one where `no` is "": whether it is `yes`. */
bool fields_choice(struct fields *s, const json_t *object, const char *key, const char *yes, const char *no);

/* What older records and other tools do not have: missing and null are both none. */
const json_t *fields_maybe_typed(struct fields *s, const json_t *object, const char *key, json_type type,
                                 const char *right);
const char *fields_maybe_text(struct fields *s, const json_t *object, const char *key, const char *otherwise);
double fields_maybe_number(struct fields *s, const json_t *object, const char *key);
bool fields_maybe_bool(struct fields *s, const json_t *object, const char *key);

/* What is read next lies in this part of where it was read before; returns what fields_leave() takes. */
size_t fields_enter(struct fields *s, const char *part);
/* In element i of this list. */
size_t fields_enter_element(struct fields *s, const char *list, size_t i);
void fields_leave(struct fields *s, size_t place);

#endif
