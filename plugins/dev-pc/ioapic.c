/* SPDX-License-Identifier: MIT
 *
 * dev-pc/ioapic.c - the I/O APIC: Intel 82093AA (datasheet 290566-001), or with `directed-eoi` its
 * successor of version 0x20 with an EOI register (I/O Controller Hub 9 datasheet, 13.5).
 *
 * Polarity is a register without effect: a line that is asserted is 1 here whatever the guest
 * writes, as it is for KVM's. Messages are delivered at once, so delivery status always reads idle.
 */
#include "irqchip.h"

#include <errno.h>

#define IOREGSEL 0x00u
#define IOWIN 0x10u
#define EOIR 0x40u

#define REG_ID 0x00u
#define REG_VERSION 0x01u
#define REG_ARBITRATION 0x02u
#define REG_REDIRECTION 0x10u /* two for each input */

#define VERSION_82093AA 0x11u
#define VERSION_WITH_EOI 0x20u

/* A redirection entry. Bits 55:49 extend the destination to 15 bits (irqchip.h, msi).
 *
 *     63..56  55..49  16    15       14          13        12      11      10..8  7..0
 *     dest    ext     mask  trigger  remote IRR  polarity  status  logical mode   vector
 */
#define ENTRY_VECTOR UINT64_C(0xff)
#define ENTRY_MODE_SHIFT 8
#define ENTRY_LOGICAL (UINT64_C(1) << 11)
#define ENTRY_REMOTE_IRR (UINT64_C(1) << 14)
#define ENTRY_LEVEL (UINT64_C(1) << 15)
#define ENTRY_MASKED (UINT64_C(1) << 16)
#define ENTRY_READ_ONLY (ENTRY_REMOTE_IRR | UINT64_C(1) << 12)
#define ENTRY_BITS UINT64_C(0xfffe00000001ffff)

static uint32_t mode_of(uint64_t entry)
{
    return entry >> ENTRY_MODE_SHIFT & 7;
}

/* Only fixed and lowest-priority interrupts have levels; the others are edges whatever is written
 * (82093AA, 3.2.4, delivery mode). */
static bool is_level(uint64_t entry)
{
    return entry & ENTRY_LEVEL && mode_of(entry) <= MODE_LOWEST;
}

static bool send(struct ioapic *io, uint64_t entry)
{
    struct apic_message m = {
        .destination = (uint32_t)(entry >> 56) | (uint32_t)(entry >> 49 & 0x7f) << 8,
        .vector = (uint8_t)(entry & ENTRY_VECTOR),
        .mode = (uint8_t)mode_of(entry),
        .logical = entry & ENTRY_LOGICAL,
        .level = is_level(entry),
        .lowest = mode_of(entry) == MODE_LOWEST,
    };

    return m.mode != MODE_RESERVED && m.mode != MODE_SIPI && apic_send(io->chip, &m, NULL) > 0;
}

/* Sends for a level-triggered input that is up, unless the processor has still to end the last one.
 */
static void service_level(struct ioapic *io, uint32_t pin)
{
    uint64_t *entry = &io->redirection[pin];

    if (is_level(*entry) && io->irr >> pin & 1 && !(*entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) &&
        send(io, *entry))
        *entry |= ENTRY_REMOTE_IRR;
}

void ioapic_pin(struct ioapic *io, uint32_t pin, bool level)
{
    uint32_t bit = 1u << pin;

    pthread_mutex_lock(&io->lock);
    uint64_t entry = io->redirection[pin];
    bool rises = level && !(io->irr & bit);
    io->irr = level ? io->irr | bit : io->irr & ~bit;
    if (is_level(entry))
        service_level(io, pin);
    else if (rises && !(entry & ENTRY_MASKED)) /* an edge at a masked input is lost */
        send(io, entry);
    pthread_mutex_unlock(&io->lock);
}

static uint32_t end(struct ioapic *io, uint8_t vector)
{
    uint32_t ended = 0;

    for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *entry = &io->redirection[pin];
        if (!(*entry & ENTRY_REMOTE_IRR) || (*entry & ENTRY_VECTOR) != vector)
            continue;
        *entry &= ~ENTRY_REMOTE_IRR;
        ended |= 1u << pin;
        service_level(io, pin); /* still up: once more */
    }
    return ended;
}

uint32_t ioapic_eoi(struct ioapic *io, uint8_t vector)
{
    pthread_mutex_lock(&io->lock);
    uint32_t ended = end(io, vector);
    pthread_mutex_unlock(&io->lock);
    return ended;
}

/* ---- registers ------------------------------------------------------------------------------ */

