/* Every architecture beside a forward pass that was written in PyTorch from its definition
 * (tests/oracle/make_models.py), from Hugging Face's folder and from a GGUF file. */
#include "engine/kernels/kernels.h"
#include "tests/models/tiny_models.h"

#include <math.h>
#include <omp.h>

static struct model *open_for(const char *path, const char *spec, enum math math, int64_t context)
{
    struct error e;
    struct model *m;
    struct backend_options how;
    struct model_options o = {.math = math, .context = context};
    if (spec) assert_ok(backend_parse(&how, spec, &e), &e);
    if (spec) o.how = &how;
    assert_ok(model_open(&m, path, &o, &e), &e);
    return m;
}

static struct model *open_model(const char *path, const char *spec, enum math math)
{
    return open_for(path, spec, math, 0);
}

/* The largest difference, as a share of the largest logit. */
static double difference(const json_t *rows, const json_t *expected, const float *logits, int64_t vocab)
{
    const json_t *positions = json_object_get(expected, "positions");
    const int64_t step = json_integer_value(json_object_get(expected, "step"));
    double most = 0, largest = 0;
    assert_true(json_array_size(rows) > 0);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const int64_t at = json_integer_value(json_array_get(positions, i));
        assert_int_equal((int64_t)json_array_size(row) * step, vocab);
        for (int64_t k = 0; k * step < vocab; k++) {
            const double wanted = json_number_value(json_array_get(row, (size_t)k));
            largest = fmax(largest, fabs(wanted));
            most = fmax(most, fabs((double)logits[at * vocab + k * step] - wanted));
        }
    }
    return most / largest;
}

static char *export_to(const char *folder, const char *from, const char *spec)
{
    struct error e;
    struct backend_options how;
    struct model_options o = {0};
    if (spec) assert_ok(backend_parse(&how, spec, &e), &e);
    if (spec) o.how = &how;
    char *path = path_join(folder, "model.gguf", &e);
    assert_ok(model_export(from, &o, path, NULL, NULL, &e), &e);
    return path;
}

/* Elements of the embedding where its model ties the output matrix to it and llama.cpp wants that in the file too. */
static int64_t output_again(const char *name, const struct model *m)
{
    const bool again = strcmp(name, "olmo2") == 0 || strcmp(name, "qwen2moe") == 0;
    return again ? model_hyper(m)->vocab * model_hyper(m)->width : 0;
}

/* The GGUF file that export makes of a folder gives what the folder gives. */
static void assert_file(const char *name, const char *what, const char *folder, int64_t context, const int32_t *ids,
                        int64_t n, const float *logits, int64_t parameters)
{
    char *out = folder_temporary(), *path = export_to(out, folder, NULL);
    struct model *g = open_for(path, NULL, MATH_EXACT, context);
    const int64_t vocab = model_hyper(g)->vocab;
    float *again = tiny_logits(g, ids, n);
    assert_int_equal(model_facts(g)->parameters, parameters + output_again(name, g));
    for (int64_t i = 0; i < n * vocab; i++)
        if (!(fabsf(again[i] - logits[i]) <= 1e-5f * (1 + fabsf(logits[i]))))
            fail_msg("%s, %s: the GGUF file gives %g, the folder %g", name, what, (double)again[i], (double)logits[i]);
    model_close(g);
    free(again);
    free(path);
    folder_remove(out);
}

/* Variants that a GGUF file cannot say. */
static const struct {
    const char *name, *what, *says;
} unsaid[] = {{"llama", "yarn, not truncated", "rope_scaling.truncate: false"},
              {"llama", "mistral, layers", "layer_types: another order than the architecture's"},
              {"gemma2", "other layers", "layer_types: another order than the architecture's"},
              {"qwen2", "window", "use_sliding_window: true"},
              {"qwen2moe", "window", "use_sliding_window: true"},
              {"qwen3", "window", "use_sliding_window: true"},
              {"qwen3", "layers", "use_sliding_window: true"}};

static const char *why_unsaid(const char *name, const char *what)
{
    for (size_t i = 0; i < sizeof unsaid / sizeof *unsaid; i++)
        if (strcmp(name, unsaid[i].name) == 0 && strcmp(what, unsaid[i].what) == 0) return unsaid[i].says;
    return NULL;
}

