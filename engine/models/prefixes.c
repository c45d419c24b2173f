#include "engine/models/prefixes.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* A shared beginning. Node 0 is the root, which shares nothing. */
struct node {
    int64_t depth;       /* tokens from the first on, the parent's counted */
    int64_t longest;     /* of the sequences below */
    size_t parent;       /* among the nodes that stay */
    size_t level;        /* nodes that stay above it */
    size_t users;        /* sequences below that are not released */
    size_t one;          /* any sequence below: it has the tokens */
    bool stays;          /* adds enough to its parent */
    bool wanted;         /* counted as held, and not there yet */
    struct cache *cache; /* NULL: not there */
};

struct prefixes {
    const struct model *m;
    const struct sequence *sequences;
    size_t n;
    struct node *nodes;
    size_t n_nodes, node_capacity;
    size_t *node_of; /* [n]: the deepest node that stays and holds the beginning of a sequence */
    size_t *order;   /* [n] */
    size_t *wanted;  /* [n_nodes] */
    struct span *spans;
    size_t n_wanted;
    int64_t held; /* positions held or wanted */
};

struct ranked {
    const struct sequence *s;
    size_t index;
};

static int64_t common(const struct sequence *a, const struct sequence *b)
{
    int64_t n = a->n < b->n ? a->n : b->n, i = 0;
    while (i < n && a->ids[i] == b->ids[i]) i++;
    return i;
}

