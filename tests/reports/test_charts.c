/* What is drawn, and what is done where gnuplot is not what it should be: fakes on PATH stand in for it. */
#include "tests/reports/drawings.h"

#include "engine/base/table.h"
#include "reports/charts/charts.h"
#include "reports/charts/gnuplot.h"
#include "reports/charts/labels.h"
#include "reports/charts/scale.h"
#include "reports/report.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUBJECTS = 40 };

static void assert_gnuplot(const char *script, struct gnuplot_limits limits, const char *words)
{
    struct text out = {0};
    struct error e;
    put_gnuplot(script);
    assert_error(gnuplot_run("plot 1\n", limits, &out, &e), &e, ERROR_IO, words);
    text_free(&out);
}

static const struct gnuplot_limits hasty = {0.3, 8 << 20};

static void test_gnuplot_that_is_absent(void **state)
{
    assert_gnuplot(NULL, gnuplot_usual, "apt install gnuplot-nox");
    struct error e;
    assert_error(charts_try(&e), &e, ERROR_IO, "cannot be started: No such file");
}

static void test_gnuplot_that_fails(void **state)
{
    assert_gnuplot("cat >/dev/null; printf '\\nplot 1\\n  ^\\n  line 0: no such thing\\n\\n' >&2; exit 3",
                   gnuplot_usual, "failed: line 0: no such thing");
    assert_gnuplot("exit 1", gnuplot_usual, "it says nothing");
    assert_gnuplot("kill -9 $$", gnuplot_usual, "failed");
    assert_gnuplot("head -c 300000 /dev/zero | tr '\\0' '\\n' >&2; echo late >&2; exit 1", gnuplot_usual,
                   "it says nothing");
}

static void test_gnuplot_that_draws_too_much(void **state)
{
    assert_gnuplot("head -c 100000000 /dev/zero | tr '\\0' x", gnuplot_usual, "draws more than 8388608 bytes");
    assert_gnuplot("while :; do echo xxxxxxxxxxxxxxxx; done", (struct gnuplot_limits){20, 1000},
                   "draws more than 1000 bytes");
}

/* Also what it has started is ended. */
static void test_gnuplot_that_hangs(void **state)
{
    char script[4200], path[4200];
    assert_gnuplot("exec >&- 2>&-; exec sleep 100", hasty, "not finished after 0.3 seconds");
    snprintf(script, sizeof script, "sleep 100 & echo $! >%s/child.tmp; mv %s/child.tmp %s/child; wait", fakes, fakes,
             fakes);
    assert_gnuplot(script, (struct gnuplot_limits){2, 1000}, "not finished after 2 seconds");
    snprintf(path, sizeof path, "%s/child", fakes);
    FILE *f = fopen(path, "r");
    int child = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &child), 1);
    fclose(f);
    /* It has been sent its signal; who collects it may take a moment, and may leave it a zombie. */
    char status[64], state_letter = 'R';
    snprintf(status, sizeof status, "/proc/%d/stat", child);
    for (int tries = 0; tries < 500 && state_letter != 'Z'; tries++) {
        f = fopen(status, "r");
        if (!f) return;
        if (fscanf(f, "%*d (%*[^)]) %c", &state_letter) != 1) state_letter = 'Z';
        fclose(f);
        usleep(10000);
    }
    assert_int_equal(state_letter, 'Z');
}

/* Neither a reader that is gone nor one that writes first stops us. */
static void test_gnuplot_that_reads_otherwise(void **state)
{
    enum { LONG = 1 << 20 };
    char *script = malloc(LONG + 1);
    struct text out = {0};
    struct error e;
    memset(script, '#', LONG);
    script[LONG] = 0;
    put_gnuplot("exec <&-; echo gone");
    assert_ok(gnuplot_run(script, gnuplot_usual, &out, &e), &e);
    assert_string_equal(text_c(&out), "gone\n");
    put_gnuplot("head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero >&2; cat");
    assert_ok(gnuplot_run(script, gnuplot_usual, &out, &e), &e);
    assert_int_equal(out.length, 5 + 1000000 + LONG);
    text_free(&out);
    free(script);
}

