/* kerf bench quantize: what packing a matrix costs and what it loses, for every backend.
 *
 * A repetition is what happens to a matrix when a model is opened: memory, the check for finite values, packing. The
 * repetitions of all backends take turns, so that a machine that gets slower or faster in between does so for all of
 * them. */
#include "cli/command.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/base/text.h"
#include "engine/kernels/kernels.h"
#include "reports/layout.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ELEMENTS = 1 << 30, MOST_REPEATS = 10000, TOKENS = 4096, MOST_NAME = 48, PIECE = 1 << 16 };

/* One backend's. */
struct trial {
    struct backend_options how;
    bool calibrated;
    double *seconds; /* [repeat] */
    size_t bytes;
    double weights, outputs; /* relative root mean square errors */
};

struct bench {
    int64_t rows, cols, repeat, threads;
    bool json;
    float *w;      /* [rows, cols] */
    float *row;    /* [cols], scratch */
    double *scale; /* [cols], the inputs' standard deviations */
    double *h;     /* [cols, cols], NULL where nothing is calibrated */
    struct trial *trials;
    size_t n;
    struct progress progress;
};

/* A matrix of a layer that no preset favours. */
static const struct place ordinary = {.name = "blk.0.attn_q.weight", .layers = 1, .queries = 1};

static int go_on(struct bench *b, const char *what, int64_t done, int64_t total, struct error *e)
{
    if (progress_update(&b->progress, what, (size_t)done, (size_t)total)) return 0;
    return error_set(e, ERROR_INTERRUPTED, "interrupted");
}

/* --- what is packed --- */

/* A standard normal number (Box and Muller 1958). */
static double gaussian(struct random *r)
{
    double radius = sqrt(-2 * log(1 - random_unit(r)));
    return radius * cos(6.283185307179586 * random_unit(r));
}

/* Inputs whose neighbours are correlated, h[i, j] = s_i s_j CORRELATION^|i - j| (an autoregressive process; positive
 * definite): as regular as it is, GPTQ can make use of it, and the outputs' error takes a loop instead of a product. */
static const double correlation = 0.9;

static int make_hessian(struct bench *b, struct error *e)
{
    b->h = memory_new((size_t)b->cols, (size_t)b->cols * sizeof *b->h, "a Hessian", e);
    if (!b->h) return ERROR_IO;
    for (int64_t i = 0; i < b->cols; i++) {
        int status = go_on(b, "Hessian", i, b->cols, e);
        if (status) return status;
        double power = 1;
        for (int64_t j = i; j < b->cols; j++, power *= correlation)
            b->h[i * b->cols + j] = b->h[j * b->cols + i] = b->scale[i] * b->scale[j] * power;
    }
    return 0;
}

/* Weights as wide as those of language models mostly are; columns of the inputs differ by a factor of ten or so. */
static int make_matrix(struct bench *b, struct error *e)
{
    struct random random = {2024};
    b->w = memory_new((size_t)b->rows, (size_t)b->cols * sizeof *b->w, "the matrix", e);
    b->row = b->w ? memory_new((size_t)b->cols, sizeof *b->row, "a row", e) : NULL;
    b->scale = b->row ? memory_new((size_t)b->cols, sizeof *b->scale, "the inputs", e) : NULL;
    if (!b->scale) return ERROR_IO;
    for (int64_t i = 0; i < b->rows * b->cols; i++) {
        int status = i % PIECE ? 0 : go_on(b, "matrix", i, b->rows * b->cols, e);
        if (status) return status;
        b->w[i] = (float)(0.02 * gaussian(&random));
    }
    for (int64_t c = 0; c < b->cols; c++) b->scale[c] = exp(0.5 * gaussian(&random));
    return 0;
}

/* --- which backends --- */

static struct trial *add(struct bench *b, const char *spec, struct error *e)
{
    struct trial *grown = realloc(b->trials, (b->n + 1) * sizeof *grown);
    if (!grown) {
        error_set(e, ERROR_IO, "out of memory for backends");
        return NULL;
    }
    b->trials = grown;
    struct trial *t = &grown[b->n];
    *t = (struct trial){0};
    if (backend_parse(&t->how, spec, e)) return NULL;
    struct calibration_plan plan;
    t->calibrated = backend_calibrates(&t->how, &plan);
    t->seconds = memory_new((size_t)b->repeat, sizeof *t->seconds, "times", e);
    if (!t->seconds) return NULL;
    b->n++;
    return t;
}

static bool takes(const struct backend *b, const char *key)
{
    for (const char *const *k = b->keys; k && *k; k++)
        if (strcmp(*k, key) == 0) return true;
    return false;
}

/* Of the variants with GGUF types those that are a type with an encoder; presets mix these. Where a type and a preset
 * share their name the type is the preset's "pure" form. */
