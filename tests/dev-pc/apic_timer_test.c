/* SPDX-License-Identifier: MIT
 *
 * dev-pc/apic_timer_test.c - the local APIC's timer (SDM 3A, 11.5.4). Guest time moves when the
 * test says so, and the test calls expire() as a backend would.
 */
#include "chip.h"

#define PERIODIC 0x20000u
#define TSC_DEADLINE 0x40000u
#define MSR_DEADLINE 0x6e0u

static struct chip *chip_with_timer(uint32_t lvt, uint32_t divide)
{
    struct chip *c = chip_new(&chip_defaults, 1);

    apic_enable(c, 0);
    apic_write(c, 0, LVT_TIMER, lvt);
    apic_write(c, 0, TIMER_DIVIDE, divide);
    return c;
}

static void advance(struct chip *c, uint64_t ns)
{
    fake_advance_ns(c->host, ns);
    c->ops->expire(c->self, 0);
}

/* Takes and ends the timer's interrupt: its vector, or -1. */
static int32_t taken(struct chip *c)
{
    int32_t vector;

    if (!(pending(c, 0) & BP_IRQCHIP_INTR))
        return -1;
    vector = inta(c, 0);
    apic_write(c, 0, EOI, 0);
    return vector;
}

static void one_shot_fires_once_when_the_count_is_over(void **state)
{
    struct chip *c = chip_with_timer(0x40, 0xb);

    (void)state;
    advance(c, 12345);
    apic_write(c, 0, TIMER_INITIAL, 1000);
    assert_int_equal(deadline(c, 0), 13345);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 1000);
    advance(c, 400);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 600);
    advance(c, 599);
    assert_int_equal(taken(c), -1);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 1);
    advance(c, 1);
    assert_int_equal(taken(c), 0x40);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 0);
    assert_int_equal(apic_read(c, 0, TIMER_INITIAL), 1000);
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    advance(c, 1000000);
    assert_int_equal(taken(c), -1);
    chip_free(c);
}

static void the_divider_has_eight_settings(void **state)
{
    static const struct {
        uint32_t divide, by;
    } settings[] = {{0x0, 2},  {0x1, 4},  {0x2, 8},   {0x3, 16},
                    {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct chip *c = chip_with_timer(0x40, settings[i].divide);

        apic_write(c, 0, TIMER_INITIAL, 10);
        assert_int_equal(deadline(c, 0), 10 * settings[i].by);
        advance(c, UINT64_C(3) * settings[i].by);
        assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 7);
        chip_free(c);
    }
}

static void a_new_divider_goes_on_with_the_present_count(void **state)
{
    struct chip *c = chip_with_timer(0x40, 0xb);

    (void)state;
    apic_write(c, 0, TIMER_INITIAL, 1000);
    advance(c, 400);
    apic_write(c, 0, TIMER_DIVIDE, 0x0);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 600);
    assert_int_equal(deadline(c, 0), 400 + 1200);
    chip_free(c);
}

static void periodic_fires_again_without_drift(void **state)
{
    struct chip *c = chip_with_timer(PERIODIC | 0x41, 0xb);

    (void)state;
    apic_write(c, 0, TIMER_INITIAL, 1000);
    for (unsigned i = 1; i <= 5; i++) {
        advance(c, 1000 + (i == 1 ? 30 : 0)); /* each is seen 30 ns late */
        assert_int_equal(taken(c), 0x41);
        assert_int_equal(deadline(c, 0), 1000 * (i + 1));
        assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 970);
    }
    chip_free(c);
}

static void periods_that_nobody_saw_are_one_interrupt(void **state)
{
    struct chip *c = chip_with_timer(PERIODIC | 0x41, 0xb);

    (void)state;
    apic_write(c, 0, TIMER_INITIAL, 1000);
    fake_advance_ns(c->host, 3700);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 300); /* before anybody called expire() */
    c->ops->expire(c->self, 0);
    assert_int_equal(taken(c), 0x41);
    assert_int_equal(taken(c), -1);
    assert_int_equal(deadline(c, 0), 4000);
    apic_write(c, 0, TIMER_INITIAL, 1); /* one ns: bounded work */
    advance(c, UINT64_C(3600000000000));
    assert_int_equal(taken(c), 0x41);
    apic_write(c, 0, TIMER_INITIAL, 0); /* stops */
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 0);
    chip_free(c);
}

