#include "engine/decoding/filters.h"

#include <math.h>

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->key > b->key || (!(a->key < b->key) && a->id < b->id);
}

static void swap(struct candidate *a, struct candidate *b)
{
    const struct candidate c = *a;
    *a = *b;
    *b = c;
}

/* --- a heap, the first of the order on top: few of many are ever wanted in order --- */

static void sink(struct candidate *c, int64_t n, int64_t i)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&c[child + 1], &c[child])) child++;
        if (!before(&c[child], &c[i])) return;
        swap(&c[child], &c[i]);
    }
}

static void heap_make(struct candidate *c, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;) sink(c, n, i);
}

/* Moves the top behind the heap, which is one shorter then. */
static const struct candidate *heap_pop(struct candidate *c, int64_t n)
{
    swap(&c[0], &c[n - 1]);
    sink(c, n - 1, 0);
    return &c[n - 1];
}

/* Brings what was popped, all behind the heap in reverse, to the beginning; returns its number. */
static int64_t popped(struct candidate *c, int64_t n, int64_t left)
{
    const int64_t taken = n - left, swaps = taken < n / 2 ? taken : n / 2;
    for (int64_t i = 0; i < swaps; i++) swap(&c[i], &c[n - 1 - i]);
    return taken;
}

/* --- probabilities --- */

static double largest(const struct candidate *c, int64_t n)
{
    double most = c[0].score;
    for (int64_t i = 1; i < n; i++) most = c[i].score > most ? c[i].score : most;
    return most;
}

/* Of exp(score - most). */
static double total(const struct candidate *c, int64_t n, double most)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp(c[i].score - most);
    return sum;
}

static void order_by_score(struct candidate *c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) c[i].key = c[i].score;
}

/* Keeps the first of the keys' order until their probabilities add up to `mass`. */
static int64_t keep_mass(struct candidate *c, int64_t n, double mass)
{
    const double most = largest(c, n), enough = mass * total(c, n, most);
    int64_t left = n;
    heap_make(c, n);
    for (double sum = 0; left && (left == n || sum < enough);) sum += exp(heap_pop(c, left--)->score - most);
    return popped(c, n, left);
}

/* --- the filters --- */

void candidates_fill(struct candidate *c, const float *logits, double less, int64_t vocab)
{
    for (int64_t i = 0; i < vocab; i++) c[i] = (struct candidate){.score = (double)logits[i] - less, .id = (int32_t)i};
}

void candidates_penalize(struct candidate *c, double penalty, const int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        struct candidate *one = &c[ids[i]];
        if (one->key > 0) continue; /* was there before */
        one->key = 1;
        one->score = one->score > 0 ? one->score / penalty : one->score * penalty;
    }
}

int64_t candidates_best(struct candidate *c, int64_t n, int64_t wanted)
{
    int64_t left = n;
    order_by_score(c, n);
    heap_make(c, n);
    while (left && n - left < wanted) heap_pop(c, left--);
    return popped(c, n, left);
}

/* The nucleus (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"). */
static int64_t keep_top_p(struct candidate *c, int64_t n, double mass)
{
    order_by_score(c, n);
    return keep_mass(c, n, mass);
}

/* At least this part of the largest probability (Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling"). */
static int64_t keep_min_p(struct candidate *c, int64_t n, double least)
{
    const double most = largest(c, n);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (exp(c[i].score - most) >= least) c[kept++] = c[i];
    return kept;
}

/* Those whose surprise, -ln p, is nearest to the entropy (Meister et al. 2023, "Locally Typical Sampling"). */
static int64_t keep_typical(struct candidate *c, int64_t n, double mass)
{
    const double most = largest(c, n), log_total = most + log(total(c, n, most));
    double entropy = 0;
    for (int64_t i = 0; i < n; i++) {
        const double log_p = c[i].score - log_total, p = exp(log_p);
        if (p > 0) entropy -= p * log_p;
    }
    for (int64_t i = 0; i < n; i++) c[i].key = -fabs(log_total - c[i].score - entropy);
    return keep_mass(c, n, mass);
}

int64_t candidates_filter(const struct decode *how, struct candidate *c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) c[i].score /= how->temperature;
    if (how->top_k && how->top_k < n) n = candidates_best(c, n, how->top_k);
    if (how->top_p < 1) n = keep_top_p(c, n, how->top_p);
    if (how->min_p > 0) n = keep_min_p(c, n, how->min_p);
    if (how->typical_p < 1) n = keep_typical(c, n, how->typical_p);
    return n;
}

int32_t candidates_draw(struct candidate *c, int64_t n, double place)
{
    const double most = largest(c, n), passed = place * total(c, n, most);
    double sum = 0;
    order_by_score(c, n);
    heap_make(c, n);
    for (int64_t left = n; left; left--) {
        const struct candidate *next = heap_pop(c, left);
        sum += exp(next->score - most);
        if (sum > passed) return next->id;
    }
    return c[n - 1].id; /* the sums differ in their last bit: the most likely */
}

int64_t candidates_distribution(const struct decode *how, const float *logits, int64_t vocab, const int32_t *ids,
                                int64_t n, struct candidate *c)
{
    candidates_fill(c, logits, 0, vocab);
    candidates_penalize(c, how->repetition_penalty, ids, n);
    int64_t kept = candidates_filter(how, c, vocab);
    candidates_best(c, kept, kept);
    const double most = largest(c, kept), sum = total(c, kept, most);
    for (int64_t i = 0; i < kept; i++) c[i].key = exp(c[i].score - most) / sum;
    return kept;
}