static int by_tokens(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    int64_t i = common(x->s, y->s);
    if (i < x->s->n && i < y->s->n) return x->s->ids[i] < y->s->ids[i] ? -1 : 1;
    if (x->s->n != y->s->n) return x->s->n < y->s->n ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static int add_node(struct prefixes *p, int64_t depth, size_t parent, size_t one, struct error *e)
{
    if (memory_reserve((void **)&p->nodes, &p->node_capacity, p->n_nodes + 1, sizeof *p->nodes, "prefixes", e))
        return ERROR_IO;
    p->nodes[p->n_nodes++] = (struct node){.depth = depth, .parent = parent, .one = one};
    return 0;
}

/* The tree of all common beginnings, from sorted neighbours and what they share: intervals of a suffix array (Kasai et
 * al. 2001; Abouelhoda, Kurtz and Ohlebusch 2004). `stack` holds the nodes that are open, from the root on. */
static int grow(struct prefixes *p, const struct ranked *sorted, size_t *stack, struct error *e)
{
    size_t top = 0;
    stack[0] = 0;
    int status = add_node(p, 0, 0, 0, e);
    for (size_t k = 0; k < p->n && !status; k++) {
        int64_t shared = k + 1 < p->n ? common(sorted[k].s, sorted[k + 1].s) : 0;
        size_t index = sorted[k].index;
        if (shared > p->nodes[stack[top]].depth) {
            status = add_node(p, shared, stack[top], index, e);
            stack[++top] = p->n_nodes - 1;
            p->node_of[index] = stack[top];
            continue;
        }
        p->node_of[index] = stack[top];
        while (p->nodes[stack[top]].depth > shared && !status) {
            size_t closed = stack[top--];
            if (p->nodes[stack[top]].depth >= shared) continue;
            status = add_node(p, shared, stack[top], index, e);
            stack[++top] = p->n_nodes - 1;
            p->nodes[closed].parent = stack[top];
        }
    }
    return status;
}

struct node_depth {
    int64_t depth;
    size_t node;
};

static int by_depth(const void *a, const void *b)
{
    const struct node_depth *x = a, *y = b;
    return x->depth != y->depth ? (x->depth < y->depth ? -1 : 1) : x->node < y->node ? -1 : x->node > y->node;
}

/* Takes out nodes that add too little, from the root on, and counts who uses those that stay. */
static int prune(struct prefixes *p, int64_t least, struct error *e)
{
    struct node_depth *rising = memory_new(p->n_nodes, sizeof *rising, "prefixes", e);
    if (!rising) return ERROR_IO;
    for (size_t i = 0; i < p->n_nodes; i++) rising[i] = (struct node_depth){p->nodes[i].depth, i};
    qsort(rising, p->n_nodes, sizeof *rising, by_depth);
    p->nodes[0].stays = true;
    for (size_t i = 1; i < p->n_nodes; i++) {
        struct node *x = &p->nodes[rising[i].node];
        if (!p->nodes[x->parent].stays) x->parent = p->nodes[x->parent].parent;
        x->stays = x->depth - p->nodes[x->parent].depth >= least;
        x->level = p->nodes[x->parent].level + x->stays;
    }
    for (size_t i = 0; i < p->n; i++) {
        if (!p->nodes[p->node_of[i]].stays) p->node_of[i] = p->nodes[p->node_of[i]].parent;
        struct node *x = &p->nodes[p->node_of[i]];
        x->users++;
        if (p->sequences[i].n > x->longest) x->longest = p->sequences[i].n;
    }
    for (size_t i = p->n_nodes; i-- > 1;) {
        const struct node *x = &p->nodes[rising[i].node];
        struct node *parent = &p->nodes[x->parent];
        if (!x->stays) continue;
        parent->users += x->users;
        if (x->longest > parent->longest) parent->longest = x->longest;
    }
    free(rising);
    return 0;
}

/* A node or a sequence among its siblings. */
struct child {
    size_t parent;
    int64_t longest;
    size_t index; /* of a sequence; of a node, n plus its own */
};

static int by_place(const void *a, const void *b)
{
    const struct child *x = a, *y = b;
    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    if (x->longest != y->longest) return x->longest > y->longest ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Depth first, without recursion: `at` is the next child of each open node. */
static int put_in_order(struct prefixes *p, size_t *stack, struct error *e)
{
    size_t n = 0, top = 0, placed = 0;
    struct child *children = memory_new(p->n + p->n_nodes, sizeof *children, "prefixes", e);
    size_t *at = memory_new(p->n_nodes, sizeof *at, "prefixes", e);
    if (children && at) {
        for (size_t i = 0; i < p->n; i++) children[n++] = (struct child){p->node_of[i], p->sequences[i].n, i};
        for (size_t i = 1; i < p->n_nodes; i++)
            if (p->nodes[i].stays) children[n++] = (struct child){p->nodes[i].parent, p->nodes[i].longest, p->n + i};
        qsort(children, n, sizeof *children, by_place);
        for (size_t i = n; i-- > 0;) at[children[i].parent] = i;
        stack[0] = 0;
        while (placed < p->n) {
            size_t node = stack[top], next = at[node]++;
            if (next == n || children[next].parent != node)
                top--;
            else if (children[next].index < p->n)
                p->order[placed++] = children[next].index;
            else
                stack[++top] = children[next].index - p->n;
        }
    }
    int status = children && at ? 0 : ERROR_IO;
    free(children);
    free(at);
    return status;
}

int prefixes_new(struct prefixes **out, const struct model *m, const struct sequence *sequences, size_t n,
                 int64_t least, struct error *e)
{
    struct prefixes *p = *out = memory_new(1, sizeof *p, "prefixes", e);
    if (!p) return ERROR_IO;
    p->m = m;
    p->sequences = sequences;
    p->n = n;
    p->node_of = memory_new(n, sizeof *p->node_of, "prefixes", e);
    p->order = memory_new(n, sizeof *p->order, "prefixes", e);
    struct ranked *sorted = memory_new(n, sizeof *sorted, "prefixes", e);
    size_t *stack = memory_new(n + 1, sizeof *stack, "prefixes", e);
    int status = p->node_of && p->order && sorted && stack ? 0 : ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) sorted[i] = (struct ranked){&sequences[i], i};
    if (!status) qsort(sorted, n, sizeof *sorted, by_tokens);
    if (!status) status = grow(p, sorted, stack, e);
    if (!status) status = prune(p, least, e);
    if (!status) status = put_in_order(p, stack, e);
    free(sorted);
    free(stack);
    if (!status) p->wanted = memory_new(p->n_nodes, sizeof *p->wanted, "prefixes", e);
    if (!status) p->spans = memory_new(p->n_nodes, sizeof *p->spans, "prefixes", e);
    if (!p->wanted || !p->spans) status = ERROR_IO;
    if (!status) return 0;
    prefixes_free(p);
    *out = NULL;
    return status;
}

void prefixes_free(struct prefixes *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_nodes; i++) cache_free(p->nodes[i].cache);
    free(p->nodes);
    free(p->node_of);
    free(p->order);
    free(p->wanted);
    free(p->spans);
    free(p);
}

