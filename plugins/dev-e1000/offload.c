/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/offload.c - checksums, segmentation and tags on the way out (3.3.6, 3.5, 9.2), and the
 * verdict on checksums on the way in (3.2.9).
 *
 * The part does what it is told: it knows nothing of protocols but the offsets in the context. So
 * every offset is checked against the packet, and what lies outside is left alone. What a backend
 * can do itself (BP_NET_OFFLOAD_*) is given to it whole, if the packet really is what the backend
 * will take it for; everything else is done here.
 */
#include "e1000.h"

#include <backplane/util/finish.h>
#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

#define ETHER_BYTES 14u
#define ETHER_IPV4 0x0800u
#define ETHER_IPV6 0x86ddu
#define IPV6_BYTES 40u
#define TCP_FLAGS_AT 13u
#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u

static void put_be32(uint8_t *at, uint32_t value)
{
    bp_put_be16(at, value >> 16);
    bp_put_be16(at + 2, value);
}

void offload_complete(uint8_t *frame, uint32_t len, const struct bp_frame *f,
                      struct e1000_known *known)
{
    uint32_t start = f->csum_start, offset = f->csum_offset, rest = 0;

    if (start < len && offset + 2 <= len - start)
        rest = bp_be16(frame + start + offset);
    /* One at an odd offset lies across two words of the sum. */
    if (bp_checksum_fill(frame, len, start, offset) || offset & 1u)
        return;
    known->at = start;
    known->sum = 0xffffu - rest; /* with the checksum the rest of the sum is all that is left */
}

uint32_t offload_sum(const uint8_t *frame, uint32_t len, uint32_t body, uint32_t start,
                     const struct e1000_known *known)
{
    uint32_t sum = 0, end;

    if (known->at && known->at != KNOWN_GOOD && known->at >= start && known->at <= body) {
        sum = (known->at - start) & 1u ? bp_sum_swap(known->sum) : known->sum;
        sum = bp_sum(frame + start, known->at - start, sum);
        end = bp_sum(frame + body, len - body, 0); /* the FCS */
        sum = bp_sum_fold((uint64_t)sum + ((body - start) & 1u ? bp_sum_swap(end) : end));
    }
    /* 0 and 0xffff are the same number; which of them it is only the bytes say. */
    return sum ? sum : bp_sum(frame + start, len - start, 0);
}

/* The checksum from `css` to `cse` (0: to the end) is put at `cso`, if all three lie in the packet;
 * what stands there takes part: software has put the rest of the sum there. */
static void put_sum(uint8_t *data, uint32_t len, uint32_t css, uint32_t cso, uint32_t cse,
                    int zero_is_none)
{
    uint32_t end = cse ? cse + 1 : len, sum;

    if (end > len || css >= end || cso + 2 > len)
        return;
    sum = ~bp_sum(data + css, end - css, 0) & 0xffffu;
    bp_put_be16(data + cso, !sum && zero_is_none ? 0xffffu : sum);
}

static void put_sums(uint8_t *data, uint32_t len, const struct e1000_context *c, uint32_t popts)
{
    if (popts & POPTS_IXSM)
        put_sum(data, len, c->ipcss, c->ipcso, c->ipcse, 0);
    if (popts & POPTS_TXSM)
        put_sum(data, len, c->tucss, c->tucso, c->tucse, !(c->tucmd & TUCMD_TCP));
}

/* ---- segmentation ---- */

/* 3.5.9: the header at `h` of segment `index`, `len` bytes long with it, after `offset` bytes of
 * payload. */
static void fix_header(uint8_t *h, uint32_t len, const struct e1000_context *c, uint32_t index,
                       uint32_t offset, int last)
{
    uint32_t ip = c->ipcss, tu = c->tucss, end = c->hdrlen;

    if (c->tucmd & TUCMD_IP) {
        if (ip + 6 <= end) {
            bp_put_be16(h + ip + 2, len - ip);
            bp_put_be16(h + ip + 4, bp_be16(h + ip + 4) + index);
        }
    } else if (ip + IPV6_BYTES <= end) {
        bp_put_be16(h + ip + 4, len - ip - IPV6_BYTES);
    }
    if (c->tucmd & TUCMD_TCP) {
        if (tu + TCP_FLAGS_AT + 1 <= end) {
            put_be32(h + tu + 4, bp_be32(h + tu + 4) + offset);
            if (!last)
                h[tu + TCP_FLAGS_AT] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        }
    } else if (tu + 6 <= end) {
        bp_put_be16(h + tu + 4, len - tu);
    }
}

