/* What the suites of choices that ship cost: no token of a context goes through the model twice. The least that could be
 * is counted from the requests: every different beginning of a context once, and each continuation but its last token. */
#include "engine/models/prefixes.h"
#include "suites/requests.h"
#include "tests/testing.h"

#include <stdlib.h>

enum { ITEMS = 100 };

static int by_ids(const void *a, const void *b)
{
    const struct group *x = *(const struct group *const *)a, *y = *(const struct group *const *)b;
    for (int64_t i = 0; i < x->n_context && i < y->n_context; i++)
        if (x->context[i] != y->context[i]) return x->context[i] < y->context[i] ? -1 : 1;
    return (x->n_context > y->n_context) - (x->n_context < y->n_context);
}

static int64_t least_tokens(const struct requests *q)
{
    const struct group **sorted = calloc(q->n_groups, sizeof *sorted);
    int64_t tokens = 0;
    assert_non_null(sorted);
    for (size_t i = 0; i < q->n_groups; i++) {
        sorted[i] = &q->groups[i];
        for (size_t p = 0; p < q->groups[i].n_parts; p++) tokens += q->groups[i].parts[p].n - 1;
    }
    qsort(sorted, q->n_groups, sizeof *sorted, by_ids);
    for (size_t i = 0; i < q->n_groups; i++) {
        const struct group *g = sorted[i], *before = i ? sorted[i - 1] : NULL;
        int64_t common = 0;
        while (before && common < before->n_context && common < g->n_context &&
               before->context[common] == g->context[common])
            common++;
        tokens += g->n_context - common;
    }
    free(sorted);
    return tokens;
}

static void test_choices(void **state)
{
    static const char *const suites[] = {"endings", "reviews"};
    struct model *m = model_shipped(*state, NULL);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        struct error e;
        struct suite *s;
        struct item *items;
        struct requests q = {0};
        struct tally tally = {0};
        size_t n;
        assert_ok(suite_load(&s, suites[i], &e), &e);
        assert_ok(suite_items(s, test_items(ITEMS), NULL, &items, &n, &e), &e);
        assert_ok(requests_make(&q, m, s, items, n, 0, &e), &e);
        assert_ok(score_groups(m, q.groups, q.n_groups, &(struct schedule){.batch = 32}, &tally, &e), &e);
        const int64_t least = least_tokens(&q);
        print_message("%s: asked %lld, computed %lld, the least %lld\n", suites[i], (long long)tally.asked,
                      (long long)tally.computed, (long long)least);
        assert_int_equal(tally.fed, tally.computed);
        assert_true(tally.cut == 0 && tally.computed >= least && tally.computed < tally.asked);
        /* A context runs to its end by itself, and beginnings shorter than PREFIX_LEAST are not kept. */
        assert_true(tally.computed - least <= (int64_t)q.n_groups * PREFIX_LEAST);
        requests_free(&q);
        items_free(items, n);
        suite_free(s);
    }
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {{"choices llama", test_choices, NULL, NULL, "llama"},
                                       {"choices gpt2", test_choices, NULL, NULL, "gpt2"}};
    return cmocka_run_group_tests_name("suites/contexts", tests, NULL, NULL);
}
