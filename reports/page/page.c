#include "reports/page/page.h"
#include "engine/base/hash.h"
#include "engine/base/memory.h"
#include "reports/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void page_text(struct page *p, const char *s) { escape_html(p->out, s); }

void page_words(struct page *p, const char *s, size_t n)
{
    const char *end = s + n;
    while (s < end) {
        const char *line = memchr(s, '\n', (size_t)(end - s));
        struct text one = {0};
        text_bytes(&one, s, (size_t)((line ? line : end) - s));
        escape_html(p->out, text_c(&one));
        if (one.failed) p->out->failed = true;
        text_free(&one);
        if (line) text_add(p->out, "<br>");
        s = line ? line + 1 : end;
    }
}

void page_name(struct text *out, const char *s)
{
    text_add(out, "<code>");
    escape_html(out, s);
    text_add(out, "</code>");
}

void page_label(struct page *p, size_t subject)
{
    struct text label = {0};
    subject_label(&label, p->r, subject);
    page_name(p->out, text_c(&label));
    text_free(&label);
}

void page_open(struct page *p, const char *id, const char *title, const char *about)
{
    text_printf(p->out, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
    if (*about) text_printf(p->out, "<p class=\"about\">%s</p>\n", about);
}

void page_close(struct page *p) { text_add(p->out, "</section>\n"); }

void page_scroll_open(struct page *p, const char *label)
{
    text_printf(p->out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"%s\">\n", label);
}

void page_scroll_close(struct page *p) { text_add(p->out, "</div>\n"); }

/* --- the frame --- */

/* The hash of a script in a Content-Security-Policy: base64 (RFC 4648) of its SHA-256. */
static void write_script_hash(struct text *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char hex[HASH_HEX];
    unsigned char bytes[33] = {0};
    hash_hex(page_script, strlen(page_script), hex);
    for (size_t i = 0; i < 32; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    for (size_t i = 0; i < 33; i += 3) {
        const unsigned triple = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        for (int k = 3; k >= (i == 30 ? 1 : 0); k--) text_char(out, digits[triple >> 6 * k & 63]);
    }
    text_char(out, '=');
}

static void write_head(struct page *p)
{
    text_add(p->out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                     "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
                     "script-src 'sha256-");
    write_script_hash(p->out);
    text_add(p->out, "'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
                     "<link rel=\"icon\" href=\"data:,\">\n<title>");
    struct text title = {0};
    answer_headline(&title, p->r, &p->answer, escape_terminal);
    page_text(p, text_c(&title));
    text_free(&title);
    text_printf(p->out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", page_style);
}

static void write_masthead(struct page *p)
{
    const struct report_subject *base = p->r->subjects;
    text_add(p->out, "<header class=\"masthead\">\n<p class=\"brand\">kerf <span>what quantization takes, and what it "
                     "buys</span></p>\n<p class=\"facts\">");
    if (p->r->n_subjects > 1) text_add(p->out, "baseline ");
    page_name(p->out, base->name);
    if (*base->started) {
        text_add(p->out, " · ");
        struct text day = {0};
        text_bytes(&day, base->started, strcspn(base->started, "T"));
        page_text(p, text_c(&day));
        text_free(&day);
    }
    if (*base->cpu) {
        text_add(p->out, " · ");
        page_text(p, base->cpu);
    }
    text_add(p->out, "</p>\n</header>\n");
}

/* The parts of the page by name; those without anything to say are not in it. */
static void write_contents(struct page *p, bool some_differences)
{
    text_add(p->out, "<nav aria-label=\"Parts of this page\"><ul>"
                     "<li><a href=\"#board-section\">Leaderboard</a></li>");
    if (some_differences)
        text_add(p->out, "<li><a href=\"#quality\">Quality and size</a></li>"
                         "<li><a href=\"#differences\">Differences</a></li>"
                         "<li><a href=\"#divergence\">Divergence</a></li>"
                         "<li><a href=\"#flips\">Flips</a></li>"
                         "<li><a href=\"#tokens\">Worst tokens</a></li>");
    if (page_has_profile(p)) text_add(p->out, "<li><a href=\"#profile\">Profile</a></li>");
    text_add(p->out,
             "<li><a href=\"#numbers\">All numbers</a></li><li><a href=\"#method\">Method</a></li></ul></nav>\n");
}

static void write_page(struct page *p)
{
    const bool several = p->r->n_subjects > 1;
    write_head(p);
    write_masthead(p);
    text_add(p->out, "<main>\n");
    page_answer(p);
    write_contents(p, several);
    page_board(p);
    if (several) page_quality(p);
    if (several) page_differences(p);
    if (several) page_divergence(p);
    if (several) page_flips(p);
    if (several) page_tokens(p);
    if (page_has_profile(p)) page_profile(p);
    page_numbers(p);
    page_method(p);
    text_add(p->out, "</main>\n<footer><p>Made by kerf ");
    page_text(p, p->r->version);
    text_printf(p->out, "</p></footer>\n<script>%s</script>\n</body>\n</html>\n", page_script);
}

/* --- profiles --- */

bool page_has_profile(const struct page *p)
{
    for (size_t j = 0; j < p->r->n_subjects; j++)
        if (p->profiles[j]) return true;
    return false;
}

struct page_profiles {
    struct report_profile *held;        /* [n_subjects], zeroed where there is none */
    const struct report_profile **each; /* [n_subjects]: into these, or NULL */
};

static void profiles_close(struct page_profiles *x, size_t n)
{
    for (size_t j = 0; x->held && j < n; j++) report_profile_close(&x->held[j]);
    free(x->held);
    free(x->each);
}

static int profiles_open(struct page_profiles *x, const struct report *r, struct error *e)
{
    int status = 0;
    x->held = memory_new(r->n_subjects, sizeof *x->held, "a page", e);
    x->each = x->held ? memory_new(r->n_subjects, sizeof *x->each, "a page", e) : NULL;
    if (!x->each) return ERROR_IO;
    for (size_t j = 0; j < r->n_subjects && !status; j++) {
        if (!r->subjects[j].profile) continue;
        status = report_profile_read(&x->held[j], r->subjects[j].profile, "profile", e);
        x->each[j] = &x->held[j];
    }
    return status;
}

/* A line each, whatever names and reasons hold. */
static void note_missing(const struct page *p, struct text *notes)
{
    if (p->charts.code) text_printf(notes, "index.html lacks charts: %s\n", p->charts.text);
    for (size_t j = 0; j < p->v->n_subjects; j++) {
        if (!p->v->missing[j]) continue;
        text_add(notes, "index.html has no flips of ");
        escape_terminal(notes, p->r->subjects[j].name);
        text_add(notes, ": ");
        escape_terminal(notes, p->v->missing[j]);
        text_char(notes, '\n');
    }
}

int report_page(const json_t *comparison, const char *folder, struct text *out, struct text *notes, struct error *e)
{
    struct report r;
    struct evidence v = {0};
    int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    struct standing *standings = memory_new(r.n_subjects, sizeof *standings, "a page", e);
    if (!standings) status = ERROR_IO;
    if (!status) status = report_standings(&r, standings, e);
    if (!status) status = evidence_read(&v, &r, folder, e);
    struct page_profiles profiles = {0};
    if (!status) status = profiles_open(&profiles, &r, e);
    struct page p = {
        .r = &r, .v = &v, .standings = standings, .profiles = profiles.each, .answer = answer_find(&r), .out = out};
    if (!status) {
        charts_try(&p.charts);
        write_page(&p);
        note_missing(&p, notes);
    }
    profiles_close(&profiles, r.n_subjects);
    evidence_free(&v);
    free(standings);
    report_close(&r);
    if (!status && out->failed) status = error_set(e, ERROR_IO, "index.html: out of memory");
    return status;
}
