/* SPDX-License-Identifier: MIT
 *
 * examples/accelerator_test.c - the example on PCI, under the fake host and its PCI bus.
 */
#include "fakes/host.h"
#include "fakes/pci.h"

#include <backplane/util/le.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
    STATUS = 0x04,
    RING_LOW = 0x08,
    RING_HIGH = 0x0c,
    RING_SIZE = 0x10,
    HEAD = 0x14,
    TAIL = 0x18
};
enum { COPY = 1, CRC32 = 2, XOR = 3 };

#define RING 0x1000u
#define SOURCE 0x10000u
#define DESTINATION 0x80000u

struct config {
    uint32_t pci;
};

static const struct config defaults = {.pci = BP_PCI_ANY};

static uint32_t devfn(struct fake_host *h)
{
    return fake_pci_function(h, 0);
}

static uint32_t get(struct fake_host *h, uint32_t offset)
{
    return (uint32_t)fake_read(h, BP_SPACE_MMIO, FAKE_BAR_MEMORY(devfn(h), 0) + offset, 4);
}

static void put(struct fake_host *h, uint32_t offset, uint32_t value)
{
    fake_write(h, BP_SPACE_MMIO, FAKE_BAR_MEMORY(devfn(h), 0) + offset, value, 4);
}

static struct fake_host *started(void)
{
    struct fake_host *h = fake_host_new(PLUGIN_FILE, NULL, &defaults);

    fake_pci_start(h, devfn(h));
    fake_pci_msix_on(h, devfn(h));
    return h;
}

static int set_up(void **state)
{
    struct fake_host *h = started();

    put(h, RING_LOW, RING);
    put(h, RING_SIZE, 4);
    for (uint32_t i = 0; i < 0x40000; i++)
        fake_ram(h)[SOURCE + i] = (uint8_t)(i * 7 + i / 256);
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    fake_host_free(*state);
    return 0;
}

static uint8_t *fill(struct fake_host *h, uint32_t slot, uint32_t operation, uint64_t source,
                     uint64_t destination, uint32_t length, uint32_t value)
{
    uint8_t *d = fake_ram(h) + RING + (size_t)slot * 32;

    bp_put_le64(d, source);
    bp_put_le64(d + 8, destination);
    bp_put_le32(d + 16, length);
    bp_put_le32(d + 20, operation);
    bp_put_le32(d + 24, value);
    bp_put_le32(d + 28, 0);
    return d;
}

static void finish(struct fake_host *h)
{
    for (int i = 0; i < 1000 && get(h, TAIL) != get(h, HEAD); i++)
        fake_advance_ns(h, 1);
    assert_int_equal(get(h, TAIL), get(h, HEAD));
}

static void copies_sums_and_xors(void **state)
{
    struct fake_host *h = *state;
    uint8_t *ram = fake_ram(h), *d;

    fill(h, 0, COPY, SOURCE + 1, DESTINATION, 5001, 0);
    for (uint32_t i = 0; i < 9; i++)
        ram[0x8000 + i] = (uint8_t)('1' + i);
    d = fill(h, 1, CRC32, 0x8000, 0, 9, 0);
    fill(h, 2, XOR, 0x8000, 0x9000, 9, 0x44332211);
    put(h, HEAD, 3);
    finish(h);
    assert_memory_equal(ram + DESTINATION, ram + SOURCE + 1, 5001);
    assert_int_equal(ram[DESTINATION + 5001], 0);
    assert_int_equal(bp_le32(d + 24), 0xcbf43926); /* the check value of this CRC */
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(ram[0x9000 + i], ram[0x8000 + i] ^ 0x11 * (i % 4 + 1));
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(bp_le32(ram + RING + (size_t)i * 32 + 28), 1);
    assert_int_equal(get(h, STATUS), 1);
    assert_int_equal(fake_pci_messages(h, devfn(h), 0), 3);
    assert_int_equal(fake_pci_messages(h, devfn(h), 1), 0);
}

