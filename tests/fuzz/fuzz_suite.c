#include "suites/suite.h"
#include "tests/fuzz/targets.h"

void fuzz_suite(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    struct error e = {0};
    struct suite *s;
    char **names;
    int file = fuzz_open(data, size, path);
    int status = suite_load_without_data(&s, path, &e);
    fuzz_check(status, &e, path);
    suite_free(s);
    status = suite_expand(path, &names, &e);
    fuzz_check(status, &e, path);
    if (!status) names_free(names);
    fuzz_close(file);
}
