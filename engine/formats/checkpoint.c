#include "engine/formats/checkpoint.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "engine/base/text.h"
#include "engine/formats/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char config_name[] = "config.json";
static const char weights_ending[] = ".safetensors", index_ending[] = ".safetensors.index.json";
/* How matrices are quantized: of AutoGPTQ and GPTQModel, and of older tools. Their settings go before config.json's. */
static const char *const quantization_names[] = {"quantize_config.json", "quant_config.json"};
enum { QUANTIZATION_NAMES = sizeof quantization_names / sizeof *quantization_names };

struct shard {
    const char *name; /* weights_name, or owned by the index */
    struct safetensors *file;
};

struct checkpoint {
    char *path;
    struct gguf *gguf;                                      /* this, or what follows */
    struct file config_file, index_file, quantization_file; /* not mapped where there is none */
    json_t *config, *index, *quantization;
    char *weights_name;            /* of the single file or of the index */
    const char *quantization_name; /* of the file, NULL where there is none */
    struct shard *shards;
    size_t shard_count, shard_capacity;
    const struct tensor **tensors;
    size_t count;
    struct table shard_names, names;
};

/* --- a folder --- */

/* Maps a JSON file of the folder and parses an object out of it. */
static json_t *open_object(const struct checkpoint *c, const char *name, struct file *f, struct error *e)
{
    char *path = path_join(c->path, name, e);
    if (!path) return NULL;
    const bool fails = file_map(f, path, e) || file_check_pointer(f, e);
    json_t *object = fails ? NULL : json_read_bytes((const char *)f->data, f->size, path, e);
    if (object && !json_is_object(object)) {
        error_set(e, ERROR_INPUT, "%s: must be a JSON object", path);
        json_decref(object);
        object = NULL;
    }
    free(path);
    return object;
}

/* Whether the folder has an entry of this name. A link that leads nowhere counts: whoever opens it says so. A name that is
 * longer than names may be is none of an entry. */
static int has(const struct checkpoint *c, const char *name, bool *there, struct error *e)
{
    struct stat st;
    *there = false;
    char *path = path_join(c->path, name, e);
    if (!path) return ERROR_IO;
    *there = lstat(path, &st) == 0;
    int status = *there || errno == ENOENT || errno == ENAMETOOLONG ? 0 : error_errno(e, path, "look for");
    free(path);
    return status;
}

/* Opens the shard with this name; its number, -1 with an error. */
static int64_t open_shard(struct checkpoint *c, const char *name, struct error *e)
{
    int64_t number = (int64_t)c->shard_count;
    if (memory_reserve((void **)&c->shards, &c->shard_capacity, c->shard_count + 1, sizeof *c->shards, "shards", e))
        return -1;
    struct shard *shard = &c->shards[c->shard_count];
    char *path = path_join(c->path, name, e);
    int status = path ? safetensors_open(&shard->file, path, e) : ERROR_IO;
    free(path);
    if (status) return -1;
    shard->name = name;
    c->shard_count++;
    return table_add(&c->shard_names, name, strlen(name), number, NULL, e) ? -1 : number;
}

static int add_tensor(struct checkpoint *c, const struct tensor *t, struct error *e)
{
    c->tensors[c->count] = t;
    return table_add(&c->names, t->name, strlen(t->name), (int64_t)c->count++, NULL, e);
}

static int open_single(struct checkpoint *c, struct error *e)
{
    if (open_shard(c, c->weights_name, e) < 0) return (int)e->code;
    const struct safetensors *s = c->shards[0].file;
    c->tensors = memory_new(safetensors_count(s), sizeof(void *), "tensors", e);
    if (!c->tensors) return ERROR_IO;
    for (size_t i = 0; i < safetensors_count(s); i++)
        if (add_tensor(c, safetensors_at(s, i), e)) return ERROR_IO;
    return 0;
}

/* One entry of weight_map. A name with a slash, or one that begins with a dot, could lead out of the folder. */
static int open_mapped(struct checkpoint *c, const char *name, const char *shard, struct error *e)
{
    if (!shard)
        return error_set(e, ERROR_INPUT, "%s/%s: weight_map: \"%.128s\": must be a file name", c->path, c->weights_name,
                         name);
    if (!*shard || *shard == '.' || strchr(shard, '/'))
        return error_set(e, ERROR_INPUT, "%s/%s: weight_map: \"%.128s\": \"%.128s\" is not a plain file name", c->path,
                         c->weights_name, name, shard);
    int64_t number;
    if (!table_find(&c->shard_names, shard, strlen(shard), &number)) {
        bool there;
        int status = has(c, shard, &there, e);
        if (status) return status;
        if (!there)
            return error_set(
                e, ERROR_INPUT,
                "%s/%s: weight_map: \"%.128s\": %.128s is not in the folder: get it from where the others came",
                c->path, c->weights_name, name, shard);
        number = open_shard(c, shard, e);
    }
    if (number < 0) return (int)e->code;
    const struct tensor *t = safetensors_tensor(c->shards[number].file, name);
    if (!t)
        return error_set(e, ERROR_INPUT, "%s/%s: weight_map: \"%.128s\" is not in %.128s", c->path, c->weights_name,
                         name, shard);
    return add_tensor(c, t, e);
}

