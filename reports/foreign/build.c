#include "reports/foreign/build.h"
#include "engine/base/json.h"
#include "engine/base/number.h"
#include "engine/base/text.h"

#include <math.h>
#include <string.h>

json_t *foreign_run(const char *tool, const char *path)
{
    return json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:{s:o, s:o}}, s:[], s:s, s:n, s:n, s:n,"
                     " s:{s:s, s:s, s:n}}",
                     "schema", "kerf-run-1", "subject", "name", "", "model", "", "backend", "", "math", "", "sha256",
                     "", "id", "", "parameters", "weight_bytes", "bits_per_weight", "source", "tool",
                     json_text(tool, strlen(tool)), "file", json_text(path, strlen(path)), "suites", "started", "",
                     "seconds", "tokens_per_second", "peak_bytes", "machine", "cpu", "", "isa", "", "threads");
}

json_t *foreign_suite(json_t *run, const char *name, int64_t items)
{
    json_t *suite = json_pack("{s:s, s:o, s:[], s:n}", "name", name, "items",
                              items < 0 ? json_null() : json_integer((json_int_t)items), "metrics", "seconds");
    return json_array_append_new(json_object_get(run, "suites"), suite) ? NULL : suite;
}

json_t *foreign_real(double v) { return isfinite(v) ? json_real(v) : json_null(); }

int foreign_metric(json_t *suite, const struct foreign_value *v)
{
    json_t *m = json_pack("{s:s, s:o, s:o, s:o, s:s, s:s}", "name", v->name, "value", foreign_real(v->value), "stderr",
                          foreign_real(v->standard_error), "ci95",
                          isfinite(v->low) && isfinite(v->high) ? json_pack("[f, f]", v->low, v->high) : json_null(),
                          "better", v->higher ? "higher" : "lower", "unit", v->unit);
    if (m && v->reason) json_object_set_new(m, "reason", json_string(v->reason));
    return json_array_append_new(json_object_get(suite, "metrics"), m);
}

void foreign_left_out(json_t *run, const char *what)
{
    enum { MOST = 20 };
    json_t *source = json_object_get(json_object_get(run, "subject"), "source");
    json_t *list = json_object_get(source, "left_out");
    if (!list) json_object_set_new(source, "left_out", list = json_array());
    if (json_array_size(list) < MOST) {
        json_array_append_new(list, json_string(what));
        return;
    }
    const json_int_t n = json_integer_value(json_object_get(source, "left_out_besides"));
    json_object_set_new(source, "left_out_besides", json_integer(n + 1));
}

double foreign_number(const json_t *v)
{
    double x;
    if (json_is_number(v)) return json_number_value(v);
    return json_is_string(v) && number_real(json_string_value(v), &x) ? x : NAN;
}

int64_t foreign_count(const json_t *v)
{
    int64_t n;
    if (json_is_string(v) && number_whole(json_string_value(v), &n) && n >= 0) return n;
    return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
}

/* The probability of abs(T) < t, as a function of the angle whose tangent is t / sqrt(freedom): finite sums
 * (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4). */
static double student_within(double angle, int64_t freedom)
{
    const double c2 = cos(angle) * cos(angle);
    const bool odd = freedom % 2 == 1;
    double sum = 0, term = odd ? cos(angle) : 1;
    for (int64_t k = odd ? 1 : 0; k <= freedom - 2; k += 2) {
        sum += term;
        term *= c2 * (double)(k + 1) / (double)(k + 2);
    }
    return odd ? (angle + sin(angle) * sum) * M_2_PI : sin(angle) * sum;
}

double student_t(int64_t freedom)
{
    double low = 0, high = M_PI_2;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        *(student_within(middle, freedom) < 0.95 ? &low : &high) = middle;
    }
    return tan(low) * sqrt((double)freedom);
}
