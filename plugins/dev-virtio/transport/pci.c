/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/transport/pci.c - virtio over PCI (virtio 1.2, 4.1): a function with vendor 0x1af4,
 * one BAR of registers, MSI-X with a vector for each queue and one for the configuration, or INTx.
 *
 * Left out: the transitional interface, and the BAR in I/O space that older guests of KVM want.
 */
#include "transport/pci_caps.h"

#include <backplane/ext/doorbell.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif
#include <unistd.h>

#define PCI_VENDOR 0x1af4u
#define PCI_DEVICE_BASE 0x1040u /* plus the virtio device ID (4.1.2) */
#define PBA_AT 0x800u

/* struct virtio_pci_common_cfg (4.1.4.3) */
#define CFG_device_feature_select 0x00u
#define CFG_device_feature 0x04u
#define CFG_driver_feature_select 0x08u
#define CFG_driver_feature 0x0cu
#define CFG_config_msix_vector 0x10u
#define CFG_num_queues 0x12u
#define CFG_device_status 0x14u
#define CFG_config_generation 0x15u
#define CFG_queue_select 0x16u
#define CFG_queue_size 0x18u
#define CFG_queue_msix_vector 0x1au
#define CFG_queue_enable 0x1cu
#define CFG_queue_notify_off 0x1eu
#define CFG_queue_desc 0x20u
#define CFG_queue_driver 0x28u
#define CFG_queue_device 0x30u
#define CFG_queue_notify_data 0x38u
#define CFG_queue_reset 0x3au
#define COMMON_BYTES 0x40u

/* By the vector's eventfd, which the CPU backend turns into the interrupt (an irqfd), if there is
 * one; while it is masked by the bus, which notes it as pending at once. */
static void send_message(struct pci *p, uint16_t vector)
{
    static const uint64_t one = 1;

    if (p->unmasked[vector] && p->fds[vector] >= 0 &&
        write(p->fds[vector], &one, sizeof(one)) == sizeof(one)) {
        p->by_fd++;
        return;
    }
    p->bus->notify(p->function, vector);
    p->by_message++;
}

static void notify(struct virtio *v, uint8_t isr, uint16_t vector)
{
    struct pci *p = v->transport_self;

    if (p->bus->interrupt_mode(p->function) != BP_PCI_INTX) {
        if (vector < p->vectors)
            send_message(p, vector);
        return;
    }
    v->isr |= isr;
    p->bus->intx_set(p->function, 1);
}

static void pci_used(struct virtio *v, uint32_t n)
{
    notify(v, ISR_QUEUE, v->queues[n].vector);
}

static void pci_config(struct virtio *v)
{
    notify(v, ISR_CONFIG, v->config_vector);
}

static void update_intx(struct virtio *v)
{
    struct pci *p = v->transport_self;

    p->bus->intx_set(p->function, v->isr != 0);
}

/* ---- common configuration ---- */

/* All of the structure as it reads now: what an access of any width and place sees of it. */
static void fill_common(struct virtio *v, uint8_t common[COMMON_BYTES])
{
    const struct queue *q = virtio_selected(v);

    memset(common, 0, COMMON_BYTES);
    bp_put_le32(common + CFG_device_feature_select, v->device_select);
    bp_put_le32(common + CFG_device_feature, virtio_offered_word(v, v->device_select));
    bp_put_le32(common + CFG_driver_feature_select, v->driver_select);
    bp_put_le32(common + CFG_driver_feature, virtio_accepted_word(v, v->driver_select));
    bp_put_le16(common + CFG_config_msix_vector, v->config_vector);
    bp_put_le16(common + CFG_num_queues, (uint16_t)v->queue_count);
    common[CFG_device_status] = virtio_status(v);
    common[CFG_config_generation] = (uint8_t)v->generation;
    bp_put_le16(common + CFG_queue_select, v->queue_select);
    bp_put_le16(common + CFG_queue_msix_vector, VIRTIO_NO_VECTOR);
    if (!q)
        return; /* CFG_queue_size 0: it does not exist */
    bp_put_le16(common + CFG_queue_size, q->size);
    bp_put_le16(common + CFG_queue_msix_vector, q->vector);
    bp_put_le16(common + CFG_queue_enable, q->enabled);
    bp_put_le16(common + CFG_queue_notify_off, v->queue_select);
    bp_put_le16(common + CFG_queue_notify_data, v->queue_select);
    bp_put_le64(common + CFG_queue_desc, q->desc);
    bp_put_le64(common + CFG_queue_driver, q->driver);
    bp_put_le64(common + CFG_queue_device, q->device);
    bp_put_le16(common + CFG_queue_reset, (uint16_t)virtio_queue_resetting(v, q));
}

