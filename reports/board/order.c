/* Which rows of a leaderboard can be ranked together, and in which order. */
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "reports/board/columns.h"
#include "reports/board/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A suite, or the one metric that is ranked by. */
struct measure {
    size_t fingerprint; /* columns */
    size_t value, error, low, high, better;
    size_t paired; /* the standard error of the difference; SIZE_MAX for distances */
};

struct choosing {
    struct board *b;
    struct measure *measures; /* [n] */
    size_t n;
    bool plain;   /* by a metric */
    bool *counts; /* [n_rows] */
    struct error *e;
};

/* --- what is ranked by --- */

static struct measure measure_of(const struct board *b, size_t value)
{
    const char *name = b->columns[value];
    const char *slash = strchr(name, '/');
    struct text suite = {0};
    text_bytes(&suite, name, (size_t)(slash - name));
    const struct measure m = {.fingerprint = board_column_find(b, text_c(&suite), "fingerprint"),
                              .value = value,
                              .error = board_column_find(b, name, "stderr"),
                              .low = board_column_find(b, name, "low"),
                              .high = board_column_find(b, name, "high"),
                              .paired = board_column_find(b, name, "difference_stderr"),
                              .better = board_column_find(b, name, "better")};
    text_free(&suite);
    return m;
}

static bool is_metric(const struct board *b, size_t column)
{
    const char *slash = strchr(b->columns[column], '/');
    return slash && !strchr(slash + 1, '/') && board_column_find(b, b->columns[column], "better") != SIZE_MAX;
}

/* The first metric of every suite. */
static int find_suites(struct choosing *c)
{
    struct board *b = c->b;
    struct table seen = {0};
    c->measures = memory_new(b->n_columns, sizeof *c->measures, "a ranking", c->e);
    int status = c->measures ? 0 : ERROR_IO;
    for (size_t i = BOARD_FIXED; i < b->n_columns && !status; i++) {
        if (!is_metric(b, i)) continue;
        const struct measure m = measure_of(b, i);
        if (m.fingerprint == SIZE_MAX || m.paired == SIZE_MAX) continue;
        const char *suite = b->columns[m.fingerprint];
        bool was_there;
        status = table_add(&seen, suite, strlen(suite), 0, &was_there, c->e);
        if (!status && !was_there) c->measures[c->n++] = m;
    }
    table_free(&seen);
    return status;
}

static int unknown_metric(const struct choosing *c, const char *by)
{
    const struct board *b = c->b;
    const char **names = memory_new(b->n_columns + 1, sizeof *names, "names", c->e);
    if (!names) return ERROR_IO;
    size_t n = 0;
    struct text list = {0};
    for (size_t i = BOARD_FIXED; i < b->n_columns; i++)
        if (is_metric(b, i)) names[n++] = b->columns[i];
    for (size_t i = 0; i < n && list.length < 400; i++) text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const struct suggestion guess = suggest(by, names, n);
    int status = n == 0 ? error_set(c->e, ERROR_USAGE, "--by %s: this leaderboard has no metrics", by)
                 : guess.words[0]
                     ? error_set(c->e, ERROR_USAGE, "--by %s: is no metric of this leaderboard%s", by, guess.words)
                     : error_set(c->e, ERROR_USAGE, "--by %s: is no metric of this leaderboard; there are score, %s",
                                 by, text_c(&list));
    text_free(&list);
    free(names);
    return status;
}

static int find_metric(struct choosing *c, const char *by)
{
    const size_t at = board_column_find(c->b, by, NULL);
    if (at == SIZE_MAX || at < BOARD_FIXED || !is_metric(c->b, at)) return unknown_metric(c, by);
    c->measures = memory_new(1, sizeof *c->measures, "a ranking", c->e);
    if (!c->measures) return ERROR_IO;
    c->measures[c->n++] = measure_of(c->b, at);
    c->plain = true;
    return 0;
}

/* --- which rows --- */

/* What rows must share: the fingerprints of all their suites; of a metric that of its suite, and the baseline where it
 * is a distance from one. Empty where there is none. */
