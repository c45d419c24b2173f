#include "engine/models/model.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a model --- */

static int open_imatrix(struct model *m, struct error *e)
{
    const struct model_options *o = m->options;
    if (!o->imatrix || !o->how || !o->how->backend->weighs) return 0;
    int status = imatrix_open(&m->imatrix, o->imatrix, e);
    if (!status) snprintf(m->facts.imatrix_hash, sizeof m->facts.imatrix_hash, "%s", imatrix_hash(m->imatrix));
    return status;
}

int model_prepare(struct model *m, const char *path, struct error *e)
{
    const struct backend_options *how = m->options->how;
    snprintf(m->facts.backend, sizeof m->facts.backend, "%s", how ? how->spec : "stored");
    bool fast = m->options->math == MATH_FAST;
    m->facts.math = fast ? "fast" : how && how->backend->math ? how->backend->math : "exact";
    int status = source_open(&m->source, path, e);
    if (status) return status;
    m->architecture = source_architecture(m->source);
    m->facts.architecture = m->architecture->name;
    m->facts.path = checkpoint_path(source_checkpoint(m->source));
    warn_of_file_type(m);
    status = load_hyper(m, e);
    if (!status) status = open_imatrix(m, e);
    if (status) return status;
    m->work = memory_new(1, sizeof *m->work, "a model", e);
    m->layers = memory_new((size_t)m->hyper.layers, sizeof *m->layers, "layers", e);
    return m->layers && m->work ? 0 : ERROR_IO;
}

static int count_matrix(void *user, const char *name, int64_t layer, int n_dims, const int64_t *shape, bool multiplied,
                        struct error *e)
{
    struct model *m = user;
    char full[MODEL_NAME];
    struct place at = model_place(m, name, layer, full);
    m->matrices += !multiplied ? 0 : n_dims == 3 ? (size_t)shape[0] : 1;
    return multiplied ? model_weigh(m, &at, shape[n_dims - 1], e) : 0;
}

/* Some folders have tokens that were added without a row for them, for padding above all; transformers fails where one
 * is met. A file, and a folder that claims another size than its embedding has, are taken at their word. */
static int check_tokenizer(struct model *m, struct error *e)
{
    const int64_t rows = m->hyper.vocab, tokens = (int64_t)tokenizer_size(m->tokenizer);
    if (tokens <= rows) return 0;
    const json_t *claimed = source_config(m->source, "vocab_size");
    if (json_integer_value(claimed) != rows || tokenizer_opening(m->tokenizer) >= rows)
        return error_set(e, ERROR_INPUT,
                         "%s: the tokenizer has %" PRId64 " tokens, the embedding only %" PRId64 " rows", m->facts.path,
                         tokens, rows);
    tokenizer_limit(m->tokenizer, rows);
    model_warn(m,
               "the tokenizer has %" PRId64 " tokens, the embedding %" PRId64 " rows: text with the others is refused",
               tokens, rows);
    return 0;
}

/* What is wrong with names and shapes shows before the work. */
static int load(struct model *m, const char *path, struct error *e)
{
    int status = model_prepare(m, path, e);
    if (status) return status;
    const struct checkpoint *c = source_checkpoint(m->source);
    status = model_list(m, &(struct recorder){m, count_matrix}, e);
    if (!status) status = m->architecture->load(m, e);
    if (!status) status = checkpoint_hash(c, m->facts.hash, e);
    if (!status && checkpoint_gguf(c))
        status = tokenizer_open_gguf(&m->tokenizer, checkpoint_gguf(c), e);
    else if (!status)
        status = tokenizer_open(&m->tokenizer, path, e);
    if (!status) status = check_tokenizer(m, e);
    if (status) return status;
    warn_of_zeros(m);
    warn_of_tokenizer(m, m->tokenizer);
    return 0;
}

