/* Quantization that looks at what the matrices meet: layer by layer, each on the outputs of the layers before it as they
 * are once quantized (Frantar et al. 2022, "GPTQ", section 4). Within a layer, in true-sequential order, the matrices
 * that share an input are calibrated together and those behind them see what became of them. */
#include "engine/models/calibrate.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <cblas.h>
#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* --- the text, as sequences of ids --- */

struct sequences {
    int32_t *ids; /* [count, length] */
    int64_t count, length;
};

/* Evenly spread over the text, without overlap; each begins with BOS where the tokenizer wants one. */
static int cut(const struct model *m, const struct ids *all, const struct calibration_plan *plan, struct sequences *out,
               struct error *e)
{
    int64_t bos = tokenizer_adds_bos(m->tokenizer) ? tokenizer_bos(m->tokenizer) : -1, own = bos >= 0 ? 1 : 0;
    out->length = plan->length ? plan->length : 2048;
    if (out->length > m->hyper.context) out->length = m->hyper.context;
    int64_t each = out->length - own;
    out->count = each > 0 ? (int64_t)all->count / each : 0;
    if (!out->count)
        return error_set(e, ERROR_INPUT,
                         "%s: has %zu tokens, a calibration sequence needs %" PRId64 ": give more text or length=N",
                         m->options->calibration, all->count, each > 0 ? each : 2);
    int64_t stride = each;
    if (plan->samples && out->count > plan->samples) {
        out->count = plan->samples;
        stride = (int64_t)all->count / out->count;
    }
    out->ids = memory_new((size_t)out->count, (size_t)out->length * sizeof *out->ids, "calibration text", e);
    if (!out->ids) return ERROR_IO;
    for (int64_t i = 0; i < out->count; i++) {
        if (own) out->ids[i * out->length] = (int32_t)bos;
        memcpy(out->ids + i * out->length + own, all->at + i * stride, (size_t)each * sizeof *out->ids);
    }
    return 0;
}

static int read_sequences(struct model *m, const struct calibration_plan *plan, struct sequences *out, struct error *e)
{
    if (!m->options->calibration)
        return error_set(e, ERROR_USAGE, "backend \"%s\": needs text to calibrate with: give --calibration FILE",
                         m->options->how->spec);
    struct file f;
    struct ids all = {0};
    int status = file_map(&f, m->options->calibration, e);
    if (status) return status;
    hash_hex(f.data, f.size, m->facts.calibration.hash);
    status = text_check(f.path, 1, (const char *)f.data, f.size, e);
    if (!status) status = tokenizer_encode(m->tokenizer, (const char *)f.data, f.size, TOKENIZER_PLAIN, &all, e);
    if (!status) status = cut(m, &all, plan, out, e);
    ids_free(&all);
    file_unmap(&f);
    return status;
}

/* --- Hessians --- */

enum { TILE = 192 };

struct collector {
    bool wanted[LINEARS]; /* the first matrix of each set that shares an input */
    struct hessian of[LINEARS];
    double *h[LINEARS]; /* [cols, cols], the upper triangle of tiles while it is collected */
    float *tiles;       /* [threads, TILE, TILE] */
};

/* h += the transpose of x times x: tile by tile, each by one thread, in float32 within a slice of tokens and in double
 * over the slices. */
void hessian_add(double *h, const float *x, int64_t n, int64_t cols, float *tiles)
{
    int64_t side = (cols + TILE - 1) / TILE;
#pragma omp parallel for collapse(2) schedule(dynamic, 1)
    for (int64_t bi = 0; bi < side; bi++)
        for (int64_t bj = 0; bj < side; bj++) {
            if (bj < bi) continue;
            int64_t i = bi * TILE, j = bj * TILE;
            int64_t rows = cols - i < TILE ? cols - i : TILE, width = cols - j < TILE ? cols - j : TILE;
            float *tile = tiles + (size_t)omp_get_thread_num() * TILE * TILE;
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)width, (int)n, 1.f, x + i, (int)cols,
                        x + j, (int)cols, 0.f, tile, (int)width);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < width; c++) h[(i + r) * cols + j + c] += (double)tile[r * width + c];
        }
}

static void collect(void *user, int64_t layer, enum linear_role role, const float *x, int64_t n, int64_t cols)
{
    (void)layer;
    struct collector *c = user;
    if (!c->wanted[role]) return;
    hessian_add(c->h[role], x, n, cols, c->tiles);
    c->of[role].tokens += n;
}

float *hessian_tiles(struct error *e)
{
    return memory_new((size_t)omp_get_max_threads(), TILE * TILE * sizeof(float), "a Hessian", e);
}

