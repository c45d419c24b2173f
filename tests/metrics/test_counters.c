/* What needs no PMU: Linux's own counts, and energy from a made-up powercap folder. */
#include "engine/base/file.h"
#include "metrics/counters/counters.h"
#include "tests/testing.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct counters *open_from(const char *powercap)
{
    struct error e;
    struct counters *c;
    assert_ok(counters_open(&c, &(struct counters_options){.powercap = powercap, .threads = 2}, &e), &e);
    return c;
}

static size_t find(const struct counters *c, const char *name)
{
    const int i = counters_find(c, name);
    assert_true(i >= 0);
    return (size_t)i;
}

static uint64_t since(const struct counters *c, const struct counter_values *a, const struct counter_values *b,
                      const char *name, int thread)
{
    return counter_since(c, a, b, thread, find(c, name));
}

/* --- software --- */

/* Processor time of one's own thread, in seconds: of which the spinning lasts as long as it is told. */
static double own_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void spin(double seconds)
{
    for (const double end = own_seconds() + seconds; own_seconds() < end;)
        ;
}

static void test_task_clock(void **state)
{
    (void)state;
    struct counters *c = open_from(NULL);
    struct counter_values *before = counters_values(c), *after = counters_values(c);
    counters_read(c, COUNTERS_ALL, before);
#pragma omp parallel num_threads(2)
    if (omp_get_thread_num() == 1) spin(0.05);
    counters_read(c, COUNTERS_HARDWARE, after);
    assert_in_range(since(c, before, after, "task_clock", 1), 50000000, 5000000000);
    counters_read(c, COUNTERS_ALL, before);
    spin(0.05);
    counters_read(c, COUNTERS_ALL, after);
    assert_in_range(since(c, before, after, "task_clock", 0), 50000000, 5000000000);
    assert_true(since(c, before, after, "task_clock", 1) < 50000000);
    assert_int_equal(counters_at(c, find(c, "task_clock"))->scope, COUNTER_THREADS);
    free(before);
    free(after);
    counters_close(c);
}

static void test_process(void **state)
{
    (void)state;
    enum { PAGES = 2000 };
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct counters *c = open_from(NULL);
    struct counter_values *before = counters_values(c), *after = counters_values(c);
    counters_read(c, COUNTERS_ALL, before);
    char *fresh = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(fresh != MAP_FAILED);
    madvise(fresh, PAGES * page, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < PAGES; i++) fresh[i * page] = 1;
    for (int i = 0; i < 20; i++) nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    /* These are read with everything alone. */
    counters_read(c, COUNTERS_HARDWARE, after);
    assert_int_equal(since(c, before, after, "page_faults", 0), 0);
    counters_read(c, COUNTERS_ALL, after);
    assert_in_range(since(c, before, after, "page_faults", 0), PAGES, PAGES + 1000);
    assert_in_range(since(c, before, after, "context_switches", 0), 20, 100000);
    assert_true(since(c, before, after, "page_faults_major", 0) <= since(c, before, after, "page_faults", 0));
    assert_true(since(c, before, after, "context_switches_forced", 0) <=
                since(c, before, after, "context_switches", 0));
    assert_true(since(c, before, after, "page_faults", 1) == 0);
    /* A level is not a difference. */
    assert_in_range(since(c, after, after, "peak_resident", 0), PAGES * page, (uint64_t)1 << 40);
    munmap(fresh, PAGES * page);
    free(before);
    free(after);
    counters_close(c);
}

/* Threads of OpenMP that end take their clocks with them: counted no more, and said so. */
static void *open_and_end(void *out)
{
    *(struct counters **)out = open_from(NULL);
    return NULL;
}

static void test_thread_ended(void **state)
{
    (void)state;
    struct counters *c = NULL;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_and_end, &c), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(c);
    struct counter_values *v = counters_values(c);
    for (int tries = 0; tries < 200 && !counters_at(c, find(c, "task_clock"))->reason[0]; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        counters_read(c, COUNTERS_ALL, v);
    }
    assert_non_null(strstr(counters_at(c, find(c, "task_clock"))->reason, "ended while it was counted"));
    assert_false(counter_active(c, v, find(c, "task_clock")));
    assert_true(counter_active(c, v, find(c, "page_faults")));
    free(v);
    counters_close(c);
}

/* --- energy --- */

static void put(const char *folder, const char *zone, const char *name, const char *text)
{
    struct error e;
    char *path = path_join(folder, zone, &e);
    assert_non_null(path);
    assert_ok(folder_make(path, &e), &e);
    /* In place: the counters hold the file open, as they do one of sysfs. */
    char *file = path_join(path, name, &e);
    assert_non_null(file);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(file);
    free(path);
}

static void put_zone(const char *folder, const char *zone, const char *name, const char *energy)
{
    put(folder, zone, "name", name);
    put(folder, zone, "energy_uj", energy);
    put(folder, zone, "max_energy_range_uj", "1000000\n");
}

