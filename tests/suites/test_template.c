#include "tests/testing.h"

#include "suites/template.h"

#include <stdlib.h>
#include <string.h>

/* Renders SOURCE over the document and returns the status. */
static int render(const char *source, const char *document, struct text *out, struct error *e)
{
    struct template t;
    json_t *doc = json_loads(document, 0, NULL);
    assert_non_null(doc);
    int status = template_parse(&t, source, "here", e);
    if (!status) {
        status = template_render(&t, doc, out, e);
        template_free(&t);
    }
    json_decref(doc);
    return status;
}

static void renders_fields_and_text(void **state)
{
    (void)state;
    static const struct {
        const char *source, *document, *rendered;
    } cases[] = {
        {"", "{}", ""},
        {"only text, { and } and }} too", "{}", "only text, { and } and }} too"},
        {"{{a}}", "{\"a\": \"x\"}", "x"},
        {"{{ a }}{{a}}", "{\"a\": \"x\"}", "xx"},
        {"English: {{source}}\nSpanish:", "{\"source\": \"Go.\"}", "English: Go.\nSpanish:"},
        {"<{{a b}}>", "{\"a b\": \"\"}", "<>"},
        {"{{a}}", "{\"a\": \"{{b}}\", \"b\": \"never\"}", "{{b}}"},
        {"{{i}} {{t}} {{f}}", "{\"i\": -7, \"t\": true, \"f\": false}", "-7 true false"},
        {"{{a}} {{b}} {{c}}", "{\"a\": 0.1, \"b\": 2.0, \"c\": 0.30000000000000004}", "0.1 2.0 0.30000000000000004"},
        {"{{año}}", "{\"año\": \"¿Qué?\"}", "¿Qué?"},
        {"<{{a|trim}}>", "{\"a\": \" \\t x y\\u3000\\n\"}", "<x y>"},
        {"<{{a.strip()}}{{ a.lstrip() }}{{a.rstrip( )}}>", "{\"a\": \" x \"}", "<xx  x>"},
        {"{{a|lower}} {{a|upper}} {{a | capitalize}}", "{\"a\": \"éTÉ ñ\"}", "été ñ ÉTÉ Ñ Été ñ"},
        {"{{a|replace(\"b\", 'xx')|replace('x', '')}}", "{\"a\": \"abcb\"}", "ac"},
        {"{{a.replace('\\'', '\\n')}}", "{\"a\": \"it's\"}", "it\ns"},
        {"{{l|join(\", \")}} {{l|join}} {{none|join('x')}}", "{\"l\": [\"p\", \"q\"], \"none\": []}", "p, q pq "},
        {"{{l[0]}}{{l[-1]}}{{l[1]}}", "{\"l\": [\"p\", 7]}", "p77"},
        {"{{o.text[1]}} {{o[\"a b\"]}}", "{\"o\": {\"text\": [\"p\", \"q\"], \"a b\": 1}}", "q 1"},
        {"{{o.label.index(key)}}", "{\"o\": {\"label\": [\"A\", \"B\"]}, \"key\": \"B\"}", "1"},
        {"{{l.index(7)}}{{l.index('p')}}", "{\"l\": [\"p\", 7]}", "10"},
        {"{{a.split('####')[-1].strip()}}", "{\"a\": \"so it is\\n#### 18 \"}", "18"},
        {"{{#1 String}}", "{\"#1 String\": \"x\"}", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct text out = {0};
        assert_ok(render(cases[i].source, cases[i].document, &out, &e), &e);
        assert_string_equal(text_c(&out), cases[i].rendered);
        text_free(&out);
    }
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *source, *document, *words;
    } cases[] = {
        {"{{a", "{}", "here: a {{ has no }} after it"},
        {"{{ }}", "{}", "here: {{}} has no field name in it"},
        {"{{a|trin}}", "{}", "here: {{a|trin}}: trin: no such filter, did you mean \"trim\"?"},
        {"{{a|int}}", "{}",
         "here: {{a|int}}: int: no such filter: there are trim, lower, upper, capitalize, replace, join"},
        {"{{a.trim()}}", "{}", "here: {{a.trim()}}: trim: no such method"},
        {"{{a.zfill()}}", "{}", "zfill: no such method: there are lower, upper, capitalize, replace, strip, "},
        {"{{a(}}", "{}", "here: {{a(}}: \"(\" is too much"},
        {"{{a|replace('b')}}", "{}", "replace: takes 2 arguments, 1 given"},
        {"{{a|replace('b', 'c', 'd')}}", "{}", "too many arguments"},
        {"{{a|replace('b', 'c'}}", "{}", "a \",\" is missing at the end"},
        {"{{a|replace('b)}}", "{}", "a ' has no second one"},
        {"{{a[b]}}", "{}", "between [ and ] stands a whole number or a \"key\""},
        {"{{a[0}}", "{}", "a \"]\" is missing at the end"},
        {"{{a.}}", "{}", "a name is missing"},
        {"{{|trim}}", "{}", "a name is due before \"|trim\""},
        {"{{a.index(a.index(a.index(a.index(a.index(a.index(a.index(a.index(a))))))))}}", "{}", "nested too deeply"},
        {"{{a|lower}}", "{\"a\": 7}", "{{a|lower}}: lower: is done to a text alone"},
        {"{{a|join}}", "{\"a\": \"x\"}", "join: is done to a list alone"},
        {"{{a|join}}", "{\"a\": [1]}", "join: entry 0 of the list is no text"},
        {"{{a|join(b)}}", "{\"a\": [\"x\"], \"b\": 1}", "join: what is put between is no text"},
        {"{{a[2]}}", "{\"a\": [1]}", "[2]: the list has 1 entries"},
        {"{{a[-2]}}", "{\"a\": [1]}", "[-2]: the list has 1 entries"},
        {"{{a[0]}}", "{\"a\": \"x\"}", "[0]: is no list"},
        {"{{a.b}}", "{\"a\": \"x\"}", "b: there is nothing to take it from"},
        {"{{a.labl}}", "{\"a\": {\"label\": 1}}", "the document has no such field, did you mean \"label\"?"},
        {"{{a.index(b)}}", "{\"a\": [\"x\"], \"b\": \"y\"}", "index: the list has no \"y\""},
        {"{{a.split('')}}", "{\"a\": \"x\"}", "split: the text to look for is empty"},
        {"{{a|replace('x', b)}}", "{\"a\": \"x\", \"b\": 1}", "replace: what is put in is no text"},
        {"{% if a %}x", "{}", "here: {% and {# are not accepted"},
        {"{{contxt}}", "{\"context\": \"\"}", "{{contxt}}: the document has no such field, did you mean \"context\"?"},
        {"{{zzzzzz}}", "{\"context\": \"\"}", "{{zzzzzz}}: the document has no such field"},
        {"{{a}}", "{\"a\": [\"x\"]}", "{{a}}: is a list"},
        {"{{a}}", "{\"a\": {}}", "{{a}}: is an object"},
        {"{{a}}", "{\"a\": null}", "{{a}}: is null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct text out = {0};
        assert_error(render(cases[i].source, cases[i].document, &out, &e), &e, ERROR_INPUT, cases[i].words);
        text_free(&out);
    }
}

static void gives_the_value_of_a_single_expression(void **state)
{
    (void)state;
    json_t *doc = json_loads("{\"list\": [1, 2], \"n\": 3}", 0, NULL);
    static const struct {
        const char *source, *value; /* NULL: it is text */
    } cases[] = {{"{{list}}", "[1, 2]"}, {"{{n}}", "3"}, {" {{n}}", NULL},
                 {"{{n}}{{n}}", NULL},   {"n", NULL},    {"{{list[1]}}", "2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct template t;
        assert_ok(template_parse(&t, cases[i].source, "here", &e), &e);
        assert_int_equal(template_is_value(&t), cases[i].value != NULL);
        json_t *due = cases[i].value ? json_loads(cases[i].value, JSON_DECODE_ANY, NULL) : NULL;
        json_t *got = cases[i].value ? template_value(&t, doc, &e) : NULL;
        assert_true(due == got || json_equal(due, got));
        json_decref(due);
        json_decref(got);
        template_free(&t);
    }
    json_decref(doc);
}

/* A text that grows with every step ends in an error before it takes the machine's memory. */
static void texts_do_not_grow_without_end(void **state)
{
    (void)state;
    struct text source = {0}, out = {0};
    struct error e = {0};
    text_add(&source, "{{a");
    for (int i = 0; i < 8; i++) text_printf(&source, "|replace('x', '%0200d')|replace('0', 'x')", 0);
    text_add(&source, "}}");
    assert_error(render(text_c(&source), "{\"a\": \"x\"}", &out, &e), &e, ERROR_INPUT,
                 "the text has more than 67108864 bytes");
    text_free(&source);
    text_free(&out);
    text_add(&source, "{\"list\": [");
    for (int i = 0; i < 1000; i++) text_add(&source, "\"\", ");
    text_printf(&source, "\"\"], \"between\": \"%0100000d\"}", 0);
    assert_error(render("{{list|join(between)}}", text_c(&source), &out, &e), &e, ERROR_INPUT,
                 "join: the text has more than 67108864 bytes");
    text_free(&source);
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_fields_and_text),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(gives_the_value_of_a_single_expression),
        cmocka_unit_test(texts_do_not_grow_without_end),
    };
    return cmocka_run_group_tests_name("suites/template", tests, NULL, NULL);
}
