#include "cli/evaluate.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

void evaluate_table(struct evaluate_options *o, struct option table[EVALUATE_OPTIONS], const char *out_help)
{
    *o = (struct evaluate_options){.batch = 32, .seed = 1234};
    const struct option rows[EVALUATE_OPTIONS] = {
        {"--suite", OPTION_LIST, "NAME|FILE", "a suite or group, may be repeated (default: the group millbrook)",
         .list = o->suites},
        {"--limit", OPTION_NUMBER, "N", "the first N items of each suite (default: all)", .number = &o->limit,
         .least = 1},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores); results are the same bits for any number",
         .number = &o->threads, .least = 1},
        {"--batch", OPTION_NUMBER, "N", "sequences in one pass (default: 32); results are the same bits for any",
         .number = &o->batch, .least = 1},
        {"--seed", OPTION_NUMBER, "N", "seed of the resampling behind intervals (default: 1234)", .number = &o->seed},
        {"--out", OPTION_TEXT, "DIR", out_help, .text = &o->out}};
    memcpy(table, rows, sizeof rows);
    aids_options(&o->aids, table + EVALUATE_OPTIONS - 1 - AIDS_OPTIONS);
}

int evaluate_folder(const char *folder, struct error *e)
{
    if (!*folder) return error_set(e, ERROR_USAGE, "--out: an empty name is no folder");
    int status = folder_make(folder, e);
    char *path = status ? NULL : path_join(folder, "run.json", e);
    if (!status) status = path ? output_try(path, e) : ERROR_IO;
    free(path);
    return status;
}

struct resampling evaluate_resampling(const struct evaluate_options *o)
{
    return (struct resampling){.seed = (uint64_t)o->seed};
}

static int append_names(char ***names, size_t *n, char **more, struct error *e)
{
    for (size_t i = 0; more[i]; i++) {
        bool there = false;
        for (size_t j = 0; j < *n; j++) there = there || strcmp((*names)[j], more[i]) == 0;
        if (there) continue;
        char **grown = realloc(*names, (*n + 2) * sizeof **names);
        if (!grown) return error_set(e, ERROR_IO, "out of memory for names");
        *names = grown;
        if (!(grown[*n] = memory_string(more[i], e))) return ERROR_IO;
        grown[++*n] = NULL;
    }
    return 0;
}

/* A broken file shows before hours of work, not after; so do two suites whose samples would go to one file. */
static int check_suites(char *const *names, size_t n, struct error *e)
{
    struct table seen = {0};
    struct suite **suites = memory_new(n, sizeof *suites, "suites", e);
    int status = suites ? 0 : ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) {
        bool twice = false;
        status = suite_load(&suites[i], names[i], e);
        if (!status) status = table_add(&seen, suites[i]->name, strlen(suites[i]->name), 0, &twice, e);
        if (!status && twice)
            status = error_set(e, ERROR_USAGE,
                               "--suite %s: another suite given is called \"%s\" too: change its task:", names[i],
                               suites[i]->name);
    }
    for (size_t i = 0; suites && i < n; i++) suite_free(suites[i]);
    free(suites);
    table_free(&seen);
    return status;
}

int evaluate_suites(const struct evaluate_options *o, char ***names, size_t *n, struct error *e)
{
    static const char *const all[] = {"millbrook", NULL};
    int status = 0;
    *names = NULL;
    *n = 0;
    for (const char *const *given = o->suites[0] ? o->suites : all; *given && !status; given++) {
        char **expanded;
        status = suite_expand(*given, &expanded, e);
        if (status) break;
        status = append_names(names, n, expanded, e);
        names_free(expanded);
    }
    if (!status) status = check_suites(*names, *n, e);
    if (status) {
        names_free(*names);
        *names = NULL;
    }
    return status;
}

static bool on_progress(void *user, const char *suite, size_t done, size_t total)
{
    return progress_update(user, suite, done, total);
}

static void iso_time(char out[32])
{
    time_t t = time(NULL);
    struct tm utc;
    gmtime_r(&t, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static int run_suites(const struct model *m, const struct subject *s, char *const *suites,
                      const struct evaluate_options *o, const struct evaluated *baseline, struct evaluated *out,
                      struct error *e)
{
    struct progress progress;
    progress_open(&progress, s->name);
    struct run_options options = {.limit = (size_t)o->limit,
                                  .batch = (size_t)o->batch,
                                  .resampling = evaluate_resampling(o),
                                  .user = &progress,
                                  .progress = on_progress};
    int status = 0;
    for (size_t i = 0; suites[i] && !status; i++) {
        status = suite_run(m, suites[i], &options, baseline ? &baseline->results[i] : NULL, &out->results[i], e);
        if (!status) out->n_suites++;
    }
    progress_close(&progress);
    return status;
}

int evaluate(const struct subject *s, char *const *suites, struct evaluate_options *o, const struct evaluated *baseline,
             struct evaluated *out, struct error *e)
{
    *out = (struct evaluated){0};
    char started[32];
    iso_time(started);
    double start = seconds_now();
    peak_reset();
    struct model *m;
    size_t n = 0;
    while (suites[n]) n++;
    out->results = memory_new(n, sizeof *out->results, "results", e);
    int status = out->results ? subject_open(s, &o->aids, &m, e) : ERROR_IO;
    if (status) {
        evaluated_free(out);
        return status;
    }
    status = run_suites(m, s, suites, o, baseline, out, e);
    if (!status) out->run = run_record(m, s->name, s->model, seconds_now() - start, out->results, n, e);
    if (!status && !out->run) status = ERROR_IO;
    if (!status) {
        bool whole = record_build(out->run);
        whole = whole && !json_object_set_new(out->run, "started", json_string(started)) &&
                !json_object_set_new(out->run, "peak_bytes", json_integer((json_int_t)peak_bytes()));
        if (!whole) status = error_set(e, ERROR_IO, "out of memory for a record");
    }
    model_close(m);
    if (status) evaluated_free(out);
    return status;
}

void evaluated_free(struct evaluated *x)
{
    for (size_t i = 0; i < x->n_suites; i++) suite_result_free(&x->results[i]);
    free(x->results);
    json_decref(x->run);
    *x = (struct evaluated){0};
}

struct table_style table_style(void)
{
    struct winsize size;
    bool terminal = isatty(STDOUT_FILENO) == 1;
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        return (struct table_style){.colour = !getenv("NO_COLOR"), .width = size.ws_col};
    const char *columns = getenv("COLUMNS");
    int width = columns ? atoi(columns) : 0;
    return (struct table_style){.colour = terminal && !getenv("NO_COLOR"), .width = width > 0 ? width : 140};
}
