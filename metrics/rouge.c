/* ROUGE (Lin 2004) as Google's rouge_score computes it: the F score, precision and recall weighing the same, of what
 * hypothesis and reference share of their words (rouge1), of their pairs of words (rouge2), of their longest common
 * subsequence (rougeL), and of that by lines (rougeLsum): every line of the reference is matched with every line of the
 * hypothesis, its words that are in one of the subsequences count, and no word more often than either text has it.
 * Words are runs of [a-z0-9] of the text in lower case; letters of other alphabets part them.
 *
 * Of several references the best, and the mean over the items, 0 .. 1: what lm-evaluation-harness and evaluate do, but
 * that evaluate reports the median of bootstrap means. Words are not stemmed: use_stemmer, their default too, can only
 * be false. */
#include "engine/base/memory.h"
#include "metrics/lowercase.h"
#include "metrics/ngrams.h"

#include <stdlib.h>
#include <string.h>

/* --- words, by lines --- */

struct lines {
    struct sequence words;
    uint32_t *numbers; /* [words.length] */
    size_t *ends;      /* [n]: the words up to the end of each line that has any */
    size_t n, capacity;
};

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static int line_end(struct lines *l, struct error *e)
{
    if (l->words.length == (l->n ? l->ends[l->n - 1] : 0)) return 0;
    if (memory_reserve((void **)&l->ends, &l->capacity, l->n + 1, sizeof *l->ends, "lines", e)) return ERROR_IO;
    l->ends[l->n++] = l->words.length;
    return 0;
}

static int lines_open(struct lines *l, const char *text, bool by_lines, struct error *e)
{
    struct text *t = &l->words.text;
    lowercase_add(t, text, strlen(text));
    if (t->failed) return error_set(e, ERROR_IO, "out of memory for the words of a text");
    int status = 0;
    for (size_t i = 0; !status && i < t->length;) {
        size_t n = 0;
        while (i + n < t->length && is_letter(t->bytes[i + n])) n++;
        if (n)
            status = sequence_add(&l->words, t->bytes + i, n, e);
        else if (by_lines && t->bytes[i] == '\n')
            status = line_end(l, e);
        i += n ? n : 1;
    }
    return status ? status : line_end(l, e);
}

static void lines_free(struct lines *l)
{
    sequence_free(&l->words);
    free(l->numbers);
    free(l->ends);
}

/* --- longest common subsequences, by bits --- */

/* What the hypothesis' line has of a word. */
struct seen {
    uint32_t last;  /* 1 + its last place, 0: none */
    uint32_t times; /* how often it is there */
    uint32_t mask;  /* 1 + its mask's number, 0: it has none */
};

enum { BITS = 64, MASKS = BITS, TABLE_BYTES = 1 << 29 };

/* A row of bits for each word of a reference's line, and one before them: bit j is 0 where the common subsequence with
 * the hypothesis' line up to its word j is longer than that up to word j - 1 (Hyyro 2004). A row is made from the one
 * before and its word's mask: where the word stands. Words that stand there more than `width` times, of which there are
 * fewer than BITS, keep their masks, so that no row takes longer than its width. */
struct table {
    uint64_t *bits;  /* [1 + most words of a reference's line, width], of at most TABLE_BYTES: lines of 65,000 words */
    uint64_t *masks; /* [1 + MASKS, width]; the first is for the other words, all 0 between rows */
    size_t width, n_masks;
    struct seen *words; /* [distinct words] */
    uint32_t *before;   /* [words of the hypothesis' line]: 1 + the same word's place before a place, 0: none */
};

static size_t longest_line(const struct lines *l)
{
    size_t most = 0;
    for (size_t i = 0; i < l->n; i++) {
        const size_t n = l->ends[i] - (i ? l->ends[i - 1] : 0);
        if (n > most) most = n;
    }
    return most;
}

static int table_open(struct table *t, const struct lines *h, const struct lines *r, size_t distinct, struct error *e)
{
    const size_t rows = longest_line(r) + 1, columns = longest_line(h);
    const size_t width = (columns + BITS - 1) / BITS;
    if (width && rows > TABLE_BYTES / sizeof(uint64_t) / width)
        return error_set(e, ERROR_INPUT, "lines of %zu and %zu words are too long for the common subsequences of ROUGE",
                         columns, rows - 1);
    if (!(t->bits = memory_new(rows * width, sizeof *t->bits, "common subsequences", e)) ||
        !(t->masks = memory_new((1 + MASKS) * width, sizeof *t->masks, "common subsequences", e)) ||
        !(t->words = memory_new(distinct, sizeof *t->words, "words", e)) ||
        !(t->before = memory_new(columns, sizeof *t->before, "words", e)))
        return ERROR_IO;
    return 0;
}

