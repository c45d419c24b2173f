/* What fuzzing does with bytes that may be anything: opens them as a file of one format and looks at all that came of it.
 *
 *     fuzz_gguf(data, size);
 *
 * A target returns where the bytes were read or refused as they should be, and ends the program where not. Each has a
 * folder of small files in tests/fuzz/corpus. */
#ifndef KERF_TESTS_FUZZ_TARGETS_H
#define KERF_TESTS_FUZZ_TARGETS_H

#include "engine/base/error.h"

#include <stddef.h>
#include <stdint.h>

void fuzz_gguf(const uint8_t *data, size_t size);        /* a GGUF file, also as an importance matrix and a tokenizer */
void fuzz_safetensors(const uint8_t *data, size_t size); /* a safetensors file */
void fuzz_tokenizer(const uint8_t *data, size_t size);   /* a tokenizer.json, tokenizer.model or GGUF file */
/* one byte whose bits choose which of the files beside a vocabulary it is, then that: added_tokens.json and its kin */
void fuzz_beside(const uint8_t *data, size_t size);
void fuzz_suite(const uint8_t *data, size_t size); /* a suite file or a group */
void fuzz_csv(const uint8_t *data, size_t size);   /* one byte that chooses the reader, then its data */

/* --- for targets --- */

enum { FUZZ_PATH = 64 };

/* A file in memory with these bytes; its path, and what fuzz_close() takes. */
int fuzz_open(const uint8_t *data, size_t size, char path[FUZZ_PATH]);
void fuzz_close(int file);
/* Ends the program unless status is 0, or ERROR_INPUT or ERROR_NUMBER with words that begin with the path (or, for a
 * NULL path, any words). */
void fuzz_check(int status, const struct error *e, const char *path);
/* Ends the program unless `good`. */
void fuzz_demand(int good, const char *what);

#endif
