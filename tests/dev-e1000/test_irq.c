/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_irq.c - ICR, ICS, IMS and IMC, and interrupts that wait.
 */
#include "nic.h"

#define SEND (TX_EOP | TX_IFCS | TX_RS)

static void cause_interrupts_if_it_is_enabled(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    for (uint32_t bit = 0; bit < 17; bit++) {
        wr(n, E1000_IMC, ALL);
        wr(n, E1000_ICS, 1u << bit);
        assert_int_equal(intx(n), 0);
        wr(n, E1000_IMS, 1u << bit);
        assert_int_equal(intx(n), 1);
        assert_int_equal(rd(n, E1000_ICR), 1u << bit);
        assert_int_equal(intx(n), 0);
        assert_int_equal(rd(n, E1000_ICR), 0);
    }
    nic_free(n);
}

static void mask_is_set_and_cleared_bit_by_bit(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, 0x81);
    wr(n, E1000_IMS, 0x04);
    assert_int_equal(rd(n, E1000_IMS), 0x85);
    wr(n, E1000_IMC, 0x80);
    assert_int_equal(rd(n, E1000_IMS), 0x05);
    assert_int_equal(rd(n, E1000_IMC), 0);
    assert_int_equal(rd(n, E1000_ICS), 0);
    nic_free(n);
}

static void masking_lowers_the_line_and_keeps_the_cause(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, INT_RXT0);
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 1);
    wr(n, E1000_IMC, INT_RXT0);
    assert_int_equal(intx(n), 0);
    wr(n, E1000_IMS, INT_RXT0);
    assert_int_equal(intx(n), 1);
    nic_free(n);
}

static void writing_icr_clears_bits(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, INT_RXT0 | INT_TXDW);
    wr(n, E1000_ICS, INT_RXT0 | INT_TXDW);
    wr(n, E1000_ICR, INT_RXT0);
    assert_int_equal(intx(n), 1);
    wr(n, E1000_ICR, INT_TXDW);
    assert_int_equal(intx(n), 0);
    nic_free(n);
}

static void throttle_keeps_interrupts_apart(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_ITR, 1000); /* 256 us */
    wr(n, E1000_IMS, INT_RXT0);
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 1);
    rd(n, E1000_ICR);
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 0);
    fake_advance_ns(n->h, 255999);
    assert_int_equal(intx(n), 0);
    fake_advance_ns(n->h, 1);
    assert_int_equal(intx(n), 1);
    rd(n, E1000_ICR);
    fake_advance_ns(n->h, 1000000);
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 1); /* long enough after the last */
    nic_free(n);
}

/* What Linux asks for at first is less than the card gives. */
static void throttle_is_128_us_at_least(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_ITR, 195);
    assert_int_equal(rd(n, E1000_ITR), 195);
    wr(n, E1000_IMS, INT_RXT0);
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 1);
    rd(n, E1000_ICR);
    rx_give_frame(n, 100);
    fake_advance_ns(n->h, 127999);
    assert_int_equal(intx(n), 0);
    fake_advance_ns(n->h, 1);
    assert_int_equal(intx(n), 1);
    rd(n, E1000_ICR);
    wr(n, E1000_ITR, 0); /* none at all */
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 1);
    nic_free(n);
}

/* One that waits is seen to when ITR changes, too. */
static void throttle_that_changes_holds_what_waits_as_long_as_it_says(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, INT_RXT0);
    for (uint32_t itr = 0; itr <= 2000; itr += 2000) {
        wr(n, E1000_ITR, 1000);
        fake_advance_ns(n->h, 1000000);
        rx_give_frame(n, 100);
        assert_int_equal(intx(n), 1);
        rd(n, E1000_ICR);
        rx_give_frame(n, 100);
        assert_int_equal(intx(n), 0);
        wr(n, E1000_ITR, itr);
        assert_int_equal(intx(n), !itr);
        rd(n, E1000_ICR);
    }
    nic_free(n);
}

static void cause_that_is_read_while_throttled_does_not_interrupt(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_ITR, 1000);
    wr(n, E1000_IMS, INT_RXT0);
    rx_give_frame(n, 100);
    rd(n, E1000_ICR);
    rx_give_frame(n, 100);
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(intx(n), 0);
    nic_free(n);
}

static void rdtr_waits_for_silence_and_radv_for_no_longer(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, INT_RXT0);
    wr(n, E1000_RDTR, 100); /* 102.4 us */
    wr(n, E1000_RADV, 200);
    rx_give_frame(n, 100);
    fake_advance_ns(n->h, 102399);
    assert_int_equal(intx(n), 0);
    fake_advance_ns(n->h, 1);
    assert_int_equal(intx(n), 1);
    rd(n, E1000_ICR);
    for (uint32_t i = 0; i < 3; i++) {
        rx_give_frame(n, 100);
        fake_advance_ns(n->h, 60000);
        assert_int_equal(intx(n), 0);
    }
    fake_advance_ns(n->h, 204800 - 180000);
    assert_int_equal(intx(n), 1);
    nic_free(n);
}

static void fpd_ends_the_wait(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RDTR, 100);
    rx_give_frame(n, 100);
    assert_int_equal(rd(n, E1000_ICR), 0);
    wr(n, E1000_RDTR, 100 | RDTR_FPD);
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0);
    assert_int_equal(rd(n, E1000_RDTR), 100);
    nic_free(n);
}

