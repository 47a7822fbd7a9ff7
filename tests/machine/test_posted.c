/* SPDX-License-Identifier: MIT
 *
 * Posted writes on a real machine: which registers the backend is told, wherever the guest puts
 * them, and when a write that waits reaches its device.
 *
 * The device is `everything` of pci-parts. A write to its register DMA puts the value into guest
 * memory, at what its register GPA says: the test sees it there while the guest spins.
 */
#include "machine/rig.h"

#include <time.h>

#define BAR 0xc0010000ull /* where firmware puts BAR 1 of function 1 */
#define MOVED 0xd0000000ull
#define GPA 0x0cu
#define DMA 0x10u
#define VALUE 0x31415926u
#define TARGET 0x5000u
#define READY 0x3ff8ull
#define RESULTS 0x3000ull

#define PARTS "posts = yes\n[e]\nplugin = pci-parts\nmodel = everything\n"
#define TICKER "[t]\nplugin = pci-parts\nmodel = ticker\nport = 0xd000\n"

#define CONFIG_WRITE(register, value)                                                              \
    {LOAD, 0, 0x80000900u | (register)}, {OUT, 4, 0xcf8}, {LOAD, 0, value},                        \
    {                                                                                              \
        OUT, 4, 0xcfc                                                                              \
    }
#define MASTER CONFIG_WRITE(0x04, 7)
/* A value of its own at TARGET, by the registers at `bar`. */
#define DO_DMA(bar, value)                                                                         \
    {LOAD, 0, TARGET}, {WRITE, 4, (bar) + GPA}, {LOAD, 0, value},                                  \
    {                                                                                              \
        WRITE, 4, (bar) + DMA                                                                      \
    }
#define COUNT(n)                                                                                   \
    {POSTED, 0, 0},                                                                                \
    {                                                                                              \
        WRITE, 4, RESULTS + 4ull * (n)                                                             \
    }
#define SPIN(n)                                                                                    \
    {LOAD, 0, 1}, {WRITE, 4, READY},                                                               \
    {                                                                                              \
        JUMP, 0, AT((n) + 2)                                                                       \
    }

static uint32_t peek(struct rig *r, uint64_t gpa)
{
    uint32_t value = 0;

    assert_int_equal(bp_machine_read(r->m, gpa, &value, sizeof(value)), 0);
    return value;
}

static void wait_for(struct rig *r, uint64_t gpa, uint32_t value)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int i = 0; i < PATIENCE_MS && peek(r, gpa) != value; i++)
        nanosleep(&moment, NULL);
    assert_int_equal(peek(r, gpa), value);
}

/* The ticker makes a turn of its loop each millisecond. */
static void a_turn_of_a_loop_brings_what_waits(void **state)
{
    static const char *const parts[] = {PARTS TICKER, PARTS TICKER "thread = yes\n"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct rig *r = make(CODE(MASTER, DO_DMA(BAR, VALUE), SPIN(8)), parts[i]);

        started(r);
        wait_for(r, TARGET, VALUE);
        wait_for(r, READY, 1);
        discard(r);
    }
}

static void a_vcpu_that_stops_brings_what_waits(void **state)
{
    struct rig *r = make(CODE(MASTER, DO_DMA(BAR, VALUE), SPIN(8)), PARTS);

    (void)state;
    started(r);
    wait_for(r, READY, 1);
    assert_int_equal(peek(r, TARGET), 0); /* no loop turns: nothing wakes one */
    assert_int_equal(bp_machine_pause(r->m), 0);
    assert_int_equal(peek(r, TARGET), VALUE);
    discard(r);
}

static void the_next_access_finds_it_done(void **state)
{
    struct rig *r = make(CODE(MASTER, DO_DMA(BAR, VALUE), {READ, 4, BAR}, {READ, 4, TARGET},
                              {WRITE, 4, RESULTS}, DO_DMA(BAR, VALUE + 1), {IN, 4, 0xcf8},
                              {READ, 4, TARGET}, {WRITE, 4, RESULTS + 4}, SPIN(16)),
                         PARTS);

    (void)state;
    started(r);
    wait_for(r, READY, 1);
    assert_int_equal(peek(r, RESULTS), VALUE);
    assert_int_equal(peek(r, RESULTS + 4), VALUE + 1);
    discard(r);
}

/* Two regions are in memory, one in ports, where nothing is posted. One that is switched off stays
 * posted, in case it comes back, until another one is there: that of function 0. */
