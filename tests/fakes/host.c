/* SPDX-License-Identifier: MIT
 *
 * fakes/host.c - a host for unit tests of plugins: see fakes/host.h.
 *
 * Everything happens on the test's thread, but that a plugin may log on one of its own. The watches
 * are a real epoll instance, so that what epoll refuses (regular files) is refused here too.
 * Plugins are never unloaded: leak checkers need their names. What it does not show: races between
 * vCPU threads, and the conflicts between instances that a machine finds.
 */
#include "fakes/host_private.h"

struct saved {
    char name[64];
    uint8_t *data;
    uint64_t len;
    struct saved *next;
};

struct writer {
    struct bp_writer table;
    struct saved *first;
};

struct reader {
    struct bp_reader table;
    const struct saved *first;
};

static struct fake_host *hosts;
static uint8_t *spare_ram; /* of a host that is gone: new memory costs a fuzzer half of its time */
static struct bp_node *peers; /* reachable, so that leak checkers see no leak */

/* ---- life ---------------------------------------------------------------------------------------
 */

static struct fake_host *host_of(const void *self)
{
    for (struct fake_host *h = hosts; h; h = h->next)
        if (h->self == self)
            return h;
    fake_fail("no instance at %p", self);
}

static int start_instance(void *self)
{
    struct fake_host *h = host_of(self);
    int err;

    if (h->running)
        fake_fail("the test starts what runs");
    err = h->ops.start(self);
    if (!err) {
        h->running = 1;
        h->setting_up = 0;
    }
    return err;
}

static void stop_instance(void *self)
{
    struct fake_host *h = host_of(self);

    if (!h->running)
        return;
    h->running = 0;
    h->setting_up = 1;
    h->ops.stop(self);
}

/* What a test calls through fake_ops(): the fake must know whether the instance runs. */
static void reset_instance(void *self, uint32_t kind)
{
    if (host_of(self)->running)
        fake_fail("the test resets what runs: stop it first");
    fake_pci_reset(host_of(self));
    host_of(self)->ops.reset(self, kind);
}

static const struct bp_model *find_model(const char *path, const char *id)
{
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct bp_plugin *plugin = file ? dlsym(file, "bp_plugin_v0") : NULL;

    if (!plugin)
        fake_fail("%s: %s", path, dlerror());
    check_plugin(plugin, path);
    for (const struct bp_model *const *m = plugin->models; *m; m++)
        if (!id || !strcmp((*m)->id, id))
            return *m;
    fake_fail("%s has no model %s", path, id);
}

/* Gives back what the host owns of an instance. A watch of an fd that is closed was forgotten. */
static void forget(struct fake_host *h)
{
    for (unsigned i = 0; i < WATCHES_MAX; i++)
        if (h->watches[i].events && fcntl(h->watches[i].fd, F_GETFD) < 0)
            fake_fail("fd %d was closed before its watch was removed", h->watches[i].fd);
    for (unsigned i = 0; i < h->region_count; i++)
        if (h->regions[i].ram)
            munmap(h->regions[i].ram, h->regions[i].length);
    fake_pci_free(h);
    close(h->epoll);
    free(spare_ram);
    spare_ram = h->ram;
    free(h);
}

int fake_host_try(const char *path, const char *model, const void *config, struct fake_host **out)
{
    const struct bp_model *m = find_model(path, model);
    struct fake_host *h = calloc(1, sizeof(*h));
    int err;

    assert_non_null(h);
    pthread_mutex_init(&h->log_lock, NULL);
    assert_int_not_equal(m->kind, BP_KIND_CPU);
    h->node.host = h;
    h->model = m;
    h->ops = normal_instance(m->instance);
    h->wrapped = h->ops;
    h->wrapped.start = start_instance;
    h->wrapped.stop = stop_instance;
    h->wrapped.reset = reset_instance;
    h->ram = spare_ram ? spare_ram : malloc(FAKE_RAM_BYTES);
    spare_ram = NULL;
    assert_non_null(h->ram);
    memset(h->ram, 0, FAKE_RAM_BYTES);
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_true(h->epoll >= 0);
    h->utc_ns = 946684800u * UINT64_C(1000000000); /* 2000-01-01 */
    memset(h->timers, 0xff, sizeof(h->timers));
    fake_failure_text[0] = '\0';
    *out = NULL;
    h->setting_up = 1;
    err = h->ops.create(&fake_host_table, &h->node, config, &h->self);
    if (err) {
        if (err > 0 || !fake_failure_text[0])
            fake_fail("create() gave %d and no sentence: it must be a negative errno with one",
                      err);
        forget(h);
        return err;
    }
    assert_non_null(h->self);
    h->next = hosts;
    hosts = h;
    fake_pci_power_on(h);
    h->ops.reset(h->self, BP_RESET_COLD);
    err = start_instance(h->self);
    if (err) {
        fake_host_free(h);
        return err;
    }
    *out = h;
    return 0;
}

