/* kerf bench model: tokens a second of whole models, and how that stands to
 * what the machine can do.
 *
 * The repetitions of all subjects, and of the machine's own meters, take turns,
 * so that a machine that gets slower or faster in between does so for all of
 * them. */
#include "cli/bench_model.h"
#include "engine/base/memory.h"
#include "engine/base/number.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_REPEATS = 10000, MOST_TOKENS = 1 << 24 };

struct settings {
    struct model_bench bench;
    struct aids aids;
    const char *tokens[BENCH_KINDS], *depths; /* lists of numbers */
    const char *math, *against;
    bool no_memory, no_machine, json, csv, markdown;
};

enum { ROWS = 16, OPTIONS = ROWS + PROFILING_OPTIONS + AIDS_OPTIONS + 1 };

static void make_options(struct settings *s, struct option table[OPTIONS])
{
    struct bench_how *how = &s->bench.how;
    *s = (struct settings){.bench.how = {.batch = PASS_TOKENS, .repeat = 5, .seed = 1234},
                           .tokens = {"512", "128", "0"},
                           .depths = "0",
                           .math = "exact"};
    const struct option rows[ROWS] = {
        {"-p", OPTION_TEXT, "N,...", "pp: tokens of the prompt, a test for each N (default: 512; 0: none)",
         .text = &s->tokens[BENCH_PP]},
        {"-n", OPTION_TEXT, "N,...", "tg: tokens that are generated (default: 128; 0: none)",
         .text = &s->tokens[BENCH_TG]},
        {"--ppl", OPTION_TEXT, "N,...", "ppl: tokens of a window that are all scored (default: 0, none)",
         .text = &s->tokens[BENCH_PPL]},
        {"-d", OPTION_TEXT, "N,...", "tokens that are there before, every test for each N (default: 0)",
         .text = &s->depths},
        {"-b", OPTION_NUMBER, "N", "tokens in one pass, of pp and ppl (default: 2048)", .number = &how->batch,
         .least = 1},
        {"-r", OPTION_NUMBER, "N", "repetitions, after one that warms up (default: 5)", .number = &how->repeat,
         .least = 1},
        {"--math", OPTION_TEXT, "NAME", "of subjects that do not say: exact (default), fast, or both",
         .text = &s->math},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores)", .number = &how->threads, .least = 1},
        {"--parts", OPTION_FLAG, NULL, "also where the time goes", .flag = &s->bench.shows_parts},
        {"--against", OPTION_TEXT, "FILE",
         "other programs' speed of such a model (JSON), scaled by sgemm here over sgemm there", .text = &s->against},
        {"--no-memory", OPTION_FLAG, NULL, "leave out the peaks, for which every model is opened once more",
         .flag = &s->no_memory},
        {"--no-machine", OPTION_FLAG, NULL, "leave out the machine's limits, a second or so for each repetition",
         .flag = &s->no_machine},
        {"--seed", OPTION_NUMBER, "N", "of the random tokens (default: 1234)", .number = &how->seed},
        {"--json", OPTION_FLAG, NULL, "everything as JSON, with each repetition's time", .flag = &s->json},
        {"--csv", OPTION_FLAG, NULL, "a line for each test", .flag = &s->csv},
        {"--markdown", OPTION_FLAG, NULL, "the table as Markdown, with llama-bench's columns", .flag = &s->markdown}};
    memcpy(table, rows, sizeof rows);
    profiling_rows(&s->bench.profiling, table + ROWS);
    aids_options(&s->aids, table + ROWS + PROFILING_OPTIONS);
}

struct numbers {
    int64_t values[BENCH_TESTS];
    size_t n;
};

/* "128,512" */
static int read_numbers(const char *option, const char *list, struct numbers *out, struct error *e)
{
    out->n = 0;
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char digits[32];
        const int length = (int)strcspn(at, ",");
        int64_t value = -1;
        snprintf(digits, sizeof digits, "%.*s", length, at);
        if (length >= (int)sizeof digits || !number_whole(digits, &value) || value < 0)
            return error_set(e, ERROR_USAGE, "%s: \"%s\" must be whole numbers of at least 0, with commas between them",
                             option, list);
        if (value > MOST_TOKENS)
            return error_set(e, ERROR_USAGE, "%s: %lld tokens are more than %d", option, (long long)value, MOST_TOKENS);
        if (out->n == BENCH_TESTS) return error_set(e, ERROR_USAGE, "%s: more than %d numbers", option, BENCH_TESTS);
        out->values[out->n++] = value;
    }
    return 0;
}

