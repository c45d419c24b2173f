#include "reports/cells.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_close(struct report *r)
{
    free(r->subjects);
    free(r->rows);
    free(r->cells);
    free(r->canaries);
    *r = (struct report){0};
}

enum verdict cell_verdict(const struct report_row *row, const struct report_cell *cell)
{
    const double d = cell->difference.value;
    if (!cell->has_difference || !cell->significant || isnan(d) || d == 0) return VERDICT_NONE;
    return (d > 0) == row->higher_is_better ? VERDICT_BETTER : VERDICT_WORSE;
}

const char *verdict_mark(enum verdict v) { return v == VERDICT_WORSE ? "✗" : v == VERDICT_BETTER ? "✓" : " "; }

const char *cell_reason(const struct report *r, size_t row, size_t subject, struct text *of)
{
    const struct report_row *x = &r->rows[row];
    const struct report_cell *cell = &x->cells[subject];
    if (cell->absent) return NULL; /* the dash in its place says so */
    if (!cell->refused || x->cells->absent) {
        text_printf(of, "%s %s", x->suite, x->metric);
        return cell->figure.reason ? cell->figure.reason : cell->difference.reason;
    }
    const struct report_cell *before = row_opens_suite(r, row) ? NULL : &r->rows[row - 1].cells[subject];
    if (r->subjects[subject].refused || (before && before->refused && !before->absent)) return NULL;
    text_add(of, x->suite);
    return cell->refused;
}

bool row_has_flips(const struct report_row *row, size_t n_subjects)
{
    for (size_t j = 1; j < n_subjects; j++)
        if (row->cells[j].gained >= 0 && row->cells[j].lost >= 0) return true;
    return false;
}

size_t candidates_compared(const struct report *r)
{
    size_t n = 0;
    for (size_t j = 1; j < r->n_subjects; j++) {
        size_t i = 0;
        while (i < r->n_rows && !r->rows[i].cells[j].has_difference) i++;
        n += i < r->n_rows;
    }
    return n;
}

bool row_opens_suite(const struct report *r, size_t row)
{
    return row == 0 || strcmp(r->rows[row].suite, r->rows[row - 1].suite) != 0;
}

static bool vanishes(double v, int decimals) { return v != 0 && fabs(v) < 0.5 * pow(10, -decimals); }

int row_decimals(const struct report_row *row, size_t n_subjects)
{
    double largest = 0;
    for (size_t j = 0; j < n_subjects; j++) largest = fmax(largest, fabs(row->cells[j].figure.value));
    const bool is_ratio = row->unit[0] == 0 && largest <= 1;
    const int decimals = strcmp(row->unit, "%") == 0 ? 2
                         : is_ratio                  ? 3
                         : largest < 10              ? 4
                         : largest < 100             ? 3
                         : largest < 1000            ? 2
                                                     : 1;
    for (size_t j = 1; j < n_subjects; j++) {
        const double d = row->cells[j].difference.value;
        if (decimals < 4 && vanishes(d, decimals) && !vanishes(d, decimals + 1)) return decimals + 1;
    }
    return decimals;
}

/* "+2.1e-06" becomes "+2.1e-6": no wider than the zeros that it stands for. */
static void format_scientific(char *out, double v, int digits, bool sign)
{
    snprintf(out, CELL_TEXT, sign ? "%+.*e" : "%.*e", digits, v);
    char *exponent = strchr(out, 'e');
    if (!exponent) return;
    const int power = atoi(exponent + 1);
    snprintf(exponent + 1, 8, "%d", power);
}

static void format_number(char *out, double v, int decimals, bool sign)
{
    if (isnan(v))
        snprintf(out, CELL_TEXT, "n/a");
    else if (v == 0)
        snprintf(out, CELL_TEXT, "%.*f", decimals, 0.0);
    else if (fabs(v) >= 1e7)
        format_scientific(out, v, 3, sign);
    else if (vanishes(v, decimals))
        format_scientific(out, v, 1, sign);
    else
        snprintf(out, CELL_TEXT, sign ? "%+.*f" : "%.*f", decimals, v);
}

void format_value(char out[CELL_TEXT], double v, int decimals) { format_number(out, v, decimals, false); }

void format_cell(char out[CELL_TEXT], const struct report_cell *cell, int decimals)
{
    if (cell->absent)
        snprintf(out, CELL_TEXT, "%s", DASH);
    else
        format_value(out, cell->figure.value, decimals);
}

void format_difference(char out[CELL_TEXT], double v, int decimals) { format_number(out, v, decimals, true); }

void format_interval(char out[CELL_TEXT], const struct figure *f, int decimals, bool sign)
{
    *out = 0;
    if (isnan(f->low) || isnan(f->high)) return;
    char low[CELL_TEXT], high[CELL_TEXT];
    format_number(low, f->low, decimals, sign);
    format_number(high, f->high, decimals, sign);
    snprintf(out, CELL_TEXT, "[%.36s, %.36s]", low, high);
}

