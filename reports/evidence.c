/* The samples files of a comparison, side by side: one item of every run is in memory at a time, and of those that
 * flipped the strings that are shown. */
#include "reports/evidence.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "reports/evidence_item.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORGET_BYTES = 1 << 22 };

/* A samples file under way. */
struct samples {
    struct file file; /* file.path NULL: not read */
    size_t at;        /* of the next line */
    size_t forgotten; /* what lies before is out of memory again */
    size_t line;      /* the item's, from 1 */
    json_t *item;     /* NULL at the end */
};

/* Flips of one row and one candidate, being counted. */
struct tally {
    struct evidence_flips flips; /* list: [2 * FLIPS_SHOWN], those that turned right from FLIPS_SHOWN on */
    size_t shown[2];             /* that turned wrong, right */
    struct hash changes;         /* which items, which way */
    char name[HASH_HEX];         /* of these changes */
};

struct reading {
    struct evidence *v;
    const struct report *r;
    char **folders;          /* [n_subjects], NULL: nothing to read there */
    struct samples *samples; /* [n_subjects], of the suite under way */
    struct tally *tallies;
    size_t n_tallies, tally_capacity, flips_capacity;
    struct describing texts;
    struct error *e;
};

/* --- runs --- */

/* The places of the objects of a list by their names; of several of one name the first. */
static int index_names(struct table *places, const json_t *list, struct error *e)
{
    size_t i;
    json_t *v;
    int status = 0;
    json_array_foreach(list, i, v)
    {
        const char *name = json_text_of(v, "name");
        if (!status) status = table_add(places, name, strlen(name), (int64_t)i, NULL, e);
    }
    return status;
}

static json_t *named(const json_t *list, const struct table *places, const char *name)
{
    int64_t at;
    return table_find(places, name, strlen(name), &at) ? json_array_get(list, (size_t)at) : NULL;
}

static json_t *suite_of(const struct evidence *v, size_t subject, const char *name)
{
    return named(json_object_get(v->runs[subject], "suites"), &v->suites[subject], name);
}

static int say_missing(struct reading *d, size_t subject, const char *what, const char *why)
{
    struct text words = {0};
    text_printf(&words, "%s %s", what, why);
    free(d->v->missing[subject]);
    d->v->missing[subject] = words.bytes;
    return words.failed ? error_set(d->e, ERROR_IO, "out of memory for evidence") : 0;
}

static bool is_value(const json_t *said, double value)
{
    if (isnan(value)) return !said || json_is_null(said);
    return json_is_number(said) && json_number_value(said) == value;
}

/* Rows of one suite are neighbours: its metrics are indexed at the first. */
static int compare_values(const struct reading *d, size_t subject, bool *same)
{
    const struct report *r = d->r;
    const json_t *metrics = NULL;
    struct table places = {0};
    int status = 0;
    for (size_t i = 0; i < r->n_rows && *same && !status; i++) {
        const struct report_row *row = &r->rows[i];
        const struct report_cell *cell = &row->cells[subject];
        if (row_opens_suite(r, i)) {
            table_free(&places);
            metrics = json_object_get(suite_of(d->v, subject, row->suite), "metrics");
            status = index_names(&places, metrics, d->e);
        }
        if (status || row->is_distance || cell->absent) continue;
        *same = is_value(json_object_get(named(metrics, &places, row->metric), "value"), cell->figure.value);
    }
    table_free(&places);
    return status;
}

/* Whether a run is the one that was compared: what it measured, and every value. Another may be in its folder by now.
 * (Fingerprints differ between ways to decode, which are compared all the same.) */
static int check_run(const struct reading *d, size_t subject, bool *same)
{
    const struct report_subject *s = &d->r->subjects[subject];
    const json_t *run = d->v->runs[subject], *own = json_object_get(run, "subject");
    *same = strcmp(json_text_of(run, "schema"), "kerf-run-1") == 0 &&
            strcmp(json_text_of(own, "sha256"), s->sha256) == 0 &&
            strcmp(json_text_of(own, "backend"), s->backend) == 0 && strcmp(json_text_of(own, "math"), s->math) == 0;
    return *same ? compare_values(d, subject, same) : 0;
}

