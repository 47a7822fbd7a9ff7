/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_net_offload.c - checksums and large packets through the network device: done
 * there, or left to a network that takes them; headers that are wrong.
 */
#include "net_fixture.h"

#define TCP_HEADERS 54u

/* A wire that takes and gives unfinished frames. */
static int setup_offloading(void **state)
{
    wire = fake_net_new();
    wire->offloads = wire->can = 15;
    config = (struct net_config){.queues = 1, .offloads = 1};
    memcpy(config.mac, mac, 6);
    *state = make(*state);
    return 0;
}

/* An Ethernet, IPv4 and TCP packet with `payload` bytes whose checksum holds the pseudo header's
 * sum, and the virtio header that asks for it. */
static uint32_t make_tcp(struct rig *r, uint32_t payload, uint16_t mss)
{
    uint8_t *f = rig_ram(r, FRAME), *h = rig_ram(r, RIG_DATA);
    uint32_t len = TCP_HEADERS + payload;

    memset(f, 0, TCP_HEADERS);
    memcpy(f, mac, 6);
    bp_put_be16(f + 12, 0x0800);
    f[14] = 0x45;
    bp_put_be16(f + 16, len - 14);
    bp_put_be16(f + 18, 0x1000);
    f[22] = 64;
    f[23] = 6;
    f[26] = f[30] = 10;
    f[29] = 1;
    f[33] = 2;
    f[34 + 7] = 100; /* sequence */
    f[46] = 0x50;
    f[47] = 0x19; /* ACK, PSH, FIN */
    for (uint32_t i = 0; i < payload; i++)
        f[TCP_HEADERS + i] = (uint8_t)(i * 31 + i / 253);
    bp_put_be16(f + 50, bp_sum(f + 26, 8, 6 + 20 + payload));
    memset(h, 0, 12);
    h[HDR_flags] = HDR_F_NEEDS_CSUM;
    h[HDR_gso_type] = mss ? BP_GSO_TCPV4 : BP_GSO_NONE;
    bp_put_le16(h + HDR_hdr_len, TCP_HEADERS);
    bp_put_le16(h + HDR_gso_size, mss);
    bp_put_le16(h + HDR_csum_start, 34);
    bp_put_le16(h + HDR_csum_offset, 16);
    return len;
}

/* Are a TCP frame's checksums those of its content? */
static int is_sound(const uint8_t *f, uint32_t len)
{
    uint32_t tcp = len - 34;

    return bp_sum(f + 14, 20, 0) == 0xffff &&
           bp_sum(f + 34, tcp, bp_sum(f + 26, 8, 6 + tcp)) == 0xffff && bp_be16(f + 16) == len - 14;
}

static void a_checksum_is_filled_in(void **state)
{
    struct rig *r = *state;
    uint32_t len = 0;

    rig_start(r, BIT(VIRTIO_NET_F_CSUM), 2);
    len = make_tcp(r, 333, 0);
    bp_put_be16(rig_ram(r, FRAME + 24), ~bp_sum(rig_ram(r, FRAME + 14), 20, 0) & 0xffff);
    transmit(r, len);
    assert_int_equal(wire->count, 1);
    assert_true(is_sound(wire->sent[0].data, len));
    assert_int_equal(wire->sent[0].frame.flags, 0);
}

static void a_large_packet_is_cut(void **state)
{
    struct rig *r = *state;
    uint32_t len, at = 0;

    rig_start(r, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 2);
    len = make_tcp(r, 10000, 1448);
    wire->room = 3; /* and the rest when the wire has room again */
    transmit(r, len);
    assert_int_equal(wire->count, 3);
    assert_false(rig_used(r, TX, NULL, NULL));
    wire->room = 100;
    wire->port->sent(wire->port_self, 0);
    assert_true(rig_used(r, TX, NULL, NULL));
    assert_int_equal(wire->count, 7);
    for (uint32_t i = 0; i < 7; i++) {
        const struct fake_net_frame *s = &wire->sent[i];

        assert_true(is_sound(s->data, s->len));
        assert_int_equal(bp_be32(s->data + 38), 100 + at);
        assert_int_equal(bp_be16(s->data + 18), 0x1000 + i);
        assert_int_equal(s->data[47], i == 6 ? 0x19 : 0x10);
        assert_memory_equal(s->data + TCP_HEADERS, rig_ram(r, FRAME + TCP_HEADERS + at),
                            s->len - TCP_HEADERS);
        at += s->len - TCP_HEADERS;
    }
    assert_int_equal(at, 10000);
    works(r);
}

