/* The charts of profiles: where points, lines and bars stand, what is said of them, and records that are strange. */
#include "tests/reports/drawings.h"
#include "tests/reports/profile.h"

#include "reports/charts/charts.h"
#include "reports/report.h"

#include <math.h>

enum { SUBJECTS = 4, BOXES = 4096 };

struct scene {
    json_t *comparison;
    struct report r;
    struct report_profile held[SUBJECTS];
    const struct report_profile *profiles[SUBJECTS];
};

static void scene_open(struct scene *s, json_t *comparison)
{
    struct error e;
    *s = (struct scene){.comparison = comparison};
    assert_ok(report_read_comparison(&s->r, comparison, &e), &e);
    for (size_t j = 0; j < s->r.n_subjects; j++) {
        if (!s->r.subjects[j].profile) continue;
        assert_ok(report_profile_read(&s->held[j], s->r.subjects[j].profile, "profile", &e), &e);
        s->profiles[j] = &s->held[j];
    }
}

static void scene_close(struct scene *s)
{
    for (size_t j = 0; j < SUBJECTS; j++) report_profile_close(&s->held[j]);
    report_close(&s->r);
    json_decref(s->comparison);
}

enum { ROOFLINE, PHASES, PREFILL, DECODE, CHARTS };

static int draw(struct scene *s, int chart, size_t subject, struct text *svg, struct error *e)
{
    if (chart == ROOFLINE) return chart_roofline(&s->r, s->profiles, subject, svg, e);
    if (chart == PHASES) return chart_phases(&s->r, s->profiles, svg, e);
    return chart_layers(&s->r, s->profiles, subject, chart == PREFILL ? "prefill" : "decode", svg, e);
}

static char *drawn(struct scene *s, int chart, size_t subject)
{
    struct text svg = {0};
    struct error e;
    assert_ok(draw(s, chart, subject, &svg, &e), &e);
    return svg.bytes ? svg.bytes : strdup("");
}

static void test_drawings(void **state)
{
    struct scene s;
    need_gnuplot();
    scene_open(&s, profiled_comparison());
    for (int chart = 0; chart < CHARTS; chart++)
        for (size_t j = 0; j < SUBJECTS; j++) {
            struct text svg = {0}, again = {0};
            struct error e;
            assert_ok(draw(&s, chart, j, &svg, &e), &e);
            assert_ok(draw(&s, chart, j, &again, &e), &e);
            assert_string_equal(text_c(&svg), text_c(&again));
            if (chart == PHASES || s.profiles[j])
                assert_embeddable(&svg);
            else
                assert_int_equal(svg.length, 0);
            text_free(&svg);
            text_free(&again);
        }
    scene_close(&s);
}

/* --- places --- */

struct circle {
    double x, y, radius;
};

/* The points of a drawing, in its order: the longest first. */
static size_t read_circles(const char *svg, struct circle *out, size_t most)
{
    size_t n = 0;
    for (const char *s = svg; n < most && (s = strstr(s, "<circle cx=\"")); s++, n++)
        assert_int_equal(sscanf(s, "<circle cx=\"%lf\" cy=\"%lf\" r=\"%lf\"", &out[n].x, &out[n].y, &out[n].radius), 3);
    return n;
}

/* The record with these groups alone, of one part, one second each but where it is said. */
static json_t *with_groups(const double groups[][3], size_t n)
{
    json_t *v = profiled_comparison(),
           *profile = json_object_get(json_array_get(json_object_get(v, "subjects"), 0), "profile"),
           *list = json_object_get(profile, "groups"), *model = json_deep_copy(json_array_get(list, 0));
    json_array_clear(list);
    for (size_t i = 0; i < n; i++) {
        json_t *g = json_deep_copy(model);
        json_object_set_new(g, "flop_per_byte", json_real(groups[i][0]));
        json_object_set_new(g, "gflop_per_second", json_real(groups[i][1]));
        json_object_set_new(g, "seconds", json_real(groups[i][2]));
        json_array_append_new(list, g);
    }
    json_decref(model);
    edit(v, "subjects/1/profile", "null");
    return v;
}

