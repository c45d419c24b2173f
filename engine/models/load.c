/* Loading: what all architectures share. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void count(struct model *m, int64_t elements, size_t bytes)
{
    m->facts.parameters += elements;
    m->facts.weight_bytes += bytes;
}

void model_count(struct model *m, const struct matrix *w, int sign)
{
    m->facts.parameters += sign * w->rows * w->cols;
    m->facts.weight_bytes += (size_t)sign * w->bytes;
    if (w->fell_back) m->facts.fell_back += sign;
    if (matrix_scratch(w) > m->most_scratch) m->most_scratch = matrix_scratch(w);
    if (matrix_inputs_bytes(w) > m->most_inputs) m->most_inputs = matrix_inputs_bytes(w);
}

void model_name(const char *pattern, int64_t layer, char full[MODEL_NAME])
{
    const char *hole = strstr(pattern, "%d");
    if (hole)
        snprintf(full, MODEL_NAME, "%.*s%" PRId64 "%s", (int)(hole - pattern), pattern, layer, hole + 2);
    else
        snprintf(full, MODEL_NAME, "%s", pattern);
}

/* --- what backends go by beyond a matrix's values --- */

struct place model_place(const struct model *m, const char *name, int64_t layer, char full[MODEL_NAME])
{
    model_name(name, layer, full);
    bool inside = strstr(name, "%d") != NULL;
    bool output = strcmp(name, "output.weight") == 0;
    return (struct place){.name = full,
                          .layer = inside ? layer : -1,
                          .layers = m->hyper.layers,
                          .queries = m->hyper.heads / m->hyper.kv_heads,
                          .makes_logits = output || (!inside && source_ties(m->source)),
                          .importance = NULL};
}

int model_weigh(struct model *m, struct place *at, int64_t cols, struct error *e)
{
    const struct backend_options *how = m->options->how;
    for (size_t i = 0; how && how->backend->pattern && how->backend->pattern(how, i); i++)
        if (pattern_fits(how->backend->pattern(how, i), at->name)) m->picked |= 1u << i;
    if (!m->imatrix) return 0;
    int status = imatrix_find(m->imatrix, at->name, cols, &at->importance, e);
    if (at->layer >= 0 && !at->importance) m->facts.unweighted++;
    if (at->importance) m->weighed++;
    return status;
}

static int patterns_used(const struct model *m, struct error *e)
{
    const struct backend_options *how = m->options->how;
    const char *pattern;
    for (size_t i = 0; how && how->backend->pattern && (pattern = how->backend->pattern(how, i)); i++)
        if (!(m->picked & 1u << i))
            return error_set(e, ERROR_USAGE,
                             "backend \"%s\": %s: fits no matrix of %s (kerf inspect lists their names)", how->spec,
                             pattern, m->facts.path);
    return 0;
}

int model_list(struct model *m, const struct recorder *recorder, struct error *e)
{
    m->recorder = recorder;
    int status = m->architecture->load(m, e);
    m->recorder = NULL;
    if (!status) status = source_all_used(m->source, e);
    if (!status) status = patterns_used(m, e);
    if (!status && m->imatrix && !m->weighed)
        status =
            error_set(e, ERROR_INPUT,
                      "%s: has importances for none of the matrices of %s: it was made for another model, make one "
                      "for this with kerf imatrix",
                      imatrix_path(m->imatrix), m->facts.path);
    return status;
}

/* The settings of "gptq" without bits, which takes a GPTQ checkpoint as it is stored; NULL for all others. */
static const struct gptq_settings *as_stored(const struct backend_options *how)
{
    const struct gptq_settings *s = how ? gptq_settings_of(how) : NULL;
    return s && !s->bits ? s : NULL;
}

static bool calibrated_later(const struct model *m, const struct place *at)
{
    struct calibration_plan plan;
    return backend_calibrates(m->options->how, &plan) && at->layer >= 0;
}

/* What a matrix is packed with: those that will be calibrated are first taken as they are stored. */
static const struct backend_options *load_how(const struct model *m, const struct place *at)
{
    const struct backend_options *how = m->options->how;
    return as_stored(how) || calibrated_later(m, at) ? NULL : how;
}

int load_stored_parts(struct model *m, struct gptq_stored *w, int64_t rows, int64_t cols, struct matrix *out,
                      struct error *e)
{
    const struct gptq_settings *given = as_stored(m->options->how);
    if (given && given->zeros) w->zeros = given->zeros;
    int status = gptq_adopt(out, w, rows, cols, e);
    if (!status) source_warn(m->source, w, out, m->facts.warning);
    return status;
}

/* A GPTQ matrix as it is stored or, packed another way, as the floats that it stands for. */
static int load_parts(struct model *m, struct gptq_stored *w, const struct place *at, int64_t rows, int64_t cols,
                      struct matrix *out, struct error *e)
{
    const struct backend_options *how = load_how(m, at);
    int status = load_stored_parts(m, w, rows, cols, out, e);
    if (status || !how) return status;
    struct tensor floats;
    status = matrix_to_f32(out, w->qweight->name, &floats, e);
    matrix_free(out);
    return status ? status : matrix_pack(out, &floats, how, at, e);
}

