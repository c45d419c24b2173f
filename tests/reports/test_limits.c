/* Limits: every kind of rule and verdict at its edges, what is refused and where, and what the sinks make of it. */
#include "engine/base/file.h"
#include "reports/limits.h"
#include "reports/limits_rule.h"
#include "suites/yaml.h"
#include "tests/reports/edit.h"

#include <math.h>

/* The golden comparison with distances behind the rows of "stories". Rows: 0 stories/perplexity, 1 stories/bits_per_byte,
 * 2 stories/kl_divergence, 3 stories/same_top, 4 endings/acc, 5 lastword/acc, 6 translation/bleu, 7 reviews/acc,
 * 8 reviews/mcc. Subjects: 1 @int8:absmax, 2 @gguf:q8_0, 3 @gguf:q4_0. */
static json_t *comparison_new(void)
{
    static const char *const rows[] = {
        "{\"suite\": \"stories\", \"metric\": \"same_top\", \"unit\": \"\", \"better\": \"higher\", \"items\": 500, "
        "\"fingerprint\": \"\", \"divergence\": true, \"cells\": ["
        "{\"value\": null, \"stderr\": null, \"ci95\": null, \"difference\": null},"
        "{\"value\": 0.98, \"stderr\": 0.001, \"ci95\": [0.978, 0.982], \"difference\": null},"
        "{\"value\": 0.99, \"stderr\": 0.001, \"ci95\": [0.988, 0.992], \"difference\": null},"
        "{\"value\": 0.85, \"stderr\": 0.002, \"ci95\": [0.846, 0.854], \"difference\": null}]}",
        "{\"suite\": \"stories\", \"metric\": \"kl_divergence\", \"unit\": \"nat\", \"better\": \"lower\", \"items\": "
        "500, "
        "\"fingerprint\": \"\", \"divergence\": true, \"cells\": ["
        "{\"value\": null, \"stderr\": null, \"ci95\": null, \"difference\": null},"
        "{\"value\": 0.0001, \"stderr\": 1e-6, \"ci95\": [0.0001, 0.0001], \"difference\": null},"
        "{\"value\": 0.00005, \"stderr\": 1e-6, \"ci95\": [0.00004, 0.00006], \"difference\": null},"
        "{\"value\": 0.004, \"stderr\": 0.0001, \"ci95\": [0.0038, 0.0042], \"difference\": null}]}"};
    json_t *comparison = golden(COMPARISON);
    for (size_t i = 0; i < 2; i++)
        json_array_insert_new(json_object_get(comparison, "rows"), 2, json_loads(rows[i], 0, NULL));
    edit(comparison, "rows/0/cells/0/value", "2.5"); /* +1 % is then 0.025 */
    edit(comparison, "rows/0/cells/3/difference/value", "0.025");
    edit(comparison, "rows/0/cells/3/difference/ci95", "[0.0125, 0.05]");
    return comparison;
}

struct asked {
    char *folder;
    struct yaml rules;
    struct limits limits;
    struct text place;
    struct error e;
    int status;
};

static void ask(struct asked *a, const char *text, const json_t *comparison)
{
    *a = (struct asked){.folder = folder_temporary()};
    char *path = file_put(a->folder, "limits.yaml", text, strlen(text));
    assert_ok(yaml_file_read(&a->rules, path, &a->e), &a->e);
    a->status = limits_check(&a->limits, a->rules.root, comparison, &a->place, &a->e);
    free(path);
}

static void asked_close(struct asked *a)
{
    if (!a->status) limits_close(&a->limits);
    yaml_file_free(&a->rules);
    text_free(&a->place);
    folder_remove(a->folder);
}

static const struct limit_result *result_of(const struct limits *l, size_t row, size_t subject)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->results[i].row == row && l->results[i].subject == subject) return &l->results[i];
    fail_msg("no result of row %zu, subject %zu", row, subject);
    return NULL;
}

/* --- verdicts --- */

