/* Comparisons of made-up runs: what is subtracted, what is refused, and what many candidates do to p. */
#include "engine/base/text.h"
#include "suites/compare.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

enum { ITEMS = 40, MOST = 4 };

/* A run of one suite with accuracy alone. */
struct made {
    struct score score;
    double values[2 * ITEMS];
    double *stats[1];
    json_t *record, *run;
    struct measured suite;
    struct contender contender;
};

/* `right` of the items are right: those from `first` on. */
static void make(struct made *m, const char *subject, int64_t context, size_t first, size_t right)
{
    *m = (struct made){.score = {.measure = measure_of(metric_find("acc", OUTCOME_CHOICE)), .name = "acc"}};
    for (size_t i = 0; i < ITEMS; i++) {
        m->values[2 * i] = i >= first && i < first + right;
        m->values[2 * i + 1] = 1;
    }
    m->stats[0] = m->values;
    m->record = json_pack("{s:s, s:s, s:{s:I, s:s}, s:[{s:s, s:f, s:n, s:n}]}", "name", "endings", "fingerprint", "f1",
                          "protocol", "context", (json_int_t)context, "decoding", subject, "metrics", "name", "acc",
                          "value", (double)right / ITEMS, "stderr", "ci95");
    m->run = json_pack("{s:{s:s, s:s, s:s, s:s}}", "subject", "name", subject, "sha256", subject, "backend", "f32",
                       "math", "exact");
    m->suite = (struct measured){m->record, &m->score, 1, m->stats, ITEMS};
    m->contender = (struct contender){m->run, &m->suite, 1};
}

static void release(struct made *m)
{
    json_decref(m->record);
    json_decref(m->run);
}

static const struct compare_options plain = {.resampling = {.resamples = 1000, .seed = 1}, .decoding_differs = true};

static json_t *cell(json_t *comparison, size_t row, size_t subject)
{
    return json_array_get(json_object_get(json_array_get(json_object_get(comparison, "rows"), row), "cells"), subject);
}

static double number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void test_two_subjects(void **state)
{
    struct error e;
    struct made a, b;
    make(&a, "a", 512, 0, 20);
    make(&b, "b", 512, 0, 12);
    json_t *c = compare_record((struct contender[]){a.contender, b.contender}, 2, &plain, &e);
    assert_non_null(c);
    const json_t *d = json_object_get(cell(c, 0, 1), "difference");
    assert_true(fabs(number(d, "value") + 0.2) < 1e-12);
    assert_int_equal(json_integer_value(json_object_get(d, "lost")), 8);
    assert_true(number(d, "p") == 2.0 / 256); /* McNemar: 8 of 8 in one direction */
    assert_true(json_is_true(json_object_get(d, "significant")));
    assert_null(json_object_get(d, "p_holm"));
    assert_true(json_is_null(json_object_get(cell(c, 0, 0), "difference")));
    json_decref(c);
    release(&a);
    release(&b);
}

/* p = 2/256, 2/64 and 1 become 3 * 2/256, 2 * 2/64 and 1: the second is significant alone and not among three. */
static void test_many_candidates(void **state)
{
    struct error e;
    struct made m[MOST];
    const size_t right[MOST] = {20, 12, 14, 20};
    struct contender all[MOST];
    for (size_t i = 0; i < MOST; i++) {
        make(&m[i], (const char *[]){"a", "b", "c", "d"}[i], 512, 0, right[i]);
        all[i] = m[i].contender;
    }
    json_t *c = compare_record(all, MOST, &plain, &e);
    const double adjusted[MOST] = {NAN, 6.0 / 256, 4.0 / 64, 1};
    for (size_t i = 1; i < MOST; i++) {
        const json_t *d = json_object_get(cell(c, 0, i), "difference");
        assert_true(fabs(number(d, "p_holm") - adjusted[i]) < 1e-12);
        assert_int_equal(json_is_true(json_object_get(d, "significant")), adjusted[i] < 0.05);
    }
    json_decref(c);
    for (size_t i = 0; i < MOST; i++) release(&m[i]);
}