/* Under a recorder tensors are told to it and not loaded. */
static int record(struct model *m, const char *name, int64_t layer, int n_dims, const int64_t *shape, bool multiplied,
                  struct error *e)
{
    enum dtype_id type;
    enum name_change change;
    int status = source_check(m->source, name, layer, n_dims, shape, &type, &change, e);
    return status ? status : m->recorder->add(m->recorder->user, name, layer, n_dims, shape, multiplied, e);
}

static bool goes_on(struct model *m)
{
    const struct model_options *o = m->options;
    return !o->progress || o->progress(o->user, "packing", m->loaded++, m->matrices);
}

int load_matrix(struct model *m, const char *name, int64_t layer, int64_t rows, int64_t cols, struct matrix *out,
                struct error *e)
{
    const int64_t shape[] = {rows, cols};
    if (m->recorder) return record(m, name, layer, 2, shape, true, e);
    if (as_stored(m->options->how) && !source_has_parts(m->source))
        return error_set(e, ERROR_USAGE, "backend \"%s\": %s is no GPTQ checkpoint: bits must follow, as in gptq:4",
                         m->options->how->spec, m->facts.path);
    if (!goes_on(m)) return error_set(e, ERROR_INTERRUPTED, "interrupted");
    char full[MODEL_NAME];
    struct place at = model_place(m, name, layer, full);
    struct gptq_stored parts;
    bool in_parts;
    struct tensor t;
    int status = m->imatrix ? imatrix_find(m->imatrix, full, cols, &at.importance, e) : 0;
    if (!status) status = source_parts(m->source, name, layer, cols, &in_parts, &parts, e);
    if (!status && !in_parts) status = source_tensor(m->source, name, layer, 2, shape, &t, e);
    if (status) return status;
    bool mapped = !in_parts && !t.owned;
    const enum phase before = watch_enter(m->watch, PHASE_PACK);
    status = in_parts ? load_parts(m, &parts, &at, rows, cols, out, e) : matrix_pack(out, &t, load_how(m, &at), &at, e);
    if (!status && !calibrated_later(m, &at)) status = matrix_make_tiles(out, m->options->math, full, e);
    watch_enter(m->watch, before);
    if (!status && mapped && out->data != t.data) file_forget(t.data, t.bytes); /* it is not read again */
    if (status) return error_prefix(e, "%s", m->facts.path);
    model_count(m, out, 1);
    return 0;
}

int model_make_fast(struct model *m, struct error *e)
{
    for (int64_t i = 0; i < m->hyper.layers; i++)
        for (size_t j = 0; j < LINEARS; j++) {
            struct linear *l = &m->layers[i].w[j];
            char full[MODEL_NAME];
            if (!l->m.backend || l->m.tiles) continue;
            model_name(l->name, i, full);
            model_count(m, &l->m, -1);
            if (matrix_make_tiles(&l->m, MATH_FAST, full, e)) return error_prefix(e, "%s", m->facts.path);
            model_count(m, &l->m, 1);
        }
    return 0;
}

int load_table(struct model *m, const char *name, int64_t rows, int64_t cols, float **out, struct error *e)
{
    const int64_t shape[] = {rows, cols};
    if (m->recorder) return record(m, name, 0, 2, shape, false, e);
    struct tensor t;
    struct backend_options f32;
    struct matrix table = {0};
    int status = source_tensor(m->source, name, 0, 2, shape, &t, e);
    if (!status) status = backend_parse(&f32, "f32", e);
    if (!status && matrix_pack(&table, &t, &f32, NULL, e)) status = error_prefix(e, "%s", m->facts.path);
    if (status) return status;
    *out = memory_new((size_t)(rows * cols), sizeof **out, t.name, e);
    if (*out) matrix_unpack(&table, 0, rows, *out);
    matrix_free(&table);
    count(m, rows * cols, (size_t)(rows * cols) * sizeof **out);
    return *out ? 0 : ERROR_IO;
}

int load_vector(struct model *m, const char *name, int64_t layer, int64_t n, float **out, struct error *e)
{
    if (m->recorder) return record(m, name, layer, 1, &n, false, e);
    *out = source_vector(m->source, name, layer, n, e);
    if (!*out) return (int)e->code;
    count(m, n, (size_t)n * sizeof **out);
    return 0;
}

int load_linear(struct model *m, const char *name, bool bias, int64_t layer, int64_t rows, int64_t cols,
                struct linear *out, struct error *e)
{
    char full[MODEL_NAME];
    out->name = name;
    snprintf(full, sizeof full, "%.*s.bias", (int)(strrchr(name, '.') - name), name);
    int status = load_matrix(m, name, layer, rows, cols, &out->m, e);
    if (!status && bias) status = load_vector(m, full, layer, rows, &out->bias, e);
    return status;
}

static const char *with_ending(char buffer[MODEL_NAME], const char *name, const char *ending)
{
    snprintf(buffer, MODEL_NAME, "%s.%s", name, ending);
    return buffer;
}

