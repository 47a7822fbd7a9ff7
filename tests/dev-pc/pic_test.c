/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pic_test.c - the 8259s as a guest programs them (Intel 231468), their INTR at LINT0 of
 * vCPU 0.
 */
#include "chip.h"

#define BASE 0x20u

static struct chip *chip_with_pics(uint8_t icw4)
{
    struct chip *c = chip_new(&chip_defaults, 2);

    pics_init(c, BASE, icw4);
    return c;
}

static void pulse(struct chip *c, uint32_t n)
{
    line(c, n, 0);
    line(c, n, 1);
}

static uint8_t isr(struct chip *c, uint16_t port)
{
    out8(c->host, port, 0x0b);
    return in8(c->host, port);
}

static uint8_t irr(struct chip *c, uint16_t port)
{
    out8(c->host, port, 0x0a);
    return in8(c->host, port);
}

static void nothing_comes_before_the_pics_are_initialized(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);

    (void)state;
    line(c, 4, 1);
    line(c, 12, 1);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(in8(c->host, 0x21), 0xff);
    chip_free(c);
}

static void an_edge_goes_to_the_boot_processor_with_its_vector(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 4, 1);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    assert_int_equal(pending(c, 1), 0); /* LINT0 is masked there */
    assert_int_equal(c->vcpus[0].attentions, 1);
    assert_int_equal(irr(c, 0x20), 0x10);
    assert_int_equal(inta(c, 0), BASE + 4);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(isr(c, 0x20), 0x10);
    assert_int_equal(irr(c, 0x20), 0);
    line(c, 4, 0);
    pulse(c, 4);
    assert_int_equal(pending(c, 0), 0); /* still in service */
    out8(c->host, 0x20, 0x20);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    chip_free(c);
}

static void a_line_of_the_slave_comes_through_the_cascade(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 12, 1);
    assert_int_equal(inta(c, 0), BASE + 12);
    assert_int_equal(isr(c, 0x20), 0x04);
    assert_int_equal(isr(c, 0xa0), 0x10);
    out8(c->host, 0xa0, 0x20);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(isr(c, 0x20), 0);
    assert_int_equal(isr(c, 0xa0), 0);
    assert_int_equal(c->ended, 1u << 12);
    chip_free(c);
}

static void line_2_is_the_cascade_and_no_input(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 2, 1);
    line(c, 24, 1);
    line(c, UINT32_MAX, 1);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(irr(c, 0x20), 0);
    chip_free(c);
}

static void a_masked_request_waits(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    out8(c->host, 0x21, 0x10);
    line(c, 4, 1);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(in8(c->host, 0x21), 0x10);
    out8(c->host, 0x21, 0);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    out8(c->host, 0x21, 0x10);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void a_higher_level_interrupts_a_lower_one_but_not_the_reverse(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 5, 1);
    assert_int_equal(inta(c, 0), BASE + 5);
    line(c, 6, 1);
    assert_int_equal(pending(c, 0), 0);
    line(c, 3, 1);
    assert_int_equal(inta(c, 0), BASE + 3);
    assert_int_equal(isr(c, 0x20), 0x28);
    out8(c->host, 0x20, 0x20); /* ends 3, the highest */
    assert_int_equal(isr(c, 0x20), 0x20);
    assert_int_equal(pending(c, 0), 0);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(inta(c, 0), BASE + 6);
    chip_free(c);
}

static void specific_eoi_ends_the_level_that_it_names(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 5, 1);
    inta(c, 0);
    line(c, 3, 1);
    inta(c, 0);
    out8(c->host, 0x20, 0x65);
    assert_int_equal(isr(c, 0x20), 0x08);
    assert_int_equal(c->ended, 1u << 5);
    out8(c->host, 0x20, 0x67); /* 7 is not in service */
    assert_int_equal(isr(c, 0x20), 0x08);
    assert_int_equal(c->ended, 1u << 5);
    chip_free(c);
}

static void eoi_with_nothing_in_service_does_nothing(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    for (unsigned ocw2 = 0; ocw2 < 0x100; ocw2++)
        if (!(ocw2 & 0x18))
            out8(c->host, 0x20, ocw2);
    assert_int_equal(isr(c, 0x20), 0);
    assert_int_equal(c->ended, 0);
    chip_free(c);
}

