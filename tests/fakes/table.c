/* SPDX-License-Identifier: MIT
 *
 * fakes/table.c - the fake host's table: what the plugin under test calls.
 */
#include "fakes/host_private.h"

#include <backplane/ext/doorbell.h>
#include <backplane/ext/firmware.h>
#include <backplane/ext/memory.h>

char fake_failure_text[1024];

void fake_must_be_main(struct bp_node *node, const char *what)
{
    if (!node->host->setting_up)
        fake_fail("%s is [main], but was called while the guest runs", what);
}

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
    fake_must_be_main(node, "fail()");
    if (err >= 0 || !*text || strchr(text, '\n'))
        fake_fail("fail(%d, '%s'): not a negative errno with a sentence", err, text);
    snprintf(fake_failure_text, sizeof(fake_failure_text), "%s", text);
    return err;
}

static const char *host_name(struct bp_node *node)
{
    (void)node;
    return "fake";
}

/* Guest memory is shared with a guest that runs on another thread in some tests. These do nothing
 * but copy, and are what tests/tsan.supp names. */
static __attribute__((noinline)) void fake_copy(void *to, const void *from, uint64_t len)
{
    memcpy(to, from, len);
}

static __attribute__((noinline)) void fake_zero(void *to, uint64_t len)
{
    memset(to, 0, len);
}

/* ---- bp.memory/1: discarded pages read as zeroes, and nothing else is here ---- */

static int memory_fd(struct bp_node *node)
{
    (void)node;
    return -ENOTSUP;
}

static int memory_range(struct bp_node *node, uint32_t index, struct bp_memory_range *out)
{
    (void)node;
    if (index)
        return -ENOENT;
    out->gpa = out->fd_offset = 0;
    out->length = FAKE_RAM_BYTES;
    return 0;
}

static int memory_discard(struct bp_node *node, uint64_t gpa, uint64_t length)
{
    if (gpa % 4096 || length % 4096)
        return -EINVAL;
    if (node->host->masters_off || !fake_in_ram(gpa, length))
        return -EFAULT;
    fake_zero(node->host->ram + gpa, length);
    return 0;
}

static const struct bp_memory memory = {
    .size = sizeof(memory),
    .fd = memory_fd,
    .range = memory_range,
    .discard = memory_discard,
};

static const struct bp_firmware *offered_firmware;

void fake_offer_firmware(const struct bp_firmware *firmware)
{
    offered_firmware = firmware;
}

static const void *host_extension(struct bp_node *node, const char *id)
{
    assert_non_null(id);
    if (strcmp(id, BP_MEMORY_ID) == 0)
        return &memory;
    if (strcmp(id, BP_FIRMWARE_ID) == 0)
        return offered_firmware;
    if (strcmp(id, BP_DOORBELL_ID) == 0)
        return fake_doorbell_extension();
    return strcmp(id, BP_PCI_ID) == 0 ? fake_pci_extension(node->host) : NULL;
}

