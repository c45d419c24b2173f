#include "metrics/counters/profile.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "metrics/counters/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS = 32,    /* more than a pass has */
    IN_A_ROW = 16, /* intervals of pieces */
    PHASES_IN_A_ROW = 8,
    SNAPSHOTS = 4, /* the first, those that the next hardware and software intervals began with, and a new one */
};

/* What counters have counted in something, and in how many of its seconds. */
struct tally {
    struct profile_figures figures;
    double net;        /* seconds without those of reading */
    uint64_t *counted; /* [counters, threads] */
    double *seconds;   /* [counters] */
};

/* The seconds of something, whole and without those of reading. */
struct span {
    double gross, net;
};

/* When something began, and what reading had taken by then. */
struct start {
    double time, overhead;
};

struct place {
    struct profile_place at;
    struct tally tally;
};

struct profile {
    struct counters *counters;
    struct watch watch;
    size_t n; /* counters */
    int threads, groups;
    bool reads_pieces; /* there is something to read */
    bool stopped, failed;
    double opened, ended;
    double overhead;

    enum phase phase;
    struct start entered; /* when it was */
    struct tally phases[PHASES];

    struct place *places;
    size_t n_places, room;
    int32_t *index; /* [layers + 1, PHASES, PARTS]: the place, from 1; 0: not met */
    int64_t layers; /* that it has room for */

    struct counter_values *snapshots[SNAPSHOTS];
    const struct counter_values *first, *last;
    /* What the interval under way began with; NULL: nothing was read, or not since the phase began. */
    const struct counter_values *hard, *soft;
    struct start hard_since, soft_since;
    bool piece_seen;       /* `hard` was read where the piece under way began */
    double piece_overhead; /* what reading had taken by then */
    double rotated;        /* when the group that counts began to */
    struct sampler of_phases, of_pieces, of_turns;
    struct random random;
};

/* --- reading --- */

static struct counter_values *free_snapshot(const struct profile *p)
{
    size_t i = 0;
    while (p->snapshots[i] == p->first || p->snapshots[i] == p->hard || p->snapshots[i] == p->soft) i++;
    return p->snapshots[i];
}

static struct start started(const struct profile *p, double now) { return (struct start){now, p->overhead}; }

static struct span span_of(const struct profile *p, struct start since, double now)
{
    const double gross = now - since.time;
    return (struct span){gross, gross - (p->overhead - since.overhead)};
}

/* Energy is spent while counters are read as at other times. Else reading is none of what is counted: in user code it
 * takes few instructions, and what it takes of the first thread's time is known. */
static bool counts_reading(const struct counter *c) { return c->kind == COUNTER_ENERGY; }

static bool is_clock(const struct counter *c) { return strcmp(c->unit, "ns") == 0; }

/* What COUNTERS_HARDWARE reads. */
static bool is_quick(const struct counter *c) { return c->kind == COUNTER_HARDWARE || is_clock(c); }

static uint64_t without_reading(const struct counter *c, int thread, uint64_t counted, struct span lasted)
{
    const double reading = (lasted.gross - lasted.net) * 1e9;
    if (thread || !is_clock(c)) return counted;
    return (double)counted > reading ? counted - (uint64_t)reading : 0;
}

/* Adds what the counters that are read quickly, or the others, have counted since `before` to something that lasted so
 * long. */
static void tally_add(const struct profile *p, struct tally *t, bool quick, const struct counter_values *before,
                      const struct counter_values *after, struct span lasted)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct counter *c = counters_at(p->counters, i);
        if (c->reason[0] || is_quick(c) != quick || !counter_active(p->counters, before, i)) continue;
        uint64_t *counted = t->counted + i * (size_t)p->threads;
        t->seconds[i] += counts_reading(c) ? lasted.gross : lasted.net;
        const int threads = c->scope == COUNTER_THREADS ? p->threads : 1;
        for (int k = 0; k < threads; k++)
            if (c->kind == COUNTER_LEVEL)
                counted[k] = after->at[i * (size_t)p->threads + (size_t)k];
            else
                counted[k] += without_reading(c, k, counter_since(p->counters, before, after, k, i), lasted);
    }
}

