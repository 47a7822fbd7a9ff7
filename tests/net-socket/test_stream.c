/* SPDX-License-Identifier: MIT
 *
 * net-socket's model `stream` as built, between a fake adapter and sockets of this machine only.
 */
#include "net_socket.h"

#include "fakes/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[40], path[64], url[80];
    struct stream_config config;
    struct fake_nic *nic;
    int peer, server; /* the test's ends, or -1 */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/net-socket-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
    snprintf(f->url, sizeof(f->url), "unix:%s", f->path);
    f->config.reconnect = 1;
    f->peer = f->server = -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fake_nic_free(f->nic);
    if (f->peer >= 0)
        close(f->peer);
    if (f->server >= 0)
        close(f->server);
    unlink(f->path);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    f->nic = fake_nic_new(fake_host_new(PLUGIN_FILE, "stream", &f->config));
}

static struct sockaddr_un unix_address(const struct fixture *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    memcpy(a.sun_path, f->path, strlen(f->path) + 1);
    return a;
}

static int call(const struct fixture *f)
{
    struct sockaddr_un a = unix_address(f);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void serve(struct fixture *f)
{
    struct sockaddr_un a = unix_address(f);

    f->server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->server, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->server, 4), 0);
}

static void listening(struct fixture *f)
{
    f->config.listen = f->url;
    start(f);
    f->peer = call(f);
    FAKE_NIC_WAIT(f->nic, f->nic->links == 2 && f->nic->up);
}

