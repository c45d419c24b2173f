/* An open model's GPTQ matrices as a Hugging Face folder: of each matrix four tensors, everything else as it was stored.
 * config.json comes last, so that a folder without it, left by a run that was killed, loads nowhere. */
#include "engine/backends/gptq.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/formats/safetensors.h"
#include "engine/models/internal.h"
#include "version.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What goes along unchanged where the model's folder has it. */
static const char *const companions[] = {"generation_config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "tokenizer.model",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "chat_template.jinja",
                                         "chat_template.json"};
enum { COMPANIONS = sizeof companions / sizeof *companions };
static const char weights_name[] = "model.safetensors", settings_name[] = "quantize_config.json";

enum { ENTRY_NAME = 256 };

/* A tensor that is copied, or a matrix of the model: of codes, which becomes four tensors, or of floats. */
struct entry {
    const struct tensor *copied; /* NULL: a matrix */
    const struct matrix *matrix;
    char name[ENTRY_NAME]; /* of the matrix: "model.layers.3.self_attn.q_proj" */
    size_t place;
};

struct writing {
    const struct model *m;
    const struct backend_options *how;
    const char *folder;
    enum gptq_zeros zeros;
    struct entry *entries;
    size_t n, capacity;
};

/* --- what goes into the file --- */

static struct entry *add(struct writing *w, struct error *e)
{
    if (memory_reserve((void **)&w->entries, &w->capacity, w->n + 1, sizeof *w->entries, "tensors", e)) return NULL;
    struct entry *t = &w->entries[w->n];
    *t = (struct entry){.place = w->n++};
    return t;
}

/* `name` is the model's, "blk.%d.attn_q.weight". */
static struct entry *add_matrix(struct writing *w, const struct matrix *m, const char *name, int64_t layer,
                                struct error *e)
{
    struct entry *t = add(w, e);
    if (!t) return NULL;
    if (!source_base(w->m->source, name, layer, t->name, sizeof t->name)) {
        error_set(e, ERROR_IO, "%s: its name is too long", name);
        return NULL;
    }
    t->matrix = m;
    return t;
}

/* A word holds 32 / bits codes; of 3 bits 32 lie in 3 words. */
static int check_words(const struct model *m, const char *name, int64_t layer, const int64_t shape[2], int64_t bits,
                       struct error *e)
{
    int64_t unit = bits == 3 ? 32 : 32 / bits;
    if (shape[0] % unit == 0 && shape[1] % unit == 0) return 0;
    const struct tensor *stored = source_stored(m->source, name, layer);
    return error_set(e, ERROR_INPUT,
                     "%s: %s: [%" PRId64 ", %" PRId64 "] does not divide into words of %" PRId64 " codes of %" PRId64
                     " bits, as the format needs it: choose other bits",
                     m->facts.path, stored ? stored->name : name, shape[0], shape[1], unit, bits);
}

static int add_linear(struct writing *w, int64_t layer, enum linear_role role, struct error *e)
{
    const char *name;
    const struct matrix *m = model_linear(w->m, layer, role, &name);
    if (!m) return 0;
    const struct entry *t = add_matrix(w, m, name, layer, e);
    if (!t) return ERROR_IO;
    const struct gptq_codes *q = gptq_codes_of(m);
    if (!q) return error_set(e, ERROR_USAGE, "%s: is not packed by the backend \"%s\"", t->name, w->how->spec);
    return check_words(w->m, name, layer, (int64_t[]){m->rows, m->cols}, q->bits, e);
}

static int add_experts(struct writing *w, int64_t layer, struct error *e)
{
    int status = 0;
    for (size_t part = 0; part < EXPERT_PARTS; part++) {
        const struct linear *of = w->m->layers[layer].experts[part];
        for (int64_t i = 0; of && i < w->m->hyper.experts && !status; i++) {
            source_expert(w->m->source, i);
            status = add_matrix(w, &of[i].m, of[i].name, layer, e) ? 0 : ERROR_IO;
        }
    }
    source_expert(w->m->source, -1);
    return status;
}

