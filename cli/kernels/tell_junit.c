/* junit.xml of `kerf kernels`, in the subset that reports/junit.c explains: a testsuite is what is right and one is what
 * it costs, a testcase a kernel's variant under one instruction set, and one a cost. */
#include "cli/kernels/results.h"
#include "reports/report.h"

#include <string.h>

static void add_attribute(struct text *out, const char *name, const char *value)
{
    text_printf(out, " %s=\"", name);
    escape_html(out, value);
    text_char(out, '"');
}

static void open_case(struct text *out, const char *class, const char *name)
{
    text_add(out, "  <testcase");
    add_attribute(out, "classname", class);
    add_attribute(out, "name", name);
    text_add(out, ">\n");
}

/* GitLab shows a failure's text and not its message, so both say it. */
static void add_failure(struct text *out, const char *type, const char *words)
{
    text_add(out, "   <failure");
    add_attribute(out, "type", type);
    add_attribute(out, "message", words);
    text_char(out, '>');
    escape_html(out, words);
    text_add(out, "</failure>\n");
}

static void open_suite(struct text *out, const char *name, size_t tests, size_t failures, size_t skipped)
{
    text_add(out, " <testsuite");
    add_attribute(out, "name", name);
    text_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\">\n", tests, failures, skipped);
}

/* --- what is right --- */

static bool is_group(const struct kernel_results *r, const struct kernel_result *a, const struct kernel_result *b)
{
    const struct kernel_case *x = &r->plan->picks[a->pick].its, *y = &r->plan->picks[b->pick].its;
    return a->isa == b->isa && strcmp(x->kernel, y->kernel) == 0 && strcmp(x->variant, y->variant) == 0;
}

static bool opens_group(const struct kernel_results *r, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (is_group(r, &r->all[i], &r->all[at])) return false;
    return true;
}

/* What is wrong in the group that begins there, a line each; the number of its cases. */
static size_t group_words(const struct kernel_story *s, size_t at, struct text *words)
{
    enum { MOST = 20 };
    const struct kernel_results *r = s->results;
    size_t n = 0, wrong = 0;
    for (size_t i = at; i < r->n; i++) {
        char name[2 * KERNEL_NAME];
        if (!is_group(r, &r->all[at], &r->all[i])) continue;
        n++;
        if (!r->all[i].wrong || wrong++ >= MOST) continue;
        kernel_result_name(s, &r->all[i], name);
        text_printf(words, "%s%s: %s", wrong > 1 ? "\n" : "", name, r->all[i].words);
    }
    if (wrong > MOST) text_printf(words, "\nand %zu more", wrong - MOST);
    return n;
}

static void add_results(struct text *out, const struct kernel_story *s)
{
    const struct kernel_results *r = s->results;
    struct text cases = {0};
    size_t tests = 0, failures = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct text class = {0}, name = {0}, words = {0};
        if (!opens_group(r, i)) continue;
        const struct kernel_case *c = &r->plan->picks[r->all[i].pick].its;
        const size_t n = group_words(s, i, &words);
        text_printf(&class, "kernels.%s", c->kernel);
        text_printf(&name, "%s%s%s", c->variant, *c->variant ? " " : "", r->plan->isas[r->all[i].isa]->name);
        open_case(&cases, text_c(&class), text_c(&name));
        if (words.length)
            add_failure(&cases, "wrong", text_c(&words));
        else
            text_printf(&cases, "   <system-out>%zu cases</system-out>\n", n);
        text_add(&cases, "  </testcase>\n");
        tests++;
        failures += words.length > 0;
        cases.failed |= class.failed || name.failed || words.failed;
        text_free(&class);
        text_free(&name);
        text_free(&words);
    }
    open_suite(out, "kernels", tests, failures, 0);
    text_add(out, text_c(&cases));
    text_add(out, " </testsuite>\n");
    out->failed |= cases.failed;
    text_free(&cases);
}

/* --- what it costs --- */

static void add_changes(struct text *out, const struct cost_changes *c)
{
    open_suite(out, "costs", c->n, c->regressed, c->added + c->gone);
    for (size_t i = 0; i < c->n; i++) {
        const struct cost_change *x = &c->all[i];
        const struct cost_row *row = x->now ? x->now : x->before;
        struct text class = {0}, name = {0}, words = {0};
        text_printf(&class, "costs.%s", row->its.kernel);
        text_printf(&name, "%s%s%s %s", row->its.variant, *row->its.variant ? " " : "", row->its.shape, row->isa);
        cost_change_words(x, &words);
        open_case(out, text_c(&class), text_c(&name));
        if (x->verdict == COST_REGRESSED) {
            add_failure(out, "cost", text_c(&words));
        } else if (x->verdict == COST_NEW || x->verdict == COST_GONE) {
            text_add(out, "   <skipped");
            add_attribute(out, "message", x->verdict == COST_NEW ? "not in the baseline" : "in the baseline only");
            text_add(out, "/>\n");
        } else {
            text_add(out, "   <system-out>");
            escape_html(out, text_c(&words));
            text_add(out, "</system-out>\n");
        }
        text_add(out, "  </testcase>\n");
        out->failed |= class.failed || name.failed || words.failed;
        text_free(&class);
        text_free(&name);
        text_free(&words);
    }
    text_add(out, " </testsuite>\n");
}

void kernels_tell_junit(const struct kernel_story *s, struct text *out)
{
    text_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kerf kernels\"");
    text_printf(out, " time=\"%.3f\">\n", s->seconds);
    if (s->results) add_results(out, s);
    if (s->changes) add_changes(out, s->changes);
    text_add(out, "</testsuites>\n");
}
