#include "suites/suite.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "engine/base/text.h"
#include "suites/catalog.h"
#include "suites/data.h"
#include "suites/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHOICE = 1 << OUTCOME_CHOICE,
    LIKELIHOOD = 1 << OUTCOME_LIKELIHOOD,
    ROLLING = 1 << OUTCOME_ROLLING,
    GENERATION = 1 << OUTCOME_GENERATION,
    PROMPTED = CHOICE | LIKELIHOOD | GENERATION,
    ALL = PROMPTED | ROLLING,
    MOST_TOKENS = 1 << 24
};

struct loading {
    struct suite *s;
    struct yaml y;
    struct error *e;
};

static int take_string(struct loading *l, const char *place, const json_t *v, char **out)
{
    const char *s = json_string_value(v);
    if (!s) return yaml_file_error(&l->y, l->e, place, "must be a string (quoted, where it looks like something else)");
    return (*out = memory_string(s, l->e)) ? 0 : ERROR_IO;
}

static int take_template(struct loading *l, const char *place, const json_t *v, struct template *t)
{
    const char *s = json_string_value(v);
    if (!s) return yaml_file_error(&l->y, l->e, place, "must be a string (quoted, where it looks like something else)");
    struct error x = {0};
    int status = template_parse(t, s, "template", &x);
    return status == ERROR_INPUT ? yaml_file_error(&l->y, l->e, place, "%s", x.text)
           : status              ? error_set(l->e, x.code, "%s", x.text)
                                 : 0;
}

static int take_integer(struct loading *l, const char *place, const json_t *v, int least, int *out)
{
    json_int_t i = json_integer_value(v);
    if (!json_is_integer(v) || i < least || i > MOST_TOKENS)
        return yaml_file_error(&l->y, l->e, place, "must be a whole number from %d to %d", least, (int)MOST_TOKENS);
    *out = (int)i;
    return 0;
}

static int take_task(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (!name || !suite_name_fits(name))
        return yaml_file_error(&l->y, l->e, place,
                               "must be a name of letters, digits, \".\", \"_\" and \"-\", at most 64");
    return take_string(l, place, v, &l->s->name);
}

static int take_description(struct loading *l, const char *place, const json_t *v)
{
    const char *s = json_string_value(v);
    if (s && strchr(s, '\n')) return yaml_file_error(&l->y, l->e, place, "must be one line");
    free(l->s->description);
    l->s->description = NULL;
    return take_string(l, place, v, &l->s->description);
}

static int take_output_type(struct loading *l, const char *place, const json_t *v)
{
    static const enum outcome_kind kinds[] = {OUTCOME_LIKELIHOOD, OUTCOME_ROLLING, OUTCOME_CHOICE, OUTCOME_GENERATION};
    const char *names[4], *name = json_string_value(v);
    for (size_t i = 0; i < 4; i++) {
        names[i] = outcome_kind_name(kinds[i]);
        if (name && strcmp(name, names[i]) == 0) {
            l->s->kind = kinds[i];
            return 0;
        }
    }
    struct suggestion s = suggest(name ? name : "", names, 4);
    return yaml_file_error(&l->y, l->e, place, "must be one of %s, %s, %s, %s%s", names[0], names[1], names[2],
                           names[3], s.words);
}

static int take_format(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v), *names[64];
    if (!name) return yaml_file_error(&l->y, l->e, place, "must be the name of a reader");
    if ((l->s->reader = reader_find(name))) return 0;
    size_t n = 0;
    for (const struct reader *r; n < 64 && (r = reader_at(n)); n++) names[n] = r->name;
    struct suggestion s = suggest(name, names, n);
    return yaml_file_error(&l->y, l->e, place, "\"%.60s\": no such format%s", name, s.words);
}

static size_t count_names(const char *const *names)
{
    size_t n = 0;
    while (names && names[n]) n++;
    return n;
}

/* Every key of an object must be one of `names`. */
static int check_keys(struct loading *l, const char *place, const json_t *object, const char *const *names, size_t n)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, key, v)
    {
        size_t i = 0;
        while (i < n && strcmp(key, names[i]) != 0) i++;
        if (i < n) continue;
        char inner[2 * YAML_KEY_BYTES];
        struct suggestion s = suggest(key, names, n);
        snprintf(inner, sizeof inner, "%s.%s", place, key);
        return yaml_file_error(&l->y, l->e, inner, "unknown key%s", s.words);
    }
    return 0;
}

