/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_filter.c - which frames the receiver takes.
 */
#include "nic.h"

#define STATION ((const uint8_t *)"\x52\x54\x00\x12\x34\x56")
#define OTHER ((const uint8_t *)"\x52\x54\x00\x12\x34\x57")
#define BROADCAST ((const uint8_t *)"\xff\xff\xff\xff\xff\xff")
#define GROUP ((const uint8_t *)"\x01\x00\x5e\x00\x12\x34")

/* Whether a frame for `to` is received; *status is its descriptor's. */
static int takes(struct nic *n, const uint8_t *to, uint32_t *status)
{
    uint32_t at = rd(n, E1000_RDH);
    uint8_t frame[60];

    make_frame(n, frame, sizeof(frame), to);
    memset(frame + 6, 0x22, 6);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    if (status)
        *status = rx_status(n, at);
    return rd(n, E1000_RDH) != at;
}

static int takes_tagged(struct nic *n, uint32_t tag)
{
    uint32_t at = rd(n, E1000_RDH);
    uint8_t frame[64];

    make_frame(n, frame, sizeof(frame), STATION);
    frame[12] = 0x81;
    frame[13] = 0;
    frame[14] = (uint8_t)(tag >> 8);
    frame[15] = (uint8_t)tag;
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    return rd(n, E1000_RDH) != at;
}

static void station_address_is_taken_and_no_other(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    assert_true(takes(n, STATION, NULL));
    assert_false(takes(n, OTHER, NULL));
    assert_false(takes(n, GROUP, NULL));
    assert_int_equal(rd(n, E1000_GPRC), 1);
    assert_int_equal(rd(n, E1000_TPR), 3);
    nic_free(n);
}

static void every_exact_address_counts_if_it_is_valid(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    for (uint32_t i = 1; i < 16; i++) {
        uint8_t address[6] = {0x02, 0, 0, 0, 0, (uint8_t)i};

        wr(n, E1000_RA + 8 * i, 0x00000002);
        wr(n, E1000_RA + 8 * i + 4, i << 8);
        assert_false(takes(n, address, NULL));
        wr(n, E1000_RA + 8 * i + 4, RAH_AV | i << 8);
        assert_true(takes(n, address, NULL));
    }
    nic_free(n);
}

static void exact_address_can_be_the_sender(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RA + 8, 0x22222222);
    wr(n, E1000_RA + 12, RAH_AV | 1u << 16 | 0x2222);
    assert_true(takes(n, OTHER, NULL));
    nic_free(n);
}

static void broadcast_needs_bam(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    assert_true(takes(n, BROADCAST, NULL));
    wr(n, E1000_RCTL, RCTL_EN);
    assert_false(takes(n, BROADCAST, NULL));
    nic_free(n);
}

static void promiscuous_modes_take_their_kind(void **state)
{
    struct nic *n = nic_started();
    uint32_t status;

    (void)state;
    wr(n, E1000_RCTL, RCTL_EN | RCTL_UPE);
    assert_true(takes(n, OTHER, &status));
    assert_true(status & RX_PIF);
    assert_false(takes(n, GROUP, NULL));
    wr(n, E1000_RCTL, RCTL_EN | RCTL_MPE);
    assert_false(takes(n, OTHER, NULL));
    assert_true(takes(n, GROUP, NULL));
    assert_true(takes(n, BROADCAST, NULL));
    assert_true(takes(n, STATION, &status));
    assert_false(status & RX_PIF);
    nic_free(n);
}

static void multicast_hash_has_four_offsets(void **state)
{
    /* Bits 47:36, 46:35, 45:34 and 43:32 of 01:00:5e:00:12:34. */
    static const uint16_t hashes[] = {0x341, 0x682, 0xd04, 0x412};
    struct nic *n = nic_started();
    uint32_t status;

    (void)state;
    for (uint32_t mo = 0; mo < 4; mo++) {
        uint32_t hash = hashes[mo];

        wr(n, E1000_RCTL, RCTL_EN | mo << RCTL_MO_SHIFT);
        assert_false(takes(n, GROUP, NULL));
        wr(n, E1000_MTA + 4 * (hash >> 5), 1u << (hash & 31));
        assert_true(takes(n, GROUP, &status));
        assert_true(status & RX_PIF);
        wr(n, E1000_MTA + 4 * (hash >> 5), 0);
    }
    nic_free(n);
}

static void vlan_table_lets_its_members_pass(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    assert_true(takes_tagged(n, 100));
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_VFE);
    assert_false(takes_tagged(n, 100));
    wr(n, E1000_VFTA + 4 * (100 / 32), 1u << 100 % 32);
    assert_true(takes_tagged(n, 100));
    assert_true(takes_tagged(n, 0xe000 | 100)); /* priority is no part of it */
    assert_false(takes_tagged(n, 101));
    assert_true(takes(n, STATION, NULL)); /* frames without a tag always do */
    nic_free(n);
}

static void canonical_form_is_filtered_with_cfien(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_VFTA, 2);
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_VFE | RCTL_CFIEN);
    assert_true(takes_tagged(n, 0x0001));
    assert_false(takes_tagged(n, 0x1001));
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_CFI);
    assert_false(takes_tagged(n, 0x0001));
    assert_true(takes_tagged(n, 0x1001));
    nic_free(n);
}

static void tag_is_what_vet_says(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_VET, 0x88a8);
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_VFE);
    assert_true(takes_tagged(n, 100)); /* 0x8100 is any type now */
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(station_address_is_taken_and_no_other),
        cmocka_unit_test(every_exact_address_counts_if_it_is_valid),
        cmocka_unit_test(exact_address_can_be_the_sender),
        cmocka_unit_test(broadcast_needs_bam),
        cmocka_unit_test(promiscuous_modes_take_their_kind),
        cmocka_unit_test(multicast_hash_has_four_offsets),
        cmocka_unit_test(vlan_table_lets_its_members_pass),
        cmocka_unit_test(canonical_form_is_filtered_with_cfien),
        cmocka_unit_test(tag_is_what_vet_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
