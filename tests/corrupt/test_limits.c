/* Files made to be costly: read or refused in a second, with 64 MB. */
#include "engine/base/file.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/safetensors.h"
#include "engine/tokenizers/tokenizer.h"
#include "suites/reader.h"
#include "tests/corrupt/limits.h"
#include "tests/formats/samples.h"

#include <stdio.h>

enum { MANY = 100000, DEEP = 100000 };

static int open_checkpoint(const char *path, struct error *e)
{
    struct checkpoint *c;
    const int status = checkpoint_open(&c, path, e);
    checkpoint_close(c);
    return status;
}

/* --- GGUF --- */

static void put_many_keys(struct text *t, size_t last)
{
    char key[32];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key.%06zu", i == MANY - 1 ? last : i);
        put_key(t, key, GGUF_U8);
        text_char(t, 1);
    }
}

static void put_many_tensors(struct text *t, size_t last)
{
    char name[32];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "blk.%06zu.weight", i == MANY - 1 ? last : i);
        put_tensor(t, name, (uint64_t[]){1, 0}, DTYPE_F32, 32 * (MANY - 1 - i));
    }
    put_zeros(t, (32 - t->length % 32) % 32 + 32 * (size_t)MANY);
}

static void test_many(void **state)
{
    (void)state;
    static const struct {
        bool tensors;
        size_t last;
        enum error_code code;
        const char *says;
    } cases[] = {{false, MANY, 0, NULL},
                 {false, 7, ERROR_INPUT, "metadata \"key.000007\": key: is there twice"},
                 {true, MANY, 0, NULL},
                 {true, 7, ERROR_INPUT, "tensor \"blk.000007.weight\": name: is there twice"}};
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = {0};
        put_gguf(&t, 3, cases[i].tensors ? MANY : 0, cases[i].tensors ? 0 : MANY);
        if (cases[i].tensors)
            put_many_tensors(&t, cases[i].last);
        else
            put_many_keys(&t, cases[i].last);
        char *path = put_file(folder, "many.gguf", &t);
        text_free(&t);
        assert_cheap(open_checkpoint, path, cases[i].code, cases[i].says);
        free(path);
    }
    folder_remove(folder);
}

static void test_counts(void **state)
{
    (void)state;
    enum { MOST = 200000 };
    char *folder = folder_temporary();
    for (int tensors = 0; tensors < 2; tensors++) {
        struct text t = {0};
        put_gguf(&t, 3, tensors ? MOST + 1 : 0, tensors ? 0 : MOST + 1);
        put_zeros(&t, 25 * (MOST + 1));
        char *path = put_file(folder, "many.gguf", &t);
        text_free(&t);
        assert_cheap(open_checkpoint, path, ERROR_INPUT,
                     tensors ? "offset 0x8: tensor_count: 200001 is more than the 200000 that are accepted"
                             : "offset 0x10: metadata_count: 200001 is more than the 200000 that are accepted");
        free(path);
    }
    folder_remove(folder);
}

/* --- tokenizers --- */

static int open_tokenizer(const char *path, struct error *e)
{
    struct tokenizer *t;
    const int status = tokenizer_open(&t, path, e);
    if (!status) tokenizer_close(t);
    return status;
}

