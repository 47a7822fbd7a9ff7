/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/hvf.h - what the files of the macOS backend share.
 *
 * After Apple's documentation of Hypervisor.framework on Intel processors, and the Intel SDM 3C,
 * chapters 24 to 27 (VMX). One struct vm is the process' one virtual machine; a struct vcpu belongs
 * to the thread that created it. Interrupt controllers are another plugin's (bp.irqchip/1).
 *
 * Left out: nested virtualization, SMM, states beyond x87, SSE and AVX, performance counters, the
 * framework's own APIC of later releases.
 */
#ifndef CPU_HVF_HVF_H
#define CPU_HVF_HVF_H

#include "vmx.h"

#include <backplane/cpu.h>
#include <backplane/ext/debug.h>
#include <backplane/ext/irqchip.h>
#include <backplane/ext/x86.h>

#include <Hypervisor/hv.h>
#include <Hypervisor/hv_vmx.h>
#include <pthread.h>
#include <shared/alarm.h>
#include <stdbool.h>

#define HVF_SLOTS 64u
#define HVF_MTRRS 27u

/* Registers in the order of their encoding. */
enum { GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI };
/* Segments in the order of struct bp_x86_sys and of the VMCS. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDT, SEG_TR, SEGS };

#define CR0_PE 0x1u
#define CR0_ET 0x10u
#define CR0_NE 0x20u
#define CR0_WP 0x10000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u
#define CR4_DE 0x8u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_PGE 0x80u
#define CR4_VMXE 0x2000u
#define CR4_PCIDE 0x20000u
#define CR4_OSXSAVE 0x40000u
#define CR4_SMAP 0x200000u
#define EFER_SCE 0x1u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u
#define RFLAGS_CF 0x1u
#define RFLAGS_PF 0x4u
#define RFLAGS_AF 0x10u
#define RFLAGS_ZF 0x40u
#define RFLAGS_SF 0x80u
#define RFLAGS_TF 0x100u
#define RFLAGS_IF 0x200u
#define RFLAGS_DF 0x400u
#define RFLAGS_OF 0x800u
#define RFLAGS_RF 0x10000u
#define RFLAGS_VM 0x20000u
#define RFLAGS_AC 0x40000u
#define RFLAGS_DEFINED 0x3f7fd7u

#define EXC_DB 1u
#define EXC_BP 3u
#define EXC_UD 6u
#define EXC_DF 8u
#define EXC_TS 10u
#define EXC_NP 11u
#define EXC_SS 12u
#define EXC_GP 13u
#define EXC_PF 14u
#define EXC_AC 17u
#define EXC_MC 18u

struct vcpu;

struct memory_slot {
    uint64_t gpa, length; /* length 0: unused */
    uint8_t *host;
    uint64_t *dirty; /* one bit a page that was written; NULL: not logged */
    uint32_t flags;  /* BP_RAM_* */
    uint32_t reserved;
};

struct vm {
    const struct bp_host *host;
    struct bp_node *node;
    uint32_t vcpu_count;
    uint32_t pin, proc, proc2, entry, exit; /* controls as every vCPU begins with */
    uint64_t tsc_hz;
    const struct bp_peer *chip; /* NULL: none */

    pthread_mutex_t lock; /* of `slots`; a leaf lock */
    struct memory_slot slots[HVF_SLOTS];

    uint64_t tsc_offset;  /* guest TSC - host TSC while time runs; atomic */
    uint64_t stopped_tsc; /* the guest's, while time stands still; atomic */
    uint32_t stopped;     /* atomic */

    struct alarm alarm;  /* for the local APICs' timers; its lock is that of `vcpus`, too */
    struct vcpu **vcpus; /* by index */
};

/* An event for the next VM entry, as its fields have it; info 0: none. */
struct injection {
    uint32_t info, error, length;
};

/* MSRs that nothing but the guest looks at. */
struct held_msrs {
    uint64_t misc_enable, pat, mtrr_def_type, tsc_adjust;
    uint64_t mtrr[HVF_MTRRS]; /* 8 variable pairs, 11 fixed ones */
};

/* Debugging from outside: debug.c. */
struct debug {
    struct bp_debug_request request;
    struct bp_debug_stop stop; /* of the last run */
    uint64_t dr[4], dr7;       /* the guest's, while there are points */
    bool progress;             /* an instruction was carried out here */
    bool passes;               /* the next instruction has met its point, and passes it */
};

struct vcpu {
    hv_vcpuid_t id;
    uint32_t index;
    struct vm *vm;
    struct bp_vcpu *handle;
    const struct bp_bus *bus;
    const struct bp_irqchip *chip; /* NULL: none */
    void *chip_self;
    struct bp_irqchip_view view;
    pthread_t thread;

