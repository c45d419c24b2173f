/* kerf compare: a baseline and candidates through the same suites, with paired differences. Each is a subject that is
 * run now, or the folder of a run that was made before. */
#include "cli/evaluate.h"
#include "cli/inputs.h"
#include "cli/reports.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "suites/distance.h"
#include "suites/finished.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* One column of the comparison. */
struct entry {
    struct subject subject; /* of one that is run now */
    const char *decode;     /* its strategy, or NULL */
    struct evaluated run;
    bool is_finished;   /* it was run before */
    const char *folder; /* where it lies then */
    struct finished finished;
    struct measured *measured; /* [suites] of one that is run now */
    struct contender contender;
};

struct comparing {
    struct evaluate_options o;
    const char *decodes[OPTION_LIST_MOST];
    bool force, no_divergence;
    enum math math;
    struct entry *entries;
    size_t n;
    char **suites; /* NULL where nothing is run */
    size_t n_suites;
    json_t *comparison;
};

/* --- the columns --- */

/* A subject with a strategy of its own has it in its name: "millbrook-llama@f32 beam:4". */
static int add_strategy(struct entry *x, const char *spec, struct error *e)
{
    struct decode how;
    struct text name = {0};
    int status = decode_parse(&how, spec, e);
    if (status) return error_prefix(e, "--decode");
    text_printf(&name, "%s %s", x->subject.name, how.spec);
    if (name.failed) return error_set(e, ERROR_IO, "out of memory for a name");
    free(x->subject.name);
    x->subject.name = name.bytes;
    x->decode = spec;
    return 0;
}

static int add_subject(struct comparing *c, const char *operand, const char *decode, struct error *e)
{
    struct entry *x = &c->entries[c->n];
    const struct subject *baseline = c->n && !c->entries[0].is_finished ? &c->entries[0].subject : NULL;
    int status = subject_parse_math(&x->subject, operand, baseline, c->math, e);
    c->n++;
    return !status && decode ? add_strategy(x, decode, e) : status;
}

static const char *entry_name(const struct entry *x)
{
    if (!x->is_finished) return x->subject.name;
    return json_string_value(json_object_get(json_object_get(x->finished.run, "subject"), "name"));
}

/* A run of a subject that another column is of too. */
static int tell_apart(const struct comparing *c, const struct entry *x, struct error *e)
{
    const char **taken = memory_new(c->n, sizeof *taken, "names", e);
    for (size_t i = 0; taken && i < c->n; i++) taken[i] = entry_name(&c->entries[i]);
    if (taken) run_tell_apart(x->finished.run, x->folder, taken, c->n);
    free(taken);
    return taken ? 0 : ERROR_IO;
}

static int add_finished(struct comparing *c, const char *folder, struct error *e)
{
    struct entry *x = &c->entries[c->n];
    int status = run_read(&x->finished, folder, e);
    if (status) return status;
    x->is_finished = true;
    x->folder = folder;
    x->contender = x->finished.contender;
    status = tell_apart(c, x, e);
    /* where it lies, for whoever reads the comparison */
    char *whole = realpath(folder, NULL);
    const char *place = whole ? whole : folder;
    json_object_set_new(x->finished.run, "folder", json_text(place, strlen(place)));
    free(whole);
    c->n++;
    return status;
}

/* What holds runs, or is part of one, is no run itself. */
static int check_operand(const char *operand, struct error *e)
{
    const char *name = path_name(operand);
    if (strcmp(name, "run.json") == 0 || strcmp(name, "compare.json") == 0)
        return error_set(e, ERROR_USAGE, "%s: give the folder of the run that it is in", operand);
    char *path = path_join(operand, "compare.json", e);
    if (!path) return ERROR_IO;
    const bool comparison = path_exists(path);
    free(path);
    if (!comparison) return 0;
    return error_set(e, ERROR_USAGE, "%s: is a comparison; its runs are the folders in %s/runs", operand, operand);
}

static size_t count_list(const char *const *list)
{
    size_t n = 0;
    while (n < OPTION_LIST_MOST && list[n]) n++;
    return n;
}

/* Every operand, subjects once for each strategy. */
static int add_entries(struct comparing *c, char **operands, size_t n, struct error *e)
{
    const size_t decodes = count_list(c->decodes), each = decodes ? decodes : 1;
    c->entries = memory_new(n * each, sizeof *c->entries, "subjects", e);
    int status = c->entries ? 0 : ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) {
        if (finished_is(operands[i])) {
            status = add_finished(c, operands[i], e);
            continue;
        }
        status = check_operand(operands[i], e);
        for (size_t k = 0; k < each && !status; k++)
            status = add_subject(c, operands[i], decodes ? c->decodes[k] : NULL, e);
    }
    if (!status && c->n < 2)
        status = error_set(e, ERROR_USAGE, "compare takes a BASELINE and at least one CANDIDATE, or two --decode");
    return status;
}

