/* SPDX-License-Identifier: MIT
 *
 * test_blocks.c - a block does what its instructions do one by one. Of many instructions the engine
 * has several handlers, chosen by what comes after: for flags that nobody reads, or CF alone; for a
 * compare and its branch; and by what the processor has on: a quick way, and a slow one. Here each
 * runs in a block and, by breakpoints that are never hit, one instruction at a time and with no
 * quick access to memory; both must leave the same. That single instructions are right the oracle
 * says.
 */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "decode/features.h"
#include "decode/insn.h"
#include "fpu/mxcsr.h"

#define DR7_WATCH 0x000f0403u /* breakpoint 0: four bytes, reads and writes */
#define WATCHED 0xf00000u     /* where nobody goes */

static int setup(void **state)
{
    *state = bench_create(1);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

struct code {
    uint8_t bytes[48];
    uint32_t length;
};

static void add(struct code *code, const void *bytes, uint32_t length)
{
    memcpy(code->bytes + code->length, bytes, length);
    code->length += length;
}

#define ADD(code, ...)                                                                             \
    add((code), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

struct left {
    uint64_t reg[16], memory[8];
    uint64_t flags;
    union vreg v[4];
    uint32_t mxcsr;
    int end;
};

struct fixture {
    struct bench *b;
    struct cpu *c;
    uint64_t a, d; /* operands */
    uint64_t flags;
    uint32_t mxcsr;
    uint32_t cases;
};

static void run(struct fixture *f, const struct code *code, bool one_by_one, uint32_t mxcsr,
                struct left *left)
{
    struct cpu *c = f->c;

    memset(left, 0, sizeof(*left));
    for (uint32_t i = 0; i < 16; i++)
        if (i != RSP)
            c->reg[i] = 0;
    c->reg[RAX] = f->a;
    c->reg[RDX] = f->d;
    c->reg[RCX] = f->d;
    c->reg[RSI] = BENCH_DATA;
    bench_rflags_set(f->b, 0, f->flags);
    memset(f->b->ram + BENCH_DATA, 0, sizeof(left->memory));
    for (uint32_t i = 0; i < 4; i++)
        bench_poke(f->b, BENCH_DATA + 8 * i, i & 1 ? f->d : f->a, 8);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < 4; k++)
            c->v[i].u64[k] = (i + k) & 1 ? f->d : f->a;
    mxcsr_load(c, mxcsr);
    c->dr[0] = WATCHED;
    c->dr7 = one_by_one ? DR7_WATCH : 0x400;
    cpu_mode_changed(c);
    left->end = bench_run(f->b, code->bytes, code->length);
    c->dr7 = 0x400;
    cpu_mode_changed(c);
    memcpy(left->reg, c->reg, sizeof(left->reg));
    memcpy(left->memory, f->b->ram + BENCH_DATA, sizeof(left->memory));
    memcpy(left->v, c->v, sizeof(left->v));
    left->flags = bench_rflags(f->b, 0) & (FLAGS_ARITHMETIC | FLAG_DF);
    left->mxcsr = mxcsr_sync(c) & 0x3f;
}

static void compare(struct fixture *f, const struct code *code, uint32_t mxcsr)
{
    struct left block, single;
    char text[400] = "";

    run(f, code, false, f->mxcsr, &block);
    run(f, code, true, mxcsr, &single);
    f->cases++;
    if (!memcmp(&block, &single, sizeof(block)))
        return;
    for (uint32_t i = 0; i < code->length; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " %02x", code->bytes[i]);
    for (uint32_t i = 0; i < 16; i++)
        if (block.reg[i] != single.reg[i])
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "; register %u %llx %llx", i,
                     (unsigned long long)block.reg[i], (unsigned long long)single.reg[i]);
    fail_msg("%s; flags %llx %llx; ends %d %d; MXCSR %x %x; XMM0 %llx %llx", text,
             (unsigned long long)block.flags, (unsigned long long)single.flags, block.end,
             single.end, block.mxcsr, single.mxcsr, (unsigned long long)block.v[0].u64[0],
             (unsigned long long)single.v[0].u64[0]);
}

