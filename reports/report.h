/* Reports: what a comparison says, for a terminal, a spreadsheet and a pull request. All of them are made from the JSON
 * of a comparison (compare.json), never from the engine, so they can be made again at any time.
 *
 *     struct text out = {0};
 *     if (report_table(comparison, &(struct table_style){.colour = isatty(1), .width = 100}, &out, e)) ...
 *     fputs(text_c(&out), stdout);
 *
 * run.json, schema "kerf-run-1":
 *   { "schema", "kerf": { "version", "commit", "compiler", "build" },
 *     "machine": { "cpu", "isa", "threads", "blas" },
 *     "subject": { "name", "id": of weights, backend and math together, "model", "path", "sha256", "architecture",
 *                  "parameters", "backend", "math", "weight_bytes", "bits_per_weight", "tokenizer_sha256" },
 *     "suites": [ { "name", "output_type", "fingerprint", "protocol": {...}, "items",
 *                   "metrics": [ { "name", "value", "stderr", "ci95": [lo, hi], "better": "higher"|"lower", "unit" } ],
 *                   "canaries": [ { "name", "reason" } ], "tokens": {...}, "seconds", "divergence": from a
 *                   baseline, or absent } ],
 *     "started": ISO 8601, "seconds", "tokens_per_second", "peak_bytes",
 *     "counters": { "cpu_seconds" }, "profile": where one was asked for (docs/profiles.md) }
 *
 * compare.json, schema "kerf-compare-1":
 *   { "schema", "kerf", "machine",
 *     "subjects": [ the runs' "subject" objects, the baseline first, each with what else is its own: "run": its folder,
 *                   "seconds", "tokens_per_second", "peak_bytes", "counters", "profile", "started", "kerf", "machine"; of
 *                   another tool's "source": { "tool": name and version, "file" }, and null or "" for what is not known ],
 *     "rows": [ { "suite", "metric", "unit", "better", "items", "fingerprint",
 *                 "divergence": true where values are distances from the baseline, else absent,
 *                 "cells": [ one per subject: { "value", "stderr", "ci95",
 *                            "absent": true where the subject was not measured, else absent,
 *                            "refused": why it is not compared, or absent,
 *                            "fingerprint": its own where it is refused, null where it has none, else absent,
 *                            "difference": null for the baseline, for distances and where it is refused, else
 *                            { "value", "stderr", "ci95", "p", "p_holm": where there are several candidates,
 *                              "test": "mcnemar"|"bootstrap", "significant": bool, "gained": n|null, "lost": n|null } } ]
 *               } ],
 *     "canaries": [ { "suite", "subject": index, "name", "reason" } ],
 *     "resampling": { "resamples", "seed" } }
 *
 * What kerf perplexity --json prints, schema "kerf-perplexity-1":
 *   { "schema", "kerf", "machine", "file", "fingerprint", "protocol": {...}, "items": documents or windows,
 *     "tokens": scored, "computed": tokens that went through each model,
 *     "noise_floor": null, or the baseline against itself in other batches: { "windows", "tokens", "kl_divergence": mean,
 *                    "kl_largest", "same_top" },
 *     "bounded": true where the baseline is a reference file: kl_divergence, kl_reverse and their quantiles are lower
 *                bounds then,
 *     "subjects": [ a run's "subject" object, the baseline first, with
 *                   "seconds": in the model; a baseline from a file has "reference": FILE instead,
 *                   "metrics": [ as in run.json, those of the text each with "difference" as in compare.json or null;
 *                                candidates have kl_divergence, kl_reverse, same_top, probability_change and
 *                                probability_change_rms besides ],
 *                   "log_ratio": null for the baseline, else a "difference": ln(perplexity / the baseline's),
 *                   and of candidates alone
 *                   "kl_quantiles", "kl_reverse_quantiles": { "0.5", "0.9", "0.95", "0.99", "0.999", "1" }, nats,
 *                   "change_quantiles": { "0", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "1" },
 *                   "kl_above": [ [ nats, share of the tokens whose divergence is larger ] ],
 *                   "worst": [ the largest KL first: { "kl", "item": document or window, "position": of the token among
 *                              those scored in it, both from 0, "token", "before": texts,
 *                              "baseline", "candidate": { "top": text, "p_top", "p_token" } } ] } ],
 *     "resampling": { "resamples", "seed" }, "seconds", "peak_bytes" }
 *
 * A number that is not finite is null with "reason" beside it. Text from models and files is escaped for each sink. */
#ifndef KERF_REPORTS_REPORT_H
#define KERF_REPORTS_REPORT_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct table_style {
    bool colour; /* ANSI colours: a significant loss red, a significant gain green */
    int width;   /* columns of the terminal; subjects that do not fit go into further blocks below */
};

/* suite/metric down, subjects across; value, difference to the baseline and its 95 % interval; flips; then bits per
 * weight, weight bytes, seconds and tokens per second, as far as they are known. */
int report_table(const json_t *comparison, const struct table_style *style, struct text *out, struct error *e);
/* The table of a single run: suite/metric, value, standard error, 95 % interval, items. */
int report_run_table(const json_t *run, const struct table_style *style, struct text *out, struct error *e);
/* What a run spent, by phase and kernel, from its "profile": phases, kernels with their share of what the machine can reach, and figures
 * by token. Columns for which nothing was counted are left out, then those that the width has no room for. */
int report_profile(const json_t *profile, const struct table_style *style, struct text *out, struct error *e);
/* Perplexities and divergences: subjects down, figures across, in as many blocks as the width asks for. */
int report_perplexity(const json_t *record, const struct table_style *style, struct text *out, struct error *e);
/* The figures that decide, in one table of Markdown. */
int report_perplexity_markdown(const json_t *record, struct text *out, struct error *e);
/* leaderboard.csv through libcsv: one header line, one row a subject, ranked (reports/board/board.h). */
int report_leaderboard(const json_t *comparison, FILE *out, struct error *e);
/* report.md for a pull request, of no more than the 65,536 characters that a comment has. */
int report_markdown(const json_t *comparison, struct text *out, struct error *e);
/* index.html: one page that needs nothing else. `folder`: that of compare.json, from which the runs are found. What is
 * left out because gnuplot or a run is not there is said in the page and, a line each, in *notes. */
int report_page(const json_t *comparison, const char *folder, struct text *out, struct text *notes, struct error *e);
/* The answer in up to three sentences, for a terminal. */
int report_answer(const json_t *comparison, struct text *out, struct error *e);
/* junit.xml, as CI servers read it: a testsuite a candidate, a testcase a row, a failure where it is worse. */
int report_junit(const json_t *comparison, struct text *out, struct error *e);

/* Escapes for one sink each, appended to *out. */
void escape_terminal(struct text *out, const char *s); /* as text_terminal() does */
void escape_csv(struct text *out, const char *s);      /* defuses formulas; quoting is libcsv's */
const char *unescape_csv(const char *s);               /* the text that escape_csv() made s of: s or s + 1 */
void escape_markdown(struct text *out, const char *s); /* safe inside a table cell */
/* Text and attribute values of HTML, XML and SVG alike: & < > " ' as references; what a terminal would act on, what XML
 * does not allow and what is not UTF-8 made visible as text_terminal() does. */
void escape_html(struct text *out, const char *s);

#endif
