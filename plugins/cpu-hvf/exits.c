/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/exits.c - what each VM exit asks for.
 *
 * Intel SDM 3C, chapter 27 and appendix C; 25.1.2 (instructions that always exit). Exceptions that
 * the bitmap lets exit are given back to the guest.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>

/* ---- past an instruction -------------------------------------------------------------------- */

void exit_skip_bytes(struct vcpu *v, uint64_t length)
{
    uint64_t rip = field_read(v, VMX_RIP) + length, flags = field_read(v, VMX_RFLAGS);
    uint64_t blocked = field_read(v, VMX_INTERRUPTIBILITY);

    v->debug.progress = true;
    if (!is_64bit(v))
        rip &= field_read(v, VMX_ES_RIGHTS + 2 * SEG_CS) & 0x4000 ? UINT32_MAX : UINT16_MAX;
    field_write(v, VMX_RIP, rip);
    if (blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
        field_write(v, VMX_INTERRUPTIBILITY,
                    blocked & ~(uint64_t)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
    if (flags & RFLAGS_RF)
        field_write(v, VMX_RFLAGS, flags & ~(uint64_t)RFLAGS_RF);
    if (flags & RFLAGS_TF)
        field_write(v, VMX_PENDING_DEBUG, field_read(v, VMX_PENDING_DEBUG) | PENDING_DEBUG_STEP);
}

void exit_skip(struct vcpu *v)
{
    exit_skip_bytes(v, field_read(v, VMX_EXIT_LENGTH));
}

/* ---- exceptions ----------------------------------------------------------------------------- */

static bool has_error(uint32_t vector)
{
    return vector < 32 && 0x227d00u >> vector & 1;
}

/* SDM 3A, table 6-5. */
static bool is_contributory(uint32_t vector)
{
    return vector == 0 || (vector >= EXC_TS && vector <= EXC_GP);
}

static bool is_double(uint32_t first, uint32_t second)
{
    if (is_contributory(first))
        return is_contributory(second);
    return first == EXC_PF && (is_contributory(second) || second == EXC_PF);
}

static void raise(struct vcpu *v, uint32_t vector, uint32_t error)
{
    struct injection before = v->inject;
    uint32_t first = before.info & INTERRUPTION_VECTOR;

    if (before.info && (before.info & INTERRUPTION_TYPE) == INTERRUPTION_EXCEPTION) {
        if (first == EXC_DF && (is_contributory(vector) || vector == EXC_PF)) {
            v->shutdown = true;
            return;
        }
        if (is_double(first, vector)) {
            vector = EXC_DF;
            error = 0;
        }
    }
    v->inject = (struct injection){.info = vector | INTERRUPTION_EXCEPTION | INTERRUPTION_VALID,
                                   .error = error};
    if (has_error(vector) && field_read(v, VMX_CR0) & CR0_PE)
        v->inject.info |= INTERRUPTION_HAS_ERROR;
}

void exit_raise(struct vcpu *v, uint32_t vector)
{
    raise(v, vector, 0);
}

void exit_raise_error(struct vcpu *v, uint32_t vector, uint32_t error)
{
    raise(v, vector, error);
}

/* #DB: what the hardware would have done to DR6 and DR7 (SDM 3C, 27.1). */
static void note_debug(struct vcpu *v, uint64_t qualification)
{
    dr_write(v, 6, (dr_read(v, 6) & ~UINT64_C(0xf)) | (qualification & 0xe00f));
    dr_write(v, 7, dr_read(v, 7) & ~UINT64_C(0x2000));
}

static int exception_exit(struct vcpu *v)
{
    uint32_t info = (uint32_t)field_read(v, VMX_EXIT_INTERRUPTION);
    uint32_t vector = info & INTERRUPTION_VECTOR, type = info & INTERRUPTION_TYPE;
    uint64_t qualification = field_read(v, VMX_EXIT_QUALIFICATION);

    /* NMIs and machine checks are the host's: the framework has seen to them. */
    if (type == INTERRUPTION_NMI || vector == EXC_MC)
        return 0;
    if (vector == EXC_BP && type == INTERRUPTION_SOFTWARE_EXCEPTION && debug_takes_int3(v))
        return 0;
    if (vector == EXC_DB && type == INTERRUPTION_EXCEPTION) {
        uint64_t rest = debug_points_met(v, qualification);

        /* Points alone: nothing for the guest. */
        if (rest != qualification && !(rest & 0xe000))
            return 0;
        note_debug(v, rest);
    }
    if (vector == EXC_PF)
        reg_write(v, HV_X86_CR2, qualification);
    if (type >= INTERRUPTION_SOFTWARE) {
        v->inject = (struct injection){.info = vector | type | INTERRUPTION_VALID,
                                       .length = (uint32_t)field_read(v, VMX_EXIT_LENGTH)};
        return 0;
    }
    raise(v, vector, (uint32_t)field_read(v, VMX_EXIT_ERROR_CODE));
    return 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

static int ept_violation(struct vcpu *v)
{
    uint64_t qualification = field_read(v, VMX_EXIT_QUALIFICATION);
    uint64_t gpa = field_read(v, VMX_GUEST_PHYSICAL_ADDRESS);
    enum place place;

    /* The IRET that comes again has not been done (SDM 3C, 27.2.1). */
    if (qualification & EPT_NMI_UNBLOCKED &&
        !(field_read(v, VMX_IDT_VECTORING) & INTERRUPTION_VALID))
        field_write(v, VMX_INTERRUPTIBILITY, field_read(v, VMX_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
    if (qualification & EPT_WRITE && memory_log_write(v->vm, gpa))
        return 0;
    place = memory_place(v->vm, gpa);
    /* A slot that was replaced meanwhile. */
    if (place == PLACE_MEMORY || (place == PLACE_ROM && !(qualification & EPT_WRITE)))
        return 0;
    if (qualification & EPT_FETCH)
        return exit_give_up(v, "it executes code where there is no memory");
    if (qualification & EPT_LINEAR_VALID && !(qualification & EPT_LINEAR_FINAL))
        return exit_give_up(v, "its page tables are where there is no memory to write");
    return mmio_exit(v, gpa);
}

/* ---- giving up ------------------------------------------------------------------------------ */

int exit_give_up(struct vcpu *v, const char *why)
{
    return bp_failf(
        v->vm->host, v->vm->node, -EIO,
        "vCPU %u cannot go on: %s (exit reason 0x%llx, qualification 0x%llx, at 0x%llx; cs 0x%llx "
        "rip 0x%llx rsp 0x%llx rflags 0x%llx cr0 0x%llx cr3 0x%llx cr4 0x%llx efer 0x%llx)",
        v->index, why, (unsigned long long)field_read(v, VMX_EXIT_REASON),
        (unsigned long long)field_read(v, VMX_EXIT_QUALIFICATION),
        (unsigned long long)field_read(v, VMX_GUEST_PHYSICAL_ADDRESS),
        (unsigned long long)field_read(v, VMX_CS_SELECTOR),
        (unsigned long long)field_read(v, VMX_RIP), (unsigned long long)field_read(v, VMX_RSP),
        (unsigned long long)field_read(v, VMX_RFLAGS), (unsigned long long)cr0_read(v),
        (unsigned long long)field_read(v, VMX_CR3), (unsigned long long)cr4_read(v),
        (unsigned long long)field_read(v, VMX_EFER));
}

/* ---- by reason ------------------------------------------------------------------------------ */

int exit_handle(struct vcpu *v)
{
    uint32_t reason = (uint32_t)field_read(v, VMX_EXIT_REASON);

    switch (reason) {
    case EXIT_EXCEPTION:
        return exception_exit(v);
    case EXIT_EXTERNAL_INTERRUPT:
    case EXIT_INTERRUPT_WINDOW:
    case EXIT_NMI_WINDOW:
    case EXIT_PREEMPTION_TIMER:
    case EXIT_MACHINE_CHECK:
        return 0;
    case EXIT_TRIPLE_FAULT:
        return BP_STOP_TRIPLE_FAULT + 1;
    case EXIT_CPUID:
        cpuid_exit(v);
        return 0;
    case EXIT_HLT:
        exit_skip(v);
        v->halted = true;
        return 0;
    case EXIT_INVD:
    case EXIT_WBINVD:
    case EXIT_PAUSE:
        exit_skip(v);
        return 0;
    case EXIT_RDPMC:
        exit_raise_error(v, EXC_GP, 0);
        return 0;
    case EXIT_CONTROL_REGISTER:
        return control_exit(v);
    case EXIT_DEBUG_REGISTER:
        debug_register_exit(v);
        return 0;
    case EXIT_TRAP_FLAG:
        v->debug.progress = true;
        return 0;
    case EXIT_IO:
        return io_exit(v);
    case EXIT_RDMSR:
        rdmsr_exit(v);
        return 0;
    case EXIT_WRMSR:
        wrmsr_exit(v);
        return 0;
    case EXIT_XSETBV:
        xsetbv_exit(v);
        return 0;
    case EXIT_EPT_VIOLATION:
        return ept_violation(v);
    case EXIT_TASK_SWITCH:
        return task_exit(v);
    case EXIT_INVALID_ENTRY | EXIT_INVALID_STATE:
        return exit_give_up(v, "no processor can be in its state");
    case EXIT_GETSEC:
    case EXIT_VMCALL:
    case EXIT_MWAIT:
    case EXIT_MONITOR:
    case EXIT_INVEPT:
    case EXIT_INVVPID:
        exit_raise(v, EXC_UD);
        return 0;
    default:
        if (reason > EXIT_VMCALL && reason <= EXIT_VMXON) {
            exit_raise(v, EXC_UD);
            return 0;
        }
        return exit_give_up(v, "it left the guest for a reason that was not asked for");
    }
}
