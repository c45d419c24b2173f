#include "suites/expression.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "suites/letters.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARGUMENTS = 2, DEPTH = 8, FILTER = 1, METHOD = 2, MOST_BYTES = 1 << 26 };

/* A step of an expression: a member where operation is NULL. */
struct call {
    const struct operation *operation;
    json_t *member; /* a string or a whole number */
    struct expression *arguments[MOST_ARGUMENTS];
    size_t n;
};

struct expression {
    json_t *literal; /* else a field */
    char *field;
    struct call *calls;
    size_t n, capacity;
};

/* --- operations; each gives a new value, or NULL with an error that says what is wrong with this one --- */

static json_t *no_memory(struct error *e)
{
    error_set(e, ERROR_IO, "out of memory for a value");
    return NULL;
}

static json_t *finished(struct text *t, struct error *e)
{
    json_t *v = t->failed ? NULL : json_stringn(text_c(t), t->length);
    text_free(t);
    return v ? v : no_memory(e);
}

static json_t *too_long(struct text *t, struct error *e)
{
    text_free(t);
    error_set(e, ERROR_INPUT, "the text has more than %d bytes", (int)MOST_BYTES);
    return NULL;
}

static json_t *cased(const json_t *v, enum letter_case how, struct error *e)
{
    struct text t = {0};
    letters_case(&t, json_string_value(v), json_string_length(v), how);
    return finished(&t, e);
}

static json_t *lower(const json_t *v, json_t *const *a, struct error *e) { return cased(v, CASE_LOWER, e); }
static json_t *upper(const json_t *v, json_t *const *a, struct error *e) { return cased(v, CASE_UPPER, e); }
static json_t *capitalize(const json_t *v, json_t *const *a, struct error *e) { return cased(v, CASE_CAPITAL, e); }

static json_t *stripped(const json_t *v, bool left, bool right, struct error *e)
{
    size_t n = json_string_length(v);
    const char *s = letters_strip(json_string_value(v), &n, left, right);
    json_t *out = json_stringn(s, n);
    return out ? out : no_memory(e);
}

static json_t *strip(const json_t *v, json_t *const *a, struct error *e) { return stripped(v, true, true, e); }
static json_t *lstrip(const json_t *v, json_t *const *a, struct error *e) { return stripped(v, true, false, e); }
static json_t *rstrip(const json_t *v, json_t *const *a, struct error *e) { return stripped(v, false, true, e); }

/* An argument that must be a text with something in it. */
static const char *part_to_find(const json_t *v, struct error *e)
{
    if (json_string_length(v)) return json_string_value(v);
    error_set(e, ERROR_INPUT, "the text to look for is %s", json_is_string(v) ? "empty" : "no text");
    return NULL;
}

/* strstr(), but without a look at the rest of a long text in builds that check every access. */
static const char *next_hit(const char *at, const char *part)
{
    const size_t n = strlen(part);
    while ((at = strchr(at, *part)) && strncmp(at, part, n) != 0) at++;
    return at;
}

static json_t *replace(const json_t *v, json_t *const *a, struct error *e)
{
    const char *old = part_to_find(a[0], e), *new = json_string_value(a[1]), *at = json_string_value(v);
    if (!old) return NULL;
    if (!new) {
        error_set(e, ERROR_INPUT, "what is put in is no text");
        return NULL;
    }
    struct text t = {0};
    for (const char *hit; t.length < MOST_BYTES && (hit = next_hit(at, old)); at = hit + strlen(old)) {
        text_bytes(&t, at, (size_t)(hit - at));
        text_add(&t, new);
    }
    text_add(&t, at);
    return t.length < MOST_BYTES ? finished(&t, e) : too_long(&t, e);
}

static json_t *split(const json_t *v, json_t *const *a, struct error *e)
{
    const char *mark = part_to_find(a[0], e), *at = json_string_value(v);
    json_t *list = mark ? json_array() : NULL;
    if (!list) return mark ? no_memory(e) : NULL;
    bool failed = false;
    for (const char *hit; (hit = next_hit(at, mark)); at = hit + strlen(mark))
        failed |= json_array_append_new(list, json_stringn(at, (size_t)(hit - at))) != 0;
    failed |= json_array_append_new(list, json_string(at)) != 0;
    if (!failed) return list;
    json_decref(list);
    return no_memory(e);
}

