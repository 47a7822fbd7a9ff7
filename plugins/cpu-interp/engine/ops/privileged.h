/* SPDX-License-Identifier: MIT
 *
 * ops/privileged.h - what far transfers, interrupts and task switches share: descriptors, stacks of
 * another privilege, the TSS.
 *
 * Private to interrupt.c, iret.c, far.c, task.c, system.c, msr.c, cpuid.c, io.c and state.c. Intel
 * SDM 3, 3.4.5 (descriptors), 5.8 (control transfers), 7.2 (TSS).
 */
#ifndef INTERP_PRIVILEGED_H
#define INTERP_PRIVILEGED_H

#include "../mmu/access.h"

/* Types of system descriptors (SDM 3, table 3-2). */
#define SYSTEM_TSS16 0x1u
#define SYSTEM_LDT 0x2u
#define SYSTEM_TSS16_BUSY 0x3u
#define SYSTEM_CALL16 0x4u
#define SYSTEM_TASK_GATE 0x5u
#define SYSTEM_INTERRUPT16 0x6u
#define SYSTEM_TRAP16 0x7u
#define SYSTEM_TSS32 0x9u
#define SYSTEM_TSS32_BUSY 0xbu
#define SYSTEM_CALL32 0xcu
#define SYSTEM_INTERRUPT32 0xeu
#define SYSTEM_TRAP32 0xfu
#define SYSTEM_BUSY 0x2u /* in the type of a TSS */
#define SYSTEM_WIDE 0x8u /* 32-bit gates and TSS */

/* Bits of RFLAGS that exist. */
#define FLAGS_DEFINED 0x3f7fd7u

/* Debug registers (SDM 3, 17.2.3 and 17.2.4). */
#define DR6_FIXED 0xffff0ff0u
#define DR6_BD 0x2000u
#define DR6_BS 0x4000u
#define DR6_BT 0x8000u
#define DR7_FIXED 0x400u
#define DR7_GD 0x2000u

/* ---- descriptors ---- */

static inline uint32_t desc_type(uint64_t low)
{
    return (uint32_t)(low >> 40) & 0xf;
}

static inline bool desc_s(uint64_t low)
{
    return (low >> 44 & 1) != 0;
}

/* Type and S: code and data have bit 4 set. */
static inline uint32_t desc_kind(uint64_t low)
{
    return (uint32_t)(low >> 40) & 0x1f;
}

static inline uint32_t desc_dpl(uint64_t low)
{
    return (uint32_t)(low >> 45) & 3;
}

static inline bool desc_present(uint64_t low)
{
    return (low >> 47 & 1) != 0;
}

static inline bool desc_long(uint64_t low)
{
    return (low >> 53 & 1) != 0;
}

static inline bool desc_big(uint64_t low)
{
    return (low >> 54 & 1) != 0;
}

static inline bool desc_is_code(uint64_t low)
{
    return (desc_kind(low) & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE);
}

static inline bool desc_conforming(uint64_t low)
{
    return (low >> 42 & 1) != 0;
}

static inline uint64_t gate_offset(uint64_t low)
{
    return (low & 0xffff) | (low >> 32 & 0xffff0000);
}

static inline uint16_t gate_selector(uint64_t low)
{
    return (uint16_t)(low >> 16);
}

static inline bool selector_null(uint16_t selector)
{
    return (selector & 0xfffc) == 0;
}

/* A selector as error code; `ext` 0 or 1. */
static inline uint32_t selector_error(uint16_t selector, uint32_t ext)
{
    return (selector & 0xfffcu) | ext;
}

/* Reads the descriptor of `selector`, not null, or raises `vector` with the selector as error. */
uint64_t desc_fetch(struct cpu *c, const struct uop *u, uint16_t selector, uint8_t vector,
                    uint32_t ext);
/* The code descriptor that a far return or IRET goes to, with all checks (SDM 3, 5.8.6): raises #GP
 * or #NP. */
uint64_t desc_return_code(struct cpu *c, const struct uop *u, uint16_t cs);
/* The upper 8 bytes of a 16-byte descriptor in the GDT or LDT; raises `vector` if they are beyond
 * the table. */
uint64_t desc_fetch_high(struct cpu *c, const struct uop *u, uint16_t selector, uint8_t vector,
                         uint32_t ext);
/* Where the descriptor lies. */
uint64_t desc_address(const struct cpu *c, uint16_t selector);
/* Sets or clears the busy bit of a TSS in the GDT. */
void desc_busy(struct cpu *c, const struct uop *u, uint16_t selector, bool busy);

/* ---- code and stack segments ---- */

/* CS, its descriptor `low`, and CPL; the accessed bit is set. The caller has checked everything,
 * and calls cpu_mode_changed(). */
void cs_load(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t low, uint8_t cpl);
/* The real-mode way, likewise. */
void cs_load_real(struct cpu *c, uint16_t selector);
/* CS as a segment register already holds it. */
void cs_set(struct cpu *c, struct segment cs, uint8_t cpl);
/* SS as null selector with RPL `cpl`, of 64-bit mode. */
void ss_load_null(struct cpu *c, uint16_t selector, uint8_t cpl);
/* SS, its descriptor `low`, after the checks. */
void ss_load(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t low);
/* Does `rip` lie in the code segment that `low` describes (in long mode with L: is it canonical)?
 */