struct fake_host *fake_host_new(const char *path, const char *model, const void *config)
{
    struct fake_host *h;
    int err = fake_host_try(path, model, config, &h);

    if (err)
        fake_fail("%s: %d: %s", path, err, fake_failure_text);
    return h;
}

void fake_host_free(struct fake_host *h)
{
    if (!h)
        return;
    stop_instance(h->self);
    fake_pci_end_fds(h);
    h->ops.destroy(h->self);
    for (struct fake_host **at = &hosts; *at; at = &(*at)->next) {
        if (*at == h) {
            *at = h->next;
            break;
        }
    }
    for (struct bp_node *p = peers; p; p = p->next) {
        if (p->linked_by == &h->node) {
            p->port = NULL;
            p->linked_by = NULL;
        }
    }
    forget(h);
}

void *fake_self(struct fake_host *h)
{
    return h->self;
}

const struct bp_instance_ops *fake_ops(struct fake_host *h)
{
    return &h->wrapped;
}

struct bp_node *fake_node(struct fake_host *h)
{
    return &h->node;
}

struct bp_node *fake_peer(const char *id, const void *ops, void *self)
{
    struct bp_node *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->id = id;
    p->ops = normal_table(id, 0, ops);
    p->self = self;
    p->next = peers;
    peers = p;
    return p;
}

const void *fake_port(struct bp_node *peer, void **port_self)
{
    if (port_self)
        *port_self = peer->port_self;
    return peer->port;
}

/* ---- snapshots
 * ----------------------------------------------------------------------------------- */

static int writer_put(struct bp_writer *w, const char *name, const void *data, uint64_t len)
{
    struct writer *writer = (struct writer *)w;
    struct saved *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    assert_true(strlen(name) < sizeof(s->name));
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->data = malloc(len + 1);
    assert_non_null(s->data);
    memcpy(s->data, data, len);
    s->len = len;
    s->next = writer->first;
    writer->first = s;
    return 0;
}

static int64_t reader_get(struct bp_reader *r, const char *name, void *data, uint64_t cap)
{
    const struct reader *reader = (const struct reader *)r;

    for (const struct saved *s = reader->first; s; s = s->next) {
        if (strcmp(s->name, name) == 0) {
            memcpy(data, s->data, s->len < cap ? s->len : cap);
            return (int64_t)s->len;
        }
    }
    return -ENOENT;
}

void fake_move_state(struct fake_host *from, struct fake_host *to)
{
    struct writer w = {.table = {.size = sizeof(w.table), .put = writer_put}};
    struct reader r = {.table = {.size = sizeof(r.table), .get = reader_get}};
    struct saved *next;

    assert_ptr_equal(from->model, to->model);
    stop_instance(from->self);
    stop_instance(to->self);
    to->now_ns = from->now_ns;
    to->utc_ns = from->utc_ns;
    memset(to->timers, 0xff, sizeof(to->timers));
    fake_pci_reset(to);
    to->ops.reset(to->self, BP_RESET_COLD);
    fake_pci_move_state(from, to);
    for (const struct bp_field *f = from->model->instance->fields; f && f->name; f++) {
        for (uint32_t i = 0; i < f->count; i++) {
            uint64_t at = f->offset + (uint64_t)i * f->stride;

            memcpy((uint8_t *)to->self + at, (const uint8_t *)from->self + at, f->width);
        }
    }
    assert_int_equal(from->ops.save(from->self, &w.table), 0);
    r.first = w.first;
    assert_int_equal(to->ops.load(to->self, &r.table), 0);
    assert_int_equal(to->ops.after_load(to->self), 0);
    for (struct saved *s = w.first; s; s = next) {
        next = s->next;
        free(s->data);
        free(s);
    }
    assert_int_equal(start_instance(from->self), 0);
    assert_int_equal(start_instance(to->self), 0);
}
