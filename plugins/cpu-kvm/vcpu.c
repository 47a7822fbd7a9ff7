/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/vcpu.c - a vCPU: its life, the loop around KVM_RUN, and how it is interrupted.
 *
 * After api.rst: KVM_RUN, KVM_SET_SIGNAL_MASK and chapter 5, the kvm_run structure.
 *
 * Kicks. run->immediate_exit is the kick itself, not a copy of one: vcpu_kick() sets it, and only
 * vcpu_run() clears it, when it is about to return BP_STOP_KICKED. While it is set KVM_RUN gives
 * EINTR before it enters the guest, but after it has finished the instruction whose PIO or MMIO was
 * just answered. So a kick before the run is not lost, costs the loop nothing, and the state after
 * a kick is that between two instructions.
 *
 * A vCPU that is in the guest, or in HLT, does not look at the flag: a signal gets it out. The
 * signal is blocked in the vCPU's thread and let in by KVM_SET_SIGNAL_MASK for the time of KVM_RUN
 * only, which returns EINTR with the signal still pending. It is never delivered, so there is no
 * handler to share with the program around us, and its default action never happens: the kernel
 * holds the thread's own mask in real_blocked meanwhile. It is then taken by sigtimedwait().
 *
 * The thread keeps it blocked when its vCPU is destroyed.
 *
 * It is SIGRTMIN: unlike SIGUSR1 nothing else sends it to a whole process, where we would steal it.
 * As real-time signals queue, only the kick that changes the flag from 0 to 1 sends one.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_SIGSET_BYTES 8u /* the kernel's sigset_t, smaller than the C library's */

/* ---- kicks ---------------------------------------------------------------------------------- */

int kick_signal(void)
{
    return SIGRTMIN;
}

int kick_let_in(int fd)
{
    union {
        struct kvm_signal_mask mask;
        uint8_t bytes[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_BYTES];
    } arg;
    sigset_t now;
    int err = pthread_sigmask(SIG_SETMASK, NULL, &now);

    if (err)
        return -err;
    sigdelset(&now, kick_signal());
    arg.mask.len = KERNEL_SIGSET_BYTES;
    memcpy(arg.mask.sigset, &now, KERNEL_SIGSET_BYTES);
    return ioctl(fd, KVM_SET_SIGNAL_MASK, &arg) == 0 ? 0 : -errno;
}

void kick_drain(void)
{
    const struct timespec at_once = {0};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, kick_signal());
    while (sigtimedwait(&set, NULL, &at_once) > 0 || errno == EINTR) {
    }
}

void vcpu_kick(void *self)
{
    struct vcpu *v = self;

    if (__atomic_exchange_n(&v->run->immediate_exit, EXIT_KICK, __ATOMIC_SEQ_CST) == 0)
        pthread_kill(v->thread, kick_signal());
}

/* After EINTR: was it a kick? A signal that arrives after its flag was taken ends one more KVM_RUN,
 * finds no flag, and is dropped here. */
static bool vcpu_kicked(struct vcpu *v)
{
    kick_drain();
    return __atomic_exchange_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST) != 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* For good: a kick may be on its way when the vCPU goes, and another vCPU may live on this thread.
 */
static int block_kick_signal(void)
{
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, kick_signal());
    return -pthread_sigmask(SIG_BLOCK, &kick, NULL);
}

int vcpu_create(void *vm_self, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self)
{
    struct vm *vm = vm_self;
    struct vcpu *v;
    int err;

    if (index >= vm->vcpu_count) {
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "vCPU %u is not below %u, the machine's number", index, vm->vcpu_count);
    }
    v = calloc(1, sizeof(*v));
    if (!v)
        return bp_failf(vm->host, vm->node, -ENOMEM, "out of memory");
    v->vm = vm;
    v->index = index;
    v->handle = handle;
    v->bus = bus;
    v->thread = pthread_self();
    v->run = MAP_FAILED;
    do {
        v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
    } while (v->fd < 0 && errno == EINTR);
    if (v->fd < 0) {
        err = bp_failf(vm->host, vm->node, -errno, "vCPU %u cannot be created: %m", index);
        goto fail;
    }
    v->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) {
        err = bp_failf(vm->host, vm->node, -errno, "vCPU %u cannot be mapped: %m", index);
        goto fail;
    }
    err = posted_open(vm, v->fd);
    if (err)
        goto fail;
    err = block_kick_signal();
    if (!err)
        err = kick_let_in(v->fd);
    if (err) {
        errno = -err;
        err = bp_failf(vm->host, vm->node, err, "vCPU %u cannot be made interruptible: %m", index);
        goto fail;
    }
    tsc_created(v);
    err = reset_capture(v);
    if (err)
        goto fail;
    pthread_mutex_lock(&vm->lock);
    vm->vcpus[index] = v;
    pthread_mutex_unlock(&vm->lock);
    *self = v;
    return 0;

fail:
    vcpu_destroy(v);
    return err;
}

