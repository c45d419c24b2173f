/* Meters in turn, round after round, and what their times come to. */
#include "cli/machine.h"
#include "cli/machine_loops.h"
#include "engine/backends/backend.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SIDE = 1024, MIB = 1 << 20, LEAST_ARRAY = 512 * MIB, PIECE = 1024 };
static const double slice = 0.02; /* seconds of one reading, about */

struct description {
    const char *name, *what, *unit;
    enum machine_kind kind;
};

static const struct description descriptions[MACHINE_METERS] = {
    [MACHINE_SGEMM] = {"sgemm", "OpenBLAS, matrices of 1024 x 1024", "GFLOP/s", MACHINE_F32},
    [MACHINE_FMA_256] = {"fma-256", "AVX2 vfmadd231ps", "GFLOP/s", MACHINE_F32},
    [MACHINE_FMA_512] = {"fma-512", "AVX-512 vfmadd231ps", "GFLOP/s", MACHINE_F32},
    [MACHINE_MADDUBS_256] = {"maddubs-256", "AVX2 vpmaddubsw, vpmaddwd, vpaddd", "GOP/s", MACHINE_INT8},
    [MACHINE_AVX_VNNI] = {"avx-vnni", "AVX-VNNI vpdpbusd, 256 bits", "GOP/s", MACHINE_INT8},
    [MACHINE_VNNI_256] = {"vnni-256", "AVX512_VNNI vpdpbusd, 256 bits", "GOP/s", MACHINE_INT8},
    [MACHINE_VNNI_512] = {"vnni-512", "AVX512_VNNI vpdpbusd, 512 bits", "GOP/s", MACHINE_INT8},
    [MACHINE_BF16_512] = {"bf16-512", "AVX512_BF16 vdpbf16ps, 512 bits", "GFLOP/s", MACHINE_BF16},
    [MACHINE_AMX_INT8] = {"amx-int8", "AMX tdpbusd", "GOP/s", MACHINE_INT8},
    [MACHINE_AMX_BF16] = {"amx-bf16", "AMX tdpbf16ps", "GFLOP/s", MACHINE_BF16},
    [MACHINE_READ] = {"read", "memory, one pass over an array", "GB/s", MACHINE_MEMORY},
};

/* A mean and the squares around it as they come (Welford 1962). */
struct series {
    int64_t n;
    double mean, squares, best;
};

struct meter {
    const char *lacks;    /* NULL: it is there */
    int64_t rounds[2];    /* of the loop for one slice, on one thread and on all */
    struct series run[2]; /* 10^9 operations or bytes a second */
};

struct machine {
    int threads;
    float *a, *b, *c; /* [SIDE, SIDE] */
    uint8_t *array;   /* [bytes] */
    size_t bytes;     /* a multiple of PIECE for each thread */
    machine_reader *reader;
    struct meter meters[MACHINE_METERS];
    int64_t rounds;
};

/* --- one reading: seconds --- */

/* Called by every thread of a team: the clock starts when all are there, and none goes on before. */
static void start_together(double *start)
{
#pragma omp barrier
#pragma omp master
    *start = seconds_now();
#pragma omp barrier
}

static double spin_once(const struct machine_loop *loop, int threads, int64_t rounds)
{
    double start = 0;
#pragma omp parallel num_threads(threads)
    {
        start_together(&start);
        loop->spin(rounds);
    }
    return seconds_now() - start;
}

static double multiply_once(const struct machine *m, int threads, int64_t rounds)
{
    omp_set_num_threads(threads); /* which OpenBLAS's OpenMP build goes by */
    double start = seconds_now();
    for (int64_t i = 0; i < rounds; i++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIDE, SIDE, SIDE, 1.f, m->a, SIDE, m->b, SIDE, 0.f, m->c,
                    SIDE);
    double seconds = seconds_now() - start;
    omp_set_num_threads(m->threads);
    return seconds;
}

static double read_once(const struct machine *m, int threads, int64_t rounds)
{
    const size_t each = m->bytes / (size_t)threads / PIECE * PIECE;
    double start = 0;
#pragma omp parallel num_threads(threads)
    {
        start_together(&start);
        for (int64_t i = 0; i < rounds; i++) m->reader(m->array + each * (size_t)omp_get_thread_num(), each);
    }
    return seconds_now() - start;
}

/* 10^9 operations or bytes a second over some rounds; *seconds is what these took. */
static double measure(const struct machine *m, enum machine_meter meter, int threads, int64_t rounds, double *seconds)
{
    double work;
    if (meter == MACHINE_SGEMM) {
        *seconds = multiply_once(m, threads, rounds);
        work = 2.0 * SIDE * SIDE * SIDE;
    } else if (meter == MACHINE_READ) {
        *seconds = read_once(m, threads, rounds);
        work = (double)(m->bytes / (size_t)threads / PIECE * PIECE) * threads;
    } else {
        const struct machine_loop *loop = machine_loop_of(meter);
        *seconds = spin_once(loop, threads, rounds);
        work = loop->operations * threads;
    }
    if (*seconds < 1e-9) *seconds = 1e-9;
    return work * (double)rounds / *seconds / 1e9;
}

