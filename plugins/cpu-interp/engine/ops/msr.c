/* SPDX-License-Identifier: MIT
 *
 * ops/msr.c - RDMSR, WRMSR, the time-stamp counter, and KVM's paravirtual clock.
 *
 * Intel SDM 4, chapter 2 (MSRs), SDM 3, 11.11 and 11.12 (MTRRs, PAT), 17.17 (TSC); for the clock
 * the Linux kernel's documentation, virt/kvm/x86/msr. Memory types have no effect: MTRRs and PAT
 * are checked and held. Left out: performance counters, machine check banks, microcode updates.
 */
#include "privileged.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <Zydis/Mnemonic.h>

#include "../decode/emit.h"
#include "../decode/features.h"
#include "../engine.h"
#include "../trace.h"

#define MSR_TSC 0x10u
#define MSR_PLATFORM_ID 0x17u
#define MSR_APIC_BASE 0x1bu
#define MSR_FEATURE_CONTROL 0x3au
#define MSR_TSC_ADJUST 0x3bu
#define MSR_SPEC_CTRL 0x48u
#define MSR_PRED_CMD 0x49u
#define MSR_BIOS_UPDATE 0x79u
#define MSR_BIOS_SIGN_ID 0x8bu
#define MSR_PLATFORM_INFO 0xceu
#define MSR_MTRR_CAP 0xfeu
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_FLUSH_CMD 0x10bu
#define MSR_MISC_FEATURES 0x140u
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define MSR_MCG_CAP 0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MISC_ENABLE 0x1a0u
#define MSR_MTRR_BASE 0x200u /* 8 pairs of base and mask */
#define MSR_MTRR_VARIABLE 16u
#define MSR_PAT 0x277u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u
#define MSR_X2APIC_LAST 0x8ffu
#define MSR_KVM_WALL_CLOCK 0x4b564d00u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

/* RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO,
 * SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO: an interpreter
 * speculates on no guest address. */
#define ARCH_CAPABILITIES                                                                          \
    (1ull << 0 | 1ull << 1 | 1ull << 3 | 1ull << 4 | 1ull << 5 | 1ull << 6 | 1ull << 8 |           \
     1ull << 13 | 1ull << 14 | 1ull << 15 | 1ull << 20 | 1ull << 24 | 1ull << 26 | 1ull << 27 |    \
     1ull << 62)
#define SPEC_CTRL_DEFINED 0x87u                    /* IBRS, STIBP, SSBD, PSFD */
#define MTRR_CAP 0x508u                            /* 8 variable, fixed ones, write-combining */
#define MISC_ENABLE_WRITABLE 0x0000000000c50009ull /* bits 7 and 11 tell what there is */

/* ---- the time-stamp counter ------------------------------------------------------------------ */

static uint64_t ticks_at(const struct cpu *c, uint64_t ns)
{
    uint64_t hz = c->engine->tsc_hz;

    if (hz == 1000000000)
        return ns;
    return (uint64_t)((__extension__(unsigned __int128) ns * hz) / 1000000000);
}

uint64_t cpu_tsc(const struct cpu *c)
{
    const struct engine_user *user = &c->engine->user;

    return ticks_at(c, user->clock_ns(user->context)) + (uint64_t)c->tsc_offset;
}

static void tsc_moved(struct cpu *c)
{
    if (c->chip != NULL)
        c->chip->tsc_changed(c->chip_self, c->index);
    c->engine->user.deadline_changed(c->engine->user.context, c);
    kvm_clock_update(c);
}

/* A write of the TSC moves TSC_ADJUST by as much (SDM 3, 17.17.3). */
static void tsc_write(struct cpu *c, uint64_t value)
{
    uint64_t moved = value - cpu_tsc(c);

    c->tsc_offset = (int64_t)((uint64_t)c->tsc_offset + moved);
    c->tsc_adjust += moved;
    tsc_moved(c);
}

static void tsc_adjust_write(struct cpu *c, uint64_t value)
{
    c->tsc_offset = (int64_t)((uint64_t)c->tsc_offset + (value - c->tsc_adjust));
    c->tsc_adjust = value;
    tsc_moved(c);
}

