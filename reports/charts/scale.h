/* From a quantity to a place on an axis, and the round numbers on it.
 *
 *     const struct chart_scale x = chart_scale_fit(low, high, false, frame.left, frame.right);
 *     chart_place(&x, v)
 *     struct chart_ticks t = chart_ticks(&x, 5);
 */
#ifndef KERF_REPORTS_CHARTS_SCALE_H
#define KERF_REPORTS_CHARTS_SCALE_H

#include <stdbool.h>
#include <stddef.h>

enum { TICKS = 12 };

struct chart_scale {
    double low, high; /* the quantity's; their logarithms to base 10 where it is logarithmic */
    double from, to;  /* the axis' */
    bool logarithmic;
};

struct chart_ticks {
    double at[TICKS];
    size_t n;
    int decimals; /* that tell them apart; -1: they are powers, or too large or small for a point */
};

/* Whatever low and high are, the scale is one: they are put in order, moved apart and kept finite. Both must be above 0
 * where it is logarithmic. */
struct chart_scale chart_scale_fit(double low, double high, bool logarithmic, double from, double to);
/* Between `from` and `to` with one length more to both sides, for any v. */
double chart_place(const struct chart_scale *s, double v);
/* Between 2 and TICKS numbers where that can be, about `wanted` of them. */
struct chart_ticks chart_ticks(const struct chart_scale *s, int wanted);
/* As many linear ones as stand beside one another on a horizontal axis, with room between their texts. */
struct chart_ticks chart_ticks_across(const struct chart_scale *s, bool sign, double size);
/* "0.02", "+0.02" with `sign`; "2e-7" without a point. */
void chart_tick_text(char *out, size_t room, const struct chart_ticks *t, size_t i, bool sign);

#endif
