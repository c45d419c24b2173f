#include "suites/protocol.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

#include <stdlib.h>
#include <string.h>

/* References of every item, 0 where their number varies. */
static size_t reference_count(const struct item *items, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (items[i].n_targets != items[0].n_targets) return 0;
    return items[0].n_targets;
}

/* The settings of a metric that the suite gives; what only remarks on it makes no number another. */
static json_t *options_of(const json_t *entry)
{
    json_t *options = json_copy((json_t *)(uintptr_t)entry);
    static const char *const remarks[] = {"metric", "aggregation", "higher_is_better"};
    for (size_t i = 0; i < sizeof remarks / sizeof *remarks; i++) json_object_del(options, remarks[i]);
    if (json_object_size(options)) return options;
    json_decref(options);
    return NULL;
}

static json_t *score_protocol(const struct score *x, const json_t *entry, size_t n_references)
{
    struct text signature = {0};
    measure_signature(&x->measure, n_references, &signature);
    json_t *j = json_pack("{s:s, s:s*, s:o*}", "metric", x->name, "signature",
                          signature.length ? signature.bytes : NULL, "options", options_of(entry));
    text_free(&signature);
    return j;
}

static json_t *make_metrics(const struct suite *s, const struct item *items, size_t n_items)
{
    json_t *metrics = json_array();
    const json_t *list = json_object_get(s->settings, "metric_list");
    const size_t pipelines = s->n_pipelines ? s->n_pipelines : 1; /* the scores of an entry */
    for (size_t i = 0; i < s->n_scores; i++)
        json_array_append_new(metrics, score_protocol(&s->scores[i], json_array_get(list, i / pipelines),
                                                      reference_count(items, n_items)));
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

/* SHA-256 of the data file; where the reader takes further files, of all their contents' in a row. */
static int hash_reading(const struct suite *s, const char *path, json_t *to, const char *key, struct error *e)
{
    char hex[HASH_HEX], **files;
    int status = reader_files(s->reader, path, s->reader_options, &files, e);
    if (status) return status;
    status = hash_data(path, hex, e);
    if (!status && files && *files) {
        struct hash all;
        hash_init(&all);
        hash_update(&all, hex, sizeof hex);
        for (char **file = files; *file && !status; file++)
            if (!(status = hash_data(*file, hex, e))) hash_update(&all, hex, sizeof hex);
        hash_finish(&all, hex);
    }
    names_free(files);
    if (!status) json_object_set_new(to, key, json_string(hex));
    return status;
}

/* Said or not, it is the same protocol. */
static bool is_default(const char *key, const json_t *v)
{
    const char *s = json_string_value(v);
    if (strcmp(key, "description") == 0) return s && !*s;
    return strcmp(key, "target_delimiter") == 0 && s && strcmp(s, " ") == 0;
}

static void add_settings(json_t *p, const struct suite *s, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_t *v = json_object_get(s->settings, keys[i]);
        if (v && !is_default(keys[i], v)) json_object_set(p, keys[i], v);
    }
}

static void add_prompt(json_t *p, const struct suite *s)
{
    static const char *const keys[] = {"dataset_format", "dataset_kwargs", "output_type",
                                       "description",    "doc_to_text",    "doc_to_target",
                                       "doc_to_count",   "doc_to_choice",  "target_delimiter"};
    add_settings(p, s, keys, sizeof keys / sizeof *keys);
    if (!s->fewshot.n) return;
    json_t *how = json_pack("{s:i, s:s, s:s}", "num_fewshot", s->fewshot.n, "sampler",
                            s->fewshot.first ? "first_n" : "default", "fewshot_delimiter", s->fewshot.delimiter);
    if (!s->fewshot.first) json_object_set_new(how, "seed", json_integer((json_int_t)s->fewshot.seed));
    if (s->fewshot.samples) json_object_set(how, "samples", s->fewshot.samples);
    json_object_set_new(p, "fewshot", how);
}

static void add_generation(json_t *p, const struct suite *s)
{
    static const char *const keys[] = {"filter_list"};
    json_t *until = json_array(), *kwargs = json_pack("{s:i}", "max_gen_toks", s->max_tokens);
    for (size_t i = 0; i < s->n_until; i++) json_array_append_new(until, json_string(s->until[i]));
    if (s->n_until) json_object_set(kwargs, "until", until);
    json_decref(until);
    json_object_set_new(p, "generation_kwargs", kwargs); /* without what `decoding` says */
    json_object_set_new(p, "decoding", json_string(s->decode.spec));
    if (s->repeats > 1) json_object_set_new(p, "repeats", json_integer(s->repeats));
    add_settings(p, s, keys, 1);
}

