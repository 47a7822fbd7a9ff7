/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/io.c - port I/O: IN, OUT, INS, OUTS.
 *
 * Intel SDM 3C, table 27-5 (qualification), table 27-8 (instruction information of INS and OUTS).
 * A repetition is done in parts, so that a kick is seen between them.
 */
#include "hvf.h"

#include <string.h>

#define ELEMENTS_AT_ONCE 512u

struct string_io {
    uint64_t mask; /* of addresses and counts */
    uint64_t base; /* of the segment */
    uint32_t width;
    uint16_t port;
    bool in, rep;
};

static void reg_advance(struct vcpu *v, uint32_t number, uint64_t by, uint64_t mask)
{
    uint64_t old = gpr_read(v, number), now = (old + by) & mask;

    gpr_write(v, number, mask == UINT16_MAX ? (old & ~mask) | now : now);
}

/* One element. 0, or -EFAULT: #PF is ready. */
static int element(struct vcpu *v, const struct string_io *s)
{
    uint32_t pointer = s->in ? GPR_RDI : GPR_RSI, value = 0;
    uint64_t la = s->base + (gpr_read(v, pointer) & s->mask);
    uint64_t step = field_read(v, VMX_RFLAGS) & RFLAGS_DF ? -(uint64_t)s->width : s->width;
    int err;

    if (s->in) {
        /* A port's data would be lost. */
        err = linear_probe(v, la, s->width, ACCESS_WRITE);
        if (err)
            return err;
        value = v->bus->pio_read(v->handle, s->port, s->width);
        err = linear_write(v, la, &value, s->width, ACCESS_WRITE);
    } else {
        err = linear_read(v, la, &value, s->width, ACCESS_READ);
        if (!err)
            v->bus->pio_write(v->handle, s->port, value, s->width);
    }
    if (!err)
        reg_advance(v, pointer, step, s->mask);
    return err;
}

static int string_exit(struct vcpu *v, struct string_io *s)
{
    uint32_t info = (uint32_t)field_read(v, VMX_EXIT_INSTRUCTION);
    uint32_t size = info >> 7 & 7, seg = s->in ? SEG_ES : info >> 15 & 7;

    s->mask = size == 2 ? UINT64_MAX : size == 1 ? UINT32_MAX : UINT16_MAX;
    s->base =
        is_64bit(v) && seg != SEG_FS && seg != SEG_GS ? 0 : field_read(v, VMX_ES_BASE + 2 * seg);
    for (uint32_t n = 0; n < ELEMENTS_AT_ONCE; n++) {
        if (s->rep && (gpr_read(v, GPR_RCX) & s->mask) == 0) {
            exit_skip(v);
            return 0;
        }
        if (element(v, s))
            return 0;
        if (!s->rep) {
            exit_skip(v);
            return 0;
        }
        reg_advance(v, GPR_RCX, UINT64_MAX, s->mask);
        if (debug_steps(v)) {
            v->debug.progress = true;
            if ((gpr_read(v, GPR_RCX) & s->mask) == 0)
                exit_skip(v);
            return 0;
        }
    }
    return 0; /* the guest comes again */
}

/* A trap after the access, if a breakpoint of kind 2 has a port in common with it and CR4.DE makes
 * that kind (SDM 3B, 17.2.4): the hardware leaves it to us. */
static void note_breakpoints(struct vcpu *v, uint16_t port, uint32_t width)
{
    static const uint8_t lengths[4] = {1, 2, 8, 4};
    uint64_t dr7 = dr_read(v, 7), hit = 0;

    if (!(dr7 & 0xff) || !(field_read(v, VMX_CR4) & CR4_DE))
        return;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t length = lengths[dr7 >> (18 + 4 * i) & 3];
        uint64_t begin = dr_read(v, i) & ~(uint64_t)(length - 1);

        if (dr7 >> (2 * i) & 3 && (dr7 >> (16 + 4 * i) & 3) == 2 &&
            begin < (uint64_t)port + width && port < begin + length)
            hit |= UINT64_C(1) << i;
    }
    if (hit)
        field_write(v, VMX_PENDING_DEBUG,
                    field_read(v, VMX_PENDING_DEBUG) | hit | PENDING_DEBUG_BREAKPOINT);
}

int io_exit(struct vcpu *v)
{
    uint64_t qualification = field_read(v, VMX_EXIT_QUALIFICATION);
    struct string_io s = {.width = (uint32_t)(qualification & 7) + 1,
                          .port = (uint16_t)(qualification >> 16),
                          .in = qualification & 8,
                          .rep = qualification & 0x20};
    uint64_t rax, low = UINT64_MAX >> (64 - 8 * s.width);

    if (qualification & 0x10)
        return string_exit(v, &s);
    rax = gpr_read(v, GPR_RAX);
    if (s.in) {
        uint64_t value = v->bus->pio_read(v->handle, s.port, s.width) & low;

        gpr_write(v, GPR_RAX, s.width == 4 ? value : (rax & ~low) | value);
    } else {
        v->bus->pio_write(v->handle, s.port, (uint32_t)(rax & low), s.width);
    }
    exit_skip(v);
    note_breakpoints(v, s.port, s.width);
    return 0;
}
