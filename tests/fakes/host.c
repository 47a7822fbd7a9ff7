/* SPDX-License-Identifier: MIT
 *
 * fakes/host.c - a host for unit tests of plugins: see fakes/host.h.
 *
 * Everything happens on the test's thread, but that a plugin may log on one of its own. The watches
 * are a real epoll instance, so that what epoll refuses (regular files) is refused here too.
 * Plugins are never unloaded: leak checkers need their names. What it does not show: races between
 * vCPU threads, and the conflicts between instances that a machine finds.
 */
#include "fakes/host.h"

#include "fakes/normal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define REGIONS_MAX 32
#define WATCHES_MAX 32
#define TIMERS_MAX 16
#define PIO_PORTS 0x10000u

struct bp_region {
    struct fake_host *host;
    uint32_t space, flags;
    uint64_t base, length;           /* base BP_UNMAPPED: nowhere */
    const struct bp_region_ops *ops; /* NULL: memory at `ram` */
    void *self;
    uint8_t *ram;
};

/* An instance under test, or a peer that the test made. */
struct bp_node {
    struct fake_host *host; /* NULL: a peer */
    const char *id;
    const void *ops, *port;
    void *self, *port_self;
    struct bp_node *linked_by; /* a peer: the instance whose port this is */
    struct bp_node *next;
};

struct watch {
    int fd;
    uint32_t events, generation;
    void (*ready)(void *self, int fd, uint32_t events);
    void *self;
};

struct saved {
    char name[64];
    uint8_t *data;
    uint64_t len;
    struct saved *next;
};

struct writer {
    struct bp_writer table;
    struct saved *first;
};

struct reader {
    struct bp_reader table;
    const struct saved *first;
};

struct fake_host {
    struct bp_node node;
    const struct bp_model *model;
    struct bp_instance_ops ops, wrapped;
    void *self;
    struct fake_host *next;
    int setting_up; /* [main] functions may be called */
    int running;
    unsigned depth; /* callbacks of the instance that are active */

    struct bp_region regions[REGIONS_MAX];
    unsigned region_count;
    struct watch watches[WATCHES_MAX];
    uint32_t generation;
    int epoll;
    uint64_t timers[TIMERS_MAX]; /* UINT64_MAX: not armed */
    uint64_t now_ns, utc_ns;
    uint8_t *ram;
    void *maps[16]; /* of dma_map(), until dma_unmap() */

    uint8_t irq[FAKE_IRQS];
    uint32_t edges[FAKE_IRQS];
    uint64_t msi_address;
    uint32_t msi_data;
    unsigned msi_count;
    uint32_t request, request_code;
    /* Written on any thread, looked at under the lock. */
    pthread_mutex_t log_lock;
    char log[1024], log_seen[1024];
    uint32_t log_level;
    unsigned log_count;
};

/* A test program's, not a plugin's: what the functions of fakes/host.h without a host speak of. */
static char failure[1024];
static struct fake_host *hosts;
static struct bp_node *peers; /* reachable, so that leak checkers see no leak */

static void must_be_main(struct bp_node *node, const char *what)
{
    if (!node->host->setting_up)
        fake_fail("%s is [main], but was called while the guest runs", what);
}

static void enter(struct fake_host *h)
{
    if (!h->running)
        fake_fail("a callback while the instance is stopped");
    h->depth++;
}

static void leave(struct fake_host *h)
{
    h->depth--;
    for (unsigned i = 0; !h->depth && i < sizeof(h->maps) / sizeof(h->maps[0]); i++)
        if (h->maps[i])
            fake_fail("a dma_map() outlived its callback");
}

/* ---- what the plugin calls ---------------------------------------------------------------------
 */

static void host_log(struct bp_node *node, uint32_t level, const char *text)
{
    struct fake_host *h = node->host;
    uint32_t plain = level & ~BP_LOG_GUEST;

    if (plain < BP_LOG_ERROR || plain > BP_LOG_DEBUG || !*text || strchr(text, '\n'))
        fake_fail("bad log line at level %u: '%s'", level, text);
    pthread_mutex_lock(&h->log_lock);
    snprintf(h->log, sizeof(h->log), "%s", text);
    h->log_level = level;
    h->log_count++;
    pthread_mutex_unlock(&h->log_lock);
}

