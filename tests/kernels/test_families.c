/* The checks of `kerf kernels`: every case of every family passes under every instruction set, wherever its buffers lie;
 * and a kernel that is broken in any of the ways that kernels break is found, by its family's own cases. */
#include "cli/kernels/check.h"
#include "tests/testing.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 7 };

/* Output of the row "c", to be freed; NULL where rows promise no bits. */
static void *output_of_c(struct kernel_fixture *x)
{
    size_t bytes;
    struct kernel_verdict v;
    if (!x->family->output) return NULL;
    kernel_fixture_check(x, kernels_at(0), NULL, &v);
    const void *output = x->family->output(x->own, &bytes);
    void *copy = malloc(bytes);
    assert_non_null(copy);
    return memcpy(copy, output, bytes);
}

static void assert_case(const struct kernel_family *f, size_t i, enum buffer_place place)
{
    struct kernel_fixture x;
    struct error e;
    assert_ok(kernel_fixture_open(&x, f, i, place, SEED, &e), &e);
    void *same = output_of_c(&x);
    for (size_t t = 0; kernels_at(t); t++) {
        struct kernel_verdict v;
        if (!f->has(kernels_at(t), &x.its)) continue;
        kernel_fixture_check(&x, kernels_at(t), same, &v);
        if (v.wrong || v.error > 1)
            fail_msg("%s: %s %s %s %s, place %d: %s", kernels_at(t)->name, x.its.kernel, x.its.variant, x.its.shape,
                     x.its.content, (int)place, v.words);
        kernel_fixture_run(&x, kernels_at(t)); /* what is measured: it writes the same once more */
        f->check(x.own, &v);
        assert_false(v.wrong);
    }
    free(same);
    kernel_fixture_close(&x);
}

static void test_all(void **state)
{
    (void)state;
    struct kernel_case c;
    for (size_t t = 0; kernels_at(t); t++) print_message("checking %s\n", kernels_at(t)->name);
    size_t cases = 0;
    const struct kernel_family *f;
    for (size_t at = 0; (f = kernel_family_at(at)); at++)
        for (size_t i = 0; f->describe(i, &c); i++, cases++)
            for (int place = 0; place < BUFFER_PLACES; place++)
                if (test_items(BUFFER_PLACES) == BUFFER_PLACES || (size_t)place == i % BUFFER_PLACES)
                    assert_case(f, i, (enum buffer_place)place);
    print_message("%zu cases\n", cases);
    assert_true(cases > 1000);
}

/* Names are one case's own; what is measured is random, of two shapes; and each slot of the table has its family. */
static void test_names(void **state)
{
    (void)state;
    enum { MOST = 4000 };
    static char names[MOST][160];
    size_t count = 0;
    const struct kernel_family *f;
    struct kernel_case c;
    for (size_t at = 0; (f = kernel_family_at(at)); at++) {
        int measured = 0, variants = 0;
        char variant[sizeof c.variant] = "-";
        for (size_t i = 0; f->describe(i, &c); i++, count++) {
            assert_true(count < MOST && c.work > 0 && f->has(kernels_at(0), &c));
            assert_string_equal(c.kernel, f->name);
            snprintf(names[count], sizeof *names, "%s %s %s %s", c.kernel, c.variant, c.shape, c.content);
            for (size_t j = 0; j < count; j++)
                if (strcmp(names[j], names[count]) == 0) fail_msg("twice: %s", names[count]);
            variants += strcmp(variant, c.variant) != 0;
            strcpy(variant, c.variant);
            measured += c.measured;
            if (c.measured) assert_string_equal(c.content, "random");
        }
        assert_int_equal(measured, 2 * variants);
        assert_false(f->describe(count + MOST, &c));
    }
}

/* --- kernels that are broken --- */

enum fault {
    LITTLE,     /* one lane is off by 1/64 of itself */
    LAST_BIT,   /* one lane is the next float32: only the bits of "c" tell */
    RAGGED,     /* what 16 lanes do not hold is 0 */
    SKIPS,      /* nothing is done */
    HIDES,      /* NaN becomes 0 */
    LIMITS,     /* infinity becomes a large number */
    WRITES,     /* one element past the output */
    WRITES_LOW, /* and before it */
    READS,      /* one element past an input */
    OVERWRITES, /* an input's first */
    FAULTS,
};
static const char *const words[FAULTS] = {[WRITES] = "past the end of buffer",
                                          [WRITES_LOW] = "before buffer",
                                          [READS] = "touches memory 0 bytes past the end",
                                          [OVERWRITES] = "an input",
                                          [LAST_BIT] = "same bits"};

