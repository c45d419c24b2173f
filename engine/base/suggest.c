#include "engine/base/suggest.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Levenshtein distance of two names of at most 63 bytes. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], na = strlen(a), nb = strlen(b);
    if (na > 63 || nb > 63) return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++) row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

static const char *nearest(const char *name, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t least = SIZE_MAX, length = strlen(name);
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(name, names[i]);
        bool starts = length >= 2 && strncmp(name, names[i], length) == 0;
        if (starts && d > 1) d = 1;
        if (d < least) least = d, best = names[i];
    }
    return least < length && least <= (length < 5 ? 1 : length / 3 + 1) ? best : NULL;
}

static size_t shared_beginning(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n]) n++;
    return n;
}

struct suggestion suggest(const char *name, const char *const *names, size_t n)
{
    struct suggestion s = {""};
    const char *best = nearest(name, names, n);
    size_t longest = 2;
    for (size_t i = 0; !best && i < n; i++) {
        size_t same = shared_beginning(name, names[i]);
        if (same > longest && same * 2 >= strlen(names[i])) longest = same, best = names[i];
    }
    if (best) snprintf(s.words, sizeof s.words, ", did you mean \"%.80s\"?", best);
    return s;
}
