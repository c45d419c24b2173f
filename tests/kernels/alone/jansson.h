/* What testing.h names of jansson, which the kernels' checks do not use: see cmocka.h here. */
#ifndef KERF_TESTS_KERNELS_ALONE_JANSSON_H
#define KERF_TESTS_KERNELS_ALONE_JANSSON_H

#include <stddef.h>

typedef struct json json_t;
typedef struct {
    int line;
    char text[160];
} json_error_t;

json_t *json_load_file(const char *path, size_t flags, json_error_t *error);

#endif
