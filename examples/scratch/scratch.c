/* SPDX-License-Identifier: MIT
 *
 * scratch.c - an example of a device that is no part of Backplane: an adder. The guest adds numbers
 * to a sum, is interrupted when the sum overflows, and lets the device copy the sum into its
 * memory.
 *
 * One page of MMIO with 32-bit registers:
 *
 *     0x00 ID       RO    "PBSC", says that the device is there
 *     0x04 SCRATCH  RW    keeps what is written
 *     0x08 ADD      WO    adds the value to SUM
 *     0x0c SUM      RO
 *     0x10 STATUS   RW1C  bit 0 OVERFLOW, bit 1 DONE, bit 2 DMA_ERROR
 *     0x14 ENABLE   RW    the interrupt is up while STATUS & ENABLE is not 0
 *     0x18 DMA_LOW  RW    where COMMAND stores the sum: guest-physical address
 *     0x1c DMA_HIGH RW
 *     0x20 COMMAND  WO    1: store SUM as 4 bytes, little endian; 2: SUM = 0
 */
#include <backplane/plugin.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>

enum {
    ID = 0x00,
    SCRATCH = 0x04,
    ADD = 0x08,
    SUM = 0x0c,
    STATUS = 0x10,
    ENABLE = 0x14,
    DMA_LOW = 0x18,
    DMA_HIGH = 0x1c,
    COMMAND = 0x20,
    PAGE = 0x1000
};

#define OVERFLOW 1u
#define DONE 2u
#define DMA_ERROR 4u

#define COMMAND_STORE 1u
#define COMMAND_CLEAR 2u

/* What the machine file says; `props` below names the members. */
struct config {
    uint64_t base;
    uint8_t irq;
};

struct scratch {
    const struct bp_host *host; /* every call into Backplane goes through this table */
    struct bp_node *node;       /* and begins with this */
    const struct config *config;
    uint32_t value, sum, status, enable;
    uint64_t dma;
};

static void update_irq(struct scratch *s)
{
    s->host->irq_set(s->node, s->config->irq, (s->status & s->enable) != 0);
}

static void command(struct scratch *s, uint32_t what)
{
    uint8_t bytes[4];

    if (what == COMMAND_CLEAR) {
        s->sum = 0;
    } else if (what == COMMAND_STORE) {
        bp_put_le32(bytes, s->sum);
        s->status |= DONE;
        /* The guest chose the address; the host refuses what is not RAM. */
        if (s->host->dma_write(s->node, s->dma, bytes, sizeof(bytes)))
            s->status |= DMA_ERROR;
    } else {
        bp_logf(s->host, s->node, BP_LOG_WARN | BP_LOG_GUEST,
                "command %u is ignored: 1 and 2 exist", what);
    }
}

/* The bus splits and widens, so that only whole registers arrive here. No two calls run at once. */
static uint64_t scratch_read(void *self, uint64_t offset, uint32_t width)
{
    struct scratch *s = self;

    (void)width;
    switch (offset) {
    case ID:
        return 0x43534250;
    case SCRATCH:
        return s->value;
    case SUM:
        return s->sum;
    case STATUS:
        return s->status;
    case ENABLE:
        return s->enable;
    case DMA_LOW:
        return (uint32_t)s->dma;
    case DMA_HIGH:
        return s->dma >> 32;
    default:
        return 0;
    }
}

static void scratch_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct scratch *s = self;
    uint32_t v = (uint32_t)value;

    (void)width;
    switch (offset) {
    case SCRATCH:
        s->value = v;
        break;
    case ADD:
        if (__builtin_add_overflow(s->sum, v, &s->sum))
            s->status |= OVERFLOW;
        break;
    case STATUS:
        s->status &= ~v;
        break;
    case ENABLE:
        s->enable = v & (OVERFLOW | DONE | DMA_ERROR);
        break;
    case DMA_LOW:
        s->dma = (s->dma & 0xffffffff00000000u) | v;
        break;
    case DMA_HIGH:
        s->dma = (s->dma & 0xffffffffu) | (uint64_t)v << 32;
        break;
    case COMMAND:
        command(s, v);
        break;
    default:
        bp_logf(s->host, s->node, BP_LOG_WARN | BP_LOG_GUEST,
                "write of 0x%x to offset 0x%x, where no register can be written", v,
                (unsigned)offset);
    }
    update_irq(s);
}

static const struct bp_register registers[] = {
    {"ID", ID, 4, BP_REG_RO},
    {"SCRATCH", SCRATCH, 4, BP_REG_RW},
    {"ADD", ADD, 4, BP_REG_WO},
    {"SUM", SUM, 4, BP_REG_RO},
    {"STATUS", STATUS, 4, BP_REG_RW},
    {"ENABLE", ENABLE, 4, BP_REG_RW},
    {"DMA_LOW", DMA_LOW, 4, BP_REG_RW | BP_REG_ADDRESS},
    {"DMA_HIGH", DMA_HIGH, 4, BP_REG_RW | BP_REG_ADDRESS_HIGH},
    {"COMMAND", COMMAND, 4, BP_REG_WO | BP_REG_DOORBELL},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = scratch_read,
    .write = scratch_write,
};

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct config *c = config;
    struct bp_region *region;
    struct scratch *s = calloc(1, sizeof(*s));
    int err;

    if (!s)
        return host->fail(node, -ENOMEM, "no memory for an adder");
    s->host = host;
    s->node = node;
    s->config = c;
    err = host->region_new(node, BP_SPACE_MMIO, PAGE, &region_ops, s, &region);
    if (!err)
        err = host->region_place(region, c->base);
    if (err) {
        free(s);
        return bp_failf(host, node, err, "the page at 0x%llx cannot be had; choose another `base`",
                        (unsigned long long)c->base);
    }
    *self = s;
    return 0;
}

static void destroy(void *self)
{
    free(self);
}

static void reset(void *self, uint32_t kind)
{
    struct scratch *s = self;

    (void)kind; /* nothing survives a reset */
    s->value = s->sum = s->status = s->enable = 0;
    s->dma = 0;
    update_irq(s);
}

static int after_load(void *self)
{
    update_irq(self); /* follows from the fields */
    return 0;
}

/* What a snapshot holds. */
static const struct bp_field fields[] = {
    BP_FIELD(struct scratch, value, 1),  BP_FIELD(struct scratch, sum, 1),
    BP_FIELD(struct scratch, status, 1), BP_FIELD(struct scratch, enable, 1),
    BP_FIELD(struct scratch, dma, 1),    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops instance = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .after_load = after_load,
};

/* The keys of a machine file. */
static const struct bp_prop props[] = {
    {.name = "base",
     .help = "guest-physical address of the page of registers",
     .initial = "0xfe000000",
     .type = BP_PROP_UINT,
     .claim = BP_CLAIM_MMIO,
     .claim_length = PAGE,
     BP_PROP_AT(struct config, base)},
    {.name = "irq",
     .help = "interrupt line",
     .initial = "5",
     .type = BP_PROP_UINT,
     .max = 23,
     .claim = BP_CLAIM_IRQ,
     .claim_length = 1,
     BP_PROP_AT(struct config, irq)},
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&region_ops, NULL};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "scratch",
    .summary = "example: adds numbers, interrupts on overflow, stores the sum by DMA",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct config),
    .instance = &instance,
    .regions = regions,
};

static const struct bp_model *const models[] = {&model, NULL};

/* The one symbol that Backplane looks for. */
const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "dev-scratch",
    .version = "1.0",
    .models = models,
};