/* --- opening --- */

/* As many rounds as fill a slice. */
static void calibrate(struct machine *m, enum machine_meter meter)
{
    for (int k = 0; k < 2; k++) {
        double seconds = 0;
        int64_t rounds = 1;
        const int threads = k ? m->threads : 1;
        for (measure(m, meter, threads, rounds, &seconds); seconds < slice / 4; rounds *= 4)
            measure(m, meter, threads, 4 * rounds, &seconds);
        const double wanted = ceil((double)rounds * slice / seconds);
        m->meters[meter].rounds[k] = wanted < 1 ? 1 : (int64_t)wanted;
    }
}

/* One core's cache of a level in bytes, of data or of both; as Linux tells it. */
static size_t cache_bytes(int level)
{
    for (int i = 0; i < 8; i++) {
        char path[96], type[32] = "";
        int is = 0;
        unsigned long long kib = 0;
        const char *const fields[] = {"level", "type", "size"};
        for (int k = 0; k < 3; k++) {
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", i, fields[k]);
            FILE *f = fopen(path, "r");
            if (!f) return 0;
            char line[32] = "";
            if (fgets(line, sizeof line, f) && k == 0) is = atoi(line);
            if (k == 1) snprintf(type, sizeof type, "%s", line);
            if (k == 2) kib = strtoull(line, NULL, 10);
            fclose(f);
        }
        if (is == level && type[0] != 'I') return (size_t)kib * 1024;
    }
    return 0;
}

/* Eight times what the last cache holds and LEAST_ARRAY at the least, but no more than a quarter of what is free. */
static size_t array_bytes(void)
{
    size_t wanted = 8 * cache_bytes(3), most = memory_available() / 4;
    if (wanted < LEAST_ARRAY) wanted = LEAST_ARRAY;
    return wanted < most ? wanted : most / MIB * MIB;
}

/* Every page is written, by a thread that will read it: pages that never were are all the same one. */
static void fill_array(struct machine *m)
{
    madvise(m->array, m->bytes, MADV_HUGEPAGE); /* a wish: page tables are not what is measured */
    const size_t each = m->bytes / (size_t)m->threads;
#pragma omp parallel num_threads(m->threads)
    {
        const size_t i = (size_t)omp_get_thread_num(), begin = i * each;
        memset(m->array + begin, 1, (int)i + 1 < m->threads ? each : m->bytes - begin);
    }
}

static int make(struct machine *m, struct error *e)
{
    const size_t square = (size_t)SIDE * SIDE, threads = (size_t)m->threads;
    m->a = memory_new(square, sizeof *m->a, "a matrix", e);
    m->b = m->a ? memory_new(square, sizeof *m->b, "a matrix", e) : NULL;
    m->c = m->b ? memory_new(square, sizeof *m->c, "a matrix", e) : NULL;
    if (!m->c) return ERROR_IO;
    for (size_t i = 0; i < square; i++)
        m->a[i] = (float)(i % 61) / 61.f - 0.5f, m->b[i] = (float)(i % 53) / 53.f - 0.5f;
    m->bytes = array_bytes();
    if (m->bytes < threads * PIECE) {
        m->meters[MACHINE_READ].lacks = "there is too little free memory for an array";
        return 0;
    }
    m->array = memory_new(m->bytes, 1, "an array", e);
    if (!m->array) return ERROR_IO;
    fill_array(m);
    return 0;
}

int machine_open(struct machine **out, struct error *e)
{
    *out = NULL;
    struct machine *m = memory_new(1, sizeof *m, "a machine's limits", e);
    if (!m) return ERROR_IO;
    m->threads = omp_get_max_threads();
    m->reader = machine_reader_of();
    for (int i = 0; i < MACHINE_METERS; i++) m->meters[i].lacks = machine_lacks((enum machine_meter)i);
    int status = make(m, e);
    if (status) {
        machine_close(m);
        return status;
    }
    for (int i = 0; i < MACHINE_METERS; i++)
        if (!m->meters[i].lacks) calibrate(m, (enum machine_meter)i);
    *out = m;
    return 0;
}

void machine_close(struct machine *m)
{
    if (!m) return;
    free(m->a);
    free(m->b);
    free(m->c);
    free(m->array);
    free(m);
}

/* --- rounds --- */

static void add(struct series *s, double x)
{
    s->n++;
    const double before = x - s->mean;
    s->mean += before / (double)s->n;
    s->squares += before * (x - s->mean);
    if (s->n == 1 || x > s->best) s->best = x;
}

