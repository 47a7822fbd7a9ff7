/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/flow.c - pause frames (IEEE 802.3 annex 31B; 3.2.2, 13.4.7 to 13.4.9).
 *
 * Received ones stop the transmitter for their time at the link's speed, in guest time, if
 * CTRL.RFCE is set. Sent is one when the guest sets TCTL.SWXOFF. Left out: pause frames for a
 * receive FIFO above FCRTH: the backend keeps what does not fit, and nothing is lost that a pause
 * would save.
 */
#include "e1000.h"

#include <backplane/util/offload.h>
#include <string.h>

#define PAUSE_OPCODE 1u
#define QUANTUM_BITS 512u /* bit times of one unit of a pause */

static void resume(struct e1000 *e)
{
    timer_stop(e, TIMER_PAUSE);
    tx_run(e);
}

static int for_this_mac(const struct e1000 *e, const uint8_t *frame)
{
    uint8_t flow[6];

    for (uint32_t i = 0; i < 6; i++)
        flow[i] = (uint8_t)(i < 4 ? e->reg[R_FCAL] >> 8 * i : e->reg[R_FCAH] >> 8 * (i - 4));
    if (!memcmp(frame, flow, 6))
        return 1;
    for (uint32_t i = 0; i < 6; i++)
        if (frame[i] != (uint8_t)(i < 4 ? e->RA[0] >> 8 * i : e->RA[1] >> 8 * (i - 4)))
            return 0;
    return 1;
}

int flow_received(struct e1000 *e, const uint8_t *frame, uint32_t len)
{
    uint32_t rctl = e->reg[R_RCTL], quanta;

    if (len < 18 || !e->reg[R_FCT] || bp_be16(frame + 12) != e->reg[R_FCT])
        return 0;
    if (bp_be16(frame + 14) != PAUSE_OPCODE || !for_this_mac(e, frame)) {
        stat_add(e, R_FCRUC, 1);
        return !(rctl & RCTL_PMCF);
    }
    quanta = bp_be16(frame + 16);
    if (e->reg[R_CTRL] & CTRL_RFCE) {
        stat_add(e, quanta ? R_XOFFRXC : R_XONRXC, 1);
        if (quanta)
            timer_arm(e, TIMER_PAUSE, (uint64_t)quanta * QUANTUM_BITS * 1000u / phy_mbps(e));
        else if (e->deadline_ns[TIMER_PAUSE])
            timer_arm(e, TIMER_PAUSE, 0); /* not from here: the backend is calling */
    } else {
        stat_add(e, R_FCRUC, 1);
    }
    return (rctl & RCTL_DPF) || !(rctl & RCTL_PMCF);
}

void flow_send_xoff(struct e1000 *e)
{
    uint8_t data[FRAME_MIN] = {0};
    struct bp_buf buf = {.data = data, .len = sizeof(data)};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};

    for (uint32_t i = 0; i < 6; i++) {
        data[i] = (uint8_t)(i < 4 ? e->reg[R_FCAL] >> 8 * i : e->reg[R_FCAH] >> 8 * (i - 4));
        data[6 + i] = (uint8_t)(i < 4 ? e->RA[0] >> 8 * i : e->RA[1] >> 8 * (i - 4));
    }
    data[12] = (uint8_t)(e->reg[R_FCT] >> 8);
    data[13] = (uint8_t)e->reg[R_FCT];
    data[15] = PAUSE_OPCODE;
    data[16] = (uint8_t)(e->reg[R_FCTTV] >> 8);
    data[17] = (uint8_t)e->reg[R_FCTTV];
    if (tx_wire(e, &frame))
        stat_add(e, R_XOFFTXC, 1);
}

void flow_timer(struct e1000 *e)
{
    resume(e);
}