void format_flips(char out[CELL_TEXT], const struct report_cell *cell)
{
    *out = 0;
    if (cell->gained >= 0 && cell->lost >= 0)
        snprintf(out, CELL_TEXT, "+%" PRId64 " -%" PRId64, cell->gained, cell->lost);
}

void format_measure(char out[CELL_TEXT], double v)
{
    if (isnan(v))
        snprintf(out, CELL_TEXT, "%s", DASH);
    else
        format_value(out, v, v >= 99.95 ? 0 : v >= 9.995 ? 1 : v >= 0.9995 ? 2 : v >= 0.09995 ? 3 : 4);
}

/* The counters of a profile (docs/profiles.md) as they are shown. */
static const struct {
    const char *name, *counter;
    double unit;
    const char *from[2]; /* the counters of phases that it was made of */
} counted[] = {{"M instructions/token", "instructions_per_token", 1e6, {"instructions", ""}},
               {"k L3 misses/token", "l3_misses_per_token", 1e3, {"l3_misses", ""}},
               {"mJ/token", "joules_per_token", 1e-3, {"energy_package", "energy_dram"}},
               {"instructions/cycle", "ipc", 1, {"instructions", "cycles"}},
               {"GFLOP/s", "gflop_per_second", 1, {"", ""}},
               {"GB/s", "gb_per_second", 1, {"", ""}}};

static double cost_value(const struct report_subject *s, int cost)
{
    if (cost >= COST_INSTRUCTIONS) {
        const json_t *v = json_object_get(s->counters, counted[cost - COST_INSTRUCTIONS].counter);
        return json_is_number(v) ? json_number_value(v) / counted[cost - COST_INSTRUCTIONS].unit : NAN;
    }
    switch (cost) {
    case COST_BITS:
        return s->bits_per_weight;
    case COST_MIB:
        return s->weight_bytes < 0 ? NAN : (double)s->weight_bytes / (1 << 20);
    case COST_SECONDS:
        return s->seconds;
    default:
        return s->tokens_per_second;
    }
}

const char *cost_name(int cost)
{
    static const char *const names[] = {"bits/weight", "weights MiB", "seconds", "tokens/s"};
    return cost < COST_INSTRUCTIONS ? names[cost] : counted[cost - COST_INSTRUCTIONS].name;
}

bool cost_is_known(const struct report *r, int cost)
{
    for (size_t j = 0; j < r->n_subjects; j++)
        if (!isnan(cost_value(&r->subjects[j], cost))) return true;
    return false;
}

static void format_scaled(char out[CELL_TEXT], double v, bool scaled)
{
    char number[CELL_TEXT];
    format_measure(number, v);
    snprintf(out, CELL_TEXT, "%s%.70s", scaled ? "~" : "", number);
}

void format_cost(char out[CELL_TEXT], const struct report_subject *s, int cost)
{
    const double v = cost_value(s, cost);
    const int decimals = cost < COST_SECONDS ? (v >= 1000 ? 1 : 2) : cost == COST_TOKENS && v >= 100 ? 0 : 1;
    if (isnan(v))
        snprintf(out, CELL_TEXT, "%s", DASH);
    else if (cost >= COST_INSTRUCTIONS)
        format_scaled(out, v, cost_share(s, cost) < 1);
    else if (cost >= COST_SECONDS && v < 10)
        snprintf(out, CELL_TEXT, "%.2f", v);
    else
        format_value(out, v, decimals);
}

double cost_share(const struct report_subject *s, int cost)
{
    double least = 1;
    const json_t *phases = json_object_get(s->profile, "phases"), *phase;
    size_t i;
    if (cost < COST_INSTRUCTIONS) return 1;
    json_array_foreach(phases, i, phase)
    {
        const char *name = json_string_value(json_object_get(phase, "phase"));
        if (strcmp(name, "prefill") != 0 && strcmp(name, "decode") != 0) continue;
        for (size_t k = 0; k < 2; k++) {
            const char *from = counted[cost - COST_INSTRUCTIONS].from[k];
            const json_t *one = json_object_get(json_object_get(phase, "values"), from);
            const double share = json_number_value(json_object_get(one, "share"));
            if (share > 0 && share < least) least = share;
        }
    }
    return least;
}

/* Rounded down: what is scaled saw less than all. */
void scaled_write(struct text *out, double least)
{
    const double percent = 100 * least, step = percent < 0.1 ? 1000 : percent < 10 || percent > 99 ? 10 : 1;
    text_printf(out, "~: scaled, since its counter saw a part of the time, at least %.4g%%",
                floor(step * percent + 1e-9) / step);
}

