/* kerf counters: what this machine can count, and why it cannot count the rest. */
#include "metrics/counters/counters.h"
#include "cli/command.h"
#include "cli/evaluate.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "reports/layout.h"
#include "reports/report.h"

#include <stdlib.h>
#include <string.h>

enum { NAME = 25, SCOPE = 9, UNIT = 7 };

static const char *scope_name(enum counter_scope scope)
{
    static const char *const names[] = {"threads", "process", "machine"};
    return names[scope];
}

static const char *kind_name(enum counter_kind kind)
{
    static const char *const names[] = {"hardware", "software", "energy", "level"};
    return names[kind];
}

/* --- for people --- */

static size_t line_width(void)
{
    const int columns = table_style().width;
    return columns > 0 ? (size_t)columns : 100;
}

static void row(const char *name, const char *scope, const char *unit, const char *rest)
{
    struct text name_safe = {0}, line = {0}, out = {0};
    escape_terminal(&name_safe, name);
    const size_t indent = 2 + NAME + SCOPE + UNIT;
    layout_pad(&line, "", 2, false);
    const size_t used = layout_width(text_c(&name_safe));
    layout_pad(&line, text_c(&name_safe), used < NAME ? NAME : used + 2, false);
    layout_pad(&line, scope, SCOPE, false);
    layout_pad(&line, unit, UNIT, false);
    escape_terminal(&line, rest);
    layout_wrap(&out, text_c(&line), line_width(), indent + 40 > line_width() ? 4 : indent);
    fputs(text_c(&out), stdout);
    text_free(&name_safe);
    text_free(&line);
    text_free(&out);
}

static void print_counters(const struct counters *c, bool there)
{
    bool any = false;
    for (size_t i = 0; i < counters_count(c); i++) {
        const struct counter *one = counters_at(c, i);
        struct text rest = {0};
        if (!one->reason[0] != there) continue;
        if (!any && there) {
            puts("counted here");
            row("NAME", "OF", "IN", "WHAT, AND BY WHAT IT IS COUNTED");
        } else if (!any) {
            puts("not counted here");
            row("NAME", "OF", "IN", "WHAT, AND WHY NOT");
        }
        any = true;
        text_printf(&rest, there ? "%s (%s)" : "%s: %s", one->what, there ? one->source : one->reason);
        row(one->name, scope_name(one->scope), strcmp(one->unit, "1") ? one->unit : "", text_c(&rest));
        text_free(&rest);
    }
    if (any) puts("");
}

static void print_groups(const struct counters *c)
{
    const int groups = counters_groups(c);
    if (groups > 1) printf("%d groups of hardware counters take turns, since they do not fit all at once:\n", groups);
    for (int g = 0; groups > 1 && g < groups; g++) {
        struct text line = {0}, out = {0};
        text_printf(&line, "  %d. ", g + 1);
        const char *comma = "";
        for (size_t i = 0; i < counters_count(c); i++) {
            const struct counter *one = counters_at(c, i);
            if (one->kind != COUNTER_HARDWARE || !counter_in_group(c, g, i)) continue;
            text_add(&line, comma);
            escape_terminal(&line, one->name);
            comma = ", ";
        }
        layout_wrap(&out, text_c(&line), line_width(), 5);
        fputs(text_c(&out), stdout);
        text_free(&line);
        text_free(&out);
    }
    if (groups > 1) puts("");
}

static void print_all(const struct counters *c, const json_t *machine)
{
    struct text cpu = {0}, line = {0}, out = {0};
    escape_terminal(&cpu, json_string_value(json_object_get(machine, "cpu")));
    text_printf(&line, "%s, %d threads: %s", text_c(&cpu), counters_threads(c),
                *counters_why_no_hardware(c) ? counters_why_no_hardware(c)
                : counters_groups(c)         ? "it has hardware counters that PAPI can read"
                                             : "PAPI knows this CPU, but of these counters it counts none");
    layout_wrap(&out, text_c(&line), line_width(), 0);
    printf("%s\n", text_c(&out));
    print_counters(c, true);
    print_groups(c);
    print_counters(c, false);
    printf("reading all takes %.1f us, hardware alone %.1f us\n", counters_read_seconds(c, COUNTERS_ALL) * 1e6,
           counters_read_seconds(c, COUNTERS_HARDWARE) * 1e6);
    text_free(&cpu);
    text_free(&line);
    text_free(&out);
}

/* --- for programs --- */

static json_t *json_of(const struct counters *c, size_t i)
{
    const struct counter *one = counters_at(c, i);
    json_t *j = json_pack("{s:o*, s:s, s:s, s:s, s:s}", "name", json_text(one->name, strlen(one->name)), "what",
                          one->what, "unit", one->unit, "kind", kind_name(one->kind), "scope", scope_name(one->scope));
    json_object_set_new(j, "source", one->source[0] ? json_text(one->source, strlen(one->source)) : json_null());
    if (one->reason[0]) json_object_set_new(j, "reason", json_text(one->reason, strlen(one->reason)));
    if (one->kind != COUNTER_HARDWARE) return j;
    json_t *groups = json_array();
    for (int g = 0; g < counters_groups(c); g++)
        if (counter_in_group(c, g, i)) json_array_append_new(groups, json_integer(g));
    json_object_set_new(j, "groups", groups);
    return j;
}

static int print_json(const struct counters *c, json_t *record, struct error *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < counters_count(c); i++) json_array_append_new(list, json_of(c, i));
    json_object_set_new(record, "threads", json_integer(counters_threads(c)));
    json_object_set_new(record, "groups", json_integer(counters_groups(c)));
    if (*counters_why_no_hardware(c))
        json_object_set_new(record, "note",
                            json_text(counters_why_no_hardware(c), strlen(counters_why_no_hardware(c))));
    json_object_set_new(record, "read_seconds",
                        json_pack("{s:f, s:f}", "hardware", counters_read_seconds(c, COUNTERS_HARDWARE), "all",
                                  counters_read_seconds(c, COUNTERS_ALL)));
    json_object_set_new(record, "counters", list);
    return json_print(record, 6, e);
}

static int show(const struct counters *c, bool json, struct error *e)
{
    json_t *record = json_pack("{s:s}", "schema", "kerf-counters-1");
    int status = record && record_build(record) ? 0 : error_set(e, ERROR_IO, "counters: out of memory");
    if (!status && json) status = print_json(c, record, e);
    if (!status && !json) print_all(c, json_object_get(record, "machine"));
    json_decref(record);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    bool json = false;
    int64_t threads = 0;
    const struct option options[] = {
        {"--json", OPTION_FLAG, NULL, "print JSON", .flag = &json},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores)", .number = &threads, .least = 1},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status) status = engine_open(threads, e);
    if (status) return status;
    const char **names = calloc(n + 1, sizeof *names);
    if (!names) return error_set(e, ERROR_IO, "counters: out of memory");
    for (size_t i = 0; i < n; i++) names[i] = operands[i];
    struct counters *c = NULL;
    status = counters_open(&c, &(struct counters_options){.names = n ? names : NULL}, e);
    if (!status) status = show(c, json, e);
    counters_close(c);
    free(names);
    return status;
}

const struct command command_counters = {
    .name = "counters",
    .summary = "list what this machine can count, and why it cannot count the rest",
    .usage = "[NAME...] [options]",
    .examples = "  kerf counters\n"
                "  kerf counters instructions energy_package\n"
                "  kerf counters PAPI_L2_DCM perf::CACHE-MISSES --json\n",
    .run = run,
};
