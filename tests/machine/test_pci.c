/* SPDX-License-Identifier: MIT
 *
 * PCI on a real machine: what firmware did before the guest's first instruction, BARs on the real
 * bus, messages as memory writes, and what is said of places that cannot be had.
 *
 * The guest is a bytecode that leaves what it read at RESULTS.
 */
#include "machine/rig.h"

#include <errno.h>
#include <time.h>

#define RESULTS 0x3000ull
#define DONE 0x3ffcull
#define EVERYTHING "[e]\nplugin = pci-parts\nmodel = everything\n"
#define LONE(name, pci) "[" name "]\nplugin = pci-parts\nmodel = lone\npci = " pci "\n"
#define FN(device, function, offset) (0x80000000u | (device) << 11 | (function) << 8 | (offset))

#define CONFIG_READ(address, n)                                                                    \
    {LOAD, 0, address}, {OUT, 4, 0xcf8}, {IN, 4, 0xcfc},                                           \
    {                                                                                              \
        WRITE, 4, RESULTS + 4ull * (n)                                                             \
    }
#define CONFIG_WRITE(address, value)                                                               \
    {LOAD, 0, address}, {OUT, 4, 0xcf8}, {LOAD, 0, value},                                         \
    {                                                                                              \
        OUT, 4, 0xcfc                                                                              \
    }
#define MEMORY_READ(address, n)                                                                    \
    {READ, 4, address},                                                                            \
    {                                                                                              \
        WRITE, 4, RESULTS + 4ull * (n)                                                             \
    }
#define MEMORY_WRITE(address, value)                                                               \
    {LOAD, 0, value},                                                                              \
    {                                                                                              \
        WRITE, 4, address                                                                          \
    }
#define PORT_READ(port, n)                                                                         \
    {IN, 4, port},                                                                                 \
    {                                                                                              \
        WRITE, 4, RESULTS + 4ull * (n)                                                             \
    }
#define END                                                                                        \
    {LOAD, 0, 1}, {WRITE, 4, DONE}, {HLT, 0, 0},                                                   \
    {                                                                                              \
        HLT, 0, 0                                                                                  \
    }

/* Starts it, waits for END, and reads the first `count` results. */
static void run(struct rig *r, uint32_t *results, size_t count)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    uint32_t done = 0;

    started(r);
    for (int i = 0; i < PATIENCE_MS && !done; i++) {
        assert_int_equal(bp_machine_read(r->m, DONE, &done, sizeof(done)), 0);
        nanosleep(&moment, NULL);
    }
    assert_int_equal(done, 1);
    assert_int_equal(bp_machine_read(r->m, RESULTS, results, 4 * count), 0);
    assert_string_equal(r->said, "");
    discard(r);
}

static void firmware_gave_bars_addresses_and_lets_them_decode(void **state)
{
    uint32_t is[10];
    (void)state;

    run(make(CODE(CONFIG_READ(FN(1, 0, 0x04), 0), CONFIG_READ(FN(1, 0, 0x10), 1),
                  CONFIG_READ(FN(1, 0, 0x14), 2), CONFIG_READ(FN(1, 0, 0x18), 3),
                  CONFIG_READ(FN(1, 0, 0x3c), 4), CONFIG_READ(FN(1, 1, 0x10), 5),
                  CONFIG_READ(FN(1, 1, 0x14), 6), CONFIG_READ(FN(1, 1, 0x3c), 7),
                  MEMORY_READ(0x100000000, 8), PORT_READ(0xc000, 9), END),
             EVERYTHING),
        is, 10);
    assert_int_equal(is[0], 0x00100003);
    assert_int_equal(is[1], 0x0000000c);
    assert_int_equal(is[2], 1); /* 64-bit prefetchable: above RAM */
    assert_int_equal(is[3], 0x0000c001);
    assert_int_equal(is[4], 0x0111); /* INTA on line 17 */
    assert_int_equal(is[5], 0xc0000008);
    assert_int_equal(is[6], 0xc0010000);
    assert_int_equal(is[7], 0x0212);
    assert_int_equal(is[8], 0x49435042);
    assert_int_equal(is[9], 0x49435042);
}

static void any_device_is_one_that_nobody_names(void **state)
{
    uint32_t is[3];
    (void)state;

    run(make(CODE(CONFIG_READ(FN(1, 0, 0), 0), CONFIG_READ(FN(2, 0, 0), 1),
                  CONFIG_READ(FN(3, 0, 0), 2), END),
             EVERYTHING LONE("a", "1")),
        is, 3);
    assert_int_equal(is[0], 0xbac31b36);
    assert_int_equal(is[1], 0xbac01b36);
    assert_int_equal(is[2], UINT32_MAX);
}

static void firmware_goes_around_what_is_placed(void **state)
{
    uint32_t is[1];
    (void)state;

    run(make(CODE(CONFIG_READ(FN(1, 0, 0x18), 0), END),
             EVERYTHING "[x]\nplugin = dev-pc\nmodel = debug-exit\nport = 0xc010\n"),
        is, 1);
    assert_int_equal(is[0], 0xc021);
}

