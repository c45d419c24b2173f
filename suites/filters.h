/* Filters: what is done to the answers of an item before they are scored, in the words of lm-evaluation-harness.
 *
 *     struct pipeline p;
 *     if (pipeline_open(&p, entry, &place, e)) ...   { name: strict-match, filter: [{ function: regex, ... }] }
 *     struct answers a = {0};
 *     answers_add(&a, "The answer is 7.", e);
 *     if (pipeline_apply(&p, doc, &a, e)) ...        a.at[0] is "7"
 *     answers_free(&a);
 *     pipeline_close(&p);
 *
 * An item's answers (as many as the suite's `repeats`) go through the steps in order:
 *     regex              what regex_pattern finds, like Python's re.findall(): match number group_select (-1: the last),
 *                        of several groups in it the first that is not empty, stripped; fallback where there is none
 *     multi_choice_regex the same for letters "(A)": then the text of a choice of the document's `choices` in the
 *                        answer, then a letter after a colon
 *     take_first, take_first_k (k), majority_vote (of equals the first)
 *     remove_whitespace  at the beginning, as str.lstrip()
 *     lowercase, uppercase
 *     map                mapping_dict, default_value
 * Patterns are PCRE2's, in UTF-8 mode. A pattern that runs away on an answer is an error, not a hang. */
#ifndef KERF_SUITES_FILTERS_H
#define KERF_SUITES_FILTERS_H

#include "engine/base/error.h"
#include <jansson.h>
#include <stddef.h>

struct answers {
    char **at; /* [n], each owned */
    size_t n, capacity;
};

int answers_add(struct answers *a, const char *s, struct error *e);
void answers_free(struct answers *a);

struct step;

struct pipeline {
    char *name;
    struct step *steps;
    size_t n_steps;
};

enum { FILTER_PLACE = 64 };

/* `place` gets where an error belongs: "filter[0].regex_pattern", "" for the entry itself. */
int pipeline_open(struct pipeline *p, const json_t *entry, char place[FILTER_PLACE], struct error *e);
void pipeline_close(struct pipeline *p); /* also a zeroed one, and after pipeline_open() failed */
/* May leave more than one answer, never none. */
int pipeline_apply(const struct pipeline *p, const json_t *doc, struct answers *a, struct error *e);

#endif
