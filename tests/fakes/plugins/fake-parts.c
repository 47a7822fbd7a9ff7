/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/fake-parts.c - a good plugin for the tests of the loader and of the ABI.
 *
 * echo: a character backend that sends back what it is given, upper case, one buffer behind.
 * user: a device with a 16-byte register page that uses a character backend: it says "hello" on
 *       reset and keeps the last byte received at offset 0; a write at 0 sends the byte.
 * half: a device whose create() fails half way, with regions, a timer and a watch already made.
 * types: a device with one key of every type, for what `plugins show` prints.
 */
#include <backplane/plugin.h>
#include <backplane/util/log.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef BP_FUTURE
/* What the generated headers of a later minor append. */
#define FUTURE_MEMBER .future = parts_future,
static void parts_future(void)
{
}
#else
#define FUTURE_MEMBER
#endif

/* ---- echo ----------------------------------------------------------------------------------- */

struct echo {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_char_port *port;
    void *port_self;
    uint8_t held[64];
    uint32_t count;
    uint32_t reserved;
};

static int echo_attach(void *self, const struct bp_char_port *port, void *port_self)
{
    struct echo *e = self;

    if (e->port)
        return -EBUSY;
    e->port = port;
    e->port_self = port_self;
    return 0;
}

static uint64_t echo_write(void *self, const uint8_t *data, uint64_t len)
{
    struct echo *e = self;
    uint64_t n = 0;

    while (n < len && e->count < sizeof(e->held))
        e->held[e->count++] = (uint8_t)toupper(data[n++]);
    /* Not from inside write(): the timer hands it over. */
    e->host->timer_set(e->node, 0, 0);
    return n;
}

static void echo_flush(struct echo *e)
{
    uint64_t taken;

    if (!e->port || !e->count)
        return;
    taken = e->port->receive(e->port_self, e->held, e->count);
    memmove(e->held, e->held + taken, e->count - taken);
    e->count -= (uint32_t)taken;
}

static void echo_timer(void *self, uint32_t id)
{
    (void)id;
    echo_flush(self);
}

static void echo_resume(void *self)
{
    struct echo *e = self;

    e->host->timer_set(e->node, 0, 0);
}

static const struct bp_char echo_char = {.size = sizeof(echo_char),
                                         .attach = echo_attach,
                                         .write = echo_write,
                                         .resume = echo_resume,
                                         FUTURE_MEMBER};

static const void *echo_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_CHAR_ID) == 0 ? &echo_char : NULL;
}

static int echo_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    struct echo *e = calloc(1, sizeof(*e));

    (void)config;
    if (!e)
        return host->fail(node, -ENOMEM, "out of memory");
    e->host = host;
    e->node = node;
    *self = e;
    return 0;
}

static void echo_reset(void *self, uint32_t kind)
{
    struct echo *e = self;

    (void)kind;
    e->count = 0;
}

static const struct bp_field echo_fields[] = {
    BP_ARRAY(struct echo, held, 1), BP_FIELD(struct echo, count, 1), {0}};

static const struct bp_instance_ops echo_ops = {.size = sizeof(echo_ops),
                                                .state_version = 1,
                                                .fields = echo_fields,
                                                .field_stride = sizeof(echo_fields[0]),
                                                .create = echo_create,
                                                .destroy = free,
                                                .reset = echo_reset,
                                                .timer = echo_timer,
                                                .extension = echo_extension,
                                                FUTURE_MEMBER};

static const struct bp_prop no_props[] = {{0}};

static const struct bp_model echo_model = {
    .size = sizeof(echo_model),
    .kind = BP_KIND_CHAR,
    .id = "echo",
    .summary = "sends back what it is given, in capitals",
    .props = no_props,
    .prop_stride = sizeof(no_props[0]),
    .flags = BP_MODEL_SHARED,
    .instance = &echo_ops,
};

/* ---- user ----------------------------------------------------------------------------------- */

