/* Attention: causal, softmax(q k / sqrt(head)) v. Blocks of queries meet the keys and values of a key head as products
 * of matrices do; a query's sums run over its head's dimensions, and over positions from 0 on, in order, whatever else is
 * in its block. */
#include "engine/models/internal.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { BLOCK = 24, SMALL = 1 << 15 }; /* queries of a block; multiplications that are not worth a parallel loop */

static int64_t rounded(int64_t n) { return (n + KEY_TILE - 1) / KEY_TILE * KEY_TILE; }

/* Queries that meet the same keys: tokens of a span for one head, or for a single token the heads that share keys. */
struct block {
    const struct pass *p;
    int64_t layer, kv_head;
    const float *q;
    int64_t q_stride;
    int64_t rows, first_end; /* row i attends to positions [0, first_end + i), or all to [0, first_end) ... */
    bool together;           /* ... where they are of one token; */
    int64_t window;          /* to the last of them, at most so many */
    float *scores, *apart, *sums;
    int64_t stride; /* of scores */
    float *out;
    int64_t out_stride;
};

size_t attend_scratch(const struct model *m, int64_t longest)
{
    int64_t group = m->hyper.heads / m->hyper.kv_heads, rows = group > BLOCK ? group : BLOCK;
    return (size_t)(rows * (rounded(longest) + KEY_TILE + rounded(m->hyper.head)));
}

static int64_t end_of(const struct block *b, int64_t row) { return b->together ? b->first_end : b->first_end + row; }

static int64_t begin_of(const struct block *b, int64_t row)
{
    const int64_t end = end_of(b, row);
    return end > b->window ? end - b->window : 0;
}

/* --- one block --- */

/* Scores of positions [0, end), the prefix's first, of those from `begin` on at least. A tile that a prefix begins is
 * the cache's only in part. */
static void score(const struct block *b, const struct cache *c, int64_t begin, int64_t end)
{
    if (c->prefix && c->start > begin) score(b, c->prefix, begin, c->start < end ? c->start : end);
    if (end <= c->start) return;
    const struct model *m = b->p->m;
    int64_t head = m->hyper.head, base = cache_base(c), tile = head * KEY_TILE;
    const float *k = cache_keys(c, b->layer, b->kv_head);
    if (begin > base) {
        int64_t tiles = (begin - base) / KEY_TILE;
        base += tiles * KEY_TILE;
        k += tiles * tile;
    }
    if (base < c->start) {
        int64_t from = c->start - base, to = end - base < KEY_TILE ? end - base : KEY_TILE;
        m->kernels->gemm(b->q, b->q_stride, b->rows, k, KEY_TILE, tile, 1, head, b->apart, KEY_TILE, GEMM_SET);
        for (int64_t i = 0; i < b->rows; i++)
            memcpy(b->scores + i * b->stride + c->start, b->apart + i * KEY_TILE + from,
                   (size_t)(to - from) * sizeof *b->scores);
        base += KEY_TILE;
        k += tile;
    }
    if (base < end)
        m->kernels->gemm(b->q, b->q_stride, b->rows, k, KEY_TILE, tile, (int)(rounded(end - base) / KEY_TILE), head,
                         b->scores + base, b->stride, GEMM_SET);
}

/* Sums for `rows` queries from row `first` on over positions [from, end) of this cache alone, which go on where the last
 * ones ended. */
static void weigh_part(const struct block *b, const struct cache *c, int64_t first, int64_t rows, int64_t from,
                       int64_t end)
{
    const struct model *m = b->p->m;
    int64_t head = m->hyper.head, padded = rounded(head);
    const float *v = cache_values(c, b->layer) + (from - c->start) * c->width + b->kv_head * head;
    m->kernels->gemm(b->scores + first * b->stride + from, b->stride, rows, v, c->width, KEY_TILE,
                     (int)(padded / KEY_TILE), end - from, b->sums + first * padded, padded,
                     from || begin_of(b, b->rows - 1) ? GEMM_ON : GEMM_SET);
}

static void weigh(const struct block *b, const struct cache *c, int64_t end)
{
    if (c->prefix && c->start) weigh(b, c->prefix, c->start < end ? c->start : end);
    if (end > c->start) weigh_part(b, c, 0, b->rows, c->start, end);
}

