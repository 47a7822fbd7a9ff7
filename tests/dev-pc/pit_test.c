/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pit_test.c - the 8254 and port 0x61. Times are given in clocks of 1,193,182 Hz.
 */
#include "chip.h"

#define PIT_HZ 1193182u

/* Moves on to the first ns at which `clocks` more are over, counted from the last call of epoch().
 */
struct pit_clock {
    uint64_t epoch_ns, clocks;
};

static void clocks(struct chip *c, struct pit_clock *k, uint64_t n)
{
    uint64_t at;

    k->clocks += n;
    at =
        k->epoch_ns + (uint64_t)(((unsigned __int128)k->clocks * 1000000000 + PIT_HZ - 1) / PIT_HZ);
    fake_advance_ns(c->host, at - fake_now_ns(c->host));
}

/* A chip whose guest time is not 0. */
static struct chip *chip_at(struct pit_clock *k)
{
    struct chip *c = chip_new(&chip_defaults, 1);

    fake_advance_ns(c->host, 777777);
    *k = (struct pit_clock){fake_now_ns(c->host), 0};
    return c;
}

static void set(struct chip *c, uint32_t counter, uint32_t mode, uint32_t count)
{
    out8(c->host, 0x43, counter << 6 | 0x30 | mode << 1);
    out8(c->host, (uint16_t)(0x40 + counter), count & 0xff);
    out8(c->host, (uint16_t)(0x40 + counter), count >> 8);
}

static uint32_t get(struct chip *c, uint32_t counter)
{
    uint16_t port = (uint16_t)(0x40 + counter);
    uint32_t low;

    out8(c->host, 0x43, counter << 6);
    low = in8(c->host, port);
    return low | (uint32_t)in8(c->host, port) << 8;
}

/* OUT of counter 2. */
static bool out2(struct chip *c)
{
    return in8(c->host, 0x61) & 0x20;
}

static void mode_0_rises_at_terminal_count_and_counts_on(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 0, 1000);
    assert_int_equal(fake_irq_level(c->host, 0), 0);
    clocks(c, &k, 999);
    assert_int_equal(get(c, 0), 1);
    assert_int_equal(fake_irq_level(c->host, 0), 0);
    clocks(c, &k, 1);
    assert_int_equal(fake_irq_level(c->host, 0), 1);
    assert_int_equal(get(c, 0), 0);
    clocks(c, &k, 3);
    assert_int_equal(get(c, 0), 0xfffd);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    set(c, 0, 0, 5); /* a new count takes it down */
    assert_int_equal(fake_irq_level(c->host, 0), 0);
    fake_advance_ns(c->host, 5000000);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    chip_free(c);
}

static void mode_0_stops_between_the_bytes_of_a_count(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 0, 1000);
    out8(c->host, 0x40, 0x10);
    fake_advance_ns(c->host, 10000000);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    out8(c->host, 0x40, 0);
    fake_advance_ns(c->host, 10000000);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    chip_free(c);
}

static void mode_2_makes_an_edge_each_period_without_drift(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 2, 11932); /* 100 Hz */
    fake_irq_edges(c->host, 0);
    clocks(c, &k, 11931);
    assert_int_equal(get(c, 0), 1);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    clocks(c, &k, 1);
    assert_int_equal(get(c, 0), 11932);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    clocks(c, &k, UINT64_C(11932) * 99);
    assert_int_equal(fake_irq_edges(c->host, 0), 99);
    clocks(c, &k, UINT64_C(11932) * 900 - 1);
    assert_int_equal(fake_irq_edges(c->host, 0), 899);
    assert_int_equal(get(c, 0), 1);
    chip_free(c);
}

static void mode_3_is_a_square_wave(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    out8(c->host, 0x61, 1);
    set(c, 2, 3, 100);
    assert_true(out2(c));
    clocks(c, &k, 49);
    assert_true(out2(c));
    assert_int_equal(get(c, 2), 2);
    clocks(c, &k, 1);
    assert_false(out2(c));
    assert_int_equal(get(c, 2), 100);
    clocks(c, &k, 49);
    assert_false(out2(c));
    clocks(c, &k, 1);
    assert_true(out2(c));
    chip_free(c);
}

