#include "engine/backends/backend.h"
#include "engine/base/suggest.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

extern const struct backend backend_f32, backend_f16, backend_bf16, backend_int8, backend_gguf, backend_gptq,
    backend_rtn;

static const struct backend *const registry[] = {&backend_f32,  &backend_f16,  &backend_bf16, &backend_int8,
                                                 &backend_gguf, &backend_gptq, &backend_rtn};
enum { BACKENDS = sizeof registry / sizeof *registry };

const struct backend *backend_at(size_t i) { return i < BACKENDS ? registry[i] : NULL; }

static size_t list_length(const char *const *list)
{
    size_t n = 0;
    while (list && list[n]) n++;
    return n;
}

static bool list_has(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0) return true;
    return false;
}

/* "backend "q4": what: no such WHAT, did you mean "x"? (known: a, b, c)" */
static int unknown(const char *spec, const char *what, const char *name, const char *const *known, struct error *e)
{
    size_t n = list_length(known);
    if (!*name) name = "(empty)";
    struct text list = {0};
    for (size_t i = 0; i < n; i++) text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    int status = error_set(e, ERROR_USAGE, "backend \"%s\": %s: no such %s%s (known: %s)", spec, name, what,
                           suggest(name, known, n).words, n ? text_c(&list) : "none");
    text_free(&list);
    return status;
}

/* Cuts `copy` into spec's parts; returns the backend's name. */
static const char *split(char *copy, struct backend_spec *spec, struct error *e)
{
    char *rest = copy, *head = strsep(&rest, ",");
    char *name = strsep(&head, ":");
    spec->variant = head;
    while (rest) {
        if (spec->n_settings == BACKEND_SETTINGS) {
            error_set(e, ERROR_USAGE, "backend \"%s\": more than %d settings", spec->whole, BACKEND_SETTINGS);
            return NULL;
        }
        char *value = strsep(&rest, ","), *key = strsep(&value, "=");
        spec->settings[spec->n_settings].key = key;
        spec->settings[spec->n_settings++].value = value;
    }
    return name;
}

int backend_parse(struct backend_options *o, const char *text, struct error *e)
{
    *o = (struct backend_options){0};
    char copy[BACKEND_SPEC];
    if (strlen(text) >= sizeof copy)
        return error_set(e, ERROR_USAGE, "backend \"%.40s...\": longer than %d characters", text, BACKEND_SPEC - 1);
    snprintf(copy, sizeof copy, "%s", text);
    struct backend_spec spec = {.whole = text};
    const char *name = split(copy, &spec, e), *names[BACKENDS + 1] = {0};
    if (!name) return ERROR_USAGE;
    for (size_t i = 0; i < BACKENDS; i++) {
        names[i] = registry[i]->name;
        if (strcmp(name, registry[i]->name) == 0) o->backend = registry[i];
    }
    const struct backend *b = o->backend;
    if (!b) return unknown(text, "backend", name, names, e);
    if (spec.variant && !list_has(b->variants, spec.variant))
        return unknown(text, "variant", spec.variant, b->variants, e);
    for (size_t i = 0; i < spec.n_settings; i++)
        if (!list_has(b->keys, spec.settings[i].key)) return unknown(text, "option", spec.settings[i].key, b->keys, e);
    for (size_t i = 0; i < spec.n_settings; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(spec.settings[i].key, spec.settings[k].key) == 0 &&
                !(b->repeated_key && strcmp(spec.settings[i].key, b->repeated_key) == 0))
                return error_set(e, ERROR_USAGE, "backend \"%s\": %s: given twice", text, spec.settings[i].key);
    return b->configure(o, &spec, e);
}

bool backend_calibrates(const struct backend_options *o, struct calibration_plan *plan)
{
    *plan = (struct calibration_plan){.sequential = true};
    return o && o->backend->calibrate && o->backend->plan(o, plan);
}
