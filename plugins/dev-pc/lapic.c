/* SPDX-License-Identifier: MIT
 *
 * dev-pc/lapic.c - a local APIC's interrupts: accepting, priorities, service and end (SDM 3A,
 * chapter 11).
 *
 * The ID is the vCPU's index and cannot be changed, as on processors since Nehalem. There is no bus
 * that could be busy: delivery status always reads idle, messages arrive before the write that
 * sends them returns. Leaves out the APR, remote read, focus processors and the CMCI entry; thermal
 * and performance counter entries are registers that nothing triggers. SMI, NMI and INIT are passed
 * on; what they do is the CPU's.
 */
#include "irqchip.h"

#include <errno.h>
#include <string.h>

#define VERSION 0x14u    /* integrated, as KVM has it */
#define LVT_LAST 5u      /* timer, thermal, performance counter, LINT0, LINT1, error */
#define LOWEST_VECTOR 16 /* those below are illegal: 11.5.2 */

#define REQUEST(bit) ((bit) / 32)
#define MASK(bit) (1u << ((bit) % 32))

static bool bit_of(const struct lapic *l, uint32_t first, uint8_t vector)
{
    return l->registers[first + REQUEST(vector)] & MASK(vector);
}

static void set_bit(struct lapic *l, uint32_t first, uint8_t vector, bool on)
{
    uint32_t *word = &l->registers[first + REQUEST(vector)];

    *word = on ? *word | MASK(vector) : *word & ~MASK(vector);
}

int32_t lapic_highest(const struct lapic *l, uint32_t first)
{
    for (int32_t i = 7; i >= 0; i--) {
        uint32_t word = l->registers[first + (uint32_t)i];

        if (word)
            return i * 32 + 31 - __builtin_clz(word);
    }
    return -1;
}

/* ---- what is pending ------------------------------------------------------------------------ */

static void set_pending(struct lapic *l, uint32_t pending)
{
    uint32_t was = l->pending;

    if (pending == was)
        return;
    __atomic_store_n(&l->pending, pending, __ATOMIC_RELEASE);
    if (pending & ~was)
        l->user.attention(l->user.context);
}

bool lapic_takes_pic(const struct lapic *l)
{
    uint32_t lvt = l->registers[APIC_LVT_LINT0];

    /* 11.4.3: with the APIC off its pins are the processor's INTR and NMI. */
    return !lapic_is_on(l) ||
           (!(lvt & LVT_MASKED) && (lvt & LVT_MODE) >> LVT_MODE_SHIFT == MODE_EXTINT);
}

static bool wants_pic(const struct lapic *l)
{
    return l->extint || (l->lint[0] && lapic_takes_pic(l));
}

/* The request that has priority over what is in service and over the task, or -1 (11.8.3). */
static int32_t deliverable(const struct lapic *l)
{
    int32_t vector = lapic_highest(l, APIC_IRR);

    return vector >> 4 > (int32_t)(l->registers[APIC_PPR] >> 4) ? vector : -1;
}

void lapic_update(struct lapic *l)
{
    int32_t in_service = lapic_highest(l, APIC_ISR);
    uint32_t tpr = l->registers[APIC_TPR];
    uint32_t service = in_service < 0 ? 0 : (uint32_t)in_service & 0xf0;
    uint32_t pending = l->pending & ~BP_IRQCHIP_INTR;

    l->registers[APIC_PPR] = (tpr & 0xf0) >= service ? tpr : service;
    if (wants_pic(l) || (lapic_is_on(l) && deliverable(l) >= 0))
        pending |= BP_IRQCHIP_INTR;
    set_pending(l, pending);
}

void lapic_post(struct lapic *l, uint32_t bits, uint8_t sipi_vector)
{
    uint32_t pending = l->pending;

    if (bits & BP_IRQCHIP_INIT)
        pending &= ~BP_IRQCHIP_SIPI;
    /* The first is the one by which the processor starts. */
    if (bits & ~pending & BP_IRQCHIP_SIPI)
        l->sipi_vector = sipi_vector;
    set_pending(l, pending | (bits & ~BP_IRQCHIP_INTR));
}

