/* kerf kernels: whether every kernel is right under every instruction set, what it costs, and whether that is more than
 * it was. */
#include "cli/kernels/results.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/number.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PAIRS = 15 }; /* of runs in turns, by default */

struct kernels_command {
    const char *only[OPTION_LIST_MOST], *isa, *count, *save, *check, *against, *tolerance, *junit, *markdown;
    int64_t rounds, seed;
    bool json;

    bool costs_only; /* for another kerf, which checks; in this process */
    bool inside;     /* under valgrind, for another kerf */
    double percent;  /* NaN: by the counter */
    struct cost_how how;
    struct kernel_plan plan;
    struct kernel_results results;
    struct costs baseline, now; /* the file's or the other program's; what was counted */
    struct costs *pairs;        /* [2 * n_pairs]: before, now */
    size_t n_pairs;
    struct cost_changes changes;
    bool compared;
    struct progress progress;
    double started;
};

/* --- what was asked for --- */

static int check_tolerance(struct kernels_command *c, struct error *e)
{
    c->percent = NAN;
    if (c->tolerance && (!number_real(c->tolerance, &c->percent) || c->percent < 0 || c->percent > 1000))
        return error_set(e, ERROR_USAGE, "--tolerance %s: must be a percentage from 0 to 1000", c->tolerance);
    if (c->tolerance && !c->check && !c->against)
        return error_set(e, ERROR_USAGE, "--tolerance: is for --check or --against");
    return 0;
}

static int check_files(const struct kernels_command *c, struct error *e)
{
    const char *const inputs[] = {c->check, c->against};
    const struct {
        const char *option, *path;
    } outputs[] = {{"--save", c->save}, {"--junit", c->junit}, {"--markdown", c->markdown}};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        if (!outputs[i].path) continue;
        for (size_t j = 0; j < i; j++)
            if (outputs[j].path && strcmp(outputs[i].path, outputs[j].path) == 0)
                return error_set(e, ERROR_USAGE, "%s %s: is the file of %s: give another name", outputs[i].option,
                                 outputs[i].path, outputs[j].option);
        if (output_check(outputs[i].option, outputs[i].path, inputs, 2, e)) return (int)e->code;
    }
    return 0;
}

static int check_options(struct kernels_command *c, size_t n_operands, char **operands, struct error *e)
{
    if (n_operands)
        return error_set(e, ERROR_USAGE, "%s: kernels takes no operand (--only chooses among them)", operands[0]);
    if (cost_counter_parse(c->count ? c->count : "auto", &c->how, e)) return ERROR_USAGE;
    const bool started = c->costs_only || c->inside, saves = c->save;
    if (started && (saves != c->costs_only || c->check || c->against || c->junit || c->markdown || c->json))
        return error_set(e, ERROR_USAGE, COUNT_MODE ": is set for programs that this one starts: unset it");
    const char *needs = c->save ? "--save" : c->check ? "--check" : c->against ? "--against" : NULL;
    if (c->how.counter == COST_NONE && needs)
        return error_set(e, ERROR_USAGE, "--count none: %s needs a counter", needs);
    if (c->rounds && (c->rounds < COST_LEAST_ROUNDS || c->rounds > COST_MOST_ROUNDS))
        return error_set(e, ERROR_USAGE, "--rounds: %lld is not in %d to %d", (long long)c->rounds, COST_LEAST_ROUNDS,
                         COST_MOST_ROUNDS);
    c->how.rounds = c->rounds ? c->rounds : COST_ROUNDS;
    c->how.processes = c->costs_only ? 1 : COST_PROCESSES;
    if (c->against && (access(c->against, X_OK) || path_is_folder(c->against)))
        return error_set(e, ERROR_IO, "--against %s: is no program: give the path of another kerf", c->against);
    return check_tolerance(c, e) ? (int)e->code : check_files(c, e);
}

/* The baseline's counter is the one to count by. */
static int read_baseline(struct kernels_command *c, struct error *e)
{
    if (!c->check) return 0;
    int status = costs_read(&c->baseline, c->check, e);
    if (status) return status;
    const char *counter = c->baseline.rows[0].counter;
    const enum cost_counter its = cost_counter_of(counter);
    const bool other = c->how.counter != its || (c->how.papi && strcmp(c->how.papi, counter));
    if (c->how.counter != COST_AUTO && other)
        return error_set(e, ERROR_USAGE, "--count %s: %s was counted by %s: leave --count out, or --save another one",
                         c->count, c->check, counter);
    c->how.counter = its;
    if (its == COST_PAPI) c->how.papi = cost_counter_name(counter);
    return 0;
}

