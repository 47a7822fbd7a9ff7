/* SPDX-License-Identifier: MIT
 *
 * net-user/stack.c - the guest's side of net-user: see stack.h.
 */
#include "stack.h"

#include "fakes/normal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ARP 0x0806u
#define IPV4 0x0800u
#define IPV6 0x86ddu
#define WAIT_TURNS 2000
#define MSS 1460u

static const uint8_t guest_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8u);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16u);
    put16(at + 2, v);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8u | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16u | get16(at + 2);
}

static uint32_t sum(const uint8_t *data, uint32_t len, uint32_t start)
{
    for (uint32_t i = 0; i < len; i++)
        start += i % 2 ? data[i] : (uint32_t)data[i] << 8u;
    return start;
}

static uint32_t fold(uint32_t value)
{
    while (value >> 16u)
        value = (value & 0xffffu) + (value >> 16u);
    return ~value & 0xffffu;
}

struct user_config default_config(void)
{
    return (struct user_config){
        .mtu = 1500, .sockets = 512, .ipv4 = 1, .ipv6 = 1, .host_loopback = 1};
}

struct stack *stack_new(const struct user_config *config)
{
    static const uint8_t ip6[16] = {0xfe, 0xc0, 0, 0,    0,    0,    0,    0,
                                    0x50, 0x54, 0, 0xff, 0xfe, 0x12, 0x34, 0x56};
    struct stack *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->nic = fake_nic_new(fake_host_new(PLUGIN_FILE, NULL, config));
    memcpy(s->ip6, ip6, sizeof(ip6));
    return s;
}

void stack_free(struct stack *s)
{
    fake_nic_free(s->nic);
    free(s);
}

void stack_turn(struct stack *s)
{
    /* Guest time of this fake moves by turns: so do libslirp's timers. */
    fake_nic_turn(s->nic, 2);
}

/* ---- sending ------------------------------------------------------------------------------------
 */

void stack_send_ether(struct stack *s, const uint8_t *to, uint32_t type, const void *data,
                      uint32_t len)
{
    static uint8_t frame[BP_FRAME_MAX];

    assert_true(len + 14 <= sizeof(frame));
    memcpy(frame, to, 6);
    memcpy(frame + 6, guest_mac, 6);
    put16(frame + 12, type);
    memcpy(frame + 14, data, len);
    assert_int_equal(fake_nic_send(s->nic, 0, frame, len + 14), 1);
}

void stack_send_ip(struct stack *s, uint32_t protocol, uint32_t source, uint32_t destination,
                   const void *data, uint32_t len)
{
    static uint8_t packet[65535];

    memset(packet, 0, 20);
    packet[0] = 0x45;
    put16(packet + 2, len + 20);
    packet[8] = 64;
    packet[9] = (uint8_t)protocol;
    put32(packet + 12, source);
    put32(packet + 16, destination);
    put16(packet + 10, fold(sum(packet, 20, 0)));
    memcpy(packet + 20, data, len);
    if (protocol == PROTOCOL_ICMP) {
        put16(packet + 22, 0);
        put16(packet + 22, fold(sum(packet + 20, len, 0)));
    }
    stack_send_ether(s, s->host_mac, IPV4, packet, len + 20);
}

/* The checksum with the pseudo header of IPv4, RFC 9293, section 3.1. */
static uint32_t checksum4(uint32_t protocol, uint32_t source, uint32_t destination,
                          const uint8_t *data, uint32_t len)
{
    uint8_t pseudo[12] = {0};

    put32(pseudo, source);
    put32(pseudo + 4, destination);
    pseudo[9] = (uint8_t)protocol;
    put16(pseudo + 10, len);
    return fold(sum(data, len, sum(pseudo, 12, 0)));
}

void stack_send_udp(struct stack *s, uint32_t source_port, uint32_t destination,
                    uint32_t destination_port, const void *data, uint32_t len)
{
    uint8_t datagram[2048];
    uint32_t source = destination == UINT32_MAX ? 0 : GUEST_IP;

    assert_true(len + 8 <= sizeof(datagram));
    put16(datagram, source_port);
    put16(datagram + 2, destination_port);
    put16(datagram + 4, len + 8);
    put16(datagram + 6, 0);
    memcpy(datagram + 8, data, len);
    put16(datagram + 6, checksum4(PROTOCOL_UDP, source, destination, datagram, len + 8));
    stack_send_ip(s, PROTOCOL_UDP, source, destination, datagram, len + 8);
}

void stack_send_ip6(struct stack *s, uint32_t protocol, const uint8_t *destination,
                    const uint8_t *mac, const void *data, uint32_t len)
{
    uint8_t packet[2048] = {0x60}, pseudo[40] = {0};

    put16(packet + 4, len);
    packet[6] = (uint8_t)protocol;
    packet[7] = 255;
    memcpy(packet + 8, s->ip6, 16);
    memcpy(packet + 24, destination, 16);
    memcpy(packet + 40, data, len);
    memcpy(pseudo, packet + 8, 32);
    put32(pseudo + 32, len);
    pseudo[39] = (uint8_t)protocol;
    if (protocol == PROTOCOL_ICMPV6) {
        put16(packet + 42, 0);
        put16(packet + 42, fold(sum(packet + 40, len, sum(pseudo, 40, 0))));
    }
    stack_send_ether(s, mac, IPV6, packet, len + 40);
}

