/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/tx.c - the transmitter: the ring (3.4), its descriptors (3.3), and what becomes of a
 * packet that the backend has no room for.
 *
 * Descriptors are copied once. A packet's bytes are copied together before anything looks at them,
 * so that the guest cannot change what was checked. One kick is one lap of the ring at most, in
 * turns of a bounded size; between turns other work of the loop gets its time. A descriptor is
 * written back, and TDH moves, when its bytes are copied; the last of a packet when all of its
 * frames have been taken. Descriptors are written back one by one, TXDCTL's thresholds but LWTHRESH
 * aside, and only those with RS. Without a link what is sent is lost, as on a cable that is not
 * plugged in.
 */
#include "e1000.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

#define TURN_STEPS 512u /* descriptors and frames */
#define TURN_BYTES (1024u * 1024u)

struct descriptor {
    uint64_t at; /* guest-physical */
    uint64_t address;
    uint32_t lower, upper; /* doublewords 2 and 3 */
};

static uint32_t ring_count(const struct e1000 *e)
{
    return e->reg[R_TDLEN] / DESC_BYTES;
}

static void packet_forget(struct e1000 *e)
{
    struct e1000_tx *t = &e->tx;

    t->open = t->discard = t->pending = 0;
    t->tse = t->popts = t->ic = t->cmd = t->vle = t->whole = t->checksum = 0;
    t->size = t->sent = t->segment = 0;
    t->start = VLAN_BYTES;
}

void tx_reset(struct e1000 *e)
{
    memset(&e->tx, 0, sizeof(e->tx));
    packet_forget(e);
}

/* ---- the wire ---- */

static int loop_back(struct e1000 *e, const struct bp_buf *buf)
{
    static const struct e1000_known nothing = {.at = KNOWN_NONE};

    memcpy(e->rx_frame, buf->data, buf->len);
    rx_frame(e, (uint32_t)buf->len, 1, &nothing); /* what the receiver cannot take is lost */
    return 1;
}

int tx_wire(struct e1000 *e, const struct bp_frame *frame)
{
    const struct bp_net *net = e->net.ops;

    if (phy_loops(e))
        return frame->bufs->len <= FRAME_MAX + VLAN_BYTES ? loop_back(e, frame->bufs) : 1;
    if (!net || !(e->reg[R_STATUS] & STATUS_LU))
        return 1;
    if (!e->blocked)
        e->blocked = !net->send(e->net.self, 0, frame, 1);
    return !e->blocked;
}

/* What went out as one, counted as the frames that the wire sees. */
static void count_sent(struct e1000 *e, const struct bp_frame *frame, uint32_t len)
{
    uint32_t header = frame->hdr_len, payload = len - header, full;

    if (!frame->gso_size) {
        stat_sent(e, frame->bufs->data, len, 1);
        return;
    }
    full = payload / frame->gso_size;
    stat_sent(e, frame->bufs->data, header + frame->gso_size, full);
    if (payload % frame->gso_size)
        stat_sent(e, frame->bufs->data, header + payload % frame->gso_size, 1);
}

/* The next frame of the packet that is pending; 0 if the backend takes no more. */
static int packet_send(struct e1000 *e)
{
    struct e1000_tx *t = &e->tx;
    struct bp_frame frame;
    struct bp_buf buf;
    uint32_t payload = offload_frame(e, &frame, &buf);

    if (!tx_wire(e, &frame))
        return 0;
    count_sent(e, &frame, (uint32_t)buf.len);
    t->sent += payload;
    t->segment++;
    return 1;
}

/* ---- descriptors ---- */

static int fetch(struct e1000 *e, struct descriptor *d)
{
    uint64_t base = (uint64_t)e->reg[R_TDBAH] << 32 | e->reg[R_TDBAL];
    uint8_t raw[DESC_BYTES];

    if (__builtin_add_overflow(base, (uint64_t)e->reg[R_TDH] * DESC_BYTES, &d->at) ||
        e->host->dma_read(e->node, d->at, raw, sizeof(raw))) {
        guest_log(e, "transmit descriptor %u, in a ring at 0x%llx, is in no memory", e->reg[R_TDH],
                  (unsigned long long)base);
        return -EFAULT;
    }
    d->address = bp_le64(raw);
    d->lower = bp_le32(raw + 8);
    d->upper = bp_le32(raw + 12);
    return 0;
}

/* The descriptor at `at` is done: TDH moves on. */
static void complete(struct e1000 *e, uint64_t at, uint32_t cmd)
{
    static const uint8_t done = TX_DD;
    uint32_t count = ring_count(e), left, low = e->reg[R_TXDCTL] >> TXDCTL_LWTHRESH_SHIFT;

    if (cmd & TX_RS)
        e->host->dma_write(e->node, at + 12, &done, 1);
    e->reg[R_TDH] = (e->reg[R_TDH] + 1) % count;
    if (cmd & TX_RS)
        irq_transmitted(e, !!(cmd & TX_IDE));
    left = (e->reg[R_TDT] + count - e->reg[R_TDH]) % count;
    if (low && left == low * 8u)
        irq_raise(e, INT_TXD_LOW);
    if (e->reg[R_TDH] == e->reg[R_TDT])
        irq_raise(e, INT_TXQE);
}

static void take_context(struct e1000 *e, const struct descriptor *d)
{
    uint32_t ip = (uint32_t)d->address, tu = (uint32_t)(d->address >> 32);
    struct e1000_context c = {
        .ipcss = (uint8_t)ip,
        .ipcso = (uint8_t)(ip >> 8),
        .ipcse = (uint16_t)(ip >> 16),
        .tucss = (uint8_t)tu,
        .tucso = (uint8_t)(tu >> 8),
        .tucse = (uint16_t)(tu >> 16),
        .paylen = d->lower & 0xfffffu,
        .tucmd = (uint8_t)(d->lower >> 24),
        .hdrlen = (uint8_t)(d->upper >> 8),
        .mss = (uint16_t)(d->upper >> 16),
    };

    if (c.tucmd & TX_TSE) {
        e->tx.tso = c;
        stat_add(e, R_TSCTC, 1);
    } else {
        e->tx.normal = c;
    }
}

