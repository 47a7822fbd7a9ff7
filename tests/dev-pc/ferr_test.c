/* SPDX-License-Identifier: MIT
 *
 * FERR# of processors, IRQ 13, port 0xF0 and IGNNE# (Intel SDM 1, appendix D).
 */
#include "chip.h"

#include "ports.h"

#define PORT 0xf0

static uint32_t ferr(struct chip *c, uint32_t vcpu, uint32_t level)
{
    return c->ops->ferr_set(c->self, vcpu, level);
}

static void ferr_raises_irq_13_until_the_port_is_written(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);

    (void)state;
    assert_int_equal(ferr(c, 0, 1), 0);
    assert_int_equal(fake_irq_level(c->host, 13), 1);
    assert_int_equal(ferr(c, 0, 1), 0); /* the instruction is tried again: no new edge */
    assert_int_equal(ferr(c, 0, 0), 0);
    assert_int_equal(fake_irq_level(c->host, 13), 1);
    out8(c->host, PORT, 0);
    assert_int_equal(fake_irq_level(c->host, 13), 0);
    assert_int_equal(fake_irq_edges(c->host, 13), 1);
    chip_free(c);
}

static void ignne_lasts_as_long_as_the_error(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 2);
    unsigned before;

    (void)state;
    assert_int_equal(ferr(c, 0, 1), 0);
    before = c->vcpus[1].attentions;
    out8(c->host, PORT, 0xff);
    assert_int_equal(c->vcpus[1].attentions, before + 1); /* it may stand still */
    assert_int_equal(ferr(c, 0, 1), 1);
    assert_int_equal(fake_irq_level(c->host, 13), 0);
    /* Another processor's error is ignored as well, and keeps it. */
    assert_int_equal(ferr(c, 1, 1), 1);
    assert_int_equal(ferr(c, 0, 0), 1);
    assert_int_equal(ferr(c, 1, 0), 0);
    assert_int_equal(ferr(c, 0, 1), 0);
    assert_int_equal(fake_irq_level(c->host, 13), 1);
    assert_int_equal(fake_irq_edges(c->host, 13), 2);
    chip_free(c);
}

static void the_port_without_an_error_does_nothing(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);

    (void)state;
    assert_int_equal(in8(c->host, PORT), 0xff);
    out8(c->host, PORT, 0);
    assert_int_equal(fake_irq_level(c->host, 13), 0);
    assert_int_equal(ferr(c, 0, 1), 0);
    assert_int_equal(ferr(c, CHIP_VCPUS + 1, 1), 1); /* no such processor */
    chip_free(c);
}

static void reset(struct chip *c)
{
    fake_ops(c->host)->stop(c->self);
    fake_ops(c->host)->reset(c->self, BP_RESET_COLD);
    assert_int_equal(fake_ops(c->host)->start(c->self), 0);
}

static void reset_ends_all_of_it(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);

    (void)state;
    (void)ferr(c, 0, 1);
    out8(c->host, PORT, 0);
    reset(c);
    assert_int_equal(ferr(c, 0, 0), 0);
    assert_int_equal(ferr(c, 0, 1), 0);
    assert_int_equal(fake_irq_level(c->host, 13), 1);
    reset(c);
    assert_int_equal(fake_irq_level(c->host, 13), 0);
    chip_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ferr_raises_irq_13_until_the_port_is_written),
        cmocka_unit_test(ignne_lasts_as_long_as_the_error),
        cmocka_unit_test(the_port_without_an_error_does_nothing),
        cmocka_unit_test(reset_ends_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
