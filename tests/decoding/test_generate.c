#include "engine/base/file.h"
#include "engine/decoding/lane.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its greedy continuation is " river. Hugo ran to the river. Clara was tired. ...". */
static const char prompt[] =
    "The sun was shining. Clara was the miller of Millbrook. Hugo was the sailor of Millbrook. Clara went to the";

static struct ids encoded(const struct model *m, const char *text)
{
    struct error e;
    struct ids ids = {0};
    assert_ok(ids_add(&ids, tokenizer_bos(model_tokenizer(m)), &e), &e);
    assert_ok(tokenizer_encode(model_tokenizer(m), text, strlen(text), 0, &ids, &e), &e);
    return ids;
}

static struct decode parsed(const char *spec)
{
    struct decode d;
    struct error e;
    assert_ok(decode_parse(&d, spec, &e), &e);
    return d;
}

static void run_as(const struct model *m, const char *spec, struct generation *all, size_t n, size_t batch)
{
    struct error e;
    const struct decode how = parsed(spec);
    assert_ok(generate(m, &how, all, n, &(struct generate_options){.batch = batch}, &e), &e);
}

static void run(const struct model *m, struct generation *all, size_t n, size_t batch)
{
    run_as(m, "greedy", all, n, batch);
}

static void assert_same(const struct generation *a, const struct generation *b)
{
    assert_int_equal(a->ids.count, b->ids.count);
    assert_memory_equal(a->ids.at, b->ids.at, a->ids.count * sizeof *a->ids.at);
    assert_int_equal(a->text.length, b->text.length);
    assert_memory_equal(text_c(&a->text), text_c(&b->text), a->text.length);
    assert_string_equal(a->ended, b->ended);
    assert_memory_equal(&a->log_probability, &b->log_probability, sizeof a->log_probability);
}

/* Stop strings that begin and end inside of tokens, that several tokens make up, that never come, that come together;
 * new tokens are kept up to the one that completed a stop string. */
