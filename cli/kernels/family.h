/* What families of kernels are made of (check.h says what a family is).
 *
 *     struct wanted y = {0};                            values in double, each with its bound
 *     if (wanted_new(&y, n, e)) return e->code;
 *     wanted_put(&y, 0, 1.5, 3 * UNIT);
 *     ...
 *     wanted_judge(&y, got, v);                         the verdict on n float32
 *
 * Bounds are of the standard model of arithmetic (Higham 2002, sections 2.2 and 3.1): a rounding is off by no more than
 * u = 2^-24 of its result, or by 2^-150 where that is below the normal numbers, and n of them in a row by
 * gamma(n) = n u / (1 - n u). Where the sizes that meet leave float32's range no bound holds, and infinity is one. */
#ifndef KERF_CLI_KERNELS_FAMILY_H
#define KERF_CLI_KERNELS_FAMILY_H

#include "cli/kernels/check.h"

#include <math.h>

enum { UNTOUCHED = 0xa5 }; /* every byte of a buffer that was not written */

#define UNIT 0x1p-24   /* of a rounding, relative */
#define LEAST 0x1p-150 /* of a rounding below the normal numbers, absolute */

static inline double gamma_of(double n) { return n * UNIT / (1 - n * UNIT); }
/* A sum in KERNEL_LANES partial sums: what one of its terms meets at most. A lane has n / 16 additions and 4 that join
 * lanes in pairs; what is left over has 15 at most; one joins the two. */
static inline double lane_sums(int64_t n) { return fmin((double)n, (double)n / KERNEL_LANES + 16); }

/* --- guarded.c, beyond check.h --- */

void kernel_memory_reset(struct kernel_memory *m); /* what is not sealed, to UNTOUCHED */
/* In words, what a touch of this address was, which ended in a signal. */
void kernel_memory_touched(const struct kernel_memory *m, const void *address, char *words, size_t size);

/* --- expected.c --- */

struct wanted {
    int64_t n;
    double *value, *bound; /* [n]; a bound below 0: this float32 must not be written */
};

int wanted_new(struct wanted *w, int64_t n, struct error *e); /* all must not be written */
void wanted_free(struct wanted *w);
static inline void wanted_put(struct wanted *w, int64_t i, double value, double bound)
{
    w->value[i] = value;
    w->bound[i] = !isfinite(value) ? 0 : isnan(bound) ? INFINITY : bound; /* what is not finite is exactly that */
}
/* A NaN where a NaN is wanted and nowhere else, infinities likewise; the rest within the bounds. */
void wanted_judge(const struct wanted *w, const float *got, struct kernel_verdict *v);

/* One value of many; counts towards the verdict's error and words. */
void verdict_value(struct kernel_verdict *v, int64_t i, int64_t n, double got, double wanted, double bound);
/* Wrong, in these words; the first that are given stay. */
void verdict_wrong(struct kernel_verdict *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
void verdict_bytes(struct kernel_verdict *v, const uint8_t *got, const uint8_t *wanted, int64_t n);

/* Bytes of outputs for output(): which NaN is one depends on the machine, so all become the same. */
void floats_canonical(float *to, const float *from, int64_t n);

/* Cases are made of a variant and a row of a table of settings. */
static inline size_t case_variant(size_t i, size_t settings) { return i / settings; }
static inline size_t case_setting(size_t i, size_t settings) { return i % settings; }
/* Fills *c; words that do not fit are cut. */
void case_put(struct kernel_case *c, const char *kernel, const char *variant, const char *content, bool measured,
              double work);

/* The kinds of tiles that there are, by number; TILE_KINDS past the last. */
int tile_kind_at(size_t i);
/* Name of a kind as variants have it: "q4_k", "i8", "u4". */
void tile_variant(int kind, char name[32]);
const char *content_name(int content); /* of enum content, samples.h */
/* Of weights and of inputs: "large/random", or one word where they are alike. */
void contents_name(char name[16], int weights, const char *inputs);
bool tile_known(const struct kernels *k, const struct kernel_case *c); /* has() of families whose variants are kinds */

/* --- the families --- */

extern const struct kernel_family family_products, family_dot, family_unpack;     /* family_products.c */
extern const struct kernel_family family_weights, family_dot_weights;             /* family_weights.c */
extern const struct kernel_family family_gemm, family_transpose;                  /* family_gemm.c */
extern const struct kernel_family family_unpack_floats, family_dot_floats;        /* family_floats.c */
extern const struct kernel_family family_quantize_inputs, family_round_inputs;    /* family_inputs.c */
extern const struct kernel_family family_decode, family_encode, family_affine_i8; /* family_blocks.c */
extern const struct kernel_family family_add, family_softmax, family_rms_norm, family_layer_norm, family_rope,
    family_silu_multiply, family_gelu_tanh, family_log_sum_exp, family_argmax; /* family_vectors.c */

#endif
