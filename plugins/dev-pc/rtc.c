/* SPDX-License-Identifier: MIT
 *
 * dev-pc/rtc.c - the PC's real-time clock: Motorola MC146818A (datasheet of 1984) behind the index
 * and data ports 0x70 and 0x71, with the 128 bytes of the AT's successors and the century at 0x32.
 * Line 8 is up while IRQF is, unless event timers have taken its place.
 *
 * The clock shows host->utc_ns plus an offset that changes when the guest sets it, so that no
 * second is ever lost; flags are computed when somebody looks, and a timer is armed only for a flag
 * that would raise the interrupt. Leaves out daylight saving (DSE), the square wave, and the NMI
 * mask (index bit 7), which reads and has no effect. UIP is set for the 244 us before an update;
 * the update itself takes no time.
 */
#include "rtc.h"
#include "calendar.h"
#include "pc.h"

#include <backplane/ext/acpi.h>
#include <backplane/ext/firmware.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CMOS_BYTES 128u
#define NS_PER_S 1000000000u
#define CRYSTAL_HZ 32768u

/* What the index selects. */
enum {
    SECONDS,
    SECONDS_ALARM,
    MINUTES,
    MINUTES_ALARM,
    HOURS,
    HOURS_ALARM,
    WEEKDAY,
    DAY,
    MONTH,
    YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    CENTURY = 0x32,
};

/* Register A:  UIP 7 (RO), DV 6:4 (divider chain), RS 3:0 (periodic rate). */
#define A_UIP 0x80u
#define A_DV 0x70u
#define A_DV_RUNS_TO 0x20u /* the three time bases; anything above holds the chain in reset */
#define A_RS 0x0fu
#define A_POWER_ON 0x26u /* 32,768 Hz, 1,024 Hz */

/* Register B. */
#define B_SET 0x80u /* the guest sets the clock: no updates */
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_SQWE 0x08u
#define B_BINARY 0x04u /* DM */
#define B_24H 0x02u
#define B_POWER_ON B_24H

/* Register C, RC. PF, AF and UF stand where B has their enable bits. */
#define C_IRQF 0x80u
#define C_PF 0x40u
#define C_AF 0x20u
#define C_UF 0x10u

#define D_VRT 0x80u /* the battery is good */

#define ALARM_ANY 0xc0u       /* both bits set: the alarm does not look at this register */
#define UIP_NS 244000u        /* tBUC */
#define RELEASE_NS 500000000u /* from the chain's release to the first update */

#define MEMORY_HOLE (UINT64_C(3) << 30) /* RAM beyond it lies above 4 GiB */

struct rtc_config {
    uint64_t memory; /* bytes, 0: not told */
    uint32_t base;   /* 0 utc, 1 localtime */
    uint16_t port;
    uint8_t irq;
};

struct moment {
    int64_t s;   /* since 1970 */
    uint32_t ns; /* 0..999,999,999 */
    uint32_t reserved;
};

struct rtc {
    const struct bp_host *host;
    struct bp_node *node;
    const struct rtc_config *config;
    struct moment offset;     /* of the clock from host->utc_ns */
    struct moment seen;       /* flags are right up to here */
    uint32_t weekday_shift;   /* days by which the guest's idea of the weekday is ahead, 0..6 */
    uint8_t index, a, b, c;   /* c: PF, AF, UF */
    uint8_t off_line;         /* by rtc_line_connect() */
    uint8_t cmos[CMOS_BYTES]; /* the time registers are kept here only while the clock is held */
};

/* ---- the clock
 * ----------------------------------------------------------------------------------- */

static bool divider_runs(const struct rtc *r)
{
    return (r->a & A_DV) <= A_DV_RUNS_TO;
}

static bool updates(const struct rtc *r)
{
    return divider_runs(r) && !(r->b & B_SET);
}

static struct moment rtc_now(const struct rtc *r)
{
    uint64_t utc = r->host->utc_ns(r->node);
    struct moment m = {
        .s = (int64_t)(utc / NS_PER_S) + r->offset.s,
        .ns = (uint32_t)(utc % NS_PER_S) + r->offset.ns,
    };

    if (m.ns >= NS_PER_S) {
        m.ns -= NS_PER_S;
        m.s++;
    }
    return m;
}

