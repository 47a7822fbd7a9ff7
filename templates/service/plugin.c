/* @NAME@ - a service that is a chronicle: it writes into the log what becomes of the machine.
 *
 * A service reaches the machine by "bp.machine-control/1", and runs on a loop of its own, never on
 * a vCPU.
 */
#include <backplane/plugin.h>
#include <backplane/service.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>

#define TIMER 0u

/* What the machine file says; `props` below names the members. */
struct config {
    uint32_t every;
};

struct chronicle {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_machine_control *control;
    const struct config *config;
    uint32_t seconds;
};

static void changed(void *self, uint32_t state)
{
    static const char *const names[] = {"built", "running", "paused", "stopped"};
    struct chronicle *c = self;

    bp_logf(c->host, c->node, BP_LOG_INFO, "the machine is %s",
            state < 4 ? names[state] : "elsewhere");
}

static void arm(struct chronicle *c)
{
    c->host->timer_set(c->node, TIMER,
                       c->host->clock_ns(c->node) + c->config->every * UINT64_C(1000000000));
}

/* In guest time: while the machine is paused, none passes. */
static void timer(void *self, uint32_t id)
{
    struct chronicle *c = self;

    (void)id;
    c->seconds += c->config->every;
    bp_logf(c->host, c->node, BP_LOG_INFO, "it has run for %u s", c->seconds);
    arm(c);
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    struct chronicle *c = calloc(1, sizeof(*c));
    int err;

    if (!c)
        return host->fail(node, -ENOMEM, "no memory for a chronicle");
    c->host = host;
    c->node = node;
    c->config = config;
    c->control = host->extension(node, BP_MACHINE_CONTROL_ID);
    err = c->control ? c->control->subscribe(node, changed, c) : -ENOTSUP;
    if (err) {
        free(c);
        return host->fail(node, err, "this host does not tell of its machine");
    }
    *self = c;
    return 0;
}

static void destroy(void *self)
{
    free(self);
}

static void reset(void *self, uint32_t kind)
{
    struct chronicle *c = self;

    (void)kind;
    c->seconds = 0;
}

static int start(void *self)
{
    struct chronicle *c = self;
    struct bp_instance_info info = {.size = sizeof(info)};
    uint32_t count = 0;

    while (!c->control->instance(c->node, count, &info))
        count++;
    bp_logf(c->host, c->node, BP_LOG_INFO, "%u vCPUs and %u instances are about to run",
            c->control->vcpus(c->node), count);
    arm(c);
    return 0;
}

static const struct bp_instance_ops instance = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .start = start,
    .timer = timer,
};

/* The keys of a machine file. */
static const struct bp_prop props[] = {
    {.name = "every",
     .help = "seconds of guest time from entry to entry",
     .initial = "60",
     .type = BP_PROP_UINT,
     .min = 1,
     .max = 86400,
     BP_PROP_AT(struct config, every)},
    {.name = NULL},
};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_SERVICE,
    .id = "@ID@",
    .summary = "@SUMMARY@",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct config),
    .instance = &instance,
};

static const struct bp_model *const models[] = {&model, NULL};

/* The one symbol that Backplane looks for. */
const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "@NAME@",
    .version = "1.0",
    .models = models,
};
