/* SPDX-License-Identifier: MIT
 *
 * ops/mov.c - moves: MOV (but not control and debug registers), MOVZX, MOVSX, MOVSXD, LEA, CMOVcc,
 * SETcc, XLAT, MOVBE, MOVNTI, BSWAP; flags as bytes and single flags; what does nothing: NOP,
 * prefetches, fences, PAUSE.
 *
 * Intel SDM 2, each instruction's page. XCHG is in atomic.c.
 */
#include "operands.h"

#include "../engine.h"

#include <Zydis/Mnemonic.h>
#include <sched.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)

/* ---- MOV ------------------------------------------------------------------------------------ */

#define DEFINE_MOV_MEMORY(bits, form, read, write)                                                 \
    HANDLER(op_mov_r##form##bits)                                                                  \
    {                                                                                              \
        set##bits(c, u->d, ld##bits(c, u, read));                                                  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_mov_##form##r##bits)                                                                \
    {                                                                                              \
        st##bits(c, u, write, get##bits(c, u->s));                                                 \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_mov_##form##i##bits)                                                                \
    {                                                                                              \
        st##bits(c, u, write, (uint##bits##_t)(int64_t)u->imm32);                                  \
        NEXT(c, u);                                                                                \
    }

#define DEFINE_MOV(bits)                                                                           \
    HANDLER(op_mov_rr##bits)                                                                       \
    {                                                                                              \
        set##bits(c, u->d, get##bits(c, u->s));                                                    \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_mov_ri##bits)                                                                       \
    {                                                                                              \
        set##bits(c, u->d, (uint##bits##_t)u->imm);                                                \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    DEFINE_MOV_MEMORY(bits, m, ea_fast(c, u), ea_fast(c, u))                                       \
    DEFINE_MOV_MEMORY(bits, n, ea_any(c, u, bits / 8, ACCESS_READ),                                \
                      ea_any(c, u, bits / 8, ACCESS_WRITE))
DEFINE_MOV(8)
DEFINE_MOV(16)
DEFINE_MOV(32)
DEFINE_MOV(64)

enum { FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI, FORM_RN, FORM_NR, FORM_NI, FORMS };

#define MOV_COLUMN(bits)                                                                           \
    {                                                                                              \
        op_mov_rr##bits, op_mov_ri##bits, op_mov_rm##bits, op_mov_mr##bits, op_mov_mi##bits,       \
            op_mov_rn##bits, op_mov_nr##bits, op_mov_ni##bits                                      \
    }
static op_fn *const table_mov[4][FORMS] = {MOV_COLUMN(8), MOV_COLUMN(16), MOV_COLUMN(32),
                                           MOV_COLUMN(64)};

/* A0-A3 with an offset of 64 bits. */
HANDLER(op_mov_load_offset)
{
    set_reg(c, RAX, u->osize,
            load(c, u, ea_segment(c, u, u->seg, u->imm, u->osize, ACCESS_READ), u->osize));
    NEXT(c, u);
}

HANDLER(op_mov_store_offset)
{
    store(c, u, ea_segment(c, u, u->seg, u->imm, u->osize, ACCESS_WRITE), get_reg(c, RAX, u->osize),
          u->osize);
    NEXT(c, u);
}

/* Segment registers. */
HANDLER(op_mov_r_sreg)
{
    set_reg(c, u->d, u->osize, c->seg[u->s].selector);
    NEXT(c, u);
}

HANDLER(op_mov_n_sreg)
{
    st16(c, u, ea_any(c, u, 2, ACCESS_WRITE), c->seg[u->s].selector);
    NEXT(c, u);
}

HANDLER(op_mov_sreg)
{
    uint8_t seg = u->d;

    segment_load(c, u, seg, (uint16_t)get_rm(c, u, 2));
    if (seg == SEG_SS)
        c->shadow |= 2;
    LEAVE(c, uop_next_rip(c, u));
}

/* ---- extensions ----------------------------------------------------------------------------- */

#define DEFINE_EXTEND(name, to, from, type)                                                        \
    HANDLER(op_##name##_rr)                                                                        \
    {                                                                                              \
        set##to(c, u->d, (uint##to##_t)(type)get##from(c, u->s));                                  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_##name##_rm)                                                                        \
    {                                                                                              \
        set##to(c, u->d, (uint##to##_t)(type)ld##from(c, u, ea_fast(c, u)));                       \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_##name##_rn)                                                                        \
    {                                                                                              \
        set##to(c, u->d, (uint##to##_t)(type)ld##from(c, u, ea_any(c, u, from / 8, ACCESS_READ))); \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static op_fn *const table_##name[3] = {op_##name##_rr, op_##name##_rm, op_##name##_rn};

DEFINE_EXTEND(movzx_16_8, 16, 8, uint8_t)
DEFINE_EXTEND(movzx_32_8, 32, 8, uint8_t)
DEFINE_EXTEND(movzx_16_16, 16, 16, uint16_t)
DEFINE_EXTEND(movzx_32_16, 32, 16, uint16_t)
DEFINE_EXTEND(movsx_16_8, 16, 8, int8_t)
DEFINE_EXTEND(movsx_32_8, 32, 8, int8_t)
DEFINE_EXTEND(movsx_64_8, 64, 8, int8_t)
DEFINE_EXTEND(movsx_32_16, 32, 16, int16_t)
DEFINE_EXTEND(movsx_64_16, 64, 16, int16_t)
DEFINE_EXTEND(movsx_32_32, 32, 32, int32_t)
DEFINE_EXTEND(movsx_64_32, 64, 32, int32_t)

/* By log2 of the destination's and the source's size. */
static op_fn *const *const table_movzx[4][4] = {
    [1] = {table_movzx_16_8, table_movzx_16_16},
    [2] = {table_movzx_32_8, table_movzx_32_16},
    [3] = {table_movzx_32_8, table_movzx_32_16},
};
static op_fn *const *const table_movsx[4][4] = {
    [1] = {table_movsx_16_8, table_movzx_16_16, table_movzx_16_16},
    [2] = {table_movsx_32_8, table_movsx_32_16, table_movsx_32_32},
    [3] = {table_movsx_64_8, table_movsx_64_16, table_movsx_64_32},
};

/* ---- LEA ------------------------------------------------------------------------------------ */

HANDLER(op_lea_64)
{
    c->reg[u->d] = ea_fast(c, u);
    NEXT(c, u);
}

HANDLER(op_lea_32)
{
    c->reg[u->d] = (uint32_t)ea_fast(c, u);
    NEXT(c, u);
}

HANDLER(op_lea_16)
{
    set16(c, u->d, (uint16_t)ea_fast(c, u));
    NEXT(c, u);
}

/* An address of 16 bits to a wider register. */
HANDLER(op_lea_narrow)
{
    c->reg[u->d] = (uint16_t)ea_fast(c, u);
    NEXT(c, u);
}

/* Without index, and without base but RIP. */
HANDLER(op_lea_base)
{
    c->reg[u->d] = c->reg[u->base] + (uint64_t)(int64_t)u->disp;
    NEXT(c, u);
}

/* ---- conditional moves ---------------------------------------------------------------------- */

#define DEFINE_CONDITIONAL(name, code)                                                             \
    HANDLER(op_cmov##name##_rr32)                                                                  \
    {                                                                                              \
        uint64_t from = c->reg[u->s], to = c->reg[u->d];                                           \
                                                                                                   \
        c->reg[u->d] = (uint32_t)(condition(c, code) ? from : to);                                 \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_cmov##name##_rr64)                                                                  \
    {                                                                                              \
        uint64_t from = c->reg[u->s], to = c->reg[u->d];                                           \
                                                                                                   \
        c->reg[u->d] = condition(c, code) ? from : to;                                             \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_set##name##_r)                                                                      \
    {                                                                                              \
        set8(c, u->d, condition(c, code));                                                         \
        NEXT(c, u);                                                                                \
    }
ALL_CONDITIONS(DEFINE_CONDITIONAL)

#define CMOV32(name, code) [code] = op_cmov##name##_rr32,
#define CMOV64(name, code) [code] = op_cmov##name##_rr64,
#define SETR(name, code) [code] = op_set##name##_r,
static op_fn *const table_cmov32[16] = {ALL_CONDITIONS(CMOV32)};
static op_fn *const table_cmov64[16] = {ALL_CONDITIONS(CMOV64)};
static op_fn *const table_set[16] = {ALL_CONDITIONS(SETR)};

/* Memory is read in any case, and 32-bit destinations are written in any case. extra[1]: the
 * condition. */
HANDLER(op_cmov_any)
{
    uint64_t value = get_rm(c, u, u->osize);

    if (!flags_condition(c, u->extra[1]))
        value = get_reg(c, u->d, u->osize);
    set_reg(c, u->d, u->osize, value);
    NEXT(c, u);
}

HANDLER(op_set_m)
{
    st8(c, u, ea_any(c, u, 1, ACCESS_WRITE), flags_condition(c, u->imm8));
    NEXT(c, u);
}

/* ---- others --------------------------------------------------------------------------------- */

HANDLER(op_bswap32)
{
    c->reg[u->d] = __builtin_bswap32((uint32_t)c->reg[u->d]);
    NEXT(c, u);
}

HANDLER(op_bswap64)
{
    c->reg[u->d] = __builtin_bswap64(c->reg[u->d]);
    NEXT(c, u);
}

/* Undefined by the manual: real processors give 0. */
HANDLER(op_bswap16)
{
    set16(c, u->d, 0);
    NEXT(c, u);
}

static uint64_t swapped(uint64_t value, uint32_t bytes)
{
    return __builtin_bswap64(value) >> (64 - 8 * bytes);
}

HANDLER(op_movbe_load)
{
    uint64_t value = load(c, u, ea_any(c, u, u->osize, ACCESS_READ), u->osize);

    set_reg(c, u->d, u->osize, swapped(value, u->osize));
    NEXT(c, u);
}

HANDLER(op_movbe_store)
{
    store(c, u, ea_any(c, u, u->osize, ACCESS_WRITE), swapped(get_reg(c, u->s, u->osize), u->osize),
          u->osize);
    NEXT(c, u);
}

HANDLER(op_xlat)
{
    uint64_t offset = (c->reg[RBX] + get8(c, RAX)) & size_mask(u->asize);

    set8(c, 0, ld8(c, u, ea_segment(c, u, u->seg, offset, 1, ACCESS_READ)));
    NEXT(c, u);
}

HANDLER(op_lahf)
{
    set8(c, 1, (uint8_t)((flags_get(c) & ~FLAG_OF) | FLAG_ONE));
    NEXT(c, u);
}

HANDLER(op_sahf)
{
    flags_set(c, (flags_get(c) & FLAG_OF) | (get8(c, 1) & ~FLAG_OF));
    NEXT(c, u);
}

HANDLER(op_clc)
{
    flags_set(c, flags_get(c) & ~FLAG_CF);
    NEXT(c, u);
}

HANDLER(op_stc)
{
    flags_set(c, flags_get(c) | FLAG_CF);
    NEXT(c, u);
}

HANDLER(op_cmc)
{
    flags_set(c, flags_get(c) ^ FLAG_CF);
    NEXT(c, u);
}

HANDLER(op_cld)
{
    c->rflags &= ~(uint64_t)FLAG_DF;
    NEXT(c, u);
}

HANDLER(op_std)
{
    c->rflags |= FLAG_DF;
    NEXT(c, u);
}

HANDLER(op_nop)
{
    (void)c; /* not used where NEXT only returns */
    NEXT(c, u);
}

/* A guest that pauses again and again waits for another vCPU, whose thread may be waiting for this
 * processor of the host: where there are more vCPUs than those, a spinlock would cost a time slice
 * each time it changes hands. */
#define PAUSES_BEFORE_YIELD 16u

static __attribute__((noinline)) void yield_host(struct cpu *c)
{
    c->pauses = 0;
    if (c->engine->cpu_max > 1)
        sched_yield();
}

HANDLER(op_pause)
{
    if (unlikely(++c->pauses >= PAUSES_BEFORE_YIELD))
        yield_host(c);
    NEXT(c, u);
}

HANDLER(op_fence)
{
    (void)c;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

static bool emit_mov_segment(struct emit *e, const struct operand *d, const struct operand *s)
{
    struct uop *u = e->uop;

    if (d->kind == OPERAND_REG && d->file == FILE_SEGMENT) {
        if (d->number == SEG_CS || d->number > SEG_GS)
            return false;
        emit_rm(e, s, 2);
        u->d = d->number;
        u->fn = op_mov_sreg;
        e->ends = true;
        return true;
    }
    if (s->number > SEG_GS)
        return false;
    u->s = s->number;
    if (d->kind == OPERAND_MEM) {
        emit_memory(e, d);
        u->fn = op_mov_n_sreg;
    } else {
        u->d = emit_gpr(d);
        u->osize = d->bytes;
        u->fn = op_mov_r_sreg;
    }
    return true;
}

/* A0-A3 in 64-bit code, where the offset is too wide for a uop's displacement. */
static bool emit_mov_offset(struct emit *e, const struct operand *memory, bool to_memory)
{
    struct uop *u = e->uop;

    u->seg = memory->seg;
    u->imm = (uint64_t)memory->disp & size_mask(e->insn->asize);
    u->osize = e->insn->op[0].bytes;
    u->fn = to_memory ? op_mov_store_offset : op_mov_load_offset;
    return true;
}

static bool is_wide_offset(const struct emit *e, const struct operand *o)
{
    return o->kind == OPERAND_MEM && o->base == REG_ZERO && o->index == REG_ZERO &&
           e->insn->asize == 8 && o->disp != (int32_t)o->disp;
}

static bool emit_mov_any(struct emit *e)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    struct uop *u = e->uop;
    uint32_t form;

    if ((d->kind == OPERAND_REG && d->file == FILE_SEGMENT) ||
        (s->kind == OPERAND_REG && s->file == FILE_SEGMENT))
        return emit_mov_segment(e, d, s);
    if ((d->kind == OPERAND_REG && d->file != FILE_GPR) ||
        (s->kind == OPERAND_REG && s->file != FILE_GPR))
        return false;
    if (is_wide_offset(e, d) || is_wide_offset(e, s))
        return emit_mov_offset(e, d->kind == OPERAND_MEM ? d : s, d->kind == OPERAND_MEM);
    if (d->kind == OPERAND_MEM) {
        bool fast = emit_memory(e, d);
        if (s->kind == OPERAND_IMM) {
            u->imm32 = (int32_t)(uint32_t)s->imm;
            form = fast ? FORM_MI : FORM_NI;
        } else {
            u->s = emit_gpr(s);
            form = fast ? FORM_MR : FORM_NR;
        }
    } else {
        u->d = emit_gpr(d);
        if (s->kind == OPERAND_MEM) {
            form = emit_memory(e, s) ? FORM_RM : FORM_RN;
        } else if (s->kind == OPERAND_IMM) {
            u->imm = s->imm;
            form = FORM_RI;
        } else {
            u->s = emit_gpr(s);
            form = FORM_RR;
        }
    }
    u->fn = table_mov[size_log(d->bytes)][form];
    return true;
}

static bool emit_extend(struct emit *e, op_fn *const *const table[4][4])
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    op_fn *const *forms = table[size_log(d->bytes)][size_log(s->bytes)];

    if (!forms)
        return false;
    e->uop->d = emit_gpr(d);
    if (s->kind == OPERAND_MEM) {
        e->uop->fn = forms[emit_memory(e, s) ? 1 : 2];
    } else {
        e->uop->s = emit_gpr(s);
        e->uop->fn = forms[0];
    }
    return true;
}

static bool emit_movzx(struct emit *e)
{
    return emit_extend(e, table_movzx);
}

static bool emit_movsx(struct emit *e)
{
    return emit_extend(e, table_movsx);
}

static bool emit_lea(struct emit *e)
{
    uint32_t bytes = e->insn->op[0].bytes, asize = e->insn->asize;
    const struct operand *o = &e->insn->op[1];
    struct uop *u = e->uop;

    if (o->kind != OPERAND_MEM)
        return false;
    emit_memory(e, o);
    u->d = emit_gpr(&e->insn->op[0]);
    if (bytes == 2)
        u->fn = op_lea_16;
    else if (asize == 2)
        u->fn = op_lea_narrow;
    else if (bytes == 4 || asize == 4)
        u->fn = op_lea_32;
    else
        u->fn = u->index == REG_ZERO ? op_lea_base : op_lea_64;
    return true;
}

static bool emit_cmov(struct emit *e)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    uint8_t code = e->insn->opcode & 15;
    struct uop *u = e->uop;

    u->d = emit_gpr(d);
    if (s->kind == OPERAND_REG && d->bytes >= 4) {
        u->s = emit_gpr(s);
        u->fn = (d->bytes == 8 ? table_cmov64 : table_cmov32)[code];
        return true;
    }
    emit_rm(e, s, d->bytes);
    u->extra[1] = code;
    u->fn = op_cmov_any;
    return true;
}

static bool emit_set(struct emit *e)
{
    const struct operand *d = &e->insn->op[0];
    uint8_t code = e->insn->opcode & 15;

    if (d->kind == OPERAND_MEM) {
        emit_memory(e, d);
        e->uop->imm8 = code;
        e->uop->fn = op_set_m;
    } else {
        e->uop->d = emit_gpr(d);
        e->uop->fn = table_set[code];
    }
    return true;
}

static bool emit_bswap(struct emit *e)
{
    const struct operand *d = &e->insn->op[0];

    e->uop->d = emit_gpr(d);
    e->uop->fn = d->bytes == 8 ? op_bswap64 : d->bytes == 4 ? op_bswap32 : op_bswap16;
    return true;
}

static bool emit_movbe(struct emit *e)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];

    if (d->kind == OPERAND_MEM) {
        emit_memory(e, d);
        e->uop->s = emit_gpr(s);
        e->uop->fn = op_movbe_store;
    } else {
        emit_memory(e, s);
        e->uop->d = emit_gpr(d);
        e->uop->fn = op_movbe_load;
    }
    e->uop->osize = d->bytes;
    return true;
}

static bool emit_xlat(struct emit *e)
{
    e->uop->seg = e->insn->seg;
    e->uop->asize = e->insn->asize;
    e->uop->fn = op_xlat;
    return true;
}

#define DEFINE_PLAIN(name, handler)                                                                \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        e->uop->fn = handler;                                                                      \
        return true;                                                                               \
    }
DEFINE_PLAIN(lahf, op_lahf)
DEFINE_PLAIN(sahf, op_sahf)
DEFINE_PLAIN(clc, op_clc)
DEFINE_PLAIN(stc, op_stc)
DEFINE_PLAIN(cmc, op_cmc)
DEFINE_PLAIN(cld, op_cld)
DEFINE_PLAIN(std, op_std)
DEFINE_PLAIN(nop, op_nop)
DEFINE_PLAIN(pause, op_pause)
DEFINE_PLAIN(fence, op_fence)

const struct emit_entry emit_mov[] = {
    {ZYDIS_MNEMONIC_MOV, emit_mov_any},
    {ZYDIS_MNEMONIC_MOVNTI, emit_mov_any},
    {ZYDIS_MNEMONIC_MOVZX, emit_movzx},
    {ZYDIS_MNEMONIC_MOVSX, emit_movsx},
    {ZYDIS_MNEMONIC_MOVSXD, emit_movsx},
    {ZYDIS_MNEMONIC_LEA, emit_lea},
    {ZYDIS_MNEMONIC_CMOVO, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNO, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVB, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNB, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVZ, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNZ, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVBE, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNBE, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVS, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNS, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVP, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNP, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVL, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNL, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVLE, emit_cmov},
    {ZYDIS_MNEMONIC_CMOVNLE, emit_cmov},
    {ZYDIS_MNEMONIC_SETO, emit_set},
    {ZYDIS_MNEMONIC_SETNO, emit_set},
    {ZYDIS_MNEMONIC_SETB, emit_set},
    {ZYDIS_MNEMONIC_SETNB, emit_set},
    {ZYDIS_MNEMONIC_SETZ, emit_set},
    {ZYDIS_MNEMONIC_SETNZ, emit_set},
    {ZYDIS_MNEMONIC_SETBE, emit_set},
    {ZYDIS_MNEMONIC_SETNBE, emit_set},
    {ZYDIS_MNEMONIC_SETS, emit_set},
    {ZYDIS_MNEMONIC_SETNS, emit_set},
    {ZYDIS_MNEMONIC_SETP, emit_set},
    {ZYDIS_MNEMONIC_SETNP, emit_set},
    {ZYDIS_MNEMONIC_SETL, emit_set},
    {ZYDIS_MNEMONIC_SETNL, emit_set},
    {ZYDIS_MNEMONIC_SETLE, emit_set},
    {ZYDIS_MNEMONIC_SETNLE, emit_set},
    {ZYDIS_MNEMONIC_BSWAP, emit_bswap},
    {ZYDIS_MNEMONIC_MOVBE, emit_movbe},
    {ZYDIS_MNEMONIC_XLAT, emit_xlat},
    {ZYDIS_MNEMONIC_LAHF, emit_lahf},
    {ZYDIS_MNEMONIC_SAHF, emit_sahf},
    {ZYDIS_MNEMONIC_CLC, emit_clc},
    {ZYDIS_MNEMONIC_STC, emit_stc},
    {ZYDIS_MNEMONIC_CMC, emit_cmc},
    {ZYDIS_MNEMONIC_CLD, emit_cld},
    {ZYDIS_MNEMONIC_STD, emit_std},
    {ZYDIS_MNEMONIC_NOP, emit_nop},
    {ZYDIS_MNEMONIC_PAUSE, emit_pause},
    {ZYDIS_MNEMONIC_ENDBR32, emit_nop},
    {ZYDIS_MNEMONIC_ENDBR64, emit_nop},
    {ZYDIS_MNEMONIC_PREFETCH, emit_nop},
    {ZYDIS_MNEMONIC_PREFETCHW, emit_nop},
    {ZYDIS_MNEMONIC_PREFETCHWT1, emit_nop},
    {ZYDIS_MNEMONIC_PREFETCHNTA, emit_nop},
    {ZYDIS_MNEMONIC_PREFETCHT0, emit_nop},
    {ZYDIS_MNEMONIC_PREFETCHT1, emit_nop},
    {ZYDIS_MNEMONIC_PREFETCHT2, emit_nop},
    {ZYDIS_MNEMONIC_LFENCE, emit_fence},
    {ZYDIS_MNEMONIC_SFENCE, emit_fence},
    {ZYDIS_MNEMONIC_MFENCE, emit_fence},
    {0, NULL},
};
