/* SPDX-License-Identifier: MIT
 *
 * standin/exits.c - what causes VM exits, and what they tell.
 *
 * Intel SDM 3C, 25.1 to 25.3 (causes), 27.2.1 (qualifications), 27.2.2 to 27.2.5 (events,
 * instructions). An access to guest-physical memory that is not there, or may not be written,
 * reaches the engine's bus, and so does port I/O: there it exits. Other instructions are asked for
 * by the engine before they are done.
 */
#include "standin.h"

#include <Zydis/Mnemonic.h>

#include "decode/insn.h"
#include "mmu/tlb.h"
#include "ops/privileged.h"

#define TABLE_TSC_DISABLED CR4_TSD

static uint64_t event_info(const struct event *e)
{
    uint32_t type = e->external ? (e->vector == 2 ? INTERRUPTION_NMI : INTERRUPTION_EXTERNAL)
                    : e->soft   ? INTERRUPTION_SOFTWARE
                                : INTERRUPTION_EXCEPTION;

    return e->vector | type | (e->has_error ? INTERRUPTION_HAS_ERROR : 0) | INTERRUPTION_VALID;
}

/* What is being delivered goes into the IDT-vectoring information. */
static _Noreturn void leave(struct standin_vcpu *v, uint32_t reason, uint64_t qualification,
                            uint32_t length)
{
    struct cpu *c = v->c;

    field_set(v, VMX_EXIT_REASON, reason);
    field_set(v, VMX_EXIT_QUALIFICATION, qualification);
    field_set(v, VMX_EXIT_LENGTH, length);
    if (c->double_fault_stage) {
        field_set(v, VMX_IDT_VECTORING, v->vectoring);
        field_set(v, VMX_IDT_ERROR_CODE, v->vectoring_error);
        /* RIP of INT n, as it was before its event was injected. */
        if ((v->vectoring & INTERRUPTION_TYPE) >= INTERRUPTION_SOFTWARE) {
            field_set(v, VMX_EXIT_LENGTH, field_get(v, VMX_ENTRY_LENGTH));
            c->rip -= field_get(v, VMX_ENTRY_LENGTH);
        }
        c->double_fault_stage = 0;
    }
    cpu_leave(c);
}

static _Noreturn void leave_instruction(struct standin_vcpu *v, uint32_t reason,
                                        uint64_t qualification)
{
    leave(v, reason, qualification, v->length);
}

/* ---- memory --------------------------------------------------------------------------------- */

static _Noreturn void ept_violation(struct standin_vcpu *v, uint64_t gpa, uint32_t access)
{
    uint64_t flags = standin_permissions(gpa), qualification = access;
    struct cpu *c = v->c;

    if (flags & HV_MEMORY_READ)
        qualification |= EPT_READABLE;
    /* Pages whose stores are kept off are not writable, and nothing else comes here. */
    if (flags & HV_MEMORY_EXEC)
        qualification |= EPT_EXECUTABLE;
    if (c->walking == WALKING_CODE)
        qualification = (qualification & ~(uint64_t)EPT_READ) | EPT_FETCH;
    qualification |= EPT_LINEAR_VALID;
    if (c->walking != WALKING_TABLES)
        qualification |= EPT_LINEAR_FINAL;
    c->walking = 0;
    field_set(v, VMX_GUEST_PHYSICAL_ADDRESS, gpa);
    field_set(v, VMX_GUEST_LINEAR_ADDRESS, c->access_la);
    leave(v, EXIT_EPT_VIOLATION, qualification, 0);
}

static uint64_t mmio_read(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width)
{
    (void)width;
    ept_violation(vcpu->v, gpa, EPT_READ);
}

static void mmio_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    (void)value;
    (void)width;
    ept_violation(vcpu->v, gpa, EPT_WRITE);
}

/* ---- I/O ------------------------------------------------------------------------------------ */

