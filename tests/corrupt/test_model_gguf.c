/* A GGUF file of a small llama with one number of its metadata or of its weights wrong: refused in one line, and before
 * anything of the size that it claims is done. */
#include "engine/models/model.h"
#include "tests/corrupt/limits.h"
#include "tests/models/tiny_llama.h"

enum { WIDTH = 64, FFN = 96, NAN_BITS = 0x7fc00000, INFINITY_BITS = 0x7f800000, MINUS_INFINITY_BITS = (int)0xff800000 };

static int open_it(const char *path, struct error *e)
{
    struct model *m;
    const int status = model_open(&m, path, NULL, e);
    if (!status) model_close(m);
    return status;
}

/* The whole file with four bytes at `at` changed, and as it was again after the reader. */
static void assert_refused(const char *path, const uint8_t *at, const struct gguf *g, uint32_t bits,
                           enum error_code code, const char *says)
{
    FILE *f = fopen(path, "r+");
    uint32_t saved;
    assert_non_null(f);
    memcpy(&saved, at, sizeof saved);
    const long place = (long)(at - gguf_bytes(g));
    for (int again = 0; again < 2; again++) {
        assert_int_equal(fseek(f, place, SEEK_SET), 0);
        assert_int_equal(fwrite(again ? &saved : &bits, sizeof bits, 1, f), 1);
        assert_int_equal(fflush(f), 0);
        if (!again) assert_cheap(open_it, path, code, says);
    }
    fclose(f);
}

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t value;
        const char *says;
    } cases[] = {
        {"llama.attention.head_count", 0, "head_count: 0 must be a whole number from 1"},
        {"llama.attention.head_count", UINT32_MAX, "head_count: 4294967295 must be a whole number from 1"},
        {"llama.attention.head_count", 3, "64 does not divide into 3 heads"},
        {"llama.block_count", 0, "block_count: 0 must be a whole number from 1"},
        {"llama.block_count", 1000000000, "block_count: 1000000000 must be a whole number from 1"},
        {"llama.block_count", 1048576, "1048576 layers cannot come from 11 tensors"},
        {"llama.block_count", 2, "blk.1."},
        {"llama.embedding_length", 0, "embedding_length: 0 must be a whole number from 1"},
        {"llama.embedding_length", UINT32_MAX, "embedding_length: 4294967295 must be a whole number from 1"},
        {"llama.embedding_length", 32, "token_embd.weight: shape [1280, 64] must be [any, 32]"},
        {"llama.feed_forward_length", 0, "feed_forward_length: 0 must be a whole number from 1"},
        {"llama.feed_forward_length", UINT32_MAX, "feed_forward_length: 4294967295 must be a whole number from 1"},
        {"llama.feed_forward_length", 95, "shape [96, 64] must be [95, 64]"},
        {"llama.context_length", 0, "context_length: 0 must be a whole number from 1"},
        {"llama.context_length", UINT32_MAX, "context_length: 4294967295 must be a whole number from 1"},
        {"llama.attention.layer_norm_rms_epsilon", NAN_BITS, "layer_norm_rms_epsilon: must be a finite number"},
        {"llama.attention.layer_norm_rms_epsilon", INFINITY_BITS, "layer_norm_rms_epsilon: must be a finite number"},
        {"llama.attention.layer_norm_rms_epsilon", 0xbf800000, "layer_norm_rms_epsilon: must be positive"},
        {"llama.attention.layer_norm_rms_epsilon", 0, "layer_norm_rms_epsilon: must be positive"},
        {"llama.attention.layer_norm_rms_epsilon", 0x80000000, "layer_norm_rms_epsilon: must be positive"},
    };
    struct error e;
    struct gguf *g;
    char *folder = folder_temporary(), *path = tiny_llama(folder, WIDTH, FFN);
    assert_cheap(open_it, path, 0, NULL);
    assert_ok(gguf_open(&g, path, &e), &e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct gguf_value *v = gguf_find(g, cases[i].key);
        assert_non_null(v);
        assert_refused(path, v->data, g, cases[i].value, ERROR_INPUT, cases[i].says);
    }
    gguf_close(g);
    free(path);
    folder_remove(folder);
}

/* Every tensor's first and last number in turn. */
static void test_weights_not_finite(void **state)
{
    (void)state;
    static const uint32_t bits[] = {NAN_BITS, INFINITY_BITS, (uint32_t)MINUS_INFINITY_BITS};
    struct error e;
    struct gguf *g;
    char *folder = folder_temporary(), *path = tiny_llama(folder, WIDTH, FFN);
    assert_ok(gguf_open(&g, path, &e), &e);
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct tensor *t = gguf_tensor_at(g, i);
        const uint8_t *at = (const uint8_t *)t->data + (i % 2 ? 0 : t->bytes - sizeof(uint32_t));
        char says[128];
        snprintf(says, sizeof says, "tiny.gguf: %s: element [", t->name);
        assert_refused(path, at, g, bits[i % 3], ERROR_NUMBER, says);
    }
    assert_cheap(open_it, path, 0, NULL);
    gguf_close(g);
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings), cmocka_unit_test(test_weights_not_finite)};
    return cmocka_run_group_tests_name("corrupt/model_gguf", tests, NULL, NULL);
}
