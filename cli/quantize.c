/* kerf quantize: a subject as a GGUF file. */
#include "cli/command.h"
#include "engine/models/model.h"

#include <string.h>
#include <sys/stat.h>

static bool on_tensor(void *user, size_t done, size_t total) { return progress_update(user, "tensors", done, total); }

static int export(const struct subject *s, const char *out, struct error *e)
{
    struct progress progress;
    progress_open(&progress, s->name);
    struct export_progress watch = {&progress, on_tensor};
    double start = seconds_now();
    int status = model_export(s->path, s->stored ? NULL : &s->how, out, &watch, e);
    progress_close(&progress);
    struct stat st;
    if (status || stat(out, &st)) return status;
    double seconds = seconds_now() - start, mib = (double)st.st_size / 1048576;
    note("wrote %s: %.1f MiB, %.0f MiB/s", out, mib, mib / seconds);
    return 0;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    const char *out = NULL;
    const struct option options[] = {{"-o", OPTION_TEXT, "FILE.gguf", "the file to write", .text = &out}, {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    struct subject s = {0};
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1)
        status = error_set(e, ERROR_USAGE, "quantize takes one SUBJECT, not %zu (the file goes after -o)", n);
    if (!status && !out) status = error_set(e, ERROR_USAGE, "-o FILE.gguf is missing");
    progress_catch_signals();
    if (!status) status = engine_open(0, e);
    if (!status) status = subject_parse(&s, operands[0], NULL, e);
    if (!status) status = export(&s, out, e);
    subject_free(&s);
    return status;
}

const struct command command_quantize = {
    .name = "quantize",
    .summary = "write a subject as a GGUF file",
    .usage = "SUBJECT -o FILE.gguf",
    .examples = "  kerf quantize millbrook-llama@f16 -o millbrook-f16.gguf\n"
                "  kerf quantize model-folder@gguf:q8_0 -o model-q8_0.gguf\n",
    .run = run,
};
