/* A leaderboard in memory: its columns, its fields. */
#include "engine/base/memory.h"
#include "engine/base/number.h"
#include "reports/board/columns.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum board_kind kind;
} fixed[BOARD_FIXED] = {
    [BOARD_RANK] = {"rank", BOARD_COUNT},
    [BOARD_TIE_GROUP] = {"tie_group", BOARD_COUNT},
    [BOARD_SCORE] = {"score", BOARD_NUMBER},
    [BOARD_SCORE_LOW] = {"score_low", BOARD_NUMBER},
    [BOARD_SCORE_HIGH] = {"score_high", BOARD_NUMBER},
    [BOARD_RANKED_BY] = {"ranked_by", BOARD_TEXT},
    [BOARD_SUBJECT] = {"subject", BOARD_TEXT},
    [BOARD_MODEL] = {"model", BOARD_TEXT},
    [BOARD_BACKEND] = {"backend", BOARD_TEXT},
    [BOARD_MATH] = {"math", BOARD_TEXT},
    [BOARD_SOURCE] = {"source", BOARD_TEXT},
    [BOARD_ID] = {"id", BOARD_TEXT},
    [BOARD_BASELINE] = {"baseline", BOARD_TEXT},
    [BOARD_BITS_PER_WEIGHT] = {"bits_per_weight", BOARD_NUMBER},
    [BOARD_WEIGHT_BYTES] = {"weight_bytes", BOARD_COUNT},
    [BOARD_PARAMETERS] = {"parameters", BOARD_COUNT},
    [BOARD_SHA256] = {"sha256", BOARD_TEXT},
    [BOARD_FLIPS] = {"flips", BOARD_COUNT},
    [BOARD_KL_DIVERGENCE] = {"kl_divergence", BOARD_NUMBER},
    [BOARD_CANARIES] = {"canaries", BOARD_TEXT},
    [BOARD_SECONDS] = {"seconds", BOARD_NUMBER},
    [BOARD_TOKENS_PER_SECOND] = {"tokens_per_second", BOARD_NUMBER},
    [BOARD_PEAK_BYTES] = {"peak_bytes", BOARD_COUNT},
    [BOARD_CPU_SECONDS] = {"cpu_seconds", BOARD_NUMBER},
    [BOARD_CPU] = {"cpu", BOARD_TEXT},
    [BOARD_ISA] = {"isa", BOARD_TEXT},
    [BOARD_THREADS] = {"threads", BOARD_COUNT},
    [BOARD_KERF_VERSION] = {"kerf_version", BOARD_TEXT},
    [BOARD_KERF_COMMIT] = {"kerf_commit", BOARD_TEXT},
    [BOARD_STARTED] = {"started", BOARD_TEXT},
};

const struct board_figure board_figures[BOARD_FIGURES] = {{"stderr", BOARD_ERROR, false},
                                                          {"low", BOARD_NUMBER, false},
                                                          {"high", BOARD_NUMBER, false},
                                                          {"difference", BOARD_NUMBER, true},
                                                          {"difference_stderr", BOARD_ERROR, true},
                                                          {"difference_low", BOARD_NUMBER, true},
                                                          {"difference_high", BOARD_NUMBER, true},
                                                          {"p", BOARD_NUMBER, true},
                                                          {"p_holm", BOARD_NUMBER, true},
                                                          {"gained", BOARD_COUNT, true},
                                                          {"lost", BOARD_COUNT, true},
                                                          {"better", BOARD_DIRECTION, false}};

/* --- names of columns --- */

const char *board_fixed_name(enum board_column c) { return fixed[c].name; }

void board_name_part(struct text *out, const char *part)
{
    static const char *const reserved[] = {"counters", "items", "fingerprint"};
    const char *s = part;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (s == part && strcmp(part, reserved[i]) == 0) text_printf(out, "%%%02X", *s++);
    for (; *s; s++) {
        if (*s == '%' || *s == '/')
            text_printf(out, "%%%02X", *s);
        else
            text_char(out, *s);
    }
}

static enum board_kind figure_kind(const char *figure)
{
    for (size_t i = 0; i < BOARD_FIGURES; i++)
        if (strcmp(figure, board_figures[i].name) == 0) return board_figures[i].kind;
    return BOARD_TEXT;
}

