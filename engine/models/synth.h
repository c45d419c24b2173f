/* Synthetic models: llamas of any shape with random weights, to measure speed and size with.
 *
 *     struct synth s = {.layers = 12, .width = 768, .ffn = 3072, .heads = 12, .kv_heads = 12, .vocab = 50257,
 *                       .context = 2048, .seed = 1};
 *     if (backend_parse(&s.how, "f16", e) || model_synth(&s, "model.gguf", NULL, NULL, e)) return e->code;
 *
 * The same settings give the same bytes: on any machine, for any number of threads, in any run. A GGUF file and a
 * folder of the same settings are the same model.
 *
 * Weights are normal numbers, matrices wide as 1 / sqrt(columns) (LeCun et al. 1998), those that add to the residual
 * stream narrower by sqrt(2 layers) (Radford et al. 2019), embedding and output as 2 / sqrt(width): logits are then
 * normal with a deviation of about 2. Norms are about 1. The vocabulary is a byte-level BPE: GPT-2's 256 bytes, then
 * pieces of the letters a to z, with and without a space before them, shorter ones first, in alphabetical order, each
 * merged from all but its last letter and that letter; at the end <|endoftext|>, which is BOS and EOS. */
#ifndef KERF_ENGINE_MODELS_SYNTH_H
#define KERF_ENGINE_MODELS_SYNTH_H

#include "engine/models/model.h"

enum { SYNTH_VOCAB_LEAST = 257, SYNTH_VOCAB_MOST = 1 << 20 };

struct synth {
    int64_t layers, width, ffn, heads, kv_heads, vocab, context;
    uint64_t seed;
    bool untied;                /* an output matrix of its own; else it is the embedding */
    struct backend_options how; /* any that GGUF has a type for; of a folder f32, f16 or bf16 */
};

struct synth_facts {
    int64_t parameters; /* elements of all weights */
    size_t bytes;       /* that they take */
    int64_t fell_back;  /* matrices in another type, since their columns do not divide into the backend's blocks */
};

/* Whether this name is for a GGUF file: it ends in .gguf, or a device or pipe is there. */
bool synth_is_file(const char *path);
/* Writes a GGUF file, or a Hugging Face folder, which must be empty or absent (config.json comes last; after a failure
 * the folder is as it was). A panel of rows is in memory at a time. ERROR_USAGE for shapes that no llama has. `watch`
 * and `facts` may be NULL. */
int model_synth(const struct synth *s, const char *path, const struct export_progress *watch, struct synth_facts *facts,
                struct error *e);

#endif
