/* SPDX-License-Identifier: MIT
 *
 * net-user as built, against a guest that means harm: frames of every length and none that is
 * right, more connections than there may be, fragments that never become a datagram. What it does
 * not show is that libslirp has no fault.
 */
#include "stack.h"

#include <backplane/util/offload.h>
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t random32(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1;
    return (uint32_t)(*seed >> 33u);
}

/* Bytes that look like something often enough to be looked at. */
static uint32_t hostile_frame(uint8_t *frame, uint64_t *seed)
{
    static const uint8_t types[][2] = {{8, 0}, {8, 6}, {0x86, 0xdd}, {0x81, 0}};
    static const uint8_t protocols[] = {1, 6, 17, 58, 44, 0};
    uint32_t len = random32(seed) % 200, kind = random32(seed) % 4;

    for (uint32_t i = 0; i < len; i++)
        frame[i] = (uint8_t)random32(seed);
    if (len < 14)
        return len;
    memset(frame, 0xff, 6);
    memcpy(frame + 12, types[kind], 2);
    if (len < 60)
        return len;
    if (kind == 0) {
        frame[14] = random32(seed) % 4 ? 0x45 : (uint8_t)random32(seed);
        frame[16] = 0;
        frame[23] = protocols[random32(seed) % 5];
        memcpy(frame + 26, "\12\0\2\17\12\0\2", 7);
        frame[33] = (uint8_t)(2 + random32(seed) % 3);
    } else if (kind == 2) {
        frame[14] = 0x60;
        frame[18] = 0;
        frame[20] = protocols[random32(seed) % 6];
    }
    return len;
}

static void bad_51_random_frames_change_nothing(void **state)
{
    struct user_config config = default_config();
    struct stack *s;
    uint8_t frame[256];
    uint64_t seed = 1;
    struct packet p;

    (void)state;
    config.restricted = 1; /* nothing leaves this machine */
    config.host_loopback = 0;
    s = stack_new(&config);
    for (uint32_t i = 0; i < 20000; i++) {
        fake_nic_send(s->nic, 0, frame, hostile_frame(frame, &seed));
        if (i % 16 == 0)
            stack_turn(s);
        if (i % 1000 == 0)
            fake_frames_clear(&s->nic->got);
    }
    fake_frames_clear(&s->nic->got);
    s->seen = 0;
    for (int i = 0; i < 100; i++) {
        stack_turn(s);
        fake_frames_clear(&s->nic->got);
    }
    stack_arp(s);
    while (stack_next(s, &p))
        ;
    stack_free(s);
}

static void bad_51_lengths_and_offloads_are_dropped(void **state)
{
    static uint8_t frame[BP_FRAME_MAX + 1];
    struct user_config config = default_config();
    struct bp_buf buf = {frame, 64};
    struct bp_frame gso = {.size = sizeof(gso), .nbufs = 1, .bufs = &buf, .gso_type = 1};
    struct bp_frame csum = {.size = sizeof(csum), .nbufs = 1, .bufs = &buf, .flags = 1};
    struct stack *s = stack_new(&config);

    (void)state;
    assert_int_equal(fake_nic_send(s->nic, 0, frame, 0), 1);
    assert_int_equal(fake_nic_send(s->nic, 0, frame, 13), 1);
    assert_int_equal(fake_nic_send(s->nic, 0, frame, 14), 1);
    frame[12] = 8;
    frame[14] = 0x45;
    assert_int_equal(fake_nic_send(s->nic, 0, frame, BP_FRAME_MAX), 1);
    assert_int_equal(fake_nic_send(s->nic, 0, frame, BP_FRAME_MAX + 1), 1);
    assert_int_equal(fake_nic_send_frames(s->nic, 0, &gso, 1), 1);
    assert_int_equal(fake_nic_send_frames(s->nic, 0, &csum, 1), 1);
    assert_int_equal(s->nic->ops->offloads(s->nic->self), 0);
    assert_int_equal(s->nic->ops->set_offloads(s->nic->self, 1), -EINVAL);
    assert_int_equal(s->nic->ops->set_queues(s->nic->self, 2), -EINVAL);
    stack_arp(s);
    fake_ops(s->nic->host)->stop(s->nic->self);
    assert_string_equal(fake_log(s->nic->host, NULL), "lost 0 frames for the guest and 5 from it");
    stack_free(s);
}

