/* Any JSON lines: an object on each, which is the document as it is. */
#include "suites/readers/lines.h"

static int read_lines(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, NULL, NULL, emit, user, e);
}

const struct reader reader_jsonl = {
    .name = "jsonl",
    .summary = "a JSON object on each line",
    .fields = (const char *const[]){NULL},
    .read = read_lines,
};
