/* JSON of kerf bench model; docs/records.md says what the fields are. */
#include "cli/bench_model.h"
#include "engine/base/json.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Null where it is not known; NULL where there is no memory, as jansson has it.
 */
static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* Takes the value also where it fails. */
static void put(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (!object || json_object_set_new(object, key, value)) *failed = true;
}

static void put_reason(json_t *object, double x, const char *reason, bool *failed)
{
    if (!isfinite(x) && reason) put(object, "reason", json_text(reason, strlen(reason)), failed);
}

static json_t *json_spread(struct bench_spread s, const double *samples, int64_t n, bool *failed)
{
    json_t *all = json_object(), *list = json_array();
    for (int64_t i = 0; i < n; i++) *failed |= json_array_append_new(list, json_real(samples[i])) != 0;
    put(all, "mean", json_real(s.mean), failed);
    put(all, "sd", number(s.deviation), failed);
    put_reason(all, s.deviation, "one repetition has no standard deviation", failed);
    if (samples)
        put(all, "samples", list, failed);
    else
        json_decref(list);
    return all;
}

/* --- parts of a result --- */

static json_t *json_limit(const struct bench_figures *f, bool *failed)
{
    if (!f->limit) return json_pack("{s:n, s:n, s:s}", "value", "share", "reason", "--no-machine");
    json_t *all = json_pack("{s:s, s:s, s:s}", "name", f->limit->name, "what", f->limit->what, "unit", f->limit->unit);
    put(all, "value", number(f->limit->all), failed);
    put(all, "reached", number(f->reached), failed);
    put(all, "share", number(f->share), failed);
    put_reason(all, f->share, f->limit->reason, failed);
    return all;
}

static json_t *json_memory(const struct contender *c, size_t test, const struct bench_figures *f, bool *failed)
{
    if (!isfinite(f->peak)) return json_pack("{s:n, s:n, s:s}", "peak_bytes", "allowed_bytes", "reason", "--no-memory");
    json_t *all = json_object();
    put(all, "peak_bytes", json_integer((json_int_t)f->peak), failed);
    put(all, "allowed_bytes", json_integer((json_int_t)f->allowed), failed);
    put(all, "within", json_boolean(f->peak <= f->allowed), failed);
    put(all, "test_peak_bytes", json_integer((json_int_t)c->cells[test].peak), failed);
    put(all, "load_peak_bytes", json_integer((json_int_t)c->load_peak), failed);
    put(all, "before_bytes", json_integer((json_int_t)c->before), failed);
    put(all, "file_bytes", json_integer((json_int_t)c->file), failed);
    put(all, "cache_bytes", json_integer((json_int_t)f->cache), failed);
    return all;
}

static json_t *json_parts(const struct contender *c, size_t test, const struct bench_figures *f, bool *failed)
{
    json_t *all = json_object();
    for (size_t i = 0; i < BENCH_PARTS; i++) {
        char key[BENCH_KEY];
        bench_part_key(i, key);
        put(all, key, number(bench_part_share(c, test, f, i)), failed);
    }
    return all;
}

static json_t *json_peer(const struct bench_figures *f, bool *failed)
{
    const struct bench_peer *p = &f->peer;
    json_t *all = json_object();
    put(all, "peer", p->name ? json_string(p->name) : json_null(), failed);
    put(all, "tokens_per_second", p->name ? json_real(p->speed) : json_null(), failed);
    put(all, "scaled", number(p->scaled), failed);
    put(all, "ratio", number(p->ratio), failed);
    put(all, "ratio_by_read", number(p->by_read), failed);
    put_reason(all, p->ratio, p->reason, failed);
    return all;
}

/* --- a result --- */

static void put_subject(json_t *all, const struct contender *c, bool *failed)
{
    const struct facts *f = model_facts(c->m);
    put(all, "model", json_text(c->model, strlen(c->model)), failed);
    put(all, "path", json_text(f->path, strlen(f->path)), failed);
    put(all, "sha256", json_string(f->hash), failed);
    put(all, "architecture", json_string(f->architecture), failed);
    put(all, "backend", json_string(f->backend), failed);
    put(all, "weights", json_string(c->work.weights), failed);
    put(all, "math", json_string(bench_math(c)), failed);
    put(all, "arithmetic", json_string(f->math), failed);
    put(all, "model_size", json_integer((json_int_t)f->weight_bytes), failed);
    put(all, "model_n_params", json_integer((json_int_t)f->parameters), failed);
}

