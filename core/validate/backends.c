/* SPDX-License-Identifier: MIT
 *
 * validate/backends.c - backends under validation, used as a device would use them: a device that
 * has no room, asks for the impossible, and counts.
 *
 * backplane/char.h, net.h and block.h give the rules. Left out: whether what is sent arrives
 * anywhere, which needs the world at the other end.
 */
#include "validate/world.h"

#include "plugin/normalise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS 16u
#define CHUNK 4096u

struct request {
    struct bp_block_request table;
    struct bp_iovec iovecs[2];
    uint8_t data[CHUNK];
    bool flying, valid;
};

struct port {
    struct bp_node *node;
    union {
        struct bp_char chr;
        struct bp_net net;
        struct bp_block block;
    } ops;
    void *self; /* first argument of its functions */
    bool owed;  /* the backend took less than it was given */
    bool held;  /* this end took less than it was given */
    struct request requests[REQUESTS];
    uint64_t completed;
};

/* A call of the backend into its port, which only comes inside the domain, and not from within a
 * call of ours. */
static struct port *called(void *self, const char *what)
{
    struct port *p = self;

    must_be_inside(p->node, what);
    if (p->node->depth)
        world_fail(p->node->world,
                   "%s of the port was called from inside a call of the port's owner; a backend "
                   "calls back on the loop",
                   what);
    return p;
}

/* ---- ports ----------------------------------------------------------------------------------- */

static uint64_t char_receive(void *self, const uint8_t *data, uint64_t len)
{
    struct port *p = called(self, "receive()");
    struct tape *t = p->node->tape;
    uint64_t n = len;

    (void)data;
    if (p->held)
        world_fail(p->node->world, "receive() was called again before resume(), although less was "
                                   "taken than was given");
    if (t && len && tape_byte(t) < 0x60)
        n = tape_below(t, len);
    p->held = n < len;
    return n;
}

static void char_writable(void *self)
{
    called(self, "writable()")->owed = false;
}

static void char_event(void *self, uint32_t what, uint32_t columns, uint32_t rows)
{
    const struct port *p = called(self, "event()");

    (void)columns, (void)rows;
    if (what < BP_CHAR_OPENED || what > BP_CHAR_RESIZED)
        world_fail(p->node->world, "event() was given %u; expected BP_CHAR_*", what);
}

static const struct bp_char_port char_port = {.size = sizeof(char_port),
                                              .receive = char_receive,
                                              .writable = char_writable,
                                              .event = char_event};

static int net_receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct port *p = called(self, "receive()");
    struct tape *t = p->node->tape;

    if (queue)
        world_fail(p->node->world, "receive() was given queue %u; one is in use", queue);
    if (frame->size < sizeof(*frame) || !frame->nbufs)
        world_fail(p->node->world, "receive() was given a malformed frame");
    if (p->held)
        world_fail(p->node->world, "receive() was called again before resume(), after -EAGAIN");
    p->held = t && tape_byte(t) < 0x60;
    return p->held ? -EAGAIN : 0;
}

static void net_sent(void *self, uint32_t queue)
{
    (void)queue;
    called(self, "sent()")->owed = false;
}

static void net_link(void *self, uint32_t up)
{
    const struct port *p = called(self, "link()");

    if (up > 1)
        world_fail(p->node->world, "link() was given %u; expected 0 or 1", up);
}

static const struct bp_net_port net_port = {
    .size = sizeof(net_port), .receive = net_receive, .sent = net_sent, .link = net_link};

static void block_complete(void *self, struct bp_block_request *request, int status)
{
    struct port *p = called(self, "complete()");
    struct request *r = NULL;

    for (uint32_t i = 0; !r && i < REQUESTS; i++)
        if (request == &p->requests[i].table && p->requests[i].flying)
            r = &p->requests[i];
    if (!r)
        world_fail(p->node->world, "complete() was given a request that is not in flight: each "
                                   "completes once");
    if (status > 0)
        world_fail(p->node->world, "complete() was given status %d; expected 0 or a negative errno",
                   status);
    if (!status && !r->valid)
        world_fail(
            p->node->world,
            "a request of type %u, %llu bytes at %llu, which lies outside of the image or is "
            "malformed, completed with success",
            request->type, (unsigned long long)request->length,
            (unsigned long long)request->offset);
    r->flying = false;
    p->completed++;
}

static void block_resized(void *self, uint64_t length)
{
    (void)length;
    (void)called(self, "resized()");
}

static const struct bp_block_port block_port = {
    .size = sizeof(block_port), .complete = block_complete, .resized = block_resized};

/* ---- attach ---------------------------------------------------------------------------------- */

static const char *id_of(uint32_t kind)
{
    return kind == BP_KIND_CHAR    ? BP_CHAR_ID
           : kind == BP_KIND_NET   ? BP_NET_ID
           : kind == BP_KIND_BLOCK ? BP_BLOCK_ID
                                   : NULL;
}

