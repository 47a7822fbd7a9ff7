/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_rings.c - rings, negotiation and configuration, by every transport and kind of
 * ring, with the entropy device, whose buffers show whether they were used.
 */
#include "rig.h"

#include "rng/rng.h"

#include <backplane/util/le.h>

#define EVERY 0xffffffffu

static struct rng_config config;

static int setup(void **state)
{
    const struct rig_kind *kind = *state;

    config = (struct rng_config){.period = 1000};
    *state = rig_new("rng", &config, kind);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static const struct rig_buffer one = {RIG_DATA, 64, 1};

/* Are the bytes random: not all zero? 64 zeroes come once in 2^512 times. */
static int is_filled(struct rig *r, uint64_t gpa, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        if (*rig_ram(r, gpa + i))
            return 1;
    return 0;
}

static void works(struct rig *r)
{
    memset(rig_ram(r, RIG_DATA), 0, 64);
    assert_int_equal(rig_do(r, 0, &one, 1), 64);
    assert_true(is_filled(r, RIG_DATA, 64));
}

/* After whatever happened: a reset, and all is well. */
static void works_after_reset(struct rig *r)
{
    rig_start(r, 0, 1);
    works(r);
}

static void a_buffer_is_filled_and_given_back(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    works(r);
    assert_true(rig_interrupted(r, 0));
    assert_false(rig_interrupted(r, 0));
    assert_int_equal(fake_log_count(r->host), 0);
}

static void a_ring_goes_round_many_times(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < 10 * RIG_QUEUE_SIZE; i++)
        works(r);
}

static void chains_are_filled_across_their_buffers(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b[] = {
        {RIG_DATA, 5, 1}, {RIG_DATA + 0x1000, 7, 1}, {RIG_DATA + 0x2000, 100, 1}};

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < 3 * RIG_QUEUE_SIZE; i++) {
        memset(rig_ram(r, RIG_DATA + 0x2000), 0, 101);
        assert_int_equal(rig_do(r, 0, b, 3), 112);
        assert_true(is_filled(r, RIG_DATA + 0x2000, 100));
        assert_int_equal(*rig_ram(r, RIG_DATA + 0x2000 + 100), 0);
    }
}

static void indirect_tables_are_followed(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b[] = {{RIG_DATA, 16, 1}, {RIG_DATA + 0x1000, 48, 1}};

    rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
    for (uint32_t i = 0; i < 3 * RIG_QUEUE_SIZE; i++) {
        uint16_t id = rig_add_indirect(r, 0, b, 2, 32, 0), got = 0;
        uint32_t len = 0;

        rig_notify(r, 0);
        assert_true(rig_used(r, 0, &got, &len));
        assert_int_equal(got, id);
        assert_int_equal(len, 64);
    }
}

static void no_interrupt_comes_where_the_driver_wants_none(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    /* avail.flags NO_INTERRUPT; driver event suppression DISABLE */
    *rig_ram(r, RIG_DRIVER(0) + (r->kind.packed ? 2 : 0)) = 1;
    works(r);
    assert_false(rig_interrupted(r, 0));
    *rig_ram(r, RIG_DRIVER(0) + (r->kind.packed ? 2 : 0)) = 0;
    works(r);
    assert_true(rig_interrupted(r, 0));
}

static void an_interrupt_comes_at_the_event_index(void **state)
{
    struct rig *r = *state;
    uint8_t *event = rig_ram(r, RIG_DRIVER(0));

    rig_start(r, BIT(VIRTIO_F_EVENT_IDX), 1);
    for (uint32_t lap = 0; lap < 3; lap++) {
        for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++) {
            /* wanted after the fifth of each lap */
            if (r->kind.packed) {
                bp_put_le16(event, (uint16_t)(4 | (lap % 2 ? 0u : 0x8000u)));
                bp_put_le16(event + 2, 2);
            } else {
                bp_put_le16(event + 4 + 2 * (size_t)RIG_QUEUE_SIZE,
                            (uint16_t)(lap * RIG_QUEUE_SIZE + 4));
            }
            works(r);
            assert_int_equal(rig_interrupted(r, 0), i == 4);
        }
    }
}

