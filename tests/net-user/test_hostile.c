/* SPDX-License-Identifier: MIT
 *
 * net-user as built, against a guest that means harm: frames of every length and none that is
 * right, more connections than there may be, fragments that never become a datagram. What it does
 * not show is that libslirp has no fault.
 */
#include "stack.h"

#include <errno.h>
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

static void bad_fragments_without_end_are_bounded(void **state)
{
    struct user_config config = default_config();
    uint8_t packet[1500] = {0x45, 0, 5, 0xdc, 0, 0, 0x20, 0, 64, PROTOCOL_UDP};
    struct stack *s;
    uint32_t sent = 0;

    (void)state;
    config.restricted = 1;
    s = stack_new(&config);
    stack_arp(s);
    memcpy(packet + 12, "\12\0\2\17\12\0\2\2", 8);
    for (; sent < 30000; sent++) {
        uint32_t sum = 0;

        packet[4] = (uint8_t)(sent >> 8u);
        packet[5] = (uint8_t)sent;
        packet[10] = packet[11] = 0;
        for (uint32_t i = 0; i < 20; i += 2)
            sum += (uint32_t)packet[i] << 8u | packet[i + 1];
        sum = (sum & 0xffffu) + (sum >> 16u);
        sum = ~(sum + (sum >> 16u)) & 0xffffu;
        packet[10] = (uint8_t)(sum >> 8u);
        packet[11] = (uint8_t)sum;
        stack_send_ether(s, s->host_mac, 0x0800, packet, sizeof(packet));
    }
    stack_arp(s);
    fake_ops(s->nic->host)->stop(s->nic->self);
    /* 32 MiB of frames of 1,514 bytes were taken: 22,162. */
    assert_string_equal(fake_log(s->nic->host, NULL),
                        "lost 0 frames for the guest and 7838 from it");
    stack_free(s);
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
        TEST(bad_fragments_without_end_are_bounded),
        TEST(bad_52_answers_that_nobody_takes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
