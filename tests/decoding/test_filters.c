#include "engine/base/random.h"
#include "engine/decoding/filters.h"
#include "engine/models/model.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static struct decode parsed(const char *spec)
{
    struct decode d;
    struct error e;
    assert_ok(decode_parse(&d, spec, &e), &e);
    return d;
}

/* What is left of these logits, as ids; their probabilities are checked to add up to 1 and never to rise. */
static int64_t left_of(const char *spec, const float *logits, int64_t n, struct candidate *c)
{
    const struct decode how = parsed(spec);
    const int64_t kept = candidates_distribution(&how, logits, n, NULL, 0, c);
    double sum = 0;
    for (int64_t i = 0; i < kept; i++) {
        sum += c[i].key;
        if (i) assert_true(c[i].key < c[i - 1].key || (c[i].key == c[i - 1].key && c[i].id > c[i - 1].id));
    }
    assert_near(sum, 1, 1e-12, spec);
    return kept;
}

static void assert_left(const char *spec, const float *logits, int64_t n, const char *ids)
{
    struct candidate c[MOST];
    char got[256] = "";
    const int64_t kept = left_of(spec, logits, n, c);
    for (int64_t i = 0; i < kept; i++) snprintf(got + strlen(got), sizeof got - strlen(got), " %d", c[i].id);
    if (strcmp(got, ids)) fail_msg("%s leaves%s instead of%s", spec, got, ids);
}

/* The last row of logits after the golden's prompt. */
static void last_row(const struct model *m, const json_t *ids, float *logits)
{
    int32_t at[64];
    struct error e;
    const size_t n = json_array_size(ids);
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++) at[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    struct cache *c = cache_new(m, NULL, 0, (int64_t)n, &e);
    float *hidden = malloc((size_t)model_hyper(m)->width * sizeof *hidden);
    struct span s = {.cache = c, .ids = at, .count = (int64_t)n, .first_output = (int64_t)n - 1};
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, 1, logits, &e), &e);
    free(hidden);
    cache_free(c);
}

/* Each filter alone keeps what an implementation in PyTorch keeps. */
static void test_goldens(void **state)
{
    static const char *const names[][2] = {{"temperature=0.7", "sample,temperature=0.7"},
                                           {"top_k=10", "sample,top-k=10"},
                                           {"top_p=0.9", "sample,top-p=0.9"},
                                           {"min_p=0.05", "sample,min-p=0.05"},
                                           {"typical_p=0.9", "sample,typical-p=0.9"}};
    char path[64];
    float logits[MOST];
    struct candidate c[MOST];
    snprintf(path, sizeof path, "tests/goldens/goldens-%s.json", (const char *)*state);
    json_t *all = golden(path), *wanted = json_object_get(all, "logits");
    struct model *m = model_shipped(*state, NULL);
    assert_true(model_hyper(m)->vocab <= MOST);
    last_row(m, json_object_get(wanted, "ids"), logits);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *one = json_object_get(json_object_get(wanted, "filters"), names[i][0]);
        const json_t *ids = json_object_get(one, "ids"), *p = json_object_get(one, "p");
        assert_int_equal(left_of(names[i][1], logits, model_hyper(m)->vocab, c),
                         json_integer_value(json_object_get(one, "kept")));
        assert_true(json_array_size(ids) > 0);
        for (size_t j = 0; j < json_array_size(ids); j++) {
            assert_near(c[j].key, json_real_value(json_array_get(p, j)), 3e-6, names[i][0]);
            if (c[j].key > 1e-5) assert_int_equal(c[j].id, json_integer_value(json_array_get(ids, j)));
        }
    }
    json_decref(all);
    model_close(m);
}

/* Probabilities 0.4 0.3 0.2 0.1 of ids 2 0 3 1. */
static void test_by_hand(void **state)
{
    const float x[] = {logf(.3f), logf(.1f), logf(.4f), logf(.2f)};
    assert_left("sample", x, 4, " 2 0 3 1");
    assert_left("sample,top-k=2", x, 4, " 2 0");
    assert_left("sample,top-k=9", x, 4, " 2 0 3 1");
    assert_left("sample,top-p=0", x, 4, " 2");
    assert_left("sample,top-p=0.39", x, 4, " 2");
    assert_left("sample,top-p=0.41", x, 4, " 2 0");
    assert_left("sample,top-p=0.69", x, 4, " 2 0");
    assert_left("sample,top-p=0.71", x, 4, " 2 0 3");
    assert_left("sample,min-p=1", x, 4, " 2");
    assert_left("sample,min-p=0.74", x, 4, " 2 0");
    assert_left("sample,min-p=0.76", x, 4, " 2");
    /* The entropy is 1.28 nats; the surprises are 1.20 (0), 2.30 (1), 0.92 (2), 1.61 (3): 0 is the most typical. */
    assert_left("sample,typical-p=0", x, 4, " 0");
    assert_left("sample,typical-p=0.31", x, 4, " 0 3");
    assert_left("sample,typical-p=0.51", x, 4, " 2 0 3");
    /* One after the other: the best three have 4/9, 3/9, 2/9; of these 0.7 needs two; the second has 3/4 of the first. */
    assert_left("sample,top-k=3,top-p=0.7", x, 4, " 2 0");
    assert_left("sample,top-k=3,top-p=0.7,min-p=0.76", x, 4, " 2");
    /* Squared (a temperature of 1/2): 16, 9, 4, 1 of 30. */
    assert_left("sample,temperature=0.5,top-p=0.54", x, 4, " 2 0");
    assert_left("sample,temperature=0.5,top-p=0.53", x, 4, " 2");
}