static int open_sharded(struct checkpoint *c, struct error *e)
{
    c->index = open_object(c, c->weights_name, &c->index_file, e);
    if (!c->index) return (int)e->code;
    json_t *map = json_object_get(c->index, "weight_map"), *shard;
    if (!json_is_object(map))
        return error_set(e, ERROR_INPUT, "%s/%s: weight_map: must be an object", c->path, c->weights_name);
    c->tensors = memory_new(json_object_size(map), sizeof(void *), "tensors", e);
    if (!c->tensors) return ERROR_IO;
    const char *name;
    json_object_foreach(map, name, shard)
    {
        if (open_mapped(c, name, json_string_value(shard), e)) return (int)e->code;
    }
    return 0;
}

/* Files whose names end this way, hidden ones left out: how many, the last one's name (to be freed), all in `list`. */
static int find_ending(const struct checkpoint *c, const char *end, size_t *count, char **name, struct text *list,
                       struct error *e)
{
    *count = 0;
    *name = NULL;
    DIR *folder = opendir(c->path);
    if (!folder) return error_errno(e, c->path, "open");
    int status = 0;
    for (const struct dirent *f; !status && (f = readdir(folder)) != NULL;) {
        if (f->d_name[0] == '.' || !text_ends_with(f->d_name, end)) continue;
        text_printf(list, "%s%s", (*count)++ ? ", " : "", f->d_name);
        free(*name);
        if (!(*name = memory_string(f->d_name, e))) status = ERROR_IO;
    }
    closedir(folder);
    if (!status && list->failed) status = error_set(e, ERROR_IO, "%s: out of memory for a list of its files", c->path);
    return status;
}

/* c->weights_name where the folder has this file, else NULL. */
static int find_named(struct checkpoint *c, const char *name, struct error *e)
{
    bool there;
    int status = has(c, name, &there, e);
    if (!status && there && !(c->weights_name = memory_string(name, e))) status = ERROR_IO;
    return status;
}

/* The one file of the folder that ends this way becomes c->weights_name; NULL where there is none. */
static int find_weights(struct checkpoint *c, const char *end, struct error *e)
{
    char usual[64];
    snprintf(usual, sizeof usual, "model%s", end);
    int status = find_named(c, usual, e);
    if (status || c->weights_name) return status;
    size_t count;
    char *name;
    const bool shards = end == weights_ending; /* or they may be */
    struct text list = {0};
    status = find_ending(c, end, &count, &name, &list, e);
    if (!status && count > 1)
        status = error_set(e, ERROR_INPUT,
                           "%s: has %zu files *%s and none is %s: %s%s%skeep the one that is the model of %.600s",
                           c->path, count, end, usual, shards ? "of a model in parts get model" : "",
                           shards ? index_ending : "", shards ? " from where they came; else " : "", text_c(&list));
    text_free(&list);
    if (status)
        free(name);
    else
        c->weights_name = name;
    return status;
}

static int no_weights(const struct checkpoint *c, const char *single, struct error *e)
{
    bool one, sharded = false;
    int status = has(c, "pytorch_model.bin", &one, e);
    if (!status) status = has(c, "pytorch_model.bin.index.json", &sharded, e);
    if (status) return status;
    if (one || sharded)
        return error_set(e, ERROR_INPUT,
                         "%s: has pytorch_model.bin, which is not read because unpickling runs code: save the model as "
                         "safetensors (save_pretrained with safe_serialization=True)",
                         c->path);
    return error_set(e, ERROR_IO, "%s: has neither %s nor model%s", c->path, single, index_ending);
}

static int open_weights(struct checkpoint *c, struct error *e)
{
    static const char single[] = "model.safetensors";
    int status = find_named(c, single, e);
    if (status || c->weights_name) return status ? status : open_single(c, e);
    status = find_weights(c, index_ending, e);
    if (status || c->weights_name) return status ? status : open_sharded(c, e);
    status = find_weights(c, weights_ending, e);
    if (status || c->weights_name) return status ? status : open_single(c, e);
    return no_weights(c, single, e);
}

static int open_folder(struct checkpoint *c, struct error *e)
{
    bool is_model;
    const int found = has(c, config_name, &is_model, e);
    if (found) return found;
    if (!is_model)
        return error_set(e, ERROR_IO, "%s: has no %s: a folder of a model has one beside its weights", c->path,
                         config_name);
    c->config = open_object(c, config_name, &c->config_file, e);
    if (!c->config) return (int)e->code;
    for (size_t i = 0; i < QUANTIZATION_NAMES && !c->quantization; i++) {
        bool there;
        int status = has(c, quantization_names[i], &there, e);
        if (status) return status;
        if (!there) continue;
        c->quantization_name = quantization_names[i];
        c->quantization = open_object(c, c->quantization_name, &c->quantization_file, e);
        if (!c->quantization) return (int)e->code;
    }
    return open_weights(c, e);
}

/* --- a file --- */