/* The same for some of the rows over [begin, end), in all caches. */
static void weigh_within(const struct block *b, const struct cache *c, int64_t first, int64_t rows, int64_t begin,
                         int64_t end)
{
    if (c->prefix && begin < c->start) {
        weigh_within(b, c->prefix, first, rows, begin, c->start < end ? c->start : end);
        begin = c->start;
    }
    if (begin < end) weigh_part(b, c, first, rows, begin, end);
}

/* Rows whose windows begin behind position 0: each its own beginning and end, all together what all see. */
static void weigh_windows(const struct block *b, const struct cache *c)
{
    const int64_t last = b->rows - 1, begin = begin_of(b, last), end = b->first_end > begin ? b->first_end : begin;
    memset(b->sums, 0, (size_t)(b->rows * rounded(b->p->m->hyper.head)) * sizeof *b->sums);
    for (int64_t i = 0; i < b->rows; i++)
        weigh_within(b, c, i, 1, begin_of(b, i), begin < end_of(b, i) ? begin : end_of(b, i));
    weigh_within(b, c, 0, b->rows, begin, b->first_end);
    for (int64_t i = 0; i < b->rows; i++) weigh_within(b, c, i, 1, end, end_of(b, i));
}

/* Scores become weights of what a row sees. */
static void weights_of(const struct block *b, int64_t row)
{
    const struct model *m = b->p->m;
    const int64_t begin = begin_of(b, row), n = end_of(b, row) - begin;
    float *scores = b->scores + row * b->stride + begin, scale = m->hyper.attn_scale;
    if (m->hyper.attn_cap > 0) {
        for (int64_t i = 0; i < n; i++) scores[i] *= scale;
        soft_cap(scores, m->hyper.attn_cap, n);
        scale = 1;
    }
    m->kernels->softmax(scores, scale, n);
}

/* What all rows see goes at once, the rest row by row: a row must not meet what lies behind it, since 0 times a value
 * that is not finite is not 0. */
static void attend(const struct block *b, const struct cache *c)
{
    int64_t head = b->p->m->hyper.head, common = b->first_end;
    score(b, c, begin_of(b, 0), end_of(b, b->rows - 1));
    for (int64_t i = 0; i < b->rows; i++) weights_of(b, i);
    if (begin_of(b, b->rows - 1)) {
        weigh_windows(b, c);
    } else {
        weigh(b, c, common);
        for (int64_t i = 0; i < b->rows; i++)
            if (end_of(b, i) > common) weigh_part(b, c, i, 1, common, end_of(b, i));
    }
    for (int64_t i = 0; i < b->rows; i++)
        memcpy(b->out + i * b->out_stride, b->sums + i * rounded(head), (size_t)head * sizeof *b->out);
}

/* --- all of them --- */

/* Keys and values of one key head. Whole tiles of positions go at once, others one by one. */
static void store_head(const struct pass *p, int64_t layer, const struct span *s, int64_t kv_head, const float *k,
                       const float *v, int64_t stride)
{
    const struct cache *c = s->cache;
    int64_t head = c->head, base = cache_base(c);
    float *keys = cache_keys(c, layer, kv_head);
    float *values = cache_values(c, layer) + (c->length - c->start) * c->width + kv_head * head;
    for (int64_t i = 0; i < s->count;) {
        int64_t at = c->length + i - base, lane = at % KEY_TILE, n = lane || s->count - i < KEY_TILE ? 1 : KEY_TILE;
        float *tile = keys + at / KEY_TILE * head * KEY_TILE;
        if (n == KEY_TILE)
            p->m->kernels->transpose(k + i * stride, stride, head, tile);
        else
            for (int64_t d = 0; d < head; d++) tile[d * KEY_TILE + lane] = k[i * stride + d];
        for (int64_t j = i; j < i + n; j++)
            memcpy(values + j * c->width, v + j * stride, (size_t)head * sizeof *values);
        i += n;
    }
}

