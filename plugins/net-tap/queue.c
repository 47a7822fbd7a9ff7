/* SPDX-License-Identifier: MIT
 *
 * net-tap/queue.c - frames between the adapter and one fd of the interface.
 *
 * The kernel's queue is the buffer: a frame is read when the adapter is there to take it, and the
 * one that it does not take stays here, with the one that was read ahead of its turn, and the fd
 * left alone until resume(). A frame that the fd
 * does not take now is left with the adapter. An fd that says it can be written and then takes
 * nothing, again and again, would keep the loop busy: after some rounds frames are dropped.
 */
#include "net_tap.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <backplane/util/log.h>

/* Before others on the loop have their turn. */
#define FRAMES_AT_ONCE 256u
#define BYTES_AT_ONCE (4u << 20)
#define STUCK_MAX 16u
#define PIECES_MAX 64u

#define HDR_NEEDS_CSUM 1u

static void ready(void *self, int fd, uint32_t events);

/* An fd that cannot be read any longer: its interface was removed, or its driver. */
static int is_gone(int err)
{
    return err == EBADFD || err == ENODEV || err == ENXIO || err == ENOLINK || err == EBADF;
}

void tap_watch(struct tap *t, uint32_t queue)
{
    struct tap_queue *q = &t->queues[queue];
    uint32_t events = 0;

    if (q->fd < 0)
        return;
    if (t->running && t->port && queue < t->in_use && !t->lost)
        events = (q->held ? 0 : BP_FD_READ) | (q->owes ? BP_FD_WRITE : 0);
    if (events != q->watched && !t->host->fd_watch(t->node, q->fd, events, ready, t))
        q->watched = events;
}

/* ---- to the guest -------------------------------------------------------------------------------
 */

/* virtio 1.2, 5.1.6, in the host's byte order, as a tap has it that was not told otherwise. */
static void take_header(const struct tap *t, const uint8_t *at, struct bp_frame *frame)
{
    /* That a checksum was found good is news only for who takes unfinished ones. */
    frame->flags = t->offloads & BP_NET_OFFLOAD_CSUM ? at[0] : at[0] & HDR_NEEDS_CSUM;
    frame->gso_type = at[1];
    memcpy(&frame->hdr_len, at + 2, 2);
    memcpy(&frame->gso_size, at + 4, 2);
    memcpy(&frame->csum_start, at + 6, 2);
    memcpy(&frame->csum_offset, at + 8, 2);
}

static uint32_t header_bytes(const struct tap *t)
{
    return t->config->vnet_hdr ? TAP_HEADER : 0;
}

/* Hands the frame in the buffer over; it stays there when the adapter has no room. */
static void deliver(struct tap *t, uint32_t queue)
{
    struct tap_queue *q = &t->queues[queue];
    uint32_t header = header_bytes(t);
    struct bp_buf buf = {.data = q->buffer + header, .len = q->len - header};
    struct bp_frame frame = {
        .size = sizeof(frame), .nbufs = 1, .bufs = &buf, .more = q->ahead_len != 0};
    uint8_t *taken = q->buffer;
    int err;

    if (header)
        take_header(t, q->buffer, &frame);
    err = t->port->receive(t->port_self, queue, &frame);
    if (err == -EAGAIN) {
        q->held = 1;
        return;
    }
    t->received += !err;
    t->dropped += !!err;
    q->buffer = q->ahead;
    q->len = q->ahead_len;
    q->ahead = taken;
    q->ahead_len = 0;
}

void tap_deliver_held(struct tap *t, uint32_t queue)
{
    while (t->queues[queue].len && t->port && !t->queues[queue].held)
        deliver(t, queue);
}

/* Bytes of the next frame; 0: there is none, or none that can be one. */
static uint32_t read_frame(struct tap *t, struct tap_queue *q, uint8_t *to)
{
    ssize_t n = read(q->fd, to, TAP_HEADER + BP_FRAME_MAX);

    if (n < 0 && is_gone(errno))
        tap_lost(t);
    if (n > 0 && (size_t)n < header_bytes(t) + BP_FRAME_MIN) {
        t->dropped++;
        return 0;
    }
    return n < 0 ? 0 : (uint32_t)n;
}

/* Each frame goes to the adapter when the next one has been read: the adapter then knows whether it
 * has to tell the guest now. */
