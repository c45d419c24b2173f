/* The scheduler against plain forward passes, one part at a time. */
#include "engine/base/random.h"
#include "engine/kernels/kernels.h"
#include "suites/scheduler.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 512, GROUPS = 12, CHOICES = 5, LONGEST = 620 };

/* Lengths of contexts, and of parts (0: no more). Together with the window of 512: what fits, what fits exactly, what
 * needs its context cut, for some parts of a group or for all of them, and a part as long as the window. */
static const struct {
    int64_t context, parts[CHOICES];
} shapes[GROUPS] = {
    {5, {1}},   {30, {1, 5, 1, 12, 3}}, {7, {4, 4}}, {505, {3, 20, 8}}, {505, {8}},
    {505, {9}}, {620, {1, 2}},          {20, {512}}, {1, {512, 1}},     {300, {200, 1, 100}},
    {1, {6}},   {1, {1, 1, 1}},
};

struct work {
    int32_t contexts[GROUPS][LONGEST], ids[GROUPS][CHOICES][CONTEXT];
    struct part parts[GROUPS][CHOICES];
    struct group groups[GROUPS];
};

static struct work *work_new(void)
{
    struct work *w = calloc(1, sizeof *w);
    assert_non_null(w);
    struct random r = {77};
    for (size_t g = 0; g < GROUPS; g++) {
        for (int64_t i = 0; i < shapes[g].context; i++) w->contexts[g][i] = (int32_t)random_below(&r, 1280);
        w->groups[g] = (struct group){.context = w->contexts[g], .n_context = shapes[g].context, .parts = w->parts[g]};
        for (size_t p = 0; p < CHOICES && shapes[g].parts[p]; p++, w->groups[g].n_parts++) {
            for (int64_t i = 0; i < shapes[g].parts[p]; i++) w->ids[g][p][i] = (int32_t)random_below(&r, 1280);
            w->parts[g][p] = (struct part){.ids = w->ids[g][p], .n = shapes[g].parts[p]};
        }
    }
    return w;
}

static double softmax_log(const float *logits, int64_t n, int32_t target)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, (double)logits[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - most);
    return (double)logits[target] - most - log(sum);
}

/* A part by itself: the last `CONTEXT` tokens before its last one go through the model. `exact` gets the same from the
 * kernel that the scheduler uses. */
static struct part score_alone(const struct model *m, const struct group *g, const struct part *part, double *exact)
{
    struct error e;
    int32_t all[LONGEST + CONTEXT];
    memcpy(all, g->context, (size_t)g->n_context * sizeof *all);
    memcpy(all + g->n_context, part->ids, (size_t)part->n * sizeof *all);
    int64_t n = g->n_context + part->n - 1, cut = n > CONTEXT ? n - CONTEXT : 0, vocab = model_hyper(m)->vocab;
    struct span s = {cache_new(m, NULL, 0, n - cut, &e), all + cut, n - cut, n - cut - part->n};
    float *hidden = calloc((size_t)(part->n * model_hyper(m)->width), sizeof *hidden);
    float *logits = calloc((size_t)(part->n * vocab), sizeof *logits);
    assert_true(s.cache && hidden && logits);
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, part->n, logits, &e), &e);
    struct part out = {.greedy = true};
    *exact = 0;
    for (int64_t i = 0; i < part->n; i++) {
        const float *row = logits + i * vocab;
        int32_t target = part->ids[i];
        out.loglikelihood += softmax_log(row, vocab, target);
        *exact += (double)row[target] - kernels_get()->log_sum_exp(row, vocab);
        out.greedy = out.greedy && kernels_get()->argmax(row, vocab) == target;
    }
    cache_free(s.cache);
    free(hidden);
    free(logits);
    return out;
}

static void score(const struct model *m, struct group *groups, size_t n, size_t batch, struct tally *tally)
{
    struct error e;
    assert_ok(score_groups(m, groups, n, &(struct schedule){.batch = batch}, tally, &e), &e);
}

static void test_against_plain_passes(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct work *w = work_new();
    struct tally tally = {0};
    score(m, w->groups, GROUPS, 8, &tally);
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t p = 0; p < w->groups[g].n_parts; p++) {
            const struct part *got = &w->parts[g][p];
            double exact;
            struct part wanted = score_alone(m, &w->groups[g], got, &exact);
            if (got->loglikelihood != exact)
                fail_msg("group %d, part %d: %.17g instead of %.17g", (int)g, (int)p, got->loglikelihood, exact);
            assert_near(got->loglikelihood, wanted.loglikelihood, 1e-6 * (double)got->n, "a log-likelihood");
            assert_int_equal(got->greedy, wanted.greedy);
        }
    free(w);
    model_close(m);
}

