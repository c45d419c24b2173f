/* A profile as JSON: docs/profiles.md says what the fields are. */
#include "cli/profile.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 512 };

/* Places that are one kernel: the same part with the same weights and shape, in any layer. */
struct group {
    enum phase phase;
    int part;
    char weights[NAMES], shape[NAMES];
    size_t *places, n;
    struct profile_figures figures;
};

struct recording {
    const struct profiling *x;
    const struct profile *p;
    const struct profiled *what;
    struct group *groups;
    size_t n;
    bool failed;
};

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static void put(struct recording *r, json_t *object, const char *key, json_t *value)
{
    if (!object || json_object_set_new(object, key, value)) r->failed = true;
}

static void add(struct recording *r, json_t *array, json_t *value)
{
    if (!array || json_array_append_new(array, value)) r->failed = true;
}

/* --- counters and values --- */

static json_t *counters_record(struct recording *r)
{
    static const char *const scopes[] = {"threads", "process", "machine"};
    json_t *all = json_array();
    for (size_t i = 0; i < counters_count(r->x->counters); i++) {
        const struct counter *c = counters_at(r->x->counters, i);
        json_t *one = json_pack("{s:s, s:s, s:s}", "name", c->name, "what", c->what, "unit", c->unit);
        put(r, one, "source", c->source[0] ? json_text(c->source, strlen(c->source)) : json_null());
        put(r, one, "scope", json_string(scopes[c->scope]));
        if (c->reason[0]) put(r, one, "reason", json_text(c->reason, strlen(c->reason)));
        add(r, all, one);
    }
    return all;
}

/* Of a phase (places NULL), or of places together. */
static struct profile_value value_of(const struct profile *p, enum phase phase, const struct group *g, size_t counter,
                                     int thread)
{
    return g ? profile_pieces_value(p, g->places, g->n, counter, thread)
             : profile_phase_value(p, phase, counter, thread);
}

static json_t *values_record(struct recording *r, enum phase phase, const struct group *g)
{
    json_t *all = json_object();
    for (size_t i = 0; i < counters_count(r->x->counters); i++) {
        const struct counter *c = counters_at(r->x->counters, i);
        const bool of_pieces = c->kind == COUNTER_HARDWARE || strcmp(c->unit, "ns") == 0;
        if (c->reason[0] || (g && !of_pieces)) continue;
        const struct profile_value sum = value_of(r->p, phase, g, i, -1);
        json_t *one = json_pack("{s:o, s:f}", "value", number(sum.value), "share", sum.share);
        if (c->scope == COUNTER_THREADS) {
            json_t *threads = json_array();
            for (int k = 0; k < counters_threads(r->x->counters); k++)
                add(r, threads, number(value_of(r->p, phase, g, i, k).value));
            put(r, one, "threads", threads);
        }
        put(r, all, c->name, one);
    }
    return all;
}

static void put_figures(struct recording *r, json_t *one, struct profile_figures f)
{
    put(r, one, "times", json_integer(f.times));
    put(r, one, "seconds", json_real(f.seconds));
    put(r, one, "flop", json_real(f.flop));
    put(r, one, "bytes", json_real(f.bytes));
}

static json_t *phases_record(struct recording *r)
{
    json_t *all = json_array();
    for (int i = 0; i < PHASES; i++) {
        const struct profile_figures f = profile_phase(r->p, (enum phase)i);
        if (!(f.seconds > 0)) continue;
        json_t *one = json_pack("{s:s}", "phase", phase_name((enum phase)i));
        put_figures(r, one, f);
        put(r, one, "values", values_record(r, (enum phase)i, NULL));
        add(r, all, one);
    }
    return all;
}

/* --- groups --- */

