/* A checkpoint as a GGUF file, tensor by tensor: one matrix is in memory at a time. */
#include "engine/backends/pack.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *name; /* the model's name, %d for the layer */
    int64_t layer;
    char full[MODEL_NAME]; /* the name in the file that is written */
    int n_dims;
    int64_t shape[2];
    bool multiplied;    /* a matrix that the backend packs */
    enum dtype_id type; /* as written */
    enum name_change change;
    const float *importance; /* [shape[1]] or NULL */
};

struct exporting {
    struct model *m; /* nothing loaded */
    const struct model_options *options;
    struct entry *entries;
    size_t n, capacity;
};

static int choose_type(const struct exporting *x, struct entry *t, struct error *e)
{
    enum dtype_id stored;
    int status = source_check(x->m->source, t->name, t->layer, t->n_dims, t->shape, &stored, &t->change, e);
    const struct backend_options *how = x->options->how;
    struct place at = model_place(x->m, t->name, t->layer, t->full);
    struct facts *facts = &x->m->facts;
    bool fell_back = false;
    t->type = !t->multiplied ? DTYPE_F32 : how ? how->backend->gguf_type(how, &at, t->shape[1], &fell_back) : stored;
    if (!status && t->multiplied) status = model_weigh(x->m, &at, t->shape[1], e);
    t->importance = at.importance;
    size_t bytes = 0;
    if (!status && !tensor_bytes(t->type, t->n_dims, t->shape, &bytes))
        status = error_set(e, ERROR_INPUT, "%s: %s: is too large", facts->path, t->full);
    facts->fell_back += fell_back;
    facts->weight_bytes += bytes;
    facts->parameters += t->shape[0] * (t->n_dims > 1 ? t->shape[1] : 1);
    return status;
}

static int add_entry(void *user, const char *name, int64_t layer, int n_dims, const int64_t *shape, bool multiplied,
                     struct error *e)
{
    struct exporting *x = user;
    if (memory_reserve((void **)&x->entries, &x->capacity, x->n + 1, sizeof *x->entries, "tensors", e)) return ERROR_IO;
    struct entry *t = &x->entries[x->n++];
    const struct name_map *known = x->m->architecture->names;
    while (known->name && strcmp(known->name, name)) known++;
    if (!known->name) return error_set(e, ERROR_IO, "%s: is not in the table of the architecture's names", name);
    *t = (struct entry){.name = known->name, .layer = layer, .n_dims = n_dims, .multiplied = multiplied};
    memcpy(t->shape, shape, (size_t)n_dims * sizeof *shape);
    model_name(name, layer, t->full);
    return choose_type(x, t, e);
}

/* The tensors that the architecture loads, in its order. */
static int list_tensors(struct exporting *x, struct error *e)
{
    const struct backend_options *how = x->options->how;
    if (how && !how->backend->gguf_type)
        return error_set(e, ERROR_USAGE, "backend \"%s\": GGUF has no type for it: use f32, f16, bf16 or gguf:TYPE",
                         how->spec);
    if (!how && source_has_parts(x->m->source))
        return error_set(
            e, ERROR_USAGE,
            "%s: GGUF has no type for GPTQ matrices as they are stored: say which they become, as in @gguf:q4_k",
            x->m->facts.path);
    return model_list(x->m, &(struct recorder){x, add_entry}, e);
}

/* llama.cpp's enum llama_ftype: as the backend says, else what most of the file is. */
static uint32_t file_type(const struct exporting *x)
{
    const struct backend_options *how = x->options->how;
    if (how && how->backend->file_type) return how->backend->file_type(how);
    static const struct {
        enum dtype_id type;
        uint32_t number;
    } known[] = {{DTYPE_F32, 0}, {DTYPE_F16, 1}, {DTYPE_BF16, 32}}; /* all that folders hold */
    int64_t elements[DTYPE_LIMIT] = {0};
    for (size_t i = 0; i < x->n; i++)
        if (x->entries[i].multiplied) elements[x->entries[i].type] += x->entries[i].shape[0] * x->entries[i].shape[1];
    int64_t most = -1;
    uint32_t number = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (elements[known[i].type] > most) most = elements[known[i].type], number = known[i].number;
    return number;
}

