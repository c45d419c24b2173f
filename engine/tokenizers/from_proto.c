/* SentencePiece's tokenizer.model: a protobuf message ModelProto (sentencepiece_model.proto, Kudo and Richardson 2018).
 *
 *     1 pieces, each    { 1 piece: bytes, 2 score: float, 3 type: enum }
 *     2 trainer_spec    { 3 model_type: 1 unigram, 2 bpe; 24 treat_whitespace_as_suffix, 35 byte_fallback,
 *                         40 unk_id, 41 bos_id, 42 eos_id }
 *     3 normalizer_spec { 2 precompiled_charsmap: bytes, 3 add_dummy_prefix, 4 remove_extra_whitespaces,
 *                         5 escape_whitespaces }
 *
 * A field is a varint, number << 3 | wire type, and a value: 0 a varint, 1 eight bytes, 2 a varint and that many bytes, 5
 * four bytes. Fields that are not listed do not bear on ids and are passed over. */
#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const uint8_t *base; /* of the file, for offsets in errors */
    const uint8_t *at, *end;
};

struct proto_field {
    uint64_t number;
    unsigned wire;
    uint64_t value;       /* of wire types 0, 1 and 5 */
    struct reading inner; /* of wire type 2 */
};

enum { WIRE_VARINT = 0, WIRE_EIGHT = 1, WIRE_BYTES = 2, WIRE_FOUR = 5 };

static int broken(const struct reading *r, struct error *e, const char *what)
{
    return error_set(e, ERROR_INPUT, "offset 0x%zx: %s", (size_t)(r->at - r->base), what);
}

static int read_varint(struct reading *r, uint64_t *out, struct error *e)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end) return broken(r, e, "a number is cut off: not a SentencePiece model");
        const uint8_t byte = *r->at++;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) return 0;
    }
    return broken(r, e, "a number has more than 64 bits: not a SentencePiece model");
}

static int read_fixed(struct reading *r, size_t n, uint64_t *out, struct error *e)
{
    if ((size_t)(r->end - r->at) < n) return broken(r, e, "a value is cut off: not a SentencePiece model");
    *out = 0;
    for (size_t i = 0; i < n; i++) *out |= (uint64_t)*r->at++ << 8 * i;
    return 0;
}

static int read_field(struct reading *r, struct proto_field *f, struct error *e)
{
    uint64_t key, n;
    if (read_varint(r, &key, e)) return e->code;
    *f = (struct proto_field){.number = key >> 3, .wire = (unsigned)(key & 7)};
    if (!f->number) return broken(r, e, "a field of number 0: not a SentencePiece model");
    if (f->wire == WIRE_VARINT) return read_varint(r, &f->value, e);
    if (f->wire == WIRE_EIGHT || f->wire == WIRE_FOUR)
        return read_fixed(r, f->wire == WIRE_EIGHT ? 8 : 4, &f->value, e);
    if (f->wire != WIRE_BYTES) return broken(r, e, "a field of no known type: not a SentencePiece model");
    if (read_varint(r, &n, e)) return e->code;
    if (n > (uint64_t)(r->end - r->at))
        return broken(r, e, "a field is longer than what is left: not a SentencePiece model");
    f->inner = (struct reading){r->base, r->at, r->at + n};
    r->at += n;
    return 0;
}

struct model {
    uint64_t type, unknown, bos, eos;
    bool byte_fallback, suffix, dummy_prefix, joins_spaces, escapes;
    struct reading charsmap;
    size_t pieces;
};

static int read_trainer(struct model *m, struct reading r, struct error *e)
{
    struct proto_field f;
    while (r.at < r.end) {
        if (read_field(&r, &f, e)) return e->code;
        if (f.wire != WIRE_VARINT) continue;
        if (f.number == 3) m->type = f.value;
        if (f.number == 24) m->suffix = f.value;
        if (f.number == 35) m->byte_fallback = f.value;
        if (f.number == 40) m->unknown = f.value;
        if (f.number == 41) m->bos = f.value;
        if (f.number == 42) m->eos = f.value;
    }
    return 0;
}

static int read_normalizer(struct model *m, struct reading r, struct error *e)
{
    struct proto_field f;
    while (r.at < r.end) {
        if (read_field(&r, &f, e)) return e->code;
        if (f.number == 2 && f.wire == WIRE_BYTES) m->charsmap = f.inner;
        if (f.wire != WIRE_VARINT) continue;
        if (f.number == 3) m->dummy_prefix = f.value;
        if (f.number == 4) m->joins_spaces = f.value;
        if (f.number == 5) m->escapes = f.value;
    }
    return 0;
}

