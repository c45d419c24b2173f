/* The subjects of a comparison as rows of a leaderboard. */
#include "engine/base/memory.h"
#include "reports/board/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct adding {
    struct board *b;
    const struct report *r;
    struct error *e;
    int status;    /* of the first failure; after it nothing is done */
    size_t row;    /* that is being filled */
    struct text t; /* a column's name */
};

/* --- columns --- */

/* "SUITE/METRIC", "SUITE/METRIC/FIGURE"; parts that are NULL are left out. */
static const char *name_column(struct adding *a, const char *suite, const char *metric, const char *figure)
{
    text_clear(&a->t);
    board_name_part(&a->t, suite);
    if (metric) text_char(&a->t, '/'), board_name_part(&a->t, metric);
    if (figure) text_char(&a->t, '/'), text_add(&a->t, figure);
    if (a->t.failed && !a->status) a->status = error_set(a->e, ERROR_IO, "out of memory for a column's name");
    return text_c(&a->t);
}

static size_t column(struct adding *a, const char *suite, const char *metric, const char *figure)
{
    size_t at = 0;
    const char *name = name_column(a, suite, metric, figure);
    if (!a->status) a->status = board_column_add(a->b, name, &at, a->e);
    return at;
}

/* Before any row, so that their order is that of the comparison. */
static void add_columns(struct adding *a)
{
    for (size_t i = 0; i < BOARD_FIXED && !a->status; i++) {
        size_t at;
        a->status = board_column_add(a->b, board_fixed_name((enum board_column)i), &at, a->e);
    }
    for (size_t i = 0; i < a->r->n_rows && !a->status; i++) {
        const struct report_row *row = &a->r->rows[i];
        column(a, row->suite, NULL, "fingerprint");
        column(a, row->suite, NULL, "items");
        column(a, row->suite, row->metric, NULL);
        for (size_t k = 0; k < BOARD_FIGURES; k++)
            if (!row->is_distance || !board_figures[k].of_differences)
                column(a, row->suite, row->metric, board_figures[k].name);
    }
}

/* --- fields --- */

static void set_text(struct adding *a, size_t at, const char *s)
{
    if (!a->status && s) a->status = board_set(a->b, a->row, at, s, strlen(s), a->e);
}

static void set_number(struct adding *a, size_t at, double v)
{
    if (!a->status) a->status = board_set_number(a->b, a->row, at, v, a->e);
}

static void set_count(struct adding *a, size_t at, int64_t v)
{
    if (!a->status) a->status = board_set_count(a->b, a->row, at, v, a->e);
}

static void set_figure(struct adding *a, const struct report_row *row, const char *figure, double v)
{
    set_number(a, column(a, row->suite, row->metric, figure), v);
}

static void set_difference(struct adding *a, const struct report_row *row, const struct report_cell *c)
{
    set_figure(a, row, "difference", c->difference.value);
    set_figure(a, row, "difference_stderr", c->difference.standard_error);
    set_figure(a, row, "difference_low", c->difference.low);
    set_figure(a, row, "difference_high", c->difference.high);
    set_figure(a, row, "p", c->p);
    set_figure(a, row, "p_holm", c->p_holm);
    set_count(a, column(a, row->suite, row->metric, "gained"), c->gained);
    set_count(a, column(a, row->suite, row->metric, "lost"), c->lost);
}

static void set_cell(struct adding *a, const struct report_row *row, const struct report_cell *c)
{
    const struct figure *f = &c->figure;
    if (c->absent) return;
    if (c->fingerprint) set_text(a, column(a, row->suite, NULL, "fingerprint"), c->fingerprint);
    /* the items of a row are those of the subjects that have its protocol */
    const bool own_items = c->fingerprint && strcmp(c->fingerprint, row->fingerprint) != 0;
    if (!own_items && (c->fingerprint || !*row->fingerprint))
        set_count(a, column(a, row->suite, NULL, "items"), row->items);
    if (isnan(f->value)) return;
    set_figure(a, row, NULL, f->value);
    set_figure(a, row, "stderr", f->standard_error);
    set_figure(a, row, "low", f->low);
    set_figure(a, row, "high", f->high);
    set_text(a, column(a, row->suite, row->metric, "better"), row->higher_is_better ? "higher" : "lower");
    if (c->has_difference && !row->is_distance) set_difference(a, row, c);
}

