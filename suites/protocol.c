#include "suites/protocol.h"
#include "engine/base/file.h"

#include <stdlib.h>
#include <string.h>

const char *protocol_name(enum protocol p) { return p == PROTOCOL_CHUNKED ? "chunked" : "rolling"; }

/* References of every item, 0 where their number varies. */
static size_t reference_count(const struct item *items, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (items[i].n_targets != items[0].n_targets) return 0;
    return items[0].n_targets;
}

static json_t *score_protocol(const struct score *x, size_t n_references)
{
    struct text signature = {0};
    measure_signature(&x->measure, n_references, &signature);
    json_t *j = json_pack("{s:s, s:s*}", "metric", x->name, "signature", signature.length ? signature.bytes : NULL);
    text_free(&signature);
    return j;
}

static json_t *make_metrics(const struct suite *s, const struct item *items, size_t n_items)
{
    json_t *metrics = json_array();
    for (size_t i = 0; i < s->n_scores; i++)
        json_array_append_new(metrics, score_protocol(&s->scores[i], reference_count(items, n_items)));
    return metrics;
}

static int hash_data(const char *path, char hex[HASH_HEX], struct error *e)
{
    struct file data;
    int status = file_map(&data, path, e);
    if (status) return status;
    hash_hex(data.data, data.size, hex);
    file_unmap(&data);
    return 0;
}

int protocol_make(json_t **out, char fingerprint[HASH_HEX], const struct model *m, const struct suite *s,
                  const struct item *items, size_t n_items, const struct requests *q, struct error *e)
{
    char hash[HASH_HEX];
    int status = hash_data(s->data_path, hash, e);
    if (status) return status;
    json_t *p = *out = json_object();
    json_object_set_new(p, "data_sha256", json_string(hash));
    static const char *const keys[] = {"dataset_format", "dataset_kwargs", "output_type",      "doc_to_text",
                                       "doc_to_target",  "doc_to_choice",  "target_delimiter", "generation_kwargs"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(s->settings, keys[i]);
        if (v) json_object_set(p, keys[i], v);
    }
    int64_t scored = 0;
    for (size_t i = 0; i < q->n_parts; i++) scored += q->parts[i].n;
    if (s->kind == OUTCOME_ROLLING) json_object_set_new(p, "protocol", json_string(protocol_name(s->protocol)));
    json_object_set_new(p, "context", json_integer(q->context));
    json_object_set_new(p, "bos", json_boolean(tokenizer_adds_bos(model_tokenizer(m))));
    json_object_set_new(p, "items", json_integer((json_int_t)n_items));
    json_object_set_new(p, "scored_tokens", json_integer(scored));
    json_object_set_new(p, "token_ids_sha256", json_string(q->token_hash));
    if (s->kind == OUTCOME_GENERATION) json_object_set_new(p, "decoding", json_string(s->decode.spec));
    json_object_set_new(p, "metrics", make_metrics(s, items, n_items));
    char *text = json_dumps(p, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text) return error_set(e, ERROR_IO, "out of memory for a protocol");
    hash_hex(text, strlen(text), fingerprint);
    free(text);
    return 0;
}

int protocol_refuse(const json_t *ours, const json_t *baseline, const char *suite, struct error *e)
{
    const char *key;
    json_t *value;
    json_t *both = json_copy((json_t *)(uintptr_t)baseline); /* every key of either */
    json_object_update(both, (json_t *)(uintptr_t)ours);
    json_object_foreach(both, key, value)
    {
        const json_t *a = json_object_get(ours, key), *b = json_object_get(baseline, key);
        if (json_equal(a, b)) continue;
        char *ta = json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT), *tb = json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT);
        error_set(e, ERROR_INPUT, "suite %s: not comparable with the baseline: %s is %.80s, the baseline's is %.80s",
                  suite, key, ta ? ta : "absent", tb ? tb : "absent");
        free(ta);
        free(tb);
        break;
    }
    json_decref(both);
    return ERROR_INPUT;
}
