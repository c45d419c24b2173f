/* Prompt templates: text with {{expressions}} in it (suites/expression.h).
 *
 *     struct template t;
 *     if (template_parse(&t, "{{context}}\nQuestion: {{question|trim}}\nAnswer:", where, e)) ...
 *     if (template_render(&t, doc, &out, e)) ...
 *     template_free(&t);
 *
 * A field that the document lacks is an error that names it and the nearest one there is. Numbers and booleans render
 * as JSON writes them; lists and objects do not render, except that a template which is one expression and nothing else
 * may be asked for the JSON value itself. Jinja's statements and comments are errors. */
#ifndef KERF_SUITES_TEMPLATE_H
#define KERF_SUITES_TEMPLATE_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include "suites/expression.h"

struct template_part {
    char *text;                    /* literal text, or what stands between {{ and }} */
    struct expression *expression; /* NULL of literal text */
};

struct template
{
    char *source;
    struct template_part *parts;
    size_t n_parts;
};

int template_parse(struct template *t, const char *source, const char *where, struct error *e);
int template_render(const struct template *t, const json_t *doc, struct text *out, struct error *e);
/* Whether the template is exactly one expression. */
bool template_is_value(const struct template *t);
/* The value of such a template, new; NULL with an error. */
json_t *template_value(const struct template *t, const json_t *doc, struct error *e);
/* Appends a value as templates write it; ERROR_INPUT where it is no text: "is a list, which is no text". */
int value_render(const json_t *v, struct text *out, struct error *e);
void template_free(struct template *t);

#endif
