/* SPDX-License-Identifier: MIT
 *
 * dev-pc/reset.c - the ways by which software resets a PC: the reset control register at 0xCF9
 * (Intel ICH9 datasheet 316972, 13.7.5 RST_CNT), System Control Port A at 0x92 (PS/2 reference),
 * and of the 8042 keyboard controller its command port with the output port behind it, as far as
 * reset and the A20 gate need.
 *
 * Every kind of reset, INIT included, restarts the whole machine: nothing but its boot loader could
 * take over after an INIT. The A20 gate can be read and written but A20 is never masked: no CPU
 * backend can do that for all of memory. There is no keyboard: commands other than those below get
 * no answer, so that a driver that probes for one finds nothing (Linux, when ACPI is off, after
 * half a second; with ACPI it does not probe).
 */
#include "pc.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>

/* 0xCF9, RST_CNT. A rise of RST_CPU resets; SYS_RST: the whole system, else INIT; FULL_RST: power
 * too. */
#define SYS_RST 0x02u
#define RST_CPU 0x04u
#define FULL_RST 0x08u

/* 0x92, System Control Port A. */
#define FAST_INIT 0x01u /* a rise resets */
#define FAST_A20 0x02u

/* 0x64 read. IBF, bit 1, is never set: commands take no time. */
#define STATUS_OBF 0x01u /* a byte waits at 0x60 */
#define STATUS_SYS 0x04u /* self-test passed */
#define STATUS_CMD 0x08u /* the last write was to 0x64 */
#define STATUS_INH 0x10u /* keyboard not locked */

/* 0x64 write. */
#define CMD_READ_OUTPUT 0xd0u
#define CMD_WRITE_OUTPUT 0xd1u /* the next byte at 0x60 is the output port */
#define CMD_DISABLE_A20 0xddu
#define CMD_ENABLE_A20 0xdfu
#define CMD_PULSE 0xf0u /* 0xf0..0xff: pulses low the output lines whose bits 3:0 are 0 */

/* Output port. */
#define OUT_RESET 0x01u /* low: reset */
#define OUT_A20 0x02u
#define OUT_FIXED 0xccu /* clock and data of the two devices, idle: high */

struct reset_config {
    uint16_t port, a20_port, data_port, command_port;
};

struct reset {
    const struct bp_host *host;
    struct bp_node *node;
    const struct reset_config *config;
    uint8_t rst_cnt;
    uint8_t fast_init; /* bit 0 of 0x92 as last written */
    uint8_t a20;       /* 0 or 1 */
    uint8_t command;   /* that waits for its parameter, or 0 */
    uint8_t last_cmd;  /* STATUS_CMD or 0 */
    uint8_t output_full, output;
};

static void reset_now(struct reset *r)
{
    r->host->request(r->node, BP_REQUEST_RESET, 0);
}

static void reset_set_a20(struct reset *r, uint32_t on)
{
    if (r->a20 && !on)
        r->host->log(r->node, BP_LOG_WARN | BP_LOG_GUEST,
                     "the A20 gate was closed, which has no effect: address line 20 stays open");
    r->a20 = on != 0;
}

/* ---- 0xCF9 -------------------------------------------------------------------------------------
 */

static uint64_t rst_cnt_read(void *self, uint64_t offset, uint32_t width)
{
    struct reset *r = self;

    (void)offset;
    (void)width;
    return r->rst_cnt;
}

static void rst_cnt_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct reset *r = self;
    uint32_t rise = ~(uint32_t)r->rst_cnt & (uint32_t)value & RST_CPU;

    (void)offset;
    (void)width;
    /* Linux first writes SYS_RST alone, so the bits must read back. */
    r->rst_cnt = (uint8_t)(value & (SYS_RST | RST_CPU | FULL_RST));
    if (rise)
        reset_now(r);
}

/* ---- 0x92 --------------------------------------------------------------------------------------
 */

static uint64_t port_a_read(void *self, uint64_t offset, uint32_t width)
{
    struct reset *r = self;

    (void)offset;
    (void)width;
    return r->fast_init | (r->a20 ? FAST_A20 : 0);
}

static void port_a_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct reset *r = self;
    uint32_t rise = ~(uint32_t)r->fast_init & (uint32_t)value & FAST_INIT;

    (void)offset;
    (void)width;
    r->fast_init = value & FAST_INIT;
    reset_set_a20(r, value & FAST_A20);
    if (rise)
        reset_now(r);
}

/* ---- 0x60 and 0x64 ------------------------------------------------------------------------------
 */

static uint8_t output_port(const struct reset *r)
{
    return (uint8_t)(OUT_FIXED | OUT_RESET | (r->a20 ? OUT_A20 : 0));
}

static uint64_t data_read(void *self, uint64_t offset, uint32_t width)
{
    struct reset *r = self;

    (void)offset;
    (void)width;
    r->output_full = 0;
    return r->output; /* reading twice gives the same byte, as the buffer keeps it */
}

static void data_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct reset *r = self;
    uint8_t command = r->command;

    (void)offset;
    (void)width;
    r->last_cmd = 0;
    r->command = 0;
    if (command != CMD_WRITE_OUTPUT)
        return; /* for a keyboard that is not there */
    reset_set_a20(r, value & OUT_A20);
    if (!(value & OUT_RESET))
        reset_now(r);
}

static uint64_t status_read(void *self, uint64_t offset, uint32_t width)
{
    struct reset *r = self;

    (void)offset;
    (void)width;
    return STATUS_SYS | STATUS_INH | r->last_cmd | (r->output_full ? STATUS_OBF : 0);
}

