#include "engine/tokenizers/tokenizer.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tokenizer {
    struct vocabulary vocabulary;
    struct specials specials, normalized; /* looked for in the text, in the normalized text */
    void *state;                          /* the kind's */
    char hash[HASH_HEX];
    char warning[256];
    int64_t limit; /* of ids; 0: none */
};

int ids_add(struct ids *ids, int32_t id, struct error *e)
{
    if (memory_reserve((void **)&ids->at, &ids->capacity, ids->count + 1, sizeof *ids->at, "token ids", e))
        return e->code;
    ids->at[ids->count++] = id;
    return 0;
}

void ids_free(struct ids *ids)
{
    free(ids->at);
    *ids = (struct ids){0};
}

static void warn_of_repeats(struct tokenizer *t)
{
    const struct vocabulary *v = &t->vocabulary;
    if (!v->repeats) return;
    const struct gguf_string piece = vocabulary_piece(v, v->repeated);
    char more[64] = "";
    int64_t last = 0;
    table_find(&v->ids, piece.bytes, piece.length, &last);
    if (v->repeats > 1) snprintf(more, sizeof more, ", and %zu more are", v->repeats - 1);
    snprintf(t->warning, sizeof t->warning, "tokens: \"%.*s\" is there twice, as %d and as %d%s: text becomes the %s",
             shown(piece), piece.bytes, v->repeated, (int)last, more,
             token_is_special((enum token_type)v->types[v->repeated]) ? "first" : "last");
}

/* Takes the vocabulary over, also on failure. */
static int finish(struct tokenizer **out, struct vocabulary *v, struct error *e)
{
    struct tokenizer *t = memory_new(1, sizeof *t, "a tokenizer", e);
    if (!t) {
        vocabulary_close(v);
        return e->code;
    }
    t->vocabulary = *v;
    if (vocabulary_check(&t->vocabulary, e) || specials_open(&t->specials, &t->vocabulary, false, e) ||
        specials_open(&t->normalized, &t->vocabulary, true, e) || vocabulary_hash(&t->vocabulary, t->hash, e) ||
        v->kind->open(&t->state, &t->vocabulary, e)) {
        tokenizer_close(t);
        return e->code;
    }
    warn_of_repeats(t);
    *out = t;
    return 0;
}

int tokenizer_open_gguf(struct tokenizer **out, const struct gguf *g, struct error *e)
{
    struct vocabulary v;
    if (vocabulary_from_gguf(&v, g, e) || finish(out, &v, e)) return error_prefix(e, "%s", gguf_path(g));
    return 0;
}

static int open_gguf_file(struct tokenizer **out, const char *path, struct error *e)
{
    struct gguf *g;
    if (gguf_open(&g, path, e)) return e->code;
    const int status = tokenizer_open_gguf(out, g, e);
    gguf_close(g);
    return status;
}

typedef int configure(struct vocabulary *v, const json_t *root, struct error *e);

/* Takes what the file NAME beside `path` says, where there is one. */
static int read_beside(struct vocabulary *v, const char *path, const char *name, configure *take, struct error *e)
{
    struct text beside = {0};
    text_bytes(&beside, path, (size_t)(path_name(path) - path));
    text_add(&beside, name);
    int status = beside.failed ? error_set(e, ERROR_IO, "out of memory for a path") : 0;
    if (!status && path_exists(beside.bytes)) {
        json_t *config = json_read_file(beside.bytes, e);
        status = config ? take(v, config, e) : (int)e->code;
        if (config && status) error_prefix(e, "%s", beside.bytes);
        json_decref(config);
    }
    text_free(&beside);
    return status;
}

/* Takes over what configures the vocabulary in files beside `path`, then the vocabulary. */
static int finish_beside(struct tokenizer **out, struct vocabulary *v, const char *path, struct error *e)
{
    if (read_beside(v, path, "added_tokens.json", vocabulary_configure_added, e) ||
        read_beside(v, path, "tokenizer_config.json", vocabulary_configure, e) ||
        read_beside(v, path, "special_tokens_map.json", vocabulary_configure_specials, e) ||
        read_beside(v, path, "config.json", vocabulary_configure_model, e)) {
        vocabulary_close(v);
        return e->code;
    }
    return finish(out, v, e) ? error_prefix(e, "%s", path) : 0;
}

static int open_json_file(struct tokenizer **out, const char *path, struct error *e)
{
    struct vocabulary v;
    json_t *root = json_read_file(path, e);
    if (!root) return e->code;
    const int status = vocabulary_from_json(&v, root, e);
    json_decref(root);
    return status ? error_prefix(e, "%s", path) : finish_beside(out, &v, path, e);
}

