/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/vcpu.c - a vCPU: its life, the loop around hv_vcpu_run(), its events.
 *
 * Intel SDM 3C, 26.6 (injection), 27.2.4 (an event whose delivery exited is to be injected again);
 * SDM 3A, 8.4 (INIT, SIPI), 9.1 (power-on state).
 *
 * Kicks. Whoever wants the vCPU's attention makes that known first, in `kicked` or in the local
 * APIC, and then calls hv_vcpu_interrupt(), which ends hv_vcpu_run(), or the next one if none runs.
 * So nothing is lost between the loop's look and the entry.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <shared/condition.h>
#include <stdlib.h>
#include <string.h>

/* ---- attention ------------------------------------------------------------------------------ */

void vcpu_kick(void *self)
{
    struct vcpu *v = self;

    __atomic_store_n(&v->kicked, 1, __ATOMIC_SEQ_CST);
    hv_vcpu_interrupt(&v->id, 1);
    timer_wake(v);
}

/* The vCPU's own thread looks before it enters the guest again. */
static void attention(void *context)
{
    struct vcpu *v = context;

    if (pthread_equal(v->thread, pthread_self()))
        return;
    hv_vcpu_interrupt(&v->id, 1);
    timer_wake(v);
}

static uint64_t chip_tsc(void *context)
{
    const struct vcpu *v = context;

    return vm_tsc(v->vm) + (uint64_t)__atomic_load_n(&v->tsc_delta, __ATOMIC_RELAXED);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int attach(struct vcpu *v)
{
    struct vm *vm = v->vm;
    const struct bp_irqchip_vcpu user = {.size = sizeof(user),
                                         .context = v,
                                         .attention = attention,
                                         .tsc = chip_tsc,
                                         .tsc_hz = vm->tsc_hz};
    const struct bp_peer *chip =
        vm->host->extension ? vm->host->extension(vm->node, BP_IRQCHIP_ID) : NULL;
    int err;

    if (!chip)
        return 0;
    v->view.size = sizeof(v->view);
    v->chip = chip->ops;
    v->chip_self = chip->self;
    err = v->chip->attach(v->chip_self, v->index, &user, &v->view);
    if (err) {
        v->chip = NULL;
        return bp_failf(vm->host, vm->node, err, "vCPU %u gets no local APIC: %s", v->index,
                        strerror(-err));
    }
    vm->chip = chip;
    return 0;
}

static void unmake(struct vcpu *v)
{
    if (v->chip)
        v->chip->detach(v->chip_self, v->index);
    hv_vcpu_destroy(v->id);
    pthread_cond_destroy(&v->woken);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

int vcpu_create(void *vm_self, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self)
{
    struct vm *vm = vm_self;
    hv_return_t result;
    struct vcpu *v;
    char room[32];
    int err;

    if (index >= vm->vcpu_count)
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "vCPU %u is not below %u, the machine's number", index, vm->vcpu_count);
    v = calloc(1, sizeof(*v));
    if (!v)
        return bp_failf(vm->host, vm->node, -ENOMEM, "out of memory");
    v->vm = vm;
    v->index = index;
    v->handle = handle;
    v->bus = bus;
    v->thread = pthread_self();
    result = hv_vcpu_create(&v->id, HV_VCPU_DEFAULT);
    if (result != HV_SUCCESS) {
        free(v);
        return bp_failf(vm->host, vm->node, -EIO, "vCPU %u cannot be created: %s", index,
                        hvf_error(result, room, sizeof(room)));
    }
    pthread_mutex_init(&v->lock, NULL);
    condition_init(&v->woken);
    err = vmcs_init(v);
    if (!err)
        err = attach(v);
    if (err) {
        unmake(v);
        return err;
    }
    vcpu_reset(v);
    pthread_mutex_lock(&vm->alarm.lock);
    vm->vcpus[index] = v;
    pthread_mutex_unlock(&vm->alarm.lock);
    *self = v;
    return 0;
}

void vcpu_destroy(void *self)
{
    struct vcpu *v = self;

    pthread_mutex_lock(&v->vm->alarm.lock);
    v->vm->vcpus[v->index] = NULL;
    pthread_mutex_unlock(&v->vm->alarm.lock);
    unmake(v);
}

/* ---- reset ---------------------------------------------------------------------------------- */

static void segment_put(struct vcpu *v, uint32_t seg, uint16_t selector, uint64_t base,
                        uint32_t rights)
{
    field_write(v, VMX_ES_SELECTOR + 2 * seg, selector);
    field_write(v, VMX_ES_BASE + 2 * seg, base);
    field_write(v, VMX_ES_LIMIT + 2 * seg, 0xffff);
    field_write(v, VMX_ES_RIGHTS + 2 * seg, rights);
}

/* The FPU's initial state, as FXSAVE has it. */
static void fpu_put_initial(struct vcpu *v)
{
    uint8_t area[4096] __attribute__((aligned(64))) = {
        [0] = 0x40, [4] = 0xff, [24] = 0x80, [25] = 0x1f, [512] = 3};

    hv_vcpu_write_fpstate(v->id, area, sizeof(area));
}

static void reset_msrs(struct vcpu *v)
{
    static const uint32_t native[] = {0xc0000081, 0xc0000082, 0xc0000083,
                                      0xc0000084, 0xc0000102, 0xc0000103};

    for (uint32_t i = 0; i < sizeof(native) / sizeof(native[0]); i++)
        hv_vcpu_write_msr(v->id, native[i], 0);
    msr_reset(v);
    field_write(v, VMX_SYSENTER_CS, 0);
    field_write(v, VMX_SYSENTER_ESP, 0);
    field_write(v, VMX_SYSENTER_EIP, 0);
    field_write(v, VMX_DEBUGCTL, 0);
    reg_write(v, HV_X86_XCR0, 1);
    fpu_put_initial(v);
}

static uint32_t signature(const struct vcpu *v)
{
    for (uint32_t i = 0; i < v->cpuid.count; i++)
        if (v->cpuid.leaves[i].leaf == 1)
            return v->cpuid.leaves[i].eax;
    return 0;
}

void vcpu_set_reset(struct vcpu *v, bool init)
{
    uint64_t kept = init ? cr0_read(v) & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW;

    for (uint32_t i = 0; i < 16; i++)
        gpr_write(v, i, 0);
    gpr_write(v, GPR_RDX, signature(v));
    field_write(v, VMX_RIP, 0xfff0);
    field_write(v, VMX_RFLAGS, 2);
    for (uint32_t i = 0; i < SEG_LDT; i++)
        segment_put(v, i, 0, 0, 0x93);
    segment_put(v, SEG_CS, 0xf000, 0xffff0000, 0x9b);
    segment_put(v, SEG_LDT, 0, 0, 0x82);
    segment_put(v, SEG_TR, 0, 0, 0x8b);
    field_write(v, VMX_GDTR_BASE, 0);
    field_write(v, VMX_GDTR_LIMIT, 0xffff);
    field_write(v, VMX_IDTR_BASE, 0);
    field_write(v, VMX_IDTR_LIMIT, 0xffff);
    efer_put(v, 0);
    cr0_put(v, CR0_ET | kept);
    cr4_put(v, 0);
    field_write(v, VMX_CR3, 0);
    reg_write(v, HV_X86_CR2, 0);
    for (uint32_t i = 0; i < 4; i++)
        dr_write(v, i, 0);
    dr_write(v, 6, 0xffff0ff0);
    dr_write(v, 7, 0x400);
    field_write(v, VMX_INTERRUPTIBILITY, 0);
    field_write(v, VMX_PENDING_DEBUG, 0);
    field_write(v, VMX_ACTIVITY, 0);
    v->inject = (struct injection){0};
    v->halted = v->shutdown = false;
    if (!init)
        reset_msrs(v);
}

int vcpu_reset(void *self)
{
    struct vcpu *v = self;

    vcpu_set_reset(v, false);
    v->mp_state = v->index ? BP_X86_MP_WAIT_INIT : BP_X86_MP_RUNNABLE;
    v->apic_base = 0xfee00800 | (v->index == 0 ? 0x100 : 0);
    v->tsc_delta = 0;
    return 0;
}

/* ---- events --------------------------------------------------------------------------------- */

static uint32_t pending(const struct vcpu *v)
{
    return v->chip ? __atomic_load_n(v->view.pending, __ATOMIC_SEQ_CST) : 0;
}

/* An INIT or SIPI for this processor. */
static void take_startup(struct vcpu *v, uint32_t waiting)
{
    uint32_t vector = 0, got;

    if (waiting & BP_IRQCHIP_INIT) {
        v->chip->take(v->chip_self, v->index, BP_IRQCHIP_INIT, NULL);
        v->chip->reset(v->chip_self, v->index, BP_IRQCHIP_RESET_INIT);
        vcpu_set_reset(v, true);
        v->mp_state = v->index ? BP_X86_MP_WAIT_SIPI : BP_X86_MP_RUNNABLE;
    }
    got = v->chip->take(v->chip_self, v->index, BP_IRQCHIP_SIPI, &vector);
    if (got && v->mp_state == BP_X86_MP_WAIT_SIPI) {
        field_write(v, VMX_CS_SELECTOR, (uint64_t)vector << 8);
        field_write(v, VMX_ES_BASE + 2 * SEG_CS, (uint64_t)vector << 12);
        field_write(v, VMX_RIP, 0);
        v->mp_state = BP_X86_MP_RUNNABLE;
    }
}

static void expire_timer(struct vcpu *v)
{
    uint64_t deadline =
        v->chip ? __atomic_load_n(v->view.deadline_ns, __ATOMIC_RELAXED) : UINT64_MAX;

    if (deadline != UINT64_MAX && deadline <= v->vm->host->clock_ns(v->vm->node)) {
        v->chip->expire(v->chip_self, v->index);
        timer_deadline_changed(v);
    }
}

/* Chooses the event for the next entry, and asks for windows for what cannot be taken now. */
static void take_events(struct vcpu *v)
{
    uint32_t waiting = debug_holds(v) ? 0 : pending(v);
    bool nmi = waiting & BP_IRQCHIP_NMI, interrupt = waiting & BP_IRQCHIP_INTR;

    if (nmi || interrupt) {
        uint64_t blocked = field_read(v, VMX_INTERRUPTIBILITY);
        bool takes = !v->inject.info && !(blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));

        if (nmi && takes && !(blocked & BLOCKED_BY_NMI)) {
            v->chip->take(v->chip_self, v->index, BP_IRQCHIP_NMI, NULL);
            v->inject.info = 2 | INTERRUPTION_NMI | INTERRUPTION_VALID;
            v->halted = nmi = false;
        } else if (interrupt && takes && field_read(v, VMX_RFLAGS) & RFLAGS_IF) {
            int32_t vector = v->chip->acknowledge(v->chip_self, v->index);

            if (vector >= 0) {
                v->inject.info = (uint32_t)vector | INTERRUPTION_EXTERNAL | INTERRUPTION_VALID;
                v->halted = false;
            }
            interrupt = pending(v) & BP_IRQCHIP_INTR;
        }
    }
    vmcs_proc_set(v, PROC_NMI_WINDOW, nmi);
    vmcs_proc_set(v, PROC_INTERRUPT_WINDOW, interrupt);
}

