/* gptq: 2, 3, 4 or 8 bits fitted to what the matrices meet (Frantar et al. 2022), in Hugging Face's format of that name.
 * rtn: round to nearest on the same grids, which shows what the fitting is worth.
 *
 * Both leave matrices outside of the layers (embeddings, output) in float16, as such checkpoints have them. */
#include "engine/backends/gptq.h"
#include "engine/backends/gptq_grid.h"
#include "engine/backends/pack.h"
#include "engine/backends/tiles.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"

#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* --- settings --- */

static const char *const variants[] = {"2", "3", "4", "8", NULL};
static const char *const notes[] = {"2.19 bits a weight in groups of 128 columns", "3.19 bits", "4.19 bits",
                                    "8.19 bits"};
static const char *const gptq_keys[] = {"group",  "act-order",       "static-groups", "sym",
                                        "mse",    "damping",         "block",         "samples",
                                        "length", "true-sequential", "zero-points",   NULL};
static const char *const rtn_keys[] = {"group", "sym", "mse", "zero-points", NULL};

static const struct gptq_settings defaults = {
    .group = 128, .sequential = true, .damping = 0.01, .block = 128, .samples = 128};
_Static_assert(sizeof defaults <= BACKEND_PARSED, "settings fit in their place");

static const struct gptq_settings *settings_of(const struct backend_options *o) { return (const void *)o->parsed; }

const struct gptq_settings *gptq_settings_of(const struct backend_options *o)
{
    return o->backend == &backend_gptq || o->backend == &backend_rtn ? settings_of(o) : NULL;
}

static int read_group(const struct backend_spec *spec, int64_t *group, struct error *e)
{
    const char *text = setting_text(spec, "group", NULL);
    if (text && strcmp(text, "-1") == 0) return *group = -1, 0;
    if (!setting_number(spec, "group", 8, 1 << 20, group, e)) return 0;
    return setting_wrong(spec, "group", "a whole number from 8 to 1048576, or -1 for all columns", e);
}

static int read_zeros(const struct backend_spec *spec, enum gptq_zeros *zeros, struct error *e)
{
    bool given;
    const char *text = setting_text(spec, "zero-points", &given);
    if (!given) return 0;
    *zeros = text && !strcmp(text, "v1") ? GPTQ_V1 : text && !strcmp(text, "v2") ? GPTQ_V2 : 0;
    return *zeros ? 0 : setting_wrong(spec, "zero-points", "v1 or v2", e);
}

static int read_settings(const struct backend_spec *spec, struct gptq_settings *s, struct error *e)
{
    int status = read_zeros(spec, &s->zeros, e);
    if (!status) status = read_group(spec, &s->group, e);
    if (!status) status = setting_flag(spec, "act-order", &s->act_order, e);
    if (!status) status = setting_flag(spec, "static-groups", &s->static_groups, e);
    if (!status) status = setting_flag(spec, "sym", &s->symmetric, e);
    if (!status) status = setting_flag(spec, "mse", &s->mse, e);
    if (!status) status = setting_real(spec, "damping", 0, 1, &s->damping, e);
    if (!status) status = setting_number(spec, "block", 1, 4096, &s->block, e);
    if (!status) status = setting_flag(spec, "true-sequential", &s->sequential, e);
    if (!status) status = setting_number(spec, "samples", 1, 1 << 20, &s->samples, e);
    if (!status) status = setting_number(spec, "length", 2, 1 << 20, &s->length, e);
    return status;
}

static void add_flag(struct backend_options *o, const char *key, bool value, bool usual)
{
    if (value != usual) spec_add(o, value ? ",%s" : ",%s=no", key);
}

static void add_number(struct backend_options *o, const char *key, int64_t value, int64_t usual)
{
    if (value != usual) spec_add(o, ",%s=%" PRId64, key, value);
}

