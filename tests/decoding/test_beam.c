#include "engine/base/file.h"
#include "engine/decoding/generate.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct decode parsed(const char *spec)
{
    struct decode d;
    struct error e;
    assert_ok(decode_parse(&d, spec, &e), &e);
    return d;
}

static struct ids encoded(const struct model *m, const char *text)
{
    struct error e;
    struct ids ids = {0};
    assert_ok(tokenizer_encode_prompt(model_tokenizer(m), text, strlen(text), &ids, &e), &e);
    return ids;
}

static void run(const struct model *m, const char *spec, struct generation *all, size_t n, size_t batch)
{
    struct error e;
    const struct decode how = parsed(spec);
    assert_ok(generate(m, &how, all, n, &(struct generate_options){.batch = batch}, &e), &e);
}

/* ln p of every token after these ids, computed at once; to be freed. */
static double *row_after(const struct model *m, const struct ids *ids)
{
    struct error e;
    const int64_t vocab = model_hyper(m)->vocab, n = (int64_t)ids->count;
    float *hidden = malloc((size_t)model_hyper(m)->width * sizeof *hidden);
    float *logits = malloc((size_t)vocab * sizeof *logits);
    double *row = malloc((size_t)vocab * sizeof *row), total = 0;
    struct cache *c = cache_new(m, NULL, 0, n, &e);
    struct span s = {.cache = c, .ids = ids->at, .count = n, .first_output = n - 1};
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, 1, logits, &e), &e);
    for (int64_t id = 0; id < vocab; id++) total += exp((double)logits[id]);
    for (int64_t id = 0; id < vocab; id++) row[id] = (double)logits[id] - log(total);
    cache_free(c);
    free(hidden), free(logits);
    return row;
}

/* Appends the new ids to the prompt's and returns their ln p. */
static double log_probability(const struct model *m, struct ids *ids, const int32_t *new, size_t n)
{
    struct error e;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double *row = row_after(m, ids);
        sum += row[new[i]];
        free(row);
        assert_ok(ids_add(ids, new[i], &e), &e);
    }
    return sum;
}

static const char *stripped(struct text *t)
{
    while (t->length && t->bytes[t->length - 1] == ' ') t->bytes[--t->length] = 0;
    const char *s = text_c(t);
    return s + strspn(s, " ");
}

/* A beam search in PyTorch that ends texts at a newline and knows no length penalty. */
static void test_goldens(void **state)
{
    enum { N = 20 };
    static const char *const newline = "\n";
    char path[64];
    snprintf(path, sizeof path, "tests/goldens/goldens-%s.json", (const char *)*state);
    json_t *all = golden(path), *wanted = json_object_get(all, "translation_beam4");
    struct model *m = model_shipped(*state, NULL);
    struct file data;
    struct error e;
    assert_ok(file_map(&data, "datasets/millbrook/translation.test.tsv", &e), &e);
    struct generation g[N];
    struct ids prompts[N];
    const size_t n = test_items(N);
    const char *line = (const char *)data.data;
    for (size_t i = 0; i < n; i++, line = strchr(line, '\n') + 1) {
        char prompt[512];
        snprintf(prompt, sizeof prompt, "English: %.*s\nSpanish:", (int)strcspn(line, "\t"), line);
        prompts[i] = encoded(m, prompt);
        g[i] = (struct generation){.prompt = prompts[i].at,
                                   .n_prompt = (int64_t)prompts[i].count,
                                   .limit = 48,
                                   .stops = &newline,
                                   .n_stops = 1};
    }
    run(m, "beam:4,length-penalty=0", g, n, 32);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(stripped(&g[i].text),
                            json_string_value(json_array_get(json_object_get(wanted, "outputs"), i)));
        assert_near(g[i].log_probability,
                    json_real_value(json_array_get(json_object_get(wanted, "log_probability"), i)), 1e-4, "log p");
        assert_string_equal(g[i].ended, "stop");
        generation_free(&g[i]);
        ids_free(&prompts[i]);
    }
    file_unmap(&data);
    json_decref(all);
    model_close(m);
}

