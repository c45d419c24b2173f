/* The chat template of a folder, which nothing here reads and other programs want in a GGUF file: chat_template.jinja, or
 * what tokenizer_config.json has, a text or a list of {"name", "template"} with a "default" in it. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <stdlib.h>
#include <string.h>

static const char key[] = "tokenizer.chat_template";

static const char *default_of(const json_t *templates)
{
    size_t i;
    const json_t *named;
    json_array_foreach((json_t *)(uintptr_t)templates, i, named) if (strcmp(json_text_of(named, "name"), "default") ==
                                                                     0) return json_text_of(named, "template");
    return json_string_value(templates);
}

static int write_configured(const char *path, struct gguf_writer *w, struct error *e)
{
    json_t *config = json_read_file(path, e);
    if (!config) return (int)e->code;
    const char *words = default_of(json_object_get(config, "chat_template"));
    if (words && *words) gguf_write_string(w, key, words);
    json_decref(config);
    return 0;
}

static int write_file(const char *path, struct gguf_writer *w, struct error *e)
{
    struct file f;
    if (file_map(&f, path, e)) return (int)e->code;
    char *words = memory_bytes(f.data, f.size, e);
    if (words) gguf_write_string(w, key, words);
    free(words);
    file_unmap(&f);
    return words ? 0 : ERROR_IO;
}

int export_chat_template(const char *folder, struct gguf_writer *w, struct error *e)
{
    char *alone = path_join(folder, "chat_template.jinja", e),
         *config = alone ? path_join(folder, "tokenizer_config.json", e) : NULL;
    int status = config ? 0 : ERROR_IO;
    if (!status && path_exists(alone))
        status = write_file(alone, w, e);
    else if (!status && path_exists(config))
        status = write_configured(config, w, e);
    free(alone);
    free(config);
    return status;
}