/* All settings together are shorter than BACKEND_SPEC. */
static void write_spec(struct backend_options *o, const struct gptq_settings *s)
{
    spec_add(o, "%s", o->backend->name);
    if (s->bits) spec_add(o, ":%" PRId64, s->bits);
    add_number(o, "group", s->group, defaults.group);
    add_flag(o, "act-order", s->act_order, false);
    add_flag(o, "static-groups", s->static_groups, false);
    add_flag(o, "sym", s->symmetric, false);
    add_flag(o, "mse", s->mse, defaults.mse);
    if (s->damping != defaults.damping) spec_add_real(o, "damping", s->damping);
    add_number(o, "block", s->block, defaults.block);
    add_flag(o, "true-sequential", s->sequential, true);
    add_number(o, "samples", s->samples, defaults.samples);
    add_number(o, "length", s->length, 0);
    if (s->zeros) spec_add(o, ",zero-points=%s", s->zeros == GPTQ_V1 ? "v1" : "v2");
}

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    struct gptq_settings *s = (void *)o->parsed;
    *s = defaults;
    if (spec->variant) s->bits = spec->variant[0] - '0';
    bool stored = !s->bits && o->backend == &backend_gptq;
    if (!s->bits && !stored)
        return error_set(e, ERROR_USAGE, "backend \"%s\": the bits must follow, as in rtn:4", spec->whole);
    for (size_t i = 0; stored && i < spec->n_settings; i++)
        if (strcmp(spec->settings[i].key, "zero-points"))
            return error_set(e, ERROR_USAGE, "backend \"%s\": %s: takes the bits before it, as in gptq:4,%s",
                             spec->whole, spec->settings[i].key, spec->settings[i].key);
    int status = read_settings(spec, s, e);
    if (!status) write_spec(o, s);
    return status;
}

static bool plan(const struct backend_options *o, struct calibration_plan *out)
{
    const struct gptq_settings *s = settings_of(o);
    *out = (struct calibration_plan){.samples = s->samples, .length = s->length, .sequential = s->sequential};
    return s->bits != 0;
}

/* --- matrices --- */

static void release(struct matrix *m)
{
    struct gptq_codes *q = m->own;
    if (!q) return;
    free(q->codes);
    free(q->scales);
    free(q->zeros);
    free(q->g_idx);
    free(q);
}

struct gptq_codes *gptq_codes_of(const struct matrix *m)
{
    return m->backend && m->backend->release == release ? m->own : NULL;
}

/* Codes are read eight at a time: the last ones may lie across the array's end. */
enum { CODES_PADDING = 2 };

int gptq_codes_new(struct matrix *out, int64_t rows, int64_t cols, int64_t bits, int64_t group, bool indexed,
                   const char *name, struct error *e)
{
    *out = (struct matrix){.backend = &backend_gptq, .rows = rows, .cols = cols};
    struct gptq_codes *q = out->own = memory_new(1, sizeof *q, name, e);
    if (!q) return ERROR_IO;
    if (group < 0 || group > cols) group = cols;
    size_t all = (size_t)rows;
    *q = (struct gptq_codes){.bits = bits, .group = group, .words = (cols * bits + 31) / 32};
    q->groups = (cols + group - 1) / group;
    size_t codes = all * (size_t)q->words, grids = all * (size_t)q->groups;
    q->codes = memory_new(codes + CODES_PADDING, sizeof *q->codes, name, e);
    q->scales = memory_new(grids, sizeof *q->scales, name, e);
    q->zeros = memory_new(grids, sizeof *q->zeros, name, e);
    if (indexed) q->g_idx = memory_new((size_t)cols, sizeof *q->g_idx, name, e);
    if (!q->codes || !q->scales || !q->zeros || (indexed && !q->g_idx)) return ERROR_IO;
    out->bytes = codes * sizeof *q->codes + grids * (sizeof *q->scales + sizeof *q->zeros);
    if (indexed) out->bytes += (size_t)cols * sizeof *q->g_idx;
    return 0;
}

int gptq_too_large(const char *name, int64_t row, struct error *e)
{
    return error_set(e, ERROR_NUMBER, "%s: row %" PRId64 ": its weights are too large for a scale of float16: use f32",
                     name, row);
}

