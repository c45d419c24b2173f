#include "engine/base/json.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What is allocated on this thread for the text that is parsed. */
static _Thread_local struct {
    size_t most, used; /* most is 0 where there is no limit */
    bool ran_out, too_much;
} parsing;

static void *parser_malloc(size_t n)
{
    if (parsing.most && (n > parsing.most || parsing.used > parsing.most - n)) {
        parsing.too_much = true;
        return NULL;
    }
    parsing.used += n;
    void *p = malloc(n);
    parsing.ran_out |= !p;
    return p;
}

/* Before main(): no value is made before it, and no thread is there. */
__attribute__((constructor)) static void watch_parser(void) { json_set_alloc_funcs(parser_malloc, free); }

static bool no_nul(const char *data, size_t n, struct error *e)
{
    /* jansson skips a NUL byte after a number */
    const char *nul = n ? memchr(data, 0, n) : NULL;
    if (nul) error_set(e, ERROR_INPUT, "byte %td: a NUL byte is no JSON", nul - data);
    return !nul;
}

/* The error is without the text's name; with `line` set it says the line, too. */
static json_t *parse(const char *data, size_t n, bool line, size_t most, struct error *e)
{
    if (!no_nul(data, n, e)) return NULL;
    json_error_t je;
    parsing.most = most, parsing.used = 0, parsing.ran_out = parsing.too_much = false;
    json_t *value = json_loadb(data, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
    parsing.most = 0;
    if (parsing.ran_out || parsing.too_much) {
        json_decref(value); /* something may be missing in it */
        if (parsing.ran_out)
            error_set(e, ERROR_IO, "out of memory for %zu bytes of JSON", n);
        else
            error_set(e, ERROR_INPUT, "takes more than the %zu MB of memory that are allowed for it", most >> 20);
        return NULL;
    }
    if (value) return value;
    /* jansson quotes the text that it stopped at, line breaks included */
    for (char *p = je.text; *p; p++)
        if ((unsigned char)*p < 0x20) *p = ' ';
    if (line)
        error_set(e, ERROR_INPUT, "line %d, column %d: %s", je.line, je.column, je.text);
    else
        error_set(e, ERROR_INPUT, "column %d: %s", je.column, je.text);
    return NULL;
}

json_t *json_read_bytes(const char *data, size_t n, const char *where, struct error *e)
{
    json_t *value = parse(data, n, true, 0, e);
    if (!value) error_prefix(e, "%s", where);
    return value;
}

json_t *json_read_line(const char *data, size_t n, struct error *e) { return parse(data, n, false, 0, e); }

json_t *json_read_bounded(const char *data, size_t n, struct error *e) { return parse(data, n, false, JSON_MEMORY, e); }

json_t *json_read_file(const char *path, struct error *e)
{
    struct file f;
    if (file_map(&f, path, e)) return NULL;
    json_t *value = json_read_bytes((const char *)f.data, f.size, path, e);
    file_unmap(&f);
    return value;
}

int json_write_file(const char *path, const json_t *value, struct error *e)
{
    struct output o;
    if (output_open(&o, path, e)) return ERROR_IO;
    if (json_dumpf(value, o.stream, JSON_INDENT(1) | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY)) {
        int status = error_set(e, ERROR_IO, "%s: the JSON text could not be written", path);
        output_abandon(&o);
        return status;
    }
    fputc('\n', o.stream); /* a failure shows in ferror() */
    return output_commit(&o, e);
}

json_t *json_text(const char *s, size_t n)
{
    json_t *j = json_stringn(s, n);
    if (j) return j;
    struct text clean = {0};
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t size = utf8_decode(s + i, n - i, &c);
        if (size)
            text_bytes(&clean, s + i, size);
        else
            text_codepoint(&clean, 0xFFFD);
        i += size ? size : 1;
    }
    j = clean.failed ? NULL : json_stringn(text_c(&clean), clean.length);
    text_free(&clean);
    return j;
}

const char *json_text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}
