/* SPDX-License-Identifier: MIT
 *
 * e1000_world.c - the host of the simplest kind that the fuzz targets of dev-e1000 share.
 */
#include "e1000_world.h"

#include "e1000.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES WORLD_RAM_BYTES
#define CALLS_MAX 20000u /* of DMA or send() in one callback */

struct bp_region {
    const struct bp_region_ops *ops;
    void *self;
};

struct bp_node {
    int unused;
};

struct bp_pci_function {
    const struct bp_pci_function_ops *ops;
    void *self;
    uint8_t config[256];
    uint32_t next; /* capability */
};

/* The one card, made once: a reset is all that separates inputs, and is under test too. */
static struct {
    struct bp_node node;
    struct bp_region regions[2];
    uint32_t region_count;
    struct bp_pci_function function;
    const struct bp_net_port *port;
    void *port_self;
    void *card;
    uint64_t now_ns, timers[16];
    uint32_t calls, refuse; /* refuse: bits, of which the lowest is for the next send() */
    int inside, owed;
    uint8_t ram[RAM_BYTES];
} world;

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_e1000_*: %s\n", what);
    abort();
}

static void count_call(void)
{
    must(++world.calls <= CALLS_MAX, "one callback works without end");
}

/* ---- the host ---- */

static void host_log(struct bp_node *node, uint32_t level, const char *text)
{
    (void)node;
    (void)level;
    must(*text && !strchr(text, '\n'), "a bad line in the log");
}

static int host_fail(struct bp_node *node, int err, const char *text)
{
    (void)node;
    (void)text;
    return err;
}

static const char *host_name(struct bp_node *node)
{
    (void)node;
    return "nic";
}

static int host_region_new(struct bp_node *node, uint32_t space, uint64_t length,
                           const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    (void)node;
    (void)space;
    (void)length;
    *out = &world.regions[world.region_count++];
    **out = (struct bp_region){ops, self};
    return 0;
}

static uint8_t *ram_at(uint64_t gpa, uint64_t len)
{
    count_call();
    return gpa <= RAM_BYTES && len <= RAM_BYTES - gpa ? world.ram + gpa : NULL;
}

static int host_dma_read(struct bp_node *node, uint64_t gpa, void *to, uint64_t len)
{
    const uint8_t *from = ram_at(gpa, len);

    (void)node;
    if (!from)
        return -EFAULT;
    memcpy(to, from, len);
    return 0;
}

static int host_dma_write(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len)
{
    uint8_t *to = ram_at(gpa, len);

    (void)node;
    if (!to)
        return -EFAULT;
    memcpy(to, from, len);
    return 0;
}

static void *host_dma_map(struct bp_node *node, uint64_t gpa, uint64_t *len, uint32_t dir)
{
    (void)node;
    (void)dir;
    return ram_at(gpa, *len);
}

static void host_dma_unmap(struct bp_node *node, void *ptr, uint64_t written)
{
    (void)node;
    (void)ptr;
    (void)written;
}

static uint64_t host_clock_ns(struct bp_node *node)
{
    (void)node;
    return world.now_ns;
}

static int host_timer_set(struct bp_node *node, uint32_t id, uint64_t when_ns)
{
    (void)node;
    must(id < 16, "a timer beyond those that there are");
    world.timers[id] = when_ns;
    return 0;
}

/* ---- PCI ---- */

static int pci_function_new(struct bp_node *node, uint32_t devfn, uint32_t flags,
                            const struct bp_pci_identity *identity,
                            const struct bp_pci_function_ops *ops, void *self,
                            struct bp_pci_function **out)
{
    (void)node;
    (void)devfn;
    (void)flags;
    (void)identity;
    world.function.ops = ops;
    world.function.self = self;
    world.function.next = 0x40;
    *out = &world.function;
    return 0;
}

static int pci_bar(struct bp_pci_function *f, uint32_t index, struct bp_region *region,
                   uint32_t flags)
{
    (void)f;
    (void)index;
    (void)region;
    (void)flags;
    return 0;
}

static int pci_capability(struct bp_pci_function *f, uint8_t id, uint32_t length, uint32_t *offset)
{
    (void)id;
    *offset = f->next;
    f->next += length;
    return 0;
}

static uint32_t pci_config_get(struct bp_pci_function *f, uint32_t offset, uint32_t width)
{
    must(offset + width <= sizeof(f->config), "configuration space has 256 bytes");
    return width == 4 ? bp_le32(f->config + offset) : bp_le16(f->config + offset);
}

