/* kerf score: scores of outputs that were made elsewhere.
 *
 * What --json prints, schema "kerf-score-1":
 *   { "schema", "kerf", "machine", "format": "lines"|"labels"|"squad"|"conll",
 *     "references": [ { "path", "sha256" } ], "files": [ { "path", "sha256" } ], "items",
 *     "facts": of labels { "labels": [the classes], "other_labels": whether some file has another one },
 *              of squad { "predictions": [ one per file: { "missing", "unknown" } ] },
 *              of conll { "types": [ one per file: [ { "type", "references", "predicted", "right", "precision",
 *                         "recall", "f1" } ] ] },
 *     "metrics": [ { "name", "settings": ["key=value"], "signature", "fingerprint", "better", "unit",
 *                    "scores": [ one per file: { "value", "stderr", "ci95", "difference": to the first file, or null:
 *                                as in compare.json, with "p_holm": p adjusted for the number of candidates; "test"
 *                                may be "randomization"; "significant": p_holm < 0.05;
 *                                with --sentence-level "items": [the value of each] } ] } ],
 *     "resampling": { "resamples", "seed" } }
 * The fingerprint is the SHA-256 over what makes two numbers comparable: the references, the metric, its settings. */
#include "cli/score.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "metrics/significance.h"

#include <stdlib.h>
#include <string.h>

enum { METRICS_MOST = 32, SETTINGS_MOST = OPTION_LIST_MOST, OPTIONS = 14 };
static const char EFFECTIVE[] = "effective_order";

/* METRIC.KEY=VALUE, or KEY=VALUE for every metric that takes the key. */
struct assignment {
    const char *metric;
    size_t metric_length, key_length;
    const char *key, *value;
    const char *option; /* as it was given, for errors */
};

struct scoring {
    const char *metric_lists[OPTION_LIST_MOST], *references[OPTION_LIST_MOST], *sets[OPTION_LIST_MOST];
    const char *tokenize, *paired;
    bool lowercase, labels, by_item, json, markdown;
    int64_t resamples, seed, threads;
    char **names; /* of metrics, owned */
    size_t n_names;
    struct assignment assignments[SETTINGS_MOST + 4];
    size_t n_assignments;
    const struct format *format;
    struct score_input in;
    struct score_row *rows;
    size_t n_rows;
    struct resampling resampling;
};

/* How the files are read. A preset stands for the metrics of a public script and brings its format. */
struct format {
    const char *name, *item; /* what it calls an item, in errors */
    int (*read)(struct score_input *in, struct error *e);
    int (*describe)(struct score_input *in, struct error *e); /* MAY */
    enum outcome_kind kind;
    const char *preset;     /* MAY: a metric's name that asks for this format */
    const char *metrics[4]; /* of the preset, NULL-terminated */
    const char *set;        /* MAY: a setting of the preset */
};

static const struct format formats[] = {
    {.name = "lines", .item = "line", .kind = OUTCOME_GENERATION, .read = score_read_lines},
    {.name = "labels", .item = "line", .kind = OUTCOME_CHOICE, .read = score_read_labels},
    {.name = "squad",
     .item = "question",
     .kind = OUTCOME_GENERATION,
     .read = score_read_squad,
     .preset = "squad",
     .metrics = {"exact_match", "f1"},
     .set = "exact_match.normalize=squad"},
    {.name = "conll",
     .item = "sentence",
     .kind = OUTCOME_GENERATION,
     .read = score_read_conll,
     .describe = score_conll_types,
     .preset = "entity-f1",
     .metrics = {"entity_f1", "entity_precision", "entity_recall"}},
};
enum { FORMAT_LINES, FORMAT_LABELS, FORMATS = sizeof formats / sizeof *formats };

