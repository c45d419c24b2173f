#include "suites/reference.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "suites/protocol.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, HEADER = 40, ROW = 16, DIGITS = HASH_HEX - 1, ABOUT_MOST = 1 << 24 };
static const char magic[] = "KERFREF\n";
_Static_assert(sizeof magic == 9 && sizeof(float) == 4, "the layout is what the header says");

static int64_t row_bytes(int64_t k) { return ROW + 8 * k; }

/* --- writing --- */

static void put(struct reference_output *o, const void *data, size_t n)
{
    hash_update(&o->hash, data, n);
    fwrite(data, 1, n, o->out.stream); /* a failure stays with the stream: output_commit() */
}

static void put_integer(struct reference_output *o, uint64_t v, size_t bytes)
{
    uint8_t b[8];
    for (size_t i = 0; i < bytes; i++) b[i] = (uint8_t)(v >> 8 * i);
    put(o, b, bytes);
}

static void put_float(struct reference_output *o, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_integer(o, bits, 4);
}

int reference_create(struct reference_output *o, const char *path, int64_t k, int64_t vocab, int64_t tokens,
                     size_t windows, const json_t *about, struct error *e)
{
    *o = (struct reference_output){.k = k < vocab ? k : vocab};
    char *text = json_dump_text(about, JSON_COMPACT, NULL);
    if (!text) return error_set(e, ERROR_IO, "%s: out of memory for a description", path);
    int status = output_open(&o->out, path, e);
    if (!status) {
        const size_t n = strlen(text);
        hash_init(&o->hash);
        put(o, magic, sizeof magic - 1);
        put_integer(o, VERSION, 4);
        put_integer(o, (uint64_t)o->k, 4);
        put_integer(o, (uint64_t)vocab, 4);
        put_integer(o, n, 4);
        put_integer(o, (uint64_t)tokens, 8);
        put_integer(o, windows, 8);
        put(o, text, n);
    }
    free(text);
    return status;
}

void reference_add(struct reference_output *o, const struct summary *s, double loglikelihood)
{
    uint64_t bits;
    memcpy(&bits, &loglikelihood, sizeof bits);
    put_integer(o, bits, 8);
    put_float(o, s->rest);
    put_integer(o, (uint64_t)s->top, 4);
    for (int64_t i = 0; i < s->k; i++) put_integer(o, (uint64_t)s->ids[i], 4);
    for (int64_t i = 0; i < s->k; i++) put_float(o, s->logs[i]);
}

int reference_commit(struct reference_output *o, struct error *e)
{
    char hex[HASH_HEX];
    hash_finish(&o->hash, hex);
    fwrite(hex, 1, DIGITS, o->out.stream);
    return output_commit(&o->out, e);
}

void reference_abandon(struct reference_output *o) { output_abandon(&o->out); }

/* --- reading --- */

static uint64_t get_integer(const uint8_t *at, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = bytes; i-- > 0;) v = v << 8 | at[i];
    return v;
}

