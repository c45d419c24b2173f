/* kerf export: finished runs in the formats of other tools. */
#include "reports/export/export.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

#include <stdlib.h>
#include <string.h>

static int check_run(const char *folder, struct error *e)
{
    if (!path_exists(folder)) return error_set(e, ERROR_IO, "%s: no such file or folder", folder);
    if (folder_holds(folder, "run.json")) return 0;
    return error_set(e, ERROR_INPUT, "%s: holds no run.json%s", folder,
                     folder_holds(folder, "compare.json") ? ": it is a comparison; give the folders of its runs"
                                                          : ", as kerf eval and kerf compare write it with --out");
}

static int export_run(const struct exporter *format, const char *given, const char *out, struct error *e)
{
    struct text written = {0};
    char *folder = record_folder(given, e);
    int status = folder ? check_run(folder, e) : ERROR_IO;
    if (!status) status = format->write(folder, out, &written, e);
    struct text shown = {0};
    for (const char *s = text_c(&written); *s && !status; s += strcspn(s, "\n") + 1)
        text_terminal(&shown, s, strcspn(s, "\n")), text_char(&shown, '\n');
    fputs(text_c(&shown), stdout);
    text_free(&shown);
    text_free(&written);
    free(folder);
    return status;
}

static void print_formats(void)
{
    puts("\nformats:");
    for (size_t i = 0; exporter_at(i); i++) printf("  %-10s %s\n", exporter_at(i)->name, exporter_at(i)->summary);
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    const char *format = "lm-eval", *out = "kerf-export";
    const struct option options[] = {
        {"--format", OPTION_TEXT, "NAME", "one of those below (default: lm-eval)", .text = &format},
        {"--out", OPTION_TEXT, "DIR", "where the files go (default: kerf-export)", .text = &out},
        {0}};
    if (help) return options_print(options), print_formats(), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    const struct exporter *to = status ? NULL : exporter_find(format, e);
    if (status || !to) return status ? status : ERROR_USAGE;
    if (!*out) return error_set(e, ERROR_USAGE, "--out: an empty name is no folder");
    if (n < 1) return error_set(e, ERROR_USAGE, "export takes the folder of a run, which kerf eval --out wrote");
    for (size_t i = 0; i < n && !status; i++) status = export_run(to, operands[i], out, e);
    return status;
}

const struct command command_export = {
    .name = "export",
    .summary = "finished runs as the files of other tools",
    .usage =
        "RUN... [options]\n\n"
        "Writes a run, the folder that kerf eval or kerf compare left, in the format of another tool, and prints the\n"
        "names of the files. What has no place there is listed in docs/interchange.md.",
    .examples = "  kerf export kerf-out/runs/millbrook-llama-f32\n"
                "  kerf export --format lm-eval kerf-out/runs/* --out results\n",
    .run = run,
};
