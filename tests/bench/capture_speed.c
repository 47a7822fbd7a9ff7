/* SPDX-License-Identifier: MIT
 *
 * capture-speed PLUGIN [FOLDER] - frames a second through net-pcap's `capture`, into /dev/null and
 * into a file in FOLDER (a tmpfs; default /dev/shm), beside the same link without it.
 * capture-speed PLUGIN count in|out LEN FRAMES - so many frames, for callgrind to count the
 * instructions of: between a network and a NIC that do nothing, with a checksum to be filled in
 * and, when they are long, to be cut, as a guest sends and gets them; into /dev/null, all recorded.
 *
 * flood: as fast as one thread can send, to a network that copies each frame. What the buffer had
 * no room for is told: the link must not become slower for it. paced: the sender waits whenever a
 * quarter of the buffer is sent, so that all is recorded; the time is that until the last frame is
 * in the file. The median of five turns. Ratios are what another machine can compare.
 */
#include "fakes/host.h"
#include "net_pcap.h"

#include <backplane/util/finish.h>
#include <backplane/util/frame.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAMES 200000u
#define TURNS 5u
#define BUFFER (UINT64_C(16) << 20)
#define COUNT_BUFFER (UINT64_C(4) << 20) /* as the key's default */

static const char *plugin, *folder = "/dev/shm";
static uint8_t sink[2048];

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    (void)self;
    (void)port;
    (void)port_self;
    return 0;
}

static uint32_t send_frames(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    (void)self;
    (void)queue;
    for (uint32_t i = 0; i < count; i++)
        bp_frame_gather(bp_frame_at(frames, i), sink, sizeof(sink));
    return count;
}

static void resume(void *self, uint32_t queue)
{
    (void)self;
    (void)queue;
}

static const struct bp_net wire = {
    .size = sizeof(struct bp_net), .attach = attach, .send = send_frames, .resume = resume};

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Sends FRAMES frames; ns for each. */
static double flood(const struct bp_net *net, void *self, uint32_t len)
{
    static uint8_t data[2048];
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    double began = now_ns();

    for (uint32_t i = 0; i < FRAMES; i++)
        net->send(self, 0, &frame, 1);
    return (now_ns() - began) / FRAMES;
}

/* The same in batches that fit into the buffer, until all is written; ns for each. */
static double paced(struct fake_host *h, const struct bp_net *net, void *self, uint32_t len)
{
    static uint8_t data[2048];
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    uint32_t batch = (uint32_t)(BUFFER / 4 / (len + 64));
    double began = now_ns();

    for (uint32_t i = 0; i < FRAMES; i++) {
        net->send(self, 0, &frame, 1);
        if (i % batch == batch - 1 || i == FRAMES - 1) {
            /* A stop writes all. */
            fake_ops(h)->stop(self);
            fake_ops(h)->start(self);
        }
    }
    return (now_ns() - began) / FRAMES;
}

/* "N of M frames" of the line that a stop logs, or 0. */
static unsigned long lost(struct fake_host *h)
{
    const char *text = fake_log(h, NULL);

    return strstr(text, "are not in the capture") ? strtoul(text, NULL, 10) : 0;
}

static void print(const char *what, uint32_t len, double ns, double bare, unsigned long missing)
{
    printf("%-24s %5u bytes  %8.0f ns a frame  %9.0f frames/s  %5.1f times the link alone", what,
           len, ns, 1e9 / ns, ns / bare);
    if (missing)
        printf("  %4.1f %% not recorded", 100.0 * (double)missing / FRAMES);
    putchar('\n');
}

static void measure(const char *name, const char *file, uint32_t len, double bare, int is_paced)
{
    double turns[TURNS];
    unsigned long missing = 0;
    char what[64];

    for (uint32_t i = 0; i < TURNS; i++) {
        struct capture_config config = {.net = fake_peer(BP_NET_ID, &wire, sink),
                                        .file = file,
                                        .snaplen = FRAME_MAX,
                                        .buffer = BUFFER,
                                        .flush = 200};
        struct fake_host *h = fake_host_new(plugin, "capture", &config);
        const struct bp_net *net = fake_ops(h)->extension(fake_self(h), BP_NET_ID);

        turns[i] = is_paced ? paced(h, net, fake_self(h), len) : flood(net, fake_self(h), len);
        fake_ops(h)->stop(fake_self(h));
        missing += lost(h);
        fake_host_free(h);
    }
    qsort(turns, TURNS, sizeof(turns[0]), compare_doubles);
    snprintf(what, sizeof(what), "%s, %s", is_paced ? "paced" : "flood", name);
    print(what, len, turns[TURNS / 2], bare, missing / TURNS);
}

