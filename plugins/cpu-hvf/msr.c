/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/msr.c - RDMSR and WRMSR of what is not native: see vmcs_init().
 *
 * Intel SDM 4, chapter 2; SDM 3A, 11.11 and 11.12 (MTRRs, PAT), 17.17 (TSC). Memory types are
 * EPT's, so MTRRs are checked and held, without effect. The MSRs against speculation are left out,
 * and their CPUID bits are not offered: the framework does not say which it has. Left out too:
 * performance counters, machine check banks, microcode updates.
 */
#include "hvf.h"

#include <errno.h>

#define MSR_TSC 0x10u
#define MSR_PLATFORM_ID 0x17u
#define MSR_FEATURE_CONTROL 0x3au
#define MSR_TSC_ADJUST 0x3bu
#define MSR_BIOS_UPDATE 0x79u
#define MSR_BIOS_SIGN_ID 0x8bu
#define MSR_MTRR_CAP 0xfeu
#define MSR_MISC_FEATURES 0x140u
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define MSR_MCG_CAP 0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MISC_ENABLE 0x1a0u
#define MSR_PAT 0x277u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MSR_EFER 0xc0000080u

#define MTRR_CAP 0x508u                            /* 8 variable, fixed ones, write-combining */
#define MISC_ENABLE_WRITABLE 0x0000000000c50009ull /* bits 7 and 11 tell what there is not */
#define PAT_RESET 0x0007040600070406ull

void msr_reset(struct vcpu *v)
{
    v->msrs = (struct held_msrs){.misc_enable = 1, .pat = PAT_RESET};
    field_write(v, VMX_PAT, PAT_RESET);
}

/* ---- MTRRs and PAT -------------------------------------------------------------------------- */

/* Index in held_msrs.mtrr, or -1. */
static int mtrr_place(uint32_t index)
{
    if (index >= 0x200 && index < 0x210)
        return (int)(index - 0x200);
    if (index == 0x250)
        return 16;
    if (index == 0x258 || index == 0x259)
        return 17 + (int)(index - 0x258);
    return index >= 0x268 && index < 0x270 ? 19 + (int)(index - 0x268) : -1;
}

static bool is_type(uint64_t type, bool pat)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool are_types(uint64_t value, bool pat)
{
    for (uint32_t i = 0; i < 8; i++)
        if (!is_type(value >> (8 * i) & 0xff, pat))
            return false;
    return true;
}

static int mtrr_set(struct vcpu *v, int place, uint64_t value)
{
    uint64_t beyond = ~((UINT64_C(1) << cpuid_physical_bits(v)) - 1);

    if (place >= 16) {
        if (!are_types(value, false))
            return -EINVAL;
    } else if (value & beyond || value & (place & 1 ? 0x7ffu : 0xf00u) ||
               (!(place & 1) && !is_type(value & 0xff, false))) {
        return -EINVAL;
    }
    v->msrs.mtrr[place] = value;
    return 0;
}

/* ---- TSC ------------------------------------------------------------------------------------ */

static uint64_t tsc_now(const struct vcpu *v)
{
    return vm_tsc(v->vm) + (uint64_t)v->tsc_delta;
}

static void tsc_set(struct vcpu *v, uint64_t value)
{
    uint64_t moved = value - tsc_now(v);

    __atomic_store_n(&v->tsc_delta, (int64_t)((uint64_t)v->tsc_delta + moved), __ATOMIC_RELAXED);
    v->msrs.tsc_adjust += moved;
    field_write(v, VMX_TSC_OFFSET,
                __atomic_load_n(&v->vm->tsc_offset, __ATOMIC_RELAXED) + (uint64_t)v->tsc_delta);
    if (v->chip) {
        v->chip->tsc_changed(v->chip_self, v->index);
        timer_deadline_changed(v);
    }
}

/* ---- the interrupt controller's ------------------------------------------------------------- */