static bool has_kvm_clock(const struct cpu *c)
{
    return cpuid_has(c, 0x40000001, 0, 0, 3);
}

int msr_restore(struct cpu *c, uint32_t index, uint64_t value)
{
    uint64_t adjust = c->tsc_adjust;

    if (index == MSR_TSC) {
        tsc_write(c, value);
        c->tsc_adjust = adjust;
        return 0;
    }
    /* The time of day is written when the guest asks for it, not each time that the register is
     * filled. */
    if (index == MSR_KVM_WALL_CLOCK && has_kvm_clock(c) && (value >> c->physical_bits) == 0) {
        c->kvm_wall_clock = value;
        return 0;
    }
    if (index != MSR_TSC_ADJUST || !cpuid_has(c, 7, 0, 1, 1))
        return msr_set(c, index, value);
    c->tsc_adjust = value;
    return 0;
}

/* ---- the paravirtual clock ------------------------------------------------------------------- */

#define KVM_CLOCK_ENABLE 1u
#define KVM_CLOCK_STABLE 1u /* flags: the TSCs of all vCPUs agree */

/* ns = (ticks << shift) * multiplier >> 32, with the multiplier's top bit set. */
static uint32_t clock_scale(uint64_t hz, int8_t *shift)
{
    uint64_t scaled = 1000000000;
    int8_t s = 0;

    while (hz > scaled << 1 && s > -31) {
        hz >>= 1;
        s--;
    }
    while (hz <= scaled && s < 31) {
        hz <<= 1;
        s++;
    }
    *shift = s;
    return (uint32_t)((__extension__(unsigned __int128) scaled << 32) / hz);
}

/* The version is odd while the rest changes. */
void kvm_clock_update(struct cpu *c)
{
    const struct engine_user *user = &c->engine->user;
    uint64_t gpa = c->kvm_system_time & ~(uint64_t)KVM_CLOCK_ENABLE;
    uint32_t version, multiplier;
    uint64_t now;
    int8_t shift;

    if ((c->kvm_system_time & KVM_CLOCK_ENABLE) == 0)
        return;
    now = user->clock_ns(user->context);
    multiplier = clock_scale(c->engine->tsc_hz, &shift);
    version = ((uint32_t)physical_read(c, gpa, 4) | 1) + 2;
    physical_write(c, gpa, version, 4);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    physical_write(c, gpa + 8, ticks_at(c, now) + (uint64_t)c->tsc_offset, 8);
    physical_write(c, gpa + 16, now, 8);
    physical_write(c, gpa + 24, multiplier, 4);
    physical_write(c, gpa + 28, (uint8_t)shift | KVM_CLOCK_STABLE << 8, 4);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    physical_write(c, gpa, version + 1, 4);
}

/* The time of day at which the system time was 0. */
static void wall_clock_write(struct cpu *c, uint64_t gpa)
{
    const struct engine_user *user = &c->engine->user;
    uint64_t boot = user->utc_ns(user->context) - user->clock_ns(user->context);
    uint32_t version = ((uint32_t)physical_read(c, gpa, 4) | 1) + 2;

    physical_write(c, gpa, version, 4);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    physical_write(c, gpa + 4, (uint32_t)(boot / 1000000000), 4);
    physical_write(c, gpa + 8, boot % 1000000000, 4);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    physical_write(c, gpa, version + 1, 4);
}

/* ---- memory types ---------------------------------------------------------------------------- */

