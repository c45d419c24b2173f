#include "cli/kernels/results.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const places[BUFFER_PLACES] = {[BUFFER_AT_END] = "buffers end at a page",
                                                  [BUFFER_AT_START] = "buffers begin at a page",
                                                  [BUFFER_OFF_START] = "buffers begin one element after a page"};

/* The output of the row "c", which others must equal; NULL where there is none or it promises nothing. */
static int run_plain(struct kernel_fixture *x, void **same, struct error *e)
{
    const struct kernels *c = kernels_at(0);
    struct kernel_verdict v = {0};
    size_t bytes;
    *same = NULL;
    if (!x->family->output || !x->family->has(c, &x->its)) return 0;
    kernel_fixture_check(x, c, NULL, &v);
    if (v.wrong) return 0; /* told where it is itself looked at */
    const void *output = x->family->output(x->own, &bytes);
    *same = output ? memory_new(bytes, 1, "a kernel's output", e) : NULL;
    if (*same) memcpy(*same, output, bytes);
    return output && !*same ? ERROR_IO : 0;
}

static int note_verdict(struct kernel_result *r, const struct kernel_verdict *v, enum buffer_place place,
                        struct error *e)
{
    struct text words = {0};
    if (v->error > r->error) r->error = v->error;
    if (!v->wrong || r->wrong) return 0; /* the first place that shows it is enough */
    r->wrong = true;
    text_printf(&words, "%s (%s)", v->words, places[place]);
    r->words = words.bytes;
    return words.failed ? error_set(e, ERROR_IO, "out of memory for a verdict") : 0;
}

static int check_place(struct kernel_results *r, size_t first, size_t pick, enum buffer_place place, struct error *e)
{
    const struct kernel_pick *p = &r->plan->picks[pick];
    struct kernel_fixture x;
    void *same;
    int status = kernel_fixture_open(&x, p->family, p->i, place, r->plan->seed, e);
    if (status) return status;
    status = run_plain(&x, &same, e);
    for (size_t i = first; i < r->n && !status; i++) {
        const struct kernels *k = r->plan->isas[r->all[i].isa];
        struct kernel_verdict v = {0};
        kernel_fixture_check(&x, k, k == kernels_at(0) ? NULL : same, &v);
        status = note_verdict(&r->all[i], &v, place, e);
    }
    free(same);
    kernel_fixture_close(&x);
    return status;
}

static int check_pick(struct kernel_results *r, size_t pick, struct error *e)
{
    const size_t first = r->n;
    int status = memory_reserve((void **)&r->all, &r->capacity, r->n + r->plan->n_isas, sizeof *r->all, "verdicts", e);
    for (size_t j = 0; j < r->plan->n_isas && !status; j++)
        if (kernel_plan_has(r->plan, pick, j)) r->all[r->n++] = (struct kernel_result){.pick = pick, .isa = j};
    for (int place = 0; place < BUFFER_PLACES && !status && r->n > first; place++)
        status = check_place(r, first, pick, (enum buffer_place)place, e);
    for (size_t i = first; i < r->n; i++) r->wrong += r->all[i].wrong;
    return status;
}

int kernel_results_check(struct kernel_results *r, struct progress *progress, struct error *e)
{
    for (size_t i = 0; i < r->plan->n; i++) {
        if (!progress_update(progress, "checking", i, r->plan->n))
            return error_set(e, ERROR_INTERRUPTED, "interrupted");
        if (check_pick(r, i, e)) return (int)e->code;
    }
    return 0;
}

const struct kernel_result *kernel_results_find(const struct kernel_results *r, const struct cost_row *row)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kernel_case *c = &r->plan->picks[r->all[i].pick].its;
        if (c->measured && strcmp(c->kernel, row->its.kernel) == 0 && strcmp(c->variant, row->its.variant) == 0 &&
            strcmp(c->shape, row->its.shape) == 0 && strcmp(r->plan->isas[r->all[i].isa]->name, row->isa) == 0)
            return &r->all[i];
    }
    return NULL;
}

void kernel_results_free(struct kernel_results *r)
{
    for (size_t i = 0; i < r->n; i++) free(r->all[i].words);
    free(r->all);
    r->all = NULL;
    r->n = 0;
}
