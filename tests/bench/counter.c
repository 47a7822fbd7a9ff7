/* SPDX-License-Identifier: MIT
 *
 * bench-counter - a device that does nothing but count: one port and one page of registers. It
 * takes the time of the accesses from number `skip` to number `skip` + `count`, prints it and
 * switches the machine off.
 *
 *     EXIT access=pio who=backplane n=20000 cpu_ns=812.3 wall_ns=815.0
 *     START process_us=2100       cpu time of the process up to the first access
 *
 * cpu_ns is the cpu time of the thread that accesses, a vCPU's. Not a model of anything: for
 * tests/bench only.
 */
#include <backplane/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct counter_config {
    uint16_t port;
    uint64_t address;
    uint64_t skip, count;
};

struct counter {
    const struct bp_host *host;
    struct bp_node *node;
    const struct counter_config *config;
    uint64_t seen;
    double cpu_ns, wall_ns; /* when number `skip` came */
};

static double clock_ns_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void count(struct counter *c, const char *access)
{
    uint64_t n = c->seen++;

    if (n == 0)
        printf("START process_us=%.0f\n", clock_ns_of(CLOCK_PROCESS_CPUTIME_ID) / 1e3);
    if (n == c->config->skip) {
        c->wall_ns = clock_ns_of(CLOCK_MONOTONIC);
        c->cpu_ns = clock_ns_of(CLOCK_THREAD_CPUTIME_ID);
    }
    if (n == c->config->skip + c->config->count) {
        double each = (double)c->config->count;

        printf("EXIT access=%s who=backplane n=%.0f cpu_ns=%.1f wall_ns=%.1f\n", access, each,
               (clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - c->cpu_ns) / each,
               (clock_ns_of(CLOCK_MONOTONIC) - c->wall_ns) / each);
        fflush(stdout);
        c->host->request(c->node, BP_REQUEST_POWER_OFF, 0);
    }
}

static uint64_t pio_read(void *self, uint64_t offset, uint32_t width)
{
    (void)offset;
    (void)width;
    count(self, "pio");
    return 0;
}

static void pio_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)value;
    pio_read(self, offset, width);
}

static uint64_t mmio_read(void *self, uint64_t offset, uint32_t width)
{
    (void)offset;
    (void)width;
    count(self, "mmio");
    return 0;
}

static void mmio_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)value;
    mmio_read(self, offset, width);
}

static const struct bp_region_ops port_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 1,
    .name = "port",
    .read = pio_read,
    .write = pio_write,
};

static const struct bp_region_ops page_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 1,
    .name = "page",
    .read = mmio_read,
    .write = mmio_write,
};

static int counter_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    const struct counter_config *k = config;
    struct bp_region *port, *page;
    struct counter *c = calloc(1, sizeof(*c));
    int e;

    if (!c)
        return host->fail(node, -12, "no memory for the counter");
    *c = (struct counter){.host = host, .node = node, .config = k};
    e = host->region_new(node, BP_SPACE_PIO, 1, &port_ops, c, &port);
    if (!e)
        e = host->region_new(node, BP_SPACE_MMIO, 4096, &page_ops, c, &page);
    if (!e)
        e = host->region_place(port, k->port);
    if (!e)
        e = host->region_place(page, k->address);
    if (e) {
        free(c);
        return host->fail(node, e, "the counter's port or page cannot be placed");
    }
    *self = c;
    return 0;
}

static void counter_reset(void *self, uint32_t kind)
{
    struct counter *c = self;

    (void)kind;
    c->seen = 0;
}

static const struct bp_field no_fields[] = {{0}};

static const struct bp_instance_ops counter_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = no_fields,
    .field_stride = sizeof(struct bp_field),
    .create = counter_create,
    .destroy = free,
    .reset = counter_reset,
};

static const struct bp_prop counter_props[] = {
    {.name = "port",
     .help = "port that counts",
     .initial = "0x5000",
     .type = BP_PROP_UINT,
     .claim = BP_CLAIM_PIO,
     .claim_length = 1,
     BP_PROP_AT(struct counter_config, port)},
    {.name = "address",
     .help = "guest-physical address of the page that counts",
     .initial = "0xd0000000",
     .type = BP_PROP_UINT,
     .claim = BP_CLAIM_MMIO,
     .claim_length = 4096,
     BP_PROP_AT(struct counter_config, address)},
    {.name = "skip",
     .help = "accesses before the time is taken",
     .initial = "100",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct counter_config, skip)},
    {.name = "count",
     .help = "accesses that are timed; then the machine is switched off",
     .initial = "1000",
     .type = BP_PROP_UINT,
     .min = 1,
     .max = 1000000000,
     BP_PROP_AT(struct counter_config, count)},
    {0},
};

static const struct bp_model counter_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "counter",
    .summary = "counts accesses and takes their time, for tests/bench",
    .props = counter_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct counter_config),
    .instance = &counter_ops,
};

static const struct bp_model *const models[] = {&counter_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "bench-counter",
    .version = "0.1.0",
    .models = models,
};
