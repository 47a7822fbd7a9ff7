/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the parts of a PC's board in dev-pc, one an input: clock, event timers, ACPI power
 * management, reset ports, debug port; the interrupt controllers are in fuzz_pc_chip.c. The input
 * is a program of accesses, of time and wall-clock time, of resets, and of state that moves to
 * another instance or that was changed before. After each an honest driver must be served.
 *
 *     2 bytes   which part; its keys
 *     steps     one byte each says which, operands behind it
 *
 * fw_cfg and the host bridge have a target of their own. The configs mirror the plugin's.
 */
#include "fuzz_pc.h"

#include "dev-pc/ports.h"
#include "dev-uart/fake_char.h"
#include "rtc.h"

#include <backplane/ext/irqchip.h>
#include <stdlib.h>

#define STEPS_MAX 500u
#define MOVES_MAX 4u
#define SECOND_NS UINT64_C(1000000000)
#define HPET UINT64_C(0xfed00000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct range {
    uint32_t space, count;
    uint64_t base;
};

struct run;

struct part {
    const char *model;
    const void *(*config)(struct run *run); /* the same for each instance of a run */
    struct range ranges[4];                 /* where it answers; unused ones have no count */
    void (*probe)(struct fake_host *h);     /* an honest driver, after a reset */
};

struct run {
    struct fuzz_input in;
    const struct part *part;
    struct fake_host *host;
    uint32_t options, moves;
};

static uint32_t take(struct run *run, uint32_t bytes)
{
    return (uint32_t)fuzz_take(&run->in, bytes);
}

/* ---- the real-time clock ---- */

static const void *rtc_config(struct run *run)
{
    static struct {
        uint64_t memory;
        uint32_t base;
        uint16_t port;
        uint8_t irq;
    } c;

    c.memory = run->options & 1 ? UINT64_C(5) << 30 : 0;
    c.base = run->options >> 1 & 1;
    c.port = 0x70;
    c.irq = 8;
    return &c;
}

static void cmos_put(struct fake_host *h, uint8_t index, uint8_t value)
{
    out8(h, 0x70, index);
    out8(h, 0x71, value);
}

static uint8_t cmos_get(struct fake_host *h, uint8_t index)
{
    out8(h, 0x70, index);
    return in8(h, 0x71);
}

/* Sets the clock, binary and 24 hours, a second before the year ends. */
static void rtc_probe(struct fake_host *h)
{
    static const uint8_t to[][2] = {{0, 59}, {2, 59}, {4, 23}, {6, 6},
                                    {7, 31}, {8, 12}, {9, 99}, {0x32, 20}};
    static const uint8_t then[][2] = {{0, 0}, {2, 0}, {4, 0}, {6, 7},
                                      {7, 1}, {8, 1}, {9, 0}, {0x32, 21}};

    cmos_put(h, 10, 0x26);
    cmos_put(h, 11, 0x86);
    for (uint32_t i = 0; i < 8; i++)
        cmos_put(h, to[i][0], to[i][1]);
    cmos_put(h, 11, 0x16); /* goes on, and interrupts after each update */
    cmos_get(h, 12);
    assert_int_equal(fake_irq_level(h, 8), 0);
    fake_advance_ns(h, SECOND_NS);
    assert_int_equal(fake_irq_level(h, 8), 1);
    assert_int_equal(cmos_get(h, 12) & 0x90, 0x90);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(cmos_get(h, then[i][0]), then[i][1]);
}

/* ---- the event timers ---- */

static void timer_connect(void *self, uint32_t on)
{
    assert_true(on <= 1);
    *(uint32_t *)self = on;
}

static uint32_t others[2]; /* whether they are on their lines: PIT, clock */

static const void *hpet_config(struct run *run)
{
    static const struct bp_irqchip chip = {.size = sizeof(chip), .timer_connect = timer_connect};
    static const struct rtc_interface rtc = {.size = sizeof(rtc), .line_connect = timer_connect};
    static struct {
        uint64_t base;
        struct bp_node *irqchip, *rtc;
    } alone = {.base = HPET}, wired;

    if (run->options & 1)
        return &alone;
    if (!wired.base) {
        wired.irqchip = fake_peer(BP_IRQCHIP_ID, &chip, &others[0]);
        wired.rtc = fake_peer(RTC_ID, &rtc, &others[1]);
        wired.base = HPET;
    }
    return &wired;
}

