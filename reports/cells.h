/* What the reports share: a comparison or a run read from JSON once, with every field checked, and numbers with
 * sensible digits.
 *
 *     struct report r;
 *     if (report_read_comparison(&r, json, e)) return e->code;
 *     ... r.rows[i].cells[j].figure.value ...
 *     report_close(&r);
 *
 * Strings belong to the JSON, which must outlive the report. A number that is null in the JSON is NAN, a count -1. */
#ifndef KERF_REPORTS_CELLS_H
#define KERF_REPORTS_CELLS_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct figure {
    double value, standard_error, low, high; /* low, high: the 95 % interval */
    const char *reason;                      /* why value is NAN; NULL where the JSON does not say */
};

struct report_cell {
    struct figure figure;
    bool has_difference; /* to the baseline */
    struct figure difference;
    double p, p_holm; /* p_holm: adjusted for the candidates of the row; NAN where there is one */
    bool significant;
    int64_t gained, lost;                 /* flips, -1 where the metric has none */
    const char *refused;                  /* why it is not compared with the baseline; NULL where it is */
    bool absent;                          /* the subject was not measured here */
    bool doubtful;                        /* a canary of its suite and subject sings */
    const struct report_canary *canaries; /* those of its suite and subject, in the suite's first row; else NULL */
    const char *fingerprint; /* of the protocol; NULL where it has none: absent, a distance, or another tool's */
};

struct report_row {
    const char *suite, *metric, *unit, *fingerprint;
    bool higher_is_better;
    bool is_distance; /* its values say how far a candidate is from the baseline, which has none */
    int64_t items;
    int decimals;              /* that its numbers are shown with: row_decimals() */
    struct report_cell *cells; /* [subjects] */
};

struct report_subject {
    const char *name, *model, *backend, *math, *sha256;
    const char *id;     /* of weights, backend and math together; "" where it is not known */
    const char *source; /* the tool that measured it, with its version; NULL: kerf */
    const char *folder; /* of its run, from the comparison's folder on; NULL where there is none */
    const char *version, *commit, *cpu, *isa, *started; /* of the program and the machine; "" where not known */
    double bits_per_weight, seconds, tokens_per_second;
    int64_t parameters, weight_bytes, peak_bytes, threads;
    const json_t *counters; /* {name: number or null}, or NULL */
    const json_t *profile;  /* checked, for report_profile_read(); NULL where there is none */
    const char *refused;    /* why it is not compared, where that is the same in all rows that could be; else NULL */
};

/* A sign that the numbers of a suite mean little. */
struct report_canary {
    size_t subject;
    const char *suite, *name, *reason;
    const struct report_canary *next; /* of that suite and subject */
};

struct report {
    const char *version, *commit, *cpu, *isa;
    int64_t threads, resamples, seed;
    struct report_subject *subjects; /* the baseline first */
    size_t n_subjects;
    struct report_row *rows; /* rows of one suite are neighbours */
    size_t n_rows;
    struct report_cell *cells; /* [n_rows, n_subjects] */
    struct report_canary *canaries;
    size_t n_canaries;
};

/* ERROR_INPUT names the first field that is missing or of another type. After failure nothing is held. */
int report_read_comparison(struct report *r, const json_t *comparison, struct error *e);
/* A run becomes a report of one subject without differences. */
int report_read_run(struct report *r, const json_t *run, struct error *e);
void report_close(struct report *r);

enum verdict { VERDICT_WORSE = -1, VERDICT_NONE = 0, VERDICT_BETTER = 1 };

/* Whether a cell differs significantly from the baseline, and in which direction. */
enum verdict cell_verdict(const struct report_row *row, const struct report_cell *cell);
const char *verdict_mark(enum verdict v); /* one column wide; " " for none */
/* Why a number of a cell is missing, and of what ("stories perplexity"), or why a suite is not compared (of "stories",
 * told in its first row). NULL where nothing is missing, or it is told elsewhere: a dash stands for what was not
 * measured, and a subject's `refused` for all of its rows. */