static uint32_t accept_all(int listener, int *fds, uint32_t count, uint32_t max)
{
    while (count < max) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            break;
        fds[count++] = fd;
    }
    return count;
}

static void bad_connections_without_end_are_bounded(void **state)
{
    struct user_config config = default_config();
    struct connection c = {.ip = HOST_IP, .seq = 1, .window = 65535};
    struct stack *s;
    struct packet p;
    uint32_t port = 0, count = 0;
    int listener = local_socket(SOCK_STREAM, &port), fds[64];

    (void)state;
    config.sockets = 16;
    s = stack_new(&config);
    stack_arp(s);
    c.port = port;
    for (uint32_t i = 0; i < 500; i++) {
        c.own_port = 2000 + i;
        stack_send_tcp(s, &c, TCP_SYN, NULL, 0);
        if (i % 50 == 0) {
            stack_turn(s);
            count = accept_all(listener, fds, count, 64);
        }
    }
    for (int i = 0; i < 20; i++) {
        stack_turn(s);
        count = accept_all(listener, fds, count, 64);
    }
    assert_int_equal(count, 16);
    /* When they are gone there is room for others. */
    c.seq = 2;
    for (uint32_t i = 0; i < 500; i++) {
        c.own_port = 2000 + i;
        stack_send_tcp(s, &c, TCP_RST, NULL, 0);
    }
    for (int i = 0; i < 20; i++) {
        stack_turn(s);
        while (stack_next(s, &p))
            ;
    }
    while (count)
        close(fds[--count]);
    assert_int_equal(tcp_connect(s, &c, 5000, port), 1);
    close(listener);
    stack_free(s);
}

/* Sends bytes [at, at + len) of a UDP datagram of `total` bytes from port 4000 to the gateway's
 * `port`, whose byte i is i * 7, as a fragment with identification `id`. */
static void send_fragment(struct stack *s, uint32_t id, uint32_t port, uint32_t at, uint32_t len,
                          uint32_t total)
{
    static const uint8_t addresses[8] = {10, 0, 2, 15, 10, 0, 2, 2};
    static uint8_t packet[20 + 8192], datagram[8192];
    uint32_t word = at / 8 | (at + len < total ? 0x2000u : 0u);

    for (uint32_t i = 8; i < total; i++)
        datagram[i] = (uint8_t)(i * 7);
    bp_put_be16(datagram, 4000);
    bp_put_be16(datagram + 2, port);
    bp_put_be16(datagram + 4, total);
    memset(packet, 0, 20);
    packet[0] = 0x45;
    packet[8] = 64;
    packet[9] = PROTOCOL_UDP;
    bp_put_be16(packet + 2, 20 + len);
    bp_put_be16(packet + 4, id);
    bp_put_be16(packet + 6, word);
    memcpy(packet + 12, addresses, sizeof(addresses));
    bp_put_be16(packet + 10, ~bp_sum(packet, 20, 0) & 0xffffu);
    memcpy(packet + 20, datagram + at, len);
    stack_send_ether(s, s->host_mac, 0x0800, packet, 20 + len);
}

/* One datagram more, whole, and nothing before it. */
static void expect_datagram(struct stack *s, int fd, uint32_t id, uint32_t port)
{
    uint8_t data[8192];
    ssize_t n = -1;

    send_fragment(s, id, port, 0, 1480, 3000);
    send_fragment(s, id, port, 1480, 1520, 3000);
    STACK_WAIT(s, (n = recv(fd, data, sizeof(data), 0)) >= 0);
    assert_int_equal(n, 2992);
    for (uint32_t i = 0; i < 2992; i++)
        assert_int_equal(data[i], (uint8_t)((i + 8) * 7));
}

static void fragments_arrive_as_one_datagram_in_any_order(void **state)
{
    static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    uint32_t port = 0;
    int fd = local_socket(SOCK_DGRAM, &port);
    uint8_t data[8192];
    ssize_t n;

    (void)state;
    stack_arp(s);
    for (uint32_t o = 0; o < 6; o++) {
        for (uint32_t i = 0; i < 3; i++) {
            send_fragment(s, o + 1, port, orders[o][i] * 1480u, orders[o][i] == 2 ? 1040 : 1480,
                          4000);
            if (i < 2) /* another one in between */
                send_fragment(s, 100 + o, port, i * 1480, 1480, 4000);
        }
        STACK_WAIT(s, (n = recv(fd, data, sizeof(data), 0)) >= 0);
        assert_int_equal(n, 3992);
        for (uint32_t i = 0; i < 3992; i++)
            assert_int_equal(data[i], (uint8_t)((i + 8) * 7));
    }
    stack_free(s);
    close(fd);
}

