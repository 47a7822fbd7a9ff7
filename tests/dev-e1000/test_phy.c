/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_phy.c - autonegotiation, forced speeds, and a cable that comes and goes.
 */
#include "nic.h"

#define NEGOTIATION_NS UINT64_C(2000000000)

static uint32_t speed(struct nic *n)
{
    return rd(n, E1000_STATUS) >> STATUS_SPEED_SHIFT & 3u;
}

static int is_up(struct nic *n)
{
    return !!(rd(n, E1000_STATUS) & STATUS_LU);
}

static void phy_is_an_88e1011(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    assert_int_equal(phy_read(n, 2), 0x0141);
    assert_int_equal(phy_read(n, 3), 0x0c20);
    nic_free(n);
}

static void link_comes_with_autonegotiation(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    wr(n, E1000_IMS, INT_LSC);
    assert_false(is_up(n));
    assert_int_equal(phy_read(n, 1), 0x7949);
    assert_int_equal(phy_read(n, 5), 0);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
    fake_advance_ns(n->h, NEGOTIATION_NS - 1);
    assert_false(is_up(n));
    fake_advance_ns(n->h, 1);
    assert_true(is_up(n));
    assert_int_equal(intx(n), 1);
    assert_int_equal(rd(n, E1000_ICR), INT_LSC);
    phy_read(n, 1);
    assert_int_equal(phy_read(n, 1), 0x7949 | 0x24);
    assert_int_equal(phy_read(n, 5), 0x4de1);
    assert_int_equal(phy_read(n, 10), 0x3c00);
    assert_int_equal(phy_read(n, 17) & 0xec00, 0xac00);
    assert_int_equal(speed(n), 2);
    assert_true(rd(n, E1000_STATUS) & STATUS_FD);
    nic_free(n);
}

static void mac_without_slu_sees_no_link(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    fake_advance_ns(n->h, NEGOTIATION_NS);
    assert_false(is_up(n));
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
    assert_true(is_up(n));
    assert_int_equal(rd(n, E1000_ICR), INT_LSC);
    nic_free(n);
}

static void best_of_what_both_ends_offer_is_agreed(void **state)
{
    static const struct {
        uint32_t partner;
        uint16_t anar, gbcr;
        uint32_t speed, full;
    } cases[] = {
        {SPEED_1000, 0x0de1, 0x0e00, 2, 1}, {SPEED_100, 0x0de1, 0x0e00, 1, 1},
        {SPEED_10, 0x0de1, 0x0e00, 0, 1},   {SPEED_1000, 0x0de1, 0x0000, 1, 1},
        {SPEED_1000, 0x0c81, 0x0000, 1, 0}, {SPEED_1000, 0x0c61, 0x0000, 0, 1},
        {SPEED_1000, 0x0c21, 0x0000, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nic *n = nic_new();

        fake_host_free(n->h);
        n->config.speed = cases[i].partner;
        nic_create(n);
        wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
        phy_write(n, 4, cases[i].anar);
        phy_write(n, 9, cases[i].gbcr);
        phy_write(n, 0, 0x1340);
        fake_advance_ns(n->h, NEGOTIATION_NS);
        assert_true(is_up(n));
        assert_int_equal(speed(n), cases[i].speed);
        assert_int_equal(rd(n, E1000_STATUS) & STATUS_FD, cases[i].full);
        nic_free(n);
    }
}

static void nothing_in_common_is_no_link(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
    phy_write(n, 4, 1);
    phy_write(n, 9, 0);
    phy_write(n, 0, 0x1340);
    fake_advance_ns(n->h, NEGOTIATION_NS);
    assert_false(is_up(n));
    nic_free(n);
}

static void forced_speed_needs_no_negotiation(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
    phy_write(n, 0, 0x2100);
    assert_true(is_up(n));
    assert_int_equal(speed(n), 1);
    wr(n, E1000_CTRL, CTRL_SLU | CTRL_FRCSPD | 0u << CTRL_SPEED_SHIFT | CTRL_FRCDPLX);
    assert_int_equal(speed(n), 0); /* the MAC may be told something else */
    assert_false(rd(n, E1000_STATUS) & STATUS_FD);
    nic_free(n);
}

static void restart_takes_the_link_away_for_a_while(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    phy_write(n, 0, 0x1340);
    assert_false(is_up(n));
    assert_int_equal(rd(n, E1000_ICR), INT_LSC);
    fake_advance_ns(n->h, NEGOTIATION_NS);
    assert_true(is_up(n));
    nic_free(n);
}

static void powered_down_phy_has_no_link(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    phy_write(n, 0, 0x1940);
    assert_false(is_up(n));
    fake_advance_ns(n->h, 2 * NEGOTIATION_NS);
    assert_false(is_up(n));
    phy_write(n, 0, 0x1140);
    fake_advance_ns(n->h, NEGOTIATION_NS);
    assert_true(is_up(n));
    nic_free(n);
}

static void cable_comes_and_goes(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    phy_read(n, 1);
    n->net->inside = 1;
    n->net->port->link(n->net->port_self, 0);
    assert_false(is_up(n));
    n->net->port->link(n->net->port_self, 1);
    n->net->inside = 0;
    assert_int_equal(rd(n, E1000_ICR), INT_LSC);
    fake_advance_ns(n->h, NEGOTIATION_NS);
    assert_true(is_up(n));
    assert_false(phy_read(n, 1) & 4); /* it was lost since the last look */
    assert_true(phy_read(n, 1) & 4);
    nic_free(n);
}

static void what_the_backend_holds_is_lost_with_the_link(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RDT, 0);
    rx_give_frame(n, 100);
    n->net->inside = 1;
    n->net->port->link(n->net->port_self, 0);
    n->net->inside = 0;
    assert_int_equal(n->net->resumes, 0);
    fake_advance_ns(n->h, 1000);
    assert_int_equal(n->net->resumes, 1);
    nic_free(n);
}

