/* Precision, recall, F1 and MCC of small tables worked by hand, of scikit-learn's documentation, and against sums over
 * the whole confusion matrix. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/confusion.h"

#include <math.h>
#include <stdlib.h>

/* The choices of an item whose prediction is this class. */
static void predict(struct choice *choices, size_t n_choices, size_t predicted)
{
    for (size_t i = 0; i < n_choices; i++) choices[i] = (struct choice){.loglikelihood = i == predicted ? -1 : -2};
}

/* The value over items of n_choices choices, given as pairs "gold predicted" of digits. */
static double value_of(const char *name, const char *average, size_t n_choices, const char *pairs)
{
    struct measure m;
    struct error e;
    assert_ok(measure_open(&m, name, OUTCOME_CHOICE, &e), &e);
    if (average) assert_ok(measure_set(&m, "average", average, &e), &e);
    double stats[16 * METRIC_WIDTH];
    size_t n = 0;
    for (const char *p = pairs; *p; p += p[2] ? 3 : 2, n++) {
        struct choice choices[8];
        predict(choices, n_choices, (size_t)(p[1] - '0'));
        const struct outcome o = {
            .kind = OUTCOME_CHOICE, .choices = choices, .n_choices = n_choices, .gold = (size_t)(p[0] - '0')};
        assert_ok(measure_accumulate(&m, &o, stats + n * m.metric->width, &e), &e);
    }
    const double value = measure_value(&m, stats, n);
    measure_close(&m);
    return value;
}

/* tp 3, fp 1, fn 2, tn 4 */
static const char binary[] = "11 11 11 01 10 10 00 00 00 00";
static const char three[] = "00 00 11 12 22 22";
/* scikit-learn's documentation of f1_score: [0, 1, 2, 0, 1, 2] against [0, 2, 1, 0, 0, 1] */
static const char confused[] = "00 12 21 00 10 21";
/* and of classification_report: [0, 1, 2, 2, 2] against [0, 0, 2, 2, 1] */
static const char report[] = "00 10 22 22 21";