static void the_device_says_when_it_wants_a_kick(void **state)
{
    struct rig *r = *state;
    const uint8_t *device = rig_ram(r, RIG_DEVICE(0));

    rig_start(r, BIT(VIRTIO_F_EVENT_IDX), 1);
    for (uint32_t i = 1; i < 2 * RIG_QUEUE_SIZE; i++) {
        works(r);
        if (r->kind.packed) {
            assert_int_equal(bp_le16(device),
                             i % RIG_QUEUE_SIZE | (i < RIG_QUEUE_SIZE ? 0x8000u : 0u));
            assert_int_equal(bp_le16(device + 2), 2);
        } else {
            assert_int_equal(bp_le16(device + 4 + 8 * (size_t)RIG_QUEUE_SIZE), i);
        }
    }
}

static void many_chains_are_done_by_one_kick(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        rig_add(r, 0, &one, 1);
    rig_notify(r, 0);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        assert_true(rig_used(r, 0, NULL, NULL));
    assert_false(rig_used(r, 0, NULL, NULL));
}

static void a_queue_is_reset_alone_and_works_again(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_F_RING_RESET), 1);
    works(r);
    rig_select(r, 0);
    rig_queue_reset(r);
    assert_int_equal(rig_queue_resetting(r), 0);
    assert_int_equal(rig_enabled(r), 0);
    rig_notify(r, 0); /* nobody is there */
    rig_setup(r, 0);
    works(r);
}

static void state_moves_in_the_middle_of_a_lap(void **state)
{
    struct rig *r = *state;
    struct rng_config second = config;
    struct rig *to = rig_new("rng", &second, &r->kind);

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE + 3; i++)
        works(r);
    memcpy(fake_ram(to->host), fake_ram(r->host), FAKE_RAM_BYTES);
    memcpy(to->queues, r->queues, sizeof(to->queues));
    fake_move_state(r->host, to->host);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        works(to);
    rig_free(to);
}

/* With doorbells the vCPU that notifies does no work: the loop does. */
static void a_doorbell_is_answered_by_the_loop(void **state)
{
    const struct rig_kind *kind = *state;
    struct rig *r;

    fake_offer_doorbells(true);
    config = (struct rng_config){.period = 1000};
    r = rig_new("rng", &config, kind);
    fake_offer_doorbells(false);
    rig_start(r, 0, 1);
    rig_add(r, 0, &one, 1);
    rig_notify(r, 0);
    assert_false(rig_used(r, 0, NULL, NULL));
    assert_int_equal(fake_poll(r->host, 1000), 1);
    assert_true(rig_used(r, 0, NULL, NULL));
    fake_poll(r->host, 0); /* which is this backend's way to an interrupt, too */
    assert_true(rig_interrupted(r, 0));
    rig_set_status(r, 0); /* one that was rung before a reset finds nothing */
    rig_notify(r, 0);
    rig_start(r, 0, 1);
    fake_poll(r->host, 1000);
    assert_false(rig_used(r, 0, NULL, NULL));
    rig_free(r);
}

/* ---- what a guest should not do: rings ---- */

static void broken_by(struct rig *r, const char *why)
{
    char text[200];

    rig_notify(r, 0);
    snprintf(text, sizeof(text), "%s: the device stands still until it is reset", why);
    assert_string_equal(fake_log(r->host, NULL), text);
    assert_false(rig_used(r, 0, NULL, NULL));
    rig_expect_broken(r);
    works_after_reset(r);
}

static void bad_29_self_loop(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    if (r->kind.packed) /* no links: a chain without an end is the nearest */
        for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
            rig_add_raw(r, 0, RIG_DATA, 1, DESC_F_NEXT | DESC_F_WRITE, 0);
    else
        rig_add_raw(r, 0, RIG_DATA, 1, DESC_F_NEXT | DESC_F_WRITE, 0);
    broken_by(r, "a chain has more descriptors than the queue has entries");
}

