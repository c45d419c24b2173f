/* Command lines: options by table, operands left over, help made from the same table.
 *
 *     int64_t limit = 0;
 *     struct option options[] = {{"--limit", OPTION_NUMBER, "N", "items of each suite", .number = &limit}, {0}};
 *     char **operands; size_t n;
 *     if (options_parse(options, argc, argv, &operands, &n, e)) return e->code;
 *
 * Options may stand anywhere; "--" ends them; --name=value and --name value are the same. --help and -h, where no
 * option takes them for its value, end the parsing with OPTIONS_HELP, which commands pass on. */
#ifndef KERF_CLI_OPTIONS_H
#define KERF_CLI_OPTIONS_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_SIZE, OPTION_LIST };

enum { OPTION_LIST_MOST = 64, OPTIONS_HELP = -1 };

struct option {
    const char *name; /* "--limit", or "-o"; NULL ends a table */
    enum option_kind kind;
    const char *argument; /* what help calls the value; NULL for a flag */
    const char *help;
    bool *flag;
    const char **text;
    const char *otherwise; /* MAY, of a text: its value where only the name is given; any other follows a "=" */
    int64_t *number;       /* a whole number from `least` on; a size in bytes may end in K, M or G */
    int64_t least;
    const char **list; /* [OPTION_LIST_MOST], NULL-terminated by being zeroed: every use adds one */
};

/* operands points into argv, whose order changes. */
int options_parse(const struct option *options, int argc, char **argv, char ***operands, size_t *n, struct error *e);
/* One line an option, indented. */
void options_print(const struct option *options);

#endif
