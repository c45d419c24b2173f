/* What kerf score says: a table, the values of items, a record. */
#include "cli/score.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "reports/cells.h"
#include "reports/layout.h"
#include "reports/report.h"
#include "suites/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the table --- */

enum column { METRIC, NAME, VALUE, INTERVAL, DEVIATION, ITEMS, DIFFERENCE, DIFFERENCE_INTERVAL, P, P_HOLM, COLUMNS };

enum { TYPE_WIDTH = 20, NOTE_WIDTH = 100 };

static const char *const headings[COLUMNS] = {
    "metric", "file", "value", "95% interval", "std error", "items", "difference", "95% interval", "p", "p (Holm)"};

struct table_line {
    struct text cells[COLUMNS]; /* escaped; a column that is empty in every line is left out */
};

/* The shortest name that tells the files apart. */
static const char *label_of(const struct score_input *in, size_t file)
{
    const char *path = in->files[file].path;
    for (size_t i = 0; i < in->n_files; i++)
        if (i != file && strcmp(path_name(in->files[i].path), path_name(path)) == 0) return path;
    return path_name(path);
}

static void add_p(struct text *out, double p)
{
    if (isnan(p))
        text_add(out, "n/a");
    else
        text_printf(out, p < 0.0001 ? "%.1e" : "%.4f", p);
}

static void fill_line(const struct score_report *r, const struct score_row *row, size_t file, struct table_line *line,
                      void (*escape)(struct text *, const char *))
{
    const struct estimate *x = &row->estimates[file];
    const int decimals = strcmp(row->measure.metric->unit, "%") == 0 ? 2 : 4;
    char cell[CELL_TEXT];
    if (!file) escape(&line->cells[METRIC], row->measure.metric->name);
    if (r->in->n_files > 1) escape(&line->cells[NAME], label_of(r->in, file));
    format_value(cell, x->value, decimals);
    text_add(&line->cells[VALUE], cell);
    format_interval(cell, &(struct figure){.low = x->low, .high = x->high}, decimals, false);
    text_add(&line->cells[INTERVAL], cell);
    format_value(cell, x->standard_error, decimals);
    text_add(&line->cells[DEVIATION], cell);
    text_printf(&line->cells[ITEMS], "%zu", x->n);
    if (!row->candidates || !file) return;
    const struct difference *d = &row->candidates[file];
    format_difference(cell, d->value, decimals);
    text_add(&line->cells[DIFFERENCE], cell);
    format_interval(cell, &(struct figure){.low = d->low, .high = d->high}, decimals, true);
    text_add(&line->cells[DIFFERENCE_INTERVAL], cell);
    add_p(&line->cells[P], d->p);
    if (r->in->n_files > 2) add_p(&line->cells[P_HOLM], row->adjusted[file]);
}

static void measure_columns(const struct table_line *lines, size_t n, size_t widths[COLUMNS])
{
    for (int c = 0; c < COLUMNS; c++) {
        widths[c] = 0;
        for (size_t i = 1; i < n; i++) {
            const size_t width = layout_width(text_c(&lines[i].cells[c]));
            if (width > widths[c]) widths[c] = width;
        }
        const size_t heading = strlen(headings[c]);
        if (widths[c] && widths[c] < heading) widths[c] = heading;
    }
}

static void add_line(struct text *out, const struct table_line *line, const size_t widths[COLUMNS], bool markdown)
{
    bool first = true;
    for (int c = 0; c < COLUMNS; c++) {
        if (!widths[c]) continue;
        text_add(out, markdown ? "| " : first ? "" : "  ");
        first = false;
        layout_pad(out, text_c(&line->cells[c]), widths[c], c > NAME);
        if (markdown) text_char(out, ' ');
    }
    if (markdown) text_char(out, '|');
    layout_end(out);
}

static void add_rule(struct text *out, const size_t widths[COLUMNS], bool markdown)
{
    size_t width = 0;
    for (int c = 0; c < COLUMNS; c++) {
        if (!widths[c]) continue;
        width += widths[c] + (width ? 2 : 0);
        if (markdown) text_add(out, c > NAME ? "|---:" : "|---");
    }
    if (markdown)
        text_add(out, "|\n");
    else
        layout_rule(out, width);
}

