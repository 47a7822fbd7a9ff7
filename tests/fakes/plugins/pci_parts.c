/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/pci_parts.c - PCI devices for tests that have everything a function can have.
 *
 * everything: three functions, at `pci` (any device without it) and the two behind:
 *   0  Express; BAR 0 64-bit prefetchable memory, 16 KiB, with registers at 0, the MSI-X table of 8
 *      at 0x2000 and its pending bits at 0x3000; BAR 2 the same registers as 32 ports; MSI of 4;
 *      INTA; a vendor's capability, a serial number
 *   1  BAR 0 32-bit memory that is memory, 64 KiB; BAR 1 registers, 4 KiB; MSI of 1; INTB
 *   2  MSI-X of 3 in BAR 4, which the host makes; no pin
 * lone: one function without BARs, for conflicts.
 * ticker: not on PCI: a device that may have a thread. It says once on which its timer and its
 * watch are called, and counts both at port `port`, of 4.
 *
 * Registers, each a dword: see enum. A write to DMA may wait.
 */
#include <backplane/ext/pci.h>
#include <backplane/plugin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    ID = 0x00,      /* R: 0x49435042 */
    NOTIFY = 0x04,  /* W: notify(vector) */
    INTX = 0x08,    /* W: level of INTx; R: interrupt mode */
    GPA = 0x0c,     /* RW: low half of the address that DMA goes to */
    DMA = 0x10,     /* W: this dword by dma_write(); R: 0 or the errno of the last one, positive */
    RING = 0x14,    /* W: add 1 to the eventfd of vector 0, which has one from now on */
    MASKED = 0x18,  /* R: calls of vector_masked() */
    SCRATCH = 0x1c, /* RW */
};

#define BAR_BYTES 0x4000u
#define ID_VALUE 0x49435042u

struct everything_config {
    uint32_t pci;
};

struct part {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_pci *pci;
    struct bp_pci_function *f;
    uint32_t gpa, dma_error, scratch, masked;
    int fd;
};

struct everything {
    struct part parts[3];
};

static uint64_t read_register(void *self, uint64_t offset, uint32_t width)
{
    struct part *p = self;

    (void)width;
    switch (offset) {
    case ID:
        return ID_VALUE;
    case INTX:
        return p->pci->interrupt_mode(p->f);
    case GPA:
        return p->gpa;
    case DMA:
        return p->dma_error;
    case MASKED:
        return p->masked;
    case SCRATCH:
        return p->scratch;
    default:
        return 0;
    }
}

static void ring(struct part *p)
{
    uint64_t one = 1;

    if (p->fd < 0) {
        p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (p->fd >= 0 && p->pci->vector_fd(p->f, 0, p->fd)) {
            close(p->fd);
            p->fd = -1;
        }
    }
    if (p->fd >= 0 && write(p->fd, &one, sizeof(one)) < 0)
        p->dma_error = EIO;
}

static void write_register(void *self, uint64_t offset, uint64_t value_, uint32_t width)
{
    uint32_t value = (uint32_t)value_;
    struct part *p = self;

    (void)width;
    switch (offset) {
    case NOTIFY:
        p->pci->notify(p->f, value);
        break;
    case INTX:
        p->pci->intx_set(p->f, value);
        break;
    case GPA:
        p->gpa = value;
        break;
    case DMA:
        p->dma_error = (uint32_t)-p->host->dma_write(p->node, p->gpa, &value, sizeof(value));
        break;
    case RING:
        ring(p);
        break;
    case SCRATCH:
        p->scratch = value;
        break;
    default:
        break;
    }
}