/* Functions behind a table are given nothing else to know it by. */
static enum fault fault;
static const struct kernels *honest;

static void damage_float(float *out, int64_t n)
{
    float *at = &out[n > 5 ? 5 : n - 1];
    if (fault == LITTLE) *at *= 1 + 0x1p-6f;
    if (fault == LAST_BIT) *at = nextafterf(*at, 1e30f);
    if (fault == RAGGED && n % 16) out[n - 1] = 0;
    for (int64_t i = 0; fault == HIDES && i < n; i++)
        if (isnan(out[i])) out[i] = 0;
    for (int64_t i = 0; fault == LIMITS && i < n; i++)
        if (isinf(out[i])) out[i] = copysignf(3e38f, out[i]);
}

/* What went beside its buffers. */
static void damage_memory(void *out, int64_t bytes, size_t size, const void *in, int64_t in_bytes)
{
    if (fault == WRITES && out) memset((char *)out + bytes, 1, size);
    if (fault == WRITES_LOW && out) memset((char *)out - size, 1, size);
    if (fault == READS) (void)*((const volatile char *)in + in_bytes);
    if (fault == OVERWRITES) *(char *)(uintptr_t)in ^= 1;
}

static void damage(float *out, int64_t n, const void *in, int64_t in_bytes)
{
    damage_float(out, n);
    damage_memory(out, n * (int64_t)sizeof *out, sizeof *out, in, in_bytes);
}

enum { KIND = DTYPE_Q4_K, SIZE = sizeof(float) };

static int64_t tile_bytes(const struct tile *t) { return t->cols / 256 * 144 * TILE_ROWS; }

