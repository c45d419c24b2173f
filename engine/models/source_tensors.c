#include "engine/backends/pack.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/kernels/kernels.h"
#include "engine/models/source_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tensor of this name, which in a folder may lack the architecture's prefix or have it. */
static const struct tensor *look_for(const struct source *s, const char *name)
{
    const struct tensor *t = checkpoint_tensor(s->checkpoint, name);
    const char *prefix = s->architecture->prefix;
    if (t || checkpoint_gguf(s->checkpoint)) return t;
    if (strncmp(name, prefix, strlen(prefix)) == 0) return checkpoint_tensor(s->checkpoint, name + strlen(prefix));
    char with[2 * NAME];
    snprintf(with, sizeof with, "%s%s", prefix, name);
    return checkpoint_tensor(s->checkpoint, with);
}

/* Numbers in the place of the pattern's %d. */
static const char *fill(const char *pattern, int64_t layer, int64_t expert, char full[NAME])
{
    int64_t numbers[] = {layer, expert < 0 ? 0 : expert};
    size_t at = 0, n = 0;
    for (const char *c = pattern; *c && at + 24 < NAME; c++) {
        if (c[0] == '%' && c[1] == 'd' && n < 2)
            at += (size_t)snprintf(full + at, NAME - at, "%" PRId64, numbers[n++]), c++;
        else
            full[at++] = *c;
    }
    full[at] = 0;
    return full;
}

static bool is_stacked(enum name_change change)
{
    return change == STACKED || change == FIRST_HALF || change == SECOND_HALF;
}

/* Matrices of experts in GGUF files: in one tensor; gate above up in one, as llama.cpp may merge them; or, in the oldest
 * files, each by itself: blk.0.ffn_gate.3.weight. */
static const struct tensor *find_experts(const struct source *s, const char *name, int64_t layer,
                                         enum name_change *change, char missing[NAME])
{
    static const char ending[] = "_exps.weight";
    char pattern[NAME];
    const struct tensor *t = look_for(s, fill(name, layer, -1, missing));
    *change = STACKED;
    if (t) return t;
    const int stem = (int)(strlen(name) - strlen(ending));
    const char *part = strstr(name, "ffn_") + strlen("ffn_");
    *change = strncmp(part, "gate_", 5) == 0 ? FIRST_HALF : SECOND_HALF;
    snprintf(pattern, sizeof pattern, "%.*sgate_up%s", (int)(part - name), name, ending);
    if (strncmp(part, "down_", 5) != 0 && (t = look_for(s, fill(pattern, layer, -1, missing))) != NULL) return t;
    *change = AS_IS;
    snprintf(pattern, sizeof pattern, "%.*s.%%d.weight", stem, name);
    if ((t = look_for(s, fill(pattern, layer, s->expert, missing))) != NULL) return t;
    fill(name, layer, -1, missing);
    return NULL;
}

/* The file's tensor for a model's name; NULL where there is none. `missing` gets the name that was looked for. */
static const struct tensor *find_tensor(const struct source *s, const char *name, int64_t layer,
                                        enum name_change *change, char missing[NAME])
{
    *change = AS_IS;
    if (checkpoint_gguf(s->checkpoint) && text_ends_with(name, "_exps.weight"))
        return find_experts(s, name, layer, change, missing);
    if (checkpoint_gguf(s->checkpoint)) return look_for(s, fill(name, layer, s->expert, missing));
    const struct name_map *first = NULL;
    for (const struct name_map *m = s->architecture->names; m->name; m++) {
        if (strcmp(m->name, name)) continue;
        if (!first) first = m;
        *change = m->change;
        const struct tensor *t = look_for(s, fill(m->folder_name, layer, s->expert, missing));
        if (t) return t; /* else it may have another name */
    }
    *change = first ? first->change : AS_IS;
    return look_for(s, fill(first ? first->folder_name : name, layer, s->expert, missing));
}

/* The tensor that q, k or v are rows of where a GGUF file has the three in one, and the first of them; NULL where there is
 * none. */
