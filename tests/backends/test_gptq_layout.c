/* GPTQ's layout: against vectors, against a packer that is slow and written apart, and against what does not fit. */
#include "engine/backends/gptq.h"
#include "engine/base/random.h"
#include "engine/formats/safetensors.h"
#include "engine/kernels/half.h"
#include "tests/testing.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tensor tensor_of(const char *name, const void *data, enum dtype_id type, int64_t rows, int64_t cols)
{
    struct tensor t = {.name = name, .type = type, .n_dims = cols ? 2 : 1, .shape = {rows, cols ? cols : 1, 1, 1}};
    assert_true(tensor_bytes(type, t.n_dims, t.shape, &t.bytes));
    t.data = data;
    return t;
}

/* --- an independent packer: one bit at a time --- */

struct case_of {
    int64_t bits, group, rows, cols, groups;
    uint8_t *code, *zero; /* [rows, cols], [rows, groups] */
    uint16_t *scale;      /* [rows, groups] */
    int32_t *g_idx;       /* [cols] */
    uint32_t *qweight, *qzeros;
    uint16_t *scales; /* [groups, rows] */
    struct tensor t[4];
};

static void put_bit(uint32_t *words, int64_t stride, int64_t place, uint32_t bit)
{
    words[place / 32 * stride] |= bit << (place % 32);
}

static void fill_words(struct case_of *k, enum gptq_zeros zeros)
{
    int64_t bits = k->bits, across = k->rows * bits / 32;
    memset(k->qweight, 0, (size_t)(k->cols * bits / 32 * k->rows) * 4);
    memset(k->qzeros, 0, (size_t)(k->groups * across) * 4);
    for (int64_t r = 0; r < k->rows; r++) {
        for (int64_t c = 0; c < k->cols; c++)
            for (int64_t b = 0; b < bits; b++)
                put_bit(k->qweight + r, k->rows, c * bits + b, (unsigned)k->code[r * k->cols + c] >> b & 1u);
        for (int64_t g = 0; g < k->groups; g++) {
            int stored = k->zero[r * k->groups + g] - (zeros == GPTQ_V1);
            for (int64_t b = 0; b < bits; b++)
                put_bit(k->qzeros + g * across, 1, r * bits + b, (uint32_t)stored >> b & 1u);
            k->scales[g * k->rows + r] = k->scale[r * k->groups + g];
        }
    }
}

static struct case_of case_new(int64_t bits, int64_t group, int64_t rows, int64_t cols, bool act, uint64_t seed)
{
    struct case_of k = {.bits = bits, .group = group, .rows = rows, .cols = cols};
    struct random random = {seed};
    k.groups = group < 0 ? 1 : (cols + group - 1) / group;
    k.code = calloc((size_t)(rows * cols), 1);
    k.zero = calloc((size_t)(rows * k.groups), 1);
    k.scale = calloc((size_t)(rows * k.groups), 2);
    k.scales = calloc((size_t)(rows * k.groups), 2);
    k.g_idx = calloc((size_t)cols, 4);
    k.qweight = calloc((size_t)(rows * cols * bits / 32), 4);
    k.qzeros = calloc((size_t)(rows * k.groups * bits / 32), 4);
    assert_true(k.code && k.zero && k.scale && k.scales && k.g_idx && k.qweight && k.qzeros);
    for (int64_t i = 0; i < rows * cols; i++) k.code[i] = (uint8_t)random_below(&random, 1u << bits);
    for (int64_t i = 0; i < rows * k.groups; i++) {
        k.zero[i] = (uint8_t)random_below(&random, 1u << bits);
        k.scale[i] = (uint16_t)(1 + random_below(&random, 0x7bff)); /* any positive number, subnormal ones too */
    }
    for (int64_t c = 0; c < cols; c++)
        k.g_idx[c] = act ? (int32_t)random_below(&random, (uint32_t)k.groups) : (int32_t)(group < 0 ? 0 : c / group);
    k.t[0] = tensor_of("q_proj.qweight", k.qweight, DTYPE_I32, cols * bits / 32, rows);
    k.t[1] = tensor_of("q_proj.qzeros", k.qzeros, DTYPE_I32, k.groups, rows * bits / 32);
    k.t[2] = tensor_of("q_proj.scales", k.scales, DTYPE_F16, k.groups, rows);
    k.t[3] = tensor_of("q_proj.g_idx", k.g_idx, DTYPE_I32, cols, 0);
    return k;
}

static struct gptq_stored stored(const struct case_of *k, enum gptq_zeros zeros, bool index)
{
    return (struct gptq_stored){"q_proj", &k->t[0], &k->t[1], &k->t[2], index ? &k->t[3] : NULL, k->group, zeros};
}

