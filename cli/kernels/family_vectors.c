/* The inner loops of a forward pass, each against its formula in double precision. Bounds follow from the roundings that
 * a value meets (family.h) and from exp(), which is off by 2e-7 of its result, is 0 below -87.3 and infinite above 88.3
 * (engine/kernels/portable/table.c). What comes of NaN and infinity stands in engine/kernels/kernels.h. */
#include "cli/kernels/family.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum content { PLAIN, NOTHING, BIG, DENORMAL, ANY_SIZE, TIES, MASKED, ONE_NAN, FIRST_NAN, ABOVE, BELOW, ALL_BELOW };
static const char *const contents[] = {"random", "zeros", "large",     "denormal", "any size",  "ties",
                                       "masked", "nan",   "nan first", "infinity", "-infinity", "all -infinity"};

struct setting {
    int64_t n;
    enum content content;
    bool measured;
};
static const struct setting of_vectors[] = {
    {512, PLAIN, true},   {331, PLAIN, true},   {1, PLAIN, false},      {2, PLAIN, false},      {7, PLAIN, false},
    {15, PLAIN, false},   {16, PLAIN, false},   {17, PLAIN, false},     {33, PLAIN, false},     {257, PLAIN, false},
    {4096, PLAIN, false}, {70, NOTHING, false}, {70, BIG, false},       {70, DENORMAL, false},  {70, ANY_SIZE, false},
    {70, TIES, false},    {70, MASKED, false},  {70, ONE_NAN, false},   {70, FIRST_NAN, false}, {70, ABOVE, false},
    {70, BELOW, false},   {16, ONE_NAN, false}, {35, ALL_BELOW, false},
};
/* Pairs. */
static const struct setting of_rope[] = {
    {64, PLAIN, true},    {37, PLAIN, true},   {1, PLAIN, false},     {3, PLAIN, false}, {8, PLAIN, false},
    {17, PLAIN, false},   {512, PLAIN, false}, {20, NOTHING, false},  {20, BIG, false},  {20, DENORMAL, false},
    {20, ONE_NAN, false}, {20, ABOVE, false},  {20, ANY_SIZE, false},
};
enum { VECTORS = sizeof of_vectors / sizeof *of_vectors, ROPES = sizeof of_rope / sizeof *of_rope };

struct own {
    int64_t n;             /* elements of x */
    const float *x, *y;    /* inputs: the second is that of add, or the gate's partner, or turns */
    const float *w, *bias; /* of norms */
    bool second;           /* which of two variants */
    struct wanted wanted;
    float *got, *same;
    double sum;           /* log_sum_exp's */
    int64_t index, right; /* argmax's, and what it should be */
};

/* A kernel as its family has it: how it is run, what is wanted, and how large "large" is. */
struct vector_kernel {
    const char *name;
    const char *variants[2]; /* the second MAY be NULL */
    const struct setting *settings;
    size_t count;
    float big;
    void (*want)(struct own *o);
};

/* --- what is wanted --- */

static const float eps = 1e-5f, softmax_scale = 0.125f;
static const double exp_error = 2e-7, flushed = 1.7e-38; /* exp(-87) */

static void want_add(struct own *o)
{
    for (int64_t i = 0; i < o->n; i++) {
        double y = (double)o->x[i] + (double)o->y[i];
        wanted_put(&o->wanted, i, y, 1.001 * UNIT * fabs(y));
    }
}

static double largest_of(const float *x, int64_t n)
{
    float m = x[0];
    for (int64_t i = 1; i < n; i++) m = x[i] > m ? x[i] : m;
    return (double)m;
}

/* What exp(t) may be off by, relative, where t itself is rounded to within `off`. */
static double exp_off(double off) { return (1 + exp_error) * exp(off) - 1; }

/* The argument of exp is rounded thrice, at the sizes of x, the largest x, and their difference; the largest of the
 * exponentials is 1, so that their sum is no less. */
static void want_softmax(struct own *o)
{
    const double s = (double)softmax_scale, m = largest_of(o->x, o->n) * s;
    double sum = 0, weighted = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < o->n; i++) {
            double x = (double)o->x[i] * s, p = exp(x - m);
            double off = x == -INFINITY ? 0 : exp_off(1.001 * UNIT * (fabs(x) + fabs(m) + fabs(x - m)));
            if (pass == 0) {
                sum += p;
                weighted += p * off;
                continue;
            }
            double all = weighted / sum + (double)o->n * flushed + gamma_of(lane_sums(o->n));
            double part = all < 1 ? (1 + off) / (1 - all) * (1 + 4 * UNIT) - 1 : INFINITY;
            wanted_put(&o->wanted, i, p / sum, p / sum * part + (x - m < -87 ? flushed : 0) + LEAST);
        }
}

