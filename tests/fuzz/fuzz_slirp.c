/* SPDX-License-Identifier: MIT
 *
 * Fuzzes net-user: the input is frames of a guest, time, and an adapter that has room or not. The
 * plugin's sources are part of this program; libslirp is Debian's, without sanitizers of its own,
 * so that of its faults those are seen that end the process, that pass through an intercepted
 * function of libc, or that make frames which are none. The network is restricted: nothing is sent
 * to anybody, whatever the input says.
 */
#include "net_user.h"

#include <backplane/util/offload.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TIMERS 4u
#define FRAME 2048u

struct bp_node {
    uint64_t now_ns, timers[TIMERS];
    void (*ready)(void *self, int fd, uint32_t events);
    void *ready_self;
    int fd, inside, full, held;
};

struct input {
    const uint8_t *data;
    size_t left;
};

/* libslirp forgets the names of TFTP transfers that are open at its end, at most twenty, which is
 * known; what this plugin takes, it takes by malloc() itself. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) /* NOLINT(bugprone-reserved-identifier) */
{
    return "leak:libglib-2.0";
}

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_slirp: %s\n", what);
    abort();
}

/* ---- the host and the adapter ---- */

static void host_log(struct bp_node *n, uint32_t level, const char *text)
{
    (void)n;
    (void)level;
    must(!strchr(text, '\n'), "a bad line in the log");
}

static int host_fail(struct bp_node *n, int err, const char *text)
{
    (void)n;
    fprintf(stderr, "fuzz_slirp: %s\n", text);
    return err;
}

static const char *host_name(struct bp_node *n)
{
    (void)n;
    return "user";
}

static uint64_t host_clock_ns(struct bp_node *n)
{
    return n->now_ns;
}

static int host_timer_set(struct bp_node *n, uint32_t id, uint64_t when_ns)
{
    must(id < TIMERS, "a timer beyond those that there are");
    n->timers[id] = when_ns;
    return 0;
}

static int host_fd_watch(struct bp_node *n, int fd, uint32_t events,
                         void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    n->fd = fd;
    n->ready = events ? ready : NULL;
    n->ready_self = self;
    return 0;
}

static const struct bp_host host = {.size = sizeof(host),
                                    .log = host_log,
                                    .fail = host_fail,
                                    .name = host_name,
                                    .clock_ns = host_clock_ns,
                                    .timer_set = host_timer_set,
                                    .fd_watch = host_fd_watch};

/* Reads all of each frame, so that a sanitizer sees what is not the plugin's. */
static int port_receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct bp_node *n = self;
    uint8_t copy[BP_FRAME_MAX];
    uint64_t len = bp_frame_len(frame);

    must(!queue && !n->inside && !n->held, "receive() where it may not be called");
    must(len >= BP_FRAME_MIN && len <= BP_FRAME_MAX && !frame->flags && !frame->gso_type,
         "a frame that is none");
    bp_frame_gather(frame, copy, sizeof(copy));
    n->held = n->full;
    return n->full ? -EAGAIN : 0;
}

static void port_sent(void *self, uint32_t queue)
{
    (void)self;
    (void)queue;
}

static void port_link(void *self, uint32_t up)
{
    (void)self;
    (void)up;
}

static const struct bp_net_port port = {
    .size = sizeof(port), .receive = port_receive, .sent = port_sent, .link = port_link};

/* ---- the guest ---- */

static uint32_t take(struct input *in, uint32_t bytes)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < bytes && in->left; i++, in->data++, in->left--)
        value = value << 8 | *in->data;
    return value;
}

