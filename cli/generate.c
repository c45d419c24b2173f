/* kerf generate: continues a prompt. */
#include "engine/decoding/generate.h"
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool on_progress(void *user, size_t done) { return progress_update(user, "texts", done, 1); }

/* The bytes as they are; on a terminal without what it would act on, line ends and tabs aside. */
static void print(const char *s, size_t n)
{
    struct text safe = {0};
    bool raw = !isatty(STDOUT_FILENO);
    for (size_t i = 0; i < n && !raw; i++) {
        size_t plain = strcspn(s + i, "\n\t");
        if (plain > n - i) plain = n - i;
        text_terminal(&safe, s + i, plain);
        if ((i += plain) < n) text_char(&safe, s[i]);
    }
    fwrite(raw ? s : text_c(&safe), 1, raw ? n : safe.length, stdout);
    text_free(&safe);
}

static int continue_prompt(const struct model *m, const char *prompt, int64_t limit, const char *const *stops,
                           struct error *e)
{
    struct ids ids = {0};
    int status = tokenizer_encode_prompt(model_tokenizer(m), prompt, strlen(prompt), &ids, e);
    if (status) error_prefix(e, "--prompt");
    struct generation g = {.prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = limit, .stops = stops};
    while (stops[g.n_stops]) g.n_stops++;
    int64_t room = model_hyper(m)->context - limit;
    if (!status && room > 0 && g.n_prompt > room)
        note("note: the prompt's %lld tokens and %lld new ones exceed the context of %lld: the prompt is cut on the "
             "left",
             (long long)g.n_prompt, (long long)limit, (long long)model_hyper(m)->context);
    const struct decode how = decode_greedy();
    struct progress progress;
    progress_open(&progress, "generate");
    struct generate_options options = {.batch = 1, .user = &progress, .progress = on_progress};
    if (!status) status = generate(m, &how, &g, 1, &options, e);
    progress_close(&progress);
    if (!status) {
        print(text_c(&g.text), g.text.length);
        putchar('\n');
    }
    generation_free(&g);
    ids_free(&ids);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    const char *prompt = NULL, *stops[OPTION_LIST_MOST] = {0};
    int64_t limit = 64, threads = 0;
    struct aids aids = {0};
    struct option options[] = {
        {"--prompt", OPTION_TEXT, "TEXT", "what to continue; may be empty", .text = &prompt},
        {"--max-tokens", OPTION_NUMBER, "N", "at most N new tokens (default: 64)", .number = &limit, .least = 1},
        {"--stop", OPTION_LIST, "TEXT", "end before this text, may be repeated", .list = stops},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores)", .number = &threads, .least = 1},
        {0},
        {0},
        {0}};
    aids_options(&aids, options + 4);
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    struct subject s = {0};
    struct model *m = NULL;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1)
        status = error_set(e, ERROR_USAGE, "generate takes one SUBJECT, not %zu (the text goes after --prompt)", n);
    if (!status && !prompt)
        status = error_set(e, ERROR_USAGE, "--prompt TEXT is missing (it may be empty: --prompt \"\")");
    for (size_t i = 0; stops[i] && !status; i++)
        if (!*stops[i]) status = error_set(e, ERROR_USAGE, "--stop: an empty text would end at once");
    if (!status) status = engine_open(threads, e);
    if (!status) status = subject_parse(&s, operands[0], NULL, e);
    if (!status) status = subject_open(&s, &aids, &m, e);
    progress_catch_signals();
    if (!status) status = continue_prompt(m, prompt, limit, stops, e);
    model_close(m);
    subject_free(&s);
    aids_free(&aids);
    return status;
}

const struct command command_generate = {
    .name = "generate",
    .summary = "continue a prompt, greedily",
    .usage = "SUBJECT --prompt TEXT [options]\n\nPrints the continuation alone on standard output.",
    .examples = "  kerf generate millbrook-llama --prompt \"The sun was shining. Clara went to the\" --max-tokens 20\n"
                "  kerf generate millbrook-gpt2@gguf:q4_0 --prompt $'English: Nora returned to the river.\\nSpanish:' "
                "--stop $'\\n'\n",
    .run = run,
};