static void speed_of_captures(void **state)
{
    static const uint32_t lens[] = {60, 1514};
    char file[512];

    (void)state;
    snprintf(file, sizeof(file), "%s/capture-speed-%d.pcapng", folder, (int)getpid());
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        double turns[TURNS];

        for (uint32_t k = 0; k < TURNS; k++)
            turns[k] = flood(&wire, sink, lens[i]);
        qsort(turns, TURNS, sizeof(turns[0]), compare_doubles);
        print("flood, no capture", lens[i], turns[TURNS / 2], turns[TURNS / 2], 0);
        measure("/dev/null", "/dev/null", lens[i], turns[TURNS / 2], 0);
        measure("tmpfs", file, lens[i], turns[TURNS / 2], 0);
        measure("/dev/null", "/dev/null", lens[i], turns[TURNS / 2], 1);
        measure("tmpfs", file, lens[i], turns[TURNS / 2], 1);
    }
    unlink(file);
}

/* ---- count ---- */

static uint32_t take_frames(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    (void)self;
    (void)queue;
    (void)frames;
    return count;
}

static int take_frame(void *self, uint32_t queue, const struct bp_frame *frame)
{
    (void)self;
    (void)queue;
    (void)frame;
    return 0;
}

static const struct bp_net idle_wire = {
    .size = sizeof(struct bp_net), .attach = attach, .send = take_frames, .resume = resume};
static const struct bp_net_port idle_nic = {.size = sizeof(struct bp_net_port),
                                            .receive = take_frame};

static void count(int inwards, uint32_t len, uint32_t frames)
{
    static uint8_t data[BP_FRAME_MAX];
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = BP_HDR_NEEDS_CSUM,
                             .gso_type = len > 1514 ? BP_GSO_TCPV4 : BP_GSO_NONE,
                             .hdr_len = 66,
                             .gso_size = len > 1514 ? 1448 : 0,
                             .csum_start = 34,
                             .csum_offset = 16};
    struct bp_node *behind = fake_peer(BP_NET_ID, &idle_wire, sink);
    struct capture_config config = {.net = behind,
                                    .file = "/dev/null",
                                    .snaplen = FRAME_MAX,
                                    .buffer = COUNT_BUFFER,
                                    .flush = 200};
    struct fake_host *h = fake_host_new(plugin, "capture", &config);
    const struct bp_net *net = fake_ops(h)->extension(fake_self(h), BP_NET_ID);
    uint32_t batch = (uint32_t)(COUNT_BUFFER / 4 / (len + 128)) + 1;
    const struct bp_net_port *port;
    void *port_self;

    assert_int_equal(net->attach(fake_self(h), &idle_nic, sink), 0);
    port = fake_port(behind, &port_self);
    for (uint32_t i = 0; i < frames; i++) {
        if (inwards)
            port->receive(port_self, 0, &frame);
        else
            net->send(fake_self(h), 0, &frame, 1);
        if (i % batch == batch - 1) {
            fake_ops(h)->stop(fake_self(h));
            fake_ops(h)->start(fake_self(h));
        }
    }
    fake_ops(h)->stop(fake_self(h));
    printf("%u frames of %u bytes, %lu not recorded\n", frames, len, lost(h));
    fake_host_free(h);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(speed_of_captures)};

    if (argc == 6 && !strcmp(argv[2], "count")) {
        plugin = argv[1];
        count(!strcmp(argv[3], "in"), (uint32_t)strtoul(argv[4], NULL, 10),
              (uint32_t)strtoul(argv[5], NULL, 10));
        return 0;
    }
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: capture-speed PLUGIN [FOLDER]\n"
                        "       capture-speed PLUGIN count in|out LEN FRAMES\n");
        return 2;
    }
    plugin = argv[1];
    if (argc == 3)
        folder = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
