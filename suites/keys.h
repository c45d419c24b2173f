/* Inside the loading of a suite: what takes the values of its keys. Each takes the key's name and value, which is never
 * NULL, and fills the suite. */
#ifndef KERF_SUITES_KEYS_H
#define KERF_SUITES_KEYS_H

#include "suites/suite.h"
#include "suites/yaml.h"

struct loading {
    struct suite *s;
    struct yaml y;
    bool without_data; /* a data file may be absent */
    struct error *e;
};

typedef int (*take_key)(struct loading *l, const char *place, const json_t *v);

/* keys_data.c */
int take_task(struct loading *l, const char *place, const json_t *v);
int take_about(struct loading *l, const char *place, const json_t *v);
int take_output_type(struct loading *l, const char *place, const json_t *v);
int take_format(struct loading *l, const char *place, const json_t *v);
int take_kwargs(struct loading *l, const char *place, const json_t *v);
int take_path(struct loading *l, const char *place, const json_t *v);
/* The options of the reader, given or not. */
int check_kwargs(struct loading *l);

/* keys_prompt.c */
int take_description(struct loading *l, const char *place, const json_t *v);
int take_text(struct loading *l, const char *place, const json_t *v);
int take_target(struct loading *l, const char *place, const json_t *v);
int take_counted(struct loading *l, const char *place, const json_t *v);
int take_choices(struct loading *l, const char *place, const json_t *v);
int take_delimiter(struct loading *l, const char *place, const json_t *v);
int take_fewshot_count(struct loading *l, const char *place, const json_t *v);
int take_fewshot_delimiter(struct loading *l, const char *place, const json_t *v);
int take_fewshot_config(struct loading *l, const char *place, const json_t *v);

/* keys_answers.c */
int take_generation(struct loading *l, const char *place, const json_t *v);
int take_decode(struct loading *l, const char *place, const json_t *v);
int take_repeats(struct loading *l, const char *place, const json_t *v);
int take_filters(struct loading *l, const char *place, const json_t *v);
int take_protocol(struct loading *l, const char *place, const json_t *v);
int take_context(struct loading *l, const char *place, const json_t *v);
int take_stride(struct loading *l, const char *place, const json_t *v);

/* keys_metrics.c */
int take_metrics(struct loading *l, const char *place, const json_t *v);

/* Shared by them. */
int take_string(struct loading *l, const char *place, const json_t *v, char **out); /* the old one is freed */
int take_template(struct loading *l, const char *place, const json_t *v, struct template *t);
int take_integer(struct loading *l, const char *place, const json_t *v, int64_t least, int64_t most, int64_t *out);
/* Every key of an object must be one of `names`. */
int check_keys(struct loading *l, const char *place, const json_t *object, const char *const *names, size_t n);
/* Where the data file of this name is, to be freed; NULL with an error at `place`, or with 0 where data may be absent. */
int find_data(struct loading *l, const char *place, const char *name, char **out);
/* The text of a setting, of which *other, to be freed, may be the memory. NULL with an error. */
const char *setting_value(const json_t *v, char **other, struct error *e);
/* What is wrong with a setting, at a place that names its key, which x does, too. */
int setting_error(struct loading *l, const char *place, const char *key, struct error *x);

#endif
