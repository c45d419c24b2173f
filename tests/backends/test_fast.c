/* Fast math for matrices of every backend: against inputs that are quantized here and multiplied in double precision;
 * bit for bit independent of batch, place, threads and of the matrices beside it, and the same under every row of the
 * kernel table: the program starts itself anew with KERF_CPU set. */
#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"
#include "tests/backends/matrices.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_PASSED = 42, CHILD_OTHER_KERNELS = 43 };

static void multiply(const struct matrix *m, const float *x, int64_t n, float *y)
{
    struct error e;
    assert_ok(matrix_multiply(m, x, n, y, &e), &e);
}

static float *floats_new(int64_t n)
{
    float *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

/* Rows of inputs of several sizes, with large values, a row of zeros, and one with whole blocks of zeros. */
static float *inputs_new(int64_t n, int64_t cols, uint64_t seed)
{
    float *x = floats_new(n * cols);
    fill_random(x, (size_t)(n * cols), 2.f, seed);
    for (int64_t i = 0; i < n * cols; i++) {
        int64_t r = i / cols, c = i % cols;
        x[i] *= (r % 5 == 4 ? 1e-3f : 1.f) * (i % 53 == 5 ? 20.f : 1.f);
        if (r == 3 || (r == 2 && c >= 32 && c < 290)) x[i] = 0;
    }
    return x;
}

/* --- the reference --- */

/* What a row of inputs becomes, and how far off an input may be: a step, where it lies so near to the middle between
 * two codes that float32 may take either. */
struct seen {
    double *x, *doubt; /* [cols] */
    int64_t large;     /* inputs that stay as they are beside quantized ones */
};

static void quantize_one(double x, double step, double shown, double *to, double *doubt)
{
    double at = step != 0 ? x / step : 0, code = nearbyint(at);
    *to = shown * code;
    *doubt = fabs(fabs(at - code) - 0.5) < 1e-4 ? fabs(shown) : 0;
}

/* Blocks of their own scale: Q8_0, whose codes go by a float32 scale that is rounded to float16 afterwards; Q8_K. */
static void see_blocks(const struct sort *s, const float *x, const int64_t *block, int64_t blocks, struct seen *out)
{
    double *most = calloc((size_t)blocks, sizeof *most);
    assert_non_null(most);
    for (int64_t c = 0; c < s->cols; c++) most[block[c]] = fmax(most[block[c]], fabs((double)x[c]));
    for (int64_t c = 0; c < s->cols; c++) {
        float step = (float)(most[block[c]] / 127);
        double shown = s->input == BY_32 ? (double)f32_from_f16(f16_from_f32(step)) : (double)step;
        quantize_one((double)x[c], (double)step, shown, &out->x[c], &out->doubt[c]);
    }
    free(most);
}

/* int8:llm: one scale for all inputs up to the threshold; those above it stay (int8_llm.c). */
static void see_apart(const struct sort *s, double threshold, const float *x, struct seen *out)
{
    double most = 0;
    for (int64_t c = 0; c < s->cols; c++)
        if (fabs((double)x[c]) <= threshold) most = fmax(most, fabs((double)x[c]));
    for (int64_t c = 0; c < s->cols; c++) {
        bool large = fabs((double)x[c]) > threshold;
        if (!large) quantize_one((double)x[c], most / 127, most / 127, &out->x[c], &out->doubt[c]);
        if (large) out->x[c] = (double)x[c];
        out->large += large;
    }
}

static double threshold_of(const char *spec)
{
    const char *text = strstr(spec, "threshold=");
    return text ? atof(text + strlen("threshold=")) : 6;
}

static struct seen see(const struct sort *s, const float *x, const int64_t *block, int64_t blocks)
{
    struct seen out = {calloc((size_t)s->cols, sizeof *out.x), calloc((size_t)s->cols, sizeof *out.doubt), 0};
    assert_true(out.x && out.doubt);
    if (s->input == BY_32 || s->input == BY_256) see_blocks(s, x, block, blocks, &out);
    if (s->input == APART) see_apart(s, threshold_of(s->spec), x, &out);
    for (int64_t c = 0; c < s->cols; c++) {
        uint32_t brain = (uint32_t)bf16_from_f32(x[c]) << 16;
        if (s->input == AS_THEY_ARE) out.x[c] = (double)x[c];
        if (s->input == TO_F16) out.x[c] = (double)f32_from_f16(f16_from_f32(x[c]));
        if (s->input == TO_BF16) out.x[c] = (double)float_of_bits(brain);
    }
    return out;
}

static void seen_free(struct seen *s)
{
    free(s->x);
    free(s->doubt);
}

/* The product in double, and how far from it float32 can be: its roundings, of numbers of the size of an input times
 * its weight and, where zero points are taken off, times the row's largest; and what is in doubt. */
static void assert_product(const struct sort *s, const struct seen *in, const float *w, float got, const char *where)
{
    double sum = 0, size = 0, inputs = 0, doubt = 0, most = 0;
    for (int64_t c = 0; c < s->cols; c++) {
        sum += in->x[c] * (double)w[c];
        size += fabs(in->x[c] * (double)w[c]);
        inputs += fabs(in->x[c]);
        doubt += in->doubt[c] * fabs((double)w[c]);
        most = fmax(most, fabs((double)w[c]));
    }
    bool floats = s->input == AS_THEY_ARE || s->input == TO_F16 || s->input == TO_BF16;
    double roundings = floats ? (double)s->cols + 1 : (double)s->cols / 8 + 8 + (double)in->large;
    if (!floats) size += 2 * most * inputs;
    assert_near(got, sum, roundings * 0x1p-24 * size + doubt, where);
}

static void check_values(const struct sort *s, int64_t rows, int64_t n)
{
    struct matrix m = matrix_of(s, rows, 11);
    int64_t blocks, *block = blocks_of(&m, s, &blocks);
    float *w = weights_of(&m), *x = inputs_new(n, s->cols, 12), *y = floats_new(n * rows);
    make_fast(&m);
    multiply(&m, x, n, y);
    for (int64_t i = 0; i < n; i++) {
        struct seen in = see(s, x + i * s->cols, block, blocks);
        for (int64_t r = 0; r < rows; r++) {
            char where[128];
            snprintf(where, sizeof where, "%s [%d, %d]: [%d of %d, %d]", s->spec, (int)rows, (int)s->cols, (int)i,
                     (int)n, (int)r);
            assert_product(s, &in, w + r * s->cols, y[i * rows + r], where);
        }
        seen_free(&in);
    }
    free(block), free(w), free(x), free(y);
    matrix_free(&m);
}

static void test_values(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 16, 33, 70};
    for (size_t i = 0; i < SORTS; i++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            check_values(&sorts[i], rows[r], 6);
            check_values(&sorts[i], rows[r], 2);
        }
}

