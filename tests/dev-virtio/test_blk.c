/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_blk.c - the disk: what a driver can ask of it, and what a bad one gets.
 */
#include "fakes/block.h"
#include "rig.h"

#include "blk/blk.h"

#include <backplane/util/le.h>
#include <errno.h>

#define BYTES 65536u
#define HEADER RIG_DATA
#define STATUS_AT (RIG_DATA + 0x100)
#define DATA (RIG_DATA + 0x1000)

static struct blk_config config;
static struct fake_block *disk;

static struct rig *make(const struct rig_kind *kind)
{
    config.block = fake_peer(BP_BLOCK_ID, &fake_block_ops, disk);
    return rig_new("blk", &config, kind);
}

static int setup(void **state)
{
    disk = fake_block_new(BYTES);
    config = (struct blk_config){.queues = 1, .serial = "B-17"};
    *state = make(*state);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    fake_block_free(disk);
    return 0;
}

static void header(struct rig *r, uint32_t type, uint64_t sector)
{
    uint8_t *h = rig_ram(r, HEADER);

    bp_put_le32(h, type);
    bp_put_le32(h + 4, 0);
    bp_put_le64(h + 8, sector);
    *rig_ram(r, STATUS_AT) = 0xee;
}

/* Makes a request available, and notifies. */
static void ask(struct rig *r, uint32_t type, uint64_t sector, uint32_t len)
{
    const struct rig_buffer b[] = {
        {HEADER, 16, 0}, {DATA, len, type == VIRTIO_BLK_T_IN || type == 8}, {STATUS_AT, 1, 1}};
    const struct rig_buffer plain[] = {b[0], b[2]};

    header(r, type, sector);
    rig_add(r, 0, len ? b : plain, len ? 3 : 2);
    rig_notify(r, 0);
}

/* A request from beginning to end; its status. */
static uint8_t run(struct rig *r, uint32_t type, uint64_t sector, uint32_t len)
{
    ask(r, type, sector, len);
    fake_block_complete(disk, 0);
    assert_true(rig_used(r, 0, NULL, NULL));
    return *rig_ram(r, STATUS_AT);
}

static void works(struct rig *r)
{
    assert_int_equal(run(r, VIRTIO_BLK_T_IN, 3, 1024), VIRTIO_BLK_S_OK);
    assert_memory_equal(rig_ram(r, DATA), disk->data + 3 * (size_t)512, 1024);
}

static void sectors_are_read(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < 40; i++)
        works(r);
    assert_true(rig_interrupted(r, 0));
}

static void sectors_are_written(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_BLK_F_FLUSH), 1);
    memset(rig_ram(r, DATA), 0xa5, 4096);
    assert_int_equal(run(r, VIRTIO_BLK_T_OUT, 100, 4096), VIRTIO_BLK_S_OK);
    assert_memory_equal(disk->data + 51200, rig_ram(r, DATA), 4096);
    assert_int_equal(disk->last_flags, 0);
    assert_int_equal(run(r, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(disk->seen[BP_BLOCK_FLUSH], 1);
}

static void a_driver_without_flush_writes_through(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    assert_int_equal(run(r, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_OK);
    assert_int_equal(disk->last_flags, BP_BLOCK_FUA);
}

static void the_cache_is_switched_by_the_driver(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE), 1);
    assert_int_equal(rig_config(r, BLK_writeback, 1), 1);
    rig_set_config(r, BLK_writeback, 0, 1);
    assert_int_equal(rig_config(r, BLK_writeback, 1), 0);
    assert_int_equal(run(r, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_OK);
    assert_int_equal(disk->last_flags, BP_BLOCK_FUA);
    rig_set_config(r, BLK_writeback, 2, 1);
    rig_set_config(r, BLK_capacity, 0, 4);
    assert_int_equal(rig_config(r, BLK_capacity, 4), BYTES / 512);
}

static void requests_complete_out_of_order(void **state)
{
    struct rig *r = *state;
    uint16_t ids[3], got = 0;

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < 3; i++) {
        const struct rig_buffer b[] = {
            {HEADER, 16, 0}, {DATA + 0x1000 * i, 512, 1}, {STATUS_AT + i, 1, 1}};

        header(r, VIRTIO_BLK_T_IN, 3);
        ids[i] = rig_add(r, 0, b, 3);
        rig_notify(r, 0);
    }
    assert_int_equal(disk->pending_count, 3);
    assert_false(rig_used(r, 0, NULL, NULL));
    fake_block_complete(disk, 1);
    for (uint32_t i = 3; i-- > 0;) {
        assert_true(rig_used(r, 0, &got, NULL));
        assert_int_equal(got, ids[i]);
    }
    works(r);
}

