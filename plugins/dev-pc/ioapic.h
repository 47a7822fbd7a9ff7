/* SPDX-License-Identifier: MIT
 *
 * dev-pc/ioapic.h - the I/O APIC: 24 inputs, each turned into messages to local APICs.
 */
#ifndef DEV_PC_IOAPIC_H
#define DEV_PC_IOAPIC_H

#include <backplane/ext/x86.h>
#include <pthread.h>
#include <stdbool.h>

struct irqchip;

#define IOAPIC_PINS 24u
#define IOAPIC_BASE 0xfec00000u

struct ioapic {
    pthread_mutex_t lock; /* before those of the local APICs, to which it delivers under it */
    struct irqchip *chip;
    uint32_t select, id;
    uint32_t irr; /* levels of the inputs */
    bool has_eoi; /* version 0x20, with an EOI register */
    uint8_t reserved[3];
    uint64_t redirection[IOAPIC_PINS];
};

int ioapic_init(struct ioapic *io, struct irqchip *chip, bool has_eoi);
void ioapic_exit(struct ioapic *io);
void ioapic_reset(struct ioapic *io);
void ioapic_pin(struct ioapic *io, uint32_t pin, bool level);
/* The end of `vector` was broadcast: bit n of the result says that input n had it. */
uint32_t ioapic_eoi(struct ioapic *io, uint8_t vector);
uint32_t ioapic_read(struct ioapic *io, uint64_t offset);
/* A write; the inputs that it ended, as ioapic_eoi(). */
uint32_t ioapic_write(struct ioapic *io, uint64_t offset, uint32_t value);
void ioapic_state_get(struct ioapic *io, struct bp_x86_ioapic *to);
int ioapic_state_set(struct ioapic *io, const struct bp_x86_ioapic *from);

#endif