/* What the model itself would say is greedy, and stops being so with one token changed anywhere. */
static void test_greedy(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    int32_t context[] = {0, 627, 712, 267, 711}, says[6];
    struct error e;
    float *hidden = calloc((size_t)(5 * model_hyper(m)->width), sizeof *hidden);
    float *logits = calloc((size_t)model_hyper(m)->vocab, sizeof *logits);
    struct cache *c = cache_new(m, NULL, 0, 11, &e);
    assert_true(hidden && logits && c);
    struct span s = {c, context, 5, 4};
    for (int i = 0; i < 6; i++) {
        assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
        assert_ok(model_logits(m, hidden, 1, logits, &e), &e);
        says[i] = (int32_t)kernels_get()->argmax(logits, model_hyper(m)->vocab);
        s = (struct span){c, &says[i], 1, 0};
    }
    int32_t ids[7][6];
    struct part parts[7];
    for (int i = 0; i < 7; i++) {
        memcpy(ids[i], says, sizeof says);
        if (i < 6) ids[i][i] = (ids[i][i] + 1) % 1280;
        parts[i] = (struct part){.ids = ids[i], .n = 6};
    }
    struct group group = {.context = context, .n_context = 5, .parts = parts, .n_parts = 7};
    score(m, &group, 1, 32, &(struct tally){0});
    for (int i = 0; i < 7; i++) assert_int_equal(parts[i].greedy, i == 6);
    cache_free(c);
    free(hidden);
    free(logits);
    model_close(m);
}

/* Batches, order of the groups, and groups that are there twice change no bit. */
static void test_batches(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct work *one = work_new();
    struct tally first = {0};
    score(m, one->groups, GROUPS, 1, &first);
    static const size_t batches[] = {32, 3};
    const size_t n_batches = test_items(GROUPS) < GROUPS ? 1 : sizeof batches / sizeof *batches;
    for (size_t b = 0; b < n_batches; b++) {
        struct work *w = work_new(), *again = work_new();
        struct group all[2 * GROUPS];
        for (size_t g = 0; g < GROUPS; g++) all[g] = w->groups[GROUPS - 1 - g], all[GROUPS + g] = again->groups[g];
        struct tally tally = {0};
        score(m, all, 2 * GROUPS, batches[b], &tally);
        assert_int_equal(tally.asked, 2 * first.asked);
        assert_int_equal(tally.scored, 2 * first.scored);
        assert_int_equal(tally.computed, tally.fed);
        assert_true(tally.computed < 2 * first.computed); /* what is there twice is shared but for its last token */
        for (size_t g = 0; g < GROUPS; g++)
            for (size_t p = 0; p < one->groups[g].n_parts; p++) {
                const struct part *a = &one->parts[g][p], *x = &w->parts[g][p], *y = &again->parts[g][p];
                assert_true(a->loglikelihood == x->loglikelihood && a->loglikelihood == y->loglikelihood);
                assert_true(a->greedy == x->greedy && a->greedy == y->greedy);
            }
        free(w);
        free(again);
    }
    free(one);
    model_close(m);
}

/* A context is computed once for all its parts: c + sum of (n - 1), where asked is the sum of (c + n). Where it has to
 * be cut for one of them, every part runs by itself. */
