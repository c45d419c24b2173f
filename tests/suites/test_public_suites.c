/* The suites of public sets, on a few lines in the sets' own form: prompts and choices as lm-evaluation-harness makes
 * them, without any of the sets being here. */
#include "tests/testing.h"

#include "engine/base/file.h"
#include "suites/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUESTION(n) "{\"question\": \"Q" n "?\", \"answer\": \"Because.\\n#### " n "\"}\n"

/* The data folder's files: where datasets/fetch would put them. */
static const struct {
    const char *folder, *name, *data;
} files[] = {
    {"hellaswag", "hellaswag_val.jsonl",
     "{\"ind\": 24, \"activity_label\": \"Roof\", \"ctx_a\": \"A man sits.\", \"ctx_b\": \"he\", \"ctx\": \"A man "
     "sits. he\","
     " \"endings\": [\"is [step] up.\", \"is  b.\", \"c.\", \"d.\"], \"label\": 3, \"split\": \"val\"}\n"},
    {"hellaswag_text", "hellaswag_val_full.txt", "Roof: A man sits. he\n3\na\nb\nc\nd\n"},
    {"lambada", "lambada_test.jsonl", "{\"text\": \"in my palm.  he said, \\\"Gabriel\"}\n"},
    {"winogrande", "dev.jsonl",
     "{\"qID\": \"1\", \"sentence\": \"Ann met Sue because _ was late.\", \"option1\": \"Ann\", \"option2\": \"Sue\","
     " \"answer\": \"2\"}\n"},
    {"arc", "ARC-Easy-Test.jsonl",
     "{\"id\": \"M\", \"question\": {\"stem\": \"Which?\", \"choices\": [{\"text\": \"x\", \"label\": \"1\"},"
     " {\"text\": \"y\", \"label\": \"2\"}]}, \"answerKey\": \"2\"}\n"},
    {"arc", "ARC-Challenge-Test.jsonl",
     "{\"id\": \"M\", \"question\": {\"stem\": \"Why?\", \"choices\": [{\"text\": \"x\", \"label\": \"A\"},"
     " {\"text\": \"y\", \"label\": \"B\"}]}, \"answerKey\": \"A\"}\n"},
    {"piqa", "dev.jsonl", "{\"goal\": \"Open it.\", \"sol1\": \"Pull.\", \"sol2\": \"Push.\"}\n"},
    {"piqa", "dev-labels.lst", "1\n"},
    {"boolq", "val.jsonl", "{\"question\": \"is it\", \"passage\": \"It is.\", \"idx\": 0, \"label\": true}\n"},
    {"mmlu", "test.csv", "\" What, then? \",one,2,3,4,C\n"},
    {"gsm8k", "test.jsonl", QUESTION("7")},
    {"gsm8k", "train.jsonl", QUESTION("1") QUESTION("2") QUESTION("3") QUESTION("4") QUESTION("5")},
    {"squad", "dev-v1.1.json",
     "{\"data\": [{\"title\": \"T\", \"paragraphs\": [{\"context\": \"C.\", \"qas\": [{\"id\": \"1\", \"question\": "
     "\"Q?\","
     " \"answers\": [{\"text\": \"a\"}, {\"text\": \"b\"}]}]}]}]}"},
    {"squad2", "dev-v2.0.json",
     "{\"data\": [{\"title\": \"T\", \"paragraphs\": [{\"context\": \"C.\", \"qas\": [{\"id\": \"1\", \"question\": "
     "\"Q?\","
     " \"answers\": [], \"is_impossible\": true}]}]}]}"},
    {"sst2", "dev.tsv", "sentence\tlabel\nit 's charming . \t1\n"},
    {"cola", "dev.tsv", "gj04\t1\t\tThe sailors rode.\n"},
    {"mrpc", "msr_paraphrase_test.txt",
     "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n0\t1\t2\tA b.\tB a.\r\n"},
    {"wikitext2", "wiki.test.raw", " \n = T = \n \n One , two . \n"},
    {"xquad", "xquad.en.json",
     "{\"data\": [{\"title\": \"T\", \"paragraphs\": [{\"context\": \"C.\", \"qas\": [{\"id\": \"1\", \"question\": "
     "\"Q?\","
     " \"answers\": [{\"text\": \"a\"}]}]}]}]}"},
    {"wmt22", "generaltest2022.de-en.src.de", "Ein Satz.\n"},
    {"wmt22", "generaltest2022.de-en.ref.A.en", "A sentence.\n"},
};