/* Makes rtc_now() be this. */
static void rtc_set(struct rtc *r, int64_t s, uint32_t ns)
{
    uint64_t utc = r->host->utc_ns(r->node);
    uint32_t utc_ns = (uint32_t)(utc % NS_PER_S);
    bool borrow = ns < utc_ns;

    r->offset.s = s - (int64_t)(utc / NS_PER_S) - borrow;
    r->offset.ns = ns + (borrow ? NS_PER_S : 0) - utc_ns;
}

static bool is_time(uint32_t index)
{
    return index == CENTURY || (index <= YEAR && (index >= WEEKDAY || !(index & 1)));
}

static void time_to_registers(const struct rtc *r, uint8_t *to)
{
    bool binary = r->b & B_BINARY;
    struct calendar t;
    uint32_t year;

    calendar_from_seconds(&t, rtc_now(r).s);
    year = (uint32_t)((t.year % 10000 + 10000) % 10000);
    to[SECONDS] = calendar_encode(t.second, binary);
    to[MINUTES] = calendar_encode(t.minute, binary);
    to[HOURS] = calendar_encode_hour(t.hour, binary, !(r->b & B_24H));
    to[WEEKDAY] = calendar_encode((t.weekday - 1 + r->weekday_shift) % 7 + 1, binary);
    to[DAY] = calendar_encode(t.day, binary);
    to[MONTH] = calendar_encode(t.month, binary);
    to[YEAR] = calendar_encode(year % 100, binary);
    to[CENTURY] = calendar_encode(year / 100, binary);
}

/* The clock goes on from what the registers say, `ns` into that second. */
static void time_from_registers(struct rtc *r, uint32_t ns)
{
    const uint8_t *from = r->cmos;
    bool binary = r->b & B_BINARY;
    uint32_t weekday = calendar_decode(from[WEEKDAY], binary);
    struct calendar t = {
        .year = calendar_decode(from[CENTURY], binary) * INT64_C(100) +
                calendar_decode(from[YEAR], binary),
        .month = calendar_decode(from[MONTH], binary),
        .day = calendar_decode(from[DAY], binary),
        .hour = calendar_decode_hour(from[HOURS], binary, !(r->b & B_24H)),
        .minute = calendar_decode(from[MINUTES], binary),
        .second = calendar_decode(from[SECONDS], binary),
    };
    int64_t s = calendar_to_seconds(&t);

    rtc_set(r, s, ns);
    calendar_from_seconds(&t, s);
    r->weekday_shift = weekday >= 1 && weekday <= 7 ? (weekday + 7 - t.weekday) % 7 : 0;
}

/* ---- flags and the interrupt
 * ----------------------------------------------------------------------- */

/* Crystal ticks between two settings of PF; 0: never. Rates 1 and 2 are 256 and 128 Hz. */
static uint32_t period_ticks(const struct rtc *r)
{
    uint32_t rs = r->a & A_RS;

    if (!rs || !divider_runs(r))
        return 0;
    return 1u << (rs < 3 ? rs + 6 : rs - 1);
}

static int64_t ticks_of(const struct moment *m)
{
    return m->s * (int64_t)CRYSTAL_HZ + (int64_t)((uint64_t)m->ns * CRYSTAL_HZ / NS_PER_S);
}

static int64_t next_alarm(const struct rtc *r, int64_t after)
{
    bool binary = r->b & B_BINARY;
    uint8_t s = r->cmos[SECONDS_ALARM], m = r->cmos[MINUTES_ALARM], h = r->cmos[HOURS_ALARM];

    return calendar_next(
        after, h >= ALARM_ANY ? CALENDAR_ANY : calendar_decode_hour(h, binary, !(r->b & B_24H)),
        m >= ALARM_ANY ? CALENDAR_ANY : calendar_decode(m, binary),
        s >= ALARM_ANY ? CALENDAR_ANY : calendar_decode(s, binary));
}

static void update_irq(struct rtc *r)
{
    r->host->irq_set(r->node, r->config->irq, (r->c & r->b) != 0 && !r->off_line);
}

/* Sets the flags of what happened since the last look. A host clock that was set back makes nothing
 * happen. */
