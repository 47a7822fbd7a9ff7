/* SPDX-License-Identifier: MIT
 *
 * engine/cpu.h - the architectural state of one x86 processor, and how an instruction raises an
 * exception.
 *
 * After the Intel SDM, volumes 1 and 3, and AMD's APM, volume 2, where Intel leaves something to
 * it. What a handler touches in every instruction stands in the first cache lines.
 *
 * An exception leaves its instruction by longjmp() to the run loop. So an instruction first does
 * all that can fault, and only then changes registers and flags; nothing has to be undone.
 */
#ifndef INTERP_CPU_H
#define INTERP_CPU_H

#include <backplane/cpu.h>
#include <backplane/ext/debug.h>
#include <backplane/ext/irqchip.h>
#include <backplane/ext/x86.h>

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Registers in the order of their encoding, as in struct bp_x86_gpr. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
#define REG_ZERO 16 /* always 0: an address without base or index has this one */
#define REG_RIP 17  /* RIP of the first instruction of the running block */
#define REGS 18

/* Segment registers in the order of their encoding. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDT, SEG_TR, SEGS };

/* RFLAGS (SDM 1, 3.4.3). */
#define FLAG_CF 0x1u
#define FLAG_ONE 0x2u /* always set */
#define FLAG_PF 0x4u
#define FLAG_AF 0x10u
#define FLAG_ZF 0x40u
#define FLAG_SF 0x80u
#define FLAG_TF 0x100u
#define FLAG_IF 0x200u
#define FLAG_DF 0x400u
#define FLAG_OF 0x800u
#define FLAG_IOPL 0x3000u
#define FLAG_NT 0x4000u
#define FLAG_RF 0x10000u
#define FLAG_VM 0x20000u
#define FLAG_AC 0x40000u
#define FLAG_VIF 0x80000u
#define FLAG_VIP 0x100000u
#define FLAG_ID 0x200000u
#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* CR0, CR4, EFER (SDM 3, 2.5 and 2.2.1). */
#define CR0_PE 0x1u
#define CR0_MP 0x2u
#define CR0_EM 0x4u
#define CR0_TS 0x8u
#define CR0_ET 0x10u
#define CR0_NE 0x20u
#define CR0_WP 0x10000u
#define CR0_AM 0x40000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u
#define CR4_VME 0x1u
#define CR4_PVI 0x2u
#define CR4_TSD 0x4u
#define CR4_DE 0x8u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_MCE 0x40u
#define CR4_PGE 0x80u
#define CR4_PCE 0x100u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_UMIP 0x800u
#define CR4_LA57 0x1000u
#define CR4_FSGSBASE 0x10000u
#define CR4_PCIDE 0x20000u
#define CR4_OSXSAVE 0x40000u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u
#define EFER_SCE 0x1u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u

/* Exceptions (SDM 3, 6.15). */
enum {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_OF = 4,
    EXC_BR = 5,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_MC = 18,
    EXC_XM = 19
};

/* Bits of a segment's attributes, as in struct bp_x86_segment. */
#define SEG_TYPE 0xfu
#define SEG_ACCESSED 0x1u
#define SEG_WRITABLE 0x2u /* data; code: readable */
#define SEG_DOWN 0x4u     /* data: expands down; code: conforming */
#define SEG_CODE 0x8u
#define SEG_S 0x10u
#define SEG_DPL_SHIFT 5
#define SEG_P 0x80u
#define SEG_L 0x2000u
#define SEG_DB 0x4000u
#define SEG_G 0x8000u

/* What the decoding of an instruction depends on; part of a block's key. */
#define MODE_64 0x1u   /* CS.L in long mode */
#define MODE_32 0x2u   /* CS.D: 32-bit operands and addresses */
#define MODE_SS32 0x4u /* SS.B: ESP; not in 64-bit mode */
#define MODE_USER 0x8u /* CPL 3 */
#define MODE_FLAT                                                                                  \
    0x10u /* DS, ES, SS and CS have base 0, limit 4 GiB - 1 and the usual rights; set in 64-bit    \
           */
