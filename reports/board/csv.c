/* A leaderboard's file: read with every field checked, written, and changed under a lock. */
#include "engine/base/file.h"
#include "engine/base/number.h"
#include "reports/board/columns.h"

#include <csv.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_MIB = 128, SHOWN = 40 };

/* --- reading --- */

struct reading {
    struct board *b;
    const char *path;
    enum board_kind *kinds; /* [n_columns], once the header is read */
    size_t line;            /* that the record begins on */
    size_t field;           /* the next one's column */
    bool between, in_body;
    int status;
    struct error *e;
};

/* The field as it may stand in a message. */
static struct text shown(const char *s)
{
    struct text t = {0};
    const size_t n = strlen(s);
    text_terminal(&t, s, n < SHOWN ? n : SHOWN);
    if (n > SHOWN) text_add(&t, "…");
    return t;
}

static void wrong(struct reading *r, const char *found, const char *expected)
{
    struct text t = shown(found), name = shown(r->field < r->b->n_columns ? r->b->columns[r->field] : "");
    r->status = error_set(r->e, ERROR_INPUT, "%s: line %zu: column %zu (%s): is \"%s\", %s is expected", r->path,
                          r->line, r->field + 1, text_c(&name), text_c(&t), expected);
    text_free(&t);
    text_free(&name);
}

/* Of the next fixed column. */
static void wrong_header(struct reading *r, const char *is, const char *found, const char *end)
{
    const size_t i = r->b->n_columns;
    r->status = error_set(r->e, ERROR_INPUT,
                          "%s: column %zu: %s%s%s, \"%s\" is expected: this is no leaderboard of this version of kerf: "
                          "give another file",
                          r->path, i + 1, is, found, end, board_fixed_name((enum board_column)i));
}

static void take_column(struct reading *r, const char *name)
{
    size_t at;
    const size_t i = r->b->n_columns;
    struct text t = shown(name);
    if (i < BOARD_FIXED && strcmp(name, board_fixed_name((enum board_column)i)) != 0)
        wrong_header(r, "is \"", text_c(&t), "\"");
    else if (board_column_add(r->b, name, &at, r->e))
        r->status = error_prefix(r->e, "%s", r->path);
    if (!r->status && at < i)
        r->status = error_set(r->e, ERROR_INPUT, "%s: line %zu: columns %zu and %zu are both called \"%s\"", r->path,
                              r->line, at + 1, i + 1, text_c(&t));
    text_free(&t);
}

static void take_value(struct reading *r, const char *s)
{
    const enum board_kind kind = r->kinds[r->field];
    double real;
    int64_t whole;
    if (*s && kind == BOARD_NUMBER && !number_real(s, &real))
        wrong(r, s, "a finite number");
    else if (*s && kind == BOARD_ERROR && (!number_real(s, &real) || real < 0))
        wrong(r, s, "a finite number from 0 on");
    else if (*s && kind == BOARD_COUNT && (!number_whole(s, &whole) || whole < 0))
        wrong(r, s, "a whole number from 0 on");
    else if (*s && kind == BOARD_DIRECTION && strcmp(s, "higher") != 0 && strcmp(s, "lower") != 0)
        wrong(r, s, "\"higher\" or \"lower\"");
    else
        r->status = board_set(r->b, r->b->n_rows - 1, r->field, s, strlen(s), r->e);
}

/* libcsv ends it with a NUL, and none stands inside. */
static void end_field(void *s, size_t n, void *user)
{
    struct reading *r = user;
    const char *text = unescape_csv(s ? s : "");
    if (r->status) return;
    if (!r->in_body) {
        take_column(r, text);
        return;
    }
    if (r->field == 0) r->status = board_row_add(r->b, r->e);
    if (!r->status && r->field < r->b->n_columns) take_value(r, text);
    r->field++;
}

static void end_header(struct reading *r)
{
    const struct board *b = r->b;
    r->in_body = true;
    if (b->n_columns < BOARD_FIXED) {
        wrong_header(r, "is missing", "", "");
        return;
    }
    r->kinds = calloc(b->n_columns, sizeof *r->kinds);
    if (!r->kinds) r->status = error_set(r->e, ERROR_IO, "%s: out of memory for its columns", r->path);
    for (size_t i = 0; i < b->n_columns && r->kinds; i++) r->kinds[i] = board_kind(b->columns[i]);
}

static void end_record(int last, void *user)
{
    struct reading *r = user;
    if (r->status) return;
    r->between = true;
    if (!r->in_body)
        end_header(r);
    else if (r->field != r->b->n_columns)
        r->status = error_set(r->e, ERROR_INPUT, "%s: line %zu: has %zu fields, the header has %zu", r->path, r->line,
                              r->field, r->b->n_columns);
    r->field = 0;
}

static int no_space(unsigned char c) { return 0; } /* blanks are part of a field */

static void fail_parse(struct reading *r, const struct csv_parser *p)
{
    if (r->status) return;
    r->status = csv_error((struct csv_parser *)(uintptr_t)p) == CSV_EPARSE
                    ? error_set(r->e, ERROR_INPUT,
                                "%s: line %zu: a quotation mark is not closed, or stands where none may: a field is "
                                "quoted whole, and a mark in it doubled",
                                r->path, r->line)
                    : error_set(r->e, ERROR_IO, "%s: out of memory for a field", r->path);
}

/* Line by line, so that an error can say where. */
static void parse(struct reading *r, struct csv_parser *p, const char *s, size_t n)
{
    size_t line = 1;
    r->between = true;
    for (const char *end = s + n; s < end && !r->status; line++) {
        const char *newline = memchr(s, '\n', (size_t)(end - s)), *next = newline ? newline + 1 : end;
        if (r->between) r->line = line;
        r->between = r->between && (*s == '\n' || (*s == '\r' && next - s == 2));
        if (csv_parse(p, s, (size_t)(next - s), end_field, end_record, r) != (size_t)(next - s)) fail_parse(r, p);
        s = next;
    }
    if (!r->status && csv_fini(p, end_field, end_record, r)) fail_parse(r, p);
}

