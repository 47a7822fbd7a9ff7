/* SPDX-License-Identifier: MIT
 *
 * net-socket/wire.h - frames in a stream of bytes: each behind its length, 4 bytes, big-endian. So
 * have it QEMU's `-netdev stream` and `socket`, passt, and libkrun's and crosvm's networks.
 *
 * Whoever is at the other end is not trusted: a length is checked before anything depends on it.
 */
#ifndef NET_SOCKET_WIRE_H
#define NET_SOCKET_WIRE_H

#include <backplane/util/frame.h>

#define WIRE_PREFIX 4u
/* A frame beyond this is no frame: the stream is of another kind, or out of step. QEMU's limit is
 * the same, 68 KiB; what is below it and longer than BP_FRAME_MAX is skipped. */
#define WIRE_LENGTH_MAX (65536u + 4096u)
#define WIRE_BYTES (2u * (WIRE_PREFIX + WIRE_LENGTH_MAX))

/* What came and is not handed on yet. All zero: nothing. */
struct wire_in {
    uint32_t start, end; /* of the bytes that are there */
    uint32_t skip;       /* bytes that are to come, of a frame that is left out */
    uint32_t refused;    /* frames left out since the owner looked: too long or too short */
    uint8_t bytes[WIRE_BYTES];
};

/* Where to put bytes, and at least one, at most *room. */
uint8_t *wire_room(struct wire_in *w, uint32_t *room);
/* `n` bytes were put there. */
void wire_filled(struct wire_in *w, uint32_t n);
/* The next whole frame: 1, and it stays where it is until wire_pop(); 0: more bytes are needed;
 * -EPROTO: this is no such stream, and nothing more will come of it. */
int wire_next(struct wire_in *w, struct bp_buf *frame);
void wire_pop(struct wire_in *w);

/* What of one frame the socket did not take. All zero: nothing. */
struct wire_out {
    uint32_t start, end;
    uint8_t bytes[WIRE_PREFIX + BP_FRAME_MAX];
};

/* Writes a frame of `len` bytes, BP_FRAME_MIN..BP_FRAME_MAX, to the socket: 0, and the socket took
 * it, or a part, and `w`, which must be empty, has the rest; -EAGAIN: nothing was taken; another
 * errno: the connection is gone. */
int wire_send(struct wire_out *w, int fd, const struct bp_frame *frame, uint64_t len);
/* Writes what is left: 0: all of it; -EAGAIN; another errno: the connection is gone. */
int wire_flush(struct wire_out *w, int fd);

#endif
