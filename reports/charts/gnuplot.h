/* Runs gnuplot: a script goes in, what it draws comes back. No shell, no files, no settings of the user's.
 *
 *     struct text svg = {0};
 *     if (gnuplot_run("set terminal svg\nplot ...\n", gnuplot_usual, &svg, e)) return e->code;
 *     text_free(&svg);
 *
 * ERROR_IO, with the remedy, where gnuplot is not there, says no (its last line of words is in the error), draws more
 * than `bytes` or has not finished after `seconds`; it and what it started is ended then. */
#ifndef KERF_REPORTS_CHARTS_GNUPLOT_H
#define KERF_REPORTS_CHARTS_GNUPLOT_H

#include "engine/base/error.h"
#include "engine/base/text.h"

struct gnuplot_limits {
    double seconds;
    size_t bytes;
};

extern const struct gnuplot_limits gnuplot_usual; /* 20 seconds, 8 MiB */

/* Appends to *out; after a failure what was added means nothing. */
int gnuplot_run(const char *script, struct gnuplot_limits limits, struct text *out, struct error *e);

#endif