/* Beginnings of frames that libslirp looks into: the rest is the input's. */
static const struct {
    uint8_t len;
    char bytes[64];
} kinds[] = {
    {0, ""},
    /* ARP */
    {42,
     "\xff\xff\xff\xff\xff\xff\x52\x54\0\x12\x34\x56\x08\x06\0\1\x08\0\6\4\0\1\x52\x54\0\x12\x34"
     "\x56\x0a\0\2\x0f\0\0\0\0\0\0\x0a\0\2\2"},
    /* ICMP, UDP to the gateway, to DHCP, TFTP and DNS; TCP */
    {34,
     "\x52\x55\x0a\0\2\2\x52\x54\0\x12\x34\x56\x08\0\x45\0\0\x54\0\1\0\0\x40\1\0\0\x0a\0\2\x0f\x0a"
     "\0\2\2"},
    {42,
     "\xff\xff\xff\xff\xff\xff\x52\x54\0\x12\x34\x56\x08\0\x45\0\1\x48\0\1\0\0\x40\x11\0\0\0\0\0\0"
     "\xff\xff\xff\xff\0\x44\0\x43\1\x34\0\0"},
    {42,
     "\x52\x55\x0a\0\2\2\x52\x54\0\x12\x34\x56\x08\0\x45\0\0\x40\0\1\0\0\x40\x11\0\0\x0a\0\2\x0f"
     "\x0a\0\2\2\x10\0\0\x45\0\x2c\0\0"},
    {42,
     "\x52\x55\x0a\0\2\3\x52\x54\0\x12\x34\x56\x08\0\x45\0\0\x40\0\1\0\0\x40\x11\0\0\x0a\0\2\x0f"
     "\x0a\0\2\3\x10\0\0\x35\0\x2c\0\0"},
    {54,
     "\x52\x55\x0a\0\2\2\x52\x54\0\x12\x34\x56\x08\0\x45\0\0\x28\0\1\0\0\x40\6\0\0\x0a\0\2\x0f\x0a"
     "\0\2\2\x10\0\0\x50\0\0\0\1\0\0\0\0\x50\2\x20\0\0\0\0\0"},
    /* IPv6 with ICMPv6, UDP to TFTP, TCP, and a fragment */
    {54,
     "\x33\x33\0\0\0\2\x52\x54\0\x12\x34\x56\x86\xdd\x60\0\0\0\0\x20\x3a\xff\xfe\xc0\0\0\0\0\0\0"
     "\x50\x54\0\xff\xfe\x12\x34\x56\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"},
    {62,
     "\x52\x56\0\0\0\2\x52\x54\0\x12\x34\x56\x86\xdd\x60\0\0\0\0\x20\x11\x40\xfe\xc0\0\0\0\0\0\0"
     "\x50\x54\0\xff\xfe\x12\x34\x56\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\x10\0\0\x45\0\x20\0\0"},
    {54,
     "\x52\x56\0\0\0\2\x52\x54\0\x12\x34\x56\x86\xdd\x60\0\0\0\0\x20\6\x40\xfe\xc0\0\0\0\0\0\0\x50"
     "\x54\0\xff\xfe\x12\x34\x56\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"},
    {54,
     "\x52\x56\0\0\0\2\x52\x54\0\x12\x34\x56\x86\xdd\x60\0\0\0\0\x20\x2c\x40\xfe\xc0\0\0\0\0\0\0"
     "\x50\x54\0\xff\xfe\x12\x34\x56\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"},
};

#define NO_SUM 0x80u    /* checksums as the input has them */
#define NO_LENGTH 0x40u /* lengths too */

/* What would be dropped for its checksums never gets far: makes them good, and the lengths. */
static void mend(uint8_t *f, uint32_t len, uint32_t how)
{
    uint32_t header = (f[14] & 15u) * 4u, type = bp_be16(f + 12), at, sum, protocol;

    if (type == 0x86dd && len >= 54) {
        if (!(how & NO_LENGTH))
            bp_put_be16(f + 18, len - 54);
        at = 54;
        protocol = f[20];
        sum = bp_sum(f + 22, 32, protocol + len - at);
    } else if (type == 0x0800 && len >= 34 && header >= 20 && 14 + header <= len) {
        if (!(how & NO_LENGTH))
            bp_put_be16(f + 16, len - 14);
        bp_put_be16(f + 24, 0);
        bp_put_be16(f + 24, ~bp_sum(f + 14, header, 0) & 0xffffu);
        at = 14 + header;
        protocol = f[23];
        sum = protocol == 1 ? 0 : bp_sum(f + 26, 8, protocol + len - at);
    } else {
        return;
    }
    if (how & NO_SUM)
        return;
    if (protocol == 17 && at + 8 <= len) {
        if (!(how & NO_LENGTH))
            bp_put_be16(f + at + 4, len - at);
        bp_put_be16(f + at + 6, 0);
        bp_checksum_fill(f, len, at, 6);
        bp_put_be16(f + at + 6, 0);
        bp_put_be16(f + at + 6, ~bp_sum(f + at, len - at, sum) & 0xffffu);
    } else if (protocol == 6 && at + 20 <= len) {
        bp_put_be16(f + at + 16, 0);
        bp_put_be16(f + at + 16, ~bp_sum(f + at, len - at, sum) & 0xffffu);
    } else if ((protocol == 1 || protocol == 58) && at + 4 <= len) {
        bp_put_be16(f + at + 2, 0);
        bp_put_be16(f + at + 2, ~bp_sum(f + at, len - at, sum) & 0xffffu);
    }
}

