/* SPDX-License-Identifier: MIT
 *
 * dev-uart/fake_char.c - a character backend under the test's control.
 */
#include "fake_char.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int attach(void *self, const struct bp_char_port *port, void *port_self)
{
    struct fake_char *c = self;

    if (c->refuses)
        return -EBUSY;
    c->port = port;
    c->port_self = port_self;
    return 0;
}

static uint64_t take(void *self, const uint8_t *data, uint64_t len)
{
    struct fake_char *c = self;
    uint64_t n = len < c->room ? len : c->room;

    c->writes++;
    assert_true(c->len + n <= sizeof(c->output));
    memcpy(c->output + c->len, data, n);
    c->len += n;
    if (c->room != UINT64_MAX)
        c->room -= n;
    c->owed = n < len;
    return n;
}

static void resume(void *self)
{
    struct fake_char *c = self;

    assert_false(c->inside);
    c->resumes++;
}

static void set_break(void *self, uint32_t on)
{
    struct fake_char *c = self;

    assert_int_not_equal(on, c->break_on);
    c->break_on = on;
    c->breaks++;
}

const struct bp_char fake_char_ops = {
    .size = sizeof(struct bp_char),
    .attach = attach,
    .write = take,
    .resume = resume,
    .set_break = set_break,
};

struct fake_char *fake_char_new(void)
{
    struct fake_char *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->room = UINT64_MAX;
    return c;
}

uint64_t fake_char_give(struct fake_char *c, const void *data, uint64_t len)
{
    uint64_t taken;

    c->inside = 1;
    taken = c->port->receive(c->port_self, data, len);
    c->inside = 0;
    assert_true(taken <= len);
    return taken;
}

void fake_char_open(struct fake_char *c, uint64_t room)
{
    c->room = room;
    if (!c->owed || !room)
        return;
    c->owed = 0;
    c->inside = 1;
    c->port->writable(c->port_self);
    c->inside = 0;
}

void fake_char_event(struct fake_char *c, uint32_t what)
{
    c->inside = 1;
    c->port->event(c->port_self, what, 0, 0);
    c->inside = 0;
}

void fake_char_expect(struct fake_char *c, const char *text)
{
    assert_int_equal(c->len, strlen(text));
    assert_memory_equal(c->output, text, c->len);
}
