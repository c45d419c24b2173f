/* Shared beginnings: random trees of sequences against each sequence by itself, bit for bit, and what is counted. */
#include "engine/base/random.h"
#include "engine/models/prefixes.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 24, LONGEST = 160, VOCAB = 1280 };

struct work {
    int32_t ids[MOST][LONGEST];
    struct sequence sequences[MOST];
    size_t n;
};

/* Each sequence goes on from a random place of an earlier one, or begins anew. */
static struct work *random_tree(uint64_t seed, size_t n)
{
    struct work *w = calloc(1, sizeof *w);
    assert_non_null(w);
    struct random r = {seed};
    w->n = n;
    for (size_t i = 0; i < n; i++) {
        int64_t length = random_below(&r, LONGEST + 1), kept = 0;
        if (i && random_below(&r, 8)) {
            size_t from = random_below(&r, (uint32_t)i);
            kept = random_below(&r, (uint32_t)w->sequences[from].n + 1);
            if (random_below(&r, 4) == 0) kept = w->sequences[from].n; /* the whole of it, or the same again */
            if (length < kept) length = kept;
            memcpy(w->ids[i], w->ids[from], (size_t)kept * sizeof(int32_t));
        }
        for (int64_t t = kept; t < length; t++)
            w->ids[i][t] = (int32_t)random_below(&r, random_below(&r, 2) ? 2 : VOCAB);
        w->sequences[i] = (struct sequence){w->ids[i], length};
    }
    return w;
}

static int64_t common(const struct sequence *a, const struct sequence *b)
{
    int64_t i = 0;
    while (i < a->n && i < b->n && a->ids[i] == b->ids[i]) i++;
    return i;
}

/* What is shared is shared by another and as long as may be, and is what the saving is made of (a beginning that is too
 * short for a cache of its own is computed more than once). */
static void check_plan(const struct work *w, const struct prefixes *p, int64_t least)
{
    bool seen[MOST] = {0};
    const size_t *order = prefixes_order(p);
    int64_t distinct = 0, total = 0;
    for (size_t k = 0; k < w->n; k++) {
        assert_true(order[k] < w->n && !seen[order[k]]);
        seen[order[k]] = true;
    }
    for (size_t i = 0; i < w->n; i++) {
        int64_t most = 0, length = prefixes_length(p, i);
        for (size_t j = 0; j < w->n; j++) {
            int64_t here = j == i ? 0 : common(&w->sequences[i], &w->sequences[j]);
            if (here > most) most = here;
        }
        assert_true(length <= most && (length == 0 || length >= least));
        if (most >= least) assert_true(length > most - least);
        /* computed tokens: shared ones once, where their sequence is the first in the order to have them */
        size_t place = 0;
        while (order[place] != i) place++;
        int64_t before = 0;
        for (size_t k = 0; k < place; k++) {
            int64_t here = common(&w->sequences[i], &w->sequences[order[k]]);
            if (here > prefixes_length(p, order[k])) here = prefixes_length(p, order[k]);
            if (here > length) here = length;
            if (here > before) before = here;
        }
        distinct += w->sequences[i].n - before;
        total += w->sequences[i].n;
    }
    if (least == 1) assert_int_equal(prefixes_saved(p), total - distinct);
    assert_true(prefixes_saved(p) <= total - distinct);
}

/* The state behind one more token after the sequence, computed from what is shared. */
static void last_state(const struct model *m, const struct sequence *s, struct cache *prefix, int64_t length,
                       float *hidden, int64_t *fed)
{
    struct error e;
    int32_t ids[LONGEST + 1];
    memcpy(ids, s->ids, (size_t)s->n * sizeof *ids);
    ids[s->n] = 7;
    struct cache *c = cache_new(m, prefix, length, s->n + 1 - length, &e);
    assert_non_null(c);
    struct span span = {c, ids + length, s->n + 1 - length, s->n - length};
    assert_ok(model_forward(m, &span, 1, hidden, NULL, &e), &e);
    *fed += span.count;
    cache_free(c);
}

/* All sequences in the planned order, `together` at a time. */
static void check_tree(const struct model *m, const struct work *w, int64_t least, size_t together)
{
    struct error e;
    struct prefixes *p;
    int64_t width = model_hyper(m)->width, computed = 0, fed = 0, ignored = 0, tokens = 0;
    float *shared = calloc((size_t)width, sizeof *shared), *alone = calloc((size_t)width, sizeof *alone);
    assert_true(shared && alone);
    assert_ok(prefixes_new(&p, m, w->sequences, w->n, least, &e), &e);
    check_plan(w, p, least);
    const size_t *order = prefixes_order(p);
    for (size_t at = 0; at < w->n; at += together) {
        size_t end = at + together < w->n ? at + together : w->n;
        for (size_t k = at; k < end; k++) {
            int64_t before = prefixes_held(p), cost = prefixes_cost(p, order[k]);
            prefixes_want(p, order[k]);
            assert_int_equal(prefixes_held(p), before + cost);
            assert_int_equal(prefixes_cost(p, order[k]), 0);
        }
        assert_ok(prefixes_compute(p, &computed, &e), &e);
        for (size_t k = at; k < end; k++) {
            const struct sequence *s = &w->sequences[order[k]];
            int64_t length;
            struct cache *prefix = prefixes_cache(p, order[k], &length);
            assert_int_equal(length, prefixes_length(p, order[k]));
            assert_true(prefix ? cache_length(prefix) == length : length == 0);
            last_state(m, s, prefix, length, shared, &fed);
            last_state(m, s, NULL, 0, alone, &ignored);
            assert_memory_equal(shared, alone, (size_t)width * sizeof *shared);
            tokens += s->n + 1;
        }
        for (size_t k = at; k < end; k++) prefixes_release(p, order[k]);
        /* one after the other, what stays is on the way to the next: never more than one sequence */
        if (together == 1) assert_true(prefixes_held(p) <= LONGEST);
    }
    assert_int_equal(prefixes_held(p), 0);
    assert_int_equal(computed + fed, tokens - prefixes_saved(p));
    prefixes_free(p);
    free(shared);
    free(alone);
}