static void an_odd_count_is_one_clock_longer_high(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    out8(c->host, 0x61, 1);
    set(c, 2, 3, 5);
    static const struct {
        bool out;
        uint32_t count;
    } expected[] = {{true, 4}, {true, 2}, {true, 0}, {false, 4}, {false, 2}, {true, 4}};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(out2(c), expected[i].out);
        assert_int_equal(get(c, 2), expected[i].count);
        clocks(c, &k, 1);
    }
    chip_free(c);
}

static void mode_3_interrupts_once_a_period(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 7, 0); /* mode 7 is mode 3, count 0 is 65,536: 18.2 Hz */
    fake_irq_edges(c->host, 0);
    clocks(c, &k, 65535);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    clocks(c, &k, 1);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    clocks(c, &k, 65536);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    chip_free(c);
}

static void a_new_count_in_mode_2_waits_for_the_cycles_end(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 2, 1000);
    fake_irq_edges(c->host, 0);
    clocks(c, &k, 300);
    out8(c->host, 0x40, 2000 & 0xff);
    out8(c->host, 0x40, 2000 >> 8);
    assert_int_equal(get(c, 0), 700);
    out8(c->host, 0x43, 0xe2);                  /* status of counter 0 */
    assert_int_equal(in8(c->host, 0x40), 0xf4); /* OUT, null count, word, mode 2 */
    clocks(c, &k, 700);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    assert_int_equal(get(c, 0), 2000);
    out8(c->host, 0x43, 0xe2);
    assert_int_equal(in8(c->host, 0x40), 0xb4);
    clocks(c, &k, 1999);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    clocks(c, &k, 2); /* the load is rounded to a ns */
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    chip_free(c);
}

static void a_new_count_in_mode_3_waits_for_the_halfs_end(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    out8(c->host, 0x61, 1);
    set(c, 2, 3, 1000);
    clocks(c, &k, 100);
    out8(c->host, 0x42, 200);
    out8(c->host, 0x42, 0);
    clocks(c, &k, 399);
    assert_true(out2(c));
    clocks(c, &k, 2); /* a clock into the low half: its load rounds to a ns */
    assert_false(out2(c));
    clocks(c, &k, 97);
    assert_false(out2(c));
    clocks(c, &k, 3);
    assert_true(out2(c));
    chip_free(c);
}

static void modes_1_and_5_wait_for_the_gate(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 2, 1, 100);
    clocks(c, &k, 500);
    assert_true(out2(c));
    out8(c->host, 0x61, 1);
    k = (struct pit_clock){fake_now_ns(c->host), 0};
    assert_false(out2(c));
    clocks(c, &k, 60);
    out8(c->host, 0x61, 0); /* the level does not matter */
    assert_false(out2(c));
    out8(c->host, 0x61, 1); /* triggered again: the whole count */
    k = (struct pit_clock){fake_now_ns(c->host), 0};
    clocks(c, &k, 99);
    assert_false(out2(c));
    assert_int_equal(get(c, 2), 1);
    clocks(c, &k, 1);
    assert_true(out2(c));

    out8(c->host, 0x61, 0);
    set(c, 2, 5, 100);
    assert_true(out2(c));
    out8(c->host, 0x61, 1);
    k = (struct pit_clock){fake_now_ns(c->host), 0};
    clocks(c, &k, 99);
    assert_true(out2(c));
    clocks(c, &k, 1);
    assert_false(out2(c)); /* for one clock */
    clocks(c, &k, 1);
    assert_true(out2(c));
    set(c, 0, 1, 10); /* counter 0's gate is always up: never triggered */
    set(c, 0, 5, 10);
    fake_irq_edges(c->host, 0);
    fake_advance_ns(c->host, 100000000);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    chip_free(c);
}

static void mode_4_strobes_once(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    out8(c->host, 0x61, 1);
    set(c, 2, 4, 100);
    set(c, 0, 4, 100);
    fake_irq_edges(c->host, 0);
    clocks(c, &k, 99);
    assert_true(out2(c));
    clocks(c, &k, 1);
    assert_false(out2(c));
    clocks(c, &k, 1);
    assert_true(out2(c));
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    fake_advance_ns(c->host, 100000000);
    assert_true(out2(c));
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    chip_free(c);
}