static const char *name_test(const struct score_report *r)
{
    size_t exact = 0;
    for (size_t i = 0; i < r->n_rows; i++) exact += r->rows[i].candidates[r->in->n_files - 1].mcnemar;
    return exact == r->n_rows ? "McNemar's exact test"
           : r->randomized    ? "approximate randomization"
           : exact            ? "McNemar's exact test where items are right or wrong, else by paired bootstrap"
                              : "paired bootstrap";
}

static void add_notes(struct text *out, const struct score_report *r, bool markdown)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct score_row *row = &r->rows[i];
        if (!row->signature.length) continue;
        text_printf(out, markdown ? "- %s: `" : "%s: ", row->measure.metric->name);
        escape_terminal(out, text_c(&row->signature));
        text_add(out, markdown ? "`\n" : "\n");
    }
    if (!r->rows->candidates) return;
    struct text words = {0};
    text_printf(&words,
                "difference: to the first file, the same items drawn for both (%zu resamples, seed %llu); p by %s%s",
                r->resampling.resamples, (unsigned long long)r->resampling.seed, name_test(r),
                r->in->n_files > 2 ? "; p (Holm) is adjusted for the number of candidates" : "");
    if (markdown && r->rows->signature.length) text_char(out, '\n');
    layout_wrap(out, text_c(&words), NOTE_WIDTH, 0);
    out->failed |= words.failed;
    text_free(&words);
}

/* What entities of each type came to, of CoNLL's columns. */
static void add_type(struct text *out, const json_t *type, bool markdown)
{
    static const char *const keys[] = {"references", "predicted", "right", "precision", "recall", "f1"};
    struct text name = {0};
    (markdown ? escape_markdown : escape_terminal)(&name, json_string_value(json_object_get(type, "type")));
    text_add(out, markdown ? "| " : "");
    layout_pad(out, text_c(&name), TYPE_WIDTH, false);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const json_t *v = json_object_get(type, keys[k]);
        text_add(out, markdown ? " | " : "  ");
        if (json_is_integer(v))
            text_printf(out, "%10lld", (long long)json_integer_value(v));
        else
            text_printf(out, "%10.4f", json_real_value(v));
    }
    text_add(out, markdown ? " |\n" : "\n");
    out->failed |= name.failed;
    text_free(&name);
}

static void add_types(struct text *out, const struct score_report *r, bool markdown)
{
    json_t *types, *type;
    size_t f, i;
    json_array_foreach(json_object_get(r->in->facts, "types"), f, types)
    {
        text_char(out, '\n');
        if (r->in->n_files > 1) {
            (markdown ? escape_markdown : escape_terminal)(out, label_of(r->in, f));
            text_add(out, markdown ? "\n\n" : "\n");
        }
        text_add(out, markdown ? "| type | references | predicted | right | precision | recall | F1 |\n"
                                 "|---|---:|---:|---:|---:|---:|---:|\n"
                               : "type                  references   predicted       right   precision      recall"
                                 "          F1\n");
        json_array_foreach(types, i, type) add_type(out, type, markdown);
    }
}

static void add_table(struct text *out, const struct score_report *r, struct table_line *lines, size_t n, bool markdown)
{
    size_t widths[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) text_add(&lines[0].cells[c], headings[c]);
    for (size_t i = 0; i < n - 1; i++)
        fill_line(r, &r->rows[i / r->in->n_files], i % r->in->n_files, &lines[1 + i],
                  markdown ? escape_markdown : escape_terminal);
    measure_columns(lines, n, widths);
    add_line(out, &lines[0], widths, markdown);
    add_rule(out, widths, markdown);
    for (size_t i = 1; i < n; i++) add_line(out, &lines[i], widths, markdown);
    if (!markdown) add_rule(out, widths, false);
    if (markdown) text_char(out, '\n');
    add_notes(out, r, markdown);
    add_types(out, r, markdown);
}

/* --- items --- */

static double item_value(const struct score_report *r, const struct score_row *row, size_t file, size_t item)
{
    return measure_value(&row->measure, row->stats + (file * r->in->n + item) * row->measure.metric->width, 1);
}