/* Software's sum of the pseudo header has no length in it: the part adds each segment's. */
static void add_length(uint8_t *h, uint32_t len, const struct e1000_context *c)
{
    if (c->tucso + 2u <= c->hdrlen && c->tucss < len)
        bp_put_be16(h + c->tucso, bp_sum_fold((uint64_t)bp_be16(h + c->tucso) + (len - c->tucss)));
}

static void put_tag(struct e1000 *e, uint8_t *at)
{
    memmove(at, at + VLAN_BYTES, 12);
    bp_put_be16(at + 12, e->reg[R_VET]);
    bp_put_be16(at + 14, e->tx.tag);
}

/* May the backend segment it? Only what it would segment as the context says. */
static int can_go_whole(const struct e1000 *e)
{
    const struct e1000_tx *t = &e->tx;
    const struct e1000_context *c = &t->context;
    const uint8_t *h = e->tx_packet + t->start;
    uint32_t is4 = c->tucmd & TUCMD_IP, ip = c->ipcss, tu = c->tucss;
    uint32_t need = is4 ? BP_NET_OFFLOAD_TSO4 : BP_NET_OFFLOAD_TSO6;
    uint32_t sums = is4 ? POPTS_IXSM | POPTS_TXSM : POPTS_TXSM;

    if (!(c->tucmd & TUCMD_TCP) || !(e->offloads & need) || !(e->offloads & BP_NET_OFFLOAD_CSUM) ||
        t->vle || phy_loops(e))
        return 0;
    if ((t->popts & sums) != sums || ip != ETHER_BYTES || tu < ip + 20 || tu + 20 > c->hdrlen ||
        c->tucso != tu + 16 || c->tucse || t->size - ip > 0xffffu)
        return 0;
    if (bp_be16(h + 12) != (is4 ? ETHER_IPV4 : ETHER_IPV6) || h[ip] >> 4 != (is4 ? 4u : 6u))
        return 0;
    if (is4 && (c->ipcso != ip + 10 || (h[ip] & 15u) * 4u != tu - ip || h[ip + 9] != PROTOCOL_TCP))
        return 0;
    if (!is4 && (tu != ip + IPV6_BYTES || h[ip + 6] != PROTOCOL_TCP))
        return 0;
    return (h[tu + 12] >> 4) * 4u == c->hdrlen - tu && !(h[tu + TCP_FLAGS_AT] & TCP_CWR);
}

static int prepare_segments(struct e1000 *e)
{
    struct e1000_tx *t = &e->tx;
    const struct e1000_context *c = &t->context;
    uint8_t *h = e->tx_packet + t->start;

    if (!c->mss || !c->hdrlen || c->hdrlen < ETHER_BYTES || c->hdrlen >= t->size ||
        c->hdrlen + (uint32_t)c->mss > FRAME_MAX) {
        guest_log(e, "a packet to be segmented has %u bytes, HDRLEN %u, MSS %u: it is dropped",
                  t->size, c->hdrlen, c->mss);
        return -EINVAL;
    }
    if (t->size - c->hdrlen != c->paylen)
        strict_log(e, "a packet to be segmented has %u bytes of payload, PAYLEN says %u",
                   t->size - c->hdrlen, c->paylen);
    t->whole = (uint8_t)can_go_whole(e);
    if (!t->whole)
        return 0;
    fix_header(h, t->size, c, 0, 0, 1);
    if (c->tucmd & TUCMD_IP)
        put_sum(h, t->size, c->ipcss, c->ipcso, c->ipcse, 0);
    add_length(h, t->size, c);
    return 0;
}

