/* SPDX-License-Identifier: MIT
 *
 * dev-pc/hpet.c - high precision event timers (IA-PC HPET Specification 1.0a): a 64-bit counter at
 * 100 MHz and three comparators, each one-shot or periodic, 64 or 32 bits wide, by line or by
 * message (FSB).
 *
 * The counter follows from guest time; comparators are looked at when somebody asks, and a timer of
 * the host runs for those that may interrupt, at most 20,000 times a second. An edge is a fall and
 * a rise: the line stays up until the next, because an 8259 forgets a request whose line falls
 * early. In legacy replacement mode timer 0 has line 0 and timer 1 line 8, and the PIT and the RTC
 * are taken off them (2.3.5) where `irqchip` and `rtc` name them. The guest finds the timers by the
 * table HPET (3.2.4) and the device PNP0103.
 */
#include "pc.h"
#include "rtc.h"

#include <backplane/ext/acpi.h>
#include <backplane/ext/irqchip.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TIMERS 3u
#define TICK_NS 10u
#define HPET_BYTES 0x400u
#define FIRE_DISTANCE_NS 50000u

/* 2.3.1. */
#define GCAP_ID 0x000u
#define GEN_CONF 0x010u
#define GINTR_STA 0x020u
#define MAIN_CNT 0x0f0u
#define TIMER_0 0x100u
#define TIMER_STRIDE 0x20u
#define TIMER_CONF 0x00u
#define TIMER_CMP 0x08u
#define TIMER_FSB 0x10u

/* GCAP_ID:  63:32 period in fs  31:16 vendor  15 legacy capable  13 64 bits  12:8 last timer  7:0
 * revision */
#define GCAP_VALUE                                                                                 \
    ((uint64_t)TICK_NS * 1000000 << 32 | UINT64_C(0x80860000) | 1u << 15 | 1u << 13 |              \
     (TIMERS - 1) << 8 | 1u)

#define CONF_ENABLE 1u
#define CONF_LEGACY 2u

/* Tn_CONF:  63:32 routes  15 FSB capable  14 FSB  13:9 route  8 32 bits  6 set value  5 64 capable
 *           4 periodic capable  3 periodic  2 enable  1 level */
#define T_LEVEL 0x0002u
#define T_ENABLE 0x0004u
#define T_PERIODIC 0x0008u
#define T_SET_VALUE 0x0040u
#define T_32 0x0100u
#define T_ROUTE 0x3e00u
#define T_ROUTE_SHIFT 9
#define T_FSB 0x4000u
#define T_CAPABLE 0x8030u
#define T_WRITABLE (T_LEVEL | T_ENABLE | T_PERIODIC | T_SET_VALUE | T_32 | T_FSB)

/* As in the I/O Controller Hubs. */
static const uint32_t routes[TIMERS] = {0x00f00000, 0x00f00000, 0x00f00800};
static const uint32_t legacy_lines[TIMERS] = {0, 8, 0};

struct hpet_config {
    uint64_t base;
    struct bp_node *irqchip, *rtc;
};

struct hpet_timer {
    uint64_t conf; /* T_WRITABLE and the route */
    uint64_t comparator, period, fsb;
    uint8_t edge_up; /* its line is up after an edge */
    uint8_t reserved[7];
};

struct hpet {
    const struct bp_host *host;
    struct bp_node *node;
    const struct hpet_config *config;
    struct bp_peer irqchip, rtc; /* ops NULL: none */
    uint64_t conf, status;
    uint64_t counter, base_ns; /* the counter at base_ns; while it is halted, now */
    uint64_t seen;             /* matches are done up to here */
    uint32_t lines;            /* those that we hold up */
    uint32_t reserved;
    struct hpet_timer timers[TIMERS];
};

/* ---- the counter ---------------------------------------------------------------------------- */

static bool runs(const struct hpet *h)
{
    return h->conf & CONF_ENABLE;
}

static uint64_t counter_now(const struct hpet *h)
{
    uint64_t ns = h->host->clock_ns(h->node) - h->base_ns;

    return runs(h) ? h->counter + ns / TICK_NS : h->counter;
}

