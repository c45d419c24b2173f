/* One sequence, many ways to compute it: always the same bits. */
#include "engine/base/random.h"
#include "engine/models/model.h"
#include "tests/testing.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { N = 150, CONTEXT = 512 };

/* A sequence with its hidden states computed in one pass, alone. */
struct sequence {
    int64_t n;
    int32_t ids[CONTEXT];
    float *hidden; /* [n, width] */
};

static void forward(const struct model *m, struct cache *c, const int32_t *ids, int64_t n, float *hidden)
{
    struct error e;
    struct span s = {c, ids, n, 0};
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
}

static struct cache *cache_for(const struct model *m, struct cache *prefix, int64_t length, int64_t capacity)
{
    struct error e;
    struct cache *c = cache_new(m, prefix, length, capacity, &e);
    assert_non_null(c);
    return c;
}

static struct sequence sequence_new(const struct model *m, int64_t n, uint64_t seed)
{
    struct sequence s = {.n = n};
    struct random r = {seed};
    for (int64_t i = 0; i < n; i++) s.ids[i] = (int32_t)random_below(&r, (uint32_t)model_hyper(m)->vocab);
    s.hidden = calloc((size_t)(n * model_hyper(m)->width), sizeof *s.hidden);
    assert_non_null(s.hidden);
    struct cache *c = cache_for(m, NULL, 0, n);
    forward(m, c, s.ids, n, s.hidden);
    assert_int_equal(cache_length(c), n);
    cache_free(c);
    return s;
}

/* Rows [first, first + n) of the sequence. */
static void assert_rows(const struct model *m, const struct sequence *s, int64_t first, int64_t n, const float *got)
{
    int64_t width = model_hyper(m)->width;
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i * width, s->hidden + (first + i) * width, (size_t)width * sizeof *got))
            fail_msg("the hidden state at position %d differs", (int)(first + i));
}

static float *rows_new(const struct model *m, int64_t n)
{
    float *rows = calloc((size_t)(n * model_hyper(m)->width), sizeof *rows);
    assert_non_null(rows);
    return rows;
}

static void test_among_others(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct error e;
    static const int64_t lengths[] = {3, N, 1, 64, 17};
    enum { COUNT = sizeof lengths / sizeof *lengths };
    struct sequence all[COUNT];
    struct span spans[COUNT];
    int64_t wanted = 0;
    for (size_t i = 0; i < COUNT; i++) {
        all[i] = sequence_new(m, lengths[i], i + 1);
        int64_t from = i == 3 ? lengths[i] : lengths[i] / 2; /* of the fourth nothing is wanted */
        spans[i] = (struct span){cache_for(m, NULL, 0, lengths[i]), all[i].ids, lengths[i], from};
        wanted += lengths[i] - from;
    }
    float *hidden = rows_new(m, wanted);
    assert_ok(model_forward(m, spans, COUNT, hidden, NULL, &e), &e);
    int64_t at = 0, width = model_hyper(m)->width;
    for (size_t i = 0; i < COUNT; i++) {
        int64_t n = spans[i].count - spans[i].first_output;
        assert_rows(m, &all[i], spans[i].first_output, n, hidden + at * width);
        at += n;
        cache_free(spans[i].cache);
        free(all[i].hidden);
    }
    free(hidden);
    model_close(m);
}

static void test_in_pieces(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct sequence s = sequence_new(m, N, 9);
    static const int64_t pieces[] = {1, 7, 1, 8, 33, 64, N - 114};
    struct cache *c = cache_for(m, NULL, 0, N);
    float *hidden = rows_new(m, N);
    int64_t at = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; at += pieces[i++]) {
        forward(m, c, s.ids + at, pieces[i], hidden);
        assert_rows(m, &s, at, pieces[i], hidden);
    }
    assert_int_equal(at, N);
    cache_truncate(c, 40); /* forgotten and computed again */
    assert_int_equal(cache_length(c), 40);
    forward(m, c, s.ids + 40, N - 40, hidden);
    assert_rows(m, &s, 40, N - 40, hidden);
    cache_free(c);
    free(hidden);
    free(s.hidden);
    model_close(m);
}

