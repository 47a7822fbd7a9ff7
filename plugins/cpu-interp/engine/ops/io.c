/* SPDX-License-Identifier: MIT
 *
 * ops/io.c - IN, OUT, INS, OUTS.
 *
 * Intel SDM 1, chapter 18 (ports, permission bitmap); SDM 2 (each instruction, REP); SDM 3,
 * 17.2.4 (breakpoints on ports).
 */
#include "privileged.h"

#include <Zydis/Mnemonic.h>

#include "../decode/emit.h"
#include "../engine.h"
#include "../remote.h"
#include "../trace.h"

/* The bitmap of the TSS: 2 bytes are read, so that ports across a byte's end are seen; the last
 * byte of the map is one of ones (SDM 1, 18.5.2). */
static __attribute__((noinline)) void port_check(struct cpu *c, const struct uop *u, uint16_t port,
                                                 uint32_t size)
{
    const struct segment *tr = &c->seg[SEG_TR];
    uint32_t at, mask = (1u << size) - 1;

    if ((c->cr0 & CR0_PE) == 0 || (cpu_iopl(c) >= c->cpl && !cpu_v8086(c)))
        return;
    if ((tr->attributes & (SEG_P | SYSTEM_WIDE)) != (SEG_P | SYSTEM_WIDE) || tr->limit < 0x67)
        raise_error(c, u, EXC_GP, 0);
    at = (uint32_t)ld_system(c, u, tr->base + 0x66, 2) + port / 8u;
    if (at + 1 > tr->limit)
        raise_error(c, u, EXC_GP, 0);
    if ((ld_system(c, u, tr->base + at, 2) >> (port & 7) & mask) != 0)
        raise_error(c, u, EXC_GP, 0);
}

/* ---- the bus --------------------------------------------------------------------------------- */

/* A trap after the access, if a breakpoint of kind 2 has a port in common with it; CR4.DE makes
 * that kind (SDM 3, 17.2.4 and 17.2.5). With any breakpoint enabled every instruction is a step. */
static void note_breakpoints(struct cpu *c, uint16_t port, uint32_t size)
{
    static const uint8_t lengths[4] = {1, 2, 8, 4};

    if ((c->mode & MODE_STEP) == 0 || (c->cr4 & CR4_DE) == 0)
        return;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t length = lengths[c->dr7 >> (18 + 4 * i) & 3];
        uint64_t begin = c->dr[i] & ~(uint64_t)(length - 1);

        if ((c->dr7 >> (2 * i) & 3) != 0 && (c->dr7 >> (16 + 4 * i) & 3) == 2 &&
            begin < (uint64_t)port + size && port < begin + length)
            c->pending_db |= 1u << i;
    }
}

/* Other vCPUs need not wait for this one while it waits for a device: remote.h. */
static uint32_t bus_in(struct cpu *c, const struct uop *u, uint16_t port)
{
    uint32_t value;

    if (unlikely(c->engine->user.instruction != NULL))
        c->rip = uop_rip(c, u);
    else
        note_breakpoints(c, port, u->osize);
    remote_bus_enter(c);
    value = c->bus->pio_read(c->handle, port, u->osize);
    remote_bus_leave(c);
    if (unlikely(c->trace_events))
        trace_pio(c, u, false, port, value, u->osize);
    return value;
}

static void bus_out(struct cpu *c, const struct uop *u, uint16_t port, uint32_t value)
{
    if (unlikely(c->engine->user.instruction != NULL))
        c->rip = uop_rip(c, u);
    else
        note_breakpoints(c, port, u->osize);
    remote_bus_enter(c);
    c->bus->pio_write(c->handle, port, value, u->osize);
    remote_bus_leave(c);
    if (unlikely(c->trace_events))
        trace_pio(c, u, true, port, value, u->osize);
}

/* ---- IN, OUT --------------------------------------------------------------------------------- */

static __attribute__((noinline)) void port_in(struct cpu *c, const struct uop *u, uint16_t port)
{
    uint32_t value;

    port_check(c, u, port, u->osize);
    value = bus_in(c, u, port);
    if (u->osize == 1)
        c->reg[RAX] = (c->reg[RAX] & ~0xffull) | (uint8_t)value;
    else
        reg_write(c, RAX, value, u->osize);
}

static __attribute__((noinline)) void port_out(struct cpu *c, const struct uop *u, uint16_t port)
{
    uint32_t value = (uint32_t)c->reg[RAX];

    port_check(c, u, port, u->osize);
    bus_out(c, u, port, u->osize == 4 ? value : value & ((1u << 8 * u->osize) - 1));
}

static const struct uop *op_in_imm(struct cpu *c, const struct uop *u)
{
    port_in(c, u, (uint16_t)u->imm);
    NEXT(c, u);
}

static const struct uop *op_in_dx(struct cpu *c, const struct uop *u)
{
    port_in(c, u, (uint16_t)c->reg[RDX]);
    NEXT(c, u);
}

