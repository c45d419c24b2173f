/* kerf inspect: what a model file holds. */
#include "cli/command.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "engine/base/text.h"
#include "engine/formats/checkpoint.h"
#include "engine/kernels/kernels.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN_CHARACTERS = 60,
    SHOWN_ELEMENTS = 4,
    JSON_ELEMENTS = 1 << 20 /* of one array; no vocabulary is larger */
};

/* --- as JSON --- */

static json_t *string_json(struct gguf_string s) { return json_text(s.bytes, s.length); }

/* JSON has no NaN and no infinities. */
static json_t *number_json(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *element_json(const struct gguf_value *v, const struct gguf_string *strings, uint64_t i)
{
    int64_t whole;
    double real;
    if (strings) return string_json(strings[i]);
    if (v->element == GGUF_BOOL) return json_boolean(v->data[i]);
    if (gguf_element_i64(v, i, &whole)) return json_integer(whole);
    return gguf_element_f64(v, i, &real) ? number_json(real) : json_null();
}

/* At most `most` elements of an array. */
static json_t *value_json(const struct gguf *g, const struct gguf_value *v, uint64_t most)
{
    struct gguf_string s;
    bool b;
    uint64_t u;
    double d;
    if (v->type == GGUF_ARRAY) {
        struct error ignored;
        struct gguf_string *strings = v->element == GGUF_STRING ? gguf_strings(g, v, &ignored) : NULL;
        json_t *all = json_array();
        for (uint64_t i = 0; i < v->count && i < most; i++) json_array_append_new(all, element_json(v, strings, i));
        if (most == JSON_ELEMENTS && v->count > most)
            note("note: %.*s: the first %d of %" PRIu64 " elements are written", (int)v->key.length, v->key.bytes,
                 JSON_ELEMENTS, v->count);
        free(strings);
        return all;
    }
    if (v->type == GGUF_STRING) return gguf_as_string(v, &s) ? string_json(s) : json_null();
    if (v->type == GGUF_BOOL) return gguf_as_bool(v, &b) ? json_boolean(b) : json_null();
    if (gguf_as_u64(v, &u) && u <= INT64_MAX) return json_integer((json_int_t)u);
    return gguf_as_f64(v, &d) ? number_json(d) : json_null();
}

static json_t *metadata_json(const struct checkpoint *c, uint64_t most)
{
    const struct gguf *g = checkpoint_gguf(c);
    if (!g) return json_deep_copy(checkpoint_config(c));
    json_t *all = json_object();
    for (size_t i = 0; i < gguf_value_count(g); i++) {
        const struct gguf_value *v = gguf_value(g, i);
        json_t *key = string_json(v->key);
        json_object_set_new(all, json_string_value(key), value_json(g, v, most));
        json_decref(key);
    }
    return all;
}

static json_t *tensors_json(const struct checkpoint *c)
{
    json_t *all = json_array();
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        json_t *shape = json_array();
        for (int d = 0; d < t->n_dims; d++) json_array_append_new(shape, json_integer(t->shape[d]));
        struct gguf_string name = {t->name, strlen(t->name)};
        json_array_append_new(all,
                              json_pack("{s:o, s:s, s:o, s:I}", "name", string_json(name), "type",
                                        dtype_of((int)t->type)->name, "shape", shape, "bytes", (json_int_t)t->bytes));
    }
    return all;
}

static int print_json(const struct checkpoint *c, struct error *e)
{
    const struct gguf *g = checkpoint_gguf(c);
    const char *path = checkpoint_path(c);
    json_t *all =
        json_pack("{s:o, s:s, s:o, s:o}", "path", json_text(path, strlen(path)), "format", g ? "gguf" : "huggingface",
                  "metadata", metadata_json(c, JSON_ELEMENTS), "tensors", tensors_json(c));
    if (!all) return error_set(e, ERROR_IO, "%s: out of memory for its JSON", path);
    if (g) json_object_set_new(all, "version", json_integer(gguf_version(g)));
    int status = json_print(all, 9, e);
    json_decref(all);
    return status;
}

/* --- as text --- */

static void print_value(const char *key, const json_t *value, uint64_t count)
{
    char *dump = json_dump_text(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9), NULL);
    struct text safe = {0};
    text_terminal(&safe, key, strlen(key));
    printf("  %-42s ", text_c(&safe));
    text_clear(&safe);
    if (dump) text_terminal(&safe, dump, strlen(dump));
    free(dump);
    size_t shown = 0, characters = 0;
    while (shown < safe.length && characters < SHOWN_CHARACTERS) {
        uint32_t ignored;
        shown += utf8_decode(safe.bytes + shown, safe.length - shown, &ignored);
        characters++;
    }
    printf("%.*s%s", (int)shown, text_c(&safe), shown < safe.length ? "..." : "");
    if (count > SHOWN_ELEMENTS) printf("  (%" PRIu64 " in all)", count);
    puts("");
    text_free(&safe);
}

static void print_metadata(const struct checkpoint *c)
{
    json_t *all = metadata_json(c, SHOWN_ELEMENTS), *value;
    const char *key;
    json_object_foreach(all, key, value)
    {
        const struct gguf_value *v = checkpoint_gguf(c) ? gguf_find(checkpoint_gguf(c), key) : NULL;
        print_value(key, value, v && v->type == GGUF_ARRAY ? v->count : 0);
    }
    json_decref(all);
}

