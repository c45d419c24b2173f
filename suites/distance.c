#include "suites/distance.h"
#include "engine/base/file.h"
#include "engine/formats/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool distance_applies(const struct suite *s) { return s->kind == OUTCOME_ROLLING; }

static json_t *baseline_record(const struct distance_options *o)
{
    const struct facts *f = model_facts(o->baseline);
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s}", "name", json_text(o->name, strlen(o->name)), "sha256", f->hash,
                     "backend", f->backend, "math", f->math, "calibration_sha256", f->calibration.hash,
                     "imatrix_sha256", f->imatrix_hash);
}

/* --- what was measured before --- */

/* Everything that the divergence depends on, as text; to be freed. */
static char *key_of(const json_t *parts, const json_t *baseline, const struct distance_options *o, char hash[HASH_HEX])
{
    json_t *key = json_pack("{s:O, s:O, s:I, s:I, s:I}", "candidate", parts, "baseline", baseline, "worst",
                            (json_int_t)o->walk.worst, "resamples", (json_int_t)o->resampling.resamples, "seed",
                            (json_int_t)o->resampling.seed);
    char *text = key ? json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(key);
    if (text) hash_hex(text, strlen(text), hash);
    return text;
}

static char *path_of(const struct distance_options *o, const struct suite *s, const char *hash, struct error *e)
{
    char name[128];
    snprintf(name, sizeof name, "journal/%s-%.16s.divergence.json", s->name, hash);
    return o->folder ? path_join(o->folder, name, e) : NULL;
}

static bool all_done(const struct requests *q)
{
    for (size_t i = 0; i < q->n_groups; i++)
        if (!q->groups[i].done) return false;
    return true;
}

/* NULL where there is none, or none of this key; a file that cannot be read counts for nothing. */
static json_t *remembered(const char *path, const char *key)
{
    struct error none = {0};
    json_t *file = path_exists(path) ? json_read_file(path, &none) : NULL;
    const char *theirs = json_string_value(json_object_get(file, "key"));
    json_t *found = theirs && strcmp(theirs, key) == 0 ? json_incref(json_object_get(file, "divergence")) : NULL;
    json_decref(file);
    return found;
}

static int remember(const char *path, const char *key, json_t *divergence, struct error *e)
{
    json_t *file = json_pack("{s:s, s:O}", "key", key, "divergence", divergence);
    const int status = file ? json_write_file(path, file, e) : error_set(e, ERROR_IO, "out of memory for a record");
    json_decref(file);
    return status;
}

/* --- the measurement --- */

static json_t *make_record(const struct walk *w, const struct divergences *d, const struct requests *q,
                           const struct model *m, const json_t *baseline)
{
    json_t *record = divergences_record(d);
    json_object_set(record, "baseline", (json_t *)(uintptr_t)baseline);
    json_object_set_new(record, "tokens", json_integer((json_int_t)w->tokens));
    json_object_set_new(record, "metrics", divergences_metrics(d));
    json_object_set_new(record, "worst", worst_record(&w->subjects[1], q, model_tokenizer(m)));
    json_object_set_new(record, "noise_floor", noise_floor_record(&w->floor));
    return record;
}

static int walk(json_t **out, double *beside, const struct model *m, const struct suite *s, struct requests *q,
                size_t n_items, const json_t *baseline, const struct distance_options *o, struct error *e)
{
    const struct model *both[] = {o->baseline, m};
    struct walk w;
    struct divergences d;
    int status = lockstep_walk(&w, both, 2, s, q, n_items, &o->walk, e);
    if (status) return status;
    status = divergences_measure(&d, &w, 1, &o->resampling, e);
    if (!status) {
        walk_results(&w, 1, q);
        *beside = w.subjects[0].seconds;
        for (size_t i = 0; i < q->n_groups; i++) q->groups[i].done = true;
        *out = make_record(&w, &d, q, m, baseline);
        if (!*out) status = error_set(e, ERROR_IO, "out of memory for a record");
    }
    walk_free(&w);
    return status;
}

int distance_measure(json_t **out, double *beside, const struct model *m, const struct suite *s, struct requests *q,
                     size_t n_items, const json_t *parts, const struct distance_options *o, struct error *e)
{
    char hash[HASH_HEX] = "";
    *out = NULL;
    *beside = 0;
    json_t *baseline = baseline_record(o);
    char *key = baseline ? key_of(parts, baseline, o, hash) : NULL;
    *e = (struct error){0};
    char *path = key ? path_of(o, s, hash, e) : NULL;
    int status = key ? (int)e->code : error_set(e, ERROR_IO, "out of memory for a record");
    if (!status && path && !o->fresh && all_done(q)) *out = remembered(path, key);
    if (!status && !*out) {
        status = walk(out, beside, m, s, q, n_items, baseline, o, e);
        if (!status && path) status = remember(path, key, *out, e);
    }
    json_decref(baseline);
    free(key);
    free(path);
    return status;
}
