/* SPDX-License-Identifier: MIT
 *
 * dev-pc/lapic_timer.c - a local APIC's timer (SDM 3A, 11.5.4): one-shot, periodic and
 * TSC-deadline.
 *
 * It counts at 1 GHz of guest time before the divider, as KVM's does, so that counts mean the same
 * under both. No timer of the host runs: the count follows from the clock when somebody looks, and
 * the backend is told by *deadline_ns when to call expire(). Periods that passed unseen are one
 * interrupt: as many as that the IRR can hold.
 */
#include "irqchip.h"

#define NS_PER_S UINT64_C(1000000000)
#define DEADLINE_MAX (UINT64_MAX - 1)

static uint64_t now_ns(const struct lapic *l)
{
    return l->chip->host->clock_ns(l->chip->node);
}

static uint32_t mode(const struct lapic *l)
{
    return l->registers[APIC_LVT_TIMER] & LVT_TIMER_MODE;
}

/* Bits 3, 1 and 0 of the divide configuration: 000b is 2, 110b 128, 111b 1 (figure 11-10). */
static uint32_t divide_shift(uint32_t divide)
{
    return (((divide & 3) | (divide >> 1 & 4)) + 1) & 7;
}

static uint64_t ticks_ns(const struct lapic *l, uint32_t ticks)
{
    return (uint64_t)ticks << divide_shift(l->registers[APIC_TIMER_DIVIDE]);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) || sum > DEADLINE_MAX ? DEADLINE_MAX : sum;
}

/* Guest time at which the TSC is at `tsc`, at the earliest. */
static uint64_t tsc_to_ns(const struct lapic *l, uint64_t tsc)
{
    uint64_t is = l->user.tsc(l->user.context);
    unsigned __int128 wait;

    if (is >= tsc)
        return now_ns(l);
    wait = ((unsigned __int128)(tsc - is) * NS_PER_S + l->user.tsc_hz - 1) / l->user.tsc_hz;
    return wait > DEADLINE_MAX ? DEADLINE_MAX : add(now_ns(l), (uint64_t)wait);
}

void lapic_timer_publish(struct lapic *l)
{
    uint64_t when = l->tsc_deadline ? tsc_to_ns(l, l->tsc_deadline) : l->due_ns;

    __atomic_store_n(&l->deadline_ns, when, __ATOMIC_RELEASE);
}

void lapic_timer_stop(struct lapic *l)
{
    l->due_ns = UINT64_MAX;
    lapic_timer_publish(l);
}

void lapic_timer_start(struct lapic *l, uint32_t initial)
{
    if (mode(l) == LVT_TIMER_DEADLINE)
        return;
    l->registers[APIC_TIMER_INITIAL] = initial;
    l->due_ns = initial ? add(now_ns(l), ticks_ns(l, initial)) : UINT64_MAX;
    lapic_timer_publish(l);
}

uint32_t lapic_timer_current(const struct lapic *l)
{
    uint64_t now = now_ns(l), left;
    uint64_t period = ticks_ns(l, l->registers[APIC_TIMER_INITIAL]);

    if (l->due_ns == UINT64_MAX || mode(l) == LVT_TIMER_DEADLINE)
        return 0;
    if (now < l->due_ns)
        left = l->due_ns - now;
    else if (mode(l) == LVT_TIMER_PERIODIC && period)
        left = period - (now - l->due_ns) % period;
    else
        return 0;
    /* A tick is counted when it is over: a count just written reads back. */
    uint32_t shift = divide_shift(l->registers[APIC_TIMER_DIVIDE]);
    uint64_t ticks = (left >> shift) + ((left & ((UINT64_C(1) << shift) - 1)) != 0);
    return ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

/* 11.5.4.1: a change to or from TSC-deadline disarms; between the others the count goes on. */
void lapic_timer_mode(struct lapic *l, uint32_t lvt)
{
    bool was = mode(l) == LVT_TIMER_DEADLINE,
         becomes = (lvt & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE;

    if (was == becomes)
        return;
    l->tsc_deadline = 0;
    l->registers[APIC_TIMER_INITIAL] = 0;
    lapic_timer_stop(l);
}

/* The count goes on from where it is, at the new rate. */
void lapic_timer_divide(struct lapic *l, uint32_t divide)
{
    uint32_t current = lapic_timer_current(l);

    l->registers[APIC_TIMER_DIVIDE] = divide;
    if (current) {
        l->due_ns = add(now_ns(l), ticks_ns(l, current));
        lapic_timer_publish(l);
    }
}

void lapic_timer_set_deadline(struct lapic *l, uint64_t tsc)
{
    if (mode(l) != LVT_TIMER_DEADLINE)
        return;
    l->tsc_deadline = tsc;
    lapic_timer_publish(l);
    lapic_timer_expire(l); /* one in the past is due at once */
}

uint64_t lapic_timer_deadline(const struct lapic *l)
{
    return mode(l) == LVT_TIMER_DEADLINE ? l->tsc_deadline : 0;
}

void lapic_timer_expire(struct lapic *l)
{
    if (l->tsc_deadline) {
        if (l->user.tsc(l->user.context) >= l->tsc_deadline) {
            l->tsc_deadline = 0;
            lapic_local(l, APIC_LVT_TIMER);
        }
        lapic_timer_publish(l); /* not yet: the TSC was set back, or a nanosecond was rounded */
        return;
    }
    uint64_t now = now_ns(l);
    if (l->due_ns == UINT64_MAX || now < l->due_ns)
        return;
    uint64_t period = ticks_ns(l, l->registers[APIC_TIMER_INITIAL]);
    if (mode(l) == LVT_TIMER_PERIODIC && period)
        l->due_ns = add(l->due_ns, period * ((now - l->due_ns) / period + 1));
    else
        l->due_ns = UINT64_MAX;
    lapic_timer_publish(l);
    lapic_local(l, APIC_LVT_TIMER);
}

void lapic_timer_resume(struct lapic *l, uint32_t current)
{
    uint32_t initial = l->registers[APIC_TIMER_INITIAL];

    l->registers[APIC_TIMER_DIVIDE] &= 0xb;
    l->registers[APIC_TIMER_CURRENT] = 0;
    if (!current && mode(l) == LVT_TIMER_PERIODIC)
        current = initial;
    l->due_ns = current && initial && mode(l) != LVT_TIMER_DEADLINE
                    ? add(now_ns(l), ticks_ns(l, current))
                    : UINT64_MAX;
    lapic_timer_publish(l);
}
