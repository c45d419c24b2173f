/* kerf score --metric squad: SQuAD's questions and a file of answers, {"id": "answer"}, as its evaluation script takes
 * them (Rajpurkar and others 2016, 2018). A question without a prediction counts 0. */
#include "cli/score.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "suites/reader.h"

#include <string.h>

struct questions {
    json_t *documents; /* array of those that the reader gave */
    struct table ids;  /* to their place */
};

static int keep_question(void *user, json_t *doc, struct error *e)
{
    struct questions *q = user;
    json_t *id = json_object_get(doc, "id");
    bool known;
    int status = table_add(&q->ids, json_string_value(id), json_string_length(id), (int64_t)q->ids.count, &known, e);
    if (status) return status;
    if (known) return error_set(e, ERROR_INPUT, "id: \"%.60s\" is given to two questions", json_string_value(id));
    return json_array_append(q->documents, doc) ? error_set(e, ERROR_IO, "out of memory for questions") : 0;
}

static int read_questions(struct score_input *in, struct questions *q, struct error *e)
{
    const struct score_file *f = &in->references[0];
    const struct reader_source source = {.path = f->path, .data = f->bytes, .size = f->size};
    q->documents = in->documents[0] = json_array();
    if (!q->documents) return error_set(e, ERROR_IO, "out of memory for questions");
    int status = reader_find("squad")->read(&source, keep_question, q, e);
    in->n = json_array_size(q->documents);
    if (!status && !in->n) status = error_set(e, ERROR_INPUT, "%s: has no questions", f->path);
    return status;
}

/* The answers of all questions as outcomes' references; they belong to the documents. */
static int set_references(struct score_input *in, const struct questions *q, struct error *e)
{
    for (size_t i = 0; i < in->n; i++) {
        const json_t *answers = json_object_get(json_array_get(q->documents, i), "answers");
        const size_t n = json_array_size(answers);
        const char **texts = score_keep(in, n, sizeof *texts, "answers", e);
        if (!texts) return ERROR_IO;
        for (size_t k = 0; k < n; k++) texts[k] = json_string_value(json_array_get(answers, k));
        for (size_t f = 0; f < in->n_files; f++) {
            in->outcomes[f * in->n + i].references = texts;
            in->outcomes[f * in->n + i].n_references = n;
        }
    }
    return 0;
}

static int read_predictions(struct score_input *in, size_t file, const struct questions *q, struct error *e)
{
    const struct score_file *f = &in->files[file];
    json_t *root = in->documents[1 + file] = json_read_bytes(f->bytes, f->size, f->path, e), *answer;
    if (!root) return (int)e->code;
    if (!json_is_object(root)) return error_set(e, ERROR_INPUT, "%s: must be an object {\"id\": \"answer\"}", f->path);
    const char *id;
    size_t known = 0;
    json_object_foreach(root, id, answer)
    {
        int64_t at;
        if (!json_is_string(answer)) return error_set(e, ERROR_INPUT, "%s: %.60s: must be a string", f->path, id);
        if (!table_find(&q->ids, id, strlen(id), &at)) continue;
        in->outcomes[file * in->n + (size_t)at].text = json_string_value(answer);
        known++;
    }
    const size_t unknown = json_object_size(root) - known, missing = in->n - known;
    if (missing) note("note: %s: %zu of %zu questions have no prediction and count 0", f->path, missing, in->n);
    if (unknown)
        note("note: %s: predictions whose id no question of %s has: %zu; they do not count", f->path,
             in->references[0].path, unknown);
    json_t *counts = json_object_get(in->facts, "predictions");
    if (json_array_append_new(counts,
                              json_pack("{s:I, s:I}", "missing", (json_int_t)missing, "unknown", (json_int_t)unknown)))
        return error_set(e, ERROR_IO, "out of memory for a record");
    return 0;
}

int score_read_squad(struct score_input *in, struct error *e)
{
    struct questions q = {0};
    json_object_set_new(in->facts, "predictions", json_array());
    int status = read_questions(in, &q, e);
    if (!status) status = score_items(in, OUTCOME_GENERATION, e);
    if (!status) status = set_references(in, &q, e);
    for (size_t f = 0; f < in->n_files && !status; f++) status = read_predictions(in, f, &q, e);
    table_free(&q.ids);
    return status;
}
