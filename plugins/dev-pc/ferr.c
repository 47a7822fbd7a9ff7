/* SPDX-License-Identifier: MIT
 *
 * dev-pc/ferr.c - FERR#, IRQ 13, port 0xF0 and IGNNE#: how a PC/AT reports x87 errors, and every
 * chipset since.
 *
 * Intel SDM 1, appendix D.2.1.3 and figure D-1; I/O Controller Hub 9 datasheet, 5.15 and 13.7.3
 * (COPROC_ERR). FERR# of any processor raises IRQ 13, which stays until port 0xF0 is written. That
 * write also asserts IGNNE# while FERR# is, so that the handler can use the x87 before it has
 * cleared the error. Left out: port 0xF1, which reset a coprocessor of its own; and IGNNE# is in
 * no snapshot: a handler that goes on elsewhere before it has cleared the error is told of it
 * again.
 */
#include "ferr.h"

#include "irqchip.h"

#define FERR_LINE 13u

int ferr_init(struct ferr *f, struct irqchip *chip)
{
    f->chip = chip;
    return pthread_mutex_init(&f->lock, NULL);
}

void ferr_exit(struct ferr *f)
{
    pthread_mutex_destroy(&f->lock);
}

/* Under the lock, so that the line follows the order of events. */
static void set_irq(struct ferr *f, bool irq)
{
    f->chip->host->irq_set(f->chip->node, FERR_LINE, irq);
}

void ferr_reset(struct ferr *f)
{
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < irqchip_lapics(f->chip); i++) {
        struct lapic *l = irqchip_lapic(f->chip, i);
        if (l)
            l->ferr = false;
    }
    f->asserted = 0;
    f->ignne = 0;
    set_irq(f, false);
    pthread_mutex_unlock(&f->lock);
}

uint32_t ferr_level(struct ferr *f, struct lapic *l, bool level)
{
    uint32_t ignne;

    pthread_mutex_lock(&f->lock);
    if (l->ferr != level) {
        l->ferr = level;
        f->asserted += level ? 1 : UINT32_MAX;
        if (!f->asserted)
            f->ignne = 0;
        else if (level && f->asserted == 1 && !f->ignne)
            set_irq(f, true);
    }
    ignne = f->ignne;
    pthread_mutex_unlock(&f->lock);
    return ignne;
}

void ferr_clear(struct ferr *f)
{
    bool rises;

    pthread_mutex_lock(&f->lock);
    set_irq(f, false);
    rises = f->asserted && !f->ignne;
    f->ignne |= rises;
    pthread_mutex_unlock(&f->lock);
    if (rises)
        irqchip_attention(f->chip);
}
