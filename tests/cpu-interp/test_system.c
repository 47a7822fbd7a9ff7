/* SPDX-License-Identifier: MIT
 *
 * test_system.c - control registers, descriptor tables, MSRs, CPUID, ports (SDM 3, chapters 2 and
 * 9; SDM 4).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench.h"

#define NON_CANONICAL 0x8000000000000000u
#define MSR_EFER 0xc0000080u
#define MSR_LSTAR 0xc0000082u
#define MSR_FS_BASE 0xc0000100u
#define MSR_PAT 0x277u
#define MSR_KVM_WALL_CLOCK 0x4b564d00u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u

static int setup(void **state)
{
    *state = bench_create(1);
    return 0;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

static int wrmsr(struct bench *b, uint32_t index, uint64_t value)
{
    struct cpu *c = b->cpu[0];

    c->reg[RCX] = index;
    c->reg[RAX] = (uint32_t)value;
    c->reg[RDX] = value >> 32;
    return BENCH_RUN(b, 0x0f, 0x30);
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

static void msrs_hold_what_is_written(void **state)
{
    static const struct {
        uint32_t index;
        uint64_t value;
    } held[] = {
        {0x174, 8},
        {0x175, 0xffff800000001234},
        {0x176, 0x1234},
        {0x200, 0x80000006},
        {0x201, 0x3fff80000800},
        {0x250, 0x0606060606060606},
        {0x26f, 0x0505050505050505},
        {MSR_PAT, 0x0007010600070106},
        {0x2ff, 0xc06},
        {0xc0000081, 0x23001000000000},
        {MSR_LSTAR, 0xffffffff81000000},
        {0xc0000083, 0xffffffff81000100},
        {0xc0000084, 0x47700},
        {MSR_FS_BASE, 0x7fffffffffff},
        {0xc0000101, 0xffff888000000000},
        {0xc0000102, 0x1000},
        {0xc0000103, 5},
        {0x48, 1},
    };
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    for (uint32_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
        assert_int_equal(wrmsr(b, held[i].index, held[i].value), BENCH_STOPPED);
        c->reg[RAX] = c->reg[RDX] = UINT64_MAX;
        assert_int_equal(BENCH_RUN(b, 0x0f, 0x32), BENCH_STOPPED);
        assert_int_equal(c->reg[RDX] << 32 | c->reg[RAX], held[i].value);
    }
    assert_int_equal(c->seg[SEG_FS].base, 0x7fffffffffff);
}

static void bad_75_non_canonical_addresses_and_reserved_bits_are_refused(void **state)
{
    static const struct {
        uint32_t index;
        uint64_t value;
    } bad[] = {
        {0x175, NON_CANONICAL},
        {0x176, NON_CANONICAL},
        {MSR_LSTAR, NON_CANONICAL},
        {0xc0000083, 0x800000000000},
        {MSR_FS_BASE, NON_CANONICAL},
        {0xc0000101, 0xfff0000000000000},
        {0xc0000102, 0x800000000000},
        {0xc0000084, 1ull << 32},
        {0xc0000103, 1ull << 32},
        {MSR_PAT, 2},
        {MSR_PAT, 8},
        {0x2ff, 0x100},
        {0x2ff, 2},
        {0x200, 1ull << 46},
        {0x250, 2},
        {MSR_EFER, 2},
        {MSR_EFER, 1}, /* LME cannot be cleared while paging is on */
        {0x48, 0x100},
        {0x49, 2},
        {0xfe, 0},
        {0x10a, 0},
        {0xce, 0},
    };
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t before = 0, after = 0;
        int readable = msr_get(c, bad[i].index, &before);

        assert_int_equal(wrmsr(b, bad[i].index, bad[i].value), EXC_GP);
        assert_int_equal(b->frame.error, 0);
        assert_int_equal(msr_get(c, bad[i].index, &after), readable);
        assert_int_equal(before, after);
    }
}

