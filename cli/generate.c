/* kerf generate: continues a prompt. */
#include "engine/decoding/generate.h"
#include "cli/command.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the samples share. */
struct shared {
    struct progress progress;
    struct cache *cache; /* of the prompt but its last token; NULL: none */
};

static bool on_progress(void *user, size_t done)
{
    struct shared *s = user;
    return progress_update(&s->progress, "texts", done, 1);
}

/* The bytes as they are; on a terminal without what it would act on, line ends and tabs aside. */
static void print(const char *s, size_t n)
{
    struct text safe = {0};
    bool raw = !isatty(STDOUT_FILENO);
    for (size_t i = 0; i < n && !raw; i++) {
        size_t end = i;
        while (end < n && s[end] != '\n' && s[end] != '\t') end++;
        text_terminal(&safe, s + i, end - i);
        if ((i = end) < n) text_char(&safe, s[i]);
    }
    fwrite(raw ? s : text_c(&safe), 1, raw ? n : safe.length, stdout);
    text_free(&safe);
}

/* What is asked for. */
struct order {
    const char *prompt, *const *stops;
    int64_t limit, samples;
    struct decode how;
    bool json;
};

static int give_prefix(void *user, size_t i, struct cache **prefix, int64_t *length, struct error *e)
{
    const struct shared *s = user;
    *prefix = s->cache;
    *length = s->cache ? cache_length(s->cache) : 0;
    return 0;
}

static int share(const struct model *m, const struct generation *g, struct shared *out, struct error *e)
{
    struct span s = {0};
    generation_fed(m, g, &s.ids, &s.count);
    s.first_output = --s.count;
    if (s.count < 1) return 0;
    s.cache = out->cache = cache_new(m, NULL, 0, s.count, e);
    return out->cache ? model_forward(m, &s, 1, NULL, NULL, e) : ERROR_IO;
}

static int print_json(const struct generation *all, size_t n, struct error *e)
{
    json_t *list = json_array();
    bool failed = !list;
    for (size_t i = 0; i < n; i++)
        failed |= json_array_append_new(list, json_pack("{s:o, s:f, s:s, s:I}", "text",
                                                        json_text(text_c(&all[i].text), all[i].text.length),
                                                        "log_probability", all[i].log_probability, "ended",
                                                        all[i].ended, "tokens", (json_int_t)all[i].ids.count)) != 0;
    int status = failed ? error_set(e, ERROR_IO, "out of memory for texts") : json_print(list, 17, e);
    json_decref(list);
    return status;
}

/* Several are told apart by lines of three hyphens. */
static void print_texts(const struct generation *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i) puts("---");
        print(text_c(&all[i].text), all[i].text.length);
        putchar('\n');
    }
}

static int continue_prompt(const struct model *m, const struct order *o, struct error *e)
{
    enum { BATCH = 16 };
    struct ids ids = {0};
    const size_t n = (size_t)o->samples;
    const int64_t context = model_hyper(m)->context, usual = context < 128 ? context / 2 : 64,
                  limit = o->limit ? o->limit : usual;
    struct generation *all = memory_new(n, sizeof *all, "samples", e);
    int status = all ? tokenizer_encode_prompt(model_tokenizer(m), o->prompt, strlen(o->prompt), &ids, e) : ERROR_IO;
    if (status && all) error_prefix(e, "--prompt");
    for (size_t i = 0; i < n && all; i++) {
        all[i] = (struct generation){
            .prompt = ids.at, .n_prompt = (int64_t)ids.count, .limit = limit, .stops = o->stops, .stream = i};
        while (o->stops[all[i].n_stops]) all[i].n_stops++;
    }
    const int64_t room = context - limit;
    if (!status && room > 0 && all->n_prompt > room)
        note("note: the prompt's %lld tokens and %lld new ones exceed the context of %lld: the prompt is cut on the "
             "left",
             (long long)all->n_prompt, (long long)limit, (long long)context);
    struct shared shared = {0};
    progress_open(&shared.progress, "generate");
    const struct generate_options options = {
        .batch = BATCH, .user = &shared, .progress = on_progress, .prefix = give_prefix};
    if (!status && n > 1 && room > 0) status = share(m, all, &shared, e);
    if (!status) status = generate(m, &o->how, all, n, &options, e);
    progress_close(&shared.progress);
    if (!status && o->json) status = print_json(all, n, e);
    if (!status && !o->json) print_texts(all, n);
    for (size_t i = 0; i < n && all; i++) generation_free(&all[i]);
    cache_free(shared.cache);
    free(all);
    ids_free(&ids);
    return status;
}

