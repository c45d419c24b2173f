/* A text word by word, for the kinds whose texts are cut before they see them.
 *
 *     struct words w;
 *     if (words_open(&w, v, e)) return e->code;
 *     struct word_encoder encoder = {.state = state, .encode = encode_word};
 *     status = words_encode(&w, &encoder, text, n, space, out, e);
 *     merge_work_free(&encoder.work);
 *     words_close(&w);
 *
 * Words come as the vocabulary's pre-split leaves them; where it marks spaces (Metaspace), with U+2581 for each and, as
 * it says, one before. */
#ifndef KERF_ENGINE_TOKENIZERS_WORDS_H
#define KERF_ENGINE_TOKENIZERS_WORDS_H

#include "engine/tokenizers/merge.h"
#include "engine/tokenizers/split.h"
#include "engine/tokenizers/tokenizer_kinds.h"

struct words {
    const struct vocabulary *vocabulary;
    struct split *split;
    const bool
        *joins; /* [256], last bytes of what merges with a U+2581 behind it, after others of which words may be cut
                        * before one; NULL: they may not */
};

int words_open(struct words *w, const struct vocabulary *v, struct error *e);
void words_close(struct words *w);
int words_encode(const struct words *w, struct word_encoder *encoder, const char *text, size_t n, bool space,
                 struct ids *out, struct error *e);

/* Decoding where U+2581 stands for a space: control and unknown tokens are nothing, byte pieces their byte. */
void marked_decode(const struct vocabulary *v, const int32_t *ids, size_t n, unsigned flags, struct text *out);

#endif
