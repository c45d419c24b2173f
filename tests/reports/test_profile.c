#include "tests/reports/boards.h"
#include "tests/reports/profile.h"

#include "reports/cells.h"
#include "reports/profile.h"
#include "reports/report.h"

#include <math.h>

/* The profile alone, to be released. */
static json_t *profile_of(const char *path)
{
    json_t *whole = golden(path), *profile = json_incref(json_object_get(whole, "profile"));
    json_decref(whole);
    return profile;
}

static char *table_of(const json_t *profile, int width)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_profile(profile, &(struct table_style){.width = width}, &out, &e), &e);
    return out.bytes;
}

static void assert_width(const char *text, size_t most)
{
    for (const char *s = text; *s; s += strcspn(s, "\n") + 1) {
        const size_t n = strcspn(s, "\n");
        if (utf8_length(s, n) > most) fail_msg("wider than %zu: %.*s", most, (int)n, s);
        if (n && s[n - 1] == ' ') fail_msg("space at the end of: %.*s|", (int)n, s);
        if (!s[n]) return;
    }
}

/* --- reading --- */

static const struct report_group *group_of(const struct report_profile *p, const char *phase, const char *part)
{
    for (size_t i = 0; i < p->n_groups; i++)
        if (!strcmp(p->groups[i].phase, phase) && !strcmp(p->groups[i].part, part)) return &p->groups[i];
    fail_msg("no group %s %s", phase, part);
    return NULL;
}

static void test_reading(void **state)
{
    (void)state;
    json_t *v = profile_of(PROFILE_COUNTED);
    struct report_profile p;
    struct error e;
    assert_ok(report_profile_read(&p, v, "profile", &e), &e);
    assert_near(p.seconds, 7.07, 1e-12, "seconds");
    assert_int_equal(p.threads, 2);
    assert_int_equal(p.tokens, 9944);
    assert_false(p.resumed);
    assert_true(isnan(p.beside));
    assert_null(p.note);
    assert_null(p.no_roofline);
    assert_int_equal(p.n_counters, 14);
    assert_int_equal(p.n_phases, 8);
    assert_int_equal(p.n_groups, 24);
    assert_int_equal(p.n_layers, 14);
    assert_int_equal(p.n_peaks, 2);
    assert_string_equal(p.peaks[1].kind, "int8");
    assert_near(p.read_gb_per_second, 42, 0, "read");
    assert_near(p.per_token.l3_misses, 10819.7981, 1e-6, "L3 misses a token");

    const struct report_group *down = group_of(&p, "prefill", "down");
    assert_string_equal(down->shape, "512x1408");
    assert_int_equal(down->layers, 6);
    assert_string_equal(down->limit.name, "fma-512");
    assert_near(down->limit.share, 0.514925714, 1e-12, "share of the limit");
    const struct report_counted misses = report_counted_in(&down->figures, "l3_misses");
    assert_near(misses.value, 8790062, 0, "L3 misses");
    assert_near(misses.share, 0.331, 0, "their share");
    assert_near(report_ipc(&down->figures).value, 14650104000.0 / 5051760000.0, 1e-12, "IPC");
    assert_near(report_ipc(&down->figures).share, 1, 0, "of IPC");
    /* never seen, and not there */
    const struct report_group *rope = group_of(&p, "prefill", "rope");
    assert_true(isnan(report_counted_in(&rope->figures, "l3_misses").value));
    assert_true(isnan(report_counted_in(&rope->figures, "dtlb_misses").value));
    assert_true(isnan(rope->gflop_per_second) && isnan(rope->limit.share));
    assert_string_equal(rope->limit.name, "");
    assert_string_equal(report_counter_find(&p, "dtlb_misses")->reason, "no event of this machine counts it");
    assert_null(report_counter_find(&p, "cycles")->reason);
    assert_null(report_counter_find(&p, "no such"));

    assert_int_equal(p.layers[0].layer, -1);
    assert_int_equal(p.layers[1].layer, 0);
    assert_int_equal(p.layers[1].n_parts, 10);
    assert_string_equal(p.layers[1].parts[0].part, "q k v");
    assert_near(p.layers[1].parts[0].seconds, 0.11305, 1e-12, "seconds of a part");
    assert_near(report_profile_least_share(&p), 0.171, 0, "the least share");
    assert_near(report_passes_share(&p, "l2_misses"), 0.331, 0, "that of passes");
    assert_near(report_passes_share(&p, "instructions"), 1, 0, "that of passes");
    report_profile_close(&p);
    json_decref(v);

    v = profile_of(PROFILE_UNCOUNTED);
    assert_ok(report_profile_read(&p, v, "profile", &e), &e);
    assert_non_null(strstr(p.note, "no performance counters"));
    assert_true(isnan(p.per_token.instructions));
    assert_true(isnan(report_ipc(&p.phases[0].figures).value));
    assert_near(report_profile_least_share(&p), 1, 0, "the least share");
    report_profile_close(&p);
    json_decref(v);
}

