#include "suites/filters.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "suites/letters.h"
#include "suites/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A step with what its keys say; what a function does not know stays zero. */
struct step {
    const struct function *function;
    struct pattern *pattern, **ignored;
    size_t n_ignored;
    int64_t group, k;
    char *fallback; /* also default_value of map */
    const json_t *map;
    json_t *entry; /* holds map */
    bool ignore_case, ignore_punctuation;
};

/* --- answers --- */

int answers_add(struct answers *a, const char *s, struct error *e)
{
    void *at = a->at;
    int status = memory_reserve(&at, &a->capacity, a->n + 1, sizeof *a->at, "answers", e);
    a->at = at;
    if (status) return status;
    char *copy = memory_string(s, e);
    if (!copy) return ERROR_IO;
    a->at[a->n++] = copy;
    return 0;
}

void answers_free(struct answers *a)
{
    for (size_t i = 0; i < a->n; i++) free(a->at[i]);
    free(a->at);
    *a = (struct answers){0};
}

static void keep_first(struct answers *a, size_t n)
{
    while (a->n > n) free(a->at[--a->n]);
}

/* Puts a text in the place of an answer. */
static int put(char **answer, struct text *t, struct error *e)
{
    char *s = t->failed ? NULL : memory_bytes(text_c(t), t->length, e);
    if (t->failed) error_set(e, ERROR_IO, "out of memory for an answer");
    text_free(t);
    if (!s) return ERROR_IO;
    free(*answer);
    *answer = s;
    return 0;
}

/* --- functions: each changes all answers of an item --- */

static int put_stripped(char **answer, const char *s, size_t n, struct error *e)
{
    struct text t = {0};
    s = letters_strip(s, &n, true, true);
    text_bytes(&t, s, n);
    return put(answer, &t, e);
}

static int put_string(char **answer, const char *s, struct error *e)
{
    struct text t = {0};
    text_add(&t, s);
    return put(answer, &t, e);
}

static int regex(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < a->n && !status; i++) {
        struct found f;
        status = pattern_find(s->pattern, a->at[i], strlen(a->at[i]), s->group, &f, e);
        if (!status) status = f.at ? put_stripped(&a->at[i], f.at, f.n, e) : put_string(&a->at[i], s->fallback, e);
    }
    return status;
}

static int take_first(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    keep_first(a, 1);
    return 0;
}

static int take_first_k(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    if ((int64_t)a->n < s->k)
        return error_set(e, ERROR_INPUT, "k: %lld answers are due, and there are %zu (see repeats)", (long long)s->k,
                         a->n);
    keep_first(a, (size_t)s->k);
    return 0;
}

static int majority_vote(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    size_t best = 0, most = 0;
    for (size_t i = 0; i < a->n; i++) {
        size_t votes = 0;
        for (size_t k = 0; k < a->n; k++) votes += strcmp(a->at[i], a->at[k]) == 0;
        if (votes > most) best = i, most = votes;
    }
    char *winner = a->at[best];
    a->at[best] = a->at[0];
    a->at[0] = winner;
    keep_first(a, 1);
    return 0;
}

static int remove_whitespace(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    for (size_t i = 0; i < a->n; i++) {
        size_t n = strlen(a->at[i]);
        const char *left = letters_strip(a->at[i], &n, true, false);
        memmove(a->at[i], left, n + 1);
    }
    return 0;
}

static int change_case(struct answers *a, enum letter_case how, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < a->n && !status; i++) {
        struct text t = {0};
        letters_case(&t, a->at[i], strlen(a->at[i]), how);
        status = put(&a->at[i], &t, e);
    }
    return status;
}

static int lowercase(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    return change_case(a, CASE_LOWER, e);
}

static int uppercase(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    return change_case(a, CASE_UPPER, e);
}

static int map(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < a->n && !status; i++) {
        const json_t *v = json_object_get(s->map, a->at[i]);
        if (!v) {
            status = put_string(&a->at[i], s->fallback, e);
            continue;
        }
        char *digits = json_is_string(v) ? NULL : json_dump_text(v, 0, e);
        const char *to = digits ? digits : json_string_value(v);
        status = to ? put_string(&a->at[i], to, e) : ERROR_IO;
        free(digits);
    }
    return status;
}

/* --- multi_choice_regex --- */