static int host_peer(struct bp_node *node, struct bp_node *ref, const char *id, struct bp_peer *out)
{
    fake_must_be_main(node, "peer()");
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

    fake_must_be_main(node, "link()");
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

struct bp_region *fake_new_region(struct bp_node *node, uint32_t space, uint64_t length)
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

    fake_must_be_main(node, "region_new()");
    if (ops->size != sizeof(*ops) || !is_width(ops->min_access) || !is_width(ops->max_access) ||
        ops->min_access > ops->max_access || !ops->name || !ops->read || !ops->write)
        fake_fail("region ops are malformed");
    if (ops->registers && ops->register_stride != sizeof(struct bp_register))
        fake_fail("region %s: register_stride is not sizeof(struct bp_register)", ops->name);
    if (length % ops->min_access)
        fake_fail("region %s: length is no multiple of min_access", ops->name);
    for (const struct bp_register *reg = ops->registers; reg && reg->name; reg++)
        if (!is_width(reg->width) || (reg->access & BP_REG_ACCESS) > BP_REG_RC ||
            reg->offset + reg->width > length)
            fake_fail("region %s: register %s is malformed", ops->name, reg->name);
    if (space > BP_SPACE_PIO || !length || (space == BP_SPACE_PIO && length > PIO_PORTS))
        return -EINVAL;
    r = fake_new_region(node, space, length);
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

    fake_must_be_main(node, "ram_region_new()");
    if (!length || length % 4096)
        return -EINVAL;
    ram = mmap(NULL, length, PROT_READ | PROT_WRITE,
               fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS
                      : (flags & BP_RAM_SHARED ? MAP_SHARED : MAP_PRIVATE),
               fd, (off_t)fd_offset);
    if (ram == MAP_FAILED)
        return -errno;
    r = fake_new_region(node, BP_SPACE_MMIO, length);
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

    if (region->is_bar)
        fake_fail("region_place() of a BAR, which the guest places");
    if (base == BP_UNMAPPED) {
        region->base = base;
        return 0;
    }
    if (__builtin_add_overflow(base, region->length - 1, &end) ||
        (region->space == BP_SPACE_PIO && end >= PIO_PORTS))
        return -EINVAL;
    for (unsigned i = 0; i < h->region_count; i++) {
        const struct bp_region *r = &h->regions[i];

        if (r != region && !r->is_bar && r->space == region->space && r->base != BP_UNMAPPED &&
            r->base <= end && base <= r->base + (r->length - 1))
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

int fake_in_ram(uint64_t gpa, uint64_t len)
{
    return gpa <= FAKE_RAM_BYTES && len <= FAKE_RAM_BYTES - gpa;
}

static bool is_rom(const struct fake_host *h, uint64_t gpa, uint64_t len)
{
    return h->rom_len && gpa < h->rom_gpa + h->rom_len && h->rom_gpa < gpa + len;
}

void fake_rom(struct fake_host *h, uint64_t gpa, uint64_t len)
{
    h->rom_gpa = gpa;
    h->rom_len = len;
}

void fake_after_dma_read(struct fake_host *h,
                         void (*hook)(struct fake_host *h, uint64_t gpa, uint64_t len))
{
    h->after_dma_read = hook;
}

static int host_dma_read(struct bp_node *node, uint64_t gpa, void *to, uint64_t len)
{
    struct fake_host *h = node->host;

    if (h->masters_off || !fake_in_ram(gpa, len))
        return -EFAULT;
    fake_copy(to, h->ram + gpa, len);
    if (h->after_dma_read)
        h->after_dma_read(h, gpa, len);
    return 0;
}

static int host_dma_write(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len)
{
    if (node->host->masters_off || !fake_in_ram(gpa, len) || is_rom(node->host, gpa, len))
        return -EFAULT;
    fake_copy(node->host->ram + gpa, from, len);
    return 0;
}

static void *host_dma_map(struct bp_node *node, uint64_t gpa, uint64_t *len, uint32_t dir)
{
    struct fake_host *h = node->host;
    uint64_t end;

    if (!dir || (dir & ~(BP_DMA_READ | BP_DMA_WRITE)))
        fake_fail("dma_map(): direction %u", dir);
    if (h->masters_off || gpa >= FAKE_RAM_BYTES || !*len || __builtin_add_overflow(gpa, *len, &end))
        return NULL;
    if (end > FAKE_RAM_BYTES)
        *len = FAKE_RAM_BYTES - gpa;
    if (dir & BP_DMA_WRITE && is_rom(h, gpa, *len))
        return NULL;
    for (unsigned i = 0; i < sizeof(h->maps) / sizeof(h->maps[0]); i++) {
        if (!h->maps[i]) {
            h->maps[i] = h->ram + gpa;
            h->map_count++;
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
            h->map_count--;
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

int fake_watch(struct bp_node *node, int fd, uint32_t events,
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

const struct bp_host fake_host_table = {
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
    .fd_watch = fake_watch,
    .clock_ns = host_clock_ns,
    .utc_ns = host_utc_ns,
    .timer_set = host_timer_set,
};