static const char *const prompts[] = {
    "The sun was shining. Clara was the miller of Millbrook. Hugo was the sailor of Millbrook. Clara went to the",
    "Question: Where is Hugo?\nAnswer:",
    "It was a",
    "Review: The bread was",
    "Nora returned to the",
    "",
};
enum { PROMPTS = sizeof prompts / sizeof *prompts };

/* One hypothesis is the greedy text. */
static void test_greedy(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    for (size_t i = 0; i < test_items(PROMPTS); i++) {
        struct ids ids = encoded(m, prompts[i]);
        struct generation g[2];
        for (size_t j = 0; j < 2; j++) {
            g[j] = (struct generation){.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 12};
            run(m, j ? "beam:1" : "greedy", &g[j], 1, 1);
        }
        assert_int_equal(g[0].ids.count, g[1].ids.count);
        assert_memory_equal(g[0].ids.at, g[1].ids.at, g[0].ids.count * sizeof(int32_t));
        assert_string_equal(g[0].ended, g[1].ended);
        assert_near(g[1].log_probability, g[0].log_probability, 0, "log p");
        for (size_t j = 0; j < 2; j++) generation_free(&g[j]);
        ids_free(&ids);
    }
    model_close(m);
}

/* What the search ranks by. */
static double score_of(const struct generation *g, double penalty)
{
    return g->log_probability / pow((double)(g->ids.count + (strcmp(g->ended, "eos") == 0)), penalty);
}

/* The later a search may stop, the better is its best; where longer is never better, "never" has nothing to wait for. */
static void test_early_stopping(void **state)
{
    static const char *const stopping[] = {"true", "false", "never"}, *const stops[] = {"."};
    static const double penalties[] = {-1, 0, 2.5};
    struct model *m = model_shipped(*state, NULL);
    size_t differ = 0;
    const size_t n = test_items(PROMPTS);
    struct ids ids[PROMPTS];
    for (size_t i = 0; i < n; i++) ids[i] = encoded(m, prompts[i]);
    for (size_t p = 0; p < sizeof penalties / sizeof *penalties; p++) {
        struct generation g[3][PROMPTS];
        for (size_t s = 0; s < 3; s++) {
            char spec[96];
            snprintf(spec, sizeof spec, "beam:3,length-penalty=%g,early-stopping=%s", penalties[p], stopping[s]);
            for (size_t i = 0; i < n; i++)
                g[s][i] = (struct generation){.prompt = ids[i].at,
                                              .n_prompt = (int64_t)ids[i].count,
                                              .limit = 16,
                                              .stops = stops,
                                              .n_stops = i % 2};
            run(m, spec, g[s], n, 3 * PROMPTS);
        }
        for (size_t i = 0; i < n; i++) {
            for (size_t s = 0; s < 2; s++)
                assert_true(score_of(&g[s][i], penalties[p]) <= score_of(&g[s + 1][i], penalties[p]));
            if (penalties[p] <= 0) assert_string_equal(text_c(&g[1][i].text), text_c(&g[2][i].text));
            differ += strcmp(text_c(&g[0][i].text), text_c(&g[2][i].text)) != 0;
            for (size_t s = 0; s < 3; s++) {
                if (i % 2) assert_null(strchr(text_c(&g[s][i].text), '.'));
                generation_free(&g[s][i]);
            }
        }
    }
    for (size_t i = 0; i < n; i++) ids_free(&ids[i]);
    if (n == PROMPTS) assert_true(differ > 0);
    model_close(m);
}

