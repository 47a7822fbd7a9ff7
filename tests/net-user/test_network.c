/* SPDX-License-Identifier: MIT
 *
 * net-user as built: what a guest finds in its network. ARP, DHCP, the name server, ICMP, UDP both
 * ways, TFTP, and IPv6's router and neighbours. Nothing leaves this machine; the name server's
 * test has a network namespace of its own, with a name server of the test's.
 */
#include "fakes/netns.h"
#include "stack.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define IPV4 0x0800u
#define IPV6 0x86ddu
#define DHCP_DISCOVER 1u
#define DHCP_OFFER 2u
#define DHCP_REQUEST 3u
#define DHCP_ACK 5u

static const uint8_t gateway6[16] = {0xfe, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};

static void arp_finds_the_gateway(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    static const uint8_t expected[6] = {0x52, 0x55, 10, 0, 2, 2};

    (void)state;
    stack_arp(s);
    assert_memory_equal(s->host_mac, expected, 6);
    stack_free(s);
}

/* RFC 2131, section 2: fixed part of 236 bytes, cookie, options. */
static uint32_t dhcp(uint8_t *to, uint32_t kind)
{
    static const uint8_t fixed[] = {1, 1, 6, 0, 1, 2, 3, 4};
    static const uint8_t mac[] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    static const uint8_t options[] = {99, 130, 83, 99, 53, 1};
    static const uint8_t wanted[] = {50, 4, 10, 0, 2, 15};
    uint32_t at = 236;

    memset(to, 0, 300);
    memcpy(to, fixed, sizeof(fixed));
    memcpy(to + 28, mac, sizeof(mac));
    memcpy(to + at, options, sizeof(options));
    at += sizeof(options);
    to[at++] = (uint8_t)kind;
    if (kind == DHCP_REQUEST) {
        memcpy(to + at, wanted, sizeof(wanted));
        at += sizeof(wanted);
    }
    to[at] = 255;
    return 300;
}

/* The value of an option, its length in *len; NULL: it is not there. */
static const uint8_t *option(const struct packet *p, uint32_t code, uint32_t *len)
{
    uint32_t at = 240;

    while (at + 2 <= p->len && p->payload[at] != 255) {
        *len = p->payload[at + 1];
        if (p->payload[at] == code && at + 2 + *len <= p->len)
            return p->payload + at + 2;
        at += p->payload[at] ? 2 + *len : 1;
    }
    return NULL;
}

static void expect_option(const struct packet *p, uint32_t code, const void *value, uint32_t size)
{
    uint32_t len = 0;
    const uint8_t *found = option(p, code, &len);

    assert_non_null(found);
    assert_int_equal(len, size);
    assert_memory_equal(found, value, size);
}

static void dhcp_gives_address_gateway_and_names(void **state)
{
    static const uint8_t address[] = {10, 0, 2, 15}, mask[] = {255, 255, 255, 0};
    static const uint8_t router[] = {10, 0, 2, 2}, dns[] = {10, 0, 2, 3};
    struct user_config config = default_config();
    struct stack *s;
    struct packet p;
    uint8_t message[300];

    (void)state;
    config.hostname = "guest";
    config.domain = "example.org";
    config.bootfile = "kernel.img";
    s = stack_new(&config);
    stack_send_udp(s, 68, UINT32_MAX, 67, message, dhcp(message, DHCP_DISCOVER));
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    assert_int_equal(p.source_port, 67);
    assert_int_equal(p.destination_port, 68);
    expect_option(&p, 53, &(uint8_t){DHCP_OFFER}, 1);
    assert_memory_equal(p.payload + 16, address, 4);
    stack_send_udp(s, 68, UINT32_MAX, 67, message, dhcp(message, DHCP_REQUEST));
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    expect_option(&p, 53, &(uint8_t){DHCP_ACK}, 1);
    assert_memory_equal(p.payload + 16, address, 4);
    expect_option(&p, 1, mask, 4);
    expect_option(&p, 3, router, 4);
    expect_option(&p, 6, dns, 4);
    expect_option(&p, 12, "guest", 5);
    expect_option(&p, 15, "example.org", 11);
    assert_string_equal((const char *)p.payload + 108, "kernel.img");
    stack_free(s);
}

static void dhcp_follows_the_keys(void **state)
{
    static const uint8_t address[] = {192, 168, 7, 100}, mask[] = {255, 255, 0, 0};
    static const uint8_t router[] = {192, 168, 0, 1}, dns[] = {192, 168, 0, 53};
    struct user_config config = default_config();
    struct stack *s;
    struct packet p;
    uint8_t message[300];

    (void)state;
    config.network = "192.168.3.4/16";
    config.host = "192.168.0.1";
    config.dns = "192.168.0.53";
    config.dhcp_start = "192.168.7.100";
    s = stack_new(&config);
    stack_send_udp(s, 68, UINT32_MAX, 67, message, dhcp(message, DHCP_DISCOVER));
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    assert_memory_equal(p.payload + 16, address, 4);
    expect_option(&p, 1, mask, 4);
    expect_option(&p, 3, router, 4);
    expect_option(&p, 6, dns, 4);
    stack_free(s);
}

