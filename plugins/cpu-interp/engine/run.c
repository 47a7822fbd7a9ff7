/* SPDX-License-Identifier: MIT
 *
 * run.c - the run loop of one vCPU, and its life.
 *
 * Between two blocks everything is looked at that a processor looks at between two instructions
 * (SDM 3, 6.9, table 6-2): debug traps, NMI, interrupts, instruction breakpoints. It costs nothing
 * while nothing waits: all that can wait sets a bit in cpu.pend, or ended the block to come here.
 */
#include "engine.h"

#include "block/cache.h"
#include "coverage.h"
#include "decode/build.h"
#include "fpu/mxcsr.h"
#include "mmu/tlb.h"
#include "ops/flags.h"
#include "remote.h"
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* DR6 and DR7 (SDM 3, 17.2). */
#define DR6_BS 0x4000u
#define DR7_ENABLED 0xffu

/* ---- events --------------------------------------------------------------------------------- */

static void raise_event(struct cpu *c, uint8_t vector, bool external)
{
    c->event = (struct event){.vector = vector, .external = external};
    event_deliver(c);
}

/* An INIT or SIPI for this processor (SDM 3, 8.4.3). */
static void take_startup(struct cpu *c, uint32_t pending)
{
    uint32_t vector = 0, got;

    if (pending & BP_IRQCHIP_INIT) {
        c->chip->take(c->chip_self, c->index, BP_IRQCHIP_INIT, NULL);
        c->chip->reset(c->chip_self, c->index, BP_IRQCHIP_RESET_INIT);
        cpu_reset(c, true);
        c->mp_state = c->index ? BP_X86_MP_WAIT_SIPI : BP_X86_MP_RUNNABLE;
    }
    got = c->chip->take(c->chip_self, c->index, BP_IRQCHIP_SIPI, &vector);
    if (got && c->mp_state == BP_X86_MP_WAIT_SIPI) {
        c->seg[SEG_CS].selector = (uint16_t)(vector << 8);
        c->seg[SEG_CS].base = (uint64_t)vector << 12;
        c->rip = 0;
        c->mp_state = BP_X86_MP_RUNNABLE;
        cpu_mode_changed(c);
    }
}

/* What the interrupt controller has for this processor now. True if something was delivered. */
static bool take_interrupts(struct cpu *c)
{
    uint32_t pending = __atomic_load_n(c->chip_view.pending, __ATOMIC_ACQUIRE);

    if (!pending)
        return false;
    if (pending & (BP_IRQCHIP_INIT | BP_IRQCHIP_SIPI))
        take_startup(c, pending);
    if (c->mp_state != BP_X86_MP_RUNNABLE)
        return false;
    if (c->debug.request.flags & BP_DEBUG_HOLD)
        return false;
    if (pending & BP_IRQCHIP_NMI && !c->nmi_masked && !(c->shadow & 2)) {
        c->chip->take(c->chip_self, c->index, BP_IRQCHIP_NMI, NULL);
        c->halted = 0;
        c->nmi_masked = 1;
        raise_event(c, EXC_NMI, true);
        return true;
    }
    if (pending & BP_IRQCHIP_INTR && c->rflags & FLAG_IF && !c->shadow) {
        int32_t vector = c->chip->acknowledge(c->chip_self, c->index);
        if (vector >= 0) {
            c->halted = 0;
            raise_event(c, (uint8_t)vector, true);
            return true;
        }
    }
    return false;
}

static void expire_timer(struct cpu *c)
{
    uint64_t deadline = __atomic_load_n(c->chip_view.deadline_ns, __ATOMIC_RELAXED);

    if (deadline != UINT64_MAX && deadline <= c->engine->user.clock_ns(c->engine->user.context)) {
        c->chip->expire(c->chip_self, c->index);
        c->engine->user.deadline_changed(c->engine->user.context, c);
    }
}

/* ---- between two instructions --------------------------------------------------------------- */

static void sleep_halted(struct cpu *c)
{
    uint64_t deadline =
        c->chip ? __atomic_load_n(c->chip_view.deadline_ns, __ATOMIC_RELAXED) : UINT64_MAX;

    if (unlikely(c->trace_events))
        trace_idle(c);
    remote_leave(c);
    c->engine->user.sleep(c->engine->user.context, c, deadline);
    remote_enter(c);
    cpu_pend(c, PEND_IRQ | PEND_TIMER);
    /* If there is no interrupt it looks at IGNNE# again. */
    if (c->halted == HALTED_X87)
        c->halted = 0;
}

void cpu_leave(struct cpu *c)
{
    remote_bus_leave(c);
    if (c->splits)
        split_leave(c);
    c->left = 1;
    longjmp(c->escape, 2);
}