static void store(const struct pass *p, int64_t layer, const float *k, const float *v, int64_t stride)
{
    int64_t heads = p->m->hyper.kv_heads, head = p->m->hyper.head;
#pragma omp parallel for collapse(2) schedule(dynamic, 1) if (p->n > BLOCK)
    for (size_t i = 0; i < p->n_spans; i++)
        for (int64_t j = 0; j < heads; j++) {
            int64_t at = p->first[i] * stride + j * head;
            store_head(p, layer, &p->spans[i], j, k + at, v + at, stride);
        }
}

/* The queries of `rows` tokens from the i-th of all on, for every head that shares this key head. */
static void attend_tokens(const struct pass *p, int64_t layer, int64_t kv_head, int64_t i, int64_t rows, const float *q,
                          int64_t q_stride, float *out)
{
    const struct hyper *h = &p->m->hyper;
    int64_t group = h->heads / h->kv_heads, width = h->heads * h->head;
    const struct cache *c = p->spans[p->span_of[i]].cache;
    bool together = rows == 1;
    struct block b = {.p = p, .layer = layer, .kv_head = kv_head, .together = together};
    b.window = window_of(h, layer);
    b.first_end = p->position[i] + 1;
    b.rows = together ? group : rows;
    b.q_stride = together ? h->head : q_stride;
    b.out_stride = together ? h->head : width;
    b.stride = rounded(b.first_end + rows - 1);
    b.scores = (float *)(void *)(p->scratch + p->scratch_each * (size_t)omp_get_thread_num());
    b.apart = b.scores + b.rows * b.stride;
    b.sums = b.apart + b.rows * KEY_TILE;
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head += together ? group : 1) {
        b.q = q + i * q_stride + head * h->head;
        b.out = out + i * width + head * h->head;
        attend(&b, c);
    }
}

void pass_attend(const struct pass *p, int64_t layer, const float *q, int64_t q_stride, const float *k, const float *v,
                 int64_t kv_stride, float *out)
{
    if (p->stopped) return;
    const struct hyper *h = &p->m->hyper;
    store(p, layer, k, v, kv_stride);
    bool small = p->longest * p->n_blocks * h->heads * h->head < SMALL;
#pragma omp parallel for collapse(2) schedule(dynamic, 1) if (!small)
    for (int64_t i = p->n_blocks - 1; i >= 0; i--) /* the longest first */
        for (int64_t j = 0; j < h->kv_heads; j++) {
            int64_t first = p->blocks[i], end = p->blocks[i + 1];
            attend_tokens(p, layer, j, first, end - first, q, q_stride, out);
        }
    pass_worked(p, PART_ATTENTION, attend_flop(p), attend_bytes(p));
}

double attend_flop(const struct pass *p)
{
    const struct hyper *h = &p->m->hyper;
    const double window = (double)window_of(h, p->layer);
    double seen = 0; /* the first token of a span sees what is there and itself, each one more than the one before */
    for (size_t i = 0; i < p->n_spans; i++) {
        const double n = (double)p->spans[i].count, there = (double)p->spans[i].cache->length;
        const double growing = fmin(fmax(window - there, 0), n); /* those that see less than the window */
        seen += growing * there + growing * (growing + 1) / 2 + (n - growing) * fmin(window, there + n);
    }
    return 4 * seen * (double)(h->heads * h->head);
}

double attend_bytes(const struct pass *p)
{
    const double window = (double)window_of(&p->m->hyper, p->layer);
    double positions = 0;
    for (size_t i = 0; i < p->n_spans; i++) {
        const double n = (double)p->spans[i].count;
        positions += fmin((double)p->spans[i].cache->length + n, window + n);
    }
    return positions * (double)(p->m->hyper.kv_heads * p->m->hyper.head) * 2 * sizeof(float);
}

int64_t attend_blocks(const struct pass *p, int32_t *blocks)
{
    int64_t n = 0, at = 0;
    for (size_t i = 0; i < p->n_spans; i++)
        for (int64_t j = 0; j < p->spans[i].count; j += BLOCK) {
            int64_t left = p->spans[i].count - j;
            blocks[n++] = (int32_t)at;
            at += left < BLOCK ? left : BLOCK;
        }
    blocks[n] = (int32_t)at;
    return n;
}