static void test_stops(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, prompt);
    static const struct {
        const char *stops[3];
        size_t n_stops;
        int64_t limit;
        const char *text, *ended;
        size_t tokens;
    } cases[] = {
        {{NULL}, 0, 8, " river. Hugo ran to the river.", "limit", 8},
        {{NULL}, 0, 1, " river", "limit", 1},
        {{"\n"}, 1, 8, " river. Hugo ran to the river.", "limit", 8},
        {{"ver"}, 1, 8, " ri", "stop", 1},
        {{" river"}, 1, 8, "", "stop", 1},
        {{". Hu"}, 1, 8, " river", "stop", 3},
        {{"r. Hugo ran t"}, 1, 8, " rive", "stop", 5},
        {{"Hugo", "."}, 2, 8, " river", "stop", 2},
        {{"river. Hug", "r. H"}, 2, 8, " ", "stop", 3},
        {{"r. H", "river. Hug"}, 2, 8, " ", "stop", 3},
        {{"absent", " ran", "the"}, 3, 8, " river. Hugo", "stop", 4},
        {{"river."}, 1, 2, " ", "stop", 2}, /* the limit's last token completes it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct generation g = {.prompt = ids.at,
                               .n_prompt = (int64_t)ids.count,
                               .limit = cases[i].limit,
                               .stops = cases[i].stops,
                               .n_stops = cases[i].n_stops};
        run(m, &g, 1, 1);
        assert_string_equal(text_c(&g.text), cases[i].text);
        assert_int_equal(g.text.length, strlen(cases[i].text));
        assert_string_equal(g.ended, cases[i].ended);
        assert_int_equal(g.ids.count, cases[i].tokens);
        generation_free(&g);
    }
    ids_free(&ids);
    model_close(m);
}

/* A text that the model ends itself: neither EOS nor anything after it is part of it. */
static void test_eos(void **state)
{
    struct model *m = model_shipped("gpt2", NULL);
    struct ids ids = encoded(m, "Question: Where is Hugo?\nAnswer:");
    struct generation g = {.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 300};
    run(m, &g, 1, 1);
    assert_string_equal(g.ended, "eos");
    assert_string_equal(text_c(&g.text), " the square");
    for (size_t i = 0; i < g.ids.count; i++) assert_int_not_equal(g.ids.at[i], tokenizer_eos(model_tokenizer(m)));
    generation_free(&g);
    ids_free(&ids);
    model_close(m);
}

/* A prompt of 600 tokens with room for 512 - 10 gives what its last 502 tokens give. */
static void test_long_prompt(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = {0};
    struct error e;
    while (ids.count < 600) assert_ok(ids_add(&ids, (int32_t)(200 + ids.count * 31 % 900), &e), &e);
    struct generation g[] = {{.prompt = ids.at, .n_prompt = 600, .limit = 10},
                             {.prompt = ids.at + 98, .n_prompt = 502, .limit = 10},
                             {.prompt = ids.at + 99, .n_prompt = 501, .limit = 10}};
    for (size_t i = 0; i < 3; i++) run(m, &g[i], 1, 1);
    assert_same(&g[0], &g[1]);
    assert_true(g[0].log_probability != g[2].log_probability); /* the 502nd does matter */
    const char *any = "";
    struct generation most = {.prompt = ids.at, .n_prompt = 600, .limit = 511, .stops = &any, .n_stops = 1};
    run(m, &most, 1, 1); /* one token of the prompt is left, and the empty string stops at once */
    assert_int_equal(most.ids.count, 1);
    assert_string_equal(text_c(&most.text), "");
    for (size_t i = 0; i < 3; i++) generation_free(&g[i]);
    generation_free(&most);
    ids_free(&ids);
    model_close(m);
}

/* Texts of any bytes: a stop string is found behind a NUL, and across tokens that are parts of a character. */
static void test_bytes(void **state)
{
    static const struct {
        const char *says, *stop;
        size_t n, kept;
    } cases[] = {{"a\0b\nc", "\n", 5, 3}, {"\0\0\n", "\n", 3, 2}, {"x\xf0\x9f\x99\x82y", "\xf0\x9f\x99\x82", 6, 1}};
    struct model *m = model_shipped("gpt2", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct ids ids = {0};
        struct hypothesis h = {0};
        const struct generation g = {.n_prompt = 3, .limit = 10, .stops = &cases[i].stop, .n_stops = 1};
        assert_ok(tokenizer_encode(model_tokenizer(m), cases[i].says, cases[i].n, TOKENIZER_CONTINUES, &ids, &e), &e);
        for (size_t j = 0; j < ids.count; j++) {
            assert_null(h.ended);
            assert_ok(hypothesis_extend(m, &g, &h, ids.at[j], &e), &e);
            if (h.ended) break;
        }
        assert_string_equal(h.ended, "stop");
        assert_int_equal(h.text.length, cases[i].kept);
        assert_memory_equal(h.text.bytes, cases[i].says, cases[i].kept);
        hypothesis_free(&h);
        ids_free(&ids);
    }
    model_close(m);
}

enum { MANY = 13 };

/* Prompts of many lengths and limits. */
static void make_many(const struct model *m, struct generation *all, struct ids *prompts)
{
    static const char *const stops[] = {"\n", " river"};
    for (size_t i = 0; i < MANY; i++) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)(i * 7 % strlen(prompt)), prompt);
        prompts[i] = encoded(m, text);
        all[i] = (struct generation){.prompt = prompts[i].at,
                                     .n_prompt = (int64_t)prompts[i].count,
                                     .limit = 1 + (int64_t)(i * 5 % 23),
                                     .stops = stops,
                                     .n_stops = i % 3};
    }
}