/* Products of floats are known to the bit: fused multiply-adds in the order of the columns, by chunks. */
static void test_floats(void **state)
{
    (void)state;
    for (size_t i = 0; i < SORTS; i++) {
        const struct sort *s = &sorts[i];
        if (s->input > TO_BF16) continue;
        struct matrix m = matrix_of(s, 35, 13);
        float *w = weights_of(&m), *x = inputs_new(7, s->cols, 14), *y = floats_new(7 * 35);
        make_fast(&m);
        multiply(&m, x, 7, y);
        for (int at = 0; at < 7 * 35; at++) {
            struct seen in = see(s, x + at / 35 * s->cols, NULL, 0);
            float wanted = 0, sum = 0;
            for (int64_t c = 0; c < s->cols; c++) {
                sum = fmaf((float)in.x[c], w[at % 35 * s->cols + c], sum);
                if ((c + 1) % GEMM_CHUNK && c + 1 < s->cols) continue;
                wanted = c < GEMM_CHUNK ? sum : wanted + sum;
                sum = 0;
            }
            if (memcmp(&wanted, &y[at], sizeof wanted))
                fail_msg("%s: %.9g instead of %.9g", s->spec, (double)y[at], (double)wanted);
            seen_free(&in);
        }
        free(w), free(x), free(y);
        matrix_free(&m);
    }
}

