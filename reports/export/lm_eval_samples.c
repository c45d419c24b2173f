/* Items as lm-evaluation-harness logs them (--log_samples), and the files of an export. Its tracker makes texts of answers
 * before it writes them, and names the arguments of a request, so that tables can be made of the lines. */
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/json.h"
#include "engine/base/number.h"
#include "reports/export/export.h"
#include "reports/export/lm_eval.h"

#include <stdlib.h>
#include <string.h>

/* --- answers --- */

/* A text as Python's str() has it. */
static json_t *as_text(const json_t *v)
{
    if (json_is_string(v)) return json_string(json_string_value(v));
    if (json_is_boolean(v)) return json_string(json_is_true(v) ? "True" : "False");
    if (json_is_real(v)) return json_string(number_shortest(json_real_value(v)).digits);
    char *text = json_is_null(v) || !v ? NULL : json_dump_text(v, JSON_ENCODE_ANY | LM_LINE, NULL);
    json_t *s = json_string(text ? text : "None");
    free(text);
    return s;
}

/* Everything in a list as texts, lists kept. */
static json_t *as_texts(const json_t *v)
{
    if (!json_is_array(v)) return as_text(v);
    json_t *all = json_array();
    const json_t *part;
    size_t i;
    json_array_foreach(v, i, part) json_array_append_new(all, json_is_array(part) ? as_texts(part) : as_text(part));
    return all;
}

/* The harness has for each request a list of its repetitions. Texts of one item are repetitions of one request; scores
 * are one for each of its requests. */
static json_t *responses_of(const json_t *sample, bool generated)
{
    const json_t *resps = json_object_get(sample, "resps"), *one;
    if (generated) return json_pack("[o]", as_texts(resps));
    json_t *all = json_array();
    size_t i;
    json_array_foreach(resps, i, one) json_array_append_new(all, json_pack("[o]", as_texts(one)));
    return all;
}

/* What a filter left of the answers: one text for the request, or a list where several were left. */
static json_t *filtered_of(const json_t *sample, bool generated, const char *filter)
{
    const json_t *left = json_object_get(sample, "filtered_resps");
    if (json_is_object(left)) left = json_object_get(left, filter);
    return generated && json_array_size(left) > 1 ? json_pack("[o]", as_texts(left)) : as_texts(left);
}

static json_t *arguments_of(const json_t *sample)
{
    json_t *all = json_object();
    const json_t *request, *arg;
    size_t i, k;
    char key[32];
    json_array_foreach(json_object_get(sample, "arguments"), i, request)
    {
        json_t *args = json_object();
        json_array_foreach(request, k, arg)
        {
            snprintf(key, sizeof key, "arg_%zu", k);
            json_object_set(args, key, (json_t *)(uintptr_t)arg);
        }
        snprintf(key, sizeof key, "gen_args_%zu", i);
        json_object_set_new(all, key, args);
    }
    /* the windows of a long text have no prompt of their own, but a reader looks for one */
    if (!json_object_size(all)) json_object_set_new(all, "gen_args_0", json_pack("{s:s}", "arg_0", ""));
    return all;
}

/* --- metrics --- */

static size_t likeliest(const json_t *sample)
{
    const json_t *resps = json_object_get(sample, "resps"), *one;
    size_t best = 0, i;
    double most = 0;
    json_array_foreach(resps, i, one)
    {
        const double v = json_number_value(json_array_get(one, 0));
        if (i == 0 || v > most) most = v, best = i;
    }
    return best;
}

/* What the harness has of an item where the metric is one of all items: log-likelihood and length of a document, the
 * log-likelihood of a continuation, right and chosen class, reference and text. */
static json_t *pair_of(const json_t *sample, const char *name, const char *output_type, const char *filter)
{
    const json_t *sums = json_object_get(json_object_get(sample, "statistics"), name);
    const double nll = json_number_value(json_array_get(sums, 0));
    json_t *target = json_object_get(sample, "target"), *text;
    if (strcmp(output_type, "loglikelihood_rolling") == 0)
        return json_pack("[f, f]", -nll, json_number_value(json_array_get(sums, 1)));
    if (strcmp(output_type, "loglikelihood") == 0) return json_real(-nll);
    if (strcmp(output_type, "multiple_choice") == 0) return json_pack("[O?, I]", target, (json_int_t)likeliest(sample));
    json_t *left = filtered_of(sample, true, filter);
    text = json_array_get(left, 0);
    json_t *pair = json_pack("[O?, O?]", target, text);
    json_decref(left);
    return pair;
}

