/* What a run and a comparison leave behind, as JSON. */
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "suites/run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A share of nothing is null. */
static json_t *share(int64_t part, int64_t whole) { return json_number_or_null((double)part / (double)whole); }

/* What the suites so far met above the threshold of int8:llm; NULL where no layer counts. */
static json_t *outliers_record(const struct model *m)
{
    json_t *layers = json_array();
    struct outliers all = {0};
    for (int64_t i = 0; i < model_hyper(m)->layers; i++) {
        struct outliers here;
        if (!model_outliers(m, i, &here)) continue;
        all.threshold = here.threshold;
        all.values += here.values;
        all.large += here.large;
        json_array_append_new(layers, json_pack("{s:I, s:I, s:o, s:o}", "layer", (json_int_t)i, "values",
                                                (json_int_t)here.values, "share", share(here.large, here.values),
                                                "features", share(here.touched, here.features)));
    }
    if (json_array_size(layers))
        return json_pack("{s:f, s:o, s:o}", "threshold", all.threshold, "share", share(all.large, all.values), "layers",
                         layers);
    json_decref(layers);
    return NULL;
}

static json_t *calibration_record(const struct facts *f)
{
    if (!f->calibration.hash[0]) return NULL;
    return json_pack("{s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:o}", "sha256", f->calibration.hash, "sequences",
                     (json_int_t)f->calibration.sequences, "length", (json_int_t)f->calibration.length, "matrices",
                     (json_int_t)f->calibration.matrices, "damping", json_number_or_null(f->calibration.damping),
                     "raised", (json_int_t)f->calibration.raised, "rounded", (json_int_t)f->calibration.rounded,
                     "relative_error", json_number_or_null(f->calibration.error));
}

/* Names what was measured: the weights, what was done to them, and with which arithmetic. */
static void make_id(const struct facts *f, char hex[HASH_HEX])
{
    const char *const parts[] = {f->hash, f->backend, f->math, f->calibration.hash, f->imatrix_hash};
    struct hash h;
    hash_init(&h);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) hash_update(&h, parts[i], strlen(parts[i]) + 1);
    hash_finish(&h, hex);
    hex[16] = 0;
}

json_t *subject_record(const struct model *m, const char *name, const char *model)
{
    const struct facts *f = model_facts(m);
    char id[HASH_HEX];
    make_id(f, id);
    const char *imatrix = f->imatrix_hash[0] ? f->imatrix_hash : NULL;
    return json_pack("{s:o, s:s, s:o, s:o, s:s, s:s, s:I, s:s, s:s, s:I, s:f, s:I, s:s, s:o*, s:s*, s:o*}", "name",
                     json_text(name, strlen(name)), "id", id, "model", json_text(model, strlen(model)), "path",
                     json_text(f->path, strlen(f->path)), "sha256", f->hash, "architecture", f->architecture,
                     "parameters", (json_int_t)f->parameters, "backend", f->backend, "math", f->math, "weight_bytes",
                     (json_int_t)f->weight_bytes, "bits_per_weight",
                     8.0 * (double)f->weight_bytes / (double)f->parameters, "fallback_matrices",
                     (json_int_t)f->fell_back, "tokenizer_sha256", tokenizer_hash(model_tokenizer(m)), "calibration",
                     calibration_record(f), "imatrix_sha256", imatrix, "outliers", outliers_record(m));
}

/* Tokens through the model in a second, over all suites; null where the time of one is not known. */
static json_t *speed_record(const struct suite_result *results, size_t n)
{
    double tokens = 0, seconds = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *took = json_object_get(results[i].record, "seconds");
        tokens += json_number_value(json_object_get(json_object_get(results[i].record, "tokens"), "computed"));
        seconds += json_is_null(took) ? NAN : json_number_value(took);
    }
    return json_number_or_null(tokens / seconds);
}

