/* gguf: the block types of the GGML family, packed on load or adopted from a file as they are. */
#include "engine/backends/pack.h"
#include "engine/kernels/kernels.h"

#include <stdio.h>

static const char *const variants[] = {"q8_0", "q4_0", NULL};

struct settings {
    enum dtype_id type;
};
_Static_assert(sizeof(struct settings) <= BACKEND_PARSED, "settings fit in their place");

static const struct settings *settings_of(const struct backend_options *o) { return (const void *)o->parsed; }

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    if (!spec->variant)
        return error_set(e, ERROR_USAGE, "backend \"%s\": a type must follow, as in gguf:q8_0", spec->whole);
    struct settings *s = (void *)o->parsed;
    s->type = (enum dtype_id)dtype_named(spec->variant);
    snprintf(o->spec, sizeof o->spec, "gguf:%s", spec->variant);
    return 0;
}

static enum dtype_id gguf_type(const struct backend_options *o, const struct place *at, int64_t cols, bool *fell_back)
{
    (void)at;
    enum dtype_id type = settings_of(o)->type;
    *fell_back = cols % dtype_of((int)type)->block != 0;
    return *fell_back ? DTYPE_F16 : type;
}

static int pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                struct error *e)
{
    bool fell_back;
    enum dtype_id type = gguf_type(o, at, w->shape[1], &fell_back);
    return pack_decoded(out, w, type, at->importance, e);
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
                                     .gguf_type = gguf_type};
