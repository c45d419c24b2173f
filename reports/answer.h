/* The answer of a comparison: the smallest candidate that shows no loss, and what the next smaller one would cost. To
 * show none takes more than no mark: a mark allows for all candidates of its row (Holm's method), so that naming further
 * candidates takes marks away, and whoever asks whether nothing was lost must not be reassured by that. A loss before
 * that adjustment is a doubt, and a candidate in doubt is no answer.
 * Candidates that are no smaller than the baseline save nothing and are no answer.
 *
 *     const struct answer a = answer_find(&report);
 *     answer_write(&out, &report, &a, escape_markdown); */
#ifndef KERF_REPORTS_ANSWER_H
#define KERF_REPORTS_ANSWER_H

#include "reports/cells.h"

/* Subjects by index; 0, the baseline, stands for none. */
struct answer {
    size_t best; /* the smallest candidate without a loss */
    size_t
        next; /* the largest candidate smaller than best; without a best one, that with the fewest losses and doubts */
};

/* A loss is a row whose difference is significant and for the worse. A row where the baseline has a value and the
 * candidate has no difference counts as one: nothing shows that it lost nothing. Distances from the baseline are none. */
bool cell_is_loss(const struct report_row *row, size_t subject);
/* Worse with p < 0.05 before it is adjusted for the other candidates, and no loss by the adjusted one. */
bool cell_is_doubt(const struct report_row *row, size_t subject);
/* Suites in which a subject has a loss; those in which it has a doubt and no loss. */
size_t answer_losses(const struct report *r, size_t subject);
size_t answer_doubts(const struct report *r, size_t subject);
/* Whether a candidate is compared in every row that the baseline has; of another nothing is known as a whole. */
bool answer_is_comparable(const struct report *r, size_t subject);
struct answer answer_find(const struct report *r);

/* One clause without a full stop: which is the best. Names go through escape. */
void answer_headline(struct text *out, const struct report *r, const struct answer *a,
                     void (*escape)(struct text *, const char *));
/* A sentence each, "" where there is nothing to say: what the best one saves, and what the next one loses. */
void answer_gain(struct text *out, const struct report *r, const struct answer *a);
void answer_next(struct text *out, const struct report *r, const struct answer *a,
                 void (*escape)(struct text *, const char *));
/* All of it. */
void answer_write(struct text *out, const struct report *r, const struct answer *a,
                  void (*escape)(struct text *, const char *));

#endif