/* Which documents: nothing where they are the first of the file. */
static void add_indices(json_t *p, const struct item *items, size_t n)
{
    struct hash hash;
    char hex[HASH_HEX];
    bool first = true;
    hash_init(&hash);
    for (size_t i = 0; i < n; i++) {
        const uint64_t index = items[i].index;
        first = first && index == i;
        hash_update(&hash, &index, sizeof index);
    }
    hash_finish(&hash, hex);
    if (!first) json_object_set_new(p, "doc_ids_sha256", json_string(hex));
}

static void add_tokens(json_t *p, const struct model *m, const struct suite *s, const struct requests *q)
{
    int64_t scored = 0;
    for (size_t i = 0; i < q->n_parts; i++) scored += q->parts[i].n;
    if (s->kind == OUTCOME_ROLLING) json_object_set_new(p, "protocol", json_string(protocol_name(s->protocol)));
    json_object_set_new(p, "context", json_integer(q->context));
    if (q->stride) json_object_set_new(p, "stride", json_integer(q->stride));
    json_object_set_new(p, "bos", json_boolean(tokenizer_adds_bos(model_tokenizer(m))));
    json_object_set_new(p, "scored_tokens", json_integer(scored));
    json_object_set_new(p, "token_ids_sha256", json_string(q->token_hash));
}

int protocol_make(json_t **out, char fingerprint[HASH_HEX], const struct model *m, const struct suite *s,
                  const struct item *items, size_t n_items, const struct requests *q, struct error *e)
{
    json_t *p = *out = json_object();
    int status = hash_reading(s, s->data_path, p, "data_sha256", e);
    if (!status && s->fewshot.n && s->fewshot.data_path)
        status = hash_reading(s, s->fewshot.data_path, p, "fewshot_sha256", e);
    if (status) return status;
    add_prompt(p, s);
    if (s->kind == OUTCOME_GENERATION) add_generation(p, s);
    json_object_set_new(p, "items", json_integer((json_int_t)n_items));
    add_indices(p, items, n_items);
    add_tokens(p, m, s, q);
    json_object_set_new(p, "metrics", make_metrics(s, items, n_items));
    char *text = json_dump_text(p, JSON_COMPACT | JSON_SORT_KEYS, NULL);
    if (!text) return error_set(e, ERROR_IO, "out of memory for a protocol");
    hash_hex(text, strlen(text), fingerprint);
    free(text);
    return 0;
}

static void add_value(struct text *out, const json_t *v)
{
    char *s = v ? json_dump_text(v, JSON_ENCODE_ANY | JSON_COMPACT, NULL) : NULL;
    text_printf(out, "%.80s", s ? s : "absent");
    free(s);
}

static bool part_matches(const json_t *ours, const json_t *baseline, const char *key, struct text *why)
{
    const json_t *a = json_object_get(ours, key), *b = json_object_get(baseline, key);
    if (a == b || json_equal(a, b)) return true;
    if (!why) return false;
    text_printf(why, "%.60s is ", key);
    add_value(why, a);
    text_add(why, ", the baseline's is ");
    add_value(why, b);
    return false;
}

/* What says the most is looked at first. */
bool protocols_match(const json_t *ours, const json_t *baseline, const char *except, struct text *why)
{
    bool same = json_is_object(ours) && json_is_object(baseline);
    if (!same) {
        if (why) text_add(why, "a protocol is not known");
        return false;
    }
    static const char *const first[] = {"data_sha256", "output_type", "protocol", "context", "stride", "items"};
    for (size_t i = 0; i < sizeof first / sizeof *first && same; i++)
        same = part_matches(ours, baseline, first[i], why);
    if (!same) return false;
    const char *key;
    json_t *value, *both = json_copy((json_t *)(uintptr_t)baseline); /* every key of either */
    json_object_update(both, (json_t *)(uintptr_t)ours);
    json_object_foreach(both, key, value)
    {
        same = (except && strcmp(key, except) == 0) || part_matches(ours, baseline, key, why);
        if (!same) break;
    }
    json_decref(both);
    return same;
}