/* What one index does is elsewhere: here nothing but #GP(0) may come of any of them. */
static void bad_93_any_index_is_answered_or_refused(void **state)
{
    static const uint32_t starts[] = {0,          0x40000000, 0x4b564d00,
                                      0xc0000000, 0xc0010000, 0xfffffe00};
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint32_t refused = 0;

    for (uint32_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (uint32_t i = 0; i < 0x200; i += 3) {
            int how;

            c->reg[RCX] = starts[s] + i;
            how = BENCH_RUN(b, 0x0f, 0x32);
            assert_true(how == BENCH_STOPPED || how == EXC_GP);
            refused += how == EXC_GP;
            how = wrmsr(b, starts[s] + i, 0x5555aaaa5555aaaa);
            assert_true(how == BENCH_STOPPED || how == EXC_GP);
        }
        bench_mode(b, 0, BENCH_LONG);
    }
    assert_true(refused > 900);
}

static void msrs_belong_to_privilege_0(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_USER);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x32), EXC_GP);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x30), EXC_GP);
}

static void tsc_adjust_follows_writes_of_the_tsc(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t adjust = 0, tsc;

    assert_int_equal(wrmsr(b, 0x10, 1000000), BENCH_STOPPED);
    tsc = cpu_tsc(c);
    assert_in_range(tsc, 1000000, 1001000);
    assert_int_equal(msr_get(c, 0x3b, &adjust), 0);
    assert_in_range(adjust, 990000, 1000000);
    assert_int_equal(wrmsr(b, 0x3b, adjust + 5000000), BENCH_STOPPED);
    assert_in_range(cpu_tsc(c), 6000000, 6002000);
}

static void the_paravirtual_clock_tells_the_time_of_the_tsc(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t tsc, ns, delta;

    b->now_ns = 5000000000;
    assert_int_equal(wrmsr(b, MSR_KVM_SYSTEM_TIME, BENCH_DATA | 1), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_DATA, 4) & 1, 0);
    tsc = bench_peek(b, BENCH_DATA + 8, 8);
    ns = bench_peek(b, BENCH_DATA + 16, 8);
    /* 1 GHz: a tick is a nanosecond. */
    delta = 1000000;
    int8_t shift = (int8_t)bench_peek(b, BENCH_DATA + 28, 1);
    delta = shift >= 0 ? delta << shift : delta >> -shift;
    delta = delta * bench_peek(b, BENCH_DATA + 24, 4) >> 32;
    assert_in_range(delta, 999999, 1000000);
    assert_in_range(ns, 5000000000, 5000001000);
    assert_in_range(cpu_tsc(c) - tsc, 0, 1000);
    assert_int_equal(bench_peek(b, BENCH_DATA + 29, 1), 1);

    assert_int_equal(wrmsr(b, MSR_KVM_WALL_CLOCK, BENCH_DATA + 64), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_DATA + 64, 4) & 1, 0);
    assert_in_range(bench_peek(b, BENCH_DATA + 68, 4), 999999999, 1000000000);
}

/* A register of a snapshot, 0 where the guest has no such clock, is no wish for the time of day. */
static void the_wall_clock_is_written_for_the_guest_alone(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t value;

    bench_poke(b, 0, 0x1122334455667788, 8);
    bench_poke(b, BENCH_DATA, 0x1122334455667788, 8);
    assert_int_equal(msr_restore(c, MSR_KVM_WALL_CLOCK, 0), 0);
    assert_int_equal(wrmsr(b, MSR_KVM_WALL_CLOCK, 0), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, 0, 8), 0x1122334455667788);
    assert_int_equal(msr_restore(c, MSR_KVM_WALL_CLOCK, BENCH_DATA), 0);
    assert_int_equal(bench_peek(b, BENCH_DATA, 8), 0x1122334455667788);
    assert_int_equal(msr_get(c, MSR_KVM_WALL_CLOCK, &value), 0);
    assert_int_equal(value, BENCH_DATA);
    assert_int_equal(msr_restore(c, MSR_KVM_WALL_CLOCK, 1ull << 60), -EINVAL);
}

