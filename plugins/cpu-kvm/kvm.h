/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/kvm.h - what the files of the KVM backend share.
 *
 * After Linux' Documentation/virt/kvm/api.rst. One struct vm is one KVM virtual machine with PIC,
 * I/O APIC, PIT and local APICs in the kernel; a struct vcpu belongs to the thread that created it.
 * The state of both enters and leaves as the neutral structs of ext/x86.h, converted field by
 * field.
 *
 * Left out: nested virtualization (its state has no register set, so its CPUID bits are not
 * offered), SGX, SEV and TDX, Xen and Hyper-V emulation, split interrupt controllers.
 */
#ifndef CPU_KVM_KVM_H
#define CPU_KVM_KVM_H

#include <backplane/cpu.h>
#include <backplane/ext/debug.h>
#include <backplane/ext/x86.h>

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#define KVM_DEVICE "/dev/kvm"

/* The model's config struct. */
struct kvm_config {
    const char *device; /* path of the KVM device */
};

/* One memory slot as KVM has it; memory_size 0: unused. */
struct memory_slot {
    struct kvm_userspace_memory_region region;
    const uint8_t *host; /* region.userspace_addr */
    bool dirty_log;
};

/* An irqfd: writing `fd` raises the route `gsi`, which is this message. */
struct msi_route {
    int fd; /* -1: unused */
    uint32_t data;
    uint64_t address;
};

/* Guest time while it stands still. */
struct stopped_time {
    bool stopped;
    uint64_t host_tsc; /* when it stopped */
    uint64_t clock_ns; /* KVM's clock then: what it goes on from */
    int64_t host_ns;   /* CLOCK_MONOTONIC then */
};

struct vcpu;

struct vm {
    const struct bp_host *host;
    struct bp_node *node;
    int device_fd, fd;
    uint32_t vcpu_count;
    uint32_t run_bytes;   /* of the memory that a vCPU shares with the kernel */
    uint32_t xsave_bytes; /* of struct kvm_xsave on this host, at least 4096 */
    uint32_t max_slots, max_routes;
    bool has_sregs2, has_xcrs, has_smm, has_triple_fault_event, has_any_length;
    bool has_tsc_control;
    uint32_t ring_page; /* of what a vCPU shares with the kernel: posted writes; 0: no such thing */
    uint32_t *msrs;     /* indices of all that hold state */
    uint32_t msr_count;

    struct bp_x86_pic reset_pic; /* the chips as KVM_CREATE_IRQCHIP and KVM_CREATE_PIT2 left them */
    struct bp_x86_ioapic reset_ioapic;
    struct kvm_pit_state2 reset_pit;

    struct stopped_time time; /* [main] only */

    /* Held while posted writes are handed over; outside all domains, and before every other lock.
     */
    pthread_mutex_t ring_lock;
    struct kvm_coalesced_mmio_ring *ring; /* NULL before the first vCPU; set once */

    /* Protects all that follows; a leaf lock. */
    pthread_mutex_t lock;
    struct vcpu **vcpus; /* by index; NULL before vcpu_create() */
    uint64_t tsc_offset; /* what every vCPU's TSC had when power came on */
    bool has_tsc_offset; /* KVM_VCPU_TSC_OFFSET works */
    uint64_t tsc_written,
        tsc_written_offset; /* the last TSC set while stopped, for the next vCPU */
    bool tsc_was_written;
    uint64_t host_tsc_khz; /* 0 before the first vCPU */
    struct memory_slot *slots;
    uint32_t slot_count;
    struct msi_route *routes; /* of GSI 24 + index */
    uint32_t route_count;
};

/* The power-on state of a vCPU: what KVM_CREATE_VCPU made. */
struct reset_state {
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;
    struct bp_x86_fpu fpu;
    struct bp_x86_msrs msrs;
    struct bp_x86_events events;
    struct bp_x86_mp mp;
    struct bp_x86_lapic lapic;
};

/* What run->immediate_exit is, beside 0; to KVM they are the same. */
#define EXIT_KICK 1u
#define EXIT_AFTER_WRITE 2u /* debug_write()'s */

struct vcpu {
    struct kvm_run *run; /* shared with the kernel */
    const struct bp_bus *bus;
    struct bp_vcpu *handle; /* what the bus wants */
    int fd;
    uint32_t index;
    struct vm *vm;
    pthread_t thread;
    bool touched; /* the state may differ from `reset` */
    uint64_t tsc_khz;
    /* While guest time stands still: */
    uint64_t stopped_tsc;      /* only where KVM_VCPU_TSC_OFFSET is missing */
    uint64_t stopped_deadline; /* IA32_TSC_DEADLINE */
    uint32_t stopped_count;    /* the APIC timer's current count */
    struct reset_state *reset;
    struct bp_x86_cpuid cpuid; /* as set; count 0: none yet */
    struct bp_debug_request debug;
    struct kvm_guest_debug guest_debug; /* what that is to KVM */
    struct bp_debug_stop debug_stop;
    bool debug_passes; /* the next instruction has met its point, and passes it */
    bool debug_wrote;  /* the one that is stepped has written to a device */
};

