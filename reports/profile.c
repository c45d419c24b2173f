#include "reports/profile.h"
#include "engine/base/memory.h"
#include "reports/fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The array under a key with as many zeroed elements of `size` bytes; NULL and 0 elements where something is wrong. */
static void *take_list(struct fields *s, const json_t *object, const char *key, size_t size, const json_t **list,
                       size_t *n)
{
    *list = fields_array(s, object, key);
    *n = 0;
    if (s->status) return NULL;
    void *all = memory_new(json_array_size(*list) + 1, size, "a profile", s->e);
    if (all)
        *n = json_array_size(*list);
    else
        s->status = ERROR_IO;
    return all;
}

/* --- counters --- */

static void check_value(struct fields *s, const json_t *values, const char *name)
{
    const size_t place = fields_enter(s, name);
    const json_t *v = json_object_get(values, name);
    if (!json_is_object(v)) fields_wrong(s, "", v, "an object");
    fields_amount(s, v, "value");
    if (fields_amount(s, v, "share") > 1) fields_wrong(s, "share", json_object_get(v, "share"), "one from 0 to 1");
    const json_t *threads = fields_maybe_typed(s, v, "threads", JSON_ARRAY, "an array or null");
    for (size_t i = 0; i < json_array_size(threads) && !s->status; i++) {
        const json_t *one = json_array_get(threads, i);
        if (!json_is_null(one) && !(json_number_value(one) >= 0 && json_is_number(one)))
            fields_wrong(s, "threads", threads, "one of numbers that are not negative, or null,");
    }
    fields_leave(s, place);
}

static const json_t *take_values(struct fields *s, const json_t *v)
{
    const json_t *values = fields_object(s, v, "values");
    const size_t place = fields_enter(s, "values");
    for (void *at = json_object_iter((json_t *)(uintptr_t)values); at && !s->status;
         at = json_object_iter_next((json_t *)(uintptr_t)values, at))
        check_value(s, values, json_object_iter_key(at));
    fields_leave(s, place);
    return values;
}

static void take_counters(struct fields *s, const json_t *profile, struct report_profile *p)
{
    const json_t *list;
    p->counters = take_list(s, profile, "counters", sizeof *p->counters, &list, &p->n_counters);
    for (size_t i = 0; i < p->n_counters && !s->status; i++) {
        const json_t *v = json_array_get(list, i);
        const size_t place = fields_enter_element(s, "counters", i);
        p->counters[i] = (struct report_counter){.name = fields_text(s, v, "name"),
                                                 .what = fields_text(s, v, "what"),
                                                 .unit = fields_text(s, v, "unit"),
                                                 .source = fields_maybe_text(s, v, "source", ""),
                                                 .scope = fields_text(s, v, "scope"),
                                                 .reason = fields_maybe_text(s, v, "reason", NULL)};
        fields_leave(s, place);
    }
}

/* --- where time goes --- */

static struct report_figures take_figures(struct fields *s, const json_t *v)
{
    return (struct report_figures){.seconds = fields_amount(s, v, "seconds"),
                                   .flop = fields_amount(s, v, "flop"),
                                   .bytes = fields_amount(s, v, "bytes"),
                                   .times = fields_count(s, v, "times"),
                                   .values = take_values(s, v)};
}

static void take_phases(struct fields *s, const json_t *profile, struct report_profile *p)
{
    const json_t *list;
    p->phases = take_list(s, profile, "phases", sizeof *p->phases, &list, &p->n_phases);
    for (size_t i = 0; i < p->n_phases && !s->status; i++) {
        const json_t *v = json_array_get(list, i);
        const size_t place = fields_enter_element(s, "phases", i);
        p->phases[i] = (struct report_phase){.phase = fields_text(s, v, "phase"), .figures = take_figures(s, v)};
        fields_leave(s, place);
    }
}

static struct report_limit take_limit(struct fields *s, const json_t *v)
{
    const json_t *limit = fields_maybe_typed(s, v, "limit", JSON_OBJECT, "an object or null");
    struct report_limit none = {.name = "", .unit = "", .value = NAN, .share = NAN};
    if (!limit) return none;
    const size_t place = fields_enter(s, "limit");
    const struct report_limit l = {.name = fields_text(s, limit, "name"),
                                   .unit = fields_text(s, limit, "unit"),
                                   .value = fields_amount(s, limit, "value"),
                                   .share = fields_amount(s, limit, "share")};
    fields_leave(s, place);
    return l;
}

