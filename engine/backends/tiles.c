#include "engine/backends/tiles.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BLOCK_BYTES = 256 };

/* --- columns --- */

/* Counts columns and 32-column blocks of each group. */
static int64_t count_columns(int64_t cols, int64_t groups, const int32_t *group, int64_t size, int64_t *counts)
{
    int64_t padded = 0;
    for (int64_t c = 0; c < cols; c++) counts[group ? group[c] : c / size]++;
    for (int64_t g = 0; g < groups; g++) padded += (counts[g] + 31) / 32 * 32;
    return padded;
}

int tile_columns_new(struct tile_columns *out, int64_t cols, int64_t groups, const int32_t *group, int64_t size,
                     const char *name, struct error *e)
{
    *out = (struct tile_columns){.groups = groups};
    int64_t *at =
        memory_new((size_t)groups, sizeof *at, name, e); /* counts, and then where a group's next column goes */
    if (!at) return ERROR_IO;
    out->padded = count_columns(cols, groups, group, size, at);
    bool in_order = !group && (size % 32 == 0 || groups == 1);
    out->group_of = memory_new((size_t)out->padded / 32, sizeof *out->group_of, name, e);
    if (!in_order) out->order = memory_new((size_t)out->padded, sizeof *out->order, name, e);
    if (!out->group_of || (!in_order && !out->order)) {
        free(at);
        tile_columns_free(out);
        return ERROR_IO;
    }
    for (int64_t g = 0, begin = 0; g < groups; g++) {
        int64_t end = begin + (at[g] + 31) / 32 * 32;
        for (int64_t b = begin / 32; b < end / 32; b++) out->group_of[b] = (int32_t)g;
        at[g] = begin;
        begin = end;
    }
    for (int64_t i = 0; !in_order && i < out->padded; i++) out->order[i] = -1;
    for (int64_t c = 0; !in_order && c < cols; c++) out->order[at[group ? group[c] : c / size]++] = (int32_t)c;
    free(at);
    return 0;
}

void tile_columns_free(struct tile_columns *c)
{
    free(c->group_of);
    free(c->order);
    *c = (struct tile_columns){0};
}

/* --- bytes in another order --- */

/* The fields of a row's block: where they lie in it, and how long they are. */
struct fields {
    int n;
    struct {
        uint8_t at, size;
    } field[MOST_BLOCK_BYTES / 2];
};

static bool is_half(const struct tile_format *f, int at)
{
    for (int h = 0; h < f->halves; h++)
        if (f->half_at[h] == at) return true;
    return false;
}

static struct fields fields_of(const struct tile_format *f)
{
    struct fields out = {.n = f->halves};
    for (int h = 0; h < f->halves; h++) {
        out.field[h].at = (uint8_t)f->half_at[h];
        out.field[h].size = 2;
    }
    for (int at = 0; at < f->bytes;) {
        if (is_half(f, at)) {
            at += 2;
            continue;
        }
        out.field[out.n].at = (uint8_t)at;
        out.field[out.n++].size = 4;
        at += 4;
    }
    return out;
}

/* A float is a field of its own. */
static struct fields fields_of_floats(size_t bytes) { return (struct fields){1, {{0, (uint8_t)bytes}}}; }

/* The fields of one row and block to or from a tile's block. Sizes are spelled out, since copies of unknown length are
 * calls. */
static void copy_fields(const struct fields *f, uint8_t *block, uint8_t *tile, int row, bool back)
{
    for (int i = 0; i < f->n; i++) {
        int size = f->field[i].size;
        uint8_t *in_row = block + f->field[i].at, *in_tile = tile + row * size;
        uint8_t *to = back ? in_row : in_tile, *from = back ? in_tile : in_row;
        if (size == 4)
            memcpy(to, from, 4);
        else
            memcpy(to, from, 2);
        tile += TILE_ROWS * size;
    }
}

static const struct tile_format *format_of(int kind) { return &kernels_get()->tiles[kind]->format; }

/* Bytes of a row's block, and how many there are. */
static struct fields layout_of(const struct tiles *t, size_t *bytes, int64_t *blocks)
{
    const struct dtype *d = t->floats ? dtype_of(t->kind) : NULL;
    const struct tile_format *f = d ? NULL : format_of(t->kind);
    *bytes = d ? d->block_bytes : (size_t)f->bytes;
    *blocks = d ? t->where.padded : t->where.padded / f->block;
    return d ? fields_of_floats(*bytes) : fields_of(f);
}

