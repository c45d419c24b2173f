#include "engine/tokenizers/tokenizer_kinds.h"

const struct tokenizer_kind *const tokenizer_kinds[] = {
    &bpe_kind,
    &sentencepiece_kind,
    &wordpiece_kind,
    &unigram_kind,
};
const size_t tokenizer_kind_count = sizeof tokenizer_kinds / sizeof *tokenizer_kinds;
