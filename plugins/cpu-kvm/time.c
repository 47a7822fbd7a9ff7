/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/time.c - guest time: it stops with the machine and goes on where it stopped.
 *
 * After api.rst: KVM_GET_CLOCK, KVM_SET_CLOCK, KVM_KVMCLOCK_CTRL, KVM_SET_TSC_KHZ; and
 * Documentation/virt/kvm/devices/vcpu.rst: KVM_VCPU_TSC_CTRL.
 *
 * A vCPU's TSC is the host's plus an offset, and KVM has no means to stop it. So the time of the
 * stop is noted, and when time goes on every offset is lowered by what the host's TSC counted
 * meanwhile. All vCPUs are lowered by one number: they stay exactly in step, without which KVM
 * would give up its stable clock. While time stands still, reads and writes of TSC, clock and
 * timers by register set are in guest time: as if all had stopped at once. Timers are armed anew as
 * time goes on; those of the kernel ran out early at most, which is forgotten then.
 *
 * Where KVM_VCPU_TSC_OFFSET does not work (before Linux 5.16, unstable TSC) the counters are read,
 * and written back within the second in which KVM takes equal values as meaning "in step".
 */
#include "kvm.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <time.h>
#include <x86intrin.h>

#define LAPIC_LVT_TIMER 0x320u
#define LAPIC_TIMER_COUNT 0x390u
#define LVT_TIMER_DEADLINE (1u << 18) /* bits 18:17 are 10b (SDM 3A, figure 10-8) */
#define KHZ_TOLERANCE_PPM 250u        /* what KVM itself takes for equal */

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t time_host_ns(const struct vm *vm)
{
    return vm->time.stopped ? vm->time.host_ns : monotonic_ns();
}

/* ---- the TSC of one vCPU -------------------------------------------------------------------- */

static int offset_get(const struct vcpu *v, uint64_t *offset)
{
    struct kvm_device_attr attr = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};

    return ioctl(v->fd, KVM_GET_DEVICE_ATTR, &attr) == 0 ? 0 : -errno;
}

static int offset_set(const struct vcpu *v, uint64_t offset)
{
    struct kvm_device_attr attr = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset};

    return ioctl(v->fd, KVM_SET_DEVICE_ATTR, &attr) == 0 ? 0 : -errno;
}

/* A KVM without hardware below it takes an offset, and drops it: its guests see the host's TSC.
 * Where that is marked unstable KVM computes the offset anew at every turn. */
static bool offset_sticks(const struct vcpu *v)
{
    const uint64_t test = UINT64_C(1) << 40;
    uint64_t got = 0;

    return offset_set(v, test) == 0 && offset_get(v, &got) == 0 && got == test;
}

/* Ticks of the host's TSC in those of the vCPU's. */
static uint64_t guest_ticks(const struct vcpu *v, uint64_t host_ticks)
{
    if (v->tsc_khz == v->vm->host_tsc_khz || !v->vm->host_tsc_khz)
        return host_ticks;
    return (uint64_t)((unsigned __int128)host_ticks * v->tsc_khz / v->vm->host_tsc_khz);
}

void tsc_created(struct vcpu *v)
{
    struct vm *vm = v->vm;
    int khz = ioctl(v->fd, KVM_GET_TSC_KHZ, 0);

    v->tsc_khz = khz > 0 ? (uint64_t)khz : 0;
    pthread_mutex_lock(&vm->lock);
    if (!vm->host_tsc_khz) {
        vm->host_tsc_khz = v->tsc_khz;
        vm->has_tsc_offset = offset_get(v, &vm->tsc_offset) == 0 && offset_sticks(v);
    }
    /* KVM gives every vCPU the offset of the first, unless the host's TSC is marked unstable. */
    if (vm->has_tsc_offset)
        offset_set(v, vm->tsc_offset);
    pthread_mutex_unlock(&vm->lock);
}

void tsc_reset(struct vcpu *v)
{
    struct vm *vm = v->vm;
    uint64_t offset;

    pthread_mutex_lock(&vm->lock);
    offset = vm->tsc_offset;
    pthread_mutex_unlock(&vm->lock);
    if (vm->has_tsc_offset)
        offset_set(v, offset);
    else
        msr_write(v, MSR_TSC, 0); /* KVM takes it for "as the others have it" */
}

