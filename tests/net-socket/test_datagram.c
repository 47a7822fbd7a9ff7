/* SPDX-License-Identifier: MIT
 *
 * net-socket's model `datagram` as built, between a fake adapter and sockets of this machine only.
 */
#include "net_socket.h"

#include "fakes/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int udp(char *url, size_t size)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(url, size, "udp:127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

/* Where `n` sends from: it sends one frame, which is read. */
static struct sockaddr_in address_of(struct fake_nic *n, int peer)
{
    uint8_t data[64] = {1}, back[64];
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    assert_int_equal(fake_nic_send(n, 0, data, sizeof(data)), 1);
    FAKE_NIC_WAIT(n, recvfrom(peer, back, sizeof(back), 0, (struct sockaddr *)&a, &len) == 64);
    assert_memory_equal(data, back, sizeof(data));
    return a;
}

static void udp_send(int fd, const struct sockaddr_in *to, const void *data, size_t len)
{
    assert_int_equal(sendto(fd, data, len, 0, (const struct sockaddr *)to, sizeof(*to)), len);
}

static void udp_carries_frames_both_ways_from_its_peer_alone(void **state)
{
    char url[64], other_url[64];
    int peer = udp(url, sizeof(url)), other = udp(other_url, sizeof(other_url));
    struct datagram_config config = {.local = "udp:127.0.0.1:0", .remote = url};
    struct fake_nic *n = fake_nic_new(fake_host_new(PLUGIN_FILE, "datagram", &config));
    struct sockaddr_in at = address_of(n, peer);
    static uint8_t data[3000] = {1, 2, 3};

    (void)state;
    udp_send(other, &at, data, 100); /* a stranger */
    udp_send(peer, &at, data, 13);   /* no frame */
    udp_send(peer, &at, data, 0);
    udp_send(peer, &at, data, sizeof(data));
    FAKE_NIC_WAIT(n, n->got.count == 1);
    assert_int_equal(n->got.frames[0].len, sizeof(data));
    assert_memory_equal(n->got.frames[0].data, data, sizeof(data));
    fake_nic_expect_quiet(n);
    assert_int_equal(n->links, 0); /* always up */
    fake_nic_free(n);
    close(peer);
    close(other);
}

static void frames_without_buffers_wait_in_order(void **state)
{
    char url[64];
    int peer = udp(url, sizeof(url));
    struct datagram_config config = {.local = "udp:127.0.0.1:0", .remote = url};
    struct fake_nic *n = fake_nic_new(fake_host_new(PLUGIN_FILE, "datagram", &config));
    struct sockaddr_in at = address_of(n, peer);
    uint8_t data[60] = {0};

    (void)state;
    n->room[0] = 0;
    for (uint8_t i = 0; i < 20; i++) {
        data[0] = i;
        udp_send(peer, &at, data, sizeof(data));
    }
    FAKE_NIC_WAIT(n, n->held[0]);
    fake_nic_expect_quiet(n);
    fake_nic_resume(n, 0, 5);
    FAKE_NIC_WAIT(n, n->held[0]);
    fake_nic_resume(n, 0, FAKE_NET_ANY);
    FAKE_NIC_WAIT(n, n->got.count == 20);
    assert_int_equal(n->unwanted, 0);
    for (uint8_t i = 0; i < 20; i++)
        assert_int_equal(n->got.frames[i].data[0], i);
    fake_nic_free(n);
    close(peer);
}

static void a_peer_that_comes_later_is_reached(void **state)
{
    char url[64];
    int peer = udp(url, sizeof(url));
    struct datagram_config config = {.local = "udp:127.0.0.1:0", .remote = url};
    struct fake_nic *n;
    struct sockaddr_in a = {0};
    socklen_t len = sizeof(a);
    uint8_t data[60] = {0};

    (void)state;
    assert_int_equal(getsockname(peer, (struct sockaddr *)&a, &len), 0);
    close(peer);
    n = fake_nic_new(fake_host_new(PLUGIN_FILE, "datagram", &config));
    for (int i = 0; i < 10; i++)
        assert_int_equal(fake_nic_send(n, 0, data, sizeof(data)), 1);
    fake_nic_expect_quiet(n);
    peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer, (struct sockaddr *)&a, sizeof(a)), 0);
    address_of(n, peer);
    fake_nic_free(n);
    close(peer);
}

