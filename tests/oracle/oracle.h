/* SPDX-License-Identifier: MIT
 *
 * oracle.h - the parts of the oracle, which has the host's processor and the engine of cpu-interp
 * do the same instructions on the same state, and compares.
 *
 * A case is a few bytes of code, registers and memory before. Both run it at CPL 3 in 64-bit mode,
 * with the same memory at the same linear addresses: code, two pages to write and one to read, with
 * nothing around them. Behind the code there are INT3s, so that every case ends in an exception,
 * from which the state after it is taken.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Linear addresses, below 16 MiB: the engine's RAM, and nobody's in a Linux process. */
#define CODE_AT 0x801000u
#define CODE_BYTES 0x2000u
#define DATA_AT 0x810000u
#define DATA_BYTES 0x3000u     /* with the read-only page at its end */
#define WRITABLE_BYTES 0x2000u /* of them */
#define GS_BASE 0x12340u

#define CASE_BYTES 128u /* of code: 8 instructions of 16 bytes or more shorter ones */
#define CASE_INSNS 16u

/* Vectors beyond the processor's. */
#define VECTOR_HANG 254u
#define VECTOR_LOST 255u /* the process died */

#define F_CF 0x1u
#define F_PF 0x4u
#define F_AF 0x10u
#define F_ZF 0x40u
#define F_SF 0x80u
#define F_DF 0x400u
#define F_OF 0x800u
#define F_ALL (F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF)

/* The FXSAVE image up to its reserved end (SDM 1, 10.5.1). */
#define FX_BYTES 416u
#define FX_FCW 0
#define FX_FSW 2
#define FX_FTW 4
#define FX_MXCSR 24
#define FX_ST 32
#define FX_XMM 160

struct state {
    uint64_t gpr[16]; /* in the order of their encoding */
    uint64_t rip, rflags;
    uint8_t fx[FX_BYTES];
    uint8_t high[256]; /* upper halves of YMM0..15 */
};

struct outcome {
    struct state s;
    uint32_t vector, error;
    uint64_t cr2; /* of #PF */
    uint8_t memory[WRITABLE_BYTES];
};

struct test {
    uint32_t at;    /* where the code stands, from CODE_AT */
    uint32_t bytes; /* of code */
    uint32_t count; /* instructions */
    uint32_t reserved;
    uint8_t code[CASE_BYTES];
    struct state in;
    uint8_t memory[DATA_BYTES];
};

/* ---- random numbers: random.c --------------------------------------------------------------- */

struct random {
    uint64_t state;
};

uint64_t random_next(struct random *r);
/* 0 .. n - 1. */
uint32_t random_below(struct random *r, uint32_t n);
/* True once in n. */
bool random_once(struct random *r, uint32_t n);
/* An integer worth trying: small ones, sign boundaries, shift counts, addresses, any. */
uint64_t random_integer(struct random *r);
/* Registers, flags and memory. */
void random_state(struct random *r, struct state *s);
/* A stretch of a pool of numbers of all kinds: quicker than to make them for every case. */
struct pool;
struct pool *pool_create(void);
void pool_destroy(struct pool *p);
void random_memory(const struct pool *p, struct random *r, uint8_t *memory, uint32_t bytes);

/* ---- forms: forms.c ------------------------------------------------------------------------- */

/* One way to encode a form. */
struct encoding {
    uint8_t vex, map, prefix, lock, w, l, opcode, modrm;
    uint8_t plain; /* no ModRM */
};

#define ENCODINGS 24u

/* A mnemonic with the kinds of its operands: "add r32, m32". */
struct form {
    uint64_t key;
    char name[72];
    char mnemonic[24];
    struct encoding encodings[ENCODINGS];
    uint32_t count, seen; /* encodings kept, and found */
    /* What came of it. */
    uint32_t executed, faulted, failed, native_ud, engine_ud;
    uint32_t unfetched; /* #PF of the instruction itself */
    uint32_t apart;     /* cases in which the host's maker does something else */
    bool listed;        /* in the coverage list */
    bool lacking;       /* the host does not have it */
    bool shown;         /* a failure of it */
};

struct forms {
    struct form *form;
    uint32_t count, capacity;
    uint32_t *table; /* by hash of the key: index + 1 */
    ZydisDecoder decoder;
    struct pool *pool;
    bool amd; /* the host's processor */
};

