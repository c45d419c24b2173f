/* The values of tokenizer.ggml.pre and what they stand for. The names are those that llama.cpp reads and writes; the
 * patterns are those of the models' own tokenizer.json files, so that both files of a model cut alike. Where llama.cpp
 * has another approximation of a pattern, docs/tokenizers.md says so. */
#include "engine/tokenizers/split.h"
#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define LINES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(after)                                                                                                   \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" after "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" after
#define SLASHES " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define ASCII_SYMBOLS "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
#define SYMBOLS_FIRST(end) ASCII_SYMBOLS "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" end
#define KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
/* no member of \p{Han}; Han letters are of category Lo, some Lm, and letter numbers */
#define NOT_HAN "(?!\\p{Han})"

/* deepseek-llm's list of letters that have case */
#define CASED_LETTERS                                                                                                  \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}\\x{295}-\\x{2af}"   \
    "\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}"     \
    "\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}"       \
    "\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{"    \
    "1d9a}"                                                                                                            \
    "\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{"     \
    "1f5b}"                                                                                                            \
    "\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{"     \
    "1fcc}"                                                                                                            \
    "\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{"     \
    "2107}"                                                                                                            \
    "\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}" \
    "\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}" \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{"     \
    "a787}"                                                                                                            \
    "\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{"    \
    "ff5a}"                                                                                                            \
    "\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}"        \
    "\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

#define STAGES(name, ...) static const struct split_stage name[RULE_STAGES_MAX] = {__VA_ARGS__}
#define CUT(pattern)                                                                                                   \
    {                                                                                                                  \
        pattern, SPLIT_ISOLATED, false, false                                                                          \
    }

STAGES(gpt2, CUT(SPLIT_GPT2));
STAGES(digits_gpt2, CUT("\\p{N}"), CUT(SPLIT_GPT2));
STAGES(plain, CUT("[\\p{P}\\$\\+<=>\\^~\\|]+"), CUT(SPLIT_GPT2), CUT("\\p{N}+"), CUT("[0-9][0-9][0-9]"));
STAGES(falcon, CUT("[\\p{P}\\$\\+<=>\\^~\\|`]+"), CUT(SPLIT_GPT2), CUT("[0-9][0-9][0-9]"));
STAGES(llama3, CUT(CONTRACTIONS "|" LETTERS "|\\p{N}{1,3}|" OTHERS "|" LINES));
STAGES(qwen2, CUT(CONTRACTIONS "|" LETTERS "|\\p{N}|" OTHERS "|" LINES));
STAGES(qwen35,
       CUT(CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES));
STAGES(ufakzeka, CUT(LETTERS "|\\p{N}|" OTHERS "|" LINES));
STAGES(laguna, CUT("[^\\n]+|[\\n]+"), CUT(CONTRACTIONS "|" LETTERS "|\\p{N}|" OTHERS "|" LINES));
STAGES(minicpm5, CUT("\\p{N}{1,3}"), CUT(CONTRACTIONS "|" LETTERS "|\\p{N}+|" OTHERS "|" LINES));
STAGES(seed_coder, CUT(CONTRACTIONS "|" LETTERS "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" LINES));
STAGES(bailing, CUT("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
                    "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"));