static json_t *join(const json_t *v, json_t *const *a, struct error *e)
{
    struct text t = {0};
    if (a[0] && !json_is_string(a[0])) {
        error_set(e, ERROR_INPUT, "what is put between is no text");
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *s = json_string_value(json_array_get(v, i));
        if (!s) {
            text_free(&t);
            error_set(e, ERROR_INPUT, "entry %zu of the list is no text", i);
            return NULL;
        }
        if (i && a[0]) text_add(&t, json_string_value(a[0]));
        text_add(&t, s);
        if (t.length > MOST_BYTES) break;
    }
    return t.length > MOST_BYTES ? too_long(&t, e) : finished(&t, e);
}

/* Where in a list a value is. */
static json_t *find(const json_t *v, json_t *const *a, struct error *e)
{
    for (size_t i = 0; i < json_array_size(v); i++)
        if (json_equal(json_array_get(v, i), a[0])) {
            json_t *where = json_integer((json_int_t)i);
            return where ? where : no_memory(e);
        }
    char *text = json_dump_text(a[0], JSON_ENCODE_ANY | JSON_COMPACT, NULL);
    error_set(e, ERROR_INPUT, "the list has no %.60s", text ? text : "such value");
    free(text);
    return NULL;
}

static const struct operation {
    const char *name;
    int written;        /* as FILTER, METHOD or either */
    bool of_list;       /* else of a text */
    size_t least, most; /* arguments */
    json_t *(*value)(const json_t *v, json_t *const *arguments, struct error *e);
} operations[] = {
    {"trim", FILTER, false, 0, 0, strip},
    {"lower", FILTER | METHOD, false, 0, 0, lower},
    {"upper", FILTER | METHOD, false, 0, 0, upper},
    {"capitalize", FILTER | METHOD, false, 0, 0, capitalize},
    {"replace", FILTER | METHOD, false, 2, 2, replace},
    {"join", FILTER, true, 0, 1, join},
    {"strip", METHOD, false, 0, 0, strip},
    {"lstrip", METHOD, false, 0, 0, lstrip},
    {"rstrip", METHOD, false, 0, 0, rstrip},
    {"split", METHOD, false, 1, 1, split},
    {"index", METHOD, true, 1, 1, find},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* --- reading --- */

struct reading {
    const char *at, *end;
    int depth;
    struct error *e;
};

static void skip_spaces(struct reading *r)
{
    while (r->at < r->end && *r->at == ' ') r->at++;
}

static bool accept(struct reading *r, char c)
{
    skip_spaces(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static int expect(struct reading *r, char c)
{
    if (accept(r, c)) return 0;
    const int left = (int)(r->end - r->at);
    if (!left) return error_set(r->e, ERROR_INPUT, "a \"%c\" is missing at the end", c);
    return error_set(r->e, ERROR_INPUT, "a \"%c\" is due before \"%.*s\"", c, left < 40 ? left : 40, r->at);
}

/* A name ends before anything that has a meaning of its own, and before the spaces there. */
static char *read_name(struct reading *r)
{
    skip_spaces(r);
    const char *start = r->at;
    while (r->at < r->end && !strchr("{}()[]|\"'\n.,", *r->at)) r->at++;
    size_t n = (size_t)(r->at - start);
    while (n && start[n - 1] == ' ') n--;
    if (n) return memory_bytes(start, n, r->e);
    const int left = (int)(r->end - r->at);
    if (!left)
        error_set(r->e, ERROR_INPUT, "a name is missing");
    else
        error_set(r->e, ERROR_INPUT, "a name is due before \"%.*s\"", left < 40 ? left : 40, r->at);
    return NULL;
}

/* A string whose quotation mark was read: backslashes as in JSON's \n, \t, \\ and before quotation marks. */
static json_t *read_string(struct reading *r, char mark)
{
    struct text t = {0};
    while (r->at < r->end && *r->at != mark) {
        char c = *r->at++;
        if (c == '\\' && r->at < r->end) {
            c = *r->at++;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        text_char(&t, c);
    }
    if (r->at++ < r->end) return finished(&t, r->e);
    r->at = r->end;
    text_free(&t);
    error_set(r->e, ERROR_INPUT, "a %c has no second one", mark);
    return NULL;
}

/* A string or a whole number; NULL without an error where neither is there. */
static json_t *read_literal(struct reading *r)
{
    skip_spaces(r);
    if (accept(r, '"')) return read_string(r, '"');
    if (accept(r, '\'')) return read_string(r, '\'');
    const char *at = r->at;
    at += at < r->end && *at == '-';
    if (at == r->end || !isdigit((unsigned char)*at)) return NULL;
    char *end;
    const long long v = strtoll(r->at, &end, 10);
    r->at = end < r->end ? end : r->end;
    json_t *number = json_integer(v);
    return number ? number : no_memory(r->e);
}

static int read_expression(struct reading *r, struct expression **out);

static const struct operation *find_operation(const char *name, int written, struct error *e)
{
    const char *names[OPERATIONS];
    size_t n = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        if (!(operations[i].written & written)) continue;
        if (strcmp(name, operations[i].name) == 0) return &operations[i];
        names[n++] = operations[i].name;
    }
    const char *what = written == FILTER ? "filter" : "method";
    struct suggestion s = suggest(name, names, n);
    struct text known = {0};
    for (size_t i = 0; i < n; i++) text_printf(&known, "%s%s", i ? ", " : "", names[i]);
    if (*s.words)
        error_set(e, ERROR_INPUT, "%.60s: no such %s%s", name, what, s.words);
    else
        error_set(e, ERROR_INPUT, "%.60s: no such %s: there are %s", name, what, text_c(&known));
    text_free(&known);
    return NULL;
}

static int read_arguments(struct reading *r, struct call *c)
{
    for (bool first = true; !accept(r, ')'); first = false) {
        int status = first ? 0 : expect(r, ',');
        if (!status && c->n == MOST_ARGUMENTS) status = error_set(r->e, ERROR_INPUT, "too many arguments");
        if (!status) status = read_expression(r, &c->arguments[c->n]);
        if (status) return status;
        c->n++;
    }
    return 0;
}

static int read_operation(struct reading *r, struct call *c, const char *name, int written)
{
    c->operation = find_operation(name, written, r->e);
    if (!c->operation) return ERROR_INPUT;
    int status = accept(r, '(') ? read_arguments(r, c) : 0;
    if (!status && (c->n < c->operation->least || c->n > c->operation->most))
        return error_set(r->e, ERROR_INPUT, "%s: takes %zu argument%s, %zu given", name, c->operation->most,
                         c->operation->most == 1 ? "" : "s", c->n);
    return status;
}

/* What follows a value, in a fresh *c. */
static int read_call(struct reading *r, struct call *c)
{
    if (accept(r, '[')) {
        r->e->code = ERROR_NONE;
        if (!(c->member = read_literal(r)))
            return r->e->code ? (int)r->e->code
                              : error_set(r->e, ERROR_INPUT, "between [ and ] stands a whole number or a \"key\"");
        return expect(r, ']');
    }
    const int written = accept(r, '|') ? FILTER : METHOD;
    if (written == METHOD && expect(r, '.')) return ERROR_INPUT;
    char *name = read_name(r);
    if (!name) return (int)r->e->code;
    int status = 0;
    skip_spaces(r);
    if (written == FILTER || (r->at < r->end && *r->at == '('))
        status = read_operation(r, c, name, written);
    else if (!(c->member = json_string(name)))
        status = text_check("", 1, name, strlen(name), NULL)
                     ? error_set(r->e, ERROR_INPUT, "%.60s: is not UTF-8", name)
                     : error_set(r->e, ERROR_IO, "out of memory for an expression");
    free(name);
    return status;
}

static bool goes_on(struct reading *r)
{
    skip_spaces(r);
    return r->at < r->end && strchr(".[|", *r->at);
}

static int read_expression(struct reading *r, struct expression **out)
{
    struct expression *x = *out = memory_new(1, sizeof *x, "an expression", r->e);
    if (!x) return ERROR_IO;
    if (++r->depth > DEPTH) return error_set(r->e, ERROR_INPUT, "is nested too deeply");
    r->e->code = ERROR_NONE;
    x->literal = r->depth > 1 ? read_literal(r) : NULL;
    if (!x->literal && (r->e->code || !(x->field = read_name(r)))) return (int)r->e->code;
    int status = 0;
    while (!status && goes_on(r)) {
        void *calls = x->calls;
        status = memory_reserve(&calls, &x->capacity, x->n + 1, sizeof *x->calls, "an expression", r->e);
        x->calls = calls;
        if (status) break;
        x->calls[x->n] = (struct call){0};
        status = read_call(r, &x->calls[x->n++]);
    }
    r->depth--;
    return status;
}

int expression_parse(struct expression **out, const char *s, size_t n, struct error *e)
{
    struct error x = {0};
    struct reading r = {s, s + n, 0, &x};
    int status = read_expression(&r, out);
    skip_spaces(&r);
    if (!status && r.at < r.end)
        status = error_set(&x, ERROR_INPUT, "\"%.*s\" is too much", (int)(r.end - r.at < 40 ? r.end - r.at : 40), r.at);
    if (status) {
        expression_free(*out);
        *out = NULL;
        return error_set(e, (enum error_code)status, "%s", x.text);
    }
    return 0;
}

void expression_free(struct expression *x)
{
    if (!x) return;
    for (size_t i = 0; i < x->n; i++) {
        json_decref(x->calls[i].member);
        for (size_t k = 0; k < MOST_ARGUMENTS; k++) expression_free(x->calls[i].arguments[k]);
    }
    json_decref(x->literal);
    free(x->field);
    free(x->calls);
    free(x);
}

/* --- values --- */

static json_t *no_such_field(const char *name, const json_t *object, struct error *e)
{
    const char *key, **names = memory_new(json_object_size(object), sizeof *names, "field names", e);
    if (!names) return NULL;
    size_t n = 0;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, key, v) names[n++] = key;
    struct suggestion s = suggest(name, names, n);
    free(names);
    error_set(e, ERROR_INPUT, "the document has no such field%s", s.words);
    return NULL;
}

/* Borrowed. */
static json_t *member(const json_t *v, const json_t *which, struct error *e)
{
    const char *key = json_string_value(which);
    json_t *found = key ? json_object_get(v, key) : NULL;
    if (key && !found) {
        if (json_is_object(v)) return no_such_field(key, v, e);
        error_set(e, ERROR_INPUT, "%.60s: there is nothing to take it from", key);
    } else if (!key) {
        const json_int_t n = (json_int_t)json_array_size(v), i = json_integer_value(which);
        if (json_is_array(v) && i < n && i >= -n) return json_array_get(v, (size_t)(i < 0 ? n + i : i));
        error_set(e, ERROR_INPUT, json_is_array(v) ? "[%lld]: the list has %lld entries" : "[%lld]: is no list",
                  (long long)i, (long long)n);
    }
    return found;
}

static json_t *call_value(const struct call *c, const json_t *v, const json_t *doc, struct error *e)
{
    if (!c->operation) return json_incref(member(v, c->member, e));
    json_t *arguments[MOST_ARGUMENTS] = {NULL}, *out = NULL;
    bool good = true;
    for (size_t i = 0; i < c->n && good; i++) good = (arguments[i] = expression_value(c->arguments[i], doc, e));
    if (good && (c->operation->of_list ? json_is_array(v) : json_is_string(v))) {
        out = c->operation->value(v, arguments, e);
        if (!out && e) error_prefix(e, "%s", c->operation->name);
    } else if (good) {
        error_set(e, ERROR_INPUT, "%s: is done to a %s alone", c->operation->name,
                  c->operation->of_list ? "list" : "text");
    }
    for (size_t i = 0; i < c->n; i++) json_decref(arguments[i]);
    return out;
}

json_t *expression_value(const struct expression *x, const json_t *doc, struct error *e)
{
    json_t *v = x->literal ? x->literal : json_object_get(doc, x->field);
    if (!v) return no_such_field(x->field, doc, e);
    json_incref(v);
    for (size_t i = 0; i < x->n && v; i++) {
        json_t *next = call_value(&x->calls[i], v, doc, e);
        json_decref(v);
        v = next;
    }
    return v;
}