static const struct tensor *find_fused(const struct source *s, const char *name, int64_t layer, int64_t *first)
{
    static const struct {
        const char *part, *whole;
        int place;
    } known[] = {
        {"blk.%d.attn_q.weight", "blk.%d.attn_qkv.weight", 0}, {"blk.%d.attn_k.weight", "blk.%d.attn_qkv.weight", 1},
        {"blk.%d.attn_v.weight", "blk.%d.attn_qkv.weight", 2}, {"blk.%d.attn_q.bias", "blk.%d.attn_qkv.bias", 0},
        {"blk.%d.attn_k.bias", "blk.%d.attn_qkv.bias", 1},     {"blk.%d.attn_v.bias", "blk.%d.attn_qkv.bias", 2}};
    const int64_t firsts[] = {0, s->q_rows, s->q_rows + s->kv_rows};
    char full[NAME];
    for (size_t i = 0; checkpoint_gguf(s->checkpoint) && i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].part, name)) continue;
        *first = firsts[known[i].place];
        return look_for(s, fill(known[i].whole, layer, -1, full));
    }
    return NULL;
}

void source_heads(struct source *s, int64_t q_rows, int64_t kv_rows)
{
    s->q_rows = q_rows;
    s->kv_rows = kv_rows;
}

static void cut_rows(struct tensor *t, int64_t first, int64_t rows)
{
    const size_t bytes = t->bytes / (size_t)t->shape[0];
    t->data = (const uint8_t *)t->data + (size_t)first * bytes;
    t->bytes = (size_t)rows * bytes;
    t->shape[0] = rows;
}

bool source_there(const struct source *s, const char *name, int64_t layer)
{
    enum name_change change;
    char full[NAME];
    int64_t first;
    return find_tensor(s, name, layer, &change, full) || find_fused(s, name, layer, &first);
}

void source_expert(struct source *s, int64_t expert) { s->expert = expert; }
int64_t source_which_expert(const struct source *s) { return s->expert; }

static void mark_used(struct source *s, const struct tensor *t, uint8_t parts)
{
    int64_t at;
    if (t && table_find(&s->index, t->name, strlen(t->name), &at)) s->used[at] |= parts;
}

/* The parts that these rows of a tensor are: of q, k and v in one from `first` on, or of each expert's gate and up. */
static uint8_t parts_of(const struct source *s, enum name_change change, int64_t first)
{
    enum { FIRST = 1, SECOND = 2, THIRD = 4 };
    if (first >= 0) return first == 0 ? FIRST : first == s->q_rows ? SECOND : THIRD;
    return change == FIRST_HALF ? FIRST : change == SECOND_HALF ? SECOND | THIRD : ALL_PARTS;
}

bool source_ties(struct source *s)
{
    enum name_change change;
    char missing[NAME];
    const struct tensor *t = find_tensor(s, "output.weight", 0, &change, missing);
    if (checkpoint_gguf(s->checkpoint)) return !t;
    const json_t *v = source_config(s, "tie_word_embeddings");
    bool ties = json_is_boolean(v) ? json_is_true(v) : s->architecture->ties_by_default;
    if (ties) mark_used(s, t, ALL_PARTS);
    return ties;
}

static void shape_text(int n_dims, const int64_t *shape, struct text *out)
{
    text_char(out, '[');
    for (int i = 0; i < n_dims; i++) {
        text_printf(out, "%s", i ? ", " : "");
        if (shape[i] < 0)
            text_add(out, "any");
        else
            text_printf(out, "%" PRId64, shape[i]);
    }
    text_char(out, ']');
}

static int check_shape(const struct source *s, const struct tensor *t, int n_dims, const int64_t *shape,
                       struct error *e)
{
    bool row = n_dims == 1 && t->n_dims == 2 && t->shape[0] == 1; /* as good as a vector */
    bool same = t->n_dims == n_dims || row;
    for (int i = 0; same && i < n_dims; i++) same = shape[i] < 0 || t->shape[i + row] == shape[i];
    if (same) return 0;
    struct text is = {0}, wanted = {0};
    shape_text(t->n_dims, t->shape, &is);
    shape_text(n_dims, shape, &wanted);
    int status = error_set(e, ERROR_INPUT, "%s: %s: shape %s must be %s by the file's own settings", path_of(s),
                           t->name, text_c(&is), text_c(&wanted));
    text_free(&is);
    text_free(&wanted);
    return status;
}