/* Does what is pending. True: the vCPU shall leave cpu_run(). */
static bool service(struct cpu *c)
{
    uint32_t pend = __atomic_exchange_n(&c->pend, 0, __ATOMIC_SEQ_CST);

    if (pend & PEND_REMOTE)
        remote_service(c);
    blocks_safe_point(c);
    if (pend & PEND_KICK) {
        /* The rest is looked at when it comes back. */
        cpu_pend(c, (pend & ~(PEND_KICK | PEND_REMOTE)) | PEND_IRQ | PEND_TIMER);
        return true;
    }
    if (c->has_waiting) {
        c->has_waiting = 0;
        c->event = c->waiting;
        event_deliver(c);
    }
    if (c->pending_db && !(c->shadow & 2))
        raise_event(c, EXC_DB, false);
    if (c->chip) {
        if (pend & PEND_TIMER)
            expire_timer(c);
        take_interrupts(c);
    }
    if (unlikely(c->engine->user.boundary != NULL))
        c->engine->user.boundary(c->engine->user.context, c);
    return false;
}

/* Raises #DB if an instruction breakpoint is at cpu.rip (SDM 3, 17.2.4 and 17.3.1.1): true then,
 * and the instruction is not run. */
static bool check_breakpoints(struct cpu *c)
{
    uint64_t la = c->mode & MODE_64 ? c->rip : (uint32_t)(c->seg[SEG_CS].base + c->rip);
    uint64_t hit = 0;

    if (c->rflags & FLAG_RF)
        return false;
    for (uint32_t n = 0; n < 4; n++)
        if (c->dr7 >> (n * 2) & 3 && (c->dr7 >> (16 + n * 4) & 3) == 0 && c->dr[n] == la)
            hit |= 1u << n;
    if (hit) {
        c->pending_db |= hit;
        c->event = (struct event){.vector = EXC_DB};
        event_deliver(c);
    }
    return hit != 0;
}

static bool must_step(const struct cpu *c)
{
    return (c->rflags & (FLAG_TF | FLAG_RF)) || c->shadow || c->dr7 & DR7_ENABLED || c->trace ||
           c->debug.on;
}

/* ---- debugging from outside ----------------------------------------------------------------- */

/* Before the instruction at cpu.rip. True: its point stops it. */
static bool debug_meets(struct cpu *c)
{
    uint64_t la = c->mode & MODE_64 ? c->rip : (uint32_t)(c->seg[SEG_CS].base + c->rip);
    const struct bp_debug_request *r = &c->debug.request;

    if (c->debug.resumes)
        return false;
    for (uint32_t n = 0; n < r->point_count; n++)
        if (r->points[n].kind == BP_DEBUG_EXECUTE && r->points[n].address == la)
            c->debug.hits |= 1u << n;
    c->debug.resumes = c->debug.hits != 0;
    return c->debug.resumes;
}

/* Between two instructions. True: cpu_run() ends by BP_STOP_DEBUG. */
static bool debug_stops(struct cpu *c)
{
    struct bp_debug_stop *stop = &c->debug.stop;

    if (c->debug.hits) {
        stop->reasons |= BP_DEBUG_BY_POINT;
        stop->points = c->debug.hits;
        c->debug.hits = 0;
    }
    if (c->debug.progress && c->debug.request.flags & BP_DEBUG_STEP)
        stop->reasons |= c->debug.progress & PROGRESS_EVENT ? BP_DEBUG_BY_STEP | BP_DEBUG_BY_EVENT
                                                            : BP_DEBUG_BY_STEP;
    c->debug.progress = 0;
    return stop->reasons != 0;
}

int cpu_debug_set(struct cpu *c, const struct bp_debug_request *request)
{
    struct cpu_debug *d = &c->debug;

    if (!bp_debug_request_is_sound(request))
        return -EINVAL;
    d->request = *request;
    d->request.size = sizeof(d->request);
    d->on = (request->flags & (BP_DEBUG_STEP | BP_DEBUG_SOFTWARE)) || request->point_count;
    d->watches = 0;
    for (uint32_t n = 0; n < request->point_count; n++)
        d->watches |= request->points[n].kind != BP_DEBUG_EXECUTE;
    d->hits = d->progress = 0;
    d->resumes &= d->on;
    cpu_mode_changed(c);
    cpu_pend(c, PEND_CHECK | PEND_IRQ);
    return 0;
}

static void set_step(struct cpu *c, bool on)
{
    uint32_t mode = on ? c->mode | MODE_STEP : c->mode & ~MODE_STEP;

    c->mode = mode;
    c->mode_key = cpu_mode_key(c, mode);
}

/* Calls a handler; with tail calls it goes on for as long as they do. */
static inline const struct uop *dispatch(struct cpu *c, const struct uop *u)
{
    coverage_count(u->fn);
    return u->fn(c, u);
}

