/* engine/base: what everything else stands on. */
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/base/siphash.h"
#include "engine/base/suggest.h"
#include "engine/base/table.h"
#include "engine/base/text.h"
#include "engine/base/watch.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void errors(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, ERROR_INPUT, "field: %d", 7), 3);
    assert_int_equal(error_prefix(&e, "%s", "file"), 3);
    assert_string_equal(e.text, "file: field: 7");
    assert_int_equal(error_set(NULL, ERROR_USAGE, "nobody listens"), 2);
    char filler[2 * sizeof e.text];
    memset(filler, 'x', sizeof filler);
    filler[sizeof filler - 1] = 0;
    error_set(&e, ERROR_IO, "%s", filler);
    assert_int_equal(error_prefix(&e, "place"), 4);
    assert_int_equal(strlen(e.text), sizeof e.text - 1); /* cut, not overrun */
    assert_memory_equal(e.text, "place: xxx", 10);
}

static void memory(void **state)
{
    (void)state;
    struct error e;
    assert_null(memory_new(SIZE_MAX / 2, 4, "too much", &e));
    assert_error(e.code, &e, ERROR_IO, "too much");
    unsigned char *p = memory_new(3, 5, "a little", &e);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (size_t i = 0; i < 15; i++) assert_int_equal(p[i], 0);
    free(p);
    int *array = NULL;
    size_t capacity = 0;
    for (size_t n = 1; n < 1000; n++) {
        assert_ok(memory_reserve((void **)&array, &capacity, n, sizeof *array, "numbers", &e), &e);
        array[n - 1] = (int)n;
    }
    for (size_t n = 1; n < 1000; n++) assert_int_equal(array[n - 1], n);
    assert_error(memory_reserve((void **)&array, &capacity, SIZE_MAX / 2, sizeof *array, "numbers", &e), &e, ERROR_IO,
                 "out of memory");
    free(array);
}

static void utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, size;
        uint32_t codepoint;
    } cases[] = {
        {"a", 1, 1, 'a'},
        {"\xC3\xB1", 2, 2, 0xF1},
        {"\xE2\x82\xAC", 3, 3, 0x20AC},
        {"\xF0\x9F\x99\x82", 4, 4, 0x1F642},
        {"\xC3", 1, 0, 0},
        {"\xC0\x80", 2, 0, 0},
        {"\xE0\x80\x80", 3, 0, 0},
        {"\xED\xA0\x80", 3, 0, 0},
        {"\xF4\x90\x80\x80", 4, 0, 0},
        {"\x80", 1, 0, 0},
        {"\xE2\x82", 2, 0, 0},
        {"\xFF", 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t c = 0;
        assert_int_equal(utf8_decode(cases[i].bytes, cases[i].n, &c), cases[i].size);
        if (cases[i].size) assert_int_equal(c, cases[i].codepoint);
    }
    for (uint32_t c = 1; c < 0x110000; c += 13) { /* every plane there and back, surrogates refused */
        struct text t = {0};
        uint32_t back = 0;
        text_codepoint(&t, c);
        size_t size = utf8_decode(t.bytes, t.length, &back);
        if (c >= 0xD800 && c < 0xE000)
            assert_int_equal(size, 0);
        else
            assert_true(size == t.length && back == c);
        text_free(&t);
    }
    assert_int_equal(utf8_length("a\xC3\xB1\xFF", 4), 3);
}