static void pci_config_set(struct bp_pci_function *f, uint32_t offset, uint32_t value,
                           uint32_t width)
{
    must(offset + width <= sizeof(f->config), "configuration space has 256 bytes");
    if (width == 4)
        bp_put_le32(f->config + offset, value);
    else
        bp_put_le16(f->config + offset, (uint16_t)value);
}

static void pci_config_mask(struct bp_pci_function *f, uint32_t offset, uint32_t writable,
                            uint32_t write_1_clears, uint32_t width)
{
    (void)f;
    (void)offset;
    (void)writable;
    (void)write_1_clears;
    (void)width;
}

static void pci_intx_set(struct bp_pci_function *f, uint32_t level)
{
    (void)f;
    must(level <= 1, "a level that is none");
}

static const struct bp_pci pci = {
    .size = sizeof(pci),
    .function_new = pci_function_new,
    .bar = pci_bar,
    .capability = pci_capability,
    .config_get = pci_config_get,
    .config_set = pci_config_set,
    .config_mask = pci_config_mask,
    .intx_set = pci_intx_set,
};

static const void *host_extension(struct bp_node *node, const char *id)
{
    (void)node;
    return strcmp(id, BP_PCI_ID) ? NULL : &pci;
}

/* ---- the backend ---- */

static uint32_t net_offloads(void *self)
{
    (void)self;
    return BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6;
}

static int net_set_offloads(void *self, uint32_t bits)
{
    (void)self;
    (void)bits;
    return 0;
}

/* Reads all of each frame, so that a sanitizer sees what is not the device's. */
static uint32_t net_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    volatile uint8_t sink = 0;

    (void)self;
    must(!queue && !world.inside && !world.owed, "send() where it may not be called");
    for (uint32_t i = 0; i < count; i++) {
        count_call();
        if (world.refuse & 1u) {
            world.refuse >>= 1;
            world.owed = 1;
            return i;
        }
        world.refuse >>= 1;
        for (uint32_t b = 0; b < frames[i].nbufs; b++) {
            const uint8_t *bytes = frames[i].bufs[b].data;

            must(frames[i].bufs[b].len && frames[i].bufs[b].len <= 65536 + 18, "a frame's length");
            sink = (uint8_t)(bytes[0] ^ bytes[frames[i].bufs[b].len - 1]);
            (void)sink;
            must(!frames[i].gso_type || (frames[i].gso_size && frames[i].hdr_len), "a bad header");
            must(!(frames[i].flags & 1u) ||
                     (uint64_t)frames[i].csum_start + frames[i].csum_offset + 2 <=
                         frames[i].bufs[b].len,
                 "a checksum beyond the frame");
        }
    }
    return count;
}

static void net_resume(void *self, uint32_t queue)
{
    (void)self;
    must(!queue && !world.inside, "resume() where it may not be called");
}

static const struct bp_net net = {
    .size = sizeof(net),
    .offloads = net_offloads,
    .set_offloads = net_set_offloads,
    .send = net_send,
    .resume = net_resume,
};

static int host_link(struct bp_node *node, struct bp_node *ref, const char *id, const void *port,
                     void *port_self, struct bp_peer *out)
{
    (void)node;
    (void)ref;
    (void)id;
    world.port = port;
    world.port_self = port_self;
    out->ops = &net;
    out->self = &world;
    return 0;
}

static const struct bp_host host = {
    .size = sizeof(host),
    .log = host_log,
    .fail = host_fail,
    .name = host_name,
    .extension = host_extension,
    .link = host_link,
    .region_new = host_region_new,
    .dma_read = host_dma_read,
    .dma_write = host_dma_write,
    .dma_map = host_dma_map,
    .dma_unmap = host_dma_unmap,
    .clock_ns = host_clock_ns,
    .timer_set = host_timer_set,
};

/* ---- what inputs do ---- */

uint32_t take(struct input *in, uint32_t bytes)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < bytes && in->left; i++, in->data++, in->left--)
        value |= (uint32_t)*in->data << 8 * i;
    return value;
}

uint8_t *world_ram(uint32_t at)
{
    return world.ram + at % RAM_BYTES;
}

