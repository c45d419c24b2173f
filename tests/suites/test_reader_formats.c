#include "engine/base/json.h"
#include "tests/testing.h"

#include "suites/suite.h"

#include <stdlib.h>
#include <string.h>

static int gather(void *user, json_t *doc, struct error *e)
{
    return json_array_append(user, doc) ? error_set(e, ERROR_IO, "out of memory") : 0;
}

static int gather_one(void *user, json_t *doc, struct error *e)
{
    int status = gather(user, doc, e);
    return status ? status : READER_STOP;
}

static json_t *parse(const char *text)
{
    json_error_t je;
    json_t *v = json_loads(text, 0, &je);
    if (!v) fail_msg("%s: %s", je.text, text);
    return v;
}

static void assert_documents(const char *what, json_t *got, const char *due)
{
    json_t *expected = parse(due);
    char *words = json_dump_text(got, JSON_COMPACT, NULL);
    if (!json_equal(got, expected)) fail_msg("%s: %s", what, words);
    free(words);
    json_decref(expected);
}

static void assert_reads(const char *reader, const char *options, const char *data, const char *due)
{
    struct error e = {0};
    json_t *all = json_array(), *kwargs = options ? parse(options) : NULL;
    const struct reader_source source = {"memory", data, strlen(data), kwargs};
    assert_ok(reader_find(reader)->read(&source, gather, all, &e), &e);
    assert_documents(reader, all, due);
    json_decref(kwargs);
    json_decref(all);
}

static void hellaswag_is_prepared_as_the_harness_does(void **state)
{
    assert_reads("hellaswag", NULL,
                 "{\"ctx\": \"c\", \"activity_label\": \" Roof\", \"ctx_a\": \"A [header] man. [title] Sits [x\","
                 " \"ctx_b\": \"he SAYS\\u00c9\", \"label\": \"1\","
                 " \"endings\": [\" is  here. \", \"a [step] b   c [substeps] d] e\"]}",
                 "[{\"ctx\": \"c\", \"activity_label\": \" Roof\", \"ctx_a\": \"A [header] man. [title] Sits [x\","
                 " \"ctx_b\": \"he SAYS\\u00c9\", \"label\": 1,"
                 " \"endings\": [\" is  here. \", \"a [step] b   c [substeps] d] e\"],"
                 " \"query\": \"Roof: A man.. Sits [x He says\\u00e9\","
                 " \"choices\": [\"is here.\", \"a b  c d] e\"]}]");
    /* " [title]" goes before the marks do, also within one */
    assert_reads(
        "hellaswag", NULL,
        "{\"ctx\": \"c\", \"activity_label\": \"R\", \"ctx_a\": \"[a [title] b] c\", \"ctx_b\": \"[d\\ne] f\","
        " \"label\": 1, \"endings\": [\"x [y [title] z\", \"[[a] b] [\"]}",
        "[{\"ctx\": \"c\", \"activity_label\": \"R\", \"ctx_a\": \"[a [title] b] c\", \"ctx_b\": \"[d\\ne] f\","
        " \"label\": 1, \"endings\": [\"x [y [title] z\", \"[[a] b] [\"], \"query\": \"R: c [d\\ne] f\","
        " \"choices\": [\"x [y. z\", \" b] [\"]}]");
    /* without the parts nothing is added */
    assert_reads("hellaswag", NULL, "{\"ctx\": \"c\", \"ctx_a\": \"a\", \"endings\": [\"x\", \"y\"], \"label\": 0}",
                 "[{\"ctx\": \"c\", \"ctx_a\": \"a\", \"endings\": [\"x\", \"y\"], \"label\": 0}]");
}

static void hellaswag_text_has_six_lines_an_item(void **state)
{
    assert_reads("hellaswag_text", NULL, "c\n3\na\nb\nc\nd\nC\r\n0\r\nw\r\nx\r\ny\r\nz\r\n\r\n",
                 "[{\"ctx\": \"c\", \"label\": 3, \"endings\": [\"a\", \"b\", \"c\", \"d\"]},"
                 " {\"ctx\": \"C\", \"label\": 0, \"endings\": [\"w\", \"x\", \"y\", \"z\"]}]");
    assert_reads("hellaswag_text", NULL, "", "[]");
}

