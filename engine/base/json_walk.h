/* A large JSON object or list, entry by entry: what is in memory is one of them, not the whole.
 *
 *     struct json_walk w;
 *     if (json_walk_open(&w, text, text, n, '{', e)) return e->code;
 *     while (json_walk_next(&w, e)) {
 *         json_t *v = json_walk_value(&w, e);          or a walk of its own
 *         ... w.key ...
 *     }
 *     if (w.status) return w.status;
 *
 * The walk checks what is between the entries, their keys, and that nothing but white space follows; an entry's own text
 * is checked by whoever parses it. Keys that are there twice are the caller's to find. Errors say line and column in the
 * whole text, and no file. */
#ifndef KERF_ENGINE_BASE_JSON_WALK_H
#define KERF_ENGINE_BASE_JSON_WALK_H

#include "engine/base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct json_walk {
    const char *whole; /* where lines are counted from: of a walk in another the text of the outer one */
    const char *text;
    size_t n, at;      /* bytes, and those that are done */
    char kind;         /* '{' or '[' */
    size_t index;      /* of the entry, from 0 */
    const char *key;   /* of an object's entry, until the next; without NUL characters */
    const char *value; /* its text, not NUL-terminated */
    size_t size;
    int status;    /* 0, or the error that ended the walk */
    json_t *owner; /* of the key */
    bool begun, ended;
};

/* ERROR_INPUT unless the first byte that is no white space is `kind`. The text must outlive the walk. */
int json_walk_open(struct json_walk *w, const char *whole, const char *text, size_t n, char kind, struct error *e);
/* false at the end and after an error, and then nothing is left to free */
bool json_walk_next(struct json_walk *w, struct error *e);
/* The entry parsed, new; NULL with an error, also where it takes more than JSON_MEMORY. */
json_t *json_walk_value(const struct json_walk *w, struct error *e);
/* Ends a walk before its end. */
void json_walk_close(struct json_walk *w);

#endif
