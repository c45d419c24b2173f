/* Readers of public data formats: a file becomes documents, and a document is a JSON object whose fields templates
 * name.
 *
 *     static int keep(void *user, json_t *doc, struct error *e) { ... json_incref or copy ... }
 *     const struct reader *r = reader_find("hellaswag");
 *     if (r->read(&source, keep, user, e)) return e->code;
 *
 * To add a format: one file suites/readers/NAME.c that defines a `const struct reader`, and its line in
 * suites/readers/registry.c. */
#ifndef KERF_SUITES_READER_H
#define KERF_SUITES_READER_H

#include "engine/base/error.h"
#include "engine/base/file.h"
#include <jansson.h>
#include <stddef.h>

enum { READER_STOP = -1 }; /* what an emit function returns to end the reading without an error */

struct reader_source {
    const char *path; /* opens every error: "PATH: line 7: label: ..." */
    const char *data; /* the whole file */
    size_t size;
    const json_t *options; /* the suite's `dataset_kwargs`, an object or NULL: column names and the like */
};

/* Gets a document that it does not own; returns 0, READER_STOP or an error code. Its words need no file and place: the
 * reader puts them before ("PATH: line 7: "). */
typedef int (*reader_emit)(void *user, json_t *doc, struct error *e);

struct reader {
    const char *name, *summary; /* MUST */
    const char *const *fields;  /* MUST: fields of every document, NULL-terminated; for `kerf suites` and errors */
    const char *const *kwargs;  /* MAY: keys it takes in dataset_kwargs, NULL-terminated; NULL: none */
    /* MAY: those of the kwargs that name further files, NULL-terminated: a path from the data file's folder on, or a
     * list of them. What is in those files counts as data: see reader_files(). */
    const char *const *files;
    /* MAY: whether dataset_kwargs (an object) makes sense, when the suite is loaded; "columns: must be a list". */
    int (*check)(const json_t *kwargs, struct error *e);
    /* MUST: emits every document in the file's order; an empty file has none. 0 also after READER_STOP. Broken bytes
     * (NUL, no UTF-8), broken lines and values out of range are ERROR_INPUT with their place. */
    int (*read)(const struct reader_source *source, reader_emit emit, void *user, struct error *e);
};

const struct reader *reader_find(const char *name);
const struct reader *reader_at(size_t i); /* NULL past the end */

/* The further files that kwargs name for this reader, for whoever hashes what a suite reads: paths in a
 * NULL-terminated array, in the order of r->files. Free with names_free(). */
int reader_files(const struct reader *r, const char *data_path, const json_t *kwargs, char ***out, struct error *e);

/* --- for readers --- */

/* How many further files `key` names: 0 where it is absent, 1 for a path. */
size_t reader_extras(const json_t *kwargs, const char *key);
/* ERROR_INPUT unless `key` is a path or, where `many` is accepted, a list of them. */
int reader_extra_check(const json_t *kwargs, const char *key, bool many, struct error *e);
/* The i-th of them as a source of its own, whose options are NULL, mapped into *f, which file_unmap() releases. */
int reader_extra(const struct reader_source *source, const char *key, size_t i, struct file *f,
                 struct reader_source *extra, struct error *e);

#endif
