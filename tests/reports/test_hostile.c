/* Text from models, data and edited files, with what each sink would act on, at every place of a comparison and in every
 * sink: a terminal, a spreadsheet, Markdown, HTML, XML. */
#include "engine/base/json.h"
#include "tests/reports/edit.h"

#include "reports/report.h"
#include <csv.h>
#include <ctype.h>

static const char *const hostile[] = {
    "<script>alert(1)</script>",
    "</code></title></style></svg></textarea><img src=x onerror=alert(1)>",
    "\" onload=\"alert(1)",
    "' onload='alert(1)",
    "&amp;&lt;b&gt;&#60;",
    "]]> <!-- --> <![CDATA[ <?xml?>",
    "\033[31mred\033]52;c;aGk=\007\033]0;owned\033\\",
    "=cmd()",
    "@SUM(A1)",
    "+1",
    "-1+1",
    "\t=1",
    "\r=1",
    "'=1",
    "\xEF\xBB\xBF=1",
    "\xEF\xBC\x9D"
    "1+1", /* full-width = */
    "\xE2\x80\xAEgnp.x\xE2\x80\xAC\xE2\x81\xA6y\xE2\x81\xA9",
    "a\r\nb\tc\x08\x0B\x7F\xC2\x85\xC2\x9B",
    "\n\n# heading\n```\nfence\n```\n|a|\n",
    "a|b\\|c||",
    "[link](javascript:alert(1)) <http://x.y> https://x.y www.x.y",
    "**bold** ~~gone~~ $x$ `y` @everyone #1 !2",
    "\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\x8B\xE2\x80\x8C\xE2\x80\x8D\xE2\x80\x8E\xE2\x80\x8F\xEF\xBB\xBF\xC2\xAD",
    "\xEF\xBF\xBE\xEF\xBF\xBF\xF4\x8F\xBF\xBF",
    "%n%s%1$n {{x}} ${x} \\u0000",
    "",
};
enum { HOSTILES = sizeof hostile / sizeof *hostile };

static const char *const places[] = {
    "subjects/0/name",    "subjects/1/name",    "subjects/1/model",       "subjects/1/backend",    "subjects/1/math",
    "subjects/1/sha256",  "subjects/1/id",      "subjects/1/run",         "subjects/1/started",    "subjects/1/kerf",
    "subjects/1/machine", "subjects/3/source",  "rows/0/suite",           "rows/1/suite",          "rows/1/metric",
    "rows/2/unit",        "rows/2/fingerprint", "rows/3/cells/1/refused", "rows/6/cells/3/reason", "rows/2/suite",
    "canaries/0/suite",   "canaries/0/name",    "canaries/0/reason",      "kerf/version",          "kerf/commit",
    "machine/cpu",        "machine/isa",        "subjects/2/math",        "rows/3/cells/2/reason", "rows/5/metric",
};
enum { PLACES = sizeof places / sizeof *places };

static void poison(json_t *c, const char *path, const char *text)
{
    json_t *value = json_string(text);
    assert_non_null(value);
    if (strstr(path, "/source")) value = json_pack("{s:o}", "tool", value);
    if (strstr(path, "/kerf")) value = json_pack("{s:O, s:o}", "version", value, "commit", value);
    if (strstr(path, "/machine")) value = json_pack("{s:O, s:o, s:i}", "cpu", value, "isa", value, "threads", 2);
    char *json = json_dump_text(value, JSON_ENCODE_ANY, NULL);
    edit(c, path, json);
    free(json);
    json_decref(value);
}

static json_t *prepared(void)
{
    json_t *c = golden(COMPARISON);
    edit(c, "canaries", "[{\"suite\": \"endings\", \"subject\": 3, \"name\": \"chance\", \"reason\": \"a\"}]");
    edit(c, "rows/3/cells/1/difference", "null");
    return c;
}

/* The small comparison with this text at one place, or at all of them. */
static json_t *poisoned(const char *text, size_t first, size_t n)
{
    json_t *c = prepared();
    for (size_t i = first; i < first + n; i++) poison(c, places[i], text);
    return c;
}