/* ---- receiving ----------------------------------------------------------------------------------
 */

static void take_apart4(const uint8_t *frame, uint32_t len, struct packet *p)
{
    const uint8_t *ip = frame + 14;
    uint32_t header = (ip[0] & 15u) * 4u, total = get16(ip + 2);

    assert_true(len >= 34 && header >= 20 && total >= header && total + 14 <= len);
    assert_int_equal(fold(sum(ip, header, 0)), 0);
    p->protocol = ip[9];
    p->source = get32(ip + 12);
    p->destination = get32(ip + 16);
    p->payload = ip + header;
    p->len = total - header;
    if (p->protocol == PROTOCOL_TCP || p->protocol == PROTOCOL_UDP) {
        assert_true(p->len >= 8);
        if (p->protocol == PROTOCOL_TCP || get16(p->payload + 6))
            assert_int_equal(checksum4(p->protocol, p->source, p->destination, p->payload, p->len),
                             0);
        p->source_port = get16(p->payload);
        p->destination_port = get16(p->payload + 2);
    }
    if (p->protocol == PROTOCOL_UDP) {
        p->payload += 8;
        p->len -= 8;
    } else if (p->protocol == PROTOCOL_TCP) {
        uint32_t offset = (p->payload[12] >> 4u) * 4u;

        assert_true(offset >= 20 && offset <= p->len);
        p->seq = get32(p->payload + 4);
        p->ack = get32(p->payload + 8);
        p->flags = p->payload[13];
        p->payload += offset;
        p->len -= offset;
    }
}

static void answer_arp(struct stack *s, const uint8_t *frame)
{
    uint8_t answer[28];

    if (get16(frame + 20) != 1 || get32(frame + 38) != GUEST_IP)
        return;
    memcpy(answer, frame + 14, 28);
    put16(answer + 6, 2);
    memcpy(answer + 8, guest_mac, 6);
    put32(answer + 14, GUEST_IP);
    memcpy(answer + 18, frame + 22, 10);
    stack_send_ether(s, frame + 6, ARP, answer, 28);
}

/* RFC 4861, sections 4.3 and 4.4. */
static void answer_neighbour(struct stack *s, const uint8_t *frame, uint32_t len)
{
    uint8_t answer[32] = {136, 0, 0, 0, 0x60};

    if (len < 14 + 40 + 24 || frame[20] != PROTOCOL_ICMPV6 || frame[54] != 135 ||
        memcmp(frame + 62, s->ip6, 16) != 0)
        return;
    memcpy(answer + 8, s->ip6, 16);
    answer[24] = 2; /* target link-layer address */
    answer[25] = 1;
    memcpy(answer + 26, guest_mac, 6);
    stack_send_ip6(s, PROTOCOL_ICMPV6, frame + 22, frame + 6, answer, 32);
}

int stack_next(struct stack *s, struct packet *out)
{
    const struct fake_frame *f;

    if (s->seen == s->nic->got.count) {
        fake_frames_clear(&s->nic->got);
        s->seen = 0;
        return 0;
    }
    f = &s->nic->got.frames[s->seen++];
    s->longest = f->len > s->longest ? f->len : s->longest;
    memset(out, 0, sizeof(*out));
    out->frame = f->data;
    out->type = get16(f->data + 12);
    out->payload = f->data + 14;
    out->len = f->len - 14;
    if (out->type == IPV4)
        take_apart4(f->data, f->len, out);
    else if (out->type == ARP)
        answer_arp(s, f->data);
    if (out->type == IPV6) {
        assert_true(f->len >= 54);
        out->protocol = f->data[20];
        out->payload = f->data + 54;
        out->len = get16(f->data + 18);
        assert_true(out->len + 54 <= f->len);
        answer_neighbour(s, f->data, f->len);
    }
    return 1;
}

void stack_wait(struct stack *s, uint32_t type, uint32_t protocol, struct packet *out)
{
    for (int i = 0; i < WAIT_TURNS; i++) {
        while (stack_next(s, out))
            if (out->type == type && (!protocol || out->protocol == protocol))
                return;
        stack_turn(s);
    }
    fake_fail("waited in vain for a packet of type %x, protocol %u", type, protocol);
}

void stack_expect_none(struct stack *s, uint32_t protocol)
{
    struct packet p;

    for (int i = 0; i < 20; i++) {
        stack_turn(s);
        while (stack_next(s, &p))
            if (p.protocol == protocol)
                fake_fail("a packet of protocol %u came", protocol);
    }
}

void stack_arp(struct stack *s)
{
    uint8_t request[28] = {0, 1, 8, 0, 6, 4, 0, 1};
    struct packet p;

    memcpy(request + 8, guest_mac, 6);
    put32(request + 14, GUEST_IP);
    put32(request + 24, HOST_IP);
    stack_send_ether(s, broadcast, ARP, request, 28);
    do {
        stack_wait(s, ARP, 0, &p);
    } while (get16(p.payload + 6) != 2);
    memcpy(s->host_mac, p.payload + 8, 6);
    assert_int_equal(get32(p.payload + 14), HOST_IP);
}

