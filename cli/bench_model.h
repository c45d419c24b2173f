/* kerf bench model: what its files share. bench_model.c has the command and the turns, bench_run.c the tests,
 * bench_memory.c the peaks, bench_work.c what a test has to do and what came of it, bench_peers.c the goal,
 * bench_profile.c what it costs the hardware, bench_record.c JSON, bench_csv.c CSV, bench_table.c the tables.
 *
 *     struct contender c = {.subject = s};
 *     struct bench_test t = bench_test_of(BENCH_PP, 512, 0);
 *     struct bench_room room;
 *     if (bench_open(&c, &aids, &progress, e) || bench_check(&c, &t, e)) ...
 *     if (bench_room_open(&room, &c, &t, e) || bench_run(&c, &t, &how, t.tokens, &room, &run, e)) ...
 *     printf("%g\n", bench_speed(&t, run.seconds));
 *
 * Tests are llama-bench's (llama.cpp, tools/llama-bench): pp512 is the time of 512 tokens of a prompt with the logits of
 * the last one, tg128 of 128 tokens one after the other with logits each, "@ d512" behind 512 tokens that are there
 * before. ppl512 is kerf's: a window of 512 tokens with the log-likelihood of every one of them, as kerf perplexity takes
 * it. Tokens are random. */
#ifndef KERF_CLI_BENCH_MODEL_H
#define KERF_CLI_BENCH_MODEL_H

#include "cli/command.h"
#include "cli/machine.h"
#include "cli/profile.h"
#include "engine/base/text.h"

enum bench_kind { BENCH_PP, BENCH_TG, BENCH_PPL, BENCH_KINDS };
enum { BENCH_TESTS = 32, BENCH_KEY = 64 };

struct bench_test {
    enum bench_kind kind;
    int64_t tokens, depth;
    char name[64]; /* "pp512 @ d1024" */
};

struct bench_how {
    int64_t batch; /* tokens in a pass, of pp and ppl */
    int64_t repeat, threads, seed;
};

/* Where the time of a test went: parts of the engine, in the place of its rest the scores of ppl, and what is left. */
enum { BENCH_SCORES = PART_REST, BENCH_REST = PASS_PARTS, BENCH_PARTS = PASS_PARTS + 1 };
_Static_assert(PART_REST == PASS_PARTS - 1, "the rest is the last part");

struct bench_run {
    double seconds;
    double parts[BENCH_REST]; /* seconds */
};

/* Memory of a test, used again by every repetition. */
struct bench_room {
    int32_t *ids;  /* [depth + tokens] */
    float *hidden; /* [tokens or 1, width] */
    float *logits; /* [slice, vocab] */
    int64_t slice;
};

/* Of one test of one contender. */
struct bench_cell {
    struct bench_room room;
    double *seconds;          /* [repeat] */
    double parts[BENCH_REST]; /* seconds, of all repetitions */
    size_t peak;              /* bytes resident at most while it ran; 0: not measured */
    json_t *profile;          /* of its repetitions once more; NULL: none was asked for */
};

/* What a model's matrices are. */
struct bench_work {
    double layers, output;             /* elements that a token is multiplied with */
    double layers_bytes, output_bytes; /* their bytes */
    char weights[BACKEND_SPEC];        /* "q4_0", the type of most bytes; where they have none the backend */
    bool quantized;                    /* these are no floats */
};

struct contender {
    struct subject subject;
    char *model; /* its name without the math, which tables have in a column of its own */
    struct model *m;
    struct cache *cache;
    struct bench_work work;
    struct bench_cell cells[BENCH_TESTS]; /* of each test */
    /* 0 where memory is not measured */
    size_t before, load_peak; /* bytes resident before its model was opened, and at most until that was done */
    size_t file;              /* bytes that its weights take, or would take, in a file */
};

/* Other programs' speed, from bench_peers_open(). */
struct bench_peers {
    json_t *file; /* NULL: none */
    const char *path;
    double sgemm, read; /* of the peers' machine: GFLOP/s and GB/s */
};

/* What a cell is held against. */
struct bench_peer {
    const char *name;   /* "ik", the fastest of them; NULL: none is known */
    double speed;       /* tokens/s there */
    double scaled;      /* the same by sgemm here over sgemm there; NaN where `reason` is set, as the two below */
    double ratio;       /* what was measured here over that */
    double by_read;     /* the same with the read bandwidths in sgemm's place */
    const char *reason; /* NULL where there is none */
};

