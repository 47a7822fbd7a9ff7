/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/vmcs.c - access to the VMCS and registers, and how a VMCS is set up.
 *
 * Intel SDM 3C, 24.6 to 24.8 (controls), 3D, A.3 (capabilities: what must and what may be 1), 23.8
 * (bits of CR0 and CR4 that VMX fixes).
 *
 * CR0.NE and CR4.VMXE are fixed to 1: the guest sees its own bits by the masks. CR0.CD and NW keep
 * the host's values whatever a guest writes, and CR0.PG goes with EFER.LMA: these are ours too. In
 * CR4 all is ours that the guest's CPUID lacks, so that its writes exit and raise #GP.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdio.h>

#define CR0_OWNED ((uint64_t)CR0_NE | CR0_NW | CR0_CD | CR0_PG)

/* ---- access --------------------------------------------------------------------------------- */

uint64_t field_read(const struct vcpu *v, uint32_t field)
{
    uint64_t value = 0;

    hv_vmx_vcpu_read_vmcs(v->id, field, &value);
    return value;
}

void field_write(const struct vcpu *v, uint32_t field, uint64_t value)
{
    hv_vmx_vcpu_write_vmcs(v->id, field, value);
}

uint64_t reg_read(const struct vcpu *v, hv_x86_reg_t reg)
{
    uint64_t value = 0;

    hv_vcpu_read_register(v->id, reg, &value);
    return value;
}

void reg_write(const struct vcpu *v, hv_x86_reg_t reg, uint64_t value)
{
    hv_vcpu_write_register(v->id, reg, value);
}

static hv_x86_reg_t gpr_name(uint32_t number)
{
    static const hv_x86_reg_t names[16] = {
        HV_X86_RAX, HV_X86_RCX, HV_X86_RDX, HV_X86_RBX, HV_X86_RSP, HV_X86_RBP,
        HV_X86_RSI, HV_X86_RDI, HV_X86_R8,  HV_X86_R9,  HV_X86_R10, HV_X86_R11,
        HV_X86_R12, HV_X86_R13, HV_X86_R14, HV_X86_R15,
    };

    return names[number & 15];
}

uint64_t gpr_read(const struct vcpu *v, uint32_t number)
{
    return reg_read(v, gpr_name(number));
}

void gpr_write(const struct vcpu *v, uint32_t number, uint64_t value)
{
    reg_write(v, gpr_name(number), value);
}

const char *hvf_error(hv_return_t result, char *room, uint32_t size)
{
    switch (result) {
    case HV_ERROR:
        return "HV_ERROR";
    case HV_BUSY:
        return "HV_BUSY";
    case HV_BAD_ARGUMENT:
        return "HV_BAD_ARGUMENT";
    case HV_NO_RESOURCES:
        return "HV_NO_RESOURCES";
    case HV_NO_DEVICE:
        return "HV_NO_DEVICE";
    case HV_DENIED:
        return "HV_DENIED";
    case HV_UNSUPPORTED:
        return "HV_UNSUPPORTED";
    default:
        snprintf(room, size, "error 0x%x", (unsigned)result);
        return room;
    }
}

/* ---- controls ------------------------------------------------------------------------------- */

struct wanted {
    hv_vmx_capability_t capability;
    uint32_t needed, wanted; /* the latter if the processor has them */
    const char *what;        /* `needed` */
};

static int controls(struct vm *vm, const struct wanted *w, uint32_t *out)
{
    uint64_t cap = 0;
    hv_return_t result = hv_vmx_read_capability(w->capability, &cap);
    uint32_t must = (uint32_t)cap, may = (uint32_t)(cap >> 32);
    char room[32];

    if (result != HV_SUCCESS)
        return bp_failf(vm->host, vm->node, -ENOTSUP,
                        "Hypervisor.framework does not tell this processor's capabilities: %s",
                        hvf_error(result, room, sizeof(room)));
    if ((may & w->needed) != w->needed)
        return bp_failf(vm->host, vm->node, -ENOTSUP,
                        "this processor cannot run guests here: it lacks %s", w->what);
    *out = must | w->needed | (w->wanted & may);
    return 0;
}

int vmcs_controls(struct vm *vm)
{
    static const struct wanted pin = {
        HV_VMX_CAP_PINBASED, PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI, 0, "virtual NMIs"};
    static const struct wanted proc = {HV_VMX_CAP_PROCBASED,
                                       PROC_TSC_OFFSET | PROC_HLT | PROC_RDPMC | PROC_MWAIT |
                                           PROC_CR8_LOAD | PROC_CR8_STORE | PROC_IO | PROC_MONITOR |
                                           PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW | PROC_SECONDARY,
                                       0, "exits that emulation needs"};
    static const struct wanted proc2 = {HV_VMX_CAP_PROCBASED2, PROC2_EPT | PROC2_UNRESTRICTED,
                                        PROC2_VPID | PROC2_RDTSCP | PROC2_INVPCID,
                                        "unrestricted guests (Intel's since 2010 have them)"};
    static const struct wanted entry = {HV_VMX_CAP_ENTRY, ENTRY_GUEST_64 | ENTRY_LOAD_EFER,
                                        ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT, "EFER at VM entry"};
    static const struct wanted exit = {
        HV_VMX_CAP_EXIT, EXIT_HOST_64 | EXIT_SAVE_EFER | EXIT_LOAD_EFER,
        EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT, "EFER at VM exit"};
    int err = controls(vm, &pin, &vm->pin);

    if (!err)
        err = controls(vm, &proc, &vm->proc);
    if (!err)
        err = controls(vm, &proc2, &vm->proc2);
    if (!err)
        err = controls(vm, &entry, &vm->entry);
    if (!err)
        err = controls(vm, &exit, &vm->exit);
    /* Windows are for when something waits, and IA-32e mode is the guest's affair. */
    vm->proc &= ~(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW);
    vm->entry &= ~ENTRY_GUEST_64;
    return err;
}

