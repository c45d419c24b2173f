/* Profiles for the report tests: one of a machine with hardware counters, some of which took turns, and one of a machine
 * without.
 *
 *     json_t *v = profiled_comparison();     subjects 0 and 1 have one, the others none
 *     ...
 *     json_decref(v); */
#ifndef KERF_TESTS_REPORTS_PROFILE_H
#define KERF_TESTS_REPORTS_PROFILE_H

#include "tests/reports/edit.h"

#define PROFILE_COUNTED "tests/goldens/profile-counted.json"
#define PROFILE_UNCOUNTED "tests/goldens/profile-uncounted.json"

/* "profile" and the counters that go with it into a subject of a comparison, or into a run. */
static inline void profile_into(json_t *subject, const char *path)
{
    json_t *whole = golden(path), *counters = json_object_get(subject, "counters");
    if (!json_is_object(counters)) json_object_set_new(subject, "counters", counters = json_object());
    if (json_object_set(subject, "profile", json_object_get(whole, "profile")) ||
        json_object_update(counters, json_object_get(whole, "counters")))
        fail_msg("%s: no profile", path);
    json_decref(whole);
}

static inline json_t *profiled_comparison(void)
{
    json_t *v = golden(COMPARISON), *subjects = json_object_get(v, "subjects");
    profile_into(json_array_get(subjects, 0), PROFILE_COUNTED);
    profile_into(json_array_get(subjects, 1), PROFILE_UNCOUNTED);
    return v;
}

#endif