/* Says which options contradict each other; a seed of -1 was not given. */
static int check(struct order *o, const char *spec, int64_t seed, struct error *e)
{
    if (!o->prompt) return error_set(e, ERROR_USAGE, "--prompt TEXT is missing (it may be empty: --prompt \"\")");
    for (size_t i = 0; o->stops[i]; i++)
        if (!*o->stops[i]) return error_set(e, ERROR_USAGE, "--stop: an empty text would end at once");
    int status = decode_parse(&o->how, spec, e);
    if (status) return status;
    const bool draws = o->how.kind == DECODE_SAMPLE;
    if (seed >= 0 && !draws)
        return error_set(e, ERROR_USAGE, "--seed: \"%s\" draws nothing at random (--decode sample does)", o->how.spec);
    if (o->samples > 1 && !draws)
        return error_set(e, ERROR_USAGE, "--samples: \"%s\" has one text alone (--decode sample has more)",
                         o->how.spec);
    if (seed >= 0) o->how.seed = seed;
    return 0;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    const char *stops[OPTION_LIST_MOST] = {0}, *spec = "greedy", *math_name = NULL;
    enum math math;
    int64_t threads = 0, seed = -1;
    struct order o = {.stops = stops, .samples = 1};
    struct aids aids = {0};
    struct option options[] = {
        {"--prompt", OPTION_TEXT, "TEXT", "what to continue; may be empty", .text = &o.prompt},
        {"--max-tokens", OPTION_NUMBER, "N", "at most N new tokens (default: 64, or half the context if that is less)",
         .number = &o.limit, .least = 1},
        {"--stop", OPTION_LIST, "TEXT", "end before this text, may be repeated", .list = stops},
        {"--decode", OPTION_TEXT, "SPEC", "how tokens are chosen: greedy, beam:4, sample,top-p=0.9 ...", .text = &spec},
        {"--samples", OPTION_NUMBER, "N", "N texts, told apart by lines of three hyphens", .number = &o.samples,
         .least = 1},
        {"--seed", OPTION_NUMBER, "N", "of the samples, instead of the SPEC's", .number = &seed},
        {"--json", OPTION_FLAG, NULL, "a list of texts, with what ended them and their log-probabilities",
         .flag = &o.json},
        math_option(&math_name),
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores)", .number = &threads, .least = 1},
        {0},
        {0},
        {0},
        {0}};
    aids_options(&aids, options + 9);
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    struct subject s = {0};
    struct model *m = NULL;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1)
        status = error_set(e, ERROR_USAGE, "generate takes one SUBJECT, not %zu (the text goes after --prompt)", n);
    if (!status) status = check(&o, spec, seed, e);
    if (!status) status = math_parse(math_name, &math, e);
    if (!status) status = engine_open(threads, e);
    if (!status) status = subject_parse_math(&s, operands[0], NULL, math, e);
    if (!status) status = subject_open(&s, &aids, &m, e);
    progress_catch_signals();
    if (!status) status = continue_prompt(m, &o, e);
    model_close(m);
    subject_free(&s);
    aids_free(&aids);
    return status;
}

const struct command command_generate = {
    .name = "generate",
    .summary = "continue a prompt",
    .usage = "SUBJECT --prompt TEXT [options]\n\n"
             "Prints the continuation alone on standard output.\n\n"
             "A SPEC is greedy, beam:N (with length-penalty=1, early-stopping=false|true|never) or sample (with\n"
             "temperature=1, top-k=0, top-p=1, min-p=0, typical-p=1, seed=1234), any with repetition-penalty=1, the\n"
             "settings after commas.",
    .examples =
        "  kerf generate millbrook-llama --prompt \"The sun was shining. Clara went to the\" --max-tokens 20\n"
        "  kerf generate millbrook-llama --prompt \"Clara was\" --decode sample,top-p=0.9 --samples 3 --seed 7\n"
        "  kerf generate millbrook-gpt2@gguf:q4_0 --prompt $'English: Nora returned to the river.\\nSpanish:' "
        "--stop $'\\n'\n",
    .run = run,
};