static void bad_30_chain_longer_than_the_queue(void **state)
{
    struct rig *r = *state;
    struct rig_buffer b[RIG_QUEUE_SIZE + 1];

    for (uint32_t i = 0; i <= RIG_QUEUE_SIZE; i++)
        b[i] = (struct rig_buffer){RIG_DATA + i, 1, 1};
    rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
    rig_add_indirect(r, 0, b, RIG_QUEUE_SIZE + 1, (RIG_QUEUE_SIZE + 1) * DESC_BYTES, 0);
    broken_by(r, "a chain has more descriptors than the queue has entries");
}

static void bad_31_next_beyond_the_queue(void **state)
{
    struct rig *r = *state;

    if (r->kind.packed)
        return; /* has no next */
    rig_start(r, 0, 1);
    rig_add_raw(r, 0, RIG_DATA, 1, DESC_F_NEXT | DESC_F_WRITE, RIG_QUEUE_SIZE);
    broken_by(r, "a descriptor whose index is beyond the queue");
}

static void bad_31_next_beyond_the_table(void **state)
{
    static const uint16_t beyond[] = {2, RIG_QUEUE_SIZE, 0xffff};
    struct rig *r = *state;

    if (r->kind.packed)
        return; /* a table is in order there */
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
        memset(rig_ram(r, RIG_DATA), 0, 64);
        rig_put_desc(r, RIG_TABLE(0), RIG_DATA, 64, DESC_F_NEXT | DESC_F_WRITE, beyond[i]);
        rig_add_raw(r, 0, RIG_TABLE(0), 32, DESC_F_INDIRECT, 0);
        rig_notify(r, 0);
        assert_false(is_filled(r, RIG_DATA, 64));
        broken_by(r, "a descriptor whose next one is beyond its table");
    }
}

static void bad_32_indirect_in_indirect(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
    rig_put_desc(r, RIG_TABLE(0), RIG_TABLE(0), 16, DESC_F_INDIRECT, 0);
    rig_add_raw(r, 0, RIG_TABLE(0), 16, DESC_F_INDIRECT, 0);
    broken_by(r, "an indirect descriptor within an indirect table");
}

static void bad_33_indirect_with_next(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
    rig_add_indirect(r, 0, &one, 1, 16, DESC_F_NEXT);
    broken_by(r, "a descriptor that is indirect and has a next one");
}

static void bad_34_indirect_length(void **state)
{
    static const uint32_t lengths[] = {0, 1, 15, 17, 0xffffffff};
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
        rig_add_indirect(r, 0, &one, 1, lengths[i], 0);
        broken_by(r, "an indirect table whose length is not a multiple of 16");
    }
    rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
    memset(rig_ram(r, RIG_TABLE(0)), 0, 0x1000);
    for (uint32_t i = 0; i < 200; i++) /* a table of 2^32 - 16 bytes, without an end in sight */
        rig_put_desc(r, RIG_TABLE(0) + DESC_BYTES * i, RIG_DATA, 1, DESC_F_NEXT | DESC_F_WRITE,
                     (uint16_t)(i + 1));
    rig_add_raw(r, 0, RIG_TABLE(0), 0xfffffff0, DESC_F_INDIRECT, 0);
    broken_by(r, "a chain has more descriptors than the queue has entries");
}

static void bad_35_indirect_that_was_not_negotiated(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    rig_add_indirect(r, 0, &one, 1, 16, 0);
    broken_by(r, "an indirect descriptor, which was not negotiated");
}

static void refuse(struct rig *r)
{
    rig_enable(r);
    assert_int_equal(rig_enabled(r), 0);
    rig_notify(r, 0);
}

static void bad_36_queue_sizes(void **state)
{
    static const uint32_t sizes[] = {0, RIG_QUEUE_SIZE + 1, 0xffff, 3};
    struct rig *r = *state;

    for (size_t i = 0; i < 4 - (size_t)r->kind.packed; i++) { /* 3 is good for packed rings */
        rig_negotiate(r, 0);
        rig_select(r, 0);
        rig_address(r, QUEUE_DESC, RIG_DESC(0));
        rig_address(r, QUEUE_DRIVER, RIG_DRIVER(0));
        rig_address(r, QUEUE_DEVICE, RIG_DEVICE(0));
        rig_size(r, sizes[i]);
        refuse(r);
    }
    works_after_reset(r);
}

