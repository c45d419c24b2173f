#include "engine/decoding/decode.h"
#include "engine/base/number.h"
#include "engine/base/suggest.h"
#include "engine/base/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const kinds[] = {[DECODE_GREEDY] = "greedy", [DECODE_BEAM] = "beam", [DECODE_SAMPLE] = "sample"};
static const char *const stoppings[] = {
    [EARLY_STOPPING_HEURISTIC] = "false", [EARLY_STOPPING_TRUE] = "true", [EARLY_STOPPING_NEVER] = "never"};
enum { KINDS = 3, STOPPINGS = 3, HUGGING_FACE_TOP_K = 50 };

enum { OF_BEAM = 1 << DECODE_BEAM, OF_SAMPLE = 1 << DECODE_SAMPLE, OF_ALL = 1 << DECODE_GREEDY | OF_BEAM | OF_SAMPLE };

/* In the order of the canonical form. */
static const struct setting {
    const char *name, *theirs; /* in a SPEC; in Hugging Face's words */
    unsigned of;               /* strategies, OF_ */
    enum { REAL, WHOLE, STOPPING } type;
    double low, high;
    size_t at; /* in struct decode */
} settings[] = {
    {"beams", "num_beams", OF_BEAM, WHOLE, 1, 256, offsetof(struct decode, beams)}, /* a SPEC has it after "beam:" */
    {"length-penalty", "length_penalty", OF_BEAM, REAL, -10, 10, offsetof(struct decode, length_penalty)},
    {"early-stopping", "early_stopping", OF_BEAM, STOPPING, 0, 0, offsetof(struct decode, early_stopping)},
    {"temperature", "temperature", OF_SAMPLE, REAL, 0.001, 1000, offsetof(struct decode, temperature)},
    {"top-k", "top_k", OF_SAMPLE, WHOLE, 0, INT32_MAX, offsetof(struct decode, top_k)},
    {"top-p", "top_p", OF_SAMPLE, REAL, 0, 1, offsetof(struct decode, top_p)},
    {"min-p", "min_p", OF_SAMPLE, REAL, 0, 1, offsetof(struct decode, min_p)},
    {"typical-p", "typical_p", OF_SAMPLE, REAL, 0, 1, offsetof(struct decode, typical_p)},
    {"seed", "seed", OF_SAMPLE, WHOLE, 0, 0x1p53, offsetof(struct decode, seed)},
    {"repetition-penalty", "repetition_penalty", OF_ALL, REAL, 0.01, 100, offsetof(struct decode, repetition_penalty)},
};
enum { BEAMS, SETTINGS = sizeof settings / sizeof *settings };

enum { GIVEN_SAMPLES = 1, GIVEN_NO_SAMPLES = 2, GIVEN_TEMPERATURE = 4, GIVEN_TOP_K = 8 };

static const double *real_of(const struct decode *d, const struct setting *s)
{
    return (const void *)((const char *)d + s->at);
}

static const int64_t *whole_of(const struct decode *d, const struct setting *s)
{
    return (const void *)((const char *)d + s->at);
}

struct decode decode_greedy(void)
{
    return (struct decode){.spec = "greedy",
                           .kind = DECODE_GREEDY,
                           .beams = 1,
                           .length_penalty = 1,
                           .temperature = 1,
                           .top_p = 1,
                           .typical_p = 1,
                           .repetition_penalty = 1,
                           .seed = 1234};
}