static int add_variant(struct bench *b, const struct backend *backend, const char *variant, struct error *e)
{
    char spec[BACKEND_SPEC];
    int type = dtype_named(variant);
    if (backend->gguf_type && (type < 0 || !kernels_get()->encode[type])) return 0;
    bool pure = backend->gguf_type && takes(backend, "pure");
    snprintf(spec, sizeof spec, "%s:%s%s", backend->name, variant, pure ? ",pure" : "");
    return add(b, spec, e) ? 0 : (int)e->code;
}

/* All that pack or calibrate; float32 is what the matrix is already. */
static int add_all(struct bench *b, struct error *e)
{
    int status = 0;
    for (size_t i = 0; backend_at(i) && !status; i++) {
        const struct backend *backend = backend_at(i);
        for (size_t v = 0; backend->variants && backend->variants[v] && !status; v++)
            status = add_variant(b, backend, backend->variants[v], e);
        if (!backend->variants && strcmp(backend->name, "f32")) status = add(b, backend->name, e) ? 0 : (int)e->code;
    }
    return status;
}

/* --- measuring --- */

/* Packs the matrix once; *seconds are its time. */
static int pack(const struct bench *b, const struct trial *t, struct matrix *out, double *seconds, struct error *e)
{
    struct tensor w = {.name = "matrix",
                       .type = DTYPE_F32,
                       .n_dims = 2,
                       .shape = {b->rows, b->cols, 1, 1},
                       .data = b->w,
                       .bytes = (size_t)(b->rows * b->cols) * sizeof *b->w};
    double start = seconds_now();
    int status = matrix_pack(out, &w, t->calibrated ? NULL : &t->how, &ordinary, e);
    if (!status && t->calibrated) {
        struct matrix as_is = *out;
        struct hessian h = {b->h, b->cols, TOKENS};
        struct calibrated report;
        *out = (struct matrix){0};
        status = t->how.backend->calibrate(out, &as_is, &h, &t->how, &ordinary, &report, e);
        matrix_free(&as_is);
    }
    *seconds = seconds_now() - start;
    if (!status && out->fell_back)
        status =
            error_set(e, ERROR_USAGE, "backend \"%s\": a row of %lld does not divide into its blocks: change --cols",
                      t->how.spec, (long long)b->cols);
    if (status) matrix_free(out);
    return status;
}

/* d H d for a row d, H as in make_hessian(): twice what each column has in common with those before it, and itself. */
static double output_energy(const struct bench *b, const float *d)
{
    double sum = 0, before = 0;
    for (int64_t c = 0; c < b->cols; c++) {
        double u = (double)d[c] * b->scale[c];
        sum += u * (u + 2 * before);
        before = correlation * (before + u);
    }
    return sum;
}

static void judge(const struct bench *b, const struct matrix *m, struct trial *t)
{
    double lost = 0, all = 0, outputs_lost = 0, outputs_all = 0;
    for (int64_t r = 0; r < b->rows; r++) {
        const float *w = b->w + r * b->cols;
        matrix_unpack(m, r, 1, b->row);
        for (int64_t c = 0; c < b->cols; c++) {
            b->row[c] -= w[c];
            lost += (double)b->row[c] * (double)b->row[c];
            all += (double)w[c] * (double)w[c];
        }
        outputs_lost += output_energy(b, b->row);
        outputs_all += output_energy(b, w);
    }
    t->bytes = m->bytes;
    t->weights = sqrt(lost / all);
    t->outputs = sqrt(outputs_lost / outputs_all);
}

/* Repetition -1 warms up. */
static int repeat_all(struct bench *b, struct error *e)
{
    int status = 0;
    for (int64_t i = -1; i < b->repeat && !status; i++)
        for (size_t k = 0; k < b->n && !status; k++) {
            struct trial *t = &b->trials[k];
            struct matrix m = {0};
            double seconds = 0;
            status = go_on(b, t->how.spec, i + 1, b->repeat + 1, e);
            if (!status) status = pack(b, t, &m, &seconds, e);
            if (!status && i < 0) judge(b, &m, t);
            if (!status && i >= 0) t->seconds[i] = seconds;
            matrix_free(&m);
        }
    return status;
}

/* --- telling --- */

struct spread {
    double mean, deviation; /* of a sample; NAN with a single value */
};

static struct spread spread_of(const double *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return (struct spread){mean, n > 1 ? sqrt(squares / (double)(n - 1)) : NAN};
}

static double megabytes(const struct bench *b) { return (double)(b->rows * b->cols) * sizeof *b->w / 1e6; }