/* Of the mean of squares, a term meets its own rounding and those of the sum, then one for / and one for +; a root halves
 * them, and itself, the reciprocal and two products round once each. */
static void want_rms_norm(struct own *o)
{
    double square = 0;
    for (int64_t i = 0; i < o->n; i++) square += (double)o->x[i] * (double)o->x[i] / (double)o->n;
    const double scale = 1 / sqrt(square + (double)eps), part = gamma_of((lane_sums(o->n) + 3) / 2 + 4);
    for (int64_t i = 0; i < o->n; i++) {
        double y = (double)o->x[i] * scale * (double)o->w[i];
        wanted_put(&o->wanted, i, y, 1.001 * part * fabs(y) + LEAST * (1 + fabs((double)o->w[i])));
    }
}

/* The mean is off by what its sum is; values by that and a rounding; their squares' mean by the square of the mean's
 * error, since deviations add up to 0, and by roundings. */
static void want_layer_norm(struct own *o)
{
    const double n = (double)o->n;
    double mean = 0, size = 0, variance = 0;
    for (int64_t i = 0; i < o->n; i++) mean += (double)o->x[i] / n, size += fabs((double)o->x[i]) / n;
    for (int64_t i = 0; i < o->n; i++) variance += pow((double)o->x[i] - mean, 2) / n;
    const double off = gamma_of(lane_sums(o->n) + 1) * size, v = variance + (double)eps, scale = 1 / sqrt(v);
    const double rounded = gamma_of(lane_sums(o->n) + 6);
    const double more = rounded + 1.001 * off * off / v;
    const double part = fmax(1 - 1 / sqrt(1 + more), 1 / sqrt(1 - rounded) - 1) + 3 * UNIT;
    for (int64_t i = 0; i < o->n; i++) {
        double d = (double)o->x[i] - mean, w = fabs((double)o->w[i]);
        double y = d * scale * (double)o->w[i] + (o->bias ? (double)o->bias[i] : 0);
        double bound = w * scale * (off * (1 + part) + fabs(d) * (part + 4 * UNIT)) + UNIT * fabs(y);
        wanted_put(&o->wanted, i, y, 1.001 * bound + LEAST * (2 + w));
    }
}

/* Two products and a sum, each rounded. */
static void want_rope(struct own *o)
{
    const int64_t half = o->n / 2;
    for (int64_t i = 0; i < half; i++) {
        double a = (double)o->x[o->second ? 2 * i : i], b = (double)o->x[o->second ? 2 * i + 1 : i + half];
        double c = (double)o->y[i], s = (double)o->y[i + half];
        wanted_put(&o->wanted, i, a * c - b * s, 2.001 * UNIT * (fabs(a * c) + fabs(b * s)) + 3 * LEAST);
        wanted_put(&o->wanted, i + half, a * s + b * c, 2.001 * UNIT * (fabs(a * s) + fabs(b * c)) + 3 * LEAST);
    }
}

static void want_silu_multiply(struct own *o)
{
    for (int64_t i = 0; i < o->n; i++) {
        double g = (double)o->x[i], up = (double)o->y[i], y = g / (1 + exp(-g)) * up;
        double part = exp_error + gamma_of(3) + (g < -88 ? 1 : 0); /* of what becomes 0, all */
        wanted_put(&o->wanted, i, y, 1.001 * part * fabs(y) + 2 * LEAST * (1 + fabs(up)));
    }
}

/* The argument 2 u of exp is off by 7 roundings: two of constants, three of the cube, a sum's and a product's. */
static void want_gelu_tanh(struct own *o)
{
    for (int64_t i = 0; i < o->n; i++) {
        double x = (double)o->x[i], u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x), y = x / (1 + exp(-2 * u));
        double part = exp_off(2 * gamma_of(7) * fabs(u)) + gamma_of(2) + (-2 * u > 88 ? 1 : 0);
        wanted_put(&o->wanted, i, y, isfinite(y) ? 1.001 * part * fabs(y) + 2 * LEAST : 0);
    }
}

/* An error of the sum, relative, is one of its logarithm, absolute. */
static void want_log_sum_exp(struct own *o)
{
    const double m = largest_of(o->x, o->n);
    double sum = 0, off = 0;
    for (int64_t i = 0; i < o->n; i++) {
        double x = (double)o->x[i], p = exp(x - m);
        sum += p;
        off += x == -INFINITY ? 0 : p * exp_off(1.001 * UNIT * fabs(x - m));
    }
    double y = m + log(sum);
    wanted_put(&o->wanted, 0, y,
               1.001 * (off / sum + (double)o->n * (flushed + 0x1p-52)) + 0x1p-51 * (fabs(m) + fabs(y)));
}

