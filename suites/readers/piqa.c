/* PIQA's JSON lines: {"goal": "...", "sol1": "...", "sol2": "..."}; other keys stay. The right solution's number, from
 * 0, is in a file of its own, a line an item, that dataset_kwargs names (`labels: dev-labels.lst`); without it each
 * line must have `label`, as Hugging Face's copy does. The document gets `choices`, both solutions, and `label`.
 * Source: Bisk and others, "PIQA: Reasoning about Physical Commonsense in Natural Language", 2019. */
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

static int take_label(struct lines *labels, json_t *doc, struct error *e)
{
    if (!lines_next(labels, e)) {
        return labels->status ? labels->status
                              : error_set(e, ERROR_INPUT, "label: %s has only %zu lines", labels->path, labels->number);
    }
    int status = document_set(doc, "label", json_stringn(labels->text, labels->length), e);
    if (!status && (status = document_index(doc, "label", 0, 1, e)))
        error_prefix(e, "%s: line %zu", labels->path, labels->number);
    return status;
}

static int complete(void *state, json_t *doc, struct error *e)
{
    if (!document_text(doc, "goal", e) || !document_text(doc, "sol1", e) || !document_text(doc, "sol2", e))
        return ERROR_INPUT;
    int status = state ? take_label(state, doc, e) : document_index(doc, "label", 0, 1, e);
    json_t *choices = json_pack("[O, O]", json_object_get(doc, "sol1"), json_object_get(doc, "sol2"));
    if (!status) return document_set(doc, "choices", choices, e);
    json_decref(choices);
    return status;
}

struct passing {
    reader_emit emit;
    void *user;
    bool stopped;
};

static int pass(void *user, json_t *doc, struct error *e)
{
    struct passing *p = user;
    int status = p->emit(p->user, doc, e);
    p->stopped = status == READER_STOP;
    return status;
}

static int read_labelled(const struct reader_source *source, const struct reader_source *labels, reader_emit emit,
                         void *user, struct error *e)
{
    struct lines l;
    struct passing p = {emit, user, false};
    lines_open(&l, labels);
    int status = jsonl_read(source, complete, &l, pass, &p, e);
    if (!status && !p.stopped && lines_next(&l, e))
        lines_end(&l, error_set(e, ERROR_INPUT, "there is no item for it in %s", source->path), e);
    return status ? status : l.status;
}

static int piqa_check(const json_t *kwargs, struct error *e)
{
    return json_object_get(kwargs, "labels") ? reader_extra_check(kwargs, "labels", false, e) : 0;
}

static int piqa_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (piqa_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    if (!reader_extras(source->options, "labels")) return jsonl_read(source, complete, NULL, emit, user, e);
    struct file f;
    struct reader_source labels;
    int status = reader_extra(source, "labels", 0, &f, &labels, e);
    if (status) return status;
    status = read_labelled(source, &labels, emit, user, e);
    file_unmap(&f);
    return status;
}

const struct reader reader_piqa = {
    .name = "piqa",
    .summary = "PIQA JSON lines: a goal, two solutions; labels in a file of their own",
    .fields = (const char *const[]){"goal", "sol1", "sol2", "choices", "label", NULL},
    .kwargs = (const char *const[]){"labels", NULL},
    .files = (const char *const[]){"labels", NULL},
    .check = piqa_check,
    .read = piqa_read,
};
