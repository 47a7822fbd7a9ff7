/* SPDX-License-Identifier: MIT
 *
 * net-hub as built, between fake adapters, fake networks and a fake host: who gets which frame,
 * what becomes of offloads, slow ports, links that go, and floods of addresses.
 */
#include "net_hub.h"

#include "fakes/net.h"

#include <backplane/util/offload.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HDR_NEEDS_CSUM 1u
#define ADAPTERS 3u

static const struct hub_config plain = {.depth = 64, .addresses = 64, .ageing = 300, .learn = 1};

/* A switch with three adapters, and a network behind it unless `can` is UINT32_MAX. */
struct rig {
    struct hub_config config;
    struct bp_node *nets[1];
    struct fake_net *net;
    struct fake_nic *nics[ADAPTERS];
};

static void rig_init(struct rig *r, const struct hub_config *config, uint32_t can)
{
    memset(r, 0, sizeof(*r));
    r->config = *config;
    if (can != UINT32_MAX) {
        r->net = fake_net_new();
        r->net->can = can;
        r->nets[0] = r->net->node;
        r->config.net = (struct bp_list){r->nets, 1};
    }
    r->nics[0] = fake_nic_new(fake_host_new(PLUGIN_FILE, NULL, &r->config));
    for (uint32_t i = 1; i < ADAPTERS; i++)
        r->nics[i] = fake_nic_beside(r->nics[0]);
}

static void rig_end(struct rig *r)
{
    for (uint32_t i = ADAPTERS; i-- > 0;)
        fake_nic_free(r->nics[i]);
    fake_net_free(r->net);
}

/* A frame from station `from` to station `to`; 0xff: to all. */
static void send_from(struct fake_nic *n, uint8_t from, uint8_t to)
{
    uint8_t data[64] = {0x02, 0, 0, 0, 0, to, 0x02, 0, 0, 0, 0, from, 0x88, 0xb5};

    if (to == 0xff)
        memset(data, 0xff, 6);
    assert_int_equal(fake_nic_send(n, 0, data, sizeof(data)), 1);
    fake_nic_turn(n, 0);
}

static void frames_go_to_all_but_the_sender_until_the_station_is_known(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, &plain, 0);
    send_from(r.nics[0], 1, 2);
    assert_int_equal(r.nics[0]->got.count, 0);
    assert_int_equal(r.nics[1]->got.count, 1);
    assert_int_equal(r.nics[2]->got.count, 1);
    assert_int_equal(r.net->sent.count, 1);
    send_from(r.nics[1], 2, 1); /* 1 is known, and 2 from now on */
    assert_int_equal(r.nics[0]->got.count, 1);
    assert_int_equal(r.nics[2]->got.count, 1);
    assert_int_equal(r.net->sent.count, 1);
    send_from(r.nics[0], 1, 2);
    assert_int_equal(r.nics[1]->got.count, 2);
    assert_int_equal(r.nics[2]->got.count, 1);
    fake_nic_expect_quiet(r.nics[0]);
    rig_end(&r);
}

static void broadcast_and_multicast_go_to_all(void **state)
{
    uint8_t group[64] = {0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 1};
    struct rig r;

    (void)state;
    rig_init(&r, &plain, 0);
    send_from(r.nics[0], 1, 0xff);
    fake_nic_send(r.nics[0], 0, group, sizeof(group));
    fake_nic_turn(r.nics[0], 0);
    for (uint32_t i = 1; i < ADAPTERS; i++)
        assert_int_equal(r.nics[i]->got.count, 2);
    assert_int_equal(r.net->sent.count, 2);
    assert_memory_equal(r.nics[2]->got.frames[1].data, group, sizeof(group));
    rig_end(&r);
}

static void the_network_behind_reaches_the_station_and_no_other(void **state)
{
    uint8_t data[60] = {0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 9};
    struct rig r;

    (void)state;
    rig_init(&r, &plain, 0);
    send_from(r.nics[1], 2, 0xff);
    assert_int_equal(fake_net_deliver(r.net, 0, data, sizeof(data)), 0);
    fake_nic_turn(r.nics[0], 0);
    assert_int_equal(r.nics[1]->got.count, 1);
    assert_int_equal(r.nics[2]->got.count, 1); /* the broadcast */
    send_from(r.nics[2], 3, 9);
    assert_int_equal(r.net->sent.count, 2);
    assert_int_equal(r.nics[1]->got.count, 1);
    rig_end(&r);
}

