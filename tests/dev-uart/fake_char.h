/* SPDX-License-Identifier: MIT
 *
 * dev-uart/fake_char.h - a character backend under the test's control: it takes as much as it is
 * told, and fails the test when it is called while it calls.
 */
#ifndef FAKE_CHAR_H
#define FAKE_CHAR_H

#include <backplane/char.h>

#define FAKE_CHAR_OUTPUT 65536u

struct fake_char {
    uint64_t room;   /* bytes that write() still takes */
    uint32_t owed;   /* write() took less, so writable() is due */
    uint32_t breaks; /* calls of set_break() */
    uint32_t break_on;
    uint32_t resumes;
    uint32_t writes;
    int inside;  /* the test is in a call of the device */
    int refuses; /* attach() gives -EBUSY */
    const struct bp_char_port *port;
    void *port_self;
    uint64_t len;
    uint8_t output[FAKE_CHAR_OUTPUT];
};

extern const struct bp_char fake_char_ops;

/* A backend that takes everything. To be freed with free(). */
struct fake_char *fake_char_new(void);
/* The backend's calls of the device. */
uint64_t fake_char_give(struct fake_char *c, const void *data, uint64_t len);
/* Room for `room` more bytes, told to the device if that was due. */
void fake_char_open(struct fake_char *c, uint64_t room);
void fake_char_event(struct fake_char *c, uint32_t what);
/* Fails the test unless the output so far is `text`. */
void fake_char_expect(struct fake_char *c, const char *text);

#endif
