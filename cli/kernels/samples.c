#include "cli/kernels/samples.h"
#include "cli/kernels/family.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"

#include <ctype.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool same_float(float a, float b) { return isnan(a) ? isnan(b) : bits_of_float(a) == bits_of_float(b); }

uint16_t random_half(struct random *r, enum content content)
{
    uint16_t sign = (uint16_t)(random_below(r, 2) << 15);
    if (content == ZEROS) return 0;
    if (content == LARGE) return sign | 0x7bffu;
    if (content == TINY) return (uint16_t)(sign | (1 + random_below(r, 1023)));
    return (uint16_t)(sign | ((5 + random_below(r, 12)) << 10) | random_below(r, 1024)); /* 2^-10 .. 4 */
}

const char *content_name(int content)
{
    static const char *const names[CONTENTS] = {"random", "zeros", "low", "high", "large", "denormal"};
    return names[content];
}

void contents_name(char name[16], int weights, const char *inputs)
{
    const char *first = content_name(weights);
    if (strcmp(first, inputs) == 0)
        snprintf(name, 16, "%s", first);
    else
        snprintf(name, 16, "%s/%s", first, inputs);
}

int tile_kind_at(size_t i)
{
    int kind = 0;
    for (; kind < TILE_KINDS; kind++)
        if (kernels_at(0)->tiles[kind] && i-- == 0) break;
    return kind;
}

void tile_variant(int kind, char name[32])
{
    static const char *const codes[] = {"i8", "u8", "u4", "u3", "u2"}; /* from TILE_I8 on */
    const char *from = is_ggml(kind) ? dtype_of(kind)->name : codes[kind - TILE_I8];
    size_t n = 0;
    for (; from[n] && n + 1 < 32; n++) name[n] = (char)tolower((unsigned char)from[n]);
    name[n] = '\0';
}

/* --- matrices --- */

uint8_t random_byte(struct random *r, enum content content)
{
    return (uint8_t)(content == ZEROS || content == LOW ? 0 : content == HIGH ? 255 : random_below(r, 256));
}

/* A row of blocks. */
static void fill_row(const struct sample *s, uint8_t *row, enum content content, struct random *r)
{
    const struct tile_format *f = s->format;
    for (int64_t i = 0; i < s->cols / f->block * f->bytes; i++) row[i] = random_byte(r, content);
    for (int64_t b = 0; b < s->cols / f->block; b++)
        for (int h = 0; h < f->halves; h++)
            if (is_scale(s->kind, h)) {
                uint16_t half = random_half(r, content);
                memcpy(row + b * f->bytes + f->half_at[h], &half, sizeof half);
            }
}

void put_row(const struct tile_format *f, const uint8_t *row, int64_t cols, int r, uint8_t *tile)
{
    for (int64_t b = 0; b < cols / f->block; b++) {
        const uint8_t *from = row + b * f->bytes;
        uint8_t *to = tile + b * f->bytes * TILE_ROWS, *dwords = to + f->halves * TILE_ROWS * 2;
        int dword = 0;
        for (int at = 0; at < f->bytes;) {
            int half = -1;
            for (int h = 0; h < f->halves; h++) half = f->half_at[h] == at ? h : half;
            if (half >= 0) memcpy(to + (half * TILE_ROWS + r) * 2, from + at, 2);
            if (half < 0) memcpy(dwords + (dword++ * TILE_ROWS + r) * 4, from + at, 4);
            at += half >= 0 ? 2 : 4;
        }
    }
}

static int fill_blocks(struct sample *s, uint8_t *bytes[MOST_TILES], enum content content, struct random *r,
                       struct error *e)
{
    uint8_t *row = memory_new((size_t)(s->cols / s->format->block), (size_t)s->format->bytes, "a row of blocks", e);
    float *values = row ? memory_new((size_t)s->cols, sizeof *values, "a row of weights", e) : NULL;
    for (int i = 0; values && i < s->tiles * TILE_ROWS; i++) {
        fill_row(s, row, content, r);
        put_row(s->format, row, s->cols, i % TILE_ROWS, bytes[i / TILE_ROWS]);
        kernels_at(0)->decode[s->kind](row, values, s->cols);
        for (int64_t c = 0; c < s->cols; c++) s->weight[i * s->cols + c] = (double)values[c];
    }
    free(row);
    free(values);
    return values ? 0 : ERROR_IO;
}

/* The bits of one of 32 codes, in 4 bytes by 4. */
static void put_code(int kind, uint8_t *block, int c, unsigned code)
{
    if (kind == TILE_I8 || kind == TILE_U8) block[c] = (uint8_t)code;
    if (kind == TILE_U4) block[c % 16] |= (uint8_t)(code << 4 * (c / 16));
    if (kind == TILE_U3 || kind == TILE_U2) block[c % 8] |= (uint8_t)((code & 3) << 2 * (c / 8));
    if (kind == TILE_U3) block[8 + c % 4] |= (uint8_t)((code >> 2) << c / 4);
}

