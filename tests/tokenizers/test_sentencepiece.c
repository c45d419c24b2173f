#include "tests/tokenizers/small.h"

#include "engine/base/random.h"
#include "engine/base/table.h"

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t)
#define MARK "\xE2\x96\x81"
#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { FIRST = 259 }; /* id of the first piece that a test names */

/* Opens a vocabulary of these pieces; `more`, where there is one, writes further metadata. */
static struct tokenizer *open_pieces(const char *const *pieces, const int32_t *types, const float *scores, size_t n,
                                     void (*more)(struct gguf_writer *))
{
    struct error e;
    struct gguf_writer *w;
    struct tokenizer *t;
    char *folder = folder_temporary();
    char *path = file_put(folder, "small.gguf", "", 0);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    small_sentencepiece(w, pieces, types, scores, n);
    if (more) more(w);
    assert_ok(gguf_writer_commit(&w, &e), &e);
    assert_ok(tokenizer_open(&t, path, &e), &e);
    free(path);
    folder_remove(folder);
    return t;
}

static int32_t byte(unsigned char b) { return 3 + b; }

static void highest_score_first(void **state)
{
    (void)state;
    static const char *const pieces[] = {MARK, "a", "b", "c", "ab", "bc", "aa"};
    static const float ab_first[] = {0, 0, 0, 0, -1, -2, -3}, bc_first[] = {0, 0, 0, 0, -2, -1, -3};
    static const float equal[] = {0, 0, 0, 0, -2, -2, -2};
    struct tokenizer *t = open_pieces(pieces, NULL, ab_first, 7, NULL);
    assert_ids(t, "abc", 0, IDS(FIRST, FIRST + 4, FIRST + 3));
    tokenizer_close(t);
    t = open_pieces(pieces, NULL, bc_first, 7, NULL);
    assert_ids(t, "abc", 0, IDS(FIRST, FIRST + 1, FIRST + 5));
    tokenizer_close(t);
    /* of equal scores the leftmost */
    t = open_pieces(pieces, NULL, equal, 7, NULL);
    assert_ids(t, "abc", 0, IDS(FIRST, FIRST + 4, FIRST + 3));
    assert_ids(t, "aaab", 0, IDS(FIRST, FIRST + 6, FIRST + 4));
    tokenizer_close(t);
}

static void bytes_where_there_is_no_piece(void **state)
{
    (void)state;
    /* "x" and "\xC3\xA9" are no pieces, but parts of them */
    static const char *const pieces[] = {MARK, "xx", "\xC3\xA9\xC3\xA9", MARK "x"};
    static const float scores[] = {0, -1, -2, -3};
    struct tokenizer *t = open_pieces(pieces, NULL, scores, 4, NULL);
    assert_ids(t, "xx\xC3\xA9\xC3\xA9", 0, IDS(FIRST, FIRST + 1, FIRST + 2));
    assert_ids(t, "x", 0, IDS(FIRST + 3));
    assert_ids(t, "x", TOKENIZER_CONTINUES, IDS(byte('x')));
    assert_ids(t, "\xC3\xA9y", 0, IDS(FIRST, byte(0xC3), byte(0xA9), byte('y')));
    assert_ids(t, "\xFFxx\xC3", 0, IDS(FIRST, byte(0xFF), FIRST + 1, byte(0xC3)));
    tokenizer_close(t);
}

static const char *const worded[] = {MARK, "a", MARK "a", MARK MARK, "<u>", "<s", ">"};
static const int32_t worded_types[] = {TOKEN_NORMAL,       TOKEN_NORMAL, TOKEN_NORMAL, TOKEN_NORMAL,
                                       TOKEN_USER_DEFINED, TOKEN_NORMAL, TOKEN_NORMAL};
static const float worded_scores[] = {0, 0, -2, -1, 0, -5, -6};

