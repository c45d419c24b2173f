/* The order and the ties of reports/board/rank.h, from its formulas: by hand, and by simulation. */
#include "engine/base/random.h"
#include "reports/board/rank.h"
#include "tests/reports/edit.h"

#include <math.h>

enum { MOST = 8 };

/* A ranking of one or two suites, all of whose rows count. */
struct fixture {
    struct rank_input in;
    struct standing out[MOST];
};

static struct fixture begin(size_t rows, size_t suites)
{
    struct fixture f = {0};
    struct error e;
    assert_true(rows <= MOST);
    assert_ok(rank_input_open(&f.in, rows, suites, &e), &e);
    for (size_t s = 0; s < suites; s++) f.in.higher[s] = true;
    for (size_t i = 0; i < rows; i++) f.in.counts[i] = true;
    return f;
}

static void put(struct fixture *f, size_t row, size_t suite, double value, double error, double paired)
{
    f->in.entries[row * f->in.n_suites + suite] = (struct rank_entry){value, error, paired};
}

static void rank(struct fixture *f)
{
    struct error e;
    assert_ok(rank_rows(&f->in, f->out, &e), &e);
    rank_input_close(&f->in);
}

static void pair_with_first(struct fixture *f)
{
    f->in.ids[0] = "base";
    for (size_t i = 0; i < f->in.n_rows; i++) f->in.baselines[i] = "base";
}

static void assert_place(const struct fixture *f, size_t row, size_t rank_wanted, size_t tie)
{
    assert_int_equal(f->out[row].rank, rank_wanted);
    assert_int_equal(f->out[row].tie, tie);
}

/* acc 0.48 of 0.5: 96 %; perplexity 2.5 of 2: 80 %; together 88 %. */
static void test_mean_of_shares(void **state)
{
    (void)state;
    struct fixture f = begin(2, 2);
    f.in.higher[1] = false;
    put(&f, 0, 0, 0.5, 0.03, NAN);
    put(&f, 0, 1, 2.0, 0.04, NAN);
    put(&f, 1, 0, 0.48, 0.04, NAN);
    put(&f, 1, 1, 2.5, 0.03, NAN);
    rank(&f);
    assert_near(f.out[0].score, 100, 1e-12, "score of the reference");
    assert_near(f.out[0].low, 100, 0, "its interval");
    assert_near(f.out[1].score, 88, 1e-12, "score");
    /* of acc sqrt(0.03^2 + 0.04^2) / 0.5 = 0.1, of perplexity 0.05 * 2 / (2 * 2.5) = 0.02; of their mean half */
    const double error = 100 * sqrt(0.1 * 0.1 + 0.02 * 0.02) / 2;
    assert_near(f.out[1].high - f.out[1].score, 1.959963984540054 * error, 1e-9, "half of the interval");
    assert_near(f.out[1].score - f.out[1].low, 1.959963984540054 * error, 1e-9, "half of the interval");
    assert_place(&f, 0, 1, 1);
    assert_place(&f, 1, 2, 2); /* 12 is more than 1.96 * 5.099 */
}

static void test_tie_without_pairs(void **state)
{
    (void)state;
    struct fixture f = begin(2, 1);
    put(&f, 0, 0, 0.50, 0.03, NAN);
    put(&f, 1, 0, 0.59, 0.04, NAN); /* z = 0.09 / 0.05 = 1.8 */
    rank(&f);
    assert_place(&f, 1, 1, 1);
    assert_place(&f, 0, 2, 1);
    f = begin(2, 1);
    put(&f, 0, 0, 0.50, 0.03, NAN);
    put(&f, 1, 0, 0.60, 0.04, NAN); /* z = 2 */
    rank(&f);
    assert_place(&f, 1, 1, 1);
    assert_place(&f, 0, 2, 2);
}

/* What is not significant between two samples is so between pairs. */
static void test_paired_with_the_baseline(void **state)
{
    (void)state;
    struct fixture f = begin(2, 1);
    pair_with_first(&f);
    put(&f, 0, 0, 0.50, 0.03, NAN);
    put(&f, 1, 0, 0.45, 0.03, 0.01);
    rank(&f);
    assert_place(&f, 1, 2, 2);
    assert_near(f.out[1].high, 90 + 1.959963984540054 * 2, 1e-9, "high, from the paired error alone");
}

