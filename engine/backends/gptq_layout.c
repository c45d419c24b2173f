/* GPTQ matrices in Hugging Face's layout, both ways (see gptq.h). The words of one row's codes stand one below the other
 * in qweight; in memory they stand side by side, and are the same words. */
#include "engine/backends/gptq.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char widths[] = "2, 3, 4 or 8 bits";

static bool known_bits(int64_t bits) { return bits == 2 || bits == 3 || bits == 4 || bits == 8; }

static uint32_t word_at(const struct tensor *t, int64_t i)
{
    uint32_t word;
    memcpy(&word, (const uint8_t *)t->data + i * 4, sizeof word);
    return word;
}

static uint16_t half_at(const struct tensor *t, int64_t i)
{
    uint16_t half;
    memcpy(&half, (const uint8_t *)t->data + i * 2, sizeof half);
    return half;
}

/* Field i of so many bits in a row of words; `step` words from one to the next. */
static uint32_t field(const struct tensor *t, int64_t first, int64_t step, int64_t bits, int64_t i)
{
    int64_t bit = i * bits, at = first + bit / 32 * step;
    uint64_t pair = word_at(t, at);
    if (bit % 32 + bits > 32) pair |= (uint64_t)word_at(t, at + step) << 32;
    return (uint32_t)(pair >> bit % 32) & ((1u << bits) - 1);
}

/* --- shapes --- */

static int check_shape(const struct tensor *t, enum dtype_id type, int64_t rows, int64_t cols, const char *what,
                       struct error *e)
{
    if (t->type != type)
        return error_set(e, ERROR_INPUT, "%s: type %s, where GPTQ has %s", t->name, dtype_of((int)t->type)->name,
                         dtype_of((int)type)->name);
    if (t->n_dims != 2 || t->shape[0] != rows || t->shape[1] != cols)
        return error_set(e, ERROR_INPUT,
                         "%s: shape [%" PRId64 ", %" PRId64 "]%s, where %s has [%" PRId64 ", %" PRId64 "]", t->name,
                         t->shape[0], t->shape[1], t->n_dims > 2 ? " and more" : "", what, rows, cols);
    return 0;
}

/* The bits of the codes: qweight has a word for each 32 of them. */
static int find_bits(const struct gptq_stored *w, int64_t rows, int64_t cols, int64_t *bits, struct error *e)
{
    const struct tensor *t = w->qweight;
    if (t->type != DTYPE_I32 || t->n_dims != 2 || t->shape[1] != rows)
        return error_set(e, ERROR_INPUT,
                         "%s: %s [%" PRId64 ", %" PRId64 "], where a matrix of %" PRId64
                         " outputs has I32 [words, %" PRId64 "]",
                         t->name, dtype_of((int)t->type)->name, t->shape[0], t->shape[1], rows, rows);
    *bits = cols > 0 && t->shape[0] <= cols ? t->shape[0] * 32 / cols : 32;
    if (!known_bits(*bits) || *bits * cols != t->shape[0] * 32)
        return error_set(e, ERROR_INPUT,
                         "%s: %" PRId64 " words for %" PRId64 " inputs are %g bits each, where GPTQ has %s", t->name,
                         t->shape[0], cols, 32.0 * (double)t->shape[0] / (double)cols, widths);
    return 0;
}

static int check_shapes(const struct gptq_stored *w, int64_t rows, int64_t cols, int64_t bits, int64_t *groups,
                        struct error *e)
{
    char what[96];
    int64_t group = w->group_size < 0 || w->group_size > cols ? cols : w->group_size;
    if (!group)
        return error_set(e, ERROR_INPUT, "%s: a group size of 0 columns: must be positive, or -1 for all", w->name);
    *groups = (cols + group - 1) / group;
    if (rows * bits % 32)
        return error_set(e, ERROR_INPUT,
                         "%s: zero points of %" PRId64 " bits for %" PRId64 " outputs do not fill words", w->name, bits,
                         rows);
    snprintf(what, sizeof what, "[%" PRId64 ", %" PRId64 "] of %" PRId64 " bits in groups of %" PRId64, rows, cols,
             bits, group);
    int status = check_shape(w->qzeros, DTYPE_I32, *groups, rows * bits / 32, what, e);
    if (!status) status = check_shape(w->scales, DTYPE_F16, *groups, rows, what, e);
    if (!status && w->g_idx && (w->g_idx->type != DTYPE_I32 || w->g_idx->n_dims != 1 || w->g_idx->shape[0] != cols))
        status =
            error_set(e, ERROR_INPUT, "%s: must be I32 [%" PRId64 "], the group of each input", w->g_idx->name, cols);
    return status;
}