static bool is_blocked(const struct exporting *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (dtype_of((int)x->entries[i].type)->block > 1) return true;
    return false;
}

static bool is_key(const struct gguf_value *v, const char *key)
{
    return v->key.length == strlen(key) && memcmp(v->key.bytes, key, v->key.length) == 0;
}

static int write_folder_metadata(const struct exporting *x, struct gguf_writer *w, struct error *e)
{
    const struct architecture *a = x->m->architecture;
    char key[128];
    gguf_write_string(w, "general.architecture", a->name);
    char *path = memory_string(x->m->facts.path, e);
    if (!path) return ERROR_IO;
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = 0;
    gguf_write_string(w, "general.name", path_name(path));
    free(path);
    const char *name;
    int64_t value;
    for (size_t i = 0; hyper_number(i, &x->m->hyper, &name, &value); i++) {
        const struct key_map *k = a->keys;
        while (k->key && strcmp(k->key, name)) k++;
        if (!k->key) continue;
        snprintf(key, sizeof key, "%s.%s", a->name, name);
        gguf_write_u32(w, key, (uint32_t)value);
    }
    snprintf(key, sizeof key, "%s.%s", a->name, a->eps_key);
    gguf_write_f32(w, key, x->m->hyper.norm_eps);
    if (x->m->hyper.rope_dims) {
        snprintf(key, sizeof key, "%s.rope.freq_base", a->name);
        gguf_write_f32(w, key, (float)x->m->hyper.rope_base);
    }
    struct tokenizer *t;
    int status = tokenizer_open(&t, x->m->facts.path, e);
    if (status) return status;
    tokenizer_write_gguf(t, w);
    tokenizer_close(t);
    return 0;
}

