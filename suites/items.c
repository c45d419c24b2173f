/* Documents become items: templates rendered, the right choice found, the document hashed. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "suites/suite.h"

#include <stdlib.h>
#include <string.h>

struct gathering {
    const struct suite *s;
    size_t limit;
    struct item *items;
    size_t n, capacity;
};

static void item_free(struct item *it)
{
    for (size_t i = 0; i < it->n_targets; i++) free(it->targets[i]);
    free(it->targets);
    free(it->prompt);
    json_decref(it->doc);
}

void items_free(struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) item_free(&items[i]);
    free(items);
}

static int render(const struct template *t, const json_t *doc, const char *key, char **out, struct error *e)
{
    struct text text = {0};
    int status = template_render(t, doc, &text, e);
    if (status) error_prefix(e, "%s", key);
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
    if (!status) status = render(t, it->doc, "doc_to_target", &it->targets[0], e);
    if (status) return status;
    it->n_targets = 1;
    return *it->targets[0] || may_be_empty ? 0 : error_set(e, ERROR_INPUT, "doc_to_target: is empty");
}

/* The strings of a field that is a list. */
static int list_targets(struct item *it, const json_t *list, const char *key, size_t least, struct error *e)
{
    size_t n = json_array_size(list);
    if (n < least)
        return error_set(e, ERROR_INPUT, "%s: the list has %zu entr%s, at least %zu %s due", key, n,
                         n == 1 ? "y" : "ies", least, least == 1 ? "is" : "are");
    int status = make_targets(it, n, e);
    for (size_t i = 0; !status && i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s) return error_set(e, ERROR_INPUT, "%s: entry %zu of the list is not a string", key, i);
        if (!(it->targets[i] = memory_string(s, e))) return ERROR_IO;
        it->n_targets++;
    }
    return status;
}

static int take_choices(struct item *it, const struct suite *s, struct error *e)
{
    static const char key[] = "doc_to_choice";
    int status;
    if (s->n_choices) {
        status = make_targets(it, s->n_choices, e);
        for (size_t i = 0; !status && i < s->n_choices; i++)
            if (!(status = render(&s->choices[i], it->doc, key, &it->targets[i], e))) it->n_targets++;
    } else {
        const json_t *list = template_value(&s->choice_field, it->doc);
        if (!json_is_array(list))
            return error_set(e, ERROR_INPUT, "%s: %.60s %s", key, s->choice_field.source,
                             list ? "is not a list" : "is not a field of the document");
        status = list_targets(it, list, key, 2, e);
    }
    for (size_t i = 0; !status && i < it->n_targets; i++)
        if (!*it->targets[i]) status = error_set(e, ERROR_INPUT, "%s: choice %zu is empty", key, i);
    return status;
}

/* The right choice: a number is its index; a text is that of a choice, else digits are its index. */
static int find_gold(struct item *it, const struct suite *s, struct error *e)
{
    char *text;
    int status = render(&s->target, it->doc, "doc_to_target", &text, e);
    if (status) return status;
    size_t n = it->n_targets, at = n;
    const json_t *v = template_value(&s->target, it->doc);
    for (size_t i = 0; i < n && at == n && !json_is_integer(v); i++)
        if (strcmp(text, it->targets[i]) == 0) at = i;
    bool is_number = *text && strlen(text) < 10 && !text[strspn(text, "0123456789")];
    if (at == n && is_number) at = (size_t)strtoul(text, NULL, 10);
    it->gold = at;
    if (at >= n)
        error_set(e, ERROR_INPUT, "doc_to_target: \"%.60s\" is neither the text nor the index (0 to %zu) of a choice%s",
                  text, n - 1, json_object_get(it->doc, text) ? "; a field is written {{field}}" : "");
    free(text);
    return at < n ? 0 : ERROR_INPUT;
}

static int build(struct item *it, const struct suite *s, struct error *e)
{
    char *json = json_dumps(it->doc, JSON_COMPACT | JSON_SORT_KEYS);
    if (!json) return error_set(e, ERROR_IO, "out of memory for a document");
    hash_hex(json, strlen(json), it->hash);
    free(json);
    int status = render(&s->text, it->doc, "doc_to_text", &it->prompt, e);
    if (status) return status;
    if (s->kind == OUTCOME_CHOICE) return (status = take_choices(it, s, e)) ? status : find_gold(it, s, e);
    const json_t *v = template_value(&s->target, it->doc);
    if (s->kind == OUTCOME_GENERATION && json_is_array(v)) return list_targets(it, v, "doc_to_target", 1, e);
    return one_target(it, &s->target, s->kind == OUTCOME_GENERATION, e);
}

static int keep(void *user, json_t *doc, struct error *e)
{
    struct gathering *g = user;
    void *items = g->items;
    int status = memory_reserve(&items, &g->capacity, g->n + 1, sizeof *g->items, "items", e);
    g->items = items;
    if (status) return status;
    g->items[g->n] = (struct item){.doc = json_incref(doc)};
    if ((status = build(&g->items[g->n++], g->s, e))) return status;
    return g->n == g->limit ? READER_STOP : 0;
}

/* A suite that was made of its data file alone is none that the user knows. */
static int has_nothing(const struct suite *s, struct error *e)
{
    if (strcmp(s->path, s->data_path) == 0) return error_set(e, ERROR_INPUT, "%s: has no text", s->data_path);
    return error_set(e, ERROR_INPUT, "%s: has no documents for suite %s", s->data_path, s->name);
}

int suite_items(const struct suite *s, size_t limit, struct item **out, size_t *n, struct error *e)
{
    *out = NULL;
    *n = 0;
    struct file f;
    int status = file_map(&f, s->data_path, e);
    if (status) return status;
    struct gathering g = {.s = s, .limit = limit};
    const struct reader_source source = {s->data_path, (const char *)f.data, f.size, s->reader_options};
    status = s->reader->read(&source, keep, &g, e);
    file_unmap(&f);
    if (!status && !g.n) status = has_nothing(s, e);
    if (status) {
        items_free(g.items, g.n);
        return status;
    }
    *out = g.items;
    *n = g.n;
    return 0;
}
