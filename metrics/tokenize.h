/* The words of a text, as sacreBLEU 2.6.0 cuts them for BLEU and TER.
 *
 *     struct sequence s = {0};
 *     if (tokenize(&s, "It's 3.5%.", TOKENIZE_13A, false, e)) ...       It's 3.5 % .
 *     sequence_free(&s);
 *
 * The words point into s->text. White space at the text's end does not count. A byte that is not UTF-8 is a character
 * without properties. */
#ifndef KERF_METRICS_TOKENIZE_H
#define KERF_METRICS_TOKENIZE_H

#include "metrics/ngrams.h"

enum tokenization {
    TOKENIZE_13A,  /* mteval-v13a: ASCII's punctuation apart, but for ' and for - , . beside digits */
    TOKENIZE_INTL, /* mteval-v14 --international-tokenization: Unicode's punctuation, but beside numbers, and symbols */
    TOKENIZE_ZH,   /* every Chinese character apart, the rest as in 13a */
    TOKENIZE_CHAR, /* every character */
    TOKENIZE_NONE  /* split at white space */
};

extern const char *const tokenization_names[]; /* sacreBLEU's, by the enum; NULL-terminated */

int tokenize(struct sequence *s, const char *text, enum tokenization how, bool lowercase, struct error *e);

/* Tercom's normalizer with the options of sacreBLEU's TER; all false: lower case, split at white space. */
struct tercom {
    bool normalized;    /* XML's entities, and words cut nearly as in 13a */
    bool no_punct;      /* . , ? : ; ! " ( ) removed */
    bool asian_support; /* with normalized: Chinese characters apart; with no_punct: their punctuation removed too */
    bool case_sensitive;
};

int tokenize_tercom(struct sequence *s, const char *text, const struct tercom *how, struct error *e);

#endif
