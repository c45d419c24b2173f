#include "engine/base/json.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include "tests/fuzz/targets.h"

#include <string.h>

enum { ADDED = 1, CONFIG = 2, SPECIALS = 4, MODEL = 8, OTHER_KIND = 16 };

/* Of both the pieces are <unk>, <s>, a, b, ab and a spelled-out gap. */
static const char *const bases[] = {
    "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"<unk>\": 0, \"<s>\": 1, \"a\": 2, \"b\": 3, \"ab\": 4, \"c\": 6}, "
    "\"merges\": [\"a b\"], \"unk_token\": \"<unk>\"}, \"pre_tokenizer\": {\"type\": \"Whitespace\"}, "
    "\"added_tokens\": [{\"id\": 1, \"content\": \"<s>\", \"special\": true}]}",
    "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"<unk>\", 0], [\"<s>\", 0], [\"a\", -1], "
    "[\"b\", -2], [\"ab\", -3]]}, \"normalizer\": {\"type\": \"Lowercase\"}}"};

static int configure(struct vocabulary *v, unsigned files, const json_t *root, struct error *e)
{
    if (files & ADDED && vocabulary_configure_added(v, root, e)) return e->code;
    if (files & CONFIG && vocabulary_configure(v, root, e)) return e->code;
    if (files & SPECIALS && vocabulary_configure_specials(v, root, e)) return e->code;
    if (files & MODEL && vocabulary_configure_model(v, root, e)) return e->code;
    return vocabulary_check(v, e);
}

/* What is made of texts by a vocabulary that could be configured. */
static void use(const struct vocabulary *v)
{
    static const char words[] = "ab <s> abc<x> ba";
    struct error e = {0};
    void *state = NULL;
    struct specials all[2] = {{0}};
    int status = v->kind->open(&state, v, &e);
    for (int normalized = 0; normalized < 2 && !status; normalized++)
        status = specials_open(all + normalized, v, normalized, &e);
    fuzz_check(status, &e, NULL);
    for (size_t at = 0; !status && at < sizeof words - 1;) {
        const struct special_match m = specials_next(all, words, sizeof words - 1, at, false);
        struct ids ids = {0};
        struct text out = {0};
        if (m.begin > at) fuzz_check(v->kind->encode(state, words + at, m.begin - at, false, &ids, &e), &e, NULL);
        if (m.special) fuzz_demand(!ids_add(&ids, m.special->id, &e), "memory");
        for (size_t i = 0; i < ids.count; i++)
            fuzz_demand(ids.at[i] >= 0 && (size_t)ids.at[i] < v->size, "ids are those of tokens");
        v->kind->decode(v, ids.at, ids.count, 0, &out);
        text_free(&out);
        ids_free(&ids);
        at = m.end;
    }
    for (int i = 0; i < 2; i++) specials_close(all + i);
    v->kind->close(state);
}

void fuzz_beside(const uint8_t *data, size_t size)
{
    if (!size) return;
    struct error e = {0};
    struct vocabulary v;
    json_t *base = json_read_line(bases[!!(data[0] & OTHER_KIND)], strlen(bases[!!(data[0] & OTHER_KIND)]), &e);
    fuzz_demand(base && !vocabulary_from_json(&v, base, &e), "the vocabulary is a good one");
    json_decref(base);
    json_t *root = json_read_line((const char *)data + 1, size - 1, &e);
    int status = root ? configure(&v, data[0], root, &e) : (int)e.code;
    json_decref(root); /* nothing of it may be kept */
    fuzz_check(status, &e, NULL);
    if (!status) use(&v);
    vocabulary_close(&v);
}
