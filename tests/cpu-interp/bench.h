/* SPDX-License-Identifier: MIT
 *
 * bench.h - a test bench for the engine of cpu-interp: RAM, tables, a fake bus, and a processor in
 * the mode that a test wants, into which it loads bytes and lets them run until they stop.
 *
 * Linear addresses are physical ones, in every mode. Every exception and interrupt goes to a HLT of
 * its own, so that what has happened is seen afterwards. What goes wrong in the bench itself
 * aborts: a test need not look.
 *
 *     struct bench *b = bench_create(1);
 *     struct cpu *c = bench_mode(b, 0, BENCH_LONG);
 *
 *     c->reg[RAX] = 1;
 *     assert_int_equal(BENCH_RUN(b, 0x48, 0xff, 0xc0), BENCH_STOPPED);    inc rax
 *     assert_int_equal(c->reg[RAX], 2);
 *     assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), EXC_UD);                 ud2
 *     assert_int_equal(c->rip, BENCH_CODE);
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include "engine.h"

#define BENCH_RAM_BYTES 0x1000000u /* 16 MiB at 0, in pages of 4 KiB */

/* Where things are. 0 holds the real-mode vector table. */
#define BENCH_HANDLERS 0x1000u /* 16 bytes a vector, a HLT in each */
#define BENCH_GDT 0x2000u
#define BENCH_TSS 0x2800u
#define BENCH_IDT 0x3000u
#define BENCH_STACK0 0x5000u  /* CPL 0's stack, where CPL 3 is interrupted: grows down from here */
#define BENCH_STACK 0x7f00u   /* RSP at the start */
#define BENCH_CODE 0x8000u    /* up to 4 KiB */
#define BENCH_DATA 0xc000u    /* a test's own: to 0x10000, and from BENCH_FREE on */
#define BENCH_TABLES 0x10000u /* page tables: PML4, PDPT, 4 page directories, 8 page tables */
#define BENCH_FREE 0x100000u
/* With two processors, number 1 has stacks and code this much higher. */
#define BENCH_SECOND 0x80000u

/* The GDT's selectors, in the order that SYSCALL and SYSRET ask for. */
#define BENCH_CS64 0x08u
#define BENCH_DS 0x10u
#define BENCH_CS32 0x18u
#define BENCH_USER_CS32 0x23u
#define BENCH_USER_DS 0x2bu
#define BENCH_USER_CS64 0x33u
#define BENCH_CS16 0x38u
#define BENCH_DS16 0x40u
#define BENCH_TR 0x48u
#define BENCH_GDT_FREE 0x60u /* the first that a test may fill: up to 0x7f8 */

enum bench_mode {
    BENCH_LONG,           /* 64-bit, CPL 0 */
    BENCH_USER,           /* 64-bit, CPL 3 */
    BENCH_COMPAT,         /* 32-bit code in long mode, CPL 3 */
    BENCH_PROTECTED,      /* 32-bit, flat, CPL 0, no paging */
    BENCH_PROTECTED_USER, /* 32-bit, flat, CPL 3, no paging */
    BENCH_PROTECTED16,    /* 16-bit code and stack, CPL 0, no paging, flat data */
    BENCH_REAL            /* CS = DS = ES = SS = 0 */
};

/* bench_run() returns the vector of an exception, or one of these. */
#define BENCH_STOPPED (-1)      /* reached its end, or a HLT of its own */
#define BENCH_TRIPLE_FAULT (-2) /* shut down */
#define BENCH_DEBUG (-3)        /* BP_STOP_DEBUG */
/* The gate through which code at CPL 3 ends; gates below 0x80, but for 3 and 4, have DPL 0. */
#define BENCH_STOP_VECTOR 0xffu

/* What the exception handler found on its stack. */
struct bench_frame {
    bool has_error;
    uint32_t error;
    uint64_t rip, rflags, rsp; /* of what was interrupted */
    uint16_t cs, ss;
};

/* One access to the bus. */
struct bench_access {
    bool pio, write;
    uint32_t width;
    uint64_t address, value; /* `value`: written, or answered */
};

#define BENCH_ACCESSES 256u
/* Device memory: what is written to it is read from it again. Elsewhere reads give all ones. */
#define BENCH_MMIO 0xd0000000u
#define BENCH_MMIO_BYTES 4096u

struct bench {
    struct engine *engine;
    struct cpu *cpu[2]; /* [1] is NULL with one processor */
    uint8_t *ram;
    struct bench_frame frame;                   /* of the last bench_run() that returned a vector */
    struct bench_access access[BENCH_ACCESSES]; /* the first ones */
    uint32_t accesses;                          /* of all; may be set to 0 */
    uint8_t port[65536]; /* what reads of ports answer; writes do not change it */
    uint8_t mmio[BENCH_MMIO_BYTES];
    uint64_t now_ns;   /* guest time: grows by one with each look */
    uint32_t sleeps;   /* how often a processor went to sleep */
    uint64_t deadline; /* of the last sleep */
    uint32_t wakes;
    char log[256]; /* the engine's last line */
};

/* With `cpus` processors, 1 or 2, in their power-on state, every feature announced. No interrupt
 * controller in the first form. */
struct bench *bench_create(uint32_t cpus);
struct bench *bench_create_with_chip(uint32_t cpus, const struct bp_irqchip *chip, void *self);
void bench_destroy(struct bench *b);

/* Puts processor `index` into a mode: all general registers 0 but RSP, flags clear (IF too), x87
 * and SSE as after FNINIT and reset; tables, stacks and page tables are written anew. Returns
 * b->cpu[index]. */
struct cpu *bench_mode(struct bench *b, uint32_t index, enum bench_mode mode);

/* Copies code to BENCH_CODE, with an end after it (HLT; at CPL 3 INT BENCH_STOP_VECTOR), lets
 * processor 0 run it, and returns how it ended. After an exception the processor is put back to
 * where it was raised: CS, SS, CPL, RIP, RSP and RFLAGS are those of the frame, which stands in
 * b->frame. So the next bench_run() goes on in the same mode. */
int bench_run(struct bench *b, const void *code, uint32_t bytes);
#define BENCH_RUN(b, ...)                                                                          \
    bench_run((b), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Lets processor `index` run from `rip` until it halts. Returns as bench_run(), but leaves the
 * processor where it is: in the handler. */
int bench_go(struct bench *b, uint32_t index, uint64_t rip);
/* After bench_go() has returned a vector: the frame on the handler's stack. */
struct bench_frame bench_frame_get(const struct bench *b, uint32_t index, int vector);

/* Writes RAM as a device would: the engine is told. */
void bench_write(struct bench *b, uint64_t gpa, const void *from, uint64_t bytes);
/* Puts `value` into RAM, 1, 2, 4 or 8 bytes; and back. */
void bench_poke(struct bench *b, uint64_t gpa, uint64_t value, uint32_t bytes);
uint64_t bench_peek(const struct bench *b, uint64_t gpa, uint32_t bytes);

/* The page table entry of the page of RAM at `la`, for modes with paging; the TLBs are flushed.
 * Set at the start: present, writable, user. */
void bench_page_set(struct bench *b, uint64_t la, uint64_t entry);
uint64_t bench_page_get(const struct bench *b, uint64_t la);

/* The whole of RFLAGS, and back; the six arithmetic flags alone. */
uint64_t bench_rflags(const struct bench *b, uint32_t index);
void bench_rflags_set(struct bench *b, uint32_t index, uint64_t value);
uint32_t bench_arithmetic(const struct bench *b);

#endif
