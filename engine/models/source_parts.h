/* What source.c (settings) and source_tensors.c share. */
#ifndef KERF_ENGINE_MODELS_SOURCE_PARTS_H
#define KERF_ENGINE_MODELS_SOURCE_PARTS_H

#include "engine/base/table.h"
#include "engine/models/source.h"

enum { NAME = 256, ALL_PARTS = 7 };

struct source {
    struct checkpoint *checkpoint;
    const struct architecture *architecture;
    struct table index;             /* tensor name -> its number */
    uint8_t *used;                  /* [tensors], bits: which of its three parts were asked for */
    bool has_parts;                 /* some matrices are GPTQ's */
    struct gptq_config gptq, first; /* what all places say together, and what the first of them says */
    char part_of[NAME];             /* name of the matrix whose parts were found last */
    struct gptq_evidence evidence;
    enum gptq_zeros zeros_taken; /* how the zero points that it is of were taken */
    int64_t q_rows, kv_rows;     /* source_heads() */
    int64_t expert;              /* whose matrices names of all experts mean; -1: those of all as one tensor */
};

static inline const char *path_of(const struct source *s) { return checkpoint_path(s->checkpoint); }

#endif
