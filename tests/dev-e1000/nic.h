/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/nic.h - the plugin on the fake host with a network backend under the test's control,
 * and a driver's first steps.
 */
#ifndef TESTS_DEV_E1000_NIC_H
#define TESTS_DEV_E1000_NIC_H

#include "e1000.h"
#include "fakes/pci.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* memcpy(), for what a string constant spells and is no string. */
static inline void put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
}

#define TX_RING 0x1000u
#define RX_RING 0x3000u
#define RING_COUNT 64u                        /* descriptors of each */
#define TX_DATA 0x10000u                      /* for the test's packets */
#define RX_BUFFER(i) (0x80000u + (i)*0x1000u) /* of descriptor i, below RING_COUNT */

#define FRAMES_KEPT 64u

/* What the device sent. */
struct sent {
    uint8_t data[300000];
    uint32_t len;
    struct bp_frame frame; /* without its buffers */
};

struct fake_net {
    const struct bp_net_port *port;
    void *port_self;
    uint32_t offloads;
    uint32_t room;    /* frames that send() takes; UINT32_MAX: any number */
    uint32_t count;   /* sent, of which the first FRAMES_KEPT are kept */
    uint32_t resumes; /* calls */
    int inside;       /* a call of the port's is active: the device must not call back */
    int owed;         /* send() took less */
    int refuses;      /* attach() */
    struct sent sent[FRAMES_KEPT];
};

struct nic {
    struct fake_host *h;
    uint32_t devfn;
    struct e1000_config config;
    struct fake_net *net;
    struct bp_node *peer;
    uint32_t rdt, tdt;
};

/* A card as after power-on, its BARs placed. Link, rings and interrupts are off. */
struct nic *nic_new(void);
/* The same with the config that `n` has; only `config` and `net` of it are looked at. */
void nic_create(struct nic *n);
/* With a link, both rings of RING_COUNT descriptors and 2048-byte buffers, frames to the station
 * and broadcasts received, FCS stripped; no interrupt is enabled, and ICR is clear. */
struct nic *nic_started(void);
void nic_start(struct nic *n);
void nic_free(struct nic *n);

uint32_t rd(struct nic *n, uint32_t offset);
void wr(struct nic *n, uint32_t offset, uint32_t value);
uint8_t *ram(struct nic *n, uint32_t gpa);
uint32_t intx(struct nic *n);

/* PHY registers by MDIC. */
uint16_t phy_read(struct nic *n, uint32_t number);
void phy_write(struct nic *n, uint32_t number, uint16_t value);

/* Writes the next transmit descriptor; the tail is moved by tx_go(). */
void tx_legacy(struct nic *n, uint64_t address, uint16_t len, uint8_t cmd, uint8_t cso, uint8_t css,
               uint16_t special);
void tx_data(struct nic *n, uint64_t address, uint32_t len, uint8_t dcmd, uint8_t popts,
             uint16_t special);
void tx_context(struct nic *n, const struct e1000_context *c);
void tx_go(struct nic *n);
/* DD of transmit descriptor `i`. */
int tx_is_done(struct nic *n, uint32_t i);

/* A frame of `len` bytes at TX_DATA: to `to` (NULL: another station), from the card, of type
 * 0x88b5, then bytes that count. */
void make_frame(struct nic *n, uint8_t *at, uint32_t len, const uint8_t *to);
/* The backend gives a frame of `len` bytes that make_frame() made for the card, or `data`. */
int rx_give(struct nic *n, const uint8_t *data, uint32_t len);
int rx_give_frame(struct nic *n, uint32_t len);
/* Fields of receive descriptor `i`. */
uint32_t rx_length(struct nic *n, uint32_t i);
uint32_t rx_checksum(struct nic *n, uint32_t i); /* as two bytes of a frame */
uint32_t rx_status(struct nic *n, uint32_t i);
uint32_t rx_errors(struct nic *n, uint32_t i);
uint32_t rx_special(struct nic *n, uint32_t i);

#endif