static void bad_37_configuration_after_driver_ok(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_F_RING_RESET), 1);
    rig_select(r, 0);
    rig_size(r, 1);
    rig_address(r, QUEUE_DESC, 0x1000);
    rig_address(r, QUEUE_DRIVER, 0x2000);
    rig_address(r, QUEUE_DEVICE, 0x3000);
    rig_enable(r);
    if (r->kind.transport == TRANSPORT_MMIO)
        fake_write(r->host, BP_SPACE_MMIO, r->bar + 0x44, 0, 4); /* QueueReady */
    else
        fake_write(r->host, BP_SPACE_MMIO, r->bar + 0x1c, 0, 2); /* queue_enable */
    assert_int_equal(rig_enabled(r), 1);
    for (uint32_t i = 0; i < 2 * RIG_QUEUE_SIZE; i++)
        works(r);
}

static void bad_38_rings_outside_ram(void **state)
{
    static const uint64_t places[] = {
        RIG_MMIO_BASE,         /* registers */
        FAKE_RAM_BYTES,        /* above RAM */
        FAKE_RAM_BYTES - 16,   /* over its end */
        0xfffffffffffffff0ull, /* over the end of the world */
        RIG_DESC(0) + 1,       /* unaligned */
        FAKE_BAR_MEMORY(8, 0), /* a device's own registers, and its table of vectors */
        FAKE_BAR_MEMORY(8, 1),
    };
    struct rig *r = *state;

    for (uint32_t area = 0; area < 3; area++) {
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            if (r->kind.packed && area && i == 2)
                continue; /* 4 bytes: they fit */
            rig_negotiate(r, 0);
            rig_select(r, 0);
            rig_size(r, RIG_QUEUE_SIZE);
            rig_address(r, QUEUE_DESC, RIG_DESC(0));
            rig_address(r, QUEUE_DRIVER, RIG_DRIVER(0));
            rig_address(r, QUEUE_DEVICE, RIG_DEVICE(0));
            rig_address(r, area, places[i]);
            refuse(r);
            rig_set_status(r, rig_status(r) | STATUS_DRIVER_OK);
            rig_notify(r, 0);
        }
    }
    works_after_reset(r);
}

/* A device reads a table that is a ROM's, as it reads any memory; what it writes cannot be there.
 */
static void bad_39_rings_in_rom(void **state)
{
    struct rig *r = *state;

    for (uint32_t area = 0; area < 3; area++) {
        static const uint32_t at[] = {RIG_DESC(0), RIG_DRIVER(0), RIG_DEVICE(0)};
        int is_written = r->kind.packed ? area == 0 : area == 2;

        rig_start(r, 0, 1);
        rig_add(r, 0, &one, 1);
        fake_rom(r->host, at[area], 0x200);
        rig_notify(r, 0);
        assert_int_equal(!!(rig_status(r) & STATUS_NEEDS_RESET), is_written);
        assert_int_equal(rig_used(r, 0, NULL, NULL), !is_written);
        if (is_written)
            assert_string_equal(
                fake_log(r->host, NULL),
                "a ring is not in RAM any more: the device stands still until it is reset");
        fake_rom(r->host, 0, 0);
        works_after_reset(r);
    }
}

/* A guest that changes each descriptor as soon as it was read finds that nobody looks again. */
static void spoil_descriptor(struct fake_host *h, uint64_t gpa, uint64_t len)
{
    if ((gpa >= RIG_DESC(0) && gpa < RIG_DRIVER(0)) || (gpa >= RIG_TABLE(0) && gpa < RIG_RING(1)))
        memset(fake_ram(h) + gpa, 0xff, len);
}