/* Neither the batch nor the number of threads changes a bit, whatever the strategy. */
static void test_batches(void **state)
{
    static const char *const specs[] = {"greedy", "sample,temperature=1.5,top-p=0.98,seed=3", "beam:3,length-penalty=2",
                                        "sample,top-k=20,repetition-penalty=1.3,typical-p=0.9"};
    static const size_t batches[] = {7, 1000};
    struct model *m = model_shipped(*state, NULL);
    const int threads = omp_get_max_threads();
    size_t n = test_items(MANY);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        struct generation one[MANY], many[MANY];
        struct ids prompts[MANY], same[MANY];
        make_many(m, one, prompts);
        omp_set_num_threads(1);
        run_as(m, specs[s], one, n, 1);
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
            make_many(m, many, same);
            omp_set_num_threads(b ? 3 : 2);
            run_as(m, specs[s], many, n, batches[b]);
            for (size_t i = 0; i < n; i++) assert_same(&many[i], &one[i]);
            for (size_t i = 0; i < MANY; i++) generation_free(&many[i]), ids_free(&same[i]);
        }
        for (size_t i = 0; i < MANY; i++) generation_free(&one[i]), ids_free(&prompts[i]);
    }
    omp_set_num_threads(threads);
    model_close(m);
}

/* Many prompts at once that together are more than a pass takes. */
static void test_many_long_prompts(void **state)
{
    struct model *m = model_shipped("gpt2", NULL);
    enum { N = 6, LONG = 480 };
    struct generation all[N], one[N];
    int32_t ids[LONG + N];
    const size_t n = test_items(N);
    for (int32_t i = 0; i < LONG + N; i++) ids[i] = 200 + i * 31 % 900;
    for (size_t i = 0; i < n; i++)
        all[i] = one[i] = (struct generation){.prompt = ids + i, .n_prompt = LONG, .limit = 2 + (int64_t)i};
    run(m, all, n, N);
    for (size_t i = 0; i < n; i++) run(m, &one[i], 1, 1), assert_same(&all[i], &one[i]);
    for (size_t i = 0; i < n; i++) generation_free(&all[i]), generation_free(&one[i]);
    model_close(m);
}

/* A text that neither ends nor repeats a stop string fills the context. */
static void test_endless(void **state)
{
    struct model *m = model_shipped("gpt2", NULL);
    struct ids ids = encoded(m, prompt);
    static const char *const stops[] = {"zzz", "the the the the"};
    const int64_t limit = (int64_t)test_items(480);
    struct generation g = {
        .prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = limit, .stops = stops, .n_stops = 2};
    run(m, &g, 1, 1);
    if (strcmp(g.ended, "eos")) {
        assert_string_equal(g.ended, "limit");
        assert_int_equal(g.ids.count, limit);
    }
    generation_free(&g);
    ids_free(&ids);
    model_close(m);
}

/* The logits after these ids, computed at once. */
static void logits_after(const struct model *m, const int32_t *ids, int64_t n, float *logits)
{
    struct error e;
    float hidden[1024];
    assert_true(model_hyper(m)->width <= 1024);
    struct cache *c = cache_new(m, NULL, 0, n, &e);
    struct span s = {.cache = c, .ids = ids, .count = n, .first_output = n - 1};
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, 1, logits, &e), &e);
    cache_free(c);
}

/* Every token by hand: the repetition penalty weighs the prompt and what was generated, each token once, and the
 * log-probability is the model's own. */
static void test_penalty(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    const int64_t vocab = model_hyper(m)->vocab;
    struct error e;
    struct ids ids = encoded(m, "Clara went to the river. Clara went to the river. Clara went to the");
    struct generation g = {.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = (int64_t)test_items(12)};
    run_as(m, "greedy,repetition-penalty=1.7", &g, 1, 1);
    float *logits = malloc((size_t)vocab * sizeof *logits);
    double sum = 0;
    struct ids seen = {0};
    for (size_t i = 0; i < ids.count; i++) assert_ok(ids_add(&seen, ids.at[i], &e), &e);
    for (size_t i = 0; i < g.ids.count; i++) {
        logits_after(m, seen.at, (int64_t)seen.count, logits);
        double total = 0, highest = -INFINITY;
        int64_t best = -1;
        for (int64_t id = 0; id < vocab; id++) {
            double x = (double)logits[id];
            total += exp(x);
            bool there = false;
            for (size_t j = 0; j < seen.count; j++) there = there || seen.at[j] == id;
            if (there) x = x > 0 ? x / 1.7 : x * 1.7;
            if (x > highest) highest = x, best = id;
        }
        assert_int_equal(g.ids.at[i], best);
        sum += (double)logits[best] - log(total);
        assert_ok(ids_add(&seen, (int32_t)best, &e), &e);
    }
    if (strcmp(g.ended, "eos")) assert_near(g.log_probability, sum, 1e-5, "log-probability");
    free(logits);
    generation_free(&g);
    ids_free(&seen);
    ids_free(&ids);
    model_close(m);
}

