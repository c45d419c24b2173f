/* Suites: data + prompt + protocol + metrics, as a YAML file in the words of lm-evaluation-harness.
 *
 *     struct suite *s;
 *     if (suite_load(&s, "endings", e)) return e->code;       a name that ships, or a path of a .yaml file
 *     struct item *items; size_t n;
 *     if (suite_items(s, 0, &items, &n, e)) ...               0: no limit
 *     items_free(items, n); suite_free(s);
 *
 * Keys (any other is an error with its line and the nearest known key):
 *     task                name, MUST
 *     description         one line
 *     dataset_path        data file, MUST; looked for beside the suite file, then in the data folders' datasets/
 *     dataset_format      a reader's name, MUST
 *     dataset_kwargs      options of the reader
 *     output_type         loglikelihood | loglikelihood_rolling | multiple_choice | generate_until, MUST
 *     doc_to_text         template of the prompt ("" for loglikelihood_rolling)
 *     doc_to_target       template: of the continuation, of the text to score, of the references (one field that is a
 *                         list gives several), or of the right choice: its text, or its index from 0 (also a plain
 *                         number, where it is the same in every document)
 *     doc_to_choice       a list of templates, or one field that holds a list of strings
 *     target_delimiter    of loglikelihood and multiple_choice: between prompt and continuation, " " by default
 *     generation_kwargs   of generate_until: max_gen_toks: limit of new tokens, MUST; until: list of stop strings
 *     protocol            of loglikelihood_rolling: rolling (default) | chunked
 *     context             of loglikelihood_rolling: window in tokens, at most the model's; default the model's
 *     metric_list         list of { metric: NAME }, MUST
 * A file with the keys `group` and `task` (a list of names) is a group; a group that is given by its path finds its
 * suites beside it first. */
#ifndef KERF_SUITES_SUITE_H
#define KERF_SUITES_SUITE_H

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/decoding/decode.h"
#include "metrics/metric.h"
#include "suites/reader.h"
#include "suites/template.h"

enum protocol { PROTOCOL_ROLLING, PROTOCOL_CHUNKED };

/* A number that a suite gives. */
struct score {
    struct measure measure;
    char *name; /* as recorded: "acc"; of a named filter pipeline "exact_match,strict-match" */
};

struct suite {
    char *name, *description;
    char *path;      /* of the suite file */
    char *data_path; /* of the data file, as found */
    const struct reader *reader;
    json_t *reader_options; /* object or NULL */
    enum outcome_kind kind; /* the output_type */
    struct template text, target;
    struct template *choices; /* of a list in doc_to_choice */
    size_t n_choices;
    struct template choice_field; /* of a single field in doc_to_choice, when n_choices is 0 */
    char *delimiter;
    char **until;
    size_t n_until;
    int max_tokens; /* new tokens of a generation */
    struct decode decode;
    enum protocol protocol;
    int context;          /* 0: the model's */
    struct score *scores; /* of metric_list */
    size_t n_scores;
    json_t *settings; /* the file's keys as JSON: for the run record and the fingerprint */
};

/* One thing scored. Strings are UTF-8, NUL-terminated, owned by the item. */
struct item {
    json_t *doc;         /* the document, owned */
    char hash[HASH_HEX]; /* SHA-256 of the document's compact JSON with sorted keys */
    char *prompt;        /* rendered doc_to_text; "" where there is none */
    char **targets;      /* choices, or the one continuation or text to score, or the references; no delimiter */
    size_t n_targets;
    size_t gold; /* of a multiple choice */
};

int suite_load(struct suite **out, const char *name_or_path, struct error *e);
void suite_free(struct suite *s);
/* The names of all suites that ship, sorted (groups left out), in a NULL-terminated array; free with names_free(). */
int suite_names(char ***out, struct error *e);
/* The suites that `name_or_path` stands for: itself, or what a group lists (groups in groups are an error). */
int suite_expand(const char *name_or_path, char ***out, struct error *e);
void names_free(char **names);

/* Reads the data and renders the first `limit` items (0: all). No item at all is ERROR_INPUT. */
int suite_items(const struct suite *s, size_t limit, struct item **out, size_t *n, struct error *e);
void items_free(struct item *items, size_t n);

#endif
