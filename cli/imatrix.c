/* kerf imatrix: what the matrices of a model meet in a text, for quantizers that weigh errors. */
#include "engine/models/imatrix.h"
#include "cli/command.h"
#include "engine/base/file.h"

static bool on_window(void *user, size_t done, size_t total) { return progress_update(user, "windows", done, total); }

static int collect(const struct subject *s, const struct model *m, struct imatrix_plan *plan, const char *out,
                   struct error *e)
{
    struct progress progress;
    progress_open(&progress, s->name);
    plan->user = &progress;
    plan->progress = on_window;
    struct imatrix_done done;
    double start = seconds_now();
    int status = model_collect_imatrix(m, plan, out, &done, e);
    progress_close(&progress);
    if (status) return status;
    note("wrote %s: %lld matrices, %lld tokens in %lld windows, %.1f s", out, (long long)done.matrices,
         (long long)done.tokens, (long long)done.windows, seconds_now() - start);
    return 0;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    const char *out = NULL;
    int64_t threads = 0;
    struct imatrix_plan plan = {0};
    struct aids aids = {0};
    const struct option options[] = {
        {"--data", OPTION_TEXT, "FILE", "the text that the model is run over", .text = &plan.text},
        {"-o", OPTION_TEXT, "FILE.gguf", "the file to write", .text = &out},
        {"--context", OPTION_NUMBER, "N", "tokens of a window (default: 512, or the model's context if that is less)",
         .number = &plan.window, .least = 2},
        {"--chunks", OPTION_NUMBER, "N", "at most N windows (default: all that the text fills)",
         .number = &plan.windows, .least = 1},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores)", .number = &threads, .least = 1},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    struct subject s = {0};
    struct model *m = NULL;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1)
        status = error_set(e, ERROR_USAGE, "imatrix takes one SUBJECT, not %zu (the text goes after --data)", n);
    if (!status && !plan.text) status = error_set(e, ERROR_USAGE, "--data FILE is missing");
    if (!status && !out) status = error_set(e, ERROR_USAGE, "-o FILE.gguf is missing");
    progress_catch_signals();
    if (!status) status = engine_open(threads, e);
    if (!status) status = subject_parse(&s, operands[0], NULL, e);
    aids.context = plan.window;
    if (!status) status = aids_find(&aids, &s, e);
    if (!status)
        status =
            output_check("-o", out, (const char *const[]){s.path, plan.text, aids.shipped, aids.calibration}, 4, e);
    if (!status) status = subject_open(&s, &aids, &m, e);
    if (!status) status = collect(&s, m, &plan, out, e);
    model_close(m);
    subject_free(&s);
    aids_free(&aids);
    return status;
}

const struct command command_imatrix = {
    .name = "imatrix",
    .summary = "collect an importance matrix for quantize and compare",
    .usage = "SUBJECT --data FILE -o FILE.gguf [options]\n\n"
             "Sums the squares of what each matrix of a layer is multiplied with; llama.cpp reads the file too.",
    .examples = "  kerf imatrix millbrook-llama --data text.txt -o imatrix.gguf\n"
                "  kerf quantize millbrook-llama@gguf:q2_k --imatrix imatrix.gguf -o model-q2_k.gguf\n",
    .run = run,
};