static void phy_interrupts_with_phyint(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    phy_write(n, 18, 0x0400);
    wr(n, E1000_CTRL_EXT, CTRL_EXT_PHYINT);
    n->net->port->link(n->net->port_self, 0);
    assert_int_equal(rd(n, E1000_ICR), INT_LSC | INT_PHYINT);
    assert_true(phy_read(n, 19) & 0x0400);
    assert_int_equal(phy_read(n, 19), 0);
    nic_free(n);
}

static void card_without_a_backend_has_no_link(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    fake_host_free(n->h);
    n->config.net = NULL;
    n->h = fake_host_new(PLUGIN_FILE, NULL, &n->config);
    n->devfn = fake_pci_function(n->h, 0);
    fake_pci_start(n->h, n->devfn);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
    fake_advance_ns(n->h, 2 * NEGOTIATION_NS);
    assert_false(is_up(n));
    nic_free(n);
}

static void bad_24_other_phys_are_done_with_an_error(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    for (uint32_t phy = 0; phy < 32; phy++) {
        wr(n, E1000_MDIC,
           MDIC_READ << MDIC_OP_SHIFT | phy << MDIC_PHY_SHIFT | 2u << MDIC_REG_SHIFT);
        assert_int_equal(rd(n, E1000_MDIC) & (MDIC_READY | MDIC_ERROR),
                         phy == 1 ? MDIC_READY : MDIC_READY | MDIC_ERROR);
    }
    wr(n, E1000_MDIC, 3u << MDIC_OP_SHIFT | 1u << MDIC_PHY_SHIFT);
    assert_true(rd(n, E1000_MDIC) & MDIC_ERROR);
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phy_is_an_88e1011),
        cmocka_unit_test(link_comes_with_autonegotiation),
        cmocka_unit_test(mac_without_slu_sees_no_link),
        cmocka_unit_test(best_of_what_both_ends_offer_is_agreed),
        cmocka_unit_test(nothing_in_common_is_no_link),
        cmocka_unit_test(forced_speed_needs_no_negotiation),
        cmocka_unit_test(restart_takes_the_link_away_for_a_while),
        cmocka_unit_test(powered_down_phy_has_no_link),
        cmocka_unit_test(cable_comes_and_goes),
        cmocka_unit_test(what_the_backend_holds_is_lost_with_the_link),
        cmocka_unit_test(phy_interrupts_with_phyint),
        cmocka_unit_test(card_without_a_backend_has_no_link),
        cmocka_unit_test(bad_24_other_phys_are_done_with_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