const size_t *prefixes_order(const struct prefixes *p) { return p->order; }

int64_t prefixes_length(const struct prefixes *p, size_t i) { return p->nodes[p->node_of[i]].depth; }

/* Positions that a node itself holds. */
static int64_t own(const struct prefixes *p, const struct node *x) { return x->depth - p->nodes[x->parent].depth; }

int64_t prefixes_saved(const struct prefixes *p)
{
    int64_t saved = 0;
    for (size_t i = 0; i < p->n; i++) saved += prefixes_length(p, i);
    for (size_t i = 1; i < p->n_nodes; i++)
        if (p->nodes[i].stays) saved -= own(p, &p->nodes[i]);
    return saved;
}

int64_t prefixes_held(const struct prefixes *p) { return p->held; }

int64_t prefixes_cost(const struct prefixes *p, size_t i)
{
    const struct node *x = &p->nodes[p->node_of[i]];
    int64_t depth = x->depth;
    while (x->depth && !x->cache && !x->wanted) x = &p->nodes[x->parent];
    return depth - x->depth;
}

void prefixes_want(struct prefixes *p, size_t i)
{
    for (size_t k = p->node_of[i]; k && !p->nodes[k].cache && !p->nodes[k].wanted; k = p->nodes[k].parent) {
        p->nodes[k].wanted = true;
        p->wanted[p->n_wanted++] = k;
        p->held += own(p, &p->nodes[k]);
    }
}

static void drop(struct prefixes *p, struct node *x)
{
    if (x->cache || x->wanted) p->held -= own(p, x);
    cache_free(x->cache);
    x->cache = NULL;
    x->wanted = false;
}

/* The wanted nodes of one level, whose parents are there. */
static int compute_level(struct prefixes *p, size_t level, int64_t *computed, struct error *e)
{
    size_t n = 0;
    int status = 0;
    for (size_t k = 0; k < p->n_wanted && !status; k++) {
        struct node *x = &p->nodes[p->wanted[k]], *parent = &p->nodes[x->parent];
        if (x->level != level || !x->wanted) continue;
        x->cache = cache_new(p->m, parent->cache, parent->depth, own(p, x), e);
        if (!x->cache) status = ERROR_IO;
        p->spans[n++] = (struct span){x->cache, p->sequences[x->one].ids + parent->depth, own(p, x), own(p, x)};
        if (computed) *computed += own(p, x);
    }
    return status || !n ? status : model_forward(p->m, p->spans, n, NULL, NULL, e);
}

int prefixes_compute(struct prefixes *p, int64_t *computed, struct error *e)
{
    size_t deepest = 0;
    int status = 0;
    for (size_t k = 0; k < p->n_wanted; k++)
        if (p->nodes[p->wanted[k]].level > deepest) deepest = p->nodes[p->wanted[k]].level;
    for (size_t level = 1; level <= deepest && !status; level++) status = compute_level(p, level, computed, e);
    for (size_t k = 0; k < p->n_wanted; k++) {
        struct node *x = &p->nodes[p->wanted[k]];
        if (status) drop(p, x);
        x->wanted = false;
    }
    p->n_wanted = 0;
    return status;
}

struct cache *prefixes_cache(const struct prefixes *p, size_t i, int64_t *length)
{
    const struct node *x = &p->nodes[p->node_of[i]];
    *length = x->depth;
    return x->cache;
}

void prefixes_release(struct prefixes *p, size_t i)
{
    for (size_t k = p->node_of[i]; k; k = p->nodes[k].parent)
        if (--p->nodes[k].users == 0) drop(p, &p->nodes[k]);
}