struct model_bench {
    struct bench_how how;
    struct bench_test tests[BENCH_TESTS];
    size_t n_tests;
    struct contender *all;
    size_t n;
    bool measures_memory, measures_machine, shows_parts;
    struct machine_limits limits; /* where measures_machine */
    struct bench_peers peers;
    struct profiling_options profiling;
    struct progress progress;
};

/* Opens the contender's model; aids_find() was called. */
int bench_open(struct contender *c, const struct aids *aids, struct progress *progress, struct error *e);

/* --- tests (bench_run.c) --- */

struct bench_test bench_test_of(enum bench_kind kind, int64_t tokens, int64_t depth);
/* ERROR_USAGE where the test does not fit in the model's context. */
int bench_check(const struct contender *c, const struct bench_test *t, struct error *e);
int bench_room_open(struct bench_room *r, const struct contender *c, const struct bench_test *t, struct error *e);
void bench_room_close(struct bench_room *r); /* also a zeroed one, and after a failure */
/* Random tokens, the same for every model of this vocabulary, and the cache as it is before the test. */
int bench_prepare(struct contender *c, const struct bench_test *t, const struct bench_how *how,
                  const struct bench_room *room, struct error *e);
/* `tokens` of the test, all or fewer to warm up. The cache is filled up to the test's depth first, outside of the time. */
int bench_run(struct contender *c, const struct bench_test *t, const struct bench_how *how, int64_t tokens,
              const struct bench_room *room, struct bench_run *out, struct error *e);

/* --- profiles (bench_profile.c) --- */

enum { BENCH_COSTS = 7 };
struct bench_cost {
    const char *key;    /* of the profile's per_token, and of the CSV's column without its "_per_token" */
    const char *column; /* of the CSV: "joules" */
    const char *name;   /* in the table, where it is in `unit`: "mJ/t" */
    double unit;
};
/* What a token costs, in the order of the columns. */
const struct bench_cost *bench_cost_at(size_t i);
/* NaN where it was not measured. */
double bench_cost_of(const struct contender *c, size_t test, size_t i);
/* Runs the repetitions of every test once more, and fills the cells' profiles. */
int bench_profiles(struct model_bench *b, struct error *e);

/* --- memory (bench_memory.c) --- */

/* Opens the contender's model in a process of its own, which runs every test once, and fills before, load_peak, file and
 * the cells' peaks. To be called before anything runs in threads. */
int bench_memory(struct model_bench *b, struct contender *c, const struct aids *aids, struct error *e);

/* --- figures (bench_work.c) --- */

struct bench_spread {
    double mean, deviation; /* of a sample; NaN with a single value */
};

/* Everything that is told about a cell; NaN: not known. */
struct bench_figures {
    struct bench_spread speed, seconds; /* tokens/s; of a repetition */
    double flop;                        /* of the test: two for each element that a token is multiplied with */
    double bytes;                       /* of weights that a token of tg needs; of the others NaN */
    double gflops;                      /* 10^9 flop a second, mean */
    double per_sgemm;                   /* tokens/s for each GFLOP/s of sgemm */
    const struct machine_limit *limit;  /* that share is of; NULL: the machine was not measured */
    double reached, share;              /* in the limit's unit, and of its best */
    double peak, allowed, cache;        /* bytes */
    double total;                       /* seconds of all repetitions */
    struct bench_peer peer;
};

void bench_work(struct contender *c);                           /* fills c->work */
double bench_speed(const struct bench_test *t, double seconds); /* tokens/s */
struct bench_figures bench_figures_of(const struct model_bench *b, const struct contender *c, size_t test);
const char *bench_math(const struct contender *c);  /* "exact", "fast" */
const char *bench_part(size_t i);                   /* its name, i < BENCH_PARTS: "gate and up" */
void bench_part_key(size_t i, char key[BENCH_KEY]); /* the same as a key: "gate_and_up" */
/* Of the time of a test, what part i took. */
double bench_part_share(const struct contender *c, size_t test, const struct bench_figures *f, size_t i);

/* --- the goal (bench_peers.c) --- */

int bench_peers_open(struct bench_peers *p, const char *path, struct error *e);
struct bench_peer bench_peer_of(const struct model_bench *b, const struct contender *c, size_t test, double speed);
void bench_peers_close(struct bench_peers *p); /* also a zeroed one */

/* --- telling --- */

int bench_print_json(const struct model_bench *b, struct error *e);
int bench_print_csv(const struct model_bench *b, struct error *e);
int bench_print_table(const struct model_bench *b, struct error *e);
int bench_print_markdown(const struct model_bench *b, struct error *e);

#endif
