#include "cli/evaluate.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "suites/catalog.h"
#include "suites/journal.h"
#include "version.h"

#include <math.h>
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
        math_option(&o->math),
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores); results are the same bits for any number",
         .number = &o->threads, .least = 1},
        {"--batch", OPTION_NUMBER, "N", "sequences in one pass (default: 32); results are the same bits for any",
         .number = &o->batch, .least = 1},
        {"--memory", OPTION_SIZE, "SIZE", "for keys and values, activations and logits (default: 1G; K, M, G)",
         .number = &o->memory, .least = 1},
        {"--samples", OPTION_TEXT, "JSON|FILE", "these documents of suites alone: {\"endings\": [0, 7]}",
         .text = &o->samples},
        {"--decode", OPTION_TEXT, "SPEC", "how texts are decoded, in place of the suites' strategies",
         .text = &o->decode},
        {"--seed", OPTION_NUMBER, "N", "seed of resampling and of sampled texts (default: 1234)", .number = &o->seed},
        {"--fresh", OPTION_FLAG, NULL, "do again what an interrupted run into the folder has done", .flag = &o->fresh},
        {"--apply-chat-template", OPTION_FLAG, NULL, "refused: prompts are what suites write, without a chat's frame",
         .flag = &o->chat_template},
        {"--out", OPTION_TEXT, "DIR", out_help, .text = &o->out}};
    memcpy(table, rows, sizeof rows);
    struct option *more = table + EVALUATE_OPTIONS - 1 - AIDS_OPTIONS - PROFILING_OPTIONS;
    profiling_rows(&o->profiling, more);
    aids_options(&o->aids, more + PROFILING_OPTIONS);
}

