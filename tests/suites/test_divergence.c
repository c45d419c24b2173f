/* Models in lockstep: against suites and goldens, against plain passes of one model at a time, against themselves. */
#include "engine/base/file.h"
#include "suites/lockstep.h"
#include "suites/run.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 500, WORST = 5, SOME_BYTES = 6000, FEW_BYTES = 1500, RESAMPLES = 50 };
static const char stories[] = "datasets/millbrook/stories.test.txt";

static struct lockstep_options options_for(const char *file, enum protocol protocol)
{
    return (struct lockstep_options){.file = file,
                                     .protocol = protocol,
                                     .batch = 8,
                                     .worst = WORST,
                                     .resampling = {.resamples = RESAMPLES, .seed = 7}};
}

static void walk(struct lockstep *l, const struct model *const *models, size_t n, const struct lockstep_options *o)
{
    struct error e;
    assert_ok(lockstep_run(l, models, n, o, &e), &e);
    assert_int_equal(l->walk.n_subjects, n);
}

/* The first bytes of the stories, in a folder of the test's own. */
struct excerpt {
    char *folder, *path;
};

static struct excerpt excerpt_of(size_t bytes)
{
    struct error e;
    struct file text;
    assert_ok(file_map(&text, stories, &e), &e);
    assert_true(text.size > bytes);
    struct excerpt x = {.folder = folder_temporary()};
    x.path = file_put(x.folder, "text.txt", text.data, bytes);
    file_unmap(&text);
    return x;
}

static void excerpt_remove(struct excerpt *x)
{
    free(x->path);
    folder_remove(x->folder);
}

static size_t some_bytes(void) { return test_items(ITEMS) < ITEMS ? FEW_BYTES : SOME_BYTES; }

/* --- against suites and goldens --- */

static void assert_all_items(void)
{
    if (test_items(ITEMS) == ITEMS) return;
    print_message("skipped: goldens are of %d items, and KERF_TEST_ITEMS allows fewer\n", ITEMS);
    skip();
}

/* The same bits and the same fingerprint as a suite of this text. */
static void assert_is_suite(const char *yaml, enum protocol protocol, int64_t context)
{
    struct error e;
    struct excerpt x = excerpt_of(some_bytes());
    char *suite = file_put(x.folder, "suite.yaml", yaml, strlen(yaml));
    struct model *m = model_shipped("gpt2", NULL);
    struct suite_result r;
    struct lockstep l;
    struct lockstep_options o = options_for(x.path, protocol);
    o.context = context;
    walk(&l, (const struct model *const[]){m}, 1, &o);
    struct run_options how = {.batch = 32, .resampling = o.resampling};
    assert_ok(suite_run(m, suite, &how, &r, &e), &e);
    assert_string_equal(l.fingerprint, r.fingerprint);
    assert_int_equal(l.walk.n, r.n);
    assert_int_equal(l.suite->n_scores, r.suite->n_scores);
    for (size_t i = 0; i < r.suite->n_scores; i++) {
        assert_ptr_equal(l.suite->scores[i].measure.metric, r.suite->scores[i].measure.metric);
        assert_memory_equal(l.subjects->stats[i], r.stats[i],
                            r.n * r.suite->scores[i].measure.metric->width * sizeof(double));
        assert_memory_equal(&l.subjects->estimates[i], &r.estimates[i], sizeof *r.estimates);
    }
    suite_result_free(&r);
    lockstep_free(&l);
    model_close(m);
    free(suite);
    excerpt_remove(&x);
}

static void test_rolling_suite(void **state)
{
    (void)state;
    assert_is_suite("task: whole\n"
                    "dataset_path: text.txt\n"
                    "dataset_format: paragraphs\n"
                    "output_type: loglikelihood_rolling\n"
                    "doc_to_text: \"\"\n"
                    "doc_to_target: \"{{text}}\"\n"
                    "metric_list: [{metric: perplexity}, {metric: word_perplexity}, {metric: byte_perplexity}, "
                    "{metric: bits_per_byte}]\n",
                    PROTOCOL_ROLLING, 0);
}

static void test_chunked_suite(void **state)
{
    (void)state;
    assert_is_suite("task: cut\n"
                    "dataset_path: text.txt\n"
                    "dataset_format: text\n"
                    "output_type: loglikelihood_rolling\n"
                    "doc_to_text: \"\"\n"
                    "doc_to_target: \"{{text}}\"\n"
                    "protocol: chunked\n"
                    "context: 50\n"
                    "metric_list: [{metric: perplexity}, {metric: word_perplexity}, {metric: byte_perplexity}, "
                    "{metric: bits_per_byte}]\n",
                    PROTOCOL_CHUNKED, 50);
}

