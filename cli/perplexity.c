/* kerf perplexity: perplexity of any text, and how far candidates are from a baseline at every token of it. */
#include "cli/evaluate.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "suites/lockstep.h"

#include <stdlib.h>
#include <string.h>

struct measuring {
    struct lockstep_options how;
    const char *protocol, *math_name;
    enum math math;
    int64_t chunks, threads, batch, seed, worst;
    struct aids aids;
    bool json, markdown;
    struct subject *subjects;
    struct model **models;
    size_t n;
    json_t *record;
};

enum { OPTIONS = 16 + AIDS_OPTIONS };

static void make_options(struct measuring *x, struct option table[OPTIONS])
{
    *x = (struct measuring){.protocol = "rolling", .batch = 32, .seed = 1234, .worst = 10};
    const struct option rows[OPTIONS] = {
        {"--file", OPTION_TEXT, "FILE", "the text, UTF-8", .text = &x->how.file},
        {"--protocol", OPTION_TEXT, "NAME",
         "rolling: documents between empty lines, every token (default); chunked: llama.cpp's rule; strided: windows "
         "that overlap",
         .text = &x->protocol},
        {"--context", OPTION_NUMBER, "N", "tokens of a window (default: the models' context)",
         .number = &x->how.context, .least = 1},
        {"--stride", OPTION_NUMBER, "N", "tokens from one strided window to the next (default: half a window)",
         .number = &x->how.stride, .least = 1},
        {"--chunks", OPTION_NUMBER, "N", "the first N windows; of a rolling text, documents (default: all)",
         .number = &x->chunks, .least = 1},
        {"--worst", OPTION_NUMBER, "N", "tokens with the largest divergence to show of each candidate (default: 10)",
         .number = &x->worst},
        {"--save-reference", OPTION_TEXT, "FILE", "keep the first subject's predictions in FILE", .text = &x->how.save},
        {"--top", OPTION_NUMBER, "N", "tokens of each prediction that --save-reference keeps (default: 64)",
         .number = &x->how.keep, .least = 1},
        {"--reference", OPTION_TEXT, "FILE", "the baseline is what --save-reference kept; every SUBJECT is a candidate",
         .text = &x->how.reference},
        math_option(&x->math_name),
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores); results are the same bits for any number",
         .number = &x->threads, .least = 1},
        {"--batch", OPTION_NUMBER, "N", "windows in one pass (default: 32); results are the same bits for any",
         .number = &x->batch, .least = 1},
        {"--seed", OPTION_NUMBER, "N", "seed of the resampling behind intervals (default: 1234)", .number = &x->seed},
        {"--json", OPTION_FLAG, NULL, "everything as JSON instead of a table", .flag = &x->json},
        {"--markdown", OPTION_FLAG, NULL, "one table of Markdown with the figures that decide", .flag = &x->markdown}};
    memcpy(table, rows, sizeof rows);
    aids_options(&x->aids, table + OPTIONS - 1 - AIDS_OPTIONS);
}

static int check_options(struct measuring *x, struct error *e)
{
    struct lockstep_options *how = &x->how;
    if (!x->n) return error_set(e, ERROR_USAGE, "perplexity takes at least one SUBJECT");
    if (x->json && x->markdown) return error_set(e, ERROR_USAGE, "--json and --markdown: one of them, not both");
    if (!how->file) return error_set(e, ERROR_USAGE, "--file FILE is missing");
    if (!protocol_find(x->protocol, &how->protocol))
        return error_set(e, ERROR_USAGE, "--protocol %s: must be %s", x->protocol, protocol_names());
    if (how->stride && how->protocol != PROTOCOL_STRIDED)
        return error_set(e, ERROR_USAGE, "--stride goes with --protocol strided");
    if (how->reference && how->save)
        return error_set(e, ERROR_USAGE, "--reference and --save-reference: one of them, not both");
    if (x->worst < 0 || x->worst > WALK_WORST_MOST)
        return error_set(e, ERROR_USAGE, "--worst: must be 0 to %d", WALK_WORST_MOST);
    if (how->keep && !how->save) return error_set(e, ERROR_USAGE, "--top goes with --save-reference");
    int status = math_parse(x->math_name, &x->math, e);
    if (status) return status;
    if (!x->aids.context) x->aids.context = how->context;
    how->limit = (size_t)x->chunks;
    how->worst = (size_t)x->worst;
    how->batch = (size_t)x->batch;
    how->resampling.seed = (uint64_t)x->seed;
    return 0;
}

/* A reference that could not be written, or would replace what is read, is known before the models are opened. */
static int check_output(const struct measuring *x, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < x->n && x->how.save && !status; i++)
        status = output_check(
            "--save-reference", x->how.save,
            (const char *const[]){x->how.file, x->subjects[i].path, x->aids.calibration, x->aids.imatrix}, 4, e);
    return status;
}

