/* SPDX-License-Identifier: MIT
 *
 * chr-host/test_socket.c - the model `socket`, with real sockets of this machine only.
 */
#include "chr_host.h"
#include "device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LOCAL "connect to tcp:127.0.0.1:"

struct fixture {
    char folder[32], path[64], url[80];
    struct device *device;
    int fd; /* the test's end, or -1 */
    struct socket_config config;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/chr-socket-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
    snprintf(f->url, sizeof(f->url), "unix:%s", f->path);
    f->fd = -1;
    f->config.reconnect = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    device_free(f->device);
    if (f->fd >= 0)
        close(f->fd);
    unlink(f->path);
    rmdir(f->folder);
    free(f);
    return 0;
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
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static int serve(const struct fixture *f)
{
    struct sockaddr_un a = unix_address(f);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static char last_event(const struct fixture *f)
{
    return f->device->event_count ? f->device->events[f->device->event_count - 1] : '-';
}

static void listening(struct fixture *f)
{
    f->config.listen = f->url;
    f->device = device_new("socket", &f->config);
}

static void expect_output(struct fixture *f, int fd, const char *text)
{
    uint8_t data[256];
    uint64_t len = 0, want = strlen(text);

    WAIT_FOR(f->device, (len += drain_fd(fd, data + len, sizeof(data) - len)) >= want);
    assert_int_equal(len, want);
    assert_memory_equal(data, text, len);
}

static void server_passes_bytes_both_ways(void **state)
{
    struct fixture *f = *state;

    listening(f);
    f->fd = call(f);
    WAIT_FOR(f->device, last_event(f) == 'O');
    device_write(f->device, "login: ", 7);
    expect_output(f, f->fd, "login: ");
    assert_int_equal(write(f->fd, "root\r", 5), 5);
    WAIT_FOR(f->device, device_has(f->device, "root\r"));
}

static void clients_come_and_go(void **state)
{
    struct fixture *f = *state;

    listening(f);
    WAIT_FOR(f->device, last_event(f) == 'H');
    for (int i = 0; i < 3; i++) {
        device_expect_quiet(f->device);
        assert_int_equal(device_write(f->device, "unheard", 7), 7);
        f->fd = call(f);
        WAIT_FOR(f->device, last_event(f) == 'O');
        device_write(f->device, "heard", 5);
        expect_output(f, f->fd, "heard");
        close(f->fd);
        f->fd = -1;
        WAIT_FOR(f->device, last_event(f) == 'H');
    }
}

static void second_client_is_sent_away_politely(void **state)
{
    struct fixture *f = *state;
    int second;

    listening(f);
    f->fd = call(f);
    WAIT_FOR(f->device, last_event(f) == 'O');
    second = call(f);
    expect_output(f, second, "This console is in use.\r\n");
    assert_int_equal(read(second, &(char){0}, 1), 0);
    close(second);
    device_write(f->device, "first", 5);
    expect_output(f, f->fd, "first");
}

static void what_a_client_sent_before_it_left_arrives(void **state)
{
    struct fixture *f = *state;

    listening(f);
    f->fd = call(f);
    WAIT_FOR(f->device, last_event(f) == 'O');
    f->device->room = 2;
    assert_int_equal(write(f->fd, "shutdown", 8), 8);
    WAIT_FOR(f->device, f->device->len == 2);
    close(f->fd);
    f->fd = -1;
    device_turn(f->device, 5);
    device_resume(f->device, UINT64_MAX);
    WAIT_FOR(f->device, device_has(f->device, "shutdown"));
    WAIT_FOR(f->device, last_event(f) == 'H');
}

static void slow_client_holds_the_device_back(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[1000000], back[1000000];
    uint64_t sent = 0, got = 0;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 13 + i / 777);
    listening(f);
    f->fd = call(f);
    WAIT_FOR(f->device, last_event(f) == 'O');
    for (int i = 0; i < 50; i++) {
        sent += device_write(f->device, data + sent, sizeof(data) - sent);
        device_turn(f->device, 1);
    }
    assert_true(sent < sizeof(data));
    device_expect_quiet(f->device);
    while (got < sizeof(data)) {
        got += drain_fd(f->fd, back + got, sizeof(data) - got);
        sent += device_write(f->device, data + sent, sizeof(data) - sent);
        device_turn(f->device, 1);
    }
    assert_memory_equal(data, back, sizeof(data));
}

static const uint8_t zeroes[65536];

/* A client that reads nothing, and more for it than the socket takes. */
static void block(struct fixture *f)
{
    listening(f);
    f->fd = call(f);
    WAIT_FOR(f->device, last_event(f) == 'O');
    for (int i = 0; i < 50; i++) {
        device_write(f->device, zeroes, sizeof(zeroes));
        device_turn(f->device, 1);
    }
}

static void client_that_leaves_lets_a_blocked_device_go(void **state)
{
    struct fixture *f = *state;

    block(f);
    f->device->writables = 0;
    close(f->fd);
    f->fd = -1;
    WAIT_FOR(f->device, last_event(f) == 'H' && f->device->writables > 0);
    assert_int_equal(device_write(f->device, zeroes, sizeof(zeroes)), sizeof(zeroes));
}

/* gcc takes poll()'s argument for one that is only written. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/* What poll() says of one fd while that is nothing but a hang-up, as of a terminal whose line was
 * cut; and how often it was asked. The plugin's calls come here, too. */
static int hung_fd = -1;
static unsigned hung_polls;

__attribute__((visibility("default"))) int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec t = {timeout / 1000, timeout % 1000 * 1000000L};

