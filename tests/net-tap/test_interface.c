/* SPDX-License-Identifier: MIT
 *
 * net-tap as built: where the interface comes from and what is done to it, and each sentence about
 * what the kernel refuses. In a network namespace of the test's own.
 */
#include "fakes/netns.h"
#include "guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_failure(const struct tap_config *config, int err, const char *sentence)
{
    struct fake_host *h;

    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, config, &h), err);
    assert_string_equal(fake_failure(), sentence);
}

static void expect_success(const struct tap_config *config)
{
    fake_host_free(fake_host_new(PLUGIN_FILE, NULL, config));
}

static int has_line(const char *file, const char *part)
{
    char line[256];
    FILE *f = fopen(file, "r");
    int found = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        found |= strstr(line, part) != NULL;
    fclose(f);
    return found;
}

static void interface_is_made_as_the_keys_say_and_goes_with_the_machine(void **state)
{
    static const char *const addresses[] = {"10.8.0.1/24", "10.8.1.1/16", "fd00:8::1/64"};
    struct tap_config config = default_config();
    struct fake_host *h;

    (void)state;
    guest_need();
    config.ifname = "vm%d";
    config.mtu = 1400;
    config.address = (struct bp_list){addresses, 3};
    h = fake_host_new(PLUGIN_FILE, NULL, &config);
    assert_string_equal(fake_log(h, NULL), "the host's end is interface vm0");
    assert_int_equal(interface_flags("vm0") & IFF_UP, IFF_UP);
    assert_int_equal(interface_mtu("vm0"), 1400);
    netns_run("ip -4 addr show dev vm0 | grep -q 'inet 10.8.0.1/24'");
    netns_run("ip -4 addr show dev vm0 | grep -q 'inet 10.8.1.1/16'");
    assert_true(has_line("/proc/net/if_inet6", "fd000008000000000000000000000001"));
    fake_host_free(h);
    assert_int_equal(interface_flags("vm0"), 0);
}

static void interface_without_a_name_is_a_free_one(void **state)
{
    struct tap_config config = default_config();
    struct fake_host *first, *second;

    (void)state;
    guest_need();
    config.address.count = 0;
    config.up = 0;
    first = fake_host_new(PLUGIN_FILE, NULL, &config);
    second = fake_host_new(PLUGIN_FILE, NULL, &config);
    assert_string_equal(fake_log(first, NULL), "the host's end is interface tap0");
    assert_string_equal(fake_log(second, NULL), "the host's end is interface tap1");
    assert_int_equal(interface_flags("tap0") & IFF_UP, 0);
    fake_host_free(first);
    fake_host_free(second);
}

static void interface_joins_a_bridge(void **state)
{
    struct tap_config config = default_config();
    struct fake_host *h;

    (void)state;
    guest_need();
    config.address.count = 0;
    config.ifname = "port0";
    config.bridge = "br0";
    expect_failure(&config, -ENODEV,
                   "there is no bridge br0; make it, as root: ip link add name br0 type bridge");
    netns_run("ip link add name br0 type bridge");
    h = fake_host_new(PLUGIN_FILE, NULL, &config);
    netns_run("ip link show dev port0 | grep -q 'master br0'");
    fake_host_free(h);
    /* One that somebody made, and put into the bridge, stays there. */
    netns_run("ip tuntap add dev port0 mode tap && ip link set port0 master br0");
    netns_run("mount -t sysfs sys /sys"); /* this namespace's */
    expect_success(&config);
    netns_run("ip link add name br1 type bridge");
    config.bridge = "br1";
    expect_failure(&config, -EBUSY, "interface port0 belongs to another bridge than br1 already");
    config.bridge = "lo";
    config.ifname = "port1";
    expect_failure(&config, -EOPNOTSUPP, "interface lo is no bridge; expected the name of one");
    netns_run("umount /sys; ip link del port0; ip link del br0; ip link del br1");
}

