/* SPDX-License-Identifier: MIT
 *
 * net-tap as built, on a real tap in a network namespace of the test's own: frames both ways,
 * offloads, back-pressure, several queues, and an interface that goes and comes back.
 */
#include "fakes/netns.h"
#include "guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define UDP 17u
#define ICMP 1u
#define HDR_NEEDS_CSUM 1u
#define GSO_TCPV4 1u
#define SECOND_NS UINT64_C(1000000000)

/* The plugin's writev() comes here, too: so many times the interface takes nothing. */
static unsigned refusals, refused;

__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    if (refusals) {
        refusals--;
        refused++;
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_writev, fd, pieces, count);
}

/* A UDP datagram from the guest's port 4000, without its checksum. */
static uint32_t make_udp(uint8_t *to, uint32_t port, const char *text)
{
    uint32_t len = (uint32_t)strlen(text) + 8;

    memset(to, 0, 8);
    to[0] = 4000 >> 8;
    to[1] = 4000 & 0xff;
    to[2] = (uint8_t)(port >> 8u);
    to[3] = (uint8_t)port;
    to[4] = (uint8_t)(len >> 8u);
    to[5] = (uint8_t)len;
    memcpy(to + 8, text, len - 8);
    return len;
}

static void send_udp(struct fake_nic *n, const uint8_t mac[6], uint32_t port, const char *text)
{
    uint8_t datagram[256], frame[300];
    uint32_t len = make_udp(datagram, port, text); /* no checksum: allowed by RFC 768 */

    len = guest_ip(frame, mac, UDP, datagram, len);
    assert_int_equal(fake_nic_send(n, 0, frame, len), 1);
}

static void expect_text(struct fake_nic *n, int fd, const char *text)
{
    char data[256];
    ssize_t len = -1;

    FAKE_NIC_WAIT(n, (len = recv(fd, data, sizeof(data), 0)) >= 0);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(data, text, (size_t)len);
}

/* The last datagram for the guest: the kernel sends frames of its own, at any time. */
static const struct fake_frame *last_udp(const struct fake_nic *n)
{
    for (uint32_t i = n->got.count; i--;)
        if (is_udp_to(&n->got.frames[i], 4000))
            return &n->got.frames[i];
    return NULL;
}

static void frames_pass_both_ways(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6];
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    send_udp(n, mac, 4001, "to the host");
    expect_text(n, fd, "to the host");
    host_send(fd, 4000, "to the guest", 12);
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 1);
    assert_memory_equal(last_udp(n)->data + 42, "to the guest", 12);
    close(fd);
    fake_nic_free(n);
}

static void host_answers_ping(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6], frame[128], echo[12] = {8, 0, 0, 0, 1, 2, 0, 1, 'p', 'i', 'n', 'g'};
    uint32_t sum = checksum(echo, sizeof(echo), 0), found = 0;

    (void)state;
    guest_arp(n, mac);
    echo[2] = (uint8_t)(sum >> 8u);
    echo[3] = (uint8_t)sum;
    fake_nic_send(n, 0, frame, guest_ip(frame, mac, ICMP, echo, sizeof(echo)));
    for (int turns = 0; !found && turns < 2000; turns++) {
        fake_nic_turn(n, 5);
        for (uint32_t i = 0; i < n->got.count; i++)
            found |= n->got.frames[i].len >= 46 && n->got.frames[i].data[23] == ICMP &&
                     n->got.frames[i].data[34] == 0 &&
                     !memcmp(n->got.frames[i].data + 38, echo + 4, 8);
    }
    assert_true(found);
    fake_nic_free(n);
}