static size_t count_running(const struct comparing *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) n += !c->entries[i].is_finished;
    return n;
}

/* --- running --- */

/* Whether another subject of this comparison was written there, or is read from there. */
static bool folder_is_taken(const struct comparing *c, const char *folder)
{
    char *path = path_join(c->o.out, folder, NULL);
    bool taken = false;
    for (size_t i = 0; i < c->n && !taken; i++) {
        const struct entry *x = &c->entries[i];
        const char *theirs = json_string_value(json_object_get(x->run.run, "folder"));
        taken = x->is_finished ? path && path_same(path, x->folder) : theirs && strcmp(theirs, folder) == 0;
    }
    free(path);
    return taken;
}

/* A subject's folder in OUT/runs: its name in letters that every file system takes, none of them a dot at the start,
 * with a number where that is another's. */
static void folder_name(const struct comparing *c, size_t i, char *out, size_t size)
{
    char slug[80];
    size_t n = 0;
    for (const char *s = path_name(c->entries[i].subject.name); *s && n + 1 < sizeof slug; s++, n++)
        slug[n] = isalnum((unsigned char)*s) || strchr(n ? "._-" : "_-", *s) ? *s : '-';
    if (n == 0) slug[n++] = '-'; /* of "folder/" */
    slug[n] = 0;
    snprintf(out, size, "runs/%s", slug);
    for (size_t same = 2; folder_is_taken(c, out); same++) snprintf(out, size, "runs/%s.%zu", slug, same);
}

static int write_run(const struct comparing *c, size_t i, struct error *e)
{
    char folder[128];
    struct evaluated *run = &c->entries[i].run;
    folder_name(c, i, folder, sizeof folder);
    json_object_set_new(run->run, "folder", json_string(folder));
    char *path = path_join(c->o.out, folder, e);
    int status = path ? run_write(path, run->run, run->results, run->n_suites, e) : ERROR_IO;
    for (size_t s = 0; s < run->n_suites; s++) suite_result_forget_items(&run->results[s]);
    free(path);
    return status;
}

static int make_contender(struct entry *x, struct error *e)
{
    const struct evaluated *run = &x->run;
    x->measured = memory_new(run->n_suites, sizeof *x->measured, "suites", e);
    if (!x->measured) return ERROR_IO;
    for (size_t s = 0; s < run->n_suites; s++) {
        const struct suite_result *r = &run->results[s];
        x->measured[s] = (struct measured){r->record, r->suite->scores, r->suite->n_scores, r->stats, r->n};
    }
    x->contender = (struct contender){run->run, x->measured, run->n_suites};
    return 0;
}

/* The baseline's model stays open while its candidates run, where a suite has tokens to compare. */
static int run_entry(struct comparing *c, size_t i, struct error *e)
{
    struct entry *x = &c->entries[i];
    const struct entry *base = &c->entries[0];
    const struct evaluate_beside beside = {
        .run = i && !c->force ? base->contender.run : NULL,
        .model = i && !c->no_divergence && !base->is_finished ? base->run.model : NULL,
        .name = i && !base->is_finished ? base->subject.name : NULL,
        .decoding_differs = c->decodes[0],
        .keep_model = i == 0 && !c->no_divergence,
    };
    c->o.decode = x->decode;
    int status = evaluate(&x->subject, c->suites, &c->o, &beside, &x->run, e);
    if (status && status != ERROR_INTERRUPTED) error_prefix(e, "%s", x->subject.name);
    if (!status) status = write_run(c, i, e);
    return status ? status : make_contender(x, e);
}

/* Beside a baseline that was run before the suites are its, where none are named. */
static void take_suites(struct comparing *c)
{
    const struct entry *base = &c->entries[0];
    if (c->o.suites[0] || !base->is_finished) return;
    for (size_t i = 0; i < base->contender.n_suites && i + 1 < OPTION_LIST_MOST; i++)
        c->o.suites[i] = json_string_value(json_object_get(base->contender.suites[i].record, "name"));
}

static int check_folder(const struct comparing *c, struct error *e)
{
    const int status = evaluate_folder(c->o.out, e);
    return status ? status : reports_check(c->o.out, e);
}

static int run_all(struct comparing *c, struct error *e)
{
    int status = engine_open(c->o.threads, e);
    if (!status) status = profiling_check(&c->o.profiling, e);
    c->o.decode = c->decodes[0];
    take_suites(c);
    if (!status) status = evaluate_suites(&c->o, &c->suites, &c->n_suites, e);
    if (!status) status = check_folder(c, e);
    progress_catch_signals();
    for (size_t i = 0; i < c->n && !status; i++)
        if (!c->entries[i].is_finished) status = run_entry(c, i, e);
    return status;
}

/* --- the reports --- */

