#include "suites/catalog.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "engine/base/text.h"
#include "suites/data.h"
#include "suites/suite.h"
#include "suites/yaml.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

bool suite_is_path(const char *s) { return strchr(s, '/') || ends_with(s, ".yaml") || ends_with(s, ".yml"); }

struct names {
    char **list; /* NULL-terminated once something is in it */
    size_t n, capacity;
};

static int names_add(struct names *names, const char *name, struct error *e)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->list[i], name) == 0) return 0;
    void *list = names->list;
    int status = memory_reserve(&list, &names->capacity, names->n + 2, sizeof *names->list, "names of suites", e);
    names->list = list;
    if (status) return status;
    char *copy = memory_string(name, e);
    if (!copy) return ERROR_IO;
    names->list[names->n++] = copy;
    names->list[names->n] = NULL;
    return 0;
}

void names_free(char **names)
{
    for (size_t i = 0; names && names[i]; i++) free(names[i]);
    free(names);
}

/* A file that is not as it should be is no group here: whoever loads it gets its error. */
static int is_group(const char *path, bool *group, struct error *e)
{
    struct yaml y;
    struct error x = {0};
    *group = false;
    if (yaml_file_read(&y, path, &x)) return x.code == ERROR_IO ? error_set(e, ERROR_IO, "%s", x.text) : 0;
    *group = json_object_get(y.root, "group");
    yaml_file_free(&y);
    return 0;
}

static int add_entry(struct names *names, const char *folder, const char *file, bool groups, struct error *e)
{
    size_t n = strlen(file) - strlen(".yaml");
    char name[72], *path = path_join(folder, file, e);
    if (!path) return ERROR_IO;
    snprintf(name, sizeof name, "%.*s", (int)(n < 70 ? n : 70), file);
    bool fits = file_name_fits(name), group = false;
    int status = fits && !groups ? is_group(path, &group, e) : 0;
    if (!status && fits && !group) status = names_add(names, name, e);
    free(path);
    return status;
}

