/* SentencePiece's tokenizer.model, made here field by field: what opens, and what is refused by name. */
#include "engine/tokenizers/tokenizer_kinds.h"
#include "tests/tokenizers/model_file.h"

/* A model of this type with these values in trainer_spec and normalizer_spec, a number of 0 for none. */
static void put_model(struct text *t, uint64_t type, unsigned trainer, unsigned normalizer, uint64_t value)
{
    struct text spec = {0};
    put_first_pieces(t);
    put_piece(t, "\xE2\x96\x81", -1, TOKEN_NORMAL);
    put_piece(t, "a", -2, TOKEN_NORMAL);
    put_value(&spec, 3, type);
    if (trainer) put_value(&spec, trainer, value);
    put_field(t, 2, text_c(&spec), spec.length);
    text_clear(&spec);
    put_value(&spec, 4, 0);
    if (normalizer) put_value(&spec, normalizer, value);
    put_field(t, 3, text_c(&spec), spec.length);
    text_free(&spec);
}

static int open_model(char *folder, const struct text *t, struct tokenizer **out, struct error *e)
{
    char *path = file_put(folder, "tokenizer.model", text_c(t), t->length);
    const int status = tokenizer_open(out, folder, e);
    free(path);
    return status;
}

static void broken_model(void **state)
{
    (void)state;
    static const struct {
        uint64_t type;
        unsigned trainer, normalizer;
        uint64_t value;
        const char *message; /* NULL: it opens */
    } cases[] = {
        {2, 0, 0, 0, NULL},
        {1, 0, 0, 0, NULL},
        {3, 0, 0, 0, "trainer_spec.model_type: 3 is not supported"},
        {2, 24, 0, 1, "trainer_spec.treat_whitespace_as_suffix: true"},
        {2, 0, 5, 0, "normalizer_spec.escape_whitespaces: false"},
        {2, 40, 0, 261, "trainer_spec.unk_id: 261 is out of range"},
        {2, 41, 0, 4294967295, "trainer_spec.bos_id: 4294967295 is out of range"},
        {2, 42, 0, 9223372036854775807, "trainer_spec.eos_id: 9223372036854775807 is out of range"},
        {2, 42, 0, UINT64_MAX, NULL},
        {1, 40, 0, UINT64_MAX, "unknown: a vocabulary of this kind needs an unknown token"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct tokenizer *t;
        struct text bytes = {0};
        put_model(&bytes, cases[i].type, cases[i].trainer, cases[i].normalizer, cases[i].value);
        const int status = open_model(folder, &bytes, &t, &e);
        if (cases[i].message) {
            assert_error(status, &e, ERROR_INPUT, cases[i].message);
            assert_non_null(strstr(e.text, "tokenizer.model: "));
        } else {
            assert_ok(status, &e);
            assert_written_equal(t);
            tokenizer_close(t);
        }
        text_free(&bytes);
    }
    folder_remove(folder);
}

/* Tokens that stand beside the model, and its BOS. */
static void added_beside(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    for (uint64_t type = 1; type <= 2; type++) {
        struct text bytes = {0};
        char *folder = folder_temporary();
        static const char added[] = "{\"<pad>\": 261, \"<|im_end|>\": 262, \"</s>\": 2}",
                          config[] = "{\"add_bos_token\": false, \"eos_token\": \"<|im_end|>\", \"pad_token\": \"a\"}";
        put_model(&bytes, type, 0, 0, 0);
        free(file_put(folder, "added_tokens.json", added, sizeof added - 1));
        free(file_put(folder, "tokenizer_config.json", config, sizeof config - 1));
        assert_ok(open_model(folder, &bytes, &t, &e), &e);
        assert_int_equal(tokenizer_size(t), 263);
        assert_false(tokenizer_adds_bos(t));
        assert_int_equal(tokenizer_eos(t), 262);
        assert_int_equal(tokenizer_type(t, 261), TOKEN_USER_DEFINED);
        assert_int_equal(tokenizer_type(t, 262), TOKEN_CONTROL);
        assert_int_equal(tokenizer_type(t, 260), TOKEN_CONTROL);
        assert_ids(t, "<pad>a<|im_end|>", 0, (const int32_t[]){261, 260, 262}, 3);
        assert_written_equal(t);
        tokenizer_close(t);
        text_free(&bytes);
        folder_remove(folder);
    }
}

/* GGUF has no keys for what SentencePiece's BPE may do to a text beside its marks. */
static void joined_spaces(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    struct gguf_writer *w;
    struct text bytes = {0};
    char *folder = folder_temporary();
    char *path = file_put(folder, "written.gguf", "", 0);
    put_model(&bytes, 2, 0, 4, 1);
    assert_ok(open_model(folder, &bytes, &t, &e), &e);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    tokenizer_write_gguf(t, 0, w);
    assert_error(gguf_writer_commit(&w, &e), &e, ERROR_INPUT, "GGUF has no name for the normalizer");
    tokenizer_close(t);
    text_free(&bytes);
    free(path);
    folder_remove(folder);
}

/* Cut off at each byte, and with each bit turned: an error, or a vocabulary that its kind takes or refuses. */
static void mangled_model(void **state)
{
    (void)state;
    struct text whole = {0};
    size_t refused = 0;
    put_model(&whole, 2, 35, 3, 1);
    uint8_t *part = malloc(whole.length);
    for (size_t i = 0; i < whole.length * 9; i++) {
        struct error e = {0};
        struct vocabulary v;
        void *kinds = NULL;
        const size_t n = i < whole.length ? i : whole.length;
        memcpy(part, whole.bytes, n);
        if (i >= whole.length) part[(i - whole.length) / 8] ^= (uint8_t)(1 << i % 8);
        uint8_t *exact = malloc(n + !n); /* so that a sanitizer sees a byte too many */
        memcpy(exact, part, n);
        int status = vocabulary_from_proto(&v, exact, n, &e);
        free(exact);
        refused += status != 0;
        if (status) {
            assert_true(e.code == ERROR_INPUT && !strchr(e.text, '\n'));
            continue;
        }
        status = vocabulary_check(&v, &e);
        if (!status) status = v.kind->open(&kinds, &v, &e);
        assert_true(!status || (e.code == ERROR_INPUT && !strchr(e.text, '\n')));
        if (!status) v.kind->close(kinds);
        vocabulary_close(&v);
    }
    assert_true(refused > whole.length);
    free(part);
    text_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(broken_model), cmocka_unit_test(added_beside),
                                       cmocka_unit_test(joined_spaces), cmocka_unit_test(mangled_model)};
    return cmocka_run_group_tests_name("tokenizers/model_file", tests, NULL, NULL);
}
