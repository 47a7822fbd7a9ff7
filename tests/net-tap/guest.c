/* SPDX-License-Identifier: MIT
 *
 * net-tap/guest.c - both sides of a tap: see guest.h.
 */
#include "guest.h"

#include "fakes/netns.h"
#include "fakes/normal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t guest_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

struct tap_config default_config(void)
{
    static const char *const address[] = {HOST_ADDRESS "/24"};

    return (struct tap_config){
        .address = {address, 1}, .queues = 1, .vnet_hdr = 1, .up = 1, .mtu = 0};
}

void guest_need(void)
{
    int fd;

    netns_need();
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return;
    }
    print_message("skipped: /dev/net/tun cannot be opened: %s\n", strerror(errno));
    skip();
}

struct fake_nic *guest_new(const struct tap_config *config)
{
    guest_need();
    return fake_nic_new(fake_host_new(PLUGIN_FILE, NULL, config));
}

void guest_arp(struct fake_nic *n, uint8_t mac[6])
{
    uint8_t request[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t fixed[10] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    uint32_t found = 0;

    memcpy(request + 6, guest_mac, 6);
    memcpy(request + 12, fixed, sizeof(fixed));
    memcpy(request + 22, guest_mac, 6);
    inet_pton(AF_INET, GUEST_ADDRESS, request + 28);
    inet_pton(AF_INET, HOST_ADDRESS, request + 38);
    assert_int_equal(fake_nic_send(n, 0, request, sizeof(request)), 1);
    for (int turns = 0; !found && turns < 2000; turns++) {
        fake_nic_turn(n, 5);
        for (uint32_t i = 0; i < n->got.count; i++) {
            const uint8_t *f = n->got.frames[i].data;

            if (f[12] == 8 && f[13] == 6 && f[21] == 2) {
                memcpy(mac, f + 22, 6);
                found = 1;
            }
        }
    }
    if (!found)
        fake_fail("no answer to ARP");
    fake_frames_clear(&n->got);
}

static uint32_t add(const uint8_t *data, uint32_t len, uint32_t start)
{
    for (uint32_t i = 0; i < len; i++)
        start += i % 2 ? data[i] : (uint32_t)data[i] << 8u;
    return start;
}

uint32_t checksum(const void *data, uint32_t len, uint32_t start)
{
    uint32_t value = add(data, len, start);

    while (value >> 16u)
        value = (value & 0xffffu) + (value >> 16u);
    return ~value & 0xffffu;
}

uint32_t pseudo_sum(uint32_t protocol, uint32_t len)
{
    uint8_t pseudo[12] = {0};

    inet_pton(AF_INET, GUEST_ADDRESS, pseudo);
    inet_pton(AF_INET, HOST_ADDRESS, pseudo + 4);
    pseudo[9] = (uint8_t)protocol;
    pseudo[10] = (uint8_t)(len >> 8u);
    pseudo[11] = (uint8_t)len;
    return add(pseudo, sizeof(pseudo), 0);
}

uint32_t guest_ip(uint8_t *frame, const uint8_t mac[6], uint32_t protocol, const void *data,
                  uint32_t len)
{
    uint8_t *ip = frame + 14;
    uint32_t sum;

    memcpy(frame, mac, 6);
    memcpy(frame + 6, guest_mac, 6);
    frame[12] = 8;
    frame[13] = 0;
    memset(ip, 0, 20);
    ip[0] = 0x45;
    ip[2] = (uint8_t)((len + 20) >> 8u);
    ip[3] = (uint8_t)(len + 20);
    ip[8] = 64;
    ip[9] = (uint8_t)protocol;
    inet_pton(AF_INET, GUEST_ADDRESS, ip + 12);
    inet_pton(AF_INET, HOST_ADDRESS, ip + 16);
    sum = checksum(ip, 20, 0);
    ip[10] = (uint8_t)(sum >> 8u);
    ip[11] = (uint8_t)sum;
    memcpy(ip + 20, data, len);
    return len + 34;
}

int is_udp_to(const struct fake_frame *f, uint32_t port)
{
    return f->len >= 42 && f->data[12] == 8 && f->data[13] == 0 && f->data[23] == 17 &&
           ((uint32_t)f->data[36] << 8u | f->data[37]) == port;
}

uint32_t count_udp(const struct fake_nic *n, uint32_t port)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < n->got.count; i++)
        count += is_udp_to(&n->got.frames[i], port) != 0;
    return count;
}

static struct sockaddr_in at(const char *address, uint32_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    inet_pton(AF_INET, address, &a.sin_addr);
    return a;
}

int host_udp(uint32_t port)
{
    struct sockaddr_in a = at(HOST_ADDRESS, port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

void host_send(int fd, uint32_t port, const void *data, uint32_t len)
{
    struct sockaddr_in a = at(GUEST_ADDRESS, port);

    assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&a, sizeof(a)), len);
}

static struct ifreq ask(const char *name, unsigned long what)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (ioctl(fd, what, &request))
        memset(&request, 0, sizeof(request));
    close(fd);
    return request;
}

uint32_t interface_flags(const char *name)
{
    return (uint16_t)ask(name, SIOCGIFFLAGS).ifr_flags;
}

uint32_t interface_mtu(const char *name)
{
    return (uint32_t)ask(name, SIOCGIFMTU).ifr_mtu;
}
