/* kerf bench: how fast parts of the engine are. One file each, one row here. */
#include "cli/command.h"
#include "engine/base/suggest.h"

#include <string.h>

static const struct command *const benchmarks[] = {&bench_quantize, &bench_machine, &bench_model};
enum { BENCHMARKS = sizeof benchmarks / sizeof *benchmarks };

static void print_benchmarks(void)
{
    struct error e;
    for (size_t i = 0; i < BENCHMARKS; i++) {
        const struct command *b = benchmarks[i];
        printf("%skerf bench %s %s\n%s\n\n", i ? "\n" : "", b->name, b->usage, b->summary);
        b->run(0, NULL, true, &e);
    }
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    if (help) return print_benchmarks(), 0;
    const char *names[BENCHMARKS];
    for (size_t i = 0; i < BENCHMARKS; i++) {
        names[i] = benchmarks[i]->name;
        if (argc && strcmp(argv[0], names[i]) == 0) return benchmarks[i]->run(argc - 1, argv + 1, false, e);
    }
    if (asks_help(argc, argv)) return OPTIONS_HELP;
    if (!argc || argv[0][0] == '-')
        return error_set(e, ERROR_USAGE, "bench: the name of a benchmark must follow (kerf bench --help lists them)");
    struct suggestion guess = suggest(argv[0], names, BENCHMARKS);
    return error_set(e, ERROR_USAGE, "bench %s: no such benchmark%s", argv[0],
                     guess.words[0] ? guess.words : " (kerf bench --help lists them)");
}

const struct command command_bench = {
    .name = "bench",
    .summary = "measure the speed of the engine's parts",
    .usage = "BENCHMARK [options]",
    .examples = "  kerf bench quantize f16 int8:absmax gguf:q4_0 --rows 256\n"
                "  kerf bench quantize gguf:q8_0 --rows 256 --repeat 10 --json\n"
                "  kerf bench model millbrook-llama @gguf:q4_0 --math both -p 64 -n 16 -r 2\n",
    .run = run,
};
