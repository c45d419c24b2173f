#include "tests/testing.h"

#include "reports/report.h"

struct escaped {
    const char *in, *out;
};

static void check(void (*escape)(struct text *, const char *), const struct escaped *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct text out = {0};
        escape(&out, cases[i].in);
        assert_string_equal(text_c(&out), cases[i].out);
        text_free(&out);
    }
}

static void test_csv(void **state)
{
    (void)state;
    static const struct escaped cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"a=b", "a=b"},
        {"=1+1", "'=1+1"},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@f32", "'@f32"},
        {"\tx", "'\tx"},
        {"\rx", "'\rx"},
        {" =1", "' =1"},
        {"\n=1", "'\n=1"},
        {"'quoted'", "'quoted'"},
        {"millbrook-llama@gguf:q8_0", "millbrook-llama@gguf:q8_0"},
        {"a,\"b\"\nc", "a,\"b\"\nc"},
        {"'=1", "''=1"},
        {"'", "'"},
        {"\xEF\xBC\x9D"
         "1",
         "'\xEF\xBC\x9D"
         "1"}, /* full-width = */
        {"\xEF\xBB\xBF=1", "'\xEF\xBB\xBF=1"},
        {"\xE2\x80\x8B\xC2\xA0@SUM(A1)", "'\xE2\x80\x8B\xC2\xA0@SUM(A1)"},
    };
    check(escape_csv, cases, sizeof cases / sizeof *cases);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(unescape_csv(cases[i].out), cases[i].in);
    assert_string_equal(unescape_csv("=1"), "=1"); /* written by hand */
}

static void test_markdown(void **state)
{
    (void)state;
    static const struct escaped cases[] = {
        {"", ""},
        {"plain text, 1.5 (x) - y", "plain text, 1.5 (x) - y"},
        {"exact_match", "exact_match"},
        {"_emphasis_", "&#95;emphasis&#95;"},
        {"a_", "a&#95;"},
        {"a|b", "a&#124;b"},
        {"a\\", "a&#92;"},
        {"`code`", "&#96;code&#96;"},
        {"<b>&amp;", "&#60;b&#62;&#38;amp;"},
        {"[a](b)", "&#91;a&#93;(b)"},
        {"**x** ~~y~~ $z$", "&#42;&#42;x&#42;&#42; &#126;&#126;y&#126;&#126; &#36;z&#36;"},
        {"\"'", "&#34;&#39;"},
        {"http://x", "http&#58;//x"},
        {"int8:absmax", "int8:absmax"},
        {"www.x.y", "www&#46;x.y"},
        {"a\nb\tc\rd", "a&#92;nb&#92;tc&#92;x0Dd"},
        {"\033[31m", "&#92;x1B&#91;31m"},
        {"\xE2\x80\xAE"
         "abc",
         "&#92;u{202E}abc"},
        {"\xE2\x81\xA6"
         "abc",
         "&#92;u{2066}abc"},
        {"\xFF", "&#92;xFF"},
        {"M\xC3\xBChle", "M\xC3\xBChle"},
    };
    check(escape_markdown, cases, sizeof cases / sizeof *cases);
}

static void test_html(void **state)
{
    (void)state;
    static const struct escaped cases[] = {
        {"", ""},
        {"plain & <b>\"'", "plain &#38; &#60;b&#62;&#34;&#39;"},
        {"]]>", "]]&#62;"},
        {"&amp;", "&#38;amp;"},
        {"a\nb\tc\rd\033[31m", "a\\nb\\tc\\x0Dd\\x1B[31m"},
        {"\xED\xA0\x80", "\\xED\\xA0\\x80"},                /* a surrogate by itself */
        {"\xEF\xBF\xBE\xEF\xBF\xBF", "\\u{FFFE}\\u{FFFF}"}, /* no characters of XML 1.0 */
        {"\xF4\x8F\xBF\xBF\xEF\xB7\x90", "\\u{10FFFF}\\u{FDD0}"},
        {"\xC2\x85\xE2\x80\xA8", "\\u{0085}\\u{2028}"},
        {"\xC2\xAD\xE2\x80\x8B\xE2\x80\x8D\xEF\xBB\xBF\xF3\xA0\x81\x81",
         "\\u{00AD}\\u{200B}\\u{200D}\\u{FEFF}\\u{E0041}"},
        {"M\xC3\xBChle \xF0\x9F\x98\x80", "M\xC3\xBChle \xF0\x9F\x98\x80"},
    };
    check(escape_html, cases, sizeof cases / sizeof *cases);
}

static void test_appends(void **state)
{
    (void)state;
    struct text out = {0};
    escape_csv(&out, "a");
    escape_csv(&out, "=b");
    escape_markdown(&out, "|");
    assert_string_equal(text_c(&out), "a'=b&#124;");
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_html),
        cmocka_unit_test(test_appends),
    };
    return cmocka_run_group_tests_name("reports/escape", tests, NULL, NULL);
}
