#include "reports/fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void fields_wrong(struct fields *s, const char *key, const json_t *found, const char *right)
{
    static const char *const types[] = {"an object",     "an array", "a string", "a whole number",
                                        "a real number", "true",     "false",    "null"};
    if (s->status) return;
    s->status = error_set(s->e, ERROR_INPUT, "%s: %s%s%s: %s%s; %s would be right", s->document, s->where,
                          *s->where && *key ? "." : "", key, found ? "is " : "is missing",
                          found ? types[json_typeof(found)] : "", right);
}

const json_t *fields_typed(struct fields *s, const json_t *object, const char *key, json_type type, const char *right)
{
    const json_t *v = json_object_get(object, key);
    if (v && json_typeof(v) == type) return v;
    fields_wrong(s, key, v, right);
    return NULL;
}

const json_t *fields_object(struct fields *s, const json_t *object, const char *key)
{
    return fields_typed(s, object, key, JSON_OBJECT, "an object");
}

const json_t *fields_array(struct fields *s, const json_t *object, const char *key)
{
    return fields_typed(s, object, key, JSON_ARRAY, "an array");
}

const char *fields_text(struct fields *s, const json_t *object, const char *key)
{
    const json_t *v = fields_typed(s, object, key, JSON_STRING, "a string");
    return v ? json_string_value(v) : "";
}

double fields_number(struct fields *s, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_number(v)) return json_number_value(v);
    if (!json_is_null(v)) fields_wrong(s, key, v, "a number or null");
    return NAN;
}

double fields_amount(struct fields *s, const json_t *object, const char *key)
{
    const double v = fields_number(s, object, key);
    if (v < 0) fields_wrong(s, key, json_object_get(object, key), "one that is not negative");
    return v;
}

int64_t fields_count(struct fields *s, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_integer(v) && json_integer_value(v) >= 0) return json_integer_value(v);
    if (json_is_integer(v)) fields_wrong(s, key, v, "one that is not negative");
    if (!json_is_null(v)) fields_wrong(s, key, v, "a whole number or null");
    return -1;
}

bool fields_choice(struct fields *s, const json_t *object, const char *key, const char *yes, const char *no)
{
    const char *v = fields_text(s, object, key);
    if (strcmp(v, yes) == 0) return true;
    if (strcmp(v, no) == 0 || s->status) return false;
    char right[64];
    snprintf(right, sizeof right, no[0] ? "\"%s\" or \"%s\"" : "\"%s\"", yes, no);
    fields_wrong(s, key, json_object_get(object, key), right);
    return false;
}

bool fields_bool(struct fields *s, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_boolean(v) && !json_is_null(v)) fields_wrong(s, key, v, "true, false or null");
    return json_is_true(v);
}

const json_t *fields_maybe_typed(struct fields *s, const json_t *object, const char *key, json_type type,
                                 const char *right)
{
    const json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v)) return NULL;
    return fields_typed(s, object, key, type, right);
}

const char *fields_maybe_text(struct fields *s, const json_t *object, const char *key, const char *otherwise)
{
    const json_t *v = fields_maybe_typed(s, object, key, JSON_STRING, "a string or null");
    return v ? json_string_value(v) : otherwise;
}

double fields_maybe_number(struct fields *s, const json_t *object, const char *key)
{
    return json_object_get(object, key) ? fields_number(s, object, key) : NAN;
}

bool fields_maybe_bool(struct fields *s, const json_t *object, const char *key)
{
    return json_object_get(object, key) && fields_bool(s, object, key);
}

size_t fields_enter(struct fields *s, const char *part)
{
    const size_t n = strlen(s->where);
    snprintf(s->where + n, sizeof s->where - n, "%s%s", n ? "." : "", part);
    return n;
}

size_t fields_enter_element(struct fields *s, const char *list, size_t i)
{
    const size_t n = strlen(s->where);
    snprintf(s->where + n, sizeof s->where - n, "%s%s[%zu]", n ? "." : "", list, i);
    return n;
}

void fields_leave(struct fields *s, size_t n) { s->where[n] = 0; }
