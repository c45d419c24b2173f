#include "suites/template.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"

#include <stdlib.h>
#include <string.h>

static int add_part(struct template *t, size_t *capacity, const char *s, size_t n, bool is_field, struct error *e)
{
    if (!n && !is_field) return 0;
    void *parts = t->parts;
    int status = memory_reserve(&parts, capacity, t->n_parts + 1, sizeof *t->parts, "a template", e);
    t->parts = parts;
    if (status) return status;
    char *text = memory_bytes(s, n, e);
    if (!text) return ERROR_IO;
    t->parts[t->n_parts++] = (struct template_part){text, is_field};
    return 0;
}

static int check_field(const char *name, size_t n, const char *where, struct error *e)
{
    if (!n) return error_set(e, ERROR_INPUT, "%s: {{}} has no field name in it", where);
    size_t good = strcspn(name, "{}()[]|\"'\n");
    if (good >= n) return 0;
    return error_set(e, ERROR_INPUT, "%s: {{%.*s: only the name of a field stands between {{ and }}", where,
                     (int)(good < 60 ? good : 60), name);
}

static int parse_parts(struct template *t, const char *where, struct error *e)
{
    size_t capacity = 0;
    const char *at = t->source;
    if (strstr(at, "{%") || strstr(at, "{#"))
        return error_set(e, ERROR_INPUT, "%s: {%% and {# are not accepted: a template has text and {{field}} only",
                         where);
    for (const char *open; (open = strstr(at, "{{"));) {
        const char *name = open + 2, *close = strstr(name, "}}");
        if (!close) return error_set(e, ERROR_INPUT, "%s: a {{ has no }} after it", where);
        size_t n = (size_t)(close - name);
        for (; n && name[0] == ' '; n--) name++;
        for (; n && name[n - 1] == ' ';) n--;
        int status = check_field(name, n, where, e);
        if (status || (status = add_part(t, &capacity, at, (size_t)(open - at), false, e)) ||
            (status = add_part(t, &capacity, name, n, true, e)))
            return status;
        at = close + 2;
    }
    return add_part(t, &capacity, at, strlen(at), false, e);
}

int template_parse(struct template *t, const char *source, const char *where, struct error *e)
{
    *t = (struct template){.source = memory_string(source, e)};
    int status = t->source ? parse_parts(t, where, e) : ERROR_IO;
    if (status) template_free(t);
    return status;
}

static int no_such_field(const char *name, const json_t *doc, struct error *e)
{
    const char **names = memory_new(json_object_size(doc), sizeof *names, "field names", e);
    if (!names) return ERROR_IO;
    size_t n = 0;
    for (void *it = json_object_iter((json_t *)(uintptr_t)doc); it;
         it = json_object_iter_next((json_t *)(uintptr_t)doc, it))
        names[n++] = json_object_iter_key(it);
    struct suggestion s = suggest(name, names, n);
    free(names);
    return error_set(e, ERROR_INPUT, "{{%.60s}}: the document has no such field%s", name, s.words);
}

/* The shortest digits that read back as the same number. */
static char *real_digits(const json_t *v)
{
    for (size_t precision = 15;; precision++) {
        char *digits = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(precision));
        if (!digits || precision == 17 || strtod(digits, NULL) == json_real_value(v)) return digits;
        free(digits);
    }
}

static int add_value(const char *name, const json_t *v, struct text *out, struct error *e)
{
    if (json_is_string(v)) {
        text_bytes(out, json_string_value(v), json_string_length(v));
        return 0;
    }
    if (!json_is_number(v) && !json_is_boolean(v))
        return error_set(e, ERROR_INPUT, "{{%.60s}}: is %s, which is no text", name,
                         json_is_null(v)    ? "null"
                         : json_is_array(v) ? "a list"
                                            : "an object");
    char *digits = json_is_real(v) ? real_digits(v) : json_dumps(v, JSON_ENCODE_ANY);
    if (!digits) return error_set(e, ERROR_IO, "out of memory for a number");
    text_add(out, digits);
    free(digits);
    return 0;
}

int template_render(const struct template *t, const json_t *doc, struct text *out, struct error *e)
{
    for (size_t i = 0; i < t->n_parts; i++) {
        const struct template_part *p = &t->parts[i];
        if (!p->is_field) {
            text_add(out, p->text);
            continue;
        }
        const json_t *v = json_object_get(doc, p->text);
        int status = v ? add_value(p->text, v, out, e) : no_such_field(p->text, doc, e);
        if (status) return status;
    }
    return out->failed ? error_set(e, ERROR_IO, "out of memory for a rendered template") : 0;
}

json_t *template_value(const struct template *t, const json_t *doc)
{
    return t->n_parts == 1 && t->parts[0].is_field ? json_object_get(doc, t->parts[0].text) : NULL;
}

void template_free(struct template *t)
{
    for (size_t i = 0; i < t->n_parts; i++) free(t->parts[i].text);
    free(t->parts);
    free(t->source);
    *t = (struct template){0};
}
