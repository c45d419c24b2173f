/* Profiles over counters and a clock that are made up here: what each phase and piece really took is known. */
#include "tests/testing.h"

#include "engine/base/clock.h"
#include "engine/base/random.h"
#include "metrics/counters/profile.h"
#include "metrics/counters/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the clock --- */

static double clock_now;

double seconds_now(void) { return clock_now; }
double cpu_seconds_now(void) { return clock_now; }
struct cost cost_now(void) { return (struct cost){clock_now, clock_now}; }
void cost_add(struct cost *total, struct cost started) { total->seconds += clock_now - started.seconds; }

/* --- the counters --- */

enum { CYCLES, INSTRUCTIONS, L1D, L2, L3, TASK_CLOCK, FAULTS, ENERGY, RESIDENT, ABSENT, COUNTERS, THREADS_MOST = 3 };

static struct counter list[COUNTERS] = {
    {.name = "cycles", .unit = "1"},
    {.name = "instructions", .unit = "1"},
    {.name = "l1d_misses", .unit = "1", .group = 0},
    {.name = "l2_misses", .unit = "1", .group = 1},
    {.name = "l3_misses", .unit = "1", .group = 2},
    {.name = "task_clock", .unit = "ns", .kind = COUNTER_SOFTWARE},
    {.name = "page_faults", .unit = "1", .kind = COUNTER_SOFTWARE, .scope = COUNTER_PROCESS},
    {.name = "energy_package", .unit = "uJ", .kind = COUNTER_ENERGY, .scope = COUNTER_MACHINE},
    {.name = "peak_resident", .unit = "bytes", .kind = COUNTER_LEVEL, .scope = COUNTER_PROCESS},
    {.name = "branches", .unit = "1", .reason = "this processor has none"},
};

struct counters {
    int threads, groups, group;
    double read, all;   /* seconds that reading takes */
    int reads, rotated; /* how often */
    uint64_t at[COUNTERS * THREADS_MOST];
};

static struct counters fake;

size_t counters_count(const struct counters *c) { return COUNTERS; }
const struct counter *counters_at(const struct counters *c, size_t i) { return &list[i]; }
int counters_threads(const struct counters *c) { return c->threads; }
int counters_groups(const struct counters *c) { return c->groups; }
double counters_read_seconds(const struct counters *c, enum counters_extent extent)
{
    return extent == COUNTERS_ALL ? c->all : c->read;
}

struct counter_values *counters_values(const struct counters *c)
{
    return calloc(1, sizeof(struct counter_values) + sizeof c->at);
}

static size_t slot(const struct counters *c, size_t i, int thread) { return i * (size_t)c->threads + (size_t)thread; }

static bool counts(const struct counters *c, int group, size_t i)
{
    if (list[i].reason[0]) return false;
    if (list[i].kind != COUNTER_HARDWARE) return true;
    return c->groups > 0 && (c->groups == 1 || i < L1D || list[i].group == group);
}

/* Reading takes time, in which the first thread works and energy is spent. */
void counters_read(struct counters *c, enum counters_extent extent, struct counter_values *out)
{
    c->reads++;
    out->group = c->group;
    memcpy(out->at, c->at, sizeof c->at);
    const double took = extent == COUNTERS_ALL ? c->all : c->read;
    clock_now += took;
    c->at[slot(c, TASK_CLOCK, 0)] += (uint64_t)(took * 1e9 + 0.5);
    c->at[slot(c, ENERGY, 0)] += (uint64_t)(took * 1e7 + 0.5);
}

bool counter_active(const struct counters *c, const struct counter_values *v, size_t i)
{
    return counts(c, v->group, i);
}

uint64_t counter_since(const struct counters *c, const struct counter_values *before,
                       const struct counter_values *after, int thread, size_t i)
{
    assert_true(list[i].kind != COUNTER_HARDWARE || before->group == after->group);
    return after->at[slot(c, i, thread)] - before->at[slot(c, i, thread)];
}

void counters_rotate(struct counters *c)
{
    c->rotated++;
    c->group = (c->group + 1) % c->groups;
}

/* What a second of a kind of work counts; thread k counts k + 1 times that. */
static const double rates[2][COUNTERS] = {
    {[CYCLES] = 3e9,
     [INSTRUCTIONS] = 6e9,
     [L1D] = 5e7,
     [L2] = 2e7,
     [L3] = 1e6,
     [TASK_CLOCK] = 1e9,
     [FAULTS] = 1e4,
     [ENERGY] = 1e7},
    {[CYCLES] = 2e9,
     [INSTRUCTIONS] = 1e9,
     [L1D] = 9e7,
     [L2] = 8e7,
     [L3] = 7e7,
     [TASK_CLOCK] = 1e9,
     [FAULTS] = 5e5,
     [ENERGY] = 1e7},
};

