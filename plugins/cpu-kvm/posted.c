/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/posted.c - "bp.posted/1": writes that KVM collects while the guest runs on.
 *
 * After api.rst: KVM_REGISTER_COALESCED_MMIO. The kernel adds to a ring in a page that it shares
 * with this process; where the ring is full, a write is an exit like any other. The ring is the
 * VM's: whoever empties it hands over the writes of all vCPUs.
 *
 * `first` moves behind a write when that has reached its device, not before: who finds the ring
 * empty knows that all has arrived, and takes no lock.
 */
#include "kvm.h"

#include <backplane/ext/posted.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u /* KVM's, on x86 */
#define RING_ENTRIES                                                                               \
    ((PAGE_BYTES - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

static int posted_post(void *self, uint64_t gpa, uint64_t length, uint32_t on)
{
    const struct vm *vm = self;
    struct kvm_coalesced_mmio_zone zone = {.addr = gpa, .size = (uint32_t)length};

    if (!length || length > UINT32_MAX || gpa + length < gpa)
        return -EINVAL;
    return ioctl(vm->fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO, &zone) ==
                   0
               ? 0
               : -errno;
}

static void posted_deliver(void *self,
                           void (*write)(void *context, uint64_t gpa, uint64_t value,
                                         uint32_t width),
                           void *context)
{
    struct vm *vm = self;
    struct kvm_coalesced_mmio_ring *ring = vm->ring;
    uint32_t first, last;

    if (!ring || posted_is_empty(ring))
        return;
    pthread_mutex_lock(&vm->ring_lock);
    /* What comes meanwhile is left for the next one: a guest cannot keep a thread here. */
    last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
    for (first = ring->first; first != last; first = (first + 1) % RING_ENTRIES) {
        const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[first];
        uint64_t value;

        memcpy(&value, entry->data, sizeof(value));
        write(context, entry->phys_addr, value & low_bytes(entry->len), entry->len);
        __atomic_store_n(&ring->first, (first + 1) % RING_ENTRIES, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&vm->ring_lock);
}

static void write_by_bus(void *context, uint64_t gpa, uint64_t value, uint32_t width)
{
    const struct vcpu *v = context;

    v->bus->mmio_write(v->handle, gpa, value, width);
}

void posted_take_some(struct vcpu *v)
{
    posted_deliver(v->vm, write_by_bus, v);
}

int posted_open(struct vm *vm, int vcpu_fd)
{
    void *ring;

    if (!vm->ring_page || vm->ring)
        return 0;
    ring = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd,
                (off_t)vm->ring_page * PAGE_BYTES);
    if (ring == MAP_FAILED)
        return bp_failf(vm->host, vm->node, -errno,
                        "the ring of coalesced MMIO cannot be mapped: %m");
    vm->ring = ring;
    return 0;
}

void posted_close(struct vm *vm)
{
    if (vm->ring)
        munmap(vm->ring, PAGE_BYTES);
    vm->ring = NULL;
}

const void *posted_table(void)
{
    static const struct bp_cpu_posted table = {
        .size = sizeof(table),
        .post = posted_post,
        .deliver = posted_deliver,
    };

    return &table;
}
