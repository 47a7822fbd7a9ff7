/* SPDX-License-Identifier: MIT
 *
 * engine/engine.h - the engine as its user sees it: a plugin that binds it to the ABI, a test, a
 * translator.
 *
 * One struct engine a machine holds what its processors share: guest memory, and which of its
 * pages have translated code. One struct cpu a vCPU, with TLB and block cache of its own, so that
 * running takes no lock. What one processor wants done on others goes by remote.c.
 *
 *     engine_create -> memory_set... -> cpu_create a vCPU -> cpu_run ... -> cpu_destroy ->
 * engine_destroy
 */
#ifndef INTERP_ENGINE_H
#define INTERP_ENGINE_H

#include "cpu.h"

#include <pthread.h>

/* One stretch of guest memory; they do not overlap. */
struct memory_slot {
    uint64_t gpa, length; /* length 0: unused */
    uint8_t *host;
    uint32_t *code; /* one word a page: bit n is set while bytes [n * 128, n * 128 + 128) have
                       translated code in some vCPU's cache; atomic */
    uint64_t *kept; /* one bit a page: stores go to the bus, not to memory; NULL: none do */
    uint32_t flags; /* BP_RAM_* */
    uint32_t index; /* struct bp_mem_slot's */
};

#define MEMORY_SLOTS 64u

/* What the engine asks of its user. [vcpu] unless it says otherwise. */
struct engine_user {
    void *context;
    /* Guest time in ns; TSC ticks are these plus cpu.tsc_offset. [any] */
    uint64_t (*clock_ns)(void *context);
    uint64_t (*utc_ns)(void *context);
    /* Sleeps until cpu.pend is not 0, or guest time `deadline_ns`. HLT. */
    void (*sleep)(void *context, struct cpu *c, uint64_t deadline_ns);
    /* The local APIC's deadline of this vCPU has changed; cpu.chip_view tells it. Timers are the
     * user's. */
    void (*deadline_changed)(void *context, struct cpu *c);
    /* What the guest did that real hardware would not forgive, or a reason of the engine's own; one
     * line. */
    void (*log)(void *context, uint32_t level, const char *text);
    /* Wakes a vCPU that sleeps, after its cpu.pend was set. [any] */
    void (*wake)(void *context, struct cpu *c);

    /* For who makes a processor's virtualization extensions of the engine. NULL, all four: none,
     * and nothing is paid. Each, and what `bus` calls meanwhile, may end cpu_run() by cpu_leave(),
     * with cpu.rip at the instruction, of which nothing has been done. */
    /* Before an instruction that such extensions may intercept: ZYDIS_MNEMONIC_*, bytes. */
    void (*instruction)(void *context, struct cpu *c, uint32_t mnemonic, uint32_t length);
    /* cpu.event is about to be delivered. */
    void (*event)(void *context, struct cpu *c);
    /* Between two instructions, when something was pending: cpu.pend. */
    void (*boundary)(void *context, struct cpu *c);
    /* A switch to the task of TSS `selector`; `reason` is enum task_reason's, of privileged.h. The
     * old task goes on at `next`. */
    void (*task)(void *context, struct cpu *c, uint16_t selector, uint32_t reason, uint64_t next);
};

struct emit_table; /* decode/build.c */

struct engine {
    struct engine_user user;
    const struct emit_table *emitters;
    uint64_t tsc_hz;
    /* The largest first: a search ends soon. They change only while no vCPU runs guest code. */
    struct memory_slot slots[MEMORY_SLOTS];
    uint32_t slot_count;
    uint32_t cpu_count, cpu_max;
    struct cpu **cpus; /* by index; NULL: none yet. Changes under `lock` */
    pthread_mutex_t lock;
    pthread_mutex_t split_lock; /* locked accesses that no host atomic can do */
    struct remote *remote;      /* remote.c */
    uint8_t deterministic;      /* TSC counts instructions; not in use when 0 */
    uint8_t reserved[7];
};

/* 0 or -ENOMEM. [main] */
int engine_create(const struct engine_user *user, uint64_t tsc_hz, uint32_t cpus,
                  struct engine **out);
void engine_destroy(struct engine *e);
/* Adds, replaces or removes (length 0) the stretch with this index, as bp_cpu_ops.mem_set. -ENOMEM,
 * -EINVAL. Stops the vCPUs for a moment. [any] */
int engine_memory_set(struct engine *e, const struct bp_mem_slot *slot);
/* Has stores into the pages of [gpa, gpa + length) go to the bus (`on`), or to memory again. What
 * is in no slot does not count. 0 or -ENOMEM. Stops the vCPUs for a moment. [any] */
int engine_memory_keep(struct engine *e, uint64_t gpa, uint64_t length, bool on);
/* Guest memory at [gpa, gpa + length) was written by somebody else than a vCPU. [any] */
void engine_code_changed(struct engine *e, uint64_t gpa, uint64_t length);

/* A processor in its power-on state. `chip` may be NULL. The table of CPUID starts empty:
 * cpu_cpuid_set(). 0 or -ENOMEM. [vcpu] */
int cpu_create(struct engine *e, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
               const struct bp_irqchip *chip, void *chip_self, struct cpu **out);
