/* The tiny checkpoints of tests/goldens/models, which tests/oracle/make_models.py makes: one model, some variants of its
 * configuration, and the logits of each. */
#ifndef KERF_TESTS_MODELS_TINY_MODELS_H
#define KERF_TESTS_MODELS_TINY_MODELS_H

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/models/model.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const tiny_names[] = {"llama", "qwen2",   "qwen3",   "phi3",     "gemma",    "gemma2",
                                         "olmo2", "gptneox", "mixtral", "qwen2moe", "qwen3moe", "biased"};
enum { TINY_MODELS = sizeof tiny_names / sizeof *tiny_names };

/* A folder with the model's weights under its configuration with these settings in it, to be removed. */
static inline char *tiny_folder(const char *name, const json_t *settings)
{
    const char *const files[] = {"model.safetensors", "tokenizer.json"}, *const folders[] = {name, ""};
    struct error e;
    char from[4096], here[2048];
    char *folder = folder_temporary();
    assert_non_null(getcwd(here, sizeof here));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(from, sizeof from, "%s/tests/goldens/models/%s/%s", here, folders[i], files[i]);
        char *to = path_join(folder, files[i], &e);
        assert_int_equal(symlink(from, to), 0);
        free(to);
    }
    snprintf(from, sizeof from, "tests/goldens/models/%s/config.json", name);
    json_t *config = golden(from);
    json_object_update(config, (json_t *)(uintptr_t)settings);
    char *text = json_dump_text(config, 0, NULL);
    free(file_put(folder, "config.json", text, strlen(text)));
    free(text);
    json_decref(config);
    return folder;
}

static inline json_t *tiny_expected(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/goldens/models/%s/expected.json", name);
    return golden(path);
}

/* ids of the expected file, to be freed. */
static inline int32_t *tiny_ids(const json_t *expected, int64_t *n)
{
    const json_t *ids = json_object_get(expected, "ids");
    *n = (int64_t)json_array_size(ids);
    int32_t *out = calloc((size_t)*n, sizeof *out);
    assert_true(out && *n > 0);
    for (int64_t i = 0; i < *n; i++) out[i] = (int32_t)json_integer_value(json_array_get(ids, (size_t)i));
    return out;
}

/* Hidden states [n, width] of the ids, in pieces of so many tokens, to be freed. */
static inline float *tiny_hidden(const struct model *m, const int32_t *ids, int64_t n, int64_t piece)
{
    struct error e;
    const int64_t width = model_hyper(m)->width;
    float *hidden = calloc((size_t)(n * width), sizeof *hidden);
    struct cache *c = cache_new(m, NULL, 0, n, &e);
    assert_true(hidden && c);
    for (int64_t i = 0; i < n; i += piece) {
        const struct span s = {c, ids + i, n - i < piece ? n - i : piece, 0};
        assert_ok(model_forward(m, &s, 1, hidden + i * width, NULL, &e), &e);
    }
    cache_free(c);
    return hidden;
}

/* Logits [n, vocab] of the ids, to be freed. */
static inline float *tiny_logits(const struct model *m, const int32_t *ids, int64_t n)
{
    struct error e;
    float *hidden = tiny_hidden(m, ids, n, n), *logits = calloc((size_t)(n * model_hyper(m)->vocab), sizeof *logits);
    assert_non_null(logits);
    assert_ok(model_logits(m, hidden, n, logits, &e), &e);
    free(hidden);
    return logits;
}

#endif
