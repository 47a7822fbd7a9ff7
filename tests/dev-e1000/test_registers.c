/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_registers.c - what configuration space and the registers are, read and written as
 * Linux's `ethtool -t` does it, and what resets do.
 */
#include "nic.h"

#include <errno.h>

static void configuration_space_is_that_of_an_82540em(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    assert_int_equal(fake_pci_read(n->h, n->devfn, 0, 4), 0x100e8086);
    assert_int_equal(fake_pci_read(n->h, n->devfn, 8, 4), 0x02000003);
    assert_int_equal(fake_pci_read(n->h, n->devfn, 0x2c, 4), 0x001e8086);
    assert_int_equal(fake_pci_read(n->h, n->devfn, 0x3d, 1), 1);
    assert_int_equal(fake_pci_bar_length(n->h, n->devfn, 0), E1000_BAR_BYTES);
    assert_int_equal(fake_pci_bar_length(n->h, n->devfn, 1), E1000_IO_BYTES);
    assert_int_equal(fake_pci_bar_length(n->h, n->devfn, 2), 0);
    assert_true(fake_pci_capability(n->h, n->devfn, 1, 0));
    assert_true(fake_pci_capability(n->h, n->devfn, 7, 0));
    assert_false(fake_pci_capability(n->h, n->devfn, 5, 0)); /* no MSI */
    nic_free(n);
}

static const struct pattern {
    uint32_t offset, mask, write;
} patterns[] = {
    {E1000_FCAL, 0xffffffff, 0xffffffff},  {E1000_FCAH, 0x0000ffff, 0xffffffff},
    {E1000_FCT, 0x0000ffff, 0xffffffff},   {E1000_VET, 0x0000ffff, 0xffffffff},
    {E1000_RDTR, 0x0000ffff, 0xffffffff},  {E1000_RDBAH, 0xffffffff, 0xffffffff},
    {E1000_RDLEN, 0x000fff80, 0x000fffff}, {E1000_RDH, 0x0000ffff, 0x0000ffff},
    {E1000_RDT, 0x0000ffff, 0x0000ffff},   {E1000_FCRTH, 0x0000fff8, 0x0000fff8},
    {E1000_FCTTV, 0x0000ffff, 0xffffffff}, {E1000_TIPG, 0x3fffffff, 0x3fffffff},
    {E1000_TDBAH, 0xffffffff, 0xffffffff}, {E1000_TDLEN, 0x000fff80, 0x000fffff},
    {E1000_RDBAL, 0xfffffff0, 0xffffffff}, {E1000_TXCW, 0xc000ffff, 0x0000ffff},
    {E1000_TDBAL, 0xfffffff0, 0xffffffff}, {E1000_TIDV, 0x0000ffff, 0x0000ffff},
    {E1000_RADV, 0x0000ffff, 0x0000ffff},  {E1000_TADV, 0x0000ffff, 0x0000ffff},
    {E1000_ITR, 0x0000ffff, 0xffffffff},   {E1000_PBM + 0xfffc, 0xffffffff, 0xffffffff},
    {E1000_FFVT + 8 * 127, ALL, ALL},      {E1000_FFMT + 8 * 127, 0xf, ALL},
    {E1000_FFLT + 24, 0x7ff, ALL},         {E1000_IP4AT + 24, ALL, ALL},
};

static void registers_keep_the_bits_that_they_have(void **state)
{
    static const uint32_t tests[] = {0x5a5a5a5a, 0xa5a5a5a5, 0, 0xffffffff};
    struct nic *n = nic_new();

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        for (size_t t = 0; t < 4; t++) {
            uint32_t value = tests[t] & patterns[i].write;

            wr(n, patterns[i].offset, value);
            assert_int_equal(rd(n, patterns[i].offset), value & patterns[i].mask);
        }
    }
    wr(n, E1000_RCTL, 0xffffffff);
    assert_int_equal(rd(n, E1000_RCTL), 0x06dfb3fe);
    nic_free(n);
}

