/* SPDX-License-Identifier: MIT
 *
 * dev-pc/hpet_test.c - high precision event timers (IA-PC HPET 1.0a). A tick is 10 ns.
 */
#include "chip.h"
#include "rtc.h"

#include <backplane/ext/acpi.h>
#include <backplane/util/le.h>

#define BASE UINT64_C(0xfed00000)

struct hpet_config {
    uint64_t base;
    struct bp_node *irqchip, *rtc;
};

static const struct hpet_config defaults = {.base = BASE};

static struct fake_host *hpet(void)
{
    struct fake_host *h = fake_host_new(DEV_PC, "hpet", &defaults);

    fake_advance_ns(h, 12345);
    return h;
}

static uint64_t rd(struct fake_host *h, uint32_t reg)
{
    return fake_read(h, BP_SPACE_MMIO, BASE + reg, 8);
}

static void wr(struct fake_host *h, uint32_t reg, uint64_t value)
{
    fake_write(h, BP_SPACE_MMIO, BASE + reg, value, 8);
}

static uint32_t rd32(struct fake_host *h, uint32_t reg)
{
    return (uint32_t)fake_read(h, BP_SPACE_MMIO, BASE + reg, 4);
}

static void wr32(struct fake_host *h, uint32_t reg, uint32_t value)
{
    fake_write(h, BP_SPACE_MMIO, BASE + reg, value, 4);
}

static void registers_have_their_reset_values(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    assert_int_equal(rd(h, 0), UINT64_C(0x009896808086a201));
    assert_int_equal(rd32(h, 4), 10000000); /* fs */
    assert_int_equal(rd(h, 0x10), 0);
    assert_int_equal(rd(h, 0x20), 0);
    assert_int_equal(rd(h, 0xf0), 0);
    assert_int_equal(rd(h, 0x100), UINT64_C(0x00f0000000008030));
    assert_int_equal(rd(h, 0x140), UINT64_C(0x00f0080000008030));
    assert_int_equal(rd(h, 0x108), UINT64_MAX);
    assert_int_equal(rd(h, 0x160), 0); /* no fourth timer */
    wr(h, 0, 0);
    wr(h, 0x3f8, UINT64_MAX);
    wr(h, 0x168, UINT64_MAX);
    assert_int_equal(rd(h, 0), UINT64_C(0x009896808086a201));
    fake_host_free(h);
}

static void the_counter_runs_while_enabled_and_can_be_set_while_halted(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    fake_advance_ns(h, 1000);
    assert_int_equal(rd(h, 0xf0), 0);
    wr32(h, 0xf0, 0xfffffff0);
    wr32(h, 0xf4, 0x1);
    assert_int_equal(rd(h, 0xf0), 0x1fffffff0);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 1000);
    assert_int_equal(rd(h, 0xf0), 0x200000054);
    assert_int_equal(rd32(h, 0xf4), 2);
    wr(h, 0xf0, 5); /* not while it runs */
    assert_int_equal(rd(h, 0xf0), 0x200000054);
    wr(h, 0x10, 0);
    fake_advance_ns(h, 1000);
    assert_int_equal(rd(h, 0xf0), 0x200000054);
    fake_host_free(h);
}

static void a_one_shot_timer_raises_its_line_at_the_match(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x108, 1000);
    wr(h, 0x100, 20 << 9 | 4);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 9999);
    assert_int_equal(fake_irq_edges(h, 20), 0);
    fake_advance_ns(h, 1);
    assert_int_equal(fake_irq_edges(h, 20), 1);
    assert_int_equal(rd(h, 0x20), 0); /* no status for edges */
    fake_advance_ns(h, 1000000000);
    assert_int_equal(fake_irq_edges(h, 20), 0);
    wr(h, 0x108, rd(h, 0xf0) + 100);
    fake_advance_ns(h, 1000);
    assert_int_equal(fake_irq_edges(h, 20), 1);
    wr(h, 0x100, 20 << 9);
    assert_int_equal(fake_irq_level(h, 20), 0); /* lets go of the line */
    fake_host_free(h);
}

static void a_comparator_in_the_past_waits_for_the_wrap(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x10, 1);
    fake_advance_ns(h, 1000);
    wr(h, 0x100, 20 << 9 | 4 | 0x100); /* 32 bits */
    wr(h, 0x108, 50);
    assert_int_equal(rd(h, 0x108), 50);
    fake_advance_ns(h, UINT64_C(42949672960) - 1000 + 499);
    assert_int_equal(fake_irq_edges(h, 20), 0);
    fake_advance_ns(h, 1);
    assert_int_equal(fake_irq_edges(h, 20), 1);
    fake_advance_ns(h, UINT64_C(42949672960));
    assert_int_equal(fake_irq_edges(h, 20), 1); /* at each wrap */
    fake_host_free(h);
}

