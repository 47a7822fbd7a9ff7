/* SPDX-License-Identifier: MIT
 *
 * validate/peers.c - the far ends of devices: a byte stream, a network and a disk that take little,
 * are slow, and end when they like.
 *
 * backplane/char.h, net.h and block.h give the rules. What a far end does is decided by the tape of
 * the instance that it belongs to, so that two instances that are given the same tape see the same
 * world. Left out: discard granularity, offloads that a device could negotiate.
 */
#include "validate/world.h"

#include "plugin/normalise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DISK_BYTES (1u << 20)
#define REQUESTS 64u
#define COLUMNS 80u /* of whoever sits at the far end of a stream */
#define ROWS 25u

struct peer {
    struct bp_node node; /* first: what the device holds */
    const char *id;
    const void *ops;
    bool attached, owes; /* it took less than it was given */
    bool held;           /* the device took less than it was given */
    union {
        struct bp_char_port chr;
        struct bp_net_port net;
        struct bp_block_port block;
    } port;
    void *port_self;
    struct bp_block_request *requests[REQUESTS];
    uint32_t request_count;
    uint8_t *disk;
};

static struct peer *inside(void *self, const char *what)
{
    struct peer *p = self;

    must_be_inside(p->node.domain, what);
    return p;
}

/* How much of `given` the far end takes now. */
static uint64_t taken(struct peer *p, uint64_t given)
{
    struct tape *t = p->node.domain->tape;
    uint64_t n = given;

    if (t && given && tape_byte(t) < 0x40)
        n = tape_below(t, given + 1);
    p->owes |= n < given;
    return n;
}

/* Reads every byte, so that a sanitizer sees those that are not there. */
static void touch(const void *data, uint64_t len)
{
    const volatile uint8_t *at = data;
    uint8_t sum = 0;

    for (uint64_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + at[i]);
    (void)sum;
}

/* ---- attach ---------------------------------------------------------------------------------- */

static int attach(struct peer *p, const void *port, size_t size, void *port_self)
{
    if (p->attached)
        return -EBUSY;
    memcpy(&p->port, port, size);
    p->port_self = port_self;
    p->attached = true;
    return 0;
}

static int char_attach(void *self, const struct bp_char_port *port, void *port_self)
{
    return attach(self, port, sizeof(*port), port_self);
}

static int net_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    return attach(self, port, sizeof(*port), port_self);
}

static int block_attach(void *self, const struct bp_block_port *port, void *port_self)
{
    return attach(self, port, sizeof(*port), port_self);
}

/* ---- "bp.char/1" ----------------------------------------------------------------------------- */

static uint64_t char_write(void *self, const uint8_t *data, uint64_t len)
{
    struct peer *p = inside(self, "write() of a char backend");

    touch(data, len);
    return taken(p, len);
}

static void char_resume(void *self)
{
    inside(self, "resume() of a char backend")->held = false;
}

static void char_set_break(void *self, uint32_t on)
{
    const struct peer *p = inside(self, "set_break() of a char backend");

    if (on > 1)
        world_fail(p->node.world, "set_break() was given %u; expected 0 or 1", on);
}

static uint64_t char_inject(void *self, const uint8_t *data, uint64_t len)
{
    (void)inside(self, "inject() of a char backend");
    (void)data, (void)len;
    return 0;
}

static const struct bp_char char_ops = {
    .size = sizeof(char_ops),
    .attach = char_attach,
    .write = char_write,
    .resume = char_resume,
    .set_break = char_set_break,
    .inject = char_inject,
};

/* ---- "bp.net/1" ------------------------------------------------------------------------------ */

static uint32_t net_offloads(void *self)
{
    (void)self;
    return 0;
}

static int net_set_offloads(void *self, uint32_t bits)
{
    (void)inside(self, "set_offloads() of a net backend");
    return bits ? -EINVAL : 0;
}

