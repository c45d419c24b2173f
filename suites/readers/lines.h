/* What the readers share: lines of a data file, checked and numbered, and JSON objects on them.
 *
 *     struct lines l;
 *     lines_open(&l, source);
 *     while (lines_next(&l, e)) { ... l.text[0 .. l.length) is line l.number ... }
 *     return l.status;
 *
 * A byte order mark at the start, "\r" before "\n" and empty lines at the end of the file are no part of any line. A
 * NUL byte, bytes that are not UTF-8 and a line of more than LINE_BYTES end the reading with ERROR_INPUT. */
#ifndef KERF_SUITES_READERS_LINES_H
#define KERF_SUITES_READERS_LINES_H

#include "engine/base/json_walk.h"
#include "suites/reader.h"
#include <stdbool.h>

/* Of a line, a record of several lines, and a string in a JSON text: documents have some MB at most, and what is longer is
 * a file without the line ends that are due. (A text that is one document is no line: see text.c.) */
enum { LINE_BYTES = 8 << 20 };

struct lines {
    const char *path, *at, *end;
    const char *text; /* of the file's bytes, not NUL-terminated */
    size_t length;
    size_t number; /* from 1 */
    size_t most;   /* bytes of a line; LINE_BYTES unless it is set after opening */
    int status;
};

/* The file's bytes without the byte order mark at their start. */
void lines_body(const struct reader_source *source, const char **data, size_t *n);
void lines_open(struct lines *l, const struct reader_source *source);
void lines_open_all(struct lines *l, const struct reader_source *source); /* empty lines at the end are lines, too */
bool lines_next(struct lines *l, struct error *e); /* false at the end and after an error: see l->status */
/* Ends the reading: status is 0 (nothing happens), READER_STOP, or an error that gets "PATH: line N: " before it. */
void lines_end(struct lines *l, int status, struct error *e);

/* --- files that are one JSON text, read by walks --- */

/* ERROR_INPUT where a string, a number or a word has more than LINE_BYTES, or it is nested too deeply: before anything is
 * made of it. */
int lines_check_json(const char *data, size_t n, struct error *e);
/* Goes to the entry of that key, and to the end of the object: all its other entries are parsed, too, and let go, but for
 * `title`, which becomes *title (`title` may be NULL). The key must be there once, a title at most once; `place` is what
 * errors call the key. */
int lines_find(struct json_walk *w, const char *key, const char *place, json_t **title, struct error *e);

/* Checks a document and adds what the reader adds. */
typedef int (*complete_document)(void *state, json_t *doc, struct error *e);

/* A file with a JSON object on each line. `complete` may be NULL. */
int jsonl_read(const struct reader_source *source, complete_document complete, void *state, reader_emit emit,
               void *user, struct error *e);

#endif
