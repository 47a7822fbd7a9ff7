/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/rx.c - the receiver: from a backend's frame to descriptors (3.2).
 *
 * The descriptors that a frame needs are read, once, before anything is written. If the ring has
 * fewer, the backend keeps the frame, as the part's FIFO would, until RDT moves; a frame that the
 * ring cannot ever hold is lost and counted. Descriptors with a null address are given back empty
 * (3.2.1). Data is written before descriptors, and DD last. Descriptors are written back at once,
 * whatever RXDCTL says.
 */
#include "e1000.h"

#include <backplane/util/finish.h>
#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

#define CHAIN_MAX 256u   /* descriptors of one frame, empty ones included */
#define LONG_FRAME 1518u /* without LPE and FCS (13.4.22) */

/* Between two looks for descriptors: at first, and at most. */
#define LOOK_LEAST_NS UINT64_C(50000)
#define LOOK_MOST_NS UINT64_C(10000000)

#define DATA_VALID 2u /* of bp_frame.flags */

struct chain {
    uint64_t at[CHAIN_MAX], address[CHAIN_MAX];
    uint32_t count; /* descriptors */
    uint32_t left;  /* bytes that they do not hold */
};

/* Bytes of a buffer (13.4.22, BSIZE and BSEX). */
static uint32_t buffer_size(struct e1000 *e)
{
    uint32_t rctl = e->reg[R_RCTL], code = rctl >> RCTL_BSIZE_SHIFT & 3u;

    if (!(rctl & RCTL_BSEX))
        return 2048u >> code;
    if (code)
        return 32768u >> code;
    strict_log(e,
               "RCTL has BSEX and BSIZE 0, which is reserved: buffers are taken as of 2048 bytes");
    return 2048;
}

static int missed(struct e1000 *e, int err)
{
    stat_add(e, R_MPC, 1);
    irq_raise(e, INT_RXO);
    return err;
}

/* Reads the descriptors for `len` bytes. 0; -EAGAIN: there will be more of them; -errno: never. */
static int plan(struct e1000 *e, uint32_t len, uint32_t size, uint32_t available, uint32_t count,
                struct chain *c)
{
    uint64_t base = (uint64_t)e->reg[R_RDBAH] << 32 | e->reg[R_RDBAL];

    c->count = 0;
    c->left = len;
    while (c->left) {
        uint32_t i = c->count, index = (e->reg[R_RDH] + i) % count;
        uint8_t raw[8];

        if (i == available)
            return available == count - 1 ? -ENOBUFS : -EAGAIN;
        if (i == CHAIN_MAX)
            return -ENOBUFS;
        if (__builtin_add_overflow(base, (uint64_t)index * DESC_BYTES, &c->at[i]) ||
            e->host->dma_read(e->node, c->at[i], raw, sizeof(raw))) {
            guest_log(e, "receive descriptor %u, in a ring at 0x%llx, is in no memory", index,
                      (unsigned long long)base);
            return -EFAULT;
        }
        c->address[i] = bp_le64(raw);
        if (c->address[i])
            c->left -= c->left < size ? c->left : size;
        c->count++;
    }
    return 0;
}

static int write_data(struct e1000 *e, const struct chain *c, const uint8_t *data, uint32_t len,
                      uint32_t size)
{
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t part = len < size ? len : size;

        if (!c->address[i])
            continue;
        if (e->host->dma_write(e->node, c->address[i], data, part)) {
            guest_log(e, "a receive buffer of %u bytes at 0x%llx is in no memory: a frame is lost",
                      size, (unsigned long long)c->address[i]);
            return -EFAULT;
        }
        data += part;
        len -= part;
    }
    return 0;
}

/* What the last descriptor of a frame says beside its length. */
struct verdict {
    uint32_t status, errors;
    uint32_t checksum, tag;
};

/* Eight bytes, at a multiple of eight: the guest sees all of them, or none. */
static void write_back(struct e1000 *e, uint64_t at, uint32_t len, const struct verdict *v,
                       uint32_t status)
{
    uint64_t bytes = 8;
    uint8_t raw[8];
    uint64_t *to = e->host->dma_map(e->node, at + 8, &bytes, BP_DMA_WRITE), value;

    bp_put_le16(raw, (uint16_t)len);
    raw[2] = (uint8_t)(v->checksum >> 8); /* as it would stand in the frame */
    raw[3] = (uint8_t)v->checksum;
    raw[4] = (uint8_t)(status | RX_DD);
    raw[5] = (uint8_t)v->errors;
    bp_put_le16(raw + 6, (uint16_t)v->tag);
    memcpy(&value, raw, sizeof(value));
    if (!to)
        return;
    if (bytes == 8)
        __atomic_store_n(to, value, __ATOMIC_RELEASE);
    e->host->dma_unmap(e->node, to, bytes == 8 ? 8 : 0);
}

