/* SPDX-License-Identifier: MIT
 *
 * net-tap/guest.h - the guest's side of a tap in the test's hands, and the host's side in the
 * network namespace that the test has for itself.
 */
#ifndef NET_TAP_GUEST_H
#define NET_TAP_GUEST_H

#include "config.h"
#include "fakes/net.h"

#define HOST_ADDRESS "10.9.0.1"
#define GUEST_ADDRESS "10.9.0.2"

/* What a machine file without any key gives, and an address. */
struct tap_config default_config(void);
/* The adapter at a new instance, started. The test is skipped where there is no tap. */
struct fake_nic *guest_new(const struct tap_config *config);
/* Skips the running test where there is no tap, with the reason. */
void guest_need(void);

/* Sends an ARP request for HOST_ADDRESS and waits for the kernel's answer: its hardware address
 * goes to `mac`. The kernel learns GUEST_ADDRESS by it. */
void guest_arp(struct fake_nic *n, uint8_t mac[6]);
/* An IPv4 packet in an Ethernet frame from the guest to the host, header filled in; its length. */
uint32_t guest_ip(uint8_t *frame, const uint8_t mac[6], uint32_t protocol, const void *data,
                  uint32_t len);
/* Whether the frame is UDP to the guest's `port`. */
int is_udp_to(const struct fake_frame *f, uint32_t port);
/* How many of the frames are. */
uint32_t count_udp(const struct fake_nic *n, uint32_t port);
/* A UDP socket of the host's, bound to HOST_ADDRESS:port, non-blocking. */
int host_udp(uint32_t port);
/* Sends to GUEST_ADDRESS:port. */
void host_send(int fd, uint32_t port, const void *data, uint32_t len);
/* The Internet checksum of `data`, with `start` added. */
uint32_t checksum(const void *data, uint32_t len, uint32_t start);
/* The sum of the pseudo header from guest to host, or back. */
uint32_t pseudo_sum(uint32_t protocol, uint32_t len);
/* IFF_* of an interface; 0 if there is none. */
uint32_t interface_flags(const char *name);
uint32_t interface_mtu(const char *name);

#endif
