/* The goal: what other programs reach with a model of the same shape, on a machine whose limits are known. The file is
 * JSON:
 *
 *     {"limits": {"sgemm_gflops_2_threads": 390, "dram_read_gb_per_s_2_threads": 29},
 *      "pp512": {"q8_0": {"llama.cpp": 1509, "ik": 1711}},
 *      "tg32": {"q8_0": {"llama.cpp": 163}}}
 *
 * with tokens/s under the names of a test, of a type of weights, and of a program. The fastest program is what counts,
 * scaled by sgemm here over sgemm there, since machines differ. */
#include "cli/bench_model.h"
#include "engine/base/json.h"

#include <math.h>
#include <string.h>

static int read_limit(const struct bench_peers *p, const char *key, double *out, struct error *e)
{
    *out = json_number_value(json_object_get(json_object_get(p->file, "limits"), key));
    if (isfinite(*out) && *out > 0) return 0;
    return error_set(e, ERROR_INPUT, "%s: limits: %s: must be a number above 0: what that machine reached", p->path,
                     key);
}

static int check_cell(const char *path, const char *test, const char *type, const json_t *cell, struct error *e)
{
    const char *name;
    json_t *speed, *peers = (json_t *)cell;
    if (!json_is_object(cell) || !json_object_size(cell))
        return error_set(e, ERROR_INPUT, "%s: %s: %s: must be an object of tokens/s by program", path, test, type);
    json_object_foreach(peers, name, speed)
    {
        if (!(json_number_value(speed) > 0))
            return error_set(e, ERROR_INPUT, "%s: %s: %s: %s: must be a number above 0, tokens/s", path, test, type,
                             name);
    }
    return 0;
}

/* Every object but the limits is a test's. */
static int check(const struct bench_peers *p, struct error *e)
{
    const char *test, *type;
    json_t *cells, *cell;
    int status = 0;
    json_object_foreach(p->file, test, cells)
    {
        if (!json_is_object(cells) || strcmp(test, "limits") == 0) continue;
        json_object_foreach(cells, type, cell)
        {
            if (!status) status = check_cell(p->path, test, type, cell, e);
        }
    }
    return status;
}

int bench_peers_open(struct bench_peers *p, const char *path, struct error *e)
{
    *p = (struct bench_peers){.file = json_read_file(path, e), .path = path};
    if (!p->file) return (int)e->code;
    int status = json_is_object(p->file) ? 0 : error_set(e, ERROR_INPUT, "%s: must be an object", path);
    if (!status) status = read_limit(p, "sgemm_gflops_2_threads", &p->sgemm, e);
    if (!status) status = read_limit(p, "dram_read_gb_per_s_2_threads", &p->read, e);
    if (!status) status = check(p, e);
    if (status) bench_peers_close(p);
    return status;
}

void bench_peers_close(struct bench_peers *p)
{
    json_decref(p->file);
    *p = (struct bench_peers){0};
}

struct bench_peer bench_peer_of(const struct model_bench *b, const struct contender *c, size_t test, double speed)
{
    struct bench_peer best = {.scaled = NAN, .ratio = NAN, .by_read = NAN};
    const json_t *cells = json_object_get(b->peers.file, b->tests[test].name);
    json_t *cell = json_object_get(cells, c->work.weights), *value;
    const char *name;
    if (!b->peers.file)
        best.reason = "--against was not given";
    else if (!cells)
        best.reason = "the peers did not take this test";
    else if (!cell)
        best.reason = "the peers have no such weights";
    if (best.reason) return best;
    json_object_foreach(cell, name, value)
    {
        if (json_number_value(value) <= best.speed) continue;
        best.name = name;
        best.speed = json_number_value(value);
    }
    if (!b->measures_machine) best.reason = "the machine was not measured (--no-machine)";
    if (best.reason) return best;
    best.scaled = best.speed * b->limits.sgemm.all / b->peers.sgemm;
    best.ratio = speed / best.scaled;
    best.by_read = speed / (best.speed * b->limits.read.all / b->peers.read);
    return best;
}
