/* Tensors of a synthetic llama, their random numbers, and the GGUF file. */
#include "engine/models/synth.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/models/synth_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

extern const struct architecture architecture_llama;

enum { PANEL = 1 << 22 }; /* elements of a matrix that are in memory at a time */

/* --- shapes --- */

static int check_range(const char *name, int64_t value, int64_t low, int64_t high, struct error *e)
{
    if (value >= low && value <= high) return 0;
    return error_set(e, ERROR_USAGE, "%s %" PRId64 ": must be from %" PRId64 " to %" PRId64, name, value, low, high);
}

static int check_shape(const struct synth *s, struct error *e)
{
    int status = check_range("layers", s->layers, 1, 1 << 14, e);
    if (!status) status = check_range("width", s->width, 2, 1 << 18, e);
    if (!status) status = check_range("ffn", s->ffn, 1, 1 << 20, e);
    if (!status) status = check_range("heads", s->heads, 1, 1 << 16, e);
    if (!status) status = check_range("kv-heads", s->kv_heads, 1, 1 << 16, e);
    if (!status) status = check_range("vocab", s->vocab, SYNTH_VOCAB_LEAST, SYNTH_VOCAB_MOST, e);
    if (!status) status = check_range("context", s->context, 1, INT32_MAX, e);
    if (status) return status;
    const int64_t head = s->width / s->heads;
    if (s->width % s->heads || head % 2 || head > ROPE_DIMS)
        return error_set(e, ERROR_USAGE,
                         "width %" PRId64 " does not divide into %" PRId64 " heads of an even size up to %d", s->width,
                         s->heads, ROPE_DIMS);
    if (s->heads % s->kv_heads)
        return error_set(e, ERROR_USAGE, "%" PRId64 " heads do not divide into %" PRId64 " kv-heads", s->heads,
                         s->kv_heads);
    return 0;
}

static struct place place_of(const struct synth *s, const struct synth_tensor *t)
{
    const bool inside = strstr(t->name, "%d") != NULL;
    return (struct place){.name = t->full,
                          .layer = inside ? t->layer : -1,
                          .layers = s->layers,
                          .queries = s->heads / s->kv_heads,
                          .makes_logits = s->untied ? strcmp(t->name, "output.weight") == 0 : !inside};
}

/* Rows 0: a vector of `cols`. */
static int add(struct synth_plan *p, const char *name, int64_t layer, int64_t rows, int64_t cols,
               enum synth_width width, uint64_t number, struct error *e)
{
    if (memory_reserve((void **)&p->tensors, &p->capacity, p->n + 1, sizeof *p->tensors, "tensors", e)) return ERROR_IO;
    struct synth_tensor *t = &p->tensors[p->n++];
    *t = (struct synth_tensor){.name = name, .layer = layer, .width = width, .n_dims = rows ? 2 : 1};
    t->shape[0] = rows ? rows : cols;
    t->shape[1] = rows ? cols : 0;
    t->stream = (uint64_t)layer << 8 | number;
    t->turns = strstr(name, "attn_q.") || strstr(name, "attn_k.");
    model_name(name, layer, t->full);
    bool fell_back = false;
    const struct place at = place_of(p->s, t);
    const struct backend_options *how = &p->s->how;
    t->type = rows || p->folder ? how->backend->gguf_type(how, &at, cols, &fell_back) : DTYPE_F32;
    p->facts.fell_back += fell_back && rows;
    size_t bytes;
    if (!tensor_bytes(t->type, t->n_dims, t->shape, &bytes))
        return error_set(e, ERROR_USAGE, "%s: is too large", t->full);
    p->facts.bytes += bytes;
    p->facts.parameters += rows ? rows * cols : cols;
    return 0;
}

