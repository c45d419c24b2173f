/* A walk that was stopped goes on: whatever is left of its journal, every number is the bits of a walk in one go, and
 * what is left is not computed again. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "suites/divergence.h"
#include "suites/journal.h"
#include "tests/testing.h"

#include <dirent.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS = 3, WORST = 7, CONTEXT = 24 };

/* Windows of a few stories and the models that walk through them. */
struct road {
    struct suite *suite;
    struct item *items;
    size_t n_items;
    struct requests q;
    struct model **models; /* [MODELS] */
    struct walk whole;     /* in one go */
};

/* One walk; what its callbacks see. */
struct trip {
    const struct road *road;
    size_t stop, calls, told; /* at which call of progress it ends, 0: never */
    size_t failing;           /* at which window `whole` fails, 0: never */
};

static bool progress(void *user, size_t done, size_t total)
{
    struct trip *t = user;
    assert_int_equal(total, t->road->q.n_groups);
    assert_int_equal(done, t->told);
    return ++t->calls != t->stop;
}

/* Every window, in order, with its log-likelihoods. */
static int whole(void *user, const struct walk *w, size_t window, struct error *e)
{
    struct trip *t = user;
    assert_int_equal(window, t->told++);
    for (size_t s = 0; s < w->n_subjects && t->road->whole.subjects; s++)
        assert_memory_equal(&w->subjects[s].loglikelihoods[window], &t->road->whole.subjects[s].loglikelihoods[window],
                            sizeof(double));
    return t->failing && t->told == t->failing ? error_set(e, ERROR_IO, "the disk is full") : 0;
}

static int travel(struct walk *w, struct trip *t, size_t n_models, struct journal *j, size_t batch, struct error *e)
{
    const struct road *r = t->road;
    const struct walk_options how = {
        .batch = batch, .worst = WORST, .journal = j, .user = t, .progress = progress, .whole = whole};
    return lockstep_walk(w, (const struct model *const *)r->models, n_models, r->suite, &r->q, r->n_items, &how, e);
}

static struct road road_open(void **models, const char *suite, size_t n_items, size_t limit)
{
    struct error e;
    struct road r = {.models = *models};
    assert_ok(suite_load(&r.suite, suite, &e), &e);
    r.suite->context = CONTEXT;
    assert_ok(suite_items(r.suite, n_items, NULL, &r.items, &r.n_items, &e), &e);
    assert_ok(requests_make(&r.q, r.models[0], r.suite, r.items, r.n_items, limit, &e), &e);
    assert_true(r.q.n_groups > 8);
    struct trip t = {.road = &r};
    struct walk w;
    assert_ok(travel(&w, &t, MODELS, NULL, 4, &e), &e);
    r.whole = w;
    return r;
}

static void road_close(struct road *r)
{
    walk_free(&r->whole);
    requests_free(&r->q);
    items_free(r->items, r->n_items);
    suite_free(r->suite);
}

/* Everything that is reported of a candidate, as text with all digits. */
static char *report(const struct road *r, const struct walk *w, size_t subject)
{
    struct error e;
    struct divergences d;
    assert_ok(divergences_measure(&d, w, subject, &(struct resampling){.resamples = 20, .seed = 7}, &e), &e);
    json_t *all =
        json_pack("{s:o, s:o, s:o, s:o}", "divergence", divergences_record(&d), "metrics", divergences_metrics(&d),
                  "worst", worst_record(&w->subjects[subject], &r->q, model_tokenizer(r->models[0])), "floor",
                  noise_floor_record(&w->floor));
    char *text = json_dump_text(all, JSON_REAL_PRECISION(17), NULL);
    assert_non_null(text);
    json_decref(all);
    return text;
}

static void assert_same_worst(const struct worst *a, const struct worst *b)
{
    assert_memory_equal(&a->kl, &b->kl, sizeof a->kl);
    assert_true(a->outcome == b->outcome && a->position == b->position && a->group == b->group && a->row == b->row);
    assert_true(a->target == b->target && a->baseline.top == b->baseline.top && a->candidate.top == b->candidate.top);
    assert_memory_equal(&a->baseline.chance_top, &b->baseline.chance_top, 2 * sizeof(double));
    assert_memory_equal(&a->candidate.chance_top, &b->candidate.chance_top, 2 * sizeof(double));
}

