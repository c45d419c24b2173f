/* The tables of a profile. A value with ~ was scaled; a dash is what was not counted. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { GROUPS_SHOWN = 200, PHASES_SHOWN = 32 };

/* Three digits or more before the point, and a power of a thousand for what is large: "349", "2484", "12.3 G". */
static void write_amount(struct page *p, double v)
{
    static const char *const powers[] = {"", " k", " M", " G", " T", " P"};
    size_t k = 0;
    if (!isfinite(v)) {
        text_add(p->out, DASH);
        return;
    }
    while (fabs(v) >= (k ? 999.5 : 9999.5) && k + 1 < sizeof powers / sizeof *powers) v /= 1000, k++;
    if (fabs(v) >= 99.95)
        text_printf(p->out, "%.0f%s", v, powers[k]);
    else
        text_printf(p->out, "%.3g%s", v, powers[k]);
}

static void write_cell(struct page *p, double v, const char *unit)
{
    text_add(p->out, "<td>");
    write_amount(p, v);
    if (isfinite(v)) text_add(p->out, unit);
    text_add(p->out, "</td>");
}

/* Seconds that can be added up by eye. */
static void write_seconds(struct page *p, double v)
{
    if (isfinite(v))
        text_printf(p->out, "<td>%.*f</td>", v < 10 ? 3 : v < 1000 ? 2 : 0, v);
    else
        text_add(p->out, "<td>" DASH "</td>");
}

static void write_share(struct page *p, double part, double whole)
{
    if (isfinite(part / whole))
        text_printf(p->out, "<td>%.1f%%</td>", 100 * part / whole);
    else
        text_add(p->out, "<td>" DASH "</td>");
}

static void write_head(struct page *p, const char *const *names, size_t n)
{
    text_add(p->out, "<thead><tr>");
    for (size_t i = 0; i < n; i++) text_printf(p->out, "<th scope=\"col\">%s</th>", names[i]);
}

/* --- all subjects --- */

static const struct report_phase *find_phase(const struct report_profile *x, const char *phase)
{
    for (size_t i = 0; x && i < x->n_phases; i++)
        if (strcmp(x->phases[i].phase, phase) == 0) return &x->phases[i];
    return NULL;
}

static void write_phase_row(struct page *p, const char *phase)
{
    text_add(p->out, "<tr><th scope=\"row\">");
    page_text(p, phase);
    text_add(p->out, "</th>");
    for (size_t j = 0; j < p->r->n_subjects; j++) {
        const struct report_profile *x = p->profiles[j];
        const struct report_phase *f = find_phase(x, phase);
        if (!x) continue;
        if (f)
            text_printf(p->out, "<td>%.3f <span class=\"diff\">%.1f%%</span></td>", f->figures.seconds,
                        x->seconds > 0 ? 100 * f->figures.seconds / x->seconds : 0);
        else
            text_add(p->out, "<td>" DASH "</td>");
    }
    text_add(p->out, "</tr>\n");
}

void page_profile_phases(struct page *p)
{
    const char *told[PHASES_SHOWN];
    size_t n = 0;
    text_add(p->out, "<h3>Time by phase</h3>\n");
    page_scroll_open(p, "Time by phase");
    text_add(p->out, "<table class=\"plain\"><caption>Seconds, and their share of the run</caption><thead><tr>"
                     "<th scope=\"col\">Phase</th>");
    for (size_t j = 0; j < p->r->n_subjects; j++) {
        if (!p->profiles[j]) continue;
        text_add(p->out, "<th scope=\"col\">");
        page_label(p, j);
        text_add(p->out, "</th>");
    }
    text_add(p->out, "</tr></thead>\n<tbody>\n");
    for (size_t j = 0; j < p->r->n_subjects; j++)
        for (size_t i = 0; p->profiles[j] && i < p->profiles[j]->n_phases && n < PHASES_SHOWN; i++) {
            const char *phase = p->profiles[j]->phases[i].phase;
            size_t k = 0;
            while (k < n && strcmp(told[k], phase) != 0) k++;
            if (k < n) continue;
            told[n++] = phase;
            write_phase_row(p, phase);
        }
    text_add(p->out, "<tr class=\"opens\"><th scope=\"row\">all</th>");
    for (size_t j = 0; j < p->r->n_subjects; j++)
        if (p->profiles[j]) text_printf(p->out, "<td><b>%.3f</b></td>", p->profiles[j]->seconds);
    text_add(p->out, "</tr>\n</tbody></table>\n");
    page_scroll_close(p);
}

/* A column of a table of costs per token, shown where any subject has it. */
struct cost {
    const char *name, *unit; /* unit: behind the number */
    double (*of)(const struct report_per_token *t);
};

static double cost_clock(const struct report_per_token *t) { return 1000 * t->task_clock_seconds; }
static double cost_bytes(const struct report_per_token *t) { return t->bytes; }
static double cost_instructions(const struct report_per_token *t) { return t->instructions; }
static double cost_l1d(const struct report_per_token *t) { return t->l1d_misses; }
static double cost_l2(const struct report_per_token *t) { return t->l2_misses; }
static double cost_l3(const struct report_per_token *t) { return t->l3_misses; }
static double cost_energy(const struct report_per_token *t) { return t->energy_joules; }

