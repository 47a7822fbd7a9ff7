/* SPDX-License-Identifier: MIT
 *
 * pci/function.c - a device's function: its header and capabilities, what a write to them does, and
 * its life (PCI 3.0, 6.1, 6.2 and 6.7; PCI Express 5.0, 7.5.3 and 7.6.3).
 *
 * Left out: expansion ROMs, whose register reads as 0 (a loader of them would be a BIOS); built-in
 * self-test, cache line size and latency timer, which are read-only zeroes as PCI allows; errors,
 * which no function reports.
 */
#include "pci/function.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTENDED_FIRST 0x100u
#define STATUS_ERRORS 0xf900u /* bits that a 1 clears (PCI 3.0, 6.2.3) */

/* Express capability (PCI Express 5.0, 7.5.3): offsets, and what an endpoint in the root complex,
 * which has no link and no slot, says there. */
#define EXPRESS_BYTES 0x3cu
#define EXPRESS_FLAGS 0x02u
#define EXPRESS_DEVICE_CAPS 0x04u
#define EXPRESS_DEVICE_CONTROL 0x08u
#define EXPRESS_DEVICE_STATUS 0x0au
#define FLAGS_V2_INTEGRATED_ENDPOINT 0x0092u
#define CAPS_ROLE_BASED_ERRORS 0x8000u
#define CONTROL_WRITABLE 0x781fu /* error reporting, relaxed ordering, no snoop, read size */
#define CONTROL_POWER_ON 0x2810u /* relaxed ordering, no snoop, reads of 512 bytes (7.5.3.4) */
#define STATUS_CLEARS 0x000fu

int pci_fail(const struct bp_pci_function *f, int err, const char *format, ...)
{
    char text[400], why[360];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    snprintf(text, sizeof(text), "PCI function %02x.%u: %s", f->devfn >> 3, f->devfn & 7, why);
    return f->services->fail(f->services->context, f->node, err, text);
}

/* ---- what the guest reads and writes ------------------------------------------------------------
 */

static bool touches(uint32_t offset, uint32_t width, uint32_t first, uint32_t bytes)
{
    return offset < first + bytes && first < offset + width;
}

/* Bits that change by themselves. */
static void refresh(struct pci_function *config, uint32_t offset, uint32_t width)
{
    struct bp_pci_function *f = (struct bp_pci_function *)config;

    if (touches(offset, width, PCI_STATUS, 1)) {
        config->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
        if (__atomic_load_n(&f->level, __ATOMIC_RELAXED))
            config->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    }
    if (f->msi_at && touches(offset, width, f->msi_at + PCI_MSI_PENDING, 4)) {
        pthread_mutex_lock(&f->lock);
        bp_put_le32(config->config + f->msi_at + PCI_MSI_PENDING, f->msi_pending);
        pthread_mutex_unlock(&f->lock);
    }
    if (f->ops.config_read)
        f->ops.config_read(f->self, offset, width);
}

static void written(struct pci_function *config, uint32_t offset, uint32_t width)
{
    struct bp_pci_function *f = (struct bp_pci_function *)config;
    bool command = touches(offset, width, PCI_COMMAND, 2);

    if (command || touches(offset, width, PCI_BAR, 4 * PCI_BARS))
        pci_bars_follow(f);
    if (command || (f->msi_at && touches(offset, width, f->msi_at, PCI_MSI_BYTES)) ||
        (f->msix_at && touches(offset, width, f->msix_at, PCI_MSIX_BYTES)))
        pci_messages_follow(f);
    if (f->ops.config_written)
        f->ops.config_written(f->self, offset, width);
}

/* ---- making one ---------------------------------------------------------------------------------
 */

static int refuse_identity(const struct bp_pci_function *f, const struct bp_pci_identity *id)
{
    if (!id || id->size < offsetof(struct bp_pci_identity, reserved))
        return pci_fail(f, -EINVAL, "its identity is missing or cut short");
    if (id->vendor == 0xffff)
        return pci_fail(f, -EINVAL, "vendor 0xffff stands for no function; choose another");
    if (id->class_code >> 24)
        return pci_fail(f, -EINVAL, "class code 0x%x has more than 24 bits", id->class_code);
    if (id->interrupt_pin > 4)
        return pci_fail(f, -EINVAL, "interrupt pin %u is none; expected 1 to 4, or 0",
                        id->interrupt_pin);
    if (f->flags & ~BP_PCI_EXPRESS)
        return pci_fail(f, -EINVAL, "flags 0x%x are unknown; this host knows 0x%x", f->flags,
                        BP_PCI_EXPRESS);
    if (f->devfn != BP_PCI_ANY && f->devfn >= PCI_DEVICES * PCI_FUNCTIONS)
        return f->services->fail(f->services->context, f->node, -EINVAL,
                                 "there is no such place on the PCI bus, expected device 0 to 1f "
                                 "and function 0 to 7");
    return 0;
}

