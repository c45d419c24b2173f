/* A model on disk: a GGUF file, or a Hugging Face folder (config.json with model.safetensors, or with
 * model.safetensors.index.json and its shards; other names, as gptq_model-4bit-128g.safetensors, where the folder has
 * one index or else one file of weights). Answers "tensor by name" in the file's own names; what the names mean
 * is the models' business.
 *
 *     struct checkpoint *c;
 *     if (checkpoint_open(&c, path, e)) return e->code;
 *     const struct tensor *t = checkpoint_tensor(c, "lm_head.weight");
 *     checkpoint_close(c);
 *
 * Of sharded weights the tensors are those that the index lists; what else a shard holds is left alone. Where both
 * model.safetensors and an index are there, the single file counts, as in transformers. Shards must be plain file names
 * in the folder (links are followed, as in the caches of Hugging Face). What is not there is ERROR_IO, what is wrong
 * with it ERROR_INPUT.
 *
 * Tensors point into mappings that live as long as the checkpoint. */
#ifndef KERF_ENGINE_FORMATS_CHECKPOINT_H
#define KERF_ENGINE_FORMATS_CHECKPOINT_H

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/formats/gguf.h"
#include <jansson.h>

struct checkpoint;

int checkpoint_open(struct checkpoint **out, const char *path, struct error *e);
void checkpoint_close(struct checkpoint *c); /* NULL is fine */
const char *checkpoint_path(const struct checkpoint *c);
const struct gguf *checkpoint_gguf(const struct checkpoint *c); /* NULL for a folder */
const json_t *checkpoint_config(const struct checkpoint *c);    /* config.json as an object; NULL for a GGUF file */
/* How matrices are quantized: first quantize_config.json, or where that is absent quant_config.json, then config.json's
 * quantization_config, those that are there. The i-th (0, 1), NULL after the last and for a GGUF file; *place tells
 * which, for messages. May be any JSON value. */
const json_t *checkpoint_quantization(const struct checkpoint *c, size_t i, const char **place);
size_t checkpoint_count(const struct checkpoint *c);
const struct tensor *checkpoint_at(const struct checkpoint *c, size_t i);
const struct tensor *checkpoint_tensor(const struct checkpoint *c, const char *name);
/* SHA-256 over the bytes of the file, or over the names and bytes of config.json, quantize_config.json and the weight
 * files in order of name. */
int checkpoint_hash(const struct checkpoint *c, char hex[HASH_HEX], struct error *e);

#endif
