/* SPDX-License-Identifier: MIT
 *
 * net-pcap/writer.c - the thread that writes the packets of a ring to an output.
 *
 * Packets stand in the ring as they will in the file, and are written from there, many at once, at
 * the latest after the time of `flush`; so a process that is killed leaves a file that is good up
 * to there. Headers, statistics, and packets that are to say more than the link knew are made in a
 * buffer of the thread's own and written first.
 *
 * What cannot be written is lost and counted: the next packet that is says how many
 * (epb_dropcount), and a line of the log, at most one in ten seconds. A pipe that is full is waited
 * for, with the ring filling behind it; one whose reader left ends the capture.
 */
#include "writer.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define OUT_BYTES (FRAME_MAX + PACKET_EXTRA + 2 * BLOCK_EXTRA)
#define PIECE_MAX ((size_t)512 << 10) /* bytes that the ring has back only after one write */
#define LAST_BYTES 128u               /* of a numbered file, kept free for the statistics */
#define RETRY_MS 100                  /* a pipe without a reader, a file that cannot be opened */
#define GIVE_UP_MS 500 /* how long the end of the machine waits for a reader that stalls */
#define GIVE_UP_NS UINT64_C(2000000000) /* and for one that is slow */
#define QUIET_NS UINT64_C(10000000000)  /* between two lines of the log */

static const char *file_name(const struct writer *w)
{
    return w->output.numbered ? w->output.name : w->output.path;
}

/* ---- what is missing ---- */

static uint64_t missing(struct writer *w)
{
    return atomic_load(&w->ring.dropped) + w->lost;
}

/* One line if frames are missing that were not spoken of. */
static void tell_missing(struct writer *w, int at_end)
{
    uint64_t count = missing(w), now = output_now_ns();

    if (atomic_load(&w->ended) || count == w->told ||
        (!at_end && w->told && now - w->told_ns < QUIET_NS))
        return;
    w->told = count;
    w->told_ns = now;
    if (at_end)
        bp_logf(w->host, w->node, BP_LOG_WARN,
                "%" PRIu64 " of %" PRIu64 " frames are not in the capture", count,
                atomic_load(&w->accepted));
    else if (w->error && w->error != -EAGAIN && w->error != -ENXIO)
        bp_logf(w->host, w->node, BP_LOG_WARN,
                "cannot write '%s': %s; %" PRIu64 " frames so far are not in the capture, and "
                "traffic goes on",
                file_name(w), strerror(-w->error), count);
    else
        bp_logf(w->host, w->node, BP_LOG_WARN,
                "'%s' %s, and the buffer of %" PRIu64 " bytes is full; %" PRIu64
                " frames so far are not in the capture, and traffic goes on",
                file_name(w), w->error == -ENXIO ? "has no reader yet" : "takes frames too slowly",
                w->ring.size, count);
}

static void forget_chosen(struct writer *w)
{
    w->out_len = w->out_done = w->out_packet = w->piece = 0;
    w->piece_packets = 0;
    w->out_has_header = 0;
}

/* Does without what was chosen, of which nothing is written, and counts it. */
static void lose(struct writer *w)
{
    size_t len;
    const uint8_t *at = w->piece ? ring_oldest(&w->ring, &len) : NULL;
    uint64_t packets = (w->out_packet != 0) + w->piece_packets;

    w->lost += packets;
    w->untold += packets;
    if (w->out_packet)
        w->untold += w->format->packet_dropped(w->out + w->out_len - w->out_packet);
    for (size_t done = 0; done < w->piece; done += w->format->packet_size(at + done))
        w->untold += w->format->packet_dropped(at + done);
    ring_take(&w->ring, w->piece);
    forget_chosen(w);
}

static void forget_ring(struct writer *w)
{
    size_t len;

    while (ring_oldest(&w->ring, &len))
        ring_take(&w->ring, len);
}

/* The output is gone: nothing more is recorded. */
static void end_capture(struct writer *w, const char *why)
{
    forget_chosen(w);
    forget_ring(w);
    if (!atomic_exchange(&w->ended, 1))
        bp_logf(w->host, w->node, BP_LOG_WARN, "'%s': %s; the capture ends, and traffic goes on",
                file_name(w), why);
}

/* ---- what is written next ---- */

static void begin_out(struct writer *w)
{
    if (w->out_len || w->has_header)
        return;
    w->out_len = w->format->header(w->out, &w->info);
    w->out_has_header = 1;
}

