/* What a model tells who watches it: phases, pieces of passes and their layers, work as sums by hand, times without gap;
 * and what its parts multiply with. */
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"
#include "tests/models/tiny_llama.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WIDTH = 32, FFN = 96, MOST = 4096 };

/* Everything that was told, in order. */
struct log {
    enum phase phase;
    enum phase phases[MOST]; /* entered */
    size_t n_phases;
    struct pass_piece pieces[MOST];
    enum phase of[MOST]; /* the phase of a piece */
    size_t n, begins;
    double began, last[2]; /* when begin() was called last, and when the last two pieces had been told */
    long sleep;            /* nanoseconds that telling takes */
    struct watch watch;
};

static enum phase on_enter(void *user, enum phase phase)
{
    struct log *l = user;
    const enum phase before = l->phase;
    assert_true(l->n_phases < MOST);
    l->phases[l->n_phases++] = l->phase = phase;
    return before;
}

static void on_begin(void *user)
{
    struct log *l = user;
    l->began = seconds_now();
    l->begins++;
    nanosleep(&(struct timespec){.tv_nsec = l->sleep}, NULL);
}

static void on_piece(void *user, const struct pass_piece *piece)
{
    struct log *l = user;
    assert_true(l->n < MOST);
    l->of[l->n] = l->phase;
    l->pieces[l->n++] = *piece;
    nanosleep(&(struct timespec){.tv_nsec = l->sleep}, NULL);
    l->last[0] = l->last[1];
    l->last[1] = seconds_now();
}

static struct log *log_new(void)
{
    struct log *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->watch = (struct watch){l, on_enter, on_begin, on_piece};
    return l;
}

static void log_clear(struct log *l) { l->n = l->n_phases = l->begins = 0; }

static struct model *tiny_open(struct log *l, const char *spec, enum math math)
{
    struct error e;
    struct model *m;
    struct backend_options how;
    char *folder = folder_temporary(), *path = tiny_llama(folder, WIDTH, FFN);
    assert_ok(blas_open(&e), &e);
    if (spec) assert_ok(backend_parse(&how, spec, &e), &e);
    const struct model_options options = {.how = spec ? &how : NULL,
                                          .math = math,
                                          .calibration = "datasets/millbrook/calibration.txt",
                                          .watch = &l->watch};
    assert_ok(model_open(&m, path, &options, &e), &e);
    free(path);
    folder_remove(folder);
    return m;
}

/* --- phases --- */

static void test_loading(void **state)
{
    (void)state;
    enum { MATRICES = 8 }; /* tied: seven of the layer, and the embedding */
    struct log *l = log_new();
    struct model *m = tiny_open(l, NULL, MATH_EXACT);
    const size_t wanted = 1 + 2 * MATRICES + 2; /* LOAD, and PACK and LOAD for each; PACK at the end, and out */
    assert_int_equal(l->n_phases, wanted);
    for (size_t i = 0; i + 1 < wanted; i++) assert_int_equal(l->phases[i], i % 2 ? PHASE_PACK : PHASE_LOAD);
    assert_int_equal(l->phases[wanted - 1], PHASE_OTHER);
    assert_int_equal(l->begins, 0);
    model_close(m);
    free(l);
}

/* The passes of calibrating are told, and are no prefill; the layer is 0 but for the embedding. */
static void test_calibrating(void **state)
{
    (void)state;
    struct log *l = log_new();
    struct model *m = tiny_open(l, "gptq:4,samples=2,group=32", MATH_FAST);
    assert_true(l->begins > 2 && l->n > l->begins);
    for (size_t i = 0; i < l->n; i++) {
        assert_int_equal(l->of[i], PHASE_PACK);
        assert_int_equal(l->pieces[i].layer, l->pieces[i].part == PART_EMBED ? -1 : 0);
    }
    assert_int_equal(l->phase, PHASE_OTHER);
    model_close(m);
    free(l);
}

/* A model that cannot be opened leaves the phase that was before. */
static void test_failing(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct log *l = log_new();
    l->phase = PHASE_PROMPTS;
    assert_int_equal(model_open(&m, "datasets/nothing", &(struct model_options){.watch = &l->watch}, &e), ERROR_IO);
    assert_int_equal(l->phase, PHASE_PROMPTS);
    assert_true(l->n_phases > 1 && l->phases[0] == PHASE_LOAD);
    free(l);
}

struct expected {
    int64_t layer;
    enum pass_part part;
    double flop, bytes;
};

