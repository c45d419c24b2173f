#include "cli/kernels/family.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int wanted_new(struct wanted *w, int64_t n, struct error *e)
{
    *w = (struct wanted){.n = n};
    w->value = memory_new((size_t)n, sizeof *w->value, "expected values", e);
    w->bound = w->value ? memory_new((size_t)n, sizeof *w->bound, "their bounds", e) : NULL;
    if (!w->bound) {
        wanted_free(w);
        return ERROR_IO;
    }
    for (int64_t i = 0; i < n; i++) w->bound[i] = -1;
    return 0;
}

void wanted_free(struct wanted *w)
{
    free(w->value);
    free(w->bound);
    *w = (struct wanted){0};
}

void verdict_wrong(struct kernel_verdict *v, const char *format, ...)
{
    va_list arguments;
    if (v->wrong) return;
    v->wrong = true;
    va_start(arguments, format);
    vsnprintf(v->words, sizeof v->words, format, arguments);
    va_end(arguments);
}

/* Past this magnitude a rounded number is infinite: half a step beyond the largest. */
static const double overflow = (double)FLT_MAX * (1 + 0x1p-25);

void verdict_value(struct kernel_verdict *v, int64_t i, int64_t n, double got, double wanted, double bound)
{
    if (bound == INFINITY) return;
    if (!isfinite(wanted)) {
        if (isnan(wanted) ? !isnan(got) : got != wanted)
            verdict_wrong(v, "value %lld of %lld is %.9g instead of %g", (long long)i, (long long)n, got, wanted);
        return;
    }
    if (isinf(got) && copysign(1, got) * wanted + bound >= overflow) return;
    double off = fabs(got - wanted), units = off <= 0 ? 0 : bound > 0 ? off / bound : INFINITY;
    if (!(off <= bound)) { /* NaN too */
        if (bound > 0 && isfinite(off))
            verdict_wrong(v, "value %lld of %lld is %.9g instead of %.9g (%.3g times its bound)", (long long)i,
                          (long long)n, got, wanted, units);
        else
            verdict_wrong(v, "value %lld of %lld is %.9g instead of %.9g", (long long)i, (long long)n, got, wanted);
        units = isfinite(units) ? units : INFINITY;
    }
    if (units > v->error) {
        v->error = units;
        v->bound = bound;
    }
}

void wanted_judge(const struct wanted *w, const float *got, struct kernel_verdict *v)
{
    uint8_t untouched[sizeof *got];
    memset(untouched, UNTOUCHED, sizeof untouched);
    for (int64_t i = 0; i < w->n; i++)
        if (w->bound[i] >= 0)
            verdict_value(v, i, w->n, (double)got[i], w->value[i], w->bound[i]);
        else if (memcmp(&got[i], untouched, sizeof untouched))
            verdict_wrong(v, "value %lld of %lld lies between rows and was written: %.9g", (long long)i,
                          (long long)w->n, (double)got[i]);
}

void verdict_bytes(struct kernel_verdict *v, const uint8_t *got, const uint8_t *wanted, int64_t n)
{
    for (int64_t i = 0; i < n && !v->wrong; i++)
        if (got[i] != wanted[i])
            verdict_wrong(v, "byte %lld of %lld is 0x%02x instead of 0x%02x", (long long)i, (long long)n, got[i],
                          wanted[i]);
}

void floats_canonical(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = isnan(from[i]) ? float_of_bits(0x7fc00000) : from[i];
}

void case_put(struct kernel_case *c, const char *kernel, const char *variant, const char *content, bool measured,
              double work)
{
    snprintf(c->kernel, sizeof c->kernel, "%s", kernel);
    snprintf(c->variant, sizeof c->variant, "%s", variant);
    snprintf(c->content, sizeof c->content, "%s", content);
    c->measured = measured;
    c->work = work;
}
