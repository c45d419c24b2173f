/* What stands between {{ and }} in a template: a field of the document, and what is done to it.
 *
 *     struct expression *x;
 *     if (expression_parse(&x, "choices.label.index(answer)", 27, e)) ...
 *     json_t *v = expression_value(x, doc, e);        new; NULL with an error
 *     expression_free(x);
 *
 * The part of Jinja that prompts need:
 *     field   field.member   list[0]   list[-1]   object["key"]
 *     |trim   |lower   |upper   |capitalize   |replace("a", "b")   |join(", ")
 *     .strip()   .lstrip()   .rstrip()   .lower()   .upper()   .capitalize()   .replace("a", "b")   .split("a")   .index(x)
 * Arguments are strings in either quotation marks, whole numbers and expressions. The name of a field may have spaces. */
#ifndef KERF_SUITES_EXPRESSION_H
#define KERF_SUITES_EXPRESSION_H

#include "engine/base/error.h"
#include <jansson.h>
#include <stddef.h>

struct expression;

int expression_parse(struct expression **out, const char *s, size_t n, struct error *e);
json_t *expression_value(const struct expression *x, const json_t *doc, struct error *e);
void expression_free(struct expression *x);

#endif
