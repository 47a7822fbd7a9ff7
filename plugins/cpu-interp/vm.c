/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/vm.c - one machine: the engine, and what is one a machine.
 *
 * Guest time is the host table's clock, which stands still while the machine is paused; the TSC
 * counts it in nanoseconds.
 */
#include "interp.h"

#include "engine/trace.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TSC_HZ UINT64_C(1000000000)

/* ---- what the engine asks ------------------------------------------------------------------- */

static uint64_t clock_ns(void *context)
{
    const struct vm *vm = context;

    return vm->host->clock_ns(vm->node);
}

static uint64_t utc_ns(void *context)
{
    const struct vm *vm = context;

    return vm->host->utc_ns(vm->node);
}

static void engine_log(void *context, uint32_t level, const char *text)
{
    const struct vm *vm = context;

    vm->host->log(vm->node, level, text);
}

/* ---- life ----------------------------------------------------------------------------------- */

int vm_create(const struct bp_host *host, struct bp_node *node, const void *config, uint32_t vcpus,
              void **self)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    int err = -ENOMEM;

    if (!vm)
        return bp_failf(host, node, err, "out of memory");
    vm->host = host;
    vm->node = node;
    vm->vcpu_count = vcpus;
    alarm_init(&vm->alarm, timer_now, timer_due, vm);
    vm->vcpus = calloc(vcpus, sizeof(struct vcpu *));
    const struct engine_user user = {.context = vm,
                                     .clock_ns = clock_ns,
                                     .utc_ns = utc_ns,
                                     .sleep = timer_sleep,
                                     .deadline_changed = timer_deadline_changed,
                                     .log = engine_log,
                                     .wake = timer_wake};
    if (vm->vcpus)
        err = engine_create(&user, TSC_HZ, vcpus, &vm->engine);
    if (!err)
        err = alarm_start(&vm->alarm);
    if (err) {
        vm_destroy(vm);
        return bp_failf(host, node, err, "the software CPU cannot be set up: %s", strerror(-err));
    }
    err = tracing_start(vm, config);
    if (err) {
        vm_destroy(vm);
        return err;
    }
    *self = vm;
    return 0;
}

void vm_destroy(void *self)
{
    struct vm *vm = self;

    alarm_stop(&vm->alarm);
    trace_destroy(vm->trace);
    if (vm->engine)
        engine_destroy(vm->engine);
    alarm_destroy(&vm->alarm);
    free(vm->vcpus);
    free(vm);
}

uint32_t vm_features(void *self)
{
    (void)self;
    return 0;
}

int vm_mem_set(void *self, const struct bp_mem_slot *slot)
{
    struct vm *vm = self;
    int err = engine_memory_set(vm->engine, slot);

    if (err)
        return bp_failf(vm->host, vm->node, err, "memory slot %u at 0x%llx cannot be set: %s",
                        slot->index, (unsigned long long)slot->gpa, strerror(-err));
    return 0;
}

void vm_code_changed(void *self, uint64_t gpa, uint64_t length)
{
    const struct vm *vm = self;

    engine_code_changed(vm->engine, gpa, length);
}

void vm_time(void *self, uint32_t runs)
{
    struct vm *vm = self;

    alarm_stand(&vm->alarm, runs == BP_TIME_STOPPED);
}

/* ---- state ---------------------------------------------------------------------------------- */

static int get_clock(struct vm *vm, struct bp_x86_clock *to)
{
    uint64_t now = clock_ns(vm);
    const struct vcpu *v = vm->vcpus[0];

    *to = (struct bp_x86_clock){.paravirtual_ns = now, .tsc = now, .tsc_hz = TSC_HZ};
    if (v)
        to->tsc = cpu_tsc(v->cpu);
    return 0;
}

/* The TSC goes on from there on every vCPU; the paravirtual clock follows guest time, which is the
 * host's to set. */
static int set_clock(struct vm *vm, const struct bp_x86_clock *from)
{
    uint64_t now = clock_ns(vm);

    if (from->tsc_hz && from->tsc_hz != TSC_HZ)
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "the guest's TSC counts at %llu Hz; this one counts at %llu Hz only",
                        (unsigned long long)from->tsc_hz, (unsigned long long)TSC_HZ);
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = vm->vcpus[i];
        if (!v)
            continue;
        v->cpu->tsc_offset = (int64_t)(from->tsc - now);
        if (v->cpu->chip)
            v->cpu->chip->tsc_changed(v->cpu->chip_self, i);
    }
    return 0;
}

int vm_get(void *self, const char *set, void *state, uint32_t size)
{
    struct vm *vm = self;

    if (strcmp(set, BP_X86_CPUID) == 0) {
        if (size != sizeof(struct bp_x86_cpuid))
            return -EINVAL;
        cpuid_offered(vm->engine, state);
        return 0;
    }
    if (strcmp(set, BP_X86_CLOCK) == 0)
        return size == sizeof(struct bp_x86_clock) ? get_clock(vm, state) : -EINVAL;
    if (vm->chip) {
        const struct bp_irqchip *chip = vm->chip->ops;
        return chip->state_get(vm->chip->self, 0, set, state, size);
    }
    return -ENOENT;
}

int vm_set(void *self, const char *set, const void *state, uint32_t size)
{
    struct vm *vm = self;

    if (strcmp(set, BP_X86_CLOCK) == 0)
        return size == sizeof(struct bp_x86_clock) ? set_clock(vm, state) : -EINVAL;
    if (vm->chip) {
        const struct bp_irqchip *chip = vm->chip->ops;
        return chip->state_set(vm->chip->self, 0, set, state, size);
    }
    return -ENOENT;
}
