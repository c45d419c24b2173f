/* kerf tokenize: texts as token ids. */
#include "cli/command.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer.h"

#include <stdlib.h>
#include <string.h>

struct tokenizing {
    const struct tokenizer *t;
    bool no_bos, pieces, whole;
    struct ids ids; /* reused */
};

static void print_piece(const struct tokenizing *k, int32_t id, struct text *line)
{
    struct gguf_string p = tokenizer_piece(k->t, id);
    text_terminal(line, p.bytes, p.length);
}

static int print_line(struct tokenizing *k, const char *text, size_t n, struct error *e)
{
    k->ids.count = 0;
    int status = tokenizer_adds_bos(k->t) && !k->no_bos ? ids_add(&k->ids, tokenizer_bos(k->t), e) : 0;
    if (!status) status = tokenizer_encode(k->t, text, n, 0, &k->ids, e);
    if (status) return status;
    struct text line = {0};
    for (size_t i = 0; i < k->ids.count; i++) {
        if (i) text_char(&line, ' ');
        text_printf(&line, "%d", k->ids.at[i]);
        if (k->pieces) {
            text_char(&line, ':');
            print_piece(k, k->ids.at[i], &line);
        }
    }
    text_char(&line, '\n');
    if (line.failed)
        status = error_set(e, ERROR_IO, "out of memory for a line");
    else
        fwrite(line.bytes, 1, line.length, stdout);
    text_free(&line);
    return status;
}

static int print_text(struct tokenizing *k, const char *text, size_t n, struct error *e)
{
    if (k->whole) return print_line(k, text, n, e);
    int status = 0;
    for (size_t at = 0; at < n && !status;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t length = end ? (size_t)(end - text) - at : n - at;
        status = print_line(k, text + at, length, e);
        at += length + 1;
    }
    return status;
}

static int print_stream(struct tokenizing *k, struct error *e)
{
    struct text all = {0};
    char part[65536];
    for (size_t n; (n = fread(part, 1, sizeof part, stdin)) > 0;) text_bytes(&all, part, n);
    int status = ferror(stdin) ? error_errno(e, "standard input", "read")
                 : all.failed  ? error_set(e, ERROR_IO, "out of memory for standard input")
                               : print_text(k, text_c(&all), all.length, e);
    text_free(&all);
    return status;
}

static int print_file(struct tokenizing *k, const char *path, struct error *e)
{
    if (strcmp(path, "-") == 0) return print_stream(k, e);
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    status = print_text(k, (const char *)f.data, f.size, e);
    file_unmap(&f);
    return status;
}

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct tokenizing k = {0};
    const char *file = NULL;
    const struct option options[] = {
        {"--file", OPTION_TEXT, "FILE", "the text, one a line; - is standard input", .text = &file},
        {"--whole", OPTION_FLAG, NULL, "the file is one text, byte for byte, not one a line", .flag = &k.whole},
        {"--no-bos", OPTION_FLAG, NULL, "without the BOS that the tokenizer puts before a prompt", .flag = &k.no_bos},
        {"--pieces", OPTION_FLAG, NULL, "ID:PIECE, the piece as the vocabulary spells it", .flag = &k.pieces},
        {0}};
    if (help) return options_print(options), 0;
    char **operands, *path = NULL;
    size_t n;
    struct tokenizer *t = NULL;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && (n < 1 || n > 2 || (n == 2) == (file != NULL)))
        status = error_set(e, ERROR_USAGE, "tokenize takes a MODEL and either a TEXT or --file FILE");
    if (!status) status = model_path(operands[0], &path, e);
    if (!status) status = tokenizer_open(&t, path, e);
    k.t = t;
    if (!status && *tokenizer_warning(t)) note("warning: %s: %s", path, tokenizer_warning(t));
    if (!status && file)
        status = print_file(&k, file, e);
    else if (!status && !*operands[1])
        status = print_line(&k, "", 0, e);
    else if (!status)
        status = print_text(&k, operands[1], strlen(operands[1]), e);
    ids_free(&k.ids);
    tokenizer_close(t);
    free(path);
    return status;
}

const struct command command_tokenize = {
    .name = "tokenize",
    .summary = "texts as token ids, one line for each line",
    .usage = "MODEL [options] TEXT | --file FILE\n\n"
             "MODEL may be a GGUF that holds only a vocabulary, a tokenizer.json, or a tokenizer.model.",
    .examples = "  kerf tokenize millbrook-llama \"The sun was shining.\"\n"
                "  kerf tokenize model.gguf --no-bos --file text.txt\n"
                "  kerf tokenize tokenizer.json --pieces --whole --file -\n",
    .run = run,
};
