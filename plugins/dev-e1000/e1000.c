/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/e1000.c - the 82540EM as a whole: its PCI function, resets, power states, timers and
 * snapshots. docs/e1000.md says which registers do what.
 *
 * PCI (chapter 4): 8086:100e, 128 KiB of registers in BAR 0, IOADDR and IODATA in BAR 1. The part
 * has its flash memory in BAR 1 and I/O in BAR 2; a card without flash needs no BAR for it. Left
 * out are message-signalled interrupts, which drivers leave alone on this part.
 */
#include "e1000.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VENDOR 0x8086u
#define DEVICE 0x100eu
#define SUBSYSTEM 0x001eu /* PRO/1000 MT Desktop Adapter */
#define CLASS_ETHERNET 0x020000u
#define REVISION 3u

/* PCI Power Management 1.1, 3.2. */
#define CAP_PM 0x01u
#define PM_BYTES 8u
#define PMC 2u
#define PMC_VALUE 0xc822u /* version 2, DSI, PME from D0, D3hot and D3cold */
#define PMCSR 4u
#define PMCSR_WRITABLE 0x1f03u
#define PMCSR_STATUS 0x8000u
#define PM_D3 3u

/* PCI-X 1.0, 7.2: the part has the registers; on a PCI bus they do nothing. */
#define CAP_PCIX 0x07u
#define PCIX_BYTES 8u
#define PCIX_COMMAND 2u
#define PCIX_COMMAND_VALUE 0x0002u
#define PCIX_COMMAND_WRITABLE 0x007fu
#define PCIX_STATUS 4u
#define PCIX_STATUS_VALUE 0x04400000u

static void vlog(struct e1000 *e, const char *format, va_list args)
{
    char line[BP_LINE_MAX];

    vsnprintf(line, sizeof(line), format, args);
    e->host->log(e->node, BP_LOG_WARN | BP_LOG_GUEST, line);
}

void guest_log(struct e1000 *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vlog(e, format, args);
    va_end(args);
}

void strict_log(struct e1000 *e, const char *format, ...)
{
    va_list args;

    if (!e->config->strict)
        return;
    va_start(args, format);
    vlog(e, format, args);
    va_end(args);
}

/* ---- timers ---- */

void timer_arm(struct e1000 *e, uint32_t id, uint64_t ns)
{
    uint64_t when = e->host->clock_ns(e->node) + ns;

    e->deadline_ns[id] = when ? when : 1;
    e->host->timer_set(e->node, id, e->deadline_ns[id]);
}

void timer_stop(struct e1000 *e, uint32_t id)
{
    if (!e->deadline_ns[id])
        return;
    e->deadline_ns[id] = 0;
    e->host->timer_set(e->node, id, UINT64_MAX);
}

static void e1000_timer(void *self, uint32_t id)
{
    struct e1000 *e = self;

    if (id == TIMER_SENT) {
        e->blocked = 0;
        tx_run(e);
        return;
    }
    if (id == TIMER_LOOK)
        rx_look(e);
    if (id >= TIMERS || !e->deadline_ns[id])
        return;
    e->deadline_ns[id] = 0;
    switch (id) {
    case TIMER_TX:
        tx_run(e);
        break;
    case TIMER_AUTONEG:
        phy_timer(e);
        break;
    case TIMER_PAUSE:
        flow_timer(e);
        break;
    case TIMER_RESUME:
        rx_resume(e);
        break;
    default:
        irq_timer(e, id);
        break;
    }
}

/* ---- reset and power ---- */

/* Survives all but power on (6.4). */
static int is_sticky(uint32_t index)
{
    return index == R_WUFC || index == R_WUS || index == R_WUPL || index == R_IPAV;
}

void device_reset(struct e1000 *e)
{
    for (uint32_t i = 0; i < R_COUNT; i++)
        if (!is_sticky(i))
            e->reg[i] = register_reset(i);
    memset(e->MTA, 0, sizeof(e->MTA));
    memset(e->RA, 0, sizeof(e->RA));
    memset(e->VFTA, 0, sizeof(e->VFTA));
    for (uint32_t i = 0; i < TIMERS; i++)
        if (i != TIMER_AUTONEG)
            timer_stop(e, i);
    e->itr_until_ns = 0;
    eeprom_reset(e);
    eeprom_load(e);
    tx_reset(e);
    irq_update(e);
    phy_update(e);
    rx_resume(e);
}

