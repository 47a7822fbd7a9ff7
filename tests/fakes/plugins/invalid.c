/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/invalid.c - a small device, and what can be wrong with one: each defect that
 * `backplane validate` must find, by a macro of its own, in a plugin that is good otherwise.
 *
 * Registers of 1 to 8 bytes in one page: VALUE at 0 keeps what is written, GO at 8 stores VALUE at
 * the guest-physical address written to it, and sets a timer. With BEHIND_RING it has a ring, too.
 */
#include <backplane/plugin.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE 0u
#define GO 8u
#define PAGE 4096u
#define HISTORY 16u

#ifdef BEHIND_RING_UNTOLD
#define BEHIND_RING
#define HINT(what) 0u
#else
#define HINT(what) (what)
#endif
#define RING 0x10u
#define ENTRIES 0x18u
#define BELL 0x1cu

struct config {
    uint64_t base, level;
};

struct device {
    const struct bp_host *host;
    struct bp_node *node;
    uint64_t value, hidden;
    uint32_t at, stage;
    uint8_t history[HISTORY];
    pthread_t thread;
    uint8_t has_thread;
#ifdef BEHIND_RING
    uint64_t ring;
    uint32_t entries;
#endif
};

#ifdef SHARED_GLOBAL
static uint64_t shared_value;
#endif

#ifdef TAKES_FROM_PROGRAM
extern void *json_object_new_object(void);
#endif

#ifdef OUTSIDE_DOMAIN
static void *call_host(void *self)
{
    struct device *d = self;

    d->host->timer_set(d->node, 0, 1000);
    return NULL;
}
#endif

static void crash(void)
{
    __builtin_trap();
}

static uint64_t device_read(void *self, uint64_t offset, uint32_t width)
{
    struct device *d = self;

    (void)width;
#ifdef CRASH_ON_8
    if (width == 8)
        crash();
#endif
#ifdef HANG_IN_READ
    while (offset == GO) /* NOLINT(bugprone-infinite-loop): that is the fault */
        pause();
#endif
#ifdef SHARED_GLOBAL
    if (offset == VALUE)
        return shared_value;
#endif
    return offset == VALUE ? d->value + d->hidden : 0;
}

static void go(struct device *d, uint64_t gpa)
{
    uint64_t len = 64;

    d->history[d->at] = (uint8_t)gpa;
    d->at = (d->at + 1) % HISTORY;
#if defined(DMA_BEYOND) || defined(DMA_KEEPS)
    uint8_t *to = d->host->dma_map(d->node, gpa, &len, BP_DMA_WRITE);

    if (!to)
        return;
#ifdef DMA_BEYOND
    memset(to, 0xff, 64);
#endif
#ifndef DMA_KEEPS
    d->host->dma_unmap(d->node, to, len);
#endif
#else
    (void)len;
    d->host->dma_write(d->node, gpa, &d->value, sizeof(d->value));
#endif
#ifdef TIMER_STORM
    d->host->timer_set(d->node, 0, 0);
#else
    d->host->timer_set(d->node, 0, d->host->clock_ns(d->node) + 1000000);
#endif
#ifdef OUTSIDE_DOMAIN
    if (!d->has_thread)
        d->has_thread = !pthread_create(&d->thread, NULL, call_host, d);
#endif
}

#ifdef BEHIND_RING
/* Descriptors of 16 bytes: an address, a length, an operation, of which the third cannot be done
 * for more than 256 bytes, though the device says nowhere that it checked. */
static void ring_bell(struct device *d, uint32_t count)
{
    uint8_t data[4096];
    struct {
        uint64_t address;
        uint32_t length, operation;
    } descriptor;

    for (uint32_t i = 0; i < count && i < d->entries; i++) {
        if (d->host->dma_read(d->node, d->ring + 16 * (uint64_t)i, &descriptor, 16) ||
            !descriptor.length || descriptor.length > sizeof(data) ||
            d->host->dma_read(d->node, descriptor.address, data, descriptor.length))
            return;
        if (descriptor.operation == 3 && descriptor.length > 256)
            crash();
    }
}
#endif

static void device_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct device *d = self;

    (void)width;
#ifdef BURIED
    /* One byte, and then another. */
    if (offset == VALUE && width == 1) {
        if (d->stage == 0 && value == 'B')
            d->stage = 1;
        else if (d->stage == 1 && value == 'G')
            crash();
    }
#endif
    if (offset == VALUE) {
        d->value = value;
#ifdef SHARED_GLOBAL
        shared_value = value;
        d->value = 0;
#endif
#if defined(RESET_FORGETS_HIDDEN) || defined(MISSING_FIELD)
        d->hidden = value;
#endif
    } else if (offset == GO) {
        go(d, value);
    }
#ifdef BEHIND_RING
    if (offset == RING && width == 8)
        d->ring = value & ~UINT64_C(15);
    else if (offset == ENTRIES && width == 4)
        d->entries = value <= 256 ? (uint32_t)value : 0;
    else if (offset == BELL && width == 4)
        ring_bell(d, (uint32_t)value);
#endif
}