/* A cache of the beginning of all prompts. */
struct sharing {
    const struct model *m;
    struct cache *cache;
    int64_t length;
    size_t begun, finished;
    bool *open; /* begun and not finished */
};

static int give_prefix(void *user, size_t i, struct cache **prefix, int64_t *length, struct error *e)
{
    struct sharing *s = user;
    assert_int_equal(i, s->begun++);
    s->open[i] = true;
    if (i % 4 == 3) return 0; /* none for some */
    *prefix = s->cache;
    *length = s->length - (int64_t)(i % 3);
    return 0;
}

static int note_finished(void *user, size_t i, struct error *e)
{
    struct sharing *s = user;
    assert_true(s->open[i]);
    s->open[i] = false;
    s->finished++;
    return 0;
}

static void sharing_open(struct sharing *s, const struct model *m, const int32_t *ids, int64_t n)
{
    struct error e;
    *s = (struct sharing){.m = m, .cache = cache_new(m, NULL, 0, n, &e), .length = n};
    struct span span = {.cache = s->cache, .ids = ids, .count = n, .first_output = n};
    assert_ok(model_forward(m, &span, 1, NULL, NULL, &e), &e);
}

static void test_prefix(void **state)
{
    static const char *const specs[] = {"greedy", "beam:3", "sample,temperature=2"};
    struct model *m = model_shipped(*state, NULL);
    enum { N = 7 };
    const size_t n = test_items(N);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        struct generation plain[N], shared[N];
        struct ids prompts[N];
        bool open[N] = {false};
        for (size_t i = 0; i < n; i++) {
            char text[256];
            snprintf(text, sizeof text, "%.70s%.*s", prompt, (int)(3 + i * 2), prompt + 70);
            prompts[i] = encoded(m, text);
            plain[i] = shared[i] = (struct generation){
                .prompt = prompts[i].at, .n_prompt = (int64_t)prompts[i].count, .limit = 6, .stream = i};
        }
        struct sharing sharing;
        sharing_open(&sharing, m, prompts[0].at, 8);
        sharing.open = open;
        const struct decode how = parsed(specs[s]);
        int64_t computed[2] = {0};
        struct error e;
        assert_ok(generate(m, &how, plain, n, &(struct generate_options){.batch = 5, .computed = &computed[0]}, &e),
                  &e);
        const struct generate_options options = {
            .batch = 5, .user = &sharing, .prefix = give_prefix, .finished = note_finished, .computed = &computed[1]};
        assert_ok(generate(m, &how, shared, n, &options, &e), &e);
        for (size_t i = 0; i < n; i++) assert_same(&shared[i], &plain[i]);
        assert_int_equal(sharing.begun, n);
        assert_int_equal(sharing.finished, n);
        assert_true(computed[1] < computed[0]);
        for (size_t i = 0; i < n; i++) generation_free(&plain[i]), generation_free(&shared[i]), ids_free(&prompts[i]);
        cache_free(sharing.cache);
    }
    model_close(m);
}

static int fail_at_two(void *user, size_t i, struct error *e)
{
    size_t *told = user;
    return ++*told == 2 ? error_set(e, ERROR_IO, "the disk is full") : 0;
}