static int new_bytes(struct tiles *t, const char *name, struct error *e)
{
    size_t bytes;
    int64_t blocks;
    layout_of(t, &bytes, &blocks);
    t->count = (t->rows + TILE_ROWS - 1) / TILE_ROWS;
    t->tile_bytes = TILE_ROWS * bytes * (size_t)blocks;
    t->bytes = memory_new((size_t)t->count, t->tile_bytes, name, e);
    return t->bytes ? 0 : ERROR_IO;
}

/* The bytes of all blocks of a row to or from its tile. */
static void copy_row(const struct tiles *t, const struct fields *f, size_t bytes, int64_t blocks, int64_t row,
                     uint8_t *data, bool back)
{
    uint8_t *tile = t->bytes + (size_t)(row / TILE_ROWS) * t->tile_bytes;
    for (int64_t b = 0; b < blocks; b++)
        copy_fields(f, data + (size_t)b * bytes, tile + (size_t)b * TILE_ROWS * bytes, (int)(row % TILE_ROWS), back);
}

int tiles_of_type(struct tiles *out, const struct matrix *m, const char *name, struct error *e)
{
    *out = (struct tiles){.kind = (int)m->type, .rows = m->rows, .cols = m->cols, .where = {.padded = m->cols}};
    out->floats = dtype_of((int)m->type)->block == 1;
    int status = new_bytes(out, name, e);
    if (status) return status;
    size_t bytes;
    int64_t blocks;
    struct fields f = layout_of(out, &bytes, &blocks);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < out->count; i++)
        for (int64_t r = i * TILE_ROWS; r < m->rows && r < (i + 1) * TILE_ROWS; r++)
            copy_row(out, &f, bytes, blocks, r, (uint8_t *)(uintptr_t)m->data + (size_t)r * m->row_bytes, false);
    return 0;
}

/* --- codes --- */

static size_t scale_size(enum tile_kind kind) { return kind == TILE_I8 ? sizeof(float) : sizeof(uint16_t); }

int tiles_of_codes(struct tiles *out, enum tile_kind kind, int64_t rows, int64_t cols, struct tile_columns *columns,
                   bool zeros, const char *name, struct error *e)
{
    *out = (struct tiles){.kind = (int)kind, .rows = rows, .cols = cols, .where = *columns};
    *columns = (struct tile_columns){0};
    int status = new_bytes(out, name, e);
    size_t n = (size_t)out->count * (size_t)out->where.groups;
    if (!status) out->scales = memory_new(n, TILE_ROWS * scale_size(kind), name, e);
    if (out->scales && zeros) out->zeros = memory_new(n, TILE_ROWS, name, e);
    if (out->scales && (out->zeros || !zeros)) return 0;
    tiles_free(out);
    return ERROR_IO;
}

/* The bytes of 32 codes (see tiles_codes.c for what is where). */
static void pack_codes(enum tile_kind kind, const uint8_t *c, uint8_t *out)
{
    switch (kind) {
    case TILE_U4:
        for (int i = 0; i < 16; i++) out[i] = (uint8_t)(c[i] | c[16 + i] << 4);
        break;
    case TILE_U3:
    case TILE_U2:
        for (int i = 0; i < 8; i++)
            out[i] = (uint8_t)((c[i] & 3) | (c[8 + i] & 3) << 2 | (c[16 + i] & 3) << 4 | (c[24 + i] & 3) << 6);
        if (kind == TILE_U2) break;
        for (int i = 0; i < 4; i++) {
            out[8 + i] = 0;
            for (int j = 0; j < 8; j++) out[8 + i] = (uint8_t)(out[8 + i] | (c[4 * j + i] >> 2 & 1) << j);
        }
        break;
    default:
        memcpy(out, c, 32);
    }
}

