#include "suites/suggest.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

static size_t shared_beginning(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n]) n++;
    return n;
}

struct suggestion suggest(const char *name, const char *const *names, size_t n)
{
    struct suggestion s = {""};
    const char *best = nearest_name(name, names, n);
    size_t longest = 2;
    for (size_t i = 0; !best && i < n; i++) {
        size_t same = shared_beginning(name, names[i]);
        if (same > longest && same * 2 >= strlen(names[i])) longest = same, best = names[i];
    }
    if (best) snprintf(s.words, sizeof s.words, ", did you mean \"%.80s\"?", best);
    return s;
}
