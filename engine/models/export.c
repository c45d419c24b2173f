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
    int64_t shape[3];
    const float *values; /* of a vector that the model made; NULL: the checkpoint's tensor */
    bool multiplied;     /* a matrix that the backend packs, or those of all experts */
    enum dtype_id type;  /* as written */
    enum name_change change;
    const float *importance; /* [shape[1]] or NULL */
};

struct exporting {
    struct model *m; /* nothing loaded */
    const struct model_options *options;
    struct entry *entries;
    size_t n, capacity;
};

static int64_t cols_of(const struct entry *t) { return t->shape[t->n_dims - 1]; }

static int64_t elements_of(const struct entry *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= t->shape[i];
    return n;
}

static int choose_type(const struct exporting *x, struct entry *t, struct error *e)
{
    enum dtype_id stored;
    int status = source_check(x->m->source, t->name, t->layer, t->n_dims, t->shape, &stored, &t->change, e);
    const struct backend_options *how = x->options->how;
    struct place at = model_place(x->m, t->name, t->layer, t->full);
    struct facts *facts = &x->m->facts;
    bool fell_back = false;
    t->type = !t->multiplied ? DTYPE_F32 : how ? how->backend->gguf_type(how, &at, cols_of(t), &fell_back) : stored;
    if (!status && t->multiplied) status = model_weigh(x->m, &at, cols_of(t), e);
    t->importance = at.importance;
    size_t bytes = 0;
    if (!status && !tensor_bytes(t->type, t->n_dims, t->shape, &bytes))
        status = error_set(e, ERROR_INPUT, "%s: %s: is too large", facts->path, t->full);
    facts->fell_back += fell_back;
    facts->weight_bytes += bytes;
    facts->parameters += elements_of(t);
    return status;
}

/* The embedding once more, where the output matrix is the same and must have a place of its own. */
static int add_output(struct exporting *x, struct entry embedding, struct error *e)
{
    if (memory_reserve((void **)&x->entries, &x->capacity, x->n + 1, sizeof *x->entries, "tensors", e)) return ERROR_IO;
    struct entry *t = &x->entries[x->n++];
    *t = embedding;
    model_name("output.weight", 0, t->full);
    size_t bytes = 0;
    tensor_bytes(t->type, t->n_dims, t->shape, &bytes);
    x->m->facts.weight_bytes += bytes;
    x->m->facts.parameters += elements_of(t);
    return 0;
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
    int status = choose_type(x, t, e);
    const bool again = x->m->architecture->stores_output && strcmp(name, "token_embd.weight") == 0;
    return !status && again && source_ties(x->m->source) ? add_output(x, *t, e) : status;
}

