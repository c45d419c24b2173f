#include "cli/options.h"
#include "engine/base/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown(const struct option *options, const char *arg, struct error *e)
{
    const char *names[64];
    size_t n = 0;
    for (const struct option *o = options; o->name && n < 64; o++) names[n++] = o->name;
    struct suggestion guess = suggest(arg, names, n);
    return error_set(e, ERROR_USAGE, "%s: unknown option%s", arg,
                     guess.words[0] ? guess.words : " (--help lists them)");
}

static int store(const struct option *o, const char *value, struct error *e)
{
    static const char units[] = "KMG";
    if (o->kind == OPTION_TEXT) {
        *o->text = value;
    } else if (o->kind == OPTION_LIST) {
        size_t n = 0;
        while (o->list[n]) n++;
        if (n + 1 >= OPTION_LIST_MOST) return error_set(e, ERROR_USAGE, "%s: given more than %zu times", o->name, n);
        o->list[n] = value;
    } else {
        char *end;
        errno = 0;
        long long v = strtoll(value, &end, 10);
        const bool size = o->kind == OPTION_SIZE;
        const char *unit = size && end != value && *end ? strchr(units, *end) : NULL;
        int64_t factor = unit ? INT64_C(1024) << 10 * (unit - units) : 1;
        if (unit) end++;
        if (end == value || *end || (!errno && v < o->least))
            return error_set(e, ERROR_USAGE, "%s: \"%s\" must be a whole number of at least %lld%s", o->name, value,
                             (long long)o->least, size ? ", K, M or G behind it if need be" : "");
        if (errno || v > INT64_MAX / factor)
            return error_set(e, ERROR_USAGE, "%s: \"%s\" is too large", o->name, value);
        *o->number = v * factor;
    }
    return 0;
}

static const struct option *find(const struct option *options, const char *name, size_t length)
{
    for (const struct option *o = options; o->name; o++)
        if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) return o;
    return NULL;
}

int options_parse(const struct option *options, int argc, char **argv, char ***operands, size_t *n, struct error *e)
{
    *operands = argv;
    *n = 0;
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        char *arg = argv[i];
        if (ended || arg[0] != '-' || !arg[1]) {
            argv[(*n)++] = arg;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            ended = true;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) return OPTIONS_HELP;
        size_t length = strcspn(arg, "=");
        const struct option *o = find(options, arg, length);
        if (!o) return unknown(options, arg, e);
        const char *value = arg[length] ? arg + length + 1 : NULL;
        if (o->kind == OPTION_FLAG) {
            if (value) return error_set(e, ERROR_USAGE, "%s: takes no value", o->name);
            *o->flag = true;
            continue;
        }
        if (!value) value = o->otherwise;
        if (!value && i + 1 < argc) value = argv[++i];
        if (!value) return error_set(e, ERROR_USAGE, "%s: a value must follow (%s)", o->name, o->argument);
        int status = store(o, value, e);
        if (status) return status;
    }
    return 0;
}

void options_print(const struct option *options)
{
    for (const struct option *o = options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->argument && !o->otherwise ? " " : "",
                 o->argument ? o->argument : "");
        printf("  %-22s %s\n", left, o->help);
    }
}
