/* f32, f16, bf16: floating-point weights. Rounding is to nearest even. */
#include "engine/backends/pack.h"
#include "engine/kernels/kernels.h"

#include <stdio.h>
#include <string.h>

/* The type is the backend's name. */
static enum dtype_id type_of(const struct backend_options *o) { return (enum dtype_id)dtype_named(o->backend->name); }

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    (void)spec, (void)e;
    snprintf(o->spec, sizeof o->spec, "%s", o->backend->name);
    return 0;
}

static int pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                struct error *e)
{
    (void)at;
    return pack_decoded(out, w, type_of(o), NULL, e);
}

static enum dtype_id gguf_type(const struct backend_options *o, const struct place *at, int64_t cols, bool *fell_back)
{
    (void)at, (void)cols, (void)fell_back;
    return type_of(o);
}

extern const struct backend backend_f32, backend_f16, backend_bf16;

const struct backend backend_f32 = {.name = "f32",
                                    .summary = "float32, 32 bits a weight",
                                    .configure = configure,
                                    .pack = pack,
                                    .unpack = unpack_decoded,
                                    .gguf_type = gguf_type};

const struct backend backend_f16 = {.name = "f16",
                                    .summary = "IEEE 754 binary16, 16 bits a weight",
                                    .configure = configure,
                                    .pack = pack,
                                    .unpack = unpack_decoded,
                                    .gguf_type = gguf_type};

const struct backend backend_bf16 = {.name = "bf16",
                                     .summary = "bfloat16, 16 bits a weight",
                                     .configure = configure,
                                     .pack = pack,
                                     .unpack = unpack_decoded,
                                     .gguf_type = gguf_type};