static void the_registers_are_followed_wherever_they_go(void **state)
{
    struct rig *r =
        make(CODE(MASTER, COUNT(0), CONFIG_WRITE(0x14, MOVED), COUNT(1), DO_DMA(MOVED, VALUE),
                  {READ, 4, TARGET}, {WRITE, 4, RESULTS + 8}, CONFIG_WRITE(0x04, 4), COUNT(3),
                  {READ, 4, TARGET}, {WRITE, 4, RESULTS + 16}, CONFIG_WRITE(0x04, 7),
                  DO_DMA(MOVED, VALUE + 1), {READ, 4, TARGET}, {WRITE, 4, RESULTS + 20}, SPIN(34)),
             PARTS);

    (void)state;
    started(r);
    wait_for(r, READY, 1);
    assert_int_equal(peek(r, RESULTS), 2);
    assert_int_equal(peek(r, RESULTS + 4), 2);
    assert_int_equal(peek(r, RESULTS + 8), 0); /* it waits, ... */
    assert_int_equal(peek(r, RESULTS + 12), 2);
    assert_int_equal(peek(r, RESULTS + 16), VALUE); /* and has arrived before they are gone */
    assert_int_equal(peek(r, RESULTS + 20), VALUE); /* they are back, and it waits */
    discard(r);
}

/* `over`: where BAR 0 of function 0 goes, which is 64-bit; how many are posted after that. */
static uint32_t posted_after(uint64_t over)
{
    struct rig *r = make(CODE(CONFIG_WRITE(0x04, 4), {LOAD, 0, 0x80000810u}, {OUT, 4, 0xcf8},
                              {LOAD, 0, over}, {OUT, 4, 0xcfc}, {LOAD, 0, 0x80000814u},
                              {OUT, 4, 0xcf8}, {LOAD, 0, 0}, {OUT, 4, 0xcfc}, COUNT(0), SPIN(14)),
                         PARTS);
    uint32_t count;

    started(r);
    wait_for(r, READY, 1);
    count = peek(r, RESULTS);
    discard(r);
    return count;
}

static void what_is_mapped_there_instead_has_nothing_posted_but_its_own(void **state)
{
    (void)state;
    assert_int_equal(posted_after(0xd0000000u), 2);
    assert_int_equal(posted_after(BAR & ~0x3fffu), 1);
}

/* A region that was there before answers; the other's registers are not posted over it. When both
 * are off and the first comes back, they still are not. BAR 1 of function 1 goes over BAR 0 of
 * function 0, whose posted registers stay. */
static void registers_under_another_region_are_not_posted(void **state)
{
    struct rig *r =
        make(CODE(CONFIG_WRITE(0x14, 0xd0000000u), {LOAD, 0, 0x80000810u}, {OUT, 4, 0xcf8},
                  {LOAD, 0, 0xd0000000u}, {OUT, 4, 0xcfc}, {LOAD, 0, 0x80000814u}, {OUT, 4, 0xcf8},
                  {LOAD, 0, 0}, {OUT, 4, 0xcfc}, COUNT(0), CONFIG_WRITE(0x04, 0), COUNT(1),
                  CONFIG_WRITE(0x04, 3), COUNT(2), SPIN(26)),
             PARTS);

    (void)state;
    started(r);
    wait_for(r, READY, 1);
    assert_int_equal(peek(r, RESULTS), 1);     /* function 1's, which was there before */
    assert_int_equal(peek(r, RESULTS + 4), 1); /* now function 0's */
    assert_int_equal(peek(r, RESULTS + 8), 1);
    discard(r);
}

/* The fake has room for eight, and a device has two. */
static void what_the_backend_has_no_room_for_does_not_wait(void **state)
{
    struct rig *r =
        make(CODE(COUNT(0), SPIN(2)), PARTS "[e2]\nplugin = pci-parts\nmodel = everything\n"
                                            "[e3]\nplugin = pci-parts\nmodel = everything\n"
                                            "[e4]\nplugin = pci-parts\nmodel = everything\n"
                                            "[e5]\nplugin = pci-parts\nmodel = everything\n");

    (void)state;
    started(r);
    wait_for(r, READY, 1);
    assert_int_equal(peek(r, RESULTS), 8);
    discard(r);
}

static void without_the_backend_s_offer_nothing_waits(void **state)
{
    struct rig *r = make(CODE(MASTER, DO_DMA(BAR, VALUE), {READ, 4, TARGET}, {WRITE, 4, RESULTS},
                              COUNT(1), SPIN(12)),
                         "posts = no\n[e]\nplugin = pci-parts\nmodel = everything\n");

    (void)state;
    started(r);
    wait_for(r, READY, 1);
    assert_int_equal(peek(r, RESULTS), VALUE);
    assert_int_equal(peek(r, RESULTS + 4), 0);
    discard(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_of_a_loop_brings_what_waits),
        cmocka_unit_test(a_vcpu_that_stops_brings_what_waits),
        cmocka_unit_test(the_next_access_finds_it_done),
        cmocka_unit_test(the_registers_are_followed_wherever_they_go),
        cmocka_unit_test(what_is_mapped_there_instead_has_nothing_posted_but_its_own),
        cmocka_unit_test(registers_under_another_region_are_not_posted),
        cmocka_unit_test(what_the_backend_has_no_room_for_does_not_wait),
        cmocka_unit_test(without_the_backend_s_offer_nothing_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
