/* The shipped models against an independent implementation in PyTorch (datasets/millbrook/provenance/score.py), all
 * items of all suites. */
#include "engine/decoding/generate.h"
#include "engine/kernels/kernels.h"
#include "suites/run.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 500, SHOWN = 20 };

struct subject {
    struct model *m;
    json_t *golden;
};

static struct subject subject_open(void **state)
{
    const char *name = *state;
    char path[64];
    snprintf(path, sizeof path, "tests/goldens/goldens-%s.json", name);
    return (struct subject){model_shipped(name, NULL), golden(path)};
}

static void subject_close(struct subject *s)
{
    model_close(s->m);
    json_decref(s->golden);
}

static void run(const struct subject *s, const char *suite, struct suite_result *out)
{
    struct error e;
    struct run_options options = {.batch = 32, .resampling = {.resamples = 10}};
    assert_ok(suite_run(s->m, suite, &options, out, &e), &e);
}

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v)) fail_msg("the golden has no number \"%s\"", key);
    return json_number_value(v);
}

static size_t metric_index(const struct suite_result *r, const char *metric)
{
    size_t i = 0;
    while (i < r->suite->n_scores && strcmp(r->suite->scores[i].name, metric)) i++;
    if (i == r->suite->n_scores) fail_msg("%s has no metric %s", r->suite->name, metric);
    return i;
}

static double value(const struct suite_result *r, const char *metric)
{
    return r->estimates[metric_index(r, metric)].value;
}

/* Sum over all outcomes of statistic k of a metric. */
static double total(const struct suite_result *r, const char *metric, size_t k)
{
    size_t m = metric_index(r, metric), width = r->suite->scores[m].measure.metric->width;
    double sum = 0;
    for (size_t i = 0; i < r->n; i++) sum += r->stats[m][i * width + k];
    return sum;
}

static const json_t *response(const struct suite_result *r, size_t item, size_t i)
{
    return json_array_get(json_object_get(json_array_get(r->samples, item), "resps"), i);
}

/* A generated text as it is scored, without the white space around it. */
static const char *answer(const struct suite_result *r, size_t item)
{
    return json_string_value(json_array_get(json_object_get(json_array_get(r->samples, item), "filtered_resps"), 0));
}

static void assert_relative(const struct suite_result *r, const json_t *wanted, const char *metric)
{
    double w = number(wanted, metric);
    assert_near(value(r, metric), w, 1e-4 * w, metric);
}

static void assert_all_items(void)
{
    if (test_items(ITEMS) == ITEMS) return;
    print_message("skipped: goldens are of %d items, and KERF_TEST_ITEMS allows fewer\n", ITEMS);
    skip();
}

static void test_stories(void **state)
{
    assert_all_items();
    struct subject s = subject_open(state);
    const json_t *wanted = json_object_get(s.golden, "stories");
    struct suite_result r;
    run(&s, "stories", &r);
    assert_int_equal(r.n, ITEMS);
    assert_int_equal(r.n, (size_t)number(wanted, "documents"));
    static const char *const metrics[] = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"};
    for (size_t i = 0; i < 4; i++) assert_relative(&r, wanted, metrics[i]);
    double nll = number(wanted, "nll");
    assert_near(total(&r, "perplexity", 0), nll, 1e-4 * nll, "nll");
    assert_true(total(&r, "perplexity", 1) == number(wanted, "tokens"));
    assert_true(total(&r, "word_perplexity", 1) == number(wanted, "words"));
    assert_true(total(&r, "byte_perplexity", 1) == number(wanted, "bytes"));
    const json_t *documents = json_object_get(wanted, "document_nll");
    assert_int_equal(json_array_size(documents), SHOWN);
    for (size_t i = 0; i < SHOWN; i++)
        assert_near(-json_real_value(response(&r, i, 0)), json_number_value(json_array_get(documents, i)), 2e-3,
                    "nll of a document");
    suite_result_free(&r);
    subject_close(&s);
}

static void test_stories_chunked(void **state)
{
    assert_all_items();
    struct subject s = subject_open(state);
    const json_t *wanted = json_object_get(s.golden, "stories_chunked");
    struct suite_result r;
    run(&s, "stories_chunked", &r);
    assert_relative(&r, wanted, "perplexity");
    assert_true(total(&r, "perplexity", 1) == number(wanted, "tokens"));
    suite_result_free(&r);
    subject_close(&s);
}

static double score_of(const struct suite_result *r, size_t item, size_t choice, bool by_length)
{
    double ll = json_real_value(json_array_get(response(r, item, choice), 0));
    return by_length ? ll / (double)utf8_length(r->items[item].targets[choice], strlen(r->items[item].targets[choice]))
                     : ll;
}

/* Whether rounding may decide this item: the right choice and its strongest rival are nearer than 1e-3. */
static bool is_close(const struct suite_result *r, size_t item, bool by_length)
{
    size_t gold = r->items[item].gold;
    double best = -INFINITY;
    for (size_t i = 0; i < r->items[item].n_targets; i++)
        if (i != gold) best = fmax(best, score_of(r, item, i, by_length));
    return fabs(score_of(r, item, gold, by_length) - best) < 1e-3;
}