static void assert_pieces(const struct log *l, enum phase phase, const struct expected *wanted, size_t n)
{
    assert_int_equal(l->n, n);
    for (size_t i = 0; i < n; i++) {
        const struct pass_piece *p = &l->pieces[i];
        assert_int_equal(p->part, wanted[i].part);
        assert_int_equal(p->layer, wanted[i].layer);
        assert_int_equal(l->of[i], phase);
        assert_true(p->seconds >= 0);
        assert_near(p->flop, wanted[i].flop, 0, part_name(wanted[i].part));
        assert_near(p->bytes, wanted[i].bytes, 0, part_name(wanted[i].part));
    }
}

/* One pass of a llama of one layer and one head, float32, and the logits of its last row. `seen`: positions that its
 * queries see, added up; `held`: those that there are. */
static void assert_pass(const struct log *l, enum phase phase, double n, double seen, double held)
{
    enum { F32 = 4 };
    const double w = WIDTH, f = FFN, square = w * w, wide = f * w, output = (double)TINY_VOCAB * w;
    const struct expected wanted[] = {
        {-1, PART_EMBED, 0, n * w * F32},
        {0, PART_NORM, 0, 0},
        {0, PART_REST, 0, 0},
        {0, PART_INPUTS, 0, 0},
        {0, PART_QKV, 2 * n * 3 * square, 3 * square * F32},
        {0, PART_ROPE, 0, 0},
        {0, PART_ROPE, 0, 0},
        {0, PART_ATTENTION, 2 * 2 * seen * w, held * 2 * w * F32},
        {0, PART_REST, 0, 0},
        {0, PART_INPUTS, 0, 0},
        {0, PART_O, 2 * n * square, square * F32},
        {0, PART_REST, 0, 0},
        {0, PART_NORM, 0, 0},
        {0, PART_REST, 0, 0},
        {0, PART_INPUTS, 0, 0},
        {0, PART_GATE_UP, 2 * n * 2 * wide, 2 * wide * F32},
        {0, PART_ACTIVATION, 0, 0},
        {0, PART_REST, 0, 0},
        {0, PART_INPUTS, 0, 0},
        {0, PART_DOWN, 2 * n * wide, wide * F32},
        {0, PART_REST, 0, 0},
        {-1, PART_NORM, 0, 0},
        {-1, PART_OUTPUT, 2 * output, output * F32},
    };
    assert_pieces(l, phase, wanted, sizeof wanted / sizeof *wanted);
    assert_int_equal(l->begins, 2);
    assert_int_equal(l->n_phases, 4); /* into the phase and out of it, by the pass and by its logits */
    assert_int_equal(l->phase, PHASE_SCORING);
}

static const int32_t ids[64] = {1, 7, 300, 8, 1200, 5, 6};

static struct span span_of(const struct model *m, struct cache *prefix, int64_t shared, int64_t n)
{
    struct error e;
    struct span s = {cache_new(m, prefix, shared, n, &e), ids, n, n - 1};
    assert_non_null(s.cache);
    return s;
}

/* A pass whose last row gets logits. */
static void run(const struct model *m, struct log *l, const struct span *spans, size_t n)
{
    struct error e;
    static float hidden[64 * WIDTH], logits[TINY_VOCAB];
    log_clear(l);
    assert_ok(model_forward(m, spans, n, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, 1, logits, &e), &e);
}

static void test_pass(void **state)
{
    (void)state;
    struct log *l = log_new();
    struct model *m = tiny_open(l, NULL, MATH_EXACT);
    l->phase = PHASE_SCORING;
    struct span s = span_of(m, NULL, 0, 5);
    run(m, l, &s, 1);
    assert_pass(l, PHASE_PREFILL, 5, 1 + 2 + 3 + 4 + 5, 5);
    s.count = 1, s.first_output = 0;
    run(m, l, &s, 1);
    assert_pass(l, PHASE_DECODE, 1, 6, 6);
    struct span two[] = {s, span_of(m, s.cache, 4, 1)}; /* the second behind four positions of the first */
    run(m, l, two, 2);
    assert_pass(l, PHASE_DECODE, 2, 7 + 5, 7 + 5);
    two[1].count = 2, two[1].first_output = 1;
    run(m, l, two, 2); /* one that brings several makes it a prefill */
    assert_pass(l, PHASE_PREFILL, 3, 8 + 6 + 7, 8 + 7);
    cache_free(two[1].cache);
    cache_free(s.cache);
    s = span_of(m, NULL, 0, 1);
    run(m, l, &s, 1); /* and so does a first token */
    assert_pass(l, PHASE_PREFILL, 1, 1, 1);
    cache_free(s.cache);
    log_clear(l);
    model_watch(m, NULL);
    assert_null(model_watched(m));
    s = span_of(m, NULL, 0, 5);
    run(m, l, &s, 1);
    assert_int_equal(l->n + l->n_phases + l->begins, 0);
    cache_free(s.cache);
    model_close(m);
    free(l);
}