/* The code at RIP, decoded again: what an exit tells about its operands. */
static bool decode(struct standin_vcpu *v, struct insn *i)
{
    struct cpu *c = v->c;
    uint64_t base = cpu_64bit(c) ? 0 : c->seg[SEG_CS].base;
    uint8_t bytes[15];

    for (uint32_t k = 0; k < v->length && k < sizeof(bytes); k++) {
        uint64_t la = base + c->rip + k;
        int64_t gpa = mmu_debug_translate(c, cpu_64bit(c) ? la : la & UINT32_MAX);
        const struct memory_slot *s = gpa < 0 ? NULL : memory_slot_at(c->engine, (uint64_t)gpa);

        if (!s)
            return false;
        bytes[k] = s->host[(uint64_t)gpa - s->gpa];
    }
    return insn_decode(bytes, v->length, c->mode, i) == 0;
}

static _Noreturn void io_exit(struct standin_vcpu *v, uint16_t port, uint32_t width, bool in)
{
    uint64_t qualification = (width - 1) | (in ? 8 : 0) | (uint64_t)port << 16;
    struct insn i = {0};

    if (decode(v, &i) && i.mnemonic != ZYDIS_MNEMONIC_IN && i.mnemonic != ZYDIS_MNEMONIC_OUT) {
        qualification |= 0x10 | (i.rep || i.repne ? 0x20 : 0);
        field_set(v, VMX_EXIT_INSTRUCTION,
                  (i.asize == 2   ? 0u
                   : i.asize == 4 ? 1u
                                  : 2u)
                          << 7 |
                      (uint32_t)(in ? SEG_ES : i.seg) << 15);
    } else if (i.opcode < 0xe8) {
        qualification |= 0x40;
    }
    leave_instruction(v, EXIT_IO, qualification);
}

static uint32_t pio_read(struct bp_vcpu *vcpu, uint16_t port, uint32_t width)
{
    io_exit(vcpu->v, port, width, true);
}

static void pio_write(struct bp_vcpu *vcpu, uint16_t port, uint32_t value, uint32_t width)
{
    (void)value;
    io_exit(vcpu->v, port, width, false);
}

const struct bp_bus exits_bus = {.size = sizeof(exits_bus),
                                 .mmio_read = mmio_read,
                                 .mmio_write = mmio_write,
                                 .pio_read = pio_read,
                                 .pio_write = pio_write};

/* ---- control registers ---------------------------------------------------------------------- */

/* The instruction has been done here: on to the next one. */
static _Noreturn void done(struct standin_vcpu *v)
{
    struct cpu *c = v->c;

    c->rip = (c->rip + v->length) & c->ip_mask;
    if (c->rflags & FLAG_TF)
        c->pending_db |= DR6_BS;
    c->rflags &= ~(uint64_t)FLAG_RF;
    c->shadow_before = 0;
    v->resume = true;
    cpu_leave(c);
}

static uint64_t visible(struct standin_vcpu *v, uint64_t real, uint32_t mask, uint32_t shadow)
{
    uint64_t owned = field_get(v, mask);

    return (real & ~owned) | (field_get(v, shadow) & owned);
}

static void write_cr(struct standin_vcpu *v, uint32_t number, uint64_t value,
                     uint64_t qualification)
{
    uint32_t mask = number ? VMX_CR4_MASK : VMX_CR0_MASK;
    uint32_t shadow = number ? VMX_CR4_SHADOW : VMX_CR0_SHADOW;
    uint64_t owned = field_get(v, mask);
    struct cpu *c = v->c;
    int err;

    if ((value ^ field_get(v, shadow)) & owned)
        leave_instruction(v, EXIT_CONTROL_REGISTER, qualification);
    if (number == 0) {
        err = control_set_cr0(c, (value & ~owned) | (c->cr0 & owned));
    } else {
        uint64_t fixed = c->cr4 & owned;

        err = control_set_cr4(c, (value & ~owned) | (fixed & ~UINT64_C(0x2000)));
        if (!err)
            c->cr4 |= 0x2000;
    }
    if (err)
        raise_error(c, NULL, EXC_GP, 0);
    done(v);
}