static void winogrande_is_cut_at_the_gap(void **state)
{
    assert_reads("winogrande", NULL,
                 "{\"qID\": \"q\", \"sentence\": \"The _ is, so _ was.\", \"option1\": \"cat\", \"option2\": \"dog\","
                 " \"answer\": \"2\"}",
                 "[{\"qID\": \"q\", \"sentence\": \"The _ is, so _ was.\", \"option1\": \"cat\", \"option2\": \"dog\","
                 " \"answer\": \"2\", \"choices\": [\"The cat\", \"The dog\"], \"target\": \"is, so _ was.\","
                 " \"label\": 1}]");
}

static void both_forms_of_arc_become_one(void **state)
{
    static const char due[] = "[{\"id\": \"i\", \"question\": \"q\", \"answerKey\": \"2\","
                              " \"choices\": {\"text\": [\"x\", \"y\"], \"label\": [\"1\", \"2\"]}}]";
    assert_reads("arc", NULL,
                 "{\"id\": \"i\", \"question\": {\"stem\": \"q\", \"choices\": [{\"text\": \"x\", \"label\": \"1\"},"
                 " {\"text\": \"y\", \"label\": \"2\"}]}, \"answerKey\": \"2\"}\n",
                 due);
    assert_reads("arc", NULL,
                 "{\"id\": \"i\", \"question\": \"q\", \"answerKey\": \"2\","
                 " \"choices\": {\"text\": [\"x\", \"y\"], \"label\": [\"1\", \"2\"]}}",
                 due);
}

static void json_lines_of_questions(void **state)
{
    assert_reads("boolq", NULL,
                 "{\"question\": \"q\", \"passage\": \"p\", \"answer\": true}\n"
                 "{\"question\": \"q\", \"passage\": \"p\", \"label\": false, \"idx\": 3}",
                 "[{\"question\": \"q\", \"passage\": \"p\", \"answer\": true, \"label\": 1},"
                 " {\"question\": \"q\", \"passage\": \"p\", \"label\": 0, \"idx\": 3}]");
    assert_reads(
        "gsm8k", NULL, "{\"question\": \"q\", \"answer\": \"#### 1 <<2+2=4>>\\n#### 1,234 \"}",
        "[{\"question\": \"q\", \"answer\": \"#### 1 <<2+2=4>>\\n#### 1,234 \", \"answer_number\": \"1,234\"}]");
    assert_reads("jsonl", NULL, "\xEF\xBB\xBF{\"a\": [1]}\r\n{}\n\n", "[{\"a\": [1]}, {}]");
    assert_reads("piqa", NULL, "{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"y\", \"label\": 1}",
                 "[{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"y\", \"label\": 1, \"choices\": [\"x\", \"y\"]}]");
}

static void squad_2_marks_what_has_no_answer(void **state)
{
    assert_reads(
        "squad", NULL,
        "{\"version\": \"v2.0\", \"data\": [{\"title\": \"t\", \"paragraphs\": [{\"context\": \"c\", \"qas\": ["
        "{\"id\": \"1\", \"question\": \"q\", \"answers\": [{\"text\": \"a\", \"answer_start\": 0}], "
        "\"is_impossible\": false}, "
        "{\"id\": \"2\", \"question\": \"r\", \"answers\": [], \"is_impossible\": true, "
        "\"plausible_answers\": [{\"text\": \"b\"}]}]}]}]}",
        "[{\"context\": \"c\", \"question\": \"q\", \"id\": \"1\", \"title\": \"t\", \"answers\": [\"a\"], "
        "\"is_impossible\": false},"
        " {\"context\": \"c\", \"question\": \"r\", \"id\": \"2\", \"title\": \"t\", \"answers\": [\"\"], "
        "\"is_impossible\": true}]");
}

