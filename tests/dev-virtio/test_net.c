/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_net.c - the network device between a driver and a network, both the test's.
 */
#include "fake_net.h"
#include "rig.h"

#include "net/net.h"

#include <backplane/util/le.h>
#include <backplane/util/offload.h>
#include <errno.h>

#define RX 0u
#define TX 1u
#define CTRL 2u
#define FRAME (RIG_DATA + 12u)
#define RXBUF (RIG_DATA + 0x20000u)

#define CTRL_FEATURES                                                                              \
    (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |         \
     BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA))

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};

static struct net_config config;
static struct fake_net *wire;

static struct rig *make(const struct rig_kind *kind)
{
    config.net = fake_peer(BP_NET_ID, &fake_net_ops, wire);
    return rig_new("net", &config, kind);
}

static int setup(void **state)
{
    wire = fake_net_new();
    config = (struct net_config){.queues = 1, .offloads = 1};
    memcpy(config.mac, mac, 6);
    *state = make(*state);
    return 0;
}

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

static int teardown(void **state)
{
    rig_free(*state);
    fake_net_free(wire);
    return 0;
}

/* A frame to the device's address, of `len` bytes, in `to`. */
static void fill(uint8_t *to, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        to[i] = (uint8_t)(i * 13 + i / 251);
    memcpy(to, mac, 6);
    bp_put_be16(to + 12, 0x88b5);
}

/* Queues the frame at FRAME, whose header is at RIG_DATA. */
static void transmit(struct rig *r, uint32_t len)
{
    const struct rig_buffer b[] = {{RIG_DATA, 12, 0}, {FRAME, len, 0}};

    rig_add(r, TX, b, 2);
    rig_notify(r, TX);
}

static void clear_header(struct rig *r)
{
    memset(rig_ram(r, RIG_DATA), 0, 12);
}

static void give_buffer(struct rig *r, uint32_t len)
{
    const struct rig_buffer b = {RXBUF, len, 1};

    memset(rig_ram(r, RXBUF), 0xee, len);
    rig_add(r, RX, &b, 1);
    rig_notify(r, RX);
}

static void works(struct rig *r)
{
    uint8_t frame[200];
    uint32_t len = 0;

    clear_header(r);
    fill(rig_ram(r, FRAME), 100);
    fake_net_forget(wire);
    transmit(r, 100);
    assert_true(rig_used(r, TX, NULL, NULL));
    assert_int_equal(wire->count, 1);
    assert_int_equal(wire->sent[0].len, 100);
    assert_memory_equal(wire->sent[0].data, rig_ram(r, FRAME), 100);
    fill(frame, sizeof(frame));
    give_buffer(r, 1526);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), 0);
    assert_true(rig_used(r, RX, NULL, &len));
    assert_int_equal(len, 212);
    assert_memory_equal(rig_ram(r, RXBUF + 12), frame, sizeof(frame));
    assert_int_equal(bp_le16(rig_ram(r, RXBUF + HDR_num_buffers)), 1);
}

static void frames_go_both_ways(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
    for (uint32_t i = 0; i < 40; i++)
        works(r);
    assert_true(rig_interrupted(r, RX));
}

static void queue_frame(struct rig *r)
{
    const struct rig_buffer b[] = {{RIG_DATA, 12, 0}, {FRAME, 60, 0}};

    rig_add(r, TX, b, 2);
}

/* What the driver is to notify of: avail_event, or off_wrap of the packed ring. */
static uint32_t event_of(struct rig *r)
{
    return bp_le16(rig_ram(r, RIG_DEVICE(TX)) + (r->kind.packed ? 0u : 4u + 8u * RIG_QUEUE_SIZE));
}

/* A guest that only sends need not notify of each frame; once it pauses, or hears something, it has
 * to again. */