static uint32_t net_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct peer *p = inside(self, "send() of a net backend");

    if (queue)
        world_fail(p->node.world, "send() was given queue %u; one queue is in use", queue);
    for (uint32_t i = 0; i < count; i++) {
        if (frames[i].size < sizeof(frames[i]))
            world_fail(p->node.world,
                       "send() was given a frame of size %u; expected "
                       "sizeof(struct bp_frame)",
                       frames[i].size);
        for (uint32_t j = 0; j < frames[i].nbufs; j++)
            touch(frames[i].bufs[j].data, frames[i].bufs[j].len);
    }
    return (uint32_t)taken(p, count);
}

static void net_resume(void *self, uint32_t queue)
{
    (void)queue;
    inside(self, "resume() of a net backend")->held = false;
}

static int net_set_queues(void *self, uint32_t count)
{
    (void)self;
    return count == 1 ? 0 : -EINVAL;
}

static const struct bp_net net_ops = {
    .size = sizeof(net_ops),
    .attach = net_attach,
    .offloads = net_offloads,
    .set_offloads = net_set_offloads,
    .send = net_send,
    .resume = net_resume,
    .set_queues = net_set_queues,
};

/* ---- "bp.block/1" ---------------------------------------------------------------------------- */

static void block_info(void *self, struct bp_block_info *out)
{
    struct bp_block_info info = {.size = out->size,
                                 .flags = BP_BLOCK_CAN_DISCARD | BP_BLOCK_CAN_ZERO |
                                          BP_BLOCK_VOLATILE_CACHE,
                                 .length = DISK_BYTES,
                                 .sector_size = 512,
                                 .optimal_size = 4096,
                                 .max_iovecs = 128};

    (void)self;
    memcpy(out, &info, out->size < sizeof(info) ? out->size : sizeof(info));
}

static void check_request(struct peer *p, const struct bp_block_request *r)
{
    struct world *w = p->node.world;
    uint64_t sum = 0;

    if (r->size < sizeof(*r))
        world_fail(w, "submit() was given a request of size %u; expected sizeof its struct",
                   r->size);
    if (r->type > BP_BLOCK_WRITE_ZEROES)
        world_fail(w, "submit() was given a request of type %u; expected BP_BLOCK_*", r->type);
    if (r->type == BP_BLOCK_FLUSH)
        return;
    if (r->offset % 512 || r->length % 512 || r->offset > DISK_BYTES ||
        r->length > DISK_BYTES - r->offset)
        world_fail(
            w,
            "submit() was given %llu bytes at %llu of a disk of %u bytes with sectors of 512: "
            "the device checks what the guest asks for",
            (unsigned long long)r->length, (unsigned long long)r->offset, DISK_BYTES);
    if (r->type > BP_BLOCK_WRITE)
        return;
    if (r->niovecs > 128)
        world_fail(w, "submit() was given %u iovecs; info() says 128 at most", r->niovecs);
    for (uint32_t i = 0; i < r->niovecs; i++)
        sum += r->iovecs[i].len;
    if (sum != r->length)
        world_fail(w, "submit() was given iovecs of %llu bytes together for a length of %llu",
                   (unsigned long long)sum, (unsigned long long)r->length);
}

static void block_submit(void *self, struct bp_block_request *const *requests, uint32_t count)
{
    struct peer *p = inside(self, "submit() of a block backend");

    for (uint32_t i = 0; i < count; i++) {
        check_request(p, requests[i]);
        if (p->request_count == REQUESTS)
            world_fail(p->node.world, "more than %u requests are in flight", REQUESTS);
        p->requests[p->request_count++] = requests[i];
    }
}