static void gateway_answers_ping(void **state)
{
    static const uint8_t echo[] = {8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g', 0, 0};
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    struct packet p;

    (void)state;
    stack_arp(s);
    stack_send_ip(s, PROTOCOL_ICMP, GUEST_IP, HOST_IP, echo, sizeof(echo));
    stack_wait(s, IPV4, PROTOCOL_ICMP, &p);
    assert_int_equal(p.payload[0], 0); /* echo reply */
    assert_memory_equal(p.payload + 4, echo + 4, sizeof(echo) - 4);
    stack_free(s);
}

static void udp_reaches_a_program_of_the_host_and_comes_back(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint32_t port = 0;
    int fd = local_socket(SOCK_DGRAM, &port);
    struct packet p;
    char data[64];
    ssize_t n = -1;

    (void)state;
    stack_arp(s);
    stack_send_udp(s, 5000, HOST_IP, port, "question", 8);
    STACK_WAIT(s,
               (n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_len)) > 0);
    assert_int_equal(n, 8);
    assert_memory_equal(data, "question", 8);
    assert_int_equal(sendto(fd, "answer", 6, 0, (struct sockaddr *)&from, from_len), 6);
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    assert_int_equal(p.source, HOST_IP);
    assert_int_equal(p.source_port, port);
    assert_int_equal(p.destination_port, 5000);
    assert_int_equal(p.len, 6);
    assert_memory_equal(p.payload, "answer", 6);
    close(fd);
    stack_free(s);
}

static void forwarded_udp_reaches_the_guest_and_comes_back(void **state)
{
    struct user_config config = default_config();
    uint32_t port = free_port(SOCK_DGRAM), own_port = 0;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char forward[64], data[64];
    const char *forwards[] = {forward};
    struct stack *s;
    struct packet p;
    ssize_t n = -1;
    int fd = local_socket(SOCK_DGRAM, &own_port);

    (void)state;
    snprintf(forward, sizeof(forward), "udp:%u:5353", port);
    config.forward = (struct bp_list){forwards, 1};
    s = stack_new(&config);
    stack_arp(s);
    assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    assert_int_equal(p.destination, GUEST_IP);
    assert_int_equal(p.destination_port, 5353);
    assert_memory_equal(p.payload, "hello", 5);
    stack_send_udp(s, 5353, p.source, p.source_port, "back", 4);
    STACK_WAIT(s, (n = recv(fd, data, sizeof(data), 0)) > 0);
    assert_int_equal(n, 4);
    assert_memory_equal(data, "back", 4);
    close(fd);
    stack_free(s);
}

static void name_server_asks_the_hosts(void **state)
{
    /* RFC 1035, section 4.1: a question for example.org, type A; the server's answer is ours. */
    static const uint8_t question[] = {0x12, 0x34, 1,   0,   0,   1,   0,   0,   0,   0,
                                       0,    0,    7,   'e', 'x', 'a', 'm', 'p', 'l', 'e',
                                       3,    'o',  'r', 'g', 0,   0,   1,   0,   1};
    struct user_config config = default_config();
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint8_t data[512];
    uint32_t port = 53;
    char file[] = "/tmp/net-user-XXXXXX";
    struct stack *s;
    struct packet p;
    ssize_t n = -1;
    int fd, conf;

    (void)state;
    netns_need();
    conf = mkstemp(file);
    assert_true(conf >= 0);
    assert_int_equal(write(conf, "nameserver 127.0.0.1\n", 21), 21);
    close(conf);
    chmod(file, 0644);
    netns_run("mount --bind %s /etc/resolv.conf", file);
    fd = local_socket(SOCK_DGRAM, &port);
    s = stack_new(&config);
    stack_arp(s);
    stack_send_udp(s, 6000, DNS_IP, 53, question, sizeof(question));
    STACK_WAIT(s,
               (n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_len)) > 0);
    assert_int_equal(n, sizeof(question));
    assert_memory_equal(data, question, sizeof(question));
    data[2] |= 0x80; /* it is the answer now */
    assert_int_equal(sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, from_len), n);
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    assert_int_equal(p.source, DNS_IP);
    assert_int_equal(p.source_port, 53);
    assert_int_equal(p.destination_port, 6000);
    assert_int_equal(p.len, sizeof(question));
    assert_memory_equal(p.payload, data, sizeof(question));
    stack_free(s);
    close(fd);
    netns_run("umount /etc/resolv.conf");
    unlink(file);
}

