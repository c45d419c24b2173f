/* A baseline's file: CSV (RFC 4180), a line for each kernel, shape and instruction set. All lines are of one program,
 * one machine and one counter. */
#include "cli/kernels/costs.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/number.h"
#include "engine/base/table.h"
#include "reports/report.h"

#include <csv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_MIB = 16, SHOWN = 40, FIELD = 128 };

enum column {
    KERNEL,
    VARIANT,
    SHAPE,
    ISA,
    COUNTER,
    VALUE,
    LOW,
    HIGH,
    UNIT,
    WORK,
    ERROR_SHARE,
    PROGRAM,
    COMPILER,
    CPU,
    COLUMNS
};

static const char *const names[COLUMNS] = {"kernel", "variant", "shape", "isa",   "counter", "value",    "low",
                                           "high",   "unit",    "work",  "error", "kerf",    "compiler", "cpu"};

/* --- reading --- */

struct intake {
    struct costs *c;
    const char *path;
    char fields[COLUMNS][FIELD];
    size_t line, field; /* that the record begins on; the next one's column */
    bool between, in_body;
    struct table keys;
    int status;
    struct error *e;
};

static void wrong(struct intake *r, size_t column, const char *expected)
{
    struct text t = {0};
    const char *s = r->fields[column];
    text_terminal(&t, s, strnlen(s, SHOWN));
    r->status = error_set(r->e, ERROR_INPUT, "%s: line %zu: %s: is \"%s%s\", %s", r->path, r->line, names[column],
                          text_c(&t), strlen(s) > SHOWN ? "…" : "", expected);
    text_free(&t);
}

/* libcsv ends it with a NUL, and none stands inside. */
static void end_field(void *s, size_t n, void *user)
{
    struct intake *r = user;
    const char *text = unescape_csv(s ? s : "");
    const size_t i = r->field++;
    if (r->status || i >= COLUMNS) return;
    const size_t length = strlen(text);
    memcpy(r->fields[i], text, length < FIELD ? length + 1 : FIELD);
    r->fields[i][FIELD - 1] = 0;
    if (!r->in_body && strcmp(text, names[i]))
        r->status = error_set(r->e, ERROR_INPUT,
                              "%s: line %zu: column %zu must be \"%s\": this is no baseline of kernels: make one with "
                              "kerf kernels --save FILE",
                              r->path, r->line, i + 1, names[i]);
    else if (length >= FIELD)
        wrong(r, i, "which is longer than 127 bytes");
}

static void take_text(struct intake *r, size_t column, char *out, size_t size, bool needed)
{
    const char *s = r->fields[column];
    if (r->status) return;
    if (strlen(s) >= size || (needed && !*s))
        wrong(r, column, needed && !*s ? "a name is expected" : "which is too long");
    else
        memcpy(out, s, strlen(s) + 1);
}

static double take_number(struct intake *r, size_t column, bool may_be_zero)
{
    double v = 0;
    if (!r->status && (!number_real(r->fields[column], &v) || v < 0 || (!may_be_zero && v == 0)))
        wrong(r, column, may_be_zero ? "a finite number from 0 on is expected" : "a finite number above 0 is expected");
    return v;
}

/* What all lines have in common. */
static void take_common(struct intake *r, size_t column, char *out, size_t size)
{
    if (r->status || !r->c->n) {
        take_text(r, column, out, size, false);
    } else if (strcmp(out, r->fields[column])) {
        wrong(r, column, "the lines before have another one: a baseline is of one program, machine and counter");
    }
}

static void take_values(struct intake *r, struct cost_row *row)
{
    const char *unit = cost_unit(row->counter);
    if (!r->status && !unit) wrong(r, COUNTER, "instructions, cycles, callgrind or time is expected");
    if (!r->status && r->c->n && strcmp(row->counter, r->c->rows[0].counter))
        wrong(r, COUNTER, "the lines before have another one: a baseline is of one program, machine and counter");
    row->value = take_number(r, VALUE, true);
    row->low = take_number(r, LOW, true);
    row->high = take_number(r, HIGH, true);
    if (!r->status && strcmp(unit, r->fields[UNIT])) wrong(r, UNIT, "which is not the counter's");
    if (!r->status && (row->low > row->value || row->value > row->high)) wrong(r, VALUE, "which is not in low to high");
    row->its.work = take_number(r, WORK, false);
    row->error = *r->fields[ERROR_SHARE] ? take_number(r, ERROR_SHARE, true) : NAN;
}

/* By a key that all lines' must differ from; a unit separator is in none of the fields that were made by kerf. */
static void take_key(struct intake *r, const struct cost_row *row)
{
    char key[sizeof row->its + sizeof row->isa];
    bool was_there = false;
    const int n =
        snprintf(key, sizeof key, "%s\x1f%s\x1f%s\x1f%s", row->its.kernel, row->its.variant, row->its.shape, row->isa);
    char *kept = memory_bytes(key, (size_t)n, r->e);
    if (!kept || table_add(&r->keys, kept, (size_t)n, 0, &was_there, r->e)) r->status = ERROR_IO;
    if (!kept || was_there || r->status) free(kept);
    if (was_there)
        r->status =
            error_set(r->e, ERROR_INPUT, "%s: line %zu: the same kernel, variant, shape and isa stand on a line before",
                      r->path, r->line);
}

