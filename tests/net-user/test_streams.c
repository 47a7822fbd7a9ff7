/* SPDX-License-Identifier: MIT
 *
 * net-user as built: TCP through forwards and out of the guest, back-pressure at the adapter, a
 * pause, and `restrict`. All over the loopback of this machine.
 */
#include "stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 300000u

static uint8_t pattern[BYTES];

static void make_pattern(void)
{
    for (uint32_t i = 0; i < BYTES; i++)
        pattern[i] = (uint8_t)(i * 13 + i / 777);
}

/* A stack whose guest listens at port 22, behind *port of the host. */
static struct stack *forwarded(struct user_config *config, uint32_t *port)
{
    static char forward[64];
    static const char *const forwards[] = {forward};
    struct stack *s;

    *port = free_port(SOCK_STREAM);
    snprintf(forward, sizeof(forward), "tcp:127.0.0.1:%u:10.0.2.15:22", *port);
    config->forward = (struct bp_list){forwards, 1};
    s = stack_new(config);
    stack_arp(s);
    return s;
}

static void forward_carries_bytes_both_ways(void **state)
{
    struct user_config config = default_config();
    static uint8_t back[BYTES];
    struct connection c;
    struct stack *s;
    uint32_t port, sent = 0, got = 0;
    int fd;

    (void)state;
    make_pattern();
    s = forwarded(&config, &port);
    fd = local_connect(port);
    tcp_accept(s, &c, 22);
    for (int turns = 0; c.len < BYTES && turns < 20000; turns++) {
        ssize_t n = send(fd, pattern + sent, BYTES - sent, MSG_NOSIGNAL);

        if (n > 0)
            sent += (uint32_t)n;
        tcp_turn(s, &c);
    }
    assert_int_equal(c.len, BYTES);
    assert_memory_equal(c.data, pattern, BYTES);
    for (uint32_t at = 0; at < BYTES; at += 10000) {
        tcp_send(s, &c, pattern + at, 10000);
        STACK_WAIT(s, ({
                       ssize_t n = recv(fd, back + got, BYTES - got, 0);
                       got += n > 0 ? (uint32_t)n : 0;
                       got == at + 10000;
                   }));
    }
    assert_memory_equal(back, pattern, BYTES);
    close(fd);
    for (int turns = 0; !c.closed && turns < 2000; turns++)
        tcp_turn(s, &c);
    assert_int_equal(c.closed, TCP_FIN);
    tcp_free(&c);
    stack_free(s);
}

/* libslirp's sockets that listen block: one that is asked too late would stop the loop. */
static void what_is_no_longer_ready_stops_nothing(void **state)
{
    struct user_config config = default_config();
    struct connection c;
    uint32_t port;
    struct stack *s = forwarded(&config, &port);
    int fd;

    (void)state;
    alarm(60); /* nothing else ends a turn that hangs */
    for (int i = 0; i < 3; i++) {
        fake_poll_late(s->nic->host);
        stack_turn(s);
    }
    fd = local_connect(port);
    tcp_accept(s, &c, 22);
    fake_poll_late(s->nic->host);
    stack_turn(s);
    alarm(0);
    close(fd);
    stack_free(s);
}

