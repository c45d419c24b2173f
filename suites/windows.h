/* How a document that is scored whole becomes windows, since no model sees more than its context at once. A stream is
 * the opening token (BOS, else EOS) and the document's tokens, if nothing else is said.
 *
 *     const struct windowing how = {.protocol = PROTOCOL_STRIDED, .context = 512, .stride = 256, .tokens = n};
 *     struct window w;
 *     for (int64_t i = 0; window_at(&how, i, &w); i++)
 *         ... the model is given stream[w.first .. + w.given) and scored on the w.scored tokens behind them ...
 *
 * - rolling, as lm-evaluation-harness has it: disjoint windows behind one token of context; the last window reaches back
 *   to full length for more context. Every token but the opening one is scored once, and a document is an outcome.
 *
 * - chunked, as llama.cpp's perplexity tool has it: windows of `context` tokens, of which those at positions
 *   context/2 + 1 .. context - 1 are scored; a shorter last window is dropped. Where the tokenizer adds a BOS to prompts,
 *   the stream begins with one, and each window's first token gives way to one; where it does not, the stream is the
 *   text's tokens and nothing else. Control tokens that the text spells out are text. A window is an outcome.
 *
 * - strided, as the guide "Perplexity of fixed-length models" of Hugging Face's Transformers has it: a window of `context`
 *   tokens begins every `stride` tokens and scores what no window before it has scored; the last one ends where the
 *   stream ends. The first token of all is context alone: that is BOS where the tokenizer adds one to a prompt, and the
 *   text's own first token where it does not, as in the guide (so is the first of every window where the stride is
 *   `context`). Every other token is scored once. A window is an outcome. The guide's script counts one token less
 *   in every window after the first than it scores; here each counts once.
 *
 * Words and bytes of an outcome of `rolling` are its document's. Of a window they are those of the scored tokens' text as
 * the tokenizer decodes it: a word counts where its first byte is scored, so that a window that cuts a word at its
 * beginning leaves it to the window before, and one that cuts a word at its end counts it. */
#ifndef KERF_SUITES_WINDOWS_H
#define KERF_SUITES_WINDOWS_H

#include "engine/base/error.h"
#include "engine/tokenizers/tokenizer.h"

enum protocol { PROTOCOL_ROLLING, PROTOCOL_CHUNKED, PROTOCOL_STRIDED, PROTOCOLS };

const char *protocol_name(enum protocol p); /* "rolling", "chunked", "strided" */
/* False where `name` is none of them; "rolling, chunked or strided" is protocol_names(). */
bool protocol_find(const char *name, enum protocol *out);
const char *protocol_names(void);

struct windowing {
    enum protocol protocol;
    int64_t context; /* tokens of a window */
    int64_t stride;  /* of strided: 1 to context */
    int64_t tokens;  /* of the stream */
    bool reopens;    /* of chunked: the tokenizer adds a BOS to prompts */
};

struct window {
    int64_t first;         /* its place in the stream */
    int64_t given, scored; /* tokens, at least 1 of each */
    bool reopened;         /* the first gives way to the opening token */
};

/* Window i, from 0; false past the last. */
bool window_at(const struct windowing *how, int64_t i, struct window *w);
/* The shortest context of which a token is scored. */
int windowing_least(enum protocol protocol);
/* ERROR_INPUT, in words that follow a file's name, where no window can be like that. */
int windowing_check(const struct windowing *how, struct error *e);

/* Appends the stream of a document. ERROR_INPUT, in words that
 * follow the model's name, where the protocol needs one and the tokenizer has none. */
int stream_encode(const struct tokenizer *t, enum protocol protocol, const char *text, struct ids *out,
                  struct error *e);

struct extent {
    int64_t words, bytes;
};

/* Of the scored tokens ids[given .. n). */
int extent_of(const struct tokenizer *t, const int32_t *ids, int64_t given, int64_t n, struct extent *out,
              struct error *e);
/* Runs of non-white space that begin at or behind `from`. */
int64_t words_from(const char *s, size_t n, size_t from);

#endif