static void hpet_put(struct fake_host *h, uint32_t reg, uint64_t value)
{
    fake_write(h, BP_SPACE_MMIO, HPET + reg, value, 8);
}

/* Timer 2, periodic, every ms on line 20, and none of the others. */
static void hpet_probe(struct fake_host *h)
{
    hpet_put(h, 0x140, 20u << 9 | 0x4c);
    hpet_put(h, 0x148, 100000);
    hpet_put(h, 0x148, 100000);
    hpet_put(h, 0xf0, 0);
    hpet_put(h, 0x10, 1);
    fake_irq_edges(h, 20);
    for (uint32_t i = 0; i < 3; i++) {
        fake_advance_ns(h, SECOND_NS / 1000);
        assert_int_equal(fake_irq_edges(h, 20), 1);
        assert_int_equal(fake_read(h, BP_SPACE_MMIO, HPET + 0xf0, 8), (i + 1) * 100000u);
    }
    assert_int_equal(fake_msis(h, NULL, NULL), 0);
}

/* ---- power management, reset ---- */

static const void *pm_config(struct run *run)
{
    static struct {
        uint16_t port, reset_port;
        uint8_t irq, s5_type, pm_timer;
    } c;

    c.port = 0x600;
    c.reset_port = 0xcf9;
    c.irq = 9;
    c.s5_type = run->options & 7;
    c.pm_timer = 1;
    return &c;
}

static void pm_probe(struct fake_host *h)
{
    assert_int_equal(fake_irq_level(h, 9), 0);
    out16(h, 0x602, 1); /* the timer's highest bit changes every 2.3 s */
    fake_advance_ns(h, 3 * SECOND_NS);
    assert_int_equal(fake_irq_level(h, 9), 1);
    assert_int_equal(in16(h, 0x600), 1);
    out16(h, 0x600, 1);
    assert_int_equal(fake_irq_level(h, 9), 0);
    assert_int_equal(in16(h, 0x604), 1);
    for (uint32_t type = 0; type < 8; type++) /* one of them is soft-off */
        out16(h, 0x604, 0x2000u | type << 10);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_POWER_OFF);
}

static const void *reset_config(struct run *run)
{
    static const uint16_t ports[4] = {0xcf9, 0x92, 0x60, 0x64};

    (void)run;
    return ports;
}

static void reset_probe(struct fake_host *h)
{
    out8(h, 0xcf9, 2);
    assert_int_equal(fake_request(h, NULL), 0);
    out8(h, 0xcf9, 6);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
    out8(h, 0x64, 0xd0);
    assert_int_equal(in8(h, 0x64) & 1, 1);
    assert_int_equal(in8(h, 0x60), 0xcf);
    assert_int_equal(in8(h, 0x64) & 1, 0);
    out8(h, 0x64, 0xfe);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
}

/* ---- the debug port ---- */

#define ROOM 8192u

static struct fake_char *chr; /* of the instance that was made last */

static const void *debug_config(struct run *run)
{
    static struct {
        struct bp_node *chardev;
        uint16_t port;
        uint8_t readback;
    } alone = {.port = 0xe9, .readback = 0xe9}, configs[2];
    static struct fake_char *ends[2];
    uint32_t set = run->moves & 1;

    if (run->options & 1)
        return &alone;
    if (!ends[set]) {
        ends[set] = fake_char_new();
        configs[set] = alone;
        configs[set].chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, ends[set]);
    }
    chr = ends[set];
    chr->room = ROOM;
    chr->owed = 0;
    chr->port = NULL;
    return &configs[set];
}

static void debug_probe(struct fake_host *h)
{
    assert_int_equal(in8(h, 0xe9), 0xe9);
    if (!chr || !chr->port)
        return;
    chr->len = 0;
    fake_char_open(chr, ROOM);
    chr->len = 0; /* what waited */
    out8(h, 0xe9, 'o');
    out8(h, 0xe9, 'k');
    fake_char_expect(chr, "ok");
}

/* ---- steps ---- */