static void take_groups(struct fields *s, const json_t *profile, struct report_profile *p)
{
    const json_t *list;
    p->groups = take_list(s, profile, "groups", sizeof *p->groups, &list, &p->n_groups);
    for (size_t i = 0; i < p->n_groups && !s->status; i++) {
        const json_t *v = json_array_get(list, i);
        const size_t place = fields_enter_element(s, "groups", i);
        p->groups[i] = (struct report_group){.phase = fields_text(s, v, "phase"),
                                             .part = fields_text(s, v, "part"),
                                             .weights = fields_text(s, v, "weights"),
                                             .shape = fields_text(s, v, "shape"),
                                             .layers = fields_count(s, v, "layers"),
                                             .figures = take_figures(s, v),
                                             .flop_per_byte = fields_amount(s, v, "flop_per_byte"),
                                             .gflop_per_second = fields_amount(s, v, "gflop_per_second"),
                                             .gb_per_second = fields_amount(s, v, "gb_per_second"),
                                             .limit = take_limit(s, v)};
        fields_leave(s, place);
    }
}

static void take_parts(struct fields *s, const json_t *parts, struct report_part *out)
{
    const size_t place = fields_enter(s, "parts");
    for (void *at = json_object_iter((json_t *)(uintptr_t)parts); at;
         at = json_object_iter_next((json_t *)(uintptr_t)parts, at)) {
        const char *part = json_object_iter_key(at);
        *out++ = (struct report_part){.part = part, .seconds = fields_amount(s, parts, part)};
    }
    fields_leave(s, place);
}

static void take_layers(struct fields *s, const json_t *profile, struct report_profile *p)
{
    const json_t *list;
    size_t n = 0;
    p->layers = take_list(s, profile, "layers", sizeof *p->layers, &list, &p->n_layers);
    for (size_t i = 0; i < p->n_layers && !s->status; i++) {
        const json_t *v = json_array_get(list, i), *layer = json_object_get(v, "layer");
        const size_t place = fields_enter_element(s, "layers", i);
        if (!json_is_integer(layer) || json_integer_value(layer) < -1)
            fields_wrong(s, "layer", layer, "a whole number from -1 on");
        p->layers[i] = (struct report_layer){.phase = fields_text(s, v, "phase"), .layer = json_integer_value(layer)};
        n += p->layers[i].n_parts = json_object_size(fields_object(s, v, "parts"));
        fields_leave(s, place);
    }
    if (!s->status && !(p->parts = memory_new(n + 1, sizeof *p->parts, "a profile", s->e))) s->status = ERROR_IO;
    struct report_part *next = p->parts;
    for (size_t i = 0; i < p->n_layers && !s->status; i++) {
        const size_t place = fields_enter_element(s, "layers", i);
        p->layers[i].parts = next;
        take_parts(s, json_object_get(json_array_get(list, i), "parts"), next);
        next += p->layers[i].n_parts;
        fields_leave(s, place);
    }
}

/* --- the machine, the tokens --- */

static void take_roofline(struct fields *s, const json_t *profile, struct report_profile *p)
{
    const json_t *roofline = fields_maybe_typed(s, profile, "roofline", JSON_OBJECT, "an object or null"), *list;
    p->read_gb_per_second = NAN;
    p->no_roofline = roofline ? NULL : fields_maybe_text(s, profile, "roofline_reason", "the machine was not measured");
    if (!roofline) return;
    const size_t place = fields_enter(s, "roofline");
    p->read_gb_per_second = fields_amount(s, roofline, "read_gb_per_second");
    p->peaks = take_list(s, roofline, "peaks", sizeof *p->peaks, &list, &p->n_peaks);
    for (size_t i = 0; i < p->n_peaks && !s->status; i++) {
        const json_t *v = json_array_get(list, i);
        const size_t element = fields_enter_element(s, "peaks", i);
        p->peaks[i] = (struct report_peak){.name = fields_text(s, v, "name"),
                                           .kind = fields_text(s, v, "kind"),
                                           .unit = fields_text(s, v, "unit"),
                                           .value = fields_amount(s, v, "value")};
        fields_leave(s, element);
    }
    fields_leave(s, place);
}

