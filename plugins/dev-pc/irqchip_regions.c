/* SPDX-License-Identifier: MIT
 *
 * dev-pc/irqchip_regions.c - the interrupt controllers' ports and registers as the guest has them:
 * where they stand, and which chip an access goes to. What was ended by one is told to the listener
 * here, under no lock.
 */
#include "irqchip.h"

#include <backplane/util/log.h>

static uint64_t pic_region_read(struct irqchip *chip, uint32_t which, uint64_t offset)
{
    uint32_t ended = 0;
    uint8_t value = pic_read(&chip->pic, which, offset & 1, &ended);

    irqchip_lines_ended(chip, ended);
    return value;
}

static void pic_region_write(struct irqchip *chip, uint32_t which, uint64_t offset, uint64_t value)
{
    uint32_t ended = 0;

    pic_write(&chip->pic, which, offset & 1, (uint8_t)value, &ended);
    irqchip_lines_ended(chip, ended);
}

static uint64_t master_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pic_region_read(self, 0, offset);
}

static void master_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pic_region_write(self, 0, offset, value);
}

static uint64_t slave_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pic_region_read(self, 1, offset);
}

static void slave_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pic_region_write(self, 1, offset, value);
}

static uint64_t elcr_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pic_elcr_read(&((struct irqchip *)self)->pic, (uint32_t)offset);
}

static void elcr_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pic_elcr_write(&((struct irqchip *)self)->pic, (uint32_t)offset, (uint8_t)value);
}

static uint64_t pit_region_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pit_read(&((struct irqchip *)self)->pit, (uint32_t)offset);
}

static void pit_region_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pit_write(&((struct irqchip *)self)->pit, (uint32_t)offset, (uint8_t)value);
}

static uint64_t speaker_read(void *self, uint64_t offset, uint32_t width)
{
    (void)offset;
    (void)width;
    return pit_speaker_read(&((struct irqchip *)self)->pit);
}

static void speaker_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)offset;
    (void)width;
    pit_speaker_write(&((struct irqchip *)self)->pit, (uint8_t)value);
}

static uint64_t ferr_region_read(void *self, uint64_t offset, uint32_t width)
{
    (void)self;
    (void)offset;
    (void)width;
    return 0xff; /* write-only */
}

static void ferr_region_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)offset;
    (void)value;
    (void)width;
    ferr_clear(&((struct irqchip *)self)->ferr);
}

static uint64_t ioapic_region_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return ioapic_read(&((struct irqchip *)self)->ioapic, offset);
}

static void ioapic_region_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct irqchip *chip = self;

    (void)width;
    irqchip_pins_ended(chip, ioapic_write(&chip->ioapic, offset, (uint32_t)value));
}

static const struct bp_register pic_registers[] = {
    {"ICW1/OCW2/OCW3", 0, 1, BP_REG_RW}, /* R: IRR, ISR or the poll word */
    {"ICW2-4/IMR", 1, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register elcr_registers[] = {
    {"ELCR1", 0, 1, BP_REG_RW},
    {"ELCR2", 1, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register pit_registers[] = {
    {"COUNTER0", 0, 1, BP_REG_RW},
    {"COUNTER1", 1, 1, BP_REG_RW},
    {"COUNTER2", 2, 1, BP_REG_RW},
    {"CONTROL", 3, 1, BP_REG_WO},
    {NULL, 0, 0, 0},
};
static const struct bp_register speaker_registers[] = {
    {"NMI_SC", 0, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register ferr_registers[] = {
    {"COPROC_ERR", 0, 1, BP_REG_WO},
    {NULL, 0, 0, 0},
};
static const struct bp_register ioapic_registers[] = {
    {"IOREGSEL", 0x00, 4, BP_REG_RW},
    {"IOWIN", 0x10, 4, BP_REG_RW},
    {"EOIR", 0x40, 4, BP_REG_WO}, /* with directed-eoi */
    {NULL, 0, 0, 0},
};

#define REGION(name_, width_, flags_, registers_, read_, write_)                                   \
    {                                                                                              \
        .size = sizeof(struct bp_region_ops), .min_access = (width_), .max_access = (width_),      \
        .flags = (flags_), .register_stride = sizeof(struct bp_register), .name = (name_),         \
        .registers = (registers_), .read = (read_), .write = (write_)                              \
    }

static const struct bp_region_ops region_ops[] = {
    REGION("pic", 1, BP_REGION_UNLOCKED, pic_registers, master_read, master_write),
    REGION("pic2", 1, BP_REGION_UNLOCKED, pic_registers, slave_read, slave_write),
    REGION("elcr", 1, BP_REGION_UNLOCKED, elcr_registers, elcr_read, elcr_write),
    REGION("pit", 1, 0, pit_registers, pit_region_read, pit_region_write),
    REGION("speaker", 1, 0, speaker_registers, speaker_read, speaker_write),
    REGION("ferr", 1, BP_REGION_UNLOCKED, ferr_registers, ferr_region_read, ferr_region_write),
    REGION("ioapic", 4, BP_REGION_UNLOCKED, ioapic_registers, ioapic_region_read,
           ioapic_region_write),
};

#define REGIONS (sizeof(region_ops) / sizeof(region_ops[0]))

const struct bp_region_ops *const irqchip_regions[] = {
    &region_ops[0], &region_ops[1], &region_ops[2], &region_ops[3],
    &region_ops[4], &region_ops[5], &region_ops[6], NULL};
_Static_assert(sizeof(irqchip_regions) / sizeof(irqchip_regions[0]) == REGIONS + 1,
               "all are told of");

static int place(struct irqchip *chip, uint32_t index, uint64_t base, uint64_t length,
                 const char *key)
{
    const struct bp_host *host = chip->host;
    uint32_t space = index == REGIONS - 1 ? BP_SPACE_MMIO : BP_SPACE_PIO;
    struct bp_region *region;
    int err = host->region_new(chip->node, space, length, &region_ops[index], chip, &region);

    if (!err)
        err = host->region_place(region, base);
    if (err)
        bp_failf(host, chip->node, err, "%s 0x%llx to 0x%llx cannot be had; choose another `%s`",
                 space == BP_SPACE_PIO ? "ports" : "addresses", (unsigned long long)base,
                 (unsigned long long)(base + length - 1), key);
    return err;
}

int irqchip_place(struct irqchip *chip)
{
    const struct irqchip_config *c = chip->config;
    const struct {
        const char *key;
        uint64_t base, length;
    } places[REGIONS] = {
        {"pic-port", c->pic_port, 2},
        {"pic2-port", c->pic2_port, 2},
        {"elcr-port", c->elcr_port, 2},
        {"pit-port", c->pit_port, 4},
        {"speaker-port", c->speaker_port, 1},
        {"ferr-port", c->ferr_port, 1},
        {"ioapic-base", c->ioapic_base, IOAPIC_BYTES},
    };

    for (uint32_t i = 0; i < REGIONS; i++) {
        int err = place(chip, i, places[i].base, places[i].length, places[i].key);
        if (err)
            return err;
    }
    return 0;
}