static struct fixture begin(void **state)
{
    struct fixture f = {.b = *state, .mxcsr = MXCSR_DEFAULT};

    f.c = bench_mode(f.b, 0, BENCH_LONG);
    f.c->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    f.c->xcr0 = 7;
    cpu_mode_changed(f.c);
    return f;
}

/* ---- integers ------------------------------------------------------------------------------- */

/* Instructions by their opcode; `group`: ModRM's middle. `immediate`: 8 bits, or 1 for 16 or 32 as
 * the size has it. */
struct shape {
    uint8_t opcode, group, immediate, map;
    bool bytes, wide; /* there for 8 bits; for 16, 32 and 64 */
};

static const struct shape others[] = {
    {0x84, 2, 0, 0, true, false}, {0x85, 2, 0, 0, false, true}, /* TEST r/m, r */
    {0xf6, 0, 8, 0, true, false}, {0xf7, 0, 1, 0, false, true}, /* TEST r/m, imm */
    {0xf7, 0, 2, 0, false, true},                               /* the same */
    {0xf6, 2, 0, 0, true, false}, {0xf7, 2, 0, 0, false, true}, /* NOT */
    {0xf6, 3, 0, 0, true, false}, {0xf7, 3, 0, 0, false, true}, /* NEG */
    {0xf6, 4, 0, 0, true, false}, {0xf7, 4, 0, 0, false, true}, /* MUL */
    {0xf6, 5, 0, 0, true, false}, {0xf7, 5, 0, 0, false, true}, /* IMUL */
    {0xfe, 0, 0, 0, true, false}, {0xff, 0, 0, 0, false, true}, /* INC */
    {0xfe, 1, 0, 0, true, false}, {0xff, 1, 0, 0, false, true}, /* DEC */
    {0xaf, 2, 0, 1, false, true}, {0x69, 2, 1, 0, false, true}, /* IMUL */
    {0xb6, 2, 0, 1, false, true}, {0xb7, 2, 0, 1, false, true}, /* MOVZX */
    {0xbe, 2, 0, 1, false, true}, {0xbf, 2, 0, 1, false, true}, /* MOVSX */
    {0xc1, 4, 8, 0, false, true}, {0xc1, 5, 8, 0, false, true}, /* SHL, SHR */
    {0xc1, 7, 8, 0, false, true}, {0xd3, 4, 0, 0, false, true}, /* SAR; SHL by CL */
    {0xc0, 4, 8, 0, true, false}, {0xd3, 7, 0, 0, false, true},
};

enum place { REGISTER, QUICK, GENERAL, PLACES }; /* rax or rdx; [rsi]; gs:[esi] */

static void encode(struct code *code, const struct shape *s, uint32_t bits, enum place place)
{
    if (place == GENERAL)
        ADD(code, 0x65, 0x67);
    if (bits == 16)
        ADD(code, 0x66);
    if (bits == 64)
        ADD(code, 0x48);
    if (s->map)
        ADD(code, 0x0f);
    ADD(code, s->opcode, (uint8_t)((place == REGISTER ? 0xc0 : 0x06) | s->group << 3));
    if (s->immediate == 8)
        ADD(code, 0x03);
    else if (s->immediate == 2) /* one that a fused compare has room for */
        add(code, (const uint8_t[]){0x07, 0x00, 0x00, 0x00}, bits == 16 ? 2 : 4);
    else if (s->immediate && bits == 16)
        ADD(code, 0x34, 0x82);
    else if (s->immediate)
        ADD(code, 0x78, 0x56, 0x34, 0x82);
}

/* The instruction, with each of what may follow it. */
static void try_followers(struct fixture *f, const struct code *start)
{
    for (uint32_t n = 0; n < 19; n++) {
        struct code code = *start;

        if (n < 16) /* a conditional branch over an instruction */
            ADD(&code, (uint8_t)(0x70 + n), 0x03, 0x48, 0xff, 0xc7);
        else if (n == 16) /* TEST, which leaves nothing of the flags */
            ADD(&code, 0x84, 0xc9);
        else if (n == 17) /* SETC of a register, then TEST: CF alone counts */
            ADD(&code, 0x40, 0x0f, 0x92, 0xc3, 0x84, 0xc9);
        compare(f, &code, MXCSR_DEFAULT);
    }
}