static void refuse_file(const char *folder, const char *why)
{
    struct error e;
    char says[128];
    snprintf(says, sizeof says, "%s: GGUF has no key for it", why);
    assert_error(model_export(folder, NULL, "/tmp/kerf-never.gguf", NULL, NULL, &e), &e, ERROR_INPUT, says);
}

static void assert_variant(const char *name, const json_t *expected, const json_t *variant)
{
    const char *what = json_string_value(json_object_get(variant, "name"));
    int64_t n;
    int32_t *ids = tiny_ids(expected, &n);
    char *folder = tiny_folder(name, json_object_get(variant, "config"));
    const int64_t context = json_integer_value(json_object_get(variant, "context"));
    struct model *m = open_for(folder, NULL, MATH_EXACT, context);
    float *logits = tiny_logits(m, ids, n);
    const double off = difference(json_object_get(variant, "logits"), expected, logits, model_hyper(m)->vocab);
    print_message("%-9s %-20s %.1e\n", name, what, off);
    if (!(off < 1e-5)) fail_msg("%s, %s: logits differ by %g of the largest", name, what, off);
    if (why_unsaid(name, what))
        refuse_file(folder, why_unsaid(name, what));
    else
        assert_file(name, what, folder, context, ids, n, logits, model_facts(m)->parameters);
    model_close(m);
    free(logits);
    free(ids);
    folder_remove(folder);
}

static void test_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < TINY_MODELS; i++) {
        json_t *expected = tiny_expected(tiny_names[i]);
        const json_t *variants = json_object_get(expected, "variants");
        assert_true(json_array_size(variants) > 0);
        for (size_t k = 0; k < json_array_size(variants); k++)
            assert_variant(tiny_names[i], expected, json_array_get(variants, k));
        json_decref(expected);
    }
}

/* --- the same bits --- */

static void assert_same(const float *a, const float *b, int64_t n, const char *name, const char *what)
{
    if (memcmp(a, b, (size_t)n * sizeof *a)) fail_msg("%s: %s changes bits", name, what);
}

/* In pieces, with other threads, among others, behind a prefix, under every row of the kernel table. */
static void assert_bits(struct model *m, const char *name, const int32_t *ids, int64_t n)
{
    struct error e;
    const int64_t all = n * model_hyper(m)->width, width = model_hyper(m)->width;
    float *whole = tiny_hidden(m, ids, n, n);
    static const int64_t pieces[] = {1, 3, 7};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        float *parts = tiny_hidden(m, ids, n, pieces[i]);
        assert_same(whole, parts, all, name, "a pass in pieces");
        free(parts);
    }
    const int threads = omp_get_max_threads();
    omp_set_num_threads(3);
    float *other = tiny_hidden(m, ids, n, n);
    omp_set_num_threads(threads);
    assert_same(whole, other, all, name, "the number of threads");
    struct cache *prefix = cache_new(m, NULL, 0, n, &e);
    struct span spans[2] = {{prefix, ids, 11, 11}};
    assert_ok(model_forward(m, spans, 1, NULL, NULL, &e), &e);
    spans[0] = (struct span){cache_new(m, NULL, 0, n, &e), ids + 2, n - 2, n - 2};
    spans[1] = (struct span){cache_new(m, prefix, 11, n, &e), ids + 11, n - 11, 0};
    assert_ok(model_forward(m, spans, 2, other, NULL, &e), &e);
    assert_same(whole + 11 * width, other, (n - 11) * width, name, "a batch, or a prefix,");
    cache_free(spans[0].cache);
    cache_free(spans[1].cache);
    cache_free(prefix);
    free(whole);
    free(other);
}

static void test_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < TINY_MODELS; i++) {
        json_t *expected = tiny_expected(tiny_names[i]);
        const json_t *variants = json_object_get(expected, "variants");
        enum { LONG = 60 }; /* more than a tile, a block of queries and every window */
        int32_t ids[LONG];
        for (int32_t k = 0; k < LONG; k++) ids[k] = k * k * 5 % 251;
        for (size_t k = 0; k < json_array_size(variants); k++) {
            char *folder = tiny_folder(tiny_names[i], json_object_get(json_array_get(variants, k), "config"));
            for (enum math math = MATH_EXACT; math <= MATH_FAST; math++) {
                const int64_t context = json_integer_value(json_object_get(json_array_get(variants, k), "context"));
                struct model *m = open_for(folder, math ? "gguf:q8_0" : NULL, math, context);
                assert_bits(m, tiny_names[i], ids, model_hyper(m)->context < LONG ? model_hyper(m)->context : LONG);
                model_close(m);
            }
            folder_remove(folder);
        }
        json_decref(expected);
    }
}

