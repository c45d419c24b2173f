/* Files: mapped for reading, written so that a reader sees the whole file or the old one.
 *
 *     struct file f;
 *     if (file_map(&f, path, e)) return e->code;
 *     ... f.data[0 .. f.size) ...
 *     file_unmap(&f);
 *
 *     struct output out;
 *     if (output_open(&out, path, e)) return e->code;
 *     fprintf(out.stream, ...);
 *     if (output_commit(&out, e)) return e->code;      or output_abandon(&out)
 */
#ifndef KERF_ENGINE_BASE_FILE_H
#define KERF_ENGINE_BASE_FILE_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct file {
    char *path;
    const uint8_t *data; /* read-only mapping; never NULL, also for an empty file */
    size_t size;
};

/* ERROR_INPUT where the file is what Git LFS puts in the place of a large one that it has not fetched
 * (git-lfs/docs/spec.md, "The Pointer"). */
int file_check_pointer(const struct file *f, struct error *e);
/* Maps a regular file (links are followed); FIFOs, devices and directories are ERROR_INPUT. After failure nothing is
 * held; after success file_unmap() releases it. */
int file_map(struct file *f, const char *path, struct error *e);
void file_unmap(struct file *f); /* also on a zeroed struct */
/* Gives back the memory that this part of a mapping takes; where it is read again it comes from the file again. */
void file_forget(const void *data, size_t n);

struct output {
    FILE *stream;
    char *path, *temporary;
};

/* Writes to a temporary file beside path, or beside what path links to; to a device or pipe directly. Folders are
 * refused. */
int output_open(struct output *o, const char *path, struct error *e);
int output_commit(struct output *o, struct error *e); /* flush, fsync, rename; abandons on failure */
void output_abandon(struct output *o);                /* removes the temporary file */
int file_write(const char *path, const void *data, size_t n, struct error *e); /* the three in one */

/* Removes what output_open() has made for files of this pattern (fnmatch(3)) in a folder and a killed process has left:
 * "run.json.tmpXXXXXX". Only where no other process writes such files there. What cannot be removed stays. */
void output_sweep(const char *folder, const char *pattern);

/* Whether output_open() could write there, found out without a trace; nothing is opened that is a device or pipe. */
int output_try(const char *path, struct error *e);
/* The same for one file of several in a folder: ERROR_IO also where a device or pipe is in its place, whose reader or
 * writer none of them would wait for. */
int output_try_file(const char *path, struct error *e);
/* Before long work, whose end could not be written or would replace what is read: ERROR_USAGE, with the option that
 * `path` was given by, where it is one of the inputs or a file of a folder among them, by any name; hidden and GGUF files
 * in such a folder are not part of the model there. ERROR_IO where output_open() could not write. NULL among the inputs
 * is none. */
int output_check(const char *option, const char *path, const char *const *inputs, size_t n, struct error *e);

bool path_exists(const char *path);
bool path_is_folder(const char *path);
bool path_same(const char *a, const char *b); /* one file under both names; false where either is absent */
/* "FOLDER/NAME", to be freed. */
char *path_join(const char *folder, const char *name, struct error *e);
const char *path_name(const char *path); /* what follows the last slash */
/* Letters, digits, ".", "_" and "-", at most 64, the first a letter or digit: fit for a part of a file's name, and leads
 * out of no folder. */
bool file_name_fits(const char *name);
/* With its parents; an existing folder is success. After a failure what was made on the way is gone again. */
int folder_make(const char *path, struct error *e);
/* Also says what it made, in a bit for each of the first 64 folders on the way. */
int folder_make_noting(const char *path, uint64_t *made, struct error *e);
/* Takes away the folders that were made so, from the last on, as far as they are empty. */
void folder_unmake(const char *path, uint64_t made);

#endif
