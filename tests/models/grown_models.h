/* Tiny models (tiny_models.h) made wider, for types whose blocks have 256 columns: every size that is not one of the
 * vocabulary is 8 times as large, vectors are repeated, matrices drawn anew, the same on every machine; of four experts
 * there are eight. */
#ifndef KERF_TESTS_MODELS_GROWN_MODELS_H
#define KERF_TESTS_MODELS_GROWN_MODELS_H

#include "engine/base/hash.h"
#include "engine/base/random.h"
#include "engine/formats/safetensors.h"
#include "engine/kernels/kernels.h"
#include "tests/models/tiny_models.h"

#include <math.h>

enum { GROWN = 8, GROWN_VOCAB = 256, GROWN_EXPERTS = 4 };

static inline int64_t grown_size(int64_t n)
{
    return n == GROWN_VOCAB || n == 1 ? n : n == GROWN_EXPERTS ? 2 * n : GROWN * n;
}

/* The tensor's name, or of an expert's also that of its second, four further on; false where it has none. */
static inline bool grown_name(const struct tensor *t, int second, char name[256])
{
    const char *digit = strstr(t->name, "experts.");
    snprintf(name, 256, "%s", t->name);
    if (digit && second) name[digit - t->name + (ptrdiff_t)strlen("experts.")] += GROWN_EXPERTS;
    return digit || !second;
}

static inline void grown_values(const struct tensor *t, const char *name, float *out, int64_t rows, int64_t cols)
{
    struct random r = {0};
    float from[4096];
    for (const char *c = name; *c; c++) r.state = r.state * 131 + (uint8_t)*c;
    if (t->n_dims == 1) {
        assert_true(t->shape[0] <= 4096);
        kernels_get()->decode[t->type](t->data, from, t->shape[0]);
        for (int64_t i = 0; i < cols; i++) out[i] = from[i % t->shape[0]];
        return;
    }
    const bool embedding = strstr(t->name, "embed_tokens") || strstr(t->name, "embed_in");
    const double width = (embedding ? 3.5 : 2.2) / sqrt((double)cols); /* logits then have a deviation of about 2 */
    for (int64_t i = 0; i < rows * cols; i++) out[i] = (float)((2 * random_unit(&r) - 1) * width);
}

static inline void grown_weights(const char *name, const char *to)
{
    struct error e;
    struct safetensors *s;
    struct safetensors_writer *w;
    char from[256], full[256];
    snprintf(from, sizeof from, "tests/goldens/models/%s/model.safetensors", name);
    assert_ok(safetensors_open(&s, from, &e), &e);
    assert_ok(safetensors_writer_open(&w, to, &e), &e);
    for (size_t i = 0; i < 2 * safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i / 2);
        const int64_t shape[2] = {grown_size(t->shape[0]), t->n_dims > 1 ? grown_size(t->shape[1]) : 0};
        if (grown_name(t, i % 2, full)) safetensors_write_tensor(w, full, DTYPE_F32, t->n_dims, shape);
    }
    for (size_t i = 0; i < 2 * safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i / 2);
        const int64_t rows = t->n_dims > 1 ? grown_size(t->shape[0]) : 1, cols = grown_size(t->shape[t->n_dims - 1]);
        if (!grown_name(t, i % 2, full)) continue;
        float *values = calloc((size_t)(rows * cols), sizeof *values);
        assert_non_null(values);
        grown_values(t, full, values, rows, cols);
        safetensors_write_data(w, values, (size_t)(rows * cols) * sizeof *values);
        free(values);
    }
    assert_ok(safetensors_writer_commit(&w, &e), &e);
    safetensors_close(s);
}

/* As tiny_folder(). */
static inline char *grown_folder(const char *name, const json_t *settings)
{
    static const char *const sizes[] = {"hidden_size",
                                        "intermediate_size",
                                        "moe_intermediate_size",
                                        "shared_expert_intermediate_size",
                                        "head_dim",
                                        "num_local_experts",
                                        "num_experts"};
    struct error e;
    char path[256];
    snprintf(path, sizeof path, "tests/goldens/models/%s/config.json", name);
    json_t *config = golden(path), *all = json_object();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const json_t *v = json_object_get(config, sizes[i]);
        if (v) json_object_set_new(all, sizes[i], json_integer(grown_size(json_integer_value(v))));
    }
    json_object_update(all, (json_t *)(uintptr_t)settings);
    char *folder = tiny_folder(name, all), *weights = path_join(folder, "model.safetensors", &e);
    assert_int_equal(unlink(weights), 0);
    grown_weights(name, weights);
    free(weights);
    json_decref(all);
    json_decref(config);
    return folder;
}

#endif
