#include "engine/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, enum error_code code, const char *format, ...)
{
    if (!e) return (int)code;
    e->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return (int)code;
}

int error_prefix(struct error *e, const char *format, ...)
{
    if (!e) return ERROR_INPUT;
    char rest[sizeof e->text];
    memcpy(rest, e->text, sizeof rest);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n + 3 > sizeof e->text) return (int)e->code;
    size_t at = (size_t)n + 2, room = sizeof e->text - at - 1, length = strnlen(rest, sizeof rest);
    memcpy(e->text + n, ": ", 2);
    memcpy(e->text + at, rest, length < room ? length : room);
    e->text[at + (length < room ? length : room)] = 0; /* what does not fit is cut */
    return (int)e->code;
}

int error_errno(struct error *e, const char *path, const char *doing)
{
    int saved = errno;
    return error_set(e, ERROR_IO, "%s: %s: %s", path, doing, strerror(saved));
}