/* Reads at `now`, and gives what was counted since the last time to the phase; to the piece as well where it gets one
 * that began then. */
static void read_at(struct profile *p, enum counters_extent extent, double now, struct tally *piece, struct span lasted)
{
    struct counter_values *v = free_snapshot(p);
    counters_read(p->counters, extent, v);
    struct tally *phase = &p->phases[p->phase];
    if (p->hard && p->hard->group == v->group) {
        tally_add(p, phase, true, p->hard, v, span_of(p, p->hard_since, now));
        if (piece) tally_add(p, piece, true, p->hard, v, lasted);
    }
    p->hard = v;
    p->hard_since = started(p, now);
    if (extent != COUNTERS_ALL) return;
    if (p->soft) tally_add(p, phase, false, p->soft, v, span_of(p, p->soft_since, now));
    p->soft = v;
    p->soft_since = started(p, now);
}

static void spent_since(struct profile *p, struct sampler *s, double now)
{
    const double spent = seconds_now() - now;
    sampler_spend(s, spent);
    p->overhead += spent;
}

/* Behind a read: the next group's turn. */
static void take_turns(struct profile *p)
{
    if (p->groups < 2) return;
    const double now = seconds_now();
    if (now - p->rotated < PROFILE_TURN || !sampler_affords(&p->of_turns, now, 1)) return;
    counters_rotate(p->counters);
    struct counter_values *v = free_snapshot(p);
    counters_read(p->counters, COUNTERS_HARDWARE, v);
    spent_since(p, &p->of_turns, now);
    p->rotated = seconds_now();
    p->hard = v;
    p->hard_since = started(p, p->rotated);
}

/* --- phases --- */

/* A phase that lasts long on average, or that hardly anything is known of, is worth a reading by itself. */
static bool is_worth_it(const struct profile *p, enum phase phase, double now)
{
    enum { KNOWN = 8 };
    const struct profile_figures *f = &p->phases[phase].figures;
    const double least = p->of_phases.cost / p->of_phases.budget;
    return (f->times < KNOWN || f->seconds >= least * (double)f->times) && sampler_affords(&p->of_phases, now, 2);
}

static bool phase_is_due(struct profile *p, enum phase next, double now)
{
    if (sampler_due(&p->of_phases, &p->random, now)) return true;
    if (!is_worth_it(p, next, now)) return false;
    sampler_extend(&p->of_phases, 1);
    return true;
}

static void phase_ends(struct profile *p, double now)
{
    struct tally *t = &p->phases[p->phase];
    const struct span lasted = span_of(p, p->entered, now);
    t->figures.seconds += lasted.gross;
    t->net += lasted.net;
    p->entered = started(p, now);
}

static enum phase on_enter(void *user, enum phase phase)
{
    struct profile *p = user;
    const enum phase before = p->phase;
    if (p->stopped || phase == before) return before;
    const double now = seconds_now();
    phase_ends(p, now);
    const bool due = phase_is_due(p, phase, now);
    if (due)
        read_at(p, COUNTERS_ALL, now, NULL, (struct span){0});
    else
        p->hard = p->soft = NULL;
    p->phase = phase;
    p->phases[phase].figures.times++;
    p->piece_seen = false;
    p->of_pieces.now = now;
    if (!due) return before;
    spent_since(p, &p->of_phases, now);
    take_turns(p);
    return before;
}

/* --- pieces --- */

static void tally_free(struct tally *t)
{
    free(t->counted);
    free(t->seconds);
}

static int tally_open(const struct profile *p, struct tally *t, struct error *e)
{
    t->counted = memory_new(p->n * (size_t)p->threads, sizeof *t->counted, "counts", e);
    t->seconds = memory_new(p->n, sizeof *t->seconds, "counts", e);
    return t->counted && t->seconds ? 0 : ERROR_IO;
}

