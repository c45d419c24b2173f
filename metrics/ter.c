/* Translation edit rate (Snover, Dorr, Schwartz, Micciulla and Makhoul 2006) as sacreBLEU 2.6.0 computes it after Tercom:
 * the fewest insertions, deletions and substitutions of words, and shifts of phrases, that a greedy search finds to turn
 * the hypothesis into a reference, by the reference's words. Of several references the one with the fewest edits counts,
 * by their mean length. In percent, lower is better, and not bounded by 100.
 *
 * Options, by sacreBLEU's names and defaults: normalized, no_punct, asian_support, case_sensitive (metrics/tokenize.h).
 *
 * The search: as long as one lowers the edit distance, the best shift is made: of a phrase of at most 10 words that
 * stands in the reference at most 50 words off, is not in place in either, and is moved beside one of the words that its
 * reference words are aligned to. "Best" is: gains most, then longest, then earliest, then moved to the earliest place.
 * After 1000 tries in all the search ends, without the shift of that round. The edit distance looks only at a band
 * around the diagonal, so a text takes time in proportion to its length, at most 1000 times that of one distance. */
#include "engine/base/memory.h"
#include "metrics/tokenize.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHIFT_WORDS = 10, SHIFT_DISTANCE = 50, SHIFT_TRIES = 1000, BEAM = 25, UNREACHED = INT32_MAX / 2 };

/* Columns from .. to - 1 of a row of the edit distances, which stand at cells[at]. */
struct band {
    size_t from, to, at;
};

/* Row i is of the hypothesis' first i words, column j of the reference's first j. */
struct search {
    size_t n_reference, n_hypothesis, widest;
    uint32_t *reference;  /* [n_reference] words, by their numbers */
    uint32_t *hypothesis; /* [n_hypothesis], shifted as it goes */
    struct band *bands;   /* [n_hypothesis + 1] */
    int32_t *cells;
    int32_t *rows[2];              /* [widest] each, for distances that are only tried */
    bool *wrong_reference, *wrong; /* words of the reference and of the hypothesis that are not in place */
    size_t *after; /* [n_reference]: words of the hypothesis up to and with what the word is aligned to */
    size_t tries;
};

/* Two neighbouring blocks of the hypothesis, [low, middle) and [middle, high), that change places. */
struct swap {
    size_t low, middle, high;
};

static int bands_set(struct search *s, struct error *e)
{
    const size_t n = s->n_hypothesis, columns = s->n_reference + 1;
    const double ratio = n ? (double)s->n_reference / (double)n : 1;
    const size_t beam = BEAM < ratio / 2 ? (size_t)ceil(ratio / 2 + BEAM) : BEAM;
    size_t cells = 0;
    for (size_t i = 0; i <= n; i++) {
        const size_t diagonal = (size_t)floor((double)i * ratio);
        struct band *b = &s->bands[i];
        *b = (struct band){diagonal > beam ? diagonal - beam : 0, diagonal + beam, cells};
        if (b->to > columns || i == n) b->to = columns;
        if (i == 0) *b = (struct band){0, columns, 0};
        const size_t width = b->to - b->from;
        if (width > s->widest) s->widest = width;
        cells += width;
    }
    s->cells = memory_new(cells, sizeof *s->cells, "edit distances", e);
    return s->cells ? 0 : ERROR_IO;
}

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

static void fill(const struct search *s, size_t i, uint32_t word, const int32_t *above, int32_t *row)
{
    const struct band a = s->bands[i - 1], b = s->bands[i];
    const size_t n_above = a.to - a.from, offset = b.from - a.from;
    int32_t left = UNREACHED;
    for (size_t j = b.from; j < b.to; j++) {
        const size_t u = j - b.from + offset; /* the same column above */
        int32_t best = left + 1;
        if (u > 0 && u <= n_above) best = least(best, above[u - 1] + (word != s->reference[j - 1]));
        if (u < n_above) best = least(best, above[u] + 1);
        row[j - b.from] = left = best;
    }
}

static int32_t *row_of(const struct search *s, size_t i) { return s->cells + s->bands[i].at; }

static int32_t fill_all(struct search *s)
{
    for (size_t j = 0; j <= s->n_reference; j++) s->cells[j] = (int32_t)j;
    for (size_t i = 1; i <= s->n_hypothesis; i++) fill(s, i, s->hypothesis[i - 1], row_of(s, i - 1), row_of(s, i));
    const struct band last = s->bands[s->n_hypothesis];
    return row_of(s, s->n_hypothesis)[last.to - 1 - last.from];
}

static int32_t cell(const struct search *s, size_t i, size_t j)
{
    const struct band b = s->bands[i];
    return j >= b.from && j < b.to ? row_of(s, i)[j - b.from] : UNREACHED;
}

/* Walks the cheapest way back from the end; of equals Tercom prefers the diagonal, then a superfluous word of the
 * hypothesis, then a missing one. */
