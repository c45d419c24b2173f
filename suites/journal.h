/* The journal of a suite under way: a line for each finished request, so that a run that was killed goes on.
 *
 *     struct journal *j;
 *     if (journal_open(&j, "kerf-out", "endings", parts, false, e)) return e->code;
 *     journal_resume(j, &requests, vocab);               marks what is there as done
 *     if (journal_group(j, i, &requests.groups[i], e)) ...
 *     if (journal_close(j, e)) ...
 *
 * FOLDER/journal/SUITE-KEY.jsonl, KEY being the first 16 digits of the SHA-256 of `parts`, everything that the results
 * depend on: results under another key are in another file. JSON lines, each of which ends with ,"check":"..."}, the
 * first 16 digits of the SHA-256 of the whole key and of the line without that:
 *
 *     {"journal":{parts}}
 *     {"group":12,"loglikelihood":[-3.5,-7.25],"greedy":[true,false]}
 *     {"generation":12,"text":"Nora","ids":[1,2],"ended":"stop","log_probability":-1.5,"fed":2}
 *     {"floor":{"windows":4,"tokens":900,"kl":0.0,"largest":0.0,"same_top":1.0}}
 *     {"window":12,"positions":[[-3.5,262,0.25,-3.75,262,0.125,0.5,0.25,-0.25,true], ...]}
 *
 * The last two are those of a walk (suites/walk.h), which has a file of its own: at each token the log-likelihood, the
 * most likely token and its probability of every subject, and of a candidate the divergence (struct divergence) behind.
 *
 * Numbers have 17 digits, which give the same double again; a text that is not UTF-8 is "text_hex". A line that is torn
 * or changed, of another key or version, or there twice counts for nothing: what it stood for is done again. */
#ifndef KERF_SUITES_JOURNAL_H
#define KERF_SUITES_JOURNAL_H

#include "suites/requests.h"
#include "suites/walk.h"

#include <jansson.h>

struct journal;
/* Makes the folder and the file; `fresh` forgets what the file holds. ERROR_IO in words that say what to do. */
int journal_open(struct journal **out, const char *folder, const char *suite, const json_t *parts, bool fresh,
                 struct error *e);
/* Gives requests the results that the file has for them. ERROR_IO where memory runs out or the file cannot be read. */
int journal_resume(struct journal *j, struct requests *q, int64_t vocab, struct error *e);
/* The same for a walk; walk_past_free() also after failure. */
int journal_walk(struct journal *j, const struct requests *q, size_t n_subjects, int64_t vocab, struct walk_past *out,
                 struct error *e);
/* Appends a line: it outlives the process, and the machine where it is older than a second. After ERROR_IO (a full
 * disk) what was written before is whole. */
int journal_group(struct journal *j, size_t index, const struct group *g, struct error *e);
int journal_generation(struct journal *j, size_t index, const struct generation *g, struct error *e);
int journal_floor(struct journal *j, const struct noise_floor *f, struct error *e);
int journal_window(struct journal *j, size_t index, const struct position *positions /* [tokens, n_subjects] */,
                   int64_t tokens, size_t n_subjects, struct error *e);
int journal_close(struct journal *j, struct error *e); /* NULL is fine */

/* Keeps other processes that ask out of a folder until this one ends, and removes the temporary files of a run that was
 * killed in it; ERROR_IO that says who is in it. */
int journal_lock(const char *folder, struct error *e);

#endif