static const struct cost costs[] = {
    {"Processor ms", "", cost_clock}, {"Bytes read", "", cost_bytes}, {"Instructions", "", cost_instructions},
    {"L1 data misses", "", cost_l1d}, {"L2 misses", "", cost_l2},     {"L3 misses", "", cost_l3},
    {"Joules", "", cost_energy}};
enum { TOKEN_COSTS = sizeof costs / sizeof *costs };

static bool is_counted(const struct page *p, const struct cost *c)
{
    for (size_t j = 0; j < p->r->n_subjects; j++)
        if (p->profiles[j] && isfinite(c->of(&p->profiles[j]->per_token))) return true;
    return false;
}

void page_profile_tokens(struct page *p)
{
    size_t n = 0;
    for (size_t k = 0; k < TOKEN_COSTS; k++) n += is_counted(p, &costs[k]);
    if (!n) return;
    text_add(p->out, "<h3>Cost of a token</h3>\n");
    page_scroll_open(p, "Cost of a token");
    text_add(p->out, "<table class=\"plain\"><caption>Prefill and decode together, by the tokens that went through the "
                     "model</caption><thead>"
                     "<tr><th scope=\"col\">Subject</th><th scope=\"col\">Tokens</th>");
    for (size_t k = 0; k < TOKEN_COSTS; k++)
        if (is_counted(p, &costs[k])) text_printf(p->out, "<th scope=\"col\">%s</th>", costs[k].name);
    text_add(p->out, "</tr></thead>\n<tbody>\n");
    for (size_t j = 0; j < p->r->n_subjects; j++) {
        const struct report_profile *x = p->profiles[j];
        if (!x) continue;
        text_add(p->out, "<tr><th scope=\"row\">");
        page_label(p, j);
        text_add(p->out, "</th>");
        if (x->tokens >= 0)
            text_printf(p->out, "<td>%" PRId64 "</td>", x->tokens);
        else
            text_add(p->out, "<td>" DASH "</td>");
        for (size_t k = 0; k < TOKEN_COSTS; k++)
            if (is_counted(p, &costs[k])) write_cell(p, costs[k].of(&x->per_token), costs[k].unit);
        text_add(p->out, "</tr>\n");
    }
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
}

/* --- one subject --- */

/* Counters that stand in the tables, as far as they are there; NULL: instructions a cycle. */
static const struct {
    const char *counter, *head;
    double unit;
} counted[] = {{"task_clock", "Processor s", 1e-9},
               {"instructions", "Instructions", 1},
               {"cycles", "Cycles", 1},
               {NULL, "IPC", 1},
               {"l1d_misses", "L1 data misses", 1},
               {"l2_misses", "L2 misses", 1},
               {"l3_misses", "L3 misses", 1},
               {"branch_misses", "Branch misses", 1},
               {"page_faults", "Page faults", 1},
               {"energy_package", "Joules", 1e-6}};
enum { COUNTED = sizeof counted / sizeof *counted };

static struct report_counted counted_of(const struct report_figures *f, size_t k)
{
    return counted[k].counter ? report_counted_in(f, counted[k].counter) : report_ipc(f);
}

/* Which of them any phase, or any group, has. */
static void find_counted(const struct report_profile *x, bool groups, bool some[COUNTED])
{
    for (size_t k = 0; k < COUNTED; k++) some[k] = false;
    for (size_t i = 0; i < (groups ? x->n_groups : x->n_phases); i++)
        for (size_t k = 0; k < COUNTED; k++)
            some[k] = some[k] || isfinite(counted_of(groups ? &x->groups[i].figures : &x->phases[i].figures, k).value);
}

static void write_counted_heads(struct page *p, const bool some[COUNTED])
{
    for (size_t k = 0; k < COUNTED; k++)
        if (some[k]) text_printf(p->out, "<th scope=\"col\">%s</th>", counted[k].head);
    text_add(p->out, "</tr></thead>\n<tbody>\n");
}

static void write_counted(struct page *p, const struct report_figures *f, const bool some[COUNTED])
{
    for (size_t k = 0; k < COUNTED; k++) {
        if (!some[k]) continue;
        const struct report_counted c = counted_of(f, k);
        text_add(p->out, "<td>");
        if (isfinite(c.value) && c.share < 0.9995)
            text_printf(p->out, "<span title=\"seen %.3g%% of the time\">~</span>", 100 * c.share);
        write_amount(p, c.value * counted[k].unit);
        text_add(p->out, "</td>");
    }
    text_add(p->out, "</tr>\n");
}