/* Two candidates of one baseline: their paired errors add up, and count where they are the smaller bound. */
static void test_bound_by_a_common_baseline(void **state)
{
    (void)state;
    for (int close = 0; close < 2; close++) {
        struct fixture f = begin(3, 1);
        pair_with_first(&f);
        put(&f, 0, 0, 0.60, 0.03, NAN);
        put(&f, 1, 0, 0.50, 0.03, 0.01);
        put(&f, 2, 0, close ? 0.465 : 0.455, 0.03, 0.01); /* of 0.02: z = 1.75 or 2.25; unpaired: at most 1.06 */
        rank(&f);
        assert_place(&f, 0, 1, 1);
        assert_place(&f, 1, 2, 2);
        assert_place(&f, 2, 3, close ? 2 : 3);
    }
    struct fixture f = begin(3, 1); /* of different baselines nothing is known of them together */
    pair_with_first(&f);
    f.in.baselines[2] = "other";
    put(&f, 0, 0, 0.60, 0.03, NAN);
    put(&f, 1, 0, 0.50, 0.03, 0.01);
    put(&f, 2, 0, 0.455, 0.03, 0.01);
    rank(&f);
    assert_place(&f, 2, 3, 2);
    f = begin(2, 1); /* the baseline, measured on two machines: nearly equal, which is no difference */
    pair_with_first(&f);
    f.in.ids[1] = "base";
    put(&f, 0, 0, 0.60, 0.03, NAN);
    put(&f, 1, 0, 0.6000001, 0.03, NAN);
    rank(&f);
    assert_place(&f, 0, 2, 1);
}

/* A group is what cannot be told from its leader: the third differs from the first, though not from the second. */
static void test_groups_have_leaders(void **state)
{
    (void)state;
    struct fixture f = begin(5, 1);
    static const double values[] = {1.0, 0.98, 0.96, 0.95, 0.90};
    for (size_t i = 0; i < 5; i++) put(&f, i, 0, values[i], 0.01, NAN); /* 1.96 * sqrt(2) * 0.01 = 0.0277 */
    rank(&f);
    static const size_t ties[] = {1, 1, 2, 2, 3};
    for (size_t i = 0; i < 5; i++) assert_place(&f, i, i + 1, ties[i]);
}

/* Group 1 is all that cannot be told from the best, also behind a row that can. */
static void test_uncertain_rows_stay_with_the_best(void **state)
{
    (void)state;
    struct fixture f = begin(4, 1);
    static const double values[] = {1.0, 0.95, 0.94, 0.93}, errors[] = {0.01, 0.01, 0.05, 0.01};
    for (size_t i = 0; i < 4; i++) put(&f, i, 0, values[i], errors[i], NAN); /* 0.06 <= 1.96 * 0.051 */
    rank(&f);
    static const size_t ties[] = {1, 2, 1, 2};
    for (size_t i = 0; i < 4; i++) assert_place(&f, i, i + 1, ties[i]);
}

/* The paired error is enough for an interval, not for a group; one subject is itself, however often it was measured. */
static void test_what_is_known_of_pairs(void **state)
{
    (void)state;
    struct fixture f = begin(4, 1);
    pair_with_first(&f);
    f.in.ids[2] = f.in.ids[3] = "twice";
    put(&f, 0, 0, 0.50, 0.03, NAN);
    put(&f, 1, 0, 0.49, NAN, 0.01);
    put(&f, 2, 0, 0.40, 0.001, 0.001);
    put(&f, 3, 0, 0.30, 0.001, 0.001);
    rank(&f);
    assert_place(&f, 1, 2, 0);
    assert_near(f.out[1].high - 98, 1.959963984540054 * 2, 1e-9, "half of the interval");
    assert_place(&f, 2, 3, 2);
    assert_place(&f, 3, 4, 2);
}

static void test_nothing_and_too_much(void **state)
{
    (void)state;
    struct fixture f = begin(0, 8); /* suites and no row: not even a reference */
    rank(&f);
    f = begin(2, 0);
    rank(&f);
    assert_place(&f, 0, 0, 0);
    f = begin(1, 1);
    put(&f, 0, 0, 0.5, 0.03, NAN);
    rank(&f);
    assert_place(&f, 0, 1, 1);
    f = begin(3, 1); /* of a tiny reference, what overflows has no score */
    put(&f, 0, 0, 1e-300, 0, NAN);
    put(&f, 1, 0, 1e300, 0, NAN);
    put(&f, 2, 0, 1e-299, 1e300, NAN);
    rank(&f);
    assert_place(&f, 1, 0, 0);
    assert_place(&f, 2, 1, 1);
    assert_place(&f, 0, 2, 1);
}