/* "endings: chance; translation: empty" */
static void set_canaries(struct adding *a, size_t subject)
{
    struct text t = {0};
    for (size_t i = 0; i < a->r->n_canaries; i++) {
        const struct report_canary *c = &a->r->canaries[i];
        if (c->subject == subject) text_printf(&t, "%s%s: %s", t.length ? "; " : "", c->suite, c->name);
    }
    if (t.failed && !a->status) a->status = error_set(a->e, ERROR_IO, "out of memory for a leaderboard");
    set_text(a, BOARD_CANARIES, text_c(&t));
    text_free(&t);
}

static void set_counters(struct adding *a, const json_t *counters)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)counters, name, v)
    {
        const double value = json_is_number(v) ? json_number_value(v) : NAN; /* an empty field */
        if (strcmp(name, "cpu_seconds") == 0) {
            set_number(a, BOARD_CPU_SECONDS, value);
            continue;
        }
        struct text t = {0};
        size_t at = 0;
        text_add(&t, "counters/");
        board_name_part(&t, name);
        if (!a->status && t.failed) a->status = error_set(a->e, ERROR_IO, "out of memory for a column's name");
        if (!a->status) a->status = board_column_add(a->b, text_c(&t), &at, a->e);
        set_number(a, at, value);
        text_free(&t);
    }
}

/* The id of what its differences are to; the baseline's own. */
static const char *baseline_id(const struct report *r, size_t subject)
{
    bool compared = subject == 0;
    for (size_t i = 0; i < r->n_rows && !compared; i++) {
        const struct report_cell *c = &r->rows[i].cells[subject];
        compared = c->has_difference || (r->rows[i].is_distance && !isnan(c->figure.value));
    }
    return compared ? r->subjects->id : "";
}

static void fill(struct adding *a, size_t j)
{
    const struct report_subject *s = &a->r->subjects[j];
    int64_t gained, lost;
    set_text(a, BOARD_SUBJECT, s->name);
    set_text(a, BOARD_MODEL, s->model);
    set_text(a, BOARD_BACKEND, s->backend);
    set_text(a, BOARD_MATH, s->math);
    set_text(a, BOARD_SOURCE, s->source);
    set_text(a, BOARD_ID, s->id);
    set_text(a, BOARD_BASELINE, baseline_id(a->r, j));
    set_number(a, BOARD_BITS_PER_WEIGHT, s->bits_per_weight);
    set_count(a, BOARD_WEIGHT_BYTES, s->weight_bytes);
    set_count(a, BOARD_PARAMETERS, s->parameters);
    set_text(a, BOARD_SHA256, s->sha256);
    if (subject_flips(a->r, j, &gained, &lost)) set_count(a, BOARD_FLIPS, gained + lost);
    set_number(a, BOARD_KL_DIVERGENCE, subject_distance(a->r, j, "kl_divergence"));
    set_canaries(a, j);
    set_number(a, BOARD_SECONDS, s->seconds);
    set_number(a, BOARD_TOKENS_PER_SECOND, s->tokens_per_second);
    set_count(a, BOARD_PEAK_BYTES, s->peak_bytes);
    set_text(a, BOARD_CPU, s->cpu);
    set_text(a, BOARD_ISA, s->isa);
    set_count(a, BOARD_THREADS, s->threads);
    set_text(a, BOARD_KERF_VERSION, s->version);
    set_text(a, BOARD_KERF_COMMIT, s->commit);
    set_text(a, BOARD_STARTED, s->started);
    set_counters(a, s->counters);
    for (size_t i = 0; i < a->r->n_rows && !a->status; i++) set_cell(a, &a->r->rows[i], &a->r->rows[i].cells[j]);
}

/* --- what was measured before --- */

static void key_part(struct text *out, const char *s) { text_printf(out, "%zu:%s", strlen(s), s); }

/* "SUITE/METRIC" */
static bool is_value(const char *name)
{
    const char *slash = strchr(name, '/');
    if (!slash || strchr(slash + 1, '/') || strncmp(name, "counters/", 9) == 0) return false;
    return strcmp(slash, "/fingerprint") != 0 && strcmp(slash, "/items") != 0;
}

/* Subject, protocols, program and machine. Another tool's protocols and settings are not known: there it is the suites and
 * when they were measured. */
