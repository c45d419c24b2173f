/* Accuracy: which choice wins under each normalisation, ties, and what is refused; the registry. */
#include "tests/testing.h"

#include "metrics/metric.h"

#include <math.h>
#include <string.h>

static double score(const char *name, const struct outcome *o)
{
    const struct measure x = measure_of(metric_find(name, o->kind)), *m = &x;
    assert_non_null(m);
    struct error e;
    double stats[METRIC_WIDTH];
    assert_ok(measure_accumulate(m, o, stats, &e), &e);
    return measure_value(m, stats, 1);
}

/* Sums -6 -8 -9; by character -3 -2 -3; by byte -3 -2 -1; by token -3 -8 -9/4. */
static const struct choice choices[] = {{-6, 2, 2, 2}, {-8, 4, 4, 1}, {-9, 3, 9, 4}};

static void test_normalisations(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t winner;
    } cases[] = {{"acc", 0}, {"acc_norm", 1}, {"acc_bytes", 2}, {"acc_tokens", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t gold = 0; gold < 3; gold++) {
            const struct outcome o = {.kind = OUTCOME_CHOICE, .choices = choices, .n_choices = 3, .gold = gold};
            assert_true(score(cases[i].name, &o) == (gold == cases[i].winner));
        }
}

static void test_ties_go_to_the_first(void **state)
{
    (void)state;
    const struct choice tied[] = {{-4, 2, 2, 2}, {-3, 1, 1, 1}, {-3, 1, 1, 1}, {-2, 1, 1, 1}, {-2, 1, 1, 1}};
    const struct outcome o = {.kind = OUTCOME_CHOICE, .choices = tied, .n_choices = 5};
    assert_int_equal(choice_best(&o, NULL), 3);
    assert_int_equal(choice_best(&o, choice_characters), 0);
    const struct choice empty[] = {{-3, 2, 2, 1}, {-1, 0, 0, 0}};
    const struct outcome p = {.kind = OUTCOME_CHOICE, .choices = empty, .n_choices = 2};
    assert_int_equal(choice_best(&p, choice_bytes), 1);
}

static void test_greedy(void **state)
{
    (void)state;
    const struct outcome yes = {.kind = OUTCOME_LIKELIHOOD, .loglikelihood = -1, .greedy = true};
    const struct outcome no = {.kind = OUTCOME_LIKELIHOOD, .loglikelihood = -1};
    assert_true(score("acc", &yes) == 1 && score("acc", &no) == 0);
}

static void test_mean_over_items(void **state)
{
    (void)state;
    const struct measure x = measure_of(metric_find("acc", OUTCOME_CHOICE)), *m = &x;
    const double stats[] = {1, 1, 0, 1, 1, 1, 1, 1};
    assert_true(measure_value(m, stats, 4) == 0.75);
    assert_true(isnan(measure_value(m, stats, 0)));
}

static void test_refused(void **state)
{
    (void)state;
    const struct measure x = measure_of(metric_find("acc", OUTCOME_CHOICE)), *m = &x;
    struct error e;
    double stats[2];
    const struct outcome none = {.kind = OUTCOME_CHOICE};
    assert_error(measure_accumulate(m, &none, stats, &e), &e, ERROR_INPUT, "choices");
    const struct outcome outside = {.kind = OUTCOME_CHOICE, .choices = choices, .n_choices = 3, .gold = 3};
    assert_error(measure_accumulate(m, &outside, stats, &e), &e, ERROR_INPUT, "gold: 3");
    const struct choice bad[] = {{-1, 1, 1, 1}, {NAN, 1, 1, 1}};
    const struct outcome nan = {.kind = OUTCOME_CHOICE, .choices = bad, .n_choices = 2};
    assert_error(measure_accumulate(m, &nan, stats, &e), &e, ERROR_NUMBER, "choice 1");
}

static void test_registry(void **state)
{
    (void)state;
    const struct metric *m;
    for (size_t i = 0; (m = metric_at(i)); i++) {
        assert_ptr_equal(metric_find(m->name, m->kind), m);
        assert_in_range(m->width, 1, METRIC_WIDTH);
        assert_true(m->unit && m->accumulate && m->finish);
        assert_true(!m->is_mean || m->width == 2);
        const double none[METRIC_WIDTH] = {0};
        assert_true(isnan(measure_finish(&(struct measure){.metric = m}, none)));
        assert_string_not_equal(outcome_kind_name(m->kind), "unknown");
    }
    assert_null(metric_find("acc", OUTCOME_ROLLING));
    assert_null(metric_find("accuracy", OUTCOME_CHOICE));
    assert_null(metric_at(1000));
}

static void test_signatures(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t references;
        const char *signature;
    } cases[] = {
        {"bleu", 1, "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"},
        {"bleu", 2, "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"},
        {"chrf", 0, "nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"},
        {"chrf++", 1, "nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0"},
        {"exact_match", 1, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = {0};
        measure_signature(&(struct measure){.metric = metric_find(cases[i].name, OUTCOME_GENERATION)},
                          cases[i].references, &t);
        assert_string_equal(text_c(&t), cases[i].signature);
        text_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalisations), cmocka_unit_test(test_ties_go_to_the_first),
        cmocka_unit_test(test_greedy),         cmocka_unit_test(test_mean_over_items),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_signatures),
    };
    return cmocka_run_group_tests_name("metrics/acc", tests, NULL, NULL);
}