enum { WITHIN = LIMIT_WITHIN, OPEN = LIMIT_UNDECIDED, BEYOND = LIMIT_BEYOND };

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        size_t row;
        int verdict; /* of @gguf:q4_0 */
    } cases[] = {
        /* relative: 1 % of 2.5, interval 0.5 % to 2 % */
        {"stories/perplexity: +0.49%", 0, BEYOND},
        {"stories/perplexity: +0.5%", 0, OPEN},
        {"stories/perplexity: +1%", 0, OPEN},
        {"stories/perplexity: +1.99%", 0, OPEN},
        {"stories/perplexity: +2%", 0, WITHIN},
        {"stories/perplexity: +0%", 0, BEYOND},
        {"stories/perplexity: 0%", 0, BEYOND},
        /* a difference, whose plus is YAML's to drop */
        {"stories/perplexity: +0.0124", 0, BEYOND},
        {"stories/perplexity: 0.0125", 0, OPEN},
        {"stories/perplexity: 0.049", 0, OPEN},
        {"stories/perplexity: 0.05", 0, WITHIN},
        {"stories/bits_per_byte: 0.0076", 1, BEYOND},
        {"stories/bits_per_byte: 0.0094", 1, WITHIN},
        /* higher is better: -0.014 [-0.032, 0.004], -0.034 [-0.052, -0.016] */
        {"endings/acc: -0.032", 4, WITHIN},
        {"endings/acc: -0.031", 4, OPEN},
        {"endings/acc: 0", 4, OPEN},
        {"lastword/acc: -0.015", 5, BEYOND},
        {"lastword/acc: -0.016", 5, OPEN},
        {"lastword/acc: -0.052", 5, WITHIN},
        {"lastword/acc: -3.19%", 5, BEYOND}, /* 0.016 of 0.5 is 3.2 % */
        {"lastword/acc: -10.4%", 5, WITHIN},
        {"translation/bleu: -0.28", 6, BEYOND},
        {"translation/bleu: -1", 6, WITHIN},
        /* distances */
        {"kl_mean: 0.0037", 2, BEYOND},
        {"kl_divergence: 0.0038", 2, OPEN},
        {"stories/kl_mean: 0.0042", 2, WITHIN},
        {"same_top: 0.855", 3, BEYOND},
        {"same_top: 0.854", 3, OPEN},
        {"same_top: 0.846", 3, WITHIN},
        {"stories/same_top: {at_least: 0.846}", 3, WITHIN},
        /* the value itself */
        {"stories/perplexity: {at_most: 2.5219}", 0, BEYOND},
        {"stories/perplexity: {at_most: 2.55}", 0, OPEN},
        {"stories/perplexity: {at_most: 2.582}", 0, WITHIN},
        {"endings/acc: {at_least: 0.541}", 4, BEYOND},
        {"endings/acc: {at_least: 0.452}", 4, WITHIN},
        {"stories/perplexity: {difference: +0.49%}", 0, BEYOND},
        {"stories/perplexity: {difference: 0.05}", 0, WITHIN},
        /* +7 -14 of 500; Wilson's interval of 21 is 13.82 to 31.68, of 14 8.38 to 23.22 */
        {"endings/flips: 13.81", 4, BEYOND},
        {"endings/flips: 13.82", 4, OPEN},
        {"endings/flips: 20", 4, OPEN},
        {"endings/flips: 21", 4, WITHIN},
        {"endings/lost: 8", 4, BEYOND},
        {"endings/lost: 13", 4, OPEN},
        {"endings/lost: 14", 4, WITHIN},
        {"endings/lost: 2.8%", 4, WITHIN},
        {"endings/lost: 2.7%", 4, OPEN},
        {"endings/lost: 1%", 4, BEYOND},
        {"endings/flips: {at_most: 13}", 4, BEYOND},
        {"endings/flips: 0", 4, BEYOND},
        {"reviews/lost: 0", 7, BEYOND}, /* one of 500 is more than none */
        {"reviews/lost: 1", 7, WITHIN},
    };
    json_t *comparison = comparison_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[160];
        struct asked a;
        snprintf(text, sizeof text, "limits: {%s}\n", cases[i].rule);
        ask(&a, text, comparison);
        if (a.status) fail_msg("%s: %s", cases[i].rule, a.e.text);
        const struct limit_result *r = result_of(&a.limits, cases[i].row, 3);
        if ((int)r->verdict != cases[i].verdict)
            fail_msg("%s: %d instead of %d; %g [%g, %g], limit %g", cases[i].rule, (int)r->verdict, cases[i].verdict,
                     r->value, r->low, r->high, r->bound.limit);
        assert_string_equal(text_c(&a.place), "");
        asked_close(&a);
    }
    json_decref(comparison);
}