/* A run keeps its divergence from the baseline that it was once made beside, which need not be this one: that of suites
 * for which the comparison has a distance is. */
static int drop_other_divergence(const struct reading *d, size_t subject)
{
    struct table ours = {0};
    int status = 0;
    for (size_t i = 0; i < d->r->n_rows && !status; i++) {
        const struct report_row *row = &d->r->rows[i];
        if (row->is_distance && !isnan(row->cells[subject].figure.value))
            status = table_add(&ours, row->suite, strlen(row->suite), 0, NULL, d->e);
    }
    size_t i;
    json_t *suite;
    json_array_foreach(json_object_get(d->v->runs[subject], "suites"), i, suite)
    {
        const char *name = json_text_of(suite, "name");
        int64_t found;
        if (!status && !table_find(&ours, name, strlen(name), &found)) json_object_del(suite, "divergence");
    }
    table_free(&ours);
    return status;
}

/* Takes back a run that was read. */
static void forget_run(struct evidence *v, size_t subject)
{
    table_free(&v->suites[subject]); /* whose keys are the run's */
    json_decref(v->runs[subject]);
    v->runs[subject] = NULL;
}

static int take_run(struct reading *d, size_t subject, const char *folder)
{
    struct evidence *v = d->v;
    char *path = path_join(folder, "run.json", d->e);
    if (!path) return ERROR_IO;
    const bool is_there = path_exists(path);
    int status = 0;
    bool same = false;
    if (!is_there)
        status = say_missing(d, subject, path, "is not there");
    else if (!(v->runs[subject] = json_read_file(path, d->e)))
        status = (int)d->e->code;
    free(path);
    if (status || !is_there) return status;
    status = index_names(&v->suites[subject], json_object_get(v->runs[subject], "suites"), d->e);
    if (!status) status = check_run(d, subject, &same);
    if (!status && same) return drop_other_divergence(d, subject);
    forget_run(v, subject);
    return status ? status : say_missing(d, subject, folder, "holds another run by now");
}

static int read_run(struct reading *d, size_t subject, const char *folder)
{
    const struct report_subject *s = &d->r->subjects[subject];
    if (s->source) return say_missing(d, subject, "measured by", s->source);
    if (!s->folder) return say_missing(d, subject, "the comparison", "does not say where its run is");
    char *place = *s->folder == '/' ? memory_string(s->folder, d->e) : path_join(folder, s->folder, d->e);
    if (!place) return ERROR_IO;
    const int status = take_run(d, subject, place);
    if (d->v->runs[subject])
        d->folders[subject] = place;
    else
        free(place);
    return status;
}

/* --- samples --- */

static int samples_open(struct reading *d, size_t subject, const char *suite)
{
    struct text name = {0};
    text_printf(&name, "samples_%s.jsonl", suite);
    char *path = name.failed ? NULL : path_join(d->folders[subject], text_c(&name), d->e);
    int status = 0;
    if (!path)
        status = error_set(d->e, ERROR_IO, "out of memory for a path");
    else if (path_exists(path))
        status = file_map(&d->samples[subject].file, path, d->e);
    else
        status = say_missing(d, subject, path, "is not there");
    text_free(&name);
    free(path);
    return status;
}

static void samples_close(struct samples *s)
{
    json_decref(s->item);
    file_unmap(&s->file);
    *s = (struct samples){0};
}

