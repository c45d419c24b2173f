/* Loading a suite: which keys there are, and which belong to what. */
#include "suites/suite.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "suites/catalog.h"
#include "suites/keys.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHOICE = 1 << OUTCOME_CHOICE,
    LIKELIHOOD = 1 << OUTCOME_LIKELIHOOD,
    ROLLING = 1 << OUTCOME_ROLLING,
    GENERATION = 1 << OUTCOME_GENERATION,
    PROMPTED = CHOICE | LIKELIHOOD | GENERATION,
    ALL = PROMPTED | ROLLING,
    FEWSHOT_SEED = 1234, /* as lm-evaluation-harness has it */
    NAME_BYTES = 200     /* a file is named after it, with a little more, in at most 255 */
};

/* Remarks for people and other programs: kept in the settings, not used. */
static int take_remark(struct loading *l, const char *place, const json_t *v) { return 0; }

/* In the order they are taken: what others depend on comes first. */
static const struct key {
    const char *name;
    unsigned kinds, must; /* the output types it belongs to, and those that need it */
    take_key take;
} keys[] = {
    {"task", ALL, ALL, take_task},
    {"about", ALL, 0, take_about},
    {"tag", ALL, 0, take_remark},
    {"metadata", ALL, 0, take_remark},
    {"output_type", ALL, ALL, take_output_type},
    {"dataset_format", ALL, ALL, take_format},
    {"dataset_kwargs", ALL, 0, take_kwargs},
    {"dataset_path", ALL, ALL, take_path},
    {"description", PROMPTED, 0, take_description},
    {"doc_to_text", ALL, PROMPTED, take_text},
    {"doc_to_target", ALL, ALL, take_target},
    {"doc_to_choice", CHOICE, CHOICE, take_choices},
    {"target_delimiter", PROMPTED, 0, take_delimiter},
    {"num_fewshot", PROMPTED, 0, take_fewshot_count},
    {"fewshot_delimiter", PROMPTED, 0, take_fewshot_delimiter},
    {"fewshot_config", PROMPTED, 0, take_fewshot_config},
    {"generation_kwargs", GENERATION, GENERATION, take_generation},
    {"decode", GENERATION, 0, take_decode},
    {"repeats", GENERATION, 0, take_repeats},
    {"filter_list", GENERATION, 0, take_filters},
    {"protocol", ROLLING, 0, take_protocol},
    {"context", ROLLING, 0, take_context},
    {"stride", ROLLING, 0, take_stride},
    {"doc_to_count", ROLLING, 0, take_counted},
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

static int take(struct loading *l, const struct key *k)
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
        status = take(l, &keys[i]);
        if (!status && keys[i].take == take_output_type) status = refuse_foreign_keys(l);
    }
    return status ? status : check_kwargs(l);
}

/* The strategy that was asked for with the name, or the first of several. */
static int choose_strategy(struct suite *s, const char *given, const char *spec, struct error *e)
{
    if (!spec) return json_array_size(json_object_get(s->settings, "decode")) > 1 ? suite_decode(s, &s->decode, e) : 0;
    if (s->kind != OUTCOME_GENERATION)
        return error_set(e, ERROR_USAGE, "suite \"%.80s\": %s generates no texts, so there is nothing to decode", given,
                         s->name);
    struct decode how;
    int status = decode_parse(&how, spec, e);
    if (status) return error_prefix(e, "suite \"%.80s\"", given);
    return suite_decode(s, &how, e);
}

static int load(struct suite **out, const char *given, bool without_data, struct error *e)
{
    *out = NULL;
    char *spec = NULL;
    struct loading l = {.e = e, .without_data = without_data, .s = memory_new(1, sizeof *l.s, "a suite", e)};
    if (!l.s) return ERROR_IO;
    struct suite *s = l.s;
    int status = suite_locate(given, &s->path, &spec, e);
    if (!status) status = yaml_file_read(&l.y, s->path, e);
    if (!status) {
        s->settings = json_incref(l.y.root);
        s->decode = decode_greedy();
        s->repeats = 1;
        s->fewshot.seed = FEWSHOT_SEED;
        s->about = memory_string("", e);
        s->delimiter = memory_string(" ", e);
        s->fewshot.delimiter = memory_string("\n\n", e);
        status = s->about && s->delimiter && s->fewshot.delimiter ? take_keys(&l) : ERROR_IO;
    }
    if (!status) status = choose_strategy(s, given, spec, e);
    yaml_file_free(&l.y);
    free(spec);
    if (status) suite_free(s);
    *out = status ? NULL : s;
    return status;
}

int suite_load(struct suite **out, const char *name_or_path, struct error *e)
{
    return load(out, name_or_path, false, e);
}

int suite_load_without_data(struct suite **out, const char *name_or_path, struct error *e)
{
    return load(out, name_or_path, true, e);
}

int suite_decode(struct suite *s, const struct decode *how, struct error *e)
{
    if (s->kind != OUTCOME_GENERATION) return 0;
    struct text name = {0};
    text_printf(&name, "%s.", json_string_value(json_object_get(s->settings, "task")));
    for (const char *c = how->spec; *c; c++) text_char(&name, strchr(":=,+", *c) ? '-' : *c);
    if (name.failed || !name.bytes) {
        text_free(&name);
        return error_set(e, ERROR_IO, "out of memory for a name");
    }
    if (name.length > NAME_BYTES) {
        text_free(&name);
        return error_set(e, ERROR_USAGE, "%s@%s: has more than %d characters", s->name, how->spec, (int)NAME_BYTES);
    }
    free(s->name);
    s->name = name.bytes;
    s->decode = *how;
    return 0;
}

int suite_override(struct suite *s, const struct decode *how, struct error *e)
{
    if (s->kind != OUTCOME_GENERATION) return 0;
    char *name = memory_string(json_string_value(json_object_get(s->settings, "task")), e);
    if (!name) return ERROR_IO;
    free(s->name);
    s->name = name;
    s->decode = *how;
    return 0;
}

void suite_free(struct suite *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n_choices; i++) template_free(&s->choices[i]);
    for (size_t i = 0; i < s->n_until; i++) free(s->until[i]);
    for (size_t i = 0; i < s->n_pipelines; i++) pipeline_close(&s->pipelines[i]);
    for (size_t i = 0; i < s->n_scores; i++) {
        measure_close(&s->scores[i].measure);
        free(s->scores[i].name);
    }
    template_free(&s->description);
    template_free(&s->text);
    template_free(&s->target);
    template_free(&s->counted);
    template_free(&s->choice_field);
    json_decref(s->reader_options);
    json_decref(s->settings);
    free(s->choices);
    free(s->until);
    free(s->pipelines);
    free(s->scores);
    free(s->name);
    free(s->about);
    free(s->path);
    free(s->data_path);
    free(s->delimiter);
    free(s->fewshot.data_path);
    free(s->fewshot.delimiter);
    free(s);
}
