/* SPDX-License-Identifier: MIT
 *
 * fakes/net.c - both ends of a network link for unit tests: see fakes/net.h.
 */
#include "fakes/net.h"

#include "fakes/normal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void record(struct fake_frames *f, uint32_t queue, const struct bp_frame *frame)
{
    uint64_t len = bp_frame_len(frame);
    struct fake_frame *to;

    if (f->count == FAKE_NET_FRAMES)
        fake_fail("more than %u frames", FAKE_NET_FRAMES);
    if (frame->size != sizeof(*frame))
        fake_fail("a frame says that its size is %u", frame->size);
    if (len > BP_FRAME_MAX)
        fake_fail("a frame is longer than %u bytes", BP_FRAME_MAX);
    if (!f->frames)
        f->frames = calloc(FAKE_NET_FRAMES, sizeof(*f->frames));
    assert_non_null(f->frames);
    to = &f->frames[f->count++];
    to->header = *frame;
    to->header.bufs = NULL;
    to->header.nbufs = 0;
    to->queue = queue;
    to->len = (uint32_t)len;
    to->data = malloc(len + 1);
    assert_non_null(to->data);
    bp_frame_gather(frame, to->data, len);
}

void fake_frames_clear(struct fake_frames *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        free(f->frames[i].data);
    f->count = 0;
}

static struct bp_frame plain(struct bp_buf *buf, const void *data, uint64_t len)
{
    /* bp_buf is for both directions; neither end writes to a frame that it is given. */
    memcpy(&buf->data, &data, sizeof(data));
    buf->len = len;
    return (struct bp_frame){.size = sizeof(struct bp_frame), .nbufs = 1, .bufs = buf};
}

static void check_queue(uint32_t queue)
{
    if (queue >= FAKE_NET_QUEUES)
        fake_fail("queue %u", queue);
}

/* ---- an adapter ---------------------------------------------------------------------------------
 */

static int nic_receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct fake_nic *n = self;

    check_queue(queue);
    if (n->inside)
        fake_fail("receive() from inside a call of the adapter's");
    n->more[queue] = frame->more != 0;
    if (n->error)
        return n->error;
    n->unwanted += n->held[queue];
    if (!n->room[queue]) {
        n->more[queue] = 0;
        n->refused++;
        n->held[queue] = 1;
        return -EAGAIN;
    }
    if (n->room[queue] != FAKE_NET_ANY)
        n->room[queue]--;
    record(&n->got, queue, frame);
    return 0;
}

static void nic_sent(void *self, uint32_t queue)
{
    struct fake_nic *n = self;

    check_queue(queue);
    if (n->inside)
        fake_fail("sent() from inside a call of the adapter's");
    n->sent[queue]++;
    if (n->on_sent)
        n->on_sent(n->context, queue);
}

static void nic_link(void *self, uint32_t up)
{
    struct fake_nic *n = self;

    if (n->inside || up > 1)
        fake_fail("link(%u), or from inside a call of the adapter's", up);
    n->links++;
    n->up = up;
}

static const struct bp_net_port nic_port = {
    .size = sizeof(struct bp_net_port), .receive = nic_receive, .sent = nic_sent, .link = nic_link};

struct fake_nic *fake_nic_new(struct fake_host *h)
{
    struct fake_nic *n = calloc(1, sizeof(*n));

    assert_non_null(n);
    n->host = h;
    n->self = fake_self(h);
    n->ops = normal_table(BP_NET_ID, 0, fake_ops(h)->extension(n->self, BP_NET_ID));
    assert_non_null(n->ops);
    for (uint32_t i = 0; i < FAKE_NET_QUEUES; i++)
        n->room[i] = FAKE_NET_ANY;
    n->up = 1;
    assert_int_equal(n->ops->attach(n->self, &nic_port, n), 0);
    assert_int_equal(n->ops->attach(n->self, &nic_port, n), -EBUSY);
    n->self = n->ops->port(n->self);
    return n;
}

struct fake_nic *fake_nic_beside(struct fake_nic *first)
{
    struct fake_nic *n = fake_nic_new(first->host);

    n->is_guest = 1;
    return n;
}

void fake_nic_free(struct fake_nic *n)
{
    if (!n)
        return;
    if (!n->is_guest)
        fake_host_free(n->host);
    fake_frames_clear(&n->got);
    free(n->got.frames);
    free(n);
}

uint32_t fake_nic_send_frames(struct fake_nic *n, uint32_t queue, const struct bp_frame *frames,
                              uint32_t count)
{
    uint32_t taken;

    n->inside++;
    taken = n->ops->send(n->self, queue, frames, count);
    n->inside--;
    assert_true(taken <= count);
    return taken;
}