static void test_score_interval(void **state)
{
    (void)state;
    json_t *comparison = comparison_new();
    struct asked a;
    ask(&a, "limits: {endings/flips: 5, lastword/lost: 0}", comparison);
    assert_ok(a.status, &a.e);
    const struct limit_result *r = result_of(&a.limits, 4, 3);
    assert_near(r->value, 21, 0, "flips");
    /* what defines the interval: its ends are the shares from which the count is z standard errors away */
    const double ends[] = {r->low / 500, r->high / 500};
    for (size_t i = 0; i < 2; i++)
        assert_near(fabs(21.0 / 500 - ends[i]) / sqrt(ends[i] * (1 - ends[i]) / 500), 1.959963984540054, 1e-9, "z");
    assert_true(r->low < 21 && r->high > 21);
    r = result_of(&a.limits, 5, 2); /* none */
    assert_near(r->low, 0, 0, "low of none");
    assert_near(r->high, 3.81216, 1e-4, "high of none");
    assert_int_equal(r->verdict, LIMIT_WITHIN);
    asked_close(&a);
    json_decref(comparison);
}

static void test_more_items(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        size_t row;
        double more;
    } cases[] = {
        {"stories/perplexity: +1.9%", 0, 118},    /* 500 ((2 - 1) / (1.9 - 1))^2 - 500 = 117.3 */
        {"stories/perplexity: +0.75%", 0, 1500},  /* 500 ((1 - 0.5) / (1 - 0.75))^2 - 500 */
        {"stories/perplexity: +1%", 0, INFINITY}, /* on the value itself */
        {"same_top: 0.853", 3, 389},              /* 500 (4 / 3)^2 - 500 = 388.9 */
        {"endings/acc: -0.031", 4, 61},           /* 500 (18 / 17)^2 - 500 = 60.6 */
    };
    json_t *comparison = comparison_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[160];
        struct asked a;
        snprintf(text, sizeof text, "limits: {%s}\n", cases[i].rule);
        ask(&a, text, comparison);
        assert_ok(a.status, &a.e);
        const struct limit_result *r = result_of(&a.limits, cases[i].row, 3);
        assert_int_equal(r->verdict, LIMIT_UNDECIDED);
        if (isinf(cases[i].more) ? !(r->more > 1e8) : fabs(r->more - cases[i].more) > 1)
            fail_msg("%s: %g more instead of %g", cases[i].rule, r->more, cases[i].more);
        asked_close(&a);
    }
    json_decref(comparison);
}

