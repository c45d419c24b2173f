/* Canaries, each from made-up outcomes that show it and from ones beside them that do not. */
#include "engine/base/memory.h"
#include "suites/canaries.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 512, CHOICES = 4, TOKENS = 40 };

static const char *reason_of(const struct canaries *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->at[i].name, name) == 0) return c->at[i].reason;
    return NULL;
}

/* Exactly these canaries, with commas between them, sing. */
static void assert_canaries(const struct canaries *c, const char *names)
{
    char got[256] = "";
    for (size_t i = 0; i < c->n; i++) {
        strcat(got, i ? "," : "");
        strcat(got, c->at[i].name);
        assert_true(c->at[i].reason[0]);
    }
    assert_string_equal(got, names);
}

static struct canaries look(const struct outcome *o, size_t n, const struct generation *g, size_t n_generations)
{
    struct canaries c;
    struct error e;
    assert_ok(canaries_look(&c, o, n, g, n_generations, 1000, &e), &e);
    return c;
}

/* --- choices --- */

struct picks {
    struct outcome o[MOST];
    struct choice choices[MOST][CHOICES];
};

/* n items of which `right` are right; item i's right choice is i modulo `choices`. */
static void make_picks(struct picks *p, size_t n, size_t choices, size_t right)
{
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < n; i++) {
        const size_t gold = i % choices, pick = i < right ? gold : (gold + 1) % choices;
        for (size_t k = 0; k < choices; k++) p->choices[i][k].loglikelihood = k == pick ? -1 : -2 - (double)k;
        p->o[i] =
            (struct outcome){.kind = OUTCOME_CHOICE, .choices = p->choices[i], .n_choices = choices, .gold = gold};
    }
}

static void test_chance(void **state)
{
    static struct picks p;
    make_picks(&p, 100, 4, 60);
    struct canaries c = look(p.o, 100, NULL, 0);
    assert_canaries(&c, "");
    make_picks(&p, 100, 4, 30); /* 21.2 % to 40.0 % */
    c = look(p.o, 100, NULL, 0);
    assert_canaries(&c, "chance_level");
    assert_string_equal(reason_of(&c, "chance_level"),
                        "the 95% interval of acc, 0.212 to 0.400, holds chance, which is 0.250");
    make_picks(&p, 100, 4, 35); /* 25.7 % to 45.2 % */
    c = look(p.o, 100, NULL, 0);
    assert_canaries(&c, "");
    make_picks(&p, 100, 2, 30); /* far below 1 / 2 */
    c = look(p.o, 100, NULL, 0);
    assert_canaries(&c, "chance_level");
    assert_non_null(strstr(reason_of(&c, "chance_level"), "lies below chance, which is 0.500"));
}

/* Chance is the mean over the items, whose numbers of choices may differ. */
static void test_chance_of_mixed_choices(void **state)
{
    static struct picks p;
    make_picks(&p, 100, 4, 45); /* 35.0 % to 55.3 %: above 1 / 4, not above 3 / 8 */
    struct canaries c = look(p.o, 100, NULL, 0);
    assert_canaries(&c, "");
    for (size_t i = 0; i < 100; i++)
        if (i % 4 < 2) p.o[i].n_choices = 2;
    c = look(p.o, 100, NULL, 0);
    assert_non_null(strstr(reason_of(&c, "chance_level"), "which is 0.375"));
}

static void test_constant_choices(void **state)
{
    static struct picks p;
    make_picks(&p, 64, 4, 64);
    for (size_t i = 0; i < 64; i++)
        for (size_t k = 0; k < CHOICES; k++) p.choices[i][k].loglikelihood = -1 - (double)((k + 2) % CHOICES);
    struct canaries c = look(p.o, 64, NULL, 0);
    assert_canaries(&c, "chance_level,constant_choice");
    assert_non_null(strstr(reason_of(&c, "constant_choice"), "all 64 items pick choice 2"));
    for (size_t i = 0; i < 64; i++) p.o[i].gold = 2; /* then it is right to */
    c = look(p.o, 64, NULL, 0);
    assert_canaries(&c, "");
    make_picks(&p, 64, 4, 64);
    for (size_t i = 0; i < 64; i++)
        for (size_t k = 0; k < CHOICES; k++) p.choices[i][k].loglikelihood = -3 - (double)i;
    c = look(p.o, 64, NULL, 0);
    assert_canaries(&c, "chance_level,constant_likelihood");
}

