/* junit.xml: what a comparison asserts, for continuous integration. A candidate is a testsuite, a row of it a testcase,
 * which fails where the candidate is worse than the baseline, or has no value where the baseline has one.
 *
 * There is no one schema. This is what is common to the schema of Jenkins (junit-10.xsd of its xUnit plugin), the
 * elements that GitLab documents for unit test reports and the format that github.com/testmoapp/junitxml collects:
 * GitLab shows a failure's text and not its message, so both say the same; it knows a testcase by classname and name. */
#include "reports/answer.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum result { RESULT_PASSED, RESULT_FAILED, RESULT_SKIPPED };

static void add_attribute(struct text *out, const char *name, const char *value)
{
    text_printf(out, " %s=\"", name);
    escape_html(out, value);
    text_char(out, '"');
}

static bool is_undefined(const struct report_cell *cell)
{
    return isnan(cell->figure.value) || (cell->has_difference && isnan(cell->difference.value));
}

static const char *reason_of(const struct report_cell *cell)
{
    const char *reason = cell->figure.reason ? cell->figure.reason : cell->difference.reason;
    return reason ? reason : "not a finite number";
}

/* Why a cell asserts nothing; NULL where it does. */
static const char *find_obstacle(const struct report *r, const struct report_row *row, size_t subject, struct text *why)
{
    const struct report_cell *cell = &row->cells[subject];
    const char *source = r->subjects[subject].source;
    if (cell->absent)
        text_add(why, "not measured");
    else if (source)
        text_printf(why, "measured by %s", source);
    else if (cell->refused)
        text_printf(why, "not comparable with the baseline: %s", cell->refused);
    else if (subject && !cell->has_difference && !row->is_distance)
        text_add(why, "not compared with the baseline");
    else if (is_undefined(cell) && !cell_is_loss(row, subject))
        text_add(why, reason_of(cell));
    return why->length ? text_c(why) : NULL;
}

static enum result result_of(const struct report *r, const struct report_row *row, size_t subject)
{
    struct text why = {0};
    const bool asserts = !find_obstacle(r, row, subject, &why);
    text_free(&why);
    if (!asserts) return RESULT_SKIPPED;
    return cell_is_loss(row, subject) ? RESULT_FAILED : RESULT_PASSED;
}

/* "perplexity 2.5145, +0.0035 [+0.0020, +0.0050] to the baseline, p = 0.0006" */
static void add_figures(struct text *out, const struct report *r, const struct report_row *row, size_t subject)
{
    const struct report_cell *cell = &row->cells[subject];
    const int decimals = row->decimals;
    const struct figure *uncertain = cell->has_difference ? &cell->difference : &cell->figure;
    char value[CELL_TEXT], difference[CELL_TEXT], interval[CELL_TEXT];
    if (is_undefined(cell)) {
        text_printf(out, "%s is not defined, the baseline's is: %s", row->metric, reason_of(cell));
        return;
    }
    format_value(value, cell->figure.value, decimals);
    format_difference(difference, cell->difference.value, decimals);
    format_interval(interval, uncertain, decimals, cell->has_difference);
    text_printf(out, "%s %s", row->metric, value);
    if (cell->has_difference) text_printf(out, ", %s", difference);
    if (*interval) text_printf(out, " %s", interval);
    if (cell->has_difference) text_add(out, " to the baseline");
    const double p = isnan(cell->p_holm) ? cell->p : cell->p_holm;
    if (cell->has_difference && !isnan(p)) text_printf(out, ", p = %.2g", p);
}

/* The first of a subject's canaries: those of the baseline are told again for every candidate. */
static void add_canaries(struct text *out, const struct report_cell *cell, const char *of)
{
    enum { MOST = 8 };
    int n = 0;
    for (const struct report_canary *c = cell->canaries; c && n <= MOST; c = c->next, n++) {
        if (n == MOST) {
            text_add(out, "\n! and more: compare.json has all");
            continue;
        }
        text_printf(out, "%s%s", out->length ? "\n! " : "! ", of);
        escape_html(out, c->reason);
    }
}

static void write_skipped(struct text *out, const char *why)
{
    text_add(out, "   <skipped");
    add_attribute(out, "message", why);
    text_add(out, "/>\n");
}

static void write_failure(struct text *out, const char *figures)
{
    text_add(out, "   <failure type=\"worse\"");
    add_attribute(out, "message", figures);
    text_char(out, '>');
    escape_html(out, figures);
    text_add(out, "</failure>\n");
}