/* What a suite makes of its one item. */
static const struct {
    const char *suite, *prompt;
    size_t n_contexts, n_targets;
    const char *contexts[2], *targets[4];
    size_t gold;
} due[] = {
    {"hellaswag", "Roof: A man sits. He", 0, 4, {NULL}, {"is up.", "is b.", "c.", "d."}, 3},
    {"hellaswag_text", "Roof: A man sits. he", 0, 4, {NULL}, {"a", "b", "c", "d"}, 3},
    {"lambada_openai", "in my palm.  he said,", 0, 1, {NULL}, {"\"Gabriel"}, 0},
    {"winogrande", "", 2, 1, {"Ann met Sue because Ann", "Ann met Sue because Sue"}, {"was late."}, 1},
    {"arc_easy", "Question: Which?\nAnswer:", 0, 2, {NULL}, {"x", "y"}, 1},
    {"arc_challenge", "Question: Why?\nAnswer:", 0, 2, {NULL}, {"x", "y"}, 0},
    {"piqa", "Question: Open it.\nAnswer:", 0, 2, {NULL}, {"Pull.", "Push."}, 1},
    {"boolq", "It is.\nQuestion: is it?\nAnswer:", 0, 2, {NULL}, {"no", "yes"}, 1},
    {"mmlu", "What, then?\nA. one\nB. 2\nC. 3\nD. 4\nAnswer:", 0, 4, {NULL}, {"A", "B", "C", "D"}, 2},
    {"squad", "Title: T\n\nBackground: C.\n\nQuestion: Q?\n\nAnswer:", 0, 2, {NULL}, {"a", "b"}, 0},
    {"squad2", "Title: T\n\nBackground: C.\n\nQuestion: Q?\n\nAnswer:", 0, 1, {NULL}, {""}, 0},
    {"sst2",
     "it 's charming . \nQuestion: Is this sentence positive or negative?\nAnswer:",
     0,
     2,
     {NULL},
     {"negative", "positive"},
     1},
    {"cola", "The sailors rode.\nQuestion: Does this sentence make sense?\nAnswer:", 0, 2, {NULL}, {"no", "yes"}, 1},
    {"mrpc",
     "Sentence 1: A b.\nSentence 2: B a.\nQuestion: Do both sentences mean the same thing?\nAnswer:",
     0,
     2,
     {NULL},
     {"no", "yes"},
     0},
    {"wikitext2", "", 0, 1, {NULL}, {" = T =\n\nOne, two.\n"}, 0},
    {"wikitext2_chunked", "", 0, 1, {NULL}, {" \n = T = \n \n One , two . "}, 0},
    {"xquad_en", "Context: C.\n\nQuestion: Q?\n\nAnswer:", 0, 1, {NULL}, {"a"}, 0},
    {"wmt22_de_en", "German phrase: Ein Satz.\nEnglish phrase:", 0, 1, {NULL}, {"A sentence."}, 0},
};

static char *folder; /* what KERF_DATA names */

static int write_files(void **state)
{
    struct error e = {0};
    folder = folder_temporary();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[1000];
        snprintf(path, sizeof path, "%s/datasets/%s", folder, files[i].folder);
        assert_ok(folder_make(path, &e), &e);
        free(file_put(path, files[i].name, files[i].data, strlen(files[i].data)));
    }
    return setenv("KERF_DATA", folder, 1);
}

static int remove_files(void **state)
{
    unsetenv("KERF_DATA");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[1000];
        snprintf(path, sizeof path, "%s/datasets/%s/%s", folder, files[i].folder, files[i].name);
        assert_int_equal(remove(path), 0);
        snprintf(path, sizeof path, "%s/datasets/%s", folder, files[i].folder);
        remove(path); /* once it is empty */
    }
    char path[1000];
    snprintf(path, sizeof path, "%s/datasets", folder);
    assert_int_equal(remove(path), 0);
    folder_remove(folder);
    return 0;
}

static struct item *one_item(const char *name)
{
    struct error e = {0};
    struct suite *s;
    struct item *items;
    size_t n;
    assert_ok(suite_load(&s, name, &e), &e);
    assert_string_equal(s->name, name);
    assert_int_equal(strncmp(s->data_path, folder, strlen(folder)), 0);
    assert_ok(suite_items(s, 0, NULL, &items, &n, &e), &e);
    assert_int_equal(n, 1);
    suite_free(s);
    return items;
}