/* --- the same bits --- */

enum { MANY = 150, SAME_ROWS = 70 };

static void assert_rows(const float *got, const float *wanted, int64_t n, int64_t rows, const char *spec)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i * rows, wanted + i * rows, (size_t)rows * sizeof *got))
            fail_msg("%s: row %d of %d is another (%d threads)", spec, (int)i, (int)n, omp_get_max_threads());
}

/* Any number of rows, from any on, with any number of threads. */
static void check_place(const struct sort *s, int64_t rows, struct random *random)
{
    static const int64_t more[] = {64, 65, 128, 129, MANY};
    struct matrix m = matrix_of(s, rows, 15);
    float *x = inputs_new(MANY, s->cols, 16), *all = floats_new(MANY * rows), *y = floats_new(MANY * rows);
    make_fast(&m);
    for (int64_t i = 0; i < MANY; i++) multiply(&m, x + i * s->cols, 1, all + i * rows);
    for (int64_t k = 1; k <= 45; k++) {
        int64_t n = k <= 40 ? k : more[k - 41], first = random_below(random, (uint32_t)(MANY - n + 1));
        omp_set_num_threads(1 + (int)random_below(random, 3));
        multiply(&m, x + first * s->cols, n, y);
        assert_rows(y, all + first * rows, n, rows, s->spec);
    }
    free(x), free(all), free(y);
    matrix_free(&m);
}

static void test_place_is_nothing(void **state)
{
    (void)state;
    struct random random = {2};
    int threads = omp_get_max_threads();
    for (size_t i = 0; i < SORTS; i++) {
        check_place(&sorts[i], SAME_ROWS, &random);
        check_place(&sorts[i], 1 + random_below(&random, 40), &random);
    }
    omp_set_num_threads(threads);
}

static void test_threads_are_nothing(void **state)
{
    (void)state;
    static const int64_t some[] = {1, 2, 3, 17};
    int threads = omp_get_max_threads();
    for (size_t i = 0; i < SORTS; i++) {
        struct matrix m = matrix_of(&sorts[i], 257, 17);
        float *x = inputs_new(17, sorts[i].cols, 18), *one = floats_new(17 * 257), *y = floats_new(17 * 257);
        make_fast(&m);
        for (size_t k = 0; k < 4; k++)
            for (int t = 1; t <= 3; t++) {
                omp_set_num_threads(t);
                multiply(&m, x, some[k], t == 1 ? one : y);
                if (t > 1) assert_rows(y, one, some[k], 257, sorts[i].spec);
            }
        omp_set_num_threads(threads);
        free(x), free(one), free(y);
        matrix_free(&m);
    }
}

/* --- several matrices at a time --- */

/* y of `count` matrices from what was made of x for the first. */
static void multiply_together(const struct product *products, size_t count, const float *x, int64_t n)
{
    size_t scratch = 0;
    struct matrix_inputs in;
    for (size_t p = 0; p < count; p++)
        if (matrix_scratch(products[p].m) > scratch) scratch = matrix_scratch(products[p].m);
    void *room = aligned_alloc(64, (matrix_inputs_bytes(products[0].m) * (size_t)n + 64) / 64 * 64);
    void *each = aligned_alloc(64, scratch * (size_t)omp_get_max_threads());
    assert_true(room && each);
    matrix_inputs(products[0].m, x, n, room, &in);
    matrix_products(products, count, &in, each);
    free(room), free(each);
}

static void check_pair(const struct matrix *a, const struct matrix *b, const char *names)
{
    static const int64_t some[] = {1, 2, 3, 9};
    float *x = inputs_new(9, a->cols, 19), *alone = floats_new(9 * b->rows), *wanted = floats_new(9 * a->rows);
    float *y = floats_new(9 * b->rows), *z = floats_new(9 * a->rows), *again = floats_new(9 * a->rows);
    multiply(b, x, 9, alone);
    multiply(a, x, 9, wanted);
    for (size_t k = 0; k < 4; k++) {
        const struct product products[] = {{a, z}, {b, y}, {a, again}};
        multiply_together(products, 3, x, some[k]);
        assert_rows(y, alone, some[k], b->rows, names);
        assert_rows(z, wanted, some[k], a->rows, names);
        assert_rows(again, wanted, some[k], a->rows, names);
    }
    free(x), free(alone), free(wanted), free(y), free(z), free(again);
}