static void test_strided_suite(void **state)
{
    (void)state;
    assert_is_suite("task: overlapping\n"
                    "dataset_path: text.txt\n"
                    "dataset_format: text\n"
                    "output_type: loglikelihood_rolling\n"
                    "doc_to_text: \"\"\n"
                    "doc_to_target: \"{{text}}\"\n"
                    "protocol: strided\n"
                    "context: 50\n"
                    "metric_list: [{metric: perplexity}, {metric: word_perplexity}, {metric: byte_perplexity}, "
                    "{metric: bits_per_byte}]\n",
                    PROTOCOL_STRIDED, 50);
}

/* The numbers of an independent implementation in PyTorch. */
static void assert_golden(const char *model, const char *suite, enum protocol protocol)
{
    assert_all_items();
    char path[64];
    snprintf(path, sizeof path, "tests/goldens/goldens-%s.json", model);
    json_t *goldens = golden(path);
    const json_t *wanted = json_object_get(goldens, suite);
    struct model *m = model_shipped(model, NULL);
    struct lockstep l;
    struct lockstep_options o = options_for(stories, protocol);
    walk(&l, (const struct model *const[]){m}, 1, &o);
    const double perplexity = json_number_value(json_object_get(wanted, "perplexity"));
    assert_true(perplexity > 1);
    assert_near(l.subjects->estimates[0].value, perplexity, 1e-4 * perplexity, suite);
    assert_int_equal(l.walk.tokens, (int64_t)json_number_value(json_object_get(wanted, "tokens")));
    lockstep_free(&l);
    model_close(m);
    json_decref(goldens);
}

static void test_rolling_golden(void **state)
{
    (void)state;
    assert_golden("gpt2", "stories", PROTOCOL_ROLLING);
}

static void test_chunked_golden(void **state)
{
    (void)state;
    assert_golden("gpt2", "stories_chunked", PROTOCOL_CHUNKED);
}

/* --- against plain passes --- */

/* The logits after each token of a window's part, the model alone. */
static float *logits_alone(const struct model *m, const struct group *g)
{
    struct error e;
    const struct part *part = g->parts;
    const int64_t n = g->n_context + part->n - 1, vocab = model_hyper(m)->vocab;
    int32_t *ids = calloc((size_t)n, sizeof *ids);
    float *hidden = calloc((size_t)(part->n * model_hyper(m)->width), sizeof *hidden);
    float *logits = calloc((size_t)(part->n * vocab), sizeof *logits);
    assert_true(ids && hidden && logits);
    memcpy(ids, g->context, (size_t)g->n_context * sizeof *ids);
    memcpy(ids + g->n_context, part->ids, (size_t)(part->n - 1) * sizeof *ids);
    struct span s = {cache_new(m, NULL, 0, n, &e), ids, n, g->n_context - 1};
    assert_non_null(s.cache);
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, part->n, logits, &e), &e);
    cache_free(s.cache);
    free(hidden);
    free(ids);
    return logits;
}

static long double log_chance(const float *x, int64_t n, int64_t i)
{
    long double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++) most = fmaxl(most, (long double)x[k]);
    for (int64_t k = 0; k < n; k++) sum += expl((long double)x[k] - most);
    return (long double)x[i] - most - logl(sum);
}

static int64_t first_largest(const float *x, int64_t n)
{
    int64_t at = 0;
    for (int64_t k = 1; k < n; k++)
        if (x[k] > x[at]) at = k;
    return at;
}

struct sums {
    double kl, reverse, same, change, squares, positions, largest;
    size_t group; /* of the largest, and its place in it */
    int64_t row;
};

static void add_position(struct sums *s, const float *a, const float *b, int64_t vocab, int32_t target, size_t group,
                         int64_t row)
{
    long double kl = 0, reverse = 0;
    const long double na = (long double)a[0] - log_chance(a, vocab, 0),
                      nb = (long double)b[0] - log_chance(b, vocab, 0);
    for (int64_t k = 0; k < vocab; k++) {
        const long double p = (long double)a[k] - na, q = (long double)b[k] - nb;
        kl += expl(p) * (p - q);
        reverse += expl(q) * (q - p);
    }
    const double change = (double)(expl((long double)b[target] - nb) - expl((long double)a[target] - na));
    s->kl += (double)kl;
    s->reverse += (double)reverse;
    s->same += first_largest(a, vocab) == first_largest(b, vocab);
    s->change += change;
    s->squares += change * change;
    s->positions++;
    if ((double)kl <= s->largest) return;
    s->largest = (double)kl;
    s->group = group;
    s->row = row;
}