static void json_is_a_list_somewhere(void **state)
{
    assert_reads("json", NULL, "\xEF\xBB\xBF[{\"a\": 1},\n {\"b\": \"x\"}]\n", "[{\"a\": 1}, {\"b\": \"x\"}]");
    assert_reads("json", "{\"field\": \"data.items\"}", "{\"data\": {\"items\": [{\"a\": 1}]}}", "[{\"a\": 1}]");
    assert_reads("json", NULL, "", "[]");
}

static void csv_is_quoted_as_rfc_4180_has_it(void **state)
{
    static const char two[] = "{\"columns\": [\"a\", \"b\"]}";
    assert_reads("csv", two, "", "[]");
    assert_reads("csv", two, "x, y \r\n\r\n\"a, \"\"b\"\"\",\"c\r\nd\"\r\n,\n\"\",z",
                 "[{\"a\": \"x\", \"b\": \" y \"}, {\"a\": \"a, \\\"b\\\"\", \"b\": \"c\\r\\nd\"},"
                 " {\"a\": \"\", \"b\": \"\"}, {\"a\": \"\", \"b\": \"z\"}]");
    assert_reads("csv", "{\"header\": true, \"delimiter\": \";\"}", "\xEF\xBB\xBFu;\"v;w\"\n1,5;\"2\"\n",
                 "[{\"u\": \"1,5\", \"v;w\": \"2\"}]");
    assert_reads("csv", "{\"columns\": [\"a\"], \"header\": true}", "z\nx\n", "[{\"a\": \"x\"}]");
    assert_reads("mmlu", NULL, "\"What, is?\",1,\" 2\",3,4,C\n",
                 "[{\"question\": \"What, is?\", \"choices\": [\"1\", \" 2\", \"3\", \"4\"], \"answer\": 2}]");
}

static void glue_files_have_their_columns(void **state)
{
    assert_reads("cola", NULL, "gj04\t1\t\tA \"b\" c.\ngj04\t0\t*\tD.\n",
                 "[{\"source\": \"gj04\", \"label\": 1, \"mark\": \"\", \"sentence\": \"A \\\"b\\\" c.\"},"
                 " {\"source\": \"gj04\", \"label\": 0, \"mark\": \"*\", \"sentence\": \"D.\"}]");
    assert_reads(
        "mrpc", NULL, "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tA \"b.\tC.\r\n",
        "[{\"label\": 1, \"id1\": \"7\", \"id2\": \"8\", \"sentence1\": \"A \\\"b.\", \"sentence2\": \"C.\"}]");
}

static void conll_sentences_end_with_an_empty_line(void **state)
{
    assert_reads("conll", NULL,
                 "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\n#tag\tO\nNew York\tB-LOC",
                 "[{\"tokens\": [\"EU\", \"rejects\"], \"tags\": [\"B-ORG\", \"O\"], \"text\": \"EU rejects\","
                 " \"tag_text\": \"B-ORG O\"},"
                 " {\"tokens\": [\"#tag\", \"New York\"], \"tags\": [\"O\", \"B-LOC\"], \"text\": \"#tag New York\","
                 " \"tag_text\": \"O B-LOC\"}]");
    assert_reads("conll", NULL, "a O\n\xEF\xBB\xBF\n\t\n",
                 "[{\"tokens\": [\"a\"], \"tags\": [\"O\"], \"text\": \"a\", \"tag_text\": \"O\"}]");
}

static void wikitext_pages_are_detokenized(void **state)
{
    assert_reads(
        "wikitext", NULL,
        " \n = Cats = \n \n Two cats ( small , black ) ate 1 @,@ 000 \" mice . \" 20 \xC2\xB0 N or so .\n"
        " = = Food = = \n They ' re fed ' . It 's theirs [ sic ] ; the boys ' , too\n = Dogs = \n x",
        "[{\"page\": \" = Cats = \\n \\n Two cats ( small , black ) ate 1 @,@ 000 \\\" mice . \\\" 20 \\u00b0 N "
        "or so .\\n = = Food = = \\n They ' re fed ' . It 's theirs [ sic ] ; the boys ' , too\","
        " \"text\": \" = Cats =\\n\\nTwo cats (small, black) ate 1,000 \\\"mice.\\\" 20\\u00b0N or so .\\n"
        "== Food ==\\nThey 're fed'. It's theirs [sic]; the boys', too\"},"
        " {\"page\": \" = Dogs = \\n x\", \"text\": \" = Dogs =\\nx\"}]");
}