static void command_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct reset *r = self;

    (void)offset;
    (void)width;
    r->last_cmd = STATUS_CMD;
    r->command = 0;
    switch (value) {
    case CMD_READ_OUTPUT:
        r->output = output_port(r);
        r->output_full = 1;
        break;
    case CMD_WRITE_OUTPUT:
        r->command = CMD_WRITE_OUTPUT;
        break;
    case CMD_DISABLE_A20:
    case CMD_ENABLE_A20:
        reset_set_a20(r, value == CMD_ENABLE_A20);
        break;
    default:
        if ((value & 0xf0) == CMD_PULSE && !(value & OUT_RESET))
            reset_now(r);
    }
}

/* ---- tables
 * -------------------------------------------------------------------------------------- */

#define RESET_REGION(name_, registers_, read_, write_)                                             \
    {                                                                                              \
        .size = sizeof(struct bp_region_ops), .min_access = 1, .max_access = 1,                    \
        .register_stride = sizeof(struct bp_register), .name = (name_), .registers = (registers_), \
        .read = (read_), .write = (write_),                                                        \
    }

static const struct bp_register rst_cnt_registers[] = {
    {"RST_CNT", 0, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register port_a_registers[] = {
    {"PORT_A", 0, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register data_registers[] = {
    {"DATA", 0, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register command_registers[] = {
    {"STATUS", 0, 1, BP_REG_RO},
    {"COMMAND", 0, 1, BP_REG_WO},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops rst_cnt_region =
    RESET_REGION("reset-control", rst_cnt_registers, rst_cnt_read, rst_cnt_write);
static const struct bp_region_ops port_a_region =
    RESET_REGION("system-control-a", port_a_registers, port_a_read, port_a_write);
static const struct bp_region_ops data_region =
    RESET_REGION("8042-data", data_registers, data_read, data_write);
static const struct bp_region_ops command_region =
    RESET_REGION("8042-command", command_registers, status_read, command_write);

static int reset_create(const struct bp_host *host, struct bp_node *node, const void *config,
                        void **self)
{
    const struct reset_config *c = config;
    const struct {
        const struct bp_region_ops *ops;
        const char *key;
        uint16_t port;
    } ports[] = {
        {&rst_cnt_region, "port", c->port},
        {&port_a_region, "a20-port", c->a20_port},
        {&data_region, "data-port", c->data_port},
        {&command_region, "command-port", c->command_port},
    };
    struct reset *r = calloc(1, sizeof(*r));

    if (!r)
        return host->fail(node, -ENOMEM, "no memory for the reset ports");
    r->host = host;
    r->node = node;
    r->config = c;
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct bp_region *region;
        int err = host->region_new(node, BP_SPACE_PIO, 1, ports[i].ops, r, &region);
        if (!err)
            err = host->region_place(region, ports[i].port);
        if (err) {
            free(r);
            return bp_failf(host, node, err, "port 0x%x cannot be had; choose another `%s`",
                            ports[i].port, ports[i].key);
        }
    }
    *self = r;
    return 0;
}

static void reset_destroy(void *self)
{
    free(self);
}

static void reset_reset(void *self, uint32_t kind)
{
    struct reset *r = self;

    (void)kind; /* nothing here is sticky */
    r->rst_cnt = r->fast_init = r->command = r->last_cmd = r->output_full = r->output = 0;
    r->a20 = 1; /* as firmware leaves it */
}

static int reset_after_load(void *self)
{
    struct reset *r = self;

    r->rst_cnt &= SYS_RST | RST_CPU | FULL_RST;
    r->fast_init &= FAST_INIT;
    r->a20 = r->a20 != 0;
    r->last_cmd &= STATUS_CMD;
    return 0;
}

static const struct bp_field reset_fields[] = {
    BP_FIELD(struct reset, rst_cnt, 1),  BP_FIELD(struct reset, fast_init, 1),
    BP_FIELD(struct reset, a20, 1),      BP_FIELD(struct reset, command, 1),
    BP_FIELD(struct reset, last_cmd, 1), BP_FIELD(struct reset, output_full, 1),
    BP_FIELD(struct reset, output, 1),   {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops reset_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = reset_fields,
    .field_stride = sizeof(struct bp_field),
    .create = reset_create,
    .destroy = reset_destroy,
    .reset = reset_reset,
    .after_load = reset_after_load,
};

static const struct bp_prop reset_props[] = {
    {
        .name = "port",
        .help = "reset control register",
        .initial = "0xcf9",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = 1,
        BP_PROP_AT(struct reset_config, port),
    },
    {
        .name = "a20-port",
        .help = "System Control Port A: fast reset and A20 gate",
        .initial = "0x92",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = 1,
        BP_PROP_AT(struct reset_config, a20_port),
    },
    {
        .name = "data-port",
        .help = "keyboard controller's data port",
        .initial = "0x60",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = 1,
        BP_PROP_AT(struct reset_config, data_port),
    },
    {
        .name = "command-port",
        .help = "keyboard controller's command port: writing 0xfe resets the machine",
        .initial = "0x64",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = 1,
        BP_PROP_AT(struct reset_config, command_port),
    },
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&rst_cnt_region, &port_a_region, &data_region,
                                                      &command_region, NULL};

const struct bp_model reset_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "reset",
    .summary = "reset by 0xCF9, port 0x92 and the keyboard controller's command 0xFE",
    .props = reset_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct reset_config),
    .instance = &reset_ops,
    .regions = regions,
};
