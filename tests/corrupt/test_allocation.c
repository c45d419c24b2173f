/* Memory that runs out: every allocation of a reader fails in turn, alone and with all that follow it. Nothing ends in a
 * signal, nothing stays behind, and readers say what happened (ERROR_IO). Those that go through jansson need not: it
 * takes some of its failures for a mistake in the text, and passes over others. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/gptq_config.h"
#include "engine/formats/imatrix.h"
#include "engine/formats/safetensors.h"
#include "engine/tokenizers/tokenizer.h"
#include "suites/suite.h"
#include "tests/formats/samples.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

/* --- an allocator that fails --- */

static _Thread_local long due;     /* allocations until one fails; 0: none does */
static _Thread_local bool goes_on; /* then all fail */
static _Thread_local long failed;  /* how many have */
static long held;                  /* blocks that are allocated and not freed */

static bool fails(void)
{
    if (!due || (due > 1 && --due)) return false;
    if (!goes_on) due = 0;
    failed++;
    errno = ENOMEM;
    return true;
}

static void *counted(void *p)
{
    if (p) __atomic_add_fetch(&held, 1, __ATOMIC_RELAXED);
    return p;
}

#if defined(__SANITIZE_ADDRESS__) /* the linker leads our own calls here; leaks are the sanitizer's to find */
#define OURS(name) __wrap_##name
#define THEIRS(name) __real_##name
#define MEMALIGN(alignment, n) __real_aligned_alloc(alignment, n)
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *p);
#else /* what a program defines goes before the C library's, for libraries, too */
#define OURS(name) name
#define THEIRS(name) __libc_##name
#define MEMALIGN(alignment, n) __libc_memalign(alignment, n)
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);
#endif
void *OURS(malloc)(size_t n);
void *OURS(calloc)(size_t n, size_t size);
void *OURS(realloc)(void *p, size_t n);
void *OURS(aligned_alloc)(size_t alignment, size_t n);
void OURS(free)(void *p);

void *OURS(malloc)(size_t n) { return fails() ? NULL : counted(THEIRS(malloc)(n)); }
void *OURS(calloc)(size_t n, size_t size) { return fails() ? NULL : counted(THEIRS(calloc)(n, size)); }
void *OURS(aligned_alloc)(size_t alignment, size_t n) { return fails() ? NULL : counted(MEMALIGN(alignment, n)); }

void *OURS(realloc)(void *p, size_t n)
{
    if (fails()) return NULL;
    return p ? THEIRS(realloc)(p, n) : counted(THEIRS(malloc)(n));
}

void OURS(free)(void *p)
{
    if (p) __atomic_sub_fetch(&held, 1, __ATOMIC_RELAXED);
    THEIRS(free)(p);
}

/* --- every allocation of a reader --- */

typedef int reader(const char *path, struct error *e); /* opens and, if that went well, closes */

/* The number of allocations that the reader makes of a file that it reads. `says`: it tells of each that fails. */
static long fail_in_turn(const char *name, reader *read, const char *path, bool says, bool on)
{
    struct error e = {0};
    assert_ok(read(path, &e), &e); /* what is kept from the first time on, by libraries too, is there now */
    for (long n = 1;; n++) {
        e = (struct error){0};
        const long before = held;
        due = n, goes_on = on, failed = 0;
        const int status = read(path, &e);
        due = 0;
        if (!failed) {
            assert_ok(status, &e);
            return n - 1;
        }
        if (says && status && (status != ERROR_IO || e.code != ERROR_IO || !e.text[0]))
            fail_msg("%s: allocation %ld%s: status %d: %s", name, n, on ? " and all after it" : "", status, e.text);
        if (says && !status) fail_msg("%s: allocation %ld%s: nothing is said", name, n, on ? " and all after it" : "");
        if (held != before) fail_msg("%s: allocation %ld: %ld blocks stay behind", name, n, held - before);
    }
}

static void assert_refuses(const char *name, reader *read, const char *path, bool says, long least)
{
    const long n = fail_in_turn(name, read, path, says, false);
    if (n < least) fail_msg("%s: only %ld allocations", name, n);
    fail_in_turn(name, read, path, says, true);
}

/* --- readers --- */

