#include "reports/export/export.h"
#include "engine/base/suggest.h"

#include <string.h>

static const struct exporter *const formats[] = {&export_to_lm_eval};
enum { FORMATS = sizeof formats / sizeof *formats };

const struct exporter *exporter_at(size_t i) { return i < FORMATS ? formats[i] : NULL; }

const struct exporter *exporter_find(const char *name, struct error *e)
{
    const char *names[FORMATS];
    struct text list = {0};
    for (size_t i = 0; i < FORMATS; i++) {
        names[i] = formats[i]->name;
        if (strcmp(name, names[i]) == 0) return text_free(&list), formats[i];
        text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const struct suggestion guess = suggest(name, names, FORMATS);
    error_set(e, ERROR_USAGE, "%s: unknown format%s; there is: %s", name, guess.words, text_c(&list));
    text_free(&list);
    return NULL;
}
