/* kerf quantize: a subject as a GGUF file or, for the backends gptq and rtn, as a Hugging Face folder. */
#include "cli/command.h"
#include "engine/backends/gptq.h"
#include "engine/base/file.h"
#include "engine/models/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool on_tensor(void *user, size_t done, size_t total) { return progress_update(user, "tensors", done, total); }

static int write_file(const struct subject *s, struct aids *aids, const char *out, struct error *e)
{
    const char *const inputs[] = {s->path, aids->calibration, aids->imatrix};
    int status = output_check("-o", out, inputs, sizeof inputs / sizeof *inputs, e);
    if (!status) status = aids_find(aids, s, e);
    if (status) return status;
    struct progress progress;
    progress_open(&progress, s->name);
    struct export_progress watch = {&progress, on_tensor};
    struct model_options options = subject_options(s, aids, &progress);
    struct facts facts;
    status = model_export(s->path, &options, out, &watch, &facts, e);
    progress_close(&progress);
    if (!status) subject_notes(s, &facts);
    return status;
}

static int write_folder(const struct subject *s, struct aids *aids, const char *out, struct error *e)
{
    struct model *m = NULL;
    int status = model_export_folder_check(s->path, &s->how, out, e);
    if (!status) status = subject_open(s, aids, &m, e);
    if (status) return status;
    struct progress progress;
    progress_open(&progress, s->name);
    status = model_export_folder(m, &s->how, out, &(struct export_progress){&progress, on_tensor}, e);
    progress_close(&progress);
    model_close(m);
    const struct gptq_settings *set = gptq_settings_of(&s->how);
    if (!status && !set->symmetric && set->zeros != GPTQ_V2)
        note("note: GPTQModel refuses asymmetric zero points in the format gptq from other programs: for it add sym or "
             "zero-points=v2");
    return status;
}

static int export(const struct subject *s, struct aids *aids, const char *out, struct error *e)
{
    bool folder = !s->stored && gptq_settings_of(&s->how);
    double start = seconds_now();
    int status = folder ? write_folder(s, aids, out, e) : write_file(s, aids, out, e);
    char *path = folder ? path_join(out, "model.safetensors", NULL) : NULL;
    struct stat st;
    if (!status && stat(path ? path : out, &st) == 0) {
        double seconds = seconds_now() - start, mib = (double)st.st_size / 1048576;
        note("wrote %s: %.1f MiB, %.*f MiB/s", out, mib, mib < 10 * seconds ? 2 : 0, mib / seconds);
    }
    free(path);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    const char *out = NULL;
    int64_t threads = 0;
    struct aids aids = {0};
    struct option options[3 + AIDS_OPTIONS] = {
        {"-o", OPTION_TEXT, "FILE.gguf", "the file to write; for gptq and rtn a folder, empty or new", .text = &out},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores); results are the same bytes for any number",
         .number = &threads, .least = 1}};
    aids_options(&aids, options + 2);
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    struct subject s = {0};
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1)
        status = error_set(e, ERROR_USAGE, "quantize takes one SUBJECT, not %zu (what is written goes after -o)", n);
    if (!status && !out) status = error_set(e, ERROR_USAGE, "-o FILE.gguf is missing (for gptq and rtn: -o FOLDER)");
    progress_catch_signals();
    if (!status) status = engine_open(threads, e);
    if (!status) status = subject_parse(&s, operands[0], NULL, e);
    if (!status) status = export(&s, &aids, out, e);
    subject_free(&s);
    aids_free(&aids);
    return status;
}

const struct command command_quantize = {
    .name = "quantize",
    .summary = "write a subject as a GGUF file or a GPTQ folder",
    .usage = "SUBJECT -o FILE.gguf|FOLDER [options]",
    .examples = "  kerf quantize millbrook-llama@f16 -o millbrook-f16.gguf\n"
                "  kerf quantize model-folder@gguf:q8_0 -o model-q8_0.gguf\n"
                "  kerf quantize model-folder@gptq:4,act-order -o model-gptq-4 --calibration text.txt\n"
                "  kerf quantize gptq-folder@gguf:q4_k_m -o model.gguf\n",
    .run = run,
};