static void test_tally(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    static const struct {
        size_t group;
        int64_t asked, computed, scored, cut;
    } cases[] = {
        {0, 6, 5, 1, 0},
        {1, 5 * 30 + 22, 30 + 4 + 11 + 2, 22, 0},
        {2, 22, 7 + 3 + 3, 8, 0},
        {3, 3 * 505 + 31, 507 + 512 + 512 - 504, 31, 1}, /* 20 tokens do not fit; the two others share all but one */
        {4, 513, 512, 8, 0},
        {5, 514, 512, 9, 1},
        {6, 2 * 620 + 3, 2 * 512, 3, 1},
        {7, 532, 512, 512, 1},
        {8, 2 + 513, 1 + 511, 513, 0},
        {9, 3 * 300 + 301, 300 + 199 + 99, 301, 0},
        {11, 6, 1, 3, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct work *w = work_new();
        struct tally tally = {1, 1, 1, 1, 1}; /* added to */
        score(m, &w->groups[cases[i].group], 1, 32, &tally);
        assert_int_equal(tally.asked, 1 + cases[i].asked);
        assert_int_equal(tally.computed, 1 + cases[i].computed);
        assert_int_equal(tally.scored, 1 + cases[i].scored);
        assert_int_equal(tally.cut, 1 + cases[i].cut);
        assert_int_equal(tally.fed, tally.computed);
        free(w);
    }
    model_close(m);
}

/* --- what contexts share --- */

enum { QUESTIONS = 16, PREAMBLE = 120, PARAGRAPH = 60, QUESTION = 30 };

/* Questions, four to a paragraph, behind the same examples; two choices of three tokens each. */
struct quiz {
    int32_t contexts[QUESTIONS][PREAMBLE + PARAGRAPH + QUESTION], ids[QUESTIONS][2][3];
    struct part parts[QUESTIONS][2];
    struct group groups[QUESTIONS];
};

static struct quiz *quiz_new(void)
{
    struct quiz *q = calloc(1, sizeof *q);
    assert_non_null(q);
    struct random r = {3};
    for (size_t g = 0; g < QUESTIONS; g++) {
        int64_t n = PREAMBLE + PARAGRAPH + QUESTION;
        for (int64_t i = 0; i < n; i++) q->contexts[g][i] = (int32_t)random_below(&r, 1280);
        /* a paragraph's questions do not stand together */
        const int32_t *like = q->contexts[g % (QUESTIONS / 4)];
        if (g) memcpy(q->contexts[g], q->contexts[0], PREAMBLE * sizeof(int32_t));
        if (g >= QUESTIONS / 4) memcpy(q->contexts[g] + PREAMBLE, like + PREAMBLE, PARAGRAPH * sizeof(int32_t));
        q->contexts[g][PREAMBLE + PARAGRAPH] = (int32_t)g;
        for (int p = 0; p < 2; p++) {
            for (int i = 0; i < 3; i++) q->ids[g][p][i] = (int32_t)random_below(&r, 1280);
            q->parts[g][p] = (struct part){.ids = q->ids[g][p], .n = 3};
        }
        q->groups[g] = (struct group){q->contexts[g], n, q->parts[g], 2, false};
    }
    return q;
}

static void assert_same_parts(const struct quiz *a, const struct quiz *b)
{
    for (size_t g = 0; g < QUESTIONS; g++)
        for (size_t p = 0; p < 2; p++) {
            assert_true(a->parts[g][p].loglikelihood == b->parts[g][p].loglikelihood);
            assert_true(a->parts[g][p].greedy == b->parts[g][p].greedy);
        }
}

static void test_shared(void **state)
{
    struct model *m = model_shipped(*state, NULL);
    struct quiz *alone = quiz_new();
    for (size_t g = 0; g < QUESTIONS; g++) score(m, &alone->groups[g], 1, 1, &(struct tally){0});
    static const size_t batches[] = {1, 32};
    /* the last token of a context is its own; after it, two of each choice's tokens */
    const int64_t computed = PREAMBLE + QUESTIONS / 4 * PARAGRAPH + QUESTIONS * (QUESTION + 2 * 2);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        struct quiz *q = quiz_new();
        struct tally tally = {0};
        score(m, q->groups, QUESTIONS, batches[i], &tally);
        assert_same_parts(alone, q);
        assert_int_equal(tally.asked, QUESTIONS * (2 * (PREAMBLE + PARAGRAPH + QUESTION) + 6));
        assert_int_equal(tally.computed, computed);
        assert_int_equal(tally.fed, computed);
        for (size_t g = 0; g < QUESTIONS; g++) assert_true(q->groups[g].done);
        free(q);
    }
    free(alone);
    model_close(m);
}

static int count_whole(void *user, size_t request, struct error *e)
{
    size_t *times = user;
    times[request]++;
    return 0;
}