static bool is_perplexity(const char *metric)
{
    return text_ends_with(metric, "perplexity") || strcmp(metric, "bits_per_byte") == 0;
}

/* Every metric of the suite, since its readers look each of them up in each item. */
static void add_metrics(json_t *line, const json_t *suite, const json_t *sample, const char *filter, json_t *names)
{
    const json_t *m;
    size_t i;
    json_array_foreach(json_object_get(suite, "metrics"), i, m)
    {
        const char *name = json_text_of(m, "name"), *comma = strchr(name, ',');
        if (strcmp(comma ? comma + 1 : "none", filter) != 0) continue;
        struct text metric = {0};
        text_bytes(&metric, name, strcspn(name, ","));
        json_t *own = json_object_get(json_object_get(sample, "metrics"), name);
        const bool of_all = !own || is_perplexity(text_c(&metric));
        json_object_set_new(line, text_c(&metric),
                            of_all ? pair_of(sample, name, json_text_of(suite, "output_type"), filter)
                                   : json_incref(own));
        json_array_append_new(names, json_string(text_c(&metric)));
        text_free(&metric);
    }
}

/* --- a line --- */

static json_t *hash_of(const char *s)
{
    char hex[HASH_HEX];
    hash_hex(s, strlen(s), hex);
    return json_string(hex);
}

static int add_line(const json_t *suite, const json_t *sample, const char *filter, struct text *lines,
                    struct text *hashes)
{
    const bool generated = strcmp(json_text_of(suite, "output_type"), "generate_until") == 0;
    json_t *target = as_text(json_object_get(sample, "target")), *arguments = arguments_of(sample);
    json_t *names = json_array(), *id = json_object_get(sample, "doc_id");
    const char *prompt = json_text_of(json_object_get(arguments, "gen_args_0"), "arg_0");
    json_t *line = json_pack("{s:O?, s:{s:O}, s:O, s:o, s:o, s:o, s:s, s:O, s:s, s:o, s:o}", "doc_id", id, "doc",
                             "target", target, "target", target, "arguments", arguments, "resps",
                             responses_of(sample, generated), "filtered_resps", filtered_of(sample, generated, filter),
                             "filter", filter, "metrics", names, "doc_hash", json_text_of(sample, "doc_hash"),
                             "prompt_hash", hash_of(prompt), "target_hash", hash_of(json_string_value(target)));
    if (line) add_metrics(line, suite, sample, filter, names);
    char *text = line ? json_dump_text(line, LM_LINE, NULL) : NULL;
    if (text) {
        text_add(lines, text);
        text_char(lines, '\n');
        text_printf(hashes, "%s%s%s", json_text_of(line, "doc_hash"), json_text_of(line, "prompt_hash"),
                    json_text_of(line, "target_hash"));
    }
    free(text);
    json_decref(line);
    json_decref(names);
    json_decref(target);
    return text && !lines->failed && !hashes->failed ? 0 : -1;
}

int export_lm_eval_sample(const json_t *suite, const json_t *sample, struct text *lines, struct text *hashes,
                          struct error *e)
{
    const json_t *left = json_object_get(sample, "filtered_resps");
    const char *filter = "none";
    json_t *answers;
    int failed = 0;
    if (!json_is_object(sample) || !left || !json_is_array(json_object_get(sample, "resps")))
        return error_set(e, ERROR_INPUT, "resps and filtered_resps must be there");
    if (!json_is_object(left)) failed = add_line(suite, sample, filter, lines, hashes);
    json_object_foreach((json_t *)(uintptr_t)left, filter, answers)
    {
        if (!failed) failed = add_line(suite, sample, filter, lines, hashes);
    }
    return failed ? error_set(e, ERROR_IO, "out of memory for samples") : 0;
}

/* --- the files --- */

struct exporting {
    const char *run_folder;
    struct text folder; /* OUT/MODEL */
    char date[48]; /* as the harness has it in names of files: it takes the last seven characters off to sort them */
    json_t *results;
    struct text *written;
    struct error *e;
};

