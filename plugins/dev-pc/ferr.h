/* SPDX-License-Identifier: MIT
 *
 * dev-pc/ferr.h - how a PC reports x87 errors to processors with CR0.NE = 0.
 */
#ifndef DEV_PC_FERR_H
#define DEV_PC_FERR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct irqchip;
struct lapic;

struct ferr {
    pthread_mutex_t lock; /* before those that irq_set() takes */
    struct irqchip *chip;
    uint32_t asserted; /* processors whose FERR# is */
    uint8_t ignne;     /* IGNNE#, until no FERR# is left */
    uint8_t reserved[3];
};

int ferr_init(struct ferr *f, struct irqchip *chip);
void ferr_exit(struct ferr *f);
void ferr_reset(struct ferr *f);
/* FERR# of the processor behind `l`. Returns IGNNE#. */
uint32_t ferr_level(struct ferr *f, struct lapic *l, bool level);
/* A write to port 0xF0, of any value. */
void ferr_clear(struct ferr *f);

#endif
