/* A comment below a pull request: what is wrong, what costs more, then the rest, folded away. GitHub takes no comment of
 * more than 65,536 characters: every list has a share of that and says what it left out. */
#include "cli/kernels/results.h"
#include "reports/report.h"

#include <string.h>

enum { SHARE = 12000 }; /* bytes of a list; there are five */

/* Lines that end where their share is used up. */
struct list {
    struct text text;
    size_t left_out;
};

/* Adds a line and empties it. */
static void add_line(struct list *l, struct text *line)
{
    if (l->left_out || l->text.length + line->length > SHARE)
        l->left_out++;
    else
        text_bytes(&l->text, text_c(line), line->length);
    l->text.failed |= line->failed;
    text_clear(line);
}

static void close_list(struct text *out, struct list *l, struct text *line)
{
    text_bytes(out, text_c(&l->text), l->text.length);
    if (l->left_out) text_printf(out, "\n*and %zu more*\n", l->left_out);
    out->failed |= l->text.failed;
    text_free(&l->text);
    text_free(line);
}

static void add_code(struct text *out, const char *s)
{
    text_add(out, "<code>");
    escape_markdown(out, s);
    text_add(out, "</code>");
}

static void add_wrong(struct text *out, const struct kernel_story *s)
{
    struct list list = {0};
    struct text line = {0};
    if (!s->results || !s->results->wrong) return;
    text_add(out, "\n| wrong | |\n|---|---|\n");
    for (size_t i = 0; i < s->results->n; i++) {
        const struct kernel_result *r = &s->results->all[i];
        char name[2 * KERNEL_NAME];
        if (!r->wrong) continue;
        kernel_result_name(s, r, name);
        text_add(&line, "| ");
        add_code(&line, name);
        text_add(&line, " | ");
        escape_markdown(&line, r->words);
        text_add(&line, " |\n");
        add_line(&list, &line);
    }
    close_list(out, &list, &line);
}

static void add_change(struct text *line, const struct cost_change *c)
{
    const struct cost_row *row = c->now ? c->now : c->before;
    char name[2 * KERNEL_NAME];
    cost_row_name(row, name);
    text_add(line, "| ");
    add_code(line, name);
    if (c->now && c->before) {
        text_printf(line, " | %+.2f %%", 100 * (c->ratio - 1));
        if (c->low < c->high) text_printf(line, " [%+.2f, %+.2f]", 100 * (c->low - 1), 100 * (c->high - 1));
        text_printf(line, " | %.6g | %.6g |\n", c->before->value, c->now->value);
    } else {
        text_printf(line, " | | %.6g | |\n", row->value);
    }
}

static void add_changes(struct text *out, const struct cost_changes *c, enum cost_verdict verdict, size_t n,
                        const char *title)
{
    struct list list = {0};
    struct text line = {0};
    if (!n) return;
    text_printf(out, "\n| %s | change | before | now |\n|---|---:|---:|---:|\n", title);
    for (size_t i = 0; i < c->n; i++)
        if (c->all[i].verdict == verdict) add_change(&line, &c->all[i]), add_line(&list, &line);
    close_list(out, &list, &line);
}

static void add_answer(struct text *out, const struct kernel_story *s)
{
    struct text fault = {0};
    kernel_story_fault(s, &fault);
    text_printf(out, "**%s**\n", fault.length ? text_c(&fault) : "kernels: all is well");
    text_free(&fault);
    if (s->results) text_printf(out, "\n%zu results checked, %zu wrong.", s->results->n, s->results->wrong);
    if (!s->changes) {
        text_add(out, "\n");
        return;
    }
    text_printf(out, " %zu costs (%s) compared with ", s->changes->compared, s->counter);
    add_code(out, s->against);
    text_add(out, " (kerf ");
    escape_markdown(out, s->baseline->kerf);
    text_printf(out, "): %zu more than before, %zu less, the rest within %g %%.\n", s->changes->regressed,
                s->changes->gained, s->changes->tolerance);
}

void kernels_tell_markdown(const struct kernel_story *s, struct text *out)
{
    const struct cost_changes *c = s->changes;
    add_answer(out, s);
    add_wrong(out, s);
    if (!c) return;
    add_changes(out, c, COST_REGRESSED, c->regressed, "costs more");
    if (!c->gained && !c->added && !c->gone) return;
    text_add(out, "\n<details><summary>what else changed</summary>\n");
    add_changes(out, c, COST_GAINED, c->gained, "costs less");
    add_changes(out, c, COST_NEW, c->added, "not in the baseline");
    add_changes(out, c, COST_GONE, c->gone, "in the baseline only");
    text_add(out, "\n</details>\n");
}