int vmcs_init(struct vcpu *v)
{
    /* STAR, LSTAR, CSTAR, SFMASK, FS and GS base, kernel GS base, TSC_AUX, SYSENTER's. */
    static const uint32_t native[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                      0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
                                      0x174,      0x175,      0x176};
    const struct vm *vm = v->vm;
    char room[32];

    field_write(v, VMX_PIN_CONTROLS, vm->pin);
    field_write(v, VMX_PROC_CONTROLS, vm->proc);
    field_write(v, VMX_PROC2_CONTROLS, vm->proc2);
    field_write(v, VMX_ENTRY_CONTROLS, vm->entry);
    field_write(v, VMX_EXIT_CONTROLS, vm->exit);
    v->proc = vm->proc;
    /* #DB and #AC can come without end, one from the delivery of another, in which no interrupt
     * would be taken: they exit. */
    field_write(v, VMX_EXCEPTION_BITMAP, 1u << EXC_DB | 1u << EXC_AC | 1u << EXC_MC);
    field_write(v, VMX_PF_ERROR_MASK, 0);
    field_write(v, VMX_PF_ERROR_MATCH, 0);
    field_write(v, VMX_CR0_MASK, CR0_OWNED);
    field_write(v, VMX_CR4_MASK, ~(uint64_t)0);
    field_write(v, VMX_LINK_POINTER, UINT64_MAX);
    for (uint32_t i = 0; i < sizeof(native) / sizeof(native[0]); i++) {
        hv_return_t result = hv_vcpu_enable_native_msr(v->id, native[i], true);

        if (result != HV_SUCCESS)
            return bp_failf(vm->host, vm->node, -EIO,
                            "Hypervisor.framework does not give the guest MSR 0x%x: %s", native[i],
                            hvf_error(result, room, sizeof(room)));
    }
    return 0;
}

void vmcs_proc_set(struct vcpu *v, uint32_t bits, bool on)
{
    uint32_t proc = on ? v->proc | bits : v->proc & ~bits;

    if (proc != v->proc) {
        v->proc = proc;
        field_write(v, VMX_PROC_CONTROLS, proc);
    }
}

/* ---- control registers ---------------------------------------------------------------------- */

uint64_t cr0_read(const struct vcpu *v)
{
    return (field_read(v, VMX_CR0) & ~CR0_OWNED) | (field_read(v, VMX_CR0_SHADOW) & CR0_OWNED);
}

uint64_t cr4_read(const struct vcpu *v)
{
    return field_read(v, VMX_CR4) & ~(uint64_t)CR4_VMXE;
}

void cr0_put(struct vcpu *v, uint64_t value)
{
    field_write(v, VMX_CR0_SHADOW, value | CR0_ET);
    field_write(v, VMX_CR0, (value | CR0_NE | CR0_ET) & ~((uint64_t)CR0_CD | CR0_NW));
    hv_vcpu_invalidate_tlb(v->id);
}

void cr4_put(struct vcpu *v, uint64_t value)
{
    field_write(v, VMX_CR4_MASK, ~v->cr4_allowed);
    field_write(v, VMX_CR4_SHADOW, value);
    field_write(v, VMX_CR4, value | CR4_VMXE);
    hv_vcpu_invalidate_tlb(v->id);
}

void efer_put(struct vcpu *v, uint64_t value)
{
    uint64_t entry = field_read(v, VMX_ENTRY_CONTROLS) & ~(uint64_t)ENTRY_GUEST_64;

    field_write(v, VMX_EFER, value);
    field_write(v, VMX_ENTRY_CONTROLS, value & EFER_LMA ? entry | ENTRY_GUEST_64 : entry);
}

bool is_long_mode(const struct vcpu *v)
{
    return field_read(v, VMX_EFER) & EFER_LMA;
}

bool is_64bit(const struct vcpu *v)
{
    return is_long_mode(v) && field_read(v, VMX_ES_RIGHTS + 2 * SEG_CS) & 0x2000;
}

uint32_t cpl_read(const struct vcpu *v)
{
    if (!(field_read(v, VMX_CR0) & CR0_PE))
        return 0;
    return (uint32_t)field_read(v, VMX_ES_RIGHTS + 2 * SEG_SS) >> 5 & 3;
}
