/* kerf suites: what can be run. kerf backends: how weights can be stored. */
#include "cli/command.h"
#include "engine/base/text.h"
#include "suites/suite.h"

#include <stdlib.h>
#include <string.h>

static int print_suite(const char *name, struct error *e)
{
    struct suite *s;
    int status = suite_load(&s, name, e);
    if (status) return status;
    printf("%-16s %-22s ", s->name, outcome_kind_name(s->kind));
    for (size_t i = 0; i < s->n_scores; i++) printf("%s%s", i ? ", " : "", s->scores[i].name);
    struct text description = {0};
    puts("");
    if (s->description) text_terminal(&description, s->description, strlen(s->description));
    if (description.length) printf("%-16s %s\n", "", text_c(&description));
    text_free(&description);
    suite_free(s);
    return 0;
}

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

/* A suite, or the suites of a group. */
static int print_named(const char *name, struct error *e)
{
    char **members;
    int status = suite_expand(name, &members, e);
    if (status) return status;
    for (char **member = members; *member && !status; member++) status = print_suite(*member, e);
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
        for (size_t i = 0; i < n && !status; i++) status = print_named(operands[i], e);
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
    puts("\nThe group millbrook runs where no suite is named (kerf suites millbrook lists it).");
    print_readers();
    return status;
}

const struct command command_suites = {
    .name = "suites",
    .summary = "list the suites, readers and metrics",
    .usage = "[NAME|FILE]...",
    .examples = "  kerf suites\n"
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
