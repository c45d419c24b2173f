#include "reports/answer.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool cell_is_loss(const struct report_row *row, size_t subject)
{
    const struct report_cell *cell = &row->cells[subject];
    const bool unknown = !isnan(row->cells[0].figure.value) && isnan(cell->difference.value);
    return subject > 0 && !row->is_distance && (unknown || cell_verdict(row, cell) == VERDICT_WORSE);
}

bool cell_is_doubt(const struct report_row *row, size_t subject)
{
    const struct report_cell *cell = &row->cells[subject];
    const double d = cell->difference.value;
    const bool worse = d != 0 && (d > 0) != row->higher_is_better;
    return subject > 0 && !row->is_distance && cell->has_difference && !cell->significant && worse && cell->p < 0.05;
}

/* The metrics of one suite often say the same thing in other units: a suite counts once, as a loss where any row of it
 * is one. Rows of a suite are neighbours. */
static void count_suites(const struct report *r, size_t subject, size_t *losses, size_t *doubts)
{
    *losses = *doubts = 0;
    for (size_t i = 0; i < r->n_rows;) {
        bool loss = false, doubt = false;
        do {
            loss = loss || cell_is_loss(&r->rows[i], subject);
            doubt = doubt || cell_is_doubt(&r->rows[i], subject);
        } while (++i < r->n_rows && !row_opens_suite(r, i));
        *losses += loss;
        *doubts += doubt && !loss;
    }
}

size_t answer_losses(const struct report *r, size_t subject)
{
    size_t losses, doubts;
    count_suites(r, subject, &losses, &doubts);
    return losses;
}

size_t answer_doubts(const struct report *r, size_t subject)
{
    size_t losses, doubts;
    count_suites(r, subject, &losses, &doubts);
    return doubts;
}

bool answer_is_comparable(const struct report *r, size_t subject)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (row->is_distance || row->cells[0].absent) continue;
        if (row->cells[subject].refused || row->cells[subject].absent) return false;
        n++;
    }
    return n > 0;
}

static bool is_smaller(const struct report *r, size_t subject)
{
    const int64_t bytes = r->subjects[subject].weight_bytes;
    return bytes >= 0 && (r->subjects[0].weight_bytes < 0 || bytes < r->subjects[0].weight_bytes);
}

/* Pairs that a difference needs to be told from chance: the least n for which 2^(1 - n) is below 0.05. */
enum { LEAST_TOLD = 6 };

/* " in 500 items a suite", " in 20 to 24 items a suite", of the suites that the baseline has been through */
static void write_items(struct text *out, const struct report *r)
{
    int64_t fewest = INT64_MAX, most = -1;
    for (size_t i = 0; i < r->n_rows; i++) {
        const int64_t n = r->rows[i].items;
        if (n < 0 || r->rows[i].cells[0].absent) continue;
        if (n < fewest) fewest = n;
        if (n > most) most = n;
    }
    if (most < 0) return;
    text_printf(out, " in %" PRId64, fewest);
    if (most > fewest) text_printf(out, " to %" PRId64, most);
    text_add(out, " items a suite");
    if (fewest < LEAST_TOLD) text_printf(out, " (fewer than %d show no difference)", LEAST_TOLD);
}

/* Nothing is lost where nothing was known. */
static bool is_doubtful(const struct report *r, size_t subject)
{
    for (size_t i = 0; i < r->n_canaries; i++)
        if (r->canaries[i].subject == 0 || r->canaries[i].subject == subject) return true;
    return false;
}

struct answer answer_find(const struct report *r)
{
    struct answer a = {0, 0};
    const struct report_subject *s = r->subjects;
    size_t fewest = SIZE_MAX, fewest_doubts = SIZE_MAX;
    for (size_t j = 1; j < r->n_subjects; j++) {
        size_t losses, doubts;
        if (!is_smaller(r, j) || !answer_is_comparable(r, j)) continue;
        count_suites(r, j, &losses, &doubts);
        if (losses + doubts == 0 && (!a.best || s[j].weight_bytes < s[a.best].weight_bytes)) a.best = j;
        const bool equal = a.next && losses == fewest && doubts == fewest_doubts;
        if (losses + doubts == 0 || losses > fewest || (losses == fewest && doubts > fewest_doubts)) continue;
        if (equal && s[j].weight_bytes >= s[a.next].weight_bytes) continue;
        fewest = losses;
        fewest_doubts = doubts;
        a.next = j;
    }
    if (!a.best) return a;
    a.next = 0;
    for (size_t j = 1; j < r->n_subjects; j++)
        if (s[j].weight_bytes >= 0 && s[j].weight_bytes < s[a.best].weight_bytes && answer_is_comparable(r, j) &&
            (!a.next || s[j].weight_bytes > s[a.next].weight_bytes))
            a.next = j;
    return a;
}

static void write_subject(struct text *out, const struct report *r, size_t j,
                          void (*escape)(struct text *, const char *))
{
    struct text label = {0};
    char size[CELL_TEXT];
    subject_label(&label, r, j);
    escape(out, text_c(&label));
    text_free(&label);
    if (r->subjects[j].weight_bytes < 0) return;
    format_cost(size, &r->subjects[j], COST_MIB);
    text_printf(out, " (%s MiB", size);
    if (j > 0 && r->subjects[0].weight_bytes > 0)
        text_printf(out, ", %.1f%% of the baseline",
                    100.0 * (double)r->subjects[j].weight_bytes / (double)r->subjects[0].weight_bytes);
    text_char(out, ')');
}