static void case_free(struct case_of *k)
{
    free(k->code);
    free(k->zero);
    free(k->scale);
    free(k->scales);
    free(k->g_idx);
    free(k->qweight);
    free(k->qzeros);
}

/* --- both ways --- */

static void assert_parts(const struct matrix *m, enum gptq_zeros zeros, const struct gptq_stored *w)
{
    struct gptq_parts p;
    struct error e;
    assert_ok(gptq_unadopt(m, zeros, &p, &e), &e);
    assert_int_equal(p.words, w->qweight->shape[0]);
    assert_int_equal(p.zero_words, w->qzeros->shape[1]);
    assert_int_equal(p.groups, w->scales->shape[0]);
    assert_memory_equal(p.qweight, w->qweight->data, w->qweight->bytes);
    assert_memory_equal(p.qzeros, w->qzeros->data, w->qzeros->bytes);
    assert_memory_equal(p.scales, w->scales->data, w->scales->bytes);
    if (w->g_idx) assert_memory_equal(p.g_idx, w->g_idx->data, w->g_idx->bytes);
    gptq_parts_free(&p);
}

static void assert_values(const struct matrix *m, const struct case_of *k)
{
    float *w = calloc((size_t)(k->rows * k->cols), sizeof *w);
    assert_non_null(w);
    matrix_unpack(m, 0, k->rows, w);
    for (int64_t r = 0; r < k->rows; r++)
        for (int64_t c = 0; c < k->cols; c++) {
            int64_t g = r * k->groups + k->g_idx[c];
            float wanted = f32_from_f16(k->scale[g]) * (float)(k->code[r * k->cols + c] - k->zero[g]);
            if (w[r * k->cols + c] != wanted)
                fail_msg("%d bits, group %d: [%d, %d] is %g instead of %g", (int)k->bits, (int)k->group, (int)r, (int)c,
                         (double)w[r * k->cols + c], (double)wanted);
        }
    free(w);
}

static void test_both_ways(void **state)
{
    (void)state;
    static const int64_t bits[] = {2, 3, 4, 8}, groups[] = {-1, 8, 32, 40, 128, 1000};
    for (size_t b = 0; b < 4; b++)
        for (size_t i = 0; i < 6; i++)
            for (int act = 0; act < 2; act++) {
                struct case_of k = case_new(bits[b], groups[i], 32, 608, act, b * 100 + i * 10 + (uint64_t)act);
                for (int v = GPTQ_V1; v <= GPTQ_V2; v++) {
                    enum gptq_zeros zeros = (enum gptq_zeros)v, other = zeros == GPTQ_V1 ? GPTQ_V2 : GPTQ_V1;
                    struct gptq_stored w = stored(&k, zeros, true);
                    struct matrix m, again;
                    struct error e;
                    fill_words(&k, zeros);
                    assert_ok(gptq_adopt(&m, &w, k.rows, k.cols, &e), &e);
                    assert_true(m.backend == &backend_gptq);
                    assert_null(m.data);
                    size_t grids = (size_t)(k.rows * k.groups);
                    bool index = act && k.groups > 1;
                    assert_int_equal(m.bytes, k.t[0].bytes + 3 * grids + (index ? k.t[3].bytes : 0));
                    assert_values(&m, &k);
                    assert_parts(&m, zeros, &w);
                    if (!act) { /* the same without an index */
                        struct gptq_stored bare = stored(&k, zeros, false);
                        assert_ok(gptq_adopt(&again, &bare, k.rows, k.cols, &e), &e);
                        assert_values(&again, &k);
                        matrix_free(&again);
                    }
                    fill_words(&k, other); /* written the other way, and read back from there */
                    w.zeros = other;
                    assert_parts(&m, other, &w);
                    assert_ok(gptq_adopt(&again, &w, k.rows, k.cols, &e), &e);
                    assert_values(&again, &k);
                    matrix_free(&again);
                    matrix_free(&m);
                }
                case_free(&k);
            }
}

/* --- vectors --- */

