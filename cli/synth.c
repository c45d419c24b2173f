/* kerf synth: a llama of any shape with random weights, to measure speed and size with. */
#include "engine/models/synth.h"
#include "cli/command.h"

#include <string.h>
#include <sys/stat.h>

static bool on_tensor(void *user, size_t done, size_t total) { return progress_update(user, "tensors", done, total); }

static int write(const struct synth *s, const char *out, struct error *e)
{
    struct progress progress;
    struct synth_facts facts;
    const double start = seconds_now();
    progress_open(&progress, "synth");
    int status = model_synth(s, out, &(struct export_progress){&progress, on_tensor}, &facts, e);
    progress_close(&progress);
    if (status) return status;
    const double seconds = seconds_now() - start;
    if (facts.fell_back)
        note("note: %lld matrices have columns that do not divide into the type's blocks and took another type",
             (long long)facts.fell_back);
    note("wrote %s: %.4g million parameters, %.1f MiB of weights, %.1f s", out, (double)facts.parameters / 1e6,
         (double)facts.bytes / 0x1p20, seconds);
    return 0;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct synth s = {.layers = 12, .width = 768, .ffn = 3072, .heads = 12, .vocab = 50257, .context = 2048};
    int64_t seed = 1, threads = 0;
    const char *out = NULL, *type = "f16";
    const struct option options[] = {
        {"-o", OPTION_TEXT, "FILE.gguf|FOLDER", "a GGUF file, or a Hugging Face folder, empty or new", .text = &out},
        {"--layers", OPTION_NUMBER, "N", "layers (default: 12)", .number = &s.layers, .least = 1},
        {"--width", OPTION_NUMBER, "N", "width of a token's state (default: 768)", .number = &s.width, .least = 1},
        {"--ffn", OPTION_NUMBER, "N", "width within the feed-forward part (default: 3072)", .number = &s.ffn,
         .least = 1},
        {"--heads", OPTION_NUMBER, "N", "query heads (default: 12)", .number = &s.heads, .least = 1},
        {"--kv-heads", OPTION_NUMBER, "N", "key heads (default: as many as query heads)", .number = &s.kv_heads,
         .least = 1},
        {"--vocab", OPTION_NUMBER, "N", "tokens, 257 or more (default: 50257)", .number = &s.vocab, .least = 1},
        {"--context", OPTION_NUMBER, "N", "positions (default: 2048)", .number = &s.context, .least = 1},
        {"--untied", OPTION_FLAG, NULL, "an output matrix of its own (default: the embedding is the output matrix)",
         .flag = &s.untied},
        {"--type", OPTION_TEXT, "BACKEND", "how matrices are stored: f32, f16, bf16, gguf:TYPE (default: f16)",
         .text = &type},
        {"--seed", OPTION_NUMBER, "N", "which random weights (default: 1)", .number = &seed, .least = 0},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores); results are the same bytes for any number",
         .number = &threads, .least = 1},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n)
        status = error_set(e, ERROR_USAGE, "synth takes no operands, but got \"%s\" (what is written goes after -o)",
                           operands[0]);
    if (!status && !out) status = error_set(e, ERROR_USAGE, "-o FILE.gguf or -o FOLDER is missing");
    if (!s.kv_heads) s.kv_heads = s.heads;
    s.seed = (uint64_t)seed;
    progress_catch_signals();
    if (!status) status = engine_open(threads, e);
    if (!status) status = backend_parse(&s.how, type, e);
    return status ? status : write(&s, out, e);
}

const struct command command_synth = {
    .name = "synth",
    .summary = "write a llama with random weights, for benchmarks",
    .usage = "-o FILE.gguf|FOLDER [options]",
    .examples = "  kerf synth -o synthetic.gguf --layers 2 --vocab 4096\n"
                "  kerf synth -o small.gguf --layers 2 --width 256 --ffn 512 --heads 4 --kv-heads 2 --vocab 1000\n"
                "  kerf synth -o synthetic-folder --layers 2 --vocab 1000 --type bf16 --untied --seed 7\n",
    .run = run,
};