static void a_masked_timer_counts_in_silence(void **state)
{
    struct chip *c = chip_with_timer(MASKED | 0x40, 0xb);

    (void)state;
    apic_write(c, 0, TIMER_INITIAL, 1000);
    advance(c, 600);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 400);
    apic_write(c, 0, LVT_TIMER, PERIODIC | MASKED | 0x40); /* goes on */
    advance(c, 500);
    assert_int_equal(taken(c), -1);
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 900);
    apic_write(c, 0, LVT_TIMER, PERIODIC | 0x40);
    advance(c, 900);
    assert_int_equal(taken(c), 0x40);
    chip_free(c);
}

static void a_timer_vector_below_16_is_an_error(void **state)
{
    struct chip *c = chip_with_timer(0x0f, 0xb);

    (void)state;
    apic_write(c, 0, TIMER_INITIAL, 10);
    advance(c, 10);
    assert_int_equal(taken(c), -1);
    apic_write(c, 0, ESR, 0);
    assert_int_equal(apic_read(c, 0, ESR), 0x40);
    chip_free(c);
}

static void a_tsc_deadline_fires_when_the_tsc_reaches_it(void **state)
{
    struct chip *c = chip_with_timer(TSC_DEADLINE | 0x42, 0xb);

    (void)state;
    c->tsc_offset = 5000;
    advance(c, 100); /* the TSC is at 5200 */
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 6201), 0);
    assert_int_equal(rdmsr(c, 0, MSR_DEADLINE), 6201);
    assert_int_equal(deadline(c, 0), 601); /* rounded up */
    advance(c, 500);
    assert_int_equal(taken(c), -1);
    advance(c, 1);
    assert_int_equal(taken(c), 0x42);
    assert_int_equal(rdmsr(c, 0, MSR_DEADLINE), 0);
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    chip_free(c);
}

static void a_tsc_deadline_in_the_past_fires_at_once_and_0_disarms(void **state)
{
    struct chip *c = chip_with_timer(TSC_DEADLINE | 0x42, 0xb);

    (void)state;
    advance(c, 1000);
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 1), 0);
    assert_int_equal(taken(c), 0x42);
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 4000), 0);
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 0), 0);
    advance(c, 10000);
    assert_int_equal(taken(c), -1);
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, UINT64_MAX), 0); /* in 292 years */
    assert_true(deadline(c, 0) > UINT64_C(9000000000000000000));
    assert_true(deadline(c, 0) != UINT64_MAX);
    advance(c, 10000);
    assert_int_equal(taken(c), -1);
    chip_free(c);
}

static void a_tsc_that_jumps_moves_the_deadline(void **state)
{
    struct chip *c = chip_with_timer(TSC_DEADLINE | 0x42, 0xb);

    (void)state;
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 4000), 0);
    assert_int_equal(deadline(c, 0), 2000);
    c->tsc_offset = UINT64_C(0) - 2000; /* set back: not due when it was to be */
    advance(c, 2000);
    assert_int_equal(taken(c), -1);
    assert_int_equal(deadline(c, 0), 3000);
    c->tsc_offset = 0;
    c->ops->tsc_changed(c->self, 0);
    assert_int_equal(deadline(c, 0), 2000);
    c->ops->expire(c->self, 0);
    assert_int_equal(taken(c), 0x42);
    chip_free(c);
}

static void changing_to_and_from_tsc_deadline_disarms(void **state)
{
    struct chip *c = chip_with_timer(0x40, 0xb);

    (void)state;
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 100), 0); /* ignored in this mode */
    assert_int_equal(rdmsr(c, 0, MSR_DEADLINE), 0);
    apic_write(c, 0, TIMER_INITIAL, 1000);
    apic_write(c, 0, LVT_TIMER, TSC_DEADLINE | 0x40);
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    assert_int_equal(apic_read(c, 0, TIMER_INITIAL), 0);
    apic_write(c, 0, TIMER_INITIAL, 1000); /* ignored in this one */
    assert_int_equal(apic_read(c, 0, TIMER_CURRENT), 0);
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 4000), 0);
    apic_write(c, 0, LVT_TIMER, PERIODIC | 0x40);
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    advance(c, 100000);
    assert_int_equal(taken(c), -1);
    chip_free(c);
}