static void assert_divergence(const struct divergences *d, const struct sums *w)
{
    const double wanted[] = {w->kl / w->positions, w->reverse / w->positions, w->same / w->positions,
                             w->change / w->positions, sqrt(w->squares / w->positions)};
    static const double near[] = {1e-12, 1e-12, 1e-12, 1e-7, 1e-7}; /* chances are exp of float32's log-likelihoods */
    for (size_t i = 0; i < DIVERGENCE_METRICS; i++) {
        assert_near(d->means[i].value, wanted[i], near[i], divergence_metric(i)->name);
        assert_true(d->means[i].low <= wanted[i] + near[i] && d->means[i].high >= wanted[i] - near[i]);
    }
    assert_near(d->kl[KL_QUANTILES - 1], w->largest, 1e-12 * fmax(1, w->largest), "the largest");
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void assert_quantiles(const double *values, int64_t tokens, const double *q, size_t n_q, const double *got)
{
    double *sorted = calloc((size_t)tokens, sizeof *sorted);
    assert_non_null(sorted);
    memcpy(sorted, values, (size_t)tokens * sizeof *sorted);
    qsort(sorted, (size_t)tokens, sizeof *sorted, ascending);
    for (size_t i = 0; i < n_q; i++) {
        const size_t at = (size_t)(q[i] * (double)(tokens - 1));
        assert_true(got[i] >= sorted[at] && got[i] <= sorted[at + (q[i] < 1)]);
    }
    free(sorted);
}

/* The list is descending, and its first is the largest of all. */
static void assert_worst(const struct lockstep *l, size_t subject, const struct sums *w)
{
    const struct walked *s = &l->walk.subjects[subject];
    assert_int_equal(s->n_worst, WORST);
    assert_true(s->worst[0].kl == l->subjects[subject].divergences.kl[KL_QUANTILES - 1]);
    assert_int_equal(s->worst[0].group, w->group);
    assert_int_equal(s->worst[0].row, w->row);
    for (size_t i = 0; i < WORST; i++) {
        const struct worst *x = &s->worst[i];
        size_t above = 0;
        for (int64_t t = 0; t < l->walk.tokens; t++) above += s->kl[t] > x->kl;
        assert_int_equal(above, i);
        assert_int_equal(x->target, l->requests.groups[x->group].parts->ids[x->row]);
        assert_true(x->baseline.chance_top >= x->baseline.chance_token - 1e-6);
        assert_true(x->candidate.chance_top >= x->candidate.chance_token - 1e-6);
    }
}

static void assert_like_alone(enum protocol protocol)
{
    enum { N = 3 };
    struct excerpt x = excerpt_of(some_bytes());
    struct model *models[N] = {model_shipped("llama", "f32"), model_shipped("llama", "gguf:q4_0"),
                               model_shipped("gpt2", NULL)};
    struct lockstep_options o = options_for(x.path, protocol);
    o.context = 64;
    struct lockstep l;
    walk(&l, (const struct model *const *)models, N, &o);
    const int64_t vocab = model_hyper(models[0])->vocab;
    struct sums sums[N] = {{0}};
    for (size_t g = 0; g < l.requests.n_groups; g++) {
        float *rows[N];
        for (size_t i = 0; i < N; i++) rows[i] = logits_alone(models[i], &l.requests.groups[g]);
        for (int64_t t = 0; t < l.requests.groups[g].parts->n; t++)
            for (size_t i = 1; i < N; i++)
                add_position(&sums[i], rows[0] + t * vocab, rows[i] + t * vocab, vocab,
                             l.requests.groups[g].parts->ids[t], g, t);
        for (size_t i = 0; i < N; i++) free(rows[i]);
    }
    for (size_t i = 1; i < N; i++) {
        const struct lockstep_subject *s = &l.subjects[i];
        assert_true((int64_t)sums[i].positions == l.walk.tokens);
        assert_true(sums[i].kl / sums[i].positions > 1e-3 && sums[i].same < sums[i].positions);
        assert_divergence(&s->divergences, &sums[i]);
        assert_quantiles(l.walk.subjects[i].kl, l.walk.tokens, kl_quantiles, KL_QUANTILES, s->divergences.kl);
        assert_quantiles(l.walk.subjects[i].reverse, l.walk.tokens, kl_quantiles, KL_QUANTILES, s->divergences.reverse);
        assert_quantiles(l.walk.subjects[i].change, l.walk.tokens, change_quantiles, CHANGE_QUANTILES,
                         s->divergences.change);
        assert_worst(&l, i, &sums[i]);
        assert_near(s->divergences.log_ratio.value, log(s->estimates[0].value / l.subjects->estimates[0].value), 1e-12,
                    "ln ratio");
        assert_near(s->differences[0].value, s->estimates[0].value - l.subjects->estimates[0].value, 1e-12,
                    "difference");
    }
    lockstep_free(&l);
    for (size_t i = 0; i < N; i++) model_close(models[i]);
    excerpt_remove(&x);
}

static void test_rolling_alone(void **state)
{
    (void)state;
    assert_like_alone(PROTOCOL_ROLLING);
}

static void test_chunked_alone(void **state)
{
    (void)state;
    assert_like_alone(PROTOCOL_CHUNKED);
}

static void test_strided_alone(void **state)
{
    (void)state;
    assert_like_alone(PROTOCOL_STRIDED);
}

/* --- against itself --- */

/* The noise floor: a model differs from itself, opened again or not, by exactly nothing. */
static void assert_floor(const char *spec)
{
    struct excerpt x = excerpt_of(some_bytes());
    struct model *m = model_shipped("llama", spec), *again = model_shipped("llama", spec);
    struct lockstep_options o = options_for(x.path, PROTOCOL_ROLLING);
    struct lockstep l;
    walk(&l, (const struct model *const[]){m, m, again}, 3, &o);
    for (size_t i = 1; i < 3; i++) {
        const struct lockstep_subject *s = &l.subjects[i];
        static const double nothing[DIVERGENCE_METRICS] = {0, 0, 1, 0, 0};
        for (size_t k = 0; k < DIVERGENCE_METRICS; k++) {
            assert_true(s->divergences.means[k].value == nothing[k]);
            assert_true(s->divergences.means[k].low == nothing[k] && s->divergences.means[k].high == nothing[k]);
        }
        assert_true(s->divergences.kl[KL_QUANTILES - 1] == 0 && s->divergences.reverse[KL_QUANTILES - 1] == 0);
        assert_true(s->divergences.change[0] == 0 && s->divergences.change[CHANGE_QUANTILES - 1] == 0);
        assert_true(s->divergences.log_ratio.value == 0 && s->divergences.log_ratio.low == 0 &&
                    s->divergences.log_ratio.high == 0);
        assert_true(s->differences[0].value == 0);
        assert_true(s->estimates[0].value == l.subjects->estimates[0].value);
    }
    const struct noise_floor *f = &l.walk.floor;
    assert_true(f->windows > 1 && f->tokens > 0 && f->kl == 0 && f->largest == 0 && f->same_top == 1);
    lockstep_free(&l);
    model_close(m);
    model_close(again);
    excerpt_remove(&x);
}

static void test_floor(void **state)
{
    (void)state;
    assert_floor("gguf:q8_0");
}

static void test_floor_fast(void **state)
{
    (void)state;
    assert_floor("gguf:q4_k+fast");
}

static void assert_same(const struct lockstep *a, const struct lockstep *b)
{
    assert_string_equal(a->fingerprint, b->fingerprint);
    assert_int_equal(a->walk.tokens, b->walk.tokens);
    assert_int_equal(a->walk.n, b->walk.n);
    for (size_t i = 0; i < a->walk.n_subjects; i++) {
        const struct lockstep_subject *s = &a->subjects[i], *t = &b->subjects[i];
        for (size_t k = 0; k < a->suite->n_scores; k++) {
            assert_memory_equal(s->stats[k], t->stats[k],
                                a->walk.n * a->suite->scores[k].measure.metric->width * sizeof(double));
            assert_memory_equal(&s->estimates[k], &t->estimates[k], sizeof *s->estimates);
        }
        if (!i) continue;
        const struct walked *v = &a->walk.subjects[i], *w = &b->walk.subjects[i];
        const size_t tokens = (size_t)a->walk.tokens;
        assert_memory_equal(v->kl, w->kl, tokens * sizeof *v->kl);
        assert_memory_equal(v->reverse, w->reverse, tokens * sizeof *v->reverse);
        assert_memory_equal(v->change, w->change, tokens * sizeof *v->change);
        assert_memory_equal(v->sums, w->sums, a->walk.n * DIVERGENCE_WIDTH * sizeof *v->sums);
        assert_memory_equal(&s->divergences, &t->divergences, offsetof(struct divergences, log_ratio));
        assert_memory_equal(&s->divergences.log_ratio.low, &t->divergences.log_ratio.low, sizeof(double));
        assert_int_equal(v->n_worst, w->n_worst);
        for (size_t k = 0; k < v->n_worst; k++) {
            assert_true(v->worst[k].kl == w->worst[k].kl && v->worst[k].group == w->worst[k].group);
            assert_true(v->worst[k].outcome == w->worst[k].outcome && v->worst[k].position == w->worst[k].position);
        }
    }
}

/* A batch of 100 windows of 16 tokens is cut in other places than one of 8, and so are the slices of logits. */
static void test_identity(void **state)
{
    (void)state;
    static const struct {
        int threads;
        size_t batch;
    } ways[] = {{2, 8}, {2, 1}, {1, 100}};
    struct excerpt x = excerpt_of(FEW_BYTES);
    struct model *models[] = {model_shipped("gpt2", NULL), model_shipped("gpt2", "int8:absmax")};
    const int before = omp_get_max_threads();
    for (int protocol = PROTOCOL_ROLLING; protocol < PROTOCOLS; protocol++) {
        struct lockstep_options o = options_for(x.path, (enum protocol)protocol);
        struct lockstep first, other;
        o.context = 16;
        o.batch = 1;
        omp_set_num_threads(1);
        walk(&first, (const struct model *const *)models, 2, &o);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            o.batch = ways[i].batch;
            omp_set_num_threads(ways[i].threads);
            walk(&other, (const struct model *const *)models, 2, &o);
            assert_same(&first, &other);
            lockstep_free(&other);
        }
        lockstep_free(&first);
    }
    omp_set_num_threads(before);
    model_close(models[0]);
    model_close(models[1]);
    excerpt_remove(&x);
}