static void e1000_reset(void *self, uint32_t kind)
{
    struct e1000 *e = self;

    if (kind == BP_RESET_COLD) {
        memset(e->reg, 0, sizeof(e->reg));
        memset(e->IP4AT, 0, sizeof(e->IP4AT));
        memset(e->IP6AT, 0, sizeof(e->IP6AT));
        memset(e->WUPM, 0, sizeof(e->WUPM));
        memset(e->FFLT, 0, sizeof(e->FFLT));
        memset(e->FFMT, 0, sizeof(e->FFMT));
        memset(e->FFVT, 0, sizeof(e->FFVT));
        memset(e->PBM, 0, sizeof(e->PBM));
        e->ee_writable = 0;
    }
    e->d3 = 0;
    e->ioaddr = 0;
    e->level = 0;
    e->gathering = 0;
    e->blocked = 0; /* the backend was reset before, and owes no sent() any more */
    e->pci->intx_set(e->function, 0);
    /* The link that there was is forgotten before the reset, not lost by it: a loss would stand as
     * a cause in the registers of the PHY and of the MAC. */
    e->phy_link = e->phy_link_was = 0;
    e->reg[R_STATUS] = 0;
    phy_reset(e);
    device_reset(e);
}

/* In D3 frames wake, and nothing is sent; on the way to D0 the device is reset (6.3.2). */
void power_changed(struct e1000 *e)
{
    uint8_t d3 = (e->pci->config_get(e->function, e->pm + PMCSR, 2) & 3u) == PM_D3;

    if (d3 == e->d3)
        return;
    e->d3 = d3;
    if (!d3) {
        device_reset(e);
        return;
    }
    tx_reset(e);
    rx_resume(e); /* what waits may wake */
}

static void config_written(void *self, uint32_t offset, uint32_t width)
{
    struct e1000 *e = self;

    if (offset < e->pm + PMCSR + 2 && offset + width > e->pm + PMCSR)
        power_changed(e);
}

static const struct bp_pci_function_ops function_ops = {
    .size = sizeof(struct bp_pci_function_ops),
    .config_written = config_written,
};

/* ---- life ---- */

static void e1000_destroy(void *self)
{
    free(self);
}

static int make_function(struct e1000 *e)
{
    static const struct bp_pci_identity identity = {
        .size = sizeof(struct bp_pci_identity),
        .vendor = VENDOR,
        .device = DEVICE,
        .subsystem_vendor = VENDOR,
        .subsystem = SUBSYSTEM,
        .class_code = CLASS_ETHERNET,
        .revision = REVISION,
        .interrupt_pin = 1,
    };
    const struct bp_host *host = e->host;
    struct bp_region *registers, *io;
    uint32_t pcix;
    int err;

    err = e->pci->function_new(e->node, e->config->slot, 0, &identity, &function_ops, e,
                               &e->function);
    if (err)
        return err; /* with a sentence */
    err =
        host->region_new(e->node, BP_SPACE_MMIO, E1000_BAR_BYTES, &e1000_memory_ops, e, &registers);
    if (!err)
        err = e->pci->bar(e->function, 0, registers, 0);
    if (!err)
        err = host->region_new(e->node, BP_SPACE_PIO, E1000_IO_BYTES, &e1000_io_ops, e, &io);
    if (!err)
        err = e->pci->bar(e->function, 1, io, 0);
    if (!err)
        err = e->pci->capability(e->function, CAP_PM, PM_BYTES, &e->pm);
    if (!err)
        err = e->pci->capability(e->function, CAP_PCIX, PCIX_BYTES, &pcix);
    if (err)
        return bp_failf(host, e->node, err, "cannot make the registers of a network card: %s",
                        strerror(-err));
    e->pci->config_set(e->function, e->pm + PMC, PMC_VALUE, 2);
    e->pci->config_mask(e->function, e->pm + PMCSR, PMCSR_WRITABLE, PMCSR_STATUS, 2);
    e->pci->config_set(e->function, pcix + PCIX_COMMAND, PCIX_COMMAND_VALUE, 2);
    e->pci->config_mask(e->function, pcix + PCIX_COMMAND, PCIX_COMMAND_WRITABLE, 0, 2);
    e->pci->config_set(e->function, pcix + PCIX_STATUS, PCIX_STATUS_VALUE, 4);
    return 0;
}

static int link_backend(struct e1000 *e)
{
    const struct bp_net *net;
    int err;

    e->carrier = 1; /* until it says otherwise */
    err = e->host->link(e->node, e->config->net, BP_NET_ID, &e1000_port, e, &e->net);
    if (err)
        return bp_failf(e->host, e->node, err,
                        "cannot use the section that `net` names: %s; name a network backend that "
                        "no other device uses",
                        strerror(-err));
    net = e->net.ops;
    e->offloads = net->offloads(e->net.self);
    /* Checksums that were left out are filled in as frames are copied; the rest must be plain. */
    net->set_offloads(e->net.self, BP_NET_OFFLOAD_CSUM);
    return 0;
}

