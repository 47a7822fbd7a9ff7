/* @NAME@ - a ticker: counts periods of guest time, stores the count in the guest's memory, and
 * interrupts. Its registers, of 32 bits in one page, are told of in `registers`. */
#include <backplane/util/device.h>
#include <backplane/util/le.h>

enum { PAGE = 0x1000, RUN = 1, TICKED = 1, DMA_ERROR = 2 };

struct config { /* what the machine file says; `props` names the members */
    uint64_t base;
    uint8_t irq;
};

struct ticker {
    struct bp_device device; /* first: the host's handles */
    uint32_t period, control, status, target, ticks;
    uint64_t next_ns; /* guest time of the next tick */
};

/* The interrupt's level and the timer follow from the rest. */
static void update(void *self)
{
    struct ticker *t = self;
    const struct config *c = t->device.config;

    bp_device_irq(&t->device, c->irq, t->status != 0);
    t->device.host->timer_set(t->device.node, 0, t->control & RUN ? t->next_ns : UINT64_MAX);
}

static void begin_period(void *self)
{
    struct ticker *t = self;

    t->next_ns = t->device.host->clock_ns(t->device.node) + 1000ull * (t->period ? t->period : 1);
    update(t);
}

/* The timer is due. No two functions of a device run at once: nothing here needs a lock. */
static void tick(void *self, uint32_t id)
{
    struct ticker *t = self;
    uint8_t bytes[4];

    (void)id;
    t->status |= TICKED;
    bp_put_le32(bytes, ++t->ticks);
    /* The guest chose the address; the host refuses what is not RAM. */
    if (t->device.host->dma_write(t->device.node, t->target, bytes, sizeof(bytes)))
        t->status |= DMA_ERROR;
    begin_period(t);
}

static const struct bp_cell registers[] = {
    BP_CELL_CONSTANT("ID", 0x00, 0x4b434954), /* "TICK" */
    /* Microseconds from tick to tick; 0 counts as 1. */
    BP_CELL("PERIOD", 0x04, BP_REG_RW, struct ticker, period),
    /* Bit 0: the ticker runs. */
    BP_CELL("CONTROL", 0x08, BP_REG_RW, struct ticker, control, .writable = RUN,
            .written = begin_period),
    /* The interrupt's level; bit 0: it ticked, bit 1: TARGET is no memory; writing 1 clears. */
    BP_CELL("STATUS", 0x0c, BP_REG_RW, struct ticker, status, .clears = TICKED | DMA_ERROR,
            .written = update),
    /* Guest-physical address of 4 bytes, to which each tick stores TICKS. */
    BP_CELL("TARGET", 0x10, BP_REG_RW | BP_REG_ADDRESS, struct ticker, target),
    BP_CELL("TICKS", 0x14, BP_REG_RO, struct ticker, ticks),
    BP_CELLS_END,
};
BP_CELL_REGION(region, "registers", registers, 4)
static const struct bp_region_ops *const regions[] = {&region, NULL};

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct config *c = config;
    int err = bp_device_new(host, node, config, sizeof(struct ticker), self);

    return err ? err : bp_device_map(*self, BP_SPACE_MMIO, c->base, PAGE, &region);
}

static void reset(void *self, uint32_t kind)
{
    (void)kind; /* nothing survives a reset */
    bp_cells_reset(registers, self);
    ((struct ticker *)self)->next_ns = 0;
    update(self);
}

static int after_load(void *self)
{
    update(self);
    return 0;
}

#define FIELD(member) BP_FIELD(struct ticker, member, 1)
/* What a snapshot holds. */
static const struct bp_field fields[] = {
    FIELD(period), FIELD(control), FIELD(status), FIELD(target),
    FIELD(ticks),  FIELD(next_ns), BP_FIELDS_END,
};

static const struct bp_instance_ops ops = BP_DEVICE_OPS(1, fields, .create = create, .reset = reset,
                                                        .timer = tick, .after_load = after_load);

/* The keys of a machine file. */
static const struct bp_prop props[] = {
    BP_PROP_BASE(struct config, base, "0xfe000000", PAGE),
    BP_PROP_LINE(struct config, irq, "5"),
    BP_PROPS_END,
};

static const struct bp_model model =
    BP_DEVICE_MODEL("@ID@", "@SUMMARY@", props, struct config, &ops, .regions = regions);

BP_PLUGIN("@NAME@", "1.0", &model)
