/* Layer by layer gives what a forward pass gives, and calibration sees what the matrices meet. */
#include "engine/base/random.h"
#include "engine/models/walk.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCES = 3, LENGTH = 40 };

static void fill_ids(const struct model *m, int32_t *ids, size_t n)
{
    struct random r = {7};
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(random_unit(&r) * (double)tokenizer_size(model_tokenizer(m)));
}

/* What comes out of every layer, and what goes into every matrix, in order. */
struct seen {
    float *x;
    size_t n;
};

static void see(struct seen *s, const float *x, size_t n)
{
    s->x = realloc(s->x, (s->n + n) * sizeof *x);
    assert_non_null(s->x);
    memcpy(s->x + s->n, x, n * sizeof *x);
    s->n += n;
}

struct watched {
    struct seen outputs[8], inputs[8][LINEARS];
};

static void see_output(void *user, int64_t layer, const float *x, int64_t n, int64_t width)
{
    see(&((struct watched *)user)->outputs[layer], x, (size_t)(n * width));
}

static void see_input(void *user, int64_t layer, enum linear_role role, const float *x, int64_t n, int64_t cols)
{
    see(&((struct watched *)user)->inputs[layer][role], x, (size_t)(n * cols));
}

static void assert_same(const struct seen *a, const struct seen *b)
{
    assert_int_equal(a->n, b->n);
    if (a->n) assert_memory_equal(a->x, b->x, a->n * sizeof *a->x);
}

static void watched_free(struct watched *w)
{
    for (int i = 0; i < 8; i++) {
        free(w->outputs[i].x);
        for (int r = 0; r < LINEARS; r++) free(w->inputs[i][r].x);
    }
}

/* Watching ends where it is asked to, and changes nothing: what came before is the same, nothing comes after. */
static void check_stop(struct walk *w, int64_t layer, const struct watched *all)
{
    struct error e;
    struct watched some = {0};
    const struct probe probe = {.user = &some, .linear_input = see_input, .layer_output = see_output};
    assert_ok(walk_watch(w, layer, &probe, LINEAR_UP, &e), &e);
    for (int r = 0; r < LINEAR_DOWN; r++) assert_same(&some.inputs[layer][r], &all->inputs[layer][r]);
    assert_int_equal(some.inputs[layer][LINEAR_DOWN].n, 0);
    assert_int_equal(some.outputs[layer].n, 0);
    watched_free(&some);
}

static void check_walk(const char *name)
{
    struct error e;
    struct model *m = model_shipped(name, NULL);
    const struct hyper *h = model_hyper(m);
    assert_true(h->layers <= 8);
    int32_t ids[SEQUENCES * LENGTH];
    fill_ids(m, ids, SEQUENCES * LENGTH);
    struct watched all = {0}, walked = {0};
    const struct probe probes[] = {{.user = &all, .linear_input = see_input, .layer_output = see_output},
                                   {.user = &walked, .linear_input = see_input, .layer_output = see_output}};
    struct span spans[SEQUENCES];
    for (int i = 0; i < SEQUENCES; i++)
        spans[i] = (struct span){cache_new(m, NULL, 0, LENGTH, &e), ids + i * LENGTH, LENGTH, LENGTH};
    float none;
    assert_ok(model_forward(m, spans, SEQUENCES, &none, &probes[0], &e), &e);
    struct walk *w;
    assert_ok(walk_open(&w, m, ids, SEQUENCES, LENGTH, &e), &e);
    for (int64_t i = 0; i < h->layers; i++) {
        check_stop(w, i, &all);
        assert_ok(walk_advance(w, i, &probes[1], &e), &e);
        assert_same(&walked.outputs[i], &all.outputs[i]);
        size_t met = 0;
        for (int r = 0; r < LINEARS; r++) {
            const char *full;
            assert_same(&walked.inputs[i][r], &all.inputs[i][r]);
            assert_int_equal(model_linear(m, i, (enum linear_role)r, &full) != NULL, walked.inputs[i][r].n != 0);
            met += walked.inputs[i][r].n != 0;
        }
        assert_true(met >= 4);
    }
    walk_close(w);
    for (int i = 0; i < SEQUENCES; i++) cache_free(spans[i].cache);
    watched_free(&all);
    watched_free(&walked);
    model_close(m);
}

static void test_walk_llama(void **state)
{
    (void)state;
    check_walk("llama");
}

static void test_walk_gpt2(void **state)
{
    (void)state;
    check_walk("gpt2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walk_llama), cmocka_unit_test(test_walk_gpt2)};
    return cmocka_run_group_tests_name("models/walk", tests, NULL, NULL);
}
