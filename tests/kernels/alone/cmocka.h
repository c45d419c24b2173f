/* What the kernels' checks use of cmocka, for machines that it is not built for (test_neon.sh puts this folder before
 * the system's). A check that fails ends its test; the program fails in the end. */
#ifndef KERF_TESTS_KERNELS_ALONE_CMOCKA_H
#define KERF_TESTS_KERNELS_ALONE_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

/* One for the whole program: testing.c has its own checks. */
extern jmp_buf test_end;

#define cmocka_unit_test(function)                                                                                     \
    {                                                                                                                  \
#function, function                                                                                            \
    }
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                                      \
    run_tests(name, tests, (int)(sizeof(tests) / sizeof *(tests)))

#define print_message(...) printf(__VA_ARGS__)
#define fail_msg(...) (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n"), longjmp(test_end, 1))
#define skip() longjmp(test_end, 2)
#define assert_true(x) ((x) ? (void)0 : fail_msg("not true: %s", #x))
#define assert_false(x) assert_true(!(x))
#define assert_null(x) assert_true(!(x))
#define assert_non_null(x) assert_true(x)
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_int_not_equal(a, b) assert_true((long long)(a) != (long long)(b))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)
#define assert_memory_not_equal(a, b, n) assert_true(memcmp(a, b, n) != 0)

int run_tests(const char *name, const struct CMUnitTest *tests, int count);

#endif
