/* The inputs of kerf score: files, lines and labels. */
#include "cli/score.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "engine/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- files --- */

static int read_stream(FILE *stream, const char *name, char **bytes, size_t *size, struct error *e)
{
    size_t capacity = 0, n = 0, got;
    int status = 0;
    do {
        status = memory_reserve((void **)bytes, &capacity, n + 65536, 1, name, e);
        if (status) return status;
        got = fread(*bytes + n, 1, capacity - n - 1, stream);
        n += got;
    } while (got);
    if (ferror(stream)) return error_errno(e, name, "read");
    (*bytes)[n] = 0;
    *size = n;
    return 0;
}

/* Read, not mapped: what is cut off meanwhile is an error and no crash, and a pipe (<(zcat x.gz)) is a file too. */
static int open_file(struct score_file *f, struct error *e)
{
    const bool standard = strcmp(f->path, "-") == 0;
    if (standard) f->path = "standard input";
    FILE *stream = standard ? stdin : fopen(f->path, "rb");
    if (!stream) return error_errno(e, f->path, "open");
    const int status = read_stream(stream, f->path, &f->bytes, &f->size, e);
    if (!standard) fclose(stream);
    if (status) return status;
    hash_hex(f->bytes, f->size, f->hash);
    if (f->size >= 3 && memcmp(f->bytes, "\xEF\xBB\xBF", 3) == 0)
        memmove(f->bytes, f->bytes + 3, f->size - 2), f->size -= 3; /* with the NUL */
    if (!f->size) return error_set(e, ERROR_INPUT, "%s: is empty", f->path);
    return text_check(f->path, 1, f->bytes, f->size, e);
}

int score_open(struct score_input *in, struct error *e)
{
    in->facts = json_object();
    in->documents = memory_new(in->n_references + in->n_files, sizeof *in->documents, "documents", e);
    int status = in->facts && in->documents ? 0 : error_set(e, ERROR_IO, "out of memory for the inputs");
    for (size_t i = 0; i < in->n_references && !status; i++) status = open_file(&in->references[i], e);
    for (size_t i = 0; i < in->n_files && !status; i++) status = open_file(&in->files[i], e);
    return status;
}

void score_input_free(struct score_input *in)
{
    for (size_t i = 0; i < in->n_references + in->n_files; i++) {
        free(i < in->n_references ? in->references[i].bytes : in->files[i - in->n_references].bytes);
        if (in->documents) json_decref(in->documents[i]);
    }
    for (size_t i = 0; i < in->n_kept; i++) free(in->kept[i]);
    free(in->kept);
    free(in->documents);
    json_decref(in->facts);
    *in = (struct score_input){0};
}

void *score_keep(struct score_input *in, size_t count, size_t size, const char *what, struct error *e)
{
    if (memory_reserve((void **)&in->kept, &in->kept_capacity, in->n_kept + 1, sizeof *in->kept, what, e)) return NULL;
    void *x = memory_new(count, size, what, e);
    if (x) in->kept[in->n_kept++] = x;
    return x;
}

int score_split(struct score_input *in, struct score_file *f, const char ***lines, size_t *n, struct error *e)
{
    *n = f->bytes[f->size - 1] != '\n'; /* what a last line without its end adds */
    for (size_t i = 0; i < f->size; i++) *n += f->bytes[i] == '\n';
    *lines = score_keep(in, *n, sizeof **lines, "lines", e);
    if (!*lines) return ERROR_IO;
    char *at = f->bytes;
    for (size_t i = 0; i < *n; i++) {
        char *end = strchr(at, '\n');
        (*lines)[i] = at;
        if (!end) break;
        *end = 0;
        if (end > at && end[-1] == '\r') end[-1] = 0;
        at = end + 1;
    }
    return 0;
}

int score_items(struct score_input *in, enum outcome_kind kind, struct error *e)
{
    in->outcomes = score_keep(in, in->n_files * in->n, sizeof *in->outcomes, "outcomes", e);
    if (!in->outcomes) return ERROR_IO;
    for (size_t i = 0; i < in->n_files * in->n; i++) in->outcomes[i].kind = kind;
    return 0;
}

/* --- lines --- */

/* The lines of all files, which must be as many in each: [n_references + n_files]. */
static int split_all(struct score_input *in, const char ****all, struct error *e)
{
    const size_t files = in->n_references + in->n_files;
    const char ***lines = *all = score_keep(in, files, sizeof *lines, "lines", e);
    if (!lines) return ERROR_IO;
    for (size_t i = 0; i < files; i++) {
        struct score_file *f = i < in->n_references ? &in->references[i] : &in->files[i - in->n_references];
        size_t n;
        if (score_split(in, f, &lines[i], &n, e)) return (int)e->code;
        if (i && n != in->n)
            return error_set(e, ERROR_INPUT, "%s: has %zu lines, %s has %zu: they must go together line by line",
                             f->path, n, in->references[0].path, in->n);
        in->n = n;
    }
    return 0;
}

/* As sacreBLEU's signature has it: references of an item that are not empty, 0 where their number varies. Items that
 * have none, which sacreBLEU refuses, do not count. */