static void move_cr(struct standin_vcpu *v, const struct insn *i)
{
    bool to = i->opcode & 2;
    uint32_t number = i->op[to ? 0 : 1].number, gpr = i->op[to ? 1 : 0].number;
    uint64_t proc = field_get(v, VMX_PROC_CONTROLS);
    uint64_t qualification = number | (to ? 0 : 0x10) | gpr << 8, value;
    struct cpu *c = v->c;

    value = cpu_64bit(c) ? c->reg[gpr] : (uint32_t)c->reg[gpr];
    if (to && (number == 0 || number == 4))
        write_cr(v, number, value, qualification);
    if ((number == 3 && proc & (to ? PROC_CR3_LOAD : PROC_CR3_STORE)) ||
        (number == 8 && proc & (to ? PROC_CR8_LOAD : PROC_CR8_STORE)))
        leave_instruction(v, EXIT_CONTROL_REGISTER, qualification);
    if (!to && (number == 0 || number == 4)) {
        value = number ? visible(v, c->cr4, VMX_CR4_MASK, VMX_CR4_SHADOW)
                       : visible(v, c->cr0, VMX_CR0_MASK, VMX_CR0_SHADOW);
        c->reg[gpr] = cpu_64bit(c) ? value : (uint32_t)value;
        done(v);
    }
}

static void move(struct standin_vcpu *v)
{
    struct insn i;

    if (v->c->cpl || !decode(v, &i))
        return;
    if ((i.opcode & 1) == 0)
        move_cr(v, &i);
    else if (field_get(v, VMX_PROC_CONTROLS) & PROC_MOV_DR)
        leave_instruction(v, EXIT_DEBUG_REGISTER,
                          i.opcode & 2
                              ? (uint64_t)i.op[0].number | (uint64_t)i.op[1].number << 8
                              : (uint64_t)i.op[1].number | 0x10 | (uint64_t)i.op[0].number << 8);
}

/* SMSW stores from CR0 as the guest may see it, here only what neither mask nor engine tells apart
 * is real: the low 16 bits but NE. */
static void smsw(struct standin_vcpu *v)
{
    struct cpu *c = v->c;
    struct insn i;
    uint64_t value = visible(v, c->cr0, VMX_CR0_MASK, VMX_CR0_SHADOW);

    if ((c->cr4 & CR4_UMIP && c->cpl) || !decode(v, &i) || i.op[0].kind != OPERAND_REG)
        return;
    reg_write(c, i.op[0].number, value, i.osize);
    done(v);
}

static void clts(struct standin_vcpu *v)
{
    if (v->c->cpl || !(field_get(v, VMX_CR0_MASK) & CR0_TS))
        return;
    if (field_get(v, VMX_CR0_SHADOW) & CR0_TS)
        leave_instruction(v, EXIT_CONTROL_REGISTER, 0x20);
    done(v);
}

/* Only a register's: what plugins of ours own of these bits, memory forms cannot change. */
static void lmsw(struct standin_vcpu *v)
{
    uint64_t owned = field_get(v, VMX_CR0_MASK) & 0xf;
    struct insn i;

    if (v->c->cpl || !owned || !decode(v, &i) || i.op[0].kind != OPERAND_REG)
        return;
    uint16_t value = (uint16_t)v->c->reg[i.op[0].number];
    if ((value ^ field_get(v, VMX_CR0_SHADOW)) & owned)
        leave_instruction(v, EXIT_CONTROL_REGISTER, 0x30 | (uint64_t)value << 16);
}

/* ---- other instructions --------------------------------------------------------------------- */

