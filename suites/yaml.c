#include "suites/yaml.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct loader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    struct yaml *y;
    struct text place;
    struct error *e;
};

static size_t event_line(const struct loader *l) { return l->event.start_mark.line + 1; }

static int refuse(struct loader *l, const char *words)
{
    const char *place = text_c(&l->place);
    return error_set(l->e, ERROR_INPUT, "%s: line %zu: %s%s%s", l->y->path, event_line(l), place, *place ? ": " : "",
                     words);
}

static int no_memory(struct loader *l) { return error_set(l->e, ERROR_IO, "%s: out of memory", l->y->path); }

static int syntax_error(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    const char *words = p->problem ? p->problem : "is not YAML";
    if (p->error == YAML_MEMORY_ERROR) return no_memory(l);
    if (p->error == YAML_READER_ERROR)
        return error_set(l->e, ERROR_INPUT, "%s: offset 0x%zx: %s", l->y->path, p->problem_offset, words);
    return error_set(l->e, ERROR_INPUT, "%s: line %zu: column %zu: %s", l->y->path, p->problem_mark.line + 1,
                     p->problem_mark.column + 1, words);
}

static int next(struct loader *l)
{
    yaml_event_delete(&l->event);
    return yaml_parser_parse(&l->parser, &l->event) ? 0 : syntax_error(l);
}

static int integer_value(struct loader *l, const char *digits, int base, json_t **out)
{
    errno = 0;
    long long v = strtoll(digits, NULL, base);
    if (errno) return refuse(l, "the number does not fit into 64 bits");
    return (*out = json_integer(v)) ? 0 : no_memory(l);
}

static bool is_one_of(const char *s, const char *const *words)
{
    while (*words && strcmp(s, *words) != 0) words++;
    return *words;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *s)
{
    static const char digits[] = "0123456789";
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, digits), part = 0;
    s += whole;
    if (*s == '.') s += 1 + (part = strspn(s + 1, digits));
    if (!whole && !part) return false;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        size_t exponent = strspn(s, digits);
        if (!exponent) return false;
        s += exponent;
    }
    return !*s;
}