static int make_comparison(struct comparing *c, struct error *e)
{
    struct contender *all = memory_new(c->n, sizeof *all, "subjects", e);
    if (!all) return ERROR_IO;
    for (size_t i = 0; i < c->n; i++) all[i] = c->entries[i].contender;
    const struct compare_options how = {
        .resampling = evaluate_resampling(&c->o), .decoding_differs = c->decodes[0], .force = c->force};
    c->comparison = compare_record(all, c->n, &how, e);
    free(all);
    if (!c->comparison) return (int)e->code;
    return record_build(c->comparison) ? 0 : error_set(e, ERROR_IO, "out of memory for a record");
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

/* The figures are told even where a report cannot be written. */
static int write_reports(const struct comparing *c, struct error *e)
{
    int status = reports_write(c->comparison, c->o.out, c->o.out, e);
    const int told = print_table(c, status ? NULL : e);
    return status ? status : told;
}

/* What says how to run says nothing of runs that were made before. */
static int check_options(const struct comparing *c, struct error *e)
{
    if (count_running(c)) return 0;
    const struct evaluate_options *o = &c->o;
    const char *given = o->suites[0]            ? "--suite"
                        : o->limit              ? "--limit"
                        : o->samples            ? "--samples"
                        : c->decodes[0]         ? "--decode"
                        : o->math               ? "--math"
                        : o->profiling.on       ? "--profile"
                        : o->profiling.counters ? "--counters"
                                                : NULL;
    if (!given) return 0;
    return error_set(e, ERROR_USAGE, "%s: is for subjects that are run, and all of these were run before", given);
}

static int compare(struct comparing *c, char **operands, size_t n, struct error *e)
{
    int status = math_parse(c->o.math, &c->math, e);
    if (!status) status = add_entries(c, operands, n, e);
    if (!status) status = check_options(c, e);
    if (!status && count_running(c)) status = run_all(c, e);
    if (!status && !count_running(c)) status = check_folder(c, e);
    if (!status) status = make_comparison(c, e);
    if (!status) status = write_reports(c, e);
    if (!status) reports_tell(c->o.out, count_running(c) ? ", runs/" : "");
    if (!status) printf("%s/index.html\n", c->o.out);
    return status;
}

enum { OPTIONS = EVALUATE_OPTIONS + 2 };

/* The options of eval, --decode as a list, and compare's own. */
static void make_table(struct comparing *c, struct option table[OPTIONS])
{
    evaluate_table(&c->o, table, "where the reports and runs go (default: kerf-out)");
    size_t n = 0;
    for (; table[n].name; n++) {
        if (strcmp(table[n].name, "--decode")) continue;
        table[n].kind = OPTION_LIST;
        table[n].text = NULL;
        table[n].list = c->decodes;
        table[n].help = "a strategy for texts, may be repeated: every subject once with each";
    }
    table[n++] = (struct option){"--no-divergence", OPTION_FLAG, NULL,
                                 "do not keep the baseline's model open to compare predictions token by token",
                                 .flag = &c->no_divergence};
    table[n++] = (struct option){"--force", OPTION_FLAG, NULL,
                                 "show what cannot be compared side by side, without a difference", .flag = &c->force};
    table[n] = (struct option){0};
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct comparing c = {0};
    struct option options[OPTIONS];
    make_table(&c, options);
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n < 1) status = error_set(e, ERROR_USAGE, "compare takes a BASELINE and at least one CANDIDATE");
    if (!c.o.out) c.o.out = "kerf-out";
    if (!status) status = compare(&c, operands, n, e);
    for (size_t i = 0; i < c.n; i++) {
        struct entry *x = &c.entries[i];
        free(x->measured);
        evaluated_free(&x->run);
        finished_free(&x->finished);
        subject_free(&x->subject);
    }
    free(c.entries);
    names_free(c.suites);
    aids_free(&c.o.aids);
    json_decref(c.comparison);
    return status;
}

const struct command command_compare = {
    .name = "compare",
    .summary = "what candidates lose and gain against a baseline, with intervals",
    .usage =
        "BASELINE CANDIDATE... [options]\n\n"
        "Each is a subject, MODEL[@BACKEND][+MATH], that is run now, or the folder of a run that was made before. A\n"
        "candidate that is @BACKEND alone is the baseline's model in that backend, one that is +fast alone the "
        "baseline\n"
        "as it is deployed. Numbers are compared where their protocols are the same; else the part that differs is\n"
        "named.",
    .examples = "  kerf compare millbrook-llama@f32 @int8:absmax @gguf:q8_0 @gguf:q4_0\n"
                "  kerf compare model-folder@f16 @gguf:q4_k @gguf:q4_k+fast --suite stories --limit 50\n"
                "  kerf compare model.gguf other.gguf --suite endings --limit 200 --out night\n"
                "  kerf compare millbrook-llama --suite translation --decode greedy --decode beam:4\n"
                "  kerf compare night/runs/model.gguf night/runs/other.gguf --out again\n",
    .run = run,
};
