/* Charts, drawn by gnuplot, as SVG that stands inside an HTML page and takes its colours from the page's style.
 *
 *     if (chart_quality(&r, standings, NULL, &svg, e)) ...      svg holds one <svg> element with title and axis labels
 *
 * Names from models and files never reach gnuplot: it is given numbers in their place, which are replaced by the escaped
 * names in what it has drawn. Every id inside is prefixed by the chart's own, so that many stand in one page. Colours are
 * CSS variables with a fall-back: --ink, --muted, --grid, --raised (what a chart stands on), --good, --bad, --series-1 ..
 * --series-8. Two series are told apart without colour too: by the shape of their points or dashes and by names or
 * numbers at the data. An element fills the width that it is given; 360 to 560 pixels suit it best. */
#ifndef KERF_REPORTS_CHARTS_CHARTS_H
#define KERF_REPORTS_CHARTS_CHARTS_H

#include "reports/board/rank.h"
#include "reports/evidence.h"
#include "reports/profile.h"

/* ERROR_IO with the remedy where gnuplot does not run. */
int charts_try(struct error *e);

/* Quality (score, percent of the baseline, with its 95 % interval) against the MiB of the weights: a point a subject with
 * its name, the Pareto front marked. `pareto` (MAY be NULL) receives [n_subjects] whether it is on the front, also where
 * nothing can be drawn. Subjects without bytes or a score are left out; nothing is added for fewer than two points. */
int chart_quality(const struct report *r, const struct standing *s, bool *pareto, struct text *svg, struct error *e);
/* The difference of a row to the baseline with its interval, a line a candidate, and the zero line. Nothing is added
 * where no candidate has a difference. */
int chart_differences(const struct report *r, size_t row, struct text *svg, struct error *e);
/* Of a suite of documents: the share of tokens whose divergence from the baseline is larger than x, both axes
 * logarithmic, a line a candidate (run.json's kl_above). Nothing is added where no candidate has one. */
int chart_divergence(const struct report *r, const struct evidence *v, const char *suite, struct text *svg,
                     struct error *e);

/* --- profiles: profiles[n_subjects], NULL where a subject has none --- */

/* Kernel groups of one subject under the roofline: GFLOP/s against flop per byte, both axes logarithmic, a point a group
 * whose area goes by its time, the phases apart; the machine's roofs as that run measured them. The axes are the same for
 * all subjects of a report. Nothing is added where no group has both numbers. */
int chart_roofline(const struct report *r, const struct report_profile *const *profiles, size_t subject,
                   struct text *svg, struct error *e);
/* The same of phases as a whole, all subjects in one, under the roofs of the first that has some. Nothing is added for
 * fewer than two points. */
int chart_phases(const struct report *r, const struct report_profile *const *profiles, struct text *svg,
                 struct error *e);
/* Time per layer in one phase ("prefill"), a bar a layer, stacked by part, and one for what is of no layer. Colours,
 * their order and the axis are the same for all subjects of a report. Nothing is added where no time was taken, or for
 * more than LAYERS_DRAWN bars. */
enum { LAYERS_DRAWN = 200 };
int chart_layers(const struct report *r, const struct report_profile *const *profiles, size_t subject,
                 const char *phase, struct text *svg, struct error *e);

#endif