/* A vector that there is, or none: what the driver reads back tells it (4.1.5.1.2.1). */
static uint16_t vector_of(const struct pci *p, uint64_t value)
{
    return value < p->vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static void write_queue(struct pci *p, uint64_t offset, uint32_t value)
{
    struct virtio *v = p->virtio;
    struct queue *q = virtio_selected(v);

    if (!q) {
        virtio_guest(v, "a queue was configured that the device does not have");
        return;
    }
    switch (offset) {
    case CFG_queue_size:
        virtio_queue_set_size(v, q, value);
        break;
    case CFG_queue_msix_vector:
        q->vector = vector_of(p, value);
        break;
    case CFG_queue_enable:
        if (value == 1)
            virtio_queue_enable(v, q);
        break;
    case CFG_queue_reset:
        if (value == 1)
            virtio_queue_reset(v, q);
        break;
    default:
        virtio_queue_set_half(v, q, (uint32_t)(offset - CFG_queue_desc) / 8, offset & 4, value);
    }
}

/* Fields are written with their own width, those of 64 bits by halves (4.1.3.1). */
static uint32_t width_of(uint64_t offset)
{
    switch (offset) {
    case CFG_device_status:
        return 1;
    case CFG_config_msix_vector:
    case CFG_queue_select:
    case CFG_queue_size:
    case CFG_queue_msix_vector:
    case CFG_queue_enable:
    case CFG_queue_reset:
        return 2;
    case CFG_device_feature_select:
    case CFG_driver_feature_select:
    case CFG_driver_feature:
    case CFG_queue_desc:
    case CFG_queue_desc + 4:
    case CFG_queue_driver:
    case CFG_queue_driver + 4:
    case CFG_queue_device:
    case CFG_queue_device + 4:
        return 4;
    default:
        return 0;
    }
}

static void write_common(struct pci *p, uint64_t offset, uint32_t value, uint32_t width)
{
    struct virtio *v = p->virtio;

    if (width_of(offset) != width) {
        virtio_guest(v, "a common configuration field was written that cannot be, or with another "
                        "width than its own: it is not changed");
        return;
    }
    switch (offset) {
    case CFG_device_feature_select:
        v->device_select = value;
        break;
    case CFG_driver_feature_select:
        v->driver_select = value;
        break;
    case CFG_driver_feature:
        virtio_accept_word(v, v->driver_select, value);
        break;
    case CFG_config_msix_vector:
        v->config_vector = vector_of(p, value);
        break;
    case CFG_device_status:
        virtio_set_status(v, (uint8_t)value);
        break;
    case CFG_queue_select:
        v->queue_select = (uint16_t)value;
        break;
    default:
        write_queue(p, offset, value);
    }
}

/* ---- the BAR ---- */

static uint32_t read_isr(struct virtio *v)
{
    uint8_t isr = v->isr;

    v->isr = 0;
    update_intx(v);
    return isr;
}

uint64_t pci_bar_read(struct pci *p, uint64_t offset, uint32_t width)
{
    struct virtio *v = p->virtio;
    uint8_t common[COMMON_BYTES + 4] = {0};

    if (offset >= PCI_NOTIFY)
        return 0;
    if (offset >= PCI_DEVICE)
        return virtio_config_get(v, offset - PCI_DEVICE, width);
    if (offset >= PCI_ISR)
        return offset == PCI_ISR ? read_isr(v) : 0;
    if (offset >= COMMON_BYTES)
        return 0;
    fill_common(v, common);
    return bp_le32(common + offset);
}

void pci_bar_write(struct pci *p, uint64_t offset, uint64_t value, uint32_t width)
{
    struct virtio *v = p->virtio;

    if (offset >= PCI_NOTIFY)
        virtio_kick(v, (uint32_t)(offset - PCI_NOTIFY) / PCI_NOTIFY_STRIDE);
    else if (offset >= PCI_DEVICE)
        virtio_config_put(v, offset - PCI_DEVICE, (uint32_t)value, width);
    else if (offset >= PCI_ISR)
        virtio_guest(v, "the interrupt status was written, which cannot be");
    else
        write_common(p, offset, (uint32_t)value, width);
}

static uint64_t region_read(void *self, uint64_t offset, uint32_t width)
{
    return pci_bar_read(self, offset, width);
}

static void region_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    pci_bar_write(self, offset, value, width);
}

