/* Suites: data + prompt + protocol + metrics, as a YAML file in the words of lm-evaluation-harness.
 *
 *     struct suite *s;
 *     if (suite_load(&s, "endings", e)) return e->code;       a name that ships, or a path of a .yaml file
 *     struct item *items; size_t n;
 *     if (suite_items(s, 0, NULL, &items, &n, e)) ...         0: no limit
 *     items_free(items, n); suite_free(s);
 *
 * The keys are described in docs/suites.md and read in suites/suite.c; an unknown one is an error with its line and the
 * nearest known one. A file with the keys `group` and `task` (a list of names) is a group; a group that is given by its
 * path finds its suites beside it first.
 *
 * NAME@SPEC is the suite NAME with its texts decoded by SPEC (engine/decoding/decode.h): what suite_expand() makes of a
 * suite whose `decode` is a list. Its name is then the task's, a point, and the strategy's: "translation.beam-4". */
#ifndef KERF_SUITES_SUITE_H
#define KERF_SUITES_SUITE_H

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/decoding/decode.h"
#include "metrics/metric.h"
#include "suites/filters.h"
#include "suites/reader.h"
#include "suites/template.h"
#include "suites/windows.h"

/* A number that a suite gives. */
struct score {
    struct measure measure;
    char *name;      /* as recorded: "acc"; of a named filter pipeline "exact_match,strict-match" */
    size_t pipeline; /* of the suite's; 0 also where it has none */
};

/* Solved examples before every prompt. */
struct fewshot {
    int n;           /* num_fewshot */
    bool first;      /* sampler: first_n; else a random draw that depends on the seed and the item's index alone */
    uint64_t seed;   /* of the draw */
    char *data_path; /* of another file that they come from, else NULL */
    json_t *samples; /* or a list of documents in the suite file itself, else NULL; borrowed from settings */
    char *delimiter; /* after each example */
};

struct suite {
    char *name;      /* task; with a strategy of its own task.strategy */
    char *about;     /* one line for lists */
    char *path;      /* of the suite file */
    char *data_path; /* of the data file, as found */
    const struct reader *reader;
    json_t *reader_options;      /* object or NULL */
    enum outcome_kind kind;      /* the output_type */
    struct template description; /* before the examples and the prompt */
    struct template text, target;
    struct template counted;  /* of documents: the text whose words and bytes count; no parts: the target */
    struct template *choices; /* of a list in doc_to_choice */
    size_t n_choices;
    struct template choice_field; /* of a single field in doc_to_choice, when n_choices is 0 */
    char *delimiter;
    struct fewshot fewshot;
    char **until;
    size_t n_until;
    int max_tokens; /* new tokens of a generation */
    int repeats;    /* answers to an item, at least 1 */
    struct decode decode;
    struct pipeline *pipelines; /* of filter_list */
    size_t n_pipelines;
    enum protocol protocol;
    int context;          /* 0: the model's */
    int stride;           /* of PROTOCOL_STRIDED; 0: half a window */
    struct score *scores; /* of metric_list: for each pipeline, if there are any, every metric */
    size_t n_scores;
    json_t *settings; /* the file's keys as JSON: for the run record and the fingerprint */
};

/* One thing scored. Strings are UTF-8, NUL-terminated, owned by the item. */
struct item {
    size_t index;        /* its document's number in the data file, from 0 */
    json_t *doc;         /* the document, owned */
    char hash[HASH_HEX]; /* SHA-256 of the document's compact JSON with sorted keys */
    char *prompt;        /* description, examples and rendered doc_to_text; "" where there is none */
    /* Of a choice between contexts (doc_to_text is the index of the right one): what follows the prompt in each; there
     * is one target then, the continuation of all. Else NULL and 0. */
    char **contexts;
    size_t n_contexts;
    char **targets; /* choices, or the one continuation or text to score, or the references; no delimiter */
    size_t n_targets;
    char *counted; /* the text whose words and bytes count; NULL: the target */
    size_t gold;   /* of a multiple choice */
};

int suite_load(struct suite **out, const char *name_or_path, struct error *e);
/* The same for lists: where the data file is not there, data_path is NULL and it is no error. */
int suite_load_without_data(struct suite **out, const char *name_or_path, struct error *e);
void suite_free(struct suite *s);
/* Another decoding strategy, and the name that tells it from others: task.strategy. Nothing happens to a suite that
 * generates no texts. */
int suite_decode(struct suite *s, const struct decode *how, struct error *e);
/* Another strategy under the task's own name, so that runs by two strategies compare. */
int suite_override(struct suite *s, const struct decode *how, struct error *e);
/* The names of all suites that ship, sorted (groups left out), in a NULL-terminated array; free with names_free(). */
int suite_names(char ***out, struct error *e);
/* The suites that `name_or_path` stands for: itself, one for each of its decoding strategies, or what a group lists
 * (groups in groups are an error). */
int suite_expand(const char *name_or_path, char ***out, struct error *e);
void names_free(char **names);

/* Reads the data and renders the first `limit` items (0: all), or, where indices is not NULL, those of the documents in
 * this JSON array of whole numbers, in the file's order, whatever the limit. No item at all is ERROR_INPUT. */
int suite_items(const struct suite *s, size_t limit, const json_t *indices, struct item **out, size_t *n,
                struct error *e);
void items_free(struct item *items, size_t n);

#endif
