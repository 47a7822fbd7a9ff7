/* SPDX-License-Identifier: MIT
 *
 * dev-pc/acpi_pm.c - ACPI fixed hardware (ACPI 6.4, 4.8.3): the PM1a event and control blocks and
 * the system control interrupt. The machine is in ACPI mode from the start (no SMI_CMD), soft-off
 * (S5) ends it.
 *
 * It also tells the ACPI tables of the reset register, which model `reset` implements: the FADT has
 * one description of both, so one device gives it. Leaves out general-purpose events and the sleep
 * states S1 to S4. Ports are as QEMU's PC has them, so that bare guests find soft-off at 0x604.
 *
 * The power management timer (4.8.3.3) is there only if asked for: Linux reads it in bursts at boot
 * to calibrate and to watch other clocks, each read an exit under a hardware backend, which has
 * better clocks to offer. A software CPU's guest may want it, and there a read is a call. It has 24
 * bits, as the FADT says (no TMR_VAL_EXT).
 */
#include "pc.h"

#include <backplane/ext/acpi.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PM_BYTES 6u

/* Offsets in the region; 4.8.3.1 and 4.8.3.2. */
#define PM1_STS 0u
#define PM1_EN 2u
#define PM1_CNT 4u

/* PM1_STS and PM1_EN. The former is write-1-to-clear.
 *
 *     15   11 10    9    8    5   4   0
 *     WAK  -  RTC  SLP  PWR  GBL  BM  TMR        WAK and BM have no enable bit
 */
#define STS_BITS 0x8731u
#define EN_BITS 0x0721u

/* PM1_CNT.
 *
 *     15..14  13      12..10   9..3  2        1       0
 *     -       SLP_EN  SLP_TYP  -     GBL_RLS  BM_RLD  SCI_EN
 *             WO                     WO                always 1
 */
#define CNT_SCI_EN 0x0001u
#define CNT_BM_RLD 0x0002u
#define CNT_SLP_TYP 0x1c00u
#define CNT_SLP_TYP_SHIFT 10
#define CNT_SLP_EN 0x2000u

#define RESET_VALUE 0x06u /* RST_CPU | SYS_RST of 0xCF9 */

#define TIMER_OFFSET 8u /* of its port from `port` */
#define TIMER_BYTES 4u
#define TIMER_HZ 3579545u
#define TIMER_BITS 24
#define STS_TMR 0x0001u
#define NS_PER_S 1000000000u

struct acpi_pm_config {
    uint16_t port, reset_port;
    uint8_t irq, s5_type;
    uint8_t pm_timer;
};

struct acpi_pm {
    const struct bp_host *host;
    struct bp_node *node;
    const struct acpi_pm_config *config;
    uint64_t timer_seen; /* changes of the timer's highest bit that TMR_STS has told of */
    uint16_t status, enable, control; /* control: BM_RLD and SLP_TYP only */
};

/* ---- the timer ------------------------------------------------------------------------------ */

static uint64_t timer_ticks(const struct acpi_pm *pm)
{
    return (uint64_t)((unsigned __int128)pm->host->clock_ns(pm->node) * TIMER_HZ / NS_PER_S);
}

/* How often the highest bit has changed since power-on: every 2.3435 s. */
static uint64_t timer_changes(const struct acpi_pm *pm)
{
    return timer_ticks(pm) >> (TIMER_BITS - 1);
}

/* Sets TMR_STS if the highest bit has changed since. */
static void timer_catch_up(struct acpi_pm *pm)
{
    uint64_t changes = timer_changes(pm);

    if (pm->config->pm_timer && changes != pm->timer_seen)
        pm->status |= STS_TMR;
    pm->timer_seen = changes;
}

/* A timer of the host runs only for a change that would interrupt. */
static void timer_arm(struct acpi_pm *pm)
{
    uint64_t ticks = (timer_changes(pm) + 1) << (TIMER_BITS - 1), when = UINT64_MAX;

    if (!pm->config->pm_timer)
        return;
    if (pm->enable & ~pm->status & STS_TMR)
        when = (uint64_t)(((unsigned __int128)ticks * NS_PER_S + TIMER_HZ - 1) / TIMER_HZ);
    pm->host->timer_set(pm->node, 0, when);
}

/* ---- PM1 ------------------------------------------------------------------------------------ */

static void acpi_pm_update_sci(struct acpi_pm *pm)
{
    pm->host->irq_set(pm->node, pm->config->irq, (pm->status & pm->enable & EN_BITS) != 0);
}

