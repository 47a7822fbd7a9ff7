/* SPDX-License-Identifier: MIT
 *
 * gpio.c - an example of a device that talks to people: 32 general-purpose lines. A line is an
 * output that the guest drives, a light, or an input that somebody outside drives, a switch; either
 * may interrupt when its level changes. With `chardev` the lines are on a terminal: a byte 0 to 9
 * or a to v flips the switch of line 0 to 31, and of each light that changes a text says so.
 *
 * One page of MMIO with 32-bit registers, one bit a line:
 *
 *     0x00 ID        RO    "PBGP", says that the device is there
 *     0x04 DIRECTION RW    1: output
 *     0x08 OUTPUT    RW    what outputs are driven to
 *     0x0c SET       WO    OUTPUT |= value
 *     0x10 CLEAR     WO    OUTPUT &= ~value
 *     0x14 INPUT     RO    levels: of outputs as driven, of inputs as the switches are
 *     0x18 RISING    RW    a change from 0 to 1 is noted in PENDING
 *     0x1c FALLING   RW    a change from 1 to 0 is
 *     0x20 MASK      RW    the interrupt is up while PENDING & MASK is not 0
 *     0x24 PENDING   RW1C
 *
 * Left out: debouncing, open drain, drive strength.
 */
#include <backplane/plugin.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>

enum {
    ID = 0x00,
    DIRECTION = 0x04,
    OUTPUT = 0x08,
    SET = 0x0c,
    CLEAR = 0x10,
    INPUT = 0x14,
    RISING = 0x18,
    FALLING = 0x1c,
    MASK = 0x20,
    PENDING = 0x24,
    PAGE = 0x1000
};

/* What the machine file says; `props` below names the members. */
struct config {
    uint64_t base;
    struct bp_node *chardev;
    uint32_t inputs;
    uint8_t irq;
};

struct gpio {
    const struct bp_host *host; /* every call into Backplane goes through this table */
    struct bp_node *node;       /* and begins with this */
    const struct config *config;
    struct bp_peer chr; /* ops NULL: no terminal */
    uint32_t direction, output, switches, rising, falling, mask, pending;
    uint32_t told;             /* the lights, as the terminal knows them */
    uint8_t text_at, text_len; /* what the terminal has not taken of `text` */
    char text[sizeof("31 off\n")];
};

static uint32_t lights(const struct gpio *g)
{
    return g->output & g->direction;
}

static uint32_t levels(const struct gpio *g)
{
    return lights(g) | (g->switches & ~g->direction);
}

/* Tells the terminal which lights changed. It may take less than it is given, and calls writable()
 * then; a light that changes and changes back meanwhile is not mentioned, so that nothing piles up
 * however fast a guest blinks. */
static void tell(struct gpio *g)
{
    const struct bp_char *chr = g->chr.ops;

    while (chr) {
        uint32_t changed = lights(g) ^ g->told;

        if (g->text_at == g->text_len) {
            int line = __builtin_ffs((int)changed) - 1;

            if (line < 0)
                return;
            g->told ^= 1u << line;
            g->text_at = 0;
            g->text_len = (uint8_t)snprintf(g->text, sizeof(g->text), "%d %s\n", line,
                                            (g->told >> line & 1) ? "on" : "off");
        }
        uint32_t len = (uint32_t)g->text_len - g->text_at;
        uint64_t taken = chr->write(g->chr.self, (const uint8_t *)g->text + g->text_at, len);

        if (taken < len) {
            g->text_at = (uint8_t)(g->text_at + taken);
            return;
        }
        g->text_at = g->text_len;
    }
}

static void update_irq(struct gpio *g)
{
    g->host->irq_set(g->node, g->config->irq, (g->pending & g->mask) != 0);
}

/* To be called after each change, with the levels from before it. */
static void changed(struct gpio *g, uint32_t before)
{
    uint32_t now = levels(g);

    g->pending |= (now & ~before & g->rising) | (before & ~now & g->falling);
    update_irq(g);
}

/* The bus splits and widens, so that only whole registers arrive here. No two calls run at once. */
static uint64_t gpio_read(void *self, uint64_t offset, uint32_t width)
{
    const struct gpio *g = self;

    (void)width;
    switch (offset) {
    case ID:
        return 0x50474250;
    case DIRECTION:
        return g->direction;
    case OUTPUT:
        return g->output;
    case INPUT:
        return levels(g);
    case RISING:
        return g->rising;
    case FALLING:
        return g->falling;
    case MASK:
        return g->mask;
    case PENDING:
        return g->pending;
    default:
        return 0;
    }
}

