/* JSON files, as values of jansson: duplicate keys are refused, and every error is one line with file, line and column.
 *
 *     json_t *v = json_read_file(path, e);
 *     if (!v) return e->code;
 *     json_decref(v);
 *
 * A value takes 2 to 20 times the bytes of its text, of a vocabulary without white space 25 times, and could take 70
 * ("[[],[],"): what takes more than JSON_MEMORY and 32 times its text is refused. */
#ifndef KERF_ENGINE_BASE_JSON_H
#define KERF_ENGINE_BASE_JSON_H

#include "engine/base/error.h"
#include <jansson.h>

enum { JSON_MEMORY = 24 << 20 };

/* NULL with an error. The caller owns the value. An integer that 64 bits do not hold is a real. */
json_t *json_read_file(const char *path, struct error *e);
/* One JSON text in memory; `where` ("model.safetensors: header") opens the error. */
json_t *json_read_bytes(const char *data, size_t n, const char *where, struct error *e);
/* One that is a line of a file: the error says the column alone, and the caller which file and line it is before that. */
json_t *json_read_line(const char *data, size_t n, struct error *e);
/* The same, where no more than JSON_MEMORY bytes may be taken for it: far above what a document or a table of settings
 * takes. */
json_t *json_read_bounded(const char *data, size_t n, struct error *e);
/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD. NULL when memory ran out. */
json_t *json_text(const char *s, size_t n);
/* What an object has under a key, "" where that is no text. The object keeps it. */
const char *json_text_of(const json_t *object, const char *key);
/* The text of a value, to be freed; `flags` are jansson's, of which JSON_ENCODE_ANY is always one. NULL with ERROR_IO. */
char *json_dump_text(const json_t *value, size_t flags, struct error *e);
/* Writes indented, keys in the order they were set, floats with 17 digits; temp, fsync, rename. */
int json_write_file(const char *path, const json_t *value, struct error *e);

#endif