static void terminal(void **state)
{
    (void)state;
    static const char hostile[] = "a\x1B[31m\r\n\t\x7F\xC2\x9B\xE2\x80\xAE\xFF\xC3\xB1";
    struct text t = {0};
    text_terminal(&t, hostile, sizeof hostile - 1);
    assert_string_equal(text_c(&t), "a\\x1B[31m\\x0D\\n\\t\\x7F\\u{009B}\\u{202E}\\xFF\xC3\xB1");
    text_clear(&t);
    static const char unseen[] = "\xC2\xAD\xE2\x80\x8B\xE2\x80\x8D\xEF\xBB\xBF\xEF\xBF\xBE\xEF\xB8\x8F\xF3\xA0\x81\x81";
    text_terminal(&t, unseen, sizeof unseen - 1);
    assert_string_equal(text_c(&t), "\\u{00AD}\\u{200B}\\u{200D}\\u{FEFF}\\u{FFFE}\\u{FE0F}\\u{E0041}");
    text_free(&t);
}

static void tables(void **state)
{
    (void)state;
    enum { KEYS = 100000 };
    static char keys[KEYS][8];
    struct error e;
    struct table t = {0};
    int64_t value;
    bool twice;
    assert_false(table_find(&t, "x", 1, &value));
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "%x", i);
        assert_ok(table_add(&t, keys[i], strlen(keys[i]), i, &twice, &e), &e);
        assert_false(twice);
    }
    for (int i = 0; i < KEYS; i++) {
        assert_true(table_find(&t, keys[i], strlen(keys[i]), &value));
        assert_int_equal(value, i);
    }
    assert_ok(table_add(&t, "0", 1, 99, &twice, &e), &e);
    assert_true(twice && table_find(&t, "0", 1, &value) && value == 0); /* the first stays */
    assert_false(table_find(&t, "no", 2, &value));
    table_free(&t);
}

/* Against CPython's hash() of bytes, which is SipHash-1-3 with a secret of zeros under PYTHONHASHSEED=0. */
static void keyed_hashes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } cases[] = {
        {"a", UINT64_C(0x407448d2b89b1813)},
        {"tensor", UINT64_C(0x65df3ad1ad888abb)},
        {"12345678", UINT64_C(0x3489982430560a87)},
        {"model.layers.0.mlp.up_proj.weight", UINT64_C(0x14bdbfb53ec6f7ef)},
        {"fifteen letters", UINT64_C(0x2dd8a9e012c1bb2d)},
    };
    const uint64_t zeros[2] = {0}, other[2] = {0, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = strlen(cases[i].text);
        assert_int_equal(siphash(zeros, cases[i].text, n), cases[i].hash);
        assert_int_not_equal(siphash(other, cases[i].text, n), cases[i].hash);
    }
}

static uint64_t hash_in(const struct table *t, const char *key)
{
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i].key == key) return t->slots[i].hash;
    fail_msg("%s is not there", key);
    return 0;
}

/* Two tables have different secrets, so that names made to collide in one do not in another. */
static void tables_have_secrets(void **state)
{
    (void)state;
    struct error e;
    struct table a = {0}, b = {0};
    static const char x[] = "x";
    assert_ok(table_add(&a, x, 1, 1, NULL, &e), &e);
    assert_ok(table_add(&b, x, 1, 1, NULL, &e), &e);
    assert_true(hash_in(&a, x) == siphash(a.secret, x, 1) && hash_in(&b, x) == siphash(b.secret, x, 1));
    assert_true(a.secret[0] != b.secret[0] && a.secret[1] != b.secret[1]);
    const uint64_t secret[2] = {a.secret[0], a.secret[1]};
    char keys[100][4];
    for (int i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        assert_ok(table_add(&a, keys[i], strlen(keys[i]), i, NULL, &e), &e);
    }
    assert_memory_equal(a.secret, secret, sizeof secret); /* also when it has grown */
    table_free(&a);
    table_free(&b);
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const names[] = {"stories", "endings", "metric_list", "int8", "f16"};
    assert_string_equal(suggest("storis", names, 5).words, ", did you mean \"stories\"?");
    assert_string_equal(suggest("metrics", names, 5).words, ", did you mean \"metric_list\"?");
    assert_string_equal(suggest("zebra", names, 5).words, "");
    assert_string_equal(suggest("zzz", names, 5).words, "");
    assert_string_equal(suggest("f99", names, 5).words, "");
    assert_string_equal(suggest("", names, 5).words, "");
    assert_string_equal(suggest("x", names, 0).words, "");
}

