#include "engine/base/json.h"
#include "engine/base/file.h"
#include "engine/base/json_parse.h"
#include "engine/base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static size_t allowed(size_t n) { return JSON_MEMORY + 32 * n; }

json_t *json_read_bytes(const char *data, size_t n, const char *where, struct error *e)
{
    json_t *value = json_parse(data, n, true, allowed(n), e);
    if (!value) error_prefix(e, "%s", where);
    return value;
}

json_t *json_read_line(const char *data, size_t n, struct error *e)
{
    return json_parse(data, n, false, allowed(n), e);
}

json_t *json_read_bounded(const char *data, size_t n, struct error *e)
{
    return json_parse(data, n, false, JSON_MEMORY, e);
}

/* Copies a JSON text and puts ".0" behind each integer that 64 bits do not hold. */
static void widen(const char *data, size_t n, struct text *out)
{
    bool string = false;
    for (size_t i = 0; i < n;) {
        const char c = data[i];
        size_t length = string && c == '\\' && i + 1 < n ? 2 : 1;
        const bool number = !string && ((c >= '0' && c <= '9') || c == '-');
        if (c == '"') string = !string;
        while (number && i + length < n && data[i + length] && strchr("0123456789+-.eE", data[i + length])) length++;
        text_bytes(out, data + i, length);
        if (number && length > 18 && !out->failed) {
            char *end;
            errno = 0;
            (void)strtoll(text_c(out) + out->length - length, &end, 10);
            if (errno == ERANGE && !*end) text_add(out, ".0");
        }
        i += length;
    }
}

json_t *json_read_file(const char *path, struct error *e)
{
    struct file f;
    if (file_map(&f, path, e)) return NULL;
    json_t *value = file_check_pointer(&f, e) ? NULL : json_read_bytes((const char *)f.data, f.size, path, e);
    /* Hugging Face's model_max_length is 10^30 where there is no limit */
    if (!value && strstr(e->text, "too big ")) {
        struct text wide = {0};
        widen((const char *)f.data, f.size, &wide);
        if (wide.failed)
            error_set(e, ERROR_IO, "%s: out of memory for %zu bytes of JSON", path, f.size);
        else
            value = json_read_bytes(text_c(&wide), wide.length, path, e);
        text_free(&wide);
    }
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

/* json_dumps() passes over some of the memory that runs out. */
static int add_dumped(const char *bytes, size_t n, void *user)
{
    struct text *t = user;
    text_bytes(t, bytes, n);
    return t->failed ? -1 : 0;
}

char *json_dump_text(const json_t *value, size_t flags, struct error *e)
{
    struct text t = {0};
    if (!json_dump_callback(value, add_dumped, &t, flags | JSON_ENCODE_ANY) && !t.failed) return t.bytes;
    text_free(&t);
    error_set(e, ERROR_IO, "out of memory for a JSON text");
    return NULL;
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
