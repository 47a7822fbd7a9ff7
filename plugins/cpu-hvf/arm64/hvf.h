/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/arm64/hvf.h - what the files of the backend for Apple's processors share.
 *
 * After Apple's documentation of Hypervisor.framework and the Arm ARM (DDI 0487). It makes VMs and
 * vCPUs, maps memory, moves registers and does what exits ask for, behind the same table as on
 * Intel's processors. There is no arm64 machine yet that it could run (boot, GIC, PL011), so its
 * probe() refuses; none of this has ever run.
 *
 * Left out: PSCI's CPU_ON, an interrupt controller, dirty pages, debugging.
 */
#ifndef CPU_HVF_ARM64_HVF_H
#define CPU_HVF_ARM64_HVF_H

#include <backplane/cpu.h>
#include <backplane/ext/arm64.h>

#include <Hypervisor/Hypervisor.h>
#include <pthread.h>
#include <stdbool.h>

#define HVF_SLOTS 64u

struct vm {
    const struct bp_host *host;
    struct bp_node *node;
    uint32_t vcpu_count;
    uint32_t reserved;
    pthread_mutex_t lock;                /* of `slots`; a leaf lock */
    struct bp_mem_slot slots[HVF_SLOTS]; /* by their index; length 0: unused */
};

struct vcpu {
    hv_vcpu_t id;
    hv_vcpu_exit_t *exit; /* the framework's: what ended the last run */
    struct vm *vm;
    struct bp_vcpu *handle;
    const struct bp_bus *bus;
    uint32_t index;
    uint32_t kicked;      /* atomic */
    bool waits;           /* in WFI */
    pthread_mutex_t lock; /* a leaf lock, for the sleep in WFI */
    pthread_cond_t woken;
};

/* vcpu.c: the bp_cpu_ops of the same names. */
int vcpu_create(void *vm, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self);
void vcpu_destroy(void *self);
int vcpu_reset(void *self);
int vcpu_run(void *self);
void vcpu_kick(void *self);

/* exits.c: does what the exception asks for. 0: go on; or -errno after host->fail(). [vcpu] */
int exit_exception(struct vcpu *v);

/* regs.c: bp_cpu_ops of the same names. */
int regs_get(void *self, const char *set, void *regs, uint32_t size);
int regs_set(void *self, const char *set, const void *regs, uint32_t size);

/* General registers by number; 31 is XZR. Those that exist: what the framework refuses then is our
 * own bug; reads give 0. [vcpu] */
uint64_t reg_read(const struct vcpu *v, uint32_t number);
void reg_write(const struct vcpu *v, uint32_t number, uint64_t value);

/* plugin.c: what the framework's error means. */
const char *hvf_error(hv_return_t result);

#endif