static void interface_that_was_made_beforehand_is_used_and_stays(void **state)
{
    struct tap_config config = default_config();

    (void)state;
    guest_need();
    config.ifname = "kept0";
    netns_run("ip tuntap add dev kept0 mode tap");
    expect_success(&config);
    assert_int_not_equal(interface_flags("kept0"), 0);
    config.queues = 2;
    expect_failure(&config, -EINVAL,
                   "interface kept0 exists, and is no tap with several queues; take another name, "
                   "or make it so: ip tuntap add dev NAME mode tap multi_queue");
    netns_run("ip link del kept0; ip tuntap add dev kept0 mode tap multi_queue");
    expect_success(&config);
    config.queues = 1;
    expect_success(&config);
    netns_run("ip link del kept0");
}

static void bad_interfaces_are_told(void **state)
{
    struct tap_config config = default_config();
    struct fake_host *h;

    (void)state;
    guest_need();
    config.ifname = "lo";
    expect_failure(&config, -EINVAL,
                   "interface lo exists, and is no tap with what is asked of it; take another "
                   "name, or make it so: ip tuntap add dev NAME mode tap");
    config.ifname = "busy0";
    h = fake_host_new(PLUGIN_FILE, NULL, &config);
    expect_failure(&config, -EBUSY,
                   "interface busy0 is in use by another program; stop that, or take another");
    fake_host_free(h);
    config.ifname = "vm0";
    config.mtu = 20;
    expect_failure(&config, -EINVAL, "`mtu` cannot be done to interface vm0: Invalid argument");
    assert_int_equal(interface_flags("vm0"), 0);
}

static void bad_97_names_are_told(void **state)
{
    static const struct {
        const char *ifname, *macvtap, *sentence;
    } cases[] = {
        {"a-name-of-16-byt", NULL,
         "ifname = a-name-of-16-byt has 16 bytes; an interface's name has 1 to 15"},
        {"", NULL, "ifname =  has 0 bytes; an interface's name has 1 to 15"},
        {"../tap", NULL,
         "ifname = ../tap is no interface's name: no blank, slash or colon may be in it"},
        {"..", NULL, "ifname = .. is no interface's name: no blank, slash or colon may be in it"},
        {"tap%s", NULL,
         "ifname = tap%s is no pattern; expected a name, or one with %d for a number"},
        {"tap%d%d", NULL,
         "ifname = tap%d%d is no pattern; expected a name, or one with %d for a number"},
        {NULL, "tap%d",
         "macvtap = tap%d is a pattern; expected the name of an interface that is there"},
        {"tap0", "tap1", "of `ifname`, `macvtap` and `fd` only one can be given"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tap_config config = default_config();

        config.ifname = cases[i].ifname;
        config.macvtap = cases[i].macvtap;
        expect_failure(&config, -EINVAL, cases[i].sentence);
    }
}

static void bad_addresses_are_told(void **state)
{
    static const char *const texts[] = {"10.0.0.1",    "10.0.0.1/33", "10.0.0.256/24",
                                        "fd00::1/129", "/24",         "10.0.0.1/x"};
    struct tap_config config = default_config();
    char sentence[128];

    (void)state;
    guest_need();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        config.address = (struct bp_list){&texts[i], 1};
        snprintf(sentence, sizeof(sentence),
                 "address %s is none; expected ADDRESS/BITS, as in 10.0.0.1/24", texts[i]);
        expect_failure(&config, -EINVAL, sentence);
    }
}