/* ---- device.c ------------------------------------------------------------------------------- */

/* Opens the KVM device and checks that it speaks API version 12. The fd, or -errno after
 * host->fail() with what is missing and what to do. [main] */
int device_open(const struct bp_host *host, struct bp_node *node, const char *path);
/* Checks the capabilities that the backend cannot do without; -ENOTSUP names the first missing
 * one. [main] */
int device_check(const struct bp_host *host, struct bp_node *node, const char *path, int fd);
/* KVM_CREATE_VM. The VM's fd, or -errno after host->fail(). [main] */
int device_create_vm(const struct bp_host *host, struct bp_node *node, const char *path, int fd);
/* KVM_CHECK_EXTENSION on a device or VM fd: 0 if absent, otherwise positive. [any] */
int kvm_extension(int fd, unsigned long capability);

/* ---- probe.c -------------------------------------------------------------------------------- */

/* bp_cpu_ops.probe: can this host's KVM run a stock kernel at a sane speed? [main] */
int64_t kvm_probe(const struct bp_host *host, struct bp_node *node);

/* ---- vm.c ----------------------------------------------------------------------------------- */

/* The bp_cpu_ops of the same names. */
int vm_create(const struct bp_host *host, struct bp_node *node, const void *config, uint32_t vcpus,
              void **self);
void vm_destroy(void *self);
uint32_t vm_features(void *self);
int vm_mem_set(void *self, const struct bp_mem_slot *slot);
int vm_get(void *self, const char *set, void *state, uint32_t size);
int vm_set(void *self, const char *set, const void *state, uint32_t size);

/* Where [gpa, gpa + 1) is in host memory and how much follows contiguously, or NULL if no slot has
 * it. [any] */
const uint8_t *vm_memory(struct vm *vm, uint64_t gpa, uint64_t *length);

/* ---- vcpu.c --------------------------------------------------------------------------------- */

int vcpu_create(void *vm, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self);
void vcpu_destroy(void *self);
int vcpu_run(void *self);
void vcpu_kick(void *self);

/* The signal that takes a thread out of KVM_RUN; why this one: vcpu.c. [any] */
int kick_signal(void);
/* Has KVM_RUN on `fd` run with the calling thread's signal mask, but the kick signal let in. The
 * caller has blocked that. 0 or -errno. [vcpu] */
int kick_let_in(int fd);
/* Takes kick signals that are pending for the calling thread. [vcpu] */
void kick_drain(void);

/* ---- report.c ------------------------------------------------------------------------------- */

/* Says why KVM_RUN gave up, with registers and instruction bytes: `err` is its errno, or 0 for the
 * exit that v->run describes. Returns a negative errno. [vcpu] */
int report_stopped(struct vcpu *v, int err);
/* The name of a KVM_EXIT_* number, "KVM_EXIT_INTERNAL_ERROR"; "an unknown exit" for others. [any]
 */
const char *report_exit_name(uint32_t reason);

/* ---- reset.c -------------------------------------------------------------------------------- */

/* Keeps the state that KVM_CREATE_VCPU made. 0 or -errno after host->fail(). [vcpu] */
int reset_capture(struct vcpu *v);
/* bp_cpu_ops.vcpu_reset. [vcpu] */
int vcpu_reset(void *self);

/* ---- regs*.c: one register set each way; 0 or -errno after host->fail(). [vcpu] ---------------
 */

int regs_get(void *self, const char *set, void *regs, uint32_t size);
int regs_set(void *self, const char *set, const void *regs, uint32_t size);

int gpr_get(struct vcpu *v, void *regs);
int gpr_set(struct vcpu *v, const void *regs);
int fpu_get(struct vcpu *v, void *regs);
int fpu_set(struct vcpu *v, const void *regs);
int sys_get(struct vcpu *v, void *regs);
int sys_set(struct vcpu *v, const void *regs);
int msr_get(struct vcpu *v, void *regs);
int msr_set(struct vcpu *v, const void *regs);
int events_get(struct vcpu *v, void *regs);
int events_set(struct vcpu *v, const void *regs);
int mp_get(struct vcpu *v, void *regs);
int mp_set(struct vcpu *v, const void *regs);
int lapic_get(struct vcpu *v, void *regs);
int lapic_set(struct vcpu *v, const void *regs);
int cpuid_get(struct vcpu *v, void *regs);
int cpuid_set(struct vcpu *v, const void *regs);

#define MSR_TSC 0x10u
#define MSR_TSC_ADJUST 0x3bu
#define MSR_TSC_DEADLINE 0x6e0u