static void make_options(struct scoring *x, struct option table[OPTIONS])
{
    *x = (struct scoring){.resamples = 10000, .seed = 1234};
    const struct option rows[OPTIONS] = {
        {"--metric", OPTION_LIST, "NAMES", "metrics, with commas between them (kerf suites lists them)",
         .list = x->metric_lists},
        {"--ref", OPTION_LIST, "FILE", "references; given again: a further reference of every line",
         .list = x->references},
        {"--labels", OPTION_FLAG, NULL, "lines are labels of classes, also where a metric's name (f1) has both senses",
         .flag = &x->labels},
        {"--tokenize", OPTION_TEXT, "NAME", "tokenizer of the metrics that have one (13a, zh, char, ...)",
         .text = &x->tokenize},
        {"--lowercase", OPTION_FLAG, NULL, "lower case for the metrics that can", .flag = &x->lowercase},
        {"--set", OPTION_LIST, "M.KEY=VALUE", "a setting of the metric M: chrf.word_order=2", .list = x->sets},
        {"--sentence-level", OPTION_FLAG, NULL, "the value of every item, instead of the table or in the JSON",
         .flag = &x->by_item},
        {"--paired", OPTION_TEXT, "[=METHOD]",
         "differences to the first file, with p by bootstrap (default; McNemar's test of right and wrong) or ar",
         .text = &x->paired, .otherwise = "bootstrap"},
        {"--resamples", OPTION_NUMBER, "N", "resamples behind intervals and p (default: 10000)",
         .number = &x->resamples, .least = 1},
        {"--seed", OPTION_NUMBER, "N", "seed of the resampling (default: 1234)", .number = &x->seed},
        {"--threads", OPTION_NUMBER, "N", "threads (default: all cores); results are the same bits for any number",
         .number = &x->threads, .least = 1},
        {"--json", OPTION_FLAG, NULL, "everything as JSON instead of a table", .flag = &x->json},
        {"--markdown", OPTION_FLAG, NULL, "the table in Markdown", .flag = &x->markdown}};
    memcpy(table, rows, sizeof rows);
}

/* --- which metrics --- */

static int add_name(struct scoring *x, const char *name, size_t length, struct error *e)
{
    if (!length) return error_set(e, ERROR_USAGE, "--metric: a name is empty");
    for (size_t i = 0; i < x->n_names; i++)
        if (strlen(x->names[i]) == length && memcmp(x->names[i], name, length) == 0)
            return error_set(e, ERROR_USAGE, "--metric: %s is given twice", x->names[i]);
    if (x->n_names == METRICS_MOST) return error_set(e, ERROR_USAGE, "--metric: more than %d metrics", METRICS_MOST);
    char *copy = memory_bytes(name, length, e);
    if (!copy) return ERROR_IO;
    x->names[x->n_names++] = copy;
    return 0;
}

static int split_names(struct scoring *x, struct error *e)
{
    x->names = memory_new(METRICS_MOST, sizeof *x->names, "metrics", e);
    if (!x->names) return ERROR_IO;
    for (const char **list = x->metric_lists; *list; list++)
        for (const char *at = *list; at;) {
            const size_t n = strcspn(at, ",");
            if (add_name(x, at, n, e)) return (int)e->code;
            at = at[n] ? at + n + 1 : NULL;
        }
    return x->n_names ? 0 : error_set(e, ERROR_USAGE, "--metric NAME is missing (kerf suites lists them)");
}

/* The preset that stands alone, or lines; labels where asked for, or where a metric takes nothing but choices. */
static int choose_format(struct scoring *x, struct error *e)
{
    bool choices = true, only = false;
    for (size_t i = 0; i < x->n_names; i++) {
        const char *name = x->names[i];
        const bool choice = metric_find(name, OUTCOME_CHOICE), text = metric_find(name, OUTCOME_GENERATION);
        choices &= choice;
        only |= choice && !text;
        for (size_t f = 0; f < FORMATS; f++) {
            if (!formats[f].preset || strcmp(name, formats[f].preset)) continue;
            if (x->n_names > 1 || x->labels)
                return error_set(e, ERROR_USAGE, "--metric %s reads files of its own kind and stands alone", name);
            x->format = &formats[f];
            return 0;
        }
    }
    x->format = &formats[x->labels || (choices && only) ? FORMAT_LABELS : FORMAT_LINES];
    return 0;
}