/* A data file with two more files beside it. */
static void beside(const char *reader, const char *options, const char *data, const char *first, const char *second,
                   reader_emit emit, const char *due, const char *words)
{
    char *folder = folder_temporary(),
         *paths[] = {file_put(folder, "data", data, strlen(data)), file_put(folder, "first", first, strlen(first)),
                     file_put(folder, "second", second, strlen(second))};
    json_t *kwargs = parse(options), *all = json_array();
    struct error e = {0};
    const struct reader_source source = {paths[0], data, strlen(data), kwargs};
    int status = reader_find(reader)->read(&source, emit, all, &e);
    if (due) {
        assert_ok(status, &e);
        assert_documents(reader, all, due);
    } else {
        assert_error(status, &e, strstr(words, "No such file") ? ERROR_IO : ERROR_INPUT, words);
    }
    json_decref(all);
    json_decref(kwargs);
    for (size_t i = 0; i < 3; i++) free(paths[i]);
    folder_remove(folder);
}

static void parallel_text_has_its_lines_in_other_files(void **state)
{
    static const char one[] = "{\"target\": \"first\"}", both[] = "{\"target\": [\"first\", \"second\"]}";
    beside("parallel", one, "a\n\nb\n", "A\nempty\nB\n", "", gather,
           "[{\"source\": \"a\", \"target\": \"A\", \"references\": [\"A\"]},"
           " {\"source\": \"\", \"target\": \"empty\", \"references\": [\"empty\"]},"
           " {\"source\": \"b\", \"target\": \"B\", \"references\": [\"B\"]}]",
           NULL);
    beside("parallel", both, "a\r\nb\n\n", "A\nB\n\n", "1\n2\n3", gather,
           "[{\"source\": \"a\", \"target\": \"A\", \"references\": [\"A\", \"1\"]},"
           " {\"source\": \"b\", \"target\": \"B\", \"references\": [\"B\", \"2\"]},"
           " {\"source\": \"\", \"target\": \"\", \"references\": [\"\", \"3\"]}]",
           NULL);
    beside("parallel", one, "a\nb\n", "A\nB\nC\n", "", gather_one,
           "[{\"source\": \"a\", \"target\": \"A\", \"references\": [\"A\"]}]", NULL);
    beside("parallel", one, "a\nb\n", "A\n", "", gather, NULL, "data: line 2: ");
    beside("parallel", one, "a\nb\n", "A\n", "", gather, NULL, "first ends before, after 1 lines");
    beside("parallel", both, "a\n", "A\n", "1\n2\n", gather, NULL, "second: line 2: there is no line for it in ");
    beside("parallel", one, "a\n", "\xFF\n", "", gather, NULL, "first: line 1: byte 1: 0xFF: is not UTF-8");
    beside("parallel", "{\"target\": \"third\"}", "a\n", "", "", gather_one, NULL, "third: open: No such file");
    beside("parallel", "{\"target\": []}", "a\n", "", "", gather, NULL, "dataset_kwargs: target: must be the path");
    beside("parallel", "{\"target\": [\"first\", 3]}", "a\n", "", "", gather, NULL, "target: must be the path");
    beside("parallel", "{}", "a\n", "", "", gather, NULL, "target: must be the path of a file beside the data file");
}