static void catch_up(struct rtc *r)
{
    struct moment now = rtc_now(r);
    int64_t period = period_ticks(r);

    if (period && ticks_of(&now) > ticks_of(&r->seen) &&
        (ticks_of(&now) & -period) > (ticks_of(&r->seen) & -period))
        r->c |= C_PF;
    if (updates(r) && now.s > r->seen.s) {
        r->c |= C_UF;
        if (next_alarm(r, r->seen.s) <= now.s)
            r->c |= C_AF;
    }
    r->seen = now;
    update_irq(r);
}

/* Arms the timer for the next flag that is enabled and not yet set. Follows catch_up(). */
static void arm(struct rtc *r)
{
    uint32_t wanted = r->b & ~(uint32_t)r->c & (C_PF | C_AF | C_UF);
    int64_t period = period_ticks(r);
    struct moment next = {.s = INT64_MAX};

    if ((wanted & C_AF) && updates(r))
        next.s = next_alarm(r, r->seen.s);
    if ((wanted & C_UF) && updates(r))
        next.s = r->seen.s + 1;
    if ((wanted & C_PF) && period) {
        int64_t tick = (ticks_of(&r->seen) & -period) + period;
        struct moment m = {.s = tick >> 15};
        m.ns = (uint32_t)(((uint64_t)(tick & (CRYSTAL_HZ - 1)) * NS_PER_S + CRYSTAL_HZ - 1) /
                          CRYSTAL_HZ);
        if (m.s < next.s)
            next = m;
    }
    if (next.s == INT64_MAX) {
        r->host->timer_set(r->node, 0, UINT64_MAX);
        return;
    }
    /* At most two days, so nothing overflows. */
    r->host->timer_set(
        r->node, 0,
        r->host->clock_ns(r->node) +
            (uint64_t)((next.s - r->seen.s) * (int64_t)NS_PER_S + next.ns - r->seen.ns));
}

static void rtc_timer(void *self, uint32_t id)
{
    struct rtc *r = self;

    (void)id;
    catch_up(r);
    arm(r);
}

/* ---- registers
 * ------------------------------------------------------------------------------------- */

/* Registers A and B decide together whether the clock runs. */
static void set_control(struct rtc *r, uint8_t a, uint8_t b)
{
    bool did_update = updates(r), did_run = divider_runs(r);
    uint32_t ns;

    /* The registers keep what they show at this moment, in the format they have now. */
    if (did_update && ((b & B_SET) || (a & A_DV) > A_DV_RUNS_TO))
        time_to_registers(r, r->cmos);
    if (b & B_SET)
        b &= (uint8_t)~B_UIE;
    r->a = a;
    r->b = b;
    ns = !did_run && divider_runs(r) ? RELEASE_NS : rtc_now(r).ns;
    if (!did_update && updates(r))
        time_from_registers(r, ns);
    else if (!did_run && divider_runs(r))
        rtc_set(r, rtc_now(r).s, ns);
    r->seen = rtc_now(r);
    update_irq(r);
}

static uint8_t register_read(struct rtc *r)
{
    uint8_t now[CMOS_BYTES];
    uint8_t value;

    switch (r->index) {
    case REG_A:
        return r->a | (updates(r) && rtc_now(r).ns >= NS_PER_S - UIP_NS ? A_UIP : 0);
    case REG_B:
        return r->b;
    case REG_C:
        catch_up(r);
        value = r->c | (r->c & r->b ? C_IRQF : 0);
        r->c = 0;
        update_irq(r);
        arm(r);
        return value;
    case REG_D:
        return D_VRT;
    default:
        if (!is_time(r->index) || !updates(r))
            return r->cmos[r->index];
        time_to_registers(r, now);
        return now[r->index];
    }
}

static void register_write(struct rtc *r, uint8_t value)
{
    switch (r->index) {
    case REG_A:
        catch_up(r);
        set_control(r, value & (A_DV | A_RS), r->b);
        arm(r);
        break;
    case REG_B:
        catch_up(r);
        set_control(r, r->a, value);
        arm(r);
        break;
    case REG_C:
    case REG_D:
        break; /* read-only */
    case SECONDS_ALARM:
    case MINUTES_ALARM:
    case HOURS_ALARM:
        catch_up(r);
        r->cmos[r->index] = value;
        arm(r);
        break;
    default:
        if (!is_time(r->index) || !updates(r)) {
            r->cmos[r->index] = value;
            break;
        }
        /* Set while it runs, as careless guests do: takes effect at once. */
        catch_up(r);
        time_to_registers(r, r->cmos);
        r->cmos[r->index] = value;
        time_from_registers(r, rtc_now(r).ns);
        r->seen = rtc_now(r);
        arm(r);
    }
}