static int samples_next(struct samples *s, struct error *e)
{
    json_decref(s->item);
    s->item = NULL;
    if (s->at - s->forgotten > FORGET_BYTES) {
        file_forget(s->file.data + s->forgotten, s->at - s->forgotten);
        s->forgotten = s->at;
    }
    if (s->at == s->file.size) return 0;
    const char *line = (const char *)s->file.data + s->at, *end = memchr(line, '\n', s->file.size - s->at);
    const size_t n = end ? (size_t)(end - line) : s->file.size - s->at;
    s->at += n + (end ? 1 : 0);
    s->line++;
    s->item = json_read_line(line, n, e);
    return s->item ? 0 : error_prefix(e, "%s: line %zu", s->file.path, s->line);
}

/* Both files must be at the same item, or at their end. */
static int check_item(const struct samples *s, const struct samples *base, struct error *e)
{
    if (!s->item && !base->item) return 0;
    const struct samples *over = s->item ? base : s, *more = s->item ? s : base;
    if (!over->item)
        return error_set(e, ERROR_INPUT, "%s: ends after %zu items, %s has more", over->file.path, over->line,
                         more->file.path);
    static const char *const keys[] = {"doc_id", "doc_hash"};
    static const json_type types[] = {JSON_INTEGER, JSON_STRING};
    for (size_t k = 0; k < 2; k++) {
        const json_t *v = json_object_get(s->item, keys[k]);
        if (!v || json_typeof(v) != types[k] || !json_equal(v, json_object_get(base->item, keys[k])))
            return error_set(e, ERROR_INPUT, "%s: line %zu: %s: is not that of the same line in %s", s->file.path,
                             s->line, keys[k], base->file.path);
    }
    return 0;
}

/* The next item of every run, which must be the same one. */
static int next_items(struct reading *d)
{
    int status = samples_next(&d->samples[0], d->e);
    for (size_t j = 1; j < d->r->n_subjects && !status; j++) {
        if (!d->samples[j].file.path) continue;
        status = samples_next(&d->samples[j], d->e);
        if (!status) status = check_item(&d->samples[j], &d->samples[0], d->e);
    }
    return status;
}

/* --- flips --- */

/* An item is right where the first of a metric's statistics is 1 (metrics/resampling.c counts flips so). */
static int take_right(const struct samples *s, const char *metric, bool *right, struct error *e)
{
    const json_t *statistics = json_object_get(json_object_get(s->item, "statistics"), metric);
    const json_t *first = json_array_get(statistics, 0);
    const double value = json_is_number(first) ? json_number_value(first) : NAN;
    *right = value == 1;
    if (value == 0 || value == 1) return 0;
    return error_set(e, ERROR_INPUT, "%s: line %zu: statistics.%s: must begin with 0 or 1", s->file.path, s->line,
                     metric);
}

static int tally_item(struct reading *d, struct tally *t)
{
    const struct samples *base = &d->samples[0], *candidate = &d->samples[t->flips.subject];
    const char *metric = d->r->rows[t->flips.row].metric;
    bool was, is;
    int status = take_right(base, metric, &was, d->e);
    if (!status) status = take_right(candidate, metric, &is, d->e);
    if (status || is == was) return status;
    hash_update(&t->changes, &base->line, sizeof base->line);
    hash_update(&t->changes, &is, sizeof is);
    ++*(is ? &t->flips.n_gained : &t->flips.n_lost);
    if (t->shown[is] == FLIPS_SHOWN) return 0;
    struct evidence_flip *f = &t->flips.list[(is ? FLIPS_SHOWN : 0) + t->shown[is]++];
    f->gained = is;
    return evidence_describe(f, &d->texts, metric, base->item, candidate->item, d->e);
}

static void flips_free(struct evidence_flips *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->list[i].choices);
    free(f->list);
    f->list = NULL;
    f->n = 0;
}

static void tallies_free(struct reading *d)
{
    for (size_t k = 0; k < d->n_tallies; k++) {
        d->tallies[k].flips.n = d->tallies[k].flips.list ? 2 * FLIPS_SHOWN : 0;
        flips_free(&d->tallies[k].flips);
    }
    d->n_tallies = 0;
}