static void end_row(struct intake *r)
{
    struct cost_row row = {.its.measured = true};
    take_text(r, KERNEL, row.its.kernel, sizeof row.its.kernel, true);
    take_text(r, VARIANT, row.its.variant, sizeof row.its.variant, false);
    take_text(r, SHAPE, row.its.shape, sizeof row.its.shape, true);
    take_text(r, ISA, row.isa, sizeof row.isa, true);
    take_text(r, COUNTER, row.counter, sizeof row.counter, true);
    take_values(r, &row);
    take_common(r, PROGRAM, r->c->kerf, sizeof r->c->kerf);
    take_common(r, COMPILER, r->c->compiler, sizeof r->c->compiler);
    take_common(r, CPU, r->c->cpu, sizeof r->c->cpu);
    if (!r->status) take_key(r, &row);
    if (!r->status) r->status = costs_add(r->c, &row, r->e);
}

static void end_record(int last, void *user)
{
    struct intake *r = user;
    if (r->status) return;
    r->between = true;
    if (r->field != COLUMNS)
        r->status = error_set(r->e, ERROR_INPUT, "%s: line %zu: has %zu fields, a baseline has %d", r->path, r->line,
                              r->field, COLUMNS);
    else if (r->in_body)
        end_row(r);
    r->in_body = true;
    r->field = 0;
}

static int no_space(unsigned char c) { return 0; } /* blanks are part of a field */

static void fail_parse(struct intake *r, struct csv_parser *p)
{
    if (r->status) return;
    r->status = csv_error(p) == CSV_EPARSE
                    ? error_set(r->e, ERROR_INPUT,
                                "%s: line %zu: a quotation mark is not closed, or stands where none may: a field is "
                                "quoted whole, and a mark in it doubled",
                                r->path, r->line)
                    : error_set(r->e, ERROR_IO, "%s: out of memory for a field", r->path);
}

/* Line by line, so that an error can say where. */
static void parse(struct intake *r, struct csv_parser *p, const char *s, size_t n)
{
    size_t line = 1;
    r->between = true;
    r->line = 1;
    for (const char *end = s + n; s < end && !r->status; line++) {
        const char *newline = memchr(s, '\n', (size_t)(end - s)), *next = newline ? newline + 1 : end;
        if (r->between) r->line = line;
        r->between = r->between && (*s == '\n' || (*s == '\r' && next - s == 2));
        if (csv_parse(p, s, (size_t)(next - s), end_field, end_record, r) != (size_t)(next - s)) fail_parse(r, p);
        s = next;
    }
    if (!r->status && csv_fini(p, end_field, end_record, r)) fail_parse(r, p);
    if (!r->status && !r->c->n)
        r->status = error_set(r->e, ERROR_INPUT,
                              "%s: has no line of a kernel: make a baseline with kerf kernels --save FILE", r->path);
}

static int read_bytes(struct intake *r, const char *s, size_t n)
{
    if (n > (size_t)LARGEST_MIB << 20)
        return error_set(r->e, ERROR_INPUT, "%s: is larger than %d MiB, which no baseline of kernels is", r->path,
                         LARGEST_MIB);
    if (text_check(r->path, 1, s, n, r->e)) return ERROR_INPUT;
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) s += 3, n -= 3; /* a byte order mark, as spreadsheets add it */
    struct csv_parser p;
    if (csv_init(&p, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL))
        return error_set(r->e, ERROR_IO, "%s: out of memory", r->path);
    csv_set_space_func(&p, no_space);
    csv_set_blk_size(&p, 1 << 14);
    parse(r, &p, s, n);
    csv_free(&p);
    return r->status;
}

int costs_read(struct costs *c, const char *path, struct error *e)
{
    struct file f;
    *c = (struct costs){0};
    int status = file_map(&f, path, e);
    if (status) return status;
    struct intake r = {.c = c, .path = path, .e = e};
    status = read_bytes(&r, (const char *)f.data, f.size);
    for (size_t i = 0; i < r.keys.capacity; i++) free((char *)(uintptr_t)r.keys.slots[i].key);
    table_free(&r.keys);
    file_unmap(&f);
    if (status) costs_free(c);
    return status;
}

/* --- writing --- */

struct outlet {
    FILE *f;
    bool failed, begun;
};

static void put(struct outlet *o, const char *s)
{
    struct text safe = {0};
    escape_csv(&safe, s);
    o->failed |=
        (o->begun && fputc(',', o->f) == EOF) || safe.failed || csv_fwrite(o->f, text_c(&safe), safe.length) == EOF;
    o->begun = true;
    text_free(&safe);
}

static void put_number(struct outlet *o, double v)
{
    char digits[40] = "";
    if (isfinite(v) && v == floor(v) && fabs(v) < 1e15)
        snprintf(digits, sizeof digits, "%.0f", v);
    else if (isfinite(v))
        snprintf(digits, sizeof digits, "%s", number_shortest(v).digits);
    put(o, digits);
}

static void end_line(struct outlet *o)
{
    o->failed |= fputc('\n', o->f) == EOF;
    o->begun = false;
}

static void put_row(struct outlet *o, const struct costs *c, const struct cost_row *row)
{
    put(o, row->its.kernel);
    put(o, row->its.variant);
    put(o, row->its.shape);
    put(o, row->isa);
    put(o, row->counter);
    put_number(o, row->value);
    put_number(o, row->low);
    put_number(o, row->high);
    put(o, cost_unit(row->counter));
    put_number(o, row->its.work);
    put_number(o, row->error);
    put(o, c->kerf);
    put(o, c->compiler);
    put(o, c->cpu);
    end_line(o);
}

int costs_write(const struct costs *c, const char *path, struct error *e)
{
    struct output out;
    int status = output_open(&out, path, e);
    if (status) return status;
    struct outlet o = {.f = out.stream};
    for (size_t i = 0; i < COLUMNS; i++) put(&o, names[i]);
    end_line(&o);
    for (size_t i = 0; i < c->n; i++) put_row(&o, c, &c->rows[i]);
    if (!o.failed) return output_commit(&out, e);
    output_abandon(&out);
    return error_set(e, ERROR_IO, "%s: writing failed", path);
}
