/* Costs of kernels against a baseline: what counts as more, with made-up numbers, and files that are none. */
#include "tests/testing.h"

#include "cli/kernels/results.h"
#include "engine/base/file.h"

#include <math.h>
#include <string.h>

static void add(struct costs *c, const char *kernel, const char *isa, const char *counter, double value, double spread)
{
    struct error e = {0};
    struct cost_row row = {.its = {.shape = "257", .measured = true, .work = 257},
                           .value = value,
                           .low = value - spread,
                           .high = value + spread,
                           .error = 0.25};
    snprintf(row.its.kernel, sizeof row.its.kernel, "%s", kernel);
    snprintf(row.isa, sizeof row.isa, "%s", isa);
    snprintf(row.counter, sizeof row.counter, "%s", counter);
    assert_ok(costs_add(c, &row, &e), &e);
}

/* The verdict on one row that cost `before` and costs `now`, each with its spread. */
static enum cost_verdict verdict(const char *counter, double before, double spread_before, double now,
                                 double spread_now, double tolerance)
{
    struct error e = {0};
    struct costs a = {0}, b = {0};
    struct cost_changes changes;
    add(&a, "softmax", "avx2", counter, before, spread_before);
    add(&b, "softmax", "avx2", counter, now, spread_now);
    assert_ok(costs_compare(&changes, &a, &b, NULL, tolerance, &e), &e);
    assert_int_equal(changes.n, 1);
    assert_int_equal(changes.compared, 1);
    const enum cost_verdict v = changes.all[0].verdict;
    assert_int_equal(changes.regressed, v == COST_REGRESSED);
    assert_int_equal(changes.gained, v == COST_GAINED);
    cost_changes_free(&changes);
    costs_free(&a);
    costs_free(&b);
    return v;
}

static void exact_counts_may_grow_by_the_tolerance(void **state)
{
    static const char *const exact[] = {"callgrind", "instructions"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(verdict(exact[i], 10000, 0, 10000, 0, 1), COST_SAME);
        assert_int_equal(verdict(exact[i], 10000, 0, 10090, 0, 1), COST_SAME);
        assert_int_equal(verdict(exact[i], 10000, 0, 10100, 0, 1), COST_SAME);
        assert_int_equal(verdict(exact[i], 10000, 0, 10110, 0, 1), COST_REGRESSED);
        assert_int_equal(verdict(exact[i], 10000, 0, 10110, 0, 2), COST_SAME);
        assert_int_equal(verdict(exact[i], 10000, 0, 10001, 0, 0), COST_REGRESSED);
        assert_int_equal(verdict(exact[i], 10000, 0, 9910, 0, 1), COST_SAME);
        assert_int_equal(verdict(exact[i], 10000, 0, 9890, 0, 1), COST_GAINED);
        assert_int_equal(verdict(exact[i], 0, 0, 0, 0, 1), COST_SAME);
        assert_int_equal(verdict(exact[i], 0, 0, 5, 0, 1), COST_REGRESSED);
    }
}

static void noisy_costs_regress_where_the_whole_interval_does(void **state)
{
    static const char *const noisy[] = {"time", "cycles"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(verdict(noisy[i], 100, 5, 108, 5, 10), COST_SAME); /* they overlap */
        assert_int_equal(verdict(noisy[i], 100, 1, 109, 1, 10), COST_SAME); /* apart, and within the tolerance */
        assert_int_equal(verdict(noisy[i], 100, 4, 115, 4, 10), COST_SAME); /* 111 / 104 is still within */
        assert_int_equal(verdict(noisy[i], 100, 1, 115, 1, 10), COST_REGRESSED);
        assert_int_equal(verdict(noisy[i], 100, 1, 85, 1, 10), COST_GAINED);
        assert_int_equal(verdict(noisy[i], 100, 1, 85, 8, 10), COST_SAME);
    }
}