/* What a file says of how its matrices were packed: no longer true of one that is packed anew. */
static bool tells_packing(const struct gguf_value *v)
{
    static const char *const keys[] = {
        "general.file_type",        "general.quantization_version",   "quantize.imatrix.file",
        "quantize.imatrix.dataset", "quantize.imatrix.entries_count", "quantize.imatrix.chunks_count"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (is_key(v, keys[i])) return true;
    return false;
}

static void write_packing(const struct exporting *x, struct gguf_writer *w)
{
    const struct imatrix *im = x->m->imatrix;
    if (is_blocked(x)) gguf_write_u32(w, "general.quantization_version", 2);
    gguf_write_u32(w, "general.file_type", file_type(x));
    if (!im) return;
    gguf_write_string(w, "quantize.imatrix.file", imatrix_path(im));
    if (*imatrix_dataset(im)) gguf_write_string(w, "quantize.imatrix.dataset", imatrix_dataset(im));
    gguf_write_u32(w, "quantize.imatrix.entries_count", (uint32_t)imatrix_count(im));
    if (imatrix_chunks(im)) gguf_write_u32(w, "quantize.imatrix.chunks_count", imatrix_chunks(im));
}

static int write_metadata(const struct exporting *x, struct gguf_writer *w, struct error *e)
{
    const struct gguf *g = checkpoint_gguf(source_checkpoint(x->m->source));
    bool packs = x->options->how || !g;
    int status = g ? 0 : write_folder_metadata(x, w, e);
    for (size_t i = 0; g && i < gguf_value_count(g); i++) {
        const struct gguf_value *v = gguf_value(g, i);
        if (!is_key(v, "general.alignment") && !(packs && tells_packing(v))) gguf_write_value(w, v);
    }
    if (packs) write_packing(x, w);
    return status;
}

/* Rows of every head from (first halves, second halves) to interleaved pairs, as GGUF has them. */
static int interleave(const struct model *m, struct tensor *t, struct error *e)
{
    const struct dtype *d = dtype_of((int)t->type);
    int64_t head = m->hyper.head, half = m->hyper.rope_dims / 2, rows = t->shape[0];
    size_t bytes = (size_t)(t->shape[1] / d->block) * d->block_bytes;
    uint8_t *out = memory_new((size_t)rows, bytes, t->name, e);
    if (!out) return ERROR_IO;
    for (int64_t r = 0; r < rows; r++) {
        int64_t i = r % head;
        int64_t to = i < half ? 2 * i : i < 2 * half ? 2 * (i - half) + 1 : i;
        memcpy(out + (size_t)(r - i + to) * bytes, (const uint8_t *)t->data + (size_t)r * bytes, bytes);
    }
    free(t->owned);
    t->data = t->owned = out;
    return 0;
}

static int write_vector(struct exporting *x, const struct entry *t, struct gguf_writer *w, struct error *e)
{
    float *v = source_vector(x->m->source, t->name, t->layer, t->shape[0], e);
    if (!v) return (int)e->code;
    gguf_write_data(w, v, (size_t)t->shape[0] * sizeof *v);
    free(v);
    return 0;
}

/* A GPTQ matrix as the floats that it stands for. */
static int read_matrix(struct exporting *x, const struct entry *t, struct tensor *out, struct error *e)
{
    struct model *m = x->m;
    struct gptq_stored parts;
    struct matrix stored = {0};
    bool in_parts;
    int status = source_parts(m->source, t->name, t->layer, t->shape[1], &in_parts, &parts, e);
    if (!status && !in_parts) return source_tensor(m->source, t->name, t->layer, 2, t->shape, out, e);
    if (status) return status;
    if (load_stored_parts(m, &parts, t->shape[0], t->shape[1], &stored, e)) return error_prefix(e, "%s", m->facts.path);
    status = matrix_to_f32(&stored, parts.qweight->name, out, e);
    matrix_free(&stored);
    return status;
}

static int write_tensor(struct exporting *x, const struct entry *t, struct gguf_writer *w, struct error *e)
{
    if (t->n_dims == 1) return write_vector(x, t, w, e);
    struct tensor tensor = {0};
    struct backend_options f32;
    struct matrix m;
    int status = backend_parse(&f32, "f32", e);
    if (!status) status = read_matrix(x, t, &tensor, e);
    bool folder = !checkpoint_gguf(source_checkpoint(x->m->source));
    if (!status && folder && t->change == ROPE_ROWS && x->m->architecture->rope_interleaved_in_gguf)
        status = interleave(x->m, &tensor, e);
    if (status) free(tensor.owned);
    char full[MODEL_NAME];
    struct place at = model_place(x->m, t->name, t->layer, full);
    at.importance = t->importance;
    if (!status && matrix_pack(&m, &tensor, t->multiplied ? x->options->how : &f32, &at, e))
        status = error_prefix(e, "%s", x->m->facts.path);
    if (status) return status;
    if (m.type != t->type)
        status = error_set(e, ERROR_IO, "%s: packed as %s instead of %s", t->full, dtype_of((int)m.type)->name,
                           dtype_of((int)t->type)->name);
    else
        gguf_write_data(w, m.data, m.bytes);
    matrix_free(&m);
    return status;
}

static int write_all(struct exporting *x, struct gguf_writer *w, const struct export_progress *progress,
                     struct error *e)
{
    int status = write_metadata(x, w, e);
    for (size_t i = 0; i < x->n; i++)
        gguf_write_tensor(w, x->entries[i].full, x->entries[i].type, x->entries[i].n_dims, x->entries[i].shape);
    for (size_t i = 0; i < x->n && !status; i++) {
        if (progress && !progress->tensor(progress->user, i, x->n))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
        else
            status = write_tensor(x, &x->entries[i], w, e);
        source_forget(x->m->source, x->entries[i].name, x->entries[i].layer);
    }
    return status;
}

int model_export(const char *path, const struct model_options *options, const char *out_path,
                 const struct export_progress *progress, struct facts *facts, struct error *e)
{
    static const struct model_options stored;
    struct exporting x = {.m = memory_new(1, sizeof *x.m, "a model", e), .options = options ? options : &stored};
    struct gguf_writer *w = NULL;
    if (x.m) x.m->options = x.options;
    int status = x.m ? model_prepare(x.m, path, e) : ERROR_IO;
    if (!status) status = list_tensors(&x, e);
    if (!status) status = gguf_writer_open(&w, out_path, e);
    if (!status) status = write_all(&x, w, progress, e);
    if (!status) status = gguf_writer_commit(&w, e);
    gguf_writer_abandon(&w);
    if (!status && facts) *facts = x.m->facts, facts->path = path;
    free(x.entries);
    model_close(x.m);
    return status;
}