int tsc_read(struct vcpu *v, uint64_t *value)
{
    struct vm *vm = v->vm;
    int err;

    if (vm->time.stopped && !vm->has_tsc_offset) {
        *value = v->stopped_tsc;
        return 0;
    }
    if (vm->time.stopped && v->tsc_khz == vm->host_tsc_khz) {
        uint64_t offset;

        err = offset_get(v, &offset);
        *value = vm->time.host_tsc + offset;
        return err;
    }
    err = msr_read(v, MSR_TSC, value);
    if (!err && vm->time.stopped)
        *value -= guest_ticks(v, __rdtsc() - vm->time.host_tsc);
    return err;
}

/* While time stands still, vCPUs that are given one value get one offset. */
static int tsc_write_stopped(struct vcpu *v, uint64_t value)
{
    struct vm *vm = v->vm;
    uint64_t offset, now;
    int err = 0;

    pthread_mutex_lock(&vm->lock);
    if (v->tsc_khz == vm->host_tsc_khz) {
        offset = value - vm->time.host_tsc;
    } else if (vm->tsc_was_written && vm->tsc_written == value) {
        offset = vm->tsc_written_offset;
    } else {
        err = tsc_read(v, &now);
        err = err ? err : offset_get(v, &offset);
        if (!err)
            offset += value - now;
    }
    if (!err) {
        vm->tsc_was_written = true;
        vm->tsc_written = value;
        vm->tsc_written_offset = offset;
        err = offset_set(v, offset);
    }
    pthread_mutex_unlock(&vm->lock);
    return err;
}

int tsc_write(struct vcpu *v, uint64_t value)
{
    if (!v->vm->time.stopped)
        return msr_write(v, MSR_TSC, value);
    if (v->vm->has_tsc_offset)
        return tsc_write_stopped(v, value);
    v->stopped_tsc = value;
    return 0;
}

/* ---- stopping and going on ------------------------------------------------------------------ */

static void stop_vcpu(struct vcpu *v)
{
    struct kvm_lapic_state lapic;

    if (!v->vm->has_tsc_offset)
        msr_read(v, MSR_TSC, &v->stopped_tsc);
    v->stopped_count = 0;
    v->stopped_deadline = 0;
    if (ioctl(v->fd, KVM_GET_LAPIC, &lapic) == 0)
        v->stopped_count = bp_le32(lapic.regs + LAPIC_TIMER_COUNT);
    msr_read(v, MSR_TSC_DEADLINE, &v->stopped_deadline);
}

static void start_vcpu(struct vcpu *v, uint64_t host_ticks)
{
    struct kvm_lapic_state lapic;
    uint64_t offset;

    if (!v->vm->has_tsc_offset)
        msr_write(v, MSR_TSC, v->stopped_tsc);
    else if (offset_get(v, &offset) == 0)
        offset_set(v, offset - guest_ticks(v, host_ticks));
    if (ioctl(v->fd, KVM_GET_LAPIC, &lapic) != 0)
        return;
    if (bp_le32(lapic.regs + LAPIC_LVT_TIMER) & LVT_TIMER_DEADLINE) {
        if (v->stopped_deadline)
            msr_write(v, MSR_TSC_DEADLINE, v->stopped_deadline);
    } else if (v->stopped_count) {
        bp_put_le32(lapic.regs + LAPIC_TIMER_COUNT, v->stopped_count);
        ioctl(v->fd, KVM_SET_LAPIC, &lapic);
    }
    /* Has the guest's watchdogs forgive the pause. EINVAL where it does not use KVM's clock. */
    ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
}

static void time_stop(struct vm *vm)
{
    struct kvm_clock_data clock = {0};

    if (ioctl(vm->fd, KVM_GET_CLOCK, &clock) != 0)
        bp_logf(vm->host, vm->node, BP_LOG_WARN, "KVM_GET_CLOCK failed: %m");
    vm->time.host_tsc = clock.flags & KVM_CLOCK_HOST_TSC ? clock.host_tsc : __rdtsc();
    vm->time.clock_ns = clock.clock;
    vm->time.host_ns = monotonic_ns();
    vm->tsc_was_written = false;
    pthread_mutex_lock(&vm->lock);
    for (uint32_t i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpus[i])
            stop_vcpu(vm->vcpus[i]);
    pthread_mutex_unlock(&vm->lock);
    vm->time.stopped = true;
}