static int add_folder(struct names *names, const char *folder, bool groups, struct error *e)
{
    char *suites = path_join(folder, "suites", e);
    if (!suites) return ERROR_IO;
    DIR *d = opendir(suites); /* not every data folder exists */
    int status = 0;
    for (struct dirent *entry; d && !status && (entry = readdir(d));)
        if (ends_with(entry->d_name, ".yaml")) status = add_entry(names, suites, entry->d_name, groups, e);
    if (d) closedir(d);
    free(suites);
    return status;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int list_names(struct names *names, bool groups, struct error *e)
{
    *names = (struct names){0};
    int status = 0;
    char *folder;
    struct error none = {0};
    for (int i = 0; !status && (folder = data_folder(i, e ? e : &none)); i++) {
        status = add_folder(names, folder, groups, e);
        free(folder);
    }
    if (!status && !folder && e) status = (int)e->code;
    if (names->n) qsort(names->list, names->n, sizeof *names->list, compare_names);
    return status;
}

int suite_names(char ***out, struct error *e)
{
    struct names names;
    int status = list_names(&names, false, e);
    if (!status && !names.list && !(names.list = memory_new(1, sizeof *names.list, "names of suites", e)))
        status = ERROR_IO;
    if (status) names_free(names.list);
    *out = status ? NULL : names.list;
    return status;
}

static int unknown_suite(const char *name, struct error *e)
{
    struct names names;
    int status = list_names(&names, true, e);
    if (!status) {
        struct suggestion s = suggest(name, (const char *const *)names.list, names.n);
        status = error_set(e, ERROR_USAGE, "suite \"%.80s\": no such suite%s (kerf suites lists them)", name, s.words);
    }
    names_free(names.list);
    return status;
}

static int locate_name(const char *name, char **path, struct error *e)
{
    if (!file_name_fits(name)) return unknown_suite(name, e);
    char relative[96];
    struct error found = {0};
    snprintf(relative, sizeof relative, "suites/%s.yaml", name);
    *path = data_find(relative, &found);
    if (*path) return 0;
    return found.code ? error_set(e, found.code, "%s", found.text) : unknown_suite(name, e);
}

int suite_locate(const char *given, char **path, char **spec, struct error *e)
{
    *path = *spec = NULL;
    const char *at = path_exists(given) ? NULL : strrchr(given, '@');
    if (at && (strchr(at, '/') || suite_is_path(at))) at = NULL; /* the @ is part of a path */
    char *name = memory_bytes(given, at ? (size_t)(at - given) : strlen(given), e);
    if (!name || (at && !(*spec = memory_string(at + 1, e)))) {
        free(name);
        return ERROR_IO;
    }
    if (!suite_is_path(name)) {
        int status = locate_name(name, path, e);
        free(name);
        return status;
    }
    *path = name;
    return 0;
}

/* --- groups and sweeps --- */

/* What a member of a group stands for: the file beside a group that was given by its path, else the name itself. */
static int member_name(const struct yaml *group, bool by_path, const char *member, char **out, struct error *e)
{
    *out = memory_string(member, e);
    if (!*out || !by_path || *member == '/') return *out ? 0 : ERROR_IO;
    int folder = (int)(path_name(group->path) - group->path);
    struct text beside = {0};
    text_printf(&beside, "%.*s%s%s%s", folder, group->path, folder ? "" : "./", member,
                suite_is_path(member) ? "" : ".yaml");
    const bool failed = beside.failed, exists = !failed && path_exists(beside.bytes);
    free(exists ? *out : beside.bytes);
    if (exists) *out = beside.bytes;
    return failed ? error_set(e, ERROR_IO, "out of memory for a path") : 0;
}

/* A suite, or one for each strategy that its `decode` lists. A file that cannot be read counts as one: whoever loads it
 * gets its error. */
static int add_suite(struct names *names, const char *name, const char *path, const char *spec, struct error *e)
{
    struct yaml y;
    struct error x = {0};
    if (!spec && yaml_file_read(&y, path, &x) && x.code == ERROR_IO) return error_set(e, ERROR_IO, "%s", x.text);
    if (spec || x.code) return names_add(names, name, e);
    const json_t *list = json_object_get(y.root, "decode");
    const size_t n = json_array_size(list);
    int status = n < 2 ? names_add(names, name, e) : 0;
    for (size_t i = 0; i < n && n > 1 && !status; i++) {
        const char *how = json_string_value(json_array_get(list, i));
        struct text both = {0};
        text_printf(&both, "%s%s%s", name, how ? "@" : "", how ? how : "");
        status = both.failed ? error_set(e, ERROR_IO, "out of memory for a name") : names_add(names, both.bytes, e);
        text_free(&both);
    }
    yaml_file_free(&y);
    return status;
}

static int add_member(const struct yaml *group, size_t i, bool by_path, struct names *names, struct error *e)
{
    char place[40], *name = NULL, *path = NULL, *spec = NULL;
    snprintf(place, sizeof place, "task[%zu]", i);
    const char *member = json_string_value(json_array_get(json_object_get(group->root, "task"), i));
    if (!member || !*member) return yaml_file_error(group, e, place, "must be the name of a suite");
    struct error x = {0};
    size_t before = names->n;
    bool is_one = false;
    int status = member_name(group, by_path, member, &name, &x);
    if (!status) status = suite_locate(name, &path, &spec, &x);
    if (status) {
        status = yaml_file_pass(group, e, place, &x);
    } else if (!path_exists(path)) {
        status = yaml_file_error(group, e, place, "%.200s: no such file", path);
    } else if (!(status = is_group(path, &is_one, e)) && is_one) {
        status = yaml_file_error(group, e, place, "\"%.60s\" is a group itself; a group lists suites", member);
    } else if (!status && !(status = add_suite(names, name, path, spec, e)) && names->n == before) {
        status = yaml_file_error(group, e, place, "\"%.60s\" is there twice", member);
    }
    free(name);
    free(path);
    free(spec);
    return status;
}

static int expand_group(const struct yaml *group, bool by_path, struct names *names, struct error *e)
{
    static const char *const keys[] = {"group", "task", "about"};
    const char *key;
    json_t *v;
    json_object_foreach(group->root, key, v)
    {
        struct suggestion s = suggest(key, keys, 3);
        bool known = strcmp(key, keys[0]) == 0 || strcmp(key, keys[1]) == 0 || strcmp(key, keys[2]) == 0;
        if (!known) return yaml_file_error(group, e, key, "unknown key of a group%s", s.words);
    }
    const char *name = json_string_value(json_object_get(group->root, "group"));
    if (!name || !file_name_fits(name)) return yaml_file_error(group, e, "group", "must be a name");
    size_t n = json_array_size(json_object_get(group->root, "task"));
    if (!n) return yaml_file_error(group, e, "task", "must be a list of the group's suites");
    int status = 0;
    for (size_t i = 0; !status && i < n; i++) status = add_member(group, i, by_path, names, e);
    return status;
}

int suite_expand(const char *name_or_path, char ***out, struct error *e)
{
    *out = NULL;
    char *path, *spec;
    struct yaml y;
    struct names names = {0};
    int status = suite_locate(name_or_path, &path, &spec, e);
    if (!status && !(status = yaml_file_read(&y, path, e))) {
        bool group = json_object_get(y.root, "group");
        if (group && spec)
            status = error_set(e, ERROR_USAGE, "suite \"%.80s\": a group has no decoding strategy", name_or_path);
        else
            status = group ? expand_group(&y, suite_is_path(name_or_path), &names, e)
                           : add_suite(&names, name_or_path, path, spec, e);
        yaml_file_free(&y);
    }
    free(path);
    free(spec);
    if (status) names_free(names.list);
    *out = status ? NULL : names.list;
    return status;
}