/* --- what is refused --- */

static bool stop(void *user, size_t done, size_t total)
{
    assert_true(done <= total);
    return ++*(int *)user < 2;
}

static void test_refusals(void **state)
{
    (void)state;
    struct error e;
    struct excerpt x = excerpt_of(FEW_BYTES);
    struct lockstep l;
    struct model *m = model_shipped("llama", NULL);
    const struct model *const one[] = {m};
    struct lockstep_options o = options_for(x.path, PROTOCOL_CHUNKED);
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_INPUT, "shorter than one window of 512");
    o.context = 513;
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_USAGE, "513 tokens exceeds the model's context of 512");
    o.context = 3;
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_USAGE,
                 "--context 3: is too short for the chunked protocol");
    o = options_for("no-such-file.txt", PROTOCOL_CHUNKED);
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_IO, "no-such-file.txt");
    static const char *const broken[] = {"", "\n \n\n", "good\n\xff\xfe bad", "a\0b"};
    static const size_t sizes[] = {0, 4, 11, 3};
    for (size_t i = 0; i < 4; i++) {
        char *path = file_put(x.folder, "broken.txt", broken[i], sizes[i]);
        o = options_for(path, PROTOCOL_ROLLING);
        assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_INPUT, "broken.txt");
        free(path);
    }
    int calls = 0;
    o = options_for(x.path, PROTOCOL_ROLLING);
    o.context = 8;
    o.user = &calls;
    o.progress = stop;
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_INTERRUPTED, "interrupted");
    assert_int_equal(calls, 2);
    model_close(m);
    excerpt_remove(&x);
}

