/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_race.c - a guest on another processor: while the device walks its rings, a thread
 * changes indexes, descriptors, flags, wrap bits and event words, and the data.
 *
 * What is proven: nothing crashes, and with ThreadSanitizer (preset tsan) that the device has
 * nothing else in common with the guest but guest memory, ring words by atomic accesses and the
 * rest through the host's DMA functions. A device that was misled needs a reset, and works after
 * it; one that was not goes on. How the two interleave is left to the machine.
 */
#include "dev-uart/fake_char.h"
#include "fake_net.h"
#include "fakes/block.h"
#include "rig.h"

#include "balloon/balloon.h"
#include "blk/blk.h"
#include "console/console.h"
#include "net/net.h"
#include "rng/rng.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROUNDS 100u
#define QUEUES_MAX 2u
#define NOTIFIES 8u

struct guest {
    uint8_t *ram;
    uint32_t seed;
    atomic_uint stop, turns;
};

static uint32_t pick(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(*seed >> 4) * below) >> 28);
}

static void put16(struct guest *g, uint64_t gpa, uint32_t value)
{
    __atomic_store_n((uint16_t *)(void *)(g->ram + gpa), (uint16_t)value, __ATOMIC_RELAXED);
}

/* One change of queue `n`, of a kind that a driver makes at the wrong moment. */
static void disturb(struct guest *g, uint32_t n)
{
    uint32_t *seed = &g->seed, entry = pick(seed, RIG_QUEUE_SIZE);

    switch (pick(seed, 9)) {
    case 0: /* available index, or driver event suppression */
        put16(g, RIG_DRIVER(n) + 2, pick(seed, 40));
        break;
    case 1: /* an available entry */
        put16(g, RIG_DRIVER(n) + 4 + 2 * (uint64_t)entry, pick(seed, 20));
        break;
    case 2: /* used_event; or off_wrap */
        put16(g, RIG_DRIVER(n) + 4 + 2 * RIG_QUEUE_SIZE, pick(seed, 0x10000));
        put16(g, RIG_DRIVER(n), pick(seed, 0x10000));
        break;
    case 3: /* flags of split, id of packed descriptors */
        put16(g, RIG_DESC(n) + 16 * (uint64_t)entry + 12, pick(seed, 8));
        break;
    case 4: /* next of split; flags of packed, wrap bits among them */
        put16(g, RIG_DESC(n) + 16 * (uint64_t)entry + 14,
              pick(seed, 8) | (pick(seed, 2) ? DESC_F_AVAIL : 0u) |
                  (pick(seed, 2) ? DESC_F_USED : 0u));
        break;
    case 5: /* an address's low half */
        put16(g, RIG_DESC(n) + 16 * (uint64_t)entry, pick(seed, 0x10000));
        break;
    case 6: /* a length */
        put16(g, RIG_DESC(n) + 16 * (uint64_t)entry + 8, pick(seed, 3000));
        break;
    case 7: /* an entry of an indirect table */
        put16(g, RIG_TABLE(n) + 2 * (uint64_t)pick(seed, 64), pick(seed, 0x10000));
        break;
    default: /* headers and data */
        put16(g, RIG_DATA + 2 * (uint64_t)pick(seed, 64), pick(seed, 20));
    }
}

static void *run_guest(void *context)
{
    struct guest *g = context;

    while (!atomic_load(&g->stop)) {
        disturb(g, pick(&g->seed, QUEUES_MAX));
        atomic_fetch_add(&g->turns, 1);
    }
    return NULL;
}

/* What differs: a backend that does something, and is ready for an honest driver afterwards. */
struct device {
    const char *model;
    void *config;
    uint64_t features;
    uint32_t queues;
    void (*act)(void);
    void (*settle)(void);
};

/* Chains of good form, which the other thread spoils. */
static void offer(struct rig *r, uint32_t queues, uint32_t *seed)
{
    for (uint32_t n = 0; n < queues; n++) {
        struct rig_buffer b[4];
        uint32_t count = 1 + pick(seed, 4), writes = pick(seed, 4);

        for (uint32_t i = 0; i < count; i++)
            b[i] = (struct rig_buffer){RIG_DATA + 0x100 * pick(seed, 64), 1 + pick(seed, 200),
                                       i >= writes};
        if (pick(seed, 4) == 0)
            rig_add_indirect(r, n, b, count, count * 16, 0);
        else
            rig_add(r, n, b, count);
    }
}

