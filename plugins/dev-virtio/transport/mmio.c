/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/transport/mmio.c - virtio over MMIO, register layout version 2 (virtio 1.2, 4.2): 512
 * bytes of registers and one interrupt line.
 *
 * The guest finds it by ACPI (a device LNRO0005 in \_SB, which this file describes), or by its
 * kernel's command line: virtio_mmio.device=512@ADDRESS:IRQ. Left out: the legacy layout, and
 * shared memory regions, of which no device here has any.
 */
#include "transport/mmio.h"

#include <backplane/ext/acpi.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IRQ_PCI 16u /* from here on the board's lines are level, active low: bp.acpi's device() */

struct mmio {
    struct bp_region *region;
    uint64_t address;
    uint32_t irq;
};

static void update_irq(struct virtio *v)
{
    struct mmio *m = v->transport_self;

    v->host->irq_set(v->node, m->irq, v->isr != 0);
}

static void mmio_used(struct virtio *v, uint32_t n)
{
    (void)n;
    v->isr |= ISR_QUEUE;
    update_irq(v);
}

static void mmio_config(struct virtio *v)
{
    v->isr |= ISR_CONFIG;
    update_irq(v);
}

static uint32_t read_queue(struct virtio *v, uint64_t offset)
{
    const struct queue *q = virtio_selected(v);

    if (!q)
        return 0;
    if (offset == QueueNumMax)
        return q->max_size;
    if (offset == QueueReady)
        return q->enabled;
    return virtio_queue_resetting(v, q);
}

static uint32_t read_register(struct virtio *v, uint64_t offset)
{
    switch (offset) {
    case MagicValue:
        return MMIO_MAGIC;
    case Version:
        return 2;
    case DeviceID:
        return v->device->id;
    case VendorID:
        return MMIO_VENDOR;
    case DeviceFeatures:
        return virtio_offered_word(v, v->device_select);
    case QueueNumMax:
    case QueueReady:
    case QueueReset:
        return read_queue(v, offset);
    case InterruptStatus:
        return v->isr;
    case Status:
        return virtio_status(v);
    case SHMLenLow:
    case SHMLenHigh:
    case SHMBaseLow:
    case SHMBaseHigh:
        return UINT32_MAX; /* no such region */
    case ConfigGeneration:
        return v->generation;
    default:
        virtio_guest(v, "a register was read that does not exist or cannot be read");
        return 0;
    }
}

static uint64_t mmio_read(void *self, uint64_t offset, uint32_t width)
{
    struct virtio *v = self;

    if (offset >= Config)
        return virtio_config_get(v, offset - Config, width);
    if (width != 4) {
        virtio_guest(v, "a register was read with another width than 4 bytes");
        return 0;
    }
    return read_register(v, offset);
}

/* The interrupt is level-triggered (4.2.2), but lines below 16 are edges on this board. So what is
 * still pending after an acknowledgement comes as an edge of its own. */
static void acknowledge(struct virtio *v, uint32_t bits)
{
    struct mmio *m = v->transport_self;

    v->isr &= (uint8_t)~bits;
    if (v->isr)
        v->host->irq_set(v->node, m->irq, 0);
    update_irq(v);
}

static void write_queue(struct virtio *v, uint64_t offset, uint32_t value)
{
    struct queue *q = virtio_selected(v);

    if (!q) {
        virtio_guest(v, "a queue was configured that the device does not have");
        return;
    }
    switch (offset) {
    case QueueNum:
        virtio_queue_set_size(v, q, value);
        break;
    case QueueReady:
        if (value & 1)
            virtio_queue_enable(v, q);
        else if (q->enabled && !(v->status & STATUS_DRIVER_OK))
            q->enabled = 0;
        break;
    case QueueReset:
        if (value & 1)
            virtio_queue_reset(v, q);
        break;
    default:
        virtio_queue_set_half(v, q, (uint32_t)(offset - QueueDescLow) / 0x10, offset & 4, value);
    }
}

