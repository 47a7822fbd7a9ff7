/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/x86.h - the register sets of x86 backends.
 *
 * bp_cpu_ops.regs_get/regs_set move a vCPU's registers and vm_get/vm_set what is one a machine,
 * each named by an id and held in a struct below. Together they are a whole running guest: what one
 * backend gives, another takes. Values as in the Intel SDM (vol. 3) and AMD APM (vol. 2); where the
 * two differ the comment says which. A struct never grows: a wider set gets a new id.
 */
#ifndef BACKPLANE_EXT_X86_H
#define BACKPLANE_EXT_X86_H

#include "../abi.h"
BP_BEGIN

/* ---- "x86.gpr/1" ---------------------------------------------------------------------------- */

#define BP_X86_GPR "x86.gpr/1"
struct bp_x86_gpr {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi; /* in the order of their encoding */
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags;
};

/* ---- "x86.sys/1" ---------------------------------------------------------------------------- */

/* A segment register with its hidden part. `attributes`: bits 8-23 of the descriptor's second
 * doubleword, shifted down to 0 (type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15). */
struct bp_x86_segment {
    uint64_t base;
    uint32_t limit; /* bytes, as the hardware compares: already scaled by G */
    uint16_t selector;
    uint16_t attributes; /* P clear: unusable */
};

struct bp_x86_table {
    uint64_t base;
    uint16_t limit;
    uint16_t reserved[3];
};

#define BP_X86_SYS "x86.sys/1"
struct bp_x86_sys {
    struct bp_x86_segment es, cs, ss, ds, fs, gs, ldt, tr;
    struct bp_x86_table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer;
    uint64_t xcr0;      /* set: 0 leaves it as it is */
    uint64_t apic_base; /* IA32_APIC_BASE; set: 0 leaves it as it is */
    uint64_t dr[4], dr6, dr7;
    uint64_t pdpte[4]; /* PAE page directory pointers as loaded; 0 in other modes */
};

/* ---- "x86.fpu/1" ---------------------------------------------------------------------------- */

/* An XSAVE area in standard (not compacted) format: the legacy region of FXSAVE, the header with
 * XSTATE_BV at 512, components where CPUID leaf 0xD of the guest puts them. */
#define BP_X86_FPU "x86.fpu/1"
#define BP_X86_XSAVE_BYTES 12288u
struct bp_x86_fpu {
    uint64_t length; /* bytes of `area` in use: 576 .. BP_X86_XSAVE_BYTES */
    uint8_t area[BP_X86_XSAVE_BYTES];
};

/* ---- "x86.msr/1" ---------------------------------------------------------------------------- */

struct bp_x86_msr {
    uint32_t index;
    uint32_t reserved;
    uint64_t value;
};

/* get fills `msrs` with every MSR that holds state, and sets count; set writes the `count` given
 * and fails with -EINVAL, and the index in host->fail(), at the first that the backend refuses. */
#define BP_X86_MSR "x86.msr/1"
#define BP_X86_MSRS_MAX 512u
struct bp_x86_msrs {
    uint32_t count;
    uint32_t reserved;
    struct bp_x86_msr msrs[BP_X86_MSRS_MAX];
};

/* ---- "x86.events/1" ------------------------------------------------------------------------- */

#define BP_X86_EVENT_PENDING 1u  /* recognised, not yet delivered */
#define BP_X86_EVENT_INJECTED 2u /* its delivery has begun: must be done again */

#define BP_X86_EVENTS "x86.events/1"
struct bp_x86_events {
    uint8_t exception;        /* 0, or BP_X86_EVENT_* */
    uint8_t exception_vector; /* 0..31 */
    uint8_t exception_has_error;
    uint8_t exception_has_payload; /* CR2 or DR6 is still to be set from `exception_payload` */
    uint32_t exception_error;
    uint64_t exception_payload;
    uint8_t interrupt; /* an external or software interrupt: 0 or BP_X86_EVENT_INJECTED */
    uint8_t interrupt_vector;
    uint8_t interrupt_soft; /* INT n */
    uint8_t shadow;         /* bit 0: by STI, bit 1: by MOV SS or POP SS */
    uint8_t nmi_injected, nmi_pending;
    uint8_t nmi_masked; /* until IRET */
    uint8_t smm;        /* in system management mode */
    uint8_t smi_pending;
    uint8_t triple_fault_pending;
    uint8_t reserved[2];
    uint32_t sipi_vector;
};