static void bad_45_descriptors_that_change_when_they_were_read(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b[] = {
        {RIG_DATA, 64, 1}, {RIG_DATA + 0x1000, 32, 1}, {RIG_DATA + 0x2000, 16, 1}};
    uint32_t len = 0;

    rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
    memset(rig_ram(r, RIG_DATA), 0, 0x3000);
    fake_after_dma_read(r->host, spoil_descriptor);
    rig_add(r, 0, b, 3);
    rig_notify(r, 0);
    rig_add_indirect(r, 0, b, 3, 48, 0);
    rig_notify(r, 0);
    fake_after_dma_read(r->host, NULL);
    assert_false(rig_status(r) & STATUS_NEEDS_RESET);
    for (int i = 0; i < 2; i++) {
        assert_true(rig_used(r, 0, NULL, &len));
        assert_int_equal(len, 112);
    }
    for (uint32_t i = 0; i < 3; i++)
        assert_true(is_filled(r, b[i].gpa, b[i].len));
    works_after_reset(r);
}

static void bad_38_rings_that_overlap(void **state)
{
    struct rig *r = *state;

    rig_negotiate(r, 0);
    rig_setup(r, 0);
    rig_set_status(r, 0);
    rig_negotiate(r, 0);
    rig_select(r, 0);
    rig_size(r, RIG_QUEUE_SIZE);
    for (uint32_t area = 0; area < 3; area++)
        rig_address(r, area, RIG_DESC(0));
    rig_enable(r);
    rig_set_status(r, rig_status(r) | STATUS_DRIVER_OK);
    for (uint32_t i = 0; i < 40; i++) {
        memset(rig_ram(r, RIG_DESC(0)), (int)(i * 37), 0x100);
        rig_notify(r, 0);
    }
    works_after_reset(r);
}

static void bad_40_available_index_jumps(void **state)
{
    static const uint16_t jumps[] = {RIG_QUEUE_SIZE + 1, 0x8000, 0xffff};
    struct rig *r = *state;

    if (r->kind.packed)
        return; /* has no index */
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        rig_start(r, 0, 1);
        works(r);
        bp_put_le16(rig_ram(r, RIG_DRIVER(0) + 2), (uint16_t)(1 + jumps[i]));
        broken_by(r, "the available ring's index goes further than the queue has entries");
    }
}

static void bad_41_entry_beyond_the_queue(void **state)
{
    struct rig *r = *state;

    if (r->kind.packed)
        return;
    rig_start(r, 0, 1);
    rig_add(r, 0, &one, 1);
    bp_put_le16(rig_ram(r, RIG_DRIVER(0) + 4), RIG_QUEUE_SIZE);
    broken_by(r, "a descriptor whose index is beyond the queue");
}

static void bad_42_same_head_twice(void **state)
{
    struct rig *r = *state;
    uint16_t id = 0xffff;

    if (r->kind.packed)
        return; /* ids are the driver's own */
    rig_start(r, 0, 1);
    rig_add(r, 0, &one, 1);
    bp_put_le16(rig_ram(r, RIG_DRIVER(0) + 6), 0);
    bp_put_le16(rig_ram(r, RIG_DRIVER(0) + 2), 2);
    rig_notify(r, 0);
    for (int i = 0; i < 2; i++) { /* used twice, as the driver asked */
        assert_true(rig_used(r, 0, &id, NULL));
        assert_int_equal(id, 0);
    }
    assert_false(rig_used(r, 0, NULL, NULL));
    r->queues[0].next = 2;
    works(r);
}

static void bad_43_buffers_of_the_wrong_direction(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer readable = {RIG_DATA, 64, 0};
    const struct rig_buffer mixed[] = {{RIG_DATA, 64, 1}, {RIG_DATA + 64, 64, 0}};

    rig_start(r, 0, 1);
    memset(rig_ram(r, RIG_DATA), 0, 128);
    assert_int_equal(rig_do(r, 0, &readable, 1), 0);
    assert_false(is_filled(r, RIG_DATA, 128));
    rig_add(r, 0, mixed, 2);
    broken_by(r, "a readable buffer follows a writable one");
}