/* Whether a stored tensor is what one of the first n entries, matrices all, was made from. */
static bool is_replaced(const struct writing *w, size_t n, const char *name)
{
    static const char *const endings[] = {"weight", "qweight", "qzeros", "scales", "g_idx"};
    const char *dot = strrchr(name, '.');
    bool known = false;
    if (text_ends_with(name, ".experts.gate_up_proj") || text_ends_with(name, ".experts.down_proj")) return true;
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) known |= strcmp(dot + 1, endings[i]) == 0;
    for (size_t i = 0; known && i < n; i++)
        if (strlen(w->entries[i].name) == (size_t)(dot - name) &&
            memcmp(w->entries[i].name, name, (size_t)(dot - name)) == 0)
            return true;
    return false;
}

/* Masks and the like, which readers make themselves. */
static bool is_ignored(const struct writing *w, const char *name)
{
    for (const char *const *end = w->m->architecture->ignored; *end; end++) {
        size_t n = strlen(name), m = strlen(*end);
        if (n >= m && strcmp(name + n - m, *end) == 0) return true;
    }
    return false;
}

/* Elements of 8 bytes, of 4, codes (whose tensors all take whole words of 4), elements of 2, of 1: all are aligned. */
static size_t width_of(const struct entry *t)
{
    if (t->matrix && gptq_codes_of(t->matrix)) return 3;
    return dtype_of((int)(t->matrix ? t->matrix->type : t->copied->type))->block_bytes;
}

static int by_width(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (width_of(x) != width_of(y)) return width_of(x) < width_of(y) ? 1 : -1;
    return x->place < y->place ? -1 : 1;
}

/* The matrices outside of the layers come from the model too: they are float16 there, whatever they are in the
 * checkpoint. */
static int list(struct writing *w, struct error *e)
{
    const struct checkpoint *c = source_checkpoint(w->m->source);
    for (int64_t layer = 0; layer < w->m->hyper.layers; layer++)
        for (int role = 0; role < LINEARS; role++)
            if (add_linear(w, layer, (enum linear_role)role, e)) return (int)e->code;
    for (int64_t layer = 0; layer < w->m->hyper.layers; layer++)
        if (add_experts(w, layer, e)) return (int)e->code;
    if (!add_matrix(w, &w->m->embedding, "token_embd.weight", 0, e)) return ERROR_IO;
    if (w->m->output.backend && !add_matrix(w, &w->m->output, "output.weight", 0, e)) return ERROR_IO;
    size_t matrices = w->n;
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        if (is_replaced(w, matrices, t->name) || is_ignored(w, t->name)) continue;
        struct entry *copy = add(w, e);
        if (!copy) return ERROR_IO;
        copy->copied = t;
    }
    qsort(w->entries, w->n, sizeof *w->entries, by_width);
    return 0;
}

/* --- the weights --- */

static void declare_part(struct safetensors_writer *out, const struct entry *t, const char *ending, enum dtype_id type,
                         int n_dims, const int64_t *shape)
{
    char name[ENTRY_NAME + 16];
    snprintf(name, sizeof name, "%s.%s", t->name, ending);
    safetensors_write_tensor(out, name, type, n_dims, shape);
}

static void declare(struct safetensors_writer *out, const struct entry *t)
{
    const struct matrix *m = t->matrix;
    const struct gptq_codes *q = m ? gptq_codes_of(m) : NULL;
    if (!m) {
        safetensors_write_tensor(out, t->copied->name, t->copied->type, t->copied->n_dims, t->copied->shape);
    } else if (!q) {
        declare_part(out, t, "weight", m->type, 2, (int64_t[]){m->rows, m->cols});
    } else {
        declare_part(out, t, "qweight", DTYPE_I32, 2, (int64_t[]){m->cols * q->bits / 32, m->rows});
        declare_part(out, t, "qzeros", DTYPE_I32, 2, (int64_t[]){q->groups, m->rows * q->bits / 32});
        declare_part(out, t, "g_idx", DTYPE_I32, 1, &m->cols);
        declare_part(out, t, "scales", DTYPE_F16, 2, (int64_t[]){q->groups, m->rows});
    }
}

