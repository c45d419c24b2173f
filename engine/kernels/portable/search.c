#include "engine/kernels/portable/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { L = SEARCH_LANES };

/* Value and weight i of sub-block j at [i][j]: a row is a cache line. */
struct field {
    _Alignas(4 * L) float x[SEARCH_ROWS][L];
    float w[SEARCH_ROWS][L];
    float unit[L]; /* what the values were divided by: a power of two near the largest, so that no sum leaves float32 */
    float sum_w[L], sum_wx[L];
    bool weighted;
    const struct scheme *scheme;
};

/* x ~ scale q + offset in each lane; the offset is not above zero. */
struct lines {
    float scale[L], offset[L];
};

/* For nearest codes q: sums of w q, w q q, w q x. */
struct moments {
    float q[L], qq[L], qx[L];
};

/* What is written, still divided by the unit, and its error. */
struct trial {
    float d[L], dmin[L], scales[L], minima[L], error[L];
};

/* To the nearest whole number, |x| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction. */
static inline float whole(float x) { return x + 12582912.f - 12582912.f; }

/* The value of iq4_values nearest to t: a step at each middle between two. */
static inline float nearest_iq4(float t)
{
    float value = iq4_values[0];
    for (int k = 0; k < 15; k++)
        value +=
            t > (float)(iq4_values[k] + iq4_values[k + 1]) / 2.f ? (float)(iq4_values[k + 1] - iq4_values[k]) : 0.f;
    return value;
}

static inline float nearest(bool codebook, float low, float high, float t)
{
    return codebook ? nearest_iq4(t) : whole(held(t, low, high));
}

/* In steps of the codes, of which a scale of 0 makes a very large one: the code is 0 then. */
static void add_errors_of_steps(const struct field *f, const struct lines *at, float *restrict error /* [L] */)
{
    const float low = (float)f->scheme->low, high = (float)f->scheme->high;
    float step[L], inverse[L], shift[L];
    for (int j = 0; j < L; j++) {
        step[j] = at->scale[j] != 0.f ? at->scale[j] : 1024.f;
        inverse[j] = inverse_of(step[j]);
        shift[j] = at->offset[j] * inverse[j];
    }
    for (int i = 0; i < f->scheme->size; i++) {
#pragma omp simd
        for (int j = 0; j < L; j++) {
            float q = f->x[i][j] * inverse[j] - shift[j], off = q - nearest(false, low, high, q);
            error[j] += f->w[i][j] * (off * off);
        }
    }
    for (int j = 0; j < L; j++) error[j] *= step[j] * step[j];
}

static void add_errors_of_codebook(const struct field *f, const struct lines *at, float *restrict error /* [L] */)
{
    float inverse[L];
    for (int j = 0; j < L; j++) inverse[j] = inverse_of(at->scale[j]);
    for (int i = 0; i < f->scheme->size; i++) {
#pragma omp simd
        for (int j = 0; j < L; j++) {
            float off = f->x[i][j] - at->scale[j] * nearest_iq4(f->x[i][j] * inverse[j]);
            error[j] += f->w[i][j] * (off * off);
        }
    }
}

static void errors_of(const struct field *f, const struct lines *at, float *out /* [L] */)
{
    float error[L] = {0};
    if (f->scheme->codebook)
        add_errors_of_codebook(f, at, error);
    else
        add_errors_of_steps(f, at, error);
    memcpy(out, error, sizeof error);
}

static inline void add_moments(const struct field *f, bool codebook, const struct lines *at, const float *inverse,
                               struct moments *restrict m)
{
    const float low = (float)f->scheme->low, high = (float)f->scheme->high;
    for (int i = 0; i < f->scheme->size; i++) {
#pragma omp simd
        for (int j = 0; j < L; j++) {
            float q = nearest(codebook, low, high, (f->x[i][j] - at->offset[j]) * inverse[j]), wq = f->w[i][j] * q;
            m->q[j] += wq;
            m->qq[j] += wq * q;
            m->qx[j] += wq * f->x[i][j];
        }
    }
}

