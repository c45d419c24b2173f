/* Keys of a suite: its name and its data. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "suites/data.h"
#include "suites/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int take_string(struct loading *l, const char *place, const json_t *v, char **out)
{
    const char *s = json_string_value(v);
    if (!s) return yaml_file_error(&l->y, l->e, place, "must be a string (quoted, where it looks like something else)");
    free(*out);
    return (*out = memory_string(s, l->e)) ? 0 : ERROR_IO;
}

int take_integer(struct loading *l, const char *place, const json_t *v, int64_t least, int64_t most, int64_t *out)
{
    json_int_t i = json_integer_value(v);
    if (!json_is_integer(v) || i < least || i > most)
        return yaml_file_error(&l->y, l->e, place, "must be a whole number from %lld to %lld", (long long)least,
                               (long long)most);
    *out = i;
    return 0;
}

int check_keys(struct loading *l, const char *place, const json_t *object, const char *const *names, size_t n)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, key, v)
    {
        size_t i = 0;
        while (i < n && strcmp(key, names[i]) != 0) i++;
        if (i < n) continue;
        char inner[2 * YAML_KEY_BYTES];
        struct suggestion s = suggest(key, names, n);
        snprintf(inner, sizeof inner, "%s.%s", place, key);
        return yaml_file_error(&l->y, l->e, inner, "unknown key%s", s.words);
    }
    return 0;
}

const char *setting_value(const json_t *v, char **other, struct error *e)
{
    *other = json_is_string(v) ? NULL : json_dump_text(v, 0, e);
    return *other ? *other : json_string_value(v);
}

int setting_error(struct loading *l, const char *place, const char *key, struct error *x)
{
    const size_t n = strlen(key);
    if (strncmp(x->text, key, n) == 0 && strncmp(x->text + n, ": ", 2) == 0)
        memmove(x->text, x->text + n + 2, strlen(x->text + n + 2) + 1);
    return yaml_file_pass(&l->y, l->e, place, x);
}

int take_task(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (!name || !file_name_fits(name))
        return yaml_file_error(&l->y, l->e, place,
                               "must be a name of letters, digits, \".\", \"_\" and \"-\", at most 64");
    return take_string(l, place, v, &l->s->name);
}

int take_about(struct loading *l, const char *place, const json_t *v)
{
    const char *s = json_string_value(v);
    if (s && strchr(s, '\n')) return yaml_file_error(&l->y, l->e, place, "must be one line");
    return take_string(l, place, v, &l->s->about);
}

int take_output_type(struct loading *l, const char *place, const json_t *v)
{
    static const enum outcome_kind kinds[] = {OUTCOME_LIKELIHOOD, OUTCOME_ROLLING, OUTCOME_CHOICE, OUTCOME_GENERATION};
    const char *names[4], *name = json_string_value(v);
    for (size_t i = 0; i < 4; i++) {
        names[i] = outcome_kind_name(kinds[i]);
        if (name && strcmp(name, names[i]) == 0) {
            l->s->kind = kinds[i];
            return 0;
        }
    }
    struct suggestion s = suggest(name ? name : "", names, 4);
    return yaml_file_error(&l->y, l->e, place, "must be one of %s, %s, %s, %s%s", names[0], names[1], names[2],
                           names[3], s.words);
}

int take_format(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v), *names[64];
    if (!name) return yaml_file_error(&l->y, l->e, place, "must be the name of a reader");
    if ((l->s->reader = reader_find(name))) return 0;
    size_t n = 0;
    for (const struct reader *r; n < 64 && (r = reader_at(n)); n++) names[n] = r->name;
    struct suggestion s = suggest(name, names, n);
    return yaml_file_error(&l->y, l->e, place, "\"%.60s\": no such format%s", name, s.words);
}

static size_t count_names(const char *const *names)
{
    size_t n = 0;
    while (names && names[n]) n++;
    return n;
}

int take_kwargs(struct loading *l, const char *place, const json_t *v)
{
    const struct reader *r = l->s->reader;
    if (!json_is_object(v)) return yaml_file_error(&l->y, l->e, place, "must be a mapping (key: value)");
    int status = check_keys(l, place, v, r->kwargs, count_names(r->kwargs));
    l->s->reader_options = json_incref((json_t *)(uintptr_t)v);
    return status;
}

int check_kwargs(struct loading *l)
{
    const char *place = "dataset_kwargs";
    const struct suite *s = l->s;
    json_t *none = json_object();
    struct error x = {0};
    if (!none) return error_set(l->e, ERROR_IO, "out of memory for a suite");
    int status = s->reader->check ? s->reader->check(s->reader_options ? s->reader_options : none, &x) : 0;
    json_decref(none);
    return status ? yaml_file_pass(&l->y, l->e, place, &x) : 0;
}

/* The first of the places where a data file may be; adds the places to `tried`. */
static char *search_data(const char *suite, const char *name, struct text *tried, struct error *e)
{
    int folder = *name == '/' ? 0 : (int)(path_name(suite) - suite);
    struct text t = {0};
    text_printf(&t, "%.*s%s", folder, suite, name);
    if (t.failed) error_set(e, ERROR_IO, "out of memory for a path");
    char *found = t.failed ? NULL : memory_string(text_c(&t), e);
    text_free(&t);
    for (int i = 0; found && !path_exists(found); i++) {
        text_printf(tried, "%s%s", i ? ", " : "", found);
        free(found);
        found = NULL;
        char *root = *name == '/' ? NULL : data_folder(i, e), *sets = root ? path_join(root, "datasets", e) : NULL;
        if (sets) found = path_join(sets, name, e);
        free(root);
        free(sets);
    }
    if (!tried->failed) return found;
    free(found);
    error_set(e, ERROR_IO, "out of memory for a path");
    return NULL;
}

/* Whether the table of public sets has this path. */
static bool is_public(const char *name)
{
    struct error none = {0};
    struct file f = {0};
    struct text entry = {0};
    char *table = data_find("datasets/sets.tsv", &none);
    text_printf(&entry, "\t%s\t", name);
    bool found =
        table && !entry.failed && !file_map(&f, table, &none) && memmem(f.data, f.size, entry.bytes, entry.length);
    file_unmap(&f);
    text_free(&entry);
    free(table);
    return found;
}

int find_data(struct loading *l, const char *place, const char *name, char **out)
{
    struct text tried = {0};
    struct error x = {0};
    int status = 0;
    *out = search_data(l->s->path, name, &tried, &x);
    if (!*out && x.code) status = error_set(l->e, x.code, "%s", x.text);
    if (!*out && !x.code && !l->without_data) {
        if (is_public(name)) text_printf(&tried, "; \"datasets/fetch %.*s\" gets it", (int)strcspn(name, "/"), name);
        status = yaml_file_error(&l->y, l->e, place, "no such file; looked at %s", text_c(&tried));
    }
    text_free(&tried);
    return status;
}

int take_path(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (!name || !*name) return yaml_file_error(&l->y, l->e, place, "must be the path of a data file");
    return find_data(l, place, name, &l->s->data_path);
}