static void acpi_pm_sleep(struct acpi_pm *pm)
{
    uint32_t type = (pm->control & CNT_SLP_TYP) >> CNT_SLP_TYP_SHIFT;

    if (type == pm->config->s5_type)
        pm->host->request(pm->node, BP_REQUEST_POWER_OFF, 0);
    else
        bp_logf(pm->host, pm->node, BP_LOG_WARN | BP_LOG_GUEST,
                "sleep type %u is ignored: the only sleep state is S5, type %u", type,
                pm->config->s5_type);
}

static uint16_t acpi_pm_register(const struct acpi_pm *pm, uint64_t offset)
{
    switch (offset) {
    case PM1_STS:
        return pm->status;
    case PM1_EN:
        return pm->enable;
    default:
        return pm->control | CNT_SCI_EN;
    }
}

static uint64_t acpi_pm_read(void *self, uint64_t offset, uint32_t width)
{
    struct acpi_pm *pm = self;

    timer_catch_up(pm);
    uint32_t value = acpi_pm_register(pm, offset & ~1ull);

    return width == 1 ? value >> (offset & 1) * 8 & 0xff : value;
}

/* `value` holds the bits of the register that `mask` names; a byte access writes half of it. */
static void acpi_pm_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct acpi_pm *pm = self;
    uint32_t shift = (uint32_t)(offset & 1) * 8;
    uint16_t mask = (uint16_t)(width == 1 ? 0xffu << shift : 0xffffu);
    uint16_t bits = (uint16_t)(value << shift);

    timer_catch_up(pm);
    switch (offset & ~1ull) {
    case PM1_STS:
        pm->status &= (uint16_t) ~(bits & mask);
        acpi_pm_update_sci(pm);
        break;
    case PM1_EN:
        pm->enable = (uint16_t)(((pm->enable & ~mask) | (bits & mask)) & EN_BITS);
        acpi_pm_update_sci(pm);
        break;
    default:
        pm->control =
            (uint16_t)(((pm->control & ~mask) | (bits & mask)) & (CNT_BM_RLD | CNT_SLP_TYP));
        if (bits & mask & CNT_SLP_EN)
            acpi_pm_sleep(pm);
    }
    timer_arm(pm);
}

static const struct bp_register acpi_pm_registers[] = {
    {"PM1_STS", PM1_STS, 2, BP_REG_RW}, /* write 1 to clear */
    {"PM1_EN", PM1_EN, 2, BP_REG_RW},
    {"PM1_CNT", PM1_CNT, 2, BP_REG_RW},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops acpi_pm_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 2,
    .register_stride = sizeof(struct bp_register),
    .name = "pm1a",
    .registers = acpi_pm_registers,
    .read = acpi_pm_read,
    .write = acpi_pm_write,
};

/* Reads are of a clock that needs no lock, and come from all vCPUs. */
static uint64_t pm_timer_read(void *self, uint64_t offset, uint32_t width)
{
    (void)offset;
    (void)width;
    return timer_ticks(self) & ((1u << TIMER_BITS) - 1);
}

static void pm_timer_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)self; /* read-only */
    (void)offset;
    (void)value;
    (void)width;
}

static const struct bp_register pm_timer_registers[] = {
    {"PM_TMR", 0, 4, BP_REG_RO},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops pm_timer_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 4,
    .flags = BP_REGION_UNLOCKED,
    .register_stride = sizeof(struct bp_register),
    .name = "pm-timer",
    .registers = pm_timer_registers,
    .read = pm_timer_read,
    .write = pm_timer_write,
};

static void acpi_pm_describe(void *self, struct bp_acpi_builder *b)
{
    const struct acpi_pm_config *c = ((struct acpi_pm *)self)->config;
    struct bp_acpi_power power = {
        .size = sizeof(power),
        .pm1a_event_port = (uint16_t)(c->port + PM1_STS),
        .pm1a_control_port = (uint16_t)(c->port + PM1_CNT),
        .pm_timer_port = c->pm_timer ? (uint16_t)(c->port + TIMER_OFFSET) : 0,
        .reset_port = c->reset_port,
        .reset_value = c->reset_port ? RESET_VALUE : 0,
        .s5_type = c->s5_type,
        .sci_line = c->irq,
    };

    b->power(b, &power);
}

static const struct bp_acpi acpi_pm_acpi = {
    .size = sizeof(struct bp_acpi),
    .describe = acpi_pm_describe,
};

static const void *acpi_pm_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_ACPI_ID) ? NULL : &acpi_pm_acpi;
}