static uint32_t window_read(const struct ioapic *io)
{
    uint32_t index = io->select - REG_REDIRECTION;

    if (io->select >= REG_REDIRECTION && index < 2 * IOAPIC_PINS)
        return (uint32_t)(io->redirection[index / 2] >> (index & 1 ? 32 : 0));
    switch (io->select) {
    case REG_ID:
    case REG_ARBITRATION:
        return io->id << 24;
    case REG_VERSION:
        return (io->has_eoi ? VERSION_WITH_EOI : VERSION_82093AA) | (IOAPIC_PINS - 1) << 16;
    default:
        return 0;
    }
}

/* Making an input edge-triggered drops its remote IRR: the way in which software ends an interrupt
 * here where there is no EOI register (Linux: mask and edge, then level again). */
static void redirection_write(struct ioapic *io, uint32_t index, uint32_t value)
{
    uint64_t *entry = &io->redirection[index / 2];
    uint32_t shift = index & 1 ? 32 : 0;
    uint64_t written = (UINT64_C(0xffffffff) << shift) & ENTRY_BITS & ~ENTRY_READ_ONLY;

    *entry = (*entry & ~written) | ((uint64_t)value << shift & written);
    if (!is_level(*entry))
        *entry &= ~ENTRY_REMOTE_IRR;
    service_level(io, index / 2);
}

uint32_t ioapic_read(struct ioapic *io, uint64_t offset)
{
    uint32_t value = 0;

    pthread_mutex_lock(&io->lock);
    if (offset == IOREGSEL)
        value = io->select;
    else if (offset == IOWIN)
        value = window_read(io);
    pthread_mutex_unlock(&io->lock);
    return value;
}

uint32_t ioapic_write(struct ioapic *io, uint64_t offset, uint32_t value)
{
    uint32_t ended = 0;

    pthread_mutex_lock(&io->lock);
    if (offset == IOREGSEL)
        io->select = value & 0xff;
    else if (offset == EOIR && io->has_eoi)
        ended = end(io, (uint8_t)value);
    else if (offset == IOWIN && io->select == REG_ID)
        io->id = value >> 24 & 0xf;
    else if (offset == IOWIN && io->select >= REG_REDIRECTION &&
             io->select < REG_REDIRECTION + 2 * IOAPIC_PINS)
        redirection_write(io, io->select - REG_REDIRECTION, value);
    pthread_mutex_unlock(&io->lock);
    return ended;
}

/* ---- life ----------------------------------------------------------------------------------- */

int ioapic_init(struct ioapic *io, struct irqchip *chip, bool has_eoi)
{
    io->chip = chip;
    io->has_eoi = has_eoi;
    return -pthread_mutex_init(&io->lock, NULL);
}

void ioapic_exit(struct ioapic *io)
{
    pthread_mutex_destroy(&io->lock);
}

/* The levels of the inputs are what they are. */
void ioapic_reset(struct ioapic *io)
{
    pthread_mutex_lock(&io->lock);
    io->select = io->id = 0;
    for (uint32_t i = 0; i < IOAPIC_PINS; i++)
        io->redirection[i] = ENTRY_MASKED;
    pthread_mutex_unlock(&io->lock);
}

void ioapic_state_get(struct ioapic *io, struct bp_x86_ioapic *to)
{
    pthread_mutex_lock(&io->lock);
    *to = (struct bp_x86_ioapic){
        .base_address = IOAPIC_BASE,
        .ioregsel = io->select,
        .id = io->id,
        .irr = io->irr,
    };
    for (uint32_t i = 0; i < IOAPIC_PINS; i++)
        to->redirection[i] = io->redirection[i];
    pthread_mutex_unlock(&io->lock);
}

/* Nothing is sent for what was up when the state was taken: that is in the local APICs' state
 * already, but for the 8259s' INTR, which a local APIC cannot say. */
int ioapic_state_set(struct ioapic *io, const struct bp_x86_ioapic *from)
{
    if (from->base_address != IOAPIC_BASE)
        return -EINVAL;
    pthread_mutex_lock(&io->lock);
    bool intr = io->irr & 1;
    io->select = from->ioregsel & 0xff;
    io->id = from->id & 0xf;
    /* Lines that devices raised before are up, too: they are not told again. */
    io->irr |= from->irr & ((1u << IOAPIC_PINS) - 2);
    for (uint32_t i = 0; i < IOAPIC_PINS; i++) {
        io->redirection[i] = from->redirection[i] & ENTRY_BITS & ~(UINT64_C(1) << 12);
        if (!is_level(io->redirection[i]))
            io->redirection[i] &= ~ENTRY_REMOTE_IRR;
    }
    if (intr && !(io->redirection[0] & ENTRY_MASKED) && mode_of(io->redirection[0]) == MODE_EXTINT)
        send(io, io->redirection[0]);
    for (uint32_t i = 0; i < IOAPIC_PINS; i++)
        service_level(io, i);
    pthread_mutex_unlock(&io->lock);
    return 0;
}