/* the model's own pattern repeats \p{L}\p{M}* in a group, which is this without the backtracking */
STAGES(exaone_moe, CUT(CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}[\\p{L}\\p{M}]*+(?: \\p{L}[\\p{L}\\p{M}]*+)*+|\\p{N}|"
                                    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"));
STAGES(jais2, CUT(CONTRACTIONS "|" LETTERS "|\\p{N}{1,3}|" OTHERS
                               "|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|"
                               "\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"));
/* in deepseek-llm \s+$ would be tried again at each space: the look behind is what the first try says anyway */
STAGES(deepseek_llm, CUT("[\\r\\n]"), CUT("\\s?[" CASED_LETTERS "]+"),
       CUT("\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+"),
       CUT("(?<!\\s)\\s+$"), CUT(CJK), CUT("\\p{N}+"));
STAGES(deepseek_coder, CUT("[\\r\\n]"), CUT("\\s?\\p{L}+"), CUT("\\s?\\p{P}+"), CUT(CJK), CUT("\\p{N}"));
STAGES(deepseek_v3, CUT("\\p{N}{1,3}"), CUT(KANA), CUT(SYMBOLS_FIRST("[\\r\\n]*") "|" LINES));
STAGES(spark, CUT("\\p{N}{1,3}"), CUT(KANA), CUT(SYMBOLS_FIRST("|[\\r\\n]|\\s+(?!\\S)|\\s+")), CUT("\\p{N}"));
STAGES(youtu,
       CUT("[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}"
           "\\x{ff1a}"
           "\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|" KANA),
       CUT(CASED(CONTRACTIONS "?") "|\\p{N}|" SLASHES "|" LINES));
/* a class in a class adds its members, and what was meant as a group is members, too */
#define BLOOM " ?[^(\\s|[.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c}])]+"
STAGES(poro, CUT(BLOOM));
STAGES(viking, CUT(BLOOM), CUT("\\p{N}"));
STAGES(tekken, CUT(CASED("") "|\\p{N}|" SLASHES "|" LINES));
STAGES(gpt4o, CUT(CASED(CONTRACTIONS "?") "|\\p{N}{1,3}|" SLASHES "|" LINES));
STAGES(tiny_aya, CUT("\\d{1,3}(?=(?:\\d{3})*\\b)"), CUT(CASED(CONTRACTIONS "?") "|\\p{N}{1,3}|" SLASHES "|" LINES));
STAGES(chameleon, CUT("<sentinel:[0-9]+>"), CUT("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"), CUT("([\\t\\n]|    |  )"),
       CUT("\\p{N}"), CUT("[\\p{P}!-/:-@\\[-`{-~]"), CUT(SPLIT_GPT2));
STAGES(kimi, CUT("\\p{Han}+|[^\\r\\n\\p{L}\\p{N}]?(?:" NOT_HAN UPPER ")*(?:" NOT_HAN LOWER ")+" CONTRACTIONS
                 "?|[^\\r\\n\\p{L}\\p{N}]?(?:" NOT_HAN UPPER ")+(?:" NOT_HAN LOWER ")*" CONTRACTIONS
                 "?|\\p{N}{1,3}|" OTHERS "|" LINES));
STAGES(superbpe, CUT("\\p{N}+"), CUT("(?=(\\d{3})+(?!\\d))"));
STAGES(
    afmoe, CUT("\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))"),
    CUT("[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}\\x{ff65}-\\x{"
        "ff9f}"
        "\\x{2f00}-\\x{2fdf}\\x{e00}-\\x{e7f}\\x{e80}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}"
        "\\x{a9e0}-\\x{a9ff}\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+"),
    CUT(SYMBOLS_FIRST("[\\r\\n]*") "|" LINES));

static const struct split_rule rules[] = {
    {"gpt-2", false, false, gpt2},
    {"default", false, false, plain},
    {"llama-bpe", true, true, llama3},
    {"llama3", true, true, llama3},
    {"llama-v3", true, true, llama3},
    {"falcon3", true, true, llama3},
    {"falcon-h1", true, true, llama3},
    {"pixtral", true, true, llama3},
    {"midm-2.0", true, true, llama3},
    {"lfm2", true, true, llama3},
    {"jina-v5-nano", true, true, llama3},
    {"dbrx", false, false, llama3},
    {"smaug-bpe", false, false, llama3},
    {"glm4", false, false, llama3},
    {"chatglm-bpe", false, false, llama3},
    {"deepseek-llm", false, false, deepseek_llm},
    {"deepseek-coder", false, false, deepseek_coder},
    {"deepseek-v3", false, false, deepseek_v3},
    {"hunyuan-dense", false, false, deepseek_v3},
    {"hy_v4", false, false, deepseek_v3},
    {"joyai-llm", false, false, deepseek_v3},
    {"spark2_5", false, false, spark},
    {"youtu", true, false, youtu},
    {"falcon", false, false, falcon},
    {"starcoder", false, false, digits_gpt2},
    {"refact", false, false, digits_gpt2},
    {"command-r", false, false, digits_gpt2},
    {"smollm", false, false, digits_gpt2},
    {"codeshell", false, false, digits_gpt2},
    {"exaone", false, false, digits_gpt2},
    {"minerva-7b", false, false, digits_gpt2},
    {"mellum2", false, false, digits_gpt2},
    {"mpt", false, false, gpt2},
    {"olmo", false, false, gpt2},
    {"jais", false, false, gpt2},
    {"phi-2", false, false, gpt2},
    {"gigachat", false, false, gpt2},
    {"a.x-4.0", false, false, gpt2},
    {"mellum", false, false, gpt2},
    {"modern-bert", false, false, gpt2},
    {"jina-es", false, false, gpt2},
    {"jina-de", false, false, gpt2},
    {"jina-v2-es", false, false, gpt2},
    {"jina-v2-de", false, false, gpt2},
    {"jina-v1-en", false, false, gpt2},
    {"jina-v2-code", false, false, gpt2},
    {"roberta-bpe", false, false, gpt2},
    {"trillion", false, false, gpt2},
    {"granite-docling", false, false, gpt2},
    {"exaone4", false, false, gpt2},
    {"qwen2", false, false, qwen2},
    {"deepseek-r1-qwen", false, false, qwen2},
    {"kormo", false, false, qwen2},
    {"f2llmv2", false, false, qwen2},
    {"megrez", false, false, qwen2},
    {"stablelm2", false, false, qwen2},
    {"hunyuan", false, false, qwen2},
    {"solar-open", false, false, qwen2},
    {"grok-2", false, false, qwen2},
    {"qwen35", false, false, qwen35},
    {"ufakzeka", false, false, ufakzeka},
    {"laguna", false, false, laguna},
    {"minicpm5", true, false, minicpm5},
    {"seed-coder", false, false, seed_coder},
    {"bailingmoe", false, false, bailing},
    {"bailingmoe2", false, false, bailing},
    {"llada-moe", false, false, bailing},
    {"exaone-moe", false, false, exaone_moe},
    {"jais-2", false, false, jais2},
    {"bloom", false, false, poro},
    {"poro-chat", false, false, poro},
    {"gpt3-finnish", false, false, poro},
    {"viking", false, false, viking},
    {"tekken", true, true, tekken},
    {"gpt-4o", false, false, gpt4o},
    {"llama4", false, false, gpt4o},
    {"kanana2", false, false, gpt4o},
    {"talkie", false, false, gpt4o},
    {"minimax-m2", false, false, gpt4o},
    {"granite-embed-multi-97m", true, false, gpt4o},
    {"tiny_aya", false, false, tiny_aya},
    {"cohere2moe", false, false, tiny_aya},
    {"chameleon", false, true, chameleon},
    {"kimi-k2", false, false, kimi},
    {"superbpe", false, false, superbpe},
    {"afmoe", false, false, afmoe},
};

const struct split_rule *split_rule_at(size_t i) { return i < sizeof rules / sizeof *rules ? rules + i : NULL; }

const struct split_rule *split_rule_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strlen(rules[i].name) == length && memcmp(rules[i].name, name, length) == 0) return rules + i;
    return NULL;
}

