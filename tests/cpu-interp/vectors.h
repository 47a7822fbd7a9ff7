/* SPDX-License-Identifier: MIT
 *
 * vectors.h - one vector instruction in the engine, on random operands: what test_sse_host.c, which
 * knows the host's outcome, and test_sse_recorded.c, which knows the recorded one, share.
 */
#ifndef TEST_VECTORS_H
#define TEST_VECTORS_H

#include "bench.h"

/* The operand in memory: at the same linear address in the host. */
#define DATA 0x200000u
#define DATA_BYTES 4096u
#define AT 256u /* of the operand itself */

enum { S_RAX, S_RCX, S_RDX, S_RBX, S_RSI, S_RDI, S_GPRS };

/* What goes in and comes out. */
struct state {
    uint8_t image[512];   /* FXSAVE64 */
    union vreg v[16];     /* 512 */
    uint64_t reg[S_GPRS]; /* 1024 */
    uint64_t flags;       /* 1072 */
};

struct vectors {
    struct bench *bench;
    struct cpu *cpu;
    uint8_t *data; /* DATA_BYTES that are at DATA in the guest */
    uint64_t random;
};

/* A long mode CPU with AVX; `data` is the caller's. */
void vectors_start(struct vectors *f);
void vectors_stop(struct vectors *f);

uint64_t vectors_random(struct vectors *f);
/* Random operands, with what is special among them, in a state and in memory; exceptions are
 * masked. */
void vectors_draw(struct vectors *f, struct state *s);
/* BENCH_STOPPED, or what else happened. */
int vectors_run(struct vectors *f, const uint8_t *bytes, size_t length, struct state *s);
/* The engine's number of a register of a state. */
uint8_t vectors_gpr(uint32_t index);

/* What a form does, in 64 bits: of the same operands on every host. `act` makes a state and the
 * memory at `data` into the outcome, and is not 0 if it cannot. Left out is what not every host can
 * do: DAZ and FTZ, the flag DE, and UE of what is rounded to the smallest normal number. */
typedef int vectors_act(struct vectors *f, const uint8_t *bytes, size_t length, struct state *s);
int vectors_digest(struct vectors *f, vectors_act *act, const uint8_t *bytes, size_t length,
                   uint32_t *values, uint32_t *mxcsr);

#endif
