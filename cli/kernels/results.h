/* What `kerf kernels` found: whether every case is right, what was counted, what changed; and how it is told.
 *
 *     struct kernel_results r = {.plan = &plan};
 *     if (kernel_results_check(&r, &progress, e)) return e->code;
 *     struct kernel_story story = {.results = &r, .costs = &now, .changes = &changes};
 *     kernels_tell(&story, &text);
 *     kernel_results_free(&r); */
#ifndef KERF_CLI_KERNELS_RESULTS_H
#define KERF_CLI_KERNELS_RESULTS_H

#include "cli/kernels/costs.h"
#include "engine/base/text.h"

/* One case under one instruction set, in all places. */
struct kernel_result {
    size_t pick, isa; /* of the plan */
    bool wrong;
    double error; /* the worst, in units of its bound */
    char *words;  /* what is wrong, and where the buffers were; NULL where nothing is */
};

struct kernel_results {
    const struct kernel_plan *plan;
    struct kernel_result *all; /* [n], cases in the plan's order, instruction sets within them */
    size_t n, capacity, wrong;
};

int kernel_results_check(struct kernel_results *r, struct progress *progress, struct error *e);
const struct kernel_result *kernel_results_find(const struct kernel_results *r, const struct cost_row *row);
void kernel_results_free(struct kernel_results *r);

/* All that the reports draw on. */
struct kernel_story {
    const struct kernel_results *results; /* NULL: nothing was checked */
    const struct costs *costs;
    const char *counter;                /* "callgrind"; "" where nothing was counted */
    const struct cost_changes *changes; /* NULL: nothing was compared */
    const struct costs *baseline;       /* with them */
    const char *against;                /* where the baseline is from: a file, or a program */
    double seconds;
};

/* "products/q4_k 5x48x512 random avx2". */
void kernel_result_name(const struct kernel_story *s, const struct kernel_result *r, char out[2 * KERNEL_NAME]);
void cost_row_name(const struct cost_row *row, char out[2 * KERNEL_NAME]);
/* "1.0231 times the cost, 12543 to 12833 instructions"; with the interval where there is one. */
void cost_change_words(const struct cost_change *c, struct text *out);
/* "2 of 830 cases are wrong, 1 of 220 costs is more than before"; "" where all is well. */
void kernel_story_fault(const struct kernel_story *s, struct text *out);

void kernels_tell(const struct kernel_story *s, struct text *out); /* for a terminal */
int kernels_tell_json(const struct kernel_story *s, struct error *e);
void kernels_tell_junit(const struct kernel_story *s, struct text *out);
void kernels_tell_markdown(const struct kernel_story *s, struct text *out);

#endif
