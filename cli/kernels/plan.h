/* What `kerf kernels` works on: the cases that were asked for, and the instruction sets that run them.
 *
 *     struct kernel_plan plan;
 *     if (kernel_plan_make(&plan, (const char *const[]){"products/q4_*", NULL}, NULL, 1, e)) return e->code;
 *     for (size_t i = 0; i < plan.n; i++)
 *         for (size_t j = 0; j < plan.n_isas; j++)
 *             if (kernel_plan_has(&plan, i, j)) ... plan.picks[i].its, plan.isas[j]->name ...
 *     kernel_plan_free(&plan);
 *
 * A pattern is a shell's (fnmatch(3)), of "kernel", "kernel/variant" or "kernel/variant/shape"; of several one must
 * fit. */
#ifndef KERF_CLI_KERNELS_PLAN_H
#define KERF_CLI_KERNELS_PLAN_H

#include "cli/kernels/check.h"

enum { KERNEL_ISAS = 8, KERNEL_NAME = 120 };

struct kernel_pick {
    const struct kernel_family *family;
    size_t i; /* of family->describe() */
    struct kernel_case its;
};

struct kernel_plan {
    struct kernel_pick *picks; /* [n] */
    size_t n;
    const struct kernels *isas[KERNEL_ISAS]; /* [n_isas], from plain to wide */
    size_t n_isas;
    uint64_t seed;
    const char *const *only; /* patterns, NULL-terminated, the caller's; NULL or none: all */
    const char *isa;         /* NULL: all */
};

/* `isa`: a name, or NULL or "all" for all up to what KERF_CPU allows. ERROR_USAGE where nothing is left, or an unknown
 * name. What it holds is to be freed after failure, too. */
int kernel_plan_make(struct kernel_plan *p, const char *const *only, const char *isa, uint64_t seed, struct error *e);
void kernel_plan_free(struct kernel_plan *p);
/* Whether this instruction set has the kernel at all. */
bool kernel_plan_has(const struct kernel_plan *p, size_t pick, size_t isa);
/* Whether a case of this name and instruction set was asked for, be it there or not. */
bool kernel_plan_asks(const struct kernel_plan *p, const struct kernel_case *c, const char *isa);
/* -1: not in the plan. */
int kernel_plan_isa(const struct kernel_plan *p, const char *name);
/* "products/q4_k", without the variant where there is but one; with the shape behind it. */
void kernel_name(const struct kernel_case *c, char out[KERNEL_NAME]);
void kernel_whole_name(const struct kernel_case *c, char out[KERNEL_NAME]);

#endif
