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
        {"{{a|trim}}", "{}", "here: {{a: only the name of a field stands between"},
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

static void gives_the_value_of_a_single_field(void **state)
{
    (void)state;
    json_t *doc = json_loads("{\"list\": [1, 2], \"n\": 3}", 0, NULL);
    static const struct {
        const char *source;
        bool is_value;
    } cases[] = {{"{{list}}", true},    {"{{n}}", true}, {" {{n}}", false},
                 {"{{n}}{{n}}", false}, {"n", false},    {"{{none}}", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct template t;
        assert_ok(template_parse(&t, cases[i].source, "here", &e), &e);
        assert_int_equal(template_value(&t, doc) != NULL, cases[i].is_value);
        template_free(&t);
    }
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_fields_and_text),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(gives_the_value_of_a_single_field),
    };
    return cmocka_run_group_tests_name("suites/template", tests, NULL, NULL);
}