static bool memory_type(uint8_t type, bool pat)
{
    return type <= 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool memory_types(uint64_t value, bool pat)
{
    for (uint32_t i = 0; i < 8; i++)
        if (!memory_type((uint8_t)(value >> (8 * i)), pat))
            return false;
    return true;
}

/* The fixed ones' places in cpu.mtrr, behind the variable pairs. */
static int mtrr_fixed(uint32_t index)
{
    static const uint16_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                     0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

    for (uint32_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        if (fixed[i] == index)
            return (int)(MSR_MTRR_VARIABLE + i);
    return -1;
}

static int mtrr_place(uint32_t index)
{
    if (index >= MSR_MTRR_BASE && index < MSR_MTRR_BASE + MSR_MTRR_VARIABLE)
        return (int)(index - MSR_MTRR_BASE);
    return mtrr_fixed(index);
}

static int mtrr_set(struct cpu *c, int place, uint64_t value)
{
    uint64_t beyond = ~((1ull << c->physical_bits) - 1);

    if (place >= (int)MSR_MTRR_VARIABLE) {
        if (!memory_types(value, false))
            return -EINVAL;
    } else if ((place & 1) == 0) {
        if ((value & (beyond | 0xf00)) != 0 || !memory_type((uint8_t)value, false))
            return -EINVAL;
    } else if ((value & (beyond | 0x7ff)) != 0) {
        return -EINVAL;
    }
    c->mtrr[place] = value;
    return 0;
}

/* ---- registers that are just held ------------------------------------------------------------ */

enum held_check { HELD_ANY, HELD_CANONICAL, HELD_32BIT };

static const struct held {
    uint32_t index;
    uint16_t offset; /* in struct cpu */
    uint8_t check;
    uint8_t feature;
} held[] = {
    {MSR_SYSENTER_CS, offsetof(struct cpu, sysenter_cs), HELD_ANY, FEATURE_SEP},
    {MSR_SYSENTER_ESP, offsetof(struct cpu, sysenter_esp), HELD_CANONICAL, FEATURE_SEP},
    {MSR_SYSENTER_EIP, offsetof(struct cpu, sysenter_eip), HELD_CANONICAL, FEATURE_SEP},
    {MSR_STAR, offsetof(struct cpu, star), HELD_ANY, FEATURE_SYSCALL},
    {MSR_LSTAR, offsetof(struct cpu, lstar), HELD_CANONICAL, FEATURE_LONG},
    {MSR_CSTAR, offsetof(struct cpu, cstar), HELD_CANONICAL, FEATURE_LONG},
    {MSR_SFMASK, offsetof(struct cpu, sfmask), HELD_32BIT, FEATURE_LONG},
    {MSR_FS_BASE, offsetof(struct cpu, seg[SEG_FS].base), HELD_CANONICAL, FEATURE_LONG},
    {MSR_GS_BASE, offsetof(struct cpu, seg[SEG_GS].base), HELD_CANONICAL, FEATURE_LONG},
    {MSR_KERNEL_GS_BASE, offsetof(struct cpu, kernel_gs_base), HELD_CANONICAL, FEATURE_LONG},
    {MSR_TSC_AUX, offsetof(struct cpu, tsc_aux), HELD_32BIT, FEATURE_RDTSCP},
};

static const struct held *held_at(const struct cpu *c, uint32_t index)
{
    for (uint32_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
        if (held[i].index == index)
            return cpu_has(c, (enum feature)held[i].feature) ? &held[i] : NULL;
    return NULL;
}

static int held_set(struct cpu *c, const struct held *h, uint64_t value)
{
    if (h->check == HELD_CANONICAL && !canonical(value))
        return -EINVAL;
    if (h->check == HELD_32BIT && value >> 32 != 0)
        return -EINVAL;
    memcpy((char *)c + h->offset, &value, sizeof(value));
    return 0;
}

/* ---- the local APIC's ------------------------------------------------------------------------ */

static bool is_chip_msr(const struct cpu *c, uint32_t index)
{
    if (index == MSR_APIC_BASE)
        return true;
    if (index == MSR_TSC_DEADLINE)
        return cpu_has(c, FEATURE_TSC_DEADLINE);
    return index >= MSR_X2APIC && index <= MSR_X2APIC_LAST && cpu_has(c, FEATURE_X2APIC);
}

static int chip_get(const struct cpu *c, uint32_t index, uint64_t *value)
{
    if (c->chip != NULL)
        return c->chip->msr_read(c->chip_self, c->index, index, value);
    *value = c->apic_base;
    return index == MSR_APIC_BASE ? 0 : -EINVAL;
}

static int chip_set(struct cpu *c, uint32_t index, uint64_t value)
{
    int err;

    if (c->chip == NULL)
        return -EINVAL;
    if (index == MSR_APIC_BASE &&
        (value >> c->physical_bits != 0 || ((value & 0x400) != 0 && !cpu_has(c, FEATURE_X2APIC))))
        return -EINVAL;
    err = c->chip->msr_write(c->chip_self, c->index, index, value);
    if (err != 0)
        return err;
    if (index == MSR_APIC_BASE) {
        c->apic_base = value;
        tlb_flush(c); /* the page is in no TLB; what was there before may be */
    }
    c->engine->user.deadline_changed(c->engine->user.context, c);
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Leaf 7's EDX bits. */
static bool has_leaf7_edx(const struct cpu *c, uint32_t bit)
{
    return cpuid_has(c, 7, 0, 3, bit);
}

static bool has_spec_ctrl(const struct cpu *c)
{
    return has_leaf7_edx(c, 26) || has_leaf7_edx(c, 27) || has_leaf7_edx(c, 31);
}

int msr_get(struct cpu *c, uint32_t index, uint64_t *value)
{
    const struct held *h = held_at(c, index);
    int place = mtrr_place(index);

    if (h != NULL) {
        memcpy(value, (const char *)c + h->offset, sizeof(*value));
        return 0;
    }
    if (place >= 0) {
        *value = c->mtrr[place];
        return 0;
    }
    if (is_chip_msr(c, index))
        return chip_get(c, index, value);
    *value = 0;
    switch (index) {
    case MSR_TSC:
        *value = cpu_tsc(c);
        return 0;
    case MSR_PLATFORM_ID:
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_MISC_FEATURES:
        return 0;
    case MSR_FEATURE_CONTROL:
        *value = 1; /* locked: VMX cannot be switched on */
        return 0;
    case MSR_TSC_ADJUST:
        *value = c->tsc_adjust;
        return cpuid_has(c, 7, 0, 1, 1) ? 0 : -EINVAL;
    case MSR_SPEC_CTRL:
        *value = c->spec_ctrl;
        return has_spec_ctrl(c) ? 0 : -EINVAL;
    case MSR_BIOS_SIGN_ID:
        *value = 1ull << 32;
        return 0;
    case MSR_PLATFORM_INFO:
        *value = (c->engine->tsc_hz / 100000000 & 0xff) << 8;
        return 0;
    case MSR_MTRR_CAP:
        *value = MTRR_CAP;
        return 0;
    case MSR_ARCH_CAPABILITIES:
        *value = ARCH_CAPABILITIES;
        return has_leaf7_edx(c, 29) ? 0 : -EINVAL;
    case MSR_MISC_ENABLE:
        *value = c->misc_enable;
        return 0;
    case MSR_PAT:
        *value = c->pat;
        return 0;
    case MSR_MTRR_DEF_TYPE:
        *value = c->mtrr_def_type;
        return 0;
    case MSR_KVM_WALL_CLOCK:
        *value = c->kvm_wall_clock;
        return has_kvm_clock(c) ? 0 : -EINVAL;
    case MSR_KVM_SYSTEM_TIME:
        *value = c->kvm_system_time;
        return has_kvm_clock(c) ? 0 : -EINVAL;
    case MSR_EFER:
        *value = c->efer;
        return cpu_has(c, FEATURE_LONG) || cpu_has(c, FEATURE_NX) ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

static int misc_enable_set(struct cpu *c, uint64_t value)
{
    if (((c->misc_enable ^ value) & ~MISC_ENABLE_WRITABLE) != 0)
        return -EINVAL;
    c->misc_enable = value;
    return 0;
}

static int kvm_set(struct cpu *c, uint32_t index, uint64_t value)
{
    if (!has_kvm_clock(c) || (value >> c->physical_bits) != 0)
        return -EINVAL;
    if (index == MSR_KVM_WALL_CLOCK) {
        c->kvm_wall_clock = value;
        if (value != 0)
            wall_clock_write(c, value & ~3ull);
    } else {
        c->kvm_system_time = value;
        kvm_clock_update(c);
    }
    return 0;
}

int msr_set(struct cpu *c, uint32_t index, uint64_t value)
{
    const struct held *h = held_at(c, index);
    int place = mtrr_place(index);

    if (h != NULL)
        return held_set(c, h, value);
    if (place >= 0)
        return mtrr_set(c, place, value);
    if (is_chip_msr(c, index))
        return chip_set(c, index, value);
    switch (index) {
    case MSR_TSC:
        tsc_write(c, value);
        return 0;
    case MSR_TSC_ADJUST:
        if (!cpuid_has(c, 7, 0, 1, 1))
            return -EINVAL;
        tsc_adjust_write(c, value);
        return 0;
    case MSR_SPEC_CTRL:
        if (!has_spec_ctrl(c) || (value & ~(uint64_t)SPEC_CTRL_DEFINED) != 0)
            return -EINVAL;
        c->spec_ctrl = value;
        return 0;
    case MSR_PRED_CMD:
        return has_leaf7_edx(c, 26) && (value & ~1ull) == 0 ? 0 : -EINVAL;
    case MSR_FLUSH_CMD:
        return has_leaf7_edx(c, 28) && (value & ~1ull) == 0 ? 0 : -EINVAL;
    case MSR_BIOS_UPDATE:
    case MSR_BIOS_SIGN_ID:
        return 0;
    case MSR_MCG_STATUS:
    case MSR_MISC_FEATURES:
        return value == 0 ? 0 : -EINVAL;
    case MSR_MISC_ENABLE:
        return misc_enable_set(c, value);
    case MSR_PAT:
        if (!memory_types(value, true))
            return -EINVAL;
        c->pat = value;
        return 0;
    case MSR_MTRR_DEF_TYPE:
        if ((value & ~0xcffull) != 0 || !memory_type((uint8_t)value, false))
            return -EINVAL;
        c->mtrr_def_type = value;
        return 0;
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_SYSTEM_TIME:
        return kvm_set(c, index, value);
    case MSR_EFER:
        if (!cpu_has(c, FEATURE_LONG) && !cpu_has(c, FEATURE_NX))
            return -EINVAL;
        return control_set_efer(c, value);
    default:
        return -EINVAL;
    }
}

/* ---- RDMSR, WRMSR ---------------------------------------------------------------------------- */

static __attribute__((noinline)) void msr_read(struct cpu *c, const struct uop *u)
{
    uint32_t index = (uint32_t)c->reg[RCX];
    uint64_t value = 0;
    int err;

    need_cpl0(c, u);
    err = msr_get(c, index, &value);
    if (unlikely(c->trace_events))
        trace_msr(c, u, false, index, value, err != 0);
    if (err != 0)
        raise_error(c, u, EXC_GP, 0);
    c->reg[RAX] = (uint32_t)value;
    c->reg[RDX] = value >> 32;
}

static __attribute__((noinline)) void msr_write(struct cpu *c, const struct uop *u)
{
    uint64_t value = (uint32_t)c->reg[RAX] | c->reg[RDX] << 32;
    uint32_t index = (uint32_t)c->reg[RCX];
    int err;

    need_cpl0(c, u);
    err = msr_set(c, index, value);
    if (unlikely(c->trace_events))
        trace_msr(c, u, true, index, value, err != 0);
    if (err != 0)
        raise_error(c, u, EXC_GP, 0);
}

static const struct uop *op_rdmsr(struct cpu *c, const struct uop *u)
{
    msr_read(c, u);
    NEXT(c, u);
}

static const struct uop *op_wrmsr(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    msr_write(c, u);
    LEAVE(c, next);
}

static bool emit_read(struct emit *e)
{
    e->uop->fn = op_rdmsr;
    return true;
}

static bool emit_write(struct emit *e)
{
    e->uop->fn = op_wrmsr;
    e->ends = true;
    return true;
}

const struct emit_entry emit_msr[] = {
    {ZYDIS_MNEMONIC_RDMSR, emit_read},
    {ZYDIS_MNEMONIC_WRMSR, emit_write},
    {0, NULL},
};