static void gpio_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct gpio *g = self;
    uint32_t v = (uint32_t)value, before = levels(g);

    (void)width;
    switch (offset) {
    case DIRECTION:
        g->direction = v;
        break;
    case OUTPUT:
        g->output = v;
        break;
    case SET:
        g->output |= v;
        break;
    case CLEAR:
        g->output &= ~v;
        break;
    case RISING:
        g->rising = v;
        break;
    case FALLING:
        g->falling = v;
        break;
    case MASK:
        g->mask = v;
        break;
    case PENDING:
        g->pending &= ~v;
        break;
    default:
        bp_logf(g->host, g->node, BP_LOG_WARN | BP_LOG_GUEST,
                "write of 0x%x to offset 0x%x, where no register can be written", v,
                (unsigned)offset);
    }
    changed(g, before);
    tell(g);
}

static const struct bp_register registers[] = {
    {"ID", ID, 4, BP_REG_RO},
    {"DIRECTION", DIRECTION, 4, BP_REG_RW},
    {"OUTPUT", OUTPUT, 4, BP_REG_RW},
    {"SET", SET, 4, BP_REG_WO},
    {"CLEAR", CLEAR, 4, BP_REG_WO},
    {"INPUT", INPUT, 4, BP_REG_RO},
    {"RISING", RISING, 4, BP_REG_RW},
    {"FALLING", FALLING, 4, BP_REG_RW},
    {"MASK", MASK, 4, BP_REG_RW},
    {"PENDING", PENDING, 4, BP_REG_RW},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = gpio_read,
    .write = gpio_write,
};

/* ---- the terminal ---- */

static uint64_t receive(void *port_self, const uint8_t *data, uint64_t len)
{
    struct gpio *g = port_self;

    for (uint64_t i = 0; i < len; i++) {
        uint32_t before = levels(g);

        if (data[i] >= '0' && data[i] <= '9')
            g->switches ^= 1u << (data[i] - '0');
        else if (data[i] >= 'a' && data[i] <= 'v')
            g->switches ^= 1u << (data[i] - 'a' + 10);
        changed(g, before); /* of each byte: one that is flipped twice has had two edges */
    }
    return len;
}

static void writable(void *port_self)
{
    tell(port_self);
}

static const struct bp_char_port char_port = {
    .size = sizeof(struct bp_char_port), .receive = receive, .writable = writable};

/* ---- life ---- */

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct config *c = config;
    struct bp_region *region;
    struct gpio *g = calloc(1, sizeof(*g));
    int err;

    if (!g)
        return host->fail(node, -ENOMEM, "no memory for a block of lines");
    g->host = host;
    g->node = node;
    g->config = c;
    err = host->region_new(node, BP_SPACE_MMIO, PAGE, &region_ops, g, &region);
    if (!err)
        err = host->region_place(region, c->base);
    if (err) {
        bp_failf(host, node, err, "the page at 0x%llx cannot be had; choose another `base`",
                 (unsigned long long)c->base);
    } else if (c->chardev) {
        err = host->link(node, c->chardev, BP_CHAR_ID, &char_port, g, &g->chr);
        if (err)
            host->fail(node, err,
                       "`chardev` must name a character backend that no other device uses");
    }
    if (err)
        free(g);
    else
        *self = g;
    return err;
}

static void destroy(void *self)
{
    free(self);
}

static void reset(void *self, uint32_t kind)
{
    struct gpio *g = self;

    g->direction = g->output = g->rising = g->falling = g->mask = g->pending = 0;
    if (kind == BP_RESET_COLD)
        g->switches = g->config->inputs; /* a warm reset moves no switch */
    update_irq(g);
}

/* The terminal is written to while the machine runs only: here, what a reset has switched off. */
static int start(void *self)
{
    tell(self);
    return 0;
}

static int after_load(void *self)
{
    struct gpio *g = self;

    g->told = lights(g);
    g->text_at = g->text_len = 0;
    update_irq(g); /* follows from the fields */
    return 0;
}

/* What a snapshot holds. */
static const struct bp_field fields[] = {
    BP_FIELD(struct gpio, direction, 1), BP_FIELD(struct gpio, output, 1),
    BP_FIELD(struct gpio, switches, 1),  BP_FIELD(struct gpio, rising, 1),
    BP_FIELD(struct gpio, falling, 1),   BP_FIELD(struct gpio, mask, 1),
    BP_FIELD(struct gpio, pending, 1),   {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops instance = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .start = start,
    .after_load = after_load,
};

/* The keys of a machine file. */
static const struct bp_prop props[] = {
    {.name = "base",
     .help = "guest-physical address of the page of registers",
     .initial = "0xfe001000",
     .type = BP_PROP_UINT,
     .flags = BP_PROP_RESERVES, /* below 1 MiB, too, where real mode reaches it */
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
    {.name = "inputs",
     .help = "how the switches are at power-on, one bit a line",
     .initial = "0",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct config, inputs)},
    {.name = "chardev",
     .help = "character backend with the switches and lights; none: nobody flips, nobody sees",
     .type = BP_PROP_REF,
     .needs = BP_CHAR_ID,
     BP_PROP_AT(struct config, chardev)},
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&region_ops, NULL};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "gpio",
    .summary = "example: 32 lines for switches and lights, with interrupts on edges",
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
    .name = "dev-gpio",
    .version = "1.0",
    .models = models,
};