static uint64_t mask_of(const struct hpet_timer *t)
{
    return t->conf & T_32 ? UINT32_MAX : UINT64_MAX;
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static bool is_legacy(const struct hpet *h, uint32_t index)
{
    return (h->conf & CONF_LEGACY) && index < 2;
}

static uint32_t line_of(const struct hpet *h, uint32_t index)
{
    return is_legacy(h, index) ? legacy_lines[index]
                               : (uint32_t)(h->timers[index].conf & T_ROUTE) >> T_ROUTE_SHIFT;
}

/* Timers share lines: one is up while any of them wants it. `fall`: lines that fall first. */
static void update_lines(struct hpet *h, uint32_t fall)
{
    uint32_t want = 0, changed;

    for (uint32_t i = 0; i < TIMERS; i++) {
        const struct hpet_timer *t = &h->timers[i];
        bool up = t->conf & T_LEVEL ? h->status >> i & 1 : t->edge_up;
        if (up && runs(h) && (t->conf & T_ENABLE) && !(t->conf & T_FSB))
            want |= 1u << line_of(h, i);
    }
    fall &= h->lines;
    h->lines &= ~fall;
    for (uint32_t left = fall; left; left &= left - 1)
        h->host->irq_set(h->node, (uint32_t)__builtin_ctz(left), 0);
    changed = h->lines ^ want;
    h->lines = want;
    for (; changed; changed &= changed - 1) {
        uint32_t line = (uint32_t)__builtin_ctz(changed);
        h->host->irq_set(h->node, line, want >> line & 1);
    }
}

/* 2.3.8, Tn_INT_ENB: without it the status is still set. */
static void fire(struct hpet *h, uint32_t index)
{
    struct hpet_timer *t = &h->timers[index];

    if (t->conf & T_LEVEL)
        h->status |= 1u << index;
    if (!(t->conf & T_ENABLE))
        return;
    if (t->conf & T_FSB) {
        h->host->msi_send(h->node, t->fsb >> 32, (uint32_t)t->fsb);
    } else if (t->conf & T_LEVEL) {
        update_lines(h, 0);
    } else {
        t->edge_up = 1;
        update_lines(h, 1u << line_of(h, index));
    }
}

/* Ticks from `from` to the next match, at least 1. 0 stands for 2^64. */
static uint64_t ticks_to_match(const struct hpet_timer *t, uint64_t from)
{
    return ((t->comparator - from - 1) & mask_of(t)) + 1;
}

/* True if the comparator was passed since it was last looked at; a periodic one goes on. */
static bool match(struct hpet *h, struct hpet_timer *t, uint64_t now)
{
    uint64_t passed = now - h->seen, first = ticks_to_match(t, h->seen);

    if (!passed || !first || first > passed)
        return false;
    uint64_t period = t->period & mask_of(t);
    if (t->conf & T_PERIODIC && period)
        t->comparator = (t->comparator + period * ((passed - first) / period + 1)) & mask_of(t);
    return true;
}

/* True if a comparator matched. */
static bool catch_up(struct hpet *h)
{
    uint64_t now = counter_now(h);
    uint32_t fired = 0;

    for (uint32_t i = 0; runs(h) && i < TIMERS; i++)
        fired |= (uint32_t)match(h, &h->timers[i], now) << i;
    h->seen = now;
    for (uint32_t left = fired; left; left &= left - 1)
        fire(h, (uint32_t)__builtin_ctz(left));
    return fired != 0;
}

/* `not_before_ns`: the host is not woken earlier. */
static void arm(struct hpet *h, uint64_t not_before_ns)
{
    for (uint32_t i = 0; i < TIMERS; i++) {
        const struct hpet_timer *t = &h->timers[i];
        uint64_t ticks = ticks_to_match(t, h->seen), when = UINT64_MAX;

        /* A match of a timer without interrupt waits until somebody looks. The counter reaches
         * `seen + ticks` when base_ns + (seen + ticks - counter) * TICK_NS is reached. */
        if (runs(h) && t->conf & T_ENABLE && ticks &&
            (__builtin_add_overflow(h->seen - h->counter, ticks, &when) ||
             __builtin_mul_overflow(when, (uint64_t)TICK_NS, &when) ||
             __builtin_add_overflow(when, h->base_ns, &when)))
            when = UINT64_MAX;
        h->host->timer_set(h->node, i, when > not_before_ns ? when : not_before_ns);
    }
}

static void hpet_timer(void *self, uint32_t id)
{
    struct hpet *h = self;

    (void)id;
    catch_up(h);
    arm(h, h->host->clock_ns(h->node) + FIRE_DISTANCE_NS);
}

/* ---- registers ------------------------------------------------------------------------------ */

static uint64_t timer_read(const struct hpet *h, uint32_t index, uint64_t reg)
{
    const struct hpet_timer *t = &h->timers[index];

    switch (reg) {
    case TIMER_CONF:
        return (uint64_t)routes[index] << 32 | T_CAPABLE | t->conf;
    case TIMER_CMP:
        return t->comparator;
    case TIMER_FSB:
        return t->fsb;
    default:
        return 0;
    }
}

static uint64_t register_read(const struct hpet *h, uint64_t reg)
{
    if (reg >= TIMER_0 && reg < TIMER_0 + TIMERS * TIMER_STRIDE)
        return timer_read(h, (uint32_t)((reg - TIMER_0) / TIMER_STRIDE), reg % TIMER_STRIDE);
    switch (reg) {
    case GCAP_ID:
        return GCAP_VALUE;
    case GEN_CONF:
        return h->conf;
    case GINTR_STA:
        return h->status;
    case MAIN_CNT:
        return counter_now(h);
    default:
        return 0;
    }
}

static void connect_others(const struct hpet *h)
{
    const struct bp_irqchip *irqchip = h->irqchip.ops;
    const struct rtc_interface *rtc = h->rtc.ops;
    uint64_t both = CONF_ENABLE | CONF_LEGACY;
    bool on = (h->conf & both) != both;

    if (irqchip)
        irqchip->timer_connect(h->irqchip.self, on);
    if (rtc)
        rtc->line_connect(h->rtc.self, on);
}

static void conf_write(struct hpet *h, uint64_t value)
{
    uint64_t now = counter_now(h);

    value &= CONF_ENABLE | CONF_LEGACY;
    if ((h->conf ^ value) & CONF_ENABLE) {
        h->counter = h->seen = now;
        h->base_ns = h->host->clock_ns(h->node);
    }
    if (h->conf == value)
        return;
    for (uint32_t i = 0; i < TIMERS; i++)
        h->timers[i].edge_up = 0;
    h->conf = value;
    update_lines(h, 0);
    connect_others(h); /* after our own lines have fallen, before they rise */
}

static void timer_conf_write(struct hpet *h, uint32_t index, uint64_t value)
{
    struct hpet_timer *t = &h->timers[index];
    uint64_t route = value & T_ROUTE;

    /* A line that is not offered is not taken: software reads back what it got (2.3.8). */
    if (!(routes[index] >> (route >> T_ROUTE_SHIFT) & 1))
        route = t->conf & T_ROUTE;
    t->conf = (value & T_WRITABLE) | route;
    t->comparator &= mask_of(t);
    t->period &= mask_of(t);
    t->edge_up = 0;
    if (!(t->conf & T_LEVEL))
        h->status &= ~(UINT64_C(1) << index);
    update_lines(h, 0);
}

/* 2.3.9.2.2: a periodic timer's comparator is set together with the period after T_SET_VALUE was
 * written. */
static void comparator_write(struct hpet_timer *t, uint64_t value)
{
    value &= mask_of(t);
    if (!(t->conf & T_PERIODIC) || t->conf & T_SET_VALUE)
        t->comparator = value;
    t->period = value;
    t->conf &= ~(uint64_t)T_SET_VALUE;
}

static void register_write(struct hpet *h, uint64_t reg, uint64_t value)
{
    uint32_t index = (uint32_t)((reg - TIMER_0) / TIMER_STRIDE);

    if (reg >= TIMER_0 && index < TIMERS) {
        if (reg % TIMER_STRIDE == TIMER_CONF)
            timer_conf_write(h, index, value);
        else if (reg % TIMER_STRIDE == TIMER_CMP)
            comparator_write(&h->timers[index], value);
        else if (reg % TIMER_STRIDE == TIMER_FSB)
            h->timers[index].fsb = value;
        return;
    }
    switch (reg) {
    case GEN_CONF:
        conf_write(h, value);
        break;
    case GINTR_STA:
        h->status &= ~value;
        update_lines(h, 0);
        break;
    case MAIN_CNT:
        if (!runs(h)) /* 2.3.7: to be written only while halted */
            h->counter = h->seen = value;
        break;
    default:
        break;
    }
}

static uint64_t hpet_read(void *self, uint64_t offset, uint32_t width)
{
    struct hpet *h = self;

    /* The counter is read far more often than the rest, and depends on no comparator. */
    if ((offset & ~7ull) != MAIN_CNT && catch_up(h))
        arm(h, 0);
    uint64_t value = register_read(h, offset & ~7ull);
    return width == 4 && offset & 4 ? value >> 32 : value;
}

/* The half of a register that is not written keeps its value; of write-1-to-clear bits it keeps
 * all. */
static void hpet_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct hpet *h = self;
    uint64_t reg = offset & ~7ull;

    catch_up(h);
    if (width == 4) {
        uint64_t other = reg == GINTR_STA ? 0 : register_read(h, reg);
        uint32_t index = (uint32_t)((reg - TIMER_0) / TIMER_STRIDE);

        if (reg >= TIMER_0 && index < TIMERS && reg % TIMER_STRIDE == TIMER_CMP &&
            h->timers[index].conf & T_PERIODIC && !(h->timers[index].conf & T_SET_VALUE))
            other = h->timers[index].period;
        value =
            offset & 4 ? value << 32 | (uint32_t)other : (other & ~UINT64_C(0xffffffff)) | value;
    }
    register_write(h, reg, value);
    arm(h, 0);
}

