/* SPDX-License-Identifier: MIT
 *
 * replay-speed PLUGIN [FOLDER] - packets a second of net-pcap's `replay` at `speed = max`, from a
 * file of a million packets of 60 bytes in memory (FOLDER is a tmpfs; default /dev/shm) into an
 * adapter that only counts, on the fake host of the unit tests: no guest, no driver. The best and
 * the median of five turns, each beside libpcap reading the same file in a bare loop, just before.
 * Asserts nothing but that all packets came.
 */
#include "fakes/host.h"
#include "net_pcap.h"

#include <backplane/util/frame.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PACKETS 1000000u
#define BYTES 60u
#define TURNS 5u

static const char *plugin, *folder = "/dev/shm";

struct sink {
    uint64_t packets, bytes;
};

static int receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct sink *s = self;

    (void)queue;
    s->packets++;
    s->bytes += bp_frame_len(frame);
    return 0;
}

static void ignore(void *self, uint32_t value)
{
    (void)self;
    (void)value;
}

static const struct bp_net_port port = {
    .size = sizeof(struct bp_net_port), .receive = receive, .sent = ignore, .link = ignore};

/* Of this process on a processor: what else the machine does does not count. */
static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void write_file(const char *path)
{
    uint8_t data[BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x52, 0x55, 10, 0, 2, 2, 0x88, 0xb5};
    pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *out = p ? pcap_dump_open(p, path) : NULL;

    assert_non_null(out);
    for (uint32_t i = 0; i < PACKETS; i++) {
        struct pcap_pkthdr h = {.caplen = BYTES, .len = BYTES};

        h.ts.tv_sec = i / 1000000;
        h.ts.tv_usec = i % 1000000;
        memcpy(data + 14, &i, sizeof(i));
        pcap_dump((u_char *)out, &h, data);
    }
    assert_int_equal(pcap_dump_flush(out), 0);
    pcap_dump_close(out);
    pcap_close(p);
}

/* Packets a second that libpcap alone reads. */
static double read_alone(const char *path)
{
    char why[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *h;
    const u_char *data;
    uint32_t count = 0;
    double start = cpu_s();
    pcap_t *p = pcap_open_offline(path, why);

    assert_non_null(p);
    while (pcap_next_ex(p, &h, &data) == 1)
        count++;
    pcap_close(p);
    assert_int_equal(count, PACKETS);
    return PACKETS / (cpu_s() - start);
}

static double replay(const char *path)
{
    struct replay_config config = {.file = path, .speed = "max"};
    struct fake_host *h = fake_host_new(plugin, "replay", &config);
    const struct bp_net *net = fake_ops(h)->extension(fake_self(h), BP_NET_ID);
    struct sink sink = {0};
    double start = cpu_s(), time;

    assert_int_equal(net->attach(fake_self(h), &port, &sink), 0);
    while (sink.packets < PACKETS)
        fake_advance_ns(h, 1000);
    time = cpu_s() - start;
    assert_int_equal(sink.bytes, (uint64_t)PACKETS * BYTES);
    fake_host_free(h);
    return PACKETS / time;
}

static void speed_of_replay(void **state)
{
    double turns[TURNS], bare[TURNS];
    char path[512];

    (void)state;
    snprintf(path, sizeof(path), "%s/replay-speed-%d.pcap", folder, (int)getpid());
    write_file(path);
    for (uint32_t i = 0; i < TURNS; i++) {
        bare[i] = read_alone(path);
        turns[i] = replay(path);
    }
    unlink(path);
    qsort(turns, TURNS, sizeof(turns[0]), compare_doubles);
    qsort(bare, TURNS, sizeof(bare[0]), compare_doubles);
    printf("replay, 60 bytes   %6.2f million packets/s, best of %u %.2f (goal: 5); libpcap alone "
           "%.2f\n",
           turns[TURNS / 2] * 1e-6, TURNS, turns[TURNS - 1] * 1e-6, bare[TURNS / 2] * 1e-6);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(speed_of_replay)};

    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: replay-speed PLUGIN [FOLDER]\n");
        return 2;
    }
    plugin = argv[1];
    if (argc == 3)
        folder = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