/* --- continuations and documents --- */

static void test_continuations(void **state)
{
    struct outcome o[10];
    for (size_t i = 0; i < 10; i++)
        o[i] = (struct outcome){.kind = OUTCOME_LIKELIHOOD, .loglikelihood = -1 - (double)i, .greedy = i == 9};
    struct canaries c = look(o, 10, NULL, 0);
    assert_canaries(&c, "");
    c = look(o, 9, NULL, 0);
    assert_canaries(&c, "never_right");
    c = look(o, 7, NULL, 0); /* too few to say */
    assert_canaries(&c, "");
    for (size_t i = 0; i < 10; i++) o[i].loglikelihood = -2.5;
    c = look(o, 10, NULL, 0);
    assert_canaries(&c, "constant_likelihood");
    assert_string_equal(c.at[0].reason, "all 10 continuations have the log-likelihood -2.5");
}

static void test_documents(void **state)
{
    struct outcome o[2] = {{.kind = OUTCOME_ROLLING, .nll = 10 * log(900), .tokens = 10},
                           {.kind = OUTCOME_ROLLING, .nll = 30 * log(1050), .tokens = 30}};
    struct canaries c = look(o, 1, NULL, 0);
    assert_canaries(&c, "");
    c = look(o, 2, NULL, 0); /* a geometric mean of 1010 */
    assert_canaries(&c, "worse_than_chance");
    assert_non_null(strstr(c.at[0].reason, "1000 tokens"));
    o[0].nll = NAN;
    c = look(o, 1, NULL, 0);
    assert_canaries(&c, "worse_than_chance");
    assert_string_equal(c.at[0].reason, "perplexity is not a finite number");
    o[0].nll = INFINITY;
    c = look(o, 2, NULL, 0);
    assert_canaries(&c, "worse_than_chance");
}

/* --- generations --- */

struct texts {
    struct outcome o[20];
    struct generation g[20];
    const char *references[20];
    int32_t ids[20][TOKENS];
    char words[20][32], answers[20][32];
};

/* Texts that differ, of tokens that do not repeat, ended by their stop string. */
static void make_texts(struct texts *t)
{
    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < 20; i++) {
        for (int32_t k = 0; k < TOKENS; k++) t->ids[i][k] = k;
        snprintf(t->words[i], sizeof t->words[i], "text %zu", i);
        snprintf(t->answers[i], sizeof t->answers[i], "answer %zu", i);
        t->references[i] = t->answers[i];
        t->o[i] = (struct outcome){
            .kind = OUTCOME_GENERATION, .text = t->words[i], .references = &t->references[i], .n_references = 1};
        t->g[i] = (struct generation){.ids = {t->ids[i], TOKENS, TOKENS},
                                      .text = {.bytes = t->words[i], .length = strlen(t->words[i])},
                                      .ended = "stop"};
    }
}

static void set_text(struct texts *t, size_t i, const char *words)
{
    snprintf(t->words[i], sizeof t->words[i], "%s", words);
    t->g[i].text.length = strlen(words);
}

static void test_texts(void **state)
{
    static struct texts t;
    make_texts(&t);
    struct canaries c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "");
    for (size_t i = 0; i < 10; i++) t.g[i].ended = "limit";
    c = look(t.o, 20, t.g, 20); /* half of them is not yet most of them */
    assert_canaries(&c, "");
    t.g[10].ended = "limit";
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "endless_generations");
    assert_non_null(strstr(c.at[0].reason, "11 of 20"));
}

static void test_empty_texts(void **state)
{
    static struct texts t;
    make_texts(&t);
    set_text(&t, 3, "");
    set_text(&t, 4, "");
    struct canaries c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "");
    set_text(&t, 5, "");
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "empty_generations");
    assert_string_equal(c.at[0].reason, "3 of 20 texts are empty");
    t.references[5] = ""; /* the right answer may be none */
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "");
}

