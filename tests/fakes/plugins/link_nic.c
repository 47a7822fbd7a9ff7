/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/link_nic.c - a device with a net, a block and a char peer, for the tests of links.
 * What it finds it says through registers, so that a guest that can do nothing but IN, OUT and
 * "jump if zero" can wait for it.
 *
 *     0x00 W  send that many frames, numbered from 1      R  take a frame: its number, 0: none
 *     0x04 R  0 until all came back; then NET_DONE, with what else is true of the transfer
 *     0x08 W  write that many sectors, read them back, flush, go beyond the end      R  0; then 1
 * right, 0x80 wrong 0x0c W  a byte to the char backend                  R  the last one received,
 * 0: none 0x10 W  add to the counter                          R  its sum 0x14 R  1 if the host
 * offers no doorbells, 2 if it does 0x18 R  times that two threads met in the domain 0x40 R  the
 * same, by a callback outside of the domain (BP_REGION_UNLOCKED), which provokes it
 */
#include "link_parts.h"

#include <backplane/ext/doorbell.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BYTES 64u
#define ROOM 2u /* frames received and not yet taken */

#define NET_DONE 1u
#define NET_REFUSED 2u  /* the NIC had no room at least once */
#define NET_SHORT 4u    /* the backend took fewer than it was given at least once */
#define NET_DISORDER 8u /* a frame was not the next */

static const char *const mistakes[] = {"none",   "twice",  "short-port", "no-receive", "no-port",
                                       "peer",   "unset",  "one-way",    "late",       "taken",
                                       "beyond", "memory", "nothing",    NULL};
enum mistake {
    NONE,
    TWICE,
    SHORT_PORT,
    NO_RECEIVE,
    NO_PORT,
    PEER,
    UNSET,
    ONE_WAY,
    LATE,
    TAKEN,
    BEYOND,
    MEMORY,
    NOTHING
};

struct nic_config {
    struct bp_node *net, *disk, *line, *counter;
    uint32_t mistake;
    uint16_t port;
    uint16_t reserved;
};

enum disk_step { IDLE, WRITING, READING, FLUSHING, BEYOND_END };

struct nic {
    const struct bp_host *host;
    struct bp_node *node;
    struct guard guard;
    struct bp_peer net, disk, line, counter;
    struct bp_region *registers, *unlocked;
    uint32_t doorbells;
    uint32_t wanted, sent, taken, received, flags; /* frames */
    uint32_t held[ROOM], held_count;
    uint32_t sectors, sector, step, result;
    struct bp_block_request request;
    struct bp_iovec iovec;
    uint8_t buffer[512];
    uint8_t last;
};

/* ---- network ---- */

static void nic_send(struct nic *n)
{
    const struct bp_net *net = n->net.ops;

    while (n->sent < n->wanted) {
        uint8_t bytes[FRAME_BYTES] = {0};
        struct bp_buf buf = {bytes, sizeof(bytes)};
        struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
        uint32_t number = n->sent + 1;

        memcpy(bytes + 14, &number, sizeof(number));
        if (net->send(n->net.self, 0, &frame, 1) == 0) {
            n->flags |= NET_SHORT;
            return;
        }
        n->sent++;
    }
}

static int nic_receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct nic *n = self;
    int err = 0;

    (void)queue;
    guard_enter(&n->guard);
    if (n->held_count == ROOM) {
        n->flags |= NET_REFUSED;
        err = -EAGAIN;
    } else {
        memcpy(&n->held[n->held_count], (const uint8_t *)frame->bufs[0].data + 14, 4);
        if (n->held[n->held_count++] != ++n->received)
            n->flags |= NET_DISORDER;
    }
    guard_leave(&n->guard);
    return err;
}

static void nic_sent(void *self, uint32_t queue)
{
    struct nic *n = self;

    (void)queue;
    guard_enter(&n->guard);
    nic_send(n);
    guard_leave(&n->guard);
}

static uint32_t nic_take(struct nic *n)
{
    const struct bp_net *net = n->net.ops;

    if (!n->held_count)
        return 0;
    uint32_t number = n->held[0];
    memmove(n->held, n->held + 1, sizeof(n->held) - sizeof(n->held[0]));
    n->taken++;
    if (n->held_count-- == ROOM)
        net->resume(n->net.self, 0);
    return number;
}

/* ---- disk ---- */

static void disk_next(struct nic *n)
{
    const struct bp_block *disk = n->disk.ops;
    struct bp_block_request *const requests[] = {&n->request};
    static const uint16_t types[] = {[WRITING] = BP_BLOCK_WRITE,
                                     [READING] = BP_BLOCK_READ,
                                     [FLUSHING] = BP_BLOCK_FLUSH,
                                     [BEYOND_END] = BP_BLOCK_READ};
    struct bp_block_info info = {.size = sizeof(info)};

    disk->info(n->disk.self, &info);
    if (n->step == WRITING)
        memset(n->buffer, (int)(n->sector + 1), sizeof(n->buffer));
    else
        memset(n->buffer, 0, sizeof(n->buffer));
    n->iovec = (struct bp_iovec){n->buffer, sizeof(n->buffer)};
    n->request = (struct bp_block_request){
        .size = sizeof(n->request),
        .type = types[n->step],
        .offset = n->step == BEYOND_END ? info.length : (uint64_t)n->sector * info.sector_size,
        .length = n->step == FLUSHING ? 0 : sizeof(n->buffer),
        .iovecs = &n->iovec,
        .niovecs = n->step == FLUSHING ? 0 : 1};
    disk->submit(n->disk.self, requests, 1);
}

