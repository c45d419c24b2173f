/* What the files of kerf score share. Inputs of some format become outcomes, one an item and file; outcomes become
 * scores, and scores a table or a record.
 *
 *     struct score_input in = {.references = refs, .n_references = 1, .files = files, .n_files = 2};
 *     if (score_read_lines(&in, e)) return e->code;
 *     in.outcomes[file * in.n + item] ...
 *     score_input_free(&in); */
#ifndef KERF_CLI_SCORE_H
#define KERF_CLI_SCORE_H

#include "cli/command.h"
#include "engine/base/hash.h"
#include "metrics/resampling.h"

/* --- inputs --- */

/* A text file in memory: UTF-8 without NUL, a byte order mark dropped. */
struct score_file {
    const char *path; /* "-": standard input */
    char *bytes;      /* [size] and a NUL */
    size_t size;
    char hash[HASH_HEX]; /* SHA-256 of the file as it is */
};

struct score_input {
    struct score_file *references, *files; /* files: what is scored */
    size_t n_references, n_files;
    size_t n;                 /* items */
    struct outcome *outcomes; /* [n_files, n]; a generation whose text is NULL counts 0 */
    size_t references_each;   /* of an item; 0: it varies */
    json_t *facts;            /* what the format has to say besides, for the record: an object */
    void **kept;              /* what outcomes point into */
    size_t n_kept, kept_capacity;
    json_t **documents; /* [n_references + n_files], of formats in JSON */
};

/* Reads the bytes of all files; their paths are given. Empty files are ERROR_INPUT. */
int score_open(struct score_input *in, struct error *e);
void score_input_free(struct score_input *in);
/* Zeroed memory that lives as long as the input. */
void *score_keep(struct score_input *in, size_t count, size_t size, const char *what, struct error *e);
/* Cuts a file's bytes into its lines, NUL-terminated and kept; "\r" before "\n" is no part of them. */
int score_split(struct score_input *in, struct score_file *f, const char ***lines, size_t *n, struct error *e);
/* Room for the outcomes of in->n items in every file, all of this kind. */
int score_items(struct score_input *in, enum outcome_kind kind, struct error *e);

/* After score_open(): the formats. Each makes the outcomes. */
int score_read_lines(struct score_input *in, struct error *e);
/* Lines are labels: those of the reference are the classes, sorted by their bytes; every other is one more class. */
int score_read_labels(struct score_input *in, struct error *e);
/* SQuAD's questions, v1.1 or v2.0, and {"id": "answer"} in every file. */
int score_read_squad(struct score_input *in, struct error *e);
/* Columns of tokens and tags. */
int score_read_conll(struct score_input *in, struct error *e);
/* What entities of each type came to: facts of CoNLL's columns, made of outcomes. */
int score_conll_types(struct score_input *in, struct error *e);

/* --- scores --- */

/* One metric on all files. */
struct score_row {
    struct measure measure;
    json_t *settings;              /* ["key=value"], in the order of the metric's options */
    double *stats;                 /* [n_files, n, width] */
    struct estimate *estimates;    /* [n_files] */
    struct difference *candidates; /* [n_files], the first is not used; NULL where nothing is paired */
    double *adjusted;              /* [n_files]: p after Holm's correction */
    struct text signature;
    char fingerprint[HASH_HEX]; /* over the references and the metric with its settings */
};

struct score_report {
    const struct score_input *in;
    const struct score_row *rows;
    size_t n_rows;
    const char *format; /* "lines", "labels", "squad", "conll" */
    bool randomized;    /* p is of approximate randomization */
    bool by_item;       /* every item's values too */
    struct resampling resampling;
};

/* The schema stands at the top of score.c. NULL: no memory. */
json_t *score_record(const struct score_report *r);
int score_print(const struct score_report *r, bool markdown, struct error *e);

#endif
