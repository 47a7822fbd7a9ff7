/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/rig.c - a virtio driver for unit tests: see rig.h.
 */
#include "rig.h"

#include "transport/mmio.h"
#include "transport/pci_caps.h"

#include <backplane/util/le.h>

const struct rig_kind rig_kinds[4] = {
    {TRANSPORT_MMIO, 0}, {TRANSPORT_MMIO, 1}, {TRANSPORT_PCI, 0}, {TRANSPORT_PCI, 1}};

static int is_pci(const struct rig *r)
{
    return r->kind.transport == TRANSPORT_PCI;
}

uint8_t *rig_ram(struct rig *r, uint64_t gpa)
{
    assert_true(gpa < FAKE_RAM_BYTES);
    return fake_ram(r->host) + gpa;
}

static uint32_t in(struct rig *r, uint32_t offset, uint32_t width)
{
    return (uint32_t)fake_read(r->host, BP_SPACE_MMIO, r->bar + offset, width);
}

static void out(struct rig *r, uint32_t offset, uint32_t value, uint32_t width)
{
    fake_write(r->host, BP_SPACE_MMIO, r->bar + offset, value, width);
}

static struct rig *make(const char *model, void *config, const struct rig_kind *kind, uint16_t size)
{
    struct virtio_config *c = config;
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    r->kind = *kind;
    c->transport = kind->transport;
    c->packed = (uint8_t)kind->packed;
    c->slot = UINT32_MAX;
    c->queue_size = r->size = size;
    c->address = is_pci(r) ? 0 : RIG_MMIO_BASE;
    c->irq = is_pci(r) ? 0 : RIG_IRQ;
    r->host = fake_host_new(PLUGIN_FILE, model, config);
    r->bar = RIG_MMIO_BASE;
    if (is_pci(r)) {
        r->devfn = fake_pci_function(r->host, 0);
        fake_pci_start(r->host, r->devfn);
        fake_pci_msix_on(r->host, r->devfn);
        r->bar = FAKE_BAR_MEMORY((uint64_t)r->devfn, 0);
    }
    return r;
}

struct rig *rig_new(const char *model, void *config, const struct rig_kind *kind)
{
    return make(model, config, kind, RIG_QUEUE_SIZE);
}

struct rig *rig_new_large(const char *model, void *config, const struct rig_kind *kind)
{
    return make(model, config, kind, RIG_QUEUE_LARGE);
}

void rig_free(struct rig *r)
{
    fake_host_free(r->host);
    free(r);
}

/* ---- registers ---- */

uint8_t rig_status(struct rig *r)
{
    return (uint8_t)(is_pci(r) ? in(r, 0x14, 1) : in(r, Status, 4));
}

void rig_set_status(struct rig *r, uint8_t status)
{
    if (is_pci(r))
        out(r, 0x14, status, 1);
    else
        out(r, Status, status, 4);
}

uint64_t rig_features(struct rig *r)
{
    uint64_t features = 0;

    for (uint32_t i = 0; i < 2; i++) {
        out(r, is_pci(r) ? 0x00 : DeviceFeaturesSel, i, 4);
        features |= (uint64_t)in(r, is_pci(r) ? 0x04 : DeviceFeatures, 4) << (32 * i);
    }
    return features;
}

void rig_accept(struct rig *r, uint64_t features)
{
    for (uint32_t i = 0; i < 2; i++) {
        out(r, is_pci(r) ? 0x08 : DriverFeaturesSel, i, 4);
        out(r, is_pci(r) ? 0x0c : DriverFeatures, (uint32_t)(features >> (32 * i)), 4);
    }
}

void rig_select(struct rig *r, uint32_t n)
{
    if (is_pci(r))
        out(r, 0x16, n, 2);
    else
        out(r, QueueSel, n, 4);
}

void rig_size(struct rig *r, uint32_t size)
{
    if (is_pci(r))
        out(r, 0x18, size, 2);
    else
        out(r, QueueNum, size, 4);
}

void rig_address(struct rig *r, uint32_t area, uint64_t gpa)
{
    uint32_t at = is_pci(r) ? 0x20 + 8 * area : QueueDescLow + 0x10 * area;

    out(r, at, (uint32_t)gpa, 4);
    out(r, at + 4, (uint32_t)(gpa >> 32), 4);
}

void rig_enable(struct rig *r)
{
    if (is_pci(r))
        out(r, 0x1c, 1, 2);
    else
        out(r, QueueReady, 1, 4);
}

uint32_t rig_enabled(struct rig *r)
{
    return is_pci(r) ? in(r, 0x1c, 2) : in(r, QueueReady, 4);
}