/* In the order that the engine loads them. The numbers name streams and are part of what a seed means. */
static int add_layer(struct synth_plan *p, int64_t i, struct error *e)
{
    const struct synth *s = p->s;
    const int64_t keys = s->width / s->heads * s->kv_heads;
    const struct {
        const char *name;
        int64_t rows, cols;
        enum synth_width width;
    } parts[] = {{"blk.%d.attn_norm.weight", 0, s->width, SYNTH_NORM},
                 {"blk.%d.attn_q.weight", s->width, s->width, SYNTH_INNER},
                 {"blk.%d.attn_k.weight", keys, s->width, SYNTH_INNER},
                 {"blk.%d.attn_v.weight", keys, s->width, SYNTH_INNER},
                 {"blk.%d.attn_output.weight", s->width, s->width, SYNTH_RESIDUAL},
                 {"blk.%d.ffn_norm.weight", 0, s->width, SYNTH_NORM},
                 {"blk.%d.ffn_gate.weight", s->ffn, s->width, SYNTH_INNER},
                 {"blk.%d.ffn_up.weight", s->ffn, s->width, SYNTH_INNER},
                 {"blk.%d.ffn_down.weight", s->width, s->ffn, SYNTH_RESIDUAL}};
    int status = 0;
    for (size_t k = 0; k < sizeof parts / sizeof *parts && !status; k++)
        status = add(p, parts[k].name, i, parts[k].rows, parts[k].cols, parts[k].width, 16 + k, e);
    return status;
}

static int list_tensors(struct synth_plan *p, struct error *e)
{
    const struct synth *s = p->s;
    int status = add(p, "token_embd.weight", 0, s->vocab, s->width, SYNTH_EMBEDDING, 0, e);
    if (!status && s->untied) status = add(p, "output.weight", 0, s->vocab, s->width, SYNTH_EMBEDDING, 1, e);
    for (int64_t i = 0; i < s->layers && !status; i++) status = add_layer(p, i, e);
    return status ? status : add(p, "output_norm.weight", 0, 0, s->width, SYNTH_NORM, 2, e);
}

static int check_backend(const struct backend_options *how, bool folder, struct error *e)
{
    if (!how->backend->gguf_type)
        return error_set(e, ERROR_USAGE, "backend \"%s\": GGUF has no type for it: use f32, f16, bf16 or gguf:TYPE",
                         how->spec);
    const int type = dtype_named(how->backend->name);
    if (folder && type != DTYPE_F32 && type != DTYPE_F16 && type != DTYPE_BF16)
        return error_set(e, ERROR_USAGE,
                         "backend \"%s\": a folder holds f32, f16 or bf16: name a file that ends in .gguf", how->spec);
    return 0;
}

static int patterns_used(const struct synth_plan *p, struct error *e)
{
    const struct backend_options *how = &p->s->how;
    const char *pattern;
    for (size_t i = 0; how->backend->pattern && (pattern = how->backend->pattern(how, i)); i++) {
        bool used = false;
        for (size_t k = 0; k < p->n && !used; k++)
            used = p->tensors[k].n_dims == 2 && pattern_fits(pattern, p->tensors[k].full);
        if (!used)
            return error_set(e, ERROR_USAGE, "backend \"%s\": %s: fits no matrix of this model", how->spec, pattern);
    }
    return 0;
}

/* --- weights --- */

/* Twelve uniform numbers of 16 bits less their mean: normal to four digits of its density within three deviations, none
 * beyond six, and made of whole numbers alone, so that no machine's logarithm or cosine has a say. Deviation 1. */
static float normal(struct random *r)
{
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        const uint64_t z = random_next(r);
        sum += (z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48);
    }
    return ((float)sum - 6 * 65535.f) * 0x1p-16f;
}

/* A stream for every row, so that rows can be made in any order. */
static struct random row_stream(const struct synth *s, const struct synth_tensor *t, int64_t row)
{
    struct random tensor = {s->seed};
    tensor.state = random_next(&tensor) ^ t->stream;
    return (struct random){random_next(&tensor) ^ (uint64_t)row};
}

/* The row as Hugging Face has it, halves of a head one after the other, that a file has at `row`. */
static int64_t untwisted(const struct synth_plan *p, const struct synth_tensor *t, int64_t row)
{
    if (!t->turns || p->folder) return row;
    const int64_t head = p->s->width / p->s->heads, i = row % head;
    return row - i + (i % 2 ? head / 2 : 0) + i / 2;
}

static float deviation(const struct synth *s, const struct synth_tensor *t)
{
    const double cols = (double)t->shape[1];
    if (t->width == SYNTH_EMBEDDING) return (float)(2 / sqrt(cols));
    return (float)(t->width == SYNTH_RESIDUAL ? 1 / sqrt(cols * 2 * (double)s->layers) : 1 / sqrt(cols));
}

