/* A synthetic model as a Hugging Face folder. config.json comes last, so that a folder without it, left by a run that
 * was killed, loads nowhere. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/models/synth_parts.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct architecture architecture_llama;

static const char weights_name[] = "model.safetensors";
static const char *const names[] = {"config.json", "tokenizer_config.json", "tokenizer.json", weights_name};
enum { NAMES = sizeof names / sizeof *names };

/* The folder may be absent, else it must be empty. */
int synth_folder_check(const char *folder, struct error *e)
{
    if (!*folder) return error_set(e, ERROR_USAGE, "an empty name is no folder");
    if (!path_exists(folder)) return 0;
    if (!path_is_folder(folder))
        return error_set(e, ERROR_USAGE, "%s: is a file: name a folder, or a file that ends in .gguf", folder);
    DIR *d = opendir(folder);
    if (!d) return error_errno(e, folder, "open");
    int status = 0;
    for (const struct dirent *f; !status && (f = readdir(d)) != NULL;)
        if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
            status = error_set(e, ERROR_USAGE,
                               "%s: is not empty (it has %.128s), and nothing is replaced there: name another folder",
                               folder, f->d_name);
    closedir(d);
    return status;
}

static void folder_name(const struct synth_tensor *t, char full[MODEL_NAME])
{
    const struct name_map *map = architecture_llama.names;
    while (strcmp(map->name, t->name) != 0) map++; /* llama.c has all of them */
    model_name(map->folder_name, t->layer, full);
}

static int write_weights(const struct synth_plan *p, const char *path, const struct export_progress *watch,
                         struct error *e)
{
    struct safetensors_writer *w;
    int status = safetensors_writer_open(&w, path, e);
    if (status) return status;
    for (size_t i = 0; i < p->n; i++) {
        const struct synth_tensor *t = &p->tensors[i];
        char name[MODEL_NAME];
        folder_name(t, name);
        safetensors_write_tensor(w, name, t->type, t->n_dims, t->shape);
    }
    status = synth_write_data(p, &(struct synth_sink){.folder = w}, watch, e);
    if (!status) status = safetensors_writer_commit(&w, e);
    safetensors_writer_abandon(&w);
    return status;
}

static json_t *config(const struct synth_plan *p)
{
    const struct synth *s = p->s;
    const enum dtype_id type = p->tensors[0].type;
    return json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s, s:b, s:b, s:b, s:i, s:i, s:s}",
                     "architectures", "LlamaForCausalLM", "model_type", "llama", "vocab_size", (json_int_t)s->vocab,
                     "hidden_size", (json_int_t)s->width, "intermediate_size", (json_int_t)s->ffn, "num_hidden_layers",
                     (json_int_t)s->layers, "num_attention_heads", (json_int_t)s->heads, "num_key_value_heads",
                     (json_int_t)s->kv_heads, "max_position_embeddings", (json_int_t)s->context, "rms_norm_eps", 1e-5,
                     "rope_theta", 10000.0, "hidden_act", "silu", "tie_word_embeddings", !s->untied, "attention_bias",
                     0, "mlp_bias", 0, "bos_token_id", p->vocabulary.bos, "eos_token_id", p->vocabulary.eos,
                     "torch_dtype",
                     type == DTYPE_F32   ? "float32"
                     : type == DTYPE_F16 ? "float16"
                                         : "bfloat16");
}

static json_t *tokenizer_config(const struct synth_plan *p)
{
    const struct gguf_string bos = vocabulary_piece(&p->vocabulary, p->vocabulary.bos);
    return json_pack("{s:s, s:s#, s:s#, s:b, s:b, s:I, s:b}", "tokenizer_class", "PreTrainedTokenizerFast", "bos_token",
                     bos.bytes, bos.length, "eos_token", bos.bytes, bos.length, "add_bos_token", 1, "add_eos_token", 0,
                     "model_max_length", (json_int_t)p->s->context, "clean_up_tokenization_spaces", 0);
}

/* Takes the value. */
static int write_json(const char *folder, const char *name, json_t *value, struct error *e)
{
    char *path = path_join(folder, name, e);
    int status = !path ? ERROR_IO : value ? 0 : error_set(e, ERROR_IO, "%s: out of memory", path);
    if (!status) status = json_write_file(path, value, e);
    json_decref(value);
    free(path);
    return status;
}

/* Takes away what a failed run wrote into a folder that was empty when it began. */
static void clean_up(const char *folder)
{
    for (size_t i = 0; i < NAMES; i++) {
        char *path = path_join(folder, names[i], NULL);
        if (path) unlink(path);
        free(path);
    }
}

int synth_write_folder(const struct synth_plan *p, const char *folder, const struct export_progress *watch,
                       struct error *e)
{
    uint64_t made;
    int status = folder_make_noting(folder, &made, e);
    if (status) return status;
    char *path = path_join(folder, weights_name, e);
    status = path ? write_weights(p, path, watch, e) : ERROR_IO;
    free(path);
    if (!status) status = write_json(folder, "tokenizer.json", synth_tokenizer(&p->vocabulary), e);
    if (!status) status = write_json(folder, "tokenizer_config.json", tokenizer_config(p), e);
    if (!status) status = write_json(folder, "config.json", config(p), e);
    if (!status) return 0;
    clean_up(folder);
    folder_unmake(folder, made);
    return status;
}