static int host_fail(struct bp_node *node, int err, const char *text)
{
    must_be_main(node, "fail()");
    if (err >= 0 || !*text || strchr(text, '\n'))
        fake_fail("fail(%d, '%s'): not a negative errno with a sentence", err, text);
    snprintf(failure, sizeof(failure), "%s", text);
    return err;
}

static const char *host_name(struct bp_node *node)
{
    (void)node;
    return "fake";
}

static const void *host_extension(struct bp_node *node, const char *id)
{
    (void)node;
    assert_non_null(id);
    return NULL;
}

static int host_peer(struct bp_node *node, struct bp_node *ref, const char *id, struct bp_peer *out)
{
    must_be_main(node, "peer()");
    if (strcmp(ref->id, id) != 0)
        return -ENOENT;
    out->ops = ref->ops;
    out->self = ref->self;
    return 0;
}

static int host_link(struct bp_node *node, struct bp_node *ref, const char *id, const void *port,
                     void *port_self, struct bp_peer *out)
{
    typedef int (*attach_function)(void *self, const void *port, void *port_self);
    attach_function attach;
    int err;

    must_be_main(node, "link()");
    err = host_peer(node, ref, id, out);
    if (err)
        return err;
    if (ref->linked_by)
        return -EBUSY;
    port = normal_table(id, 1, port);
    if (normal_is_two_way(id)) {
        memcpy(&attach, (const uint8_t *)ref->ops + offsetof(struct bp_char, attach),
               sizeof(attach));
        err = attach(ref->self, port, port_self);
        if (err)
            return err;
    }
    ref->port = port;
    ref->port_self = port_self;
    ref->linked_by = node;
    return 0;
}

static void host_request(struct bp_node *node, uint32_t what, uint32_t code)
{
    if (what < BP_REQUEST_POWER_OFF || what > BP_REQUEST_QUIT)
        fake_fail("request(%u) is none of BP_REQUEST_*", what);
    if (node->host->request)
        return;
    node->host->request = what;
    node->host->request_code = code;
}

