#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t nothing[1];

int file_map(struct file *f, const char *path, struct error *e)
{
    *f = (struct file){.data = nothing};
    /* O_NONBLOCK, so that a FIFO without a writer is refused below and does not hang here */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return error_errno(e, path, "open");
    struct stat st;
    int status = 0;
    if (fstat(fd, &st)) {
        status = error_errno(e, path, "stat");
    } else if (!S_ISREG(st.st_mode)) {
        status = error_set(e, ERROR_INPUT, "%s: is %s, not a regular file", path,
                           S_ISDIR(st.st_mode) ? "a folder" : "a device, pipe or socket");
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            status = error_errno(e, path, "map");
        } else {
            f->data = p;
            f->size = (size_t)st.st_size;
        }
    }
    close(fd);
    if (!status && !(f->path = memory_string(path, e))) status = ERROR_IO;
    if (status) file_unmap(f);
    return status;
}

int file_check_pointer(const struct file *f, struct error *e)
{
    static const char begin[] = "version https://git-lfs.github.com/spec/";
    if (f->size < sizeof begin - 1 || memcmp(f->data, begin, sizeof begin - 1) != 0) return 0;
    return error_set(e, ERROR_INPUT, "%s: is a pointer of Git LFS, not the file: git lfs pull fetches it", f->path);
}

void file_unmap(struct file *f)
{
    if (f->size) munmap((void *)(uintptr_t)f->data, f->size);
    free(f->path);
    *f = (struct file){.data = nothing};
}

void file_forget(const void *data, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)data;
    uintptr_t begin = (at + page - 1) / page * page, end = (at + n) / page * page;
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED); /* what it cannot do is only not saved */
}

/* A device or a pipe is written to as it is: a rename would put a file in its place. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* The file that is replaced in the end: what a link points to, not the link. */
static char *output_target(const char *path, struct error *e)
{
    char *real = realpath(path, NULL);
    return real ? real : memory_string(path, e);
}

int output_open(struct output *o, const char *path, struct error *e)
{
    *o = (struct output){0};
    if (!*path) return error_set(e, ERROR_IO, "an empty name is no file");
    if (path_is_folder(path)) return error_set(e, ERROR_IO, "%s: is a folder: give a file name", path);
    *o = (struct output){.path = output_target(path, e)};
    size_t n = o->path ? strlen(o->path) + 16 : 0;
    o->temporary = o->path ? memory_new(n, 1, "a path", e) : NULL;
    if (!o->temporary) {
        output_abandon(o);
        return ERROR_IO;
    }
    int fd;
    if (is_special(o->path)) {
        fd = open(o->path, O_WRONLY | O_CLOEXEC);
    } else {
        snprintf(o->temporary, n, "%s.tmpXXXXXX", o->path);
        fd = mkstemp(o->temporary);
        if (fd < 0)
            o->temporary[0] = 0;
        else
            fchmod(fd, 0644);
    }
    if (fd >= 0 && (o->stream = fdopen(fd, "wb")) != NULL) return 0;
    int status = error_errno(e, path, "create");
    if (fd >= 0) close(fd);
    output_abandon(o);
    return status;
}

int output_commit(struct output *o, struct error *e)
{
    int status = 0;
    bool special = !o->temporary[0];
    if (fflush(o->stream) || ferror(o->stream) || (!special && fsync(fileno(o->stream))))
        status = error_errno(e, o->path, "write");
    if (fclose(o->stream) && !status) status = error_errno(e, o->path, "write");
    o->stream = NULL;
    if (!status && !special && rename(o->temporary, o->path)) status = error_errno(e, o->path, "rename");
    if (!status) o->temporary[0] = 0;
    output_abandon(o);
    return status;
}

void output_abandon(struct output *o)
{
    if (o->stream) fclose(o->stream);
    if (o->temporary && o->temporary[0]) unlink(o->temporary);
    free(o->path);
    free(o->temporary);
    *o = (struct output){0};
}