static const struct bp_register hpet_registers[] = {
    {"GCAP_ID", GCAP_ID, 8, BP_REG_RO},
    {"GEN_CONF", GEN_CONF, 8, BP_REG_RW},
    {"GINTR_STA", GINTR_STA, 8, BP_REG_RW}, /* write 1 to clear */
    {"MAIN_CNT", MAIN_CNT, 8, BP_REG_RW},
    {"TIM0_CONF", 0x100, 8, BP_REG_RW},
    {"TIM0_COMP", 0x108, 8, BP_REG_RW},
    {"TIM0_FSB", 0x110, 8, BP_REG_RW},
    {"TIM1_CONF", 0x120, 8, BP_REG_RW},
    {"TIM1_COMP", 0x128, 8, BP_REG_RW},
    {"TIM1_FSB", 0x130, 8, BP_REG_RW},
    {"TIM2_CONF", 0x140, 8, BP_REG_RW},
    {"TIM2_COMP", 0x148, 8, BP_REG_RW},
    {"TIM2_FSB", 0x150, 8, BP_REG_RW},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops hpet_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 8,
    .register_stride = sizeof(struct bp_register),
    .name = "hpet",
    .registers = hpet_registers,
    .read = hpet_read,
    .write = hpet_write,
};

/* ---- what the guest's tables say ------------------------------------------------------------ */

