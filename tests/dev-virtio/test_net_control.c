/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_net_control.c - the network device's control queue: filters, addresses, pairs of
 * queues; its link, and its announcement after it has moved.
 */
#include "net_fixture.h"

#define CTRL_FEATURES                                                                              \
    (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |         \
     BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA))

static uint8_t control(struct rig *r, uint8_t class, uint8_t command, const void *data,
                       uint32_t len)
{
    const struct rig_buffer b[] = {
        {RIG_DATA, 2, 0}, {RIG_DATA + 16, len, 0}, {RIG_DATA + 4096, 1, 1}};
    const struct rig_buffer plain[] = {b[0], b[2]};

    rig_ram(r, RIG_DATA)[0] = class;
    rig_ram(r, RIG_DATA)[1] = command;
    memcpy(rig_ram(r, RIG_DATA + 16), data, len);
    *rig_ram(r, RIG_DATA + 4096) = 0xee;
    rig_do(r, CTRL, len ? b : plain, len ? 3 : 2);
    return *rig_ram(r, RIG_DATA + 4096);
}

static int arrives(struct rig *r, const uint8_t *destination, uint32_t vlan)
{
    uint8_t frame[64];
    int ret;

    fill(frame, sizeof(frame));
    memcpy(frame, destination, 6);
    if (vlan) {
        bp_put_be16(frame + 12, 0x8100);
        bp_put_be16(frame + 14, vlan);
    }
    give_buffer(r, 1526);
    ret = fake_net_give(wire, 0, frame, sizeof(frame), NULL);
    bp_put_be16(frame + 12, 0x88b5);
    if (ret) /* takes the buffer away again */
        assert_int_equal(fake_net_give(wire, 0, memcpy(frame, config.mac, 6), 60, NULL), 0);
    assert_true(rig_used(r, RX, NULL, NULL));
    return !ret;
}

static void the_filter_takes_what_the_driver_asked_for(void **state)
{
    static const uint8_t on = 1, off = 0, other[6] = {2, 0, 0, 0, 0, 9},
                         all[6] = {255, 255, 255, 255, 255, 255}, group[6] = {1, 0, 0x5e, 0, 0, 1};
    struct rig *r = *state;
    uint8_t table[8 + 12] = {1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1};

    rig_start(r, CTRL_FEATURES & ~BIT(VIRTIO_NET_F_CTRL_VLAN), 3);
    assert_true(arrives(r, mac, 0));
    assert_true(arrives(r, all, 0));
    assert_false(arrives(r, other, 0));
    assert_false(arrives(r, group, 0));
    assert_int_equal(control(r, 0, 0, &on, 1), 0); /* promiscuous */
    assert_true(arrives(r, other, 0));
    assert_int_equal(control(r, 0, 0, &off, 1), 0);
    assert_int_equal(control(r, 0, 1, &on, 1), 0); /* all multicast */
    assert_true(arrives(r, group, 0));
    assert_int_equal(control(r, 0, 1, &off, 1), 0);
    assert_int_equal(control(r, 1, 0, table, sizeof(table)), 0);
    assert_true(arrives(r, other, 0));
    assert_true(arrives(r, group, 0));
    assert_int_equal(control(r, 0, 5, &on, 1), 0); /* no broadcast */
    assert_false(arrives(r, all, 0));
}

static void vlans_are_filtered(void **state)
{
    struct rig *r = *state;
    const uint8_t vid[2] = {0x23, 1};

    rig_start(r, CTRL_FEATURES, 3);
    assert_false(arrives(r, mac, 0x123));
    assert_true(arrives(r, mac, 0));
    assert_int_equal(control(r, 2, 0, vid, 2), 0);
    assert_true(arrives(r, mac, 0x123));
    assert_false(arrives(r, mac, 0x124));
    assert_int_equal(control(r, 2, 1, vid, 2), 0);
    assert_false(arrives(r, mac, 0x123));
}

static void the_driver_sets_its_address(void **state)
{
    static const uint8_t other[6] = {2, 0, 0, 0, 0, 9};
    struct rig *r = *state;

    rig_start(r, CTRL_FEATURES, 3);
    assert_int_equal(control(r, 1, 1, other, 6), 0);
    assert_true(arrives(r, other, 0));
    assert_int_equal(rig_config(r, 4, 2), 0x0900);
    rig_set_status(r, 0);
    assert_int_equal(rig_config(r, 0, 4), 0x01005452);
}

static void commands_that_are_wrong_are_refused(void **state)
{
    struct rig *r = *state;
    uint8_t data[64] = {0xff, 0xff, 0xff, 0xff};

    rig_start(r, CTRL_FEATURES, 3);
    for (uint32_t class = 0; class < 8; class ++)
        for (uint32_t command = 0; command < 256; command += command < 8 ? 1 : 31)
            assert_int_equal(control(r, (uint8_t) class, (uint8_t)command, data, 5), 1);
    assert_int_equal(control(r, 1, 0, data, 64), 1); /* 2^32 - 1 addresses */
    assert_int_equal(control(r, 2, 0, data, 2), 1);  /* VLAN 65535 */
    works(r);
}

static void the_link_goes_up_and_down(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_NET_F_STATUS), 2);
    assert_int_equal(rig_config(r, NET_status, 2), NET_S_LINK_UP);
    wire->port->link(wire->port_self, 0);
    assert_true(rig_config_interrupted(r));
    assert_int_equal(rig_config(r, NET_status, 2), 0);
    wire->port->link(wire->port_self, 0);
    assert_false(rig_config_interrupted(r));
}