static void test_equal_scores_share_a_rank(void **state)
{
    (void)state;
    struct fixture f = begin(4, 1);
    static const double values[] = {0.5, 0.75, 0.75, 0.25};
    for (size_t i = 0; i < 4; i++) put(&f, i, 0, values[i], 0, NAN);
    rank(&f);
    assert_place(&f, 0, 3, 2);
    assert_place(&f, 1, 1, 1);
    assert_place(&f, 2, 1, 1);
    assert_place(&f, 3, 4, 3); /* without an error every difference is one */
}

static void test_missing_errors_have_no_group(void **state)
{
    (void)state;
    struct fixture f = begin(3, 1);
    put(&f, 0, 0, 0.50, 0.03, NAN);
    put(&f, 1, 0, 0.52, NAN, NAN);
    put(&f, 2, 0, 0.51, 0.03, NAN);
    rank(&f);
    assert_place(&f, 1, 1, 0);
    assert_true(isnan(f.out[1].low) && isnan(f.out[1].high));
    assert_place(&f, 2, 2, 1);
    assert_place(&f, 0, 3, 1);
}

static void test_values_without_shares(void **state)
{
    (void)state;
    struct fixture f = begin(3, 2); /* a reference of 0: the suite counts for nobody */
    f.in.higher[1] = false;
    put(&f, 0, 0, 0, 0.1, NAN);
    put(&f, 1, 0, 0.5, 0.1, NAN);
    put(&f, 2, 0, NAN, NAN, NAN);
    put(&f, 0, 1, 2, 0.01, NAN);
    put(&f, 1, 1, 2.5, 0.01, NAN);
    put(&f, 2, 1, 0, 0.01, NAN); /* and of 0, lower being better, no share is known */
    rank(&f);
    assert_place(&f, 0, 1, 1);
    assert_near(f.out[1].score, 80, 1e-12, "score of the other suite");
    assert_place(&f, 1, 2, 2);
    assert_place(&f, 2, 0, 0);
    assert_true(isnan(f.out[2].score));

    f = begin(3, 1); /* a correlation may be negative: a share below none */
    put(&f, 0, 0, 0.5, 0.1, NAN);
    put(&f, 1, 0, -0.25, 0.1, NAN);
    put(&f, 2, 0, 1e308, 0.1, NAN);
    f.in.counts[2] = false;
    rank(&f);
    assert_near(f.out[1].score, -50, 1e-12, "negative score");
    assert_place(&f, 1, 2, 2);
    assert_place(&f, 2, 0, 0);

    f = begin(2, 1); /* nothing to rank by */
    put(&f, 0, 0, -1, 0.1, NAN);
    put(&f, 1, 0, 1, 0.1, NAN);
    rank(&f);
    assert_place(&f, 0, 0, 0);
    assert_place(&f, 1, 0, 0);
}

/* By a metric itself: also what is negative or 0, the lowest first where that is better. */
static void test_plain(void **state)
{
    (void)state;
    struct fixture f = begin(3, 1);
    f.in.plain = true;
    f.in.higher[0] = false;
    put(&f, 0, 0, 0, 0.1, NAN);
    put(&f, 1, 0, -1, 0.1, NAN);
    put(&f, 2, 0, 0.1, 0.1, NAN);
    rank(&f);
    assert_place(&f, 1, 1, 1);
    assert_place(&f, 0, 2, 2);
    assert_place(&f, 2, 3, 2);
    assert_near(f.out[1].score, -1, 0, "the value");
    assert_near(f.out[1].low, -1 - 0.1959963984540054, 1e-12, "low");
}

/* By the central limit theorem, from 12 uniform ones. */
static double normal(struct random *r)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += random_unit(r);
    return sum;
}

/* A baseline and two candidates of equal quality: how often the second best is split from the best. The values share
 * the items' noise (0.02), candidates add their own (0.008 each): paired errors are 0.008 to the baseline. */