enum board_kind board_kind(const char *column)
{
    for (size_t i = 0; i < BOARD_FIXED; i++)
        if (strcmp(column, fixed[i].name) == 0) return fixed[i].kind;
    const char *slash = strchr(column, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
    if (!slash || strcmp(slash, "/fingerprint") == 0) return BOARD_TEXT;
    if (strcmp(slash, "/items") == 0) return BOARD_COUNT;
    return second ? figure_kind(second + 1) : BOARD_NUMBER;
}

/* --- columns and fields --- */

/* Fields are many and short: they lie one behind the other, and are freed together. */
struct board_block {
    struct board_block *next;
    size_t used, size;
    char bytes[];
};

enum { BLOCK = 1 << 16, MOST_COLUMNS = 1000000 };

static char *keep(struct board *b, const char *s, size_t n, struct error *e)
{
    struct board_block *block = b->blocks;
    if (!block || block->size - block->used <= n) {
        const size_t size = n < BLOCK ? BLOCK : n + 1;
        block = malloc(sizeof *block + size);
        if (!block) return error_set(e, ERROR_IO, "out of memory for a leaderboard"), NULL;
        *block = (struct board_block){.next = b->blocks, .size = size};
        b->blocks = block;
    }
    char *copy = block->bytes + block->used;
    memcpy(copy, s, n);
    copy[n] = 0;
    block->used += n + 1;
    return copy;
}

int board_column_add(struct board *b, const char *name, size_t *at, struct error *e)
{
    *at = board_column_find(b, name, NULL);
    if (*at != SIZE_MAX) return 0;
    if (b->n_columns >= MOST_COLUMNS)
        return error_set(e, ERROR_INPUT,
                         "would have more than %d columns, the most that a leaderboard holds: take fewer suites or "
                         "metrics into one file",
                         MOST_COLUMNS);
    char *copy = keep(b, name, strlen(name), e);
    if (!copy) return ERROR_IO;
    void *array = b->columns;
    int status = memory_reserve(&array, &b->column_capacity, b->n_columns + 1, sizeof *b->columns, "columns", e);
    b->columns = array;
    if (!status) status = table_add(&b->index, copy, strlen(copy), (int64_t)b->n_columns, NULL, e);
    if (!status) b->columns[ *at = b->n_columns++] = copy;
    return status;
}

size_t board_column_find(const struct board *b, const char *name, const char *suffix)
{
    struct text whole = {0};
    int64_t at = -1;
    text_printf(&whole, "%s%s%s", name, suffix ? "/" : "", suffix ? suffix : "");
    const bool found = !whole.failed && table_find(&b->index, text_c(&whole), whole.length, &at);
    text_free(&whole);
    return found ? (size_t)at : SIZE_MAX;
}

int board_row_add(struct board *b, struct error *e)
{
    void *array = b->rows;
    int status = memory_reserve(&array, &b->row_capacity, b->n_rows + 1, sizeof *b->rows, "rows", e);
    b->rows = array;
    if (!status) b->rows[b->n_rows++] = (struct board_row){0};
    return status;
}

const char *board_field(const struct board *b, size_t row, size_t column)
{
    const struct board_row *r = &b->rows[row];
    return column < r->n && r->fields[column] ? r->fields[column] : "";
}

static int widen(struct board_row *r, size_t n, struct error *e)
{
    char **grown = realloc(r->fields, n * sizeof *grown);
    if (!grown) return error_set(e, ERROR_IO, "out of memory for a row of %zu columns", n);
    memset(grown + r->n, 0, (n - r->n) * sizeof *grown);
    r->fields = grown;
    r->n = n;
    return 0;
}

int board_set(struct board *b, size_t row, size_t column, const char *s, size_t n, struct error *e)
{
    struct board_row *r = &b->rows[row];
    char *copy = NULL;
    if (!n && column >= r->n) return 0;
    if (column >= r->n && widen(r, b->n_columns, e)) return ERROR_IO;
    if (n && !(copy = keep(b, s, n, e))) return ERROR_IO;
    r->fields[column] = copy;
    return 0;
}

int board_set_number(struct board *b, size_t row, size_t column, double v, struct error *e)
{
    char s[32];
    const int n = snprintf(s, sizeof s, "%.9g", v == 0 ? 0 : v); /* no -0 */
    return board_set(b, row, column, s, isfinite(v) ? (size_t)n : 0, e);
}

int board_set_count(struct board *b, size_t row, size_t column, int64_t v, struct error *e)
{
    char s[32];
    const int n = snprintf(s, sizeof s, "%" PRId64, v);
    return board_set(b, row, column, s, v >= 0 ? (size_t)n : 0, e);
}

double board_number(const struct board *b, size_t row, size_t column)
{
    double v = NAN;
    number_real(board_field(b, row, column), &v);
    return v;
}

void board_free(struct board *b)
{
    for (size_t i = 0; i < b->n_rows; i++) free(b->rows[i].fields);
    free(b->rows);
    free(b->columns);
    for (struct board_block *block = b->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    table_free(&b->index);
    text_free(&b->basis);
    *b = (struct board){0};
}
