#include "reports/limits_rule.h"
#include "engine/base/suggest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of several stars only the last one that was met is taken back: a longer stretch for an earlier one would fit no more
 * (the time is at most the product of both lengths). */
bool limit_pattern_fits(const char *pattern, const char *name)
{
    const char *star = NULL, *from = name;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            from = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

/* --- numbers --- */

struct amount {
    double value; /* 1 % is 0.01 */
    bool percent, sign;
};

/* [-+]? [0-9]+ (\.[0-9]+)? % */
static bool read_percent(const char *s, struct amount *out)
{
    static const char digits[] = "0123456789";
    const char *first = s + (*s == '-' || *s == '+');
    size_t n = strspn(first, digits);
    if (!n) return false;
    if (first[n] == '.') {
        const size_t part = strspn(first + n + 1, digits);
        if (!part) return false;
        n += 1 + part;
    }
    if (first[n] != '%' || first[n + 1]) return false;
    *out = (struct amount){strtod(s, NULL) / 100, true, first > s};
    return isfinite(out->value);
}

/* -ERROR_INPUT where it is neither a number nor a percentage. */
static int read_amount(const json_t *v, struct amount *out, struct error *e)
{
    const char *text = json_string_value(v);
    *out = (struct amount){json_number_value(v), false, false};
    if (json_is_number(v) || (text && read_percent(text, out))) return 0;
    return -error_set(e, ERROR_INPUT,
                      "must be a number such as -0.02 or 5, a percentage such as +1%%, or a mapping of difference, "
                      "at_least and at_most");
}

/* --- what it is asked of --- */

static int read_count(struct limit_bound *b, enum limit_kind counted, const struct amount *a, struct error *e)
{
    if (a->percent && a->sign)
        return -error_set(e, ERROR_INPUT, "is a share of the items, which has no sign: write %g%%",
                          fabs(100 * a->value));
    if (a->value < 0) return -error_set(e, ERROR_INPUT, "is a number of items: it cannot be below 0");
    *b = (struct limit_bound){.kind = counted, .share = a->percent, .limit = a->value};
    return 1;
}

static int read_value(struct limit_bound *b, const struct report_row *row, const struct amount *a, struct error *e)
{
    if (a->percent)
        return -error_set(e, ERROR_INPUT, "is a limit of the value of %s itself, not of a change: write a number",
                          row->metric);
    *b = (struct limit_bound){.kind = LIMIT_VALUE, .at_least = row->higher_is_better, .limit = a->value};
    return 1;
}

/* A loss is below zero where higher is better. */
static int read_difference(struct limit_bound *b, const struct report_row *row, const struct amount *a, struct error *e)
{
    const char *unit = a->percent ? "%" : "";
    const double shown = fabs(a->percent ? 100 * a->value : a->value);
    if (a->percent && !a->sign && a->value != 0)
        return -error_set(e, ERROR_INPUT,
                          "a change needs its sign: write %c%g%% for a loss of %s, relative to the "
                          "baseline",
                          row->higher_is_better ? '-' : '+', shown, row->metric);
    if (row->higher_is_better ? a->value > 0 : a->value < 0)
        return -error_set(
            e, ERROR_INPUT, "%s is better when %s, so this would be a gain: write %c%g%s for a limit of its loss%s",
            row->metric, row->higher_is_better ? "higher" : "lower", row->higher_is_better ? '-' : '+', shown, unit,
            a->percent              ? ""
            : row->higher_is_better ? ", or {at_least: ...} for one of its value"
                                    : ", or {at_most: ...} for one of its value");
    *b = (struct limit_bound){
        .kind = a->percent ? LIMIT_RELATIVE : LIMIT_DIFFERENCE, .at_least = row->higher_is_better, .limit = a->value};
    return 1;
}

/* --- mappings --- */

static int check_side(const struct report_row *row, enum limit_kind counted, bool at_least, struct error *e)
{
    if (counted != LIMIT_VALUE && at_least) return -error_set(e, ERROR_INPUT, "more flips are no gain: write at_most");
    if (counted == LIMIT_VALUE && at_least != row->higher_is_better)
        return -error_set(e, ERROR_INPUT, "%s is better when %s, so no loss would exceed this: write %s", row->metric,
                          row->higher_is_better ? "higher" : "lower", row->higher_is_better ? "at_least" : "at_most");
    return 0;
}

static int read_entry(struct limit_bound *b, const struct report_row *row, enum limit_kind counted, const char *key,
                      const json_t *value, struct error *e)
{
    static const char *const keys[] = {"difference", "at_least", "at_most"};
    enum { KEYS = sizeof keys / sizeof *keys };
    struct amount a;
    size_t k = 0;
    while (k < KEYS && strcmp(key, keys[k]) != 0) k++;
    if (k == KEYS)
        return -error_set(e, ERROR_INPUT, "unknown key%s (known: difference, at_least, at_most)",
                          suggest(key, keys, KEYS).words);
    if (json_is_object(value)) return -error_set(e, ERROR_INPUT, "must be a number or a percentage");
    int status = read_amount(value, &a, e);
    if (!status && k > 0) status = check_side(row, counted, k == 1, e);
    if (status) return status;
    if (k == 0 && (counted != LIMIT_VALUE || row->is_distance))
        return -error_set(e, ERROR_INPUT, "%s says how far from the baseline a subject is, and has no difference",
                          counted == LIMIT_VALUE ? row->metric : "a number of flips");
    if (counted != LIMIT_VALUE) return read_count(b, counted, &a, e);
    return k ? read_value(b, row, &a, e) : read_difference(b, row, &a, e);
}

static int read_mapping(struct limit_bound bounds[LIMIT_BOUNDS], const struct report_row *row, enum limit_kind counted,
                        const json_t *value, struct text *place, struct error *e)
{
    int n = 0;
    const size_t length = place->length;
    for (void *at = json_object_iter((json_t *)value); at; at = json_object_iter_next((json_t *)value, at)) {
        text_printf(place, ".%s", json_object_iter_key(at));
        const int got = read_entry(&bounds[n], row, counted, json_object_iter_key(at), json_object_iter_value(at), e);
        if (got < 0) return got;
        n += got;
        if (place->bytes) place->bytes[place->length = length] = 0;
    }
    return n ? n : -error_set(e, ERROR_INPUT, "is empty: difference, at_least or at_most must be in it");
}

int limit_rule_read(struct limit_bound bounds[LIMIT_BOUNDS], const struct report_row *row, enum limit_kind counted,
                    const json_t *value, struct text *place, struct error *e)
{
    struct amount a;
    if (json_is_object(value)) return read_mapping(bounds, row, counted, value, place, e);
    const int status = read_amount(value, &a, e);
    if (status) return status;
    if (counted != LIMIT_VALUE) return read_count(bounds, counted, &a, e);
    return row->is_distance ? read_value(bounds, row, &a, e) : read_difference(bounds, row, &a, e);
}