static int open_models(struct measuring *x, char **operands, struct error *e)
{
    x->subjects = memory_new(x->n, sizeof *x->subjects, "subjects", e);
    x->models = memory_new(x->n, sizeof(struct model *), "models", e);
    int status = x->subjects && x->models ? 0 : ERROR_IO;
    for (size_t i = 0; i < x->n && !status; i++)
        status = subject_parse_math(&x->subjects[i], operands[i], i ? &x->subjects[0] : NULL, x->math, e);
    if (!status) status = check_output(x, e);
    for (size_t i = 0; i < x->n && !status; i++) status = subject_open(&x->subjects[i], &x->aids, &x->models[i], e);
    return status;
}

static bool on_progress(void *user, size_t done, size_t total) { return progress_update(user, "windows", done, total); }

static int take_measures(struct measuring *x, struct error *e)
{
    const struct model *const *models = (const struct model *const *)x->models;
    struct progress progress;
    struct lockstep l;
    progress_open(&progress, x->how.file);
    x->how.user = &progress;
    x->how.progress = on_progress;
    int status = lockstep_run(&l, models, x->n, &x->how, e);
    progress_close(&progress);
    if (status) return status;
    x->record = lockstep_record(&l, models, &x->how, e);
    lockstep_free(&l);
    return x->record ? 0 : (int)e->code;
}

static int measure(struct measuring *x, char **operands, struct error *e)
{
    double start = seconds_now();
    peak_reset();
    int status = engine_open(x->threads, e);
    progress_catch_signals();
    if (!status) status = open_models(x, operands, e);
    if (status) return status;
    const char **names = memory_new(x->n, 2 * sizeof *names, "names", e), **models = names + x->n;
    if (!names) return ERROR_IO;
    for (size_t i = 0; i < x->n; i++) names[i] = x->subjects[i].name, models[i] = x->subjects[i].model;
    x->how.names = names;
    x->how.model_names = models;
    status = take_measures(x, e);
    free(names);
    if (status) return status;
    bool whole = record_build(x->record);
    whole = whole && !json_object_set_new(x->record, "seconds", json_real(seconds_now() - start)) &&
            !json_object_set_new(x->record, "peak_bytes", json_integer((json_int_t)peak_bytes()));
    return whole ? 0 : error_set(e, ERROR_IO, "out of memory for a record");
}

static int print(const struct measuring *x, struct error *e)
{
    if (x->json) return json_print(x->record, 17, e);
    struct text table = {0};
    struct table_style style = table_style();
    int status = x->markdown ? report_perplexity_markdown(x->record, &table, e)
                             : report_perplexity(x->record, &style, &table, e);
    if (!status) fputs(text_c(&table), stdout);
    text_free(&table);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct measuring x;
    struct option options[OPTIONS];
    make_options(&x, options);
    if (help) return options_print(options), 0;
    char **operands;
    int status = options_parse(options, argc, argv, &operands, &x.n, e);
    if (!status) status = check_options(&x, e);
    if (!status) status = measure(&x, operands, e);
    if (!status) status = print(&x, e);
    for (size_t i = 0; i < x.n; i++) {
        if (x.models) model_close(x.models[i]);
        if (x.subjects) subject_free(&x.subjects[i]);
    }
    free(x.models);
    free(x.subjects);
    aids_free(&x.aids);
    json_decref(x.record);
    return status;
}

const struct command command_perplexity = {
    .name = "perplexity",
    .summary = "perplexity of a text, and how far candidates are from a baseline at every token",
    .usage = "SUBJECT... --file FILE [options]\n\n"
             "The first subject is the baseline. One that is @BACKEND alone is the first's model in that backend, one\n"
             "that is +fast alone the first in fast math.\n"
             "All models are open at once, and the text must be the same tokens to all. With --reference none of them\n"
             "is the baseline: its predictions come from a file that --save-reference wrote, for the same text and\n"
             "protocol.",
    .examples = "  kerf perplexity millbrook-llama --file text.txt\n"
                "  kerf perplexity millbrook-llama@f32 @gguf:q8_0 @int8:absmax --file text.txt\n"
                "  kerf perplexity millbrook-llama@f16 @gguf:q4_k @gguf:q4_k+fast --file text.txt\n"
                "  kerf perplexity model.gguf other.gguf --file text.txt --protocol chunked --context 512 --json\n"
                "  kerf perplexity millbrook-llama@f32 --file text.txt --save-reference base.kref\n"
                "  kerf perplexity millbrook-llama@gguf:q4_k --file text.txt --reference base.kref\n",
    .run = run,
};