/* Two sequences behind one prefix of 40, in one pass; one of them is itself a prefix. */
static void test_behind_a_prefix(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct error e;
    enum { PREFIX = 40, MIDDLE = 30 };
    struct sequence a = sequence_new(m, N, 5), b = {.n = 90};
    memcpy(b.ids, a.ids, PREFIX * sizeof *b.ids);
    for (int i = PREFIX; i < 90; i++) b.ids[i] = i;
    b.hidden = rows_new(m, b.n);
    struct cache *alone = cache_for(m, NULL, 0, b.n), *prefix = cache_for(m, NULL, 0, PREFIX + 10);
    forward(m, alone, b.ids, b.n, b.hidden);
    float *hidden = rows_new(m, N + 90);
    forward(m, prefix, a.ids, PREFIX + 10, hidden); /* ten positions more than are shared */
    struct cache *left = cache_for(m, prefix, PREFIX, MIDDLE), *right = cache_for(m, prefix, PREFIX, 50);
    assert_int_equal(cache_length(left), PREFIX);
    struct span spans[] = {{left, a.ids + PREFIX, MIDDLE, 0}, {right, b.ids + PREFIX, 50, 0}};
    assert_ok(model_forward(m, spans, 2, hidden, NULL, &e), &e);
    assert_rows(m, &a, PREFIX, MIDDLE, hidden);
    assert_rows(m, &b, PREFIX, 50, hidden + MIDDLE * model_hyper(m)->width);
    int64_t done = PREFIX + MIDDLE;
    struct cache *deep = cache_for(m, left, done, N - done);
    forward(m, deep, a.ids + done, N - done, hidden);
    assert_rows(m, &a, done, N - done, hidden);
    cache_truncate(deep, 3); /* never below its prefix */
    assert_int_equal(cache_length(deep), done);
    struct cache *all[] = {alone, prefix, left, right, deep};
    for (size_t i = 0; i < 5; i++) cache_free(all[i]);
    free(hidden);
    free(a.hidden);
    free(b.hidden);
    model_close(m);
}

static void test_threads_and_backends(void **state)
{
    static const char *const specs[] = {"f32",       "bf16",     "int8:absmax", "int8:absmax,per=tensor",
                                        "gguf:q8_0", "gguf:q4_0"};
    int threads = omp_get_max_threads();
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct model *m = model_shipped(*state, specs[i]);
        assert_string_equal(model_facts(m)->backend, specs[i]);
        omp_set_num_threads(1);
        struct sequence one = sequence_new(m, 50, 2);
        omp_set_num_threads(3);
        struct sequence three = sequence_new(m, 50, 2);
        omp_set_num_threads(threads);
        assert_rows(m, &one, 0, 50, three.hidden);
        struct cache *c = cache_for(m, NULL, 0, 50);
        float *hidden = rows_new(m, 50);
        for (int k = 0; k < 5; k++) {
            forward(m, c, one.ids + k * 10, 10, hidden);
            assert_rows(m, &one, k * 10, 10, hidden);
        }
        cache_free(c);
        free(hidden);
        free(one.hidden);
        free(three.hidden);
        model_close(m);
    }
}

/* Logits of a row do not depend on the rows beside it. */
static void test_logits_alone(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct error e;
    struct sequence s = sequence_new(m, 29, 4);
    int64_t vocab = model_hyper(m)->vocab, width = model_hyper(m)->width;
    float *all = calloc((size_t)(29 * vocab), sizeof *all), *one = calloc((size_t)vocab, sizeof *one);
    assert_ok(model_logits(m, s.hidden, 29, all, &e), &e);
    for (int64_t i = 0; i < 29; i++) {
        assert_ok(model_logits(m, s.hidden + i * width, 1, one, &e), &e);
        assert_memory_equal(one, all + i * vocab, (size_t)vocab * sizeof *one);
    }
    free(all);
    free(one);
    free(s.hidden);
    model_close(m);
}