static int acpi_pm_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    const struct acpi_pm_config *c = config;
    struct bp_region *region;
    struct acpi_pm *pm = calloc(1, sizeof(*pm));
    int err;

    if (!pm)
        return host->fail(node, -ENOMEM, "no memory for ACPI power management");
    pm->host = host;
    pm->node = node;
    pm->config = c;
    err = host->region_new(node, BP_SPACE_PIO, PM_BYTES, &acpi_pm_region, pm, &region);
    if (!err)
        err = host->region_place(region, c->port);
    if (err) {
        free(pm);
        return bp_failf(host, node, err, "ports 0x%x to 0x%x cannot be had; choose another `port`",
                        c->port, c->port + PM_BYTES - 1);
    }
    if (c->pm_timer) {
        uint32_t port = c->port + TIMER_OFFSET;
        err = host->region_new(node, BP_SPACE_PIO, TIMER_BYTES, &pm_timer_region, pm, &region);
        if (!err)
            err = host->region_place(region, port);
        if (err) {
            free(pm);
            return bp_failf(host, node, err,
                            "ports 0x%x to 0x%x of the timer cannot be had; choose another `port`, "
                            "or pm-timer = no",
                            port, port + TIMER_BYTES - 1);
        }
    }
    *self = pm;
    return 0;
}

static void acpi_pm_destroy(void *self)
{
    free(self);
}

static void acpi_pm_reset(void *self, uint32_t kind)
{
    struct acpi_pm *pm = self;

    (void)kind; /* nothing here is sticky */
    pm->status = pm->enable = pm->control = 0;
    pm->timer_seen = timer_changes(pm);
    acpi_pm_update_sci(pm);
    timer_arm(pm);
}

static void acpi_pm_timer(void *self, uint32_t id)
{
    struct acpi_pm *pm = self;

    (void)id;
    timer_catch_up(pm);
    acpi_pm_update_sci(pm);
    timer_arm(pm);
}

static int acpi_pm_after_load(void *self)
{
    struct acpi_pm *pm = self;

    pm->status &= STS_BITS;
    pm->enable &= EN_BITS;
    pm->control &= CNT_BM_RLD | CNT_SLP_TYP;
    acpi_pm_update_sci(pm);
    timer_arm(pm);
    return 0;
}

static const struct bp_field acpi_pm_fields[] = {
    BP_FIELD(struct acpi_pm, status, 1),
    BP_FIELD(struct acpi_pm, enable, 1),
    BP_FIELD(struct acpi_pm, control, 1),
    BP_FIELD(struct acpi_pm, timer_seen, 2),
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops acpi_pm_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 2,
    .fields = acpi_pm_fields,
    .field_stride = sizeof(struct bp_field),
    .create = acpi_pm_create,
    .destroy = acpi_pm_destroy,
    .reset = acpi_pm_reset,
    .timer = acpi_pm_timer,
    .after_load = acpi_pm_after_load,
    .extension = acpi_pm_extension,
};

static const struct bp_prop acpi_pm_props[] = {
    {
        .name = "port",
        .help = "first of 6 ports: PM1a event block (4), PM1a control block (2)",
        .initial = "0x600",
        .type = BP_PROP_UINT,
        .min = 1, /* 0 in the FADT means: none */
        .max = 0xfffa,
        .claim = BP_CLAIM_PIO,
        .claim_length = PM_BYTES,
        BP_PROP_AT(struct acpi_pm_config, port),
    },
    {
        .name = "irq",
        .help = "line of the system control interrupt",
        .initial = "9",
        .type = BP_PROP_UINT,
        .max = 23,
        .claim = BP_CLAIM_IRQ,
        .claim_length = 1,
        BP_PROP_AT(struct acpi_pm_config, irq),
    },
    {
        .name = "s5-type",
        .help = "SLP_TYP that means soft-off, 0 to 7",
        .initial = "0",
        .type = BP_PROP_UINT,
        .max = 7,
        BP_PROP_AT(struct acpi_pm_config, s5_type),
    },
    {
        .name = "reset-port",
        .help =
            "port of the reset register that the ACPI tables name (model reset has it); 0: none",
        .initial = "0xcf9",
        .type = BP_PROP_UINT,
        BP_PROP_AT(struct acpi_pm_config, reset_port),
    },
    {
        .name = "pm-timer",
        .help = "ACPI timer of 3.58 MHz in the 4 ports from `port` + 8 on; every read is an exit "
                "under KVM",
        .initial = "no",
        .type = BP_PROP_BOOL,
        BP_PROP_AT(struct acpi_pm_config, pm_timer),
    },
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&acpi_pm_region, &pm_timer_region, NULL};

const struct bp_model acpi_pm_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "acpi-pm",
    .summary = "ACPI power management: soft-off at 0x604, system control interrupt",
    .props = acpi_pm_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct acpi_pm_config),
    .instance = &acpi_pm_ops,
    .regions = regions,
};