static void piqa_has_its_labels_in_another_file(void **state)
{
    static const char options[] = "{\"labels\": \"first\"}",
                      item[] = "{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"y\"}\n";
    static const char one[] =
        "[{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"y\", \"choices\": [\"x\", \"y\"], \"label\": 1}]";
    beside("piqa", options, item, "1\n", "", gather, one, NULL);
    beside("piqa", options, item, "1\n0\n", "", gather_one, one, NULL);
    beside("piqa", options, item, "1\n0\n", "", gather, NULL, "first: line 2: there is no item for it in ");
    beside("piqa", options, item, "", "", gather, NULL, "has only 0 lines");
    beside("piqa", options, item, "2\n", "", gather, NULL, "first: line 1: label: 2 is not from 0 to 1");
    beside("piqa", options, item, "\xC0\n", "", gather, NULL, "first: line 1: byte 1: 0xC0: is not UTF-8");
    beside("piqa", "{\"labels\": [\"first\", \"second\"]}", item, "1\n", "1\n", gather, NULL,
           "dataset_kwargs: labels: must be the path of a file beside the data file");
}

static void files_beside_are_listed_for_hashing(void **state)
{
    struct error e = {0};
    char **paths;
    json_t *kwargs = parse("{\"target\": [\"a.en\", \"/b.en\"]}");
    assert_ok(reader_files(reader_find("parallel"), "x/y/data.de", kwargs, &paths, &e), &e);
    assert_string_equal(paths[0], "x/y/a.en");
    assert_string_equal(paths[1], "/b.en");
    assert_null(paths[2]);
    names_free(paths);
    assert_ok(reader_files(reader_find("piqa"), "data.jsonl", NULL, &paths, &e), &e);
    assert_null(paths[0]);
    names_free(paths);
    assert_ok(reader_files(reader_find("tsv"), "data.jsonl", kwargs, &paths, &e), &e);
    assert_null(paths[0]);
    names_free(paths);
    json_decref(kwargs);
}

static void options_are_checked_before_any_reading(void **state)
{
    static const struct {
        const char *reader, *kwargs, *words;
    } cases[] = {
        {"csv", "{}", "columns: is missing"},
        {"csv", "{\"header\": true, \"delimiter\": \"ab\"}", "delimiter: must be one character"},
        {"csv", "{\"header\": true, \"delimiter\": \"\\\"\"}", "delimiter: must be one character"},
        {"csv", "{\"header\": true, \"delimiter\": 3}", "delimiter: must be one character"},
        {"json", "{\"field\": 3}", "field: must be keys"},
        {"json", "{\"field\": \"\"}", "field: must be keys"},
        {"parallel", "{}", "target: must be the path"},
        {"piqa", "{\"labels\": \"\"}", "labels: must be the path"},
        {"tsv", "{\"columns\": [\"a\", \"a\"]}", "columns: \"a\" is there twice"},
        {"sst2", "{\"columns\": [\"a\", \"label\"]}", "columns: must be sentence and label"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        json_t *kwargs = parse(cases[i].kwargs);
        assert_error(reader_find(cases[i].reader)->check(kwargs, &e), &e, ERROR_INPUT, cases[i].words);
        json_decref(kwargs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellaswag_is_prepared_as_the_harness_does),
        cmocka_unit_test(hellaswag_text_has_six_lines_an_item),
        cmocka_unit_test(winogrande_is_cut_at_the_gap),
        cmocka_unit_test(both_forms_of_arc_become_one),
        cmocka_unit_test(json_lines_of_questions),
        cmocka_unit_test(squad_2_marks_what_has_no_answer),
        cmocka_unit_test(json_is_a_list_somewhere),
        cmocka_unit_test(csv_is_quoted_as_rfc_4180_has_it),
        cmocka_unit_test(glue_files_have_their_columns),
        cmocka_unit_test(conll_sentences_end_with_an_empty_line),
        cmocka_unit_test(wikitext_pages_are_detokenized),
        cmocka_unit_test(parallel_text_has_its_lines_in_other_files),
        cmocka_unit_test(piqa_has_its_labels_in_another_file),
        cmocka_unit_test(files_beside_are_listed_for_hashing),
        cmocka_unit_test(options_are_checked_before_any_reading),
    };
    return cmocka_run_group_tests_name("suites/reader_formats", tests, NULL, NULL);
}