static void mmio_write(void *self, uint64_t offset, uint64_t value64, uint32_t width)
{
    struct virtio *v = self;
    uint32_t value = (uint32_t)value64;

    if (offset >= Config) {
        virtio_config_put(v, offset - Config, value, width);
        return;
    }
    if (width != 4) {
        virtio_guest(v, "a register was written with another width than 4 bytes, and is not "
                        "changed");
        return;
    }
    switch (offset) {
    case DeviceFeaturesSel:
        v->device_select = value;
        break;
    case DriverFeatures:
        virtio_accept_word(v, v->driver_select, value);
        break;
    case DriverFeaturesSel:
        v->driver_select = value;
        break;
    case QueueSel:
        v->queue_select = value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
        break;
    case QueueNum:
    case QueueReady:
    case QueueReset:
    case QueueDescLow:
    case QueueDescHigh:
    case QueueDriverLow:
    case QueueDriverHigh:
    case QueueDeviceLow:
    case QueueDeviceHigh:
        write_queue(v, offset, value);
        break;
    case QueueNotify:
        virtio_kick(v, value);
        break;
    case InterruptACK:
        acknowledge(v, value);
        break;
    case Status:
        virtio_set_status(v, (uint8_t)value);
        break;
    case SHMSel:
        break;
    default:
        virtio_guest(v, "a register was written that does not exist or cannot be written");
    }
}

static const struct bp_register registers[] = {
    {"MagicValue", MagicValue, 4, BP_REG_RO},
    {"Version", Version, 4, BP_REG_RO},
    {"DeviceID", DeviceID, 4, BP_REG_RO},
    {"VendorID", VendorID, 4, BP_REG_RO},
    {"DeviceFeatures", DeviceFeatures, 4, BP_REG_RO},
    {"DeviceFeaturesSel", DeviceFeaturesSel, 4, BP_REG_WO},
    {"DriverFeatures", DriverFeatures, 4, BP_REG_WO},
    {"DriverFeaturesSel", DriverFeaturesSel, 4, BP_REG_WO},
    {"QueueSel", QueueSel, 4, BP_REG_WO},
    {"QueueNumMax", QueueNumMax, 4, BP_REG_RO},
    {"QueueNum", QueueNum, 4, BP_REG_WO | BP_REG_LENGTH},
    {"QueueReady", QueueReady, 4, BP_REG_RW},
    {"QueueNotify", QueueNotify, 4, BP_REG_WO | BP_REG_DOORBELL},
    {"InterruptStatus", InterruptStatus, 4, BP_REG_RO},
    {"InterruptACK", InterruptACK, 4, BP_REG_WO},
    {"Status", Status, 4, BP_REG_RW},
    {"QueueDescLow", QueueDescLow, 4, BP_REG_WO | BP_REG_ADDRESS},
    {"QueueDescHigh", QueueDescHigh, 4, BP_REG_WO | BP_REG_ADDRESS_HIGH},
    {"QueueDriverLow", QueueDriverLow, 4, BP_REG_WO | BP_REG_ADDRESS},
    {"QueueDriverHigh", QueueDriverHigh, 4, BP_REG_WO | BP_REG_ADDRESS_HIGH},
    {"QueueDeviceLow", QueueDeviceLow, 4, BP_REG_WO | BP_REG_ADDRESS},
    {"QueueDeviceHigh", QueueDeviceHigh, 4, BP_REG_WO | BP_REG_ADDRESS_HIGH},
    {"SHMSel", SHMSel, 4, BP_REG_WO},
    {"QueueReset", QueueReset, 4, BP_REG_RW},
    {"ConfigGeneration", ConfigGeneration, 4, BP_REG_RO},
    {NULL, 0, 0, 0},
};

const struct bp_region_ops virtio_mmio_region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "virtio-mmio",
    .registers = registers,
    .read = mmio_read,
    .write = mmio_write,
};

/* ---- ACPI ---- */

/* Device (VXXX) { Name (_HID, "LNRO0005")  Name (_UID, irq)  Name (_CRS, ResourceTemplate () {
 *     Memory32Fixed (ReadWrite, address, 512)  Interrupt (ResourceConsumer, ...) { irq } }) }
 * ACPI 6.4, 20.2.5.2 and 6.4.3. The interrupt line, which is nobody else's, numbers the device. */