static void test_gnuplot_gets_a_plain_environment(void **state)
{
    struct text out = {0};
    struct error e;
    setenv("GNUTERM", "x11", 1);
    setenv("GNUPLOT_LIB", "/tmp", 1);
    setenv("LC_NUMERIC", "de_DE.UTF-8", 1);
    put_gnuplot("echo \"arguments: $*\"; env | grep -E '^(GNU|LC_|LANG)'");
    assert_ok(gnuplot_run("", gnuplot_usual, &out, &e), &e);
    assert_string_equal(text_c(&out), "arguments: -d\nLC_ALL=C\n");
    unsetenv("GNUTERM");
    unsetenv("GNUPLOT_LIB");
    unsetenv("LC_NUMERIC");
    text_free(&out);
}

/* --- charts --- */

struct scene {
    json_t *comparison, *run;
    struct report r;
    struct standing standings[SUBJECTS];
    bool pareto[SUBJECTS];
    json_t *runs[SUBJECTS];
    struct table places[SUBJECTS];
    struct evidence v;
};

/* The golden comparison with n subjects, the score of each a little lower; all candidates with one curve. */
static void scene_open(struct scene *s, json_t *comparison, size_t n)
{
    struct error e;
    *s = (struct scene){.comparison = comparison};
    resize_subjects(comparison, n);
    assert_ok(report_read_comparison(&s->r, comparison, &e), &e);
    s->run =
        json_loads("{\"suites\": [{\"name\": \"stories\", \"divergence\": {\"kl_above\": [[1e-8, 0.9], [1e-4, 0.5],"
                   " [0.01, 0.1], [0.1, 0.001], [1, 0]]}}]}",
                   0, NULL);
    for (size_t j = 0; j < n; j++) {
        const double score = 100 - (double)j;
        s->standings[j] = (struct standing){j + 1, 1, score, j ? score - 1 : score, j ? score + 1 : score};
        s->runs[j] = j ? s->run : NULL;
        if (j) assert_ok(table_add(&s->places[j], "stories", strlen("stories"), 0, NULL, &e), &e);
    }
    s->v = (struct evidence){.runs = s->runs, .suites = s->places, .n_subjects = n};
}

static void scene_close(struct scene *s)
{
    for (size_t j = 0; j < SUBJECTS; j++) table_free(&s->places[j]);
    report_close(&s->r);
    json_decref(s->comparison);
    json_decref(s->run);
}

enum { QUALITY, DIFFERENCES, DIVERGENCE, CHARTS };

static int draw(struct scene *s, int chart, struct text *svg, struct error *e)
{
    if (chart == QUALITY) return chart_quality(&s->r, s->standings, s->pareto, svg, e);
    if (chart == DIFFERENCES) return chart_differences(&s->r, 0, svg, e);
    return chart_divergence(&s->r, &s->v, "stories", svg, e);
}

static void test_charts_of_many_sizes(void **state)
{
    static const size_t sizes[] = {2, 4, 9, 31};
    need_gnuplot();
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int chart = 0; chart < CHARTS; chart++) {
            struct scene s;
            struct text svg = {0}, again = {0};
            struct error e;
            scene_open(&s, golden(COMPARISON), sizes[k]);
            assert_ok(draw(&s, chart, &svg, &e), &e);
            assert_embeddable(&svg);
            assert_ok(draw(&s, chart, &again, &e), &e);
            assert_string_equal(text_c(&svg), text_c(&again));
            scene_close(&s);
            text_free(&svg);
            text_free(&again);
        }
}

static void test_quality(void **state)
{
    struct scene s;
    struct text svg = {0};
    struct error e;
    need_gnuplot();
    scene_open(&s, golden(COMPARISON), 4);
    s.standings[3].score = NAN; /* the smallest is left out */
    assert_ok(draw(&s, QUALITY, &svg, &e), &e);
    const char *t = text_c(&svg);
    assert_has(t, "Quality against size");
    assert_has(t, "@int8:absmax: 4.89 MiB, 99.00 % [98.00, 100.00], best for its size;");
    assert_has(t, "@gguf:q8_0: 5.16 MiB, 98.00 %");
    assert_has(t, "font-weight=\"600\""); /* the answer's name */
    assert_lacks(t, "with a significant loss");
    assert_lacks(t, "fill=\"var(--bad,");
    assert_lacks(t, "q4_0");
    assert_has(t, ">weights, MiB</text>");
    const bool front[] = {true, true, false, false}; /* q8_0 is larger and worse than int8 */
    assert_memory_equal(s.pareto, front, sizeof front);
    text_clear(&svg);
    s.standings[3].score = 97; /* what loses has a mark of its own */
    assert_ok(draw(&s, QUALITY, &svg, &e), &e);
    t = text_c(&svg);
    assert_has(t, "best for its size, with a significant loss");
    assert_has(t, "Z\" fill=\"var(--bad,");
    s.standings[3].score = NAN;
    text_clear(&svg);
    s.r.subjects[1].weight_bytes = -1;
    s.r.subjects[2].weight_bytes = 0;
    assert_ok(draw(&s, QUALITY, &svg, &e), &e);
    assert_string_equal(text_c(&svg), ""); /* one point is no chart */
    assert_true(s.pareto[0] && !s.pareto[1] && !s.pareto[2]);
    text_free(&svg);
    scene_close(&s);
}

