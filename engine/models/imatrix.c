#include "engine/models/imatrix.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the text, as windows of ids --- */

/* Whole windows, one after the other; less a newline at the text's end, which llama.cpp leaves out as well. */
static int read_windows(const struct model *m, const char *path, int64_t window, struct ids *all, struct error *e)
{
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    size_t n = f.size && f.data[f.size - 1] == '\n' ? f.size - 1 : f.size;
    int32_t bos = tokenizer_adds_bos(m->tokenizer) ? tokenizer_bos(m->tokenizer) : -1;
    status = text_check(path, 1, (const char *)f.data, f.size, e);
    if (!status && bos >= 0) status = ids_add(all, bos, e);
    if (!status) status = tokenizer_encode(m->tokenizer, (const char *)f.data, n, TOKENIZER_PLAIN, all, e);
    file_unmap(&f);
    if (status) return status;
    if ((int64_t)all->count < window)
        return error_set(e, ERROR_INPUT, "%s: has %zu tokens, less than one window of %" PRId64 ": give more text",
                         path, all->count, window);
    for (int64_t i = 0; bos >= 0 && i + window <= (int64_t)all->count; i += window) all->at[i] = bos;
    return 0;
}

static int check_window(const struct model *m, const struct imatrix_plan *plan, int64_t *window, struct error *e)
{
    int64_t context = m->hyper.context;
    *window = plan->window ? plan->window : context < 512 ? context : 512;
    if (*window <= context) return 0;
    return error_set(e, ERROR_USAGE,
                     "%s: a window of %" PRId64 " tokens does not fit in the model's context of %" PRId64,
                     m->facts.path, *window, context);
}

/* --- sums --- */

struct sums {
    char name[MODEL_NAME];
    int64_t cols, tokens;
    double *at;         /* [cols], of experts [experts, cols] */
    int64_t *by_expert; /* [experts]: tokens of each; NULL: it is one matrix */
};

enum { EACH = LINEARS + EXPERT_PARTS }; /* matrices of a layer, those of all experts as one */

struct collecting {
    const struct model *m;
    struct sums *of; /* [layers, EACH]; at NULL: no such matrix */
};

/* Every column by one thread and row after row, so that the order of the additions is always the same. */
static void sum_squares(double *sums, const float *x, int64_t n, int64_t cols)
{
    enum { STRIP = 64 };
#pragma omp parallel for schedule(static)
    for (int64_t begin = 0; begin < cols; begin += STRIP) {
        int64_t end = begin + STRIP < cols ? begin + STRIP : cols;
        for (int64_t r = 0; r < n; r++)
            for (int64_t i = begin; i < end; i++) sums[i] += (double)x[r * cols + i] * (double)x[r * cols + i];
    }
}

static void add_squares(void *user, int64_t layer, enum linear_role role, const float *x, int64_t n, int64_t cols)
{
    const struct collecting *c = user;
    struct sums *s = &c->of[layer * EACH + (int64_t)role];
    sum_squares(s->at, x, n, cols);
    s->tokens += n;
}

static void add_expert(void *user, int64_t layer, enum expert_part part, int64_t expert, const float *x, int64_t n,
                       int64_t cols)
{
    const struct collecting *c = user;
    struct sums *s = &c->of[layer * EACH + LINEARS + (int64_t)part];
    sum_squares(s->at + expert * cols, x, n, cols);
    s->by_expert[expert] += n;
}

static int open_sums(struct sums *s, const char *pattern, int64_t layer, const struct matrix *w, int64_t experts,
                     struct error *e)
{
    model_name(pattern, layer, s->name);
    s->cols = w->cols;
    s->at = memory_new((size_t)(experts ? experts : 1), (size_t)w->cols * sizeof *s->at, "sums", e);
    if (s->at && experts) s->by_expert = memory_new((size_t)experts, sizeof *s->by_expert, "sums", e);
    return s->at && (s->by_expert || !experts) ? 0 : ERROR_IO;
}