    if (count == 1 && hung_fd >= 0 && fds->events == POLLOUT) {
        hung_polls++;
        fds->revents = POLLHUP;
        return 1;
    }
    return (int)syscall(SYS_ppoll, fds, count, timeout < 0 ? NULL : &t, NULL, 0);
}

static void stop_does_not_wait_for_an_end_that_hung_up(void **state)
{
    struct fixture *f = *state;

    block(f);
    hung_fd = f->fd;
    device_free(f->device);
    f->device = NULL;
    hung_fd = -1;
    assert_int_equal(hung_polls, 1);
}

static void socket_file_goes_with_the_machine(void **state)
{
    struct fixture *f = *state;

    listening(f);
    assert_int_equal(access(f->path, F_OK), 0);
    device_free(f->device);
    f->device = NULL;
    assert_int_equal(access(f->path, F_OK), -1);
}

static void socket_file_of_a_crashed_machine_is_replaced(void **state)
{
    struct fixture *f = *state;

    close(serve(f)); /* the file stays, nobody listens */
    assert_int_equal(access(f->path, F_OK), 0);
    listening(f);
    f->fd = call(f);
    WAIT_FOR(f->device, last_event(f) == 'O');
}

static void bad_socket_of_a_live_program_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct fake_host *h;
    char expect[256];

    f->fd = serve(f);
    f->config.listen = f->url;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "socket", &f->config, &h), -EADDRINUSE);
    snprintf(expect, sizeof(expect),
             "another program listens at '%s'; stop it, or give `listen` another path", f->path);
    assert_string_equal(fake_failure(), expect);
    close(call(f)); /* it still does */
}

static void bad_file_in_the_place_of_a_socket_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct fake_host *h;
    char expect[256];

    close(open(f->path, O_CREAT | O_WRONLY, 0600));
    f->config.listen = f->url;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "socket", &f->config, &h), -EEXIST);
    snprintf(expect, sizeof(expect),
             "'%s' exists and is no socket; remove it, or give `listen` another path", f->path);
    assert_string_equal(fake_failure(), expect);
    assert_int_equal(access(f->path, F_OK), 0);
}

