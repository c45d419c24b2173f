/* Greedy search: the most likely token, the first of equals. */
#include "engine/decoding/generate.h"
#include "engine/kernels/kernels.h"

static int32_t pick(const struct model *m, const float *logits)
{
    return (int32_t)kernels_get()->argmax(logits, model_hyper(m)->vocab);
}

const struct strategy strategy_greedy = {.name = "greedy", .pick = pick};