static void bad_products(const struct tile_format *f, const struct panel *w, int tiles, const struct quantized *x,
                         int64_t n, int64_t cols, float *y, int64_t stride)
{
    if (fault == SKIPS) return;
    honest->products(f, w, tiles, x, n, cols, y, stride);
    if (fault == HIDES)
        damage_float(y, (n - 1) * stride + tiles * TILE_ROWS);
    else
        damage_float(y + (n - 1) * stride, tiles * TILE_ROWS - (fault == RAGGED));
    damage_memory(y, ((n - 1) * stride + tiles * TILE_ROWS) * SIZE, SIZE, x->q, n * cols);
    if (fault == RAGGED && n > 1) y[tiles * TILE_ROWS] = 0; /* what lies between rows */
}
static void bad_unpack(const struct tile *t, const struct panel *out)
{
    if (fault == SKIPS) return;
    honest->tiles[KIND]->unpack(t, out);
    damage(out->scales, t->cols / 32 * TILE_ROWS, t->bytes, tile_bytes(t));
}
static void bad_dot(const struct tile *t, const struct quantized *x, float *y)
{
    if (fault == SKIPS) return;
    honest->tiles[KIND]->dot(t, x, y);
    damage(y, TILE_ROWS, t->bytes, tile_bytes(t));
}
static void bad_weights(const struct tile *t, float *out)
{
    if (fault == SKIPS) return;
    honest->tiles[KIND]->weights(t, out);
    damage(out, t->cols * TILE_ROWS, t->bytes, tile_bytes(t));
}
static void bad_dot_weights(const struct tile *t, int count, const float *x, float *y)
{
    if (fault == SKIPS) return;
    honest->tiles[KIND]->dot_weights(t, count, x, y);
    damage(y, count * TILE_ROWS, x, t->cols * SIZE);
}
static void bad_float_dot(const uint8_t *tiles, size_t step, int64_t count, const float *x, int64_t cols, float *y)
{
    if (fault == SKIPS) return;
    honest->float_tiles[DTYPE_F16]->dot(tiles, step, count, x, cols, y);
    damage(y, count * TILE_ROWS, x, cols * SIZE);
}
static void bad_float_unpack(const uint8_t *tile, int64_t cols, float *out)
{
    if (fault == SKIPS) return;
    honest->float_tiles[DTYPE_F16]->unpack(tile, cols, out);
    damage(out, cols * TILE_ROWS, tile, cols * TILE_ROWS * 2);
}
static void bad_gemm(const float *a, int64_t lda, int64_t m, const float *b, int64_t b_row, int64_t b_tile, int tiles,
                     int64_t k, float *c, int64_t ldc, enum gemm_mode mode)
{
    if (fault == SKIPS) return;
    honest->gemm(a, lda, m, b, b_row, b_tile, tiles, k, c, ldc, mode);
    damage_float(c, tiles * TILE_ROWS + (fault == RAGGED));
    damage_memory(c, ((m - 1) * ldc + tiles * TILE_ROWS) * SIZE, SIZE, a, ((m - 1) * lda + k) * SIZE);
}
static void bad_transpose(const float *rows, int64_t stride, int64_t cols, float *out)
{
    if (fault == SKIPS) return;
    honest->transpose(rows, stride, cols, out);
    damage(out, cols * TILE_ROWS, rows, ((TILE_ROWS - 1) * stride + cols) * SIZE);
}
static void bad_quantize(const struct tile_format *f, const float *x, int64_t cols, const struct quantized *row)
{
    if (fault == SKIPS) return;
    honest->quantize_inputs(f, x, cols, row);
    if (fault == LITTLE) row->q[5]++;
    if (fault == HIDES) damage_float(row->d, cols / f->block);
    damage_memory(row->q, cols, 1, x, cols * SIZE);
}
static void bad_round(enum input_kind kind, const float *x, int64_t n, float *y)
{
    if (fault == SKIPS) return;
    honest->round_inputs(kind, x, n, y);
    damage(y, n, x, n * SIZE);
}
static void bad_decode(const void *blocks, float *out, int64_t n)
{
    if (fault == SKIPS) return;
    honest->decode[KIND](blocks, out, n);
    damage(out, n, blocks, n / 256 * 144);
}
static void bad_encode(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    if (fault == SKIPS) return;
    honest->encode[DTYPE_Q8_0](x, importance, out, n);
    if (fault == LITTLE) out[5] = (uint8_t)(out[5] + 2);
    damage_memory(out, n / 32 * 34, 1, x, n * SIZE);
}
static void bad_affine(const int8_t *q, int zero, float scale, float *out, int64_t n)
{
    if (fault == SKIPS) return;
    honest->affine_i8(q, zero, scale, out, n);
    damage(out, n, q, n);
}
static void bad_add(float *x, const float *y, int64_t n)
{
    if (fault == SKIPS) return;
    honest->add(x, y, n);
    damage(x, n, y, n * SIZE);
}
static void bad_softmax(float *x, float scale, int64_t n)
{
    if (fault == SKIPS) return;
    honest->softmax(x, scale, n);
    damage(x, n, x, n * SIZE);
}
static void bad_rms_norm(const float *x, const float *weight, float eps, int64_t n, float *y)
{
    if (fault == SKIPS) return;
    honest->rms_norm(x, weight, eps, n, y);
    damage(y, n, weight, n * SIZE);
}
static void bad_layer_norm(const float *x, const float *weight, const float *bias, float eps, int64_t n, float *y)
{
    if (fault == SKIPS) return;
    honest->layer_norm(x, weight, bias, eps, n, y);
    damage(y, n, x, n * SIZE);
}
static void bad_rope(float *x, const float *turn, int64_t dims, bool interleaved)
{
    if (fault == SKIPS) return;
    honest->rope(x, turn, dims, interleaved);
    damage(x, dims, turn, dims * SIZE);
}
static void bad_silu(float *gate, const float *up, int64_t n)
{
    if (fault == SKIPS) return;
    honest->silu_multiply(gate, up, n);
    damage(gate, n, up, n * SIZE);
}
static void bad_gelu(float *x, int64_t n)
{
    if (fault == SKIPS) return;
    honest->gelu_tanh(x, n);
    damage(x, n, x, n * SIZE);
}
static double bad_log_sum_exp(const float *x, int64_t n)
{
    double y = honest->log_sum_exp(x, n - (fault == RAGGED ? n % 16 : 0));
    damage_memory(NULL, 0, 0, x, n * SIZE);
    return fault == LITTLE              ? y * (1 + 0x1p-12)
           : fault == LAST_BIT          ? nextafter(y, 1e30)
           : fault == HIDES && isnan(y) ? 0
                                        : y;
}
static int64_t bad_argmax(const float *x, int64_t n)
{
    damage_memory(NULL, 0, 0, x, n * SIZE);
    return fault == SKIPS ? 0 : honest->argmax(x, n) + (fault == LITTLE);
}

