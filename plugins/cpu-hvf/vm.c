/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/vm.c - the virtual machine: whether it can be had, its life, memory slots, time.
 *
 * Hypervisor.framework allows one VM a process. The guest's TSC is the host's with an offset, which
 * moves by the time that the machine stood still.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>

static uint64_t host_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

static uint64_t host_tsc_hz(void)
{
    uint64_t hz = 0;
    size_t length = sizeof(hz);

    return sysctlbyname("machdep.tsc.frequency", &hz, &length, NULL, 0) == 0 ? hz : 0;
}

/* ---- whether there can be one --------------------------------------------------------------- */

/* hv_vm_create(), with a sentence that says what to do. */
static int create(const struct bp_host *host, struct bp_node *node)
{
    hv_return_t result = hv_vm_create(HV_VM_DEFAULT);
    char room[32];

    switch (result) {
    case HV_SUCCESS:
        return 0;
    case HV_DENIED:
        return bp_failf(host, node, -EACCES,
                        "macOS denies this program its hypervisor, as it is not signed with the "
                        "entitlement com.apple.security.hypervisor: run scripts/sign-macos");
    case HV_UNSUPPORTED:
    case HV_NO_DEVICE:
        return bp_failf(host, node, -ENODEV,
                        "this Mac has no hypervisor (sysctl kern.hv_support tells): its processor, "
                        "or the virtual machine that it is, lacks VMX");
    case HV_BUSY:
        return bp_failf(host, node, -EBUSY,
                        "this process has a virtual machine already, and Hypervisor.framework "
                        "allows one: use another process, or cpu-interp");
    default:
        return bp_failf(host, node, -EIO, "Hypervisor.framework creates no virtual machine: %s",
                        hvf_error(result, room, sizeof(room)));
    }
}

int64_t hvf_probe(const struct bp_host *host, struct bp_node *node)
{
    struct vm vm = {.host = host, .node = node};
    int err = create(host, node);

    if (err)
        return err;
    err = vmcs_controls(&vm);
    hv_vm_destroy();
    return err;
}

/* ---- life ----------------------------------------------------------------------------------- */

int vm_create(const struct bp_host *host, struct bp_node *node, const void *config, uint32_t vcpus,
              void **self)
{
    struct vm *vm;
    int err = create(host, node);

    (void)config;
    if (err)
        return err;
    vm = calloc(1, sizeof(*vm));
    if (vm)
        vm->vcpus = calloc(vcpus, sizeof(struct vcpu *));
    if (!vm || !vm->vcpus) {
        free(vm);
        hv_vm_destroy();
        return bp_failf(host, node, -ENOMEM, "out of memory");
    }
    vm->host = host;
    vm->node = node;
    vm->vcpu_count = vcpus;
    pthread_mutex_init(&vm->lock, NULL);
    alarm_init(&vm->alarm, timer_now, timer_due, vm);
    vm->tsc_hz = host_tsc_hz();
    vm->tsc_offset = -host_tsc();
    err = vmcs_controls(vm);
    if (!err && !vm->tsc_hz)
        err = bp_failf(host, node, -ENOTSUP,
                       "macOS does not tell the frequency of this processor's time-stamp counter "
                       "(sysctl machdep.tsc.frequency)");
    if (!err) {
        err = alarm_start(&vm->alarm);
        if (err)
            bp_failf(host, node, err, "the thread of the timers cannot be started: %s",
                     strerror(-err));
    }
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
    for (uint32_t i = 0; i < HVF_SLOTS; i++)
        if (vm->slots[i].length)
            vm_mem_set(vm, &(struct bp_mem_slot){.size = sizeof(struct bp_mem_slot), .index = i});
    hv_vm_destroy();
    alarm_destroy(&vm->alarm);
    pthread_mutex_destroy(&vm->lock);
    free(vm->vcpus);
    free(vm);
}