static void a_station_that_moves_is_followed(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, &plain, UINT32_MAX);
    send_from(r.nics[0], 1, 0xff);
    send_from(r.nics[1], 1, 0xff);
    send_from(r.nics[2], 3, 1);
    assert_int_equal(r.nics[0]->got.count, 1); /* the second broadcast */
    assert_int_equal(r.nics[1]->got.count, 2);
    /* To a station at the port that the frame comes from: nobody else hears it. */
    send_from(r.nics[1], 4, 1);
    assert_int_equal(r.nics[0]->got.count, 1);
    assert_int_equal(r.nics[1]->got.count, 2);
    assert_int_equal(r.nics[2]->got.count, 2);
    rig_end(&r);
}

static void a_station_that_is_silent_is_forgotten(void **state)
{
    struct hub_config config = plain;
    struct rig r;

    (void)state;
    config.ageing = 10;
    rig_init(&r, &config, UINT32_MAX);
    send_from(r.nics[0], 1, 0xff);
    fake_advance_ns(r.nics[0]->host, UINT64_C(10000000000));
    send_from(r.nics[1], 2, 1);
    assert_int_equal(r.nics[2]->got.count, 1);
    fake_advance_ns(r.nics[0]->host, 1);
    send_from(r.nics[1], 2, 1);
    assert_int_equal(r.nics[2]->got.count, 2);
    rig_end(&r);
}

static void without_learning_everybody_hears_everything(void **state)
{
    struct hub_config config = plain;
    struct rig r;

    (void)state;
    config.learn = 0;
    rig_init(&r, &config, UINT32_MAX);
    send_from(r.nics[0], 1, 2);
    send_from(r.nics[1], 2, 1);
    assert_int_equal(r.nics[2]->got.count, 2);
    rig_end(&r);
}

static void frames_for_switches_and_malformed_ones_go_nowhere(void **state)
{
    uint8_t data[60] = {0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x02, 0, 0, 0, 0, 1};
    struct rig r;

    (void)state;
    rig_init(&r, &plain, 0);
    assert_int_equal(fake_nic_send(r.nics[0], 0, data, sizeof(data)), 1);
    data[5] = 0x10; /* no longer one of them */
    assert_int_equal(fake_nic_send(r.nics[0], 0, data, 13), 1);
    fake_nic_turn(r.nics[0], 0);
    assert_int_equal(r.net->sent.count + r.nics[1]->got.count, 0);
    assert_int_equal(fake_nic_send(r.nics[0], 0, data, sizeof(data)), 1);
    fake_nic_turn(r.nics[0], 0);
    assert_int_equal(r.net->sent.count, 1);
    rig_end(&r);
}

static void a_slow_port_loses_its_own_frames_and_holds_nobody(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, &plain, 0);
    r.nics[1]->room[0] = 0;
    for (uint32_t i = 0; i < 100; i++)
        send_from(r.nics[0], 1, 0xff);
    assert_int_equal(r.nics[1]->got.count, 0);
    assert_int_equal(r.nics[1]->refused, 1);
    assert_int_equal(r.nics[2]->got.count, 100);
    assert_int_equal(r.net->sent.count, 100);
    fake_nic_expect_quiet(r.nics[0]);
    fake_nic_resume(r.nics[1], 0, FAKE_NET_ANY);
    assert_int_equal(r.nics[1]->got.count, 0); /* not from inside resume() */
    FAKE_NIC_WAIT(r.nics[0], r.nics[1]->got.count == plain.depth);
    fake_nic_expect_quiet(r.nics[0]);
    assert_int_equal(r.nics[1]->unwanted, 0);
    assert_int_equal(r.nics[1]->got.count, plain.depth);
    rig_end(&r);
}

static void a_slow_network_loses_its_own_frames_and_holds_nobody(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, &plain, 0);
    r.net->room = 5;
    for (uint32_t i = 0; i < 100; i++)
        send_from(r.nics[0], 1, 0xff);
    assert_int_equal(r.net->sent.count, 5);
    assert_int_equal(r.nics[1]->got.count, 100);
    fake_nic_expect_quiet(r.nics[0]);
    fake_net_sent(r.net, 0, FAKE_NET_ANY);
    FAKE_NIC_WAIT(r.nics[0], r.net->sent.count == 5 + plain.depth);
    fake_nic_expect_quiet(r.nics[0]);
    rig_end(&r);
}

