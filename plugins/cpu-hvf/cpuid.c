/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/cpuid.c - CPUID: what can be offered to guests of this processor, and the exit.
 *
 * Intel SDM 2A, CPUID. The host's own leaves, without what a guest cannot have here: each kept bit
 * is named. States beyond AVX are left out, as are protection keys, SGX, PT, and the bits of MSRs
 * that msr.c lacks.
 */
#include "hvf.h"

#include <cpuid.h>
#include <string.h>

enum { EAX, EBX, ECX, EDX };

/* Leaf 1, ECX: SSE3, PCLMUL, SSSE3, FMA, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, AVX,
 * F16C, RDRAND. EDX: all but reserved ones, DS, thermal control, HTT, PBE. */
#define LEAF1_ECX 0x76d83203u
#define LEAF1_EDX 0x0f8bfbffu
#define LEAF1_X2APIC (1u << 21)
#define LEAF1_TSC_DEADLINE (1u << 24)
#define LEAF1_HYPERVISOR (1u << 31)
/* Leaf 7, EBX: FSGSBASE, TSC_ADJUST, BMI1, AVX2, FDP, SMEP, BMI2, ERMS, INVPCID, FCS, RDSEED, ADX,
 * SMAP, CLFLUSHOPT, CLWB, SHA. ECX: UMIP, GFNI, VAES, VPCLMULQDQ, RDPID. EDX: FSRM, SERIALIZE. */
#define LEAF7_EBX 0x219c27ebu
#define LEAF7_INVPCID (1u << 10)
#define LEAF7_ECX 0x00400704u
#define LEAF7_EDX 0x00004010u
#define XCR0_OFFERED 7u
/* 0x80000001, ECX: LAHF, LZCNT, PREFETCHW. EDX: SYSCALL, NX, 1 GiB pages, RDTSCP, long mode. */
#define EXT1_ECX 0x00000121u
#define EXT1_EDX 0x2c100800u
#define EXT1_RDTSCP (1u << 27)
#define RDPID (1u << 22)
#define PCID (1u << 17)

/* ---- what is offered ------------------------------------------------------------------------ */

static struct bp_x86_cpuid_leaf *add(struct bp_x86_cpuid *t, uint32_t leaf, int32_t subleaf)
{
    struct bp_x86_cpuid_leaf *l = &t->leaves[t->count++];

    *l = (struct bp_x86_cpuid_leaf){.leaf = leaf};
    if (subleaf >= 0) {
        l->subleaf = (uint32_t)subleaf;
        l->has_subleaf = 1;
    }
    __cpuid_count(leaf, l->subleaf, l->eax, l->ebx, l->ecx, l->edx);
    return l;
}

static uint32_t add_basic(const struct vm *vm, struct bp_x86_cpuid *t)
{
    struct bp_x86_cpuid_leaf *l = add(t, 0, -1);
    uint32_t last = l->eax;

    l->eax = last > 0x16 || vm->tsc_hz % 1000000 == 0 ? 0x16 : last;
    l = add(t, 1, -1);
    l->ebx = 0x800 | (l->ebx & 0xff00); /* CLFLUSH line */
    l->ecx = (l->ecx & (LEAF1_ECX | (vm->proc2 & PROC2_INVPCID ? PCID : 0))) | LEAF1_X2APIC |
             LEAF1_TSC_DEADLINE | LEAF1_HYPERVISOR;
    l->edx &= LEAF1_EDX;
    add(t, 2, -1);
    for (int32_t i = 0; last >= 4 && i < 8; i++)
        if (!(add(t, 4, i)->eax & 0x1f))
            break;
    l = add(t, 6, -1);
    *l = (struct bp_x86_cpuid_leaf){.leaf = 6, .eax = 4}; /* ARAT */
    return last;
}