static double truth[COUNTERS]; /* that everything has counted, over all threads */

static void work(double seconds, int kind)
{
    clock_now += seconds;
    for (size_t i = 0; i < COUNTERS; i++) {
        const int threads = list[i].scope == COUNTER_THREADS ? fake.threads : 1;
        for (int k = 0; k < threads; k++) {
            const double more = round(seconds * rates[kind][i] * (i == TASK_CLOCK ? 1 : k + 1));
            truth[i] += more;
            if (counts(&fake, fake.group, i)) fake.at[slot(&fake, i, k)] += (uint64_t)more;
        }
    }
}

static void begin(int threads, int groups, double read, double all)
{
    clock_now = 1000;
    memset(truth, 0, sizeof truth);
    fake = (struct counters){.threads = threads, .groups = groups, .read = read, .all = all};
    for (size_t i = 0; i < COUNTERS * THREADS_MOST; i++) fake.at[i] = UINT64_MAX - 1000; /* wraps soon */
    fake.at[slot(&fake, RESIDENT, 0)] = 1000;
}

static struct profile *opened(void)
{
    struct profile *p;
    struct error e;
    assert_ok(profile_open(&p, &fake, &e), &e);
    return p;
}

/* As the engine does it: the time of what the watch takes is the next piece's. */
struct engine {
    const struct watch *w;
    double last;
};

static void engine_begin(struct engine *g)
{
    g->last = clock_now;
    g->w->begin(g->w->user);
}

static void engine_piece(struct engine *g, int64_t layer, int part, double seconds, int kind)
{
    work(seconds, kind);
    const double took = clock_now - g->last;
    g->last = clock_now;
    g->w->piece(g->w->user, &(struct pass_piece){layer, part, took, 1e9 * seconds, 1e6 * seconds});
}

static double phases_seconds(const struct profile *p)
{
    double sum = 0;
    for (int i = 0; i < PHASES; i++) sum += profile_phase(p, (enum phase)i).seconds;
    return sum;
}

static void assert_value(struct profile_value v, double value, double share, const char *what)
{
    assert_near(v.value, value, 1e-6 * fabs(value) + 1e-6, what);
    assert_near(v.share, share, 1e-9, what);
}

static void assert_unseen(struct profile_value v)
{
    assert_true(isnan(v.value));
    assert_true(v.share == 0);
}

/* --- tests --- */

static void test_everything_is_read(void **state)
{
    begin(3, 1, 0, 0);
    struct profile *p = opened();
    const struct watch *w = profile_watch(p);
    struct engine g = {.w = w};
    work(0.1, 0);
    assert_int_equal(w->enter(w->user, PHASE_LOAD), PHASE_OTHER);
    fake.at[slot(&fake, RESIDENT, 0)] = 5000;
    work(0.2, 1);
    assert_int_equal(w->enter(w->user, PHASE_PREFILL), PHASE_LOAD);
    engine_begin(&g);
    engine_piece(&g, -1, 0, 0.01, 0);
    engine_piece(&g, 0, 3, 0.02, 1);
    engine_piece(&g, 1, 3, 0.03, 0);
    engine_begin(&g);
    engine_piece(&g, 0, 3, 0.04, 1);
    w->enter(w->user, PHASE_LOAD);
    work(0.05, 1);
    fake.at[slot(&fake, RESIDENT, 0)] = 7000;
    profile_stop(p);
    double all[COUNTERS];
    memcpy(all, truth, sizeof all);
    work(1, 1); /* nobody's */
    w->enter(w->user, PHASE_PACK);
    engine_piece(&g, 0, 3, 1, 1);

    assert_near(profile_seconds(p), 0.45, 1e-9, "seconds");
    assert_near(phases_seconds(p), 0.45, 1e-9, "phases");
    const struct profile_figures load = profile_phase(p, PHASE_LOAD);
    assert_near(load.seconds, 0.25, 1e-9, "load");
    assert_int_equal(load.times, 2);
    assert_near(profile_phase(p, PHASE_PREFILL).flop, 1e8, 1, "flop of a phase");
    assert_near(profile_phase(p, PHASE_PREFILL).bytes, 1e5, 1, "bytes of a phase");
    /* 1 + 2 + 3 threads' shares */
    assert_value(profile_phase_value(p, PHASE_LOAD, INSTRUCTIONS, -1), 0.25 * 6 * 1e9, 1, "instructions");
    assert_value(profile_phase_value(p, PHASE_LOAD, INSTRUCTIONS, 2), 0.25 * 3 * 1e9, 1, "of a thread");
    assert_value(profile_phase_value(p, PHASE_PREFILL, INSTRUCTIONS, -1), 6 * (0.04 * 6e9 + 0.06 * 1e9), 1,
                 "of passes");
    assert_value(profile_phase_value(p, PHASE_LOAD, FAULTS, -1), 0.25 * 5e5, 1, "faults");
    assert_value(profile_phase_value(p, PHASE_LOAD, RESIDENT, -1), 7000, 1, "a level");
    assert_value(profile_phase_value(p, PHASE_OTHER, RESIDENT, -1), 1000, 1, "a level before");
    assert_unseen(profile_phase_value(p, PHASE_LOAD, ABSENT, -1));
    assert_unseen(profile_phase_value(p, PHASE_PACK, CYCLES, -1));
    assert_unseen(profile_run_value(p, ABSENT, -1));
    for (size_t i = 0; i <= ENERGY; i++) assert_value(profile_run_value(p, i, -1), all[i], 1, list[i].name);

    assert_int_equal(profile_places(p), 3);
    const struct profile_place at = profile_place_at(p, 1);
    assert_true(at.phase == PHASE_PREFILL && at.layer == 0 && at.part == 3);
    assert_near(profile_piece(p, 1).seconds, 0.06, 1e-9, "seconds of a piece");
    assert_int_equal(profile_piece(p, 1).times, 2);
    assert_value(profile_piece_value(p, 1, L1D, -1), 6 * 0.06 * 9e7, 1, "of a piece");
    assert_value(profile_pieces_value(p, (size_t[]){1, 2}, 2, CYCLES, 1), 2 * (0.06 * 2e9 + 0.03 * 3e9), 1, "of two");
    assert_unseen(profile_piece_value(p, 1, FAULTS, -1)); /* read only where phases change */
    assert_near(profile_overhead(p), 0, 1e-12, "overhead");
    assert_false(profile_failed(p));
    profile_close(p);
}

