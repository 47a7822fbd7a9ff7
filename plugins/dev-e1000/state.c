/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/state.c - what a snapshot holds: every register by its name, the EEPROM, the PHY, the
 * packet that is being sent, and when timers are due. A snapshot is input like any other.
 */
#include "e1000.h"

#define REGISTER_FIELD(name, offset_, access, bits, reset)                                         \
    {#name, (uint32_t)(offsetof(struct e1000, reg[R_##name])), 4, 1, 4, 1, 0},
#define ARRAY_FIELD(name, offset, count, stride, access, bits) BP_ARRAY(struct e1000, name, 1),

#define CONTEXT_FIELDS(which)                                                                      \
    BP_FIELD(struct e1000, tx.which.ipcss, 1), BP_FIELD(struct e1000, tx.which.ipcso, 1),          \
        BP_FIELD(struct e1000, tx.which.ipcse, 1), BP_FIELD(struct e1000, tx.which.tucss, 1),      \
        BP_FIELD(struct e1000, tx.which.tucso, 1), BP_FIELD(struct e1000, tx.which.tucse, 1),      \
        BP_FIELD(struct e1000, tx.which.paylen, 1), BP_FIELD(struct e1000, tx.which.mss, 1),       \
        BP_FIELD(struct e1000, tx.which.hdrlen, 1), BP_FIELD(struct e1000, tx.which.tucmd, 1)

const struct bp_field e1000_fields[] = {
    E1000_REGISTERS(REGISTER_FIELD) E1000_ARRAYS(ARRAY_FIELD)
    /* what software does not see as registers */
    BP_FIELD(struct e1000, ioaddr, 1),
    BP_ARRAY(struct e1000, deadline_ns, 1),
    BP_FIELD(struct e1000, itr_until_ns, 1),
    BP_FIELD(struct e1000, d3, 1),
    BP_FIELD(struct e1000, blocked, 1),
    BP_FIELD(struct e1000, phy_link, 1),
    BP_FIELD(struct e1000, phy_link_was, 1),
    BP_FIELD(struct e1000, an_done, 1),
    BP_ARRAY(struct e1000, phy, 1),
    BP_ARRAY(struct e1000, eeprom, 1),
    BP_FIELD(struct e1000, ee_shift, 1),
    BP_FIELD(struct e1000, ee_out, 1),
    BP_FIELD(struct e1000, ee_count, 1),
    BP_FIELD(struct e1000, ee_state, 1),
    BP_FIELD(struct e1000, ee_address, 1),
    BP_FIELD(struct e1000, ee_writable, 1),
    BP_FIELD(struct e1000, ee_do, 1),
    CONTEXT_FIELDS(normal),
    CONTEXT_FIELDS(tso),
    CONTEXT_FIELDS(context),
    BP_FIELD(struct e1000, tx.size, 1),
    BP_FIELD(struct e1000, tx.start, 1),
    BP_FIELD(struct e1000, tx.budget, 1),
    BP_FIELD(struct e1000, tx.open, 1),
    BP_FIELD(struct e1000, tx.discard, 1),
    BP_FIELD(struct e1000, tx.tse, 1),
    BP_FIELD(struct e1000, tx.popts, 1),
    BP_FIELD(struct e1000, tx.ic, 1),
    BP_FIELD(struct e1000, tx.cso, 1),
    BP_FIELD(struct e1000, tx.css, 1),
    BP_FIELD(struct e1000, tx.cmd, 1),
    BP_FIELD(struct e1000, tx.vle, 1),
    BP_FIELD(struct e1000, tx.tag, 1),
    BP_FIELD(struct e1000, tx.pending, 1),
    BP_FIELD(struct e1000, tx.eop_cmd, 1),
    BP_FIELD(struct e1000, tx.whole, 1),
    BP_FIELD(struct e1000, tx.checksum, 1),
    BP_FIELD(struct e1000, tx.sent, 1),
    BP_FIELD(struct e1000, tx.segment, 1),
    BP_FIELD(struct e1000, tx.eop_at, 1),
    {.name = NULL},
};

#define IN_ONE_PIECE_MAX (14u + 0xffffu) /* bytes: an Ethernet header and an IP packet */

/* What offload_prepare() found sound of a packet that waits: its segments, the checksum that the
 * backend fills in, and that something of it is left to send. */
static int waiting_check(const struct e1000_tx *t)
{
    const struct e1000_context *c = &t->context;
    uint32_t tag = t->vle && !t->tse ? VLAN_BYTES : 0, payload = t->size;

    if (!t->open || !t->size || (t->whole && (!t->tse || t->size > IN_ONE_PIECE_MAX)))
        return 0;
    if (t->tse && (!c->mss || c->hdrlen < 14 || c->hdrlen >= t->size ||
                   c->hdrlen + (uint32_t)c->mss > FRAME_MAX))
        return 0;
    if ((t->whole || t->checksum) && (c->tucso < c->tucss || c->tucso + tag + 2 > t->size))
        return 0;
    if (t->tse && !t->whole)
        payload -= c->hdrlen;
    return t->sent < payload;
}

/* A packet that is gathered or waits lies in its buffer. */
static int tx_check(const struct e1000_tx *t)
{
    uint32_t limit = t->tse ? PACKET_MAX : FRAME_MAX + VLAN_BYTES;

    if (t->start > VLAN_BYTES || t->size > limit || t->start + t->size > VLAN_BYTES + limit)
        return 0;
    if (t->pending)
        return waiting_check(t);
    return !t->sent && (t->tse || t->start == VLAN_BYTES);
}

int state_check(const struct e1000 *e)
{
    for (uint32_t i = 0; i < R_COUNT; i++)
        if (i < R_CRCERRS && register_bits(i) && (e->reg[i] & ~register_bits(i)) && i != R_EERD &&
            i != R_MDIC && i != R_PBA && i != R_ICR)
            return 0;
    return e->reg[R_PBA] <= 0x400040u && e->d3 <= 1 && e->blocked <= 1 && e->phy_link <= 1 &&
           e->an_done <= 1 && eeprom_check(e) && tx_check(&e->tx);
}