int model_open(struct model **out, const char *path, const struct model_options *options, struct error *e)
{
    *out = NULL;
    struct model *m = memory_new(1, sizeof *m, "a model", e);
    if (!m) return ERROR_IO;
    m->kernels = kernels_get();
    static const struct model_options stored;
    m->options = options ? options : &stored;
    m->watch = m->options->watch;
    const enum phase before = watch_enter(m->watch, PHASE_LOAD);
    int status = load(m, path, e);
    watch_enter(m->watch, PHASE_PACK);
    if (!status) status = model_calibrate(m, e);
    if (!status && m->options->math == MATH_FAST) status = model_make_fast(m, e);
    watch_enter(m->watch, before);
    m->options = NULL;
    imatrix_close(m->imatrix);
    m->imatrix = NULL;
    if (status) {
        model_close(m);
        return status;
    }
    *out = m;
    return 0;
}

static void linear_free(struct linear *l)
{
    matrix_free(&l->m);
    free(l->bias);
}

static void norm_free(struct norm *n)
{
    free(n->weight);
    free(n->bias);
}

static void experts_free(const struct model *m, struct layer *l)
{
    for (size_t part = 0; part < EXPERT_PARTS; part++) {
        for (int64_t i = 0; l->experts[part] && i < m->hyper.experts; i++) linear_free(&l->experts[part][i]);
        free(l->experts[part]);
    }
    matrix_free(&l->router);
    free(l->shared_gate);
}

void model_close(struct model *m)
{
    if (!m) return;
    for (int64_t i = 0; m->layers && i < m->hyper.layers; i++) {
        struct layer *l = &m->layers[i];
        for (size_t j = 0; j < LINEARS; j++) linear_free(&l->w[j]);
        struct norm *const norms[] = {&l->attn_norm, &l->ffn_norm, &l->attn_post_norm, &l->ffn_post_norm};
        for (size_t j = 0; j < sizeof norms / sizeof *norms; j++) norm_free(norms[j]);
        free(l->q_norm);
        free(l->k_norm);
        experts_free(m, l);
    }
    rope_free(&m->rope);
    free((void *)(uintptr_t)m->hyper.windows);
    free(m->layers);
    if (m->work) free(m->work->memory);
    free(m->work);
    matrix_free(&m->embedding);
    matrix_free(&m->output);
    norm_free(&m->final_norm);
    free(m->positions);
    imatrix_close(m->imatrix);
    tokenizer_close(m->tokenizer);
    source_close(m->source);
    free(m);
}

const struct hyper *model_hyper(const struct model *m) { return &m->hyper; }
const struct facts *model_facts(const struct model *m) { return &m->facts; }
const struct tokenizer *model_tokenizer(const struct model *m) { return m->tokenizer; }

const struct matrix *model_linear(const struct model *m, int64_t layer, enum linear_role role, const char **name)
{
    const struct linear *w = &m->layers[layer].w[role];
    if (name) *name = w->name;
    return w->m.backend ? &w->m : NULL;
}

const struct matrix *model_expert(const struct model *m, int64_t layer, enum expert_part part)
{
    const struct linear *experts = m->layers[layer].experts[part];
    return experts ? &experts->m : NULL;
}

const struct matrix *model_output(const struct model *m) { return m->output.backend ? &m->output : &m->embedding; }

/* Adds what one matrix counted; false: it counts nothing. */
static bool add_outliers(const struct matrix *w, struct outliers *out)
{
    struct outliers here;
    if (!w->backend || !w->backend->count_outliers) return false;
    w->backend->count_outliers(w, &here);
    out->threshold = here.threshold;
    out->values += here.values;
    out->large += here.large;
    out->features += here.features;
    out->touched += here.touched;
    return true;
}

bool model_outliers(const struct model *m, int64_t layer, struct outliers *out)
{
    *out = (struct outliers){0};
    bool any = false;
    const struct layer *l = &m->layers[layer];
    for (size_t i = 0; i < LINEARS; i++) any |= add_outliers(&l->w[i].m, out);
    for (size_t part = 0; part < EXPERT_PARTS; part++)
        for (int64_t i = 0; l->experts[part] && i < m->hyper.experts; i++)
            any |= add_outliers(&l->experts[part][i].m, out);
    return any;
}