static void checksums_are_left_to_an_adapter_that_takes_them(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    const struct fake_frame *f;
    uint8_t mac[6];
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    host_send(fd, 4000, "complete", 8);
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 1);
    f = last_udp(n);
    assert_int_equal(f->header.flags, 0);
    assert_int_equal(checksum(f->data + 34, 16, pseudo_sum(UDP, 16)), 0);
    assert_int_equal(n->ops->set_offloads(n->self, BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4), 0);
    host_send(fd, 4000, "unfinished", 10);
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 2);
    f = last_udp(n);
    assert_int_equal(f->header.flags, HDR_NEEDS_CSUM);
    assert_int_equal(f->header.csum_start, 34);
    assert_int_equal(f->header.csum_offset, 6);
    assert_int_not_equal(checksum(f->data + 34, 18, pseudo_sum(UDP, 18)), 0);
    close(fd);
    fake_nic_free(n);
}

static void checksum_of_the_guest_is_finished_by_the_host(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6], datagram[64], data[128];
    uint32_t len = make_udp(datagram, 4001, "finish me"), sum;
    struct bp_buf bufs[3];
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 3,
                             .bufs = bufs,
                             .flags = HDR_NEEDS_CSUM,
                             .csum_start = 34,
                             .csum_offset = 6};
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    /* virtio 1.2, 5.1.6.2: the field has the pseudo header's sum, not inverted. */
    sum = ~checksum("", 0, pseudo_sum(UDP, len)) & 0xffffu;
    datagram[6] = (uint8_t)(sum >> 8u);
    datagram[7] = (uint8_t)sum;
    len = guest_ip(data, mac, UDP, datagram, len);
    bufs[0] = (struct bp_buf){data, 14};
    bufs[1] = (struct bp_buf){data + 14, 20};
    bufs[2] = (struct bp_buf){data + 34, len - 34};
    assert_int_equal(fake_nic_send_frames(n, 0, &frame, 1), 1);
    expect_text(n, fd, "finish me");
    close(fd);
    fake_nic_free(n);
}

static void bad_51_segments_of_no_size_are_dropped(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    static uint8_t data[BP_FRAME_MAX + 1];
    struct bp_buf buf = {data, 1000};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = HDR_NEEDS_CSUM,
                             .gso_type = GSO_TCPV4,
                             .hdr_len = 54,
                             .csum_start = 34,
                             .csum_offset = 16};
    uint8_t mac[6];
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    assert_int_equal(fake_nic_send_frames(n, 0, &frame, 1), 1);
    frame.gso_size = 100;
    frame.csum_start = 2000; /* beyond the frame */
    assert_int_equal(fake_nic_send_frames(n, 0, &frame, 1), 1);
    frame.gso_type = 0x7f;
    assert_int_equal(fake_nic_send_frames(n, 0, &frame, 1), 1);
    assert_int_equal(fake_nic_send(n, 0, data, 13), 1);
    assert_int_equal(fake_nic_send(n, 0, data, BP_FRAME_MAX + 1), 1);
    send_udp(n, mac, 4001, "still here");
    expect_text(n, fd, "still here");
    close(fd);
    fake_ops(n->host)->stop(n->self);
    assert_non_null(strstr(fake_log(n->host, NULL), "took 2, dropped 5"));
    fake_nic_free(n);
}

static void frame_of_very_many_pieces_arrives(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6], datagram[256], data[300];
    struct bp_buf bufs[300];
    struct bp_frame frame = {.size = sizeof(frame), .bufs = bufs};
    char text[200];
    uint32_t len;
    int fd;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    guest_arp(n, mac);
    fd = host_udp(4001);
    len = guest_ip(data, mac, UDP, datagram, make_udp(datagram, 4001, text));
    for (; frame.nbufs < len; frame.nbufs++)
        bufs[frame.nbufs] = (struct bp_buf){data + frame.nbufs, 1};
    assert_int_equal(fake_nic_send_frames(n, 0, &frame, 1), 1);
    expect_text(n, fd, text);
    close(fd);
    fake_nic_free(n);
}