/* Exit if the control is set, after the check of CPL. */
static void if_control(struct standin_vcpu *v, uint32_t field, uint32_t bit, uint32_t reason,
                       bool privileged)
{
    if ((!privileged || v->c->cpl == 0) && field_get(v, field) & bit)
        leave_instruction(v, reason, 0);
}

static void msr(struct standin_vcpu *v, uint32_t reason)
{
    if (v->c->cpl == 0 && !(v->native_msrs & native_msr((uint32_t)v->c->reg[RCX])))
        leave_instruction(v, reason, 0);
}

static void software_exception(struct standin_vcpu *v, uint8_t vector, uint32_t type)
{
    if (vector == EXC_OF && !(cpu_rflags(v->c) & FLAG_OF))
        return;
    if (!(field_get(v, VMX_EXCEPTION_BITMAP) >> vector & 1))
        return;
    field_set(v, VMX_EXIT_INTERRUPTION, vector | type | INTERRUPTION_VALID);
    leave_instruction(v, EXIT_EXCEPTION, 0);
}

static void invlpg(struct standin_vcpu *v)
{
    /* The address is not told: nobody here asks for it. */
    if_control(v, VMX_PROC_CONTROLS, PROC_INVLPG, EXIT_INVLPG, true);
}

void exits_instruction(void *context, struct cpu *c, uint32_t mnemonic, uint32_t length)
{
    struct standin_vcpu *v = c->handle->v;
    bool tsc_allowed = !(c->cr4 & CR4_TSD) || c->cpl == 0 || !(c->cr0 & CR0_PE);

    (void)context;
    v->mnemonic = mnemonic;
    v->length = length;
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
        leave_instruction(v, EXIT_CPUID, 0);
    case ZYDIS_MNEMONIC_VMCALL:
        leave_instruction(v, EXIT_VMCALL, 0);
    case ZYDIS_MNEMONIC_INVD:
        if (c->cpl == 0)
            leave_instruction(v, EXIT_INVD, 0);
        break;
    case ZYDIS_MNEMONIC_XSETBV:
        if (c->cpl == 0 && c->cr4 & CR4_OSXSAVE)
            leave_instruction(v, EXIT_XSETBV, 0);
        break;
    case ZYDIS_MNEMONIC_HLT:
        if_control(v, VMX_PROC_CONTROLS, PROC_HLT, EXIT_HLT, true);
        break;
    case ZYDIS_MNEMONIC_WBINVD:
        if_control(v, VMX_PROC2_CONTROLS, PROC2_WBINVD, EXIT_WBINVD, true);
        break;
    case ZYDIS_MNEMONIC_INVLPG:
        invlpg(v);
        break;
    case ZYDIS_MNEMONIC_RDPMC:
        if_control(v, VMX_PROC_CONTROLS, PROC_RDPMC, EXIT_RDPMC, !(c->cr4 & CR4_PCE));
        break;
    case ZYDIS_MNEMONIC_RDTSC:
        if (tsc_allowed)
            if_control(v, VMX_PROC_CONTROLS, PROC_RDTSC, EXIT_RDTSC, false);
        break;
    case ZYDIS_MNEMONIC_RDTSCP:
        if (!(field_get(v, VMX_PROC2_CONTROLS) & PROC2_RDTSCP))
            raise_exception(c, NULL, EXC_UD);
        if (tsc_allowed)
            if_control(v, VMX_PROC_CONTROLS, PROC_RDTSC, EXIT_RDTSCP, false);
        break;
    case ZYDIS_MNEMONIC_PAUSE:
        if_control(v, VMX_PROC_CONTROLS, PROC_PAUSE, EXIT_PAUSE, false);
        break;
    case ZYDIS_MNEMONIC_RDMSR:
        msr(v, EXIT_RDMSR);
        break;
    case ZYDIS_MNEMONIC_WRMSR:
        msr(v, EXIT_WRMSR);
        break;
    case ZYDIS_MNEMONIC_MOV:
        move(v);
        break;
    case ZYDIS_MNEMONIC_LMSW:
        lmsw(v);
        break;
    case ZYDIS_MNEMONIC_SMSW:
        smsw(v);
        break;
    case ZYDIS_MNEMONIC_CLTS:
        clts(v);
        break;
    case ZYDIS_MNEMONIC_INT1:
        software_exception(v, EXC_DB, INTERRUPTION_PRIVILEGED_SOFTWARE);
        break;
    case ZYDIS_MNEMONIC_INT3:
        software_exception(v, EXC_BP, INTERRUPTION_SOFTWARE_EXCEPTION);
        break;
    case ZYDIS_MNEMONIC_INTO:
        software_exception(v, EXC_OF, INTERRUPTION_SOFTWARE_EXCEPTION);
        break;
    default: /* ports exit at the bus, after the checks of rights */
        break;
    }
}