static void a_backend_that_can_is_given_it_whole(void **state)
{
    struct rig *r = *state;
    const struct bp_frame *f;
    uint32_t len = 0;

    rig_start(r,
              BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
                  BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_MRG_RXBUF),
              2);
    assert_int_equal(wire->receives, BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4);
    len = make_tcp(r, 10000, 1448);
    transmit(r, len);
    assert_int_equal(wire->count, 1);
    f = &wire->sent[0].frame;
    assert_int_equal(f->gso_type, BP_GSO_TCPV4);
    assert_int_equal(f->gso_size, 1448);
    assert_int_equal(f->csum_start, 34);
    /* and back to the guest, as it is */
    for (uint32_t i = 0; i < 12; i++) {
        const struct rig_buffer b = {RXBUF + 0x1000 * i, 1024, 1};

        rig_add(r, RX, &b, 1);
    }
    assert_int_equal(fake_net_give(wire, 0, wire->sent[0].data, len, f), 0);
    assert_memory_equal(rig_ram(r, RXBUF), rig_ram(r, RIG_DATA), 10);
    assert_int_equal(bp_le16(rig_ram(r, RXBUF + HDR_num_buffers)), 10);
}

/* A large packet that waits when the state moves is for the network that is there then: cut for one
 * that takes none, of which the rest follows what went out before; given whole to one that does. */
static void a_large_packet_that_waits_moves(void **state)
{
    static const struct {
        uint32_t takes, room, takes_then, count_then;
    } cases[] = {{15, 0, 0, 7}, {0, 3, 0, 4}, {0, 3, 15, 1}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_net *first = fake_net_new(), *second = fake_net_new();
        struct net_config here = {.queues = 1, .offloads = 1}, there = here;
        struct rig *from, *to;
        uint32_t len;

        first->offloads = cases[i].takes;
        first->room = cases[i].room;
        second->offloads = cases[i].takes_then;
        here.net = fake_peer(BP_NET_ID, &fake_net_ops, first);
        from = rig_new("net", &here, *state);
        there.net = fake_peer(BP_NET_ID, &fake_net_ops, second);
        to = rig_new("net", &there, *state);
        rig_start(from, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 2);
        len = make_tcp(from, 10000, 1448);
        transmit(from, len);
        assert_false(rig_used(from, TX, NULL, NULL));
        memcpy(fake_ram(to->host), fake_ram(from->host), FAKE_RAM_BYTES);
        memcpy(to->queues, from->queues, sizeof(to->queues));
        fake_move_state(from->host, to->host);
        fake_advance_ns(to->host, 0);
        assert_true(rig_used(to, TX, NULL, NULL));
        assert_int_equal(first->count, cases[i].room);
        assert_int_equal(second->count, cases[i].count_then);
        for (uint32_t k = 0; k < second->count; k++) {
            const struct fake_net_frame *s = &second->sent[k];

            assert_int_equal(s->frame.gso_type, second->offloads ? BP_GSO_TCPV4 : BP_GSO_NONE);
            if (second->offloads)
                assert_memory_equal(s->data, rig_ram(to, FRAME), len);
            else
                assert_int_equal(bp_be32(s->data + 38), 100 + 1448 * (7 - second->count + k));
            assert_true(second->offloads || is_sound(s->data, s->len));
        }
        rig_free(to);
        rig_free(from);
        fake_net_free(second);
        fake_net_free(first);
    }
}

