/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/vm.c - the virtual machine and its memory slots.
 *
 * After api.rst: KVM_CREATE_VM, KVM_SET_USER_MEMORY_REGION. No quirk of
 * KVM_CAP_DISABLE_QUIRKS2 is disabled: LINT0_REENABLED gives kernels that are started without
 * firmware the virtual wire to the PIC that firmware would have set up, and the others only matter
 * to guests that depend on them.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Four pages below the firmware's 256 KiB at the end of 4 GiB, which Intel processors without
 * unrestricted guest need for real mode. No memory slot may cover them. */
#define IDENTITY_MAP_GPA 0xfffbc000u
#define TSS_GPA 0xfffbd000u

#define SLOTS_FIRST 8u

static int enable_cap(int fd, uint32_t capability, uint64_t argument)
{
    struct kvm_enable_cap cap = {.cap = capability, .args = {argument}};

    return ioctl(fd, KVM_ENABLE_CAP, &cap);
}

/* What the kernel wants to be told before the first vCPU. */
static int vm_setup(struct vm *vm)
{
    uint64_t identity_map = IDENTITY_MAP_GPA;
    int size;

    if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) != 0 ||
        ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)TSS_GPA) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_SET_TSS_ADDR failed: %m");
    /* x86.lapic/1 has 32-bit x2APIC IDs; and an x2APIC's ID 255 is no broadcast. */
    if (enable_cap(vm->fd, KVM_CAP_X2APIC_API,
                   KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_CAP_X2APIC_API cannot be enabled: %m");
    /* x86.events/1 tells pending from injected exceptions. */
    if (enable_cap(vm->fd, KVM_CAP_EXCEPTION_PAYLOAD, 1) != 0) {
        return bp_failf(vm->host, vm->node, -errno,
                        "KVM_CAP_EXCEPTION_PAYLOAD cannot be enabled: %m");
    }
    vm->has_triple_fault_event = kvm_extension(vm->fd, KVM_CAP_X86_TRIPLE_FAULT_EVENT) &&
                                 enable_cap(vm->fd, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1) == 0;
    vm->has_sregs2 = kvm_extension(vm->fd, KVM_CAP_SREGS2);
    vm->has_xcrs = kvm_extension(vm->fd, KVM_CAP_XCRS);
    vm->has_smm = kvm_extension(vm->fd, KVM_CAP_X86_SMM);
    vm->has_any_length = kvm_extension(vm->fd, KVM_CAP_IOEVENTFD_ANY_LENGTH);
    vm->has_tsc_control = kvm_extension(vm->device_fd, KVM_CAP_TSC_CONTROL);
    vm->max_slots = (uint32_t)kvm_extension(vm->fd, KVM_CAP_NR_MEMSLOTS);
    vm->max_routes = (uint32_t)kvm_extension(vm->fd, KVM_CAP_IRQ_ROUTING);
    size = kvm_extension(vm->fd, KVM_CAP_XSAVE2);
    vm->xsave_bytes =
        size > (int)sizeof(struct kvm_xsave) ? (uint32_t)size : (uint32_t)sizeof(struct kvm_xsave);
    size = ioctl(vm->device_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run)) {
        return bp_failf(vm->host, vm->node, -EIO,
                        "KVM_GET_VCPU_MMAP_SIZE gives %d bytes, fewer than "
                        "struct kvm_run has",
                        size);
    }
    vm->run_bytes = (uint32_t)size;
    vm->ring_page = (uint32_t)kvm_extension(vm->fd, KVM_CAP_COALESCED_MMIO);
    return 0;
}

static int check_vcpu_count(struct vm *vm, const char *path)
{
    int max = kvm_extension(vm->fd, KVM_CAP_MAX_VCPUS);

    if (max == 0)
        max = 4; /* what api.rst has one assume of a kernel that does not say */
    if (vm->vcpu_count == 0 || vm->vcpu_count > (uint32_t)max) {
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "%s runs 1 to %d vCPUs a machine, and this one has %u: set `cpus`", path,
                        max, vm->vcpu_count);
    }
    return 0;
}

