/* The journal: what comes back is what was written, bit for bit, whatever happened to the file in between. */
#include "engine/base/file.h"
#include "suites/journal.h"
#include "tests/testing.h"

#include <dirent.h>
#include <float.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GROUPS = 4, CONTINUATIONS = 3, TEXTS = 5, VOCAB = 100, REQUESTS = GROUPS + TEXTS };

/* Requests whose results are known; a real suite has groups or texts alone. */
struct work {
    struct part parts[GROUPS][CONTINUATIONS];
    struct group groups[GROUPS];
    struct generation texts[TEXTS];
    struct requests q;
};

static const double values[GROUPS][CONTINUATIONS] = {
    {-1.0 / 3, -0.0, -12345.678901234567}, {-DBL_MIN / 8}, {-DBL_MAX, -5, 0}, {-1e-300, -0.1}};
static const size_t n_parts[GROUPS] = {3, 1, 3, 2};

static const struct {
    const char *bytes;
    size_t n;
    const char *ended;
    int ids;
    double log_probability;
} texts[TEXTS] = {{"", 0, "eos", 0, -0.7},
                  {" Nora\n\"went\" \\ to", 18, "stop", 5, -1.0 / 7},
                  {"caf\xc3\xa9 \xe2\x82\xac", 9, "limit", 8, -1e-17},
                  {"torn \xe2\x82", 7, "limit", 8, -3},
                  {"a\0b", 3, "eos", 3, -2.5}};

/* Without results. */
static struct work *work_new(void)
{
    struct work *w = calloc(1, sizeof *w);
    assert_non_null(w);
    for (size_t i = 0; i < GROUPS; i++) w->groups[i] = (struct group){.parts = w->parts[i], .n_parts = n_parts[i]};
    for (size_t i = 0; i < TEXTS; i++) w->texts[i].limit = 8;
    w->q = (struct requests){.groups = w->groups, .n_groups = GROUPS, .generations = w->texts, .n_generations = TEXTS};
    return w;
}

static void work_free(struct work *w)
{
    for (size_t i = 0; i < TEXTS; i++) generation_free(&w->texts[i]);
    free(w);
}

static void run_group(struct work *w, size_t i)
{
    w->groups[i].done = true;
    for (size_t p = 0; p < n_parts[i]; p++)
        w->parts[i][p].loglikelihood = values[i][p], w->parts[i][p].greedy = (i + p) % 2;
}

static void run_text(struct work *w, size_t i)
{
    struct generation *g = &w->texts[i];
    for (int k = 0; k < texts[i].ids; k++) assert_int_equal(ids_add(&g->ids, 7 * k, NULL), 0);
    text_bytes(&g->text, texts[i].bytes, texts[i].n);
    g->ended = texts[i].ended;
    g->log_probability = texts[i].log_probability;
    g->fed = 3;
}

/* How many have results; these must be the right ones. */
static size_t check(const struct work *w)
{
    struct work *right = work_new();
    size_t done = 0;
    for (size_t i = 0; i < GROUPS; i++) {
        run_group(right, i);
        done += w->groups[i].done;
        for (size_t p = 0; w->groups[i].done && p < n_parts[i]; p++) {
            assert_memory_equal(&w->parts[i][p].loglikelihood, &right->parts[i][p].loglikelihood, sizeof(double));
            assert_int_equal(w->parts[i][p].greedy, right->parts[i][p].greedy);
        }
    }
    for (size_t i = 0; i < TEXTS; i++) {
        const struct generation *a = &w->texts[i], *b = &right->texts[i];
        if (!a->ended) continue;
        run_text(right, i);
        done++;
        assert_int_equal(a->text.length, b->text.length);
        if (b->text.length) assert_memory_equal(a->text.bytes, b->text.bytes, b->text.length);
        assert_int_equal(a->ids.count, b->ids.count);
        if (b->ids.count) assert_memory_equal(a->ids.at, b->ids.at, b->ids.count * sizeof(int32_t));
        assert_string_equal(a->ended, b->ended);
        assert_true(a->log_probability == b->log_probability);
        assert_int_equal(a->fed, 3);
    }
    work_free(right);
    return done;
}

static struct journal *open_journal(const char *folder, const char *key, bool fresh)
{
    struct error e;
    struct journal *j;
    json_t *parts = json_pack("{s:s, s:s}", "schema", "kerf-journal-1", "model", key);
    assert_ok(journal_open(&j, folder, "quiz", parts, fresh, &e), &e);
    json_decref(parts);
    return j;
}

