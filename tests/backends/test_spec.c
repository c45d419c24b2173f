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
        {"int8:absmax,block=64,per=block", "int8:absmax,per=block", "int8"},
        {"int8:zeropoint", "int8:zeropoint", "int8"},
        {"int8:zeropoint,per=tensor", "int8:zeropoint,per=tensor", "int8"},
        {"int8:zeropoint,block=8,per=block", "int8:zeropoint,per=block,block=8", "int8"},
        {"int8:zeropoint,per=block,block=65536", "int8:zeropoint,per=block,block=65536", "int8"},
        {"int8:llm", "int8:llm", "int8"},
        {"int8:llm,threshold=6.00", "int8:llm", "int8"},
        {"int8:llm,threshold=2.50", "int8:llm,threshold=2.5", "int8"},
        {"int8:llm,threshold=0.1000000000000001", "int8:llm,threshold=0.1000000000000001", "int8"},
        {"int8:llm,threshold=.5", "int8:llm,threshold=0.5", "int8"},
        {"int8:llm,threshold=2.E-2", "int8:llm,threshold=0.02", "int8"},
        {"int8:llm,threshold=1e+06", "int8:llm,threshold=1e+06", "int8"},
        {"int8:llm,threshold=1000000", "int8:llm,threshold=1e+06", "int8"},
        {"gguf:q8_0", "gguf:q8_0", "gguf"},
        {"gguf:q4_0", "gguf:q4_0", "gguf"},
        {"gguf:q4_k_m", "gguf:q4_k_m", "gguf"},
        {"gguf:q4_k,pure", "gguf:q4_k", "gguf"},
        {"gguf:q4_k_m,pure", "gguf:q4_k", "gguf"}, /* a preset's own type */
        {"gguf:q2_k", "gguf:q2_k", "gguf"},
        {"gguf:q2_k,pure=yes", "gguf:q2_k,pure", "gguf"}, /* two things of one name */
        {"gguf:q2_k,pure=no", "gguf:q2_k", "gguf"},
        {"gguf:q4_0,tensor=blk.*.ffn_down:q6_k,tensor=output:f16",
         "gguf:q4_0,tensor=blk.*.ffn_down:q6_k,tensor=output:f16", "gguf"},
        {"gguf:q2_k,tensor=a:b:q8_0,pure", "gguf:q2_k,pure,tensor=a:b:q8_0", "gguf"},
        {"gptq", "gptq", "gptq"},
        {"gptq,zero-points=v2", "gptq,zero-points=v2", "gptq"},
        {"gptq:4", "gptq:4", "gptq"},
        {"gptq:4,group=128,damping=0.010,block=128,samples=128,true-sequential,sym=no", "gptq:4", "gptq"},
        {"gptq:3,sym,act-order,group=-1", "gptq:3,group=-1,act-order,sym", "gptq"},
        {"gptq:2,length=64,samples=4,true-sequential=no,block=32,damping=0.05,mse,static-groups,zero-points=v1,group=8",
         "gptq:2,group=8,static-groups,mse,damping=0.05,block=32,true-sequential=no,samples=4,length=64,zero-points=v1",
         "gptq"},
        {"rtn:8", "rtn:8", "rtn"},
        {"rtn:3,zero-points=v2,mse,sym,group=64", "rtn:3,group=64,sym,mse,zero-points=v2", "rtn"},
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
        {"", "backend \"\": (empty): no such backend (known: f32, f16, bf16, int8, gguf, gptq, rtn)"},
        {"f3", "backend \"f3\": f3: no such backend, did you mean \"f32\"?"},
        {"int88", "did you mean \"int8\"?"},
        {"F32", "no such backend"},
        {" f32", "no such backend"},
        {"f32:", "backend \"f32:\": (empty): no such variant (known: none)"},
        {"gptq:,group=64", "(empty): no such variant (known: 2, 3, 4, 8)"},
        {"f32,", "backend \"f32,\": (empty): no such option (known: none)"},
        {"gptq:4,=64", "(empty): no such option (known: group"},
        {"f32:fast", "fast: no such variant (known: none)"},
        {"f32,per=row", "per: no such option (known: none)"},
        {"f16,", "no such option"},
        {"int8", "a scheme must follow, as in int8:absmax"},
        {"int8:absmin", "absmin: no such variant, did you mean \"absmax\"? (known: absmax, zeropoint, llm)"},
        {"int8:absmax,pet=row", "pet: no such option, did you mean \"per\"? (known: per, block, threshold)"},
        {"int8:absmax,per", "per: must be row, tensor or block"},
        {"int8:absmax,per=", "per: must be row, tensor or block"},
        {"int8:zeropoint,per=column", "per: must be row, tensor or block"},
        {"int8:absmax,block=64", "block: must be given with per=block"},
        {"int8:absmax,per=tensor,block=64", "block: must be given with per=block"},
        {"int8:absmax,per=block,block=7", "block: must be a whole number from 8 to 65536"},
        {"int8:absmax,per=block,block=65537", "block: must be a whole number from 8 to 65536"},
        {"int8:zeropoint,per=block,block", "block: must be a whole number from 8 to 65536"},
        {"int8:zeropoint,threshold=6", "threshold: must be given with int8:llm"},
        {"int8:llm,per=row", "per: must be left out with int8:llm"},
        {"int8:llm,block=64", "block: must be left out with int8:llm"},
        {"int8:llm,threshold", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=0", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=nan", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold= 6", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=+6", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=0x6", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=inf", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=.", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=-", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=e1", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=6e", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=6e+-1", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=1e999", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:llm,threshold=6x", "threshold: must be a number from 0.001 to 1e+06"},
        {"int8:absmax,per=row,per=tensor", "per: given twice"},
        {long_spec, "longer than 255 characters"},
        {"int8:absmax,a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "more than 16 settings"},
        {"gguf", "a type or preset must follow, as in gguf:q8_0 or gguf:q4_k_m"},
        {"gguf:q4_2", "q4_2: no such variant, did you mean \"q4_"},
        {"gguf:Q8_0", "no such variant"},
        {"gguf:q4_k_l", "q4_k_l: no such variant, did you mean \""},
        {"gguf:q8_0,group=32", "group: no such option (known: pure, tensor)"},
        {"gguf:q8_0,pure,pure", "pure: given twice"},
        {"gguf:q8_0,pure=maybe", "pure: must be given alone, or be yes or no"},
        {"gguf:q8_0,tensor", "tensor: must be NAMES:TYPE, as in tensor=blk.*.ffn_down:q6_k"},
        {"gguf:q8_0,tensor=blk.*", "tensor: must be NAMES:TYPE"},
        {"gguf:q8_0,tensor=:f16", "tensor: must be NAMES:TYPE"},
        {"gguf:q8_0,tensor=*:", "tensor: (empty): no such type"},
        {"gguf:q8_0,tensor=*:q4_k_m", "tensor: q4_k_m: no such type, did you mean \"q4_k\"?"},
        {"gguf:q8_0,tensor=*:q6k", "tensor: q6k: no such type, did you mean \"q6_k\"?"},
        {"gguf:q8_0,tensor=*:i32", "tensor: i32: no such type"},
        {"gptq:5", "backend \"gptq:5\": 5: no such variant (known: 2, 3, 4, 8)"},
        {"rtn:16", "16: no such variant (known: 2, 3, 4, 8)"},
        {"rtn", "the bits must follow, as in rtn:4"},
        {"gptq,group=64", "group: takes the bits before it, as in gptq:4,group"},
        {"gptq,zero-points=v2,act-order", "act-order: takes the bits before it, as in gptq:4,act-order"},
        {"rtn:4,act-order", "act-order: no such option (known: group, sym, mse, zero-points)"},
        {"gptq:4,act_order", "act_order: no such option, did you mean \"act-order\"?"},
        {"gptq:4,group=7", "group: must be a whole number from 8 to 1048576, or -1 for all columns"},
        {"gptq:4,group= 64", "group: must be a whole number from 8"},
        {"gptq:4,group=+64", "group: must be a whole number from 8"},
        {"gptq:4,group=0x40", "group: must be a whole number from 8"},
        {"gptq:4,group=64.0", "group: must be a whole number from 8"},
        {"gptq:4,group=-", "group: must be a whole number from 8"},
        {"gptq:4,group=99999999999999999999", "group: must be a whole number from 8"},
        {"gptq:4,samples=99999999999999999999", "samples: must be a whole number from 1"},
        {"gptq:4,group=0", "group: must be a whole number from 8"},
        {"gptq:4,group=-2", "group: must be a whole number from 8"},
        {"gptq:4,group", "group: must be a whole number from 8"},
        {"gptq:4,damping=1.5", "damping: must be a number from 0 to 1"},
        {"gptq:4,block=0", "block: must be a whole number from 1 to 4096"},
        {"gptq:4,samples=0", "samples: must be a whole number from 1"},
        {"gptq:4,length=1", "length: must be a whole number from 2"},
        {"gptq:4,true-sequential=maybe", "true-sequential: must be given alone, or be yes or no"},
        {"gptq:4,zero-points=v3", "zero-points: must be v1 or v2"},
        {"gptq:4,zero-points", "zero-points: must be v1 or v2"},
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
    assert_int_equal(n, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_valid), cmocka_unit_test(test_invalid),
                                       cmocka_unit_test(test_registry)};
    return cmocka_run_group_tests_name("backends/spec", tests, NULL, NULL);
}
