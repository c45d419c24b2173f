/* Named entities in tags, as conlleval counts them (CoNLL-2000 and 2003; Tjong Kim Sang and Buchholz 2000): a text such
 * as "O B-PER I-PER O" holds one entity, of the type PER, at the words 1 to 2.
 *
 *     struct entity_count *counts;
 *     size_t types;
 *     if (entities_count(outcomes, n, &counts, &types, e)) ...
 *     entities_free(counts, types); */
#ifndef KERF_METRICS_ENTITIES_H
#define KERF_METRICS_ENTITIES_H

#include "metrics/metric.h"

struct entity_count {
    char *type;               /* "PER"; "" of tags without one */
    double gold, found, hits; /* in the references, in the texts, in both: same words, same type */
};

/* Of outcomes whose text and one reference are tags separated by white space: the entities of each type, sorted by its
 * name. ERROR_INPUT names the item, from 0, whose tags are none or are not as many as its reference's. */
int entities_count(const struct outcome *o, size_t n, struct entity_count **counts, size_t *types, struct error *e);
void entities_free(struct entity_count *counts, size_t types);

#endif
