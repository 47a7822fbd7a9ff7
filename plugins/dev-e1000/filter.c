/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/filter.c - which frames the receiver takes (3.2.1, 9.3): by the 16 exact addresses, the
 * multicast hash, broadcast and the promiscuous modes; and of tagged ones, by the VLAN table.
 */
#include "e1000.h"

#include <backplane/util/le.h>
#include <string.h>

#define RA_ENTRIES 16u

static uint64_t address(const uint8_t *at)
{
    return (uint64_t)bp_le16(at + 4) << 32 | bp_le32(at);
}

static int is_exact(const struct e1000 *e, const uint8_t *frame)
{
    uint64_t destination = address(frame), source = address(frame + 6);

    for (uint32_t i = 0; i < RA_ENTRIES; i++) {
        uint32_t low = e->RA[2u * (size_t)i], high = e->RA[2u * (size_t)i + 1];
        uint64_t wanted = (uint64_t)(high & 0xffffu) << 32 | low;

        if ((high & RAH_AV) && wanted == (high & RAH_AS ? source : destination))
            return 1;
    }
    return 0;
}

/* 13.5.1: 12 bits of the address's end, from where RCTL.MO says. */
static int is_hashed(const struct e1000 *e, const uint8_t *frame)
{
    static const uint8_t shifts[] = {4, 3, 2, 0};
    uint32_t end = (uint32_t)frame[5] << 8 | frame[4];
    uint32_t hash = end >> shifts[e->reg[R_RCTL] >> RCTL_MO_SHIFT & 3u] & 0xfffu;

    return e->MTA[hash >> 5] >> (hash & 31u) & 1u;
}

int filter_address(const struct e1000 *e, const uint8_t *frame)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t rctl = e->reg[R_RCTL];
    int is_group = frame[0] & 1;

    if (is_exact(e, frame))
        return FILTER_EXACT;
    if ((rctl & RCTL_BAM) && !memcmp(frame, broadcast, sizeof(broadcast)))
        return FILTER_EXACT;
    if (is_group && is_hashed(e, frame))
        return FILTER_INEXACT;
    if (rctl & (is_group ? RCTL_MPE : RCTL_UPE))
        return FILTER_INEXACT;
    return FILTER_DROP;
}

int filter_is_tagged(const struct e1000 *e, const uint8_t *frame, uint32_t len)
{
    return len >= 16 && ((uint32_t)frame[12] << 8 | frame[13]) == e->reg[R_VET];
}

int filter_vlan(const struct e1000 *e, const uint8_t *frame)
{
    uint32_t rctl = e->reg[R_RCTL];
    uint32_t tag = (uint32_t)frame[14] << 8 | frame[15], id = tag & 0xfffu;

    if (!(rctl & RCTL_VFE))
        return 1;
    if ((rctl & RCTL_CFIEN) && (tag >> 12 & 1u) != !!(rctl & RCTL_CFI))
        return 0;
    return e->VFTA[id >> 5] >> (id & 31u) & 1u;
}
