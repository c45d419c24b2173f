#include "engine/decoding/decode.h"

#include <string.h>

struct decode decode_greedy(void)
{
    return (struct decode){.spec = "greedy",
                           .kind = DECODE_GREEDY,
                           .beams = 1,
                           .length_penalty = 1,
                           .temperature = 1,
                           .top_p = 1,
                           .typical_p = 1,
                           .repetition_penalty = 1,
                           .seed = 1234};
}

int decode_parse(struct decode *out, const char *spec, struct error *e)
{
    *out = decode_greedy();
    return strcmp(spec, "greedy") ? error_set(e, ERROR_USAGE, "\"%.60s\": no such strategy", spec) : 0;
}
