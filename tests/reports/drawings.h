/* What the tests of charts share: a gnuplot of their own, found before the real one, and what a drawing must be.
 *
 *     cmocka_run_group_tests(tests, setup, teardown)
 *     cmocka_unit_test_teardown(test_x, restore)        where put_gnuplot() or put_recorder() is called */
#ifndef KERF_TESTS_REPORTS_DRAWINGS_H
#define KERF_TESTS_REPORTS_DRAWINGS_H

#include "tests/reports/edit.h"

#include "reports/charts/charts.h"
#include <sys/stat.h>

/* --- the tests' own gnuplot --- */

static char usual_path[4096], *fakes;

static inline int setup(void **state)
{
    const char *path = getenv("PATH");
    snprintf(usual_path, sizeof usual_path, "%s", path ? path : "/usr/bin:/bin");
    fakes = folder_temporary();
    return 0;
}

static inline int teardown(void **state)
{
    folder_remove(fakes);
    return 0;
}

/* A shell script that is called gnuplot, found before the real one; NULL: there is none at all. */
static inline void put_gnuplot(const char *script)
{
    char text[1 << 14], path[8192];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script ? script : "");
    char *file = file_put(fakes, "gnuplot", text, strlen(text));
    if (script)
        assert_int_equal(chmod(file, 0755), 0);
    else
        assert_int_equal(remove(file), 0);
    free(file);
    snprintf(path, sizeof path, script ? "%s:%s" : "%s", fakes, usual_path);
    setenv("PATH", path, 1);
}

static inline int restore(void **state)
{
    setenv("PATH", usual_path, 1);
    return 0;
}

/* Skips the test where gnuplot is not installed, with the reason. */
static inline void need_gnuplot(void)
{
    struct error e;
    if (charts_try(&e) == 0) return;
    print_message("%s\n", e.text);
    skip();
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text);
}

static inline void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part)) fail_msg("\"%s\" in:\n%s", part, text);
}

static inline void assert_balanced(const char *xml)
{
    char open[32][16];
    size_t depth = 0;
    for (const char *s = xml; (s = strchr(s, '<')); s++) {
        const char *end = strchr(s, '>');
        assert_non_null(end);
        const bool closes = s[1] == '/';
        char name[16] = "";
        assert_int_equal(sscanf(s + 1 + closes, "%15[a-z]", name), 1);
        if (closes) {
            assert_true(depth > 0);
            assert_string_equal(name, open[--depth]);
        } else if (end[-1] != '/') {
            assert_true(depth < 32);
            memcpy(open[depth++], name, sizeof name);
        }
    }
    assert_int_equal(depth, 0);
}

static inline void assert_embeddable(const struct text *svg)
{
    const char *s = text_c(svg);
    static const char *const refused[] = {
        "<?xml", "<!", "nuplot", " width=", "style=", "<g", "@0@", "nan", "inf", "black"};
    assert_true(svg->length < 60000);
    assert_int_equal(strncmp(s, "<svg ", 5), 0);
    assert_balanced(s);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) assert_lacks(s, refused[i]);
    assert_has(s, "viewBox=\"0 0 420 ");
    assert_has(s, "role=\"img\" aria-labelledby=\"chart-");
    assert_has(s, "<desc id=\"chart-");
}

/* The real gnuplot, by a script that keeps what it is told. */
static inline void put_recorder(void)
{
    char script[12288];
    snprintf(script, sizeof script, "tee -a %s/record | PATH='%s' gnuplot \"$@\"", fakes, usual_path);
    put_gnuplot(script);
}

/* Of names: what the recorder kept is plain numbers and commands. */
static inline void assert_gnuplot_told_nothing(void)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/record", fakes);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = 0;
    for (int byte; (byte = fgetc(f)) != EOF; n++)
        if (byte >= 0x80 || strchr("`;!\\\"", byte)) fail_msg("gnuplot was told 0x%02X at byte %zu", byte, n);
    fclose(f);
    assert_true(n > 1000);
}

#endif