static const struct bp_register registers[] = {
    {"ID", ID, 4, BP_REG_RO},
    {"NOTIFY", NOTIFY, 4, BP_REG_WO},
    {"INTX", INTX, 4, BP_REG_RW},
    {"GPA", GPA, 4, BP_REG_RW},
    {"DMA", DMA, 4, BP_REG_RW | BP_REG_POSTED},
    {"RING", RING, 4, BP_REG_WO},
    {"MASKED", MASKED, 4, BP_REG_RO},
    {"SCRATCH", SCRATCH, 4, BP_REG_RW},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops register_ops = {
    .size = sizeof(register_ops),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = read_register,
    .write = write_register,
};

static void vector_masked(void *self, uint32_t vector, uint32_t masked)
{
    (void)vector, (void)masked;
    ((struct part *)self)->masked++;
}

static const struct bp_pci_function_ops function_ops = {.size = sizeof(function_ops),
                                                        .vector_masked = vector_masked};

static int memory_bar(struct part *p, uint32_t bar, uint32_t space, uint64_t length, uint32_t flags)
{
    struct bp_region *region;
    int err = p->host->region_new(p->node, space, length, &register_ops, p, &region);

    return err ? err : p->pci->bar(p->f, bar, region, flags);
}

static int make_0(struct part *p, uint32_t devfn)
{
    static const struct bp_pci_identity identity = {.size = sizeof(identity),
                                                    .vendor = 0x1b36,
                                                    .device = 0xbac0,
                                                    .subsystem_vendor = 0x1af4,
                                                    .subsystem = 0x1100,
                                                    .class_code = 0xff0000,
                                                    .revision = 1,
                                                    .interrupt_pin = 1};
    uint32_t at;
    int err =
        p->pci->function_new(p->node, devfn, BP_PCI_EXPRESS, &identity, &function_ops, p, &p->f);

    if (!err)
        err = memory_bar(p, 0, BP_SPACE_MMIO, BAR_BYTES, BP_PCI_BAR_64 | BP_PCI_BAR_PREFETCHABLE);
    if (!err)
        err = memory_bar(p, 2, BP_SPACE_PIO, 32, 0);
    if (!err)
        err = p->pci->msi(p->f, 4);
    if (!err)
        err = p->pci->msix(p->f, 8, 0, 0x2000, 0x3000);
    if (!err)
        err = p->pci->capability(p->f, 0x09, 8, &at); /* vendor specific: length, then its own */
    if (err)
        return err;
    p->pci->config_set(p->f, at + 2, 8, 1);
    p->pci->config_set(p->f, at + 4, 0x5a5a0000, 4);
    p->pci->config_mask(p->f, at + 4, 0xff, 0xff0000, 4);
    err = p->pci->extended_capability(p->f, 0x0003, 1, 12, &at); /* device serial number */
    if (!err) {
        p->pci->config_set(p->f, at + 4, 0x03020100, 4);
        p->pci->config_set(p->f, at + 8, 0x07060504, 4);
    }
    return err;
}

static int make_1(struct part *p, uint32_t devfn)
{
    static const struct bp_pci_identity identity = {.size = sizeof(identity),
                                                    .vendor = 0x1b36,
                                                    .device = 0xbac1,
                                                    .subsystem_vendor = 0x1af4,
                                                    .subsystem = 0x1100,
                                                    .class_code = 0x050000,
                                                    .interrupt_pin = 2};
    struct bp_region *region;
    void *memory;
    int err = p->pci->function_new(p->node, devfn, 0, &identity, &function_ops, p, &p->f);

    if (!err)
        err = p->host->ram_region_new(p->node, 0x10000, 0, -1, 0, &memory, &region);
    if (!err)
        err = p->pci->bar(p->f, 0, region, BP_PCI_BAR_PREFETCHABLE);
    if (!err)
        err = memory_bar(p, 1, BP_SPACE_MMIO, 0x1000, 0);
    return err ? err : p->pci->msi(p->f, 1);
}

static int make_2(struct part *p, uint32_t devfn)
{
    static const struct bp_pci_identity identity = {.size = sizeof(identity),
                                                    .vendor = 0x1b36,
                                                    .device = 0xbac2,
                                                    .subsystem_vendor = 0x1af4,
                                                    .subsystem = 0x1100,
                                                    .class_code = 0xff0000};
    int err = p->pci->function_new(p->node, devfn, BP_PCI_EXPRESS, &identity, NULL, NULL, &p->f);

    return err ? err : p->pci->msix(p->f, 3, 4, 0, 0x800);
}

static void everything_destroy(void *self)
{
    struct everything *e = self;

    for (unsigned i = 0; i < 3; i++)
        if (e->parts[i].fd >= 0)
            close(e->parts[i].fd);
    free(e);
}

static int everything_create(const struct bp_host *host, struct bp_node *node, const void *config,
                             void **out)
{
    const struct bp_pci *pci = host->extension(node, BP_PCI_ID);
    uint32_t devfn = ((const struct everything_config *)config)->pci;
    struct everything *e;

    if (!pci)
        return host->fail(node, -ENODEV, "this machine has no PCI");
    e = calloc(1, sizeof(*e));
    if (!e)
        return host->fail(node, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < 3; i++)
        e->parts[i] = (struct part){.host = host, .node = node, .pci = pci, .fd = -1};
    int err = make_0(&e->parts[0], devfn);
    if (!err && devfn == BP_PCI_ANY)
        devfn = pci->devfn(e->parts[0].f);
    if (!err)
        err = make_1(&e->parts[1], devfn + 1);
    if (!err)
        err = make_2(&e->parts[2], devfn + 2);
    if (err) {
        everything_destroy(e);
        return err;
    }
    *out = e;
    return 0;
}

static void everything_reset(void *self, uint32_t kind)
{
    struct everything *e = self;

    (void)kind;
    for (unsigned i = 0; i < 3; i++) {
        e->parts[i].pci->intx_set(e->parts[i].f, 0);
        e->parts[i].gpa = e->parts[i].dma_error = e->parts[i].scratch = 0;
    }
}

static const struct bp_instance_ops everything_ops = {
    .size = sizeof(everything_ops),
    .create = everything_create,
    .destroy = everything_destroy,
    .reset = everything_reset,
};

static int lone_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **out)
{
    static const struct bp_pci_identity identity = {
        .size = sizeof(identity), .vendor = 0x1b36, .device = 0xbac3, .class_code = 0xff0000};
    const struct bp_pci *pci = host->extension(node, BP_PCI_ID);
    struct bp_pci_function *f;

    if (!pci)
        return host->fail(node, -ENODEV, "this machine has no PCI");
    *out = node;
    return pci->function_new(node, ((const struct everything_config *)config)->pci, 0, &identity,
                             NULL, NULL, &f);
}