/* Does one request, whose buffers are the device's until then. */
static void complete(struct peer *p, uint32_t index, int status)
{
    struct bp_block_request *r = p->requests[index];
    uint64_t at = r->offset;

    p->requests[index] = p->requests[--p->request_count];
    for (uint32_t i = 0; !status && r->type <= BP_BLOCK_WRITE && i < r->niovecs; i++) {
        if (r->type == BP_BLOCK_READ)
            memcpy(r->iovecs[i].data, p->disk + at, r->iovecs[i].len);
        else
            memcpy(p->disk + at, r->iovecs[i].data, r->iovecs[i].len);
        at += r->iovecs[i].len;
    }
    if (!status && r->type > BP_BLOCK_FLUSH)
        memset(p->disk + r->offset, 0, r->length);
    p->port.block.complete(p->port_self, r, status);
}

static void block_drain(void *self)
{
    struct peer *p = self;

    while (p->request_count)
        complete(p, 0, 0);
}

static const struct bp_block block_ops = {
    .size = sizeof(block_ops),
    .attach = block_attach,
    .info = block_info,
    .submit = block_submit,
    .drain = block_drain,
};

/* ---- life ------------------------------------------------------------------------------------ */

struct bp_node *peer_new(struct bp_node *owner, const char *id)
{
    const void *ops = !id                        ? NULL
                      : !strcmp(id, BP_CHAR_ID)  ? (const void *)&char_ops
                      : !strcmp(id, BP_NET_ID)   ? (const void *)&net_ops
                      : !strcmp(id, BP_BLOCK_ID) ? (const void *)&block_ops
                                                 : NULL;
    struct peer *p = ops ? calloc(1, sizeof(*p)) : NULL;

    if (!p)
        return NULL;
    p->node.peer = p;
    p->node.name = "far-end";
    p->node.domain = owner;
    p->node.world = owner ? owner->world : NULL;
    p->id = id;
    p->ops = ops;
    p->disk = ops == &block_ops ? calloc(1, DISK_BYTES) : NULL;
    return &p->node;
}

void peer_free(struct bp_node *peer)
{
    if (!peer)
        return;
    free(peer->peer->disk);
    free(peer->peer);
}

int peer_find(struct bp_node *peer, const char *id, struct bp_peer *out)
{
    if (strcmp(peer->peer->id, id) != 0)
        return -ENOENT;
    out->ops = peer->peer->ops;
    out->self = peer->peer;
    return 0;
}

int peer_link(struct bp_node *peer, const char *id, const void *port, void *port_self,
              struct bp_peer *out)
{
    const struct interface *interface = interface_find(id);
    struct peer *p = peer->peer;
    uint64_t whole[64];
    struct error why;
    int err = peer_find(peer, id, out);

    if (err)
        return err;
    if (!interface->port_table || interface->port_size > sizeof(whole))
        return -ENOENT;
    if (normalise(whole, interface->port_table, port, &why))
        world_fail(peer->world, "link() was given a bad table: %s", why.text);
    if (p->ops == &char_ops)
        return char_attach(p, (const void *)whole, port_self);
    if (p->ops == &net_ops)
        return net_attach(p, (const void *)whole, port_self);
    return block_attach(p, (const void *)whole, port_self);
}

/* ---- what comes from there ------------------------------------------------------------------- */

static void act_char(struct peer *p, struct tape *t)
{
    struct world *w = p->node.world;
    uint8_t bytes[64];
    uint64_t len, took;

    uint32_t what = (uint32_t)tape_below(t, 5);

    switch (tape_below(t, 4)) {
    case 0:
        if (!p->owes)
            break;
        p->owes = false;
        doing(w, "writable() of a char port");
        p->port.chr.writable(p->port_self);
        break;
    case 1:
        doing(w, "event() of a char port");
        p->port.chr.event(p->port_self, BP_CHAR_OPENED + what % BP_CHAR_RESIZED, COLUMNS, ROWS);
        break;
    default:
        len = 1 + tape_below(t, sizeof(bytes));
        for (uint64_t i = 0; i < len; i++)
            bytes[i] = tape_byte(t);
        if (p->held)
            break;
        doing(w, "receive() of a char port, %llu bytes", (unsigned long long)len);
        took = p->port.chr.receive(p->port_self, bytes, len);
        if (took > len)
            world_fail(w, "receive() says that it took %llu bytes of %llu",
                       (unsigned long long)took, (unsigned long long)len);
        p->held = took < len;
    }
}