/* Without an interval nothing is sure; without a value, where the baseline has one, all is lost. */
static void test_undefined(void **state)
{
    (void)state;
    json_t *comparison = comparison_new();
    struct asked a;
    edit(comparison, "rows/0/cells/3/difference/ci95", "null");
    ask(&a, "limits: {stories/perplexity: +9%, reviews/mcc: -0.5}\nsubjects: ['@gguf:q4_0']\n", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(a.limits.n, 2);
    assert_int_equal(a.limits.results[0].verdict, LIMIT_UNDECIDED);
    assert_true(isnan(a.limits.results[0].more));
    assert_int_equal(a.limits.results[1].verdict, LIMIT_BEYOND);
    assert_string_equal(a.limits.results[1].reason, "every prediction is of one class");
    asked_close(&a);
    edit(comparison, "rows/8/cells/0/value", "null");
    ask(&a, "limits: {reviews/mcc: -0.5}", comparison);
    assert_error(a.status, &a.e, ERROR_INPUT, "the baseline's reviews mcc has no value to compare with");
    assert_string_equal(text_c(&a.place), "limits.reviews/mcc");
    asked_close(&a);
    ask(&a, "limits: {reviews/mcc: {at_least: 0.5}}", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(result_of(&a.limits, 8, 3)->verdict, LIMIT_BEYOND);
    asked_close(&a);
    edit(comparison, "rows/2/cells/3",
         "{\"value\": null, \"stderr\": null, \"ci95\": null, \"difference\": null, "
         "\"reason\": \"a probability of 0\"}");
    ask(&a, "limits: {kl_mean: 5}", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(result_of(&a.limits, 2, 3)->verdict, LIMIT_BEYOND);
    asked_close(&a);
    json_decref(comparison);
}

/* --- which rows and subjects --- */

static void test_selection(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        {"limits: {stories/perplexity: +1%}", 3},
        {"limits: {acc: -0.5}", 9},
        {"limits: {'*/acc': -0.5}", 9},
        {"limits: {'*s/acc': -0.5}", 6},
        {"limits: {'*': {at_least: 0}}\nsubjects: ['@gguf:q8_0']", 0}, /* perplexity is better when lower */
        {"limits: {'reviews/*': -0.5}", 6},
        {"limits: {flips: 50%}", 9}, /* of reviews by acc alone */
        {"limits: {stories/perplexity: {difference: +1%, at_most: 3}}", 6},
        {"limits: {same_top: 0.5, stories/same_top: 0.6}", 6},
        {"limits: {acc: -0.5}\nsubjects: ['@gguf:q4_0']", 3},
        {"limits: {acc: -0.5}\nsubjects: [millbrook-llama@gguf:q4_0, '@int8:absmax']", 6},
    };
    json_t *comparison = comparison_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a;
        ask(&a, cases[i].text, comparison);
        if (!a.status != !!cases[i].n) fail_msg("%s: %s", cases[i].text, a.e.text);
        if (cases[i].n && a.limits.n != cases[i].n)
            fail_msg("%s: %zu results instead of %zu", cases[i].text, a.limits.n, cases[i].n);
        asked_close(&a);
    }
    json_decref(comparison);
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool fits;
    } cases[] = {
        {"acc", "acc", true},      {"acc", "acc_norm", false}, {"acc", "ac", false}, {"*", "", true},
        {"*", "anything", true},   {"a*", "acc", true},        {"*c", "acc", true},  {"*d", "acc", false},
        {"a*b*c", "aXbYbc", true}, {"a*b*c", "aXbYbd", false}, {"**c", "acc", true}, {"", "", true},
        {"", "a", false},          {"a*a", "a", false},        {"*ab", "aab", true}, {"[a]", "a", false},
        {"?", "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (limit_pattern_fits(cases[i].pattern, cases[i].name) != cases[i].fits)
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].name);
}

