#include "suites/finished.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "suites/readers/lines.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool finished_is(const char *folder)
{
    char *path = path_join(folder, "run.json", NULL);
    bool is = path && path_exists(path);
    free(path);
    return is;
}

/* --- the metrics of a suite, with their settings --- */

static int set_options(struct measure *m, const json_t *options, struct error *e)
{
    const char *key;
    json_t *v;
    int status = 0;
    json_object_foreach((json_t *)(uintptr_t)options, key, v)
    {
        const bool list = json_is_array(v);
        for (size_t i = 0; !status && i < (list ? json_array_size(v) : 1); i++) {
            const json_t *one = list ? json_array_get(v, i) : v;
            char *other = json_is_string(one) ? NULL : json_dump_text(one, 0, e);
            const char *value = other ? other : json_string_value(one);
            status = value ? measure_set(m, key, value, e) : ERROR_IO;
            free(other);
        }
    }
    return status;
}

static int take_score(struct finished_suite *s, const json_t *record, size_t i, enum outcome_kind kind, struct error *e)
{
    const json_t *metric = json_array_get(json_object_get(record, "metrics"), i);
    const json_t *how = json_array_get(json_object_get(json_object_get(record, "protocol"), "metrics"), i);
    const char *name = json_string_value(json_object_get(metric, "name"));
    const char *metric_name = json_string_value(json_object_get(how, "metric"));
    if (!name || !metric_name)
        return error_set(e, ERROR_INPUT, "metrics[%zu]: has no name, or protocol.metrics has none", i);
    struct score *to = &s->scores[s->n_scores];
    char *base = memory_bytes(metric_name, strcspn(metric_name, ","), e); /* what follows is a filter pipeline's name */
    int status = base ? measure_open(&to->measure, base, kind, e) : ERROR_IO;
    free(base);
    if (status) return status;
    s->n_scores++;
    if (!(to->name = memory_string(name, e))) return ERROR_IO;
    return set_options(&to->measure, json_object_get(how, "options"), e);
}

/* Statistics go by the names of metrics. */
static int check_names(const struct finished_suite *s, struct error *e)
{
    struct table seen = {0};
    int status = 0;
    for (size_t k = 0; k < s->n_scores && !status; k++) {
        const char *name = s->scores[k].name;
        bool twice;
        status = table_add(&seen, name, strlen(name), 0, &twice, e);
        if (!status && twice)
            status = error_set(e, ERROR_INPUT, "metrics[%zu]: another is called \"%.60s\" too", k, name);
    }
    table_free(&seen);
    return status;
}

static int take_kind(const json_t *record, enum outcome_kind *kind, struct error *e)
{
    const char *name = json_string_value(json_object_get(record, "output_type"));
    for (int k = OUTCOME_CHOICE; name && k <= OUTCOME_GENERATION; k++)
        if (strcmp(name, outcome_kind_name(*kind = (enum outcome_kind)k)) == 0) return 0;
    return error_set(e, ERROR_INPUT, "output_type: \"%.60s\" is none", name ? name : "");
}

/* --- the statistics of its items --- */

static int take_statistics(struct finished_suite *s, const json_t *line, size_t at, struct error *e)
{
    const json_t *statistics = json_object_get(line, "statistics");
    if (!json_is_object(statistics))
        return error_set(e, ERROR_INPUT, "statistics: is missing; a run of this version of kerf has them");
    for (size_t k = 0; k < s->n_scores; k++) {
        const struct score *x = &s->scores[k];
        const size_t width = x->measure.metric->width;
        const json_t *list = json_object_get(statistics, x->name);
        if (!json_is_array(list) || json_array_size(list) > width)
            return error_set(e, ERROR_INPUT, "statistics.%s: must be a list of at most %zu numbers", x->name, width);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *v = json_array_get(list, i);
            if (!json_is_number(v)) return error_set(e, ERROR_INPUT, "statistics.%s[%zu]: is no number", x->name, i);
            s->stats[k][at * width + i] = json_number_value(v);
        }
    }
    return 0;
}

static int take_line(struct finished_suite *s, const struct lines *l, struct error *e)
{
    if (l->number > s->n) return error_set(e, ERROR_INPUT, "the run has %zu items", s->n);
    json_t *line = json_read_line(l->text, l->length, e);
    if (!line) return (int)e->code;
    int status = take_statistics(s, line, l->number - 1, e);
    json_decref(line);
    return status;
}

static int read_samples(struct finished_suite *s, const char *path, struct error *e)
{
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    struct lines l;
    lines_open(&l, &(struct reader_source){.path = path, .data = (const char *)f.data, .size = f.size});
    l.most = SIZE_MAX; /* a document that is a file is a line here */
    while (lines_next(&l, e)) lines_end(&l, take_line(s, &l, e), e);
    status = l.status;
    if (!status && l.number != s->n)
        status = error_set(e, ERROR_INPUT, "%s: has %zu items, its run %zu", path, l.number, s->n);
    file_unmap(&f);
    return status;
}

/* What a run says of its metrics must be what its items say; other builds may differ in the last digits. */
static int check_values(const struct finished_suite *s, const json_t *record, const char *path, struct error *e)
{
    for (size_t k = 0; k < s->n_scores; k++) {
        const json_t *said = json_object_get(json_array_get(json_object_get(record, "metrics"), k), "value");
        const double told = json_number_value(said), found = measure_value(&s->scores[k].measure, s->stats[k], s->n);
        const bool same = json_is_null(said) ? !isfinite(found) : fabs(told - found) <= 1e-12 + 1e-9 * fabs(found);
        if (!json_is_null(said) && !json_is_number(said))
            return error_set(e, ERROR_INPUT, "metrics[%zu]: value: must be a number or null", k);
        if (!same)
            return error_set(e, ERROR_INPUT, "metrics[%zu]: %s is %.9g, the items of %s give %.9g: run it again", k,
                             s->scores[k].name, json_is_null(said) ? (double)NAN : told, path, found);
    }
    return 0;
}