void vcpu_destroy(void *self)
{
    struct vcpu *v = self;
    struct vm *vm = v->vm;

    pthread_mutex_lock(&vm->lock);
    if (vm->vcpus[v->index] == v)
        vm->vcpus[v->index] = NULL;
    pthread_mutex_unlock(&vm->lock);
    if (v->run != MAP_FAILED)
        munmap(v->run, vm->run_bytes);
    if (v->fd >= 0)
        close(v->fd);
    free(v->reset);
    free(v);
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* The exit's buffers are read and written at full width and masked. Both lie well inside the shared
 * pages. */
/* INS and OUTS with REP: `count` elements, one after the other. */
static void exit_io_string(struct vcpu *v, uint8_t *data)
{
    const struct kvm_run *run = v->run;
    uint32_t width = run->io.size;

    for (uint32_t i = 0; i < run->io.count; i++, data += width) {
        uint32_t value = 0;

        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, width);
            v->bus->pio_write(v->handle, run->io.port, value, width);
        } else {
            value = v->bus->pio_read(v->handle, run->io.port, width);
            memcpy(data, &value, width);
        }
    }
}

static inline void exit_io(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    uint32_t width = run->io.size;
    uint32_t value;

    if (__builtin_expect(run->io.count != 1, 0)) {
        exit_io_string(v, data);
    } else if (run->io.direction == KVM_EXIT_IO_OUT) {
        memcpy(&value, data, sizeof(value));
        v->bus->pio_write(v->handle, run->io.port, value & (uint32_t)low_bytes(width), width);
    } else {
        value = v->bus->pio_read(v->handle, run->io.port, width);
        memcpy(data, &value, sizeof(value));
    }
}

static inline void exit_mmio(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    uint32_t width = run->mmio.len;
    uint64_t value;

    if (run->mmio.is_write) {
        memcpy(&value, run->mmio.data, sizeof(value));
        v->bus->mmio_write(v->handle, run->mmio.phys_addr, value & low_bytes(width), width);
    } else {
        value = v->bus->mmio_read(v->handle, run->mmio.phys_addr, width);
        memcpy(run->mmio.data, &value, sizeof(value));
    }
}

/* A request of the guest through a hypercall interface; the machine answers it by a kick. */
static void exit_system_event(struct vcpu *v)
{
    struct vm *vm = v->vm;
    uint32_t type = v->run->system_event.type;

    switch (type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        vm->host->request(vm->node, BP_REQUEST_POWER_OFF, 0);
        break;
    case KVM_SYSTEM_EVENT_RESET:
        vm->host->request(vm->node, BP_REQUEST_RESET, 0);
        break;
    case KVM_SYSTEM_EVENT_CRASH:
        vm->host->request(vm->node, BP_REQUEST_PANIC, 0);
        break;
    default:
        bp_logf(vm->host, vm->node, BP_LOG_WARN | BP_LOG_GUEST,
                "vCPU %u: KVM_EXIT_SYSTEM_EVENT of unknown type %u is ignored", v->index, type);
        break;
    }
}

int vcpu_run(void *self)
{
    struct vcpu *v = self;
    struct kvm_run *run = v->run;
    int fd = v->fd;

    v->touched = true;
    if (__builtin_expect(debug_waits(v), 0)) {
        int err = debug_begin(v);

        if (err)
            return err;
    }
    for (;;) {
        int err = ioctl(fd, KVM_RUN, 0) == 0 ? 0 : errno;

        posted_take(v);
        if (__builtin_expect(err, 0)) {
            /* EAGAIN: INIT or SIPI came to a vCPU that waited for it. */
            if (err != EINTR && err != EAGAIN)
                return report_stopped(v, err);
            if (debug_written(v))
                return BP_STOP_DEBUG;
            if (vcpu_kicked(v))
                return BP_STOP_KICKED;
            continue;
        }
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            exit_io(v);
            if (__builtin_expect(v->debug.flags & BP_DEBUG_STEP, 0) &&
                run->io.direction == KVM_EXIT_IO_OUT)
                debug_write(v);
            break;
        case KVM_EXIT_MMIO:
            exit_mmio(v);
            if (__builtin_expect(v->debug.flags & BP_DEBUG_STEP, 0) && run->mmio.is_write)
                debug_write(v);
            break;
        case KVM_EXIT_SHUTDOWN:
            return BP_STOP_TRIPLE_FAULT;
        case KVM_EXIT_DEBUG:
            return debug_stopped(v);
        case KVM_EXIT_SYSTEM_EVENT:
            exit_system_event(v);
            break;
        case KVM_EXIT_INTR:
        case KVM_EXIT_IRQ_WINDOW_OPEN:
            break;
        default:
            /* KVM_EXIT_HLT too: with local APICs in the kernel HLT waits there. */
            return report_stopped(v, 0);
        }
    }
}

static_assert(sizeof(((struct kvm_run *)0)->mmio.data) == 8, "read and written as one uint64_t");