static int no_prefix(void *user, size_t i, struct cache **prefix, int64_t *length, struct error *e)
{
    return i == 3 ? error_set(e, ERROR_IO, "no prefix for 3") : 0;
}

static void test_callbacks_fail(void **state)
{
    static const char *const specs[] = {"greedy", "beam:2"};
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, prompt);
    for (size_t s = 0; s < 2; s++) {
        struct generation all[6];
        struct error e;
        size_t told = 0;
        const struct decode how = parsed(specs[s]);
        for (size_t i = 0; i < 6; i++)
            all[i] = (struct generation){.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 2 + (int64_t)i};
        struct generate_options options = {.batch = 4, .user = &told, .finished = fail_at_two};
        assert_error(generate(m, &how, all, 6, &options, &e), &e, ERROR_IO, "the disk is full");
        assert_int_equal(told, 2);
        for (size_t i = 0; i < 6; i++)
            generation_free(&all[i]), all[i].ids = (struct ids){0}, all[i].text = (struct text){0};
        options = (struct generate_options){.batch = 4, .prefix = no_prefix};
        assert_error(generate(m, &how, all, 6, &options, &e), &e, ERROR_IO, "no prefix for 3");
        for (size_t i = 0; i < 6; i++) generation_free(&all[i]);
    }
    ids_free(&ids);
    model_close(m);
}

/* The first tokens of many streams follow the model's distribution: chi-square over the likely tokens and the rest
 * together, at a seed where chance is within its 0.999 quantile (Wilson and Hilferty's approximation). */
static void test_distribution(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    const int64_t vocab = model_hyper(m)->vocab;
    enum { DRAWS = 1000 };
    const size_t n = test_items(DRAWS);
    struct ids ids = encoded(m, prompt);
    struct generation *all = calloc(n, sizeof *all);
    bool *open = calloc(n, sizeof *open);
    for (size_t i = 0; i < n; i++)
        all[i] = (struct generation){.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 1, .stream = i};
    struct sharing sharing;
    sharing_open(&sharing, m, ids.at, (int64_t)ids.count - 1);
    sharing.open = open;
    const struct decode how = parsed("sample,temperature=0.9,seed=42");
    struct error e;
    assert_ok(generate(m, &how, all, n,
                       &(struct generate_options){.batch = 500, .user = &sharing, .prefix = give_prefix}, &e),
              &e);
    float *logits = malloc((size_t)vocab * sizeof *logits);
    struct candidate *c = malloc((size_t)vocab * sizeof *c);
    logits_after(m, ids.at, (int64_t)ids.count, logits);
    candidates_distribution(&how, logits, vocab, NULL, 0, c);
    double chi = 0, rest = 1, others = (double)n;
    int cells = 0;
    for (; c[cells].key * (double)n >= 8; cells++) {
        double count = 0;
        for (size_t i = 0; i < n; i++) count += all[i].ids.count && all[i].ids.at[0] == c[cells].id;
        const double expected = c[cells].key * (double)n;
        chi += (count - expected) * (count - expected) / expected;
        rest -= c[cells].key;
        others -= count;
    }
    chi += (others - rest * (double)n) * (others - rest * (double)n) / (rest * (double)n);
    if (n == DRAWS) {
        const double k = cells, bound = k * pow(1 - 2 / (9 * k) + 3.09 * sqrt(2 / (9 * k)), 3);
        if (cells < 8 || chi > bound)
            fail_msg("chi-square %g of %d degrees of freedom, not below %g", chi, cells, bound);
    }
    for (size_t i = 0; i < n; i++) generation_free(&all[i]);
    cache_free(sharing.cache);
    free(logits), free(c), free(all), free(open);
    ids_free(&ids);
    model_close(m);
}