static void assert_whole(const struct road *r, const struct walk *w)
{
    const struct walk *wanted = &r->whole;
    assert_true(w->n == wanted->n && w->tokens == wanted->tokens && w->computed == wanted->computed);
    assert_int_equal(w->floor.windows, 4);
    for (size_t s = 0; s < MODELS; s++) {
        const struct walked *a = &wanted->subjects[s], *b = &w->subjects[s];
        const size_t tokens = (size_t)w->tokens;
        assert_memory_equal(a->loglikelihoods, b->loglikelihoods, w->n_groups * sizeof(double));
        assert_memory_equal(a->nll, b->nll, 2 * w->n * sizeof(double));
        if (!s) continue;
        assert_memory_equal(a->kl, b->kl, tokens * sizeof(double));
        assert_memory_equal(a->reverse, b->reverse, tokens * sizeof(double));
        assert_memory_equal(a->change, b->change, tokens * sizeof(double));
        assert_memory_equal(a->sums, b->sums, w->n * DIVERGENCE_WIDTH * sizeof(double));
        assert_int_equal(b->n_worst, WORST);
        for (size_t i = 0; i < WORST; i++) assert_same_worst(&a->worst[i], &b->worst[i]);
        char *x = report(r, wanted, s), *y = report(r, w, s);
        assert_string_equal(x, y);
        free(x);
        free(y);
    }
}

/* --- with a journal --- */

static struct journal *open_journal(const char *folder)
{
    struct error e;
    struct journal *j;
    json_t *parts = json_pack("{s:s}", "schema", "kerf-walk-1");
    assert_ok(journal_open(&j, folder, "walk", parts, false, &e), &e);
    json_decref(parts);
    return j;
}

/* Walks until progress is called for the n-th time, or something fails. */
static void walk_some(const struct road *r, const char *folder, size_t batch, size_t stop)
{
    struct error e;
    struct walk w;
    struct trip t = {.road = r, .stop = stop};
    struct journal *j = open_journal(folder);
    assert_error(travel(&w, &t, MODELS, j, batch, &e), &e, ERROR_INTERRUPTED, "interrupted");
    assert_ok(journal_close(j, &e), &e);
}

/* To the end, and the same as in one go; in how many passes. */
static size_t walk_on(const struct road *r, const char *folder, size_t batch)
{
    struct error e;
    struct walk w;
    struct trip t = {.road = r};
    struct journal *j = open_journal(folder);
    assert_ok(travel(&w, &t, MODELS, j, batch, &e), &e);
    assert_ok(journal_close(j, &e), &e);
    assert_int_equal(t.told, r->q.n_groups);
    assert_whole(r, &w);
    if (!t.calls)
        for (size_t i = 1; i < MODELS; i++) assert_true(w.subjects[i].cost.seconds == 0); /* nothing was computed */
    walk_free(&w);
    return t.calls;
}

static void assert_goes_on(void **state, const char *suite, size_t n_items, size_t limit)
{
    static const struct {
        size_t batch, stop, then;
    } ways[] = {{1, 1, 100}, {1, 3, 2}, {3, 2, 1}, {100, 1, 1}};
    struct road r = road_open(state, suite, n_items, limit);
    const size_t n = r.q.n_groups;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *folder = folder_temporary();
        const size_t batch = ways[i].batch, there = ways[i].stop * batch < n ? ways[i].stop * batch : n;
        walk_some(&r, folder, batch, ways[i].stop);
        if (there + 2 < n) walk_some(&r, folder, 2, 1); /* and stopped once more */
        const size_t left = there + 2 < n ? n - there - 2 : n - there;
        assert_int_equal(walk_on(&r, folder, ways[i].then), (left + ways[i].then - 1) / ways[i].then);
        assert_int_equal(walk_on(&r, folder, 5), 0);
        folder_remove(folder);
    }
    road_close(&r);
}

static void test_rolling(void **state) { assert_goes_on(state, "stories", 5, 0); }

static void test_chunked(void **state) { assert_goes_on(state, "stories_chunked", 0, 11); }

/* --- damage --- */

static char *journal_file(const char *folder)
{
    struct error e;
    struct dirent **all;
    char *under = path_join(folder, "journal", &e);
    const int count = scandir(under, &all, NULL, alphasort);
    assert_int_equal(count, 3); /* with . and .. */
    char *path = path_join(under, all[2]->d_name, &e);
    for (int i = 0; i < count; i++) free(all[i]);
    free(all);
    free(under);
    return path;
}

static char *slurp(const char *path, size_t *n)
{
    struct error e;
    struct file f;
    assert_ok(file_map(&f, path, &e), &e);
    char *copy = memcpy(malloc(f.size), f.data, f.size);
    *n = f.size;
    file_unmap(&f);
    return copy;
}