static const struct bp_register registers[] = {
    {"VALUE", VALUE, 8, BP_REG_RW},
    {"GO", GO, 8, BP_REG_WO},
#ifdef BEHIND_RING
    {"RING", RING, 8, BP_REG_WO | HINT(BP_REG_ADDRESS)},
    {"ENTRIES", ENTRIES, 4, BP_REG_WO | HINT(BP_REG_LENGTH)},
    {"BELL", BELL, 4, BP_REG_WO | HINT(BP_REG_DOORBELL)},
#endif
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops region_ops = {
    .size = sizeof(region_ops),
    .min_access = 1,
    .max_access = 8,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = device_read,
    .write = device_write,
};

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct config *c = config;
    struct bp_region *region;
    struct device *d = calloc(1, sizeof(*d));
    int err;

    if (!d)
        return host->fail(node, -ENOMEM, "out of memory");
#ifdef SILENT
    if (c->level == 9) {
        free(d);
        return -EINVAL;
    }
#endif
#ifdef ENDS_PROGRAM
    if (c->level == 9)
        exit(3);
#endif
#ifdef TAKES_FROM_PROGRAM
    if (c->level == 9)
        json_object_new_object();
#endif
    d->host = host;
    d->node = node;
    err = host->region_new(node, BP_SPACE_MMIO, PAGE, &region_ops, d, &region);
    if (!err)
        err = host->region_place(region, c->base);
    if (err) {
        free(d);
        return host->fail(node, err, "the page cannot be had; choose another `base`");
    }
#ifdef LEAK_MEMORY
    *(void *volatile *)&d->host = malloc(40);
    d->host = host;
#endif
#ifdef LEAK_FD
    if (open("/dev/zero", O_RDONLY | O_CLOEXEC) < 0)
        d->at = 0;
#endif
    *self = d;
    return 0;
}

static void stop(void *self)
{
    struct device *d = self;

#ifndef LEAK_THREAD
    if (d->has_thread)
        pthread_join(d->thread, NULL);
    d->has_thread = 0;
#else
    (void)d;
#endif
}

#ifdef LEAK_THREAD
static void *idle(void *self)
{
    while (self)
        pause();
    return NULL;
}

static int start(void *self)
{
    struct device *d = self;

    if (!d->has_thread)
        d->has_thread = !pthread_create(&d->thread, NULL, idle, d);
    return 0;
}
#else
static int start(void *self)
{
    (void)self;
    return 0;
}
#endif

static void destroy(void *self)
{
    free(self);
}

static void reset(void *self, uint32_t kind)
{
    struct device *d = self;

    (void)kind;
#ifndef RESET_FORGETS
    d->value = 0;
#endif
#ifndef RESET_FORGETS_HIDDEN
    d->hidden = 0;
#endif
    d->at = d->stage = 0;
    memset(d->history, 0, sizeof(d->history));
    d->host->timer_set(d->node, 0, UINT64_MAX);
}

static void timer(void *self, uint32_t id)
{
    struct device *d = self;

    (void)id;
#ifdef TIMER_STORM
    d->host->timer_set(d->node, 0, 0);
#else
    (void)d;
#endif
}

static int save(void *self, struct bp_writer *w)
{
    const struct device *d = self;

    return w->put(w, "history", d->history, sizeof(d->history));
}

static int load(void *self, struct bp_reader *r)
{
    struct device *d = self;
    int64_t len = r->get(r, "history", d->history, sizeof(d->history));

#ifndef TAKES_CUT_STATE
    if (len != (int64_t)sizeof(d->history))
        return d->host->fail(d->node, -EINVAL, "the snapshot's history has another length");
#else
    (void)len;
#endif
    return 0;
}

static int after_load(void *self)
{
    struct device *d = self;

#ifndef TRUSTS_STATE
    if (d->at >= HISTORY || d->stage > 2)
        return d->host->fail(d->node, -EINVAL, "the snapshot's history ends beyond its bounds");
#endif
    d->stage = 0;
    return 0;
}

static const void *extension(void *self, const char *id)
{
    (void)self;
    (void)id;
#ifdef ANY_EXTENSION
    return &region_ops;
#else
    return NULL;
#endif
}

static const struct bp_field fields[] = {
    BP_FIELD(struct device, value, 1),
    BP_FIELD(struct device, at, 1),
    {.name = NULL},
};

static const struct bp_instance_ops ops = {
    .size = sizeof(ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .start = start,
    .stop = stop,
    .timer = timer,
    .save = save,
    .load = load,
    .after_load = after_load,
    .extension = extension,
};

static const struct bp_prop props[] = {
    {.name = "base",
     .help = "guest-physical address of the registers",
     .initial = "0xfe000000",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct config, base)},
    {.name = "level",
     .help = "a number",
     .initial = "1",
     .type = BP_PROP_UINT,
     .min = 1,
     .max = 9,
     BP_PROP_AT(struct config, level)},
    {.name = NULL},
};

static const struct bp_model model = {
    .size = sizeof(model),
    .kind = BP_KIND_DEVICE,
    .id = "device",
    .summary = "a device with a defect",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct config),
    .instance = &ops,
};

static const struct bp_model *const models[] = {&model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .name = "invalid",
    .version = "1.0",
    .models = models,
};

#ifdef TWO_SYMBOLS
BP_EXPORT int helper_of_mine(void);
int helper_of_mine(void)
{
    return 0;
}
#endif

/* What only some of the defects need. */
__attribute__((unused)) static void *unused[] = {(void *)&crash};
