/* The registry of families, and how a kernel is run where it may touch what it must not. */
#include "cli/kernels/family.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>

static const struct kernel_family *const families[] = {
    &family_products,     &family_dot,         &family_unpack,        &family_weights,   &family_dot_weights,
    &family_gemm,         &family_dot_floats,  &family_unpack_floats, &family_transpose, &family_quantize_inputs,
    &family_round_inputs, &family_decode,      &family_encode,        &family_affine_i8, &family_add,
    &family_softmax,      &family_rms_norm,    &family_layer_norm,    &family_rope,      &family_silu_multiply,
    &family_gelu_tanh,    &family_log_sum_exp, &family_argmax,
};

const struct kernel_family *kernel_family_at(size_t i)
{
    return i < sizeof families / sizeof *families ? families[i] : NULL;
}

int kernel_fixture_open(struct kernel_fixture *x, const struct kernel_family *f, size_t i, enum buffer_place place,
                        uint64_t seed, struct error *e)
{
    *x = (struct kernel_fixture){.family = f};
    if (!f->describe(i, &x->its)) return error_set(e, ERROR_USAGE, "%s: there is no case %zu", f->name, i);
    x->memory = kernel_memory_new(place, e);
    if (!x->memory) return ERROR_IO;
    int status = f->open(&x->own, &x->its, i, x->memory, seed, e);
    if (status) kernel_fixture_close(x);
    return status;
}

void kernel_fixture_close(struct kernel_fixture *x)
{
    x->family->close(x->own);
    kernel_memory_free(x->memory);
    x->own = NULL;
    x->memory = NULL;
}

/* --- signals --- */

/* Of the thread that runs a kernel: a handler is given nothing else to find its way back with. */
static _Thread_local struct {
    sigjmp_buf *back;
    const void *address;
} running;

/* A signal that no kernel caused comes again, and ends the process as it would have. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    if (!running.back) {
        signal(number, SIG_DFL);
        return;
    }
    running.address = info->si_addr;
    siglongjmp(*running.back, 1);
}

/* Whether it came to its end; where not, what was touched. */
static bool run_caught(struct kernel_fixture *x, const struct kernels *k, const void **address)
{
    struct sigaction mine = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, segv, bus;
    sigjmp_buf back;
    sigemptyset(&mine.sa_mask);
    sigaction(SIGSEGV, &mine, &segv);
    sigaction(SIGBUS, &mine, &bus);
    volatile bool ended = false;
    if (sigsetjmp(back, 1) == 0) {
        running.back = &back;
        x->family->run(x->own, k);
        ended = true;
    }
    running.back = NULL;
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGBUS, &bus, NULL);
    *address = running.address;
    return ended;
}

static void compare_with(struct kernel_fixture *x, const void *same, struct kernel_verdict *v)
{
    size_t bytes;
    const uint8_t *got = x->family->output(x->own, &bytes), *wanted = same;
    for (size_t i = 0; i < bytes; i++)
        if (got[i] != wanted[i]) {
            verdict_wrong(v, "within its bound, but byte %zu of %zu is not that of \"c\": the same bits are promised",
                          i, bytes);
            return;
        }
}

void kernel_fixture_check(struct kernel_fixture *x, const struct kernels *k, const void *same, struct kernel_verdict *v)
{
    const void *address;
    char words[sizeof v->words];
    *v = (struct kernel_verdict){0};
    kernel_memory_reset(x->memory); /* what an earlier run left would hide that this one wrote nothing */
    if (!run_caught(x, k, &address)) {
        kernel_memory_touched(x->memory, address, words, sizeof words);
        verdict_wrong(v, "%s", words);
        return;
    }
    if (kernel_memory_damaged(x->memory, words, sizeof words)) verdict_wrong(v, "%s", words);
    x->family->check(x->own, v);
    if (same && x->family->output && !v->wrong) compare_with(x, same, v);
}
