/* Runs read back from their folder: the same statistics to the bit, and an error for what was tampered with. */
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "engine/models/model.h"
#include "suites/finished.h"
#include "suites/run.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const suites[] = {"endings", "questions", "stories_chunked", "translation"};
enum { SUITES = sizeof suites / sizeof *suites };

struct fixture {
    char *folder;
    struct suite_result results[SUITES];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error e;
    struct model *m = model_shipped("gpt2", NULL);
    const struct run_options options = {.limit = 3, .batch = 4, .resampling = {.resamples = 10}};
    f->folder = folder_temporary();
    for (size_t i = 0; i < SUITES; i++) assert_ok(suite_run(m, suites[i], &options, &f->results[i], &e), &e);
    json_t *run = run_record(m, "a@b", "a", 1.5, f->results, SUITES, &e);
    assert_ok(run_write(f->folder, run, f->results, SUITES, &e), &e);
    json_decref(run);
    model_close(m);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SUITES; i++) suite_result_free(&f->results[i]);
    folder_remove(f->folder);
    free(f);
    return 0;
}

static void test_same_statistics(void **state)
{
    const struct fixture *f = *state;
    struct finished x;
    struct error e;
    assert_true(finished_is(f->folder));
    assert_false(finished_is("tests"));
    assert_ok(finished_read(&x, f->folder, &e), &e);
    assert_int_equal(x.n_suites, SUITES);
    for (size_t i = 0; i < SUITES; i++) {
        const struct suite_result *r = &f->results[i];
        const struct measured *m = contender_suite(&x.contender, r->suite->name);
        assert_non_null(m);
        assert_int_equal(m->n, r->n);
        assert_int_equal(m->n_scores, r->suite->n_scores);
        for (size_t k = 0; k < m->n_scores; k++) {
            const struct measure *ours = &r->suite->scores[k].measure, *theirs = &m->scores[k].measure;
            assert_ptr_equal(ours->metric, theirs->metric);
            assert_string_equal(r->suite->scores[k].name, m->scores[k].name);
            assert_memory_equal(r->stats[k], m->stats[k], r->n * ours->metric->width * sizeof(double));
            const double a = measure_value(ours, r->stats[k], r->n), b = measure_value(theirs, m->stats[k], m->n);
            assert_memory_equal(&a, &b, sizeof a);
        }
    }
    finished_free(&x);
}

/* One file of a copy of the folder, with `from` replaced by `to` where it first stands (NULL: the file's end cut off). */
static void assert_refused(const struct fixture *f, const char *file, const char *from, const char *to,
                           const char *words)
{
    struct error e;
    char *copy = folder_temporary(), name[64];
    for (size_t i = 0; i <= SUITES; i++) {
        snprintf(name, sizeof name, i < SUITES ? "samples_%s.jsonl" : "run.json", i < SUITES ? suites[i] : "");
        char *path = path_join(f->folder, name, &e);
        struct file in;
        assert_ok(file_map(&in, path, &e), &e);
        const char *data = (const char *)in.data;
        char *hit = strcmp(name, file) == 0 && from ? memmem(data, in.size, from, strlen(from)) : NULL;
        if (strcmp(name, file) == 0 && from && !hit) fail_msg("%s: has no %s", file, from);
        size_t before = hit ? (size_t)(hit - data) : strcmp(name, file) == 0 ? in.size / 2 : in.size;
        char *bytes = malloc(in.size + 64);
        size_t n = before;
        memcpy(bytes, data, before);
        if (hit) {
            n += (size_t)sprintf(bytes + n, "%s", to);
            memcpy(bytes + n, hit + strlen(from), in.size - before - strlen(from));
            n += in.size - before - strlen(from);
        }
        free(file_put(copy, name, bytes, n));
        free(bytes);
        free(path);
        file_unmap(&in);
    }
    struct finished x;
    const int status = finished_read(&x, copy, &e);
    if (!status) fail_msg("%s: %s for %s is accepted", file, to ? to : "an end", from ? from : "the rest");
    assert_error(status, &e, ERROR_INPUT, words);
    folder_remove(copy);
}

/* Of a suite, not of its protocol, which has its own. */
#define ITEMS(n) "\"items\": " n ",\n   \"metrics\""