static void test_differences(void **state)
{
    struct scene s;
    struct text svg = {0};
    struct error e;
    need_gnuplot();
    scene_open(&s, golden(COMPARISON), 4);
    assert_ok(draw(&s, DIFFERENCES, &svg, &e), &e);
    assert_has(text_c(&svg), "difference in perplexity to @f32 (lower is better)");
    assert_has(text_c(&svg), "← better");
    assert_has(text_c(&svg), ", worse.</desc>");
    assert_has(text_c(&svg), "Z\" fill=\"var(--bad,"); /* a triangle */
    assert_lacks(text_c(&svg), "fill=\"var(--good,#17693f)\" stroke");
    text_clear(&svg);
    s.r.rows[0].higher_is_better = true;
    s.r.rows[0].cells[1].absent = true;
    s.r.rows[0].cells[2].has_difference = false;
    s.r.rows[0].cells[2].difference.value = NAN;
    assert_ok(draw(&s, DIFFERENCES, &svg, &e), &e);
    assert_has(text_c(&svg), "(higher is better)");
    assert_has(text_c(&svg), "← worse");
    assert_has(text_c(&svg), "Z\" fill=\"var(--good,");
    assert_lacks(text_c(&svg), "int8");
    assert_has(text_c(&svg), ">n/a</text>");
    text_clear(&svg);
    s.r.rows[0].cells[3].has_difference = false;
    assert_ok(draw(&s, DIFFERENCES, &svg, &e), &e);
    assert_string_equal(text_c(&svg), "");
    text_free(&svg);
    scene_close(&s);
}

static void test_divergence(void **state)
{
    struct scene s;
    struct text svg = {0};
    struct error e;
    need_gnuplot();
    scene_open(&s, golden(COMPARISON), 4);
    assert_ok(draw(&s, DIVERGENCE, &svg, &e), &e);
    assert_has(text_c(&svg), "id=\"chart-divergence-0-title\"");
    assert_has(text_c(&svg), "above 0.01 nats: @int8:absmax 10 %;");
    assert_has(text_c(&svg), ">KL divergence from the baseline, nats</text>");
    assert_has(text_c(&svg), ">10⁻⁶</text>");
    text_clear(&svg);
    assert_ok(chart_divergence(&s.r, &s.v, "endings", &svg, &e), &e);
    memset(s.runs, 0, sizeof s.runs);
    assert_ok(draw(&s, DIVERGENCE, &svg, &e), &e);
    assert_string_equal(text_c(&svg), "");
    text_free(&svg);
    scene_close(&s);
}

/* Numbers at the ends of what a double holds, none, and curves that are no curves. */
static void test_strange_numbers(void **state)
{
    static const double values[] = {1e308, -1e308, 1e-320, 0, 5e-300};
    static const char *const curves[] = {"[]", "5", "[[1e-320, 1e-320]]", "[[1e308, 1], [1e-308, 1e-300]]",
                                         "[[-1, 2], [\"x\"], null, [0.5, 0.5]]"};
    struct scene s;
    struct error e;
    need_gnuplot();
    scene_open(&s, golden(COMPARISON), 4);
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        struct text svg = {0};
        struct figure *d = &s.r.rows[0].cells[1].difference;
        *d = (struct figure){.value = values[k], .low = -values[k], .high = values[(k + 1) % 5]};
        s.standings[1].score = values[k];
        s.standings[1].low = k % 2 ? NAN : -values[k];
        s.r.subjects[1].weight_bytes = k ? 1 : INT64_MAX;
        edit(s.run, "suites/0/divergence/kl_above", curves[k]);
        assert_ok(draw(&s, QUALITY, &svg, &e), &e);
        assert_balanced(text_c(&svg));
        text_clear(&svg);
        assert_ok(draw(&s, DIFFERENCES, &svg, &e), &e);
        assert_balanced(text_c(&svg));
        text_clear(&svg);
        assert_ok(draw(&s, DIVERGENCE, &svg, &e), &e);
        assert_balanced(text_c(&svg));
        text_free(&svg);
    }
    scene_close(&s);
}

