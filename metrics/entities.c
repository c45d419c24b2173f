/* entity_precision, entity_recall, entity_f1: over the entities of all types together (micro). A tag is O or one of
 * B I E S with a type behind a hyphen. What a model writes is data: a word of the text that is no tag counts as O, tags that
 * the text lacks too, and those it has too many do not count; with strict=true they are errors, as they always are in
 * references. An entity goes on at I and E of its type after B and I of it; any other tag but O
 * begins one. So B-X starts anew (IOB2), I-X after O or after another type does too (IOB1), and E and S end theirs. */
#include "metrics/entities.h"
#include "engine/base/memory.h"
#include "metrics/ngrams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    bool strict;
};

enum { GOLD, FOUND, HITS, ITEMS, WIDTH };

/* Words [start, end) of one type. */
struct entity {
    struct span type;
    size_t start, end;
};

/* The entities of a text, in order. */
struct tagged {
    struct sequence words;
    struct entity *entities;
    size_t n;
};

static void tagged_free(struct tagged *t)
{
    sequence_free(&t->words);
    free(t->entities);
}

static bool span_equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* Letter and type of a tag; false where it is none. */
static bool tag_read(struct span word, char *letter, struct span *type)
{
    *letter = word.bytes[0];
    *type = word.length > 1 ? (struct span){word.bytes + 2, word.length - 2} : (struct span){"", 0};
    if (word.length > 1 && word.bytes[1] != '-') return false;
    return *letter == 'O' ? word.length == 1 : strchr("BIES", *letter) != NULL;
}

static int tagged_open(struct tagged *t, const char *text, bool strict, struct error *e)
{
    int status = sequence_words(&t->words, text, strlen(text), e);
    if (status) return status;
    if (!(t->entities = memory_new(t->words.length, sizeof *t->entities, "entities", e))) return ERROR_IO;
    char before = 'O';
    for (size_t i = 0; i < t->words.length; i++) {
        const struct span word = t->words.symbols[i];
        struct entity *last = t->n ? &t->entities[t->n - 1] : NULL;
        struct span type;
        char letter;
        const bool is_tag = tag_read(word, &letter, &type);
        if (!is_tag && !strict) letter = 'O';
        if (!is_tag && strict)
            return error_set(e, ERROR_INPUT, "\"%.*s\" is no tag: O, or B, I, E or S with -TYPE",
                             word.length < 60 ? (int)word.length : 60, word.bytes);
        const bool goes_on = last && (before == 'B' || before == 'I') && (letter == 'I' || letter == 'E') &&
                             span_equal(last->type, type);
        if (goes_on)
            last->end = i + 1;
        else if (letter != 'O')
            t->entities[t->n++] = (struct entity){type, i, i + 1};
        before = letter;
    }
    return 0;
}

/* Text and reference of one item. */
struct pair {
    struct tagged text, reference;
};

static void pair_close(struct pair *p)
{
    tagged_free(&p->text);
    tagged_free(&p->reference);
}

static int pair_open(struct pair *p, const struct outcome *o, bool strict, struct error *e)
{
    *p = (struct pair){0};
    int status = generation_check(o, e);
    if (status) return status;
    if (o->n_references != 1) return error_set(e, ERROR_INPUT, "references: %zu, where tags have one", o->n_references);
    if ((status = tagged_open(&p->text, o->text, strict, e))) return error_prefix(e, "text");
    if ((status = tagged_open(&p->reference, o->references[0], true, e))) return error_prefix(e, "reference");
    const size_t due = p->reference.words.length;
    while (!strict && p->text.n && p->text.entities[p->text.n - 1].start >= due) p->text.n--;
    if (strict && p->text.words.length != due)
        return error_set(e, ERROR_INPUT, "text: %zu tags, the reference has %zu", p->text.words.length, due);
    return 0;
}

/* Calls back with each entity of either side once. Entities of one side never overlap, so one pass over both finds
 * those that are the same. */