/* Files of a folder that claim nothing and are long. */
static void test_long_vocabularies(void **state)
{
    (void)state;
    enum { MB = 1 << 20 };
    static const struct {
        const char *file;
        char bytes[4]; /* over and over */
        size_t n, size;
        const char *says;
    } cases[] = {
        {"tokenizer.model", "\n\1\1", 3, 3 * MB + 3, "tokenizer.model: tokens: 1048577 pieces; a vocabulary has 1 to"},
        {"tokenizer.model", "\n", 2, 16 * MB, "tokenizer.model: tokens: 8388608 pieces; a vocabulary has 1 to"},
        {"tokenizer.model", "", 1, MB, "tokenizer.model: offset 0x1: a field of number 0"},
        {"tokenizer.model", "x\1", 2, 64 * MB + 1, "has 67108865 bytes, more than the 67108864 of the largest"},
        {"merges.txt", "a a\n", 4, 4 * MB + 4, "merges.txt: model: merges: has more than 67108864 bytes or 1048576"},
        {"merges.txt", "x", 1, 64 * MB + 1, "merges.txt: model: merges: has more than 67108864 bytes or 1048576 l"},
        {"merges.txt", "a b\n", 4, 4, "merges.txt: model: merges[0]: right \"b\" is not in the vocabulary"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *folder = folder_temporary(), *bytes = malloc(cases[i].size);
        assert_non_null(bytes);
        for (size_t k = 0; k < cases[i].size; k++) bytes[k] = cases[i].bytes[k % cases[i].n];
        free(file_put(folder, "vocab.json", "{\"a\": 0, \"aa\": 1}", 17));
        free(file_put(folder, cases[i].file, bytes, cases[i].size));
        free(bytes);
        assert_costs(open_tokenizer, folder, ERROR_INPUT, cases[i].says, 1, 160); /* the file's pages count, too */
        folder_remove(folder);
    }
}

/* --- safetensors --- */

/* A file of `size` bytes, a hole but for the header's length and its beginning. */
static char *put_header(const char *folder, uint64_t length, const char *header, off_t size)
{
    struct text t = {0};
    put_u64(&t, length);
    text_add(&t, header);
    char *path = put_file(folder, "model.safetensors", &t);
    text_free(&t);
    assert_int_equal(truncate(path, size), 0);
    return path;
}

static int open_safetensors(const char *path, struct error *e)
{
    struct safetensors *s;
    const int status = safetensors_open(&s, path, e);
    safetensors_close(s);
    return status;
}

static void test_lengths_of_headers(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *header;
        off_t size;
        const char *says;
    } cases[] = {
        {100000001, "{}", 200000000, "offset 0x0: header length: 100000001 is more than is allowed, 16000000"},
        {100000000, "{}", 100000008, "offset 0x0: header length: 100000000 is more than is allowed, 16000000"},
        {16000001, "{}", 16000009, "offset 0x0: header length: 16000001 is more than is allowed, 16000000"},
        {16000000, "{}", 16000007, "offset 0x0: header length: 16000000 is more than the bytes that follow, 15999999"},
        {16000000, "{", 16000008,
         "offset 0x8: header: line 1, column 2: 0x00 stands where a name in quotation marks is due"},
        {16000000, "{}", 16000008, "offset 0x8: header: line 1, column 3: 0x00 stands where the end is due"},
        {UINT64_C(1) << 60, "{", (off_t)1 << 40, "header length: 1152921504606846976 is more than the bytes that"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = put_header(folder, cases[i].length, cases[i].header, cases[i].size);
        assert_cheap(open_safetensors, path, ERROR_INPUT, cases[i].says);
        free(path);
    }
    folder_remove(folder);
}

/* Headers as long as they may be, of what costs the most. */
static void test_large_headers(void **state)
{
    (void)state;
    enum { LARGE = 16000000 };
    static const struct {
        const char *begin, *again, *end; /* again: until it is that long; then spaces follow */
        const char *says;
    } cases[] = {
        {"{\"", "x", "\":{}}", "header: line 1, column 2: a name is longer than 65536 bytes"},
        {"{\"a\":\"", "x", "\"}", "tensor \"a\": value: has more than 65536 bytes"},
        {"{\"a\":", "7", "}", "tensor \"a\": value: has more than 65536 bytes"},
        {"{\"a\":", "[", "", "header: line 1, column 6: a value has no end"},
        {"{\"a\":[[]", ",[]", "]}", "tensor \"a\": value: has more than 65536 bytes"},
        {"{\"a\":{}", ",\"\":{}", "}", "header: has more than 200000 keys"},
        {"{\"__metadata__\":{\"a\":\"\"", ",\"\":\"\"", "}}", "header: \"__metadata__\": line 1, column "},
        {"{\"__metadata__\":[[]", ",[]", "]}", "header: \"__metadata__\": takes more than the 24 MB of memory that"},
        {"{\"__metadata__\":\"", "x", "\"}", "header: \"__metadata__\": takes more than the 24 MB of memory that"},
        {"{", " ", "", "where a name in quotation marks is due"},
        {"{", "{", "", "header: line 1, column 2: \"{\" stands where a name in quotation marks is due"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text header = {0}, t = {0};
        const size_t most = LARGE - strlen(cases[i].again) - strlen(cases[i].end);
        for (text_add(&header, cases[i].begin); header.length <= most;) text_add(&header, cases[i].again);
        text_add(&header, cases[i].end);
        while (header.length < LARGE) text_char(&header, ' ');
        put_safetensors(&t, text_c(&header), 0);
        text_free(&header);
        char *path = put_file(folder, "model.safetensors", &t);
        text_free(&t);
        assert_cheap(open_safetensors, path, ERROR_INPUT, cases[i].says);
        free(path);
    }
    folder_remove(folder);
}

/* As many tensors as there may be, and names of 40 bytes as they are in models. */
static void test_many_tensors_in_json(void **state)
{
    (void)state;
    enum { MOST = 200000 };
    static const struct {
        int n;
        const char *name;
        size_t twice; /* the tensor whose name the last one has, too */
        enum error_code code;
        const char *says;
    } cases[] = {{MOST, "%zu", 0, 0, NULL},
                 {MOST + 1, "%zu", 0, ERROR_INPUT, "header: has more than 200000 keys"},
                 {MANY, "model.layers.0.mlp.experts.%06zu.up_proj.weight", 0, 0, NULL},
                 {MANY, "%06zu", 7, ERROR_INPUT, "tensor \"000007\": name: is there twice"}};
    char *folder = folder_temporary();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct text header = {0}, t = {0};
        for (int i = 0; i < cases[k].n; i++) {
            char name[64];
            const size_t number = cases[k].twice && i == cases[k].n - 1 ? cases[k].twice : (size_t)i;
            snprintf(name, sizeof name, cases[k].name, number);
            text_printf(&header, "%c\"%s\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[%d,%d]}", i ? ',' : '{',
                        name, i, i + 1);
        }
        text_char(&header, '}');
        put_safetensors(&t, text_c(&header), (size_t)cases[k].n);
        text_free(&header);
        char *path = put_file(folder, "model.safetensors", &t);
        text_free(&t);
        assert_cheap(open_safetensors, path, cases[k].code, cases[k].says);
        free(path);
    }
    folder_remove(folder);
}

/* --- JSON beside the weights --- */

static void test_hostile_json(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors.index.json", "quantize_config.json"};
    static const struct {
        const char *text;
        size_t times; /* that it stands there */
        const char *says;
    } cases[] = {
        {"[", DEEP, "maximum parsing depth reached"},
        {"{\"a\":", DEEP, "maximum parsing depth reached"},
        {"{\"a\": \"\\ud800\"}", 1, "line 1, column "},
        {"{\"a\": \"\\udc00\\ud800\"}", 1, "line 1, column "},
        {"{\"a\": 1e999}", 1, "real number overflow"},
        {"{\"a\": 99999999999999999999}", 1, "too big integer"},
        {"{\"a\": 1, \"b\": 2, \"a\": 1}", 1, "duplicate object key"},
        {"{\"a\": \"\xED\xA0\x80\"}", 1, "unable to decode byte"},
        {"\xEF\xBB\xBF{}", 1, "line 1, column "},
        {"[]", 1, "must be a JSON object"},
        {"", 1, "line 1, column 0"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        for (size_t k = 0; k < sizeof files / sizeof *files; k++) free(file_put(folder, files[k], "{}", 2));
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            struct text t = {0};
            struct error e;
            for (size_t n = 0; n < cases[k].times; n++) text_add(&t, cases[k].text);
            free(put_file(folder, files[i], &t));
            assert_cheap(open_checkpoint, folder, ERROR_INPUT, cases[k].says);
            assert_error(open_checkpoint(folder, &e), &e, ERROR_INPUT, files[i]);
            text_free(&t);
        }
    }
    folder_remove(folder);
}

/* --- data --- */

static int pass_by(void *user, json_t *doc, struct error *e)
{
    ++*(size_t *)user;
    return 0;
}

static int read_as(const char *reader, const char *options, const char *path, struct error *e)
{
    struct file f;
    size_t n = 0;
    int status = file_map(&f, path, e);
    if (status) return status;
    json_t *kwargs = options ? json_loads(options, 0, NULL) : NULL;
    const struct reader_source source = {path, (const char *)f.data, f.size, kwargs};
    status = reader_find(reader)->read(&source, pass_by, &n, e);
    json_decref(kwargs);
    file_unmap(&f);
    return status;
}

static int read_large(const char *path, struct error *e) /* the file's name says how */
{
    static const struct {
        const char *reader, *options;
    } ways[] = {{"csv", "{\"header\": true}"},
                {"tsv", "{\"header\": true}"},
                {"parallel", "{\"target\": \"parallel\"}"},
                {"piqa_labels", "{\"labels\": \"piqa_labels\"}"}};
    const char *name = strrchr(path, '/') + 1, *options = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(name, ways[i].reader) == 0) options = ways[i].options;
    return read_as(strcmp(name, "piqa_labels") ? name : "piqa", options, path, e);
}