static void a_paravirtual_clock_outside_memory_harms_nobody(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    assert_int_equal(wrmsr(b, MSR_KVM_SYSTEM_TIME, 0x3ffffffff000 | 1), BENCH_STOPPED);
    assert_int_equal(wrmsr(b, MSR_KVM_SYSTEM_TIME, 1ull << 60 | 1), EXC_GP);
}

/* ---- CPUID ----------------------------------------------------------------------------------- */

static void cpuid_mirrors_what_the_guest_has_enabled(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    c->reg[RAX] = 1;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xa2), BENCH_STOPPED);
    assert_int_equal(c->reg[RCX] >> 27 & 1, 1); /* the bench sets CR4.OSXSAVE */
    assert_int_equal(c->reg[RDX] >> 9 & 1, 1);
    c->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    c->apic_base = 0xfee00000;
    c->reg[RAX] = 1;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xa2), BENCH_STOPPED);
    assert_int_equal(c->reg[RCX] >> 27 & 1, 0);
    assert_int_equal(c->reg[RDX] >> 9 & 1, 0);
}

static void cpuid_beyond_the_highest_leaf_answers_as_the_highest_basic_one(void **state)
{
    static const uint32_t leaves[] = {0x17, 0x3fffffff, 0x40000100, 0x80000009, 0xffffffff};
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    for (uint32_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        c->reg[RAX] = leaves[i];
        c->reg[RCX] = 0;
        assert_int_equal(BENCH_RUN(b, 0x0f, 0xa2), BENCH_STOPPED);
        assert_int_equal(c->reg[RAX], 1000);
        assert_int_equal(c->reg[RCX], 100);
    }
}

static void cpuid_offers_x86_64_v3_and_pcid(void **state)
{
    /* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT */
    const uint32_t v2 = 1u | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23;
    /* FMA, MOVBE, XSAVE, AVX, F16C */
    const uint32_t v3 = 1u << 12 | 1u << 22 | 1u << 26 | 1u << 28 | 1u << 29;
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    c->reg[RAX] = 1;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xa2), BENCH_STOPPED);
    assert_int_equal(c->reg[RCX] & (v2 | v3), v2 | v3);
    assert_int_equal(c->reg[RCX] & 1u << 17, 1u << 17);
    c->reg[RAX] = 7;
    c->reg[RCX] = 0;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xa2), BENCH_STOPPED);
    assert_int_equal(c->reg[RBX] & 1u << 10, 1u << 10); /* INVPCID */
}

/* ---- control registers ----------------------------------------------------------------------- */

static void bad_values_of_control_registers_are_refused(void **state)
{
    static const struct {
        uint8_t modrm; /* MOV CRn, RAX */
        uint64_t clear, set;
    } bad[] = {
        {0xc0, CR0_PE, 0},     {0xc0, CR0_CD, CR0_NW}, {0xc0, CR0_PG, 0},
        {0xc0, 0, 1ull << 32}, {0xe0, CR4_PAE, 0},     {0xe0, 0, 1u << 30},
        {0xe0, 0, 1ull << 40}, {0xd8, 0, 1ull << 46},  {0xd8, 0, 1ull << 63},
    };
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t now = bad[i].modrm == 0xc0 ? c->cr0 : bad[i].modrm == 0xe0 ? c->cr4 : c->cr3;

        c->reg[RAX] = (now & ~bad[i].clear) | bad[i].set;
        assert_int_equal(BENCH_RUN(b, 0x0f, 0x22, bad[i].modrm), EXC_GP);
        assert_int_equal(b->frame.error, 0);
        assert_int_equal(now, bad[i].modrm == 0xc0   ? c->cr0
                              : bad[i].modrm == 0xe0 ? c->cr4
                                                     : c->cr3);
    }
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x22, 0xc8), EXC_UD); /* CR1 */
}