static void add_features(const struct vm *vm, struct bp_x86_cpuid *t, uint32_t last)
{
    struct bp_x86_cpuid_leaf *l;

    if (last >= 7) {
        l = add(t, 7, 0);
        l->eax = 0;
        l->ebx &= vm->proc2 & PROC2_INVPCID ? LEAF7_EBX : LEAF7_EBX & ~LEAF7_INVPCID;
        l->ecx &= vm->proc2 & PROC2_RDTSCP ? LEAF7_ECX : LEAF7_ECX & ~RDPID;
        l->edx &= LEAF7_EDX;
    }
    if (last >= 0xd) {
        l = add(t, 0xd, 0);
        l->eax &= XCR0_OFFERED;
        l->ecx = l->ebx = l->eax & 4 ? 576 + 256 : 576;
        l->edx = 0;
        l = add(t, 0xd, 1);
        l->eax &= 1; /* XSAVEOPT */
        l->ebx = l->ecx = l->edx = 0;
        if (t->leaves[t->count - 2].eax & 4)
            add(t, 0xd, 2);
    }
}

/* TSC = crystal * EBX / EAX, as far as whole MHz can say it: the crystal is the local APIC timer's
 * clock, 1 GHz. */
static void add_frequencies(const struct vm *vm, struct bp_x86_cpuid *t)
{
    uint32_t mhz = (uint32_t)(vm->tsc_hz / 1000000);

    t->leaves[t->count++] = (struct bp_x86_cpuid_leaf){
        .leaf = 0x15,
        .eax = vm->tsc_hz % 1000000 == 0 ? 1000 : 0,
        .ebx = vm->tsc_hz % 1000000 == 0 ? mhz : 0,
        .ecx = vm->tsc_hz % 1000000 == 0 ? 1000000000 : 0,
    };
    t->leaves[t->count++] =
        (struct bp_x86_cpuid_leaf){.leaf = 0x16, .eax = mhz, .ebx = mhz, .ecx = 100};
}

static void add_extended(const struct vm *vm, struct bp_x86_cpuid *t)
{
    struct bp_x86_cpuid_leaf *l = add(t, 0x80000000, -1);
    uint32_t last = l->eax < 0x80000008 ? l->eax : 0x80000008;

    l->eax = last;
    l->ebx = l->ecx = l->edx = 0;
    for (uint32_t leaf = 0x80000001; leaf <= last && last >> 31; leaf++) {
        l = add(t, leaf, -1);
        if (leaf == 0x80000001) {
            l->eax = l->ebx = 0;
            l->ecx &= EXT1_ECX;
            l->edx &= vm->proc2 & PROC2_RDTSCP ? EXT1_EDX : EXT1_EDX & ~EXT1_RDTSCP;
        } else if (leaf == 0x80000007) {
            l->eax = l->ebx = l->ecx = 0;
            l->edx &= 0x100; /* invariant TSC */
        } else if (leaf == 0x80000008) {
            l->eax &= 0xffff;
            l->ebx = l->ecx = l->edx = 0;
        }
    }
}

void cpuid_offered(struct vm *vm, struct bp_x86_cpuid *out)
{
    uint32_t last;

    memset(out, 0, sizeof(*out));
    last = add_basic(vm, out);
    add_features(vm, out, last);
    add_frequencies(vm, out);
    out->leaves[out->count++] = (struct bp_x86_cpuid_leaf){
        .leaf = 0x40000000, .eax = 0x40000000, .ebx = 0x6b636142, .ecx = 0x6e616c70, .edx = 0x65};
    add_extended(vm, out);
}

/* ---- what a vCPU has ------------------------------------------------------------------------ */

static const struct bp_x86_cpuid_leaf *find(const struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < v->cpuid.count; i++) {
        const struct bp_x86_cpuid_leaf *l = &v->cpuid.leaves[i];

        if (l->leaf == leaf && (!l->has_subleaf || l->subleaf == subleaf))
            return l;
    }
    return NULL;
}

bool cpuid_has(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t bit)
{
    const struct bp_x86_cpuid_leaf *l = find(v, leaf, subleaf);

    if (!l)
        return false;
    return (reg == EAX ? l->eax : reg == EBX ? l->ebx : reg == ECX ? l->ecx : l->edx) >> bit & 1;
}

