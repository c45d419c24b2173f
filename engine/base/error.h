/* Errors: a code that becomes the exit status, and one line that says file, place, field and remedy.
 *
 *     int thing_open(struct thing *t, const char *path, struct error *e)
 *     {
 *         if (count > left) return error_set(e, ERROR_INPUT, "%s: offset 0x%zx: count: %" PRIu64 " is too large", ...);
 *         return 0;
 *     }
 *
 * Functions that can fail return 0 or an enum error_code and leave the words in the caller's struct error. The one who
 * knows the reason writes it; callers pass it on. Text from files may stand in a message as it is: whoever prints it
 * escapes it for the sink. */
#ifndef KERF_ENGINE_BASE_ERROR_H
#define KERF_ENGINE_BASE_ERROR_H

#define ERROR_CODES(X)                                                                                                 \
    X(NONE, 0, "success")                                                                                              \
    X(CHECK, 1, "a check failed")                                                                                      \
    X(USAGE, 2, "usage")                                                                                               \
    X(INPUT, 3, "bad input")                                                                                           \
    X(IO, 4, "input/output")                                                                                           \
    X(NUMBER, 5, "not a finite number")                                                                                \
    X(SERVER, 6, "server")                                                                                             \
    X(INTERRUPTED, 130, "interrupted")

enum error_code {
#define X(name, status, text) ERROR_##name = status,
    ERROR_CODES(X)
#undef X
};

struct error {
    enum error_code code;
    char text[1024]; /* one line, no newline at the end */
};

/* Fills *e (which may be NULL) and returns code, so that a function can end with it. */
int error_set(struct error *e, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "WHERE: " before the words that are already there; returns e->code. */
int error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* ERROR_IO with the words of errno: "PATH: doing: No such file or directory". */
int error_errno(struct error *e, const char *path, const char *doing);

#endif