static void write_header(struct bp_pci_function *f, const struct bp_pci_identity *id)
{
    struct pci_function *c = &f->config;

    pci_function_init(c, id->vendor, id->device, id->class_code, id->revision);
    c->bytes = f->flags & BP_PCI_EXPRESS ? PCI_CONFIG_BYTES : PCI_CAPABILITIES_END;
    c->refresh = refresh;
    c->written = written;
    c->owner = f;
    bp_put_le16(c->config + PCI_SUBSYSTEM_VENDOR, id->subsystem_vendor);
    bp_put_le16(c->config + PCI_SUBSYSTEM, id->subsystem);
    c->config[PCI_INTERRUPT_PIN] = id->interrupt_pin;
    /* I/O and memory decoding come with BARs of that kind. */
    bp_put_le16(c->writable + PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
                                               PCI_COMMAND_SERR |
                                               (id->interrupt_pin ? PCI_COMMAND_INTX_OFF : 0));
    bp_put_le16(c->clears + PCI_STATUS, STATUS_ERRORS);
    c->writable[PCI_INTERRUPT_LINE] = id->interrupt_pin ? 0xff : 0;
}

static void add_express(struct bp_pci_function *f)
{
    uint32_t at =
        (uint32_t)pci_function_add_capability(&f->config, PCI_CAPABILITY_EXPRESS, EXPRESS_BYTES);

    bp_put_le16(f->config.config + at + EXPRESS_FLAGS, FLAGS_V2_INTEGRATED_ENDPOINT);
    bp_put_le32(f->config.config + at + EXPRESS_DEVICE_CAPS, CAPS_ROLE_BASED_ERRORS);
    bp_put_le16(f->config.config + at + EXPRESS_DEVICE_CONTROL, CONTROL_POWER_ON);
    bp_put_le16(f->config.writable + at + EXPRESS_DEVICE_CONTROL, CONTROL_WRITABLE);
    bp_put_le16(f->config.clears + at + EXPRESS_DEVICE_STATUS, STATUS_CLEARS);
}

/* The first device that nobody has or shall have. */
static uint32_t free_device(const struct pci_host *host, uint32_t kept)
{
    for (uint32_t device = 0; device < PCI_DEVICES; device++) {
        bool taken = kept >> device & 1;
        for (uint32_t i = 0; i < PCI_FUNCTIONS && !taken; i++)
            taken = pci_host_find(host, 0, device, i) != NULL;
        if (!taken)
            return device;
    }
    return PCI_DEVICES;
}

static bool is_host_bridge(const struct bp_pci_function *f)
{
    return f->config.config[PCI_CLASS + 2] == 0x06 && f->config.config[PCI_CLASS + 1] == 0x00;
}

static int put(struct bp_pci_function *f, uint32_t kept)
{
    const struct pci_function *there;
    struct error e;

    if (f->devfn == BP_PCI_ANY) {
        uint32_t device = free_device(f->host, kept);
        if (device == PCI_DEVICES)
            return f->services->fail(f->services->context, f->node, -ENOSPC,
                                     "no device number is free on the PCI bus: it has 32, one of "
                                     "them the host bridge's");
        f->devfn = device << 3;
    }
    there = pci_host_find(f->host, 0, f->devfn >> 3, f->devfn & 7);
    if (there && there->owner) {
        const struct bp_pci_function *other = there->owner;
        return pci_fail(f, -EBUSY, "[%s] has this place; choose another",
                        f->services->name(f->services->context, other->node));
    }
    if (there && !(is_host_bridge(f) && pci_host_yields(f->host, there)))
        return pci_fail(f, -EBUSY, "the host bridge has this place; choose another");
    int err = pci_host_add(f->host, 0, f->devfn >> 3, f->devfn & 7, &f->config, &e);
    return err ? f->services->fail(f->services->context, f->node, err, e.text) : 0;
}

int pci_function_new(struct pci_host *host, const struct pci_services *services,
                     struct domain *domain, uint32_t kept, struct bp_node *node, uint32_t devfn,
                     uint32_t flags, const struct bp_pci_identity *identity,
                     const struct bp_pci_function_ops *ops, void *self,
                     struct bp_pci_function **out)
{
    struct bp_pci_function *f = calloc(1, sizeof(*f)), **last = pci_host_functions(host);

    if (!f)
        return services->fail(services->context, node, -ENOMEM, "out of memory");
    f->services = services;
    f->host = host;
    f->node = node;
    f->devfn = devfn;
    f->flags = flags;
    f->self = self;
    f->line = UINT32_MAX;
    f->next_extended = EXTENDED_FIRST;
    for (uint32_t i = 0; i < PCI_BARS; i++)
        f->bars[i].base = BP_UNMAPPED;
    if (ops)
        memcpy(&f->ops, ops, ops->size < sizeof(f->ops) ? ops->size : sizeof(f->ops));
    int err = refuse_identity(f, identity);
    if (!err) {
        write_header(f, identity);
        err = put(f, kept);
    }
    if (err) {
        free(f);
        return err;
    }
    f->config.domain = domain;
    if (identity->interrupt_pin)
        f->line = PCI_LINE_FIRST + ((f->devfn >> 3) + identity->interrupt_pin - 1) % PCI_LINES;
    if (flags & BP_PCI_EXPRESS)
        add_express(f);
    pthread_mutex_init(&f->lock, NULL);
    while (*last)
        last = &(*last)->next;
    *last = f;
    *out = f;
    return 0;
}

