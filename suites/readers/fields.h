/* What readers do with the fields of a document. Errors name the field: "label: 7 is not from 0 to 3". */
#ifndef KERF_SUITES_READERS_FIELDS_H
#define KERF_SUITES_READERS_FIELDS_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <jansson.h>

/* The text of a field, NULL with an error where it is missing, no string or empty. */
const char *document_text(const json_t *doc, const char *field, struct error *e);
/* A field that must be a list of non-empty strings, at least so many. */
int document_texts(const json_t *doc, const char *field, size_t least, struct error *e);
/* A field that must be a whole number from `first` to `last`, or its digits in a string; it becomes the number that
 * counts from 0. */
int document_index(json_t *doc, const char *field, int first, size_t last, struct error *e);
/* Sets a field to a new value; NULL is out of memory. */
int document_set(json_t *doc, const char *field, json_t *value, struct error *e);

/* Every `from` becomes `to`, from left to right and once, as str.replace() of Python has it. */
void text_replace(struct text *t, const char *from, const char *to);

#endif
