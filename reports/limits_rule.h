/* One rule of a file of limits, read for one row of a comparison.
 *
 *     struct limit_bound bounds[LIMIT_BOUNDS];
 *     int n = limit_rule_read(bounds, row, LIMIT_VALUE, value, &place, e);      below 0: -e->code
 */
#ifndef KERF_REPORTS_LIMITS_RULE_H
#define KERF_REPORTS_LIMITS_RULE_H

#include "reports/limits.h"

enum { LIMIT_BOUNDS = 3 };

/* `counted`: LIMIT_FLIPS or LIMIT_LOST where the rule names that, else LIMIT_VALUE. What a plain number means follows
 * from the row. Returns how many bounds there are, 1 or more; -ERROR_INPUT, with the key of a mapping added to *place. */
int limit_rule_read(struct limit_bound bounds[LIMIT_BOUNDS], const struct report_row *row, enum limit_kind counted,
                    const json_t *value, struct text *place, struct error *e);

/* Whether a name fits a pattern, in which * stands for any letters or none. */
bool limit_pattern_fits(const char *pattern, const char *name);

#endif