void rig_queue_reset(struct rig *r)
{
    if (is_pci(r))
        out(r, 0x3a, 1, 2);
    else
        out(r, QueueReset, 1, 4);
}

uint32_t rig_queue_resetting(struct rig *r)
{
    return is_pci(r) ? in(r, 0x3a, 2) : in(r, QueueReset, 4);
}

void rig_notify(struct rig *r, uint32_t n)
{
    if (is_pci(r))
        out(r, PCI_NOTIFY + n * PCI_NOTIFY_STRIDE, n, 2);
    else
        out(r, QueueNotify, n, 4);
}

uint32_t rig_config(struct rig *r, uint32_t offset, uint32_t width)
{
    return in(r, (is_pci(r) ? PCI_DEVICE : Config) + offset, width);
}

void rig_set_config(struct rig *r, uint32_t offset, uint32_t value, uint32_t width)
{
    out(r, (is_pci(r) ? PCI_DEVICE : Config) + offset, value, width);
}

static int mmio_interrupted(struct rig *r, uint32_t bit)
{
    uint32_t is = in(r, InterruptStatus, 4);

    assert_int_equal(fake_irq_level(r->host, RIG_IRQ), is != 0);
    out(r, InterruptACK, bit, 4);
    return !!(is & bit);
}

int rig_interrupted(struct rig *r, uint32_t n)
{
    return is_pci(r) ? fake_pci_messages(r->host, r->devfn, n + 1) != 0
                     : mmio_interrupted(r, ISR_QUEUE);
}

int rig_config_interrupted(struct rig *r)
{
    return is_pci(r) ? fake_pci_messages(r->host, r->devfn, 0) != 0
                     : mmio_interrupted(r, ISR_CONFIG);
}

/* ---- setting up ---- */