static int code_bits(int kind) { return kind == TILE_U4 ? 4 : kind == TILE_U3 ? 3 : kind == TILE_U2 ? 2 : 8; }

/* Scales and zero points of a tile, and the same as numbers. */
struct scales {
    bool sign;
    int32_t *group_of;      /* [cols / 32] */
    uint8_t *scales, *zero; /* [groups, TILE_ROWS]; no zeros: NULL */
    double *scale;          /* the same */
};

static int make_scales(struct scales *g, const struct sample *s, struct kernel_memory *m, enum content content,
                       struct random *r, struct error *e)
{
    int64_t groups = 1 + random_below(r, 4);
    *g = (struct scales){.sign = s->kind == TILE_I8};
    if (!(g->group_of = kernel_buffer(m, s->cols / 32, sizeof *g->group_of, e))) return ERROR_IO;
    for (int64_t b = 0; b < s->cols / 32; b++) g->group_of[b] = (int32_t)random_below(r, (uint32_t)groups);
    groups *= TILE_ROWS;
    bool zeros = !g->sign || random_below(r, 2);
    if (!(g->scales = kernel_buffer(m, groups, g->sign ? sizeof(float) : sizeof(uint16_t), e))) return ERROR_IO;
    if (zeros && !(g->zero = kernel_buffer(m, groups, 1, e))) return ERROR_IO;
    if (!(g->scale = memory_new((size_t)groups, sizeof *g->scale, "scales", e))) return ERROR_IO;
    for (int64_t i = 0; i < groups; i++) {
        uint16_t half = random_half(r, content);
        /* float32 has more bits */
        float single = f32_from_f16(half) * (content == TINY ? 0x1p-120f : 1.f + 0x1p-20f);
        if (zeros) g->zero[i] = (uint8_t)random_below(r, g->sign ? 256 : 1u << code_bits(s->kind));
        memcpy(g->scales + i * (g->sign ? 4 : 2), g->sign ? (void *)&single : (void *)&half, g->sign ? 4 : 2);
        g->scale[i] = g->sign ? (double)single : (double)f32_from_f16(half);
    }
    return 0;
}

/* A tile of codes; every weight is scale (code - zero), exactly. */
static int fill_codes(struct sample *s, struct kernel_memory *m, int t, uint8_t *bytes, enum content content,
                      struct random *r, struct error *e)
{
    struct scales g;
    const size_t row_bytes = (size_t)(s->cols / 32 * s->format->bytes);
    int status = make_scales(&g, s, m, content, r, e);
    uint8_t *row = status ? NULL : memory_new(row_bytes, 1, "a row of codes", e);
    for (int i = 0; row && i < TILE_ROWS; i++) {
        memset(row, 0, row_bytes);
        for (int64_t c = 0; c < s->cols; c++) {
            unsigned code = random_byte(r, content) & ((1u << code_bits(s->kind)) - 1);
            int64_t at = g.group_of[c / 32] * TILE_ROWS + i;
            int from = !g.zero ? 0 : g.sign ? (int8_t)g.zero[at] : g.zero[at];
            put_code(s->kind, row + c / 32 * s->format->bytes, (int)(c % 32), code);
            s->weight[(t * TILE_ROWS + i) * s->cols + c] = g.scale[at] * ((g.sign ? (int8_t)code : (int)code) - from);
        }
        put_row(s->format, row, s->cols, i, bytes);
    }
    free(row);
    free(g.scale);
    s->tile[t].group_of = g.group_of;
    s->tile[t].scales = g.scales;
    s->tile[t].zeros = g.zero;
    return row ? 0 : ERROR_IO;
}

int sample_make(struct sample *s, struct kernel_memory *m, int kind, int tiles, int64_t cols, enum content content,
                struct random *r, struct error *e)
{
    uint8_t *bytes[MOST_TILES];
    int status = 0;
    *s = (struct sample){.kind = kind, .tiles = tiles, .format = &kernels_at(0)->tiles[kind]->format, .cols = cols};
    s->weight = memory_new((size_t)(tiles * TILE_ROWS * cols), sizeof *s->weight, "weights", e);
    if (!s->weight) return ERROR_IO;
    for (int t = 0; !status && t < tiles; t++) {
        bytes[t] = kernel_buffer(m, cols / s->format->block * s->format->bytes * TILE_ROWS, 1, e);
        s->tile[t] = (struct tile){.bytes = bytes[t], .cols = cols};
        status = !bytes[t] ? ERROR_IO : is_ggml(kind) ? 0 : fill_codes(s, m, t, bytes[t], content, r, e);
    }
    if (!status && is_ggml(kind)) status = fill_blocks(s, bytes, content, r, e);
    if (status) sample_drop(s);
    return status;
}

