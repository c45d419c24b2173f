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
    };
    check(escape_csv, cases, sizeof cases / sizeof *cases);
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
        cmocka_unit_test(test_appends),
    };
    return cmocka_run_group_tests_name("reports/escape", tests, NULL, NULL);
}