static void a_periodic_timer_goes_on_from_its_first_match(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x10, 1);
    wr32(h, 0x140, 21 << 9 | 4 | 8 | 0x40 | 0x100); /* periodic, set value, 32 bits */
    wr32(h, 0x148, 500000);
    wr32(h, 0x148, 100000); /* the period alone */
    assert_int_equal(rd(h, 0x140) & 0x40, 0);
    assert_int_equal(rd(h, 0x148), 500000);
    fake_advance_ns(h, 4999999);
    assert_int_equal(fake_irq_edges(h, 21), 0);
    fake_advance_ns(h, 1);
    assert_int_equal(fake_irq_edges(h, 21), 1);
    assert_int_equal(rd(h, 0x148), 600000);
    fake_advance_ns(h, 10000000);
    assert_int_equal(fake_irq_edges(h, 21), 10);
    assert_int_equal(rd(h, 0x148), 1600000);
    fake_host_free(h);
}

static void a_single_write_sets_comparator_and_period(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x100, 20 << 9 | 4 | 8 | 0x40);
    wr(h, 0x108, 10000);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 1000000);
    assert_int_equal(fake_irq_edges(h, 20), 10);
    fake_host_free(h);
}

static void a_level_timer_holds_its_line_until_its_status_is_cleared(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x100, 20 << 9 | 4 | 2);
    wr(h, 0x120, 20 << 9 | 4 | 2); /* shares the line */
    wr(h, 0x108, 100);
    wr(h, 0x128, 200);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 2000);
    assert_int_equal(rd(h, 0x20), 3);
    assert_int_equal(fake_irq_level(h, 20), 1);
    wr32(h, 0x20, 1);
    assert_int_equal(rd(h, 0x20), 2);
    assert_int_equal(fake_irq_level(h, 20), 1);
    wr32(h, 0x24, 0xffffffff);
    assert_int_equal(rd(h, 0x20), 2);
    wr32(h, 0x20, 2);
    assert_int_equal(fake_irq_level(h, 20), 0);
    assert_int_equal(fake_irq_edges(h, 20), 1);
    fake_host_free(h);
}

static void a_timer_without_interrupt_sets_its_status_only(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x100, 20 << 9 | 2);
    wr(h, 0x108, 100);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 2000);
    assert_int_equal(rd(h, 0x20), 1);
    assert_int_equal(fake_irq_level(h, 20), 0);
    fake_host_free(h);
}

static void a_message_is_sent_as_the_route_register_says(void **state)
{
    struct fake_host *h = hpet();
    uint64_t address;
    uint32_t data;

    (void)state;
    wr(h, 0x110, UINT64_C(0xfee0300000000041));
    wr(h, 0x100, 20 << 9 | 4 | 0x4000);
    wr(h, 0x108, 100);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 1000);
    assert_int_equal(fake_msis(h, &address, &data), 1);
    assert_int_equal(address, 0xfee03000);
    assert_int_equal(data, 0x41);
    assert_int_equal(fake_irq_level(h, 20), 0);
    fake_host_free(h);
}

static void routes_that_are_not_offered_are_not_taken(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x100, 20 << 9);
    for (uint32_t route = 0; route < 32; route++) {
        wr(h, 0x100, route << 9);
        assert_int_equal(rd32(h, 0x100) >> 9 & 0x1f,
                         route >= 20 && route < 24 ? route : (route < 20 ? 20 : 23));
    }
    wr(h, 0x140, 11 << 9); /* timer 2's own */
    assert_int_equal(rd32(h, 0x140) >> 9 & 0x1f, 11);
    wr(h, 0x100, UINT64_MAX);
    assert_int_equal(rd(h, 0x100), UINT64_C(0x00f000000000c17e) | 23 << 9); /* 31 is none */
    fake_host_free(h);
}

static void legacy_replacement_takes_lines_0_and_8_and_the_pit_off(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);
    struct hpet_config config = {.base = BASE,
                                 .irqchip = fake_peer(BP_IRQCHIP_ID, c->ops, c->self)};
    struct fake_host *h = fake_host_new(DEV_PC, "hpet", &config);

    (void)state;
    out8(c->host, 0x43, 0x34); /* the PIT holds line 0 */
    out8(c->host, 0x40, 0);
    out8(c->host, 0x40, 0);
    assert_int_equal(fake_irq_level(c->host, 0), 1);
    wr(h, 0x100, 20 << 9 | 4);
    wr(h, 0x120, 20 << 9 | 4);
    wr(h, 0x140, 20 << 9 | 4);
    wr(h, 0x108, 100);
    wr(h, 0x128, 100);
    wr(h, 0x148, 100);
    wr(h, 0x10, 2); /* not enabled: not yet */
    assert_int_equal(fake_irq_level(c->host, 0), 1);
    wr(h, 0x10, 3);
    assert_int_equal(fake_irq_level(c->host, 0), 0);
    fake_advance_ns(h, 1000);
    assert_int_equal(fake_irq_edges(h, 0), 1);
    assert_int_equal(fake_irq_edges(h, 8), 1);
    assert_int_equal(fake_irq_edges(h, 20), 1); /* timer 2 keeps its route */
    wr(h, 0x10, 0);
    assert_int_equal(fake_irq_level(h, 0), 0);
    assert_int_equal(fake_irq_level(c->host, 0), 1); /* the PIT is back */
    fake_host_free(h);
    chip_free(c);
}