static void make_key(const struct choosing *c, size_t row, struct text *out)
{
    for (size_t s = 0; s < c->n; s++) {
        const struct measure *m = &c->measures[s];
        const char *fingerprint = m->fingerprint == SIZE_MAX ? "" : board_field(c->b, row, m->fingerprint);
        if (!*fingerprint || *board_field(c->b, row, BOARD_SOURCE)) continue;
        if (c->plain && isnan(board_number(c->b, row, m->value))) continue;
        const char *baseline = c->plain && m->paired == SIZE_MAX ? board_field(c->b, row, BOARD_BASELINE) : "";
        text_printf(out, "%zu:%zu:%s:%s;", s, strlen(fingerprint), fingerprint, baseline);
    }
}

struct group {
    size_t first, rows, suites;
};

static size_t count_suites(const struct choosing *c, size_t row)
{
    size_t n = 0;
    for (size_t s = 0; s < c->n; s++) n += *board_field(c->b, row, c->measures[s].fingerprint) != 0;
    return n;
}

/* The biggest group; of equal ones the one with the most suites, then the earliest. None of these changes when the file
 * is sorted by the outcome: the rows that are ranked come first then. */
static size_t choose_group(const struct group *groups, size_t n)
{
    const struct group *best = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct group *g = &groups[i];
        const bool better = !best || g->rows > best->rows || (g->rows == best->rows && g->suites > best->suites);
        if (better) best = g;
    }
    return best ? best->first : SIZE_MAX;
}

/* A row of the group that is ranked; SIZE_MAX where no row has a fingerprint. */
static int find_group(const struct choosing *c, size_t *model)
{
    const size_t n = c->b->n_rows;
    struct table by_key = {0};
    struct text *keys = memory_new(n, sizeof *keys, "a ranking", c->e);
    struct group *groups = memory_new(n, sizeof *groups, "a ranking", c->e);
    size_t n_groups = 0;
    int status = keys && groups ? 0 : ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) {
        make_key(c, i, &keys[i]);
        if (keys[i].failed) status = error_set(c->e, ERROR_IO, "out of memory for a ranking");
        if (status || !keys[i].length) continue;
        bool was_there;
        int64_t at = (int64_t)n_groups;
        status = table_add(&by_key, keys[i].bytes, keys[i].length, at, &was_there, c->e);
        if (status) break;
        if (was_there)
            table_find(&by_key, keys[i].bytes, keys[i].length, &at);
        else
            groups[n_groups++] = (struct group){.first = i, .suites = count_suites(c, i)};
        groups[at].rows++;
    }
    if (!status) *model = choose_group(groups, n_groups);
    for (size_t i = 0; keys && i < n; i++) text_free(&keys[i]);
    free(keys);
    free(groups);
    table_free(&by_key);
    return status;
}

static bool same_protocol(const struct choosing *c, const struct measure *m, size_t row, size_t model)
{
    const struct board *b = c->b;
    if (strcmp(board_field(b, row, m->fingerprint), board_field(b, model, m->fingerprint)) != 0) return false;
    if (m->paired != SIZE_MAX) return true;
    return strcmp(board_field(b, row, BOARD_BASELINE), board_field(b, model, BOARD_BASELINE)) == 0;
}

/* Why a row is not ranked, and what to do about it. */
static const char other_distance[] =
    "by another protocol or from another baseline than most (measure them again with the "
    "same suite and baseline, or keep them in a file of their own)";
static const char other_protocol[] =
    "by another protocol than most (measure them again with the same suite, or keep them "
    "in a file of their own)";
static const char other_suites[] =
    "by other protocols than most, or without some of the suites (measure them again with "
    "the same suites, or keep them in a file of their own)";

static const char *why_not(const struct choosing *c, size_t row, size_t model)
{
    const struct board *b = c->b;
    if (*board_field(b, row, BOARD_SOURCE)) return "measured by another tool, whose protocol is not known";
    bool any = false;
    for (size_t s = 0; s < c->n; s++) any = any || *board_field(b, row, c->measures[s].fingerprint);
    if (model == SIZE_MAX || !any) return c->plain ? "not measured in it" : "without a protocol fingerprint";
    for (size_t s = 0; s < c->n; s++)
        if (!same_protocol(c, &c->measures[s], row, model))
            return c->plain && c->measures->paired == SIZE_MAX ? other_distance
                   : c->plain                                  ? other_protocol
                                                               : other_suites;
    for (size_t s = 0; s < c->n; s++)
        if (isnan(board_number(b, row, c->measures[s].value)) ||
            strcmp(board_field(b, row, c->measures[s].better), board_field(b, model, c->measures[s].better)) != 0)
            return c->plain ? "not measured in it" : "with a value missing";
    return NULL;
}

