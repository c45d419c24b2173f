/* kerf suites: what can be run. kerf backends: how weights can be stored. */
#include "cli/command.h"
#include "cli/evaluate.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "reports/layout.h"
#include "suites/catalog.h"
#include "suites/suite.h"

#include <stdlib.h>
#include <string.h>

enum { KIND = 23 }; /* columns of an output_type, with what is behind it */

/* Text of a file on one line, or on lines of their own behind a bar. */
static void print_text(const char *s)
{
    struct text t = {0};
    text_terminal(&t, s, strlen(s));
    printf("%s\n", text_c(&t));
    text_free(&t);
}

static void print_lines(const char *s)
{
    for (const char *end; s; s = end) {
        struct text t = {0};
        end = strchr(s, '\n');
        text_terminal(&t, s, end ? (size_t)(end++ - s) : strlen(s));
        printf("    | %s\n", text_c(&t));
        text_free(&t);
    }
}

/* `first` and, from `column` on, `rest`, whose further lines begin there too; on a narrow terminal, further left. */
static void print_row(size_t indent, const char *first, size_t column, const char *rest)
{
    struct text name = {0}, line = {0}, out = {0};
    const int columns = table_style().width;
    const size_t width = columns > 0 ? (size_t)columns : 80;
    if (column + 30 > width) column = indent + 2;
    escape_terminal(&name, first);
    size_t used = *first ? layout_width(text_c(&name)) + 2 : 0;
    if (used < column - indent) used = column - indent;
    layout_pad(&line, "", indent, false);
    layout_pad(&line, text_c(&name), used, false);
    escape_terminal(&line, rest);
    layout_wrap(&out, text_c(&line), width, column);
    fputs(text_c(&out), stdout);
    text_free(&name);
    text_free(&line);
    text_free(&out);
}

/* --- the list --- */

/* The column behind the longest of the names; a path says nothing of its suite's name. */
static size_t column_behind(char *const *names, size_t column)
{
    for (; *names; names++) {
        const size_t n = strlen(*names) + 2;
        if (n > column && !suite_is_path(*names)) column = n;
    }
    return column;
}

static int print_suite(const char *name, size_t column, struct error *e)
{
    struct suite *s;
    int status = suite_load_without_data(&s, name, e);
    if (status) return status;
    struct text t = {0};
    layout_pad(&t, outcome_kind_name(s->kind), KIND, false);
    for (size_t i = 0; i < s->n_scores; i++) text_printf(&t, "%s%s", i ? ", " : "", s->scores[i].name);
    if (!s->data_path) text_add(&t, " (no data here)");
    print_row(0, s->name, column, text_c(&t));
    if (*s->about) print_row(0, "", column, s->about);
    text_free(&t);
    suite_free(s);
    return 0;
}

/* --- one suite --- */

static void print_settings(const struct suite *s)
{
    const char *key;
    json_t *v;
    json_object_foreach(s->settings, key, v)
    {
        char *json = json_is_string(v) ? NULL : json_dump_text(v, JSON_ENCODE_ANY | JSON_COMPACT, NULL);
        printf("  %-18s ", key);
        print_text(json_is_string(v) ? json_string_value(v) : json ? json : "");
        free(json);
    }
    if (s->kind == OUTCOME_GENERATION) printf("  %-18s %s\n", "(decoding)", s->decode.spec);
}

static void print_item(const struct suite *s, const struct item *it)
{
    const bool choice = s->kind == OUTCOME_CHOICE;
    printf("first item, document %zu of ", it->index);
    print_text(s->data_path);
    if (*it->prompt) {
        puts("  prompt");
        print_lines(it->prompt);
    }
    for (size_t i = 0; i < it->n_contexts; i++) {
        printf("  context %zu%s\n", i, i == it->gold ? " (right)" : "");
        print_lines(it->contexts[i]);
    }
    for (size_t i = 0; i < it->n_targets; i++) {
        const char *right = choice && !it->n_contexts && i == it->gold ? " (right)" : "";
        const char *what = s->kind == OUTCOME_GENERATION ? "reference"
                           : s->kind == OUTCOME_ROLLING  ? "text"
                           : choice && !it->n_contexts   ? "choice"
                                                         : "continuation";
        printf("  %s %zu%s\n", what, i, right);
        print_lines(it->targets[i]);
    }
}

/* What it lacks shows before anything is printed; that the data of a suite that ships is not here is no error. */
static int show_suite(const char *name, struct error *e)
{
    struct suite *s, *whole = NULL;
    struct item *items = NULL;
    struct error missing = {0};
    size_t n = 0;
    int status = suite_load_without_data(&s, name, e);
    if (status) return status;
    if (s->data_path)
        status = suite_items(s, 1, NULL, &items, &n, e);
    else if (suite_load(&whole, name, &missing) && suite_is_path(name))
        status = error_set(e, missing.code, "%s", missing.text);
    if (!status) {
        printf("%s: ", s->name);
        print_text(s->path);
        print_settings(s);
        if (n)
            print_item(s, items);
        else
            print_text(missing.text);
    }
    items_free(items, n);
    suite_free(whole);
    suite_free(s);
    return status;
}

