/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/regs_msr.c - x86.msr/1: model-specific registers.
 *
 * After api.rst: KVM_GET_MSR_INDEX_LIST, KVM_GET_MSRS, KVM_SET_MSRS. KVM's list
 * lacks the MTRRs (SDM 4, 2.1: 0x200 and on) and the banks of the machine check architecture,
 * so they are added. IA32_TSC_DEADLINE is left out: it belongs to x86.lapic/1, and is lost if
 * written before the timer is in deadline mode. So are Hyper-V's, whose CPUID
 * leaves are not offered. IA32_TSC is given and taken in guest time.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define HYPERV_FIRST 0x40000000u
#define HYPERV_LAST 0x400001ffu
#define MSR_LIST_MAX 4096u /* more than any KVM has */

/* struct kvm_msrs with room for as many as x86.msr/1 has. */
union msr_batch {
    struct kvm_msrs list;
    uint8_t bytes[sizeof(struct kvm_msrs) + BP_X86_MSRS_MAX * sizeof(struct kvm_msr_entry)];
};

static const struct {
    uint32_t first, count;
} more_msrs[] = {
    {0x2ff, 1},                              /* IA32_MTRR_DEF_TYPE */
    {0x200, 16},                             /* IA32_MTRR_PHYSBASE0 .. PHYSMASK7 */
    {0x250, 1},      {0x258, 2}, {0x268, 8}, /* IA32_MTRR_FIX* */
    {0x400, 32 * 4},                         /* IA32_MC0_CTL .. IA32_MC31_MISC */
};

/* ---- the list ------------------------------------------------------------------------------- */

static void list_add(struct vm *vm, uint32_t index)
{
    bool hyperv = index >= HYPERV_FIRST && index <= HYPERV_LAST;

    if (index == MSR_TSC_DEADLINE || hyperv || vm->msr_count == BP_X86_MSRS_MAX)
        return;
    for (uint32_t i = 0; i < vm->msr_count; i++)
        if (vm->msrs[i] == index)
            return;
    vm->msrs[vm->msr_count++] = index;
}

int msr_list(struct vm *vm)
{
    struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSR_LIST_MAX * sizeof(uint32_t));
    int err = 0;

    vm->msrs = calloc(BP_X86_MSRS_MAX, sizeof(uint32_t));
    if (!list || !vm->msrs) {
        err = bp_failf(vm->host, vm->node, -ENOMEM, "out of memory");
        goto out;
    }
    list->nmsrs = MSR_LIST_MAX;
    if (ioctl(vm->device_fd, KVM_GET_MSR_INDEX_LIST, list) != 0) {
        err = bp_failf(vm->host, vm->node, -errno, "KVM_GET_MSR_INDEX_LIST failed: %m");
        goto out;
    }
    for (uint32_t i = 0; i < list->nmsrs; i++)
        list_add(vm, list->indices[i]);
    for (size_t i = 0; i < sizeof(more_msrs) / sizeof(more_msrs[0]); i++)
        for (uint32_t n = 0; n < more_msrs[i].count; n++)
            list_add(vm, more_msrs[i].first + n);
out:
    free(list);
    return err;
}

/* ---- one ------------------------------------------------------------------------------------ */

static int one_msr(struct vcpu *v, unsigned long request, struct kvm_msr_entry *entry)
{
    union {
        struct kvm_msrs msrs;
        uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } arg;
    int done;

    memset(&arg, 0, sizeof(arg));
    arg.msrs.nmsrs = 1;
    memcpy(arg.bytes + sizeof(struct kvm_msrs), entry, sizeof(*entry));
    done = ioctl(v->fd, request, &arg);
    if (done != 1)
        return done < 0 ? -errno : -EINVAL;
    memcpy(entry, arg.bytes + sizeof(struct kvm_msrs), sizeof(*entry));
    return 0;
}

int msr_read(struct vcpu *v, uint32_t index, uint64_t *value)
{
    struct kvm_msr_entry entry = {.index = index};
    int err = one_msr(v, KVM_GET_MSRS, &entry);

    *value = entry.data;
    return err;
}

