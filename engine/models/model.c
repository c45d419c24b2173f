#include "engine/models/model.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a model --- */

int model_prepare(struct model *m, const char *path, struct error *e)
{
    int status = source_open(&m->source, path, e);
    if (status) return status;
    m->architecture = source_architecture(m->source);
    m->facts.architecture = m->architecture->name;
    m->facts.path = checkpoint_path(source_checkpoint(m->source));
    status = load_hyper(m, e);
    if (status) return status;
    m->layers = memory_new((size_t)m->hyper.layers, sizeof *m->layers, "layers", e);
    return m->layers ? 0 : ERROR_IO;
}

static int load(struct model *m, const char *path, struct error *e)
{
    int status = model_prepare(m, path, e);
    if (status) return status;
    const struct checkpoint *c = source_checkpoint(m->source);
    status = m->architecture->load(m, e);
    if (!status) status = source_all_used(m->source, e);
    if (!status) status = checkpoint_hash(c, m->facts.hash, e);
    if (!status && checkpoint_gguf(c))
        status = tokenizer_open_gguf(&m->tokenizer, checkpoint_gguf(c), e);
    else if (!status)
        status = tokenizer_open(&m->tokenizer, path, e);
    if (!status && (int64_t)tokenizer_size(m->tokenizer) > m->hyper.vocab)
        status = error_set(e, ERROR_INPUT, "%s: the tokenizer has %zu tokens, the embedding only %" PRId64 " rows",
                           path, tokenizer_size(m->tokenizer), m->hyper.vocab);
    return status;
}