static size_t resume(struct journal *j, struct work *w)
{
    struct error e;
    assert_ok(journal_resume(j, &w->q, VOCAB, &e), &e);
    return check(w);
}

/* Does what is not done, and writes it down. */
static void finish(struct journal *j, struct work *w)
{
    struct error e;
    for (size_t i = 0; i < GROUPS; i++) {
        if (w->groups[i].done) continue;
        run_group(w, i);
        assert_ok(journal_group(j, i, &w->groups[i], &e), &e);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        if (w->texts[i].ended) continue;
        run_text(w, i);
        assert_ok(journal_generation(j, i, &w->texts[i], &e), &e);
    }
    assert_ok(journal_close(j, &e), &e);
}

static void write_whole(const char *folder, const char *key)
{
    struct work *w = work_new();
    finish(open_journal(folder, key, false), w);
    work_free(w);
}

/* What another process would find: how many are done. */
static size_t read_again(const char *folder, const char *key)
{
    struct work *w = work_new();
    struct journal *j = open_journal(folder, key, false);
    size_t done = resume(j, w);
    journal_close(j, NULL);
    work_free(w);
    return done;
}

/* The n-th file, in the order of names, of FOLDER/journal; to be freed. */
static char *journal_file(const char *folder, int n)
{
    struct error e;
    struct dirent **all;
    char *under = path_join(folder, "journal", &e);
    int count = scandir(under, &all, NULL, alphasort);
    assert_true(count > n + 2); /* . and .. come first */
    char *path = path_join(under, all[n + 2]->d_name, &e);
    for (int i = 0; i < count; i++) free(all[i]);
    free(all);
    free(under);
    return path;
}

static char *slurp(const char *path, size_t *n)
{
    struct error e;
    struct file f;
    assert_ok(file_map(&f, path, &e), &e);
    char *copy = memcpy(malloc(f.size + 1), f.data, f.size);
    *n = f.size;
    file_unmap(&f);
    return copy;
}

static void put(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    write_whole(folder, "a");
    assert_int_equal(read_again(folder, "a"), REQUESTS);
    /* another key is another file, and takes nothing away */
    assert_int_equal(read_again(folder, "b"), 0);
    write_whole(folder, "b");
    assert_int_equal(read_again(folder, "a"), REQUESTS);
    struct error e;
    assert_ok(journal_close(open_journal(folder, "a", true), &e), &e); /* fresh */
    assert_int_equal(read_again(folder, "a"), 0);
    assert_int_equal(read_again(folder, "b"), REQUESTS);
    folder_remove(folder);
}

/* Torn at any byte: the whole lines before it count, and what is appended then counts too. */
static void test_truncations(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    write_whole(folder, "a");
    char *path = journal_file(folder, 0);
    size_t n, step = test_items(REQUESTS + 1) < REQUESTS + 1 ? 7 : 1;
    char *bytes = slurp(path, &n);
    for (size_t cut = 0; cut <= n; cut += step) {
        size_t lines = 0;
        for (size_t i = 0; i < cut; i++) lines += bytes[i] == '\n';
        put(path, bytes, cut);
        struct work *w = work_new();
        struct journal *j = open_journal(folder, "a", false);
        assert_int_equal(resume(j, w), lines ? lines - 1 : 0);
        bool goes_on = cut / step % 150 == 7; /* of the rest only some: each waits for the disk */
        if (goes_on)
            finish(j, w);
        else
            journal_close(j, NULL);
        work_free(w);
        if (goes_on) assert_int_equal(read_again(folder, "a"), REQUESTS);
    }
    free(bytes);
    free(path);
    folder_remove(folder);
}

/* One byte changed anywhere: no more than the line it is in is lost, or two where it was the end of one. */
static void test_flips(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    write_whole(folder, "a");
    char *path = journal_file(folder, 0);
    size_t n, step = test_items(REQUESTS + 1) < REQUESTS + 1 ? 11 : 1;
    char *bytes = slurp(path, &n);
    const size_t first = strcspn(bytes, "\n");
    for (size_t at = 0; at < n; at += step)
        for (int bit = 0; bit < 8; bit += 3) {
            bytes[at] ^= (char)(1 << bit);
            put(path, bytes, n);
            size_t done = read_again(folder, "a");
            bytes[at] ^= (char)(1 << bit);
            if (at < first)
                assert_int_equal(done, REQUESTS); /* the first line is for people */
            else
                assert_true(done < REQUESTS && done >= REQUESTS - 2);
        }
    free(bytes);
    free(path);
    folder_remove(folder);
}