/* A cache made for few positions grows, and what was in it stays. */
static void test_growing_cache(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct error e;
    enum { POSITIONS = 40 };
    int32_t ids[POSITIONS];
    for (int32_t i = 0; i < POSITIONS; i++) ids[i] = 300 + 7 * i;
    float *at_once = rows_new(m, POSITIONS), *grown = rows_new(m, POSITIONS);
    struct cache *large = cache_for(m, NULL, 0, POSITIONS), *small = cache_for(m, NULL, 0, 1);
    struct span s = {large, ids, POSITIONS, 0};
    assert_ok(model_forward(m, &s, 1, at_once, NULL, &e), &e);
    for (int64_t i = 0; i < POSITIONS; i += 5) {
        s = (struct span){small, ids + i, 5, 0};
        assert_ok(model_forward(m, &s, 1, grown + i * model_hyper(m)->width, NULL, &e), &e);
    }
    assert_memory_equal(at_once, grown, (size_t)(POSITIONS * model_hyper(m)->width) * sizeof *grown);
    cache_free(large);
    cache_free(small);
    free(at_once);
    free(grown);
    model_close(m);
}

/* A refused pass leaves the cache as it was. */
static void test_refused(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct error e;
    int32_t ids[CONTEXT + 1] = {0};
    float *hidden = rows_new(m, CONTEXT + 1);
    struct cache *small = cache_for(m, NULL, 0, 4), *large = cache_for(m, NULL, 0, CONTEXT + 1);
    struct span s = (struct span){large, ids, CONTEXT + 1, 0};
    assert_error(model_forward(m, &s, 1, hidden, NULL, &e), &e, ERROR_INPUT,
                 "513 tokens do not fit in the model's context of 512");
    static const int32_t outside[] = {-1, 1280, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        ids[2] = outside[i];
        s = (struct span){small, ids, 3, 0};
        assert_error(model_forward(m, &s, 1, hidden, NULL, &e), &e, ERROR_INPUT, "is outside the vocabulary of 1280");
    }
    assert_int_equal(cache_length(small), 0);
    ids[2] = 1279;
    s = (struct span){large, ids, CONTEXT, 0}; /* the context to its end */
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_int_equal(cache_length(large), CONTEXT);
    s.count = 1;
    assert_error(model_forward(m, &s, 1, hidden, NULL, &e), &e, ERROR_INPUT, "513 tokens do not fit");
    cache_free(small);
    cache_free(large);
    free(hidden);
    model_close(m);
}

/* Counted by hand from the settings of the two: the tied output matrix once, vectors as float32. */
static void test_facts(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", "gguf:q4_0");
    const int64_t layer = 256 * 256 * 2 + 2 * 128 * 256 + 3 * 768 * 256, matrices = 1280 * 256 + 6 * layer;
    assert_int_equal(model_facts(m)->parameters, matrices + 13 * 256);
    assert_int_equal(model_facts(m)->weight_bytes, matrices / 32 * 18 + 13 * 256 * 4);
    assert_int_equal(model_facts(m)->fell_back, 0);
    assert_int_equal(cache_position_bytes(m), 6 * 2 * 64 * 2 * 4);
    assert_int_equal(strlen(model_facts(m)->hash), 64);
    model_close(m);
    m = model_shipped("gpt2", "int8:absmax");
    const int64_t rows = 3 * 256 + 256 + 1024 + 256, square = 256 * 256;
    assert_int_equal(model_facts(m)->parameters, (1280 + 512) * 256 + 4 * (12 * square + rows + 4 * 256) + 2 * 256);
    assert_int_equal(model_facts(m)->weight_bytes, 1280 * (256 + 4) + 512 * 256 * 4 +
                                                       4 * (12 * square + rows * 4 + (rows + 4 * 256) * 4) +
                                                       2 * 256 * 4);
    assert_string_equal(model_facts(m)->architecture, "gpt2");
    model_close(m);
}

#define BOTH(test)                                                                                                     \
    {#test " llama", test, NULL, NULL, "llama"}, { #test " gpt2", test, NULL, NULL, "gpt2" }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_among_others), BOTH(test_in_pieces), BOTH(test_behind_a_prefix), BOTH(test_threads_and_backends),
        BOTH(test_logits_alone), BOTH(test_refused),   BOTH(test_growing_cache),   cmocka_unit_test(test_facts)};
    return cmocka_run_group_tests_name("models/forward", tests, NULL, NULL);
}