static int attach_again(struct bp_node *n)
{
    struct port *p = n->port;

    switch (n->backend_kind) {
    case BP_KIND_CHAR:
        return p->ops.chr.attach(n->self, &char_port, p);
    case BP_KIND_NET:
        return p->ops.net.attach(n->self, &net_port, p);
    default:
        return p->ops.block.attach(n->self, &block_port, p);
    }
}

static void check_info(struct bp_node *n)
{
    struct bp_block_info info = {.size = sizeof(info)};

    doing(n->world, "info()");
    n->port->ops.block.info(n->self, &info);
    if ((info.sector_size != 512 && info.sector_size != 4096) || info.length % info.sector_size ||
        (info.optimal_size & (info.optimal_size - 1)))
        world_fail(n->world,
                   "info() tells of sectors of %u bytes, a length of %llu and an optimal size of "
                   "%u; expected 512 or 4096, a multiple of it, and a power of two",
                   info.sector_size, (unsigned long long)info.length, info.optimal_size);
}

void backend_attach(struct bp_node *n)
{
    const char *id = id_of(n->model->kind);
    const struct interface *interface = id ? interface_find(id) : NULL;
    const void *table;
    struct error why;
    int err;

    if (!interface)
        return;
    doing(n->world, "extension(%s)", id);
    table = n->ops.extension(n->self, id);
    if (!table)
        world_fail(n->world, "it is of kind %s, but extension(\"%s\") gives NULL",
                   plugin_kind_name(n->model->kind), id);
    n->port = calloc(1, sizeof(*n->port));
    if (!n->port)
        return;
    n->port->node = n;
    n->backend_kind = n->model->kind;
    if (normalise(&n->port->ops, interface->table, table, &why))
        world_fail(n->world, "extension(\"%s\") gives a bad table: %s", id, why.text);
    doing(n->world, "attach()");
    err = attach_again(n);
    if (err)
        world_fail(n->world, "attach() of the first port gave %d; expected 0", err);
    err = attach_again(n);
    if (err != -EBUSY)
        world_fail(n->world, "attach() of a second port gave %d; expected -EBUSY", err);
    n->port->self = n->self;
    if (n->backend_kind == BP_KIND_NET)
        n->port->self = n->port->ops.net.port(n->self);
    if (!n->port->self)
        world_fail(n->world, "port() gave NULL; expected the `self` for the port attached last");
    if (n->backend_kind == BP_KIND_BLOCK)
        check_info(n);
}

/* ---- use ------------------------------------------------------------------------------------- */

static void use_char(struct bp_node *n, struct tape *t)
{
    struct port *p = n->port;
    uint8_t data[512];
    uint64_t len = tape_below(t, sizeof(data) + 1), took;

    switch (tape_below(t, 6)) {
    case 0:
        if (!p->held)
            break;
        p->held = false;
        n->depth++;
        doing(n->world, "resume()");
        p->ops.chr.resume(n->self);
        n->depth--;
        break;
    case 1:
        n->depth++;
        doing(n->world, "set_break()");
        p->ops.chr.set_break(n->self, tape_byte(t) & 1);
        n->depth--;
        break;
    case 2:
        if (p->held)
            break;
        for (uint64_t i = 0; i < len; i++)
            data[i] = tape_byte(t);
        doing(n->world, "inject() of %llu bytes", (unsigned long long)len);
        took = p->ops.chr.inject(n->self, data, len);
        if (took > len)
            world_fail(n->world, "inject() says that it took %llu bytes of %llu",
                       (unsigned long long)took, (unsigned long long)len);
        break;
    default:
        for (uint64_t i = 0; i < len; i++)
            data[i] = tape_byte(t);
        n->depth++;
        doing(n->world, "write() of %llu bytes", (unsigned long long)len);
        took = p->ops.chr.write(n->self, data, len);
        n->depth--;
        if (took > len)
            world_fail(n->world, "write() says that it took %llu bytes of %llu",
                       (unsigned long long)took, (unsigned long long)len);
        p->owed |= took < len;
    }
}

