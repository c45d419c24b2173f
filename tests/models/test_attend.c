/* Attention over shapes that the shipped models have not, and any tree of caches: always the bits of a sequence that is
 * computed token by token. */
#include "engine/base/file.h"
#include "engine/base/random.h"
#include "engine/formats/gguf.h"
#include "engine/models/synth.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 672, VOCAB = 300, CACHES = 24, LAYERS = 2 }; /* the context a multiple of 16 and of 24 */

struct shape {
    int64_t width, heads, kv_heads;
};

/* Heads of 2, 8, 20, 64, 80, 256 and 300 dimensions, alone and in groups. */
static const struct shape shapes[] = {{64, 32, 1}, {32, 4, 1},  {60, 3, 3},  {128, 2, 2},
                                      {160, 2, 1}, {256, 1, 1}, {300, 1, 1}, {80, 10, 5}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct case_of {
    char *folder, *path;
    struct model *m;
    int32_t ids[CONTEXT];
    float *expected; /* [CONTEXT, width], token by token */
};

static char *model_new(const char *folder, const struct shape *shape)
{
    struct error e;
    struct synth s = {.layers = LAYERS,
                      .width = shape->width,
                      .ffn = 32,
                      .heads = shape->heads,
                      .kv_heads = shape->kv_heads,
                      .vocab = VOCAB,
                      .context = CONTEXT,
                      .seed = 3};
    char *path = path_join(folder, "model.gguf", &e);
    assert_non_null(path);
    assert_ok(backend_parse(&s.how, "f32", &e), &e);
    assert_ok(model_synth(&s, path, NULL, NULL, &e), &e);
    return path;
}

static struct cache *cache_for(const struct model *m, struct cache *prefix, int64_t length, int64_t capacity)
{
    struct error e;
    struct cache *c = cache_new(m, prefix, length, capacity, &e);
    assert_non_null(c);
    return c;
}

static void forward(const struct model *m, struct cache *c, const int32_t *ids, int64_t n, float *hidden)
{
    struct error e;
    struct span s = {c, ids, n, hidden ? 0 : n};
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
}

static void token_by_token(const struct model *m, const int32_t *ids, int64_t n, float *hidden)
{
    struct cache *c = cache_for(m, NULL, 0, 1);
    for (int64_t i = 0; i < n; i++) forward(m, c, ids + i, 1, hidden + i * model_hyper(m)->width);
    cache_free(c);
}

static float *rows_new(const struct model *m, int64_t n)
{
    float *rows = calloc((size_t)(n * model_hyper(m)->width), sizeof *rows);
    assert_non_null(rows);
    return rows;
}

static struct case_of case_new(size_t shape)
{
    struct error e;
    struct case_of c = {.folder = folder_temporary()};
    c.path = model_new(c.folder, &shapes[shape]);
    assert_ok(model_open(&c.m, c.path, NULL, &e), &e);
    struct random r = {shape + 1};
    for (size_t i = 0; i < CONTEXT; i++) c.ids[i] = (int32_t)random_below(&r, VOCAB);
    c.expected = rows_new(c.m, CONTEXT);
    token_by_token(c.m, c.ids, CONTEXT, c.expected);
    return c;
}

static void case_free(struct case_of *c)
{
    model_close(c->m);
    free(c->expected);
    free(c->path);
    folder_remove(c->folder);
}

static void assert_rows(const struct case_of *c, int64_t first, int64_t n, const float *got)
{
    int64_t width = model_hyper(c->m)->width;
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i * width, c->expected + (first + i) * width, (size_t)width * sizeof *got))
            fail_msg("head of %d: the hidden state at position %d differs", (int)model_hyper(c->m)->head,
                     (int)(first + i));
}

/* All positions in one pass, for lengths around those of blocks and tiles, by one thread and by more. The longest
 * goes first, while the model's memory is no larger than it asks for. */
static void test_one_pass(void **state)
{
    (void)state;
    static const int64_t lengths[] = {CONTEXT, CONTEXT - 1, 240, 96, 49, 48, 47, 25, 24, 23, 17, 16, 15, 2, 1};
    int threads = omp_get_max_threads();
    for (size_t i = 0; i < SHAPES; i++) {
        struct case_of c = case_new(i);
        float *hidden = rows_new(c.m, CONTEXT);
        for (size_t j = 0; j < 2 * sizeof lengths / sizeof *lengths; j++) {
            int64_t n = lengths[j / 2];
            omp_set_num_threads(j % 2 ? 3 : 1);
            struct cache *all = cache_for(c.m, NULL, 0, n);
            forward(c.m, all, c.ids, n, hidden);
            assert_rows(&c, 0, n, hidden);
            cache_free(all);
        }
        omp_set_num_threads(threads);
        free(hidden);
        case_free(&c);
    }
}

/* --- trees of caches --- */

struct tree {
    const struct case_of *c;
    struct cache *caches[CACHES];
    int64_t least[CACHES]; /* positions that others stand on */
    size_t n;
    struct random r;
    float *hidden;
};

/* A new one: behind some of another, a copy of it, or empty. */
static void grow(struct tree *t)
{
    struct error e;
    size_t from = t->n ? random_below(&t->r, (uint32_t)t->n) : 0;
    int64_t length = t->n ? cache_length(t->caches[from]) : 0, capacity = random_below(&t->r, 40);
    switch (t->n ? random_below(&t->r, 6) : 0) {
    case 0:
        t->caches[t->n] = cache_for(t->c->m, NULL, 0, capacity);
        break;
    case 1:
        t->caches[t->n] = cache_copy(t->caches[from], &e);
        assert_non_null(t->caches[t->n]);
        t->least[t->n] = t->least[from];
        break;
    default:
        length = random_below(&t->r, (uint32_t)length + 1);
        t->caches[t->n] = cache_for(t->c->m, t->caches[from], length, capacity);
        if (length > t->least[from]) t->least[from] = length;
    }
    t->n++;
}

