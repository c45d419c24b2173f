/* What a run cost the hardware: the roofline, time per layer, and the tables behind both. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <math.h>
#include <string.h>

enum { SUBJECTS_DRAWN = 8 };

/* --- notes --- */

/* A reason and whose it is, unless one before has the same. `of` gives the reason of a subject's profile, or NULL. */
static void write_reasons(struct page *p, const char *(*of)(const struct report_profile *), const char *opening)
{
    const size_t n = p->r->n_subjects;
    for (size_t j = 0; j < n; j++) {
        const char *reason = p->profiles[j] ? of(p->profiles[j]) : NULL;
        bool told = false, all = true;
        if (!reason) continue;
        for (size_t k = 0; k < n; k++) {
            const char *other = p->profiles[k] ? of(p->profiles[k]) : NULL;
            const bool same = other && strcmp(other, reason) == 0;
            told = told || (k < j && same);
            all = all && (same || !p->profiles[k]);
        }
        if (told) continue;
        text_printf(p->out, "<p class=\"missing\">%s", opening);
        if (!all) {
            text_add(p->out, " for ");
            page_label(p, j);
            for (size_t k = j + 1; k < n; k++) {
                if (!p->profiles[k] || !of(p->profiles[k]) || strcmp(of(p->profiles[k]), reason) != 0) continue;
                text_add(p->out, ", ");
                page_label(p, k);
            }
        }
        text_add(p->out, ": ");
        page_text(p, reason);
        text_add(p->out, ".</p>\n");
    }
}

static const char *why_no_hardware(const struct report_profile *x) { return x->note; }

static const char *why_no_roofline(const struct report_profile *x) { return x->no_roofline; }

/* What the times of some subjects hold that those of others do not. */
static void write_cautions(struct page *p)
{
    bool beside = false;
    for (size_t j = 0; j < p->r->n_subjects; j++) {
        const struct report_profile *x = p->profiles[j];
        if (!x || !(x->beside > 0)) continue;
        text_add(p->out, beside ? ", "
                                : "<p class=\"missing\">In the phase “other” are passes of the baseline&#39;s "
                                  "model beside a candidate: ");
        text_printf(p->out, "%.3g s of ", x->beside);
        page_label(p, j);
        beside = true;
    }
    if (beside) text_add(p->out, ".</p>\n");
    for (size_t j = 0; j < p->r->n_subjects; j++) {
        if (!p->profiles[j] || !p->profiles[j]->resumed) continue;
        text_add(p->out, "<p class=\"missing\">");
        page_label(p, j);
        text_add(p->out, " was resumed: its profile is of the last process alone.</p>\n");
    }
}

/* --- charts --- */

static bool has_phase(const struct page *p, size_t subject, const char *phase)
{
    const struct report_profile *x = p->profiles[subject];
    for (size_t i = 0; x && i < x->n_layers; i++)
        if (strcmp(x->layers[i].phase, phase) == 0) return true;
    return false;
}

static bool has_too_many_layers(const struct page *p, size_t subject, const char *phase)
{
    const struct report_profile *x = p->profiles[subject];
    size_t n = 0;
    for (size_t i = 0; x && i < x->n_layers; i++) n += strcmp(x->layers[i].phase, phase) == 0;
    return n > LAYERS_DRAWN;
}

/* The subjects whose charts are shown: all, or the first so many. */
static size_t subjects_drawn(const struct page *p, bool *more)
{
    size_t shown = 0, j = 0;
    for (; j < p->r->n_subjects && shown < SUBJECTS_DRAWN; j++) shown += p->profiles[j] != NULL;
    *more = false;
    for (size_t k = j; k < p->r->n_subjects; k++) *more = *more || p->profiles[k];
    return j;
}

