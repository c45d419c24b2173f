/* gguf: the block types of the GGML family, packed on load or adopted from a file as they are. */
#include "engine/backends/pack.h"
#include "engine/kernels/kernels.h"

#include <ctype.h>
#include <stdio.h>

static const char *const variants[] = {"q8_0", "q4_0", NULL};

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    if (!spec->variant)
        return error_set(e, ERROR_USAGE, "backend \"%s\": a type must follow, as in gguf:q8_0", spec->whole);
    o->type = (enum dtype_id)dtype_named(spec->variant);
    snprintf(o->spec, sizeof o->spec, "gguf:%s", spec->variant);
    return 0;
}

static int pack(struct matrix *out, const struct tensor *w, const struct backend_options *o, struct error *e)
{
    return pack_decoded(out, w, gguf_same_type(o, w->shape[1]), e);
}

/* Float types are adopted by their own backends, which stand before this one in the registry. */
static bool adopts(enum dtype_id type) { return dtype_of((int)type)->block > 1; }

extern const struct backend backend_gguf;

const struct backend backend_gguf = {.name = "gguf",
                                     .summary = "GGML block types: q8_0 (8.5 bits a weight), q4_0 (4.5)",
                                     .variants = variants,
                                     .configure = configure,
                                     .pack = pack,
                                     .adopts = adopts,
                                     .unpack = unpack_decoded,
                                     .gguf_type = gguf_same_type};
