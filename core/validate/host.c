/* SPDX-License-Identifier: MIT
 *
 * validate/host.c - the bp_host of a plugin under validation: who may call what, and when.
 *
 * backplane/host.h gives the rules. A call that breaks one ends the check with a sentence. Left
 * out: conflicts between instances, which are the machine's to find.
 */
#include "validate/world.h"

#include <backplane/ext/pci.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PIO_PORTS 0x10000u
#define EPOCH_NS (UINT64_C(946684800) * 1000000000) /* 2000-01-01 */

/* ---- what it says ---------------------------------------------------------------------------- */

/* One line that people read. */
static void must_be_line(struct bp_node *n, const char *what, const char *text)
{
    if (!text || !*text || strpbrk(text, "\n\r"))
        world_fail(n->world, "%s was given no line of text: '%.100s'", what, text ? text : "NULL");
}

static void host_log(struct bp_node *n, uint32_t level, const char *text)
{
    uint32_t plain = level & ~BP_LOG_GUEST;

    if (plain < BP_LOG_ERROR || plain > BP_LOG_DEBUG)
        world_fail(n->world, "log() was given level 0x%x; expected BP_LOG_*", level);
    must_be_line(n, "log()", text);
}

static int host_fail(struct bp_node *n, int err, const char *text)
{
    must_be_line(n, "fail()", text);
    if (err >= 0)
        world_fail(n->world, "fail() was given %d; expected a negative errno", err);
    __atomic_fetch_add(&n->failures, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&n->tables);
    snprintf(n->failure, sizeof(n->failure), "%s", text);
    pthread_mutex_unlock(&n->tables);
    return err;
}

static const char *host_name(struct bp_node *n)
{
    return n->name;
}

/* ---- "bp.machine-control/1", for services: a machine of no instance and no vCPU -------------- */

static uint32_t control_state(struct bp_node *n)
{
    return n->running ? BP_MACHINE_RUNNING : BP_MACHINE_BUILT;
}

static int control_instance(struct bp_node *n, uint32_t index, struct bp_instance_info *out)
{
    if (index)
        return -ENOENT;
    out->kind = n->model->kind;
    out->name = n->name;
    out->plugin = n->model->plugin->name;
    out->model = n->model->id;
    return 0;
}

static uint32_t control_vcpus(struct bp_node *n)
{
    (void)n;
    return 0;
}

static void control_ask(struct bp_node *n)
{
    (void)n;
}

static int host_dma_read(struct bp_node *n, uint64_t gpa, void *to, uint64_t len);
static int host_dma_write(struct bp_node *n, uint64_t gpa, const void *from, uint64_t len);

static int control_regs_get(struct bp_node *n, uint32_t index, const char *set, void *regs,
                            uint32_t size)
{
    (void)n, (void)index, (void)set, (void)regs, (void)size;
    return -ENOENT;
}

static int control_regs_set(struct bp_node *n, uint32_t index, const char *set, const void *regs,
                            uint32_t size)
{
    (void)n, (void)index, (void)set, (void)regs, (void)size;
    return -ENOENT;
}

static int control_subscribe(struct bp_node *n, void (*changed)(void *self, uint32_t state),
                             void *self)
{
    must_be_main(n, "subscribe()");
    (void)changed, (void)self;
    return 0;
}

static const struct bp_machine_control control = {
    .size = sizeof(control),
    .state = control_state,
    .instance = control_instance,
    .vcpus = control_vcpus,
    .pause = control_ask,
    .resume = control_ask,
    .reset = control_ask,
    .stop = control_ask,
    .read = host_dma_read,
    .write = host_dma_write,
    .regs_get = control_regs_get,
    .regs_set = control_regs_set,
    .subscribe = control_subscribe,
};

/* ---- others ---------------------------------------------------------------------------------- */

static const void *host_extension(struct bp_node *n, const char *id)
{
    if (!id)
        world_fail(n->world, "extension() was given NULL; expected an id");
    if (n->model->kind == BP_KIND_SERVICE && !strcmp(id, BP_MACHINE_CONTROL_ID))
        return &control;
    if (n->model->kind == BP_KIND_DEVICE && !strcmp(id, BP_PCI_ID))
        return world_pci(n);
    return NULL; /* doorbells and all else that is optional: the ordinary way must do */
}

