/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/control.c - exits of MOV to CR0, CR4 and CR8, LMSW, CLTS, and XSETBV.
 *
 * Intel SDM 3A, 2.5 (rules), 4.1.2 (paging modes), 9.8.5 (long mode), 4.4.1 (PDPTEs); 3C, table
 * 27-3 (qualification). What is not ours in CR0 and CR4 the guest writes itself: see vmcs.c.
 */
#include "hvf.h"

#include <errno.h>

#define CR0_DEFINED UINT64_C(0xe005003f)

/* ---- CR0 ------------------------------------------------------------------------------------ */

static bool is_pae(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA);
}

static int paging_on(const struct vcpu *v, uint64_t *efer)
{
    if (!(*efer & EFER_LME))
        return 0;
    if (!(cr4_read(v) & CR4_PAE) || field_read(v, VMX_ES_RIGHTS + 2 * SEG_CS) & 0x2000)
        return -EINVAL;
    *efer |= EFER_LMA;
    return 0;
}

static int paging_off(const struct vcpu *v, uint64_t *efer)
{
    if (is_64bit(v) || cr4_read(v) & CR4_PCIDE)
        return -EINVAL;
    *efer &= ~(uint64_t)EFER_LMA;
    return 0;
}

int cr0_write(struct vcpu *v, uint64_t value)
{
    uint64_t old = cr0_read(v), changed, efer = field_read(v, VMX_EFER);
    int err = 0;

    if (value >> 32)
        return -EINVAL;
    value = (value & CR0_DEFINED) | CR0_ET;
    changed = old ^ value;
    if ((value & CR0_NW && !(value & CR0_CD)) || (value & CR0_PG && !(value & CR0_PE)))
        return -EINVAL;
    if (changed & CR0_PG)
        err = value & CR0_PG ? paging_on(v, &efer) : paging_off(v, &efer);
    if (!err && changed & (CR0_PG | CR0_CD | CR0_NW) && is_pae(value, cr4_read(v), efer))
        err = load_pdptes(v, field_read(v, VMX_CR3));
    if (err)
        return err;
    cr0_put(v, value);
    if (changed & CR0_PG)
        efer_put(v, efer);
    return 0;
}

/* ---- MOV ------------------------------------------------------------------------------------ */

static int cr8_exit(struct vcpu *v, bool to, uint32_t gpr)
{
    uint64_t value = gpr_read(v, gpr);

    if (!to) {
        gpr_write(v, gpr, v->chip ? v->chip->cr8_get(v->chip_self, v->index) : 0);
        return 0;
    }
    if (value > 15)
        return -EINVAL;
    if (v->chip)
        v->chip->cr8_set(v->chip_self, v->index, value);
    return 0;
}

/* Only bits that are ours bring writes of CR4 here: none of them may be set. */
static int move_to(struct vcpu *v, uint32_t number, uint64_t value)
{
    return number == 0 ? cr0_write(v, value) : -EINVAL;
}

int control_exit(struct vcpu *v)
{
    uint64_t qualification = field_read(v, VMX_EXIT_QUALIFICATION);
    uint32_t number = qualification & 15, kind = qualification >> 4 & 3;
    uint32_t gpr = qualification >> 8 & 15;
    uint64_t value = gpr_read(v, gpr);
    int err;

    if (number == 8 && kind < 2) {
        err = cr8_exit(v, kind == 0, gpr);
    } else if (kind == 0 && (number == 0 || number == 4)) {
        err = move_to(v, number, is_64bit(v) ? value : (uint32_t)value);
    } else if (kind == 3) {
        /* LMSW sets PE, and does not clear it. */
        err = cr0_write(v, (cr0_read(v) & ~UINT64_C(0xe)) | (qualification >> 16 & 0xf));
    } else if (kind == 2) {
        err = cr0_write(v, cr0_read(v) & ~UINT64_C(8));
    } else {
        return exit_give_up(v, "an access to a control register left the guest unasked");
    }
    if (err)
        exit_raise_error(v, EXC_GP, 0);
    else
        exit_skip(v);
    return 0;
}

/* ---- XSETBV --------------------------------------------------------------------------------- */

void xsetbv_exit(struct vcpu *v)
{
    uint64_t value = (uint32_t)gpr_read(v, GPR_RAX) | gpr_read(v, GPR_RDX) << 32;

    if ((uint32_t)gpr_read(v, GPR_RCX) != 0 || cpl_read(v) != 0 || !(value & 1) ||
        (value & 6) == 4 || value & ~cpuid_xcr0(v)) {
        exit_raise_error(v, EXC_GP, 0);
        return;
    }
    reg_write(v, HV_X86_XCR0, value);
    exit_skip(v);
}