/* A pass in slices is one phase, and each slice reads the weights again. */
static void test_slices(void **state)
{
    (void)state;
    enum { SPANS = 48, EACH = 64 };
    struct error e;
    struct log *l = log_new();
    struct model *m = tiny_open(l, NULL, MATH_EXACT);
    struct span spans[SPANS];
    for (size_t i = 0; i < SPANS; i++) {
        spans[i] = span_of(m, NULL, 0, EACH);
        spans[i].first_output = EACH;
    }
    log_clear(l);
    assert_ok(model_forward(m, spans, SPANS, NULL, NULL, &e), &e);
    double attention = 0, products = 0, bytes = 0;
    for (size_t i = 0; i < l->n; i++) {
        assert_int_equal(l->of[i], PHASE_PREFILL);
        if (l->pieces[i].part == PART_ATTENTION) attention += l->pieces[i].flop;
        if (l->pieces[i].part == PART_DOWN) products += l->pieces[i].flop, bytes += l->pieces[i].bytes;
    }
    assert_int_equal(l->begins, 2);
    assert_int_equal(l->n_phases, 2);
    assert_near(attention, 4.0 * SPANS * (EACH * (EACH + 1) / 2) * WIDTH, 0, "attention");
    assert_near(products, 2.0 * SPANS * EACH * FFN * WIDTH, 0, "products");
    assert_near(bytes, 2.0 * FFN * WIDTH * sizeof(float), 0, "bytes");
    for (size_t i = 0; i < SPANS; i++) cache_free(spans[i].cache);
    model_close(m);
    free(l);
}

/* --- times --- */

/* Telling takes a while, which is the next piece's: nothing between begin() and the last piece is lost or there twice.
 * No bound here depends on how fast the machine is. */
static void test_seconds(void **state)
{
    (void)state;
    struct error e;
    struct log *l = log_new();
    struct model *m = tiny_open(l, NULL, MATH_EXACT);
    static float hidden[8 * WIDTH];
    struct span s = span_of(m, NULL, 0, 8);
    log_clear(l);
    model_times_reset(m);
    l->sleep = 2000000;
    const double start = seconds_now();
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    double sum = 0, parts[PASS_PARTS] = {0};
    for (size_t i = 0; i < l->n; i++) {
        sum += l->pieces[i].seconds;
        parts[l->pieces[i].part] += l->pieces[i].seconds;
    }
    assert_true(sum >= l->last[0] - l->began); /* up to when the last but one had been told at least, */
    assert_true(sum <= l->last[1] - start);    /* and to when the last had been at most */
    assert_true(sum >= 1e-9 * (double)l->sleep * (double)l->n);
    struct model_times times;
    model_times(m, &times);
    for (size_t i = 0; i < PASS_PARTS; i++) assert_near(times.seconds[i], parts[i], 1e-9, part_name((enum pass_part)i));
    cache_free(s.cache);
    model_close(m);
    free(l);
}

/* --- whole models --- */

/* Every layer's products against its matrices, its attention against the hyper-parameters. */
static void assert_layers(const struct model *m, const struct log *l, double n)
{
    const struct hyper *h = model_hyper(m);
    for (int64_t layer = 0; layer < h->layers; layer++) {
        double elements = 0, bytes = 0, flop = 0, told = 0, attention[2] = {0};
        for (int role = 0; role < LINEARS; role++) {
            const struct matrix *w = model_linear(m, layer, (enum linear_role)role, NULL);
            if (w) elements += (double)(w->rows * w->cols), bytes += (double)w->bytes;
        }
        for (size_t i = 0; i < l->n; i++) {
            const struct pass_piece *p = &l->pieces[i];
            if (p->layer != layer) continue;
            double *const to[] = {p->part == PART_ATTENTION ? &attention[0] : &flop,
                                  p->part == PART_ATTENTION ? &attention[1] : &told};
            *to[0] += p->flop;
            *to[1] += p->bytes;
        }
        assert_near(flop, 2 * n * elements, 0, "products");
        assert_near(told, bytes, 0, "bytes");
        assert_near(attention[0], 4 * n * (n + 1) / 2 * (double)(h->heads * h->head), 0, "attention");
        assert_near(attention[1], n * 2 * (double)(h->kv_heads * h->head) * sizeof(float), 0, "keys and values");
    }
}