static void connecting(struct fixture *f)
{
    serve(f);
    f->config.connect = f->url;
    start(f);
    FAKE_NIC_WAIT(f->nic, (f->peer = accept4(f->server, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    FAKE_NIC_WAIT(f->nic, f->nic->up);
}

/* A frame behind its length, told from others by `number`. */
static uint32_t make(uint8_t *to, uint32_t len, uint32_t number)
{
    uint32_t prefix = htonl(len);

    memcpy(to, &prefix, 4);
    for (uint32_t i = 0; i < len; i++)
        to[4 + i] = (uint8_t)(i + number * 7);
    memcpy(to + 4, &number, 4);
    return 4 + len;
}

static void peer_sends(struct fixture *f, uint32_t len, uint32_t number)
{
    uint8_t data[2048];

    make(data, len, number);
    assert_int_equal(write(f->peer, data, 4 + len), 4 + len);
}

/* Reads `want` bytes from the peer's end, while the loop runs. */
static void peer_reads(struct fixture *f, uint8_t *to, uint32_t want)
{
    uint32_t got = 0;

    FAKE_NIC_WAIT(f->nic, ({
                      ssize_t n = recv(f->peer, to + got, want - got, 0);

                      got += n > 0 ? (uint32_t)n : 0;
                      got == want;
                  }));
}

static void expect_both_ways(struct fixture *f)
{
    uint8_t data[256], back[256];
    uint32_t before = f->nic->got.count;

    peer_sends(f, 100, 5);
    FAKE_NIC_WAIT(f->nic, f->nic->got.count == before + 1);
    make(data, 100, 5);
    assert_int_equal(f->nic->got.frames[before].len, 100);
    assert_memory_equal(f->nic->got.frames[before].data, data + 4, 100);
    make(data, 60, 6);
    assert_int_equal(fake_nic_send(f->nic, 0, data + 4, 60), 1);
    peer_reads(f, back, 64);
    assert_memory_equal(back, data, 64);
}

static void server_carries_frames_both_ways(void **state)
{
    struct fixture *f = *state;

    listening(f);
    expect_both_ways(f);
    fake_nic_expect_quiet(f->nic);
}

static void client_carries_frames_both_ways(void **state)
{
    struct fixture *f = *state;

    connecting(f);
    expect_both_ways(f);
    fake_nic_expect_quiet(f->nic);
}

static void tcp_carries_frames_both_ways(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    char url[64];

    f->server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->server, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->server, 1), 0);
    assert_int_equal(getsockname(f->server, (struct sockaddr *)&a, &len), 0);
    snprintf(url, sizeof(url), "tcp:127.0.0.1:%u", ntohs(a.sin_port));
    f->config.connect = url;
    start(f);
    FAKE_NIC_WAIT(f->nic, (f->peer = accept4(f->server, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    FAKE_NIC_WAIT(f->nic, f->nic->up);
    expect_both_ways(f);
}

static void link_is_down_until_somebody_is_there_and_frames_are_lost(void **state)
{
    struct fixture *f = *state;
    uint8_t data[60] = {0};

    f->config.listen = f->url;
    start(f);
    FAKE_NIC_WAIT(f->nic, f->nic->links == 1);
    assert_int_equal(f->nic->up, 0);
    assert_int_equal(fake_nic_send(f->nic, 0, data, sizeof(data)), 1);
    fake_nic_expect_quiet(f->nic);
    f->peer = call(f);
    FAKE_NIC_WAIT(f->nic, f->nic->up);
    expect_both_ways(f); /* the first that comes is not the one that was lost */
}

static void server_takes_one_peer_after_the_other(void **state)
{
    struct fixture *f = *state;
    char byte;
    int second;

    listening(f);
    second = call(f);
    FAKE_NIC_WAIT(f->nic, recv(second, &byte, 1, 0) == 0); /* sent away */
    close(second);
    expect_both_ways(f);
    for (int i = 0; i < 3; i++) {
        close(f->peer);
        FAKE_NIC_WAIT(f->nic, !f->nic->up);
        f->peer = call(f);
        FAKE_NIC_WAIT(f->nic, f->nic->up);
        expect_both_ways(f);
    }
    fake_nic_expect_quiet(f->nic);
}

static void client_looks_for_its_peer_until_it_is_back(void **state)
{
    struct fixture *f = *state;

    f->config.connect = f->url; /* nobody is there yet */
    start(f);
    FAKE_NIC_WAIT(f->nic, f->nic->links == 1);
    assert_non_null(strstr(fake_log(f->nic->host, NULL), "cannot connect to unix:/tmp/"));
    serve(f);
    for (int i = 0; i < 3; i++) {
        FAKE_NIC_WAIT(f->nic, (f->peer = accept4(f->server, NULL, NULL, SOCK_NONBLOCK)) >= 0);
        FAKE_NIC_WAIT(f->nic, f->nic->up);
        expect_both_ways(f);
        close(f->peer);
        f->peer = -1;
        FAKE_NIC_WAIT(f->nic, !f->nic->up);
    }
}

static void client_without_reconnect_tries_once(void **state)
{
    struct fixture *f = *state;

    f->config.connect = f->url;
    f->config.reconnect = 0;
    start(f);
    FAKE_NIC_WAIT(f->nic, f->nic->links == 1);
    serve(f);
    for (int i = 0; i < 100; i++) {
        fake_advance_ns(f->nic->host, UINT64_C(1000000000));
        fake_nic_turn(f->nic, 0);
    }
    assert_int_equal(accept4(f->server, NULL, NULL, SOCK_NONBLOCK), -1);
    assert_int_equal(f->nic->up, 0);
}

static void what_came_before_the_peer_left_is_delivered(void **state)
{
    struct fixture *f = *state;

    listening(f);
    for (uint32_t i = 0; i < 200; i++)
        peer_sends(f, 60, i);
    close(f->peer);
    f->peer = -1;
    FAKE_NIC_WAIT(f->nic, !f->nic->up);
    assert_int_equal(f->nic->got.count, 200);
}

static void frames_without_buffers_wait_in_order(void **state)
{
    struct fixture *f = *state;

    listening(f);
    f->nic->room[0] = 0;
    for (uint32_t i = 0; i < 100; i++)
        peer_sends(f, 60, i);
    FAKE_NIC_WAIT(f->nic, f->nic->held[0]);
    fake_nic_expect_quiet(f->nic);
    fake_nic_resume(f->nic, 0, 30);
    FAKE_NIC_WAIT(f->nic, f->nic->held[0]);
    assert_int_equal(f->nic->got.count, 30);
    fake_nic_resume(f->nic, 0, FAKE_NET_ANY);
    FAKE_NIC_WAIT(f->nic, f->nic->got.count == 100);
    assert_int_equal(f->nic->unwanted, 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_memory_equal(f->nic->got.frames[i].data, &i, 4);
}

static void adapter_waits_for_a_peer_that_does_not_read(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[4 + 9000], back[4 + 9000];
    uint32_t sent = 0;

    listening(f);
    for (;; sent++) {
        make(data, 9000, sent);
        if (!fake_nic_send(f->nic, 0, data + 4, 9000))
            break;
        assert_true(sent < 100000);
    }
    assert_true(sent > 0);
    fake_nic_expect_quiet(f->nic);
    assert_int_equal(f->nic->sent[0], 0);
    for (uint32_t i = 0; i < sent; i++) {
        make(data, 9000, i);
        peer_reads(f, back, sizeof(back));
        assert_memory_equal(back, data, sizeof(back));
    }
    FAKE_NIC_WAIT(f->nic, f->nic->sent[0] > 0);
    expect_both_ways(f);
}

static void a_peer_that_vanishes_lets_a_waiting_adapter_go_on(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[9000];

    listening(f);
    while (fake_nic_send(f->nic, 0, data, sizeof(data)))
        ;
    close(f->peer);
    f->peer = -1;
    FAKE_NIC_WAIT(f->nic, !f->nic->up);
    assert_int_equal(f->nic->sent[0], 1);
    assert_int_equal(fake_nic_send(f->nic, 0, data, sizeof(data)), 1);
}

static void a_pause_keeps_what_the_peer_sends(void **state)
{
    struct fixture *f = *state;
    const struct bp_instance_ops *ops;

    listening(f);
    ops = fake_ops(f->nic->host);
    ops->stop(fake_self(f->nic->host));
    peer_sends(f, 60, 1);
    ops->reset(fake_self(f->nic->host), BP_RESET_WARM);
    assert_int_equal(ops->start(fake_self(f->nic->host)), 0);
    FAKE_NIC_WAIT(f->nic, f->nic->got.count == 1);
    expect_both_ways(f);
    assert_int_equal(f->nic->up, 1);
}

static void bad_stream_takes_the_link_down_and_another_peer_may_come(void **state)
{
    struct fixture *f = *state;

    listening(f);
    assert_int_equal(write(f->peer, "GET / HTTP/1.1\r\n", 16), 16);
    FAKE_NIC_WAIT(f->nic, !f->nic->up);
    assert_non_null(strstr(fake_log(f->nic->host, NULL), "no frames behind their lengths"));
    assert_int_equal(f->nic->got.count, 0);
    close(f->peer);
    f->peer = call(f);
    FAKE_NIC_WAIT(f->nic, f->nic->up);
    expect_both_ways(f);
}

static void bad_lengths_are_left_out_and_the_rest_is_heard(void **state)
{
    struct fixture *f = *state;
    static const uint8_t zeros[16];

    listening(f);
    assert_int_equal(write(f->peer, zeros, sizeof(zeros)), sizeof(zeros)); /* four times 0 */
    expect_both_ways(f);
    assert_int_equal(f->nic->got.count, 1);
}

static void bad_frames_of_the_adapter_are_lost(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[BP_FRAME_MAX + 1];
    struct bp_buf buf = {data, 100};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf, .flags = 1};

    listening(f);
    assert_int_equal(fake_nic_send(f->nic, 0, data, 13), 1);
    assert_int_equal(fake_nic_send(f->nic, 0, data, sizeof(data)), 1);
    assert_int_equal(fake_nic_send_frames(f->nic, 0, &frame, 1), 1);
    expect_both_ways(f);
}

static void expect_refusal(struct fixture *f, int err, const char *want)
{
    struct fake_host *host;

    assert_int_equal(fake_host_try(PLUGIN_FILE, "stream", &f->config, &host), err);
    if (!strstr(fake_failure(), want))
        fail_msg("'%s' does not contain '%s'", fake_failure(), want);
}

static void bad_keys_are_told(void **state)
{
    struct fixture *f = *state;

    expect_refusal(f, -EINVAL, "neither `listen` nor `connect` is given");
    f->config.listen = f->config.connect = f->url;
    expect_refusal(f, -EINVAL, "both `listen` and `connect` are given");
    f->config.connect = NULL;
    f->config.listen = "unix:/nowhere/at/all";
    expect_refusal(f, -ENOENT,
                   "cannot listen at unix:/nowhere/at/all: No such file or directory; give "
                   "`listen` another address");
}

static void bad_path_in_use_is_told_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    serve(f);
    f->config.listen = f->url;
    expect_refusal(f, -EADDRINUSE, "another program listens at '/tmp/");
    close(f->server);
    f->server = open(f->path, O_RDONLY); /* ENXIO: a socket */
    assert_int_equal(f->server, -1);
    listening(f); /* it was left by a program that is gone */
    expect_both_ways(f);
    fake_nic_free(f->nic);
    f->nic = NULL;
    assert_int_equal(lstat(f->path, &st), -1);
    f->server = open(f->path, O_CREAT | O_WRONLY, 0600);
    expect_refusal(f, -EEXIST, "exists and is no socket; remove it");
    assert_int_equal(lstat(f->path, &st), 0);
}

static void bad_permission_is_told(void **state)
{
    struct fixture *f = *state;

    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0); /* whom the folder is not open to */
    else
        assert_int_equal(chmod(f->folder, 0500), 0);
    f->config.listen = f->url;
    expect_refusal(f, -EACCES, "Permission denied");
    if (geteuid() == 65534)
        assert_int_equal(seteuid(0), 0);
    else
        assert_int_equal(chmod(f->folder, 0700), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(server_carries_frames_both_ways),
        TEST(client_carries_frames_both_ways),
        TEST(tcp_carries_frames_both_ways),
        TEST(link_is_down_until_somebody_is_there_and_frames_are_lost),
        TEST(server_takes_one_peer_after_the_other),
        TEST(client_looks_for_its_peer_until_it_is_back),
        TEST(client_without_reconnect_tries_once),
        TEST(what_came_before_the_peer_left_is_delivered),
        TEST(frames_without_buffers_wait_in_order),
        TEST(adapter_waits_for_a_peer_that_does_not_read),
        TEST(a_peer_that_vanishes_lets_a_waiting_adapter_go_on),
        TEST(a_pause_keeps_what_the_peer_sends),
        TEST(bad_stream_takes_the_link_down_and_another_peer_may_come),
        TEST(bad_lengths_are_left_out_and_the_rest_is_heard),
        TEST(bad_frames_of_the_adapter_are_lost),
        TEST(bad_keys_are_told),
        TEST(bad_path_in_use_is_told_and_left_alone),
        TEST(bad_permission_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