static void bad_44_length_zero_and_total_over_4g(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer empty[] = {{RIG_DATA, 0, 1}, {RIG_DATA, 64, 1}};
    const struct rig_buffer huge[] = {{RIG_DATA, 0xffffffff, 1}, {RIG_DATA, 0xffffffff, 1}};
    const struct rig_buffer wraps = {0xffffffffffffff00ull, 0x1000, 1};

    rig_start(r, 0, 1);
    assert_int_equal(rig_do(r, 0, empty, 2), 64);
    rig_add(r, 0, huge, 2);
    broken_by(r, "the buffers of one chain exceed 4 GiB");
    rig_start(r, 0, 1);
    rig_add(r, 0, &wraps, 1);
    broken_by(r, "a buffer wraps around the end of the address space");
}

static void bad_43_buffer_in_registers(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer registers = {RIG_MMIO_BASE, 64, 1};
    const struct rig_buffer edge = {FAKE_RAM_BYTES - 10, 64, 1};

    rig_start(r, 0, 1);
    assert_int_equal(rig_do(r, 0, &registers, 1), 0);
    assert_int_equal(rig_do(r, 0, &edge, 1), 0);
    works(r);
}

static void bad_54_four_gigabytes_are_capped(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer huge = {0x20000, 0xffffffff, 1};

    rig_start(r, 0, 1);
    assert_int_equal(rig_do(r, 0, &huge, 1), 65536);
    assert_false(is_filled(r, 0x20000 + 65536, 4096));
}

static void a_rate_is_kept(void **state)
{
    struct rig *r;
    const struct rig_kind *kind = *state;
    const struct rig_buffer b = {RIG_DATA, 100, 1};
    uint32_t len = 0;

    config = (struct rng_config){.period = 1000, .rate = 150};
    r = rig_new("rng", &config, kind);
    rig_start(r, 0, 1);
    assert_int_equal(rig_do(r, 0, &b, 1), 100);
    assert_int_equal(rig_do(r, 0, &b, 1), 50);
    rig_add(r, 0, &b, 1);
    rig_notify(r, 0);
    assert_false(rig_used(r, 0, NULL, NULL));
    fake_advance_ns(r->host, 999999999);
    assert_false(rig_used(r, 0, NULL, NULL));
    fake_advance_ns(r->host, 1);
    assert_true(rig_used(r, 0, NULL, &len));
    assert_int_equal(len, 100);
    rig_free(r);
}

/* ---- what a guest should not do: negotiation and configuration ---- */

static void bad_46_notify_after_reset(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    rig_add(r, 0, &one, 1);
    rig_set_status(r, 0);
    rig_notify(r, 0);
    assert_false(rig_used(r, 0, NULL, NULL));
    assert_int_equal(fake_irq_level(r->host, RIG_IRQ), 0);
    works_after_reset(r);
}

static void bad_47_features_that_were_not_offered(void **state)
{
    static const uint8_t known = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    struct rig *r = *state;

    rig_set_status(r, known);
    rig_accept(r, BIT(VIRTIO_F_VERSION_1) | BIT(33));
    rig_set_status(r, known | STATUS_FEATURES_OK);
    assert_int_equal(rig_status(r), known);
    assert_string_equal(
        fake_log(r->host, NULL),
        "the driver accepts features that were not offered: FEATURES_OK is refused");
    rig_accept(r, 0);
    rig_set_status(r, known | STATUS_FEATURES_OK);
    assert_int_equal(rig_status(r), known);
    assert_string_equal(fake_log(r->host, NULL),
                        "the driver does not accept VIRTIO_F_VERSION_1, and there is no older "
                        "interface: FEATURES_OK is refused");
    rig_set_status(r, known | STATUS_DRIVER_OK);
    assert_int_equal(rig_status(r), known);
    assert_string_equal(fake_log(r->host, NULL),
                        "DRIVER_OK was set without FEATURES_OK, and ignored");
    works_after_reset(r);
}

static void bad_47_features_after_features_ok(void **state)
{
    struct rig *r = *state;

    rig_negotiate(r, 0);
    rig_accept(r, EVERY);
    assert_string_equal(fake_log(r->host, NULL),
                        "features were written after FEATURES_OK, and ignored");
    rig_setup(r, 0);
    rig_set_status(r, rig_status(r) | STATUS_DRIVER_OK);
    works(r);
}

