/* Columns of a leaderboard by name, for the files that fill, read and rank it.
 *
 * Those behind the fixed ones are SUITE/fingerprint, SUITE/items, SUITE/METRIC, SUITE/METRIC/FIGURE and counters/NAME.
 * So that names of suites and metrics cannot be taken for each other's, a part is written with % and / as %25 and %2F,
 * and one that would stand for something else (a suite called "counters", a metric called "items" or "fingerprint") with
 * its first letter as %XX. */
#ifndef KERF_REPORTS_BOARD_COLUMNS_H
#define KERF_REPORTS_BOARD_COLUMNS_H

#include "reports/board/board.h"

/* BOARD_ERROR: a standard error, which is not below 0 */
enum board_kind { BOARD_TEXT, BOARD_NUMBER, BOARD_ERROR, BOARD_COUNT, BOARD_DIRECTION };

/* What stands behind SUITE/METRIC/, in the order of the file. */
enum { BOARD_FIGURES = 12 };
extern const struct board_figure {
    const char *name;
    enum board_kind kind;
    bool of_differences; /* to the baseline: distances, which are differences themselves, have none */
} board_figures[BOARD_FIGURES];

const char *board_fixed_name(enum board_column c);
/* What the fields of a column are. */
enum board_kind board_kind(const char *column);
void board_name_part(struct text *out, const char *part);

/* At most one of a name; *at is where it stands. */
int board_column_add(struct board *b, const char *name, size_t *at, struct error *e);
/* The column of "NAME" or, with a suffix, "NAME/SUFFIX"; SIZE_MAX where there is none. */
size_t board_column_find(const struct board *b, const char *name, const char *suffix);
/* A new row, empty. */
int board_row_add(struct board *b, struct error *e);
/* A copy of n bytes becomes the field; 0 empties it. */
int board_set(struct board *b, size_t row, size_t column, const char *s, size_t n, struct error *e);
int board_set_number(struct board *b, size_t row, size_t column, double v, struct error *e); /* nine digits; NAN: "" */
int board_set_count(struct board *b, size_t row, size_t column, int64_t v, struct error *e); /* below 0: "" */
double board_number(const struct board *b, size_t row, size_t column); /* NAN where there is none */

#endif
