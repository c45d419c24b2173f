#include "engine/formats/safetensors.h"
#include "tests/fuzz/targets.h"

void fuzz_safetensors(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    struct error e = {0};
    struct safetensors *s;
    int file = fuzz_open(data, size, path), status = safetensors_open(&s, path, &e);
    fuzz_check(status, &e, path);
    if (!status) {
        size_t bytes = 0;
        for (size_t i = 0; i < safetensors_count(s); i++) {
            const struct tensor *t = safetensors_at(s, i);
            const uint8_t *at = t->data, *all = safetensors_bytes(s);
            fuzz_demand(safetensors_tensor(s, t->name) == t, "a tensor is found by its name");
            fuzz_demand(at >= all && at + t->bytes <= all + safetensors_size(s), "a tensor lies within its file");
            bytes += t->bytes;
        }
        fuzz_demand(bytes + 8 < safetensors_size(s), "tensors and header are not more than the file");
        safetensors_close(s);
    }
    fuzz_close(file);
}
