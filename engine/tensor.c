#include "engine/tensor.h"

#include <strings.h>

static const struct dtype dtypes[DTYPE_LIMIT] = {
#define X(name, number, block, bytes) [number] = {#name, block, bytes},
    DTYPES(X)
#undef X
};

const struct dtype *dtype_of(int id) { return id >= 0 && id < DTYPE_LIMIT && dtypes[id].name ? &dtypes[id] : NULL; }

int dtype_named(const char *name)
{
    for (int id = 0; id < DTYPE_LIMIT; id++)
        if (dtypes[id].name && strcasecmp(dtypes[id].name, name) == 0) return id;
    return -1;
}

int64_t tensor_elements(const struct tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= t->shape[i];
    return n;
}

bool tensor_bytes(enum dtype_id type, int n_dims, const int64_t *shape, size_t *bytes)
{
    const struct dtype *d = dtype_of((int)type);
    int64_t n = 1;
    if (!d || n_dims < 0 || n_dims > TENSOR_DIMS) return false;
    for (int i = 0; i < n_dims; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i], &n)) return false;
    int64_t last = n_dims ? shape[n_dims - 1] : 1;
    if (last % d->block) return false;
    return !__builtin_mul_overflow((size_t)(n / d->block), d->block_bytes, bytes) && *bytes <= PTRDIFF_MAX;
}

void dtype_lower_name(enum dtype_id type, char out[DTYPE_NAME])
{
    size_t i = 0;
    for (const char *from = dtype_of((int)type)->name; from[i] && i < DTYPE_NAME - 1; i++)
        out[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] - 'A' + 'a' : from[i]);
    out[i] = 0;
}