/* With libslirp 4.7 alone, the first of these ends the process. */
static void bad_last_fragments_that_come_first_do_no_harm(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    uint32_t port = 0;
    int fd = local_socket(SOCK_DGRAM, &port);

    (void)state;
    stack_arp(s);
    for (uint32_t id = 1; id < 200; id++)
        send_fragment(s, id, port, id * 8, 8, id * 8 + 8);
    stack_arp(s);
    expect_datagram(s, fd, 1000, port);
    stack_free(s);
    close(fd);
}

static void bad_fragments_that_overlap_or_do_not_fit_are_no_datagram(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    uint32_t port = 0;
    int fd = local_socket(SOCK_DGRAM, &port);

    (void)state;
    stack_arp(s);
    send_fragment(s, 1, port, 0, 1480, 3000); /* over one that is there */
    send_fragment(s, 1, port, 1472, 1528, 3000);
    send_fragment(s, 2, port, 1480, 1520, 3000); /* behind the end */
    send_fragment(s, 2, port, 0, 1480, 4000);
    send_fragment(s, 2, port, 3000, 80, 4000);
    send_fragment(s, 3, port, 0, 1479, 3000); /* no multiple of 8 */
    send_fragment(s, 3, port, 1480, 1520, 3000);
    send_fragment(s, 4, port, 0, 0, 3000); /* of nothing */
    send_fragment(s, 4, port, 1480, 1520, 3000);
    send_fragment(s, 7, port, 3000, 1480, 8000); /* beyond an end that comes later: as many */
    send_fragment(s, 7, port, 1480, 40, 3000);   /* bytes as the whole has, and gaps in it */
    send_fragment(s, 7, port, 2520, 480, 3000);
    send_fragment(s, 7, port, 0, 1000, 3000);
    send_fragment(s, 5, port, 0, 1480, 3000); /* forgotten meanwhile */
    fake_advance_ns(s->nic->host, UINT64_C(31000000000));
    send_fragment(s, 5, port, 1480, 1520, 3000);
    expect_datagram(s, fd, 6, port);
    stack_free(s);
    close(fd);
}

static void bad_fragments_without_end_are_bounded(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    uint32_t port = 0;
    int fd = local_socket(SOCK_DGRAM, &port);
    size_t before;

    (void)state;
    stack_arp(s);
    send_fragment(s, 0, port, 0, 1480, 3000);
    before = mallinfo2().uordblks; /* 0 where a sanitizer has the heap */
    for (uint32_t id = 1; id < 30000; id++)
        send_fragment(s, id, port, 0, 1480, 3000);
    assert_true(mallinfo2().uordblks <= before + (2u << 20u));
    expect_datagram(s, fd, 30000, port);
    stack_free(s);
    close(fd);
}

/* An adapter that takes nothing while the guest asks for answers. */
static void bad_52_answers_that_nobody_takes_are_bounded(void **state)
{
    static const uint8_t echo[1400] = {8, 0};
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);

    (void)state;
    stack_arp(s);
    s->nic->room[0] = 0;
    for (uint32_t i = 0; i < 5000; i++)
        stack_send_ip(s, PROTOCOL_ICMP, GUEST_IP, HOST_IP, echo, sizeof(echo));
    for (int i = 0; i < 20; i++)
        stack_turn(s);
    fake_nic_expect_quiet(s->nic);
    fake_frames_clear(&s->nic->got);
    s->seen = 0;
    fake_nic_resume(s->nic, 0, FAKE_NET_ANY);
    for (int i = 0; i < 200; i++)
        stack_turn(s);
    assert_true(s->nic->got.count <= 1024);
    fake_frames_clear(&s->nic->got);
    s->seen = 0;
    stack_arp(s);
    stack_free(s);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_51_random_frames_change_nothing),
        TEST(bad_51_lengths_and_offloads_are_dropped),
        TEST(bad_connections_without_end_are_bounded),
        TEST(fragments_arrive_as_one_datagram_in_any_order),
        TEST(bad_last_fragments_that_come_first_do_no_harm),
        TEST(bad_fragments_that_overlap_or_do_not_fit_are_no_datagram),
        TEST(bad_fragments_without_end_are_bounded),
        TEST(bad_52_answers_that_nobody_takes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
