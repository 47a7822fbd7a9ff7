/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pic.c - two Intel 8259As (datasheet 231468-003) as a PC has them: cascaded by IR2 of the
 * master, with the edge/level control registers of the PIIX and ICH at 0x4D0.
 *
 * As the datasheet says, a request is gone if its input falls before the INTA cycle, edge-triggered
 * or not; the CPU is given IR7 then. KVM keeps an edge. Leaves out the MCS-80 mode, the single mode
 * and LTIM (ELCR stands in its place, as in the chip sets), and the buffered modes, which concern
 * pins.
 */
#include "irqchip.h"

#include <errno.h>

/* ICW1:  7:5 -  4: 1  3 LTIM  2 ADI  1 SNGL  0 IC4 */
#define ICW1 0x10u
#define ICW1_IC4 0x01u
/* ICW4:  7:5 0  4 SFNM  3 BUF  2 M/S  1 AEOI  0 uPM */
#define ICW4_SFNM 0x10u
#define ICW4_AEOI 0x02u
/* OCW2:  7 R  6 SL  5 EOI  4:3 00  2:0 level */
#define OCW2_R 0x80u
#define OCW2_SL 0x40u
#define OCW2_EOI 0x20u
/* OCW3:  6 ESMM  5 SMM  4:3 01  2 P  1 RR  0 RIS */
#define OCW3 0x08u
#define OCW3_ESMM 0x40u
#define OCW3_SMM 0x20u
#define OCW3_P 0x04u
#define OCW3_RR 0x02u
#define OCW3_RIS 0x01u

/* bp_x86_i8259.init_state: which word the data port takes next. */
enum { READY, WAIT_ICW2, WAIT_ICW3, WAIT_ICW4 };

#define POLL_REQUEST 0x80u
#define SPURIOUS 7u

static const uint8_t elcr_masks[2] = {0xf8, 0xde}; /* not 0, 1, 2, 8, 13: the board's own */

/* ---- priorities ----------------------------------------------------------------------------- */

/* The level of highest priority in `set`, which is not 0. `top`: the level that has it now. */
static uint32_t highest(uint8_t set, uint8_t top)
{
    uint32_t rotated = ((uint32_t)set | (uint32_t)set << 8) >> top & 0xff;

    return ((uint32_t)__builtin_ctz(rotated) + top) & 7;
}

static uint32_t rank(uint32_t level, uint8_t top)
{
    return (level - top) & 7;
}

/* The level that chip `which` asks for, or -1 if none is above what is in service. */
static int32_t request(const struct pic *p, uint32_t which)
{
    const struct bp_x86_i8259 *c = &p->chips[which];
    uint8_t asks = c->irr & (uint8_t)~c->imr, serves = c->isr;

    if (!asks)
        return -1;
    /* A masked level in service inhibits nothing in special mask mode. */
    if (c->special_mask)
        serves &= (uint8_t)~c->imr;
    /* The slave's requests come through while one of its is in service. */
    if (which == 0 && c->special_fully_nested)
        serves &= (uint8_t) ~(1u << PIC_CASCADE);
    uint32_t level = highest(asks, c->priority_add);
    if (serves &&
        rank(highest(serves, c->priority_add), c->priority_add) <= rank(level, c->priority_add))
        return -1;
    return (int32_t)level;
}

/* ---- inputs and output ---------------------------------------------------------------------- */

static bool is_level(const struct bp_x86_i8259 *c, uint32_t level)
{
    return c->elcr >> level & 1;
}

static void input(struct bp_x86_i8259 *c, uint32_t level, bool up)
{
    uint8_t bit = (uint8_t)(1u << level);

    if (!up)
        c->irr &= (uint8_t)~bit;
    else if (is_level(c, level) || !(c->last_irr & bit))
        c->irr |= bit;
    c->last_irr = (uint8_t)(up ? c->last_irr | bit : c->last_irr & ~bit);
}

static void update(struct pic *p)
{
    bool intr;

    input(&p->chips[0], PIC_CASCADE, request(p, 1) >= 0);
    intr = request(p, 0) >= 0;
    if (intr != p->intr) {
        p->intr = intr;
        irqchip_intr(p->chip, intr);
    }
}

void pic_line(struct pic *p, uint32_t line, bool level)
{
    pthread_mutex_lock(&p->lock);
    input(&p->chips[line >> 3], line & 7, level);
    update(p);
    pthread_mutex_unlock(&p->lock);
}

