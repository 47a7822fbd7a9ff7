/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/phy.c - the copper PHY in the 82540EM, an 88E1011 (13.4.6 and chapter 12; IEEE 802.3
 * clauses 22, 28 and 40), behind MDIC at address 1, and the link as the MAC sees it.
 *
 * Autonegotiation takes two seconds of guest time, as at 1000BASE-T: drivers test interrupts before
 * the link is there to disturb them. It agrees on the best that both ends offer. What the
 * other end offers is the key `speed`. The cable is the backend's carrier. A forced speed has a
 * link where the other end can do it; which duplex that end falls back to is not looked at. Left
 * out: next pages, the vendor's registers behind 29 and 30 and of cable diagnosis, which keep what
 * is written to them, and downshift.
 */
#include "e1000.h"

#define AUTONEG_NS (2u * UINT64_C(1000000000))
#define PHY_ADDRESS 1u

enum {
    BMCR = 0,
    BMSR = 1,
    ID1 = 2,
    ID2 = 3,
    ANAR = 4,
    ANLPAR = 5,
    ANER = 6,
    ANNPTR = 7,
    ANLPNP = 8,
    GBCR = 9,
    GBSR = 10,
    GESR = 15,
    PSCR = 16,
    PSSR = 17,
    PIER = 18,
    PISR = 19,
    EPSCR = 20,
    RECR = 21,
    LEDCR = 24
};

#define BMCR_SPEED_HIGH 0x0040u
#define BMCR_FULL 0x0100u
#define BMCR_RESTART 0x0200u
#define BMCR_ISOLATE 0x0400u
#define BMCR_POWER_DOWN 0x0800u
#define BMCR_AUTONEG 0x1000u
#define BMCR_SPEED_LOW 0x2000u
#define BMCR_LOOPBACK 0x4000u
#define BMCR_RESET 0x8000u

#define BMSR_ABILITIES 0x7949u /* 100 and 10, both duplexes; extended status, capability, AN */
#define BMSR_LINK 0x0004u
#define BMSR_AN_DONE 0x0020u

#define AN_10 0x0060u  /* half and full */
#define AN_100 0x0180u /* half and full */
#define AN_FULL 0x0140u
#define AN_PARTNER 0x4c01u /* acknowledge, both kinds of pause, 802.3 */
#define GBCR_FULL 0x0200u
#define GBCR_HALF 0x0100u
#define GBSR_PARTNER 0x3c00u /* both receivers are well; both duplexes */

#define ISR_LINK 0x0400u
#define ISR_AN_DONE 0x0800u

/* Bits that a write changes. */
static const uint16_t writable[32] = {
    [BMCR] = 0x7dc0, [ANAR] = 0xbfff,  [ANNPTR] = 0xbfff, [GBCR] = 0xff00, [PSCR] = 0xffff,
    [PIER] = 0xffff, [EPSCR] = 0x0ff7, [22] = 0xffff,     [23] = 0xffff,   [LEDCR] = 0xffff,
    [25] = 0xffff,   [26] = 0xffff,    [27] = 0xffff,     [28] = 0xffff,   [29] = 0xffff,
    [30] = 0xffff,   [31] = 0xffff,
};

static int has_link(const struct e1000 *e)
{
    return e->phy_link || (e->phy[BMCR] & BMCR_LOOPBACK);
}

static uint32_t partner_mbps(const struct e1000 *e)
{
    static const uint32_t mbps[] = {1000, 100, 10};

    return mbps[e->config->speed <= SPEED_10 ? e->config->speed : SPEED_1000];
}

static uint32_t forced_mbps(const struct e1000 *e)
{
    if (e->phy[BMCR] & BMCR_SPEED_HIGH)
        return 1000;
    return e->phy[BMCR] & BMCR_SPEED_LOW ? 100 : 10;
}

/* What both ends offer, the best of it; 0: nothing. */
static uint32_t agreed_mbps(const struct e1000 *e)
{
    uint32_t partner = partner_mbps(e);

    if (partner >= 1000 && (e->phy[GBCR] & (GBCR_FULL | GBCR_HALF)))
        return 1000;
    if (partner >= 100 && (e->phy[ANAR] & AN_100))
        return 100;
    return e->phy[ANAR] & AN_10 ? 10 : 0;
}

