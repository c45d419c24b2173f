/* Collects an importance matrix (formats/imatrix.h): runs a model over a text and sums, for each matrix of its layers,
 * the squares of what is multiplied with it, column by column. As llama.cpp's imatrix does: the text starts with BOS
 * where the tokenizer wants one and is cut into windows without overlap, each again beginning with BOS in its first
 * token's place; what does not fill a window is left out, and so is the output matrix.
 *
 *     struct imatrix_plan plan = {.text = "corpus.txt"};
 *     if (model_collect_imatrix(m, &plan, "imatrix.gguf", &done, e)) return e->code; */
#ifndef KERF_ENGINE_MODELS_IMATRIX_H
#define KERF_ENGINE_MODELS_IMATRIX_H

#include "engine/models/model.h"

struct imatrix_plan {
    const char *text; /* a file */
    int64_t window;   /* tokens of each; 0: 512, or the model's context where that is shorter */
    int64_t windows;  /* at most, from the start of the text; 0: all */
    void *user;
    bool (*progress)(void *user, size_t done, size_t total); /* MAY: windows; false ends with ERROR_INTERRUPTED */
};

struct imatrix_done {
    int64_t windows, tokens, matrices;
};

/* Writes the file at out_path once all is summed. The result does not depend on the number of threads. */
int model_collect_imatrix(const struct model *m, const struct imatrix_plan *plan, const char *out_path,
                          struct imatrix_done *done, struct error *e);

#endif