static void test_random_trees(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    static const int64_t least[] = {1, 16, 40};
    static const size_t together[] = {1, 5, MOST};
    size_t trees = test_items(9) < 9 ? 3 : 9;
    for (size_t i = 0; i < trees; i++) {
        struct work *w = random_tree(i + 1, i == 0 ? 1 : test_items(MOST));
        check_tree(m, w, least[i % 3], together[i / 3 % 3]);
        free(w);
    }
    model_close(m);
}

/* A preamble for all, a paragraph for each half, a question twice; and something else. */
static void test_levels(void **state)
{
    (void)state;
    struct error e;
    struct prefixes *p;
    struct model *m = model_shipped("llama", NULL);
    struct work *w = calloc(1, sizeof *w);
    assert_non_null(w);
    static const int64_t kept[] = {0, 60, 40, 60, 80, 0};
    static const size_t from[] = {0, 0, 0, 2, 3, 0};
    w->n = 6;
    for (size_t i = 0; i < w->n; i++) {
        for (int64_t t = 0; t < 80; t++) w->ids[i][t] = (int32_t)(100 * i + (size_t)t);
        memcpy(w->ids[i], w->ids[from[i]], (size_t)kept[i] * sizeof(int32_t));
        w->sequences[i] = (struct sequence){w->ids[i], 80};
    }
    assert_ok(prefixes_new(&p, m, w->sequences, w->n, 16, &e), &e);
    static const int64_t lengths[] = {60, 60, 60, 80, 80, 0};
    for (size_t i = 0; i < w->n; i++) assert_int_equal(prefixes_length(p, i), lengths[i]);
    assert_int_equal(prefixes_saved(p), 3 * 60 + 2 * 80 - (40 + 20 + 20 + 20));
    prefixes_free(p);
    /* fewer than 16 tokens more are not worth a cache: what lies above them is shared alone */
    assert_ok(prefixes_new(&p, m, w->sequences, w->n, 21, &e), &e);
    static const int64_t shorter[] = {40, 40, 40, 80, 80, 0};
    for (size_t i = 0; i < w->n; i++) assert_int_equal(prefixes_length(p, i), shorter[i]);
    prefixes_free(p);
    free(w);
    model_close(m);
}

/* Sequences that are not run cost nothing, and leave the others theirs. */
static void test_released_before(void **state)
{
    (void)state;
    struct error e;
    struct prefixes *p;
    struct model *m = model_shipped("gpt2", NULL);
    struct work *w = random_tree(5, MOST);
    assert_ok(prefixes_new(&p, m, w->sequences, w->n, 4, &e), &e);
    for (size_t i = 0; i < w->n; i += 2) prefixes_release(p, i);
    int64_t computed = 0, length;
    for (size_t i = 1; i < w->n; i += 2) {
        prefixes_want(p, i);
        assert_ok(prefixes_compute(p, &computed, &e), &e);
        struct cache *c = prefixes_cache(p, i, &length);
        assert_true(c ? cache_length(c) == length : length == 0);
        prefixes_release(p, i);
    }
    assert_int_equal(prefixes_held(p), 0);
    prefixes_free(p);
    free(w);
    model_close(m);
}

/* A token that the model does not have: an error, and nothing is held. */
static void test_failure(void **state)
{
    (void)state;
    struct error e;
    struct prefixes *p;
    struct model *m = model_shipped("llama", NULL);
    int32_t ids[32] = {[20] = VOCAB};
    struct sequence sequences[] = {{ids, 32}, {ids, 32}};
    assert_ok(prefixes_new(&p, m, sequences, 2, 16, &e), &e);
    prefixes_want(p, 0);
    assert_error(prefixes_compute(p, NULL, &e), &e, ERROR_INPUT, "token 1280 is outside the vocabulary");
    assert_int_equal(prefixes_held(p), 0);
    prefixes_free(p);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {{"test_random_trees llama", test_random_trees, NULL, NULL, "llama"},
                                       {"test_random_trees gpt2", test_random_trees, NULL, NULL, "gpt2"},
                                       cmocka_unit_test(test_levels),
                                       cmocka_unit_test(test_released_before),
                                       cmocka_unit_test(test_failure)};
    return cmocka_run_group_tests_name("models/prefixes", tests, NULL, NULL);
}