/* The kernel takes them at once; one for which there is no room has to try again a second later. */
static void many_may_connect_at_once(void **state)
{
    struct user_config config = default_config();
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint32_t port, connected = 0;
    struct stack *s = forwarded(&config, &port);
    int fds[100];

    (void)state;
    to.sin_port = htons((uint16_t)port);
    for (uint32_t i = 0; i < 100; i++) {
        socklen_t len = sizeof(to);
        struct sockaddr_in peer;

        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        assert_true(fds[i] >= 0);
        if (connect(fds[i], (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
            fail_msg("connect(): %s", strerror(errno));
        connected += !getpeername(fds[i], (struct sockaddr *)&peer, &len);
    }
    assert_int_equal(connected, 100);
    for (uint32_t i = 0; i < 100; i++)
        close(fds[i]);
    stack_free(s);
}

static void guest_reaches_a_program_of_the_host(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    struct connection c;
    uint32_t port = 0;
    int listener = local_socket(SOCK_STREAM, &port), fd = -1;
    char data[16];

    (void)state;
    stack_arp(s);
    assert_int_equal(tcp_connect(s, &c, 3000, port), 1);
    STACK_WAIT(s, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    tcp_send(s, &c, "GET /", 5);
    STACK_WAIT(s, recv(fd, data, sizeof(data), 0) == 5);
    assert_memory_equal(data, "GET /", 5);
    assert_int_equal(send(fd, "200 OK", 6, MSG_NOSIGNAL), 6);
    for (int turns = 0; c.len < 6 && turns < 2000; turns++)
        tcp_turn(s, &c);
    assert_int_equal(c.len, 6);
    assert_memory_equal(c.data, "200 OK", 6);
    tcp_close(s, &c);
    STACK_WAIT(s, recv(fd, data, sizeof(data), 0) == 0);
    close(fd);
    close(listener);
    tcp_free(&c);
    stack_free(s);
}

static void segments_are_no_longer_than_the_guest_asked_for(void **state)
{
    struct user_config config = default_config();
    struct stack *s;
    struct connection c;
    uint32_t port = 0, sent = 0;
    int listener = local_socket(SOCK_STREAM, &port), fd = -1;

    (void)state;
    make_pattern();
    config.mtu = 9000; /* and the guest's interface has 1500 */
    s = stack_new(&config);
    stack_arp(s);
    s->mss = 1460;
    assert_int_equal(tcp_connect(s, &c, 3000, port), 1);
    STACK_WAIT(s, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    for (int turns = 0; c.len < 100000 && turns < 20000; turns++) {
        ssize_t n = send(fd, pattern + sent, 100000 - sent, MSG_NOSIGNAL);

        sent += n > 0 ? (uint32_t)n : 0;
        tcp_turn(s, &c);
    }
    assert_int_equal(c.len, 100000);
    assert_memory_equal(c.data, pattern, 100000);
    assert_int_equal(s->longest, 1514);
    tcp_close(s, &c);
    close(fd);
    close(listener);
    tcp_free(&c);
    stack_free(s);
}

static void nobody_at_the_port_is_a_reset(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    struct connection c;

    (void)state;
    stack_arp(s);
    assert_int_equal(tcp_connect(s, &c, 3000, free_port(SOCK_STREAM)), 0);
    stack_free(s);
}

static void restricted_guest_reaches_nothing_but_is_reached(void **state)
{
    struct user_config config = default_config();
    struct connection c;
    struct stack *s;
    uint32_t port = 0, forward;
    int listener, fd;

    (void)state;
    config.restricted = 1;
    s = forwarded(&config, &forward);
    listener = local_socket(SOCK_STREAM, &port);
    assert_int_equal(tcp_connect(s, &c, 3000, port), 0);
    assert_int_equal(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1);
    fd = local_connect(forward);
    tcp_accept(s, &c, 22);
    close(fd);
    close(listener);
    stack_free(s);
}

static void loopback_of_the_host_can_be_closed(void **state)
{
    struct user_config config = default_config();
    struct connection c = {.ip = HOST_IP, .own_port = 3000, .seq = 1000, .window = 65535};
    struct stack *s;
    uint32_t port = 0;
    int listener = local_socket(SOCK_STREAM, &port);

    (void)state;
    config.host_loopback = 0;
    s = stack_new(&config);
    stack_arp(s);
    c.port = port;
    stack_send_tcp(s, &c, TCP_SYN, NULL, 0);
    for (int i = 0; i < 20; i++)
        stack_turn(s);
    assert_int_equal(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1);
    close(listener);
    stack_free(s);
}

static void adapter_without_buffers_slows_the_sender_and_loses_nothing(void **state)
{
    struct user_config config = default_config();
    struct connection c;
    struct stack *s;
    uint32_t port, sent = 0, still = 0;
    int fd;

    (void)state;
    make_pattern();
    s = forwarded(&config, &port);
    fd = local_connect(port);
    tcp_accept(s, &c, 22);
    tcp_turn(s, &c);
    s->nic->room[0] = 0;
    for (int turns = 0; turns < 50; turns++) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
            sent++;
        stack_turn(s);
    }
    assert_int_equal(c.len, 0);
    assert_int_equal(s->nic->refused, 1);
    fake_nic_expect_quiet(s->nic);
    /* One frame at a time: each resume() is for what the adapter can hold. */
    while (c.len < sent && still++ < 20000) {
        if (s->nic->held[0])
            fake_nic_resume(s->nic, 0, 1);
        tcp_turn(s, &c);
    }
    assert_int_equal(c.len, sent);
    assert_int_equal(s->nic->unwanted, 0);
    close(fd);
    tcp_free(&c);
    stack_free(s);
}

static void connection_survives_a_pause(void **state)
{
    struct user_config config = default_config();
    struct connection c;
    struct stack *s;
    uint32_t port;
    int fd;

    (void)state;
    s = forwarded(&config, &port);
    fd = local_connect(port);
    tcp_accept(s, &c, 22);
    tcp_turn(s, &c);
    fake_ops(s->nic->host)->stop(s->nic->self);
    assert_int_equal(send(fd, "typed", 5, MSG_NOSIGNAL), 5);
    assert_int_equal(fake_ops(s->nic->host)->start(s->nic->self), 0);
    for (int turns = 0; c.len < 5 && turns < 2000; turns++)
        tcp_turn(s, &c);
    assert_int_equal(c.len, 5);
    assert_memory_equal(c.data, "typed", 5);
    assert_int_equal(c.closed, 0);
    close(fd);
    tcp_free(&c);
    stack_free(s);
}

static void reset_drops_what_waits_and_the_network_goes_on(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);

    (void)state;
    s->nic->room[0] = 0;
    stack_turn(s);
    fake_ops(s->nic->host)->stop(s->nic->self);
    fake_ops(s->nic->host)->reset(s->nic->self, BP_RESET_WARM);
    assert_int_equal(fake_ops(s->nic->host)->start(s->nic->self), 0);
    s->nic->held[0] = 0;
    s->nic->room[0] = FAKE_NET_ANY;
    stack_arp(s);
    stack_free(s);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forward_carries_bytes_both_ways),
        TEST(what_is_no_longer_ready_stops_nothing),
        TEST(many_may_connect_at_once),
        TEST(guest_reaches_a_program_of_the_host),
        TEST(segments_are_no_longer_than_the_guest_asked_for),
        TEST(nobody_at_the_port_is_a_reset),
        TEST(restricted_guest_reaches_nothing_but_is_reached),
        TEST(loopback_of_the_host_can_be_closed),
        TEST(adapter_without_buffers_slows_the_sender_and_loses_nothing),
        TEST(connection_survives_a_pause),
        TEST(reset_drops_what_waits_and_the_network_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