static void a_guest_that_only_talks_is_looked_after(void **state)
{
    struct rig *r = *state;
    uint8_t frame[60];
    uint32_t event, count;

    rig_start(r, BIT(VIRTIO_F_EVENT_IDX), 2);
    clear_header(r);
    fill(rig_ram(r, FRAME), 60);
    for (uint32_t i = 0; i < NET_MONOLOGUE - 1; i++) {
        event = event_of(r);
        transmit(r, 60);
        assert_int_not_equal(event_of(r), event);
        assert_true(rig_used(r, TX, NULL, NULL));
    }
    event = event_of(r);
    transmit(r, 60);
    assert_int_equal(event_of(r), event);
    assert_true(rig_used(r, TX, NULL, NULL));
    for (uint32_t i = 0; i < 2; i++) { /* without notifying */
        count = wire->count;
        queue_frame(r);
        fake_advance_ns(r->host, VIRTIO_REST_NS);
        assert_int_equal(wire->count, count + 1);
        assert_true(rig_used(r, TX, NULL, NULL));
        assert_int_equal(event_of(r), event);
    }
    fake_advance_ns(r->host, VIRTIO_REST_NS);
    assert_int_not_equal(event_of(r), event);
    for (uint32_t i = 0; i < NET_MONOLOGUE - 1; i++) {
        transmit(r, 60);
        assert_true(rig_used(r, TX, NULL, NULL));
    }
    fill(frame, sizeof(frame));
    give_buffer(r, 1526);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), 0);
    event = event_of(r);
    transmit(r, 60);
    assert_int_not_equal(event_of(r), event);
    assert_true(rig_used(r, TX, NULL, NULL));
}

static void a_full_wire_holds_the_ring(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 2);
    clear_header(r);
    fill(rig_ram(r, FRAME), 60);
    wire->room = 1;
    transmit(r, 60);
    transmit(r, 60);
    transmit(r, 60);
    assert_true(rig_used(r, TX, NULL, NULL));
    assert_false(rig_used(r, TX, NULL, NULL));
    wire->room = 10;
    wire->port->sent(wire->port_self, 0);
    assert_true(rig_used(r, TX, NULL, NULL));
    assert_true(rig_used(r, TX, NULL, NULL));
    assert_int_equal(wire->count, 3);
}

/* What a device shows used at once is less than a queue has: wherever it is held, what it has given
 * back before stays given back once. */
static void a_wire_that_is_full_after_any_number_of_frames(void **state)
{
    static const uint32_t rooms[] = {1, 63, 64, 65, 100};
    const struct rig_kind *kind = *state;
    const struct rig_buffer b = {RIG_DATA, 12 + 60, 0};
    uint32_t total = RIG_QUEUE_LARGE;
    uint16_t ids[RIG_QUEUE_LARGE], id = 0;
    struct rig *r;

    wire = fake_net_new();
    config = (struct net_config){.queues = 1};
    config.net = fake_peer(BP_NET_ID, &fake_net_ops, wire);
    r = rig_new_large("net", &config, kind);
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        fake_net_forget(wire);
        rig_start(r, 0, 2);
        clear_header(r);
        fill(rig_ram(r, FRAME), 60);
        for (uint32_t k = 0; k < total; k++)
            ids[k] = rig_add(r, TX, &b, 1);
        wire->room = rooms[i];
        rig_notify(r, TX);
        fake_advance_ns(r->host, 0);
        for (uint32_t k = 0; k < total; k++) {
            if (k == rooms[i]) {
                assert_false(rig_used(r, TX, NULL, NULL));
                wire->room = total;
                wire->port->sent(wire->port_self, 0);
                fake_advance_ns(r->host, 0);
            }
            assert_true(rig_used(r, TX, &id, NULL));
            assert_int_equal(id, ids[k]);
        }
        assert_false(rig_used(r, TX, NULL, NULL));
        assert_int_equal(wire->count, total);
        assert_false(rig_status(r) & STATUS_NEEDS_RESET);
    }
    rig_free(r);
    fake_net_free(wire);
}

static void large_frames_fill_several_buffers(void **state)
{
    static uint8_t frame[5000], got[5000];
    struct rig *r = *state;
    uint32_t len, at = 0;

    rig_start(r, BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
    fill(frame, sizeof(frame));
    for (uint32_t i = 0; i < 6; i++) {
        const struct rig_buffer b = {RXBUF + 0x1000 * i, 1024, 1};

        rig_add(r, RX, &b, 1);
    }
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), 0);
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t skip = i ? 0 : 12;

        assert_true(rig_used(r, RX, NULL, &len));
        memcpy(got + at, rig_ram(r, RXBUF + 0x1000 * i + skip), len - skip);
        at += len - skip;
    }
    assert_int_equal(at, sizeof(frame));
    assert_memory_equal(got, frame, sizeof(frame));
    assert_int_equal(bp_le16(rig_ram(r, RXBUF + HDR_num_buffers)), 5);
    assert_false(rig_used(r, RX, NULL, NULL));
}

static void give_buffers(struct rig *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct rig_buffer b = {RXBUF + 0x1000 * i, 1526, 1};

        rig_add(r, RX, &b, 1);
    }
}