void hessian_finish(double *h, int64_t cols, int64_t tokens)
{
#pragma omp parallel for schedule(static, 16)
    for (int64_t i = 0; i < cols; i++)
        for (int64_t j = i; j < cols; j++) h[i * cols + j] /= (double)tokens;
#pragma omp parallel for schedule(static, 16)
    for (int64_t i = 0; i < cols; i++)
        for (int64_t j = 0; j < i; j++) h[i * cols + j] = h[j * cols + i];
}

static void collector_free(struct collector *c)
{
    for (size_t i = 0; i < LINEARS; i++) free(c->h[i]);
    free(c->tiles);
    *c = (struct collector){0};
}

/* --- a layer --- */

/* Matrices that share an input, in the order in which a layer meets the sets. */
static const enum linear_role sets[][5] = {{LINEAR_Q, LINEAR_K, LINEAR_V, LINEAR_QKV, LINEARS},
                                           {LINEAR_O, LINEARS},
                                           {LINEAR_GATE, LINEAR_UP, LINEARS},
                                           {LINEAR_DOWN, LINEARS}};
enum { SETS = sizeof sets / sizeof *sets, SET_GATE_UP = 2, SET_DOWN = 3 };

/* The first matrix of a set that the layer has; LINEARS where it has none. */
static enum linear_role first_of(const struct layer *l, const enum linear_role *set)
{
    while (*set != LINEARS && !l->w[*set].m.backend) set++;
    return *set;
}

static int want(struct collector *c, const struct layer *l, const enum linear_role *set, struct error *e)
{
    enum linear_role first = first_of(l, set);
    if (first == LINEARS) return 0;
    int64_t cols = l->w[first].m.cols;
    c->h[first] = memory_new((size_t)cols, (size_t)cols * sizeof(double), "a Hessian", e);
    c->of[first] = (struct hessian){.h = c->h[first], .cols = cols};
    c->wanted[first] = true;
    return c->h[first] ? 0 : ERROR_IO;
}

/* Bytes of a layer's Hessians that are held at once, and of the factor that the widest is turned into. In double: what a
 * file claims may not fit in 64 bits. */
static double hessian_bytes(const struct layer *l, size_t begin, size_t end, const struct linear **widest)
{
    double all = 0, most = 0;
    for (size_t s = begin; s < end; s++) {
        enum linear_role first = first_of(l, sets[s]);
        if (first == LINEARS) continue;
        double each = (double)l->w[first].m.cols * (double)l->w[first].m.cols * sizeof(double);
        all += each;
        if (each > most) most = each, *widest = &l->w[first];
    }
    return all + most;
}

/* What a walk keeps between layers, the caches of one layer for the sequences that go through together, what their pass
 * takes, and the tiles of a Hessian. In double as well. */
static double activation_bytes(const struct model *m, const struct sequences *text)
{
    const struct hyper *h = &m->hyper;
    const int64_t tokens = walk_tokens(m, text->count, text->length), room = pass_room(m);
    const double kept = (double)text->count * (double)text->length * (double)h->width * sizeof(float);
    const double caches = (double)tokens * (double)cache_position_bytes(m) / (double)h->layers;
    const double tiles = (double)omp_get_max_threads() * TILE * TILE * sizeof(float);
    return kept + caches + tiles + (double)pass_bytes(m, tokens < room ? tokens : room, text->length);
}

/* A small file can have a matrix of very many columns: refused before the work, and before the system ends the program
 * for the memory that it takes. */
static int check_memory(const struct model *m, const struct sequences *text, size_t step, struct error *e)
{
    double activations = activation_bytes(m, text), available = (double)memory_available();
    for (int64_t i = 0; i < m->hyper.layers; i++)
        for (size_t s = 0; s < SETS; s += step) {
            const struct linear *widest = NULL, *wide = NULL;
            const struct layer *l = &m->layers[i];
            double bytes = hessian_bytes(l, s, s + step, &widest);
            const double expert = expert_bytes(l, s <= SET_GATE_UP && SET_GATE_UP < s + step, s + step == SETS, &wide);
            if (expert > bytes) bytes = expert, widest = wide;
            bytes += activations;
            char full[MODEL_NAME];
            if (!widest || bytes <= available) continue;
            model_name(widest->name, i, full);
            return error_set(e, ERROR_INPUT,
                             "%s: %s: calibrating its %" PRId64 " columns takes %.1f GiB of memory, %.1f GiB are "
                             "available: use rtn, which calibrates nothing, or a machine with more memory",
                             m->facts.path, full, widest->m.cols, bytes / 0x1p30, available / 0x1p30);
        }
    return 0;
}

static void account(struct model *m, const struct calibrated *report, double *error, double *baseline)
{
    m->facts.calibration.matrices++;
    m->facts.calibration.raised += report->raised;
    if (report->damping > m->facts.calibration.damping) m->facts.calibration.damping = report->damping;
    *error += report->error;
    *baseline += report->baseline;
    m->facts.calibration.error = *baseline > 0 ? *error / *baseline : 0;
}