static int unknown_metric(const char *name, struct error *e)
{
    enum { MOST = 256 };
    const char *names[MOST];
    size_t n = 0;
    for (size_t f = 0; f < FORMATS; f++)
        if (formats[f].preset) names[n++] = formats[f].preset;
    for (size_t i = 0; n < MOST && metric_at(i); i++) names[n++] = metric_at(i)->name;
    if (metric_find(name, OUTCOME_CHOICE))
        return error_set(e, ERROR_USAGE, "--metric %s: takes labels, which the other metrics do not", name);
    if (metric_find(name, OUTCOME_GENERATION))
        return error_set(e, ERROR_USAGE, "--metric %s: takes texts, not labels", name);
    if (metric_find(name, OUTCOME_LIKELIHOOD) || metric_find(name, OUTCOME_ROLLING))
        return error_set(e, ERROR_USAGE, "--metric %s: needs a model, kerf eval measures it", name);
    const struct suggestion s = suggest(name, names, n);
    return error_set(e, ERROR_USAGE, "--metric %s: unknown metric%s", name,
                     s.words[0] ? s.words : " (kerf suites lists them)");
}

static int open_metrics(struct scoring *x, struct error *e)
{
    const bool preset = x->format->preset;
    const char *const *names = preset ? x->format->metrics : (const char *const *)x->names;
    size_t n = preset ? 0 : x->n_names;
    while (preset && names[n]) n++;
    x->rows = memory_new(n, sizeof *x->rows, "metrics", e);
    if (!x->rows) return ERROR_IO;
    for (size_t i = 0; i < n; i++) {
        if (!metric_find(names[i], x->format->kind)) return unknown_metric(names[i], e);
        x->rows[i].settings = json_array();
        struct measure *m = &x->rows[x->n_rows++].measure;
        if (measure_open(m, names[i], x->format->kind, e)) return (int)e->code;
        /* of a file a tag that is none is a slip, and no answer of a model */
        for (const char *const *o = m->metric->options; o && *o; o++)
            if (strcmp(*o, "strict") == 0 && measure_set(m, *o, "true", e)) return (int)e->code;
        if (strcmp(m->metric->name, "brier_score") == 0 || strcmp(m->metric->name, "ece") == 0)
            return error_set(e, ERROR_USAGE, "--metric %s: needs probabilities, kerf eval measures it",
                             m->metric->name);
    }
    return 0;
}

/* --- their settings --- */

static struct assignment *add_assignment(struct scoring *x, const char *key, const char *value, const char *option)
{
    struct assignment *a = &x->assignments[x->n_assignments++];
    *a = (struct assignment){.key = key, .key_length = strlen(key), .value = value, .option = option};
    return a;
}

static int add_setting(struct scoring *x, const char *text, struct error *e)
{
    const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
    if (!dot || !equals || dot > equals) return error_set(e, ERROR_USAGE, "--set %s: is not METRIC.KEY=VALUE", text);
    struct assignment *a = add_assignment(x, dot + 1, equals + 1, text);
    a->metric = text;
    a->metric_length = (size_t)(dot - text);
    a->key_length = (size_t)(equals - dot - 1);
    for (size_t i = 0; i < x->n_rows; i++) {
        const char *name = x->rows[i].measure.metric->name;
        if (strlen(name) == a->metric_length && memcmp(name, text, a->metric_length) == 0) return 0;
    }
    return error_set(e, ERROR_USAGE, "--set %s: %.*s is none of the metrics", text, (int)a->metric_length, text);
}

static bool is_for(const struct assignment *a, const struct metric *m)
{
    return !a->metric || (strlen(m->name) == a->metric_length && memcmp(m->name, a->metric, a->metric_length) == 0);
}

/* Whether a metric takes this key of its own. */
static bool takes(const struct metric *m, const char *key, size_t length)
{
    for (size_t i = 0; m->options && m->options[i]; i++)
        if (strlen(m->options[i]) == length && memcmp(m->options[i], key, length) == 0) return true;
    return false;
}

static int set_one(struct score_row *row, const struct assignment *a, const char *key, struct error *e)
{
    if (measure_set(&row->measure, key, a->value, e)) {
        e->code = ERROR_USAGE;
        return error_prefix(e, "%s%s", a->metric ? "--set " : "", a->option);
    }
    if (json_array_append_new(row->settings, json_sprintf("%s=%s", key, a->value)))
        return error_set(e, ERROR_USAGE, "%s: is no text", a->option);
    return 0;
}