static int take_kwargs(struct loading *l, const char *place, const json_t *v)
{
    const struct reader *r = l->s->reader;
    if (!json_is_object(v)) return yaml_file_error(&l->y, l->e, place, "must be a mapping (key: value)");
    int status = check_keys(l, place, v, r->kwargs, count_names(r->kwargs));
    l->s->reader_options = json_incref((json_t *)(uintptr_t)v);
    return status;
}

/* The options of a reader, given or not. */
static int check_kwargs(struct loading *l)
{
    const char *place = "dataset_kwargs";
    const struct suite *s = l->s;
    json_t *none = json_object();
    struct error x = {0};
    int status = s->reader->check ? s->reader->check(s->reader_options ? s->reader_options : none, &x) : 0;
    json_decref(none);
    return status ? yaml_file_error(&l->y, l->e, place, "%s", x.text) : 0;
}

/* The first of the places where a data file may be; adds the places to `tried`. */
static char *find_data(struct loading *l, const char *name, struct text *tried, struct error *e)
{
    const char *path = l->s->path;
    int folder = *name == '/' ? 0 : (int)(path_name(path) - path);
    struct text t = {0};
    text_printf(&t, "%.*s%s", folder, path, name);
    if (t.failed) error_set(e, ERROR_IO, "out of memory for a path");
    char *found = t.failed ? NULL : memory_string(text_c(&t), e);
    text_free(&t);
    for (int i = 0; found && !path_exists(found); i++) {
        text_printf(tried, "%s%s", i ? ", " : "", found);
        free(found);
        found = NULL;
        char *root = *name == '/' ? NULL : data_folder(i, e), *sets = root ? path_join(root, "datasets", e) : NULL;
        if (sets) found = path_join(sets, name, e);
        free(root);
        free(sets);
    }
    return found;
}

static int take_path(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (!name || !*name) return yaml_file_error(&l->y, l->e, place, "must be the path of a data file");
    struct text tried = {0};
    struct error x = {0};
    l->s->data_path = find_data(l, name, &tried, &x);
    int status = 0;
    if (!l->s->data_path)
        status = x.code ? error_set(l->e, x.code, "%s", x.text)
                        : yaml_file_error(&l->y, l->e, place, "no such file; looked at %s", text_c(&tried));
    text_free(&tried);
    return status;
}

static int take_text(struct loading *l, const char *place, const json_t *v)
{
    if (l->s->kind == OUTCOME_ROLLING && json_string_length(v))
        return yaml_file_error(&l->y, l->e, place,
                               "must be \"\" for loglikelihood_rolling: doc_to_target is the text that is scored");
    return take_template(l, place, v, &l->s->text);
}

static int take_target(struct loading *l, const char *place, const json_t *v)
{
    if (l->s->kind != OUTCOME_CHOICE || !json_is_integer(v)) return take_template(l, place, v, &l->s->target);
    /* the same choice is right in every document */
    char digits[32];
    snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    return template_parse(&l->s->target, digits, place, l->e);
}

static int take_choices(struct loading *l, const char *place, const json_t *v)
{
    struct suite *s = l->s;
    if (json_is_string(v)) {
        int status = take_template(l, place, v, &s->choice_field);
        if (status) return status;
        bool is_field = s->choice_field.n_parts == 1 && s->choice_field.parts[0].is_field;
        return is_field ? 0
                        : yaml_file_error(&l->y, l->e, place,
                                          "must be a list of choices, or \"{{field}}\" with the field that has them");
    }
    size_t n = json_array_size(v);
    if (n < 2)
        return yaml_file_error(&l->y, l->e, place, "must be a list of at least 2 choices, or a field that has them");
    if (!(s->choices = memory_new(n, sizeof *s->choices, "choices", l->e))) return ERROR_IO;
    for (size_t i = 0; i < n; i++) {
        char inner[64];
        snprintf(inner, sizeof inner, "%s[%zu]", place, i);
        int status = take_template(l, inner, json_array_get(v, i), &s->choices[i]);
        if (status) return status;
        s->n_choices++;
    }
    return 0;
}

static int take_delimiter(struct loading *l, const char *place, const json_t *v)
{
    free(l->s->delimiter);
    l->s->delimiter = NULL;
    return take_string(l, place, v, &l->s->delimiter);
}