#define MODE_PE 0x20u   /* protected mode, not virtual-8086 */
#define MODE_STEP 0x40u /* blocks of one instruction: TF, shadows, tracing, breakpoints */

/* Reasons to come to the run loop at the next block boundary: bits of cpu.pend. */
#define PEND_IRQ 0x1u    /* the interrupt controller wants attention, or IF has become 1 */
#define PEND_TIMER 0x2u  /* the local APIC's timer may be due */
#define PEND_KICK 0x4u   /* leave vcpu_run() */
#define PEND_REMOTE 0x8u /* another thread wants something done here: block/remote.c */
#define PEND_CHECK 0x10u /* the state has changed in a way that the run loop must look at */

/* cpu.halted */
#define HALTED_HLT 1u
#define HALTED_X87 2u /* before a waiting instruction, for an interrupt: fpu/x87.c */

/* cpu.walking */
#define WALKING_TABLES 1u
#define WALKING_CODE 2u

/* How lazy flags are to be computed: cc_op is kind + log2 of the operand's bytes. cc_res is the
 * result and cc_src the second operand, both zero-extended from the operand's size. */
enum {
    CC_EXPLICIT = 0, /* cc_src holds the six arithmetic flags where RFLAGS has them */
    CC_ADD = 4,      /* first operand: cc_res - cc_src */
    CC_SUB = 8,      /* also CMP; NEG is 0 - x. First operand: cc_res + cc_src */
    CC_LOGIC = 12,   /* AND, OR, XOR, TEST; AF is 0 here, where the manual leaves it undefined */
    CC_INC = 16,     /* cc_src is CF from before, 0 or 1 */
    CC_DEC = 20
};

union vreg { /* XMM in the low, YMM in all of it */
    uint8_t u8[32];
    int8_t i8[32];
    uint16_t u16[16];
    int16_t i16[16];
    uint32_t u32[8];
    int32_t i32[8];
    uint64_t u64[4];
    int64_t i64[4];
    float f32[8];
    double f64[4];
} __attribute__((aligned(32)));

/* An 80-bit register as in memory (SDM 1, 8.2): bit 15 of sign_exponent is the sign. The mantissa
 * is the MMX register. */
struct f80 {
    uint64_t mantissa;
    uint16_t sign_exponent;
};

struct fpu {
    struct f80 r[8]; /* physical R0..R7; ST(i) is r[(top + i) & 7], MMi is r[i] */
    uint16_t control;
    uint16_t status;  /* without TOP, which is below */
    uint8_t top;      /* 0..7 */
    uint8_t valid;    /* bit n: r[n] is not empty, as FXSAVE's abridged tag word */
    uint16_t opcode;  /* FOP, 11 bits */
    uint64_t ip, dp;  /* FIP and FDP, offsets */
    uint16_t cs, ds;  /* FCS and FDS */
    uint32_t mxcsr;   /* with the sticky bits as far as they were read: see fpu/mxcsr.h */
    uint32_t entered; /* the host's MXCSR is this guest's now: mxcsr_enter() */
};

struct segment {
    uint64_t base;
    uint32_t limit; /* bytes, scaled by G */
    uint16_t selector, attributes;
};

struct table {
    uint64_t base;
    uint32_t limit; /* 16 bits */
    uint32_t reserved;
};

/* An exception or interrupt that is being delivered. */
struct event {
    uint8_t vector;
    uint8_t has_error;
    uint8_t soft;     /* INT n, INT3, INTO: the gate's DPL counts, the saved RIP is the next one */
    uint8_t external; /* an interrupt from outside: EXT in error codes */
    uint32_t error;
    uint64_t cr2; /* of #PF */
};

/* Address spaces whose user pages the TLB keeps apart: Linux uses as many PCIDs a processor. */
#define SPACES 6u

struct space {
    uint16_t id;   /* of its RIPs in the jump cache; a new one whenever the space is flushed */
    uint16_t pcid; /* that the space had when it was left; of the present one CR3 says it */
    uint8_t used;  /* not the present one, but may be gone back to */
    uint8_t reserved;
};

