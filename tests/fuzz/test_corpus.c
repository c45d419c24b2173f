/* Every file that fuzzing starts from or once found something with; those that were made by hand also cut short and with
 * bits turned. */
#include "engine/base/file.h"
#include "tests/fuzz/targets.h"
#include "tests/testing.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

typedef void target(const uint8_t *data, size_t size);

/* An exact copy of the first n bytes, with bit b of byte i turned where i is one of them. */
static void try_bytes(target *run, const uint8_t *data, size_t n, size_t i, int b)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n) memcpy(copy, data, n);
    if (i < n) copy[i] ^= (uint8_t)(1u << b);
    run(copy, n);
    free(copy);
}

/* libFuzzer names what it makes by the SHA-1 of it. */
static bool by_hand(const char *name) { return strlen(name) != 40 || strspn(name, "0123456789abcdef") != 40; }

static size_t try_file(target *run, const char *path, bool also_changed)
{
    enum { TRIES = 400 };
    struct file f;
    struct error e;
    assert_ok(file_map(&f, path, &e), &e);
    try_bytes(run, f.data, f.size, f.size, 0);
    const size_t step = f.size / TRIES + 1;
    for (size_t n = 0; also_changed && n < f.size; n += step) try_bytes(run, f.data, n, n, 0);
    for (size_t i = 0; also_changed && i < f.size; i += step) try_bytes(run, f.data, f.size, i, (int)(i / step % 8));
    file_unmap(&f);
    return 1;
}

static void try_folder(target *run, const char *folder)
{
    struct error e;
    size_t files = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *f; (f = readdir(d)) != NULL;) {
        if (f->d_name[0] == '.') continue;
        char *path = path_join(folder, f->d_name, &e);
        assert_non_null(path);
        files += try_file(run, path, by_hand(f->d_name));
        free(path);
    }
    closedir(d);
    assert_true(files >= 3);
}

static void test_gguf(void **state) { (void)state, try_folder(fuzz_gguf, "tests/fuzz/corpus/gguf"); }
static void test_safetensors(void **state)
{
    (void)state, try_folder(fuzz_safetensors, "tests/fuzz/corpus/safetensors");
}
static void test_tokenizer(void **state) { (void)state, try_folder(fuzz_tokenizer, "tests/fuzz/corpus/tokenizer"); }
static void test_beside(void **state) { (void)state, try_folder(fuzz_beside, "tests/fuzz/corpus/beside"); }
static void test_suite(void **state) { (void)state, try_folder(fuzz_suite, "tests/fuzz/corpus/suite"); }
static void test_csv(void **state) { (void)state, try_folder(fuzz_csv, "tests/fuzz/corpus/csv"); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf),   cmocka_unit_test(test_safetensors), cmocka_unit_test(test_tokenizer),
        cmocka_unit_test(test_beside), cmocka_unit_test(test_suite),       cmocka_unit_test(test_csv),
    };
    return cmocka_run_group_tests_name("fuzz/corpus", tests, NULL, NULL);
}