/* In the order of the metric's options, so that the order on the command line leaves the fingerprint as it is. */
static int set_metric(struct scoring *x, struct score_row *row, struct error *e)
{
    const struct metric *m = row->measure.metric;
    for (size_t k = 0; m->options && m->options[k]; k++)
        for (size_t i = 0; i < x->n_assignments; i++) {
            const struct assignment *a = &x->assignments[i];
            const char *key = m->options[k];
            if (!is_for(a, m) || strlen(key) != a->key_length || memcmp(key, a->key, a->key_length)) continue;
            if (set_one(row, a, key, e)) return (int)e->code;
        }
    return 0;
}

/* Every assignment must be taken by some metric. */
static int check_taken(struct scoring *x, const struct assignment *a, struct error *e)
{
    struct text names = {0};
    bool taken = false;
    for (size_t i = 0; i < x->n_rows; i++) {
        const struct metric *m = x->rows[i].measure.metric;
        taken |= is_for(a, m) && takes(m, a->key, a->key_length);
        text_printf(&names, "%s%s", i ? ", " : "", m->name);
    }
    int status = 0;
    if (!taken && !a->metric)
        status = error_set(e, ERROR_USAGE, "%s: none of the metrics takes it (%s)", a->option, text_c(&names));
    text_free(&names);
    if (taken || status) return status;
    char *key = memory_bytes(a->key, a->key_length, e);
    for (size_t i = 0; key && i < x->n_rows; i++)
        if (is_for(a, x->rows[i].measure.metric)) measure_set(&x->rows[i].measure, key, a->value, e);
    free(key);
    e->code = ERROR_USAGE;
    return error_prefix(e, "--set %s", a->option);
}

static int set_all(struct scoring *x, struct error *e)
{
    int status = 0;
    if (x->tokenize) add_assignment(x, "tokenize", x->tokenize, "--tokenize");
    if (x->lowercase) add_assignment(x, "lowercase", "true", "--lowercase");
    for (size_t i = 0; x->by_item && i < x->n_rows; i++) /* BLEU of a sentence would often be 0 without it */
        if (takes(x->rows[i].measure.metric, EFFECTIVE, strlen(EFFECTIVE)))
            measure_set(&x->rows[i].measure, EFFECTIVE, "true", e);
    if (x->format->set) status = add_setting(x, x->format->set, e);
    for (const char **set = x->sets; *set && !status; set++) status = add_setting(x, *set, e);
    for (size_t i = 0; i < x->n_assignments && !status; i++) status = check_taken(x, &x->assignments[i], e);
    for (size_t i = 0; i < x->n_rows && !status; i++) status = set_metric(x, &x->rows[i], e);
    return status;
}

/* --- their values --- */

static int measure_items(const struct scoring *x, struct score_row *row, size_t file, double *stats, struct error *e)
{
    const struct measure *m = &row->measure;
    const size_t width = m->metric->width, n = x->in.n;
    const struct outcome *outcomes = x->in.outcomes + file * n;
    const char *path = x->in.files[file].path;
    size_t failed = n; /* the first item, for any number of threads */
#pragma omp parallel for schedule(dynamic, 16)
    for (size_t i = 0; i < n; i++) {
        struct error mine = {0};
        if (outcomes[i].kind == OUTCOME_GENERATION && !outcomes[i].text) {
            stats[i * width + 1] = 1; /* of a mean: none right of one */
        } else if (measure_accumulate(m, &outcomes[i], stats + i * width, &mine)) {
#pragma omp critical
            if (i < failed) failed = i, *e = mine;
        }
    }
    if (failed < n) return error_prefix(e, "%s: %s %zu: %s", path, x->format->item, failed + 1, m->metric->name);
    const int status = measure_prepare(m, stats, n, e);
    return status ? error_prefix(e, "%s: %s", path, m->metric->name) : 0;
}

static int compare(struct scoring *x, struct score_row *row, size_t file, struct error *e)
{
    const size_t step = x->in.n * row->measure.metric->width;
    const double *base = row->stats, *candidate = row->stats + file * step;
    struct difference *d = &row->candidates[file];
    int status = measure_compare(&row->measure, base, candidate, x->in.n, &x->resampling, d, e);
    if (!status && strcmp(x->paired, "ar") == 0) {
        status = measure_randomize(&row->measure, base, candidate, x->in.n, &x->resampling, &d->p, e);
        d->mcnemar = false;
    }
    row->adjusted[file] = d->p;
    return status;
}

