/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pit.c - Intel 8254 programmable interval timer (datasheet 231164-005) at 1,193,182 Hz,
 * with port 0x61 of the AT: GATE and OUT of counter 2, and the toggle of the memory refresh.
 *
 * A count and the level of OUT follow from guest time when somebody looks; a timer of the host runs
 * only for the next rise of counter 0's OUT, which is interrupt line 0. Its low phases in modes 2
 * to 4 are no longer than the fall and rise that make the interrupt. What is late is not made up
 * for: two rises that the host could not tell apart are one, and there are at most 20,000 a second,
 * whatever the count. Loading a count takes no time, where the chip takes one clock. Leaves out the
 * speaker's sound and the NMI sources of port 0x61.
 */
#include "pit.h"

#include <errno.h>

#define NS_PER_S 1000000000u
#define RISE_DISTANCE_NS 50000u
#define REFRESH_NS 15085u /* 18 clocks */
#define LINE 0u
#define LOAD_TIME_MAX (INT64_C(1) << 60)

/* bp_x86_pit_channel: rw_mode 1 to 3; read_state, write_state and count_latched have one more. */
enum { BYTE_LOW = 1, BYTE_HIGH = 2, WORD_LOW = 3, WORD_HIGH = 4 };

/* Control word:  7:6 counter, 3: read-back  5:4 access, 0: latch  3:1 mode  0 BCD */
#define READ_BACK 3u
#define READ_BACK_NO_COUNT 0x20u
#define READ_BACK_NO_STATUS 0x10u
/* Status byte:  7 OUT  6 null count  5:0 as in the control word */
#define STATUS_OUT 0x80u
#define STATUS_NULL 0x40u

#define SPEAKER_GATE 0x01u
#define SPEAKER_DATA 0x02u
#define SPEAKER_REFRESH 0x10u
#define SPEAKER_OUT 0x20u

#define MODE_NONE 0xffu /* power-on: a control word has yet to come */

static uint64_t clock_now(const struct pit *p)
{
    return p->host->clock_ns(p->node);
}

static uint64_t to_ticks(uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * PIT_HZ / NS_PER_S);
}

/* The first ns at which `ticks` are over. */
static uint64_t to_ns(uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ticks * NS_PER_S + PIT_HZ - 1) / PIT_HZ);
}

static bool is_cyclic(const struct pit_counter *c)
{
    return c->s.mode == 2 || c->s.mode == 3;
}

/* In modes 1 and 5 GATE triggers; in the others it holds the count while it is low. */
static bool is_triggered(const struct pit_counter *c)
{
    return c->s.mode == 1 || c->s.mode == 5;
}

/* ---- where a counter is --------------------------------------------------------------------- */

static uint64_t elapsed(const struct pit_counter *c, uint64_t now)
{
    int64_t since = (int64_t)(c->halted_ns ? c->halted_ns : now) - c->s.load_time_ns;

    return since > 0 ? to_ticks((uint64_t)since) : 0;
}

/* Mode 3: clocks for which OUT is high. An odd count has one more high than low. */
static uint32_t high_clocks(uint32_t count)
{
    return (count + 1) / 2;
}

static void start(struct pit_counter *c, int64_t when)
{
    c->s.load_time_ns = when ? when : 1; /* 0 says that it was not loaded */
    c->running = c->s.count;
    c->switching = PIT_SWITCH_NO;
}

/* Lets a count that waited for its cycle take over. */
static void settle(struct pit_counter *c, uint64_t now)
{
    if (!c->switching || c->halted_ns || now < c->switch_ns)
        return;
    int64_t when = (int64_t)c->switch_ns;
    if (c->switching == PIT_SWITCH_LOW)
        when -= (int64_t)to_ns(high_clocks(c->s.count));
    start(c, when);
}

static uint16_t to_bcd(uint32_t value)
{
    value %= 10000;
    return (uint16_t)(value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 |
                      value % 10);
}

/* The counting element, as the guest reads it. */
static uint16_t element(const struct pit_counter *c, uint64_t now)
{
    uint32_t n = c->running, value = c->s.count;
    uint64_t e = elapsed(c, now);

    if (c->s.load_time_ns && c->s.mode == 2) {
        value = n - (uint32_t)(e % n);
    } else if (c->s.load_time_ns && c->s.mode == 3) {
        uint32_t at = (uint32_t)(e % n), high = high_clocks(n);
        value = (n & ~1u) - 2 * (at < high ? at : at - high);
    } else if (c->s.load_time_ns) {
        uint32_t wrap = c->s.bcd ? 10000 : 0x10000;
        value = (uint32_t)((n % wrap + wrap - e % wrap) % wrap);
    }
    return c->s.bcd ? to_bcd(value) : (uint16_t)value;
}