/* --- refusals --- */

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *words;
    } cases[] = {
        {"limits: {stories/perplexty: +1%}", "limits.stories/perplexty", "did you mean \"perplexity\"?"},
        {"limits: {storys/perplexity: +1%}", "limits.storys/perplexity", "did you mean \"stories\"?"},
        {"limits: {flisp: 5}", "limits.flisp", "did you mean \"flips\"?"},
        {"limits: {'*/zzz': 5}", "limits.*/zzz", "the comparison has no metric \"zzz\" here"},
        {"limits: {nowhere/flips: 5}", "limits.nowhere/flips", "has no suite \"nowhere\""},
        {"limits: {stories/flips: 5}", "limits.stories/flips", "no metric here has items that are right or wrong"},
        {"limits: {endings/kl_mean: 0.1}", "limits.endings/kl_mean", "no kl_divergence here: kerf compare measures it"},
        {"limits: {endings/acc: 0.02}", "limits.endings/acc",
         "acc is better when higher, so this would be a gain: "
         "write -0.02"},
        {"limits: {endings/acc: +2%}", "limits.endings/acc", "write -2%"},
        {"limits: {stories/perplexity: -1%}", "limits.stories/perplexity",
         "perplexity is better when lower, so this "
         "would be a gain: write +1%"},
        {"limits: {stories/perplexity: -0.1}", "limits.stories/perplexity", "or {at_most: ...}"},
        {"limits: {stories/perplexity: 1%}", "limits.stories/perplexity", "a change needs its sign: write +1%"},
        {"limits: {stories/perplexity: {at_least: 2}}", "limits.stories/perplexity.at_least", "write at_most"},
        {"limits: {stories/perplexity: {at_most: 2%}}", "limits.stories/perplexity.at_most", "write a number"},
        {"limits: {stories/perplexity: {atmost: 2}}", "limits.stories/perplexity.atmost", "did you mean \"at_most\"?"},
        {"limits: {stories/perplexity: {at_most: {}}}", "limits.stories/perplexity.at_most", "must be a number"},
        {"limits: {stories/perplexity: {}}", "limits.stories/perplexity", "is empty"},
        {"limits: {same_top: {difference: -0.1}}", "limits.same_top.difference", "has no difference"},
        {"limits: {same_top: 97%}", "limits.same_top", "write a number"},
        {"limits: {flips: -1}", "limits.flips", "cannot be below 0"},
        {"limits: {flips: +2%}", "limits.flips", "write 2%"},
        {"limits: {flips: {at_least: 2}}", "limits.flips.at_least", "write at_most"},
        {"limits: {stories/perplexity: null}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: true}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: [+1%]}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: '+1'}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: +1%%}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: '+1.%'}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: '+nan%'}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: '% 1'}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {stories/perplexity: ''}", "limits.stories/perplexity", "must be a number such as"},
        {"limits: {/perplexity: 1}", "limits./perplexity", "must be SUITE/METRIC"},
        {"limits: {stories/: 1}", "limits.stories/", "must be SUITE/METRIC"},
        {"limits: {stories/a/b: 1}", "limits.stories/a/b", "no metric \"a/b\""},
        {"limits: {}", "limits", "must be a mapping of one rule or more"},
        {"limits: 3", "limits", "must be a mapping of one rule or more"},
        {"limits: [a]", "limits", "must be a mapping of one rule or more"},
        {"subjects: ['@gguf:q4_0']", "limits", "is missing"},
        {"limts: {flips: 5}", "limts", "unknown key, did you mean \"limits\"?"},
        {"stories/perplexity: +1%", "stories/perplexity", "rules stand below limits"},
        {"limits: {flips: 5}\nsubjects: []", "subjects", "must be a list"},
        {"limits: {flips: 5}\nsubjects: '@gguf:q4_0'", "subjects", "must be a list"},
        {"limits: {flips: 5}\nsubjects: [7]", "subjects[0]", "must be a subject's name"},
        {"limits: {flips: 5}\nsubjects: ['@int8:absmax', millbrook-llama@gguf:q4_1]", "subjects[1]",
         "did you mean \"millbrook-llama@gguf:q4_0\"?"},
        {"limits: {flips: 5}\nsubjects: ['@f32']", "subjects[0]", "is the baseline"},
        {"limits: {flips: 5}\nsubjects: ['@gguf:q4_0', millbrook-llama@gguf:q4_0]", "subjects[1]", "is there twice"},
    };
    json_t *comparison = comparison_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a;
        ask(&a, cases[i].text, comparison);
        if (!a.status) fail_msg("%s was taken", cases[i].text);
        assert_error(a.status, &a.e, ERROR_INPUT, cases[i].words);
        assert_string_equal(text_c(&a.place), cases[i].place);
        asked_close(&a);
    }
    json_decref(comparison);
}

