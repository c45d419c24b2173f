#include "tests/testing.h"
#include "engine/base/file.h"
#include "engine/base/random.h"
#include "engine/models/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void assert_ok(int status, const struct error *e)
{
    if (status) fail_msg("unexpected error %d: %s", status, e->text);
}

void assert_error(int status, const struct error *e, enum error_code code, const char *part)
{
    if (status != (int)code) fail_msg("status %d instead of %d: %s", status, (int)code, status ? e->text : "success");
    if (!strstr(e->text, part)) fail_msg("the error does not say \"%s\": %s", part, e->text);
    if (strchr(e->text, '\n')) fail_msg("the error has more than one line: %s", e->text);
}

const char *shared_path(const char *name)
{
    static char path[4096];
    const char *root = getenv("KERF_SHARED");
    snprintf(path, sizeof path, "%s/%s", root ? root : "../shared", name);
    if (!path_exists(path)) {
        print_message("skipped: no public data at %s\n", path);
        skip();
    }
    return path;
}

json_t *golden(const char *path)
{
    json_error_t je;
    json_t *v = json_load_file(path, 0, &je);
    if (!v) fail_msg("%s: line %d: %s", path, je.line, je.text);
    return v;
}

char *folder_temporary(void)
{
    char *path = strdup("/tmp/kerf-test-XXXXXX");
    if (!path || !mkdtemp(path)) fail_msg("no temporary folder");
    return path;
}

void folder_remove(char *folder)
{
    char command[4200];
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    if (system(command)) print_message("could not remove %s\n", folder);
    free(folder);
}

char *file_put(const char *folder, const char *name, const void *data, size_t n)
{
    struct error e;
    char *path = path_join(folder, name, &e);
    if (!path) fail_msg("%s", e.text);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f)) fail_msg("cannot write %s", path);
    return path;
}

void assert_near(double got, double wanted, double tolerance, const char *what)
{
    if (!(fabs(got - wanted) <= tolerance))
        fail_msg("%s: %.17g instead of %.17g (+- %g)", what, got, wanted, tolerance);
}

size_t test_items(size_t wanted)
{
    const char *most = getenv("KERF_TEST_ITEMS");
    size_t n = most ? strtoul(most, NULL, 10) : 0;
    return n && n < wanted ? n : wanted;
}

void fill_random(float *x, size_t n, float scale, uint64_t seed)
{
    struct random r = {seed};
    for (size_t i = 0; i < n; i++) x[i] = scale * (float)(2 * random_unit(&r) - 1);
}

struct model *model_shipped(const char *name, const char *spec)
{
    struct error e;
    struct model *m;
    struct backend_options how;
    char path[64], backend[BACKEND_SPEC];
    const char *plus = spec ? strstr(spec, "+fast") : NULL;
    snprintf(path, sizeof path, "datasets/millbrook/%s", name);
    snprintf(backend, sizeof backend, "%.*s", plus ? (int)(plus - spec) : BACKEND_SPEC - 1, spec ? spec : "");
    assert_ok(blas_open(&e), &e);
    if (*backend) assert_ok(backend_parse(&how, backend, &e), &e);
    struct model_options options = {.how = *backend ? &how : NULL,
                                    .math = plus ? MATH_FAST : MATH_EXACT,
                                    .calibration = "datasets/millbrook/calibration.txt"};
    assert_ok(model_open(&m, path, &options, &e), &e);
    return m;
}