static void make_fingerprint(const struct scoring *x, struct score_row *row)
{
    struct hash h;
    struct text t = {0};
    text_printf(&t, "kerf-score-1\n%s\n%s\n%s\n", x->format->name, row->measure.metric->name, text_c(&row->signature));
    for (size_t i = 0; i < json_array_size(row->settings); i++)
        text_printf(&t, "%s\n", json_string_value(json_array_get(row->settings, i)));
    for (size_t i = 0; i < x->in.n_references; i++) text_printf(&t, "%s\n", x->in.references[i].hash);
    if (json_is_true(json_object_get(x->in.facts, "other_labels"))) text_add(&t, "other labels\n");
    hash_init(&h);
    hash_update(&h, text_c(&t), t.length);
    hash_finish(&h, row->fingerprint);
    row->signature.failed |= t.failed;
    text_free(&t);
}

static int measure_row(struct scoring *x, struct score_row *row, struct error *e)
{
    const size_t n = x->in.n, files = x->in.n_files, width = row->measure.metric->width;
    row->stats = memory_new(n * files, width * sizeof *row->stats, "statistics", e);
    row->estimates = memory_new(files, sizeof *row->estimates, "estimates", e);
    row->candidates = x->paired ? memory_new(files, sizeof *row->candidates, "differences", e) : NULL;
    row->adjusted = memory_new(files, sizeof *row->adjusted, "p-values", e);
    if (!row->stats || !row->estimates || !row->adjusted || (x->paired && !row->candidates)) return ERROR_IO;
    int status = 0;
    for (size_t f = 0; f < files && !status; f++) {
        double *stats = row->stats + f * n * width;
        status = measure_items(x, row, f, stats, e);
        if (!status) status = measure_estimate(&row->measure, stats, n, &x->resampling, &row->estimates[f], e);
        if (!status && x->paired && f) status = compare(x, row, f, e);
    }
    if (status) return status;
    if (x->paired) holm(row->adjusted + 1, files - 1);
    measure_signature(&row->measure, x->in.references_each, &row->signature);
    make_fingerprint(x, row);
    return row->signature.failed ? error_set(e, ERROR_IO, "out of memory for a signature") : 0;
}

/* --- the command --- */

static int check_options(struct scoring *x, size_t n_operands, struct error *e)
{
    size_t references = 0;
    while (x->references[references]) references++;
    if (x->json && x->markdown) return error_set(e, ERROR_USAGE, "--json and --markdown: one of them, not both");
    if (x->by_item && x->markdown)
        return error_set(e, ERROR_USAGE, "--sentence-level and --markdown do not go together");
    if (!references) return error_set(e, ERROR_USAGE, "--ref FILE is missing");
    if (!n_operands) return error_set(e, ERROR_USAGE, "score takes at least one FILE to be scored");
    if (x->paired && strcmp(x->paired, "bootstrap") && strcmp(x->paired, "ar"))
        return error_set(e, ERROR_USAGE, "--paired=%s: must be bootstrap or ar (approximate randomization)", x->paired);
    if (x->paired && n_operands < 2)
        return error_set(e, ERROR_USAGE, "--paired takes at least two FILEs, the first is the baseline");
    if (x->by_item && !x->json && n_operands > 1)
        return error_set(e, ERROR_USAGE, "--sentence-level takes one FILE, or --json");
    if (references > 1 && x->format != &formats[FORMAT_LINES])
        return error_set(e, ERROR_USAGE, "--ref: files of this kind (%s) take one", x->format->name);
    x->resampling = (struct resampling){.resamples = (size_t)x->resamples, .seed = (uint64_t)x->seed};
    x->in.n_references = references;
    x->in.n_files = n_operands;
    return 0;
}