/* In llama-bench's order: for each depth the prompts, then what is generated. */
static int add_tests(struct settings *s, struct error *e)
{
    static const char *const options[BENCH_KINDS] = {"-p", "-n", "--ppl"};
    struct model_bench *b = &s->bench;
    struct numbers tokens, depths;
    int status = read_numbers("-d", s->depths, &depths, e);
    for (size_t i = 0; i < (size_t)BENCH_KINDS * depths.n && !status; i++) {
        const enum bench_kind kind = (enum bench_kind)(i % BENCH_KINDS);
        status = read_numbers(options[kind], s->tokens[kind], &tokens, e);
        for (size_t k = 0; k < tokens.n && !status; k++) {
            if (!tokens.values[k]) continue;
            if (b->n_tests == BENCH_TESTS) return error_set(e, ERROR_USAGE, "more than %d tests", BENCH_TESTS);
            b->tests[b->n_tests++] = bench_test_of(kind, tokens.values[k], depths.values[i / BENCH_KINDS]);
        }
    }
    if (status || b->n_tests) return status;
    return error_set(e, ERROR_USAGE, "-p 0, -n 0 and --ppl 0: no test is left");
}

static int check_settings(struct settings *s, size_t n, struct error *e)
{
    struct model_bench *b = &s->bench;
    if (!n) return error_set(e, ERROR_USAGE, "bench model takes at least one SUBJECT");
    if (s->json + s->csv + s->markdown > 1)
        return error_set(e, ERROR_USAGE, "--json, --csv and --markdown: one of them, not more");
    if (b->how.repeat > MOST_REPEATS)
        return error_set(e, ERROR_USAGE, "-r: %lld is more than %d", (long long)b->how.repeat, MOST_REPEATS);
    if (strcmp(s->math, "exact") && strcmp(s->math, "fast") && strcmp(s->math, "both"))
        return error_set(e, ERROR_USAGE, "--math %s: must be exact, fast or both", s->math);
    b->measures_memory = !s->no_memory;
    b->measures_machine = !s->no_machine;
    return add_tests(s, e);
}

/* --- contenders --- */

static int name_model(struct contender *c, struct error *e)
{
    const char *name = c->subject.name;
    const size_t n = strlen(name), end = text_ends_with(name, "+fast") && c->subject.math == MATH_FAST ? 5 : 0;
    c->model = memory_bytes(name, n - end, e);
    return c->model ? 0 : ERROR_IO;
}

/* In `math` where the text does not say which. */
static int add_contender(struct model_bench *b, const char *text, enum math math, struct error *e)
{
    struct contender *c = &b->all[b->n];
    int status = subject_parse_math(&c->subject, text, b->n ? &b->all[0].subject : NULL, math, e);
    b->n++; /* also after a failure: there may be something to free */
    if (!status) status = name_model(c, e);
    for (size_t i = 0; i < b->n_tests && !status; i++) {
        c->cells[i].seconds = memory_new((size_t)b->how.repeat, sizeof *c->cells[i].seconds, "times", e);
        if (!c->cells[i].seconds) status = ERROR_IO;
    }
    return status;
}

static void drop_contender(struct model_bench *b, struct contender *c)
{
    for (size_t k = 0; k < b->n_tests; k++) {
        free(c->cells[k].seconds);
        bench_room_close(&c->cells[k].room);
        json_decref(c->cells[k].profile);
    }
    cache_free(c->cache);
    model_close(c->m);
    subject_free(&c->subject);
    free(c->model);
    *c = (struct contender){0};
}

/* In both maths one after the other, unless the text says which. */
static int add_in_both(struct model_bench *b, const char *text, struct error *e)
{
    const size_t first = b->n;
    int status = add_contender(b, text, MATH_EXACT, e);
    if (!status && b->all[first].subject.math == MATH_EXACT) status = add_contender(b, text, MATH_FAST, e);
    if (status || b->n == first + 1 || b->all[first + 1].subject.math == MATH_FAST) return status;
    drop_contender(b, &b->all[--b->n]);
    return 0;
}

static int add_all(struct settings *s, char **operands, size_t n, struct error *e)
{
    struct model_bench *b = &s->bench;
    const enum math math = strcmp(s->math, "fast") == 0 ? MATH_FAST : MATH_EXACT;
    const bool both = strcmp(s->math, "both") == 0;
    b->all = memory_new(n, 2 * sizeof *b->all, "subjects", e);
    int status = b->all ? 0 : ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) {
        status = both ? add_in_both(b, operands[i], e) : add_contender(b, operands[i], math, e);
        if (!status) status = aids_find(&s->aids, &b->all[b->n - 1].subject, e);
    }
    return status;
}

int bench_open(struct contender *c, const struct aids *aids, struct progress *progress, struct error *e)
{
    const struct model_options options = subject_options(&c->subject, aids, progress);
    return model_open(&c->m, c->subject.path, &options, e);
}

