/* SPDX-License-Identifier: MIT
 *
 * dev-pc/lapic_registers.c - a local APIC's registers as the processor sees them: in the page of
 * xAPIC mode (SDM 3A, 11.4.1) and as the MSRs of x2APIC mode (11.12.1), with IA32_APIC_BASE and
 * IA32_TSC_DEADLINE.
 */
#include "irqchip.h"

#include <errno.h>

#define SVR_BITS (SVR_VECTOR | SVR_ENABLE | SVR_FOCUS)
#define TIMER_DIVIDE_BITS 0xbu
#define DFR_ONES 0x0fffffffu

/* ICR (figures 11-12, 11-28). Bit 12, delivery status, is ignored where the manual has it reserved
 * in x2APIC mode: guests write back what they read elsewhere, and processors let them. */
#define ICR_BITS 0x000ccfffu
#define ICR_STATUS (1u << 12)

#define ACCESS_R 1u
#define ACCESS_W 2u

/* Table 11-1 and table 11-6. 0: reserved. */
static uint32_t access_of(uint32_t reg, bool x2)
{
    if (reg >= APIC_ISR && reg < APIC_ESR)
        return ACCESS_R;
    if (reg >= APIC_LVT_TIMER && reg <= APIC_TIMER_INITIAL)
        return ACCESS_R | ACCESS_W;
    switch (reg) {
    case APIC_ID:
    case APIC_VERSION:
    case APIC_PPR:
    case APIC_TIMER_CURRENT:
        return ACCESS_R;
    case APIC_LDR:
        return x2 ? ACCESS_R : ACCESS_R | ACCESS_W;
    case APIC_TPR:
    case APIC_SVR:
    case APIC_ESR:
    case APIC_ICR:
    case APIC_TIMER_DIVIDE:
        return ACCESS_R | ACCESS_W;
    case APIC_EOI:
        return ACCESS_W;
    case APIC_APR:
    case APIC_RRD:
        return x2 ? 0 : ACCESS_R;
    case APIC_DFR:
    case APIC_ICR_HIGH:
        return x2 ? 0 : ACCESS_R | ACCESS_W;
    case APIC_SELF_IPI:
        return x2 ? ACCESS_W : 0;
    default:
        return 0;
    }
}

uint32_t lapic_lvt_bits(uint32_t entry)
{
    switch (entry) {
    case APIC_LVT_TIMER:
        return LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE;
    case APIC_LVT_ERROR:
        return LVT_VECTOR | LVT_MASKED;
    case APIC_LVT_LINT0:
    case APIC_LVT_LINT1:
        return LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED;
    default:
        return LVT_VECTOR | LVT_MODE | LVT_MASKED;
    }
}

/* Bits that may be 1 in what is written to `reg` in x2APIC mode, where others are #GP. Delivery
 * status and remote IRR are read-only, not reserved. */
static uint32_t x2_bits(const struct lapic *l, uint32_t reg)
{
    switch (reg) {
    case APIC_TPR:
    case APIC_SELF_IPI:
        return 0xff;
    case APIC_SVR:
        return SVR_BITS | (l->chip->config->directed_eoi ? SVR_NO_EOI_BROADCAST : 0);
    case APIC_ICR:
        return ICR_BITS | ICR_STATUS;
    case APIC_LVT_TIMER:
    case APIC_LVT_ERROR:
    case APIC_LVT_THERMAL:
    case APIC_LVT_PMC:
        return lapic_lvt_bits(reg) | ICR_STATUS;
    case APIC_LVT_LINT0:
    case APIC_LVT_LINT1:
        return lapic_lvt_bits(reg) | ICR_STATUS | LVT_REMOTE_IRR;
    case APIC_TIMER_INITIAL:
        return UINT32_MAX;
    case APIC_TIMER_DIVIDE:
        return TIMER_DIVIDE_BITS;
    default: /* EOI, ESR */
        return 0;
    }
}

/* ---- one register (locked) ------------------------------------------------------------------ */

static uint32_t register_read(const struct lapic *l, uint32_t reg)
{
    return reg == APIC_TIMER_CURRENT ? lapic_timer_current(l) : l->registers[reg];
}