static size_t count_splits(size_t trials, bool paired)
{
    struct random r = {7};
    size_t splits = 0;
    const double shared = 0.02, own = 0.008, error = sqrt(shared * shared + own * own);
    for (size_t i = 0; i < trials; i++) {
        struct fixture f = begin(3, 2);
        f.in.higher[1] = false;
        f.in.counts[0] = false; /* the baseline is the unit, and not in the contest */
        if (paired) pair_with_first(&f);
        for (size_t s = 0; s < 2; s++) {
            const double items = shared * normal(&r), level = s ? 2 : 0.5;
            put(&f, 0, s, level + items, shared, NAN);
            for (size_t row = 1; row < 3; row++)
                put(&f, row, s, level + items + own * normal(&r), error, paired ? own : NAN);
        }
        rank(&f);
        splits += f.out[1].tie != f.out[2].tie;
    }
    return splits;
}

static void test_equal_quality_is_seldom_split(void **state)
{
    (void)state;
    const size_t trials = test_items(4000), most = trials / 20 + trials / 100 + 1;
    for (int paired = 0; paired < 2; paired++) {
        const size_t splits = count_splits(trials, paired);
        if (splits > most) fail_msg("%zu of %zu equal pairs were split", splits, trials);
    }
}

/* The same without anything shared: there the bound is exact, and about 5 % are split. */
static void test_the_level_is_kept_where_nothing_is_shared(void **state)
{
    (void)state;
    struct random r = {8};
    const size_t trials = test_items(4000);
    size_t splits = 0;
    for (size_t i = 0; i < trials; i++) {
        struct fixture f = begin(2, 1);
        f.in.plain = true;
        for (size_t row = 0; row < 2; row++) put(&f, row, 0, 0.5 + 0.02 * normal(&r), 0.02, NAN);
        rank(&f);
        splits += f.out[0].tie != f.out[1].tie;
    }
    const double share = (double)splits / (double)trials, width = 4 * sqrt(0.05 * 0.95 / (double)trials);
    assert_near(share, 0.05, width, "share of equal pairs that are split");
}

/* --- of a comparison --- */

static json_t *ranked(struct standing *out, struct report *r, json_t *v)
{
    struct error e;
    assert_ok(report_read_comparison(r, v, &e), &e);
    assert_ok(report_standings(r, out, &e), &e);
    report_close(r);
    return v;
}

static void test_comparison(void **state)
{
    (void)state;
    struct standing out[MOST];
    struct report r;
    json_t *v = ranked(out, &r, golden(COMPARISON));
    assert_near(out[0].score, 100, 0, "the baseline's score");
    for (size_t j = 0; j < 4; j++) assert_true(out[j].rank >= 1 && out[j].rank <= 4 && out[j].tie >= 1);
    json_decref(v);

    v = golden(COMPARISON); /* who is refused in one suite is not ranked */
    edit(v, "rows/0/cells/1/refused", "\"another protocol\"");
    edit(v, "rows/0/cells/1/difference", "null");
    ranked(out, &r, v);
    assert_int_equal(out[1].rank, 0);
    assert_true(isnan(out[1].score));
    assert_true(out[2].rank && out[3].rank);
    json_decref(v);

    v = golden(COMPARISON); /* nor is another tool's; a suite that the baseline lacks does not count */
    edit(v, "rows/0/cells/0/absent", "true");
    edit(v, "rows/0/cells/1/refused", "\"another tool's\"");
    edit(v, "rows/1/cells/0/absent", "true");
    ranked(out, &r, v);
    assert_true(out[1].rank);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_of_shares),
        cmocka_unit_test(test_tie_without_pairs),
        cmocka_unit_test(test_paired_with_the_baseline),
        cmocka_unit_test(test_bound_by_a_common_baseline),
        cmocka_unit_test(test_groups_have_leaders),
        cmocka_unit_test(test_uncertain_rows_stay_with_the_best),
        cmocka_unit_test(test_what_is_known_of_pairs),
        cmocka_unit_test(test_nothing_and_too_much),
        cmocka_unit_test(test_equal_scores_share_a_rank),
        cmocka_unit_test(test_missing_errors_have_no_group),
        cmocka_unit_test(test_values_without_shares),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_equal_quality_is_seldom_split),
        cmocka_unit_test(test_the_level_is_kept_where_nothing_is_shared),
        cmocka_unit_test(test_comparison),
    };
    return cmocka_run_group_tests_name("reports/rank", tests, NULL, NULL);
}
