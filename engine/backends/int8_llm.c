/* int8:llm, the arithmetic of LLM.int8() (Dettmers et al. 2022, sections 3.1 and 3.2): weights and inputs in 8 bits,
 * but for the few features of an input that are too large for that.
 *
 * Weights are int8:absmax, a scale s_r = max |w_r| / 127 for each row. An input row x_t is divided: its features above
 * the threshold stay as they are, the others get a scale of their own, s_t = max |x| / 127 over them, and codes
 * q = round(x / s_t). Then y_tr = s_t s_r (sum of products of codes) + (sum of x w over the large features).
 *
 * In exact math inputs() turns an ordinary x into s_t q, and the exact multiplication by the dequantized weights s_r q
 * does the rest: that is the same sum up to float32 rounding, where a product of integers has none. Fast math multiplies
 * the codes (multiply.c).
 *
 * The paper picks the large features once for a batch: those that are large in any of its rows. Here every row decides
 * for itself, so that a result does not depend on what else is in the batch. A feature that is large in another row
 * alone is in 8 bits here and in 16 there.
 *
 * The matrices outside of layers stay float16, as the reference implementation leaves them. */
#include "engine/backends/pack.h"
#include "engine/backends/tiles.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct settings {
    double threshold;
};
_Static_assert(sizeof(struct settings) <= BACKEND_PARSED, "settings fit in their place");

static const double DEFAULT_THRESHOLD = 6.0; /* section 3.2 */

extern const struct backend backend_int8_llm;

static const struct settings *settings_of(const struct backend_options *o) { return (const void *)o->parsed; }

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    static const char *const others[] = {"per", "block"};
    bool given;
    for (size_t i = 0; i < 2; i++) {
        setting_text(spec, others[i], &given);
        if (given) return setting_wrong(spec, others[i], "left out with int8:llm, which has a scale a row", e);
    }
    struct settings *set = (void *)o->parsed;
    set->threshold = DEFAULT_THRESHOLD;
    /* Not 0: it would mean that all is large here, and that nothing is in the reference implementation. */
    int status = setting_real(spec, "threshold", 0.001, 1e6, &set->threshold, e);
    if (status) return status;
    snprintf(o->spec, sizeof o->spec, "int8:llm");
    if (set->threshold != DEFAULT_THRESHOLD) spec_add_real(o, "threshold", set->threshold);
    return 0;
}

/* What a matrix owns. Counts are sums and marks, so that the order in which threads add to them is nothing. */
struct llm {
    struct matrix weights; /* int8:absmax; in fast math without its codes, which are the outer matrix's tiles then */
    double threshold;
    atomic_int_least64_t values, large;
    atomic_bool touched[]; /* [cols] */
};

static int pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                struct error *e)
{
    if (at->layer < 0) return pack_f16(out, w, e);
    struct backend_options absmax;
    int status = backend_parse(&absmax, "int8:absmax", e);
    if (status) return status;
    *out = (struct matrix){.rows = w->shape[0], .cols = w->shape[1]};
    struct llm *llm = out->own = memory_new(1, sizeof *llm + (size_t)out->cols * sizeof *llm->touched, w->name, e);
    if (!llm) return ERROR_IO;
    llm->threshold = settings_of(o)->threshold;
    status = matrix_pack(&llm->weights, w, &absmax, at, e);
    out->bytes = llm->weights.bytes;
    return status;
}

static void release(struct matrix *m)
{
    struct llm *llm = m->own;
    if (llm) matrix_free(&llm->weights);
    free(llm);
}

static void unpack(const struct matrix *m, int64_t row, int64_t n, float *out)
{
    const struct llm *llm = m->own;
    matrix_unpack(&llm->weights, row, n, out);
}

/* To nearest, halves to even, as nearbyint() rounds numbers of this size, and in a form that compilers vectorize: the
 * sum has no bits left for a fraction. */
static double round_even(double x)
{
    const double shift = 0x1.8p52;
    return (x + shift) - shift;
}

/* NaN is not above the threshold and stays NaN. */
static void quantize_row(const float *x, double threshold, int64_t n, float *y)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++) {
        float size = fabsf(x[i]);
        most = (double)size <= threshold && size > most ? size : most;
    }
    float scale = most / 127.f;
    double inverse = most > 0 ? 127.0 / (double)most : 0.0;
    for (int64_t i = 0; i < n; i++) {
        float ordinary = scale * (float)round_even((double)x[i] * inverse);
        y[i] = fabs((double)x[i]) > threshold ? x[i] : ordinary;
    }
}

static int64_t count_row(struct llm *llm, const float *x, int64_t n)
{
    int64_t large = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs((double)x[i]) > llm->threshold)) continue;
        large++;
        /* Read first: a mark that is there is not written again, and the line stays with all cores. */
        if (!atomic_load_explicit(&llm->touched[i], memory_order_relaxed))
            atomic_store_explicit(&llm->touched[i], true, memory_order_relaxed);
    }
    return large;
}

static void watch(const struct matrix *m, const float *x, int64_t n)
{
    struct llm *llm = m->own;
    int64_t large = 0;
    for (int64_t r = 0; r < n; r++) large += count_row(llm, x + r * m->cols, m->cols);
    atomic_fetch_add_explicit(&llm->values, n * m->cols, memory_order_relaxed);
    if (large) atomic_fetch_add_explicit(&llm->large, large, memory_order_relaxed);
}

static void inputs(const struct matrix *m, const float *x, int64_t n, float *y)
{
    const struct llm *llm = m->own;
    for (int64_t r = 0; r < n; r++) quantize_row(x + r * m->cols, llm->threshold, m->cols, y + r * m->cols);
    watch(m, x, n);
}

static int tile(struct matrix *m, struct tiles *out, const char *name, struct error *e)
{
    struct llm *llm = m->own;
    int status = llm->weights.backend->tile(&llm->weights, out, name, e);
    if (!status) out->threshold = llm->threshold;
    return status;
}

static void count_outliers(const struct matrix *m, struct outliers *out)
{
    struct llm *llm = m->own;
    *out = (struct outliers){.threshold = llm->threshold,
                             .values = atomic_load(&llm->values),
                             .large = atomic_load(&llm->large),
                             .features = m->cols};
    for (int64_t i = 0; i < m->cols; i++) out->touched += atomic_load(&llm->touched[i]);
}

/* A backend of its own behind int8's name, since what an int8:absmax has no use for stands in other slots. */
const struct backend backend_int8_llm = {.name = "int8",
                                         .summary = "LLM.int8()",
                                         .math = "exact, inputs in 8 bits",
                                         .configure = configure,
                                         .pack = pack,
                                         .unpack = unpack,
                                         .release = release,
                                         .tile = tile,
                                         .inputs = inputs,
                                         .watch = watch,
                                         .count_outliers = count_outliers};