static bool out(const struct pit_counter *c, uint64_t now)
{
    bool loaded = c->s.load_time_ns != 0;
    uint64_t e = loaded ? elapsed(c, now) : 0;
    uint32_t n = c->running;

    switch (c->s.mode) {
    case 0:
        return loaded && e >= n;
    case 1:
        return !loaded || e >= n;
    case 2:
        return !loaded || c->halted_ns || n == 1 || e % n != n - 1;
    case 3:
        return !loaded || c->halted_ns || e % n < high_clocks(n);
    case 4:
    case 5:
        return !loaded || e != n;
    default:
        return false;
    }
}

/* ---- line 0 --------------------------------------------------------------------------------- */

static void set_out(struct pit *p, bool level, bool fall_first)
{
    pthread_mutex_lock(&p->lock);
    p->out = level;
    if (p->connected && fall_first)
        p->host->irq_set(p->node, LINE, 0);
    p->host->irq_set(p->node, LINE, p->connected && level);
    pthread_mutex_unlock(&p->lock);
}

void pit_connect(struct pit *p, bool on)
{
    pthread_mutex_lock(&p->lock);
    p->connected = on;
    p->host->irq_set(p->node, LINE, on && p->out);
    pthread_mutex_unlock(&p->lock);
}

static uint64_t next_rise(const struct pit_counter *c, uint64_t now)
{
    uint64_t e, n = c->running, from;

    if (!c->s.load_time_ns || c->halted_ns || is_triggered(c) || c->s.mode > 5)
        return UINT64_MAX;
    if (c->switching == PIT_SWITCH_CYCLE)
        return c->switch_ns;
    if (c->switching == PIT_SWITCH_LOW)
        return c->switch_ns + to_ns(c->s.count - high_clocks(c->s.count));
    e = elapsed(c, now);
    if (is_cyclic(c))
        from = (e / n + 1) * n;
    else
        from = c->s.mode == 4 ? n + 1 : n;
    return !is_cyclic(c) && e >= from ? UINT64_MAX
                                      : (uint64_t)(c->s.load_time_ns + (int64_t)to_ns(from));
}

static void arm(struct pit *p, uint64_t not_before)
{
    p->rise_ns = next_rise(&p->counters[0], clock_now(p));
    p->host->timer_set(p->node, PIT_TIMER, p->rise_ns > not_before ? p->rise_ns : not_before);
}

void pit_expire(struct pit *p)
{
    uint64_t now = clock_now(p);

    if (now < p->rise_ns)
        return; /* it was armed before the guest wrote another count */
    settle(&p->counters[0], now);
    set_out(p, true, is_cyclic(&p->counters[0]) || p->counters[0].s.mode == 4);
    arm(p, now + RISE_DISTANCE_NS);
}

