#include "tests/testing.h"

#include "suites/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(s) s, sizeof(s) - 1
#define HELLASWAG(rest) BYTES("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": 0}\n" rest "\n")
#define MRPC "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
#define WINOGRANDE(sentence, answer)                                                                                   \
    BYTES("{\"sentence\": \"" sentence "\", \"option1\": \"x\", \"option2\": \"y\", \"answer\": \"" answer "\"}")
#define ARC(texts, labels)                                                                                             \
    BYTES("{\"question\": \"q\", \"answerKey\": \"D\", \"choices\": {\"text\": " texts ", \"label\": " labels "}}")
#define SQUAD(rest) BYTES("{\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [" rest "]}]}]}")

static int count(void *user, json_t *doc, struct error *e)
{
    (void)e;
    assert_true(json_is_object(doc));
    ++*(size_t *)user;
    return 0;
}

static const struct {
    const char *reader, *options, *data;
    size_t size;
    const char *words;
} broken_data[] = {
    {"text", NULL, BYTES("a\nb\0c\n"), "F: line 2: byte 2: is a NUL byte"},
    {"text", NULL, BYTES("a\n\nb\xC0\xAF\n"), "F: line 3: byte 2: 0xC0: is not UTF-8"},
    {"text", NULL, BYTES("\xED\xA0\x80"), "F: line 1: byte 1: 0xED: is not UTF-8"},
    {"paragraphs", NULL, BYTES("a\n\nb\n\xFF"), "F: line 4: byte 1: 0xFF: is not UTF-8"},
    {"paragraphs", NULL, BYTES("\xE2\x82"), "F: line 1: byte 1: 0xE2: is not UTF-8"},
    {"hellaswag", NULL, HELLASWAG("{"), "F: line 2: column 1"},
    {"hellaswag", NULL, HELLASWAG("[]"), "F: line 2: is not a JSON object"},
    {"hellaswag", NULL, HELLASWAG("{} {}"), "F: line 2: column 4: end of file expected"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"ctx\": \"d\"}"), "F: line 2: column "},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"\\u0000\"}"), "F: line 2: column "},
    {"hellaswag", NULL, HELLASWAG("\n{}"), "F: line 2: is empty: a JSON object is due"},
    {"hellaswag", NULL, HELLASWAG("{}"), "F: line 2: ctx: is missing"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"\"}"), "F: line 2: ctx: is empty"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": 7}"), "F: line 2: ctx: must be a string"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\"}"), "F: line 2: endings: is missing"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": []}"),
     "F: line 2: endings: has 0, at least 2 are due"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": \"x\"}"), "F: line 2: endings: must be a list"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"\"]}"), "F: line 2: endings[1]: is empty"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", 1]}"), "F: line 2: endings[1]: must be"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"]}"), "F: line 2: label: is missing"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": 2}"),
     "F: line 2: label: 2 is not from 0 to 1"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": -1}"),
     "F: line 2: label: -1 is not from 0 to 1"},
    {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": \"\"}"),
     "F: line 2: label: \"\" is no number from 0 to 1"},
    {"hellaswag", NULL,
     HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": "
               "\"99999999999999999999999\"}"),
     "is not from 0 to 1"},
    {"lambada", NULL, BYTES("{\"text\": \"a b\"}\n{\"text\": \"ab\"}"), "F: line 2: text: has no space before"},
    {"lambada", NULL, BYTES("{\"text\": \"a b \"}"), "F: line 1: text: ends with a space"},
    {"lambada", NULL, BYTES("{\"text\": \" b\"}"), "F: line 1: text: has nothing before"},
    {"lambada", NULL, BYTES("{\"txt\": \"a b\"}"), "F: line 1: text: is missing"},
    {"squad", NULL, BYTES("{\"data\":\n [,]}"), "F: line 2, column"},
    {"squad", NULL, BYTES("[]"), "F: line 1, column 1: \"[\" stands where a { is due"},
    {"squad", NULL, BYTES("{}"), "F: data: is missing"},
    {"squad", NULL, BYTES("{\"data\": [],\n \"data\": []}"), "F: data: is there twice"},
    {"squad", NULL, BYTES("{\"data\": [{\"title\": \"t\", \"paragraphs\": [], \"title\": \"u\"}]}"),
     "F: data[0]: title: is there twice"},
    {"squad", NULL, BYTES("{\"data\": [],\n \"x\": nul}"), "F: line 2, column 9: invalid token"},
    {"squad", NULL, BYTES("{\"data\": [7]}"), "F: data[0]: must be an object"},
    {"squad", NULL, BYTES("{\"data\": [{\"paragraphs\":\n [{}\n 7]}]}"), "F: data[0]: paragraphs[0]: qas: is missing"},
    {"squad", NULL, BYTES("{\"data\": {}}"), "F: data: must be a list"},
    {"squad", NULL, BYTES("{\"data\": [{\"paragraphs\": 7}]}"), "F: data[0]: paragraphs: must be a list"},
    {"squad", NULL, BYTES("{\"data\": [{}]}"), "F: data[0]: paragraphs: is missing"},
    {"squad", NULL, BYTES("{\"data\": [{\"paragraphs\": [7]}]}"), "F: data[0]: paragraphs[0]: qas: is missing"},
    {"squad", NULL, SQUAD("7"), "F: data[0]: paragraphs[0]: qas[0]: question: is missing"},
    {"squad", NULL, SQUAD("{\"question\": \"q\"}"), "qas[0]: id: is missing"},
    {"squad", NULL, SQUAD("{\"question\": \"q\", \"id\": \"1\"}"), "qas[0]: answers: is missing"},
    {"squad", NULL, SQUAD("{\"question\": \"q\", \"id\": \"1\", \"answers\": []}"), "qas[0]: answers: is empty"},
    {"squad", NULL, SQUAD("{\"question\": \"q\", \"id\": \"1\", \"answers\": [{\"text\": \"a\"}, {}]}"),
     "F: data[0]: paragraphs[0]: qas[0]: answers[1]: text: is missing"},
    {"tsv", "{\"columns\": [\"a\", \"b\"]}", BYTES("x\ty\nx\n"), "F: line 2: has 1 column, not 2: a, b"},
    {"tsv", "{\"columns\": [\"a\", \"b\"]}", BYTES("x\ty\n\nx\ty\n"), "F: line 2: has 1 column, not 2"},
    {"tsv", "{\"columns\": [\"a\", \"b\"]}", BYTES("x\ty\tz\n"), "F: line 1: has 3 columns, not 2"},
    {"tsv", "{\"header\": true}", BYTES("a\ta\nx\ty\n"), "F: line 1: columns: \"a\" is there twice"},
    {"tsv", NULL, BYTES("a\n"), "F: dataset_kwargs: columns: is missing"},
    {"sst2", NULL, BYTES("0\tbad\n"), "F: line 1: header: must name the columns sentence and label"},
    {"sst2", NULL, BYTES("sentence\tlabel\nx\t2\n"), "F: line 2: label: 2 is not from 0 to 1"},
    {"sst2", NULL, BYTES("sentence\tlabel\nx\t\n"), "F: line 2: label: \"\" is no number from 0 to 1"},
    {"sst2", NULL, BYTES("sentence\tlabel\n\t1\n"), "F: line 2: sentence: is empty"},
    {"sst2", NULL, BYTES("sentence\tlabel\nx y 1\n"), "F: line 2: has 1 column, not 2"},
    {"csv", "{\"columns\": [\"a\", \"b\"]}", BYTES("x,y\nx\n"), "F: line 2: has 1 column, not 2: a, b"},
    {"csv", "{\"columns\": [\"a\"]}", BYTES("x\n\"y\nz"), "F: line 3: the record that ends here: a quotation mark"},
    {"csv", "{\"columns\": [\"a\"]}", BYTES("x\"y\"\n"), "F: line 1: a quotation mark is not closed, or"},
    {"csv", "{\"columns\": [\"a\"]}", BYTES("\"x\" y\n"), "F: line 1: a quotation mark is not closed, or"},
    {"csv", "{\"columns\": [\"a\"]}", BYTES("x\ny\0\n"), "F: line 2: byte 2: is a NUL byte"},
    {"csv", "{\"header\": true}", BYTES("a,a\nx,y\n"), "F: line 1: columns: \"a\" is there twice"},
    {"mmlu", NULL, BYTES("q,1,2,3,4,A\nq,1,2,3,4,E\n"), "F: line 2: answer: \"E\" is none of the letters A to D"},
    {"mmlu", NULL, BYTES(",1,2,3,4,A\n"), "F: line 1: question: is empty"},
    {"mmlu", NULL, BYTES("q,1,2,3,A\n"), "F: line 1: has 5 columns, not 6: question, A, B, C, D, answer"},
    {"cola", NULL, BYTES("s\t1\t\tx\ns\tx\t\tx\n"), "F: line 2: label: \"x\" is no number from 0 to 1"},
    {"cola", NULL, BYTES("s\t1\tx\n"), "F: line 1: has 3 columns, not 4: source, label, mark, sentence"},
    {"mrpc", NULL, BYTES("1\t7\t8\ta\tb\n"), "F: line 1: header: must be Quality, #1 ID"},
    {"mrpc", NULL, BYTES(MRPC "2\t7\t8\ta\tb\n"), "F: line 2: label: 2 is not from 0 to 1"},
    {"mrpc", NULL, BYTES(MRPC "1\t7\t8\ta\t\n"), "F: line 2: sentence2: is empty"},
    {"hellaswag_text", NULL, BYTES("c\n0\na\nb\nc\nd\nc\n"), "F: line 7: the file ends where the number of"},
    {"hellaswag_text", NULL, BYTES("c\n0\na\nb\nc\n"), "F: line 5: the file ends where an ending is due"},
    {"hellaswag_text", NULL, BYTES("c\n4\na\nb\nc\nd\n"), "F: line 2: label: 4 is not from 0 to 3"},
    {"hellaswag_text", NULL, BYTES("c\nx\na\nb\nc\nd\n"), "F: line 2: label: \"x\" is no number from 0 to 3"},
    {"hellaswag_text", NULL, BYTES("\n0\na\nb\nc\nd\n"), "F: line 1: ctx: is empty"},
    {"hellaswag_text", NULL, BYTES("c\n0\na\n\nc\nd\n"), "F: line 6: endings[1]: is empty"},
    {"hellaswag_text", NULL, BYTES("c\n0\na\n\xFF\nc\nd\n"), "F: line 4: byte 1: 0xFF: is not UTF-8"},
    {"winogrande", NULL, WINOGRANDE("A gap.", "1"), "F: line 1: sentence: has no _"},
    {"winogrande", NULL, WINOGRANDE("A _ ", "1"), "F: line 1: sentence: has nothing after the _"},
    {"winogrande", NULL, WINOGRANDE("A _ b.", "3"), "F: line 1: answer: 3 is not from 1 to 2"},
    {"winogrande", NULL, WINOGRANDE("A _ b.", ""), "F: line 1: answer: \"\" is no number from 1 to 2"},
    {"winogrande", NULL, BYTES("{\"sentence\": \"_ b\", \"option1\": \"x\"}"), "F: line 1: option2: is missing"},
    {"arc", NULL, BYTES("{\"question\": {}}"), "F: line 1: question: stem: is missing"},
    {"arc", NULL, BYTES("{\"question\": {\"stem\": \"q\", \"choices\": 3}}"), "F: line 1: question: choices: must be"},
    {"arc", NULL, BYTES("{\"question\": {\"stem\": \"q\", \"choices\": [{\"text\": \"x\"}]}}"),
     "F: line 1: question: choices[0]: label: is missing"},
    {"arc", NULL, BYTES("{\"question\": {\"stem\": \"q\"}}"), "F: line 1: question: choices: is missing"},
    {"arc", NULL, ARC("[\"x\"]", "[\"A\"]"), "F: line 1: choices: text: has 1, at least 2 are due"},
    {"arc", NULL, ARC("[\"x\", \"y\"]", "[\"A\", \"B\", \"C\"]"), "choices: there are 2 texts and 3 labels"},
    {"arc", NULL, ARC("[\"x\", \"y\"]", "[\"A\", 2]"), "F: line 1: choices: label[1]: must be a string"},
    {"arc", NULL, ARC("[\"x\", \"y\"]", "[\"A\", \"B\"]"), "answerKey: \"D\" is the label of no choice"},
    {"arc", NULL, BYTES("{\"question\": \"q\", \"answerKey\": \"A\", \"choices\": []}"), "choices: must be an object"},
    {"boolq", NULL, BYTES("{\"question\": \"q\", \"passage\": \"p\"}"),
     "F: line 1: answer: is missing, and so is label"},
    {"boolq", NULL, BYTES("{\"question\": \"q\", \"passage\": \"p\", \"answer\": 1}"), "answer: must be true or false"},
    {"gsm8k", NULL, BYTES("{\"question\": \"q\", \"answer\": \"7\"}"), "F: line 1: answer: has no number after ####"},
    {"gsm8k", NULL, BYTES("{\"question\": \"q\", \"answer\": \"#### \"}"), "answer: has no number after ####"},
    {"piqa", NULL, BYTES("{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"y\"}"), "F: line 1: label: is missing"},
    {"piqa", NULL, BYTES("{\"goal\": \"g\", \"sol1\": \"x\", \"label\": 0}"), "F: line 1: sol2: is missing"},
    {"conll", NULL, BYTES("a\tO\nb\n"), "F: line 2: has one column, where a token and its tag are due"},
    {"conll", NULL, BYTES("a\tO\rb\tO\r"), "F: line 1: has a \"\\r\" in it; lines end with"},
    {"conll", NULL, BYTES("a O\n\nb\xFF O\n"), "F: line 3: byte 2: 0xFF: is not UTF-8"},
    {"jsonl", NULL, BYTES("{}\n[]\n"), "F: line 2: is not a JSON object"},
    {"json", NULL, BYTES("{}"), "F: must be a list of objects; a list further in is named by"},
    {"json", NULL, BYTES("[{}, 3]"), "F: [1]: must be an object"},
    {"json", NULL, BYTES("[{},\n"), "F: line 2, column"},
    {"json", "{\"field\": \"a.b\"}", BYTES("{\"a\": {\"c\": []}}"), "F: a.b: is missing"},
    {"json", "{\"field\": \"a.b\"}", BYTES("{\"a\": {\"b\": {}}}"), "F: a.b: must be a list of objects"},
    {"json", "{\"field\": \"a.b\"}", BYTES("[]"), "F: a: is missing"},
    {"squad", NULL, SQUAD("{\"question\": \"q\", \"id\": \"1\", \"is_impossible\": 1}"),
     "qas[0]: is_impossible: must be true or false"},
    {"wikitext", NULL, BYTES(" = T = \nx\n\xFF\n"), "F: line 3: byte 1: 0xFF: is not UTF-8"},
    {"parallel", "{}", BYTES("a\n"), "F: dataset_kwargs: target: must be the path"},
};