/* ---- accepting ------------------------------------------------------------------------------ */

static bool accept_fixed(struct lapic *l, uint8_t vector, bool level)
{
    if (!lapic_is_enabled(l))
        return false;
    if (vector < LOWEST_VECTOR) {
        lapic_error(l, ESR_RECEIVE_VECTOR);
        return true;
    }
    set_bit(l, APIC_TMR, vector, level);
    set_bit(l, APIC_IRR, vector, true);
    lapic_update(l);
    return true;
}

bool lapic_accept(struct lapic *l, uint32_t mode, uint8_t vector, bool level)
{
    if (!lapic_is_on(l))
        return false;
    switch (mode) {
    case MODE_FIXED:
    case MODE_LOWEST:
        return accept_fixed(l, vector, level);
    case MODE_SMI:
        lapic_post(l, BP_IRQCHIP_SMI, 0);
        return true;
    case MODE_NMI:
        lapic_post(l, BP_IRQCHIP_NMI, 0);
        return true;
    case MODE_INIT:
        lapic_post(l, BP_IRQCHIP_INIT, 0);
        return true;
    case MODE_SIPI:
        lapic_post(l, BP_IRQCHIP_SIPI, vector);
        return true;
    case MODE_EXTINT:
        if (!lapic_is_enabled(l))
            return false;
        l->extint = true;
        lapic_update(l);
        return true;
    default:
        return false;
    }
}

void lapic_error(struct lapic *l, uint32_t error)
{
    l->errors |= error;
    if (l->errors_told || (l->registers[APIC_LVT_ERROR] & LVT_MASKED))
        return;
    l->errors_told = true; /* before: the entry's own vector may be illegal */
    lapic_local(l, APIC_LVT_ERROR);
}

void lapic_local(struct lapic *l, uint32_t entry)
{
    uint32_t lvt = l->registers[entry];

    if (!(lvt & LVT_MASKED))
        lapic_accept(l, (lvt & LVT_MODE) >> LVT_MODE_SHIFT, (uint8_t)(lvt & LVT_VECTOR), false);
}

/* ---- pins ----------------------------------------------------------------------------------- */

/* 11.5.1: only a fixed interrupt of LINT0 can be level-triggered. */
static bool lint_is_level(const struct lapic *l, uint32_t pin)
{
    uint32_t lvt = l->registers[APIC_LVT_LINT0 + pin];

    return pin == 0 && (lvt & LVT_LEVEL) && !(lvt & LVT_MODE);
}

void lapic_lint_changed(struct lapic *l, uint32_t pin)
{
    uint32_t *lvt = &l->registers[APIC_LVT_LINT0 + pin];

    if (!lint_is_level(l, pin))
        *lvt &= ~LVT_REMOTE_IRR;
    else if (l->lint[pin] && !(*lvt & (LVT_MASKED | LVT_REMOTE_IRR)) &&
             lapic_accept(l, MODE_FIXED, (uint8_t)(*lvt & LVT_VECTOR), true))
        *lvt |= LVT_REMOTE_IRR;
    lapic_update(l);
}

void lapic_lint(struct lapic *l, uint32_t pin, bool level)
{
    pthread_mutex_lock(&l->lock);
    bool rises = level && !l->lint[pin];
    uint32_t lvt = l->registers[APIC_LVT_LINT0 + pin];

    l->lint[pin] = level;
    if (rises && !lapic_is_on(l)) {
        if (pin == 1)
            lapic_post(l, BP_IRQCHIP_NMI, 0);
    } else if (rises && (lvt & LVT_MODE) >> LVT_MODE_SHIFT != MODE_EXTINT &&
               !lint_is_level(l, pin)) {
        lapic_local(l, APIC_LVT_LINT0 + pin);
    }
    lapic_lint_changed(l, pin);
    pthread_mutex_unlock(&l->lock);
}

/* ---- service and end ------------------------------------------------------------------------ */