static void lone_destroy(void *self)
{
    (void)self;
}

static void no_reset(void *self, uint32_t kind)
{
    (void)self, (void)kind;
}

static const struct bp_instance_ops lone_ops = {
    .size = sizeof(lone_ops), .create = lone_create, .destroy = lone_destroy, .reset = no_reset};

/* ---- ticker ---- */

struct ticker_config {
    uint16_t port;
};

struct ticker {
    const struct bp_host *host;
    struct bp_node *node;
    uint32_t timers, watches;
    int fd;
};

static uint64_t ticker_read(void *self, uint64_t offset, uint32_t width)
{
    struct ticker *t = self;

    (void)offset, (void)width;
    return t->timers < t->watches ? t->timers : t->watches;
}

static void ticker_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct ticker *t = self;

    (void)offset, (void)value, (void)width;
    t->timers = t->watches = 0;
}

static const struct bp_region_ops ticker_region = {
    .size = sizeof(ticker_region),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "count",
    .read = ticker_read,
    .write = ticker_write,
};

static void say_thread(struct ticker *t, const char *what)
{
    char text[64];

    snprintf(text, sizeof(text), "%s on %ld", what, (long)syscall(SYS_gettid));
    t->host->log(t->node, BP_LOG_WARN, text);
}

static void ticker_timer(void *self, uint32_t id)
{
    struct ticker *t = self;
    uint64_t one = 1;

    (void)id;
    if (!t->timers++)
        say_thread(t, "timer");
    if (write(t->fd, &one, sizeof(one)) < 0)
        t->host->log(t->node, BP_LOG_ERROR, "the eventfd is full");
    t->host->timer_set(t->node, 0, t->host->clock_ns(t->node) + 1000000);
}

static void ticker_ready(void *self, int fd, uint32_t events)
{
    struct ticker *t = self;
    uint64_t count;

    (void)events;
    if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) && !t->watches++)
        say_thread(t, "watch");
}

static void ticker_reset(void *self, uint32_t kind)
{
    (void)kind;
    ticker_write(self, 0, 0, 4);
}

static int ticker_start(void *self)
{
    struct ticker *t = self;

    return t->host->timer_set(t->node, 0, 0);
}

static void ticker_destroy(void *self)
{
    struct ticker *t = self;

    t->host->fd_watch(t->node, t->fd, 0, NULL, NULL);
    close(t->fd);
    free(t);
}

static int ticker_create(const struct bp_host *host, struct bp_node *node, const void *config,
                         void **out)
{
    struct ticker *t = calloc(1, sizeof(*t));
    struct bp_region *region;

    if (!t)
        return host->fail(node, -ENOMEM, "out of memory");
    *t = (struct ticker){.host = host, .node = node, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    int err = host->region_new(node, BP_SPACE_PIO, 4, &ticker_region, t, &region);
    if (!err)
        err = host->region_place(region, ((const struct ticker_config *)config)->port);
    if (!err)
        err = host->fd_watch(node, t->fd, BP_FD_READ, ticker_ready, t);
    if (err) {
        close(t->fd);
        free(t);
        return err;
    }
    *out = t;
    return 0;
}

static const struct bp_instance_ops ticker_ops = {
    .size = sizeof(ticker_ops),
    .create = ticker_create,
    .destroy = ticker_destroy,
    .reset = ticker_reset,
    .start = ticker_start,
    .timer = ticker_timer,
};

static const struct bp_prop ticker_props[] = {
    {.name = "port",
     .help = "first of 4 ports",
     .type = BP_PROP_UINT,
     .flags = BP_PROP_REQUIRED,
     .claim = BP_CLAIM_PIO,
     .claim_length = 4,
     BP_PROP_AT(struct ticker_config, port)},
    {0},
};

static const struct bp_model ticker = {
    .size = sizeof(ticker),
    .kind = BP_KIND_DEVICE,
    .id = "ticker",
    .summary = "a device that may have a thread of its own",
    .props = ticker_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct ticker_config),
    .flags = BP_MODEL_THREAD,
    .instance = &ticker_ops,
};

static const struct bp_prop props[] = {
    {.name = "pci",
     .help = "its place on the PCI bus",
     .type = BP_PROP_PCI,
     BP_PROP_AT(struct everything_config, pci)},
    {0},
};

static const struct bp_model everything = {
    .size = sizeof(everything),
    .kind = BP_KIND_DEVICE,
    .id = "everything",
    .summary = "PCI functions with all that there is",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct everything_config),
    .instance = &everything_ops,
};

static const struct bp_model lone = {
    .size = sizeof(lone),
    .kind = BP_KIND_DEVICE,
    .id = "lone",
    .summary = "a PCI function without anything",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct everything_config),
    .instance = &lone_ops,
};

static const struct bp_model *const models[] = {&everything, &lone, &ticker, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .name = "pci-parts",
    .version = "1.0.0",
    .models = models,
};
