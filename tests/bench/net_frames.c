/* SPDX-License-Identifier: MIT
 *
 * net-frames - how many frames and bytes a second each network backend passes, without a guest: the
 * plugins as built, at an adapter that only counts, on the fake host of the unit tests. Taps stand
 * in a network namespace of the program's own. Asserts nothing.
 *
 *     net-frames PLUGIN-FOLDER [SECONDS]
 *
 * One thread does all: the figures are those of one core that is adapter, loop and far end at once.
 */
#include "fakes/host.h"
#include "fakes/netns.h"

#include <arpa/inet.h>
#include <backplane/util/frame.h>
#include <net-loop/net_loop.h>
#include <net-tap/config.h>
#include <net-user/config.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 64u

struct meter {
    struct fake_host *host;
    const struct bp_net *ops;
    void *self;
    uint64_t frames, bytes; /* received */
};

static char folder[400];
static double seconds = 1;

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct meter *m = self;

    (void)queue;
    m->frames++;
    m->bytes += bp_frame_len(frame);
    return 0;
}

static void sent(void *self, uint32_t queue)
{
    (void)self;
    (void)queue;
}

static void changed(void *self, uint32_t up)
{
    (void)self;
    (void)up;
}

static const struct bp_net_port port = {
    .size = sizeof(struct bp_net_port), .receive = receive, .sent = sent, .link = changed};

static struct meter open_meter(const char *plugin, const char *model, const void *config)
{
    struct meter m = {0};
    char path[512];

    snprintf(path, sizeof(path), "%s/%s.so", folder, plugin);
    m.host = fake_host_new(path, model, config);
    m.self = fake_self(m.host);
    m.ops = fake_ops(m.host)->extension(m.self, BP_NET_ID);
    return m;
}

static void print(const char *name, uint64_t frames, uint64_t bytes, double time)
{
    printf("%-40s %8.0f kframes/s %8.0f MB/s\n", name, (double)frames / time * 1e-3,
           (double)bytes / time * 1e-6);
}

/* Sends bursts of equal frames for a while, with turns of the loop in between. */
static void send_for_a_while(struct meter *m, const char *name, const struct bp_frame *one,
                             int counts_echo)
{
    struct bp_frame frames[BURST];
    uint64_t count = 0;
    double start = now_s(), time;

    for (uint32_t i = 0; i < BURST; i++)
        frames[i] = *one;
    m->ops->attach(m->self, &port, m);
    do {
        count += m->ops->send(m->self, 0, frames, BURST);
        fake_advance_ns(m->host, 1000);
        if (!counts_echo)
            fake_poll(m->host, 0);
        time = now_s() - start;
    } while (time < seconds);
    if (counts_echo)
        print(name, m->frames, m->bytes, time);
    else
        print(name, count, count * bp_frame_len(one), time);
    fake_host_free(m->host);
}

static void loop(uint32_t len)
{
    static const struct echo_config config = {.depth = 256, .queues = 1, .swap = 1};
    static uint8_t data[65536];
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    struct meter m = open_meter("net-loop", "echo", &config);
    char name[64];

    snprintf(name, sizeof(name), "net-loop, echo, %u bytes", len);
    send_for_a_while(&m, name, &frame, 1);
}

static uint16_t ip_checksum(const uint8_t *ip)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < 20; i += 2)
        sum += (uint32_t)ip[i] << 8u | ip[i + 1];
    sum = (sum & 0xffffu) + (sum >> 16u);
    return (uint16_t) ~(sum + (sum >> 16u));
}

/* A UDP datagram of `len` bytes in all from 10.x.y.2 or .15, whose far end is `to`. */
static void make_udp(uint8_t *f, uint32_t len, const char *from, const char *to, uint16_t to_port)
{
    static const uint8_t head[] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 0, 0x45};
    uint16_t n = (uint16_t)(len - 14), sum;

    memset(f, 0, len);
    memset(f, 0xff, 6);
    memcpy(f + 6, head, sizeof(head));
    f[16] = (uint8_t)(n >> 8u);
    f[17] = (uint8_t)n;
    f[22] = 64;
    f[23] = 17;
    inet_pton(AF_INET, from, f + 26);
    inet_pton(AF_INET, to, f + 30);
    sum = ip_checksum(f + 14);
    f[24] = (uint8_t)(sum >> 8u);
    f[25] = (uint8_t)sum;
    n = (uint16_t)(len - 34);
    f[34] = 0x10;
    f[36] = (uint8_t)(to_port >> 8u);
    f[37] = (uint8_t)to_port;
    f[38] = (uint8_t)(n >> 8u);
    f[39] = (uint8_t)n;
}