/* The count of right items, give or take those that rounding may decide, which are named. */
static void assert_accuracy(const struct suite_result *r, const json_t *wanted, const char *metric, bool by_length)
{
    int close = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (!is_close(r, i, by_length)) continue;
        print_message("%s: %s: item %zu is decided by less than 1e-3 and may differ\n", r->suite->name, metric, i);
        close++;
    }
    double right = number(wanted, metric) * (double)r->n;
    assert_near(value(r, metric) * (double)r->n, right, 1e-6 + close, metric);
}

static void test_endings(void **state)
{
    assert_all_items();
    struct subject s = subject_open(state);
    const json_t *wanted = json_object_get(s.golden, "endings");
    struct suite_result r;
    run(&s, "endings", &r);
    assert_int_equal(r.n, ITEMS);
    assert_accuracy(&r, wanted, "acc", false);
    assert_accuracy(&r, wanted, "acc_norm", true);
    const json_t *items = json_object_get(wanted, "loglikelihoods");
    assert_int_equal(json_array_size(items), SHOWN);
    for (size_t i = 0; i < SHOWN; i++) {
        const json_t *choices = json_array_get(items, i);
        assert_int_equal(json_array_size(choices), r.items[i].n_targets);
        for (size_t k = 0; k < json_array_size(choices); k++)
            assert_near(score_of(&r, i, k, false), json_number_value(json_array_get(choices, k)), 2e-3,
                        "log-likelihood of an ending");
    }
    suite_result_free(&r);
    subject_close(&s);
}

static void test_lastword(void **state)
{
    assert_all_items();
    struct subject s = subject_open(state);
    const json_t *wanted = json_object_get(s.golden, "lastword");
    struct suite_result r;
    run(&s, "lastword", &r);
    assert_int_equal(r.n, ITEMS);
    assert_near(value(&r, "acc"), number(wanted, "acc"), 1e-9, "acc");
    assert_relative(&r, wanted, "perplexity");
    suite_result_free(&r);
    subject_close(&s);
}

static void test_reviews(void **state)
{
    assert_all_items();
    struct subject s = subject_open(state);
    const json_t *wanted = json_object_get(s.golden, "reviews");
    struct suite_result r;
    run(&s, "reviews", &r);
    assert_int_equal(r.n, ITEMS);
    static const char *const metrics[] = {"acc", "f1", "macro_f1", "mcc"};
    for (size_t i = 0; i < 4; i++) assert_near(value(&r, metrics[i]), number(wanted, metrics[i]), 1e-9, metrics[i]);
    suite_result_free(&r);
    subject_close(&s);
}

static void assert_outputs(const struct suite_result *r, const json_t *wanted)
{
    const json_t *outputs = json_object_get(wanted, "outputs");
    assert_int_equal(json_array_size(outputs), SHOWN);
    for (size_t i = 0; i < SHOWN; i++) assert_string_equal(answer(r, i), json_string_value(json_array_get(outputs, i)));
}

static void test_questions(void **state)
{
    assert_all_items();
    struct subject s = subject_open(state);
    const json_t *wanted = json_object_get(s.golden, "questions");
    struct suite_result r;
    run(&s, "questions", &r);
    assert_int_equal(r.n, ITEMS);
    assert_near(value(&r, "exact_match"), number(wanted, "exact_match"), 1e-9, "exact_match");
    assert_near(value(&r, "f1"), number(wanted, "f1"), 1e-9, "f1");
    assert_outputs(&r, wanted);
    suite_result_free(&r);
    subject_close(&s);
}

/* A metric that the suite does not list, from the outputs it left. */
static double value_of_outputs(const struct suite_result *r, const char *metric)
{
    struct error e;
    const struct measure x = measure_of(metric_find(metric, OUTCOME_GENERATION)), *m = &x;
    assert_non_null(m);
    double *stats = calloc(r->n * m->metric->width, sizeof *stats);
    assert_non_null(stats);
    for (size_t i = 0; i < r->n; i++) {
        struct outcome o = {.kind = OUTCOME_GENERATION,
                            .text = answer(r, i),
                            .references = (const char *const *)r->items[i].targets,
                            .n_references = r->items[i].n_targets};
        assert_ok(measure_accumulate(m, &o, stats + i * m->metric->width, &e), &e);
    }
    double v = measure_value(m, stats, r->n);
    free(stats);
    return v;
}

static void test_translation(void **state)
{
    assert_all_items();
    struct subject s = subject_open(state);
    const json_t *wanted = json_object_get(s.golden, "translation");
    struct suite_result r;
    run(&s, "translation", &r);
    assert_int_equal(r.n, ITEMS);
    assert_near(value(&r, "bleu"), number(wanted, "bleu"), 0.05, "bleu");
    assert_near(value(&r, "chrf"), number(wanted, "chrf"), 0.05, "chrf");
    assert_near(value_of_outputs(&r, "chrf++"), number(wanted, "chrf++"), 0.05, "chrf++");
    assert_outputs(&r, wanted);
    suite_result_free(&r);
    subject_close(&s);
}

