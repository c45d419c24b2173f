#include <cmocka.h>

jmp_buf test_end;

int run_tests(const char *name, const struct CMUnitTest *tests, int count)
{
    volatile int failed = 0;
    for (volatile int i = 0; i < count; i++) {
        printf("%s: %s\n", name, tests[i].name);
        int end = setjmp(test_end);
        if (end == 0) tests[i].run(NULL);
        if (end == 1) failed++;
        fflush(stdout);
    }
    printf("%s: %d of %d tests failed\n", name, failed, count);
    return failed;
}