static size_t count_each(const struct score_input *in)
{
    size_t each = 0;
    for (size_t i = 0; i < in->n; i++) {
        const struct outcome *o = &in->outcomes[i];
        size_t n = 0;
        for (size_t r = 0; r < o->n_references; r++) n += o->references[r][0] != 0;
        if (n && each && n != each) return 0;
        if (n) each = n;
    }
    return each ? each : 1;
}

int score_read_lines(struct score_input *in, struct error *e)
{
    const char ***lines;
    int status = split_all(in, &lines, e);
    if (!status) status = score_items(in, OUTCOME_GENERATION, e);
    if (status) return status;
    const size_t each = in->n_references;
    const char **references = score_keep(in, in->n * each, sizeof *references, "references", e);
    if (!references) return ERROR_IO;
    for (size_t i = 0; i < in->n; i++)
        for (size_t r = 0; r < each; r++) references[i * each + r] = lines[r][i];
    for (size_t f = 0; f < in->n_files; f++)
        for (size_t i = 0; i < in->n; i++) {
            struct outcome *o = &in->outcomes[f * in->n + i];
            o->text = lines[each + f][i];
            o->references = references + i * each;
            o->n_references = each;
        }
    in->references_each = count_each(in);
    return 0;
}

/* --- labels --- */

enum { LABELS_MOST = 64 };

struct labels {
    const char *names[LABELS_MOST];
    size_t n;
    bool others; /* some file has a label besides */
};

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int find_labels(struct labels *l, const char *const *lines, const struct score_input *in, struct error *e)
{
    const char *path = in->references[0].path;
    struct table seen = {0};
    int status = 0;
    l->n = 0;
    for (size_t i = 0; i < in->n && !status; i++) {
        bool known;
        status = table_add(&seen, lines[i], strlen(lines[i]), 0, &known, e);
        if (status || known) continue;
        if (l->n == LABELS_MOST)
            status = error_set(e, ERROR_INPUT, "%s: line %zu: more than %d different labels", path, i + 1, LABELS_MOST);
        else if (!lines[i][0])
            status = error_set(e, ERROR_INPUT, "%s: line %zu: is empty, a label is due", path, i + 1);
        else
            l->names[l->n++] = lines[i];
    }
    table_free(&seen);
    qsort(l->names, l->n, sizeof *l->names, by_bytes);
    return status;
}

static size_t label_of(const struct labels *l, const char *line)
{
    const char *const *at = bsearch(&line, l->names, l->n, sizeof *l->names, by_bytes);
    return at ? (size_t)(at - l->names) : l->n;
}

static void note_others(struct labels *l, const struct score_input *in, const char *const *lines, const char *path)
{
    size_t others = 0;
    for (size_t i = 0; i < in->n; i++) others += label_of(l, lines[i]) == l->n;
    l->others |= others > 0;
    if (others)
        note("note: %s: %zu of %zu lines are no label of %s; they are a class of their own, which is never right", path,
             others, in->n, in->references[0].path);
}

/* Choices whose log-likelihoods say which of them was picked, and nothing else: p is 1 for it and 0 for the others. */
static struct choice *make_picks(struct score_input *in, size_t classes, struct error *e)
{
    struct choice *picks = score_keep(in, classes * classes, sizeof *picks, "labels", e);
    for (size_t i = 0; picks && i < classes * classes; i++)
        picks[i] = (struct choice){
            .loglikelihood = i / classes == i % classes ? 0 : -1000, .characters = 1, .bytes = 1, .tokens = 1};
    return picks;
}

static int label_facts(struct score_input *in, const struct labels *l, struct error *e)
{
    json_t *names = json_array();
    for (size_t i = 0; i < l->n; i++) json_array_append_new(names, json_string(l->names[i]));
    int failed = json_object_set_new(in->facts, "labels", names);
    failed |= json_object_set_new(in->facts, "other_labels", json_boolean(l->others));
    return failed ? error_set(e, ERROR_IO, "out of memory for a record") : 0;
}

int score_read_labels(struct score_input *in, struct error *e)
{
    const char ***lines;
    struct labels labels = {0};
    int status = split_all(in, &lines, e);
    if (!status) status = score_items(in, OUTCOME_CHOICE, e);
    if (!status) status = find_labels(&labels, lines[0], in, e);
    if (status) return status;
    for (size_t f = 0; f < in->n_files; f++) note_others(&labels, in, lines[1 + f], in->files[f].path);
    const size_t classes = labels.n + labels.others;
    const struct choice *picks = make_picks(in, classes, e);
    if (!picks) return ERROR_IO;
    for (size_t f = 0; f < in->n_files; f++)
        for (size_t i = 0; i < in->n; i++) {
            struct outcome *o = &in->outcomes[f * in->n + i];
            o->choices = picks + label_of(&labels, lines[1 + f][i]) * classes;
            o->n_choices = classes;
            o->gold = label_of(&labels, lines[0][i]);
        }
    in->references_each = 1;
    return label_facts(in, &labels, e);
}