/* Whether both quantize inputs alike: the same blocks, and codes of weights that begin at the same number. */
static bool is_shared(const struct sort *a, const struct sort *b)
{
    static const char *const classes[] = {"q8_0 iq4_nl", "q4_0", "q5_0", "q4_1 q5_1 rtn:2 rtn:3 rtn:4", "q4_k q5_k"};
    const struct sort *both[] = {a, b};
    const char *types[2];
    for (int i = 0; i < 2; i++) types[i] = strncmp(both[i]->spec, "gguf:", 5) ? both[i]->spec : both[i]->spec + 5;
    if (a->cols != b->cols || a->input != b->input || a->input == APART) return false;
    if (a->input < BY_32) return true;
    if (strncmp(a->spec, "act", 3) == 0 || strncmp(b->spec, "act", 3) == 0) return false;
    if ((a->group > 0 && a->group % 32) || (b->group > 0 && b->group % 32)) return false;
    bool same = strncmp(types[0], types[1], strcspn(types[0], ":,")) == 0;
    if (same && strncmp(a->spec, "rtn", 3) == 0) same = types[0][4] == types[1][4];
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        bool in[2];
        for (int k = 0; k < 2; k++) {
            char name[8];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(types[k], ","), types[k]);
            in[k] = strstr(classes[i], name) != NULL;
        }
        same |= in[0] && in[1];
    }
    return same;
}

/* What is shared serves the other, bit for bit, and what must be shared is. */
static void test_sharing(void **state)
{
    (void)state;
    struct matrix first[SORTS], second[SORTS];
    for (size_t i = 0; i < SORTS; i++) {
        first[i] = matrix_of(&sorts[i], 37, 20);
        second[i] = matrix_of(&sorts[i], 81, 21);
        make_fast(&first[i]);
        make_fast(&second[i]);
    }
    int shared = 0;
    for (size_t i = 0; i < SORTS; i++)
        for (size_t j = 0; j < SORTS; j++) {
            char names[160];
            snprintf(names, sizeof names, "%s [%d] and %s [%d]", sorts[i].spec, (int)sorts[i].cols, sorts[j].spec,
                     (int)sorts[j].cols);
            bool says = matrix_shares_inputs(&first[i], &second[j]);
            if (says != matrix_shares_inputs(&second[j], &first[i])) fail_msg("%s: one way only", names);
            if (is_shared(&sorts[i], &sorts[j]) && !says) fail_msg("%s: not shared", names);
            if (!says) continue;
            check_pair(&first[i], &second[j], names);
            shared++;
        }
    assert_true(shared > SORTS);
    for (size_t i = 0; i < SORTS; i++) {
        struct matrix exact = matrix_of(&sorts[i], 37, 20), other = matrix_of(&sorts[i], 81, 21);
        assert_int_equal(matrix_shares_inputs(&exact, &other), sorts[i].input != APART);
        if (sorts[i].input != APART) check_pair(&exact, &other, sorts[i].spec);
        assert_int_equal(matrix_shares_inputs(&exact, &first[i]), false);
        assert_int_equal(matrix_shares_inputs(&first[i], &exact), false);
        matrix_free(&exact), matrix_free(&other);
        matrix_free(&first[i]), matrix_free(&second[i]);
    }
}