/* The first of the largest; a NaN is never it unless first. */
static void want_argmax(struct own *o)
{
    for (int64_t i = 1; i < o->n; i++)
        if (o->x[i] > o->x[o->right]) o->right = i;
}

/* --- cases --- */

static const struct vector_kernel adding = {"add", {""}, of_vectors, VECTORS, 1e37f, want_add},
                                  softmaxing = {"softmax", {""}, of_vectors, VECTORS, 1e4f, want_softmax},
                                  rms = {"rms_norm", {""}, of_vectors, VECTORS, 1e18f, want_rms_norm},
                                  layer = {"layer_norm", {"bias", "bare"}, of_vectors, VECTORS, 1e17f, want_layer_norm},
                                  turning = {"rope", {"halves", "interleaved"}, of_rope, ROPES, 1e37f, want_rope},
                                  gating = {"silu_multiply", {""}, of_vectors, VECTORS, 1e4f, want_silu_multiply},
                                  gelu = {"gelu_tanh", {""}, of_vectors, VECTORS, 1e4f, want_gelu_tanh},
                                  summing = {"log_sum_exp", {""}, of_vectors, VECTORS, 1e4f, want_log_sum_exp},
                                  choosing = {"argmax", {""}, of_vectors, VECTORS, 1e38f, want_argmax};

static bool describe(const struct vector_kernel *k, size_t i, struct kernel_case *out)
{
    const size_t variant = case_variant(i, k->count);
    if (variant > 1 || !k->variants[variant]) return false;
    const struct setting *s = &k->settings[case_setting(i, k->count)];
    const int64_t n = k->settings == of_rope ? 2 * s->n : s->n;
    case_put(out, k->name, k->variants[variant], contents[s->content], s->measured, (double)n);
    snprintf(out->shape, sizeof out->shape, "%lld", (long long)n);
    return true;
}

/* Denormals, zeros of both signs, near 1, large, and where exp ends. */
static float any_size(struct random *r)
{
    static const float special[] = {0.f, -0.f, FLT_MIN, -FLT_MIN / 8, 1e-45f, 1.f, -1.f, 1e15f, -3e15f, 88.8f, -87.4f};
    uint32_t pick = random_below(r, 40);
    if (pick < sizeof special / sizeof *special) return special[pick];
    float sign = random_below(r, 2) ? 1.f : -1.f;
    return sign * ldexpf((float)random_unit(r), (int)random_below(r, 60) - 40);
}

static void fill(float *x, int64_t n, enum content content, float big, struct random *r)
{
    for (int64_t i = 0; i < n; i++) {
        float v = (float)(2 * random_unit(r) - 1);
        x[i] = content == NOTHING     ? 0.f
               : content == BIG       ? v * big
               : content == DENORMAL  ? v * 0x1p-127f
               : content == ANY_SIZE  ? any_size(r)
               : content == TIES      ? (float)random_below(r, 6)
               : content == ALL_BELOW ? -INFINITY
                                      : v * 3.f;
        if (content == MASKED && i % 3 == 1) x[i] = -INFINITY;
    }
    const int64_t at = n > 1 ? 1 + (int64_t)random_below(r, (uint32_t)n - 1) : 0;
    if (content == ONE_NAN) x[at] = NAN;
    if (content == FIRST_NAN) x[0] = NAN;
    if (content == ABOVE) x[at] = INFINITY;
    if (content == BELOW) x[at] = -INFINITY;
}

/* Cosines and sines. */
static void fill_turns(float *turn, int64_t half, struct random *r)
{
    for (int64_t i = 0; i < half; i++) {
        double angle = 1000 * random_unit(r);
        turn[i] = (float)cos(angle);
        turn[i + half] = (float)sin(angle);
    }
}

static int make_inputs(struct own *o, const struct vector_kernel *k, const struct setting *s, struct kernel_memory *m,
                       struct random *r, struct error *e)
{
    float *all[4];
    for (int i = 0; i < 4; i++)
        if (!(all[i] = kernel_buffer(m, o->n, sizeof **all, e))) return ERROR_IO;
    fill(all[0], o->n, s->content, k->big, r);
    fill(all[1], o->n, s->content == BIG || s->content == ANY_SIZE ? s->content : PLAIN, k->big, r);
    fill(all[2], o->n, PLAIN, 0, r);
    fill(all[3], o->n, PLAIN, 0, r);
    if (k->settings == of_rope) fill_turns(all[1], o->n / 2, r);
    o->x = all[0], o->y = all[1], o->w = all[2], o->bias = k == &layer && o->second ? NULL : all[3];
    return 0;
}

