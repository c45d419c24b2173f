/* GPT-2's own two files: vocab.json, pieces and their ids, and merges.txt, a merge a line. Their pre-split is GPT-2's. */
#include "engine/base/memory.h"
#include "engine/tokenizers/json_fields.h"
#include <string.h>

static json_t *lines_of(const char *text, size_t n)
{
    json_t *merges = json_array();
    for (size_t at = 0, length; at < n; at += length + 1) {
        const char *end = memchr(text + at, '\n', n - at);
        length = end ? (size_t)(end - text) - at : n - at;
        size_t words = length;
        if (words && text[at + words - 1] == '\r') words--;
        if (!words || (at == 0 && words > 8 && memcmp(text, "#version", 8) == 0)) continue;
        json_t *line = json_stringn(text + at, words);
        if (!line || json_array_append_new(merges, line)) {
            json_decref(merges);
            return NULL;
        }
    }
    return merges;
}

int vocabulary_from_pair(struct vocabulary *v, const json_t *vocab, const char *merges, size_t n, struct error *e)
{
    *v = (struct vocabulary){0};
    size_t many = 0;
    for (size_t i = 0; i < n && n <= TOKENIZER_BYTES_MAX; i++) many += merges[i] == '\n';
    if (n > TOKENIZER_BYTES_MAX || many > PIECES_MAX)
        return error_set(e, ERROR_INPUT, "model: merges: has more than %d bytes or %d lines", (int)TOKENIZER_BYTES_MAX,
                         (int)PIECES_MAX);
    json_t *lines = lines_of(merges, n);
    if (!lines && !text_check("", 1, merges, n, NULL)) return error_set(e, ERROR_IO, "out of memory for merges");
    if (!lines) return error_set(e, ERROR_INPUT, "merges: a line is not UTF-8");
    json_t *pre = json_pack("{s:s, s:b}", "type", "ByteLevel", "add_prefix_space", 0);
    json_t *model = json_pack("{s:s, s:O, s:o}", "type", "BPE", "vocab", vocab, "merges", lines);
    json_t *root = json_pack("{s:o, s:o}", "model", model, "pre_tokenizer", pre);
    const int status =
        root ? vocabulary_from_json(v, root, e) : error_set(e, ERROR_IO, "out of memory for a tokenizer");
    json_decref(root);
    if (status) return status;
    static const char end[] = "<|endoftext|>";
    int64_t id;
    if (table_find(&v->ids, end, sizeof end - 1, &id)) {
        v->bos = v->eos = (int32_t)id;
        v->types[id] = TOKEN_CONTROL;
    }
    return 0;
}