/* An answer or a choice with what is to be ignored taken away. */
static int without_ignored(const struct step *s, const char *from, struct text *out, struct error *e)
{
    struct text now = {0};
    text_add(&now, from);
    for (size_t i = 0; i < s->n_ignored; i++) {
        struct text next = {0};
        int status = pattern_remove(s->ignored[i], text_c(&now), now.length, &next, e);
        text_free(&now);
        now = next;
        if (status) {
            text_free(&now);
            return status;
        }
    }
    struct text cased = {0};
    if (s->ignore_case)
        letters_case(&cased, text_c(&now), now.length, CASE_LOWER);
    else
        text_bytes(&cased, text_c(&now), now.length);
    if (s->ignore_punctuation)
        letters_without_punctuation(out, text_c(&cased), cased.length);
    else
        text_bytes(out, text_c(&cased), cased.length);
    out->failed |= now.failed || cased.failed;
    text_free(&now);
    text_free(&cased);
    return 0;
}

/* The choice whose text stands in the answer, like re.findall() with one alternative a choice: hits do not overlap, of
 * choices that begin at one place the first counts. `which` counts hits, from the end where it is negative. */
static int find_choice(char *const *choices, size_t n, const char *answer, int64_t which, int64_t *out)
{
    for (int round = 0; round < 2; round++) {
        int64_t hits = 0;
        for (const char *at = answer; *at;) {
            size_t c = 0;
            while (c < n && (!*choices[c] || strncmp(at, choices[c], strlen(choices[c])) != 0)) c++;
            if (c == n) {
                at++;
                continue;
            }
            if (hits++ == which) {
                *out = (int64_t)c;
                return 1;
            }
            at += strlen(choices[c]);
        }
        if (which >= 0 || (which += hits) < 0) return 0;
    }
    return 0;
}

/* The letter behind a colon. */
static int find_letter(size_t n, const char *answer, int64_t which, int64_t *out)
{
    for (int round = 0; round < 2; round++) {
        int64_t hits = 0;
        for (const char *at = answer; (at = strchr(at, ':'));) {
            size_t left = strlen(++at);
            const char *letter = letters_strip(at, &left, true, false);
            if (*letter < 'A' || (size_t)(*letter - 'A') >= n) continue;
            if (hits++ == which) {
                *out = *letter - 'A';
                return 1;
            }
        }
        if (which >= 0 || (which += hits) < 0) return 0;
    }
    return 0;
}

static int choice_of(const struct step *s, char *const *choices, size_t n, char **answer, struct error *e)
{
    struct found f;
    int status = pattern_find(s->pattern, *answer, strlen(*answer), s->group, &f, e);
    if (status) return status;
    if (f.at && f.n) return put_stripped(answer, f.at, f.n, e);
    struct text bare = {0};
    status = without_ignored(s, *answer, &bare, e);
    int64_t which = -1;
    if (!status && !find_choice(choices, n, text_c(&bare), s->group, &which)) find_letter(n, *answer, s->group, &which);
    text_free(&bare);
    if (status) return status;
    char letter[] = {'(', (char)('A' + which), ')', 0};
    return put_string(answer, which < 0 ? s->fallback : letter, e);
}

static int multi_choice_regex(const struct step *s, const json_t *doc, struct answers *a, struct error *e)
{
    const json_t *list = json_object_get(doc, "choices");
    const size_t n = json_array_size(list);
    if (n < 1 || n > 26) return error_set(e, ERROR_INPUT, "the document's choices must be a list of 1 to 26 texts");
    struct answers choices = {0};
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text) {
            status = error_set(e, ERROR_INPUT, "the document's choices[%zu] is no text", i);
            break;
        }
        struct text bare = {0};
        status = answers_add(&choices, "", e);
        if (!status) status = put_stripped(&choices.at[i], text, strlen(text), e);
        if (!status) status = without_ignored(s, choices.at[i], &bare, e);
        if (!status) status = put(&choices.at[i], &bare, e);
    }
    for (size_t i = 0; i < a->n && !status; i++) status = choice_of(s, choices.at, n, &a->at[i], e);
    answers_free(&choices);
    return status;
}

/* --- reading --- */