static void tcp_server_tells_its_port_and_is_this_machines_only(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in a = {.sin_family = AF_INET};
    unsigned long port;

    f->config.listen = "tcp::0";
    f->device = device_new("socket", &f->config);
    assert_memory_equal(fake_log(f->device->host, NULL), LOCAL, strlen(LOCAL));
    port = strtoul(fake_log(f->device->host, NULL) + strlen(LOCAL), NULL, 10);
    assert_true(port > 0 && port < 65536);
    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(f->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    fcntl(f->fd, F_SETFL, O_NONBLOCK);
    WAIT_FOR(f->device, last_event(f) == 'O');
    device_write(f->device, "tcp", 3);
    expect_output(f, f->fd, "tcp");
    assert_int_equal(write(f->fd, "in", 2), 2);
    WAIT_FOR(f->device, device_has(f->device, "in"));
}

static void client_connects_and_loses_nothing_before(void **state)
{
    struct fixture *f = *state;
    int listener = serve(f);

    f->config.connect = f->url;
    f->device = device_new("socket", &f->config);
    device_write(f->device, "first words", 11);
    WAIT_FOR(f->device, last_event(f) == 'O');
    f->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(f->fd >= 0);
    expect_output(f, f->fd, "first words");
    close(listener);
}

static void client_tries_again_with_growing_pauses(void **state)
{
    struct fixture *f = *state;
    int listener;

    f->config.connect = f->url;
    f->device = device_new("socket", &f->config);
    device_turn(f->device, 1);
    assert_int_equal(fake_log_count(f->device->host), 1);
    fake_advance_ns(f->device->host, UINT64_C(20000000000)); /* attempts after 1, 2, 4, 8 s */
    assert_int_equal(fake_log_count(f->device->host), 1);    /* told once */
    assert_int_equal(device_write(f->device, "unheard", 7), 7);
    listener = serve(f);
    fake_advance_ns(f->device->host, UINT64_C(60000000000));
    WAIT_FOR(f->device, last_event(f) == 'O');
    f->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    device_write(f->device, "heard", 5);
    expect_output(f, f->fd, "heard");
    /* The server leaves and comes back. */
    close(f->fd);
    WAIT_FOR(f->device, last_event(f) == 'H');
    fake_advance_ns(f->device->host, UINT64_C(1100000000));
    WAIT_FOR(f->device, last_event(f) == 'O');
    f->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(f->fd >= 0);
    close(listener);
}

static void client_without_reconnect_tries_once(void **state)
{
    struct fixture *f = *state;
    char expect[256];
    int listener;

    f->config.connect = f->url;
    f->config.reconnect = 0;
    f->device = device_new("socket", &f->config);
    device_turn(f->device, 1);
    snprintf(expect, sizeof(expect), "cannot connect to %s: No such file or directory", f->url);
    assert_string_equal(fake_log(f->device->host, NULL), expect);
    listener = serve(f);
    fake_advance_ns(f->device->host, UINT64_C(100000000000));
    device_turn(f->device, 5);
    assert_int_equal(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1);
    assert_int_equal(device_write(f->device, "gone", 4), 4);
    close(listener);
}

static void pause_keeps_the_connection(void **state)
{
    struct fixture *f = *state;

    listening(f);
    f->fd = call(f);
    WAIT_FOR(f->device, last_event(f) == 'O');
    fake_ops(f->device->host)->stop(f->device->self);
    assert_int_equal(write(f->fd, "typed", 5), 5);
    assert_int_equal(fake_ops(f->device->host)->start(f->device->self), 0);
    WAIT_FOR(f->device, device_has(f->device, "typed"));
    assert_null(strchr(f->device->events + 1, 'H'));
}

static void bad_addresses_are_told(void **state)
{
    static const struct {
        const char *listen, *connect, *sentence;
    } cases[] = {
        {NULL, NULL, "neither `listen` nor `connect` is given; give one of them"},
        {"unix:/a", "unix:/b", "both `listen` and `connect` are given; one of them must go"},
        {"/tmp/socket", NULL, "listen '/tmp/socket' is neither unix:/path nor tcp:host:port"},
        {"unix:", NULL, "the path of listen has 0 bytes; a Unix socket's has 1 to 107"},
        {"tcp:localhost", NULL,
         "listen 'tcp:localhost' does not end in :port, a number up to 65535"},
        {NULL, "tcp:127.0.0.1:65536",
         "connect 'tcp:127.0.0.1:65536' does not end in :port, a number up to 65535"},
        {NULL, "tcp:127.0.0.1:x1",
         "connect 'tcp:127.0.0.1:x1' does not end in :port, a number up to 65535"},
        {"tcp:192.0.2.1:0", NULL,
         "cannot listen at tcp:192.0.2.1:0: Cannot assign requested address; give `listen` another "
         "address"},
    };
    struct fake_host *h;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct socket_config config = {.listen = cases[i].listen, .connect = cases[i].connect};

        assert_true(fake_host_try(PLUGIN_FILE, "socket", &config, &h) < 0);
        assert_string_equal(fake_failure(), cases[i].sentence);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(server_passes_bytes_both_ways),
        TEST(clients_come_and_go),
        TEST(second_client_is_sent_away_politely),
        TEST(what_a_client_sent_before_it_left_arrives),
        TEST(slow_client_holds_the_device_back),
        TEST(client_that_leaves_lets_a_blocked_device_go),
        TEST(stop_does_not_wait_for_an_end_that_hung_up),
        TEST(socket_file_goes_with_the_machine),
        TEST(socket_file_of_a_crashed_machine_is_replaced),
        TEST(bad_socket_of_a_live_program_is_left_alone),
        TEST(bad_file_in_the_place_of_a_socket_is_left_alone),
        TEST(tcp_server_tells_its_port_and_is_this_machines_only),
        TEST(client_connects_and_loses_nothing_before),
        TEST(client_tries_again_with_growing_pauses),
        TEST(client_without_reconnect_tries_once),
        TEST(pause_keeps_the_connection),
        TEST(bad_addresses_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