static int add_tally(struct reading *d, size_t row, size_t subject)
{
    void *tallies = d->tallies;
    int status =
        memory_reserve(&tallies, &d->tally_capacity, d->n_tallies + 1, sizeof *d->tallies, "flips of a suite", d->e);
    d->tallies = tallies;
    if (status) return status;
    struct tally *t = &d->tallies[d->n_tallies];
    *t = (struct tally){.flips = {.row = row, .subject = subject, .same_as = row}};
    hash_init(&t->changes);
    t->flips.list = memory_new(2 * FLIPS_SHOWN, sizeof *t->flips.list, "flips of a suite", d->e);
    if (!t->flips.list) return ERROR_IO;
    d->n_tallies++;
    return 0;
}

/* The items must say what the comparison says. */
static int check_tally(const struct reading *d, const struct tally *t)
{
    const struct evidence_flips *f = &t->flips;
    const struct report_row *row = &d->r->rows[f->row];
    const struct report_cell *cell = &row->cells[f->subject];
    if ((uint64_t)cell->gained == f->n_gained && (uint64_t)cell->lost == f->n_lost) return 0;
    return error_set(d->e, ERROR_INPUT,
                     "%s and %s: flips of %s: the items have +%zu -%zu, the comparison +%" PRId64 " -%" PRId64
                     ": compare the runs again",
                     d->samples[0].file.path, d->samples[f->subject].file.path, row->metric, f->n_gained, f->n_lost,
                     cell->gained, cell->lost);
}

/* Moves what was counted into the evidence. */
static int keep_tally(struct reading *d, size_t k)
{
    struct tally *t = &d->tallies[k];
    struct evidence_flips *f = &t->flips;
    void *all = d->v->flips;
    const int status = memory_reserve(&all, &d->flips_capacity, d->v->n_flips + 1, sizeof *f, "flips", d->e);
    d->v->flips = all;
    if (status) return status;
    hash_finish(&t->changes, t->name);
    memmove(f->list + t->shown[0], f->list + FLIPS_SHOWN, t->shown[1] * sizeof *f->list);
    f->n = t->shown[0] + t->shown[1];
    for (size_t i = 0; i < k && f->same_as == f->row; i++) {
        const struct tally *other = &d->tallies[i];
        if (other->flips.subject == f->subject && strcmp(other->name, t->name) == 0) f->same_as = other->flips.row;
    }
    if (f->same_as != f->row) flips_free(f);
    d->v->flips[d->v->n_flips++] = *f;
    f->list = NULL;
    return 0;
}

/* --- suites --- */

static bool has_flips(const struct report_cell *cell) { return cell->gained >= 0 && cell->lost >= 0; }

static int open_suite(struct reading *d, size_t row, size_t end)
{
    const char *suite = d->r->rows[row].suite;
    if (!file_name_fits(suite))
        return error_set(d->e, ERROR_INPUT, "comparison: rows[%zu].suite: is no suite's name", row);
    int status = samples_open(d, 0, suite);
    for (size_t j = 1; j < d->r->n_subjects && !status && d->samples[0].file.path; j++) {
        bool wanted = false;
        for (size_t i = row; i < end; i++) wanted = wanted || has_flips(&d->r->rows[i].cells[j]);
        if (!wanted || !d->folders[j]) continue;
        status = samples_open(d, j, suite);
        for (size_t i = row; i < end && !status && d->samples[j].file.path; i++)
            if (has_flips(&d->r->rows[i].cells[j])) status = add_tally(d, i, j);
    }
    const json_t *record = suite_of(d->v, 0, suite);
    const json_t *delimiter = json_object_get(json_object_get(record, "protocol"), "target_delimiter");
    d->texts.output_type = json_text_of(record, "output_type");
    d->texts.delimiter = json_is_string(delimiter) ? json_string_value(delimiter) : " ";
    return status;
}