static void the_gate_holds_a_count_in_mode_0_and_restarts_mode_2(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 2, 0, 100);
    clocks(c, &k, 500);
    assert_int_equal(get(c, 2), 100); /* the gate is down since power-on */
    out8(c->host, 0x61, 1);
    k = (struct pit_clock){fake_now_ns(c->host), 0};
    clocks(c, &k, 40);
    out8(c->host, 0x61, 0);
    clocks(c, &k, 1000);
    assert_int_equal(get(c, 2), 60);
    assert_false(out2(c));
    out8(c->host, 0x61, 1);
    clocks(c, &k, 59);
    assert_false(out2(c));
    clocks(c, &k, 1);
    assert_true(out2(c));

    set(c, 2, 2, 100);
    k = (struct pit_clock){fake_now_ns(c->host), 0};
    clocks(c, &k, 99);
    assert_false(out2(c));
    out8(c->host, 0x61, 0);
    assert_true(out2(c)); /* at once */
    clocks(c, &k, 1000);
    out8(c->host, 0x61, 1);
    assert_int_equal(get(c, 2), 100);
    chip_free(c);
}

static void calibration_by_counter_2_and_port_61_sees_the_time(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    /* As Linux does: gate up, speaker off, mode 0, 50 ms. */
    out8(c->host, 0x61, (in8(c->host, 0x61) & ~0x02u) | 0x01);
    set(c, 2, 0, PIT_HZ / 20);
    assert_int_equal(in8(c->host, 0x61) & 0x2f, 0x01);
    fake_advance_ns(c->host, 49990000);
    assert_false(out2(c));
    fake_advance_ns(c->host, 20000);
    assert_true(out2(c));
    chip_free(c);
}

static void port_61_keeps_the_speaker_and_toggles_with_refresh(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);
    unsigned toggles = 0;
    uint8_t last = in8(c->host, 0x61) & 0x10;

    (void)state;
    out8(c->host, 0x61, 0xff);
    assert_int_equal(in8(c->host, 0x61) & 0xcf, 0x03);
    for (unsigned i = 0; i < 1000; i++) {
        fake_advance_ns(c->host, 1000);
        uint8_t now = in8(c->host, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    assert_in_range(toggles, 65, 67); /* a ms of 15.085 us */
    chip_free(c);
}

static void bcd_counts_decimally(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    out8(c->host, 0x43, 0x31); /* mode 0 */
    out8(c->host, 0x40, 0x34);
    out8(c->host, 0x40, 0x12);
    assert_int_equal(get(c, 0), 0x1234);
    clocks(c, &k, 235);
    assert_int_equal(get(c, 0), 0x0999);
    clocks(c, &k, 1000);
    assert_int_equal(get(c, 0), 0x9999);
    out8(c->host, 0x43, 0x35); /* mode 2, count 0 is 10,000 */
    out8(c->host, 0x40, 0);
    out8(c->host, 0x40, 0);
    assert_int_equal(get(c, 0), 0x0000);
    k = (struct pit_clock){fake_now_ns(c->host), 0};
    clocks(c, &k, 1);
    assert_int_equal(get(c, 0), 0x9999);
    out8(c->host, 0x40, 0xff); /* no digits: some count, no harm */
    out8(c->host, 0x40, 0xff);
    fake_advance_ns(c->host, 100000000);
    get(c, 0);
    chip_free(c);
}

static void one_byte_accesses_take_their_half(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    out8(c->host, 0x43, 0x94); /* counter 2, low byte, mode 2 */
    out8(c->host, 0x61, 1);
    out8(c->host, 0x42, 0x80);
    clocks(c, &k, 0x10);
    assert_int_equal(in8(c->host, 0x42), 0x70);
    assert_int_equal(in8(c->host, 0x42), 0x70);
    out8(c->host, 0x43, 0xa4); /* high byte */
    out8(c->host, 0x42, 0x12);
    assert_int_equal(in8(c->host, 0x42), 0x12);
    out8(c->host, 0x43, 0x80);
    assert_int_equal(in8(c->host, 0x42), 0x12); /* a latch gives the same half */
    assert_int_equal(in8(c->host, 0x43), 0xff);
    chip_free(c);
}

static void a_latched_count_stays_until_it_is_read(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 2, 10000);
    clocks(c, &k, 1000);
    out8(c->host, 0x43, 0x00);
    clocks(c, &k, 1000);
    out8(c->host, 0x43, 0x00); /* the second is ignored */
    assert_int_equal(in8(c->host, 0x40), 9000 & 0xff);
    clocks(c, &k, 1000);
    assert_int_equal(in8(c->host, 0x40), 9000 >> 8);
    assert_int_equal(in8(c->host, 0x40), 7000 & 0xff); /* the running one, a byte at a time */
    assert_int_equal(in8(c->host, 0x40), 7000 >> 8);
    chip_free(c);
}