/* Lines of another key, lines that are there twice, and lines that belong to no request. */
static void test_foreign_lines(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    write_whole(folder, "a");
    write_whole(folder, "b");
    char *one = journal_file(folder, 0), *other = journal_file(folder, 1);
    size_t n, m;
    char *a = slurp(one, &n), *b = slurp(other, &m);
    char *both = malloc(2 * n + m);
    memcpy(both, a, n);
    memcpy(both + n, b, m);
    memcpy(both + n + m, a, n);
    put(one, both, 2 * n + m);
    put(other, both, n);
    size_t with = read_again(folder, "a") + read_again(folder, "b");
    assert_int_equal(with, REQUESTS); /* of either file only its own key's */
    put(one, a, n);
    put(other, b, m);
    /* a suite that has grown smaller under the same key */
    struct work *w = work_new();
    w->q.n_groups = 1;
    w->q.n_generations = 2;
    w->groups[0].n_parts = 2;
    w->texts[1].limit = 4;
    struct error e;
    struct journal *j = open_journal(folder, "a", false);
    assert_ok(journal_resume(j, &w->q, VOCAB, &e), &e);
    assert_false(w->groups[0].done);
    assert_non_null(w->texts[0].ended);
    assert_null(w->texts[1].ended);
    journal_close(j, NULL);
    work_free(w);
    /* a model that has fewer tokens */
    w = work_new();
    j = open_journal(folder, "a", false);
    assert_ok(journal_resume(j, &w->q, 20, &e), &e);
    assert_non_null(w->texts[4].ended); /* 0 7 14 */
    assert_null(w->texts[2].ended);
    journal_close(j, NULL);
    work_free(w);
    free(a);
    free(b);
    free(both);
    free(one);
    free(other);
    folder_remove(folder);
}

/* A full disk, for which a limit on the size of files stands: what was written before is whole, and counts. */
static void test_full_disk(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct work *w = work_new();
    struct journal *j = open_journal(folder, "a", false);
    tight = before;
    tight.rlim_cur = 500;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    size_t written = 0;
    int status = 0;
    for (; written < GROUPS && !status; written += !status) {
        run_group(w, written);
        status = journal_group(j, written, &w->groups[written], &e);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_error(status, &e, ERROR_IO, "quiz-");
    assert_non_null(strstr(e.text, "make room"));
    assert_true(written > 0);
    journal_close(j, NULL);
    assert_int_equal(read_again(folder, "a"), written);
    work_free(w);
    char *path = journal_file(folder, 0);
    size_t n;
    char *bytes = slurp(path, &n);
    assert_int_equal(bytes[n - 1], '\n');
    free(bytes);
    free(path);
    folder_remove(folder);
}

static void test_cannot_open(void **state)
{
    (void)state;
    char *folder = folder_temporary(), *file = file_put(folder, "file", "x", 1);
    struct error e;
    struct journal *j;
    json_t *parts = json_pack("{s:s}", "schema", "kerf-journal-1");
    assert_error(journal_open(&j, file, "quiz", parts, false, &e), &e, ERROR_IO, "file");
    assert_null(j);
    json_decref(parts);
    free(file);
    folder_remove(folder);
}

/* Another process waits neither long nor in silence; the end of the first, however it came, frees the folder. */
static void test_lock(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    int ready[2], leave[2];
    char byte = 0, words[32];
    struct error e;
    assert_int_equal(pipe(ready) | pipe(leave), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        byte = (char)journal_lock(folder, &e);
        if (write(ready[1], &byte, 1) == 1) (void)!read(leave[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 0);
    snprintf(words, sizeof words, "process %ld works in", (long)child);
    assert_error(journal_lock(folder, &e), &e, ERROR_IO, words);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    char *left = file_put(folder, "run.json.tmpa1B2c3", "{", 1), *mine = file_put(folder, "run.json", "{}", 2);
    assert_ok(journal_lock(folder, &e), &e);
    assert_false(path_exists(left)); /* whoever wrote it was killed */
    assert_true(path_exists(mine));
    free(left);
    free(mine);
    for (int i = 0; i < 2; i++) close(ready[i]), close(leave[i]);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_truncations),
                                       cmocka_unit_test(test_flips),      cmocka_unit_test(test_foreign_lines),
                                       cmocka_unit_test(test_full_disk),  cmocka_unit_test(test_cannot_open),
                                       cmocka_unit_test(test_lock)};
    return cmocka_run_group_tests_name("suites/journal", tests, NULL, NULL);
}
