/* Reference files: what a candidate is told by one is what the baseline itself tells, and files that are damaged or of
 * something else are refused. */
#include "engine/base/file.h"
#include "suites/lockstep.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 900, RESAMPLES = 30, KEPT = 64 };

struct fixture {
    char *folder, *text, *file;
    struct model *models[2];
};

static int open_fixture(void **state)
{
    static struct fixture f;
    struct error e;
    struct file stories;
    assert_ok(file_map(&stories, "datasets/millbrook/stories.test.txt", &e), &e);
    f.folder = folder_temporary();
    f.text = file_put(f.folder, "text.txt", stories.data, BYTES);
    file_unmap(&stories);
    f.file = path_join(f.folder, "base.kref", &e);
    f.models[0] = model_shipped("llama", "f32");
    f.models[1] = model_shipped("llama", "gguf:q4_0");
    assert_non_null(f.file);
    *state = &f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    model_close(f->models[0]);
    model_close(f->models[1]);
    free(f->text);
    free(f->file);
    folder_remove(f->folder);
    return 0;
}

static struct lockstep_options options_for(const struct fixture *f)
{
    return (struct lockstep_options){.file = f->text,
                                     .protocol = PROTOCOL_STRIDED,
                                     .context = 64,
                                     .batch = 5,
                                     .worst = 3,
                                     .keep = KEPT,
                                     .resampling = {.resamples = RESAMPLES, .seed = 3}};
}

/* Both models in lockstep, the first saved; then the second beside the file. */
static void save_and_read(const struct fixture *f, int64_t keep, struct lockstep *live, struct lockstep *read)
{
    struct error e;
    struct lockstep_options o = options_for(f);
    o.keep = keep;
    o.save = f->file;
    assert_ok(lockstep_run(live, (const struct model *const *)f->models, 2, &o, &e), &e);
    o.save = NULL;
    o.reference = f->file;
    o.batch = 1;
    assert_ok(lockstep_run(read, (const struct model *const *)f->models + 1, 1, &o, &e), &e);
}

static void test_like_lockstep(void **state)
{
    const struct fixture *f = *state;
    const int64_t kept[] = {4, KEPT, model_hyper(f->models[0])->vocab};
    double last = 0;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        struct lockstep live, read;
        save_and_read(f, kept[i], &live, &read);
        assert_int_equal(read.walk.n_subjects, 2);
        assert_string_equal(live.fingerprint, read.fingerprint);
        for (size_t s = 0; s < 2; s++) {
            assert_memory_equal(live.walk.subjects[s].loglikelihoods, read.walk.subjects[s].loglikelihoods,
                                live.walk.n_groups * sizeof(double));
            for (size_t k = 0; k < live.suite->n_scores; k++)
                assert_memory_equal(&live.subjects[s].estimates[k], &read.subjects[s].estimates[k],
                                    sizeof(struct estimate));
        }
        const struct divergences *a = &live.subjects[1].divergences, *b = &read.subjects[1].divergences;
        assert_memory_equal(&a->log_ratio.value, &b->log_ratio.value, 4 * sizeof(double));
        assert_memory_equal(&a->means[2], &b->means[2], 3 * sizeof a->means[2]); /* same top, changes */
        assert_memory_equal(a->change, b->change, sizeof a->change);
        assert_true(b->means[0].value <= a->means[0].value + 1e-6 && b->means[0].value >= last - 1e-6);
        for (int64_t t = 0; t < live.walk.tokens; t++) {
            assert_true(read.walk.subjects[1].kl[t] <= live.walk.subjects[1].kl[t] + 1e-5);
            assert_true(read.walk.subjects[1].reverse[t] <= live.walk.subjects[1].reverse[t] + 1e-5);
        }
        last = b->means[0].value;
        if (kept[i] >= KEPT) assert_near(last, a->means[0].value, 0.01 * last, "mean KL");
        if (kept[i] > KEPT) assert_near(last, a->means[0].value, 1e-6, "mean KL, all tokens kept");
        lockstep_free(&live);
        lockstep_free(&read);
    }
}

