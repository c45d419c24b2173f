/* Limits: what a comparison may lose before a build fails.
 *
 *     struct limits l;
 *     struct text place = {0};
 *     if (limits_check(&l, rules, comparison, &place, e)) ... place: "limits.stories/perplexity", "" for none ...
 *     if (limits_failed(&l, strict)) ...
 *     limits_close(&l);
 *
 * The rules, JSON made of YAML:
 *
 *     subjects: ["@gguf:q4_0"]            # MAY: candidates, by name or without the baseline's model; else all of them
 *     limits:                             # MUST: at least one
 *       stories/perplexity: +1%           # relative to the baseline's value; the sign is that of a loss
 *       endings/acc: -0.02                # the difference, in the metric's unit
 *       stories/kl_mean: 0.02             # a distance from the baseline: kl_divergence (kl_mean is the same), same_top
 *       same_top: 0.97                    # of every suite that has it
 *       stories/b*_per_byte: +0.5%        # * stands for any letters or none, in suites' and in metrics' names
 *       flips: 5                          # items that turned right or wrong, of every suite that has some
 *       endings/lost: 2%                  # those that turned wrong, as a share of the suite's items
 *       endings/acc_norm: {difference: -2%, at_least: 0.4}     # at_least and at_most bound the value itself
 *
 * Values, distances and differences have a 95 % interval, paired where it is a difference (metrics/resampling.h); a
 * relative difference is the difference and its interval over the baseline's value, whose own uncertainty enters only
 * multiplied by the change and is left out. A limit of x is
 *   within     where the whole interval is, x included;
 *   beyond     where none of the interval is, or where a candidate has no value and the baseline has one;
 *   undecided  where x lies in the interval, or the items are fewer than LIMITS_ITEMS. About n (width / gap)^2 items would
 *              decide, n: those there are, width: from the value to the interval's end towards x, gap: from the value to x.
 * One side of a 95 % interval is exceeded by chance once in 40 times where items are many; percentile intervals of few
 * are too narrow (of 10 once in 20 times, and oftener where items differ much to one side). Each limit is judged by
 * itself: nothing is adjusted for their number or that of the candidates.
 *
 * Items that flipped are counted by a suite's first metric whose items are right or wrong. A count that is no larger
 * than its limit is within: it is a fact about these items. A larger one is beyond where the lower end of the 95 % score
 * interval of its share (Wilson 1927) is above the limit, too.
 *
 * All limits that fit a row hold. In a run alone only at_least and at_most can be asked. What is named and is not there
 * (a suite, a metric, a subject that was not measured or not compared, a divergence) is ERROR_INPUT, never a pass; so is
 * a limit on the side that no loss is on. */
#ifndef KERF_REPORTS_LIMITS_H
#define KERF_REPORTS_LIMITS_H

#include "reports/cells.h"
#include "reports/report.h"

enum limit_kind { LIMIT_VALUE, LIMIT_DIFFERENCE, LIMIT_RELATIVE, LIMIT_FLIPS, LIMIT_LOST };
enum limit_verdict { LIMIT_WITHIN, LIMIT_UNDECIDED, LIMIT_BEYOND };

/* What a rule asks of a number. */
struct limit_bound {
    enum limit_kind kind;
    bool at_least; /* else at most */
    bool share;    /* of the items: `limit` is to be multiplied by their number */
    double limit;  /* in the metric's unit; of LIMIT_RELATIVE a share, 0.01 for 1 %; of flips and losses a count */
};

struct limit_result {
    const char *rule;    /* its name in the file */
    size_t row, subject; /* of the report */
    struct limit_bound bound;
    double value, low, high; /* in the bound's unit; NAN where not defined */
    const char *reason;      /* why value is NAN */
    enum limit_verdict verdict;
    double more; /* LIMIT_UNDECIDED: items needed besides those there are; INFINITY: too many, NAN: not known */
};

struct limits {
    struct report report;
    struct limit_result *results; /* by rule, row and subject */
    size_t n, capacity;
    size_t counts[LIMIT_BEYOND + 1]; /* by verdict */
};

enum {
    LIMITS_MOST = 1 << 16, /* results */
    LIMITS_ITEMS = 6       /* that an interval needs: the least n for which 2^-n is below the 2.5 % of one side */
};

/* Strings belong to both JSON values, which must outlive *l. After failure nothing is held; *place, the caller's, says
 * where in the rules the error is, "" where it is in the comparison. */
int limits_check(struct limits *l, const json_t *rules, const json_t *comparison, struct text *place, struct error *e);
void limits_close(struct limits *l);

/* Whether a verdict fails a build: beyond, and undecided where that is asked for. */
bool limit_fails(enum limit_verdict v, bool strict);
size_t limits_failed(const struct limits *l, bool strict);
const struct limit_result *limits_first_failure(const struct limits *l, bool strict); /* NULL where there is none */
/* "stories/perplexity", "endings/flips" */
void limit_name(struct text *out, const struct limits *l, const struct limit_result *r);
/* The subject, without the model where it is the baseline's. */
void limit_subject(struct text *out, const struct limits *l, const struct limit_result *r);
/* "+1.64%", "[+1.48%, +1.81%]" and "≤ +1%". */
void limit_figures(const struct limits *l, const struct limit_result *r, char value[CELL_TEXT],
                   char interval[CELL_TEXT], char limit[CELL_TEXT]);

/* For a terminal: a line a result. */
int limits_table(const struct limits *l, bool strict, const struct table_style *style, struct text *out,
                 struct error *e);
/* For a pull request: failures first, at most 65,536 characters. */
int limits_markdown(const struct limits *l, bool strict, struct text *out, struct error *e);
/* A testsuite a subject, a testcase a result. */
int limits_junit(const struct limits *l, bool strict, struct text *out, struct error *e);
/* { "schema": "kerf-check-1", "baseline": name or null, "passed", "strict", "within", "undecided", "beyond",
 *   "limits": [ { "rule", "suite", "metric", "of": "value"|"difference"|"relative"|"flips"|"lost", "subject", "items",
 *                 "value", "ci95", "reason": or absent, "at_least" or "at_most", "verdict", "more_items" } ] }
 * NULL where memory ran out. */
json_t *limits_record(const struct limits *l, bool strict);

#endif