/* Elements of 2 or 4 bytes, in tiles that stay in the cache. */
static void transpose(const uint8_t *in, uint8_t *out, int64_t rows, int64_t cols, size_t size)
{
    enum { TILE = 32 };
    for (int64_t r0 = 0; r0 < rows; r0 += TILE)
        for (int64_t c0 = 0; c0 < cols; c0 += TILE)
            for (int64_t r = r0; r < rows && r < r0 + TILE; r++)
                for (int64_t c = c0; c < cols && c < c0 + TILE; c++)
                    memcpy(out + (size_t)(c * rows + r) * size, in + (size_t)(r * cols + c) * size, size);
}

static int turn(const struct source *s, struct tensor *t, struct error *e)
{
    const struct dtype *d = dtype_of((int)t->type);
    if (d->block != 1 || t->n_dims != 2)
        return error_set(e, ERROR_INPUT, "%s: %s: a matrix of type %s cannot be transposed", path_of(s), t->name,
                         d->name);
    uint8_t *turned = memory_new(t->bytes, 1, t->name, e);
    if (!turned) return ERROR_IO;
    transpose(t->data, turned, t->shape[0], t->shape[1], d->block_bytes);
    int64_t rows = t->shape[0];
    t->shape[0] = t->shape[1];
    t->shape[1] = rows;
    t->data = t->owned = turned;
    return 0;
}

/* Where the matrix that is asked for is one of many in a tensor. */
static bool is_slice(const struct source *s, enum name_change change, int n_dims)
{
    return s->expert >= 0 && n_dims == 2 && is_stacked(change);
}

/* The file's tensor for a model's name, its shape checked, marked as used; NULL with an error. What is asked for are its
 * rows from *first on, -1: all of them. */
static const struct tensor *take(struct source *s, const char *name, int64_t layer, int n_dims, const int64_t *shape,
                                 enum name_change *change, int64_t *first, struct error *e)
{
    char missing[NAME];
    const struct tensor *t = find_tensor(s, name, layer, change, missing);
    *first = -1;
    if (!t) t = find_fused(s, name, layer, first);
    if (!t) {
        error_set(e, ERROR_INPUT, "%s: tensor %s is missing", path_of(s), missing);
        return NULL;
    }
    int64_t wanted[TENSOR_DIMS];
    mark_used(s, t, parts_of(s, *change, *first));
    memcpy(wanted, shape, (size_t)n_dims * sizeof *shape);
    if (*first >= 0) wanted[0] = s->q_rows + 2 * s->kv_rows;
    if (*change == TRANSPOSED && n_dims == 2) wanted[0] = shape[1], wanted[1] = shape[0];
    if (is_slice(s, *change, n_dims)) {
        memcpy(wanted + 1, shape, (size_t)n_dims++ * sizeof *shape);
        wanted[0] = -1;
    }
    if (*change == FIRST_HALF || *change == SECOND_HALF) wanted[1] *= 2;
    return check_shape(s, t, n_dims, wanted, e) ? NULL : t;
}

/* The matrix of one expert out of those of all. */
static int slice(const struct source *s, enum name_change change, struct tensor *t, struct error *e)
{
    if (s->expert >= t->shape[0])
        return error_set(e, ERROR_INPUT, "%s: %s: has %" PRId64 " experts, not %" PRId64, path_of(s), t->name,
                         t->shape[0], s->expert + 1);
    const bool halved = change != STACKED;
    const size_t each = t->bytes / (size_t)t->shape[0];
    t->bytes = halved ? each / 2 : each;
    t->data = (const uint8_t *)t->data + (size_t)s->expert * each + (change == SECOND_HALF ? t->bytes : 0);
    t->n_dims = 2;
    t->shape[0] = halved ? t->shape[1] / 2 : t->shape[1];
    t->shape[1] = t->shape[2];
    t->shape[2] = 1;
    return 0;
}

