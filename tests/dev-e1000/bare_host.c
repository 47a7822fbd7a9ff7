/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/bare_host.c - a host of the smallest kind: what a program of one's own needs to use
 * dev-e1000.so as a network card, with libc and the public headers alone. It has RAM, a clock that
 * it moves itself, timers, one PCI function, and a network that keeps the newest frame.
 */
#include "bare_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bp_pci_function {
    struct bp_node node;
};

static void host_log(struct bp_node *n, uint32_t level, const char *text)
{
    (void)n;
    fprintf(stderr, "level %x: %s\n", (unsigned)level, text);
}

static int host_fail(struct bp_node *n, int err, const char *text)
{
    host_log(n, BP_LOG_ERROR, text);
    return err;
}

static const char *host_name(struct bp_node *n)
{
    (void)n;
    return "nic";
}

static int host_region_new(struct bp_node *n, uint32_t space, uint64_t length,
                           const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    (void)space;
    (void)length;
    *out = &n->bars[n->bar_count++];
    **out = (struct bp_region){ops, self};
    return 0;
}

static void *host_dma_map(struct bp_node *n, uint64_t gpa, uint64_t *len, uint32_t dir)
{
    (void)dir;
    return gpa < BARE_RAM && *len <= BARE_RAM - gpa ? n->ram + gpa : NULL;
}

static void host_dma_unmap(struct bp_node *n, void *ptr, uint64_t written)
{
    (void)n;
    (void)ptr;
    (void)written;
}

static int host_dma_read(struct bp_node *n, uint64_t gpa, void *to, uint64_t len)
{
    const void *from = host_dma_map(n, gpa, &len, BP_DMA_READ);

    return from ? (memcpy(to, from, len), 0) : -EFAULT;
}

static int host_dma_write(struct bp_node *n, uint64_t gpa, const void *from, uint64_t len)
{
    void *to = host_dma_map(n, gpa, &len, BP_DMA_WRITE);

    return to ? (memcpy(to, from, len), 0) : -EFAULT;
}

static uint64_t host_clock_ns(struct bp_node *n)
{
    return n->now_ns;
}

static int host_timer_set(struct bp_node *n, uint32_t id, uint64_t when_ns)
{
    if (id >= BARE_TIMERS)
        return -EINVAL;
    n->timers[id] = when_ns;
    return 0;
}

/* ---- "bp.pci/1": a function is its node ---- */

static int pci_function_new(struct bp_node *n, uint32_t devfn, uint32_t flags,
                            const struct bp_pci_identity *identity,
                            const struct bp_pci_function_ops *ops, void *self,
                            struct bp_pci_function **out)
{
    (void)devfn, (void)flags, (void)identity, (void)ops, (void)self;
    n->capability = 0x40;
    *out = (struct bp_pci_function *)(void *)n;
    return 0;
}

static int pci_bar(struct bp_pci_function *f, uint32_t index, struct bp_region *region,
                   uint32_t flags)
{
    (void)f, (void)index, (void)region, (void)flags;
    return 0;
}

static int pci_capability(struct bp_pci_function *f, uint8_t id, uint32_t length, uint32_t *offset)
{
    (void)id;
    *offset = f->node.capability;
    f->node.capability += length;
    return 0;
}

static uint32_t pci_config_get(struct bp_pci_function *f, uint32_t offset, uint32_t width)
{
    uint32_t value = 0;

    memcpy(&value, f->node.space + offset, width);
    return value;
}

static void pci_config_set(struct bp_pci_function *f, uint32_t offset, uint32_t value,
                           uint32_t width)
{
    memcpy(f->node.space + offset, &value, width);
}

static void pci_config_mask(struct bp_pci_function *f, uint32_t offset, uint32_t writable,
                            uint32_t write_1_clears, uint32_t width)
{
    (void)f, (void)offset, (void)writable, (void)write_1_clears, (void)width;
}

static void pci_intx_set(struct bp_pci_function *f, uint32_t level)
{
    f->node.edges += level && !f->node.level;
    f->node.level = level;
}

static const struct bp_pci pci = {.size = sizeof(pci),
                                  .function_new = pci_function_new,
                                  .bar = pci_bar,
                                  .capability = pci_capability,
                                  .config_get = pci_config_get,
                                  .config_set = pci_config_set,
                                  .config_mask = pci_config_mask,
                                  .intx_set = pci_intx_set};