/* Descriptors of the chain in order; those of empty buffers say DD alone. */
static void write_chain(struct e1000 *e, const struct chain *c, uint32_t len, uint32_t size,
                        const struct verdict *v)
{
    static const struct verdict empty;

    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t part = len < size ? len : size;

        if (!c->address[i]) {
            write_back(e, c->at[i], 0, &empty, 0);
            continue;
        }
        len -= part;
        write_back(e, c->at[i], part, v, len ? v->status : v->status | RX_EOP);
    }
}

static void advance(struct e1000 *e, uint32_t used, uint32_t available, uint32_t count)
{
    uint32_t code = e->reg[R_RCTL] >> RCTL_RDMTS_SHIFT & 3u;
    uint32_t threshold = count >> (code < 2 ? code + 1 : 3u);

    e->reg[R_RDH] = (e->reg[R_RDH] + used) % count;
    if (available > threshold && available - used <= threshold)
        irq_raise(e, INT_RXDMT0);
}

/* The backend keeps its frame until RDT moves. The write may wait where RDT is posted: a turn of
 * the loop brings it. */
static void hold(struct e1000 *e)
{
    if (e->rx_held)
        return;
    e->rx_held = 1;
    e->look_ns = LOOK_LEAST_NS;
    rx_look(e);
}

/* `len` bytes at `data`, tag and all, that the guest shall have. */
static int deliver(struct e1000 *e, uint8_t *data, uint32_t len, struct verdict *v, int looped)
{
    uint32_t count = e->reg[R_RDLEN] / DESC_BYTES, size = buffer_size(e), available;
    struct chain c;
    int err;

    if (!count || e->reg[R_RDH] >= count || e->reg[R_RDT] >= count) {
        guest_log(e, "a frame is lost: RDH is %u and RDT %u, in a ring of %u descriptors",
                  e->reg[R_RDH], e->reg[R_RDT], count);
        return missed(e, -ENOBUFS);
    }
    available = (e->reg[R_RDT] + count - e->reg[R_RDH]) % count;
    err = plan(e, len, size, available, count, &c);
    if (err == -EAGAIN) {
        if (!e->rx_held)
            stat_add(e, R_RNBC, 1);
        if (looped)
            return missed(e, -ENOBUFS);
        hold(e);
        return err;
    }
    if (err == -ENOBUFS && c.count == CHAIN_MAX && c.left == len) {
        /* Nothing but empty ones: they go, so that the next frame finds what is behind them. */
        write_chain(e, &c, 0, size, v);
        advance(e, c.count, available, count);
    }
    if (!err)
        err = write_data(e, &c, data, len, size);
    if (err)
        return missed(e, err);
    write_chain(e, &c, len, size, v);
    advance(e, c.count, available, count);
    return 0;
}

/* A frame that has passed the filters. */
static int accept(struct e1000 *e, uint8_t *frame, uint32_t len, int match, int tagged, int looped,
                  struct e1000_known known)
{
    struct verdict v = {.status = match == FILTER_INEXACT ? RX_PIF : 0u};
    uint32_t start = e->reg[R_RXCSUM] & RXCSUM_PCSS, fcs = 0, sums;
    uint8_t copy[14]; /* of the header, which the tag's removal changes */
    uint32_t wire = len, body;
    int err;

    memcpy(copy, frame, sizeof(copy));
    if (!(e->reg[R_RCTL] & RCTL_SECRC)) /* of what was on the wire; costs more than all the rest */
        fcs = crc_frame(e, frame, len);
    if (tagged && (e->reg[R_CTRL] & CTRL_VME)) {
        v.status |= RX_VP;
        v.tag = (uint32_t)frame[14] << 8 | frame[15];
        memmove(frame + VLAN_BYTES, frame, 12);
        frame += VLAN_BYTES;
        len -= VLAN_BYTES;
        if (known.at != KNOWN_GOOD)
            known.at = known.at >= 12 + VLAN_BYTES ? known.at - VLAN_BYTES : KNOWN_NONE;
    }
    sums = offload_verify(e, frame, len, known.at);
    v.status |= sums & 0xffu;
    v.errors = sums >> 8;
    body = len;
    if (!(e->reg[R_RCTL] & RCTL_SECRC)) {
        bp_put_le32(frame + len, fcs);
        len += FCS_BYTES;
    }
    if (start < len)
        v.checksum = ~offload_sum(frame, len, body, start, &known) & 0xffffu;
    err = deliver(e, frame, len, &v, looped);
    if (err == -EAGAIN)
        return err;
    stat_received(e, copy, wire, !err);
    if (!err)
        irq_received(e, wire);
    return err;
}