static void assert_energy(struct counters *c, uint64_t package, uint64_t dram)
{
    struct counter_values *v = counters_values(c), *zero = counters_values(c);
    counters_read(c, COUNTERS_ALL, v);
    assert_int_equal(since(c, zero, v, "energy_package", 0), package);
    assert_int_equal(since(c, zero, v, "energy_dram", 0), dram);
    assert_int_equal(since(c, zero, v, "energy_dram", 1), 0);
    free(v);
    free(zero);
}

static void assert_reason(const struct counters *c, const char *name, const char *part)
{
    const struct counter *one = counters_at(c, find(c, name));
    if (!strstr(one->reason, part) || (!*part && *one->reason))
        fail_msg("%s: \"%s\" instead of \"%s\"", name, one->reason, part);
    assert_int_equal(one->reason[0] == 0, one->source[0] != 0);
}

/* Two sockets with memory each, of which the counters wrap on their own. */
static void test_energy(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    put_zone(folder, "intel-rapl:0", "package-0\n", "100\n");
    put_zone(folder, "intel-rapl:1", "package-1\n", "999000\n");
    put_zone(folder, "intel-rapl:0:0", "core\n", "5\n");
    put_zone(folder, "intel-rapl:0:1", "dram\n", "7\n");
    put_zone(folder, "intel-rapl-mmio:0", "package-0\n", "100\n"); /* the same by another way */
    put_zone(folder, "intel-rapl:2", "psys\n", "100\n");
    struct counters *c = open_from(folder);
    const struct counter *package = counters_at(c, find(c, "energy_package"));
    assert_reason(c, "energy_package", "");
    assert_string_equal(package->source, "intel-rapl:0, intel-rapl:1");
    assert_int_equal(package->scope, COUNTER_MACHINE);
    assert_string_equal(package->unit, "uJ");
    assert_string_equal(counters_at(c, find(c, "energy_dram"))->source, "intel-rapl:0:1");
    assert_energy(c, 0, 0);
    put(folder, "intel-rapl:0", "energy_uj", "250\n");
    put(folder, "intel-rapl:0:0", "energy_uj", "999\n");
    put(folder, "intel-rapl:2", "energy_uj", "999\n");
    put(folder, "intel-rapl-mmio:0", "energy_uj", "999\n");
    assert_energy(c, 150, 0);
    put(folder, "intel-rapl:1", "energy_uj", "500\n"); /* past its end: 1000 and 500 */
    put(folder, "intel-rapl:0:1", "energy_uj", "999999\n");
    assert_energy(c, 150 + 1500, 999992);
    put(folder, "intel-rapl:0:1", "energy_uj", "6\n");
    assert_energy(c, 1650, 999992 + 7);
    /* What can be read no more stays as it is, also where it comes back. */
    put(folder, "intel-rapl:1", "energy_uj", "\n");
    put(folder, "intel-rapl:0:1", "energy_uj", "16\n");
    assert_energy(c, 1650, 999992 + 17);
    assert_non_null(strstr(package->reason, "read no more"));
    put(folder, "intel-rapl:1", "energy_uj", "900000\n");
    assert_energy(c, 1650, 999992 + 17);
    counters_close(c);
    folder_remove(folder);
}

static void test_energy_absent(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct counters *c = open_from("/nowhere/powercap");
    assert_reason(c, "energy_package", "no RAPL: /nowhere/powercap is not there");
    counters_close(c);
    c = open_from(folder);
    assert_reason(c, "energy_dram", "has no zone intel-rapl:N");
    counters_close(c);

    put_zone(folder, "intel-rapl:0", "package-0\n", "10\n");
    c = open_from(folder);
    assert_reason(c, "energy_package", "");
    assert_reason(c, "energy_dram", "RAPL has no zone for memory here");
    counters_close(c);

    /* One socket of two is not the machine's energy. */
    put(folder, "intel-rapl:1", "name", "package-1\n");
    c = open_from(folder);
    assert_reason(c, "energy_package", "not readable: No such file");
    counters_close(c);
    put(folder, "intel-rapl:1", "energy_uj", "many\n");
    c = open_from(folder);
    assert_reason(c, "energy_package", "not readable: Invalid");
    counters_close(c);
    folder_remove(folder);
}

/* As it is on most machines: root's alone. */
static void test_energy_refused(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    put_zone(folder, "intel-rapl:0", "package-0\n", "10\n");
    char path[512];
    snprintf(path, sizeof path, "%s/intel-rapl:0/energy_uj", folder);
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    const bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    struct counters *c = open_from(folder);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_reason(c, "energy_package", "not readable: Permission denied: root or chmod a+r ");
    assert_reason(c, "energy_package", "/intel-rapl:0/energy_uj");
    counters_close(c);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_task_clock), cmocka_unit_test(test_process),       cmocka_unit_test(test_thread_ended),
        cmocka_unit_test(test_energy),     cmocka_unit_test(test_energy_absent), cmocka_unit_test(test_energy_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