/* A frame: a kind, changes in its headers, and what follows them. */
static void send_frame(struct bp_node *n, const struct bp_net *net, void *self, struct input *in)
{
    uint8_t data[FRAME] = {0};
    uint32_t how = take(in, 1), kind = (how & 0x3fu) % (uint32_t)(sizeof(kinds) / sizeof(kinds[0]));
    uint32_t changes = take(in, 1) % 8, len = kinds[kind].len, more = take(in, 2) % 1500u;
    uint32_t given = take(in, 1);
    struct bp_buf buf = {data, 0};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};

    memcpy(data, kinds[kind].bytes, len);
    for (uint32_t i = 0; i < given && i < more; i++)
        data[len + i] = (uint8_t)take(in, 1);
    for (uint32_t i = 0; i < changes; i++) {
        uint32_t where = take(in, 1);

        data[where] = (uint8_t)take(in, 1);
    }
    buf.len = len + more;
    if (buf.len >= BP_FRAME_MIN + 20)
        mend(data, (uint32_t)buf.len, how);
    n->inside = 1;
    must(net->send(self, 0, &frame, 1) == 1, "send() takes less than everything");
    n->inside = 0;
}

static void advance(struct bp_node *n, void *self, uint64_t ns)
{
    n->now_ns += ns;
    for (uint32_t round = 0; round < 64; round++) {
        for (uint32_t id = 0; id < TIMERS; id++) {
            if (n->timers[id] > n->now_ns)
                continue;
            n->timers[id] = UINT64_MAX;
            user_ops.timer(self, id);
        }
        if (n->ready)
            n->ready(n->ready_self, n->fd, BP_FD_READ);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct user_config config = {.network = "10.0.2.0/24",
                                              .network6 = "fec0::/64",
                                              .hostname = "guest",
                                              .domain = "example.org",
                                              .tftp = "/proc/self/fdinfo",
                                              .bootfile = "0",
                                              .sockets = 32,
                                              .mtu = 1500,
                                              .ipv4 = 1,
                                              .ipv6 = 1,
                                              .restricted = 1};
    struct bp_node n = {.now_ns = 1};
    struct input in = {data, size};
    const struct bp_net *net;
    void *self;

    memset(n.timers, 0xff, sizeof(n.timers));
    must(!user_ops.create(&host, &n, &config, &self), "create() failed");
    net = user_ops.extension(self, BP_NET_ID);
    must(net && !net->attach(self, &port, &n), "attach() failed");
    user_ops.reset(self, BP_RESET_COLD);
    user_ops.start(self);
    while (in.left) {
        switch (take(&in, 1) % 8) {
        case 0:
            advance(&n, self, (uint64_t)take(&in, 1) << 28);
            break;
        case 1:
            n.full = (int)(take(&in, 1) & 1u);
            break;
        case 2:
            n.held = 0;
            n.inside = 1;
            net->resume(self, 0);
            n.inside = 0;
            break;
        default:
            send_frame(&n, net, self, &in);
            break;
        }
    }
    n.full = n.held = 0;
    net->resume(self, 0);
    advance(&n, self, UINT64_C(1000000000));
    user_ops.stop(self);
    user_ops.destroy(self);
    return 0;
}
