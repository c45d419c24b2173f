/* The table of kerf perplexity: subjects down, figures across. Columns stand in groups, and a group that is wider than
 * the terminal goes on in a block below. Only columns and rows that have something to say are shown. */
#include "engine/base/memory.h"
#include "reports/cells.h"
#include "reports/layout.h"
#include "reports/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, NAME_WIDTH = 40 };

struct column {
    int group;
    const char *heading;
    const char *key; /* of a subject, of its quantiles ("change:" those of the change), or one of its metrics */
    int decimals;    /* -1: as many as suit the largest */
    double scale;
    bool sign, interval;
    enum { NOT_BRIEF, BRIEF, BRIEF_INTERVAL } brief; /* in the one table of Markdown */
};

static const struct column columns[] = {
    {0, "perplexity", "perplexity", -1, 1, false, true, BRIEF},
    {0, "ln ratio", "log_ratio", 5, 1, true, true, BRIEF_INTERVAL},
    {1, "word ppl", "word_perplexity", -1, 1, false, false, NOT_BRIEF},
    {1, "byte ppl", "byte_perplexity", -1, 1, false, false, NOT_BRIEF},
    {1, "bits/byte", "bits_per_byte", -1, 1, false, false, NOT_BRIEF},
    {2, "mean KL", "kl_divergence", 6, 1, false, true, BRIEF_INTERVAL},
    {2, "reverse", "kl_reverse", 6, 1, false, false, NOT_BRIEF},
    {2, "same top %", "same_top", 2, 100, false, true, BRIEF},
    {3, "KL median", "0.5", 6, 1, false, false, NOT_BRIEF},
    {3, "90%", "0.9", 6, 1, false, false, NOT_BRIEF},
    {3, "95%", "0.95", 6, 1, false, false, NOT_BRIEF},
    {3, "99%", "0.99", 6, 1, false, false, NOT_BRIEF},
    {3, "99.9%", "0.999", 6, 1, false, false, NOT_BRIEF},
    {3, "maximum", "1", 6, 1, false, false, NOT_BRIEF},
    {4, "change of p", "probability_change", 6, 1, true, true, NOT_BRIEF},
    {4, "RMS change", "probability_change_rms", 6, 1, false, true, NOT_BRIEF},
    {5, "p: lowest", "change:0", 4, 1, true, false, NOT_BRIEF},
    {5, "1%", "change:0.01", 4, 1, true, false, NOT_BRIEF},
    {5, "5%", "change:0.05", 4, 1, true, false, NOT_BRIEF},
    {5, "25%", "change:0.25", 4, 1, true, false, NOT_BRIEF},
    {5, "50%", "change:0.5", 4, 1, true, false, NOT_BRIEF},
    {5, "75%", "change:0.75", 4, 1, true, false, NOT_BRIEF},
    {5, "95%", "change:0.95", 4, 1, true, false, NOT_BRIEF},
    {5, "99%", "change:0.99", 4, 1, true, false, NOT_BRIEF},
    {5, "highest", "change:1", 4, 1, true, false, NOT_BRIEF},
    {6, "bits/weight", "bits_per_weight", 2, 1, false, false, BRIEF},
    {6, "weights MiB", "weight_bytes", 2, 0x1p-20, false, false, BRIEF},
    {6, "seconds", "seconds", 1, 1, false, false, NOT_BRIEF},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

struct cell {
    char value[CELL_TEXT], interval[CELL_TEXT];
    const char *mark; /* "" where the column has none */
};

struct sheet {
    const json_t *record;
    size_t n; /* subjects */
    struct text *names;
    struct cell *cells;    /* [n, COLUMNS] */
    size_t name;           /* widths */
    size_t value[COLUMNS]; /* 0: nothing in it */
    size_t between[COLUMNS];
};

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static const json_t *subject_at(const struct sheet *t, size_t i)
{
    return json_array_get(json_object_get(t->record, "subjects"), i);
}

/* A number, or an object with value and ci95; NULL where the subject has neither. */
static const json_t *look_up(const json_t *subject, const char *key)
{
    const json_t *v = json_object_get(subject, key), *metric, *metrics = json_object_get(subject, "metrics");
    const size_t prefix = strlen("change:");
    if (!v) v = json_object_get(json_object_get(subject, "kl_quantiles"), key);
    if (!v && strncmp(key, "change:", prefix) == 0)
        v = json_object_get(json_object_get(subject, "change_quantiles"), key + prefix);
    size_t i;
    json_array_foreach(metrics, i, metric)
    {
        const char *name = json_string_value(json_object_get(metric, "name"));
        if (!v && name && strcmp(name, key) == 0) v = metric;
    }
    return json_is_null(v) ? NULL : v;
}

static double number(const json_t *v) { return json_is_number(v) ? json_number_value(v) : NAN; }

static struct figure figure_of(const json_t *v, double scale)
{
    const json_t *ci = json_object_get(v, "ci95");
    return (struct figure){.value = scale * number(json_is_object(v) ? json_object_get(v, "value") : v),
                           .low = scale * number(json_array_get(ci, 0)),
                           .high = scale * number(json_array_get(ci, 1))};
}

static int decimals_of(const struct sheet *t, const struct column *c)
{
    if (c->decimals >= 0) return c->decimals;
    double largest = 0;
    for (size_t i = 0; i < t->n; i++)
        largest = fmax(largest, fabs(figure_of(look_up(subject_at(t, i), c->key), c->scale).value));
    return largest < 10 ? 4 : largest < 100 ? 3 : largest < 1000 ? 2 : 1;
}

static void fill(struct sheet *t, size_t k)
{
    const struct column *c = &columns[k];
    const int decimals = decimals_of(t, c);
    for (size_t i = 0; i < t->n; i++) {
        struct cell *cell = &t->cells[i * COLUMNS + k];
        const json_t *v = look_up(subject_at(t, i), c->key);
        cell->mark = "";
        if (!v) continue;
        const struct figure f = figure_of(v, c->scale);
        (c->sign ? format_difference : format_value)(cell->value, f.value, decimals);
        if (c->interval) format_interval(cell->interval, &f, decimals, c->sign);
        if (json_is_true(json_object_get(v, "significant")) && f.value != 0)
            cell->mark = verdict_mark(f.value > 0 ? VERDICT_WORSE : VERDICT_BETTER);
        t->value[k] = larger(larger(t->value[k], strlen(c->heading)), strlen(cell->value));
        t->between[k] = larger(t->between[k], strlen(cell->interval));
    }
    if (t->between[k]) t->between[k] = larger(t->between[k], strlen("95% interval"));
}

/* Of a long name the end, where names of one folder differ. */
static void keep_end(struct text *name)
{
    const char *rest = text_c(name);
    if (layout_width(rest) <= NAME_WIDTH) return;
    while (layout_width(rest) >= NAME_WIDTH) do
            rest++;
        while ((*rest & 0xC0) == 0x80);
    struct text cut = {0};
    text_add(&cut, "…");
    text_add(&cut, rest);
    text_free(name);
    *name = cut;
}

/* "@gguf:q8_0" where the model is the baseline's. */
static void add_name(struct sheet *t, size_t i)
{
    const json_t *s = subject_at(t, i);
    const char *name = json_string_value(json_object_get(s, "name"));
    const char *model = json_string_value(json_object_get(s, "model"));
    const char *base = json_string_value(json_object_get(subject_at(t, 0), "model"));
    if (i && name && model && base && strcmp(model, base) == 0 && strncmp(name, model, strlen(model)) == 0 &&
        name[strlen(model)] == '@')
        name += strlen(model);
    escape_terminal(&t->names[i], name ? name : "?");
    keep_end(&t->names[i]);
    t->name = larger(t->name, layout_width(text_c(&t->names[i])));
    if (t->name > NAME_WIDTH) t->name = NAME_WIDTH;
}

static bool has_marks(const struct column *c) { return strcmp(c->key, "log_ratio") == 0; }

static size_t column_width(const struct sheet *t, size_t k)
{
    return GAP + t->value[k] + (has_marks(&columns[k]) ? GAP : 0) + (t->between[k] ? GAP + t->between[k] : 0);
}

static void print_cell(struct text *out, const struct sheet *t, const struct table_style *style, size_t k,
                       const struct cell *cell)
{
    const bool coloured = style->colour && *cell->mark;
    const char *colour = strcmp(cell->mark, verdict_mark(VERDICT_WORSE)) == 0 ? "\033[31m" : "\033[32m";
    layout_pad(out, "", GAP, false);
    if (coloured) text_add(out, colour);
    layout_pad(out, cell->value, t->value[k], true);
    if (has_marks(&columns[k])) {
        text_char(out, ' ');
        layout_pad(out, cell->mark, 1, false);
    }
    if (coloured) text_add(out, "\033[0m");
    if (!t->between[k]) return;
    layout_pad(out, "", GAP, false);
    layout_pad(out, cell->interval, t->between[k], false);
}

/* Columns [first, last) for the subjects that have something in them. */
static void print_block(struct text *out, const struct sheet *t, const struct table_style *style, size_t first,
                        size_t last)
{
    size_t width = t->name;
    text_char(out, '\n');
    layout_pad(out, "", t->name, false);
    for (size_t k = first; k < last; k++) {
        struct cell heading = {.mark = ""};
        if (!t->value[k]) continue;
        memcpy(heading.value, columns[k].heading, strlen(columns[k].heading) + 1);
        if (t->between[k]) memcpy(heading.interval, "95% interval", sizeof "95% interval");
        print_cell(out, t, style, k, &heading);
        width += column_width(t, k);
    }
    layout_end(out);
    layout_rule(out, width);
    for (size_t i = 0; i < t->n; i++) {
        bool empty = true;
        for (size_t k = first; k < last; k++) empty = empty && !*t->cells[i * COLUMNS + k].value;
        if (empty) continue;
        layout_pad(out, text_c(&t->names[i]), t->name, false);
        for (size_t k = first; k < last; k++)
            if (t->value[k]) print_cell(out, t, style, k, &t->cells[i * COLUMNS + k]);
        layout_end(out);
    }
}

static void print_blocks(struct text *out, const struct sheet *t, const struct table_style *style)
{
    const size_t most = style->width > 0 ? (size_t)style->width : 80;
    for (size_t first = 0, last; first < COLUMNS; first = last) {
        size_t width = t->name, shown = 0;
        for (last = first; last < COLUMNS && columns[last].group == columns[first].group; last++) {
            if (!t->value[last]) continue;
            if (shown && width + column_width(t, last) > most) break;
            width += column_width(t, last);
            shown++;
        }
        if (shown) print_block(out, t, style, first, last);
    }
}

/* Adds the line, wrapped, and frees it. */
static void wrap(struct text *out, struct text *line, size_t width, size_t indent)
{
    layout_wrap(out, text_c(line), width, indent);
    out->failed |= line->failed;
    text_free(line);
}

/* "1 window", "2 windows" */
static void add_count(struct text *out, const json_t *n, const char *what)
{
    const json_int_t count = json_integer_value(n);
    text_printf(out, "%" JSON_INTEGER_FORMAT " %s%s", count, what, count == 1 ? "" : "s");
}

static bool is_rolling(const struct sheet *t)
{
    const char *name = json_string_value(json_object_get(json_object_get(t->record, "protocol"), "protocol"));
    return name && strcmp(name, "rolling") == 0;
}

/* Resampling needs items, and one is too few: why no column has an interval. */
static bool add_reason(struct text *out, const struct sheet *t)
{
    if (json_integer_value(json_object_get(t->record, "items")) != 1) return false;
    text_add(out, is_rolling(t) ? "One document has no interval: empty lines, without a space, separate documents; "
                                  "--protocol chunked or strided takes windows instead."
                                : "One window has no interval: a smaller --context or a larger --chunks makes more.");
    return true;
}

static void print_title(struct text *out, const struct sheet *t, size_t width)
{
    const json_t *p = json_object_get(t->record, "protocol");
    const char *file = json_string_value(json_object_get(t->record, "file"));
    const char *protocol = json_string_value(json_object_get(p, "protocol"));
    struct text line = {0};
    escape_terminal(&line, file ? file : "?");
    text_add(&line, ": ");
    add_count(&line, json_object_get(t->record, "items"), is_rolling(t) ? "document" : "window");
    text_add(&line, ", ");
    add_count(&line, json_object_get(t->record, "tokens"), "token");
    text_add(&line, " scored (");
    escape_terminal(&line, protocol ? protocol : "?");
    text_printf(&line, ", windows of %" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(p, "context")));
    const json_t *stride = json_object_get(p, "stride");
    if (stride) text_printf(&line, " every %" JSON_INTEGER_FORMAT, json_integer_value(stride));
    text_char(&line, ')');
    wrap(out, &line, width, 2);
}