static bool index_grow(struct profile *p, int64_t layers)
{
    const size_t each = (size_t)PHASES * PARTS, old = (size_t)(p->layers + 1), rows = (size_t)(layers + 1);
    int32_t *grown = realloc(p->index, rows * each * sizeof *grown);
    if (!grown) return false;
    const size_t kept = p->index ? old : 0;
    memset(grown + kept * each, 0, (rows - kept) * each * sizeof *grown);
    p->index = grown;
    p->layers = layers;
    return true;
}

static struct place *place_new(struct profile *p, const struct pass_piece *piece, int32_t *index)
{
    struct error e;
    if (memory_reserve((void **)&p->places, &p->room, p->n_places + 1, sizeof *p->places, "pieces", &e)) return NULL;
    struct place *x = &p->places[p->n_places];
    *x = (struct place){.at = {p->phase, piece->layer, piece->part}};
    if (tally_open(p, &x->tally, &e)) {
        tally_free(&x->tally);
        return NULL;
    }
    *index = (int32_t)++p->n_places;
    return x;
}

static struct place *place_of(struct profile *p, const struct pass_piece *piece)
{
    if (piece->part < 0 || piece->part >= PARTS || piece->layer < -1) return NULL;
    if (!p->index || piece->layer >= p->layers)
        if (!index_grow(p, 2 * (piece->layer + 2))) return NULL;
    int32_t *index = &p->index[((piece->layer + 1) * PHASES + p->phase) * PARTS + piece->part];
    return *index ? &p->places[*index - 1] : place_new(p, piece, index);
}

/* Where a piece ended, or the first of a pass begins. The clock is asked only where something is read. */
static void boundary(struct profile *p, struct tally *piece, struct span lasted)
{
    p->piece_overhead = p->overhead;
    if (!p->reads_pieces) return;
    const bool seen = p->piece_seen;
    p->piece_seen = sampler_due(&p->of_pieces, &p->random, p->of_pieces.now + lasted.gross);
    if (!p->piece_seen) return;
    const double now = seconds_now();
    read_at(p, COUNTERS_HARDWARE, now, seen ? piece : NULL, lasted);
    p->of_pieces.now = now;
    spent_since(p, &p->of_pieces, now);
    if (!piece || random_unit(&p->random) < 0.5)
        take_turns(p); /* a turn must not end at the same pieces again and again */
}

static void on_begin(void *user)
{
    struct profile *p = user;
    if (p->stopped) return;
    boundary(p, NULL, (struct span){0});
}

static void on_piece(void *user, const struct pass_piece *piece)
{
    struct profile *p = user;
    if (p->stopped) return;
    const double net = piece->seconds - (p->overhead - p->piece_overhead);
    struct place *x = place_of(p, piece);
    p->failed |= !x;
    if (x) {
        struct profile_figures *f = &x->tally.figures;
        f->seconds += net;
        f->times++;
        f->flop += piece->flop;
        f->bytes += piece->bytes;
        x->tally.net += net;
    }
    p->phases[p->phase].figures.flop += piece->flop;
    p->phases[p->phase].figures.bytes += piece->bytes;
    boundary(p, x ? &x->tally : NULL, (struct span){piece->seconds, net});
}

/* --- opening and closing --- */

/* The budget in parts: phases, pieces, turns. */
static void share_budget(struct profile *p, double now)
{
    const double read = counters_read_seconds(p->counters, COUNTERS_HARDWARE);
    const double all = counters_read_seconds(p->counters, COUNTERS_ALL);
    const double turns = p->groups > 1 ? 0.25 : 0, pieces = p->reads_pieces ? (1 - turns) / 2 : 0;
    const double parts[] = {1 - pieces - turns, pieces, turns}, costs[] = {all, read, 4 * read};
    struct sampler *const samplers[] = {&p->of_phases, &p->of_pieces, &p->of_turns};
    const int64_t in_a_row[] = {PHASES_IN_A_ROW, IN_A_ROW, 1};
    for (int i = 0; i < 3; i++)
        sampler_open(samplers[i], parts[i] * PROFILE_BUDGET, parts[i] * PROFILE_START, costs[i], in_a_row[i], now);
}