/* What the comparison does not have is never a pass. */
static void test_missing_cells(void **state)
{
    (void)state;
    static const char absent[] = "{\"value\": null, \"stderr\": null, \"ci95\": null, \"difference\": null, "
                                 "\"absent\": true, \"reason\": \"not measured\", \"refused\": \"not measured\"}";
    static const char plain[] = "{\"value\": 1, \"stderr\": null, \"ci95\": null, \"difference\": null}";
    static const char refused[] = "{\"value\": 1, \"stderr\": null, \"ci95\": null, \"difference\": null, "
                                  "\"refused\": \"items is 5, the baseline's is 500\"}";
    static const char none[] = "{\"value\": null, \"stderr\": null, \"ci95\": null, \"difference\": null}";
    static const struct {
        const char *place, *cell, *rule, *words;
    } cases[] = {
        {"rows/0/cells/2", absent, "stories/perplexity: +1%", "@gguf:q8_0 was not measured for stories perplexity"},
        {"rows/0/cells/2", absent, "stories/perplexity: {at_most: 3}", "@gguf:q8_0 was not measured"},
        {"rows/0/cells/2", refused, "stories/perplexity: +1%", "is not compared in stories: items is 5"},
        {"rows/0/cells/2", refused, "stories/perplexity: {at_most: 3}", "is not compared in stories: items is 5"},
        {"rows/0/cells/2", plain, "stories/perplexity: +1%", "is not compared with the baseline"},
        {"rows/2/cells/2", none, "kl_mean: 1", "@gguf:q8_0 was not measured for stories kl_divergence"},
        {"rows/4/cells/2", plain, "endings/flips: 5", "is not compared with the baseline"},
        {"rows/4/cells/2/difference/lost", "null", "endings/flips: 5", "@gguf:q8_0 has no flips in endings acc"},
        {"rows/4/cells/2/difference/lost", "501", "endings/flips: 5", "502 flips of 500 items"},
        {"rows/4/items", "null", "endings/flips: 5", "of 0 items"},
        {"rows/0/cells/0/value", "0", "stories/perplexity: +1%", "whose stories perplexity is not above 0"},
        {"rows/8/cells/0/value", "-0.5", "reviews/mcc: -1%", "is not above 0: write a number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *comparison = comparison_new();
        char text[160];
        struct asked a;
        edit(comparison, cases[i].place, cases[i].cell);
        snprintf(text, sizeof text, "limits: {%s}\n", cases[i].rule);
        ask(&a, text, comparison);
        if (!a.status) fail_msg("%s with %s at %s was taken", cases[i].rule, cases[i].cell, cases[i].place);
        assert_error(a.status, &a.e, ERROR_INPUT, cases[i].words);
        asked_close(&a);
        /* of the others alone nothing is missing */
        snprintf(text, sizeof text, "limits: {%s}\nsubjects: ['@int8:absmax']\n", cases[i].rule);
        ask(&a, text, comparison);
        if (a.status && strstr(cases[i].place, "cells/2")) fail_msg("%s", a.e.text);
        asked_close(&a);
        json_decref(comparison);
    }
}

static void test_run_alone(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *words; /* NULL: is taken */
    } cases[] = {
        {"stories/perplexity: {at_most: 3}", NULL},
        {"'*/acc': {at_least: 0.1}", NULL},
        {"stories/perplexity: +1%", "which a run alone has not"},
        {"stories/perplexity: {difference: 1, at_most: 3}", "which a run alone has not"},
        {"kl_mean: 0.1", "which a run alone has not"},
        {"flips: 5", "which a run alone has not"},
        {"nowhere/acc: {at_least: 0.1}", "the run has no suite"},
    };
    json_t *comparison = golden(COMPARISON);
    resize_subjects(comparison, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[160];
        struct asked a;
        snprintf(text, sizeof text, "limits: {%s}\n", cases[i].rule);
        ask(&a, text, comparison);
        if (cases[i].words)
            assert_error(a.status, &a.e, ERROR_INPUT, cases[i].words);
        else
            assert_ok(a.status, &a.e);
        asked_close(&a);
    }
    struct asked a;
    ask(&a, "limits: {stories/perplexity: {at_most: 2.4}}\nsubjects: [millbrook-llama@f32]", comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(a.limits.n, 1);
    assert_int_equal(a.limits.results[0].verdict, LIMIT_BEYOND);
    asked_close(&a);
    json_decref(comparison);
}

/* A small file cannot ask for more than memory should hold. */
static void test_too_many(void **state)
{
    (void)state;
    json_t *comparison = golden(COMPARISON), *rules = json_object(), *limits = json_object();
    resize_subjects(comparison, 200);
    for (int i = 0; i < 120; i++) { /* the same rows by so many patterns */
        struct text name = {0};
        for (int k = 0; k <= i; k++) text_char(&name, '*');
        text_add(&name, "/acc");
        json_object_set_new(limits, text_c(&name), json_real(-0.5));
        text_free(&name);
    }
    json_object_set_new(rules, "limits", limits);
    struct limits l;
    struct text place = {0};
    struct error e;
    assert_error(limits_check(&l, rules, comparison, &place, &e), &e, ERROR_INPUT, "makes more than 65536 checks");
    text_free(&place);
    json_decref(rules);
    json_decref(comparison);
}

/* --- sinks --- */

static size_t occurrences(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *s = text; (s = strstr(s, part)); s += strlen(part)) n++;
    return n;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no %s in:\n%s", part, text);
}

