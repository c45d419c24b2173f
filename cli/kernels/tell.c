/* `kerf kernels` on a terminal: a line for every kernel, variant and instruction set; what is wrong and what changed. */
#include "cli/kernels/results.h"
#include "reports/layout.h"

#include <math.h>
#include <string.h>

enum { NAME_MOST = 40, ISA_WIDTH = 8, CHANGES_SHOWN = 40 };

void kernel_result_name(const struct kernel_story *s, const struct kernel_result *r, char out[2 * KERNEL_NAME])
{
    const struct kernel_case *c = &s->results->plan->picks[r->pick].its;
    char name[KERNEL_NAME];
    kernel_name(c, name);
    snprintf(out, 2 * KERNEL_NAME, "%s %s %s %s", name, c->shape, c->content, s->results->plan->isas[r->isa]->name);
}

void cost_row_name(const struct cost_row *row, char out[2 * KERNEL_NAME])
{
    char name[KERNEL_NAME];
    kernel_name(&row->its, name);
    snprintf(out, 2 * KERNEL_NAME, "%s %s %s", name, row->its.shape, row->isa);
}

static void add_value(struct text *out, double v) { text_printf(out, v < 1e4 && v != floor(v) ? "%.4g" : "%.0f", v); }

void cost_change_words(const struct cost_change *c, struct text *out)
{
    const struct cost_row *row = c->now ? c->now : c->before;
    if (c->now && c->before) {
        text_printf(out, "%.4f times the cost", c->ratio);
        if (c->low < c->high) text_printf(out, " [%.4f, %.4f]", c->low, c->high);
        text_add(out, ": ");
        add_value(out, c->before->value);
        text_add(out, " to ");
    }
    add_value(out, row->value);
    text_printf(out, " %s", cost_unit(row->counter));
}

void kernel_story_fault(const struct kernel_story *s, struct text *out)
{
    const size_t wrong = s->results ? s->results->wrong : 0, more = s->changes ? s->changes->regressed : 0;
    if (wrong) text_printf(out, "%zu of %zu results %s wrong", wrong, s->results->n, wrong > 1 ? "are" : "is");
    if (more)
        text_printf(out, "%s%zu of %zu costs %s more than before", wrong ? ", " : "", more, s->changes->compared,
                    more > 1 ? "are" : "is");
}

/* --- the table --- */

/* What one line tells: all cases of a kernel and variant under one instruction set. */
struct line {
    size_t cases, wrong;
    double error, cost, work; /* the worst; sums over what was counted */
};

static bool is_line(const struct kernel_case *a, const struct kernel_case *b)
{
    return strcmp(a->kernel, b->kernel) == 0 && strcmp(a->variant, b->variant) == 0;
}

static struct line line_of(const struct kernel_story *s, const struct kernel_case *like, size_t isa)
{
    struct line l = {0};
    const struct kernel_plan *plan = s->results->plan;
    for (size_t i = 0; i < s->results->n; i++) {
        const struct kernel_result *r = &s->results->all[i];
        if (r->isa != isa || !is_line(&plan->picks[r->pick].its, like)) continue;
        l.cases++;
        l.wrong += r->wrong;
        if (r->error > l.error) l.error = r->error;
    }
    for (size_t i = 0; i < s->costs->n; i++) {
        const struct cost_row *row = &s->costs->rows[i];
        if (strcmp(row->isa, plan->isas[isa]->name) || !is_line(&row->its, like)) continue;
        l.cost += row->value;
        l.work += row->its.work;
    }
    return l;
}

static void add_line(struct text *out, const struct kernel_story *s, const struct kernel_case *like, size_t isa,
                     size_t width)
{
    const struct line l = line_of(s, like, isa);
    char name[KERNEL_NAME], error[32];
    if (!l.cases) return;
    kernel_name(like, name);
    layout_pad(out, name, width, false);
    text_add(out, "  ");
    layout_pad(out, s->results->plan->isas[isa]->name, ISA_WIDTH, false);
    text_printf(out, "%6zu  ", l.cases);
    snprintf(error, sizeof error, l.error > 0 ? "%.3g" : "exact", l.error);
    layout_pad(out, error, 11, true);
    if (*s->counter && l.work > 0)
        text_printf(out, "  %11.4g", l.cost / l.work);
    else if (*s->counter)
        text_printf(out, "  %11s", "-");
    if (l.wrong) text_printf(out, "  %zu wrong", l.wrong);
    layout_end(out);
}

static size_t name_width(const struct kernel_plan *plan)
{
    size_t most = strlen("kernel");
    for (size_t i = 0; i < plan->n; i++) {
        char name[KERNEL_NAME];
        kernel_name(&plan->picks[i].its, name);
        if (layout_width(name) > most) most = layout_width(name);
    }
    return most < NAME_MOST ? most : NAME_MOST;
}