/* Takes CAP_NET_ADMIN out of the effective set, or puts it back. */
static void set_net_admin(int on)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    assert_int_equal(syscall(SYS_capget, &header, data), 0);
    if (on)
        data[0].effective |= 1u << CAP_NET_ADMIN;
    else
        data[0].effective &= ~(1u << CAP_NET_ADMIN);
    assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void bad_97_without_permission_it_is_told_what_to_grant(void **state)
{
    struct tap_config config = default_config();

    (void)state;
    guest_need();
    config.address.count = 0;
    config.ifname = "mine0";
    set_net_admin(0);
    expect_failure(&config, -EPERM,
                   "interface mine0 may not be made or used: Operation not permitted; grant "
                   "CAP_NET_ADMIN, or make it beforehand, as root: ip tuntap add dev NAME mode tap "
                   "user USER");
    set_net_admin(1);
    netns_run("ip tuntap add dev mine0 mode tap user 0");
    set_net_admin(0);
    expect_failure(&config, -EPERM,
                   "interface mine0 is down, and this user may not set it up; do that as root (ip "
                   "link set mine0 up), grant CAP_NET_ADMIN, or say `up = no`");
    config.up = 0;
    expect_success(&config);
    config.mtu = 1400;
    expect_failure(&config, -EPERM,
                   "`mtu` cannot be done to interface mine0: Operation not permitted; grant "
                   "CAP_NET_ADMIN, or leave the key out");
    set_net_admin(1);
    netns_run("ip link set mine0 up");
    set_net_admin(0);
    config.mtu = 0;
    config.up = 1;
    expect_success(&config); /* what is up need not be set up */
    set_net_admin(1);
    netns_run("ip link del mine0");
}

static int open_tap(const char *name, int flags)
{
    struct ifreq request = {0};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    request.ifr_flags = (short)flags;
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    return fd;
}

