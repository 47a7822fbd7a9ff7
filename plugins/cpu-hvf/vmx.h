/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/vmx.h - VMX by numbers: encodings of VMCS fields, bits of controls, exit reasons.
 *
 * After the Intel SDM 3C, chapters 24 to 27, and 3D, appendices B and C, whose names they have.
 * Apple's headers name them too, but not the same in every release.
 */
#ifndef CPU_HVF_VMX_H
#define CPU_HVF_VMX_H

/* ---- fields (appendix B) -------------------------------------------------------------------- */

/* 16 bits, guest state. The segments' other fields are in the same order, 2 apart. */
#define VMX_ES_SELECTOR 0x800u
#define VMX_CS_SELECTOR 0x802u
#define VMX_SS_SELECTOR 0x804u
#define VMX_LDTR_SELECTOR 0x80cu
#define VMX_TR_SELECTOR 0x80eu
/* 64 bits. */
#define VMX_TSC_OFFSET 0x2010u
#define VMX_GUEST_PHYSICAL_ADDRESS 0x2400u
#define VMX_LINK_POINTER 0x2800u
#define VMX_DEBUGCTL 0x2802u
#define VMX_PAT 0x2804u
#define VMX_EFER 0x2806u
#define VMX_PDPTE0 0x280au
/* 32 bits, controls. */
#define VMX_PIN_CONTROLS 0x4000u
#define VMX_PROC_CONTROLS 0x4002u
#define VMX_EXCEPTION_BITMAP 0x4004u
#define VMX_PF_ERROR_MASK 0x4006u
#define VMX_PF_ERROR_MATCH 0x4008u
#define VMX_EXIT_CONTROLS 0x400cu
#define VMX_ENTRY_CONTROLS 0x4012u
#define VMX_ENTRY_INTERRUPTION 0x4016u
#define VMX_ENTRY_ERROR_CODE 0x4018u
#define VMX_ENTRY_LENGTH 0x401au
#define VMX_PROC2_CONTROLS 0x401eu
/* 32 bits, read-only: about the exit. */
#define VMX_EXIT_REASON 0x4402u
#define VMX_EXIT_INTERRUPTION 0x4404u
#define VMX_EXIT_ERROR_CODE 0x4406u
#define VMX_IDT_VECTORING 0x4408u
#define VMX_IDT_ERROR_CODE 0x440au
#define VMX_EXIT_LENGTH 0x440cu
#define VMX_EXIT_INSTRUCTION 0x440eu
/* 32 bits, guest state. */
#define VMX_ES_LIMIT 0x4800u
#define VMX_GDTR_LIMIT 0x4810u
#define VMX_IDTR_LIMIT 0x4812u
#define VMX_ES_RIGHTS 0x4814u
#define VMX_INTERRUPTIBILITY 0x4824u
#define VMX_ACTIVITY 0x4826u
#define VMX_SYSENTER_CS 0x482au
/* Natural width. */
#define VMX_CR0_MASK 0x6000u
#define VMX_CR4_MASK 0x6002u
#define VMX_CR0_SHADOW 0x6004u
#define VMX_CR4_SHADOW 0x6006u
#define VMX_EXIT_QUALIFICATION 0x6400u
#define VMX_GUEST_LINEAR_ADDRESS 0x640au
#define VMX_CR0 0x6800u
#define VMX_CR3 0x6802u
#define VMX_CR4 0x6804u
#define VMX_ES_BASE 0x6806u
#define VMX_GDTR_BASE 0x6816u
#define VMX_IDTR_BASE 0x6818u
#define VMX_DR7 0x681au
#define VMX_RSP 0x681cu
#define VMX_RIP 0x681eu
#define VMX_RFLAGS 0x6820u
#define VMX_PENDING_DEBUG 0x6822u
#define VMX_SYSENTER_ESP 0x6824u
#define VMX_SYSENTER_EIP 0x6826u

/* ---- controls (24.6 to 24.8) ---------------------------------------------------------------- */

#define PIN_EXTERNAL_INTERRUPT 0x1u
#define PIN_NMI 0x8u
#define PIN_VIRTUAL_NMI 0x20u

#define PROC_INTERRUPT_WINDOW 0x4u
#define PROC_TSC_OFFSET 0x8u
#define PROC_HLT 0x80u
#define PROC_INVLPG 0x200u
#define PROC_MWAIT 0x400u
#define PROC_RDPMC 0x800u
#define PROC_RDTSC 0x1000u
#define PROC_CR3_LOAD 0x8000u
#define PROC_CR3_STORE 0x10000u
#define PROC_CR8_LOAD 0x80000u
#define PROC_CR8_STORE 0x100000u
#define PROC_TPR_SHADOW 0x200000u
#define PROC_NMI_WINDOW 0x400000u
#define PROC_MOV_DR 0x800000u
#define PROC_IO 0x1000000u
#define PROC_IO_BITMAPS 0x2000000u
#define PROC_TRAP_FLAG 0x8000000u
#define PROC_MSR_BITMAPS 0x10000000u
#define PROC_MONITOR 0x20000000u
#define PROC_PAUSE 0x40000000u
#define PROC_SECONDARY 0x80000000u