/* The packet's first data descriptor says what is to be done with it (3.3.3, 3.3.7). */
static void packet_open(struct e1000 *e, const struct descriptor *d, uint32_t cmd, int extended)
{
    struct e1000_tx *t = &e->tx;

    packet_forget(e);
    t->open = 1;
    if (extended) {
        t->tse = !!(cmd & TX_TSE);
        t->popts = (uint8_t)(d->upper >> 8);
        t->context = t->tse ? t->tso : t->normal;
    } else {
        t->css = (uint8_t)(d->upper >> 8);
    }
}

/* `len` bytes at `address` are the packet's next. Returns how many were copied. */
static uint32_t gather(struct e1000 *e, uint64_t address, uint32_t len)
{
    struct e1000_tx *t = &e->tx;
    uint32_t limit = t->tse ? PACKET_MAX : FRAME_MAX;

    if (t->discard || !len)
        return 0;
    if (len > limit - t->size) {
        guest_log(e, "a packet has more than %u bytes: it is dropped", limit);
        t->discard = 1;
        return 0;
    }
    if (e->host->dma_read(e->node, address, e->tx_packet + t->start + t->size, len)) {
        guest_log(e, "a packet's %u bytes at 0x%llx are in no memory: it is dropped", len,
                  (unsigned long long)address);
        t->discard = 1;
        return 0;
    }
    t->size += len;
    return len;
}

/* Does what the descriptor says, and completes it unless its packet has to wait. Returns the bytes
 * copied. */
static uint32_t execute(struct e1000 *e, const struct descriptor *d)
{
    struct e1000_tx *t = &e->tx;
    uint32_t cmd = d->lower >> 24, type = d->lower >> 20 & 15u, len, copied;
    int extended = !!(cmd & TX_DEXT);

    if (extended && type == TX_TYPE_CONTEXT) {
        take_context(e, d);
        complete(e, d->at, cmd);
        return 0;
    }
    if (extended && type != TX_TYPE_DATA) {
        guest_log(e, "a transmit descriptor of type %u was skipped", type);
        complete(e, d->at, cmd);
        return 0;
    }
    if (!t->open)
        packet_open(e, d, cmd, extended);
    t->cmd |= (uint8_t)cmd;
    if (cmd & TX_VLE)
        t->tag = (uint16_t)(d->upper >> 16);
    if (!extended && (cmd & TX_IC)) {
        t->ic = 1;
        t->cso = (uint8_t)(d->lower >> 16);
    }
    len = d->lower & (extended ? 0xfffffu : 0xffffu);
    copied = gather(e, d->address, len);
    if (!(cmd & TX_EOP)) {
        complete(e, d->at, cmd);
        return copied;
    }
    t->eop_at = d->at;
    t->eop_cmd = (uint8_t)cmd;
    if (t->discard || (!t->size ? 1 : offload_prepare(e) != 0)) {
        if (t->tse)
            stat_add(e, R_TSCTFC, 1);
        packet_forget(e);
        complete(e, d->at, cmd);
    } else {
        t->pending = 1;
    }
    return copied;
}

/* ---- the ring ---- */

static int may_run(const struct e1000 *e)
{
    return (e->reg[R_TCTL] & TCTL_EN) && ring_count(e) && !e->d3 && !e->blocked &&
           !e->deadline_ns[TIMER_PAUSE];
}

/* One step: a frame sent or a descriptor done; 0 if there is nothing to do. */
static int step(struct e1000 *e, uint32_t *bytes)
{
    struct e1000_tx *t = &e->tx;
    struct descriptor d;

    if (t->pending) {
        uint64_t at = t->eop_at;
        uint32_t cmd = t->eop_cmd;

        if (!packet_send(e))
            return 0;
        if (t->sent >= offload_payload(e)) {
            packet_forget(e);
            complete(e, at, cmd);
        }
        return 1;
    }
    if (e->reg[R_TDH] >= ring_count(e)) {
        guest_log(e, "TDH is %u, in a ring of %u descriptors: taken as 0", e->reg[R_TDH],
                  ring_count(e));
        e->reg[R_TDH] = 0;
    }
    if (e->reg[R_TDH] == e->reg[R_TDT] || !t->budget)
        return 0;
    t->budget--;
    if (fetch(e, &d)) {
        t->budget = 0;
        return 0;
    }
    *bytes += execute(e, &d);
    return 1;
}

void tx_run(struct e1000 *e)
{
    uint32_t steps = 0, bytes = 0;

    if (e->in_tx)
        return;
    e->in_tx = 1;
    while (may_run(e) && step(e, &bytes)) {
        if (++steps == TURN_STEPS || bytes >= TURN_BYTES) {
            timer_arm(e, TIMER_TX, 0);
            break;
        }
    }
    e->in_tx = 0;
}

void tx_enabled(struct e1000 *e)
{
    e->tx.budget = ring_count(e);
    tx_run(e);
}

void tx_kick(struct e1000 *e)
{
    e->tx.budget = ring_count(e);
    if (e->reg[R_TDT] >= e->tx.budget)
        strict_log(e, "TDT is %u, in a ring of %u descriptors", e->reg[R_TDT], e->tx.budget);
    if (!(e->reg[R_TCTL] & TCTL_EN))
        strict_log(e, "TDT was written while TCTL.EN is 0");
    tx_run(e);
}