/* More tokens than there are cannot be kept, and without a number there are 64. */
static void test_kept(void **state)
{
    const struct fixture *f = *state;
    struct error e;
    struct lockstep l, read;
    struct lockstep_options o = options_for(f);
    o.save = f->file;
    o.keep = model_hyper(f->models[0])->vocab + 1;
    assert_error(lockstep_run(&l, (const struct model *const *)f->models, 1, &o, &e), &e, ERROR_USAGE,
                 "must be 1 to the 1280 tokens of the vocabulary");
    save_and_read(f, 0, &l, &read);
    assert_int_equal(read.reference.k, 64);
    lockstep_free(&l);
    lockstep_free(&read);
}

/* The baseline beside its own file: nothing but the rounding of what is kept. */
static void test_itself(void **state)
{
    const struct fixture *f = *state;
    struct error e;
    struct lockstep live, read;
    save_and_read(f, KEPT, &live, &read);
    lockstep_free(&read);
    struct lockstep_options o = options_for(f);
    o.reference = f->file;
    assert_ok(lockstep_run(&read, (const struct model *const *)f->models, 1, &o, &e), &e);
    const struct divergences *d = &read.subjects[1].divergences;
    assert_true(d->log_ratio.value == 0 && d->means[2].value == 1 && d->means[4].value == 0);
    assert_true(d->means[0].value < 1e-6 && d->kl[KL_QUANTILES - 1] < 1e-5);
    lockstep_free(&live);
    lockstep_free(&read);
}

static void test_layout(void **state)
{
    const struct fixture *f = *state;
    struct error e;
    struct lockstep live, read;
    struct file bytes;
    save_and_read(f, KEPT, &live, &read);
    assert_ok(file_map(&bytes, f->file, &e), &e);
    const size_t about = bytes.data[20] | (size_t)bytes.data[21] << 8 | (size_t)bytes.data[22] << 16;
    assert_int_equal(bytes.size, 40 + about + (size_t)live.walk.tokens * (16 + 8 * KEPT) + 64);
    assert_memory_equal(bytes.data, "KERFREF\n\x01\0\0\0\x40\0\0\0", 16);
    assert_int_equal(bytes.data[40], '{');
    file_unmap(&bytes);
    lockstep_free(&live);
    lockstep_free(&read);
}

/* --- what is refused --- */

/* The file with a byte changed and its checksum right again, or not. */
static char *damaged(const struct fixture *f, size_t at, uint8_t value, bool sealed)
{
    struct error e;
    struct file whole;
    assert_ok(file_map(&whole, f->file, &e), &e);
    uint8_t *copy = malloc(whole.size);
    assert_non_null(copy);
    memcpy(copy, whole.data, whole.size);
    const size_t n = whole.size - 64, place = at < n ? at : n - 1;
    copy[place] = value;
    char hex[HASH_HEX];
    hash_hex(copy, n, hex);
    if (sealed) memcpy(copy + n, hex, 64);
    char *path = file_put(f->folder, "damaged.kref", copy, whole.size);
    free(copy);
    file_unmap(&whole);
    return path;
}

static void assert_refused(const struct fixture *f, const char *path, const char *words)
{
    struct error e;
    struct lockstep l;
    struct lockstep_options o = options_for(f);
    o.reference = path;
    assert_error(lockstep_run(&l, (const struct model *const *)f->models + 1, 1, &o, &e), &e, ERROR_INPUT, words);
}

