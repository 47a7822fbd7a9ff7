/* SPDX-License-Identifier: MIT
 *
 * backplane/char.h - the two ends of a byte stream: "bp.char/1" is a backend (a terminal, a pty, a
 * socket), bp_char_port the device that uses it (a UART). host->link() joins them; they share a
 * lock domain. Neither side ever calls back from inside a call of the other: a backend hands over
 * input on the loop, never from inside write().
 */
#ifndef BACKPLANE_CHAR_H
#define BACKPLANE_CHAR_H

#include "instance.h"
BP_BEGIN

#define BP_CHAR_ID "bp.char/1"

#define BP_CHAR_OPENED                                                                             \
    1u /* somebody is at the other end; a backend that is always open says so once */
#define BP_CHAR_HANGUP 2u  /* nobody is: output is discarded, as on an unplugged line */
#define BP_CHAR_BREAK 3u   /* break condition on the line */
#define BP_CHAR_RESIZED 4u /* the window has `columns` x `rows` now; 0 x 0 is unknown */

/* The device's side. */
struct bp_char_port {
    uint32_t size;
    uint32_t reserved;
    /* Takes up to `len` bytes of input and returns how many. When fewer, the backend keeps the rest
     * and stops reading its source until resume(). [dom] */
    uint64_t (*receive)(void *port_self, const uint8_t *data, uint64_t len);
    /* Output may go on, after write() took less than it was given. [dom] */
    void (*writable)(void *port_self);
    /* BP_CHAR_*; `columns` and `rows` with BP_CHAR_RESIZED. Optional. [dom] */
    void (*event)(void *port_self, uint32_t what, uint32_t columns, uint32_t rows);
};

/* The backend's side. */
struct bp_char {
    uint32_t size;
    uint32_t reserved;
    /* Called by host->link(): the device is there. -EBUSY if one is already. [main] */
    int (*attach)(void *self, const struct bp_char_port *port, void *port_self);
    /* Takes up to `len` bytes of output and returns how many; when fewer, port->writable() follows.
     * Never blocks and never fails: a stream that is gone swallows everything. [dom] */
    uint64_t (*write)(void *self, const uint8_t *data, uint64_t len);
    /* The device has room for input again, after receive() took less than it was given. [dom] */
    void (*resume)(void *self);
    /* Starts (1) or ends (0) sending a break. Optional. [dom] */
    void (*set_break)(void *self, uint32_t on);
    /* Input as if it had come from the other end: a test, the embedding program. Returns the bytes
     * taken, into a buffer of the backend's. Optional. [dom] */
    uint64_t (*inject)(void *self, const uint8_t *data, uint64_t len);
};

BP_END
#endif