static void test_loops(void **state)
{
    static struct texts t;
    make_texts(&t);
    /* 40 tokens have 37 runs of 4; with a period of 11 there are 11 distinct, 0.297 of them, with 12 there are 0.324. */
    for (size_t i = 0; i < 3; i++)
        for (int32_t k = 0; k < TOKENS; k++) t.ids[i][k] = k % 12;
    struct canaries c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "");
    for (size_t i = 0; i < 3; i++)
        for (int32_t k = 0; k < TOKENS; k++) t.ids[i][k] = k % 11;
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "repetitive_generations");
    assert_non_null(strstr(c.at[0].reason, "3 of 20"));
    for (int32_t k = 0; k < TOKENS; k++) t.ids[0][k] = 7;
    t.g[0].ids.count = 19; /* too short to call it a loop */
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "");
    t.g[0].ids.count = 20;
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "repetitive_generations");
}

static void test_same_texts(void **state)
{
    static struct texts t;
    make_texts(&t);
    for (size_t i = 0; i < 20; i++) t.references[i] = i % 2 ? "yes" : "no";
    for (size_t i = 0; i < 19; i++) set_text(&t, i, "yes");
    struct canaries c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "");
    set_text(&t, 19, "yes");
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "identical_generations");
    for (size_t i = 0; i < 20; i++) t.references[i] = "yes";
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "");
    for (size_t i = 0; i < 20; i++) set_text(&t, i, ""); /* said once */
    c = look(t.o, 20, t.g, 20);
    assert_canaries(&c, "empty_generations");
}

/* --- prompts --- */

/* However few they are, and beside whatever else sings. */
static void test_cut_prompts(void **state)
{
    static struct picks p;
    make_picks(&p, 100, 4, 30);
    struct canaries c = look(p.o, 100, NULL, 0);
    canaries_look_at_prompts(&c, 0, 100, 512);
    assert_canaries(&c, "chance_level");
    canaries_look_at_prompts(&c, 1, 100, 512);
    assert_canaries(&c, "chance_level,cut_prompts");
    c = look(p.o, 7, NULL, 0);
    canaries_look_at_prompts(&c, 2, 7, 512);
    assert_canaries(&c, "cut_prompts");
    assert_string_equal(c.at[0].reason, "2 of 7 prompts were cut on the left to fit the context of 512 tokens");
}

/* What a suite's requests were and what became of them, as a run hands them over. */
static void test_find(void **state)
{
    static struct texts t;
    make_texts(&t);
    struct model *m = model_shipped("llama", NULL);
    const struct suite suite = {.name = "made_up", .kind = OUTCOME_GENERATION};
    const struct outcomes outcomes = {.at = t.o, .n = 20, .n_pipelines = 1};
    const struct requests requests = {.generations = t.g, .n_generations = 20};
    struct tally tally = {.cut = 12};
    struct error e;
    json_t *all;
    assert_ok(canaries_find(&suite, &outcomes, &requests, &tally, m, &all, &e), &e);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "name")), "cut_prompts");
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "reason")),
                        "12 of 20 prompts were cut on the left to fit the context of 512 tokens");
    json_decref(all);
    tally.cut = 0;
    assert_ok(canaries_find(&suite, &outcomes, &requests, &tally, m, &all, &e), &e);
    assert_int_equal(json_array_size(all), 0);
    json_decref(all);
    model_close(m);
}

/* --- the record --- */

static void test_record(void **state)
{
    struct canaries c = {.at = {{"one", "a reason"}, {"two", "another"}}, .n = 2};
    json_t *all = canaries_record(&c);
    assert_int_equal(json_array_size(all), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "name")), "two");
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "reason")), "another");
    json_decref(all);
    c.n = 0;
    all = canaries_record(&c);
    assert_true(json_is_array(all) && json_array_size(all) == 0);
    json_decref(all);
    c = look(NULL, 0, NULL, 0);
    assert_int_equal(c.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chance),           cmocka_unit_test(test_chance_of_mixed_choices),
        cmocka_unit_test(test_constant_choices), cmocka_unit_test(test_continuations),
        cmocka_unit_test(test_documents),        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_empty_texts),      cmocka_unit_test(test_loops),
        cmocka_unit_test(test_same_texts),       cmocka_unit_test(test_record),
        cmocka_unit_test(test_cut_prompts),      cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
