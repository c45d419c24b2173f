#include "suites/fewshot.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "suites/render.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_EQUAL = 10000 }; /* documents equal to an item that are drawn in vain: else 100000 copies take hours */

struct example {
    char *text; /* NULL until it is drawn */
    char hash[HASH_HEX];
};

int examples_open(struct examples *x, const struct suite *s, const char *path, json_t *const *docs, size_t n,
                  struct error *e)
{
    *x = (struct examples){.suite = s, .path = path, .docs = docs, .n = n};
    if (n > UINT32_MAX) return error_set(e, ERROR_INPUT, "%s: too many documents to draw examples from", path);
    x->made = memory_new(n, sizeof *x->made, "examples", e);
    x->order = memory_new(n, sizeof *x->order, "examples", e);
    x->from = memory_new(n, sizeof *x->from, "examples", e);
    if (!x->made || !x->order || !x->from) return ERROR_IO;
    for (size_t i = 0; i < n; i++) x->order[i] = (uint32_t)i;
    return 0;
}

void examples_close(struct examples *x)
{
    for (size_t i = 0; x->made && i < x->n; i++) free(x->made[i].text);
    free(x->made);
    free(x->order);
    free(x->from);
    *x = (struct examples){0};
}

static int write_example(const struct suite *s, const struct item *it, struct example *out, struct error *e)
{
    struct text t = {0};
    const char *target = it->targets[s->kind == OUTCOME_CHOICE && !it->n_contexts ? it->gold : 0];
    text_add(&t, it->n_contexts ? it->contexts[it->gold] : it->prompt);
    if (*target) {
        text_add(&t, s->delimiter);
        text_add(&t, target);
        text_add(&t, s->fewshot.delimiter);
    }
    memcpy(out->hash, it->hash, sizeof out->hash);
    out->text = t.failed ? NULL : memory_string(text_c(&t), e);
    text_free(&t);
    return out->text ? 0 : error_set(e, ERROR_IO, "out of memory for an example");
}

static int make_example(const struct examples *x, size_t i, struct error *e)
{
    if (x->made[i].text) return 0;
    struct item it = {.index = i, .doc = json_incref(x->docs[i])};
    int status = item_render(&it, x->suite, e);
    if (!status) status = write_example(x->suite, &it, &x->made[i], e);
    item_free(&it);
    return status ? error_prefix(e, "%s: document %zu, an example", x->path, i) : 0;
}

static void swap(uint32_t *a, uint32_t *b)
{
    const uint32_t t = *a;
    *a = *b;
    *b = t;
}

/* The k-th of a shuffle of the documents (Fisher and Yates, from the front), which the item's own generator drives. */
static size_t draw(struct examples *x, struct random *r, size_t k)
{
    x->from[k] = (uint32_t)k + (x->suite->fewshot.first ? 0 : random_below(r, (uint32_t)(x->n - k)));
    swap(&x->order[k], &x->order[x->from[k]]);
    return x->order[k];
}

static int too_few(const struct examples *x, const struct item *it, size_t taken, bool equal, struct error *e)
{
    const size_t wanted = (size_t)x->suite->fewshot.n;
    if (equal)
        return error_set(e, ERROR_INPUT,
                         "%s: num_fewshot: document %zu is due %zu examples, and more than %d documents equal it",
                         x->path, it->index, wanted, (int)MOST_EQUAL);
    return error_set(e, ERROR_INPUT, "%s: num_fewshot: document %zu is due %zu examples, and there are %zu", x->path,
                     it->index, wanted, taken);
}

int examples_add(struct examples *x, const struct item *it, struct text *out, struct error *e)
{
    const size_t wanted = (size_t)x->suite->fewshot.n;
    struct random seed = {x->suite->fewshot.seed}, r = {random_next(&seed) ^ it->index};
    r.state = random_next(&r); /* neighbours would be shifted copies of each other */
    size_t k = 0, taken = 0;
    int status = 0;
    while (k < x->n && taken < wanted && k - taken <= MOST_EQUAL && !status) {
        const size_t i = draw(x, &r, k++);
        status = make_example(x, i, e);
        if (status || strcmp(x->made[i].hash, it->hash) == 0) continue;
        text_add(out, x->made[i].text);
        taken++;
    }
    const bool equal = k < x->n;
    for (; k > 0; k--) swap(&x->order[k - 1], &x->order[x->from[k - 1]]);
    return status || taken == wanted ? status : too_few(x, it, taken, equal, e);
}