static float get_float(const uint8_t *at)
{
    const uint32_t bits = (uint32_t)get_integer(at, 4);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static int wrong(const struct reference *r, size_t offset, const char *field, struct error *e, const char *words)
{
    return error_set(e, ERROR_INPUT, "%s: offset 0x%zx: %s: %s", r->file.path, offset, field, words);
}

/* Every count is checked against the bytes that are there before it is believed. */
static int read_header(struct reference *r, struct error *e)
{
    const uint8_t *at = r->file.data;
    const size_t size = r->file.size;
    if (size < HEADER + DIGITS || memcmp(at, magic, sizeof magic - 1))
        return wrong(r, 0, "magic", e, "is no reference file; kerf perplexity --save-reference writes one");
    if (get_integer(at + 8, 4) != VERSION)
        return error_set(e, ERROR_INPUT, "%s: offset 0x8: version: %u is not %d, the one that this kerf reads",
                         r->file.path, (unsigned)get_integer(at + 8, 4), VERSION);
    const uint64_t k = get_integer(at + 12, 4), vocab = get_integer(at + 16, 4), n = get_integer(at + 20, 4);
    const uint64_t tokens = get_integer(at + 24, 8), windows = get_integer(at + 32, 8);
    const uint64_t left = size - HEADER - DIGITS;
    if (!vocab || vocab > INT32_MAX) return wrong(r, 16, "vocab", e, "is no number of tokens");
    if (!k || k > vocab) return wrong(r, 12, "k", e, "is not between 1 and vocab");
    if (n > left || n > ABOUT_MOST) return wrong(r, 20, "description", e, "does not fit in the file");
    if (!tokens || tokens > (left - n) / (uint64_t)row_bytes((int64_t)k) ||
        tokens * (uint64_t)row_bytes((int64_t)k) != left - n)
        return error_set(e, ERROR_INPUT,
                         "%s: offset 0x18: tokens: %llu rows of %lld bytes are not the %llu bytes that are there: "
                         "the file is cut off or not whole; write it again",
                         r->file.path, (unsigned long long)tokens, (long long)row_bytes((int64_t)k),
                         (unsigned long long)(left - n));
    if (!windows || windows > tokens) return wrong(r, 32, "windows", e, "is not between 1 and tokens");
    r->k = (int64_t)k;
    r->vocab = (int64_t)vocab;
    r->tokens = (int64_t)tokens;
    r->windows = (size_t)windows;
    r->rows = at + HEADER + n;
    return 0;
}

static int check_sum(struct reference *r, struct error *e)
{
    enum { PIECE = 1 << 22 };
    const size_t n = r->file.size - DIGITS;
    char hex[HASH_HEX];
    struct hash hash;
    hash_init(&hash);
    for (size_t at = 0; at < n; at += PIECE) {
        const size_t here = n - at < PIECE ? n - at : PIECE;
        hash_update(&hash, r->file.data + at, here);
        file_forget(r->file.data + at, here);
    }
    hash_finish(&hash, hex);
    if (memcmp(hex, r->file.data + n, DIGITS) == 0) return 0;
    return wrong(r, n, "checksum", e, "is not that of the file's bytes: it was changed or damaged; write it again");
}

static int read_about(struct reference *r, struct error *e)
{
    const size_t n = (size_t)(r->rows - (r->file.data + HEADER));
    r->about = json_read_bytes((const char *)r->file.data + HEADER, n, r->file.path, e);
    if (!r->about) return (int)e->code;
    const json_t *subject = json_object_get(r->about, "subject");
    if (!json_is_object(subject) || !json_is_string(json_object_get(subject, "name")) ||
        !json_is_string(json_object_get(subject, "tokenizer_sha256")) ||
        !json_is_string(json_object_get(r->about, "fingerprint")) ||
        !json_is_object(json_object_get(r->about, "protocol")))
        return wrong(r, HEADER, "description", e, "lacks its subject, fingerprint or protocol");
    return 0;
}

int reference_open(struct reference *r, const char *path, struct error *e)
{
    *r = (struct reference){0};
    int status = file_map(&r->file, path, e);
    if (!status) status = read_header(r, e);
    if (!status) status = check_sum(r, e);
    if (!status) status = read_about(r, e);
    if (status) reference_close(r);
    return status;
}

void reference_close(struct reference *r)
{
    file_unmap(&r->file);
    json_decref(r->about);
    *r = (struct reference){0};
}

static bool is_log(double v) { return v <= 1e-3; } /* of a chance, rounded; no NAN */

int reference_row(const struct reference *r, int64_t i, struct summary *s, double *loglikelihood, struct error *e)
{
    const uint8_t *row = r->rows + i * row_bytes(r->k);
    const size_t offset = (size_t)(row - r->file.data);
    const uint64_t bits = get_integer(row, 8);
    memcpy(loglikelihood, &bits, sizeof bits);
    s->k = r->k;
    s->rest = get_float(row + 8);
    s->top = (int64_t)get_integer(row + 12, 4);
    bool whole = is_log(*loglikelihood) && isfinite(*loglikelihood) && is_log((double)s->rest), kept = false;
    for (int64_t k = 0; k < r->k; k++) {
        const uint64_t id = get_integer(row + ROW + 4 * k, 4);
        whole = whole && id < (uint64_t)r->vocab && (!k || (int64_t)id > s->ids[k - 1]);
        s->ids[k] = (int32_t)id;
        s->logs[k] = get_float(row + ROW + 4 * (r->k + k));
        whole = whole && is_log((double)s->logs[k]);
        kept = kept || (int64_t)id == s->top;
    }
    if (i % 4096 == 4095) file_forget(row - 4095 * row_bytes(r->k), (size_t)(4096 * row_bytes(r->k)));
    if (whole && kept) return 0;
    return wrong(r, offset, "row", e,
                 "is no prediction: tokens ascend and are of the vocabulary, chances are at most 1");
}

int reference_check(const struct reference *r, const char *tokenizer_hash, int64_t vocab, const json_t *protocol,
                    struct error *e)
{
    const char *theirs = json_string_value(json_object_get(json_object_get(r->about, "subject"), "tokenizer_sha256"));
    if (!theirs || strcmp(theirs, tokenizer_hash))
        return error_set(e, ERROR_INPUT,
                         "%s: tokenizer_sha256: the reference was made with another tokenizer than the subjects have",
                         r->file.path);
    if (r->vocab != vocab)
        return error_set(e, ERROR_INPUT, "%s: vocab: the reference predicts %lld tokens, the subjects %lld",
                         r->file.path, (long long)r->vocab, (long long)vocab);
    const json_t *base = json_object_get(r->about, "protocol");
    struct text why = {0};
    const bool same = protocols_match(protocol, base, NULL, &why);
    if (!same) error_set(e, ERROR_INPUT, "%s: its protocol is another: %s", r->file.path, text_c(&why));
    text_free(&why);
    return same ? 0 : ERROR_INPUT;
}