static void rotation_on_eoi_makes_the_ended_level_the_lowest(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 4, 1);
    inta(c, 0);
    out8(c->host, 0x20, 0xa0);
    line(c, 4, 0);
    line(c, 4, 1);
    line(c, 3, 1);
    line(c, 5, 1);
    assert_int_equal(inta(c, 0), BASE + 5); /* 5 is the highest now, then 6, 7, 0.. */
    out8(c->host, 0x20, 0xe6); /* rotate on specific: nothing ended, 7 is the highest */
    out8(c->host, 0x20, 0x65);
    assert_int_equal(inta(c, 0), BASE + 3);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(inta(c, 0), BASE + 4);
    chip_free(c);
}

static void set_priority_names_the_lowest_level(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    out8(c->host, 0x20, 0xc0 | 5);
    line(c, 0, 1);
    line(c, 5, 1);
    line(c, 7, 1);
    assert_int_equal(inta(c, 0), BASE + 7);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(inta(c, 0), BASE + 0);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(inta(c, 0), BASE + 5);
    chip_free(c);
}

static void automatic_eoi_leaves_nothing_in_service(void **state)
{
    struct chip *c = chip_with_pics(3);

    (void)state;
    line(c, 9, 1);
    line(c, 1, 1);
    assert_int_equal(inta(c, 0), BASE + 1);
    assert_int_equal(isr(c, 0x20), 0);
    assert_int_equal(inta(c, 0), BASE + 9);
    assert_int_equal(isr(c, 0x20), 0);
    assert_int_equal(isr(c, 0xa0), 0);
    assert_int_equal(c->ended, 1u << 1 | 1u << 9);
    chip_free(c);
}

static void automatic_eoi_rotates_when_told(void **state)
{
    struct chip *c = chip_with_pics(3);

    (void)state;
    out8(c->host, 0x20, 0x80);
    line(c, 3, 1);
    assert_int_equal(inta(c, 0), BASE + 3);
    pulse(c, 3);
    line(c, 4, 1);
    assert_int_equal(inta(c, 0), BASE + 4);
    assert_int_equal(inta(c, 0), BASE + 3);
    out8(c->host, 0x20, 0x00); /* no more */
    pulse(c, 3);
    pulse(c, 4);
    assert_int_equal(inta(c, 0), BASE + 4);
    chip_free(c);
}

static void special_mask_lets_lower_levels_through(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 3, 1);
    inta(c, 0);
    line(c, 6, 1);
    out8(c->host, 0x21, 0x08);
    assert_int_equal(pending(c, 0), 0);
    out8(c->host, 0x20, 0x68);
    assert_int_equal(inta(c, 0), BASE + 6);
    out8(c->host, 0x20, 0x20); /* 3 is masked: not ended by a non-specific one */
    assert_int_equal(isr(c, 0x20), 0x08);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(isr(c, 0x20), 0x08);
    out8(c->host, 0x20, 0x48); /* special mask mode off */
    out8(c->host, 0x20, 0x20);
    assert_int_equal(isr(c, 0x20), 0);
    chip_free(c);
}

static void special_fully_nested_mode_lets_the_slaves_higher_level_through(void **state)
{
    struct chip *c = chip_with_pics(0x11);

    (void)state;
    line(c, 12, 1);
    assert_int_equal(inta(c, 0), BASE + 12);
    line(c, 10, 1);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    assert_int_equal(inta(c, 0), BASE + 10);
    line(c, 3, 1); /* below the cascade in the master */
    chip_free(c);

    c = chip_with_pics(1);
    line(c, 12, 1);
    inta(c, 0);
    line(c, 10, 1);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void poll_acknowledges_by_a_read(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    out8(c->host, 0x20, 0x0c);
    assert_int_equal(in8(c->host, 0x20) & 0x80, 0);
    line(c, 5, 1);
    out8(c->host, 0x20, 0x0c);
    assert_int_equal(in8(c->host, 0x20), 0x85);
    assert_int_equal(isr(c, 0x20), 0x20);
    assert_int_equal(pending(c, 0), 0);
    line(c, 9, 1);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    out8(c->host, 0x20, 0x0c);
    assert_int_equal(in8(c->host, 0x21), 0x82); /* by either port */
    out8(c->host, 0xa0, 0x0c);
    assert_int_equal(in8(c->host, 0xa0), 0x81);
    assert_int_equal(in8(c->host, 0x21), 0); /* one read is one poll */
    chip_free(c);
}

static void a_line_that_falls_before_inta_gives_irq_7(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 4, 1);
    line(c, 4, 0);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(inta(c, 0), BASE + 7); /* the processor was about to take it */
    assert_int_equal(isr(c, 0x20), 0);
    chip_free(c);
}