/* Matrices that do not share inputs, one after the other in one room and one scratch, as a pass has them. */
static void test_one_room(void **state)
{
    (void)state;
    enum { N = 11, ROWS = 45 };
    struct matrix m[SORTS];
    size_t room_bytes = 0, scratch_bytes = 0;
    for (size_t i = 0; i < SORTS; i++) {
        m[i] = matrix_of(&sorts[i], ROWS, 22);
        if (i % 5) make_fast(&m[i]);
        if (matrix_inputs_bytes(&m[i]) > room_bytes) room_bytes = matrix_inputs_bytes(&m[i]);
        if (matrix_scratch(&m[i]) > scratch_bytes) scratch_bytes = matrix_scratch(&m[i]);
    }
    size_t scratch_all = scratch_bytes * (size_t)omp_get_max_threads();
    void *room = aligned_alloc(64, (room_bytes * N + 63) / 64 * 64), *scratch = aligned_alloc(64, scratch_all);
    assert_true(room && scratch);
    memset(room, 0xff, room_bytes * N);
    memset(scratch, 0xff, scratch_all);
    for (size_t i = 0; i < SORTS; i++) {
        struct matrix_inputs in;
        float *x = inputs_new(N, sorts[i].cols, 23), *y = floats_new(N * ROWS), *alone = floats_new(N * ROWS);
        multiply(&m[i], x, N, alone);
        matrix_inputs(&m[i], x, N, room, &in);
        matrix_products(&(struct product){&m[i], y}, 1, &in, scratch);
        assert_rows(y, alone, N, ROWS, sorts[i].spec);
        free(x), free(y), free(alone);
        matrix_free(&m[i]);
    }
    free(room), free(scratch);
}

/* --- inputs that are no numbers --- */

/* They show in every element of their row, and in no other row. */
static void check_not_finite(const struct sort *s, int64_t n)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    const int64_t columns[] = {0, s->cols / 2, s->cols - 1}, rows = 37;
    struct matrix m = matrix_of(s, rows, 24);
    float *x = inputs_new(n, s->cols, 25), *y = floats_new(n * rows), *wanted = floats_new(n * rows);
    make_fast(&m);
    multiply(&m, x, n, wanted);
    for (int k = 0; k < 12; k++) {
        int64_t at = n / 2;
        float *spot = &x[at * s->cols + columns[k % 3]], was = *spot;
        *spot = bad[k / 3];
        multiply(&m, x, n, y);
        *spot = was;
        for (int64_t r = 0; r < rows; r++)
            if (isfinite(y[at * rows + r]))
                fail_msg("%s: %g went in at %d of %d, and %g came out", s->spec, (double)bad[k / 3],
                         (int)columns[k % 3], (int)s->cols, (double)y[at * rows + r]);
        assert_rows(y, wanted, at, rows, s->spec);
        assert_rows(y + (at + 1) * rows, wanted + (at + 1) * rows, n - at - 1, rows, s->spec);
    }
    free(x), free(y), free(wanted);
    matrix_free(&m);
}

static void test_not_finite(void **state)
{
    (void)state;
    for (size_t i = 0; i < SORTS; i++) {
        check_not_finite(&sorts[i], 2);
        check_not_finite(&sorts[i], 9);
    }
}

/* --- int8:llm --- */

/* Both are sums of the same codes and the same large inputs: they differ by the roundings of float32 alone. Rows: of
 * all sizes; nothing but large ones; many at the threshold, which is not above it; the smallest numbers. */
static void check_both_maths(const char *spec, double threshold, int64_t cols)
{
    enum { N = 12, ROWS = 37 };
    const struct sort s = {spec, cols, APART, -1};
    struct matrix exact = matrix_of(&s, ROWS, 26), fast = matrix_of(&s, ROWS, 26);
    float *w = weights_of(&exact), *x = inputs_new(N, cols, 27), *y = floats_new(N * ROWS), *z = floats_new(N * ROWS);
    struct outliers a, b;
    for (int64_t c = 0; c < cols; c++) {
        x[5 * cols + c] = (float)(threshold + 1 + (double)c);
        if (c % 3) x[6 * cols + c] = (float)(c % 3 == 1 ? threshold : -threshold);
        x[7 * cols + c] = (float)(c - 20) * 1e-45f;
        x[8 * cols + c] = c % 9 == 8 ? (float)(-2 * threshold) : x[8 * cols + c];
    }
    make_fast(&fast);
    multiply(&exact, x, N, y);
    multiply(&fast, x, N, z);
    for (int64_t i = 0; i < N * ROWS; i++) {
        struct seen in = see(&s, x + i / ROWS * cols, NULL, 0);
        double size = 0;
        for (int64_t c = 0; c < cols; c++) size += fabs(in.x[c] * (double)w[i % ROWS * cols + c]);
        assert_near(z[i], y[i], 2 * (double)(cols + 1) * (0x1p-24 * size + 0x1p-150), spec);
        seen_free(&in);
    }
    exact.backend->count_outliers(&exact, &a);
    fast.backend->count_outliers(&fast, &b);
    assert_true(a.large > 0 && a.threshold == b.threshold);
    assert_true(a.values == b.values && a.large == b.large && a.features == b.features && a.touched == b.touched);
    free(w), free(x), free(y), free(z);
    matrix_free(&exact), matrix_free(&fast);
}

