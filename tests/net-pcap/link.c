/* SPDX-License-Identifier: MIT
 *
 * net-pcap/link.c - both ends of a link around a backend under test.
 */
#include "link.h"

#include <backplane/util/finish.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the NIC ---- */

static int nic_receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct link *l = self;
    uint32_t len = 0;

    assert_int_equal(frame->size, sizeof(*frame));
    assert_int_equal(queue, 0);
    if (l->only && frame->bufs[0].len >= 14 &&
        memcmp((const uint8_t *)frame->bufs[0].data + 12, l->only, 2) != 0)
        return 0;
    if (l->refusal)
        return l->refusal;
    if (!l->room)
        return -EAGAIN;
    if (l->room != UINT64_MAX)
        l->room--;
    for (uint32_t i = 0; i < frame->nbufs; i++) {
        assert_true(len + frame->bufs[i].len <= sizeof(l->last));
        memcpy(l->last + len, frame->bufs[i].data, frame->bufs[i].len);
        len += (uint32_t)frame->bufs[i].len;
    }
    if (l->got < LINK_FRAMES) {
        l->got_ns[l->got] = fake_now_ns(l->host);
        l->got_len[l->got] = len;
    }
    l->got++;
    return 0;
}

static void nic_sent(void *self, uint32_t queue)
{
    struct link *l = self;

    assert_int_equal(queue, 1);
    l->sents++;
}

static void nic_link(void *self, uint32_t up)
{
    struct link *l = self;

    l->links++;
    l->up = up;
}

static const struct bp_net_port nic = {
    .size = sizeof(struct bp_net_port), .receive = nic_receive, .sent = nic_sent, .link = nic_link};

/* ---- the network behind ---- */

static int behind_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    assert_non_null(self);
    assert_non_null(port);
    assert_non_null(port_self);
    return 0;
}

static uint32_t behind_offloads(void *self)
{
    const struct link *l = self;

    return l->offloads;
}

static int behind_set_offloads(void *self, uint32_t bits)
{
    struct link *l = self;

    if (bits & ~7u)
        return -EINVAL;
    l->offloads = bits;
    return 0;
}

static uint32_t behind_send(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    struct link *l = self;
    uint32_t n = count < l->takes ? count : l->takes;

    assert_int_equal(queue, 0);
    assert_non_null(frames);
    l->sent += n;
    return n;
}

static void behind_resume(void *self, uint32_t queue)
{
    struct link *l = self;

    assert_int_equal(queue, 0);
    l->resumes++;
}

static int behind_set_queues(void *self, uint32_t count)
{
    struct link *l = self;

    if (count > 4)
        return -EINVAL;
    l->queues = count;
    return 0;
}

static const struct bp_net behind = {.size = sizeof(struct bp_net),
                                     .attach = behind_attach,
                                     .offloads = behind_offloads,
                                     .set_offloads = behind_set_offloads,
                                     .send = behind_send,
                                     .resume = behind_resume,
                                     .set_queues = behind_set_queues};

/* ---- both ---- */

struct link *link_new(void)
{
    struct link *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    l->room = UINT64_MAX;
    l->takes = UINT32_MAX;
    l->behind = fake_peer(BP_NET_ID, &behind, l);
    return l;
}

void link_start(struct link *l, const char *model, const void *config)
{
    l->host = fake_host_new(PLUGIN_FILE, model, config);
    l->self = fake_self(l->host);
    l->net = fake_ops(l->host)->extension(l->self, BP_NET_ID);
    assert_non_null(l->net);
    assert_null(fake_ops(l->host)->extension(l->self, "bp.char/1"));
    assert_int_equal(l->net->attach(l->self, &nic, l), 0);
    assert_int_equal(l->net->attach(l->self, &nic, l), -EBUSY);
}

void link_stop(struct link *l)
{
    fake_host_free(l->host);
    l->host = NULL;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    link_stop(l);
    free(l);
}

uint32_t link_send(struct link *l, const void *data, uint32_t len)
{
    struct bp_buf buf = {.len = len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};

    memcpy(&buf.data, &data, sizeof(data));
    return l->net->send(l->self, 0, &frame, 1);
}

const struct bp_net_port *link_port(struct link *l, void **port_self)
{
    const struct bp_net_port *port = fake_port(l->behind, port_self);

    assert_non_null(port);
    return port;
}

int link_receive(struct link *l, const void *data, uint32_t len)
{
    struct bp_buf buf = {.len = len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    void *port_self;
    const struct bp_net_port *port = link_port(l, &port_self);

    memcpy(&buf.data, &data, sizeof(data));
    return port->receive(port_self, 0, &frame);
}

static uint16_t checksum(const uint8_t *data, uint32_t len, uint32_t sum)
{
    for (uint32_t i = 0; i < len; i++)
        sum += (uint32_t)data[i] << (i & 1 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

void link_udp(uint8_t *f, uint32_t len, uint16_t port)
{
    static const uint8_t head[34] = {0x52, 0x54, 0,    0, 0, 2, 0x52, 0x54, 0,    0, 0,  1,
                                     8,    0,    0x45, 0, 0, 0, 0,    0,    0x40, 0, 64, 17,
                                     0,    0,    10,   0, 0, 1, 10,   0,    0,    2};

    assert_true(len >= 42);
    memset(f, 'x', len);
    memcpy(f, head, sizeof(head));
    put16(f + 16, len - 14);
    put16(f + 24, checksum(f + 14, 20, 0));
    put16(f + 34, port);
    put16(f + 36, 9);
    put16(f + 38, len - 34);
    put16(f + 40, 0);
    put16(f + 40, checksum(f + 26, len - 26, 17 + len - 34));
    if (!f[40] && !f[41])
        put16(f + 40, 0xffff);
}

void link_large_tcp(struct link *l, uint8_t *to, uint32_t payload, uint16_t mss)
{
    struct bp_buf buf = {to, LINK_TCP(payload)};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = BP_HDR_NEEDS_CSUM,
                             .gso_type = BP_GSO_TCPV4,
                             .hdr_len = 66,
                             .gso_size = mss,
                             .csum_start = 34,
                             .csum_offset = 16};

    link_udp(to, LINK_TCP(payload), 4000);
    to[23] = 6; /* TCP */
    bp_put_be16(to + 24, 0);
    bp_put_be16(to + 24, ~bp_sum(to + 14, 20, 0) & 0xffffu);
    memset(to + 38, 0, 28);
    bp_put_be16(to + 40, 1000); /* sequence number */
    to[46] = 0x80;
    to[47] = 0x18;             /* ACK, PSH */
    bp_put_be16(to + 48, 501); /* window */
    memset(to + 54, 1, 12);    /* options that do nothing */
    bp_put_be16(to + 50, bp_sum(to + 26, 8, 6 + 32 + payload));
    assert_int_equal(l->net->send(l->self, 0, &frame, 1), 1);
}
