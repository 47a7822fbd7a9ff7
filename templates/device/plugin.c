/* @NAME@ - a ticker: counts periods of guest time, stores the count in the guest's memory, and
 * interrupts.
 *
 * One page with 32-bit registers:
 *
 *     0x00 ID      RO    "TICK"
 *     0x04 PERIOD  RW    microseconds from tick to tick; 0 counts as 1
 *     0x08 CONTROL RW    bit 0: the ticker runs
 *     0x0c STATUS  RW1C  bit 0: it ticked, bit 1: TARGET is no memory; the interrupt's level
 *     0x10 TARGET  RW    guest-physical address of 4 bytes that each tick stores TICKS to
 *     0x14 TICKS   RO
 */
#include <backplane/plugin.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>

enum {
    ID = 0x00,
    PERIOD = 0x04,
    CONTROL = 0x08,
    STATUS = 0x0c,
    TARGET = 0x10,
    TICKS = 0x14,
    PAGE = 0x1000
};

#define RUN 1u
#define TICKED 1u
#define DMA_ERROR 2u
#define TIMER 0u

/* What the machine file says; `props` below names the members. */
struct config {
    uint64_t base;
    uint8_t irq;
};

struct ticker {
    const struct bp_host *host; /* every call into Backplane goes through this table */
    struct bp_node *node;       /* and begins with this */
    const struct config *config;
    uint32_t period, control, status, target, ticks;
    uint64_t next_ns; /* guest time of the next tick */
};

static void update_irq(struct ticker *t)
{
    t->host->irq_set(t->node, t->config->irq, t->status != 0);
}

static void arm(struct ticker *t)
{
    t->host->timer_set(t->node, TIMER, t->control & RUN ? t->next_ns : UINT64_MAX);
}

/* A period from now on. */
static void begin_period(struct ticker *t)
{
    t->next_ns = t->host->clock_ns(t->node) + UINT64_C(1000) * (t->period ? t->period : 1);
    arm(t);
}

/* No two functions of the device run at once: what is written here needs no lock. */
static void ticker_timer(void *self, uint32_t id)
{
    struct ticker *t = self;
    uint8_t bytes[4];

    (void)id;
    t->status |= TICKED;
    bp_put_le32(bytes, ++t->ticks);
    /* The guest chose the address; the host refuses what is not RAM. */
    if (t->host->dma_write(t->node, t->target, bytes, sizeof(bytes)))
        t->status |= DMA_ERROR;
    update_irq(t);
    begin_period(t);
}

/* The bus splits and widens, so that only whole registers arrive here. */
static uint64_t ticker_read(void *self, uint64_t offset, uint32_t width)
{
    const struct ticker *t = self;

    (void)width;
    switch (offset) {
    case ID:
        return 0x4b434954;
    case PERIOD:
        return t->period;
    case CONTROL:
        return t->control;
    case STATUS:
        return t->status;
    case TARGET:
        return t->target;
    case TICKS:
        return t->ticks;
    default:
        return 0;
    }
}

static void ticker_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct ticker *t = self;

    (void)width;
    switch (offset) {
    case PERIOD:
        t->period = (uint32_t)value;
        break;
    case CONTROL:
        t->control = (uint32_t)value & RUN;
        begin_period(t);
        break;
    case STATUS:
        t->status &= ~(uint32_t)value;
        update_irq(t);
        break;
    case TARGET:
        t->target = (uint32_t)value;
        break;
    default:
        bp_logf(t->host, t->node, BP_LOG_WARN | BP_LOG_GUEST, "no register at 0x%x can be written",
                (unsigned)offset);
    }
}

static const struct bp_register registers[] = {
    {"ID", ID, 4, BP_REG_RO},
    {"PERIOD", PERIOD, 4, BP_REG_RW},
    {"CONTROL", CONTROL, 4, BP_REG_RW},
    {"STATUS", STATUS, 4, BP_REG_RW},
    {"TARGET", TARGET, 4, BP_REG_RW},
    {"TICKS", TICKS, 4, BP_REG_RO},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = ticker_read,
    .write = ticker_write,
};

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    struct ticker *t = calloc(1, sizeof(*t));
    struct bp_region *region;
    int err;

    if (!t)
        return host->fail(node, -ENOMEM, "no memory for a ticker");
    t->host = host;
    t->node = node;
    t->config = config;
    err = host->region_new(node, BP_SPACE_MMIO, PAGE, &region_ops, t, &region);
    if (!err)
        err = host->region_place(region, t->config->base);
    if (err) {
        free(t);
        return host->fail(node, err, "the page of registers cannot be had; choose another `base`");
    }
    *self = t;
    return 0;
}

static void destroy(void *self)
{
    free(self);
}

static void reset(void *self, uint32_t kind)
{
    struct ticker *t = self;

    (void)kind; /* nothing survives a reset */
    t->period = t->control = t->status = t->target = t->ticks = 0;
    t->next_ns = 0;
    arm(t);
    update_irq(t);
}

/* What follows from the fields. */
static int after_load(void *self)
{
    struct ticker *t = self;

    arm(t);
    update_irq(t);
    return 0;
}

/* What a snapshot holds. */
static const struct bp_field fields[] = {
    BP_FIELD(struct ticker, period, 1), BP_FIELD(struct ticker, control, 1),
    BP_FIELD(struct ticker, status, 1), BP_FIELD(struct ticker, target, 1),
    BP_FIELD(struct ticker, ticks, 1),  BP_FIELD(struct ticker, next_ns, 1),
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops instance = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .timer = ticker_timer,
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

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "@ID@",
    .summary = "@SUMMARY@",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct config),
    .instance = &instance,
};

static const struct bp_model *const models[] = {&model, NULL};

/* The one symbol that Backplane looks for. */
const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "@NAME@",
    .version = "1.0",
    .models = models,
};