static void svr_write(struct lapic *l, uint32_t value)
{
    uint32_t bits = SVR_BITS | (l->chip->config->directed_eoi ? SVR_NO_EOI_BROADCAST : 0);

    l->registers[APIC_SVR] = value & bits;
    if (value & SVR_ENABLE)
        return;
    for (uint32_t i = APIC_LVT_TIMER; i <= APIC_LVT_ERROR; i++) /* 11.4.7.2 */
        l->registers[i] |= LVT_MASKED;
}

static void lvt_write(struct lapic *l, uint32_t reg, uint32_t value)
{
    value &= lapic_lvt_bits(reg);
    if (!(l->registers[APIC_SVR] & SVR_ENABLE))
        value |= LVT_MASKED;
    if (reg == APIC_LVT_TIMER)
        lapic_timer_mode(l, value);
    l->registers[reg] = value | (l->registers[reg] & LVT_REMOTE_IRR);
    if (reg == APIC_LVT_LINT0 || reg == APIC_LVT_LINT1)
        lapic_lint_changed(l, reg - APIC_LVT_LINT0);
}

/* What a write leaves to be done without the lock. */
struct after {
    int32_t ended; /* a vector whose end is broadcast, or -1 */
    bool ipi;
    uint32_t icr, destination;
};

static void ipi_write(struct lapic *l, uint32_t icr, uint32_t destination, struct after *after)
{
    uint32_t mode = (icr & LVT_MODE) >> LVT_MODE_SHIFT;

    l->registers[APIC_ICR] = icr & ICR_BITS;
    if ((mode == MODE_FIXED || mode == MODE_LOWEST) && (icr & LVT_VECTOR) < 16) {
        lapic_error(l, ESR_SEND_VECTOR); /* and it is not sent: 11.5.3 */
        return;
    }
    after->ipi = true;
    after->icr = icr & ICR_BITS;
    after->destination = destination;
}

static void self_ipi_write(struct lapic *l, uint8_t vector)
{
    if (vector < 16)
        lapic_error(l, ESR_SEND_VECTOR); /* 11.12.11 */
    else
        lapic_accept(l, MODE_FIXED, vector, false);
}

/* `reg` may be written; reserved bits of `value` do not count. */
static void register_write(struct lapic *l, uint32_t reg, uint32_t value, struct after *after)
{
    switch (reg) {
    case APIC_TPR:
        l->registers[reg] = value & 0xff;
        break;
    case APIC_EOI:
        after->ended = lapic_eoi(l);
        return;
    case APIC_LDR:
        l->registers[reg] = value & 0xff000000;
        break;
    case APIC_DFR:
        l->registers[reg] = value | DFR_ONES;
        break;
    case APIC_SVR:
        svr_write(l, value);
        break;
    case APIC_ESR: /* 11.5.3: shows what happened since, and lets errors interrupt again */
        l->registers[reg] = l->errors;
        l->errors = 0;
        l->errors_told = false;
        break;
    case APIC_ICR_HIGH:
        l->registers[reg] = value & 0xff000000;
        break;
    case APIC_ICR:
        ipi_write(l, value, l->registers[APIC_ICR_HIGH] >> 24, after);
        break;
    case APIC_TIMER_INITIAL:
        lapic_timer_start(l, value);
        break;
    case APIC_TIMER_DIVIDE:
        lapic_timer_divide(l, value & TIMER_DIVIDE_BITS);
        break;
    case APIC_SELF_IPI:
        self_ipi_write(l, (uint8_t)value);
        break;
    default:
        lvt_write(l, reg, value);
    }
    lapic_update(l);
}

static void finish(struct lapic *l, const struct after *after)
{
    if (after->ended >= 0)
        irqchip_eoi(l->chip, (uint8_t)after->ended);
    if (after->ipi)
        apic_send_ipi(l, after->icr, after->destination);
}

/* ---- the page ------------------------------------------------------------------------------- */

int lapic_mmio_read(struct lapic *l, uint32_t offset, uint32_t width, uint64_t *value)
{
    uint32_t reg = offset >> 4 & (APIC_REGISTERS - 1), at = offset & 0xf, got = 0;
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (!lapic_is_on(l) || lapic_is_x2(l))
        err = -ENOENT;
    else if (offset < 0x400 && (access_of(reg, false) & ACCESS_R))
        got = register_read(l, reg);
    else
        lapic_error(l, ESR_REGISTER);
    pthread_mutex_unlock(&l->lock);
    *value = at < 4 ? got >> at * 8 : 0;
    if (width < 4)
        *value &= (1u << width * 8) - 1;
    return err;
}

int lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t width, uint64_t value)
{
    uint32_t reg = offset >> 4 & (APIC_REGISTERS - 1);
    struct after after = {.ended = -1};
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (!lapic_is_on(l) || lapic_is_x2(l))
        err = -ENOENT;
    else if (offset >= 0x400 || !access_of(reg, false))
        lapic_error(l, ESR_REGISTER);
    else if (!(offset & 0xf) && width >= 4 && (access_of(reg, false) & ACCESS_W))
        register_write(l, reg, (uint32_t)value, &after);
    pthread_mutex_unlock(&l->lock);
    finish(l, &after);
    return err;
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

/* 11.12.5: between off, xAPIC and x2APIC; only off leads from x2APIC, only xAPIC to it. */
static int base_write(struct lapic *l, uint64_t value)
{
    uint64_t modes = BASE_EN | BASE_EXTD;

    if ((value & ~(BASE_ADDRESS | modes | BASE_BSP)) || (value & modes) == BASE_EXTD)
        return -EINVAL;
    if (lapic_is_x2(l) && (value & modes) == BASE_EN)
        return -EINVAL;
    if (!lapic_is_on(l) && (value & modes) == modes)
        return -EINVAL;
    lapic_set_base(l, value);
    return 0;
}

static int x2_read(const struct lapic *l, uint32_t reg, uint64_t *value)
{
    if (!lapic_is_x2(l) || reg >= APIC_REGISTERS || !(access_of(reg, true) & ACCESS_R))
        return -EINVAL;
    *value = register_read(l, reg);
    if (reg == APIC_ICR)
        *value |= (uint64_t)l->registers[APIC_ICR_HIGH] << 32;
    return 0;
}

static int x2_write(struct lapic *l, uint32_t reg, uint64_t value, struct after *after)
{
    uint64_t bits = x2_bits(l, reg);

    if (!lapic_is_x2(l) || reg >= APIC_REGISTERS || !(access_of(reg, true) & ACCESS_W))
        return -EINVAL;
    if (reg == APIC_ICR)
        bits |= UINT64_C(0xffffffff) << 32;
    if (value & ~bits)
        return -EINVAL;
    if (reg != APIC_ICR) {
        register_write(l, reg, (uint32_t)value, after);
        return 0;
    }
    l->registers[APIC_ICR_HIGH] = (uint32_t)(value >> 32);
    ipi_write(l, (uint32_t)value, (uint32_t)(value >> 32), after);
    lapic_update(l);
    return 0;
}

int lapic_msr_read(struct lapic *l, uint32_t index, uint64_t *value)
{
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (index == BP_IRQCHIP_MSR_APIC_BASE)
        *value = l->base;
    else if (index == BP_IRQCHIP_MSR_TSC_DEADLINE)
        *value = lapic_timer_deadline(l);
    else if (index >= BP_IRQCHIP_MSR_X2APIC && index <= BP_IRQCHIP_MSR_X2APIC_LAST)
        err = x2_read(l, index - BP_IRQCHIP_MSR_X2APIC, value);
    else
        err = -EINVAL;
    pthread_mutex_unlock(&l->lock);
    return err;
}

int lapic_msr_write(struct lapic *l, uint32_t index, uint64_t value)
{
    struct after after = {.ended = -1};
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (index == BP_IRQCHIP_MSR_APIC_BASE)
        err = base_write(l, value);
    else if (index == BP_IRQCHIP_MSR_TSC_DEADLINE)
        lapic_timer_set_deadline(l, value);
    else if (index >= BP_IRQCHIP_MSR_X2APIC && index <= BP_IRQCHIP_MSR_X2APIC_LAST)
        err = x2_write(l, index - BP_IRQCHIP_MSR_X2APIC, value, &after);
    else
        err = -EINVAL;
    pthread_mutex_unlock(&l->lock);
    finish(l, &after);
    return err;
}

void lapic_tpr_set(struct lapic *l, uint8_t tpr)
{
    pthread_mutex_lock(&l->lock);
    l->registers[APIC_TPR] = tpr;
    lapic_update(l);
    pthread_mutex_unlock(&l->lock);
}
