/* The documents of a data file become items: those that are asked for, each with its examples. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "suites/fewshot.h"
#include "suites/render.h"

#include <stdlib.h>
#include <string.h>

struct documents {
    json_t **at; /* [n], owned */
    size_t n, capacity;
};

struct gathering {
    const struct suite *s;
    size_t limit;
    size_t *wanted; /* [n_wanted], ascending; NULL: all */
    size_t n_wanted, next;
    bool whole; /* all documents are kept, for examples */
    size_t seen;
    struct documents documents;
    struct item *items;
    size_t n, capacity;
};

void items_free(struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) item_free(&items[i]);
    free(items);
}

/* --- which documents --- */

static int compare_indices(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static int take_indices(struct gathering *g, const json_t *indices, struct error *e)
{
    const size_t n = json_array_size(indices);
    if (!n) return error_set(e, ERROR_INPUT, "%s: a list of the indices of documents is due", g->s->name);
    if (!(g->wanted = memory_new(n, sizeof *g->wanted, "indices", e))) return ERROR_IO;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(indices, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return error_set(e, ERROR_INPUT, "%s: entry %zu of the indices is no whole number from 0 on", g->s->name,
                             i);
        g->wanted[i] = (size_t)json_integer_value(v);
    }
    qsort(g->wanted, n, sizeof *g->wanted, compare_indices);
    for (size_t i = 0; i < n; i++)
        if (!i || g->wanted[i] != g->wanted[i - 1]) g->wanted[g->n_wanted++] = g->wanted[i];
    return 0;
}

static bool is_wanted(struct gathering *g, size_t index)
{
    if (!g->wanted) return !g->limit || g->n < g->limit;
    if (g->next == g->n_wanted || g->wanted[g->next] != index) return false;
    g->next++;
    return true;
}

static bool is_done(const struct gathering *g)
{
    if (g->whole) return false;
    return g->wanted ? g->next == g->n_wanted : g->n == g->limit;
}

/* --- reading --- */

static int keep_document(void *user, json_t *doc, struct error *e)
{
    struct documents *d = user;
    void *at = d->at;
    int status = memory_reserve(&at, &d->capacity, d->n + 1, sizeof *d->at, "documents", e);
    d->at = at;
    if (!status) d->at[d->n++] = json_incref(doc);
    return status;
}

static int keep(void *user, json_t *doc, struct error *e)
{
    struct gathering *g = user;
    const size_t index = g->seen++;
    int status = g->whole ? keep_document(&g->documents, doc, e) : 0;
    if (status || !is_wanted(g, index)) return status;
    void *items = g->items;
    status = memory_reserve(&items, &g->capacity, g->n + 1, sizeof *g->items, "items", e);
    g->items = items;
    if (status) return status;
    g->items[g->n] = (struct item){.index = index, .doc = json_incref(doc)};
    if ((status = item_render(&g->items[g->n++], g->s, e))) return status;
    return is_done(g) ? READER_STOP : 0;
}

static int read_data(const struct suite *s, const char *path, reader_emit emit, void *user, struct error *e)
{
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    const struct reader_source source = {path, (const char *)f.data, f.size, s->reader_options};
    status = s->reader->read(&source, emit, user, e);
    file_unmap(&f);
    return status;
}

/* A suite that was made of its data file alone is none that the user knows. */
static int has_nothing(const struct suite *s, struct error *e)
{
    if (strcmp(s->path, s->data_path) == 0) return error_set(e, ERROR_INPUT, "%s: has no text", s->data_path);
    return error_set(e, ERROR_INPUT, "%s: has no documents for suite %s", s->data_path, s->name);
}

static int check_gathered(const struct gathering *g, struct error *e)
{
    if (g->wanted && g->next < g->n_wanted)
        return error_set(e, ERROR_INPUT, "%s: there is no document %zu: suite %s has %zu, counted from 0",
                         g->s->data_path, g->wanted[g->next], g->s->name, g->seen);
    return g->n ? 0 : has_nothing(g->s, e);
}

/* --- what stands before a prompt --- */

static int put_before(struct item *it, struct text *before, struct error *e)
{
    text_add(before, it->prompt);
    if (before->failed) return error_set(e, ERROR_IO, "out of memory for a prompt");
    if (!before->bytes) return 0;
    free(it->prompt);
    it->prompt = before->bytes;
    *before = (struct text){0};
    return 0;
}

static int complete_prompts(const struct gathering *g, struct examples *x, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < g->n && !status; i++) {
        struct text before = {0};
        status = render_description(g->s, g->items[i].doc, &before, e);
        if (status) error_prefix(e, "%s: document %zu", g->s->data_path, g->items[i].index);
        if (!status && x->suite) status = examples_add(x, &g->items[i], &before, e);
        if (!status) status = put_before(&g->items[i], &before, e);
        text_free(&before);
    }
    return status;
}

/* The documents that examples come from: the suite file's own, another file's, or the data's. */
static int gather_examples(struct gathering *g, const char **path, struct error *e)
{
    const struct fewshot *f = &g->s->fewshot;
    int status = 0;
    *path = f->samples ? g->s->path : f->data_path ? f->data_path : g->s->data_path;
    for (size_t i = 0; i < json_array_size(f->samples) && !status; i++)
        status = keep_document(&g->documents, json_array_get(f->samples, i), e);
    return f->data_path ? read_data(g->s, f->data_path, keep_document, &g->documents, e) : status;
}

static int add_examples(struct gathering *g, struct error *e)
{
    struct examples x = {0};
    const char *path;
    int status = 0;
    if (g->s->fewshot.n) {
        status = gather_examples(g, &path, e);
        if (!status) status = examples_open(&x, g->s, path, g->documents.at, g->documents.n, e);
    }
    if (!status && (g->s->fewshot.n || g->s->description.n_parts)) status = complete_prompts(g, &x, e);
    examples_close(&x);
    return status;
}

int suite_items(const struct suite *s, size_t limit, const json_t *indices, struct item **out, size_t *n,
                struct error *e)
{
    *out = NULL;
    *n = 0;
    struct gathering g = {.s = s, .limit = limit};
    g.whole = s->fewshot.n && !s->fewshot.data_path && !s->fewshot.samples;
    int status = indices ? take_indices(&g, indices, e) : 0;
    if (!status) status = read_data(s, s->data_path, keep, &g, e);
    if (!status) status = check_gathered(&g, e);
    if (!status) status = add_examples(&g, e);
    for (size_t i = 0; i < g.documents.n; i++) json_decref(g.documents.at[i]);
    free(g.documents.at);
    free(g.wanted);
    if (status) {
        items_free(g.items, g.n);
        return status;
    }
    *out = g.items;
    *n = g.n;
    return 0;
}