json_t *run_record(const struct model *m, const char *name, const char *model, double seconds,
                   const struct suite_result *results, size_t n, struct error *e)
{
    json_t *suites = json_array();
    bool resumed = false;
    for (size_t i = 0; i < n; i++) {
        json_array_append(suites, results[i].record);
        resumed = resumed || results[i].resumed;
    }
    json_t *run = json_pack("{s:s, s:o, s:o, s:o, s:o}", "schema", "kerf-run-1", "subject",
                            subject_record(m, name, model), "suites", suites, "seconds",
                            resumed ? json_null() : json_real(seconds), "tokens_per_second", speed_record(results, n));
    if (!run) error_set(e, ERROR_IO, "out of memory for a record");
    return run;
}

static char *samples_path(const char *folder, const char *suite, struct error *e)
{
    struct text name = {0};
    text_printf(&name, "samples_%s.jsonl", suite);
    char *path = name.failed ? NULL : path_join(folder, text_c(&name), e);
    if (name.failed) error_set(e, ERROR_IO, "out of memory for a path");
    text_free(&name);
    return path;
}

static int write_samples(const char *folder, const struct suite_result *r, struct error *e)
{
    char *path = samples_path(folder, r->suite->name, e);
    struct output out;
    int status = path ? output_open(&out, path, e) : ERROR_IO;
    free(path);
    if (status) return status;
    size_t i;
    json_t *line;
    json_array_foreach(r->samples, i, line)
    {
        /* what the stream does not take shows in output_commit(), memory that runs out only here */
        const bool failed = json_dumpf(line, out.stream, JSON_COMPACT | JSON_REAL_PRECISION(17));
        if (failed && !ferror(out.stream)) {
            output_abandon(&out);
            return error_set(e, ERROR_IO, "out of memory for a sample of %.60s", r->suite->name);
        }
        fputc('\n', out.stream);
    }
    return output_commit(&out, e);
}

static bool has_suite(const struct suite_result *results, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(results[i].suite->name, name) == 0) return true;
    return false;
}

/* An earlier run in this folder goes before this one comes: its run.json first, so that it never stands beside samples
 * that are not its own, then its samples of suites that this run has not. What else lies there is not ours. */
static int remove_earlier(const char *folder, const char *path, const struct suite_result *results, size_t n,
                          struct error *e)
{
    struct error none;
    size_t i;
    const json_t *suite;
    json_t *earlier = path_exists(path) ? json_read_file(path, &none) : NULL;
    int status = unlink(path) && errno != ENOENT ? error_errno(e, path, "remove") : 0;
    json_array_foreach(json_object_get(earlier, "suites"), i, suite)
    {
        const char *name = json_string_value(json_object_get(suite, "name"));
        if (status || !name || !file_name_fits(name) || has_suite(results, n, name)) continue;
        char *samples = samples_path(folder, name, e);
        status = samples ? 0 : ERROR_IO;
        if (samples) unlink(samples);
        free(samples);
    }
    json_decref(earlier);
    return status;
}

int run_write(const char *folder, const json_t *run, const struct suite_result *results, size_t n, struct error *e)
{
    char *path = path_join(folder, "run.json", e);
    int status = path ? folder_make(folder, e) : ERROR_IO;
    if (!status) status = remove_earlier(folder, path, results, n, e);
    for (size_t i = 0; i < n && !status; i++) status = write_samples(folder, &results[i], e);
    if (!status) status = json_write_file(path, run, e);
    free(path);
    return status;
}

json_t *difference_record(const struct difference *d)
{
    bool significant = d->p < 0.05;
    return json_pack("{s:o, s:o, s:[o, o], s:o, s:s, s:b, s:o, s:o}", "value", json_number_or_null(d->value), "stderr",
                     json_number_or_null(d->standard_error), "ci95", json_number_or_null(d->low),
                     json_number_or_null(d->high), "p", json_number_or_null(d->p), "test",
                     d->mcnemar ? "mcnemar" : "bootstrap", "significant", (int)significant, "gained",
                     d->gained >= 0 ? json_integer(d->gained) : json_null(), "lost",
                     d->lost >= 0 ? json_integer(d->lost) : json_null());
}
