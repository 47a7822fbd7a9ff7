/* SPDX-License-Identifier: MIT
 *
 * Plugins and hosts of different minor versions together: a device and a character backend, each
 * compiled with headers of one age, are loaded, created, joined and used by a host compiled with
 * headers of another.
 *
 * Built once for each kind of host and run once for each folder of plugins (ABI_PLUGINS).
 * What is not shown: CPU backends, and the kinds whose interfaces the two plugins do not use; their
 * tables go through the same code.
 */
#include "exchange.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TIMERS 8
#define ROUNDS 16

/* One instance, and everything it has of its host. */
struct bp_node {
    struct part part;
    void *self, *config;
    struct bp_region_ops region;
    void *region_self;
    uint64_t region_base;
    uint64_t timers[TIMERS]; /* UINT64_MAX: not armed */
    uint32_t irq_level, reserved;
    /* link() gives these to the two sides */
    struct bp_char chr;
    struct bp_char_port port;
    char failure[256];
};

static uint64_t now_ns; /* of this test program; it has one thread */

static void host_log(struct bp_node *node, uint32_t level, const char *text)
{
    (void)node;
    (void)level;
    (void)text;
}

static int host_fail(struct bp_node *node, int err, const char *text)
{
    snprintf(node->failure, sizeof(node->failure), "%s", text);
    return err;
}

static const char *host_name(struct bp_node *node)
{
    (void)node;
    return "part";
}

static const void *host_extension(struct bp_node *node, const char *id)
{
    (void)node;
    (void)id;
    return NULL;
}

static int host_link(struct bp_node *node, struct bp_node *ref, const char *id, const void *port,
                     void *port_self, struct bp_peer *out)
{
    const void *ops = ref->part.ops.extension(ref->self, id);

    if (!ops)
        return -ENOENT;
    if (exchange_table(id, 0, &node->chr, ops) || exchange_table(id, 1, &node->port, port))
        return -EINVAL;
    out->ops = &node->chr;
    out->self = ref->self;
    return node->chr.attach(ref->self, &node->port, port_self);
}

static void host_request(struct bp_node *node, uint32_t what, uint32_t code)
{
    (void)node;
    (void)what;
    (void)code;
}

static int host_region_new(struct bp_node *node, uint32_t space, uint64_t length,
                           const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    uint32_t size = ops->size < sizeof(node->region) ? ops->size : sizeof(node->region);

    (void)space;
    (void)length;
    memcpy(&node->region, ops, size);
    node->region_self = self;
    *out = (struct bp_region *)node;
    return 0;
}

static int host_region_place(struct bp_region *region, uint64_t base)
{
    ((struct bp_node *)region)->region_base = base;
    return 0;
}

static void host_irq_set(struct bp_node *node, uint32_t line, uint32_t level)
{
    (void)line;
    node->irq_level = level;
}

static uint64_t host_clock_ns(struct bp_node *node)
{
    (void)node;
    return now_ns;
}

static int host_timer_set(struct bp_node *node, uint32_t id, uint64_t when_ns)
{
    assert_true(id < TIMERS);
    node->timers[id] = when_ns;
    return 0;
}

static const struct bp_host host = {
    .size = sizeof(host),
    .abi_minor = BP_ABI_MINOR,
    .log = host_log,
    .fail = host_fail,
    .name = host_name,
    .extension = host_extension,
    .link = host_link,
    .request = host_request,
    .region_new = host_region_new,
    .region_place = host_region_place,
    .irq_set = host_irq_set,
    .clock_ns = host_clock_ns,
    .utc_ns = host_clock_ns,
    .timer_set = host_timer_set,
};

/* ---- the machine ---------------------------------------------------------------------------- */

static const char *plugin_path(const char *file)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/%s.so", getenv("ABI_PLUGINS"), file);
    return path;
}

/* BP_ABI_MINOR of the plugins under test. */
static uint32_t plugin_minor(void)
{
    void *handle = dlopen(plugin_path("fake-parts"), RTLD_NOW | RTLD_LOCAL);
    const struct bp_plugin *plugin = handle ? dlsym(handle, "bp_plugin_v0") : NULL;
    uint32_t minor;

    if (!plugin) {
        fail_msg("%s cannot be loaded", plugin_path("fake-parts"));
        return 0;
    }
    minor = plugin->abi_minor;
    dlclose(handle);
    return minor;
}

/* Fills the config struct from the defaults; every REF names `ref`. */
static void fill_config(struct bp_node *node, struct bp_node *ref)
{
    node->config = calloc(1, node->part.config_size + 1);
    assert_non_null(node->config);
    for (uint32_t i = 0; i < node->part.prop_count; i++) {
        const struct bp_prop *p = &node->part.props[i];
        char *at = (char *)node->config + p->offset;
        uint64_t value = p->initial ? strtoull(p->initial, NULL, 0) : 0;

        assert_true(p->offset + p->width <= node->part.config_size);
        if (p->type == BP_PROP_REF)
            memcpy(at, &ref, sizeof(void *));
        else if (p->type == BP_PROP_UINT)
            memcpy(at, &value, p->width);
    }
}

static struct bp_node *create(const char *file, const char *model, struct bp_node *ref)
{
    struct bp_node *node = calloc(1, sizeof(*node));
    char why[1024];

