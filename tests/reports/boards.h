/* Leaderboards for tests: made of the small golden comparison. */
#ifndef KERF_TESTS_REPORTS_BOARDS_H
#define KERF_TESTS_REPORTS_BOARDS_H

#include "reports/board/board.h"
#include "tests/reports/edit.h"

/* The small comparison with ids, the baseline's first: "id0" to "id3". */
static inline json_t *comparison(void)
{
    json_t *v = golden(COMPARISON), *subject;
    size_t j;
    json_array_foreach(json_object_get(v, "subjects"), j, subject)
    {
        char id[64];
        snprintf(id, sizeof id, "id%zu", j);
        json_object_set_new(subject, "id", json_string(id));
        snprintf(id, sizeof id, "2026-11-24T10:00:0%zuZ", j);
        json_object_set_new(subject, "started", json_string(id));
    }
    return v;
}

static inline struct board_added add(struct board *b, json_t *v)
{
    struct error e;
    struct report r;
    struct board_added n = {0};
    assert_ok(report_read_comparison(&r, v, &e), &e);
    assert_ok(board_add(b, &r, &n, &e), &e);
    report_close(&r);
    return n;
}

static inline void rank(struct board *b, const char *by)
{
    struct error e;
    assert_ok(board_rank(b, by, &e), &e);
}

static inline struct board board_of(json_t *v)
{
    struct board b = {0};
    add(&b, v);
    rank(&b, NULL);
    json_decref(v);
    return b;
}

/* Inlined, it makes GCC 12 see a dangling pointer where there is none. */
__attribute__((noinline, unused)) static char *written(const struct board *b)
{
    char *bytes = NULL;
    size_t n = 0;
    struct error e;
    FILE *f = open_memstream(&bytes, &n);
    assert_ok(board_write(b, f, &e), &e);
    fclose(f);
    return bytes;
}

static inline size_t column(const struct board *b, const char *name)
{
    for (size_t j = 0; j < b->n_columns; j++)
        if (strcmp(b->columns[j], name) == 0) return j;
    fail_msg("no column %s", name);
    return 0;
}

static inline const char *field(const struct board *b, size_t row, const char *name)
{
    return board_field(b, row, column(b, name));
}

static inline size_t row_of(const struct board *b, const char *subject)
{
    for (size_t i = 0; i < b->n_rows; i++)
        if (strcmp(board_field(b, i, BOARD_SUBJECT), subject) == 0) return i;
    fail_msg("no row of %s", subject);
    return 0;
}

/* Ranking again changes nothing, whatever became of the order. */
static inline void assert_settled(struct board *b)
{
    char *before = written(b);
    rank(b, NULL);
    char *after = written(b);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

#endif
