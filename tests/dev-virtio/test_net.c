/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_net.c - frames through the network device between a driver and a network, both
 * the test's. Offloads are in test_net_offload.c, the control queue in test_net_control.c.
 */
#include "net_fixture.h"

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
        fake_advance_ns(r->host, NET_REST_LEAST_NS);
        assert_int_equal(wire->count, count + 1);
        assert_true(rig_used(r, TX, NULL, NULL));
        assert_int_equal(event_of(r), event);
    }
    fake_advance_ns(r->host, NET_REST_LEAST_NS);
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

/* `frames` wait at the next look, which is to be `ns` after the last. */
static void look_after(struct rig *r, uint32_t frames, uint32_t ns)
{
    uint32_t count = wire->count;

    for (uint32_t i = 0; i < frames; i++)
        queue_frame(r);
    fake_advance_ns(r->host, ns - 1);
    assert_int_equal(wire->count, count);
    fake_advance_ns(r->host, 1);
    assert_int_equal(wire->count, count + frames);
    for (uint32_t i = 0; i < frames; i++)
        assert_true(rig_used(r, TX, NULL, NULL));
}

/* The more comes, the longer it is left alone, so that some come together; not if it is little, and
 * not until its queue is full. */
static void looks_are_as_far_apart_as_some_frames_need(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_F_EVENT_IDX), 2);
    clear_header(r);
    fill(rig_ram(r, FRAME), 60);
    for (uint32_t i = 0; i < NET_MONOLOGUE; i++) {
        transmit(r, 60);
        assert_true(rig_used(r, TX, NULL, NULL));
    }
    look_after(r, 1, NET_REST_LEAST_NS); /* one in that time is little */
    look_after(r, 2, NET_REST_LEAST_NS);
    look_after(r, 3, 2 * NET_REST_LEAST_NS);
    look_after(r, 5, 4 * NET_REST_LEAST_NS);
    look_after(r, 8, NET_REST_MOST_NS); /* never longer */
    look_after(r, 7, NET_REST_MOST_NS); /* fewer than one in the least time */
    look_after(r, 4, 4 * NET_REST_LEAST_NS);
    look_after(r, 3, 4 * NET_REST_LEAST_NS);
    look_after(r, 1, 2 * NET_REST_LEAST_NS);
    look_after(r, 1, NET_REST_LEAST_NS);
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
    RIG_EACH(looks_are_as_far_apart_as_some_frames_need, setup, teardown),
    RIG_EACH(a_full_wire_holds_the_ring, setup, teardown),
    RIG_EACH(a_wire_that_is_full_after_any_number_of_frames, NULL, NULL),
    RIG_EACH(large_frames_fill_several_buffers, setup, teardown),
    RIG_EACH(frames_that_follow_each_other_make_one_interrupt, setup, teardown),
    RIG_EACH(frames_that_fill_the_queue_are_published, setup, teardown),
    RIG_EACH(too_few_buffers_ask_for_the_next, setup, teardown),
    RIG_EACH(a_frame_that_no_buffer_holds_is_dropped, setup, teardown),
    RIG_EACH(bad_46_frames_after_reset, setup, teardown),
    RIG_EACH(bad_51_num_buffers_of_the_driver_is_ignored, setup, teardown),
    RIG_EACH(bad_51_transmit_shorter_than_its_header, setup, teardown),
    RIG_EACH(bad_52_flood_without_buffers, setup, teardown),
    RIG_EACH(bad_features_without_those_they_need, setup, teardown),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
