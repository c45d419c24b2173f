/* Loading: what all architectures share. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <inttypes.h>
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
                          .experts = m->hyper.experts,
                          .makes_logits = output || (!inside && source_ties(m->source)),
                          .importance = NULL};
}

int model_importance(const struct model *m, const char *full, int64_t cols, const float **out, struct error *e)
{
    *out = NULL;
    if (!m->imatrix) return 0;
    if (!is_experts(full)) return imatrix_find(m->imatrix, full, cols, out, e);
    const int64_t at = source_which_expert(m->source), n = m->hyper.experts;
    int status = 0;
    for (int64_t i = at < 0 ? 0 : at; i < (at < 0 ? n : at + 1) && !*out && !status; i++)
        status = imatrix_find_expert(m->imatrix, full, i, n, cols, out, e);
    return status;
}

int model_weigh(struct model *m, struct place *at, int64_t cols, struct error *e)
{
    const struct backend_options *how = m->options->how;
    for (size_t i = 0; how && how->backend->pattern && how->backend->pattern(how, i); i++)
        if (pattern_fits(how->backend->pattern(how, i), at->name)) m->picked |= 1u << i;
    if (!m->imatrix) return 0;
    int status = model_importance(m, at->name, cols, &at->importance, e);
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
    if (status) return status;
    source_look(m->source, w, out);
    return 0;
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
    int status = model_importance(m, full, cols, &at.importance, e);
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

static int make_fast(struct model *m, struct linear *l, int64_t layer, struct error *e)
{
    char full[MODEL_NAME];
    if (!l->m.backend || l->m.tiles) return 0;
    model_name(l->name, layer, full);
    model_count(m, &l->m, -1);
    if (matrix_make_tiles(&l->m, MATH_FAST, full, e)) return error_prefix(e, "%s", m->facts.path);
    model_count(m, &l->m, 1);
    return 0;
}

int model_make_fast(struct model *m, struct error *e)
{
    int status = 0;
    for (int64_t i = 0; i < m->hyper.layers && !status; i++) {
        struct layer *l = &m->layers[i];
        for (size_t j = 0; j < LINEARS && !status; j++) status = make_fast(m, &l->w[j], i, e);
        for (size_t part = 0; part < EXPERT_PARTS; part++)
            for (int64_t k = 0; l->experts[part] && k < m->hyper.experts && !status; k++)
                status = make_fast(m, &l->experts[part][k], i, e);
    }
    return status;
}

int load_float_matrix(struct model *m, const char *name, int64_t layer, int64_t rows, int64_t cols, struct matrix *out,
                      struct error *e)
{
    const int64_t shape[] = {rows, cols};
    if (m->recorder) return record(m, name, layer, 2, shape, false, e);
    struct tensor t;
    struct backend_options f32;
    int status = source_tensor(m->source, name, layer, 2, shape, &t, e);
    if (!status) status = backend_parse(&f32, "f32", e);
    if (!status && matrix_pack(out, &t, &f32, NULL, e)) status = error_prefix(e, "%s", m->facts.path);
    if (!status) model_count(m, out, 1);
    return status;
}

int load_table(struct model *m, const char *name, int64_t rows, int64_t cols, float **out, struct error *e)
{
    struct matrix table = {0};
    int status = load_float_matrix(m, name, 0, rows, cols, &table, e);
    if (status || m->recorder) return status;
    *out = memory_new((size_t)(rows * cols), sizeof **out, name, e);
    if (*out) matrix_unpack(&table, 0, rows, *out);
    matrix_free(&table);
    return *out ? 0 : ERROR_IO;
}

bool is_experts(const char *name) { return strstr(name, "_exps.") != NULL; }

int load_experts(struct model *m, const char *name, int64_t layer, int64_t rows, int64_t cols, struct linear **out,
                 struct error *e)
{
    const int64_t n = m->hyper.experts, shape[] = {n, rows, cols};
    if (m->recorder) return record(m, name, layer, 3, shape, true, e);
    *out = memory_new((size_t)n, sizeof **out, "experts", e);
    int status = *out ? 0 : ERROR_IO;
    for (int64_t i = 0; i < n && !status; i++) {
        source_expert(m->source, i);
        (*out)[i].name = name;
        status = load_matrix(m, name, layer, rows, cols, &(*out)[i].m, e);
    }
    source_expert(m->source, -1);
    return status;
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