static void test_other_protocols_are_refused(void **state)
{
    struct error e;
    struct made a, b;
    make(&a, "a", 512, 0, 20);
    make(&b, "b", 256, 0, 20);
    const struct contender both[] = {a.contender, b.contender};
    assert_null(compare_record(both, 2, &plain, &e));
    assert_int_equal(e.code, ERROR_INPUT);
    assert_non_null(
        strstr(e.text, "suite endings: b is not comparable with the baseline: context is 256, the baseline's is 512"));
    struct compare_options forced = plain;
    forced.force = true;
    json_t *c = compare_record(both, 2, &forced, &e);
    assert_true(json_is_null(json_object_get(cell(c, 0, 1), "difference")));
    assert_string_equal(json_string_value(json_object_get(cell(c, 0, 1), "refused")),
                        "context is 256, the baseline's is 512");
    assert_true(number(cell(c, 0, 1), "value") == 0.5);
    json_decref(c);
    release(&a);
    release(&b);
}

/* Unless the strategies are what is compared. */
static void test_decoding_differs_only_where_asked(void **state)
{
    struct error e;
    struct made a, b;
    make(&a, "greedy", 512, 0, 20);
    make(&b, "beam:4", 512, 0, 21);
    const struct contender both[] = {a.contender, b.contender};
    struct compare_options strict = plain;
    strict.decoding_differs = false;
    assert_null(compare_record(both, 2, &strict, &e));
    assert_non_null(strstr(e.text, "decoding is \"beam:4\", the baseline's is \"greedy\""));
    json_t *c = compare_record(both, 2, &plain, &e);
    assert_non_null(c);
    json_decref(c);
    release(&a);
    release(&b);
}

static void test_a_suite_may_be_missing(void **state)
{
    struct error e;
    struct made a, b;
    make(&a, "a", 512, 0, 20);
    make(&b, "b", 512, 0, 20);
    b.contender.n_suites = 0;
    const struct contender both[] = {a.contender, b.contender};
    assert_null(compare_record(both, 2, &plain, &e));
    assert_non_null(strstr(e.text, "the run has no such suite"));
    struct compare_options forced = plain;
    forced.force = true;
    json_t *c = compare_record(both, 2, &forced, &e);
    assert_true(isnan(number(cell(c, 0, 1), "value")));
    json_decref(c);
    release(&a);
    release(&b);
}

/* A divergence counts from the subject it was measured from, and from no other: not from one that was calibrated with
 * another text or weighed by another matrix. */
static void test_divergence_is_from_this_baseline(void **state)
{
    struct error e;
    static const char *const from[][3] = {{"a", "c", "i"}, {"z", "c", "i"}, {"a", "z", "i"}, {"a", "c", "z"}};
    for (size_t k = 0; k < 4; k++) {
        struct made a, b;
        make(&a, "a", 512, 0, 20);
        make(&b, "b", 512, 0, 20);
        json_t *subject = json_object_get(a.run, "subject");
        json_object_set_new(subject, "calibration", json_pack("{s:s}", "sha256", "c"));
        json_object_set_new(subject, "imatrix_sha256", json_string("i"));
        json_object_set_new(b.record, "divergence",
                            json_pack("{s:{s:s, s:s, s:s, s:s, s:s}, s:[{s:s, s:f, s:f, s:[f, f], s:s, s:s}]}",
                                      "baseline", "sha256", from[k][0], "backend", "f32", "math", "exact",
                                      "calibration_sha256", from[k][1], "imatrix_sha256", from[k][2], "metrics", "name",
                                      "kl_divergence", "value", 0.25, "stderr", 0.01, "ci95", 0.23, 0.27, "better",
                                      "lower", "unit", "nat"));
        json_t *c = compare_record((struct contender[]){a.contender, b.contender}, 2, &plain, &e);
        assert_int_equal(json_array_size(json_object_get(c, "rows")), k ? 1 : 2);
        if (!k) assert_true(number(cell(c, 1, 1), "value") == 0.25);
        json_decref(c);
        release(&a);
        release(&b);
    }
}