static int write_codes(struct safetensors_writer *out, const struct entry *t, enum gptq_zeros zeros, struct error *e)
{
    struct gptq_parts parts;
    int status = gptq_unadopt(t->matrix, zeros, &parts, e);
    if (status) return error_prefix(e, "%s", t->name);
    size_t rows = (size_t)t->matrix->rows, cols = (size_t)t->matrix->cols, groups = (size_t)parts.groups;
    safetensors_write_data(out, parts.qweight, (size_t)parts.words * rows * sizeof *parts.qweight);
    safetensors_write_data(out, parts.qzeros, groups * (size_t)parts.zero_words * sizeof *parts.qzeros);
    safetensors_write_data(out, parts.g_idx, cols * sizeof *parts.g_idx);
    safetensors_write_data(out, parts.scales, groups * rows * sizeof *parts.scales);
    gptq_parts_free(&parts);
    return 0;
}

static int write_rows(struct safetensors_writer *out, const struct matrix *m, const char *name, struct error *e)
{
    uint8_t *bytes = memory_new((size_t)m->rows, m->row_bytes, name, e);
    if (!bytes) return ERROR_IO;
    for (int64_t r = 0; r < m->rows; r++) matrix_row_bytes(m, r, bytes + (size_t)r * m->row_bytes);
    safetensors_write_data(out, bytes, m->bytes);
    free(bytes);
    return 0;
}

static int write_entry(const struct writing *w, struct safetensors_writer *out, const struct entry *t, struct error *e)
{
    if (t->matrix && gptq_codes_of(t->matrix)) return write_codes(out, t, w->zeros, e);
    if (t->matrix) return write_rows(out, t->matrix, t->name, e);
    safetensors_write_data(out, t->copied->data, t->copied->bytes);
    return 0;
}

static int write_weights(const struct writing *w, const char *path, const struct export_progress *progress,
                         struct error *e)
{
    struct safetensors_writer *out;
    int status = safetensors_writer_open(&out, path, e);
    if (status) return status;
    for (size_t i = 0; i < w->n; i++) declare(out, &w->entries[i]);
    for (size_t i = 0; i < w->n && !status; i++) {
        if (progress && !progress->tensor(progress->user, i, w->n))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
        else
            status = write_entry(w, out, &w->entries[i], e);
    }
    if (!status) return safetensors_writer_commit(&out, e);
    safetensors_writer_abandon(&out);
    return status;
}

/* --- the folder --- */

static int copy_companion(const struct writing *w, const char *name, struct error *e)
{
    char *from = path_join(checkpoint_path(source_checkpoint(w->m->source)), name, e), *to = NULL;
    struct file f = {0};
    int status = from && (to = path_join(w->folder, name, e)) ? 0 : ERROR_IO;
    if (!status && path_exists(from)) {
        status = file_map(&f, from, e);
        if (!status) status = file_write(to, f.data, f.size, e);
        file_unmap(&f);
    }
    free(from);
    free(to);
    return status;
}

/* quantize_config.json, or config.json with the same object in it. */
static int write_settings(const struct writing *w, bool config, struct error *e)
{
    json_t *settings = gptq_config_write(w->how, w->zeros, "kerf:" KERF_VERSION), *all = settings;
    if (settings && config) {
        all = json_deep_copy(checkpoint_config(source_checkpoint(w->m->source)));
        json_object_set_new(all, "quantization_config", settings);
    }
    char *path = path_join(w->folder, config ? "config.json" : settings_name, e);
    int status = !path ? ERROR_IO : all ? 0 : error_set(e, ERROR_IO, "%s: out of memory", path);
    if (!status) status = json_write_file(path, all, e);
    json_decref(all);
    free(path);
    return status;
}

static int write_folder(const struct writing *w, const struct export_progress *progress, struct error *e)
{
    char *path = path_join(w->folder, weights_name, e);
    int status = path ? write_weights(w, path, progress, e) : ERROR_IO;
    free(path);
    for (size_t i = 0; i < COMPANIONS && !status; i++) status = copy_companion(w, companions[i], e);
    if (!status) status = write_settings(w, false, e);
    return status ? status : write_settings(w, true, e);
}

/* Takes away what a failed run wrote into a folder that was empty when it began. */
static void clean_up(const char *folder)
{
    const char *names[COMPANIONS + 3] = {"config.json", settings_name, weights_name};
    memcpy(names + 3, companions, sizeof companions);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(folder, names[i], NULL);
        if (path) unlink(path);
        free(path);
    }
}