static int pair_walk(const struct pair *p, int (*see)(void *, struct span type, bool gold, bool found), void *context)
{
    size_t g = 0, f = 0;
    int status = 0;
    while (!status && (g < p->reference.n || f < p->text.n)) {
        const struct entity *gold = g < p->reference.n ? &p->reference.entities[g] : NULL;
        const struct entity *found = f < p->text.n ? &p->text.entities[f] : NULL;
        const bool same = gold && found && gold->start == found->start && gold->end == found->end &&
                          span_equal(gold->type, found->type);
        const bool first = gold && (!found || gold->start <= found->start);
        status = see(context, first ? gold->type : found->type, same || first, same || !first);
        g += same || first;
        f += same || !first;
    }
    return status;
}

static int add_to_stats(void *context, struct span type, bool gold, bool found)
{
    double *stats = context;
    stats[GOLD] += gold;
    stats[FOUND] += found;
    stats[HITS] += gold && found;
    return 0;
}

static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    struct pair p;
    const struct settings *s = settings;
    const int status = pair_open(&p, o, s->strict, e);
    for (size_t k = 0; k < WIDTH; k++) stats[k] = k == ITEMS;
    if (!status) pair_walk(&p, add_to_stats, stats);
    pair_close(&p);
    return status;
}

static const char *const options[] = {"strict", NULL};

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    struct settings *s = settings;
    return setting_is_flag(value, &s->strict, e);
}

/* As in conlleval what would be divided by 0 is 0. */
static double ratio(const double *sums, double part, double whole)
{
    if (sums[ITEMS] <= 0) return NAN;
    return whole > 0 ? part / whole : 0;
}

static double precision(const double *sums, const void *settings) { return ratio(sums, sums[HITS], sums[FOUND]); }
static double recall(const double *sums, const void *settings) { return ratio(sums, sums[HITS], sums[GOLD]); }
static double f1(const double *sums, const void *settings)
{
    return ratio(sums, 2 * sums[HITS], sums[GOLD] + sums[FOUND]);
}

/* --- counts of each type --- */

struct counting {
    struct entity_count *counts; /* [n], sorted by type */
    size_t n, capacity;
    struct error *e;
};

static int span_compare(struct span a, const char *b)
{
    const size_t n = strlen(b);
    const int c = memcmp(a.bytes, b, a.length < n ? a.length : n);
    return c ? c : (a.length > n) - (a.length < n);
}

static int count_of(struct counting *c, struct span type, struct entity_count **out)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (span_compare(type, c->counts[middle].type) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == c->n || span_compare(type, c->counts[low].type) != 0) {
        char *name = memory_bytes(type.bytes, type.length, c->e);
        if (!name || memory_reserve((void **)&c->counts, &c->capacity, c->n + 1, sizeof *c->counts, "types", c->e)) {
            free(name);
            return ERROR_IO;
        }
        memmove(c->counts + low + 1, c->counts + low, (c->n++ - low) * sizeof *c->counts);
        c->counts[low] = (struct entity_count){.type = name};
    }
    *out = &c->counts[low];
    return 0;
}

static int add_to_counts(void *context, struct span type, bool gold, bool found)
{
    struct entity_count *count;
    if (count_of(context, type, &count)) return ERROR_IO;
    count->gold += gold;
    count->found += found;
    count->hits += gold && found;
    return 0;
}

int entities_count(const struct outcome *o, size_t n, struct entity_count **counts, size_t *types, struct error *e)
{
    struct counting c = {.e = e};
    int status = 0;
    for (size_t i = 0; !status && i < n; i++) {
        struct pair p;
        if ((status = pair_open(&p, &o[i], true, e)))
            error_prefix(e, "item %zu", i);
        else
            status = pair_walk(&p, add_to_counts, &c);
        pair_close(&p);
    }
    if (status) entities_free(c.counts, c.n);
    *counts = status ? NULL : c.counts;
    *types = status ? 0 : c.n;
    return status;
}

void entities_free(struct entity_count *counts, size_t types)
{
    for (size_t i = 0; i < types; i++) free(counts[i].type);
    free(counts);
}

const struct metric metric_entity_precision = {
    .name = "entity_precision",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = options,
    .configure = configure,
    .accumulate = accumulate,
    .finish = precision,
};
const struct metric metric_entity_recall = {
    .name = "entity_recall",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = options,
    .configure = configure,
    .accumulate = accumulate,
    .finish = recall,
};
const struct metric metric_entity_f1 = {
    .name = "entity_f1",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = options,
    .configure = configure,
    .accumulate = accumulate,
    .finish = f1,
};