static void try_shape(struct fixture *f, const struct shape *s)
{
    static const uint64_t operands[][2] = {
        {5, 5}, {0x8000000080008080, 1}, {3, 0xfffffffffffffffe}, {0, 0x7fffffff7fff7f7f}};

    for (uint32_t bits = s->bytes ? 8 : 16; bits <= (s->wide ? 64u : 8u); bits *= 2)
        for (uint32_t place = 0; place < PLACES; place++) {
            struct code code = {.length = 0};

            encode(&code, s, bits, (enum place)place);
            for (uint32_t i = 0; i < sizeof(operands) / sizeof(operands[0]); i++) {
                f->a = operands[i][0];
                f->d = operands[i][1];
                f->flags = i & 1 ? FLAG_CF : 0;
                try_followers(f, &code);
            }
        }
}

static void arithmetic_with_whatever_reads_its_flags(void **state)
{
    struct fixture f = begin(state);

    for (uint8_t op = 0; op < 8; op++) {
        const struct shape shapes[] = {
            {(uint8_t)(op * 8), 2, 0, 0, true, false},
            {(uint8_t)(op * 8 + 1), 2, 0, 0, false, true},
            {(uint8_t)(op * 8 + 2), 2, 0, 0, true, false},
            {(uint8_t)(op * 8 + 3), 2, 0, 0, false, true},
            {0x80, op, 8, 0, true, false},
            {0x81, op, 1, 0, false, true},
            {0x83, op, 8, 0, false, true},
        };
        for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
            try_shape(&f, &shapes[i]);
    }
    for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        try_shape(&f, &others[i]);
    assert_in_range(f.cases, 10000, 100000);
}

/* ---- vectors -------------------------------------------------------------------------------- */

/* Whether it is one that this test can run: vector registers, 16 bytes at [rsi]. */
static bool is_vector(const struct code *code, struct insn *insn)
{
    if (insn_decode(code->bytes, code->length, MODE_64 | MODE_PE | MODE_FLAT, insn) ||
        insn->length != code->length || insn->ends || insn->branches)
        return false;
    for (uint32_t i = 0; i < insn->count; i++)
        if (insn->op[i].kind == OPERAND_REG && insn->op[i].file == FILE_XMM)
            return true;
    return false;
}

/* Legacy SSE, whose handlers have a twin for what is not the usual case: here an exception that is
 * not masked, and an operand that the TLB does not give. */
static void vector_instructions_with_an_unmasked_exception(void **state)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    struct fixture f = begin(state);

    f.a = 0x3ff8000040200000;
    f.d = 0x4008000040a00000;
    for (uint32_t map = 1; map <= 3; map++)
        for (uint32_t p = 0; p < 4; p++)
            for (uint32_t opcode = 0; opcode < 256; opcode++)
                for (uint32_t memory = 0; memory < 2; memory++) {
                    struct code code = {.length = 0};
                    struct insn insn;

                    if (prefixes[p])
                        ADD(&code, prefixes[p]);
                    ADD(&code, 0x0f);
                    if (map > 1)
                        ADD(&code, map == 2 ? 0x38 : 0x3a);
                    ADD(&code, (uint8_t)opcode, memory ? 0x06 : 0xc1);
                    if (!is_vector(&code, &insn)) {
                        ADD(&code, 0x05);
                        if (!is_vector(&code, &insn))
                            continue;
                    }
                    compare(&f, &code, MXCSR_DEFAULT & ~0x200u); /* division by zero */
                }
    assert_in_range(f.cases, 400, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arithmetic_with_whatever_reads_its_flags, setup, teardown),
        cmocka_unit_test_setup_teardown(vector_instructions_with_an_unmasked_exception, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