/* MB/s of a core in each repetition. */
static void speeds(const struct bench *b, const struct trial *t, double *out /* [repeat] */)
{
    for (int64_t i = 0; i < b->repeat; i++)
        out[i] = megabytes(b) / (t->seconds[i] > 0 ? t->seconds[i] : 1e-9) / omp_get_max_threads();
}

static double bits(const struct bench *b, const struct trial *t)
{
    return 8.0 * (double)t->bytes / (double)(b->rows * b->cols);
}

/* NULL where there is no memory, as jansson has it. */
static json_t *json_values(const double *x, int64_t n)
{
    json_t *list = json_array();
    int failed = !list;
    for (int64_t i = 0; i < n; i++) failed |= json_array_append_new(list, json_real(x[i]));
    struct spread s = spread_of(x, n);
    json_t *all = json_pack("{s:f, s:o}", "mean", s.mean, "sd", n > 1 ? json_real(s.deviation) : json_null());
    if (n == 1) failed |= json_object_set_new(all, "reason", json_string("one repetition has no standard deviation"));
    failed |= json_object_set_new(all, "samples", list);
    if (failed) json_decref(all);
    return failed ? NULL : all;
}

static json_t *json_trial(const struct bench *b, const struct trial *t, double *scratch)
{
    speeds(b, t, scratch);
    json_t *speed = json_values(scratch, b->repeat), *seconds = json_values(t->seconds, b->repeat);
    json_t *all =
        json_pack("{s:s, s:b, s:O, s:O, s:I, s:f, s:f, s:f}", "backend", t->how.spec, "calibrated", t->calibrated,
                  "mb_per_second_per_core", speed, "seconds", seconds, "bytes", (json_int_t)t->bytes, "bits_per_weight",
                  bits(b, t), "weights_error", t->weights, "outputs_error", t->outputs);
    json_decref(speed);
    json_decref(seconds);
    return all;
}

static int print_json(const struct bench *b, double *scratch, struct error *e)
{
    json_t *record = json_pack("{s:s, s:s}", "schema", "kerf-bench-1", "benchmark", "quantize"), *list = json_array();
    bool failed = !record || !record_build(record);
    failed |= json_object_update_new(record, json_pack("{s:I, s:I, s:I}", "rows", (json_int_t)b->rows, "cols",
                                                       (json_int_t)b->cols, "repeat", (json_int_t)b->repeat)) != 0;
    for (size_t k = 0; k < b->n; k++) failed |= json_array_append_new(list, json_trial(b, &b->trials[k], scratch)) != 0;
    failed |= json_object_set_new(record, "results", list) != 0;
    int status = failed ? error_set(e, ERROR_IO, "out of memory for a report") : json_print(record, 9, e);
    json_decref(record);
    return status;
}

static size_t name_width(const struct bench *b)
{
    size_t most = strlen("backend");
    for (size_t k = 0; k < b->n; k++)
        if (layout_width(b->trials[k].how.spec) > most) most = layout_width(b->trials[k].how.spec);
    return most < MOST_NAME ? most : MOST_NAME;
}

/* "4210 ± 31" */
static void add_spread(struct text *out, struct spread s, size_t width)
{
    char mean[40], deviation[40] = "";
    snprintf(mean, sizeof mean, "%.*f", s.mean < 10 ? 3 : 1, s.mean);
    if (!isnan(s.deviation)) snprintf(deviation, sizeof deviation, " ± %.*f", s.mean < 10 ? 3 : 1, s.deviation);
    layout_pad(out, mean, width, true);
    layout_pad(out, deviation, 10, false);
}

static void add_row(struct text *out, const struct bench *b, const struct trial *t, size_t name, double *scratch)
{
    layout_pad(out, t->how.spec, name, false);
    speeds(b, t, scratch);
    add_spread(out, spread_of(scratch, b->repeat), 9);
    text_printf(out, "  %#8.3g  %11.3f  %#7.3g  %#7.3g\n", spread_of(t->seconds, b->repeat).mean, bits(b, t),
                100 * t->weights, 100 * t->outputs);
}

static int print_table(const struct bench *b, double *scratch, struct error *e)
{
    struct text out = {0};
    size_t name = name_width(b);
    int threads = omp_get_max_threads();
    text_printf(&out, "quantize: %lld x %lld float32 (%.4g MB), kernels %s, %d thread%s, %lld repetition%s\n\n",
                (long long)b->rows, (long long)b->cols, megabytes(b), kernels_get()->name, threads,
                threads > 1 ? "s" : "", (long long)b->repeat, b->repeat > 1 ? "s" : "");
    text_printf(&out, "%*s  %-17s  %8s  %11s  %16s\n", (int)name, "", "", "", "", "error %, rms of");
    layout_pad(&out, "backend", name, false);
    text_printf(&out, "  %-17s  %8s  %11s  %7s  %7s\n", "MB/s per core", "seconds", "bits/weight", "weights",
                "outputs");
    layout_rule(&out, name + 62);
    for (size_t k = 0; k < b->n; k++) add_row(&out, b, &b->trials[k], name, scratch);
    layout_rule(&out, name + 62);
    text_add(&out, "MB/s: 10^6 bytes of float32 a second, mean ± standard deviation of the repetitions. Errors:\n"
                   "relative root mean square, of the weights and of their exact products with correlated inputs.\n");
    int status = out.failed ? error_set(e, ERROR_IO, "out of memory for a table") : 0;
    if (!status) fputs(text_c(&out), stdout);
    text_free(&out);
    return status;
}