static void status_is_read_only(void **state)
{
    struct nic *n = nic_new();
    uint32_t before = rd(n, E1000_STATUS);

    (void)state;
    wr(n, E1000_STATUS, 0xfffff833);
    assert_int_equal(rd(n, E1000_STATUS), before);
    nic_free(n);
}

static void arrays_have_all_their_words(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    for (uint32_t i = 0; i < 128; i++) {
        wr(n, E1000_MTA + 4 * i, i + 1);
        wr(n, E1000_VFTA + 4 * i, i + 1000);
    }
    for (uint32_t i = 0; i < 32; i++)
        wr(n, E1000_RA + 4 * i, 0xffffffff);
    for (uint32_t i = 0; i < 128; i++) {
        assert_int_equal(rd(n, E1000_MTA + 4 * i), i + 1);
        assert_int_equal(rd(n, E1000_VFTA + 4 * i), i + 1000);
    }
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(rd(n, E1000_RA + 4 * i), i % 2 ? 0x8003ffff : 0xffffffff);
    nic_free(n);
}

static void registers_of_the_82542_are_there_once_more(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    wr(n, 0x118, 0x80);
    wr(n, 0x420, 0x12340);
    wr(n, 0x204, 77);
    wr(n, 0x40, 0x11223344);
    assert_int_equal(rd(n, E1000_RDLEN), 0x80);
    assert_int_equal(rd(n, E1000_TDBAL), 0x12340);
    assert_int_equal(rd(n, E1000_MTA + 4), 77);
    assert_int_equal(rd(n, E1000_RA), 0x11223344);
    nic_free(n);
}

static void io_ports_reach_registers_by_address(void **state)
{
    struct nic *n = nic_new();
    uint64_t io = FAKE_BAR_IO(n->devfn, 1);

    (void)state;
    fake_write(n->h, BP_SPACE_PIO, io, E1000_FCAL, 4);
    fake_write(n->h, BP_SPACE_PIO, io + 4, 0xcafe1234, 4);
    assert_int_equal(rd(n, E1000_FCAL), 0xcafe1234);
    assert_int_equal(fake_read(n->h, BP_SPACE_PIO, io, 4), E1000_FCAL);
    assert_int_equal(fake_read(n->h, BP_SPACE_PIO, io + 4, 4), 0xcafe1234);
    assert_int_equal(fake_read(n->h, BP_SPACE_PIO, io + 8, 4), 0);
    nic_free(n);
}

static void bad_io_address_beyond_the_registers_reads_0(void **state)
{
    struct nic *n = nic_new();
    uint64_t io = FAKE_BAR_IO(n->devfn, 1);

    (void)state;
    fake_write(n->h, BP_SPACE_PIO, io, 0x80000, 4);
    fake_write(n->h, BP_SPACE_PIO, io + 4, 1, 4);
    assert_int_equal(fake_read(n->h, BP_SPACE_PIO, io + 4, 4), 0);
    nic_free(n);
}

static void packet_buffer_is_divided_between_both_ways(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    assert_int_equal(rd(n, E1000_PBA), 0x00100030);
    wr(n, E1000_PBA, 0x28);
    assert_int_equal(rd(n, E1000_PBA), 0x00180028);
    wr(n, E1000_PBA, 0x7f);
    assert_int_equal(rd(n, E1000_PBA), 0x00000040);
    nic_free(n);
}

static void software_reset_keeps_the_address_and_ends_all_else(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, INT_TXDW);
    wr(n, E1000_ICS, INT_TXDW);
    wr(n, E1000_MTA, 1);
    assert_int_equal(intx(n), 1);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_RST);
    assert_int_equal(intx(n), 0);
    assert_int_equal(rd(n, E1000_CTRL) & CTRL_RST, 0);
    assert_int_equal(rd(n, E1000_RCTL), 0);
    assert_int_equal(rd(n, E1000_IMS), 0);
    assert_int_equal(rd(n, E1000_MTA), 0);
    assert_int_equal(rd(n, E1000_RA), 0x12005452);
    assert_int_equal(rd(n, E1000_RA + 4), 0x80005634);
    assert_int_equal(rd(n, E1000_STATUS) & STATUS_LU, 0);
    /* The PHY was left alone: the link is there as soon as the MAC looks. */
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
    assert_true(rd(n, E1000_STATUS) & STATUS_LU);
    nic_free(n);
}