/* Of four that there are. */
static void set_pairs(struct rig *r, uint16_t pairs)
{
    static const struct rig_buffer b[] = {
        {RIG_DATA, 2, 0}, {RIG_DATA + 16, 2, 0}, {RIG_DATA + 4096, 1, 1}};

    rig_ram(r, RIG_DATA)[0] = 4;
    rig_ram(r, RIG_DATA)[1] = 0;
    bp_put_le16(rig_ram(r, RIG_DATA + 16), pairs);
    *rig_ram(r, RIG_DATA + 4096) = 0xee;
    rig_do(r, 8, b, 3);
    assert_int_equal(*rig_ram(r, RIG_DATA + 4096), 0);
}

static void every_pair_of_queues_works(void **state)
{
    const struct rig_kind *kind = *state;
    uint8_t frame[100];
    struct rig *r;

    wire = fake_net_new();
    config = (struct net_config){.queues = 4};
    r = make(kind);
    assert_int_equal(rig_config(r, NET_max_virtqueue_pairs, 2), 4);
    rig_start(r, CTRL_FEATURES | BIT(VIRTIO_NET_F_MQ), 9);
    set_pairs(r, 3);
    assert_int_equal(wire->queues, 3);
    for (uint32_t p = 0; p < 3; p++) {
        const struct rig_buffer tx[] = {{RIG_DATA, 12, 0}, {FRAME, 60, 0}};
        const struct rig_buffer rx = {RXBUF, 1000, 1};

        clear_header(r);
        fill(rig_ram(r, FRAME), 60);
        rig_do(r, 2 * p + 1, tx, 2);
        assert_int_equal(wire->sent[p].queue, p);
        fill(frame, sizeof(frame));
        memset(frame, 0xff, 6);
        rig_add(r, 2 * p, &rx, 1);
        assert_int_equal(fake_net_give(wire, p, frame, sizeof(frame), NULL), 0);
        assert_true(rig_used(r, 2 * p, NULL, NULL));
        assert_true(rig_interrupted(r, 2 * p));
    }
    { /* the fourth pair is not in use: nothing reaches the network */
        const struct rig_buffer tx[] = {{RIG_DATA, 12, 0}, {FRAME, 60, 0}};

        rig_do(r, 7, tx, 2);
        assert_int_equal(wire->count, 3);
    }
    rig_free(r);
    fake_net_free(wire);
}

/* The backend forgets that it owes sent() for a queue that is not in use any more. */
static void a_frame_that_waits_goes_with_its_pair(void **state)
{
    const struct rig_buffer tx[] = {{RIG_DATA + 64, 12, 0}, {FRAME, 60, 0}};
    const struct rig_kind *kind = *state;
    struct rig *r;

    wire = fake_net_new();
    config = (struct net_config){.queues = 4};
    r = make(kind);
    rig_start(r, CTRL_FEATURES | BIT(VIRTIO_NET_F_MQ), 9);
    set_pairs(r, 2);
    fill(rig_ram(r, FRAME), 60);
    memset(rig_ram(r, RIG_DATA + 64), 0, 12);
    wire->room = 0;
    rig_add(r, 3, tx, 2);
    rig_notify(r, 3);
    fake_advance_ns(r->host, 0);
    assert_false(rig_used(r, 3, NULL, NULL));
    set_pairs(r, 1);
    fake_advance_ns(r->host, 0);
    assert_true(rig_used(r, 3, NULL, NULL));
    set_pairs(r, 2);
    wire->room = 1;
    rig_do(r, 3, tx, 2);
    assert_int_equal(wire->count, 1);
    rig_free(r);
    fake_net_free(wire);
}

static void state_moves_and_the_guest_announces_itself(void **state)
{
    struct rig *r = *state;
    struct net_config other = config;
    struct fake_net *first = wire, *second = fake_net_new();
    struct rig *to;

    other.net = fake_peer(BP_NET_ID, &fake_net_ops, second);
    to = rig_new("net", &other, &r->kind);
    rig_start(r, CTRL_FEATURES | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_STATUS), 3);
    works(r);
    memcpy(fake_ram(to->host), fake_ram(r->host), FAKE_RAM_BYTES);
    memcpy(to->queues, r->queues, sizeof(to->queues));
    fake_move_state(r->host, to->host);
    wire = second;
    assert_int_equal(rig_config(to, NET_status, 2), NET_S_LINK_UP | NET_S_ANNOUNCE);
    assert_int_equal(control(to, 3, 0, "", 0), 0);
    assert_int_equal(rig_config(to, NET_status, 2), NET_S_LINK_UP);
    works(to);
    rig_free(to);
    fake_net_free(second);
    wire = first;
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(the_filter_takes_what_the_driver_asked_for, setup, teardown),
    RIG_EACH(vlans_are_filtered, setup, teardown),
    RIG_EACH(the_driver_sets_its_address, setup, teardown),
    RIG_EACH(commands_that_are_wrong_are_refused, setup, teardown),
    RIG_EACH(the_link_goes_up_and_down, setup, teardown),
    RIG_EACH(every_pair_of_queues_works, NULL, NULL),
    RIG_EACH(a_frame_that_waits_goes_with_its_pair, NULL, NULL),
    RIG_EACH(state_moves_and_the_guest_announces_itself, setup, teardown),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
