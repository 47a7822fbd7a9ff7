/* @NAME@ - a block backend that is a disk of memory: empty at first, and gone when the machine
 * ends.
 *
 * Requests are done on the loop, from a timer: none completes before submit() has returned.
 */
#include <backplane/block.h>
#include <backplane/plugin.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define TIMER 0u

/* What the machine file says; `props` below names the members. */
struct config {
    uint64_t size;
};

struct disk {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_block_port *port; /* the device's side, once it is attached */
    void *port_self;
    uint8_t *data;
    uint64_t size;
    struct bp_block_request **pending; /* `count` of them; room for `capacity` */
    uint32_t count, capacity;
};

static int attach(void *self, const struct bp_block_port *port, void *port_self)
{
    struct disk *d = self;

    if (d->port)
        return -EBUSY;
    d->port = port;
    d->port_self = port_self;
    return 0;
}

static void info(void *self, struct bp_block_info *out)
{
    const struct disk *d = self;

    out->flags = BP_BLOCK_CAN_ZERO;
    out->length = d->size;
    out->sector_size = SECTOR;
    out->optimal_size = 4096;
    out->max_iovecs = 256;
    out->max_discard = 0;
}

/* The device may have asked for anything. */
static int do_one(struct disk *d, const struct bp_block_request *r)
{
    uint64_t left = r->length;
    uint8_t *at;

    if (r->type == BP_BLOCK_FLUSH)
        return 0;
    if (r->offset % SECTOR || r->length % SECTOR || r->offset > d->size ||
        r->length > d->size - r->offset)
        return -EINVAL;
    at = d->data + r->offset;
    if (r->type == BP_BLOCK_WRITE_ZEROES) {
        memset(at, 0, r->length);
        return 0;
    }
    if (r->type != BP_BLOCK_READ && r->type != BP_BLOCK_WRITE)
        return r->type == BP_BLOCK_DISCARD ? 0 : -EINVAL;
    for (uint32_t i = 0; i < r->niovecs; i++) {
        uint64_t len = r->iovecs[i].len;

        if (len > left)
            return -EINVAL;
        if (len && r->type == BP_BLOCK_READ)
            memcpy(r->iovecs[i].data, at, len);
        else if (len)
            memcpy(at, r->iovecs[i].data, len);
        at += len;
        left -= len;
    }
    return left ? -EINVAL : 0;
}

/* Does all that waits, in order. complete() may bring new requests. */
static void drain(void *self)
{
    struct disk *d = self;

    for (uint32_t i = 0; i < d->count; i++) {
        struct bp_block_request *r = d->pending[i];

        d->port->complete(d->port_self, r, do_one(d, r));
    }
    d->count = 0;
}

static void submit(void *self, struct bp_block_request *const *requests, uint32_t count)
{
    struct disk *d = self;

    if (count > d->capacity - d->count) {
        uint32_t capacity = 2 * (d->count + count);
        struct bp_block_request **pending = realloc(d->pending, capacity * sizeof(*pending));

        if (!pending) {
            d->host->log(d->node, BP_LOG_ERROR, "out of memory: requests are lost");
            return;
        }
        d->pending = pending;
        d->capacity = capacity;
    }
    memcpy(d->pending + d->count, requests, count * sizeof(*requests));
    d->count += count;
    d->host->timer_set(d->node, TIMER, 0);
}

static const struct bp_block block_ops = {.size = sizeof(struct bp_block),
                                          .attach = attach,
                                          .info = info,
                                          .submit = submit,
                                          .drain = drain};

static void timer(void *self, uint32_t id)
{
    (void)id;
    drain(self);
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct config *c = config;
    struct disk *d = calloc(1, sizeof(*d));

    if (d)
        d->data = calloc(1, c->size);
    if (!d || !d->data) {
        free(d);
        return host->fail(node, -ENOMEM, "there is not so much memory; choose a smaller `size`");
    }
    d->host = host;
    d->node = node;
    d->size = c->size - c->size % SECTOR;
    *self = d;
    return 0;
}

static void destroy(void *self)
{
    struct disk *d = self;

    free(d->pending);
    free(d->data);
    free(d);
}

/* A disk keeps what is on it. */
static void reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind;
}

static const void *extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_BLOCK_ID) == 0 ? &block_ops : NULL;
}

static const struct bp_instance_ops instance = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .timer = timer,
    .extension = extension,
};

/* The keys of a machine file. */
static const struct bp_prop props[] = {
    {.name = "size",
     .help = "of the disk",
     .initial = "16M",
     .type = BP_PROP_SIZE,
     .min = 1048576,
     .max = 1073741824,
     BP_PROP_AT(struct config, size)},
    {.name = NULL},
};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_BLOCK,
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