/* Counter 0 was written: outside its short low phases OUT is low in mode 0 only. */
static void counter_changed(struct pit *p, uint32_t index)
{
    if (index)
        return;
    set_out(p,
            p->counters[0].s.mode ? p->counters[0].s.mode <= 5 : out(&p->counters[0], clock_now(p)),
            false);
    arm(p, 0);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void load(struct pit_counter *c, uint64_t now)
{
    start(c, (int64_t)now);
    c->halted_ns = c->s.gate || is_triggered(c) ? 0 : (uint64_t)c->s.load_time_ns;
}

/* Mode 2 goes on to the end of its cycle, mode 3 of the half. */
static void load_later(struct pit_counter *c, uint64_t now)
{
    uint64_t e = elapsed(c, now), n = c->running, end = (e / n + 1) * n;

    c->switching = PIT_SWITCH_CYCLE;
    if (c->s.mode == 3 && e % n < high_clocks(c->running)) {
        end = e - e % n + high_clocks(c->running);
        c->switching = PIT_SWITCH_LOW;
    }
    c->switch_ns = (uint64_t)(c->s.load_time_ns + (int64_t)to_ns(end));
}

static void count_written(struct pit_counter *c, uint16_t value, uint64_t now)
{
    uint32_t count = value;

    if (c->s.mode > 5)
        return; /* no control word yet: nothing to do with it */
    if (c->s.bcd) {
        count = (value >> 12) * 1000u + (value >> 8 & 0xfu) * 100u + (value >> 4 & 0xfu) * 10u +
                (value & 0xfu);
        count %= 10000;
    }
    c->s.count = count ? count : (c->s.bcd ? 10000 : 0x10000);
    if (is_triggered(c)) {
        c->running = c->s.load_time_ns ? c->running : c->s.count;
        return;
    }
    if (!is_cyclic(c) || !c->s.load_time_ns || c->halted_ns)
        load(c, now);
    else
        load_later(c, now);
}

static void counter_write(struct pit *p, uint32_t index, uint8_t value)
{
    struct pit_counter *c = &p->counters[index];
    uint64_t now = clock_now(p);

    settle(c, now);
    switch (c->s.write_state) {
    case BYTE_HIGH:
        count_written(c, (uint16_t)(value << 8), now);
        break;
    case WORD_LOW:
        c->s.write_latch = value;
        c->s.write_state = WORD_HIGH;
        if (c->s.mode == 0)
            c->s.load_time_ns = 0; /* the first byte stops the count */
        break;
    case WORD_HIGH:
        c->s.write_state = WORD_LOW;
        count_written(c, (uint16_t)(c->s.write_latch | value << 8), now);
        break;
    default:
        count_written(c, value, now);
    }
    counter_changed(p, index);
}

static void latch_count(struct pit_counter *c, uint64_t now)
{
    if (c->s.count_latched)
        return; /* the first stays until it is read */
    c->s.latched_count = element(c, now);
    c->s.count_latched = c->s.rw_mode ? c->s.rw_mode : BYTE_LOW;
}

static void latch_status(struct pit_counter *c, uint64_t now)
{
    bool null = !c->s.load_time_ns || c->switching || c->running != c->s.count;

    if (c->s.status_latched)
        return;
    c->s.status_latched = 1;
    c->s.status = (uint8_t)((out(c, now) ? STATUS_OUT : 0) | (null ? STATUS_NULL : 0) |
                            (c->s.rw_mode & 3u) << 4 | (c->s.mode & 7u) << 1 | c->s.bcd);
}

static void control_write(struct pit *p, uint8_t value)
{
    uint32_t select = value >> 6, access = value >> 4 & 3;
    uint64_t now = clock_now(p);

    for (uint32_t i = 0; i < 3; i++)
        settle(&p->counters[i], now);
    if (select == READ_BACK) {
        for (uint32_t i = 0; i < 3; i++) {
            if (!(value >> (i + 1) & 1))
                continue;
            if (!(value & READ_BACK_NO_COUNT))
                latch_count(&p->counters[i], now);
            if (!(value & READ_BACK_NO_STATUS))
                latch_status(&p->counters[i], now);
        }
        return;
    }
    struct pit_counter *c = &p->counters[select];
    if (!access) {
        latch_count(c, now);
        return;
    }
    c->s.rw_mode = c->s.read_state = c->s.write_state = (uint8_t)access;
    c->s.mode = value >> 1 & 7;
    if (c->s.mode > 5)
        c->s.mode -= 4; /* 110 and 111 are 2 and 3 */
    c->s.bcd = value & 1;
    c->s.count_latched = c->s.status_latched = 0;
    c->s.load_time_ns = 0;
    c->switching = PIT_SWITCH_NO;
    c->halted_ns = 0;
    counter_changed(p, select);
}

void pit_write(struct pit *p, uint32_t port, uint8_t value)
{
    if (port == 3)
        control_write(p, value);
    else
        counter_write(p, port, value);
}

/* ---- reading -------------------------------------------------------------------------------- */

uint8_t pit_read(struct pit *p, uint32_t port)
{
    struct pit_counter *c = &p->counters[port < 3 ? port : 0];
    uint64_t now = clock_now(p);
    uint16_t value;
    uint8_t half;

    if (port == 3)
        return 0xff; /* the control word cannot be read */
    settle(c, now);
    if (c->s.status_latched) {
        c->s.status_latched = 0;
        return c->s.status;
    }
    if (c->s.count_latched) {
        value = c->s.latched_count;
        half = c->s.count_latched;
        c->s.count_latched = half == WORD_LOW ? BYTE_HIGH : 0;
    } else {
        value = element(c, now);
        half = c->s.read_state;
        if (half >= WORD_LOW)
            c->s.read_state = half == WORD_LOW ? WORD_HIGH : WORD_LOW;
    }
    return (uint8_t)(half == BYTE_HIGH || half == WORD_HIGH ? value >> 8 : value);
}

/* ---- port 0x61 ------------------------------------------------------------------------------ */

static void gate_set(struct pit_counter *c, bool gate, uint64_t now)
{
    if (c->s.gate == gate)
        return;
    settle(c, now);
    c->s.gate = gate;
    if (is_triggered(c)) {
        if (gate && c->s.count)
            start(c, (int64_t)now);
    } else if (!c->s.load_time_ns) {
        return;
    } else if (!gate) {
        c->halted_ns = now ? now : 1;
    } else if (is_cyclic(c)) {
        c->halted_ns = 0;
        start(c, (int64_t)now);
    } else {
        c->s.load_time_ns += (int64_t)(now - c->halted_ns);
        c->halted_ns = 0;
    }
}

uint8_t pit_speaker_read(struct pit *p)
{
    struct pit_counter *c = &p->counters[2];
    uint64_t now = clock_now(p);

    settle(c, now);
    return (uint8_t)((c->s.gate ? SPEAKER_GATE : 0) | (p->speaker_on ? SPEAKER_DATA : 0) |
                     (now / REFRESH_NS & 1 ? SPEAKER_REFRESH : 0) |
                     (out(c, now) ? SPEAKER_OUT : 0));
}

void pit_speaker_write(struct pit *p, uint8_t value)
{
    p->speaker_on = (value & SPEAKER_DATA) != 0;
    gate_set(&p->counters[2], value & SPEAKER_GATE, clock_now(p));
}

/* ---- life ----------------------------------------------------------------------------------- */

int pit_init(struct pit *p, const struct bp_host *host, struct bp_node *node)
{
    p->host = host;
    p->node = node;
    p->connected = true;
    return -pthread_mutex_init(&p->lock, NULL);
}

void pit_exit(struct pit *p)
{
    pthread_mutex_destroy(&p->lock);
}

void pit_reset(struct pit *p)
{
    for (uint32_t i = 0; i < 3; i++)
        p->counters[i] = (struct pit_counter){
            .s = {.count = 0x10000, .mode = MODE_NONE, .gate = i != 2},
            .running = 0x10000,
        };
    p->speaker_on = 0;
    pit_connect(p, true);
    counter_changed(p, 0);
}

/* A count that waits is given as loaded when its time comes, one that is held as if it had been
 * loaded later. */
void pit_state_get(struct pit *p, struct bp_x86_pit *to)
{
    uint64_t now = clock_now(p);

    *to = (struct bp_x86_pit){.speaker_on = p->speaker_on};
    for (uint32_t i = 0; i < 3; i++) {
        struct pit_counter *c = &p->counters[i];
        settle(c, now);
        to->channel[i] = c->s;
        if (c->halted_ns)
            to->channel[i].load_time_ns += (int64_t)(now - c->halted_ns);
        else if (c->switching)
            to->channel[i].load_time_ns = (int64_t)c->switch_ns;
    }
}

int pit_state_set(struct pit *p, const struct bp_x86_pit *from)
{
    uint64_t now = clock_now(p);

    for (uint32_t i = 0; i < 3; i++) {
        const struct bp_x86_pit_channel *s = &from->channel[i];
        if (s->count > 0x10000 || (s->mode > 5 && s->mode != MODE_NONE) || s->rw_mode > WORD_LOW ||
            s->read_state > WORD_HIGH || s->write_state > WORD_HIGH ||
            s->count_latched > WORD_HIGH || s->load_time_ns > LOAD_TIME_MAX ||
            s->load_time_ns < -LOAD_TIME_MAX)
            return -EINVAL;
    }
    for (uint32_t i = 0; i < 3; i++) {
        struct pit_counter *c = &p->counters[i];
        *c = (struct pit_counter){.s = from->channel[i]};
        c->s.count = c->s.count ? c->s.count : 0x10000;
        c->s.bcd = c->s.bcd != 0;
        c->s.gate = i != 2 || c->s.gate;
        c->running = c->s.count;
        if (!c->s.gate && c->s.load_time_ns && !is_triggered(c))
            c->halted_ns = now ? now : 1;
    }
    p->speaker_on = from->speaker_on != 0;
    counter_changed(p, 0);
    return 0;
}