/* ---- events --------------------------------------------------------------------------------- */

void exits_event(void *context, struct cpu *c)
{
    struct standin_vcpu *v = c->handle->v;
    const struct event *e = &c->event;
    uint64_t qualification = 0;

    (void)context;
    if (v->injecting) {
        v->injecting = false;
        return;
    }
    if (!e->external && !e->soft && field_get(v, VMX_EXCEPTION_BITMAP) >> e->vector & 1) {
        field_set(v, VMX_EXIT_INTERRUPTION, event_info(e));
        field_set(v, VMX_EXIT_ERROR_CODE, e->error);
        if (e->vector == EXC_PF)
            qualification = e->cr2;
        if (e->vector == EXC_DB) {
            qualification = c->pending_db | (c->dr6 & 0xf & c->pending_db);
            c->pending_db = 0;
        }
        leave(v, EXIT_EXCEPTION, qualification, 0);
    }
    if (!c->double_fault_stage || !e->external) {
        v->vectoring = (uint32_t)event_info(e);
        v->vectoring_error = e->error;
    }
}

void exits_boundary(void *context, struct cpu *c)
{
    struct standin_vcpu *v = c->handle->v;
    uint64_t proc = field_get(v, VMX_PROC_CONTROLS);

    (void)context;
    /* An event was delivered: the monitor trap flag's exit comes first (SDM 3C, 25.5.2). */
    if (c->debug.on && c->debug.progress)
        return;
    if (__atomic_exchange_n(&v->interrupted, 0, __ATOMIC_SEQ_CST))
        leave(v, EXIT_EXTERNAL_INTERRUPT, 0, 0);
    if (proc & PROC_NMI_WINDOW && !c->nmi_masked && !(c->shadow & 2))
        leave(v, EXIT_NMI_WINDOW, 0, 0);
    if (proc & PROC_INTERRUPT_WINDOW && c->rflags & FLAG_IF && !c->shadow)
        leave(v, EXIT_INTERRUPT_WINDOW, 0, 0);
}

/* Source: 0 CALL, 1 IRET, 2 JMP, 3 a task gate of the IDT. */
void exits_task(void *context, struct cpu *c, uint16_t selector, uint32_t reason, uint64_t next)
{
    static const uint8_t sources[] = {
        [TASK_JUMP] = 2, [TASK_CALL] = 0, [TASK_IRET] = 1, [TASK_GATE] = 3};
    struct standin_vcpu *v = c->handle->v;

    (void)context;
    /* INT n by a task gate: its event is told, too. */
    if (reason == TASK_GATE && !c->double_fault_stage) {
        struct insn i;

        v->length = (uint32_t)(next - c->rip);
        field_set(v, VMX_IDT_VECTORING,
                  (decode(v, &i) && i.mnemonic == ZYDIS_MNEMONIC_INT ? (uint8_t)i.op[0].imm : 3u) |
                      INTERRUPTION_SOFTWARE | INTERRUPTION_VALID);
    }
    leave(v, EXIT_TASK_SWITCH, selector | (uint64_t)sources[reason] << 30,
          (uint32_t)(next - c->rip));
}