size_t split_rule_length(const struct split_rule *rule)
{
    size_t n = 0;
    while (n < RULE_STAGES_MAX && rule->stages[n].pattern) n++;
    return n;
}

/* Whether a pattern matches everything, so that it is the same to keep matches alone: it takes letters, numbers, what is
 * neither, and at its end white space. */
static bool leaves_nothing(const char *pattern)
{
    static const char spaces[] = "|\\s+(?!\\S)|\\s+";
    const size_t n = strlen(pattern), end = sizeof spaces - 1;
    return n > end && strcmp(pattern + n - end, spaces) == 0 && strstr(pattern, "[^\\s\\p{L}\\p{N}]+") &&
           strstr(pattern, "|\\p{N}") && (strstr(pattern, "?\\p{L}+") || strstr(pattern, UPPER "*" LOWER "+"));
}

static bool same_stages(const struct split_rule *rule, const struct split_stage *stages, size_t count)
{
    if (split_rule_length(rule) != count) return false;
    for (size_t i = 0; i < count; i++) {
        const struct split_stage *a = rule->stages + i, *b = stages + i;
        const bool keeps = b->behavior == SPLIT_REMOVED && b->invert && leaves_nothing(b->pattern);
        const bool same = a->behavior == b->behavior && a->invert == b->invert;
        if (strcmp(a->pattern, b->pattern) != 0 || a->mapped != b->mapped || !(same || keeps)) return false;
    }
    return true;
}

const struct split_rule *split_rule_of(const struct split_stage *stages, size_t count, bool ignores_merges)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].ignores_merges == ignores_merges && same_stages(rules + i, stages, count)) return rules + i;
    return NULL;
}