/* BOS and the prompt's ids, checked against the golden's. */
static struct ids prompt_ids(const struct subject *s, const json_t *golden_logits)
{
    struct error e;
    struct ids ids = {0};
    const struct tokenizer *t = model_tokenizer(s->m);
    const char *prompt = json_string_value(json_object_get(golden_logits, "prompt"));
    assert_true(tokenizer_adds_bos(t));
    assert_ok(ids_add(&ids, tokenizer_bos(t), &e), &e);
    assert_ok(tokenizer_encode(t, prompt, strlen(prompt), 0, &ids, &e), &e);
    const json_t *wanted = json_object_get(golden_logits, "ids");
    assert_int_equal(ids.count, json_array_size(wanted));
    for (size_t i = 0; i < ids.count; i++) assert_int_equal(ids.at[i], json_integer_value(json_array_get(wanted, i)));
    return ids;
}

struct levels {
    int64_t seen;
    double rms[64]; /* of the last position's output, by layer */
};

static void see_layer(void *user, int64_t layer, const float *x, int64_t n, int64_t width)
{
    struct levels *l = user;
    assert_int_equal(layer, l->seen);
    assert_true(layer < 64);
    double sum = 0;
    for (int64_t i = 0; i < width; i++) sum += (double)x[(n - 1) * width + i] * (double)x[(n - 1) * width + i];
    l->rms[l->seen++] = sqrt(sum / (double)width);
}

static void test_logits(void **state)
{
    struct subject s = subject_open(state);
    struct error e;
    const json_t *wanted = json_object_get(s.golden, "logits");
    struct ids ids = prompt_ids(&s, wanted);
    const struct hyper *h = model_hyper(s.m);
    int64_t n = (int64_t)ids.count;
    float *hidden = calloc(ids.count * (size_t)h->width, sizeof *hidden);
    float *logits = calloc(ids.count * (size_t)h->vocab, sizeof *logits);
    struct levels levels = {0};
    struct probe probe = {.user = &levels, .layer_output = see_layer};
    struct span span = {cache_new(s.m, NULL, 0, n, &e), ids.at, n, 0};
    assert_non_null(span.cache);
    assert_ok(model_forward(s.m, &span, 1, hidden, &probe, &e), &e);
    assert_ok(model_logits(s.m, hidden, n, logits, &e), &e);
    const json_t *row = json_object_get(wanted, "last_row"), *most = json_object_get(wanted, "argmax");
    assert_int_equal(json_array_size(row), h->vocab);
    assert_int_equal(json_array_size(most), n);
    for (int64_t i = 0; i < h->vocab; i++)
        assert_near(logits[(n - 1) * h->vocab + i], json_number_value(json_array_get(row, (size_t)i)), 2e-3, "a logit");
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(kernels_get()->argmax(logits + i * h->vocab, h->vocab),
                         json_integer_value(json_array_get(most, (size_t)i)));
    const json_t *layers = json_object_get(wanted, "layer_output_rms");
    assert_int_equal(json_object_size(layers), h->layers);
    assert_int_equal(levels.seen, h->layers);
    const char *key;
    json_t *level;
    int64_t layer = 0;
    json_object_foreach((json_t *)(uintptr_t)layers, key, level)
    {
        double rms = json_number_value(level);
        assert_near(levels.rms[layer++], rms, 1e-3 * rms, key);
    }
    cache_free(span.cache);
    free(hidden);
    free(logits);
    ids_free(&ids);
    subject_close(&s);
}

static void test_greedy(void **state)
{
    struct subject s = subject_open(state);
    struct error e;
    const json_t *wanted = json_object_get(s.golden, "greedy"), *new = json_object_get(wanted, "ids");
    struct ids ids = prompt_ids(&s, json_object_get(s.golden, "logits"));
    struct generation g = {.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 64};
    const struct decode how = decode_greedy();
    assert_ok(generate(s.m, &how, &g, 1, &(struct generate_options){.batch = 1}, &e), &e);
    assert_int_equal(g.ids.count, json_array_size(new));
    for (size_t i = 0; i < g.ids.count; i++) assert_int_equal(g.ids.at[i], json_integer_value(json_array_get(new, i)));
    assert_string_equal(g.ended, "limit");
    assert_true(text_c(&g.text)[0] == ' ');
    assert_string_equal(text_c(&g.text) + 1, json_string_value(json_object_get(wanted, "text")));
    generation_free(&g);
    ids_free(&ids);
    subject_close(&s);
}

#define BOTH(test)                                                                                                     \
    {#test " llama", test, NULL, NULL, "llama"}, { #test " gpt2", test, NULL, NULL, "gpt2" }

int main(void)
{
    const struct CMUnitTest tests[] = {BOTH(test_logits),          BOTH(test_greedy),    BOTH(test_stories),
                                       BOTH(test_stories_chunked), BOTH(test_endings),   BOTH(test_lastword),
                                       BOTH(test_reviews),         BOTH(test_questions), BOTH(test_translation)};
    return cmocka_run_group_tests_name("suites/goldens", tests, NULL, NULL);
}