static void print_legend(struct text *out, const struct sheet *t, size_t width)
{
    struct text line = {0};
    text_printf(&line,
                "ln ratio: of the perplexity to the baseline's, paired; %s worse, %s better: its interval excludes 0. "
                "KL: KL(baseline || candidate), nats, at each token scored; reverse: the mean of KL(candidate || "
                "baseline). same top: both find the same token the most likely. change of p: of the probability of the "
                "token that came, candidate - baseline.",
                verdict_mark(VERDICT_WORSE), verdict_mark(VERDICT_BETTER));
    if (json_is_true(json_object_get(t->record, "bounded")))
        text_add(&line, " The baseline is a reference that keeps its most likely tokens: KL and reverse are lower "
                        "bounds, all else is exact.");
    text_char(out, '\n');
    wrap(out, &line, width, 0);
}

/* The baseline against itself: what a divergence has to exceed to mean anything. */
static void print_floor(struct text *out, const struct sheet *t, size_t width)
{
    const json_t *floor = json_object_get(t->record, "noise_floor");
    if (!json_is_object(floor)) return;
    const double kl = number(json_object_get(floor, "kl_divergence"));
    struct text line = {0};
    text_printf(&line, "noise floor: mean KL %.2g%s, maximum %.2g, same top %.2f%% (the baseline against itself, ", kl,
                kl == 0 ? " exactly" : "", number(json_object_get(floor, "kl_largest")),
                100 * number(json_object_get(floor, "same_top")));
    text_add(&line, "computed twice in other batches: the first ");
    add_count(&line, json_object_get(floor, "windows"), "window");
    text_char(&line, ')');
    text_char(out, '\n');
    wrap(out, &line, width, 0);
}