/* Many short pieces, of which reading each would take as long as itself. */
static void run_short(struct profile *p, int passes)
{
    const struct watch *w = profile_watch(p);
    struct engine g = {.w = w};
    w->enter(w->user, PHASE_LOAD);
    work(0.05, 1);
    for (int i = 0; i < passes; i++) {
        w->enter(w->user, PHASE_DECODE);
        engine_begin(&g);
        for (int64_t layer = 0; layer < 8; layer++)
            for (int part = 0; part < 6; part++) engine_piece(&g, layer, part, 1e-5 * (1 + part), part % 2);
        w->enter(w->user, PHASE_SCORING);
        work(2e-5, 0);
    }
    profile_stop(p);
}

static void test_budget_and_scaling(void **state)
{
    begin(2, 1, 5e-6, 2e-5);
    struct profile *p = opened();
    const int passes = 3000;
    run_short(p, passes);
    const double seconds = profile_seconds(p);
    assert_near(phases_seconds(p), seconds, 1e-9 * seconds, "phases");
    assert_true(profile_overhead(p) <= PROFILE_BUDGET * seconds + PROFILE_START + 1e-4);
    assert_true(profile_overhead(p) >= PROFILE_BUDGET * seconds / 2); /* it is used */
    assert_int_equal(profile_places(p), 48);
    for (size_t i = 0; i < 48; i++) {
        const struct profile_place at = profile_place_at(p, i);
        const double work_seconds = 1e-5 * (1 + at.part) * passes;
        assert_near(profile_piece(p, i).seconds, work_seconds, 1e-6 * work_seconds, "without reading");
        const struct profile_value v = profile_piece_value(p, i, INSTRUCTIONS, -1);
        assert_true(v.share > 0.01 && v.share < 0.5);
        assert_near(v.value, work_seconds * 3 * rates[at.part % 2][INSTRUCTIONS], 1e-3 * v.value, "scaled");
    }
    /* Of a phase of two kinds of work the sample errs a little. */
    const struct profile_value decode = profile_phase_value(p, PHASE_DECODE, INSTRUCTIONS, -1);
    const double wanted = passes * 8 * 3 * 1e-5 * (9 * 6e9 + 12 * 1e9);
    assert_near(decode.value, wanted, 0.05 * wanted, "a phase");
    assert_true(decode.share < 1);
    for (int k = 0; k < 2; k++) { /* reading takes the first thread's time */
        const struct profile_value v = profile_phase_value(p, PHASE_SCORING, TASK_CLOCK, k);
        assert_near(v.value, passes * 2e-5 * 1e9, 0.01 * passes * 2e-5 * 1e9, "processor time");
    }
    assert_value(profile_run_value(p, FAULTS, -1), truth[FAULTS], 1, "exact over the run");
    assert_value(profile_phase_value(p, PHASE_LOAD, FAULTS, -1), 0.05 * 5e5, 1, "a phase that is entered once");
    profile_close(p);
}