static bool is_chip(const struct vcpu *v, uint32_t index)
{
    return v->chip && (index == BP_IRQCHIP_MSR_APIC_BASE || index == BP_IRQCHIP_MSR_TSC_DEADLINE ||
                       (index >= BP_IRQCHIP_MSR_X2APIC && index <= BP_IRQCHIP_MSR_X2APIC_LAST));
}

/* What the guest's CPUID lacks: x2APIC, the TSC deadline. */
static bool chip_lacks(const struct vcpu *v, uint32_t index)
{
    if (index == BP_IRQCHIP_MSR_TSC_DEADLINE)
        return !cpuid_has(v, 1, 0, 2, 24);
    return index >= BP_IRQCHIP_MSR_X2APIC && !cpuid_has(v, 1, 0, 2, 21);
}

static int chip_set(struct vcpu *v, uint32_t index, uint64_t value)
{
    int err;

    if (chip_lacks(v, index))
        return -EINVAL;
    if (index == BP_IRQCHIP_MSR_APIC_BASE &&
        (value >> cpuid_physical_bits(v) || (value & 0x400 && !cpuid_has(v, 1, 0, 2, 21))))
        return -EINVAL;
    err = v->chip->msr_write(v->chip_self, v->index, index, value);
    if (!err)
        timer_deadline_changed(v);
    return err;
}

/* ---- EFER ----------------------------------------------------------------------------------- */

static int efer_set(struct vcpu *v, uint64_t value)
{
    uint64_t old = field_read(v, VMX_EFER), allowed = EFER_LMA;

    if (cpuid_has(v, 0x80000001, 0, 3, 11))
        allowed |= EFER_SCE;
    if (cpuid_has(v, 0x80000001, 0, 3, 29))
        allowed |= EFER_LME;
    if (cpuid_has(v, 0x80000001, 0, 3, 20))
        allowed |= EFER_NXE;
    if (value & ~allowed)
        return -EINVAL;
    value = (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA);
    if ((old ^ value) & EFER_LME && cr0_read(v) & CR0_PG)
        return -EINVAL;
    efer_put(v, value);
    if ((old ^ value) & EFER_NXE)
        hv_vcpu_invalidate_tlb(v->id);
    return 0;
}

/* ---- by index ------------------------------------------------------------------------------- */

static bool is_native(uint32_t index)
{
    return (index >= 0xc0000081 && index <= 0xc0000084) || index == 0xc0000102 ||
           index == 0xc0000103;
}

/* VMCS fields with an MSR's value, or 0. */
static uint32_t field_of(uint32_t index)
{
    switch (index) {
    case MSR_SYSENTER_CS:
        return VMX_SYSENTER_CS;
    case MSR_SYSENTER_ESP:
        return VMX_SYSENTER_ESP;
    case MSR_SYSENTER_EIP:
        return VMX_SYSENTER_EIP;
    default:
        return 0;
    }
}

int msr_read(struct vcpu *v, uint32_t index, uint64_t *value)
{
    int place = mtrr_place(index);

    *value = 0;
    if (is_chip(v, index))
        return chip_lacks(v, index) ? -EINVAL
                                    : v->chip->msr_read(v->chip_self, v->index, index, value);
    if (is_native(index))
        return hv_vcpu_read_msr(v->id, index, value) == HV_SUCCESS ? 0 : -EINVAL;
    if (place >= 0) {
        *value = v->msrs.mtrr[place];
        return 0;
    }
    if (field_of(index)) {
        *value = field_read(v, field_of(index));
        return 0;
    }
    switch (index) {
    case MSR_TSC:
        *value = tsc_now(v);
        return 0;
    case MSR_TSC_ADJUST:
        *value = v->msrs.tsc_adjust;
        return cpuid_has(v, 7, 0, 1, 1) ? 0 : -EINVAL;
    case MSR_FEATURE_CONTROL:
        *value = 1; /* locked: VMX cannot be switched on */
        return 0;
    case MSR_BIOS_SIGN_ID:
        *value = UINT64_C(1) << 32;
        return 0;
    case MSR_MTRR_CAP:
        *value = MTRR_CAP;
        return 0;
    case MSR_MISC_ENABLE:
        *value = v->msrs.misc_enable;
        return 0;
    case MSR_PAT:
        *value = v->msrs.pat;
        return 0;
    case MSR_MTRR_DEF_TYPE:
        *value = v->msrs.mtrr_def_type;
        return 0;
    case MSR_EFER:
        *value = field_read(v, VMX_EFER);
        return 0;
    case BP_IRQCHIP_MSR_APIC_BASE:
        *value = v->apic_base;
        return 0;
    case MSR_PLATFORM_ID:
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_MISC_FEATURES:
        return 0;
    default:
        return -EINVAL;
    }
}