#define PROC2_EPT 0x2u
#define PROC2_RDTSCP 0x8u
#define PROC2_VPID 0x20u
#define PROC2_WBINVD 0x40u
#define PROC2_UNRESTRICTED 0x80u
#define PROC2_INVPCID 0x1000u

#define EXIT_SAVE_DEBUG 0x4u
#define EXIT_HOST_64 0x200u
#define EXIT_ACKNOWLEDGE 0x8000u
#define EXIT_SAVE_PAT 0x40000u
#define EXIT_LOAD_PAT 0x80000u
#define EXIT_SAVE_EFER 0x100000u
#define EXIT_LOAD_EFER 0x200000u

#define ENTRY_LOAD_DEBUG 0x4u
#define ENTRY_GUEST_64 0x200u
#define ENTRY_LOAD_PAT 0x4000u
#define ENTRY_LOAD_EFER 0x8000u

/* ---- interruption information (24.8.3, 24.9.2) ---------------------------------------------- */

#define INTERRUPTION_VECTOR 0xffu
#define INTERRUPTION_TYPE 0x700u
#define INTERRUPTION_EXTERNAL 0x000u
#define INTERRUPTION_NMI 0x200u
#define INTERRUPTION_EXCEPTION 0x300u
#define INTERRUPTION_SOFTWARE 0x400u            /* INT n */
#define INTERRUPTION_PRIVILEGED_SOFTWARE 0x500u /* INT1 */
#define INTERRUPTION_SOFTWARE_EXCEPTION 0x600u  /* INT3, INTO */
#define INTERRUPTION_OTHER 0x700u
#define INTERRUPTION_HAS_ERROR 0x800u
#define INTERRUPTION_NMI_UNBLOCKED 0x1000u /* IRET had unblocked NMIs */
#define INTERRUPTION_VALID 0x80000000u

/* Interruptibility (table 24-3), and pending debug exceptions (table 24-4). */
#define BLOCKED_BY_STI 0x1u
#define BLOCKED_BY_MOV_SS 0x2u
#define BLOCKED_BY_SMI 0x4u
#define BLOCKED_BY_NMI 0x8u
#define PENDING_DEBUG_BREAKPOINT 0x1000u
#define PENDING_DEBUG_STEP 0x4000u

/* Rights of a segment (table 24-2): as in struct bp_x86_segment, but for this bit. */
#define RIGHTS_UNUSABLE 0x10000u

/* ---- exit reasons (appendix C) -------------------------------------------------------------- */

#define EXIT_INVALID_ENTRY 0x80000000u /* or'ed in: VM entry failed */
enum vmx_exit {
    EXIT_EXCEPTION = 0,
    EXIT_EXTERNAL_INTERRUPT = 1,
    EXIT_TRIPLE_FAULT = 2,
    EXIT_INTERRUPT_WINDOW = 7,
    EXIT_NMI_WINDOW = 8,
    EXIT_TASK_SWITCH = 9,
    EXIT_CPUID = 10,
    EXIT_GETSEC = 11,
    EXIT_HLT = 12,
    EXIT_INVD = 13,
    EXIT_INVLPG = 14,
    EXIT_RDPMC = 15,
    EXIT_RDTSC = 16,
    EXIT_RSM = 17,
    EXIT_VMCALL = 18,
    EXIT_VMXON = 27,
    EXIT_CONTROL_REGISTER = 28,
    EXIT_DEBUG_REGISTER = 29,
    EXIT_IO = 30,
    EXIT_RDMSR = 31,
    EXIT_WRMSR = 32,
    EXIT_INVALID_STATE = 33,
    EXIT_MWAIT = 36,
    EXIT_TRAP_FLAG = 37,
    EXIT_MONITOR = 39,
    EXIT_PAUSE = 40,
    EXIT_MACHINE_CHECK = 41,
    EXIT_EPT_VIOLATION = 48,
    EXIT_EPT_MISCONFIGURATION = 49,
    EXIT_INVEPT = 50,
    EXIT_RDTSCP = 51,
    EXIT_PREEMPTION_TIMER = 52,
    EXIT_INVVPID = 53,
    EXIT_WBINVD = 54,
    EXIT_XSETBV = 55,
    EXIT_INVPCID = 58
};

/* Qualification of EPT violations (table 27-7). */
#define EPT_READ 0x1u
#define EPT_WRITE 0x2u
#define EPT_FETCH 0x4u
#define EPT_READABLE 0x8u
#define EPT_WRITABLE 0x10u
#define EPT_EXECUTABLE 0x20u
#define EPT_LINEAR_VALID 0x80u
#define EPT_LINEAR_FINAL 0x100u   /* not an access to a page table */
#define EPT_NMI_UNBLOCKED 0x1000u /* by the IRET that exited */

#endif