/* IRQ 15 would need a fall between the two pulses of one INTA cycle, which is one call. */
static void a_line_of_the_slave_that_falls_before_inta_gives_irq_7_too(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 12, 1);
    line(c, 12, 0);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(inta(c, 0), BASE + 7);
    assert_int_equal(isr(c, 0x20), 0);
    assert_int_equal(isr(c, 0xa0), 0);
    chip_free(c);
}

static void level_triggered_inputs_ask_until_they_fall(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    out8(c->host, 0x4d0, 0xff);
    assert_int_equal(in8(c->host, 0x4d0), 0xf8);
    out8(c->host, 0x4d1, 0xff);
    assert_int_equal(in8(c->host, 0x4d1), 0xde);
    line(c, 5, 1);
    assert_int_equal(inta(c, 0), BASE + 5);
    assert_int_equal(irr(c, 0x20), 0x20);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    assert_int_equal(inta(c, 0), BASE + 5);
    line(c, 5, 0);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void the_listener_can_lower_a_level_line_at_eoi(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    out8(c->host, 0x4d1, 0x02);
    out8(c->host, 0x4d1, 0x04); /* line 10 */
    line(c, 10, 1);
    assert_int_equal(inta(c, 0), BASE + 10);
    out8(c->host, 0xa0, 0x20);
    assert_int_equal(c->ended, 1u << 10);
    chip_free(c);
}

static void making_a_high_input_level_triggered_asks(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 5, 1);
    inta(c, 0);
    out8(c->host, 0x20, 0x20);
    assert_int_equal(pending(c, 0), 0);
    out8(c->host, 0x4d0, 0x20);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    chip_free(c);
}

static void initialization_forgets_edges_masks_and_service(void **state)
{
    struct chip *c = chip_with_pics(3);

    (void)state;
    out8(c->host, 0x20, 0xc3);
    line(c, 5, 1);
    out8(c->host, 0x20, 0x10); /* ICW1 without ICW4 */
    assert_int_equal(in8(c->host, 0x21), 0);
    out8(c->host, 0x21, 0x47); /* the low bits of ICW2 are the level's */
    out8(c->host, 0x21, 0x04);
    out8(c->host, 0x21, 0xfe); /* already OCW1 */
    assert_int_equal(in8(c->host, 0x21), 0xfe);
    out8(c->host, 0x21, 0);
    assert_int_equal(irr(c, 0x20), 0);
    assert_int_equal(pending(c, 0), 0); /* 5 must fall first */
    pulse(c, 5);
    assert_int_equal(inta(c, 0), 0x45);
    assert_int_equal(isr(c, 0x20), 0x20); /* no automatic EOI any more */
    chip_free(c);
}

static void reset_waits_for_initialization(void **state)
{
    struct chip *c = chip_with_pics(1);

    (void)state;
    line(c, 5, 1);
    inta(c, 0);
    fake_ops(c->host)->stop(c->self);
    fake_ops(c->host)->reset(c->self, BP_RESET_WARM);
    assert_int_equal(fake_ops(c->host)->start(c->self), 0);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(isr(c, 0x20), 0);
    chip_free(c);
}