static int read_bytes(struct reading *r, const char *s, size_t n)
{
    if (n > (size_t)LARGEST_MIB << 20)
        return error_set(r->e, ERROR_INPUT, "%s: is larger than %d MiB, which no leaderboard is", r->path, LARGEST_MIB);
    if (text_check(r->path, 1, s, n, r->e)) return ERROR_INPUT;
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) s += 3, n -= 3; /* a byte order mark, as spreadsheets add it */
    struct csv_parser p;
    if (csv_init(&p, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL))
        return error_set(r->e, ERROR_IO, "%s: out of memory", r->path);
    csv_set_space_func(&p, no_space);
    csv_set_blk_size(&p, 1 << 14);
    parse(r, &p, s, n);
    csv_free(&p);
    free(r->kinds);
    return r->status;
}

int board_read(struct board *b, const char *path, struct error *e)
{
    struct file f;
    *b = (struct board){0};
    if (!path_exists(path)) return 0;
    int status = file_map(&f, path, e);
    if (status) return status;
    struct reading r = {.b = b, .path = path, .e = e};
    status = read_bytes(&r, (const char *)f.data, f.size);
    file_unmap(&f);
    if (status) board_free(b);
    return status;
}

/* --- writing --- */

/* A number may begin with a minus: it stays a number. */
static bool write_field(const char *s, bool first, struct text *scratch, FILE *out)
{
    double v;
    text_clear(scratch);
    if (number_real(s, &v))
        text_add(scratch, s);
    else
        escape_csv(scratch, s);
    if (scratch->failed || (!first && fputc(',', out) == EOF)) return false;
    return csv_fwrite(out, text_c(scratch), scratch->length) != EOF;
}

int board_write(const struct board *b, FILE *out, struct error *e)
{
    struct text scratch = {0};
    bool good = true;
    for (size_t j = 0; j < b->n_columns && good; j++) good = write_field(b->columns[j], j == 0, &scratch, out);
    if (b->n_columns) good = good && fputc('\n', out) != EOF;
    for (size_t i = 0; i < b->n_rows && good; i++) {
        for (size_t j = 0; j < b->n_columns && good; j++)
            good = write_field(board_field(b, i, j), j == 0, &scratch, out);
        good = good && fputc('\n', out) != EOF;
    }
    const bool no_memory = scratch.failed;
    text_free(&scratch);
    if (no_memory) return error_set(e, ERROR_IO, "out of memory for a leaderboard");
    return !good || fflush(out) ? error_errno(e, "leaderboard", "writing") : 0;
}

/* --- changing a file --- */

struct held {
    int fd;
    mode_t mode;
    bool made; /* it was not there before */
};

static int open_there(const char *path, struct held *h, struct error *e)
{
    h->made = false;
    h->fd = open(path, O_RDWR | O_CLOEXEC);
    if (h->fd < 0 && errno == ENOENT) {
        h->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        h->made = h->fd >= 0;
        if (h->fd < 0 && errno == EEXIST) h->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666); /* or a loose link */
    }
    return h->fd < 0 ? error_errno(e, path, "open") : 0;
}

static int check_file(const char *path, int fd, struct stat *st, struct error *e)
{
    if (fstat(fd, st)) return error_errno(e, path, "stat");
    if (!S_ISREG(st->st_mode)) return error_set(e, ERROR_INPUT, "%s: is a device or pipe, not a regular file", path);
    return 0;
}

/* A writer who waited may hold the lock of a file that another one's has taken the place of: it opens the new one. */
static int hold(const char *path, struct held *h, struct error *e)
{
    for (;;) {
        struct stat mine, there;
        int status = open_there(path, h, e);
        if (status) return status;
        status = check_file(path, h->fd, &mine, e);
        while (!status && flock(h->fd, LOCK_EX))
            if (errno != EINTR) status = error_errno(e, path, "lock");
        h->mode = status ? 0 : mine.st_mode;
        if (!status && stat(path, &there) == 0 && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino) return 0;
        close(h->fd);
        if (status) return status;
    }
}

/* What could not be read again is not written. The new file has the rights of the old one. */
static int write_whole(const struct board *b, const char *path, mode_t mode, struct error *e)
{
    struct output out;
    int status = output_open(&out, path, e);
    if (status) return status;
    fchmod(fileno(out.stream), mode & 0777);
    status = board_write(b, out.stream, e);
    if (!status && ftello(out.stream) > (off_t)LARGEST_MIB << 20)
        status = error_set(e, ERROR_INPUT, "%s: would be larger than %d MiB: delete rows, or begin another file", path,
                           LARGEST_MIB);
    if (!status) return output_commit(&out, e);
    output_abandon(&out);
    return status == ERROR_IO ? error_prefix(e, "%s", path) : status;
}

int board_update(const char *path, int (*edit)(struct board *b, void *user, struct error *e), void *user,
                 struct error *e)
{
    struct held h;
    struct board b;
    if (!*path) return error_set(e, ERROR_USAGE, "an empty name is no file");
    int status = hold(path, &h, e);
    if (status) return status;
    status = board_read(&b, path, e);
    if (!status && (status = edit(&b, user, e)) == ERROR_INPUT) error_prefix(e, "%s", path);
    if (!status) status = write_whole(&b, path, h.mode, e);
    if (status && h.made) unlink(path); /* it is empty, and ours as long as the lock is */
    close(h.fd);
    board_free(&b);
    return status;
}
