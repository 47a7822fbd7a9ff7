/* SPDX-License-Identifier: MIT
 *
 * capture-sample FOLDER - makes guest.pcapng and guest.pcap there by the model `capture`, for
 * read_back.sh to look at: four frames, of which the buffer had no room for a fifth between the
 * second and the third, and the last of which leaves its checksum and its cutting to the receiver.
 */
#include "link.h"
#include "net_pcap.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *folder;

static void make(const char *name, uint32_t time)
{
    static uint8_t frame[70000];
    struct bp_buf buf = {frame, 100};
    struct bp_frame partial = {.size = sizeof(partial),
                               .nbufs = 1,
                               .bufs = &buf,
                               .flags = 1,
                               .gso_type = 5,
                               .gso_size = 32,
                               .csum_start = 34,
                               .csum_offset = 6};
    struct link *l = link_new();
    char path[512];
    struct capture_config config = {.net = l->behind,
                                    .file = path,
                                    .filter = "udp",
                                    .snaplen = FRAME_MAX,
                                    .buffer = 65536,
                                    .time = time,
                                    .flush = 50};

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    link_start(l, "capture", &config);
    fake_set_utc_ns(l->host, UINT64_C(1700000000123456789));
    link_udp(frame, 60, 1001);
    link_send(l, frame, 60);
    link_udp(frame, 1514, 1002);
    link_receive(l, frame, 1514);
    link_udp(frame, 65534, 1003); /* more than the buffer holds with its own */
    link_send(l, frame, 65534);
    fake_set_utc_ns(l->host, UINT64_C(1700000000123456790));
    fake_advance_ns(l->host, 1500000001);
    link_udp(frame, 61, 1004);
    link_send(l, frame, 61);
    link_udp(frame, 100, 1005);
    frame[12] = 8;
    l->net->send(l->self, 0, &partial, 1);
    memset(frame + 12, 0x88, 2); /* no UDP: not recorded */
    link_send(l, frame, 100);
    link_free(l);
}

/* Two large TCP packets that an adapter leaves to be cut, and a frame whose checksum it leaves. */
static void make_cut(const char *name, uint8_t segment)
{
    static uint8_t frame[LINK_TCP(60000)];
    struct link *l = link_new();
    char path[512];
    struct capture_config config = {.net = l->behind,
                                    .file = path,
                                    .snaplen = FRAME_MAX,
                                    .buffer = 1u << 20u,
                                    .flush = 50,
                                    .segment = segment};

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    link_start(l, "capture", &config);
    link_large_tcp(l, frame, 60000, 1448);
    link_large_tcp(l, frame, 1449, 1448);
    link_large_tcp(l, frame, 100, 1448);
    link_free(l);
}

static void samples_are_made(void **state)
{
    make_cut("whole.pcapng", 0);
    make_cut("cut.pcapng", 1);
    (void)state;
    make("guest.pcapng", TIME_HOST);
    make("guest.pcap", TIME_HOST);
    make("time.pcapng", TIME_GUEST);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(samples_are_made)};

    if (argc != 2) {
        fprintf(stderr, "usage: capture-sample FOLDER\n");
        return 2;
    }
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