static void test_turns(void **state)
{
    begin(1, 3, 1e-7, 1e-6);
    struct profile *p = opened();
    run_short(p, 4000);
    assert_true(fake.rotated > 100);
    assert_true(fake.rotated <= profile_seconds(p) / PROFILE_TURN + 1);
    double shares = 0;
    for (size_t c = L1D; c <= L3; c++) {
        shares += profile_phase_value(p, PHASE_DECODE, c, -1).share;
        for (size_t i = 0; i < profile_places(p); i++) {
            const int part = profile_place_at(p, i).part;
            const struct profile_value v = profile_piece_value(p, i, c, -1);
            assert_true(v.share > 0.1 && v.share < 0.6);
            const double wanted = 4000 * 1e-5 * (1 + part) * rates[part % 2][c];
            assert_near(v.value, wanted, 1e-3 * wanted, "scaled from its turns");
        }
    }
    assert_true(shares <= 1 + 1e-9 && shares > 0.9);
    const struct profile_value always = profile_phase_value(p, PHASE_DECODE, CYCLES, -1);
    assert_true(always.share > 0.9); /* in every group */
    profile_close(p);
}

/* A pass of long pieces, of a length that turns would follow if they ended at each: every kind has every counter. */
static void test_turns_within_a_pass(void **state)
{
    begin(1, 2, 1e-7, 1e-6);
    struct profile *p = opened();
    struct engine g = {.w = profile_watch(p)};
    g.w->enter(g.w->user, PHASE_PREFILL);
    engine_begin(&g);
    for (int64_t layer = 0; layer < 40; layer++)
        for (int part = 0; part < 2; part++) engine_piece(&g, layer, part, 0.006, part);
    profile_stop(p);
    for (int part = 0; part < 2; part++) {
        size_t places[80], n = 0;
        for (size_t i = 0; i < profile_places(p); i++)
            if (profile_place_at(p, i).part == part) places[n++] = i;
        assert_int_equal(n, 40);
        for (size_t c = L1D; c <= L2; c++) {
            const struct profile_value v = profile_pieces_value(p, places, n, c, -1);
            assert_true(v.share > 0.15);
            assert_near(v.value, 40 * 0.006 * rates[part][c], 1e-3 * v.value, "a part over layers");
        }
    }
    profile_close(p);
}

static void test_no_hardware(void **state)
{
    begin(2, 0, 0, 1e-6);
    struct profile *p = opened();
    struct engine g = {.w = profile_watch(p)};
    engine_begin(&g);
    engine_piece(&g, 0, 1, 0.01, 0);
    g.w->enter(g.w->user, PHASE_SCORING);
    work(0.1, 0);
    profile_stop(p);
    assert_unseen(profile_phase_value(p, PHASE_OTHER, CYCLES, -1));
    assert_unseen(profile_piece_value(p, 0, CYCLES, -1));
    assert_value(profile_piece_value(p, 0, TASK_CLOCK, -1), 2 * 1e7, 1, "processor time of a piece");
    assert_unseen(profile_run_value(p, CYCLES, -1));
    assert_near(profile_piece(p, 0).seconds, 0.01, 1e-9, "time");
    assert_value(profile_phase_value(p, PHASE_OTHER, FAULTS, -1), 0.01 * 1e4, 1, "software");
    assert_value(profile_phases_value(p, 1u << PHASE_OTHER | 1u << PHASE_SCORING, FAULTS, -1), 0.11 * 1e4, 1, "added");
    profile_close(p);
}

/* What one boundary in ten can pay for comes to the budget, wherever in a period it falls. */
static void test_sampler(void **state)
{
    struct sampler s;
    struct random random = {7};
    enum { PERIOD = 40, ROUNDS = 20000 };
    int64_t times[PERIOD] = {0};
    double now = 0;
    sampler_open(&s, 0.01, 0.001, 1e-5, 16, now);
    for (int64_t i = 0; i < ROUNDS * PERIOD; i++) {
        now += 1e-4;
        if (!sampler_due(&s, &random, now)) continue;
        times[i % PERIOD]++;
        sampler_spend(&s, 1e-5);
    }
    assert_true(s.spent <= 0.01 * now + 0.001);
    assert_true(s.spent >= 0.0095 * now);
    for (int i = 0; i < PERIOD; i++)
        assert_near((double)times[i], 0.1 * ROUNDS, 0.02 * ROUNDS, "each as often as others");
    const double spent = s.spent;
    sampler_spend(&s, 1); /* interrupted */
    assert_near(s.spent - spent, 20e-5, 1e-6, "not what it costs");
    sampler_open(&s, 0.01, 0.001, 1e-7, 16, now);
    for (int i = 0; i < 1000; i++) {
        assert_true(sampler_due(&s, &random, now += 1e-4)); /* all can be paid for */
        sampler_spend(&s, 1e-7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_read),
        cmocka_unit_test(test_budget_and_scaling),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_turns_within_a_pass),
        cmocka_unit_test(test_no_hardware),
        cmocka_unit_test(test_sampler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
