/* Every file of public data, read whole. */
#include "tests/testing.h"

#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/text.h"
#include "suites/reader.h"

#include <stdlib.h>
#include <string.h>

static int gather(void *user, json_t *doc, struct error *e)
{
    return json_array_append(user, doc) ? error_set(e, ERROR_IO, "out of memory") : 0;
}

static json_t *documents(const char *name, const char *reader, const char *options)
{
    struct error e = {0};
    struct file f;
    assert_ok(file_map(&f, shared_path(name), &e), &e);
    json_t *all = json_array(), *kwargs = options ? json_loads(options, 0, NULL) : NULL;
    const struct reader_source source = {f.path, (const char *)f.data, f.size, kwargs};
    assert_ok(reader_find(reader)->read(&source, gather, all, &e), &e);
    json_decref(kwargs);
    file_unmap(&f);
    return all;
}

static const char *text_at(const json_t *all, size_t i, const char *field)
{
    return json_string_value(json_object_get(json_array_get(all, i), field));
}

static json_int_t number_at(const json_t *all, size_t i, const char *field)
{
    return json_integer_value(json_object_get(json_array_get(all, i), field));
}

static void reads_xquad(void **state)
{
    json_t *all = documents("data/xquad/xquad.en.json", "squad", NULL);
    assert_int_equal(json_array_size(all), 1190);
    assert_string_equal(text_at(all, 0, "id"), "56beb4343aeaaa14008c925b");
    const json_t *answers = json_object_get(json_array_get(all, 0), "answers");
    assert_string_equal(json_string_value(json_array_get(answers, 0)), "308");
    json_decref(all);
}

static void reads_sst2_without_a_header(void **state)
{
    json_t *all =
        documents("data/classification/sst2_test_1821.tsv", "sst2", "{\"columns\": [\"label\", \"sentence\"]}");
    assert_int_equal(json_array_size(all), 1821);
    assert_string_equal(text_at(all, 0, "sentence"), "no movement , no yuks , not much of anything");
    assert_int_equal(number_at(all, 4, "label"), 1);
    json_int_t right = 0;
    for (size_t i = 0; i < 1821; i++) right += number_at(all, i, "label");
    assert_int_equal(right, 909);
    json_decref(all);
}

static void reads_cola_with_its_header(void **state)
{
    json_t *all = documents("data/classification/cola_in_domain_dev.tsv", "tsv", "{\"header\": true}");
    assert_int_equal(json_array_size(all), 527);
    assert_string_equal(text_at(all, 0, "y"), "1");
    json_decref(all);
}

static void reads_wnut17(void **state)
{
    json_t *all = documents("data/classification/emerging.dev.conll", "conll", NULL);
    assert_int_equal(json_array_size(all), 1009);
    size_t tokens = 0, begins = 0;
    for (size_t i = 0; i < 1009; i++) {
        const json_t *doc = json_array_get(all, i), *tags = json_object_get(doc, "tags");
        tokens += json_array_size(json_object_get(doc, "tokens"));
        assert_int_equal(json_array_size(tags), json_array_size(json_object_get(doc, "tokens")));
        for (size_t k = 0; k < json_array_size(tags); k++)
            begins += strncmp(json_string_value(json_array_get(tags, k)), "B-", 2) == 0;
    }
    assert_int_equal(tokens, 15733);
    assert_int_equal(begins, 835);
    assert_string_equal(text_at(all, 1, "tag_text"),
                        "O O O O O O B-location I-location I-location O O O O O O O B-location O B-location");
    json_decref(all);
}

static void reads_hellaswag_text(void **state)
{
    json_t *all = documents("data/hellaswag/hellaswag_val_first400.txt", "hellaswag_text", NULL);
    assert_int_equal(json_array_size(all), 400);
    assert_string_equal(text_at(all, 0, "ctx"), "Roof shingle removal: A man is sitting on a roof. he");
    assert_int_equal(number_at(all, 2, "label"), 2);
    const json_t *endings = json_object_get(json_array_get(all, 1), "endings");
    assert_string_equal(json_string_value(json_array_get(endings, 3)), "stands and lifts the weight over her head.");
    json_decref(all);
}

static void reads_reworded_questions(void **state)
{
    static const struct {
        const char *name, *answer;
        size_t items;
    } cases[] = {{"data/adapters/piqa.json", "solution1", 1838}, {"data/adapters/ARC-Easy.json", "answer1", 2376}};
    for (size_t i = 0; i < 2; i++) {
        json_t *all = documents(cases[i].name, "json", NULL);
        assert_int_equal(json_array_size(all), cases[i].items);
        assert_string_equal(text_at(all, 0, "answer"), cases[i].answer);
        json_decref(all);
    }
}

static void reads_wmt22_with_two_references(void **state)
{
    json_t *all = documents("data/wmt22/generaltest2022.de-en.src.de", "parallel",
                            "{\"target\": [\"generaltest2022.de-en.ref.A.en\", \"generaltest2022.de-en.ref.B.en\"]}");
    assert_int_equal(json_array_size(all), 1984);
    const json_t *last = json_array_get(all, 1983), *references = json_object_get(last, "references");
    assert_int_equal(json_array_size(references), 2);
    assert_string_equal(json_string_value(json_array_get(references, 0)), text_at(all, 1983, "target"));
    json_decref(all);
}

/* The pages of lm-evaluation-harness's own rules, done by Python's re.sub() on the same file. */
static void reads_wikitext_as_the_harness_does(void **state)
{
    json_t *all = documents("data/wikitext2/test.txt", "wikitext", NULL);
    assert_int_equal(json_array_size(all), 62);
    size_t bytes = 0;
    char hex[HASH_HEX];
    struct hash h;
    hash_init(&h);
    for (size_t i = 0; i < 62; i++) {
        const char *text = text_at(all, i, "text");
        bytes += strlen(text_at(all, i, "page"));
        hash_update(&h, text, strlen(text) + 1);
    }
    hash_finish(&h, hex);
    assert_int_equal(bytes, 1256386);
    assert_string_equal(hex, "01c65ef901b983d5e07dcaace5eb4c7483b64225c8c0a82e43a3fd3a50d16fa5");
    json_decref(all);
}

static void reads_corpora_whole(void **state)
{
    json_t *all = documents("data/tinyshakespeare.txt", "text", NULL);
    assert_int_equal(json_string_length(json_object_get(json_array_get(all, 0), "text")), 1115393);
    json_decref(all);
    all = documents("data/wikitext2/test.txt", "text", NULL);
    assert_int_equal(json_string_length(json_object_get(json_array_get(all, 0), "text")), 1256448);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_xquad),
        cmocka_unit_test(reads_sst2_without_a_header),
        cmocka_unit_test(reads_cola_with_its_header),
        cmocka_unit_test(reads_wnut17),
        cmocka_unit_test(reads_hellaswag_text),
        cmocka_unit_test(reads_reworded_questions),
        cmocka_unit_test(reads_wmt22_with_two_references),
        cmocka_unit_test(reads_wikitext_as_the_harness_does),
        cmocka_unit_test(reads_corpora_whole),
    };
    return cmocka_run_group_tests_name("suites/public_data", tests, NULL, NULL);
}
