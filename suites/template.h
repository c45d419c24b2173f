/* Prompt templates: text with {{field}} in it.
 *
 *     struct template t;
 *     if (template_parse(&t, "{{context}}\nQuestion: {{question}}\nAnswer:", where, e)) ...
 *     if (template_render(&t, doc, &out, e)) ...
 *     template_free(&t);
 *
 * A field that the document lacks is an error that names it and the nearest one there is. Numbers and booleans render
 * as JSON writes them; lists and objects do not render, except that a template which is one {{field}} and nothing else
 * may be asked for the JSON value itself. */
#ifndef KERF_SUITES_TEMPLATE_H
#define KERF_SUITES_TEMPLATE_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <jansson.h>

struct template_part {
    char *text; /* literal text or the name of a field */
    bool is_field;
};

struct template
{
    char *source;
    struct template_part *parts;
    size_t n_parts;
};

int template_parse(struct template *t, const char *source, const char *where, struct error *e);
int template_render(const struct template *t, const json_t *doc, struct text *out, struct error *e);
/* The document's value of a template that is exactly one field, else NULL. Borrowed. */
json_t *template_value(const struct template *t, const json_t *doc);
void template_free(struct template *t);

#endif