static void write_case(struct text *out, const struct report *r, size_t i, size_t subject)
{
    const struct report_row *row = &r->rows[i];
    const enum result result = result_of(r, row, subject);
    struct text class = {0}, words = {0}, said = {0};
    text_printf(&class, "%s.%s", r->subjects[subject].name, row->suite);
    text_add(out, "  <testcase");
    add_attribute(out, "classname", text_c(&class));
    add_attribute(out, "name", row->metric);
    text_add(out, ">\n");
    if (result == RESULT_SKIPPED)
        find_obstacle(r, row, subject, &words);
    else
        add_figures(&words, r, row, subject);
    if (result == RESULT_SKIPPED) write_skipped(out, text_c(&words));
    if (result == RESULT_FAILED) write_failure(out, text_c(&words));
    if (result == RESULT_PASSED) escape_html(&said, text_c(&words));
    add_canaries(&said, &row->cells[subject], "");
    if (subject) add_canaries(&said, row->cells, "baseline: ");
    if (said.length) text_printf(out, "   <system-out>%s</system-out>\n", text_c(&said));
    text_add(out, "  </testcase>\n");
    if (class.failed || words.failed || said.failed) out->failed = true;
    text_free(&class);
    text_free(&words);
    text_free(&said);
}

static void write_property(struct text *out, const char *name, const char *value)
{
    if (!*value) return;
    text_add(out, "   <property");
    add_attribute(out, "name", name);
    add_attribute(out, "value", value);
    text_add(out, "/>\n");
}

static void write_count(struct text *out, const char *name, int64_t value)
{
    char digits[CELL_TEXT] = "";
    if (value >= 0) snprintf(digits, sizeof digits, "%" PRId64, value);
    write_property(out, name, digits);
}

static void write_properties(struct text *out, const struct report *r, size_t subject)
{
    const struct report_subject *s = &r->subjects[subject];
    char bits[CELL_TEXT] = "";
    if (!isnan(s->bits_per_weight)) snprintf(bits, sizeof bits, "%.4g", s->bits_per_weight);
    text_add(out, "  <properties>\n");
    write_property(out, "baseline", subject ? r->subjects->name : "");
    write_property(out, "backend", s->backend);
    write_property(out, "math", s->math);
    write_property(out, "id", s->id);
    write_property(out, "sha256", s->sha256);
    write_property(out, "bits_per_weight", bits);
    write_count(out, "weight_bytes", s->weight_bytes);
    write_property(out, "version", s->version);
    write_property(out, "commit", s->commit);
    write_property(out, "cpu", s->cpu);
    write_property(out, "isa", s->isa);
    write_count(out, "threads", s->threads);
    text_add(out, "  </properties>\n");
}

static void add_time(struct text *out, double seconds)
{
    if (seconds >= 0 && seconds < 1e9) text_printf(out, " time=\"%.3f\"", seconds);
}

static size_t count(const struct report *r, size_t subject, enum result wanted)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) n += result_of(r, &r->rows[i], subject) == wanted;
    return n;
}

static void write_suite(struct text *out, const struct report *r, size_t subject)
{
    const struct report_subject *s = &r->subjects[subject];
    text_add(out, " <testsuite");
    add_attribute(out, "name", s->name);
    text_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\"", r->n_rows,
                count(r, subject, RESULT_FAILED), count(r, subject, RESULT_SKIPPED));
    add_time(out, s->seconds);
    if (*s->started) add_attribute(out, "timestamp", s->started);
    text_add(out, ">\n");
    write_properties(out, r, subject);
    for (size_t i = 0; i < r->n_rows; i++) write_case(out, r, i, subject);
    text_add(out, " </testsuite>\n");
}

int report_junit(const json_t *comparison, struct text *out, struct error *e)
{
    struct report r;
    const int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    const size_t first = r.n_subjects > 1; /* a run alone has values that nothing fails */
    size_t failures = 0;
    double seconds = 0;
    for (size_t j = first; j < r.n_subjects; j++) {
        failures += count(&r, j, RESULT_FAILED);
        if (r.subjects[j].seconds >= 0) seconds += r.subjects[j].seconds; /* of another tool's it is not known */
    }
    text_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kerf\"");
    text_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\"", r.n_rows * (r.n_subjects - first), failures);
    add_time(out, seconds);
    text_add(out, ">\n");
    for (size_t j = first; j < r.n_subjects; j++) write_suite(out, &r, j);
    text_add(out, "</testsuites>\n");
    report_close(&r);
    return out->failed ? error_set(e, ERROR_IO, "junit.xml: out of memory") : 0;
}