static void table_free(struct table *t)
{
    free(t->bits);
    free(t->masks);
    free(t->words);
    free(t->before);
}

/* Sets or clears the bits of a word's places. */
static void mask_flip(const struct table *t, uint64_t *mask, uint32_t word)
{
    for (uint32_t at = t->words[word].last; at; at = t->before[at - 1])
        mask[(at - 1) / BITS] ^= 1ull << (at - 1) % BITS;
}

/* The hypothesis' line of n words, until table_line_end(). */
static void table_line(struct table *t, const uint32_t *words, size_t n)
{
    t->width = (n + BITS - 1) / BITS;
    t->n_masks = 0;
    for (size_t j = 0; j < n; j++) {
        struct seen *w = &t->words[words[j]];
        t->before[j] = w->last;
        w->last = (uint32_t)j + 1;
        w->times++;
    }
    for (size_t j = 0; j < n; j++) {
        struct seen *w = &t->words[words[j]];
        if (w->mask || w->times <= t->width) continue;
        w->mask = (uint32_t)++t->n_masks;
        mask_flip(t, t->masks + w->mask * t->width, words[j]);
    }
}

static void table_line_end(struct table *t, const uint32_t *words, size_t n)
{
    memset(t->masks, 0, (1 + t->n_masks) * t->width * sizeof *t->masks);
    for (size_t j = 0; j < n; j++) t->words[words[j]] = (struct seen){0};
}

static uint64_t *row_of(const struct table *t, size_t i) { return t->bits + i * t->width; }

static void fill_row(const struct table *t, size_t i, uint32_t word)
{
    const uint64_t *above = row_of(t, i - 1);
    uint64_t *row = row_of(t, i), *mask = t->masks + t->words[word].mask * t->width, carry = 0;
    if (mask == t->masks) mask_flip(t, mask, word);
    for (size_t w = 0; w < t->width; w++) {
        const uint64_t v = above[w], sum = v + (v & mask[w]), all = sum + carry;
        carry = sum < v || all < sum;
        row[w] = all | (v & ~mask[w]);
    }
    if (mask == t->masks) mask_flip(t, mask, word);
}

static bool grows(const struct table *t, size_t i, size_t j) { return !(row_of(t, i)[j / BITS] >> j % BITS & 1); }

/* Length of the common subsequence of the first i and j words. */
static size_t common(const struct table *t, size_t i, size_t j)
{
    size_t n = 0;
    for (size_t w = 0; w < j / BITS; w++) n += (size_t)__builtin_popcountll(~row_of(t, i)[w]);
    if (j % BITS) n += (size_t)__builtin_popcountll(~row_of(t, i)[j / BITS] & ((1ull << j % BITS) - 1));
    return n;
}

/* Marks the reference's words that are in the longest common subsequence: of several in the one that rouge_score reads
 * out from the end, going on in the reference unless that shortens it. */
static void mark_common(const struct table *t, const uint32_t *reference, size_t i, const uint32_t *hypothesis,
                        size_t j, bool *marks /* [i] */)
{
    while (i > 0 && !t->words[reference[i - 1]].last) i--;
    for (; i > 0 && !t->words[*reference].last; i--) reference++, marks++;
    if (i > 0 && (i == 1 || j == 1)) marks[i - 1] = true;
    if (i <= 1 || j <= 1) return;
    memset(t->bits, 0xFF, t->width * sizeof *t->bits);
    for (size_t k = 1; k <= i; k++) fill_row(t, k, reference[k - 1]);
    size_t here = common(t, i, j), above = i ? common(t, i - 1, j) : 0;
    while (i > 0 && j > 0) {
        if (reference[i - 1] != hypothesis[j - 1] && above < here) {
            above -= grows(t, i - 1, --j);
            continue;
        }
        here = above;
        if (reference[i - 1] == hypothesis[j - 1]) {
            marks[i - 1] = true;
            here = common(t, i - 1, --j);
        }
        i--;
        above = i ? common(t, i - 1, j) : 0;
    }
}

/* --- scores --- */

static double f_score(size_t shared, size_t hypothesis, size_t reference)
{
    if (!shared) return 0;
    const double precision = (double)shared / (double)hypothesis, recall = (double)shared / (double)reference;
    return 2 * precision * recall / (precision + recall);
}