static int name_files(struct scoring *x, char **operands, struct error *e)
{
    struct score_input *in = &x->in;
    in->references = memory_new(in->n_references + in->n_files, sizeof *in->references, "files", e);
    if (!in->references) return ERROR_IO;
    in->files = in->references + in->n_references;
    size_t standard = 0;
    for (size_t i = 0; i < in->n_references + in->n_files; i++) {
        const char *path = i < in->n_references ? x->references[i] : operands[i - in->n_references];
        in->references[i].path = path;
        standard += strcmp(path, "-") == 0;
    }
    return standard > 1 ? error_set(e, ERROR_USAGE, "-: standard input can be one file only") : 0;
}

static int print_record(const struct score_report *report, struct error *e)
{
    json_t *record = score_record(report);
    const bool whole = record && record_build(record);
    const int status = whole ? json_print(record, 17, e) : error_set(e, ERROR_IO, "out of memory for a record");
    json_decref(record);
    return status;
}

static int score(struct scoring *x, char **operands, size_t n, struct error *e)
{
    int status = split_names(x, e);
    if (!status) status = choose_format(x, e);
    if (!status) status = check_options(x, n, e);
    if (!status) status = open_metrics(x, e);
    if (!status) status = set_all(x, e);
    if (!status) status = engine_open(x->threads, e);
    if (!status) status = name_files(x, operands, e);
    if (!status) status = score_open(&x->in, e);
    if (!status) status = x->format->read(&x->in, e);
    for (size_t i = 0; i < x->n_rows && !status; i++) status = measure_row(x, &x->rows[i], e);
    if (!status && x->format->describe) status = x->format->describe(&x->in, e);
    if (status) return status;
    const struct score_report report = {.in = &x->in,
                                        .rows = x->rows,
                                        .n_rows = x->n_rows,
                                        .format = x->format->name,
                                        .randomized = x->paired && strcmp(x->paired, "ar") == 0,
                                        .by_item = x->by_item,
                                        .resampling = x->resampling};
    return x->json ? print_record(&report, e) : score_print(&report, x->markdown, e);
}

static void release(struct scoring *x)
{
    for (size_t i = 0; i < x->n_rows; i++) {
        struct score_row *row = &x->rows[i];
        measure_close(&row->measure);
        json_decref(row->settings);
        free(row->stats);
        free(row->estimates);
        free(row->candidates);
        free(row->adjusted);
        text_free(&row->signature);
    }
    free(x->rows);
    for (size_t i = 0; i < x->n_names; i++) free(x->names[i]);
    free(x->names);
    struct score_file *files = x->in.references; /* with those that are scored behind them */
    if (files) score_input_free(&x->in);
    free(files);
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct scoring x;
    struct option options[OPTIONS] = {{0}};
    make_options(&x, options);
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status) status = score(&x, operands, n, e);
    release(&x);
    return status;
}

const struct command command_score = {
    .name = "score",
    .summary = "score outputs that were made elsewhere: translations, answers, labels, entities",
    .usage =
        "--metric NAMES --ref FILE FILE... [options]\n\n"
        "Line by line, every FILE against the references; \"-\" is standard input. What lines are:\n"
        "  texts      for metrics of texts (bleu, chrf, ter, rouge1, exact_match, f1, pearson, ...)\n"
        "  labels     for metrics of choices (acc, macro_f1, mcc, ...) or with --labels; of two the positive class\n"
        "             is the second in the order of their bytes\n"
        "and two metrics read files of their own kind:\n"
        "  squad      --ref DATA.json, SQuAD v1.1 or v2.0, FILE {\"id\": \"answer\", ...}: exact_match and f1\n"
        "  entity-f1  --ref GOLD, FILE: CoNLL's columns, the token first, the tag last: entity_f1,\n"
        "             entity_precision, entity_recall, by type too (entity_f1 itself scores lines of tags)",
    .examples = "  kerf score --metric bleu,chrf,ter --ref ref.A.en --ref ref.B.en output.en\n"
                "  kerf score --metric bleu --tokenize zh --ref ref.zh first.zh second.zh --paired\n"
                "  kerf score --metric acc,mcc --ref gold.txt predicted.txt\n"
                "  kerf score --metric squad --ref dev-v2.0.json predictions.json\n"
                "  kerf score --metric entity-f1 --ref gold.conll predicted.conll --json\n",
    .run = run,
};