static int host_peer(struct bp_node *n, struct bp_node *ref, const char *id, struct bp_peer *out)
{
    must_be_main(n, "peer()");
    if (!ref || !ref->peer)
        world_fail(n->world, "peer() was given a node that no key of the section names");
    return peer_find(ref, id, out);
}

static int host_link(struct bp_node *n, struct bp_node *ref, const char *id, const void *port,
                     void *port_self, struct bp_peer *out)
{
    must_be_main(n, "link()");
    if (!ref || !ref->peer)
        world_fail(n->world, "link() was given a node that no key of the section names");
    return peer_link(ref, id, port, port_self, out);
}

static void host_request(struct bp_node *n, uint32_t what, uint32_t code)
{
    (void)code;
    if (what < BP_REQUEST_POWER_OFF || what > BP_REQUEST_QUIT)
        world_fail(n->world, "request() was given %u; expected BP_REQUEST_*", what);
}

/* ---- regions --------------------------------------------------------------------------------- */

static bool is_width(uint32_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static struct bp_region *add_region(struct bp_node *n, uint32_t space, uint64_t length)
{
    struct bp_region *r;

    if (n->region_count == WORLD_REGIONS)
        world_fail(n->world, "more than %u regions", WORLD_REGIONS);
    r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->node = n;
    r->space = space;
    r->length = length;
    r->base = BP_UNMAPPED;
    n->regions[n->region_count++] = r;
    return r;
}

static void check_registers(struct bp_node *n, const struct bp_region_ops *ops, uint64_t length)
{
    const char *at = (const char *)ops->registers;

    if (!at)
        return;
    if (ops->register_stride < sizeof(struct bp_register))
        world_fail(n->world,
                   "region %s: register_stride is %u; expected sizeof(struct bp_register)",
                   ops->name, ops->register_stride);
    for (;; at += ops->register_stride) {
        const struct bp_register *reg = (const struct bp_register *)at;
        uint64_t end;

        if (!reg->name)
            return;
        if (!reg->width || (reg->access & BP_REG_ACCESS) > BP_REG_RC ||
            __builtin_add_overflow(reg->offset, reg->width, &end) || end > length)
            world_fail(n->world,
                       "region %s: register %s of %u bytes at 0x%llx is malformed, or does not lie "
                       "within the region's 0x%llx bytes",
                       ops->name, reg->name, reg->width, (unsigned long long)reg->offset,
                       (unsigned long long)length);
    }
}

static int host_region_new(struct bp_node *n, uint32_t space, uint64_t length,
                           const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    const uint32_t minimum = offsetof(struct bp_region_ops, write) + (uint32_t)sizeof(ops->write);
    struct bp_region *r;

    must_be_main(n, "region_new()");
    if (!ops || ops->size < minimum)
        world_fail(n->world,
                   "region_new() was given a table of %u bytes; expected "
                   "sizeof(struct bp_region_ops) in its `size`",
                   ops ? ops->size : 0);
    if (!ops->name || !ops->read || !ops->write)
        world_fail(n->world, "region_new() was given a table without name, read or write");
    if (!is_width(ops->min_access) || !is_width(ops->max_access) ||
        ops->min_access > ops->max_access)
        world_fail(n->world,
                   "region %s: accesses of %u to %u bytes; expected two of 1, 2, 4 and 8, the "
                   "smaller first",
                   ops->name, ops->min_access, ops->max_access);
    if (length % ops->min_access)
        world_fail(n->world, "region %s: its length 0x%llx is no multiple of min_access, %u",
                   ops->name, (unsigned long long)length, ops->min_access);
    check_registers(n, ops, length);
    if (space > BP_SPACE_PIO || !length || (space == BP_SPACE_PIO && length > PIO_PORTS))
        return -EINVAL;
    r = add_region(n, space, length);
    if (!r)
        return -ENOMEM;
    memcpy(&r->ops, ops, ops->size < sizeof(r->ops) ? ops->size : sizeof(r->ops));
    r->self = self;
    *out = r;
    return 0;
}

static int host_ram_region_new(struct bp_node *n, uint64_t length, uint32_t flags, int fd,
                               uint64_t fd_offset, void **host_address, struct bp_region **out)
{
    struct bp_region *r;
    void *ram;

    must_be_main(n, "ram_region_new()");
    if (!length || length % 4096)
        return -EINVAL;
    ram = mmap(NULL, length, PROT_READ | PROT_WRITE,
               fd < 0                  ? MAP_PRIVATE | MAP_ANONYMOUS
               : flags & BP_RAM_SHARED ? MAP_SHARED
                                       : MAP_PRIVATE,
               fd, (off_t)fd_offset);
    if (ram == MAP_FAILED)
        return -errno;
    r = add_region(n, BP_SPACE_MMIO, length);
    if (!r) {
        munmap(ram, length);
        return -ENOMEM;
    }
    r->flags = flags;
    r->ram = ram;
    *host_address = ram;
    *out = r;
    return 0;
}

bool region_is_mapped(const struct bp_region *r)
{
    return __atomic_load_n(&r->base, __ATOMIC_RELAXED) != BP_UNMAPPED;
}

static int host_region_place(struct bp_region *r, uint64_t base)
{
    struct bp_node *n = r->node;
    uint64_t end;

    must_be_inside(n, "region_place()");
    if (r->bar)
        return -EINVAL;
    if (base == BP_UNMAPPED) {
        __atomic_store_n(&r->base, base, __ATOMIC_RELAXED);
        return 0;
    }
    if (__builtin_add_overflow(base, r->length - 1, &end) ||
        (r->space == BP_SPACE_PIO && end >= PIO_PORTS))
        return -EINVAL;
    if (r->space == BP_SPACE_MMIO && base < WORLD_RAM_BYTES)
        return -EBUSY;
    __atomic_store_n(&r->base, base, __ATOMIC_RELAXED);
    return 0;
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static void host_irq_set(struct bp_node *n, uint32_t line, uint32_t level)
{
    if (level > 1)
        world_fail(n->world, "irq_set() was given level %u; expected 0 or 1", level);
    if (line < WORLD_LINES)
        __atomic_store_n(&n->lines[line], level, __ATOMIC_RELAXED);
}

static void host_msi_send(struct bp_node *n, uint64_t address, uint32_t data)
{
    (void)n, (void)address, (void)data;
}

/* ---- guest memory ---------------------------------------------------------------------------- */

/* NULL unless all of it is RAM that may be touched now. */
static uint8_t *dma(struct bp_node *n, uint64_t gpa, uint64_t len)
{
    __atomic_fetch_add(&n->dma_count, 1, __ATOMIC_RELAXED);
    if (n->world->dma_dead || __atomic_load_n(&n->no_master, __ATOMIC_ACQUIRE) ||
        gpa > WORLD_RAM_BYTES || len > WORLD_RAM_BYTES - gpa)
        return NULL;
    return n->world->ram + gpa;
}

static int host_dma_read(struct bp_node *n, uint64_t gpa, void *to, uint64_t len)
{
    const uint8_t *at = dma(n, gpa, len);

    if (!at)
        return -EFAULT;
    memcpy(to, at, len);
    return 0;
}

static int host_dma_write(struct bp_node *n, uint64_t gpa, const void *from, uint64_t len)
{
    uint8_t *at = dma(n, gpa, len);

    if (!at)
        return -EFAULT;
    memcpy(at, from, len);
    return 0;
}

static void *host_dma_map(struct bp_node *n, uint64_t gpa, uint64_t *len, uint32_t dir)
{
    uint8_t *at = dma(n, gpa, 1);
    uint64_t end, room;
    struct map *m = NULL;

    if (!dir || (dir & ~(BP_DMA_READ | BP_DMA_WRITE)))
        world_fail(n->world, "dma_map() was given direction %u; expected BP_DMA_*", dir);
    if (!at || gpa >= WORLD_RAM_BYTES || !*len || __builtin_add_overflow(gpa, *len, &end))
        return NULL;
    /* What is contiguous may be less than what was asked for: every second MiB is by pages. */
    room = gpa >> 20 & 1 ? 4096 - gpa % 4096 : WORLD_RAM_BYTES - gpa;
    if (*len > room)
        *len = room;
    pthread_mutex_lock(&n->tables);
    for (uint32_t i = 0; !m && i < WORLD_MAPS; i++)
        if (!n->maps[i].at)
            m = &n->maps[i];
    if (m)
        *m = (struct map){at, *len, pthread_self(), node_is_inside(n->domain)};
    pthread_mutex_unlock(&n->tables);
    return m ? at : NULL;
}

static void host_dma_unmap(struct bp_node *n, void *ptr, uint64_t written)
{
    struct map *m = NULL;

    pthread_mutex_lock(&n->tables);
    for (uint32_t i = 0; !m && i < WORLD_MAPS; i++)
        if (n->maps[i].at == ptr && (n->maps[i].length >= written))
            m = &n->maps[i];
    if (m)
        m->at = NULL;
    pthread_mutex_unlock(&n->tables);
    if (!m)
        world_fail(n->world,
                   "dma_unmap() was given what is not mapped, or more written bytes than "
                   "were mapped: %llu",
                   (unsigned long long)written);
}

/* ---- event loop ------------------------------------------------------------------------------ */

static int host_fd_watch(struct bp_node *n, int fd, uint32_t events,
                         void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    struct watch *w = NULL;

    must_be_inside(n, "fd_watch()");
    if (events & ~(BP_FD_READ | BP_FD_WRITE))
        world_fail(n->world, "fd_watch() was given events 0x%x; expected BP_FD_READ, BP_FD_WRITE",
                   events);
    if (events && !ready)
        world_fail(n->world, "fd_watch() was given no callback");
    if (events && fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    pthread_mutex_lock(&n->tables);
    for (uint32_t i = 0; !w && i < WORLD_WATCHES; i++)
        if (n->watches[i].events && n->watches[i].fd == fd)
            w = &n->watches[i];
    for (uint32_t i = 0; !w && events && i < WORLD_WATCHES; i++)
        if (!n->watches[i].events)
            w = &n->watches[i];
    if (w)
        *w = (struct watch){fd, events, ++n->generation, ready, self};
    pthread_mutex_unlock(&n->tables);
    return w || !events ? 0 : -ENOSPC;
}

static uint64_t host_clock_ns(struct bp_node *n)
{
    return __atomic_load_n(&n->world->now_ns, __ATOMIC_RELAXED);
}

static uint64_t host_utc_ns(struct bp_node *n)
{
    return EPOCH_NS + host_clock_ns(n);
}

static int host_timer_set(struct bp_node *n, uint32_t id, uint64_t when_ns)
{
    must_be_inside(n, "timer_set()");
    if (id >= WORLD_TIMERS)
        world_fail(n->world, "timer_set() was given number %u; expected a small one, below %u", id,
                   WORLD_TIMERS);
    __atomic_store_n(&n->timers[id], when_ns, __ATOMIC_RELAXED);
    return 0;
}

const struct bp_host world_host = {
    .size = sizeof(struct bp_host),
    .abi_minor = BP_ABI_MINOR,
    .log = host_log,
    .fail = host_fail,
    .name = host_name,
    .extension = host_extension,
    .peer = host_peer,
    .link = host_link,
    .request = host_request,
    .region_new = host_region_new,
    .ram_region_new = host_ram_region_new,
    .region_place = host_region_place,
    .irq_set = host_irq_set,
    .msi_send = host_msi_send,
    .dma_read = host_dma_read,
    .dma_write = host_dma_write,
    .dma_map = host_dma_map,
    .dma_unmap = host_dma_unmap,
    .fd_watch = host_fd_watch,
    .clock_ns = host_clock_ns,
    .utc_ns = host_utc_ns,
    .timer_set = host_timer_set,
};