static int choose_counter(struct kernels_command *c, struct error *e)
{
    int status = read_baseline(c, e);
    if (!status) status = cost_counter_choose(&c->how, &c->plan, e);
    if (status) return c->check && status == ERROR_INPUT && c->baseline.n ? error_prefix(e, "%s", c->check) : status;
    struct costs here = {0};
    costs_sign(&here);
    if (!c->check || c->against || cost_is_exact(c->baseline.rows[0].counter) || !strcmp(c->baseline.cpu, here.cpu))
        return 0;
    return error_set(e, ERROR_INPUT,
                     "%s: %s of another CPU (%s): no measure of this one (%s): --save one here, give the baseline's "
                     "program (--against), or count exactly (--count callgrind)",
                     c->check, c->baseline.rows[0].counter, c->baseline.cpu, here.cpu);
}

/* --- counting and comparing --- */

static bool is_noisy(const struct kernels_command *c) { return c->now.n && !cost_is_exact(c->now.rows[0].counter); }

static double tolerance_of(const struct kernels_command *c)
{
    return !isnan(c->percent) ? c->percent : is_noisy(c) ? COST_TOLERANCE_NOISY : COST_TOLERANCE_EXACT;
}

static void free_pairs(struct kernels_command *c)
{
    for (size_t i = 0; i < 2 * c->n_pairs; i++) costs_free(&c->pairs[i]);
    free(c->pairs);
    c->pairs = NULL;
    c->n_pairs = 0;
}

/* The other program and this one, each started anew and in turns; who begins changes. */
static int measure_pairs(struct kernels_command *c, struct error *e)
{
    char self[4096];
    const size_t n = c->rounds ? (size_t)c->rounds : PAIRS;
    struct cost_how how = c->how;
    how.rounds = COST_LEAST_ROUNDS;
    if (count_self(self, e)) return (int)e->code;
    free_pairs(c);
    c->pairs = memory_new(2 * n, sizeof *c->pairs, "pairs of costs", e);
    char *folder = c->pairs ? count_folder_make(e) : NULL;
    if (!folder) return (int)e->code;
    int status = 0;
    for (c->n_pairs = 0; c->n_pairs < n && !status; c->n_pairs++)
        for (int turn = 0; turn < 2 && !status; turn++) {
            const bool now = (turn + (int)c->n_pairs) % 2;
            char what[40];
            snprintf(what, sizeof what, "pair %zu of %zu", c->n_pairs + 1, n);
            if (!progress_update(&c->progress, what, 2 * c->n_pairs + (size_t)turn, 2 * n))
                status = error_set(e, ERROR_INTERRUPTED, "interrupted");
            else
                status = count_other(&c->pairs[c->n_pairs + (now ? n : 0)], now ? self : c->against, &c->plan, &how,
                                     folder, e);
        }
    c->n_pairs = n; /* those not measured are empty */
    count_folder_remove(folder);
    return status;
}

static int compare_pairs(struct kernels_command *c, struct cost_changes *out, struct error *e)
{
    const int status = measure_pairs(c, e);
    return status ? status
                  : costs_compare_pairs(out, c->pairs, c->pairs + c->n_pairs, c->n_pairs, &c->plan, tolerance_of(c), e);
}

/* The cases that seem to cost more, as patterns; false where they are too many for that. */
static bool name_suspects(const struct kernels_command *c, char (*names)[KERNEL_NAME], const char **only, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < c->changes.n; i++) {
        if (c->changes.all[i].verdict != COST_REGRESSED) continue;
        if (n == most) return false;
        kernel_whole_name(&c->changes.all[i].now->its, names[n]);
        if (n && strcmp(names[n], names[n - 1]) == 0) continue; /* under another instruction set */
        only[n] = names[n];
        n++;
    }
    return true;
}

/* Once more, of those that seem to cost more, in processes of their own: where a buffer lies costs some, too. */
static int confirm_measured(struct kernels_command *c, struct error *e)
{
    enum { MOST = OPTION_LIST_MOST - 2 };
    char names[MOST][KERNEL_NAME];
    const char *only[MOST + 1] = {0};
    struct kernel_plan suspects = {0};
    struct costs again = {0};
    struct cost_changes second = {0};
    const bool few = name_suspects(c, names, only, MOST);
    int status = kernel_plan_make(&suspects, few ? only : c->plan.only, c->plan.isa, c->plan.seed, e);
    if (!status) status = costs_measure(&again, &suspects, &c->how, e);
    if (!status) status = costs_compare(&second, &c->baseline, &again, &suspects, tolerance_of(c), e);
    if (!status) cost_changes_confirm(&c->changes, &second);
    cost_changes_free(&second);
    costs_free(&again);
    kernel_plan_free(&suspects);
    return status;
}