static void adapter_without_buffers_holds_the_kernels_queue(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6];
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    for (int turns = 0; turns < 20; turns++) /* what the kernel says of itself has come */
        fake_nic_turn(n, 1);
    n->room[0] = 0;
    for (int i = 0; i < 5; i++)
        host_send(fd, 4000, &"abcde"[i], 1);
    FAKE_NIC_WAIT(n, n->refused == 1);
    fake_nic_expect_quiet(n);
    fake_frames_clear(&n->got);
    fake_nic_resume(n, 0, 2);
    FAKE_NIC_WAIT(n, n->refused == 2);
    assert_int_equal(n->got.count, 2);
    fake_nic_resume(n, 0, FAKE_NET_ANY);
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 5);
    for (uint32_t i = 0, at = 0; i < n->got.count; i++)
        if (is_udp_to(&n->got.frames[i], 4000))
            assert_int_equal(n->got.frames[i].data[42], "abcde"[at++]);
    assert_int_equal(n->unwanted, 0);
    close(fd);
    fake_nic_free(n);
}

/* The adapter tells its guest of them together. That the last one says that none follows is looked
 * at by fake_nic_turn(), wherever frames come. */
static void frames_that_wait_say_that_more_follow(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint32_t more = 0;
    uint8_t mac[6];
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    for (int i = 0; i < 400; i++) /* more than one turn takes */
        host_send(fd, 4000, "x", 1);
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 400);
    for (uint32_t i = 0; i < n->got.count; i++)
        more += n->got.frames[i].header.more != 0;
    assert_true(more >= 390);
    close(fd);
    fake_nic_free(n);
}

static void queues_are_used_as_many_as_are_asked_for(void **state)
{
    struct tap_config config = default_config();
    uint32_t queues = 0, others = 0;
    struct fake_nic *n;
    uint8_t mac[6];
    int fds[32];

    (void)state;
    config.queues = 4;
    n = guest_new(&config);
    guest_arp(n, mac);
    assert_int_equal(n->ops->set_queues(n->self, 5), -EINVAL);
    assert_int_equal(n->ops->set_queues(n->self, 0), -EINVAL);
    assert_int_equal(n->ops->set_queues(n->self, 4), 0);
    for (uint32_t i = 0; i < 32; i++) {
        fds[i] = host_udp(5000 + i);
        host_send(fds[i], 4000, "flow", 4);
    }
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 32);
    for (uint32_t i = 0; i < n->got.count; i++)
        queues |= 1u << n->got.frames[i].queue;
    assert_int_equal(queues & ~15u, 0);
    assert_int_not_equal(queues & (queues - 1), 0); /* more than one */
    /* A frame on the third queue goes out like any other. */
    send_udp(n, mac, 5000, "first");
    expect_text(n, fds[0], "first");
    assert_int_equal(n->ops->set_queues(n->self, 1), 0);
    fake_frames_clear(&n->got);
    for (uint32_t i = 0; i < 32; i++)
        host_send(fds[i], 4000, "flow", 4);
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 32);
    for (uint32_t i = 0; i < n->got.count; i++)
        others += n->got.frames[i].queue != 0;
    assert_int_equal(others, 0);
    for (uint32_t i = 0; i < 32; i++)
        close(fds[i]);
    fake_nic_free(n);
}

/* ---- row 97 -------------------------------------------------------------------------------------
 */

static void bad_97_interface_deleted_is_a_link_that_is_down(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n;
    uint8_t mac[6];
    int fd;

    (void)state;
    config.ifname = "lost0";
    n = guest_new(&config);
    guest_arp(n, mac);
    netns_run("ip link del lost0");
    FAKE_NIC_WAIT(n, n->links == 1);
    assert_int_equal(n->up, 0);
    assert_string_equal(fake_log(n->host, NULL),
                        "interface lost0 is gone: the link is down until it is back");
    for (int i = 0; i < 10; i++)
        send_udp(n, mac, 4001, "lost"); /* is taken */
    fake_nic_expect_quiet(n);
    fake_advance_ns(n->host, 100 * SECOND_NS);
    assert_int_equal(interface_flags("lost0"), 0); /* it is not made anew */
    assert_int_equal(n->links, 1);
    netns_run("ip tuntap add dev lost0 mode tap");
    fake_advance_ns(n->host, 31 * SECOND_NS);
    assert_int_equal(n->links, 2);
    assert_int_equal(n->up, 1);
    assert_string_equal(fake_log(n->host, NULL), "interface lost0 is back: the link is up");
    guest_arp(n, mac); /* with its address, and up */
    fd = host_udp(4001);
    send_udp(n, mac, 4001, "back again");
    expect_text(n, fd, "back again");
    close(fd);
    netns_run("ip link del lost0");
    FAKE_NIC_WAIT(n, n->links == 3);
    fake_nic_free(n);
}