static void test_corrupt(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *words;
    } cases[] = {
        {"seconds", NULL, "profile: seconds: is missing; a number or null would be right"},
        {"seconds", "-1", "profile: seconds: is a whole number; one that is not negative"},
        {"overhead", "\"x\"", "overhead: is a string"},
        {"threads", "1.5", "threads: is a real number; a whole number or null"},
        {"tokens", "-3", "tokens: is a whole number; one that is not negative"},
        {"resumed", "1", "resumed: is a whole number; true, false or null"},
        {"beside", "true", "beside: is true; a number or null"},
        {"note", "[]", "note: is an array; a string or null"},
        {"counters", NULL, "counters: is missing; an array"},
        {"counters/1", "null", "counters[1].name: is missing; a string"},
        {"counters/1/name", "7", "counters[1].name: is a whole number"},
        {"counters/1/unit", NULL, "counters[1].unit: is missing"},
        {"counters/1/source", "{}", "counters[1].source: is an object; a string or null"},
        {"counters/1/scope", NULL, "counters[1].scope"},
        {"counters/1/reason", "0", "counters[1].reason: is a whole number; a string or null"},
        {"phases", "{}", "phases: is an object; an array"},
        {"phases/2", "[]", "phases[2].phase: is missing"},
        {"phases/2/phase", "null", "phases[2].phase: is null; a string"},
        {"phases/2/seconds", "-0.5", "phases[2].seconds: is a real number; one that is not negative"},
        {"phases/2/times", "\"2\"", "phases[2].times: is a string"},
        {"phases/2/flop", NULL, "phases[2].flop: is missing"},
        {"phases/2/values", NULL, "phases[2].values: is missing; an object"},
        {"phases/2/values", "[1]", "phases[2].values: is an array; an object"},
        {"phases/2/values/cycles", "3", "phases[2].values.cycles: is a whole number; an object"},
        {"phases/2/values/cycles/value", "\"9\"", "phases[2].values.cycles.value: is a string; a number or null"},
        {"phases/2/values/cycles/share", "1.5", "phases[2].values.cycles.share: is a real number; one from 0 to 1"},
        {"phases/2/values/cycles/threads", "7", "phases[2].values.cycles.threads: is a whole number; an array"},
        {"phases/2/values/cycles/threads", "[true]", "phases[2].values.cycles.threads: is an array; one of numbers"},
        {"groups", "null", "groups: is null; an array"},
        {"groups/3/part", NULL, "groups[3].part: is missing"},
        {"groups/3/weights", "1", "groups[3].weights: is a whole number; a string"},
        {"groups/3/shape", "[]", "groups[3].shape: is an array; a string"},
        {"groups/3/layers", "2.5", "groups[3].layers: is a real number"},
        {"groups/3/flop_per_byte", "\"\"", "groups[3].flop_per_byte: is a string"},
        {"groups/3/gb_per_second", "-1", "groups[3].gb_per_second: is a whole number; one that is not negative"},
        {"groups/3/limit", "\"read\"", "groups[3].limit: is a string; an object or null"},
        {"groups/3/limit/name", "null", "groups[3].limit.name: is null; a string"},
        {"groups/3/limit/share", "false", "groups[3].limit.share: is false; a number or null"},
        {"layers/1/layer", "-2", "layers[1].layer: is a whole number; a whole number from -1 on"},
        {"layers/1/layer", "null", "layers[1].layer: is null"},
        {"layers/1/parts", "[]", "layers[1].parts: is an array; an object"},
        {"layers/1/parts/rope", "\"long\"", "layers[1].parts.rope: is a string; a number or null"},
        {"roofline", "[]", "roofline: is an array; an object or null"},
        {"roofline/read_gb_per_second", NULL, "roofline.read_gb_per_second: is missing"},
        {"roofline/peaks", "{}", "roofline.peaks: is an object; an array"},
        {"roofline/peaks/1/value", "\"fast\"", "roofline.peaks[1].value: is a string; a number or null"},
        {"per_token", NULL, "per_token: is missing; an object"},
        {"per_token/bytes", "{}", "per_token.bytes: is an object; a number or null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = profile_of(PROFILE_COUNTED);
        struct report_profile p;
        struct text out = {0};
        struct error e;
        edit(v, cases[i].path, cases[i].value);
        assert_error(report_profile_read(&p, v, "profile", &e), &e, ERROR_INPUT, cases[i].words);
        assert_error(report_profile(v, &(struct table_style){.width = 80}, &out, &e), &e, ERROR_INPUT, cases[i].words);
        assert_null(out.bytes);
        json_decref(v);
    }
    struct report_profile p;
    struct error e;
    json_t *list = json_array();
    assert_error(report_profile_read(&p, list, "profile", &e), &e, ERROR_INPUT, "profile: is no object");
    assert_error(report_profile_read(&p, NULL, "profile", &e), &e, ERROR_INPUT, "profile: is no object");
    json_decref(list);
}

