/* What synth.c and its files share. */
#ifndef KERF_ENGINE_MODELS_SYNTH_PARTS_H
#define KERF_ENGINE_MODELS_SYNTH_PARTS_H

#include "engine/formats/safetensors.h"
#include "engine/models/internal.h"
#include "engine/models/synth.h"
#include "engine/tokenizers/tokenizer_kinds.h"

enum synth_width { SYNTH_EMBEDDING, SYNTH_INNER, SYNTH_RESIDUAL, SYNTH_NORM };

struct synth_tensor {
    const char *name; /* "blk.%d.attn_q.weight" */
    int64_t layer;
    char full[MODEL_NAME];
    int n_dims;
    int64_t shape[2];
    enum synth_width width;
    bool turns;         /* rows of heads that turn, which GGUF has as interleaved pairs */
    uint64_t stream;    /* of random numbers: one for each tensor, whatever others there are */
    enum dtype_id type; /* as written */
};

struct synth_plan {
    const struct synth *s;
    bool folder;
    struct synth_tensor *tensors;
    size_t n, capacity;
    struct vocabulary vocabulary;
    struct synth_facts facts;
};

/* Where the weights go: one of the two. */
struct synth_sink {
    struct gguf_writer *gguf;
    struct safetensors_writer *folder;
};

/* All tensors' data in their order. */
int synth_write_data(const struct synth_plan *p, const struct synth_sink *to, const struct export_progress *watch,
                     struct error *e);
/* "llama-12x768-1": shape and seed. */
enum { SYNTH_NAME = 96 };
const char *synth_name(const struct synth *s, char name[SYNTH_NAME]);

int synth_folder_check(const char *folder, struct error *e);
int synth_write_folder(const struct synth_plan *p, const char *folder, const struct export_progress *watch,
                       struct error *e);

int synth_vocabulary(struct vocabulary *v, int64_t size, struct error *e);
json_t *synth_tokenizer(const struct vocabulary *v); /* tokenizer.json; NULL: no memory */

#endif