static void align(struct search *s)
{
    size_t i = s->n_hypothesis, j = s->n_reference;
    while (i > 0 || j > 0) {
        const int32_t here = cell(s, i, j);
        const bool differ = i > 0 && j > 0 && s->hypothesis[i - 1] != s->reference[j - 1];
        if (j > 0) s->after[j - 1] = i;
        if (i > 0 && j > 0 && cell(s, i - 1, j - 1) + differ == here) {
            s->wrong[--i] = differ;
            s->wrong_reference[--j] = differ;
        } else if (i > 0 && cell(s, i - 1, j) + 1 == here) {
            s->wrong[--i] = true;
        } else {
            s->wrong_reference[--j] = true;
        }
    }
}

/* Moving the words start .. start + length - 1 to before `target`; where that is among them or right behind, sacreBLEU
 * moves them as many words on. */
static struct swap swap_of(const struct search *s, size_t start, size_t length, size_t target)
{
    if (target < start) return (struct swap){target, start, start + length};
    if (target <= start + length) target += length;
    if (target > s->n_hypothesis) target = s->n_hypothesis;
    return (struct swap){start, start + length, target};
}

static uint32_t word_swapped(const struct search *s, struct swap w, size_t i)
{
    if (i < w.low || i >= w.high) return s->hypothesis[i];
    const size_t second = w.high - w.middle;
    return s->hypothesis[i - w.low < second ? i + (w.middle - w.low) : i - second];
}

/* Whether a row is another one plus the same number everywhere. */
static bool is_parallel(const int32_t *a, const int32_t *b, size_t n)
{
    for (size_t k = 1; k < n; k++)
        if (a[k] - b[k] != a[0] - b[0]) return false;
    return true;
}

/* The edit distance after a swap: rows before it are known, and once a row behind it is parallel to the known one all
 * that follow are. */
static int32_t distance_swapped(const struct search *s, struct swap w, int32_t distance)
{
    const int32_t *above = row_of(s, w.low);
    for (size_t i = w.low + 1; i <= s->n_hypothesis; i++) {
        int32_t *row = s->rows[i % 2];
        fill(s, i, word_swapped(s, w, i - 1), above, row);
        above = row;
        const size_t width = s->bands[i].to - s->bands[i].from;
        if (i >= w.high && is_parallel(row, row_of(s, i), width)) return distance + row[0] - row_of(s, i)[0];
    }
    const struct band last = s->bands[s->n_hypothesis];
    return above[last.to - 1 - last.from];
}

/* The best shift so far, of a gain of at least 1. */
struct shift {
    int32_t gain;
    size_t length, start, target;
};

static bool is_better(struct shift a, struct shift b)
{
    if (a.gain != b.gain) return a.gain > b.gain;
    if (a.length != b.length) return a.length > b.length;
    if (a.start != b.start) return a.start < b.start;
    return a.target < b.target;
}

/* Tries the places for the hypothesis' words at `start`, which stand in the reference at r. */
static void try_places(struct search *s, size_t start, size_t r, size_t length, int32_t distance, struct shift *best)
{
    size_t tried = SIZE_MAX;
    for (size_t k = 0; k <= length; k++) {
        const size_t target = r + k > 0 ? s->after[r + k - 1] : 0;
        if (target == tried) continue;
        tried = target;
        s->tries++;
        const int32_t now = distance_swapped(s, swap_of(s, start, length, target), distance);
        const struct shift shift = {distance - now, length, start, target};
        if (shift.gain > 0 && is_better(shift, *best)) *best = shift;
    }
}

/* Tries all phrases that start in the hypothesis at h and in the reference at r. */
static void try_phrases(struct search *s, size_t h, size_t r, int32_t distance, struct shift *best)
{
    bool wrong = false, wrong_reference = false;
    for (size_t k = 0; k < SHIFT_WORDS && h + k < s->n_hypothesis && r + k < s->n_reference; k++) {
        if (s->tries >= SHIFT_TRIES || s->hypothesis[h + k] != s->reference[r + k]) return;
        wrong |= s->wrong[h + k];
        wrong_reference |= s->wrong_reference[r + k];
        const bool within = s->after[r] > h && s->after[r] <= h + k + 1;
        if (wrong && wrong_reference && !within) try_places(s, h, r, k + 1, distance, best);
    }
}

static struct shift best_shift(struct search *s, int32_t distance)
{
    struct shift best = {0};
    for (size_t h = 0; h < s->n_hypothesis; h++) {
        const size_t from = h > SHIFT_DISTANCE ? h - SHIFT_DISTANCE : 0;
        for (size_t r = from; r < s->n_reference && r <= h + SHIFT_DISTANCE; r++) try_phrases(s, h, r, distance, &best);
    }
    return best;
}

static int shift_make(struct search *s, struct shift shift, struct error *e)
{
    const struct swap w = swap_of(s, shift.start, shift.length, shift.target);
    uint32_t *moved = memory_new(w.high - w.low, sizeof *moved, "words", e);
    if (!moved) return ERROR_IO;
    for (size_t i = w.low; i < w.high; i++) moved[i - w.low] = word_swapped(s, w, i);
    memcpy(s->hypothesis + w.low, moved, (w.high - w.low) * sizeof *moved);
    free(moved);
    return 0;
}