static void put(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* A byte changed in any line loses that window, and one in the second line the noise floor, which every walk has. */
static void test_flips(void **state)
{
    struct road r = road_open(state, "stories", 5, 0);
    char *folder = folder_temporary();
    assert_int_equal(walk_on(&r, folder, 1), r.q.n_groups);
    char *path = journal_file(folder);
    size_t n, lines = 0;
    char *bytes = slurp(path, &n);
    for (size_t at = 0, end; at < n; at = end, lines++) {
        const char *newline = memchr(bytes + at, '\n', n - at);
        assert_non_null(newline);
        end = (size_t)(newline - bytes) + 1;
        char *byte = bytes + at + (end - at - 1) * (lines % 5) / 5;
        const char bit = (char)(1 << lines % 7);
        if (lines > test_items(100) / 5) continue;
        *byte ^= bit;
        put(path, bytes, n);
        *byte ^= bit;
        assert_int_equal(walk_on(&r, folder, 1), lines < 2 ? 0 : 1);
        assert_int_equal(walk_on(&r, folder, 1), 0); /* it was written down again */
    }
    assert_int_equal(lines, r.q.n_groups + 2);
    free(bytes);
    free(path);
    folder_remove(folder);
    road_close(&r);
}

/* Every other window lost: those between them are not computed again, however large the batch. */
static void test_holes(void **state)
{
    struct road r = road_open(state, "stories_chunked", 0, 9);
    char *folder = folder_temporary();
    walk_on(&r, folder, 4);
    char *path = journal_file(folder);
    size_t n, lines = 0;
    char *bytes = slurp(path, &n);
    for (size_t i = 0; i + 1 < n; i++) {
        if (bytes[i] != '\n') continue;
        if (++lines % 2 == 0) bytes[i + 1] = '!'; /* line 2 is that of the first window */
    }
    put(path, bytes, n);
    assert_int_equal(walk_on(&r, folder, 100), (r.q.n_groups + 1) / 2);
    free(bytes);
    free(path);
    folder_remove(folder);
    road_close(&r);
}

/* Torn anywhere: the whole lines before it count. */
static void test_truncations(void **state)
{
    const size_t cuts = test_items(100) / 8;
    struct road r = road_open(state, "stories_chunked", 0, 9);
    char *folder = folder_temporary();
    walk_on(&r, folder, 4);
    char *path = journal_file(folder);
    size_t n;
    char *bytes = slurp(path, &n);
    for (size_t i = 0; i < cuts; i++) {
        const size_t cut = n * i / cuts;
        size_t lines = 0;
        for (size_t k = 0; k < cut; k++) lines += bytes[k] == '\n';
        put(path, bytes, cut);
        assert_int_equal(walk_on(&r, folder, 1), r.q.n_groups - (lines > 2 ? lines - 2 : 0));
        assert_int_equal(walk_on(&r, folder, 1), 0);
    }
    free(bytes);
    free(path);
    folder_remove(folder);
    road_close(&r);
}

/* Lines that are whole but of another number of subjects, or of tokens that the models do not have. */
static void test_foreign_lines(void **state)
{
    struct error e;
    struct road r = road_open(state, "stories_chunked", 0, 9);
    char *folder = folder_temporary();
    walk_on(&r, folder, 3);
    struct walk_past past;
    struct journal *j = open_journal(folder);
    static const struct {
        size_t subjects;
        int64_t vocab;
    } others[] = {{MODELS - 1, 1 << 20}, {MODELS + 1, 1 << 20}, {1, 1 << 20}, {MODELS, 1}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_ok(journal_walk(j, &r.q, others[i].subjects, others[i].vocab, &past, &e), &e);
        for (size_t g = 0; g < r.q.n_groups; g++) assert_null(past.windows[g]);
        walk_past_free(&past, r.q.n_groups);
    }
    struct requests fewer = r.q;
    fewer.n_groups = 2;
    assert_ok(journal_walk(j, &fewer, MODELS, 1 << 20, &past, &e), &e);
    assert_true(past.windows[0] && past.windows[1]);
    walk_past_free(&past, fewer.n_groups);
    journal_close(j, NULL);
    folder_remove(folder);
    road_close(&r);
}

/* What `whole` says ends the walk; the windows up to there are kept. */
static void test_whole_fails(void **state)
{
    struct error e;
    struct road r = road_open(state, "stories_chunked", 0, 9);
    char *folder = folder_temporary();
    struct walk w;
    struct trip t = {.road = &r, .failing = 4};
    struct journal *j = open_journal(folder);
    assert_error(travel(&w, &t, MODELS, j, 3, &e), &e, ERROR_IO, "the disk is full");
    assert_ok(journal_close(j, &e), &e);
    assert_int_equal(walk_on(&r, folder, 1), r.q.n_groups - 4);
    folder_remove(folder);
    road_close(&r);
}

/* The passes are small: one thread is faster than two that wait for each other. */
static int open_models(void **state)
{
    static const char *const specs[MODELS] = {NULL, "int8:absmax", "gguf:q4_0"};
    struct model **models = calloc(MODELS, sizeof *models);
    omp_set_num_threads(1);
    for (int i = 0; models && i < MODELS; i++) models[i] = model_shipped("gpt2", specs[i]);
    return (*state = models) == NULL;
}

static int close_models(void **state)
{
    struct model **models = *state;
    for (int i = 0; i < MODELS; i++) model_close(models[i]);
    free(models);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rolling),     cmocka_unit_test(test_chunked),
                                       cmocka_unit_test(test_flips),       cmocka_unit_test(test_holes),
                                       cmocka_unit_test(test_truncations), cmocka_unit_test(test_foreign_lines),
                                       cmocka_unit_test(test_whole_fails)};
    return cmocka_run_group_tests_name("suites/walk_resume", tests, open_models, close_models);
}