static void suspects_must_regress_again(void **state)
{
    struct error e = {0};
    struct costs before = {0}, now = {0}, again = {0};
    struct cost_changes first, second;
    const char *const kernels[] = {"add", "softmax", "argmax"};
    for (int i = 0; i < 3; i++) add(&before, kernels[i], "avx2", "time", 100, 1);
    for (int i = 0; i < 3; i++) add(&now, kernels[i], "avx2", "time", i < 2 ? 150 : 100, 1);
    add(&again, "add", "avx2", "time", 101, 1);
    add(&again, "softmax", "avx2", "time", 149, 1);
    assert_ok(costs_compare(&first, &before, &now, NULL, 10, &e), &e);
    assert_int_equal(first.regressed, 2);
    assert_ok(costs_compare(&second, &before, &again, NULL, 10, &e), &e);
    cost_changes_confirm(&first, &second);
    assert_int_equal(first.regressed, 1);
    assert_int_equal(first.all[0].verdict, COST_SAME);
    assert_int_equal(first.all[1].verdict, COST_REGRESSED);
    assert_int_equal(first.all[2].verdict, COST_SAME);
    cost_changes_free(&first);
    cost_changes_free(&second);
    costs_free(&before);
    costs_free(&now);
    costs_free(&again);
}

static void new_and_gone_kernels_are_told_and_do_not_fail(void **state)
{
    struct error e = {0};
    struct costs before = {0}, now = {0};
    struct cost_changes changes;
    add(&before, "softmax", "avx2", "callgrind", 100, 0);
    add(&before, "softmax", "c", "callgrind", 400, 0);
    add(&before, "rope", "avx2", "callgrind", 50, 0);
    add(&now, "softmax", "avx2", "callgrind", 100, 0);
    add(&now, "argmax", "avx2", "callgrind", 10, 0);
    assert_ok(costs_compare(&changes, &before, &now, NULL, 1, &e), &e);
    assert_int_equal(changes.n, 4);
    assert_int_equal(changes.compared, 1);
    assert_int_equal(changes.added, 1);
    assert_int_equal(changes.gone, 2);
    assert_int_equal(changes.regressed, 0);
    assert_string_equal(changes.all[1].now->its.kernel, "argmax");
    assert_null(changes.all[1].before);
    cost_changes_free(&changes);

    /* What was not asked for is not gone. */
    const struct kernel_plan plan = {.only = (const char *const[]){"soft*", NULL}, .isa = "avx2"};
    assert_ok(costs_compare(&changes, &before, &now, &plan, 1, &e), &e);
    assert_int_equal(changes.gone, 0);
    cost_changes_free(&changes);
    const struct kernel_plan all_softmax = {.only = (const char *const[]){"rop", "softmax", NULL}};
    assert_ok(costs_compare(&changes, &before, &now, &all_softmax, 1, &e), &e);
    assert_int_equal(changes.gone, 1);
    assert_string_equal(changes.all[2].before->isa, "c");
    cost_changes_free(&changes);
    costs_free(&before);
    costs_free(&now);
}

/* A machine that is at half its speed in some pairs slows both down: ratios do not see it. */
static void pairs_decide_by_their_ratios(void **state)
{
    enum { PAIRS = 15 };
    struct error e = {0};
    struct costs before[PAIRS] = {{0}}, now[PAIRS] = {{0}};
    struct cost_changes changes;
    for (int i = 0; i < PAIRS; i++) {
        const double speed = i % 3 ? 1 : 2, jitter = 1 + 0.01 * (i % 5);
        add(&before[i], "add", "avx2", "time", 100 * speed, 0);
        add(&now[i], "add", "avx2", "time", 103 * speed * jitter, 0);
        add(&before[i], "softmax", "avx2", "time", 100 * speed, 0);
        add(&now[i], "softmax", "avx2", "time", 120 * speed * jitter, 0);
    }
    assert_ok(costs_compare_pairs(&changes, before, now, PAIRS, NULL, 10, &e), &e);
    assert_int_equal(changes.all[0].verdict, COST_SAME);
    assert_int_equal(changes.all[1].verdict, COST_REGRESSED);
    assert_near(changes.all[1].ratio, 1.2 * 1.02, 1e-9, "ratio of the pairs");
    assert_true(changes.all[1].low < changes.all[1].ratio && changes.all[1].ratio < changes.all[1].high);
    cost_changes_free(&changes);
    for (int i = 0; i < PAIRS; i++) {
        costs_free(&before[i]);
        costs_free(&now[i]);
    }
}