/* A token or what stands before it, with what a terminal would act on made visible. */
static void add_quoted(struct text *out, const json_t *s)
{
    struct text escaped = {0};
    escape_terminal(&escaped, json_is_string(s) ? json_string_value(s) : "?");
    text_char(out, '"');
    text_add(out, text_c(&escaped));
    text_char(out, '"');
    out->failed |= escaped.failed;
    text_free(&escaped);
}

static void add_view(struct text *out, const char *who, const json_t *view)
{
    text_printf(out, "; %s: p %.2g, top ", who, number(json_object_get(view, "p_token")));
    add_quoted(out, json_object_get(view, "top"));
    text_printf(out, " %.2g", number(json_object_get(view, "p_top")));
}

static void print_worst(struct text *out, const struct sheet *t, size_t width)
{
    for (size_t i = 0; i < t->n; i++) {
        const json_t *worst = json_object_get(subject_at(t, i), "worst"), *x;
        size_t k;
        if (!json_array_size(worst)) continue;
        text_printf(out, "\n%s: the tokens with the largest KL\n", text_c(&t->names[i]));
        json_array_foreach(worst, k, x)
        {
            struct text line = {0};
            text_printf(&line, "KL %.4g at %" JSON_INTEGER_FORMAT ":%" JSON_INTEGER_FORMAT " ",
                        number(json_object_get(x, "kl")), json_integer_value(json_object_get(x, "item")),
                        json_integer_value(json_object_get(x, "position")));
            add_quoted(&line, json_object_get(x, "token"));
            text_add(&line, " after ");
            add_quoted(&line, json_object_get(x, "before"));
            add_view(&line, "baseline", json_object_get(x, "baseline"));
            add_view(&line, "candidate", json_object_get(x, "candidate"));
            wrap(out, &line, width, 4);
        }
    }
}

