/* kerf suites: what can be run. kerf backends: how weights can be stored. */
#include "cli/command.h"
#include "engine/base/text.h"
#include "suites/catalog.h"
#include "suites/suite.h"

#include <stdlib.h>
#include <string.h>

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

/* --- the list --- */

static int print_suite(const char *name, struct error *e)
{
    struct suite *s;
    int status = suite_load_without_data(&s, name, e);
    if (status) return status;
    printf("%-16s %-22s ", s->name, outcome_kind_name(s->kind));
    for (size_t i = 0; i < s->n_scores; i++) printf("%s%s", i ? ", " : "", s->scores[i].name);
    puts(s->data_path ? "" : "  (no data here)");
    if (*s->about) {
        printf("%-16s ", "");
        print_text(s->about);
    }
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
        char *json = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
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

static void print_fields(const char *const *names)
{
    if (!names || !names[0]) printf("as columns names them");
    for (size_t i = 0; names && names[i]; i++) printf("%s%s", i ? ", " : "", names[i]);
}

static void print_readers(void)
{
    puts("\nreaders (dataset_format), and the fields that templates may name:");
    for (size_t i = 0; reader_at(i); i++) {
        printf("  %-12s %s: ", reader_at(i)->name, reader_at(i)->summary);
        print_fields(reader_at(i)->fields);
        if (reader_at(i)->kwargs) {
            printf(" (dataset_kwargs: ");
            print_fields(reader_at(i)->kwargs);
            putchar(')');
        }
        puts("");
    }
    puts("\nmetrics, by output_type:");
    for (int kind = OUTCOME_CHOICE; kind <= OUTCOME_GENERATION; kind++) {
        printf("  %-22s ", outcome_kind_name((enum outcome_kind)kind));
        bool first = true;
        for (size_t i = 0; metric_at(i); i++) {
            if ((int)metric_at(i)->kind != kind) continue;
            printf("%s%s", first ? "" : ", ", metric_at(i)->name);
            first = false;
        }
        puts("");
    }
}

/* The suites that a name stands for, as in the list; one that is asked for alone is shown. */
static int print_named(const char *name, bool alone, struct error *e)
{
    char **members;
    int status = suite_expand(name, &members, e);
    if (status) return status;
    const bool one = alone && !members[1];
    for (char **member = members; *member && !status; member++)
        status = one ? show_suite(*member, e) : print_suite(*member, e);
    names_free(members);
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
    if (n) {
        for (size_t i = 0; i < n && !status; i++) status = print_named(operands[i], n == 1, e);
        return status;
    }
    status = suite_names(&names, e);
    if (status) return status;
    if (!*names)
        status =
            error_set(e, ERROR_IO, "no suites found: set KERF_DATA to the folder that holds suites/ and datasets/");
    for (char **name = names; *name; name++) { /* one that is broken does not hide the others */
        int broken = print_suite(*name, e);
        if (broken) status = broken;
    }
    names_free(names);
    puts("\nThe group millbrook runs where no suite is named (kerf suites millbrook lists it).\n"
         "Alone, kerf suites NAME shows the suite with its first item.\n"
         "Where there is no data here, docs/datasets.md says how to fetch it.");
    print_readers();
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
