/* What this machine can do at most: measured limits, to say which share of them a model reaches.
 *
 *     struct machine_limits limits;
 *     if (machine_measure(&limits, 5, NULL, NULL, e)) return e->code;      about 6 s; needs engine_open()
 *     double sgemm = limits.sgemm.all;                                     GFLOP/s, the best of 5 repetitions
 *     const struct machine_limit *peak = machine_peak(&limits, MACHINE_INT8, kernels_get()->name);
 *     if (isnan(peak->all)) puts(peak->reason);
 *
 * or, with the repetitions taking turns with those of something else:
 *
 *     struct machine *m;
 *     if (machine_open(&m, e)) return e->code;
 *     for (...) if (machine_round(m, e)) break; else ...;                  one repetition of every meter
 *     machine_read(m, &limits);
 *     machine_close(m);
 *
 * A meter is one instruction in a loop that does nothing else: independent sums in registers, enough to hide the
 * instruction's latency; sgemm is OpenBLAS on square matrices; read is the sum of an array much larger than the last
 * cache. One multiplication with its addition counts as two operations. Every meter runs on one thread and on all that
 * OpenMP has. What the machine lacks is NaN with a reason in words. KERF_CPU masks nothing here: these are the
 * machine's limits. */
#ifndef KERF_CLI_MACHINE_H
#define KERF_CLI_MACHINE_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum machine_meter {
    MACHINE_SGEMM,       /* OpenBLAS */
    MACHINE_FMA_256,     /* AVX2: vfmadd231ps */
    MACHINE_FMA_512,     /* AVX512F: vfmadd231ps */
    MACHINE_MADDUBS_256, /* AVX2: vpmaddubsw, vpmaddwd, vpaddd */
    MACHINE_AVX_VNNI,    /* AVX-VNNI: vpdpbusd, 256 bits, VEX */
    MACHINE_VNNI_256,    /* AVX512_VNNI with AVX512VL: vpdpbusd, 256 bits */
    MACHINE_VNNI_512,    /* AVX512_VNNI: vpdpbusd */
    MACHINE_BF16_512,    /* AVX512_BF16: vdpbf16ps */
    MACHINE_AMX_INT8,    /* tdpbusd */
    MACHINE_AMX_BF16,    /* tdpbf16ps */
    MACHINE_READ,        /* memory */
    MACHINE_METERS
};

enum machine_kind { MACHINE_F32, MACHINE_INT8, MACHINE_BF16, MACHINE_MEMORY };

struct machine_reading {
    double mean, sd, best; /* of the repetitions; NaN where there are none, and sd of a single one */
};

/* GFLOP/s, GOP/s (10^9 operations a second) or, of memory, GB/s (10^9 bytes a second). */
struct machine_limit {
    const char *name, *what; /* "vnni-512", "AVX512_VNNI vpdpbusd, 512 bits"; static */
    const char *unit;        /* "GFLOP/s"; static */
    enum machine_kind kind;
    double one, all; /* the best repetition on 1 thread and on all; NaN: none, see reason */
    struct machine_reading on_one, on_all;
    char reason[160]; /* "" where there is a value */
};

struct machine_limits {
    int threads; /* all */
    int64_t rounds;
    char blas[64];                            /* "OpenBLAS 0.3.21 Haswell": version and the core type that it chose */
    size_t l1d, l2, l3;                       /* bytes that one core sees, 0 where the system does not say */
    size_t read_bytes;                        /* of the array that was read */
    struct machine_limit all[MACHINE_METERS]; /* by enum machine_meter */

    /* The same by what they are good for: copies of the best among `all`. */
    struct machine_limit sgemm;    /* GFLOP/s of OpenBLAS */
    struct machine_limit fma;      /* peak GFLOP/s of float32, the widest set */
    struct machine_limit int8;     /* peak GOP/s of int8 on vectors: best of VNNI, AVX-VNNI and AVX2 */
    struct machine_limit bf16;     /* peak GFLOP/s of bfloat16 on vectors */
    struct machine_limit amx_int8; /* peak GOP/s on tiles */
    struct machine_limit amx_bf16; /* peak GFLOP/s on tiles */
    struct machine_limit read;     /* GB/s from memory */
};

/* Called between pieces of work of a few 10 ms; false: stop with ERROR_INTERRUPTED. */
typedef bool machine_watch(void *user, size_t done, size_t total);

/* Opens, goes `repeat` (> 0) rounds after one that warms up, reads and closes. watch may be NULL. */
int machine_measure(struct machine_limits *out, int64_t repeat, machine_watch *watch, void *user, struct error *e);

struct machine;

/* Asks the CPU what there is and makes matrices and array; warms up. After an error there is nothing to close. */
int machine_open(struct machine **out, struct error *e);
/* One repetition of every meter, on one thread and on all: about 1 s, less where less is there. */
int machine_round(struct machine *m, machine_watch *watch, void *user, struct error *e);
void machine_read(const struct machine *m, struct machine_limits *out); /* of the rounds so far */
void machine_close(struct machine *m);                                  /* NULL is fine */

/* The best limit of a kind that the engine's kernels named `isa` ("c", "avx2", "avx512", "amx") may use; of "c" and of
 * what is absent one that is NaN with its reason. Sgemm is none of them: OpenBLAS chooses by itself. */
const struct machine_limit *machine_peak(const struct machine_limits *m, enum machine_kind kind, const char *isa);

#endif