/* ---- TCP ----------------------------------------------------------------------------------------
 */

void stack_send_tcp(struct stack *s, const struct connection *c, uint32_t flags, const void *data,
                    uint32_t len)
{
    uint8_t segment[MSS + 24] = {0};
    uint32_t header = flags & TCP_SYN && s->mss ? 24 : 20;

    assert_true(len <= MSS);
    put16(segment, c->own_port);
    put16(segment + 2, c->port);
    put32(segment + 4, c->seq);
    put32(segment + 8, flags & TCP_ACK ? c->ack : 0);
    segment[12] = (uint8_t)(header / 4u << 4u);
    segment[13] = (uint8_t)flags;
    put16(segment + 14, c->window);
    if (header > 20) {
        put16(segment + 20, 0x0204);
        put16(segment + 22, s->mss);
    }
    if (len)
        memcpy(segment + header, data, len);
    put16(segment + 16, checksum4(PROTOCOL_TCP, GUEST_IP, c->ip, segment, len + header));
    stack_send_ip(s, PROTOCOL_TCP, GUEST_IP, c->ip, segment, len + header);
}

static int is_of(const struct connection *c, const struct packet *p)
{
    return p->protocol == PROTOCOL_TCP && p->source == c->ip && p->source_port == c->port &&
           p->destination_port == c->own_port;
}

int tcp_input(struct stack *s, struct connection *c, const struct packet *p)
{
    if (!is_of(c, p))
        return 0;
    if (p->flags & TCP_RST) {
        c->closed |= TCP_RST;
        return 1;
    }
    if (p->seq != c->ack) { /* once more, or ahead of what we have: say what we want */
        if (p->len || p->flags & TCP_FIN)
            stack_send_tcp(s, c, TCP_ACK, NULL, 0);
        return 1;
    }
    if (p->len) {
        if (c->len + p->len > c->size) {
            c->size = 2 * (c->len + p->len);
            c->data = realloc(c->data, c->size);
            assert_non_null(c->data);
        }
        memcpy(c->data + c->len, p->payload, p->len);
        c->len += p->len;
        c->ack += p->len;
    }
    if (p->flags & TCP_FIN) {
        c->closed |= TCP_FIN;
        c->ack++;
    }
    if (p->len || p->flags & TCP_FIN)
        stack_send_tcp(s, c, TCP_ACK, NULL, 0);
    return 1;
}

void tcp_turn(struct stack *s, struct connection *c)
{
    struct packet p;

    stack_turn(s);
    while (stack_next(s, &p))
        tcp_input(s, c, &p);
}

int tcp_connect(struct stack *s, struct connection *c, uint32_t own_port, uint32_t port)
{
    struct packet p;

    *c = (struct connection){
        .ip = HOST_IP, .port = port, .own_port = own_port, .seq = 1000, .window = 65535};
    stack_send_tcp(s, c, TCP_SYN, NULL, 0);
    c->seq++;
    do {
        stack_wait(s, IPV4, PROTOCOL_TCP, &p);
    } while (!is_of(c, &p));
    if (p.flags & TCP_RST)
        return 0;
    assert_int_equal(p.flags & (TCP_SYN | TCP_ACK), TCP_SYN | TCP_ACK);
    assert_int_equal(p.ack, c->seq);
    c->ack = p.seq + 1;
    stack_send_tcp(s, c, TCP_ACK, NULL, 0);
    return 1;
}

void tcp_accept(struct stack *s, struct connection *c, uint32_t own_port)
{
    struct packet p;

    do {
        stack_wait(s, IPV4, PROTOCOL_TCP, &p);
    } while (p.destination_port != own_port || p.flags != TCP_SYN);
    assert_int_equal(p.destination, GUEST_IP);
    *c = (struct connection){.ip = p.source,
                             .port = p.source_port,
                             .own_port = own_port,
                             .seq = 7000,
                             .ack = p.seq + 1,
                             .window = 65535};
    stack_send_tcp(s, c, TCP_SYN | TCP_ACK, NULL, 0);
    c->seq++;
}

void tcp_send(struct stack *s, struct connection *c, const void *data, uint32_t len)
{
    uint32_t done = 0;

    while (done < len) {
        uint32_t n = len - done < MSS ? len - done : MSS;

        stack_send_tcp(s, c, TCP_ACK | TCP_PSH, (const uint8_t *)data + done, n);
        c->seq += n;
        done += n;
        tcp_turn(s, c);
    }
}

void tcp_close(struct stack *s, struct connection *c)
{
    stack_send_tcp(s, c, TCP_ACK | TCP_FIN, NULL, 0);
    c->seq++;
}

void tcp_free(struct connection *c)
{
    free(c->data);
}

/* ---- the host's side ----------------------------------------------------------------------------
 */

int local_socket(int type, uint32_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)*port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

uint32_t free_port(int type)
{
    uint32_t port = 0;

    close(local_socket(type, &port));
    return port;
}

int local_connect(uint32_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}
