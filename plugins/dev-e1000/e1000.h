/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/e1000.h - what the files of dev-e1000 share: the instance and the functions between its
 * parts. Section numbers in this folder are the SDM's (regs.h).
 *
 * A frame's way out: tx.c walks the ring and gathers a packet, offload.c makes frames of it, tx.c
 * hands them to the backend or back to rx.c (loopback). Its way in: rx.c, which asks flow.c,
 * filter.c and offload.c, and writes descriptors. No call leads from receive to transmit, and the
 * backend is never called from inside its own calls.
 */
#ifndef DEV_E1000_E1000_H
#define DEV_E1000_E1000_H

#include "regs.h"

#include <backplane/ext/pci.h>
#include <backplane/plugin.h>

/* [nic] plugin = dev-e1000 */
struct e1000_config {
    struct bp_node *net; /* or NULL: no cable */
    uint32_t slot;       /* PCI devfn, UINT32_MAX: any */
    uint32_t speed;      /* SPEED_*: what the other end of the cable can do at most */
    uint8_t mac[6];      /* in the EEPROM; all zero: one made of the section's name */
    uint8_t strict;      /* log what real hardware would not forgive */
    uint8_t reserved;
};

#define SPEED_1000 0u
#define SPEED_100 1u
#define SPEED_10 2u

#define FRAME_MAX 16384u         /* bytes of one frame, without FCS (13.4.22, LPE) */
#define PACKET_MAX (256u * 1024) /* bytes of one packet to be segmented, headers included */
#define FRAME_MIN 60u            /* bytes below which a frame is padded, without FCS */
#define FCS_BYTES 4u
#define VLAN_BYTES 4u
#define DESC_BYTES 16u

#define EEPROM_WORDS 64u

/* Timers; a deadline of 0 is none. */
#define TIMER_TX 0u /* goes on with a ring that is longer than one turn's budget */
#define TIMER_ITR 1u
#define TIMER_RDTR 2u
#define TIMER_RADV 3u
#define TIMER_TIDV 4u
#define TIMER_TADV 5u
#define TIMER_AUTONEG 6u
#define TIMER_PAUSE 7u
#define TIMER_RESUME 8u /* rx_resume() where the backend may be the caller */
#define TIMERS 9u
/* None of deadline_ns: */
#define TIMER_SENT TIMERS        /* sent() of a backend that was another one's */
#define TIMER_LOOK (TIMERS + 1u) /* rx_look() */

/* A context descriptor (3.3.6), as copied. */
struct e1000_context {
    uint8_t ipcss, ipcso, tucss, tucso;
    uint16_t ipcse, tucse;
    uint32_t paylen;
    uint16_t mss;
    uint8_t hdrlen, tucmd;
};

/* A packet that descriptors describe. */
struct e1000_tx {
    struct e1000_context normal, tso; /* the last of each kind */
    struct e1000_context context;     /* the one that this packet began with */
    uint32_t size;                    /* bytes gathered */
    uint32_t start;                   /* of them in tx_packet: VLAN_BYTES, 0 with a tag */
    uint32_t budget;                  /* descriptors left of one lap, since TDT was written */
    uint8_t open;                     /* a packet has begun */
    uint8_t discard;                  /* something is wrong with it: nothing will be sent */
    uint8_t tse, popts, ic, cso, css; /* of its first data descriptor */
    uint8_t cmd;                      /* CMD bits of all its descriptors or'ed */
    uint8_t vle;                      /* a tag is to be inserted */
    uint16_t tag;

    uint8_t pending;  /* the packet is complete, and waits to be sent */
    uint8_t eop_cmd;  /* of its last descriptor, which is not written back yet */
    uint8_t whole;    /* goes to the backend in one piece */
    uint32_t sent;    /* bytes of payload in segments that were taken */
    uint16_t segment; /* number of the next segment */
    uint8_t checksum; /* the backend fills in the transport checksum */
    uint8_t reserved;
    uint64_t eop_at; /* guest-physical address of its last descriptor */
};

/* What is known of a received frame's checksums before anybody has added up its bytes. */
struct e1000_known {
    uint32_t at;  /* the transport header whose checksum is right, an offset; or KNOWN_* */
    uint32_t sum; /* if that is an offset: of all from there to the end, not complemented */
};
#define KNOWN_NONE 0u
#define KNOWN_GOOD UINT32_MAX /* is right wherever it is */

/* Everything is [dom]. */
struct e1000 {
    const struct bp_host *host;
    struct bp_node *node;
    const struct e1000_config *config;
    const struct bp_pci *pci;
    struct bp_pci_function *function;
    struct bp_peer net; /* ops NULL: no backend */
    uint32_t offloads;  /* BP_NET_OFFLOAD_* that the backend's send() takes */
    uint32_t pm;        /* offset of the power management capability */

    uint32_t reg[R_COUNT];
    uint32_t MTA[128], RA[32], VFTA[128], IP4AT[4], IP6AT[4], WUPM[32], FFLT[4], FFMT[128],
        FFVT[128];
    uint32_t ioaddr; /* the register that IODATA stands for */
    uint64_t deadline_ns[TIMERS];