/* A local address that is the same whenever the machine is made: FNV-1a of the section's name. */
static void make_address(const char *name, uint8_t *mac)
{
    uint32_t hash = 2166136261u;

    while (*name)
        hash = (hash ^ (uint8_t)*name++) * 16777619u;
    mac[0] = 0x52;
    mac[1] = 0x54;
    mac[2] = 0;
    for (uint32_t i = 0; i < 3; i++)
        mac[3 + i] = (uint8_t)(hash >> 8 * i);
}

static int choose_address(struct e1000 *e)
{
    static const uint8_t none[6];
    uint8_t mac[6];

    memcpy(mac, e->config->mac, 6);
    if (!memcmp(mac, none, 6))
        make_address(e->host->name(e->node), mac);
    if (mac[0] & 1u)
        return bp_failf(e->host, e->node, -EINVAL,
                        "mac %02x:%02x:%02x:%02x:%02x:%02x is a group's; the first byte of a "
                        "station's is even, as in 52:54:00:12:34:56",
                        mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    eeprom_init(e, mac);
    return 0;
}

static int e1000_create(const struct bp_host *host, struct bp_node *node, const void *config,
                        void **self)
{
    struct e1000 *e = calloc(1, sizeof(*e));
    int err;

    if (!e)
        return bp_failf(host, node, -ENOMEM, "no memory for a network card");
    e->host = host;
    e->node = node;
    e->config = config;
    crc_init(e);
    e->pci = host->extension(node, BP_PCI_ID);
    if (!e->pci) {
        err = bp_failf(host, node, -ENOTSUP,
                       "an 82540EM is a PCI card, and this machine has no PCI bus");
        goto fail;
    }
    err = choose_address(e);
    if (!err)
        err = make_function(e);
    if (!err && e->config->net)
        err = link_backend(e);
    if (err)
        goto fail;
    *self = e;
    return 0;
fail:
    e1000_destroy(e);
    return err;
}

/* ---- snapshots ---- */

/* No timer of the part's is further away; one that a damaged file has for ever would be silence. */
#define LATEST_NS UINT64_C(5000000000)

static int e1000_save(void *self, struct bp_writer *w)
{
    const struct e1000 *e = self;

    return e->tx.size ? w->put(w, "tx-packet", e->tx_packet + e->tx.start, e->tx.size) : 0;
}

static int e1000_load(void *self, struct bp_reader *r)
{
    struct e1000 *e = self;
    int64_t len;

    if (!e->tx.size || !state_check(e))
        return 0; /* after_load() says what is wrong */
    len = r->get(r, "tx-packet", e->tx_packet + e->tx.start, e->tx.size);
    if (len == (int64_t)e->tx.size)
        return 0;
    return e->host->fail(e->node, -EINVAL,
                         "the snapshot's network card has lost a part of the packet that it was "
                         "sending; the file is damaged");
}

static int e1000_after_load(void *self)
{
    struct e1000 *e = self;
    uint64_t latest;

    if (!state_check(e)) {
        e1000_reset(e, BP_RESET_COLD);
        return e->host->fail(e->node, -EINVAL,
                             "the snapshot's network card is in a state that no 82540EM can have; "
                             "the file is damaged");
    }
    latest = e->host->clock_ns(e->node) + LATEST_NS;
    if (e->itr_until_ns > latest)
        e->itr_until_ns = latest;
    for (uint32_t i = 0; i < TIMERS; i++) {
        if (e->deadline_ns[i] > latest)
            e->deadline_ns[i] = latest;
        e->host->timer_set(e->node, i, e->deadline_ns[i] ? e->deadline_ns[i] : UINT64_MAX);
    }
    if (e->blocked) /* this backend knows nothing of what that one had no room for */
        e->host->timer_set(e->node, TIMER_SENT, e->host->clock_ns(e->node));
    e->level = (e->reg[R_ICR] & e->reg[R_IMS]) && !e->deadline_ns[TIMER_ITR];
    e->pci->intx_set(e->function, e->level);
    phy_update(e); /* this end's cable, whatever that of the saved one was */
    return 0;
}

const struct bp_instance_ops e1000_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = e1000_fields,
    .field_stride = sizeof(struct bp_field),
    .create = e1000_create,
    .destroy = e1000_destroy,
    .reset = e1000_reset,
    .timer = e1000_timer,
    .save = e1000_save,
    .load = e1000_load,
    .after_load = e1000_after_load,
};