const char *cell_reason(const struct report *r, size_t row, size_t subject, struct text *of);
bool row_has_flips(const struct report_row *row, size_t n_subjects);
size_t candidates_compared(const struct report *r);       /* those that have a difference in any row */
bool row_opens_suite(const struct report *r, size_t row); /* the first row of its suite */

enum { CELL_TEXT = 80 };
#define DASH "–" /* stands for what was not measured; one column wide, three bytes */

/* Decimals that suit the row's values and still show its differences. */
int row_decimals(const struct report_row *row, size_t n_subjects);
/* "n/a" for NAN; a number too small for its decimals keeps a digit ("+2.1e-6"), as does a huge one. */
void format_value(char out[CELL_TEXT], double v, int decimals);
void format_cell(char out[CELL_TEXT], const struct report_cell *cell, int decimals); /* DASH where it is absent */
void format_difference(char out[CELL_TEXT], double v, int decimals);                 /* with its sign */
void format_interval(char out[CELL_TEXT], const struct figure *f, int decimals, bool sign); /* "[low, high]" or "" */
void format_flips(char out[CELL_TEXT], const struct report_cell *cell);                     /* "+gained -lost" or "" */

void format_measure(char out[CELL_TEXT], double v); /* three digits or more; DASH where it is not known */

/* What a subject costs; from COST_INSTRUCTIONS on by its profile. */
enum {
    COST_BITS,
    COST_MIB,
    COST_SECONDS,
    COST_TOKENS,
    COST_INSTRUCTIONS,
    COST_L3_MISSES,
    COST_JOULES,
    COST_IPC,
    COST_GFLOPS,
    COST_GBS,
    COSTS
};
const char *cost_name(int cost);                      /* "bits/weight", "weights MiB", "seconds", "tokens/s", ... */
bool cost_is_known(const struct report *r, int cost); /* of any subject */
void format_cost(char out[CELL_TEXT], const struct report_subject *s, int cost); /* DASH where it is not known */
void format_cost_change(char out[CELL_TEXT], const struct report_subject *s, const struct report_subject *baseline,
                        int cost); /* "-73.4%" or "" */

/* The share of the passes' time that was counted for it, where the rest is scaled, which format_cost() marks "~"; else 1. */
double cost_share(const struct report_subject *s, int cost);
/* "~: scaled, since its counter saw a part of the time, at least 33%", of the least share that was seen. */
void scaled_write(struct text *out, double least);
/* "~: scaled, ..." where any cost of any subject is; else false and nothing. */
bool costs_scaled(const struct report *r, struct text *out);
/* Why profiles lack counters, each reason once, and of how many subjects. */
enum { COST_NOTES = 4 };
struct cost_note {
    const char *reason;
    size_t subject, n; /* the first of them, and how many */
};
/* How many notes there are, the first COST_NOTES reasons; 0 where no subject has a profile. */
size_t cost_notes(const struct report *r, struct cost_note out[COST_NOTES]);
/* "hardware counters of @gguf:q4_k and 2 others: REASON", with names and reason unescaped. */
void cost_note_write(struct text *out, const struct report *r, const struct cost_note *note);

/* Whether their times can be compared: the same program on the same machine with as many threads. */
bool subjects_timed_alike(const struct report_subject *a, const struct report_subject *b);

/* Flips of all suites, each counted once, by its first metric that has some; false where none has, and where they, or
 * both together, are more than a number holds. */
bool subject_flips(const struct report *r, size_t subject, int64_t *gained, int64_t *lost);
/* The mean over its suites of a distance, "kl_divergence" or "same_top"; NAN where there is none. */
double subject_distance(const struct report *r, size_t subject, const char *metric);

/* A subject's name, without the model where it is the baseline's ("@gguf:q8_0", "@f32 beam:4", "beam:4"), and its math
 * unless that is exact. */
void subject_label(struct text *out, const struct report *r, size_t subject);
/* Whether its math is fast, whatever else is said of it ("fast, longrope's second divisors"). */
bool subject_is_fast(const struct report_subject *s);

#endif