    uint64_t itr_until_ns; /* no interrupt before */
    uint64_t look_ns;      /* until the next rx_look() */
    uint8_t level;         /* of INTA; after a load that of causes which no ITR holds back */
    uint8_t d3;            /* in a power state that is not D0 */
    uint8_t in_tx;         /* inside tx_run() */
    uint8_t blocked;       /* the backend took less than it was given: sent() follows */

    uint8_t rx_held;      /* the backend keeps a frame until resume() */
    uint8_t carrier;      /* the backend's word */
    uint8_t phy_link;     /* the PHY has a link */
    uint8_t phy_link_was; /* it has had one since BMSR was read: a loss is latched */
    uint8_t an_done;      /* autonegotiation is complete */
    uint8_t gathering;    /* inside a receive() that another one follows: INTA waits for that */
    uint8_t reserved[2];
    uint16_t phy[32];

    uint16_t eeprom[EEPROM_WORDS];
    uint32_t ee_shift;  /* bits that were clocked in, since the start bit */
    uint16_t ee_out;    /* what is being clocked out */
    uint8_t ee_count;   /* bits clocked in, or out */
    uint8_t ee_state;   /* EE_* of eeprom.c */
    uint8_t ee_address; /* of the word being read */
    uint8_t ee_writable;
    uint8_t ee_do;
    uint8_t ee_reserved;

    struct e1000_tx tx;
    uint8_t tx_packet[VLAN_BYTES + PACKET_MAX]; /* with room for a tag in front */
    uint8_t tx_frame[VLAN_BYTES + FRAME_MAX];   /* one segment */
    uint8_t rx_frame[FRAME_MAX + VLAN_BYTES + FCS_BYTES];
    uint32_t crc[8][256]; /* crc.c's */
    uint64_t crc_fold[4];
    uint32_t crc_folds; /* crc_fold can be used here */
    uint32_t crc_reserved;
    uint32_t PBM[16384];
};

/* ---- e1000.c ---- */

/* A line for the log about what the guest did. `strict` ones only with that key. */
__attribute__((format(printf, 2, 3))) void guest_log(struct e1000 *e, const char *format, ...);
__attribute__((format(printf, 2, 3))) void strict_log(struct e1000 *e, const char *format, ...);
/* Arms timer `id` `ns` from now. */
void timer_arm(struct e1000 *e, uint32_t id, uint64_t ns);
void timer_stop(struct e1000 *e, uint32_t id);
/* Everything that CTRL.RST resets (14.9): not the PHY, not the EEPROM, not configuration space. */
void device_reset(struct e1000 *e);
/* The power state is now what configuration space says. */
void power_changed(struct e1000 *e);

extern const struct bp_instance_ops e1000_ops;
extern const struct bp_field e1000_fields[];
/* 0 if what was loaded is a state that the part can be in. */
int state_check(const struct e1000 *e);

/* ---- access.c ---- */

extern const struct bp_region_ops e1000_memory_ops, e1000_io_ops;
/* The bits of `index` that a write changes, and its value after reset. */
uint32_t register_bits(uint32_t index);
uint32_t register_reset(uint32_t index);

/* ---- irq.c ---- */

/* Sets causes in ICR (13.4.17). */
void irq_raise(struct e1000 *e, uint32_t causes);
/* The level of INTA follows ICR, IMS and ITR. */
void irq_update(struct e1000 *e);
/* Delays that are over become causes: before ICR, its mask or the throttle is looked at. */
void irq_settle(struct e1000 *e);
/* ITR was written. */
void irq_throttled(struct e1000 *e);
/* A frame of `len` bytes was received: RXT0 now, or when RDTR or RADV is over. */
void irq_received(struct e1000 *e, uint32_t len);
/* A descriptor with RS was written back; `delayed` by TIDV and TADV if it had IDE. */
void irq_transmitted(struct e1000 *e, int delayed);
/* What RDTR's FPD does. */
void irq_flush_received(struct e1000 *e);
void irq_timer(struct e1000 *e, uint32_t id);

/* ---- tx.c ---- */

/* TDT was written. */
void tx_kick(struct e1000 *e);
/* TCTL.EN was set. */
void tx_enabled(struct e1000 *e);
/* Goes on where the ring, the budget or the backend had stopped it. */
void tx_run(struct e1000 *e);
void tx_reset(struct e1000 *e);
/* Hands `len` bytes to the wire: 1 if they are gone, 0 if the backend has no room. */
int tx_wire(struct e1000 *e, const struct bp_frame *frame);

/* ---- offload.c ---- */

/* Makes a complete packet ready: checksums, tag, padding, tx.whole. 0, or -EINVAL if its
 * descriptors make no sense. */
int offload_prepare(struct e1000 *e);
/* Fills `frame` and `buf` with the packet, or with its next segment, after tx.sent bytes of
 * payload; returns the bytes of payload in it. */