static int take_until(struct loading *l, const json_t *v)
{
    const char *place = "generation_kwargs.until";
    struct suite *s = l->s;
    if (!json_is_array(v)) return yaml_file_error(&l->y, l->e, place, "must be a list of strings");
    size_t n = json_array_size(v);
    if (!(s->until = memory_new(n, sizeof *s->until, "stop strings", l->e))) return ERROR_IO;
    for (size_t i = 0; i < n; i++) {
        const json_t *stop = json_array_get(v, i);
        if (!json_string_length(stop))
            return yaml_file_error(&l->y, l->e, place, "string %zu must be a non-empty string", i + 1);
        int status = take_string(l, place, stop, &s->until[i]);
        if (status) return status;
        s->n_until++;
    }
    return 0;
}

static int take_generation(struct loading *l, const char *place, const json_t *v)
{
    static const char *const names[] = {"until", "max_gen_toks"};
    if (!json_is_object(v)) return yaml_file_error(&l->y, l->e, place, "must be a mapping with max_gen_toks and until");
    int status = check_keys(l, place, v, names, 2);
    if (status) return status;
    const json_t *until = json_object_get(v, "until"), *most = json_object_get(v, "max_gen_toks");
    if (!most) return yaml_file_error(&l->y, l->e, place, "max_gen_toks: missing key: the limit of new tokens");
    if ((status = take_integer(l, "generation_kwargs.max_gen_toks", most, 1, &l->s->max_tokens))) return status;
    return until ? take_until(l, until) : 0;
}

static int take_protocol(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (!name || (strcmp(name, "rolling") != 0 && strcmp(name, "chunked") != 0))
        return yaml_file_error(&l->y, l->e, place, "must be rolling or chunked");
    l->s->protocol = *name == 'c' ? PROTOCOL_CHUNKED : PROTOCOL_ROLLING;
    return 0;
}

static int take_context(struct loading *l, const char *place, const json_t *v)
{
    /* a chunk scores its second half without the last position: of 4 tokens, one */
    return take_integer(l, place, v, l->s->protocol == PROTOCOL_CHUNKED ? 4 : 1, &l->s->context);
}

/* An option of a metric; a list is given entry by entry. */
static int take_setting(struct loading *l, const char *place, struct measure *m, const char *key, const json_t *v)
{
    if (json_is_array(v)) {
        int status = 0;
        for (size_t i = 0; !status && i < json_array_size(v); i++)
            status = take_setting(l, place, m, key, json_array_get(v, i));
        return status;
    }
    char *other = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY);
    struct error x = {0};
    int status = measure_set(m, key, other ? other : json_string_value(v), &x);
    free(other);
    return status ? yaml_file_error(&l->y, l->e, place, "%s", x.text) : 0;
}

static int take_metric(struct loading *l, size_t i, const json_t *entry)
{
    char place[64];
    struct suite *s = l->s;
    struct score *to = &s->scores[s->n_scores];
    snprintf(place, sizeof place, "metric_list[%zu]", i);
    if (!json_is_object(entry)) return yaml_file_error(&l->y, l->e, place, "must be a mapping (metric: NAME)");
    const char *key, *name = json_string_value(json_object_get(entry, "metric"));
    if (!name) return yaml_file_error(&l->y, l->e, place, "metric: must be the name of a metric");
    struct error x = {0};
    if (measure_open(&to->measure, name, s->kind, &x)) return yaml_file_error(&l->y, l->e, place, "%s", x.text);
    s->n_scores++;
    for (size_t k = 0; k + 1 < s->n_scores; k++)
        if (strcmp(s->scores[k].name, name) == 0)
            return yaml_file_error(&l->y, l->e, place, "\"%s\" is there twice", name);
    if (!(to->name = memory_string(name, l->e))) return ERROR_IO;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)entry, key, v)
    {
        int status = strcmp(key, "metric") ? take_setting(l, place, &to->measure, key, v) : 0;
        if (status) return status;
    }
    return 0;
}

static int take_metrics(struct loading *l, const char *place, const json_t *v)
{
    size_t n = json_array_size(v);
    if (!n) return yaml_file_error(&l->y, l->e, place, "must be a list of - metric: NAME");
    if (!(l->s->scores = memory_new(n, sizeof *l->s->scores, "metrics", l->e))) return ERROR_IO;
    int status = 0;
    for (size_t i = 0; !status && i < n; i++) status = take_metric(l, i, json_array_get(v, i));
    return status;
}