static void protected_mode_turns_long_mode_on_and_jumps_to_64_bit_code(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);
    static const uint8_t code[] = {
        0x0f, 0x20, 0xe0,                         /* mov eax, cr4 */
        0x83, 0xc8, 0x20,                         /* or eax, 0x20: PAE */
        0x0f, 0x22, 0xe0,                         /* mov cr4, eax */
        0xb8, 0x00, 0x00, 0x01, 0x00,             /* mov eax, BENCH_TABLES */
        0x0f, 0x22, 0xd8,                         /* mov cr3, eax */
        0xb9, 0x80, 0x00, 0x00, 0xc0,             /* mov ecx, EFER */
        0xb8, 0x00, 0x01, 0x00, 0x00,             /* mov eax, LME */
        0x31, 0xd2,                               /* xor edx, edx */
        0x0f, 0x30,                               /* wrmsr */
        0x0f, 0x20, 0xc0,                         /* mov eax, cr0 */
        0x0d, 0x00, 0x00, 0x00, 0x80,             /* or eax, PG */
        0x0f, 0x22, 0xc0,                         /* mov cr0, eax */
        0xea, 0x31, 0x80, 0x00, 0x00, 0x08, 0x00, /* jmp BENCH_CS64:BENCH_CODE + 49 */
        0x48, 0xff, 0xc3,                         /* inc rbx */
    };

    assert_int_equal(sizeof(code), 52);
    assert_int_equal(bench_run(b, code, sizeof(code)), BENCH_STOPPED);
    assert_int_equal(c->reg[RBX], 1);
    assert_int_equal(c->efer & EFER_LMA, EFER_LMA);
    assert_int_equal(c->mode & MODE_64, MODE_64);
}

static void paging_with_pae_checks_its_directory_pointers(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    c->cr4 |= CR4_PAE;
    c->cr3 = BENCH_FREE;
    bench_poke(b, BENCH_FREE, (BENCH_TABLES + 0x2000) | 1, 8);
    bench_poke(b, BENCH_FREE + 8, 0x6 | 1, 8); /* reserved bits */
    c->reg[RAX] = c->cr0 | CR0_PG;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x22, 0xc0), EXC_GP);
    assert_int_equal(c->cr0 & CR0_PG, 0);
    bench_poke(b, BENCH_FREE + 8, 0x6, 8); /* but not if it is absent */
    c->reg[RAX] = c->cr0 | CR0_PG;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x22, 0xc0), BENCH_STOPPED);
    assert_int_equal(c->pdpte[0], (BENCH_TABLES + 0x2000) | 1);
}

static void a_debug_register_with_general_detect_raises_db(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->dr7 |= 0x2000;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x21, 0xf0), EXC_DB); /* mov rax, dr6 */
    assert_int_equal(c->dr6 & 0x2000, 0x2000);
    assert_int_equal(c->dr7 & 0x2000, 0);
    assert_int_equal(b->frame.rip, BENCH_CODE);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void lgdt_and_sgdt_move_ten_bytes_in_64_bit_mode(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_DATA, 0x7ff, 2);
    bench_poke(b, BENCH_DATA + 2, BENCH_GDT, 8);
    c->reg[RAX] = BENCH_DATA;
    c->reg[RBX] = BENCH_DATA + 16;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0x10, 0x0f, 0x01, 0x03), BENCH_STOPPED);
    assert_int_equal(c->gdt.base, BENCH_GDT);
    assert_memory_equal(b->ram + BENCH_DATA, b->ram + BENCH_DATA + 16, 10);
}