int calibrate_matrix(struct calibrating *c, int64_t layer, struct linear *w, const struct hessian *h, struct error *e)
{
    struct model *m = c->m;
    char full[MODEL_NAME];
    struct place at = model_place(m, w->name, layer, full);
    const struct backend_options *how = m->options->how;
    struct calibrated report = {0};
    if (memory_reserve((void **)&c->pending, &c->capacity, c->n_pending + 1, sizeof *c->pending, "matrices", e))
        return ERROR_IO;
    struct pending *p = &c->pending[c->n_pending];
    *p = (struct pending){.at = w};
    if (how->backend->calibrate(&p->packed, &w->m, h, how, &at, &report, e)) {
        matrix_free(&p->packed);
        return error_prefix(e, "%s", m->facts.path);
    }
    c->n_pending++;
    account(m, &report, &c->error, &c->baseline);
    return 0;
}

/* What was packed takes its place or, after a failure, goes. */
static void settle(struct calibrating *c, bool failed)
{
    for (size_t i = 0; i < c->n_pending; i++) {
        struct pending *p = &c->pending[i];
        if (failed) {
            matrix_free(&p->packed);
            continue;
        }
        model_count(c->m, &p->at->m, -1);
        matrix_free(&p->at->m);
        p->at->m = p->packed;
        model_count(c->m, &p->at->m, 1);
    }
    c->n_pending = 0;
}

static int collect_sets(struct calibrating *c, struct collector *collector, int64_t layer, size_t begin, size_t end,
                        struct error *e)
{
    const struct layer *l = &c->m->layers[layer];
    const struct probe probe = {.user = collector, .linear_input = collect};
    enum linear_role last = LINEARS;
    int status = 0;
    for (size_t s = begin; s < end && !status; s++) {
        if (first_of(l, sets[s]) != LINEARS) last = first_of(l, sets[s]);
        status = want(collector, l, sets[s], e);
    }
    return status || last == LINEARS ? status : walk_watch(c->walk, layer, &probe, last, e);
}

/* Experts read where the feed-forward part does, and before they are packed what all of a step's matrices meet is seen. */
static int calibrate_sets(struct calibrating *c, int64_t layer, size_t begin, size_t end, struct error *e)
{
    struct layer *l = &c->m->layers[layer];
    struct collector collector = {.tiles = hessian_tiles(e)};
    const bool inputs = begin <= SET_GATE_UP && SET_GATE_UP < end, outputs = begin <= SET_DOWN && SET_DOWN < end;
    int status = collector.tiles ? collect_sets(c, &collector, layer, begin, end, e) : ERROR_IO;
    for (size_t s = begin; s < end && !status; s++) {
        enum linear_role first = first_of(l, sets[s]);
        if (first == LINEARS) continue;
        hessian_finish(collector.h[first], collector.of[first].cols, collector.of[first].tokens);
        for (const enum linear_role *role = sets[s]; *role != LINEARS && !status; role++)
            if (l->w[*role].m.backend) status = calibrate_matrix(c, layer, &l->w[*role], &collector.of[first], e);
    }
    collector_free(&collector);
    if (!status && (inputs || outputs)) status = calibrate_experts(c, layer, inputs, outputs, e);
    settle(c, status != 0);
    return status;
}

int model_calibrate(struct model *m, struct error *e)
{
    const struct model_options *o = m->options;
    struct calibration_plan plan;
    if (!backend_calibrates(o->how, &plan)) return 0;
    struct sequences text = {0};
    struct calibrating c = {.m = m, .total = (size_t)m->hyper.layers * SETS};
    int status = read_sequences(m, &plan, &text, e);
    m->facts.calibration.sequences = text.count;
    m->facts.calibration.length = text.length;
    c.tokens = text.count * text.length;
    const size_t step = plan.sequential ? 1 : SETS;
    if (!status) status = check_memory(m, &text, step, e);
    if (!status) status = walk_open(&c.walk, m, text.ids, text.count, text.length, e);
    for (int64_t i = 0; i < m->hyper.layers && !status; i++) {
        for (size_t s = 0; s < SETS && !status; s += step, c.done += step) {
            if (o->progress && !o->progress(o->user, "calibrating", c.done, c.total))
                status = error_set(e, ERROR_INTERRUPTED, "interrupted");
            else
                status = calibrate_sets(&c, i, s, s + step, e);
        }
        if (!status && i + 1 < m->hyper.layers) status = walk_advance(c.walk, i, NULL, e);
    }
    walk_close(c.walk);
    free(c.pending);
    free(text.ids);
    return status;
}
