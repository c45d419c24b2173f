/* The chunked protocol and the divergences beside llama.cpp's perplexity tool. Its perplexities are held to 1e-4 for
 * float weights. Its divergences come from a base file of 16-bit log-probabilities and from kernels with 8-bit
 * activations: they are compared roughly, and only where that floor does not dominate them. */
#include "suites/lockstep.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 500, CHUNKS = 88, CHUNKS_SHARED = 100, SOME_CHUNKS = 8, RESAMPLES = 20 };

static struct lockstep_options options_for(const char *file, size_t chunks)
{
    return (struct lockstep_options){.file = file,
                                     .protocol = PROTOCOL_CHUNKED,
                                     .context = 512,
                                     .limit = chunks,
                                     .batch = 4,
                                     .resampling = {.resamples = RESAMPLES, .seed = 7}};
}

static void assert_all_items(void)
{
    if (test_items(ITEMS) == ITEMS) return;
    print_message("skipped: the vectors are of whole texts, and KERF_TEST_ITEMS allows fewer items\n");
    skip();
}

static json_t *vectors(void) { return golden(shared_path("vectors/llamacpp-perplexity.json")); }

static double wanted(const json_t *v, const char *set, const char *name, const char *key)
{
    const json_t *entry = json_object_get(json_object_get(v, set), name);
    const json_t *number = key ? json_object_get(entry, key) : entry;
    if (!json_is_number(number)) fail_msg("the vectors have no %s of %s", key ? key : name, name);
    return json_number_value(number);
}

static void assert_perplexity(const struct model *m, const char *file, size_t chunks, size_t n, double perplexity)
{
    struct error e;
    struct lockstep l;
    const struct lockstep_options o = options_for(file, chunks);
    assert_ok(lockstep_run(&l, &m, 1, &o, &e), &e);
    assert_int_equal(l.walk.n, n);
    assert_int_equal(l.walk.tokens, n * 255);
    assert_near(l.subjects->estimates[0].value, perplexity, 1e-4 * perplexity, "perplexity");
    lockstep_free(&l);
}

static void test_stories(void **state)
{
    (void)state;
    assert_all_items();
    json_t *v = vectors();
    struct model *m = model_shipped("llama", "f32");
    assert_perplexity(m, "datasets/millbrook/stories.test.txt", 0, CHUNKS, wanted(v, "f32", "perplexity", NULL));
    model_close(m);
    json_decref(v);
}

/* A SentencePiece model of another maker. The first text spells out <unk>, which stays text in this protocol. */
static void assert_shared(const char *name)
{
    struct error e;
    assert_all_items();
    json_t *v = vectors();
    char text[64];
    snprintf(text, sizeof text, "data/%s", name);
    char *path = strdup(shared_path("data/models/stories260K.gguf"));
    struct model *m;
    assert_ok(model_open(&m, path, NULL, &e), &e);
    assert_perplexity(m, shared_path(text), CHUNKS_SHARED, CHUNKS_SHARED, wanted(v, "stories260K", name, "perplexity"));
    model_close(m);
    free(path);
    json_decref(v);
}

static void test_wikitext(void **state)
{
    (void)state;
    assert_shared("wikitext2/test.txt");
}

static void test_shakespeare(void **state)
{
    (void)state;
    assert_shared("tinyshakespeare.txt");
}

/* Means over the first windows stand for those over all. */
static void test_divergences(void **state)
{
    (void)state;
    static const struct {
        const char *name, *spec;
    } rows[] = {{"q4_k", "gguf:q4_k"}, {"q3_k", "gguf:q3_k"}};
    enum { N = 1 + sizeof rows / sizeof *rows };
    struct error e;
    assert_all_items();
    json_t *v = vectors();
    struct model *models[N] = {model_shipped("llama", "f32")};
    for (size_t i = 1; i < N; i++) models[i] = model_shipped("llama", rows[i - 1].spec);
    struct lockstep l;
    const struct lockstep_options o = options_for("datasets/millbrook/stories.test.txt", SOME_CHUNKS);
    assert_ok(lockstep_run(&l, (const struct model *const *)models, N, &o, &e), &e);
    for (size_t i = 1; i < N; i++) {
        const char *name = rows[i - 1].name;
        const struct divergences *d = &l.subjects[i].divergences;
        const double kl = wanted(v, "files", name, "mean_kld_from_16_bit_base");
        const double top = wanted(v, "files", name, "same_top_percent");
        print_message("%s: mean KL %.6f, llama.cpp %.6f; same top %.2f%%, llama.cpp %.2f%%\n", name, d->means[0].value,
                      kl, 100 * d->means[2].value, top);
        assert_true(d->means[0].value < 1.5 * kl && d->means[0].value > kl / 1.5);
        assert_near(100 * d->means[2].value, top, 5, name);
    }
    lockstep_free(&l);
    for (size_t i = 0; i < N; i++) model_close(models[i]);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stories), cmocka_unit_test(test_wikitext),
                                       cmocka_unit_test(test_shakespeare), cmocka_unit_test(test_divergences)};
    return cmocka_run_group_tests_name("suites/vectors_perplexity", tests, NULL, NULL);
}