/* Changes point to rows of the first pairs, which stay until those of the second have been looked at. */
static int confirm_pairs(struct kernels_command *c, struct error *e)
{
    struct costs *first = c->pairs;
    const size_t n_first = c->n_pairs;
    struct cost_changes second = {0};
    c->pairs = NULL;
    c->n_pairs = 0;
    int status = compare_pairs(c, &second, e);
    if (!status) cost_changes_confirm(&c->changes, &second);
    cost_changes_free(&second);
    free_pairs(c);
    c->pairs = first;
    c->n_pairs = n_first;
    return status;
}

/* The other program's exact counts, which one run of it tells. */
static int count_against(struct kernels_command *c, struct error *e)
{
    if (c->baseline.n || is_noisy(c)) return 0;
    char *folder = count_folder_make(e);
    int status = folder ? count_other(&c->baseline, c->against, &c->plan, &c->how, folder, e) : (int)e->code;
    count_folder_remove(folder);
    return status;
}

static int compare(struct kernels_command *c, struct error *e)
{
    const bool pairs = c->against && is_noisy(c);
    int status = c->against ? count_against(c, e) : 0;
    if (!status && pairs) status = compare_pairs(c, &c->changes, e);
    if (!status && !pairs) status = costs_compare(&c->changes, &c->baseline, &c->now, &c->plan, tolerance_of(c), e);
    if (!status && !c->changes.compared)
        status = error_set(e, ERROR_INPUT, "%s: has none of the kernels that were measured: nothing can be compared",
                           c->against ? c->against : c->check);
    if (!status && is_noisy(c) && c->changes.regressed) status = (pairs ? confirm_pairs : confirm_measured)(c, e);
    c->compared = !status;
    return status;
}

/* What is wrong has no cost worth knowing. */
static int count_costs(struct kernels_command *c, struct error *e)
{
    if (c->results.wrong || c->how.counter == COST_NONE) return 0;
    int status = costs_measure(&c->now, &c->plan, &c->how, e);
    for (size_t i = 0; i < c->now.n && !status; i++) {
        const struct kernel_result *r = kernel_results_find(&c->results, &c->now.rows[i]);
        if (r) c->now.rows[i].error = r->error;
    }
    if (!status && !c->now.n && (c->save || c->check || c->against))
        status = error_set(e, ERROR_USAGE, "no measured case is left: choose others with --only and --isa");
    if (!status && (c->check || c->against)) status = compare(c, e);
    return status;
}

/* --- telling --- */

static int write_text(const char *path, void (*tell)(const struct kernel_story *, struct text *),
                      const struct kernel_story *s, struct error *e)
{
    struct text t = {0};
    if (!path) return 0;
    tell(s, &t);
    int status = t.failed ? error_set(e, ERROR_IO, "out of memory for a report") : 0;
    if (!status) status = file_write(path, text_c(&t), t.length, e);
    text_free(&t);
    return status;
}

static int print_text(const struct kernel_story *s, struct error *e)
{
    struct text t = {0};
    kernels_tell(s, &t);
    int status = t.failed ? error_set(e, ERROR_IO, "out of memory for a table") : 0;
    if (!status) fputs(text_c(&t), stdout);
    text_free(&t);
    return status;
}

static void note_doubts(const struct kernels_command *c)
{
    if (c->changes.regressed && c->check && strcmp(c->baseline.compiler, c->now.compiler))
        note("note: the baseline's compiler is %s, this program's %s", c->baseline.compiler, c->now.compiler);
    if (c->results.wrong && c->how.counter != COST_NONE)
        note("note: costs are counted once all results are right%s", c->save ? "; no baseline was saved" : "");
}

static int tell(struct kernels_command *c, struct error *e)
{
    struct kernel_story s = {.results = c->costs_only ? NULL : &c->results,
                             .costs = &c->now,
                             .counter = c->now.n ? c->now.rows[0].counter : "",
                             .changes = c->compared ? &c->changes : NULL,
                             .baseline = c->n_pairs ? c->pairs : &c->baseline,
                             .against = c->against && (c->n_pairs || !c->check) ? c->against : c->check,
                             .seconds = seconds_now() - c->started};
    int status = c->save && c->now.n ? costs_write(&c->now, c->save, e) : 0;
    if (!status) status = write_text(c->junit, kernels_tell_junit, &s, e);
    if (!status) status = write_text(c->markdown, kernels_tell_markdown, &s, e);
    if (!status) status = c->json ? kernels_tell_json(&s, e) : print_text(&s, e);
    if (status) return status;
    note_doubts(c);
    struct text fault = {0};
    kernel_story_fault(&s, &fault);
    if (fault.length) status = error_set(e, ERROR_CHECK, "%s", text_c(&fault));
    text_free(&fault);
    return status;
}

