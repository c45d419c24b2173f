/* Reading the settings of a backend's spec. */
#include "engine/backends/pack.h"
#include "engine/base/number.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int setting_wrong(const struct backend_spec *spec, const char *key, const char *what, struct error *e)
{
    return error_set(e, ERROR_USAGE, "backend \"%s\": %s: must be %s", spec->whole, key, what);
}

const char *setting_text(const struct backend_spec *spec, const char *key, bool *given)
{
    if (given) *given = false;
    for (size_t i = 0; i < spec->n_settings; i++) {
        if (strcmp(spec->settings[i].key, key)) continue;
        if (given) *given = true;
        return spec->settings[i].value;
    }
    return NULL;
}

int setting_number(const struct backend_spec *spec, const char *key, int64_t low, int64_t high, int64_t *out,
                   struct error *e)
{
    bool given;
    const char *text = setting_text(spec, key, &given);
    if (!given) return 0;
    char what[96];
    int64_t v;
    if (text && number_whole(text, &v) && v >= low && v <= high) return *out = v, 0;
    snprintf(what, sizeof what, "a whole number from %" PRId64 " to %" PRId64, low, high);
    return setting_wrong(spec, key, what, e);
}

int setting_real(const struct backend_spec *spec, const char *key, double low, double high, double *out,
                 struct error *e)
{
    bool given;
    const char *text = setting_text(spec, key, &given);
    if (!given) return 0;
    char what[96];
    double v;
    if (text && number_real(text, &v) && v >= low && v <= high) return *out = v, 0;
    snprintf(what, sizeof what, "a number from %g to %g", low, high);
    return setting_wrong(spec, key, what, e);
}

int setting_flag(const struct backend_spec *spec, const char *key, bool *out, struct error *e)
{
    bool given;
    const char *text = setting_text(spec, key, &given);
    if (!given) return 0;
    if (text && strcmp(text, "yes") && strcmp(text, "no"))
        return setting_wrong(spec, key, "given alone, or be yes or no", e);
    *out = !text || strcmp(text, "yes") == 0;
    return 0;
}

bool spec_add(struct backend_options *o, const char *format, ...)
{
    size_t at = strlen(o->spec);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->spec + at, sizeof o->spec - at, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof o->spec - at) return true;
    o->spec[at] = 0;
    return false;
}

bool pattern_fits(const char *pattern, const char *name)
{
    char stem[256];
    size_t n = strlen(name), ending = strlen(".weight");
    if (fnmatch(pattern, name, FNM_NOESCAPE) == 0) return true;
    if (n < ending || n - ending >= sizeof stem || strcmp(name + n - ending, ".weight")) return false;
    memcpy(stem, name, n - ending);
    stem[n - ending] = 0;
    return fnmatch(pattern, stem, FNM_NOESCAPE) == 0;
}

bool spec_add_real(struct backend_options *o, const char *key, double value)
{
    return spec_add(o, ",%s=%s", key, number_shortest(value).digits);
}
