/* A whole file as one document, its bytes as they are, for protocols that cut a corpus into windows. One newline at the
 * end is taken away, as llama.cpp's perplexity tool does with the file of its -f. */
#include "engine/base/text.h"
#include "suites/readers/lines.h"

#include <string.h>

static int text_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    const char *data;
    size_t n;
    lines_body(source, &data, &n);
    const int broken = text_check(source->path, 1, data, n, e);
    if (broken) return broken;
    if (n && data[n - 1] == '\n') n--;
    if (!n) return 0;
    json_t *doc = json_pack("{s:s%}", "text", data, n);
    int status = doc ? emit(user, doc, e) : error_set(e, ERROR_IO, "out of memory for %zu bytes of text", n);
    json_decref(doc);
    if (status > 0) error_prefix(e, "%s: line 1", source->path);
    return status == READER_STOP ? 0 : status;
}

const struct reader reader_text = {
    .name = "text",
    .summary = "a text file as one document",
    .fields = (const char *const[]){"text", NULL},
    .read = text_read,
};