static void space_prefix(void **state)
{
    (void)state;
    struct tokenizer *t = open_pieces(worded, worded_types, worded_scores, COUNT(worded), NULL);
    assert_ids(t, "", 0, NULL, 0);
    assert_ids(t, "a", 0, IDS(FIRST + 2));
    assert_ids(t, "a", TOKENIZER_CONTINUES, IDS(FIRST + 1));
    assert_ids(t, " a", 0, IDS(FIRST + 3, FIRST + 1));
    assert_ids(t, " ", 0, IDS(FIRST + 3));
    assert_ids(t, "a a", 0, IDS(FIRST + 2, FIRST + 2));
    /* again after a special token */
    assert_ids(t, "a</s>a", 0, IDS(FIRST + 2, 2, FIRST + 2));
    assert_ids(t, "</s>a", TOKENIZER_CONTINUES, IDS(2, FIRST + 2));
    tokenizer_close(t);
}

static void no_space_prefix_written(struct gguf_writer *w)
{
    gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", false);
    gguf_write_bool(w, "tokenizer.ggml.add_bos_token", false);
    gguf_write_u32(w, "tokenizer.ggml.padding_token_id", UINT32_MAX);
}

static void no_space_prefix(void **state)
{
    (void)state;
    struct tokenizer *t = open_pieces(worded, worded_types, worded_scores, COUNT(worded), no_space_prefix_written);
    assert_ids(t, "a a", 0, IDS(FIRST + 1, FIRST + 2));
    assert_round_trip(t, " a  a", 5, 0);
    assert_false(tokenizer_adds_bos(t));
    assert_written_equal(t);
    tokenizer_close(t);
}

static void special_tokens(void **state)
{
    (void)state;
    struct tokenizer *t = open_pieces(worded, worded_types, worded_scores, COUNT(worded), NULL);
    assert_ids(t, "<s><unk>", 0, IDS(1, 0));
    /* plain text never becomes a control token, though "<s" and ">" would merge into one */
    assert_ids(t, "<s>", TOKENIZER_PLAIN, IDS(FIRST, FIRST + 5, FIRST + 6));
    assert_ids(t, "a<u>a", TOKENIZER_PLAIN, IDS(FIRST + 2, FIRST + 4, FIRST + 2));
    assert_round_trip(t, "a<s> a<u>a<unk>", 15, TOKENIZER_PLAIN);
    assert_round_trip(t, " a<u> a<u><u>", 13, 0);
    tokenizer_close(t);
}

static void decoding(void **state)
{
    (void)state;
    struct error e;
    struct text out = {0};
    struct tokenizer *t = open_pieces(worded, worded_types, worded_scores, COUNT(worded), NULL);
    assert_ok(tokenizer_decode(t, IDS(1, FIRST + 2, FIRST + 2, byte(0xFF), FIRST + 4, FIRST + 3, 2), 0, &out, &e), &e);
    assert_string_equal(text_c(&out), "a a\xFF<u> ");
    text_clear(&out);
    assert_ok(tokenizer_decode(t, IDS(FIRST + 2, FIRST + 2), TOKENIZER_CONTINUES, &out, &e), &e);
    assert_string_equal(text_c(&out), " a a");
    text_free(&out);
    tokenizer_close(t);
}

static void properties(void **state)
{
    (void)state;
    struct tokenizer *t = open_pieces(worded, worded_types, worded_scores, COUNT(worded), NULL);
    assert_string_equal(tokenizer_kind_name(t), "sentencepiece");
    assert_int_equal(tokenizer_size(t), FIRST + COUNT(worded));
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    assert_true(tokenizer_adds_bos(t));
    assert_int_equal(tokenizer_type(t, 3), TOKEN_BYTE);
    assert_written_equal(t);
    struct tokenizer *other =
        open_pieces(worded, worded_types, (const float[]){0, 0, -2, -1, 0, -5, -7}, COUNT(worded), NULL);
    assert_string_not_equal(tokenizer_hash(t), tokenizer_hash(other));
    tokenizer_close(other);
    tokenizer_close(t);
}

/* --- against the definition, with pieces as strings --- */

struct plain_symbol {
    size_t start, length;
};

struct definition {
    struct table ids;
    const float *scores;
};

