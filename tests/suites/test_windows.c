/* How documents become windows: against loops that follow the sources step by step, and what words and bytes count. */
#include "suites/windows.h"
#include "tests/tokenizers/small.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 40 };

/* How often each token of the stream is scored, and that windows keep within context and stream. */
static int64_t walk(const struct windowing *how, int *scored /* [tokens] */)
{
    struct window w;
    int64_t n = 0;
    memset(scored, 0, (size_t)how->tokens * sizeof *scored);
    for (; window_at(how, n, &w); n++) {
        assert_true(w.first >= 0 && w.given >= 1 && w.scored >= 1);
        assert_true(w.first + w.given + w.scored <= how->tokens);
        assert_true(w.given + w.scored - 1 <= how->context);
        for (int64_t i = 0; i < w.scored; i++) scored[w.first + w.given + i]++;
    }
    assert_false(window_at(how, n + 1, &w));
    return n;
}

static void test_rolling(void **state)
{
    (void)state;
    int scored[MOST];
    for (int64_t context = 1; context < 12; context++) {
        for (int64_t tokens = 1; tokens < MOST; tokens++) {
            const struct windowing how = {PROTOCOL_ROLLING, context, 0, tokens, false};
            const int64_t n = walk(&how, scored);
            assert_int_equal(n, (tokens - 1 + context - 1) / context);
            assert_int_equal(scored[0], 0);
            for (int64_t i = 1; i < tokens; i++) assert_int_equal(scored[i], 1);
            struct window w;
            if (n > 1 && window_at(&how, n - 1, &w)) assert_int_equal(w.given + w.scored - 1, context);
        }
    }
}

static void test_chunked(void **state)
{
    (void)state;
    int scored[MOST];
    for (int64_t context = 4; context < 12; context++) {
        for (int64_t tokens = 1; tokens < MOST; tokens++) {
            const struct windowing how = {PROTOCOL_CHUNKED, context, 0, tokens, false};
            const int64_t n = walk(&how, scored);
            assert_int_equal(n, tokens / context);
            for (int64_t i = 0; i < tokens; i++)
                assert_int_equal(scored[i], i < n * context && i % context > context / 2);
        }
    }
}

/* As in llama.cpp's tool: no BOS is put anywhere unless the tokenizer puts it before prompts. */
static void test_chunked_streams(void **state)
{
    (void)state;
    static const char text[] = "hello to all who are here";
    for (int opens = 0; opens < 2; opens++) {
        struct error e;
        struct tokenizer *t;
        struct ids stream = {0}, plain = {0};
        char *folder = folder_temporary();
        if (opens)
            assert_ok(tokenizer_open(&t, "datasets/millbrook/llama", &e), &e);
        else
            assert_ok(small_open(&t, folder, small_json(), &e), &e);
        assert_int_equal(tokenizer_adds_bos(t), opens);
        assert_ok(stream_encode(t, PROTOCOL_CHUNKED, text, &stream, &e), &e);
        assert_ok(tokenizer_encode(t, text, strlen(text), TOKENIZER_PLAIN, &plain, &e), &e);
        assert_int_equal(stream.count, plain.count + (size_t)opens);
        if (opens) assert_int_equal(stream.at[0], tokenizer_bos(t));
        assert_memory_equal(stream.at + opens, plain.at, plain.count * sizeof *plain.at);
        const struct windowing how = {PROTOCOL_CHUNKED, 4, 0, (int64_t)stream.count, opens};
        struct window w;
        assert_true(window_at(&how, 0, &w));
        assert_int_equal(w.reopened, opens);
        ids_free(&stream);
        ids_free(&plain);
        tokenizer_close(t);
        folder_remove(folder);
    }
}

/* The loop of the guide: begin_loc, end_loc and trg_len, with labels that are shifted by one. */
static int64_t guide(int64_t context, int64_t stride, int64_t tokens, int *scored)
{
    int64_t before = 0, n = 0;
    memset(scored, 0, (size_t)tokens * sizeof *scored);
    for (int64_t begin = 0; begin < tokens; begin += stride) {
        const int64_t end = begin + context < tokens ? begin + context : tokens, targets = end - before;
        int64_t here = 0;
        for (int64_t i = end - targets; i < end; i++)
            if (i > begin) scored[i]++, here++;
        n += here > 0;
        before = end;
        if (end == tokens) break;
    }
    return n;
}