static int is_width(uint32_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static struct bp_region *new_region(struct bp_node *node, uint32_t space, uint64_t length)
{
    struct fake_host *h = node->host;
    struct bp_region *r;

    if (h->region_count == REGIONS_MAX)
        fake_fail("more than %d regions", REGIONS_MAX);
    r = &h->regions[h->region_count++];
    r->host = h;
    r->space = space;
    r->length = length;
    r->base = BP_UNMAPPED;
    return r;
}

static int host_region_new(struct bp_node *node, uint32_t space, uint64_t length,
                           const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    struct bp_region *r;

    must_be_main(node, "region_new()");
    if (ops->size != sizeof(*ops) || !is_width(ops->min_access) || !is_width(ops->max_access) ||
        ops->min_access > ops->max_access || !ops->name || !ops->read || !ops->write)
        fake_fail("region ops are malformed");
    if (ops->registers && ops->register_stride != sizeof(struct bp_register))
        fake_fail("region %s: register_stride is not sizeof(struct bp_register)", ops->name);
    if (length % ops->min_access)
        fake_fail("region %s: length is no multiple of min_access", ops->name);
    for (const struct bp_register *reg = ops->registers; reg && reg->name; reg++)
        if (!is_width(reg->width) || reg->access > BP_REG_RC || reg->offset + reg->width > length)
            fake_fail("region %s: register %s is malformed", ops->name, reg->name);
    if (space > BP_SPACE_PIO || !length || (space == BP_SPACE_PIO && length > PIO_PORTS))
        return -EINVAL;
    r = new_region(node, space, length);
    r->ops = ops;
    r->self = self;
    *out = r;
    return 0;
}

static int host_ram_region_new(struct bp_node *node, uint64_t length, uint32_t flags, int fd,
                               uint64_t fd_offset, void **host_address, struct bp_region **out)
{
    struct bp_region *r;
    void *ram;

    must_be_main(node, "ram_region_new()");
    if (!length || length % 4096)
        return -EINVAL;
    ram = mmap(NULL, length, PROT_READ | PROT_WRITE,
               fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS
                      : (flags & BP_RAM_SHARED ? MAP_SHARED : MAP_PRIVATE),
               fd, (off_t)fd_offset);
    if (ram == MAP_FAILED)
        return -errno;
    r = new_region(node, BP_SPACE_MMIO, length);
    r->flags = flags;
    r->ram = ram;
    *host_address = ram;
    *out = r;
    return 0;
}

static int host_region_place(struct bp_region *region, uint64_t base)
{
    struct fake_host *h = region->host;
    uint64_t end;

    if (base == BP_UNMAPPED) {
        region->base = base;
        return 0;
    }
    if (__builtin_add_overflow(base, region->length - 1, &end) ||
        (region->space == BP_SPACE_PIO && end >= PIO_PORTS))
        return -EINVAL;
    for (unsigned i = 0; i < h->region_count; i++) {
        const struct bp_region *r = &h->regions[i];

        if (r != region && r->space == region->space && r->base != BP_UNMAPPED && r->base <= end &&
            base <= r->base + (r->length - 1))
            return -EBUSY;
    }
    region->base = base;
    return 0;
}

static void host_irq_set(struct bp_node *node, uint32_t line, uint32_t level)
{
    struct fake_host *h = node->host;

    if (line >= FAKE_IRQS || level > 1)
        fake_fail("irq_set(%u, %u) is out of range", line, level);
    if (level && !h->irq[line])
        h->edges[line]++;
    h->irq[line] = (uint8_t)level;
}

static void host_msi_send(struct bp_node *node, uint64_t address, uint32_t data)
{
    struct fake_host *h = node->host;

    h->msi_address = address;
    h->msi_data = data;
    h->msi_count++;
}

static int in_ram(uint64_t gpa, uint64_t len)
{
    return gpa <= FAKE_RAM_BYTES && len <= FAKE_RAM_BYTES - gpa;
}

static int host_dma_read(struct bp_node *node, uint64_t gpa, void *to, uint64_t len)
{
    if (!in_ram(gpa, len))
        return -EFAULT;
    memcpy(to, node->host->ram + gpa, len);
    return 0;
}

static int host_dma_write(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len)
{
    if (!in_ram(gpa, len))
        return -EFAULT;
    memcpy(node->host->ram + gpa, from, len);
    return 0;
}

static void *host_dma_map(struct bp_node *node, uint64_t gpa, uint64_t *len, uint32_t dir)
{
    struct fake_host *h = node->host;
    uint64_t end;

    if (!dir || (dir & ~(BP_DMA_READ | BP_DMA_WRITE)))
        fake_fail("dma_map(): direction %u", dir);
    if (gpa >= FAKE_RAM_BYTES || !*len || __builtin_add_overflow(gpa, *len, &end))
        return NULL;
    if (end > FAKE_RAM_BYTES)
        *len = FAKE_RAM_BYTES - gpa;
    for (unsigned i = 0; i < sizeof(h->maps) / sizeof(h->maps[0]); i++) {
        if (!h->maps[i]) {
            h->maps[i] = h->ram + gpa;
            return h->maps[i];
        }
    }
    fake_fail("more dma_map()s at once than the fake holds");
}

static void host_dma_unmap(struct bp_node *node, void *ptr, uint64_t written)
{
    struct fake_host *h = node->host;

    (void)written;
    for (unsigned i = 0; i < sizeof(h->maps) / sizeof(h->maps[0]); i++) {
        if (h->maps[i] == ptr) {
            h->maps[i] = NULL;
            return;
        }
    }
    fake_fail("dma_unmap() of what was not mapped");
}

static struct watch *find_watch(struct fake_host *h, int fd)
{
    for (unsigned i = 0; i < WATCHES_MAX; i++)
        if (h->watches[i].events && h->watches[i].fd == fd)
            return &h->watches[i];
    return NULL;
}

static int host_fd_watch(struct bp_node *node, int fd, uint32_t events,
                         void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    struct fake_host *h = node->host;
    struct watch *w = find_watch(h, fd);
    struct epoll_event event = {0};
    int op = w ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (events & ~(BP_FD_READ | BP_FD_WRITE))
        fake_fail("fd_watch() of events 0x%x", events);
    if (!events) {
        if (w && epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL))
            fake_fail("fd %d was closed before its watch was removed", fd);
        if (w)
            w->events = 0;
        return 0;
    }
    assert_true(ready != NULL);
    for (unsigned i = 0; !w && i < WATCHES_MAX; i++)
        if (!h->watches[i].events)
            w = &h->watches[i];
    if (!w)
        fake_fail("more than %d watches", WATCHES_MAX);
    event.events = (events & BP_FD_READ ? (uint32_t)EPOLLIN : 0u) |
                   (events & BP_FD_WRITE ? (uint32_t)EPOLLOUT : 0u);
    event.data.u32 = (uint32_t)(w - h->watches);
    if (epoll_ctl(h->epoll, op, fd, &event))
        return -errno;
    *w = (struct watch){
        .fd = fd, .events = events, .generation = ++h->generation, .ready = ready, .self = self};
    return 0;
}