int evaluate_folder(const char *folder, struct error *e)
{
    if (!*folder) return error_set(e, ERROR_USAGE, "--out: an empty name is no folder");
    int status = folder_make(folder, e);
    if (!status) status = journal_lock(folder, e);
    char *path = status ? NULL : path_join(folder, "run.json", e);
    if (!status) status = path ? output_try_file(path, e) : ERROR_IO;
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

/* --samples: NULL where it is not given; to be released. A task that is not run is a slip of the fingers. */
static int read_samples(const struct evaluate_options *o, json_t **out, struct error *e)
{
    const char *given = o->samples;
    *out = NULL;
    if (!given) return 0;
    *out = given[strspn(given, " \t\n")] == '{' ? json_read_bytes(given, strlen(given), "--samples", e)
                                                : json_read_file(given, e);
    if (!*out) return (int)e->code;
    const char *task;
    const json_t *indices;
    bool good = json_is_object(*out);
    json_object_foreach(*out, task, indices) good = good && json_is_array(indices);
    if (good) return 0;
    json_decref(*out);
    *out = NULL;
    return error_set(e, ERROR_USAGE, "--samples: must be like {\"endings\": [0, 7]}: lists of documents by suites");
}

/* Takes the suite's documents out of the samples, so that what is left in the end is nobody's. */
static void claim_samples(json_t *samples, const struct suite *s)
{
    const char *task = json_string_value(json_object_get(s->settings, "task"));
    json_object_del(samples, s->name);
    if (task) json_object_del(samples, task);
}

static int check_samples(json_t *left, struct error *e)
{
    void *first = json_object_iter(left);
    if (!first) return 0;
    return error_set(e, ERROR_USAGE, "--samples: \"%.60s\" is no suite of this run: name it by --suite",
                     json_object_iter_key(first));
}

/* A broken file shows before hours of work, not after; so do two suites whose samples would go to one file. */
static int check_suites(const struct evaluate_options *o, char *const *names, size_t n, struct error *e)
{
    struct table seen = {0};
    json_t *samples = NULL;
    struct decode decode;
    struct suite **suites = memory_new(n, sizeof *suites, "suites", e);
    int status = suites ? read_samples(o, &samples, e) : ERROR_IO;
    if (!status && o->decode && decode_parse(&decode, o->decode, e)) status = error_prefix(e, "--decode");
    for (size_t i = 0; i < n && !status; i++) {
        bool twice = false;
        status = suite_load(&suites[i], names[i], e);
        if (!status) status = table_add(&seen, suites[i]->name, strlen(suites[i]->name), 0, &twice, e);
        if (!status && twice)
            status = error_set(e, ERROR_USAGE,
                               "--suite %s: another suite given is called \"%s\" too: change its task:", names[i],
                               suites[i]->name);
        if (!status) claim_samples(samples, suites[i]);
    }
    if (!status) status = check_samples(samples, e);
    json_decref(samples);
    for (size_t i = 0; suites && i < n; i++) suite_free(suites[i]);
    free(suites);
    table_free(&seen);
    return status;
}

/* With --decode a suite that sweeps strategies is one suite: its entries lose theirs. */
static int drop_strategies(char **names, struct error *e)
{
    int status = 0;
    for (char **name = names; *name && !status; name++) {
        char *path = NULL, *spec = NULL;
        status = suite_locate(*name, &path, &spec, e);
        if (!status && spec) *strrchr(*name, '@') = 0;
        free(path);
        free(spec);
    }
    return status;
}

int evaluate_suites(const struct evaluate_options *o, char ***names, size_t *n, struct error *e)
{
    static const char *const all[] = {"millbrook", NULL};
    int status = 0;
    *names = NULL;
    *n = 0;
    if (o->chat_template)
        return error_set(e, ERROR_USAGE,
                         "--apply-chat-template: chat templates are out of scope: prompts are what suites write; write "
                         "the frame into doc_to_text");
    for (const char *const *given = o->suites[0] ? o->suites : all; *given && !status; given++) {
        char **expanded;
        status = suite_expand(*given, &expanded, e);
        if (status) break;
        if (o->decode) status = drop_strategies(expanded, e);
        if (!status) status = append_names(names, n, expanded, e);
        names_free(expanded);
    }
    if (!status) status = check_suites(o, *names, *n, e);
    if (status) {
        names_free(*names);
        *names = NULL;
    }
    return status;
}

/* Version, commit, and the program itself: one that was changed and not committed is another one. */
static void name_build(char *out, size_t size)
{
    struct file program;
    char hash[HASH_HEX] = "";
    if (file_map(&program, "/proc/self/exe", NULL) == 0) hash_hex(program.data, program.size, hash);
    file_unmap(&program);
    snprintf(out, size, "%s %s %.16s", KERF_VERSION, KERF_COMMIT, hash);
}

static bool on_progress(void *user, const char *suite, size_t done, size_t total, int64_t tokens)
{
    struct progress *p = user;
    p->tokens = tokens;
    return progress_update(p, suite, done, total);
}

static void on_resumed(void *user, const char *suite, size_t done, size_t total)
{
    progress_wipe(user);
    note("note: %s: %zu of %zu items were done before (--fresh does them again)", suite, done, total);
}

static void iso_time(char out[32])
{
    time_t t = time(NULL);
    struct tm utc;
    gmtime_r(&t, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static int run_suites(const struct model *m, const struct subject *s, char *const *suites,
                      const struct evaluate_options *o, const struct evaluate_beside *beside, const struct watch *watch,
                      struct evaluated *out, struct error *e)
{
    struct progress progress;
    progress_open(&progress, s->name);
    json_t *samples = NULL;
    struct decode decode;
    char build[128];
    name_build(build, sizeof build);
    int status = read_samples(o, &samples, e);
    if (!status && o->decode) status = decode_parse(&decode, o->decode, e);
    struct run_options options = {.limit = (size_t)o->limit,
                                  .samples = samples,
                                  .batch = (size_t)o->batch,
                                  .memory = (size_t)o->memory,
                                  .resampling = evaluate_resampling(o),
                                  .decode = o->decode ? &decode : NULL,
                                  .seed = &o->seed,
                                  .folder = o->out,
                                  .build = build,
                                  .fresh = o->fresh,
                                  .baseline = {beside->run, beside->decoding_differs, beside->model, beside->name},
                                  .watch = watch,
                                  .user = &progress,
                                  .progress = on_progress,
                                  .resumed = on_resumed};
    for (size_t i = 0; suites[i] && !status; i++) {
        status = suite_run(m, suites[i], &options, &out->results[i], e);
        if (!status) out->n_suites++;
    }
    progress_close(&progress);
    json_decref(samples);
    return status;
}

/* Of the subject itself: what the baseline's model took beside it is not its cost. */
static struct cost cost_since(struct cost start, const struct evaluated *x)
{
    struct cost own = {0};
    cost_add(&own, start);
    for (size_t i = 0; i < x->n_suites; i++) {
        own.seconds -= x->results[i].beside.seconds;
        own.cpu_seconds -= x->results[i].beside.cpu_seconds;
    }
    return own;
}

/* What the hardware spent, and when and where. */
static bool add_costs(json_t *run, const char *started, struct cost cost, size_t peak)
{
    json_t *cpu = json_is_null(json_object_get(run, "seconds")) ? json_null() : json_real(cost.cpu_seconds);
    return record_build(run) && !json_object_set_new(run, "started", json_string(started)) &&
           !json_object_set_new(run, "peak_bytes", json_integer((json_int_t)peak)) &&
           !json_object_set_new(run, "counters", json_pack("{s:o}", "cpu_seconds", cpu));
}

/* What its subject is opened with: as subject_open() does it, and with a watch. */
static int open_watched(const struct subject *s, struct aids *aids, const struct watch *watch, struct model **m,
                        struct error *e)
{
    int status = aids_find(aids, s, e);
    if (status) return status;
    struct progress progress;
    progress_open(&progress, s->name);
    struct model_options options = subject_options(s, aids, &progress);
    options.watch = watch;
    status = model_open(m, s->path, &options, e);
    progress_close(&progress);
    if (!status) subject_notes(s, model_facts(*m));
    return status;
}

static int measure_machine(struct evaluate_options *o, const char *label, double *seconds, struct error *e)
{
    *seconds = NAN;
    if (o->limits_known) return 0;
    const double start = seconds_now();
    const int status = profiling_limits(&o->limits, label, e);
    *seconds = seconds_now() - start;
    o->limits_known = !status;
    return status;
}

/* Where a profile was asked for: it, and what it comes to among the counters. */
static int add_profile(const struct subject *s, const struct model *m, const struct profiling *x,
                       struct evaluate_options *o, size_t peak, struct evaluated *out, struct error *e)
{
    if (!x->profile) return 0;
    struct profiled what = {
        .m = m, .fast = s->math == MATH_FAST, .peak_resident = peak ? (double)peak : NAN, .limits = &o->limits};
    for (size_t i = 0; i < out->n_suites; i++) {
        const json_t *tokens = json_object_get(json_object_get(out->results[i].record, "tokens"), "computed");
        what.tokens += json_integer_value(tokens);
        what.resumed |= out->results[i].resumed;
        what.beside += out->results[i].beside.seconds;
    }
    const int status = measure_machine(o, s->name, &what.limits_seconds, e);
    if (status) return status;
    json_t *profile = profiling_record(x, &what, e);
    if (!profile) return (int)e->code;
    const bool good = profiling_counters(x, &what, json_object_get(out->run, "counters"));
    if (json_object_set_new(out->run, "profile", profile) || !good)
        return error_set(e, ERROR_IO, "out of memory for a record");
    return 0;
}

/* One subject, watched from before it is opened until its record is made. */
static int run_subject(const struct subject *s, char *const *suites, struct evaluate_options *o,
                       const struct evaluate_beside *beside, struct profiling *x, struct evaluated *out,
                       struct error *e)
{
    char started[32];
    iso_time(started);
    const struct cost start = cost_now();
    peak_reset();
    struct model *m;
    const struct watch *watch = profiling_watch(x);
    int status = open_watched(s, &o->aids, watch, &m, e);
    if (status) return status;
    status = run_suites(m, s, suites, o, beside, watch, out, e);
    const struct cost cost = cost_since(start, out);
    watch_enter(watch, PHASE_STATISTICS);
    if (!status) out->run = run_record(m, s->name, s->model, cost.seconds, out->results, out->n_suites, e);
    if (!status && !out->run) status = ERROR_IO;
    const size_t peak = peak_bytes();
    profiling_stop(x);
    if (!status && !add_costs(out->run, started, cost, peak))
        status = error_set(e, ERROR_IO, "out of memory for a record");
    if (!status) status = add_profile(s, m, x, o, peak, out, e);
    model_watch(m, NULL);
    if (!status && beside->keep_model)
        out->model = m;
    else
        model_close(m);
    return status;
}

int evaluate(const struct subject *s, char *const *suites, struct evaluate_options *o,
             const struct evaluate_beside *beside, struct evaluated *out, struct error *e)
{
    *out = (struct evaluated){0};
    struct profiling x;
    size_t n = 0;
    while (suites[n]) n++;
    int status = profiling_open(&x, &o->profiling, e);
    if (status) return status;
    out->results = memory_new(n, sizeof *out->results, "results", e);
    status = out->results ? profiling_start(&x, e) : ERROR_IO;
    if (!status) status = run_subject(s, suites, o, beside, &x, out, e);
    profiling_close(&x);
    if (status) evaluated_free(out);
    return status;
}

void evaluated_free(struct evaluated *x)
{
    for (size_t i = 0; i < x->n_suites; i++) suite_result_free(&x->results[i]);
    free(x->results);
    json_decref(x->run);
    model_close(x->model);
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