void rig_negotiate(struct rig *r, uint64_t features)
{
    rig_set_status(r, 0);
    rig_set_status(r, STATUS_ACKNOWLEDGE);
    rig_set_status(r, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    rig_accept(r, features | BIT(VIRTIO_F_VERSION_1) |
                      (r->kind.packed ? BIT(VIRTIO_F_RING_PACKED) : 0));
    rig_set_status(r, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    assert_true(rig_status(r) & STATUS_FEATURES_OK);
    if (is_pci(r))
        out(r, 0x10, 0, 2);
}

void rig_setup(struct rig *r, uint32_t n)
{
    memset(rig_ram(r, RIG_RING(n)), 0, 0x2000);
    r->queues[n] = (struct rig_queue){.wrap = 1, .used_wrap = 1};
    rig_select(r, n);
    rig_size(r, r->size);
    rig_address(r, QUEUE_DESC, RIG_DESC(n));
    rig_address(r, QUEUE_DRIVER, RIG_DRIVER(n));
    rig_address(r, QUEUE_DEVICE, RIG_DEVICE(n));
    if (is_pci(r))
        out(r, 0x1a, n + 1, 2);
    rig_enable(r);
    assert_int_equal(rig_enabled(r), 1);
}

void rig_start(struct rig *r, uint64_t features, uint32_t count)
{
    rig_negotiate(r, features);
    for (uint32_t n = 0; n < count; n++)
        rig_setup(r, n);
    rig_set_status(r, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    assert_true(rig_status(r) & STATUS_DRIVER_OK);
}

/* ---- rings ---- */

void rig_put_desc(struct rig *r, uint64_t at, uint64_t gpa, uint32_t len, uint16_t flags,
                  uint16_t next)
{
    uint8_t *d = rig_ram(r, at);

    bp_put_le64(d, gpa);
    bp_put_le32(d + 8, len);
    bp_put_le16(d + 12, r->kind.packed ? next : flags);
    bp_put_le16(d + 14, r->kind.packed ? flags : next);
}

static void publish_split(struct rig *r, uint32_t n, uint16_t head)
{
    struct rig_queue *q = &r->queues[n];
    uint8_t *avail = rig_ram(r, RIG_DRIVER(n));

    bp_put_le16(avail + 4 + 2 * (size_t)(q->next % r->size), head);
    bp_put_le16(avail + 2, ++q->next);
}

static uint16_t split_desc(const struct rig *r, struct rig_queue *q)
{
    return (uint16_t)(q->free_desc++ % r->size);
}

/* Flags that make a packed descriptor available on this lap. */
static uint16_t packed_flags(const struct rig_queue *q)
{
    return q->wrap ? DESC_F_AVAIL : DESC_F_USED;
}

static void packed_step(const struct rig *r, struct rig_queue *q)
{
    if (++q->next == r->size) {
        q->next = 0;
        q->wrap ^= 1;
    }
}

uint16_t rig_add(struct rig *r, uint32_t n, const struct rig_buffer *b, uint32_t count)
{
    struct rig_queue *q = &r->queues[n];
    uint16_t head = (uint16_t)(q->free_desc % r->size), id = q->free_id++;

    if (r->kind.packed) {
        id = (uint16_t)(id % r->size);
        q->slots[id] = (uint16_t)count;
        for (uint32_t i = 0; i < count; i++, packed_step(r, q))
            rig_put_desc(r, RIG_DESC(n) + DESC_BYTES * q->next, b[i].gpa, b[i].len,
                         (uint16_t)(packed_flags(q) | (i + 1 < count ? DESC_F_NEXT : 0u) |
                                    (b[i].writes ? DESC_F_WRITE : 0u)),
                         id);
        return id;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t d = split_desc(r, q);

        rig_put_desc(
            r, RIG_DESC(n) + DESC_BYTES * (uint32_t)d, b[i].gpa, b[i].len,
            (uint16_t)((i + 1 < count ? DESC_F_NEXT : 0u) | (b[i].writes ? DESC_F_WRITE : 0u)),
            (uint16_t)((d + 1) % r->size));
    }
    publish_split(r, n, head);
    return head;
}

void rig_add_raw(struct rig *r, uint32_t n, uint64_t gpa, uint32_t len, uint16_t flags,
                 uint16_t next)
{
    struct rig_queue *q = &r->queues[n];
    uint16_t d;

    if (r->kind.packed) {
        q->slots[next % r->size] = 1;
        rig_put_desc(r, RIG_DESC(n) + DESC_BYTES * q->next, gpa, len,
                     (uint16_t)(flags | packed_flags(q)), next);
        packed_step(r, q);
        return;
    }
    d = split_desc(r, q);
    rig_put_desc(r, RIG_DESC(n) + DESC_BYTES * (uint32_t)d, gpa, len, flags, next);
    publish_split(r, n, d);
}

uint16_t rig_add_indirect(struct rig *r, uint32_t n, const struct rig_buffer *b, uint32_t count,
                          uint32_t table_len, uint16_t extra_flags)
{
    struct rig_queue *q = &r->queues[n];
    uint16_t id = (uint16_t)((r->kind.packed ? q->free_id++ : q->free_desc) % r->size);

    for (uint32_t i = 0; i < count; i++)
        rig_put_desc(
            r, RIG_TABLE(n) + DESC_BYTES * i, b[i].gpa, b[i].len,
            (uint16_t)((i + 1 < count ? DESC_F_NEXT : 0u) | (b[i].writes ? DESC_F_WRITE : 0u)),
            (uint16_t)(i + 1));
    rig_add_raw(r, n, RIG_TABLE(n), table_len, (uint16_t)(DESC_F_INDIRECT | extra_flags),
                r->kind.packed ? id : 0);
    return id;
}

int rig_used(struct rig *r, uint32_t n, uint16_t *id, uint32_t *len)
{
    struct rig_queue *q = &r->queues[n];
    const uint8_t *at;
    uint16_t flags, which;

    if (!r->kind.packed) {
        at = rig_ram(r, RIG_DEVICE(n));
        if (bp_le16(at + 2) == q->used)
            return 0;
        at += 4 + 8 * (size_t)(q->used++ % r->size);
        if (id)
            *id = (uint16_t)bp_le32(at);
        if (len)
            *len = bp_le32(at + 4);
        return 1;
    }
    at = rig_ram(r, RIG_DESC(n) + DESC_BYTES * q->used);
    flags = bp_le16(at + 14);
    if (!!(flags & DESC_F_AVAIL) != q->used_wrap || !!(flags & DESC_F_USED) != q->used_wrap)
        return 0;
    which = bp_le16(at + 12);
    assert_true(which < r->size && q->slots[which]);
    if (id)
        *id = which;
    if (len)
        *len = bp_le32(at + 8);
    q->used = (uint16_t)(q->used + q->slots[which]);
    if (q->used >= r->size) {
        q->used = (uint16_t)(q->used - r->size);
        q->used_wrap ^= 1;
    }
    return 1;
}

uint32_t rig_do(struct rig *r, uint32_t n, const struct rig_buffer *buffers, uint32_t count)
{
    uint16_t id = rig_add(r, n, buffers, count), got = 0;
    uint32_t len = 0;

    rig_notify(r, n);
    assert_true(rig_used(r, n, &got, &len));
    assert_int_equal(got, id);
    return len;
}

void rig_expect_broken(struct rig *r)
{
    assert_true(rig_status(r) & STATUS_NEEDS_RESET);
    assert_true(rig_config_interrupted(r));
    rig_set_status(r, 0);
    assert_int_equal(rig_status(r), 0);
}
