/* What the tests share: cmocka with its includes in order, paths of public data, JSON goldens, temporary folders, the
 * shipped models. */
#ifndef KERF_TESTS_TESTING_H
#define KERF_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "engine/base/error.h"

struct model;

/* Fails the test with the error's words when status is not 0. */
void assert_ok(int status, const struct error *e);
/* Asserts that a call failed with this code and that its words contain `part`. */
void assert_error(int status, const struct error *e, enum error_code code, const char *part);
/* The path of a file of public data: $KERF_SHARED/NAME, or ../shared/NAME beside the tree. Skips the calling test, with
 * the reason, where it is absent. The string lives until the next call. */
const char *shared_path(const char *name);
/* A JSON file of the tree, parsed; fails the test where it cannot be. */
json_t *golden(const char *path);
/* A fresh folder under the system's temporary folder, removed with its files by folder_remove(). */
char *folder_temporary(void);
void folder_remove(char *folder);
/* Writes a file into a folder and returns its path, to be freed. */
char *file_put(const char *folder, const char *name, const void *data, size_t n);
/* Fails the test, with `what` and both numbers, unless |got - wanted| <= tolerance. */
void assert_near(double got, double wanted, double tolerance, const char *what);
/* How many of `wanted` items a test takes: no more than $KERF_TEST_ITEMS, for builds that are slow. */
size_t test_items(size_t wanted);
/* Uniform in [-scale, scale); the same seed gives the same numbers. */
void fill_random(float *x, size_t n, float scale, uint64_t seed);
/* A model that ships, "llama" or "gpt2", by the backend of this spec (NULL: as stored), with "+fast" at its end in fast
 * math, to be closed. */
struct model *model_shipped(const char *name, const char *spec);

#endif