uint32_t vm_features(void *self)
{
    (void)self;
    return 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

static int set_slot(struct memory_slot *s, const struct bp_mem_slot *slot, hv_return_t *result)
{
    hv_memory_flags_t flags = HV_MEMORY_READ | HV_MEMORY_EXEC;

    if (s->length) {
        *result = hv_vm_unmap(s->gpa, s->length);
        free(s->dirty);
        *s = (struct memory_slot){0};
        if (*result != HV_SUCCESS)
            return -EIO;
    }
    if (!slot->length)
        return 0;
    if (!(slot->flags & BP_RAM_READONLY))
        flags |= HV_MEMORY_WRITE;
    *result = hv_vm_map(slot->host, slot->gpa, slot->length, flags);
    if (*result != HV_SUCCESS)
        return -EINVAL;
    *s = (struct memory_slot){
        .gpa = slot->gpa, .length = slot->length, .host = slot->host, .flags = slot->flags};
    return 0;
}

int vm_mem_set(void *self, const struct bp_mem_slot *slot)
{
    struct vm *vm = self;
    hv_return_t result = HV_BAD_ARGUMENT;
    char room[32];
    int err = -EINVAL;

    if (slot->index < HVF_SLOTS) {
        pthread_mutex_lock(&vm->lock);
        err = set_slot(&vm->slots[slot->index], slot, &result);
        pthread_mutex_unlock(&vm->lock);
    }
    if (err)
        return bp_failf(vm->host, vm->node, err, "memory slot %u at 0x%llx cannot be set: %s",
                        slot->index, (unsigned long long)slot->gpa,
                        hvf_error(result, room, sizeof(room)));
    return 0;
}

/* ---- time ----------------------------------------------------------------------------------- */

uint64_t vm_tsc(const struct vm *vm)
{
    if (__atomic_load_n(&vm->stopped, __ATOMIC_ACQUIRE))
        return __atomic_load_n(&vm->stopped_tsc, __ATOMIC_RELAXED);
    return host_tsc() + __atomic_load_n(&vm->tsc_offset, __ATOMIC_RELAXED);
}

/* No vCPU runs meanwhile: each takes the offset when it runs again. */
void vm_time(void *self, uint32_t runs)
{
    struct vm *vm = self;
    bool stop = runs == BP_TIME_STOPPED;

    if (stop && !vm->stopped)
        __atomic_store_n(&vm->stopped_tsc, vm_tsc(vm), __ATOMIC_RELAXED);
    else if (!stop && vm->stopped)
        __atomic_store_n(&vm->tsc_offset, vm->stopped_tsc - host_tsc(), __ATOMIC_RELAXED);
    __atomic_store_n(&vm->stopped, stop, __ATOMIC_RELEASE);
    alarm_stand(&vm->alarm, stop);
}

/* ---- state ---------------------------------------------------------------------------------- */

static int get_clock(struct vm *vm, struct bp_x86_clock *to)
{
    const struct vcpu *v = vm->vcpus[0];

    *to = (struct bp_x86_clock){.paravirtual_ns = vm->host->clock_ns(vm->node),
                                .tsc = vm_tsc(vm) + (uint64_t)(v ? v->tsc_delta : 0),
                                .tsc_hz = vm->tsc_hz};
    return 0;
}

static int set_clock(struct vm *vm, const struct bp_x86_clock *from)
{
    uint64_t moved;

    if (from->tsc_hz && from->tsc_hz != vm->tsc_hz)
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "the guest's TSC counts at %llu Hz; this one counts at %llu Hz only",
                        (unsigned long long)from->tsc_hz, (unsigned long long)vm->tsc_hz);
    moved = from->tsc - vm_tsc(vm);
    __atomic_fetch_add(&vm->tsc_offset, moved, __ATOMIC_RELAXED);
    __atomic_fetch_add(&vm->stopped_tsc, moved, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = vm->vcpus[i];

        if (!v)
            continue;
        v->tsc_delta = 0;
        if (v->chip)
            v->chip->tsc_changed(v->chip_self, i);
    }
    return 0;
}

static int bad_size(const struct vm *vm, const char *set, size_t expected, uint32_t size)
{
    return bp_failf(vm->host, vm->node, -EINVAL, "%s has %zu bytes, not %u", set, expected, size);
}

int vm_get(void *self, const char *set, void *state, uint32_t size)
{
    struct vm *vm = self;

    if (strcmp(set, BP_X86_CPUID) == 0) {
        if (size != sizeof(struct bp_x86_cpuid))
            return bad_size(vm, set, sizeof(struct bp_x86_cpuid), size);
        cpuid_offered(vm, state);
        return 0;
    }
    if (strcmp(set, BP_X86_CLOCK) == 0) {
        if (size != sizeof(struct bp_x86_clock))
            return bad_size(vm, set, sizeof(struct bp_x86_clock), size);
        return get_clock(vm, state);
    }
    if (vm->chip) {
        const struct bp_irqchip *chip = vm->chip->ops;
        return chip->state_get(vm->chip->self, 0, set, state, size);
    }
    return -ENOENT;
}

int vm_set(void *self, const char *set, const void *state, uint32_t size)
{
    struct vm *vm = self;

    if (strcmp(set, BP_X86_CLOCK) == 0) {
        if (size != sizeof(struct bp_x86_clock))
            return bad_size(vm, set, sizeof(struct bp_x86_clock), size);
        return set_clock(vm, state);
    }
    if (vm->chip) {
        const struct bp_irqchip *chip = vm->chip->ops;
        return chip->state_set(vm->chip->self, 0, set, state, size);
    }
    return -ENOENT;
}
