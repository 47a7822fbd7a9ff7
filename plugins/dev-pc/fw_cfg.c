/* SPDX-License-Identifier: MIT
 *
 * dev-pc/fw_cfg.c - the firmware configuration device of QEMU (docs/specs/fw_cfg), which SeaBIOS
 * and other firmware for virtual machines asks for memory map, ACPI tables and settings. An item is
 * chosen by its number and read in order, byte by byte at a port or by DMA.
 *
 *     +0  selector, a word, WO             +4  DMA address, upper half, big-endian
 *     +1  data, a byte, RO                 +8  lower half; writing it starts the transfer
 *
 * DMA is described by 16 bytes in guest memory, big-endian: control, length, address. The control
 * word is 0 when it is done, or has the bit ERROR. All of it is done before the write returns.
 * Leaves out items that can be written: such a transfer is an error.
 */
#include "fw_cfg.h"
#include "pc.h"

#include <backplane/ext/acpi.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 12u /* the DMA registers included, which begin at 4 */
#define DMA_PORT 4u
#define DATA_PORT 1u
#define KEY_WRITES 0x4000u /* in a selector: ignored since QEMU 2.4 */

#define CONTROL_ERROR 0x01u
#define CONTROL_READ 0x02u
#define CONTROL_SKIP 0x04u
#define CONTROL_SELECT 0x08u
#define CONTROL_WRITE 0x10u
#define DESCRIPTOR_BYTES 16u
/* More than any item has. A read goes on with zeroes beyond an item's end, and a guest shall not
 * keep a processor's thread busy with gigabytes of them. */
#define DMA_MAX 0x1000000u

/* "QEMU CFG", as the DMA registers read. */
static const uint8_t dma_signature[8] = {0x51, 0x45, 0x4d, 0x55, 0x20, 0x43, 0x46, 0x47};

struct fw_cfg {
    const struct bp_host *host;
    struct bp_node *node;
    const struct fw_cfg_config *config;
    const struct bp_firmware *firmware; /* NULL: the machine boots without */
    struct fw_cfg_items items;
    uint32_t stale;    /* 1: the items are to be made anew */
    uint32_t offset;   /* of the next byte in the item; stops at UINT32_MAX */
    uint32_t dma_high; /* upper half of the next transfer's address */
    uint16_t selector;
};

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void choose(struct fw_cfg *f, uint32_t selector)
{
    f->selector = (uint16_t)(selector & ~KEY_WRITES);
    f->offset = 0;
}

static void advance(struct fw_cfg *f, uint32_t bytes)
{
    if (__builtin_add_overflow(f->offset, bytes, &f->offset))
        f->offset = UINT32_MAX;
}

static uint8_t next_byte(struct fw_cfg *f)
{
    const struct fw_cfg_item *item = fw_cfg_item_find(&f->items, f->selector);
    uint8_t byte = item && f->offset < item->length ? item->data[f->offset] : 0;

    advance(f, 1);
    return byte;
}

/* ---- DMA ----------------------------------------------------------------------------------------
 */

static int dma_zeroes(struct fw_cfg *f, uint64_t gpa, uint32_t length)
{
    static const uint8_t zeroes[4096];
    int err = 0;

    for (uint32_t part; length && !err; gpa += part, length -= part) {
        part = length < sizeof(zeroes) ? length : (uint32_t)sizeof(zeroes);
        err = f->host->dma_write(f->node, gpa, zeroes, part);
    }
    return err;
}

static int dma_item(struct fw_cfg *f, uint64_t gpa, uint32_t length)
{
    const struct fw_cfg_item *item = fw_cfg_item_find(&f->items, f->selector);
    uint32_t there = item && f->offset < item->length ? item->length - f->offset : 0;
    uint64_t end;
    int err = 0;

    if (length > DMA_MAX || __builtin_add_overflow(gpa, length, &end))
        return -EINVAL;
    if (there > length)
        there = length;
    if (there)
        err = f->host->dma_write(f->node, gpa, item->data + f->offset, there);
    if (!err)
        err = dma_zeroes(f, gpa + there, length - there);
    if (!err)
        advance(f, length);
    return err;
}

