/* Which class was taken for which: for records and for eyes.
 *
 *     size_t classes;
 *     double *matrix;
 *     if (confusion_count(outcomes, n, &classes, &matrix, e)) ...
 *     matrix[gold * classes + predicted]     items
 *     free(matrix); */
#ifndef KERF_METRICS_CONFUSION_H
#define KERF_METRICS_CONFUSION_H

#include "metrics/metric.h"

enum { CLASSES = METRIC_WIDTH / 3 }; /* that the classification metrics take */

/* The choices are the classes, the most likely one is the prediction; there are as many classes as the item with the
 * most choices has. ERROR_INPUT names the item, from 0, that is no choice among at most CLASSES. *matrix is to be
 * freed, NULL after an error. */
int confusion_count(const struct outcome *o, size_t n, size_t *classes, double **matrix /* [classes, classes] */,
                    struct error *e);

#endif
