/* F1, macro F1 and MCC of small confusion tables worked by hand. */
#include "tests/metrics/close.h"

#include "metrics/metric.h"

#include <math.h>
#include <stdlib.h>

/* The value over items of n_choices choices, given as pairs "gold predicted" of digits. */
static double value_of(const char *name, size_t n_choices, const char *pairs)
{
    const struct measure x = measure_of(metric_find(name, OUTCOME_CHOICE)), *m = &x;
    assert_non_null(m);
    double stats[64 * METRIC_WIDTH];
    size_t n = 0;
    for (const char *p = pairs; *p; p += p[2] ? 3 : 2, n++) {
        struct choice choices[8] = {0};
        for (size_t i = 0; i < n_choices; i++) choices[i].loglikelihood = i == (size_t)(p[1] - '0') ? -1 : -2;
        const struct outcome o = {
            .kind = OUTCOME_CHOICE, .choices = choices, .n_choices = n_choices, .gold = (size_t)(p[0] - '0')};
        struct error e;
        assert_ok(measure_accumulate(m, &o, stats + n * m->metric->width, &e), &e);
    }
    return measure_value(m, stats, n);
}

/* tp 3, fp 1, fn 2, tn 4 */
static const char binary[] = "11 11 11 01 10 10 00 00 00 00";

static void test_values(void **state)
{
    (void)state;
    static const char three[] = "00 00 11 12 22 22", confused[] = "00 12 21 00 10 21";
    const struct {
        const char *name;
        size_t n_choices;
        const char *pairs;
        double value;
    } cases[] = {
        {"f1", 2, binary, 6.0 / 9},
        {"macro_f1", 2, binary, (6.0 / 9 + 8.0 / 11) / 2},
        {"mcc", 2, binary, 10 / sqrt(600)},
        /* scikit-learn's documentation: [1, 1, 1, -1] against [1, -1, 1, 1] */
        {"mcc", 2, "11 10 11 01", -1.0 / 3},
        {"macro_f1", 3, three, (1 + 2.0 / 3 + 4.0 / 5) / 3},
        {"mcc", 3, three, 18 / sqrt(528)},
        /* scikit-learn's documentation: [0, 1, 2, 0, 1, 2] against [0, 2, 1, 0, 0, 1] */
        {"macro_f1", 3, confused, 4.0 / 15},
        {"mcc", 3, confused, 0},
        /* a class that never occurs is a class all the same, with an F1 of 0 */
        {"macro_f1", 3, "00 00 11 11", 2.0 / 3},
        {"macro_f1", 2, "00 00", 0.5},
        {"mcc", 8, "00 77 66 33", 1},
        /* denominators of 0 */
        {"f1", 2, "00 00", 0},
        {"mcc", 2, "00 10", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_close(value_of(cases[i].name, cases[i].n_choices, cases[i].pairs), cases[i].value, 1e-12);
}

static void test_refused(void **state)
{
    (void)state;
    const struct choice choices[9] = {0};
    double stats[METRIC_WIDTH];
    struct error e;
    const struct outcome nine = {.kind = OUTCOME_CHOICE, .choices = choices, .n_choices = 9};
    assert_error(measure_accumulate(&(struct measure){.metric = metric_find("mcc", OUTCOME_CHOICE)}, &nine, stats, &e),
                 &e, ERROR_INPUT, "9 classes");
    const struct outcome three = {.kind = OUTCOME_CHOICE, .choices = choices, .n_choices = 3};
    assert_error(measure_accumulate(&(struct measure){.metric = metric_find("f1", OUTCOME_CHOICE)}, &three, stats, &e),
                 &e, ERROR_INPUT, "f1 takes 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("metrics/f1", tests, NULL, NULL);
}