int rx_frame(struct e1000 *e, uint32_t len, int looped, const struct e1000_known *known)
{
    uint8_t *frame = e->rx_frame;
    uint32_t rctl = e->reg[R_RCTL];
    int match, tagged;

    if (e->d3) {
        wake_frame(e, frame, len);
        return 0;
    }
    if (!(rctl & RCTL_EN))
        return -ENETDOWN;
    if (!looped && (phy_loops(e) || !(e->reg[R_STATUS] & STATUS_LU)))
        return -ENETDOWN;
    if (flow_received(e, frame, len)) {
        stat_received(e, frame, len, 0);
        return 0;
    }
    tagged = filter_is_tagged(e, frame, len);
    if (len > (rctl & RCTL_LPE ? FRAME_MAX : LONG_FRAME) && !(rctl & RCTL_SBP)) {
        stat_add(e, R_ROC, 1);
        stat_received(e, frame, len, 0);
        return 0;
    }
    match = filter_address(e, frame);
    if (match == FILTER_DROP || (tagged && !filter_vlan(e, frame))) {
        stat_received(e, frame, len, 0);
        return 0;
    }
    return accept(e, frame, len, match, tagged, looped, *known);
}

/* Ever more seldom: a guest that gives no descriptors may never do so. */
void rx_look(struct e1000 *e)
{
    if (!e->rx_held)
        return;
    e->host->timer_set(e->node, TIMER_LOOK, e->host->clock_ns(e->node) + e->look_ns);
    e->look_ns = 2 * e->look_ns < LOOK_MOST_NS ? 2 * e->look_ns : LOOK_MOST_NS;
}

void rx_resume(struct e1000 *e)
{
    const struct bp_net *net = e->net.ops;

    if (!e->rx_held)
        return;
    e->rx_held = 0;
    if (net)
        net->resume(e->net.self, 0);
}

/* ---- the backend's calls ---- */

static int take_frame(struct e1000 *e, uint32_t queue, const struct bp_frame *frame)
{
    struct e1000_known known = {.at = frame->flags & DATA_VALID ? KNOWN_GOOD : KNOWN_NONE};
    uint64_t len = 0;

    if (queue || frame->gso_type)
        return -EINVAL; /* was not asked for */
    for (uint32_t i = 0; i < frame->nbufs; i++) {
        if (frame->bufs[i].len > FRAME_MAX - len) {
            stat_add(e, R_ROC, 1);
            return -EMSGSIZE;
        }
        memcpy(e->rx_frame + len, frame->bufs[i].data, frame->bufs[i].len);
        len += frame->bufs[i].len;
    }
    if (frame->flags & BP_HDR_NEEDS_CSUM)
        offload_complete(e->rx_frame, (uint32_t)len, frame, &known);
    if (len < FRAME_MIN) {
        memset(e->rx_frame + len, 0, FRAME_MIN - len);
        len = FRAME_MIN;
    }
    return rx_frame(e, (uint32_t)len, 0, &known);
}

/* One interrupt for all frames that come one after the other. */
static int port_receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct e1000 *e = self;
    int err;

    if (frame->more)
        e->gathering = 1;
    err = take_frame(e, queue, frame);
    if (e->gathering && (!frame->more || err == -EAGAIN)) {
        e->gathering = 0;
        irq_update(e);
    }
    return err;
}

static void port_sent(void *self, uint32_t queue)
{
    struct e1000 *e = self;

    (void)queue;
    e->blocked = 0;
    tx_run(e);
}

static void port_link(void *self, uint32_t up)
{
    struct e1000 *e = self;

    e->carrier = !!up;
    phy_update(e);
}

const struct bp_net_port e1000_port = {
    .size = sizeof(struct bp_net_port),
    .receive = port_receive,
    .sent = port_sent,
    .link = port_link,
};