static void write_phases(struct page *p, const struct report_profile *x)
{
    static const char *const heads[] = {"Phase", "Seconds", "Share", "Times", "GFLOP/s", "GB/s"};
    bool some[COUNTED];
    find_counted(x, false, some);
    page_scroll_open(p, "Phases");
    text_add(p->out, "<table class=\"plain\"><caption>Phases</caption>");
    write_head(p, heads, sizeof heads / sizeof *heads);
    write_counted_heads(p, some);
    for (size_t i = 0; i < x->n_phases && i < PHASES_SHOWN; i++) {
        const struct report_figures *f = &x->phases[i].figures;
        text_add(p->out, "<tr><th scope=\"row\">");
        page_text(p, x->phases[i].phase);
        text_add(p->out, "</th>");
        write_seconds(p, f->seconds);
        write_share(p, f->seconds, x->seconds);
        write_cell(p, f->times >= 0 ? (double)f->times : NAN, "");
        write_cell(p, f->flop > 0 ? 1e-9 * f->flop / f->seconds : NAN, "");
        write_cell(p, f->bytes > 0 ? 1e-9 * f->bytes / f->seconds : NAN, "");
        write_counted(p, f, some);
    }
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
}

static void write_group(struct page *p, const struct report_profile *x, const struct report_group *g, bool opens,
                        const bool some[COUNTED])
{
    text_printf(p->out, "<tr%s><th scope=\"row\">", opens ? " class=\"opens\"" : "");
    page_text(p, g->phase);
    text_add(p->out, " <b>");
    page_text(p, g->part);
    text_add(p->out, "</b></th><td>");
    page_text(p, *g->weights ? g->weights : DASH);
    text_add(p->out, "</td><td>");
    page_text(p, *g->shape ? g->shape : DASH);
    text_add(p->out, "</td>");
    write_cell(p, g->layers >= 0 ? (double)g->layers : NAN, "");
    write_cell(p, g->figures.times >= 0 ? (double)g->figures.times : NAN, "");
    write_seconds(p, g->figures.seconds);
    write_share(p, g->figures.seconds, x->seconds);
    write_cell(p, g->flop_per_byte, "");
    write_cell(p, g->gflop_per_second, "");
    write_cell(p, g->gb_per_second, "");
    if (isfinite(g->limit.share)) {
        text_printf(p->out, "<td>%.0f%% of ", 100 * g->limit.share);
        page_text(p, g->limit.name);
        text_add(p->out, "</td>");
    } else {
        text_add(p->out, "<td>" DASH "</td>");
    }
    write_counted(p, &g->figures, some);
}

static void write_groups(struct page *p, const struct report_profile *x)
{
    static const char *const heads[] = {"Kernel", "Weights",   "Shape",   "Layers", "Times",       "Seconds",
                                        "Share",  "flop/byte", "GFLOP/s", "GB/s",   "Of its limit"};
    bool some[COUNTED];
    if (!x->n_groups) return;
    find_counted(x, true, some);
    page_scroll_open(p, "Kernels");
    text_add(p->out, "<table class=\"plain\"><caption>Kernels: the same part with the same weights and shape, in all "
                     "layers that have it</caption>");
    write_head(p, heads, sizeof heads / sizeof *heads);
    write_counted_heads(p, some);
    for (size_t i = 0; i < x->n_groups && i < GROUPS_SHOWN; i++)
        write_group(p, x, &x->groups[i], i && strcmp(x->groups[i - 1].phase, x->groups[i].phase) != 0, some);
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
    if (x->n_groups > GROUPS_SHOWN)
        text_printf(p->out, "<p class=\"missing\">The first %d of %zu kernels; run.json has all.</p>\n", GROUPS_SHOWN,
                    x->n_groups);
}

/* "cycles, instructions: why", a line a reason. */
static void write_absent(struct page *p, const struct report_profile *x)
{
    enum { SHOWN = 200 };
    const size_t n = x->n_counters < SHOWN ? x->n_counters : SHOWN;
    bool some = false;
    for (size_t i = 0; i < n; i++) {
        const char *reason = x->counters[i].reason;
        bool told = !reason;
        for (size_t k = 0; k < i && !told; k++)
            told = x->counters[k].reason && strcmp(x->counters[k].reason, reason) == 0;
        if (told) continue;
        text_add(p->out, some ? "<li>" : "<h4>Counters that are not there</h4>\n<ul class=\"doubts\">\n<li>");
        some = true;
        for (size_t k = i; k < n; k++) {
            if (!x->counters[k].reason || strcmp(x->counters[k].reason, reason) != 0) continue;
            if (k > i) text_add(p->out, ", ");
            page_name(p->out, x->counters[k].name);
        }
        text_add(p->out, ": ");
        page_text(p, reason);
        text_add(p->out, "</li>\n");
    }
    if (some) text_add(p->out, "</ul>\n");
}

void page_profile_details(struct page *p, size_t subject)
{
    const struct report_profile *x = p->profiles[subject];
    text_add(p->out, "<details><summary>");
    page_label(p, subject);
    text_printf(p->out, " <span class=\"unit\">%.3g s", x->seconds);
    if (x->threads >= 0) text_printf(p->out, ", %" PRId64 " thread%s", x->threads, x->threads == 1 ? "" : "s");
    if (isfinite(x->overhead)) text_printf(p->out, "; reading counters took %.2g%% of it", 100 * x->overhead);
    text_add(p->out, "</span></summary>\n");
    write_phases(p, x);
    write_groups(p, x);
    write_absent(p, x);
    text_add(p->out, "</details>\n");
}