static void write_rooflines(struct page *p, size_t end)
{
    struct text all = {0}, *whole = p->out;
    p->out = &all;
    for (size_t j = 0; j < end && !p->charts.code; j++) {
        struct text svg = {0};
        if (chart_roofline(p->r, p->profiles, j, &svg, &p->charts) == 0)
            page_figure(p, &svg, "● prefill, ○ decode; a larger point took more time");
        text_free(&svg);
    }
    p->out = whole;
    if (!all.length) return;
    text_add(p->out, "<h3>Kernels under the roofline</h3>\n<p class=\"about\">How fast each kind of product and "
                     "attention ran, against how much it computes per byte that it reads. Under the slope memory is "
                     "the limit, under the flat line arithmetic is; the distance to either is what a faster kernel "
                     "could win. The axes are the same for all subjects.</p>\n<div class=\"charts\">\n");
    text_bytes(p->out, all.bytes, all.length);
    text_add(p->out, "</div>\n");
    if (all.failed) p->out->failed = true;
    text_free(&all);
}

static void write_layers(struct page *p, const char *phase, const char *about, size_t end)
{
    struct text all = {0}, *whole = p->out;
    bool long_ones = false;
    p->out = &all;
    for (size_t j = 0; j < end && !p->charts.code; j++) {
        struct text svg = {0};
        long_ones = long_ones || has_too_many_layers(p, j, phase);
        if (has_phase(p, j, phase) && chart_layers(p->r, p->profiles, j, phase, &svg, &p->charts) == 0)
            page_figure(p, &svg, "Colours and the height of a second are the same for all subjects.");
        text_free(&svg);
    }
    if (long_ones) text_printf(p->out, "<p class=\"missing\">More than %d layers are not drawn.</p>\n", LAYERS_DRAWN);
    p->out = whole;
    if (!all.length) return;
    text_printf(p->out, "<h3>Time per layer: %s</h3>\n<p class=\"about\">%s</p>\n<div class=\"charts\">\n", phase,
                about);
    text_bytes(p->out, all.bytes, all.length);
    text_add(p->out, "</div>\n");
    if (all.failed) p->out->failed = true;
    text_free(&all);
}

/* Phases of all subjects in one chart, beside what they cost. */
static void write_overview(struct page *p)
{
    struct text svg = {0};
    if (!p->charts.code) chart_phases(p->r, p->profiles, &svg, &p->charts);
    page_profile_phases(p);
    page_profile_tokens(p);
    if (!p->charts.code && svg.length) {
        text_add(p->out, "<h3>Phases under the roofline</h3>\n<div class=\"pair\">\n");
        page_figure(p, &svg, "● prefill, ○ decode, each as a whole, with norms, rotations and all else in it");
        text_add(p->out, "<div class=\"words\"><p><b>Up</b> is faster. <b>Right</b> is more computation for each byte "
                         "that is read: smaller weights move a point to the right, several sequences or tokens at a "
                         "time as well.</p><p>The lines are what this machine reached at most when it was measured: "
                         "reading memory, and multiplying what is in registers. Bytes are those of weights and "
                         "of the keys and values of attention, each counted once a pass, whether or not a cache had "
                         "them: a small model can lie above the slope.</p></div>\n</div>\n");
    }
    text_free(&svg);
}

void page_profile(struct page *p)
{
    bool more;
    const size_t end = subjects_drawn(p, &more);
    page_open(
        p, "profile", "What it costs the hardware",
        "Where the time went, by phase, kernel and layer, and what the processor counted meanwhile. Values marked ~ "
        "are scaled: the counter saw only a share of the time.");
    write_overview(p);
    write_reasons(p, why_no_hardware, "No hardware counters");
    write_reasons(p, why_no_roofline, "No roofs");
    write_cautions(p);
    write_rooflines(p, end);
    write_layers(p, "prefill", "Passes in which a sequence brings several tokens, or its first.", end);
    write_layers(p, "decode", "Passes in which every sequence brings one token more.", end);
    if (more) text_printf(p->out, "<p class=\"missing\">Charts of the first %d subjects.</p>\n", SUBJECTS_DRAWN);
    page_no_charts(p);
    text_add(p->out, "<h3>Phases and kernels</h3>\n");
    for (size_t j = 0; j < p->r->n_subjects; j++)
        if (p->profiles[j]) page_profile_details(p, j);
    text_add(p->out, "<p class=\"print\">The tables of phases and kernels can be opened in index.html; they are not "
                     "printed.</p>\n");
    page_close(p);
}