/* Everything filled in; sheet_close() in any case. */
static int sheet_open(struct sheet *t, const json_t *record, struct error *e)
{
    *t = (struct sheet){.record = record, .n = json_array_size(json_object_get(record, "subjects"))};
    if (!t->n) return error_set(e, ERROR_INPUT, "perplexity: subjects: is missing; at least one would be right");
    t->names = memory_new(t->n, sizeof *t->names, "names of a table", e);
    t->cells = memory_new(t->n, COLUMNS * sizeof *t->cells, "cells of a table", e);
    if (!t->names || !t->cells) return ERROR_IO;
    for (size_t i = 0; i < t->n; i++) add_name(t, i);
    for (size_t k = 0; k < COLUMNS; k++) fill(t, k);
    return 0;
}

static int sheet_close(struct sheet *t, const struct text *out, struct error *e)
{
    bool failed = out->failed;
    for (size_t i = 0; t->names && i < t->n; i++) {
        failed |= t->names[i].failed;
        text_free(&t->names[i]);
    }
    free(t->names);
    free(t->cells);
    return failed ? error_set(e, ERROR_IO, "table: out of memory") : 0;
}

int report_perplexity(const json_t *record, const struct table_style *style, struct text *out, struct error *e)
{
    struct sheet t;
    const size_t width = style->width > 0 ? (size_t)style->width : 80;
    int status = sheet_open(&t, record, e);
    if (!status) {
        print_title(out, &t, width);
        print_blocks(out, &t, style);
        struct text reason = {0};
        if (add_reason(&reason, &t)) {
            text_char(out, '\n');
            wrap(out, &reason, width, 0);
        }
        print_worst(out, &t, width);
        print_floor(out, &t, width);
        if (t.n > 1) print_legend(out, &t, width);
    }
    int closed = sheet_close(&t, out, e);
    return status ? status : closed;
}

