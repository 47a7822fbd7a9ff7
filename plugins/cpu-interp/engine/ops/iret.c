/* SPDX-License-Identifier: MIT
 *
 * ops/iret.c - IRET, IRETD, IRETQ.
 *
 * Intel SDM 2, IRET; SDM 3, 6.14.3 (64-bit mode), 20.2 (virtual-8086 mode), 7.4 (nested tasks).
 * Left out: shadow stacks.
 */
#include "privileged.h"

#include <Zydis/Mnemonic.h>

#include "../block/chain.h"
#include "../decode/emit.h"
#include "../engine.h"

/* RFLAGS from `image` of `size` bytes, popped at privilege `cpl`. RF has an effect only where an
 * instruction breakpoint is armed; without one it would only have to be cleared again. */
static void flags_load(struct cpu *c, uint64_t image, uint32_t size, uint32_t cpl)
{
    uint64_t mask = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;

    if (size > 2)
        mask |= ((c->dr7 & 0xff) != 0 ? FLAG_RF : 0) | FLAG_AC | FLAG_ID;
    if (cpl <= cpu_iopl(c))
        mask |= FLAG_IF;
    if (cpl == 0)
        mask |= FLAG_IOPL | (size > 2 ? FLAG_VIF | FLAG_VIP : 0);
    cpu_rflags_set(c, (cpu_rflags(c) & ~(mask | FLAG_RF)) | (image & mask));
}

static void unmask_nmi(struct cpu *c)
{
    if (c->nmi_masked) {
        c->nmi_masked = 0;
        cpu_pend(c, PEND_CHECK);
    }
}

/* ---- real mode, and within virtual-8086 mode ------------------------------------------------- */

static __attribute__((noinline)) uint64_t iret_real(struct cpu *c, const struct uop *u,
                                                    uint32_t size)
{
    uint64_t ip, flags;
    uint16_t cs;

    ip = stack_peek(c, u, 0, size);
    cs = (uint16_t)stack_peek(c, u, size, size);
    flags = stack_peek(c, u, 2 * size, size);
    if (ip > c->seg[SEG_CS].limit)
        raise_error(c, u, EXC_GP, 0);
    if (cpu_v8086(c) && cpu_iopl(c) < 3) {
        /* CR4.VME: IF of the image goes to VIF; what the monitor must see is #GP. */
        if ((c->cr4 & CR4_VME) == 0 || size != 2 || (flags & FLAG_TF) != 0 ||
            ((flags & FLAG_IF) != 0 && (c->rflags & FLAG_VIP) != 0))
            raise_error(c, u, EXC_GP, 0);
        c->rflags &= ~(uint64_t)FLAG_VIF;
        if ((flags & FLAG_IF) != 0)
            c->rflags |= FLAG_VIF;
        stack_drop(c, 3 * size);
        cs_load_real(c, cs);
        flags_load(c, flags, size, 3);
    } else {
        stack_drop(c, 3 * size);
        cs_load_real(c, cs);
        /* At privilege 0, or with IOPL 3: IF is loaded; IOPL, VIF and VIP are in real mode only,
         * the latter two never (SDM 2, IRET). */
        uint64_t kept = cpu_rflags(c) & (FLAG_VIF | FLAG_VIP);
        flags_load(c, (flags & ~(uint64_t)(FLAG_VIF | FLAG_VIP)) | kept, size, c->cpl);
    }
    cpu_mode_changed(c);
    unmask_nmi(c);
    return ip;
}

/* ---- to virtual-8086 mode -------------------------------------------------------------------- */

static uint64_t iret_to_v8086(struct cpu *c, const struct uop *u)
{
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint64_t ip = stack_peek(c, u, 0, 4), cs = stack_peek(c, u, 4, 4);
    uint64_t flags = stack_peek(c, u, 8, 4), sp = stack_peek(c, u, 12, 4);
    uint16_t selector[5];

    for (uint32_t i = 0; i < 5; i++)
        selector[i] = (uint16_t)stack_peek(c, u, 16 + 4 * i, 4);
    if ((ip & UINT32_MAX) > UINT16_MAX)
        raise_error(c, u, EXC_GP, 0);
    cpu_rflags_set(c, flags & FLAGS_DEFINED & ~(uint64_t)((c->dr7 & 0xff) != 0 ? 0 : FLAG_RF));
    c->cpl = 3;
    for (uint32_t i = 0; i < 5; i++)
        segment_load_real(c, order[i], selector[i]);
    cs_load_real(c, (uint16_t)cs);
    c->reg[RSP] = (uint32_t)sp;
    cpu_mode_changed(c);
    unmask_nmi(c);
    return ip;
}