static void add_statistics(struct writer *w)
{
    struct totals t = {.seen = atomic_load(&w->seen),
                       .accepted = atomic_load(&w->accepted),
                       .dropped = missing(w),
                       .written = w->written,
                       .when_ns = w->last_ns};

    begin_out(w);
    w->out_len += w->format->statistics(w->out + w->out_len, &t);
}

/* Bytes that the file still takes beside what is in `out`. */
static uint64_t room_in_file(const struct writer *w)
{
    uint64_t room = output_room(&w->output), kept = w->out_len + LAST_BYTES;

    return room == UINT64_MAX ? room : room > kept ? room - kept : 0;
}

/* Moves the ring's first packet into `out`, to say there what was lost before it. */
static void tell_in(struct writer *w, const uint8_t *packet)
{
    w->out_packet = w->format->packet_with(w->out + w->out_len, packet, w->untold);
    w->out_len += w->out_packet;
    w->untold = 0;
    ring_take(&w->ring, w->format->packet_size(packet));
}

/* Chooses from the ring, when nothing waits. Returns nonzero if the first packet belongs into a new
 * file. */
static int choose(struct writer *w)
{
    size_t len, first;
    const uint8_t *at = ring_oldest(&w->ring, &len);
    struct span s;
    uint64_t room;

    if (!at)
        return 0;
    begin_out(w);
    first = w->format->packet_size(at);
    if (w->has_packets && first > room_in_file(w))
        return 1;
    if (w->untold) {
        w->last_ns = w->format->packet_time(at);
        tell_in(w, at);
        at = ring_oldest(&w->ring, &len);
        first = 0;
    }
    room = room_in_file(w);
    room = room < PIECE_MAX ? room : PIECE_MAX;
    if (!at)
        return 0;
    /* A file has one packet at least. */
    s = span_of(w->format, at, len, room < first ? first : room);
    if (s.last)
        w->last_ns = w->format->packet_time(s.last);
    w->piece = s.len;
    w->piece_packets = s.packets;
    return 0;
}

/* ---- writing ---- */

/* 0, or what output_write() says; likewise write_piece(). */
static int write_out(struct writer *w)
{
    while (w->out_done < w->out_len) {
        int64_t n = output_write(&w->output, w->out + w->out_done, w->out_len - w->out_done);

        if (n < 0)
            return (int)n;
        w->out_done += (size_t)n;
    }
    w->has_header = w->has_header || w->out_has_header;
    w->has_packets = w->has_packets || w->out_packet;
    w->written += w->out_packet != 0;
    w->out_len = w->out_done = w->out_packet = 0;
    w->out_has_header = 0;
    return 0;
}

static int write_piece(struct writer *w)
{
    while (w->piece) {
        size_t len;
        const uint8_t *at = ring_oldest(&w->ring, &len);
        int64_t n = output_write(&w->output, at, w->piece);

        if (n < 0)
            return (int)n;
        ring_take(&w->ring, (size_t)n);
        w->piece -= (size_t)n;
        w->has_packets = 1;
    }
    w->written += w->piece_packets;
    w->piece_packets = 0;
    return 0;
}

/* 0: all that waits is written, or lost; -EAGAIN or -ENXIO: to be tried again. */
static int write_all(struct writer *w)
{
    int err = output_open(&w->output);

    w->error = err;
    if (err == -ENXIO && w->output.kind == OUTPUT_PIPE)
        return err;
    if (err) {
        lose(w);
        return 0;
    }
    err = write_out(w);
    if (!err)
        err = write_piece(w);
    w->error = err;
    if (!err || err == -EAGAIN)
        return err;
    if (err == -EPIPE || err == -ECONNRESET)
        end_capture(w, "its reader is gone");
    else if (w->output.kind != OUTPUT_FILE && w->output.written)
        end_capture(w, strerror(-err)); /* in the middle of a block, for all we know */
    else
        lose(w);
    return 0;
}

static void next_file(struct writer *w)
{
    add_statistics(w);
    write_all(w);
    output_next(&w->output);
    w->has_header = w->has_packets = 0;
    w->error = output_open(&w->output);
}

/* ---- the thread ---- */

/* Waits for a reason to go on; `err` as write_all() gave it. Returns 0 if the time passed. */
static int wait_for_work(struct writer *w, int err)
{
    struct pollfd p[2] = {{.fd = w->ring.wake.fd, .events = POLLIN},
                          {.fd = err == -EAGAIN ? w->output.fd : -1, .events = POLLOUT}};
    int stopping = (int)atomic_load(&w->stopping);
    int ms = stopping ? GIVE_UP_MS : (int)w->flush_ms;

    if (err && !stopping && ms > RETRY_MS)
        ms = RETRY_MS;
    /* Only the reader matters then; what is added wakes nobody, and costs no system calls. */
    if (err)
        p[0].fd = -1;
    if (atomic_load(&w->ended) && !stopping)
        ms = -1;
    return poll(p, 2, ms) != 0;
}

