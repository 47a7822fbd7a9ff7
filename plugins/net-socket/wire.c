/* SPDX-License-Identifier: MIT
 *
 * net-socket/wire.c - frames in a stream of bytes.
 */
#include "wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECES_MAX 64u

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* there the socket has SO_NOSIGPIPE */
#endif

/* ---- in -----------------------------------------------------------------------------------------
 */

uint8_t *wire_room(struct wire_in *w, uint32_t *room)
{
    if (w->start == w->end)
        w->start = w->end = 0;
    /* Half of the room is more than the longest frame, so a part of one always fits. */
    if (w->start >= WIRE_BYTES / 2) {
        memmove(w->bytes, w->bytes + w->start, w->end - w->start);
        w->end -= w->start;
        w->start = 0;
    }
    *room = WIRE_BYTES - w->end;
    return w->bytes + w->end;
}

static void drop(struct wire_in *w, uint32_t n)
{
    uint32_t there = w->end - w->start;

    if (n > there) {
        w->skip = n - there;
        n = there;
    }
    w->start += n;
}

void wire_filled(struct wire_in *w, uint32_t n)
{
    uint32_t skip = w->skip;

    w->end += n;
    w->skip = 0;
    drop(w, skip);
}

static uint32_t length_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

int wire_next(struct wire_in *w, struct bp_buf *frame)
{
    while (!w->skip && w->end - w->start >= WIRE_PREFIX) {
        uint32_t len = length_at(w->bytes + w->start);

        if (len > WIRE_LENGTH_MAX)
            return -EPROTO;
        if (len < BP_FRAME_MIN || len > BP_FRAME_MAX) {
            w->refused++;
            drop(w, WIRE_PREFIX + len);
            continue;
        }
        if (w->end - w->start - WIRE_PREFIX < len)
            return 0;
        *frame = (struct bp_buf){w->bytes + w->start + WIRE_PREFIX, len};
        return 1;
    }
    return 0;
}

void wire_pop(struct wire_in *w)
{
    w->start += WIRE_PREFIX + length_at(w->bytes + w->start);
}

/* ---- out ----------------------------------------------------------------------------------------
 */

static int is_later(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == ENOBUFS || err == EINTR;
}

int wire_send(struct wire_out *w, int fd, const struct bp_frame *frame, uint64_t len)
{
    uint8_t prefix[WIRE_PREFIX] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                   (uint8_t)len};
    struct iovec pieces[PIECES_MAX + 1] = {{prefix, sizeof(prefix)}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 1};
    ssize_t n;

    if (frame->nbufs <= PIECES_MAX) {
        for (uint32_t i = 0; i < frame->nbufs; i++)
            pieces[message.msg_iovlen++] =
                (struct iovec){frame->bufs[i].data, (size_t)frame->bufs[i].len};
    } else { /* in more pieces than are worth a list: rare, and put together first */
        pieces[1] = (struct iovec){w->bytes, (size_t)bp_frame_gather(frame, w->bytes, len)};
        message.msg_iovlen = 2;
    }
    n = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n < 0)
        return is_later(errno) ? -EAGAIN : -errno;
    if ((uint64_t)n == WIRE_PREFIX + len)
        return 0;
    if (frame->nbufs <= PIECES_MAX)
        bp_frame_gather(frame, w->bytes + WIRE_PREFIX, len);
    else
        memmove(w->bytes + WIRE_PREFIX, w->bytes, (size_t)len);
    memcpy(w->bytes, prefix, sizeof(prefix));
    w->start = (uint32_t)n;
    w->end = (uint32_t)(WIRE_PREFIX + len);
    return 0;
}

int wire_flush(struct wire_out *w, int fd)
{
    while (w->start < w->end) {
        ssize_t n = send(fd, w->bytes + w->start, w->end - w->start, MSG_NOSIGNAL);

        if (n < 0)
            return is_later(errno) ? -EAGAIN : -errno;
        w->start += (uint32_t)n;
    }
    w->start = w->end = 0;
    return 0;
}