/* Merges as SentencePiece is defined: of all neighbours that are a piece together, the highest score, leftmost. */
static size_t merge_plainly(const struct definition *d, const char *text, struct plain_symbol *s, size_t n)
{
    for (;;) {
        size_t best = n;
        int64_t id, best_id = 0;
        for (size_t i = 0; i + 1 < n; i++)
            if (table_find(&d->ids, text + s[i].start, s[i].length + s[i + 1].length, &id) &&
                (best == n || d->scores[id] > d->scores[best_id])) {
                best = i;
                best_id = id;
            }
        if (best == n) return n;
        s[best].length += s[best + 1].length;
        n--;
        for (size_t i = best + 1; i < n; i++) s[i] = s[i + 1];
    }
}

static void assert_as_defined(const struct definition *d, const struct tokenizer *t, const char *text, size_t n)
{
    struct plain_symbol s[200];
    struct ids got = encode(t, text, n, TOKENIZER_CONTINUES);
    size_t count = 0, k = 0;
    uint32_t codepoint;
    for (size_t at = 0; at < n; at += s[count++].length)
        s[count] = (struct plain_symbol){at, utf8_decode(text + at, n - at, &codepoint)};
    count = merge_plainly(d, text, s, count);
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        if (table_find(&d->ids, text + s[i].start, s[i].length, &id)) {
            assert_int_equal(got.at[k++], FIRST + id);
            continue;
        }
        for (size_t b = 0; b < s[i].length; b++)
            assert_int_equal(got.at[k++], byte((unsigned char)text[s[i].start + b]));
    }
    assert_int_equal(got.count, k);
    ids_free(&got);
}

static size_t random_text(struct random *r, uint32_t limit, char *text)
{
    static const char *const letters[] = {"a", "b", MARK, "\xC3\xA9", "c"};
    size_t n = 0;
    for (uint32_t i = random_below(r, limit + 1); i; i--) {
        const char *letter = letters[random_below(r, 5)];
        memcpy(text + n, letter, strlen(letter));
        n += strlen(letter);
    }
    text[n] = 0;
    return n;
}

static void as_defined(void **state)
{
    (void)state;
    struct error e;
    struct random r = {11};
    for (int round = 0; round < 60; round++) {
        enum { PIECES = 60 };
        char text[PIECES][40];
        const char *pieces[PIECES] = {MARK};
        float scores[PIECES] = {0};
        struct definition d = {{0}, scores};
        size_t n = 1;
        assert_ok(table_add(&d.ids, MARK, 3, 0, NULL, &e), &e);
        while (n < PIECES) {
            bool was_there = true;
            const size_t length = random_text(&r, 4, text[n]);
            if (length) assert_ok(table_add(&d.ids, text[n], length, (int64_t)n, &was_there, &e), &e);
            if (was_there) continue;
            pieces[n] = text[n];
            scores[n++] = 2.0f - (float)random_below(&r, round % 2 ? 4 : 1000);
        }
        struct tokenizer *t = open_pieces(pieces, NULL, scores, n, NULL);
        for (int i = 0; i < 100; i++) {
            char line[200];
            const size_t length = random_text(&r, i % 2 ? 12 : 60, line);
            assert_as_defined(&d, t, line, length);
        }
        tokenizer_close(t);
        table_free(&d.ids);
    }
}

/* A piece with a space inside keeps text from being cut into words; other text gets the same ids either way. */
static void cut_or_whole(void **state)
{
    (void)state;
    static const char *const pieces[] = {MARK, "a", "b", "ab", MARK "a", MARK "ab", MARK MARK, "q", "q" MARK "a"};
    static const float scores[] = {0, 0, 0, -3, -1, -2, -1, 0, 1};
    struct tokenizer *cut = open_pieces(pieces, NULL, scores, 8, NULL),
                     *whole = open_pieces(pieces, NULL, scores, 9, NULL);
    assert_ids(whole, "q a", 0, IDS(FIRST, FIRST + 8));
    assert_ids(cut, "q a", 0, IDS(FIRST, FIRST + 7, FIRST + 4));
    struct random r = {5};
    char text[2000];
    for (int round = 0; round < 200; round++) {
        const size_t n = 1 + random_below(&r, sizeof text - 1);
        for (size_t i = 0; i < n; i++) text[i] = "ab \xFF"[random_below(&r, round % 2 ? 3 : 4)];
        struct ids a = encode(cut, text, n, 0), b = encode(whole, text, n, 0);
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.at, b.at, a.count * sizeof *a.at);
        ids_free(&a);
        ids_free(&b);
    }
    tokenizer_close(cut);
    tokenizer_close(whole);
}