/* *indexed: whether g_idx says anything else than c / group. */
static int check_index(const struct gptq_stored *w, int64_t cols, int64_t groups, bool *indexed, struct error *e)
{
    *indexed = false;
    for (int64_t c = 0; w->g_idx && c < cols; c++) {
        int32_t g = (int32_t)word_at(w->g_idx, c);
        if (g < 0 || g >= groups)
            return error_set(e, ERROR_INPUT, "%s: element %" PRId64 ": group %" PRId32 " of %" PRId64, w->g_idx->name,
                             c, g, groups);
        if (g != (w->group_size < 0 ? 0 : c / w->group_size)) *indexed = true;
    }
    return 0;
}

static int check_scales(const struct tensor *t, int64_t groups, int64_t rows, struct error *e)
{
    for (int64_t i = 0; i < groups * rows; i++) {
        float s = f32_from_f16(half_at(t, i));
        if (isfinite(s) && s > 0) continue;
        return error_set(e, isfinite(s) ? ERROR_INPUT : ERROR_NUMBER,
                         "%s: element [%" PRId64 ", %" PRId64 "] is %g: scales must be positive and finite", t->name,
                         i / rows, i % rows, (double)s);
    }
    return 0;
}

/* --- from a file --- */

/* What is stored becomes the zero point. */
static uint8_t zero_of(uint32_t stored, int64_t bits, enum gptq_zeros zeros)
{
    return (uint8_t)((stored + (zeros == GPTQ_V1)) & ((1u << bits) - 1));
}

enum { TILE = 16 }; /* outputs side by side in a cache line of qweight */

static void copy_codes(struct gptq_codes *q, const struct gptq_stored *w, int64_t rows, int64_t cols)
{
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < rows; first += TILE) {
        int64_t end = first + TILE < rows ? first + TILE : rows;
        for (int64_t i = 0; i < q->words; i++)
            for (int64_t r = first; r < end; r++) q->codes[r * q->words + i] = word_at(w->qweight, i * rows + r);
        for (int64_t g = 0; g < q->groups; g++)
            for (int64_t r = first; r < end; r++) {
                uint32_t stored = field(w->qzeros, g * w->qzeros->shape[1], 1, q->bits, r);
                q->scales[r * q->groups + g] = half_at(w->scales, g * rows + r);
                q->zeros[r * q->groups + g] = zero_of(stored, q->bits, w->zeros);
            }
    }
    for (int64_t c = 0; q->g_idx && c < cols; c++) q->g_idx[c] = (int32_t)word_at(w->g_idx, c);
}

int gptq_adopt(struct matrix *out, const struct gptq_stored *w, int64_t rows, int64_t cols, struct error *e)
{
    int64_t bits = 0, groups = 0;
    bool indexed = false;
    *out = (struct matrix){0};
    int status = find_bits(w, rows, cols, &bits, e);
    if (!status) status = check_shapes(w, rows, cols, bits, &groups, e);
    if (!status) status = check_index(w, cols, groups, &indexed, e);
    if (!status) status = check_scales(w->scales, groups, rows, e);
    if (!status) status = gptq_codes_new(out, rows, cols, bits, w->group_size, indexed, w->name, e);
    if (status)
        matrix_free(out);
    else
        copy_codes(out->own, w, rows, cols);
    return status;
}

/* --- which reading of the zero points --- */