static const struct function {
    const char *name;
    const char *keys[7]; /* what it takes beside `function` */
    int (*apply)(const struct step *s, const json_t *doc, struct answers *a, struct error *e);
} functions[] = {
    {"regex", {"regex_pattern", "group_select", "fallback"}, regex},
    {"multi_choice_regex",
     {"regex_pattern", "group_select", "fallback", "ignore_case", "ignore_punctuation", "regexes_to_ignore"},
     multi_choice_regex},
    {"take_first", {NULL}, take_first},
    {"take_first_k", {"k"}, take_first_k},
    {"majority_vote", {NULL}, majority_vote},
    {"remove_whitespace", {NULL}, remove_whitespace},
    {"lowercase", {NULL}, lowercase},
    {"uppercase", {NULL}, uppercase},
    {"map", {"mapping_dict", "default_value"}, map},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

struct opening {
    struct step *step;
    char *place; /* [FILTER_PLACE] */
    size_t index;
    struct error *e;
};

static int refuse(struct opening *o, const char *key, const char *words)
{
    snprintf(o->place, FILTER_PLACE, "filter[%zu].%.40s", o->index, key);
    return error_set(o->e, ERROR_INPUT, "%s", words);
}

/* Memory that ran out is not the key's fault. */
static int pass(struct opening *o, const char *key, const struct error *x)
{
    return x->code == ERROR_IO ? error_set(o->e, ERROR_IO, "%s", x->text) : refuse(o, key, x->text);
}

static int open_pattern(struct opening *o, const char *key, const json_t *v, struct pattern **out)
{
    if (!json_string_length(v)) return refuse(o, key, "must be a regular expression");
    struct error x = {0};
    return pattern_open(out, json_string_value(v), &x) ? pass(o, key, &x) : 0;
}

static int open_patterns(struct opening *o, const char *key, const json_t *v)
{
    struct step *s = o->step;
    const size_t n = json_array_size(v);
    if (!json_is_array(v)) return json_is_null(v) ? 0 : refuse(o, key, "must be a list of regular expressions");
    if (!(s->ignored = memory_new(n, sizeof *s->ignored, "patterns", o->e))) return ERROR_IO;
    int status = 0;
    for (size_t i = 0; i < n && !status; i++)
        if (!(status = open_pattern(o, key, json_array_get(v, i), &s->ignored[i]))) s->n_ignored++;
    return status;
}

static int open_map(struct opening *o, const char *key, const json_t *v)
{
    const char *from;
    json_t *to;
    if (!json_is_object(v)) return refuse(o, key, "must be a mapping (answer: answer)");
    json_object_foreach((json_t *)(uintptr_t)v, from, to) if (!json_is_string(to) && !json_is_number(to)) return refuse(
        o, key, "has a value that is no text and no number");
    o->step->map = v;
    return 0;
}

static int open_text(struct opening *o, const char *key, const json_t *v)
{
    if (!json_is_string(v) && !json_is_number(v)) return refuse(o, key, "must be a text");
    free(o->step->fallback);
    o->step->fallback = json_is_string(v) ? memory_string(json_string_value(v), o->e) : json_dump_text(v, 0, o->e);
    return o->step->fallback ? 0 : ERROR_IO;
}

static int open_integer(struct opening *o, const char *key, const json_t *v, int64_t least, int64_t *out)
{
    *out = json_integer_value(v);
    if (json_is_integer(v) && *out >= least && *out <= 1 << 20) return 0;
    return refuse(o, key, least > 0 ? "must be a whole number from 1 on" : "must be a whole number");
}

static int open_flag(struct opening *o, const char *key, const json_t *v, bool *out)
{
    *out = json_is_true(v);
    return json_is_boolean(v) ? 0 : refuse(o, key, "must be true or false");
}

static int open_key(struct opening *o, const char *key, const json_t *v)
{
    struct step *s = o->step;
    if (strcmp(key, "regex_pattern") == 0) return open_pattern(o, key, v, &s->pattern);
    if (strcmp(key, "group_select") == 0) return open_integer(o, key, v, -(1 << 20), &s->group);
    if (strcmp(key, "k") == 0) return open_integer(o, key, v, 1, &s->k);
    if (strcmp(key, "regexes_to_ignore") == 0) return open_patterns(o, key, v);
    if (strcmp(key, "mapping_dict") == 0) return open_map(o, key, v);
    if (strcmp(key, "ignore_case") == 0) return open_flag(o, key, v, &s->ignore_case);
    if (strcmp(key, "ignore_punctuation") == 0) return open_flag(o, key, v, &s->ignore_punctuation);
    return open_text(o, key, v); /* fallback, default_value */
}

static int find_function(struct opening *o, const json_t *entry)
{
    const char *names[FUNCTIONS], *name = json_string_value(json_object_get(entry, "function"));
    if (!name) return refuse(o, "function", "must be the name of a filter");
    for (size_t i = 0; i < FUNCTIONS; i++) {
        names[i] = functions[i].name;
        if (strcmp(name, names[i]) == 0) o->step->function = &functions[i];
    }
    if (o->step->function) return 0;
    struct text t = {0};
    text_printf(&t, "\"%.60s\": no such filter%s", name, suggest(name, names, FUNCTIONS).words);
    refuse(o, "function", text_c(&t));
    text_free(&t);
    return ERROR_INPUT;
}

static int check_key(struct opening *o, const char *key)
{
    const char *const *keys = o->step->function->keys;
    size_t n = 0;
    for (; keys[n]; n++)
        if (strcmp(key, keys[n]) == 0) return 0;
    struct text t = {0};
    text_printf(&t, "unknown key of %s%s", o->step->function->name, suggest(key, keys, n).words);
    refuse(o, key, text_c(&t));
    text_free(&t);
    return ERROR_INPUT;
}

/* What was not given, as lm-evaluation-harness has it. */
static int fill_step(struct opening *o)
{
    struct step *s = o->step;
    const char *first = s->function->keys[0];
    if (!first) return 0;
    if (strcmp(first, "k") == 0) return s->k ? 0 : refuse(o, "k", "missing key: how many answers are kept");
    if (strcmp(first, "mapping_dict") == 0 && !s->map) return refuse(o, first, "missing key");
    struct error x = {0};
    if (strcmp(first, "regex_pattern") == 0 && !s->pattern && pattern_open(&s->pattern, "#### (\\-?[0-9\\.\\,]+)", &x))
        return pass(o, first, &x);
    if (!s->fallback) s->fallback = memory_string(s->map ? "None" : "[invalid]", o->e);
    return s->fallback ? 0 : ERROR_IO;
}

static int open_step(struct opening *o, const json_t *entry)
{
    const char *key;
    json_t *v;
    o->step->entry = json_incref((json_t *)(uintptr_t)entry);
    int status = json_is_object(entry) ? find_function(o, entry) : refuse(o, "function", "missing key");
    if (status) return status;
    json_object_foreach((json_t *)(uintptr_t)entry, key, v)
    {
        if (strcmp(key, "function") == 0) continue;
        status = check_key(o, key);
        if (!status) status = open_key(o, key, v);
        if (status) return status;
    }
    return fill_step(o);
}

static bool name_fits(const char *s)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t n = s ? strspn(s, good) : 0;
    return n && n <= 64 && !s[n];
}