static void read_back_latches_status_and_count_of_several(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 2, 10000);
    out8(c->host, 0x43, 0xb6); /* counter 2, mode 3, no count yet */
    clocks(c, &k, 1000);
    out8(c->host, 0x43, 0xca); /* both of counters 0 and 2 */
    clocks(c, &k, 1000);
    assert_int_equal(in8(c->host, 0x40), 0xb4); /* status first */
    assert_int_equal(in8(c->host, 0x40), 9000 & 0xff);
    assert_int_equal(in8(c->host, 0x40), 9000 >> 8);
    assert_int_equal(in8(c->host, 0x42), 0xf6); /* OUT high, null count */
    out8(c->host, 0x43, 0xfe);                  /* neither: nothing */
    out8(c->host, 0x43, 0xd2);                  /* count of counter 0 */
    assert_int_equal(in8(c->host, 0x40), 8000 & 0xff);
    assert_int_equal(in8(c->host, 0x40), 8000 >> 8);
    chip_free(c);
}

static void a_tiny_period_does_not_drown_the_host(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 2, 2);
    fake_irq_edges(c->host, 0);
    fake_advance_ns(c->host, 100000000);
    assert_in_range(fake_irq_edges(c->host, 0), 1900, 2001);
    set(c, 0, 2, 1); /* not allowed by the datasheet */
    fake_advance_ns(c->host, 100000000);
    get(c, 0);
    assert_true(fake_irq_edges(c->host, 0) <= 2001);
    chip_free(c);
}

static void nothing_happens_before_a_control_word(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        out8(c->host, (uint16_t)(0x40 + i % 3), 0x12);
        in8(c->host, (uint16_t)(0x40 + i % 3));
    }
    out8(c->host, 0x61, 0);
    out8(c->host, 0x61, 1);
    fake_advance_ns(c->host, 1000000000);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    chip_free(c);
}

static void an_hpet_takes_counter_0_off_its_line(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 2, 10000);
    assert_int_equal(fake_irq_level(c->host, 0), 1);
    c->ops->timer_connect(c->self, 0);
    assert_int_equal(fake_irq_level(c->host, 0), 0);
    fake_irq_edges(c->host, 0);
    clocks(c, &k, 50000);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    c->ops->timer_connect(c->self, 1);
    assert_int_equal(fake_irq_level(c->host, 0), 1);
    fake_irq_edges(c->host, 0);
    clocks(c, &k, 10000);
    assert_int_equal(fake_irq_edges(c->host, 0), 1);
    chip_free(c);
}

static void reset_stops_everything(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);

    (void)state;
    set(c, 0, 2, 10000);
    out8(c->host, 0x61, 3);
    c->ops->timer_connect(c->self, 0);
    fake_ops(c->host)->stop(c->self);
    fake_ops(c->host)->reset(c->self, BP_RESET_COLD);
    assert_int_equal(fake_ops(c->host)->start(c->self), 0);
    fake_irq_edges(c->host, 0);
    fake_advance_ns(c->host, 100000000);
    assert_int_equal(fake_irq_edges(c->host, 0), 0);
    assert_int_equal(in8(c->host, 0x61) & 0x2f, 0);
    set(c, 0, 2, 10000);
    assert_int_equal(fake_irq_level(c->host, 0), 1); /* connected again */
    chip_free(c);
}