static void test_canaries_are_gathered(void **state)
{
    struct error e;
    struct made a, b;
    make(&a, "a", 512, 0, 20);
    make(&b, "b", 512, 0, 10);
    json_object_set_new(b.record, "canaries", json_pack("[{s:s, s:s}]", "name", "chance_level", "reason", "words"));
    json_t *c = compare_record((struct contender[]){a.contender, b.contender}, 2, &plain, &e);
    const json_t *flag = json_array_get(json_object_get(c, "canaries"), 0);
    assert_string_equal(json_string_value(json_object_get(flag, "suite")), "endings");
    assert_int_equal(json_integer_value(json_object_get(flag, "subject")), 1);
    json_decref(c);
    release(&a);
    release(&b);
}

/* A reason that shows the beginning of a long text may end within a character; it is a reason all the same. */
static void test_reason_that_is_cut(void **state)
{
    struct error e;
    struct made a, b;
    make(&a, "a", 512, 0, 20);
    make(&b, "b", 512, 0, 20);
    struct text prompt = {0};
    for (int i = 0; i < 80; i++) text_add(&prompt, "é");
    json_object_set_new(json_object_get(b.record, "protocol"), "description", json_string(text_c(&prompt)));
    struct compare_options forced = plain;
    forced.force = true;
    json_t *c = compare_record((struct contender[]){a.contender, b.contender}, 2, &forced, &e);
    assert_non_null(c);
    const char *refused = json_string_value(json_object_get(cell(c, 0, 1), "refused"));
    assert_non_null(refused);
    assert_non_null(strstr(refused, "description is \"é"));
    text_free(&prompt);
    json_decref(c);
    release(&a);
    release(&b);
}

/* Rows of a suite are neighbours, also where each of its metrics comes from another run. */
static void test_neighbours(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"}, *const suites[] = {"endings", "other", "third", "other"};
    struct error e;
    struct made m[MOST];
    for (size_t i = 0; i < MOST; i++) {
        make(&m[i], names[i], 512, 0, 20);
        json_object_set_new(m[i].record, "name", json_string(suites[i]));
    }
    m[3].score.name = (char *)"acc_norm";
    struct compare_options forced = plain;
    forced.force = true;
    json_t *c = compare_record((struct contender[]){m[0].contender, m[1].contender, m[2].contender, m[3].contender},
                               MOST, &forced, &e);
    static const char *const rows[][2] = {
        {"endings", "acc"}, {"other", "acc"}, {"other", "acc_norm"}, {"third", "acc"}};
    assert_int_equal(json_array_size(json_object_get(c, "rows")), MOST);
    for (size_t i = 0; i < MOST; i++) {
        const json_t *row = json_array_get(json_object_get(c, "rows"), i);
        assert_string_equal(json_string_value(json_object_get(row, "suite")), rows[i][0]);
        assert_string_equal(json_string_value(json_object_get(row, "metric")), rows[i][1]);
    }
    json_decref(c);
    for (size_t i = 0; i < MOST; i++) release(&m[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_subjects),
        cmocka_unit_test(test_many_candidates),
        cmocka_unit_test(test_other_protocols_are_refused),
        cmocka_unit_test(test_decoding_differs_only_where_asked),
        cmocka_unit_test(test_a_suite_may_be_missing),
        cmocka_unit_test(test_divergence_is_from_this_baseline),
        cmocka_unit_test(test_canaries_are_gathered),
        cmocka_unit_test(test_reason_that_is_cut),
        cmocka_unit_test(test_neighbours),
    };
    return cmocka_run_group_tests_name("suites/compare", tests, NULL, NULL);
}