static void bad_97_interface_deleted_while_it_is_written_to(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n;
    uint8_t mac[6];

    (void)state;
    config.ifname = "lost1";
    config.queues = 2;
    n = guest_new(&config);
    guest_arp(n, mac);
    assert_int_equal(n->ops->set_queues(n->self, 2), 0);
    netns_run("ip link del lost1");
    send_udp(n, mac, 4001, "lost"); /* the first to notice */
    send_udp(n, mac, 4001, "lost");
    FAKE_NIC_WAIT(n, n->links == 1);
    assert_int_equal(n->up, 0);
    assert_int_equal(n->ops->set_queues(n->self, 1), 0);
    assert_int_equal(n->ops->set_offloads(n->self, BP_NET_OFFLOAD_CSUM), 0);
    fake_nic_resume(n, 0, FAKE_NET_ANY);
    fake_ops(n->host)->stop(n->self);
    assert_non_null(strstr(fake_log(n->host, NULL), "dropped 2"));
    fake_nic_free(n);
}

static void interface_that_is_down_loses_frames_and_goes_on(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n;
    uint8_t mac[6];
    int fd;

    (void)state;
    config.ifname = "down0";
    n = guest_new(&config);
    guest_arp(n, mac);
    fd = host_udp(4001);
    netns_run("ip link set down0 down");
    send_udp(n, mac, 4001, "lost");
    fake_nic_turn(n, 5);
    assert_int_equal(n->links, 0);
    netns_run("ip link set down0 up");
    send_udp(n, mac, 4001, "heard");
    expect_text(n, fd, "heard");
    close(fd);
    fake_nic_free(n);
}

static void busy_interface_holds_the_sender_and_loses_nothing(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6], datagram[64], frame[128];
    uint32_t len;
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    len = guest_ip(frame, mac, UDP, datagram, make_udp(datagram, 4001, "patience"));
    refusals = 3;
    assert_int_equal(fake_nic_send(n, 0, frame, len), 0);
    FAKE_NIC_WAIT(n, n->sent[0] == 1);
    assert_int_equal(fake_nic_send(n, 0, frame, len), 0);
    assert_int_equal(fake_nic_send(n, 0, frame, len), 0);
    FAKE_NIC_WAIT(n, n->sent[0] == 2);
    assert_int_equal(fake_nic_send(n, 0, frame, len), 1);
    expect_text(n, fd, "patience");
    fake_nic_expect_quiet(n);
    assert_int_equal(n->sent[0], 2);
    close(fd);
    fake_nic_free(n);
}

/* Sends again when it may, as an adapter does. */
struct again {
    struct fake_nic *nic;
    const uint8_t *frame;
    uint32_t len, taken;
};

static void send_again(void *context, uint32_t queue)
{
    struct again *a = context;

    (void)queue;
    a->taken += fake_nic_send(a->nic, 0, a->frame, a->len);
}