static void assert_model(const char *name, const char *spec)
{
    struct error e;
    struct log *l = log_new();
    struct model *m = model_shipped(name, spec);
    model_watch(m, &l->watch);
    struct span s = span_of(m, NULL, 0, 7);
    s.first_output = s.count;
    assert_ok(model_forward(m, &s, 1, NULL, NULL, &e), &e);
    assert_layers(m, l, 7);
    int64_t layer = -1;
    for (size_t i = 0; i + 1 < l->n; i++) { /* -1, 0, 1, ... and at the end -1 again */
        assert_true(l->pieces[i].layer == layer || l->pieces[i].layer == layer + 1);
        layer = l->pieces[i].layer;
    }
    assert_int_equal(layer, model_hyper(m)->layers - 1);
    assert_int_equal(l->pieces[l->n - 1].layer, -1);
    const bool places = strcmp(name, "gpt2") == 0; /* a row of the embedding, and one of positions */
    const double row = (double)m->embedding.bytes / (double)m->embedding.rows;
    assert_near(l->pieces[0].bytes, 7 * (row + (places ? 4.0 * (double)m->hyper.width : 0)), 1e-9, "embedding");
    cache_free(s.cache);
    model_close(m);
    free(l);
}

static void test_models(void **state)
{
    (void)state;
    assert_model("llama", NULL);
    assert_model("llama", "gguf:q4_k_m+fast"); /* of several types in a layer, which do not share inputs */
    assert_model("gpt2", "int8:absmax");
}

/* --- what parts multiply with --- */

static void assert_part(const struct model *m, int64_t layer, enum pass_part part, const char *weights,
                        const char *shape)
{
    char w[64], s[128];
    model_part_matrices(m, layer, part, w, sizeof w, s, sizeof s);
    assert_string_equal(w, weights);
    assert_string_equal(s, shape);
}

static void test_parts(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", "gguf:q4_k");
    assert_part(m, 0, PART_QKV, "q4_k", "256x256, 128x256, 128x256");
    assert_part(m, 5, PART_O, "q4_k", "256x256");
    assert_part(m, 0, PART_ATTENTION, "", "");
    assert_part(m, 0, PART_NORM, "", "");
    assert_part(m, -1, PART_EMBED, "", "");
    assert_part(m, -1, PART_QKV, "", "");
    assert_ptr_equal(model_output(m), m->output.backend ? &m->output : &m->embedding);
    char weights[4], shape[8]; /* cut, not overrun */
    model_part_matrices(m, 0, PART_QKV, weights, sizeof weights, shape, sizeof shape);
    assert_string_equal(weights, "q4_");
    assert_string_equal(shape, "256x256");
    model_close(m);
    m = model_shipped("llama", "gguf:q4_0,tensor=blk.0.attn_v.weight:q8_0");
    assert_part(m, 0, PART_QKV, "q4_0, q8_0", "256x256, 128x256, 128x256");
    model_close(m);
    m = model_shipped("gpt2", "int8:absmax+fast");
    assert_part(m, 0, PART_QKV, "int8:absmax", "768x256");
    model_close(m);
    m = model_shipped("gpt2", "f16");
    assert_part(m, -1, PART_OUTPUT, "f16", "1280x256");
    assert_part(m, 0, PART_GATE_UP, "f16", "1024x256");
    model_close(m);
}

/* --- memory --- */

/* What a pass is said to take is what it takes; one that finds no memory leaves all caches as they were. */
static void test_memory(void **state)
{
    (void)state;
    enum { TOKENS = 60 };
    struct error e;
    struct model *m = model_shipped("llama", NULL);
    struct span s = span_of(m, NULL, 0, TOKENS), broken[] = {s, span_of(m, NULL, 0, 0)};
    s.first_output = s.count;
    assert_ok(model_forward(m, &s, 1, NULL, NULL, &e), &e);
    const size_t said = pass_bytes(m, TOKENS, TOKENS);
    assert_true(said >= m->work->bytes && said < m->work->bytes + 512);
    broken[0].count = broken[0].first_output = 2;
    broken[1].count = broken[1].first_output = 2;
    broken[1].cache->width = INT64_C(1) << 56; /* more keys than there is memory for */
    assert_error(model_forward(m, broken, 2, NULL, NULL, &e), &e, ERROR_IO, "out of memory");
    assert_int_equal(cache_length(broken[0].cache), TOKENS);
    assert_int_equal(cache_length(broken[1].cache), 0);
    cache_free(broken[0].cache);
    cache_free(broken[1].cache);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loading), cmocka_unit_test(test_calibrating), cmocka_unit_test(test_failing),
        cmocka_unit_test(test_pass),    cmocka_unit_test(test_slices),      cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_models),  cmocka_unit_test(test_parts),       cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("models/watch", tests, NULL, NULL);
}