static void test_corrupt_in_records(void **state)
{
    (void)state;
    json_t *v = profiled_comparison();
    struct report r;
    struct error e;
    edit(v, "subjects/1/profile/phases/0/seconds", "\"x\"");
    assert_error(report_read_comparison(&r, v, &e), &e, ERROR_INPUT,
                 "comparison: subjects[1].profile: phases[0].seconds: is a string; a number or null would be right");
    edit(v, "subjects/1/profile", "3");
    assert_error(report_read_comparison(&r, v, &e), &e, ERROR_INPUT,
                 "comparison: subjects[1].profile: is a whole number; an object or null would be right");
    json_decref(v);
    v = golden("tests/goldens/run-small.json");
    edit(v, "profile", "{}");
    assert_error(report_read_run(&r, v, &e), &e, ERROR_INPUT, "run: profile: seconds: is missing");
    json_decref(v);
}

/* --- its table --- */

static void test_tables(void **state)
{
    (void)state;
    static const struct {
        const char *profile;
        int width;
        const char *path;
    } cases[] = {{PROFILE_COUNTED, 140, "tests/goldens/report-profile-140.txt"},
                 {PROFILE_COUNTED, 60, "tests/goldens/report-profile-60.txt"},
                 {PROFILE_UNCOUNTED, 100, "tests/goldens/report-profile-uncounted.txt"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = profile_of(cases[i].profile);
        char *text = table_of(v, cases[i].width);
        assert_golden_text(cases[i].path, text);
        free(text);
        json_decref(v);
    }
}

static void test_widths(void **state)
{
    (void)state;
    static const char *const paths[] = {PROFILE_COUNTED, PROFILE_UNCOUNTED};
    for (size_t i = 0; i < 2; i++) {
        json_t *v = profile_of(paths[i]);
        for (int width = 60; width <= 200; width++) {
            char *text = table_of(v, width);
            assert_width(text, (size_t)width);
            assert_non_null(strstr(text, "gate and up"));
            assert_non_null(strstr(text, "of limit"));
            free(text);
        }
        /* of no width, and narrower than its least: still a table */
        for (int width = -1; width < 60; width += 12) {
            char *text = table_of(v, width);
            assert_non_null(strstr(text, "gate and up"));
            free(text);
        }
        json_decref(v);
    }
}

static void test_absence(void **state)
{
    (void)state;
    json_t *v = profile_of(PROFILE_UNCOUNTED);
    edit(v, "roofline", "null");
    edit(v, "roofline_reason", "\"--no-machine\"");
    edit(v, "resumed", "true");
    edit(v, "beside", "1.25");
    edit(v, "tokens", "null");
    edit(v, "per_token",
         "{\"instructions\": null, \"l1d_misses\": null, \"l2_misses\": null, \"l3_misses\": null,"
         "\"energy_joules\": null, \"task_clock_seconds\": null, \"bytes\": null}");
    char *text = table_of(v, 200);
    assert_non_null(strstr(text, "profile: 4.66 s, 2 threads, of a run that goes on from one that was interrupted, "
                                 "1.25 s of them the baseline's model beside (in \"other\"); reading"));
    assert_non_null(strstr(text, "limits not known: --no-machine\n"));
    assert_non_null(strstr(text, "per token: not known, since the run goes on from one that was interrupted\n"));
    assert_non_null(strstr(text, "no hardware counters: this machine has no performance counters that PAPI knows"));
    assert_non_null(strstr(text, "no energy_package: /sys/class/powercap is not there\n"));
    /* nothing is invented: no column of hardware, no mark of scaling */
    assert_null(strstr(text, "IPC"));
    assert_null(strstr(text, "M instr"));
    assert_null(strstr(text, "~"));
    free(text);
    edit(v, "groups", "[]");
    edit(v, "phases", "[]");
    edit(v, "layers", "[]");
    text = table_of(v, 80);
    assert_null(strstr(text, "kernel"));
    free(text);
    json_decref(v);
}

static void test_hostile(void **state)
{
    (void)state;
    static const char *const places[] = {
        "note",           "counters/7/name",       "counters/7/reason",    "phases/3/phase",      "groups/0/phase",
        "groups/0/part",  "groups/1/weights",      "groups/1/shape",       "groups/1/limit/name", "groups/1/limit/unit",
        "layers/0/phase", "roofline/peaks/0/name", "roofline/peaks/0/unit"};
    json_t *v = profile_of(PROFILE_COUNTED);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) edit(v, places[i], HOSTILE);
    for (int width = 60; width <= 200; width += 35) {
        char *text = table_of(v, width);
        assert_harmless(text);
        assert_non_null(strstr(text, "\\x1B"));
        free(text);
    }
    char name[5000];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    json_object_set_new(json_array_get(json_object_get(v, "groups"), 2), "part", json_string(name));
    json_object_set_new(json_array_get(json_object_get(v, "groups"), 2), "shape", json_string(name));
    json_object_set_new(json_array_get(json_object_get(v, "phases"), 3), "phase", json_string(name));
    char *text = table_of(v, 140);
    assert_true(strlen(text) < 30000);
    free(text);
    json_decref(v);
}