/* One MSR of a vCPU. 0, -EINVAL if KVM refuses it, or -errno. No sentence. [vcpu] [main] */
int msr_read(struct vcpu *v, uint32_t index, uint64_t *value);
int msr_write(struct vcpu *v, uint32_t index, uint64_t value);
/* Reads the indices that hold state into vm->msrs. 0 or -errno after host->fail(). [main] */
int msr_list(struct vm *vm);
/* Writes power-on values: skips the time stamp counter, and what KVM refuses. [vcpu] */
int msr_reset(struct vcpu *v, const struct bp_x86_msrs *msrs);

/* ---- cpuid.c -------------------------------------------------------------------------------- */

/* vm_get("x86.cpuid/1"): what can be offered to a guest. [main] */
int cpuid_offered(struct vm *vm, void *state);

/* ---- irqchip.c ------------------------------------------------------------------------------ */

void vm_irq(void *self, uint32_t line, uint32_t level);
void vm_msi(void *self, uint64_t address, uint32_t data);
/* PIC, I/O APIC and PIT, and their power-on state. 0 or -errno after host->fail(). [main] */
int irqchip_create(struct vm *vm);
int irqchip_reset(struct vm *vm);
int pic_get(struct vm *vm, void *state);
int pic_set(struct vm *vm, const void *state);
int ioapic_get(struct vm *vm, void *state);
int ioapic_set(struct vm *vm, const void *state);
int pit_get(struct vm *vm, void *state);
int pit_set(struct vm *vm, const void *state);
/* Has the PIT's running counters start their period again. [main] */
void pit_restart(struct vm *vm);

/* ---- time.c --------------------------------------------------------------------------------- */

void vm_time(void *self, uint32_t runs);
int clock_get(struct vm *vm, void *state);
int clock_set(struct vm *vm, const void *state);
/* The host's CLOCK_MONOTONIC, ns; while guest time stands still, that of the stop. [main] [vcpu] */
int64_t time_host_ns(const struct vm *vm);
/* Notes the TSC of a new vCPU. [vcpu] */
void tsc_created(struct vcpu *v);
/* Gives the vCPU's TSC the offset that all had at power-on, and so in step with the others. [vcpu]
 */
void tsc_reset(struct vcpu *v);
/* IA32_TIME_STAMP_COUNTER in guest time. 0 or -errno. [vcpu] [main] */
int tsc_read(struct vcpu *v, uint64_t *value);
int tsc_write(struct vcpu *v, uint64_t value);

/* The bytes of a value that KVM gave. It and the guest are little-endian, and so is the host of an
 * x86 guest. `width` is 1 to 8. */
static inline uint64_t low_bytes(uint32_t width)
{
    return UINT64_MAX >> (64 - 8 * width);
}

/* ---- posted.c ------------------------------------------------------------------------------- */

const void *posted_table(void);
/* Maps the queue by the VM's first vCPU, and unmaps it. 0 or -errno after host->fail(). [vcpu] */
int posted_open(struct vm *vm, int vcpu_fd);
void posted_close(struct vm *vm);
/* posted_take()'s other half. [vcpu] */
void posted_take_some(struct vcpu *v);
/* Has all arrived that was in the ring? `last` is read first: were it the later one, others could
 * have filled the ring meanwhile up to just there. */
static inline bool posted_is_empty(const struct kvm_coalesced_mmio_ring *ring)
{
    uint32_t last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);

    return __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE) == last;
}
/* After each KVM_RUN, before its exit is looked at: hands over what any vCPU has posted. [vcpu] */
static inline void posted_take(struct vcpu *v)
{
    const struct kvm_coalesced_mmio_ring *ring = v->vm->ring;

    if (__builtin_expect(ring && !posted_is_empty(ring), 0))
        posted_take_some(v);
}

/* ---- doorbell.c, dirty_log.c ---------------------------------------------------------------- */

/* bp_cpu_ops.extension. [any] */
const void *vm_extension(void *self, const char *id);
const void *doorbell_table(void);
/* Gives KVM the table of interrupt routes: lines, and vm->routes. 0 or -errno, without a sentence.
 * The caller holds vm->lock. [any] */
int routes_write(struct vm *vm);
const void *dirty_log_table(void);

/* ---- debug.c -------------------------------------------------------------------------------- */

const void *debug_table(void);
/* Before a run, for debug_waits(). 0; -errno after host->fail(). [vcpu] */
int debug_begin(struct vcpu *v);
static inline bool debug_waits(const struct vcpu *v)
{
    return v->debug.flags & BP_DEBUG_STEP || v->debug_passes;
}
/* After KVM_EXIT_DEBUG: notes why; gives BP_STOP_DEBUG. [vcpu] */
int debug_stopped(struct vcpu *v);
/* After an exit with a write, which was answered: has KVM come out when its instruction is over.
 * [vcpu] */
void debug_write(struct vcpu *v);
/* After EINTR: was it that? Then the step has ended, as after debug_stopped(). A kick that came
 * meanwhile waits for the next run. [vcpu] */
bool debug_written(struct vcpu *v);

#endif