static int open_vector(void **own, const struct vector_kernel *k, size_t i, struct kernel_memory *m, uint64_t seed,
                       struct error *e)
{
    struct random r = {seed};
    const struct setting *s = &k->settings[case_setting(i, k->count)];
    struct own *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o) return ERROR_IO;
    o->n = k->settings == of_rope ? 2 * s->n : s->n;
    o->second = case_variant(i, k->count);
    const int64_t n = k == &summing || k == &choosing ? 1 : o->n;
    o->same = memory_new((size_t)n, sizeof *o->same, "outputs", e);
    if (!o->same || make_inputs(o, k, s, m, &r, e) || wanted_new(&o->wanted, n, e)) return ERROR_IO;
    k->want(o);
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, n, sizeof *o->got, e);
    return o->got ? 0 : ERROR_IO;
}

static float *fresh(const struct own *o) { return memcpy(o->got, o->x, (size_t)o->n * sizeof *o->got); }

static void run_add(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->add(fresh(o), o->y, o->n);
}
static void run_softmax(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->softmax(fresh(o), softmax_scale, o->n);
}
static void run_rms_norm(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->rms_norm(o->x, o->w, eps, o->n, o->got);
}
static void run_layer_norm(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->layer_norm(o->x, o->w, o->bias, eps, o->n, o->got);
}
static void run_rope(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->rope(fresh(o), o->y, o->n, o->second);
}
static void run_silu_multiply(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->silu_multiply(fresh(o), o->y, o->n);
}
static void run_gelu_tanh(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->gelu_tanh(fresh(o), o->n);
}
static void run_log_sum_exp(void *own, const struct kernels *k)
{
    struct own *o = own;
    o->sum = k->log_sum_exp(o->x, o->n);
}
static void run_argmax(void *own, const struct kernels *k)
{
    struct own *o = own;
    o->index = k->argmax(o->x, o->n);
}

static void check_floats(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    wanted_judge(&o->wanted, o->got, v);
}
static void check_sum(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    verdict_value(v, 0, 1, o->sum, o->wanted.value[0], o->wanted.bound[0]);
}
static void check_index(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    if (o->index != o->right) verdict_wrong(v, "%lld instead of %lld", (long long)o->index, (long long)o->right);
}

static const void *output_floats(void *own, size_t *bytes)
{
    struct own *o = own;
    floats_canonical(o->same, o->got, o->wanted.n);
    *bytes = (size_t)o->wanted.n * sizeof *o->same;
    return o->same;
}
static const void *output_sum(void *own, size_t *bytes)
{
    struct own *o = own;
    if (isnan(o->sum)) o->sum = (double)NAN; /* of one sign */
    *bytes = sizeof o->sum;
    return &o->sum;
}
static const void *output_index(void *own, size_t *bytes)
{
    struct own *o = own;
    *bytes = sizeof o->index;
    return &o->index;
}

static void close_vector(void *own)
{
    struct own *o = own;
    if (!o) return;
    wanted_free(&o->wanted);
    free(o->same);
    free(o);
}

/* The functions that differ by nothing but a name, and the row. */
#define VECTOR_FAMILY(slot, which, words, result)                                                                      \
    static bool describe_##slot(size_t i, struct kernel_case *out) { return describe(&which, i, out); }                \
    static bool has_##slot(const struct kernels *k, const struct kernel_case *c) { return k->slot; }                   \
    static int open_##slot(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,  \
                           struct error *e)                                                                            \
    {                                                                                                                  \
        return open_vector(own, &which, i, m, seed, e);                                                                \
    }                                                                                                                  \
    const struct kernel_family family_##slot = {#slot,      words,          describe_##slot, has_##slot,  open_##slot, \
                                                run_##slot, check_##result, output_##result, close_vector};
VECTOR_FAMILY(add, adding, "the sum of two vectors", floats)
VECTOR_FAMILY(softmax, softmaxing, "attention's weights", floats)
VECTOR_FAMILY(rms_norm, rms, "llama's norm", floats)
VECTOR_FAMILY(layer_norm, layer, "GPT-2's norm", floats)
VECTOR_FAMILY(rope, turning, "positions turned into a head", floats)
VECTOR_FAMILY(silu_multiply, gating, "llama's gate", floats)
VECTOR_FAMILY(gelu_tanh, gelu, "GPT-2's activation", floats)
VECTOR_FAMILY(log_sum_exp, summing, "the logarithm of a sum of exponentials", sum)
VECTOR_FAMILY(argmax, choosing, "the first of the largest", index)
