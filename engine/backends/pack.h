/* What the files of backends share. */
#ifndef KERF_ENGINE_BACKENDS_PACK_H
#define KERF_ENGINE_BACKENDS_PACK_H

#include "engine/backends/backend.h"

/* Decodes every row of a decodable tensor [rows, cols], in parallel, checks that it is finite (ERROR_NUMBER with the
 * place of the first value that is not) and hands it over; row may be written to. The error of the first failing row is
 * reported. visit may be NULL. */
typedef int row_visitor(void *user, int64_t r, float *row /* [cols] */, struct error *e);
int tensor_each_row(const struct tensor *w, row_visitor *visit, void *user, struct error *e);

/* backend.pack for a type that the kernels decode and encode; cols must divide into its blocks. importance, [cols], may
 * be NULL. */
int pack_decoded(struct matrix *out, const struct tensor *w, enum dtype_id type, const float *importance,
                 struct error *e);
/* backend.unpack for the same. */
void unpack_decoded(const struct matrix *m, int64_t row, int64_t n, float *out);

/* Packs as float16, where a backend leaves a matrix alone. */
int pack_f16(struct matrix *out, struct tensor *w, struct error *e);

/* Error of a setting: `backend "SPEC": KEY: must be WHAT`, ERROR_USAGE. */
int setting_wrong(const struct backend_spec *spec, const char *key, const char *what, struct error *e);
/* The value of a setting, NULL where it is not given; *given (may be NULL) tells, also of a flag. */
const char *setting_text(const struct backend_spec *spec, const char *key, bool *given);
/* A whole number in [low, high]; *out stays where the setting is not given. */
int setting_number(const struct backend_spec *spec, const char *key, int64_t low, int64_t high, int64_t *out,
                   struct error *e);
/* A finite number in [low, high]; *out stays where the setting is not given. */
int setting_real(const struct backend_spec *spec, const char *key, double low, double high, double *out,
                 struct error *e);
/* A flag: absent, KEY, KEY=yes or KEY=no. */
int setting_flag(const struct backend_spec *spec, const char *key, bool *out, struct error *e);
/* Adds ",KEY" or ",KEY=VALUE" to a canonical spec; false where it does not fit. */
bool spec_add(struct backend_options *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds ",KEY=VALUE" with as few digits as read back as the same number. */
bool spec_add_real(struct backend_options *o, const char *key, double value);

#endif
