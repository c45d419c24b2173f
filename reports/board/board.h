/* The leaderboard: leaderboard.csv in memory, made from a comparison or read from a file that is kept over time.
 *
 *     struct board b = {0};
 *     if (board_read(&b, "board.csv", e) || board_add(&b, &report, NULL, e) || board_rank(&b, NULL, e)) ...
 *     board_write(&b, stream, e);
 *     board_free(&b);
 *
 * Columns: the fixed ones first, then for each suite its fingerprint, items and metrics, in the order in which they came
 * (docs/leaderboard.md). Fields are held unescaped; what a spreadsheet would take for a formula is defused on writing
 * and read back as it was. Columns that kerf does not know are kept as they are.
 *
 * board.c holds, add.c adds, csv.c reads and writes, order.c says what can be ranked, rank.c ranks, table.c prints. */
#ifndef KERF_REPORTS_BOARD_BOARD_H
#define KERF_REPORTS_BOARD_BOARD_H

#include "engine/base/table.h"
#include "reports/cells.h"
#include "reports/report.h"
#include <stdio.h>

/* The fixed columns, in the order of the file. */
enum board_column {
    BOARD_RANK,
    BOARD_TIE_GROUP,
    BOARD_SCORE,
    BOARD_SCORE_LOW,
    BOARD_SCORE_HIGH,
    BOARD_RANKED_BY,
    BOARD_SUBJECT,
    BOARD_MODEL,
    BOARD_BACKEND,
    BOARD_MATH,
    BOARD_SOURCE,
    BOARD_ID,
    BOARD_BASELINE,
    BOARD_BITS_PER_WEIGHT,
    BOARD_WEIGHT_BYTES,
    BOARD_PARAMETERS,
    BOARD_SHA256,
    BOARD_FLIPS,
    BOARD_KL_DIVERGENCE,
    BOARD_CANARIES,
    BOARD_SECONDS,
    BOARD_TOKENS_PER_SECOND,
    BOARD_PEAK_BYTES,
    BOARD_CPU_SECONDS,
    BOARD_CPU,
    BOARD_ISA,
    BOARD_THREADS,
    BOARD_KERF_VERSION,
    BOARD_KERF_COMMIT,
    BOARD_STARTED,
    BOARD_FIXED
};

struct board_row {
    char **fields; /* [n]; NULL is an empty field, as is one behind the last */
    size_t n;
    const char *unranked; /* after board_rank(): why it has no rank, NULL where it has one */
};

struct board_block; /* memory that strings lie in */

struct board {
    char **columns;
    size_t n_columns, column_capacity;
    struct table index; /* of the columns, by name */
    struct board_row *rows;
    size_t n_rows, row_capacity;
    struct board_block *blocks;
    struct text basis; /* after board_rank(): what the ranking stands on, in words */
};

struct board_added {
    size_t added, replaced;
};

/* An absent or empty file is an empty board. ERROR_INPUT names file, line and column of what is wrong. After failure
 * nothing is held. */
int board_read(struct board *b, const char *path, struct error *e);
/* A row a subject. One that was measured before (same subject, protocols, program and machine) is replaced; where it is
 * added alone and was compared before, its differences stay. `n` (MAY be NULL) grows by what was done. */
int board_add(struct board *b, const struct report *r, struct board_added *n, struct error *e);
/* Fills rank, tie_group, score and ranked_by, and sorts by them; rows that cannot be ranked come last, in their order.
 * The reference (reports/board/rank.h) is the row that is the baseline of most of those that are ranked, of several the one that
 * was measured first, wherever they stand.
 * `by`: NULL: as the file was ranked before, else by score; "score"; or "SUITE/METRIC". ERROR_USAGE where there is no
 * such metric. Ranking again changes nothing. */
int board_rank(struct board *b, const char *by, struct error *e);
int board_write(const struct board *b, FILE *out, struct error *e);
/* rank, tie, the ranking figure, bits per weight, MiB, tokens per second and subject, for a terminal; what it was ranked
 * by, and how many rows were not, and why. */
int board_table(const struct board *b, const struct table_style *style, struct text *out, struct error *e);
void board_free(struct board *b); /* also of a zeroed one */

const char *board_field(const struct board *b, size_t row, size_t column); /* "" where it is empty */

/* The file at path under an exclusive lock: read, changed by `edit`, written whole beside it and renamed. Two writers at
 * once both succeed, one after the other; a reader sees the whole old file or the whole new one. */
int board_update(const char *path, int (*edit)(struct board *b, void *user, struct error *e), void *user,
                 struct error *e);

#endif