void cpu_destroy(struct cpu *c);
/* Runs guest code. BP_STOP_KICKED (PEND_KICK was set; it is taken), BP_STOP_TRIPLE_FAULT,
 * BP_STOP_DEBUG; or a negative errno after user.log(). [vcpu] */
int cpu_run(struct cpu *c);
/* cpu_run()'s value after cpu_leave(). */
#define CPU_LEFT 256
/* Ends cpu_run() from within one of engine_user's functions that say so. [vcpu] */
_Noreturn void cpu_leave(struct cpu *c);
/* Around a locked access that no host atomic can do. cpu_leave() in between leaves, too. [vcpu] */
static inline void split_enter(struct cpu *c)
{
    pthread_mutex_lock(&c->engine->split_lock);
    c->splits = 1;
}

static inline void split_leave(struct cpu *c)
{
    c->splits = 0;
    pthread_mutex_unlock(&c->engine->split_lock);
}

/* As bp_debug.set; what it met is cpu.debug.stop. [vcpu] */
int cpu_debug_set(struct cpu *c, const struct bp_debug_request *request);
/* What CPUID answers from now on, and which instructions exist. [vcpu] */
void cpu_cpuid_set(struct cpu *c, const struct bp_x86_cpuid *table);
/* What the engine can offer: for vm_get("x86.cpuid/1"). [any] */
void cpuid_offered(const struct engine *e, struct bp_x86_cpuid *out);
/* The TSC as the guest would read it now. [any] */
uint64_t cpu_tsc(const struct cpu *c);

/* ---- memory.c ------------------------------------------------------------------------------- */

/* The slot that holds `gpa`, or NULL. [vcpu] */
struct memory_slot *memory_slot_at(struct engine *e, uint64_t gpa);

/* Whether a store goes to memory. */
static inline bool memory_takes_stores(const struct memory_slot *s, uint64_t gpa)
{
    uint64_t page = (gpa - s->gpa) >> 12;

    if (s->flags & BP_RAM_READONLY)
        return false;
    return likely(!s->kept) || !(s->kept[page / 64] >> (page & 63) & 1);
}

static inline uint32_t *memory_code_word(const struct memory_slot *s, uint64_t gpa)
{
    return &s->code[(gpa - s->gpa) >> 12];
}

/* ---- block/smc.c: stores into code --------------------------------------------------------- */

/* A store of `bytes` bytes at `gpa`, in one page whose code word is not 0, has just been done by
 * this vCPU: if a chunk that it touches has code, drops those blocks here, and on the other vCPUs
 * soon. The running block may be among them: it ends after the present instruction. [vcpu] */
void smc_stored(struct cpu *c, uint64_t gpa, uint32_t bytes);

/* ---- block/cache.c -------------------------------------------------------------------------- */

/* Drops all blocks, at the next safe point. [vcpu] */
void blocks_drop_all(struct cpu *c);
/* Forgets which RIP is which block: linear addresses mean something else now. [vcpu] */
void jumps_flush(struct cpu *c);
/* The same, but for what is mapped globally, and for user code, which tlb.c gives another number.
 * [vcpu] */
void jumps_flush_local(struct cpu *c);
/* The same for the page of `la` at least. [vcpu] */
void jumps_flush_page(struct cpu *c, uint64_t la);

/* ---- ops/interrupt.c ------------------------------------------------------------------------ */

/* Delivers cpu.event, an exception that the instruction at cpu.rip raised or an interrupt between
 * instructions: pushes the frame and sets cpu.rip; what it raises itself becomes #DF or a triple
 * fault by the rules of SDM 3, table 6-5, for which the run loop calls it again. Leaves by
 * longjmp() then. A triple fault sets cpu.shutdown and returns: the processor is to stop. An
 * exception, and an NMI or interrupt with `external` set, ends HLT and the interrupt shadow; an NMI
 * sets nmi_masked. EXC_DB moves cpu.pending_db to DR6. [vcpu] */
void event_deliver(struct cpu *c);

/* ---- fpu/, simd/: the FXSAVE and XSAVE images, for register sets and instructions ---------- */

/* The 512 bytes of FXSAVE64, and back; -EINVAL for reserved bits in MXCSR. [vcpu] */
void fpu_image_get(struct cpu *c, uint8_t image[512]);
int fpu_image_set(struct cpu *c, const uint8_t image[512]);

/* ---- ops/msr.c ------------------------------------------------------------------------------ */

/* As RDMSR and WRMSR, but without their privilege checks. 0, or -EINVAL: #GP(0). [vcpu] */
int msr_get(struct cpu *c, uint32_t index, uint64_t *value);
int msr_set(struct cpu *c, uint32_t index, uint64_t value);
/* As msr_set(), for a state that comes from elsewhere: IA32_TSC and IA32_TSC_ADJUST do not move
 * each other, as they do for WRMSR, so that their order does not matter. */
int msr_restore(struct cpu *c, uint32_t index, uint64_t value);

/* ---- ops/system.c --------------------------------------------------------------------------- */

/* As MOV to CR0, CR3, CR4 and WRMSR EFER: -EINVAL for what raises #GP(0). Flushes what is to be
 * flushed. [vcpu] */
int control_set_cr0(struct cpu *c, uint64_t value);
int control_set_cr3(struct cpu *c, uint64_t value);
int control_set_cr4(struct cpu *c, uint64_t value);
int control_set_efer(struct cpu *c, uint64_t value);

#endif