/* The value of a plain scalar that is not a string; *out stays NULL for a string. */
static int plain_value(struct loader *l, const char *s, json_t **out)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const strange[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
                                          "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};
    if (is_one_of(s, nulls)) *out = json_null();
    if (is_one_of(s, trues)) *out = json_true();
    if (is_one_of(s, falses)) *out = json_false();
    if (is_one_of(s, strange)) return refuse(l, "is not a finite number");
    if (*out) return 0;
    const char *digits = s + (*s == '-' || *s == '+');
    if (*digits && !digits[strspn(digits, "0123456789")]) return integer_value(l, s, 10, out);
    if (s[0] == '0' && s[1] == 'x' && s[2] && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")])
        return integer_value(l, s + 2, 16, out);
    if (s[0] == '0' && s[1] == 'o' && s[2] && !s[2 + strspn(s + 2, "01234567")]) return integer_value(l, s + 2, 8, out);
    if (!is_float(s)) return 0;
    double v = strtod(s, NULL);
    if (!isfinite(v)) return refuse(l, "is not a finite number");
    return (*out = json_real(v)) ? 0 : no_memory(l);
}

static int scalar_value(struct loader *l, json_t **out)
{
    const char *s = (const char *)l->event.data.scalar.value;
    size_t n = l->event.data.scalar.length;
    if (memchr(s, 0, n)) return refuse(l, "has a NUL character");
    if (l->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        int status = plain_value(l, s, out);
        if (status || *out) return status;
    }
    return (*out = json_stringn(s, n)) ? 0 : no_memory(l); /* libyaml has checked that it is UTF-8 */
}

/* Notes the line of the current event under the current place. Places longer than any that is asked for have none: a list
 * under many long keys would take a thousand times the file's bytes. */
static int note_line(struct loader *l)
{
    if (l->place.failed) return no_memory(l);
    if (l->place.length >= YAML_PLACE_BYTES) return 0;
    json_t *line = json_integer((json_int_t)event_line(l));
    return json_object_set_new(l->y->lines, text_c(&l->place), line) ? no_memory(l) : 0;
}

static int value(struct loader *l, int depth, json_t **out);

static int list_value(struct loader *l, int depth, json_t *list)
{
    size_t length = l->place.length;
    for (size_t i = 0;; i++) {
        int status = next(l);
        if (status) return status;
        if (l->event.type == YAML_SEQUENCE_END_EVENT) return 0;
        text_printf(&l->place, "[%zu]", i);
        json_t *v = NULL;
        if ((status = note_line(l)) || (status = value(l, depth + 1, &v))) return status;
        if (json_array_append_new(list, v)) return no_memory(l);
        l->place.bytes[l->place.length = length] = 0;
    }
}

/* Enters the key of the current event into the place and copies it: the place moves while the value is read. */
static int enter_key(struct loader *l, const json_t *object, char key[static YAML_KEY_BYTES + 1])
{
    if (l->event.type == YAML_ALIAS_EVENT) return refuse(l, "aliases (*) are not accepted");
    if (l->event.type != YAML_SCALAR_EVENT) return refuse(l, "a key must be a word");
    const char *s = (const char *)l->event.data.scalar.value;
    size_t n = l->event.data.scalar.length;
    if (!n || n > YAML_KEY_BYTES || memchr(s, 0, n)) return refuse(l, "a key must have 1 to 128 characters");
    if (l->event.data.scalar.anchor || l->event.data.scalar.tag)
        return refuse(l, "anchors (&) and tags (!) are not accepted");
    if (l->place.length) text_char(&l->place, '.');
    text_bytes(&l->place, s, n);
    memcpy(key, s, n + 1);
    return json_object_get(object, key) ? refuse(l, "the key is there twice") : note_line(l);
}

static int map_value(struct loader *l, int depth, json_t *object)
{
    size_t length = l->place.length;
    for (;;) {
        int status = next(l);
        if (status) return status;
        if (l->event.type == YAML_MAPPING_END_EVENT) return 0;
        char key[YAML_KEY_BYTES + 1];
        json_t *v = NULL;
        if ((status = enter_key(l, object, key))) return status;
        if ((status = next(l)) || (status = value(l, depth + 1, &v))) return status;
        if (json_object_set_new(object, key, v)) return no_memory(l);
        l->place.bytes[l->place.length = length] = 0;
    }
}

/* The value that the current event begins; on failure nothing is left in *out. */
static int value(struct loader *l, int depth, json_t **out)
{
    const yaml_event_t *ev = &l->event;
    if (depth > YAML_DEPTH) return refuse(l, "is nested too deeply");
    if (ev->type == YAML_ALIAS_EVENT) return refuse(l, "aliases (*) are not accepted");
    bool is_list = ev->type == YAML_SEQUENCE_START_EVENT, is_map = ev->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *anchor = is_list  ? ev->data.sequence_start.anchor
                                : is_map ? ev->data.mapping_start.anchor
                                         : ev->data.scalar.anchor;
    const yaml_char_t *tag = is_list  ? ev->data.sequence_start.tag
                             : is_map ? ev->data.mapping_start.tag
                                      : ev->data.scalar.tag;
    if (anchor) return refuse(l, "anchors (&) are not accepted");
    if (tag) return refuse(l, "tags (!) are not accepted");
    if (!is_list && !is_map) return scalar_value(l, out);
    if (!(*out = is_list ? json_array() : json_object())) return no_memory(l);
    int status = is_list ? list_value(l, depth, *out) : map_value(l, depth, *out);
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

static int document(struct loader *l)
{
    int status;
    if ((status = next(l)) || (status = next(l))) return status; /* start of the stream, then of a document */
    if (l->event.type == YAML_STREAM_END_EVENT) return error_set(l->e, ERROR_INPUT, "%s: is empty", l->y->path);
    if ((status = next(l))) return status;
    if (l->event.type != YAML_MAPPING_START_EVENT) return refuse(l, "must be a mapping (key: value)");
    if ((status = value(l, 0, &l->y->root))) return status;
    if ((status = next(l)) || (status = next(l))) return status; /* end of the document */
    return l->event.type == YAML_STREAM_END_EVENT ? 0 : refuse(l, "a second document is not accepted");
}

int yaml_file_read(struct yaml *y, const char *path, struct error *e)
{
    *y = (struct yaml){0};
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    struct loader l = {.y = y, .e = e};
    y->path = memory_string(path, e);
    y->lines = json_object();
    if (!y->path || !y->lines || !yaml_parser_initialize(&l.parser)) {
        status = error_set(e, ERROR_IO, "%s: out of memory", path);
    } else if (f.size > YAML_BYTES) {
        status = error_set(e, ERROR_INPUT, "%s: has %zu bytes, more than the %d of the largest settings file", path,
                           f.size, (int)YAML_BYTES);
    } else {
        yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
        size_t mark =
            f.size >= 3 && memcmp(f.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* else it shifts line 1's columns */
        yaml_parser_set_input_string(&l.parser, f.data + mark, f.size - mark);
        status = document(&l);
    }
    yaml_event_delete(&l.event);
    yaml_parser_delete(&l.parser);
    text_free(&l.place);
    file_unmap(&f);
    if (status) yaml_file_free(y);
    return status;
}

void yaml_file_free(struct yaml *y)
{
    free(y->path);
    json_decref(y->root);
    json_decref(y->lines);
    *y = (struct yaml){0};
}

int yaml_file_error(const struct yaml *y, struct error *e, const char *place, const char *format, ...)
{
    char words[600];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    json_int_t line = json_integer_value(json_object_get(y->lines, place));
    if (line) return error_set(e, ERROR_INPUT, "%s: line %lld: %s: %s", y->path, (long long)line, place, words);
    return error_set(e, ERROR_INPUT, "%s: %s: %s", y->path, place, words);
}

int yaml_file_pass(const struct yaml *y, struct error *e, const char *place, const struct error *x)
{
    if (x->code == ERROR_IO) return error_set(e, ERROR_IO, "%s", x->text);
    return yaml_file_error(y, e, place, "%s", x->text);
}