static void tftp_gives_a_file_of_the_folder_and_no_other(void **state)
{
    static const char request[] = "\0\1kernel.img\0octet", outside[] = "\0\1../etc/passwd\0octet";
    struct user_config config = default_config();
    char folder[] = "/tmp/net-user-XXXXXX", path[64];
    struct stack *s;
    struct packet p;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/kernel.img", folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("boot me", f);
    fclose(f);
    config.tftp = folder;
    s = stack_new(&config);
    stack_arp(s);
    stack_send_udp(s, 7000, HOST_IP, 69, request, sizeof(request));
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    assert_int_equal(p.len, 4 + 7); /* DATA, block 1: RFC 1350, section 5 */
    assert_memory_equal(p.payload, "\0\3\0\1boot me", 11);
    stack_send_udp(s, 7001, HOST_IP, 69, outside, sizeof(outside));
    stack_wait(s, IPV4, PROTOCOL_UDP, &p);
    assert_memory_equal(p.payload, "\0\5", 2); /* ERROR */
    stack_free(s);
    unlink(path);
    rmdir(folder);
}

static void ipv6_router_and_gateway_are_found(void **state)
{
    static const uint8_t all_routers[16] = {0xff, 2, [15] = 2};
    static const uint8_t all_routers_mac[6] = {0x33, 0x33, 0, 0, 0, 2};
    static const uint8_t solicited[16] = {0xff, 2, [11] = 1, 0xff, 0, 0, 2};
    static const uint8_t solicited_mac[6] = {0x33, 0x33, 0xff, 0, 0, 2};
    static const uint8_t prefix[8] = {0xfe, 0xc0};
    static const uint8_t guest_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    uint8_t solicitation[32] = {133}, mac[6];
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);
    struct packet p;

    (void)state;
    /* RFC 4861, section 4.1: router solicitation; 4.2: what comes. */
    stack_send_ip6(s, PROTOCOL_ICMPV6, all_routers, all_routers_mac, solicitation, 8);
    do {
        stack_wait(s, IPV6, PROTOCOL_ICMPV6, &p);
    } while (p.payload[0] != 134);
    for (uint32_t at = 16;; at += 8u * p.payload[at + 1]) {
        assert_true(at + 32 <= p.len && p.payload[at + 1] > 0);
        if (p.payload[at] != 3)
            continue;
        assert_int_equal(p.payload[at + 2], 64);
        assert_memory_equal(p.payload + at + 16, prefix, 8);
        break;
    }
    /* Neighbour solicitation for the gateway. */
    solicitation[0] = 135;
    memcpy(solicitation + 8, gateway6, 16);
    solicitation[24] = 1;
    solicitation[25] = 1;
    memcpy(solicitation + 26, guest_mac, sizeof(guest_mac));
    stack_send_ip6(s, PROTOCOL_ICMPV6, solicited, solicited_mac, solicitation, 32);
    do {
        stack_wait(s, IPV6, PROTOCOL_ICMPV6, &p);
    } while (p.payload[0] != 136);
    assert_memory_equal(p.payload + 8, gateway6, 16);
    memcpy(mac, p.frame + 6, 6);
    /* And it answers a ping. */
    stack_send_ip6(s, PROTOCOL_ICMPV6, gateway6, mac, "\200\0\0\0\1\2\0\1ping6", 13);
    do {
        stack_wait(s, IPV6, PROTOCOL_ICMPV6, &p);
    } while (p.payload[0] != 129);
    assert_memory_equal(p.payload + 4, "\1\2\0\1ping6", 9);
    stack_free(s);
}

static void without_ipv6_there_is_no_router(void **state)
{
    static const uint8_t all_routers[16] = {0xff, 2, [15] = 2};
    struct user_config config = default_config();
    struct stack *s;

    (void)state;
    config.ipv6 = 0;
    s = stack_new(&config);
    stack_send_ip6(s, PROTOCOL_ICMPV6, all_routers, broadcast, "\205\0\0\0\0\0\0\0", 8);
    stack_expect_none(s, PROTOCOL_ICMPV6);
    stack_free(s);
}

static void idle_network_sleeps(void **state)
{
    struct user_config config = default_config();
    struct stack *s = stack_new(&config);

    (void)state;
    stack_arp(s);
    fake_nic_expect_quiet(s->nic);
    stack_free(s);
}

#define TEST(name) cmocka_unit_test(name)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(arp_finds_the_gateway),
        TEST(dhcp_gives_address_gateway_and_names),
        TEST(dhcp_follows_the_keys),
        TEST(gateway_answers_ping),
        TEST(udp_reaches_a_program_of_the_host_and_comes_back),
        TEST(forwarded_udp_reaches_the_guest_and_comes_back),
        TEST(name_server_asks_the_hosts),
        TEST(tftp_gives_a_file_of_the_folder_and_no_other),
        TEST(ipv6_router_and_gateway_are_found),
        TEST(without_ipv6_there_is_no_router),
        TEST(idle_network_sleeps),
    };

    (void)argc;
    netns_enter(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