static int gather(struct recording *r, struct error *e)
{
    const size_t places = profile_places(r->p);
    r->groups = memory_new(places, sizeof *r->groups, "a profile", e);
    if (!r->groups) return ERROR_IO;
    for (size_t i = 0; i < places; i++) {
        const struct profile_place at = profile_place_at(r->p, i);
        struct group g = {.phase = at.phase, .part = at.part};
        model_part_matrices(r->what->m, at.layer, (enum pass_part)at.part, g.weights, sizeof g.weights, g.shape,
                            sizeof g.shape);
        size_t k = 0;
        for (; k < r->n; k++) {
            const struct group *o = &r->groups[k];
            if (o->phase == g.phase && o->part == g.part && !strcmp(o->weights, g.weights) &&
                !strcmp(o->shape, g.shape))
                break;
        }
        if (k == r->n) {
            g.places = memory_new(places, sizeof *g.places, "a profile", e);
            if (!g.places) return ERROR_IO;
            r->groups[r->n++] = g;
        }
        struct group *o = &r->groups[k];
        const struct profile_figures f = profile_piece(r->p, i);
        o->places[o->n++] = i;
        o->figures.seconds += f.seconds;
        o->figures.times += f.times;
        o->figures.flop += f.flop;
        o->figures.bytes += f.bytes;
    }
    return 0;
}

static bool is_floats(const char *weights)
{
    return !*weights || !strcmp(weights, "f32") || !strcmp(weights, "f16") || !strcmp(weights, "bf16");
}

/* The roofline (Williams, Waterman, Patterson 2009): what a kernel of this intensity can reach is the lower of the peak
 * of its instruction and of what memory brings. */
static json_t *limit_record(struct recording *r, const struct group *g)
{
    const struct machine_limits *limits = r->what->limits;
    const struct profile_figures *f = &g->figures;
    if (!limits || !(f->flop > 0) || !(f->seconds > 0)) return json_null();
    const enum machine_kind kind = r->what->fast && !is_floats(g->weights) ? MACHINE_INT8 : MACHINE_F32;
    const struct machine_limit *peak = machine_peak(limits, kind, kernels_get()->name), *read = &limits->read;
    const double intensity = f->flop / f->bytes, by_memory = intensity * read->all;
    const bool memory = isfinite(by_memory) && !(peak->all <= by_memory);
    const struct machine_limit *l = memory ? read : peak;
    if (!isfinite(l->all)) return json_null();
    const double reached = 1e-9 * (memory ? f->bytes : f->flop) / f->seconds;
    return json_pack("{s:s, s:s, s:f, s:f}", "name", l->name, "unit", l->unit, "value", l->all, "share",
                     reached / l->all);
}

static json_t *group_record(struct recording *r, const struct group *g)
{
    const struct profile_figures *f = &g->figures;
    const double flop = f->flop > 0 ? f->flop : NAN, bytes = f->bytes > 0 ? f->bytes : NAN;
    json_t *one = json_pack("{s:s, s:s, s:s, s:s}", "phase", phase_name(g->phase), "part",
                            part_name((enum pass_part)g->part), "weights", g->weights, "shape", g->shape);
    put(r, one, "layers", json_integer((json_int_t)g->n));
    put_figures(r, one, *f);
    put(r, one, "flop_per_byte", number(flop / bytes));
    put(r, one, "gflop_per_second", number(1e-9 * flop / f->seconds));
    put(r, one, "gb_per_second", number(1e-9 * bytes / f->seconds));
    put(r, one, "limit", limit_record(r, g));
    put(r, one, "values", values_record(r, g->phase, g));
    return one;
}

static json_t *groups_record(struct recording *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->n; i++) add(r, all, group_record(r, &r->groups[i]));
    return all;
}

/* --- layers --- */

static int by_layer(const void *a, const void *b)
{
    const struct profile_place *x = a, *y = b;
    if (x->phase != y->phase) return x->phase < y->phase ? -1 : 1;
    return x->layer != y->layer ? x->layer < y->layer ? -1 : 1 : 0;
}

static json_t *parts_record(struct recording *r, struct profile_place of)
{
    json_t *parts = json_object();
    for (size_t i = 0; i < profile_places(r->p); i++) {
        const struct profile_place at = profile_place_at(r->p, i);
        if (by_layer(&at, &of)) continue;
        put(r, parts, part_name((enum pass_part)at.part), json_real(profile_piece(r->p, i).seconds));
    }
    return parts;
}