/* Of the suites those that the model row has stay. */
static int choose_rows(struct choosing *c)
{
    struct board *b = c->b;
    size_t model = SIZE_MAX, kept = 0;
    int status = find_group(c, &model);
    if (status) return status;
    for (size_t s = 0; s < c->n && model != SIZE_MAX; s++)
        if (*board_field(b, model, c->measures[s].fingerprint)) c->measures[kept++] = c->measures[s];
    if (model != SIZE_MAX) c->n = kept;
    c->counts = memory_new(b->n_rows, sizeof *c->counts, "a ranking", c->e);
    if (!c->counts) return ERROR_IO;
    for (size_t i = 0; i < b->n_rows; i++) {
        b->rows[i].unranked = why_not(c, i, model);
        c->counts[i] = !b->rows[i].unranked;
    }
    return 0;
}

/* --- the reference --- */

/* How many of the rows that count have their differences to this id. */
static int count_uses(const struct choosing *c, struct table *of, size_t *uses /* [n_rows], by the table's values */)
{
    for (size_t i = 0; i < c->b->n_rows; i++) {
        const char *baseline = board_field(c->b, i, BOARD_BASELINE);
        int64_t at = (int64_t)i;
        bool was_there;
        if (!c->counts[i] || !*baseline) continue;
        int status = table_add(of, baseline, strlen(baseline), at, &was_there, c->e);
        if (status) return status;
        if (was_there) table_find(of, baseline, strlen(baseline), &at);
        uses[at]++;
    }
    return 0;
}

/* Of two rows of equal use the one that was measured first, then the one whose name and id come first in the alphabet. */
static bool precedes(const struct board *b, size_t x, size_t y)
{
    static const enum board_column by[] = {BOARD_STARTED, BOARD_SUBJECT, BOARD_ID};
    for (size_t i = 0; i < sizeof by / sizeof *by; i++) {
        const char *p = board_field(b, x, by[i]), *q = board_field(b, y, by[i]);
        if (strcmp(p, q) != 0) return *p && (!*q || strcmp(p, q) < 0);
    }
    return false;
}

/* The baseline of most rows. It does not depend on their order, else ranking again would change the scores. */
static int find_reference(const struct choosing *c, size_t *reference)
{
    const size_t n = c->b->n_rows;
    struct table of = {0};
    size_t *uses = memory_new(n, sizeof *uses, "a ranking", c->e), best = SIZE_MAX, most = 0;
    int status = uses ? count_uses(c, &of, uses) : ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) {
        const char *id = board_field(c->b, i, BOARD_ID);
        int64_t at;
        if (!c->counts[i]) continue;
        const size_t used = *id && table_find(&of, id, strlen(id), &at) ? uses[at] : 0;
        if (best != SIZE_MAX && (used < most || (used == most && !precedes(c->b, i, best)))) continue;
        best = i;
        most = used;
    }
    *reference = best == SIZE_MAX ? 0 : best;
    table_free(&of);
    free(uses);
    return status;
}

/* --- the outcome --- */

static void take_row(const struct choosing *c, size_t i, struct rank_input *in)
{
    const struct board *b = c->b;
    in->counts[i] = c->counts[i];
    in->ids[i] = board_field(b, i, BOARD_ID);
    in->baselines[i] = board_field(b, i, BOARD_BASELINE);
    for (size_t s = 0; s < c->n; s++) {
        const struct measure *m = &c->measures[s];
        in->entries[i * c->n + s] = (struct rank_entry){board_number(b, i, m->value), board_number(b, i, m->error),
                                                        board_number(b, i, m->paired)};
        if (c->counts[i]) in->higher[s] = strcmp(board_field(b, i, m->better), "higher") == 0;
    }
}

static int set_row(const struct choosing *c, size_t i, const struct standing *x, const char *by)
{
    struct board *b = c->b;
    struct error *e = c->e;
    if (!x->rank && !b->rows[i].unranked) b->rows[i].unranked = "with a value that is not above 0";
    int status = board_set_count(b, i, BOARD_RANK, x->rank ? (int64_t)x->rank : -1, e);
    if (!status) status = board_set_count(b, i, BOARD_TIE_GROUP, x->tie ? (int64_t)x->tie : -1, e);
    if (!status) status = board_set_number(b, i, BOARD_SCORE, x->score, e);
    if (!status) status = board_set_number(b, i, BOARD_SCORE_LOW, x->low, e);
    if (!status) status = board_set_number(b, i, BOARD_SCORE_HIGH, x->high, e);
    if (!status) status = board_set(b, i, BOARD_RANKED_BY, by, x->rank ? strlen(by) : 0, e);
    return status;
}