static void test_what_was_changed_is_refused(void **state)
{
    const struct fixture *f = *state;
    assert_refused(f, "run.json", NULL, NULL, "run.json");
    assert_refused(f, "run.json", "kerf-run-1", "kerf-run-9", "schema");
    assert_refused(f, "run.json", ITEMS("3"), ITEMS("4"), "has 3 items, its run 4");
    assert_refused(f, "run.json", ITEMS("3"), ITEMS("2"), "line 3: the run has 2 items");
    assert_refused(f, "run.json", ITEMS("3"), ITEMS("999999999999999"), "fewer than the 999999999999999 items");
    assert_refused(f, "run.json", ITEMS("3"), ITEMS("-3"), "items: must be");
    assert_refused(f, "run.json", "\"name\": \"acc_norm\"", "\"name\": \"acc\"", "another is called \"acc\" too");
    assert_refused(f, "run.json", "\"name\": \"questions\"", "\"name\": \"endings\"",
                   "suites[1]: another is called \"endings\" too");
    assert_refused(f, "run.json", "\"name\": \"endings\"", "\"name\": \"../endings\"", "name: is no suite's name");
    assert_refused(f, "run.json", "multiple_choice", "multiple_voice", "output_type");
    assert_refused(f, "run.json", "\"metric\": \"acc\"", "\"metric\": \"ace\"", "no such metric");
    assert_refused(f, "samples_endings.jsonl", NULL, NULL, "samples_endings.jsonl");
    assert_refused(f, "samples_endings.jsonl", "statistics", "statistick", "line 1: statistics: is missing");
    assert_refused(f, "samples_endings.jsonl", "\"statistics\":{\"acc\":[", "\"statistics\":{\"acc\":[1,2,3,",
                   "a list of at most 2 numbers");
    assert_refused(f, "samples_endings.jsonl", "\"statistics\":{\"acc\":[", "\"statistics\":{\"acc\":[\"1\",",
                   "statistics.acc");
    /* numbers that are well-formed and are not those of the run */
    assert_refused(f, "samples_endings.jsonl", "\"statistics\":{\"acc\":[", "\"statistics\":{\"acc\":[3",
                   "metrics[0]: acc is ");
    assert_refused(f, "run.json", "\"value\": ", "\"value\": 7", "metrics[0]: acc is 7");
    assert_refused(f, "run.json", "\"value\": ", "\"value\": null, \"other\": ", "metrics[0]: acc is nan");
    assert_refused(f, "run.json", "\"value\": ", "\"value\": \"x\", \"other\": ", "value: must be a number or null");
}

static int read_made(const char *metrics, size_t n_metrics, size_t items, const char *samples, size_t n,
                     struct error *e)
{
    char *folder = folder_temporary();
    struct text run = {0};
    text_add(&run, "{\"schema\": \"kerf-run-1\", \"subject\": {}, \"suites\": [{\"name\": \"x\", ");
    text_printf(&run, "\"items\": %zu, \"output_type\": \"generate_until\", \"metrics\": [", items);
    for (size_t k = 0; k < n_metrics; k++) text_printf(&run, "%s{\"name\": \"%zu\", \"value\": null}", k ? "," : "", k);
    text_add(&run, "], \"protocol\": {\"metrics\": [");
    for (size_t k = 0; k < n_metrics; k++) text_printf(&run, "%s{\"metric\": \"%s\"}", k ? "," : "", metrics);
    text_add(&run, "]}}]}");
    free(file_put(folder, "run.json", text_c(&run), run.length));
    free(file_put(folder, "samples_x.jsonl", samples, n));
    text_free(&run);
    struct finished x;
    const int status = finished_read(&x, folder, e);
    finished_free(&x);
    folder_remove(folder);
    return status;
}

/* A run that claims as many items as its samples file has bytes, and thousands of wide metrics: gigabytes of room. */
static void test_claims_are_checked_before_room_is_made(void **state)
{
    enum { BYTES = 1 << 20, METRICS = 2000 };
    struct error e;
    char *blank = malloc(BYTES);
    memset(blank, '\n', BYTES);
    assert_error(read_made("chrf", METRICS, BYTES, blank, BYTES, &e), &e, ERROR_INPUT, "fewer than the 1048576 items");
    const size_t most = (BYTES + 1) / (strlen("{\"statistics\":{\"0\":[]}}\n"));
    assert_error(read_made("chrf", 1, most + 1, blank, BYTES, &e), &e, ERROR_INPUT, "fewer than the ");
    assert_error(read_made("chrf", 1, most, blank, BYTES, &e), &e, ERROR_INPUT, "has 0 items");
    free(blank);
    static const char shortest[] = "{\"statistics\":{\"0\":[]}}\n{\"statistics\":{\"0\":[]}}";
    assert_error(read_made("chrf", 1, 3, shortest, strlen(shortest), &e), &e, ERROR_INPUT, "fewer than the 3 items");
    assert_ok(read_made("exact_match", 1, 2, shortest, strlen(shortest), &e), &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_statistics),
                                       cmocka_unit_test(test_what_was_changed_is_refused),
                                       cmocka_unit_test(test_claims_are_checked_before_room_is_made)};
    return cmocka_run_group_tests_name("suites/finished", tests, set_up, tear_down);
}