static void make_key(const struct board *b, size_t row, struct text *out)
{
    static const enum board_column same[] = {BOARD_SUBJECT,      BOARD_ID,          BOARD_SHA256, BOARD_BACKEND,
                                             BOARD_MATH,         BOARD_SOURCE,      BOARD_CPU,    BOARD_ISA,
                                             BOARD_KERF_VERSION, BOARD_KERF_COMMIT, BOARD_THREADS};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) key_part(out, board_field(b, row, same[i]));
    const bool foreign = *board_field(b, row, BOARD_SOURCE);
    if (foreign) key_part(out, board_field(b, row, BOARD_STARTED));
    for (size_t i = BOARD_FIXED; i < b->n_columns; i++) {
        const char *slash = strchr(b->columns[i], '/'), *field = board_field(b, row, i);
        const bool protocol = slash && strcmp(slash, "/fingerprint") == 0;
        if (!*field || !(protocol || (foreign && is_value(b->columns[i])))) continue;
        key_part(out, b->columns[i]);
        if (protocol) key_part(out, field);
    }
}

static bool same_field(const struct board *b, size_t x, size_t y, size_t column)
{
    return strcmp(board_field(b, x, column), board_field(b, y, column)) == 0;
}

/* Whether a row that is its own baseline holds the values of one that was compared with another. */
static bool says_less(const struct board *b, size_t fresh, size_t old)
{
    const char *baseline = board_field(b, old, BOARD_BASELINE), *id = board_field(b, fresh, BOARD_ID);
    if (!*baseline || strcmp(baseline, id) == 0 || strcmp(board_field(b, fresh, BOARD_BASELINE), id) != 0) return false;
    for (size_t i = BOARD_FIXED; i < b->n_columns; i++)
        if (is_value(b->columns[i]) && *board_field(b, fresh, i) && !same_field(b, fresh, old, i)) return false;
    return true;
}

/* The last row goes into the place of an old one. Columns that are not kerf's are the old one's. */
static void replace(struct board *b, size_t old)
{
    const size_t fresh = b->n_rows - 1;
    const bool keep = says_less(b, fresh, old);
    struct board_row *from = &b->rows[fresh], *to = &b->rows[old];
    for (size_t i = 0; i < from->n && i < to->n; i++) {
        const bool foreign = i >= BOARD_FIXED && !strchr(b->columns[i], '/');
        if (foreign || (keep && (!from->fields[i] || i == BOARD_BASELINE))) from->fields[i] = to->fields[i];
    }
    free(to->fields);
    *to = *from;
    b->n_rows--;
}

/* --- adding --- */

/* The rows that were there, by key. */
static void index_rows(struct adding *a, struct table *old, struct text *keys, size_t n)
{
    for (size_t i = 0; i < n && !a->status; i++) {
        make_key(a->b, i, &keys[i]);
        if (keys[i].failed)
            a->status = error_set(a->e, ERROR_IO, "out of memory for a leaderboard");
        else
            a->status = table_add(old, keys[i].bytes, keys[i].length, (int64_t)i, NULL, a->e);
    }
}

static void add_subject(struct adding *a, size_t j, const struct table *old, struct board_added *n)
{
    a->row = a->b->n_rows;
    a->status = board_row_add(a->b, a->e);
    if (!a->status) fill(a, j);
    struct text key = {0};
    int64_t before;
    if (!a->status) make_key(a->b, a->row, &key);
    if (!a->status && key.failed) a->status = error_set(a->e, ERROR_IO, "out of memory for a leaderboard");
    if (!a->status && table_find(old, key.bytes, key.length, &before)) {
        replace(a->b, (size_t)before);
        n->replaced++;
    } else {
        n->added++;
    }
    text_free(&key);
}

int board_add(struct board *b, const struct report *r, struct board_added *n, struct error *e)
{
    struct adding a = {.b = b, .r = r, .e = e};
    struct board_added uncounted = {0};
    struct table old = {0};
    const size_t n_old = b->n_rows;
    struct text *keys = memory_new(n_old, sizeof *keys, "rows", e);
    a.status = keys ? 0 : ERROR_IO;
    if (!a.status) add_columns(&a);
    if (!a.status) index_rows(&a, &old, keys, n_old);
    for (size_t j = 0; j < r->n_subjects && !a.status; j++) add_subject(&a, j, &old, n ? n : &uncounted);
    for (size_t i = 0; keys && i < n_old; i++) text_free(&keys[i]);
    free(keys);
    table_free(&old);
    text_free(&a.t);
    return a.status;
}
