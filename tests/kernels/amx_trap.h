/* Runs a program's own AMX instructions on a CPU that has none: each ends in a SIGILL, whose handler does in C what the
 * instruction says (amx_unit.h) and goes on behind it. So what the compiler made of engine/kernels/amx can be tried on
 * any x86-64 with AVX-512.
 *
 *     trap_open();
 *     kernels->products(...);
 *     trap_close();
 *     assert_int_equal(trapped, ...);         0: this CPU has the instructions
 *
 * Encodings: Intel SDM volume 2, the instructions' own pages, and section 2.1.5 (ModRM, SIB), 2.3.5 (VEX). */
#ifndef KERF_TESTS_KERNELS_AMX_TRAP_H
#define KERF_TESTS_KERNELS_AMX_TRAP_H

#include "tests/kernels/amx_unit.h"

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

static volatile sig_atomic_t trapped;

/* In the order of the numbers that instructions have for them. */
static const int trap_registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                       REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

/* One of three bytes of VEX, an opcode, ModRM and perhaps SIB and a displacement. */
struct trap_instruction {
    const uint8_t *end; /* behind it */
    int prefix, opcode, mode, reg, rm, third;
    uintptr_t base;  /* with the displacement; in memory operands */
    intptr_t stride; /* the index, scaled */
};

static inline uintptr_t trap_register(const ucontext_t *c, int number)
{
    return (uintptr_t)c->uc_mcontext.gregs[trap_registers[number]];
}

static inline int32_t trap_displacement(const uint8_t **p, int bytes)
{
    int8_t one;
    int32_t four;
    memcpy(&one, *p, 1);
    memcpy(&four, *p, 4);
    *p += bytes;
    return bytes == 4 ? four : bytes ? one : 0;
}

/* VEX bits that stand for the fourth bit of a register's number are inverted. */
static inline struct trap_instruction trap_decode(const ucontext_t *c)
{
    const uint8_t *p = (const uint8_t *)c->uc_mcontext.gregs[REG_RIP];
    struct trap_instruction in = {.end = NULL};
    if (p[0] != 0xc4 || (p[1] & 0x1f) != 2 || (p[2] & 0x84)) return in; /* map 0F38, W0, 128 bits */
    int x = p[1] & 0x40 ? 0 : 8, b = p[1] & 0x20 ? 0 : 8;
    in.prefix = p[2] & 3;
    in.third = ~p[2] >> 3 & 15;
    in.opcode = p[3];
    in.mode = p[4] >> 6;
    in.reg = (p[4] >> 3 & 7) + (p[1] & 0x80 ? 0 : 8);
    in.rm = p[4] & 7;
    int rm = in.rm;
    p += 5;
    if (in.mode == 3) {
        in.rm += b;
    } else if (rm == 4) {
        int index = (p[0] >> 3 & 7) + x, base = p[0] & 7, scale = p[0] >> 6;
        bool based = base != 5 || in.mode;
        p++;
        in.stride = index == 4 ? 0 : (intptr_t)(trap_register(c, index) << scale);
        in.base = based ? trap_register(c, base + b) : 0;
        in.base += (uintptr_t)trap_displacement(&p, in.mode == 1 ? 1 : in.mode == 2 || !based ? 4 : 0);
    } else if (rm == 5 && in.mode == 0) {
        in.base = (uintptr_t)trap_displacement(&p, 4);
        in.base += (uintptr_t)p;
    } else {
        in.base = trap_register(c, rm + b);
        in.base += (uintptr_t)trap_displacement(&p, in.mode == 1 ? 1 : in.mode == 2 ? 4 : 0);
    }
    in.end = p;
    return in;
}

/* False: none of those that the kernels have. */
static inline bool trap_run(const struct trap_instruction *in)
{
    enum { NONE, OF_66, OF_F3, OF_F2 };
    const bool memory = in->mode != 3;
    if (!in->end) return false;
    if (in->opcode == 0x49 && in->prefix == NONE && memory && in->reg == 0)
        amx_configure((const void *)in->base);
    else if (in->opcode == 0x49 && in->prefix == NONE && !memory && in->reg == 0 && in->rm == 0)
        amx_release();
    else if (in->opcode == 0x49 && in->prefix == OF_F2 && !memory && in->rm == 0)
        amx_zero(in->reg);
    else if (in->opcode == 0x4b && in->prefix == OF_F2 && memory && in->rm == 4)
        amx_load(in->reg, (const void *)in->base, in->stride);
    else if (in->opcode == 0x4b && in->prefix == OF_F3 && memory && in->rm == 4)
        amx_store(in->reg, (void *)in->base, in->stride);
    else if (in->opcode == 0x5e && in->prefix == OF_F2 && !memory)
        amx_dot_signed(in->reg, in->rm, in->third);
    else if (in->opcode == 0x5e && in->prefix == OF_F3 && !memory)
        amx_dot_unsigned(in->reg, in->rm, in->third);
    else
        return false;
    return true;
}

static inline void trap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ucontext_t *c = context;
    struct trap_instruction in = trap_decode(c);
    if (!trap_run(&in)) {
        fprintf(stderr, "an instruction that is none of AMX at %p\n", (void *)c->uc_mcontext.gregs[REG_RIP]);
        abort();
    }
    trapped++;
    c->uc_mcontext.gregs[REG_RIP] = (greg_t)in.end;
}

static struct sigaction trap_before;

static inline void trap_open(void)
{
    struct sigaction action = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO};
    trapped = 0;
    sigaction(SIGILL, &action, &trap_before);
}

static inline void trap_close(void) { sigaction(SIGILL, &trap_before, NULL); }

#endif

#endif