static void print_tensors(const struct checkpoint *c)
{
    int64_t elements[DTYPE_LIMIT] = {0}, all_elements = 0;
    size_t bytes[DTYPE_LIMIT] = {0}, all_bytes = 0;
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        struct text name = {0}, shape = {0};
        text_terminal(&name, t->name, strlen(t->name));
        for (int d = 0; d < t->n_dims; d++) text_printf(&shape, "%s%" PRId64, d ? " x " : "", t->shape[d]);
        printf("  %-42s %-6s %18s %12zu bytes\n", text_c(&name), dtype_of((int)t->type)->name, text_c(&shape),
               t->bytes);
        text_free(&name);
        text_free(&shape);
        elements[t->type] += tensor_elements(t);
        bytes[t->type] += t->bytes;
        all_elements += tensor_elements(t);
        all_bytes += t->bytes;
    }
    puts("");
    for (int d = 0; d < DTYPE_LIMIT; d++)
        if (bytes[d]) printf("  %-6s %14" PRId64 " elements %14zu bytes\n", dtype_of(d)->name, elements[d], bytes[d]);
    printf("  %-6s %14" PRId64 " elements %14zu bytes, %.3f bits an element\n", "all", all_elements, all_bytes,
           all_elements ? 8.0 * (double)all_bytes / (double)all_elements : 0.0);
}

static void print_all(const struct checkpoint *c)
{
    const struct gguf *g = checkpoint_gguf(c);
    struct text path = {0};
    text_terminal(&path, checkpoint_path(c), strlen(checkpoint_path(c)));
    printf("%s: ", text_c(&path));
    text_free(&path);
    if (g)
        printf("GGUF version %" PRIu32 ", %zu bytes\n", gguf_version(g), gguf_size(g));
    else
        puts("Hugging Face folder");
    printf("\nmetadata\n");
    print_metadata(c);
    printf("\n%zu tensors\n", checkpoint_count(c));
    print_tensors(c);
}

/* --- one tensor --- */

static int dump_tensor(const struct checkpoint *c, const char *name, const char *path, struct error *e)
{
    const struct tensor *t = checkpoint_tensor(c, name);
    if (!t) {
        size_t n = checkpoint_count(c);
        const char **names = memory_new(n, sizeof *names, "names", e);
        if (!names) return ERROR_IO;
        for (size_t i = 0; i < n; i++) names[i] = checkpoint_at(c, i)->name;
        struct suggestion guess = suggest(name, names, n);
        free(names);
        return error_set(e, ERROR_USAGE, "%s: tensor %s is not there%s", checkpoint_path(c), name, guess.words);
    }
    const struct dtype *d = dtype_of((int)t->type);
    if (!kernels_get()->decode[t->type])
        return error_set(e, ERROR_INPUT, "%s: %s: type %s cannot be decoded by this version", checkpoint_path(c), name,
                         d->name);
    struct output out;
    int status = output_open(&out, path, e);
    if (status) return status;
    float part[1024]; /* a multiple of every block */
    int64_t n = tensor_elements(t);
    struct progress progress;
    progress_open(&progress, name);
    progress_catch_signals();
    for (int64_t i = 0; i < n && !status; i += 1024) {
        if (!progress_update(&progress, "elements", (size_t)i, (size_t)n))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
        int64_t here = n - i < 1024 ? n - i : 1024;
        kernels_get()->decode[t->type]((const uint8_t *)t->data + (size_t)(i / d->block) * d->block_bytes, part, here);
        fwrite(part, sizeof *part, (size_t)here, out.stream); /* a short write shows at commit */
    }
    progress_close(&progress);
    if (status) {
        output_abandon(&out);
        return status;
    }
    status = output_commit(&out, e);
    if (!status) note("wrote %s: %" PRId64 " values, %" PRId64 " bytes", path, n, n * (int64_t)sizeof *part);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    bool json = false;
    const char *tensor = NULL, *dump = NULL;
    const struct option options[] = {{"--json", OPTION_FLAG, NULL, "everything as JSON", .flag = &json},
                                     {"--tensor", OPTION_TEXT, "NAME", "with --dump: the tensor", .text = &tensor},
                                     {"--dump", OPTION_TEXT, "FILE",
                                      "with --tensor: write it dequantized, as raw little-endian float32",
                                      .text = &dump},
                                     {0}};
    if (help) return options_print(options), 0;
    char **operands, *path = NULL;
    size_t n;
    struct checkpoint *c = NULL;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n != 1) status = error_set(e, ERROR_USAGE, "inspect takes one MODEL, not %zu", n);
    if (!status && !tensor != !dump) status = error_set(e, ERROR_USAGE, "--tensor and --dump go together");
    if (!status) status = model_path(operands[0], &path, e);
    if (!status) status = checkpoint_open(&c, path, e);
    if (!status && tensor)
        status = dump_tensor(c, tensor, dump, e);
    else if (!status && json)
        status = print_json(c, e);
    else if (!status)
        print_all(c);
    checkpoint_close(c);
    free(path);
    return status;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "metadata, tensors, types and sizes of a model file",
    .usage = "MODEL [options]",
    .examples = "  kerf inspect model.gguf\n"
                "  kerf inspect millbrook-llama --json\n"
                "  kerf inspect model.gguf --tensor blk.0.attn_q.weight --dump q.f32\n",
    .run = run,
};