/* Frames that follow each other become used together; one that finds no buffer holds none back. */
static void frames_that_follow_each_other_make_one_interrupt(void **state)
{
    static const struct bp_frame more = {.more = 1};
    uint8_t frame[100];
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
    fill(frame, sizeof(frame));
    give_buffers(r, 4);
    rig_interrupted(r, RX);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), &more), 0);
    assert_false(rig_used(r, RX, NULL, NULL));
    assert_false(rig_interrupted(r, RX));
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), 0);
    assert_true(rig_interrupted(r, RX));
    for (uint32_t i = 0; i < 3; i++)
        assert_true(rig_used(r, RX, NULL, NULL));
    assert_false(rig_used(r, RX, NULL, NULL));
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), &more), 0);
    assert_false(rig_interrupted(r, RX));
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), &more), -EAGAIN);
    assert_true(rig_interrupted(r, RX));
    assert_true(rig_used(r, RX, NULL, NULL));
}

/* All that the queue can hold is in frames that the guest has not been told of: that is no frame
 * which is too large for it. */
static void frames_that_fill_the_queue_are_published(void **state)
{
    static const struct bp_frame more = {.more = 1};
    uint8_t frame[100];
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
    fill(frame, sizeof(frame));
    give_buffers(r, RIG_QUEUE_SIZE);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), &more), 0);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), &more), -EAGAIN);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        assert_true(rig_used(r, RX, NULL, NULL));
}

/* By the event index a guest that gave too few buffers has to notify when it gives the next. */
static void too_few_buffers_ask_for_the_next(void **state)
{
    static uint8_t frame[3000];
    struct rig *r = *state;
    const uint8_t *device = rig_ram(r, RIG_DEVICE(RX));
    uint32_t event;

    rig_start(r, BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_EVENT_IDX), 2);
    fill(frame, sizeof(frame));
    for (uint32_t i = 0; i < 3; i++) {
        const struct rig_buffer b = {RXBUF + 0x1000 * i, 1024, 1};

        assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), -EAGAIN);
        event = bp_le16(device + (r->kind.packed ? 0u : 4u + 8u * RIG_QUEUE_SIZE));
        assert_int_equal(event, i | (r->kind.packed ? 0x8000u : 0u));
        rig_add(r, RX, &b, 1);
        wire->resumes = 0;
        rig_notify(r, RX);
        assert_int_equal(wire->resumes, 1);
    }
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(rig_used(r, RX, NULL, NULL));
}

static void bad_52_flood_without_buffers(void **state)
{
    static uint8_t frame[3000];
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
    fill(frame, sizeof(frame));
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), -EAGAIN);
    for (uint32_t i = 0; i < 3; i++) { /* 3 of 1024 hold it */
        const struct rig_buffer b = {RXBUF + 0x1000 * i, 1024, 1};

        rig_add(r, RX, &b, 1);
        wire->resumes = 0;
        rig_notify(r, RX);
        assert_int_equal(wire->resumes, 1);
        assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), i < 2 ? -EAGAIN : 0);
    }
    for (uint32_t i = 0; i < 3; i++)
        assert_true(rig_used(r, RX, NULL, NULL));
    works(r);
}

static void a_frame_that_no_buffer_holds_is_dropped(void **state)
{
    static uint8_t frame[2000];
    struct rig *r = *state;

    rig_start(r, 0, 2);
    fill(frame, sizeof(frame));
    give_buffer(r, 1000);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), -EMSGSIZE);
    assert_int_equal(fake_net_give(wire, 0, frame, 500, NULL), 0); /* the buffer is still there */
    assert_true(rig_used(r, RX, NULL, NULL));
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++) /* all there is is too little */
        give_buffer(r, 16);
    assert_int_equal(fake_net_give(wire, 0, frame, 500, NULL), -EMSGSIZE);
}

/* ---- offloads ---- */

#define TCP_HEADERS 54u

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

/* ---- control queue, link ---- */

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

/* ---- what a guest should not do ---- */

static void bad_51_transmit_shorter_than_its_header(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 2);
    for (uint32_t len = 0; len < 12 + 14; len++) {
        const struct rig_buffer b = {RIG_DATA, len, 0};

        assert_int_equal(rig_do(r, TX, &b, 1), 0);
        assert_int_equal(fake_log_count(r->host), len + 1);
    }
    assert_string_equal(fake_log(r->host, NULL),
                        "a frame that is too short, too long or not in RAM was dropped");
    assert_int_equal(wire->count, 0);
    works(r);
}