static void bad_76_a_non_canonical_table_is_refused(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_DATA, 0xfff, 2);
    bench_poke(b, BENCH_DATA + 2, NON_CANONICAL, 8);
    c->reg[RAX] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0x10), EXC_GP);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0x18), EXC_GP);
    assert_int_equal(c->gdt.base, BENCH_GDT);
    assert_int_equal(c->idt.base, BENCH_IDT);
}

static void ltr_marks_a_tss_busy_and_refuses_a_busy_one(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = BENCH_TR;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x00, 0xd8), EXC_GP);
    assert_int_equal(b->frame.error, BENCH_TR);
    bench_poke(b, BENCH_GDT + BENCH_TR + 5, 0x89, 1);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x00, 0xd8), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_GDT + BENCH_TR + 5, 1), 0x8b);
}

static void lar_and_lsl_tell_of_a_descriptor_by_zf(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = BENCH_DS;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x02, 0xc8, 0x0f, 0x03, 0xd0), BENCH_STOPPED);
    assert_int_equal(c->reg[RCX], 0xc09300);
    assert_int_equal(c->reg[RDX], 0xffffffff);
    assert_int_equal(bench_arithmetic(b) & FLAG_ZF, FLAG_ZF);
    c->reg[RAX] = 0x7f8;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x02, 0xc8), BENCH_STOPPED);
    assert_int_equal(c->reg[RCX], 0xc09300);
    assert_int_equal(bench_arithmetic(b) & FLAG_ZF, 0);
}

static void umip_hides_tables_from_user_mode(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    c->reg[RBX] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0x0b), BENCH_STOPPED); /* sidt [rbx] */
    c->cr4 |= CR4_UMIP;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0x0b), EXC_GP);
}

/* ---- small ones ------------------------------------------------------------------------------ */

static void swapgs_exchanges_and_wrgsbase_checks(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->kernel_gs_base = 0x1234;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xf8), BENCH_STOPPED);
    assert_int_equal(c->seg[SEG_GS].base, 0x1234);
    assert_int_equal(c->kernel_gs_base, 0);
    c->reg[RAX] = NON_CANONICAL;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x48, 0x0f, 0xae, 0xd8), EXC_GP);
    bench_mode(b, 0, BENCH_USER);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xf8), EXC_GP);
}

static void cli_and_sti_need_iopl(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_USER);
    assert_int_equal(BENCH_RUN(b, 0xfa), EXC_GP);
    assert_int_equal(BENCH_RUN(b, 0xfb), EXC_GP);
    bench_rflags_set(b, 0, FLAG_IOPL);
    assert_int_equal(BENCH_RUN(b, 0xfb), BENCH_STOPPED);
    assert_int_equal(b->frame.rflags & FLAG_IF, FLAG_IF);
}

static void rdtsc_grows_and_obeys_tsd(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);
    uint64_t before = cpu_tsc(c);

    assert_int_equal(BENCH_RUN(b, 0x0f, 0x31), BENCH_STOPPED);
    assert_true((c->reg[RDX] << 32 | c->reg[RAX]) > before);
    c->cr4 |= CR4_TSD;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x31), EXC_GP);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static void in_and_out_have_the_width_of_their_operand(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    for (uint32_t i = 0; i < 4; i++)
        b->port[0x60 + i] = (uint8_t)(0x11 * (i + 1));
    c->reg[RAX] = 0xffffffffffffffff;
    assert_int_equal(BENCH_RUN(b, 0xe4, 0x60), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0xffffffffffffff11);
    c->reg[RDX] = 0x60;
    assert_int_equal(BENCH_RUN(b, 0x66, 0xed), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0xffffffffffff2211);
    assert_int_equal(BENCH_RUN(b, 0xed), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0x44332211);
    b->accesses = 0;
    assert_int_equal(BENCH_RUN(b, 0xee, 0x66, 0xef), BENCH_STOPPED);
    assert_int_equal(b->access[0].value, 0x11);
    assert_int_equal(b->access[0].width, 1);
    assert_int_equal(b->access[1].value, 0x2211);
}