/* What the backend gets is what was checked, even if the guest changes it between the two. */
static void spoil_frame(struct fake_host *h, uint64_t gpa, uint64_t len)
{
    if (gpa >= RIG_DATA && gpa < RXBUF)
        memset(fake_ram(h) + gpa, 0xff, len);
}

static void bad_45_frames_that_change_when_they_were_read(void **state)
{
    static uint8_t whole[3000];
    struct rig *r = *state;
    uint32_t len;

    rig_start(r, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 2);
    len = make_tcp(r, 2000, 1000);
    memcpy(whole, rig_ram(r, FRAME), len);
    fake_after_dma_read(r->host, spoil_frame);
    transmit(r, len);
    fake_after_dma_read(r->host, NULL);
    assert_true(rig_used(r, TX, NULL, NULL));
    assert_int_equal(wire->count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(wire->sent[i].len, len - 1000);
        assert_memory_equal(wire->sent[i].data + len - 2000, whole + len - 2000 + (size_t)i * 1000,
                            1000);
    }
    works(r);
}

static void bad_51_segments_that_cannot_be(void **state)
{
    struct rig *r = *state;
    uint32_t len = 0;

    rig_start(r, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 2);
    for (uint32_t i = 0; i < 9; i++) {
        uint8_t *h = rig_ram(r, RIG_DATA), *f = rig_ram(r, FRAME);

        len = make_tcp(r, 40000, 1448);
        if (i == 0)
            bp_put_le16(h + HDR_gso_size, 0);
        if (i == 1)
            bp_put_le16(h + HDR_csum_start, 0xffff);
        if (i == 2)
            bp_put_le16(h + HDR_csum_offset, 0xffff);
        if (i == 3)
            f[46] = 0xf0; /* data offset over the end of a small packet, below */
        if (i == 4)
            f[14] = 0x4f; /* IP header that does not end where TCP begins */
        if (i == 5)
            bp_put_be16(f + 12, 0x1234);
        if (i == 6)
            bp_put_le16(h + HDR_gso_size, 1); /* 40,000 frames */
        if (i == 7)
            h[HDR_gso_type] = BP_GSO_TCPV6; /* not negotiated */
        if (i == 8)
            h[HDR_gso_type] = 0x7f;
        transmit(r, i == 3 ? 60 : len);
        assert_true(rig_used(r, TX, NULL, NULL));
        assert_int_equal(wire->count, 0);
    }
    bp_put_le16(rig_ram(r, RIG_DATA) + HDR_num_buffers, 77); /* means nothing here */
    works(r);
}

static void bad_51_fuzzed_headers(void **state)
{
    struct rig *r = *state;
    uint32_t seed = 1;

    rig_start(r,
              BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
                  BIT(VIRTIO_NET_F_HOST_UFO),
              2);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t len = make_tcp(r, 3000, 1000);

        for (uint32_t k = 0; k < 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            *rig_ram(r, RIG_DATA + (seed >> 24) % (12 + 60)) = (uint8_t)(seed >> 8);
        }
        wire->room = 4;
        transmit(r, len);
        wire->room = 100;
        wire->port->sent(wire->port_self, 0);
        while (!rig_used(r, TX, NULL, NULL)) {
            fake_net_forget(wire);
            wire->room = 100;
            wire->port->sent(wire->port_self, 0);
        }
        fake_net_forget(wire);
    }
    wire->room = 100;
    works(r);
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(a_checksum_is_filled_in, setup, teardown),
    RIG_EACH(a_large_packet_is_cut, setup, teardown),
    RIG_EACH(a_backend_that_can_is_given_it_whole, setup_offloading, teardown),
    RIG_EACH(a_large_packet_that_waits_moves, NULL, NULL),
    RIG_EACH(bad_45_frames_that_change_when_they_were_read, setup, teardown),
    RIG_EACH(bad_51_segments_that_cannot_be, setup, teardown),
    RIG_EACH(bad_51_fuzzed_headers, setup, teardown),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