uint32_t cpuid_physical_bits(const struct vcpu *v)
{
    const struct bp_x86_cpuid_leaf *l = find(v, 0x80000008, 0);
    uint32_t bits = l ? l->eax & 0xff : 36;

    return bits < 32 ? 32 : bits > 52 ? 52 : bits;
}

uint64_t cpuid_xcr0(const struct vcpu *v)
{
    const struct bp_x86_cpuid_leaf *l = find(v, 0xd, 0);

    return l ? (l->eax | (uint64_t)l->edx << 32) & XCR0_OFFERED : 1;
}

static uint64_t cr4_bits(const struct vcpu *v)
{
    static const struct {
        uint32_t leaf, reg, bit, cr4;
    } table[] = {
        {1, EDX, 1, 0x3},      {1, EDX, 13, 0x80},     {1, EDX, 24, 0x200},   {1, EDX, 25, 0x400},
        {7, ECX, 2, 0x800},    {7, EBX, 0, 0x10000},   {1, ECX, 17, 0x20000}, {1, ECX, 26, 0x40000},
        {7, EBX, 7, 0x100000}, {7, EBX, 20, 0x200000},
    };
    uint64_t bits = 0x17c; /* TSD, DE, PSE, PAE, MCE, PCE */

    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (cpuid_has(v, table[i].leaf, 0, table[i].reg, table[i].bit))
            bits |= table[i].cr4;
    return bits;
}

void cpuid_take(struct vcpu *v, const struct bp_x86_cpuid *table)
{
    uint64_t cr4 = cr4_read(v);

    v->cpuid = *table;
    v->cr4_allowed = cr4_bits(v);
    cr4_put(v, cr4);
}

/* ---- the instruction ------------------------------------------------------------------------ */

/* The leaf that answers for one beyond its range: the highest basic one. */
static uint32_t in_range(const struct vcpu *v, uint32_t leaf)
{
    const struct bp_x86_cpuid_leaf *first = find(v, leaf & 0xc0000000, 0);

    if (first && leaf <= first->eax)
        return leaf;
    first = find(v, 0, 0);
    return first ? first->eax : 0;
}

/* What mirrors the state of the processor. */
static void adjust(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    uint64_t apic_base = 0;

    if (leaf == 1) {
        out[ECX] &= ~(1u << 27);
        if (field_read(v, VMX_CR4) & CR4_OSXSAVE)
            out[ECX] |= 1u << 27;
        msr_read(v, BP_IRQCHIP_MSR_APIC_BASE, &apic_base);
        if (!(apic_base & 0x800))
            out[EDX] &= ~(1u << 9);
    } else if (leaf == 0xd && subleaf <= 1 && out[EBX]) {
        out[EBX] = reg_read(v, HV_X86_XCR0) & 4 ? 576 + 256 : 576;
    }
}

void cpuid_exit(struct vcpu *v)
{
    uint32_t leaf = in_range(v, (uint32_t)gpr_read(v, GPR_RAX));
    uint32_t subleaf = (uint32_t)gpr_read(v, GPR_RCX), out[4] = {0};
    const struct bp_x86_cpuid_leaf *l = find(v, leaf, subleaf);

    if (l) {
        out[EAX] = l->eax;
        out[EBX] = l->ebx;
        out[ECX] = l->ecx;
        out[EDX] = l->edx;
        adjust(v, leaf, subleaf, out);
    } else if (leaf == 0xb || leaf == 0x1f) {
        /* Levels that do not exist still tell the level asked for and the APIC ID. */
        l = find(v, leaf, 0);
        if (l) {
            out[ECX] = subleaf & 0xff;
            out[EDX] = l->edx;
        }
    }
    gpr_write(v, GPR_RAX, out[EAX]);
    gpr_write(v, GPR_RBX, out[EBX]);
    gpr_write(v, GPR_RCX, out[ECX]);
    gpr_write(v, GPR_RDX, out[EDX]);
    exit_skip(v);
}
