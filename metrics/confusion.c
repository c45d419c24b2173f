#include "metrics/confusion.h"
#include "engine/base/memory.h"

int confusion_count(const struct outcome *o, size_t n, size_t *classes, double **matrix, struct error *e)
{
    *classes = 0;
    *matrix = NULL;
    for (size_t i = 0; i < n; i++) {
        int status = choice_check(&o[i], e);
        if (!status && o[i].n_choices > CLASSES)
            status = error_set(e, ERROR_INPUT, "choices: %zu classes are more than %d", o[i].n_choices, CLASSES);
        if (status) return error_prefix(e, "item %zu", i);
        if (o[i].n_choices > *classes) *classes = o[i].n_choices;
    }
    if (!(*matrix = memory_new(*classes * *classes, sizeof **matrix, "confusion matrix", e))) return ERROR_IO;
    for (size_t i = 0; i < n; i++) (*matrix)[o[i].gold * *classes + choice_best(&o[i], NULL)]++;
    return 0;
}