static const char several[] = "limits: {stories/perplexity: +1%, lastword/acc: -0.015, endings/flips: 21}\n";

static void test_sinks(void **state)
{
    (void)state;
    json_t *comparison = comparison_new();
    struct asked a;
    struct text out = {0};
    ask(&a, several, comparison);
    assert_ok(a.status, &a.e);
    assert_int_equal(limits_failed(&a.limits, false), 1);
    assert_int_equal(limits_failed(&a.limits, true), 2);

    assert_ok(limits_table(&a.limits, false, &(struct table_style){.width = 120}, &out, &a.e), &a.e);
    assert_has(out.bytes, "baseline: millbrook-llama@f32\n");
    assert_has(out.bytes, "stories/perplexity  @gguf:q4_0      +1.00%  [+0.50%, +2.00%]     ≤ +1%  undecided: ");
    assert_has(out.bytes, "lastword/acc        @gguf:q4_0      -0.034  [-0.052, -0.016]  ≥ -0.015  beyond ✗\n");
    assert_has(out.bytes, "endings/flips       @gguf:q4_0          21      [13.8, 31.7]      ≤ 21  within\n");
    assert_has(out.bytes, "9 checks: 7 within, 1 undecided, 1 beyond\n");
    text_clear(&out);
    assert_ok(limits_table(&a.limits, true, &(struct table_style){.width = 120, .colour = true}, &out, &a.e), &a.e);
    assert_int_equal(occurrences(out.bytes, "\033[31m"), 2);
    assert_has(out.bytes, "1 undecided (which fails)");

    text_clear(&out);
    assert_ok(limits_markdown(&a.limits, false, &out, &a.e), &a.e);
    assert_has(out.bytes, "# 1 of 9 checks failed\n");
    assert_has(out.bytes,
               "| <code>lastword/acc</code> | <code>@gguf:q4_0</code> | -0.034 | [-0.052, -0.016] | ≥ -0.015 | "
               "**beyond** |\n| <code>stories/perplexity</code>");

    text_clear(&out);
    assert_ok(limits_junit(&a.limits, false, &out, &a.e), &a.e);
    assert_has(out.bytes, "<testsuites name=\"kerf check\" tests=\"9\" failures=\"1\" errors=\"0\">");
    assert_has(out.bytes, "<testsuite name=\"millbrook-llama@gguf:q4_0\" tests=\"3\" failures=\"1\" ");
    assert_int_equal(occurrences(out.bytes, "<testsuite "), 3);
    assert_int_equal(occurrences(out.bytes, "<testcase "), 9);
    assert_int_equal(occurrences(out.bytes, "<failure type=\"beyond\""), 1);
    text_clear(&out);
    assert_ok(limits_junit(&a.limits, true, &out, &a.e), &a.e);
    assert_int_equal(occurrences(out.bytes, "<failure type=\"undecided\""), 1);

    json_t *record = limits_record(&a.limits, false);
    assert_false(json_is_true(json_object_get(record, "passed")));
    assert_int_equal(json_integer_value(json_object_get(record, "beyond")), 1);
    const json_t *first = json_array_get(json_object_get(record, "limits"), 2);
    assert_string_equal(json_string_value(json_object_get(first, "of")), "relative");
    assert_string_equal(json_string_value(json_object_get(first, "verdict")), "undecided");
    assert_near(json_number_value(json_object_get(first, "at_most")), 0.01, 1e-12, "at_most");
    assert_near(json_number_value(json_object_get(first, "value")), 0.01, 1e-12, "value");
    assert_true(json_is_null(json_object_get(first, "more_items")));
    json_decref(record);
    text_free(&out);
    asked_close(&a);
    json_decref(comparison);
}

