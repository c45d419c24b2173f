/* What flipped, item by item, and the tokens whose prediction moved the most. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { PROMPT_SHOWN = 400, ANSWER_SHOWN = 300, WORD = 40 }; /* bytes */

/* The end of a long text, cut between words, or its beginning, cut between characters. */
static void write_cut(struct page *p, const char *s, size_t most, bool keep_end)
{
    const size_t n = strlen(s);
    if (n <= most) {
        page_words(p, s, n);
    } else if (keep_end) {
        s += n - most;
        const char *space = memchr(s, ' ', strlen(s));
        if (space && space - s < WORD) s = space + 1; /* a whole word, where words are not too long */
        while (((unsigned char)*s & 0xC0) == 0x80) s++;
        text_add(p->out, "… ");
        page_words(p, s, strlen(s));
    } else {
        while (most && ((unsigned char)s[most] & 0xC0) == 0x80) most--;
        page_words(p, s, most);
        text_add(p->out, " …");
    }
}

static void write_answer(struct page *p, const char *who, const char *answer, bool right)
{
    text_printf(p->out, "<dt>%s</dt><dd class=\"%s\"><span class=\"mark\">%s</span> ", who, right ? "better" : "worse",
                right ? "✓" : "✗");
    write_cut(p, *answer ? answer : DASH, ANSWER_SHOWN, false);
    text_add(p->out, "</dd>\n");
}

static void write_choices(struct page *p, const struct evidence_flip *f)
{
    page_scroll_open(p, "Log-likelihoods of the choices");
    text_add(p->out, "<table class=\"plain\"><caption class=\"hidden\">Log-likelihoods of the choices</caption><thead>"
                     "<tr><th scope=\"col\">Choice</th><th scope=\"col\">baseline</th><th scope=\"col\">candidate</th>"
                     "</tr></thead><tbody>\n");
    for (size_t k = 0; k < f->n_choices; k++) {
        const struct evidence_choice *c = &f->choices[k];
        text_add(p->out, "<tr><th scope=\"row\">");
        write_cut(p, c->text, ANSWER_SHOWN, false);
        text_printf(p->out, "%s</th><td>%.3f</td><td>%.3f</td></tr>\n",
                    c->right ? " <span class=\"pill good\">right</span>" : "", c->before, c->after);
    }
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
}

static void write_flip(struct page *p, const struct evidence_flip *f)
{
    text_printf(p->out, "<li class=\"flip\"><p class=\"prompt\"><span class=\"item\">item %" PRId64 "</span> ",
                f->item);
    write_cut(p, f->prompt, PROMPT_SHOWN, true);
    text_add(p->out, "</p>\n<dl>\n");
    if (*f->target) {
        text_add(p->out, "<dt>right</dt><dd>");
        write_cut(p, f->target, ANSWER_SHOWN, false);
        text_add(p->out, "</dd>\n");
    }
    write_answer(p, "baseline", f->before, !f->gained);
    write_answer(p, "candidate", f->after, f->gained);
    text_add(p->out, "</dl>\n");
    if (f->n_choices > 2) write_choices(p, f);
    text_add(p->out, "</li>\n");
}

/* "exact_match, f1": the metrics with the same flips */
static void write_metrics(struct page *p, const struct evidence_flips *f)
{
    page_text(p, p->r->rows[f->row].metric);
    for (size_t i = 0; i < p->v->n_flips; i++) {
        const struct evidence_flips *other = &p->v->flips[i];
        if (other == f || other->subject != f->subject || other->same_as != f->row) continue;
        text_add(p->out, ", ");
        page_text(p, p->r->rows[other->row].metric);
    }
}

static void write_list(struct page *p, const struct evidence_flips *f, bool gained)
{
    size_t shown = 0;
    const size_t all = gained ? f->n_gained : f->n_lost;
    for (size_t k = 0; k < f->n; k++) shown += f->list[k].gained == gained;
    if (!shown) return;
    text_printf(p->out, "<h4>%s</h4>\n<ol class=\"flips\">\n", gained ? "Turned right" : "Turned wrong");
    for (size_t k = 0; k < f->n; k++)
        if (f->list[k].gained == gained) write_flip(p, &f->list[k]);
    text_add(p->out, "</ol>\n");
    if (all > shown)
        text_printf(p->out, "<p class=\"missing\">The first %zu of %zu; the samples files of the runs have all.</p>\n",
                    shown, all);
}