static const struct part parts[] = {
    {"rtc", rtc_config, {{BP_SPACE_PIO, 2, 0x70}}, rtc_probe},
    {"hpet", hpet_config, {{BP_SPACE_MMIO, 0x400, HPET}}, hpet_probe},
    {"acpi-pm", pm_config, {{BP_SPACE_PIO, 12, 0x600}}, pm_probe},
    {"reset",
     reset_config,
     {{BP_SPACE_PIO, 1, 0xcf9},
      {BP_SPACE_PIO, 1, 0x92},
      {BP_SPACE_PIO, 1, 0x60},
      {BP_SPACE_PIO, 1, 0x64}},
     reset_probe},
    {"debug-port", debug_config, {{BP_SPACE_PIO, 1, 0xe9}}, debug_probe},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void access_register(struct run *run, uint32_t is_write)
{
    uint32_t what = take(run, 1), width = 1u << (what & 3), at = take(run, 2);
    const struct range *r = &run->part->ranges[what >> 2 & 3];

    if (!r->count)
        r = run->part->ranges;
    if (width == 8 && r->space == BP_SPACE_PIO)
        width = 1;
    at %= r->count;
    if (!(what & 0x80)) /* as most drivers do it */
        at -= at % width;
    if (is_write)
        fake_write(run->host, r->space, r->base + at, fuzz_take(&run->in, width), width);
    else
        fake_read(run->host, r->space, r->base + at, width);
}

/* An indexed register: the clock's are behind two ports. */
static void access_cmos(struct run *run)
{
    static const uint8_t indexes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 11, 12, 0x32};
    uint32_t what = take(run, 1);
    uint8_t index = indexes[(what & 0x7f) % sizeof(indexes)];

    if (run->part != &parts[0])
        return;
    if (what & 0x80)
        cmos_put(run->host, index, (uint8_t)take(run, 1));
    else
        cmos_get(run->host, index);
}

static void backend(struct run *run)
{
    if (chr && chr->port)
        fake_char_open(chr, take(run, 2) % ROOM);
}

static void make(struct run *run)
{
    chr = NULL;
    run->host = fake_host_new(PLUGIN_FILE, run->part->model, run->part->config(run));
}

/* The state moves to another instance, which goes on in the place of this one. */
static void move(struct run *run)
{
    struct fake_host *from = run->host;

    if (run->moves == MOVES_MAX)
        return;
    run->moves++;
    make(run);
    fake_move_state(from, run->host);
    fake_host_free(from);
}

/* What is refused is not gone on with. */
static void damage(struct run *run)
{
    if (fuzz_damage(run->host, &run->in))
        fake_ops(run->host)->reset(fake_self(run->host), BP_RESET_COLD);
    fuzz_start(run->host);
}

static void step(struct run *run)
{
    if (chr)
        chr->len = 0;
    switch (take(run, 1) % 12) {
    case 0:
    case 1:
    case 2:
        access_register(run, 1);
        break;
    case 3:
    case 4:
        access_register(run, 0);
        break;
    case 5:
        fake_advance_ns(run->host, take(run, 2));
        break;
    case 6:
        fake_advance_ns(run->host, (uint64_t)take(run, 2) << 16);
        break;
    case 7: /* the host's clock is set, and the guest hears of it when it goes on */
        fake_ops(run->host)->stop(fake_self(run->host));
        fake_set_utc_ns(run->host, fuzz_take(&run->in, 8) >> 1);
        fuzz_start(run->host);
        break;
    case 8:
        access_cmos(run);
        backend(run);
        break;
    case 9:
        damage(run);
        break;
    case 10:
        access_cmos(run);
        break;
    default:
        if (take(run, 1) & 1)
            move(run);
        else
            fuzz_reset(run->host, take(run, 1) & 1 ? BP_RESET_COLD : BP_RESET_WARM);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.in = {data, size}};
    uint32_t which;

    setenv("CMOCKA_TEST_ABORT", "1", 0); /* a failed check shall end the program, with a trace */
    which = take(&run, 1) % (2 * PARTS);
    run.options = take(&run, 1);
    if (which >= PARTS) {
        fuzz_chip(&run.in, run.options);
        return 0;
    }
    run.part = &parts[which];
    make(&run);
    for (uint32_t i = 0; run.in.left && i < STEPS_MAX; i++)
        step(&run);
    if (chr)
        chr->len = 0;
    fuzz_reset(run.host, BP_RESET_WARM);
    fake_request(run.host, NULL);
    fake_msis(run.host, NULL, NULL);
    run.part->probe(run.host);
    fake_host_free(run.host);
    return 0;
}