static void test_both_maths(void **state)
{
    (void)state;
    check_both_maths("int8:llm", 6, 300);
    check_both_maths("int8:llm", 6, 256);
    check_both_maths("int8:llm,threshold=0.5", 0.5, 53);
    check_both_maths("int8:llm,threshold=25", 25, 7);
}

/* --- every row of the kernel table --- */

/* FNV-1a over the bits of all products. */
static uint64_t digest(void)
{
    static const int64_t some[] = {1, 2, 19};
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < SORTS; i++) {
        struct matrix m = matrix_of(&sorts[i], 83, 28);
        float *x = inputs_new(19, sorts[i].cols, 29), *y = floats_new(19 * 83);
        make_fast(&m);
        for (size_t k = 0; k < 3; k++) {
            multiply(&m, x, some[k], y);
            const uint8_t *bytes = (const uint8_t *)y;
            for (size_t b = 0; b < (size_t)some[k] * 83 * sizeof *y; b++) hash = (hash ^ bytes[b]) * 0x100000001b3u;
        }
        free(x), free(y);
        matrix_free(&m);
    }
    return hash;
}

static void test_digest(void **state)
{
    (void)state;
    const char *wanted = getenv("KERF_TEST_DIGEST");
    if (wanted) assert_true(digest() == strtoull(wanted, NULL, 16));
}

/* This program with KERF_CPU set: every test but the last. */
static int run_with(const char *isa, const char *wanted)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("KERF_CPU", isa, 1);
        setenv("KERF_TEST_KERNELS", isa, 1);
        setenv("KERF_TEST_DIGEST", wanted, 1);
        execl("/proc/self/exe", "test_fast", (char *)NULL);
        _exit(1);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_other_kernels(void **state)
{
    (void)state;
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%" PRIx64, digest());
    for (size_t i = 0; kernels_at(i); i++) {
        if (kernels_at(i) == kernels_get()) continue; /* they ran above */
        int status = run_with(kernels_at(i)->name, wanted);
        if (status == CHILD_OTHER_KERNELS) fail_msg("KERF_CPU=%s was not taken", kernels_at(i)->name);
        if (status != CHILD_PASSED) fail_msg("%s: %d", kernels_at(i)->name, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),           cmocka_unit_test(test_floats),
        cmocka_unit_test(test_place_is_nothing), cmocka_unit_test(test_threads_are_nothing),
        cmocka_unit_test(test_sharing),          cmocka_unit_test(test_one_room),
        cmocka_unit_test(test_not_finite),       cmocka_unit_test(test_both_maths),
        cmocka_unit_test(test_digest),           cmocka_unit_test(test_other_kernels)};
    struct CMUnitTest inner[sizeof tests / sizeof *tests - 1];
    memcpy(inner, tests, sizeof inner);
    const char *isa = getenv("KERF_TEST_KERNELS");
    char group[64];
    if (!isa) return cmocka_run_group_tests_name("backends/fast", tests, NULL, NULL);
    if (strcmp(kernels_get()->name, isa)) return CHILD_OTHER_KERNELS;
    snprintf(group, sizeof group, "backends/fast by %s", isa);
    return cmocka_run_group_tests_name(group, inner, NULL, NULL) ? 1 : CHILD_PASSED;
}
