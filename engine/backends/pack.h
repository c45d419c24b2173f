/* Shared by the backends whose matrices are rows of one stored type. */
#ifndef KERF_ENGINE_BACKENDS_PACK_H
#define KERF_ENGINE_BACKENDS_PACK_H

#include "engine/backends/backend.h"

/* Decodes every row of a decodable tensor [rows, cols], in parallel, checks that it is finite (ERROR_NUMBER with the
 * place of the first value that is not) and hands it over; row may be written to. The error of the first failing row is
 * reported. visit may be NULL. */
typedef int row_visitor(void *user, int64_t r, float *row /* [cols] */, struct error *e);
int tensor_each_row(const struct tensor *w, row_visitor *visit, void *user, struct error *e);
/* backend.pack for a type that the kernels decode and encode; cols must divide into its blocks. */
int pack_decoded(struct matrix *out, const struct tensor *w, enum dtype_id type, struct error *e);
/* backend.unpack and backend.gguf_type for the same. */
void unpack_decoded(const struct matrix *m, int64_t row, int64_t n, float *out);
/* The type that is asked for, or F16 where the columns do not divide into its blocks. */
enum dtype_id gguf_same_type(const struct backend_options *o, int64_t cols);

#endif