static void test_many(void **state)
{
    (void)state;
    json_t *v = profile_of(PROFILE_COUNTED), *groups = json_object_get(v, "groups"),
           *phases = json_object_get(v, "phases");
    edit(v, "groups/0/seconds", "1e300");
    edit(v, "groups/0/gflop_per_second", "1e300");
    for (size_t i = 0; i < 3000; i++) {
        json_array_append_new(groups, json_deep_copy(json_array_get(groups, 1)));
        json_array_append_new(phases, json_deep_copy(json_array_get(phases, 1)));
    }
    char *text = table_of(v, 140);
    assert_true(strlen(text) < 40000);
    assert_non_null(strstr(text, "and 2960 more\n"));
    assert_non_null(strstr(text, "and 2976 smaller, "));
    free(text);
    json_decref(v);
}

/* --- costs in the other reports --- */

static char *comparison_table(json_t *v, int width)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_table(v, &(struct table_style){.width = width}, &out, &e), &e);
    return out.bytes;
}

static void test_costs(void **state)
{
    (void)state;
    json_t *v = profiled_comparison();
    char *text = comparison_table(v, 140);
    assert_non_null(
        strstr(text, "\nM instructions/token      9.19         –                   –                   –\n"));
    assert_non_null(strstr(text, "\nk L3 misses/token        ~10.8         –"));
    assert_non_null(strstr(text, "\nmJ/token                  18.6         –"));
    assert_non_null(strstr(text, "\ninstructions/cycle        2.33         –"));
    assert_non_null(strstr(text, "\nGFLOP/s                   60.8       101  +66.7%           –"));
    assert_non_null(strstr(text, "\n~: scaled, since its counter saw a part of the time, at least 33%\n"));
    assert_non_null(strstr(text, "\nn/a: hardware counters of @int8:absmax: this machine has no performance counters"));
    assert_non_null(strstr(text, "\nn/a: hardware counters of @gguf:q8_0 and 1 other: not profiled\n"));
    free(text);
    json_decref(v);

    /* nobody has hardware counters: no rows of them, and the reason once */
    v = golden(COMPARISON);
    json_t *subjects = json_object_get(v, "subjects");
    for (size_t i = 0; i < json_array_size(subjects); i++) profile_into(json_array_get(subjects, i), PROFILE_UNCOUNTED);
    text = comparison_table(v, 140);
    assert_null(strstr(text, "instructions/token"));
    assert_null(strstr(text, "~:"));
    const char *reason = strstr(text, "\nn/a: hardware counters: this machine has no performance counters");
    assert_non_null(reason);
    assert_null(strstr(reason + strlen("\nn/a: "), "\nn/a: hardware counters"));
    free(text);
    json_decref(v);
}