int vm_create(const struct bp_host *host, struct bp_node *node, const void *config, uint32_t vcpus,
              void **self)
{
    const struct kvm_config *c = config;
    const char *path = c->device ? c->device : KVM_DEVICE;
    struct vm *vm = calloc(1, sizeof(*vm));
    int err;

    if (!vm)
        return bp_failf(host, node, -ENOMEM, "out of memory");
    vm->host = host;
    vm->node = node;
    vm->vcpu_count = vcpus;
    vm->fd = -1;
    pthread_mutex_init(&vm->lock, NULL);
    pthread_mutex_init(&vm->ring_lock, NULL);
    err = vm->device_fd = device_open(host, node, path);
    if (err < 0)
        goto fail;
    err = device_check(host, node, path, vm->device_fd);
    if (err)
        goto fail;
    err = vm->fd = device_create_vm(host, node, path, vm->device_fd);
    if (err < 0)
        goto fail;
    err = check_vcpu_count(vm, path);
    if (err)
        goto fail;
    vm->vcpus = calloc(vcpus, sizeof(struct vcpu *));
    if (!vm->vcpus) {
        err = bp_failf(host, node, -ENOMEM, "out of memory");
        goto fail;
    }
    err = vm_setup(vm);
    if (err)
        goto fail;
    err = irqchip_create(vm);
    if (err)
        goto fail;
    err = msr_list(vm);
    if (err)
        goto fail;
    *self = vm;
    return 0;

fail:
    vm_destroy(vm);
    return err;
}

void vm_destroy(void *self)
{
    struct vm *vm = self;

    posted_close(vm);
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->device_fd >= 0)
        close(vm->device_fd);
    pthread_mutex_destroy(&vm->lock);
    pthread_mutex_destroy(&vm->ring_lock);
    free(vm->routes);
    free(vm->slots);
    free(vm->msrs);
    free(vm->vcpus);
    free(vm);
}

uint32_t vm_features(void *self)
{
    (void)self;
    return BP_CPU_IRQCHIP | BP_CPU_SNAPSHOT;
}

/* ---- memory --------------------------------------------------------------------------------- */

static int grow_slots(struct vm *vm, uint32_t index)
{
    uint32_t count = vm->slot_count ? vm->slot_count : SLOTS_FIRST;
    struct memory_slot *slots;

    while (count <= index)
        count *= 2;
    slots = realloc(vm->slots, count * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    memset(slots + vm->slot_count, 0, (count - vm->slot_count) * sizeof(*slots));
    vm->slots = slots;
    vm->slot_count = count;
    return 0;
}

static int slot_remove(struct vm *vm, struct memory_slot *slot)
{
    struct kvm_userspace_memory_region none = slot->region;

    none.memory_size = 0;
    none.flags = 0;
    if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &none) != 0)
        return -errno;
    slot->region.memory_size = 0;
    return 0;
}

/* KVM moves a slot, but neither resizes it nor gives it other memory: it goes and comes again. What
 * it logged is lost with it; that the log runs is not. */
static int slot_set(struct vm *vm, const struct bp_mem_slot *want)
{
    struct memory_slot *slot = &vm->slots[want->index];
    struct kvm_userspace_memory_region region = {
        .slot = want->index,
        .flags = want->flags & BP_RAM_READONLY ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = want->gpa,
        .memory_size = want->length,
        .userspace_addr = (uintptr_t)want->host,
    };
    int err;

    if (slot->dirty_log && want->length != 0)
        region.flags |= KVM_MEM_LOG_DIRTY_PAGES;
    if (slot->region.memory_size != 0) {
        if (want->length != 0 && memcmp(&region, &slot->region, sizeof(region)) == 0)
            return 0;
        err = slot_remove(vm, slot);
        if (err)
            return err;
    }
    if (want->length == 0) {
        slot->dirty_log = false;
        return 0;
    }
    if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) != 0)
        return -errno;
    slot->region = region;
    slot->host = want->host;
    return 0;
}