static int held_set(struct vcpu *v, uint32_t index, uint64_t value)
{
    switch (index) {
    case MSR_MISC_ENABLE:
        if ((v->msrs.misc_enable ^ value) & ~MISC_ENABLE_WRITABLE)
            return -EINVAL;
        v->msrs.misc_enable = value;
        return 0;
    case MSR_PAT:
        if (!are_types(value, true))
            return -EINVAL;
        v->msrs.pat = value;
        field_write(v, VMX_PAT, value);
        return 0;
    case MSR_MTRR_DEF_TYPE:
        if (value & ~0xcffull || !is_type(value & 0xff, false))
            return -EINVAL;
        v->msrs.mtrr_def_type = value;
        return 0;
    case MSR_MCG_STATUS:
    case MSR_MISC_FEATURES:
        return value ? -EINVAL : 0;
    case MSR_BIOS_UPDATE:
    case MSR_BIOS_SIGN_ID:
        return 0;
    default:
        return -EINVAL;
    }
}

static bool is_canonical(uint64_t la)
{
    return (uint64_t)((int64_t)(la << 16) >> 16) == la;
}

int msr_write(struct vcpu *v, uint32_t index, uint64_t value)
{
    int place = mtrr_place(index);

    if (is_chip(v, index))
        return chip_set(v, index, value);
    if (is_native(index)) {
        bool address = index == 0xc0000082 || index == 0xc0000083 || index == 0xc0000102;

        if (address && !is_canonical(value))
            return -EINVAL;
        return hv_vcpu_write_msr(v->id, index, value) == HV_SUCCESS ? 0 : -EINVAL;
    }
    if (place >= 0)
        return mtrr_set(v, place, value);
    if (field_of(index)) {
        if (index != MSR_SYSENTER_CS && !is_canonical(value))
            return -EINVAL;
        field_write(v, field_of(index), value);
        return 0;
    }
    switch (index) {
    case MSR_TSC:
        tsc_set(v, value);
        return 0;
    case MSR_TSC_ADJUST:
        if (!cpuid_has(v, 7, 0, 1, 1))
            return -EINVAL;
        tsc_set(v, tsc_now(v) + (value - v->msrs.tsc_adjust));
        return 0;
    case MSR_EFER:
        return efer_set(v, value);
    default:
        return held_set(v, index, value);
    }
}

void rdmsr_exit(struct vcpu *v)
{
    uint64_t value;

    if (msr_read(v, (uint32_t)gpr_read(v, GPR_RCX), &value)) {
        exit_raise_error(v, EXC_GP, 0);
        return;
    }
    gpr_write(v, GPR_RAX, (uint32_t)value);
    gpr_write(v, GPR_RDX, value >> 32);
    exit_skip(v);
}

void wrmsr_exit(struct vcpu *v)
{
    uint64_t value = (uint32_t)gpr_read(v, GPR_RAX) | gpr_read(v, GPR_RDX) << 32;

    if (msr_write(v, (uint32_t)gpr_read(v, GPR_RCX), value))
        exit_raise_error(v, EXC_GP, 0);
    else
        exit_skip(v);
}