/* Writes the value into *d; `name` is what the setting is called there, value NULL where it has none. */
static int put(struct decode *d, const struct setting *s, const char *name, const char *value, struct error *e)
{
    double real;
    int64_t whole;
    if (!value) value = "";
    switch (s->type) {
    case REAL:
        if (!number_real(value, &real) || real < s->low || real > s->high)
            return error_set(e, ERROR_USAGE, "%s: must be a number from %g to %g", name, s->low, s->high);
        real += 0.0; /* -0 is 0, and they are written alike */
        memcpy((char *)d + s->at, &real, sizeof real);
        return 0;
    case WHOLE:
        if (!number_whole(value, &whole) || whole < (int64_t)s->low || whole > (int64_t)s->high)
            return error_set(e, ERROR_USAGE, "%s: must be a whole number from %.16g to %.16g", name, s->low, s->high);
        memcpy((char *)d + s->at, &whole, sizeof whole);
        if (s->at == offsetof(struct decode, seed)) d->seeded = true;
        return 0;
    case STOPPING:
        for (int i = 0; i < STOPPINGS; i++)
            if (strcasecmp(value, stoppings[i]) == 0) return d->early_stopping = (enum early_stopping)i, 0;
    }
    return error_set(e, ERROR_USAGE, "%s: must be false, true or never", name);
}

/* Appends to the spec, of which *n bytes are there. */
__attribute__((format(printf, 3, 4))) static void append(struct decode *d, size_t *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(d->spec + *n, sizeof d->spec - *n, format, args);
    va_end(args);
    *n += strlen(d->spec + *n);
}

/* The canonical spec of a strategy whose other settings are at their defaults. */
static void canonize(struct decode *d)
{
    const struct decode plain = decode_greedy();
    size_t n = 0;
    append(d, &n, "%s", kinds[d->kind]);
    if (d->kind == DECODE_BEAM) append(d, &n, ":%lld", (long long)d->beams);
    for (const struct setting *s = settings + 1; s < settings + SETTINGS; s++) {
        if (s->type == REAL && *real_of(d, s) != *real_of(&plain, s))
            append(d, &n, ",%s=%s", s->name, number_shortest(*real_of(d, s)).digits);
        if (s->type == WHOLE && *whole_of(d, s) != *whole_of(&plain, s))
            append(d, &n, ",%s=%lld", s->name, (long long)*whole_of(d, s));
        if (s->type == STOPPING && d->early_stopping != plain.early_stopping)
            append(d, &n, ",%s=%s", s->name, stoppings[d->early_stopping]);
    }
}

int decode_seed(struct decode *d, int64_t seed, struct error *e)
{
    if (d->kind != DECODE_SAMPLE || d->seeded) return 0;
    if (seed < 0 || seed > (int64_t)0x1p53)
        return error_set(e, ERROR_USAGE, "seed: must be a whole number from 0 to 2^53");
    d->seed = seed;
    canonize(d);
    return 0;
}

/* "NAME: no such WHAT, did you mean "x"? (known: a, b)" */
static int unknown(const char *what, const char *name, const char *const *known, size_t n, struct error *e)
{
    struct text list = {0};
    for (size_t i = 0; i < n; i++) text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    error_set(e, ERROR_USAGE, "%.60s: no such %s%s (known: %s)", *name ? name : "(empty)", what,
              suggest(name, known, n).words, text_c(&list));
    text_free(&list);
    return ERROR_USAGE;
}

/* One KEY=VALUE of a SPEC; *seen has a bit for every setting that was there before. */
static int take(struct decode *d, char *part, unsigned *seen, struct error *e)
{
    char *value = part, what[64];
    const char *key = strsep(&value, "="), *known[SETTINGS];
    size_t n = 0;
    for (size_t i = BEAMS + 1; i < SETTINGS; i++) {
        if (!(settings[i].of & 1u << d->kind)) continue;
        known[n++] = settings[i].name;
        if (strcmp(key, settings[i].name)) continue;
        if (*seen & 1u << i) return error_set(e, ERROR_USAGE, "%s: given twice", key);
        *seen |= 1u << i;
        return put(d, &settings[i], key, value, e);
    }
    snprintf(what, sizeof what, "setting of %s", kinds[d->kind]);
    return unknown(what, key, known, n, e);
}