static void bad_48_queues_that_are_not_there(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t n = 1; n < 70000; n = n * 3 + 1) {
        rig_select(r, n & 0xffff);
        assert_int_equal(rig_enabled(r), 0);
        rig_size(r, 4);
        rig_address(r, QUEUE_DESC, RIG_DESC(0));
        rig_enable(r);
        if (r->kind.transport == TRANSPORT_MMIO || n < 1000)
            rig_notify(r, n);
    }
    works(r);
}

static void status_bits_are_cleared_by_reset_alone(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    rig_set_status(r, STATUS_ACKNOWLEDGE);
    assert_true(rig_status(r) & STATUS_DRIVER_OK);
    works(r);
    rig_set_status(r, 0);
    assert_int_equal(rig_status(r), 0);
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(a_buffer_is_filled_and_given_back, setup, teardown),
    RIG_EACH(a_ring_goes_round_many_times, setup, teardown),
    RIG_EACH(chains_are_filled_across_their_buffers, setup, teardown),
    RIG_EACH(indirect_tables_are_followed, setup, teardown),
    RIG_EACH(no_interrupt_comes_where_the_driver_wants_none, setup, teardown),
    RIG_EACH(an_interrupt_comes_at_the_event_index, setup, teardown),
    RIG_EACH(the_device_says_when_it_wants_a_kick, setup, teardown),
    RIG_EACH(many_chains_are_done_by_one_kick, setup, teardown),
    RIG_EACH(a_queue_is_reset_alone_and_works_again, setup, teardown),
    RIG_EACH(state_moves_in_the_middle_of_a_lap, setup, teardown),
    RIG_EACH(a_rate_is_kept, NULL, NULL),
    RIG_EACH(a_doorbell_is_answered_by_the_loop, NULL, NULL),
    RIG_EACH(status_bits_are_cleared_by_reset_alone, setup, teardown),
    RIG_EACH(bad_29_self_loop, setup, teardown),
    RIG_EACH(bad_30_chain_longer_than_the_queue, setup, teardown),
    RIG_EACH(bad_31_next_beyond_the_queue, setup, teardown),
    RIG_EACH(bad_31_next_beyond_the_table, setup, teardown),
    RIG_EACH(bad_32_indirect_in_indirect, setup, teardown),
    RIG_EACH(bad_33_indirect_with_next, setup, teardown),
    RIG_EACH(bad_34_indirect_length, setup, teardown),
    RIG_EACH(bad_35_indirect_that_was_not_negotiated, setup, teardown),
    RIG_EACH(bad_36_queue_sizes, setup, teardown),
    RIG_EACH(bad_37_configuration_after_driver_ok, setup, teardown),
    RIG_EACH(bad_38_rings_outside_ram, setup, teardown),
    RIG_EACH(bad_38_rings_that_overlap, setup, teardown),
    RIG_EACH(bad_39_rings_in_rom, setup, teardown),
    RIG_EACH(bad_40_available_index_jumps, setup, teardown),
    RIG_EACH(bad_41_entry_beyond_the_queue, setup, teardown),
    RIG_EACH(bad_42_same_head_twice, setup, teardown),
    RIG_EACH(bad_43_buffers_of_the_wrong_direction, setup, teardown),
    RIG_EACH(bad_43_buffer_in_registers, setup, teardown),
    RIG_EACH(bad_44_length_zero_and_total_over_4g, setup, teardown),
    RIG_EACH(bad_45_descriptors_that_change_when_they_were_read, setup, teardown),
    RIG_EACH(bad_46_notify_after_reset, setup, teardown),
    RIG_EACH(bad_47_features_that_were_not_offered, setup, teardown),
    RIG_EACH(bad_47_features_after_features_ok, setup, teardown),
    RIG_EACH(bad_48_queues_that_are_not_there, setup, teardown),
    RIG_EACH(bad_54_four_gigabytes_are_capped, setup, teardown),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