uint32_t offload_frame(struct e1000 *e, struct bp_frame *frame, struct bp_buf *buf);
/* Bytes of payload that are to be sent: all of the packet if it goes in one frame. */
uint32_t offload_payload(const struct e1000 *e);
/* Status and errors of a received frame's checksums (table 3-9): errors << 8 | status. `good` is
 * known->at. */
uint32_t offload_verify(const struct e1000 *e, const uint8_t *frame, uint32_t len, uint32_t good);
/* The packet checksum (3.2.9), not complemented, from `start` to `len`: of `body` bytes of the
 * frame, and its FCS if that is kept. */
uint32_t offload_sum(const uint8_t *frame, uint32_t len, uint32_t body, uint32_t start,
                     const struct e1000_known *known);
/* Fills in the checksum that `f` leaves to the receiver, if there is a place for it, and says in
 * *known what follows from that. */
void offload_complete(uint8_t *frame, uint32_t len, const struct bp_frame *f,
                      struct e1000_known *known);

/* ---- crc.c ---- */

void crc_init(struct e1000 *e);
/* The frame check sequence, as it stands in memory: to be stored in little endian. */
uint32_t crc_frame(const struct e1000 *e, const uint8_t *data, uint32_t len);

/* ---- rx.c ---- */

extern const struct bp_net_port e1000_port;
/* A frame of `len` bytes in rx_frame arrives. `looped`: from the transmitter, so that it cannot
 * wait. 0; -EAGAIN, -errno as bp_net_port.receive(). */
int rx_frame(struct e1000 *e, uint32_t len, int looped, const struct e1000_known *known);
/* The guest gave descriptors, or changed its mind: what the backend holds is asked for again. */
void rx_resume(struct e1000 *e);
/* TIMER_LOOK: has the loop wake while the backend waits for descriptors. */
void rx_look(struct e1000 *e);

/* ---- filter.c ---- */

#define FILTER_DROP 0
#define FILTER_EXACT 1
#define FILTER_INEXACT 2 /* by hash or promiscuity: RX_PIF */

int filter_address(const struct e1000 *e, const uint8_t *frame);
/* Nonzero if the frame is tagged with VET. */
int filter_is_tagged(const struct e1000 *e, const uint8_t *frame, uint32_t len);
/* Nonzero if VFTA and CFI let the tagged frame pass. */
int filter_vlan(const struct e1000 *e, const uint8_t *frame);

/* ---- flow.c ---- */

/* Looks whether the frame is for the MAC itself; nonzero if it is not to be given to the guest. */
int flow_received(struct e1000 *e, const uint8_t *frame, uint32_t len);
/* TCTL.SWXOFF: a pause frame of FCTTV leaves. */
void flow_send_xoff(struct e1000 *e);
void flow_timer(struct e1000 *e);

/* ---- wake.c ---- */

/* A frame arrives while the device sleeps. */
void wake_frame(struct e1000 *e, const uint8_t *frame, uint32_t len);
void wake_link(struct e1000 *e);
/* WUC as it reads, with what stands in configuration space. */
uint32_t wake_wuc_read(struct e1000 *e);
void wake_wuc_write(struct e1000 *e, uint32_t value);

/* ---- eeprom.c ---- */

/* What the factory wrote, with the station address `mac`. */
void eeprom_init(struct e1000 *e, const uint8_t *mac);
/* What the part reads by itself after a reset: the station address, for one. */
void eeprom_load(struct e1000 *e);
void eeprom_reset(struct e1000 *e);
uint32_t eeprom_eecd(const struct e1000 *e);
void eeprom_eecd_write(struct e1000 *e, uint32_t value);
void eeprom_eerd_write(struct e1000 *e, uint32_t value);
int eeprom_check(const struct e1000 *e); /* state_check()'s part */

/* ---- phy.c ---- */

void phy_reset(struct e1000 *e);
void phy_mdic_write(struct e1000 *e, uint32_t value);
/* The cable, CTRL or the PHY's control changed: the link follows. */
void phy_update(struct e1000 *e);
void phy_timer(struct e1000 *e);
uint32_t phy_status(const struct e1000 *e); /* STATUS */
uint32_t phy_mbps(const struct e1000 *e);
/* Nonzero if frames sent come back, by RCTL.LBM or by the PHY. */
int phy_loops(const struct e1000 *e);

/* ---- stats.c ---- */

void stat_add(struct e1000 *e, uint32_t index, uint32_t n);
/* A frame of `len` bytes without FCS arrived, `good` of legal length and let in by the filters. */
void stat_received(struct e1000 *e, const uint8_t *frame, uint32_t len, int good);
/* `n` frames of `len` bytes that begin like `frame` were sent. */
void stat_sent(struct e1000 *e, const uint8_t *frame, uint32_t len, uint32_t n);
/* Reads a statistics register: RC ones are 0 afterwards, and so is the low half of a pair. */
uint32_t stat_read(struct e1000 *e, uint32_t index);

#endif
