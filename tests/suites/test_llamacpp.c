/* Fast math beside llama.cpp: the log-likelihoods of windows of 255 scored tokens, of the same weights to the byte, which
 * llama.cpp v0.5.0 was given as files that kerf quantize wrote (tests/goldens/make_llamacpp.sh). Both quantize inputs in
 * the same way, but sum floats in another order, and a last bit may change what an input is rounded to in the layers
 * behind. So they are near, and much nearer than exact math, in which inputs are not rounded at all. */
#include "suites/lockstep.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

enum { WINDOWS = 32, SCORED = 255 };

static void windows_of(const char *model, const char *spec, double out[WINDOWS])
{
    struct error e;
    struct lockstep l;
    struct model *m = model_shipped(model, spec);
    const struct lockstep_options o = {.file = "datasets/millbrook/stories.test.txt",
                                       .protocol = PROTOCOL_CHUNKED,
                                       .context = 512,
                                       .limit = WINDOWS,
                                       .batch = 4,
                                       .resampling = {.resamples = 20, .seed = 7}};
    assert_ok(lockstep_run(&l, (const struct model *const *)&m, 1, &o, &e), &e);
    assert_int_equal(l.walk.n_groups, WINDOWS);
    assert_int_equal(l.walk.tokens, WINDOWS * SCORED);
    memcpy(out, l.walk.subjects->loglikelihoods, WINDOWS * sizeof *out);
    lockstep_free(&l);
    model_close(m);
}

/* Root mean square of the differences of windows, in nats; *ratio is that of the perplexities, less 1. */
static double distance(const double a[WINDOWS], const json_t *b, double *ratio)
{
    double squares = 0, sum = 0;
    for (size_t i = 0; i < WINDOWS; i++) {
        const double d = a[i] - json_number_value(json_array_get(b, i));
        squares += d * d;
        sum += d;
    }
    *ratio = expm1(-sum / (WINDOWS * SCORED));
    return sqrt(squares / WINDOWS);
}

static void assert_file(const char *name, const json_t *windows)
{
    static const char *const formats[] = {"q8_0", "q4_0", "q4_k", "q6_k"}; /* tried in both maths */
    char model[16], spec[64], fast[80];
    double w[WINDOWS], ratio, far = 0;
    assert_int_equal(sscanf(name, "%15s %63s", model, spec), 2);
    assert_true(json_array_size(windows) >= WINDOWS);
    snprintf(fast, sizeof fast, "%s+fast", spec);
    windows_of(model, fast, w);
    const double near = distance(w, windows, &ratio);
    print_message("%-22s perplexity %+.1e, windows %.4f nats", name, ratio, near);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strncmp(spec, "gguf:", 5) || strcmp(spec + 5, formats[i]) || strcmp(model, "llama")) continue;
        double exact_ratio;
        windows_of(model, spec, w);
        far = distance(w, windows, &exact_ratio);
        print_message("; in exact math %+.1e, %.4f nats", exact_ratio, far);
        assert_true(2 * near < far);
    }
    print_message("\n");
    /* A model in ternary weights knows nothing any more: it loses 7 nats a token. */
    const bool ternary = strncmp(spec, "gguf:tq", 7) == 0;
    assert_true(near < (ternary ? 10 : strcmp(spec, "f32") ? 0.7 : 0.01));
    assert_true(fabs(ratio) < (ternary ? 1e-2 : 1e-3));
}

static void test_files(void **state)
{
    (void)state;
    if (test_items(500) < 500) {
        print_message("skipped: KERF_TEST_ITEMS allows fewer items\n");
        skip();
    }
    json_t *v = golden("tests/goldens/llamacpp.json"), *windows;
    const char *name;
    size_t n = 0;
    json_object_foreach(json_object_get(v, "files"), name, windows)
    {
        assert_file(name, windows);
        n++;
    }
    assert_true(n >= 20);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};
    return cmocka_run_group_tests_name("suites/llamacpp", tests, NULL, NULL);
}