    assert_non_null(node);
    memset(node->timers, 0xff, sizeof(node->timers));
    if (exchange_open(plugin_path(file), model, &node->part, why))
        fail_msg("%s", why);
    fill_config(node, ref);
    if (node->part.ops.create(&host, node, node->config, &node->self))
        fail_msg("%s", node->failure);
    node->part.ops.reset(node->self, BP_RESET_COLD);
    assert_int_equal(node->part.ops.start(node->self), 0);
    return node;
}

static void destroy(struct bp_node *node)
{
    node->part.ops.stop(node->self);
    node->part.ops.destroy(node->self);
    free(node->config);
    free(node);
}

/* Runs both instances' timers until nothing is armed, a bounded number of times. */
static void settle(struct bp_node *a, struct bp_node *b)
{
    struct bp_node *nodes[] = {a, b};

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < 2; i++) {
            for (uint32_t id = 0; id < TIMERS; id++) {
                uint64_t when = nodes[i]->timers[id];

                if (when == UINT64_MAX)
                    continue;
                if (when > now_ns)
                    now_ns = when;
                nodes[i]->timers[id] = UINT64_MAX;
                nodes[i]->part.ops.timer(nodes[i]->self, id);
            }
        }
    }
}

static uint64_t in(struct bp_node *node, uint64_t offset)
{
    return node->region.read(node->region_self, offset, 1);
}

static void out(struct bp_node *node, uint64_t offset, uint64_t value)
{
    node->region.write(node->region_self, offset, value, 1);
}

static int tear_down(void **state)
{
    (void)state;
    exchange_close();
    return 0;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void device_and_backend_talk(void **state)
{
    struct bp_node *echo = create("fake-parts", "echo", NULL);
    struct bp_node *user = create("fake-parts", "user", echo);

    (void)state;
    assert_int_equal(user->region_base, 0xd0000000);
    settle(echo, user);
    assert_int_equal(in(user, 0), 'O');
    assert_int_equal(user->irq_level, 1);
    out(user, 0, 'x');
    settle(echo, user);
    assert_int_equal(in(user, 0), 'X');
    destroy(user);
    destroy(echo);
}

static void uart_sends_and_receives(void **state)
{
    struct bp_node *echo = create("fake-parts", "echo", NULL);
    struct bp_node *uart = create("dev-uart", "16550a", echo);

    (void)state;
    assert_int_equal(uart->region_base, 0x3f8);
    settle(echo, uart);
    assert_int_equal(in(uart, 5) & 1, 0); /* LSR: no data */
    out(uart, 0, 'u');
    settle(echo, uart);
    assert_int_equal(in(uart, 5) & 1, 1); /* LSR: data ready */
    assert_int_equal(in(uart, 0), 'U');
    destroy(uart);
    destroy(echo);
}

static void tables_have_the_size_of_this_host(void **state)
{
    struct bp_node *echo = create("fake-parts", "echo", NULL);

    (void)state;
    assert_int_equal(echo->part.ops.size, sizeof(struct bp_instance_ops));
    destroy(echo);
}

#ifdef BP_FUTURE
static void appended_member_is_there_for_new_plugins_only(void **state)
{
    struct bp_node *echo = create("fake-parts", "echo", NULL);
    struct bp_node *user = create("fake-parts", "user", echo);

    (void)state;
    if (plugin_minor() == BP_ABI_MINOR) {
        assert_non_null(echo->part.ops.future);
        assert_non_null(user->chr.future);
        assert_non_null(user->port.future);
        assert_non_null(user->region.future);
        user->chr.future();
    } else {
        assert_null(echo->part.ops.future);
        assert_null(user->chr.future);
        assert_null(user->port.future);
        assert_null(user->region.future);
    }
    destroy(user);
    destroy(echo);
}
#endif

static void plugin_that_needs_this_minor_is_taken_and_a_newer_one_refused(void **state)
{
    uint32_t minor = plugin_minor();
    struct part part;
    char why[1024], text[8192];
    int err = exchange_open(plugin_path("bad-needs-its-minor"), "model", &part, why);

    (void)state;
    if (minor <= BP_ABI_MINOR) {
        assert_int_equal(err, 0);
        return;
    }
    assert_int_equal(err, -ENOTSUP);
#ifdef OLD_HOST
    snprintf(text, sizeof(text), "%s: it needs minor %u", plugin_path("bad-needs-its-minor"),
             minor);
#else
    snprintf(
        text, sizeof(text),
        "%s: it needs ABI %u.%u or newer, this host has %u.%u; update Backplane, or use an older "
        "version of the plugin",
        plugin_path("bad-needs-its-minor"), BP_ABI_MAJOR, minor, BP_ABI_MAJOR, BP_ABI_MINOR);
#endif
    assert_string_equal(why, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(device_and_backend_talk, tear_down),
        cmocka_unit_test_teardown(uart_sends_and_receives, tear_down),
        cmocka_unit_test_teardown(tables_have_the_size_of_this_host, tear_down),
#ifdef BP_FUTURE
        cmocka_unit_test_teardown(appended_member_is_there_for_new_plugins_only, tear_down),
#endif
        cmocka_unit_test_teardown(plugin_that_needs_this_minor_is_taken_and_a_newer_one_refused,
                                  tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
