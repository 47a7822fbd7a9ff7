/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the virtio network interface (virtio_fuzz.h): a backend with and without offloads that is
 * full at times, frames and large packets to the guest, the link's state, the control queue.
 */
#include "virtio_fuzz.h"

#include "dev-virtio/fake_net.h"
#include "net/net.h"

#define OFFLOADS                                                                                   \
    (BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6 | BP_NET_OFFLOAD_UFO)

static struct fake_net *wires[FUZZ_SETS];
static struct bp_node *nodes[FUZZ_SETS];
static struct net_config configs[FUZZ_SETS];

static void *config(uint32_t options, uint32_t set)
{
    struct fake_net *w;

    if (!wires[set]) {
        wires[set] = fake_net_new();
        nodes[set] = fake_peer(BP_NET_ID, &fake_net_ops, wires[set]);
    }
    w = wires[set];
    fake_net_forget(w);
    w->attached = 0;
    w->offloads = options & 1 ? OFFLOADS : options & 2 ? BP_NET_OFFLOAD_CSUM : 0;
    w->can = options & 4 ? OFFLOADS : options & 8 ? BP_NET_OFFLOAD_CSUM : 0;
    w->room = 64;
    configs[set] = (struct net_config){.net = nodes[set],
                                       .queues = 1 + (options >> 4 & 1),
                                       .mtu = options & 0x20 ? 1400 : 0,
                                       .mac = {0x52, 0x54, 0, 1, 2, 3},
                                       .offloads = !(options & 0x40)};
    return &configs[set];
}

static uint32_t queues(uint32_t options)
{
    return options & 0x10 ? 5 : 3;
}

static void receive(struct fuzz_input *in, struct fake_net *w)
{
    static uint8_t frame[70000];
    uint32_t queue = (uint32_t)fuzz_take(in, 1) % 4, len = (uint32_t)fuzz_take(in, 2), given;
    struct bp_frame header = {0};

    given = (uint32_t)fuzz_take(in, 1);
    if (given & 0x80)
        len *= 2;
    memset(frame, 0xff, sizeof(frame));
    for (uint32_t i = 0; i < (given & 0x3f) && i < sizeof(frame); i++)
        frame[i] = (uint8_t)fuzz_take(in, 1);
    if (given & 0x40) {
        header.flags = (uint8_t)fuzz_take(in, 1);
        header.gso_type = (uint8_t)fuzz_take(in, 1);
        header.gso_size = (uint16_t)fuzz_take(in, 2);
        header.csum_start = (uint16_t)fuzz_take(in, 1);
        header.csum_offset = (uint16_t)fuzz_take(in, 1);
    }
    if (len > sizeof(frame))
        len = sizeof(frame);
    fake_net_give(w, queue, frame, len, given & 0x40 ? &header : NULL);
}

static void event(struct rig *r, struct fuzz_input *in, uint32_t set)
{
    struct fake_net *w = wires[set];
    uint32_t what = (uint32_t)fuzz_take(in, 1);

    (void)r;
    switch (what & 3) {
    case 0:
    case 1:
        receive(in, w);
        break;
    case 2:
        w->room = what >> 2;
        w->port->sent(w->port_self, (uint32_t)fuzz_take(in, 1) % 4);
        break;
    default:
        w->port->link(w->port_self, what >> 2 & 1);
    }
}

static void forget(uint32_t set)
{
    fake_net_forget(wires[set]);
    if (wires[set]->room > 64)
        wires[set]->room = 64;
}

static void settle(uint32_t set)
{
    fake_net_forget(wires[set]);
    wires[set]->room = 64;
    wires[set]->port->link(wires[set]->port_self, 1);
}

/* A frame each way. */
static void probe(struct rig *r, uint32_t set)
{
    const struct rig_buffer out = {RIG_DATA, NET_HEADER_BYTES + 60, 0};
    const struct rig_buffer back = {RIG_DATA + 0x1000, 2048, 1};
    uint8_t frame[60];
    uint32_t len = 0;

    settle(set);
    memset(frame, 0xff, sizeof(frame));
    memset(rig_ram(r, RIG_DATA), 0, NET_HEADER_BYTES);
    memset(rig_ram(r, RIG_DATA + NET_HEADER_BYTES), 0xff, 60);
    assert_int_equal(fuzz_do(r, 1, &out, 1), 0);
    assert_int_equal(wires[set]->count, 1);
    assert_int_equal(wires[set]->sent[0].len, 60);
    assert_memory_equal(wires[set]->sent[0].data, frame, 60);
    rig_add(r, 0, &back, 1);
    rig_notify(r, 0);
    fake_poll(r->host, 0);
    assert_int_equal(fake_net_give(wires[set], 0, frame, 60, NULL), 0);
    assert_true(rig_used(r, 0, NULL, &len));
    assert_int_equal(len, NET_HEADER_BYTES + 60);
    assert_memory_equal(rig_ram(r, RIG_DATA + 0x1000 + NET_HEADER_BYTES), frame, 60);
}

const struct fuzz_device fuzz_device = {
    .model = "net",
    .config = config,
    .queues = queues,
    .event = event,
    .forget = forget,
    .settle = settle,
    .probe = probe,
};