static int make_room(struct profile *p, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < PHASES && !status; i++) status = tally_open(p, &p->phases[i], e);
    for (size_t i = 0; i < SNAPSHOTS && !status; i++)
        if (!(p->snapshots[i] = counters_values(p->counters)))
            status = error_set(e, ERROR_IO, "out of memory for counters");
    return status;
}

int profile_open(struct profile **out, struct counters *counters, struct error *e)
{
    struct profile *p = *out = memory_new(1, sizeof *p, "a profile", e);
    if (!p) return ERROR_IO;
    p->counters = counters;
    p->watch = (struct watch){p, on_enter, on_begin, on_piece};
    p->n = counters_count(counters);
    p->threads = counters_threads(counters);
    p->groups = counters_groups(counters);
    for (size_t i = 0; i < p->n; i++)
        p->reads_pieces |= !counters_at(counters, i)->reason[0] && is_quick(counters_at(counters, i));
    p->random.state = 1;
    if (make_room(p, e)) {
        profile_close(p);
        *out = NULL;
        return ERROR_IO;
    }
    p->phase = PHASE_OTHER;
    p->phases[PHASE_OTHER].figures.times = 1;
    p->opened = p->rotated = seconds_now();
    p->entered = p->hard_since = p->soft_since = started(p, p->opened);
    share_budget(p, p->opened);
    counters_read(counters, COUNTERS_ALL, p->snapshots[0]);
    p->first = p->hard = p->soft = p->snapshots[0];
    p->overhead = seconds_now() - p->opened;
    return 0;
}

const struct watch *profile_watch(struct profile *p) { return &p->watch; }

void profile_stop(struct profile *p)
{
    if (p->stopped) return;
    const double now = seconds_now();
    phase_ends(p, now);
    read_at(p, COUNTERS_ALL, now, NULL, (struct span){0});
    p->last = p->soft;
    p->ended = now;
    p->stopped = true;
}

void profile_close(struct profile *p)
{
    if (!p) return;
    for (size_t i = 0; i < PHASES; i++) tally_free(&p->phases[i]);
    for (size_t i = 0; i < p->n_places; i++) tally_free(&p->places[i].tally);
    for (size_t i = 0; i < SNAPSHOTS; i++) free(p->snapshots[i]);
    free(p->places);
    free(p->index);
    free(p);
}

/* --- figures --- */

double profile_seconds(const struct profile *p) { return (p->stopped ? p->ended : seconds_now()) - p->opened; }

double profile_overhead(const struct profile *p) { return p->overhead; }

bool profile_failed(const struct profile *p) { return p->failed; }

struct profile_figures profile_phase(const struct profile *p, enum phase phase)
{
    struct profile_figures f = p->phases[phase].figures;
    if (!p->stopped && phase == p->phase) f.seconds += seconds_now() - p->entered.time;
    return f;
}

size_t profile_places(const struct profile *p) { return p->n_places; }

struct profile_place profile_place_at(const struct profile *p, size_t i) { return p->places[i].at; }

struct profile_figures profile_piece(const struct profile *p, size_t place) { return p->places[place].tally.figures; }

/* --- values --- */

static const struct profile_value unseen = {NAN, 0};

/* Sums of times that are the same may differ in their last digits. */
static bool is_whole(double seconds_counted, double seconds) { return seconds_counted >= seconds * (1 - 1e-9); }

static struct profile_value scaled(double counted, double seconds_counted, double seconds)
{
    if (!(seconds_counted > 0)) return unseen;
    if (is_whole(seconds_counted, seconds)) return (struct profile_value){counted, 1};
    return (struct profile_value){counted * seconds / seconds_counted, seconds_counted / seconds};
}