/* ---- a packet in one frame ---- */

/* Without IFCS software brings the FCS. */
static void take_fcs(struct e1000 *e)
{
    struct e1000_tx *t = &e->tx;
    const uint8_t *data = e->tx_packet + t->start;
    uint32_t len = t->size - FCS_BYTES;

    if (t->cmd & TX_IFCS)
        return;
    if (t->size > ETHER_BYTES + FCS_BYTES && bp_le32(data + len) == crc_frame(e, data, len))
        t->size = len;
    else
        strict_log(e, "a frame without IFCS has no FCS of its own: the wire would lose it");
}

static int prepare_single(struct e1000 *e)
{
    struct e1000_tx *t = &e->tx;
    const struct e1000_context *c = &t->context;
    uint8_t *data = e->tx_packet + t->start;

    if (t->size < ETHER_BYTES || t->size > FRAME_MAX) {
        guest_log(e, "a frame of %u bytes is dropped", t->size);
        return -EINVAL;
    }
    take_fcs(e);
    if (t->ic)
        put_sum(data, t->size, t->css, t->cso, 0, 0);
    if ((t->popts & POPTS_TXSM) && (e->offloads & BP_NET_OFFLOAD_CSUM) && !phy_loops(e) &&
        !c->tucse && c->tucss >= ETHER_BYTES && c->tucso >= c->tucss && c->tucso + 2u <= t->size) {
        t->checksum = 1;
        put_sums(data, t->size, c, t->popts & POPTS_IXSM);
    } else {
        put_sums(data, t->size, c, t->popts);
    }
    if (t->vle) {
        t->start -= VLAN_BYTES;
        t->size += VLAN_BYTES;
        put_tag(e, e->tx_packet + t->start);
    }
    if (t->size < FRAME_MIN && (e->reg[R_TCTL] & TCTL_PSP)) {
        memset(e->tx_packet + t->start + t->size, 0, FRAME_MIN - t->size);
        t->size = FRAME_MIN;
    }
    return 0;
}

int offload_prepare(struct e1000 *e)
{
    struct e1000_tx *t = &e->tx;

    t->vle = (t->cmd & TX_VLE) && (e->reg[R_CTRL] & CTRL_VME);
    t->whole = t->checksum = 0;
    t->sent = t->segment = 0;
    return t->tse ? prepare_segments(e) : prepare_single(e);
}

uint32_t offload_payload(const struct e1000 *e)
{
    const struct e1000_tx *t = &e->tx;

    return t->tse && !t->whole ? t->size - t->context.hdrlen : t->size;
}

static uint32_t next_segment(struct e1000 *e, struct bp_buf *buf)
{
    const struct e1000_tx *t = &e->tx;
    const struct e1000_context *c = &t->context;
    const uint8_t *packet = e->tx_packet + t->start;
    uint32_t left = offload_payload(e) - t->sent, payload = left < c->mss ? left : c->mss;
    uint32_t len = c->hdrlen + payload;
    uint8_t *data = e->tx_frame + VLAN_BYTES;

    memcpy(data, packet, c->hdrlen);
    memcpy(data + c->hdrlen, packet + c->hdrlen + t->sent, payload);
    fix_header(data, len, c, t->segment, t->sent, payload == left);
    if (t->popts & POPTS_TXSM)
        add_length(data, len, c);
    put_sums(data, len, c, t->popts);
    if (t->vle) {
        data = e->tx_frame;
        len += VLAN_BYTES;
        put_tag(e, data);
    }
    if (len < FRAME_MIN) {
        memset(data + len, 0, FRAME_MIN - len);
        len = FRAME_MIN;
    }
    *buf = (struct bp_buf){.data = data, .len = len};
    return payload;
}