static int is_negotiating(const struct e1000 *e)
{
    return (e->phy[BMCR] & (BMCR_AUTONEG | BMCR_LOOPBACK)) == BMCR_AUTONEG;
}

static uint32_t line_mbps(const struct e1000 *e)
{
    return is_negotiating(e) ? agreed_mbps(e) : forced_mbps(e);
}

static int is_full_duplex(const struct e1000 *e)
{
    if (!is_negotiating(e))
        return !!(e->phy[BMCR] & BMCR_FULL);
    switch (agreed_mbps(e)) {
    case 1000:
        return !!(e->phy[GBCR] & GBCR_FULL);
    case 100:
        return !!(e->phy[ANAR] & AN_100 & AN_FULL);
    default:
        return !!(e->phy[ANAR] & AN_10 & AN_FULL);
    }
}

static uint32_t speed_bits(uint32_t mbps)
{
    return mbps == 1000 ? 2u : mbps == 100 ? 1u : 0u;
}

uint32_t phy_mbps(const struct e1000 *e)
{
    static const uint32_t mbps[] = {10, 100, 1000, 1000};
    uint32_t now = line_mbps(e);

    if (e->reg[R_CTRL] & CTRL_FRCSPD)
        return mbps[e->reg[R_CTRL] >> CTRL_SPEED_SHIFT & 3u];
    return now ? now : 10;
}

int phy_loops(const struct e1000 *e)
{
    return (e->reg[R_RCTL] & RCTL_LBM) ||
           (e->phy[BMCR] & (BMCR_LOOPBACK | BMCR_POWER_DOWN)) == BMCR_LOOPBACK;
}

/* 13.4.2. The MAC sees the PHY's link while CTRL.SLU is set. */
uint32_t phy_status(const struct e1000 *e)
{
    uint32_t ctrl = e->reg[R_CTRL], status = 0, speed = speed_bits(line_mbps(e));

    status |= speed << STATUS_ASDV_SHIFT;
    if (ctrl & CTRL_FRCSPD)
        speed = ctrl >> CTRL_SPEED_SHIFT & 3u;
    status |= speed << STATUS_SPEED_SHIFT;
    if (ctrl & CTRL_FRCDPLX ? ctrl & CTRL_FD : (uint32_t)is_full_duplex(e))
        status |= STATUS_FD;
    if (has_link(e) && (ctrl & CTRL_SLU))
        status |= STATUS_LU;
    if (e->deadline_ns[TIMER_PAUSE])
        status |= STATUS_TXOFF;
    return status;
}

static void interrupt(struct e1000 *e, uint16_t bits)
{
    e->phy[PISR] |= bits;
    if ((e->phy[PISR] & e->phy[PIER]) && (e->reg[R_CTRL_EXT] & CTRL_EXT_PHYINT))
        irq_raise(e, INT_PHYINT);
}

/* LSC follows STATUS.LU, which is kept for comparison. */
static void tell_mac(struct e1000 *e)
{
    uint32_t up = phy_status(e) & STATUS_LU;

    if (up == (e->reg[R_STATUS] & STATUS_LU))
        return;
    e->reg[R_STATUS] = up;
    wake_link(e);
    irq_raise(e, INT_LSC);
    if (!up)
        timer_arm(e, TIMER_RESUME, 0); /* what the backend holds is for a line that is gone */
}

void phy_update(struct e1000 *e)
{
    uint16_t bmcr = e->phy[BMCR];
    int usable = e->carrier && !(bmcr & (BMCR_POWER_DOWN | BMCR_ISOLATE)) &&
                 !(e->reg[R_CTRL] & CTRL_PHY_RST);
    uint8_t link;

    if (!usable || !is_negotiating(e)) {
        e->an_done = 0;
        timer_stop(e, TIMER_AUTONEG);
    } else if (!e->an_done && !e->deadline_ns[TIMER_AUTONEG]) {
        timer_arm(e, TIMER_AUTONEG, AUTONEG_NS);
    }
    if (is_negotiating(e))
        link = usable && e->an_done && agreed_mbps(e);
    else
        link = usable && forced_mbps(e) <= partner_mbps(e);
    if (link != e->phy_link) {
        e->phy_link = link;
        if (!link)
            e->phy_link_was = 0;
        interrupt(e, ISR_LINK);
    }
    tell_mac(e);
}