/* --- names --- */

static void test_names_never_reach_gnuplot(void **state)
{
    static const char hostile[] = "\"`touch /tmp/x`\\n$(id)'\\\"@1@<svg onload=x>]]>\\u202eé\"";
    struct scene s;
    struct error e;
    json_t *c = golden(COMPARISON);
    need_gnuplot();
    edit(c, "subjects/1/name", hostile);
    edit(c, "subjects/1/model", "\"evil\"");
    edit(c, "rows/0/metric", hostile);
    scene_open(&s, c, 4);
    put_recorder();
    struct text escaped = {0};
    escape_html(&escaped, s.r.rows[0].metric);
    for (int chart = 0; chart < CHARTS; chart++) {
        struct text svg = {0};
        assert_ok(draw(&s, chart, &svg, &e), &e);
        assert_balanced(text_c(&svg));
        assert_harmless(text_c(&svg));
        assert_lacks(text_c(&svg), "<svg onload");
        assert_has(text_c(&svg), text_c(&escaped));
        text_free(&svg);
    }
    text_free(&escaped);
    assert_gnuplot_told_nothing();
    scene_close(&s);
}

/* A gnuplot that draws something else is refused, or what it draws is only numbers. */
static void test_drawings_that_are_none(void **state)
{
    static const struct {
        const char *drawn, *words;
    } cases[] = {
        {"", "ends too early"},
        {"plain words", "ends too early"},
        {"<svg><g>", "ends too early"},
        {"<svg><g></g></g></svg></svg>", "not opened"},
        {"<svg><script>alert(1)</script></svg>", "another kind"},
        {"<svg><g><text>hello</text></g></svg>", "not given"},
        {"<svg><g><text>@99999@</text></g></svg>", "not given"},
        {"<svg><g><text>@-1@</text></g></svg>", "not given"},
        {"<svg><path d='M1,2 C3,4'/></svg>", "other steps"},
        {"<svg><path d='M1,2 L3'/></svg>", "other steps"},
        {"<svg><path/></svg>", "other steps"},
        {"<svg><use xlink:href='#gpPt99' transform='translate(1,2)'/></svg>", "another type"},
        {"<svg><use xlink:href='#x'/></svg>", "without a type"},
        {"<svg><defs></svg>", "another kind"},
        {"<svg><path d='", "ends too early"},
        {"<svg><path stroke='x\" onclick=\"y' d='M1,2 L3,4'/></svg>", NULL},
    };
    struct scene s;
    struct error e;
    scene_open(&s, golden(COMPARISON), 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text svg = {0};
        char script[512];
        snprintf(script, sizeof script, "cat >/dev/null; cat <<'END'\n%s\nEND", cases[i].drawn);
        put_gnuplot(script);
        const int status = draw(&s, QUALITY, &svg, &e);
        if (cases[i].words)
            assert_error(status, &e, ERROR_IO, cases[i].words);
        else
            assert_ok(status, &e);
        assert_lacks(text_c(&svg), "onclick");
        text_free(&svg);
    }
    scene_close(&s);
}

/* --- scales, names and room --- */