static void what_is_done_at_once_is_shown_by_one_interrupt(void **state)
{
    enum { COUNT = 5 };
    struct rig *r = *state;

    rig_start(r, 0, 1);
    disk->at_once = 1;
    header(r, VIRTIO_BLK_T_IN, 3);
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct rig_buffer b[] = {
            {HEADER, 16, 0}, {DATA + 0x200 * i, 512, 1}, {STATUS_AT + i, 1, 1}};

        rig_add(r, 0, b, 3);
    }
    if (r->kind.transport == TRANSPORT_PCI)
        fake_pci_messages(r->host, r->devfn, 1);
    rig_notify(r, 0);
    assert_int_equal(disk->pending_count, 0);
    if (r->kind.transport == TRANSPORT_PCI)
        assert_int_equal(fake_pci_messages(r->host, r->devfn, 1), 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(rig_used(r, 0, NULL, NULL));
        assert_memory_equal(rig_ram(r, DATA + 0x200 * i), disk->data + 3 * (size_t)512, 512);
    }
    assert_false(rig_used(r, 0, NULL, NULL));
    /* What completes later is shown as ever. */
    disk->at_once = 0;
    works(r);
}

static void the_configuration_tells_the_disk(void **state)
{
    struct rig *r = *state;
    uint64_t f = rig_features(r);

    assert_int_equal(rig_config(r, BLK_capacity, 4), BYTES / 512);
    assert_int_equal(rig_config(r, BLK_seg_max, 4), RIG_QUEUE_SIZE - 2);
    assert_int_equal(rig_config(r, BLK_blk_size, 4), 512);
    assert_int_equal(rig_config(r, BLK_physical_block_exp, 1), 3);
    assert_int_equal(rig_config(r, BLK_max_discard_sectors, 4), 1024);
    assert_int_equal(rig_config(r, BLK_CONFIG_BYTES, 4), 0);
    assert_true(f & BIT(VIRTIO_BLK_F_DISCARD) && f & BIT(VIRTIO_BLK_F_WRITE_ZEROES));
    assert_false(f & BIT(VIRTIO_BLK_F_RO));
}