void tiles_put(struct tiles *t, int64_t row, const uint8_t *codes)
{
    size_t bytes;
    int64_t blocks;
    struct fields f = layout_of(t, &bytes, &blocks);
    uint8_t *tile = t->bytes + (size_t)(row / TILE_ROWS) * t->tile_bytes;
    for (int64_t b = 0; b < blocks; b++) {
        uint8_t here[32], block[32];
        for (int64_t i = 0; i < 32; i++) {
            int64_t c = t->where.order ? t->where.order[32 * b + i] : 32 * b + i;
            here[i] = c >= 0 && c < t->cols ? codes[c] : 0;
        }
        pack_codes((enum tile_kind)t->kind, here, block);
        copy_fields(&f, block, tile + (size_t)b * TILE_ROWS * bytes, (int)(row % TILE_ROWS), false);
    }
}

int64_t tiles_at(const struct tiles *t, int64_t row, int64_t group)
{
    return (row / TILE_ROWS * t->where.groups + group) * TILE_ROWS + row % TILE_ROWS;
}

void tiles_free(struct tiles *t)
{
    free(t->bytes);
    free(t->scales);
    free(t->zeros);
    tile_columns_free(&t->where);
    *t = (struct tiles){0};
}

struct tile tiles_tile(const struct tiles *t, int64_t i)
{
    size_t groups = (size_t)(i * t->where.groups) * TILE_ROWS;
    return (struct tile){.bytes = t->bytes + (size_t)i * t->tile_bytes,
                         .cols = t->where.padded,
                         .group_of = t->where.group_of,
                         .scales = t->scales ? t->scales + groups * scale_size((enum tile_kind)t->kind) : NULL,
                         .zeros = t->zeros ? t->zeros + groups : NULL};
}

/* --- back to weights --- */

void tiles_row(const struct tiles *t, int64_t row, uint8_t *out)
{
    size_t bytes;
    int64_t blocks;
    struct fields f = layout_of(t, &bytes, &blocks);
    copy_row(t, &f, bytes, blocks, row, out, true);
}

/* Types: the row's own bytes, as many whole blocks at a time as fit. */
static void unpack_type(const struct tiles *t, int64_t row, float *out)
{
    uint8_t piece[MOST_BLOCK_BYTES];
    size_t bytes;
    int64_t blocks;
    struct fields f = layout_of(t, &bytes, &blocks);
    int64_t each = t->floats ? 1 : format_of(t->kind)->block, most = (int64_t)(sizeof piece / bytes);
    uint8_t *tile = t->bytes + (size_t)(row / TILE_ROWS) * t->tile_bytes;
    for (int64_t b = 0; b < blocks; b += most) {
        int64_t n = blocks - b < most ? blocks - b : most;
        for (int64_t i = 0; i < n; i++)
            copy_fields(&f, piece + (size_t)i * bytes, tile + (size_t)(b + i) * TILE_ROWS * bytes,
                        (int)(row % TILE_ROWS), true);
        kernels_get()->decode[t->kind](piece, out + b * each, n * each);
    }
}

/* Codes: scale (code - zero), as the backends compute it. */
static void unpack_codes(const struct tiles *t, int64_t row, float *out)
{
    uint8_t codes[32 * TILE_ROWS];
    float scale[TILE_ROWS], offset[TILE_ROWS];
    const struct panel panel = {codes, scale, offset};
    int r = (int)(row % TILE_ROWS), zero = t->kind == TILE_I8 ? 128 : 0;
    for (int64_t b = 0; b < t->where.padded / 32; b++) {
        struct tile block = tiles_tile(t, row / TILE_ROWS);
        block.bytes += (size_t)b * TILE_ROWS * (size_t)format_of(t->kind)->bytes;
        block.cols = 32;
        block.group_of += b;
        kernels_get()->tiles[t->kind]->unpack(&block, &panel);
        int64_t at = tiles_at(t, row, *block.group_of);
        int shift = !t->zeros ? 0 : t->kind == TILE_I8 ? (int8_t)t->zeros[at] : t->zeros[at];
        for (int64_t i = 0; i < 32; i++) {
            int64_t c = t->where.order ? t->where.order[32 * b + i] : 32 * b + i;
            if (c < 0 || c >= t->cols) continue;
            out[c] = (float)(codes[(i / 4 * TILE_ROWS + r) * 4 + i % 4] - zero - shift) * scale[r];
        }
    }
}

void tiles_unpack(const struct tiles *t, int64_t row, int64_t n, float *out)
{
    bool codes = t->kind >= DTYPE_LIMIT;
    for (int64_t i = 0; i < n; i++) (codes ? unpack_codes : unpack_type)(t, row + i, out + i * t->cols);
}