static void slips(void **state)
{
    (void)state;
    static const char *const names[] = {"tsv", "eval", "bleu", "f16", "chrf", "csv", "rougeL", "mean_divergence"};
    static const struct {
        const char *name, *meant;
    } cases[] = {{"tvs", "tsv"},
                 {"evla", "eval"},
                 {"blue", "bleu"},
                 {"BLEU", "bleu"},
                 {"f61", "f16"},
                 {"F16", "f16"},
                 {"BLUE", "bleu"},
                 {"Chr", "chrf"},
                 {"rogueL", "rougeL"},
                 {"ROUGEL", "rougeL"},
                 {"MEAN_DIV", "mean_divergence"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char due[64];
        snprintf(due, sizeof due, ", did you mean \"%s\"?", cases[i].meant);
        assert_string_equal(suggest(cases[i].name, names, 8).words, due);
    }
    static const char *const nonsense[] = {"vst", "lave", "ulbe", "61f", "qqqqqqqq", "zzz", "xyzzy", "ab", "a", ""};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        assert_string_equal(suggest(nonsense[i], names, 8).words, "");
    char tall[80];
    memset(tall, 'a', sizeof tall);
    tall[79] = '\0';
    assert_string_equal(suggest(tall, names, 8).words, "");
}

static void files(void **state)
{
    (void)state;
    struct error e;
    struct file f;
    struct output out;
    char *folder = folder_temporary();
    char *path = file_put(folder, "a", "old", 3), *link = path_join(folder, "link", &e),
         *pipe = path_join(folder, "p", &e);
    assert_ok(output_open(&out, path, &e), &e);
    fputs("half", out.stream);
    output_abandon(&out);
    assert_ok(file_map(&f, path, &e), &e);
    assert_true(f.size == 3 && memcmp(f.data, "old", 3) == 0);
    file_unmap(&f);
    assert_int_equal(symlink("a", link), 0); /* what it points to is replaced, the link stays */
    assert_ok(file_write(link, "newer", 5, &e), &e);
    struct stat st;
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    assert_ok(file_map(&f, path, &e), &e);
    assert_true(f.size == 5 && memcmp(f.data, "newer", 5) == 0);
    file_unmap(&f);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_error(file_map(&f, pipe, &e), &e, ERROR_INPUT, "not a regular file");
    assert_error(file_map(&f, folder, &e), &e, ERROR_INPUT, "is a folder");
    assert_error(file_map(&f, "/no/such/file", &e), &e, ERROR_IO, "No such file");
    assert_ok(file_write("/dev/null", "x", 1, &e), &e);
    assert_true(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    assert_error(file_write("/dev/full", "x", 1, &e), &e, ERROR_IO, "No space left");
    assert_error(file_write("/no/such/folder/x", "x", 1, &e), &e, ERROR_IO, "/no/such/folder/x");
    char *deep = path_join(folder, "b/c/d", &e);
    assert_ok(folder_make(deep, &e), &e);
    assert_ok(folder_make(deep, &e), &e);
    assert_true(path_is_folder(deep));
    free(deep);
    deep = path_join(path, "x", &e);
    assert_int_equal(folder_make(deep, &e), ERROR_IO);
    free(deep);
    free(path);
    free(link);
    free(pipe);
    folder_remove(folder);
}

/* Where nothing can be written, and what is read, shows without a trace. */
static void outputs_checked(void **state)
{
    (void)state;
    struct error e;
    char *folder = folder_temporary(), *input = folder_temporary();
    char *text = file_put(folder, "text", "old", 3), *absent = path_join(folder, "new", &e),
         *link = path_join(folder, "link", &e), *pipe = path_join(folder, "pipe", &e),
         *config = file_put(input, "config.json", "{}", 2), *packed = file_put(input, "a.gguf", "", 0),
         *fresh = path_join(input, "b.gguf", &e), *away = path_join(folder, "no/file", &e);
    assert_int_equal(link && symlink(config, link), 0);
    assert_int_equal(pipe && mkfifo(pipe, 0600), 0);
    const char *const inputs[] = {NULL, text, input};
    assert_ok(output_check("-o", absent, inputs, 3, &e), &e);
    assert_ok(output_check("-o", packed, inputs, 3, &e), &e);
    assert_ok(output_check("-o", fresh, inputs, 3, &e), &e);
    assert_ok(output_check("-o", pipe, inputs, 3, &e), &e); /* no reader: to open it would wait for one */
    assert_ok(output_check("-o", "/dev/null", inputs, 3, &e), &e);
    assert_false(path_exists(absent) || path_exists(fresh));
    const char *const read[] = {text, config, link};
    for (size_t i = 0; i < 3; i++) {
        assert_error(output_check("-o", read[i], inputs, 3, &e), &e, ERROR_USAGE, read[i]);
        assert_non_null(strstr(e.text, ": is read by this command: give another name"));
    }
    assert_ok(output_check("-o", text, inputs, 1, &e), &e);
    assert_error(output_check("-o", packed, (const char *const[]){packed}, 1, &e), &e, ERROR_USAGE, "is read");
    assert_error(output_check("-o", "", inputs, 3, &e), &e, ERROR_USAGE, "-o: an empty name is no file");
    assert_error(output_check("-o", input, inputs, 3, &e), &e, ERROR_IO, "is a folder: give a file name");
    assert_error(output_check("-o", away, inputs, 3, &e), &e, ERROR_IO, "no/file: create: No such file");
    assert_error(file_write(folder, "x", 1, &e), &e, ERROR_IO, "is a folder: give a file name");
    assert_error(file_write("", "x", 1, &e), &e, ERROR_IO, "an empty name is no file");
    assert_true(path_same(config, link) && path_same(folder, folder));
    assert_false(path_same(text, config) || path_same(absent, absent));
    char *const all[] = {text, absent, link, pipe, config, packed, fresh, away};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    folder_remove(folder);
    folder_remove(input);
}

static void folders(void **state)
{
    (void)state;
    struct error e;
    uint64_t made;
    char *folder = folder_temporary(), *a = path_join(folder, "a", &e), *deep = path_join(folder, "a/b//c/", &e),
         *other = path_join(folder, "a/other", &e), *file = file_put(folder, "file", "", 0);
    assert_ok(folder_make_noting(deep, &made, &e), &e);
    assert_true(path_is_folder(deep));
    folder_unmake(deep, made);
    assert_false(path_exists(a));
    assert_true(path_exists(folder));
    assert_ok(folder_make(a, &e), &e);
    assert_ok(folder_make_noting(deep, &made, &e), &e);
    folder_unmake(deep, made);
    assert_true(path_exists(a)); /* was there before */
    assert_ok(folder_make_noting(a, &made, &e), &e);
    assert_int_equal(made, 0);
    folder_unmake(a, made);
    assert_int_equal(rmdir(a), 0);
    assert_ok(folder_make_noting(deep, &made, &e), &e);
    assert_ok(folder_make(other, &e), &e);
    folder_unmake(deep, made);
    assert_true(path_exists(other)); /* so a is not empty */
    assert_int_equal(rmdir(other) || rmdir(a), 0);
    char name[300];
    memset(name, 'x', sizeof name); /* longer than a name may be */
    snprintf(name + sizeof name - 8, 8, "/y");
    char *long_path = path_join(deep, name, &e);
    assert_int_equal(folder_make(long_path, &e), ERROR_IO);
    assert_false(path_exists(a)); /* what came before the failure */
    assert_error(folder_make("", &e), &e, ERROR_USAGE, "an empty name is no folder");
    char *const all[] = {a, deep, other, file, long_path};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    folder_remove(folder);
}

/* What a killed process left of such files goes, and nothing that only looks like it. */
static void swept(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool stays;
    } files[] = {
        {"run.json", true},
        {"run.json.tmpa1B2c3", false},
        {"samples_stories.jsonl.tmpZZZZZZ", false},
        {"samples_stories.jsonl", true},
        {"run.json.tmp", true},
        {"run.json.tmpa1B2c", true},
        {"run.json.tmpa1B2c34", true},
        {"run.json.tmpa1B2c-", true},
        {"run.json.bakxa1B2c3", true},
        {"other.json.tmpa1B2c3", true},
        {"my-run.json.tmpa1B2c3", true},
        {".tmpa1B2c3", true},
    };
    enum { FILES = sizeof files / sizeof *files };
    struct error e;
    char *folder = folder_temporary(), *paths[FILES];
    for (size_t i = 0; i < FILES; i++) paths[i] = file_put(folder, files[i].name, "x", 1);
    char *inner = path_join(folder, "run.json.tmpfolder", &e);
    assert_ok(folder_make(inner, &e), &e);
    output_sweep(folder, "run.json");
    output_sweep(folder, "samples_*.jsonl");
    for (size_t i = 0; i < FILES; i++) {
        assert_int_equal(path_exists(paths[i]), files[i].stays);
        free(paths[i]);
    }
    assert_true(path_is_folder(inner));
    free(inner);
    folder_remove(folder);
    output_sweep("/nowhere", "*"); /* is nothing */

    struct output o; /* the names are those that output_open() makes */
    folder = folder_temporary();
    char *path = path_join(folder, "run.json", &e);
    assert_ok(output_open(&o, path, &e), &e);
    assert_true(path_exists(o.temporary));
    output_sweep(folder, "run.json");
    assert_false(path_exists(o.temporary));
    output_abandon(&o);
    free(path);
    folder_remove(folder);
}

static void phases(void **state)
{
    (void)state;
    for (int a = 0; a < PHASES; a++)
        for (int b = 0; b < a; b++) assert_string_not_equal(phase_name((enum phase)a), phase_name((enum phase)b));
    assert_string_equal(phase_name(PHASE_OTHER), "other");
    assert_string_equal(phase_name(PHASE_STATISTICS), "statistics");
    assert_int_equal(watch_enter(NULL, PHASE_LOAD), PHASE_OTHER);
}

static void hashes(void **state)
{
    (void)state;
    char hex[HASH_HEX]; /* FIPS 180-4, example "abc" */
    hash_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void random_numbers(void **state)
{
    (void)state;
    struct random r = {1234567}; /* the first outputs of SplitMix64 for this seed (Rosetta Code's test vector) */
    assert_true(random_next(&r) == 6457827717110365317u && random_next(&r) == 3203168211198807973u);
    int count[7] = {0};
    for (int i = 0; i < 70000; i++) count[random_below(&r, 7)]++;
    for (int i = 0; i < 7; i++) assert_in_range(count[i], 9600, 10400);
    for (int i = 0; i < 1000; i++) {
        double u = random_unit(&r);
        assert_true(u >= 0 && u < 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),
        cmocka_unit_test(memory),
        cmocka_unit_test(utf8),
        cmocka_unit_test(terminal),
        cmocka_unit_test(tables),
        cmocka_unit_test(keyed_hashes),
        cmocka_unit_test(tables_have_secrets),
        cmocka_unit_test(suggestions),
        cmocka_unit_test(slips),
        cmocka_unit_test(files),
        cmocka_unit_test(outputs_checked),
        cmocka_unit_test(folders),
        cmocka_unit_test(hashes),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(swept),
        cmocka_unit_test(phases),
    };
    return cmocka_run_group_tests_name("base/base", tests, NULL, NULL);
}
