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

#include "engine/base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum gptq_zeros { GPTQ_V1 = 1, GPTQ_V2 = 2 };

struct gptq_config {
    int64_t bits;       /* 0: not said */
    int64_t group_size; /* columns of a group, -1: all; 0: not said */
    bool act_order, symmetric;
    enum gptq_zeros zeros;
    bool mixed; /* some matrices may have other bits and groups */
};

/* NULL for json: nothing is said, all defaults. */
int gptq_config_read(struct gptq_config *out, const json_t *json, const char *where, struct error *e);
/* ERROR_INPUT naming both places and the field where two settings of one checkpoint contradict: in the method, the bits,
 * the group size, the format or desc_act, if both say it. */
int gptq_config_agree(const json_t *a, const char *where, const json_t *b, const char *other, struct error *e);
/* What c does not say, the other says; they must agree. */
void gptq_config_merge(struct gptq_config *c, const struct gptq_config *other);
/* "gptq", "gptq_v2" */
const char *gptq_zeros_name(enum gptq_zeros zeros);

#endif