/* The 8259s' cycle, and its end if they do that by themselves. */
static int32_t acknowledge_pic(struct irqchip *chip)
{
    uint32_t ended = 0;
    uint8_t vector = pic_acknowledge(&chip->pic, &ended);

    irqchip_lines_ended(chip, ended);
    return vector;
}

int32_t lapic_acknowledge(struct lapic *l)
{
    int32_t vector = -1, spurious = -EAGAIN;
    bool pic;

    pthread_mutex_lock(&l->lock);
    pic = wants_pic(l);
    if (pic) {
        l->extint = false;
        lapic_update(l);
    } else if (lapic_is_on(l)) {
        vector = deliverable(l);
    }
    if (vector >= 0) {
        set_bit(l, APIC_IRR, (uint8_t)vector, false);
        set_bit(l, APIC_ISR, (uint8_t)vector, true);
        lapic_update(l);
    } else if (!pic) {
        pic = lapic_takes_pic(l); /* it was theirs, and has gone: they give IRQ 7 */
        if (lapic_is_enabled(l))
            spurious = (int32_t)(l->registers[APIC_SVR] & SVR_VECTOR);
    }
    pthread_mutex_unlock(&l->lock);
    if (vector >= 0)
        return vector;
    return pic ? acknowledge_pic(l->chip) : spurious;
}

/* 11.8.5. The LINT pins hear of their interrupts' end by themselves. */
int32_t lapic_eoi(struct lapic *l)
{
    int32_t vector = lapic_highest(l, APIC_ISR);
    uint32_t *lint0 = &l->registers[APIC_LVT_LINT0];
    bool level;

    if (vector < 0)
        return -1;
    level = bit_of(l, APIC_TMR, (uint8_t)vector);
    set_bit(l, APIC_ISR, (uint8_t)vector, false);
    if (level && (*lint0 & LVT_REMOTE_IRR) && (*lint0 & LVT_VECTOR) == (uint32_t)vector) {
        *lint0 &= ~LVT_REMOTE_IRR;
        lapic_lint_changed(l, 0);
    }
    lapic_update(l);
    return level && !(l->registers[APIC_SVR] & SVR_NO_EOI_BROADCAST) ? vector : -1;
}

/* ---- destinations --------------------------------------------------------------------------- */

static bool matches_logical(const struct lapic *l, uint32_t destination)
{
    uint32_t ldr = l->registers[APIC_LDR];

    if (lapic_is_x2(l)) /* 11.12.10: cluster 31:16, members 15:0 */
        return ldr >> 16 == destination >> 16 && (ldr & destination & 0xffff);
    if (destination > 0xff)
        return false;
    switch (l->registers[APIC_DFR] >> 28) { /* 11.6.2.2 */
    case 0xf:
        return ldr >> 24 & destination;
    case 0:
        return ldr >> 28 == destination >> 4 && (ldr >> 24 & destination & 0xf);
    default:
        return false;
    }
}

bool lapic_matches(const struct lapic *l, const struct apic_message *m)
{
    /* What a device sends has 8 bits that mean all to an xAPIC, and ID 255 to an x2APIC. */
    if (m->broadcast || (m->destination == 0xff && !m->wide && !lapic_is_x2(l)))
        return true;
    return m->logical ? matches_logical(l, m->destination) : m->destination == l->id;
}

/* ---- reset and state ------------------------------------------------------------------------ */

static uint32_t id_register(const struct lapic *l)
{
    return lapic_is_x2(l) ? l->id : l->id << 24;
}

/* 11.12.10.2: x2APIC's logical ID follows from its ID. */
static uint32_t x2_ldr(const struct lapic *l)
{
    return l->id >> 4 << 16 | 1u << (l->id & 0xf);
}

static uint32_t version(const struct lapic *l)
{
    return VERSION | LVT_LAST << 16 |
           (l->chip->config->directed_eoi ? VERSION_NO_EOI_BROADCAST : 0);
}

/* 11.4.7.1 and, for LINT0, what firmware does and KVM does in its place: interrupts of the 8259s
 * reach the boot processor ("virtual wire", MultiProcessor Specification 1.4, 3.6.2.2). */