int model_open(struct model **out, const char *path, const struct backend_options *how, struct error *e)
{
    *out = NULL;
    struct model *m = memory_new(1, sizeof *m, "a model", e);
    if (!m) return ERROR_IO;
    m->kernels = kernels_get();
    m->how = how;
    snprintf(m->facts.backend, sizeof m->facts.backend, "%s", how ? how->spec : "stored");
    int status = load(m, path, e);
    m->how = NULL;
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

void model_close(struct model *m)
{
    if (!m) return;
    for (int64_t i = 0; m->layers && i < m->hyper.layers; i++) {
        struct layer *l = &m->layers[i];
        for (size_t j = 0; j < LINEARS; j++) linear_free(&l->w[j]);
        norm_free(&l->attn_norm);
        norm_free(&l->ffn_norm);
    }
    free(m->layers);
    matrix_free(&m->embedding);
    matrix_free(&m->output);
    norm_free(&m->final_norm);
    free(m->positions);
    tokenizer_close(m->tokenizer);
    source_close(m->source);
    free(m);
}

const struct hyper *model_hyper(const struct model *m) { return &m->hyper; }
const struct facts *model_facts(const struct model *m) { return &m->facts; }
const struct tokenizer *model_tokenizer(const struct model *m) { return m->tokenizer; }

/* --- caches --- */

size_t cache_position_bytes(const struct model *m)
{
    return (size_t)(m->hyper.layers * m->hyper.kv_heads * m->hyper.head) * 2 * sizeof(float);
}

/* Moves keys or values into room for more positions; a layer's positions lie together. */
static float *grown(const struct cache *c, const float *old, int64_t capacity, struct error *e)
{
    size_t row = (size_t)c->width * sizeof *old;
    float *room = memory_new((size_t)capacity * (size_t)c->layers, row, "keys and values", e);
    for (int64_t i = 0; room && old && i < c->layers; i++)
        memcpy(room + i * capacity * c->width, old + i * c->capacity * c->width, (size_t)(c->length - c->start) * row);
    return room;
}

static int cache_reserve(struct cache *c, int64_t positions, struct error *e)
{
    if (positions <= c->capacity) return 0;
    int64_t capacity = positions > 2 * c->capacity ? positions : 2 * c->capacity;
    float *k = grown(c, c->k, capacity, e), *v = k ? grown(c, c->v, capacity, e) : NULL;
    if (!v) {
        free(k);
        return ERROR_IO;
    }
    free(c->k);
    free(c->v);
    c->k = k;
    c->v = v;
    c->capacity = capacity;
    return 0;
}

struct cache *cache_new(const struct model *m, struct cache *prefix, int64_t prefix_length, int64_t capacity,
                        struct error *e)
{
    struct cache *c = memory_new(1, sizeof *c, "a cache", e);
    if (!c) return NULL;
    c->prefix = prefix;
    c->start = c->length = prefix ? prefix_length : 0;
    c->width = m->hyper.kv_heads * m->hyper.head;
    c->layers = m->hyper.layers;
    if (cache_reserve(c, capacity, e) == 0) return c;
    cache_free(c);
    return NULL;
}

void cache_free(struct cache *c)
{
    if (!c) return;
    free(c->k);
    free(c->v);
    free(c);
}

int64_t cache_length(const struct cache *c) { return c->length; }

void cache_truncate(struct cache *c, int64_t length)
{
    if (length < c->length) c->length = length < c->start ? c->start : length;
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

/* Angles in float32, as the reference implementations have them: position * base^(-2i/dims). */
static void fill_turns(struct pass *p)
{
    const struct hyper *h = &p->m->hyper;
    int64_t half = h->rope_dims / 2;
    for (int64_t i = 0; i < half; i++) {
        float frequency = (float)(1.0 / pow(h->rope_base, (double)(2 * i) / (double)h->rope_dims));
        for (int64_t t = 0; t < p->n; t++) {
            float angle = (float)p->position[t] * frequency;
            p->turn[2 * (t * half + i)] = (float)cos((double)angle);
            p->turn[2 * (t * half + i) + 1] = (float)sin((double)angle);
        }
    }
}

static int pass_open(struct pass *p, struct error *e)
{
    int64_t longest = 1;
    for (size_t i = 0; i < p->n_spans; i++) {
        const struct span *s = &p->spans[i];
        int64_t end = s->cache->length + s->count;
        int status = cache_reserve(s->cache, end - s->cache->start, e);
        if (status) return status;
        if (end > longest) longest = end;
        p->n += s->count;
    }
    size_t n = (size_t)p->n;
    p->scratch_each = p->m->most_scratch > (size_t)longest ? p->m->most_scratch : (size_t)longest;
    p->ids = memory_new(n, 3 * sizeof *p->ids, "tokens", e);
    p->x = memory_new(n, (size_t)p->m->hyper.width * sizeof *p->x, "activations", e);
    p->turn = memory_new(n, (size_t)p->m->hyper.rope_dims * sizeof *p->turn, "angles", e);
    p->scratch = memory_new((size_t)omp_get_max_threads(), p->scratch_each * sizeof *p->scratch, "scratch", e);
    if (!p->ids || !p->x || !p->turn || !p->scratch) return ERROR_IO;
    p->position = p->ids + n;
    p->span_of = p->position + n;
    int64_t at = 0;
    for (size_t i = 0; i < p->n_spans; i++)
        for (int64_t j = 0; j < p->spans[i].count; j++, at++) {
            p->ids[at] = p->spans[i].ids[j];
            p->position[at] = (int32_t)(p->spans[i].cache->length + j);
            p->span_of[at] = (int32_t)i;
        }
    fill_turns(p);
    return 0;
}

/* One pass over all of these spans; *hidden moves on. */
static int run_pass(const struct model *m, const struct span *spans, size_t n_spans, float **hidden,
                    const struct probe *probe, struct error *e)
{
    struct pass p = {.m = m, .spans = spans, .n_spans = n_spans, .probe = probe};
    int status = pass_open(&p, e);
    if (!status) status = m->architecture->forward(&p, e);
    int64_t at = 0, width = m->hyper.width;
    for (size_t i = 0; i < n_spans && !status; i++) {
        int64_t wanted = spans[i].count - spans[i].first_output;
        memcpy(*hidden, p.x + (at + spans[i].first_output) * width, (size_t)(wanted * width) * sizeof **hidden);
        *hidden += wanted * width;
        at += spans[i].count;
        spans[i].cache->length += spans[i].count;
    }
    free(p.ids);
    free(p.x);
    free(p.turn);
    free(p.scratch);
    return status;
}

enum { PASS_BYTES = 128 << 20 };

/* Tokens that go through the layers at a time, so that activations stay within PASS_BYTES whatever the shapes. */
static int64_t pass_room(const struct hyper *h)
{
    int64_t heads = h->heads * h->head, keys = h->kv_heads * h->head;
    int64_t each = (4 * h->width + 3 * heads + 2 * keys + 2 * h->ffn) * (int64_t)sizeof(float);
    int64_t room = PASS_BYTES / each;
    return room < 1 ? 1 : room > PASS_TOKENS ? PASS_TOKENS : room;
}

int model_forward(const struct model *m, const struct span *spans, size_t n_spans, float *hidden,
                  const struct probe *probe, struct error *e)
{
    struct span *slice = memory_new(n_spans, sizeof *slice, "a batch", e);
    int status = slice ? 0 : ERROR_IO;
    for (size_t i = 0; i < n_spans && !status; i++) status = check_span(m, &spans[i], e);
    int64_t room = pass_room(&m->hyper), begun = 0; /* tokens of spans[i] that earlier slices took */
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
    free(slice);
    return status;
}

int model_logits(const struct model *m, const float *hidden, int64_t n, float *logits, struct error *e)
{
    const struct matrix *output = m->output.backend ? &m->output : &m->embedding;
    float *scratch = memory_new((size_t)omp_get_max_threads(), matrix_scratch(output) * sizeof *scratch, "scratch", e);
    if (!scratch) return ERROR_IO;
    matrix_multiply(output, hidden, n, logits, scratch);
    free(scratch);
    return 0;
}
