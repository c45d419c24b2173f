/* The fields of SentencePiece's tokenizer.model (sentencepiece_model.proto), to make one by hand. */
#ifndef KERF_TESTS_TOKENIZERS_MODEL_FILE_H
#define KERF_TESTS_TOKENIZERS_MODEL_FILE_H

#include "tests/tokenizers/small.h"

static inline void put_varint(struct text *t, uint64_t n)
{
    for (; n > 127; n >>= 7) text_char(t, (char)(n | 128));
    text_char(t, (char)n);
}

static inline void put_field(struct text *t, unsigned number, const void *data, size_t n)
{
    put_varint(t, number << 3 | 2);
    put_varint(t, n);
    text_bytes(t, data, n);
}

static inline void put_value(struct text *t, unsigned number, uint64_t value)
{
    put_varint(t, number << 3);
    put_varint(t, value);
}

static inline void put_piece(struct text *t, const char *text, float score, uint64_t type)
{
    struct text piece = {0};
    put_field(&piece, 1, text, strlen(text));
    text_char(&piece, 2 << 3 | 5);
    text_bytes(&piece, &score, 4);
    put_value(&piece, 3, type);
    put_field(t, 1, text_c(&piece), piece.length);
    text_free(&piece);
}

/* <unk>, <s>, </s> and the 256 bytes, as most models have them first. */
static inline void put_first_pieces(struct text *t)
{
    char spelled[8];
    put_piece(t, "<unk>", 0, TOKEN_UNKNOWN);
    put_piece(t, "<s>", 0, TOKEN_CONTROL);
    put_piece(t, "</s>", 0, TOKEN_CONTROL);
    for (unsigned byte = 0; byte < 256; byte++) {
        snprintf(spelled, sizeof spelled, "<0x%02X>", byte);
        put_piece(t, spelled, 0, TOKEN_BYTE);
    }
}

#endif
