#include "reports/cells.h"
#include "reports/report.h"

#include <csv.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One line being written. */
struct csv_line {
    FILE *stream;
    size_t fields;
    bool failed;
};

static void write_field(struct csv_line *l, const char *s, size_t n)
{
    if (l->fields++ && fputc(',', l->stream) == EOF) l->failed = true;
    if (csv_fwrite(l->stream, s, n) == EOF) l->failed = true;
}

static void write_text(struct csv_line *l, const char *s)
{
    struct text t = {0};
    escape_csv(&t, s);
    if (t.failed) l->failed = true;
    write_field(l, text_c(&t), t.length);
    text_free(&t);
}

static void write_number(struct csv_line *l, double v)
{
    char s[32] = "";
    if (!isnan(v)) snprintf(s, sizeof s, "%.9g", v);
    write_field(l, s, strlen(s));
}

static void write_count(struct csv_line *l, int64_t v)
{
    char s[32] = "";
    if (v >= 0) snprintf(s, sizeof s, "%" PRId64, v);
    write_field(l, s, strlen(s));
}

static void end_line(struct csv_line *l)
{
    if (fputc('\n', l->stream) == EOF) l->failed = true;
    l->fields = 0;
}

static void write_name(struct csv_line *l, const char *suite, const char *metric, const char *suffix)
{
    struct text t = {0};
    text_printf(&t, "%s/%s%s", suite, metric, suffix);
    if (t.failed) l->failed = true;
    write_text(l, text_c(&t));
    text_free(&t);
}

static void write_header(struct csv_line *l, const struct report *r)
{
    static const char *const before[] = {"position",        "subject",      "model",      "backend", "math",
                                         "bits_per_weight", "weight_bytes", "parameters", "sha256"};
    static const char *const figures[] = {
        "", "/stderr", "/low", "/high", "/difference", "/difference_low", "/difference_high", "/p", "/p_holm"};
    static const char *const after[] = {"canaries", "seconds", "peak_bytes",   "cpu",
                                        "isa",      "threads", "kerf_version", "kerf_commit"};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) write_text(l, before[i]);
    for (size_t i = 0; i < r->n_rows; i++)
        for (size_t k = 0; k < sizeof figures / sizeof *figures; k++)
            write_name(l, r->rows[i].suite, r->rows[i].metric, figures[k]);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) write_text(l, after[i]);
    for (size_t i = 0; i < r->n_rows; i++)
        if (row_opens_suite(r, i)) write_name(l, r->rows[i].suite, "fingerprint", "");
    end_line(l);
}

static void write_cell(struct csv_line *l, const struct report_cell *c)
{
    const double figures[] = {
        c->figure.value,   c->figure.standard_error, c->figure.low, c->figure.high, c->difference.value,
        c->difference.low, c->difference.high,       c->p,          c->p_holm};
    for (size_t k = 0; k < sizeof figures / sizeof *figures; k++) write_number(l, figures[k]);
}

/* "endings: chance; translation: empty" */
static void write_canaries(struct csv_line *l, const struct report *r, size_t j)
{
    struct text t = {0};
    for (size_t i = 0; i < r->n_canaries; i++)
        if (r->canaries[i].subject == j)
            text_printf(&t, "%s%s: %s", t.length ? "; " : "", r->canaries[i].suite, r->canaries[i].name);
    if (t.failed) l->failed = true;
    write_text(l, text_c(&t));
    text_free(&t);
}

static void write_subject(struct csv_line *l, const struct report *r, size_t j)
{
    const struct report_subject *s = &r->subjects[j];
    write_count(l, (int64_t)j + 1);
    write_text(l, s->name);
    write_text(l, s->model);
    write_text(l, s->backend);
    write_text(l, s->math);
    write_number(l, s->bits_per_weight);
    write_count(l, s->weight_bytes);
    write_count(l, s->parameters);
    write_text(l, s->sha256);
    for (size_t i = 0; i < r->n_rows; i++) write_cell(l, &r->rows[i].cells[j]);
    write_canaries(l, r, j);
    write_number(l, s->seconds);
    write_count(l, s->peak_bytes);
    write_text(l, r->cpu);
    write_text(l, r->isa);
    write_count(l, r->threads);
    write_text(l, r->version);
    write_text(l, r->commit);
    for (size_t i = 0; i < r->n_rows; i++)
        if (row_opens_suite(r, i)) write_text(l, r->rows[i].fingerprint);
    end_line(l);
}

int report_leaderboard(const json_t *comparison, FILE *out, struct error *e)
{
    struct report r;
    const int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    struct csv_line l = {.stream = out};
    write_header(&l, &r);
    for (size_t j = 0; j < r.n_subjects; j++) write_subject(&l, &r, j);
    report_close(&r);
    if (fflush(out) || l.failed) return error_errno(e, "leaderboard", "writing");
    return 0;
}
