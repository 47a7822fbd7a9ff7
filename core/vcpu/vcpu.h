/* SPDX-License-Identifier: MIT
 *
 * vcpu/vcpu.h - the threads that run guest code, one a vCPU: started parked, let run, parked again.
 *
 * While parked, a thread still does what it is asked (registers, reset), because backends tie a
 * vCPU to the thread that made it.
 */
#ifndef VCPU_VCPU_H
#define VCPU_VCPU_H

#include "base/error.h"
#include "bus/bus.h"

#include <backplane/cpu.h>
#include <pthread.h>
#include <stdbool.h>

struct vcpus;
struct vcpu_call;

/* One vCPU: what plugins know as struct bp_vcpu. */
struct bp_vcpu {
    struct bus_reader reader; /* first: the hot member */
    struct vcpus *group;
    const struct bp_cpu_ops *ops;
    void *self; /* the backend's; NULL before vcpu_create() and after vcpu_destroy() */
    uint32_t index;
    bool parked; /* group->lock */
    bool has_thread;
    pthread_t thread;
    int created;            /* group->lock; what vcpu_create() gave */
    struct vcpu_call *call; /* group->lock; asked of a parked vCPU, or NULL */
};

/* Why a vCPU left vcpu_run() other than by a kick; told on its thread, which then parks. */
struct vcpu_events {
    /* `stop`: BP_STOP_* above KICKED, or -errno. */
    void (*stopped)(void *context, struct bp_vcpu *vcpu, int stop);
    void *context;
};

/* Makes `count` threads, and a vCPU of `vm` on each. `ops` and `bus_ops` must outlive them.
 * -ENOMEM, or what vcpu_create() gave. [main] */
int vcpus_new(uint32_t count, const struct bp_cpu_ops *ops, void *vm, struct bus *bus,
              const struct bp_bus *bus_ops, const struct vcpu_events *events, struct vcpus **out);
/* Parks them first, destroys each on its thread, joins. NULL is allowed. [main] */
void vcpus_free(struct vcpus *vcpus);

/* Lets all run. [main] */
void vcpus_run(struct vcpus *vcpus);
/* Asks all to park and returns at once. [any] */
void vcpus_ask_to_park(struct vcpus *vcpus);
/* Asks, and waits until all are parked. [main] */
void vcpus_park(struct vcpus *vcpus);

/* Calls `call(vcpu, argument)` on the thread of vCPU `index`, which is parked; gives its result.
 * -ENOENT, -EBUSY if it is not parked. A second caller waits for the first. [main], and [dom] of
 * services */
int vcpus_call(struct vcpus *vcpus, uint32_t index,
               int (*call)(struct bp_vcpu *vcpu, void *argument), void *argument);
/* The vCPU whose thread this is; NULL on any other. [any] */
struct bp_vcpu *vcpu_current(void);
uint32_t vcpus_count(const struct vcpus *vcpus);

#endif
