/* Limits where a comparison is odd: few items, huge ratios, several subjects of one name, ends of an interval swapped. */
#include "reports/limits.h"
#include "tests/reports/edit.h"

#include <math.h>

struct asked {
    json_t *rules; /* whose strings the limits keep */
    struct limits limits;
    struct error e;
    int status;
};

/* Of the golden comparison, whose stories/perplexity is row 0. */
static void ask(struct asked *a, const char *rules, const json_t *comparison)
{
    struct text place = {0};
    *a = (struct asked){.rules = json_loads(rules, 0, NULL)};
    assert_non_null(a->rules);
    a->status = limits_check(&a->limits, a->rules, comparison, &place, &a->e);
    text_free(&place);
}

static void asked_close(struct asked *a)
{
    if (!a->status) limits_close(&a->limits);
    json_decref(a->rules);
}

/* All of five items lie beyond a limit by chance once in 32 times, of six once in 64. */
static void test_few_items(void **state)
{
    (void)state;
    static const struct {
        const char *items, *limit;
        enum limit_verdict verdict;
        double more;
    } cases[] = {
        {"6", "+0.1%", LIMIT_BEYOND, NAN},    {"5", "+0.1%", LIMIT_UNDECIDED, 1}, {"2", "+0.1%", LIMIT_UNDECIDED, 4},
        {"6", "+50%", LIMIT_WITHIN, NAN},     {"5", "+50%", LIMIT_UNDECIDED, 1},  {"0", "+0.1%", LIMIT_UNDECIDED, 6},
        {"null", "+0.1%", LIMIT_BEYOND, NAN}, /* not known: another tool's */
    };
    json_t *comparison = golden(COMPARISON);
    edit(comparison, "rows/0/cells/3/difference",
         "{\"value\": 0.1, \"stderr\": 0.01, \"ci95\": [0.08, 0.12], \"p\": 0.01, "
         "\"test\": \"bootstrap\", \"significant\": true, \"gained\": null, "
         "\"lost\": null}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a;
        char rules[120];
        edit(comparison, "rows/0/items", cases[i].items);
        snprintf(rules, sizeof rules, "{\"limits\": {\"stories/perplexity\": \"%s\"}, \"subjects\": [\"@gguf:q4_0\"]}",
                 cases[i].limit);
        ask(&a, rules, comparison);
        assert_ok(a.status, &a.e);
        const struct limit_result *r = a.limits.results;
        if (r->verdict != cases[i].verdict || isnan(r->more) != isnan(cases[i].more) || r->more > cases[i].more ||
            r->more < cases[i].more)
            fail_msg("%s items, %s: verdict %d, %g more", cases[i].items, cases[i].limit, (int)r->verdict, r->more);
        asked_close(&a);
    }
    /* without a value all is lost, however few items there are */
    edit(comparison, "rows/0/items", "2");
    edit(comparison, "rows/0/cells/3/difference/value", "null");
    struct asked a;
    ask(&a, "{\"limits\": {\"stories/perplexity\": \"+1%\"}, \"subjects\": [\"@gguf:q4_0\"]}", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(a.limits.results[0].verdict, LIMIT_BEYOND);
    asked_close(&a);
    json_decref(comparison);
}

/* A ratio that is more than a number holds is beyond, and its record is JSON. */
static void test_huge(void **state)
{
    (void)state;
    struct asked a;
    json_t *comparison = golden(COMPARISON);
    edit(comparison, "rows/0/cells/0/value", "1e-310");
    edit(comparison, "rows/0/cells/3/difference/value", "0.1");
    edit(comparison, "rows/0/cells/3/difference/ci95", "[0.08, 0.12]");
    ask(&a, "{\"limits\": {\"stories/perplexity\": \"+1%\"}, \"subjects\": [\"@gguf:q4_0\"]}", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(a.limits.results[0].verdict, LIMIT_BEYOND);
    json_t *record = limits_record(&a.limits, false);
    assert_non_null(record);
    assert_true(json_is_false(json_object_get(record, "passed")));
    json_decref(record);
    asked_close(&a);
    edit(comparison, "rows/0/cells/3/difference/ci95", "[0.12, 0.08]");
    ask(&a, "{\"limits\": {\"stories/perplexity\": \"+1%\"}}", comparison);
    assert_error(a.status, &a.e, ERROR_INPUT,
                 "rows[0].cells[3].difference.ci95: is an array; null or [low, high], the lower one first");
    asked_close(&a);
    json_decref(comparison);
}

/* None of several subjects that have a name goes unchecked. */
static void test_same_name(void **state)
{
    (void)state;
    struct asked a;
    json_t *comparison = golden(COMPARISON);
    edit(comparison, "subjects/3/name", "\"millbrook-llama@int8:absmax\"");
    ask(&a, "{\"limits\": {\"acc\": -0.5}, \"subjects\": [\"@int8:absmax\"]}", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(a.limits.n, 6); /* three suites */
    assert_int_equal(a.limits.results[0].subject, 1);
    assert_int_equal(a.limits.results[1].subject, 3);
    asked_close(&a);
    ask(&a, "{\"limits\": {\"acc\": -0.5}, \"subjects\": [\"@int8:absmax\", \"@int8:absmax\"]}", comparison);
    assert_error(a.status, &a.e, ERROR_INPUT, "\"@int8:absmax\" is there twice");
    asked_close(&a);
    /* nor one that has the baseline's */
    edit(comparison, "subjects/3/name", "\"millbrook-llama@f32\"");
    edit(comparison, "subjects/0/name", "\"millbrook-llama@f32\"");
    ask(&a, "{\"limits\": {\"acc\": -0.5}, \"subjects\": [\"millbrook-llama@f32\"]}", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(a.limits.n, 3);
    assert_int_equal(a.limits.results[0].subject, 3);
    asked_close(&a);
    json_decref(comparison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_items),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_same_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