/* ---- "x86.mp/1" ----------------------------------------------------------------------------- */

#define BP_X86_MP_RUNNABLE 0u
#define BP_X86_MP_WAIT_INIT 1u /* application processor after power on */
#define BP_X86_MP_WAIT_SIPI 2u /* INIT was received */
#define BP_X86_MP_HALTED 3u
#define BP_X86_MP_SIPI 4u /* SIPI received, not yet acted on */

#define BP_X86_MP "x86.mp/1"
struct bp_x86_mp {
    uint32_t state; /* BP_X86_MP_* */
    uint32_t reserved;
};

/* ---- "x86.lapic/1" -------------------------------------------------------------------------- */

/* The local APIC's registers, each of the 64 at offset n * 16 of its page (SDM 3A, table 10-1). In
 * x2APIC mode the ID register holds the 32-bit ID and ICR's upper half stands at 0x310, as KVM has
 * it. */
#define BP_X86_LAPIC "x86.lapic/1"
struct bp_x86_lapic {
    uint32_t registers[64];
    uint64_t tsc_deadline; /* IA32_TSC_DEADLINE, 0 if not armed */
};

/* ---- "x86.cpuid/1" -------------------------------------------------------------------------- */

struct bp_x86_cpuid_leaf {
    uint32_t leaf, subleaf;
    uint32_t has_subleaf; /* 0: the answer is the same for every ECX */
    uint32_t eax, ebx, ecx, edx;
};

/* vm_get: what the backend can offer; regs_set: what this vCPU shall see, exactly. */
#define BP_X86_CPUID "x86.cpuid/1"
#define BP_X86_CPUID_MAX 256u
struct bp_x86_cpuid {
    uint32_t count;
    struct bp_x86_cpuid_leaf leaves[BP_X86_CPUID_MAX];
};

/* ---- machine sets --------------------------------------------------------------------------- */

/* One 8259A. [0] is the master. */
struct bp_x86_i8259 {
    uint8_t irr, imr, isr, last_irr; /* last_irr: levels of the inputs, for edge detection */
    uint8_t priority_add;            /* the highest priority is IR this */
    uint8_t irq_base;                /* ICW2 */
    uint8_t read_isr, poll, special_mask, init_state, auto_eoi, rotate_on_auto_eoi;
    uint8_t special_fully_nested, init4, elcr, elcr_mask;
};

#define BP_X86_PIC "x86.pic/1"
struct bp_x86_pic {
    struct bp_x86_i8259 chip[2];
};

#define BP_X86_IOAPIC "x86.ioapic/1"
struct bp_x86_ioapic {
    uint64_t base_address;
    uint32_t ioregsel, id;
    uint32_t irr; /* level of each input */
    uint32_t reserved;
    uint64_t redirection[24]; /* with delivery status and remote IRR */
};

/* One counter of the 8254. */
struct bp_x86_pit_channel {
    uint32_t count; /* 1..65536 */
    uint16_t latched_count;
    uint8_t count_latched, status_latched, status;
    uint8_t read_state, write_state, write_latch;
    uint8_t rw_mode, mode, bcd, gate;
    int64_t load_time_ns; /* guest clock at which it was loaded */
};

#define BP_X86_PIT "x86.pit/1"
struct bp_x86_pit {
    struct bp_x86_pit_channel channel[3];
    uint8_t speaker_on; /* port 0x61, bit 1 */
    uint8_t reserved[7];
};

#define BP_X86_CLOCK "x86.clock/1"
struct bp_x86_clock {
    uint64_t paravirtual_ns; /* KVM's clock */
    uint64_t tsc;            /* of the boot processor at that moment */
    uint64_t tsc_hz;
};

BP_END
#endif