static void test_ties(void **state)
{
    float same[100];
    for (size_t i = 0; i < 100; i++) same[i] = 2;
    assert_left("sample,top-k=3", same, 100, " 0 1 2");
    assert_left("sample,top-p=0.035", same, 100, " 0 1 2 3");
    assert_left("sample,typical-p=0.035", same, 100, " 0 1 2 3");
    same[40] = same[7] = 3;
    assert_left("sample,top-k=4", same, 100, " 7 40 0 1");
    const float holes[] = {-INFINITY, 1, -INFINITY, 2};
    assert_left("sample,top-p=0.99", holes, 4, " 3 1");
    assert_left("sample,typical-p=0.99", holes, 4, " 3 1");
    assert_left("sample,min-p=0.01", holes, 4, " 3 1");
    const float far[] = {-3e38f, 3e38f, 0};
    assert_left("sample,temperature=0.001,top-p=0.9", far, 3, " 1");
}

/* Divided where positive, multiplied where negative, once for however many times. */
static void test_penalty(void **state)
{
    const float x[] = {2, -1, 0, 3, 1};
    const int32_t ids[] = {3, 1, 3, 0, 3, 2};
    const struct decode how = parsed("sample,repetition-penalty=2");
    struct candidate c[5];
    assert_int_equal(candidates_distribution(&how, x, 5, ids, 6, c), 5);
    static const int32_t order[] = {3, 0, 4, 2, 1};
    static const double scores[] = {1.5, 1, 1, 0, -2};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(c[i].id, order[i]);
        assert_near(c[i].score, scores[i], 0, "a penalized logit");
    }
}

/* The heap against a plain sort. */
static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void test_best(void **state)
{
    struct candidate c[200], sorted[200];
    struct random r = {5};
    for (int64_t round = 0; round < 300; round++) {
        const int64_t n = 1 + random_below(&r, 200), wanted = random_below(&r, 220);
        for (int64_t i = 0; i < n; i++) {
            c[i] = (struct candidate){.score = random_below(&r, 50), .id = (int32_t)i};
            sorted[i] = c[i];
        }
        qsort(sorted, (size_t)n, sizeof *sorted, by_score);
        const int64_t got = candidates_best(c, n, wanted);
        assert_int_equal(got, wanted < n ? wanted : n);
        for (int64_t i = 0; i < got; i++) assert_int_equal(c[i].id, sorted[i].id);
    }
}

/* Draws follow the distribution: 20000 of them, chi-square against 7 cells; the 0.999 quantile of 6 degrees of freedom
 * is 22.46. The same places always give the same tokens. */
static void test_draws(void **state)
{
    const float x[] = {0, 1, -1, 2, .5f, -2, 1.5f};
    enum { CELLS = 7, DRAWS = 20000 };
    struct candidate c[CELLS];
    const struct decode how = parsed("sample");
    double p[CELLS], chi = 0;
    int64_t counts[CELLS] = {0};
    candidates_distribution(&how, x, CELLS, NULL, 0, c);
    for (size_t i = 0; i < CELLS; i++) p[c[i].id] = c[i].key;
    struct random r = {99};
    for (int64_t i = 0; i < DRAWS; i++) {
        candidates_fill(c, x, 0, CELLS);
        counts[candidates_draw(c, CELLS, random_unit(&r))]++;
    }
    for (size_t i = 0; i < CELLS; i++) {
        const double expected = p[i] * DRAWS, off = (double)counts[i] - expected;
        chi += off * off / expected;
    }
    assert_true(chi < 22.46);
    static const double places[] = {0, 1 - 0x1p-53};
    static const int32_t ends[] = {3, 5};
    for (size_t i = 0; i < 2; i++) {
        candidates_fill(c, x, 0, CELLS);
        assert_int_equal(candidates_draw(c, CELLS, places[i]), ends[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"test_goldens llama", test_goldens, NULL, NULL, "llama"},
        {"test_goldens gpt2", test_goldens, NULL, NULL, "gpt2"},
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_draws),
    };
    return cmocka_run_group_tests_name("decoding/filters", tests, NULL, NULL);
}
