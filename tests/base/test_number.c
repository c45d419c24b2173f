#include "engine/base/number.h"
#include "tests/testing.h"

#include <float.h>

static void test_whole(void **state)
{
    static const char *const good[] = {"0", "-1", "007", "9223372036854775807", "-9223372036854775808"};
    static const int64_t values[] = {0, -1, 7, INT64_MAX, INT64_MIN};
    static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "0x10", "1.0", "1e3", "9223372036854775808", "one"};
    int64_t v = 42;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(number_whole(bad[i], &v));
    assert_int_equal(v, 42);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(number_whole(good[i], &v));
        assert_int_equal(v, values[i]);
    }
}

static void test_real(void **state)
{
    static const char *const good[] = {"0", "-.5", "5.", "1e3", "1.25E-2", "00.5", "1e-999"};
    static const double values[] = {0, -.5, 5, 1000, .0125, .5, 0};
    static const char *const bad[] = {"",   ".",  "-",     "e5",  "1e",  "1e+",  "+1",
                                      " 1", "1 ", "0x1p3", "inf", "nan", "1e999"};
    double v = 42;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (number_real(bad[i], &v)) fail_msg("\"%s\" is no number", bad[i]);
    assert_near(v, 42, 0, "untouched");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(number_real(good[i], &v));
        assert_near(v, values[i], 0, good[i]);
    }
}

static void test_shortest(void **state)
{
    static const double values[] = {0, 0.1, 0.7, -2.5, 1.0 / 3, 1e-7, 123456, DBL_MAX, DBL_MIN, 0.30000000000000004};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        double again;
        assert_true(number_real(number_shortest(values[i]).digits, &again));
        assert_near(again, values[i], 0, "read back");
    }
    assert_string_equal(number_shortest(0.7).digits, "0.7");
    assert_string_equal(number_shortest(-2.50).digits, "-2.5");
    assert_string_equal(number_shortest(0.30000000000000004).digits, "0.30000000000000004");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_shortest),
    };
    return cmocka_run_group_tests_name("base/number", tests, NULL, NULL);
}
