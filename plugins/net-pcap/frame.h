/* SPDX-License-Identifier: MIT
 *
 * net-pcap/frame.h - the bytes of a frame, however long and in however many pieces.
 */
#ifndef NET_PCAP_FRAME_H
#define NET_PCAP_FRAME_H

#include <backplane/net.h>
#include <string.h>

#define COPY_LONG 4096u /* bytes from which on copy_long() is worth its call */

/* Copies as memcpy(), with fewer instructions a byte. */
void copy_long(uint8_t *to, const uint8_t *from, size_t len);

/* Bytes of a frame; saturates. */
static inline uint64_t frame_len(const struct bp_frame *frame)
{
    uint64_t len = 0;

    if (frame->nbufs == 1) /* as nearly always */
        return frame->bufs[0].len;
    for (uint32_t i = 0; i < frame->nbufs; i++)
        if (__builtin_add_overflow(len, frame->bufs[i].len, &len))
            return UINT64_MAX;
    return len;
}

static inline void copy_bytes(uint8_t *to, const void *from, size_t len)
{
    if (len - 1 < COPY_LONG) /* of nothing `from` may be NULL */
        memcpy(to, from, len);
    else if (len)
        copy_long(to, from, len);
}

/* Copies up to `room` bytes of a frame; returns how many. */
static inline uint32_t frame_copy(const struct bp_frame *frame, uint8_t *to, uint32_t room)
{
    uint32_t done = 0;

    if (frame->nbufs && frame->bufs[0].len >= room) { /* likewise */
        copy_bytes(to, frame->bufs[0].data, room);
        return room;
    }
    for (uint32_t i = 0; i < frame->nbufs && done < room; i++) {
        uint64_t n = frame->bufs[i].len < room - done ? frame->bufs[i].len : room - done;

        copy_bytes(to + done, frame->bufs[i].data, n);
        done += (uint32_t)n;
    }
    return done;
}

#endif