static void receive_some(struct tap *t, uint32_t queue)
{
    struct tap_queue *q = &t->queues[queue];
    uint32_t bytes = 0;

    for (uint32_t i = 1; i <= FRAMES_AT_ONCE && bytes < BYTES_AT_ONCE && !q->held; i++) {
        if (!q->len)
            q->len = read_frame(t, q, q->buffer);
        if (!q->len)
            return;
        bytes += q->len;
        if (!q->ahead_len && i < FRAMES_AT_ONCE && bytes < BYTES_AT_ONCE)
            q->ahead_len = read_frame(t, q, q->ahead);
        deliver(t, queue);
        if (!q->len)
            return;
    }
}

static void ready(void *self, int fd, uint32_t events)
{
    struct tap *t = self;

    for (uint32_t i = 0; i < t->queue_count; i++) {
        struct tap_queue *q = &t->queues[i];

        if (q->fd != fd)
            continue;
        if (events & BP_FD_HANGUP) {
            tap_lost(t);
            return;
        }
        if (events & BP_FD_READ)
            receive_some(t, i);
        if (events & BP_FD_WRITE && q->owes) {
            q->owes = 0;
            q->stuck++;
            t->port->sent(t->port_self, i);
        }
        tap_watch(t, i);
        return;
    }
}

/* ---- from the guest -----------------------------------------------------------------------------
 */

static ssize_t write_frame(const struct tap *t, struct tap_queue *q, const struct bp_frame *frame)
{
    uint8_t header[TAP_HEADER];
    struct iovec pieces[PIECES_MAX + 1];
    uint32_t count = 0;

    if (t->config->vnet_hdr) {
        header[0] = frame->flags & HDR_NEEDS_CSUM;
        header[1] = frame->gso_type;
        memcpy(header + 2, &frame->hdr_len, 2);
        memcpy(header + 4, &frame->gso_size, 2);
        memcpy(header + 6, &frame->csum_start, 2);
        memcpy(header + 8, &frame->csum_offset, 2);
        pieces[count++] = (struct iovec){header, sizeof(header)};
    } else if (frame->flags & HDR_NEEDS_CSUM || frame->gso_type) {
        errno = EINVAL;
        return -1;
    }
    if (frame->nbufs <= PIECES_MAX) {
        for (uint32_t i = 0; i < frame->nbufs; i++)
            pieces[count++] = (struct iovec){frame->bufs[i].data, frame->bufs[i].len};
        return writev(q->fd, pieces, (int)count);
    }
    /* In more pieces than are worth a list: rare, and put together first. */
    pieces[count].iov_len = bp_frame_gather(frame, q->flat, BP_FRAME_MAX);
    pieces[count++].iov_base = q->flat;
    return writev(q->fd, pieces, (int)count);
}

/* What became of a frame that was not written: 0, it waits with the adapter; 1, it is lost. */
static int not_written(struct tap *t, struct tap_queue *q, int err)
{
    if (err != EAGAIN && err != ENOBUFS) {
        if (is_gone(err))
            tap_lost(t);
        return 1;
    }
    if (q->stuck < STUCK_MAX) {
        q->owes = 1;
        return 0;
    }
    if (!t->storm)
        bp_logf(t->host, t->node, BP_LOG_WARN,
                "interface %s takes no frames although it says so; they are dropped until it does",
                t->name);
    t->storm = 1;
    return 1;
}

uint32_t tap_send(struct tap *t, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct tap_queue *q;
    uint32_t done = 0;

    if (queue >= t->in_use || t->queues[queue].fd < 0 || t->lost) {
        t->dropped += count;
        return count;
    }
    q = &t->queues[queue];
    for (; done < count; done++) {
        const struct bp_frame *frame = bp_frame_at(frames, done);
        uint64_t len = bp_frame_len(frame);
        ssize_t n = -1;

        errno = EMSGSIZE;
        if (!t->lost && len >= BP_FRAME_MIN && len <= BP_FRAME_MAX)
            n = write_frame(t, q, frame);
        if (n >= 0) {
            q->stuck = 0;
            t->storm = 0;
            t->sent++;
            continue;
        }
        if (!not_written(t, q, errno)) {
            tap_watch(t, queue);
            break;
        }
        t->dropped++;
    }
    return done;
}