/* Other tokens, which are forgotten again. */
static void wander(struct tree *t, size_t i)
{
    enum { MOST = 40 };
    int32_t other[MOST];
    int64_t length = cache_length(t->caches[i]), n = 1 + random_below(&t->r, MOST), back = length - t->least[i];
    if (length + n > CONTEXT) return;
    for (int64_t j = 0; j < n; j++) other[j] = (int32_t)random_below(&t->r, VOCAB);
    forward(t->c->m, t->caches[i], other, n, NULL);
    cache_truncate(t->caches[i], length - random_below(&t->r, (uint32_t)back + 1));
}

/* Some of the caches get the tokens that are theirs, in one pass. */
static void step(struct tree *t)
{
    struct error e;
    struct span spans[CACHES];
    size_t n = 0;
    int64_t width = model_hyper(t->c->m)->width, at[CACHES], row = 0;
    for (size_t i = 0; i < t->n; i++) {
        int64_t left = CONTEXT - cache_length(t->caches[i]), most = random_below(&t->r, 3) ? 3 : 70;
        if (!left || random_below(&t->r, 3) == 0) continue;
        int64_t count = 1 + random_below(&t->r, (uint32_t)(left < most ? left : most));
        at[n] = cache_length(t->caches[i]);
        spans[n++] = (struct span){t->caches[i], t->c->ids + cache_length(t->caches[i]), count, 0};
    }
    assert_ok(model_forward(t->c->m, spans, n, t->hidden, NULL, &e), &e);
    for (size_t i = 0; i < n; row += spans[i++].count)
        assert_rows(t->c, at[i], spans[i].count, t->hidden + row * width);
}

static void test_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct case_of c = case_new(i);
        struct tree t = {.c = &c, .r = {100 + i}, .hidden = rows_new(c.m, CACHES * 70)};
        for (size_t j = 0; j < test_items(70); j++) {
            if (t.n < CACHES && (j % 2 == 0 || !t.n)) grow(&t);
            if (j % 3 == 0) wander(&t, random_below(&t.r, (uint32_t)t.n));
            step(&t);
        }
        while (t.n) cache_free(t.caches[--t.n]);
        free(t.hidden);
        case_free(&c);
    }
}

/* Hundreds of spans of one token, and a long one among them. */
static void test_many_spans(void **state)
{
    (void)state;
    enum { MANY = 300, LONG = 200 };
    struct error e;
    struct case_of c = case_new(1);
    struct span spans[MANY];
    float *hidden = rows_new(c.m, MANY + LONG);
    int64_t width = model_hyper(c.m)->width;
    struct cache *prefix = cache_for(c.m, NULL, 0, CONTEXT);
    forward(c.m, prefix, c.ids, MANY, NULL);
    for (int64_t i = 0; i < MANY; i++)
        spans[i] = (struct span){cache_for(c.m, prefix, i, 1), c.ids + i, i == 37 ? LONG : 1, 0};
    assert_ok(model_forward(c.m, spans, MANY, hidden, NULL, &e), &e);
    for (int64_t i = 0, row = 0; i < MANY; row += spans[i++].count)
        assert_rows(&c, i, spans[i].count, hidden + row * width);
    for (size_t i = 0; i < MANY; i++) cache_free(spans[i].cache);
    cache_free(prefix);
    free(hidden);
    case_free(&c);
}

static void set_element(const char *path, const char *name, int64_t i, float x)
{
    struct error e;
    struct gguf *g;
    assert_ok(gguf_open(&g, path, &e), &e);
    const struct tensor *t = gguf_tensor(g, name);
    assert_non_null(t);
    long place = (long)((const uint8_t *)t->data - gguf_bytes(g)) + (long)i * (long)sizeof x;
    FILE *f = fopen(path, "r+b");
    assert_true(f && fseek(f, place, SEEK_SET) == 0 && fwrite(&x, sizeof x, 1, f) == 1);
    assert_int_equal(fclose(f), 0);
    gguf_close(g);
}

/* The values of token 5 overflow: what is before it in a sequence has the results that it has without it. */
static void test_not_finite(void **state)
{
    (void)state;
    enum { AT = 30, LENGTH = 60, ID = 5 };
    struct error e;
    for (size_t i = 0; i < 3; i++) {
        struct case_of c = case_new(i);
        int64_t width = model_hyper(c.m)->width;
        model_close(c.m);
        for (int64_t j = 0; j < VOCAB; j++) set_element(c.path, "token_embd.weight", j * width, j == ID ? 100.f : 0.f);
        set_element(c.path, "blk.0.attn_v.weight", 0, 3e38f);
        assert_ok(model_open(&c.m, c.path, NULL, &e), &e);
        for (size_t j = 0; j < LENGTH; j++) c.ids[j] = 10 + (int32_t)j;
        c.ids[AT] = ID;
        token_by_token(c.m, c.ids, LENGTH, c.expected);
        for (int64_t j = 0; j < AT * width; j++) assert_true(isfinite(c.expected[j]));
        assert_true(!isfinite(c.expected[AT * width]));
        float *hidden = rows_new(c.m, LENGTH);
        struct cache *all = cache_for(c.m, NULL, 0, LENGTH);
        forward(c.m, all, c.ids, LENGTH, hidden);
        assert_rows(&c, 0, AT, hidden);
        cache_free(all);
        free(hidden);
        case_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_pass), cmocka_unit_test(test_trees),
                                       cmocka_unit_test(test_many_spans), cmocka_unit_test(test_not_finite)};
    return cmocka_run_group_tests_name("models/attend", tests, NULL, NULL);
}