static int open_models(struct model_bench *b, const struct aids *aids, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < b->n && !status; i++) {
        struct contender *c = &b->all[i];
        status = bench_open(c, aids, &b->progress, e);
        if (status) break;
        progress_wipe(&b->progress);
        if (!i || strcmp(c->model, b->all[i - 1].model)) subject_notes(&c->subject, model_facts(c->m));
        for (size_t k = 0; k < b->n_tests && !status; k++) status = bench_check(c, &b->tests[k], e);
        bench_work(c);
    }
    return status;
}

/* Before this process has any thread: the children are copies of it. */
static int measure_memory(struct model_bench *b, const struct aids *aids, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < b->n && b->measures_memory && !status; i++) {
        struct contender *c = &b->all[i];
        if (!progress_update(&b->progress, "memory", i, b->n)) return error_set(e, ERROR_INTERRUPTED, "interrupted");
        status = bench_memory(b, c, aids, e);
    }
    return status;
}

/* --- turns --- */

/* Of repetition -1, which warms up, generating takes one token alone, as in llama-bench. */
static int one_turn(struct model_bench *b, struct contender *c, size_t test, int64_t i, struct error *e)
{
    const struct bench_test *t = &b->tests[test];
    struct bench_cell *cell = &c->cells[test];
    struct bench_run run;
    int status = cell->room.ids ? 0 : bench_room_open(&cell->room, c, t, e);
    if (!status) status = bench_run(c, t, &b->how, i < 0 && t->kind == BENCH_TG ? 1 : t->tokens, &cell->room, &run, e);
    if (status || i < 0) return status;
    cell->seconds[i] = run.seconds;
    for (size_t k = 0; k < BENCH_REST; k++) cell->parts[k] += run.parts[k];
    return 0;
}

static int one_round(struct model_bench *b, int64_t i, struct error *e)
{
    const size_t cells = b->n * b->n_tests, total = cells * (size_t)(b->how.repeat + 1);
    for (size_t k = 0; k < cells; k++) {
        struct contender *c = &b->all[k % b->n];
        if (!progress_update(&b->progress, c->subject.name, (size_t)(i + 1) * cells + k, total))
            return error_set(e, ERROR_INTERRUPTED, "interrupted");
        int status = one_turn(b, c, k / b->n, i, e);
        if (status) return status;
    }
    return 0;
}

static bool on_meter(void *user, size_t done, size_t total) { return progress_update(user, "machine", done, total); }

static int all_rounds(struct model_bench *b, struct machine *meters, struct error *e)
{
    int status = 0;
    for (int64_t i = -1; i < b->how.repeat && !status; i++) {
        if (meters && i >= 0) status = machine_round(meters, on_meter, &b->progress, e);
        if (!status) status = one_round(b, i, e);
    }
    if (meters && !status) machine_read(meters, &b->limits);
    return status;
}

static int measure(struct settings *s, struct error *e)
{
    struct model_bench *b = &s->bench;
    struct machine *meters = NULL;
    int status = measure_memory(b, &s->aids, e);
    if (!status) status = engine_open(b->how.threads, e);
    if (!status) status = profiling_check(&b->profiling, e);
    if (!status) status = open_models(b, &s->aids, e);
    if (!status && b->measures_machine) status = machine_open(&meters, e);
    if (!status) status = all_rounds(b, meters, e);
    machine_close(meters);
    return status ? status : bench_profiles(b, e);
}

/* --- the command --- */

static int print(const struct settings *s, struct error *e)
{
    const struct model_bench *b = &s->bench;
    if (s->json) return bench_print_json(b, e);
    if (s->csv) return bench_print_csv(b, e);
    return s->markdown ? bench_print_markdown(b, e) : bench_print_table(b, e);
}

static void settings_free(struct settings *s)
{
    struct model_bench *b = &s->bench;
    for (size_t i = 0; i < b->n; i++) drop_contender(b, &b->all[i]);
    free(b->all);
    bench_peers_close(&b->peers);
    aids_free(&s->aids);
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct settings s;
    struct option options[OPTIONS] = {0};
    make_options(&s, options);
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status) status = check_settings(&s, n, e);
    if (!status && s.against) status = bench_peers_open(&s.bench.peers, s.against, e);
    if (!status) status = add_all(&s, operands, n, e);
    progress_catch_signals();
    progress_open(&s.bench.progress, "bench model");
    if (!status) status = measure(&s, e);
    progress_close(&s.bench.progress);
    if (!status) status = print(&s, e);
    settings_free(&s);
    return status;
}

const struct command bench_model = {
    .name = "model",
    .summary = "tokens a second of whole models, as llama-bench counts them, "
               "and their share of what the machine can do",
    .usage = "SUBJECT... [options]",
    .run = run,
};