static void check_vector(const char *path)
{
    struct safetensors *s;
    struct error e;
    assert_ok(safetensors_open(&s, path, &e), &e);
    char header[2048];
    snprintf(header, sizeof header, "%s", (const char *)safetensors_bytes(s) + 8);
    const char *group = strstr(header, "\"group_size\":\"");
    assert_non_null(group);
    const struct tensor *values = safetensors_tensor(s, "dequantized");
    struct gptq_stored w = {.name = "vector",
                            .qweight = safetensors_tensor(s, "qweight"),
                            .qzeros = safetensors_tensor(s, "qzeros"),
                            .scales = safetensors_tensor(s, "scales"),
                            .g_idx = safetensors_tensor(s, "g_idx"),
                            .group_size = strtoll(group + strlen("\"group_size\":\""), NULL, 10),
                            .zeros = strstr(header, "\"checkpoint_format\":\"gptq_v2\"") ? GPTQ_V2 : GPTQ_V1};
    assert_true(values && w.qweight && w.qzeros && w.scales && w.g_idx);
    struct matrix m, again;
    int64_t rows = values->shape[0], cols = values->shape[1];
    assert_ok(gptq_adopt(&m, &w, rows, cols, &e), &e);
    float *got = calloc((size_t)(rows * cols), sizeof *got);
    assert_non_null(got);
    matrix_unpack(&m, 0, rows, got);
    if (memcmp(got, values->data, values->bytes)) fail_msg("%s: other values", path);
    assert_parts(&m, w.zeros, &w);
    struct gptq_parts p; /* and by way of the other convention */
    enum gptq_zeros other = w.zeros == GPTQ_V1 ? GPTQ_V2 : GPTQ_V1;
    assert_ok(gptq_unadopt(&m, other, &p, &e), &e);
    struct tensor zeros = *w.qzeros;
    zeros.data = p.qzeros;
    struct gptq_stored turned = w;
    turned.qzeros = &zeros;
    turned.zeros = other;
    assert_ok(gptq_adopt(&again, &turned, rows, cols, &e), &e);
    assert_parts(&again, w.zeros, &w);
    gptq_parts_free(&p);
    matrix_free(&again);
    matrix_free(&m);
    free(got);
    safetensors_close(s);
}

static void test_vectors(void **state)
{
    (void)state;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", shared_path("vectors/gptq"));
    DIR *d = opendir(folder);
    assert_non_null(d);
    size_t seen = 0;
    for (struct dirent *f; (f = readdir(d));) {
        if (!strstr(f->d_name, ".safetensors")) continue;
        char path[8192];
        snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
        check_vector(path);
        seen++;
    }
    closedir(d);
    assert_true(seen >= 48);
}

/* --- what does not fit --- */

static void refuse(struct gptq_stored w, int64_t rows, int64_t cols, enum error_code code, const char *says)
{
    struct matrix m;
    struct error e;
    assert_error(gptq_adopt(&m, &w, rows, cols, &e), &e, code, says);
    assert_null(m.own);
}

static void test_shapes(void **state)
{
    (void)state;
    struct case_of k = case_new(4, 32, 32, 96, false, 1);
    fill_words(&k, GPTQ_V1);
    struct gptq_stored w = stored(&k, GPTQ_V1, true);
    refuse(w, 64, 96, ERROR_INPUT, "q_proj.qweight: I32 [12, 32], where a matrix of 64 outputs has I32 [words, 64]");
    struct tensor five = tensor_of("q_proj.qweight", k.qweight, DTYPE_I32, 10, 32);
    w.qweight = &five;
    refuse(w, 32, 64, ERROR_INPUT,
           "q_proj.qweight: 10 words for 64 inputs are 5 bits each, where GPTQ has 2, 3, 4 or 8");
    refuse(w, 32, 79, ERROR_INPUT, "where GPTQ has");
    refuse(w, 32, 1, ERROR_INPUT, "where GPTQ has");
    w = stored(&k, GPTQ_V1, true);
    w.group_size = 64;
    refuse(w, 32, 96, ERROR_INPUT, "q_proj.qzeros: shape [3, 4], where [32, 96] of 4 bits in groups of 64 has [2, 4]");
    w.group_size = 0;
    refuse(w, 32, 96, ERROR_INPUT, "q_proj: a group size of 0 columns");
    struct tensor scales = tensor_of("q_proj.scales", k.scales, DTYPE_F16, 2, 48), bf16 = k.t[2];
    w = stored(&k, GPTQ_V1, true);
    w.scales = &scales;
    refuse(w, 32, 96, ERROR_INPUT, "q_proj.scales: shape [2, 48], where");
    bf16.type = DTYPE_BF16;
    w.scales = &bf16;
    refuse(w, 32, 96, ERROR_INPUT, "q_proj.scales: type BF16, where GPTQ has F16");
    struct tensor index = tensor_of("q_proj.g_idx", k.g_idx, DTYPE_I32, 95, 0);
    w = stored(&k, GPTQ_V1, true);
    w.g_idx = &index;
    refuse(w, 32, 96, ERROR_INPUT, "q_proj.g_idx: must be I32 [96]");
    struct tensor narrow = tensor_of("q_proj.qweight", k.qweight, DTYPE_I32, 12, 20);
    w = stored(&k, GPTQ_V1, true);
    w.qweight = &narrow;
    refuse(w, 20, 96, ERROR_INPUT, "zero points of 4 bits for 20 outputs do not fill words");
    case_free(&k);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        uint16_t scale;
        enum error_code code;
        const char *says;
    } bad[] = {{0x7e00, ERROR_NUMBER, "q_proj.scales: element [2, 5] is nan: scales must be positive and finite"},
               {0x7c00, ERROR_NUMBER, "element [2, 5] is inf"},
               {0x0000, ERROR_INPUT, "element [2, 5] is 0"},
               {0x8000, ERROR_INPUT, "element [2, 5] is -0"},
               {0xbc00, ERROR_INPUT, "element [2, 5] is -1"}};
    struct case_of k = case_new(3, 32, 32, 96, true, 2);
    fill_words(&k, GPTQ_V1);
    struct gptq_stored w = stored(&k, GPTQ_V1, true);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        k.scales[2 * 32 + 5] = bad[i].scale;
        refuse(w, 32, 96, bad[i].code, bad[i].says);
    }
    k.scales[2 * 32 + 5] = 0x3c00;
    k.g_idx[50] = 3;
    refuse(w, 32, 96, ERROR_INPUT, "q_proj.g_idx: element 50: group 3 of 3");
    k.g_idx[50] = -1;
    refuse(w, 32, 96, ERROR_INPUT, "q_proj.g_idx: element 50: group -1 of 3");
    case_free(&k);
}