static uint64_t counted_by(const struct profile *p, const uint64_t *of_counter /* [threads] */, int thread)
{
    if (thread >= 0) return of_counter[thread];
    uint64_t sum = 0;
    for (int k = 0; k < p->threads; k++) sum += of_counter[k];
    return sum;
}

/* The seconds of something that stand for a counter's whole value. */
static double seconds_of(const struct profile *p, const struct tally *t, size_t counter)
{
    return counts_reading(counters_at(p->counters, counter)) ? t->figures.seconds : t->net;
}

static struct profile_value value_of(const struct profile *p, const struct tally *t, size_t counter, int thread)
{
    const uint64_t counted = counted_by(p, t->counted + counter * (size_t)p->threads, thread);
    const bool level = counters_at(p->counters, counter)->kind == COUNTER_LEVEL;
    if (level) return t->seconds[counter] > 0 ? (struct profile_value){(double)counted, 1} : unseen;
    return scaled((double)counted, t->seconds[counter], seconds_of(p, t, counter));
}

struct profile_value profile_phase_value(const struct profile *p, enum phase phase, size_t counter, int thread)
{
    return value_of(p, &p->phases[phase], counter, thread);
}

struct profile_value profile_piece_value(const struct profile *p, size_t place, size_t counter, int thread)
{
    return value_of(p, &p->places[place].tally, counter, thread);
}

struct profile_value profile_pieces_value(const struct profile *p, const size_t *places, size_t n, size_t counter,
                                          int thread)
{
    double counted = 0, seconds_counted = 0, seconds = 0;
    for (size_t i = 0; i < n; i++) {
        const struct tally *t = &p->places[places[i]].tally;
        counted += (double)counted_by(p, t->counted + counter * (size_t)p->threads, thread);
        seconds_counted += t->seconds[counter];
        seconds += seconds_of(p, t, counter);
    }
    return scaled(counted, seconds_counted, seconds);
}

/* The values of phases added; with `unseen_too` scaled to those of them that were never seen. */
static struct profile_value add_phases(const struct profile *p, unsigned phases, size_t counter, int thread,
                                       bool unseen_too)
{
    double value = 0, counted = 0, seen = 0, seconds = 0;
    for (unsigned i = 0; i < PHASES; i++) {
        const struct tally *t = &p->phases[i];
        const double here = seconds_of(p, t, counter);
        if (!(phases >> i & 1) || !(here > 0)) continue;
        seconds += here;
        if (!(t->seconds[counter] > 0)) continue;
        seen += here;
        counted += t->seconds[counter];
        value += value_of(p, t, counter, thread).value;
    }
    if (!(seen > 0) || (seen < seconds && !unseen_too)) return unseen;
    if (is_whole(counted, seconds)) return (struct profile_value){value, 1};
    return (struct profile_value){value * seconds / seen, counted / seconds};
}

struct profile_value profile_phases_value(const struct profile *p, unsigned phases, size_t counter, int thread)
{
    return add_phases(p, phases, counter, thread, false);
}

struct profile_value profile_run_value(const struct profile *p, size_t counter, int thread)
{
    const struct counter *c = counters_at(p->counters, counter);
    if (c->reason[0]) return unseen;
    if (c->kind == COUNTER_HARDWARE) return add_phases(p, (1u << PHASES) - 1, counter, thread, true);
    if (!p->last) return unseen;
    double value = 0;
    for (int k = 0; k < (c->scope == COUNTER_THREADS ? p->threads : 1); k++)
        if (thread < 0 || thread == k)
            value += c->kind == COUNTER_LEVEL ? (double)p->last->at[counter * (size_t)p->threads + (size_t)k]
                                              : (double)counter_since(p->counters, p->first, p->last, k, counter);
    return (struct profile_value){value, 1};
}
