/* SQuAD: {"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text"}]}]}]}]}.
 * A document is a question; `answers` is the list of the answers' texts, repeated ones kept, and `title` is "" where
 * the file has none. SQuAD 2.0 marks questions with `is_impossible`: a document has the mark where the file has it, and
 * the answers of a question that cannot be answered are [""], which is what its evaluation script compares an empty
 * answer with; `plausible_answers` are left out.
 * Sources: Rajpurkar and others, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016; Rajpurkar, Jia
 * and Liang, "Know What You Don't Know: Unanswerable Questions for SQuAD", 2018. */
#include "engine/base/json_walk.h"
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>

/* A list in an object; NULL with an error. */
static const json_t *list(const json_t *object, const char *key, struct error *e)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_array(v)) return v;
    error_set(e, ERROR_INPUT, "%s: %s", key, v ? "must be a list" : "is missing");
    return NULL;
}

static int add_answers(json_t *doc, const json_t *question, struct error *e)
{
    const json_t *impossible = json_object_get(question, "is_impossible");
    if (impossible && !json_is_boolean(impossible))
        return error_set(e, ERROR_INPUT, "is_impossible: must be true or false");
    if (impossible && json_object_set(doc, "is_impossible", (json_t *)(uintptr_t)impossible))
        return error_set(e, ERROR_IO, "out of memory for a document");
    if (json_is_true(impossible)) return document_set(doc, "answers", json_pack("[s]", ""), e);
    const json_t *answers = list(question, "answers", e);
    if (!answers) return ERROR_INPUT;
    if (!json_array_size(answers))
        return error_set(e, ERROR_INPUT, "answers: is empty, and the question is not marked with is_impossible");
    json_t *texts = json_array();
    int status = document_set(doc, "answers", texts, e);
    if (status) return status;
    for (size_t i = 0; i < json_array_size(answers); i++) {
        json_t *answer = json_array_get(answers, i);
        if (!document_text(answer, "text", e)) return error_prefix(e, "answers[%zu]", i);
        if (json_array_append(texts, json_object_get(answer, "text")))
            return error_set(e, ERROR_IO, "out of memory for a document");
    }
    return 0;
}

static int one_question(const json_t *title, json_t *context, const json_t *question, reader_emit emit, void *user,
                        struct error *e)
{
    if (!document_text(question, "question", e) || !document_text(question, "id", e)) return ERROR_INPUT;
    json_t *doc =
        json_pack("{s:O, s:O, s:O, s:s}", "context", context, "question", json_object_get(question, "question"), "id",
                  json_object_get(question, "id"), "title", json_is_string(title) ? json_string_value(title) : "");
    int status = doc ? add_answers(doc, question, e) : error_set(e, ERROR_IO, "out of memory for a document");
    if (!status) status = emit(user, doc, e);
    json_decref(doc);
    return status;
}

static int one_paragraph(const json_t *title, const json_t *paragraph, reader_emit emit, void *user, struct error *e)
{
    const json_t *questions = list(paragraph, "qas", e);
    if (!questions || !document_text(paragraph, "context", e)) return ERROR_INPUT;
    json_t *context = json_object_get(paragraph, "context");
    for (size_t i = 0; i < json_array_size(questions); i++) {
        int status = one_question(title, context, json_array_get(questions, i), emit, user, e);
        if (status > 0) error_prefix(e, "qas[%zu]", i);
        if (status) return status;
    }
    return 0;
}

/* The list that an entry of a walk is, opened as a walk of its own. */
static int open_list(struct json_walk *list, const struct json_walk *w, struct error *e)
{
    if (*w->value != '[') return error_set(e, ERROR_INPUT, "%s: must be a list", w->key);
    return json_walk_open(list, w->whole, w->value, w->size, '[', e);
}

static int paragraphs(const json_t *title, struct json_walk *w, reader_emit emit, void *user, struct error *e)
{
    struct json_walk list = {0};
    int status = open_list(&list, w, e);
    while (!status && json_walk_next(&list, e)) {
        json_t *paragraph = json_walk_value(&list, e);
        status = paragraph ? one_paragraph(title, paragraph, emit, user, e) : (int)e->code;
        json_decref(paragraph);
        if (status > 0) error_prefix(e, "paragraphs[%zu]", list.index);
    }
    json_walk_close(&list);
    return status ? status : list.status;
}

static int one_article(const struct json_walk *of, reader_emit emit, void *user, struct error *e)
{
    struct json_walk w;
    json_t *title = NULL;
    int status = *of->value == '{' ? json_walk_open(&w, of->whole, of->value, of->size, '{', e)
                                   : error_set(e, ERROR_INPUT, "must be an object");
    if (status) return status;
    status = lines_find(&w, "paragraphs", "paragraphs", &title, e);
    if (!status) status = paragraphs(title, &w, emit, user, e);
    json_walk_close(&w);
    json_decref(title);
    return status;
}

static int articles(struct json_walk *w, reader_emit emit, void *user, struct error *e)
{
    struct json_walk list = {0};
    int status = open_list(&list, w, e);
    while (!status && json_walk_next(&list, e)) {
        status = one_article(&list, emit, user, e);
        if (status > 0) error_prefix(e, "data[%zu]", list.index);
    }
    json_walk_close(&list);
    return status ? status : list.status;
}

/* Paragraph by paragraph: what is parsed of the file at a time is one of them. */
static int squad_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    struct json_walk w;
    struct error x = {0};
    const char *data;
    size_t n;
    lines_body(source, &data, &n);
    if (!n) return 0;
    int status = lines_check_json(data, n, &x);
    if (!status) {
        status = json_walk_open(&w, data, data, n, '{', &x);
        if (!status) status = lines_find(&w, "data", "data", NULL, &x);
        if (!status) status = articles(&w, emit, user, &x);
        json_walk_close(&w);
    }
    if (status <= 0) return 0;
    error_set(e, x.code, "%s", x.text);
    return error_prefix(e, "%s", source->path);
}

const struct reader reader_squad = {
    .name = "squad",
    .summary = "SQuAD JSON, 1.1 and 2.0: questions about paragraphs",
    .fields = (const char *const[]){"context", "question", "answers", "id", "title", NULL},
    .read = squad_read,
};