/* --- a forward pass --- */

static int check_span(const struct model *m, const struct span *s, struct error *e)
{
    int64_t end = s->cache->length + s->count;
    if (end > m->hyper.context)
        return error_set(e, ERROR_INPUT, "%s: %" PRId64 " tokens do not fit in the model's context of %" PRId64,
                         m->facts.path, end, m->hyper.context);
    for (int64_t i = 0; i < s->count; i++)
        if (s->ids[i] < 0 || s->ids[i] >= m->hyper.vocab)
            return error_set(e, ERROR_INPUT, "%s: token %d is outside the vocabulary of %" PRId64, m->facts.path,
                             s->ids[i], m->hyper.vocab);
    return 0;
}

/* One pass over all of these spans; *hidden moves on. */
static int run_pass(const struct model *m, const struct span *spans, size_t n_spans, float **hidden,
                    const struct probe *probe, struct error *e)
{
    struct pass p = {.m = m, .spans = spans, .n_spans = n_spans, .probe = probe, .layer = -1};
    int status = pass_open(&p, e);
    if (status) return status;
    pass_embed(&p);
    for (p.layer = 0; p.layer < m->hyper.layers; p.layer++) m->architecture->layer(&p, p.layer);
    p.layer = -1;
    m->architecture->finish(&p);
    int64_t at = 0, width = m->hyper.width;
    for (size_t i = 0; i < n_spans; i++) {
        int64_t wanted = spans[i].count - spans[i].first_output;
        if (wanted) { /* else hidden may be NULL */
            memcpy(*hidden, p.x + (at + spans[i].first_output) * width, (size_t)(wanted * width) * sizeof **hidden);
            *hidden += wanted * width;
        }
        at += spans[i].count;
        spans[i].cache->length += spans[i].count;
    }
    return 0;
}

/* Every sequence brings one token to those that it has. */
static bool is_decoding(const struct span *spans, size_t n)
{
    size_t i = 0;
    while (i < n && spans[i].count == 1 && spans[i].cache->length) i++;
    return i == n;
}

int model_forward(const struct model *m, const struct span *spans, size_t n_spans, float *hidden,
                  const struct probe *probe, struct error *e)
{
    struct span *slice = memory_new(n_spans, sizeof *slice, "a batch", e);
    int status = slice ? 0 : ERROR_IO;
    for (size_t i = 0; i < n_spans && !status; i++) status = check_span(m, &spans[i], e);
    int64_t room = pass_room(m), all = 0, begun = 0; /* tokens of spans[i] that earlier slices took */
    for (size_t i = 0; i < n_spans; i++) all += spans[i].count;
    int64_t slices = (all + room - 1) / room;
    if (slices > 1) room = (all + slices - 1) / slices; /* as long as each other */
    m->work->phase = is_decoding(spans, n_spans) ? PHASE_DECODE : PHASE_PREFILL;
    const enum phase before = watch_enter(m->watch, m->work->phase);
    for (size_t i = 0; i < n_spans && !status;) {
        size_t n = 0;
        for (int64_t left = room; i < n_spans && left;) {
            const struct span *s = &spans[i];
            int64_t here = s->count - begun < left ? s->count - begun : left, first = s->first_output - begun;
            slice[n++] = (struct span){s->cache, s->ids + begun, here, first < 0 ? 0 : first > here ? here : first};
            left -= here;
            begun += here;
            if (begun == s->count) i++, begun = 0;
        }
        status = run_pass(m, slice, n, &hidden, probe, e);
    }
    watch_enter(m->watch, before);
    free(slice);
    return status;
}