static void dma(struct fw_cfg *f, uint64_t gpa)
{
    uint8_t raw[DESCRIPTOR_BYTES], done[4] = {0};
    int err = f->host->dma_read(f->node, gpa, raw, sizeof(raw));

    if (err) { /* there is nowhere to say so */
        bp_logf(f->host, f->node, BP_LOG_DEBUG | BP_LOG_GUEST,
                "the description of a transfer at 0x%llx is not in RAM", (unsigned long long)gpa);
        return;
    }
    uint32_t control = be32(raw), length = be32(raw + 4);
    uint64_t address = (uint64_t)be32(raw + 8) << 32 | be32(raw + 12);
    if (control & CONTROL_SELECT)
        choose(f, control >> 16);
    if (control & CONTROL_READ)
        err = dma_item(f, address, length);
    else if (control & CONTROL_WRITE)
        err = -EROFS;
    else if (control & CONTROL_SKIP)
        advance(f, length);
    if (err)
        bp_logf(f->host, f->node, BP_LOG_DEBUG | BP_LOG_GUEST,
                "a transfer of %u bytes of item 0x%x to 0x%llx is refused: %s", length, f->selector,
                (unsigned long long)address, strerror(-err));
    done[3] = err ? CONTROL_ERROR : 0;
    f->host->dma_write(f->node, gpa, done, sizeof(done));
}

/* ---- ports --------------------------------------------------------------------------------------
 */

static uint64_t fw_cfg_read(void *self, uint64_t offset, uint32_t width)
{
    uint64_t value = 0;

    if (offset == DATA_PORT && width == 1)
        return next_byte(self);
    for (uint32_t i = 0; i < width && offset >= DMA_PORT; i++)
        value |= (uint64_t)dma_signature[offset - DMA_PORT + i] << 8 * i;
    return value;
}

static void fw_cfg_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct fw_cfg *f = self;
    uint32_t swapped = __builtin_bswap32((uint32_t)value);

    if (offset == 0 && width == 2)
        choose(f, (uint32_t)value);
    if (width != 4)
        return;
    if (offset == DMA_PORT) {
        f->dma_high = swapped;
    } else if (offset == DMA_PORT + 4) {
        uint64_t gpa = (uint64_t)f->dma_high << 32 | swapped;
        f->dma_high = 0; /* so that 32-bit firmware need not write it */
        dma(f, gpa);
    }
}

static const struct bp_register fw_cfg_registers[] = {
    {"SELECTOR", 0, 2, BP_REG_WO},
    {"DATA", 1, 1, BP_REG_RO},
    {"DMA_ADDRESS_HIGH", 4, 4, BP_REG_RW},
    {"DMA_ADDRESS_LOW", 8, 4, BP_REG_RW},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops fw_cfg_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = fw_cfg_registers,
    .read = fw_cfg_read,
    .write = fw_cfg_write,
};

/* ---- life ---------------------------------------------------------------------------------------
 */

static int check_boot_order(const struct bp_host *host, struct bp_node *node,
                            const struct bp_list *order)
{
    const char *const *places = order->items;
    uint32_t devfn;

    for (uint64_t i = 0; i < order->count; i++)
        if (fw_cfg_parse_place(places[i], &devfn))
            return bp_failf(host, node, -EINVAL,
                            "`boot-order` has \"%.40s\": expected a place on the PCI bus in hex, a "
                            "device from 0 to 1f with or without a function from 0 to 7, such as "
                            "4 or 1f.2",
                            places[i]);
    return 0;
}