struct placed {
    size_t rank, before;
    struct board_row row;
};

static int by_rank(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    const size_t p = x->rank ? x->rank : SIZE_MAX, q = y->rank ? y->rank : SIZE_MAX;
    if (p != q) return p < q ? -1 : 1;
    return x->before < y->before ? -1 : 1;
}

static int sort_rows(struct board *b, const struct standing *standings, struct error *e)
{
    struct placed *all = memory_new(b->n_rows, sizeof *all, "a ranking", e);
    if (!all) return ERROR_IO;
    for (size_t i = 0; i < b->n_rows; i++) all[i] = (struct placed){standings[i].rank, i, b->rows[i]};
    qsort(all, b->n_rows, sizeof *all, by_rank);
    for (size_t i = 0; i < b->n_rows; i++) b->rows[i] = all[i].row;
    free(all);
    return 0;
}

/* A metric has an interval of its own. */
static void take_intervals(const struct choosing *c, struct standing *standings)
{
    for (size_t i = 0; i < c->b->n_rows; i++) {
        if (!standings[i].rank) continue;
        standings[i].low = board_number(c->b, i, c->measures->low);
        standings[i].high = board_number(c->b, i, c->measures->high);
    }
}

/* What the ranking stands on. */
static void describe(const struct choosing *c, const struct rank_input *in, const char *by)
{
    struct board *b = c->b;
    size_t n = 0;
    for (size_t i = 0; i < b->n_rows; i++) n += c->counts[i];
    text_clear(&b->basis);
    if (n == 0) return;
    if (c->plain) {
        text_printf(&b->basis, "%s (%s is better)", by, in->higher[0] ? "higher" : "lower");
        return;
    }
    text_add(&b->basis, "score, percent of the quality of ");
    text_add(&b->basis, board_field(b, in->reference, BOARD_SUBJECT));
    text_add(&b->basis, c->n > 1 ? ": the mean of " : ": ");
    for (size_t s = 0; s < c->n; s++) text_printf(&b->basis, "%s%s", s ? ", " : "", b->columns[c->measures[s].value]);
}

static int rank(struct choosing *c, const char *by)
{
    struct board *b = c->b;
    struct rank_input in = {0};
    struct standing *standings = memory_new(b->n_rows, sizeof *standings, "a ranking", c->e);
    int status = standings ? rank_input_open(&in, b->n_rows, c->n, c->e) : ERROR_IO;
    in.plain = c->plain;
    if (!status) status = find_reference(c, &in.reference);
    for (size_t i = 0; i < b->n_rows && !status; i++) take_row(c, i, &in);
    if (!status) status = rank_rows(&in, standings, c->e);
    if (!status && c->plain) take_intervals(c, standings);
    if (!status) describe(c, &in, by);
    for (size_t i = 0; i < b->n_rows && !status; i++) status = set_row(c, i, &standings[i], by);
    if (!status) status = sort_rows(b, standings, c->e);
    rank_input_close(&in);
    free(standings);
    return status;
}

/* As the file was ranked before; a metric that is not there any more gives way to the score. */
static const char *ranked_before(const struct board *b)
{
    for (size_t i = 0; i < b->n_rows; i++) {
        const char *by = board_field(b, i, BOARD_RANKED_BY);
        if (!*by) continue;
        const size_t at = board_column_find(b, by, NULL);
        return at != SIZE_MAX && at >= BOARD_FIXED && is_metric(b, at) ? by : "score";
    }
    return "score";
}

int board_rank(struct board *b, const char *by, struct error *e)
{
    struct choosing c = {.b = b, .e = e};
    char *name = memory_string(by ? by : ranked_before(b), e);
    if (!name) return ERROR_IO;
    int status = strcmp(name, "score") == 0 ? find_suites(&c) : find_metric(&c, name);
    if (!status) status = choose_rows(&c);
    if (!status) status = rank(&c, name);
    free(c.measures);
    free(c.counts);
    free(name);
    return status;
}
