/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pic.h - the two 8259As of a PC, one cascaded behind the other's IR2.
 */
#ifndef DEV_PC_PIC_H
#define DEV_PC_PIC_H

#include <backplane/ext/x86.h>
#include <pthread.h>
#include <stdbool.h>

struct irqchip;

struct pic {
    pthread_mutex_t
        lock; /* before those of I/O APIC and local APICs, which hear of INTR under it */
    struct irqchip *chip;
    struct bp_x86_i8259 chips[2]; /* [0]: the master */
    bool intr;                    /* the master's output */
    uint8_t reserved[7];
};

#define PIC_CASCADE 2u

int pic_init(struct pic *p, struct irqchip *chip);
void pic_exit(struct pic *p);
void pic_reset(struct pic *p);
/* Input `line` (0..15, not 2) rises or falls. */
void pic_line(struct pic *p, uint32_t line, bool level);
/* The INTA cycle: a vector, of IR7 if nothing asks any more. Here and below *ended gains bit n when
 * the interrupt of line n ends. */
uint8_t pic_acknowledge(struct pic *p, uint32_t *ended);
/* Command (`data` false) and data ports of chip `which`. */
uint8_t pic_read(struct pic *p, uint32_t which, bool data, uint32_t *ended);
void pic_write(struct pic *p, uint32_t which, bool data, uint8_t value, uint32_t *ended);
/* The edge/level control register. */
uint8_t pic_elcr_read(struct pic *p, uint32_t which);
void pic_elcr_write(struct pic *p, uint32_t which, uint8_t value);
void pic_state_get(struct pic *p, struct bp_x86_pic *to);
int pic_state_set(struct pic *p, const struct bp_x86_pic *from);

#endif
