#include "suites/template.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

static int add_part(struct template *t, size_t *capacity, const char *s, size_t n, struct template_part **out,
                    struct error *e)
{
    void *parts = t->parts;
    int status = memory_reserve(&parts, capacity, t->n_parts + 1, sizeof *t->parts, "a template", e);
    t->parts = parts;
    if (status) return status;
    char *text = memory_bytes(s, n, e);
    if (!text) return ERROR_IO;
    *out = &t->parts[t->n_parts++];
    **out = (struct template_part){.text = text};
    return 0;
}

static int add_text(struct template *t, size_t *capacity, const char *s, size_t n, struct error *e)
{
    struct template_part *part;
    return n ? add_part(t, capacity, s, n, &part, e) : 0;
}

static int add_expression(struct template *t, size_t *capacity, const char *s, size_t n, const char *where,
                          struct error *e)
{
    struct template_part *part;
    for (; n && s[0] == ' '; n--) s++;
    for (; n && s[n - 1] == ' ';) n--;
    if (!n) return error_set(e, ERROR_INPUT, "%s: {{}} has no field name in it", where);
    int status = add_part(t, capacity, s, n, &part, e);
    if (!status && (status = expression_parse(&part->expression, s, n, e)))
        error_prefix(e, "%s: {{%.60s}}", where, part->text);
    return status;
}

/* {% or {#, unless the brace is the second of {{. */
static bool has_statement(const char *s)
{
    for (const char *at = s; (at = strchr(at, '{')); at++) {
        if (at[1] == '%' || at[1] == '#') return true;
        if (at[1] == '{') at++;
    }
    return false;
}

static int parse_parts(struct template *t, const char *where, struct error *e)
{
    size_t capacity = 0;
    const char *at = t->source;
    if (has_statement(at))
        return error_set(e, ERROR_INPUT,
                         "%s: {%% and {# are not accepted: a template has text and {{expressions}} only", where);
    for (const char *open; (open = strstr(at, "{{"));) {
        const char *close = strstr(open + 2, "}}");
        if (!close) return error_set(e, ERROR_INPUT, "%s: a {{ has no }} after it", where);
        int status = add_text(t, &capacity, at, (size_t)(open - at), e);
        if (!status) status = add_expression(t, &capacity, open + 2, (size_t)(close - open) - 2, where, e);
        if (status) return status;
        at = close + 2;
    }
    return add_text(t, &capacity, at, strlen(at), e);
}

int template_parse(struct template *t, const char *source, const char *where, struct error *e)
{
    *t = (struct template){.source = memory_string(source, e)};
    int status = t->source ? parse_parts(t, where, e) : ERROR_IO;
    if (status) template_free(t);
    return status;
}

/* The shortest digits that read back as the same number. */
static char *real_digits(const json_t *v, struct error *e)
{
    for (size_t precision = 15;; precision++) {
        char *digits = json_dump_text(v, JSON_REAL_PRECISION(precision), e);
        if (!digits || precision == 17 || strtod(digits, NULL) == json_real_value(v)) return digits;
        free(digits);
    }
}

int value_render(const json_t *v, struct text *out, struct error *e)
{
    if (json_is_string(v)) {
        text_bytes(out, json_string_value(v), json_string_length(v));
        return out->failed ? error_set(e, ERROR_IO, "out of memory for a text") : 0;
    }
    if (!json_is_number(v) && !json_is_boolean(v))
        return error_set(e, ERROR_INPUT, "is %s, which is no text",
                         json_is_null(v)    ? "null"
                         : json_is_array(v) ? "a list"
                                            : "an object");
    char *digits = json_is_real(v) ? real_digits(v, e) : json_dump_text(v, 0, e);
    if (!digits) return ERROR_IO;
    text_add(out, digits);
    free(digits);
    return out->failed ? error_set(e, ERROR_IO, "out of memory for a number") : 0;
}

static int render_expression(const struct template_part *p, const json_t *doc, struct text *out, struct error *e)
{
    struct error x = {0};
    json_t *v = expression_value(p->expression, doc, &x);
    int status = v ? value_render(v, out, &x) : (int)x.code;
    json_decref(v);
    return status ? error_set(e, x.code, "{{%.60s}}: %s", p->text, x.text) : 0;
}

int template_render(const struct template *t, const json_t *doc, struct text *out, struct error *e)
{
    for (size_t i = 0; i < t->n_parts; i++) {
        const struct template_part *p = &t->parts[i];
        int status = 0;
        if (p->expression)
            status = render_expression(p, doc, out, e);
        else
            text_add(out, p->text);
        if (status) return status;
    }
    return out->failed ? error_set(e, ERROR_IO, "out of memory for a rendered template") : 0;
}

bool template_is_value(const struct template *t) { return t->n_parts == 1 && t->parts[0].expression; }

json_t *template_value(const struct template *t, const json_t *doc, struct error *e)
{
    struct error x = {0};
    json_t *v = expression_value(t->parts[0].expression, doc, &x);
    if (!v) error_set(e, x.code, "{{%.60s}}: %s", t->parts[0].text, x.text);
    return v;
}

void template_free(struct template *t)
{
    for (size_t i = 0; i < t->n_parts; i++) {
        expression_free(t->parts[i].expression);
        free(t->parts[i].text);
    }
    free(t->parts);
    free(t->source);
    *t = (struct template){0};
}