/* Groups that were done before are not run, and the tally is that of a run from the start. */
static void test_done_before(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct quiz *whole = quiz_new(), *rest = quiz_new();
    struct tally first = {0}, second = {0};
    score(m, whole->groups, QUESTIONS, 8, &first);
    size_t times[QUESTIONS] = {0};
    for (size_t g = 0; g < QUESTIONS; g += 3) {
        rest->groups[g].done = true;
        memcpy(rest->parts[g], whole->parts[g], sizeof rest->parts[g]);
    }
    struct error e;
    struct schedule how = {.batch = 8, .user = times, .whole = count_whole};
    assert_ok(score_groups(m, rest->groups, QUESTIONS, &how, &second, &e), &e);
    assert_same_parts(whole, rest);
    for (size_t g = 0; g < QUESTIONS; g++) assert_int_equal(times[g], g % 3 != 0);
    assert_int_equal(first.computed, second.computed);
    assert_int_equal(first.asked, second.asked);
    assert_int_equal(first.scored, second.scored);
    assert_true(second.fed < first.fed);
    second = (struct tally){0};
    score(m, rest->groups, QUESTIONS, 8, &second);
    assert_int_equal(second.fed, 0);
    assert_int_equal(second.computed, first.computed);
    free(whole);
    free(rest);
    model_close(m);
}

/* As little memory as one item takes: smaller batches, the same results; and less than that. */
static void test_memory(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct quiz *roomy = quiz_new();
    struct work *w = work_new(), *tight = work_new();
    score(m, roomy->groups, QUESTIONS, 32, &(struct tally){0});
    score(m, w->groups, GROUPS, 32, &(struct tally){0});
    struct error e;
    const int64_t tokens = CONTEXT + 3 * CONTEXT;
    size_t enough = (size_t)tokens * cache_position_bytes(m) + model_pass_bytes(m, tokens) +
                    (size_t)(tokens * model_hyper(m)->width + 8 * model_hyper(m)->vocab) * sizeof(float);
    size_t before = enough;
    bool refused = false;
    for (size_t memory = enough; memory > 1000 && !refused; memory /= 3) {
        struct quiz *q = quiz_new();
        struct schedule how = {.batch = 32, .memory = memory};
        int status = score_groups(m, q->groups, QUESTIONS, &how, &(struct tally){0}, &e);
        refused = status != 0;
        if (refused) {
            assert_error(status, &e, ERROR_USAGE, "--memory: item ");
            assert_non_null(strstr(e.text, " MiB are allowed: give more"));
        } else {
            assert_same_parts(roomy, q);
            before = memory;
        }
        free(q);
    }
    assert_true(refused && before < enough);
    assert_ok(score_groups(m, tight->groups, GROUPS, &(struct schedule){.batch = 32, .memory = enough},
                           &(struct tally){0}, &e),
              &e);
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t p = 0; p < w->groups[g].n_parts; p++)
            assert_true(w->parts[g][p].loglikelihood == tight->parts[g][p].loglikelihood);
    size_t items[QUESTIONS];
    for (size_t g = 0; g < QUESTIONS; g++) items[g] = 700 + g, roomy->groups[g].done = false;
    struct schedule none = {.batch = 1, .memory = 1000, .item_of = items};
    assert_error(score_groups(m, roomy->groups, QUESTIONS, &none, &(struct tally){0}, &e), &e, ERROR_USAGE, "item 7");
    free(roomy);
    free(w);
    free(tight);
    model_close(m);
}

enum { TEXTS = 24, PROMPT = 40 };

/* done: how many texts were whole at the step before. */
struct steps {
    size_t before, largest;
};

static bool count_step(void *user, size_t done, size_t total, int64_t tokens)
{
    struct steps *s = user;
    (void)total, (void)tokens;
    if (done - s->before > s->largest) s->largest = done - s->before;
    s->before = done;
    return true;
}

/* Texts of one token each, so that what is whole after a step was one pass: it fits the memory, prompts and all. */
static void test_memory_of_texts(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct error e;
    const struct decode greedy = decode_greedy();
    int32_t prompts[TEXTS][PROMPT];
    struct generation all[TEXTS];
    for (int32_t i = 0; i < TEXTS; i++) {
        for (int32_t t = 0; t < PROMPT; t++) prompts[i][t] = (i * 7 + t * 3) % 200 + 5;
        all[i] = (struct generation){.prompt = prompts[i], .n_prompt = PROMPT, .limit = 1};
    }
    const size_t each = (PROMPT + 1) * cache_position_bytes(m) +
                        (size_t)(model_hyper(m)->vocab + model_hyper(m)->width) * sizeof(float);
    struct steps steps = {0};
    const struct schedule how = {
        .batch = TEXTS, .memory = model_pass_bytes(m, PROMPT) + TEXTS * each, .user = &steps, .progress = count_step};
    assert_ok(generate_texts(m, &greedy, all, TEXTS, &how, &(struct tally){0}, &e), &e);
    assert_int_equal(steps.before, TEXTS);
    assert_true(steps.largest > 1);
    assert_true(steps.largest * each + model_pass_bytes(m, (int64_t)steps.largest * PROMPT) <= how.memory);
    for (size_t i = 0; i < TEXTS; i++) generation_free(&all[i]);
    model_close(m);
}