static int collecting_open(struct collecting *c, const struct model *m, struct error *e)
{
    *c = (struct collecting){.m = m};
    c->of = memory_new((size_t)m->hyper.layers * EACH, sizeof *c->of, "sums", e);
    if (!c->of) return ERROR_IO;
    int status = 0;
    for (int64_t i = 0; i < m->hyper.layers; i++) {
        struct sums *of = c->of + i * EACH;
        for (int role = 0; role < LINEARS && !status; role++) {
            const char *pattern;
            const struct matrix *w = model_linear(m, i, (enum linear_role)role, &pattern);
            if (w) status = open_sums(&of[role], pattern, i, w, 0, e);
        }
        for (int part = 0; part < EXPERT_PARTS && !status; part++) {
            const struct linear *experts = m->layers[i].experts[part];
            if (experts) status = open_sums(&of[LINEARS + part], experts->name, i, &experts->m, m->hyper.experts, e);
        }
    }
    return status;
}

static void collecting_free(struct collecting *c)
{
    for (int64_t i = 0; c->of && i < c->m->hyper.layers * EACH; i++) {
        free(c->of[i].at);
        free(c->of[i].by_expert);
    }
    free(c->of);
}

static int run_windows(struct collecting *c, const int32_t *ids, int64_t count, int64_t window, struct error *e)
{
    const struct probe probe = {.user = c, .linear_input = add_squares, .expert_input = add_expert};
    struct span *spans = memory_new((size_t)count, sizeof *spans, "a batch", e);
    int status = spans ? 0 : ERROR_IO;
    for (int64_t i = 0; i < count && !status; i++) {
        spans[i] = (struct span){cache_new(c->m, NULL, 0, window, e), ids + i * window, window, window};
        if (!spans[i].cache) status = ERROR_IO;
    }
    if (!status) status = model_forward(c->m, spans, (size_t)count, NULL, &probe, e);
    for (int64_t i = 0; spans && i < count; i++) cache_free(spans[i].cache);
    free(spans);
    return status;
}

static int64_t values_of(const struct collecting *c, const struct sums *s)
{
    return s->by_expert ? c->m->hyper.experts * s->cols : s->cols;
}

static int write_sums(const struct collecting *c, const struct imatrix_plan *plan, int64_t window, const char *out_path,
                      struct imatrix_done *done, struct error *e)
{
    int64_t n = c->m->hyper.layers * EACH, total = 0;
    for (int64_t i = 0; i < n; i++) total += values_of(c, &c->of[i]);
    struct imatrix_entry *entries = memory_new((size_t)n, sizeof *entries, "entries", e);
    float *sums = memory_new((size_t)total, sizeof *sums, "sums", e), *next = sums;
    int status = entries && sums ? 0 : ERROR_IO;
    for (int64_t i = 0; i < n && !status; i++) {
        const struct sums *s = &c->of[i];
        if (!s->at) continue;
        for (int64_t k = 0; k < values_of(c, s) && !status; k++)
            if (!isfinite(next[k] = (float)s->at[k]))
                status =
                    error_set(e, ERROR_NUMBER, "%s: %s: the squares of column %" PRId64 " of its input are not finite",
                              c->m->facts.path, s->name, k % s->cols);
        const int64_t experts = s->by_expert ? c->m->hyper.experts : 0;
        entries[done->matrices++] = (struct imatrix_entry){s->name, s->cols, s->tokens, next, experts, s->by_expert};
        next += values_of(c, s);
    }
    if (!status)
        status = imatrix_write(out_path, entries, (size_t)done->matrices, plan->text, done->windows, window, e);
    free(entries);
    free(sums);
    return status;
}

int model_collect_imatrix(const struct model *m, const struct imatrix_plan *plan, const char *out_path,
                          struct imatrix_done *done, struct error *e)
{
    *done = (struct imatrix_done){0};
    struct collecting c = {0};
    struct ids ids = {0};
    int64_t window;
    int status = check_window(m, plan, &window, e);
    if (!status) status = read_windows(m, plan->text, window, &ids, e);
    if (!status) status = collecting_open(&c, m, e);
    int64_t total = status ? 0 : (int64_t)ids.count / window,
            group = PASS_TOKENS / window > 0 ? PASS_TOKENS / window : 1;
    if (plan->windows && total > plan->windows) total = plan->windows;
    while (done->windows < total && !status) {
        int64_t count = total - done->windows < group ? total - done->windows : group;
        if (plan->progress && !plan->progress(plan->user, (size_t)done->windows, (size_t)total))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
        else
            status = run_windows(&c, ids.at + done->windows * window, count, window, e);
        done->windows += count;
    }
    done->tokens = done->windows * window;
    if (!status) status = write_sums(&c, plan, window, out_path, done, e);
    collecting_free(&c);
    ids_free(&ids);
    return status;
}
