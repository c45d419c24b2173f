/* kerf check: whether a comparison stays within the limits of a file. */
#include "cli/command.h"
#include "cli/evaluate.h"
#include "cli/inputs.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "reports/limits.h"
#include "suites/yaml.h"

#include <stdlib.h>
#include <string.h>

struct checking {
    const char *limits, *junit, *markdown; /* paths */
    bool json, strict;
};

/* Neither the limits nor the records that are read may be written over. */
static int check_output(const struct checking *c, const char *option, const char *path, const char *operand,
                        struct error *e)
{
    if (!path) return 0;
    if (!*path) return error_set(e, ERROR_USAGE, "%s: an empty name is no file", option);
    char *folder = record_folder(operand, e), *run = NULL, *comparison = NULL;
    int status = folder ? 0 : ERROR_IO;
    if (!status && path_is_folder(folder)) {
        run = path_join(folder, "run.json", e);
        comparison = run ? path_join(folder, "compare.json", e) : NULL;
        status = comparison ? 0 : ERROR_IO;
    }
    if (!status)
        status = output_check(option, path,
                              (const char *const[]){c->limits, run ? run : operand, comparison ? comparison : operand},
                              3, e);
    free(folder);
    free(run);
    free(comparison);
    return status;
}

static int check_outputs(const struct checking *c, const char *operand, struct error *e)
{
    if (c->junit && c->markdown && strcmp(c->junit, c->markdown) == 0)
        return error_set(e, ERROR_USAGE, "--markdown %s: is --junit's file: give another name", c->markdown);
    const int status = check_output(c, "--junit", c->junit, operand, e);
    return status ? status : check_output(c, "--markdown", c->markdown, operand, e);
}

static int write_file(const struct checking *c, const struct limits *l, const char *path,
                      int (*make)(const struct limits *, bool, struct text *, struct error *), struct error *e)
{
    if (!path) return 0;
    struct text page = {0};
    int status = make(l, c->strict, &page, e);
    if (!status) status = file_write(path, text_c(&page), page.length, e);
    text_free(&page);
    return status;
}

static int print_json(const struct limits *l, bool strict, struct error *e)
{
    json_t *record = limits_record(l, strict);
    const int status = record ? json_print(record, 9, e) : error_set(e, ERROR_IO, "out of memory for a record");
    json_decref(record);
    return status;
}

static int print_table(const struct limits *l, bool strict, struct error *e)
{
    struct text table = {0};
    const struct table_style style = table_style();
    const int status = limits_table(l, strict, &style, &table, e);
    if (!status) fputs(text_c(&table), stdout);
    text_free(&table);
    return status;
}

/* The error of a gate that is shut: the first limit that is exceeded, and how many there are. */
static int tell_failure(const struct limits *l, bool strict, struct error *e)
{
    const struct limit_result *first = limits_first_failure(l, strict);
    const size_t failed = limits_failed(l, strict);
    if (!first) return 0;
    char value[CELL_TEXT], interval[CELL_TEXT], limit[CELL_TEXT];
    struct text name = {0}, subject = {0};
    limit_name(&name, l, first);
    limit_subject(&subject, l, first);
    limit_figures(l, first, value, interval, limit);
    error_set(e, ERROR_CHECK, "%zu of %zu %s failed: %s of %s is %s%s%s, the limit %s%s", failed, l->n,
              l->n == 1 ? "check" : "checks", text_c(&name), text_c(&subject), value, *interval ? " " : "", interval,
              limit, first->verdict == LIMIT_UNDECIDED ? ": undecided (--strict)" : "");
    text_free(&name);
    text_free(&subject);
    return ERROR_CHECK;
}

/* What is printed is printed even where a file cannot be written. */
static int tell(const struct checking *c, const struct limits *l, struct error *e)
{
    int status = (c->json ? print_json : print_table)(l, c->strict, e);
    if (!status) status = write_file(c, l, c->junit, limits_junit, e);
    if (!status) status = write_file(c, l, c->markdown, limits_markdown, e);
    return status ? status : tell_failure(l, c->strict, e);
}

/* An error in a rule gets its file and line. */
static int place_error(const struct yaml *y, const struct text *place, int status, struct error *e)
{
    if (status != ERROR_INPUT || !place->length) return status;
    const struct error told = *e;
    return yaml_file_error(y, e, text_c(place), "%s", told.text);
}

static int check(const struct checking *c, char *operand, struct error *e)
{
    struct inputs in = {0};
    struct yaml rules = {0};
    struct limits limits;
    struct text place = {0};
    int status = check_outputs(c, operand, e);
    if (!status) status = yaml_file_read(&rules, c->limits, e);
    if (!status) status = inputs_read(&in, &operand, 1, 1234, e);
    if (!status) {
        status = place_error(&rules, &place, limits_check(&limits, rules.root, in.comparison, &place, e), e);
        if (!status) {
            status = tell(c, &limits, e);
            limits_close(&limits);
        }
    }
    text_free(&place);
    yaml_file_free(&rules);
    inputs_free(&in);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct checking c = {0};
    const struct option options[] = {
        {"--limits", OPTION_TEXT, "FILE.yaml", "the limits", .text = &c.limits},
        {"--strict", OPTION_FLAG, NULL, "fail where too few items leave it open whether a limit is exceeded",
         .flag = &c.strict},
        {"--junit", OPTION_TEXT, "FILE", "write the verdicts as JUnit XML, for a CI server", .text = &c.junit},
        {"--markdown", OPTION_TEXT, "FILE", "write them as Markdown, for a pull request", .text = &c.markdown},
        {"--json", OPTION_FLAG, NULL, "print them as JSON", .flag = &c.json},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1)
        status = error_set(e, ERROR_USAGE, "check takes one COMPARISON or RUN, but got %zu operands", n);
    if (!status && !c.limits) status = error_set(e, ERROR_USAGE, "--limits FILE.yaml is missing");
    return status ? status : check(&c, operands[0], e);
}

const struct command command_check = {
    .name = "check",
    .summary = "fail where a comparison exceeds the limits of a file, for CI",
    .usage =
        "COMPARISON|RUN --limits FILE.yaml [options]\n\n"
        "A folder that kerf compare or kerf eval wrote, or its compare.json or run.json. FILE.yaml says what may be\n"
        "lost:\n\n"
        "  limits:\n"
        "    stories/perplexity: +1%        # relative to the baseline\n"
        "    endings/acc: -0.02             # the difference; its sign is that of a loss\n"
        "    kl_mean: 0.02                  # of every suite that has it; * stands for any letters\n"
        "    same_top: 0.97\n"
        "    endings/flips: 5               # items that turned right or wrong; lost: wrong; 2% of the items\n"
        "    stories/bits_per_byte: {at_most: 0.5}     # the value itself, also of a run; at_least, difference\n"
        "  subjects: [\"@gguf:q4_0\"]         # these candidates; else all\n\n"
        "A limit is exceeded where the whole 95 % interval lies beyond it, and undecided where the limit lies within\n"
        "it: that passes, unless --strict is given. What is named and not there is an error. Exit status 1: exceeded.",
    .examples = "  kerf check night --limits limits.yaml\n"
                "  kerf check night --limits limits.yaml --junit check.xml --markdown check.md\n"
                "  kerf check night/compare.json --limits limits.yaml --json\n",
    .run = run,
};
