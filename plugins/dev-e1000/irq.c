/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/irq.c - causes, mask and INTA, and the three ways in which interrupts wait: for the
 * throttle (ITR, 13.4.18), for more frames (RDTR, RADV, 13.4.30, 13.4.31) and for more that was
 * sent (TIDV, TADV, 13.4.44, 13.4.46). All of them in guest time.
 *
 * What waits is not a cause yet: it is not in ICR. Left out: a delayed cause does not ride along
 * with another interrupt that happens to be raised.
 */
#include "e1000.h"

#define ITR_UNIT_NS 256u
#define ITR_LEAST 500u /* units: 7,813 interrupts a second, of 13.4.18's own example */
#define DELAY_UNIT_NS 1024u

/* The register is the least time between two interrupts: it may be more. Where the guest needs for
 * a packet what drivers ask for, Linux's 50 us, each would be an interrupt of its own. */
static uint64_t interval_ns(const struct e1000 *e)
{
    uint32_t units = e->reg[R_ITR];

    return (uint64_t)(units && units < ITR_LEAST ? ITR_LEAST : units) * ITR_UNIT_NS;
}

void irq_update(struct e1000 *e)
{
    uint64_t now;

    if (e->gathering)
        return;
    if (!(e->reg[R_ICR] & e->reg[R_IMS])) {
        timer_stop(e, TIMER_ITR);
        if (e->level) {
            e->level = 0;
            e->pci->intx_set(e->function, 0);
        }
        return;
    }
    if (e->level)
        return;
    /* Also where timers are late: what comes until then comes together. */
    if (e->deadline_ns[TIMER_ITR])
        return;
    now = e->host->clock_ns(e->node);
    if (e->reg[R_ITR] && now < e->itr_until_ns) {
        timer_arm(e, TIMER_ITR, e->itr_until_ns - now);
        return;
    }
    e->itr_until_ns = now + interval_ns(e);
    e->level = 1;
    e->pci->intx_set(e->function, 1);
}

void irq_raise(struct e1000 *e, uint32_t causes)
{
    e->reg[R_ICR] |= causes;
    irq_update(e);
}

/* A delay ends at its deadline, but nobody has to be woken for that while the throttle holds back
 * the interrupt: who looks at ICR meanwhile calls irq_settle(). */
static void wait_until(struct e1000 *e, uint32_t id, uint64_t when_ns)
{
    uint64_t wake_ns = when_ns;

    if (e->reg[R_ITR] && wake_ns < e->itr_until_ns)
        wake_ns = e->itr_until_ns;
    e->deadline_ns[id] = when_ns;
    e->host->timer_set(e->node, id, wake_ns);
}

void irq_throttled(struct e1000 *e)
{
    for (uint32_t id = TIMER_RDTR; id <= TIMER_TADV; id++)
        if (e->deadline_ns[id])
            wait_until(e, id, e->deadline_ns[id]);
    timer_stop(e, TIMER_ITR); /* waits anew, or no longer */
    irq_update(e);
}

/* The packet timer starts anew with each frame, the absolute one with the first. */
static void delay(struct e1000 *e, uint32_t packet, uint32_t packet_units, uint32_t absolute,
                  uint32_t absolute_units)
{
    uint64_t now = e->host->clock_ns(e->node);

    wait_until(e, packet, now + (uint64_t)packet_units * DELAY_UNIT_NS);
    if (absolute_units && !e->deadline_ns[absolute])
        wait_until(e, absolute, now + (uint64_t)absolute_units * DELAY_UNIT_NS);
}

static int is_over(const struct e1000 *e, uint32_t first, uint32_t second, uint64_t now)
{
    return (e->deadline_ns[first] && e->deadline_ns[first] <= now) ||
           (e->deadline_ns[second] && e->deadline_ns[second] <= now);
}

void irq_settle(struct e1000 *e)
{
    const uint64_t *d = e->deadline_ns;
    uint64_t now;

    if (!d[TIMER_RDTR] && !d[TIMER_RADV] && !d[TIMER_TIDV] && !d[TIMER_TADV])
        return;
    now = e->host->clock_ns(e->node);
    if (is_over(e, TIMER_RDTR, TIMER_RADV, now))
        irq_timer(e, TIMER_RDTR);
    if (is_over(e, TIMER_TIDV, TIMER_TADV, now))
        irq_timer(e, TIMER_TIDV);
}

void irq_flush_received(struct e1000 *e)
{
    if (!e->deadline_ns[TIMER_RDTR] && !e->deadline_ns[TIMER_RADV])
        return;
    timer_stop(e, TIMER_RDTR);
    timer_stop(e, TIMER_RADV);
    irq_raise(e, INT_RXT0);
}

void irq_received(struct e1000 *e, uint32_t len)
{
    irq_settle(e);
    if (e->reg[R_RSRPD] && len <= e->reg[R_RSRPD])
        irq_raise(e, INT_SRPD);
    if (!e->reg[R_RDTR])
        irq_raise(e, INT_RXT0);
    else
        delay(e, TIMER_RDTR, e->reg[R_RDTR], TIMER_RADV, e->reg[R_RADV]);
}

static void flush_transmitted(struct e1000 *e)
{
    timer_stop(e, TIMER_TIDV);
    timer_stop(e, TIMER_TADV);
    irq_raise(e, INT_TXDW);
}

void irq_transmitted(struct e1000 *e, int delayed)
{
    irq_settle(e);
    if (delayed && e->reg[R_TIDV])
        delay(e, TIMER_TIDV, e->reg[R_TIDV], TIMER_TADV, e->reg[R_TADV]);
    else
        flush_transmitted(e);
}

void irq_timer(struct e1000 *e, uint32_t id)
{
    switch (id) {
    case TIMER_ITR:
        irq_update(e);
        break;
    case TIMER_RDTR:
    case TIMER_RADV:
        timer_stop(e, TIMER_RDTR);
        timer_stop(e, TIMER_RADV);
        irq_raise(e, INT_RXT0);
        break;
    default:
        flush_transmitted(e);
        break;
    }
}
