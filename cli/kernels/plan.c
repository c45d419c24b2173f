#include "cli/kernels/plan.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kernel_name(const struct kernel_case *c, char out[KERNEL_NAME])
{
    snprintf(out, KERNEL_NAME, "%s%s%s", c->kernel, *c->variant ? "/" : "", c->variant);
}

void kernel_whole_name(const struct kernel_case *c, char out[KERNEL_NAME])
{
    snprintf(out, KERNEL_NAME, "%s%s%s/%s", c->kernel, *c->variant ? "/" : "", c->variant, c->shape);
}

static bool matches_one(const struct kernel_case *c, const char *only)
{
    char name[KERNEL_NAME], whole[KERNEL_NAME];
    kernel_name(c, name);
    kernel_whole_name(c, whole);
    return fnmatch(only, c->kernel, 0) == 0 || fnmatch(only, name, 0) == 0 || fnmatch(only, whole, 0) == 0;
}

static bool matches(const struct kernel_case *c, const char *const *only)
{
    bool any = !only || !*only;
    for (size_t i = 0; only && only[i] && !any; i++) any = matches_one(c, only[i]);
    return any;
}

bool kernel_plan_asks(const struct kernel_plan *p, const struct kernel_case *c, const char *isa)
{
    return matches(c, p->only) && (!p->isa || strcmp(p->isa, isa) == 0);
}

bool kernel_plan_has(const struct kernel_plan *p, size_t pick, size_t isa)
{
    return p->picks[pick].family->has(p->isas[isa], &p->picks[pick].its);
}

int kernel_plan_isa(const struct kernel_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_isas; i++)
        if (strcmp(p->isas[i]->name, name) == 0) return (int)i;
    return -1;
}

/* All up to the one that KERF_CPU leaves, or the one that was named. */
static int choose_isas(struct kernel_plan *p, struct error *e)
{
    const char *names[KERNEL_ISAS];
    size_t n = 0;
    if (kernels_check(e)) return (int)e->code;
    for (const struct kernels *k; n < KERNEL_ISAS && (k = kernels_at(n)) != NULL;) {
        names[n++] = k->name;
        if (!p->isa || strcmp(p->isa, k->name) == 0) p->isas[p->n_isas++] = k;
        if (k == kernels_get()) break; /* rows behind it are masked */
    }
    if (p->n_isas) return 0;
    const struct suggestion guess = suggest(p->isa, names, n);
    return error_set(e, ERROR_USAGE, "--isa %s: neither all nor an instruction set that this CPU and KERF_CPU allow%s",
                     p->isa, guess.words);
}

static int fail_pattern(const char *only, struct error *e)
{
    const char *names[64];
    size_t n = 0;
    for (const struct kernel_family *f; n < 64 && (f = kernel_family_at(n)) != NULL; n++) names[n] = f->name;
    const struct suggestion guess = suggest(only, names, n);
    return error_set(e, ERROR_USAGE,
                     "--only %s: fits no kernel%s (a pattern of KERNEL, KERNEL/VARIANT or KERNEL/VARIANT/SHAPE)", only,
                     guess.words);
}

int kernel_plan_make(struct kernel_plan *p, const char *const *only, const char *isa, uint64_t seed, struct error *e)
{
    size_t capacity = 0;
    struct kernel_pick pick;
    *p = (struct kernel_plan){.seed = seed, .only = only, .isa = isa && strcmp(isa, "all") ? isa : NULL};
    if (choose_isas(p, e)) return (int)e->code;
    for (size_t j = 0; (pick.family = kernel_family_at(j)) != NULL; j++)
        for (pick.i = 0; pick.family->describe(pick.i, &pick.its); pick.i++) {
            if (!matches(&pick.its, only)) continue;
            if (memory_reserve((void **)&p->picks, &capacity, p->n + 1, sizeof pick, "kernels' cases", e))
                return (int)e->code;
            p->picks[p->n++] = pick;
        }
    for (size_t i = 0; only && only[i]; i++) {
        bool fits = false;
        for (size_t j = 0; j < p->n && !fits; j++) fits = matches_one(&p->picks[j].its, only[i]);
        if (!fits) return fail_pattern(only[i], e);
    }
    return p->n ? 0 : error_set(e, ERROR_USAGE, "there are no kernels to check");
}

void kernel_plan_free(struct kernel_plan *p)
{
    free(p->picks);
    p->picks = NULL;
    p->n = 0;
}