/* A group is counted once however many of its parts lose something, and so is one that was done before. */
static void test_cut(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct work *w = work_new();
    struct tally tally = {0};
    for (size_t g = 0; g < GROUPS; g++) w->groups[g].done = g != 3;
    score(m, w->groups, GROUPS, 8, &tally);
    assert_int_equal(tally.cut, 4); /* groups 3, 5, 6 and 7 */
    free(w);
    model_close(m);
}

/* Of texts, those whose prompt leaves no room for the new tokens; again when all are there already. */
static void test_cut_texts(void **state)
{
    (void)state;
    enum { ALL = 4, ROOM = CONTEXT - 2 };
    static const int64_t lengths[ALL] = {3, ROOM, ROOM + 1, LONGEST};
    struct model *m = model_shipped("llama", NULL);
    const struct decode greedy = decode_greedy();
    int32_t prompt[LONGEST];
    for (int32_t i = 0; i < LONGEST; i++) prompt[i] = i * 7 % 1280;
    struct generation all[ALL];
    for (size_t i = 0; i < ALL; i++)
        all[i] = (struct generation){.prompt = prompt, .n_prompt = lengths[i], .limit = CONTEXT - ROOM};
    for (int again = 0; again < 2; again++) {
        struct error e;
        struct tally tally = {0};
        assert_ok(generate_texts(m, &greedy, all, ALL, &(struct schedule){.batch = ALL}, &tally, &e), &e);
        assert_int_equal(tally.cut, 2);
        assert_true((tally.fed == 0) == (again == 1));
    }
    for (size_t i = 0; i < ALL; i++) generation_free(&all[i]);
    model_close(m);
}

static void test_does_not_fit(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct error e;
    int32_t ids[CONTEXT + 1] = {0};
    struct part part = {.ids = ids, .n = CONTEXT + 1};
    struct group group = {.context = ids, .n_context = 1, .parts = &part, .n_parts = 1};
    struct tally tally = {0};
    assert_error(score_groups(m, &group, 1, &(struct schedule){.batch = 1}, &tally, &e), &e, ERROR_INPUT,
                 "a continuation of 513 tokens does not fit in the model's context of 512");
    assert_int_equal(tally.computed, 0);
    part.n = 3;
    ids[1] = 1280; /* fed */
    assert_error(score_groups(m, &group, 1, &(struct schedule){.batch = 1}, &tally, &e), &e, ERROR_INPUT,
                 "token 1280 is outside the vocabulary");
    model_close(m);
}

static bool stop_after_three(void *user, size_t done, size_t total, int64_t tokens)
{
    size_t *last = user;
    assert_true(done >= *last && done <= total && tokens > 0);
    *last = done;
    return done < 3;
}

static void test_interrupted(void **state)
{
    (void)state;
    struct model *m = model_shipped("llama", NULL);
    struct work *w = work_new();
    struct error e;
    size_t last = 0;
    struct schedule how = {.batch = 1, .user = &last, .progress = stop_after_three};
    assert_error(score_groups(m, w->groups, GROUPS, &how, &(struct tally){0}, &e), &e, ERROR_INTERRUPTED,
                 "interrupted");
    assert_int_equal(last, 3);
    free(w);
    model_close(m);
}

#define BOTH(test)                                                                                                     \
    {#test " llama", test, NULL, NULL, "llama"}, { #test " gpt2", test, NULL, NULL, "gpt2" }

int main(void)
{
    const struct CMUnitTest tests[] = {BOTH(test_against_plain_passes),
                                       BOTH(test_greedy),
                                       BOTH(test_batches),
                                       cmocka_unit_test(test_tally),
                                       BOTH(test_shared),
                                       cmocka_unit_test(test_done_before),
                                       cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_memory_of_texts),
                                       cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_cut_texts),
                                       cmocka_unit_test(test_does_not_fit),
                                       cmocka_unit_test(test_interrupted)};
    return cmocka_run_group_tests_name("suites/scheduler", tests, NULL, NULL);
}