static void bad_57_58_bars_over_ram_and_each_other(void **state)
{
    uint32_t is[5];
    (void)state;

    /* RAM wins, then what was mapped first; what they covered is there again afterwards. */
    run(make(CODE(MEMORY_WRITE(0x5000, 0x1234), CONFIG_WRITE(FN(1, 1, 0x10), 0),
                  MEMORY_READ(0x5000, 0), CONFIG_WRITE(FN(1, 1, 0x10), 0xc0010000),
                  MEMORY_READ(0xc0010000, 1), CONFIG_WRITE(FN(1, 1, 0x14), 0xd0000000),
                  MEMORY_READ(0xc0010000, 2), MEMORY_READ(0xd0000000, 3),
                  CONFIG_WRITE(FN(1, 1, 0x04), 0), MEMORY_READ(0xd0000000, 4), END),
             EVERYTHING),
        is, 5);
    assert_int_equal(is[0], 0x1234);
    assert_int_equal(is[1], 0x49435042);
    assert_int_equal(is[2], 0);
    assert_int_equal(is[3], 0x49435042);
    assert_int_equal(is[4], UINT32_MAX);
}

static void bad_60_bars_at_the_top_of_the_space(void **state)
{
    uint32_t is[3];
    (void)state;

    run(make(CODE(CONFIG_WRITE(FN(1, 1, 0x14), 0xffffffff), CONFIG_READ(FN(1, 1, 0x14), 0),
                  MEMORY_READ(0xfffff000, 1), CONFIG_WRITE(FN(1, 0, 0x10), 0xffffffff),
                  CONFIG_WRITE(FN(1, 0, 0x14), 0xffffffff), MEMORY_READ(0, 2), END),
             EVERYTHING),
        is, 3);
    assert_int_equal(is[0], 0xfffff000);
    assert_int_equal(is[1], 0x49435042);
    assert_int_equal(is[2], 0); /* RAM */
}

static void bad_63_message_to_ram_is_a_memory_write(void **state)
{
    uint32_t is[3];
    (void)state;

    /* MSI of function 1 stands at 0x40. Registers of function 1 are BAR 1. */
    run(make(CODE(CONFIG_WRITE(FN(1, 1, 0x04), 0x6), CONFIG_WRITE(FN(1, 1, 0x44), 0x5000),
                  CONFIG_WRITE(FN(1, 1, 0x4c), 0xbeef), CONFIG_WRITE(FN(1, 1, 0x40), 0x10000),
                  MEMORY_WRITE(0xc0010004, 0), MEMORY_READ(0x5000, 0),
                  CONFIG_WRITE(FN(1, 1, 0x44), 0xd0000000), MEMORY_WRITE(0xc0010004, 0),
                  MEMORY_READ(0xc0010008, 1), END),
             EVERYTHING),
        is, 2);
    assert_int_equal(is[0], 0xbeef);
    assert_int_equal(is[1], 1);
}

static void bad_61_bar_moves_while_another_processor_uses_it(void **state)
{
    /* Processor 1 reads and writes through the BAR for ever. Processor 0 sizes it, moves it over
     * another and back, and switches decoding off and on, for ever. */
    struct rig *r = make(
        CODE({NAME, 0, 0}, {JUMP_ZERO, 0, AT(5)}, {READ, 4, 0xc001001c}, {WRITE, 4, 0xc001001c},
             {JUMP, 0, AT(2)}, CONFIG_WRITE(FN(1, 1, 0x14), 0xffffffff),
             CONFIG_WRITE(FN(1, 1, 0x14), 0xc0000000), CONFIG_WRITE(FN(1, 1, 0x14), 0xc0010000),
             CONFIG_WRITE(FN(1, 1, 0x04), 0), CONFIG_WRITE(FN(1, 1, 0x04), 7), {JUMP, 0, AT(5)}),
        "together = yes\n" EVERYTHING);
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.cpus", "2", "test"), 0);
    started(r);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(bp_machine_pause(r->m), 0);
        assert_int_equal(bp_machine_resume(r->m), 0);
    }
    assert_int_equal(bp_machine_stop(r->m), 0);
    assert_int_equal(wait_end(r).reason, BP_EXIT_QUIT);
    assert_string_equal(r->said, "");
    discard(r);
}

static void refuses(const char *more, const char *sentence)
{
    struct rig *r = make(CODE({HLT, 0, 0}), more);

    assert_true(bp_machine_start(r->m) < 0);
    assert_string_equal(r->said, sentence);
    discard(r);
}

static void bad_94_places_that_cannot_be_had(void **state)
{
    (void)state;
    refuses("[e]\nplugin = pci-parts\nmodel = everything\npci = 4\n" LONE("a", "4.1"),
            "[a] lone cannot be made: PCI function 04.1: [e] has this place; choose another\n");
    refuses(LONE("a", "5.1"),
            "[a] PCI function 05.1 would not be found: its device has no function 0, by which a "
            "guest looks for the others; give that to a section, or choose function 0\n");
    refuses(LONE("a", "5.0") LONE("b", "5"),
            "[b] pci = 5 (PCI function 5.0) is taken by [a] pci = 5.0 (PCI function 5.0, "
            "test.ini:10)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_gave_bars_addresses_and_lets_them_decode),
        cmocka_unit_test(any_device_is_one_that_nobody_names),
        cmocka_unit_test(firmware_goes_around_what_is_placed),
        cmocka_unit_test(bad_57_58_bars_over_ram_and_each_other),
        cmocka_unit_test(bad_60_bars_at_the_top_of_the_space),
        cmocka_unit_test(bad_61_bar_moves_while_another_processor_uses_it),
        cmocka_unit_test(bad_63_message_to_ram_is_a_memory_write),
        cmocka_unit_test(bad_94_places_that_cannot_be_had),
    };

    return cmocka_run_group_tests_name("machine_pci", tests, NULL, NULL);
}