static void time_start(struct vm *vm)
{
    struct kvm_clock_data clock = {.clock = vm->time.clock_ns};
    uint64_t host_ticks = __rdtsc() - vm->time.host_tsc;

    pthread_mutex_lock(&vm->lock);
    vm->tsc_offset -= host_ticks;
    for (uint32_t i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpus[i])
            start_vcpu(vm->vcpus[i], host_ticks);
    pthread_mutex_unlock(&vm->lock);
    vm->time.stopped = false;
    if (ioctl(vm->fd, KVM_SET_CLOCK, &clock) != 0)
        bp_logf(vm->host, vm->node, BP_LOG_WARN, "KVM_SET_CLOCK failed: %m");
    /* Or it would deliver every tick of the pause now. */
    pit_restart(vm);
}

void vm_time(void *self, uint32_t runs)
{
    struct vm *vm = self;

    if (runs == BP_TIME_STOPPED && !vm->time.stopped)
        time_stop(vm);
    else if (runs == BP_TIME_RUNS && vm->time.stopped)
        time_start(vm);
}

/* ---- x86.clock/1 ---------------------------------------------------------------------------- */

int clock_get(struct vm *vm, void *state)
{
    struct bp_x86_clock *to = state;
    struct kvm_clock_data clock = {0};
    int err = 0;

    if (vm->time.stopped)
        to->paravirtual_ns = vm->time.clock_ns;
    else if (ioctl(vm->fd, KVM_GET_CLOCK, &clock) == 0)
        to->paravirtual_ns = clock.clock;
    else
        return bp_failf(vm->host, vm->node, -errno, "KVM_GET_CLOCK failed: %m");
    if (vm->vcpus[0]) {
        to->tsc_hz = vm->vcpus[0]->tsc_khz * 1000;
        err = tsc_read(vm->vcpus[0], &to->tsc);
    }
    return err ? bp_failf(vm->host, vm->node, err, "the time stamp counter cannot be read") : 0;
}

/* Guests have measured their TSC: on another host it must run at the old rate. */
static void set_frequency(struct vm *vm, uint64_t hz)
{
    uint64_t khz = hz / 1000, now = vm->vcpus[0]->tsc_khz;
    uint64_t apart = khz > now ? khz - now : now - khz;
    bool done = vm->has_tsc_control;

    if (!khz || apart * 1000000 <= now * KHZ_TOLERANCE_PPM)
        return;
    for (uint32_t i = 0; i < vm->vcpu_count && done; i++) {
        if (vm->vcpus[i]) {
            done = ioctl(vm->vcpus[i]->fd, KVM_SET_TSC_KHZ, (unsigned long)khz) == 0;
            vm->vcpus[i]->tsc_khz = done ? khz : vm->vcpus[i]->tsc_khz;
        }
    }
    if (!done) {
        bp_logf(
            vm->host, vm->node, BP_LOG_WARN,
            "the guest's TSC ran at %llu kHz and this host's, which it cannot scale, at %llu kHz: "
            "guests that keep time by the TSC alone will drift",
            (unsigned long long)khz, (unsigned long long)now);
    }
}

/* Moves all counters by what the boot processor's is off, so that they keep their distances. */
static int set_counters(struct vm *vm, uint64_t value)
{
    uint64_t now, offset, by;
    int err = tsc_read(vm->vcpus[0], &now);

    if (err)
        return err;
    by = value - now;
    for (uint32_t i = 0; i < vm->vcpu_count && by != 0 && !err; i++) {
        struct vcpu *v = vm->vcpus[i];

        if (!v)
            continue;
        if (vm->has_tsc_offset) {
            err = offset_get(v, &offset);
            err = err ? err : offset_set(v, offset + by);
        } else {
            err = tsc_read(v, &now);
            err = err ? err : tsc_write(v, now + by);
        }
    }
    return err;
}

int clock_set(struct vm *vm, const void *state)
{
    const struct bp_x86_clock *from = state;
    struct kvm_clock_data clock = {.clock = from->paravirtual_ns};
    int err = 0;

    if (vm->vcpus[0]) {
        set_frequency(vm, from->tsc_hz);
        err = set_counters(vm, from->tsc);
    }
    if (err)
        return bp_failf(vm->host, vm->node, err, "the time stamp counters cannot be set");
    if (vm->time.stopped)
        vm->time.clock_ns = from->paravirtual_ns;
    else if (ioctl(vm->fd, KVM_SET_CLOCK, &clock) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_SET_CLOCK failed: %m");
    return 0;
}