/* Ten times as far right, ten times as far up; the slope goes through what memory brings, and ends at the peak. */
static void test_roofline_places(void **state)
{
    static const double groups[][3] = {{1, 42, 1}, {10, 42, 0.5}, {10, 4.2, 0.25}, {180.0 / 42, 180, 0.125}};
    struct scene s;
    struct circle c[5];
    double from[2], ridge[2], to[2];
    need_gnuplot();
    scene_open(&s, with_groups(groups, 4));
    char *svg = drawn(&s, ROOFLINE, 0);
    assert_int_equal(read_circles(svg, c, 5), 4);
    const double decade = c[1].x - c[0].x, up = c[2].y - c[1].y;
    assert_true(decade > 50 && up > 50);
    assert_near(c[0].y, c[1].y, 0.11, "the same rate");
    assert_near(c[2].x, c[1].x, 0.11, "the same intensity");
    assert_near(c[3].x - c[0].x, decade * log10(180.0 / 42), 0.2, "the ridge, across");
    assert_near(c[0].y - c[3].y, up * log10(180.0 / 42), 0.2, "the ridge, up");
    assert_true(c[0].radius > c[1].radius && c[1].radius > c[2].radius && c[2].radius > c[3].radius);
    const char *line = strstr(svg, "stroke-width=\"1.5\"");
    while (strncmp(line, "<path", 5) != 0) line--;
    /* Both are one path, from the slope's foot over the ridge. */
    assert_int_equal(
        sscanf(line, "<path d=\"M%lf %lfL%lf %lfL%lf %lf\"", &from[0], &from[1], &ridge[0], &ridge[1], &to[0], &to[1]),
        6);
    assert_near(ridge[0], c[3].x, 0.2, "the ridge");
    assert_near(ridge[1], c[3].y, 0.2, "the ridge");
    assert_near((from[1] - ridge[1]) / (ridge[0] - from[0]), up / decade, 0.01, "the slope");
    assert_near(to[0], 414, 0.2, "the peak's end");
    assert_near(to[1], ridge[1], 0.01, "the peak");
    free(svg);
    scene_close(&s);
}

/* The boxes of one colour that are not faint. */
struct box {
    double left, top, right, bottom;
};

static size_t read_boxes(const char *svg, const char *colour, struct box *out)
{
    size_t n = 0;
    char end[64];
    snprintf(end, sizeof end, "Z\" fill=\"var(%s,", colour);
    for (const char *s = svg; (s = strstr(s, "<path d=\"M")); s++) {
        const char *close = strstr(s, "/>"), *fill = strstr(s, end);
        if (!fill || fill > close || (strstr(s, "opacity") && strstr(s, "opacity") < close) || n == BOXES) continue;
        struct box *b = &out[n++];
        assert_int_equal(sscanf(s, "<path d=\"M%lf %lfH%lfV%lf", &b->left, &b->top, &b->right, &b->bottom), 4);
    }
    return n;
}

static double part_seconds(const struct report_layer *l, const char *part)
{
    for (size_t k = 0; k < l->n_parts; k++)
        if (strcmp(l->parts[k].part, part) == 0) return l->parts[k].seconds;
    return 0;
}

/* The longest part stands on the ground, as high as its seconds; on one scale for both subjects. */
static void test_layer_heights(void **state)
{
    static struct box boxes[BOXES];
    struct scene s;
    double unit = 0;
    need_gnuplot();
    scene_open(&s, profiled_comparison());
    for (size_t j = 0; j < 2; j++) {
        char *svg = drawn(&s, PREFILL, j);
        size_t bar = 0;
        assert_int_equal(read_boxes(svg, "--series-1", boxes), 6);
        for (size_t i = 0; i < s.held[j].n_layers; i++) {
            const struct report_layer *l = &s.held[j].layers[i];
            if (l->layer < 0 || strcmp(l->phase, "prefill") != 0) continue;
            const double height = boxes[bar].bottom - boxes[bar].top + 1; /* and the gap above it */
            if (!unit) unit = height / part_seconds(l, "gate and up");
            assert_near(height, unit * part_seconds(l, "gate and up"), 0.25, "a part's height");
            assert_near(boxes[bar].bottom, boxes[0].bottom, 0.01, "the ground");
            if (bar) assert_true(boxes[bar].left > boxes[bar - 1].right);
            bar++;
        }
        /* The second longest stands on it. */
        static struct box above[BOXES];
        assert_int_equal(read_boxes(svg, "--series-2", above), 6);
        for (size_t i = 0; i < 6; i++) {
            assert_near(above[i].bottom, boxes[i].top - 1, 0.11, "the edge between two parts");
            assert_near(above[i].left, boxes[i].left, 0.01, "one bar");
        }
        free(svg);
    }
    scene_close(&s);
}

static void test_layer_words(void **state)
{
    struct scene s;
    need_gnuplot();
    scene_open(&s, profiled_comparison());
    char *svg = drawn(&s, PREFILL, 1);
    assert_has(svg, ">@int8:absmax, prefill</text>");
    assert_has(svg, ">milliseconds, all passes together</text>");
    assert_has(svg, ">ends</text>");
    assert_has(svg, " gate and up 36 %; down 20 %;");
    assert_has(svg, ". Layer 5 takes longest, ");
    assert_lacks(svg, "decode");
    assert_lacks(svg, ">other</text>"); /* twelve parts have looks of their own */
    free(svg);
    scene_close(&s);
}

/* --- what is there --- */

