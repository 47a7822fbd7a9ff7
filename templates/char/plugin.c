/* @NAME@ - a char backend that is a secretary: what the guest writes it puts into the log, line by
 * line, and answers each line with a number.
 *
 * Neither side of a link calls back from inside a call of the other: answers go up from a timer.
 */
#include <backplane/char.h>
#include <backplane/plugin.h>
#include <backplane/util/fifo.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE 128u
#define ANSWERS 256u
#define TIMER 0u

struct secretary {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_char_port *port; /* the device's side, once it is attached */
    void *port_self;
    char line[LINE + 1];
    uint32_t length, lines;
    uint8_t answers[ANSWERS]; /* input for the device, which waits */
    struct bp_fifo fifo;      /* of these */
    uint8_t held;             /* the device took less than it was given */
};

static int attach(void *self, const struct bp_char_port *port, void *port_self)
{
    struct secretary *s = self;

    if (s->port)
        return -EBUSY;
    s->port = port;
    s->port_self = port_self;
    return 0;
}

static void line_is_whole(struct secretary *s)
{
    char answer[32];
    int n;

    s->line[s->length] = '\0';
    if (s->length)
        bp_logf(s->host, s->node, BP_LOG_INFO, "line %u: %s", ++s->lines, s->line);
    s->length = 0;
    n = snprintf(answer, sizeof(answer), "%u\n", s->lines);
    for (int i = 0; i < n; i++)
        bp_fifo_push(&s->fifo, (uint8_t)answer[i]); /* what does not fit is lost */
    s->host->timer_set(s->node, TIMER, 0);
}

static uint64_t write_(void *self, const uint8_t *data, uint64_t len)
{
    struct secretary *s = self;

    for (uint64_t i = 0; i < len; i++) {
        if (data[i] == '\n' || s->length == LINE)
            line_is_whole(s);
        if (data[i] >= 0x20 && data[i] < 0x7f)
            s->line[s->length++] = (char)data[i];
    }
    return len; /* all of it is taken, always */
}

/* The device has room for input again. */
static void resume(void *self)
{
    struct secretary *s = self;

    s->held = 0;
    s->host->timer_set(s->node, TIMER, 0);
}

static const struct bp_char char_ops = {
    .size = sizeof(struct bp_char), .attach = attach, .write = write_, .resume = resume};

static void timer(void *self, uint32_t id)
{
    struct secretary *s = self;

    (void)id;
    while (s->port && !s->held && s->fifo.count) {
        uint32_t len;
        const uint8_t *data = bp_fifo_peek(&s->fifo, &len);
        uint64_t taken = s->port->receive(s->port_self, data, len);

        bp_fifo_drop(&s->fifo, (uint32_t)taken);
        s->held = taken < len; /* until resume() */
    }
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    struct secretary *s = calloc(1, sizeof(*s));

    (void)config;
    if (!s)
        return host->fail(node, -ENOMEM, "no memory for a secretary");
    s->host = host;
    s->node = node;
    s->fifo = (struct bp_fifo){.data = s->answers, .capacity = ANSWERS};
    *self = s;
    return 0;
}

static void destroy(void *self)
{
    free(self);
}

/* A reset of the guest is nothing to whoever is at the other end of its serial line. */
static void reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind;
}

static const void *extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_CHAR_ID) == 0 ? &char_ops : NULL;
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
    .kind = BP_KIND_CHAR,
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