static void write_injection(struct vcpu *v)
{
    if (!v->inject.info)
        return;
    field_write(v, VMX_ENTRY_INTERRUPTION, v->inject.info);
    if (v->inject.info & INTERRUPTION_HAS_ERROR)
        field_write(v, VMX_ENTRY_ERROR_CODE, v->inject.error);
    if ((v->inject.info & INTERRUPTION_TYPE) >= INTERRUPTION_SOFTWARE)
        field_write(v, VMX_ENTRY_LENGTH, v->inject.length);
    v->inject = (struct injection){0};
}

/* An event whose delivery ended by the exit is to be delivered again. */
static void take_back(struct vcpu *v)
{
    uint32_t info = (uint32_t)field_read(v, VMX_IDT_VECTORING);

    if (!(info & INTERRUPTION_VALID))
        return;
    v->inject.info = info & ~INTERRUPTION_NMI_UNBLOCKED;
    v->inject.error = (uint32_t)field_read(v, VMX_IDT_ERROR_CODE);
    v->inject.length = (uint32_t)field_read(v, VMX_EXIT_LENGTH);
    if ((info & INTERRUPTION_TYPE) == INTERRUPTION_NMI)
        field_write(v, VMX_INTERRUPTIBILITY,
                    field_read(v, VMX_INTERRUPTIBILITY) & ~(uint64_t)BLOCKED_BY_NMI);
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* What ends the sleep of a vCPU that runs no guest code now. */
static uint32_t wakes(const struct vcpu *v)
{
    uint32_t bits = BP_IRQCHIP_INIT | BP_IRQCHIP_SIPI;

    if (debug_holds(v))
        return bits;
    if (v->mp_state != BP_X86_MP_RUNNABLE)
        return bits;
    if (!(field_read(v, VMX_INTERRUPTIBILITY) & BLOCKED_BY_NMI))
        bits |= BP_IRQCHIP_NMI;
    return field_read(v, VMX_RFLAGS) & RFLAGS_IF ? bits | BP_IRQCHIP_INTR : bits;
}

/* Once into the guest and out again. */
static int enter(struct vcpu *v)
{
    hv_return_t result;
    char room[32];

    write_injection(v);
    result = hv_vcpu_run(v->id);
    if (result != HV_SUCCESS)
        return bp_failf(v->vm->host, v->vm->node, -EIO, "vCPU %u cannot run: %s", v->index,
                        hvf_error(result, room, sizeof(room)));
    take_back(v);
    return exit_handle(v);
}

int vcpu_run(void *self)
{
    struct vcpu *v = self;
    int stop;

    debug_begin(v);
    field_write(v, VMX_TSC_OFFSET,
                __atomic_load_n(&v->vm->tsc_offset, __ATOMIC_RELAXED) + (uint64_t)v->tsc_delta);
    for (;;) {
        uint32_t waiting;

        if (__atomic_exchange_n(&v->kicked, 0, __ATOMIC_SEQ_CST))
            return BP_STOP_KICKED;
        if (v->shutdown)
            return BP_STOP_TRIPLE_FAULT;
        expire_timer(v);
        waiting = pending(v);
        if (waiting & (BP_IRQCHIP_INIT | BP_IRQCHIP_SIPI))
            take_startup(v, waiting);
        if (v->mp_state == BP_X86_MP_RUNNABLE)
            take_events(v);
        if (v->inject.info)
            v->halted = false;
        if (v->halted || v->mp_state != BP_X86_MP_RUNNABLE) {
            timer_sleep(v, wakes(v));
            continue;
        }
        stop = enter(v);
        if (stop)
            return stop < 0 ? stop : stop - 1;
        if (debug_stops(v))
            return BP_STOP_DEBUG;
    }
}