/* In the order they are taken: what others depend on comes first. */
static const struct key {
    const char *name;
    unsigned kinds, must; /* the output types it belongs to, and those that need it */
    int (*take)(struct loading *l, const char *place, const json_t *v);
} keys[] = {
    {"task", ALL, ALL, take_task},
    {"description", ALL, 0, take_description},
    {"output_type", ALL, ALL, take_output_type},
    {"dataset_format", ALL, ALL, take_format},
    {"dataset_kwargs", ALL, 0, take_kwargs},
    {"dataset_path", ALL, ALL, take_path},
    {"doc_to_text", ALL, PROMPTED, take_text},
    {"doc_to_target", ALL, ALL, take_target},
    {"doc_to_choice", CHOICE, CHOICE, take_choices},
    {"target_delimiter", CHOICE | LIKELIHOOD, 0, take_delimiter},
    {"generation_kwargs", GENERATION, GENERATION, take_generation},
    {"protocol", ROLLING, 0, take_protocol},
    {"context", ROLLING, 0, take_context},
    {"metric_list", ALL, ALL, take_metrics},
};
enum { KEYS = sizeof keys / sizeof *keys };

static int refuse_unknown_keys(struct loading *l)
{
    const char *names[KEYS], *place;
    json_t *v;
    for (size_t i = 0; i < KEYS; i++) names[i] = keys[i].name;
    json_object_foreach(l->y.root, place, v)
    {
        size_t i = 0;
        while (i < KEYS && strcmp(place, names[i]) != 0) i++;
        struct suggestion s = suggest(place, names, KEYS);
        if (i == KEYS && strcmp(place, "group") == 0)
            return yaml_file_error(&l->y, l->e, place, "this is a group of suites, where one suite is due");
        if (i == KEYS) return yaml_file_error(&l->y, l->e, place, "unknown key%s", s.words);
    }
    return 0;
}

static int refuse_foreign_keys(struct loading *l)
{
    const char *kind = outcome_kind_name(l->s->kind);
    for (size_t i = 0; i < KEYS; i++)
        if (!(keys[i].kinds & 1u << l->s->kind) && json_object_get(l->y.root, keys[i].name))
            return yaml_file_error(&l->y, l->e, keys[i].name, "does not belong to output_type %s", kind);
    return 0;
}

static int take_key(struct loading *l, const struct key *k)
{
    const json_t *v = json_object_get(l->y.root, k->name);
    if (v) return k->take(l, k->name, v);
    if (!(k->must & 1u << l->s->kind)) return 0;
    if (k->must == ALL) return yaml_file_error(&l->y, l->e, k->name, "missing key");
    const char *kind = outcome_kind_name(l->s->kind);
    return yaml_file_error(&l->y, l->e, k->name, "missing key: output_type %s needs it", kind);
}

static int take_keys(struct loading *l)
{
    int status = refuse_unknown_keys(l);
    for (size_t i = 0; !status && i < KEYS; i++) {
        status = take_key(l, &keys[i]);
        if (!status && keys[i].take == take_output_type) status = refuse_foreign_keys(l);
    }
    return status ? status : check_kwargs(l);
}

int suite_load(struct suite **out, const char *name_or_path, struct error *e)
{
    *out = NULL;
    struct loading l = {.e = e, .s = memory_new(1, sizeof *l.s, "a suite", e)};
    if (!l.s) return ERROR_IO;
    int status = suite_locate(name_or_path, &l.s->path, e);
    if (!status) status = yaml_file_read(&l.y, l.s->path, e);
    if (!status) {
        l.s->settings = json_incref(l.y.root);
        l.s->decode = decode_greedy();
        l.s->delimiter = memory_string(" ", e);
        l.s->description = memory_string("", e);
        status = l.s->delimiter && l.s->description ? take_keys(&l) : ERROR_IO;
    }
    yaml_file_free(&l.y);
    if (status) suite_free(l.s);
    *out = status ? NULL : l.s;
    return status;
}

void suite_free(struct suite *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n_choices; i++) template_free(&s->choices[i]);
    for (size_t i = 0; i < s->n_until; i++) free(s->until[i]);
    for (size_t i = 0; i < s->n_scores; i++) {
        measure_close(&s->scores[i].measure);
        free(s->scores[i].name);
    }
    template_free(&s->text);
    template_free(&s->target);
    template_free(&s->choice_field);
    json_decref(s->reader_options);
    json_decref(s->settings);
    free(s->choices);
    free(s->until);
    free(s->scores);
    free(s->name);
    free(s->description);
    free(s->path);
    free(s->data_path);
    free(s->delimiter);
    free(s);
}