static int score_grams(struct lines *h, struct lines *r, size_t order, double *score, struct error *e)
{
    if (sequence_index(&r->words, order, e)) return ERROR_IO;
    const size_t shared = sequence_matches(&h->words, &r->words, 1, order);
    *score = f_score(shared, sequence_grams(&h->words, order), sequence_grams(&r->words, order));
    return 0;
}

static void mark_lines(struct table *t, const struct lines *h, const struct lines *r, bool *marks)
{
    for (size_t i = 0, from = 0; i < h->n; from = h->ends[i++]) {
        const size_t n = h->ends[i] - from;
        table_line(t, h->numbers + from, n);
        for (size_t k = 0, at = 0; k < r->n; at = r->ends[k++])
            mark_common(t, r->numbers + at, r->ends[k] - at, h->numbers + from, n, marks + at);
        table_line_end(t, h->numbers + from, n);
    }
}

/* The marked words, each no more often than the hypothesis has it. */
static size_t count_marked(struct table *t, const struct lines *h, const struct lines *r, const bool *marks)
{
    size_t shared = 0;
    for (size_t j = 0; j < h->words.length; j++) t->words[h->numbers[j]].times++;
    for (size_t i = 0; i < r->words.length; i++) {
        if (!marks[i] || !t->words[r->numbers[i]].times) continue;
        t->words[r->numbers[i]].times--;
        shared++;
    }
    return shared;
}

static int score_common(struct lines *h, struct lines *r, double *score, struct error *e)
{
    struct table t = {0};
    size_t distinct = 0;
    bool *marks = memory_new(r->words.length, sizeof *marks, "words", e);
    free(h->numbers);
    h->numbers = memory_new(h->words.length, sizeof *h->numbers, "words", e);
    r->numbers = memory_new(r->words.length, sizeof *r->numbers, "words", e);
    int status = marks && h->numbers && r->numbers ? 0 : ERROR_IO;
    if (!status) status = sequences_number(&h->words, &r->words, h->numbers, r->numbers, &distinct, e);
    if (!status) status = table_open(&t, h, r, distinct, e);
    if (!status) {
        mark_lines(&t, h, r, marks);
        *score = f_score(count_marked(&t, h, r, marks), h->words.length, r->words.length);
    }
    table_free(&t);
    free(marks);
    return status;
}

/* order: of the n-grams, 0 for common subsequences. */
static int accumulate(const struct outcome *o, size_t order, bool by_lines, double *stats, struct error *e)
{
    const char **texts;
    size_t n;
    int status = references_used(o, &texts, &n, e);
    if (status) return status;
    struct lines hypothesis = {0};
    status = lines_open(&hypothesis, o->text, by_lines, e);
    if (!status && order) status = sequence_index(&hypothesis.words, order, e);
    double best = 0;
    for (size_t i = 0; !status && i < n; i++) {
        struct lines reference = {0};
        double score = 0;
        status = lines_open(&reference, texts[i], by_lines, e);
        if (!status)
            status = order ? score_grams(&hypothesis, &reference, order, &score, e)
                           : score_common(&hypothesis, &reference, &score, e);
        if (score > best) best = score;
        lines_free(&reference);
    }
    stats[0] = best;
    stats[1] = 1;
    lines_free(&hypothesis);
    free(texts);
    return status;
}

static int accumulate_1(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, 1, false, stats, e);
}

static int accumulate_2(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, 2, false, stats, e);
}

static int accumulate_l(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, 0, false, stats, e);
}

static int accumulate_lsum(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, 0, true, stats, e);
}

static double finish(const double *sums, const void *settings) { return sums[0] / sums[1]; }

static const char *const options[] = {"use_stemmer", NULL};

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    bool stemmer;
    const int status = setting_is_flag(value, &stemmer, e);
    if (!status && stemmer) return error_set(e, ERROR_INPUT, "there is no stemmer here: only false");
    return status;
}

const struct metric metric_rouge1 = {
    .name = "rouge1",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .options = options,
    .configure = configure,
    .accumulate = accumulate_1,
    .finish = finish,
};
const struct metric metric_rouge2 = {
    .name = "rouge2",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .options = options,
    .configure = configure,
    .accumulate = accumulate_2,
    .finish = finish,
};
const struct metric metric_rouge_l = {
    .name = "rougeL",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .options = options,
    .configure = configure,
    .accumulate = accumulate_l,
    .finish = finish,
};
const struct metric metric_rouge_lsum = {
    .name = "rougeLsum",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .options = options,
    .configure = configure,
    .accumulate = accumulate_lsum,
    .finish = finish,
};
