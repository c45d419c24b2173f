/* Comma-separated files as RFC 4180 describes them, by libcsv: a field in quotation marks may hold delimiters, line
 * breaks and (doubled) quotation marks; spaces are part of a field; empty lines between records are passed over. A
 * quotation mark inside a field that does not begin with one is an error, and so is a record of more than LINE_BYTES. dataset_kwargs are those of tables (see
 * table.h) and `delimiter`, one character, "," by default. */
#include "suites/readers/table.h"

#include <csv.h>

struct record {
    struct table *t;
    json_t *fields;
    bool between; /* no record has begun */
    int status;
    struct error *e;
};

static void end_field(void *s, size_t n, void *user)
{
    struct record *r = user;
    if (r->status) return;
    if (json_array_size(r->fields) == TABLE_COLUMNS)
        r->status = error_set(r->e, ERROR_INPUT, "has more than %d columns", TABLE_COLUMNS);
    else if (json_array_append_new(r->fields, json_stringn(s ? s : "", n)))
        r->status = error_set(r->e, ERROR_IO, "out of memory for a row");
}

static void end_record(int last, void *user)
{
    struct record *r = user;
    if (r->status) return;
    json_t *fields = r->fields;
    r->fields = json_array();
    r->between = true;
    r->status = table_row(r->t, fields, r->e);
    if (!r->status && !r->fields) r->status = error_set(r->e, ERROR_IO, "out of memory for a row");
}

static int no_space(unsigned char c) { return 0; }

/* Feeds the parser line by line, so that an error can say where: `first` is the line that the record began on. */
static int parse(struct csv_parser *p, struct lines *l, struct record *r, struct error *e)
{
    size_t first = 1, size = 0; /* of the record: the line that it begins on, its bytes */
    while (lines_next(l, e)) {
        size_t n = (size_t)(l->at - l->text);
        if (r->between) first = l->number, size = 0;
        size += n;
        r->between = r->between && l->length == 0;
        if (size > LINE_BYTES + 2) {
            lines_end(l,
                      error_set(e, ERROR_INPUT,
                                "the record from line %zu on is longer than %d bytes, the most that one may have; is "
                                "a quotation mark not closed?",
                                first, (int)LINE_BYTES),
                      e);
            break;
        }
        bool good = csv_parse(p, l->text, n, end_field, end_record, r) == n;
        if (good && l->at == l->end) good = csv_fini(p, end_field, end_record, r) == 0;
        if (!good && !r->status) {
            r->status = csv_error(p) == CSV_EPARSE
                            ? error_set(e, ERROR_INPUT,
                                        "a quotation mark is not closed, or stands where none may: a "
                                        "field is quoted whole, and a mark in it doubled")
                            : error_set(e, ERROR_IO, "out of memory for a row");
            if (first != l->number) error_prefix(e, "the record that ends here");
        }
        lines_end(l, r->status, e);
    }
    return l->status;
}

int csv_rows(const struct reader_source *source, char delimiter, struct table *t, struct error *e)
{
    struct csv_parser p;
    struct record r = {.t = t, .fields = json_array(), .between = true, .e = e};
    struct lines l;
    lines_open(&l, source);
    int status = !r.fields || csv_init(&p, CSV_STRICT | CSV_STRICT_FINI)
                     ? error_set(e, ERROR_IO, "%s: out of memory for a row", source->path)
                     : 0;
    if (!status) {
        csv_set_delim(&p, (unsigned char)delimiter);
        csv_set_space_func(&p, no_space);
        csv_set_blk_size(&p, 1 << 16);
        status = parse(&p, &l, &r, e);
        csv_free(&p);
    }
    json_decref(r.fields);
    table_close(t);
    return status;
}

static int csv_check(const json_t *kwargs, struct error *e)
{
    const json_t *delimiter = json_object_get(kwargs, "delimiter");
    const char *s = json_string_value(delimiter);
    if (delimiter && (!s || json_string_length(delimiter) != 1 || *s == '"' || *s == '\n' || *s == '\r'))
        return error_set(e, ERROR_INPUT, "delimiter: must be one character, like \";\"");
    return table_kwargs_check(kwargs, e);
}

static int csv_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (csv_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    struct table t = {.emit = emit, .user = user};
    table_kwargs(&t, source->options);
    const json_t *delimiter = json_object_get(source->options, "delimiter");
    return csv_rows(source, delimiter ? *json_string_value(delimiter) : ',', &t, e);
}

const struct reader reader_csv = {
    .name = "csv",
    .summary = "comma-separated records, quoted as RFC 4180 has it",
    .fields = (const char *const[]){NULL},
    .kwargs = (const char *const[]){"columns", "header", "delimiter", NULL},
    .check = csv_check,
    .read = csv_read,
};