/* An honest row of the table but for one slot. */
struct bad_row {
    struct kernels k;
    struct tile_kernels tile;
    struct float_tile_kernels floats;
};

static void spoil(struct bad_row *row, const char *kernel)
{
    struct kernels *k = &row->k;
    *row = (struct bad_row){*honest, *honest->tiles[KIND], *honest->float_tiles[DTYPE_F16]};
    k->tiles[KIND] = &row->tile;
    k->float_tiles[DTYPE_F16] = &row->floats;
    if (strcmp(kernel, "products") == 0) k->products = bad_products;
    if (strcmp(kernel, "unpack") == 0) row->tile.unpack = bad_unpack;
    if (strcmp(kernel, "dot") == 0) row->tile.dot = bad_dot;
    if (strcmp(kernel, "weights") == 0) row->tile.weights = bad_weights;
    if (strcmp(kernel, "dot_weights") == 0) row->tile.dot_weights = bad_dot_weights;
    if (strcmp(kernel, "dot_floats") == 0) row->floats.dot = bad_float_dot;
    if (strcmp(kernel, "unpack_floats") == 0) row->floats.unpack = bad_float_unpack;
    if (strcmp(kernel, "gemm") == 0) k->gemm = bad_gemm;
    if (strcmp(kernel, "transpose") == 0) k->transpose = bad_transpose;
    if (strcmp(kernel, "quantize_inputs") == 0) k->quantize_inputs = bad_quantize;
    if (strcmp(kernel, "round_inputs") == 0) k->round_inputs = bad_round;
    if (strcmp(kernel, "decode") == 0) k->decode[KIND] = bad_decode;
    if (strcmp(kernel, "encode") == 0) k->encode[DTYPE_Q8_0] = bad_encode;
    if (strcmp(kernel, "affine_i8") == 0) k->affine_i8 = bad_affine;
    if (strcmp(kernel, "add") == 0) k->add = bad_add;
    if (strcmp(kernel, "softmax") == 0) k->softmax = bad_softmax;
    if (strcmp(kernel, "rms_norm") == 0) k->rms_norm = bad_rms_norm;
    if (strcmp(kernel, "layer_norm") == 0) k->layer_norm = bad_layer_norm;
    if (strcmp(kernel, "rope") == 0) k->rope = bad_rope;
    if (strcmp(kernel, "silu_multiply") == 0) k->silu_multiply = bad_silu;
    if (strcmp(kernel, "gelu_tanh") == 0) k->gelu_tanh = bad_gelu;
    if (strcmp(kernel, "log_sum_exp") == 0) k->log_sum_exp = bad_log_sum_exp;
    if (strcmp(kernel, "argmax") == 0) k->argmax = bad_argmax;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

/* Whether a kernel can be broken so. */
static bool can_be(const char *kernel)
{
    static const char *const no_output[] = {"log_sum_exp", "argmax", NULL};
    static const char *const in_place[] = {"softmax", "gelu_tanh", NULL};
    static const char *const by_tiles[] = {"unpack",     "dot",           "weights",   "dot_weights",
                                           "dot_floats", "unpack_floats", "transpose", "quantize_inputs",
                                           "decode",     "encode",        "argmax",    NULL};
    static const char *const no_nan[] = {"unpack", "weights", "encode", "argmax", NULL};
    static const char *const infinite[] = {
        "dot_weights", "dot_floats",    "unpack_floats", "gemm", "round_inputs", "affine_i8", "add",
        "rope",        "silu_multiply", "gelu_tanh",     NULL};
    static const char *const bytes[] = {"quantize_inputs", "encode", "argmax", "transpose", NULL};
    switch (fault) {
    case RAGGED:
        return !is_one_of(kernel, by_tiles);
    case HIDES:
        return !is_one_of(kernel, no_nan);
    case LIMITS:
        return is_one_of(kernel, infinite);
    case LAST_BIT:
        return !is_one_of(kernel, bytes);
    case SKIPS:
        return strcmp(kernel, "log_sum_exp") != 0;
    case WRITES:
    case WRITES_LOW:
        return !is_one_of(kernel, no_output);
    case OVERWRITES:
        return !is_one_of(kernel, in_place);
    default:
        return true;
    }
}

/* Whether any case finds it, and says what it is. */
static bool is_found(const struct kernel_family *f, const struct kernels *bad, char *said, size_t size)
{
    struct kernel_case c;
    bool found = false;
    for (size_t i = 0; f->describe(i, &c); i++)
        for (int place = 0; place < BUFFER_PLACES; place++) {
            struct kernel_fixture x;
            struct kernel_verdict v;
            struct error e;
            if (f == kernel_family_at(0) && strcmp(c.variant, "q4_k")) continue; /* any would do */
            assert_ok(kernel_fixture_open(&x, f, i, (enum buffer_place)place, SEED, &e), &e);
            void *same = fault == LAST_BIT ? output_of_c(&x) : NULL;
            kernel_fixture_check(&x, bad, same, &v);
            if (v.wrong) snprintf(said, size, "%s", v.words);
            found = v.wrong && (!words[fault] || strstr(v.words, words[fault]));
            found |= fault == LAST_BIT && v.error > 1; /* where results are exact */
            free(same);
            kernel_fixture_close(&x);
            if (found) return true;
        }
    return false;
}

static void test_broken(void **state)
{
    (void)state;
    const struct kernel_family *f;
    for (size_t t = 0; kernels_at(t); t++) honest = kernels_at(t);
    int count = 0;
    for (size_t at = 0; (f = kernel_family_at(at)); at++)
        for (fault = LITTLE; fault < FAULTS; fault++) {
            struct bad_row bad;
            char said[200] = "nothing";
            if (!can_be(f->name)) continue;
            spoil(&bad, f->name);
            if (!is_found(f, &bad.k, said, sizeof said))
                fail_msg("%s: fault %d was not found; found: %s", f->name, (int)fault, said);
            count++;
        }
    print_message("%d faults\n", count);
    assert_true(count > 150);
}

static void lost_add(float *x, const float *y, int64_t n) { *(volatile float *)(uintptr_t)n = *y; }

/* A kernel that touches what is nobody's is found too; and afterwards signals go where they went before. */
static void test_signals(void **state)
{
    (void)state;
    struct sigaction mine = {.sa_handler = SIG_IGN}, before, after;
    struct kernels bad = *kernels_at(0);
    struct kernel_fixture x;
    struct kernel_verdict v;
    struct error e;
    const struct kernel_family *f = NULL;
    for (size_t i = 0; !f || strcmp(f->name, "add"); i++) f = kernel_family_at(i);
    bad.add = lost_add;
    sigemptyset(&mine.sa_mask);
    sigaction(SIGSEGV, &mine, &before);
    assert_ok(kernel_fixture_open(&x, f, 0, BUFFER_AT_END, SEED, &e), &e);
    for (int turn = 0; turn < 2; turn++) {
        kernel_fixture_check(&x, &bad, NULL, &v);
        assert_true(v.wrong);
        assert_string_equal(v.words, "touches memory far from all buffers");
    }
    sigaction(SIGSEGV, &before, &after);
    assert_true(after.sa_handler == SIG_IGN);
    kernel_fixture_check(&x, kernels_at(0), NULL, &v); /* the fixture is as good as before */
    assert_false(v.wrong);
    kernel_fixture_close(&x);
    assert_error(kernel_fixture_open(&x, f, 100000, BUFFER_AT_END, SEED, &e), &e, ERROR_USAGE, "add: there is no case");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_broken), cmocka_unit_test(test_signals)};
    return cmocka_run_group_tests_name("kernels/families", tests, NULL, NULL);
}
