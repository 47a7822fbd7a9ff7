/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/access.c - accesses to registers, by the memory BAR and by IOADDR and IODATA (13.2).
 *
 * Registers are doublewords; the bus makes such of narrower and wider accesses. Where nothing is
 * reads 0. Besides the addresses of the table there are those of the 82542, under which the
 * commonest registers stand once more.
 */
#include "e1000.h"

#define RO BP_REG_RO
#define RW BP_REG_RW
#define WO BP_REG_WO
#define RC BP_REG_RC

#define IOADDR 0u
#define IODATA 4u

#define PBA_KIB 64u /* of packet buffer, for both ways together */

struct properties {
    uint32_t bits, reset;
    uint8_t access;
    uint8_t reserved[3];
};

#define PROPERTIES(name, offset, access_, bits_, reset_)                                           \
    [R_##name] = {.bits = (bits_), .reset = (reset_), .access = (access_)&BP_REG_ACCESS},
static const struct properties properties[R_COUNT] = {E1000_REGISTERS(PROPERTIES)};

/* From an offset to an index and 1; 0: nothing there. */
#define PLACE(name, offset, access, bits, reset) [(offset) / 4] = R_##name + 1,
#define PLACES_END 0x6000u
static const uint8_t places[PLACES_END / 4] = {E1000_REGISTERS(PLACE)};
_Static_assert(R_COUNT < 255, "an index and 1 is a byte");

#define ENTRY(name, offset, access, bits, reset) {#name, offset, 4, access},
#define ARRAY_ENTRY(name, offset, count, stride, access, bits)                                     \
    {#name "[" #count "]", offset, 4, access},
static const struct bp_register registers[] = {E1000_REGISTERS(ENTRY) E1000_ARRAYS(ARRAY_ENTRY){0}};

static const struct array {
    uint32_t first, count, stride, bits;
    uint32_t offset; /* in struct e1000 */
    uint8_t access, reserved[3];
} arrays[] = {
#define ARRAY(name, first_, count_, stride_, access_, bits_)                                       \
    {.first = (first_),                                                                            \
     .count = (count_),                                                                            \
     .stride = (stride_),                                                                          \
     .bits = (bits_),                                                                              \
     .offset = (uint32_t)offsetof(struct e1000, name),                                             \
     .access = (access_)},
    E1000_ARRAYS(ARRAY)};

/* The 82542's addresses (13.2, table 13-2). */
static const struct alias {
    uint16_t first, bytes, target;
} aliases[] = {
    {0x0040, 0x80, E1000_RA},   {0x0108, 4, E1000_RDTR},     {0x0110, 4, E1000_RDBAL},
    {0x0114, 4, E1000_RDBAH},   {0x0118, 4, E1000_RDLEN},    {0x0120, 4, E1000_RDH},
    {0x0128, 4, E1000_RDT},     {0x0160, 4, E1000_FCRTH},    {0x0168, 4, E1000_FCRTL},
    {0x0200, 0x200, E1000_MTA}, {0x0420, 4, E1000_TDBAL},    {0x0424, 4, E1000_TDBAH},
    {0x0428, 4, E1000_TDLEN},   {0x0430, 4, E1000_TDH},      {0x0438, 4, E1000_TDT},
    {0x0440, 4, E1000_TIDV},    {0x0600, 0x200, E1000_VFTA},
};

uint32_t register_bits(uint32_t index)
{
    return properties[index].bits;
}

uint32_t register_reset(uint32_t index)
{
    return properties[index].reset;
}

static uint32_t resolve(uint32_t offset)
{
    for (uint32_t i = 0; offset < 0x800 && i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (offset - aliases[i].first < aliases[i].bytes)
            return aliases[i].target + (offset - aliases[i].first);
    return offset;
}

static const struct array *find_array(uint32_t offset, uint32_t *index)
{
    for (uint32_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        const struct array *a = &arrays[i];
        uint32_t at = offset - a->first;

        if (offset >= a->first && at % a->stride == 0 && at / a->stride < a->count) {
            *index = at / a->stride;
            return a;
        }
    }
    return NULL;
}

static uint32_t *array_word(struct e1000 *e, const struct array *a, uint32_t index)
{
    return (uint32_t *)(void *)((uint8_t *)e + a->offset) + index;
}

/* ---- reading ---- */

static uint32_t read_icr(struct e1000 *e)
{
    uint32_t value;

    irq_settle(e);
    value = e->reg[R_ICR];
    e->reg[R_ICR] = 0;
    irq_update(e);
    return value;
}

static uint32_t read_register(struct e1000 *e, uint32_t index)
{
    switch (index) {
    case R_STATUS:
        return phy_status(e);
    case R_EECD:
        return eeprom_eecd(e);
    case R_ICR:
        return read_icr(e);
    case R_WUC:
        return wake_wuc_read(e);
    default:
        break;
    }
    if (properties[index].access == WO)
        return 0;
    return index >= R_CRCERRS ? stat_read(e, index) : e->reg[index];
}

static uint32_t read_offset(struct e1000 *e, uint32_t offset)
{
    const struct array *a;
    uint32_t index;

    offset = resolve(offset);
    if (offset < PLACES_END && places[offset / 4])
        return read_register(e, places[offset / 4] - 1u);
    a = find_array(offset, &index);
    return a ? *array_word(e, a, index) : 0;
}

/* ---- writing ---- */

static void write_ctrl(struct e1000 *e, uint32_t value)
{
    if (value & CTRL_RST) {
        device_reset(e);
        return;
    }
    if ((value & CTRL_PHY_RST) && !(e->reg[R_CTRL] & CTRL_PHY_RST))
        phy_reset(e);
    e->reg[R_CTRL] = value & register_bits(R_CTRL);
    phy_update(e);
}

static void write_tctl(struct e1000 *e, uint32_t value)
{
    uint32_t was = e->reg[R_TCTL];

    e->reg[R_TCTL] = value & register_bits(R_TCTL);
    if (value & TCTL_SWXOFF)
        flow_send_xoff(e);
    if ((value & TCTL_EN) && !(was & TCTL_EN))
        tx_enabled(e);
}

static void check_length(struct e1000 *e, const char *name, uint32_t value)
{
    if (value % 128)
        strict_log(e, "%s was written with 0x%x, which is no multiple of 128", name, value);
}

/* 1 if the register is more than what is stored in it. */
static int write_special(struct e1000 *e, uint32_t index, uint32_t value)
{
    switch (index) {
    case R_CTRL:
        write_ctrl(e, value);
        return 1;
    case R_EECD:
        eeprom_eecd_write(e, value);
        return 1;
    case R_EERD:
        eeprom_eerd_write(e, value);
        return 1;
    case R_MDIC:
        phy_mdic_write(e, value);
        return 1;
    case R_ICR:
        irq_settle(e);
        e->reg[R_ICR] &= ~value;
        irq_update(e);
        return 1;
    case R_ICS:
        irq_raise(e, value & register_bits(R_IMS));
        return 1;
    case R_IMS:
        e->reg[R_IMS] |= value & register_bits(R_IMS);
        irq_update(e);
        return 1;
    case R_IMC:
        e->reg[R_IMS] &= ~value;
        irq_update(e);
        return 1;
    case R_TCTL:
        write_tctl(e, value);
        return 1;
    case R_PBA:
        value &= register_bits(R_PBA);
        value = value > PBA_KIB ? PBA_KIB : value;
        e->reg[R_PBA] = (PBA_KIB - value) << 16 | value;
        return 1;
    case R_WUC:
        wake_wuc_write(e, value);
        return 1;
    case R_WUS:
        e->reg[R_WUS] &= ~value;
        return 1;
    default:
        return 0;
    }
}

/* What follows from a register that was stored. */
static void written(struct e1000 *e, uint32_t index, uint32_t value)
{
    switch (index) {
    case R_CTRL_EXT:
        if (value & CTRL_EXT_EE_RST)
            eeprom_load(e);
        break;
    case R_RCTL:
        rx_resume(e); /* what waits may be let in now, or lost */
        break;
    case R_RDLEN:
        check_length(e, "RDLEN", value);
        break;
    case R_RDT:
        if (!(e->reg[R_RCTL] & RCTL_EN))
            strict_log(e, "RDT was written while RCTL.EN is 0");
        rx_resume(e);
        break;
    case R_RDTR:
        if (value & RDTR_FPD)
            irq_flush_received(e);
        break;
    case R_TDLEN:
        check_length(e, "TDLEN", value);
        break;
    case R_TDT:
        tx_kick(e);
        break;
    case R_TDH:
        if (e->reg[R_TCTL] & TCTL_EN)
            strict_log(e, "TDH was written while TCTL.EN is 1");
        break;
    case R_ITR:
        irq_throttled(e);
        break;
    default:
        break;
    }
}

static void write_array(struct e1000 *e, const struct array *a, uint32_t index, uint32_t value)
{
    uint32_t bits = a->bits;

    if (a->access != RW)
        return;
    if (a->first == E1000_RA && index % 2)
        bits = RAH_AV | RAH_AS | 0xffffu;
    *array_word(e, a, index) = value & bits;
}

static void write_offset(struct e1000 *e, uint32_t offset, uint32_t value)
{
    const struct array *a;
    uint32_t index;

    offset = resolve(offset);
    if (offset < PLACES_END && places[offset / 4]) {
        index = places[offset / 4] - 1u;
        if (write_special(e, index, value))
            return;
        if (properties[index].access != RW) {
            strict_log(e, "a write to a register that is read-only, at 0x%x, was ignored", offset);
            return;
        }
        e->reg[index] = value & register_bits(index);
        written(e, index, value);
        return;
    }
    a = find_array(offset, &index);
    if (a)
        write_array(e, a, index, value);
    else
        strict_log(e, "a write to 0x%x, where no register is, was ignored", offset);
}

/* ---- regions ---- */

static uint64_t memory_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return read_offset(self, (uint32_t)offset);
}

static void memory_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    write_offset(self, (uint32_t)offset, (uint32_t)value);
}

/* IOADDR up to 0x1fffc is a register; beyond, flash memory that is not there (13.2.2.1). */
static uint64_t io_read(void *self, uint64_t offset, uint32_t width)
{
    struct e1000 *e = self;

    (void)width;
    if (offset == IOADDR)
        return e->ioaddr;
    if (offset == IODATA && e->ioaddr < E1000_BAR_BYTES)
        return read_offset(e, e->ioaddr & ~3u);
    return 0;
}

static void io_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct e1000 *e = self;

    (void)width;
    if (offset == IOADDR)
        e->ioaddr = (uint32_t)value;
    else if (offset == IODATA && e->ioaddr < E1000_BAR_BYTES)
        write_offset(e, e->ioaddr & ~3u, (uint32_t)value);
}

const struct bp_region_ops e1000_memory_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = memory_read,
    .write = memory_write,
};

static const struct bp_register io_registers[] = {
    {"IOADDR", IOADDR, 4, BP_REG_RW}, {"IODATA", IODATA, 4, BP_REG_RW}, {NULL, 0, 0, 0}};

const struct bp_region_ops e1000_io_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "io",
    .registers = io_registers,
    .read = io_read,
    .write = io_write,
};