static void fd_that_was_handed_over_is_used(void **state)
{
    struct tap_config config = default_config();
    uint64_t fds[2];
    struct fake_nic *n;
    uint8_t mac[6];

    (void)state;
    guest_need();
    fds[0] = (uint64_t)open_tap("given0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
    fds[1] = (uint64_t)open_tap("given0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
    config.fd = (struct bp_list){fds, 2};
    n = guest_new(&config);
    assert_string_equal(fake_log(n->host, NULL), "the host's end is interface given0");
    assert_int_equal(n->ops->set_queues(n->self, 2), 0);
    assert_int_equal(n->ops->set_queues(n->self, 1), 0);
    guest_arp(n, mac);
    netns_run("ip link del given0");
    FAKE_NIC_WAIT(n, n->links == 1);
    assert_string_equal(fake_log(n->host, NULL),
                        "interface given0 is gone, and the fd that was given with it: the link is "
                        "down");
    fake_advance_ns(n->host, UINT64_C(100000000000));
    assert_int_equal(n->links, 1);
    fake_nic_free(n);
}

static void bad_fds_are_told(void **state)
{
    struct tap_config config = default_config();
    uint64_t number;
    char sentence[256];
    int fd;

    (void)state;
    guest_need();
    config.fd = (struct bp_list){&number, 1};
    number = 1000;
    expect_failure(&config, -EBADF, "fd 1000 is not open in this process");
    number = UINT64_C(1) << 32;
    expect_failure(&config, -EBADF, "fd 4294967296 is not open in this process");
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    number = (uint64_t)fd;
    snprintf(sentence, sizeof(sentence), "fd %d is no tap interface's", fd);
    expect_failure(&config, -ENOTTY, sentence);
    close(fd);
    fd = open_tap("tun0", IFF_TUN | IFF_NO_PI);
    number = (uint64_t)fd;
    snprintf(sentence, sizeof(sentence), "fd %d is no tap interface's", fd);
    expect_failure(&config, -ENOTTY, sentence);
    close(fd);
    fd = open_tap("bare0", IFF_TAP | IFF_NO_PI);
    number = (uint64_t)fd;
    snprintf(sentence, sizeof(sentence),
             "fd %d is of a tap without IFF_VNET_HDR; open it with that, or set `vnet-hdr = no`",
             fd);
    expect_failure(&config, -ENOTSUP, sentence);
    config.vnet_hdr = 0;
    expect_success(&config); /* which closes it */
}

static void without_a_header_there_are_no_offloads(void **state)
{
    struct tap_config config = default_config();
    struct bp_buf buf;
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf, .flags = 1};
    uint8_t mac[6], data[64] = {0};
    struct fake_nic *n;

    (void)state;
    config.vnet_hdr = 0;
    n = guest_new(&config);
    assert_int_equal(n->ops->offloads(n->self), 0);
    assert_int_equal(n->ops->set_offloads(n->self, BP_NET_OFFLOAD_CSUM), -EINVAL);
    assert_int_equal(n->ops->set_offloads(n->self, 0), 0);
    guest_arp(n, mac);
    buf = (struct bp_buf){data, sizeof(data)};
    assert_int_equal(fake_nic_send_frames(n, 0, &frame, 1), 1); /* and is dropped */
    fake_ops(n->host)->stop(n->self);
    assert_non_null(strstr(fake_log(n->host, NULL), "took 1, dropped 1"));
    fake_nic_free(n);
}

static void bad_offloads_are_refused(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n = guest_new(&config);

    (void)state;
    assert_int_equal(n->ops->offloads(n->self), 15);
    assert_int_equal(n->ops->set_offloads(n->self, 15), 0);
    assert_int_equal(n->ops->set_offloads(n->self, 16), -EINVAL);
    assert_int_equal(n->ops->set_offloads(n->self, BP_NET_OFFLOAD_TSO4), -EINVAL);
    fake_nic_free(n);
}

static void macvtap_carries_frames_to_the_far_end(void **state)
{
    struct tap_config config = default_config();
    struct fake_nic *n;
    uint8_t mac[6];

    (void)state;
    guest_need();
    config.address.count = 0;
    config.macvtap = "mv0";
    expect_failure(&config, -ENODEV,
                   "there is no interface mv0; make it, as root: ip link add link eth0 name mv0 "
                   "type macvtap mode bridge");
    netns_run("ip link add near type veth peer name far");
    netns_run("ip addr add " HOST_ADDRESS "/24 dev far");
    netns_run("ip link set near up; ip link set far up");
    if (netns_try(
            "ip link add link near name mv0 address 52:54:00:12:34:56 type macvtap mode bridge "
            "2>/dev/null")) {
        netns_run("ip link del near");
        print_message("skipped: this kernel has no macvtap\n");
        skip();
    }
    n = guest_new(&config);
    guest_arp(n, mac);
    netns_run("ip link del mv0");
    fake_advance_ns(n->host, UINT64_C(2000000000));
    assert_int_equal(n->links, 1);
    assert_int_equal(n->up, 0);
    netns_run("ip link add link near name mv0 address 52:54:00:12:34:56 type macvtap mode bridge");
    fake_advance_ns(n->host, UINT64_C(31000000000));
    assert_int_equal(n->up, 1);
    guest_arp(n, mac);
    fake_nic_free(n);
    config.bridge = "br0";
    expect_failure(&config, -EINVAL,
                   "a macvtap is bridged by what it stands on; leave `bridge` out");
    netns_run("ip link del near");
}

#define TEST(name) cmocka_unit_test(name)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(interface_is_made_as_the_keys_say_and_goes_with_the_machine),
        TEST(interface_without_a_name_is_a_free_one),
        TEST(interface_joins_a_bridge),
        TEST(interface_that_was_made_beforehand_is_used_and_stays),
        TEST(bad_interfaces_are_told),
        TEST(bad_97_names_are_told),
        TEST(bad_addresses_are_told),
        TEST(bad_97_without_permission_it_is_told_what_to_grant),
        TEST(fd_that_was_handed_over_is_used),
        TEST(bad_fds_are_told),
        TEST(without_a_header_there_are_no_offloads),
        TEST(bad_offloads_are_refused),
        TEST(macvtap_carries_frames_to_the_far_end),
    };

    (void)argc;
    netns_enter(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
