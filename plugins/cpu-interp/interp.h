/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/interp.h - what the files that bind the engine to Backplane share.
 *
 * struct vm is one machine: an engine, and a thread that knows when the next local APIC timer is
 * due. struct vcpu belongs to the thread that created it. The engine (engine/) knows nothing of
 * these.
 */
#ifndef CPU_INTERP_INTERP_H
#define CPU_INTERP_INTERP_H

#include "engine/engine.h"

#include <backplane/props.h>

#include <pthread.h>
#include <shared/alarm.h>

struct trace;
struct vm;

/* The model's keys: tracing.c. */
struct interp_config {
    struct bp_list trace; /* uint32_t: bit numbers of TRACE_* */
    const char *trace_file;
    struct bp_range trace_range;
    struct bp_list trace_vcpus; /* uint64_t */
    uint32_t trace_privilege;   /* enum trace_privilege */
    uint32_t reserved;
};

struct vcpu {
    struct cpu *cpu;
    struct vm *vm;
    pthread_mutex_t lock; /* a leaf lock, for the sleep in HLT */
    pthread_cond_t woken;
    uint32_t sleeping; /* atomic */
    uint32_t running;  /* inside vcpu_run(): registers are in the midst of an instruction */
    uint64_t posted;   /* the deadline that the timer thread has told; vm->alarm.lock */
};

struct vm {
    const struct bp_host *host;
    struct bp_node *node;
    struct engine *engine;
    struct trace *trace; /* NULL: none */
    uint32_t vcpu_count;
    const struct bp_peer *chip; /* the machine's interrupt controllers, NULL: none */

    struct alarm alarm;  /* for the local APICs' timers; its lock is that of `vcpus`, too */
    struct vcpu **vcpus; /* by index */
};

/* ---- vm.c: the bp_cpu_ops of the same names ------------------------------------------------- */

int vm_create(const struct bp_host *host, struct bp_node *node, const void *config, uint32_t vcpus,
              void **self);
void vm_destroy(void *self);
uint32_t vm_features(void *self);
int vm_mem_set(void *self, const struct bp_mem_slot *slot);
int vm_get(void *self, const char *set, void *state, uint32_t size);
int vm_set(void *self, const char *set, const void *state, uint32_t size);
void vm_time(void *self, uint32_t runs);
void vm_code_changed(void *self, uint64_t gpa, uint64_t length);

/* ---- timer.c -------------------------------------------------------------------------------- */

/* The alarm's: guest time; tells vCPUs of due timers. `context` is the vm. */
uint64_t timer_now(void *context);
uint64_t timer_due(void *context, uint64_t now_ns);
/* engine_user.deadline_changed, sleep and wake; `context` is the vm. */
void timer_deadline_changed(void *vm, struct cpu *c);
void timer_sleep(void *vm, struct cpu *c, uint64_t deadline_ns);
void timer_wake(void *vm, struct cpu *c);

/* ---- tracing.c ------------------------------------------------------------------------------ */

extern const struct bp_prop interp_props[];

/* Sets vm->trace, after the engine is there, if the machine file asks for one. 0; or -errno after
 * host->fail(). [main] */
int tracing_start(struct vm *vm, const struct interp_config *config);

/* ---- vcpu.c --------------------------------------------------------------------------------- */

int vcpu_create(void *vm, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self);
void vcpu_destroy(void *self);
int vcpu_reset(void *self);
int vcpu_run(void *self);
void vcpu_kick(void *self);

/* ---- regs.c --------------------------------------------------------------------------------- */

int regs_get(void *self, const char *set, void *regs, uint32_t size);
int regs_set(void *self, const char *set, const void *regs, uint32_t size);

/* ---- debug.c -------------------------------------------------------------------------------- */

const void *vm_extension(void *vm, const char *id);

#endif
