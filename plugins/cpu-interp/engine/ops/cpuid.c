/* SPDX-License-Identifier: MIT
 *
 * ops/cpuid.c - the CPUID instruction, what the engine offers in it, and what follows from the
 * table that a vCPU is given.
 *
 * Intel SDM 2A, CPUID; KVM's leaves from the Linux kernel's documentation, virt/kvm/x86/cpuid. The
 * processor says it is an Intel one of family 6, with the features that the engine has: x86-64-v3
 * and what makes kernels quick here.
 */
#include "privileged.h"

#include <string.h>

#include <Zydis/Mnemonic.h>

#include "../decode/emit.h"
#include "../decode/features.h"
#include "../engine.h"

enum { EAX, EBX, ECX, EDX };

#define SIGNATURE 0x000806f8u /* family 6, model 8Fh, stepping 8 */
#define PHYSICAL_BITS 46u
#define LINEAR_BITS 48u

/* ---- feature bits ---------------------------------------------------------------------------- */

/* One bit each: where CPUID has it, which feature of the decoder it is (FEATURE_BASE: none), and
 * whether it is offered. */
static const struct bit {
    uint32_t leaf;
    uint8_t subleaf, reg, bit, feature;
    bool offered;
} bits[] = {
    {1, 0, EDX, 0, FEATURE_X87, true},
    {1, 0, EDX, 1, FEATURE_BASE, true}, /* VME */
    {1, 0, EDX, 2, FEATURE_BASE, true}, /* DE */
    {1, 0, EDX, 3, FEATURE_BASE, true}, /* PSE */
    {1, 0, EDX, 4, FEATURE_BASE, true}, /* TSC */
    {1, 0, EDX, 5, FEATURE_BASE, true}, /* MSR */
    {1, 0, EDX, 6, FEATURE_BASE, true}, /* PAE */
    {1, 0, EDX, 7, FEATURE_BASE, true}, /* MCE */
    {1, 0, EDX, 8, FEATURE_CX8, true},
    {1, 0, EDX, 9, FEATURE_BASE, true}, /* APIC */
    {1, 0, EDX, 11, FEATURE_SEP, true},
    {1, 0, EDX, 12, FEATURE_BASE, true}, /* MTRR */
    {1, 0, EDX, 13, FEATURE_PGE, true},
    {1, 0, EDX, 14, FEATURE_BASE, true}, /* MCA: no banks */
    {1, 0, EDX, 15, FEATURE_CMOV, true},
    {1, 0, EDX, 16, FEATURE_BASE, true}, /* PAT */
    {1, 0, EDX, 17, FEATURE_BASE, true}, /* PSE-36 */
    {1, 0, EDX, 19, FEATURE_CLFLUSH, true},
    {1, 0, EDX, 23, FEATURE_MMX, true},
    {1, 0, EDX, 24, FEATURE_FXSR, true},
    {1, 0, EDX, 25, FEATURE_SSE, true},
    {1, 0, EDX, 26, FEATURE_SSE2, true},
    {1, 0, EDX, 27, FEATURE_BASE, true}, /* self snoop */
    {1, 0, ECX, 0, FEATURE_SSE3, true},
    {1, 0, ECX, 1, FEATURE_PCLMUL, true},
    {1, 0, ECX, 9, FEATURE_SSSE3, true},
    {1, 0, ECX, 12, FEATURE_FMA, true},
    {1, 0, ECX, 13, FEATURE_CX16, true},
    {1, 0, ECX, 17, FEATURE_PCID, true},
    {1, 0, ECX, 19, FEATURE_SSE41, true},
    {1, 0, ECX, 20, FEATURE_SSE42, true},
    {1, 0, ECX, 21, FEATURE_X2APIC, true},
    {1, 0, ECX, 22, FEATURE_MOVBE, true},
    {1, 0, ECX, 23, FEATURE_POPCNT, true},
    {1, 0, ECX, 24, FEATURE_TSC_DEADLINE, true},
    {1, 0, ECX, 25, FEATURE_AES, true},
    {1, 0, ECX, 26, FEATURE_XSAVE, true},
    {1, 0, ECX, 28, FEATURE_AVX, true},
    {1, 0, ECX, 29, FEATURE_F16C, true},
    {1, 0, ECX, 30, FEATURE_RDRAND, true},
    {1, 0, ECX, 31, FEATURE_BASE, true}, /* hypervisor */

    {6, 0, EAX, 2, FEATURE_BASE, true}, /* ARAT */

    {7, 0, EBX, 0, FEATURE_FSGSBASE, true},
    {7, 0, EBX, 1, FEATURE_BASE, true}, /* TSC_ADJUST */
    {7, 0, EBX, 3, FEATURE_BMI1, true},
    {7, 0, EBX, 5, FEATURE_AVX2, true},
    {7, 0, EBX, 6, FEATURE_BASE, true}, /* FDP changes with x87 exceptions only */
    {7, 0, EBX, 7, FEATURE_SMEP, true},
    {7, 0, EBX, 8, FEATURE_BMI2, true},
    {7, 0, EBX, 9, FEATURE_BASE, true}, /* ERMS */
    {7, 0, EBX, 10, FEATURE_INVPCID, true},
    {7, 0, EBX, 13, FEATURE_BASE, true}, /* FCS and FDS are 0 */
    {7, 0, EBX, 18, FEATURE_RDSEED, true},
    {7, 0, EBX, 19, FEATURE_ADX, true},
    {7, 0, EBX, 20, FEATURE_SMAP, true},
    {7, 0, EBX, 23, FEATURE_CLFLUSHOPT, true},
    {7, 0, EBX, 24, FEATURE_CLWB, true},
    {7, 0, EBX, 29, FEATURE_SHA, true},
    {7, 0, ECX, 2, FEATURE_UMIP, true},
    {7, 0, ECX, 8, FEATURE_GFNI, false},
    {7, 0, ECX, 22, FEATURE_RDPID, true},
    {7, 0, EDX, 4, FEATURE_BASE, true},  /* FSRM */
    {7, 0, EDX, 10, FEATURE_BASE, true}, /* MD_CLEAR */
    {7, 0, EDX, 14, FEATURE_SERIALIZE, true},
    {7, 0, EDX, 26, FEATURE_BASE, true}, /* IBRS, IBPB */
    {7, 0, EDX, 27, FEATURE_BASE, true}, /* STIBP */
    {7, 0, EDX, 28, FEATURE_BASE, true}, /* L1D_FLUSH */
    {7, 0, EDX, 29, FEATURE_BASE, true}, /* ARCH_CAPABILITIES */
    {7, 0, EDX, 31, FEATURE_BASE, true}, /* SSBD */
    {7, 1, EAX, 10, FEATURE_BASE, true}, /* fast REP MOVSB, STOSB, CMPSB of short length */
    {7, 1, EAX, 11, FEATURE_BASE, true},
    {7, 1, EAX, 12, FEATURE_BASE, true},

    {0xd, 0, EAX, 0, FEATURE_BASE, true}, /* x87, SSE and AVX state */
    {0xd, 0, EAX, 1, FEATURE_BASE, true},
    {0xd, 0, EAX, 2, FEATURE_BASE, true},
    {0xd, 1, EAX, 0, FEATURE_XSAVEOPT, true},
    {0xd, 1, EAX, 1, FEATURE_XSAVEC, false},
    {0xd, 1, EAX, 2, FEATURE_BASE, false}, /* XGETBV of 1 */
    {0xd, 1, EAX, 3, FEATURE_XSAVES, false},

    {0x40000001, 0, EAX, 1, FEATURE_BASE, true},  /* KVM: NOP_IO_DELAY */
    {0x40000001, 0, EAX, 3, FEATURE_BASE, true},  /* CLOCKSOURCE2 */
    {0x40000001, 0, EAX, 24, FEATURE_BASE, true}, /* CLOCKSOURCE_STABLE */

    {0x80000001, 0, ECX, 0, FEATURE_LAHF64, true},
    {0x80000001, 0, ECX, 5, FEATURE_LZCNT, true},
    {0x80000001, 0, ECX, 8, FEATURE_PREFETCHW, true},
    {0x80000001, 0, EDX, 11, FEATURE_SYSCALL, true},
    {0x80000001, 0, EDX, 20, FEATURE_NX, true},
    {0x80000001, 0, EDX, 26, FEATURE_PAGE1GB, true},
    {0x80000001, 0, EDX, 27, FEATURE_RDTSCP, true},
    {0x80000001, 0, EDX, 29, FEATURE_LONG, true},

    {0x80000007, 0, EDX, 8, FEATURE_BASE, true}, /* invariant TSC */
};

