/* The parts of index.html: each writes a <section> of its own (reports/report.h: report_page()).
 *
 * Whatever comes from a model, a file or a suite goes through page_text() or page_words(). The page's style and script
 * are reports/page/page.css and page.js, put into the program by the build. Its Content-Security-Policy lets no script run
 * but that one, whose hash it holds, and nothing be loaded at all. */
#ifndef KERF_REPORTS_PAGE_PAGE_H
#define KERF_REPORTS_PAGE_PAGE_H

#include "reports/answer.h"
#include "reports/board/rank.h"
#include "reports/charts/charts.h"
#include "reports/evidence.h"
#include "reports/profile.h"

struct page {
    const struct report *r;
    const struct evidence *v;
    const struct standing *standings;             /* [n_subjects] */
    const struct report_profile *const *profiles; /* [n_subjects]; NULL where a subject has none */
    struct answer answer;
    struct text *out;
    struct error charts; /* why there are none, or no further ones; code 0 where there are */
};

void page_answer(struct page *p);
void page_board(struct page *p);
void page_quality(struct page *p);
void page_differences(struct page *p);
void page_divergence(struct page *p);
void page_flips(struct page *p);
void page_tokens(struct page *p);
void page_profile(struct page *p);
void page_numbers(struct page *p);
void page_method(struct page *p);

/* --- what the parts share --- */

void page_name(struct text *out, const char *s);          /* escaped, in <code> */
void page_text(struct page *p, const char *s);            /* one line, escaped */
void page_words(struct page *p, const char *s, size_t n); /* escaped, with its line breaks */
void page_label(struct page *p, size_t subject);          /* subject_label(), escaped, in <code> */
void page_open(struct page *p, const char *id, const char *title, const char *about); /* <section>, <h2>, a sentence */
void page_close(struct page *p);
/* A container that scrolls sideways by itself, and by keyboard. */
void page_scroll_open(struct page *p, const char *label);
void page_scroll_close(struct page *p);
bool page_has_profile(const struct page *p);
/* A <figure> with a chart and what to read in it, which is HTML; nothing where nothing was drawn. */
void page_figure(struct page *p, const struct text *svg, const char *caption);
void page_no_charts(struct page *p); /* why charts are missing, where they are */

/* --- of profiles (profile_tables.c) --- */

void page_profile_phases(struct page *p); /* seconds of all subjects by phase */
void page_profile_tokens(struct page *p); /* what a token costs */
/* Of one subject, to be opened: phases and groups with their counters, and which counters are not there. */
void page_profile_details(struct page *p, size_t subject);

extern const char page_style[], page_script[]; /* page.css, page.js */

#endif