static void test_ticks(void **state)
{
    static const double ranges[][2] = {{0, 1},          {-0.02, 0.06},    {99, 101},         {2.5, 2.5}, {0, 0},
                                       {-1e308, 1e308}, {1e-310, 2e-310}, {1e17, 1e17 + 16}, {5, -5},    {-3e-9, 1e-9}};
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
        for (int logarithmic = 0; logarithmic < 2; logarithmic++) {
            const double low = logarithmic ? fabs(ranges[k][0]) + 1e-9 : ranges[k][0];
            const double high = logarithmic ? fabs(ranges[k][1]) + 1e-9 : ranges[k][1];
            const struct chart_scale s = chart_scale_fit(low, high, logarithmic, 50, 400);
            const struct chart_ticks t = chart_ticks(&s, 5);
            assert_true(t.n <= TICKS && (logarithmic || t.n >= 2));
            for (size_t i = 0; i < t.n; i++) {
                char text[32], before[32] = "";
                chart_tick_text(text, sizeof text, &t, i, true);
                if (i) chart_tick_text(before, sizeof before, &t, i - 1, true);
                assert_string_not_equal(text, before);
                assert_true(strlen(text) < 12);
                assert_true(chart_place(&s, t.at[i]) > 49 && chart_place(&s, t.at[i]) < 401);
            }
            assert_true(isfinite(chart_place(&s, INFINITY)) && isfinite(chart_place(&s, -1e308)));
        }
    const struct chart_scale s = chart_scale_fit(-0.02, 0.06, false, 0, 100);
    const struct chart_ticks t = chart_ticks(&s, 4);
    char text[32];
    assert_int_equal(t.n, 5);
    chart_tick_text(text, sizeof text, &t, 0, true);
    assert_string_equal(text, "-0.02");
    chart_tick_text(text, sizeof text, &t, 1, true);
    assert_string_equal(text, "0.00");
    chart_tick_text(text, sizeof text, &t, 4, true);
    assert_string_equal(text, "+0.06");
    assert_near(chart_place(&s, 0.02), 50, 1e-9, "the middle");
    assert_near(chart_place(&s, 1), 200, 1e-9, "far outside");
}

static void test_names_are_shortened_in_the_middle(void **state)
{
    static const char *const names[] = {
        "millbrook-llama@gguf:q4_k_m,imatrix=long.gguf", "模型模型模型模型模型模型模型模型模型模型",
        "éééééééééééééééééééééééééééééééééééééé", "\xFF\xFE broken \xC3 and \n more of it"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (double width = 20; width < 400; width += 7) {
            struct text out = {0};
            chart_shorten(&out, names[i], width, TEXT_SIZE);
            struct error e;
            assert_ok(text_check("name", 1, out.bytes, out.length, &e), &e);
            assert_true(chart_text_width(text_c(&out), TEXT_SIZE) <= width);
            text_free(&out);
        }
    struct text out = {0};
    chart_shorten(&out, "short", 100, TEXT_SIZE);
    assert_string_equal(text_c(&out), "short");
    text_clear(&out);
    chart_shorten(&out, "abcdefghijklmnopqrstuvwxyz", 100, TEXT_SIZE);
    assert_int_equal(strncmp(text_c(&out), "abcd", 4), 0);
    assert_true(text_ends_with(text_c(&out), "wxyz"));
    text_free(&out);
}

static void test_labels_keep_apart(void **state)
{
    struct chart_room room = {.frame = {0, 0, 420, 300}};
    struct error e;
    size_t placed = 0, led = 0;
    for (size_t i = 0; i < 30; i++) {
        const struct chart_point at = {140 + 20 * (double)(i % 6), 100 + 18 * (double)(i / 6)};
        struct chart_label label;
        if (!chart_label_place(&room, at, 60, 90, &label)) continue;
        const struct chart_box box = chart_text_box(label.x, label.y, label.anchor, 60);
        assert_true(chart_room_cost(&room, box) < 1);
        assert_ok(chart_room_take(&room, box, 1, &e), &e);
        placed++;
        led += label.is_led;
    }
    assert_in_range(placed, 10, 30);
    assert_in_range(led, 4, placed);
    struct chart_label label;
    assert_false(chart_label_place(&room, (struct chart_point){-500, 0}, 60, 90, &label));
    chart_room_free(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_gnuplot_that_is_absent, restore),
        cmocka_unit_test_teardown(test_gnuplot_that_fails, restore),
        cmocka_unit_test_teardown(test_gnuplot_that_draws_too_much, restore),
        cmocka_unit_test_teardown(test_gnuplot_that_hangs, restore),
        cmocka_unit_test_teardown(test_gnuplot_that_reads_otherwise, restore),
        cmocka_unit_test_teardown(test_gnuplot_gets_a_plain_environment, restore),
        cmocka_unit_test(test_charts_of_many_sizes),
        cmocka_unit_test(test_quality),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_strange_numbers),
        cmocka_unit_test_teardown(test_names_never_reach_gnuplot, restore),
        cmocka_unit_test_teardown(test_drawings_that_are_none, restore),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_names_are_shortened_in_the_middle),
        cmocka_unit_test(test_labels_keep_apart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
