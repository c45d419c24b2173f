#include "metrics/metric.h"

#include <math.h>
#include <string.h>

extern const struct metric metric_acc, metric_acc_greedy, metric_acc_norm, metric_acc_bytes, metric_acc_tokens;
extern const struct metric metric_f1, metric_macro_f1, metric_mcc;
extern const struct metric metric_perplexity, metric_perplexity_likelihood, metric_word_perplexity;
extern const struct metric metric_byte_perplexity, metric_bits_per_byte;
extern const struct metric metric_squad_exact_match, metric_squad_f1;
extern const struct metric metric_bleu, metric_chrf, metric_chrf_words;

static const struct metric *const registry[] = {
    &metric_acc,
    &metric_acc_norm,
    &metric_acc_bytes,
    &metric_acc_tokens,
    &metric_f1,
    &metric_macro_f1,
    &metric_mcc,
    &metric_acc_greedy,
    &metric_perplexity_likelihood,
    &metric_perplexity,
    &metric_word_perplexity,
    &metric_byte_perplexity,
    &metric_bits_per_byte,
    &metric_squad_exact_match,
    &metric_squad_f1,
    &metric_bleu,
    &metric_chrf,
    &metric_chrf_words,
};

const struct metric *metric_at(size_t i) { return i < sizeof registry / sizeof *registry ? registry[i] : NULL; }

const struct metric *metric_find(const char *name, enum outcome_kind kind)
{
    const struct metric *m;
    for (size_t i = 0; (m = metric_at(i)); i++)
        if (m->kind == kind && strcmp(m->name, name) == 0) return m;
    return NULL;
}

const char *outcome_kind_name(enum outcome_kind kind)
{
    switch (kind) {
    case OUTCOME_CHOICE:
        return "multiple_choice";
    case OUTCOME_LIKELIHOOD:
        return "loglikelihood";
    case OUTCOME_ROLLING:
        return "loglikelihood_rolling";
    case OUTCOME_GENERATION:
        return "generate_until";
    }
    return "unknown";
}

double metric_value(const struct metric *m, const double *stats, size_t n)
{
    if (n == 0) return NAN;
    double sums[METRIC_WIDTH] = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < m->width; c++) sums[c] += stats[i * m->width + c];
    return m->finish(sums);
}

void metric_signature(const struct metric *m, size_t n_references, struct text *out)
{
    if (!m->signature) return;
    static const char one[] = "nrefs:1|";
    const bool counted = strncmp(m->signature, one, sizeof one - 1) == 0;
    if (counted && n_references) text_printf(out, "nrefs:%zu|", n_references);
    if (counted && !n_references) text_add(out, "nrefs:var|");
    text_add(out, m->signature + (counted ? sizeof one - 1 : 0));
}
