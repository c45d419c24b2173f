#include "tests/testing.h"

#include "engine/base/random.h"
#include "engine/tokenizers/merge.h"

#include <string.h>

enum { ALPHABET = 4, SYMBOLS = 40, WORD = 300 };

/* Random pairs over a few symbols. Ranks repeat, and any pair may become any symbol of the second half. */
static struct pairs random_pairs(struct random *r, uint32_t ranks)
{
    struct error e;
    struct pairs p = {0};
    for (int i = 0; i < 250; i++) {
        const int32_t left = (int32_t)random_below(r, SYMBOLS), right = (int32_t)random_below(r, SYMBOLS);
        const int32_t into = (int32_t)(ALPHABET + random_below(r, SYMBOLS - ALPHABET));
        assert_ok(pairs_add(&p, left, right, random_below(r, ranks), into, NULL, &e), &e);
    }
    return p;
}

static size_t random_word(struct random *r, size_t limit, struct symbol *s)
{
    const size_t n = random_below(r, (uint32_t)limit + 1);
    for (size_t i = 0; i < n; i++)
        s[i] = (struct symbol){random_below(r, 20) ? (int32_t)random_below(r, ALPHABET) : -1, (uint32_t)i};
    return n;
}

/* The definition, word for word. */
static size_t merge_plainly(const struct pairs *p, struct symbol *s, size_t n)
{
    for (;;) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++) {
            const struct pair *here = pairs_find(p, s[i].id, s[i + 1].id);
            if (here && (best == n || here->rank < pairs_find(p, s[best].id, s[best + 1].id)->rank)) best = i;
        }
        if (best == n) return n;
        s[best].id = pairs_find(p, s[best].id, s[best + 1].id)->into;
        for (size_t i = best + 1; i + 1 < n; i++) s[i] = s[i + 1];
        n--;
    }
}

static void assert_same(const struct symbol *a, size_t n, const struct symbol *b, size_t m)
{
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].id, b[i].id);
        assert_int_equal(a[i].start, b[i].start);
    }
}

static void scan_and_heap_agree(void **state)
{
    (void)state;
    struct error e;
    struct random r = {3};
    struct merge_work work = {0};
    size_t merged = 0;
    for (int set = 0; set < 40; set++) {
        struct pairs p = random_pairs(&r, set % 2 ? 5 : 100000);
        for (int round = 0; round < 200; round++) {
            struct symbol plain[WORD], other[WORD];
            const size_t n = random_word(&r, round % 2 ? MERGE_SCAN_MAX : WORD, plain);
            size_t m = n;
            memcpy(other, plain, sizeof plain);
            struct symbol scanned[WORD];
            memcpy(scanned, plain, sizeof plain);
            const size_t left = merge_plainly(&p, plain, n);
            assert_ok(merge_heap(&p, other, &m, &work, &e), &e);
            assert_same(plain, left, other, m);
            if (n <= MERGE_SCAN_MAX) {
                size_t k = n;
                merge_scan(&p, scanned, &k);
                assert_same(plain, left, scanned, k);
            }
            merged += n - left;
        }
        pairs_free(&p);
    }
    assert_true(merged > 10000);
    merge_work_free(&work);
}

static void pairs_are_found(void **state)
{
    (void)state;
    struct error e;
    struct pairs p = {0};
    bool was_there;
    assert_null(pairs_find(&p, 0, 0));
    for (int32_t i = 0; i < 5000; i++) {
        assert_ok(pairs_add(&p, i % 70, i / 70, (uint32_t)i, i, &was_there, &e), &e);
        assert_false(was_there);
    }
    assert_ok(pairs_add(&p, 1, 0, 9, 9, &was_there, &e), &e);
    assert_true(was_there);
    for (int32_t i = 0; i < 5000; i++) assert_int_equal(pairs_find(&p, i % 70, i / 70)->into, i);
    assert_null(pairs_find(&p, 70, 0));
    assert_null(pairs_find(&p, -1, 0));
    assert_null(pairs_find(&p, 0, -1));
    pairs_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_and_heap_agree),
        cmocka_unit_test(pairs_are_found),
    };
    return cmocka_run_group_tests_name("tokenizers/merge", tests, NULL, NULL);
}