static int open_file(struct checkpoint *c, struct error *e)
{
    struct file f;
    if (file_map(&f, c->path, e)) return (int)e->code;
    const bool is_gguf = f.size >= 4 && memcmp(f.data, "GGUF", 4) == 0;
    const int status = file_check_pointer(&f, e);
    file_unmap(&f);
    if (status) return status;
    if (is_gguf) return gguf_open(&c->gguf, c->path, e);
    if (text_ends_with(c->path, weights_ending))
        return error_set(e, ERROR_INPUT, "%s: is one file of a checkpoint: give the folder that has it and %s", c->path,
                         config_name);
    return error_set(e, ERROR_INPUT,
                     "%s: offset 0x0: magic: is not \"GGUF\": expected a GGUF file or a folder with %s and model%s",
                     c->path, config_name, weights_ending);
}

/* --- both --- */

int checkpoint_open(struct checkpoint **out, const char *path, struct error *e)
{
    struct error ours;
    if (!e) e = &ours;
    *out = NULL;
    struct checkpoint *c = memory_new(1, sizeof *c, "a checkpoint", e);
    if (!c) return ERROR_IO;
    c->path = memory_string(path, e);
    int status = !c->path ? ERROR_IO : path_is_folder(path) ? open_folder(c, e) : open_file(c, e);
    if (status) {
        checkpoint_close(c);
        return status;
    }
    *out = c;
    return 0;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c) return;
    gguf_close(c->gguf);
    for (size_t i = 0; i < c->shard_count; i++) safetensors_close(c->shards[i].file);
    free(c->shards);
    free(c->tensors);
    table_free(&c->shard_names);
    table_free(&c->names);
    json_decref(c->config);
    json_decref(c->index);
    json_decref(c->quantization);
    file_unmap(&c->config_file);
    file_unmap(&c->index_file);
    file_unmap(&c->quantization_file);
    free(c->weights_name);
    free(c->path);
    free(c);
}

const char *checkpoint_path(const struct checkpoint *c) { return c->path; }
const struct gguf *checkpoint_gguf(const struct checkpoint *c) { return c->gguf; }
const json_t *checkpoint_config(const struct checkpoint *c) { return c->config; }

const json_t *checkpoint_quantization(const struct checkpoint *c, size_t i, const char **place)
{
    if (c->quantization && i-- == 0) return *place = c->quantization_name, c->quantization;
    *place = "config.json: quantization_config";
    const json_t *settings = i == 0 ? json_object_get(c->config, "quantization_config") : NULL;
    return json_is_null(settings) ? NULL : settings;
}

size_t checkpoint_count(const struct checkpoint *c) { return c->gguf ? gguf_tensor_count(c->gguf) : c->count; }

const struct tensor *checkpoint_at(const struct checkpoint *c, size_t i)
{
    return c->gguf ? gguf_tensor_at(c->gguf, i) : c->tensors[i];
}

const struct tensor *checkpoint_tensor(const struct checkpoint *c, const char *name)
{
    int64_t i;
    if (c->gguf) return gguf_tensor(c->gguf, name);
    return table_find(&c->names, name, strlen(name), &i) ? c->tensors[i] : NULL;
}

/* --- the hash --- */

struct part {
    const char *name;
    const uint8_t *data;
    size_t size;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

/* A piece at a time, whose memory is given back: all of a file is read here, and not all of it is used afterwards. */
static void hash_mapped(struct hash *h, const uint8_t *data, size_t n)
{
    enum { PIECE = 16 << 20 };
    for (size_t i = 0; i < n; i += PIECE) {
        size_t here = n - i < PIECE ? n - i : PIECE;
        hash_update(h, data + i, here);
        file_forget(data + i, here);
    }
}

int checkpoint_hash(const struct checkpoint *c, char hex[HASH_HEX], struct error *e)
{
    struct hash h;
    hash_init(&h);
    if (c->gguf) {
        hash_mapped(&h, gguf_bytes(c->gguf), gguf_size(c->gguf));
        hash_finish(&h, hex);
        return 0;
    }
    struct part *parts = memory_new(c->shard_count + 3, sizeof *parts, "a list of files", e);
    if (!parts) return ERROR_IO;
    size_t n = 0;
    parts[n++] = (struct part){config_name, c->config_file.data, c->config_file.size};
    if (c->index) parts[n++] = (struct part){c->weights_name, c->index_file.data, c->index_file.size};
    if (c->quantization)
        parts[n++] = (struct part){c->quantization_name, c->quantization_file.data, c->quantization_file.size};
    for (size_t i = 0; i < c->shard_count; i++) {
        const struct safetensors *s = c->shards[i].file;
        parts[n++] = (struct part){c->shards[i].name, safetensors_bytes(s), safetensors_size(s)};
    }
    qsort(parts, n, sizeof *parts, by_name);
    for (size_t i = 0; i < n; i++) {
        hash_update(&h, parts[i].name, strlen(parts[i].name) + 1);
        hash_update(&h, &(uint64_t){parts[i].size}, sizeof(uint64_t));
        hash_mapped(&h, parts[i].data, parts[i].size);
    }
    hash_finish(&h, hex);
    free(parts);
    return 0;
}