static void a_long_copy_goes_on_by_timer(void **state)
{
    struct fake_host *h = *state;
    uint8_t *d = fill(h, 0, COPY, SOURCE, DESTINATION, 0x30000, 0);

    put(h, HEAD, 1);
    assert_int_equal(get(h, TAIL), 0);
    assert_int_equal(bp_le32(d + 28), 0);
    assert_int_not_equal(fake_ram(h)[DESTINATION + 0x1001], 0);
    assert_int_equal(fake_ram(h)[DESTINATION + 0x2ffff], 0);
    memset(d, 0xff, 24); /* what was fetched counts */
    finish(h);
    assert_memory_equal(fake_ram(h) + DESTINATION, fake_ram(h) + SOURCE, 0x30000);
    assert_int_equal(bp_le32(d + 28), 1);
}

static void a_ring_of_empty_descriptors_is_bounded_too(void **state)
{
    struct fake_host *h = *state;

    put(h, RING_SIZE, 256);
    for (uint32_t i = 0; i < 256; i++)
        fill(h, i, COPY, 0, 0, 0, 0);
    put(h, HEAD, 256);
    assert_in_range(get(h, TAIL), 1, 255);
    finish(h);
    assert_int_equal(fake_pci_messages(h, devfn(h), 0), 256);
}

static void the_ring_goes_round(void **state)
{
    struct fake_host *h = *state;

    for (uint32_t i = 0; i < 11; i++) {
        fill(h, i % 4, CRC32, 0x8000, 0, 4, 0);
        put(h, HEAD, i + 1);
        finish(h);
        assert_int_equal(bp_le32(fake_ram(h) + RING + (size_t)(i % 4) * 32 + 28), 1);
    }
}

static void bad_descriptors_fail_one_by_one(void **state)
{
    static const struct {
        uint64_t source, destination;
        uint32_t length, operation;
    } bad[] = {
        {SOURCE, DESTINATION, 16, 0},
        {SOURCE, DESTINATION, 16, 4},
        {SOURCE, FAKE_RAM_BYTES - 8, 16, COPY},
        {FAKE_RAM_BYTES - 8, DESTINATION, 16, COPY},
        {UINT64_MAX - 7, DESTINATION, 16, COPY},
        {SOURCE, UINT64_MAX - 7, 16, XOR},
        {0, 0, UINT32_MAX, CRC32},
        {SOURCE, FAKE_BAR_MEMORY(8, 0), 4, COPY}, /* onto its own registers */
    };
    struct fake_host *h = *state;

    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t *d =
            fill(h, i % 4, bad[i].operation, bad[i].source, bad[i].destination, bad[i].length, 0);

        put(h, STATUS, 3);
        put(h, HEAD, i + 1);
        finish(h);
        assert_int_equal(bp_le32(d + 28), 2);
        assert_int_equal(get(h, STATUS), 2);
        assert_int_equal(fake_pci_messages(h, devfn(h), 1), 1);
    }
    assert_int_equal(fake_ram(h)[FAKE_RAM_BYTES - 1], 0);
    fill(h, 0, COPY, SOURCE, DESTINATION, 16, 0); /* and it works on */
    put(h, HEAD, 9);
    finish(h);
    assert_int_equal(get(h, STATUS), 3);
}

static void bad_rings_are_told(void **state)
{
    struct fake_host *h = *state;

    put(h, HEAD, 5);
    assert_string_equal(fake_log(h, NULL),
                        "HEAD 5 is ignored: TAIL is 0, HEAD was 0, and the ring has 4 descriptors");
    put(h, HEAD, UINT32_MAX);
    assert_int_equal(get(h, HEAD), 0);
    put(h, RING_LOW, 0);
    assert_string_equal(
        fake_log(h, NULL),
        "write of 0x0 to offset 0x8 is ignored: the ring is in use; RING_SIZE = 0 stops it");
    put(h, RING_SIZE, 512);
    assert_string_equal(
        fake_log(h, NULL),
        "a ring of 512 descriptors is ignored: a power of two up to 256 is expected");
    put(h, RING_SIZE, 3);
    assert_int_equal(get(h, RING_SIZE), 4);
    put(h, TAIL, 1);
    assert_string_equal(fake_log(h, NULL),
                        "write of 0x1 to offset 0x18 is ignored: no register can be written there");

    put(h, RING_SIZE, 0);
    put(h, RING_LOW, 0xfffffff0);
    put(h, RING_HIGH, 0xffffffff);
    put(h, RING_SIZE, 4);
    put(h, HEAD, 4);
    assert_int_equal(get(h, HEAD), 0); /* given up */
    assert_int_equal(get(h, STATUS), 2);
}