/* What no reader's eye and no terminal should meet: controls, marks of direction, what has no width, no character. */
static void assert_plain(const char *text, const char *of, const char *also)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = utf8_decode(text + i, n - i, &c);
        if (!size) fail_msg("%s: not UTF-8: %.60s", of, text + i);
        const bool control = (c < 0x20 && c != '\n' && !strchr(also, (int)c)) || (c >= 0x7F && c < 0xA0);
        const bool unseen = c == 0xAD || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
                            (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF || (c & 0xFFFE) == 0xFFFE;
        if (control || unseen) fail_msg("%s: U+%04X before: %.60s", of, (unsigned)c, text + i + size);
        i += size;
    }
}

/* --- spreadsheets --- */

struct sheet {
    const char *of;
    size_t fields, columns, lines;
};

static void take_field(void *field, size_t n, void *user)
{
    struct sheet *s = user;
    const char *text = field ? field : "";
    char *end;
    s->fields++;
    if (*text == '-' && strtod(text, &end) < 0 && !*end) return; /* a number that is negative */
    if (*text && strchr("=+-@\t\r", *text)) fail_msg("%s: a spreadsheet reckons: %.*s", s->of, (int)n, text);
}

static void take_line(int c, void *user)
{
    struct sheet *s = user;
    (void)c;
    if (s->lines++ == 0) s->columns = s->fields;
    assert_int_equal(s->fields, s->columns);
    s->fields = 0;
}

static void check_csv(const json_t *c, const char *of)
{
    char *bytes = NULL;
    size_t n = 0;
    struct error e;
    FILE *out = open_memstream(&bytes, &n);
    const int status = report_leaderboard(c, out, &e);
    fclose(out);
    assert_ok(status, &e);
    struct csv_parser p;
    struct sheet s = {.of = of};
    assert_int_equal(csv_init(&p, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL), 0);
    assert_int_equal(csv_parse(&p, bytes, n, take_field, take_line, &s), n);
    assert_int_equal(csv_fini(&p, take_field, take_line, &s), 0);
    csv_free(&p);
    assert_int_equal(s.lines, 5);
    free(bytes);
}

/* --- HTML and XML --- */

static const char *pass_over(const char *s, const char *set) { return s + strspn(s, set); }

/* One tag at s, from "<" on: adds its name and those of its attributes to *names, and returns what follows it. Values
 * stand in quotes and hold no "<"; nothing else is between them. */
static const char *read_tag(const char *s, const char *of, struct text *names)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:!";
    const char *start = s++;
    const bool closing = *s == '/';
    s += closing;
    const size_t n = strspn(s, letters);
    if (!n) fail_msg("%s: a stray <: %.80s", of, start);
    text_printf(names, "%s<%.*s", closing ? "/" : "", (int)n, s);
    for (s = pass_over(s + n, " \n"); *s && *s != '>' && *s != '/'; s = pass_over(s, " \n")) {
        const size_t name = strspn(s, letters);
        if (!name) fail_msg("%s: no attribute: %.80s", of, s);
        text_printf(names, " %.*s", (int)name, s);
        if (strncmp(s, "on", 2) == 0 || strncmp(s, "xlink", 5) == 0) fail_msg("%s: acts: %.80s", of, s);
        s += name;
        if (*s != '=') continue;
        const char quote = *++s;
        const char *end = quote == '"' || quote == '\'' ? strchr(s + 1, quote) : NULL;
        if (!end || memchr(s, '<', (size_t)(end - s))) fail_msg("%s: a value: %.80s", of, s);
        s = end + 1;
    }
    s += *s == '/';
    if (*s != '>') fail_msg("%s: no end: %.80s", of, start);
    text_char(names, '>');
    return s + 1;
}