/* Runs one instruction where every one is looked at. */
static void step(struct cpu *c)
{
    bool trap = (c->rflags & FLAG_TF) != 0, resumed = (c->rflags & FLAG_RF) != 0;
    uint8_t shadow = c->shadow;
    const struct uop *u;

    if (unlikely(c->debug.on) && debug_meets(c))
        return;
    c->debug.resumes = 0;
    if (c->dr7 & DR7_ENABLED && !(shadow & 2) && check_breakpoints(c)) {
        c->shadow = 0;
        cpu_pend(c, PEND_CHECK);
        return;
    }
    set_step(c, true);
    u = blocks_find(c);
    if (c->trace && u)
        trace_insn_begin(c);
    c->no_step = 0;
    c->shadow_before = shadow;
    c->shadow = 0;
    while (u)
        u = dispatch(c, u);
    c->shadow_before = 0;
    set_step(c, false);
    c->debug.progress |= PROGRESS_INSN;
    if (c->trace)
        trace_insn_end(c);
    if (resumed)
        c->rflags &= ~(uint64_t)FLAG_RF;
    if (trap && !c->no_step)
        c->pending_db |= DR6_BS;
    /* What it hid may be taken now, or after the next one. */
    cpu_pend(c, PEND_CHECK);
}

static void run_blocks(struct cpu *c)
{
    const struct uop *u;

    c->ip_mask = c->mode & MODE_64 ? UINT64_MAX : c->mode & MODE_32 ? UINT32_MAX : UINT16_MAX;
    if (unlikely(must_step(c))) {
        step(c);
        return;
    }
    u = blocks_find(c);
    c->single = 0;
    while (u)
        u = dispatch(c, u);
}

/* Comes back when cpu_run() shall end. A function of its own, so that no variable lives across
 * setjmp(). */
static __attribute__((noinline)) void loop(struct cpu *c)
{
    if (setjmp(c->escape)) {
        /* cpu.event was raised by the instruction at cpu.rip, or by a delivery; or cpu_leave(). */
        set_step(c, false);
        c->single = 0;
        if (unlikely(c->left))
            return;
        if (unlikely(c->halted)) {
            c->shadow_before = 0;
            goto next; /* FERR#: nothing was raised */
        }
        c->shadow = 0;
        event_deliver(c);
        c->shadow_before = 0;
    }
next:
    while (!c->shutdown) {
        /* Before what comes next, and after it: an event that is delivered is a step of its own. */
        if (unlikely(c->debug.on) && debug_stops(c))
            return;
        if (unlikely(__atomic_load_n(&c->pend, __ATOMIC_ACQUIRE)) && service(c))
            return;
        if (unlikely(c->debug.on) && debug_stops(c))
            return;
        if (unlikely(c->halted || c->mp_state != BP_X86_MP_RUNNABLE))
            sleep_halted(c);
        else
            run_blocks(c);
    }
}

int cpu_run(struct cpu *c)
{
    uint64_t saved;

    c->debug.stop = (struct bp_debug_stop){.size = sizeof(c->debug.stop)};
    c->debug.progress = 0;
    saved = mxcsr_enter(c);
    remote_enter(c);
    loop(c);
    if (unlikely(c->trace_events))
        trace_leave(c);
    remote_leave(c);
    mxcsr_leave(c, saved);
    if (unlikely(c->debug.stop.reasons)) {
        c->left = 0;
        return BP_STOP_DEBUG;
    }
    if (unlikely(c->left)) {
        c->left = 0;
        return CPU_LEFT;
    }
    return c->shutdown ? BP_STOP_TRIPLE_FAULT : BP_STOP_KICKED;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void attention(void *context)
{
    struct cpu *c = context;

    cpu_pend(c, PEND_IRQ);
    c->engine->user.wake(c->engine->user.context, c);
}

static uint64_t chip_tsc(void *context)
{
    return cpu_tsc(context);
}

static int attach(struct cpu *c)
{
    const struct bp_irqchip_vcpu user = {.size = sizeof(user),
                                         .context = c,
                                         .attention = attention,
                                         .tsc = chip_tsc,
                                         .tsc_hz = c->engine->tsc_hz};

    c->chip_view.size = sizeof(c->chip_view);
    return c->chip->attach(c->chip_self, c->index, &user, &c->chip_view);
}

int cpu_create(struct engine *e, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
               const struct bp_irqchip *chip, void *chip_self, struct cpu **out)
{
    struct cpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);
    int err = -ENOMEM;

    if (!c)
        return err;
    memset(c, 0, sizeof(*c));
    c->engine = e;
    c->index = index;
    c->handle = handle;
    c->bus = bus;
    c->physical_bits = 40;
    err = tlb_create(c);
    if (!err)
        err = blocks_create(c);
    if (!err && chip) {
        c->chip = chip;
        c->chip_self = chip_self;
        err = attach(c);
        if (err)
            c->chip = NULL;
    }
    if (err) {
        cpu_destroy(c);
        return err;
    }
    cpu_reset(c, false);
    pthread_mutex_lock(&e->lock);
    e->cpus[index] = c;
    pthread_mutex_unlock(&e->lock);
    *out = c;
    return 0;
}

void cpu_destroy(struct cpu *c)
{
    struct engine *e = c->engine;

    pthread_mutex_lock(&e->lock);
    if (e->cpus[c->index] == c)
        e->cpus[c->index] = NULL;
    pthread_mutex_unlock(&e->lock);
    if (c->chip)
        c->chip->detach(c->chip_self, c->index);
    blocks_destroy(c);
    tlb_destroy(c);
    free(c);
}