static void reset_registers(struct lapic *l)
{
    memset(l->registers, 0, sizeof(l->registers));
    l->registers[APIC_ID] = id_register(l);
    l->registers[APIC_VERSION] = version(l);
    l->registers[APIC_LDR] = lapic_is_x2(l) ? x2_ldr(l) : 0;
    l->registers[APIC_DFR] = UINT32_MAX;
    l->registers[APIC_SVR] = SVR_VECTOR;
    for (uint32_t i = APIC_LVT_TIMER; i <= APIC_LVT_ERROR; i++)
        l->registers[i] = LVT_MASKED;
    if (l->id == 0 && l->chip->config->virtual_wire)
        l->registers[APIC_LVT_LINT0] = MODE_EXTINT << LVT_MODE_SHIFT;
    l->errors = 0;
    l->errors_told = false;
    l->extint = false;
    l->tsc_deadline = 0;
    lapic_timer_stop(l);
}

void lapic_reset(struct lapic *l, bool power_on)
{
    if (power_on) {
        l->base = BASE_DEFAULT | BASE_EN | (l->id == 0 ? BASE_BSP : 0);
        l->sipi_vector = 0;
        __atomic_store_n(&l->pending, 0, __ATOMIC_RELEASE);
    }
    reset_registers(l);
    lapic_update(l);
}

void lapic_set_base(struct lapic *l, uint64_t base)
{
    uint64_t changed = l->base ^ base;

    l->base = base;
    if (changed & BASE_EN) {
        reset_registers(l);
    } else if (changed & BASE_EXTD) {
        l->registers[APIC_ID] = id_register(l);
        l->registers[APIC_LDR] = lapic_is_x2(l) ? x2_ldr(l) : 0;
        l->registers[APIC_DFR] = UINT32_MAX;
        l->registers[APIC_ICR_HIGH] = 0;
    }
    lapic_update(l);
}

int lapic_state_get(struct lapic *l, struct bp_x86_lapic *to)
{
    pthread_mutex_lock(&l->lock);
    memcpy(to->registers, l->registers, sizeof(to->registers));
    to->registers[APIC_TIMER_CURRENT] = lapic_timer_current(l);
    to->tsc_deadline = l->tsc_deadline;
    pthread_mutex_unlock(&l->lock);
    return 0;
}

int lapic_state_set(struct lapic *l, const struct bp_x86_lapic *from)
{
    uint32_t *r = l->registers;
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (from->registers[APIC_ID] != id_register(l)) {
        err = -EINVAL;
        goto out;
    }
    memcpy(r, from->registers, sizeof(l->registers));
    r[APIC_VERSION] = version(l);
    r[APIC_TPR] &= 0xff;
    r[APIC_APR] = r[APIC_EOI] = r[APIC_RRD] = r[APIC_SELF_IPI] = 0;
    if (lapic_is_x2(l))
        r[APIC_LDR] = x2_ldr(l);
    else
        r[APIC_LDR] &= 0xff000000;
    r[APIC_DFR] |= 0x0fffffff;
    r[APIC_SVR] &= SVR_VECTOR | SVR_ENABLE | SVR_FOCUS |
                   (l->chip->config->directed_eoi ? SVR_NO_EOI_BROADCAST : 0);
    for (uint32_t i = 0; i < 3; i++)
        r[APIC_ISR + 8 * i] &= UINT32_MAX << LOWEST_VECTOR; /* ISR, TMR, IRR */
    for (uint32_t i = APIC_LVT_TIMER; i <= APIC_LVT_ERROR; i++)
        r[i] &= lapic_lvt_bits(i) | (i == APIC_LVT_LINT0 ? LVT_REMOTE_IRR : 0);
    l->errors = 0;
    l->errors_told = false;
    l->extint = false; /* the I/O APIC's state brings it back */
    l->tsc_deadline =
        (r[APIC_LVT_TIMER] & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE ? from->tsc_deadline : 0;
    lapic_timer_resume(l, from->registers[APIC_TIMER_CURRENT]);
    lapic_update(l);
out:
    pthread_mutex_unlock(&l->lock);
    return err;
}
