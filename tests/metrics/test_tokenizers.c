/* The words that each tokenization cuts, shown with spaces between them. */
#include "tests/testing.h"

#include "metrics/lowercase.h"
#include "metrics/tokenize.h"

#include <stdlib.h>
#include <string.h>

static void assert_words(const struct sequence *s, const char *text, const char *words)
{
    struct text t = {0};
    for (size_t i = 0; i < s->length; i++) {
        if (i) text_char(&t, ' ');
        text_bytes(&t, s->symbols[i].bytes, s->symbols[i].length);
    }
    if (strcmp(text_c(&t), words)) fail_msg("\"%s\" became \"%s\", not \"%s\"", text, text_c(&t), words);
    text_free(&t);
}

static void assert_tokenized(enum tokenization how, bool lowercase, const char *text, const char *words)
{
    struct sequence s = {0};
    struct error e;
    assert_ok(tokenize(&s, text, how, lowercase, &e), &e);
    assert_words(&s, text, words);
    sequence_free(&s);
}

static void assert_tercom(struct tercom how, const char *text, const char *words)
{
    struct sequence s = {0};
    struct error e;
    assert_ok(tokenize_tercom(&s, text, &how, &e), &e);
    assert_words(&s, text, words);
    sequence_free(&s);
}

static void test_13a(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Hello, world!", "Hello , world !"},
        {"It's 3.5% of $1,000.50.", "It's 3.5 % of $ 1,000.50 ."},
        {"2-3 well-known", "2 - 3 well-known"},
        {"&quot;a&quot; &amp;lt; b", "\" a \" < b"},
        {"a<skipped>b", "ab"},
        {"foo-\nbar\nbaz", "foobar baz"},
        {"foo-\n", "foo-"},
        {"U.S.A.", "U . S . A ."},
        {"\u00bfQu\u00e9? a\u00f1o.", "\u00bfQu\u00e9 ? a\u00f1o ."},
        {"3.a", "3 . a"},
        {".5", ". 5"},
        {"5.", "5 ."},
        {"a..b", "a . . b"},
        {"...", ". . ."},
        {"x\u00a0y\u3000z\tw", "x y z w"},
        {"[a]{b}~`c", "[ a ] { b } ~ ` c"},
        {"", ""},
        {" \n ", ""},
        {"a\xff,\xc3(b", "a\xff , \xc3 ( b"},
        {"\x01.\x7f", "\x01 . \x7f"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_tokenized(TOKENIZE_13A, false, cases[i][0], cases[i][1]);
    assert_tokenized(TOKENIZE_13A, true, "\u00c9T\u00c9. &QUOT;", "\u00e9t\u00e9 . \"");
}

static void test_intl(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Hello, world!", "Hello , world !"},
        {"\u201cx\u201d \u2013 \u00abno\u00bb\u2026", "\u201c x \u201d \u2013 \u00ab no \u00bb \u2026"},
        {"1,000.50 and 3,a", "1,000.50 and 3 , a"},
        {"in 1990.", "in 1990."}, /* at a number and the end: stays */
        {"in 1990. Then", "in 1990 . Then"},
        {"a-b 2-3", "a - b 2-3"},
        {"3\u20ac=4$", "3 \u20ac = 4 $"},
        {"\u0663\u066b\u0665 \u2167.\u00bd", "\u0663\u066b\u0665 \u2167.\u00bd"}, /* numbers of other scripts */
        {"it's", "it ' s"},
        {"\u65e5\u3002\u672c\U0001f600x", "\u65e5 \u3002 \u672c \U0001f600 x"},
        {"&quot;", "& quot ;"},
        {"(\xff)", "( \xff )"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_tokenized(TOKENIZE_INTL, false, cases[i][0], cases[i][1]);
}

static void test_zh(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\u6211\u7231NLP\u3002", "\u6211 \u7231 NLP \u3002"},
        {"\uff08\uff21\uff09", "\uff08 \uff21 \uff09"},
        {"\u4e002.5\u4e2a,ok.", "\u4e00 2.5 \u4e2a , ok ."},
        {"a.b", "a . b"},
        {".5 and 5.", ".5 and 5."}, /* nothing stands before and behind */
        {"  .5", ".5"},
        {"\u201cx\u201d\u2014y\u2192", "\u201c x \u201d \u2014 y \u2192"}, /* U+2001-2A6D by mistake */
        {"\U00020000\U00020001", "\U00020000\U00020001"},                  /* instead of these */
        {"\u3042\u30a2\uac00", "\u3042\u30a2\uac00"},                      /* kana and hangul stay together */
        {"\u9fbb\u9fbc", "\u9fbb \u9fbc"},
        {"\u9fbc\u9fbd", "\u9fbc\u9fbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_tokenized(TOKENIZE_ZH, false, cases[i][0], cases[i][1]);
}

static void test_char_and_none(void **state)
{
    (void)state;
    assert_tokenized(TOKENIZE_CHAR, false, " a\u00e9\u3000\u65e5.\xff ", "a \u00e9 \u65e5 . \xff");
    assert_tokenized(TOKENIZE_CHAR, true, "A\u0130", "a i \u0307");
    assert_tokenized(TOKENIZE_NONE, false, "a.b,\u2028c  d-e ", "a.b, c d-e");
    assert_tokenized(TOKENIZE_NONE, false, "", "");
}

static void test_tercom(void **state)
{
    (void)state;
    const struct tercom usual = {0}, normalized = {.normalized = true}, no_punct = {.no_punct = true};
    assert_tercom(usual, " A b.  C, ", "a b. c,");
    assert_tercom((struct tercom){.case_sensitive = true}, "A b.", "A b.");
    assert_tercom(usual, "", "");
    assert_tercom(normalized, "a (b) 'c'.", "a ( b ) 'c' .");
    assert_tercom(normalized, "Jim's it's", "jim 's it 's");
    assert_tercom(normalized, "4.2, 1,000-2", "4.2 , 1,000 - 2");
    assert_tercom(normalized, "a\n-b\nc &lt;&amp;gt;", "ab c < >");
    assert_tercom(normalized, "\u6211\u7231\u3002", "\u6211\u7231\u3002");
    assert_tercom(no_punct, "A; b) \"c\": d. e-f", "a b c d e-f");
    assert_tercom(no_punct, "a\u3002b", "a\u3002b");
}

static void test_tercom_asian(void **state)
{
    (void)state;
    const struct tercom apart = {.normalized = true, .asian_support = true};
    assert_tercom(apart, "\u6211\u7231x\u3002", "\u6211 \u7231 x \u3002");
    assert_tercom(apart, "\u308a\u306e\u62f3\u9283\u3092\u6301", "\u308a\u306e \u62f3 \u9283 \u3092 \u6301");
    assert_tercom(apart, "\u30a2\u30fb\u30a4\uff01", "\u30a2 \u30fb \u30a4 \uff01");
    assert_tercom(apart, "\u201cx\u201d", "\u201cx\u201d");
    assert_tercom((struct tercom){.asian_support = true}, "\u6211\u7231", "\u6211\u7231");
    assert_tercom((struct tercom){.no_punct = true, .asian_support = true}, "a\u3002b\uff0c\uff1dc", "ab\uff1dc");
    assert_tercom((struct tercom){.normalized = true, .no_punct = true, .asian_support = true}, "\u6211.\u3002",
                  "\u6211");
}

static void test_lowercase(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"ABC \u00c9\u00df", "abc \u00e9\u00df"},
        {"\u0391\u03a3 \u03a3\u0391\u03a3\u0391", "\u03b1\u03c2 \u03c3\u03b1\u03c3\u03b1"},
        {"\u03a3", "\u03c3"},
        {"\u0391\u03a3'\u0391 \u0391\u0301\u03a3.", "\u03b1\u03c3'\u03b1 \u03b1\u0301\u03c2."},
        {"\u0130\u212a\u01c5", "i\u0307k\u01c6"},
        {"A\xff\xc3Z", "a\xff\xc3z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = {0};
        lowercase_add(&t, cases[i][0], strlen(cases[i][0]));
        assert_string_equal(text_c(&t), cases[i][1]);
        text_free(&t);
    }
}

/* A number for each distinct word, the same in both. */
static void test_numbers(void **state)
{
    (void)state;
    struct sequence a = {0}, b = {0};
    struct error e;
    uint32_t of_a[4], of_b[3];
    size_t distinct;
    assert_ok(sequence_words(&a, "x yy x z", 8, &e), &e);
    assert_ok(sequence_words(&b, "yy w x", 6, &e), &e);
    assert_ok(sequences_number(&a, &b, of_a, of_b, &distinct, &e), &e);
    assert_int_equal(distinct, 4);
    assert_true(of_a[0] == of_a[2] && of_a[0] == of_b[2] && of_a[1] == of_b[0]);
    assert_true(of_a[0] != of_a[1] && of_a[0] != of_a[3] && of_a[3] != of_b[1] && of_b[1] != of_b[0]);
    for (size_t i = 0; i < 4; i++) assert_true(of_a[i] < 4);
    sequence_free(&a);
    sequence_free(&b);
    assert_ok(sequences_number(&a, &b, NULL, NULL, &distinct, &e), &e);
    assert_int_equal(distinct, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_13a),           cmocka_unit_test(test_intl),    cmocka_unit_test(test_zh),
        cmocka_unit_test(test_char_and_none), cmocka_unit_test(test_tercom),  cmocka_unit_test(test_tercom_asian),
        cmocka_unit_test(test_lowercase),     cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests_name("metrics/tokenizers", tests, NULL, NULL);
}
