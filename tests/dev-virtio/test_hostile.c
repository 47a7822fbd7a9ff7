/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_hostile.c - guests that do anything: random writes to registers, rings that are
 * mostly right, buffers that are mostly in RAM, resets and backends' answers in between, for every
 * device by every transport.
 *
 * What is proven: nothing crashes, nothing reads or writes beyond its memory (with
 * AddressSanitizer), a reset always ends, and the device works after it. Seeds are fixed.
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

#define STEPS 20000u

static uint32_t seed;
static uint32_t outstanding[VIRTIO_QUEUES_MAX]; /* chains of each queue */
static uint32_t done;                           /* chains that came back */
static int is_lost; /* the driver broke a ring: what comes back means nothing until a reset */

static struct fake_block *disk;
static struct fake_net *wire;
static struct fake_char *chr[2];

static uint32_t pick(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(seed >> 4) * below) >> 28);
}

/* An address that is often good. */
static uint64_t address(void)
{
    static const uint64_t odd[] = {RIG_MMIO_BASE, FAKE_RAM_BYTES - 5, UINT64_MAX - 100, 0,
                                   RIG_RING(0),   RIG_RING(1)};

    return pick(8) ? RIG_DATA + pick(0x1000) * 16 : odd[pick(6)];
}

static uint32_t length(void)
{
    static const uint32_t lengths[] = {0, 1, 2, 8, 12, 16, 20, 60, 512, 1526, 4096, 0x7fffffff};

    return pick(4) ? lengths[pick(11)] : pick(10) ? pick(2000) : lengths[11];
}

/* Takes what came back; nonzero if there is room for another chain. */
static int collect(struct rig *r, uint32_t n)
{
    while (!is_lost && outstanding[n] && rig_used(r, n, NULL, NULL)) {
        outstanding[n]--;
        done++;
    }
    return outstanding[n] < 2;
}

static void add_chain(struct rig *r, uint32_t n)
{
    struct rig_buffer b[6];
    uint32_t count = 1 + pick(6), writes = pick(7);

    for (uint32_t i = 0; i < count; i++)
        b[i] = (struct rig_buffer){address(), length(), i >= writes};
    for (uint32_t i = 0; i < count; i++)
        is_lost |= b[i].gpa < RIG_DATA; /* the device may write over the rings */
    /* What a device reads first has a form that gets it further. */
    for (uint32_t i = 0; i < 20; i++)
        *rig_ram(r, RIG_DATA + pick(0x10000)) = (uint8_t)pick(pick(2) ? 256 : 4);
    if (pick(4) == 0)
        rig_add_indirect(r, n, b, count, count * 16 + (pick(10) ? 0 : pick(40)), 0);
    else if (pick(60) == 0 && (is_lost = 1))
        rig_add_raw(r, n, address(), length(), (uint16_t)pick(8), (uint16_t)pick(40));
    else
        rig_add(r, n, b, count);
}

static void poke(struct rig *r)
{
    uint32_t width = 1u << pick(3), offset = pick(0x40) * 4;

    if (pick(3) == 0)
        offset += 0x100;
    if (r->kind.transport == TRANSPORT_PCI && pick(3) == 0)
        offset += 0x1000 * pick(4);
    fake_write(r->host, BP_SPACE_MMIO, r->bar + offset, pick(3) ? pick(20) : pick(1u << 27), width);
    fake_read(r->host, BP_SPACE_MMIO, r->bar + pick(0x4000), width);
}

static void answer(struct rig *r)
{
    static uint8_t bytes[3000];

    fake_advance_ns(r->host, pick(2000000000));
    if (disk) {
        disk->fails = pick(10) ? 0 : -5;
        fake_block_complete(disk, (int)pick(2));
    }
    if (wire) {
        fake_net_forget(wire);
        wire->room = pick(8);
        wire->port->sent(wire->port_self, pick(4));
        for (uint32_t i = 0; i < 12; i++)
            bytes[i] = 0xff;
        fake_net_give(wire, pick(5), bytes, pick(sizeof(bytes)), NULL);
        wire->port->link(wire->port_self, pick(2));
    }
    for (uint32_t i = 0; i < 2 && chr[i]; i++) {
        chr[i]->len = 0;
        fake_char_open(chr[i], pick(500));
        fake_char_give(chr[i], bytes, pick(300));
        fake_char_event(chr[i], 1 + pick(2));
    }
}

