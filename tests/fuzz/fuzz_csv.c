#include "suites/reader.h"
#include "tests/fuzz/targets.h"

#include <stdlib.h>
#include <string.h>

static int keep(void *user, json_t *doc, struct error *e)
{
    (void)e;
    fuzz_demand(json_is_object(doc), "a document is an object");
    ++*(size_t *)user;
    return 0;
}

void fuzz_csv(const uint8_t *data, size_t size)
{
    /* the corpus has the places of these as its first bytes: new ones go to the end */
    static const struct {
        const char *reader, *options;
    } ways[] = {{"csv", "{\"header\": true}"},
                {"csv", "{\"columns\": [\"a\", \"b\"]}"},
                {"tsv", "{\"header\": true}"},
                {"mmlu", NULL},
                {"cola", NULL},
                {"arc", NULL},
                {"boolq", NULL},
                {"conll", NULL},
                {"gsm8k", NULL},
                {"hellaswag", NULL},
                {"hellaswag_text", NULL},
                {"json", "{\"field\": \"data\"}"},
                {"jsonl", NULL},
                {"lambada", NULL},
                {"mrpc", NULL},
                {"paragraphs", NULL},
                {"piqa", NULL},
                {"squad", NULL},
                {"sst2", NULL},
                {"text", NULL},
                {"wikitext", NULL},
                {"winogrande", NULL}};
    if (!size) return;
    const size_t way = data[0] % (sizeof ways / sizeof *ways);
    size_t count = 0;
    struct error e = {0};
    json_t *options = ways[way].options ? json_loads(ways[way].options, 0, NULL) : NULL;
    char *exact = malloc(size); /* a copy, so that the address sanitizer sees a read past the end */
    fuzz_demand(exact != NULL, "memory");
    memcpy(exact, data + 1, size - 1);
    exact = realloc(exact, size > 1 ? size - 1 : 1);
    const struct reader_source source = {"F", exact, size - 1, options};
    fuzz_check(reader_find(ways[way].reader)->read(&source, keep, &count, &e), &e, "F: ");
    free(exact);
    json_decref(options);
}
