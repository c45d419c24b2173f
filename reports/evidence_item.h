/* The texts of an item that flipped, from its lines in the samples files of two runs (docs/records.md).
 *
 *     struct describing d = {.output_type = "multiple_choice", .delimiter = " ", .texts = json_array()};
 *     if (evidence_describe(&flip, &d, "acc", base_line, candidate_line, e)) return e->code;
 *     if (d.failed) ...out of memory... */
#ifndef KERF_REPORTS_EVIDENCE_ITEM_H
#define KERF_REPORTS_EVIDENCE_ITEM_H

#include "reports/evidence.h"

struct describing {
    const char *output_type, *delimiter; /* of the suite; what stands between a prompt and a choice */
    json_t *texts;                       /* an array: gets the strings that flips point to */
    bool failed;                         /* memory ran out */
};

/* Fills a flip whose `gained` is set. */
int evidence_describe(struct evidence_flip *f, struct describing *d, const char *metric, const json_t *base,
                      const json_t *candidate, struct error *e);

#endif
