#include "engine/base/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9') s++;
    return s;
}

/* strtoll() would also take blanks and a plus. */
bool number_whole(const char *s, int64_t *out)
{
    const char *first = s + (*s == '-'), *end = skip_digits(first);
    if (end == first || *end) return false;
    errno = 0;
    const long long v = strtoll(s, NULL, 10);
    if (errno) return false;
    *out = v;
    return true;
}

/* strtod() would also take blanks, a plus, hexadecimal digits and words. */
bool number_real(const char *s, double *out)
{
    const char *first = s + (*s == '-'), *end = skip_digits(first);
    bool digits = end > first;
    if (*end == '.') {
        first = end + 1;
        end = skip_digits(first);
        digits = digits || end > first;
    }
    if (digits && (*end == 'e' || *end == 'E')) {
        first = end + 1;
        first += *first == '-' || *first == '+';
        end = skip_digits(first);
        digits = end > first;
    }
    if (!digits || *end) return false;
    const double v = strtod(s, NULL);
    if (!isfinite(v)) return false;
    *out = v;
    return true;
}

struct number number_shortest(double v)
{
    struct number n;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(n.digits, sizeof n.digits, "%.*g", digits, v);
        if (strtod(n.digits, NULL) == v) break;
    }
    return n;
}