/* Of one file, with tabs. */
static void add_items(struct text *out, const struct score_report *r)
{
    for (size_t m = 0; m < r->n_rows; m++) text_printf(out, "%s%s", m ? "\t" : "", r->rows[m].measure.metric->name);
    text_char(out, '\n');
    for (size_t i = 0; i < r->in->n; i++) {
        for (size_t m = 0; m < r->n_rows; m++) {
            const double v = item_value(r, &r->rows[m], 0, i);
            text_printf(out, isnan(v) ? "%sn/a" : "%s%.6f", m ? "\t" : "", v);
        }
        text_char(out, '\n');
    }
}

int score_print(const struct score_report *r, bool markdown, struct error *e)
{
    const size_t n = 1 + r->n_rows * r->in->n_files;
    struct table_line *lines = memory_new(n, sizeof *lines, "a table", e);
    if (!lines) return ERROR_IO;
    struct text out = {0};
    if (r->by_item)
        add_items(&out, r);
    else
        add_table(&out, r, lines, n, markdown);
    bool failed = out.failed;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < COLUMNS; c++) {
            failed |= lines[i].cells[c].failed;
            text_free(&lines[i].cells[c]);
        }
    if (!failed) fputs(text_c(&out), stdout);
    text_free(&out);
    free(lines);
    return failed ? error_set(e, ERROR_IO, "out of memory for a table") : 0;
}

/* --- the record --- */

static json_t *files_record(const struct score_file *files, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, json_pack("{s:o, s:s}", "path", json_text(files[i].path, strlen(files[i].path)),
                                             "sha256", files[i].hash));
    return all;
}

static json_t *compared_record(const struct score_report *r, const struct score_row *row, size_t file)
{
    if (!row->candidates || !file) return json_null();
    json_t *d = difference_record(&row->candidates[file]);
    const double p = row->adjusted[file];
    if (r->randomized) json_object_set_new(d, "test", json_string("randomization"));
    json_object_set_new(d, "p_holm", json_number_or_null(p));
    json_object_set_new(d, "significant", json_boolean(p < 0.05));
    return d;
}

static json_t *score_of_file(const struct score_report *r, const struct score_row *row, size_t file)
{
    const struct estimate *x = &row->estimates[file];
    json_t *j = json_pack("{s:o, s:o, s:[o, o], s:o}", "value", json_number_or_null(x->value), "stderr",
                          json_number_or_null(x->standard_error), "ci95", json_number_or_null(x->low),
                          json_number_or_null(x->high), "difference", compared_record(r, row, file));
    if (!isfinite(x->value)) json_object_set_new(j, "reason", json_string("undefined for these items"));
    if (!r->by_item) return j;
    json_t *items = json_array();
    for (size_t i = 0; i < r->in->n; i++)
        json_array_append_new(items, json_number_or_null(item_value(r, row, file, i)));
    json_object_set_new(j, "items", items);
    return j;
}

static json_t *row_record(const struct score_report *r, const struct score_row *row)
{
    const struct metric *m = row->measure.metric;
    json_t *scores = json_array();
    for (size_t f = 0; f < r->in->n_files; f++) json_array_append_new(scores, score_of_file(r, row, f));
    return json_pack("{s:s, s:O, s:s, s:s, s:s, s:s, s:o}", "name", m->name, "settings", row->settings, "signature",
                     text_c(&row->signature), "fingerprint", row->fingerprint, "better",
                     m->better == BETTER_HIGHER ? "higher" : "lower", "unit", m->unit, "scores", scores);
}

json_t *score_record(const struct score_report *r)
{
    const struct score_input *in = r->in;
    json_t *metrics = json_array();
    for (size_t i = 0; i < r->n_rows; i++) json_array_append_new(metrics, row_record(r, &r->rows[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:O, s:o, s:{s:I, s:I}}", "schema", "kerf-score-1", "format", r->format,
                     "references", files_record(in->references, in->n_references), "files",
                     files_record(in->files, in->n_files), "items", (json_int_t)in->n, "facts", in->facts, "metrics",
                     metrics, "resampling", "resamples", (json_int_t)r->resampling.resamples, "seed",
                     (json_int_t)r->resampling.seed);
}