uint32_t fake_nic_send(struct fake_nic *n, uint32_t queue, const void *data, uint64_t len)
{
    struct bp_buf buf;
    struct bp_frame frame = plain(&buf, data, len);

    return fake_nic_send_frames(n, queue, &frame, 1);
}

void fake_nic_resume(struct fake_nic *n, uint32_t queue, uint32_t room)
{
    check_queue(queue);
    n->room[queue] = room;
    n->held[queue] = 0;
    n->inside++;
    n->ops->resume(n->self, queue);
    n->inside--;
}

void fake_nic_turn(struct fake_nic *n, int ms)
{
    fake_advance_ns(n->host, (uint64_t)ms * 1000000u);
    fake_poll(n->host, ms);
    for (uint32_t i = 0; i < FAKE_NET_QUEUES; i++)
        if (n->more[i])
            fake_fail("receive() said that another frame follows, and none did");
}

void fake_nic_expect_quiet(struct fake_nic *n)
{
    uint32_t before = n->got.count + n->refused;
    unsigned calls = 0;

    for (int i = 0; i < 20; i++)
        calls += fake_poll(n->host, 1);
    /* A call that brought frames had its reason: a kernel's IPv6 speaks whenever it likes to. */
    assert_true(calls <= 2 + (n->got.count + n->refused - before));
}

/* ---- a backend ----------------------------------------------------------------------------------
 */

static int net_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    (void)self; /* the host keeps them */
    (void)port;
    (void)port_self;
    return 0;
}

static uint32_t net_offloads(void *self)
{
    const struct fake_net *n = self;

    return n->can;
}

static int net_set_offloads(void *self, uint32_t bits)
{
    struct fake_net *n = self;

    n->offload_calls++;
    if (bits & ~n->can)
        return -EINVAL;
    n->offloads = bits;
    return 0;
}

static uint32_t net_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct fake_net *n = self;
    uint32_t done = 0;

    check_queue(queue);
    if (n->inside)
        fake_fail("send() from inside receive() or link()");
    for (; done < count && n->room; done++) {
        if (n->room != FAKE_NET_ANY)
            n->room--;
        record(&n->sent, queue, bp_frame_at(frames, done));
    }
    return done;
}

static void net_resume(void *self, uint32_t queue)
{
    struct fake_net *n = self;

    check_queue(queue);
    n->resumed[queue]++;
}

static int net_set_queues(void *self, uint32_t count)
{
    struct fake_net *n = self;

    if (count < 1 || count > n->queues_max)
        return -EINVAL;
    n->queues = count;
    return 0;
}

static const struct bp_net net_table = {
    .size = sizeof(struct bp_net),
    .attach = net_attach,
    .offloads = net_offloads,
    .set_offloads = net_set_offloads,
    .send = net_send,
    .resume = net_resume,
    .set_queues = net_set_queues,
};

struct fake_net *fake_net_new(void)
{
    struct fake_net *n = calloc(1, sizeof(*n));

    assert_non_null(n);
    n->room = FAKE_NET_ANY;
    n->queues = 1;
    n->queues_max = FAKE_NET_QUEUES;
    n->node = fake_peer(BP_NET_ID, &net_table, n);
    return n;
}

void fake_net_free(struct fake_net *n)
{
    if (!n)
        return;
    fake_frames_clear(&n->sent);
    free(n->sent.frames);
    free(n);
}

static const struct bp_net_port *port_of(struct fake_net *n, void **port_self)
{
    const struct bp_net_port *port = fake_port(n->node, port_self);

    if (!port)
        fake_fail("no adapter is attached");
    return port;
}

int fake_net_deliver_frame(struct fake_net *n, uint32_t queue, const struct bp_frame *frame)
{
    void *port_self;
    const struct bp_net_port *port = port_of(n, &port_self);
    int err;

    n->inside++;
    err = port->receive(port_self, queue, frame);
    n->inside--;
    return err;
}

int fake_net_deliver(struct fake_net *n, uint32_t queue, const void *data, uint64_t len)
{
    struct bp_buf buf;
    struct bp_frame frame = plain(&buf, data, len);

    return fake_net_deliver_frame(n, queue, &frame);
}

void fake_net_sent(struct fake_net *n, uint32_t queue, uint32_t room)
{
    void *port_self;
    const struct bp_net_port *port = port_of(n, &port_self);

    n->room = room;
    port->sent(port_self, queue);
}

void fake_net_link(struct fake_net *n, uint32_t up)
{
    void *port_self;
    const struct bp_net_port *port = port_of(n, &port_self);

    n->inside++;
    port->link(port_self, up);
    n->inside--;
}
