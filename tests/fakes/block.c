/* SPDX-License-Identifier: MIT
 *
 * fakes/block.c - a disk in memory for unit tests: see fakes/block.h. It fails the test when a
 * request is not as block.h says.
 */
#include "fakes/block.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int attach(void *self, const struct bp_block_port *port, void *port_self)
{
    struct fake_block *b = self;

    if (b->attached)
        return -EBUSY;
    b->attached = 1;
    b->port = port;
    b->port_self = port_self;
    return 0;
}

static void info(void *self, struct bp_block_info *out)
{
    *out = ((struct fake_block *)self)->info;
}

static void check(const struct fake_block *b, const struct bp_block_request *r)
{
    uint64_t total = 0;

    assert_int_equal(r->size, sizeof(*r));
    assert_true(r->type <= BP_BLOCK_WRITE_ZEROES);
    assert_int_equal(r->offset % b->info.sector_size, 0);
    assert_int_equal(r->length % b->info.sector_size, 0);
    assert_true(r->offset <= b->info.length && r->length <= b->info.length - r->offset);
    assert_true(r->niovecs <= b->info.max_iovecs);
    if (r->type > BP_BLOCK_WRITE)
        return;
    for (uint32_t i = 0; i < r->niovecs; i++)
        total += r->iovecs[i].len;
    assert_int_equal(total, r->length);
}

static void submit(void *self, struct bp_block_request *const *requests, uint32_t count)
{
    struct fake_block *b = self;

    assert_true(b->bracket);
    for (uint32_t i = 0; i < count; i++) {
        check(b, requests[i]);
        assert_true(b->pending_count < FAKE_BLOCK_PENDING);
        b->pending[b->pending_count++] = requests[i];
    }
}

/* Does nothing but copy: tests/tsan.supp names it, as the guest may be at its memory. */
static __attribute__((noinline)) void fake_transfer(void *to, const void *from, uint64_t len)
{
    memcpy(to, from, len);
}

static void carry_out(struct fake_block *b, const struct bp_block_request *r)
{
    uint8_t *at = b->data + r->offset;

    if (r->type > BP_BLOCK_FLUSH)
        memset(at, 0, r->length);
    for (uint32_t i = 0; r->type <= BP_BLOCK_WRITE && i < r->niovecs; i++) {
        const struct bp_iovec *v = &r->iovecs[i];

        if (r->type == BP_BLOCK_READ)
            fake_transfer(v->data, at, v->len);
        else
            fake_transfer(at, v->data, v->len);
        at += v->len;
    }
}

uint32_t fake_block_complete(struct fake_block *b, int backwards)
{
    uint32_t done = 0;

    while (b->pending_count) {
        struct bp_block_request *r = b->pending[backwards ? b->pending_count - 1 : 0];

        b->pending_count--;
        if (!backwards)
            memmove(b->pending, b->pending + 1, b->pending_count * sizeof(b->pending[0]));
        b->seen[r->type]++;
        b->last_flags = r->flags;
        if (!b->fails)
            carry_out(b, r);
        b->port->complete(b->port_self, r, b->fails);
        done++;
    }
    return done;
}

static void drain(void *self)
{
    fake_block_complete(self, 0);
}

static void begin(void *self)
{
    struct fake_block *b = self;

    assert_false(b->bracket);
    b->bracket = 1;
}

static void end(void *self)
{
    struct fake_block *b = self;

    assert_true(b->bracket);
    b->bracket = 0;
    if (b->at_once)
        fake_block_complete(b, 0);
}

const struct bp_block fake_block_ops = {
    .size = sizeof(struct bp_block),
    .attach = attach,
    .info = info,
    .submit = submit,
    .drain = drain,
    .begin = begin,
    .end = end,
};

struct fake_block *fake_block_new(uint64_t length)
{
    struct fake_block *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    b->data = malloc(length);
    assert_non_null(b->data);
    for (uint64_t i = 0; i < length; i++)
        b->data[i] = (uint8_t)(i * 7 + i / 509);
    b->info = (struct bp_block_info){.size = sizeof(b->info),
                                     .flags = BP_BLOCK_CAN_DISCARD | BP_BLOCK_CAN_ZERO |
                                              BP_BLOCK_VOLATILE_CACHE,
                                     .length = length,
                                     .sector_size = 512,
                                     .optimal_size = 4096,
                                     .max_iovecs = 256,
                                     .max_discard = 1024};
    return b;
}

void fake_block_free(struct fake_block *b)
{
    free(b->data);
    free(b);
}
