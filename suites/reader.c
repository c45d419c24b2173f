/* Files that a reader takes beside the data file: dataset_kwargs name them, from the data file's folder on. */
#include "suites/reader.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "suites/suite.h"

#include <stdlib.h>

size_t reader_extras(const json_t *kwargs, const char *key)
{
    const json_t *v = json_object_get(kwargs, key);
    return json_is_array(v) ? json_array_size(v) : v ? 1 : 0;
}

static const char *extra_name(const json_t *kwargs, const char *key, size_t i)
{
    const json_t *v = json_object_get(kwargs, key);
    return json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
}

int reader_extra_check(const json_t *kwargs, const char *key, bool many, struct error *e)
{
    const char *words = many ? "must be the path of a file beside the data file, or a list of them"
                             : "must be the path of a file beside the data file";
    size_t n = reader_extras(kwargs, key);
    if (!n || (n > 1 && !many)) return error_set(e, ERROR_INPUT, "%s: %s", key, words);
    for (size_t i = 0; i < n; i++) {
        const char *name = extra_name(kwargs, key, i);
        if (!name || !*name) return error_set(e, ERROR_INPUT, "%s: %s", key, words);
    }
    return 0;
}

static char *extra_path(const char *data_path, const char *name, struct error *e)
{
    struct text path = {0};
    int folder = *name == '/' ? 0 : (int)(path_name(data_path) - data_path);
    text_printf(&path, "%.*s%s", folder, data_path, name);
    if (!path.failed) return path.bytes;
    text_free(&path);
    error_set(e, ERROR_IO, "out of memory for a path");
    return NULL;
}

int reader_extra(const struct reader_source *source, const char *key, size_t i, struct file *f,
                 struct reader_source *extra, struct error *e)
{
    const char *name = extra_name(source->options, key, i);
    if (!name) return error_set(e, ERROR_INPUT, "%s: dataset_kwargs: %s: is missing", source->path, key);
    char *path = extra_path(source->path, name, e);
    int status = path ? file_map(f, path, e) : ERROR_IO;
    free(path);
    if (!status) *extra = (struct reader_source){f->path, (const char *)f->data, f->size, NULL};
    return status;
}

int reader_files(const struct reader *r, const char *data_path, const json_t *kwargs, char ***out, struct error *e)
{
    size_t n = 0, at = 0;
    for (size_t k = 0; r->files && r->files[k]; k++) n += reader_extras(kwargs, r->files[k]);
    char **paths = *out = memory_new(n + 1, sizeof *paths, "paths of data files", e);
    if (!paths) return ERROR_IO;
    for (size_t k = 0; r->files && r->files[k]; k++)
        for (size_t i = 0; i < reader_extras(kwargs, r->files[k]); i++) {
            const char *name = extra_name(kwargs, r->files[k], i);
            if (name && (paths[at++] = extra_path(data_path, name, e))) continue;
            names_free(paths);
            *out = NULL;
            return name ? ERROR_IO : error_set(e, ERROR_INPUT, "%s: must name files", r->files[k]);
        }
    return 0;
}