/* `size` bytes: `begin`, then `again` over and over, then `end`, in a file that is named as its reader. */
static char *put_large(const char *folder, const char *reader, const char *begin, const char *again, const char *end,
                       size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    const size_t n = strlen(begin), m = strlen(again), last = strlen(end);
    memcpy(bytes, begin, n);
    for (size_t i = n, step; i < size; i += step) { /* what is there doubles */
        step = i == n ? m : i - n;
        step = step < size - i ? step : size - i;
        memcpy(bytes + i, i == n ? again : bytes + n, step);
    }
    memcpy(bytes + size - last, end, last);
    char *path = file_put(folder, reader, bytes, size);
    free(bytes);
    return path;
}

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

/* Lines, records, strings and sentences of 100 MB. */
static void test_long_lines(void **state)
{
    (void)state;
    enum { LARGE = 100000000 };
    static const char *const by_lines[] = {"paragraphs", "hellaswag", "hellaswag_text", "winogrande", "arc",
                                           "boolq",      "gsm8k",     "piqa",           "mmlu",       "csv",
                                           "cola",       "mrpc",      "conll",          "wikitext",   "jsonl",
                                           "tsv",        "lambada",   "sst2",           "parallel",   "piqa_labels"};
    static const struct {
        const char *reader, *begin, *again, *says;
    } cases[] = {
        {"jsonl", "{}\n{\"a\": \"", "x", "jsonl: line 2: is longer than 8388608 bytes"},
        {"squad", "", "x", "squad: line 1: a word is longer than 8388608 bytes"},
        {"squad", "\n{\"data\": \"", "x", "squad: line 2: a string is longer than 8388608 bytes"},
        {"json", "[1", "1", "json: line 1: a word is longer than 8388608 bytes"},
        {"json", "[\"\\\"", "\\\"", "json: line 1: a string is longer than 8388608 bytes"},
        {"json", "", "[", "json: line 1: has more than 2048 levels of lists and objects"},
        {"csv", "a,b\n\"", "xxxxxxx\n", "csv: line 1048578: the record from line 2 on is longer than 8388608 bytes"},
        {"mmlu", "\"", "\"\"", "mmlu: line 1: is longer than 8388608 bytes"},
        {"mmlu", "", ",", "mmlu: line 1: is longer than 8388608 bytes"},
        {"conll", "", "x O\n", "conll: line 100001: has more than 100000 tokens before it"},
        {"conll", "", X100 "x O\n", "conll: line 80660: is within a sentence of more than 8388608 bytes"},
    };
    char *folder = folder_temporary();
    char *path = put_large(folder, "large", "", "x", "", LARGE);
    for (size_t i = 0; i < sizeof by_lines / sizeof *by_lines; i++) {
        char words[80];
        char *now = path_join(folder, by_lines[i], NULL);
        assert_true(now && rename(path, now) == 0);
        free(path);
        path = now;
        snprintf(words, sizeof words, "%s: line 1: is longer than 8388608 bytes", by_lines[i]);
        assert_cheap(read_large, path, ERROR_INPUT, words);
    }
    assert_int_equal(unlink(path), 0);
    free(path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        path = put_large(folder, cases[i].reader, cases[i].begin, cases[i].again, "", LARGE);
        assert_cheap(read_large, path, ERROR_INPUT, cases[i].says);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    folder_remove(folder);
}

/* Data sets that are one JSON text of 100 MB: what is parsed at a time is one document. The file's pages count, too. */
static void test_large_json(void **state)
{
    (void)state;
    enum { LARGE = 100000000, MB = 160 };
    static const struct {
        const char *reader, *begin, *again, *end, *says;
    } cases[] = {
        {"json", "[1", ",1", "]", "json: [0]: must be an object"},
        {"json", "[{\"a\":[0", ",1", "]}]", "json: [0]: takes more than the 24 MB of memory that are allowed for it"},
        {"json", "[{}", ",[]", "]", "json: [1]: must be an object"},
        {"squad", "{\"data\":[{}", ",[]", "]}", "squad: data[0]: paragraphs: is missing"},
        {"squad", "{\"x\":[0", ",1", "]}", "squad: takes more than the 24 MB of memory that are allowed for it"},
        {"squad", "{\"data\":[{\"paragraphs\":[[0", ",1", "]]}]}",
         "squad: data[0]: paragraphs[0]: takes more than the 24 MB"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = put_large(folder, cases[i].reader, cases[i].begin, cases[i].again, cases[i].end, LARGE);
        assert_costs(read_large, path, ERROR_INPUT, cases[i].says, 1, MB);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    folder_remove(folder);
}

/* As long as they may be, and of what costs the most. */
static void test_lines_of_some_mb(void **state)
{
    (void)state;
    enum { MOST = 8 << 20 };
    static const struct {
        const char *reader, *begin, *again, *end, *says; /* says: NULL where it is read */
    } cases[] = {
        {"jsonl", "", "x", "", "jsonl: line 1: takes more than the 24 MB of memory that are allowed for it"},
        {"jsonl", "{\"a\": \"", "x", "", "jsonl: line 1: column "},
        {"jsonl", "{\"a\": [0", ",[]", "",
         "jsonl: line 1: takes more than the 24 MB of memory that are allowed for it"},
        {"jsonl", "{\"a\": [0", ",1", "", "jsonl: line 1: takes more than the 24 MB of memory that are allowed for it"},
        {"jsonl", "{\"a\": \"", "x", "\"}", NULL},
        {"lambada", "{\"text\": ", "7", "", "lambada: line 1: column "},
        {"mmlu", "", ",", "", "mmlu: line 1: has more than 1000 columns"},
        {"mmlu", "", "x", "", "mmlu: line 1: has 1 column, not 6"},
        {"mmlu", "\"", "x", "", "mmlu: line 1: a quotation mark is not closed, or"},
        {"csv", "a\n\"", "x\n", "", "csv: line 4194304: the record that ends here: a quotation mark is not closed, or"},
        {"cola", "", "\t", "", "cola: line 1: has 8388609 columns, at most 1000 are accepted"},
        {"sst2", "", "x", "", "sst2: line 1: header: must name the columns"},
        {"conll", "", "x", "", "conll: line 1: has one column"},
        {"conll", "", "\xC3\xA9 ", "", NULL},
        {"hellaswag_text", "", "x", "", "hellaswag_text: line 1: the file ends where"},
        {"paragraphs", "", "x", "", NULL},
        {"text", "", "x", "", NULL},
        {"parallel", "", "x", "", NULL},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = put_large(folder, cases[i].reader, cases[i].begin, cases[i].again, cases[i].end, MOST);
        assert_cheap(read_large, path, cases[i].says ? ERROR_INPUT : 0, cases[i].says);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_long_vocabularies),
        cmocka_unit_test(test_lengths_of_headers),
        cmocka_unit_test(test_large_headers),
        cmocka_unit_test(test_many_tensors_in_json),
        cmocka_unit_test(test_hostile_json),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_large_json),
        cmocka_unit_test(test_lines_of_some_mb),
    };
    return cmocka_run_group_tests_name("corrupt/limits", tests, NULL, NULL);
}