static void step(struct rig *r, uint32_t queues, uint64_t features)
{
    uint32_t n = pick(queues);

    for (uint32_t i = 0; i < 2 && chr[i]; i++)
        chr[i]->len = 0;
    if (wire)
        fake_net_forget(wire);
    switch (pick(12)) {
    case 0:
        poke(r);
        break;
    case 1:
        answer(r);
        break;
    case 2:
        if (pick(6) == 0 || rig_status(r) != 15) { /* a reset, and another choice of features */
            rig_set_status(r, 0);
            memset(outstanding, 0, sizeof(outstanding));
            is_lost = 0;
            answer(r);
            if (disk)
                disk->fails = 0;
            assert_int_equal(rig_status(r), 0);
            rig_set_status(r, 3);
            rig_accept(r, (features & (pick(2) ? ~UINT64_C(0)
                                               : pick(1u << 27) | UINT64_C(0xffffffff00000000))) |
                              BIT(VIRTIO_F_VERSION_1) |
                              (r->kind.packed ? BIT(VIRTIO_F_RING_PACKED) : 0));
            rig_set_status(r, 11);
            if (!(rig_status(r) & STATUS_FEATURES_OK))
                rig_negotiate(r, 0);
            for (uint32_t q = 0; q < queues; q++)
                rig_setup(r, q);
            rig_set_status(r, 15);
        }
        break;
    case 3:
        rig_select(r, n);
        if (pick(10) == 0) {
            rig_queue_reset(r);
            is_lost = 1;
        }
        break;
    default:
        if (collect(r, n) || pick(200) == 0) {
            is_lost |= outstanding[n] >= 2;
            add_chain(r, n);
            outstanding[n]++;
        }
        if (pick(3))
            rig_notify(r, n);
    }
}

static void torment(struct rig *r, uint32_t queues, uint32_t start)
{
    uint64_t features = rig_features(r) & ~BIT(VIRTIO_F_RING_PACKED);

    seed = start;
    done = 0;
    is_lost = 0;
    memset(outstanding, 0, sizeof(outstanding));
    rig_start(r, features, queues);
    for (uint32_t i = 0; i < STEPS; i++)
        step(r, queues, features);
    assert_true(done > 100); /* it came so far */
    rig_set_status(r, 0);
    if (disk)
        fake_block_complete(disk, 0);
    assert_int_equal(rig_status(r), 0);
    rig_start(r, features, queues);
    rig_free(r);
}

static void forget(void)
{
    disk = NULL;
    wire = NULL;
    chr[0] = chr[1] = NULL;
}

static void bad_guest_of_a_disk(void **state)
{
    struct blk_config c = {.queues = 2};

    forget();
    disk = fake_block_new(65536);
    c.block = fake_peer(BP_BLOCK_ID, &fake_block_ops, disk);
    torment(rig_new("blk", &c, *state), 2, 1);
    fake_block_free(disk);
}

static void bad_guest_of_a_network(void **state)
{
    struct net_config c = {.queues = 2, .offloads = 1};

    forget();
    wire = fake_net_new();
    c.net = fake_peer(BP_NET_ID, &fake_net_ops, wire);
    wire->room = 8;
    torment(rig_new("net", &c, *state), 5, 2);
    fake_net_free(wire);
}

static void bad_guest_of_a_console(void **state)
{
    struct console_config c = {0};
    struct bp_node *port;

    forget();
    for (int i = 0; i < 2; i++) {
        chr[i] = fake_char_new();
        chr[i]->room = 500;
    }
    port = fake_peer(BP_CHAR_ID, &fake_char_ops, chr[1]);
    c.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, chr[0]);
    c.ports = (struct bp_list){.items = &port, .count = 1};
    torment(rig_new("console", &c, *state), 6, 3);
    free(chr[0]);
    free(chr[1]);
}

static void bad_guest_of_a_source_of_randomness(void **state)
{
    struct rng_config c = {.period = 100, .rate = 10000};

    forget();
    torment(rig_new("rng", &c, *state), 1, 4);
}

static void bad_guest_of_a_balloon(void **state)
{
    struct balloon_config c = {.stats_period = 1, .reporting = 1, .deflate_on_oom = 1};

    forget();
    torment(rig_new("balloon", &c, *state), 4, 5);
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(bad_guest_of_a_disk, NULL, NULL),
    RIG_EACH(bad_guest_of_a_network, NULL, NULL),
    RIG_EACH(bad_guest_of_a_console, NULL, NULL),
    RIG_EACH(bad_guest_of_a_source_of_randomness, NULL, NULL),
    RIG_EACH(bad_guest_of_a_balloon, NULL, NULL),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