static void test_other_tokenizer(void **state)
{
    (void)state;
    struct error e;
    struct model *m = model_shipped("llama", NULL), *other;
    const char *path = shared_path("data/models/stories260K.gguf");
    assert_ok(model_open(&other, path, NULL, &e), &e);
    struct lockstep l;
    struct lockstep_options o = options_for(stories, PROTOCOL_ROLLING);
    assert_error(lockstep_run(&l, (const struct model *const[]){m, m, other}, 3, &o, &e), &e, ERROR_INPUT,
                 "stories260K.gguf: its tokenizer is not that of the baseline datasets/millbrook/llama");
    model_close(other);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rolling_suite),  cmocka_unit_test(test_chunked_suite),
                                       cmocka_unit_test(test_strided_suite),  cmocka_unit_test(test_strided_alone),
                                       cmocka_unit_test(test_rolling_golden), cmocka_unit_test(test_chunked_golden),
                                       cmocka_unit_test(test_rolling_alone),  cmocka_unit_test(test_chunked_alone),
                                       cmocka_unit_test(test_floor),          cmocka_unit_test(test_floor_fast),
                                       cmocka_unit_test(test_identity),       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_other_tokenizer)};
    return cmocka_run_group_tests_name("suites/divergence", tests, NULL, NULL);
}