bool code_holds(const struct cpu *c, uint64_t low, uint64_t rip);
/* Checks SS:`selector` for a stack of privilege `cpl` and returns its descriptor: `vector` with the
 * selector as error if it is wrong, #SS if it is not present. */
uint64_t ss_check(struct cpu *c, const struct uop *u, uint16_t selector, uint32_t cpl,
                  uint8_t vector, uint32_t ext);

/* A stack that is being pushed to, before SS and RSP are loaded with it. */
struct stack {
    struct segment ss;
    uint64_t sp, mask; /* of the stack pointer: 16, 32 or 64 bits */
    uint32_t error;    /* of #SS if there is no room */
    bool supervisor;   /* of a privilege below 3 while CPL is 3 */
};

/* The present one. */
struct stack stack_present(const struct cpu *c, uint32_t ext);
void stack_push(struct cpu *c, const struct uop *u, struct stack *s, uint64_t value, uint32_t size);
/* The stack pointer as `s` has it: 16-bit stacks keep the rest of RSP. */
void stack_commit(struct cpu *c, const struct stack *s);
/* Mask of a stack pointer by SS.B, or 64-bit mode. */
uint64_t stack_mask(const struct cpu *c);
/* Reads `size` bytes at SS:SP + offset, as POP would. */
uint64_t stack_peek(struct cpu *c, const struct uop *u, uint32_t offset, uint32_t size);
/* SP as after popping `bytes`. */
void stack_drop(struct cpu *c, uint32_t bytes);

/* SS:ESP of privilege `cpl` from the TSS of protected mode, checked: *low is SS' descriptor. */
struct stack stack_of_tss(struct cpu *c, const struct uop *u, uint32_t cpl, uint32_t ext,
                          uint16_t *selector, uint64_t *low);
/* RSP0..2 (index 0..2) or IST1..7 (4..10: 3 + n) of the 64-bit TSS; #TS if it is too short. */
uint64_t rsp_of_tss(struct cpu *c, const struct uop *u, uint32_t index, uint32_t ext);

/* Memory of `size` 2, 4 or 8 bytes, with the rights of CPL. */
uint64_t ld_sized(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size);
void st_sized(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t size);

/* After a return to an outer privilege: DS, ES, FS and GS that CPL may not use become null (SDM 3,
 * 5.8.6). */
void segments_drop(struct cpu *c);

/* ---- interrupt.c ---- */

/* INT n, INT3, INTO, INT1 as the instruction at cpu.rip, `next` behind it. */
void interrupt_soft(struct cpu *c, uint8_t vector, bool soft, uint64_t next);

/* ---- task.c ---- */

enum task_reason { TASK_JUMP, TASK_CALL, TASK_IRET, TASK_GATE };

/* Switches to the task of TSS `selector` (SDM 3, 7.3); `next` is the RIP that the old one goes on
 * at. The new one's RIP is in cpu.rip. Raises what the switch raises: before the new state is
 * loaded at the old task's instruction, afterwards at the new one's first. */
void task_switch(struct cpu *c, const struct uop *u, uint16_t selector, enum task_reason reason,
                 uint32_t ext, uint64_t next);

/* ---- msr.c ---- */

/* Writes the paravirtual clock's structure into guest memory, if it is enabled. */
void kvm_clock_update(struct cpu *c);

/* ---- cpuid.c ---- */

/* EAX, EBX, ECX, EDX of a leaf as the CPUID instruction gives them. */
void cpuid_answer(const struct cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* Is this bit of the vCPU's CPUID table set? `reg` 0..3: EAX, EBX, ECX, EDX. */
bool cpuid_has(const struct cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t bit);

/* ---- emitters: system.c has the table, control.c and tables.c the handlers ---- */

struct emit;

/* An operand of register or memory as `rm_read` and `rm_write` take it: `x` tells which. */
void emit_rm(struct emit *e, uint32_t operand);
uint16_t rm_read16(struct cpu *c, const struct uop *u);
/* Memory: 16 bits. Register: u->osize bytes. */
void rm_write(struct cpu *c, const struct uop *u, uint64_t value);
/* A register of `size` 2, 4 or 8 bytes. */
void reg_write(struct cpu *c, uint8_t reg, uint64_t value, uint32_t size);
/* #GP(0) unless CPL is 0. */
void need_cpl0(struct cpu *c, const struct uop *u);

bool emit_mov_control(struct emit *e);
bool emit_cpuid(struct emit *e);
op_fn op_lmsw, op_smsw, op_clts, op_xgetbv, op_xsetbv;
op_fn op_sgdt, op_sidt, op_lgdt, op_lidt, op_sldt, op_str, op_lldt, op_ltr;
op_fn op_lar, op_lsl, op_verr, op_verw, op_arpl;

#endif
