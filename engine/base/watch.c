#include "engine/base/watch.h"

const char *phase_name(enum phase phase)
{
    static const char *const names[PHASES] = {"other",   "load",   "pack",    "prompts",
                                              "prefill", "decode", "scoring", "statistics"};
    return names[phase];
}