static void line_connect(void *self, uint32_t on)
{
    *(uint32_t *)self = on;
}

static void legacy_replacement_takes_the_rtc_off_its_line(void **state)
{
    const struct rtc_interface ops = {.size = sizeof(ops), .line_connect = line_connect};
    uint32_t on = 7;
    struct hpet_config config = {.base = BASE, .rtc = fake_peer(RTC_ID, &ops, &on)};
    struct fake_host *h = fake_host_new(DEV_PC, "hpet", &config), *to;

    (void)state;
    assert_int_equal(on, 1); /* reset() says so */
    wr(h, 0x10, 2);          /* not enabled: not yet */
    assert_int_equal(on, 1);
    wr(h, 0x10, 3);
    assert_int_equal(on, 0);
    to = fake_host_new(DEV_PC, "hpet", &config);
    assert_int_equal(on, 1);
    fake_move_state(h, to);
    assert_int_equal(on, 0);
    fake_ops(to)->stop(fake_self(to));
    fake_ops(to)->reset(fake_self(to), BP_RESET_WARM);
    fake_ops(to)->start(fake_self(to));
    assert_int_equal(on, 1);
    fake_host_free(to);
    fake_host_free(h);
}

static uint8_t told_aml[64], told_table[64];
static uint64_t told_aml_len, told_table_len;

static void tell_aml(struct bp_acpi_builder *b, const uint8_t *aml, uint64_t len)
{
    (void)b;
    assert_true(len <= sizeof(told_aml));
    memcpy(told_aml, aml, len);
    told_aml_len = len;
}

static void tell_table(struct bp_acpi_builder *b, const char *signature, uint32_t revision,
                       const uint8_t *body, uint64_t len)
{
    (void)b;
    assert_string_equal(signature, "HPET");
    assert_int_equal(revision, 1);
    assert_true(len <= sizeof(told_table));
    memcpy(told_table, body, len);
    told_table_len = len;
}

static void acpi_tells_where_it_is(void **state)
{
    struct bp_acpi_builder b = {.size = sizeof(b), .aml = tell_aml, .table = tell_table};
    struct hpet_config config = {.base = 0xfed01000};
    struct fake_host *h = fake_host_new(DEV_PC, "hpet", &config);
    const struct bp_acpi *acpi = fake_ops(h)->extension(fake_self(h), BP_ACPI_ID);

    (void)state;
    acpi->describe(fake_self(h), &b);
    assert_int_equal(told_table_len, 20);
    assert_int_equal(bp_le32(told_table), 0x8086a201);
    assert_memory_equal(told_table + 4, "\0\100\0\0", 4); /* memory, 64 bits */
    assert_int_equal(bp_le64(told_table + 8), 0xfed01000);
    assert_int_equal(told_table[16], 0);
    assert_int_equal(bp_le16(told_table + 17), 5000); /* 50 us */
    assert_int_equal(told_aml_len, 46);
    assert_int_equal(told_aml[2], told_aml_len - 2);
    assert_int_equal(bp_le32(told_aml + 36), 0xfed01000);
    assert_int_equal(bp_le32(told_aml + 40), 0x400);
    assert_null(fake_ops(h)->extension(fake_self(h), "bp.none/1"));
    fake_host_free(h);
}

static void a_tiny_period_does_not_drown_the_host(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x100, 20 << 9 | 4 | 8 | 0x40);
    wr(h, 0x108, 1);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 100000000);
    assert_in_range(fake_irq_edges(h, 20), 1900, 2001);
    wr(h, 0x100, 20 << 9 | 4 | 8 | 0x40);
    wr(h, 0x108, 0); /* no period at all */
    fake_advance_ns(h, 100000000);
    assert_true(fake_irq_edges(h, 20) <= 1);
    fake_host_free(h);
}

static void narrow_and_odd_accesses_do_no_harm(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    for (uint32_t offset = 0; offset < 0x400; offset++) {
        fake_write(h, BP_SPACE_MMIO, BASE + offset, 0xff, 1);
        fake_read(h, BP_SPACE_MMIO, BASE + offset, 2);
    }
    fake_advance_ns(h, 1000000);
    wr(h, 0x10, 0);
    fake_host_free(h);
}

