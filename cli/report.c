/* kerf report: pages, tables and files for CI, from runs that were made before. */
#include "reports/report.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/reports.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

#include <stdlib.h>

struct reporting {
    const char *out;
    int64_t seed;
};

static int check_folder(const char *out, struct error *e)
{
    if (!*out) return error_set(e, ERROR_USAGE, "--out: an empty name is no folder");
    const int status = folder_make(out, e);
    return status ? status : reports_check(out, e);
}

static int print_answer(const json_t *comparison, struct error *e)
{
    struct text answer = {0};
    int status = report_answer(comparison, &answer, e);
    if (!status) puts(text_c(&answer));
    text_free(&answer);
    return status;
}

/* Beside the runs that it names a comparison keeps its relative paths; anywhere else it gets whole ones. */
static int settle_runs(struct inputs *in, const char *out, struct error *e)
{
    if (path_same(in->folder, out)) return 0;
    size_t i;
    json_t *subject;
    json_array_foreach(json_object_get(in->comparison, "subjects"), i, subject)
    {
        const char *run = json_string_value(json_object_get(subject, "run"));
        if (!run || *run == '/') continue;
        char *path = path_join(in->folder, run, e), *whole = path ? realpath(path, NULL) : NULL;
        if (whole) json_object_set_new(subject, "run", json_string(whole));
        free(whole);
        if (!path) return ERROR_IO;
        free(path);
    }
    return 0;
}

static int report(const struct reporting *r, char **operands, size_t n, struct error *e)
{
    struct inputs in;
    int status = inputs_read(&in, operands, n, r->seed, e);
    if (status) return status;
    status = check_folder(r->out, e);
    if (!status) status = settle_runs(&in, r->out, e);
    if (!status) status = reports_write(in.comparison, in.folder, r->out, e);
    if (!status) status = print_answer(in.comparison, e);
    if (!status) reports_tell(r->out, "");
    if (!status) printf("%s/index.html\n", r->out);
    inputs_free(&in);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct reporting r = {.out = "kerf-report", .seed = 1234};
    const struct option options[] = {
        {"--out", OPTION_TEXT, "DIR", "where the reports go (default: kerf-report)", .text = &r.out},
        {"--seed", OPTION_NUMBER, "N", "of the resampling, where runs are compared anew (default: 1234)",
         .number = &r.seed},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n < 1) status = error_set(e, ERROR_USAGE, "report takes a RUN, a COMPARISON or another tool's FILE");
    return status ? status : report(&r, operands, n, e);
}

const struct command command_report = {
    .name = "report",
    .summary = "index.html, report.md, leaderboard.csv and junit.xml of runs that were made before",
    .usage = "RUN|COMPARISON|FILE... [options]\n\n"
             "Folders that kerf eval and kerf compare wrote, the first being the baseline, and result files of\n"
             "lm-evaluation-harness (results_*.json) and llama-bench (-o json, jsonl or csv). What cannot be compared\n"
             "stands side by side with the reason; numbers of other tools are marked with their source.",
    .examples = "  kerf report kerf-out --out page\n"
                "  kerf report night/runs/model.gguf night/runs/other.gguf bench.jsonl --out page\n"
                "  kerf report night results_2026-11-24T08-00-00.json --out page\n",
    .run = run,
};
