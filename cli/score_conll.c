/* kerf score --metric entity-f1: CoNLL's columns. Columns are separated by spaces or tabs, the first is the token and
 * the last its tag; an empty line ends a sentence; lines whose token is -DOCSTART- end one too and are no token. A byte
 * order mark at the start of a line, where a file was appended to another, is no part of it. */
#include "cli/score.h"
#include "engine/base/text.h"
#include "metrics/entities.h"

#include <string.h>

struct tagged {
    const char *token, *tag;
    size_t token_length, line;
    bool opens; /* a sentence */
};

struct column_file {
    const char *path;
    struct tagged *at;
    size_t n, sentences;
};

static const char blanks[] = " \t";

static int parse_line(struct tagged *t, char *line, const char *path, struct error *e)
{
    size_t end = strlen(line);
    while (end && strchr(blanks, line[end - 1])) line[--end] = 0;
    t->token = line + strspn(line, blanks);
    t->token_length = strcspn(t->token, blanks);
    size_t start = end;
    while (start && !strchr(blanks, line[start - 1])) start--;
    t->tag = line + start;
    if (t->tag == t->token)
        return error_set(e, ERROR_INPUT, "%s: line %zu: has one column, a token and its tag are due", path, t->line);
    return 0;
}

static int parse(struct score_input *in, struct score_file *f, struct column_file *out, struct error *e)
{
    const char **lines;
    size_t n;
    if (score_split(in, f, &lines, &n, e)) return (int)e->code;
    *out = (struct column_file){.path = f->path, .at = score_keep(in, n, sizeof *out->at, "tokens", e)};
    if (!out->at) return ERROR_IO;
    bool opens = true;
    for (size_t i = 0; i < n; i++) {
        char *line = f->bytes + (lines[i] - f->bytes);
        if (strncmp(line, "\xEF\xBB\xBF", 3) == 0) line += 3;
        struct tagged *t = &out->at[out->n];
        if (!line[strspn(line, blanks)] || strncmp(line, "-DOCSTART-", 10) == 0) {
            opens = true;
            continue;
        }
        *t = (struct tagged){.line = i + 1, .opens = opens};
        if (parse_line(t, line, f->path, e)) return (int)e->code;
        out->sentences += opens;
        opens = false;
        out->n++;
    }
    return out->n ? 0 : error_set(e, ERROR_INPUT, "%s: has no tokens", f->path);
}

static int check_same(const struct column_file *gold, const struct column_file *file, struct error *e)
{
    for (size_t i = 0; i < gold->n && i < file->n; i++) {
        const struct tagged *a = &gold->at[i], *b = &file->at[i];
        if (a->token_length != b->token_length || memcmp(a->token, b->token, a->token_length))
            return error_set(e, ERROR_INPUT, "%s: line %zu: the token is \"%.*s\", in %s line %zu it is \"%.*s\"",
                             file->path, b->line, b->token_length < 60 ? (int)b->token_length : 60, b->token,
                             gold->path, a->line, a->token_length < 60 ? (int)a->token_length : 60, a->token);
        if (a->opens != b->opens)
            return error_set(e, ERROR_INPUT, "%s: line %zu: %s a sentence, unlike line %zu of %s", file->path, b->line,
                             b->opens ? "begins" : "does not begin", a->line, gold->path);
    }
    if (gold->n == file->n) return 0;
    return error_set(e, ERROR_INPUT, "%s: has %zu tokens, %s has %zu", file->path, file->n, gold->path, gold->n);
}

/* The tags of every sentence, joined by spaces: [sentences]. */
static const char **join(struct score_input *in, const struct column_file *f, struct error *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < f->n; i++) bytes += strlen(f->at[i].tag) + 1;
    const char **sentences = score_keep(in, f->sentences, sizeof *sentences, "tags", e), **next = sentences;
    char *to = score_keep(in, bytes, 1, "tags", e);
    if (!sentences || !to) return NULL;
    for (size_t i = 0; i < f->n; i++) {
        const size_t n = strlen(f->at[i].tag);
        if (f->at[i].opens) *next++ = to;
        memcpy(to, f->at[i].tag, n);
        to += n;
        *to++ = i + 1 < f->n && !f->at[i + 1].opens ? ' ' : 0;
    }
    return sentences;
}

int score_read_conll(struct score_input *in, struct error *e)
{
    struct column_file gold;
    int status = parse(in, &in->references[0], &gold, e);
    if (status) return status;
    in->n = gold.sentences;
    in->references_each = 1;
    status = score_items(in, OUTCOME_GENERATION, e);
    const char **references = status ? NULL : join(in, &gold, e);
    for (size_t f = 0; f < in->n_files && references && !status; f++) {
        struct column_file file;
        status = parse(in, &in->files[f], &file, e);
        if (!status) status = check_same(&gold, &file, e);
        const char **texts = status ? NULL : join(in, &file, e);
        for (size_t i = 0; i < in->n && texts; i++) {
            struct outcome *o = &in->outcomes[f * in->n + i];
            *o = (struct outcome){
                .kind = OUTCOME_GENERATION, .text = texts[i], .references = &references[i], .n_references = 1};
        }
        if (!texts) return (int)e->code;
    }
    return references ? status : (int)e->code;
}

static double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

static json_t *type_record(const struct entity_count *c)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "type", c->type, "references", (json_int_t)c->gold,
                     "predicted", (json_int_t)c->found, "right", (json_int_t)c->hits, "precision",
                     share(c->hits, c->found), "recall", share(c->hits, c->gold), "f1",
                     share(2 * c->hits, c->gold + c->found));
}

int score_conll_types(struct score_input *in, struct error *e)
{
    json_t *files = json_array();
    int failed = json_object_set_new(in->facts, "types", files);
    for (size_t f = 0; f < in->n_files; f++) {
        struct entity_count *counts;
        size_t n;
        json_t *types = json_array();
        failed |= json_array_append_new(files, types);
        if (entities_count(in->outcomes + f * in->n, in->n, &counts, &n, e)) return (int)e->code;
        for (size_t i = 0; i < n; i++) failed |= json_array_append_new(types, type_record(&counts[i]));
        entities_free(counts, n);
    }
    return failed ? error_set(e, ERROR_IO, "out of memory for a record") : 0;
}