static int fw_cfg_create(const struct bp_host *host, struct bp_node *node, const void *config,
                         void **self)
{
    const struct fw_cfg_config *c = config;
    struct bp_region *region;
    struct fw_cfg *f;
    int err = check_boot_order(host, node, &c->boot_order);

    if (err)
        return err;
    f = calloc(1, sizeof(*f));
    if (!f)
        return host->fail(node, -ENOMEM, "no memory for fw_cfg");
    f->host = host;
    f->node = node;
    f->config = c;
    f->firmware = host->extension(node, BP_FIRMWARE_ID);
    f->stale = 1;
    err = host->region_new(node, BP_SPACE_PIO, PORTS, &fw_cfg_region, f, &region);
    if (!err)
        err = host->region_place(region, c->port);
    if (err) {
        free(f);
        return bp_failf(host, node, err, "ports 0x%x to 0x%x cannot be had; choose another `port`",
                        c->port, c->port + PORTS - 1);
    }
    *self = f;
    return 0;
}

static void fw_cfg_destroy(void *self)
{
    struct fw_cfg *f = self;

    fw_cfg_items_free(&f->items);
    free(f);
}

static void fw_cfg_reset(void *self, uint32_t kind)
{
    struct fw_cfg *f = self;

    (void)kind;
    f->selector = 0;
    f->offset = 0;
    f->dma_high = 0;
    f->stale = 1; /* the host makes tables after this */
}

static int fw_cfg_start(void *self)
{
    struct fw_cfg *f = self;
    int err;

    if (!f->stale)
        return 0;
    fw_cfg_items_free(&f->items);
    err = fw_cfg_items_fill(&f->items, f->config, f->firmware, f->node);
    if (err)
        return f->host->fail(f->node, err, "no memory for what firmware asks for");
    f->stale = 0;
    return 0;
}

static void fw_cfg_describe(void *self, struct bp_acpi_builder *b)
{
    struct fw_cfg *f = self;

    b->device(b, "QEMU0002", 0, f->config->port, PORTS, UINT32_MAX);
}

static const struct bp_acpi fw_cfg_acpi = {
    .size = sizeof(struct bp_acpi),
    .describe = fw_cfg_describe,
};

static const void *fw_cfg_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_ACPI_ID) ? NULL : &fw_cfg_acpi;
}

static const struct bp_field fw_cfg_fields[] = {
    BP_FIELD(struct fw_cfg, offset, 1),
    BP_FIELD(struct fw_cfg, dma_high, 1),
    BP_FIELD(struct fw_cfg, selector, 1),
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops fw_cfg_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fw_cfg_fields,
    .field_stride = sizeof(struct bp_field),
    .create = fw_cfg_create,
    .destroy = fw_cfg_destroy,
    .reset = fw_cfg_reset,
    .start = fw_cfg_start,
    .extension = fw_cfg_extension,
};

static const struct bp_prop fw_cfg_props[] = {
    {
        .name = "port",
        .help = "first of the twelve ports; firmware looks for it at 0x510",
        .initial = "0x510",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = PORTS,
        BP_PROP_AT(struct fw_cfg_config, port),
    },
    {
        .name = "console",
        .help = "port of the UART that is firmware's console; 0: none",
        .initial = "0x3f8",
        .type = BP_PROP_UINT,
        BP_PROP_AT(struct fw_cfg_config, console),
    },
    {
        .name = "menu",
        .help = "firmware asks on its console for the disk to boot from",
        .initial = "no",
        .type = BP_PROP_BOOL,
        BP_PROP_AT(struct fw_cfg_config, menu),
    },
    {
        .name = "retry",
        .help = "seconds after which firmware that found nothing to boot resets the machine; 0: "
                "never",
        .initial = "0",
        .min = 0,
        .max = 4000000,
        .type = BP_PROP_UINT,
        BP_PROP_AT(struct fw_cfg_config, retry),
    },
    {
        .name = "boot-order",
        .help = "places on the PCI bus that firmware tries first, in this order: 4, 1f.2",
        .type = BP_PROP_STRING,
        .flags = BP_PROP_LIST,
        BP_PROP_AT(struct fw_cfg_config, boot_order),
    },
    {.name = NULL},
};

const struct bp_model fw_cfg_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "fw-cfg",
    .summary = "QEMU's firmware configuration device: memory map, ACPI tables and settings",
    .props = fw_cfg_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct fw_cfg_config),
    .flags = BP_MODEL_ONCE,
    .instance = &fw_cfg_ops,
};
