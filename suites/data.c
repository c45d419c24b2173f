#include "suites/data.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "version.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PREFIX/share/kerf for a program PREFIX/bin/kerf; "" where the system does not say. */
static void beside_program(char path[static PATH_MAX + 16])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    path[n > 0 ? n : 0] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        if (slash) *slash = 0;
    }
    if (*path || n > 0) strcat(path, "/share/kerf");
}

char *data_folder(int i, struct error *e)
{
    if (e) e->code = ERROR_NONE;
    char program[PATH_MAX + 16];
    beside_program(program);
    const char *const folders[] = {getenv("KERF_DATA"), program, KERF_SOURCE_DATA, KERF_INSTALLED_DATA};
    for (size_t k = 0; k < sizeof folders / sizeof *folders; k++)
        if (folders[k] && *folders[k] && i-- == 0) return memory_string(folders[k], e);
    return NULL;
}

char *data_find(const char *relative, struct error *e)
{
    for (int i = 0;; i++) {
        char *folder = data_folder(i, e);
        if (!folder) return NULL;
        char *path = path_join(folder, relative, e);
        free(folder);
        if (!path || path_exists(path)) return path;
        free(path);
    }
}