static void random_bytes(void **state)
{
    (void)state;
    struct tokenizer *t = open_pieces(worded, worded_types, worded_scores, COUNT(worded), NULL);
    struct random r = {9};
    char bytes[500];
    for (int round = 0; round < 500; round++) {
        const size_t n = random_below(&r, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = round % 2 ? (char)random_below(&r, 256) : " a<su>/"[random_below(&r, 7)];
        assert_round_trip(t, bytes, n, TOKENIZER_PLAIN);
        assert_round_trip(t, bytes, n, TOKENIZER_PLAIN | TOKENIZER_CONTINUES);
    }
    tokenizer_close(t);
}

static void large_texts(void **state)
{
    (void)state;
    struct tokenizer *t = open_pieces(worded, worded_types, worded_scores, COUNT(worded), NULL);
    const size_t n = 1000000, ten = 10 * n;
    char *text = malloc(ten);
    assert_non_null(text);
    for (const char *c = "a <\n\xFF\xE2"; *c; c++) {
        memset(text, *c, n);
        assert_round_trip(t, text, n, TOKENIZER_PLAIN);
    }
    struct random r = {2};
    for (size_t i = 0; i < ten; i++) text[i] = "a aaa <u>"[random_below(&r, 9)];
    assert_round_trip(t, text, ten, 0);
    free(text);
    tokenizer_close(t);
}

/* Pieces that are there again are no fault: text becomes the last, each gives its bytes, and a warning says so. */
static void pieces_there_again(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    struct gguf_writer *w;
    struct text out = {0};
    char *folder = folder_temporary(), *path = file_put(folder, "twice.gguf", "", 0);
    for (size_t n = 3; n <= 5; n++) {
        assert_ok(gguf_writer_open(&w, path, &e), &e);
        small_sentencepiece(w, (const char *[]){"\xE2\x96\x81", "a", "b", "a", "b"}, NULL,
                            (const float[]){-1, -2, -3, -4, -5}, n);
        assert_ok(gguf_writer_commit(&w, &e), &e);
        assert_ok(tokenizer_open(&t, path, &e), &e);
        static const char *const says[] = {
            "", "tokens: \"a\" is there twice, as 260 and as 262: text becomes the last",
            "tokens: \"a\" is there twice, as 260 and as 262, and 1 more are: text becomes the last"};
        assert_string_equal(tokenizer_warning(t), says[n - 3]);
        struct ids ids = encode(t, "a", 1, 0);
        assert_int_equal(ids.count, 2);
        assert_int_equal(ids.at[1], n > 3 ? 262 : 260);
        text_clear(&out);
        assert_ok(tokenizer_decode(t, (const int32_t[]){259, 260, 260}, 3, 0, &out, &e), &e);
        assert_string_equal(text_c(&out), "aa");
        ids_free(&ids);
        tokenizer_close(t);
    }
    /* also what merges make, with the score of the last */
    static const char *const pieces[] = {MARK, "a", "b", "c", "ab", "bc", "ab"};
    static const float scores[] = {0, 0, 0, 0, -1, -2, -3};
    t = open_pieces(pieces, NULL, scores, 7, NULL);
    assert_ids(t, "ab", 0, IDS(FIRST, FIRST + 6));
    assert_ids(t, "abc", 0, IDS(FIRST, FIRST + 1, FIRST + 5));
    tokenizer_close(t);
    text_free(&out);
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(highest_score_first), cmocka_unit_test(bytes_where_there_is_no_piece),
        cmocka_unit_test(space_prefix),        cmocka_unit_test(no_space_prefix),
        cmocka_unit_test(special_tokens),      cmocka_unit_test(decoding),
        cmocka_unit_test(properties),          cmocka_unit_test(as_defined),
        cmocka_unit_test(cut_or_whole),        cmocka_unit_test(random_bytes),
        cmocka_unit_test(large_texts),         cmocka_unit_test(pieces_there_again),
    };
    return cmocka_run_group_tests_name("tokenizers/sentencepiece", tests, NULL, NULL);
}