int msr_write(struct vcpu *v, uint32_t index, uint64_t value)
{
    struct kvm_msr_entry entry = {.index = index, .data = value};

    return one_msr(v, KVM_SET_MSRS, &entry);
}

/* ---- all ------------------------------------------------------------------------------------ */

/* Fills the batch with `count` indices. */
static void batch_indices(union msr_batch *b, const uint32_t *indices, uint32_t count)
{
    memset(&b->list, 0, sizeof(b->list));
    b->list.nmsrs = count;
    for (uint32_t i = 0; i < count; i++)
        b->list.entries[i] = (struct kvm_msr_entry){.index = indices[i]};
}

static int get_all(struct vcpu *v, union msr_batch *b, struct bp_x86_msrs *to)
{
    uint32_t next = 0;

    /* KVM stops at the first that this vCPU does not have: go on behind it. */
    while (next < v->vm->msr_count) {
        int done;

        batch_indices(b, v->vm->msrs + next, v->vm->msr_count - next);
        done = ioctl(v->fd, KVM_GET_MSRS, b);
        if (done < 0)
            return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_MSRS failed: %m");
        for (int i = 0; i < done; i++) {
            to->msrs[to->count].index = b->list.entries[i].index;
            to->msrs[to->count].value = b->list.entries[i].data;
            if (b->list.entries[i].index == MSR_TSC)
                tsc_read(v, &to->msrs[to->count].value);
            to->count++;
        }
        next += (uint32_t)done + 1;
    }
    return 0;
}

int msr_get(struct vcpu *v, void *regs)
{
    struct bp_x86_msrs *to = regs;
    union msr_batch *b = malloc(sizeof(*b));
    int err;

    if (!b)
        return bp_failf(v->vm->host, v->vm->node, -ENOMEM, "out of memory");
    to->count = 0;
    err = get_all(v, b, to);
    free(b);
    return err;
}

static int refused(struct vcpu *v, const struct bp_x86_msr *m)
{
    return bp_failf(
        v->vm->host, v->vm->node, -EINVAL,
        "KVM refuses value 0x%llx for MSR 0x%x: this host or the guest's CPUID lacks it",
        (unsigned long long)m->value, m->index);
}

/* Writes msrs in their order. `tolerant`: skips what is refused. */
static int set_all(struct vcpu *v, union msr_batch *b, const struct bp_x86_msrs *from,
                   bool tolerant)
{
    uint32_t next = 0;

    while (next < from->count) {
        uint32_t count = 0;
        int done;

        memset(&b->list, 0, sizeof(b->list));
        for (uint32_t i = next; i < from->count && from->msrs[i].index != MSR_TSC; i++) {
            b->list.entries[count++] =
                (struct kvm_msr_entry){.index = from->msrs[i].index, .data = from->msrs[i].value};
        }
        b->list.nmsrs = count;
        done = count ? ioctl(v->fd, KVM_SET_MSRS, b) : 0;
        if (done < 0)
            return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_SET_MSRS failed: %m");
        next += (uint32_t)done;
        if ((uint32_t)done < count) {
            if (!tolerant)
                return refused(v, &from->msrs[next]);
            next++;
        } else if (next < from->count) {
            if (!tolerant && tsc_write(v, from->msrs[next].value) != 0)
                return refused(v, &from->msrs[next]);
            next++; /* the TSC, which a reset leaves alone */
        }
    }
    return 0;
}

static int set_batch(struct vcpu *v, const struct bp_x86_msrs *from, bool tolerant)
{
    union msr_batch *b;
    int err;

    if (from->count > BP_X86_MSRS_MAX) {
        return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s: a count of %u is above %u",
                        BP_X86_MSR, from->count, BP_X86_MSRS_MAX);
    }
    b = malloc(sizeof(*b));
    if (!b)
        return bp_failf(v->vm->host, v->vm->node, -ENOMEM, "out of memory");
    err = set_all(v, b, from, tolerant);
    free(b);
    return err;
}

int msr_set(struct vcpu *v, const void *regs)
{
    return set_batch(v, regs, false);
}

int msr_reset(struct vcpu *v, const struct bp_x86_msrs *msrs)
{
    return set_batch(v, msrs, true);
}
