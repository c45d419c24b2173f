#include "cli/inputs.h"
#include "cli/command.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "reports/cells.h"
#include "reports/foreign/foreign.h"
#include "reports/report.h"
#include "suites/finished.h"

#include <stdlib.h>
#include <string.h>

enum input_kind { INPUT_RUN, INPUT_COMPARISON, INPUT_FOREIGN };

struct input {
    enum input_kind kind;
    char *path; /* a folder, or another tool's file */
};

struct gathering {
    struct input *given;
    size_t n;
    struct finished *runs;
    size_t n_runs;
};

/* --- what was given --- */

bool folder_holds(const char *folder, const char *name)
{
    char *path = path_join(folder, name, NULL);
    const bool there = path && path_exists(path);
    free(path);
    return there;
}

char *record_folder(const char *path, struct error *e)
{
    const char *name = path_name(path);
    const bool is_record = strcmp(name, "run.json") == 0 || strcmp(name, "compare.json") == 0;
    if (!is_record || path_is_folder(path)) return memory_string(path, e);
    if (name == path) return memory_string(".", e);
    return memory_bytes(path, name == path + 1 ? 1 : (size_t)(name - path - 1), e);
}

static int take_input(struct input *in, const char *path, struct error *e)
{
    const char *name = path_name(path);
    if (!path_exists(path)) return error_set(e, ERROR_IO, "%s: no such file or folder", path);
    if (!(in->path = record_folder(path, e))) return ERROR_IO;
    in->kind = INPUT_FOREIGN;
    if (!path_is_folder(in->path)) return 0;
    const bool run = folder_holds(in->path, "run.json") && strcmp(name, "compare.json") != 0;
    const bool comparison = folder_holds(in->path, "compare.json") && strcmp(name, "run.json") != 0;
    if (!run && !comparison)
        return error_set(e, ERROR_INPUT,
                         "%s: holds neither run.json nor compare.json: what kerf eval and kerf compare "
                         "write with --out is meant",
                         path);
    in->kind = comparison ? INPUT_COMPARISON : INPUT_RUN;
    return 0;
}

/* Another tool's file that was given before; of runs it is the runs within comparisons, too, that are looked at. */
static bool was_given(const struct gathering *g, const struct input *in)
{
    bool given = false;
    for (size_t i = 0; i < g->n && in->kind == INPUT_FOREIGN; i++)
        given = given || (g->given[i].kind == INPUT_FOREIGN && path_same(g->given[i].path, in->path));
    return given;
}

static int add_input(struct gathering *g, const char *path, struct error *e)
{
    struct input in = {0};
    const int status = take_input(&in, path, e);
    if (status || was_given(g, &in))
        free(in.path);
    else
        g->given[g->n++] = in;
    return status;
}

static size_t count_kind(const struct gathering *g, enum input_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) n += g->given[i].kind == kind;
    return n;
}

/* --- runs --- */

void run_tell_apart(json_t *run, const char *folder, const char *const *taken, size_t n)
{
    json_t *subject = json_object_get(run, "subject");
    const char *name = json_string_value(json_object_get(subject, "name"));
    bool same = false;
    for (size_t i = 0; i < n && name; i++) same = same || (taken[i] && strcmp(taken[i], name) == 0);
    if (!same) return;
    struct text whole = {0};
    text_printf(&whole, "%s (%s)", name, folder);
    json_object_set_new(subject, "name", json_text(text_c(&whole), whole.length));
    text_free(&whole);
}

int run_read(struct finished *f, const char *folder, struct error *e)
{
    struct text table = {0};
    int status = finished_read(f, folder, e);
    if (status) return status;
    status = report_run_table(f->run, &(struct table_style){.width = 100}, &table, e);
    text_free(&table);
    if (!status) return 0;
    finished_free(f);
    return error_prefix(e, "%s/run.json", folder);
}

static const char *run_name(const struct finished *f)
{
    return json_string_value(json_object_get(json_object_get(f->run, "subject"), "name"));
}

/* The same run given twice, by itself and within a comparison, is one run. */
static bool is_there(const struct gathering *g, const char *place)
{
    for (size_t i = 0; i < g->n_runs; i++) {
        const char *other = json_string_value(json_object_get(g->runs[i].run, "folder"));
        if (other && strcmp(other, place) == 0) return true;
    }
    return false;
}

static int add_run(struct gathering *g, const char *folder, struct error *e)
{
    char *place = realpath(folder, NULL);
    if (!place) return error_errno(e, folder, "find");
    if (is_there(g, place)) return free(place), 0;
    struct finished *grown = realloc(g->runs, (g->n_runs + 1) * sizeof *grown);
    int status = grown ? 0 : error_set(e, ERROR_IO, "out of memory for runs");
    if (grown) g->runs = grown;
    if (!status) status = run_read(&g->runs[g->n_runs], folder, e);
    if (!status) {
        struct finished *f = &g->runs[g->n_runs++];
        const char **taken = memory_new(g->n_runs, sizeof *taken, "names", e);
        for (size_t i = 0; taken && i + 1 < g->n_runs; i++) taken[i] = run_name(&g->runs[i]);
        if (taken) run_tell_apart(f->run, folder, taken, g->n_runs - 1);
        json_object_set_new(f->run, "folder", json_text(place, strlen(place)));
        status = taken ? 0 : ERROR_IO;
        free(taken);
    }
    free(place);
    return status;
}

static json_t *read_comparison(const char *folder, struct error *e)
{
    char *path = path_join(folder, "compare.json", e);
    json_t *v = path ? json_read_file(path, e) : NULL;
    if (v && !json_is_object(v)) {
        error_set(e, ERROR_INPUT, "%s: must be an object, as kerf compare writes it", path);
        json_decref(v);
        v = NULL;
    }
    free(path);
    return v;
}