#define BITS (sizeof(bits) / sizeof(bits[0]))

static uint32_t *leaf_register(struct bp_x86_cpuid_leaf *leaf, uint32_t reg)
{
    return reg == EAX ? &leaf->eax : reg == EBX ? &leaf->ebx : reg == ECX ? &leaf->ecx : &leaf->edx;
}

/* ---- what is offered ------------------------------------------------------------------------- */

static struct bp_x86_cpuid_leaf *add(struct bp_x86_cpuid *t, uint32_t leaf, int32_t subleaf)
{
    struct bp_x86_cpuid_leaf *l = &t->leaves[t->count++];

    *l = (struct bp_x86_cpuid_leaf){.leaf = leaf};
    if (subleaf >= 0) {
        l->subleaf = (uint32_t)subleaf;
        l->has_subleaf = 1;
    }
    return l;
}

static void add_text(struct bp_x86_cpuid_leaf *l, const char *text)
{
    memcpy(&l->eax, text, 4);
    memcpy(&l->ebx, text + 4, 4);
    memcpy(&l->ecx, text + 8, 4);
    memcpy(&l->edx, text + 12, 4);
}

/* Caches by SDM 2A, CPUID leaf 4: type and level, ways, sets; lines of 64 bytes. A kernel sizes its
 * copies and colours by them. */