static void test_roofline_words(void **state)
{
    struct scene s;
    need_gnuplot();
    scene_open(&s, profiled_comparison());
    char *svg = drawn(&s, ROOFLINE, 0);
    assert_has(svg, ">@f32</text>");
    assert_has(svg, ">flop per byte (log scale)</text>");
    assert_has(svg, ">memory 42 GB/s</text>");
    assert_has(svg, ">fma-512 180 GFLOP/s</text>");
    assert_has(svg, "prefill, gate and up f32 1408x512, 1408x512: 60 flop/byte, 103 GFLOP/s, 57 % of fma-512, 1.51 s");
    assert_lacks(svg, "vnni-512"); /* no product of integers ran */
    free(svg);
    svg = drawn(&s, PHASES, 0);
    assert_has(svg, "@f32, prefill: ");
    assert_has(svg, "@int8:absmax, decode: ");
    free(svg);
    scene_close(&s);
    static const char *const maths[] = {"\"fast\"", "\"fast, longrope's second divisors\"", "\"faster\""};
    for (size_t i = 0; i < sizeof maths / sizeof *maths; i++) {
        json_t *v = profiled_comparison();
        edit(v, "subjects/0/math", maths[i]);
        scene_open(&s, v);
        svg = drawn(&s, ROOFLINE, 0);
        (i < 2 ? assert_has : assert_lacks)(svg, ">vnni-512 700 GOP/s</text>");
        free(svg);
        scene_close(&s);
    }
}

static void test_what_is_absent(void **state)
{
    struct scene s;
    need_gnuplot();
    json_t *v = profiled_comparison();
    edit(v, "subjects/0/profile/roofline", "null");
    edit(v, "subjects/0/profile/roofline_reason", "\"not measured\"");
    edit(v, "subjects/1/profile/groups", "[]");
    edit(v, "subjects/1/profile/layers", "[]");
    scene_open(&s, v);
    char *svg = drawn(&s, ROOFLINE, 0);
    assert_has(svg, "gate and up"); /* points without roofs */
    assert_lacks(svg, "GB/s");
    assert_lacks(svg, "stroke-width=\"1.5\"");
    free(svg);
    for (int chart = ROOFLINE; chart < CHARTS; chart++) {
        if (chart == PHASES) continue;
        svg = drawn(&s, chart, 1);
        assert_string_equal(svg, "");
        free(svg);
    }
    scene_close(&s);
    v = profiled_comparison(); /* one phase of one subject is no comparison of phases */
    edit(v, "subjects/1/profile", "null");
    json_t *phases =
        json_object_get(json_object_get(json_array_get(json_object_get(v, "subjects"), 0), "profile"), "phases");
    while (json_array_size(phases) > 5) json_array_remove(phases, 5);
    scene_open(&s, v);
    svg = drawn(&s, PHASES, 0);
    assert_string_equal(svg, "");
    free(svg);
    scene_close(&s);
}

static json_t *with_layers(size_t n, size_t parts)
{
    json_t *v = profiled_comparison(),
           *profile = json_object_get(json_array_get(json_object_get(v, "subjects"), 0), "profile"),
           *layers = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *all = json_object();
        for (size_t k = 0; k < parts; k++) {
            char name[32];
            snprintf(name, sizeof name, "part %zu", k);
            json_object_set_new(all, name, json_real(0.001 * (double)(k + 1)));
        }
        json_array_append_new(layers, json_pack("{s:s, s:i, s:o}", "phase", "prefill", "layer", (int)i, "parts", all));
    }
    json_object_set_new(profile, "layers", layers);
    edit(v, "subjects/1/profile", "null");
    return v;
}

/* As many as are drawn, of few and of many parts; one more is not. */
static void test_many_layers(void **state)
{
    static struct box boxes[BOXES];
    struct scene s;
    need_gnuplot();
    scene_open(&s, with_layers(LAYERS_DRAWN, 3));
    struct text svg = {0};
    struct error e;
    assert_ok(draw(&s, PREFILL, 0, &svg, &e), &e);
    assert_embeddable(&svg);
    assert_int_equal(read_boxes(text_c(&svg), "--series-1", boxes), LAYERS_DRAWN);
    assert_true(boxes[LAYERS_DRAWN - 1].right < 420);
    text_free(&svg);
    scene_close(&s);
    scene_open(&s, with_layers(LAYERS_DRAWN + 1, 3));
    char *none = drawn(&s, PREFILL, 0);
    assert_string_equal(none, "");
    free(none);
    scene_close(&s);
    scene_open(&s, with_layers(2, 30));
    char *many = drawn(&s, PREFILL, 0);
    assert_has(many, ">part 29</text>");
    assert_has(many, ">other</text>");
    assert_lacks(many, ">part 0</text>");
    free(many);
    scene_close(&s);
}