/* Rounded to 4 bits any matrix can be; words that are not full cannot be written. */
static void test_unwritable(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, cols;
        const char *spec, *says;
    } cases[] = {{20, 64, "rtn:4", "a matrix [20, 64] cannot be written in GPTQ's layout: codes of 4 bits must fill"},
                 {32, 60, "rtn:4", "a matrix [32, 60] cannot be written"},
                 {32, 48, "rtn:3", "a matrix [32, 48] cannot be written"},
                 {32, 64, "f16", "backend \"f16\": cannot be written in GPTQ's layout"}};
    float w[64 * 64];
    fill_random(w, 64 * 64, 1.f, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend_options how;
        struct matrix m;
        struct gptq_parts p;
        struct error e;
        struct tensor t = tensor_of("w", w, DTYPE_F32, cases[i].rows, cases[i].cols);
        assert_ok(backend_parse(&how, cases[i].spec, &e), &e);
        assert_ok(matrix_pack(&m, &t, &how, NULL, &e), &e);
        assert_error(gptq_unadopt(&m, GPTQ_V1, &p, &e), &e, i == 3 ? ERROR_USAGE : ERROR_INPUT, cases[i].says);
        assert_null(p.qweight);
        matrix_free(&m);
    }
}

/* Weights around zero: the right reading is centred, the other one is a step off. */
static void test_centre(void **state)
{
    (void)state;
    static const char *const specs[] = {"rtn:4,group=32", "rtn:2,group=32", "rtn:3,sym,group=-1", "rtn:8"};
    float w[96 * 96];
    fill_random(w, 96 * 96, 1.f, 4);
    for (size_t i = 0; i < 4; i++)
        for (int v = GPTQ_V1; v <= GPTQ_V2; v++) {
            struct backend_options how;
            struct matrix m;
            struct gptq_parts p;
            struct gptq_centring sum = {0};
            struct error e;
            struct tensor t = tensor_of("w", w, DTYPE_F32, 96, 96);
            assert_ok(backend_parse(&how, specs[i], &e), &e);
            assert_ok(matrix_pack(&m, &t, &how, NULL, &e), &e);
            assert_ok(gptq_unadopt(&m, (enum gptq_zeros)v, &p, &e), &e);
            struct tensor parts[] = {tensor_of("qweight", p.qweight, DTYPE_I32, p.words, 96),
                                     tensor_of("qzeros", p.qzeros, DTYPE_I32, p.groups, p.zero_words),
                                     tensor_of("scales", p.scales, DTYPE_F16, p.groups, 96),
                                     tensor_of("g_idx", p.g_idx, DTYPE_I32, 96, 0)};
            int64_t group = i < 2 ? 32 : i == 2 ? -1 : 128;
            struct gptq_stored s = {"w", &parts[0], &parts[1], &parts[2], &parts[3], group, 0};
            gptq_centre(&s, &sum);
            assert_true(sum.weights >= 48 * 96);
            double v1 = sum.v1 / (double)sum.weights, v2 = sum.v2 / (double)sum.weights;
            assert_near(v == GPTQ_V1 ? v1 : v2, 0, i == 3 ? 3 : 0.2, specs[i]);
            assert_near(v2 - v1, 1, 1e-9, specs[i]);
            p.g_idx[3] = 77; /* what cannot be adopted is passed over */
            int64_t before = sum.weights;
            gptq_centre(&s, &sum);
            assert_int_equal(sum.weights, before);
            gptq_parts_free(&p);
            matrix_free(&m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways),  cmocka_unit_test(test_vectors),
                                       cmocka_unit_test(test_shapes),     cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_unwritable), cmocka_unit_test(test_centre)};
    return cmocka_run_group_tests_name("backends/gptq_layout", tests, NULL, NULL);
}