uint32_t offload_frame(struct e1000 *e, struct bp_frame *frame, struct bp_buf *buf)
{
    const struct e1000_tx *t = &e->tx;
    const struct e1000_context *c = &t->context;
    uint32_t tag = t->vle && !t->tse ? VLAN_BYTES : 0u;

    *frame = (struct bp_frame){.size = sizeof(*frame), .nbufs = 1, .bufs = buf};
    if (t->tse && !t->whole)
        return next_segment(e, buf);
    *buf = (struct bp_buf){.data = e->tx_packet + t->start, .len = t->size};
    if (t->whole || t->checksum) {
        frame->flags = BP_HDR_NEEDS_CSUM;
        frame->csum_start = (uint16_t)(c->tucss + tag);
        frame->csum_offset = (uint16_t)(c->tucso - c->tucss);
    }
    if (t->whole && t->size > (uint32_t)c->hdrlen + c->mss) {
        frame->gso_type = c->tucmd & TUCMD_IP ? BP_GSO_TCPV4 : BP_GSO_TCPV6;
        frame->gso_size = c->mss;
        frame->hdr_len = c->hdrlen;
    }
    return t->size;
}

/* ---- received frames ---- */

/* The transport's checksum, of `len` bytes at `data`; `addresses`, `room` bytes, are its pseudo
 * header's. */
static uint32_t verify_transport(const uint8_t *data, uint32_t len, uint32_t protocol,
                                 const uint8_t *addresses, uint32_t room, int good)
{
    if (protocol == PROTOCOL_TCP ? len < 20 : protocol != PROTOCOL_UDP || len < 8)
        return 0;
    if (protocol == PROTOCOL_UDP && !bp_be16(data + 6))
        return 0; /* has none */
    if (good || bp_sum(data, len, bp_sum(addresses, room, bp_sum_fold((uint64_t)protocol + len))) ==
                    0xffffu)
        return RX_TCPCS;
    return RX_TCPE << 8 | RX_TCPCS;
}

/* `good` is the offset, from `ip` on, of a header whose checksum is known to be right; KNOWN_*. */
static uint32_t verify_ipv4(const struct e1000 *e, const uint8_t *ip, uint32_t room, uint32_t good)
{
    uint32_t header, total, result = 0;

    if (room < 20 || ip[0] >> 4 != 4)
        return 0;
    header = (ip[0] & 15u) * 4u;
    total = bp_be16(ip + 2);
    if (header < 20 || header > room || total < header || total > room)
        return 0;
    if (e->reg[R_RXCSUM] & RXCSUM_IPOFL)
        result |= bp_sum(ip, header, 0) == 0xffffu ? RX_IPCS : RX_IPE << 8 | RX_IPCS;
    if ((e->reg[R_RXCSUM] & RXCSUM_TUOFL) && !(bp_be16(ip + 6) & 0x3fffu))
        result |= verify_transport(ip + header, total - header, ip[9], ip + 12, 8,
                                   good == KNOWN_GOOD || good == header);
    return result;
}

static uint32_t verify_ipv6(const struct e1000 *e, const uint8_t *ip, uint32_t room, uint32_t good)
{
    uint32_t len;

    if (room < IPV6_BYTES || ip[0] >> 4 != 6 || !(e->reg[R_RXCSUM] & RXCSUM_TUOFL))
        return 0;
    len = bp_be16(ip + 4);
    if (len > room - IPV6_BYTES)
        return 0;
    return verify_transport(ip + IPV6_BYTES, len, ip[6], ip + 8, 32,
                            good == KNOWN_GOOD || good == IPV6_BYTES);
}

uint32_t offload_verify(const struct e1000 *e, const uint8_t *frame, uint32_t len, uint32_t good)
{
    uint32_t at = filter_is_tagged(e, frame, len) ? ETHER_BYTES + VLAN_BYTES : ETHER_BYTES;
    uint32_t result = 0;

    if (good != KNOWN_GOOD)
        good = good > at ? good - at : KNOWN_NONE;
    if (len > at && bp_be16(frame + at - 2) == ETHER_IPV4)
        result = verify_ipv4(e, frame + at, len - at, good);
    else if (len > at && bp_be16(frame + at - 2) == ETHER_IPV6)
        result = verify_ipv6(e, frame + at, len - at, good);
    return result ? result : RX_IXSM;
}