/* k of n: the largest with P(Binomial(n, 1/2) < k) <= 0.005 (tables of the sign test). */
static void medians_have_intervals_of_order_statistics(void **state)
{
    static const struct {
        size_t n, k;
    } table[] = {{8, 1}, {10, 1}, {11, 1}, {12, 2}, {15, 3}, {20, 4}, {31, 8}, {50, 16}, {100, 37}};
    double x[100], median, low, high;
    for (size_t j = 0; j < sizeof table / sizeof *table; j++) {
        const size_t n = table[j].n;
        for (size_t i = 0; i < n; i++) x[i] = (double)(i * 37 % 101); /* distinct, unsorted */
        cost_median(x, n, &median, &low, &high);
        for (size_t i = 1; i < n; i++) assert_true(x[i - 1] < x[i]);
        assert_near(low, x[table[j].k - 1], 0, "low end");
        assert_near(high, x[n - table[j].k], 0, "high end");
        assert_near(median, (x[(n - 1) / 2] + x[n / 2]) / 2, 0, "median");
    }
    double one = 5;
    cost_median(&one, 1, &median, &low, &high);
    assert_true(median == 5 && low == 5 && high == 5);
}

#define HEADER "kernel,variant,shape,isa,counter,value,low,high,unit,work,error,kerf,compiler,cpu\n"
#define GOOD "softmax,,257,avx2,time,10,9,11,ns,257,0.5,1,gcc,cpu\n"

static void baselines_come_back_as_they_were(void **state)
{
    struct error e = {0};
    struct costs c = {0}, back;
    char *folder = folder_temporary(), *path = path_join(folder, "costs.csv", &e);
    add(&c, "softmax", "avx2", "time", 500, 1.0 / 3);
    add(&c, "add, \"quoted\"", "avx512", "time", 0.1, 0.05);
    add(&c, "=formula", "c", "time", 12345678901, 1);
    snprintf(c.kerf, sizeof c.kerf, "0.1.0 abc");
    snprintf(c.compiler, sizeof c.compiler, "GNU 12");
    snprintf(c.cpu, sizeof c.cpu, "A CPU, of a kind");
    c.rows[2].error = NAN;
    assert_ok(costs_write(&c, path, &e), &e);
    assert_ok(costs_read(&back, path, &e), &e);
    assert_int_equal(back.n, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct cost_row *row = costs_find(&back, &c.rows[i]);
        assert_non_null(row);
        assert_true(row->value == c.rows[i].value && row->low == c.rows[i].low && row->high == c.rows[i].high);
        assert_true(row->its.work == c.rows[i].its.work);
        assert_true(row->error == c.rows[i].error || (isnan(row->error) && i == 2));
    }
    assert_string_equal(back.kerf, c.kerf);
    assert_string_equal(back.compiler, c.compiler);
    assert_string_equal(back.cpu, c.cpu);
    costs_free(&back);
    costs_free(&c);
    free(path);
    folder_remove(folder);
}

