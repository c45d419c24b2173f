/* Lower case as Unicode and Python's str.lower() have it: the simple mapping of every code point but for the dotted
 * capital I, which becomes two, and the sigma that ends a word. Bytes that are not UTF-8 stay as they are. */
#ifndef KERF_METRICS_LOWERCASE_H
#define KERF_METRICS_LOWERCASE_H

#include "engine/base/text.h"

void lowercase_add(struct text *out, const char *s, size_t n);

#endif
