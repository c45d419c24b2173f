/* Inside the making of items: a document becomes an item by a suite's templates.
 *
 *     struct item it = {.index = 7, .doc = json_incref(doc)};
 *     if (item_render(&it, suite, e)) ...             "doc_to_text: {{contxt}}: the document has no such field"
 *     item_free(&it);                                 also after failure
 */
#ifndef KERF_SUITES_RENDER_H
#define KERF_SUITES_RENDER_H

#include "suites/suite.h"

/* Everything but what examples and a description put before the prompt. */
int item_render(struct item *it, const struct suite *s, struct error *e);
void item_free(struct item *it);
/* The description, as this document has it. */
int render_description(const struct suite *s, const json_t *doc, struct text *out, struct error *e);

#endif
