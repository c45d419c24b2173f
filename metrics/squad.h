/* Answers as SQuAD scores them (Rajpurkar, Zhang, Lopyrev and Liang 2016; Rajpurkar, Jia and Liang 2018). */
#ifndef KERF_METRICS_SQUAD_H
#define KERF_METRICS_SQUAD_H

#include "engine/base/text.h"

/* Appends what of an answer is compared: lower case, ASCII punctuation removed, the words a, an and the replaced by a
 * space, runs of white space one space, none at the ends. Letters, digits and case are Unicode's, as Python's
 * str.lower() and \b have them. */
int squad_normalize(struct text *out, const char *s, struct error *e);

#endif