static void restart(struct e1000 *e)
{
    e->an_done = 0;
    timer_stop(e, TIMER_AUTONEG);
    phy_update(e);
}

void phy_timer(struct e1000 *e)
{
    if (!e->carrier || !is_negotiating(e))
        return;
    e->an_done = 1;
    interrupt(e, ISR_AN_DONE);
    phy_update(e);
}

void phy_reset(struct e1000 *e)
{
    for (uint32_t i = 0; i < 32; i++)
        e->phy[i] = 0;
    e->phy[BMCR] = BMCR_AUTONEG | BMCR_FULL | BMCR_SPEED_HIGH;
    e->phy[ANAR] = 0x0de1;
    e->phy[ANNPTR] = 0x2001;
    e->phy[GBCR] = 0x0e00;
    e->phy[PSCR] = 0x0360;
    e->phy[EPSCR] = 0x0d60;
    e->phy[LEDCR] = 0x4100;
    restart(e);
}

/* The vendor's status: speed and duplex, resolved, link. */
static uint16_t specific_status(const struct e1000 *e)
{
    uint32_t value = 0;

    if (has_link(e)) {
        value = speed_bits(line_mbps(e)) << 14 | 0x0c08u; /* resolved, link; receive pause */
        if (is_full_duplex(e))
            value |= 0x2000u;
        if (e->an_done)
            value |= 0x1004u; /* page received, transmit pause */
    }
    return (uint16_t)value;
}

static uint16_t read_register(struct e1000 *e, uint32_t number)
{
    uint16_t value = e->phy[number];
    int heard = e->an_done && is_negotiating(e);

    switch (number) {
    case BMSR:
        value = BMSR_ABILITIES;
        if (heard)
            value |= BMSR_AN_DONE;
        /* A loss is shown once, even if the link is back (22.2.4.2.13). */
        if (e->phy_link_was || (e->phy[BMCR] & BMCR_LOOPBACK))
            value |= BMSR_LINK;
        e->phy_link_was = e->phy_link;
        return value;
    case ID1:
        return 0x0141;
    case ID2:
        return 0x0c20;
    case ANLPAR:
        if (!heard)
            return 0;
        return (uint16_t)(AN_PARTNER | AN_10 | (partner_mbps(e) >= 100 ? AN_100 : 0u));
    case ANER:
        return heard ? 0x0003 : 0;
    case GBSR:
        return heard && partner_mbps(e) >= 1000 ? GBSR_PARTNER : 0;
    case GESR:
        return 0x3000; /* 1000BASE-T, both duplexes */
    case PSSR:
        return specific_status(e);
    case PISR:
        e->phy[PISR] = 0;
        return value;
    default:
        return value;
    }
}

static void write_register(struct e1000 *e, uint32_t number, uint16_t value)
{
    e->phy[number] = (uint16_t)((e->phy[number] & ~(uint32_t)writable[number]) |
                                ((uint32_t)value & writable[number]));
    if (number != BMCR)
        return;
    /* The 88E1011 takes new speeds and modes with a reset of its logic; registers stay. */
    if ((value & BMCR_RESET) || ((value & BMCR_RESTART) && (value & BMCR_AUTONEG)))
        restart(e);
    else
        phy_update(e);
}

void phy_mdic_write(struct e1000 *e, uint32_t value)
{
    uint32_t number = value >> MDIC_REG_SHIFT & 31u, address = value >> MDIC_PHY_SHIFT & 31u;
    uint32_t op = value >> MDIC_OP_SHIFT & 3u;
    uint32_t result = (value & register_bits(R_MDIC)) | MDIC_READY;

    if (address != PHY_ADDRESS || (op != MDIC_READ && op != MDIC_WRITE)) {
        guest_log(e, "MDIC: operation %u on PHY %u; there is PHY 1, operations 1 and 2", op,
                  address);
        result |= MDIC_ERROR;
    } else if (op == MDIC_READ) {
        result = (result & 0xffff0000u) | read_register(e, number);
    } else {
        write_register(e, number, (uint16_t)value);
    }
    e->reg[R_MDIC] = result;
    if (value & MDIC_INTERRUPT)
        irq_raise(e, INT_MDAC);
}
