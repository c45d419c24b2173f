#include "metrics/metric.h"

#include <string.h>

extern const struct metric metric_acc, metric_acc_greedy, metric_acc_norm, metric_acc_bytes, metric_acc_tokens;
extern const struct metric metric_f1, metric_macro_f1, metric_mcc, metric_precision, metric_recall;
extern const struct metric metric_brier_score, metric_ece;
extern const struct metric metric_perplexity, metric_perplexity_likelihood, metric_word_perplexity;
extern const struct metric metric_byte_perplexity, metric_bits_per_byte;
extern const struct metric metric_exact_match, metric_squad_f1;
extern const struct metric metric_entity_precision, metric_entity_recall, metric_entity_f1;
extern const struct metric metric_pearson, metric_spearman;
extern const struct metric metric_bleu, metric_sentence_bleu, metric_chrf, metric_chrf_words, metric_ter;
extern const struct metric metric_rouge1, metric_rouge2, metric_rouge_l, metric_rouge_lsum;

static const struct metric *const registry[] = {
    &metric_acc,
    &metric_acc_norm,
    &metric_acc_bytes,
    &metric_acc_tokens,
    &metric_f1,
    &metric_macro_f1,
    &metric_mcc,
    &metric_precision,
    &metric_recall,
    &metric_brier_score,
    &metric_ece,
    &metric_acc_greedy,
    &metric_perplexity_likelihood,
    &metric_perplexity,
    &metric_word_perplexity,
    &metric_byte_perplexity,
    &metric_bits_per_byte,
    &metric_exact_match,
    &metric_squad_f1,
    &metric_entity_precision,
    &metric_entity_recall,
    &metric_entity_f1,
    &metric_pearson,
    &metric_spearman,
    &metric_bleu,
    &metric_sentence_bleu,
    &metric_chrf,
    &metric_chrf_words,
    &metric_ter,
    &metric_rouge1,
    &metric_rouge2,
    &metric_rouge_l,
    &metric_rouge_lsum,
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