static void without_bus_mastering_nothing_is_touched(void **state)
{
    struct fake_host *h = *state;
    uint8_t *d = fill(h, 0, COPY, SOURCE, DESTINATION, 16, 0);

    fake_pci_write(h, devfn(h), 4, 2, 2); /* memory decoding alone */
    put(h, HEAD, 1);
    assert_int_equal(get(h, STATUS), 2);
    assert_int_equal(bp_le32(d + 28), 0);
    assert_int_equal(fake_ram(h)[DESTINATION], 0);
}

static void a_masked_vector_is_pending_and_intx_follows_status(void **state)
{
    struct fake_host *h = *state;

    fill(h, 0, CRC32, 0, 0, 0, 0);
    fake_pci_mask(h, devfn(h), 0, 1);
    put(h, HEAD, 1);
    assert_true(fake_pci_pending(h, devfn(h), 0));
    assert_int_equal(fake_pci_messages(h, devfn(h), 0), 0);
    fake_pci_mask(h, devfn(h), 0, 0);
    assert_int_equal(fake_pci_messages(h, devfn(h), 0), 1);

    fake_pci_messages_off(h, devfn(h));
    assert_int_equal(fake_pci_intx(h, devfn(h)), 1);
    put(h, STATUS, 1);
    assert_int_equal(fake_pci_intx(h, devfn(h)), 0);
}

static void a_snapshot_in_the_middle_of_a_copy(void **state)
{
    struct fake_host *h = *state, *to = started();

    fill(h, 0, COPY, SOURCE, DESTINATION, 0x30000, 0);
    put(h, HEAD, 1);
    assert_int_equal(get(h, TAIL), 0);
    memcpy(fake_ram(to), fake_ram(h), FAKE_RAM_BYTES);
    fake_move_state(h, to);
    finish(to);
    assert_memory_equal(fake_ram(to) + DESTINATION, fake_ram(h) + SOURCE, 0x30000);
    assert_int_equal(get(to, STATUS), 1);
    fake_host_free(to);
}

static void a_reset_gives_up_what_was_in_work(void **state)
{
    struct fake_host *h = *state;

    fill(h, 0, COPY, SOURCE, DESTINATION, 0x30000, 0);
    put(h, HEAD, 1);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    fake_pci_start(h, devfn(h));
    fake_advance_ns(h, 1000000);
    assert_int_equal(fake_ram(h)[DESTINATION + 0x2fffe], 0);
    assert_int_equal(get(h, HEAD), 0);
    assert_int_equal(get(h, RING_SIZE), 0);
}

static void a_machine_without_pci_is_refused(void **state)
{
    struct fake_host *h;

    (void)state;
    fake_pci_offer(false);
    assert_true(fake_host_try(PLUGIN_FILE, NULL, &defaults, &h) < 0);
    fake_pci_offer(true);
    assert_string_equal(fake_failure(), "an accelerator needs PCI; say `board = pc` in [machine]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_sums_and_xors),
        TEST(a_long_copy_goes_on_by_timer),
        TEST(a_ring_of_empty_descriptors_is_bounded_too),
        TEST(the_ring_goes_round),
        TEST(bad_descriptors_fail_one_by_one),
        TEST(bad_rings_are_told),
        TEST(without_bus_mastering_nothing_is_touched),
        TEST(a_masked_vector_is_pending_and_intx_follows_status),
        TEST(a_snapshot_in_the_middle_of_a_copy),
        TEST(a_reset_gives_up_what_was_in_work),
        cmocka_unit_test(a_machine_without_pci_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