/* Device (HPET) { _HID PNP0103, _UID 0, _CRS { Memory32Fixed (ReadWrite, base, 0x400) } } */
#define AML_BASE_AT 36u
static const uint8_t hpet_aml[] = {
    0x5b, 0x82, 0x2c, 'H',  'P',  'E',  'T',  0x08, '_',  'H',  'I',  'D',  0x0c, 0x41, 0xd0, 0x01,
    0x03, 0x08, '_',  'U',  'I',  'D',  0x00, 0x08, '_',  'C',  'R',  'S',  0x11, 0x11, 0x0a, 0x0e,
    0x86, 0x09, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x79, 0x00,
};

/* 3.2.4, after the header: block ID, address, number, least period, page protection. */
static void put_table(const struct hpet *h, uint8_t table[20])
{
    memset(table, 0, 20);
    bp_put_le32(table, (uint32_t)GCAP_VALUE);
    table[5] = 64; /* bits of a register in memory */
    bp_put_le64(table + 8, h->config->base);
    bp_put_le16(table + 17, FIRE_DISTANCE_NS / TICK_NS);
}

static void hpet_describe(void *self, struct bp_acpi_builder *b)
{
    const struct hpet *h = self;
    uint8_t aml[sizeof(hpet_aml)], table[20];

    memcpy(aml, hpet_aml, sizeof(aml));
    bp_put_le32(aml + AML_BASE_AT, (uint32_t)h->config->base);
    b->aml(b, aml, sizeof(aml));
    put_table(h, table);
    b->table(b, "HPET", 1, table, sizeof(table));
}

static const struct bp_acpi hpet_acpi = {
    .size = sizeof(struct bp_acpi),
    .describe = hpet_describe,
};

static const void *hpet_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_ACPI_ID) ? NULL : &hpet_acpi;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int hpet_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    const struct hpet_config *c = config;
    struct bp_region *region;
    struct hpet *h = calloc(1, sizeof(*h));
    int err;

    if (!h)
        return host->fail(node, -ENOMEM, "no memory for event timers");
    h->host = host;
    h->node = node;
    h->config = c;
    if (c->irqchip) {
        err = host->peer(node, c->irqchip, BP_IRQCHIP_ID, &h->irqchip);
        if (err) {
            host->fail(node, err, "`irqchip` must name interrupt controllers, such as dev-pc's");
            goto fail;
        }
    }
    if (c->rtc) {
        err = host->peer(node, c->rtc, RTC_ID, &h->rtc);
        if (err) {
            host->fail(node, err, "`rtc` must name a real-time clock of dev-pc");
            goto fail;
        }
    }
    err = host->region_new(node, BP_SPACE_MMIO, HPET_BYTES, &hpet_region, h, &region);
    if (!err)
        err = host->region_place(region, c->base);
    if (err) {
        bp_failf(host, node, err, "addresses 0x%llx to 0x%llx cannot be had; choose another `base`",
                 (unsigned long long)c->base, (unsigned long long)c->base + HPET_BYTES - 1);
        goto fail;
    }
    *self = h;
    return 0;