/* num_buffers is the device's to write (5.1.6.2): what a driver has there says nothing. */
static void bad_51_num_buffers_of_the_driver_is_ignored(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
    for (uint32_t count = 0; count < 0x10000; count += 0xfff) {
        clear_header(r);
        bp_put_le16(rig_ram(r, RIG_DATA + HDR_num_buffers), (uint16_t)count);
        fill(rig_ram(r, FRAME), 100);
        fake_net_forget(wire);
        transmit(r, 100);
        assert_true(rig_used(r, TX, NULL, NULL));
        assert_int_equal(wire->count, 1);
        assert_int_equal(wire->sent[0].len, 100);
    }
    assert_int_equal(fake_log_count(r->host), 0);
    works(r);
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

static void bad_46_frames_after_reset(void **state)
{
    struct rig *r = *state;
    uint8_t frame[100];

    rig_start(r, 0, 2);
    fill(frame, sizeof(frame));
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), -EAGAIN);
    give_buffer(r, 1000);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), 0);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), -EAGAIN);
    memset(rig_ram(r, RXBUF), 0xee, 1000);
    rig_set_status(r, 0);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), -ENETDOWN);
    wire->resumes = 0;
    fake_advance_ns(r->host, 0);
    assert_int_equal(wire->resumes, 1); /* what was held is asked for again, and dropped */
    assert_int_equal(*rig_ram(r, RXBUF), 0xee);
    rig_start(r, 0, 2);
    works(r);
}

static void bad_features_without_those_they_need(void **state)
{
    struct rig *r = *state;

    rig_set_status(r, 0);
    rig_set_status(r, 3);
    rig_accept(r, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_HOST_TSO4));
    rig_set_status(r, 11);
    assert_int_equal(rig_status(r), 3);
    assert_string_equal(fake_log(r->host, NULL),
                        "the driver accepts a feature without one that it needs: FEATURES_OK is "
                        "refused");
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(frames_go_both_ways, setup, teardown),
    RIG_EACH(a_guest_that_only_talks_is_looked_after, setup, teardown),
    RIG_EACH(a_full_wire_holds_the_ring, setup, teardown),
    RIG_EACH(a_wire_that_is_full_after_any_number_of_frames, NULL, NULL),
    RIG_EACH(large_frames_fill_several_buffers, setup, teardown),
    RIG_EACH(frames_that_follow_each_other_make_one_interrupt, setup, teardown),
    RIG_EACH(frames_that_fill_the_queue_are_published, setup, teardown),
    RIG_EACH(too_few_buffers_ask_for_the_next, setup, teardown),
    RIG_EACH(a_frame_that_no_buffer_holds_is_dropped, setup, teardown),
    RIG_EACH(a_checksum_is_filled_in, setup, teardown),
    RIG_EACH(a_large_packet_is_cut, setup, teardown),
    RIG_EACH(a_backend_that_can_is_given_it_whole, setup_offloading, teardown),
    RIG_EACH(the_filter_takes_what_the_driver_asked_for, setup, teardown),
    RIG_EACH(vlans_are_filtered, setup, teardown),
    RIG_EACH(the_driver_sets_its_address, setup, teardown),
    RIG_EACH(commands_that_are_wrong_are_refused, setup, teardown),
    RIG_EACH(the_link_goes_up_and_down, setup, teardown),
    RIG_EACH(every_pair_of_queues_works, NULL, NULL),
    RIG_EACH(a_frame_that_waits_goes_with_its_pair, NULL, NULL),
    RIG_EACH(state_moves_and_the_guest_announces_itself, setup, teardown),
    RIG_EACH(a_large_packet_that_waits_moves, NULL, NULL),
    RIG_EACH(bad_46_frames_after_reset, setup, teardown),
    RIG_EACH(bad_45_frames_that_change_when_they_were_read, setup, teardown),
    RIG_EACH(bad_51_num_buffers_of_the_driver_is_ignored, setup, teardown),
    RIG_EACH(bad_51_transmit_shorter_than_its_header, setup, teardown),
    RIG_EACH(bad_51_segments_that_cannot_be, setup, teardown),
    RIG_EACH(bad_51_fuzzed_headers, setup, teardown),
    RIG_EACH(bad_52_flood_without_buffers, setup, teardown),
    RIG_EACH(bad_features_without_those_they_need, setup, teardown),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