static int parse(struct decode *d, char *spec, struct error *e)
{
    char *rest = spec, *head = strsep(&rest, ","), *beams = head;
    const char *name = strsep(&beams, ":");
    int kind = 0;
    while (kind < KINDS && strcmp(name, kinds[kind])) kind++;
    if (kind == KINDS) return unknown("strategy", name, kinds, KINDS, e);
    d->kind = (enum decode_kind)kind;
    if (beams && kind != DECODE_BEAM) return error_set(e, ERROR_USAGE, "%s: takes nothing after a colon", name);
    if (kind == DECODE_BEAM && !beams) return error_set(e, ERROR_USAGE, "beam: must say how many, as in \"beam:4\"");
    int status = beams ? put(d, &settings[BEAMS], "beams", beams, e) : 0;
    unsigned seen = 0;
    while (rest && !status) status = take(d, strsep(&rest, ","), &seen, e);
    return status;
}

int decode_parse(struct decode *out, const char *spec, struct error *e)
{
    *out = decode_greedy();
    char copy[DECODE_SPEC];
    if (strlen(spec) >= sizeof copy)
        return error_set(e, ERROR_USAGE, "decoding \"%.40s...\": longer than %d characters", spec, DECODE_SPEC - 1);
    snprintf(copy, sizeof copy, "%s", spec);
    if (parse(out, copy, e)) return error_prefix(e, "decoding \"%s\"", spec);
    canonize(out);
    return 0;
}

static const struct setting *theirs(const char *key)
{
    for (const struct setting *s = settings; s < settings + SETTINGS; s++)
        if (strcmp(key, s->theirs) == 0) return s;
    return NULL;
}

bool decode_knows(const char *key) { return strcmp(key, "do_sample") == 0 || theirs(key); }

int decode_set(struct decode *d, const char *key, const char *value, struct error *e)
{
    double real;
    if (strcmp(key, "do_sample") == 0) {
        const bool yes = strcasecmp(value, "true") == 0;
        if (!yes && strcasecmp(value, "false")) return error_set(e, ERROR_USAGE, "do_sample: must be true or false");
        d->given |= yes ? GIVEN_SAMPLES : GIVEN_NO_SAMPLES;
        return 0;
    }
    const struct setting *s = theirs(key);
    if (!s) {
        const char *known[SETTINGS + 1] = {"do_sample"};
        for (size_t i = 0; i < SETTINGS; i++) known[i + 1] = settings[i].theirs;
        return unknown("setting", key, known, SETTINGS + 1, e);
    }
    if (strcmp(key, "top_k") == 0) d->given |= GIVEN_TOP_K;
    if (strcmp(key, "temperature") == 0) {
        d->given |= GIVEN_TEMPERATURE;
        if (number_real(value, &real) && real == 0) return d->temperature = 0, 0;
    }
    return put(d, s, key, value, e);
}

int decode_settle(struct decode *d, struct error *e)
{
    const bool warm = d->temperature > 0, asked = d->given & GIVEN_SAMPLES;
    const bool samples = asked || (!(d->given & GIVEN_NO_SAMPLES) && d->given & GIVEN_TEMPERATURE && warm);
    if (samples && !warm)
        return error_set(e, ERROR_USAGE,
                         "temperature: 0 contradicts do_sample: true (the most likely token alone: do_sample: false)");
    if (samples && d->beams > 1)
        return error_set(e, ERROR_USAGE, "num_beams: %lld beams contradict %s: beams are not drawn at random",
                         (long long)d->beams, asked ? "do_sample: true" : "a temperature above 0");
    d->kind = samples ? DECODE_SAMPLE : d->beams > 1 ? DECODE_BEAM : DECODE_GREEDY;
    if (!(d->given & GIVEN_TOP_K)) d->top_k = HUGGING_FACE_TOP_K;
    d->given = 0;
    const struct decode plain = decode_greedy();
    for (const struct setting *s = settings; s < settings + SETTINGS; s++) {
        const size_t size = s->type == STOPPING ? sizeof d->early_stopping : sizeof(int64_t);
        if (!(s->of & 1u << d->kind)) memcpy((char *)d + s->at, (const char *)&plain + s->at, size);
    }
    canonize(d);
    return 0;
}