static void put_test(json_t *all, const struct model_bench *b, const struct bench_test *t, bool *failed)
{
    put(all, "test", json_string(t->name), failed);
    put(all, "n_prompt", json_integer(t->kind == BENCH_PP ? t->tokens : 0), failed);
    put(all, "n_gen", json_integer(t->kind == BENCH_TG ? t->tokens : 0), failed);
    put(all, "n_score", json_integer(t->kind == BENCH_PPL ? t->tokens : 0), failed);
    put(all, "n_depth", json_integer(t->depth), failed);
    put(all, "n_batch", json_integer(t->kind == BENCH_TG ? 1 : b->how.batch), failed);
    put(all, "n_threads", json_integer(omp_get_max_threads()), failed);
}

static json_t *json_result(const struct model_bench *b, const struct contender *c, size_t test, bool *failed)
{
    const struct bench_test *t = &b->tests[test];
    const struct bench_figures f = bench_figures_of(b, c, test);
    json_t *all = json_object();
    put_subject(all, c, failed);
    put_test(all, b, t, failed);
    put(all, "tokens_per_second", json_spread(f.speed, NULL, 0, failed), failed);
    put(all, "seconds", json_spread(f.seconds, c->cells[test].seconds, b->how.repeat, failed), failed);
    put(all, "flop", number(f.flop), failed);
    put(all, "gflop_per_second", number(f.gflops), failed);
    put(all, "bytes_per_token", number(f.bytes), failed);
    put(all, "tokens_per_sgemm_gflop", number(f.per_sgemm), failed);
    put(all, "limit", json_limit(&f, failed), failed);
    put(all, "memory", json_memory(c, test, &f, failed), failed);
    put(all, "parts", json_parts(c, test, &f, failed), failed);
    if (b->peers.file) put(all, "against", json_peer(&f, failed), failed);
    if (c->cells[test].profile) put(all, "profile", json_incref(c->cells[test].profile), failed);
    return all;
}

/* --- the machine --- */

static json_t *json_meter(const struct machine_limit *l, bool *failed)
{
    json_t *all = json_pack("{s:s, s:s, s:s}", "limit", l->name, "what", l->what, "unit", l->unit);
    put(all, "one", number(l->one), failed);
    put(all, "all", number(l->all), failed);
    put(all, "mean", number(l->on_all.mean), failed);
    put(all, "sd", number(l->on_all.sd), failed);
    put_reason(all, l->all, l->reason, failed);
    return all;
}

static json_t *json_limits(const struct machine_limits *m, bool *failed)
{
    json_t *all = json_pack("{s:s, s:i}", "blas", m->blas, "threads", m->threads), *meters = json_array();
    for (size_t i = 0; i < MACHINE_METERS; i++)
        *failed |= json_array_append_new(meters, json_meter(&m->all[i], failed)) != 0;
    put(all, "meters", meters, failed);
    return all;
}

static json_t *json_peers(const struct bench_peers *p, bool *failed)
{
    json_t *all = json_object();
    put(all, "file", json_text(p->path, strlen(p->path)), failed);
    put(all, "sgemm_gflops", json_real(p->sgemm), failed);
    put(all, "read_gb_per_second", json_real(p->read), failed);
    return all;
}

int bench_print_json(const struct model_bench *b, struct error *e)
{
    json_t *record = json_pack("{s:s, s:s}", "schema", "kerf-bench-1", "benchmark", "model"), *list = json_array();
    bool failed = !record || !record_build(record);
    put(record, "repeat", json_integer(b->how.repeat), &failed);
    put(record, "seed", json_integer(b->how.seed), &failed);
    if (b->measures_machine) put(record, "limits", json_limits(&b->limits, &failed), &failed);
    if (b->peers.file) put(record, "against", json_peers(&b->peers, &failed), &failed);
    for (size_t i = 0; i < b->n; i++)
        for (size_t t = 0; t < b->n_tests; t++)
            failed |= json_array_append_new(list, json_result(b, &b->all[i], t, &failed)) != 0;
    put(record, "results", list, &failed);
    int status = failed ? error_set(e, ERROR_IO, "out of memory for a report") : json_print(record, 9, e);
    json_decref(record);
    return status;
}