/* Names and reasons of others' making. */
static void test_hostile(void **state)
{
    (void)state;
    json_t *comparison = comparison_new();
    struct text out = {0};
    struct asked a;
    edit(comparison, "subjects/3/name", HOSTILE);
    edit(comparison, "rows/5/suite", HOSTILE);
    edit(comparison, "rows/5/metric", HOSTILE);
    edit(comparison, "rows/8/cells/3/reason", HOSTILE);
    ask(&a, "limits: {'*<script>*': -0.001, reviews/mcc: -0.1}", comparison);
    assert_ok(a.status, &a.e);
    assert_ok(limits_table(&a.limits, false, &(struct table_style){.width = 120}, &out, &a.e), &a.e);
    assert_harmless(out.bytes);
    text_clear(&out);
    assert_ok(limits_markdown(&a.limits, false, &out, &a.e), &a.e);
    assert_harmless(out.bytes);
    assert_null(strstr(out.bytes, "<script>"));
    assert_null(strstr(out.bytes, "`"));
    text_clear(&out);
    assert_ok(limits_junit(&a.limits, false, &out, &a.e), &a.e);
    assert_harmless(out.bytes);
    assert_null(strstr(out.bytes, "<script>"));
    text_free(&out);
    asked_close(&a);
    json_decref(comparison);
}

/* A comment below a pull request has no more than 65,536 characters. */
static void test_long_page(void **state)
{
    (void)state;
    json_t *comparison = comparison_new();
    struct text out = {0};
    struct asked a;
    resize_subjects(comparison, 800);
    ask(&a, "limits: {lastword/acc: -0.015, endings/flips: 21}", comparison);
    assert_ok(a.status, &a.e);
    assert_ok(limits_markdown(&a.limits, false, &out, &a.e), &a.e);
    assert_true(out.length < 65536 && out.length > 50000);
    assert_has(out.bytes, "of them are left out here");
    text_free(&out);
    asked_close(&a);
    json_decref(comparison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),  cmocka_unit_test(test_score_interval), cmocka_unit_test(test_more_items),
        cmocka_unit_test(test_undefined), cmocka_unit_test(test_selection),      cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_missing_cells),  cmocka_unit_test(test_run_alone),
        cmocka_unit_test(test_too_many),  cmocka_unit_test(test_sinks),          cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_long_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