static int is_chosen(const struct writer *w)
{
    return w->out_len || w->piece;
}

/* One turn; returns as write_all(). `*more`: there is more to do at once. */
static int turn(struct writer *w, int *more)
{
    size_t len;
    int err;

    *more = 0;
    if (atomic_load(&w->ended)) {
        forget_ring(w);
        return 0;
    }
    if (!is_chosen(w) && choose(w)) {
        next_file(w);
        choose(w);
    }
    begin_out(w); /* a reader wants to see that this is a capture */
    err = is_chosen(w) ? write_all(w) : 0;
    *more = !err && ring_oldest(&w->ring, &len);
    tell_missing(w, 0);
    return err;
}

/* The last words in the file. */
static void finish(struct writer *w)
{
    if (!atomic_load(&w->ended) && !is_chosen(w)) {
        add_statistics(w);
        if (w->out_len)
            write_all(w);
    }
    tell_missing(w, 1);
}

static void *run(void *arg)
{
    struct writer *w = arg;
    uint64_t stopping_ns = 0;
    int err = 0;

    ring_populate(&w->ring);
    for (;;) {
        int more, stopping;

        if (!err)
            ring_calm(&w->ring);
        stopping = (int)atomic_load(&w->stopping); /* what was added before is written */
        if (stopping && !stopping_ns)
            stopping_ns = output_now_ns();
        err = turn(w, &more);
        if (stopping && !more && (!err || err == -ENXIO))
            break;
        if (!more && !wait_for_work(w, err) && stopping)
            break;
        if (stopping && err && output_now_ns() - stopping_ns > GIVE_UP_NS)
            break;
    }
    finish(w);
    return NULL;
}

int writer_init(struct writer *w, const struct bp_host *host, struct bp_node *node,
                const struct capture_config *c)
{
    const char *dot = strrchr(c->file, '.');
    int is_pcap = c->format == FORMAT_PCAP || (c->format == FORMAT_AUTO && dot &&
                                               (!strcmp(dot, ".pcap") || !strcmp(dot, ".cap")));
    int err;

    w->host = host;
    w->node = node;
    w->format = is_pcap ? &format_pcap : &format_pcapng;
    w->info = (struct file_info){.link = host->name(node),
                                 .filter = c->filter,
                                 .snaplen = c->snaplen,
                                 .guest_time = c->time == TIME_GUEST};
    w->flush_ms = c->flush;
    w->output.fd = -1;
    err = ring_init(&w->ring, c->buffer);
    if (!err) {
        w->out = malloc(OUT_BYTES);
        err = w->out ? 0 : -ENOMEM;
    }
    if (err)
        return bp_failf(host, node, err, "cannot make a buffer of %" PRIu64 " bytes: %s", c->buffer,
                        strerror(-err));
    return output_init(&w->output, host, node, c);
}

void writer_end(struct writer *w)
{
    uint64_t left = (w->out_packet != 0) + w->piece_packets;
    const uint8_t *at;
    size_t len;

    ring_take(&w->ring, w->piece);
    while (w->ring.data && (at = ring_oldest(&w->ring, &len))) {
        left += span_of(w->format, at, len, UINT64_MAX).packets;
        ring_take(&w->ring, len);
    }
    if (left && !atomic_load(&w->ended))
        bp_logf(w->host, w->node, BP_LOG_WARN,
                "'%s' did not take the last %" PRIu64 " frames of the capture", file_name(w), left);
    output_end(&w->output);
    free(w->out);
    ring_free(&w->ring);
}

int writer_start(struct writer *w)
{
    sigset_t all, before;
    int err;

    atomic_store(&w->stopping, 0);
    /* Signals are the program's, and SIGPIPE and SIGXFSZ are told by the error of the write. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        return bp_failf(w->host, w->node, -err, "cannot start the thread that writes the file: %s",
                        strerror(err));
#ifdef __linux__ /* elsewhere threads have names that only they can set */
    pthread_setname_np(w->thread, "bp-capture");
#endif
    w->runs = 1;
    return 0;
}

void writer_stop(struct writer *w)
{
    if (!w->runs)
        return;
    atomic_store(&w->stopping, 1);
    ring_wake(&w->ring);
    pthread_join(w->thread, NULL);
    w->runs = 0;
}
