/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/service_fake.c - for tests. A service that asks for a pause, looks at the machine
 * while it stands, lets it go on, and, if all was as expected, ends it. And a device that maps
 * guest RAM a second time, as another process would, and leaves at 0x9000 its length in MiB for the
 * guest.
 */
#include <backplane/ext/memory.h>
#include <backplane/ext/x86.h>
#include <backplane/plugin.h>
#include <backplane/service.h>
#include <backplane/util/le.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LOOK_NS 1000000u /* after the start, and after each look in vain */

struct service_config {
    uint64_t expect; /* rax of vCPU 0 while the machine stands */
    uint8_t fail_start;
};

struct service {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_machine_control *control;
    uint64_t expect;
    uint32_t looked;
    uint8_t fail_start;
};

/* What a service can see of a machine that stands. */
static int as_expected(struct service *s)
{
    struct bp_x86_gpr gpr;
    struct bp_instance_info info = {.size = sizeof(info)};
    uint64_t mark = 0x1122334455667788, back = 0;

    return !s->control->regs_get(s->node, 0, BP_X86_GPR, &gpr, sizeof(gpr)) &&
           gpr.rax == s->expect && s->control->regs_get(s->node, 1, BP_X86_GPR, &gpr, 0) < 0 &&
           !s->control->instance(s->node, 0, &info) && info.name &&
           s->control->instance(s->node, 1000, &info) == -ENOENT &&
           s->control->vcpus(s->node) == 1 &&
           !s->control->write(s->node, 0x9000, &mark, sizeof(mark)) &&
           !s->control->read(s->node, 0x9000, &back, sizeof(back)) && back == mark &&
           s->control->read(s->node, UINT64_MAX, &back, 1) == -EFAULT;
}

static void changed(void *self, uint32_t state)
{
    struct service *s = self;

    if (state == BP_MACHINE_PAUSED) {
        s->looked = as_expected(s) != 0;
        s->control->resume(s->node);
    } else if (state == BP_MACHINE_RUNNING && s->looked) {
        s->control->stop(s->node);
    } else if (state == BP_MACHINE_RUNNING) {
        /* The guest had not come that far. */
        s->host->timer_set(s->node, 0, s->host->clock_ns(s->node) + LOOK_NS);
    }
}

static void timer(void *self, uint32_t id)
{
    struct service *s = self;
    struct bp_x86_gpr gpr;
    (void)id;

    /* Registers are not to be had while it runs. */
    if (s->control->regs_get(s->node, 0, BP_X86_GPR, &gpr, sizeof(gpr)) == -EBUSY)
        s->control->pause(s->node);
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct service_config *c = config;
    struct service *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->host = host;
    s->node = node;
    s->expect = c->expect;
    s->fail_start = c->fail_start;
    s->control = host->extension(node, BP_MACHINE_CONTROL_ID);
    if (!s->control) {
        free(s);
        return host->fail(node, -ENOTSUP, "the host offers no machine control");
    }
    s->control->subscribe(node, changed, s);
    host->timer_set(node, 0, LOOK_NS);
    *self = s;
    return 0;
}

static void reset(void *self, uint32_t kind)
{
    (void)self, (void)kind;
}

static int start(void *self)
{
    const struct service *s = self;

    return s->fail_start ? s->host->fail(s->node, -EIO, "this service was told to refuse") : 0;
}

static const struct bp_instance_ops ops = {.size = sizeof(ops),
                                           .create = create,
                                           .destroy = free,
                                           .reset = reset,
                                           .start = start,
                                           .timer = timer};

static const struct bp_prop props[] = {
    {.name = "expect",
     .help = "what rax of vCPU 0 shall be",
     .initial = "0",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct service_config, expect)},
    {.name = "fail-start",
     .help = "start() fails",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct service_config, fail_start)},
    {0},
};

static const struct bp_model model = {.size = sizeof(model),
                                      .kind = BP_KIND_SERVICE,
                                      .id = "fake",
                                      .summary = "pauses, looks, lets go on",
                                      .props = props,
                                      .prop_stride = sizeof(struct bp_prop),
                                      .config_size = sizeof(struct service_config),
                                      .instance = &ops};

/* ---- the sharer ------------------------------------------------------------------------------ */

struct sharer {
    uint64_t length;
    uint8_t *ram;
};

static int sharer_create(const struct bp_host *host, struct bp_node *node, const void *config,
                         void **self)
{
    struct bp_memory_range range = {.size = sizeof(range)}, none = range;
    const struct bp_memory *memory = host->extension(node, BP_MEMORY_ID);
    struct sharer *s = calloc(1, sizeof(*s));
    (void)config;

    if (!s)
        return -ENOMEM;
    int fd = memory->fd(node);
    if (fd < 0 || memory->range(node, 0, &range) || memory->range(node, 1, &none) != -ENOENT) {
        free(s);
        return host->fail(node, -ENOTSUP, "guest RAM is not shared, or not one range");
    }
    s->length = range.length;
    s->ram =
        mmap(NULL, range.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)range.fd_offset);
    if (s->ram == MAP_FAILED) {
        free(s);
        return host->fail(node, -ENOMEM, "guest RAM cannot be mapped");
    }
    *self = s;
    return 0;
}

static void sharer_destroy(void *self)
{
    struct sharer *s = self;

    munmap(s->ram, s->length);
    free(s);
}

static void sharer_reset(void *self, uint32_t kind)
{
    struct sharer *s = self;
    (void)kind;

    bp_put_le64(s->ram + 0x9000, s->length >> 20);
}

static const struct bp_instance_ops sharer_ops = {.size = sizeof(sharer_ops),
                                                  .create = sharer_create,
                                                  .destroy = sharer_destroy,
                                                  .reset = sharer_reset};

static const struct bp_prop sharer_props[] = {{0}};

static const struct bp_model sharer_model = {.size = sizeof(sharer_model),
                                             .kind = BP_KIND_DEVICE,
                                             .id = "sharer",
                                             .summary = "maps guest RAM a second time",
                                             .props = sharer_props,
                                             .prop_stride = sizeof(struct bp_prop),
                                             .flags = BP_MODEL_SHARES_RAM,
                                             .instance = &sharer_ops};

static const struct bp_model *const models[] = {&model, &sharer_model, NULL};

const struct bp_plugin bp_plugin_v0 = {.size = sizeof(bp_plugin_v0),
                                       .abi_minor = BP_ABI_MINOR,
                                       .name = "service-fake",
                                       .version = "1",
                                       .models = models};
