/* SPDX-License-Identifier: MIT
 *
 * chr-host/device.c - the device at the near end of a backend.
 */
#include "device.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t receive(void *self, const uint8_t *data, uint64_t len)
{
    struct device *d = self;
    uint64_t n = len < d->room ? len : d->room;

    assert_false(d->inside);
    assert_true(d->len + n <= DEVICE_INPUT);
    memcpy(d->input + d->len, data, n);
    d->len += n;
    if (d->room != UINT64_MAX)
        d->room -= n;
    return n;
}

static void writable(void *self)
{
    struct device *d = self;

    assert_false(d->inside);
    d->writables++;
}

static void event(void *self, uint32_t what, uint32_t columns, uint32_t rows)
{
    struct device *d = self;

    assert_false(d->inside);
    assert_true(what >= BP_CHAR_OPENED && what <= BP_CHAR_RESIZED);
    if (d->event_count + 1 < sizeof(d->events))
        d->events[d->event_count++] = "?OHBR"[what];
    if (what == BP_CHAR_RESIZED) {
        d->columns = columns;
        d->rows = rows;
    }
}

static const struct bp_char_port port = {
    .size = sizeof(struct bp_char_port), .receive = receive, .writable = writable, .event = event};

struct device *device_new(const char *model, const void *config)
{
    struct device *d = calloc(1, sizeof(*d));

    assert_non_null(d);
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    d->host = fake_host_new(PLUGIN_FILE, model, config);
    d->self = fake_self(d->host);
    d->ops = fake_ops(d->host)->extension(d->self, BP_CHAR_ID);
    assert_non_null(d->ops);
    d->room = UINT64_MAX;
    assert_int_equal(d->ops->attach(d->self, &port, d), 0);
    assert_int_not_equal(d->ops->attach(d->self, &port, d), 0);
    return d;
}

void device_free(struct device *d)
{
    if (!d)
        return;
    fake_host_free(d->host);
    free(d);
}

uint64_t device_write(struct device *d, const void *data, uint64_t len)
{
    uint64_t taken;

    d->inside = 1;
    taken = d->ops->write(d->self, data, len);
    d->inside = 0;
    return taken;
}

void device_resume(struct device *d, uint64_t room)
{
    d->room = room;
    d->inside = 1;
    d->ops->resume(d->self);
    d->inside = 0;
}

void device_turn(struct device *d, int ms)
{
    fake_advance_ns(d->host, (uint64_t)ms * 1000000u);
    fake_poll(d->host, ms);
}

int device_has(const struct device *d, const char *text)
{
    return d->len == strlen(text) && memcmp(d->input, text, d->len) == 0;
}

void device_expect_quiet(struct device *d)
{
    unsigned calls = 0;

    for (int i = 0; i < 20; i++)
        calls += fake_poll(d->host, 1);
    assert_true(calls <= 2);
}

uint64_t drain_fd(int fd, uint8_t *data, uint64_t cap)
{
    uint64_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, data + len, cap - len);

        if (n <= 0)
            break;
        len += (uint64_t)n;
    }
    return len;
}
