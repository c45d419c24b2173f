/* Entities in tags: worked by hand, and against conlleval's own way to walk through them. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/entities.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct outcome outcome_of(const char *text, const char *const *reference)
{
    return (struct outcome){.kind = OUTCOME_GENERATION, .text = text, .references = reference, .n_references = 1};
}

static void values_of(const struct outcome *o, size_t n, double *precision, double *recall, double *f1)
{
    static const char *const names[] = {"entity_precision", "entity_recall", "entity_f1"};
    double *const values[] = {precision, recall, f1};
    for (size_t k = 0; k < 3; k++) {
        const struct measure m = measure_of(metric_find(names[k], OUTCOME_GENERATION));
        double *stats = test_malloc(n * m.metric->width * sizeof *stats);
        struct error e;
        for (size_t i = 0; i < n; i++) assert_ok(measure_accumulate(&m, &o[i], stats + i * m.metric->width, &e), &e);
        *values[k] = measure_value(&m, stats, n);
        test_free(stats);
    }
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *text;
        int gold, found, hits;
    } cases[] = {
        {"O B-PER I-PER O", "O B-PER I-PER O", 1, 1, 1},
        {"O B-PER I-PER O", "O B-PER O O", 1, 1, 0},
        {"O B-PER I-PER O", "O B-LOC I-LOC O", 1, 1, 0},
        {"O O", "O O", 0, 0, 0},
        {"O B-LOC", "O O", 1, 0, 0},
        {"", "", 0, 0, 0},
        /* IOB1 and IOB2 of the same entities: I after O begins one, B after I of the same type does too */
        {"I-PER I-PER B-PER O I-LOC", "B-PER I-PER B-PER O B-LOC", 3, 3, 3},
        {"B-PER B-PER", "B-PER I-PER", 2, 1, 0},
        /* another type begins another entity */
        {"B-PER I-LOC I-LOC", "B-PER B-LOC I-LOC", 2, 2, 2},
        {"I-A I-B I-A", "B-A B-B B-A", 3, 3, 3},
        /* E and S end theirs */
        {"B-A E-A S-A", "B-A I-A B-A", 2, 2, 2},
        {"B-A E-A I-A E-A", "I-A I-A B-A I-A", 2, 2, 2},
        {"E-A E-A", "B-A B-A", 2, 2, 2},
        /* types may hold hyphens, or be none */
        {"B-creative-work I-creative-work", "B-creative-work I-creative", 1, 2, 0},
        {"B I O B", "B I O O", 2, 1, 1},
        /* a longer one found spoils both that it covers */
        {"B-A O B-A", "B-A I-A I-A", 2, 1, 0},
        {"  B-A\tO\nO", "B-A O O", 1, 1, 1},
        /* what is no tag is O, what is missing too, and what is too much does not count */
        {"O B-PER O", "Answer: B-PER .", 1, 1, 1},
        {"O B-PER B-LOC", "O B-PER", 2, 1, 1},
        {"B-PER", "B-PER O B-LOC B-LOC", 1, 1, 1},
        {"B-PER", "", 1, 0, 0},
        /* the example of seqeval's documentation */
        {"O O O B-MISC I-MISC I-MISC O B-PER I-PER", "O O B-MISC I-MISC I-MISC I-MISC O B-PER I-PER", 2, 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct outcome o = outcome_of(cases[i].text, &cases[i].reference);
        double precision, recall, f1;
        values_of(&o, 1, &precision, &recall, &f1);
        const double gold = cases[i].gold, found = cases[i].found, hits = cases[i].hits;
        assert_near(precision, found > 0 ? hits / found : 0, 1e-15, cases[i].text);
        assert_near(recall, gold > 0 ? hits / gold : 0, 1e-15, cases[i].text);
        assert_near(f1, hits > 0 ? 2 * hits / (gold + found) : 0, 1e-15, cases[i].text);
    }
}

/* --- conlleval: from word to word, whether an entity ends before it and one starts at it, in both columns --- */

struct tag {
    char letter, type;
};

static bool ends(struct tag was, struct tag is)
{
    if (was.letter == 'E' || was.letter == 'S') return true;
    if (was.letter != 'O' && strchr("BSO", is.letter)) return true;
    return was.letter != 'O' && was.type != is.type;
}

static bool starts(struct tag was, struct tag is)
{
    if (is.letter == 'B' || is.letter == 'S') return true;
    if (strchr("ESO", was.letter) && strchr("IE", is.letter)) return true;
    return is.letter != 'O' && was.type != is.type;
}

struct walked {
    double gold, found, hits;
};