struct user_config {
    uint64_t base;
    struct bp_node *chardev;
    uint32_t irq;
    uint32_t reserved;
};

struct user {
    const struct bp_host *host;
    struct bp_node *node;
    struct bp_region *region;
    struct bp_peer peer;
    uint32_t irq;
    uint8_t last;
    uint8_t reserved[3];
};

static uint64_t user_read(void *self, uint64_t offset, uint32_t width)
{
    struct user *u = self;

    (void)width;
    return offset == 0 ? u->last : 0;
}

static void user_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct user *u = self;
    const struct bp_char *c = u->peer.ops;
    uint8_t byte = (uint8_t)value;

    (void)width;
    if (offset == 0 && c)
        c->write(u->peer.self, &byte, 1);
}

static const struct bp_region_ops user_region = {.size = sizeof(user_region),
                                                 .min_access = 1,
                                                 .max_access = 4,
                                                 .name = "registers",
                                                 .read = user_read,
                                                 .write = user_write,
                                                 FUTURE_MEMBER};

static uint64_t user_receive(void *self, const uint8_t *data, uint64_t len)
{
    struct user *u = self;

    if (len)
        u->last = data[len - 1];
    u->host->irq_set(u->node, u->irq, 1);
    return len;
}

static void user_writable(void *self)
{
    (void)self;
}

static const struct bp_char_port user_port = {
    .size = sizeof(user_port), .receive = user_receive, .writable = user_writable, FUTURE_MEMBER};

static int user_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    const struct user_config *c = config;
    struct user *u = calloc(1, sizeof(*u));
    int err;

    if (!u)
        return host->fail(node, -ENOMEM, "out of memory");
    u->host = host;
    u->node = node;
    u->irq = c->irq;
    err = host->region_new(node, BP_SPACE_MMIO, 16, &user_region, u, &u->region);
    if (!err)
        err = host->region_place(u->region, c->base);
    if (!err && c->chardev)
        err = host->link(node, c->chardev, BP_CHAR_ID, &user_port, u, &u->peer);
    if (err) {
        free(u);
        return bp_failf(host, node, err, "the parts of a user cannot be had");
    }
    *self = u;
    return 0;
}

static void user_reset(void *self, uint32_t kind)
{
    struct user *u = self;
    const struct bp_char *c = u->peer.ops;

    (void)kind;
    u->last = 0;
    u->host->irq_set(u->node, u->irq, 0);
    if (c)
        c->write(u->peer.self, (const uint8_t *)"hello", 5);
}

static const struct bp_prop user_props[] = {
    {.name = "base",
     .help = "guest-physical address of the register page",
     .initial = "0xd0000000",
     .type = BP_PROP_UINT,
     .claim = BP_CLAIM_MMIO,
     .claim_length = 16,
     BP_PROP_AT(struct user_config, base)},
    {.name = "irq",
     .help = "interrupt line that a byte raises",
     .initial = "5",
     .max = 23,
     .type = BP_PROP_UINT,
     .claim = BP_CLAIM_IRQ,
     .claim_length = 1,
     BP_PROP_AT(struct user_config, irq)},
    {.name = "chardev",
     .help = "section of the character backend",
     .type = BP_PROP_REF,
     .needs = BP_CHAR_ID,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct user_config, chardev)},
    {0},
};

static const struct bp_instance_ops user_ops = {.size = sizeof(user_ops),
                                                .state_version = 1,
                                                .create = user_create,
                                                .destroy = free,
                                                .reset = user_reset,
                                                FUTURE_MEMBER};

static const struct bp_model user_model = {
    .size = sizeof(user_model),
    .kind = BP_KIND_DEVICE,
    .id = "user",
    .summary = "talks to a character backend",
    .props = user_props,
    .prop_stride = sizeof(user_props[0]),
    .config_size = sizeof(struct user_config),
    .instance = &user_ops,
};

/* ---- half ----------------------------------------------------------------------------------- */