    uint32_t kicked; /* atomic */
    bool halted;
    bool shutdown; /* a triple fault was put in */
    uint32_t mp_state;
    uint32_t proc; /* PROC_* as in the VMCS */
    struct injection inject;
    uint64_t apic_base; /* without a chip */
    uint64_t cr4_allowed;
    int64_t tsc_delta; /* what the guest's own writes of its TSC added */
    struct held_msrs msrs;
    struct bp_x86_cpuid cpuid;
    struct debug debug;

    pthread_mutex_t lock; /* a leaf lock, for the sleep in HLT */
    pthread_cond_t woken;
    uint64_t posted; /* the deadline that the timer thread has told; vm->alarm.lock */
};

/* ---- framework access: vmcs.c --------------------------------------------------------------- */

/* Fields and registers that exist: what the framework refuses then is our own bug, or the end of
 * the VM; reads give 0. [vcpu] */
uint64_t field_read(const struct vcpu *v, uint32_t field);
void field_write(const struct vcpu *v, uint32_t field, uint64_t value);
uint64_t reg_read(const struct vcpu *v, hv_x86_reg_t reg);
void reg_write(const struct vcpu *v, hv_x86_reg_t reg, uint64_t value);
/* General registers by the number of their encoding. */
uint64_t gpr_read(const struct vcpu *v, uint32_t number);
void gpr_write(const struct vcpu *v, uint32_t number, uint64_t value);

/* Computes the controls for this processor. 0; -ENOTSUP after host->fail() if it lacks what cannot
 * be done without. [main] */
int vmcs_controls(struct vm *vm);
/* Controls, masks and native MSRs of a new vCPU. 0 or -errno after host->fail(). [vcpu] */
int vmcs_init(struct vcpu *v);
void vmcs_proc_set(struct vcpu *v, uint32_t bits, bool on);
/* What the framework's error means; "error 0x..." otherwise. */
const char *hvf_error(hv_return_t result, char *room, uint32_t size);

/* CR0 and CR4 as the guest sees them, EFER. */
uint64_t cr0_read(const struct vcpu *v);
uint64_t cr4_read(const struct vcpu *v);
/* As register sets put them in: no checks. */
void cr0_put(struct vcpu *v, uint64_t value);
void cr4_put(struct vcpu *v, uint64_t value);
void efer_put(struct vcpu *v, uint64_t value);
bool is_long_mode(const struct vcpu *v);
/* CS.L in long mode. */
bool is_64bit(const struct vcpu *v);
uint32_t cpl_read(const struct vcpu *v);

/* ---- vm.c: the bp_cpu_ops of the same names ------------------------------------------------- */

int64_t hvf_probe(const struct bp_host *host, struct bp_node *node);
int vm_create(const struct bp_host *host, struct bp_node *node, const void *config, uint32_t vcpus,
              void **vm);
void vm_destroy(void *vm);
uint32_t vm_features(void *vm);
int vm_mem_set(void *vm, const struct bp_mem_slot *slot);
int vm_get(void *vm, const char *set, void *state, uint32_t size);
int vm_set(void *vm, const char *set, const void *state, uint32_t size);
void vm_time(void *vm, uint32_t runs);
const void *vm_extension(void *vm, const char *id);
/* The guest's TSC now. [any] */
uint64_t vm_tsc(const struct vm *vm);

/* ---- memory.c: guest memory as the processor would access it -------------------------------- */

#define ACCESS_READ 0u
#define ACCESS_WRITE 1u
#define ACCESS_SYSTEM 2u /* or'ed in: supervisor, whatever CPL is */

/* Memory or devices at a guest-physical address, in pieces that cross no page. [vcpu] */
void physical_read(struct vcpu *v, uint64_t gpa, void *to, uint32_t bytes);
void physical_write(struct vcpu *v, uint64_t gpa, const void *from, uint32_t bytes);
/* At a linear address. 0; or -EFAULT after the #PF was made ready. [vcpu] */
int linear_read(struct vcpu *v, uint64_t la, void *to, uint32_t bytes, uint32_t access);
int linear_write(struct vcpu *v, uint64_t la, const void *from, uint32_t bytes, uint32_t access);
/* Whether a store there would do. Likewise. */
int linear_probe(struct vcpu *v, uint64_t la, uint32_t bytes, uint32_t access);
/* PDPTEs of PAE paging at CR3, into the VMCS. 0 or -EINVAL: #GP. [vcpu] */
int load_pdptes(struct vcpu *v, uint64_t cr3);

/* What lies at `gpa`. [any] */
enum place { PLACE_NOTHING, PLACE_MEMORY, PLACE_ROM };
enum place memory_place(struct vm *vm, uint64_t gpa);
/* The guest is about to write a page of a logged slot: notes it and lets it. True if it was that.
 * [vcpu] */