static int logits(const struct model *m, const struct matrix *output, const float *hidden, int64_t n, float *y,
                  struct error *e)
{
    pass_begins(m);
    size_t room = ((size_t)n * matrix_inputs_bytes(output) + 63) / 64 * 64;
    uint8_t *memory = model_memory(m, room + (size_t)omp_get_max_threads() * matrix_scratch(output), e);
    if (!memory) return ERROR_IO;
    struct matrix_inputs in;
    matrix_inputs(output, hidden, n, memory, &in);
    matrix_products(&(struct product){output, y}, 1, &in, memory + room);
    const int64_t vocab = output->rows;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        if (m->hyper.logit_cap > 0) soft_cap(y + i * vocab, m->hyper.logit_cap, vocab);
    pass_tell(m, -1, PART_OUTPUT, 2 * (double)n * (double)output->rows * (double)output->cols, (double)output->bytes);
    return 0;
}

int model_logits(const struct model *m, const float *hidden, int64_t n, float *y, struct error *e)
{
    const enum phase before = watch_enter(m->watch, m->work->phase);
    int status = logits(m, model_output(m), hidden, n, y, e);
    watch_enter(m->watch, before);
    return status;
}

/* --- times --- */

const char *part_name(enum pass_part part)
{
    static const char *const names[PASS_PARTS] = {"embedding",   "norms", "inputs", "q k v", "attention output",
                                                  "gate and up", "down",  "output", "rope",  "attention",
                                                  "activation",  "rest"};
    return names[part];
}

void model_times(const struct model *m, struct model_times *out) { *out = m->work->times; }

void model_times_reset(const struct model *m) { m->work->times = (struct model_times){0}; }

/* --- a watch --- */

void model_watch(struct model *m, const struct watch *watch) { m->watch = watch; }

const struct watch *model_watched(const struct model *m) { return m->watch; }

/* The type of a matrix, or where its backend has a form that is no type's, the backend. */
static void name_weights(const struct model *m, const struct matrix *w, char out[BACKEND_SPEC])
{
    const bool stored = strcmp(m->facts.backend, "stored") == 0, own = w->backend->tile;
    if (own)
        snprintf(out, BACKEND_SPEC, "%s", stored ? w->backend->name : m->facts.backend);
    else
        dtype_lower_name(w->type, out);
}

/* Behind what there is, with a comma between. */
static void append(char *out, size_t size, const char *more)
{
    const size_t n = strlen(out);
    snprintf(out + n, size - n, "%s%s", n ? ", " : "", more);
}

void model_part_matrices(const struct model *m, int64_t layer, enum pass_part part, char *weights, size_t weights_size,
                         char *shape, size_t shape_size)
{
    const struct matrix *of[LINEARS + EXPERT_PARTS];
    char names[LINEARS + EXPERT_PARTS][BACKEND_SPEC], rows_by_cols[96], times[32] = "";
    size_t n = 0, alone;
    weights[0] = shape[0] = 0;
    if (part == PART_OUTPUT) of[n++] = model_output(m);
    for (size_t role = 0; role < LINEARS && layer >= 0; role++) {
        const struct matrix *w = &m->layers[layer].w[role].m;
        if (w->backend && part_of((enum linear_role)role) == part) of[n++] = w;
    }
    alone = n;
    for (size_t i = 0; i < EXPERT_PARTS && layer >= 0; i++) {
        const struct linear *experts = m->layers[layer].experts[i];
        if (experts && part == (i == EXPERT_DOWN ? PART_DOWN : PART_GATE_UP)) of[n++] = &experts->m;
    }
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        if (i == alone) snprintf(times, sizeof times, "%" PRId64 "*", m->hyper.experts);
        name_weights(m, of[i], names[i]);
        while (strcmp(names[same], names[i])) same++;
        if (same == i) append(weights, weights_size, names[i]);
        snprintf(rows_by_cols, sizeof rows_by_cols, "%s%" PRId64 "x%" PRId64, times, of[i]->rows, of[i]->cols);
        append(shape, shape_size, rows_by_cols);
    }
}
