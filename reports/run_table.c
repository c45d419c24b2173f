#include "reports/cells.h"
#include "reports/layout.h"
#include "reports/report.h"

#include <inttypes.h>
#include <string.h>

enum { LABEL_WIDTH = 28 };

static void print_cells(struct text *out, const char *label, const char *value, const char *error, const char *interval,
                        const char *better)
{
    layout_pad(out, label, LABEL_WIDTH, false);
    layout_pad(out, value, 10, true);
    layout_pad(out, error, 12, true);
    layout_pad(out, "", 2, false);
    layout_pad(out, interval, 22, false);
    text_add(out, better);
    layout_end(out);
}

static void print_row(struct text *out, const struct report *r, size_t i)
{
    const struct report_row *row = &r->rows[i];
    const struct figure *f = &row->cells->figure;
    const int decimals = row->decimals;
    char value[CELL_TEXT], error[CELL_TEXT], interval[CELL_TEXT];
    struct text label = {0};
    if (row_opens_suite(r, i)) {
        escape_terminal(&label, row->suite);
        if (row->items >= 0) text_printf(&label, " (%" PRId64 " items)", row->items);
        text_add(out, text_c(&label));
        text_char(out, '\n');
        text_clear(&label);
    }
    format_value(value, f->value, decimals);
    if (r->n_canaries) strcat(value, row->cells->doubtful ? "!" : " ");
    format_value(error, f->standard_error, decimals);
    format_interval(interval, f, decimals, false);
    text_add(&label, "  ");
    escape_terminal(&label, row->metric);
    print_cells(out, text_c(&label), value, error, interval, row->higher_is_better ? "higher" : "lower");
    if (f->reason) {
        text_add(out, "    ");
        escape_terminal(out, f->reason);
        text_char(out, '\n');
    }
    text_free(&label);
}

int report_run_table(const json_t *run, const struct table_style *style, struct text *out, struct error *e)
{
    struct report r;
    const int status = report_read_run(&r, run, e);
    if (status) return status;
    const size_t width = style->width > 0 && style->width < 80 ? (size_t)style->width : 80;
    const struct report_subject *s = r.subjects;
    escape_terminal(out, s->name);
    text_add(out, "\n\n");
    print_cells(out, "", "value", "std error", "95% interval", "better");
    layout_rule(out, width);
    for (size_t i = 0; i < r.n_rows; i++) print_row(out, &r, i);
    layout_rule(out, width);
    for (int k = 0; k < COSTS; k++) {
        if (!cost_is_known(&r, k)) continue;
        char cost[CELL_TEXT];
        format_cost(cost, s, k);
        print_cells(out, cost_name(k), cost, "", "", "");
    }
    for (size_t i = 0; i < r.n_canaries; i++) {
        struct text line = {0}, plain = {0};
        text_printf(&plain, "! %s: %s", r.canaries[i].suite, r.canaries[i].reason);
        escape_terminal(&line, text_c(&plain));
        layout_wrap(out, text_c(&line), width, 2);
        text_free(&plain);
        text_free(&line);
    }
    report_close(&r);
    return out->failed ? error_set(e, ERROR_IO, "table: out of memory") : 0;
}