void world_write(uint32_t offset, uint32_t value)
{
    const struct bp_region *memory = &world.regions[0];

    world.calls = 0;
    memory->ops->write(memory->self, offset % E1000_BAR_BYTES, value, 4);
}

uint32_t world_read(uint32_t offset)
{
    const struct bp_region *memory = &world.regions[0];

    world.calls = 0;
    return (uint32_t)memory->ops->read(memory->self, offset % E1000_BAR_BYTES, 4);
}

void world_io(uint32_t offset, uint32_t value)
{
    const struct bp_region *io = &world.regions[1];

    world.calls = 0;
    io->ops->write(io->self, offset, value, 4);
    io->ops->read(io->self, 4, 4);
}

void world_advance(uint64_t ns)
{
    world.now_ns += ns;
    for (uint32_t round = 0; round < 64; round++) {
        for (uint32_t id = 0; id < 16; id++) {
            if (world.timers[id] > world.now_ns)
                continue;
            world.timers[id] = UINT64_MAX;
            world.calls = 0;
            e1000_ops.timer(world.card, id);
        }
    }
}

void world_receive(struct input *in)
{
    uint8_t frame[20000];
    uint32_t len = take(in, 2) % sizeof(frame), given = take(in, 1);
    struct bp_buf buf = {frame, len};
    struct bp_frame f = {.size = sizeof(f), .nbufs = 1, .bufs = &buf};

    world.calls = 0;
    memset(frame, 0xff, sizeof(frame));
    for (uint32_t i = 0; i < given && i < len; i++)
        frame[i] = (uint8_t)take(in, 1);
    if (given & 1u) {
        f.flags = 1;
        f.csum_start = (uint16_t)take(in, 1);
        f.csum_offset = (uint16_t)take(in, 1);
    }
    world.inside = 1;
    world.port->receive(world.port_self, 0, &f);
    world.inside = 0;
}

void world_poke(struct input *in)
{
    uint32_t at = take(in, 2) * 4u % RAM_BYTES, count = take(in, 1);

    for (uint32_t i = 0; i < count; i++)
        world.ram[(at + i) % RAM_BYTES] = (uint8_t)take(in, 1);
}

void world_backend(struct input *in)
{
    world.calls = 0;
    world.refuse = take(in, 2);
    if (world.owed) {
        world.owed = 0;
        world.port->sent(world.port_self, 0);
    }
}

void world_link(uint32_t up)
{
    world.calls = 0;
    world.inside = 1;
    world.port->link(world.port_self, up);
    world.inside = 0;
}

void world_power(uint32_t state)
{
    world.calls = 0;
    world.function.config[0x44] = (uint8_t)state;
    world.function.ops->config_written(world.function.self, 0x44, 1);
}

void world_damage(struct input *in)
{
    uint32_t fields = 0, changes = 1 + take(in, 1) % 8;
    int err;

    do
        fields++;
    while (e1000_fields[fields].name);
    for (uint32_t i = 0; i < changes; i++) {
        const struct bp_field *f = &e1000_fields[take(in, 1) % fields];
        uint64_t at = f->offset + (uint64_t)(take(in, 2) % f->count) * f->stride;
        uint64_t value = take(in, f->width < 4 ? f->width : 4);

        if (f->width > 4)
            value |= (uint64_t)take(in, 4) << 32;
        memcpy((uint8_t *)world.card + at, &value, f->width);
    }
    /* The backend is a new one, which owes nothing. */
    world.owed = 0;
    world.refuse = 0;
    world.calls = 0;
    err = e1000_ops.after_load(world.card);
    must(err <= 0, "after_load() gave a positive number");
    must(state_check(world.card), "what was refused is still there");
}

void world_begin(void)
{
    static const struct e1000_config config = {
        .net = &world.node, .strict = 1, .mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56}};

    if (!world.card)
        must(!e1000_ops.create(&host, &world.node, &config, &world.card), "create() failed");
    memset(world.ram, 0, sizeof(world.ram));
    memset(world.function.config, 0, sizeof(world.function.config));
    for (uint32_t i = 0; i < 16; i++)
        world.timers[i] = UINT64_MAX;
    world.now_ns = 1;
    world.refuse = 0;
    world.owed = 0;
    world.calls = 0;
    e1000_ops.reset(world.card, BP_RESET_COLD);
    world.port->link(world.port_self, 1);
}

void world_end(void)
{
    must(state_check(world.card), "a state that would not be loaded again");
}