static int open_proto(struct tokenizer **out, const char *path, struct error *e)
{
    struct vocabulary v;
    struct file f;
    if (file_map(&f, path, e)) return e->code;
    const int status = vocabulary_from_proto(&v, f.data, f.size, e);
    file_unmap(&f);
    return status ? error_prefix(e, "%s", path) : finish_beside(out, &v, path, e);
}

static int open_pair(struct tokenizer **out, const char *vocab_path, const char *merges_path, struct error *e)
{
    struct vocabulary v;
    struct file merges;
    json_t *vocab = json_read_file(vocab_path, e);
    if (!vocab) return e->code;
    int status = file_map(&merges, merges_path, e);
    if (!status) {
        status = vocabulary_from_pair(&v, vocab, (const char *)merges.data, merges.size, e);
        file_unmap(&merges);
        const bool of_merges = status && strncmp(e->text, "model: merges", strlen("model: merges")) == 0;
        if (status) error_prefix(e, "%s", of_merges ? merges_path : vocab_path);
    }
    json_decref(vocab);
    return status ? status : finish_beside(out, &v, vocab_path, e);
}

/* The files of a folder, the first that is there. */
static int open_folder(struct tokenizer **out, const char *folder, struct error *e)
{
    enum { JSON, PROTO, VOCAB, MERGES, FILES };
    static const char *const names[FILES] = {"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt"};
    char *paths[FILES] = {NULL};
    bool there[FILES] = {false};
    int status = 0;
    for (size_t i = 0; i < FILES && !status; i++) {
        paths[i] = path_join(folder, names[i], e);
        status = paths[i] ? 0 : (int)e->code;
        there[i] = !status && path_exists(paths[i]);
    }
    if (!status && there[JSON])
        status = open_json_file(out, paths[JSON], e);
    else if (!status && there[PROTO])
        status = open_proto(out, paths[PROTO], e);
    else if (!status && there[VOCAB] && there[MERGES])
        status = open_pair(out, paths[VOCAB], paths[MERGES], e);
    else if (!status)
        status = error_set(
            e, ERROR_INPUT,
            "%s: the folder holds no tokenizer.json, no tokenizer.model, and no vocab.json with merges.txt", folder);
    for (size_t i = 0; i < FILES; i++) free(paths[i]);
    return status;
}

/* A file is known by its first bytes: JSON begins with a brace, or after white space; a SentencePiece model with the
 * key of its first piece, which is a line end to JSON, and then with the length of that piece. */
static bool looks_like_proto(const struct file *f)
{
    return f->size > 4 && f->data[0] == 0x0A && f->data[2] == 0x0A && f->data[1] < f->size && f->data[3] < f->data[1];
}

int tokenizer_open(struct tokenizer **out, const char *path, struct error *e)
{
    if (path_is_folder(path)) return open_folder(out, path, e);
    struct file f;
    if (file_map(&f, path, e)) return e->code;
    const bool is_gguf = f.size >= 4 && memcmp(f.data, "GGUF", 4) == 0, is_proto = looks_like_proto(&f);
    file_unmap(&f);
    if (is_proto) return open_proto(out, path, e);
    return is_gguf ? open_gguf_file(out, path, e) : open_json_file(out, path, e);
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t) return;
    t->vocabulary.kind->close(t->state);
    specials_close(&t->specials);
    specials_close(&t->normalized);
    vocabulary_close(&t->vocabulary);
    free(t);
}

/* What a text is encoded with: which special tokens, and where a space prefix belongs. */
struct encoding {
    const struct tokenizer *t;
    bool plain, space;
    struct ids *out;
};

typedef int encode_part(struct encoding *c, const char *text, size_t n, struct error *e);

/* Adds the special tokens of a text, and what is between them by `part`. */
static int encode_around(struct encoding *c, const struct specials *specials, encode_part *part, const char *text,
                         size_t n, struct error *e)
{
    for (size_t at = 0; at < n;) {
        const struct special_match m = specials_next(specials, text, n, at, c->plain);
        if (m.begin > at) {
            if (part(c, text + at, m.begin - at, e)) return e->code;
            c->space = false;
        }
        if (m.special && ids_add(c->out, m.special->id, e)) return e->code;
        if (m.special) c->space = !c->t->vocabulary.adds_space_once;
        at = m.end;
    }
    return 0;
}

static int encode_normalized(struct encoding *c, const char *text, size_t n, struct error *e)
{
    return c->t->vocabulary.kind->encode(c->t->state, text, n, c->space, c->out, e);
}