static void add_caches(struct bp_x86_cpuid *t)
{
    static const struct {
        uint32_t type, ways, sets;
    } caches[] = {{0x121, 8, 64}, {0x122, 8, 64}, {0x143, 16, 2048}, {0x163, 16, 16384}};

    for (int32_t i = 0; i < 4; i++) {
        struct bp_x86_cpuid_leaf *l = add(t, 4, i);
        l->eax = caches[i].type;
        l->ebx = (caches[i].ways - 1) << 22 | 63;
        l->ecx = caches[i].sets - 1;
    }
    add(t, 4, 4);
}

/* TSC = crystal * EBX / EAX, as far as whole MHz can say it: the crystal is the local APIC timer's
 * clock, 1 GHz. */
static void add_frequencies(struct bp_x86_cpuid *t, uint64_t hz)
{
    uint32_t mhz = (uint32_t)(hz / 1000000);
    struct bp_x86_cpuid_leaf *l = add(t, 0x15, -1);

    if (hz % 1000000 == 0) {
        bool whole = mhz % 1000 == 0;
        l->eax = whole ? 1 : 1000;
        l->ebx = whole ? mhz / 1000 : mhz;
        l->ecx = 1000000000;
    }
    l = add(t, 0x16, -1);
    l->eax = l->ebx = mhz;
    l->ecx = 100;
}

static void offer_bits(struct bp_x86_cpuid *t)
{
    for (uint32_t i = 0; i < BITS; i++) {
        if (!bits[i].offered)
            continue;
        for (uint32_t n = 0; n < t->count; n++)
            if (t->leaves[n].leaf == bits[i].leaf && t->leaves[n].subleaf == bits[i].subleaf)
                *leaf_register(&t->leaves[n], bits[i].reg) |= 1u << bits[i].bit;
    }
}

void cpuid_offered(const struct engine *e, struct bp_x86_cpuid *out)
{
    struct bp_x86_cpuid_leaf *l;

    memset(out, 0, sizeof(*out));
    l = add(out, 0, -1);
    l->eax = 0x16;
    memcpy(&l->ebx, "Genu", 4);
    memcpy(&l->edx, "ineI", 4);
    memcpy(&l->ecx, "ntel", 4);
    l = add(out, 1, -1);
    l->eax = SIGNATURE;
    l->ebx = 64 / 8 << 8; /* CLFLUSH line */
    l = add(out, 2, -1);
    l->eax = 0x00ff0001; /* caches: see leaf 4 */
    add_caches(out);
    add(out, 6, -1);
    l = add(out, 7, 0);
    l->eax = 1;
    add(out, 7, 1);
    add(out, 0xd, 0);
    add(out, 0xd, 1);
    l = add(out, 0xd, 2); /* AVX: 256 bytes behind the header */
    l->eax = 256;
    l->ebx = 576;
    add_frequencies(out, e->tsc_hz);

    l = add(out, 0x40000000, -1);
    l->eax = 0x40000010;
    memcpy(&l->ebx, "KVMK", 4);
    memcpy(&l->ecx, "VMKV", 4);
    memcpy(&l->edx, "M\0\0", 4);
    add(out, 0x40000001, -1);
    l = add(out, 0x40000010, -1);
    l->eax = (uint32_t)(e->tsc_hz / 1000);

    l = add(out, 0x80000000, -1);
    l->eax = 0x80000008;
    add(out, 0x80000001, -1);
    add_text(add(out, 0x80000002, -1), "Backplane softwa");
    add_text(add(out, 0x80000003, -1), "re processor\0\0\0\0");
    add(out, 0x80000004, -1);
    l = add(out, 0x80000006, -1);
    l->ecx = 2048 << 16 | 8 << 12 | 64; /* L2: KiB, ways as coded there, line */
    add(out, 0x80000007, -1);
    l = add(out, 0x80000008, -1);
    l->eax = LINEAR_BITS << 8 | PHYSICAL_BITS;
    offer_bits(out);
}

