#include "suites/render.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++) free(texts[i]);
    free(texts);
}

void item_free(struct item *it)
{
    free_texts(it->targets, it->n_targets);
    free_texts(it->contexts, it->n_contexts);
    free(it->prompt);
    free(it->counted);
    json_decref(it->doc);
}

/* What a template stands for as a JSON value, new: that of its one expression, or of the field whose name it is, as
 * lm-evaluation-harness has it. *out stays NULL where it is text. */
static int value_of(const struct template *t, const json_t *doc, json_t **out, struct error *e)
{
    *out = NULL;
    if (template_is_value(t)) return (*out = template_value(t, doc, e)) ? 0 : e ? (int)e->code : ERROR_INPUT;
    if (t->n_parts == 1) *out = json_incref(json_object_get(doc, t->parts[0].text));
    return 0;
}

static int render(const struct template *t, const json_t *doc, char **out, struct error *e)
{
    struct text text = {0};
    json_t *v;
    int status = value_of(t, doc, &v, e);
    if (!status && v)
        status = value_render(v, &text, e) ? error_prefix(e, "%.60s", t->source) : 0;
    else if (!status)
        status = template_render(t, doc, &text, e);
    json_decref(v);
    if (!status && text.failed) status = error_set(e, ERROR_IO, "out of memory for a text");
    *out = status ? NULL : text.bytes ? text.bytes : memory_string("", e);
    if (status) text_free(&text);
    return status || *out ? status : ERROR_IO;
}

static int make_targets(struct item *it, size_t n, struct error *e)
{
    it->targets = memory_new(n, sizeof *it->targets, "an item's texts", e);
    return it->targets ? 0 : ERROR_IO;
}

static int one_target(struct item *it, const struct template *t, bool may_be_empty, struct error *e)
{
    int status = make_targets(it, 1, e);
    if (!status) status = render(t, it->doc, &it->targets[0], e);
    if (status) return status;
    it->n_targets = 1;
    return *it->targets[0] || may_be_empty ? 0 : error_set(e, ERROR_INPUT, "is empty");
}

/* The strings of a field that is a list. */
static int list_targets(struct item *it, const json_t *list, size_t least, struct error *e)
{
    size_t n = json_array_size(list);
    if (n < least)
        return error_set(e, ERROR_INPUT, "the list has %zu entr%s, at least %zu %s due", n, n == 1 ? "y" : "ies", least,
                         least == 1 ? "is" : "are");
    int status = make_targets(it, n, e);
    for (size_t i = 0; !status && i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s) return error_set(e, ERROR_INPUT, "entry %zu of the list is not a string", i);
        if (!(it->targets[i] = memory_string(s, e))) return ERROR_IO;
        it->n_targets++;
    }
    return status;
}

/* The choices of a field that holds them. */
static int field_choices(struct item *it, const struct suite *s, struct error *e)
{
    json_t *list;
    int status = value_of(&s->choice_field, it->doc, &list, e);
    if (status) return status;
    if (json_is_array(list))
        status = list_targets(it, list, 2, e);
    else
        status = error_set(e, ERROR_INPUT, "%.60s %s", s->choice_field.source,
                           list ? "is not a list" : "is not a field of the document");
    json_decref(list);
    return status;
}

static int take_choices(struct item *it, const struct suite *s, struct error *e)
{
    int status = s->n_choices ? make_targets(it, s->n_choices, e) : field_choices(it, s, e);
    for (size_t i = 0; !status && i < s->n_choices; i++) {
        struct text text = {0};
        if ((status = template_render(&s->choices[i], it->doc, &text, e)))
            text_free(&text);
        else if (!(it->targets[i] = text.bytes ? text.bytes : memory_string("", e)))
            status = ERROR_IO;
        else
            it->n_targets++;
    }
    for (size_t i = 0; !status && i < it->n_targets; i++)
        if (!*it->targets[i]) status = error_set(e, ERROR_INPUT, "choice %zu is empty", i);
    return status;
}

