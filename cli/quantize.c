/* kerf quantize: a subject as a GGUF file. */
#include "cli/command.h"
#include "engine/models/model.h"

#include <string.h>
#include <sys/stat.h>

static bool on_tensor(void *user, size_t done, size_t total) { return progress_update(user, "tensors", done, total); }

static int export(const struct subject *s, struct aids *aids, const char *out, struct error *e)
{
    int status = aids_find(aids, s, e);
    if (status) return status;
    struct progress progress;
    progress_open(&progress, s->name);
    struct export_progress watch = {&progress, on_tensor};
    double start = seconds_now();
    struct model_options options = subject_options(s, aids, &progress);
    status = model_export(s->path, &options, out, &watch, e);
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
    struct aids aids = {0};
    struct option options[2 + AIDS_OPTIONS] = {{"-o", OPTION_TEXT, "FILE.gguf", "the file to write", .text = &out}};
    aids_options(&aids, options + 1);
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
    if (!status) status = export(&s, &aids, out, e);
    subject_free(&s);
    aids_free(&aids);
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