static const struct bp_register registers[] = {
    {"device_feature_select", CFG_device_feature_select, 4, BP_REG_RW},
    {"device_feature", CFG_device_feature, 4, BP_REG_RO},
    {"driver_feature_select", CFG_driver_feature_select, 4, BP_REG_RW},
    {"driver_feature", CFG_driver_feature, 4, BP_REG_RW},
    {"config_msix_vector", CFG_config_msix_vector, 2, BP_REG_RW},
    {"num_queues", CFG_num_queues, 2, BP_REG_RO},
    {"device_status", CFG_device_status, 1, BP_REG_RW},
    {"config_generation", CFG_config_generation, 1, BP_REG_RO},
    {"queue_select", CFG_queue_select, 2, BP_REG_RW},
    {"queue_size", CFG_queue_size, 2, BP_REG_RW | BP_REG_LENGTH},
    {"queue_msix_vector", CFG_queue_msix_vector, 2, BP_REG_RW},
    {"queue_enable", CFG_queue_enable, 2, BP_REG_RW},
    {"queue_notify_off", CFG_queue_notify_off, 2, BP_REG_RO},
    {"queue_desc", CFG_queue_desc, 8, BP_REG_RW | BP_REG_ADDRESS},
    {"queue_driver", CFG_queue_driver, 8, BP_REG_RW | BP_REG_ADDRESS},
    {"queue_device", CFG_queue_device, 8, BP_REG_RW | BP_REG_ADDRESS},
    {"queue_notify_data", CFG_queue_notify_data, 2, BP_REG_RO},
    {"queue_reset", CFG_queue_reset, 2, BP_REG_RW},
    {"ISR status", PCI_ISR, 1, BP_REG_RC},
    {NULL, 0, 0, 0},
};

const struct bp_region_ops virtio_pci_region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "virtio-pci",
    .registers = registers,
    .read = region_read,
    .write = region_write,
};

/* ---- life ---- */

static void hook_read(void *self, uint32_t offset, uint32_t width)
{
    pci_caps_config_read(self, offset, width);
}

static void hook_written(void *self, uint32_t offset, uint32_t width)
{
    pci_caps_config_written(self, offset, width);
}

static void vector_masked(void *self, uint32_t vector, uint32_t masked)
{
    struct pci *p = self;

    if (vector < p->vectors)
        p->unmasked[vector] = !masked;
}

static const struct bp_pci_function_ops function_ops = {
    .size = sizeof(struct bp_pci_function_ops),
    .config_read = hook_read,
    .config_written = hook_written,
    .vector_masked = vector_masked,
};

#ifdef __linux__
/* An eventfd for each vector, if the CPU backend can make interrupts of them. Where there is none
 * messages go by the bus, so nothing is reported. */
