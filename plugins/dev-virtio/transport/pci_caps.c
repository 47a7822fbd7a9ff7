/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/transport/pci_caps.c - the capabilities of a virtio PCI device (virtio 1.2, 4.1.4),
 * and accesses to its registers by way of configuration space.
 *
 *     0 id 9   1 next   2 length   3 cfg_type   4 bar   5 id   8 offset   12 length
 *     notify: 16 multiplier        configuration access: 16 data
 */
#include "transport/pci_caps.h"

#include <backplane/util/log.h>

#define CAP_ID 0x09u /* vendor-specific */
#define CAP_BYTES 16u
#define CAP_LENGTH 2u
#define CAP_TYPE 3u
#define CAP_BAR 4u
#define CAP_OFFSET 8u
#define CAP_BAR_LENGTH 12u
#define CAP_EXTRA 16u

#define TYPE_COMMON 1u
#define TYPE_NOTIFY 2u
#define TYPE_ISR 3u
#define TYPE_DEVICE 4u
#define TYPE_PCI 5u

/* Adds one capability; its offset, or -errno. */
static int add(struct pci *p, uint32_t type, uint32_t at, uint32_t length, uint32_t extra)
{
    uint32_t bytes = CAP_BYTES + (type == TYPE_NOTIFY || type == TYPE_PCI ? 4u : 0u), cap;
    int err = p->bus->capability(p->function, CAP_ID, bytes, &cap);

    if (err)
        return err;
    p->bus->config_set(p->function, cap + CAP_LENGTH, bytes, 1);
    p->bus->config_set(p->function, cap + CAP_TYPE, type, 1);
    p->bus->config_set(p->function, cap + CAP_OFFSET, at, 4);
    p->bus->config_set(p->function, cap + CAP_BAR_LENGTH, length, 4);
    if (type == TYPE_NOTIFY)
        p->bus->config_set(p->function, cap + CAP_EXTRA, extra, 4);
    return (int)cap;
}

int pci_caps_add(struct pci *p, struct virtio *v)
{
    const struct {
        uint32_t type, at, length, extra;
    } caps[] = {
        {TYPE_COMMON, PCI_COMMON, 64, 0},
        {TYPE_NOTIFY, PCI_NOTIFY, v->queue_count * PCI_NOTIFY_STRIDE, PCI_NOTIFY_STRIDE},
        {TYPE_ISR, PCI_ISR, 1, 0},
        {TYPE_DEVICE, PCI_DEVICE, v->config_bytes, 0},
        {TYPE_PCI, 0, 0, 0},
    };
    int cap = 0;

    for (uint32_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        if (caps[i].type == TYPE_DEVICE && !v->config_bytes)
            continue; /* there is none (4.1.4.6) */
        cap = add(p, caps[i].type, caps[i].at, caps[i].length, caps[i].extra);
        if (cap < 0)
            return bp_failf(v->host, v->node, cap, "no room for virtio's PCI capabilities");
    }
    p->window = (uint32_t)cap;
    p->bus->config_mask(p->function, p->window + CAP_BAR, 0xff, 0, 1);
    p->bus->config_mask(p->function, p->window + CAP_OFFSET, UINT32_MAX, 0, 4);
    p->bus->config_mask(p->function, p->window + CAP_BAR_LENGTH, UINT32_MAX, 0, 4);
    p->bus->config_mask(p->function, p->window + CAP_EXTRA, UINT32_MAX, 0, 4);
    return 0;
}

/* Where the capability points, if that is a register of BAR 0 that can be accessed: its width, or
 * 0. */
static uint32_t window(const struct pci *p, uint32_t *at)
{
    uint32_t bar = p->bus->config_get(p->function, p->window + CAP_BAR, 1);
    uint32_t width = p->bus->config_get(p->function, p->window + CAP_BAR_LENGTH, 4);

    *at = p->bus->config_get(p->function, p->window + CAP_OFFSET, 4);
    if (bar != 0 || (width != 1 && width != 2 && width != 4) || *at % width ||
        *at > PCI_BAR_BYTES - width)
        return 0;
    return width;
}

static int is_data(const struct pci *p, uint32_t offset, uint32_t width)
{
    return offset < p->window + CAP_EXTRA + 4 && offset + width > p->window + CAP_EXTRA;
}

void pci_caps_config_read(struct pci *p, uint32_t offset, uint32_t width)
{
    uint32_t at, w;

    if (!is_data(p, offset, width))
        return;
    w = window(p, &at);
    if (w)
        p->bus->config_set(p->function, p->window + CAP_EXTRA, (uint32_t)pci_bar_read(p, at, w), w);
}

void pci_caps_config_written(struct pci *p, uint32_t offset, uint32_t width)
{
    uint32_t at, w;

    if (!is_data(p, offset, width))
        return;
    w = window(p, &at);
    if (w)
        pci_bar_write(p, at, p->bus->config_get(p->function, p->window + CAP_EXTRA, w), w);
}