/* The sum of (code - zero) over a row, under both readings. */
static void sum_steps(const struct gptq_stored *w, int64_t bits, int64_t cols, int64_t r, double *v1, double *v2)
{
    int64_t rows = w->qweight->shape[1], group = w->group_size < 0 ? cols : w->group_size, steps[2] = {0};
    for (int64_t c = 0; c < cols; c++) {
        int64_t g = w->g_idx ? (int64_t)word_at(w->g_idx, c) : c / group;
        uint32_t stored = field(w->qzeros, g * w->qzeros->shape[1], 1, bits, r);
        int64_t code = field(w->qweight, r, rows, bits, c);
        steps[0] += code - zero_of(stored, bits, GPTQ_V1);
        steps[1] += code - zero_of(stored, bits, GPTQ_V2);
    }
    *v1 += (double)steps[0];
    *v2 += (double)steps[1];
}

enum { CENTRE_ROWS = 64 }; /* of a matrix are looked at, evenly spread */

void gptq_centre(const struct gptq_stored *w, struct gptq_centring *sum)
{
    if (w->qweight->n_dims != 2 || w->qzeros->n_dims != 2 || w->qweight->shape[1] < 1) return;
    int64_t rows = w->qweight->shape[1], words = w->qweight->shape[0], groups, same;
    int64_t bits = w->qzeros->shape[1] <= rows ? w->qzeros->shape[1] * 32 / rows : 32;
    if (!known_bits(bits) || words > INT32_MAX) return;
    int64_t cols = words * 32 / bits, step = (rows + CENTRE_ROWS - 1) / CENTRE_ROWS;
    bool indexed;
    if (find_bits(w, rows, cols, &same, NULL) || check_shapes(w, rows, cols, bits, &groups, NULL) ||
        check_index(w, cols, groups, &indexed, NULL))
        return;
    for (int64_t r = 0; r < rows; r += step, sum->weights += cols) sum_steps(w, bits, cols, r, &sum->v1, &sum->v2);
}

/* 1 where all zero points are the middle of the grid as they were read, 2 where they would be the other way, else 0. */
static int symmetric_as(const struct gptq_codes *q, int64_t rows, enum gptq_zeros read_as)
{
    int middle = 1 << (q->bits - 1), other = read_as == GPTQ_V1 ? middle + 1 : middle - 1, first = q->zeros[0];
    for (int64_t i = 1; i < rows * q->groups; i++)
        if (q->zeros[i] != first) return 0;
    return first == middle ? 1 : first == other ? 2 : 0;
}

void gptq_evidence_add(struct gptq_evidence *g, const struct gptq_stored *w, const struct matrix *m)
{
    struct gptq_centring c = {0};
    gptq_centre(w, &c);
    g->v1 += c.v1;
    g->v2 += c.v2;
    g->weights += (double)c.weights;
    g->matrices++;
    g->v1_nearer += fabs(c.v1) < fabs(c.v2);
    int as = symmetric_as(gptq_codes_of(m), m->rows, w->zeros);
    g->middle1 += as == (w->zeros == GPTQ_V1 ? 1 : 2);
    g->middle2 += as == (w->zeros == GPTQ_V2 ? 1 : 2);
}

/* Symmetric grids decide it. Else the other convention must be clearly better: the mean of all weights within a quarter
 * of a step where it is more than three quarters off as read, and nine matrices of ten must agree. The mean of a model's
 * weights is a hundredth of their standard deviation or less: a thirtieth of a step at 4 bits, a fifth at 8 bits (both of
 * the shipped gpt2), so that no model is accused that is read the right way. */
bool gptq_evidence_contradicts(const struct gptq_evidence *g, enum gptq_zeros read_as, char *what, size_t size)
{
    if (!g->matrices || !(g->weights > 0)) return false;
    bool v1 = read_as == GPTQ_V1;
    double here = fabs(v1 ? g->v1 : g->v2) / g->weights, there = fabs(v1 ? g->v2 : g->v1) / g->weights;
    int64_t nearer = v1 ? g->matrices - g->v1_nearer : g->v1_nearer;
    bool symmetric = (v1 ? g->middle2 : g->middle1) == g->matrices;
    bool centred = here > 0.75 && there < 0.25 && 10 * nearer >= 9 * g->matrices;
    if ((v1 ? g->middle1 : g->middle2) == g->matrices || !(symmetric || centred)) return false;
    enum gptq_zeros other = v1 ? GPTQ_V2 : GPTQ_V1;
    snprintf(what, size,
             "zero points look like %s (weights centred within %.2f steps; as %s they are %.2f steps off): try "
             "@gptq,zero-points=v%d",
             gptq_zeros_name(other), there, gptq_zeros_name(read_as), here, (int)other);
    return true;
}