static uint64_t rtc_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return offset ? register_read(self) : 0xff; /* the index cannot be read */
}

static void rtc_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct rtc *r = self;

    (void)width;
    if (offset)
        register_write(r, (uint8_t)value);
    else
        r->index = value & (CMOS_BYTES - 1);
}

static const struct bp_register rtc_registers[] = {
    {"INDEX", 0, 1, BP_REG_WO}, /* bit 7: NMI mask */
    {"DATA", 1, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops rtc_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 1,
    .register_stride = sizeof(struct bp_register),
    .name = "cmos",
    .registers = rtc_registers,
    .read = rtc_read,
    .write = rtc_write,
};

/* ---- what the host sees
 * ----------------------------------------------------------------------------- */

static void rtc_describe(void *self, struct bp_acpi_builder *b)
{
    const struct rtc_config *c = ((struct rtc *)self)->config;

    b->has(b, BP_ACPI_HAS_RTC);
    /* Two ports: with more, Linux would look for a second bank at 0x72. */
    b->device(b, "PNP0B00", 0, c->port, 2, c->irq);
}

static const struct bp_acpi rtc_acpi = {
    .size = sizeof(struct bp_acpi),
    .describe = rtc_describe,
};

static void rtc_line_connect(void *self, uint32_t on)
{
    struct rtc *r = self;

    r->off_line = !on;
    update_irq(r);
}

static const struct rtc_interface rtc_interface = {
    .size = sizeof(struct rtc_interface),
    .line_connect = rtc_line_connect,
};

static const void *rtc_extension(void *self, const char *id)
{
    (void)self;
    if (!strcmp(id, RTC_ID))
        return &rtc_interface;
    return strcmp(id, BP_ACPI_ID) ? NULL : &rtc_acpi;
}

static void put_cmos16(struct rtc *r, uint32_t index, uint64_t value)
{
    r->cmos[index] = (uint8_t)value;
    r->cmos[index + 1] = (uint8_t)(value >> 8);
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

/* Where firmware conventionally leaves the size of RAM, for bare guests that have nothing else to
 * read. */
static void put_memory_size(struct rtc *r, uint64_t bytes)
{
    if (!bytes)
        return;
    uint64_t low = at_most(bytes, MEMORY_HOLE);
    uint64_t high = (bytes - low) >> 16;
    uint64_t extended = low > 1u << 20 ? at_most((low - (1u << 20)) >> 10, 0xffff) : 0;
    uint64_t above_16m = low > 16u << 20 ? at_most((low - (16u << 20)) >> 16, 0xffff) : 0;

    put_cmos16(r, 0x15, at_most(low >> 10, 640));
    put_cmos16(r, 0x17, extended);
    put_cmos16(r, 0x30, extended);
    put_cmos16(r, 0x34, above_16m);
    put_cmos16(r, 0x5b, high);
    r->cmos[0x5d] = (uint8_t)(high >> 16);
}

/* By the section; or else by the host, if firmware is to find it. 0: nobody. */
static uint64_t memory_told(const struct rtc *r)
{
    const struct bp_firmware *firmware = r->host->extension(r->node, BP_FIRMWARE_ID);

    if (r->config->memory)
        return r->config->memory;
    return firmware ? firmware->ram_bytes(r->node) : 0;
}

static int rtc_create(const struct bp_host *host, struct bp_node *node, const void *config,
                      void **self)
{
    const struct rtc_config *c = config;
    struct bp_region *region;
    struct rtc *r = calloc(1, sizeof(*r));
    int err;

    if (!r)
        return host->fail(node, -ENOMEM, "no memory for a real-time clock");
    r->host = host;
    r->node = node;
    r->config = c;
    err = host->region_new(node, BP_SPACE_PIO, 2, &rtc_region, r, &region);
    if (!err)
        err = host->region_place(region, c->port);
    if (err) {
        free(r);
        return bp_failf(host, node, err, "ports 0x%x and 0x%x cannot be had; choose another `port`",
                        c->port, c->port + 1);
    }
    *self = r;
    return 0;
}

static void rtc_destroy(void *self)
{
    free(self);
}

static void rtc_reset(void *self, uint32_t kind)
{
    struct rtc *r = self;

    if (kind == BP_RESET_COLD) {
        memset(r->cmos, 0, sizeof(r->cmos));
        put_memory_size(r, memory_told(r));
        r->a = A_POWER_ON;
        r->b = B_POWER_ON;
        r->weekday_shift = 0;
        r->offset = (struct moment){0};
        if (r->config->base) {
            time_t now = (time_t)(r->host->utc_ns(r->node) / NS_PER_S);
            struct tm local;
            if (localtime_r(&now, &local))
                r->offset.s = local.tm_gmtoff;
        }
    }
    /* The RESET pin: the clock and the battery's RAM live on. */
    r->index = 0;
    r->b &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    r->c = 0;
    r->seen = rtc_now(r);
    update_irq(r);
    arm(r);
}

/* The wall clock may have moved while guest time stood still. */
static int rtc_start(void *self)
{
    struct rtc *r = self;

    catch_up(r);
    arm(r);
    return 0;
}

static int rtc_after_load(void *self)
{
    struct rtc *r = self;
    const int64_t limit = INT64_C(1)
                          << 40; /* seconds: beyond any time the registers can be set to */

    if (r->offset.s < -limit || r->offset.s > limit || r->offset.ns >= NS_PER_S ||
        r->seen.s < -2 * limit || r->seen.s > 2 * limit || r->seen.ns >= NS_PER_S ||
        r->weekday_shift > 6 || r->index >= CMOS_BYTES)
        return r->host->fail(
            r->node, -EINVAL,
            "the snapshot's clock is no time that the registers can show; the file "
            "is damaged");
    r->a &= A_DV | A_RS;
    r->c &= C_PF | C_AF | C_UF;
    update_irq(r);
    arm(r);
    return 0;
}

static const struct bp_field rtc_fields[] = {
    BP_FIELD(struct rtc, offset.s, 1),
    BP_FIELD(struct rtc, offset.ns, 1),
    BP_FIELD(struct rtc, seen.s, 1),
    BP_FIELD(struct rtc, seen.ns, 1),
    BP_FIELD(struct rtc, weekday_shift, 1),
    BP_FIELD(struct rtc, index, 1),
    BP_FIELD(struct rtc, a, 1),
    BP_FIELD(struct rtc, b, 1),
    BP_FIELD(struct rtc, c, 1),
    BP_ARRAY(struct rtc, cmos, 1),
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops rtc_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = rtc_fields,
    .field_stride = sizeof(struct bp_field),
    .create = rtc_create,
    .destroy = rtc_destroy,
    .reset = rtc_reset,
    .start = rtc_start,
    .timer = rtc_timer,
    .after_load = rtc_after_load,
    .extension = rtc_extension,
};

static const char *const rtc_bases[] = {"utc", "localtime", NULL};

static const struct bp_prop rtc_props[] = {
    {
        .name = "port",
        .help = "index port; the data port follows it",
        .initial = "0x70",
        .type = BP_PROP_UINT,
        .max = 0xfffe,
        .claim = BP_CLAIM_PIO,
        .claim_length = 2,
        BP_PROP_AT(struct rtc_config, port),
    },
    {
        .name = "irq",
        .help = "interrupt line",
        .initial = "8",
        .type = BP_PROP_UINT,
        .max = 23,
        .claim = BP_CLAIM_IRQ,
        .claim_length = 0,
        BP_PROP_AT(struct rtc_config, irq),
    },
    {
        .name = "base",
        .help = "what the clock shows at power-on: utc, or localtime for guests that expect it",
        .initial = "utc",
        .choices = rtc_bases,
        .type = BP_PROP_ENUM,
        BP_PROP_AT(struct rtc_config, base),
    },
    {
        .name = "memory",
        .help = "size of RAM to store in CMOS at 0x15, 0x30, 0x34 and 0x5b for old guests; 0: none",
        .initial = "0",
        .type = BP_PROP_SIZE,
        BP_PROP_AT(struct rtc_config, memory),
    },
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&rtc_region, NULL};

const struct bp_model rtc_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "rtc",
    .summary = "MC146818A real-time clock with 128 bytes of CMOS RAM",
    .props = rtc_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct rtc_config),
    .instance = &rtc_ops,
    .regions = regions,
};