static bool is_first(const struct kernel_plan *plan, size_t pick)
{
    for (size_t i = 0; i < pick; i++)
        if (is_line(&plan->picks[i].its, &plan->picks[pick].its)) return false;
    return true;
}

static void add_table(struct text *out, const struct kernel_story *s)
{
    const struct kernel_plan *plan = s->results->plan;
    const size_t width = name_width(plan), rule = width + 2 + ISA_WIDTH + 19 + (*s->counter ? 13 : 0);
    text_add(out, "kernels:");
    for (size_t j = 0; j < plan->n_isas; j++) text_printf(out, "%s %s", j ? "," : "", plan->isas[j]->name);
    text_printf(out, "; %zu cases, each with its buffers in %d places; seed %llu; %.1f s\n\n", plan->n, BUFFER_PLACES,
                (unsigned long long)plan->seed, s->seconds);
    layout_pad(out, "kernel", width, false);
    text_printf(out, "  %-*s%6s  %11s", ISA_WIDTH, "isa", "cases", "error/bound");
    if (*s->counter) text_printf(out, "  %8s/op", strcmp(s->counter, "time") ? s->counter : "ns");
    layout_end(out);
    layout_rule(out, rule);
    for (size_t i = 0; i < plan->n; i++)
        for (size_t j = 0; is_first(plan, i) && j < plan->n_isas; j++) add_line(out, s, &plan->picks[i].its, j, width);
    layout_rule(out, rule);
    text_add(out, "error/bound: the largest error in units of its bound, which is 1; exact: to the last bit.\n");
    if (*s->counter)
        text_printf(out, "%s/op: of the measured shapes, by multiplication or element.%s\n",
                    strcmp(s->counter, "time") ? s->counter : "ns",
                    cost_counter_of(s->counter) == COST_CALLGRIND ? " Valgrind knows no AVX-512." : "");
}

/* --- what is wrong, and what changed --- */

static void add_wrong(struct text *out, const struct kernel_story *s)
{
    if (!s->results->wrong) return;
    text_add(out, "\nwrong:\n");
    for (size_t i = 0; i < s->results->n; i++) {
        const struct kernel_result *r = &s->results->all[i];
        char name[2 * KERNEL_NAME];
        if (!r->wrong) continue;
        kernel_result_name(s, r, name);
        text_printf(out, "  %s: ", name);
        text_terminal(out, r->words, strlen(r->words));
        text_char(out, '\n');
    }
}

/* Regressions all, of the rest as many as can be read. */
static void add_changes(struct text *out, const struct cost_changes *c, enum cost_verdict verdict, size_t n,
                        const char *title)
{
    size_t shown = 0;
    if (n) text_printf(out, "\n%s:\n", title);
    for (size_t i = 0; i < c->n; i++) {
        char name[2 * KERNEL_NAME];
        if (c->all[i].verdict != verdict) continue;
        if (verdict != COST_REGRESSED && shown++ >= CHANGES_SHOWN) continue;
        cost_row_name(c->all[i].now ? c->all[i].now : c->all[i].before, name);
        text_add(out, "  ");
        text_terminal(out, name, strlen(name));
        text_add(out, ": ");
        cost_change_words(&c->all[i], out);
        text_char(out, '\n');
    }
    if (shown > CHANGES_SHOWN) text_printf(out, "  and %zu more\n", shown - CHANGES_SHOWN);
}

static void add_comparison(struct text *out, const struct kernel_story *s)
{
    const struct cost_changes *c = s->changes;
    if (!c) return;
    add_changes(out, c, COST_REGRESSED, c->regressed, "more than before");
    add_changes(out, c, COST_GAINED, c->gained, "less than before");
    add_changes(out, c, COST_NEW, c->added, "not in the baseline");
    add_changes(out, c, COST_GONE, c->gone, "in the baseline only");
    text_printf(out, "\n%zu costs compared with ", c->compared);
    text_terminal(out, s->against, strlen(s->against));
    text_add(out, " (kerf ");
    text_terminal(out, s->baseline->kerf, strlen(s->baseline->kerf));
    text_add(out, ", ");
    text_terminal(out, s->baseline->compiler, strlen(s->baseline->compiler));
    text_printf(out, "): %zu more than before, %zu less, the rest within %g %%\n", c->regressed, c->gained,
                c->tolerance);
}

void kernels_tell(const struct kernel_story *s, struct text *out)
{
    if (s->results) add_table(out, s);
    if (s->results) add_wrong(out, s);
    add_comparison(out, s);
}