static void d3_ends_with_a_reset(void **state)
{
    struct nic *n = nic_started();
    uint32_t pm = fake_pci_capability(n->h, n->devfn, 1, 0);

    (void)state;
    fake_pci_write(n->h, n->devfn, pm + 4, 3, 2);
    tx_legacy(n, TX_DATA, 100, TX_EOP | TX_IFCS | TX_RS, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    fake_pci_write(n->h, n->devfn, pm + 4, 0, 2);
    assert_int_equal(rd(n, E1000_TCTL), 0);
    nic_free(n);
}

static void sleeping_card_is_woken_by_a_magic_packet(void **state)
{
    struct nic *n = nic_started();
    uint32_t pm = fake_pci_capability(n->h, n->devfn, 1, 0);
    uint8_t frame[200] = {0};

    (void)state;
    make_frame(n, frame, sizeof(frame), n->config.mac);
    memset(frame + 60, 0xff, 6);
    for (uint32_t i = 0; i < 16; i++)
        memcpy(frame + 66 + 6 * (size_t)i, n->config.mac, 6);
    wr(n, E1000_WUFC, WU_MAG);
    wr(n, E1000_WUC, WUC_PME_EN);
    assert_int_equal(fake_pci_read(n->h, n->devfn, pm + 4, 2), 0x0100);
    fake_pci_write(n->h, n->devfn, pm + 4, 0x0103, 2);
    assert_int_equal(rx_give_frame(n, 100), 0);
    assert_int_equal(fake_pci_read(n->h, n->devfn, pm + 4, 2), 0x0103);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(fake_pci_read(n->h, n->devfn, pm + 4, 2), 0x8103);
    fake_pci_write(n->h, n->devfn, pm + 4, 0x8100, 2);
    assert_int_equal(fake_pci_read(n->h, n->devfn, pm + 4, 2), 0x0100);
    assert_int_equal(rd(n, E1000_WUS), WU_MAG);
    assert_int_equal(rd(n, E1000_WUPL), sizeof(frame));
    assert_int_equal(rd(n, E1000_WUPM), 0x12005452);
    wr(n, E1000_WUS, 0xffffffff);
    assert_int_equal(rd(n, E1000_WUS), 0);
    nic_free(n);
}

static void sleeping_card_is_woken_by_its_ip_address(void **state)
{
    struct nic *n = nic_started();
    uint32_t pm = fake_pci_capability(n->h, n->devfn, 1, 0);
    uint8_t arp[60] = {0};

    (void)state;
    memset(arp, 0xff, 6);
    put_bytes(arp + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
    put_bytes(arp + 38, "\x0a\x00\x02\x0f", 4);
    wr(n, E1000_IP4AT + 8, 0x0f02000a);
    wr(n, E1000_IPAV, 1u << 1);
    wr(n, E1000_WUFC, WU_ARP);
    fake_pci_write(n->h, n->devfn, pm + 4, 3, 2);
    /* The receive filters count while it sleeps. */
    assert_int_equal(rx_give(n, arp, sizeof(arp)), 0);
    assert_int_equal(rd(n, E1000_WUS), WU_ARP);
    nic_free(n);
}

static void statistics_are_cleared_by_reading(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    make_frame(n, ram(n, TX_DATA), 200, NULL);
    tx_legacy(n, TX_DATA, 200, TX_EOP | TX_IFCS, 0, 0, 0);
    tx_go(n);
    assert_int_equal(rx_give_frame(n, 60), 0);
    assert_int_equal(rx_give_frame(n, 1514), 0);
    assert_int_equal(rd(n, E1000_GPTC), 1);
    assert_int_equal(rd(n, E1000_GPTC), 0);
    assert_int_equal(rd(n, E1000_PTC255), 1);
    assert_int_equal(rd(n, E1000_TOTL), 204);
    assert_int_equal(rd(n, E1000_TOTL), 204); /* until the high half is read */
    assert_int_equal(rd(n, E1000_TOTH), 0);
    assert_int_equal(rd(n, E1000_TOTL), 0);
    assert_int_equal(rd(n, E1000_PRC64), 1);
    assert_int_equal(rd(n, E1000_PRC1522), 1);
    assert_int_equal(rd(n, E1000_GPRC), 2);
    assert_int_equal(rd(n, E1000_GORCL), 64 + 1518);
    nic_free(n);
}

static void station_address_comes_of_the_name_without_mac(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    fake_host_free(n->h);
    memset(n->config.mac, 0, 6);
    nic_create(n);
    assert_int_equal(rd(n, E1000_RA) & 0xffffff, 0x005452);
    nic_free(n);
}

static void bad_group_address_is_refused(void **state)
{
    struct e1000_config c = {.mac = {0x01, 0, 0x5e, 0, 0, 1}, .slot = UINT32_MAX};
    struct fake_host *h;

    (void)state;
    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, &c, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "mac 01:00:5e:00:00:01 is a group's; the first byte of a station's is "
                        "even, as in 52:54:00:12:34:56");
}

static void bad_machine_without_pci_is_refused(void **state)
{
    struct e1000_config c = {.slot = UINT32_MAX};
    struct fake_host *h;

    (void)state;
    fake_pci_offer(false);
    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, &c, &h), -ENOTSUP);
    fake_pci_offer(true);
    assert_string_equal(fake_failure(),
                        "an 82540EM is a PCI card, and this machine has no PCI bus");
}