static void make_vector_fds(struct pci *p)
{
    struct virtio *v = p->virtio;

    if (!v->host->extension(v->node, BP_DOORBELL_ID))
        return;
    for (uint32_t i = 0; i < p->vectors; i++) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (fd < 0)
            return;
        if (p->bus->vector_fd(p->function, i, fd)) {
            close(fd);
            return;
        }
        p->fds[i] = fd;
    }
}
#else
static void make_vector_fds(struct pci *p)
{
    (void)p;
}
#endif

static void pci_doorbell(struct virtio *v, uint32_t n, struct bp_region **region, uint64_t *offset,
                         uint32_t *width, uint64_t *value)
{
    struct pci *p = v->transport_self;

    *region = p->region;
    *offset = PCI_NOTIFY + (uint64_t)n * PCI_NOTIFY_STRIDE;
    *width = 0;
    *value = BP_DOORBELL_ANY_VALUE;
}

static void pci_destroy(struct virtio *v)
{
    struct pci *p = v->transport_self;

    if (p->by_fd || p->by_message)
        bp_logf(v->host, v->node, BP_LOG_DEBUG,
                "%llu interrupts were sent by eventfd, %llu by message",
                (unsigned long long)p->by_fd, (unsigned long long)p->by_message);
    for (uint32_t i = 0; i < p->vectors; i++) {
        if (p->fds[i] < 0)
            continue;
        p->bus->vector_fd(p->function, i, -1);
        close(p->fds[i]);
    }
    free(p);
}

static const struct virtio_transport transport = {
    .used = pci_used,
    .config = pci_config,
    .reset = update_intx,
    .after_load = update_intx,
    .destroy = pci_destroy,
    .doorbell = pci_doorbell,
};

int virtio_pci_init(struct virtio *v, const struct virtio_config *config)
{
    const struct bp_pci_identity identity = {.size = sizeof(identity),
                                             .vendor = PCI_VENDOR,
                                             .device = (uint16_t)(PCI_DEVICE_BASE + v->device->id),
                                             .subsystem_vendor = PCI_VENDOR,
                                             .subsystem = PCI_DEVICE_BASE,
                                             .class_code = v->device->class_code,
                                             .revision = 1,
                                             .interrupt_pin = 1};
    struct pci *p;
    int err;

    if (config->address || config->irq)
        return bp_failf(v->host, v->node, -EINVAL,
                        "the keys address and irq are of transport = mmio; remove them, or add it");
    p = calloc(1, sizeof(*p));
    if (!p)
        return bp_failf(v->host, v->node, -ENOMEM, "no memory for a virtio device");
    p->virtio = v;
    p->bus = v->host->extension(v->node, BP_PCI_ID);
    if (!p->bus) {
        free(p);
        return bp_failf(v->host, v->node, -ENOTSUP,
                        "this machine has no PCI bus; give the device transport = mmio, or the "
                        "machine board = pc");
    }
    v->transport = &transport;
    v->transport_self = p;
    p->vectors = v->queue_count + 1;
    for (uint32_t i = 0; i < PCI_VECTORS_MAX; i++)
        p->fds[i] = -1;
    err = v->host->region_new(v->node, BP_SPACE_MMIO, PCI_BAR_BYTES, &virtio_pci_region_ops, p,
                              &p->region);
    if (!err)
        err = p->bus->function_new(v->node, config->slot, 0, &identity, &function_ops, p,
                                   &p->function);
    if (err)
        return err; /* told by function_new() */
    err = p->bus->bar(p->function, 0, p->region, 0);
    if (!err)
        err = p->bus->msix(p->function, p->vectors, 1, 0, PBA_AT);
    if (err)
        return bp_failf(v->host, v->node, err, "cannot make the device's BARs: %s", strerror(-err));
    make_vector_fds(p);
    return pci_caps_add(p, v);
}