/* The test is the device's thread, and the driver as far as the test must know it. Only what the
 * guest's thread does not touch is looked at while it runs: registers. */
static void race(const struct rig_kind *kind, const struct device *d)
{
    struct rig *r = rig_new(d->model, d->config, kind);
    struct guest g = {.ram = fake_ram(r->host), .seed = 7};
    uint32_t seed = 3, resets = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        pthread_t thread;

        rig_start(r, rig_features(r) & d->features & ~BIT(VIRTIO_F_RING_PACKED), d->queues);
        for (uint32_t i = 0; i < 4; i++)
            offer(r, d->queues, &seed);
        atomic_store(&g.stop, 0);
        atomic_store(&g.turns, 0);
        assert_int_equal(pthread_create(&thread, NULL, run_guest, &g), 0);
        while (atomic_load(&g.turns) < 3) /* it runs by now */
            sched_yield();
        for (uint32_t i = 0; i < NOTIFIES; i++) {
            rig_notify(r, i % d->queues);
            d->act();
            fake_advance_ns(r->host, 100000000);
        }
        atomic_store(&g.stop, 1);
        pthread_join(thread, NULL);
        resets += !!(rig_status(r) & STATUS_NEEDS_RESET);
        rig_set_status(r, 0);
        d->settle();
        fake_advance_ns(r->host, 1000000000);
        assert_int_equal(rig_status(r), 0);
    }
    assert_true(resets > 0); /* the two met */
    rig_free(r);
}

/* ---- the devices ---- */

static struct fake_block *disk;
static struct fake_net *wire;
static struct fake_char *end;

static void nothing(void)
{
}

static void answer_disk(void)
{
    fake_block_complete(disk, 0);
}

static void a_disk_races_its_guest(void **state)
{
    struct blk_config c = {.queues = QUEUES_MAX};
    const struct device d = {"blk", &c, UINT64_MAX, QUEUES_MAX, answer_disk, answer_disk};

    disk = fake_block_new(65536);
    c.block = fake_peer(BP_BLOCK_ID, &fake_block_ops, disk);
    race(*state, &d);
    fake_block_free(disk);
}

static void exchange_frames(void)
{
    static uint8_t frame[500] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    fake_net_forget(wire);
    wire->room = 100;
    for (int i = 0; i < 3; i++)
        fake_net_give(wire, 0, frame, sizeof(frame), NULL);
    wire->port->sent(wire->port_self, 0);
    fake_net_forget(wire);
    wire->room = 100;
}

static void a_network_interface_races_its_guest(void **state)
{
    struct net_config c = {.queues = 1, .offloads = 1};
    const struct device d = {"net", &c, UINT64_MAX, 2, exchange_frames, exchange_frames};

    wire = fake_net_new();
    wire->room = 100;
    c.net = fake_peer(BP_NET_ID, &fake_net_ops, wire);
    race(*state, &d);
    fake_net_free(wire);
}

static void type(void)
{
    end->len = 0;
    fake_char_give(end, (const uint8_t *)"typed", 5);
    fake_char_open(end, 30000);
}

static void a_console_races_its_guest(void **state)
{
    struct console_config c = {0};
    const struct device d = {"console", &c, ~UINT64_C(2), 2, type, type};

    end = fake_char_new();
    end->room = 30000;
    c.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, end);
    race(*state, &d);
    free(end);
}

static void a_balloon_races_its_guest(void **state)
{
    struct balloon_config c = {.reporting = 1};
    const struct device d = {"balloon", &c, UINT64_MAX, 2, nothing, nothing};

    race(*state, &d);
}

static void a_source_of_randomness_races_its_guest(void **state)
{
    struct rng_config c = {.period = 10, .rate = 100000};
    const struct device d = {"rng", &c, UINT64_MAX, 1, nothing, nothing};

    race(*state, &d);
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(a_disk_races_its_guest, NULL, NULL),
    RIG_EACH(a_network_interface_races_its_guest, NULL, NULL),
    RIG_EACH(a_console_races_its_guest, NULL, NULL),
    RIG_EACH(a_source_of_randomness_races_its_guest, NULL, NULL),
    RIG_EACH(a_balloon_races_its_guest, NULL, NULL),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