static int read_model(struct model *m, struct reading r, struct error *e)
{
    struct proto_field f;
    *m = (struct model){.type = 1, .bos = 1, .eos = 2, .dummy_prefix = true, .joins_spaces = true, .escapes = true};
    while (r.at < r.end) {
        if (read_field(&r, &f, e)) return e->code;
        if (f.wire != WIRE_BYTES) continue;
        m->pieces += f.number == 1;
        if ((f.number == 2 && read_trainer(m, f.inner, e)) || (f.number == 3 && read_normalizer(m, f.inner, e)))
            return e->code;
    }
    if (!m->pieces) return error_set(e, ERROR_INPUT, "pieces: there are none: not a SentencePiece model");
    if (m->type != 1 && m->type != 2)
        return error_set(e, ERROR_INPUT, "trainer_spec.model_type: %llu is not supported; 1 (unigram) and 2 (bpe) are",
                         (unsigned long long)m->type);
    if (m->suffix) return error_set(e, ERROR_INPUT, "trainer_spec.treat_whitespace_as_suffix: true is not supported");
    if (!m->escapes) return error_set(e, ERROR_INPUT, "normalizer_spec.escape_whitespaces: false is not supported");
    return 0;
}

static int read_piece(struct vocabulary *v, struct reading r, struct error *e)
{
    struct proto_field f;
    struct reading text = {r.base, r.at, r.at};
    uint64_t type = TOKEN_NORMAL;
    float score = 0;
    while (r.at < r.end) {
        if (read_field(&r, &f, e)) return e->code;
        if (f.number == 1 && f.wire == WIRE_BYTES) text = f.inner;
        if (f.number == 3 && f.wire == WIRE_VARINT) type = f.value;
        const uint32_t bits = (uint32_t)f.value;
        if (f.number == 2 && f.wire == WIRE_FOUR) memcpy(&score, &bits, sizeof score);
    }
    if (type < TOKEN_NORMAL || type > TOKEN_BYTE)
        return error_set(e, ERROR_INPUT, "pieces[%zu].type: %llu is not one of 1 to 6", v->size,
                         (unsigned long long)type);
    if (!isfinite(score)) return error_set(e, ERROR_INPUT, "pieces[%zu].score: a score must be finite", v->size);
    v->scores[v->size] = score;
    vocabulary_add(v, (const char *)text.at, (size_t)(text.end - text.at), (enum token_type)type);
    return 0;
}

/* -1, as 64 bits, is how writers say that there is none. */
static int take_id(const struct vocabulary *v, const char *name, uint64_t value, int32_t *id, struct error *e)
{
    if (value > INT64_MAX) return 0;
    if (value >= v->size)
        return error_set(e, ERROR_INPUT, "trainer_spec.%s: %llu is out of range; ids are 0 to %zu", name,
                         (unsigned long long)value, v->size - 1);
    *id = (int32_t)value;
    return 0;
}

static int take_normalizer(struct vocabulary *v, const struct model *m, struct error *e)
{
    const size_t n = (size_t)(m->charsmap.end - m->charsmap.at);
    if (!n && !m->joins_spaces) return 0;
    if (normalizer_open(&v->normalizer, e)) return e->code;
    if (n && normalizer_add(v->normalizer, NORMAL_CHARSMAP, 0, (const char *)m->charsmap.at, n, "", 0, e))
        return error_prefix(e, "normalizer_spec.precompiled_charsmap");
    return m->joins_spaces ? normalizer_add(v->normalizer, NORMAL_SPACES, 0, "", 0, "", 0, e) : 0;
}

static int read_pieces(struct vocabulary *v, const struct model *m, struct reading r, struct error *e)
{
    struct proto_field f;
    const bool unigram = m->type == 1;
    if (vocabulary_open(v, unigram ? &unigram_kind : &sentencepiece_kind, m->pieces, e)) return e->code;
    while (r.at < r.end) {
        if (read_field(&r, &f, e)) return e->code;
        if (f.number == 1 && f.wire == WIRE_BYTES && read_piece(v, f.inner, e)) return e->code;
    }
    v->marks = unigram;
    v->byte_fallback = unigram && m->byte_fallback;
    v->adds_space = m->dummy_prefix;
    v->adds_bos = !unigram;
    if (take_id(v, "unk_id", m->unknown, &v->unknown, e) || take_id(v, "bos_id", m->bos, &v->bos, e) ||
        take_id(v, "eos_id", m->eos, &v->eos, e) || take_normalizer(v, m, e))
        return e->code;
    v->adds_bos = v->adds_bos && v->bos >= 0;
    return vocabulary_index(v, e);
}

int vocabulary_from_proto(struct vocabulary *v, const uint8_t *data, size_t n, struct error *e)
{
    struct model m;
    const struct reading r = {data, data, data + n};
    *v = (struct vocabulary){0};
    if (n > TOKENIZER_BYTES_MAX)
        return error_set(e, ERROR_INPUT, "has %zu bytes, more than the %d of the largest SentencePiece model", n,
                         (int)TOKENIZER_BYTES_MAX);
    if (read_model(&m, r, e)) return e->code;
    if (read_pieces(v, &m, r, e)) {
        vocabulary_close(v);
        return e->code;
    }
    return 0;
}
