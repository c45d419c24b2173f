/* kerf kernels: every kernel of the table, under every instruction set that this CPU has, at every shape: is it right,
 * does it stay within its buffers, and what does it cost. The fixture that is checked is the one that is measured.
 *
 *     const struct kernel_family *f = kernel_family_at(0);
 *     struct kernel_case c;
 *     for (size_t i = 0; f->describe(i, &c); i++) {
 *         if (!f->has(k, &c)) continue;
 *         struct kernel_fixture x;
 *         if (kernel_fixture_open(&x, f, i, BUFFER_AT_END, seed, e)) return e->code;
 *         struct kernel_verdict v;
 *         kernel_fixture_check(&x, k, NULL, &v);             runs it once in guarded memory, compares
 *         kernel_fixture_run(&x, k);                         once more, for whoever measures
 *         kernel_fixture_close(&x);
 *     }
 *
 * A kernel's result is held against a reference in double precision, with a bound from the number of operations and the
 * magnitudes that met (Higham 2002, section 3.1: |error| <= gamma_n sum |terms|, gamma_n = n u / (1 - n u), u = 2^-24),
 * and, where the table promises the same bits, against the row "c". Integers are exact. */
#ifndef KERF_CLI_KERNELS_CHECK_H
#define KERF_CLI_KERNELS_CHECK_H

#include "engine/base/error.h"
#include "engine/kernels/kernels.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kernel_case {
    char kernel[32];  /* "products", "decode", "softmax" */
    char variant[32]; /* "q4_k", "set"; "" where there is one */
    char shape[48];   /* "5x48x512": input rows x matrix rows x columns; "257": elements */
    char content[16]; /* "random", "zeros", "large", "denormal", "nan", ... */
    bool measured;    /* also for its cost: random content, one shape that the engine meets and one ragged one */
    double work;      /* multiplications with their additions, else elements: what its cost is divided by, > 0 */
};

/* Buffers between pages that cannot be touched (guarded.c): a touch beyond the page ends in SIGSEGV, which
 * kernel_fixture_check() catches and tells; one within it changes bytes that are looked at after the run. */
struct kernel_memory;
enum buffer_place {
    BUFFER_AT_END,
    BUFFER_AT_START,
    BUFFER_OFF_START,
    BUFFER_PLACES
}; /* last: one element after the first */
struct kernel_memory *kernel_memory_new(enum buffer_place place, struct error *e);
void *kernel_buffer(struct kernel_memory *m, int64_t count, size_t size, struct error *e); /* NULL: no memory */
void kernel_memory_seal(struct kernel_memory *m); /* buffers so far are inputs: from here on they cannot be written */
/* What was written beside a buffer, in words; false: nothing was. */
bool kernel_memory_damaged(const struct kernel_memory *m, char *words, size_t size);
void kernel_memory_free(struct kernel_memory *m); /* NULL is fine */

struct kernel_verdict {
    bool wrong;      /* beyond its bound, other bits than "c" where they are promised, or out of its buffers */
    double error;    /* the largest error, in units of its bound; 1 is the bound; 0 where results are exact */
    double bound;    /* the bound where the largest was, absolute */
    char words[200]; /* what is wrong: "value 7 of 48 is 1.25 instead of 1.5 (3.1 times its bound)"; "" where right */
};

struct kernel_family {
    const char *name, *summary;
    bool (*describe)(size_t i, struct kernel_case *out);               /* false past the last */
    bool (*has)(const struct kernels *k, const struct kernel_case *c); /* whether this row of the table has it */
    /* Buffers in m, filled from the seed, inputs sealed; the reference is computed here. *own is the family's. */
    int (*open)(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                struct error *e);
    void (*run)(void *own, const struct kernels *k);    /* again and again gives the same: outputs are set anew */
    void (*check)(void *own, struct kernel_verdict *v); /* the output of the last run */
    const void *(*output)(void *own, size_t *bytes);    /* MAY: of the last run, where all rows promise the same bits */
    void (*close)(void *own);                           /* NULL is fine */
};

const struct kernel_family *kernel_family_at(size_t i); /* NULL past the last */

struct kernel_fixture {
    const struct kernel_family *family;
    struct kernel_case its;
    struct kernel_memory *memory;
    void *own;
};

int kernel_fixture_open(struct kernel_fixture *x, const struct kernel_family *f, size_t i, enum buffer_place place,
                        uint64_t seed, struct error *e);
/* Runs it once and judges. `same` (MAY be NULL): output of the row "c", to be compared bit for bit. */
void kernel_fixture_check(struct kernel_fixture *x, const struct kernels *k, const void *same,
                          struct kernel_verdict *v);
static inline void kernel_fixture_run(struct kernel_fixture *x, const struct kernels *k) { x->family->run(x->own, k); }
void kernel_fixture_close(struct kernel_fixture *x);

#endif