/* Spreads eight codes of b <= 4 bits, the low 8 b bits of x, to the eight bytes of a word: by halves, quarters, eighths. */
static inline uint64_t spread(uint64_t x, int b)
{
    x = (x | x << (32 - 4 * b)) & (((1u << 4 * b) - 1) * 0x0000000100000001u);
    x = (x | x << (16 - 2 * b)) & (((1u << 2 * b) - 1) * 0x0001000100010001u);
    return (x | x << (8 - b)) & (((1u << b) - 1) * 0x0101010101010101u);
}

static inline void spread_run(const uint8_t *from, int b, int8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i += 8, from += b) {
        uint64_t x = 0;
        memcpy(&x, from, (size_t)b);
        x = spread(x, b);
        memcpy(out + i, &x, sizeof x);
    }
}

/* Codes [c, c + n) of a row, c a multiple of 8, as whole numbers less *offset; writes up to the next multiple of 8. */
static int read_codes(const struct gptq_codes *q, int64_t row, int64_t c, int8_t *out, int64_t n)
{
    const uint8_t *from = (const uint8_t *)(q->codes + row * q->words) + c / 8 * q->bits;
    if (q->bits == 2) spread_run(from, 2, out, n);
    if (q->bits == 3) spread_run(from, 3, out, n);
    if (q->bits == 4) spread_run(from, 4, out, n);
    if (q->bits < 8) return 0;
    for (int64_t i = 0; i < n; i++) out[i] = (int8_t)(from[i] ^ 0x80);
    return 128;
}

enum { RUN = 512 }; /* codes that are spread at a time */

static void unpack_row(const struct gptq_codes *q, int64_t row, int64_t cols, float *out)
{
    int8_t codes[RUN];
    const uint16_t *scales = q->scales + row * q->groups;
    const uint8_t *zeros = q->zeros + row * q->groups;
    for (int64_t begin = 0; begin < cols; begin += RUN) {
        int64_t end = cols - begin < RUN ? cols : begin + RUN;
        int offset = read_codes(q, row, begin, codes, end - begin);
        for (int64_t c = begin; c < end && q->g_idx; c++) {
            int32_t g = q->g_idx[c];
            out[c] = (float)(codes[c - begin] - (zeros[g] - offset)) * f32_from_f16(scales[g]);
        }
        for (int64_t c = begin, next; c < end && !q->g_idx; c = next) {
            int64_t g = c / q->group;
            next = (g + 1) * q->group < end ? (g + 1) * q->group : end;
            kernels_get()->affine_i8(codes + (c - begin), zeros[g] - offset, f32_from_f16(scales[g]), out + c,
                                     next - c);
        }
    }
}

static void unpack(const struct matrix *m, int64_t row, int64_t n, float *out)
{
    for (int64_t r = 0; r < n; r++) unpack_row(m->own, row + r, m->cols, out + r * m->cols);
}

/* --- tiles --- */

/* A row's codes, scales and zero points to where they are in tiles; `codes`: room for them all by eights. */
static void tile_row(const struct gptq_codes *q, int64_t row, uint8_t *codes, struct tiles *out)
{
    int offset = read_codes(q, row, 0, (int8_t *)codes, out->cols);
    for (int64_t c = 0; c < out->cols && offset; c++) codes[c] ^= 0x80;
    tiles_put(out, row, codes);
    uint16_t *scales = (void *)out->scales;
    for (int64_t g = 0; g < q->groups; g++) {
        int64_t from = row * q->groups + g, to = tiles_at(out, row, g);
        scales[to] = q->scales[from];
        out->zeros[to] = q->zeros[from];
    }
}

