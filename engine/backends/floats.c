/* f32, f16, bf16: floating-point weights. Rounding is to nearest even. */
#include "engine/backends/pack.h"
#include "engine/kernels/kernels.h"

#include <stdio.h>

static int pack(struct matrix *out, const struct tensor *w, const struct backend_options *o, struct error *e)
{
    return pack_decoded(out, w, o->type, e);
}

static int configure(struct backend_options *o, enum dtype_id type, const char *name)
{
    o->type = type;
    snprintf(o->spec, sizeof o->spec, "%s", name);
    return 0;
}

static int configure_f32(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    (void)spec, (void)e;
    return configure(o, DTYPE_F32, "f32");
}

static int configure_f16(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    (void)spec, (void)e;
    return configure(o, DTYPE_F16, "f16");
}

static int configure_bf16(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    (void)spec, (void)e;
    return configure(o, DTYPE_BF16, "bf16");
}

static bool adopts_f32(enum dtype_id type) { return type == DTYPE_F32; }
static bool adopts_f16(enum dtype_id type) { return type == DTYPE_F16; }
static bool adopts_bf16(enum dtype_id type) { return type == DTYPE_BF16; }

extern const struct backend backend_f32, backend_f16, backend_bf16;

const struct backend backend_f32 = {.name = "f32",
                                    .summary = "float32, 32 bits a weight",
                                    .configure = configure_f32,
                                    .pack = pack,
                                    .adopts = adopts_f32,
                                    .unpack = unpack_decoded,
                                    .gguf_type = gguf_same_type};

const struct backend backend_f16 = {.name = "f16",
                                    .summary = "IEEE 754 binary16, 16 bits a weight",
                                    .configure = configure_f16,
                                    .pack = pack,
                                    .adopts = adopts_f16,
                                    .unpack = unpack_decoded,
                                    .gguf_type = gguf_same_type};

const struct backend backend_bf16 = {.name = "bf16",
                                     .summary = "bfloat16, 16 bits a weight",
                                     .configure = configure_bf16,
                                     .pack = pack,
                                     .adopts = adopts_bf16,
                                     .unpack = unpack_decoded,
                                     .gguf_type = gguf_same_type};