static void markdown_row(struct text *out, const struct sheet *t, size_t i)
{
    text_add(out, "| <code>");
    escape_markdown(out, text_c(&t->names[i]));
    text_add(out, "</code> |");
    for (size_t k = 0; k < COLUMNS; k++) {
        const struct cell *cell = &t->cells[i * COLUMNS + k];
        if (!columns[k].brief || !t->value[k]) continue;
        text_printf(out, " %s%s%s", cell->value, *cell->mark ? " " : "", cell->mark);
        if (columns[k].brief == BRIEF_INTERVAL && *cell->interval) text_printf(out, " %s", cell->interval);
        text_add(out, " |");
    }
    text_char(out, '\n');
}

int report_perplexity_markdown(const json_t *record, struct text *out, struct error *e)
{
    struct sheet t;
    int status = sheet_open(&t, record, e);
    if (!status) {
        text_add(out, "| subject |");
        for (size_t k = 0; k < COLUMNS; k++)
            if (columns[k].brief && t.value[k]) text_printf(out, " %s |", columns[k].heading);
        text_add(out, "\n|---|");
        for (size_t k = 0; k < COLUMNS; k++)
            if (columns[k].brief && t.value[k]) text_add(out, "---:|");
        text_char(out, '\n');
        for (size_t i = 0; i < t.n; i++) markdown_row(out, &t, i);
        struct text reason = {0};
        if (add_reason(&reason, &t)) text_printf(out, "\n%s\n", text_c(&reason));
        out->failed |= reason.failed;
        text_free(&reason);
    }
    int closed = sheet_close(&t, out, e);
    return status ? status : closed;
}