/* --- the command --- */

static int work(struct kernels_command *c, struct error *e)
{
    int status = kernel_plan_make(&c->plan, c->only, c->isa, (uint64_t)c->seed, e);
    c->results.plan = &c->plan;
    if (!status) status = choose_counter(c, e);
    progress_open(&c->progress, "kernels");
    c->how.progress = &c->progress;
    if (!status && !c->costs_only) status = kernel_results_check(&c->results, &c->progress, e);
    if (!status) status = count_costs(c, e);
    progress_close(&c->progress);
    return status ? status : tell(c, e);
}

static void free_all(struct kernels_command *c)
{
    cost_changes_free(&c->changes);
    free_pairs(c);
    costs_free(&c->baseline);
    costs_free(&c->now);
    kernel_results_free(&c->results);
    kernel_plan_free(&c->plan);
}

static int inside(struct kernels_command *c, struct error *e)
{
    struct kernel_plan plan;
    int status = kernel_plan_make(&plan, c->only, c->isa, (uint64_t)c->seed, e);
    if (!status) status = count_callgrind_inside(&plan, e);
    kernel_plan_free(&plan);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct kernels_command c = {.seed = 1, .started = seconds_now()};
    const struct option options[] = {
        {"--only", OPTION_LIST, "PATTERN", "KERNEL, KERNEL/VARIANT or KERNEL/VARIANT/SHAPE, with * and ?; any number",
         .list = c.only},
        {"--isa", OPTION_TEXT, "NAME", "one instruction set, or all that this CPU and KERF_CPU allow (default)",
         .text = &c.isa},
        {"--count", OPTION_TEXT, "HOW",
         "papi (or instructions, cycles), callgrind, time, none; auto (default): the first there is", .text = &c.count},
        {"--save", OPTION_TEXT, "FILE.csv", "write a baseline of what kernels cost", .text = &c.save},
        {"--check", OPTION_TEXT, "FILE.csv", "compare with a baseline; status 1 where something costs more",
         .text = &c.check},
        {"--against", OPTION_TEXT, "KERF", "compare with another kerf, which runs in turns with this one",
         .text = &c.against},
        {"--tolerance", OPTION_TEXT, "PERCENT", "how much more is the same (default: 1 of exact counts, else 10)",
         .text = &c.tolerance},
        {"--rounds", OPTION_NUMBER, "N",
         "of cycles and time in each of 5 processes; with --against: pairs (default: 15)", .number = &c.rounds,
         .least = 1},
        {"--seed", OPTION_NUMBER, "N", "of the inputs (default: 1)", .number = &c.seed, .least = 0},
        {"--junit", OPTION_TEXT, "FILE.xml", "write results as JUnit XML, too", .text = &c.junit},
        {"--markdown", OPTION_TEXT, "FILE.md", "write what is wrong and what changed, for a pull request",
         .text = &c.markdown},
        {"--json", OPTION_FLAG, NULL, "everything as JSON", .flag = &c.json},
        {0}};
    if (help) return options_print(options), 0;
    const char *mode = getenv(COUNT_MODE);
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (status) return status;
    c.inside = mode && strcmp(mode, COUNT_MODE_INSIDE) == 0;
    c.costs_only = mode && strcmp(mode, COUNT_MODE_COSTS) == 0;
    if (c.inside || c.costs_only) prctl(PR_SET_PDEATHSIG, SIGTERM); /* ends with who started it */
    if (!c.inside) progress_catch_signals();
    status = check_options(&c, n, operands, e);
    if (!status) status = (c.inside ? inside : work)(&c, e);
    free_all(&c);
    return status;
}

const struct command command_kernels = {
    .name = "kernels",
    .summary = "is every kernel right, within its buffers, and no slower than it was",
    .usage = "[options]",
    .examples = "  kerf kernels --only softmax\n"
                "  kerf kernels --only 'decode/q4_*' --count time --save kernels.csv\n"
                "  kerf kernels --only 'decode/q4_*' --check kernels.csv --tolerance 400\n",
    .run = run,
};
