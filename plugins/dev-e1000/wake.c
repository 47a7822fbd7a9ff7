/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/wake.c - wake-up (6.4, 13.6): which frames set PME while the device sleeps.
 *
 * A machine has nothing that PME could wake, so what software sees is the whole of it: WUS, WUPL
 * and WUPM after the device is in D0 again, and PME_Status in configuration space. In D0 frames are
 * received and wake nobody. Left out: the filters for IPX and management packets.
 */
#include "e1000.h"

#include <backplane/util/le.h>
#include <string.h>

#define PMCSR 4u /* in the capability */
#define PMCSR_PME_EN 0x0100u
#define PMCSR_PME_STATUS 0x8000u

#define FLEX_FILTERS 4u
#define FLEX_BYTES 128u

static uint32_t be16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t pmcsr(struct e1000 *e)
{
    return e->pci->config_get(e->function, e->pm + PMCSR, 2);
}

uint32_t wake_wuc_read(struct e1000 *e)
{
    uint32_t value = e->reg[R_WUC] & (WUC_APME | WUC_APMPME), config = pmcsr(e);

    if (config & PMCSR_PME_EN)
        value |= WUC_PME_EN;
    if (config & PMCSR_PME_STATUS)
        value |= WUC_PME_STATUS;
    return value;
}

void wake_wuc_write(struct e1000 *e, uint32_t value)
{
    uint32_t config = pmcsr(e) & ~PMCSR_PME_EN;

    e->reg[R_WUC] = value & (WUC_APME | WUC_APMPME);
    if (value & WUC_PME_EN)
        config |= PMCSR_PME_EN;
    if (value & WUC_PME_STATUS)
        config &= ~PMCSR_PME_STATUS;
    e->pci->config_set(e->function, e->pm + PMCSR, config, 2);
}

/* Six bytes of ones, then the station address sixteen times, anywhere. */
static int is_magic(const struct e1000 *e, const uint8_t *frame, uint32_t len)
{
    uint8_t pattern[17 * 6];

    memset(pattern, 0xff, 6);
    for (uint32_t i = 6; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i % 6 < 4 ? e->RA[0] >> 8 * (i % 6) : e->RA[1] >> 8 * (i % 6 - 4));
    return memmem(frame, len, pattern, sizeof(pattern)) != NULL;
}

static int is_own_ipv4(const struct e1000 *e, const uint8_t *address)
{
    for (uint32_t i = 0; i < 4; i++)
        if ((e->reg[R_IPAV] >> i & 1u) && e->IP4AT[i] == bp_le32(address))
            return 1;
    return 0;
}

static int is_own_ipv6(const struct e1000 *e, const uint8_t *address)
{
    for (uint32_t i = 0; i < 4; i++)
        if (e->IP6AT[i] != bp_le32(address + 4 * (size_t)i))
            return 0;
    return !!(e->reg[R_IPAV] & 0x10000u);
}

/* Byte by byte where the mask says so, up to the filter's length. */
static int is_flexible(const struct e1000 *e, uint32_t filter, const uint8_t *frame, uint32_t len)
{
    uint32_t end = e->FFLT[filter];

    if (!end || end > FLEX_BYTES || end > len)
        return 0;
    for (uint32_t i = 0; i < end; i++)
        if ((e->FFMT[i] >> filter & 1u) && (e->FFVT[i] >> 8 * filter & 0xffu) != frame[i])
            return 0;
    return 1;
}

static uint32_t causes(const struct e1000 *e, const uint8_t *frame, uint32_t len)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t at = filter_is_tagged(e, frame, len) ? 18u : 14u, type = be16(frame + at - 2);
    uint32_t bits = 0;

    for (uint32_t i = 0; i < FLEX_FILTERS; i++)
        if (is_flexible(e, i, frame, len))
            bits |= WU_FLX0 << i;
    if (!filter_address(e, frame))
        return bits;
    if (!memcmp(frame, broadcast, 6))
        bits |= WU_BC;
    else
        bits |= frame[0] & 1u ? WU_MC : WU_EX;
    if (is_magic(e, frame, len))
        bits |= WU_MAG;
    if (type == 0x0806u && at + 28 <= len && be16(frame + at + 6) == 1 &&
        is_own_ipv4(e, frame + at + 24))
        bits |= WU_ARP;
    if (type == 0x0800u && at + 20 <= len && is_own_ipv4(e, frame + at + 16))
        bits |= WU_IPV4;
    if (type == 0x86ddu && at + 40 <= len && is_own_ipv6(e, frame + at + 24))
        bits |= WU_IPV6;
    return bits;
}

static void wake(struct e1000 *e, uint32_t bits, int pme)
{
    e->reg[R_WUS] |= bits;
    if (pme)
        e->pci->config_set(e->function, e->pm + PMCSR, pmcsr(e) | PMCSR_PME_STATUS, 2);
}

void wake_frame(struct e1000 *e, const uint8_t *frame, uint32_t len)
{
    uint32_t found = causes(e, frame, len), bits = found & e->reg[R_WUFC];
    uint8_t start[sizeof(e->WUPM)] = {0};
    int apm = (e->reg[R_WUC] & WUC_APME) && (found & WU_MAG);

    if (!bits && !apm)
        return;
    if (!e->reg[R_WUS]) { /* the first one is kept (6.4.3) */
        e->reg[R_WUPL] = len;
        memcpy(start, frame, len < sizeof(start) ? len : sizeof(start));
        for (uint32_t i = 0; i < sizeof(start) / 4; i++)
            e->WUPM[i] = bp_le32(start + 4 * (size_t)i);
    }
    wake(e, bits | (apm ? WU_MAG : 0u), bits || (e->reg[R_WUC] & WUC_APMPME));
}

void wake_link(struct e1000 *e)
{
    if (e->d3 && (e->reg[R_WUFC] & WU_LNKC))
        wake(e, WU_LNKC, 1);
}
