/* `kerf kernels --json`; docs/kernels.md says what the fields are. */
#include "cli/kernels/results.h"

#include <math.h>
#include <string.h>

/* Takes the value also where it fails. */
static void put(json_t *object, const char *key, json_t *value, bool *failed)
{
    *failed |= !object || json_object_set_new(object, key, value);
}

static void append(json_t *list, json_t *value, bool *failed)
{
    *failed |= !list || json_array_append_new(list, value);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *json_case(const struct kernel_case *c, const char *isa)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "kernel", c->kernel, "variant", c->variant, "shape", c->shape, "isa", isa);
}

static json_t *json_results(const struct kernel_results *r, bool *failed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct kernel_result *x = &r->all[i];
        const struct kernel_case *c = &r->plan->picks[x->pick].its;
        json_t *one = json_case(c, r->plan->isas[x->isa]->name);
        put(one, "content", json_string(c->content), failed);
        put(one, "right", json_boolean(!x->wrong), failed);
        put(one, "error", number(x->error), failed);
        if (x->words) put(one, "reason", json_string(x->words), failed);
        append(list, one, failed);
    }
    return list;
}

static json_t *json_costs(const struct costs *c, bool *failed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n; i++) {
        const struct cost_row *row = &c->rows[i];
        json_t *one = json_case(&row->its, row->isa);
        put(one, "counter", json_string(row->counter), failed);
        put(one, "value", number(row->value), failed);
        put(one, "low", number(row->low), failed);
        put(one, "high", number(row->high), failed);
        put(one, "unit", json_string(cost_unit(row->counter)), failed);
        put(one, "work", number(row->its.work), failed);
        append(list, one, failed);
    }
    return list;
}

static json_t *json_changes(const struct cost_changes *c, bool *failed)
{
    static const char *const verdicts[] = {[COST_SAME] = "same",
                                           [COST_REGRESSED] = "more",
                                           [COST_GAINED] = "less",
                                           [COST_NEW] = "new",
                                           [COST_GONE] = "gone"};
    json_t *list = json_array();
    for (size_t i = 0; i < c->n; i++) {
        const struct cost_change *x = &c->all[i];
        const struct cost_row *row = x->now ? x->now : x->before;
        json_t *one = json_case(&row->its, row->isa);
        put(one, "verdict", json_string(verdicts[x->verdict]), failed);
        put(one, "before", number(x->before ? x->before->value : NAN), failed);
        put(one, "now", number(x->now ? x->now->value : NAN), failed);
        put(one, "ratio", number(x->ratio), failed);
        put(one, "ratio_low", number(x->low), failed);
        put(one, "ratio_high", number(x->high), failed);
        append(list, one, failed);
    }
    return list;
}

int kernels_tell_json(const struct kernel_story *s, struct error *e)
{
    json_t *record = json_pack("{s:s}", "schema", "kerf-kernels-1");
    bool failed = !record || !record_build(record);
    put(record, "seconds", number(s->seconds), &failed);
    if (s->results) {
        put(record, "seed", json_integer((json_int_t)s->results->plan->seed), &failed);
        put(record, "wrong", json_integer((json_int_t)s->results->wrong), &failed);
        put(record, "results", json_results(s->results, &failed), &failed);
    }
    put(record, "counter", *s->counter ? json_string(s->counter) : json_null(), &failed);
    put(record, "costs", json_costs(s->costs, &failed), &failed);
    if (s->changes) {
        put(record, "baseline",
            json_pack("{s:s, s:s, s:s, s:s}", "from", s->against, "kerf", s->baseline->kerf, "compiler",
                      s->baseline->compiler, "cpu", s->baseline->cpu),
            &failed);
        put(record, "tolerance_percent", number(s->changes->tolerance), &failed);
        put(record, "regressed", json_integer((json_int_t)s->changes->regressed), &failed);
        put(record, "changes", json_changes(s->changes, &failed), &failed);
    }
    int status = failed ? error_set(e, ERROR_IO, "out of memory for a report") : json_print(record, 9, e);
    json_decref(record);
    return status;
}
