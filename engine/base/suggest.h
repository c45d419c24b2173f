/* The end of an error about a name that nobody knows: `, did you mean "metric_list"?`.
 *
 *     return error_set(e, ERROR_USAGE, "%s: unknown command%s", name, suggest(name, names, n).words); */
#ifndef KERF_ENGINE_BASE_SUGGEST_H
#define KERF_ENGINE_BASE_SUGGEST_H

#include <stddef.h>

struct suggestion {
    char words[128]; /* "" where no name is near */
};

/* The nearest by edit distance, where a swap of neighbouring letters is one slip and case does not count, if it is near
 * enough to be a slip of the fingers; else one that begins as `name` does for at least half of its length. */
struct suggestion suggest(const char *name, const char *const *names, size_t n);

#endif
