#include "cli/reports.h"
#include "cli/command.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "reports/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct writing {
    const json_t *comparison;
    const char *folder;
    struct text *notes;
};

static int write_json(const struct writing *w, const char *path, struct error *e)
{
    return json_write_file(path, w->comparison, e);
}

static int write_leaderboard(const struct writing *w, const char *path, struct error *e)
{
    struct output out;
    int status = output_open(&out, path, e);
    if (status) return status;
    status = report_leaderboard(w->comparison, out.stream, e);
    if (!status) return output_commit(&out, e);
    output_abandon(&out);
    return error_prefix(e, "%s", path);
}

static int write_text(int status, struct text *page, const char *path, struct error *e)
{
    if (!status) status = file_write(path, text_c(page), page->length, e);
    text_free(page);
    return status;
}

static int write_markdown(const struct writing *w, const char *path, struct error *e)
{
    struct text page = {0};
    return write_text(report_markdown(w->comparison, &page, e), &page, path, e);
}

static int write_junit(const struct writing *w, const char *path, struct error *e)
{
    struct text page = {0};
    return write_text(report_junit(w->comparison, &page, e), &page, path, e);
}

static int write_page(const struct writing *w, const char *path, struct error *e)
{
    struct text page = {0};
    return write_text(report_page(w->comparison, w->folder, &page, w->notes, e), &page, path, e);
}

static const struct {
    const char *name;
    int (*write)(const struct writing *, const char *, struct error *);
} files[] = {{"compare.json", write_json},
             {"leaderboard.csv", write_leaderboard},
             {"report.md", write_markdown},
             {"junit.xml", write_junit},
             {"index.html", write_page}};

void reports_tell(const char *out, const char *also)
{
    struct text names = {0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) text_printf(&names, "%s%s", i ? ", " : "", files[i].name);
    note("wrote %s/{%s%s}", out, text_c(&names), also);
    text_free(&names);
}

int reports_check(const char *out, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files && !status; i++) {
        char *path = path_join(out, files[i].name, e);
        status = path ? output_try_file(path, e) : ERROR_IO;
        free(path);
    }
    return status;
}

/* A line each. */
static void tell(const struct text *notes)
{
    const char *line = text_c(notes);
    while (*line) {
        const size_t n = strcspn(line, "\n");
        note("note: %.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

/* One that cannot be made keeps none of the others from being made, and leaves none of an older comparison in its place,
 * which would be taken for it. */
static int write_others(const struct writing *w, const char *out, struct error *e)
{
    int status = 0;
    for (size_t i = 1; i < sizeof files / sizeof *files; i++) {
        struct error own;
        char *path = path_join(out, files[i].name, &own);
        const int failed = path ? files[i].write(w, path, &own) : ERROR_IO;
        if (failed && path) unlink(path);
        if (failed && status) note("note: %s", own.text);
        if (failed && !status) status = failed, *e = own;
        free(path);
    }
    return status;
}

int reports_write(const json_t *comparison, const char *folder, const char *out, struct error *e)
{
    struct text notes = {0};
    const struct writing w = {comparison, folder, &notes};
    char *path = path_join(out, files[0].name, e);
    int status = path ? files[0].write(&w, path, e) : ERROR_IO; /* all others can be made from it again */
    if (!status) status = write_others(&w, out, e);
    tell(&notes);
    text_free(&notes);
    free(path);
    return status;
}