/* --- matrices in parts --- */

/* PART_OF.ENDING, marked as used; NULL where there is none. */
static const struct tensor *part(struct source *s, const char *ending)
{
    char full[NAME + 16];
    snprintf(full, sizeof full, "%s.%s", s->part_of, ending);
    const struct tensor *t = checkpoint_tensor(s->checkpoint, full);
    mark_used(s, t, ALL_PARTS);
    return t;
}

/* AutoGPTQ writes a bias of zeros for layers that have none. One that is not zero stays for source_all_used(). */
static void accept_zero_bias(struct source *s)
{
    char full[NAME + 16];
    snprintf(full, sizeof full, "%s.bias", s->part_of);
    const struct tensor *t = checkpoint_tensor(s->checkpoint, full);
    bool zero = t != NULL;
    for (size_t i = 0; zero && i < t->bytes; i++) zero = ((const uint8_t *)t->data)[i] == 0;
    if (zero) mark_used(s, t, ALL_PARTS);
}

/* Where a setting stands that the first place names, or does not. */
static const char *said_by(const struct source *s, bool first)
{
    const char *place;
    checkpoint_quantization(s->checkpoint, !first, &place);
    return place;
}

/* What the settings say about a matrix against what its tensors' shapes say; sets the group size. Shapes that cannot be
 * GPTQ's at all are left to gptq_adopt(). */
static int check_settings(const struct source *s, struct gptq_stored *w, int64_t cols, struct error *e)
{
    const struct gptq_config *c = &s->gptq;
    const struct tensor *q = w->qweight;
    int64_t bits = q->n_dims == 2 && q->shape[0] <= cols ? q->shape[0] * 32 / cols : 0;
    if (c->bits && !c->mixed && bits && bits != c->bits)
        return error_set(e, ERROR_INPUT,
                         "%s: %s: shape [%" PRId64 ", %" PRId64 "] is %" PRId64 " bits for %" PRId64
                         " columns, but %s says bits %" PRId64,
                         path_of(s), q->name, q->shape[0], q->shape[1], bits, cols, said_by(s, s->first.bits), c->bits);
    int64_t groups = w->scales->shape[0], asked = c->group_size < 0 || c->group_size > cols ? cols : c->group_size;
    bool agree = asked && groups == (cols + asked - 1) / asked;
    if (asked && !agree && !c->mixed)
        return error_set(e, ERROR_INPUT,
                         "%s: %s: %" PRId64 " groups for %" PRId64 " columns, but %s says group_size %" PRId64,
                         path_of(s), w->scales->name, groups, cols, said_by(s, s->first.group_size), c->group_size);
    if (groups < 1 || groups > cols)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " groups for %" PRId64 " columns", path_of(s),
                         w->scales->name, groups, cols);
    if (!agree && cols % groups && !w->g_idx)
        return error_set(e, ERROR_INPUT,
                         "%s: %s: %" PRId64 " groups do not divide %" PRId64 " columns, and neither a g_idx nor a "
                         "group_size says how they lie",
                         path_of(s), w->scales->name, groups, cols);
    w->group_size = agree ? asked : (cols + groups - 1) / groups;
    if (w->group_size == cols) w->group_size = -1;
    if (c->act_order && groups > 1 && !w->g_idx)
        return error_set(e, ERROR_INPUT,
                         "%s: %s.g_idx is missing, but %s says desc_act: the columns' groups are unknown", path_of(s),
                         w->name, said_by(s, s->first.act_order));
    return 0;
}