static void make_row(const struct synth_plan *p, const struct synth_tensor *t, int64_t row, float *out /* [cols] */)
{
    struct random r = row_stream(p->s, t, untwisted(p, t, row));
    const float wide = deviation(p->s, t);
    for (int64_t c = 0; c < t->shape[1]; c++) out[c] = wide * normal(&r);
}

/* Around 1 in steps of 1/128, which every type has: a deviation of an eighth, from 1/2 to 3/2. */
static void make_norm(const struct synth_plan *p, const struct synth_tensor *t, float *out /* [shape[0]] */)
{
    struct random r = row_stream(p->s, t, 0);
    for (int64_t i = 0; i < t->shape[0]; i++) {
        const float steps = rintf(16 * normal(&r));
        out[i] = 1 + (steps < -64 ? -64 : steps > 64 ? 64 : steps) / 128;
    }
}

static void put(const struct synth_sink *to, const void *data, size_t n)
{
    if (to->gguf)
        gguf_write_data(to->gguf, data, n);
    else
        safetensors_write_data(to->folder, data, n);
}

/* After a failure, which the writer's commit tells, nothing more need be made. */
static bool has_failed(const struct synth_sink *to)
{
    return to->gguf ? gguf_writer_failed(to->gguf) : safetensors_writer_failed(to->folder);
}

/* Rows of a matrix, or a vector as one, packed and written. */
static int write_rows(const struct synth_plan *p, const struct synth_tensor *t, int64_t rows, float *data,
                      const struct synth_sink *to, struct error *e)
{
    const int64_t cols = t->shape[t->n_dims - 1];
    struct tensor w = {.name = t->full, .type = DTYPE_F32, .n_dims = 2, .shape = {rows, cols, 1, 1}, .data = data};
    w.bytes = (size_t)(rows * cols) * sizeof *data;
    if (t->type == DTYPE_F32) return put(to, data, w.bytes), 0;
    struct matrix m;
    const struct place at = place_of(p->s, t);
    int status = matrix_pack(&m, &w, &p->s->how, &at, e);
    if (status) return status;
    if (m.type != t->type)
        status = error_set(e, ERROR_IO, "%s: packed as %s instead of %s", t->full, dtype_of((int)m.type)->name,
                           dtype_of((int)t->type)->name);
    else
        put(to, m.data, m.bytes);
    matrix_free(&m);
    return status;
}

static int64_t panel_rows(const struct synth_tensor *t)
{
    const int64_t rows = t->n_dims > 1 ? PANEL / t->shape[1] : 1;
    return rows < 1 ? 1 : rows;
}

/* Asked before every panel: one tensor can take minutes. */
static int check_interrupt(const struct synth_plan *p, size_t tensor, const struct export_progress *watch,
                           struct error *e)
{
    if (!watch || watch->tensor(watch->user, tensor, p->n)) return 0;
    return error_set(e, ERROR_INTERRUPTED, "interrupted");
}

static int write_tensor(const struct synth_plan *p, size_t tensor, const struct synth_sink *to, float *panel,
                        const struct export_progress *watch, struct error *e)
{
    const struct synth_tensor *t = &p->tensors[tensor];
    int status = check_interrupt(p, tensor, watch, e);
    if (status) return status;
    if (t->n_dims == 1) {
        make_norm(p, t, panel);
        return write_rows(p, t, 1, panel, to, e);
    }
    const int64_t most = panel_rows(t), cols = t->shape[1];
    for (int64_t first = 0; first < t->shape[0] && !status && !has_failed(to); first += most) {
        const int64_t rows = t->shape[0] - first < most ? t->shape[0] - first : most;
#pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < rows; r++) make_row(p, t, first + r, panel + r * cols);
        status = write_rows(p, t, rows, panel, to, e);
        if (!status) status = check_interrupt(p, tensor, watch, e);
    }
    return status;
}