static void disk_complete(void *self, struct bp_block_request *request, int status)
{
    struct nic *n = self;
    bool right = request == &n->request && status == (n->step == BEYOND_END ? -EINVAL : 0);

    guard_enter(&n->guard);
    for (size_t i = 0; right && n->step == READING && i < sizeof(n->buffer); i++)
        right = n->buffer[i] == n->sector + 1;
    if (!right)
        n->result = 0x80;
    else if (n->step <= READING && ++n->sector == n->sectors)
        n->sector = 0, n->step++;
    else if (n->step == FLUSHING)
        n->step = BEYOND_END;
    else if (n->step == BEYOND_END)
        n->result = 1;
    if (!n->result)
        disk_next(n);
    guard_leave(&n->guard);
}

/* ---- line ---- */

static uint64_t line_receive(void *self, const uint8_t *data, uint64_t len)
{
    struct nic *n = self;

    guard_enter(&n->guard);
    if (len)
        n->last = data[len - 1];
    guard_leave(&n->guard);
    return len;
}

static void line_writable(void *self)
{
    (void)self;
}

/* ---- registers ---- */

static uint64_t nic_read(void *self, uint64_t offset, uint32_t width)
{
    struct nic *n = self;
    uint64_t value = 0;

    (void)width;
    guard_enter(&n->guard);
    sched_yield();
    switch (offset) {
    case 0x00:
        value = nic_take(n);
        break;
    case 0x04:
        value = n->wanted && n->taken == n->wanted ? n->flags | NET_DONE : 0;
        break;
    case 0x08:
        value = n->result;
        break;
    case 0x0c:
        value = n->last;
        break;
    case 0x10:
        if (n->counter.ops)
            value = ((const struct counter_table *)n->counter.ops)->add(n->counter.self, 0);
        break;
    case 0x14:
        value = n->doorbells;
        break;
    case 0x18:
        value = __atomic_load_n(&n->guard.violations, __ATOMIC_RELAXED);
        break;
    default:
        break;
    }
    guard_leave(&n->guard);
    return value;
}

static void nic_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct nic *n = self;
    uint8_t byte = (uint8_t)value;

    (void)width;
    guard_enter(&n->guard);
    if (offset == 0x00 && n->net.ops) {
        n->wanted = (uint32_t)value;
        nic_send(n);
    } else if (offset == 0x08 && n->disk.ops && n->step == IDLE) {
        n->sectors = (uint32_t)value;
        n->step = WRITING;
        disk_next(n);
    } else if (offset == 0x0c && n->line.ops) {
        ((const struct bp_char *)n->line.ops)->write(n->line.self, &byte, 1);
    } else if (offset == 0x10 && n->counter.ops) {
        ((const struct counter_table *)n->counter.ops)->add(n->counter.self, value);
    }
    guard_leave(&n->guard);
}

static uint64_t unlocked_read(void *self, uint64_t offset, uint32_t width)
{
    struct nic *n = self;

    (void)offset, (void)width;
    guard_enter(&n->guard);
    sched_yield();
    guard_leave(&n->guard);
    return __atomic_load_n(&n->guard.violations, __ATOMIC_RELAXED);
}

static const struct bp_region_ops registers_ops = {.size = sizeof(registers_ops),
                                                   .min_access = 4,
                                                   .max_access = 4,
                                                   .name = "registers",
                                                   .read = nic_read,
                                                   .write = nic_write};
static const struct bp_region_ops unlocked_ops = {.size = sizeof(unlocked_ops),
                                                  .min_access = 4,
                                                  .max_access = 4,
                                                  .flags = BP_REGION_UNLOCKED,
                                                  .name = "unlocked",
                                                  .read = unlocked_read,
                                                  .write = nic_write};

/* ---- life ---- */

static const struct bp_net_port net_port = {
    .size = sizeof(net_port), .receive = nic_receive, .sent = nic_sent};
static const struct bp_net_port short_port = {.size = 16, .receive = nic_receive, .sent = nic_sent};
static const struct bp_net_port deaf_port = {.size = sizeof(deaf_port), .sent = nic_sent};
static const struct bp_block_port disk_port = {.size = sizeof(disk_port),
                                               .complete = disk_complete};
static const struct bp_char_port line_port = {
    .size = sizeof(line_port), .receive = line_receive, .writable = line_writable};