/* --- to a file --- */

static void fill_parts(struct gptq_parts *p, const struct gptq_codes *q, int64_t rows, int64_t cols,
                       enum gptq_zeros zeros)
{
    uint32_t mask = (1u << q->bits) - 1;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < q->words; i++) p->qweight[i * rows + r] = (int32_t)q->codes[r * q->words + i];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t g = 0; g < q->groups; g++) {
            uint32_t stored = (q->zeros[r * q->groups + g] - (uint32_t)(zeros == GPTQ_V1)) & mask;
            p->scales[g * rows + r] = q->scales[r * q->groups + g];
            gptq_put((uint32_t *)p->qzeros + g * p->zero_words, q->bits, r, stored);
        }
    for (int64_t c = 0; c < cols; c++) p->g_idx[c] = (int32_t)gptq_group_of(q, c);
}

int gptq_unadopt(const struct matrix *m, enum gptq_zeros zeros, struct gptq_parts *out, struct error *e)
{
    const struct gptq_codes *q = gptq_codes_of(m);
    *out = (struct gptq_parts){0};
    if (!q) return error_set(e, ERROR_USAGE, "backend \"%s\": cannot be written in GPTQ's layout", m->backend->name);
    if (m->cols * q->bits % 32 || m->rows * q->bits % 32)
        return error_set(e, ERROR_INPUT,
                         "a matrix [%" PRId64 ", %" PRId64 "] cannot be written in GPTQ's layout: codes of %" PRId64
                         " bits must fill whole words along both sides",
                         m->rows, m->cols, q->bits);
    *out = (struct gptq_parts){.words = q->words, .zero_words = m->rows * q->bits / 32, .groups = q->groups};
    size_t rows = (size_t)m->rows, groups = (size_t)q->groups;
    out->qweight = memory_new((size_t)out->words * rows, sizeof *out->qweight, "qweight", e);
    out->qzeros = memory_new(groups * (size_t)out->zero_words, sizeof *out->qzeros, "qzeros", e);
    out->scales = memory_new(groups * rows, sizeof *out->scales, "scales", e);
    out->g_idx = memory_new((size_t)m->cols, sizeof *out->g_idx, "g_idx", e);
    if (!out->qweight || !out->qzeros || !out->scales || !out->g_idx) {
        gptq_parts_free(out);
        return ERROR_IO;
    }
    fill_parts(out, q, m->rows, m->cols, zeros);
    return 0;
}

void gptq_parts_free(struct gptq_parts *p)
{
    free(p->qweight);
    free(p->qzeros);
    free(p->scales);
    free(p->g_idx);
    *p = (struct gptq_parts){0};
}

json_t *gptq_config_write(const struct backend_options *how, enum gptq_zeros zeros, const char *quantizer)
{
    const struct gptq_settings *s = gptq_settings_of(how);
    json_t *json = json_pack("{s:I, s:I, s:b, s:b, s:b, s:s, s:s, s:s, s:{s:s, s:s}}", "bits", (json_int_t)s->bits,
                             "group_size", (json_int_t)s->group, "desc_act", s->act_order, "sym", s->symmetric,
                             "lm_head", false, "quant_method", "gptq", "checkpoint_format", gptq_zeros_name(zeros),
                             "pack_dtype", "int32", "meta", "quantizer", quantizer, "backend", how->spec);
    if (!json || !how->backend->calibrate) return json;
    json_object_set_new(json, "static_groups", json_boolean(s->static_groups));
    json_object_set_new(json, "true_sequential", json_boolean(s->sequential));
    /* readers want it between 0 and 1, ends excluded */
    if (s->damping > 0 && s->damping < 1) json_object_set_new(json, "damp_percent", json_real(s->damping));
    return json;
}
