/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_live.c - the model `live` on both ends of a pair of virtual Ethernet interfaces, in
 * a network namespace of the test's own: no frame reaches another network.
 *
 * It needs root or user namespaces, and `ip`; without it is skipped. It does not show what drivers
 * of real interfaces do.
 */
#include "folder.h"

#include <backplane/util/finish.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SKIPPED 77
#define TYPE "\x88\xb5" /* for local experiments (IEEE 802) */

static int run(const char *command)
{
    /* NOLINTNEXTLINE(cert-env33-c): the commands are constants */
    int status = system(command);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Both ends of a pair, each the interface of a guest. */
struct pair {
    struct link *a, *b;
    struct live_config a_config, b_config;
};

static int pair_setup(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    assert_int_equal(run("ip link add bpa type veth peer name bpb && ip link set bpa up && "
                         "ip link set bpb up"),
                     0);
    p->a_config = (struct live_config){.ifname = "bpa", .buffer = 2 << 20, .promiscuous = 1};
    p->b_config = (struct live_config){.ifname = "bpb", .buffer = 2 << 20, .promiscuous = 1};
    p->a = link_new();
    p->b = link_new();
    p->a->only = p->b->only = TYPE;
    link_start(p->a, "live", &p->a_config);
    link_start(p->b, "live", &p->b_config);
    *state = p;
    return 0;
}

static int pair_teardown(void **state)
{
    struct pair *p = *state;

    link_free(p->a);
    link_free(p->b);
    free(p);
    run("ip link del bpa 2>/dev/null");
    return 0;
}

/* Both loops run until `condition`; bounded. */
#define TURN_UNTIL(p, condition)                                                                   \
    do {                                                                                           \
        int turns_ = 0;                                                                            \
                                                                                                   \
        while (!(condition)) {                                                                     \
            if (turns_++ == 6000)                                                                  \
                fail_msg("waited in vain for: %s", #condition);                                    \
            turn(p, 5);                                                                            \
        }                                                                                          \
    } while (0)

static void turn(struct pair *p, int ms)
{
    fake_advance_ns(p->a->host, 1000000);
    fake_advance_ns(p->b->host, 1000000);
    fake_poll(p->a->host, ms);
    fake_poll(p->b->host, ms);
}

static void make_frame(uint8_t *frame, uint32_t len, unsigned number)
{
    link_udp(frame, len, (uint16_t)number);
    frame[12] = 0x88;
    frame[13] = 0xb5;
}

static void frames_go_over_the_wire_both_ways_and_none_comes_back(void **state)
{
    struct pair *p = *state;
    uint8_t frame[1514];

    for (unsigned i = 0; i < 20; i++) {
        make_frame(frame, 60 + i * 70, i);
        assert_int_equal(link_send(p->a, frame, 60 + i * 70), 1);
    }
    TURN_UNTIL(p, p->b->got == 20);
    assert_memory_equal(p->b->last, frame, 60 + 19 * 70);
    assert_int_equal(p->b->got_len[0], 60);
    assert_int_equal(link_send(p->b, frame, 60), 1);
    TURN_UNTIL(p, p->a->got == 1);
    for (int i = 0; i < 20; i++)
        turn(p, 1);
    assert_int_equal(p->a->got, 1);
    assert_int_equal(p->b->got, 20);
    assert_null(p->a->net->offloads);
}

static void frame_in_pieces_is_one_on_the_wire(void **state)
{
    struct pair *p = *state;
    uint8_t frame[100];
    struct bp_buf bufs[3] = {{frame, 14}, {frame + 14, 0}, {frame + 14, 86}};
    struct bp_frame f = {.size = sizeof(f), .nbufs = 3, .bufs = bufs};

    make_frame(frame, sizeof(frame), 1);
    assert_int_equal(p->a->net->send(p->a->self, 0, &f, 1), 1);
    TURN_UNTIL(p, p->b->got == 1);
    assert_memory_equal(p->b->last, frame, sizeof(frame));
}

static void back_pressure_keeps_frames_in_order(void **state)
{
    struct pair *p = *state;
    uint8_t frame[200];

    p->b->room = 3;
    for (unsigned i = 0; i < 10; i++) {
        make_frame(frame, 60 + i, i);
        link_send(p->a, frame, 60 + i);
    }
    TURN_UNTIL(p, p->b->got == 3);
    for (int i = 0; i < 20; i++)
        turn(p, 1);
    assert_int_equal(p->b->got, 3);
    p->b->room = UINT64_MAX;
    p->b->net->resume(p->b->self, 0);
    TURN_UNTIL(p, p->b->got == 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(p->b->got_len[i], 60 + i);
}

static void a_pause_leaves_frames_with_the_kernel(void **state)
{
    struct pair *p = *state;
    uint8_t frame[60];

    fake_ops(p->b->host)->stop(p->b->self);
    make_frame(frame, sizeof(frame), 1);
    link_send(p->a, frame, sizeof(frame));
    for (int i = 0; i < 10; i++) {
        fake_poll(p->a->host, 1);
        fake_poll(p->b->host, 1);
    }
    assert_int_equal(p->b->got, 0);
    assert_int_equal(fake_ops(p->b->host)->start(p->b->self), 0);
    TURN_UNTIL(p, p->b->got == 1);
}

static void bad_97_frames_that_do_not_fit_are_lost_with_one_line(void **state)
{
    struct pair *p = *state;
    static uint8_t frame[9000];

    make_frame(frame, sizeof(frame), 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(link_send(p->a, frame, sizeof(frame)), 1);
    assert_int_equal(fake_log_count(p->a->host), 1);
    assert_string_equal(fake_log(p->a->host, NULL),
                        "interface bpa does not take the guest's frames: send: Message too long; 1 "
                        "so far are lost");
    assert_int_equal(p->a->net->send(p->a->self, 0, &(struct bp_frame){.size = 56}, 1), 1);
    make_frame(frame, 60, 1);
    link_send(p->a, frame, 60);
    TURN_UNTIL(p, p->b->got == 1);
}

/* The model takes no offloads: a frame with one would go out with a checksum that is none, or as a
 * packet that no wire carries. */
static void bad_97_unfinished_frames_are_lost_and_counted(void **state)
{
    struct pair *p = *state;
    uint8_t frame[LINK_TCP(1200)];
    struct bp_buf buf = {frame, 60};
    struct bp_frame f = {.size = sizeof(f), .nbufs = 1, .bufs = &buf};

    p->a->only = p->b->only = "\x08\x00"; /* IPv4, which nobody else here speaks */
    link_udp(frame, 60, 7);
    f.flags = BP_HDR_NEEDS_CSUM;
    f.csum_start = 34;
    f.csum_offset = 6;
    assert_int_equal(p->a->net->send(p->a->self, 0, &f, 1), 1);
    f.flags = 0;
    f.gso_type = 0x7f; /* there is no such kind */
    assert_int_equal(p->a->net->send(p->a->self, 0, &f, 1), 1);
    link_large_tcp(p->a, frame, 1200, 500);
    link_udp(frame, 70, 7);
    assert_int_equal(link_send(p->a, frame, 70), 1);
    TURN_UNTIL(p, p->b->got);
    assert_int_equal(p->b->got, 1);
    assert_memory_equal(p->b->last, frame, 70);
    fake_ops(p->a->host)->stop(p->a->self);
    assert_string_equal(fake_log(p->a->host, NULL), "lost 0 frames for the guest and 3 from it");
    assert_int_equal(fake_ops(p->a->host)->start(p->a->self), 0);
}

static void bad_97_interface_that_is_deleted_takes_the_link_down(void **state)
{
    struct pair *p = *state;
    uint8_t frame[60];

    assert_int_equal(run("ip link del bpa"), 0);
    TURN_UNTIL(p, p->a->links == 1 && p->b->links == 1);
    assert_int_equal(p->a->up, 0);
    assert_string_equal(fake_log(p->a->host, NULL),
                        "interface bpa cannot be read any more: The interface disappeared; the "
                        "guest's link is down");
    make_frame(frame, sizeof(frame), 1);
    assert_int_equal(link_send(p->a, frame, sizeof(frame)), 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(fake_poll(p->a->host, 1), 0); /* no busy loop */
    assert_int_equal(p->a->links, 1);
}

static void bad_97_interface_that_is_down_for_a_while_goes_on_later(void **state)
{
    struct pair *p = *state;
    unsigned calls = 0;
    uint8_t frame[60];

    assert_int_equal(run("ip link set bpb down"), 0);
    for (int i = 0; i < 20; i++)
        calls += fake_poll(p->b->host, 1);
    assert_true(calls <= 4); /* no busy loop */
    assert_int_equal(run("ip link set bpb up"), 0);
    for (int i = 0; i < 6000 && !p->b->got; i++) {
        make_frame(frame, sizeof(frame), 1);
        link_send(p->a, frame, sizeof(frame));
        turn(p, 5);
    }
    assert_true(p->b->got > 0);
}

/* ---- at create ---- */

static void expect_refused(const char *name, int err, const char *sentence)
{
    struct live_config c = {.ifname = name, .buffer = 2 << 20, .promiscuous = 1};
    struct fake_host *h;

    assert_int_equal(fake_host_try(PLUGIN_FILE, "live", &c, &h), err);
    assert_string_equal(fake_failure(), sentence);
}

static void bad_97_interface_that_is_not_there_is_told(void **state)
{
    (void)state;
    expect_refused("nosuch0", -ENODEV,
                   "there is no network interface \"nosuch0\" on this host; `ip link` lists those "
                   "that there are");
    expect_refused("a-name-that-is-too-long", -ENODEV,
                   "there is no network interface \"a-name-that-is-too-long\" on this host; `ip "
                   "link` lists those that there are");
    expect_refused("any", -ENODEV,
                   "there is no network interface \"any\" on this host; `ip link` lists those that "
                   "there are");
    expect_refused("", -ENODEV,
                   "there is no network interface \"\" on this host; `ip link` lists those that "
                   "there are");
}

static void bad_97_interface_that_is_down_or_no_ethernet_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("ip link set bpb down"), 0);
    expect_refused("bpb", -ENETDOWN,
                   "interface bpb is down: bring it up, as by `ip link set bpb up`");
    if (run("ip link add bpt type ipip local 127.0.0.1 remote 127.0.0.2 2>/dev/null && ip link set "
            "bpt up"))
        return; /* no such driver: then there is none to refuse */
    expect_refused("bpt", -EINVAL,
                   "interface bpt is of link type 12, not Ethernet: name one that is");
    run("ip link del bpt");
}

static void bad_97_missing_permission_is_told(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    assert_true(pid >= 0);
    if (!pid) {
        struct live_config c = {.ifname = "bpa", .buffer = 2 << 20, .promiscuous = 1};
        struct fake_host *h;

        /* What is mapped into the namespace is nobody, too. */
        if (setresuid(65534, 65534, 65534))
            _exit(SKIPPED);
        if (fake_host_try(PLUGIN_FILE, "live", &c, &h) != -EPERM)
            _exit(1);
        _exit(strcmp(fake_failure(),
                     "no permission for interface bpa: run as root, or grant CAP_NET_RAW, as by "
                     "`setcap cap_net_raw+ep` on the program") != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), bad;

    if (fd < 0)
        return -1;
    bad = write(fd, text, strlen(text)) != (ssize_t)strlen(text);
    close(fd);
    return bad ? -1 : 0;
}

/* Into a network namespace with nothing in it; by way of a user namespace where it takes one. */
static int leave_the_network(void)
{
    char map[64];
    uid_t uid = getuid();

    if (!unshare(CLONE_NEWNET))
        return 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
        return -1;
    snprintf(map, sizeof(map), "0 %u 1\n", (unsigned)uid);
    return write_text("/proc/self/uid_map", map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(frames_go_over_the_wire_both_ways_and_none_comes_back),
        PAIR_TEST(frame_in_pieces_is_one_on_the_wire),
        PAIR_TEST(back_pressure_keeps_frames_in_order),
        PAIR_TEST(a_pause_leaves_frames_with_the_kernel),
        PAIR_TEST(bad_97_frames_that_do_not_fit_are_lost_with_one_line),
        PAIR_TEST(bad_97_unfinished_frames_are_lost_and_counted),
        PAIR_TEST(bad_97_interface_that_is_deleted_takes_the_link_down),
        PAIR_TEST(bad_97_interface_that_is_down_for_a_while_goes_on_later),
        PAIR_TEST(bad_97_interface_that_is_not_there_is_told),
        PAIR_TEST(bad_97_interface_that_is_down_or_no_ethernet_is_told),
        PAIR_TEST(bad_97_missing_permission_is_told),
    };

    if (leave_the_network()) {
        printf("skipped: no network namespace: %s; run as root, or allow user namespaces\n",
               strerror(errno));
        return SKIPPED;
    }
    if (run("ip link add bpa type veth peer name bpb && ip link del bpa")) {
        printf("skipped: `ip` cannot make a pair of interfaces (package iproute2, driver veth)\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