static int read_gguf(const char *path, struct error *e)
{
    struct gguf *g;
    int status = gguf_open(&g, path, e);
    if (status) return status;
    for (size_t i = 0; i < gguf_value_count(g) && !status; i++) {
        const struct gguf_value *v = gguf_value(g, i);
        if (v->type != GGUF_ARRAY || v->element != GGUF_STRING) continue;
        struct gguf_string *all = gguf_strings(g, v, e);
        if (!all) status = (int)e->code;
        free(all);
    }
    gguf_close(g);
    return status;
}

static int read_safetensors(const char *path, struct error *e)
{
    struct safetensors *s;
    const int status = safetensors_open(&s, path, e);
    if (!status) safetensors_close(s);
    return status;
}

static int read_checkpoint(const char *path, struct error *e)
{
    struct checkpoint *c;
    char hex[HASH_HEX];
    int status = checkpoint_open(&c, path, e);
    if (status) return status;
    status = checkpoint_hash(c, hex, e);
    const char *place;
    struct gptq_config config;
    if (!status) status = gptq_config_read(&config, checkpoint_quantization(c, 0, &place), "here", e);
    checkpoint_close(c);
    return status;
}

static int read_imatrix(const char *path, struct error *e)
{
    struct imatrix *im;
    const int status = imatrix_open(&im, path, e);
    if (!status) imatrix_close(im);
    return status;
}

static int read_json(const char *path, struct error *e)
{
    json_t *value = json_read_file(path, e);
    json_decref(value);
    return value ? 0 : (int)e->code;
}

static int read_tokenizer(const char *path, struct error *e)
{
    struct tokenizer *t;
    const int status = tokenizer_open(&t, path, e);
    if (!status) tokenizer_close(t);
    return status;
}

static int read_suite(const char *path, struct error *e)
{
    struct suite *s;
    const int status = suite_load_without_data(&s, path, e);
    if (!status) suite_free(s);
    return status;
}

static int pass_by(void *user, json_t *doc, struct error *e) { return 0; }

static int read_csv(const char *path, struct error *e)
{
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    const struct reader_source source = {path, (const char *)f.data + 1, f.size - 1, NULL}; /* after the options */
    status = reader_find("mmlu")->read(&source, pass_by, NULL, e);
    file_unmap(&f);
    return status;
}

static void test_corpus(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        reader *read;
        bool says;
        long least;
    } cases[] = {
        {"gguf/values.gguf", read_gguf, true, 5},
        {"gguf/tensors.gguf", read_gguf, true, 10},
        {"gguf/imatrix.gguf", read_imatrix, true, 10},
        {"gguf/imatrix.dat", read_imatrix, true, 5},
        {"safetensors/metadata.safetensors", read_safetensors, false, 20},
        {"safetensors/types.safetensors", read_safetensors, false, 50},
        {"tokenizer/bytelevel.json", read_json, false, 300},
        {"tokenizer/bytelevel.json", read_tokenizer, false, 300},
        {"gguf/bpe.gguf", read_tokenizer, false, 10},
        {"gguf/sentencepiece.gguf", read_tokenizer, false, 10},
        {"suite/rolling.yaml", read_suite, false, 50},
        {"suite/choice.yaml", read_suite, false, 50},
        {"csv/mmlu", read_csv, false, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s", cases[i].path);
        assert_refuses(cases[i].path, cases[i].read, path, cases[i].says, cases[i].least);
    }
}

static void put_text(const char *folder, const char *name, const char *text)
{
    free(file_put(folder, name, text, strlen(text)));
}

static void test_folders(void **state)
{
    (void)state;
    static const char a[] = "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                      b[] = "{\"b\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    char *folder = folder_temporary();
    struct text t = {0};
    put_text(folder, "config.json", "{\"quantization_config\": {\"bits\": 4}}");
    put_text(folder, "quantize_config.json", "{\"bits\": 4, \"group_size\": 128}");
    put_safetensors(&t, a, 1);
    free(put_file(folder, "x.safetensors", &t));
    assert_refuses("one file", read_checkpoint, folder, false, 20);
    text_clear(&t);
    put_safetensors(&t, b, 1);
    free(put_file(folder, "y.safetensors", &t));
    put_text(folder, "model.safetensors.index.json",
             "{\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"y.safetensors\"}}");
    assert_refuses("shards", read_checkpoint, folder, false, 30);
    text_free(&t);
    folder_remove(folder);
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__)
    json_set_alloc_funcs(malloc, free);
#endif
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus), cmocka_unit_test(test_folders)};
    return cmocka_run_group_tests_name("corrupt/allocation", tests, NULL, NULL);
}
