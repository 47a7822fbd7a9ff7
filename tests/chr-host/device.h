/* SPDX-License-Identifier: MIT
 *
 * chr-host/device.h - the device at the near end of a backend: it takes as much input as the test
 * says and records it, with the events in between.
 */
#ifndef CHR_HOST_DEVICE_H
#define CHR_HOST_DEVICE_H

#include "fakes/host.h"

#define DEVICE_INPUT 65536u

struct device {
    const struct bp_char *ops;
    void *self;
    struct fake_host *host;
    uint64_t room; /* bytes that receive() still takes */
    uint64_t len;
    uint8_t input[DEVICE_INPUT];
    unsigned writables;
    char events[64]; /* one letter each: Opened, Hangup, Break, Resized */
    unsigned event_count;
    uint32_t columns, rows;
    int inside; /* the device is in a call of the backend */
};

/* A new instance of `model`, started, with a device attached. To be freed with device_free(). */
struct device *device_new(const char *model, const void *config);
void device_free(struct device *d);

/* Output of the guest: how much was taken. */
uint64_t device_write(struct device *d, const void *data, uint64_t len);
void device_resume(struct device *d, uint64_t room);
/* The loop runs for one turn: `ms` of guest time, and what is ready within `ms`. */
void device_turn(struct device *d, int ms);
/* Whether the input so far is `text`. */
int device_has(const struct device *d, const char *text);
/* Fails the test unless nothing happens on the loop any more: no busy loop. */
void device_expect_quiet(struct device *d);

/* Reads `fd` (non-blocking) without the loop: how many bytes there are. */
uint64_t drain_fd(int fd, uint8_t *data, uint64_t cap);

/* Runs the loop until `condition`, or fails. Bounded by turns, not by the clock. */
#define WAIT_FOR(d, condition)                                                                     \
    do {                                                                                           \
        int turns_ = 0;                                                                            \
                                                                                                   \
        while (!(condition)) {                                                                     \
            if (turns_++ == 2000)                                                                  \
                fail_msg("waited in vain for: %s", #condition);                                    \
            device_turn(d, 5);                                                                     \
        }                                                                                          \
    } while (0)

#endif
