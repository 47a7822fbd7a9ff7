/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/library.c - dev-e1000.so as a library: a driver of the smallest kind on bare_host.c,
 * without libbackplane. It waits for the link, reads the address from the EEPROM, sends and
 * receives by rings, and takes interrupts at once and delayed by the card's timers.
 * usage: e1000-library DEV-E1000.SO
 */
#include "bare_host.h"

#include <backplane/util/le.h>
#include <stdio.h>
#include <string.h>

/* SDM chapter 13. */
#define CTRL 0x0000u
#define CTRL_SLU (1u << 6)
#define STATUS 0x0008u
#define STATUS_LU (1u << 1)
#define EERD 0x0014u
#define EERD_DONE (1u << 4)
#define ICR 0x00c0u
#define INT_TXDW 1u
#define INT_RXT0 0x80u
#define IMS 0x00d0u
#define IMC 0x00d8u
#define RCTL 0x0100u
#define TCTL 0x0400u
#define RDBAL 0x2800u
#define RDLEN 0x2808u
#define RDH 0x2810u
#define RDT 0x2818u
#define RDTR 0x2820u
#define TDBAL 0x3800u
#define TDLEN 0x3808u
#define TDH 0x3810u
#define TDT 0x3818u

#define TX_RING 0x1000u
#define RX_RING 0x2000u
#define FRAME 0x3000u
#define BUFFERS 0x10000u

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};

static int begins(struct bp_node *n)
{
    MUST(!(bare_read(n, STATUS) & STATUS_LU));
    bare_write(n, CTRL, CTRL_SLU);
    for (int s = 0; s < 10 && !(bare_read(n, STATUS) & STATUS_LU); s++)
        bare_advance(n, 1000000000); /* autonegotiation is a timer's */
    MUST(bare_read(n, STATUS) & STATUS_LU);
    for (uint32_t word = 0; word < 3; word++) {
        bare_write(n, EERD, word << 8 | 1u);
        MUST(bare_read(n, EERD) & EERD_DONE);
        MUST(bare_read(n, EERD) >> 16 == bp_le16(mac + 2 * (size_t)word));
    }
    (void)bare_read(n, ICR);
    MUST(!n->level);
    for (uint32_t i = 0; i < 8; i++)
        bp_put_le64(n->ram + RX_RING + 16 * (size_t)i, BUFFERS + 2048u * i);
    bare_write(n, RDBAL, RX_RING);
    bare_write(n, RDLEN, 128);
    bare_write(n, RDT, 7);
    bare_write(n, RCTL, 1u << 1 | 1u << 15 | 1u << 26); /* EN, BAM, SECRC */
    bare_write(n, TDBAL, TX_RING);
    bare_write(n, TDLEN, 128);
    bare_write(n, TCTL, 1u << 1 | 1u << 3); /* EN, PSP */
    bare_write(n, IMS, INT_TXDW | INT_RXT0);
    return 0;
}

static int sends(struct bp_node *n)
{
    uint8_t *descriptor = n->ram + TX_RING;

    for (uint32_t i = 0; i < 100; i++)
        n->ram[FRAME + i] = (uint8_t)(i * 3);
    bp_put_le64(descriptor, FRAME);
    bp_put_le32(descriptor + 8, 100u | 0x0bu << 24); /* EOP, IFCS, RS */
    bare_write(n, TDT, 1);
    bare_advance(n, 1000000);
    MUST(n->sent_count == 1 && n->sent_len == 100);
    MUST(memcmp(n->sent, n->ram + FRAME, 100) == 0);
    MUST(descriptor[12] & 1u); /* DD */
    MUST(bare_read(n, TDH) == 1);
    MUST(n->level == 1 && n->edges == 1);
    MUST(bare_read(n, ICR) & INT_TXDW); /* which acknowledges it */
    MUST(!n->level);
    return 0;
}

static int receives(struct bp_node *n)
{
    uint8_t data[80] = {0};
    struct bp_buf buf = {data, sizeof(data)};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    const uint8_t *descriptor = n->ram + RX_RING;

    memcpy(data, mac, 6);
    data[79] = 0x5a;
    MUST(!n->port->receive(n->port_self, 0, &frame));
    MUST(descriptor[12] == 7 || (descriptor[12] & 3u) == 3u); /* DD, EOP */
    MUST(bp_le16(descriptor + 8) == sizeof(data));
    MUST(memcmp(n->ram + BUFFERS, data, sizeof(data)) == 0);
    bare_advance(n, 1000000);
    MUST(n->level == 1 && bare_read(n, ICR) & INT_RXT0);
    /* Delayed by RDTR: 1000 units of 1.024 us, by a timer of the host's. */
    bare_write(n, RDTR, 1000);
    MUST(!n->port->receive(n->port_self, 0, &frame));
    MUST(bare_read(n, RDH) == 2);
    bare_advance(n, 1000000);
    MUST(!n->level);
    bare_advance(n, 100000);
    MUST(n->level == 1 && bare_read(n, ICR) & INT_RXT0);
    MUST(!n->level);
    /* For another station. */
    data[5]++;
    MUST(!n->port->receive(n->port_self, 0, &frame));
    MUST(bare_read(n, RDH) == 2);
    return 0;
}

int main(int argc, char **argv)
{
    struct bp_node *n = argc == 2 ? bare_new(argv[1], mac) : NULL;
    int failed;

    if (!n)
        return 2;
    failed = begins(n) || sends(n) || receives(n);
    bare_free(n);
    return failed;
}