static void test_markdown(void **state)
{
    (void)state;
    json_t *v = profiled_comparison();
    struct text out = {0};
    struct error e;
    edit(v, "subjects/1/profile/note", HOSTILE);
    assert_ok(report_markdown(v, &out, &e), &e);
    assert_non_null(strstr(text_c(&out), "\n| | M instructions/token | 9.19 | – | – | – |\n"));
    assert_non_null(strstr(text_c(&out), "\n| | k L3 misses/token | ~10.8 | – | – | – |\n"));
    assert_non_null(strstr(text_c(&out), "\n- ~: scaled, since its counter saw a part of the time, at least 33%\n"));
    assert_non_null(strstr(text_c(&out), "\n- n/a: <code>hardware counters of @int8:absmax: "));
    assert_null(strstr(text_c(&out), "<script>"));
    assert_harmless(text_c(&out));
    text_free(&out);
    json_decref(v);
}

static void test_run(void **state)
{
    (void)state;
    json_t *v = golden("tests/goldens/run-small.json");
    struct text out = {0};
    struct error e;
    profile_into(v, PROFILE_COUNTED);
    assert_ok(report_run_table(v, &(struct table_style){.width = 80}, &out, &e), &e);
    assert_non_null(strstr(text_c(&out), "\nM instructions/token              9.19\n"));
    assert_non_null(strstr(text_c(&out), "\nk L3 misses/token                ~10.8\n"));
    text_free(&out);
    json_decref(v);
}

