/* What the user of a checkpoint must know and what does not keep it from being used: lines of facts.warning. */
#include "engine/models/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void model_warn(struct model *m, const char *format, ...)
{
    char words[512];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    struct text line = {0};
    text_terminal(&line, words, strlen(words)); /* words of a file may have newlines in them */
    char *const warning = m->facts.warning;
    const size_t n = strlen(warning);
    snprintf(warning + n, sizeof m->facts.warning - n, "%s%.200s: %s", n ? "\n" : "", m->facts.path, text_c(&line));
    text_free(&line);
}

/* Values of llama.cpp's enum llama_ftype: 4 to 6 and 33 to 35 are those of types that were withdrawn, 1024 says that
 * the writer guessed. */
static bool is_file_type(uint64_t type)
{
    enum { LAST = 40, GUESSED = 1024 };
    return (type & ~(uint64_t)GUESSED) <= LAST;
}

void warn_of_file_type(struct model *m)
{
    const struct gguf *g = checkpoint_gguf(source_checkpoint(m->source));
    const struct gguf_value *value = g ? gguf_find(g, "general.file_type") : NULL;
    uint64_t type;
    if (!value) return;
    if (!gguf_as_u64(value, &type))
        model_warn(m, "general.file_type: is no integer; each tensor says its own type");
    else if (!is_file_type(type))
        model_warn(m, "general.file_type: %llu is not known; each tensor says its own type", (unsigned long long)type);
}

void warn_of_zeros(struct model *m)
{
    char what[SOURCE_WARNING];
    source_warning(m->source, what);
    if (*what) model_warn(m, "%s", what);
}

void warn_of_tokenizer(struct model *m, const struct tokenizer *t)
{
    if (*tokenizer_warning(t)) model_warn(m, "%s", tokenizer_warning(t));
}
