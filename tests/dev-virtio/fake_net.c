/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/fake_net.c - a network for unit tests: see fakes/net.h.
 */
#include "fake_net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct fake_net *n = self;

    if (n->attached)
        return -EBUSY;
    n->attached = 1;
    n->port = port;
    n->port_self = port_self;
    return 0;
}

static uint32_t offloads(void *self)
{
    return ((struct fake_net *)self)->offloads;
}

static int set_offloads(void *self, uint32_t bits)
{
    struct fake_net *n = self;

    if (bits & ~n->can)
        return -EINVAL;
    n->receives = bits;
    return 0;
}

static uint32_t send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct fake_net *n = self;
    uint32_t taken = 0;

    for (; taken < count && n->room; taken++, n->room--) {
        const struct bp_frame *f = &frames[taken];
        struct fake_net_frame *to = &n->sent[n->count];

        assert_true(n->count < FAKE_NET_FRAMES);
        assert_false(f->gso_type && !n->offloads);
        *to = (struct fake_net_frame){.queue = queue, .frame = *f};
        to->frame.bufs = NULL;
        for (uint32_t i = 0; i < f->nbufs; i++)
            to->len += (uint32_t)f->bufs[i].len;
        assert_true(to->len <= FAKE_NET_BYTES);
        to->data = malloc(to->len + 1u);
        assert_non_null(to->data);
        to->len = 0;
        for (uint32_t i = 0; i < f->nbufs; i++) {
            memcpy(to->data + to->len, f->bufs[i].data, f->bufs[i].len);
            to->len += (uint32_t)f->bufs[i].len;
        }
        n->count++;
    }
    return taken;
}

static void resume(void *self, uint32_t queue)
{
    struct fake_net *n = self;

    (void)queue;
    assert_false(n->inside);
    n->resumes++;
}

static int set_queues(void *self, uint32_t count)
{
    struct fake_net *n = self;

    if (!count || count > n->queues_max)
        return -EINVAL;
    n->queues = count;
    return 0;
}

const struct bp_net fake_net_ops = {
    .size = sizeof(struct bp_net),
    .attach = attach,
    .offloads = offloads,
    .set_offloads = set_offloads,
    .send = send,
    .resume = resume,
    .set_queues = set_queues,
};

struct fake_net *fake_net_new(void)
{
    struct fake_net *n = calloc(1, sizeof(*n));

    assert_non_null(n);
    n->room = UINT32_MAX;
    n->queues_max = 8;
    return n;
}

void fake_net_forget(struct fake_net *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        free(n->sent[i].data);
    n->count = 0;
}

void fake_net_free(struct fake_net *n)
{
    fake_net_forget(n);
    free(n);
}

int fake_net_give(struct fake_net *n, uint32_t queue, const void *data, uint32_t len,
                  const struct bp_frame *header)
{
    const struct bp_buf buf = {.data = (void *)data, .len = len};
    struct bp_frame f = {0};
    int ret;

    if (header)
        f = *header;
    f.size = sizeof(f);
    f.nbufs = 1;
    f.bufs = &buf;
    n->inside = 1;
    ret = n->port->receive(n->port_self, queue, &f);
    n->inside = 0;
    return ret;
}