bool memory_log_write(struct vm *vm, uint64_t gpa);
const void *dirty_log_table(void);

/* ---- vcpu.c, timer.c ------------------------------------------------------------------------ */

int vcpu_create(void *vm, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self);
void vcpu_destroy(void *self);
int vcpu_reset(void *self);
int vcpu_run(void *self);
void vcpu_kick(void *self);
/* Power-on or INIT state. [vcpu] */
void vcpu_set_reset(struct vcpu *v, bool init);

/* The alarm's: guest time; tells vCPUs of due timers. `context` is the vm. */
uint64_t timer_now(void *context);
uint64_t timer_due(void *context, uint64_t now_ns);
/* Sleeps until woken, kicked, or the local APIC's deadline; `ready`: bits of pending that end it.
 * [vcpu] */
void timer_sleep(struct vcpu *v, uint32_t ready);
/* Wakes a vCPU that sleeps. [any] */
void timer_wake(struct vcpu *v);
/* The local APIC's deadline may have changed. [vcpu] */
void timer_deadline_changed(struct vcpu *v);

/* ---- exits.c, io.c, control.c, task.c, msr.c, cpuid.c, mmio.c
 * --------------------------------------- */

/* Does what the exit asks for. 0: go on; BP_STOP_* + 1; or -errno after host->fail(). [vcpu] */
int exit_handle(struct vcpu *v);
/* Past the instruction that exited, of `length` bytes: RIP, shadow, single step. */
void exit_skip(struct vcpu *v);
void exit_skip_bytes(struct vcpu *v, uint64_t length);
/* Makes an exception ready for the next entry, after the rules of double faults. */
void exit_raise(struct vcpu *v, uint32_t vector);
void exit_raise_error(struct vcpu *v, uint32_t vector, uint32_t error);
/* Says why the vCPU cannot go on, with its registers. Returns -EIO. */
int exit_give_up(struct vcpu *v, const char *why);

int io_exit(struct vcpu *v);
int control_exit(struct vcpu *v);
int task_exit(struct vcpu *v);
void xsetbv_exit(struct vcpu *v);
/* As MOV to CR0 and CR4: 0, or -EINVAL: #GP(0). */
int cr0_write(struct vcpu *v, uint64_t value);
void rdmsr_exit(struct vcpu *v);
void wrmsr_exit(struct vcpu *v);
int msr_read(struct vcpu *v, uint32_t index, uint64_t *value);
int msr_write(struct vcpu *v, uint32_t index, uint64_t value);
void msr_reset(struct vcpu *v);
void cpuid_exit(struct vcpu *v);
void cpuid_offered(struct vm *vm, struct bp_x86_cpuid *out);
/* The table of this vCPU from now on. */
void cpuid_take(struct vcpu *v, const struct bp_x86_cpuid *table);
/* Is the bit set in the vCPU's table? `reg` 0..3: EAX, EBX, ECX, EDX. */
bool cpuid_has(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t bit);
uint32_t cpuid_physical_bits(const struct vcpu *v);
/* The bits that XCR0 may have. */
uint64_t cpuid_xcr0(const struct vcpu *v);
/* Carries out the instruction at RIP, whose access at `gpa` the hardware left to us. 0 or -errno.
 */
int mmio_exit(struct vcpu *v, uint64_t gpa);

/* ---- debug.c -------------------------------------------------------------------------------- */

const void *debug_table(void);
/* The guest's DR0 to DR3, DR6 and DR7, wherever they are. [vcpu] */
uint64_t dr_read(const struct vcpu *v, uint32_t n);
void dr_write(struct vcpu *v, uint32_t n, uint64_t value);
/* At the begin of vcpu_run(). */
void debug_begin(struct vcpu *v);
/* After an exit was handled: shall vcpu_run() give BP_STOP_DEBUG? */
bool debug_stops(struct vcpu *v);
/* #DB exited: takes the points that it tells of; the rest is the guest's. */
uint64_t debug_points_met(struct vcpu *v, uint64_t qualification);
/* INT3 exited: is it the debugger's? */
bool debug_takes_int3(struct vcpu *v);
void debug_register_exit(struct vcpu *v);
static inline bool debug_holds(const struct vcpu *v)
{
    return v->debug.request.flags & BP_DEBUG_HOLD;
}
static inline bool debug_steps(const struct vcpu *v)
{
    return v->debug.request.flags & BP_DEBUG_STEP;
}

/* ---- regs.c --------------------------------------------------------------------------------- */

int regs_get(void *self, const char *set, void *regs, uint32_t size);
int regs_set(void *self, const char *set, const void *regs, uint32_t size);

#endif