static int cannot_compare_anew(const char *folder, size_t i, const json_t *subject, struct error *e)
{
    const json_t *source = json_object_get(subject, "source");
    const char *tool = json_string_value(json_object_get(source, "tool"));
    const char *file = json_string_value(json_object_get(source, "file"));
    if (!tool || !file)
        return error_set(e, ERROR_INPUT, "%s/compare.json: subjects[%zu]: has no run: it cannot be compared anew",
                         folder, i);
    return error_set(e, ERROR_INPUT,
                     "%s/compare.json: subjects[%zu]: is of %s: give %s itself, and the runs beside it one by one",
                     folder, i, tool, file);
}

/* The runs of a comparison, one by one. */
static int add_runs_of(struct gathering *g, const char *folder, struct error *e)
{
    json_t *comparison = read_comparison(folder, e), *subject;
    int status = comparison ? 0 : (int)e->code;
    size_t i;
    json_array_foreach(json_object_get(comparison, "subjects"), i, subject)
    {
        const char *run = json_string_value(json_object_get(subject, "run"));
        if (status) break;
        if (!run) {
            status = cannot_compare_anew(folder, i, subject, e);
            break;
        }
        char *path = *run == '/' ? memory_string(run, e) : path_join(folder, run, e);
        status = path ? add_run(g, path, e) : ERROR_IO;
        free(path);
    }
    json_decref(comparison);
    return status;
}

/* One that is taken as it is, every field of it checked. */
static int take_comparison(struct inputs *in, const char *folder, struct error *e)
{
    struct report r;
    in->comparison = read_comparison(folder, e);
    in->folder = in->comparison ? memory_string(folder, e) : NULL;
    if (!in->folder) return (int)e->code;
    const int status = report_read_comparison(&r, in->comparison, e);
    if (status) return error_prefix(e, "%s/compare.json", folder);
    report_close(&r);
    return 0;
}

/* --- together --- */

static json_t *empty_comparison(void)
{
    return json_pack("{s:s, s:[], s:[], s:[], s:{s:n, s:n}}", "schema", "kerf-compare-1", "subjects", "rows",
                     "canaries", "resampling", "resamples", "seed");
}

static json_t *compare_runs(const struct gathering *g, int64_t seed, struct error *e)
{
    if (!g->n_runs) return empty_comparison();
    struct contender *all = memory_new(g->n_runs, sizeof *all, "subjects", e);
    if (!all) return NULL;
    for (size_t i = 0; i < g->n_runs; i++) all[i] = g->runs[i].contender;
    const struct compare_options how = {.resampling = {.seed = (uint64_t)seed}, .force = true};
    json_t *comparison = compare_record(all, g->n_runs, &how, e);
    free(all);
    return comparison;
}

/* What a file had and no row could be made of. */
static void tell_left_out(const json_t *run, const char *path)
{
    size_t i;
    const json_t *line;
    const json_t *source = json_object_get(json_object_get(run, "subject"), "source");
    json_array_foreach(json_object_get(source, "left_out"), i, line)
    {
        if (json_is_string(line)) note("note: %s: left out: %s", path, json_string_value(line));
    }
}

static int add_foreign(json_t *comparison, const char *path, struct error *e)
{
    json_t *runs = foreign_read(path, e), *run;
    int status = runs ? 0 : (int)e->code;
    size_t i;
    json_array_foreach(runs, i, run)
    {
        if (!status) status = comparison_add(comparison, run, e);
        if (!status) tell_left_out(run, path);
    }
    json_decref(runs);
    return status;
}

static int gather(struct gathering *g, struct inputs *in, int64_t seed, struct error *e)
{
    int status = 0;
    const bool as_it_is = count_kind(g, INPUT_COMPARISON) == 1 && !count_kind(g, INPUT_RUN);
    for (size_t i = 0; i < g->n && !status; i++) {
        const char *path = g->given[i].path;
        if (g->given[i].kind == INPUT_RUN) status = add_run(g, path, e);
        if (g->given[i].kind != INPUT_COMPARISON) continue;
        status = as_it_is ? take_comparison(in, path, e) : add_runs_of(g, path, e);
    }
    if (status) return status;
    if (!as_it_is) {
        in->comparison = compare_runs(g, seed, e);
        in->folder = in->comparison ? memory_string(".", e) : NULL;
        if (!in->folder) return e->code ? (int)e->code : ERROR_IO;
        if (!record_build(in->comparison)) return error_set(e, ERROR_IO, "out of memory for a record");
    }
    for (size_t i = 0; i < g->n && !status; i++)
        if (g->given[i].kind == INPUT_FOREIGN) status = add_foreign(in->comparison, g->given[i].path, e);
    return status;
}

int inputs_read(struct inputs *in, char *const *paths, size_t n, int64_t seed, struct error *e)
{
    *in = (struct inputs){0};
    struct gathering g = {0};
    g.given = memory_new(n, sizeof *g.given, "inputs", e);
    int status = g.given ? 0 : ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) status = add_input(&g, paths[i], e);
    if (!status) status = gather(&g, in, seed, e);
    for (size_t i = 0; i < g.n; i++) free(g.given[i].path);
    for (size_t i = 0; i < g.n_runs; i++) finished_free(&g.runs[i]);
    free(g.given);
    free(g.runs);
    if (status) inputs_free(in);
    return status;
}

void inputs_free(struct inputs *in)
{
    json_decref(in->comparison);
    free(in->folder);
    *in = (struct inputs){0};
}