static void the_serial_number_is_told(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    memset(rig_ram(r, DATA), 0xff, 20);
    assert_int_equal(run(r, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
    assert_memory_equal(rig_ram(r, DATA), "B-17\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
}

static uint8_t erase(struct rig *r, uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
    uint8_t *range = rig_ram(r, DATA);

    bp_put_le64(range, sector);
    bp_put_le32(range + 8, count);
    bp_put_le32(range + 12, flags);
    return run(r, type, 0, 16);
}

static void ranges_are_discarded_and_zeroed(void **state)
{
    static const uint8_t zeroes[1024];
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES), 1);
    assert_int_equal(erase(r, VIRTIO_BLK_T_WRITE_ZEROES, 8, 2, 1), VIRTIO_BLK_S_OK);
    assert_memory_equal(disk->data + 4096, zeroes, 1024);
    assert_int_equal(disk->last_flags, BP_BLOCK_UNMAP | BP_BLOCK_FUA);
    assert_int_equal(erase(r, VIRTIO_BLK_T_DISCARD, 16, 2, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(disk->seen[BP_BLOCK_DISCARD], 1);
}

static void an_error_of_the_backend_is_the_guests_to_handle(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    disk->fails = -ENOSPC;
    assert_int_equal(run(r, VIRTIO_BLK_T_OUT, 2, 512), VIRTIO_BLK_S_IOERR);
    assert_string_equal(
        fake_log(r->host, NULL),
        "cannot write 512 bytes at 1024: No space left on device; the guest is told");
    disk->fails = 0;
    works(r);
}

static void a_new_size_is_told(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    disk->port->resized(disk->port_self, BYTES / 2);
    assert_true(rig_config_interrupted(r));
    assert_int_equal(rig_config(r, BLK_capacity, 4), BYTES / 2 / 512);
    assert_int_equal(run(r, VIRTIO_BLK_T_IN, BYTES / 2 / 512, 512), VIRTIO_BLK_S_IOERR);
}

static void every_queue_works(void **state)
{
    const struct rig_kind *kind = *state;
    struct rig *r;

    disk = fake_block_new(BYTES);
    config = (struct blk_config){.queues = 4};
    r = make(kind);
    assert_int_equal(rig_config(r, BLK_num_queues, 2), 4);
    rig_start(r, BIT(VIRTIO_BLK_F_MQ), 4);
    for (uint32_t n = 0; n < 4; n++) {
        const struct rig_buffer b[] = {{HEADER, 16, 0}, {DATA, 512, 1}, {STATUS_AT, 1, 1}};

        header(r, VIRTIO_BLK_T_IN, n);
        rig_add(r, n, b, 3);
        rig_notify(r, n);
        fake_block_complete(disk, 0);
        assert_true(rig_used(r, n, NULL, NULL));
        assert_true(rig_interrupted(r, n));
        assert_memory_equal(rig_ram(r, DATA), disk->data + 512 * (size_t)n, 512);
    }
    rig_free(r);
    fake_block_free(disk);
}

static void nothing_is_under_way_when_it_stops(void **state)
{
    struct rig *r = *state;
    struct fake_block *first = disk, *second = fake_block_new(BYTES);
    struct blk_config other = config;
    struct rig *to;

    rig_start(r, 0, 1);
    ask(r, VIRTIO_BLK_T_IN, 1, 512);
    other.block = fake_peer(BP_BLOCK_ID, &fake_block_ops, second);
    to = rig_new("blk", &other, &r->kind);
    fake_move_state(r->host, to->host); /* stops both */
    assert_int_equal(first->pending_count, 0);
    assert_true(rig_used(r, 0, NULL, NULL));
    memcpy(fake_ram(to->host), fake_ram(r->host), FAKE_RAM_BYTES);
    memcpy(to->queues, r->queues, sizeof(to->queues));
    disk = second;
    works(to);
    rig_free(to);
    fake_block_free(second);
    disk = first;
}

/* ---- what a guest should not do ---- */

static void bad_46_reset_with_requests_under_way(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    ask(r, VIRTIO_BLK_T_IN, 1, 512);
    rig_set_status(r, 0);
    assert_int_not_equal(rig_status(r), 0); /* not yet: the disk still writes to memory */
    assert_int_equal(fake_block_complete(disk, 0), 1);
    assert_int_equal(rig_status(r), 0);
    assert_int_equal(*rig_ram(r, STATUS_AT), 0xee);
    assert_false(rig_used(r, 0, NULL, NULL));
    rig_start(r, 0, 1);
    works(r);
}

static void bad_46_driver_that_does_not_wait_for_the_reset(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    ask(r, VIRTIO_BLK_T_IN, 1, 512);
    rig_start(r, 0, 1);
    ask(r, VIRTIO_BLK_T_IN, 3, 1024); /* waits until the old one is done */
    assert_int_equal(disk->pending_count, 1);
    fake_block_complete(disk, 0);
    fake_advance_ns(r->host, 0);
    assert_int_equal(fake_block_complete(disk, 0), 1);
    assert_true(rig_used(r, 0, NULL, NULL));
    assert_memory_equal(rig_ram(r, DATA), disk->data + 3 * (size_t)512, 1024);
}

static void bad_46_queue_reset_with_requests_under_way(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_F_RING_RESET), 1);
    ask(r, VIRTIO_BLK_T_IN, 1, 512);
    rig_select(r, 0);
    rig_queue_reset(r);
    assert_int_equal(rig_queue_resetting(r), 1);
    fake_block_complete(disk, 0);
    assert_int_equal(rig_queue_resetting(r), 0);
    assert_false(rig_used(r, 0, NULL, NULL));
    rig_setup(r, 0);
    works(r);
}

static void bad_49_header_only(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer alone = {HEADER, 16, 0};
    const struct rig_buffer cut[] = {{HEADER, 15, 0}, {STATUS_AT, 1, 1}};

    rig_start(r, 0, 1);
    header(r, VIRTIO_BLK_T_IN, 0);
    assert_int_equal(rig_do(r, 0, &alone, 1), 0);
    rig_do(r, 0, cut, 2);
    assert_int_equal(*rig_ram(r, STATUS_AT), VIRTIO_BLK_S_IOERR);
    works(r);
}

static void bad_50_sectors(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t len;
    } cases[] = {{BYTES / 512, 512},
                 {BYTES / 512 - 1, 1024},
                 {UINT64_MAX, 512},
                 {UINT64_MAX / 512, 512},
                 {0x80000000000000, 512},
                 {0, 513},
                 {0, 1}};
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(r, VIRTIO_BLK_T_IN, cases[i].sector, cases[i].len),
                         VIRTIO_BLK_S_IOERR);
        assert_int_equal(run(r, VIRTIO_BLK_T_OUT, cases[i].sector, cases[i].len),
                         VIRTIO_BLK_S_IOERR);
    }
    assert_int_equal(run(r, 99, 0, 512), VIRTIO_BLK_S_UNSUPP);
    works(r);
}

