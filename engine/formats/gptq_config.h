/* How a Hugging Face folder says that its matrices are GPTQ's: quantize_config.json, or quantization_config in
 * config.json.
 *
 *     struct gptq_config c;
 *     if (gptq_config_read(&c, json, "folder/quantize_config.json", e)) return e->code;
 *
 * Keys as AutoGPTQ (BaseQuantizeConfig), GPTQModel (QuantizeConfig) and transformers (GPTQConfig) write them, and the
 * names of older tools:
 *     bits | wbits | w_bit                          2, 3, 4, 8
 *     group_size | groupsize | q_group_size         columns of a group, -1: all
 *     desc_act | act_order, sym                     booleans
 *     quant_method | method                         "gptq"; others are refused by name
 *     checkpoint_format | format                    "gptq" (v1, the default), "gptq_v2"; others are refused by name
 *     is_marlin_format, pack_dtype                  refused unless false and "int32"
 *     dynamic                                       GPTQModel: patterns of modules with settings of their own
 * Of `dynamic` only its presence is read: bits and group size of a matrix follow from its tensors' shapes. Keys that say
 * how the codes were found (damp_percent, true_sequential, ...) do not change what they mean and are left alone. */
#ifndef KERF_ENGINE_FORMATS_GPTQ_CONFIG_H
#define KERF_ENGINE_FORMATS_GPTQ_CONFIG_H

#include "engine/backends/gptq.h"
#include <jansson.h>

struct gptq_config {
    int64_t bits;       /* 0: not said */
    int64_t group_size; /* columns of a group, -1: all; 0: not said */
    bool act_order, symmetric;
    enum gptq_zeros zeros;
    bool mixed; /* some matrices may have other bits and groups */
};

/* NULL for json: nothing is said, all defaults. */
int gptq_config_read(struct gptq_config *out, const json_t *json, const char *where, struct error *e);
/* "gptq", "gptq_v2" */
const char *gptq_zeros_name(enum gptq_zeros zeros);
/* The object that goes into both files, keys and values as the readers named above expect them: `how` is a gptq or rtn
 * backend with bits, `quantizer` who wrote it ("kerf:0.1.0"). NULL when memory ran out. */
json_t *gptq_config_write(const struct backend_options *how, enum gptq_zeros zeros, const char *quantizer);

/* Which convention the zero points of a checkpoint's matrices speak for. Weights are centred: read the right way their
 * mean is a small part of a step from zero, read the other way it is a whole step further. Start from zeros. */
struct gptq_evidence {
    double v1, v2; /* sums over all weights of their distance from zero, in steps */
    double weights;
    int64_t matrices;
    int64_t v1_nearer;        /* matrices that are better centred as v1 */
    int64_t middle1, middle2; /* matrices whose zero points are all 2^(bits - 1) as v1, as v2: symmetric grids */
};
/* m: the matrix that was adopted from w. */
void gptq_evidence_add(struct gptq_evidence *g, const struct gptq_stored *w, const struct matrix *m);
/* Whether all matrices together speak clearly against the convention they were read by; `what` says why and names the
 * way out. */
bool gptq_evidence_contradicts(const struct gptq_evidence *g, enum gptq_zeros read_as, char *what, size_t size);

#endif