void output_sweep(const char *folder, const char *pattern)
{
    static const char unique[] = ".tmp";
    enum { RANDOM = 6, ENDING = sizeof unique - 1 + RANDOM };
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"; /* of mkstemp() */
    DIR *d = opendir(folder);
    for (const struct dirent *f; d && (f = readdir(d)) != NULL;) {
        const size_t n = strlen(f->d_name);
        const char *end = n > ENDING ? f->d_name + n - ENDING : "";
        if (strncmp(end, unique, sizeof unique - 1)) continue;
        if (strspn(end + sizeof unique - 1, letters) != RANDOM) continue;
        char *name = memory_bytes(f->d_name, n - ENDING, NULL), *path = path_join(folder, f->d_name, NULL);
        struct stat st;
        if (name && path && !fnmatch(pattern, name, 0) && lstat(path, &st) == 0 && S_ISREG(st.st_mode)) unlink(path);
        free(name);
        free(path);
    }
    if (d) closedir(d);
}

int file_write(const char *path, const void *data, size_t n, struct error *e)
{
    struct output o;
    if (output_open(&o, path, e)) return ERROR_IO;
    fwrite(data, 1, n, o.stream); /* a short write shows in ferror() */
    return output_commit(&o, e);
}

/* Opening a pipe and closing it again would tell its reader that nothing comes. */
int output_try(const char *path, struct error *e)
{
    struct output trial;
    if (is_special(path)) return access(path, W_OK) ? error_errno(e, path, "create") : 0;
    int status = output_open(&trial, path, e);
    if (!status) output_abandon(&trial);
    return status;
}

int output_try_file(const char *path, struct error *e)
{
    if (!is_special(path)) return output_try(path, e);
    return error_set(e, ERROR_IO,
                     "%s: is a device, pipe or socket, not a regular file: remove it, or give another folder", path);
}

/* A file is read, and so are those that lie in a folder; the hidden ones are nobody's input. */
static bool is_part_of(const char *path, const char *input)
{
    bool found = path_same(path, input);
    DIR *folder = found ? NULL : opendir(input);
    for (const struct dirent *f; folder && !found && (f = readdir(folder)) != NULL;) {
        if (f->d_name[0] == '.' || text_ends_with(f->d_name, ".gguf")) continue;
        char *part = path_join(input, f->d_name, NULL);
        found = part && path_same(path, part);
        free(part);
    }
    if (folder) closedir(folder);
    return found;
}

int output_check(const char *option, const char *path, const char *const *inputs, size_t n, struct error *e)
{
    if (!*path) return error_set(e, ERROR_USAGE, "%s: an empty name is no file", option);
    int status = output_try(path, e);
    for (size_t i = 0; i < n && !status; i++)
        if (inputs[i] && is_part_of(path, inputs[i]))
            status = error_set(e, ERROR_USAGE, "%s %s: is read by this command: give another name", option, path);
    return status;
}

bool file_name_fits(const char *name)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t n = strspn(name, inner);
    return n > 0 && n <= 64 && !name[n] && !strchr("._-", *name);
}

bool path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool path_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

char *path_join(const char *folder, const char *name, struct error *e)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = memory_new(n, 1, "a path", e);
    if (path) snprintf(path, n, "%s/%s", folder, name);
    return path;
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int folder_make(const char *path, struct error *e)
{
    uint64_t made;
    return folder_make_noting(path, &made, e);
}

/* The i-th folder on the way to a path ends before its i-th slash, one at the very start not counted. */
int folder_make_noting(const char *path, uint64_t *made, struct error *e)
{
    *made = 0;
    if (!*path) return error_set(e, ERROR_USAGE, "an empty name is no folder");
    char *copy = memory_string(path, e);
    if (!copy) return ERROR_IO;
    int status = 0;
    unsigned i = 0;
    for (char *p = copy + 1; !status; p++) {
        if (*p != '/' && *p) continue;
        char end = *p;
        *p = 0;
        if (mkdir(copy, 0777) == 0)
            *made |= i < 64 ? UINT64_C(1) << i : 0;
        else if (errno != EEXIST)
            status = error_errno(e, copy, "make folder");
        *p = end;
        i++;
        if (!end) break;
    }
    if (!status && !path_is_folder(path)) status = error_set(e, ERROR_IO, "%s: exists and is not a folder", path);
    if (status) folder_unmake(path, *made);
    free(copy);
    return status;
}

void folder_unmake(const char *path, uint64_t made)
{
    char *copy = made ? memory_string(path, NULL) : NULL;
    if (!copy) return;
    unsigned i = 0;
    for (const char *p = copy + 1; *p; p++) i += *p == '/';
    for (char *p = copy + strlen(copy); p > copy; p--) {
        if (*p != '/' && *p) continue;
        *p = 0;
        if (i < 64 && made >> i & 1) rmdir(copy); /* one that is not empty stays */
        i--;
    }
    free(copy);
}