static void reset_halts_the_counter_and_lowers_the_lines(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    wr(h, 0x100, 20 << 9 | 4 | 2);
    wr(h, 0x108, 100);
    wr(h, 0x10, 1);
    fake_advance_ns(h, 1000);
    assert_int_equal(fake_irq_level(h, 20), 1);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(fake_irq_level(h, 20), 0);
    assert_int_equal(rd(h, 0x10), 0);
    assert_int_equal(rd(h, 0xf0), 0);
    assert_int_equal(rd(h, 0x108), UINT64_MAX);
    fake_host_free(h);
}

static void running_timers_move(void **state)
{
    struct fake_host *from = hpet(), *to = fake_host_new(DEV_PC, "hpet", &defaults);

    (void)state;
    wr(from, 0xf0, 1000000);
    wr(from, 0x10, 1);
    wr(from, 0x100, 20 << 9 | 4 | 8 | 0x40);
    wr(from, 0x108, 1100000);
    wr(from, 0x108, 100000);
    wr(from, 0x120, 21 << 9 | 4 | 2);
    wr(from, 0x128, 1000100);
    fake_advance_ns(from, 500000);
    assert_int_equal(fake_irq_level(from, 21), 1);
    fake_move_state(from, to);
    assert_int_equal(fake_irq_level(to, 21), 1);
    assert_int_equal(rd(to, 0xf0), 1050000);
    fake_advance_ns(to, 499999);
    assert_int_equal(fake_irq_edges(to, 20), 0);
    fake_advance_ns(to, 1);
    assert_int_equal(fake_irq_edges(to, 20), 1);
    fake_advance_ns(to, 1000000);
    assert_int_equal(fake_irq_edges(to, 20), 1);
    fake_host_free(from);
    fake_host_free(to);
}

static void a_counter_that_began_in_the_future_is_refused(void **state)
{
    struct fake_host *h = hpet();

    (void)state;
    fake_ops(h)->stop(fake_self(h));
    *(uint64_t *)field_of(h, "base_ns") = 99999;
    assert_int_equal(fake_ops(h)->after_load(fake_self(h)), -EINVAL);
    assert_string_equal(fake_failure(), "the snapshot's counter begins at 99999 ns, after its own "
                                        "time; the file is damaged");
    fake_host_free(h);
}

static void an_irqchip_that_is_none_is_refused(void **state)
{
    struct hpet_config config = {.base = BASE,
                                 .irqchip = fake_peer("bp.other/1", &config, &config)};
    struct fake_host *h;

    (void)state;
    assert_int_equal(fake_host_try(DEV_PC, "hpet", &config, &h), -ENOENT);
    assert_string_equal(fake_failure(),
                        "`irqchip` must name interrupt controllers, such as dev-pc's");
    config = (struct hpet_config){.base = BASE, .rtc = fake_peer("bp.other/1", &config, &config)};
    assert_int_equal(fake_host_try(DEV_PC, "hpet", &config, &h), -ENOENT);
    assert_string_equal(fake_failure(), "`rtc` must name a real-time clock of dev-pc");
    config = (struct hpet_config){.base = UINT64_MAX - 0xff};
    assert_true(fake_host_try(DEV_PC, "hpet", &config, &h) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_have_their_reset_values),
        cmocka_unit_test(the_counter_runs_while_enabled_and_can_be_set_while_halted),
        cmocka_unit_test(a_one_shot_timer_raises_its_line_at_the_match),
        cmocka_unit_test(a_comparator_in_the_past_waits_for_the_wrap),
        cmocka_unit_test(a_periodic_timer_goes_on_from_its_first_match),
        cmocka_unit_test(a_single_write_sets_comparator_and_period),
        cmocka_unit_test(a_level_timer_holds_its_line_until_its_status_is_cleared),
        cmocka_unit_test(a_timer_without_interrupt_sets_its_status_only),
        cmocka_unit_test(a_message_is_sent_as_the_route_register_says),
        cmocka_unit_test(routes_that_are_not_offered_are_not_taken),
        cmocka_unit_test(legacy_replacement_takes_lines_0_and_8_and_the_pit_off),
        cmocka_unit_test(legacy_replacement_takes_the_rtc_off_its_line),
        cmocka_unit_test(acpi_tells_where_it_is),
        cmocka_unit_test(a_tiny_period_does_not_drown_the_host),
        cmocka_unit_test(narrow_and_odd_accesses_do_no_harm),
        cmocka_unit_test(reset_halts_the_counter_and_lowers_the_lines),
        cmocka_unit_test(running_timers_move),
        cmocka_unit_test(a_counter_that_began_in_the_future_is_refused),
        cmocka_unit_test(an_irqchip_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