static void unix_sockets_carry_the_longest_frames(void **state)
{
    static uint8_t data[BP_FRAME_MAX], back[BP_FRAME_MAX + 1];
    char folder[40] = "/tmp/net-socket-XXXXXX", local[64], remote[64];
    struct sockaddr_un a = {.sun_family = AF_UNIX}, to = {.sun_family = AF_UNIX};
    struct datagram_config config = {.local = local, .remote = remote};
    struct fake_nic *n;
    int peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(local, sizeof(local), "unix:%s/a", folder);
    snprintf(remote, sizeof(remote), "unix:%s/b", folder);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", local + 5);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", remote + 5);
    n = fake_nic_new(fake_host_new(PLUGIN_FILE, "datagram", &config));
    assert_int_equal(fake_nic_send(n, 0, data, 60), 1); /* nobody is there: lost */
    assert_int_equal(bind(peer, (struct sockaddr *)&a, sizeof(a)), 0);
    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 5);
    assert_int_equal(fake_nic_send(n, 0, data, sizeof(data)), 1);
    assert_int_equal(recv(peer, back, sizeof(back), 0), sizeof(data));
    assert_memory_equal(back, data, sizeof(data));
    assert_int_equal(sendto(peer, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)),
                     sizeof(data));
    FAKE_NIC_WAIT(n, n->got.count == 1);
    assert_memory_equal(n->got.frames[0].data, data, sizeof(data));
    /* A full queue loses frames, and holds nobody. */
    for (int i = 0; i < 2000; i++)
        assert_int_equal(fake_nic_send(n, 0, data, 60), 1);
    fake_nic_expect_quiet(n);
    fake_nic_free(n);
    close(peer);
    assert_int_equal(unlink(a.sun_path), 0);
    assert_int_equal(rmdir(folder), 0); /* its own file is gone */
}

static void bad_addresses_are_told(void **state)
{
    static const struct {
        struct datagram_config config;
        const char *sentence;
    } cases[] = {
        {{"udp:127.0.0.1:0", "tcp:127.0.0.1:1"},
         "remote 'tcp:127.0.0.1:1' is neither unix:/path nor udp:host:port"},
        {{"tcp:127.0.0.1:0", "udp:127.0.0.1:1"},
         "local 'tcp:127.0.0.1:0' is neither unix:/path nor udp:host:port"},
        {{"udp:127.0.0.1:0", "udp:127.0.0.1"},
         "remote 'udp:127.0.0.1' does not end in :port, a number up to 65535"},
        {{"udp:127.0.0.1:0", "unix:/tmp/x"},
         "local 'udp:127.0.0.1:0' and remote 'unix:/tmp/x' are of different kinds; give two Unix "
         "sockets, two IPv4 or two IPv6 addresses"},
        {{"udp:192.0.2.1:0", "udp:127.0.0.1:1"},
         "cannot listen at udp:192.0.2.1:0: Cannot assign requested address; give `local` another "
         "address"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_host *host;

        assert_true(fake_host_try(PLUGIN_FILE, "datagram", &cases[i].config, &host) < 0);
        assert_string_equal(fake_failure(), cases[i].sentence);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_carries_frames_both_ways_from_its_peer_alone),
        cmocka_unit_test(frames_without_buffers_wait_in_order),
        cmocka_unit_test(a_peer_that_comes_later_is_reached),
        cmocka_unit_test(unix_sockets_carry_the_longest_frames),
        cmocka_unit_test(bad_addresses_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
