/* SPDX-License-Identifier: MIT
 *
 * dev-pc/apic_bus.c - which local APICs a message reaches (SDM 3A, 11.6.2), and the two forms in
 * which software writes one: the interrupt command register (11.6.1) and an MSI (11.11).
 *
 * Of those that a lowest-priority interrupt may go to, the one with the lowest PPR class takes it;
 * among equals they take turns. Nothing is remapped.
 */
#include "irqchip.h"

#include <backplane/util/log.h>

#define SHORTHAND_SHIFT 18
#define SHORTHAND_NONE 0u
#define SHORTHAND_SELF 1u
#define SHORTHAND_ALL 2u

#define ICR_LOGICAL (1u << 11)
#define ICR_ASSERT (1u << 14)
#define ICR_LEVEL (1u << 15)

#define MSI_PREFIX 0xfee00000u
#define MSI_LOGICAL (1u << 2)
#define MSI_HINT (1u << 3)

static bool deliver(struct lapic *l, const struct apic_message *m)
{
    bool taken;

    pthread_mutex_lock(&l->lock);
    taken = lapic_matches(l, m) && lapic_accept(l, m->mode, m->vector, m->level);
    pthread_mutex_unlock(&l->lock);
    return taken;
}

static uint32_t send_lowest(struct irqchip *chip, const struct apic_message *m,
                            const struct lapic *except)
{
    uint32_t count = irqchip_lapics(chip), best_class = UINT32_MAX, best = 0;
    uint32_t first = __atomic_load_n(&chip->lowest_next, __ATOMIC_RELAXED);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (first + i) % count, class = UINT32_MAX;
        struct lapic *l = irqchip_lapic(chip, at);

        if (!l || l == except)
            continue;
        pthread_mutex_lock(&l->lock);
        if (lapic_is_enabled(l) && lapic_matches(l, m))
            class = l->registers[APIC_PPR] >> 4;
        pthread_mutex_unlock(&l->lock);
        if (class < best_class) {
            best_class = class;
            best = at;
        }
    }
    if (best_class == UINT32_MAX)
        return 0;
    __atomic_store_n(&chip->lowest_next, best + 1, __ATOMIC_RELAXED);
    return deliver(irqchip_lapic(chip, best), m);
}

uint32_t apic_send(struct irqchip *chip, const struct apic_message *m, const struct lapic *except)
{
    uint32_t count = irqchip_lapics(chip), taken = 0;

    if (m->lowest)
        return send_lowest(chip, m, except);
    if (!m->logical && !m->broadcast && (m->destination != 0xff || m->wide)) {
        struct lapic *l = irqchip_lapic(chip, m->destination);
        return l && deliver(l, m);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct lapic *l = irqchip_lapic(chip, i);
        if (l && l != except)
            taken += deliver(l, m);
    }
    return taken;
}

void apic_send_ipi(struct lapic *from, uint32_t icr, uint32_t destination)
{
    uint32_t shorthand = icr >> SHORTHAND_SHIFT & 3;
    struct apic_message m = {
        .destination = destination,
        .vector = (uint8_t)(icr & LVT_VECTOR),
        .mode = (uint8_t)((icr & LVT_MODE) >> LVT_MODE_SHIFT),
        .logical = icr & ICR_LOGICAL,
        .level = icr & ICR_LEVEL && icr & ICR_ASSERT,
        /* 8 bits from an xAPIC, 32 from an x2APIC: only the former sends 0xff for all. */
        .wide = lapic_is_x2(from),
        .broadcast = destination == (lapic_is_x2(from) ? UINT32_MAX : 0xffu),
    };

    /* De-asserting an INIT did something until the Pentium only (11.6.1, Level). */
    if (m.mode == MODE_RESERVED || m.mode == MODE_EXTINT ||
        (m.mode == MODE_INIT && icr & ICR_LEVEL && !(icr & ICR_ASSERT)))
        return;
    m.lowest = m.mode == MODE_LOWEST && shorthand == SHORTHAND_NONE;
    if (shorthand == SHORTHAND_SELF) {
        m.logical = false;
        m.broadcast = false;
        m.destination = from->id;
        pthread_mutex_lock(&from->lock);
        lapic_accept(from, m.mode, m.vector, m.level);
        pthread_mutex_unlock(&from->lock);
        return;
    }
    if (shorthand != SHORTHAND_NONE)
        m.broadcast = true;
    apic_send(from->chip, &m, shorthand > SHORTHAND_ALL ? from : NULL);
}

void apic_send_msi(struct irqchip *chip, uint64_t address, uint32_t data)
{
    struct apic_message m = {
        .destination = (uint32_t)(address >> 12 & 0xff) | (uint32_t)(address >> 5 & 0x7f) << 8,
        .vector = (uint8_t)(data & LVT_VECTOR),
        .mode = (uint8_t)((data & LVT_MODE) >> LVT_MODE_SHIFT),
        .logical = address & MSI_LOGICAL,
        .level = data & ICR_LEVEL,
    };

    if ((address & ~UINT64_C(0xfffff)) != MSI_PREFIX || m.mode == MODE_RESERVED ||
        m.mode == MODE_SIPI) {
        bp_logf(chip->host, chip->node, BP_LOG_WARN | BP_LOG_GUEST,
                "the message 0x%x to 0x%llx is no interrupt", data, (unsigned long long)address);
        return;
    }
    if (m.level && !(data & ICR_ASSERT))
        return; /* a level that falls: there is no level to be kept */
    m.lowest = m.mode == MODE_LOWEST || (m.mode == MODE_FIXED && address & MSI_HINT);
    apic_send(chip, &m, NULL);
}
