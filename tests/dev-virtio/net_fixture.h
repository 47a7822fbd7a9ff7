/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/net_fixture.h - what the tests of the network device share: one between a driver and a
 * network, both the test's, and frames for both ways.
 */
#ifndef NET_FIXTURE_H
#define NET_FIXTURE_H

#include "fake_net.h"
#include "rig.h"

#include "net/net.h"

#include <backplane/util/le.h>
#include <backplane/util/offload.h>
#include <errno.h>

#define RX 0u
#define TX 1u
#define CTRL 2u
#define FRAME (RIG_DATA + 12u)
#define RXBUF (RIG_DATA + 0x20000u)

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};

static struct net_config config;
static struct fake_net *wire;

static inline struct rig *make(const struct rig_kind *kind)
{
    config.net = fake_peer(BP_NET_ID, &fake_net_ops, wire);
    return rig_new("net", &config, kind);
}

static inline int setup(void **state)
{
    wire = fake_net_new();
    config = (struct net_config){.queues = 1, .offloads = 1};
    memcpy(config.mac, mac, 6);
    *state = make(*state);
    return 0;
}

static inline int teardown(void **state)
{
    rig_free(*state);
    fake_net_free(wire);
    return 0;
}

/* A frame to the device's address, of `len` bytes, in `to`. */
static inline void fill(uint8_t *to, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        to[i] = (uint8_t)(i * 13 + i / 251);
    memcpy(to, mac, 6);
    bp_put_be16(to + 12, 0x88b5);
}

/* Queues the frame at FRAME, whose header is at RIG_DATA. */
static inline void transmit(struct rig *r, uint32_t len)
{
    const struct rig_buffer b[] = {{RIG_DATA, 12, 0}, {FRAME, len, 0}};

    rig_add(r, TX, b, 2);
    rig_notify(r, TX);
}

static inline void clear_header(struct rig *r)
{
    memset(rig_ram(r, RIG_DATA), 0, 12);
}

static inline void give_buffer(struct rig *r, uint32_t len)
{
    const struct rig_buffer b = {RXBUF, len, 1};

    memset(rig_ram(r, RXBUF), 0xee, len);
    rig_add(r, RX, &b, 1);
    rig_notify(r, RX);
}

static inline void works(struct rig *r)
{
    uint8_t frame[200];
    uint32_t len = 0;

    clear_header(r);
    fill(rig_ram(r, FRAME), 100);
    fake_net_forget(wire);
    transmit(r, 100);
    assert_true(rig_used(r, TX, NULL, NULL));
    assert_int_equal(wire->count, 1);
    assert_int_equal(wire->sent[0].len, 100);
    assert_memory_equal(wire->sent[0].data, rig_ram(r, FRAME), 100);
    fill(frame, sizeof(frame));
    give_buffer(r, 1526);
    assert_int_equal(fake_net_give(wire, 0, frame, sizeof(frame), NULL), 0);
    assert_true(rig_used(r, RX, NULL, &len));
    assert_int_equal(len, 212);
    assert_memory_equal(rig_ram(r, RXBUF + 12), frame, sizeof(frame));
    assert_int_equal(bp_le16(rig_ram(r, RXBUF + HDR_num_buffers)), 1);
}

#endif