/* A reference that XML has without a DTD: by number, or one of five names. */
static bool is_reference(const char *s)
{
    static const char *const five[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    for (size_t i = 0; i < 5; i++)
        if (strncmp(s, five[i], strlen(five[i])) == 0) return true;
    return s[1] == '#' && isdigit((unsigned char)s[2]) && s[2 + strspn(s + 2, "0123456789")] == ';';
}

/* The tags of a document in their order, with the names of their attributes; fails where what is between them is not
 * escaped. Scripts and styles are the program's own and skipped. */
static char *skeleton(const char *s, const char *of)
{
    struct text names = {0};
    if (strncmp(s, "<?xml", 5) == 0) s = strstr(s, "?>") + 2;
    if (strncmp(s, "<!DOCTYPE html>", 15) == 0) s += 15;
    while (*s) {
        if (*s == '&' && !is_reference(s)) fail_msg("%s: a stray &: %.80s", of, s);
        if (*s == '>') fail_msg("%s: a stray >: %.80s", of, s);
        if (*s != '<') {
            s++;
            continue;
        }
        const bool style = strncmp(s, "<style", 6) == 0, script = strncmp(s, "<script", 7) == 0;
        s = read_tag(s, of, &names);
        if (style || script) s = strstr(s, style ? "</style>" : "</script>");
        assert_non_null(s);
    }
    return names.bytes;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *s = text; (s = strstr(s, part)); s += strlen(part)) n++;
    return n;
}

/* Charts lay names out, so their elements may differ in number; what acts may not. */
static void check_html(const json_t *c, const char *of)
{
    struct text out = {0}, notes = {0};
    struct error e;
    assert_ok(report_page(c, "tests/goldens", &out, &notes, &e), &e);
    assert_plain(text_c(&out), of, "\t");
    assert_plain(text_c(&notes), of, "");
    char *names = skeleton(text_c(&out), of);
    static const char *const never[] = {"<img",  "<iframe", "<object",        "<embed",
                                        "<form", "<base",   "<foreignObject", "<use"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(names, never[i])) fail_msg("%s: %s in index.html", of, never[i]);
    assert_int_equal(count(names, "<script"), 2); /* opened and closed */
    assert_int_equal(count(names, "<style"), 2);
    assert_int_equal(count(names, "<html"), 2);
    free(names);
    text_free(&out);
    text_free(&notes);
}

static void check_xml(const json_t *c, const char *of, const char *wanted)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_junit(c, &out, &e), &e);
    assert_plain(text_c(&out), of, "");
    char *names = skeleton(text_c(&out), of);
    if (wanted && strcmp(names, wanted) != 0) fail_msg("%s: junit.xml has other elements", of);
    free(names);
    text_free(&out);
}

/* --- a terminal and Markdown --- */

static void check_terminal(const json_t *c, const char *of)
{
    struct error e;
    for (int width = 40; width <= 200; width += 80) {
        struct text out = {0};
        assert_ok(report_table(c, &(struct table_style){.width = width}, &out, &e), &e);
        assert_plain(text_c(&out), of, "");
        text_free(&out);
    }
    struct text out = {0};
    assert_ok(report_answer(c, &out, &e), &e);
    assert_plain(text_c(&out), of, "");
    text_free(&out);
}

/* Every line is one that the page has by itself, and every row of a table has as many cells as its head. */
static void check_markdown(const json_t *c, const char *of)
{
    struct text out = {0};
    struct error e;
    size_t cells = 0;
    assert_ok(report_markdown(c, &out, &e), &e);
    assert_plain(text_c(&out), of, "");
    for (const char *s = text_c(&out); *s; s += strcspn(s, "\n") + 1) {
        const size_t n = strcspn(s, "\n");
        size_t pipes = 0;
        for (size_t i = 0; i < n; i++) {
            pipes += s[i] == '|';
            if (strchr("`\\$~", s[i])) fail_msg("%s: marks: %.80s", of, s + i);
            if (s[i] == '[' && !isdigit((unsigned char)s[i + 1]) && !strchr("+-", s[i + 1]))
                fail_msg("%s: a link: %.80s", of, s + i);
            if (s[i] == '<' && s[i + 1] != ' ' && strncmp(s + i, "<code>", 6) && strncmp(s + i, "</code>", 7) &&
                strncmp(s + i, "<details>", 9) && strncmp(s + i, "</details>", 10) && strncmp(s + i, "<summary>", 9) &&
                strncmp(s + i, "</summary>", 10))
                fail_msg("%s: a tag: %.80s", of, s + i);
        }
        if (*s != '|')
            cells = 0;
        else if (!cells)
            cells = pipes;
        else if (pipes != cells)
            fail_msg("%s: %zu cells, not %zu: %.*s", of, pipes, cells, (int)n, s);
        if (*s == '#' && s != text_c(&out)) fail_msg("%s: a heading: %.80s", of, s);
    }
    if (strstr(out.bytes, "://") || strstr(out.bytes, "www.")) fail_msg("%s: a link in report.md", of);
    text_free(&out);
}