bool costs_scaled(const struct report *r, struct text *out)
{
    double least = 1;
    for (size_t j = 0; j < r->n_subjects; j++)
        for (int k = COST_INSTRUCTIONS; k < COSTS; k++)
            if (!isnan(cost_value(&r->subjects[j], k))) least = fmin(least, cost_share(&r->subjects[j], k));
    if (!(least < 1)) return false;
    scaled_write(out, least);
    return true;
}

size_t cost_notes(const struct report *r, struct cost_note out[COST_NOTES])
{
    size_t n = 0, profiles = 0;
    for (size_t j = 0; j < r->n_subjects; j++) profiles += r->subjects[j].profile != NULL;
    for (size_t j = 0; j < r->n_subjects && profiles; j++) {
        const json_t *profile = r->subjects[j].profile;
        const char *reason = profile ? json_string_value(json_object_get(profile, "note")) : "not profiled";
        size_t k = 0;
        while (reason && k < n && strcmp(out[k].reason, reason) != 0) k++;
        if (!reason || k == COST_NOTES) continue;
        if (k == n) out[n++] = (struct cost_note){reason, j, 0};
        out[k].n++;
    }
    return n;
}

void cost_note_write(struct text *out, const struct report *r, const struct cost_note *note)
{
    text_add(out, "hardware counters");
    if (note->n < r->n_subjects) {
        text_add(out, " of ");
        subject_label(out, r, note->subject);
        if (note->n > 1) text_printf(out, " and %zu other%s", note->n - 1, note->n > 2 ? "s" : "");
    }
    text_printf(out, ": %s", note->reason);
}

bool subjects_timed_alike(const struct report_subject *a, const struct report_subject *b)
{
    return strcmp(a->cpu, b->cpu) == 0 && strcmp(a->isa, b->isa) == 0 && a->threads == b->threads &&
           strcmp(a->version, b->version) == 0;
}

void format_cost_change(char out[CELL_TEXT], const struct report_subject *s, const struct report_subject *baseline,
                        int cost)
{
    const double percent = 100 * (cost_value(s, cost) / cost_value(baseline, cost) - 1);
    *out = 0;
    if (!s->source != !baseline->source) return; /* whether it is the same model nobody knows */
    if (cost >= COST_SECONDS && !subjects_timed_alike(s, baseline)) return;
    if (fabs(percent) < 1e5) snprintf(out, CELL_TEXT, fabs(percent) < 0.05 ? "0.0%%" : "%+.1f%%", percent);
}

/* Whether a name ends, its way to decode aside, with "+" and this math. */
static bool name_says(const char *name, const char *math)
{
    const size_t n = strlen(math);
    const char *plus = strchr(name, '+');
    while (plus && (strncmp(plus + 1, math, n) != 0 || (plus[n + 1] && plus[n + 1] != ' ')))
        plus = strchr(plus + 1, '+');
    return plus != NULL;
}

bool subject_is_fast(const struct report_subject *s)
{
    static const char fast[] = "fast";
    const size_t n = strlen(fast);
    return strncmp(s->math, fast, n) == 0 && (!s->math[n] || s->math[n] == ',');
}

void subject_label(struct text *out, const struct report *r, size_t subject)
{
    const struct report_subject *s = &r->subjects[subject];
    const size_t n = strlen(r->subjects->model);
    const bool same_model =
        !s->source && strcmp(s->model, r->subjects->model) == 0 && strncmp(s->name, s->model, n) == 0;
    const bool brief = same_model && s->name[n] && strchr("@+ ", s->name[n]);
    text_add(out, brief ? s->name + n + (s->name[n] == ' ') : s->name);
    if (*s->math && strcmp(s->math, "exact") != 0 && !name_says(s->name, s->math)) text_printf(out, " (%s)", s->math);
}

bool subject_flips(const struct report *r, size_t subject, int64_t *gained, int64_t *lost)
{
    bool some = false;
    const char *suite = NULL;
    int64_t both;
    *gained = *lost = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_cell *cell = &r->rows[i].cells[subject];
        if (cell->gained < 0 || cell->lost < 0 || (suite && strcmp(suite, r->rows[i].suite) == 0)) continue;
        suite = r->rows[i].suite;
        some = !__builtin_add_overflow(*gained, cell->gained, gained) &&
               !__builtin_add_overflow(*lost, cell->lost, lost) && !__builtin_add_overflow(*gained, *lost, &both);
        if (!some) return false;
    }
    return some;
}

double subject_distance(const struct report *r, size_t subject, const char *metric)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const double v = r->rows[i].cells[subject].figure.value;
        if (!r->rows[i].is_distance || strcmp(r->rows[i].metric, metric) != 0 || isnan(v)) continue;
        sum += v;
        n++;
    }
    return n ? sum / (double)n : NAN;
}
