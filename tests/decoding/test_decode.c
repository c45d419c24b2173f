#include "engine/decoding/decode.h"
#include "tests/testing.h"

#include <string.h>

/* Every way to write it gives the canonical form, which gives itself. */
static void test_canonical(void **state)
{
    static const char *const cases[][2] = {
        {"greedy", "greedy"},
        {"greedy,repetition-penalty=1.20", "greedy,repetition-penalty=1.2"},
        {"beam:4", "beam:4"},
        {"beam:1,early-stopping=FALSE,length-penalty=1.0", "beam:1"},
        {"beam:004,early-stopping=never,length-penalty=-0.5", "beam:4,length-penalty=-0.5,early-stopping=never"},
        {"beam:4,length-penalty=-0", "beam:4,length-penalty=0"},
        {"sample", "sample"},
        {"sample,seed=1234,temperature=1,top-k=0,top-p=1,min-p=0,typical-p=1,repetition-penalty=1", "sample"},
        {"sample,seed=7,repetition-penalty=.5,typical-p=9e-1,min-p=0.05,top-p=0.95,top-k=40,temperature=0.70",
         "sample,temperature=0.7,top-k=40,top-p=0.95,min-p=0.05,typical-p=0.9,seed=7,repetition-penalty=0.5"},
        {"sample,top-p=0.1234567890123456", "sample,top-p=0.1234567890123456"},
        {"sample,seed=9007199254740992", "sample,seed=9007199254740992"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decode d, again;
        struct error e;
        assert_ok(decode_parse(&d, cases[i][0], &e), &e);
        assert_string_equal(d.spec, cases[i][1]);
        assert_ok(decode_parse(&again, d.spec, &e), &e);
        assert_string_equal(again.spec, d.spec);
    }
    struct decode d;
    struct error e;
    assert_ok(decode_parse(&d, "sample,top-k=40,seed=9", &e), &e);
    assert_int_equal(d.kind, DECODE_SAMPLE);
    assert_int_equal(d.top_k, 40);
    assert_int_equal(d.seed, 9);
    assert_ok(decode_parse(&d, "beam:7,early-stopping=true", &e), &e);
    assert_int_equal(d.kind, DECODE_BEAM);
    assert_int_equal(d.beams, 7);
    assert_int_equal(d.early_stopping, EARLY_STOPPING_TRUE);
    assert_string_equal(decode_greedy().spec, "greedy");
}

static void test_refused(void **state)
{
    static const char *const cases[][2] = {
        {"", "decoding \"\": (empty): no such strategy (known: greedy, beam, sample)"},
        {"gredy", "gredy: no such strategy, did you mean \"greedy\"?"},
        {"greedy:2", "greedy: takes nothing after a colon"},
        {"beam", "beam: must say how many, as in \"beam:4\""},
        {"beam:0", "beams: must be a whole number from 1 to 256"},
        {"beam:257", "from 1 to 256"},
        {"beam:4x", "beams: must be"},
        {"beam:", "beams: must be"},
        {"greedy,top-p=0.9", "top-p: no such setting of greedy (known: repetition-penalty)"},
        {"beam:4,temperature=2", "no such setting of beam"},
        {"sample,top-pp=0.9", "did you mean \"top-p\"?"},
        {"sample,top_p=0.9", "did you mean \"top-p\"?"},
        {"sample,beams=2", "beams: no such setting of sample"},
        {"sample,", "(empty): no such setting"},
        {"sample,top-p", "top-p: must be a number from 0 to 1"},
        {"sample,top-p=1.1", "top-p: must be a number from 0 to 1"},
        {"sample,top-p=nan", "top-p: must be"},
        {"sample,temperature=0", "temperature: must be a number from 0.001 to 1000"},
        {"sample,temperature=1e999", "temperature: must be"},
        {"sample,top-k=-1", "top-k: must be a whole number from 0 to 2147483647"},
        {"sample,top-k=1.5", "top-k: must be"},
        {"sample,seed=99999999999999999999", "seed: must be a whole number from 0 to 9007199254740992"},
        {"sample,seed=1,seed=2", "seed: given twice"},
        {"sample,seed=9007199254740993", "from 0 to 9007199254740992"},
        {"greedy,repetition-penalty=0", "repetition-penalty: must be a number from 0.01 to 100"},
        {"beam:2,early-stopping=maybe", "early-stopping: must be false, true or never"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decode d;
        struct error e;
        assert_error(decode_parse(&d, cases[i][0], &e), &e, ERROR_USAGE, cases[i][1]);
    }
    char longer[400];
    struct decode d;
    struct error e;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_error(decode_parse(&d, longer, &e), &e, ERROR_USAGE, "longer than 255 characters");
}

/* Hugging Face's words; an error is what it says, success the canonical spec. */
static void test_settings(void **state)
{
    static const struct {
        const char *set[4][2], *spec, *error;
    } cases[] = {
        {.set = {{NULL}}, .spec = "greedy"},
        {.set = {{"do_sample", "false"}, {"temperature", "0"}}, .spec = "greedy"},
        {.set = {{"temperature", "0.0"}}, .spec = "greedy"},
        {.set = {{"temperature", "0.0"}, {"top_p", "0.9"}}, .spec = "greedy"},
        {.set = {{"do_sample", "False"}, {"temperature", "0.7"}, {"top_p", "0.9"}}, .spec = "greedy"},
        {.set = {{"top_p", "0.9"}}, .spec = "greedy"},
        {.set = {{"temperature", "0.7"}}, .spec = "sample,temperature=0.7,top-k=50"},
        {.set = {{"do_sample", "True"}}, .spec = "sample,top-k=50"},
        {.set = {{"do_sample", "true"}, {"top_k", "0"}, {"seed", "3"}}, .spec = "sample,seed=3"},
        {.set = {{"do_sample", "true"}, {"min_p", "0.1"}, {"typical_p", "0.5"}, {"top_k", "50"}},
         .spec = "sample,top-k=50,min-p=0.1,typical-p=0.5"},
        {.set = {{"num_beams", "1"}, {"length_penalty", "2"}}, .spec = "greedy"},
        {.set = {{"num_beams", "4"}, {"length_penalty", "0.6"}, {"early_stopping", "True"}, {"do_sample", "false"}},
         .spec = "beam:4,length-penalty=0.6,early-stopping=true"},
        {.set = {{"num_beams", "4"}, {"temperature", "0"}, {"repetition_penalty", "1.3"}},
         .spec = "beam:4,repetition-penalty=1.3"},
        {.set = {{"do_sample", "true"}, {"temperature", "0"}}, .error = "temperature: 0 contradicts do_sample: true"},
        {.set = {{"do_sample", "true"}, {"num_beams", "4"}}, .error = "num_beams: 4 beams contradict do_sample: true"},
        {.set = {{"num_beams", "4"}, {"temperature", "1"}}, .error = "contradict a temperature above 0"},
        {.set = {{"do_sample", "maybe"}}, .error = "do_sample: must be true or false"},
        {.set = {{"temperature", "-1"}}, .error = "temperature: must be a number"},
        {.set = {{"top_q", "1"}}, .error = "top_q: no such setting, did you mean \"top_k\"?"},
        {.set = {{"num_beams", "0"}}, .error = "num_beams: must be a whole number from 1 to 256"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decode d = decode_greedy();
        struct error e;
        int status = 0;
        for (size_t j = 0; j < 4 && cases[i].set[j][0] && !status; j++)
            status = decode_set(&d, cases[i].set[j][0], cases[i].set[j][1], &e);
        if (!status) status = decode_settle(&d, &e);
        if (cases[i].error) {
            assert_error(status, &e, ERROR_USAGE, cases[i].error);
            continue;
        }
        assert_ok(status, &e);
        assert_string_equal(d.spec, cases[i].spec);
        struct decode same;
        assert_ok(decode_parse(&same, d.spec, &e), &e);
        assert_memory_equal(&same.spec, &d.spec, strlen(d.spec) + 1);
        assert_int_equal(same.top_k, d.top_k);
        assert_int_equal(same.beams, d.beams);
    }
    assert_true(decode_knows("do_sample") && decode_knows("num_beams") && decode_knows("seed"));
    assert_false(decode_knows("until") || decode_knows("top-p"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests_name("decoding/decode", tests, NULL, NULL);
}
