#include "reports/charts/scale.h"
#include "reports/charts/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keeps sums and differences of two such numbers finite. */
static double bounded(double v) { return fmin(fmax(v, -1e300), 1e300); }

struct chart_scale chart_scale_fit(double low, double high, bool logarithmic, double from, double to)
{
    struct chart_scale s = {bounded(fmin(low, high)), bounded(fmax(low, high)), from, to, logarithmic};
    if (logarithmic) {
        s.low = log10(fmax(s.low, 1e-300));
        s.high = log10(fmax(s.high, 1e-300));
    }
    const double middle = s.low / 2 + s.high / 2, least = fmax(fabs(middle) * 1e-9, 1e-280);
    if (s.high - s.low < least) {
        const double half = logarithmic ? 0.5 : middle == 0 ? 1 : fabs(middle) * 0.01;
        s.low = middle - half;
        s.high = middle + half;
    }
    return s;
}

double chart_place(const struct chart_scale *s, double v)
{
    const double u = s->logarithmic ? log10(fmax(v, 1e-300)) : bounded(v);
    const double share = (u - s->low) / (s->high - s->low);
    return s->from + fmin(fmax(share, -1), 2) * (s->to - s->from);
}

/* 1, 2 or 5 times a power of ten, at least `step`. */
static double round_step(double step)
{
    const double power = pow(10, floor(log10(step)));
    const double leading = step / power;
    return power * (leading <= 1.0001 ? 1 : leading <= 2.0001 ? 2 : leading <= 5.0001 ? 5 : 10);
}

static struct chart_ticks linear_ticks(const struct chart_scale *s, int wanted)
{
    struct chart_ticks t = {.n = 0};
    const double step = round_step((s->high - s->low) / wanted), slack = step * 1e-6;
    const double first = ceil((s->low - slack) / step);
    for (int k = 0; k < TICKS; k++) {
        const double v = (first + k) * step;
        if (v > s->high + slack) break;
        t.at[t.n++] = v;
    }
    const double power = floor(log10(step) + 1e-6);
    const bool plain = power > -7 && fmax(fabs(s->low), fabs(s->high)) < 1e7;
    t.decimals = !plain ? -1 : power < 0 ? (int)-power : 0;
    return t;
}

/* 1, 2 and 5 of each power of ten, or 1 alone, or every so many powers, whatever comes near what is wanted. */
static struct chart_ticks logarithmic_ticks(const struct chart_scale *s, int wanted)
{
    static const double leading[] = {1, 2, 5};
    struct chart_ticks t = {.decimals = -1};
    const double decades = s->high - s->low;
    const bool dense = decades * 3 <= wanted + 1;
    const double stride = fmax(1, ceil(decades / (wanted + 1)));
    const double first = floor(s->low / stride) * stride;
    for (double power = first; power <= s->high + 1e-6; power += stride)
        for (int i = 0; i < (dense ? 3 : 1) && t.n < TICKS; i++) {
            const double v = pow(10, power) * leading[i];
            if (log10(v) >= s->low - 1e-6 && log10(v) <= s->high + 1e-6) t.at[t.n++] = v;
        }
    return t;
}

struct chart_ticks chart_ticks(const struct chart_scale *s, int wanted)
{
    return s->logarithmic ? logarithmic_ticks(s, wanted) : linear_ticks(s, wanted);
}

void chart_tick_text(char *out, size_t room, const struct chart_ticks *t, size_t i, bool sign)
{
    const double v = t->at[i];
    if (t->decimals >= 0 || v == 0) {
        const int decimals = t->decimals > 0 ? t->decimals : 0;
        /* A zero that rounding has made negative would be "-0.00". */
        const double near = fabs(v) < 0.5 * pow(10, -decimals) ? 0 : v;
        snprintf(out, room, sign && near > 0 ? "%+.*f" : "%.*f", decimals, near);
        return;
    }
    snprintf(out, room, sign ? "%+.4g" : "%.6g", v);
}

struct chart_ticks chart_ticks_across(const struct chart_scale *s, bool sign, double size)
{
    for (int wanted = 6;; wanted--) {
        const struct chart_ticks t = chart_ticks(s, wanted);
        double widest = 0;
        char text[32];
        for (size_t i = 0; i < t.n; i++) {
            chart_tick_text(text, sizeof text, &t, i, sign);
            widest = fmax(widest, chart_text_width(text, size));
        }
        const double apart = t.n > 1 ? chart_place(s, t.at[1]) - chart_place(s, t.at[0]) : INFINITY;
        if (wanted == 1 || fabs(apart) > widest + size / 2) return t;
    }
}