/* ---- what a vCPU has ------------------------------------------------------------------------- */

static const struct bp_x86_cpuid_leaf *find(const struct cpu *c, uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < c->cpuid.count; i++) {
        const struct bp_x86_cpuid_leaf *l = &c->cpuid.leaves[i];
        if (l->leaf == leaf && (!l->has_subleaf || l->subleaf == subleaf))
            return l;
    }
    return NULL;
}

bool cpuid_has(const struct cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t bit)
{
    const struct bp_x86_cpuid_leaf *found = find(c, leaf, subleaf);
    struct bp_x86_cpuid_leaf copy;

    if (found == NULL)
        return false;
    copy = *found;
    return (*leaf_register(&copy, reg) >> bit & 1) != 0;
}

void cpu_cpuid_set(struct cpu *c, const struct bp_x86_cpuid *table)
{
    const struct bp_x86_cpuid_leaf *sizes;
    uint32_t physical;

    c->cpuid = *table;
    if (c->cpuid.count > BP_X86_CPUID_MAX)
        c->cpuid.count = BP_X86_CPUID_MAX;
    memset(c->features, 0, sizeof(c->features));
    c->features[0] |= 1ull << FEATURE_BASE;
    for (uint32_t i = 0; i < BITS; i++) {
        const struct bit *b = &bits[i];
        if (b->feature != FEATURE_BASE && cpuid_has(c, b->leaf, b->subleaf, b->reg, b->bit))
            c->features[b->feature >> 6] |= 1ull << (b->feature & 63);
    }
    sizes = find(c, 0x80000008, 0);
    physical = sizes != NULL ? sizes->eax & 0xff : 36;
    c->physical_bits = physical < 32 ? 32 : physical > 52 ? 52 : physical;
    /* What was decoded with other features is stale. */
    blocks_drop_all(c);
}

/* ---- the instruction ------------------------------------------------------------------------- */

/* The leaf that answers for one beyond its range: the highest basic one (SDM 2A, CPUID). */
static uint32_t in_range(const struct cpu *c, uint32_t leaf)
{
    uint32_t base = leaf & 0xc0000000;
    const struct bp_x86_cpuid_leaf *first = find(c, base, 0);

    if (first != NULL && leaf <= first->eax)
        return leaf;
    first = find(c, 0, 0);
    return first != NULL ? first->eax : 0;
}

/* What mirrors the state of the processor. */
static void adjust(const struct cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    if (leaf == 1) {
        out[ECX] &= ~(1u << 27);
        if ((c->cr4 & CR4_OSXSAVE) != 0)
            out[ECX] |= 1u << 27;
        if ((c->apic_base & 0x800) == 0)
            out[EDX] &= ~(1u << 9);
    } else if (leaf == 7 && subleaf == 0) {
        out[ECX] &= ~(1u << 4); /* OSPKE: there are no protection keys */
    } else if (leaf == 0xd && subleaf <= 1 && out[EBX] != 0) {
        const struct bp_x86_cpuid_leaf *avx = find(c, 0xd, 2);
        out[EBX] = 576;
        if ((c->xcr0 & 4) != 0 && avx != NULL)
            out[EBX] = subleaf == 0 ? avx->ebx + avx->eax : 576 + avx->eax;
    }
}

void cpuid_answer(const struct cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct bp_x86_cpuid_leaf *l;

    leaf = in_range(c, leaf);
    l = find(c, leaf, subleaf);
    out[EAX] = out[EBX] = out[ECX] = out[EDX] = 0;
    if (l != NULL) {
        out[EAX] = l->eax;
        out[EBX] = l->ebx;
        out[ECX] = l->ecx;
        out[EDX] = l->edx;
        adjust(c, leaf, subleaf, out);
    } else if (leaf == 0xb || leaf == 0x1f) {
        /* Levels that do not exist still tell the level asked for and the APIC ID. */
        l = find(c, leaf, 0);
        if (l != NULL) {
            out[ECX] = subleaf & 0xff;
            out[EDX] = l->edx;
        }
    }
}

static __attribute__((noinline)) void answer(struct cpu *c)
{
    uint32_t out[4];

    cpuid_answer(c, (uint32_t)c->reg[RAX], (uint32_t)c->reg[RCX], out);
    c->reg[RAX] = out[EAX];
    c->reg[RBX] = out[EBX];
    c->reg[RCX] = out[ECX];
    c->reg[RDX] = out[EDX];
}

static const struct uop *op_cpuid(struct cpu *c, const struct uop *u)
{
    answer(c);
    NEXT(c, u);
}

bool emit_cpuid(struct emit *e)
{
    e->uop->fn = op_cpuid;
    return true;
}