int pipeline_open(struct pipeline *p, const json_t *entry, char place[FILTER_PLACE], struct error *e)
{
    static const char *const keys[] = {"name", "filter"};
    *p = (struct pipeline){0};
    *place = 0;
    if (!json_is_object(entry)) return error_set(e, ERROR_INPUT, "must be a mapping with name and filter");
    const char *key, *name = json_string_value(json_object_get(entry, "name"));
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)entry, key, v)
    {
        if (strcmp(key, keys[0]) == 0 || strcmp(key, keys[1]) == 0) continue;
        snprintf(place, FILTER_PLACE, "%.60s", key);
        return error_set(e, ERROR_INPUT, "unknown key%s", suggest(key, keys, 2).words);
    }
    const json_t *list = json_object_get(entry, "filter");
    const size_t n = json_array_size(list);
    snprintf(place, FILTER_PLACE, "%s", name_fits(name) ? "filter" : "name");
    if (!name_fits(name)) return error_set(e, ERROR_INPUT, "must be a name of letters, digits, \".\", \"_\" and \"-\"");
    if (!n) return error_set(e, ERROR_INPUT, "must be a list of - function: NAME");
    if (!(p->name = memory_string(name, e)) || !(p->steps = memory_new(n, sizeof *p->steps, "filters", e)))
        return ERROR_IO;
    int status = 0;
    for (size_t i = 0; i < n && !status; i++)
        status = open_step(&(struct opening){&p->steps[p->n_steps++], place, i, e}, json_array_get(list, i));
    return status;
}

void pipeline_close(struct pipeline *p)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        struct step *s = &p->steps[i];
        for (size_t k = 0; k < s->n_ignored; k++) pattern_close(s->ignored[k]);
        pattern_close(s->pattern);
        json_decref(s->entry);
        free(s->ignored);
        free(s->fallback);
    }
    free(p->steps);
    free(p->name);
    *p = (struct pipeline){0};
}

int pipeline_apply(const struct pipeline *p, const json_t *doc, struct answers *a, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < p->n_steps && !status; i++) {
        status = p->steps[i].function->apply(&p->steps[i], doc, a, e);
        if (status) error_prefix(e, "%s: %s", p->name, p->steps[i].function->name);
    }
    return status;
}