int source_parts(struct source *s, const char *name, int64_t layer, int64_t cols, bool *there, struct gptq_stored *out,
                 struct error *e)
{
    const struct tensor *q = s->has_parts ? source_stored(s, name, layer) : NULL;
    *there = q && text_ends_with(q->name, ".qweight");
    if (!*there) return 0;
    snprintf(s->part_of, sizeof s->part_of, "%.*s", (int)(strrchr(q->name, '.') - q->name), q->name);
    *out = (struct gptq_stored){.name = s->part_of,
                                .qweight = q,
                                .qzeros = part(s, "qzeros"),
                                .scales = part(s, "scales"),
                                .g_idx = part(s, "g_idx"),
                                .zeros = s->gptq.zeros};
    if (!out->qzeros || !out->scales)
        return error_set(e, ERROR_INPUT, "%s: tensor %s.%s is missing beside %s", path_of(s), s->part_of,
                         out->qzeros ? "scales" : "qzeros", q->name);
    mark_used(s, q, ALL_PARTS);
    accept_zero_bias(s);
    return check_settings(s, out, cols, e);
}

void source_look(struct source *s, const struct gptq_stored *w, const struct matrix *m)
{
    gptq_evidence_add(&s->evidence, w, m);
    s->zeros_taken = w->zeros;
}

void source_warning(const struct source *s, char warning[SOURCE_WARNING])
{
    if (!gptq_evidence_contradicts(&s->evidence, s->zeros_taken, warning, SOURCE_WARNING)) *warning = 0;
}

/* A matrix in parts as floats. */
static int join(const struct source *s, const struct gptq_stored *w, const int64_t *shape, struct tensor *t,
                struct error *e)
{
    struct matrix m;
    int status = gptq_adopt(&m, w, shape[0], shape[1], e);
    if (status) return error_prefix(e, "%s", path_of(s));
    status = matrix_to_f32(&m, w->qweight->name, t, e);
    matrix_free(&m);
    return status;
}

int source_rows(struct source *s, const char *name, int64_t cols, int64_t *rows, struct error *e)
{
    struct gptq_stored w;
    bool in_parts;
    int status = source_parts(s, name, 0, cols, &in_parts, &w, e);
    if (status) return status;
    enum name_change change = AS_IS;
    int64_t first;
    const struct tensor *t = in_parts ? w.qweight : take(s, name, 0, 2, (int64_t[]){-1, cols}, &change, &first, e);
    if (!t) return (int)e->code;
    if (t->n_dims != 2)
        return error_set(e, ERROR_INPUT, "%s: %s: must have two dimensions, has %d", path_of(s), t->name, t->n_dims);
    *rows = t->shape[in_parts || change == TRANSPOSED];
    if (*rows > 0 && *rows <= INT32_MAX) return 0;
    return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " rows: must be from 1 to %d", path_of(s), t->name, *rows,
                     INT32_MAX);
}

/* Matrices of all experts that stand one by one; all of one type. */
static int check_experts(struct source *s, const char *name, int64_t layer, const int64_t *shape, enum dtype_id *type,
                         enum name_change *change, struct error *e)
{
    int status = 0;
    for (int64_t i = 0; i < shape[0] && !status; i++) {
        enum dtype_id first = *type;
        s->expert = i;
        status = source_check(s, name, layer, 2, shape + 1, type, change, e);
        char full[NAME];
        if (!status && i && *type != first)
            status = error_set(e, ERROR_INPUT, "%s: %s: type %s is not that of the experts before it, %s", path_of(s),
                               find_tensor(s, name, layer, change, full)->name, dtype_of((int)*type)->name,
                               dtype_of((int)first)->name);
    }
    s->expert = -1;
    return status;
}

int source_check(struct source *s, const char *name, int64_t layer, int n_dims, const int64_t *shape,
                 enum dtype_id *type, enum name_change *change, struct error *e)
{
    char full[NAME];
    if (n_dims == 3) find_tensor(s, name, layer, change, full);
    if (n_dims == 3 && !is_stacked(*change)) return check_experts(s, name, layer, shape, type, change, e);
    struct gptq_stored w;
    bool in_parts = false;
    int status = n_dims == 2 ? source_parts(s, name, layer, shape[1], &in_parts, &w, e) : 0;
    if (in_parts) {
        find_tensor(s, name, layer, change, full);
        *type = DTYPE_F32;
        return status;
    }
    int64_t first;
    const struct tensor *t = take(s, name, layer, n_dims, shape, change, &first, e);
    if (t) *type = t->type;
    return t ? 0 : (int)e->code;
}