static void test_strided(void **state)
{
    (void)state;
    int scored[MOST], wanted[MOST];
    for (int64_t context = 2; context < 12; context++)
        for (int64_t stride = 1; stride <= context; stride++)
            for (int64_t tokens = 1; tokens < MOST; tokens++) {
                const struct windowing how = {PROTOCOL_STRIDED, context, stride, tokens, false};
                assert_int_equal(walk(&how, scored), guide(context, stride, tokens, wanted));
                assert_memory_equal(scored, wanted, (size_t)tokens * sizeof *scored);
                for (int64_t i = 0; i < tokens; i++)
                    assert_int_equal(scored[i], stride < context ? i > 0 : i % context != 0);
            }
}

static void test_refusals(void **state)
{
    (void)state;
    struct error e;
    static const struct {
        struct windowing how;
        const char *words;
    } cases[] = {
        {{PROTOCOL_CHUNKED, 3, 0, 9, false}, "a context of 3 is too short for the chunked protocol: it needs 4"},
        {{PROTOCOL_STRIDED, 1, 1, 9, false}, "too short for the strided protocol: it needs 2"},
        {{PROTOCOL_STRIDED, 8, 9, 9, false}, "stride: 9 is not between 1 and the window of 8"},
        {{PROTOCOL_STRIDED, 8, 0, 9, false}, "stride: 0 is not"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_error(windowing_check(&cases[i].how, &e), &e, ERROR_INPUT, cases[i].words);
    assert_ok(windowing_check(&(struct windowing){PROTOCOL_STRIDED, 8, 8, 9, false}, &e), &e);
    enum protocol p;
    for (int i = 0; i < PROTOCOLS; i++) {
        assert_true(protocol_find(protocol_name((enum protocol)i), &p));
        assert_int_equal(p, i);
        assert_non_null(strstr(protocol_names(), protocol_name(p)));
    }
    assert_false(protocol_find("stride", &p));
}

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(words_from("  one two\nthree ", 16, 0), 3);
    assert_int_equal(words_from("one two three", 13, 1), 2); /* "one" began before */
    assert_int_equal(words_from("one two three", 13, 4), 2);
    assert_int_equal(words_from("one two three", 13, 5), 1);
    assert_int_equal(words_from("one\xE2\x80\x83two", 9, 0), 2); /* U+2003 */
    assert_int_equal(words_from("", 0, 0), 0);
}

/* Windows that score every token but the first share a text's words and bytes among them. */
static void assert_shared_out(const char *path, const char *text)
{
    struct error e;
    struct tokenizer *t;
    struct ids ids = {0};
    assert_ok(tokenizer_open(&t, path, &e), &e);
    assert_ok(stream_encode(t, PROTOCOL_STRIDED, text, &ids, &e), &e);
    for (int64_t context = 2; context < 9; context++) {
        const struct windowing how = {PROTOCOL_STRIDED, context, 1 + context / 3, (int64_t)ids.count, false};
        struct window w;
        struct extent sum = {0, 0}, x;
        for (int64_t i = 0; window_at(&how, i, &w); i++) {
            assert_ok(extent_of(t, ids.at + w.first, w.given, w.given + w.scored, &x, &e), &e);
            sum.words += x.words;
            sum.bytes += x.bytes;
        }
        struct text first = {0}; /* the text's own first token where nothing opens it */
        const bool opened = ids.at[0] == tokenizer_opening(t);
        if (!opened) assert_ok(tokenizer_decode(t, ids.at, 1, 0, &first, &e), &e);
        assert_int_equal(sum.bytes, strlen(text) - first.length);
        assert_int_equal(sum.words, words_from(text, strlen(text), first.length));
        text_free(&first);
    }
    ids_free(&ids);
    tokenizer_close(t);
}

static const char story[] = "Mirabelle walked  to the harbour.\nShe took the r\xC3\xA9"
                            "d hat, and was \xF0\x9F\x98\x80 happy.";

static void test_extents_bpe(void **state)
{
    (void)state;
    assert_shared_out("datasets/millbrook/llama", story);
    assert_shared_out("datasets/millbrook/gpt2", story);
}

static void test_extents_sentencepiece(void **state)
{
    (void)state;
    assert_shared_out(shared_path("data/models/stories260K.gguf"), story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rolling),         cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_chunked_streams), cmocka_unit_test(test_strided),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_words),
        cmocka_unit_test(test_extents_bpe),     cmocka_unit_test(test_extents_sentencepiece)};
    return cmocka_run_group_tests_name("suites/windows", tests, NULL, NULL);
}