/* Nothing that ends is left out, and the sum is that of the tokens. */
static void test_ends(void **state)
{
    static const struct {
        const char *prompt, *stop, *spec, *ended;
        int64_t limit;
    } cases[] = {
        {"Question: Where is Hugo?\nAnswer:", NULL, "beam:4", "eos", 40},
        {"Question: Where is Hugo?\nAnswer:", NULL, "beam:4,length-penalty=0,early-stopping=true", "eos", 40},
        {"Question: Where is Hugo?\nAnswer:", "he", "beam:4", "stop", 40},
        {"Clara went to the", ". ", "beam:5", "stop", 40},
        {"Clara went to the", "r", "beam:2,early-stopping=true", "stop", 40},
        {"Clara went to the", "zzz", "beam:4", "limit", 6},
        {"Clara went to the", "zzz", "beam:4", "limit", 1},
        {"Clara went to the", "", "beam:4", "stop", 9},
        {"Clara went to the", "zzz", "beam:256", "limit", 3},
    };
    struct model *m = model_shipped("gpt2", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct ids ids = encoded(m, cases[i].prompt);
        struct generation g = {.prompt = ids.at,
                               .n_prompt = (int64_t)ids.count,
                               .limit = cases[i].limit,
                               .stops = &cases[i].stop,
                               .n_stops = cases[i].stop != NULL};
        run(m, cases[i].spec, &g, 1, 1);
        if (strcmp(g.ended, cases[i].ended))
            fail_msg("\"%s\" by %s: ended by %s after \"%s\"", cases[i].prompt, cases[i].spec, g.ended,
                     text_c(&g.text));
        const bool closed = strcmp(g.ended, "eos") == 0;
        for (size_t j = 0; j < g.ids.count; j++) assert_int_not_equal(g.ids.at[j], tokenizer_eos(model_tokenizer(m)));
        if (!closed) assert_true(g.ids.count > 0);
        if (strcmp(g.ended, "limit") == 0) assert_int_equal(g.ids.count, cases[i].limit);
        if (closed) assert_ok(ids_add(&g.ids, tokenizer_eos(model_tokenizer(m)), &e), &e);
        assert_near(g.log_probability, log_probability(m, &ids, g.ids.at, g.ids.count), 1e-5, cases[i].spec);
        generation_free(&g);
        ids_free(&ids);
    }
    model_close(m);
}

/* The best of all pairs of tokens. */
static void test_exhaustive(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, "Clara went to the");
    struct generation g = {.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 2};
    run(m, "beam:64,length-penalty=0,early-stopping=never", &g, 1, 1);
    double *first = row_after(m, &ids), best = -INFINITY;
    for (int32_t id = 1; id < model_hyper(m)->vocab; id++) { /* 0 is BOS and EOS */
        struct error e;
        if (first[id] < best) continue; /* what follows only takes from it */
        assert_ok(ids_add(&ids, id, &e), &e);
        double *second = row_after(m, &ids);
        for (int64_t j = 0; j < model_hyper(m)->vocab; j++) best = fmax(best, first[id] + second[j]);
        free(second);
        ids.count--;
    }
    assert_near(g.log_probability, best, 1e-5, "the best of all pairs");
    free(first);
    generation_free(&g);
    ids_free(&ids);
    model_close(m);
}

/* A beam of one by hand: the penalty multiplies the log-probabilities of tokens that were there. */
static void test_penalty(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, "Clara went to the river. Clara went to the river. Clara went to the");
    struct generation g = {.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 8};
    struct error e;
    run(m, "beam:1,repetition-penalty=2.5", &g, 1, 1);
    for (size_t i = 0; i < g.ids.count; i++) {
        double *row = row_after(m, &ids);
        for (size_t j = 0; j < ids.count; j++) {
            bool before = false;
            for (size_t k = 0; k < j; k++) before = before || ids.at[k] == ids.at[j];
            if (!before) row[ids.at[j]] *= 2.5;
        }
        int32_t best = 0;
        for (int32_t id = 1; id < model_hyper(m)->vocab; id++)
            if (row[id] > row[best]) best = id;
        assert_int_equal(g.ids.at[i], best);
        assert_ok(ids_add(&ids, best, &e), &e);
        free(row);
    }
    assert_true(g.ids.count > 2);
    generation_free(&g);
    ids_free(&ids);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"test_goldens llama", test_goldens, NULL, NULL, "llama"},
        {"test_goldens gpt2", test_goldens, NULL, NULL, "gpt2"},
        {"test_greedy llama", test_greedy, NULL, NULL, "llama"},
        {"test_greedy gpt2", test_greedy, NULL, NULL, "gpt2"},
        {"test_early_stopping llama", test_early_stopping, NULL, NULL, "llama"},
        {"test_early_stopping gpt2", test_early_stopping, NULL, NULL, "gpt2"},
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_exhaustive),
        cmocka_unit_test(test_penalty),
    };
    return cmocka_run_group_tests_name("decoding/beam", tests, NULL, NULL);
}