static const void *host_extension(struct bp_node *n, const char *id)
{
    (void)n;
    return strcmp(id, BP_PCI_ID) ? NULL : &pci;
}

/* ---- "bp.net/1": the network ---- */

static uint32_t net_offloads(void *self)
{
    (void)self;
    return 0;
}

static int net_set(void *self, uint32_t value)
{
    (void)self, (void)value;
    return 0;
}

static uint32_t net_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct bp_node *n = self;

    (void)queue;
    for (uint32_t i = 0; i < count; i++) {
        n->sent_len = 0;
        for (uint32_t b = 0; b < frames[i].nbufs; b++) {
            uint64_t room = sizeof(n->sent) - n->sent_len, len = frames[i].bufs[b].len;

            memcpy(n->sent + n->sent_len, frames[i].bufs[b].data, len < room ? len : room);
            n->sent_len += (uint32_t)(len < room ? len : room);
        }
        n->sent_count++;
    }
    return count;
}

static void net_resume(void *self, uint32_t queue)
{
    (void)self, (void)queue;
}

static const struct bp_net net = {.size = sizeof(net),
                                  .offloads = net_offloads,
                                  .set_offloads = net_set,
                                  .send = net_send,
                                  .resume = net_resume,
                                  .set_queues = net_set};

static int host_link(struct bp_node *n, struct bp_node *ref, const char *id, const void *port,
                     void *port_self, struct bp_peer *out)
{
    if (ref != n || strcmp(id, BP_NET_ID) != 0)
        return -ENOENT;
    n->port = port;
    n->port_self = port_self;
    *out = (struct bp_peer){&net, n};
    return 0;
}

static const struct bp_host host = {.size = sizeof(host),
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
                                    .timer_set = host_timer_set};

/* ---- the program's side ---- */

/* Where the model wants the value of key `name`; the table of keys says so. */
static void set_key(struct bp_node *n, const char *name, const void *value, size_t len)
{
    const uint8_t *at = (const uint8_t *)n->model->props;
    struct bp_prop prop;

    for (memcpy(&prop, at, sizeof(prop)); prop.name;
         at += n->model->prop_stride, memcpy(&prop, at, sizeof(prop)))
        if (strcmp(prop.name, name) == 0 && prop.offset + len <= sizeof(n->config))
            memcpy(n->config + prop.offset, value, len);
}

struct bp_node *bare_new(const char *path, const uint8_t mac[6])
{
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct bp_plugin *plugin = file ? dlsym(file, "bp_plugin_v0") : NULL;
    struct bp_node *n = calloc(1, sizeof(*n));
    const uint32_t any = BP_PCI_ANY;

    if (!plugin || !n) {
        fprintf(stderr, "%s\n", plugin ? "no memory" : dlerror());
        free(n);
        return NULL;
    }
    n->model = plugin->models[0];
    memset(n->timers, 0xff, sizeof(n->timers));
    set_key(n, "net", &n, sizeof(n));
    set_key(n, "mac", mac, 6);
    set_key(n, "slot", &any, sizeof(any));
    if (n->model->config_size > sizeof(n->config) ||
        n->model->instance->create(&host, n, n->config, &n->self)) {
        free(n);
        return NULL;
    }
    n->model->instance->reset(n->self, BP_RESET_COLD);
    return n;
}

void bare_free(struct bp_node *n)
{
    n->model->instance->destroy(n->self);
    free(n);
}

uint32_t bare_read(struct bp_node *n, uint32_t offset)
{
    return (uint32_t)n->bars[0].ops->read(n->bars[0].self, offset, 4);
}

void bare_write(struct bp_node *n, uint32_t offset, uint32_t value)
{
    n->bars[0].ops->write(n->bars[0].self, offset, value, 4);
}

void bare_advance(struct bp_node *n, uint64_t ns)
{
    uint64_t end_ns = n->now_ns + ns;

    for (;;) {
        uint32_t next = 0;

        for (uint32_t id = 1; id < BARE_TIMERS; id++)
            if (n->timers[id] < n->timers[next])
                next = id;
        if (n->timers[next] > end_ns)
            break;
        if (n->timers[next] > n->now_ns)
            n->now_ns = n->timers[next];
        n->timers[next] = UINT64_MAX;
        n->model->instance->timer(n->self, next);
    }
    n->now_ns = end_ns;
}