static void a_network_whose_link_is_down_gets_nothing_and_its_stations_are_forgotten(void **state)
{
    uint8_t data[60] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 9};
    struct rig r;

    (void)state;
    rig_init(&r, &plain, 0);
    send_from(r.nics[0], 1, 0xff);
    fake_net_deliver(r.net, 0, data, sizeof(data)); /* 9 is there */
    fake_nic_turn(r.nics[0], 0);
    fake_net_link(r.net, 0);
    send_from(r.nics[0], 1, 9);
    assert_int_equal(r.net->sent.count, 1);
    assert_int_equal(r.nics[1]->got.count, 2); /* as to an unknown station */
    assert_int_equal(r.nics[1]->links, 0);     /* the switch itself is up */
    fake_net_link(r.net, 1);
    send_from(r.nics[0], 1, 0xff);
    assert_int_equal(r.net->sent.count, 2);
    rig_end(&r);
}

/* A TCP packet with `payload` bytes, whose checksum is to be filled in. */
static uint32_t tcp_packet(uint8_t *f, uint32_t payload)
{
    static const uint8_t addresses[8] = {10, 0, 0, 1, 10, 0, 0, 2};
    uint32_t len = 54 + payload;

    memset(f, 0, 54);
    memset(f, 0xff, 6);
    f[6] = 2;
    f[11] = 1;
    f[12] = 8;
    f[14] = 0x45;
    bp_put_be16(f + 16, len - 14);
    f[22] = 64;
    f[23] = 6;
    for (uint32_t i = 0; i < 8; i++)
        f[26 + i] = addresses[i];
    bp_put_be16(f + 24, ~bp_sum(f + 14, 20, 0) & 0xffffu);
    f[46] = 0x50;
    f[47] = 0x18; /* ACK, PSH */
    for (uint32_t i = 0; i < payload; i++)
        f[54 + i] = (uint8_t)(i * 13 + i / 251);
    bp_put_be16(f + 50, bp_sum(f + 26, 8, 6 + 20 + payload));
    return len;
}

static int is_complete(const struct fake_frame *f)
{
    uint32_t tcp = f->len - 34;

    return !f->header.flags && !f->header.gso_type && bp_sum(f->data + 14, 20, 0) == 0xffff &&
           bp_sum(f->data + 34, tcp, bp_sum(f->data + 26, 8, 6 + tcp)) == 0xffff;
}

static void offloads_pass_to_who_takes_them_and_are_done_for_who_does_not(void **state)
{
    static uint8_t data[9054];
    struct bp_buf buf = {data, tcp_packet(data, 9000)};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = HDR_NEEDS_CSUM,
                             .gso_type = BP_GSO_TCPV4,
                             .hdr_len = 54,
                             .gso_size = 1460,
                             .csum_start = 34,
                             .csum_offset = 16};
    uint32_t at = 0;
    struct rig r;

    (void)state;
    rig_init(&r, &plain, BP_NET_OFFLOAD_CSUM);
    assert_int_equal(r.net->offloads, BP_NET_OFFLOAD_CSUM);
    assert_int_equal(r.nics[0]->ops->offloads(r.nics[0]->self),
                     BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6);
    assert_int_equal(
        r.nics[1]->ops->set_offloads(r.nics[1]->self, BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4),
        0);
    assert_int_equal(r.nics[1]->ops->set_offloads(r.nics[1]->self, BP_NET_OFFLOAD_UFO), -EINVAL);
    assert_int_equal(fake_nic_send_frames(r.nics[0], 0, &frame, 1), 1);
    fake_nic_turn(r.nics[0], 0);
    /* In one piece for who takes it so, with all that is said of it. */
    assert_int_equal(r.nics[1]->got.count, 1);
    assert_int_equal(r.nics[1]->got.frames[0].header.gso_size, 1460);
    assert_int_equal(r.nics[1]->got.frames[0].header.csum_start, 34);
    assert_memory_equal(r.nics[1]->got.frames[0].data, data, buf.len);
    /* Cut for the others, whether or not they take checksums. */
    assert_int_equal(r.nics[2]->got.count, 7);
    assert_int_equal(r.net->sent.count, 7);
    for (uint32_t i = 0; i < 7; i++) {
        const struct fake_frame *f = &r.nics[2]->got.frames[i];

        assert_true(f->len <= 1514);
        assert_true(is_complete(f));
        assert_memory_equal(f->data + 54, data + 54 + at, f->len - 54);
        at += f->len - 54;
    }
    assert_int_equal(at, 9000);
    /* Headers that do not say what the sender says. */
    frame.csum_start = 38;
    fake_nic_send_frames(r.nics[0], 0, &frame, 1);
    frame.gso_type = 0;
    frame.csum_start = 0xffff;
    fake_nic_send_frames(r.nics[0], 0, &frame, 1);
    fake_nic_turn(r.nics[0], 0);
    assert_int_equal(r.nics[2]->got.count, 7);
    rig_end(&r);
}