static int udp_socket(const char *address, uint16_t *number)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, address, &a.sin_addr);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
        getsockname(fd, (struct sockaddr *)&a, &len)) {
        perror("socket");
        exit(1);
    }
    *number = ntohs(a.sin_port);
    return fd;
}

static void user(void)
{
    static const struct user_config config = {
        .mtu = 1500, .sockets = 512, .ipv4 = 1, .host_loopback = 1};
    static const uint8_t gateway[] = {0x52, 0x55, 10, 0, 2, 2};
    static uint8_t data[1514];
    struct bp_buf buf = {data, sizeof(data)};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    struct meter m = open_meter("net-user", NULL, &config);
    uint16_t number;
    int fd = udp_socket("127.0.0.1", &number);

    make_udp(data, sizeof(data), "10.0.2.15", "10.0.2.2", number);
    memcpy(data, gateway, sizeof(gateway));
    send_for_a_while(&m, "net-user, UDP from the guest, 1514 bytes", &frame, 0);
    close(fd);
}

static void tap_out(uint32_t len, int offloads)
{
    static const char *const address[] = {"10.9.0.1/24"};
    const struct tap_config config = {
        .address = {address, 1}, .queues = 1, .vnet_hdr = (uint8_t)offloads, .up = 1};
    static uint8_t data[65536];
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    struct meter m = open_meter("net-tap", NULL, &config);
    uint16_t number = 0;
    int fd = udp_socket("10.9.0.1", &number);
    char name[64];

    make_udp(data, len, "10.9.0.2", "10.9.0.1", number);
    if (len > 1514) { /* a large segment, of which the host's stack makes what it likes */
        data[23] = 6;
        data[24] = data[25] = 0;
        *(uint16_t *)(void *)(data + 24) = htons(ip_checksum(data + 14));
        data[46] = 5u << 4u;
        frame.flags = 1;
        frame.gso_type = 1;
        frame.hdr_len = 54;
        frame.gso_size = 1460;
        frame.csum_start = 34;
        frame.csum_offset = 16;
    }
    snprintf(name, sizeof(name), "net-tap, guest to host, %u bytes%s", len,
             len > 1514 ? ", segments"
             : offloads ? ""
                        : ", no header");
    send_for_a_while(&m, name, &frame, 0);
    close(fd);
}

static void tap_in(int offloads)
{
    static const char *const address[] = {"10.9.0.1/24"};
    const struct tap_config config = {
        .address = {address, 1}, .queues = 1, .vnet_hdr = (uint8_t)offloads, .up = 1};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4000)};
    struct meter m = open_meter("net-tap", NULL, &config);
    static const uint8_t data[1472];
    uint16_t number = 0;
    double start, time;
    int fd;

    netns_run("ip neigh replace 10.9.0.2 lladdr 52:54:00:12:34:56 dev tap0");
    fd = udp_socket("10.9.0.1", &number);
    inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
    m.ops->attach(m.self, &port, &m);
    if (offloads)
        m.ops->set_offloads(m.self, BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4);
    start = now_s();
    do {
        for (uint32_t i = 0; i < BURST; i++)
            if (sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
                break;
        fake_poll(m.host, 0);
        time = now_s() - start;
    } while (time < seconds);
    print(offloads ? "net-tap, host to guest, 1514 bytes"
                   : "net-tap, host to guest, 1514 bytes, no header",
          m.frames, m.bytes, time);
    close(fd);
    fake_host_free(m.host);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: net-frames PLUGIN-FOLDER [SECONDS]\n");
        return 2;
    }
    snprintf(folder, sizeof(folder), "%s", argv[1]);
    if (argc > 2)
        seconds = strtod(argv[2], NULL);
    if (access("/dev/net/tun", R_OK | W_OK) == 0 && geteuid() == 0)
        netns_enter(argv);
    loop(60);
    loop(1514);
    user();
    if (netns_why()) {
        printf("net-tap: not measured: needs root, /dev/net/tun and a network namespace\n");
        return 0;
    }
    tap_out(1514, 0);
    tap_out(1514, 1);
    tap_out(64054, 1);
    tap_in(0);
    tap_in(1);
    return 0;
}