/* A decoded instruction with all its operands. */
struct decoded {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/* Finds every form there is, of those that a process can try without harm and that have one
 * answer. */
int forms_find(struct forms *f);
/* To be called after `form` was sorted. */
void forms_index(struct forms *f);
void forms_free(struct forms *f);
bool forms_decode(const struct forms *f, const uint8_t *code, uint32_t bytes, struct decoded *out);
/* An instruction of this form, at most 15 bytes, with any registers, addresses and immediates.
 * Returns its length, 0 if none was found. */
uint32_t form_generate(const struct forms *f, const struct form *form, struct random *r,
                       uint8_t code[16], struct decoded *out);
/* The form of an instruction, or NULL if it is none that may be tried. */
struct form *forms_of(const struct forms *f, const struct decoded *d);

/* ---- cases: steer.c ------------------------------------------------------------------------- */

/* Makes `t` a case of one instruction of this form, or of `length` instructions of any form for
 * which `usable` is set. False if it did not work out this time. */
bool case_single(const struct forms *f, const struct form *form, struct random *r, struct test *t);
bool case_sequence(const struct forms *f, struct form *const *usable, uint32_t usable_count,
                   uint32_t length, struct random *r, struct test *t);

/* ---- the host: native.c --------------------------------------------------------------------- */

#define BATCH 64u

struct native;

struct native *native_create(void);
void native_destroy(struct native *n);
/* Cases and outcomes, BATCH of each, shared with the child. */
struct test *native_tests(struct native *n);
struct outcome *native_outcomes(struct native *n);
/* Runs the first `count` of them. 0, or -errno: it is of no use any more. */
int native_run(struct native *n, uint32_t count);
bool native_has_ymm(const struct native *n);

/* ---- the engine: guest.c -------------------------------------------------------------------- */

struct guest;

struct guest *guest_create(void);
void guest_destroy(struct guest *g);
void guest_run(struct guest *g, const struct test *t, struct outcome *out);

/* ---- what the manual leaves open: undefined.c ----------------------------------------------- */

struct undefined {
    uint32_t flags;
    uint16_t fsw;      /* bits of the x87 status word */
    uint16_t gpr;      /* registers, by bit */
    uint64_t address;  /* bits of the address of a page fault */
    bool order;        /* which of two operands faults */
    bool memory;       /* after a fault, or as the destination */
    bool approximate;  /* RCPPS and its kind: relative error up to 1.5 * 2^-12 */
    bool x87_last_bit; /* transcendental: the last places may differ */
    uint8_t nan_bytes; /* floats of this size that are NaN: which NaN; 0: none */
    uint32_t mxcsr;    /* bits of MXCSR */
    bool everything;   /* the case says nothing */
};

/* What is undefined after `d` has been done on `in`. */
void undefined_after(const struct decoded *d, const struct state *in, struct undefined *u);
/* Likewise after it has faulted. */
void undefined_fault(const struct decoded *d, struct undefined *u);
/* Whatever the operands are: the flags that are undefined in some case. */
uint32_t undefined_flags_ever(const struct decoded *d);

/* ---- other makers' processors: makers.c ------------------------------------------------------ */

bool maker_is_amd(void);
/* On one of AMD's: adds to `u` what `d` does differently there, with these outcomes.
 */
void makers_part(const struct decoded *d, const struct outcome *native,
                 const struct outcome *engine, struct undefined *u);

/* ---- comparing: compare.c ------------------------------------------------------------------- */

struct text {
    char *to;
    uint32_t size, used;
};

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* False if nothing follows from a difference: the host's maker has it otherwise (makers.c). */
bool outcomes_comparable(const struct forms *f, const struct test *t, const struct outcome *native,
                         const struct outcome *engine);
/* The differences as text, `native` first; true if there is none. `text` may be NULL. */
bool outcomes_equal(const struct forms *f, const struct test *t, const struct outcome *native,
                    const struct outcome *engine, bool strict, struct text *text);
/* The case: bytes, disassembly, and all registers that are not 0. */
void test_print(const struct forms *f, const struct test *t, struct text *text);

/* ---- shrinking: shrink.c -------------------------------------------------------------------- */

/* Runs it on both sides. True if they differ; the outcomes are in the last two. */
typedef bool differs_fn(void *context, const struct test *t, struct outcome *native,
                        struct outcome *engine);
/* Takes away from `t` what is not needed to make it differ. */
void test_shrink(const struct forms *f, struct test *t, differs_fn *differs, void *context);

#endif
