/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the virtio console (virtio_fuzz.h): three ports whose backends are full, silent, hung up
 * or resized, and control messages.
 */
#include "virtio_fuzz.h"

#include "console/console.h"
#include "dev-uart/fake_char.h"

#include <backplane/util/le.h>

#define PORTS 3u
#define ROOM 60000u /* what a fake's record holds */

static struct fake_char *ends[FUZZ_SETS][PORTS];
static struct bp_node *nodes[FUZZ_SETS][PORTS];
static struct console_config configs[FUZZ_SETS];
static const char *const names[] = {"agent", "p2"};

static void *config(uint32_t options, uint32_t set)
{
    uint32_t ports = options & 3 ? (options & 3) - 1 : 2; /* beside the console */

    for (uint32_t i = 0; i < PORTS; i++) {
        if (!ends[set][i]) {
            ends[set][i] = fake_char_new();
            nodes[set][i] = fake_peer(BP_CHAR_ID, &fake_char_ops, ends[set][i]);
        }
        ends[set][i]->owed = 0;
        ends[set][i]->len = 0;
        ends[set][i]->room = ROOM;
        ends[set][i]->port = NULL;
    }
    configs[set] = (struct console_config){.chardev = options & 4 ? NULL : nodes[set][0],
                                           .ports = {.items = &nodes[set][1], .count = ports}};
    if (options & 8)
        configs[set].names = (struct bp_list){.items = names, .count = ports};
    return &configs[set];
}

static uint32_t queues(uint32_t options)
{
    return 4 + 2 * (options & 3 ? (options & 3) - 1 : 2);
}

static void event(struct rig *r, struct fuzz_input *in, uint32_t set)
{
    static const uint8_t bytes[256] = {1, 2, 3, 4};
    uint32_t what = (uint32_t)fuzz_take(in, 1);
    struct fake_char *end = ends[set][(what >> 6) % PORTS];

    (void)r;
    if (!end->port)
        return;
    switch (what % 5) {
    case 0:
    case 1:
        fake_char_give(end, bytes, fuzz_take(in, 1));
        break;
    case 2:
        fake_char_open(end, fuzz_take(in, 2) % ROOM);
        break;
    case 3:
        fake_char_event(end, what & 0x20 ? BP_CHAR_OPENED : BP_CHAR_HANGUP);
        break;
    default:
        end->port->event(end->port_self, BP_CHAR_RESIZED, (uint32_t)fuzz_take(in, 3),
                         (uint32_t)fuzz_take(in, 3));
    }
}

static void forget(uint32_t set)
{
    for (uint32_t i = 0; i < PORTS; i++) {
        ends[set][i]->len = 0;
        if (ends[set][i]->room > ROOM)
            ends[set][i]->room = ROOM;
    }
}

static void settle(uint32_t set)
{
    for (uint32_t i = 0; i < PORTS; i++)
        if (ends[set][i]->port)
            fake_char_open(ends[set][i], ROOM);
}

/* Output; then port 0 is told open, and gets input. */
static void probe(struct rig *r, uint32_t set)
{
    const struct rig_buffer out = {RIG_DATA, 5, 0}, open = {RIG_DATA + 0x100, 8, 0};
    const struct rig_buffer back = {RIG_DATA + 0x1000, 64, 1};
    struct fake_char *end = ends[set][0];
    uint32_t len = 0;

    settle(set);
    forget(set);
    memcpy(rig_ram(r, RIG_DATA), "hello", 5);
    bp_put_le64(rig_ram(r, RIG_DATA + 0x100), UINT64_C(1) << 48 | UINT64_C(6) << 32);
    assert_int_equal(fuzz_do(r, 1, &out, 1), 0);
    if (!end->port)
        return;
    fake_char_expect(end, "hello");
    rig_add(r, 0, &back, 1);
    assert_int_equal(fuzz_do(r, CONSOLE_CONTROL_TX, &open, 1), 0);
    assert_int_equal(fake_char_give(end, (const uint8_t *)"input", 5), 5);
    assert_true(rig_used(r, 0, NULL, &len));
    assert_int_equal(len, 5);
    assert_memory_equal(rig_ram(r, RIG_DATA + 0x1000), "input", 5);
}

const struct fuzz_device fuzz_device = {
    .model = "console",
    .config = config,
    .queues = queues,
    .event = event,
    .forget = forget,
    .settle = settle,
    .probe = probe,
};
