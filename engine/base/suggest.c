#include "engine/base/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 63 }; /* bytes of a name that is compared */

static int folded(char c) { return tolower((unsigned char)c); }

/* Edit distance of two names without regard to case, where a swap of neighbours is one slip too: the "optimal string
 * alignment" of Damerau (1964), "A technique for computer detection and correction of spelling errors". */
static size_t edit_distance(const char *a, const char *b)
{
    size_t table[3][LONGEST + 1], na = strlen(a), nb = strlen(b);
    size_t *before = table[0], *last = table[1], *row = table[2]; /* of a's first i - 2, i - 1 and i letters */
    if (na > LONGEST || nb > LONGEST) return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++) row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *spare = before;
        before = last, last = row, row = spare;
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            const int x = folded(a[i - 1]), y = folded(b[j - 1]);
            size_t best = last[j - 1] + (x != y);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            const bool swap = i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]);
            if (swap && before[j - 2] + 1 < best) best = before[j - 2] + 1;
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
        bool starts = length >= 2 && strncasecmp(name, names[i], length) == 0;
        if (starts && d > 1) d = 1;
        if (d < least) least = d, best = names[i];
    }
    return least < length && least <= (length < 5 ? 1 : length / 3 + 1) ? best : NULL;
}

static size_t shared_beginning(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && folded(a[n]) == folded(b[n])) n++;
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