static void user_mode_has_the_ports_of_the_bitmap_only(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    c->reg[RDX] = 0x17;
    assert_int_equal(BENCH_RUN(b, 0xec), EXC_GP);
    c->seg[SEG_TR].limit = 0x6b;
    bench_poke(b, BENCH_TSS + 0x68, 0xfffeffff, 4); /* port 0x10 only */
    bench_poke(b, BENCH_TSS + 0x6a, 0x7f, 1);       /* and 0x17, not 0x18 */
    assert_int_equal(BENCH_RUN(b, 0xec), BENCH_STOPPED);
    assert_int_equal(BENCH_RUN(b, 0x66, 0xed), EXC_GP);
    c->reg[RDX] = 0x20;
    assert_int_equal(BENCH_RUN(b, 0xec), EXC_GP); /* beyond the limit */
}

static void rep_outs_and_ins_move_strings(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_DATA, 0x44332211, 4);
    c->reg[RSI] = BENCH_DATA;
    c->reg[RCX] = 4;
    c->reg[RDX] = 0x3f8;
    b->accesses = 0;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x6e), BENCH_STOPPED);
    assert_int_equal(b->accesses, 4);
    assert_int_equal(b->access[3].value, 0x44);
    assert_int_equal(c->reg[RSI], BENCH_DATA + 4);
    assert_int_equal(c->reg[RCX], 0);
    b->port[0x3f8] = 0x77;
    c->reg[RDI] = BENCH_DATA + 8;
    c->reg[RCX] = 3;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x6c), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_DATA + 8, 4), 0x777777);
}

static void ins_reads_no_port_when_its_memory_is_absent(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_page_set(b, BENCH_DATA + 0x1000, 0);
    c->reg[RDI] = BENCH_DATA + 0xffe;
    c->reg[RCX] = 5;
    b->accesses = 0;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x6c), EXC_PF);
    assert_int_equal(b->accesses, 2);
    assert_int_equal(c->reg[RCX], 3);
    assert_int_equal(c->reg[RDI], BENCH_DATA + 0x1000);
    assert_int_equal(b->frame.rip, BENCH_CODE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(msrs_hold_what_is_written),
        T(bad_75_non_canonical_addresses_and_reserved_bits_are_refused),
        T(bad_93_any_index_is_answered_or_refused),
        T(msrs_belong_to_privilege_0),
        T(tsc_adjust_follows_writes_of_the_tsc),
        T(the_paravirtual_clock_tells_the_time_of_the_tsc),
        T(the_wall_clock_is_written_for_the_guest_alone),
        T(a_paravirtual_clock_outside_memory_harms_nobody),
        T(cpuid_mirrors_what_the_guest_has_enabled),
        T(cpuid_beyond_the_highest_leaf_answers_as_the_highest_basic_one),
        T(cpuid_offers_x86_64_v3_and_pcid),
        T(bad_values_of_control_registers_are_refused),
        T(protected_mode_turns_long_mode_on_and_jumps_to_64_bit_code),
        T(paging_with_pae_checks_its_directory_pointers),
        T(a_debug_register_with_general_detect_raises_db),
        T(lgdt_and_sgdt_move_ten_bytes_in_64_bit_mode),
        T(bad_76_a_non_canonical_table_is_refused),
        T(ltr_marks_a_tss_busy_and_refuses_a_busy_one),
        T(lar_and_lsl_tell_of_a_descriptor_by_zf),
        T(umip_hides_tables_from_user_mode),
        T(swapgs_exchanges_and_wrgsbase_checks),
        T(cli_and_sti_need_iopl),
        T(rdtsc_grows_and_obeys_tsd),
        T(in_and_out_have_the_width_of_their_operand),
        T(user_mode_has_the_ports_of_the_bitmap_only),
        T(rep_outs_and_ins_move_strings),
        T(ins_reads_no_port_when_its_memory_is_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
