/* SPDX-License-Identifier: MIT
 *
 * dev-pc/irqchip.h - the interrupt controllers together, as they are wired on the board:
 *
 *     lines 0-15 --> 8259s --INTR--+--> LINT0 of every local APIC --+
 *     lines 0-23 --> I/O APIC <----+ (input 0)                      +--> processor
 *                        +-- messages --> local APICs --------------+
 *     MSI, IPI ----------------------------^          NMI --> LINT1
 *
 *     FERR# of every processor --> IRQ 13, IGNNE# (ferr.h)
 *
 * Order of locks: FERR#'s, 8259s, I/O APIC, one local APIC.
 */
#ifndef DEV_PC_IRQCHIP_H
#define DEV_PC_IRQCHIP_H

#include "ferr.h"
#include "ioapic.h"
#include "lapic.h"
#include "pic.h"
#include "pit.h"

#include <backplane/plugin.h>

struct irqchip_config {
    uint64_t ioapic_base;
    uint16_t pic_port, pic2_port, elcr_port, pit_port, speaker_port, ferr_port;
    uint8_t virtual_wire, directed_eoi;
};

struct irqchip {
    const struct bp_host *host;
    struct bp_node *node;
    const struct irqchip_config *config;
    struct pic pic;
    struct ioapic ioapic;
    struct pit pit;
    struct ferr ferr;
    void (*eoi)(void *context, uint32_t line); /* or NULL */
    void *eoi_context;

    pthread_mutex_t attach_lock; /* of `detached`, and for writing `lapics` */
    struct lapic *detached;
    uint32_t lapic_count; /* atomic: above the highest index in use */
    uint32_t lowest_next; /* atomic: where the search for the lowest priority begins */
    struct lapic *lapics[BP_IRQCHIP_VCPUS]; /* atomic pointers; NULL: not attached */
};

/* The local APIC of vCPU `index`, or NULL. */
static inline struct lapic *irqchip_lapic(const struct irqchip *chip, uint32_t index)
{
    return index < BP_IRQCHIP_VCPUS ? __atomic_load_n(&chip->lapics[index], __ATOMIC_ACQUIRE)
                                    : NULL;
}

static inline uint32_t irqchip_lapics(const struct irqchip *chip)
{
    return __atomic_load_n(&chip->lapic_count, __ATOMIC_ACQUIRE);
}

/* ---- irqchip.c: wires ---- */

/* Has every vCPU look whether there is something for it. Under no lock. */
void irqchip_attention(struct irqchip *chip);
/* INTR of the 8259s changed; under their lock. */
void irqchip_intr(struct irqchip *chip, bool level);
/* Tells the listener of the I/O APIC inputs in `pins` that were ended. Under no lock. */
void irqchip_pins_ended(struct irqchip *chip, uint32_t pins);
/* The same for lines of the 8259s. */
void irqchip_lines_ended(struct irqchip *chip, uint32_t lines);
/* A local APIC ended `vector` and broadcasts it. Under no lock. */
void irqchip_eoi(struct irqchip *chip, uint8_t vector);

/* ---- irqchip_interface.c ---- */

extern const struct bp_irqchip irqchip_interface; /* of a struct irqchip */

/* ---- irqchip_regions.c ---- */

#define IOAPIC_BYTES 0x1000u

extern const struct bp_region_ops *const irqchip_regions[]; /* for the model's table */
/* Makes the regions where the config has them. -errno with a sentence. */
int irqchip_place(struct irqchip *chip);

#endif
