/* SPDX-License-Identifier: MIT
 *
 * fakes/doorbells.c - the fake host's "bp.doorbell/1": writes that ring an eventfd. Interrupts by
 * fd are not here; those of PCI are in pci.c.
 */
#include "fakes/host_private.h"

#include <backplane/ext/doorbell.h>

static bool offered;

static int ring_fd(struct bp_node *node, struct bp_region *region, uint64_t offset, uint32_t width,
                   uint64_t value, int fd)
{
    struct fake_host *h = node->host;

    if (region->host != h || offset + width > region->length || fd <= 0)
        fake_fail("ring_fd() of what is not the instance's");
    for (unsigned i = 0; i < BELLS_MAX; i++) {
        if (h->bells[i].fd)
            continue;
        h->bells[i] = (struct bell){region, offset, value, width, fd};
        return 0;
    }
    return -ENOSPC;
}

static int unring_fd(struct bp_node *node, struct bp_region *region, uint64_t offset,
                     uint32_t width, uint64_t value, int fd)
{
    for (unsigned i = 0; i < BELLS_MAX; i++) {
        struct bell *b = &node->host->bells[i];

        if (b->region != region || b->offset != offset || b->width != width || b->value != value ||
            b->fd != fd)
            continue;
        *b = (struct bell){0};
        return 0;
    }
    return -ENOENT;
}

static int msi_fd(struct bp_node *node, int fd, uint64_t address, uint32_t data)
{
    (void)node;
    (void)fd;
    (void)address;
    (void)data;
    return -ENOTSUP;
}

static int unmsi_fd(struct bp_node *node, int fd)
{
    (void)node;
    (void)fd;
    return -ENOENT;
}

static const struct bp_doorbell table = {
    .size = sizeof(table),
    .ring_fd = ring_fd,
    .unring_fd = unring_fd,
    .msi_fd = msi_fd,
    .unmsi_fd = unmsi_fd,
};

const void *fake_doorbell_extension(void)
{
    return offered ? &table : NULL;
}

void fake_offer_doorbells(bool offer)
{
    offered = offer;
}

int fake_ring(struct fake_host *h, const struct bp_region *region, uint64_t offset, uint64_t value,
              uint32_t width)
{
    static const uint64_t one = 1;

    for (unsigned i = 0; i < BELLS_MAX; i++) {
        const struct bell *b = &h->bells[i];

        if (!b->fd || b->region != region || b->offset != offset ||
            (b->width && b->width != width) ||
            (b->value != BP_DOORBELL_ANY_VALUE && b->value != value))
            continue;
        assert_int_equal(write(b->fd, &one, sizeof(one)), sizeof(one));
        return 1;
    }
    return 0;
}