/* Draws differ by seed, stream and position, and by nothing else. */
static void test_streams(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, prompt);
    struct generation g[4];
    for (size_t i = 0; i < 4; i++)
        g[i] = (struct generation){.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 20, .stream = i == 1};
    run_as(m, "sample,temperature=3,seed=1", &g[0], 2, 2);
    run_as(m, "sample,temperature=3,seed=2", &g[2], 1, 1);
    run_as(m, "sample,temperature=3,seed=1", &g[3], 1, 1);
    assert_same(&g[0], &g[3]);
    assert_string_not_equal(text_c(&g[0].text), text_c(&g[1].text));
    assert_string_not_equal(text_c(&g[0].text), text_c(&g[2].text));
    for (size_t i = 0; i < 4; i++) generation_free(&g[i]);
    ids_free(&ids);
    model_close(m);
}

static void test_refused(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, prompt);
    const struct decode how = decode_greedy();
    static const int64_t bad[][2] = {{0, 5}, {3, 0}, {3, -1}, {3, 512}, {3, INT64_MAX}, {-1, 5}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error e;
        struct generation g = {.prompt = ids.at, .n_prompt = bad[i][0], .limit = bad[i][1]};
        assert_error(generate(m, &how, &g, 1, &(struct generate_options){.batch = 1}, &e), &e, ERROR_INPUT,
                     "must fit in a context of 512");
    }
    run(m, NULL, 0, 4); /* nothing to do is done */
    ids_free(&ids);
    model_close(m);
}

struct stopper {
    size_t calls, last;
};

static bool stop_at_two(void *user, size_t done)
{
    struct stopper *s = user;
    assert_true(done >= s->last);
    s->calls++;
    s->last = done;
    return done < 2;
}

static void test_interrupted(void **state)
{
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, prompt);
    struct generation all[6];
    for (size_t i = 0; i < 6; i++)
        all[i] = (struct generation){.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 2 + (int64_t)i};
    struct stopper s = {0};
    const struct decode how = decode_greedy();
    struct error e;
    struct generate_options options = {.batch = 2, .user = &s, .progress = stop_at_two};
    assert_error(generate(m, &how, all, 6, &options, &e), &e, ERROR_INTERRUPTED, "interrupted");
    assert_int_equal(s.last, 2);
    assert_true(s.calls >= 2);
    for (size_t i = 0; i < 6; i++) generation_free(&all[i]);
    ids_free(&ids);
    model_close(m);
}

/* A public model with a SentencePiece vocabulary: 200 tokens from BOS alone. */
static void test_public_model(void **state)
{
    struct error e;
    char path[4096];
    snprintf(path, sizeof path, "%s", shared_path("data/models/stories260K.gguf"));
    struct model *m;
    struct file wanted;
    assert_ok(blas_open(&e), &e);
    assert_ok(file_map(&wanted, shared_path("data/models/expected_greedy_200.txt"), &e), &e);
    assert_ok(model_open(&m, path, NULL, &e), &e);
    int32_t bos = tokenizer_bos(model_tokenizer(m));
    struct generation g = {.prompt = &bos, .n_prompt = 1, .limit = 200};
    run(m, &g, 1, 1);
    assert_int_equal(g.ids.count, 200);
    assert_int_equal(g.text.length + 1, wanted.size); /* the file ends its last line */
    assert_memory_equal(g.text.bytes, wanted.data, g.text.length);
    generation_free(&g);
    model_close(m);
    file_unmap(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_eos),
        cmocka_unit_test(test_long_prompt),
        cmocka_unit_test(test_bytes),
        {"test_batches llama", test_batches, NULL, NULL, "llama"},
        {"test_batches gpt2", test_batches, NULL, NULL, "gpt2"},
        cmocka_unit_test(test_many_long_prompts),
        cmocka_unit_test(test_endless),
        {"test_penalty llama", test_penalty, NULL, NULL, "llama"},
        {"test_penalty gpt2", test_penalty, NULL, NULL, "gpt2"},
        {"test_prefix llama", test_prefix, NULL, NULL, "llama"},
        {"test_prefix gpt2", test_prefix, NULL, NULL, "gpt2"},
        cmocka_unit_test(test_callbacks_fail),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_public_model),
    };
    return cmocka_run_group_tests_name("decoding/generate", tests, NULL, NULL);
}
