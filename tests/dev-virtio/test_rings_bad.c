/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_rings_bad.c - what a guest should not do to rings, in negotiation and in
 * configuration, by every transport and kind of ring: it is told, and a reset helps.
 */
#include "rings_fixture.h"

#define EVERY 0xffffffffu

/* ---- rings ---- */

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

/* ---- negotiation and configuration ---- */

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

static const struct CMUnitTest tests[] = {
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
