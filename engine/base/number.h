/* Numbers in settings: what people may write, and the shortest way to write them.
 *
 *     double v;
 *     if (!number_real("0.70", &v)) ...
 *     puts(number_shortest(v).digits);        "0.7" */
#ifndef KERF_ENGINE_BASE_NUMBER_H
#define KERF_ENGINE_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

struct number {
    char digits[32];
};

/* [-]DIGITS, in range; *out stays where it is not. */
bool number_whole(const char *s, int64_t *out);
/* [-]DIGITS[.DIGITS][e[+|-]DIGITS], of the digits around the point at least one; finite. */
bool number_real(const char *s, double *out);
/* As few digits as read back as the same number. */
struct number number_shortest(double v);

#endif