static void bad_50_no_status_byte(void **state)
{
    const struct rig_buffer out[] = {{HEADER, 16, 0}, {DATA, 512, 0}};
    const struct rig_buffer in[] = {{HEADER, 16, 0}, {DATA, 512, 1}};
    struct rig *r = *state;

    rig_start(r, 0, 1);
    memset(rig_ram(r, DATA), 0x77, 512);
    header(r, VIRTIO_BLK_T_OUT, 0);
    assert_int_equal(rig_do(r, 0, out, 2), 0);
    assert_string_equal(fake_log(r->host, NULL), "a request without a status byte");
    assert_int_equal(disk->seen[BP_BLOCK_WRITE], 0);
    /* The last byte is the status, whatever it was meant for: 511 bytes are left. */
    header(r, VIRTIO_BLK_T_IN, 0);
    assert_int_equal(rig_do(r, 0, in, 2), 0);
    assert_int_equal(*rig_ram(r, DATA + 511), VIRTIO_BLK_S_IOERR);
    for (uint32_t i = 0; i < 511; i++)
        assert_int_equal(*rig_ram(r, DATA + i), 0x77);
    assert_int_equal(disk->seen[BP_BLOCK_READ], 0);
    works(r);
}

static void bad_50_discards(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_BLK_F_DISCARD), 1);
    assert_int_equal(erase(r, VIRTIO_BLK_T_DISCARD, 0, 0xffffffff, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(erase(r, VIRTIO_BLK_T_DISCARD, UINT64_MAX, 1, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(erase(r, VIRTIO_BLK_T_DISCARD, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(erase(r, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(run(r, VIRTIO_BLK_T_DISCARD, 0, 32), VIRTIO_BLK_S_IOERR);
    assert_int_equal(disk->seen[BP_BLOCK_DISCARD], 0);
    works(r);
}

static void bad_50_writes_to_a_disk_that_is_read_only(void **state)
{
    const struct rig_kind *kind = *state;
    struct rig *r;

    disk = fake_block_new(BYTES);
    config = (struct blk_config){.queues = 1, .readonly = 1};
    r = make(kind);
    assert_true(rig_features(r) & BIT(VIRTIO_BLK_F_RO));
    assert_false(rig_features(r) & BIT(VIRTIO_BLK_F_DISCARD));
    rig_start(r, 0, 1);
    assert_int_equal(run(r, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
    assert_int_equal(disk->seen[BP_BLOCK_WRITE], 0);
    works(r);
    rig_free(r);
    fake_block_free(disk);
}

static void bad_43_data_and_status_outside_ram(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer data[] = {{HEADER, 16, 0}, {FAKE_RAM_BYTES, 512, 1}, {STATUS_AT, 1, 1}};
    const struct rig_buffer status[] = {{HEADER, 16, 0}, {DATA, 512, 1}, {RIG_MMIO_BASE, 1, 1}};

    rig_start(r, 0, 1);
    header(r, VIRTIO_BLK_T_IN, 0);
    assert_int_equal(rig_do(r, 0, data, 3), 0);
    assert_int_equal(*rig_ram(r, STATUS_AT), VIRTIO_BLK_S_IOERR);
    rig_add(r, 0, status, 3);
    rig_notify(r, 0);
    fake_block_complete(disk, 0);
    assert_true(rig_used(r, 0, NULL, NULL));
    works(r);
}

static void bad_45_descriptor_changed_after_it_was_taken(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    ask(r, VIRTIO_BLK_T_IN, 3, 512);
    memset(rig_ram(r, RIG_DESC(0)), 0xff, 12); /* address and length of the first */
    header(r, VIRTIO_BLK_T_OUT, UINT64_MAX);
    fake_block_complete(disk, 0);
    assert_memory_equal(rig_ram(r, DATA), disk->data + 3 * (size_t)512, 512);
    assert_int_equal(*rig_ram(r, STATUS_AT), VIRTIO_BLK_S_OK);
}

/* The header turns into another one as soon as it was read. */
static void spoil_header(struct fake_host *h, uint64_t gpa, uint64_t len)
{
    if (gpa <= HEADER && HEADER < gpa + len)
        memset(fake_ram(h) + HEADER, 0xff, 16);
}

static void bad_45_header_that_changes_when_it_was_read(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_BLK_F_FLUSH), 1);
    memset(rig_ram(r, DATA), 0x77, 512);
    fake_after_dma_read(r->host, spoil_header);
    assert_int_equal(run(r, VIRTIO_BLK_T_OUT, 5, 512), VIRTIO_BLK_S_OK);
    assert_memory_equal(disk->data + 5 * (size_t)512, rig_ram(r, DATA), 512);
    assert_int_equal(run(r, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    fake_after_dma_read(r->host, NULL);
    assert_int_equal(disk->seen[BP_BLOCK_FLUSH], 1);
}

/* A driver that reads the two halves of the capacity, and a size that changes in between: the
 * generation tells it to read again (2.5.2). */
static void bad_56_configuration_that_changes_between_two_reads(void **state)
{
    struct rig *r = *state;
    int is_pci = r->kind.transport == TRANSPORT_PCI;
    uint64_t generation_at = r->bar + (is_pci ? 0x15 : 0xfc), before;
    uint32_t width = is_pci ? 1 : 4, low;

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < 300; i++) { /* PCI's counter has 8 bits */
        uint64_t size = BYTES - 512 * (uint64_t)(i % 2 + 1);

        before = fake_read(r->host, BP_SPACE_MMIO, generation_at, width);
        assert_int_equal(fake_read(r->host, BP_SPACE_MMIO, generation_at, width), before);
        low = rig_config(r, BLK_capacity, 4);
        disk->port->resized(disk->port_self, size);
        rig_config(r, BLK_capacity + 4, 4);
        assert_int_not_equal(fake_read(r->host, BP_SPACE_MMIO, generation_at, width), before);
        assert_int_not_equal(rig_config(r, BLK_capacity, 4), low);
        assert_int_equal(rig_config(r, BLK_capacity, 4), size / 512);
        assert_int_equal(rig_config(r, BLK_capacity + 4, 4), 0);
    }
}

/* Memory decoding goes, and comes back, while the disk writes to guest memory. */
static void bad_61_decoding_is_off_while_data_move(void **state)
{
    struct rig *r = *state;

    if (r->kind.transport != TRANSPORT_PCI)
        return;
    rig_start(r, 0, 1);
    ask(r, VIRTIO_BLK_T_IN, 3, 512);
    fake_pci_write(r->host, r->devfn, 4, 4, 2); /* bus master stays */
    assert_int_equal(fake_read(r->host, BP_SPACE_MMIO, r->bar + 0x14, 1), 0xff);
    rig_notify(r, 0); /* reaches nobody */
    fake_block_complete(disk, 0);
    fake_pci_write(r->host, r->devfn, 4, 6, 2);
    assert_false(rig_status(r) & STATUS_NEEDS_RESET);
    assert_true(rig_used(r, 0, NULL, NULL));
    assert_memory_equal(rig_ram(r, DATA), disk->data + 3 * (size_t)512, 512);
    works(r);
}

static void bad_39_used_ring_that_cannot_be_written_any_more(void **state)
{
    struct rig *r = *state;

    if (r->kind.transport != TRANSPORT_PCI)
        return;
    rig_start(r, 0, 1);
    ask(r, VIRTIO_BLK_T_IN, 3, 512);
    fake_pci_write(r->host, r->devfn, 4, 2, 2); /* memory decode stays, bus master goes */
    fake_block_complete(disk, 0);
    assert_true(rig_status(r) & STATUS_NEEDS_RESET);
    fake_pci_write(r->host, r->devfn, 4, 6, 2);
    rig_start(r, 0, 1);
    works(r);
}

static void bad_configurations_are_told(void **state)
{
    struct fake_host *h;

    (void)state;
    disk = fake_block_new(BYTES);
    config = (struct blk_config){.queues = 1,
                                 .serial = "a serial number of more than 20 bytes",
                                 .block = fake_peer(BP_BLOCK_ID, &fake_block_ops, disk),
                                 .virtio = {.queue_size = 256, .slot = UINT32_MAX}};
    assert_int_equal(fake_host_try(PLUGIN_FILE, "blk", &config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "serial has 37 bytes; a disk's serial number has at most 20");
    config.serial = NULL;
    config.virtio.queue_size = 100;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "blk", &config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "queue-size 100 is not a power of two from 1 to 256; use 256");
    fake_block_free(disk);
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(sectors_are_read, setup, teardown),
    RIG_EACH(sectors_are_written, setup, teardown),
    RIG_EACH(a_driver_without_flush_writes_through, setup, teardown),
    RIG_EACH(the_cache_is_switched_by_the_driver, setup, teardown),
    RIG_EACH(requests_complete_out_of_order, setup, teardown),
    RIG_EACH(what_is_done_at_once_is_shown_by_one_interrupt, setup, teardown),
    RIG_EACH(the_configuration_tells_the_disk, setup, teardown),
    RIG_EACH(the_serial_number_is_told, setup, teardown),
    RIG_EACH(ranges_are_discarded_and_zeroed, setup, teardown),
    RIG_EACH(an_error_of_the_backend_is_the_guests_to_handle, setup, teardown),
    RIG_EACH(a_new_size_is_told, setup, teardown),
    RIG_EACH(every_queue_works, NULL, NULL),
    RIG_EACH(nothing_is_under_way_when_it_stops, setup, teardown),
    RIG_EACH(bad_39_used_ring_that_cannot_be_written_any_more, setup, teardown),
    RIG_EACH(bad_43_data_and_status_outside_ram, setup, teardown),
    RIG_EACH(bad_45_descriptor_changed_after_it_was_taken, setup, teardown),
    RIG_EACH(bad_45_header_that_changes_when_it_was_read, setup, teardown),
    RIG_EACH(bad_56_configuration_that_changes_between_two_reads, setup, teardown),
    RIG_EACH(bad_61_decoding_is_off_while_data_move, setup, teardown),
    RIG_EACH(bad_46_reset_with_requests_under_way, setup, teardown),
    RIG_EACH(bad_46_driver_that_does_not_wait_for_the_reset, setup, teardown),
    RIG_EACH(bad_46_queue_reset_with_requests_under_way, setup, teardown),
    RIG_EACH(bad_49_header_only, setup, teardown),
    RIG_EACH(bad_50_sectors, setup, teardown),
    RIG_EACH(bad_50_no_status_byte, setup, teardown),
    RIG_EACH(bad_50_discards, setup, teardown),
    RIG_EACH(bad_50_writes_to_a_disk_that_is_read_only, NULL, NULL),
    cmocka_unit_test(bad_configurations_are_told),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