static void test_leaderboard(void **state)
{
    (void)state;
    static const char *const names[] = {"task_clock_seconds",
                                        "page_faults",
                                        "context_switches",
                                        "peak_resident_bytes",
                                        "ipc",
                                        "instructions_per_token",
                                        "l1d_misses_per_token",
                                        "l2_misses_per_token",
                                        "l3_misses_per_token",
                                        "branch_misses_per_token",
                                        "joules_per_token",
                                        "weight_bytes_per_token",
                                        "gflop_per_second",
                                        "gb_per_second",
                                        "flop_per_byte"};
    json_t *v = comparison(), *subjects = json_object_get(v, "subjects");
    profile_into(json_array_get(subjects, 0), PROFILE_COUNTED);
    profile_into(json_array_get(subjects, 1), PROFILE_UNCOUNTED);
    struct board b = {0}, again;
    struct error e;
    add(&b, v);
    rank(&b, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        snprintf(name, sizeof name, "counters/%s", names[i]);
        assert_true(column(&b, name) >= BOARD_FIXED);
    }
    const size_t with = row_of(&b, "millbrook-llama@f32"), without = row_of(&b, "millbrook-llama@int8:absmax"),
                 none = row_of(&b, "millbrook-llama@gguf:q8_0");
    assert_string_equal(field(&b, with, "counters/l3_misses_per_token"), "10819.7981");
    assert_string_equal(field(&b, with, "counters/ipc"), "2.32976303");
    assert_string_equal(field(&b, without, "counters/l3_misses_per_token"), ""); /* null */
    assert_string_equal(field(&b, without, "counters/gflop_per_second"), "101.250571");
    assert_string_equal(field(&b, none, "counters/gflop_per_second"), "");
    assert_settled(&b);
    assert_int_equal(add(&b, v).replaced, 4); /* again */
    rank(&b, "stories/perplexity");
    assert_error(board_rank(&b, "counters/ipc", &e), &e, ERROR_USAGE, "is no metric of this leaderboard");

    char *folder = folder_temporary(), *bytes = written(&b);
    char *path = file_put(folder, "board.csv", bytes, strlen(bytes));
    assert_ok(board_read(&again, path, &e), &e);
    rank(&again, NULL);
    char *read = written(&again);
    assert_string_equal(read, bytes);
    free(read);
    board_free(&again);
    /* measured anew where nothing can be counted: what was counted before does not stay */
    edit(v, "subjects/0/counters/ipc", "null");
    assert_int_equal(add(&b, v).replaced, 4);
    assert_string_equal(field(&b, row_of(&b, "millbrook-llama@f32"), "counters/ipc"), "");
    board_free(&b);
    free(bytes);
    free(path);
    folder_remove(folder);
    json_decref(v);
}

/* Without a profile, or with null in its place, everything is as it was. */
static void test_without(void **state)
{
    (void)state;
    json_t *plain = golden(COMPARISON), *null = golden(COMPARISON);
    struct text a = {0}, b = {0};
    struct error e;
    edit(null, "subjects/0/profile", "null");
    edit(null, "subjects/2/counters", "{\"cpu_seconds\": 3.5}");
    char *x = comparison_table(plain, 100), *y = comparison_table(null, 100);
    assert_golden_text("tests/goldens/report-table-100.txt", x);
    assert_string_equal(x, y);
    assert_ok(report_markdown(plain, &a, &e), &e);
    assert_ok(report_markdown(null, &b, &e), &e);
    assert_string_equal(text_c(&a), text_c(&b));
    text_free(&a);
    text_free(&b);
    free(x);
    free(y);
    json_decref(plain);
    json_decref(null);
}

/* What is scaled saw less than all of the time, however little less. */
static void test_scaled(void **state)
{
    (void)state;
    static const struct {
        double share;
        const char *words;
    } cases[] = {{0.9999, "99.9%"}, {0.996, "99.6%"}, {0.994, "99.4%"}, {0.985, "98%"},
                 {0.331, "33%"},    {0.1, "10%"},     {0.0379, "3.7%"}, {0.0004, "0.04%"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text out = {0};
        scaled_write(&out, cases[i].share);
        assert_string_equal(strrchr(text_c(&out), ' ') + 1, cases[i].words);
        text_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),  cmocka_unit_test(test_corrupt), cmocka_unit_test(test_corrupt_in_records),
        cmocka_unit_test(test_tables),   cmocka_unit_test(test_widths),  cmocka_unit_test(test_absence),
        cmocka_unit_test(test_hostile),  cmocka_unit_test(test_many),    cmocka_unit_test(test_costs),
        cmocka_unit_test(test_markdown), cmocka_unit_test(test_run),     cmocka_unit_test(test_leaderboard),
        cmocka_unit_test(test_without),  cmocka_unit_test(test_scaled),
    };
    return cmocka_run_group_tests_name("reports/profile", tests, NULL, NULL);
}
