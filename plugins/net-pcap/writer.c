/* SPDX-License-Identifier: MIT
 *
 * net-pcap/writer.c - the thread that takes records out of a ring and writes them to an output.
 *
 * It collects whole blocks and writes them together, at the latest after the time of `flush`; so a
 * process that is killed leaves a file that is good up to there. What cannot be written is lost and
 * counted: the next packet that is says how many (epb_dropcount), and a line of the log, at most
 * one in ten seconds. A pipe that is full is waited for, with the ring filling behind it; one whose
 * reader left ends the capture.
 */
#include "writer.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define OUT_BYTES ((size_t)FRAME_MAX * 2 + 4 * BLOCK_EXTRA)
#define RETRY_MS 100   /* a pipe without a reader, a file that cannot be opened */
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

static void lose_out(struct writer *w)
{
    w->lost += w->out_records;
    w->lost_before += w->out_records + w->out_told;
    w->out_len = w->out_done = 0;
    w->out_records = w->out_told = 0;
    w->out_has_header = 0;
}

/* The output is gone: nothing more is recorded. */
static void end_capture(struct writer *w, const char *why)
{
    lose_out(w);
    if (!atomic_exchange(&w->ended, 1))
        bp_logf(w->host, w->node, BP_LOG_WARN, "'%s': %s; the capture ends, and traffic goes on",
                file_name(w), why);
}

/* ---- from the ring into `out` ---- */

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
                       .written = w->written + w->out_records,
                       .when_ns = w->last_ns};

    begin_out(w);
    w->out_len += w->format->statistics(w->out + w->out_len, &t);
}

/* Moves records as long as they fit. Returns nonzero if the next one belongs into a new file. */
static int fill_out(struct writer *w)
{
    const struct record *r;

    while ((r = ring_oldest(&w->ring))) {
        struct record record = *r;

        if (w->out_len + r->caplen + 2 * BLOCK_EXTRA > OUT_BYTES)
            return 0;
        if ((w->has_records || w->out_records) &&
            output_is_due(&w->output, w->out_len + r->caplen + BLOCK_EXTRA / 8))
            return 1;
        begin_out(w);
        record.dropped += w->lost_before;
        w->lost_before = 0;
        w->out_told += record.dropped;
        w->out_len += w->format->packet(w->out + w->out_len, &record, (const uint8_t *)(r + 1));
        w->out_records++;
        w->last_ns = record.when_ns;
        ring_take(&w->ring, r);
    }
    return 0;
}

/* ---- from `out` into the file ---- */

/* 0: all is written, or lost; -EAGAIN or -ENXIO: to be tried again. */
static int write_out(struct writer *w)
{
    int err = output_open(&w->output);
    int64_t n;

    w->error = err;
    if (err == -ENXIO && w->output.kind == OUTPUT_PIPE)
        return err;
    if (err) {
        lose_out(w);
        return 0;
    }
    while (w->out_done < w->out_len) {
        n = output_write(&w->output, w->out + w->out_done, w->out_len - w->out_done);
        if (n > 0) {
            w->out_done += (size_t)n;
            continue;
        }
        w->error = (int)n;
        if (n == -EAGAIN)
            return -EAGAIN;
        if (n == -EPIPE || n == -ECONNRESET)
            end_capture(w, "its reader is gone");
        else if (w->output.kind != OUTPUT_FILE && w->output.written)
            end_capture(w, strerror((int)-n)); /* in the middle of a block, for all we know */
        else
            lose_out(w);
        return 0;
    }
    w->has_header = w->has_header || w->out_has_header;
    w->has_records = w->has_records || w->out_records;
    w->written += w->out_records;
    w->out_records = w->out_told = 0;
    w->out_len = w->out_done = 0;
    w->out_has_header = 0;
    return 0;
}

static void next_file(struct writer *w)
{
    add_statistics(w);
    write_out(w);
    output_next(&w->output);
    w->has_header = w->has_records = 0;
    w->error = output_open(&w->output);
}

static void forget_ring(struct writer *w)
{
    const struct record *r;

    while ((r = ring_oldest(&w->ring)))
        ring_take(&w->ring, r);
}

/* ---- the thread ---- */

/* Waits for a reason to go on; `err` as write_out() gave it. Returns 0 if the time passed. */
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

/* One turn; returns as write_out(). `*more`: there is more to do at once. */
static int turn(struct writer *w, int *more)
{
    int due = 0, err;

    *more = 0;
    if (atomic_load(&w->ended)) {
        forget_ring(w);
        return 0;
    }
    if (!w->out_done)
        due = fill_out(w);
    begin_out(w); /* a reader wants to see that this is a capture */
    err = w->out_len ? write_out(w) : 0;
    if (!err && due)
        next_file(w);
    *more = !err && ring_oldest(&w->ring);
    tell_missing(w, 0);
    return err;
}

/* The last words in the file. */
static void finish(struct writer *w)
{
    if (!atomic_load(&w->ended) && !w->out_len) {
        add_statistics(w);
        if (w->out_len)
            write_out(w);
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
    uint64_t left = w->out_records;
    const struct record *r;

    while (w->ring.data && (r = ring_oldest(&w->ring))) {
        ring_take(&w->ring, r);
        left++;
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