/* The shortest line of an item: {"statistics":{"acc":[],"f1":[]}}. */
static size_t least_line(const struct finished_suite *s)
{
    size_t n = strlen("{\"statistics\":{}}\n") - 1; /* a comma less than there are metrics */
    for (size_t k = 0; k < s->n_scores; k++) n += strlen("\"\":[],") + strlen(s->scores[k].name);
    return n;
}

/* Room is made for no more items than the samples file can hold, whose last newline may be missing. */
static int make_room(struct finished_suite *s, const char *path, struct error *e)
{
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    const size_t size = f.size;
    file_unmap(&f);
    if (s->n > (size + 1) / least_line(s))
        return error_set(e, ERROR_INPUT, "%s: has fewer than the %zu items of its run", path, s->n);
    s->stats = memory_new(s->n_scores, sizeof *s->stats, "statistics", e);
    if (!s->stats) return ERROR_IO;
    for (size_t k = 0; k < s->n_scores; k++) {
        s->stats[k] = memory_new(s->n, s->scores[k].measure.metric->width * sizeof **s->stats, "statistics", e);
        if (!s->stats[k]) return ERROR_IO;
    }
    return 0;
}

static int read_suite(struct finished_suite *s, const json_t *record, const char *folder, struct error *e)
{
    char file[96];
    enum outcome_kind kind;
    const char *name = json_string_value(json_object_get(record, "name"));
    const json_t *items = json_object_get(record, "items");
    const size_t n = json_array_size(json_object_get(record, "metrics"));
    if (!name || !file_name_fits(name)) return error_set(e, ERROR_INPUT, "name: is no suite's name");
    if (!json_is_integer(items) || json_integer_value(items) < 1)
        return error_set(e, ERROR_INPUT, "items: must be a number from 1 on");
    s->n = (size_t)json_integer_value(items);
    int status = take_kind(record, &kind, e);
    if (!status && !(s->scores = memory_new(n, sizeof *s->scores, "metrics", e))) status = ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) status = take_score(s, record, i, kind, e);
    if (!status) status = check_names(s, e);
    if (status) return status;
    snprintf(file, sizeof file, "samples_%s.jsonl", name);
    char *path = path_join(folder, file, e);
    if (!path) return ERROR_IO;
    status = make_room(s, path, e);
    if (!status) status = read_samples(s, path, e);
    if (!status) status = check_values(s, record, path, e);
    free(path);
    return status;
}

/* Samples files go by the names of suites: one file is not read for many. */
static int check_suites(const json_t *suites, const char *path, struct error *e)
{
    struct table seen = {0};
    int status = 0;
    size_t i;
    const json_t *record;
    json_array_foreach(suites, i, record)
    {
        const char *name = json_text_of(record, "name");
        bool twice = false;
        if (!status) status = table_add(&seen, name, strlen(name), 0, &twice, e);
        if (!status && twice)
            status = error_set(e, ERROR_INPUT, "%s: suites[%zu]: another is called \"%.60s\" too", path, i, name);
    }
    table_free(&seen);
    return status;
}

static int read_suites(struct finished *f, const char *path, const char *folder, struct error *e)
{
    const json_t *suites = json_object_get(f->run, "suites");
    const size_t n = json_array_size(suites);
    const char *schema = json_string_value(json_object_get(f->run, "schema"));
    if (!schema || strcmp(schema, "kerf-run-1"))
        return error_set(e, ERROR_INPUT, "%s: schema: must be kerf-run-1", path);
    if (!n || !json_is_object(json_object_get(f->run, "subject")))
        return error_set(e, ERROR_INPUT, "%s: has no subject or no suites", path);
    f->suites = memory_new(n, sizeof *f->suites, "suites", e);
    f->measured = memory_new(n, sizeof *f->measured, "suites", e);
    if (!f->suites || !f->measured) return ERROR_IO;
    int status = check_suites(suites, path, e);
    if (status) return status;
    for (size_t i = 0; i < n; i++) {
        struct finished_suite *s = &f->suites[f->n_suites++];
        const json_t *record = json_array_get(suites, i);
        status = read_suite(s, record, folder, e);
        if (status) return error_prefix(e, "%s: suites[%zu]", path, i);
        f->measured[i] = (struct measured){record, s->scores, s->n_scores, s->stats, s->n};
    }
    f->contender = (struct contender){f->run, f->measured, f->n_suites};
    return 0;
}

int finished_read(struct finished *f, const char *folder, struct error *e)
{
    *f = (struct finished){0};
    char *path = path_join(folder, "run.json", e);
    if (!path) return ERROR_IO;
    f->run = json_read_file(path, e);
    int status = f->run ? read_suites(f, path, folder, e) : (int)e->code;
    free(path);
    if (status) finished_free(f);
    return status;
}

void finished_free(struct finished *f)
{
    for (size_t i = 0; i < f->n_suites; i++) {
        struct finished_suite *s = &f->suites[i];
        for (size_t k = 0; k < s->n_scores; k++) {
            if (s->stats) free(s->stats[k]);
            measure_close(&s->scores[k].measure);
            free(s->scores[k].name);
        }
        free(s->stats);
        free(s->scores);
    }
    free(f->suites);
    free(f->measured);
    json_decref(f->run);
    *f = (struct finished){0};
}
