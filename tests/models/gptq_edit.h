/* Folders of GPTQ models as the tests need them: written by kerf, then altered tensor by tensor. */
#ifndef KERF_TESTS_MODELS_GPTQ_EDIT_H
#define KERF_TESTS_MODELS_GPTQ_EDIT_H

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/safetensors.h"
#include "engine/models/model.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline char *joined(const char *folder, const char *name)
{
    struct error e;
    char *path = path_join(folder, name, &e);
    assert_non_null(path);
    return path;
}

/* A model by the backend of this spec, NULL: as stored. */
static inline int open_model(const char *path, const char *spec, struct model **m, struct error *e)
{
    struct backend_options how;
    if (spec && backend_parse(&how, spec, e)) return (int)e->code;
    struct model_options options = {.how = spec ? &how : NULL, .calibration = "datasets/millbrook/calibration.txt"};
    return model_open(m, path, &options, e);
}

/* FOLDER/NAME made from a model by the backend of this spec; the path, to be freed. */
static inline char *quantized(const char *source, const char *spec, const char *folder, const char *name)
{
    struct error e;
    struct model *m;
    struct backend_options how;
    char *out = joined(folder, name);
    assert_ok(backend_parse(&how, spec, &e), &e);
    assert_ok(open_model(source, spec, &m, &e), &e);
    assert_ok(model_export_folder(m, &how, out, NULL, &e), &e);
    model_close(m);
    return out;
}

/* Changes a tensor, all of it but its name's memory, or leaves it out (false). */
typedef bool tensor_edit(void *user, struct tensor *t);

/* Wide elements first, as the writer wants them. */
static inline int by_element(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    size_t p = dtype_of((int)x->type)->block_bytes, q = dtype_of((int)y->type)->block_bytes;
    return p != q ? (p < q ? 1 : -1) : strcmp(x->name, y->name);
}

/* Writes the tensors of FOLDER/FROM, edited, and `n` more to FOLDER/TO. */
static inline void edit_weights(const char *folder, const char *from, const char *to, tensor_edit *edit, void *user,
                                const struct tensor *more, size_t n)
{
    struct error e;
    struct safetensors *s;
    struct safetensors_writer *w;
    char *in = joined(folder, from), *out = joined(folder, to);
    assert_ok(safetensors_open(&s, in, &e), &e);
    size_t kept = 0, count = safetensors_count(s);
    struct tensor *all = calloc(count + n, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < count; i++) {
        all[kept] = *safetensors_at(s, i);
        if (!edit || edit(user, &all[kept])) kept++;
    }
    for (size_t i = 0; i < n; i++) all[kept++] = more[i];
    assert_ok(safetensors_writer_open(&w, out, &e), &e);
    qsort(all, kept, sizeof *all, by_element);
    for (size_t i = 0; i < kept; i++)
        safetensors_write_tensor(w, all[i].name, all[i].type, all[i].n_dims, all[i].shape);
    for (size_t i = 0; i < kept; i++) safetensors_write_data(w, all[i].data, all[i].bytes);
    assert_ok(safetensors_writer_commit(&w, &e), &e);
    for (size_t i = 0; i < kept; i++) free(all[i].owned);
    safetensors_close(s);
    free(all);
    free(in);
    free(out);
}

static inline void remove_file(const char *folder, const char *name)
{
    char *path = joined(folder, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

/* Sets a key of FOLDER/quantize_config.json and of the same object in config.json to this JSON text; NULL: takes it
 * away. */
static inline void edit_settings(const char *folder, const char *key, const char *text)
{
    struct error e;
    static const char *const names[] = {"quantize_config.json", "config.json"};
    for (size_t i = 0; i < 2; i++) {
        char *path = joined(folder, names[i]);
        json_t *file = path_exists(path) ? json_read_file(path, &e) : NULL;
        json_t *settings = i ? json_object_get(file, "quantization_config") : file;
        if (settings && text)
            json_object_set_new(settings, key, json_read_bytes(text, strlen(text), "test", &e));
        else if (settings)
            json_object_del(settings, key);
        if (file) assert_ok(json_write_file(path, file, &e), &e);
        json_decref(file);
        free(path);
    }
}

#endif