static json_t *layers_record(struct recording *r, struct error *e)
{
    const size_t n = profile_places(r->p);
    json_t *all = json_array();
    struct profile_place *order = memory_new(n, sizeof *order, "layers", e);
    r->failed |= !order;
    for (size_t i = 0; order && i < n; i++) order[i] = profile_place_at(r->p, i);
    if (order) qsort(order, n, sizeof *order, by_layer);
    for (size_t i = 0; order && i < n; i++) {
        if (i && !by_layer(&order[i - 1], &order[i])) continue;
        json_t *one = json_pack("{s:s, s:I}", "phase", phase_name(order[i].phase), "layer", (json_int_t)order[i].layer);
        put(r, one, "parts", parts_record(r, order[i]));
        add(r, all, one);
    }
    free(order);
    return all;
}

/* --- the machine, the tokens --- */

static void add_peak(struct recording *r, json_t *peaks, const struct machine_limit *l, const char *kind)
{
    if (!isfinite(l->all)) return;
    add(r, peaks, json_pack("{s:s, s:s, s:s, s:f}", "name", l->name, "kind", kind, "unit", l->unit, "value", l->all));
}

static void put_roofline(struct recording *r, json_t *record)
{
    const struct machine_limits *m = r->what->limits;
    if (!m) {
        put(r, record, "roofline", json_null());
        put(r, record, "roofline_reason", json_string(r->what->no_limits));
        return;
    }
    const char *isa = kernels_get()->name;
    json_t *all = json_object(), *peaks = json_array();
    put(r, all, "read_gb_per_second", number(m->read.all));
    add_peak(r, peaks, machine_peak(m, MACHINE_F32, isa), "float32");
    add_peak(r, peaks, machine_peak(m, MACHINE_INT8, isa), "int8");
    put(r, all, "peaks", peaks);
    if (isfinite(r->what->limits_seconds)) put(r, all, "seconds", json_real(r->what->limits_seconds));
    put(r, record, "roofline", all);
}

static json_t *per_token_record(struct recording *r)
{
    static const char *const names[] = {"instructions", "l1d_misses", "l2_misses", "l3_misses"};
    const struct profiled *what = r->what;
    const double tokens = what->resumed || !what->tokens ? NAN : (double)what->tokens;
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(r, all, names[i], number(profiling_value(r->x, names[i], PROFILING_PASSES) / tokens));
    put(r, all, "energy_joules", number(profiling_joules(r->x, PROFILING_PASSES) / tokens));
    put(r, all, "task_clock_seconds", number(1e-9 * profiling_value(r->x, "task_clock", PROFILING_PASSES) / tokens));
    put(r, all, "bytes", number(profiling_passes(r->x, false).bytes / tokens));
    return all;
}

static json_t *whole(struct recording *r, struct error *e)
{
    const double seconds = profile_seconds(r->p);
    const char *note = counters_why_no_hardware(r->x->counters);
    json_t *all = json_pack("{s:f, s:f, s:i}", "seconds", seconds, "overhead", profile_overhead(r->p) / seconds,
                            "threads", counters_threads(r->x->counters));
    put(r, all, "tokens", r->what->resumed ? json_null() : json_integer(r->what->tokens));
    if (r->what->resumed) put(r, all, "resumed", json_true());
    if (r->what->beside > 0) put(r, all, "beside", json_real(r->what->beside));
    if (*note) put(r, all, "note", json_text(note, strlen(note)));
    put(r, all, "counters", counters_record(r));
    put(r, all, "phases", phases_record(r));
    put(r, all, "groups", groups_record(r));
    put(r, all, "layers", layers_record(r, e));
    put_roofline(r, all);
    put(r, all, "per_token", per_token_record(r));
    return all;
}

json_t *profiling_record(const struct profiling *x, const struct profiled *what, struct error *e)
{
    struct recording r = {.x = x, .p = x->profile, .what = what, .failed = profile_failed(x->profile)};
    json_t *record = gather(&r, e) ? NULL : whole(&r, e);
    for (size_t i = 0; i < r.n; i++) free(r.groups[i].places);
    free(r.groups);
    if (record && !r.failed) return record;
    json_decref(record);
    error_set(e, ERROR_IO, "out of memory for a profile");
    return NULL;
}