static void test_damaged(void **state)
{
    const struct fixture *f = *state;
    struct error e;
    struct lockstep live, read;
    struct file whole;
    save_and_read(f, KEPT, &live, &read);
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } cases[] = {{0, 'k', "magic: is no reference file"},
                 {8, 2, "version: 2 is not 1"},
                 {12, 0, "k: is not between 1 and vocab"},
                 {12, 65, "tokens: "},
                 {15, 255, "k: is not"},
                 {19, 255, "vocab: is no number of tokens"},
                 {23, 255, "description: does not fit"},
                 {20, 3, "tokens: "},
                 {24, 1, "tokens: "},
                 {31, 255, "tokens: "},
                 {32, 0, "windows: is not"},
                 {39, 255, "windows: is not"},
                 {32, 1, "windows are not"},
                 {40, '[', "damaged.kref"},
                 {SIZE_MAX, 127, "row: is no prediction"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = damaged(f, cases[i].at, cases[i].value, true);
        assert_refused(f, path, cases[i].words);
        free(path);
    }
    char *path = damaged(f, 1000, 0, false);
    assert_refused(f, path, "checksum: is not that of the file's bytes");
    free(path);
    assert_ok(file_map(&whole, f->file, &e), &e);
    const size_t cuts[] = {0, 1, 39, 40, 103, 104, 500, whole.size / 2, whole.size - 64, whole.size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        path = file_put(f->folder, "damaged.kref", whole.data, cuts[i]);
        assert_refused(f, path, "damaged.kref");
        free(path);
    }
    file_unmap(&whole);
    lockstep_free(&live);
    lockstep_free(&read);
}

static void test_another(void **state)
{
    const struct fixture *f = *state;
    struct error e;
    struct lockstep live, read;
    save_and_read(f, KEPT, &live, &read);
    lockstep_free(&live);
    lockstep_free(&read);
    struct lockstep l;
    struct lockstep_options o = options_for(f);
    const struct model *const one[] = {f->models[1]};
    o.reference = f->file;
    o.stride = 16;
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_INPUT, "stride is 16, the baseline's is 32");
    o = options_for(f);
    o.reference = f->file;
    o.limit = 2;
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_INPUT, "scored_tokens");
    o = options_for(f);
    o.reference = f->file;
    o.file = file_put(f->folder, "other.txt", "Another text, with as little in it.\n", 36);
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_INPUT, "data_sha256");
    free((char *)(uintptr_t)o.file);
    o.file = f->text;
    o.reference = "no-such.kref";
    assert_error(lockstep_run(&l, one, 1, &o, &e), &e, ERROR_IO, "no-such.kref");
    o.reference = f->file;
    struct reference r;
    assert_ok(reference_open(&r, f->file, &e), &e);
    assert_error(reference_check(&r, "another", r.vocab, NULL, &e), &e, ERROR_INPUT, "tokenizer_sha256");
    assert_error(reference_check(&r, tokenizer_hash(model_tokenizer(f->models[0])), r.vocab + 1, NULL, &e), &e,
                 ERROR_INPUT, "vocab: the reference predicts");
    reference_close(&r);
}

static bool stop(void *user, size_t done, size_t total) { return false; }

/* A walk that ends early leaves no file, and an older one as it was. */
static void test_interrupted(void **state)
{
    const struct fixture *f = *state;
    struct error e;
    struct lockstep l;
    struct lockstep_options o = options_for(f);
    char *path = path_join(f->folder, "never.kref", &e);
    o.save = path;
    o.progress = stop;
    assert_error(lockstep_run(&l, (const struct model *const *)f->models, 1, &o, &e), &e, ERROR_INTERRUPTED, "");
    assert_false(path_exists(path));
    free(path);
    o.save = "/no-such-folder/x.kref";
    assert_error(lockstep_run(&l, (const struct model *const *)f->models, 1, &o, &e), &e, ERROR_IO, "no-such-folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_like_lockstep), cmocka_unit_test(test_kept),
                                       cmocka_unit_test(test_itself),        cmocka_unit_test(test_layout),
                                       cmocka_unit_test(test_damaged),       cmocka_unit_test(test_another),
                                       cmocka_unit_test(test_interrupted)};
    return cmocka_run_group_tests_name("suites/reference", tests, open_fixture, close_fixture);
}