static uint64_t host_clock_ns(struct bp_node *node)
{
    return node->host->now_ns;
}

static uint64_t host_utc_ns(struct bp_node *node)
{
    return node->host->utc_ns;
}

static int host_timer_set(struct bp_node *node, uint32_t id, uint64_t when_ns)
{
    struct fake_host *h = node->host;

    if (id >= TIMERS_MAX || !h->ops.timer)
        fake_fail("timer_set(%u): number too large, or the model has no timer()", id);
    h->timers[id] = when_ns;
    return 0;
}

static const struct bp_host table = {
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

/* ---- life ---------------------------------------------------------------------------------------
 */

static struct fake_host *host_of(const void *self)
{
    for (struct fake_host *h = hosts; h; h = h->next)
        if (h->self == self)
            return h;
    fake_fail("no instance at %p", self);
}

static int start_instance(void *self)
{
    struct fake_host *h = host_of(self);
    int err;

    if (h->running)
        fake_fail("the test starts what runs");
    err = h->ops.start(self);
    if (!err) {
        h->running = 1;
        h->setting_up = 0;
    }
    return err;
}

static void stop_instance(void *self)
{
    struct fake_host *h = host_of(self);

    if (!h->running)
        return;
    h->running = 0;
    h->setting_up = 1;
    h->ops.stop(self);
}

/* What a test calls through fake_ops(): the fake must know whether the instance runs. */
static void reset_instance(void *self, uint32_t kind)
{
    if (host_of(self)->running)
        fake_fail("the test resets what runs: stop it first");
    host_of(self)->ops.reset(self, kind);
}

static const struct bp_model *find_model(const char *path, const char *id)
{
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct bp_plugin *plugin = file ? dlsym(file, "bp_plugin_v0") : NULL;

    if (!plugin)
        fake_fail("%s: %s", path, dlerror());
    check_plugin(plugin, path);
    for (const struct bp_model *const *m = plugin->models; *m; m++)
        if (!id || !strcmp((*m)->id, id))
            return *m;
    fake_fail("%s has no model %s", path, id);
}

/* Gives back what the host owns of an instance. A watch of an fd that is closed was forgotten. */
static void forget(struct fake_host *h)
{
    for (unsigned i = 0; i < WATCHES_MAX; i++)
        if (h->watches[i].events && fcntl(h->watches[i].fd, F_GETFD) < 0)
            fake_fail("fd %d was closed before its watch was removed", h->watches[i].fd);
    for (unsigned i = 0; i < h->region_count; i++)
        if (h->regions[i].ram)
            munmap(h->regions[i].ram, h->regions[i].length);
    close(h->epoll);
    free(h->ram);
    free(h);
}

int fake_host_try(const char *path, const char *model, const void *config, struct fake_host **out)
{
    const struct bp_model *m = find_model(path, model);
    struct fake_host *h = calloc(1, sizeof(*h));
    int err;

    assert_non_null(h);
    pthread_mutex_init(&h->log_lock, NULL);
    assert_int_not_equal(m->kind, BP_KIND_CPU);
    h->node.host = h;
    h->model = m;
    h->ops = normal_instance(m->instance);
    h->wrapped = h->ops;
    h->wrapped.start = start_instance;
    h->wrapped.stop = stop_instance;
    h->wrapped.reset = reset_instance;
    h->ram = calloc(1, FAKE_RAM_BYTES);
    assert_non_null(h->ram);
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_true(h->epoll >= 0);
    h->utc_ns = 946684800u * UINT64_C(1000000000); /* 2000-01-01 */
    memset(h->timers, 0xff, sizeof(h->timers));
    failure[0] = '\0';
    *out = NULL;
    h->setting_up = 1;
    err = h->ops.create(&table, &h->node, config, &h->self);
    if (err) {
        if (err > 0 || !failure[0])
            fake_fail("create() gave %d and no sentence: it must be a negative errno with one",
                      err);
        forget(h);
        return err;
    }
    assert_non_null(h->self);
    h->next = hosts;
    hosts = h;
    h->ops.reset(h->self, BP_RESET_COLD);
    err = start_instance(h->self);
    if (err) {
        fake_host_free(h);
        return err;
    }
    *out = h;
    return 0;
}

struct fake_host *fake_host_new(const char *path, const char *model, const void *config)
{
    struct fake_host *h;
    int err = fake_host_try(path, model, config, &h);

    if (err)
        fake_fail("%s: %d: %s", path, err, failure);
    return h;
}

void fake_host_free(struct fake_host *h)
{
    if (!h)
        return;
    stop_instance(h->self);
    h->ops.destroy(h->self);
    for (struct fake_host **at = &hosts; *at; at = &(*at)->next) {
        if (*at == h) {
            *at = h->next;
            break;
        }
    }
    for (struct bp_node *p = peers; p; p = p->next) {
        if (p->linked_by == &h->node) {
            p->port = NULL;
            p->linked_by = NULL;
        }
    }
    forget(h);
}

void *fake_self(struct fake_host *h)
{
    return h->self;
}

const struct bp_instance_ops *fake_ops(struct fake_host *h)
{
    return &h->wrapped;
}

struct bp_node *fake_node(struct fake_host *h)
{
    return &h->node;
}

struct bp_node *fake_peer(const char *id, const void *ops, void *self)
{
    struct bp_node *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->id = id;
    p->ops = normal_table(id, 0, ops);
    p->self = self;
    p->next = peers;
    peers = p;
    return p;
}

const void *fake_port(struct bp_node *peer, void **port_self)
{
    if (port_self)
        *port_self = peer->port_self;
    return peer->port;
}

/* ---- the guest ----------------------------------------------------------------------------------
 */

static struct bp_region *find_region(struct fake_host *h, uint32_t space, uint64_t address)
{
    for (unsigned i = 0; i < h->region_count; i++) {
        struct bp_region *r = &h->regions[i];

        if (r->space == space && r->base != BP_UNMAPPED && address >= r->base &&
            address - r->base < r->length)
            return r;
    }
    return NULL;
}

/* One piece of an access: `len` bytes at `offset` of a region lie in one aligned access of `width`.
 */
struct piece {
    uint64_t offset; /* of the aligned access */
    uint32_t width, skip, len;
};

static struct piece first_piece(const struct bp_region *r, uint64_t offset, uint32_t left)
{
    uint32_t width = r->ops->max_access;
    struct piece p;

    while (width > 1 && (width > left || offset % width))
        width /= 2;
    p.width = width < r->ops->min_access ? r->ops->min_access : width;
    p.offset = offset - offset % p.width;
    p.skip = (uint32_t)(offset - p.offset);
    p.len = p.width - p.skip < left ? p.width - p.skip : left;
    return p;
}

static uint64_t mask(uint32_t bytes)
{
    return bytes < 8 ? (UINT64_C(1) << (8 * bytes)) - 1 : UINT64_MAX;
}

/* Up to `left` bytes at `address`; returns how many. A NULL `in` reads to *out. */
static uint32_t access_piece(struct fake_host *h, uint32_t space, uint64_t address, uint32_t left,
                             const uint64_t *in, uint64_t *out)
{
    struct bp_region *r = find_region(h, space, address);
    struct piece p;

    *out = 0xff;
    if (!r || r->ram) {
        uint8_t *byte = r ? r->ram + (address - r->base) : NULL;

        if (!r && space == BP_SPACE_MMIO && in_ram(address, 1))
            byte = h->ram + address;
        if (byte && !in)
            *out = *byte;
        else if (byte && !(r && (r->flags & BP_RAM_READONLY)))
            *byte = (uint8_t)*in;
        return 1;
    }
    p = first_piece(r, address - r->base, left);
    enter(h);
    if (in)
        r->ops->write(r->self, p.offset, (*in & mask(p.len)) << (8 * p.skip), p.width);
    else
        *out = (r->ops->read(r->self, p.offset, p.width) >> (8 * p.skip)) & mask(p.len);
    leave(h);
    return p.len;
}

uint64_t fake_read(struct fake_host *h, uint32_t space, uint64_t address, uint32_t width)
{
    uint64_t value = 0, part;
    uint32_t done = 0;

    assert_true(width >= 1 && width <= 8);
    while (done < width) {
        uint32_t n = access_piece(h, space, address + done, width - done, NULL, &part);

        value |= part << (8 * done);
        done += n;
    }
    return value;
}

void fake_write(struct fake_host *h, uint32_t space, uint64_t address, uint64_t value,
                uint32_t width)
{
    uint64_t unused;
    uint32_t done = 0;

    assert_true(width >= 1 && width <= 8);
    while (done < width) {
        uint64_t rest = value >> (8 * done);

        done += access_piece(h, space, address + done, width - done, &rest, &unused);
    }
}

uint8_t *fake_ram(struct fake_host *h)
{
    return h->ram;
}

uint32_t fake_irq_level(struct fake_host *h, uint32_t line)
{
    return h->irq[line];
}

uint32_t fake_irq_edges(struct fake_host *h, uint32_t line)
{
    uint32_t edges = h->edges[line];

    h->edges[line] = 0;
    return edges;
}

unsigned fake_msis(struct fake_host *h, uint64_t *address, uint32_t *data)
{
    unsigned count = h->msi_count;

    if (address)
        *address = h->msi_address;
    if (data)
        *data = h->msi_data;
    h->msi_count = 0;
    return count;
}

/* ---- time and events
 * ----------------------------------------------------------------------------- */

void fake_advance_ns(struct fake_host *h, uint64_t ns)
{
    uint64_t end = h->now_ns + ns;

    for (unsigned calls = 0;; calls++) {
        uint32_t next = 0;

        for (uint32_t i = 1; i < TIMERS_MAX; i++)
            if (h->timers[i] < h->timers[next])
                next = i;
        if (h->timers[next] == UINT64_MAX || h->timers[next] > end)
            break;
        if (calls > 1000000)
            fake_fail("timer %u never lets time pass", next);
        if (h->timers[next] > h->now_ns) {
            h->utc_ns += h->timers[next] - h->now_ns;
            h->now_ns = h->timers[next];
        }
        h->timers[next] = UINT64_MAX;
        enter(h);
        h->ops.timer(h->self, next);
        leave(h);
    }
    h->utc_ns += end - h->now_ns;
    h->now_ns = end;
}

void fake_set_utc_ns(struct fake_host *h, uint64_t ns)
{
    h->utc_ns = ns;
}

uint64_t fake_now_ns(struct fake_host *h)
{
    return h->now_ns;
}

unsigned fake_poll(struct fake_host *h, int timeout_ms)
{
    struct epoll_event events[WATCHES_MAX];
    uint32_t generations[WATCHES_MAX];
    unsigned calls = 0;
    int n;

    fake_advance_ns(h, 0);
    for (unsigned i = 0; i < WATCHES_MAX; i++) {
        if (h->watches[i].events && fcntl(h->watches[i].fd, F_GETFD) < 0)
            fake_fail("fd %d was closed before its watch was removed", h->watches[i].fd);
        generations[i] = h->watches[i].generation;
    }
    n = epoll_wait(h->epoll, events, WATCHES_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct watch *w = &h->watches[events[i].data.u32];
        uint32_t ready = (events[i].events & EPOLLIN ? BP_FD_READ : 0) |
                         (events[i].events & EPOLLOUT ? BP_FD_WRITE : 0) |
                         (events[i].events & (EPOLLHUP | EPOLLERR) ? BP_FD_HANGUP : 0);

        if (!w->events || w->generation != generations[w - h->watches])
            continue; /* removed or replaced by an earlier callback */
        enter(h);
        w->ready(w->self, w->fd, ready);
        leave(h);
        calls++;
    }
    return calls;
}

uint32_t fake_request(struct fake_host *h, uint32_t *code)
{
    uint32_t what = h->request;

    if (code)
        *code = h->request_code;
    h->request = 0;
    h->request_code = 0;
    return what;
}

const char *fake_log(struct fake_host *h, uint32_t *level)
{
    pthread_mutex_lock(&h->log_lock);
    if (level)
        *level = h->log_level;
    memcpy(h->log_seen, h->log, sizeof(h->log));
    pthread_mutex_unlock(&h->log_lock);
    return h->log_seen;
}

unsigned fake_log_count(struct fake_host *h)
{
    unsigned count;

    pthread_mutex_lock(&h->log_lock);
    count = h->log_count;
    pthread_mutex_unlock(&h->log_lock);
    return count;
}

const char *fake_failure(void)
{
    return failure;
}

/* ---- snapshots
 * ----------------------------------------------------------------------------------- */

static int writer_put(struct bp_writer *w, const char *name, const void *data, uint64_t len)
{
    struct writer *writer = (struct writer *)w;
    struct saved *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    assert_true(strlen(name) < sizeof(s->name));
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->data = malloc(len + 1);
    assert_non_null(s->data);
    memcpy(s->data, data, len);
    s->len = len;
    s->next = writer->first;
    writer->first = s;
    return 0;
}

static int64_t reader_get(struct bp_reader *r, const char *name, void *data, uint64_t cap)
{
    const struct reader *reader = (const struct reader *)r;

    for (const struct saved *s = reader->first; s; s = s->next) {
        if (strcmp(s->name, name) == 0) {
            memcpy(data, s->data, s->len < cap ? s->len : cap);
            return (int64_t)s->len;
        }
    }
    return -ENOENT;
}

void fake_move_state(struct fake_host *from, struct fake_host *to)
{
    struct writer w = {.table = {.size = sizeof(w.table), .put = writer_put}};
    struct reader r = {.table = {.size = sizeof(r.table), .get = reader_get}};
    struct saved *next;

    assert_ptr_equal(from->model, to->model);
    stop_instance(from->self);
    stop_instance(to->self);
    to->now_ns = from->now_ns;
    to->utc_ns = from->utc_ns;
    memset(to->timers, 0xff, sizeof(to->timers));
    to->ops.reset(to->self, BP_RESET_COLD);
    for (const struct bp_field *f = from->model->instance->fields; f && f->name; f++) {
        for (uint32_t i = 0; i < f->count; i++) {
            uint64_t at = f->offset + (uint64_t)i * f->stride;

            memcpy((uint8_t *)to->self + at, (const uint8_t *)from->self + at, f->width);
        }
    }
    assert_int_equal(from->ops.save(from->self, &w.table), 0);
    r.first = w.first;
    assert_int_equal(to->ops.load(to->self, &r.table), 0);
    assert_int_equal(to->ops.after_load(to->self), 0);
    for (struct saved *s = w.first; s; s = next) {
        next = s->next;
        free(s->data);
        free(s);
    }
    assert_int_equal(start_instance(from->self), 0);
    assert_int_equal(start_instance(to->self), 0);
}
