#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/json_walk.h"
#include "engine/base/random.h"
#include "engine/base/text.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_read(void **state)
{
    (void)state;
    struct error e;
    char *folder = folder_temporary();
    static const char text[] = "{\"a\": [1, 2.5, \"\\u00e9\"]}\n";
    char *path = file_put(folder, "x.json", text, strlen(text));
    json_t *v = json_read_file(path, &e);
    assert_non_null(v);
    const json_t *a = json_object_get(v, "a");
    assert_int_equal(json_integer_value(json_array_get(a, 0)), 1);
    assert_string_equal(json_string_value(json_array_get(a, 2)), "\xc3\xa9");
    json_decref(v);
    free(path);
    path = path_join(folder, "absent.json", &e);
    assert_null(json_read_file(path, &e));
    assert_error((int)e.code, &e, ERROR_IO, "absent.json: open: No such file or directory");
    assert_null(json_read_file(folder, &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "is a folder");
    free(path);
    v = json_read_bytes("7 ", 2, "here", &e); /* any value may stand alone */
    assert_int_equal(json_integer_value(v), 7);
    json_decref(v);
    folder_remove(folder);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "data.jsonl: line 3: line 1, column 0: "},
        {"{\"a\": 1,\n \"b\" 2}", "data.jsonl: line 3: line 2, column 6: ':' expected near '2'"},
        {"{\"a\": 1, \"a\": 2}", "duplicate object key"},
        {"{\"x\": {\"a\": 1, \"a\": 2}}", "duplicate object key"},
        {"[1] [2]", "end of file expected"},
        {"[1, 2", "line 1, column 5: "},
        {"[\"line\nbreak\"]", "unexpected newline"},
        {"[\"\xff\"]", "unable to decode byte 0xff"},
        {"[NaN]", "line 1, column "},
        {"[1e999]", "real number overflow"},
        {"[01]", "line 1, column "},
        {"[\1]", "invalid token near ' '"}, /* what is quoted has no control characters */
    };
    struct error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(json_read_bytes(cases[i].text, strlen(cases[i].text), "data.jsonl: line 3", &e));
        assert_error((int)e.code, &e, ERROR_INPUT, cases[i].says);
    }
    assert_null(json_read_line("[1, 2", 5, &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "column 5: ");
    assert_int_equal(strncmp(e.text, "column", 6), 0);
    assert_null(json_read_bytes("[1\0]", 4, "nul", &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "nul: byte 2: a NUL byte");
}

/* Through the whole of a text as at its beginning: what costs more than is allowed is refused, and said to be. */
static void test_bounded(void **state)
{
    (void)state;
    enum { LISTS = 1000000 };
    struct text t = {0};
    struct error e;
    json_t *v = json_read_bounded("{\"a\": 1}", 8, &e);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 1);
    json_decref(v);
    text_char(&t, '[');
    for (int i = 0; i < LISTS; i++) text_add(&t, "[],");
    text_add(&t, "1]");
    assert_null(json_read_bounded(t.bytes, t.length, &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "takes more than the 24 MB of memory that are allowed for it");
    assert_null(json_read_line(t.bytes, t.length, &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "takes more than the 115 MB of memory that are allowed for it");
    assert_null(json_read_bytes(t.bytes, t.length, "here", &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "here: takes more than the 115 MB of memory that are allowed for it");
    text_clear(&t);
    text_add(&t, "[\"");
    for (int i = 0; i < 60 << 20; i++) text_char(&t, 'x');
    text_add(&t, "\"]");
    assert_null(json_read_bounded(t.bytes, t.length, &e));
    v = json_read_line(t.bytes, t.length, &e); /* a document that is a file */
    assert_int_equal(json_string_length(json_array_get(v, 0)), 60 << 20);
    json_decref(v);
    text_free(&t);
}

/* Entries of objects and lists. */
static void test_walks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char kind;
        const char *entries; /* "key=value;" of each */
        const char *says;    /* NULL: all is well */
    } cases[] = {
        {" { } ", '{', "", NULL},
        {"[]\n", '[', "", NULL},
        {"{\"a\":1,\"b\" : [1,{\"c\":\"]}\"}] , \"a\":\"\\\"\"}", '{', "a=1;b=[1,{\"c\":\"]}\"}];a=\"\\\"\";", NULL},
        {"[1, \"x,y\",{},[] ,null]", '[', "0=1;1=\"x,y\";2={};3=[];4=null;", NULL},
        {"{\"\\u00e9\\n\":7}", '{', "\xC3\xA9\n=7;", NULL},
        {"", '{', "", "line 1, column 0: ends where a { is due"},
        {"[]", '{', "", "line 1, column 1: \"[\" stands where a { is due"},
        {"[1,]", '[', "0=1;", "line 1, column 4: \"]\" stands where a value is due"},
        {"[,1]", '[', "", "line 1, column 2: \",\" stands where a value is due"},
        {"[1 2]", '[', "0=1;", "line 1, column 4: \"2\" stands where a , or ] is due"},
        {"[1", '[', "", "line 1, column 2: a value has no end"},
        {"[1}", '[', "0=1;", "line 1, column 3: \"}\" stands where a , or ] is due"},
        {"[1] []", '[', "0=1;", "line 1, column 5: \"[\" stands where the end is due"},
        {"[1,\n2,\n 3 4]", '[', "0=1;1=2;2=3;", "line 3, column 4: \"4\" stands where a , or ] is due"},
        {"{\"a\" 1}", '{', "", "line 1, column 6: \"1\" stands where a : is due"},
        {"{a:1}", '{', "", "line 1, column 2: \"a\" stands where a name in quotation marks is due"},
        {"{\"a\":1,}", '{', "a=1;", "line 1, column 8: \"}\" stands where a name in quotation marks is due"},
        {"{\"a", '{', "", "line 1, column 2: a name has no quotation mark at its end"},
        {"{\"\xFF\":1}", '{', "", "line 1, column "},
        {"{\"a\\u0000b\":1}", '{', "", "line 1, column "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_walk w;
        struct error e = {0};
        struct text found = {0};
        const size_t n = strlen(cases[i].text);
        char *exact = malloc(n + !n); /* a read past the end is seen */
        assert_non_null(exact);
        memcpy(exact, cases[i].text, n);
        if (!json_walk_open(&w, exact, exact, n, cases[i].kind, &e))
            while (json_walk_next(&w, &e)) {
                if (w.key)
                    text_add(&found, w.key);
                else
                    text_printf(&found, "%zu", w.index);
                text_printf(&found, "=%.*s;", (int)w.size, w.value);
            }
        assert_string_equal(text_c(&found), cases[i].entries);
        assert_false(json_walk_next(&w, &e)); /* it stays at its end */
        if (cases[i].says)
            assert_error(w.status, &e, ERROR_INPUT, cases[i].says);
        else
            assert_ok(w.status, &e);
        json_walk_close(&w);
        text_free(&found);
        free(exact);
    }
}

static void test_large_integers(void **state)
{
    (void)state;
    static const char text[] = "{\"a\\\"9\": 1000000000000000019884624838656, \"b\": [-9223372036854775808, "
                               "9223372036854775807, -9223372036854775809],\"c\":\"99999999999999999999\", "
                               "\"d\": 1.000000000000000000001, \"e\": 18446744073709551616}";
    struct error e;
    char *folder = folder_temporary();
    char *path = file_put(folder, "x.json", text, strlen(text));
    json_t *v = json_read_file(path, &e);
    if (!v) fail_msg("%s", e.text);
    const json_t *b = json_object_get(v, "b");
    assert_true(json_real_value(json_object_get(v, "a\"9")) == 1e30);
    assert_true(json_integer_value(json_array_get(b, 0)) == INT64_MIN);
    assert_true(json_integer_value(json_array_get(b, 1)) == INT64_MAX);
    assert_true(json_real_value(json_array_get(b, 2)) == -9223372036854775808.0);
    assert_string_equal(json_string_value(json_object_get(v, "c")), "99999999999999999999");
    assert_true(json_real_value(json_object_get(v, "d")) == 1);
    assert_true(json_real_value(json_object_get(v, "e")) == 18446744073709551616.0);
    json_decref(v);
    free(path);
    path = file_put(folder, "x.json", "[99999999999999999999, 1 2]", 27);
    assert_null(json_read_file(path, &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "']' expected near '2'");
    free(path);
    folder_remove(folder);
}

static void test_deep_nesting(void **state)
{
    (void)state;
    static const char *const opens[] = {"[", "{\"a\":"};
    for (size_t k = 0; k < 2; k++) {
        struct text t = {0};
        struct error e;
        for (int i = 0; i < 1000000; i++) text_add(&t, opens[k]);
        assert_null(json_read_bytes(t.bytes, t.length, "deep", &e));
        assert_error((int)e.code, &e, ERROR_INPUT, "maximum parsing depth reached");
        text_free(&t);
    }
}

static void test_write(void **state)
{
    (void)state;
    struct error e;
    char *folder = folder_temporary(), *path = path_join(folder, "x.json", &e);
    json_t *v = json_pack("{s:i, s:f, s:[s, b, n], s:{}}", "z", 1, "a", 0.1, "list", "\xc3\xa9 \"q\"", 1, "empty");
    assert_ok(json_write_file(path, v, &e), &e);
    struct file f;
    assert_ok(file_map(&f, path, &e), &e);
    static const char text[] =
        "{\n \"z\": 1,\n \"a\": 0.10000000000000001,\n \"list\": [\n  \"\xc3\xa9 \\\"q\\\"\",\n  true,\n"
        "  null\n ],\n \"empty\": {}\n}\n";
    assert_int_equal(f.size, strlen(text));
    assert_memory_equal(f.data, text, f.size);
    file_unmap(&f);
    json_decref(v);

    v = json_array(); /* doubles come back as they were */
    static const double numbers[] = {1.0 / 3, 5e-324, -1.7976931348623157e308, 0x1.fffffffffffffp-1, -0.0};
    for (size_t i = 0; i < 5; i++) json_array_append_new(v, json_real(numbers[i]));
    assert_ok(json_write_file(path, v, &e), &e);
    json_decref(v);
    v = json_read_file(path, &e);
    assert_non_null(v);
    for (size_t i = 0; i < 5; i++) {
        double d = json_real_value(json_array_get(v, i));
        assert_memory_equal(&d, &numbers[i], sizeof d);
    }
    json_decref(v);
    free(path);
    path = path_join(folder, "no/such/folder.json", &e);
    assert_error(json_write_file(path, json_true(), &e), &e, ERROR_IO, "No such file or directory");
    free(path);
    folder_remove(folder);
}

/* A value that cannot be written leaves the old file as it was. */
static void test_write_keeps_old(void **state)
{
    (void)state;
    struct error e;
    char *folder = folder_temporary(), *path = file_put(folder, "x.json", "[1]", 3);
    json_t *loop = json_array(), *inner = json_array();
    json_array_append(loop, inner);
    json_array_append(inner, loop);
    assert_error(json_write_file(path, loop, &e), &e, ERROR_IO, "x.json: the JSON text could not be written");
    json_t *v = json_read_file(path, &e);
    assert_int_equal(json_array_size(v), 1);
    json_decref(v);
    json_array_clear(inner);
    json_decref(inner);
    json_decref(loop);
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_keeps_old),
        cmocka_unit_test(test_large_integers),
    };
    return cmocka_run_group_tests_name("formats/json", tests, NULL, NULL);
}
