/* The evidence behind a comparison, from the folders of its runs: the items that flipped, with their texts, and each
 * candidate's divergence from the baseline.
 *
 *     struct evidence v;
 *     if (evidence_read(&v, &report, "night", e)) return e->code;      folder: that of compare.json
 *     ... v.flips[i].list[k].prompt ...
 *     evidence_free(&v);
 *
 * A run that is not there any more, was replaced by another one or was made by another tool has no evidence: `missing`
 * says why. A samples file that does not fit its run is an error that names file and line. */
#ifndef KERF_REPORTS_EVIDENCE_H
#define KERF_REPORTS_EVIDENCE_H

#include "engine/base/table.h"
#include "reports/cells.h"

enum { FLIPS_SHOWN = 20 }; /* of each kind, of one metric of one candidate: the first items in the data's order */

/* One answer that could be given, of a multiple choice. */
struct evidence_choice {
    const char *text;
    double before, after; /* log-likelihoods, by the baseline and the candidate */
    bool right;
};

struct evidence_flip {
    int64_t item;                /* doc_id */
    bool gained;                 /* it turned right; else wrong */
    const char *prompt, *target; /* the first request's prompt; what would be right; "" where there is none */
    const char *before, *after;  /* the answers: texts generated or chosen, "" where not known; of a given continuation
                                    whether it was the likeliest */
    struct evidence_choice *choices;
    size_t n_choices; /* 0: not a multiple choice */
};

/* Of one row and one candidate. Where two metrics of a suite have the same flips, the second has none of its own. */
struct evidence_flips {
    size_t row, subject;
    size_t same_as;             /* the row whose flips these are too, or its own */
    struct evidence_flip *list; /* [n], those that turned wrong first */
    size_t n, n_gained, n_lost; /* shown; all of them */
};

struct evidence {
    json_t **runs;        /* [n_subjects]: run.json, NULL where there is none */
    struct table *suites; /* [n_subjects]: where the suites of a run stand in it, by name */
    char **missing;       /* [n_subjects]: why flips are not known, NULL where they are */
    size_t n_subjects;
    struct evidence_flips *flips; /* by candidate, then by row */
    size_t n_flips;
    json_t *texts; /* what the strings above belong to */
};

int evidence_read(struct evidence *v, const struct report *r, const char *folder, struct error *e);
void evidence_free(struct evidence *v);
/* The divergence object of a suite in a subject's run.json, or NULL. One from another baseline than the comparison's is
 * none. */
const json_t *evidence_divergence(const struct evidence *v, size_t subject, const char *suite);

#endif