struct tlb;
struct block_cache;
struct engine;
struct uop;
struct trace_cpu;

#define PROGRESS_INSN 1u  /* an instruction was run */
#define PROGRESS_EVENT 2u /* an event was delivered */

/* Debugging from outside: "bp.debug/1". */
struct cpu_debug {
    struct bp_debug_request request;
    struct bp_debug_stop stop; /* of the last one */
    uint32_t hits;             /* points that the present instruction met, one bit each */
    uint8_t on;                /* the run loop looks at each instruction */
    uint8_t watches;           /* a point for data */
    uint8_t progress;          /* PROGRESS_*, of this cpu_run() */
    uint8_t resumes;           /* the next instruction has met its points, and passes them */
};

struct cpu {
    uint64_t reg[REGS];
    uint64_t cc_res, cc_src;
    uint32_t cc_op;
    uint32_t pend;   /* PEND_*, atomic */
    struct tlb *tlb; /* that of the present mode; &tlbs[..] */
    struct block_cache *blocks;
    uint64_t rflags; /* without FLAGS_ARITHMETIC, which the cc_ members hold; FLAG_ONE set */
    uint64_t rip;    /* between blocks, and of the faulting instruction */
    uint32_t mode;   /* MODE_* */
    uint8_t cpl;
    uint8_t no_fpu;    /* CR0.EM or TS: x87 must look, and give #NM */
    uint8_t no_sse;    /* CR0.EM, CR0.TS or CR4.OSFXSR: SSE must look, and give #UD or #NM */
    uint8_t no_avx;    /* likewise with CR4.OSXSAVE and XCR0 */
    uint64_t ip_mask;  /* of the mode: RIP is 64, 32 or 16 bits wide; set by the run loop */
    uint64_t mode_key; /* mode and, at CPL 3, address space, where no canonical RIP differs: for the
                          jump cache */
    struct segment seg[SEGS];

    union vreg v[16];
    struct fpu fpu;

    struct table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
    uint64_t dr[4], dr6, dr7;
    uint64_t pdpte[4];
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, misc_enable, mtrr_def_type;
    uint64_t mtrr[32]; /* 8 variable pairs, then the 11 fixed ones: held, without effect */
    uint64_t spec_ctrl, tsc_adjust;
    int64_t tsc_offset;                       /* TSC - ticks of guest time */
    uint64_t kvm_wall_clock, kvm_system_time; /* the MSRs as written */
    uint64_t apic_base;                       /* as the controller has it: a copy */

    uint8_t shadow;             /* bit 0: by STI, bit 1: by MOV SS; for the next instruction only */
    uint8_t nmi_masked;         /* until IRET */
    uint8_t halted;             /* HALTED_*, or 0 */
    uint8_t mp_state;           /* BP_X86_MP_* */
    uint8_t slow;               /* alignment checks or data breakpoints: nothing may hit the TLB */
    uint8_t double_fault_stage; /* of the delivery in progress: ops/interrupt.c */
    uint8_t no_step;  /* the instruction was INT n or its kind: no single-step trap after it */
    uint8_t shutdown; /* triple fault */
    uint8_t single;   /* the run loop shall run the next instruction alone, in a block of its own */
    uint8_t has_waiting;
    uint8_t pauses; /* PAUSE since the host's processor was last yielded */
    uint8_t left;   /* by cpu_leave() */
    /* For engine_user.instruction and its kind, which alone set or read them: */
    uint8_t shadow_before; /* the shadow that the instruction runs in */
    uint8_t walking;       /* 0, or WALKING_*: what is being read for the processor itself */
    uint8_t splits;        /* engine.split_lock is held */
    uint8_t ferr;          /* FERR# is asserted */
    uint64_t access_la;    /* of the last slow access */
    struct event event;    /* raised by the instruction that has just left by longjmp() */
    struct event waiting; /* to be delivered before the next instruction, if has_waiting: state that
                             was put in */
    uint64_t pending_db;  /* bits of DR6 to be raised as a trap after this instruction */