static void prompts_are_the_harness_s(void **state)
{
    for (size_t i = 0; i < sizeof due / sizeof *due; i++) {
        struct item *x = one_item(due[i].suite);
        assert_string_equal(x->prompt, due[i].prompt);
        assert_int_equal(x->n_contexts, due[i].n_contexts);
        for (size_t k = 0; k < x->n_contexts; k++) assert_string_equal(x->contexts[k], due[i].contexts[k]);
        assert_int_equal(x->n_targets, due[i].n_targets);
        for (size_t k = 0; k < x->n_targets; k++) assert_string_equal(x->targets[k], due[i].targets[k]);
        assert_int_equal(x->gold, due[i].gold);
        items_free(x, 1);
    }
}

/* Words and bytes are the page's, as it was before its spaces were put right. */
static void wikitext_counts_what_is_not_scored(void **state)
{
    struct item *x = one_item("wikitext2");
    assert_string_equal(x->counted, " = T = \n \n One , two . \n");
    items_free(x, 1);
    x = one_item("wikitext2_chunked");
    assert_null(x->counted);
    items_free(x, 1);
}

static void gsm8k_has_five_solved_examples(void **state)
{
    static const char example[] = "Question: Q", end[] = "Question: Q7?\nAnswer:";
    struct item *x = one_item("gsm8k");
    size_t n = 0;
    for (const char *at = x->prompt; (at = strstr(at, example)); at++) n++;
    assert_int_equal(n, 6);
    assert_string_equal(x->prompt + strlen(x->prompt) - strlen(end), end);
    assert_non_null(strstr(x->prompt, "Question: Q3?\nAnswer: Because.\n#### 3\n\nQuestion: Q"));
    assert_string_equal(x->targets[0], "Because.\n#### 7");
    items_free(x, 1);
}

/* 256 new tokens where a task says nothing else, and the three metrics of its WMT tasks. */
static void limits_and_metrics_are_the_harness_s(void **state)
{
    static const char *const names[] = {"gsm8k", "squad", "squad2", "xquad_en", "wmt22_de_en"};
    static const char *const metrics[] = {"bleu", "ter", "chrf"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct error e = {0};
        struct suite *s;
        assert_ok(suite_load(&s, names[i], &e), &e);
        assert_int_equal(s->max_tokens, 256);
        if (strcmp(names[i], "wmt22_de_en") == 0) {
            assert_int_equal(s->n_scores, 3);
            for (size_t k = 0; k < 3; k++) assert_string_equal(s->scores[k].name, metrics[k]);
        }
        suite_free(s);
    }
}

/* Every suite of the group is tried above. */
static void the_group_has_them_all(void **state)
{
    struct error e = {0};
    char **names;
    size_t n = 0;
    assert_ok(suite_expand("public", &names, &e), &e);
    for (; names[n]; n++) {
        size_t i = 0;
        while (i < sizeof due / sizeof *due && strcmp(due[i].suite, names[n]) != 0) i++;
        if (i == sizeof due / sizeof *due) assert_string_equal(names[n], "gsm8k");
    }
    assert_int_equal(n, sizeof due / sizeof *due + 1);
    names_free(names);
}

/* Where its data is not here, a suite says how to get it, and lists have it all the same. */
static void missing_data_names_the_way_to_it(void **state)
{
    struct error e = {0};
    struct suite *s;
    assert_int_equal(setenv("KERF_DATA", "/nonexistent", 1), 0);
    if (path_exists("datasets/hellaswag")) {
        print_message("skipped: datasets/hellaswag is here\n");
    } else {
        assert_error(suite_load(&s, "hellaswag", &e), &e, ERROR_INPUT, "; \"datasets/fetch hellaswag\" gets it");
        assert_ok(suite_load_without_data(&s, "hellaswag", &e), &e);
        assert_null(s->data_path);
        suite_free(s);
    }
    assert_int_equal(setenv("KERF_DATA", folder, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_the_harness_s),        cmocka_unit_test(wikitext_counts_what_is_not_scored),
        cmocka_unit_test(gsm8k_has_five_solved_examples),   cmocka_unit_test(the_group_has_them_all),
        cmocka_unit_test(missing_data_names_the_way_to_it), cmocka_unit_test(limits_and_metrics_are_the_harness_s),
    };
    return cmocka_run_group_tests_name("suites/public_suites", tests, write_files, remove_files);
}
