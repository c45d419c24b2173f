#include "engine/base/file.h"
#include "engine/decoding/generate.h"
#include "tests/testing.h"

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

static void run(const struct model *m, struct generation *all, size_t n, size_t batch)
{
    struct error e;
    assert_ok(generate(m, &strategy_greedy, all, n, &(struct generate_options){.batch = batch}, &e), &e);
}

/* Stop strings that begin and end inside of tokens, that several tokens make up, that never come, that come together;
 * new tokens are kept up to the one that completed a stop string. */
static void test_stops(void **state)
{
    (void)state;
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
    (void)state;
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

/* Greedy, and keeps what it saw: of every row of logits one number that any change would change. */
static double seen[64];
static size_t n_seen;

static int32_t pick_and_keep(const struct model *m, const float *logits)
{
    double sum = 0;
    for (int64_t i = 0; i < model_hyper(m)->vocab; i++) sum += (double)logits[i] * (double)(i + 1);
    assert_true(n_seen < 64);
    seen[n_seen++] = sum;
    return strategy_greedy.pick(m, logits);
}

/* A prompt of 600 tokens with room for 512 - 10 gives what its last 502 tokens give. */
static void test_long_prompt(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = {0};
    struct error e;
    while (ids.count < 600) assert_ok(ids_add(&ids, (int32_t)(200 + ids.count * 31 % 900), &e), &e);
    const struct strategy keeping = {"keeping", pick_and_keep};
    struct generation g[] = {{.prompt = ids.at, .n_prompt = 600, .limit = 10},
                             {.prompt = ids.at + 98, .n_prompt = 502, .limit = 10},
                             {.prompt = ids.at + 99, .n_prompt = 501, .limit = 10}};
    for (size_t i = 0; i < 3; i++)
        assert_ok(generate(m, &keeping, &g[i], 1, &(struct generate_options){.batch = 1}, &e), &e);
    assert_int_equal(n_seen, 30);
    assert_memory_equal(seen, seen + 10, 10 * sizeof *seen);
    assert_memory_not_equal(seen, seen + 20, 10 * sizeof *seen); /* the 502nd does matter */
    assert_string_equal(text_c(&g[0].text), text_c(&g[1].text));
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

/* Says the ids that it was given, whatever the model thinks. */
static struct ids said;
static size_t n_said;

static int32_t pick_said(const struct model *m, const float *logits)
{
    (void)m, (void)logits;
    assert_true(n_said < said.count);
    return said.at[n_said++];
}

/* Texts of any bytes: a stop string is found behind a NUL, and across tokens that are parts of a character. */
static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *says, *stop;
        size_t n, kept;
    } cases[] = {{"a\0b\nc", "\n", 5, 3}, {"\0\0\n", "\n", 3, 2}, {"x\xf0\x9f\x99\x82y", "\xf0\x9f\x99\x82", 6, 1}};
    struct model *m = model_shipped("gpt2", NULL);
    const struct strategy saying = {"saying", pick_said};
    struct ids ids = encoded(m, prompt);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        n_said = 0;
        assert_ok(tokenizer_encode(model_tokenizer(m), cases[i].says, cases[i].n, TOKENIZER_CONTINUES, &said, &e), &e);
        struct generation g = {.prompt = ids.at,
                               .n_prompt = (int64_t)ids.count,
                               .limit = (int64_t)said.count,
                               .stops = &cases[i].stop,
                               .n_stops = 1};
        assert_ok(generate(m, &saying, &g, 1, &(struct generate_options){.batch = 1}, &e), &e);
        assert_string_equal(g.ended, "stop");
        assert_int_equal(g.text.length, cases[i].kept);
        assert_memory_equal(g.text.bytes, cases[i].says, cases[i].kept);
        generation_free(&g);
        ids_free(&said);
        said = (struct ids){0};
    }
    ids_free(&ids);
    model_close(m);
}

enum { MANY = 45 };

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

static void test_batches(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct generation one[MANY], many[MANY];
    struct ids prompts[MANY], same[MANY];
    size_t n = test_items(MANY);
    make_many(m, one, prompts);
    run(m, one, n, 1);
    static const size_t batches[] = {7, 1000};
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
        make_many(m, many, same);
        run(m, many, n, batches[b]);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(many[i].ids.count, one[i].ids.count);
            assert_memory_equal(many[i].ids.at, one[i].ids.at, one[i].ids.count * sizeof(int32_t));
            assert_string_equal(text_c(&many[i].text), text_c(&one[i].text));
            assert_string_equal(many[i].ended, one[i].ended);
        }
        for (size_t i = 0; i < MANY; i++) generation_free(&many[i]), ids_free(&same[i]);
    }
    for (size_t i = 0; i < MANY; i++) generation_free(&one[i]), ids_free(&prompts[i]);
    model_close(m);
}

static void test_refused(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, prompt);
    static const int64_t bad[][2] = {{0, 5}, {3, 0}, {3, -1}, {3, 512}, {3, INT64_MAX}, {-1, 5}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error e;
        struct generation g = {.prompt = ids.at, .n_prompt = bad[i][0], .limit = bad[i][1]};
        assert_error(generate(m, &strategy_greedy, &g, 1, &(struct generate_options){.batch = 1}, &e), &e, ERROR_INPUT,
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
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct ids ids = encoded(m, prompt);
    struct generation all[6];
    for (size_t i = 0; i < 6; i++)
        all[i] = (struct generation){.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = 2 + (int64_t)i};
    struct stopper s = {0};
    struct error e;
    struct generate_options options = {.batch = 2, .user = &s, .progress = stop_at_two};
    assert_error(generate(m, &strategy_greedy, all, 6, &options, &e), &e, ERROR_INTERRUPTED, "interrupted");
    assert_int_equal(s.last, 2);
    assert_true(s.calls >= 2);
    for (size_t i = 0; i < 6; i++) generation_free(&all[i]);
    ids_free(&ids);
    model_close(m);
}

/* A public model with a SentencePiece vocabulary: 200 tokens from BOS alone. */
static void test_public_model(void **state)
{
    (void)state;
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
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_public_model),
    };
    return cmocka_run_group_tests_name("decoding/generate", tests, NULL, NULL);
}
