/* kerf compare: a baseline and candidates through the same suites, with paired differences. */
#include "cli/evaluate.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct comparing {
    struct evaluate_options o;
    struct subject *subjects;
    struct evaluated *runs;
    size_t n;
    char **suites;
    size_t n_suites;
    json_t *comparison;
};

/* A subject's folder in OUT/runs: its name in letters that every file system takes, with a number where an earlier
 * subject has the same. */
static void folder_name(const struct comparing *c, size_t i, char *out, size_t size)
{
    char slug[80];
    size_t n = 0, same = 0;
    for (const char *s = path_name(c->subjects[i].name); *s && n + 1 < sizeof slug; s++)
        slug[n++] = isalnum((unsigned char)*s) || strchr("._-", *s) ? *s : '-';
    slug[n] = 0;
    snprintf(out, size, "runs/%s", slug);
    for (size_t k = 0; k < i; k++) {
        const char *taken = json_string_value(json_object_get(c->runs[k].run, "folder"));
        if (strncmp(taken, out, strlen("runs/") + n) == 0) same++;
    }
    if (same) snprintf(out, size, "runs/%s.%zu", slug, same + 1);
}

static int write_run(const struct comparing *c, size_t i, struct error *e)
{
    char folder[128];
    folder_name(c, i, folder, sizeof folder);
    json_object_set_new(c->runs[i].run, "folder", json_string(folder));
    char *path = path_join(c->o.out, folder, e);
    int status = path ? run_write(path, c->runs[i].run, c->runs[i].results, c->n_suites, e) : ERROR_IO;
    for (size_t s = 0; s < c->n_suites; s++) suite_result_forget_items(&c->runs[i].results[s]);
    free(path);
    return status;
}

static int make_comparison(struct comparing *c, struct error *e)
{
    const json_t **runs = memory_new(c->n, sizeof *runs, "runs", e);
    struct suite_result **results = memory_new(c->n, sizeof *results, "runs", e);
    for (size_t i = 0; runs && results && i < c->n; i++) {
        runs[i] = c->runs[i].run;
        results[i] = c->runs[i].results;
    }
    struct resampling how = evaluate_resampling(&c->o);
    if (runs && results) c->comparison = compare_record(runs, results, c->n, c->n_suites, &how, e);
    free(runs);
    free(results);
    if (!c->comparison) return (int)e->code;
    return record_build(c->comparison) ? 0 : error_set(e, ERROR_IO, "out of memory for a record");
}

static int write_leaderboard(const struct comparing *c, const char *path, struct error *e)
{
    struct output out;
    int status = output_open(&out, path, e);
    if (status) return status;
    status = report_leaderboard(c->comparison, out.stream, e);
    if (!status) return output_commit(&out, e);
    output_abandon(&out);
    return status;
}

static int write_markdown(const struct comparing *c, const char *path, struct error *e)
{
    struct text page = {0};
    int status = report_markdown(c->comparison, &page, e);
    if (!status) status = file_write(path, text_c(&page), page.length, e);
    text_free(&page);
    return status;
}

static int write_json(const struct comparing *c, const char *path, struct error *e)
{
    return json_write_file(path, c->comparison, e);
}

static int write_reports(const struct comparing *c, struct error *e)
{
    static const struct {
        const char *name;
        int (*write)(const struct comparing *, const char *, struct error *);
    } files[] = {{"compare.json", write_json}, {"leaderboard.csv", write_leaderboard}, {"report.md", write_markdown}};
    int status = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files && !status; i++) {
        char *path = path_join(c->o.out, files[i].name, e);
        status = path ? files[i].write(c, path, e) : ERROR_IO;
        free(path);
    }
    return status;
}

static int print_table(const struct comparing *c, struct error *e)
{
    struct text table = {0};
    struct table_style style = table_style();
    int status = report_table(c->comparison, &style, &table, e);
    if (!status) fputs(text_c(&table), stdout);
    text_free(&table);
    return status;
}

static int parse_subjects(struct comparing *c, char **operands, struct error *e)
{
    c->subjects = memory_new(c->n, sizeof *c->subjects, "subjects", e);
    c->runs = memory_new(c->n, sizeof *c->runs, "runs", e);
    int status = c->subjects && c->runs ? 0 : ERROR_IO;
    for (size_t i = 0; i < c->n && !status; i++)
        status = subject_parse(&c->subjects[i], operands[i], i ? &c->subjects[0] : NULL, e);
    return status;
}

static int compare(struct comparing *c, char **operands, struct error *e)
{
    int status = engine_open(c->o.threads, e);
    if (!status) status = parse_subjects(c, operands, e);
    if (!status) status = evaluate_suites(&c->o, &c->suites, &c->n_suites, e);
    if (!status) status = evaluate_folder(c->o.out, e);
    progress_catch_signals();
    for (size_t i = 0; i < c->n && !status; i++) {
        status = evaluate(&c->subjects[i], c->suites, &c->o, i ? &c->runs[0] : NULL, &c->runs[i], e);
        if (status && status != ERROR_INTERRUPTED) error_prefix(e, "%s", c->subjects[i].name);
        if (!status) status = write_run(c, i, e);
    }
    if (!status) status = make_comparison(c, e);
    if (!status) status = write_reports(c, e);
    if (!status) status = print_table(c, e);
    if (!status) note("wrote %s/{compare.json, leaderboard.csv, report.md, runs/}", c->o.out);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct comparing c = {0};
    struct option options[EVALUATE_OPTIONS];
    evaluate_table(&c.o, options, "where the reports go (default: kerf-out)");
    if (help) return options_print(options), 0;
    char **operands;
    int status = options_parse(options, argc, argv, &operands, &c.n, e);
    if (!status && c.n < 2) status = error_set(e, ERROR_USAGE, "compare takes a BASELINE and at least one CANDIDATE");
    if (!c.o.out) c.o.out = "kerf-out";
    if (!status) status = compare(&c, operands, e);
    for (size_t i = 0; i < c.n; i++) {
        if (c.runs) evaluated_free(&c.runs[i]);
        if (c.subjects) subject_free(&c.subjects[i]);
    }
    free(c.runs);
    free(c.subjects);
    names_free(c.suites);
    aids_free(&c.o.aids);
    json_decref(c.comparison);
    return status;
}

const struct command command_compare = {
    .name = "compare",
    .summary = "what candidates lose and gain against a baseline, with intervals",
    .usage = "BASELINE CANDIDATE... [options]\n\n"
             "A candidate that is @BACKEND alone is the baseline's model in that backend.",
    .examples = "  kerf compare millbrook-llama@f32 @int8:absmax @gguf:q8_0 @gguf:q4_0\n"
                "  kerf compare model.gguf other.gguf --suite endings --limit 200 --out night\n",
    .run = run,
};