/* --- the command --- */

static int check(const struct bench *b, struct error *e)
{
    if (b->rows > MOST_ELEMENTS || b->cols > MOST_ELEMENTS || b->rows * b->cols > MOST_ELEMENTS)
        return error_set(e, ERROR_USAGE, "--rows %lld --cols %lld: more than %d elements", (long long)b->rows,
                         (long long)b->cols, MOST_ELEMENTS);
    if (b->repeat > MOST_REPEATS)
        return error_set(e, ERROR_USAGE, "--repeat: %lld is more than %d", (long long)b->repeat, MOST_REPEATS);
    return 0;
}

/* The matrix and its packed form, at most as large; with `calibrated` the Hessian and its factor, as large. In double:
 * it may not fit in 64 bits. */
static int check_memory(const struct bench *b, const struct trial *calibrated, struct error *e)
{
    double rows = (double)b->rows, cols = (double)b->cols, available = (double)memory_available();
    double bytes = 2 * rows * cols * sizeof *b->w + (calibrated ? 2 * cols * cols * sizeof *b->h : 0);
    if (bytes <= available) return 0;
    return error_set(
        e, ERROR_USAGE,
        "--rows %lld --cols %lld: %s%s takes %.1f GiB of memory, %.1f GiB are available: give smaller sizes",
        (long long)b->rows, (long long)b->cols, calibrated ? "calibrating " : "the matrix",
        calibrated ? calibrated->how.spec : "", bytes / 0x1p30, available / 0x1p30);
}

static int make(struct bench *b, struct error *e)
{
    const struct trial *calibrated = NULL;
    for (size_t k = 0; k < b->n && !calibrated; k++) calibrated = b->trials[k].calibrated ? &b->trials[k] : NULL;
    int status = check_memory(b, calibrated, e);
    if (!status) status = make_matrix(b, e);
    return status || !calibrated ? status : make_hessian(b, e);
}

static int measure(struct bench *b, char **specs, size_t n, struct error *e)
{
    int status = n ? 0 : add_all(b, e);
    for (size_t i = 0; i < n && !status; i++) status = add(b, specs[i], e) ? 0 : (int)e->code;
    double *scratch = memory_new((size_t)b->repeat, sizeof *scratch, "speeds", e);
    if (!scratch) status = ERROR_IO;
    progress_open(&b->progress, "bench quantize");
    if (!status) status = make(b, e);
    if (!status) status = repeat_all(b, e);
    progress_close(&b->progress);
    if (!status) status = (b->json ? print_json : print_table)(b, scratch, e);
    free(scratch);
    return status;
}

static void bench_free(struct bench *b)
{
    for (size_t k = 0; k < b->n; k++) free(b->trials[k].seconds);
    free(b->trials);
    free(b->w);
    free(b->row);
    free(b->scale);
    free(b->h);
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct bench b = {.rows = 1024, .cols = 4096, .repeat = 5, .threads = 1};
    const struct option options[] = {
        {"--rows", OPTION_NUMBER, "N", "rows of the matrix (default: 1024)", .number = &b.rows, .least = 1},
        {"--cols", OPTION_NUMBER, "N", "its columns, a multiple of the backends' blocks (default: 4096)",
         .number = &b.cols, .least = 1},
        {"--repeat", OPTION_NUMBER, "N", "repetitions, after one that warms up (default: 5)", .number = &b.repeat,
         .least = 1},
        {"--threads", OPTION_NUMBER, "N", "threads (default: 1)", .number = &b.threads, .least = 1},
        {"--json", OPTION_FLAG, NULL, "everything as JSON, with each repetition's time", .flag = &b.json},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status) status = check(&b, e);
    progress_catch_signals();
    if (!status) status = engine_open(b.threads, e);
    if (!status) status = measure(&b, operands, n, e);
    bench_free(&b);
    return status;
}

const struct command bench_quantize = {
    .name = "quantize",
    .summary = "packs a synthetic matrix with each BACKEND (default: all that there are): speed, size and error",
    .usage = "[BACKEND]... [options]",
    .run = run,
};
