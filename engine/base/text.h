/* A growing string of bytes, and the few things that UTF-8 needs.
 *
 *     struct text t = {0};
 *     text_printf(&t, "%d items", n);
 *     if (t.failed) ...out of memory...
 *     puts(t.bytes);
 *     text_free(&t);
 *
 * Appending never returns an error: `failed` stays set once memory ran out, and is checked once at the end.
 * `bytes` is NUL-terminated whenever it is not NULL; text_c() is "" for an empty text. */
#ifndef KERF_ENGINE_BASE_TEXT_H
#define KERF_ENGINE_BASE_TEXT_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes;
    size_t length, capacity;
    bool failed;
};

void text_add(struct text *t, const char *s);
void text_bytes(struct text *t, const void *data, size_t n);
void text_char(struct text *t, char c);
void text_codepoint(struct text *t, uint32_t codepoint); /* as UTF-8 */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *text_c(const struct text *t);
void text_clear(struct text *t); /* keeps the memory */
void text_free(struct text *t);

/* Adds s with everything made visible that a terminal would act on or that nobody sees: C0 and C1 controls, DEL,
 * bidirectional overrides, what has no width, noncharacters and bytes that are not UTF-8, as \n, \xNN or \u{NNNN}. */
void text_terminal(struct text *t, const char *s, size_t n);

/* Decodes one code point at s (n > 0 bytes left): its length in bytes, or 0 where the bytes are not UTF-8 (overlong
 * forms, surrogates and values above 0x10FFFF are not). */
size_t utf8_decode(const char *s, size_t n, uint32_t *codepoint);
size_t utf8_length(const char *s, size_t n); /* code points; a byte that is not UTF-8 counts as one */
/* ERROR_INPUT with line and byte, both from 1, where a file's bytes are no text: the first that is not UTF-8, or a NUL.
 * `line`: the number of the line that s begins. */
int text_check(const char *path, size_t line, const char *s, size_t n, struct error *e);
bool text_ends_with(const char *s, const char *end);
/* White space as str.isspace() of Python has it (the Unicode White_Space property and 0x1C-0x1F). */
bool codepoint_is_space(uint32_t codepoint);

#endif