/* --- readers and metrics --- */

static bool is_table(const struct reader *r)
{
    for (size_t i = 0; r->kwargs && r->kwargs[i]; i++)
        if (strcmp(r->kwargs[i], "columns") == 0) return true;
    return false;
}

static void add_names(struct text *t, const char *const *names)
{
    for (size_t i = 0; names && names[i]; i++) text_printf(t, "%s%s", i ? ", " : "", names[i]);
}

static void print_reader(const struct reader *r, size_t column)
{
    struct text t = {0};
    text_printf(&t, "%s: ", r->summary);
    if (r->fields && r->fields[0])
        add_names(&t, r->fields);
    else
        text_add(&t, is_table(r) ? "as columns names them" : "as the objects have them");
    if (r->kwargs) {
        text_add(&t, " (dataset_kwargs: ");
        add_names(&t, r->kwargs);
        text_char(&t, ')');
    }
    print_row(2, r->name, column, text_c(&t));
    text_free(&t);
}

static void print_readers(void)
{
    size_t column = 0;
    for (size_t i = 0; reader_at(i); i++)
        if (strlen(reader_at(i)->name) + 4 > column) column = strlen(reader_at(i)->name) + 4;
    putchar('\n');
    print_row(0, "", 0, "readers (dataset_format), and the fields that templates may name:");
    for (size_t i = 0; reader_at(i); i++) print_reader(reader_at(i), column);
}

static void print_metrics(void)
{
    puts("\nmetrics, by output_type:");
    for (int kind = OUTCOME_CHOICE; kind <= OUTCOME_GENERATION; kind++) {
        struct text t = {0};
        for (size_t i = 0; metric_at(i); i++)
            if ((int)metric_at(i)->kind == kind) text_printf(&t, "%s%s", t.length ? ", " : "", metric_at(i)->name);
        print_row(2, outcome_kind_name((enum outcome_kind)kind), 2 + KIND, text_c(&t));
        text_free(&t);
    }
}

/* The suites that a name stands for, as in the list; one that is asked for alone is shown. */
static int print_named(const char *name, bool alone, size_t column, struct error *e)
{
    char **members;
    int status = suite_expand(name, &members, e);
    if (status) return status;
    const bool one = alone && !members[1];
    for (char **member = members; *member && !status; member++)
        status = one ? show_suite(*member, e) : print_suite(*member, column, e);
    names_free(members);
    return status;
}

static int print_operands(char *const *operands, size_t n, struct error *e)
{
    size_t column = 0;
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        char **members;
        status = suite_expand(operands[i], &members, e);
        if (status) break;
        column = column_behind(members, column);
        names_free(members);
    }
    for (size_t i = 0; i < n && !status; i++) status = print_named(operands[i], n == 1, column, e);
    return status;
}

static int run_suites(int argc, char **argv, bool help, struct error *e)
{
    const struct option options[] = {{0}};
    if (help) return 0;
    char **operands, **names;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (status) return status;
    if (n) return print_operands(operands, n, e);
    status = suite_names(&names, e);
    if (status) return status;
    if (!*names)
        status =
            error_set(e, ERROR_IO, "no suites found: set KERF_DATA to the folder that holds suites/ and datasets/");
    const size_t column = column_behind(names, 0);
    for (char **name = names; *name; name++) { /* one that is broken does not hide the others */
        int broken = print_suite(*name, column, e);
        if (broken) status = broken;
    }
    names_free(names);
    putchar('\n');
    print_row(0, "", 0, "The group millbrook runs where no suite is named (kerf suites millbrook lists it).");
    print_row(0, "", 0, "Alone, kerf suites NAME shows the suite with its first item.");
    print_row(0, "", 0, "Where there is no data here, docs/datasets.md says how to fetch it.");
    print_readers();
    print_metrics();
    return status;
}

const struct command command_suites = {
    .name = "suites",
    .summary = "list the suites, readers and metrics, or show a suite with its first item",
    .usage = "[NAME|FILE]...",
    .examples = "  kerf suites\n"
                "  kerf suites questions\n"
                "  kerf suites my-suite.yaml\n",
    .run = run_suites,
};

static int run_backends(int argc, char **argv, bool help, struct error *e)
{
    const struct option options[] = {{0}};
    if (help) return 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n) status = error_set(e, ERROR_USAGE, "backends takes no operand");
    for (size_t i = 0; backend_at(i) && !status; i++) {
        const struct backend *b = backend_at(i);
        printf("%-6s %s\n", b->name, b->summary);
        for (size_t v = 0; b->variants && b->variants[v]; v++) {
            int used = printf("       %s:%s", b->name, b->variants[v]);
            if (b->notes) printf("%*s%s", used < 20 ? 20 - used : 1, "", b->notes[v]);
            putchar('\n');
        }
    }
    return status;
}

const struct command command_backends = {
    .name = "backends",
    .summary = "list the ways to store weights",
    .usage = "",
    .examples = "  kerf backends\n",
    .run = run_backends,
};