static void small_frame_interrupts_at_once(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RDTR, 100);
    wr(n, E1000_RSRPD, 64);
    rx_give_frame(n, 60);
    assert_int_equal(rd(n, E1000_ICR), INT_SRPD);
    rx_give_frame(n, 100);
    assert_int_equal(rd(n, E1000_ICR), 0);
    nic_free(n);
}

static void tidv_delays_descriptors_with_ide(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_TIDV, 100);
    wr(n, E1000_TADV, 200);
    tx_legacy(n, TX_DATA, 100, SEND | TX_IDE, 0, 0, 0);
    tx_go(n);
    assert_true(tx_is_done(n, 0));
    assert_int_equal(rd(n, E1000_ICR), INT_TXQE);
    fake_advance_ns(n->h, 102400);
    assert_int_equal(rd(n, E1000_ICR), INT_TXDW);
    for (uint32_t i = 0; i < 3; i++) {
        tx_legacy(n, TX_DATA, 100, SEND | TX_IDE, 0, 0, 0);
        tx_go(n);
        fake_advance_ns(n->h, 60000);
        assert_int_equal(rd(n, E1000_ICR), INT_TXQE);
    }
    fake_advance_ns(n->h, 204800 - 180000);
    assert_int_equal(rd(n, E1000_ICR), INT_TXDW);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(rd(n, E1000_ICR), INT_TXQE | INT_TXDW);
    nic_free(n);
}

/* The interrupt of a frame that was sent waits for its delay and for the throttle; the cause waits
 * for its delay alone. */
static void delay_that_ends_while_throttled_is_a_cause(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_TIDV, 10);
    wr(n, E1000_ITR, 1000); /* 256 us */
    wr(n, E1000_IMS, INT_LSC | INT_TXDW);
    for (uint32_t looks = 0; looks < 2; looks++) {
        wr(n, E1000_ICS, INT_LSC);
        assert_int_equal(intx(n), 1);
        rd(n, E1000_ICR);
        tx_legacy(n, TX_DATA, 100, SEND | TX_IDE, 0, 0, 0);
        tx_go(n);
        fake_advance_ns(n->h, 10239);
        if (looks)
            assert_int_equal(rd(n, E1000_ICR), INT_TXQE);
        fake_advance_ns(n->h, 1);
        assert_int_equal(intx(n), 0);
        if (looks)
            assert_int_equal(rd(n, E1000_ICR), INT_TXDW);
        fake_advance_ns(n->h, 256000 - 10241);
        assert_int_equal(intx(n), 0);
        fake_advance_ns(n->h, 1);
        assert_int_equal(intx(n), !looks);
        rd(n, E1000_ICR);
        fake_advance_ns(n->h, 1000000);
    }
    /* A delay does not begin anew when it is over. */
    wr(n, E1000_ICS, INT_LSC);
    rd(n, E1000_ICR);
    for (uint32_t i = 0; i < 2; i++) {
        tx_legacy(n, TX_DATA, 100, SEND | TX_IDE, 0, 0, 0);
        tx_go(n);
        fake_advance_ns(n->h, i ? 1 : 20000);
    }
    assert_int_equal(rd(n, E1000_ICR), INT_TXQE | INT_TXDW);
    fake_advance_ns(n->h, 1000000);
    rd(n, E1000_ICR);
    /* Without a throttle any more it is told when it is over. */
    wr(n, E1000_ICS, INT_LSC);
    rd(n, E1000_ICR);
    tx_legacy(n, TX_DATA, 100, SEND | TX_IDE, 0, 0, 0);
    tx_go(n);
    wr(n, E1000_ITR, 0);
    fake_advance_ns(n->h, 10239);
    assert_int_equal(intx(n), 0);
    fake_advance_ns(n->h, 1);
    assert_int_equal(intx(n), 1);
    nic_free(n);
}

static void mdic_interrupts_when_it_is_asked_to(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    phy_read(n, 2);
    assert_int_equal(rd(n, E1000_ICR), 0);
    wr(n, E1000_MDIC,
       MDIC_INTERRUPT | MDIC_READ << MDIC_OP_SHIFT | 1u << MDIC_PHY_SHIFT | 2u << MDIC_REG_SHIFT);
    assert_int_equal(rd(n, E1000_ICR), INT_MDAC);
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cause_interrupts_if_it_is_enabled),
        cmocka_unit_test(mask_is_set_and_cleared_bit_by_bit),
        cmocka_unit_test(masking_lowers_the_line_and_keeps_the_cause),
        cmocka_unit_test(writing_icr_clears_bits),
        cmocka_unit_test(throttle_keeps_interrupts_apart),
        cmocka_unit_test(throttle_is_128_us_at_least),
        cmocka_unit_test(throttle_that_changes_holds_what_waits_as_long_as_it_says),
        cmocka_unit_test(cause_that_is_read_while_throttled_does_not_interrupt),
        cmocka_unit_test(rdtr_waits_for_silence_and_radv_for_no_longer),
        cmocka_unit_test(fpd_ends_the_wait),
        cmocka_unit_test(small_frame_interrupts_at_once),
        cmocka_unit_test(tidv_delays_descriptors_with_ide),
        cmocka_unit_test(delay_that_ends_while_throttled_is_a_cause),
        cmocka_unit_test(mdic_interrupts_when_it_is_asked_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