static void walk(const struct tag *reference, const struct tag *text, size_t n, struct walked *w)
{
    bool inside = false;
    struct tag was_gold = {'O', 0}, was_found = {'O', 0};
    for (size_t i = 0; i <= n; i++) {
        const struct tag gold = i < n ? reference[i] : (struct tag){'O', 0},
                         found = i < n ? text[i] : (struct tag){'O', 0};
        if (inside) {
            const bool end_gold = ends(was_gold, gold), end_found = ends(was_found, found);
            if (end_gold && end_found && was_gold.type == was_found.type)
                inside = false, w->hits++;
            else if (end_gold != end_found || gold.type != found.type)
                inside = false;
        }
        const bool start_gold = starts(was_gold, gold), start_found = starts(was_found, found);
        inside = inside || (start_gold && start_found && gold.type == found.type);
        w->gold += start_gold;
        w->found += start_found;
        was_gold = gold, was_found = found;
    }
}

static struct tag draw(struct random *g)
{
    const char letter = "OOBIIES"[random_below(g, 7)];
    return (struct tag){letter, letter == 'O' ? '\0' : "XY"[random_below(g, 2)]};
}

static void write_tags(const struct tag *tags, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        if (i) *out++ = ' ';
        *out++ = tags[i].letter;
        if (tags[i].type) *out++ = '-', *out++ = tags[i].type;
    }
    *out = '\0';
}

static void test_against_conlleval(void **state)
{
    (void)state;
    enum { N = 2000, LONGEST = 12 };
    struct random g = {4711};
    for (size_t i = 0; i < N; i++) {
        struct tag gold[LONGEST], found[LONGEST];
        char reference[5 * LONGEST + 1], text[5 * LONGEST + 1];
        const size_t n = 1 + random_below(&g, LONGEST);
        for (size_t k = 0; k < n; k++) {
            gold[k] = draw(&g);
            found[k] = random_below(&g, 3) ? gold[k] : draw(&g);
        }
        write_tags(gold, n, reference);
        write_tags(found, n, text);
        struct walked w = {0};
        walk(gold, found, n, &w);
        const char *const references = reference;
        const struct outcome o = outcome_of(text, &references);
        double precision, recall, f1;
        values_of(&o, 1, &precision, &recall, &f1);
        assert_near(precision, w.found > 0 ? w.hits / w.found : 0, 1e-15, text);
        assert_near(recall, w.gold > 0 ? w.hits / w.gold : 0, 1e-15, text);
    }
}

static void test_counts(void **state)
{
    (void)state;
    static const char *const references[] = {"B-PER I-PER O B-LOC", "B-ORG O", "B-PER B-LO"};
    const struct outcome o[] = {
        outcome_of("B-PER I-PER O B-PER", &references[0]),
        outcome_of("B-ORG O", &references[1]),
        outcome_of("O B-LO", &references[2]),
    };
    static const struct entity_count wanted[] = {
        {(char *)"LO", 1, 1, 1}, {(char *)"LOC", 1, 0, 0}, {(char *)"ORG", 1, 1, 1}, {(char *)"PER", 2, 2, 1}};
    struct entity_count *counts;
    size_t types;
    struct error e;
    assert_ok(entities_count(o, 3, &counts, &types, &e), &e);
    assert_int_equal(types, 4);
    for (size_t i = 0; i < types; i++) {
        assert_string_equal(counts[i].type, wanted[i].type);
        assert_true(counts[i].gold == wanted[i].gold && counts[i].found == wanted[i].found &&
                    counts[i].hits == wanted[i].hits);
    }
    entities_free(counts, types);
    const struct outcome bad[] = {o[1], outcome_of("O", &references[1])};
    assert_error(entities_count(bad, 2, &counts, &types, &e), &e, ERROR_INPUT, "item 1: text: 1 tags");
    assert_null(counts);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *text, *words;
    } cases[] = {
        {"O O", "O", "text: 1 tags, the reference has 2"}, {"O", "PER", "text: \"PER\" is no tag"},
        {"O", "O-PER", "text: \"O-PER\" is no tag"},       {"X-PER", "O", "reference: \"X-PER\" is no tag"},
        {"BPER", "O", "reference: \"BPER\" is no tag"},
    };
    struct measure m = measure_of(metric_find("entity_f1", OUTCOME_GENERATION));
    double stats[METRIC_WIDTH];
    struct error e;
    assert_ok(measure_set(&m, "strict", "true", &e), &e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct outcome o = outcome_of(cases[i].text, &cases[i].reference);
        assert_error(measure_accumulate(&m, &o, stats, &e), &e, ERROR_INPUT, cases[i].words);
    }
    static const char *const two[] = {"O", "O"};
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = "O", .references = two, .n_references = 2};
    assert_error(measure_accumulate(&m, &o, stats, &e), &e, ERROR_INPUT, "references: 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_against_conlleval),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("metrics/entities", tests, NULL, NULL);
}