static int encode_raw(struct encoding *c, const char *text, size_t n, struct error *e)
{
    const struct normalizer *normalizer = c->t->vocabulary.normalizer;
    struct text clean = {0};
    if (!normalizer) return encode_around(c, &c->t->normalized, encode_normalized, text, n, e);
    int status = normalizer_apply(normalizer, text, n, c->space, &clean, e);
    if (!status && clean.length)
        status = encode_around(c, &c->t->normalized, encode_normalized, clean.bytes, clean.length, e);
    text_free(&clean);
    return status;
}

void tokenizer_limit(struct tokenizer *t, int64_t rows) { t->limit = rows; }

static int check_limit(const struct tokenizer *t, const struct ids *ids, size_t from, struct error *e)
{
    for (size_t i = from; t->limit && i < ids->count; i++) {
        if (ids->at[i] < t->limit) continue;
        const struct gguf_string piece = tokenizer_piece(t, ids->at[i]);
        return error_set(e, ERROR_INPUT, "the text has the token \"%.*s\" (%d), for which the model has no embedding",
                         (int)(piece.length < 40 ? piece.length : 40), piece.bytes, ids->at[i]);
    }
    return 0;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, unsigned flags, struct ids *out,
                     struct error *e)
{
    struct encoding c = {t, flags & TOKENIZER_PLAIN, !(flags & TOKENIZER_CONTINUES), out};
    const size_t before = out->count;
    const int status = encode_around(&c, &t->specials, encode_raw, text, n, e);
    return status ? status : check_limit(t, out, before, e);
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, unsigned flags, struct text *out,
                     struct error *e)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= t->vocabulary.size)
            return error_set(e, ERROR_INPUT, "ids[%zu]: %d is out of range; ids are 0 to %zu", i, ids[i],
                             t->vocabulary.size - 1);
    t->vocabulary.kind->decode(&t->vocabulary, ids, n, flags, out);
    return out->failed ? error_set(e, ERROR_IO, "out of memory for decoded text") : 0;
}

const char *tokenizer_kind_name(const struct tokenizer *t) { return t->vocabulary.kind->name; }
size_t tokenizer_size(const struct tokenizer *t) { return t->vocabulary.size; }
struct gguf_string tokenizer_piece(const struct tokenizer *t, int32_t id)
{
    return vocabulary_piece(&t->vocabulary, id);
}
enum token_type tokenizer_type(const struct tokenizer *t, int32_t id)
{
    return (enum token_type)t->vocabulary.types[id];
}
int32_t tokenizer_bos(const struct tokenizer *t) { return t->vocabulary.bos; }
int32_t tokenizer_eos(const struct tokenizer *t) { return t->vocabulary.eos; }
bool tokenizer_adds_bos(const struct tokenizer *t) { return t->vocabulary.adds_bos; }
const char *tokenizer_warning(const struct tokenizer *t) { return t->warning; }
const char *tokenizer_hash(const struct tokenizer *t) { return t->hash; }

bool tokenizer_pieces_agree(const struct tokenizer *a, const struct tokenizer *b)
{
    const struct vocabulary *x = &a->vocabulary, *y = &b->vocabulary;
    return x->size == y->size && x->bytes.length == y->bytes.length &&
           memcmp(x->starts, y->starts, (x->size + 1) * sizeof *x->starts) == 0 &&
           memcmp(x->bytes.bytes, y->bytes.bytes, x->bytes.length) == 0;
}

int tokenizer_check_gguf(const struct tokenizer *t, struct error *e)
{
    return vocabulary_check_gguf(&t->vocabulary, e);
}

void tokenizer_write_gguf(const struct tokenizer *t, size_t rows, struct gguf_writer *w)
{
    vocabulary_write_gguf(&t->vocabulary, rows, w);
}

int32_t tokenizer_opening(const struct tokenizer *t)
{
    return tokenizer_bos(t) >= 0 ? tokenizer_bos(t) : tokenizer_eos(t);
}

int tokenizer_encode_prompt(const struct tokenizer *t, const char *text, size_t n, struct ids *out, struct error *e)
{
    const size_t before = out->count;
    int status = tokenizer_adds_bos(t) ? ids_add(out, tokenizer_bos(t), e) : 0;
    if (!status) status = tokenizer_encode(t, text, n, 0, out, e);
    if (status || out->count > before) return status;
    if (tokenizer_opening(t) < 0)
        return error_set(e, ERROR_INPUT, "an empty prompt needs a BOS or EOS token, and the tokenizer has none");
    return ids_add(out, tokenizer_opening(t), e);
}