/* A write may change anything: what memory is mapped, whether this vCPU goes on. */
static const struct uop *op_out_imm(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    port_out(c, u, (uint16_t)u->imm);
    LEAVE(c, next);
}

static const struct uop *op_out_dx(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    port_out(c, u, (uint16_t)c->reg[RDX]);
    LEAVE(c, next);
}

/* ---- INS, OUTS ------------------------------------------------------------------------------- */

static uint64_t address_mask(const struct uop *u)
{
    return u->asize == 8 ? UINT64_MAX : u->asize == 4 ? UINT32_MAX : UINT16_MAX;
}

static void advance(struct cpu *c, const struct uop *u, uint8_t reg)
{
    uint64_t step = (c->rflags & FLAG_DF) != 0 ? -(uint64_t)u->osize : u->osize;

    reg_write(c, reg, c->reg[reg] + step, u->asize);
}

/* The store is checked before the port is read: a device's data would be lost. */
static void in_once(struct cpu *c, const struct uop *u)
{
    uint16_t port = (uint16_t)c->reg[RDX];
    uint64_t la;
    uint32_t value;

    la = ea_segment(c, u, SEG_ES, c->reg[RDI] & address_mask(u), u->osize, ACCESS_WRITE);
    probe_write(c, u, la, u->osize);
    value = bus_in(c, u, port);
    if (u->osize == 1)
        st8(c, u, la, (uint8_t)value);
    else
        st_sized(c, u, la, value, u->osize);
    advance(c, u, RDI);
}

static void out_once(struct cpu *c, const struct uop *u)
{
    uint64_t la = ea_segment(c, u, u->seg, c->reg[RSI] & address_mask(u), u->osize, ACCESS_READ);
    uint32_t value = u->osize == 1 ? ld8(c, u, la) : (uint32_t)ld_sized(c, u, la, u->osize);

    bus_out(c, u, (uint16_t)c->reg[RDX], value);
    advance(c, u, RSI);
}

/* False: a repetition was interrupted between two elements, and goes on at the same RIP. */
static __attribute__((noinline)) bool string_io(struct cpu *c, const struct uop *u, bool in)
{
    uint64_t mask = address_mask(u);

    /* Without rights not even no element may be moved. */
    port_check(c, u, (uint16_t)c->reg[RDX], u->osize);
    if (u->x && (c->reg[RCX] & mask) == 0)
        return true;
    for (;;) {
        if (in)
            in_once(c, u);
        else
            out_once(c, u);
        if (!u->x)
            return true;
        reg_write(c, RCX, c->reg[RCX] - 1, u->asize);
        if ((c->reg[RCX] & mask) == 0)
            return true;
        if (__atomic_load_n(&c->pend, __ATOMIC_RELAXED) != 0 || (c->mode & MODE_STEP) != 0)
            return false;
    }
}

static const struct uop *op_ins(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u), again = uop_rip(c, u);

    LEAVE(c, string_io(c, u, true) ? next : again);
}

static const struct uop *op_outs(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u), again = uop_rip(c, u);

    LEAVE(c, string_io(c, u, false) ? next : again);
}

/* ---- emitters -------------------------------------------------------------------------------- */

/* E4..E7 with a byte, EC..EF with DX; bit 0: 16 or 32 bits, bit 1: OUT. */
static bool emit_port(struct emit *e)
{
    const struct insn *i = e->insn;
    bool out = (i->opcode & 2) != 0, dx = (i->opcode & 8) != 0;

    if (out)
        e->uop->fn = dx ? op_out_dx : op_out_imm;
    else
        e->uop->fn = dx ? op_in_dx : op_in_imm;
    for (uint32_t n = 0; n < i->count; n++)
        if (i->op[n].kind == OPERAND_IMM)
            e->uop->imm = (uint8_t)i->op[n].imm;
    e->uop->osize = (i->opcode & 1) == 0 ? 1 : i->osize == 2 ? 2 : 4;
    e->ends = out;
    return true;
}

static bool emit_string_port(struct emit *e)
{
    const struct insn *i = e->insn;

    e->uop->fn = (i->opcode & 2) != 0 ? op_outs : op_ins;
    e->uop->osize = (i->opcode & 1) == 0 ? 1 : i->osize == 2 ? 2 : 4;
    e->uop->asize = i->asize;
    e->uop->x = i->rep || i->repne;
    e->uop->seg = i->seg;
    e->ends = true;
    return true;
}

const struct emit_entry emit_io[] = {
    {ZYDIS_MNEMONIC_IN, emit_port},
    {ZYDIS_MNEMONIC_OUT, emit_port},
    {ZYDIS_MNEMONIC_INSB, emit_string_port},
    {ZYDIS_MNEMONIC_INSW, emit_string_port},
    {ZYDIS_MNEMONIC_INSD, emit_string_port},
    {ZYDIS_MNEMONIC_OUTSB, emit_string_port},
    {ZYDIS_MNEMONIC_OUTSW, emit_string_port},
    {ZYDIS_MNEMONIC_OUTSD, emit_string_port},
    {0, NULL},
};