static void test_values(void **state)
{
    (void)state;
    const struct {
        const char *name, *average;
        size_t n_choices;
        const char *pairs;
        double value;
    } cases[] = {
        {"f1", NULL, 2, binary, 6.0 / 9},
        {"precision", NULL, 2, binary, 3.0 / 4},
        {"recall", "binary", 2, binary, 3.0 / 5},
        {"macro_f1", NULL, 2, binary, (6.0 / 9 + 8.0 / 11) / 2},
        {"f1", "macro", 2, binary, (6.0 / 9 + 8.0 / 11) / 2},
        {"f1", "weighted", 2, binary, (6.0 / 9 + 8.0 / 11) / 2},
        {"f1", "micro", 2, binary, 7.0 / 10},
        {"mcc", NULL, 2, binary, 10 / sqrt(600)},
        /* scikit-learn's documentation: [1, 1, 1, -1] against [1, -1, 1, 1] */
        {"mcc", NULL, 2, "11 10 11 01", -1.0 / 3},
        {"macro_f1", NULL, 3, three, (1 + 2.0 / 3 + 4.0 / 5) / 3},
        {"mcc", NULL, 3, three, 18 / sqrt(528)},
        {"precision", "macro", 3, confused, 2.0 / 9},
        {"precision", "micro", 3, confused, 1.0 / 3},
        {"precision", "weighted", 3, confused, 2.0 / 9},
        {"recall", "macro", 3, confused, 1.0 / 3},
        {"recall", "micro", 3, confused, 1.0 / 3},
        {"recall", "weighted", 3, confused, 1.0 / 3},
        {"f1", "macro", 3, confused, 4.0 / 15},
        {"f1", "micro", 3, confused, 1.0 / 3},
        {"f1", "weighted", 3, confused, 4.0 / 15},
        {"mcc", NULL, 3, confused, 0},
        {"precision", "macro", 3, report, 1.5 / 3},
        {"recall", "macro", 3, report, (1 + 2.0 / 3) / 3},
        {"f1", "macro", 3, report, (2.0 / 3 + 0.8) / 3},
        {"precision", "weighted", 3, report, 3.5 / 5},
        {"recall", "weighted", 3, report, 3.0 / 5},
        {"f1", "weighted", 3, report, (2.0 / 3 + 2.4) / 5},
        /* a class that is neither gold nor predicted does not count; one that is either does */
        {"macro_f1", NULL, 3, "00 00 11 11", 1},
        {"macro_f1", NULL, 2, "00 00", 1},
        {"macro_f1", NULL, 3, "00 00 11 12", (1 + 2.0 / 3 + 0) / 3},
        {"mcc", NULL, 8, "00 77 66 33", 1},
        /* denominators of 0 */
        {"f1", NULL, 2, "00 00", 0},
        {"precision", NULL, 2, "10 00", 0},
        {"recall", NULL, 2, "01 00", 0},
        {"mcc", NULL, 2, "00 10", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(value_of(cases[i].name, cases[i].average, cases[i].n_choices, cases[i].pairs), cases[i].value,
                    1e-12, cases[i].pairs);
}

/* The scores of a matrix by their first definitions: F1 from precision and recall, MCC from the covariances of the
 * indicators of gold and prediction. */
struct scores {
    double macro, weighted, mcc;
};

static struct scores scores_of(const double *matrix, size_t k)
{
    double n = 0, gold[CLASSES] = {0}, predicted[CLASSES] = {0};
    for (size_t i = 0; i < k * k; i++) n += matrix[i], gold[i / k] += matrix[i], predicted[i % k] += matrix[i];
    struct scores s = {0};
    double seen = 0, cross = 0, spread_gold = 0, spread_predicted = 0;
    for (size_t c = 0; c < k; c++) {
        const double hits = matrix[c * k + c];
        const double precision = predicted[c] > 0 ? hits / predicted[c] : 0, recall = gold[c] > 0 ? hits / gold[c] : 0;
        const double f1 = hits > 0 ? 2 * precision * recall / (precision + recall) : 0;
        s.macro += f1;
        s.weighted += f1 * gold[c] / n;
        seen += gold[c] + predicted[c] > 0;
        cross += hits / n - gold[c] / n * predicted[c] / n;
        spread_gold += gold[c] / n * (1 - gold[c] / n);
        spread_predicted += predicted[c] / n * (1 - predicted[c] / n);
    }
    s.macro /= seen;
    s.mcc = cross / sqrt(spread_gold * spread_predicted);
    return s;
}

static void test_many_classes(void **state)
{
    (void)state;
    enum { N = 500 };
    static const size_t sizes[] = {2, 3, 17, CLASSES};
    struct choice(*choices)[CLASSES] = test_malloc(N * sizeof *choices);
    struct outcome outcomes[N];
    double *stats = test_malloc(N * METRIC_WIDTH * sizeof *stats);
    struct random g = {5};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const uint32_t k = (uint32_t)sizes[s];
        for (size_t i = 0; i < N; i++) {
            const size_t gold = random_below(&g, k);
            predict(choices[i], k, random_below(&g, 2) ? gold : random_below(&g, k));
            outcomes[i] = (struct outcome){.kind = OUTCOME_CHOICE, .choices = choices[i], .n_choices = k, .gold = gold};
        }
        struct error e;
        double *matrix, got[3];
        size_t classes;
        assert_ok(confusion_count(outcomes, N, &classes, &matrix, &e), &e);
        assert_int_equal(classes, k);
        for (size_t w = 0; w < 3; w++) {
            struct measure m;
            assert_ok(measure_open(&m, w == 2 ? "mcc" : "f1", OUTCOME_CHOICE, &e), &e);
            if (w < 2) assert_ok(measure_set(&m, "average", w ? "weighted" : "macro", &e), &e);
            for (size_t i = 0; i < N; i++)
                assert_ok(measure_accumulate(&m, &outcomes[i], stats + i * m.metric->width, &e), &e);
            got[w] = measure_value(&m, stats, N);
            measure_close(&m);
        }
        const struct scores wanted = scores_of(matrix, k);
        assert_close(got[0], wanted.macro, 1e-12);
        assert_close(got[1], wanted.weighted, 1e-12);
        assert_close(got[2], wanted.mcc, 1e-12);
        free(matrix);
    }
    test_free(stats);
    test_free(choices);
}

static void test_confusion(void **state)
{
    (void)state;
    struct choice two[2], three_choices[3];
    predict(two, 2, 1);
    predict(three_choices, 3, 2);
    const struct outcome o[] = {
        {.choices = two, .n_choices = 2, .gold = 1},
        {.choices = two, .n_choices = 2, .gold = 0},
        {.choices = three_choices, .n_choices = 3, .gold = 0},
        {.choices = two, .n_choices = 2, .gold = 0},
    };
    static const double wanted[] = {0, 2, 1, 0, 1, 0, 0, 0, 0};
    size_t classes;
    double *matrix;
    struct error e;
    assert_ok(confusion_count(o, 4, &classes, &matrix, &e), &e);
    assert_int_equal(classes, 3);
    assert_memory_equal(matrix, wanted, sizeof wanted);
    free(matrix);
    const struct outcome bad[] = {o[0], {.choices = two, .n_choices = 2, .gold = 2}};
    assert_error(confusion_count(bad, 2, &classes, &matrix, &e), &e, ERROR_INPUT, "item 1: gold");
    assert_null(matrix);
    assert_ok(confusion_count(o, 0, &classes, &matrix, &e), &e);
    assert_int_equal(classes, 0);
    free(matrix);
}

static void test_refused(void **state)
{
    (void)state;
    const struct choice choices[CLASSES + 1] = {0};
    double stats[METRIC_WIDTH], *matrix;
    size_t classes;
    struct error e;
    const struct outcome many = {.kind = OUTCOME_CHOICE, .choices = choices, .n_choices = CLASSES + 1};
    struct measure m = measure_of(metric_find("mcc", OUTCOME_CHOICE));
    assert_error(measure_accumulate(&m, &many, stats, &e), &e, ERROR_INPUT, "65 classes");
    assert_error(confusion_count(&many, 1, &classes, &matrix, &e), &e, ERROR_INPUT, "item 0: choices: 65 classes");
    const struct outcome three_of = {.kind = OUTCOME_CHOICE, .choices = choices, .n_choices = 3};
    m = measure_of(metric_find("f1", OUTCOME_CHOICE));
    assert_error(measure_accumulate(&m, &three_of, stats, &e), &e, ERROR_INPUT, "average=binary takes 2, not 3");
    assert_error(measure_set(&m, "average", "mean", &e), &e, ERROR_INPUT, "none of binary, macro, micro, weighted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_many_classes),
        cmocka_unit_test(test_confusion),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("metrics/f1", tests, NULL, NULL);
}
