/* What run.json says of a subject beyond its name: what its backend counted, and what it was made with. */
#include "engine/backends/pack.h"
#include "engine/base/file.h"
#include "suites/run.h"
#include "tests/testing.h"

#include <stdlib.h>

/* The subject of a run of a few items. To be released. */
static json_t *subject_of(const struct model *m, bool runs)
{
    struct error e;
    struct suite_result r;
    struct run_options options = {.limit = 3, .batch = 4, .resampling = {.resamples = 10}};
    if (runs) assert_ok(suite_run(m, "endings", &options, &r, &e), &e);
    json_t *run = run_record(m, "a@b", "a", 1.5, runs ? &r : NULL, runs ? 1 : 0, &e);
    assert_non_null(run);
    json_t *subject = json_incref(json_object_get(run, "subject"));
    assert_string_equal(json_string_value(json_object_get(subject, "name")), "a@b");
    assert_int_equal(json_array_size(json_object_get(run, "suites")), runs ? 1 : 0);
    json_decref(run);
    if (runs) suite_result_free(&r);
    return subject;
}

static void test_plain(void **state)
{
    (void)state;
    static const char *const absent[] = {"outliers", "calibration", "imatrix_sha256", "unpackable_matrices"};
    struct model *m = model_shipped("llama", "int8:absmax");
    json_t *subject = subject_of(m, false);
    assert_string_equal(json_string_value(json_object_get(subject, "math")), "exact");
    assert_int_equal(json_integer_value(json_object_get(subject, "fallback_matrices")), 0);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) assert_null(json_object_get(subject, absent[i]));
    json_decref(subject);
    model_close(m);
}