/* The right choice: digits are its index, a text is its text. As in lm-evaluation-harness it is the other way round where
 * doc_to_target is the bare name of a field that holds a text: then digits may be the text of a choice. */
static int find_gold(struct item *it, const struct suite *s, struct error *e)
{
    char *text;
    json_t *v;
    int status = value_of(&s->target, it->doc, &v, e);
    const bool is_index = json_is_integer(v), is_field = json_is_string(v) && !template_is_value(&s->target);
    json_decref(v);
    if (!status) status = render(&s->target, it->doc, &text, e);
    if (status) return status;
    size_t n = it->n_targets, at = n;
    const bool is_number = *text && strlen(text) < 10 && !text[strspn(text, "0123456789")];
    for (size_t i = 0; i < n && at == n && !is_index && (is_field || !is_number); i++)
        if (strcmp(text, it->targets[i]) == 0) at = i;
    if (at == n && is_number) at = (size_t)strtoul(text, NULL, 10);
    it->gold = at;
    if (at >= n)
        error_set(e, ERROR_INPUT, "\"%.60s\" is neither the text nor the index (0 to %zu) of a choice", text, n - 1);
    free(text);
    return at < n ? 0 : ERROR_INPUT;
}

/* A choice between contexts: doc_to_text gave the index of the right one, and all go on with one text. */
static int choose_context(struct item *it, const struct suite *s, json_int_t gold, struct error *e)
{
    it->contexts = it->targets;
    it->n_contexts = it->n_targets;
    it->targets = NULL;
    it->n_targets = 0;
    if (gold < 0 || (uint64_t)gold >= it->n_contexts)
        return error_set(e, ERROR_INPUT, "doc_to_text: %lld is not the index (0 to %zu) of a choice", (long long)gold,
                         it->n_contexts - 1);
    it->gold = (size_t)gold;
    int status = one_target(it, &s->target, false, e);
    return status ? error_prefix(e, "doc_to_target") : 0;
}

static int render_choice(struct item *it, const struct suite *s, struct error *e)
{
    json_t *v;
    int status = value_of(&s->text, it->doc, &v, e);
    if (status) return error_prefix(e, "doc_to_text");
    const bool between_contexts = json_is_integer(v);
    const json_int_t gold = json_integer_value(v);
    json_decref(v);
    if ((status = take_choices(it, s, e))) return error_prefix(e, "doc_to_choice");
    if (between_contexts) {
        *it->prompt = 0;
        return choose_context(it, s, gold, e);
    }
    return (status = find_gold(it, s, e)) ? error_prefix(e, "doc_to_target") : 0;
}

static int render_references(struct item *it, const struct suite *s, struct error *e)
{
    json_t *v;
    int status = value_of(&s->target, it->doc, &v, e);
    if (!status) status = json_is_array(v) ? list_targets(it, v, 1, e) : one_target(it, &s->target, true, e);
    json_decref(v);
    return status;
}

int item_render(struct item *it, const struct suite *s, struct error *e)
{
    char *json = json_dump_text(it->doc, JSON_COMPACT | JSON_SORT_KEYS, e);
    if (!json) return ERROR_IO;
    hash_hex(json, strlen(json), it->hash);
    free(json);
    if (render(&s->text, it->doc, &it->prompt, e)) return error_prefix(e, "doc_to_text");
    if (s->kind == OUTCOME_CHOICE) return render_choice(it, s, e);
    if (s->counted.n_parts && render(&s->counted, it->doc, &it->counted, e)) return error_prefix(e, "doc_to_count");
    int status = s->kind == OUTCOME_GENERATION ? render_references(it, s, e) : one_target(it, &s->target, false, e);
    return status ? error_prefix(e, "doc_to_target") : 0;
}

int render_description(const struct suite *s, const json_t *doc, struct text *out, struct error *e)
{
    return template_render(&s->description, doc, out, e) ? error_prefix(e, "description") : 0;
}