/* The folder may be absent, else it must be empty. */
static int check_empty(const char *folder, struct error *e)
{
    if (!path_exists(folder)) return 0;
    if (!path_is_folder(folder))
        return error_set(e, ERROR_USAGE, "%s: is a file, but this backend's models are folders: name another", folder);
    DIR *d = opendir(folder);
    if (!d) return error_errno(e, folder, "open");
    int status = 0;
    for (const struct dirent *f; !status && (f = readdir(d)) != NULL;)
        if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
            status = error_set(e, ERROR_USAGE,
                               "%s: is not empty (it has %.128s), and nothing is replaced there: name another folder",
                               folder, f->d_name);
    closedir(d);
    return status;
}

/* What names alone tell. */
static int check_names(const char *path, const struct backend_options *how, const char *folder, struct error *e)
{
    const struct gptq_settings *s = gptq_settings_of(how);
    if (!s || !s->bits)
        return error_set(e, ERROR_USAGE, "backend \"%s\": is not written as a folder (gptq:BITS and rtn:BITS are)",
                         how->spec);
    size_t n = strlen(folder);
    if (n > 5 && strcmp(folder + n - 5, ".gguf") == 0)
        return error_set(e, ERROR_USAGE, "%s: GGUF has no type for \"%s\": name a folder, or take gguf:TYPE", folder,
                         how->spec);
    if (path_exists(path) && !path_is_folder(path))
        return error_set(
            e, ERROR_USAGE,
            "%s: a GPTQ folder is made from a Hugging Face folder, whose config.json, tokenizer and tensor "
            "names it keeps: give the one that this file was made from",
            path);
    return check_empty(folder, e);
}

struct fitting {
    struct model *m;
    int64_t bits;
};

static int check_tensor(void *user, const char *name, int64_t layer, int n_dims, const int64_t *shape, bool multiplied,
                        struct error *e)
{
    const struct fitting *f = user;
    const int64_t *matrix = shape + n_dims - (n_dims > 1 ? 2 : 1);
    char full[MODEL_NAME];
    struct place at = model_place(f->m, name, layer, full);
    int status = multiplied ? model_weigh(f->m, &at, matrix[1], e) : 0;
    bool packed = multiplied && at.layer >= 0; /* outside of the layers all are float16 */
    return packed && !status ? check_words(f->m, name, layer, matrix, f->bits, e) : status;
}

/* The shapes of the matrices, without loading them. */
static int check_shapes(const char *path, const struct backend_options *how, struct error *e)
{
    struct model *m = memory_new(1, sizeof *m, "a model", e);
    if (!m) return ERROR_IO;
    struct fitting f = {m, gptq_settings_of(how)->bits};
    m->options = &(struct model_options){.how = how};
    int status = model_prepare(m, path, e);
    if (!status) status = model_list(m, &(struct recorder){&f, check_tensor}, e);
    model_close(m);
    return status;
}

/* The folder is made, as far as it is absent, and taken away again. */
static int try_folder(const char *folder, struct error *e)
{
    uint64_t made;
    int status = folder_make_noting(folder, &made, e);
    if (status) return status;
    char *path = path_join(folder, weights_name, e);
    status = path ? output_try(path, e) : ERROR_IO;
    free(path);
    folder_unmake(folder, made);
    return status;
}

int model_export_folder_check(const char *path, const struct backend_options *how, const char *folder, struct error *e)
{
    int status = check_names(path, how, folder, e);
    if (!status) status = check_shapes(path, how, e);
    return status ? status : try_folder(folder, e);
}

int model_export_folder(const struct model *m, const struct backend_options *how, const char *folder,
                        const struct export_progress *progress, struct error *e)
{
    int status = check_names(m->facts.path, how, folder, e);
    if (status) return status;
    const struct gptq_settings *s = gptq_settings_of(how);
    struct writing w = {.m = m, .how = how, .folder = folder, .zeros = s->zeros ? s->zeros : GPTQ_V1};
    uint64_t made;
    status = list(&w, e);
    if (!status) status = folder_make_noting(folder, &made, e);
    if (!status && (status = write_folder(&w, progress, e)) != 0) {
        clean_up(folder);
        folder_unmake(folder, made);
    }
    free(w.entries);
    return status;
}
