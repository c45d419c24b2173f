#include "engine/tokenizers/tokenizer.h"
#include "tests/fuzz/targets.h"

#include <string.h>

/* What is encoded by tokenizers that could be opened: spaces, digits, two scripts, a combining mark, no UTF-8. */
static const char words[] = "Hello  <s> 123\n\t\xC3\xA9\xE6\x97\xA5 e\xCC\x81\xFF\x00 'll";

void fuzz_tokenizer(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    struct error e = {0};
    struct tokenizer *t;
    int file = fuzz_open(data, size, path), status = tokenizer_open(&t, path, &e);
    fuzz_check(status, &e, path);
    for (unsigned flags = 0; flags < 4 && !status; flags++) {
        struct ids ids = {0};
        struct text out = {0};
        fuzz_check(tokenizer_encode(t, words, sizeof words - 1, flags, &ids, &e), &e, NULL);
        for (size_t i = 0; i < ids.count; i++)
            fuzz_demand(ids.at[i] >= 0 && (size_t)ids.at[i] < tokenizer_size(t), "ids are those of tokens");
        fuzz_check(tokenizer_decode(t, ids.at, ids.count, flags, &out, &e), &e, NULL);
        ids_free(&ids);
        text_free(&out);
    }
    if (!status) tokenizer_close(t);
    fuzz_close(file);
}