int vm_mem_set(void *self, const struct bp_mem_slot *slot)
{
    struct vm *vm = self;
    int err = 0;

    if (slot->index >= vm->max_slots) {
        return bp_failf(vm->host, vm->node, -ENOSPC,
                        "memory slot %u is not below %u, KVM's number of slots", slot->index,
                        vm->max_slots);
    }
    pthread_mutex_lock(&vm->lock);
    if (slot->index >= vm->slot_count && slot->length != 0)
        err = grow_slots(vm, slot->index);
    if (!err && slot->index < vm->slot_count)
        err = slot_set(vm, slot);
    pthread_mutex_unlock(&vm->lock);
    if (err) {
        errno = -err;
        return bp_failf(vm->host, vm->node, err,
                        "KVM refuses memory slot %u, 0x%llx bytes at 0x%llx: %m", slot->index,
                        (unsigned long long)slot->length, (unsigned long long)slot->gpa);
    }
    return 0;
}

const uint8_t *vm_memory(struct vm *vm, uint64_t gpa, uint64_t *length)
{
    const uint8_t *at = NULL;

    pthread_mutex_lock(&vm->lock);
    for (uint32_t i = 0; i < vm->slot_count; i++) {
        const struct kvm_userspace_memory_region *r = &vm->slots[i].region;

        if (gpa >= r->guest_phys_addr && gpa - r->guest_phys_addr < r->memory_size) {
            uint64_t offset = gpa - r->guest_phys_addr;

            *length = r->memory_size - offset;
            at = vm->slots[i].host + offset;
            break;
        }
    }
    pthread_mutex_unlock(&vm->lock);
    return at;
}

/* ---- machine sets --------------------------------------------------------------------------- */

static const struct {
    const char *id;
    uint32_t size;
    int (*get)(struct vm *vm, void *state);
    int (*set)(struct vm *vm, const void *state); /* NULL: cannot be set */
} machine_sets[] = {
    {BP_X86_CPUID, sizeof(struct bp_x86_cpuid), cpuid_offered, NULL},
    {BP_X86_PIC, sizeof(struct bp_x86_pic), pic_get, pic_set},
    {BP_X86_IOAPIC, sizeof(struct bp_x86_ioapic), ioapic_get, ioapic_set},
    {BP_X86_PIT, sizeof(struct bp_x86_pit), pit_get, pit_set},
    {BP_X86_CLOCK, sizeof(struct bp_x86_clock), clock_get, clock_set},
};

/* The index of a set, or -errno. */
static int find_set(struct vm *vm, const char *set, uint32_t size)
{
    for (size_t i = 0; i < sizeof(machine_sets) / sizeof(machine_sets[0]); i++) {
        if (strcmp(set, machine_sets[i].id) == 0) {
            if (size != machine_sets[i].size) {
                return bp_failf(vm->host, vm->node, -EINVAL, "%s has %u bytes, not %u", set,
                                machine_sets[i].size, size);
            }
            return (int)i;
        }
    }
    return -ENOENT;
}

int vm_get(void *self, const char *set, void *state, uint32_t size)
{
    struct vm *vm = self;
    int i = find_set(vm, set, size);

    if (i < 0)
        return i;
    memset(state, 0, size);
    return machine_sets[i].get(vm, state);
}

int vm_set(void *self, const char *set, const void *state, uint32_t size)
{
    struct vm *vm = self;
    int i = find_set(vm, set, size);

    if (i < 0)
        return i;
    if (!machine_sets[i].set) {
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "%s says what can be offered: it is set for each vCPU", set);
    }
    return machine_sets[i].set(vm, state);
}
