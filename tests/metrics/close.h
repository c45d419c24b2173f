/* Doubles that have to agree within an absolute tolerance; NAN agrees with nothing. */
#ifndef KERF_TESTS_METRICS_CLOSE_H
#define KERF_TESTS_METRICS_CLOSE_H

#include "tests/testing.h"

#include <math.h>

static inline void assert_close(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.17g is not %.17g within %g", value, expected, tolerance);
}

#endif