static int tile(struct matrix *m, struct tiles *out, const char *name, struct error *e)
{
    static const enum tile_kind kinds[] = {[2] = TILE_U2, [3] = TILE_U3, [4] = TILE_U4, [8] = TILE_U8};
    const struct gptq_codes *q = m->own;
    const size_t room = (size_t)(m->cols + 7) / 8 * 8;
    uint8_t *codes = memory_new((size_t)omp_get_max_threads(), room, name, e);
    struct tile_columns columns;
    int status = codes ? tile_columns_new(&columns, m->cols, q->groups, q->g_idx, q->group, name, e) : ERROR_IO;
    if (!status) status = tiles_of_codes(out, kinds[q->bits], m->rows, m->cols, &columns, true, name, e);
    if (!status) {
#pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < m->rows; r++) tile_row(q, r, codes + room * (size_t)omp_get_thread_num(), out);
        release(m);
        m->own = NULL;
    }
    free(codes);
    return status;
}

/* --- packing --- */

struct rounding {
    const struct gptq_settings *s;
    const char *name;
    struct gptq_codes *q;
    int64_t cols;
};

static int round_row(void *user, int64_t r, float *row, struct error *e)
{
    const struct rounding *p = user;
    const struct grid_rule rule = {p->s->bits, p->s->symmetric, p->s->mse};
    for (int64_t g = 0; g < p->q->groups; g++) {
        int64_t begin = g * p->q->group, end = begin + p->q->group < p->cols ? begin + p->q->group : p->cols;
        struct grid grid = grid_fit(&rule, row + begin, NULL, end - begin);
        if (!isfinite(grid.scale)) return gptq_too_large(p->name, r, e);
        p->q->scales[r * p->q->groups + g] = grid.half;
        p->q->zeros[r * p->q->groups + g] = grid.zero;
        for (int64_t c = begin; c < end; c++)
            gptq_put(p->q->codes + r * p->q->words, rule.bits, c,
                     grid_code(&grid, grid_top(rule.bits), (double)row[c]));
    }
    return 0;
}

static int rtn_pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                    struct error *e)
{
    const struct gptq_settings *s = settings_of(o);
    if (at->layer < 0) return pack_f16(out, w, e);
    int status = gptq_codes_new(out, w->shape[0], w->shape[1], s->bits, s->group, false, w->name, e);
    if (status) return status;
    out->backend = o->backend;
    struct rounding p = {s, w->name, out->own, w->shape[1]};
    return tensor_each_row(w, round_row, &p, e);
}

/* What is not calibrated: matrices outside of the layers, and with `gptq` alone all that a file does not store so. */
static int gptq_pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                     struct error *e)
{
    bool stored = settings_of(o)->bits == 0;
    if (at->layer < 0) return stored ? matrix_pack(out, w, NULL, at, e) : pack_f16(out, w, e);
    if (stored) return error_set(e, ERROR_USAGE, "%s: is not stored as GPTQ: give the bits, as in gptq:4", w->name);
    return error_set(e, ERROR_USAGE,
                     "%s: backend \"%s\" packs matrices only with what they meet: use rtn for one alone", w->name,
                     o->spec);
}

static int calibrate(struct matrix *out, const struct matrix *w, const struct hessian *h,
                     const struct backend_options *o, const struct place *at, struct calibrated *report,
                     struct error *e)
{
    return gptq_solve(out, w, h, settings_of(o), at->name, report, e);
}

const struct backend backend_gptq = {
    .name = "gptq",
    .summary = "bits fitted to calibration text: 4[,group=128][,act-order][,static-groups][,sym][,mse] and more",
    .variants = variants,
    .notes = notes,
    .keys = gptq_keys,
    .configure = configure,
    .pack = gptq_pack,
    .unpack = unpack,
    .release = release,
    .tile = tile,
    .calibrate = calibrate,
    .plan = plan};

const struct backend backend_rtn = {.name = "rtn",
                                    .summary = "bits rounded to nearest on the same grids: 4[,group=128][,sym][,mse]",
                                    .variants = variants,
                                    .notes = notes,
                                    .keys = rtn_keys,
                                    .configure = configure,
                                    .pack = rtn_pack,
                                    .unpack = unpack,
                                    .release = release,
                                    .tile = tile};
