/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/stats.c - the statistics registers (13.7). They count to their end and stay there;
 * reading one clears it. Of a pair the low half stays until the high half is read, which clears
 * both.
 *
 * Octets include the FCS, which frames here do not have. What a cable without noise never shows
 * (CRC errors, collisions, late ones) stays 0, and so do the counters of management packets.
 */
#include "e1000.h"

void stat_add(struct e1000 *e, uint32_t index, uint32_t n)
{
    if (__builtin_add_overflow(e->reg[index], n, &e->reg[index]))
        e->reg[index] = UINT32_MAX;
}

/* `low` is the index of the low half, which the high one follows. */
static void add64(struct e1000 *e, uint32_t low, uint64_t n)
{
    uint64_t sum = (uint64_t)e->reg[low + 1] << 32 | e->reg[low];

    if (__builtin_add_overflow(sum, n, &sum))
        sum = UINT64_MAX;
    e->reg[low] = (uint32_t)sum;
    e->reg[low + 1] = (uint32_t)(sum >> 32);
}

/* The counter of frames of this size: those of 64, up to 127, 255, 511, 1023 and 1522 bytes. */
static void add_size(struct e1000 *e, uint32_t first, uint32_t octets, uint32_t n)
{
    static const uint32_t ends[] = {64, 127, 255, 511, 1023};
    uint32_t i = 0;

    while (i < sizeof(ends) / sizeof(ends[0]) && octets > ends[i])
        i++;
    stat_add(e, first + i, n);
}

static int is_broadcast(const uint8_t *frame)
{
    return (frame[0] & frame[1] & frame[2] & frame[3] & frame[4] & frame[5]) == 0xff;
}

void stat_received(struct e1000 *e, const uint8_t *frame, uint32_t len, int good)
{
    uint32_t octets = len + FCS_BYTES;

    stat_add(e, R_TPR, 1);
    add64(e, R_TORL, octets);
    if (!good)
        return;
    add_size(e, R_PRC64, octets, 1);
    stat_add(e, R_GPRC, 1);
    add64(e, R_GORCL, octets);
    if (is_broadcast(frame))
        stat_add(e, R_BPRC, 1);
    else if (frame[0] & 1u)
        stat_add(e, R_MPRC, 1);
}

void stat_sent(struct e1000 *e, const uint8_t *frame, uint32_t len, uint32_t n)
{
    uint32_t octets = len + FCS_BYTES;

    stat_add(e, R_TPT, n);
    stat_add(e, R_GPTC, n);
    add64(e, R_TOTL, (uint64_t)octets * n);
    add64(e, R_GOTCL, (uint64_t)octets * n);
    add_size(e, R_PTC64, octets, n);
    if (is_broadcast(frame))
        stat_add(e, R_BPTC, n);
    else if (frame[0] & 1u)
        stat_add(e, R_MPTC, n);
}

uint32_t stat_read(struct e1000 *e, uint32_t index)
{
    uint32_t value = e->reg[index];

    switch (index) {
    case R_GORCL:
    case R_GOTCL:
    case R_TORL:
    case R_TOTL:
        return value;
    case R_GORCH:
    case R_GOTCH:
    case R_TORH:
    case R_TOTH:
        e->reg[index - 1] = 0;
        break;
    default:
        break;
    }
    e->reg[index] = 0;
    return value;
}