/* ---- service and end ------------------------------------------------------------------------ */

static uint32_t line_of(uint32_t which, uint32_t level)
{
    return 1u << (8 * which + level);
}

static void end(struct pic *p, uint32_t which, uint32_t level, uint32_t *ended)
{
    struct bp_x86_i8259 *c = &p->chips[which];
    uint8_t bit = (uint8_t)(1u << level);

    if (c->isr & bit && !(which == 0 && level == PIC_CASCADE))
        *ended |= line_of(which, level);
    c->isr &= (uint8_t)~bit;
}

/* The INTA pulses for `level`. */
static void serve(struct pic *p, uint32_t which, uint32_t level, uint32_t *ended)
{
    struct bp_x86_i8259 *c = &p->chips[which];

    c->isr |= (uint8_t)(1u << level);
    if (!is_level(c, level))
        c->irr &= (uint8_t) ~(1u << level);
    if (!c->auto_eoi)
        return;
    end(p, which, level, ended);
    if (c->rotate_on_auto_eoi)
        c->priority_add = (uint8_t)((level + 1) & 7);
}

/* Serves what chip `which` asks for: its level, or 7 if it asks for nothing. */
static uint32_t serve_request(struct pic *p, uint32_t which, uint32_t *ended)
{
    int32_t level = request(p, which);

    if (level < 0)
        return SPURIOUS; /* and no bit in ISR */
    serve(p, which, (uint32_t)level, ended);
    return (uint32_t)level;
}

uint8_t pic_acknowledge(struct pic *p, uint32_t *ended)
{
    uint32_t level, which = 0;

    pthread_mutex_lock(&p->lock);
    int32_t asked = request(p, 0);
    level = serve_request(p, 0, ended);
    if (asked == (int32_t)PIC_CASCADE) {
        which = 1;
        level = serve_request(p, 1, ended);
    }
    uint8_t vector = (uint8_t)(p->chips[which].irq_base + level);
    update(p);
    pthread_mutex_unlock(&p->lock);
    return vector;
}

/* ---- registers ------------------------------------------------------------------------------ */

/* Word 1 begins the initialization: page 10 of the datasheet, a to f. Inputs that are up stay so:
 * an edge-triggered one must fall first. */
static void icw1(struct bp_x86_i8259 *c, uint8_t value)
{
    c->irr &= c->elcr & c->last_irr;
    c->imr = c->isr = 0;
    c->priority_add = 0;
    c->special_mask = c->read_isr = c->poll = 0;
    c->rotate_on_auto_eoi = 0;
    c->init4 = (value & ICW1_IC4) != 0;
    if (!c->init4)
        c->special_fully_nested = c->auto_eoi = 0;
    c->init_state = WAIT_ICW2;
}

static void ocw2(struct pic *p, uint32_t which, uint8_t value, uint32_t *ended)
{
    struct bp_x86_i8259 *c = &p->chips[which];
    uint32_t level = value & 7;

    switch (value & (OCW2_R | OCW2_SL | OCW2_EOI)) {
    case OCW2_R: /* rotate in automatic EOI mode: set, clear */
    case 0:
        c->rotate_on_auto_eoi = (value & OCW2_R) != 0;
        break;
    case OCW2_EOI: /* non-specific: the highest in service; not one that is masked in special mask
                      mode */
    case OCW2_R | OCW2_EOI: {
        uint8_t served = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
        if (!served)
            break;
        level = highest(served, c->priority_add);
        end(p, which, level, ended);
        if (value & OCW2_R)
            c->priority_add = (uint8_t)((level + 1) & 7);
        break;
    }
    case OCW2_SL | OCW2_EOI: /* specific */
        end(p, which, level, ended);
        break;
    case OCW2_R | OCW2_SL | OCW2_EOI:
        end(p, which, level, ended);
        c->priority_add = (uint8_t)((level + 1) & 7);
        break;
    case OCW2_R | OCW2_SL: /* set priority: `level` is the bottom */
        c->priority_add = (uint8_t)((level + 1) & 7);
        break;
    default: /* SL alone: no operation */
        break;
    }
}

static void ocw3(struct bp_x86_i8259 *c, uint8_t value)
{
    if (value & OCW3_P)
        c->poll = 1;
    if (value & OCW3_RR)
        c->read_isr = value & OCW3_RIS;
    if (value & OCW3_ESMM)
        c->special_mask = (value & OCW3_SMM) != 0;
}

