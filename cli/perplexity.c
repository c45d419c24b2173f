/* kerf perplexity: perplexity of any text, and how far candidates are from a baseline at every token of it. */
#include "cli/evaluate.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "suites/divergence.h"

#include <stdlib.h>
#include <string.h>

struct measuring {
    struct lockstep_options how;
    const char *protocol;
    int64_t chunks, threads, batch, seed;
    struct aids aids;
    bool json, markdown;
    struct subject *subjects;
    struct model **models;
    size_t n;
    json_t *record;
};

enum { OPTIONS = 10 + AIDS_OPTIONS };

static void make_options(struct measuring *x, struct option table[OPTIONS])
{
    *x = (struct measuring){.protocol = "rolling", .batch = 32, .seed = 1234};
    const struct option rows[OPTIONS] = {
        {"--file", OPTION_TEXT, "FILE", "the text, UTF-8", .text = &x->how.file},
        {"--protocol", OPTION_TEXT, "NAME",
         "rolling: documents between empty lines, every token (default); chunked: llama.cpp's rule",
         .text = &x->protocol},
        {"--context", OPTION_NUMBER, "N", "tokens of a window (default: the models' context)",
         .number = &x->how.context, .least = 1},
        {"--chunks", OPTION_NUMBER, "N", "the first N chunks of a chunked text (default: all)", .number = &x->chunks,
         .least = 1},
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
    if (!x->n) return error_set(e, ERROR_USAGE, "perplexity takes at least one SUBJECT");
    if (x->json && x->markdown) return error_set(e, ERROR_USAGE, "--json and --markdown: one of them, not both");
    if (!x->how.file) return error_set(e, ERROR_USAGE, "--file FILE is missing");
    x->how.protocol = PROTOCOL_ROLLING;
    while (strcmp(x->protocol, protocol_name(x->how.protocol))) {
        if (x->how.protocol == PROTOCOL_CHUNKED)
            return error_set(e, ERROR_USAGE, "--protocol %s: must be rolling or chunked", x->protocol);
        x->how.protocol = PROTOCOL_CHUNKED;
    }
    if (x->chunks && x->how.protocol != PROTOCOL_CHUNKED)
        return error_set(e, ERROR_USAGE, "--chunks goes with --protocol chunked");
    x->how.chunks = (size_t)x->chunks;
    x->how.batch = (size_t)x->batch;
    x->how.resampling.seed = (uint64_t)x->seed;
    return 0;
}

static int open_models(struct measuring *x, char **operands, struct error *e)
{
    x->subjects = memory_new(x->n, sizeof *x->subjects, "subjects", e);
    x->models = memory_new(x->n, sizeof(struct model *), "models", e);
    int status = x->subjects && x->models ? 0 : ERROR_IO;
    for (size_t i = 0; i < x->n && !status; i++)
        status = subject_parse(&x->subjects[i], operands[i], i ? &x->subjects[0] : NULL, e);
    for (size_t i = 0; i < x->n && !status; i++) status = subject_open(&x->subjects[i], &x->aids, &x->models[i], e);
    return status;
}

static bool on_progress(void *user, size_t done, size_t total) { return progress_update(user, "windows", done, total); }

static int make_record(struct measuring *x, const struct lockstep *l, struct error *e)
{
    const char **names = memory_new(x->n, 2 * sizeof *names, "names", e), **models = names + x->n;
    if (!names) return ERROR_IO;
    for (size_t i = 0; i < x->n; i++) names[i] = x->subjects[i].name, models[i] = x->subjects[i].model;
    x->record = lockstep_record(l, (const struct model *const *)x->models, &x->how, names, models, e);
    free(names);
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
    struct progress progress;
    struct lockstep l;
    progress_open(&progress, x->how.file);
    x->how.user = &progress;
    x->how.progress = on_progress;
    status = lockstep_run(&l, (const struct model *const *)x->models, x->n, &x->how, e);
    progress_close(&progress);
    if (status) return status;
    status = make_record(x, &l, e);
    lockstep_free(&l);
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
             "The first subject is the baseline. One that is @BACKEND alone is the baseline's model in that backend.\n"
             "All models are open at once and need the same tokenizer.",
    .examples = "  kerf perplexity millbrook-llama --file text.txt\n"
                "  kerf perplexity millbrook-llama@f32 @gguf:q8_0 @int8:absmax --file text.txt\n"
                "  kerf perplexity model.gguf other.gguf --file text.txt --protocol chunked --context 512 --json\n",
    .run = run,
};
