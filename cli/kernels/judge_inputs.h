/* The verdict on inputs of 8 and of 16 bits.
 *
 *     judge_quantized(f, x, cols, &row, k->wide_zero, &v);       one row, as quantize_inputs() left it
 */
#ifndef KERF_CLI_KERNELS_JUDGE_INPUTS_H
#define KERF_CLI_KERNELS_JUDGE_INPUTS_H

#include "cli/kernels/check.h"

/* x to the nearest number of a 16-bit type, halves to even; too large becomes infinite, NaN stays NaN. */
double nearest_half(double x);
double nearest_bf16(double x);

void judge_quantized(const struct tile_format *f, const float *x /* [cols] */, int64_t cols,
                     const struct quantized *row, int wide_zero, struct kernel_verdict *v);

#endif
