/* SPDX-License-Identifier: MIT
 *
 * net-user/stack.h - the guest's side of net-user in the test's hands: a fake adapter, and as much
 * of Ethernet, ARP, IPv4, IPv6, UDP and TCP as tests need. Addresses and ports are in host order.
 */
#ifndef NET_USER_STACK_H
#define NET_USER_STACK_H

#include "config.h"
#include "fakes/net.h"

#define GUEST_IP 0x0a00020fu /* 10.0.2.15 */
#define HOST_IP 0x0a000202u
#define DNS_IP 0x0a000203u

#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u
#define PROTOCOL_ICMPV6 58u

#define TCP_FIN 1u
#define TCP_SYN 2u
#define TCP_RST 4u
#define TCP_PSH 8u
#define TCP_ACK 16u

struct stack {
    struct fake_nic *nic;
    uint32_t longest; /* frame that came, bytes */
    uint32_t seen;    /* frames of nic->got that were looked at */
    uint8_t host_mac[6];
    uint32_t mss;    /* that SYNs ask for; 0: they do not */
    uint8_t ip6[16]; /* the guest's, fec0::5054:ff:fe12:3456 */
};

/* A frame, taken apart. */
struct packet {
    uint32_t type; /* EtherType */
    uint32_t protocol;
    uint32_t source, destination; /* IPv4; 0 otherwise */
    uint32_t source_port, destination_port;
    uint32_t flags, seq, ack; /* TCP */
    const uint8_t *payload;   /* of ARP, ICMP, ICMPv6, UDP, TCP */
    uint32_t len;
    const uint8_t *frame;
};

/* One TCP connection, without timers: nothing is lost between us and libslirp. */
struct connection {
    uint32_t ip, port, own_port;
    uint32_t seq, ack;
    uint32_t closed; /* TCP_FIN or TCP_RST came */
    uint32_t window;
    uint8_t *data; /* what came */
    uint32_t len, size;
};

extern const uint8_t broadcast[6];

/* What a machine file without any key gives. */
struct user_config default_config(void);
struct stack *stack_new(const struct user_config *config);
void stack_free(struct stack *s);

/* One turn of the loop. */
void stack_turn(struct stack *s);
/* The next packet that came, answering ARP and neighbour solicitations on the way; 0: none yet. */
int stack_next(struct stack *s, struct packet *out);
/* Waits for a packet of `type`, and of `protocol` if that is not 0; others are dropped. Fails the
 * test if none comes. */
void stack_wait(struct stack *s, uint32_t type, uint32_t protocol, struct packet *out);
/* Fails the test if a packet of `protocol` comes within some turns. */
void stack_expect_none(struct stack *s, uint32_t protocol);

void stack_send_ether(struct stack *s, const uint8_t *to, uint32_t type, const void *data,
                      uint32_t len);
void stack_send_ip(struct stack *s, uint32_t protocol, uint32_t source, uint32_t destination,
                   const void *data, uint32_t len);
void stack_send_udp(struct stack *s, uint32_t source_port, uint32_t destination,
                    uint32_t destination_port, const void *data, uint32_t len);
void stack_send_ip6(struct stack *s, uint32_t protocol, const uint8_t *destination,
                    const uint8_t *mac, const void *data, uint32_t len);
/* Learns the gateway's hardware address, and lets it learn ours. */
void stack_arp(struct stack *s);

void stack_send_tcp(struct stack *s, const struct connection *c, uint32_t flags, const void *data,
                    uint32_t len);
/* Opens a connection to the gateway's `port`: 1; 0 if it was reset. */
int tcp_connect(struct stack *s, struct connection *c, uint32_t own_port, uint32_t port);
/* Waits for one to our `own_port`, and takes it. */
void tcp_accept(struct stack *s, struct connection *c, uint32_t own_port);
/* Takes in a packet; nonzero if it is of this connection. */
int tcp_input(struct stack *s, struct connection *c, const struct packet *p);
/* One turn, and everything that came. */
void tcp_turn(struct stack *s, struct connection *c);
void tcp_send(struct stack *s, struct connection *c, const void *data, uint32_t len);
void tcp_close(struct stack *s, struct connection *c);
void tcp_free(struct connection *c);

/* A socket of the test's at 127.0.0.1, non-blocking, listening if it is a stream; *port gets its
 * port, or has it if not 0. */
int local_socket(int type, uint32_t *port);
/* A port at 127.0.0.1 that nobody used a moment ago. */
uint32_t free_port(int type);
/* A stream connected to 127.0.0.1:port, non-blocking. */
int local_connect(uint32_t port);

#define STACK_WAIT(s, condition)                                                                   \
    do {                                                                                           \
        int turns_ = 0;                                                                            \
                                                                                                   \
        while (!(condition)) {                                                                     \
            if (turns_++ == 2000)                                                                  \
                fail_msg("waited in vain for: %s", #condition);                                    \
            stack_turn(s);                                                                         \
        }                                                                                          \
    } while (0)

#endif