static int walk_suite(struct reading *d, size_t row)
{
    int status = next_items(d);
    for (; !status && d->samples[0].item; status = status ? status : next_items(d))
        for (size_t k = 0; k < d->n_tallies && !status; k++) status = tally_item(d, &d->tallies[k]);
    const int64_t items = d->r->rows[row].items;
    if (!status && items >= 0 && (uint64_t)items != d->samples[0].line)
        status = error_set(d->e, ERROR_INPUT, "%s: has %zu items, the comparison %" PRId64, d->samples[0].file.path,
                           d->samples[0].line, items);
    for (size_t k = 0; k < d->n_tallies && !status; k++) status = check_tally(d, &d->tallies[k]);
    for (size_t k = 0; k < d->n_tallies && !status; k++) status = keep_tally(d, k);
    return status;
}

/* The rows from `row` to before `end` are those of one suite. */
static int read_suite(struct reading *d, size_t row, size_t end)
{
    bool some = false;
    for (size_t i = row; i < end; i++) some = some || row_has_flips(&d->r->rows[i], d->r->n_subjects);
    if (!some || !d->folders[0]) return 0;
    int status = open_suite(d, row, end);
    if (!status && d->n_tallies) status = walk_suite(d, row);
    tallies_free(d);
    for (size_t j = 0; j < d->r->n_subjects; j++) samples_close(&d->samples[j]);
    return status;
}

static int by_candidate(const void *a, const void *b)
{
    const struct evidence_flips *x = a, *y = b;
    if (x->subject != y->subject) return x->subject < y->subject ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int read_all(struct reading *d, const char *folder)
{
    struct evidence *v = d->v;
    const size_t n = v->n_subjects = d->r->n_subjects;
    v->runs = memory_new(n, sizeof *v->runs, "runs", d->e);
    v->suites = memory_new(n, sizeof *v->suites, "runs", d->e);
    v->missing = memory_new(n, sizeof *v->missing, "runs", d->e);
    d->folders = memory_new(n, sizeof *d->folders, "runs", d->e);
    d->samples = memory_new(n, sizeof *d->samples, "runs", d->e);
    v->texts = d->texts.texts = json_array();
    if (!v->runs || !v->suites || !v->missing || !d->folders || !d->samples || !v->texts)
        return error_set(d->e, ERROR_IO, "out of memory for evidence");
    int status = 0;
    for (size_t j = 0; j < n && !status; j++) status = read_run(d, j, folder);
    for (size_t i = 0, end; i < d->r->n_rows && !status; i = end) {
        for (end = i + 1; end < d->r->n_rows && !row_opens_suite(d->r, end);) end++;
        status = read_suite(d, i, end);
    }
    if (!status && d->texts.failed) status = error_set(d->e, ERROR_IO, "out of memory for evidence");
    if (v->n_flips) qsort(v->flips, v->n_flips, sizeof *v->flips, by_candidate);
    return status;
}

int evidence_read(struct evidence *v, const struct report *r, const char *folder, struct error *e)
{
    struct reading d = {.v = v, .r = r, .e = e};
    *v = (struct evidence){0};
    const int status = read_all(&d, folder);
    for (size_t j = 0; d.folders && j < v->n_subjects; j++) free(d.folders[j]);
    free(d.folders);
    free(d.samples);
    free(d.tallies);
    if (status) evidence_free(v);
    return status;
}

void evidence_free(struct evidence *v)
{
    for (size_t j = 0; j < v->n_subjects; j++) {
        if (v->runs && v->suites) forget_run(v, j);
        if (v->missing) free(v->missing[j]);
    }
    for (size_t i = 0; i < v->n_flips; i++) flips_free(&v->flips[i]);
    free(v->runs);
    free(v->suites);
    free(v->missing);
    free(v->flips);
    json_decref(v->texts);
    *v = (struct evidence){0};
}

const json_t *evidence_divergence(const struct evidence *v, size_t subject, const char *suite)
{
    return json_object_get(suite_of(v, subject, suite), "divergence");
}