static void write_flips(struct page *p, const struct evidence_flips *f)
{
    text_add(p->out, "<details><summary>");
    page_text(p, p->r->rows[f->row].suite);
    text_add(p->out, " <span class=\"unit\">");
    write_metrics(p, f);
    text_printf(p->out,
                "</span> <span class=\"count\"><span class=\"worse\">−%zu</span> <span class=\"better\">+%zu"
                "</span></span></summary>\n",
                f->n_lost, f->n_gained);
    write_list(p, f, false);
    write_list(p, f, true);
    text_add(p->out, "</details>\n");
}

void page_flips(struct page *p)
{
    size_t subject = 0, shown = 0;
    page_open(
        p, "flips", "Flips",
        "Answers that turned wrong (−) or right (+) against the baseline. Equal accuracy with many flips is not "
        "equality. Beside choices stand their log-likelihoods: of the largest, the nearest to 0, comes the answer.");
    for (size_t i = 0; i < p->v->n_flips; i++) {
        const struct evidence_flips *f = &p->v->flips[i];
        if (f->same_as != f->row || !(f->n_gained + f->n_lost)) continue;
        if (f->subject != subject) {
            text_add(p->out, "<h3>");
            page_label(p, subject = f->subject);
            text_add(p->out, "</h3>\n");
        }
        write_flips(p, f);
        shown++;
    }
    for (size_t j = 0; j < p->v->n_subjects; j++) {
        if (!p->v->missing[j]) continue;
        text_add(p->out, "<p class=\"missing\">Not shown of ");
        page_label(p, j);
        text_add(p->out, ": ");
        page_text(p, p->v->missing[j]);
        text_add(p->out, "</p>\n");
        shown++;
    }
    if (p->v->n_flips)
        text_add(p->out,
                 "<p class=\"print\">The items themselves can be opened in index.html; they are not printed.</p>\n");
    if (!shown) text_add(p->out, "<p class=\"missing\">No answer flipped.</p>\n");
    page_close(p);
}

/* --- worst tokens --- */

static double number_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* What stands in the text and at the token; null where the tokenizer had no text for it. */
static void write_piece(struct page *p, const json_t *object, const char *key, const char *class)
{
    const char *s = json_string_value(json_object_get(object, key));
    text_printf(p->out, "<span class=\"%s\">", class);
    page_text(p, s ? s : "?");
    text_add(p->out, "</span>");
}

static void write_side(struct page *p, const json_t *side)
{
    text_add(p->out, "<td>");
    write_piece(p, side, "top", "token");
    text_printf(p->out, " %.3f</td>", number_of(side, "p_top"));
}

static void write_token(struct page *p, const json_t *w)
{
    const json_t *base = json_object_get(w, "baseline"), *candidate = json_object_get(w, "candidate");
    text_printf(p->out, "<tr><td>%.3f</td><td class=\"context\">", number_of(w, "kl"));
    write_piece(p, w, "before", "before");
    write_piece(p, w, "token", "token");
    text_add(p->out, "</td>");
    write_side(p, base);
    write_side(p, candidate);
    text_printf(p->out, "<td>%.3f → %.3f</td></tr>\n", number_of(base, "p_token"), number_of(candidate, "p_token"));
}

static void write_tokens(struct page *p, size_t j, const char *suite, const json_t *worst, bool open)
{
    size_t i;
    const json_t *w;
    text_printf(p->out, "<details%s><summary>", open ? " open" : "");
    page_label(p, j);
    text_add(p->out, " <span class=\"unit\">");
    page_text(p, suite);
    text_add(p->out, "</span></summary>\n");
    page_scroll_open(p, "Tokens with the largest divergence");
    text_add(p->out,
             "<table class=\"plain\"><caption class=\"hidden\">Tokens with the largest divergence</caption>"
             "<thead><tr><th scope=\"col\">KL, nat</th><th scope=\"col\">text, then the token that came</th><th "
             "scope=\"col\">baseline expected</th><th scope=\"col\">candidate expected</th><th scope=\"col\">"
             "its probability</th></tr></thead><tbody>\n");
    json_array_foreach(worst, i, w) write_token(p, w);
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
    text_add(p->out, "</details>\n");
}

void page_tokens(struct page *p)
{
    bool some = false;
    page_open(p, "tokens", "Worst tokens",
              "Where each candidate&#39;s prediction is furthest from the baseline&#39;s.");
    for (size_t j = 1; j < p->r->n_subjects; j++)
        for (size_t i = 0; i < p->r->n_rows; i++) {
            const char *suite = p->r->rows[i].suite;
            const json_t *d = evidence_divergence(p->v, j, suite), *worst = json_object_get(d, "worst");
            if (!row_opens_suite(p->r, i) || !json_array_size(worst)) continue;
            write_tokens(p, j, suite, worst, !some);
            some = true;
        }
    if (!some) text_add(p->out, "<p class=\"missing\">Not measured, as the divergence above.</p>\n");
    page_close(p);
}