/* --- backends --- */

/* Logits stay near those of the stored weights, but not the same. */
static void test_backends(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        double most; /* mean absolute difference, as a share of the mean absolute logit */
    } rows[] = {{"bf16", 0.02},      {"int8:absmax", 0.05}, {"int8:zeropoint", 0.05}, {"int8:llm", 0.05},
                {"gguf:q8_0", 0.05}, {"gguf:q4_0", 0.5},    {"rtn:8", 0.05},          {"gguf:q8_0", 0.05}};
    for (size_t i = 0; i < TINY_MODELS; i++) {
        json_t *expected = tiny_expected(tiny_names[i]);
        int64_t n;
        int32_t *ids = tiny_ids(expected, &n);
        char *folder = tiny_folder(tiny_names[i], NULL);
        struct model *stored = open_model(folder, NULL, MATH_EXACT);
        const int64_t all = n * model_hyper(stored)->vocab;
        float *wanted = tiny_logits(stored, ids, n);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            const bool fast = k + 1 == sizeof rows / sizeof *rows;
            struct model *m = open_model(folder, rows[k].spec, fast ? MATH_FAST : MATH_EXACT);
            float *got = tiny_logits(m, ids, n);
            double off = 0, size = 0;
            for (int64_t j = 0; j < all; j++)
                off += fabs((double)(got[j] - wanted[j])), size += fabs((double)wanted[j]);
            if (!(off > 0 && off < rows[k].most * size))
                fail_msg("%s@%s: logits are off by %g of their size", tiny_names[i], rows[k].spec, off / size);
            if (strncmp(rows[k].spec, "gguf:q4", 7) == 0) assert_int_equal(model_facts(m)->fell_back, 0);
            free(got);
            model_close(m);
        }
        free(wanted);
        free(ids);
        model_close(stored);
        folder_remove(folder);
        json_decref(expected);
    }
}

/* Mean square of the differences from the stored weights' logits, of the model packed this way. */
static double harm(const char *folder, const char *spec, const int32_t *ids, int64_t n)
{
    struct error e;
    struct backend_options how;
    struct model *m, *stored = open_model(folder, NULL, MATH_EXACT);
    assert_ok(backend_parse(&how, spec, &e), &e);
    const struct model_options o = {.how = &how, .calibration = "datasets/millbrook/calibration.txt"};
    assert_ok(model_open(&m, folder, &o, &e), &e);
    float *wanted = tiny_logits(stored, ids, n), *got = tiny_logits(m, ids, n);
    double sum = 0;
    for (int64_t i = 0; i < n * model_hyper(m)->vocab; i++) sum += pow((double)(got[i] - wanted[i]), 2);
    free(wanted);
    free(got);
    model_close(stored);
    model_close(m);
    return sum;
}

/* Calibration takes less from a model than rounding, over all of them and over the mixtures among them. */
static void test_calibrated(void **state)
{
    (void)state;
    double logs[2] = {0};
    int counts[2] = {0};
    for (size_t i = 0; i < TINY_MODELS; i++) {
        enum { N = 60 };
        int32_t ids[N];
        char *folder = tiny_folder(tiny_names[i], NULL);
        for (int32_t k = 0; k < N; k++)
            ids[k] = "a text of the same letters, as it is read and written here, of sixty"[k];
        const double rounded = harm(folder, "rtn:4,group=16", ids, N);
        const double calibrated = harm(folder, "gptq:4,group=16", ids, N);
        const bool mixed = strstr(tiny_names[i], "moe") || strcmp(tiny_names[i], "mixtral") == 0;
        print_message("%-9s gptq over rtn: %.2f\n", tiny_names[i], calibrated / rounded);
        logs[mixed] += log(calibrated / rounded);
        counts[mixed]++;
        folder_remove(folder);
    }
    assert_int_equal(counts[0], 9);
    assert_int_equal(counts[1], 3);
    for (int k = 0; k < 2; k++) assert_true(logs[k] / counts[k] < -0.2);
}

