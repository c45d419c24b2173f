/* What llama.cpp makes of a GGUF file: the log-likelihood of each window of its perplexity tool's rule, n_ctx 512, in
 * nats; or of every fourth token of one text in a context of 256. make_llamacpp.sh builds and runs it.
 *
 *     make_llamacpp LIBGGML_CPU FILE.gguf IDS WINDOWS      IDS: a file of token ids, the first of them BOS
 *     make_llamacpp LIBGGML_CPU FILE.gguf IDS              of all ids, at most 256
 *     make_llamacpp LIBGGML_CPU IN.gguf OUT.gguf FTYPE PURE      quantizes a file; FTYPE: enum llama_ftype
 *
 * Caches of float32, no flash attention, one sequence a pass, one thread, weights as they lie in the file. The library
 * comes without its header, and its parameters are structures passed by value: what is set stands at these offsets in
 * v0.5.0, and they are declared larger than they are. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 512, SHORT = 256, STEP = 4, MOST = 1 << 20 };
enum { MODEL_EXTRA_BUFFERS = 0x4a }; /* weights in another order, for other kernels */
enum { N_CTX = 0, N_BATCH = 4, N_UBATCH = 8, N_THREADS = 0x1c, N_THREADS_BATCH = 0x20, FLASH_ATTENTION = 0x34 };
enum { TYPE_K = 0x68, TYPE_V = 0x6c };
enum { FTYPE = 4, PURE = 0x13 };

struct parameters {
    char bytes[256];
};
struct llama_batch {
    int32_t n_tokens;
    int32_t *token;
    float *embd;
    int32_t *pos, *n_seq_id, **seq_id;
    int8_t *logits;
};
void ggml_backend_load(const char *path);
void llama_backend_init(void);
void llama_log_set(void (*log)(int level, const char *text, void *user), void *user);
struct parameters llama_model_quantize_default_params(void);
uint32_t llama_model_quantize(const char *in, const char *out, const struct parameters *p);
struct parameters llama_model_default_params(void);
struct parameters llama_context_default_params(void);
void *llama_model_load_from_file(const char *path, struct parameters p);
void *llama_init_from_model(void *model, struct parameters p);
const void *llama_model_get_vocab(const void *model);
int32_t llama_vocab_n_tokens(const void *vocab);
void *llama_get_memory(void *context);
void llama_memory_clear(void *memory, bool data);
int llama_decode(void *context, struct llama_batch batch);
float *llama_get_logits(void *context);

static void quiet(int level, const char *text, void *user)
{
    (void)user;
    if (level == 4) fputs(text, stderr);
}

static void set(struct parameters *p, int at, int32_t value) { memcpy(p->bytes + at, &value, sizeof value); }

static double log_likelihood(const float *logits, int n, int32_t target)
{
    double most = logits[0], sum = 0;
    for (int i = 1; i < n; i++) most = logits[i] > most ? logits[i] : most;
    for (int i = 0; i < n; i++) sum += exp(logits[i] - most);
    return logits[target] - most - log(sum);
}

static int quantize(char **argv)
{
    struct parameters p = llama_model_quantize_default_params();
    set(&p, FTYPE, atoi(argv[4]));
    p.bytes[PURE] = (char)atoi(argv[5]);
    return (int)llama_model_quantize(argv[2], argv[3], &p);
}

static long read_ids(const char *path, int32_t *ids)
{
    FILE *f = fopen(path, "r");
    long n = 0;
    if (!f) return 0;
    while (n < MOST && fscanf(f, "%d", &ids[n]) == 1) n++;
    fclose(f);
    return n;
}

/* NULL where it cannot be had. */
static void *open_context(const char *path, int size, int *vocab)
{
    struct parameters p = llama_model_default_params();
    p.bytes[MODEL_EXTRA_BUFFERS] = 0;
    void *model = llama_model_load_from_file(path, p);
    if (!model) return NULL;
    p = llama_context_default_params();
    set(&p, N_CTX, size);
    set(&p, N_BATCH, CONTEXT);
    set(&p, N_UBATCH, CONTEXT);
    set(&p, N_THREADS, 1);
    set(&p, N_THREADS_BATCH, 1);
    set(&p, FLASH_ATTENTION, 0);
    set(&p, TYPE_K, 0); /* float32 */
    set(&p, TYPE_V, 0);
    *vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    return llama_init_from_model(model, p);
}

/* Logits of all n <= CONTEXT tokens; NULL after a failure. */
static const float *logits_of(void *context, int32_t *token, int n)
{
    int32_t position[CONTEXT], one[CONTEXT], zero = 0, *sequence[CONTEXT];
    int8_t wanted[CONTEXT];
    for (int i = 0; i < n; i++) position[i] = i, one[i] = 1, sequence[i] = &zero, wanted[i] = 1;
    llama_memory_clear(llama_get_memory(context), true);
    if (llama_decode(context, (struct llama_batch){n, token, NULL, position, one, sequence, wanted})) return NULL;
    return llama_get_logits(context);
}

static int measure(char **argv)
{
    static int32_t ids[MOST];
    int vocab;
    const long n = read_ids(argv[3], ids), windows = atol(argv[4]);
    if (n < windows * CONTEXT) return 2;
    void *context = open_context(argv[2], CONTEXT, &vocab);
    if (!context) return 1;
    for (long w = 0; w < windows; w++) {
        int32_t token[CONTEXT];
        memcpy(token, ids + w * CONTEXT, sizeof token);
        token[0] = ids[0];
        const float *logits = logits_of(context, token, CONTEXT);
        if (!logits) return 1;
        double sum = 0;
        for (int i = CONTEXT / 2; i < CONTEXT - 1; i++)
            sum += log_likelihood(logits + (size_t)i * (size_t)vocab, vocab, token[i + 1]);
        printf("%s%.4f", w ? ", " : "", sum);
    }
    puts("");
    return 0;
}

static int measure_tokens(char **argv)
{
    static int32_t ids[MOST];
    int vocab;
    const int n = (int)read_ids(argv[3], ids);
    if (n < 1 || n > SHORT) return 2;
    void *context = open_context(argv[2], SHORT, &vocab);
    const float *logits = context ? logits_of(context, ids, n) : NULL;
    if (!logits) return 1;
    for (int i = STEP - 1; i + 1 < n; i += STEP)
        printf("%s%.7g", i >= STEP ? ", " : "", log_likelihood(logits + (size_t)i * (size_t)vocab, vocab, ids[i + 1]));
    puts("");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 6) return 2;
    llama_log_set(quiet, NULL);
    ggml_backend_load(argv[1]);
    llama_backend_init();
    return argc == 6 ? quantize(argv) : argc == 5 ? measure(argv) : measure_tokens(argv);
}