static int search_run(struct search *s, double *edits, struct error *e)
{
    size_t shifts = 0;
    for (;; shifts++) {
        const int32_t distance = fill_all(s);
        *edits = (double)shifts + distance;
        align(s);
        const struct shift best = best_shift(s, distance);
        if (best.gain <= 0 || s->tries >= SHIFT_TRIES) return 0;
        if (shift_make(s, best, e)) return ERROR_IO;
    }
}

static int search_open(struct search *s, const struct sequence *h, const struct sequence *r, struct error *e)
{
    size_t distinct;
    s->n_hypothesis = h->length;
    s->n_reference = r->length;
    if (!(s->reference = memory_new(r->length, sizeof *s->reference, "words", e)) ||
        !(s->hypothesis = memory_new(h->length, sizeof *s->hypothesis, "words", e)) ||
        !(s->bands = memory_new(h->length + 1, sizeof *s->bands, "edit distances", e)) ||
        !(s->wrong = memory_new(h->length, sizeof *s->wrong, "alignment", e)) ||
        !(s->wrong_reference = memory_new(r->length, sizeof *s->wrong_reference, "alignment", e)) ||
        !(s->after = memory_new(r->length, sizeof *s->after, "alignment", e)) || bands_set(s, e) ||
        !(s->rows[0] = memory_new(s->widest, sizeof *s->rows[0], "edit distances", e)) ||
        !(s->rows[1] = memory_new(s->widest, sizeof *s->rows[1], "edit distances", e)))
        return ERROR_IO;
    return sequences_number(h, r, s->hypothesis, s->reference, &distinct, e);
}

static void search_close(struct search *s)
{
    free(s->reference);
    free(s->hypothesis);
    free(s->bands);
    free(s->cells);
    free(s->rows[0]);
    free(s->rows[1]);
    free(s->wrong);
    free(s->wrong_reference);
    free(s->after);
}

static int count_edits(const struct sequence *h, const struct sequence *r, double *edits, struct error *e)
{
    *edits = (double)h->length;
    if (r->length == 0) return 0;
    struct search s = {0};
    int status = search_open(&s, h, r, e);
    if (!status) status = search_run(&s, edits, e);
    search_close(&s);
    return status;
}

/* --- the metric --- */

enum { EDITS, LENGTH, ITEMS, WIDTH };

static const char *const options[] = {"normalized", "no_punct", "asian_support", "case_sensitive", NULL};

_Static_assert(sizeof(struct tercom) <= METRIC_SETTINGS, "settings of TER");

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    struct tercom *t = settings;
    if (strcmp(key, "normalized") == 0) return setting_is_flag(value, &t->normalized, e);
    if (strcmp(key, "no_punct") == 0) return setting_is_flag(value, &t->no_punct, e);
    if (strcmp(key, "asian_support") == 0) return setting_is_flag(value, &t->asian_support, e);
    return setting_is_flag(value, &t->case_sensitive, e);
}

static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const char **texts;
    size_t n;
    int status = references_used(o, &texts, &n, e);
    if (status) return status;
    struct sequence hypothesis = {0};
    status = tokenize_tercom(&hypothesis, o->text, settings, e);
    double fewest = INFINITY, length = 0;
    for (size_t i = 0; !status && i < n; i++) {
        struct sequence reference = {0};
        double edits = 0;
        status = tokenize_tercom(&reference, texts[i], settings, e);
        if (!status) status = count_edits(&hypothesis, &reference, &edits, e);
        length += (double)reference.length;
        if (edits < fewest) fewest = edits;
        sequence_free(&reference);
    }
    stats[EDITS] = fewest;
    stats[LENGTH] = length / (double)n;
    stats[ITEMS] = 1;
    sequence_free(&hypothesis);
    free(texts);
    return status;
}

static double finish(const double *sums, const void *settings)
{
    if (sums[ITEMS] <= 0) return NAN;
    if (sums[LENGTH] > 0) return 100 * sums[EDITS] / sums[LENGTH];
    return sums[EDITS] > 0 ? 100 : 0;
}

static void signature(const void *settings, size_t n_references, struct text *out)
{
    const struct tercom *t = settings;
    signature_references(n_references, out);
    text_printf(out, "case:%s|tok:tercom|norm:%s|punct:%s|asian:%s", t->case_sensitive ? "mixed" : "lc",
                t->normalized ? "yes" : "no", t->no_punct ? "no" : "yes", t->asian_support ? "yes" : "no");
    signature_version(out);
}

const struct metric metric_ter = {
    .name = "ter",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_LOWER,
    .width = WIDTH,
    .unit = "%",
    .options = options,
    .configure = configure,
    .accumulate = accumulate,
    .finish = finish,
    .signature = signature,
};
