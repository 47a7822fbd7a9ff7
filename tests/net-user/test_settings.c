/* SPDX-License-Identifier: MIT
 *
 * net-user as built: keys that are wrong, each with its sentence.
 */
#include "stack.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_failure(const struct user_config *config, int err, const char *sentence)
{
    struct fake_host *h;

    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, config, &h), err);
    assert_string_equal(fake_failure(), sentence);
}

static void bad_networks_are_told(void **state)
{
    static const struct {
        const char *network, *host, *dns, *dhcp_start, *sentence;
    } cases[] = {
        {"10.0.2.0", NULL, NULL, NULL,
         "network = 10.0.2.0 is no network; expected ADDRESS/BITS, as in 10.0.2.0/24"},
        {"10.0.2/24", NULL, NULL, NULL, "network = 10.0.2/24: '10.0.2' is no IPv4 address"},
        {"10.0.2.0/30", NULL, NULL, NULL,
         "network = 10.0.2.0/30: '30' is no length of a prefix; expected 8 to 29"},
        {"10.0.2.0/+8", NULL, NULL, NULL,
         "network = 10.0.2.0/+8: '+8' is no length of a prefix; expected 8 to 29"},
        {NULL, "10.0.3.2", NULL, NULL,
         "host is 10.0.3.2, which is no host's address in the network 10.0.2.0/24; give it "
         "another"},
        {NULL, NULL, "10.0.2.255", NULL,
         "dns is 10.0.2.255, which is no host's address in the network 10.0.2.0/24; give it "
         "another"},
        {"10.0.2.0/29", NULL, NULL, NULL,
         "dhcp-start is 10.0.2.15, which is no host's address in the network 10.0.2.0/29; give it "
         "another"},
        {NULL, "gateway", NULL, NULL, "host = gateway is no IPv4 address"},
        {NULL, "10.0.2.3", NULL, NULL,
         "host and dns are the same address; give one of them another"},
        {NULL, NULL, NULL, "10.0.2.3",
         "dns and dhcp-start are the same address; give one of them another"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct user_config config = default_config();

        config.network = cases[i].network;
        config.host = cases[i].host;
        config.dns = cases[i].dns;
        config.dhcp_start = cases[i].dhcp_start;
        expect_failure(&config, -EINVAL, cases[i].sentence);
    }
}

static void bad_ipv6_networks_are_told(void **state)
{
    struct user_config config = default_config();

    (void)state;
    config.network6 = "fec0::";
    expect_failure(&config, -EINVAL,
                   "network6 = fec0:: is no network; expected ADDRESS/BITS, as in fec0::/64");
    config.network6 = "fd00::/127";
    expect_failure(&config, -EINVAL,
                   "network6 = fd00::/127: '127' is no length of a prefix; expected 8 to 120");
    config.network6 = "fd00::/60";
    config.host6 = "fd00:0:0:10::2";
    expect_failure(&config, -EINVAL,
                   "host6 is fd00:0:0:10::2, which is not in the network fd00::/60; give it "
                   "another");
    config.host6 = "fd00:0:0:f::2";
    config.dns6 = "fd00:0:0:f::2";
    expect_failure(&config, -EINVAL,
                   "host6 and dns6 are the same address; give one of them another");
    config.ipv4 = config.ipv6 = 0;
    expect_failure(&config, -EINVAL,
                   "neither `ipv4` nor `ipv6` is on; one of them must be, or the section go");
}

static void bad_forwards_are_told(void **state)
{
    static const struct {
        const char *forward, *sentence;
    } cases[] = {
        {"tcp:2222", "forward tcp:2222 is not PROTOCOL:[HOSTADDRESS:]HOSTPORT:[GUESTADDRESS:]"
                     "GUESTPORT, as in tcp:2222:22"},
        {"tcp:1:2:3:4:5",
         "forward tcp:1:2:3:4:5 is not PROTOCOL:[HOSTADDRESS:]HOSTPORT:[GUESTADDRESS:]GUESTPORT, "
         "as in tcp:2222:22"},
        {"sctp:2222:22", "forward sctp:2222:22: 'sctp' is no protocol; expected tcp or udp"},
        {"tcp:0:22", "forward tcp:0:22: '0' is no port; expected 1 to 65535"},
        {"tcp:2222:65536", "forward tcp:2222:65536: '65536' is no port; expected 1 to 65535"},
        {"tcp:2222:-1", "forward tcp:2222:-1: '-1' is no port; expected 1 to 65535"},
        {"udp:localhost:53:53", "forward udp:localhost:53:53: 'localhost' is no address; expected "
                                "one as 192.0.2.1, an IPv6 one in brackets, or *"},
        {"tcp:[::1:2222:22", "forward tcp:[::1:2222:22 is not PROTOCOL:[HOSTADDRESS:]HOSTPORT:"
                             "[GUESTADDRESS:]GUESTPORT, as in tcp:2222:22"},
        {"tcp:[::g]:2222:22", "forward tcp:[::g]:2222:22: '[::g]' is no IPv6 address"},
        {"tcp:[::1]:2222:22", "forward tcp:[::1]:2222:22 leads from an IPv6 address to an IPv4 "
                              "one; both must be of one kind"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct user_config config = default_config();

        config.forward = (struct bp_list){&cases[i].forward, 1};
        expect_failure(&config, -EINVAL, cases[i].sentence);
    }
}

static void bad_port_in_use_is_told_and_all_is_undone(void **state)
{
    struct user_config config = default_config();
    uint32_t used = 0, port = free_port(SOCK_STREAM);
    int fd = local_socket(SOCK_STREAM, &used);
    char first[64], second[64], sentence[256];
    const char *forwards[] = {first, second};

    (void)state;
    snprintf(first, sizeof(first), "tcp:%u:22", port);
    snprintf(second, sizeof(second), "tcp:%u:23", used);
    snprintf(sentence, sizeof(sentence),
             "forward %s: cannot listen there: Address already in use; choose another port or "
             "address",
             second);
    config.forward = (struct bp_list){forwards, 2};
    expect_failure(&config, -EADDRINUSE, sentence);
    close(local_socket(SOCK_STREAM, &port)); /* the first is free again */
    close(fd);
}

static void forwards_of_every_form_are_taken(void **state)
{
    struct user_config config = default_config();
    static const char *const forms[] = {"tcp:%u:22",           "tcp::%u::22",
                                        "tcp:*:%u:22",         "tcp:127.0.0.2:%u:22",
                                        "tcp:%u:10.0.2.16:22", "udp:127.0.0.1:%u:10.0.2.15:53"};
    char text[64];
    const char *forwards[] = {text};

    (void)state;
    config.forward = (struct bp_list){forwards, 1};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), forms[i], free_port(SOCK_STREAM));
#pragma GCC diagnostic pop
        stack_free(stack_new(&config));
    }
}

static void bad_names_and_folders_are_told(void **state)
{
    struct user_config config = default_config();

    (void)state;
    config.hostname = "a-name-that-is-longer-than-thirty-two";
    expect_failure(&config, -EINVAL, "hostname has 37 bytes; at most 32 are allowed");
    config.hostname = NULL;
    config.tftp = "boot";
    expect_failure(&config, -EINVAL, "tftp = boot is no absolute path; it must begin with /");
    config.tftp = "/nowhere/at/all";
    expect_failure(&config, -ENOENT, "tftp = /nowhere/at/all: No such file or directory");
    config.tftp = "/dev/null";
    expect_failure(&config, -ENOTDIR, "tftp = /dev/null is no folder");
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_networks_are_told),
        TEST(bad_ipv6_networks_are_told),
        TEST(bad_forwards_are_told),
        TEST(bad_port_in_use_is_told_and_all_is_undone),
        TEST(forwards_of_every_form_are_taken),
        TEST(bad_names_and_folders_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