/* ---- protected and 64-bit mode --------------------------------------------------------------- */

/* SS of an outer stack, or of 64-bit mode: its descriptor, 0 for a null selector that is allowed.
 */
static uint64_t outer_stack(struct cpu *c, const struct uop *u, uint16_t ss, uint32_t rpl,
                            bool to_64bit)
{
    if (!selector_null(ss))
        return ss_check(c, u, ss, rpl, EXC_GP, 0);
    if (!to_64bit || rpl == 3 || (ss & 3u) != rpl)
        raise_error(c, u, EXC_GP, 0);
    return 0;
}

static __attribute__((noinline)) uint64_t iret_protected(struct cpu *c, const struct uop *u,
                                                         uint32_t size)
{
    uint64_t ip, flags, code, sp = 0, stack = 0;
    bool was_64bit = cpu_64bit(c), to_64bit;
    uint8_t old = c->cpl, rpl;
    uint16_t cs, ss = 0;

    if ((c->rflags & FLAG_NT) != 0) {
        if (cpu_long_mode(c))
            raise_error(c, u, EXC_GP, 0);
        const struct segment *tr = &c->seg[SEG_TR];
        uint16_t link = (uint16_t)ld_system(c, u, tr->base, 2);
        task_switch(c, u, link, TASK_IRET, 0, uop_next_rip(c, u));
        unmask_nmi(c);
        return c->rip;
    }
    ip = stack_peek(c, u, 0, size);
    cs = (uint16_t)stack_peek(c, u, size, size);
    flags = stack_peek(c, u, 2 * size, size);
    if ((flags & FLAG_VM) != 0 && size == 4 && old == 0 && !cpu_long_mode(c))
        return iret_to_v8086(c, u);

    code = desc_return_code(c, u, cs);
    rpl = cs & 3;
    to_64bit = cpu_long_mode(c) && desc_long(code);
    if (was_64bit || rpl != old) {
        sp = stack_peek(c, u, 3 * size, size);
        ss = (uint16_t)stack_peek(c, u, 4 * size, size);
        stack = outer_stack(c, u, ss, rpl, to_64bit);
    }
    if (!code_holds(c, code, ip))
        raise_error(c, u, EXC_GP, 0);

    if (was_64bit || rpl != old) {
        if (stack == 0)
            ss_load_null(c, ss, rpl);
        else
            ss_load(c, u, ss, stack);
        if (to_64bit)
            c->reg[RSP] = sp;
        else if (desc_big(stack))
            c->reg[RSP] = (uint32_t)sp;
        else
            c->reg[RSP] = (c->reg[RSP] & ~(uint64_t)UINT16_MAX) | (sp & UINT16_MAX);
    } else {
        stack_drop(c, 3 * size);
    }
    cs_load(c, u, cs, code, rpl);
    flags_load(c, flags, size, old);
    if (rpl != old)
        segments_drop(c);
    cpu_mode_changed(c);
    unmask_nmi(c);
    return ip;
}

static const struct uop *op_iret(struct cpu *c, const struct uop *u)
{
    uint32_t mode = c->mode;
    uint64_t rip;

    if (cpu_protected(c))
        rip = iret_protected(c, u, u->osize);
    else
        rip = iret_real(c, u, u->osize);
    if (((mode ^ c->mode) & (MODE_64 | MODE_32)) != 0)
        LEAVE(c, rip);
    CHAIN_JUMP(c, rip);
}

/* ---- emitters -------------------------------------------------------------------------------- */

static bool emit_return(struct emit *e)
{
    uint16_t m = e->insn->mnemonic;

    e->uop->fn = op_iret;
    e->uop->osize = m == ZYDIS_MNEMONIC_IRETQ ? 8 : m == ZYDIS_MNEMONIC_IRETD ? 4 : 2;
    e->ends = true;
    return true;
}

const struct emit_entry emit_iret[] = {
    {ZYDIS_MNEMONIC_IRET, emit_return},
    {ZYDIS_MNEMONIC_IRETD, emit_return},
    {ZYDIS_MNEMONIC_IRETQ, emit_return},
    {0, NULL},
};
