#include "cli/command.h"
#include "engine/base/suggest.h"
#include "version.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const commands[] = {
    &command_eval,       &command_compare,  &command_suites,   &command_backends,    &command_inspect,
    &command_generate,   &command_tokenize, &command_quantize, &command_imatrix,     &command_bench,
    &command_perplexity, &command_score,    &command_report,   &command_leaderboard, &command_export,
    &command_synth,      &command_counters, &command_check,    &command_kernels};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(void)
{
    puts("kerf - what quantization takes from a language model, and what it buys\n\n"
         "usage: kerf COMMAND [options]\n");
    for (size_t i = 0; i < COMMANDS; i++) printf("  %-11s %s\n", commands[i]->name, commands[i]->summary);
    puts("\nA SUBJECT is MODEL[@BACKEND][+MATH]: a GGUF file, a Hugging Face folder or the name of a model that ships\n"
         "(millbrook-llama, millbrook-gpt2), how its weights are stored (kerf backends lists the ways), and how they\n"
         "are multiplied: exact (float32) or fast (8-bit inputs, as deployed).\n\n"
         "examples:\n"
         "  kerf compare millbrook-llama@f32 @int8:absmax @gguf:q4_0\n"
         "  kerf eval model.gguf --suite stories\n"
         "  kerf COMMAND --help\n\n"
         "exit status: 0 success, 1 a check failed, 2 usage, 3 bad input, 4 input/output, 5 not a finite number,\n"
         "130 interrupted");
}

static void print_command_help(const struct command *c)
{
    struct error e;
    printf("%s\n\nusage: kerf %s %s\n\n", c->summary, c->name, c->usage);
    c->run(0, NULL, true, &e);
    printf("\nexamples:\n%s", c->examples);
}

static const struct command *find(const char *name, struct error *e)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i]->name;
        if (strcmp(name, names[i]) == 0) return commands[i];
    }
    struct suggestion guess = suggest(name, names, COMMANDS);
    error_set(e, ERROR_USAGE, "%s: unknown command%s", name,
              guess.words[0] ? guess.words : " (kerf --help lists them)");
    return NULL;
}

static int run(int argc, char **argv, struct error *e)
{
    if (argc < 2) {
        print_help();
        return error_set(e, ERROR_USAGE, "a command must follow (kerf --help lists them)");
    }
    bool asks_help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0;
    if (asks_help && argc > 2) {
        const struct command *about = find(argv[2], e);
        return about ? print_command_help(about), 0 : ERROR_USAGE;
    }
    if (asks_help) return print_help(), 0;
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)
        return printf("kerf %s (%s, %s, %s)\n", KERF_VERSION, KERF_COMMIT, KERF_COMPILER, KERF_BUILD_TYPE), 0;
    const struct command *c = find(argv[1], e);
    if (!c) return ERROR_USAGE;
    int status = c->run(argc - 2, argv + 2, false, e);
    return status == OPTIONS_HELP ? print_command_help(c), 0 : status;
}

/* GNU OpenMP's threads spin for milliseconds before they sleep. On a machine that does anything else besides, they then
 * keep each other from running: two runs at once on two cores took 24 times as long as one after the other
 * (docs/performance.md). The library reads its settings before main() begins, so the program starts itself again with
 * a short spin, unless the user chose one or valgrind is watching, which would lose sight of it. */
static void share_cores(char **argv)
{
    const char *preload = getenv("LD_PRELOAD");
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || (preload && strstr(preload, "vgpreload"))) return;
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || setenv("GOMP_SPINCOUNT", "1000", 1)) return;
    self[n] = 0;
    execv(self, argv); /* where this fails the program runs on as it is */
}

/* Files are read as mapped memory. Where one was cut off in the meantime, nothing is behind an address, which comes as
 * a signal and is an error of input/output, told with what a signal handler may call (signal-safety(7)). */
static void on_lost_page(int number, siginfo_t *info, void *context)
{
    static const char words[] = "error: a file got shorter while it was read, or its disk failed: run it again when "
                                "nothing writes to it\n";
    if (info->si_code != BUS_ADRERR) {
        raise(number); /* not of a file: the signal as it is */
        return;
    }
    if (write(STDERR_FILENO, words, sizeof words - 1) < 0) _exit(ERROR_IO); /* the status tells it, too */
    _exit(ERROR_IO);
}

static void catch_lost_pages(void)
{
    struct sigaction action = {.sa_sigaction = on_lost_page, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

int main(int argc, char **argv)
{
    share_cores(argv);
    catch_lost_pages();
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit (ulimit -f) is an error of write(), told as one */
    struct error e = {0};
    int status = run(argc, argv, &e);
    if (!status && fflush(stdout)) status = error_errno(&e, "standard output", "write");
    if (status) note("error: %s", e.text);
    return status;
}