/* Links one reference that is set, and has the far end join the guard if it can. */
static int connect(struct nic *n, struct bp_node *ref, const char *id, const void *port,
                   struct bp_peer *out)
{
    struct bp_peer guard;

    if (!ref)
        return 0;
    int err = n->host->link(n->node, ref, id, port, n, out);
    if (!err && !n->host->peer(n->node, ref, GUARD_ID, &guard))
        ((const struct guard_table *)guard.ops)->join(guard.self, &n->guard);
    return err;
}

static int err_of_mistake(struct nic *n, const struct nic_config *c)
{
    const struct bp_host *host = n->host;
    struct bp_peer peer;
    void *bytes;

    switch (c->mistake) {
    case TWICE:
        return host->link(n->node, c->net, BP_NET_ID, &net_port, n, &peer);
    case NO_PORT:
        return host->link(n->node, c->net, BP_NET_ID, NULL, n, &peer);
    case PEER:
        return host->peer(n->node, c->line, BP_BLOCK_ID, &peer);
    case UNSET:
        return host->peer(n->node, NULL, BP_BLOCK_ID, &peer);
    case ONE_WAY:
        return host->link(n->node, c->net, GUARD_ID, &net_port, n, &peer);
    case LATE:
        return bp_failf(host, n->node, -EIO, "everything is linked, and then this");
    case TAKEN:
        return host->region_place(n->registers, 0x3f0);
    case BEYOND:
        return host->region_place(n->registers, 0xfff0);
    case MEMORY:
        return host->ram_region_new(n->node, 4097, 0, -1, 0, &bytes, &n->unlocked);
    default:
        return 0;
    }
}

static int nic_create(const struct bp_host *host, struct bp_node *node, const void *config,
                      void **self)
{
    const struct nic_config *c = config;
    const void *port = c->mistake == SHORT_PORT   ? &short_port
                       : c->mistake == NO_RECEIVE ? &deaf_port
                                                  : &net_port;
    struct nic *n = calloc(1, sizeof(*n));

    if (!n)
        return host->fail(node, -ENOMEM, "out of memory");
    n->host = host;
    n->node = node;
    n->doorbells = host->extension(node, BP_DOORBELL_ID) ? 2 : 1;
    int err = host->region_new(node, BP_SPACE_PIO, 0x20, &registers_ops, n, &n->registers);
    if (!err)
        err = host->region_place(n->registers, c->port);
    if (!err)
        err = host->region_new(node, BP_SPACE_PIO, 4, &unlocked_ops, n, &n->unlocked);
    if (!err)
        err = host->region_place(n->unlocked, c->port + 0x40u);
    if (!err)
        err = connect(n, c->net, BP_NET_ID, port, &n->net);
    if (!err)
        err = connect(n, c->disk, BP_BLOCK_ID, &disk_port, &n->disk);
    if (!err)
        err = connect(n, c->line, BP_CHAR_ID, &line_port, &n->line);
    if (!err && c->counter)
        err = host->peer(node, c->counter, COUNTER_ID, &n->counter);
    if (!err)
        err = err_of_mistake(n, c);
    if (err || c->mistake == NOTHING) {
        free(n);
        return err;
    }
    *self = n;
    return 0;
}

static void nic_reset(void *self, uint32_t kind)
{
    struct nic *n = self;

    (void)kind;
    n->wanted = n->sent = n->taken = n->received = n->flags = n->held_count = 0;
    n->sectors = n->sector = n->step = n->result = 0;
    n->last = 0;
}

static const struct bp_instance_ops nic_ops = {
    .size = sizeof(nic_ops), .create = nic_create, .destroy = free, .reset = nic_reset};

#define REF(key, id)                                                                               \
    {                                                                                              \
        .name = #key, .help = "the section of its backend", .type = BP_PROP_REF, .needs = (id),    \
        BP_PROP_AT(struct nic_config, key)                                                         \
    }

/* NOLINTBEGIN(bugprone-sizeof-expression): the size of a member that is a pointer is what is wanted
 */
static const struct bp_prop nic_props[] = {
    {.name = "port",
     .help = "first of its ports",
     .initial = "0x1000",
     .max = 0xff00,
     .claim = BP_CLAIM_PIO,
     .claim_length = 0x44,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct nic_config, port)},
    REF(net, BP_NET_ID),
    REF(disk, BP_BLOCK_ID),
    REF(line, BP_CHAR_ID),
    REF(counter, NULL),
    {.name = "mistake",
     .help = "what its create() does wrong",
     .initial = "none",
     .choices = mistakes,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct nic_config, mistake)},
    {0},
};
/* NOLINTEND(bugprone-sizeof-expression) */

const struct bp_model link_nic = {
    .size = sizeof(link_nic),
    .kind = BP_KIND_DEVICE,
    .id = "nic",
    .summary = "links to a backend of every kind",
    .props = nic_props,
    .prop_stride = sizeof(nic_props[0]),
    .config_size = sizeof(struct nic_config),
    .instance = &nic_ops,
};