int source_tensor(struct source *s, const char *name, int64_t layer, int n_dims, const int64_t *shape, struct tensor *t,
                  struct error *e)
{
    struct gptq_stored w;
    bool in_parts = false;
    int status = n_dims == 2 ? source_parts(s, name, layer, shape[1], &in_parts, &w, e) : 0;
    if (in_parts) return status ? status : join(s, &w, shape, t, e);
    enum name_change change;
    int64_t first;
    const struct tensor *found = take(s, name, layer, n_dims, shape, &change, &first, e);
    if (!found) return (int)e->code;
    *t = *found;
    t->owned = NULL;
    if (n_dims == 1 && t->n_dims == 2) t->n_dims = 1, t->shape[0] = t->shape[1], t->shape[1] = 1; /* its only row */
    if (first >= 0) cut_rows(t, first, shape[0]);
    if (is_slice(s, change, n_dims)) return slice(s, change, t, e);
    return change == TRANSPOSED ? turn(s, t, e) : 0;
}

const struct tensor *source_stored(const struct source *s, const char *name, int64_t layer)
{
    char full[NAME];
    enum name_change change;
    const struct tensor *t = find_tensor(s, name, layer, &change, full);
    if (t || !text_ends_with(full, ".weight")) return t;
    strcpy(full + strlen(full) - strlen("weight"), "qweight");
    return look_for(s, full);
}

bool source_base(const struct source *s, const char *name, int64_t layer, char *out, size_t size)
{
    char full[NAME];
    enum name_change change;
    const struct tensor *t = find_tensor(s, name, layer, &change, full);
    const char *base = t ? t->name : NULL, *prefix = s->architecture->prefix;
    if (t && is_stacked(change)) {
        const struct name_map *m = s->architecture->names;
        while (strcmp(m->name, name)) m++;
        base = fill(m->folder_name, layer, s->expert, full);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0) base += strlen(prefix);
    } else if (!t) {
        t = source_stored(s, name, layer);
        base = t ? t->name : NULL;
    }
    if (!base) return false;
    return snprintf(out, size, "%.*s", (int)(strrchr(base, '.') - base), base) < (int)size;
}

void source_forget(const struct source *s, const char *name, int64_t layer)
{
    const struct tensor *t = source_stored(s, name, layer);
    if (t) file_forget(t->data, t->bytes);
}

float *source_vector(struct source *s, const char *name, int64_t layer, int64_t n, struct error *e)
{
    struct tensor t;
    if (source_tensor(s, name, layer, 1, &n, &t, e)) return NULL;
    if (!kernels_get()->decode[t.type]) {
        error_set(e, ERROR_INPUT, "%s: %s: type %s cannot be decoded by this version", path_of(s), t.name,
                  dtype_of((int)t.type)->name);
        return NULL;
    }
    float *v = memory_new((size_t)n, sizeof *v, t.name, e);
    if (!v) return NULL;
    kernels_get()->decode[t.type](t.data, v, n);
    enum name_change change;
    char full[NAME];
    find_tensor(s, name, layer, &change, full);
    for (int64_t i = 0; i < n; i++) {
        if (change == LESS_ONE) v[i] += 1;
        if (isfinite(v[i])) continue;
        error_set(e, ERROR_NUMBER, "%s: %s: element [%" PRId64 "] is not finite", path_of(s), t.name, i);
        free(v);
        return NULL;
    }
    return v;
}

int source_all_used(const struct source *s, struct error *e)
{
    for (size_t i = 0; i < checkpoint_count(s->checkpoint); i++) {
        const char *name = checkpoint_at(s->checkpoint, i)->name;
        bool known = s->used[i] == ALL_PARTS;
        for (const char *const *end = s->architecture->ignored; *end && !known; end++)
            known = text_ends_with(name, *end);
        if (!known)
            return error_set(e, ERROR_INPUT, "%s: tensor %s is not part of the %s that this version computes",
                             path_of(s), name, s->architecture->name);
    }
    return 0;
}