/* The same weights in another math are another subject. */
static void test_fast(void **state)
{
    (void)state;
    struct model *exact = model_shipped("llama", "gguf:q8_0"), *fast = model_shipped("llama", "gguf:q8_0+fast");
    json_t *a = subject_of(exact, false), *b = subject_of(fast, false);
    assert_string_equal(json_string_value(json_object_get(a, "math")), "exact");
    assert_string_equal(json_string_value(json_object_get(b, "math")), "fast");
    assert_string_not_equal(json_string_value(json_object_get(a, "id")), json_string_value(json_object_get(b, "id")));
    static const char *const same[] = {"sha256", "backend", "weight_bytes", "bits_per_weight", "parameters"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(json_equal(json_object_get(a, same[i]), json_object_get(b, same[i])));
    json_decref(a);
    json_decref(b);
    model_close(exact);
    model_close(fast);
}

static void test_outliers(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", "int8:llm,threshold=2.5");
    json_t *subject = subject_of(m, true), *outliers = json_object_get(subject, "outliers");
    assert_string_equal(json_string_value(json_object_get(subject, "math")), "exact, inputs in 8 bits");
    assert_true(json_real_value(json_object_get(outliers, "threshold")) == 2.5);
    json_t *layers = json_object_get(outliers, "layers"), *layer;
    assert_int_equal(json_array_size(layers), model_hyper(m)->layers);
    int64_t values = 0, large = 0;
    size_t i;
    json_array_foreach(layers, i, layer)
    {
        struct outliers o;
        assert_true(model_outliers(m, (int64_t)i, &o));
        assert_true(o.large > 0);
        assert_int_equal(json_integer_value(json_object_get(layer, "layer")), i);
        assert_int_equal(json_integer_value(json_object_get(layer, "values")), o.values);
        assert_near(json_real_value(json_object_get(layer, "share")), (double)o.large / (double)o.values, 0, "share");
        assert_near(json_real_value(json_object_get(layer, "features")), (double)o.touched / (double)o.features, 0,
                    "features");
        values += o.values;
        large += o.large;
    }
    assert_near(json_real_value(json_object_get(outliers, "share")), (double)large / (double)values, 0, "share of all");
    json_decref(subject);
    model_close(m);
}

/* Before anything ran there is no share. */
static void test_outliers_of_nothing(void **state)
{
    (void)state;
    struct model *m = model_shipped("gpt2", "int8:llm");
    json_t *subject = subject_of(m, false), *outliers = json_object_get(subject, "outliers");
    assert_true(json_is_null(json_object_get(outliers, "share")));
    assert_true(json_real_value(json_object_get(outliers, "threshold")) == 6);
    json_decref(subject);
    model_close(m);
}

/* --- a backend that calibrates, and reports without doing anything --- */

static int pack_f32(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                    struct error *e)
{
    (void)o, (void)at;
    return pack_decoded(out, w, DTYPE_F32, NULL, e);
}

static int calibrate(struct matrix *out, const struct matrix *w, const struct hessian *h,
                     const struct backend_options *o, const struct place *at, struct calibrated *report,
                     struct error *e)
{
    (void)h;
    *report = (struct calibrated){.damping = 0.25, .raised = at->layer == 1, .error = 1, .baseline = 8};
    struct tensor t;
    int status = matrix_to_f32(w, at->name, &t, e);
    return status ? status : matrix_pack(out, &t, o, at, e);
}

static bool plan(const struct backend_options *o, struct calibration_plan *p)
{
    (void)o;
    *p = (struct calibration_plan){.samples = 3, .length = 16};
    return true;
}

static void test_calibration(void **state)
{
    (void)state;
    const struct backend backend = {
        .name = "idle", .pack = pack_f32, .unpack = unpack_decoded, .calibrate = calibrate, .plan = plan};
    const struct backend_options how = {.backend = &backend, .spec = "idle"};
    struct model_options options = {.how = &how, .calibration = "datasets/millbrook/calibration.txt"};
    struct model *m;
    struct error e;
    assert_ok(blas_open(&e), &e);
    assert_ok(model_open(&m, "datasets/millbrook/gpt2", &options, &e), &e);
    json_t *subject = subject_of(m, false), *calibration = json_object_get(subject, "calibration");
    int64_t each = 0, layers = model_hyper(m)->layers;
    for (int role = 0; role < LINEARS; role++) each += model_linear(m, 0, (enum linear_role)role, NULL) != NULL;
    assert_int_equal(json_string_length(json_object_get(calibration, "sha256")), 64);
    assert_int_equal(json_integer_value(json_object_get(calibration, "sequences")), 3);
    assert_int_equal(json_integer_value(json_object_get(calibration, "length")), 16);
    assert_int_equal(json_integer_value(json_object_get(calibration, "matrices")), layers * each);
    assert_int_equal(json_integer_value(json_object_get(calibration, "raised")), each);
    assert_true(json_real_value(json_object_get(calibration, "damping")) == 0.25);
    assert_true(json_real_value(json_object_get(calibration, "relative_error")) == 0.125);
    assert_null(json_object_get(subject, "outliers"));
    json_decref(subject);
    model_close(m);
}

/* --- runs one after the other in one folder --- */

static bool has_file(const char *folder, const char *name)
{
    char *path = path_join(folder, name, NULL);
    const bool is = path_exists(path);
    free(path);
    return is;
}

/* A run takes the place of the earlier one; what is not the earlier one's stays. One whose samples cannot be written
 * leaves no run.json that says of them what it said of others. */
static void test_earlier_runs(void **state)
{
    (void)state;
    struct error e;
    struct model *m = model_shipped("gpt2", NULL);
    struct suite_result r[2];
    const struct run_options options = {.limit = 1, .batch = 4, .resampling = {.resamples = 10}};
    assert_ok(suite_run(m, "endings", &options, &r[0], &e), &e);
    assert_ok(suite_run(m, "reviews", &options, &r[1], &e), &e);
    json_t *both = run_record(m, "a@b", "a", 1.5, r, 2, &e), *one = run_record(m, "a@b", "a", 1.5, r, 1, &e);
    char *folder = folder_temporary();
    free(file_put(folder, "samples_others_2024-05-01.jsonl", "{}", 2));
    assert_ok(run_write(folder, both, r, 2, &e), &e);
    assert_true(has_file(folder, "samples_endings.jsonl") && has_file(folder, "samples_reviews.jsonl"));
    assert_ok(run_write(folder, one, r, 1, &e), &e);
    assert_true(has_file(folder, "run.json") && has_file(folder, "samples_endings.jsonl"));
    assert_false(has_file(folder, "samples_reviews.jsonl"));
    assert_true(has_file(folder, "samples_others_2024-05-01.jsonl"));

    char *blocked = path_join(folder, "samples_reviews.jsonl", &e);
    assert_ok(folder_make(blocked, &e), &e);
    assert_error(run_write(folder, both, r, 2, &e), &e, ERROR_IO, "samples_reviews.jsonl: ");
    assert_false(has_file(folder, "run.json"));
    free(blocked);
    folder_remove(folder);
    json_decref(both);
    json_decref(one);
    for (size_t i = 0; i < 2; i++) suite_result_free(&r[i]);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain),       cmocka_unit_test(test_fast),
                                       cmocka_unit_test(test_outliers),    cmocka_unit_test(test_outliers_of_nothing),
                                       cmocka_unit_test(test_calibration), cmocka_unit_test(test_earlier_runs)};
    return cmocka_run_group_tests_name("suites/record", tests, NULL, NULL);
}
