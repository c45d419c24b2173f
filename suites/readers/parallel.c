/* Parallel text: the data file has a source sentence on each line, and the files that dataset_kwargs name its
 * translations, line by line: `target: test.en`, or a list of files for several references. The document has `source`,
 * `target` (of the first file) and `references` (the list of all). This is how WMT's and many other translation sets
 * come. */
#include "engine/base/memory.h"
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <stdlib.h>

struct targets {
    size_t n;
    struct file *files;
    struct lines *lines; /* [n] */
};

static void close_targets(struct targets *t)
{
    for (size_t i = 0; t->files && i < t->n; i++) file_unmap(&t->files[i]);
    free(t->files);
    free(t->lines);
}

static int open_targets(struct targets *t, const struct reader_source *source, struct error *e)
{
    *t = (struct targets){.n = reader_extras(source->options, "target")};
    t->files = memory_new(t->n, sizeof *t->files, "files", e);
    t->lines = memory_new(t->n, sizeof *t->lines, "files", e);
    if (!t->files || !t->lines) return ERROR_IO;
    for (size_t i = 0; i < t->n; i++) {
        struct reader_source extra;
        int status = reader_extra(source, "target", i, &t->files[i], &extra, e);
        if (status) return status;
        lines_open_all(&t->lines[i], &extra);
    }
    return 0;
}

static int one_document(const struct lines *l, struct targets *t, reader_emit emit, void *user, struct error *e)
{
    json_t *references = json_array();
    for (size_t i = 0; i < t->n; i++) {
        struct lines *of = &t->lines[i];
        if (!lines_next(of, e)) {
            json_decref(references);
            return of->status ? of->status
                              : error_set(e, ERROR_INPUT, "%s ends before, after %zu lines", of->path, of->number);
        }
        json_array_append_new(references, json_stringn(of->text, of->length));
    }
    json_t *doc = json_array_size(references) == t->n
                      ? json_pack("{s:s%, s:O, s:O}", "source", l->text, l->length, "target",
                                  json_array_get(references, 0), "references", references)
                      : NULL;
    json_decref(references);
    int status = doc ? emit(user, doc, e) : error_set(e, ERROR_IO, "out of memory for a document");
    json_decref(doc);
    return status;
}

/* At the end of the source no file may have more. */
static int check_ends(const struct reader_source *source, struct targets *t, struct error *e)
{
    for (size_t i = 0; i < t->n; i++) {
        struct lines *of = &t->lines[i];
        if (lines_next(of, e))
            lines_end(of, error_set(e, ERROR_INPUT, "there is no line for it in %s", source->path), e);
        if (of->status) return of->status;
    }
    return 0;
}

static int read_all(const struct reader_source *source, struct targets *t, reader_emit emit, void *user,
                    struct error *e)
{
    struct lines l;
    bool stopped = false;
    lines_open_all(&l, source);
    while (lines_next(&l, e)) {
        int status = one_document(&l, t, emit, user, e);
        stopped = status == READER_STOP;
        lines_end(&l, status, e);
    }
    return l.status || stopped ? l.status : check_ends(source, t, e);
}

static int parallel_check(const json_t *kwargs, struct error *e)
{
    return reader_extra_check(kwargs, "target", true, e);
}

static int parallel_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (parallel_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    struct targets t;
    int status = open_targets(&t, source, e);
    if (!status) status = read_all(source, &t, emit, user, e);
    close_targets(&t);
    return status;
}

const struct reader reader_parallel = {
    .name = "parallel",
    .summary = "parallel text: a sentence a line, translations in the same lines of other files",
    .fields = (const char *const[]){"source", "target", "references", NULL},
    .kwargs = (const char *const[]){"target", NULL},
    .files = (const char *const[]){"target", NULL},
    .check = parallel_check,
    .read = parallel_read,
};