/* Whether a candidate of which nothing is known as a whole could have been the answer. */
static bool some_refused(const struct report *r)
{
    for (size_t j = 1; j < r->n_subjects; j++)
        if (!answer_is_comparable(r, j) && (is_smaller(r, j) || r->subjects[j].weight_bytes < 0)) return true;
    return false;
}

static bool all_lose(const struct report *r)
{
    for (size_t j = 1; j < r->n_subjects; j++)
        if (is_smaller(r, j) && answer_is_comparable(r, j) && !answer_losses(r, j)) return false;
    return true;
}

void answer_headline(struct text *out, const struct report *r, const struct answer *a,
                     void (*escape)(struct text *, const char *))
{
    if (a->best) {
        write_subject(out, r, a->best, escape);
        text_add(out, " is the smallest candidate with no significant loss");
        write_items(out, r);
        if (is_doubtful(r, a->best)) text_add(out, "; but values marked ! mean little");
    } else if (a->next) {
        const bool lost = all_lose(r);
        text_printf(out, "%s smaller candidate%s %s", lost ? "every" : "no",
                    some_refused(r) ? " that is comparable" : "",
                    lost ? "has a significant loss" : "is free of signs of a loss");
        write_items(out, r);
    } else if (some_refused(r)) {
        text_add(out, "no smaller candidate is comparable with the baseline in every suite");
    } else if (r->n_subjects > 1) {
        text_add(out, "no candidate is smaller than the baseline");
    } else {
        write_subject(out, r, 0, escape);
        text_add(out, " has no candidate beside it");
    }
}

void answer_gain(struct text *out, const struct report *r, const struct answer *a)
{
    const struct report_subject *s = &r->subjects[a->best], *baseline = r->subjects;
    if (!a->best || baseline->weight_bytes <= 0) return;
    const double saved = (double)(baseline->weight_bytes - s->weight_bytes);
    text_printf(out, "It saves %.1f%% of the weights' memory (%.2f MiB)", 100 * saved / (double)baseline->weight_bytes,
                saved / (1 << 20));
    const double ratio = s->tokens_per_second / baseline->tokens_per_second;
    if (subjects_timed_alike(s, baseline) && ratio > 0 && ratio < 1e4)
        text_printf(out, " at %.2f times the baseline's tokens/s", ratio);
    text_char(out, '.');
}

/* "stories perplexity (+0.0070, +0.28%)" */
static void write_loss(struct text *out, const struct report *r, const struct report_row *row, size_t j,
                       void (*escape)(struct text *, const char *))
{
    char difference[CELL_TEXT] = "undefined";
    const double d = row->cells[j].difference.value, percent = 100 * d / row->cells[0].figure.value;
    if (!isnan(d)) format_difference(difference, d, row->decimals);
    escape(out, row->suite);
    text_char(out, ' ');
    escape(out, row->metric);
    text_printf(out, " (%s", difference);
    if (row->cells[0].figure.value > 0 && fabs(percent) < 1e4) text_printf(out, ", %+.2g%%", percent);
    text_char(out, ')');
}

/* A row a suite says more than all rows of one. */
static void write_list(struct text *out, const struct report *r, size_t j, size_t n,
                       bool (*is_told)(const struct report_row *, size_t), void (*escape)(struct text *, const char *))
{
    enum { SHOWN = 3 };
    size_t shown = 0;
    const char *suite = NULL;
    for (size_t i = 0; i < r->n_rows && shown < SHOWN; i++) {
        const struct report_row *row = &r->rows[i];
        if (!is_told(row, j) || (suite && strcmp(suite, row->suite) == 0)) continue;
        if (shown++) text_add(out, ", ");
        write_loss(out, r, row, j, escape);
        suite = row->suite;
    }
    if (n > shown) text_printf(out, " and %zu more suite%s", n - shown, n - shown > 1 ? "s" : "");
}

void answer_next(struct text *out, const struct report *r, const struct answer *a,
                 void (*escape)(struct text *, const char *))
{
    if (!a->next) return;
    size_t losses, doubts;
    count_suites(r, a->next, &losses, &doubts);
    text_add(out, a->best ? "The next smaller one, " : losses ? "The fewest losses has " : "The fewest signs has ");
    write_subject(out, r, a->next, escape);
    text_add(out, !a->best ? ": " : losses ? ", is worse in " : ", may be worse in ");
    if (losses)
        write_list(out, r, a->next, losses, cell_is_loss, escape);
    else
        write_list(out, r, a->next, doubts, cell_is_doubt, escape);
    if (!losses) text_add(out, ": p < 0.05 before it is adjusted for the other candidates");
    text_char(out, '.');
}

void answer_write(struct text *out, const struct report *r, const struct answer *a,
                  void (*escape)(struct text *, const char *))
{
    struct text gain = {0}, next = {0};
    answer_headline(out, r, a, escape);
    text_char(out, '.');
    answer_gain(&gain, r, a);
    answer_next(&next, r, a, escape);
    if (gain.length) text_printf(out, " %s", text_c(&gain));
    if (next.length) text_printf(out, " %s", text_c(&next));
    out->failed |= gain.failed || next.failed;
    text_free(&gain);
    text_free(&next);
}

int report_answer(const json_t *comparison, struct text *out, struct error *e)
{
    struct report r;
    const int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    const struct answer a = answer_find(&r);
    answer_write(out, &r, &a, escape_terminal);
    report_close(&r);
    return out->failed ? error_set(e, ERROR_IO, "report: out of memory") : 0;
}
