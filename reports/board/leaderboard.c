/* leaderboard.csv of one comparison. */
#include "reports/board/board.h"

int report_leaderboard(const json_t *comparison, FILE *out, struct error *e)
{
    struct report r;
    struct board b = {0};
    int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    status = board_add(&b, &r, NULL, e);
    if (!status) status = board_rank(&b, NULL, e);
    if (!status) status = board_write(&b, out, e);
    board_free(&b);
    report_close(&r);
    return status;
}