static void act_net(struct peer *p, struct tape *t)
{
    static const uint16_t lengths[] = {0, 1, 14, 60, 64, 1514, 1518, 9000, 65535};
    struct world *w = p->node.world;
    uint64_t len;
    uint8_t *data, fill;
    int err;

    if (tape_below(t, 4) == 0) {
        if (p->owes) {
            p->owes = false;
            doing(w, "sent() of a net port");
            p->port.net.sent(p->port_self, 0);
        } else {
            doing(w, "link() of a net port");
            p->port.net.link(p->port_self, (uint32_t)tape_below(t, 2));
        }
        return;
    }
    len = lengths[tape_below(t, sizeof(lengths) / sizeof(lengths[0]))];
    fill = tape_byte(t);
    if (p->held)
        return;
    data = malloc(len + 1);
    if (!data)
        return;
    memset(data, fill, len);
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    doing(w, "receive() of a net port, a frame of %llu bytes", (unsigned long long)len);
    err = p->port.net.receive(p->port_self, 0, &frame);
    if (err > 0)
        world_fail(w, "receive() gave %d; expected 0, -EAGAIN or another negative errno", err);
    p->held = err == -EAGAIN;
    free(data);
}

static void act_block(struct peer *p, struct tape *t)
{
    static const int results[] = {0, 0, 0, -EIO, -ENOSPC, -EROFS, -EINVAL};

    if (!p->request_count)
        return;
    doing(p->node.world, "complete() of a block port");
    complete(p, (uint32_t)tape_below(t, p->request_count),
             results[tape_below(t, sizeof(results) / sizeof(results[0]))]);
}

void peer_act(struct bp_node *n, struct tape *t)
{
    struct peer *p;

    if (!n->peer_count)
        return;
    p = n->peers[tape_below(t, n->peer_count)]->peer;
    if (!p->attached)
        return;
    node_enter(n);
    if (p->ops == &char_ops)
        act_char(p, t);
    else if (p->ops == &net_ops)
        act_net(p, t);
    else
        act_block(p, t);
    node_leave(n);
}

void peers_quiesce(struct bp_node *n)
{
    for (uint32_t i = 0; i < n->peer_count; i++) {
        struct peer *p = n->peers[i]->peer;

        while (p->request_count) {
            node_enter(n);
            complete(p, 0, 0);
            node_leave(n);
        }
    }
}

static void settle(struct peer *p)
{
    if (p->ops == &char_ops) {
        p->port.chr.event(p->port_self, BP_CHAR_OPENED, 0, 0);
        p->port.chr.event(p->port_self, BP_CHAR_RESIZED, COLUMNS, ROWS);
        if (p->owes)
            p->port.chr.writable(p->port_self);
    } else if (p->ops == &net_ops) {
        p->port.net.link(p->port_self, 1);
        if (p->owes)
            p->port.net.sent(p->port_self, 0);
    }
    p->owes = false;
}

void peers_settle(struct bp_node *n)
{
    struct tape *tape = n->tape;

    n->tape = NULL; /* all is taken */
    for (uint32_t i = 0; i < n->peer_count; i++) {
        if (!n->peers[i]->peer->attached)
            continue;
        node_enter(n);
        doing(n->world, "events from the far end");
        settle(n->peers[i]->peer);
        node_leave(n);
    }
    n->tape = tape;
}

void peers_equal(struct bp_node *to, struct bp_node *from)
{
    for (uint32_t i = 0; i < to->peer_count && i < from->peer_count; i++) {
        struct peer *source = from->peers[i]->peer, *target = to->peers[i]->peer;

        /* A far end of the machine that a snapshot is loaded into never gave what waits. */
        source->held = target->held = false;
        target->owes = source->owes;
        if (source->disk && target->disk)
            memcpy(target->disk, source->disk, DISK_BYTES);
    }
}