static void a_checksum_alone_is_filled_in(void **state)
{
    static uint8_t data[200];
    struct bp_buf buf = {data, tcp_packet(data, 100)};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = HDR_NEEDS_CSUM,
                             .csum_start = 34,
                             .csum_offset = 16};
    struct rig r;

    (void)state;
    rig_init(&r, &plain, BP_NET_OFFLOAD_CSUM);
    fake_nic_send_frames(r.nics[0], 0, &frame, 1);
    fake_nic_turn(r.nics[0], 0);
    assert_true(is_complete(&r.nics[1]->got.frames[0]));
    assert_int_equal(r.net->sent.frames[0].header.flags, HDR_NEEDS_CSUM);
    rig_end(&r);
}

static void what_an_adapter_takes_no_longer_is_lost(void **state)
{
    static uint8_t data[200];
    struct bp_buf buf = {data, tcp_packet(data, 100)};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = HDR_NEEDS_CSUM,
                             .csum_start = 34,
                             .csum_offset = 16};
    struct rig r;

    (void)state;
    rig_init(&r, &plain, UINT32_MAX);
    r.nics[1]->ops->set_offloads(r.nics[1]->self, BP_NET_OFFLOAD_CSUM);
    fake_nic_send_frames(r.nics[0], 0, &frame, 1);
    r.nics[1]->ops->set_offloads(r.nics[1]->self, 0); /* while it waits */
    fake_nic_turn(r.nics[0], 0);
    assert_int_equal(r.nics[1]->got.count, 0);
    assert_int_equal(r.nics[2]->got.count, 1);
    rig_end(&r);
}

/* Sends `count` broadcasts of made-up stations. */
static void flood(struct fake_nic *n, uint32_t count)
{
    uint8_t data[60];

    for (uint32_t i = 0; i < count; i++) {
        memset(data, 0, sizeof(data));
        memset(data, 0xff, 6);
        data[6] = 0x06;
        memcpy(data + 8, &i, sizeof(i));
        fake_nic_send(n, 0, data, sizeof(data));
        if (i % 32 == 0)
            fake_nic_turn(n, 0);
    }
}

static void made_up_stations_do_not_displace_those_of_others(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, &plain, UINT32_MAX);
    send_from(r.nics[0], 1, 0xff);
    send_from(r.nics[1], 2, 0xff);
    r.nics[0]->error = r.nics[1]->error = -EIO; /* nobody wants to hear this */
    flood(r.nics[2], 100000);
    fake_nic_turn(r.nics[0], 0);
    r.nics[0]->error = r.nics[1]->error = 0;
    while (r.nics[2]->got.count)
        fake_frames_clear(&r.nics[2]->got);
    fake_nic_expect_quiet(r.nics[0]);
    send_from(r.nics[0], 1, 2);
    assert_int_equal(r.nics[2]->got.count, 0); /* 2 is still known */
    send_from(r.nics[1], 3, 0xff);             /* and who comes later finds room */
    fake_frames_clear(&r.nics[2]->got);
    send_from(r.nics[0], 1, 3);
    assert_int_equal(r.nics[2]->got.count, 0);
    rig_end(&r);
}