static void describe(void *self, struct bp_acpi_builder *b)
{
    static const uint8_t image[] = {
        0x5b, 0x82, 0x3b, 'V',  'I',  '0',  '0', /* Device, length 59 */
        0x08, '_',  'H',  'I',  'D',  0x0d, 'L',  'N',  'R',  'O',  '0',  '0',
        '0',  '5',  0,                                        /* _HID */
        0x08, '_',  'U',  'I',  'D',  0x0a, 0,                /* _UID */
        0x08, '_',  'C',  'R',  'S',  0x11, 0x1a, 0x0a, 0x17, /* Buffer of 23 bytes */
        0x86, 0x09, 0x00, 0x01, 0,    0,    0,    0,    0x00, 0x02, 0x00, 0x00, /* Memory32Fixed */
        0x89, 0x06, 0x00, 0x00, 0x01, 0,    0,    0,    0,                      /* Interrupt */
        0x79, 0x00,                                                             /* end tag */
    };
    enum { NAME = 5, UID = 28, BASE = 42, FLAGS = 53, IRQ = 55 };
    const struct virtio *v = self;
    const struct mmio *m = v->transport_self;
    uint8_t aml[sizeof(image)];

    _Static_assert(sizeof(image) == 2 + 0x3b, "PkgLength counts from itself on");
    memcpy(aml, image, sizeof(aml));
    aml[NAME] = (uint8_t)('0' + m->irq / 10);
    aml[NAME + 1] = (uint8_t)('0' + m->irq % 10);
    aml[UID] = (uint8_t)m->irq;
    bp_put_le32(aml + BASE, (uint32_t)m->address);
    /* consumer, with edge, active high; or level, active low, shared */
    aml[FLAGS] = m->irq < IRQ_PCI ? 0x03 : 0x0d;
    bp_put_le32(aml + IRQ, m->irq);
    b->aml(b, aml, sizeof(aml));
}

static const struct bp_acpi acpi = {.size = sizeof(struct bp_acpi), .describe = describe};

static const void *mmio_extension(struct virtio *v, const char *id)
{
    (void)v;
    return strcmp(id, BP_ACPI_ID) ? NULL : &acpi;
}

/* ---- life ---- */

static void mmio_doorbell(struct virtio *v, uint32_t n, struct bp_region **region, uint64_t *offset,
                          uint32_t *width, uint64_t *value)
{
    struct mmio *m = v->transport_self;

    *region = m->region;
    *offset = QueueNotify;
    *width = 4;
    *value = n;
}

static void mmio_destroy(struct virtio *v)
{
    free(v->transport_self);
}

static const struct virtio_transport transport = {
    .used = mmio_used,
    .config = mmio_config,
    .reset = update_irq,
    .after_load = update_irq,
    .extension = mmio_extension,
    .destroy = mmio_destroy,
    .doorbell = mmio_doorbell,
};

int virtio_mmio_init(struct virtio *v, const struct virtio_config *config)
{
    struct mmio *m;
    int err;

    if (!config->address || !config->irq)
        return bp_failf(v->host, v->node, -EINVAL,
                        "transport = mmio needs the keys address and irq; give an address in "
                        "0xc0000000-0xdfffffff and a line that nobody else has");
    if (config->address % MMIO_BYTES || config->address > UINT32_MAX - MMIO_BYTES)
        return bp_failf(v->host, v->node, -EINVAL,
                        "address 0x%llx is not a multiple of 512 below 4 GiB; change it",
                        (unsigned long long)config->address);
    m = calloc(1, sizeof(*m));
    if (!m)
        return bp_failf(v->host, v->node, -ENOMEM, "no memory for a virtio device");
    m->address = config->address;
    m->irq = config->irq;
    v->transport = &transport;
    v->transport_self = m;
    err = v->host->region_new(v->node, BP_SPACE_MMIO, MMIO_BYTES, &virtio_mmio_region_ops, v,
                              &m->region);
    if (!err)
        err = v->host->region_place(m->region, m->address);
    if (err)
        return bp_failf(v->host, v->node, err,
                        "cannot place registers at 0x%llx: %s; give `address` a value where it is "
                        "free",
                        (unsigned long long)m->address, strerror(-err));
    return 0;
}
