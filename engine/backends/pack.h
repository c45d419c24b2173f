/* Shared by the backends whose matrices are rows of one stored type. */
#ifndef KERF_ENGINE_BACKENDS_PACK_H
#define KERF_ENGINE_BACKENDS_PACK_H

#include "engine/backends/backend.h"

/* Decodes rows [row, row + n) of a decodable tensor [rows, cols]. */
void tensor_rows(const struct tensor *w, int64_t row, int64_t n, float *out /* [n, cols] */);
/* ERROR_NUMBER with the place of the first value of this row that is not finite. */
int row_finite(const struct tensor *w, int64_t r, const float *row /* [cols] */, struct error *e);
/* backend.pack for a type that the kernels decode and encode; cols must divide into its blocks. */
int pack_decoded(struct matrix *out, const struct tensor *w, enum dtype_id type, struct error *e);
/* backend.unpack and backend.gguf_type for the same. */
void unpack_decoded(const struct matrix *m, int64_t row, int64_t n, float *out);
/* The type that is asked for, or F16 where the columns do not divide into its blocks. */
enum dtype_id gguf_same_type(const struct backend_options *o, int64_t cols);

#endif