/* What a layer's parts multiply with, experts too, and what int8:llm counts in them. */
static void test_parts(void **state)
{
    (void)state;
    char weights[64], shape[128], *folder = tiny_folder("qwen2moe", NULL);
    struct model *m = open_model(folder, "int8:llm", MATH_EXACT);
    model_part_matrices(m, 1, PART_GATE_UP, weights, sizeof weights, shape, sizeof shape);
    assert_string_equal(weights, "int8:llm");
    assert_string_equal(shape, "64x32, 64x32, 4*32x32, 4*32x32");
    model_part_matrices(m, 1, PART_DOWN, weights, sizeof weights, shape, sizeof shape);
    assert_string_equal(shape, "32x64, 4*32x32");
    enum { N = 10 };
    const int32_t ids[N] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct outliers seen;
    free(tiny_hidden(m, ids, N, N));
    assert_true(model_outliers(m, 1, &seen));
    /* of each token: q, k, v and o, the shared expert's three, and of two experts three each */
    assert_int_equal(seen.values, N * (4 * 32 + 2 * 32 + 64 + 2 * 3 * 32));
    model_close(m);
    folder_remove(folder);
}

/* The context of longrope ends where its first divisors do, and the user is told, of a GPTQ folder too. */
static void test_longrope(void **state)
{
    (void)state;
    struct error e;
    struct backend_options how;
    json_t *settings =
        json_pack("{s:i, s:{s:s, s:[f,f,f,f], s:[f,f,f,f]}}", "original_max_position_embeddings", 32, "rope_scaling",
                  "type", "longrope", "short_factor", 1., 1.5, 2., 3., "long_factor", 1., 2., 4., 8.);
    assert_non_null(settings);
    char *folder = tiny_folder("phi3", settings), *out = folder_temporary(), *path = path_join(out, "gptq", &e);
    struct model *m = open_model(folder, "rtn:8", MATH_EXACT);
    assert_ok(backend_parse(&how, "rtn:8", &e), &e);
    assert_ok(model_export_folder(m, &how, path, NULL, &e), &e);
    struct model *const both[] = {m, open_model(path, NULL, MATH_EXACT)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(model_hyper(both[i])->context, 32);
        assert_non_null(strstr(model_facts(both[i])->warning, "longrope: the context is taken as 32 of 64 positions"));
        assert_null(strstr(strstr(model_facts(both[i])->warning, "longrope") + 1, "longrope")); /* told once */
        model_close(both[i]);
    }
    m = open_for(folder, "rtn:8", MATH_EXACT, 33);
    assert_int_equal(model_hyper(m)->context, 64);
    assert_string_equal(model_facts(m)->warning, "");
    assert_string_equal(model_facts(m)->math, "exact, longrope's second divisors");
    model_close(m);
    /* Where the model has no positions behind the first divisors, opening it for more makes it no other. */
    json_object_set_new(settings, "original_max_position_embeddings", json_integer(64));
    char *whole = tiny_folder("phi3", settings);
    m = open_for(whole, NULL, MATH_EXACT, 100);
    assert_string_equal(model_facts(m)->math, "exact");
    model_close(m);
    folder_remove(whole);
    json_decref(settings);
    folder_remove(path);
    folder_remove(out);
    folder_remove(folder);
}

/* A file that export quantized gives the bits of the same quantization in memory. */
static void test_quantized_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < TINY_MODELS; i++) {
        json_t *expected = tiny_expected(tiny_names[i]);
        int64_t n;
        int32_t *ids = tiny_ids(expected, &n);
        char *folder = tiny_folder(tiny_names[i], NULL), *out = folder_temporary();
        char *path = export_to(out, folder, "gguf:q4_0");
        struct model *packed = open_model(folder, "gguf:q4_0", MATH_EXACT), *file = open_model(path, NULL, MATH_EXACT);
        float *a = tiny_logits(packed, ids, n), *b = tiny_logits(file, ids, n);
        assert_same(a, b, n * model_hyper(file)->vocab, tiny_names[i], "a quantized GGUF file");
        const size_t again = (size_t)output_again(tiny_names[i], file) * 18 / 32; /* 18 bytes a block of Q4_0 */
        assert_int_equal(model_facts(file)->weight_bytes, model_facts(packed)->weight_bytes + again);
        model_close(packed);
        model_close(file);
        free(a);
        free(b);
        free(path);
        free(ids);
        folder_remove(folder);
        folder_remove(out);
        json_decref(expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits),     cmocka_unit_test(test_bits),
                                       cmocka_unit_test(test_backends),   cmocka_unit_test(test_quantized_files),
                                       cmocka_unit_test(test_calibrated), cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_longrope)};
    return cmocka_run_group_tests_name("models/architectures", tests, NULL, NULL);
}