/* Divisors of rotary positions, which come first as llama.cpp's converter has them. */
static int add_rope(struct exporting *x, struct error *e)
{
    const char *name;
    const float *values;
    for (size_t i = 0; (values = rope_tensor(x->m, i, &name)) != NULL; i++) {
        if (memory_reserve((void **)&x->entries, &x->capacity, x->n + 1, sizeof *x->entries, "tensors", e))
            return ERROR_IO;
        struct entry *t = &x->entries[x->n++];
        *t = (struct entry){.name = name, .n_dims = 1, .values = values, .type = DTYPE_F32};
        t->shape[0] = x->m->hyper.rope_dims / 2;
        model_name(name, 0, t->full);
    }
    return 0;
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
    const char *lost = hyper_lost(x->m);
    if (lost) return error_set(e, ERROR_INPUT, "%s: config.json: %s: GGUF has no key for it", x->m->facts.path, lost);
    export_warn(x->m);
    int status = add_rope(x, e);
    return status ? status : model_list(x->m, &(struct recorder){x, add_entry}, e);
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
        if (x->entries[i].multiplied) elements[x->entries[i].type] += elements_of(&x->entries[i]);
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

/* The folder's tokenizer or, where GGUF has no words for it and the SentencePiece model that it was made of lies beside it
 * (Gemma's), that. */
static int open_tokenizer(const char *folder, struct tokenizer **out, struct error *e)
{
    struct error why;
    struct tokenizer *model = NULL;
    int status = tokenizer_open(out, folder, e);
    if (status || !tokenizer_check_gguf(*out, &why)) return status;
    char *path = path_join(folder, "tokenizer.model", e);
    if (!path) {
        tokenizer_close(*out);
        return e->code;
    }
    if (path_exists(path) && !tokenizer_open(&model, path, &why) && tokenizer_pieces_agree(model, *out) &&
        !tokenizer_check_gguf(model, &why)) {
        tokenizer_close(*out);
        *out = model;
    } else {
        tokenizer_close(model);
    }
    free(path);
    return 0;
}

static int write_folder_metadata(struct exporting *x, struct gguf_writer *w, struct error *e)
{
    gguf_write_string(w, "general.architecture", x->m->architecture->name);
    char *path = memory_string(x->m->facts.path, e);
    if (!path) return ERROR_IO;
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = 0;
    gguf_write_string(w, "general.name", path_name(path));
    free(path);
    hyper_write(x->m, w);
    struct tokenizer *t;
    int status = open_tokenizer(x->m->facts.path, &t, e);
    if (status) return status;
    if ((int64_t)tokenizer_size(t) > x->m->hyper.vocab)
        status = error_set(e, ERROR_INPUT,
                           "%s: the tokenizer has %zu tokens, the embedding only %" PRId64
                           " rows: GGUF files need a row for each",
                           x->m->facts.path, tokenizer_size(t), x->m->hyper.vocab);
    else
        tokenizer_write_gguf(t, (size_t)x->m->hyper.vocab, w);
    warn_of_tokenizer(x->m, t);
    tokenizer_close(t);
    return status ? status : export_chat_template(x->m->facts.path, w, e);
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

static int write_metadata(struct exporting *x, struct gguf_writer *w, struct error *e)
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

/* Where GGUF has a row: of heads that turn interleaved pairs instead of first and second halves; of matrices that have
 * q, k and v head by head all q, then all k, then all v. */
static int64_t row_in_gguf(const struct model *m, enum name_change change, int64_t r)
{
    const struct hyper *h = &m->hyper;
    const int64_t half = h->rope_dims / 2, i = r % h->head, whole = r / h->head;
    if (change == ROWS_BY_HEAD) return (whole % 3 * h->heads + whole / 3) * h->head + i;
    return r - i + (i < half ? 2 * i : i < 2 * half ? 2 * (i - half) + 1 : i);
}

static bool moves_rows(const struct exporting *x, const struct entry *t)
{
    if (checkpoint_gguf(source_checkpoint(x->m->source))) return false;
    return t->change == ROWS_BY_HEAD || (t->change == ROPE_ROWS && x->m->architecture->rope_interleaved_in_gguf);
}

static int move_rows(const struct exporting *x, enum name_change change, struct tensor *t, struct error *e)
{
    const struct dtype *d = dtype_of((int)t->type);
    const int64_t rows = t->shape[0];
    size_t bytes = (size_t)(t->shape[1] / d->block) * d->block_bytes;
    uint8_t *out = memory_new((size_t)rows, bytes, t->name, e);
    if (!out) return ERROR_IO;
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + (size_t)row_in_gguf(x->m, change, r) * bytes, (const uint8_t *)t->data + (size_t)r * bytes, bytes);
    free(t->owned);
    t->data = t->owned = out;
    return 0;
}

static int write_vector(struct exporting *x, const struct entry *t, struct gguf_writer *w, struct error *e)
{
    const size_t n = (size_t)t->shape[0];
    if (t->values) {
        gguf_write_data(w, t->values, n * sizeof *t->values);
        return 0;
    }
    float *v = source_vector(x->m->source, t->name, t->layer, t->shape[0], e);
    float *moved = v && moves_rows(x, t) ? memory_new(n, sizeof *v, t->name, e) : NULL;
    if (v && moves_rows(x, t) && !moved) {
        free(v);
        return ERROR_IO;
    }
    if (!v) return (int)e->code;
    for (int64_t r = 0; moved && r < t->shape[0]; r++) moved[row_in_gguf(x->m, t->change, r)] = v[r];
    gguf_write_data(w, moved ? moved : v, n * sizeof *v);
    free(moved);
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
    const int64_t *shape = t->shape + t->n_dims - 2;
    int status = source_parts(m->source, t->name, t->layer, shape[1], &in_parts, &parts, e);
    if (!status && !in_parts) return source_tensor(m->source, t->name, t->layer, 2, shape, out, e);
    if (status) return status;
    if (load_stored_parts(m, &parts, shape[0], shape[1], &stored, e)) return error_prefix(e, "%s", m->facts.path);
    status = matrix_to_f32(&stored, parts.qweight->name, out, e);
    matrix_free(&stored);
    return status;
}

static int write_matrix(struct exporting *x, const struct entry *t, struct gguf_writer *w, struct error *e)
{
    struct tensor tensor = {0};
    struct backend_options f32;
    struct matrix m;
    int status = backend_parse(&f32, "f32", e);
    if (!status) status = read_matrix(x, t, &tensor, e);
    if (!status && moves_rows(x, t)) status = move_rows(x, t->change, &tensor, e);
    if (status) free(tensor.owned);
    char full[MODEL_NAME];
    struct place at = model_place(x->m, t->name, t->layer, full);
    at.importance = t->importance;
    if (!status && t->n_dims == 3) status = model_importance(x->m, full, cols_of(t), &at.importance, e);
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

static int write_tensor(struct exporting *x, const struct entry *t, struct gguf_writer *w, struct error *e)
{
    int status = 0;
    if (t->n_dims == 1) return write_vector(x, t, w, e);
    if (t->n_dims == 2) return write_matrix(x, t, w, e);
    for (int64_t i = 0; i < t->shape[0] && !status; i++) {
        source_expert(x->m->source, i);
        status = write_matrix(x, t, w, e);
    }
    source_expert(x->m->source, -1);
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
        if (x->entries[i].n_dims < 3) source_forget(x->m->source, x->entries[i].name, x->entries[i].layer);
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
    if (!status) warn_of_zeros(x.m);
    if (!status) status = gguf_writer_commit(&w, e);
    gguf_writer_abandon(&w);
    if (!status && facts) *facts = x.m->facts, facts->path = path;
    free(x.entries);
    model_close(x.m);
    return status;
}