void pci_functions_free(struct pci_host *host, const struct bp_node *node)
{
    for (struct bp_pci_function **link = pci_host_functions(host); *link;) {
        struct bp_pci_function *f = *link;
        if (node && f->node != node) {
            link = &f->next;
            continue;
        }
        *link = f->next;
        pci_host_remove(host, &f->config);
        pci_vector_fds_end(f);
        if (f->line != UINT32_MAX)
            f->services->line_set(f->services->context, &f->held, f->line, 0);
        pthread_mutex_destroy(&f->lock);
        free(f->entries);
        free(f->vectors);
        free(f);
    }
}

const struct bp_pci_function *pci_functions_lost(const struct pci_host *host)
{
    for (const struct bp_pci_function *f = pci_functions(host); f; f = f->next)
        if (!pci_host_find(host, 0, f->devfn >> 3, 0))
            return f;
    return NULL;
}

/* ---- power on -----------------------------------------------------------------------------------
 */

void pci_functions_power_on(struct pci_host *host)
{
    for (struct bp_pci_function *f = pci_functions(host); f; f = f->next)
        memcpy(f->power_on, f->config.config, sizeof(f->power_on));
}

void pci_functions_reset(struct pci_host *host)
{
    for (struct bp_pci_function *f = pci_functions(host); f; f = f->next) {
        if (f->config.domain)
            domain_enter(f->config.domain);
        memcpy(f->config.config, f->power_on, sizeof(f->power_on));
        pci_bars_follow(f);
        pci_messages_reset(f);
        pci_messages_follow(f);
        if (f->config.domain)
            domain_leave(f->config.domain);
    }
}

/* ---- capabilities and bytes ---------------------------------------------------------------------
 */

int pci_capability(struct bp_pci_function *f, uint8_t id, uint32_t length, uint32_t *offset)
{
    int at = pci_function_add_capability(&f->config, id, length);

    if (at < 0)
        return pci_fail(f, at,
                        "a capability of %u bytes does not fit: the space for them ends at "
                        "0x100, and each has 2 bytes or more",
                        length);
    *offset = (uint32_t)at;
    return 0;
}

int pci_extended_capability(struct bp_pci_function *f, uint16_t id, uint32_t version,
                            uint32_t length, uint32_t *offset)
{
    uint32_t at = f->next_extended, last = f->last_extended;

    if (!(f->flags & BP_PCI_EXPRESS))
        return pci_fail(f, -ENOTSUP,
                        "only functions with BP_PCI_EXPRESS have extended capabilities");
    if (!version || version > 15)
        return pci_fail(f, -EINVAL, "an extended capability's version is 1 to 15, not %u", version);
    if (length < 4 || length > PCI_CONFIG_BYTES - at)
        return pci_fail(f, -ENOSPC,
                        "an extended capability of %u bytes does not fit: the space "
                        "for them ends at 0x1000, and each has 4 bytes or more",
                        length);
    /* 31:20 next | 19:16 version | 15:0 id */
    bp_put_le32(f->config.config + at, version << 16 | id);
    if (last)
        bp_put_le32(f->config.config + last,
                    (bp_le32(f->config.config + last) & 0xfffff) | at << 20);
    f->last_extended = at;
    f->next_extended = (at + length + 3) & ~3u;
    *offset = at;
    return 0;
}

static bool is_inside(const struct bp_pci_function *f, uint32_t offset, uint32_t width)
{
    return (width == 1 || width == 2 || width == 4) && offset < f->config.bytes &&
           width <= f->config.bytes - offset;
}

uint32_t pci_config_get(struct bp_pci_function *f, uint32_t offset, uint32_t width)
{
    uint32_t value = 0;

    if (!is_inside(f, offset, width))
        return UINT32_MAX;
    for (uint32_t i = 0; i < width; i++)
        value |= (uint32_t)f->config.config[offset + i] << 8 * i;
    return value;
}

void pci_config_set(struct bp_pci_function *f, uint32_t offset, uint32_t value, uint32_t width)
{
    for (uint32_t i = 0; is_inside(f, offset, width) && i < width; i++)
        f->config.config[offset + i] = (uint8_t)(value >> 8 * i);
}

void pci_config_mask(struct bp_pci_function *f, uint32_t offset, uint32_t writable,
                     uint32_t write_1_clears, uint32_t width)
{
    for (uint32_t i = 0; is_inside(f, offset, width) && i < width; i++) {
        f->config.writable[offset + i] = (uint8_t)(writable >> 8 * i);
        f->config.clears[offset + i] = (uint8_t)(write_1_clears >> 8 * i);
    }
}

uint32_t pci_devfn(struct bp_pci_function *f)
{
    return f->devfn;
}