int synth_write_data(const struct synth_plan *p, const struct synth_sink *to, const struct export_progress *watch,
                     struct error *e)
{
    int64_t most = 1;
    for (size_t i = 0; i < p->n; i++) {
        const struct synth_tensor *t = &p->tensors[i];
        const int64_t rows = t->n_dims > 1 && panel_rows(t) < t->shape[0] ? panel_rows(t) : t->shape[0];
        const int64_t elements = t->n_dims > 1 ? rows * t->shape[1] : t->shape[0];
        if (elements > most) most = elements;
    }
    float *panel = memory_new((size_t)most, sizeof *panel, "rows", e);
    int status = panel ? 0 : ERROR_IO;
    for (size_t i = 0; i < p->n && !status && !has_failed(to); i++) status = write_tensor(p, i, to, panel, watch, e);
    free(panel);
    return status;
}

/* --- the file --- */

const char *synth_name(const struct synth *s, char name[SYNTH_NAME])
{
    snprintf(name, SYNTH_NAME, "llama-%" PRId64 "x%" PRId64 "-%" PRIu64, s->layers, s->width, s->seed);
    return name;
}

static void write_hyper(const struct synth *s, struct gguf_writer *w)
{
    const int64_t head = s->width / s->heads;
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"llama.context_length", s->context},     {"llama.embedding_length", s->width},
                   {"llama.block_count", s->layers},         {"llama.feed_forward_length", s->ffn},
                   {"llama.attention.head_count", s->heads}, {"llama.attention.head_count_kv", s->kv_heads},
                   {"llama.attention.key_length", head},     {"llama.attention.value_length", head},
                   {"llama.rope.dimension_count", head},     {"llama.vocab_size", s->vocab}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        gguf_write_u32(w, numbers[i].key, (uint32_t)numbers[i].value);
    gguf_write_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_write_f32(w, "llama.rope.freq_base", 10000);
}

static void write_metadata(const struct synth_plan *p, struct gguf_writer *w)
{
    const struct backend_options *how = &p->s->how;
    char name[SYNTH_NAME];
    bool blocked = false;
    for (size_t i = 0; i < p->n; i++) blocked |= dtype_of((int)p->tensors[i].type)->block > 1;
    const uint32_t plain = p->tensors[0].type == DTYPE_F32 ? 0 : p->tensors[0].type == DTYPE_F16 ? 1 : 32;
    gguf_write_string(w, "general.architecture", "llama");
    gguf_write_string(w, "general.name", synth_name(p->s, name));
    gguf_write_string(w, "general.description", "random weights, to measure speed with");
    write_hyper(p->s, w);
    vocabulary_write_gguf(&p->vocabulary, 0, w);
    if (blocked) gguf_write_u32(w, "general.quantization_version", 2);
    gguf_write_u32(w, "general.file_type", how->backend->file_type ? how->backend->file_type(how) : plain);
}

static int write_file(const struct synth_plan *p, const char *path, const struct export_progress *watch,
                      struct error *e)
{
    struct gguf_writer *w;
    int status = gguf_writer_open(&w, path, e);
    if (status) return status;
    write_metadata(p, w);
    for (size_t i = 0; i < p->n; i++)
        gguf_write_tensor(w, p->tensors[i].full, p->tensors[i].type, p->tensors[i].n_dims, p->tensors[i].shape);
    status = synth_write_data(p, &(struct synth_sink){.gguf = w}, watch, e);
    if (!status) status = gguf_writer_commit(&w, e);
    gguf_writer_abandon(&w);
    return status;
}

bool synth_is_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return true;
    const size_t n = strlen(path);
    return n >= 5 && strcmp(path + n - 5, ".gguf") == 0;
}

int model_synth(const struct synth *s, const char *path, const struct export_progress *watch, struct synth_facts *facts,
                struct error *e)
{
    struct synth_plan p = {.s = s, .folder = !synth_is_file(path)};
    int status = check_shape(s, e);
    if (!status) status = check_backend(&s->how, p.folder, e);
    if (!status) status = list_tensors(&p, e);
    if (!status) status = patterns_used(&p, e);
    if (!status) status = p.folder ? synth_folder_check(path, e) : output_try(path, e);
    if (!status) status = synth_vocabulary(&p.vocabulary, s->vocab, e);
    if (!status) status = (p.folder ? synth_write_folder : write_file)(&p, path, watch, e);
    if (!status && facts) *facts = p.facts;
    vocabulary_close(&p.vocabulary);
    free(p.tensors);
    return status;
}