static void moments_of(const struct field *f, const struct lines *at, struct moments *out)
{
    float inverse[L];
    struct moments m = {{0}, {0}, {0}};
    for (int j = 0; j < L; j++) inverse[j] = inverse_of(at->scale[j]);
    if (f->scheme->codebook)
        add_moments(f, true, at, inverse, &m);
    else
        add_moments(f, false, at, inverse, &m);
    *out = m;
}

/* Divides the values of a super-block by a power of two and their weights by the largest. Weights are kept a little
 * above zero, so that values without importance get a sensible code, too. */
static void load_group(struct field *f, int first, const float *x, const float *importance)
{
    const int size = f->scheme->size, n = size * f->scheme->per;
    float most = 0x1p-100f, heaviest = 0;
    for (int i = 0; i < n; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    for (int i = 0; importance && i < n; i++) heaviest = importance[i] > heaviest ? importance[i] : heaviest;
    float unit = float_of_bits(bits_of_float(most) & 0x7f800000u), inverse = 1.f / unit;
    for (int j = 0; j < f->scheme->per; j++) {
        f->unit[first + j] = unit;
        for (int i = 0; i < size; i++) {
            f->x[i][first + j] = x[j * size + i] * inverse;
            f->w[i][first + j] = heaviest > 0.f ? importance[j * size + i] / heaviest + 0x1p-24f : 1.f;
        }
    }
}

static void load_field(struct field *f, const struct scheme *scheme, const float *x, const float *importance, int64_t n)
{
    static const float zeros[SEARCH_ROWS * L];
    f->scheme = scheme;
    f->weighted = importance != NULL;
    for (int first = 0; first < L; first += scheme->per) {
        int64_t at = (int64_t)first * scheme->size;
        load_group(f, first, at < n ? x + at : zeros, importance && at < n ? importance + at : NULL);
    }
    for (int j = 0; j < L; j++) {
        f->sum_w[j] = f->sum_wx[j] = 0;
        for (int i = 0; i < scheme->size; i++) {
            f->sum_w[j] += f->w[i][j];
            f->sum_wx[j] += f->w[i][j] * f->x[i][j];
        }
    }
}

/* What the line takes off the sum of w x x: 2 sum(w x y) - sum(w y y) for y = scale q + offset. */
static float gain_of(float scale, float offset, float q, float qq, float qx, float w, float wx)
{
    return 2 * (scale * qx + offset * wx) - (scale * scale * qq + 2 * scale * offset * q + offset * offset * w);
}

/* The line of least squares for these moments, where it gains more than the best so far. Where codes are all alike, the
 * offset stays as it was; one above zero becomes zero. The scale is that of least squares for the offset. */
static void take_better(const struct field *f, const struct lines *at, const struct moments *m, struct lines *best,
                        float *gain /* [L] */)
{
    const bool has_offset = f->scheme->most_minimum > 0;
#pragma omp simd
    for (int j = 0; j < L; j++) {
        float w = f->sum_w[j], wx = f->sum_wx[j], q = m->q[j], qq = m->qq[j], qx = m->qx[j];
        float spread = w * qq - q * q;
        float offset = has_offset && spread > 0x1p-16f * w * qq ? (qq * wx - q * qx) / spread : at->offset[j];
        offset = offset < 0.f ? offset : 0.f;
        float scale = qq > 0.f ? (qx - offset * q) / qq : 0.f;
        scale = has_offset && scale < 0.f ? 0.f : scale;
        float g = gain_of(scale, offset, q, qq, qx, w, wx);
        bool better = g > gain[j];
        gain[j] = better ? g : gain[j];
        best->scale[j] = better ? scale : best->scale[j];
        best->offset[j] = better ? offset : best->offset[j];
    }
}

/* Which part of the range is drawn in at an end (pushed out where negative): quarters of the step between codes and,
 * where an end may be of little importance, large parts. */
static float drawn_in(const struct scheme *s, int k)
{
    return k < 4 ? 0.25f * (float)(k - 1) / (float)s->high : 0.08f * (float)(k - 3);
}

/* The ends of a sub-block, drawn in, are where the codes 0 and `high` lie. */
static void explore_lines(const struct field *f, const float *lowest, const float *highest, struct lines *best,
                          float *gain)
{
    const int ends = f->weighted ? 10 : 4;
    for (int a = 0; a < ends; a++)
        for (int b = 0; b < ends; b++) {
            struct lines at;
            struct moments m;
            for (int j = 0; j < L; j++) {
                float low = lowest[j] < 0.f ? lowest[j] : 0.f, range = highest[j] - low;
                float first = low + range * drawn_in(f->scheme, a), last = highest[j] - range * drawn_in(f->scheme, b);
                at.offset[j] = first < 0.f ? first : 0.f;
                at.scale[j] = last > at.offset[j] ? (last - at.offset[j]) / (float)f->scheme->high : 0.f;
            }
            moments_of(f, &at, &m);
            take_better(f, &at, &m, best, gain);
        }
}

/* The value of largest magnitude lies near the code of largest magnitude, on either side of zero; where it may be of
 * little importance, far beyond. */
static void explore_scales(const struct field *f, const float *lowest, const float *highest, struct lines *best,
                           float *gain)
{
    const int scales = f->weighted ? 40 : 24;
    float code = 1.1f * (float)f->scheme->low;
    for (int a = 0; a < 2 * scales; a++) {
        struct lines at;
        struct moments m;
        for (int j = 0; j < L; j++) {
            at.offset[j] = 0;
            at.scale[j] = (-lowest[j] > highest[j] ? lowest[j] : highest[j]) / code;
        }
        moments_of(f, &at, &m);
        take_better(f, &at, &m, best, gain);
        code *= a % 2 ? -1.f : -0.98f;
    }
}

static void explore(const struct field *f, struct lines *best)
{
    float lowest[L], highest[L], gain[L] = {0};
    memcpy(lowest, f->x[0], sizeof lowest);
    memcpy(highest, f->x[0], sizeof highest);
    for (int i = 1; i < f->scheme->size; i++)
        for (int j = 0; j < L; j++) {
            lowest[j] = f->x[i][j] < lowest[j] ? f->x[i][j] : lowest[j];
            highest[j] = f->x[i][j] > highest[j] ? f->x[i][j] : highest[j];
        }
    *best = (struct lines){{0}, {0}};
    if (f->scheme->most_minimum)
        explore_lines(f, lowest, highest, best, gain);
    else
        explore_scales(f, lowest, highest, best, gain);
    for (int round = 0; f->weighted && round < 3; round++) {
        struct lines at = *best;
        struct moments m;
        moments_of(f, &at, &m);
        take_better(f, &at, &m, best, gain);
    }
}

/* As it will be read. A d too small for 16 bits becomes their smallest where its largest multiple is at least half of
 * that; one that is too large stays, to become infinite when it is written. */
static float as_stored(float d, float unit, int multiple)
{
    float stored = f16_rounded(d * unit);
    if (stored == 0.f && fabsf(d * unit) * (float)multiple >= 0x1p-25f) stored = d > 0.f ? 0x1p-24f : -0x1p-24f;
    return fabsf(stored) < INFINITY ? stored / unit : d;
}

/* The integer of a scale that is largest in magnitude. */
static int end_of(const struct scheme *s) { return -s->least > s->most ? s->least : s->most; }

/* Of d in a value; 0 where no integer can be 0 in a d that is too large. */
static int largest_multiple(const struct scheme *s)
{
    return s->least > 0 ? 0 : abs(end_of(s)) * (-s->low > s->high ? -s->low : s->high);
}

/* The largest scale of a super-block becomes the integer of largest magnitude, less 5 % a start; the largest minimum
 * becomes the largest integer. */
static void start_trial(const struct field *f, const struct lines *wanted, int start, struct trial *t)
{
    const struct scheme *s = f->scheme;
    float end = (float)end_of(s) * (1.f - 0.05f * (float)start);
    for (int first = 0; first < L; first += s->per) {
        float scale = 0, offset = 0, unit = f->unit[first];
        for (int j = first; j < first + s->per; j++) {
            scale = fabsf(wanted->scale[j]) > fabsf(scale) ? wanted->scale[j] : scale;
            offset = wanted->offset[j] < offset ? wanted->offset[j] : offset;
        }
        float d = as_stored(scale / end, unit, largest_multiple(s));
        float dmin = s->most_minimum ? as_stored(-offset / (float)s->most_minimum, unit, s->most_minimum) : 0.f;
        for (int j = first; j < first + s->per; j++) t->d[j] = d, t->dmin[j] = dmin;
    }
}

static void lines_of(const struct trial *t, struct lines *out)
{
    for (int j = 0; j < L; j++) {
        out->scale[j] = t->d[j] * t->scales[j];
        out->offset[j] = -(t->dmin[j] * t->minima[j]);
    }
}

/* With scales `away` from the nearest, and with minima that keep the middle of the codes where it is, or one off. */
static void try_integers(const struct field *f, const struct lines *wanted, int away, int off, struct trial *best)
{
    const struct scheme *s = f->scheme;
    const float least = (float)s->least, most = (float)s->most, high = (float)s->most_minimum;
    const float middle = (float)(s->low + s->high) / 2.f;
    struct trial t = *best;
    struct lines at;
    for (int j = 0; j < L; j++) {
        float nearest_scale = whole(held(wanted->scale[j] * inverse_of(t.d[j]), least, most));
        t.scales[j] = held(nearest_scale + (float)away, least, most);
        float moved = (float)away * t.d[j] * middle - wanted->offset[j];
        t.minima[j] = held(whole(held(moved * inverse_of(t.dmin[j]), 0, high)) + (float)off, 0, high);
    }
    lines_of(&t, &at);
    errors_of(f, &at, t.error);
#pragma omp simd
    for (int j = 0; j < L; j++) {
        bool better = t.error[j] < best->error[j];
        best->scales[j] = better ? t.scales[j] : best->scales[j];
        best->minima[j] = better ? t.minima[j] : best->minima[j];
        best->error[j] = better ? t.error[j] : best->error[j];
    }
}

/* Looks far at first. Larger scales than the nearest leave room for the ends to move, so that is where it looks;
 * smaller ones leave ends out, which only helps where weights differ and there is no minimum. */
static void choose_integers(const struct field *f, const struct lines *wanted, bool far, struct trial *t)
{
    const struct scheme *s = f->scheme;
    const int near = s->most > s->least, reach = f->weighted ? s->weighted_reach : s->reach;
    const int above = far ? reach : near, below = far && f->weighted && !s->most_minimum ? reach : near;
    const int off = s->most_minimum ? far ? 2 : 1 : 0;
    for (int j = 0; j < L; j++) t->scales[j] = t->minima[j] = 0, t->error[j] = INFINITY;
    try_integers(f, wanted, 0, 0, t); /* first, to be what remains where all are alike */
    for (int a = -below; a <= above; a++)
        for (int b = -off; b <= off; b++)
            if (a || b) try_integers(f, wanted, a, b, t);
}

/* d and dmin of least squares for the integers of the trial and the codes nearest to them: of x ~ d u - dmin v, where
 * u = scale q and v = minimum, the normal equations have the sums of w u u, w u v, w v v, w u x and w v x. */
static void refit(const struct field *f, struct trial *t)
{
    const struct scheme *s = f->scheme;
    struct lines at;
    struct moments m;
    lines_of(t, &at);
    moments_of(f, &at, &m);
    for (int first = 0; first < L; first += s->per) {
        double uu = 0, uv = 0, vv = 0, ux = 0, vx = 0;
        for (int j = first; j < first + s->per; j++) {
            double u = (double)t->scales[j], v = (double)t->minima[j];
            uu += u * u * (double)m.qq[j];
            uv += u * v * (double)m.q[j];
            vv += v * v * (double)f->sum_w[j];
            ux += u * (double)m.qx[j];
            vx += v * (double)f->sum_wx[j];
        }
        double spread = uu * vv - uv * uv, d = (double)t->d[first], dmin = (double)t->dmin[first];
        if (spread > 1e-6 * uu * vv) {
            d = (ux * vv - uv * vx) / spread;
            dmin = (uv * ux - uu * vx) / spread;
        } else if (uu > 0)
            d = (ux + dmin * uv) / uu;
        else if (vv > 0)
            dmin = -vx / vv;
        float near = as_stored((float)d, f->unit[first], largest_multiple(s));
        float near_min = as_stored((float)dmin, f->unit[first], s->most_minimum);
        for (int j = first; j < first + s->per; j++) t->d[j] = near, t->dmin[j] = near_min;
    }
}

static void keep_better_trial(const struct field *f, const struct trial *t, struct trial *best)
{
    const int per = f->scheme->per;
    for (int first = 0; first < L; first += per) {
        float was = 0, is = 0;
        for (int j = first; j < first + per; j++) was += best->error[j], is += t->error[j];
        for (int j = first; is < was && j < first + per; j++) {
            best->d[j] = t->d[j], best->dmin[j] = t->dmin[j];
            best->scales[j] = t->scales[j], best->minima[j] = t->minima[j];
            best->error[j] = t->error[j];
        }
    }
}

static uint8_t code_of(const struct scheme *s, float t)
{
    if (!s->codebook) return (uint8_t)((int)nearest(false, (float)s->low, (float)s->high, t) - s->low);
    uint8_t place = 0;
    while (place < 15 && t > (float)(iq4_values[place] + iq4_values[place + 1]) / 2.f) place++;
    return place;
}

static void write_chosen(const struct field *f, const struct trial *t, struct chosen *out)
{
    struct lines at;
    lines_of(t, &at);
    for (int j = 0; j < L; j++) {
        out->d[j] = f16_from_f32(t->d[j] * f->unit[j] + 0.f); /* not -0 */
        out->dmin[j] = f16_from_f32(t->dmin[j] * f->unit[j] + 0.f);
        out->scales[j] = (int)t->scales[j];
        out->minima[j] = (int)t->minima[j];
        float inverse = inverse_of(at.scale[j]);
        uint8_t *codes = out->codes + j * f->scheme->size;
        for (int i = 0; i < f->scheme->size; i++) codes[i] = code_of(f->scheme, (f->x[i][j] - at.offset[j]) * inverse);
    }
}

static void search(const struct scheme *scheme, const float *x, const float *importance, int64_t n, struct chosen *out)
{
    struct field f;
    struct lines wanted, at;
    struct trial t, best = {{0}, {0}, {0}, {0}, {0}};
    load_field(&f, scheme, x, importance, n);
    explore(&f, &wanted);
    for (int j = 0; j < L; j++) best.error[j] = INFINITY;
    for (int start = 0; start < scheme->starts; start++) {
        start_trial(&f, &wanted, start, &t);
        choose_integers(&f, &wanted, true, &t);
        keep_better_trial(&f, &t, &best);
        for (int round = 0; round < scheme->rounds; round++) {
            refit(&f, &t);
            lines_of(&t, &at);
            choose_integers(&f, &at, false, &t);
            keep_better_trial(&f, &t, &best);
        }
    }
    write_chosen(&f, &best, out);
}

void KERNEL(encode_by_search)(const struct scheme *s, store_block *store, size_t bytes, const float *x,
                              const float *importance, uint8_t *out, int64_t n)
{
    const int block = s->size * s->per;
    while (n > 0) {
        struct chosen chosen;
        search(s, x, importance, n, &chosen);
        for (int first = 0; first < L && n > 0; first += s->per, n -= block, x += block, out += bytes) {
            store(&chosen, first, out);
            if (importance) importance += block;
        }
    }
}
