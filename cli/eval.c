/* kerf eval: one subject through suites. */
#include "cli/evaluate.h"
#include "engine/base/text.h"

static int print_run(const json_t *run, struct error *e)
{
    struct text table = {0};
    struct table_style style = table_style();
    const json_t *profile = json_object_get(run, "profile");
    int status = report_run_table(run, &style, &table, e);
    if (!status && profile) status = report_profile(profile, &style, &table, e);
    if (!status) fputs(text_c(&table), stdout);
    text_free(&table);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct evaluate_options o;
    struct option options[EVALUATE_OPTIONS];
    evaluate_table(&o, options, "write run.json and samples_SUITE.jsonl there");
    if (help) return options_print(options), 0;
    char **operands, **suites = NULL;
    size_t n, n_suites;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1)
        status = error_set(e, ERROR_USAGE, "eval takes one SUBJECT, not %zu (kerf compare takes several)", n);
    struct subject s = {0};
    struct evaluated x = {0};
    enum math math;
    if (!status) status = math_parse(o.math, &math, e);
    if (!status) status = engine_open(o.threads, e);
    if (!status) status = profiling_check(&o.profiling, e);
    if (!status) status = subject_parse_math(&s, operands[0], NULL, math, e);
    if (!status) status = evaluate_suites(&o, &suites, &n_suites, e);
    if (!status && o.out) status = evaluate_folder(o.out, e);
    if (!status) {
        progress_catch_signals();
        status = evaluate(&s, suites, &o, &(struct evaluate_beside){0}, &x, e);
    }
    if (!status && o.out) status = run_write(o.out, x.run, x.results, x.n_suites, e);
    if (!status) status = print_run(x.run, e);
    if (!status && o.out) note("wrote %s/{run.json, samples_*.jsonl}", o.out);
    evaluated_free(&x);
    names_free(suites);
    subject_free(&s);
    aids_free(&o.aids);
    return status;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "run suites on one subject",
    .usage = "SUBJECT [options]\n\n"
             "With --out a run that was stopped goes on where it was when the same is asked for again.",
    .examples = "  kerf eval millbrook-llama\n"
                "  kerf eval millbrook-gpt2@int8:absmax --suite endings --limit 100\n"
                "  kerf eval model.gguf --suite stories --suite my-suite.yaml --out runs/model\n"
                "  kerf eval model.gguf --suite translation --decode beam:4 --samples '{\"translation\": [0, 1, 2]}'\n"
                "  kerf eval model.gguf@gguf:q4_0+fast --suite stories --profile\n",
    .run = run,
};
