/* Lines of a terminal table. Widths are columns, one for each code point; what is laid out here has already been made
 * safe with text_terminal(). */
#ifndef KERF_REPORTS_LAYOUT_H
#define KERF_REPORTS_LAYOUT_H

#include "engine/base/text.h"
#include <stdbool.h>
#include <stddef.h>

size_t layout_width(const char *s);
/* Adds s cut to width columns ("…" at the cut) and filled up with spaces, on the left where `right` is set. */
void layout_pad(struct text *out, const char *s, size_t width, bool right);
const char *layout_skip(const char *s, size_t columns); /* s without its first columns, at most to its end */
void layout_rule(struct text *out, size_t width);
void layout_end(struct text *out); /* drops the spaces at the line's end and ends it */
/* Adds s as lines of at most width columns, broken at spaces; lines after the first start with `indent` spaces. */
void layout_wrap(struct text *out, const char *s, size_t width, size_t indent);

#endif
