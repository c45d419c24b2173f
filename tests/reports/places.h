/* Values at a place in a JSON document, "suites/0/name", for tests of what was read or written. */
#ifndef KERF_TESTS_REPORTS_PLACES_H
#define KERF_TESTS_REPORTS_PLACES_H

#include "engine/base/json.h"
#include "tests/testing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fails the test where nothing is there. */
static inline const json_t *at(const json_t *v, const char *path)
{
    char parts[128], *rest = parts;
    snprintf(parts, sizeof parts, "%s", path);
    for (const char *key; (key = strsep(&rest, "/"));)
        v = json_is_array(v) ? json_array_get(v, (size_t)atoi(key)) : json_object_get(v, key);
    if (!v) fail_msg("nothing at %s", path);
    return v;
}

/* `wanted`: compact JSON, with so many digits. */
static inline void assert_at(const json_t *v, const char *path, const char *wanted, size_t digits)
{
    char *got = json_dump_text(at(v, path), JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(digits), NULL);
    if (strcmp(got, wanted) != 0) fail_msg("%s is %s, not %s", path, got, wanted);
    free(got);
}

#endif