static void bad_backend_that_is_taken_is_refused(void **state)
{
    struct nic *n = nic_new();
    struct fake_host *h;

    (void)state;
    n->net->refuses = 1;
    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, &n->config, &h), -EBUSY);
    assert_string_equal(fake_failure(),
                        "cannot use the section that `net` names: Device or resource busy; name a "
                        "network backend that no other device uses");
    nic_free(n);
}

static void strict_tells_of_a_bad_ring_length(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    wr(n, E1000_RDLEN, 100);
    assert_int_equal(fake_log_count(n->h), 0);
    nic_free(n);
    n = nic_new();
    fake_host_free(n->h);
    n->config.strict = 1;
    nic_create(n);
    wr(n, E1000_RDLEN, 100);
    assert_string_equal(fake_log(n->h, NULL),
                        "RDLEN was written with 0x64, which is no multiple of 128");
    wr(n, E1000_RDT, 1);
    assert_string_equal(fake_log(n->h, NULL), "RDT was written while RCTL.EN is 0");
    wr(n, E1000_TDT, 1);
    assert_string_equal(fake_log(n->h, NULL), "TDT was written while TCTL.EN is 0");
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_space_is_that_of_an_82540em),
        cmocka_unit_test(registers_keep_the_bits_that_they_have),
        cmocka_unit_test(status_is_read_only),
        cmocka_unit_test(arrays_have_all_their_words),
        cmocka_unit_test(registers_of_the_82542_are_there_once_more),
        cmocka_unit_test(io_ports_reach_registers_by_address),
        cmocka_unit_test(bad_io_address_beyond_the_registers_reads_0),
        cmocka_unit_test(packet_buffer_is_divided_between_both_ways),
        cmocka_unit_test(software_reset_keeps_the_address_and_ends_all_else),
        cmocka_unit_test(d3_ends_with_a_reset),
        cmocka_unit_test(sleeping_card_is_woken_by_a_magic_packet),
        cmocka_unit_test(sleeping_card_is_woken_by_its_ip_address),
        cmocka_unit_test(statistics_are_cleared_by_reading),
        cmocka_unit_test(station_address_comes_of_the_name_without_mac),
        cmocka_unit_test(bad_group_address_is_refused),
        cmocka_unit_test(bad_machine_without_pci_is_refused),
        cmocka_unit_test(bad_backend_that_is_taken_is_refused),
        cmocka_unit_test(strict_tells_of_a_bad_ring_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