static int convert(const struct exporting *x, const json_t *suite, const struct file *f, struct output *out,
                   struct text *hashes)
{
    const char *at = (const char *)f->data, *end = at + f->size;
    const json_int_t items = json_integer_value(json_object_get(suite, "items"));
    json_int_t number = 0;
    int status = 0;
    while (at < end && !status) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t n = newline ? (size_t)(newline - at) : (size_t)(end - at);
        json_t *sample = json_read_line(at, n, x->e);
        struct text lines = {0};
        status = sample ? export_lm_eval_sample(suite, sample, &lines, hashes, x->e) : (int)x->e->code;
        number++;
        if (status)
            error_prefix(x->e, "%s: line %" JSON_INTEGER_FORMAT, f->path, number);
        else
            fwrite(lines.bytes, 1, lines.length, out->stream); /* a failure shows when the file is committed */
        text_free(&lines);
        json_decref(sample);
        at += newline ? n + 1 : n;
    }
    if (status || number == items) return status;
    return error_set(x->e, ERROR_INPUT, "%s: has %" JSON_INTEGER_FORMAT " items, its run %" JSON_INTEGER_FORMAT,
                     f->path, number, items);
}

static int write_suite(struct exporting *x, const json_t *suite)
{
    const char *task = json_text_of(suite, "name");
    struct text from = {0}, to = {0}, hashes = {0};
    struct file f = {0};
    struct output out;
    if (!file_name_fits(task)) return error_set(x->e, ERROR_INPUT, "%s: is no suite's name", task);
    text_printf(&from, "%s/samples_%s.jsonl", x->run_folder, task);
    text_printf(&to, "%s/samples_%s_%s.jsonl", text_c(&x->folder), task, x->date);
    int status = file_map(&f, text_c(&from), x->e);
    if (!status && !(status = output_open(&out, text_c(&to), x->e))) {
        status = convert(x, suite, &f, &out, &hashes);
        if (status)
            output_abandon(&out);
        else
            status = output_commit(&out, x->e);
    }
    file_unmap(&f);
    if (!status) {
        text_printf(x->written, "%s\n", text_c(&to));
        json_object_set_new(json_object_get(x->results, "task_hashes"), task, hash_of(text_c(&hashes)));
    }
    text_free(&from);
    text_free(&to);
    text_free(&hashes);
    return status;
}

static int write_all(struct exporting *x, const json_t *run, const char *out)
{
    struct text path = {0};
    const json_t *suite;
    struct tm utc;
    size_t i;
    text_printf(&x->folder, "%s/%s", out, json_text_of(x->results, "model_name_sanitized"));
    int status = lm_started(run, &utc, x->e);
    if (!status) strftime(x->date, sizeof x->date, "%Y-%m-%dT%H-%M-%S.000000", &utc);
    if (!status) status = folder_make(text_c(&x->folder), x->e);
    json_array_foreach(json_object_get(run, "suites"), i, suite)
    {
        if (!status) status = write_suite(x, suite);
    }
    text_printf(&path, "%s/results_%s.json", text_c(&x->folder), x->date);
    char *text = status ? NULL : json_dump_text(x->results, LM_DUMP, NULL);
    if (!status)
        status = text ? file_write(text_c(&path), text, strlen(text), x->e)
                      : error_set(x->e, ERROR_IO, "%s: out of memory", text_c(&path));
    if (!status) text_printf(x->written, "%s\n", text_c(&path));
    free(text);
    text_free(&path);
    return status;
}

static int write_run(const char *run_folder, const char *out, struct text *written, struct error *e)
{
    struct exporting x = {.run_folder = run_folder, .written = written, .e = e};
    char *path = path_join(run_folder, "run.json", e);
    json_t *run = path ? json_read_file(path, e) : NULL;
    int status = run ? 0 : (int)e->code;
    if (!status && !(x.results = lm_results(run, e))) status = error_prefix(e, "%s", path);
    if (!status) status = write_all(&x, run, out);
    text_free(&x.folder);
    json_decref(x.results);
    json_decref(run);
    free(path);
    return status;
}

const struct exporter export_to_lm_eval = {
    .name = "lm-eval", .summary = "results and samples as lm-evaluation-harness writes them", .write = write_run};
