/* Order and ties: one scale over all suites, and which rows cannot be told from the best.
 *
 *     struct standing *s = ...[r->n_subjects];
 *     if (report_standings(r, s, e)) return e->code;
 *     s[j].score    99.7 (percent of the baseline's quality, over all suites), s[j].rank, s[j].tie
 *
 * Each suite counts once, by its first metric. Its share is value / reference where higher is better, reference / value
 * where lower is (a "recovery": 100 % is the reference row's quality). The score is the mean of the shares, in percent.
 * The reference is the baseline; a file that is kept over time says which row (reports/board/board.h). A suite where the
 * reference's value is not above 0 has no shares and counts for nobody; a row that lacks a value, or whose value is not
 * above 0 where lower is better, has no score and no rank.
 *
 * The difference of two scores follows without approximation from those of the values: (a - b) / reference, or
 * reference * (b - a) / (a * b) where lower is better. Its standard error is theirs times the same factor (the delta
 * method; the reference is the unit, whose own error moves all rows alike), suites being independent. The standard
 * error of a suite's difference between rows a and b is the smallest of what is known: sqrt(se_a^2 + se_b^2) of the
 * values (items are shared, so their true covariance is not negative), and, where both were paired with one baseline,
 * se(a - base) + se(b - base), which no covariance exceeds (the triangle inequality for standard deviations); if one of
 * them is the baseline that is the paired error itself.
 *
 * Ties: group 1 is what is not significantly different from the best row (two-sided p >= 0.05, normal), wherever it
 * stands: a row of large errors may come behind one that does differ. The others in the order of their score: a row is
 * in the group of the leader before it while it does not differ from that, else it leads the next. Rows of one id are one
 * subject measured twice, and tied. A row that lacks the standard error of a value that counts has a rank and no group:
 * nothing says what it is tied with. */
#ifndef KERF_REPORTS_BOARD_RANK_H
#define KERF_REPORTS_BOARD_RANK_H

#include "reports/cells.h"

/* One suite's metric as one row has it; NAN where it is not known. */
struct rank_entry {
    double value, standard_error;
    double difference_error; /* of the paired difference to the row's baseline */
};

struct rank_input {
    size_t n_rows, n_suites;
    struct rank_entry *entries; /* [n_rows, n_suites] */
    bool *higher;               /* [n_suites]: higher is better */
    bool *counts;               /* [n_rows]: is ranked */
    size_t reference;           /* below n_rows: the row whose score is 100 */
    bool plain;                 /* of one suite: the score is the value itself, and needs no reference */
    const char **ids;           /* [n_rows]: of the row itself, "" where unknown */
    const char **baselines;     /* [n_rows]: id of what its differences are to, "" for none; the baseline's own */
};

struct standing {
    size_t rank, tie; /* from 1; 0: none. Equal scores share a rank */
    double score;     /* percent; NAN where it is not known */
    double low, high; /* its 95 % interval, of the difference to the reference where that is paired */
};

/* Room for it all, zeroed but for ids and baselines, which are "". */
int rank_input_open(struct rank_input *in, size_t n_rows, size_t n_suites, struct error *e);
void rank_input_close(struct rank_input *in);
int rank_rows(const struct rank_input *in, struct standing *out /* [n_rows] */, struct error *e);
/* Of a comparison. Subjects that are not comparable with the baseline in every suite that it has are not ranked. */
int report_standings(const struct report *r, struct standing *out /* [n_subjects] */, struct error *e);

#endif