static void files_that_are_no_baseline_say_where(void **state)
{
    static const struct {
        const char *text, *words;
    } files[] = {
        {"", "has no line of a kernel"},
        {HEADER, "has no line of a kernel"},
        {"task,value\n", "line 1: column 1 must be \"kernel\""},
        {"kernel,variant\n", "line 1: has 2 fields, a baseline has 14"},
        {HEADER "softmax,,257\n", "line 2: has 3 fields"},
        {HEADER GOOD GOOD, "line 3: the same kernel"},
        {HEADER ",,257,avx2,time,10,9,11,ns,257,0.5,1,gcc,cpu\n", "line 2: kernel: is \"\", a name is expected"},
        {HEADER "softmax,,257,avx2,time,ten,9,11,ns,257,0.5,1,gcc,cpu\n", "line 2: value: is \"ten\", a finite number"},
        {HEADER "softmax,,257,avx2,time,nan,9,11,ns,257,0.5,1,gcc,cpu\n", "line 2: value: is \"nan\""},
        {HEADER "softmax,,257,avx2,time,1e999,9,11,ns,257,0.5,1,gcc,cpu\n", "line 2: value: is \"1e999\""},
        {HEADER "softmax,,257,avx2,time,-1,-1,11,ns,257,0.5,1,gcc,cpu\n", "line 2: value: is \"-1\""},
        {HEADER "softmax,,257,avx2,time,12,9,11,ns,257,0.5,1,gcc,cpu\n",
         "line 2: value: is \"12\", which is not in low"},
        {HEADER "softmax,,257,avx2,time,10,9,11,ms,257,0.5,1,gcc,cpu\n", "line 2: unit: is \"ms\""},
        {HEADER "softmax,,257,avx2,time,10,9,11,ns,0,0.5,1,gcc,cpu\n", "line 2: work: is \"0\""},
        {HEADER "softmax,,257,avx2,hours,10,9,11,ns,257,0.5,1,gcc,cpu\n", "line 2: counter: is \"hours\""},
        {HEADER GOOD "add,,257,avx2,callgrind,10,10,10,instructions,257,0.5,1,gcc,cpu\n", "line 3: counter: is"},
        {HEADER GOOD "add,,257,avx2,time,10,9,11,ns,257,0.5,1,gcc,other\n", "line 3: cpu: is \"other\""},
        {HEADER "\"a\nb\",,257,avx2,time,x,9,11,ns,257,0.5,1,gcc,cpu\n", "line 2: value: is \"x\""},
        {HEADER "a name that is longer than the thirty-one bytes of it,,257,avx2,time,10,9,11,ns,257,0.5,1,gcc,cpu\n",
         "line 2: kernel: is \"a name that is longer than the thirty-on…\", which is too long"},
        {HEADER "\"softmax,,257\n", "line 2: a quotation mark is not closed"},
        {HEADER "soft\xffmax,,257,avx2,time,10,9,11,ns,257,0.5,1,gcc,cpu\n", "line 2"},
    };
    struct error e = {0};
    struct costs c;
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = file_put(folder, "costs.csv", files[i].text, strlen(files[i].text));
        assert_error(costs_read(&c, path, &e), &e, ERROR_INPUT, files[i].words);
        assert_null(c.rows);
        free(path);
    }
    char *path = file_put(folder, "costs.csv", HEADER GOOD "\r\n", strlen(HEADER GOOD) + 2);
    assert_ok(costs_read(&c, path, &e), &e); /* the good line is one, and empty lines are none */
    assert_int_equal(c.n, 1);
    costs_free(&c);
    free(path);
    folder_remove(folder);
}

/* Names come from files. */
static void reports_escape_what_they_tell(void **state)
{
    struct error e = {0};
    struct costs before = {0}, now = {0};
    struct cost_changes changes;
    struct text junit = {0}, markdown = {0}, terminal = {0};
    add(&before, "<b>|\x1b[2J", "avx2", "callgrind", 100, 0);
    add(&before, "add", "avx2", "callgrind", 100, 0);
    add(&now, "add", "avx2", "callgrind", 120, 0);
    assert_ok(costs_compare(&changes, &before, &now, NULL, 1, &e), &e);
    const struct kernel_story s = {
        .costs = &now, .counter = "callgrind", .changes = &changes, .baseline = &before, .against = "x<y>.csv"};
    kernels_tell_junit(&s, &junit);
    kernels_tell_markdown(&s, &markdown);
    kernels_tell(&s, &terminal);
    assert_non_null(strstr(text_c(&junit), "tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\""));
    assert_non_null(strstr(text_c(&junit), "1.2000 times the cost: 100 to 120 instructions"));
    assert_null(strstr(text_c(&junit), "<b>"));
    assert_non_null(strstr(text_c(&markdown), "1 of 1 costs is more than before"));
    assert_non_null(strstr(text_c(&markdown), "| +20.00 % | 100 | 120 |"));
    assert_null(strstr(text_c(&markdown), "<b>"));
    assert_null(strstr(text_c(&markdown), "<y>"));
    assert_non_null(strstr(text_c(&terminal), "add 257 avx2: 1.2000 times the cost"));
    assert_null(strchr(text_c(&junit), 0x1b));
    assert_null(strchr(text_c(&markdown), 0x1b));
    assert_null(strchr(text_c(&terminal), 0x1b));
    text_free(&junit);
    text_free(&markdown);
    text_free(&terminal);
    cost_changes_free(&changes);
    costs_free(&before);
    costs_free(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_counts_may_grow_by_the_tolerance),
        cmocka_unit_test(noisy_costs_regress_where_the_whole_interval_does),
        cmocka_unit_test(suspects_must_regress_again),
        cmocka_unit_test(new_and_gone_kernels_are_told_and_do_not_fail),
        cmocka_unit_test(pairs_decide_by_their_ratios),
        cmocka_unit_test(medians_have_intervals_of_order_statistics),
        cmocka_unit_test(baselines_come_back_as_they_were),
        cmocka_unit_test(files_that_are_no_baseline_say_where),
        cmocka_unit_test(reports_escape_what_they_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