static void broken_data_is_named_with_its_line(void **state)
{
    for (size_t i = 0; i < sizeof broken_data / sizeof *broken_data; i++) {
        struct error e = {0};
        size_t n = 0;
        json_t *options = broken_data[i].options ? json_loads(broken_data[i].options, 0, NULL) : NULL;
        /* an exact copy, so that the address sanitizer sees a read past the end */
        char *data = malloc(broken_data[i].size);
        assert_non_null(data);
        memcpy(data, broken_data[i].data, broken_data[i].size);
        const struct reader_source source = {"F", data, broken_data[i].size, options};
        int status = reader_find(broken_data[i].reader)->read(&source, count, &n, &e);
        assert_error(status, &e, ERROR_INPUT, broken_data[i].words);
        free(data);
        json_decref(options);
    }
}

/* Every file cut short anywhere: an error or fewer documents, nothing worse. */
static void files_cut_short_do_no_harm(void **state)
{
    (void)state;
    static const struct {
        const char *reader, *options, *data;
    } cases[] = {
        {"hellaswag", NULL,
         "{\"ctx\": \"c\", \"activity_label\": \"é\", \"ctx_a\": \"[a] é\", \"ctx_b\": \"É b\", "
         "\"endings\": [\"x [y] z\", \"y\"], \"label\": 0}\n"},
        {"hellaswag_text", NULL, "é\r\n0\r\na\nb\nc\nd\n"},
        {"winogrande", NULL, "{\"sentence\": \"é _ é\", \"option1\": \"x\", \"option2\": \"y\", \"answer\": \"1\"}"},
        {"arc", NULL,
         "{\"question\": {\"stem\": \"é\", \"choices\": [{\"text\": \"x\", \"label\": \"A\"}, {\"text\": \"y\", "
         "\"label\": \"B\"}]}, \"answerKey\": \"B\"}"},
        {"boolq", NULL, "{\"question\": \"é\", \"passage\": \"p\", \"answer\": true}"},
        {"gsm8k", NULL, "{\"question\": \"q\", \"answer\": \"#### 7é\"}"},
        {"piqa", NULL, "{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"é\", \"label\": \"1\"}"},
        {"mmlu", NULL, "\"é, \"\"q\"\"\",1,2,3,4,A\r\nq,1,2,3,4,D"},
        {"csv", "{\"columns\": [\"a\", \"b\"]}", "a,\"é\nb\"\r\n\r\n\"\",d"},
        {"cola", NULL, "s\t1\t*\té\n"},
        {"mrpc", NULL, MRPC "1\t7\t8\té\tb\r\n"},
        {"conll", NULL, "é O\nb\tB-X\n\nc O"},
        {"wikitext", NULL, " = é = \n( x ) ' y ' [ z\n = b = \n \xC2\xB0 \n"},
        {"json", "{\"field\": \"a.b\"}", "{\"a\": {\"b\": [{\"é\": 1}]}}"},
        {"jsonl", NULL, "{\"é\": [1]}\n{}\n"},
        {"tsv", "{\"columns\": [\"a\", \"b\"]}", "a\té\r\nb\tc"},
        {"hellaswag", NULL, "\xEF\xBB\xBF{\"ctx\": \"é\", \"endings\": [\"x\", \"y\"], \"label\": 0}\r\n"},
        {"lambada", NULL, "{\"text\": \"a ü b\"}\n{\"text\": \"c d\"}\n"},
        {"squad", NULL,
         "{\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [{\"id\": \"1\", \"question\": \"q\", "
         "\"answers\": [{\"text\": \"a\"}]}]}]}]}"},
        {"sst2", NULL, "sentence\tlabel\r\nbueño\t1\r\n"},
        {"paragraphs", NULL, "ñ\n\nb\n"},
        {"text", NULL, "日本\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t whole = strlen(cases[i].data), most = 0;
        for (size_t n = 0; n <= whole; n++) {
            struct error e = {0};
            size_t documents = 0;
            char *data = malloc(n ? n : 1);
            assert_non_null(data);
            memcpy(data, cases[i].data, n);
            json_t *options = cases[i].options ? json_loads(cases[i].options, 0, NULL) : NULL;
            const struct reader_source source = {"F", data, n, options};
            int status = reader_find(cases[i].reader)->read(&source, count, &documents, &e);
            json_decref(options);
            assert_true(status == 0 || status == ERROR_INPUT);
            assert_int_equal(status, e.code);
            if (n == whole) most = documents;
            free(data);
        }
        assert_true(most > 0);
    }
}

/* Eight million brackets that nothing closes take no time. (Looking for the end of each took hours.) */
static void brackets_without_an_end_do_no_harm(void **state)
{
    (void)state;
    enum { BRACKETS = 8000000 };
    static const char before[] = "{\"ctx\": \"c\", \"activity_label\": \"a\", \"ctx_a\": \"",
                      after[] = "\", \"ctx_b\": \"b\", \"endings\": [\"x\", \"y\"], \"label\": 0}";
    size_t size = sizeof before - 1 + BRACKETS + sizeof after - 1, documents = 0;
    struct error e = {0};
    char *data = malloc(size);
    assert_non_null(data);
    memcpy(data, before, sizeof before - 1);
    memset(data + sizeof before - 1, '[', BRACKETS);
    memcpy(data + size - (sizeof after - 1), after, sizeof after - 1);
    const struct reader_source source = {"F", data, size, NULL};
    assert_ok(reader_find("hellaswag")->read(&source, count, &documents, &e), &e);
    assert_int_equal(documents, 1);
    free(data);
}

static void items_say_which_document(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *data, *words;
    } cases[] = {
        {"doc_to_text: '{{x}}'\ndoc_to_choice: ['{{y}}', b]\ndoc_to_target: b\n", "", "t.tsv: has no documents"},
        {"doc_to_text: '{{z}}'\ndoc_to_choice: [a, b]\ndoc_to_target: b\n", "1\t2\n",
         "t.tsv: line 1: doc_to_text: {{z}}: the document has no such field"},
        {"doc_to_text: ''\ndoc_to_choice: ['{{x}}', b]\ndoc_to_target: b\n", "1\t2\n\t2\n",
         "t.tsv: line 2: doc_to_choice: choice 0 is empty"},
        {"doc_to_text: ''\ndoc_to_choice: '{{x}}'\ndoc_to_target: b\n", "1\t2\n",
         "t.tsv: line 1: doc_to_choice: {{x}} is not a list"},
        {"doc_to_text: ''\ndoc_to_choice: '{{z}}'\ndoc_to_target: b\n", "1\t2\n",
         "t.tsv: line 1: doc_to_choice: {{z}}: the document has no such field"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: '{{x}}'\n", "1\t2\n2\t2\n",
         "t.tsv: line 2: doc_to_target: \"2\" is neither the text nor the index (0 to 1) of a choice"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: q\n", "1\t2\n",
         "line 1: doc_to_target: \"q\" is neither the text nor the index (0 to 1) of a choice"},
        {"doc_to_text: ''\ndoc_to_choice: q\ndoc_to_target: 0\n", "1\t2\n",
         "line 1: doc_to_choice: q is not a field of the document"},
        {"doc_to_text: '{{x.index(y)}}'\ndoc_to_choice: [a, b]\ndoc_to_target: 0\n", "1\t2\n",
         "line 1: doc_to_text: {{x.index(y)}}: index: is done to a list alone"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: 0\ndescription: '{{z}}'\n", "1\t2\n",
         "t.tsv: document 0: description: {{z}}: the document has no such field"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: 0\nnum_fewshot: 2\n", "1\t2\n1\t2\n3\t4\n",
         "t.tsv: num_fewshot: document 0 is due 2 examples, and there are 1"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: '{{x}}'\nnum_fewshot: 1\n"
         "fewshot_config: {samples: [{x: 7}]}\n",
         "1\t2\n", "t.yaml: document 0, an example: doc_to_target: \"7\" is neither the text nor the index"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: '{{x}}'\nnum_fewshot: 1\n"
         "fewshot_config: {dataset_path: t.yaml}\n",
         "1\t2\n", "t.yaml: line 1"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[1000];
        int length = snprintf(yaml, sizeof yaml,
                              "task: t\ndataset_path: t.tsv\ndataset_format: tsv\ndataset_kwargs: {columns: [x, y]}\n"
                              "output_type: multiple_choice\n%smetric_list: [{metric: acc}]\n",
                              cases[i].keys);
        char *data = file_put(folder, "t.tsv", cases[i].data, strlen(cases[i].data));
        char *path = file_put(folder, "t.yaml", yaml, (size_t)length);
        struct error e = {0};
        struct suite *s;
        struct item *items;
        size_t n;
        assert_ok(suite_load(&s, path, &e), &e);
        assert_error(suite_items(s, 0, NULL, &items, &n, &e), &e, ERROR_INPUT, cases[i].words);
        assert_null(items);
        suite_free(s);
        free(path);
        free(data);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_data_is_named_with_its_line),
        cmocka_unit_test(files_cut_short_do_no_harm),
        cmocka_unit_test(brackets_without_an_end_do_no_harm),
        cmocka_unit_test(items_say_which_document),
    };
    return cmocka_run_group_tests_name("corrupt/data", tests, NULL, NULL);
}