static void use_net(struct bp_node *n, struct tape *t)
{
    static const uint32_t lengths[] = {0, 1, 13, 14, 60, 1514, 9000, 65535};
    struct port *p = n->port;
    struct bp_frame frames[4];
    struct bp_buf bufs[4][2];
    static const uint32_t longest = 65535;
    uint32_t count = (uint32_t)tape_below(t, 5), took;
    uint8_t *data;
    int err;

    switch (tape_below(t, 6)) {
    case 0:
        p->held = false;
        n->depth++;
        doing(n->world, "resume()");
        p->ops.net.resume(p->self, 0);
        n->depth--;
        return;
    case 1:
        doing(n->world, "set_queues(0)");
        err = p->ops.net.set_queues(p->self, 0);
        if (err != -EINVAL)
            world_fail(n->world, "set_queues(0) gave %d; expected -EINVAL", err);
        doing(n->world, "set_queues(1)");
        err = p->ops.net.set_queues(p->self, 1);
        if (err)
            world_fail(n->world, "set_queues(1) gave %d; expected 0", err);
        return;
    case 2:
        doing(n->world, "set_offloads()");
        p->ops.net.set_offloads(p->self, (uint32_t)tape_below(t, 16));
        p->ops.net.set_offloads(p->self, 0);
        return;
    default:
        break;
    }
    data = malloc(longest);
    if (!data)
        return;
    memset(data, tape_byte(t), longest);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = lengths[tape_below(t, sizeof(lengths) / sizeof(lengths[0]))];
        uint32_t first = (uint32_t)tape_below(t, len + 1);

        bufs[i][0] = (struct bp_buf){data, first};
        bufs[i][1] = (struct bp_buf){data + first, len - first};
        frames[i] = (struct bp_frame){.size = sizeof(frames[i]), .nbufs = 2, .bufs = bufs[i]};
        /* Offsets are the guest's: they may point beyond the frame. */
        if (tape_byte(t) < 0x40) {
            frames[i].flags = tape_byte(t);
            frames[i].gso_type = tape_byte(t);
            frames[i].hdr_len = (uint16_t)tape_bits(t, 2);
            frames[i].gso_size = (uint16_t)tape_bits(t, 2);
            frames[i].csum_start = (uint16_t)tape_bits(t, 2);
            frames[i].csum_offset = (uint16_t)tape_bits(t, 2);
        }
    }
    n->depth++;
    doing(n->world, "send() of %u frames", count);
    took = p->ops.net.send(p->self, 0, frames, count);
    n->depth--;
    if (took > count)
        world_fail(n->world, "send() says that it took %u frames of %u", took, count);
    p->owed |= took < count;
    free(data);
}

static void use_block(struct bp_node *n, struct tape *t)
{
    struct port *p = n->port;
    struct bp_block_info info = {.size = sizeof(info)};
    struct bp_block_request *table;
    struct request *r = NULL;
    uint64_t sectors;

    for (uint32_t i = 0; !r && i < REQUESTS; i++)
        if (!p->requests[i].flying)
            r = &p->requests[i];
    if (!r)
        return;
    p->ops.block.info(n->self, &info);
    if (info.sector_size != 512 && info.sector_size != 4096)
        return; /* told at attach() */
    sectors = info.length / info.sector_size;
    table = &r->table;
    *table = (struct bp_block_request){
        .size = sizeof(*table), .type = (uint16_t)tape_below(t, 5), .cookie = tape_byte(t)};
    if (tape_byte(t) < 0x20)
        table->flags = BP_BLOCK_FUA;
    table->length = info.sector_size * tape_below(t, 1 + CHUNK / info.sector_size);
    table->offset = info.sector_size * tape_below(t, sectors + 1);
    if (tape_byte(t) < 0x20)
        table->offset = tape_bits(t, 8); /* nowhere */
    if (table->type == BP_BLOCK_FLUSH)
        table->offset = table->length = 0;
    r->valid = table->offset % info.sector_size == 0 && table->offset <= info.length &&
               table->length <= info.length - table->offset &&
               !(info.flags & BP_BLOCK_READONLY && table->type != BP_BLOCK_READ &&
                 table->type != BP_BLOCK_FLUSH);
    if (table->type <= BP_BLOCK_WRITE) {
        uint64_t first = info.max_iovecs > 1 ? tape_below(t, table->length + 1) : table->length;

        r->iovecs[0] = (struct bp_iovec){r->data, first};
        r->iovecs[1] = (struct bp_iovec){r->data + first, table->length - first};
        table->iovecs = r->iovecs;
        table->niovecs = info.max_iovecs > 1 ? 2 : 1;
    }
    r->flying = true;
    n->depth++;
    doing(n->world, "submit() of a request of type %u, %llu bytes at %llu", table->type,
          (unsigned long long)table->length, (unsigned long long)table->offset);
    if (table->cookie & 1)
        p->ops.block.begin(n->self);
    p->ops.block.submit(n->self, (struct bp_block_request *const[]){table}, 1);
    n->depth--;
    if (table->cookie & 1) {
        doing(n->world, "end() after submit()");
        p->ops.block.end(n->self);
    }
}

void backend_act(struct bp_node *n, struct tape *t)
{
    if (!n->port)
        return;
    node_enter(n);
    if (n->backend_kind == BP_KIND_CHAR)
        use_char(n, t);
    else if (n->backend_kind == BP_KIND_NET)
        use_net(n, t);
    else
        use_block(n, t);
    node_leave(n);
}

void backend_reset(struct bp_node *n)
{
    /* The device was reset too: it waits for nothing, and nothing waits for its resume(). */
    if (n->port)
        n->port->held = false;
}

void backend_quiesce(struct bp_node *n)
{
    if (!n->port || n->backend_kind != BP_KIND_BLOCK || !n->running)
        return;
    /* [main]: no callback of another thread is inside. */
    n->running = false;
    doing(n->world, "drain()");
    n->port->ops.block.drain(n->self);
    n->running = true;
    for (uint32_t i = 0; i < REQUESTS; i++)
        if (n->port->requests[i].flying)
            world_fail(n->world, "drain() returned while a request is in flight");
}