static void reset_forgets_stations_frames_and_what_adapters_set(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, &plain, BP_NET_OFFLOAD_CSUM);
    send_from(r.nics[1], 2, 0xff);
    r.nics[1]->room[0] = 0;
    send_from(r.nics[0], 1, 2);
    fake_ops(r.nics[0]->host)->stop(fake_self(r.nics[0]->host));
    fake_ops(r.nics[0]->host)->reset(fake_self(r.nics[0]->host), BP_RESET_WARM);
    fake_ops(r.nics[0]->host)->start(fake_self(r.nics[0]->host));
    r.nics[1]->room[0] = FAKE_NET_ANY;
    r.nics[1]->held[0] = 0;
    fake_frames_clear(&r.nics[2]->got);
    fake_nic_expect_quiet(r.nics[0]);
    assert_int_equal(r.nics[1]->got.count, 0);
    send_from(r.nics[0], 1, 2);
    assert_int_equal(r.nics[2]->got.count, 1);
    assert_int_equal(r.net->offloads, BP_NET_OFFLOAD_CSUM);
    rig_end(&r);
}

static void an_adapter_has_one_queue_and_one_port(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, &plain, UINT32_MAX);
    assert_int_equal(r.nics[0]->ops->set_queues(r.nics[0]->self, 1), 0);
    assert_int_equal(r.nics[0]->ops->set_queues(r.nics[0]->self, 2), -EINVAL);
    assert_ptr_not_equal(r.nics[0]->self, r.nics[1]->self);
    assert_ptr_equal(r.nics[0]->self, fake_self(r.nics[0]->host)); /* hosts without port() */
    rig_end(&r);
}

static void bad_too_many_adapters_are_told(void **state)
{
    struct fake_nic *nics[HUB_ADAPTERS_MAX];
    struct hub_config config = plain;
    static const struct bp_net_port port = {.size = sizeof(port)};
    int other;

    (void)state;
    nics[0] = fake_nic_new(fake_host_new(PLUGIN_FILE, NULL, &config));
    for (uint32_t i = 1; i < HUB_ADAPTERS_MAX; i++)
        nics[i] = fake_nic_beside(nics[0]);
    fake_ops(nics[0]->host)->stop(fake_self(nics[0]->host));
    assert_int_equal(nics[0]->ops->attach(fake_self(nics[0]->host), &port, &other), -EBUSY);
    assert_non_null(strstr(fake_failure(), "more than 48 adapters"));
    for (uint32_t i = HUB_ADAPTERS_MAX; i-- > 0;)
        fake_nic_free(nics[i]);
}

static void bad_too_many_networks_are_told(void **state)
{
    struct bp_node *nets[HUB_NETS_MAX + 1] = {0};
    struct hub_config config = plain;
    struct fake_host *host;

    (void)state;
    config.net = (struct bp_list){nets, HUB_NETS_MAX + 1};
    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, &config, &host), -EINVAL);
    assert_string_equal(fake_failure(), "`net` names 17 networks; there can be 16");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_go_to_all_but_the_sender_until_the_station_is_known),
        cmocka_unit_test(broadcast_and_multicast_go_to_all),
        cmocka_unit_test(the_network_behind_reaches_the_station_and_no_other),
        cmocka_unit_test(a_station_that_moves_is_followed),
        cmocka_unit_test(a_station_that_is_silent_is_forgotten),
        cmocka_unit_test(without_learning_everybody_hears_everything),
        cmocka_unit_test(frames_for_switches_and_malformed_ones_go_nowhere),
        cmocka_unit_test(a_slow_port_loses_its_own_frames_and_holds_nobody),
        cmocka_unit_test(a_slow_network_loses_its_own_frames_and_holds_nobody),
        cmocka_unit_test(a_network_whose_link_is_down_gets_nothing_and_its_stations_are_forgotten),
        cmocka_unit_test(offloads_pass_to_who_takes_them_and_are_done_for_who_does_not),
        cmocka_unit_test(a_checksum_alone_is_filled_in),
        cmocka_unit_test(what_an_adapter_takes_no_longer_is_lost),
        cmocka_unit_test(made_up_stations_do_not_displace_those_of_others),
        cmocka_unit_test(reset_forgets_stations_frames_and_what_adapters_set),
        cmocka_unit_test(an_adapter_has_one_queue_and_one_port),
        cmocka_unit_test(bad_too_many_adapters_are_told),
        cmocka_unit_test(bad_too_many_networks_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