int load_norm(struct model *m, const char *name, bool bias, int64_t layer, struct norm *out, struct error *e)
{
    char full[MODEL_NAME];
    int status = load_vector(m, with_ending(full, name, "weight"), layer, m->hyper.width, &out->weight, e);
    if (!status && bias) status = load_vector(m, with_ending(full, name, "bias"), layer, m->hyper.width, &out->bias, e);
    return status;
}

int load_embeddings(struct model *m, struct error *e)
{
    int status = load_matrix(m, "token_embd.weight", 0, m->hyper.vocab, m->hyper.width, &m->embedding, e);
    if (!status && !source_ties(m->source))
        status = load_matrix(m, "output.weight", 0, m->hyper.vocab, m->hyper.width, &m->output, e);
    return status;
}

static const struct {
    const char *key;
    size_t offset;
    int64_t low, high;
} numbers[] = {
    {"context_length", offsetof(struct hyper, context), 1, INT32_MAX},
    {"embedding_length", offsetof(struct hyper, width), 1, 1 << 18},
    {"block_count", offsetof(struct hyper, layers), 1, 1 << 20},
    {"feed_forward_length", offsetof(struct hyper, ffn), 1, 1 << 20},
    {"attention.head_count", offsetof(struct hyper, heads), 1, 1 << 16},
    {"attention.head_count_kv", offsetof(struct hyper, kv_heads), 1, 1 << 16},
    {"attention.key_length", offsetof(struct hyper, head), 1, 1 << 16},
    {"rope.dimension_count", offsetof(struct hyper, rope_dims), 2, ROPE_DIMS},
    {"vocab_size", offsetof(struct hyper, vocab), 1, INT32_MAX},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

bool hyper_number(size_t i, const struct hyper *h, const char **key, int64_t *value)
{
    if (i >= NUMBERS) return false;
    *key = numbers[i].key;
    *value = *(const int64_t *)((const char *)h + numbers[i].offset);
    return true;
}

static bool has_key(const struct architecture *a, const char *key)
{
    const struct key_map *k = a->keys;
    while (k->key && strcmp(k->key, key)) k++;
    return k->key != NULL;
}

static int check_hyper(const struct model *m, struct error *e)
{
    const struct hyper *h = &m->hyper;
    char key[SOURCE_KEY];
    if (h->layers > (int64_t)checkpoint_count(source_checkpoint(m->source)))
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " layers cannot come from %zu tensors", m->facts.path,
                         source_key(m->source, "block_count", key), h->layers,
                         checkpoint_count(source_checkpoint(m->source)));
    if (h->heads % h->kv_heads)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " heads do not divide into %" PRId64 " key heads",
                         m->facts.path, source_key(m->source, "attention.head_count", key), h->heads, h->kv_heads);
    if (h->head * h->heads > 1 << 24)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " x %" PRId64 " heads is too large", m->facts.path,
                         source_key(m->source, "attention.key_length", key), h->head, h->heads);
    if (h->rope_dims % 2 || h->rope_dims > h->head || h->rope_dims > ROPE_DIMS)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " must be even and at most the %" PRId64 " of a head",
                         m->facts.path, source_key(m->source, "rope.dimension_count", key), h->rope_dims, h->head);
    if (!(h->norm_eps >= 0) || !(h->rope_base > 0))
        return error_set(e, ERROR_INPUT, "%s: %s: must be positive", m->facts.path,
                         source_key(m->source, h->rope_base > 0 ? m->architecture->eps_key : "rope.freq_base", key));
    return 0;
}

int load_hyper(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    char key[SOURCE_KEY];
    const struct architecture *a = m->architecture;
    for (size_t i = 0; i < NUMBERS; i++) {
        int64_t *to = (int64_t *)((char *)h + numbers[i].offset);
        if (!has_key(a, numbers[i].key)) continue;
        int status = source_i64(m->source, numbers[i].key, numbers[i].low, numbers[i].high, to, e);
        if (status) return status;
    }
    int status = source_rows(m->source, "token_embd.weight", h->width, &h->vocab, e);
    if (status) return status;
    if (!h->kv_heads) h->kv_heads = h->heads;
    if (!h->head && h->width % h->heads)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " does not divide into %" PRId64 " heads", m->facts.path,
                         source_key(m->source, "embedding_length", key), h->width, h->heads);
    if (!h->head) h->head = h->width / h->heads;
    if (!h->ffn) h->ffn = 4 * h->width;
    double eps = 0, base = 10000;
    status = source_f64(m->source, a->eps_key, &eps, e);
    if (!status && has_key(a, "rope.freq_base")) {
        if (!h->rope_dims) h->rope_dims = h->head;
        status = source_f64(m->source, "rope.freq_base", &base, e);
    }
    h->norm_eps = (float)eps;
    h->rope_base = base;
    h->rope_interleaved = a->rope_interleaved_in_gguf && checkpoint_gguf(source_checkpoint(m->source));
    return status ? status : check_hyper(m, e);
}
