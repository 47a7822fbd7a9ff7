/* @NAME@ - a network of one: every frame comes back to the NIC that sent it, with the two addresses
 * exchanged.
 *
 * Neither side of a link calls back from inside a call of the other: frames go up from a timer.
 */
#include <backplane/net.h>
#include <backplane/plugin.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 32u
#define FRAME_MAX 1518u
#define ADDRESS 6u
#define TIMER 0u

struct frame {
    uint32_t length;
    uint8_t data[FRAME_MAX];
};

struct mirror {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_net_port *port; /* the NIC's side, once it is attached */
    void *port_self;
    struct frame frames[FRAMES]; /* on their way back */
    uint32_t head, count;
    uint8_t held; /* the NIC had no buffer */
    uint8_t owes; /* send() took less than it was given */
};

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct mirror *m = self;

    if (m->port)
        return -EBUSY;
    m->port = port;
    m->port_self = port_self;
    return 0;
}

/* Copies what the buffers hold; 0 for a frame that no wire would carry. */
static uint32_t gather(const struct bp_frame *frame, uint8_t *to)
{
    uint64_t length = 0;

    for (uint32_t i = 0; i < frame->nbufs; i++) {
        if (frame->bufs[i].len > FRAME_MAX - length)
            return 0;
        if (frame->bufs[i].len)
            memcpy(to + length, frame->bufs[i].data, frame->bufs[i].len);
        length += frame->bufs[i].len;
    }
    return length < 2 * ADDRESS + 2 ? 0 : (uint32_t)length;
}

static uint32_t send_(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct mirror *m = self;
    uint8_t address[ADDRESS];
    uint32_t n;

    (void)queue;
    for (n = 0; n < count && m->count < FRAMES; n++) {
        struct frame *f = &m->frames[(m->head + m->count) % FRAMES];

        f->length = gather(&frames[n], f->data);
        if (!f->length)
            continue; /* the wire drops it, which counts as taken */
        memcpy(address, f->data, ADDRESS);
        memcpy(f->data, f->data + ADDRESS, ADDRESS);
        memcpy(f->data + ADDRESS, address, ADDRESS);
        m->count++;
    }
    m->owes |= n < count;
    m->host->timer_set(m->node, TIMER, 0);
    return n;
}

/* The NIC has buffers again. */
static void resume(void *self, uint32_t queue)
{
    struct mirror *m = self;

    (void)queue;
    m->held = 0;
    m->host->timer_set(m->node, TIMER, 0);
}

static const struct bp_net net_ops = {
    .size = sizeof(struct bp_net), .attach = attach, .send = send_, .resume = resume};

static void timer(void *self, uint32_t id)
{
    struct mirror *m = self;

    (void)id;
    while (m->port && !m->held && m->count) {
        struct frame *f = &m->frames[m->head];
        const struct bp_buf buf = {f->data, f->length};
        const struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};

        if (m->port->receive(m->port_self, 0, &frame) == -EAGAIN) {
            m->held = 1; /* it is kept until resume() */
            break;
        }
        m->head = (m->head + 1) % FRAMES;
        m->count--;
    }
    if (m->port && m->owes && m->count < FRAMES) {
        m->owes = 0;
        m->port->sent(m->port_self, 0);
    }
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    struct mirror *m = calloc(1, sizeof(*m));

    (void)config;
    if (!m)
        return host->fail(node, -ENOMEM, "no memory for a mirror");
    m->host = host;
    m->node = node;
    *self = m;
    return 0;
}

static void destroy(void *self)
{
    free(self);
}

/* A reset of the guest is nothing to the network. */
static void reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind;
}

static const void *extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &net_ops : NULL;
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

static const struct bp_prop props[] = {{.name = NULL}};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_NET,
    .id = "@ID@",
    .summary = "@SUMMARY@",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = 0,
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
