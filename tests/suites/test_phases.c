/* The phases of a run: they cover all of it, and what the baseline's model takes beside it is not the subject's. */
#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "suites/run.h"
#include "tests/testing.h"

#include <stdlib.h>

struct times {
    enum phase phase;
    double since, seconds[PHASES], flop[PHASES];
    struct watch watch;
};

static enum phase on_enter(void *user, enum phase phase)
{
    struct times *t = user;
    const enum phase before = t->phase;
    const double now = seconds_now();
    t->seconds[before] += now - t->since;
    t->since = now;
    t->phase = phase;
    return before;
}

static void on_begin(void *user) { (void)user; }

static void on_piece(void *user, const struct pass_piece *piece)
{
    struct times *t = user;
    t->flop[t->phase] += piece->flop;
}

static void times_open(struct times *t)
{
    *t = (struct times){.since = seconds_now(), .watch = {t, on_enter, on_begin, on_piece}};
}

static struct model *open_watched(const char *path, const struct times *t)
{
    struct error e;
    struct model *m;
    assert_ok(model_open(&m, path, &(struct model_options){.watch = &t->watch}, &e), &e);
    return m;
}

/* Through a suite, with a journal in the folder. */
static void run(const struct model *m, const char *suite, const char *folder, const struct times *t,
                const struct model *baseline, struct cost *beside)
{
    struct error e;
    struct suite_result r;
    const struct run_options how = {.limit = test_items(24),
                                    .batch = 8,
                                    .resampling = {.resamples = 2000},
                                    .folder = folder,
                                    .build = "test",
                                    .baseline = {.model = baseline, .name = "base"},
                                    .watch = &t->watch};
    assert_ok(suite_run(m, suite, &how, &r, &e), &e);
    assert_int_equal(t->phase, PHASE_OTHER);
    if (beside) *beside = r.beside;
    suite_result_free(&r);
}

static void test_cover(void **state)
{
    (void)state;
    static const char *const suites[] = {"endings", "stories", "translation"};
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        struct error e;
        struct times t;
        char *folder = folder_temporary();
        assert_ok(blas_open(&e), &e);
        const double start = seconds_now();
        times_open(&t);
        struct model *m = open_watched("datasets/millbrook/llama", &t);
        run(m, suites[i], folder, &t, NULL, NULL);
        on_enter(&t, PHASE_OTHER);
        const double all = seconds_now() - start;
        double sum = 0;
        for (int k = 0; k < PHASES; k++) {
            const bool decodes =
                k == PHASE_DECODE && i != 2; /* choices of two tokens are passes of one token as well */
            if (k != PHASE_OTHER && !decodes) assert_true(t.seconds[k] > 0);
            sum += t.seconds[k];
            print_message("%s: %s %.4f s, %.3g flop\n", suites[i], phase_name((enum phase)k), t.seconds[k], t.flop[k]);
        }
        assert_near(sum, all, 0.02 * all, "seconds of all phases");
        assert_true(t.seconds[PHASE_OTHER] < 0.02 * all);
        assert_true(t.flop[PHASE_PREFILL] > 0 && (t.flop[PHASE_DECODE] > 0) >= (i == 2));
        for (int k = 0; k < PHASES; k++)
            if (k != PHASE_PREFILL && k != PHASE_DECODE) assert_true(t.flop[k] == 0);
        model_close(m);
        folder_remove(folder);
    }
}

/* The same passes with and without a baseline beside them; its own are other time. */
static void test_beside(void **state)
{
    (void)state;
    struct times alone, beside;
    struct cost baseline;
    char *folder = folder_temporary();
    struct model *base = model_shipped("llama", "f32");
    times_open(&alone);
    struct model *m = open_watched("datasets/millbrook/llama", &alone);
    run(m, "stories", folder, &alone, NULL, NULL);
    folder_remove(folder); /* and what was done before with it */
    folder = folder_temporary();
    times_open(&beside);
    model_watch(m, &beside.watch);
    run(m, "stories", folder, &beside, base, &baseline);
    on_enter(&beside, PHASE_OTHER);
    assert_true(alone.flop[PHASE_PREFILL] > 0);
    for (int k = 0; k < PHASES; k++) assert_near(beside.flop[k], alone.flop[k], 0, phase_name((enum phase)k));
    assert_true(baseline.seconds > 0 && beside.seconds[PHASE_OTHER] > baseline.seconds);
    folder_remove(folder);
    model_close(base);
    model_close(m);
}

/* A run that fails leaves the phase that was before. */
static void test_failing(void **state)
{
    (void)state;
    struct error e;
    struct suite_result r;
    struct times t;
    times_open(&t);
    struct model *m = open_watched("datasets/millbrook/llama", &t);
    t.phase = PHASE_STATISTICS;
    const struct run_options how = {.batch = 8, .watch = &t.watch};
    assert_int_equal(suite_run(m, "no-such-suite", &how, &r, &e), ERROR_USAGE);
    assert_int_equal(t.phase, PHASE_STATISTICS);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cover), cmocka_unit_test(test_beside),
                                       cmocka_unit_test(test_failing)};
    return cmocka_run_group_tests_name("suites/phases", tests, NULL, NULL);
}