/* --- all of them --- */

static char *plain_junit(size_t first, size_t n)
{
    struct text out = {0};
    struct error e;
    json_t *c = poisoned("plain", first, n);
    assert_ok(report_junit(c, &out, &e), &e);
    char *names = skeleton(text_c(&out), "plain");
    text_free(&out);
    json_decref(c);
    return names;
}

static void check_all(const char *text, const char *of, size_t first, size_t n, const char *junit)
{
    json_t *c = poisoned(text, first, n);
    check_terminal(c, of);
    check_markdown(c, of);
    check_csv(c, of);
    check_xml(c, of, junit);
    json_decref(c);
}

static void test_one_place_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < PLACES; i++) {
        for (size_t k = 0; k < test_items(HOSTILES); k++) {
            char of[160];
            snprintf(of, sizeof of, "%s, text %zu", places[i], k);
            check_all(hostile[k], of, i, 1, NULL);
        }
    }
}

static void test_all_places(void **state)
{
    (void)state;
    char *junit = plain_junit(0, PLACES);
    for (size_t k = 0; k + 1 < HOSTILES; k++) {
        char of[64];
        snprintf(of, sizeof of, "all places, text %zu", k);
        check_all(hostile[k], of, 0, PLACES, junit);
    }
    free(junit);
}

/* gnuplot takes nearly all of the time, and draws the same few texts at the same few places. */
static void test_the_page_without_charts(void **state)
{
    (void)state;
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    for (size_t k = 0; k + 1 < test_items(HOSTILES); k++) {
        char of[64];
        snprintf(of, sizeof of, "the page, text %zu", k);
        json_t *c = poisoned(hostile[k], 0, PLACES);
        check_html(c, of);
        json_decref(c);
    }
    setenv("PATH", path, 1);
    free(path);
}

/* Another text at every place. */
static void test_the_page(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 2; shift++) {
        json_t *c = prepared();
        for (size_t i = 0; i < PLACES; i++) poison(c, places[i], hostile[(i + shift * HOSTILES / 2) % (HOSTILES - 1)]);
        check_html(c, "the page with charts");
        json_decref(c);
    }
}

/* A name of any length costs little in what is laid out. */
static void test_very_long_words(void **state)
{
    (void)state;
    enum { LONG = 50000 };
    char *word = malloc(LONG + 1);
    assert_non_null(word);
    memset(word, 'W', LONG);
    word[LONG] = 0;
    json_t *c = poisoned(word, 0, PLACES);
    struct text out = {0};
    struct error e;
    assert_ok(report_markdown(c, &out, &e), &e);
    if (out.length > 65536) fail_msg("report.md: %zu bytes", out.length);
    text_clear(&out);
    assert_ok(report_table(c, &(struct table_style){.width = 100}, &out, &e), &e);
    text_free(&out);
    check_csv(c, "a long word");
    check_xml(c, "a long word", NULL);
    json_decref(c);
    free(word);
}

static void test_a_run(void **state)
{
    (void)state;
    static const char *const of_a_run[] = {"subject/name", "suites/0/name", "suites/0/metrics/0/name",
                                           "suites/0/metrics/0/reason", "suites/0/metrics/0/unit"};
    for (size_t k = 0; k < HOSTILES; k++) {
        json_t *run = golden("tests/goldens/run-small.json"), *word = json_string(hostile[k]);
        char *json = json_dump_text(word, JSON_ENCODE_ANY, NULL);
        struct text out = {0};
        struct error e;
        for (size_t i = 0; i < sizeof of_a_run / sizeof *of_a_run; i++) edit(run, of_a_run[i], json);
        assert_ok(report_run_table(run, &(struct table_style){.width = 80}, &out, &e), &e);
        assert_plain(text_c(&out), "a run", "");
        text_free(&out);
        free(json);
        json_decref(word);
        json_decref(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_place_each),  cmocka_unit_test(test_all_places),
        cmocka_unit_test(test_the_page),        cmocka_unit_test(test_the_page_without_charts),
        cmocka_unit_test(test_very_long_words), cmocka_unit_test(test_a_run),
    };
    return cmocka_run_group_tests_name("reports/hostile", tests, NULL, NULL);
}