void sample_drop(struct sample *s)
{
    free(s->weight);
    s->weight = NULL;
}

int panel_make(struct panel *p, struct kernel_memory *m, const struct tile_format *f, int64_t cols, struct error *e)
{
    *p = (struct panel){.codes = kernel_buffer(m, cols * TILE_ROWS, 1, e)};
    if (!p->codes || !(p->scales = kernel_buffer(m, cols / f->group * TILE_ROWS, sizeof *p->scales, e)))
        return ERROR_IO;
    if (f->offset) p->offsets = kernel_buffer(m, cols / f->group * TILE_ROWS, sizeof *p->offsets, e);
    return f->offset && !p->offsets ? ERROR_IO : 0;
}

/* --- inputs --- */

int quantized_make(struct quantized *x, struct kernel_memory *m, const struct tile_format *f, int64_t n, int64_t cols,
                   struct error *e)
{
    *x = (struct quantized){.q = kernel_buffer(m, n * cols, 1, e)};
    if (!x->q || !(x->d = kernel_buffer(m, n * (cols / f->block), sizeof *x->d, e))) return ERROR_IO;
    if (!(x->fix = kernel_buffer(m, n * (cols / f->group), sizeof *x->fix, e))) return ERROR_IO;
    if (f->offset) x->sum = kernel_buffer(m, n * (cols / f->group), sizeof *x->sum, e);
    return f->offset && !x->sum ? ERROR_IO : 0;
}

struct quantized quantized_row(const struct tile_format *f, const struct quantized *x, int64_t i, int64_t cols)
{
    int64_t groups = cols / f->group;
    return (struct quantized){x->q + i * cols, x->d + i * (cols / f->block), x->fix + i * groups,
                              f->offset ? x->sum + i * groups : NULL};
}

void quantize_rows(const struct kernels *k, const struct tile_format *f, const float *x, int64_t n, int64_t cols,
                   const struct quantized *out)
{
    for (int64_t i = 0; i < n; i++) {
        struct quantized row = quantized_row(f, out, i, cols);
        k->quantize_inputs(f, x + i * cols, cols, &row);
    }
}

void fill_inputs(float *x, int64_t n, enum content content, struct random *r)
{
    for (int64_t i = 0; i < n; i++) {
        float v = (float)(2 * random_unit(r) - 1);
        x[i] = content == ZEROS   ? 0.f
               : content == LOW   ? -3.f
               : content == HIGH  ? (v < 0 ? -2.f : 2.f) /* all codes -127 or 127 */
               : content == LARGE ? v * 65504.f * 126.f
               : content == TINY  ? v * 1e-5f
                                  : v * 3.f;
    }
}

/* Each group's parts meet no more than two roundings for every group after them in the block, and each block's one for
 * every block; a product with a float32 scale and a zero point has one more, and weights themselves have been rounded
 * once (tiles.h). */
double sample_product(const struct sample *s, int t, int r, const struct panel *w, const struct quantized *x,
                      double *bound)
{
    const struct tile_format *f = s->format;
    const double *weight = s->weight + (t * TILE_ROWS + r) * s->cols;
    int64_t each = f->block / f->group, blocks = s->cols / f->block;
    double y = 0, rounded = 0, scales = 0, size = 0;
    for (int64_t g = 0; g < s->cols / f->group; g++) {
        double d = (double)x->d[g / each], sum = 0, sizes = 0;
        int part = 0, plain = 0;
        for (int64_t c = g * f->group; c < (g + 1) * f->group; c++) {
            part += (w->codes[c / 4 * 4 * TILE_ROWS + r * 4 + c % 4] - f->zero) * x->q[c];
            plain += x->q[c];
            sum += weight[c] * x->q[c];
            sizes += fabs(weight[c] * x->q[c]);
        }
        y += d * sum;
        rounded += fabs(d) * sizes;
        double offset = f->offset ? (double)w->offsets[g * TILE_ROWS + r] : 0;
        size += fabs(d) * (fabs((double)w->scales[g * TILE_ROWS + r] * part) + fabs(offset * plain));
        scales += fabs(d) * (1 + fabs((double)plain));
    }
    *bound =
        1.001 * UNIT * ((double)(2 * each + blocks + 2) * size + rounded) + 2 * LEAST * (2 * scales + (double)blocks);
    if (!isnan(y) && !(size < (double)FLT_MAX)) *bound = INFINITY;
    return y;
}
