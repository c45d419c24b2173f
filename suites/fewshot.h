/* Solved examples before a prompt, joined as lm-evaluation-harness joins them: for each its prompt, target_delimiter,
 * target and fewshot_delimiter (the last two where the target is not empty). The target is the right choice's text or the
 * first reference.
 *
 *     struct examples x;
 *     if (examples_open(&x, suite, "train.jsonl", docs, n, e)) ...
 *     for (size_t i = 0; i < n_items; i++) examples_add(&x, &items[i], &prompt, e);
 *     examples_close(&x);
 *
 * A document that equals the item's is never an example. The draw of an item is a function of the suite's seed and the
 * item's index alone: neither a limit nor other items change it. */
#ifndef KERF_SUITES_FEWSHOT_H
#define KERF_SUITES_FEWSHOT_H

#include "suites/suite.h"

struct example;

struct examples {
    const struct suite *suite;
    const char *path;    /* names the documents in errors; borrowed */
    json_t *const *docs; /* [n], borrowed */
    size_t n;
    struct example *made; /* [n], as they are drawn */
    uint32_t *order;      /* [n], of a draw; in order between draws */
    uint32_t *from;       /* [n], of a draw: what was swapped */
};

int examples_open(struct examples *x, const struct suite *s, const char *path, json_t *const *docs, size_t n,
                  struct error *e);
void examples_close(struct examples *x); /* also a zeroed one, and after examples_open() failed */
/* Appends the item's examples. */
int examples_add(struct examples *x, const struct item *it, struct text *out, struct error *e);

#endif