int machine_round(struct machine *m, machine_watch *watch, void *user, struct error *e)
{
    for (int i = 0; i < 2 * MACHINE_METERS; i++) {
        struct meter *meter = &m->meters[i / 2];
        const int k = i % 2;
        double seconds;
        if (watch && !watch(user, (size_t)i, 2 * MACHINE_METERS)) return error_set(e, ERROR_INTERRUPTED, "interrupted");
        if (meter->lacks) continue;
        add(&meter->run[k], measure(m, (enum machine_meter)(i / 2), k ? m->threads : 1, meter->rounds[k], &seconds));
    }
    m->rounds++;
    return 0;
}

/* --- what it comes to --- */

static struct machine_reading reading_of(const struct series *s)
{
    if (!s->n) return (struct machine_reading){NAN, NAN, NAN};
    return (struct machine_reading){s->mean, s->n > 1 ? sqrt(s->squares / (double)(s->n - 1)) : NAN, s->best};
}

static struct machine_limit limit_of(const struct machine *m, enum machine_meter at)
{
    const struct description *d = &descriptions[at];
    const struct meter *meter = &m->meters[at];
    struct machine_limit l = {.name = d->name, .what = d->what, .unit = d->unit, .kind = d->kind};
    l.on_one = reading_of(&meter->run[0]);
    l.on_all = reading_of(&meter->run[1]);
    l.one = l.on_one.best;
    l.all = l.on_all.best;
    if (isnan(l.all)) snprintf(l.reason, sizeof l.reason, "%s", meter->lacks ? meter->lacks : "nothing was measured");
    return l;
}

/* The one with the highest value among the meters; where none has one, the last, whose reason says most. */
static const struct machine_limit *best_of(const struct machine_limits *m, const enum machine_meter *meters, size_t n)
{
    const struct machine_limit *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (!isnan(m->all[meters[i]].all) && (!best || m->all[meters[i]].all > best->all)) best = &m->all[meters[i]];
    return best ? best : &m->all[meters[n - 1]];
}

static const enum machine_meter floats[] = {MACHINE_FMA_256, MACHINE_FMA_512},
                                vectors[] = {MACHINE_MADDUBS_256, MACHINE_AVX_VNNI, MACHINE_VNNI_256, MACHINE_VNNI_512,
                                             MACHINE_AMX_INT8},
                                halves[] = {MACHINE_BF16_512, MACHINE_AMX_BF16};

void machine_read(const struct machine *m, struct machine_limits *out)
{
    *out = (struct machine_limits){.threads = m->threads,
                                   .rounds = m->rounds,
                                   .l1d = cache_bytes(1),
                                   .l2 = cache_bytes(2),
                                   .l3 = cache_bytes(3),
                                   .read_bytes = m->bytes};
    blas_name(out->blas, sizeof out->blas);
    for (int i = 0; i < MACHINE_METERS; i++) out->all[i] = limit_of(m, (enum machine_meter)i);
    out->sgemm = out->all[MACHINE_SGEMM];
    out->fma = *best_of(out, floats, 2);
    out->int8 = *best_of(out, vectors, 4);
    out->bf16 = out->all[MACHINE_BF16_512];
    out->amx_int8 = out->all[MACHINE_AMX_INT8];
    out->amx_bf16 = out->all[MACHINE_AMX_BF16];
    out->read = out->all[MACHINE_READ];
}

int machine_measure(struct machine_limits *out, int64_t repeat, machine_watch *watch, void *user, struct error *e)
{
    struct machine *m;
    int status = machine_open(&m, e);
    for (int64_t i = 0; i < repeat && !status; i++) status = machine_round(m, watch, user, e);
    if (!status) machine_read(m, out);
    machine_close(m);
    return status;
}

const struct machine_limit *machine_peak(const struct machine_limits *m, enum machine_kind kind, const char *isa)
{
    static const struct machine_limit none = {
        .name = "none",
        .what = "",
        .unit = "",
        .one = NAN,
        .all = NAN,
        .on_one = {NAN, NAN, NAN},
        .on_all = {NAN, NAN, NAN},
        .reason = "these kernels are portable C, whose instructions are the compiler's choice"};
    static const struct machine_limit no_halves = {.name = "none",
                                                   .what = "",
                                                   .unit = "",
                                                   .kind = MACHINE_BF16,
                                                   .one = NAN,
                                                   .all = NAN,
                                                   .on_one = {NAN, NAN, NAN},
                                                   .on_all = {NAN, NAN, NAN},
                                                   .reason = "AVX2 has no instruction for bfloat16"};
    const int level = strcmp(isa, "amx") == 0 ? 3 : strcmp(isa, "avx512") == 0 ? 2 : strcmp(isa, "avx2") == 0 ? 1 : 0;
    if (kind == MACHINE_MEMORY) return &m->all[MACHINE_READ];
    if (!level) return &none;
    if (kind == MACHINE_F32) return best_of(m, floats, level > 1 ? 2 : 1);
    if (kind == MACHINE_INT8) return best_of(m, vectors, level > 2 ? 5 : level > 1 ? 4 : 2);
    return level == 1 ? &no_halves : best_of(m, halves, level > 2 ? 2 : 1);
}
