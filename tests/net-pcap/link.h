/* SPDX-License-Identifier: MIT
 *
 * net-pcap/link.h - both ends of a link around a backend under test: a NIC that takes as many
 * frames as the test says, and a network behind that does the same.
 */
#ifndef TESTS_NET_PCAP_LINK_H
#define TESTS_NET_PCAP_LINK_H

#include "fakes/host.h"

#define LINK_FRAMES 4096u

struct link {
    struct fake_host *host;
    const struct bp_net *net; /* of the backend under test */
    void *self;

    /* The NIC. */
    uint64_t room;    /* frames that receive() still takes; UINT64_MAX: all */
    int refusal;      /* receive() gives this instead of taking, unless 0 */
    const char *only; /* the two bytes of an EtherType: other frames are passed over; NULL: none */
    uint64_t got;     /* frames */
    uint64_t got_ns[LINK_FRAMES]; /* guest time of each */
    uint32_t got_len[LINK_FRAMES];
    uint8_t last[65536]; /* the newest frame */
    unsigned sents, links, up;

    /* The network behind, which `net` of a config names. */
    struct bp_node *behind;
    uint32_t takes; /* frames that send() takes of each call */
    uint64_t sent;
    unsigned resumes;
    uint32_t offloads, queues;
};

/* Before the instance: makes what a config's `net` names. */
struct link *link_new(void);
/* Makes the instance and attaches the NIC. */
void link_start(struct link *l, const char *model, const void *config);
/* Stops and destroys the instance; the link can be started anew. */
void link_stop(struct link *l);
void link_free(struct link *l);

/* The guest sends a frame; returns how many were taken. */
uint32_t link_send(struct link *l, const void *frame, uint32_t len);
/* The network behind has a frame for the guest; as receive(). */
int link_receive(struct link *l, const void *frame, uint32_t len);
/* The port that the instance gave to the network behind. */
const struct bp_net_port *link_port(struct link *l, void **port_self);

/* A frame of `len` bytes, from 52:54:00:00:00:01 to ...:02, IPv4 and UDP from 10.0.0.1 to 10.0.0.2
 * with good checksums, port `port` to 9. */
void link_udp(uint8_t *to, uint32_t len, uint16_t port);

/* Sends a TCP packet of `payload` bytes over IPv4 that is to be cut into segments of `mss`, with
 * twelve bytes of options, sequence number 1000, and the checksum to be filled in; makes it at
 * `to`, where there are LINK_TCP(payload) bytes. */
#define LINK_TCP(payload) (66 + (payload))
void link_large_tcp(struct link *l, uint8_t *to, uint32_t payload, uint16_t mss);

/* Waits up to a minute for `condition` that another thread brings about. */
#define LINK_WAIT(condition)                                                                       \
    do {                                                                                           \
        int turns_ = 0;                                                                            \
                                                                                                   \
        while (!(condition)) {                                                                     \
            if (turns_++ == 12000)                                                                 \
                fail_msg("waited in vain for: %s", #condition);                                    \
            usleep(5000);                                                                          \
        }                                                                                          \
    } while (0)

#endif