static void init_and_switching_off_stop_the_timer(void **state)
{
    struct chip *c = chip_with_timer(PERIODIC | 0x40, 0xb);

    (void)state;
    apic_write(c, 0, TIMER_INITIAL, 1000);
    c->ops->reset(c->self, 0, BP_IRQCHIP_RESET_INIT);
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    apic_enable(c, 0);
    apic_write(c, 0, LVT_TIMER, TSC_DEADLINE | 0x40);
    assert_int_equal(wrmsr(c, 0, MSR_DEADLINE, 4000), 0);
    assert_int_equal(wrmsr(c, 0, 0x1b, 0xfee00100), 0);
    assert_int_equal(deadline(c, 0), UINT64_MAX);
    advance(c, 100000);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void a_running_timer_moves_with_its_count(void **state)
{
    struct chip *from = chip_with_timer(PERIODIC | 0x41, 0x0);
    struct chip *to = chip_new(&chip_defaults, 1);
    struct bp_x86_lapic lapic;

    (void)state;
    apic_write(from, 0, TIMER_INITIAL, 1000);
    advance(from, 600);
    STATE_GET(from, 0, BP_X86_LAPIC, &lapic);
    assert_int_equal(lapic.registers[TIMER_CURRENT / 16], 700);
    fake_advance_ns(to->host, 50000); /* another clock */
    STATE_SET(to, 0, BP_X86_LAPIC, &lapic);
    assert_int_equal(deadline(to, 0), 50000 + 1400);
    advance(to, 1400);
    assert_int_equal(taken(to), 0x41);
    assert_int_equal(deadline(to, 0), 50000 + 1400 + 2000);
    chip_free(from);
    chip_free(to);
}

static void an_armed_tsc_deadline_moves(void **state)
{
    struct chip *from = chip_with_timer(TSC_DEADLINE | 0x41, 0xb);
    struct chip *to = chip_new(&chip_defaults, 1);
    struct bp_x86_lapic lapic;

    (void)state;
    assert_int_equal(wrmsr(from, 0, MSR_DEADLINE, 4000), 0);
    STATE_GET(from, 0, BP_X86_LAPIC, &lapic);
    assert_int_equal(lapic.tsc_deadline, 4000);
    STATE_SET(to, 0, BP_X86_LAPIC, &lapic);
    assert_int_equal(deadline(to, 0), 2000);
    advance(to, 2000);
    assert_int_equal(taken(to), 0x41);
    /* Outside its mode it means nothing. */
    lapic.registers[LVT_TIMER / 16] = 0x41;
    STATE_SET(to, 0, BP_X86_LAPIC, &lapic);
    assert_int_equal(deadline(to, 0), UINT64_MAX);
    chip_free(from);
    chip_free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shot_fires_once_when_the_count_is_over),
        cmocka_unit_test(the_divider_has_eight_settings),
        cmocka_unit_test(a_new_divider_goes_on_with_the_present_count),
        cmocka_unit_test(periodic_fires_again_without_drift),
        cmocka_unit_test(periods_that_nobody_saw_are_one_interrupt),
        cmocka_unit_test(a_masked_timer_counts_in_silence),
        cmocka_unit_test(a_timer_vector_below_16_is_an_error),
        cmocka_unit_test(a_tsc_deadline_fires_when_the_tsc_reaches_it),
        cmocka_unit_test(a_tsc_deadline_in_the_past_fires_at_once_and_0_disarms),
        cmocka_unit_test(a_tsc_that_jumps_moves_the_deadline),
        cmocka_unit_test(changing_to_and_from_tsc_deadline_disarms),
        cmocka_unit_test(init_and_switching_off_stop_the_timer),
        cmocka_unit_test(a_running_timer_moves_with_its_count),
        cmocka_unit_test(an_armed_tsc_deadline_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