static void test_strange_numbers(void **state)
{
    static const char *const values[] = {"1e308", "1e-320", "0", "5e-300", "null"};
    enum { VALUES = sizeof values / sizeof *values };
    static const char *const places[] = {"groups/0/flop_per_byte", "groups/0/gflop_per_second", "phases/4/flop",
                                         "roofline/read_gb_per_second", "roofline/peaks/0/value"};
    struct scene s;
    struct error e;
    need_gnuplot();
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t k = 0; k < VALUES; k++) {
            char path[128];
            json_t *v = profiled_comparison();
            snprintf(path, sizeof path, "subjects/0/profile/%s", places[i]);
            if (strcmp(values[k], "null") == 0 && (i == 2 || i == 4)) { /* these must be numbers */
                json_decref(v);
                continue;
            }
            edit(v, path, values[k]);
            if (k < 4) edit(v, "subjects/0/profile/layers/0/parts", "{\"one\": 1e308, \"two\": 1e308}");
            scene_open(&s, v);
            for (int chart = 0; chart < CHARTS; chart++) {
                struct text svg = {0};
                assert_ok(draw(&s, chart, 0, &svg, &e), &e);
                assert_balanced(text_c(&svg));
                assert_lacks(text_c(&svg), "nan");
                text_free(&svg);
            }
            scene_close(&s);
        }
}

/* --- names --- */

static void test_names_never_reach_gnuplot(void **state)
{
    static const char hostile[] = "\"`touch /tmp/x`\\n$(id)'\\\"@1@<svg onload=x>]]>\\u202e\\u00e9\"";
    struct scene s;
    struct error e;
    need_gnuplot();
    json_t *v = profiled_comparison(), *part = json_loads(hostile, JSON_DECODE_ANY, NULL);
    static const char *const places[] = {"name",
                                         "profile/groups/0/part",
                                         "profile/groups/0/weights",
                                         "profile/groups/0/shape",
                                         "profile/groups/1/phase",
                                         "profile/phases/4/phase",
                                         "profile/roofline/peaks/0/name",
                                         "profile/roofline/peaks/0/unit",
                                         "profile/groups/0/limit/name"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[128];
        snprintf(path, sizeof path, "subjects/0/%s", places[i]);
        edit(v, path, hostile);
    }
    json_t *parts = json_pack("{s:f}", json_string_value(part), 9.0);
    json_t *layer = json_array_get(
        json_object_get(json_object_get(json_array_get(json_object_get(v, "subjects"), 0), "profile"), "layers"), 0);
    json_object_set_new(layer, "parts", parts);
    scene_open(&s, v);
    put_recorder();
    for (int chart = 0; chart < CHARTS; chart++) {
        struct text svg = {0}, escaped = {0};
        assert_ok(draw(&s, chart, 0, &svg, &e), &e);
        assert_balanced(text_c(&svg));
        assert_harmless(text_c(&svg));
        assert_lacks(text_c(&svg), "<svg onload");
        escape_html(&escaped, json_string_value(part));
        assert_has(text_c(&svg), text_c(&escaped));
        text_free(&svg);
        text_free(&escaped);
    }
    assert_gnuplot_told_nothing();
    json_decref(part);
    scene_close(&s);
}

static void test_boxes_that_are_none(void **state)
{
    static const struct {
        const char *drawn, *words;
    } cases[] = {
        {"<svg><polygon points = '1,2 3,4'/></svg>", "four corners"},
        {"<svg><polygon/></svg>", "four corners"},
        {"<svg><polygon points = 'x'/></svg>", "four corners"},
        {"<svg><polygon fill = 'x\" onclick=\"y' points = '1,1 9,1 9,9 1,9 '/></svg>", NULL},
    };
    struct scene s;
    struct error e;
    scene_open(&s, profiled_comparison());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text svg = {0};
        char script[512];
        snprintf(script, sizeof script, "cat >/dev/null; cat <<'END'\n%s\nEND", cases[i].drawn);
        put_gnuplot(script);
        const int status = draw(&s, PREFILL, 0, &svg, &e);
        if (cases[i].words) {
            assert_error(status, &e, ERROR_IO, cases[i].words);
        } else {
            assert_ok(status, &e);
            assert_has(text_c(&svg), "<path d=\"M1 1H9V9H1Z\"");
        }
        assert_lacks(text_c(&svg), "onclick");
        text_free(&svg);
    }
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawings),
        cmocka_unit_test(test_roofline_places),
        cmocka_unit_test(test_layer_heights),
        cmocka_unit_test(test_layer_words),
        cmocka_unit_test(test_roofline_words),
        cmocka_unit_test(test_what_is_absent),
        cmocka_unit_test(test_many_layers),
        cmocka_unit_test(test_strange_numbers),
        cmocka_unit_test_teardown(test_names_never_reach_gnuplot, restore),
        cmocka_unit_test_teardown(test_boxes_that_are_none, restore),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
