/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/dirty_log.c - "bp.dirty-log/1": the pages of a slot that the guest wrote.
 *
 * After api.rst: KVM_GET_DIRTY_LOG. It copies and clears in one step, as the interface wants.
 * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 splits the two to hold KVM's lock for less long while vCPUs
 * run; here none does.
 */
#include "kvm.h"

#include <backplane/ext/dirty_log.h>

#include <errno.h>
#include <sys/ioctl.h>

#define PAGE_BYTES 4096u

static struct memory_slot *find_slot(struct vm *vm, uint32_t index)
{
    if (index >= vm->slot_count || vm->slots[index].region.memory_size == 0)
        return NULL;
    return &vm->slots[index];
}

static int dirty_log_enable(void *self, uint32_t slot_index, uint32_t on)
{
    struct vm *vm = self;
    struct memory_slot *slot;
    int err = 0;

    pthread_mutex_lock(&vm->lock);
    slot = find_slot(vm, slot_index);
    if (!slot) {
        err = -ENOENT;
    } else if (slot->dirty_log != (on != 0)) {
        struct kvm_userspace_memory_region region = slot->region;

        region.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
        if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) == 0) {
            slot->region = region;
            slot->dirty_log = on != 0;
        } else {
            err = -errno;
        }
    }
    pthread_mutex_unlock(&vm->lock);
    return err;
}

static int dirty_log_fetch(void *self, uint32_t slot_index, uint64_t *bitmap, uint64_t bitmap_bytes)
{
    struct vm *vm = self;
    struct kvm_dirty_log log = {.slot = slot_index, .dirty_bitmap = bitmap};
    struct memory_slot *slot;
    int err = 0;

    pthread_mutex_lock(&vm->lock);
    slot = find_slot(vm, slot_index);
    if (!slot) {
        err = -ENOENT;
    } else {
        uint64_t words = (slot->region.memory_size / PAGE_BYTES + 63) / 64;

        if (bitmap_bytes < words * 8 || !slot->dirty_log)
            err = -EINVAL;
        else if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) != 0)
            err = -errno;
    }
    pthread_mutex_unlock(&vm->lock);
    return err;
}

const void *dirty_log_table(void)
{
    static const struct bp_dirty_log table = {
        .size = sizeof(table),
        .enable = dirty_log_enable,
        .fetch = dirty_log_fetch,
    };

    return &table;
}