static void take_per_token(struct fields *s, const json_t *profile, struct report_profile *p)
{
    const json_t *v = fields_object(s, profile, "per_token");
    const size_t place = fields_enter(s, "per_token");
    p->per_token = (struct report_per_token){.instructions = fields_amount(s, v, "instructions"),
                                             .l1d_misses = fields_amount(s, v, "l1d_misses"),
                                             .l2_misses = fields_amount(s, v, "l2_misses"),
                                             .l3_misses = fields_amount(s, v, "l3_misses"),
                                             .energy_joules = fields_amount(s, v, "energy_joules"),
                                             .task_clock_seconds = fields_amount(s, v, "task_clock_seconds"),
                                             .bytes = fields_amount(s, v, "bytes")};
    fields_leave(s, place);
}

int report_profile_read(struct report_profile *p, const json_t *profile, const char *where, struct error *e)
{
    struct fields s = {.document = where, .e = e};
    *p = (struct report_profile){0};
    if (!json_is_object(profile)) return error_set(e, ERROR_INPUT, "%s: is no object; an object would be right", where);
    p->seconds = fields_amount(&s, profile, "seconds");
    p->overhead = fields_amount(&s, profile, "overhead");
    p->threads = fields_count(&s, profile, "threads");
    p->tokens = fields_count(&s, profile, "tokens");
    p->resumed = fields_maybe_bool(&s, profile, "resumed");
    p->beside = fields_maybe_number(&s, profile, "beside");
    p->note = fields_maybe_text(&s, profile, "note", NULL);
    take_counters(&s, profile, p);
    take_phases(&s, profile, p);
    take_groups(&s, profile, p);
    take_layers(&s, profile, p);
    take_roofline(&s, profile, p);
    take_per_token(&s, profile, p);
    if (s.status) report_profile_close(p);
    return s.status;
}

void report_profile_close(struct report_profile *p)
{
    free(p->counters);
    free(p->phases);
    free(p->groups);
    free(p->layers);
    free(p->parts);
    free(p->peaks);
    *p = (struct report_profile){0};
}

/* --- what is asked of it --- */

struct report_counted report_counted_in(const struct report_figures *f, const char *counter)
{
    const json_t *one = json_object_get(f->values, counter), *value = json_object_get(one, "value");
    if (!json_is_number(value)) return (struct report_counted){.value = NAN};
    return (struct report_counted){json_number_value(value), json_number_value(json_object_get(one, "share"))};
}

struct report_counted report_ipc(const struct report_figures *f)
{
    const struct report_counted i = report_counted_in(f, "instructions"), c = report_counted_in(f, "cycles");
    if (isnan(i.value) || !(c.value > 0)) return (struct report_counted){.value = NAN};
    return (struct report_counted){i.value / c.value, fmin(i.share, c.share)};
}

const struct report_counter *report_counter_find(const struct report_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_counters; i++)
        if (strcmp(p->counters[i].name, name) == 0) return &p->counters[i];
    return NULL;
}

double report_passes_share(const struct report_profile *p, const char *counter)
{
    double least = 1;
    for (size_t i = 0; i < p->n_phases; i++) {
        const char *phase = p->phases[i].phase;
        if (strcmp(phase, "prefill") != 0 && strcmp(phase, "decode") != 0) continue;
        const double share = report_counted_in(&p->phases[i].figures, counter).share;
        if (share > 0 && share < least) least = share;
    }
    return least;
}

static double least_of(const json_t *values, double least)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)values, name, v)
    {
        const double share = json_number_value(json_object_get(v, "share"));
        if (share > 0 && share < least) least = share;
    }
    return least;
}

double report_profile_least_share(const struct report_profile *p)
{
    double least = 1;
    for (size_t i = 0; i < p->n_phases; i++) least = least_of(p->phases[i].figures.values, least);
    for (size_t i = 0; i < p->n_groups; i++) least = least_of(p->groups[i].figures.values, least);
    return least;
}