static void the_state_moves_to_another_pair(void **state)
{
    struct chip *from = chip_with_pics(1), *to = chip_new(&chip_defaults, 2);
    struct bp_x86_pic pic, again;

    (void)state;
    out8(from->host, 0x4d1, 0x08);
    out8(from->host, 0x21, 0x80);
    out8(from->host, 0x20, 0xc1);
    line(from, 5, 1);
    inta(from, 0);
    line(from, 3, 1);
    line(from, 11, 1);
    STATE_GET(from, 0, BP_X86_PIC, &pic);
    STATE_SET(to, 0, BP_X86_PIC, &pic);
    STATE_GET(to, 0, BP_X86_PIC, &again);
    assert_memory_equal(&pic, &again, sizeof(pic));
    assert_int_equal(pending(to, 0), BP_IRQCHIP_INTR);
    assert_int_equal(inta(to, 0), BASE + 11);
    assert_int_equal(in8(to->host, 0x21), 0x80);
    line(to, 11, 0);
    chip_free(from);
    chip_free(to);
}

static void impossible_states_are_refused(void **state)
{
    struct chip *c = chip_with_pics(1);
    struct bp_x86_pic pic;

    (void)state;
    STATE_GET(c, 0, BP_X86_PIC, &pic);
    pic.chip[1].priority_add = 8;
    assert_int_equal(c->ops->state_set(c->self, 0, BP_X86_PIC, &pic, sizeof(pic)), -EINVAL);
    pic.chip[1].priority_add = 0;
    pic.chip[0].init_state = 4;
    assert_int_equal(c->ops->state_set(c->self, 0, BP_X86_PIC, &pic, sizeof(pic)), -EINVAL);
    pic.chip[0].init_state = 0;
    assert_int_equal(c->ops->state_set(c->self, 0, BP_X86_PIC, &pic, sizeof(pic) - 1), -EINVAL);
    assert_int_equal(c->ops->state_get(c->self, 0, BP_X86_PIC, &pic, sizeof(pic) + 1), -EINVAL);
    assert_int_equal(c->ops->state_set(c->self, 0, "x86.pic/2", &pic, sizeof(pic)), -ENOENT);
    memset(&pic, 0xff, sizeof(pic));
    pic.chip[0].priority_add = pic.chip[1].priority_add = 7;
    pic.chip[0].init_state = pic.chip[1].init_state = 0;
    STATE_SET(c, 0, BP_X86_PIC, &pic); /* absurd but harmless */
    for (unsigned i = 0; i < 32; i++) {
        inta(c, 0);
        out8(c->host, i & 1 ? 0x20 : 0xa0, 0x20);
    }
    chip_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_comes_before_the_pics_are_initialized),
        cmocka_unit_test(an_edge_goes_to_the_boot_processor_with_its_vector),
        cmocka_unit_test(a_line_of_the_slave_comes_through_the_cascade),
        cmocka_unit_test(line_2_is_the_cascade_and_no_input),
        cmocka_unit_test(a_masked_request_waits),
        cmocka_unit_test(a_higher_level_interrupts_a_lower_one_but_not_the_reverse),
        cmocka_unit_test(specific_eoi_ends_the_level_that_it_names),
        cmocka_unit_test(eoi_with_nothing_in_service_does_nothing),
        cmocka_unit_test(rotation_on_eoi_makes_the_ended_level_the_lowest),
        cmocka_unit_test(set_priority_names_the_lowest_level),
        cmocka_unit_test(automatic_eoi_leaves_nothing_in_service),
        cmocka_unit_test(automatic_eoi_rotates_when_told),
        cmocka_unit_test(special_mask_lets_lower_levels_through),
        cmocka_unit_test(special_fully_nested_mode_lets_the_slaves_higher_level_through),
        cmocka_unit_test(poll_acknowledges_by_a_read),
        cmocka_unit_test(a_line_that_falls_before_inta_gives_irq_7),
        cmocka_unit_test(a_line_of_the_slave_that_falls_before_inta_gives_irq_7_too),
        cmocka_unit_test(level_triggered_inputs_ask_until_they_fall),
        cmocka_unit_test(the_listener_can_lower_a_level_line_at_eoi),
        cmocka_unit_test(making_a_high_input_level_triggered_asks),
        cmocka_unit_test(initialization_forgets_edges_masks_and_service),
        cmocka_unit_test(reset_waits_for_initialization),
        cmocka_unit_test(the_state_moves_to_another_pair),
        cmocka_unit_test(impossible_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
