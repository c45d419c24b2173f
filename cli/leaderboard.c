/* kerf leaderboard: one file of many measurements, ranked. */
#include "cli/command.h"
#include "cli/evaluate.h"
#include "cli/inputs.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "engine/base/text.h"
#include "reports/board/board.h"

#include <stdlib.h>
#include <string.h>

struct boarding {
    const char *by;
    int64_t seed;
    struct inputs *inputs;  /* [n] */
    struct report *reports; /* [n] */
    size_t n;
    struct board_added added;
    size_t rows;       /* in all, afterwards */
    struct text table; /* what is printed when the file is written */
};

static int make_table(struct boarding *l, const struct board *b, struct error *e)
{
    const struct table_style style = table_style();
    return board_table(b, &style, &l->table, e);
}

static void print(const struct text *t) { fwrite(text_c(t), 1, t->length, stdout); }

/* --- add --- */

static int read_operands(struct boarding *l, char **operands, size_t n, struct error *e)
{
    l->inputs = memory_new(n, sizeof *l->inputs, "inputs", e);
    l->reports = memory_new(n, sizeof *l->reports, "inputs", e);
    int status = l->inputs && l->reports ? 0 : ERROR_IO;
    for (; l->n < n && !status; l->n++) {
        status = inputs_read(&l->inputs[l->n], &operands[l->n], 1, l->seed, e);
        if (!status) status = report_read_comparison(&l->reports[l->n], l->inputs[l->n].comparison, e);
    }
    return status;
}

static int edit_add(struct board *b, void *user, struct error *e)
{
    struct boarding *l = user;
    int status = 0;
    for (size_t i = 0; i < l->n && !status; i++) status = board_add(b, &l->reports[i], &l->added, e);
    if (!status) status = board_rank(b, l->by, e);
    l->rows = b->n_rows;
    return status;
}

static const char *plural(size_t n) { return n == 1 ? "" : "s"; }

static int add(struct boarding *l, char **operands, size_t n, struct error *e)
{
    if (n < 2) return error_set(e, ERROR_USAGE, "leaderboard add takes a FILE and at least one RUN");
    const char *file = operands[0];
    int status = output_check("FILE", file, (const char *const *)operands + 1, n - 1, e);
    if (!status) status = read_operands(l, operands + 1, n - 1, e);
    if (!status) status = board_update(file, edit_add, l, e);
    if (status) return status;
    struct text line = {0};
    text_terminal(&line, file, strlen(file));
    printf("%s: %zu row%s added, %zu replaced, %zu in all\n", text_c(&line), l->added.added, plural(l->added.added),
           l->added.replaced, l->rows);
    text_free(&line);
    return 0;
}

/* --- rank, show --- */

static int check_there(const char *what, char **operands, size_t n, struct error *e)
{
    if (n != 1) return error_set(e, ERROR_USAGE, "leaderboard %s takes one FILE", what);
    if (path_exists(operands[0])) return 0;
    return error_set(e, ERROR_IO, "%s: no such file (kerf leaderboard add makes one)", operands[0]);
}

static int edit_rank(struct board *b, void *user, struct error *e)
{
    struct boarding *l = user;
    int status = board_rank(b, l->by, e);
    return status ? status : make_table(l, b, e);
}

static int rank(struct boarding *l, char **operands, size_t n, struct error *e)
{
    int status = check_there("rank", operands, n, e);
    if (!status) status = board_update(operands[0], edit_rank, l, e);
    if (!status) print(&l->table);
    return status;
}

static int show(struct boarding *l, char **operands, size_t n, struct error *e)
{
    struct board b = {0};
    int status = check_there("show", operands, n, e);
    if (!status) status = board_read(&b, operands[0], e);
    if (!status) status = edit_rank(&b, l, e);
    if (!status) print(&l->table);
    board_free(&b);
    return status;
}

/* --- the command --- */

static const struct {
    const char *name;
    int (*run)(struct boarding *l, char **operands, size_t n, struct error *e);
} actions[] = {{"add", add}, {"rank", rank}, {"show", show}};
enum { ACTIONS = sizeof actions / sizeof *actions };

static int act(struct boarding *l, char **operands, size_t n, struct error *e)
{
    const char *names[ACTIONS];
    if (n == 0) return error_set(e, ERROR_USAGE, "leaderboard takes add, rank or show, and a FILE");
    for (size_t i = 0; i < ACTIONS; i++) {
        names[i] = actions[i].name;
        if (strcmp(operands[0], names[i]) == 0) return actions[i].run(l, operands + 1, n - 1, e);
    }
    const struct suggestion guess = suggest(operands[0], names, ACTIONS);
    return error_set(e, ERROR_USAGE, "leaderboard %s: is none of add, rank and show%s", operands[0], guess.words);
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct boarding l = {.seed = 1234};
    const struct option options[] = {
        {"--by", OPTION_TEXT, "WHAT", "score or SUITE/METRIC (default: as FILE was ranked before, else score)",
         .text = &l.by},
        {"--seed", OPTION_NUMBER, "N", "of the resampling, where runs are compared anew (default: 1234)",
         .number = &l.seed},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status) status = act(&l, operands, n, e);
    for (size_t i = 0; i < l.n; i++) {
        report_close(&l.reports[i]);
        inputs_free(&l.inputs[i]);
    }
    free(l.reports);
    free(l.inputs);
    text_free(&l.table);
    return status;
}

const struct command command_leaderboard = {
    .name = "leaderboard",
    .summary = "keep a CSV of many measurements, ranked, with its ties",
    .usage =
        "add FILE RUN... | rank FILE | show FILE [options]\n\n"
        "add: a row for every subject of each RUN: the folder of a run or of a comparison, or a file that another\n"
        "tool wrote. What was measured before is replaced. rank: orders FILE anew and prints it. show: prints it.",
    .examples = "  kerf leaderboard add board.csv night results_2026-11-24T08-00-00.json\n"
                "  kerf leaderboard rank board.csv --by endings/acc_norm\n"
                "  kerf leaderboard show board.csv\n",
    .run = run,
};