static void a_running_pit_moves(void **state)
{
    struct pit_clock k;
    struct chip *from = chip_at(&k), *to = chip_new(&chip_defaults, 1);
    struct bp_x86_pit pit, again;

    (void)state;
    set(from, 0, 2, 10000);
    set(from, 1, 3, 18);
    out8(from->host, 0x61, 3);
    set(from, 2, 0, 5000);
    clocks(from, &k, 2000);
    out8(from->host, 0x61, 2); /* counter 2 is held */
    clocks(from, &k, 1000);
    out8(from->host, 0x43, 0x00);
    in8(from->host, 0x40); /* half of a latched count */
    STATE_GET(from, 0, BP_X86_PIT, &pit);
    assert_int_equal(pit.channel[0].count, 10000);
    assert_int_equal(pit.channel[0].load_time_ns, 777777);
    assert_int_equal(pit.channel[0].mode, 2);
    assert_int_equal(pit.channel[0].gate, 1);
    assert_int_equal(pit.channel[2].gate, 0);
    assert_int_equal(pit.speaker_on, 1);
    fake_advance_ns(to->host, fake_now_ns(from->host));
    STATE_SET(to, 0, BP_X86_PIT, &pit);
    STATE_GET(to, 0, BP_X86_PIT, &again);
    assert_memory_equal(&pit, &again, sizeof(pit));
    assert_int_equal(in8(to->host, 0x40), 7000 >> 8);
    assert_int_equal(get(to, 2), 3000);
    fake_irq_edges(to->host, 0);
    clocks(to, &k, 6999);
    assert_int_equal(fake_irq_edges(to->host, 0), 0);
    clocks(to, &k, 1);
    assert_int_equal(fake_irq_edges(to->host, 0), 1);
    out8(to->host, 0x61, 3);
    clocks(to, &k, 3000);
    assert_true(out2(to));
    chip_free(from);
    chip_free(to);
}

static void impossible_states_are_refused(void **state)
{
    struct pit_clock k;
    struct chip *c = chip_at(&k);
    struct bp_x86_pit good, bad;

    (void)state;
    STATE_GET(c, 0, BP_X86_PIT, &good);
    assert_int_equal(good.channel[0].mode, 0xff); /* as KVM says it */
    STATE_SET(c, 0, BP_X86_PIT, &good);
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        bad = good;                                                                                \
        bad.channel[1].member = (value);                                                           \
        assert_int_equal(c->ops->state_set(c->self, 0, BP_X86_PIT, &bad, sizeof(bad)), -EINVAL);   \
    } while (0)
    REFUSED(count, 65537);
    REFUSED(mode, 6);
    REFUSED(rw_mode, 4);
    REFUSED(read_state, 5);
    REFUSED(write_state, 5);
    REFUSED(count_latched, 5);
    REFUSED(load_time_ns, INT64_MAX);
    REFUSED(load_time_ns, INT64_MIN);
    bad = good;
    bad.channel[0] = (struct bp_x86_pit_channel){.mode = 2, .load_time_ns = -5, .bcd = 9};
    bad.channel[2] = (struct bp_x86_pit_channel){.mode = 3, .load_time_ns = 1, .gate = 7};
    STATE_SET(c, 0, BP_X86_PIT, &bad); /* odd, but a PIT can be in it */
    fake_advance_ns(c->host, 1000000000);
    get(c, 0);
    out2(c);
    chip_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mode_0_rises_at_terminal_count_and_counts_on),
        cmocka_unit_test(mode_0_stops_between_the_bytes_of_a_count),
        cmocka_unit_test(mode_2_makes_an_edge_each_period_without_drift),
        cmocka_unit_test(mode_3_is_a_square_wave),
        cmocka_unit_test(an_odd_count_is_one_clock_longer_high),
        cmocka_unit_test(mode_3_interrupts_once_a_period),
        cmocka_unit_test(a_new_count_in_mode_2_waits_for_the_cycles_end),
        cmocka_unit_test(a_new_count_in_mode_3_waits_for_the_halfs_end),
        cmocka_unit_test(modes_1_and_5_wait_for_the_gate),
        cmocka_unit_test(mode_4_strobes_once),
        cmocka_unit_test(the_gate_holds_a_count_in_mode_0_and_restarts_mode_2),
        cmocka_unit_test(calibration_by_counter_2_and_port_61_sees_the_time),
        cmocka_unit_test(port_61_keeps_the_speaker_and_toggles_with_refresh),
        cmocka_unit_test(bcd_counts_decimally),
        cmocka_unit_test(one_byte_accesses_take_their_half),
        cmocka_unit_test(a_latched_count_stays_until_it_is_read),
        cmocka_unit_test(read_back_latches_status_and_count_of_several),
        cmocka_unit_test(a_tiny_period_does_not_drown_the_host),
        cmocka_unit_test(nothing_happens_before_a_control_word),
        cmocka_unit_test(an_hpet_takes_counter_0_off_its_line),
        cmocka_unit_test(reset_stops_everything),
        cmocka_unit_test(a_running_pit_moves),
        cmocka_unit_test(impossible_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