static void bad_97_eagain_storm_ends_in_drops_and_one_message(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6], datagram[64], frame[128];
    struct again again = {.nic = n, .frame = frame};
    unsigned messages;
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    again.len = guest_ip(frame, mac, UDP, datagram, make_udp(datagram, 4001, "stormy"));
    n->on_sent = send_again;
    n->context = &again;
    messages = fake_log_count(n->host);
    refusals = 1000000;
    refused = 0;
    assert_int_equal(fake_nic_send(n, 0, frame, again.len), 0);
    FAKE_NIC_WAIT(n, again.taken == 1);
    assert_true(refused <= 20);
    fake_nic_expect_quiet(n);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fake_nic_send(n, 0, frame, again.len), 1);
    assert_int_equal(fake_log_count(n->host), messages + 1);
    assert_non_null(strstr(fake_log(n->host, NULL), "takes no frames although it says so; they "
                                                    "are dropped until it does"));
    refusals = 0;
    n->on_sent = NULL;
    assert_int_equal(fake_nic_send(n, 0, frame, again.len), 1);
    expect_text(n, fd, "stormy");
    close(fd);
    fake_ops(n->host)->stop(n->self);
    assert_non_null(strstr(fake_log(n->host, NULL), "dropped 101")); /* all that found no room */
    fake_nic_free(n);
}

static void pause_keeps_frames_in_the_kernel(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);
    uint8_t mac[6];
    int fd;

    (void)state;
    guest_arp(n, mac);
    fd = host_udp(4001);
    fake_ops(n->host)->stop(n->self);
    host_send(fd, 4000, "meanwhile", 9);
    assert_int_equal(fake_ops(n->host)->start(n->self), 0);
    FAKE_NIC_WAIT(n, count_udp(n, 4000) == 1);
    close(fd);
    fake_nic_free(n);
}

static void reset_forgets_what_the_adapter_had_set(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n;
    uint8_t mac[6];
    int fd;

    (void)state;
    config.queues = 2;
    n = guest_new(&config);
    guest_arp(n, mac);
    fd = host_udp(4001);
    assert_int_equal(n->ops->set_queues(n->self, 2), 0);
    assert_int_equal(n->ops->set_offloads(n->self, BP_NET_OFFLOAD_CSUM), 0);
    n->room[0] = n->room[1] = 0;
    host_send(fd, 4000, "before", 6);
    FAKE_NIC_WAIT(n, n->refused >= 1);
    fake_ops(n->host)->stop(n->self);
    fake_ops(n->host)->reset(n->self, BP_RESET_WARM);
    assert_int_equal(fake_ops(n->host)->start(n->self), 0);
    n->room[0] = n->room[1] = FAKE_NET_ANY;
    n->held[0] = n->held[1] = 0;
    host_send(fd, 4000, "after", 5);
    FAKE_NIC_WAIT(n, last_udp(n) && last_udp(n)->data[42] == 'a');
    assert_int_equal(last_udp(n)->header.flags, 0);
    assert_int_equal(last_udp(n)->queue, 0);
    close(fd);
    fake_nic_free(n);
}

/* A case that failed leaves its interface behind, with the addresses that the next one takes. */
static int close_what_is_left(void **state)
{
    (void)state;
    refusals = 0;
    return close_range(3, UINT_MAX, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, close_what_is_left)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_pass_both_ways),
        TEST(host_answers_ping),
        TEST(checksums_are_left_to_an_adapter_that_takes_them),
        TEST(checksum_of_the_guest_is_finished_by_the_host),
        TEST(bad_51_segments_of_no_size_are_dropped),
        TEST(frame_of_very_many_pieces_arrives),
        TEST(adapter_without_buffers_holds_the_kernels_queue),
        TEST(frames_that_wait_say_that_more_follow),
        TEST(queues_are_used_as_many_as_are_asked_for),
        TEST(bad_97_interface_deleted_is_a_link_that_is_down),
        TEST(bad_97_interface_deleted_while_it_is_written_to),
        TEST(interface_that_is_down_loses_frames_and_goes_on),
        TEST(busy_interface_holds_the_sender_and_loses_nothing),
        TEST(bad_97_eagain_storm_ends_in_drops_and_one_message),
        TEST(pause_keeps_frames_in_the_kernel),
        TEST(reset_forgets_what_the_adapter_had_set),
    };

    (void)argc;
    netns_enter(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