fail:
    free(h);
    return err;
}

static void hpet_destroy(void *self)
{
    free(self);
}

static void hpet_reset(void *self, uint32_t kind)
{
    struct hpet *h = self;

    (void)kind; /* nothing here is sticky */
    h->conf = h->status = h->counter = h->seen = h->base_ns = 0;
    for (uint32_t i = 0; i < TIMERS; i++) /* 2.3.9.1: comparators to all ones */
        h->timers[i] = (struct hpet_timer){.comparator = UINT64_MAX};
    update_lines(h, 0);
    connect_others(h);
    arm(h, 0);
}

static int hpet_after_load(void *self)
{
    struct hpet *h = self;

    if (h->base_ns > h->host->clock_ns(h->node))
        return bp_failf(h->host, h->node, -EINVAL,
                        "the snapshot's counter begins at %llu ns, after its own time; the file is "
                        "damaged",
                        (unsigned long long)h->base_ns);
    h->conf &= CONF_ENABLE | CONF_LEGACY;
    h->status &= (1u << TIMERS) - 1;
    for (uint32_t i = 0; i < TIMERS; i++) {
        struct hpet_timer *t = &h->timers[i];
        t->conf &= T_WRITABLE | T_ROUTE;
        if (!(routes[i] >> ((t->conf & T_ROUTE) >> T_ROUTE_SHIFT) & 1))
            t->conf &= ~(uint64_t)T_ROUTE;
        t->comparator &= mask_of(t);
        t->period &= mask_of(t);
    }
    update_lines(h, 0);
    connect_others(h);
    arm(h, 0);
    return 0;
}

#define TIMER_FIELD(member)                                                                        \
    {                                                                                              \
        "timers." #member, (uint32_t)offsetof(struct hpet, timers[0].member),                      \
            (uint32_t)sizeof(((struct hpet *)0)->timers[0].member), TIMERS,                        \
            (uint32_t)sizeof(struct hpet_timer), 1u, 0u                                            \
    }

static const struct bp_field hpet_fields[] = {
    BP_FIELD(struct hpet, conf, 1),
    BP_FIELD(struct hpet, status, 1),
    BP_FIELD(struct hpet, counter, 1),
    BP_FIELD(struct hpet, base_ns, 1),
    BP_FIELD(struct hpet, seen, 1),
    TIMER_FIELD(conf),
    TIMER_FIELD(comparator),
    TIMER_FIELD(period),
    TIMER_FIELD(fsb),
    TIMER_FIELD(edge_up),
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops hpet_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = hpet_fields,
    .field_stride = sizeof(struct bp_field),
    .create = hpet_create,
    .destroy = hpet_destroy,
    .reset = hpet_reset,
    .timer = hpet_timer,
    .after_load = hpet_after_load,
    .extension = hpet_extension,
};

static const struct bp_prop hpet_props[] = {
    {
        .name = "base",
        .help = "address of the registers, a multiple of 1024",
        .initial = "0xfed00000",
        .type = BP_PROP_UINT,
        .max = 0x100000000 - HPET_BYTES, /* Memory32Fixed */
        .claim = BP_CLAIM_MMIO,
        .claim_length = HPET_BYTES,
        BP_PROP_AT(struct hpet_config, base),
    },
    {
        .name = "irqchip",
        .help = "interrupt controllers whose PIT leaves line 0 in legacy replacement mode",
        .needs = BP_IRQCHIP_ID,
        .type = BP_PROP_REF,
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): the member is a pointer */
        BP_PROP_AT(struct hpet_config, irqchip),
    },
    {
        .name = "rtc",
        .help = "clock of dev-pc that leaves its line in legacy replacement mode",
        .needs = RTC_ID,
        .type = BP_PROP_REF,
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): the member is a pointer */
        BP_PROP_AT(struct hpet_config, rtc),
    },
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&hpet_region, NULL};

const struct bp_model hpet_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "hpet",
    .summary = "high precision event timers: a 100 MHz counter and three comparators",
    .props = hpet_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct hpet_config),
    .flags = BP_MODEL_ONCE, /* as its ACPI table is */
    .instance = &hpet_ops,
    .regions = regions,
};