    struct tlb *tlbs; /* TLB_KINDS of them */
    struct space spaces[SPACES];
    uint16_t last_id; /* of a space */
    uint8_t space;    /* the present one */
    uint8_t victim;   /* the one to be given up next */
    uint32_t reserved_spaces;
    struct engine *engine;
    uint32_t index;
    uint32_t physical_bits; /* MAXPHYADDR */
    struct bp_vcpu *handle;
    const struct bp_bus *bus;
    const struct bp_irqchip *chip; /* NULL: none */
    void *chip_self;
    struct bp_irqchip_view chip_view;
    uint64_t features[4]; /* FEATURE_*, from the CPUID table: decode/features.h */
    struct bp_x86_cpuid cpuid;
    struct trace_cpu *trace;        /* every instruction; NULL: none */
    struct trace_cpu *trace_events; /* what has a hook: trace.h; NULL: nothing is traced */
    struct cpu_debug debug;
    jmp_buf escape; /* of the run loop */
};

/* ---- leaving an instruction by an exception ------------------------------------------------- */

/* All end the instruction `u` and never return. `u` NULL: cpu.rip is already that of the
 * instruction. [vcpu] */
_Noreturn void raise_exception(struct cpu *c, const struct uop *u, uint8_t vector);
_Noreturn void raise_error(struct cpu *c, const struct uop *u, uint8_t vector, uint32_t error);
/* #PF at linear address `la`; `error`: SDM 3, 4.7. */
_Noreturn void raise_page_fault(struct cpu *c, const struct uop *u, uint64_t la, uint32_t error);
/* #GP(0), or #SS(0) if `seg` is SEG_SS: a bad offset or a non-canonical address. */
_Noreturn void raise_bad_address(struct cpu *c, const struct uop *u, uint8_t seg);

/* ---- state that other state is computed from: state.c --------------------------------------- */

/* To be called after CS, SS, DS, ES, CPL, EFLAGS.VM, AC or TF, CR0, CR4, EFER, XCR0 or DR7 changed:
 * computes mode, mode_key, tlb, no_fpu, no_sse, no_avx and slow. Does not flush. [vcpu] */
void cpu_mode_changed(struct cpu *c);
/* cpu.mode_key for a mode. */
static inline uint64_t cpu_mode_key(const struct cpu *c, uint32_t mode)
{
    uint64_t id = mode & MODE_USER ? c->spaces[c->space].id : 0;

    return (uint64_t)mode << 57 | id << 48;
}

/* RFLAGS whole, and back: the arithmetic ones become CC_EXPLICIT. The setter takes all bits as they
 * are, and calls cpu_mode_changed() if VM, AC or TF changed, and sets PEND_CHECK if IF became 1.
 * [vcpu] */
uint64_t cpu_rflags(const struct cpu *c);
void cpu_rflags_set(struct cpu *c, uint64_t value);
/* Power-on (SDM 3, table 9-1) or INIT state. [vcpu] */
void cpu_reset(struct cpu *c, bool init);

static inline bool cpu_long_mode(const struct cpu *c)
{
    return (c->efer & EFER_LMA) != 0;
}

static inline bool cpu_64bit(const struct cpu *c)
{
    return (c->mode & MODE_64) != 0;
}

/* Protected mode proper: neither real nor virtual-8086. */
static inline bool cpu_protected(const struct cpu *c)
{
    return (c->mode & MODE_PE) != 0;
}

static inline bool cpu_v8086(const struct cpu *c)
{
    return (c->rflags & FLAG_VM) != 0;
}

static inline uint32_t cpu_iopl(const struct cpu *c)
{
    return (uint32_t)(c->rflags >> 12) & 3;
}

/* 48-bit linear addresses (SDM 1, 3.3.7.1). */
static inline bool canonical(uint64_t la)
{
    return (uint64_t)((int64_t)(la << 16) >> 16) == la;
}

static inline void cpu_pend(struct cpu *c, uint32_t bits)
{
    __atomic_fetch_or(&c->pend, bits, __ATOMIC_SEQ_CST);
}

#endif
