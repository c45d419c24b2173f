/* What GGUF files say and llama.cpp does not go by, as its release 0.5.0 has it (tests/models/test_llamacpp.c holds it to
 * that): windows are Gemma 2's alone; the scale of Gemma 2's scores follows from its shape; whether the shares of chosen
 * experts sum to 1 is the architecture's; yarn's ramp lies between 32 turns and 1. */
#include "engine/base/text.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool window_unread(const struct model *m)
{
    const struct hyper *h = &m->hyper;
    bool any = false;
    for (int64_t i = 0; i < h->layers; i++) any |= window_of(h, i) < h->context;
    return any && strcmp(m->architecture->name, "gemma2") != 0;
}

static bool scale_unread(const struct model *m)
{
    const struct hyper *h = &m->hyper;
    if (!architecture_key(m->architecture, "attention.scale")) return false;
    const double usual = 1 / sqrt((double)(h->layers == 46 ? h->width / h->heads : h->head));
    return fabs((double)h->attn_scale - usual) > 1e-6 * usual;
}

static bool sum_unread(const struct model *m)
{
    const struct key_map *key = architecture_key(m->architecture, "expert_weights_norm");
    return m->hyper.experts && key && m->hyper.experts_norm != (key->fallback != 0);
}

static bool ramp_unread(const struct model *m)
{
    const struct rope *r = &m->rope;
    return r->scaling && strcmp(r->scaling, "yarn") == 0 && (r->fast != 32 || r->slow != 1);
}

static void add(struct text *t, bool unread, const char *what)
{
    if (unread) text_printf(t, "%s%s", t->length ? ", " : "", what);
}

void export_warn(struct model *m)
{
    struct text t = {0};
    char window[64];
    snprintf(window, sizeof window, "the window of %" PRId64 " positions (longer texts)", m->hyper.window);
    add(&t, window_unread(m), window);
    add(&t, scale_unread(m), "the scale of attention scores");
    add(&t, sum_unread(m),
        m->hyper.experts_norm ? "that experts' shares sum to 1" : "that experts' shares need not sum to 1");
    add(&t, ramp_unread(m), "yarn's beta_fast and beta_slow");
    if (t.length)
        model_warn(m, "llama.cpp does not read in %s files: %s; its results will differ", m->architecture->name,
                   text_c(&t));
    text_free(&t);
}