static int half_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    struct bp_region *region;
    struct user *u = calloc(1, sizeof(*u));
    int err;

    (void)config;
    (void)self;
    if (!u)
        return host->fail(node, -ENOMEM, "out of memory");
    err = host->region_new(node, BP_SPACE_MMIO, 16, &user_region, u, &region);
    if (!err)
        err = host->region_place(region, 0xd0000000);
    if (!err)
        err = host->timer_set(node, 0, 1000);
    free(u);
    return host->fail(node, err ? err : -EIO, "half of it is enough");
}

static const struct bp_instance_ops half_ops = {
    .size = sizeof(half_ops),
    .create = half_create,
    .destroy = free,
    .reset = user_reset,
};

static const struct bp_model half_model = {
    .size = sizeof(half_model),
    .kind = BP_KIND_DEVICE,
    .id = "half",
    .summary = "fails half way through create()",
    .props = no_props,
    .prop_stride = sizeof(no_props[0]),
    .instance = &half_ops,
};

/* ---- types ---------------------------------------------------------------------------------- */

struct types_config {
    const char *text, *path, *output;
    struct bp_list list;
    struct bp_node *link;
    uint64_t number, size, window;
    uint32_t choice;
    uint16_t port;
    uint8_t yes;
    uint8_t mac[6];
    uint8_t reserved[3];
};

static const char *const types_choices[] = {"raw", "cooked", NULL};

#define AT(member) BP_PROP_AT(struct types_config, member)

static const struct bp_prop types_props[] = {
    {.name = "yes", .help = "whether", .initial = "no", .type = BP_PROP_BOOL, AT(yes)},
    {.name = "number",
     .help = "how many",
     .initial = "0x10",
     .min = 1,
     .max = 1000000,
     .type = BP_PROP_UINT,
     AT(number)},
    {.name = "size",
     .help = "how large",
     .initial = "4K",
     .min = 4096,
     .max = 1u << 30,
     .type = BP_PROP_SIZE,
     AT(size)},
    {.name = "text",
     .help = "what, \u201cin words\u201d",
     .initial = "",
     .type = BP_PROP_STRING,
     AT(text)},
    {.name = "path",
     .help = "which file",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_REQUIRED,
     AT(path)},
    {.name = "output",
     .help = "where to",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_CREATES,
     AT(output)},
    {.name = "choice",
     .help = "how",
     .initial = "raw",
     .choices = types_choices,
     .type = BP_PROP_ENUM,
     AT(choice)},
    {.name = "mac",
     .help = "hardware address",
     .initial = "52:54:00:12:34:56",
     .type = BP_PROP_MAC,
     AT(mac)},
    {.name = "link", .help = "who", .type = BP_PROP_REF, .needs = BP_NET_ID, AT(link)},
    {.name = "list", .help = "several", .type = BP_PROP_STRING, .flags = BP_PROP_LIST, AT(list)},
    {.name = "port",
     .help = "where among the ports",
     .initial = "0x3f8",
     .max = 0xfff8,
     .type = BP_PROP_UINT,
     .claim = BP_CLAIM_PIO,
     .claim_length = 8,
     AT(port)},
    {.name = "window",
     .help = "where in memory",
     .type = BP_PROP_UINT,
     .flags = BP_PROP_RESERVES,
     .claim = BP_CLAIM_MMIO,
     .claim_length = 4096,
     AT(window)},
    {0},
};

static const struct bp_model types_model = {
    .size = sizeof(types_model),
    .kind = BP_KIND_DEVICE,
    .id = "types",
    .summary = "has a key of every type",
    .props = types_props,
    .prop_stride = sizeof(types_props[0]),
    .config_size = sizeof(struct types_config),
    .instance = &half_ops,
};

/* --------------------------------------------------------------------------------------------- */

static const struct bp_model *const models[] = {&echo_model, &user_model, &half_model, &types_model,
                                                NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .name = "fake-parts",
    .version = "1.2.3",
    .models = models,
};