static void data_write(struct bp_x86_i8259 *c, uint8_t value)
{
    switch (c->init_state) {
    case WAIT_ICW2:
        c->irq_base = value & 0xf8;
        c->init_state = WAIT_ICW3;
        break;
    case WAIT_ICW3: /* who is cascaded where is wired */
        c->init_state = c->init4 ? WAIT_ICW4 : READY;
        break;
    case WAIT_ICW4:
        c->special_fully_nested = (value & ICW4_SFNM) != 0;
        c->auto_eoi = (value & ICW4_AEOI) != 0;
        c->init_state = READY;
        break;
    default:
        c->imr = value; /* OCW1 */
    }
}

void pic_write(struct pic *p, uint32_t which, bool data, uint8_t value, uint32_t *ended)
{
    struct bp_x86_i8259 *c = &p->chips[which];

    pthread_mutex_lock(&p->lock);
    if (data)
        data_write(c, value);
    else if (value & ICW1)
        icw1(c, value);
    else if (value & OCW3)
        ocw3(c, value);
    else
        ocw2(p, which, value, ended);
    update(p);
    pthread_mutex_unlock(&p->lock);
}

uint8_t pic_read(struct pic *p, uint32_t which, bool data, uint32_t *ended)
{
    struct bp_x86_i8259 *c = &p->chips[which];
    uint8_t value;

    pthread_mutex_lock(&p->lock);
    if (c->poll) { /* the read is the INTA */
        int32_t asked = request(p, which);
        c->poll = 0;
        value = (uint8_t)serve_request(p, which, ended);
        if (asked >= 0)
            value |= POLL_REQUEST;
        update(p);
    } else if (data) {
        value = c->imr;
    } else {
        value = c->read_isr ? c->isr : c->irr;
    }
    pthread_mutex_unlock(&p->lock);
    return value;
}

uint8_t pic_elcr_read(struct pic *p, uint32_t which)
{
    uint8_t value;

    pthread_mutex_lock(&p->lock);
    value = p->chips[which].elcr;
    pthread_mutex_unlock(&p->lock);
    return value;
}

void pic_elcr_write(struct pic *p, uint32_t which, uint8_t value)
{
    struct bp_x86_i8259 *c = &p->chips[which];

    pthread_mutex_lock(&p->lock);
    c->elcr = value & c->elcr_mask;
    c->irr |= c->elcr & c->last_irr; /* a level that is up asks */
    update(p);
    pthread_mutex_unlock(&p->lock);
}

/* ---- life ----------------------------------------------------------------------------------- */

int pic_init(struct pic *p, struct irqchip *chip)
{
    p->chip = chip;
    for (uint32_t i = 0; i < 2; i++)
        p->chips[i].elcr_mask = elcr_masks[i];
    return -pthread_mutex_init(&p->lock, NULL);
}

void pic_exit(struct pic *p)
{
    pthread_mutex_destroy(&p->lock);
}

/* The chip has no reset pin, and asks for nothing before ICW1: everything is masked, so that a
 * guest which never programs it is not given vectors 0 to 7. The inputs are what they are. */
void pic_reset(struct pic *p)
{
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < 2; i++)
        p->chips[i] = (struct bp_x86_i8259){
            .elcr_mask = elcr_masks[i], .last_irr = p->chips[i].last_irr, .imr = 0xff};
    update(p);
    pthread_mutex_unlock(&p->lock);
}

void pic_state_get(struct pic *p, struct bp_x86_pic *to)
{
    pthread_mutex_lock(&p->lock);
    to->chip[0] = p->chips[0];
    to->chip[1] = p->chips[1];
    pthread_mutex_unlock(&p->lock);
}

int pic_state_set(struct pic *p, const struct bp_x86_pic *from)
{
    for (uint32_t i = 0; i < 2; i++)
        if (from->chip[i].priority_add > 7 || from->chip[i].init_state > WAIT_ICW4)
            return -EINVAL;
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < 2; i++) {
        struct bp_x86_i8259 *c = &p->chips[i];
        *c = from->chip[i];
        c->elcr_mask = elcr_masks[i];
        c->elcr &= c->elcr_mask;
        c->irq_base &= 0xf8;
    }
    update(p);
    pthread_mutex_unlock(&p->lock);
    return 0;
}
