#include "engine/backends/backend.h"
#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

static void test_valid(void **state)
{
    (void)state;
    static const struct {
        const char *text, *spec, *backend;
    } cases[] = {
        {"f32", "f32", "f32"},
        {"f16", "f16", "f16"},
        {"bf16", "bf16", "bf16"},
        {"int8:absmax", "int8:absmax", "int8"},
        {"int8:absmax,per=row", "int8:absmax", "int8"},
        {"int8:absmax,per=tensor", "int8:absmax,per=tensor", "int8"},
        {"gguf:q8_0", "gguf:q8_0", "gguf"},
        {"gguf:q4_0", "gguf:q4_0", "gguf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend_options o, again;
        struct error e;
        assert_ok(backend_parse(&o, cases[i].text, &e), &e);
        assert_string_equal(o.spec, cases[i].spec);
        assert_string_equal(o.backend->name, cases[i].backend);
        assert_ok(backend_parse(&again, o.spec, &e), &e); /* the canonical form stands for the same */
        assert_true(again.backend == o.backend);
        assert_memory_equal(again.parsed, o.parsed, sizeof o.parsed);
        assert_string_equal(again.spec, o.spec);
    }
}

static void test_invalid(void **state)
{
    (void)state;
    char long_spec[300];
    memset(long_spec, 'a', sizeof long_spec - 1);
    long_spec[sizeof long_spec - 1] = 0;
    const struct {
        const char *text, *says;
    } cases[] = {
        {"", "backend \"\": (empty): no such backend (known: f32, f16, bf16, int8, gguf)"},
        {"f3", "backend \"f3\": f3: no such backend, did you mean \"f32\"?"},
        {"int88", "did you mean \"int8\"?"},
        {"F32", "no such backend"},
        {" f32", "no such backend"},
        {"f32:", "backend \"f32:\": : no such variant (known: none)"},
        {"f32:fast", "fast: no such variant (known: none)"},
        {"f32,per=row", "per: no such option (known: none)"},
        {"f16,", "no such option"},
        {"int8", "a scheme must follow, as in int8:absmax"},
        {"int8:absmin", "absmin: no such variant, did you mean \"absmax\"? (known: absmax)"},
        {"int8:absmax,pet=row", "pet: no such option, did you mean \"per\"? (known: per)"},
        {"int8:absmax,per", "per: must be row or tensor"},
        {"int8:absmax,per=", "per: must be row or tensor"},
        {"int8:absmax,per=column", "per: must be row or tensor"},
        {"int8:absmax,per=row,per=tensor", "per: given twice"},
        {long_spec, "longer than 255 characters"},
        {"int8:absmax,a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "more than 16 settings"},
        {"gguf", "a type must follow, as in gguf:q8_0"},
        {"gguf:q4_1", "q4_1: no such variant, did you mean \"q4_0\"? (known: q8_0, q4_0)"},
        {"gguf:Q8_0", "no such variant"},
        {"gguf:q8_0,group=32", "group: no such option (known: none)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend_options o;
        struct error e;
        assert_error(backend_parse(&o, cases[i].text, &e), &e, ERROR_USAGE, cases[i].says);
    }
}

/* What the registry promises of every row. */
static void test_registry(void **state)
{
    (void)state;
    size_t n = 0;
    for (; backend_at(n); n++) {
        const struct backend *b = backend_at(n);
        assert_true(b->name && b->summary && b->configure && b->pack && b->unpack);
        for (size_t i = 0; i < n; i++) assert_string_not_equal(backend_at(i)->name, b->name);
        struct backend_options o;
        struct error e;
        for (const char *const *v = b->variants; v && *v; v++) {
            char spec[BACKEND_SPEC];
            snprintf(spec, sizeof spec, "%s:%s", b->name, *v);
            assert_ok(backend_parse(&o, spec, &e), &e);
            assert_string_equal(o.spec, spec);
        }
        if (!b->variants) assert_ok(backend_parse(&o, b->name, &e), &e);
    }
    assert_int_equal(n, 5);
    /* a stored type has one adopter */
    for (int type = 0; type < DTYPE_LIMIT; type++) {
        int adopters = 0;
        for (size_t i = 0; dtype_of(type) && backend_at(i); i++)
            adopters += backend_at(i)->adopts && backend_at(i)->adopts((enum dtype_id)type);
        assert_true(adopters <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_valid), cmocka_unit_test(test_invalid),
                                       cmocka_unit_test(test_registry)};
    return cmocka_run_group_tests_name("backends/spec", tests, NULL, NULL);
}
