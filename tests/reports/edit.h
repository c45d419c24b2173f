/* Comparisons for the report tests: the small golden one, with single fields replaced. */
#ifndef KERF_TESTS_REPORTS_EDIT_H
#define KERF_TESTS_REPORTS_EDIT_H

#include "engine/base/text.h"
#include "tests/testing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARISON "tests/goldens/compare-small.json"

/* Puts the JSON text `value` at a path such as "rows/0/cells/1/value", or removes what is there where value is NULL. */
static inline void edit(json_t *document, const char *path, const char *value)
{
    char parts[128], *rest = parts;
    snprintf(parts, sizeof parts, "%s", path);
    json_t *at = document, *v = value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    if (value && !v) fail_msg("not JSON: %s", value);
    for (char *key = strsep(&rest, "/"); rest; key = strsep(&rest, "/"))
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
    const char *last = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    int failed;
    if (json_is_array(at))
        failed = v ? json_array_set_new(at, (size_t)atoi(last), v) : json_array_remove(at, (size_t)atoi(last));
    else
        failed = v ? json_object_set_new(at, last, v) : json_object_del(at, last);
    if (failed) fail_msg("no such place: %s", path);
}

/* The first n subjects; past the golden's four, copies of its last one under the names @copy:4, @copy:5, ... */
static inline void resize_subjects(json_t *document, size_t n)
{
    json_t *subjects = json_object_get(document, "subjects"), *rows = json_object_get(document, "rows"), *row;
    size_t i;
    for (size_t j = json_array_size(subjects); j < n; j++) {
        json_t *copy = json_deep_copy(json_array_get(subjects, j - 1));
        char name[64];
        snprintf(name, sizeof name, "millbrook-llama@copy:%zu", j);
        json_object_set_new(copy, "name", json_string(name));
        json_array_append_new(subjects, copy);
        json_array_foreach(rows, i, row)
        {
            json_t *cells = json_object_get(row, "cells");
            json_array_append_new(cells, json_deep_copy(json_array_get(cells, j - 1)));
        }
    }
    while (json_array_size(subjects) > n) {
        json_array_remove(subjects, n);
        json_array_foreach(rows, i, row) json_array_remove(json_object_get(row, "cells"), n);
    }
}

/* Compares whole with a golden text file. KERF_GOLDENS_WRITE=1 writes the file instead, to be read before it is kept.
 */
static inline void assert_golden_text(const char *path, const char *text)
{
    if (getenv("KERF_GOLDENS_WRITE")) {
        FILE *out = fopen(path, "wb");
        if (!out || fputs(text, out) == EOF || fclose(out)) fail_msg("cannot write %s", path);
        return;
    }
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("no golden %s", path);
    static char expected[1 << 16];
    expected[fread(expected, 1, sizeof expected - 1, f)] = 0;
    fclose(f);
    assert_string_equal(text, expected);
}

/* Nothing that a terminal or a reader's eye would be led astray by: of control characters only line ends. */
static inline void assert_harmless(const char *text)
{
    for (const char *s = text; *s; s++)
        if ((unsigned char)*s < 0x20 && *s != '\n') fail_msg("control character 0x%02X in: %s", *s, text);
    for (const char *s = text; (s = strstr(s, "\xE2\x80")); s += 3)
        if ((unsigned char)s[2] >= 0xAA && (unsigned char)s[2] <= 0xAE) fail_msg("bidi override in: %s", text);
}

/* A name with what each sink must defuse. */
#define HOSTILE "\"=cmd()|\\u001b[31m<script>`x`\\u202e[a](b)\\n&\\\\\""

#endif
