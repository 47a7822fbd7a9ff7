/* SPDX-License-Identifier: MIT
 *
 * ops/branch.c - near branches: JMP, CALL, RET, Jcc, JCXZ, LOOP, and a compare or arithmetic
 * instruction together with the Jcc after it.
 *
 * Intel SDM 2, each instruction's page; SDM 1, 6.4. Far ones are in far.c. In 64-bit code an
 * operand-size prefix means nothing to them, as on Intel's processors.
 *
 * Direct branches of flat code leave limits and canonical addresses to the fetch at the target;
 * segmented code, and everything with 16-bit operands in it, goes by the general handlers.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)

/* What decides in op_branch_any: a condition code, or one of these. */
enum { BRANCH_ALWAYS = 16, BRANCH_CXZ, BRANCH_LOOP, BRANCH_LOOPE, BRANCH_LOOPNE };

/* ---- targets -------------------------------------------------------------------------------- */

/* #GP(0) if the next instruction cannot be there. `rip` is truncated already. */
INLINE void check_target(struct cpu *c, const struct uop *u, uint64_t rip)
{
    if (cpu_64bit(c) ? !canonical(rip) : rip > c->seg[SEG_CS].limit)
        raise_error(c, u, EXC_GP, 0);
}

/* As chain_branch(), for a displacement from the block's start that is not in imm. */
INLINE const struct uop *take(struct cpu *c, const struct uop *u, int32_t delta)
{
    uint64_t rip = (c->reg[REG_RIP] + (uint64_t)(int64_t)delta) & uop_ip_mask(c);
    struct block *b = u->link;

    if (unlikely(!b) || unlikely(__atomic_load_n(&c->pend, __ATOMIC_RELAXED)))
        return chain_link(c, u, rip);
    c->reg[REG_RIP] = rip;
    return b->uops;
}

#define TAKE(c, u, delta)                                                                          \
    do {                                                                                           \
        const struct uop *target = take((c), (u), (delta));                                        \
        if (unlikely(!target))                                                                     \
            return NULL;                                                                           \
        DISPATCH(c, target);                                                                       \
    } while (0)

/* ---- direct, flat --------------------------------------------------------------------------- */

HANDLER(op_jmp)
{
    CHAIN_BRANCH(c, u);
}

#define DEFINE_JCC(name, code)                                                                     \
    HANDLER(op_j##name)                                                                            \
    {                                                                                              \
        if (condition(c, code))                                                                    \
            CHAIN_BRANCH(c, u);                                                                    \
        NEXT(c, u);                                                                                \
    }
ALL_CONDITIONS(DEFINE_JCC)

#define JCC(name, code) [code] = op_j##name,
static op_fn *const table_jcc[16] = {ALL_CONDITIONS(JCC)};

HANDLER(op_call64)
{
    uint64_t la = c->reg[RSP] - 8;

    st64(c, u, la, uop_next_rip(c, u));
    c->reg[RSP] = la;
    CHAIN_BRANCH(c, u);
}

/* ---- direct, any ---------------------------------------------------------------------------- */

/* d: what decides; s: operand size; base: address size. */
static uint64_t target_any(const struct cpu *c, const struct uop *u)
{
    return (c->reg[REG_RIP] + u->imm) & (u->s == 2 ? UINT16_MAX : uop_ip_mask(c));
}

static bool taken_any(const struct cpu *c, const struct uop *u)
{
    uint64_t count = c->reg[RCX] & size_mask(u->base);

    switch (u->d) {
    case BRANCH_ALWAYS:
        return true;
    case BRANCH_CXZ:
        return count == 0;
    case BRANCH_LOOP:
        return count != 1;
    case BRANCH_LOOPE:
        return count != 1 && flags_zero(c);
    case BRANCH_LOOPNE:
        return count != 1 && !flags_zero(c);
    default:
        return flags_condition(c, u->d);
    }
}

HANDLER(op_branch_any)
{
    uint64_t rip = target_any(c, u);
    bool taken = taken_any(c, u);

    if (taken)
        check_target(c, u, rip);
    if (u->d >= BRANCH_LOOP)
        set_reg(c, RCX, u->base, c->reg[RCX] - 1);
    if (taken)
        CHAIN_JUMP(c, rip);
    NEXT(c, u);
}

HANDLER(op_call_any)
{
    uint64_t rip = target_any(c, u);

    check_target(c, u, rip);
    push_any(c, u, uop_next_rip(c, u), u->s);
    CHAIN_JUMP(c, rip);
}

/* The target of a call is looked at when the return address has been pushed: what is wrong with the
 * stack comes first, and the address is in memory, though RSP stays. So AMD's processors. */
static __attribute__((noinline)) void bad_call(struct cpu *c, const struct uop *u, uint64_t la)
{
    st64(c, u, la, uop_next_rip(c, u));
    raise_error(c, u, EXC_GP, 0);
}

/* ---- indirect ------------------------------------------------------------------------------- */

#define DEFINE_INDIRECT(form, target)                                                              \
    HANDLER(op_jmp64_##form)                                                                       \
    {                                                                                              \
        uint64_t rip = target;                                                                     \
                                                                                                   \
        if (unlikely(!canonical(rip)))                                                             \
            raise_error(c, u, EXC_GP, 0);                                                          \
        CHAIN_JUMP(c, rip);                                                                        \
    }                                                                                              \
    HANDLER(op_call64_##form)                                                                      \
    {                                                                                              \
        uint64_t rip = target, la = c->reg[RSP] - 8;                                               \
                                                                                                   \
        if (unlikely(!canonical(la)))                                                              \
            raise_bad_address(c, u, SEG_SS);                                                       \
        if (unlikely(!canonical(rip)))                                                             \
            bad_call(c, u, la);                                                                    \
        st64(c, u, la, uop_next_rip(c, u));                                                        \
        c->reg[RSP] = la;                                                                          \
        CHAIN_JUMP(c, rip);                                                                        \
    }
DEFINE_INDIRECT(r, c->reg[u->s])
DEFINE_INDIRECT(m, ld64(c, u, ea_fast(c, u)))

HANDLER(op_jmp_any)
{
    uint64_t rip = get_rm(c, u, u->osize);

    check_target(c, u, rip);
    CHAIN_JUMP(c, rip);
}

HANDLER(op_indirect_call_any)
{
    uint32_t bytes = u->osize;
    uint64_t rip = get_rm(c, u, bytes);

    store(c, u, stack_at(c, u, -(int64_t)bytes, bytes, ACCESS_WRITE), uop_next_rip(c, u), bytes);
    check_target(c, u, rip);
    stack_set(c, c->reg[RSP] - bytes);
    CHAIN_JUMP(c, rip);
}

HANDLER(op_ret64)
{
    uint64_t rip = ld64(c, u, c->reg[RSP]);

    if (unlikely(!canonical(rip)))
        raise_error(c, u, EXC_GP, 0);
    c->reg[RSP] += 8 + u->imm;
    CHAIN_JUMP(c, rip);
}

HANDLER(op_ret_any)
{
    uint32_t bytes = u->osize;
    uint64_t rip = load(c, u, stack_at(c, u, 0, bytes, ACCESS_READ), bytes);

    check_target(c, u, rip);
    stack_set(c, c->reg[RSP] + bytes + u->imm);
    CHAIN_JUMP(c, rip);
}

/* ---- compare and branch --------------------------------------------------------------------- */

/* One uop: the first instruction's flags are left as well, as they may be read on either way. The
 * branch's displacement is in disp, an immediate in imm32; with a memory operand in imm32, an
 * immediate in d and s. */
#define IMM16(u) ((int16_t)((u)->d | (u)->s << 8))

#define FUSED_rr(bits) get##bits(c, u->d), b = get##bits(c, u->s)
#define FUSED_ri(bits) get##bits(c, u->d), b = (uint##bits##_t)(int64_t)u->imm32
#define FUSED_rm(bits) get##bits(c, u->d), b = ld##bits(c, u, ea_fast(c, u))
#define FUSED_mr(bits) ld##bits(c, u, ea_fast(c, u)), b = get##bits(c, u->s)
#define FUSED_mi(bits) ld##bits(c, u, ea_fast(c, u)), b = (uint##bits##_t)(int64_t)IMM16(u)
#define DELTA_rr u->disp
#define DELTA_ri u->disp
#define DELTA_rm u->imm32
#define DELTA_mr u->imm32
#define DELTA_mi u->imm32

/* How r comes from a and b, which flags it leaves, and whether it goes to a register. */
#define FUSED_cmp(bits, log)                                                                       \
    r = (uint##bits##_t)(a - b);                                                                   \
    flags_lazy(c, CC_SUB + log, r, b)
#define FUSED_test(bits, log)                                                                      \
    r = (uint##bits##_t)(a & b);                                                                   \
    flags_lazy(c, CC_LOGIC + log, r, 0)
#define FUSED_sub(bits, log)                                                                       \
    FUSED_cmp(bits, log);                                                                          \
    set##bits(c, u->d, r)
#define FUSED_and(bits, log)                                                                       \
    FUSED_test(bits, log);                                                                         \
    set##bits(c, u->d, r)
#define FUSED_add(bits, log)                                                                       \
    r = (uint##bits##_t)(a + b);                                                                   \
    flags_lazy(c, CC_ADD + log, r, b);                                                             \
    set##bits(c, u->d, r)
/* INC and DEC come as an addition of 1 or -1. */
#define FUSED_inc(bits, log)                                                                       \
    r = (uint##bits##_t)(a + b);                                                                   \
    flags_lazy(c, CC_INC + log, r, flags_carry(c));                                                \
    set##bits(c, u->d, r)
#define FUSED_dec(bits, log)                                                                       \
    r = (uint##bits##_t)(a + b);                                                                   \
    flags_lazy(c, CC_DEC + log, r, flags_carry(c));                                                \
    set##bits(c, u->d, r)

#define DEFINE_FUSED(op, form, bits, log, name, test)                                              \
    HANDLER(op_##op##_##form##bits##_j##name)                                                      \
    {                                                                                              \
        uint##bits##_t a = FUSED_##form(bits), r;                                                  \
                                                                                                   \
        FUSED_##op(bits, log);                                                                     \
        if (test)                                                                                  \
            TAKE(c, u, DELTA_##form);                                                              \
        NEXT(c, u);                                                                                \
    }

/* Conditions by the result, and by the operands of a subtraction. */
#define ON_RESULT(what, op, form, bits, log)                                                       \
    what(op, form, bits, log, z, r == 0) what(op, form, bits, log, nz, r != 0)                     \
        what(op, form, bits, log, s, (int##bits##_t)r < 0)                                         \
            what(op, form, bits, log, ns, (int##bits##_t)r >= 0)
#define ON_LOGIC(what, op, form, bits, log)                                                        \
    ON_RESULT(what, op, form, bits, log)                                                           \
    what(op, form, bits, log, le, (int##bits##_t)r <= 0)                                           \
        what(op, form, bits, log, nle, (int##bits##_t)r > 0)
#define ON_COMPARE(what, op, form, bits, log)                                                      \
    ON_RESULT(what, op, form, bits, log)                                                           \
    what(op, form, bits, log, b, a < b) what(op, form, bits, log, nb, a >= b)                      \
        what(op, form, bits, log, be, a <= b) what(op, form, bits, log, nbe, a > b)                \
            what(op, form, bits, log, l, (int##bits##_t)a < (int##bits##_t)b)                      \
                what(op, form, bits, log, nl, (int##bits##_t)a >= (int##bits##_t)b)                \
                    what(op, form, bits, log, le, (int##bits##_t)a <= (int##bits##_t)b)            \
                        what(op, form, bits, log, nle, (int##bits##_t)a > (int##bits##_t)b)

#define EACH_SIZE(conditions, what, op, form)                                                      \
    conditions(what, op, form, 8, 0) conditions(what, op, form, 32, 2)                             \
        conditions(what, op, form, 64, 3)
#define EACH_FUSED(what)                                                                           \
    EACH_SIZE(ON_COMPARE, what, cmp, rr)                                                           \
    EACH_SIZE(ON_COMPARE, what, cmp, ri)                                                           \
    EACH_SIZE(ON_COMPARE, what, cmp, rm)                                                           \
    EACH_SIZE(ON_COMPARE, what, cmp, mr)                                                           \
    EACH_SIZE(ON_COMPARE, what, cmp, mi)                                                           \
    EACH_SIZE(ON_LOGIC, what, test, rr)                                                            \
    EACH_SIZE(ON_LOGIC, what, test, ri)                                                            \
    EACH_SIZE(ON_LOGIC, what, test, mi)                                                            \
    EACH_SIZE(ON_RESULT, what, and, rr)                                                            \
    EACH_SIZE(ON_RESULT, what, and, ri)                                                            \
    EACH_SIZE(ON_COMPARE, what, sub, rr)                                                           \
    EACH_SIZE(ON_COMPARE, what, sub, ri)                                                           \
    EACH_SIZE(ON_RESULT, what, add, rr)                                                            \
    EACH_SIZE(ON_RESULT, what, add, ri)                                                            \
    EACH_SIZE(ON_RESULT, what, inc, ri)                                                            \
    EACH_SIZE(ON_RESULT, what, dec, ri)
EACH_FUSED(DEFINE_FUSED)

enum { OP_cmp, OP_test, OP_and, OP_sub, OP_add, OP_inc, OP_dec, OPS };
enum { FORM_rr, FORM_ri, FORM_rm, FORM_mr, FORM_mi, FORMS };
enum {
    CODE_b = 2,
    CODE_nb,
    CODE_z,
    CODE_nz,
    CODE_be,
    CODE_nbe,
    CODE_s,
    CODE_ns,
    CODE_l = 12,
    CODE_nl,
    CODE_le,
    CODE_nle
};
#define FUSED_ENTRY(op, form, bits, log, name, test)                                               \
    [OP_##op][FORM_##form][log][CODE_##name] = op_##op##_##form##bits##_j##name,
static op_fn *const table_fused[OPS][FORMS][4][16] = {EACH_FUSED(FUSED_ENTRY)};

/* ---- emitters: fused ------------------------------------------------------------------------ */

/* The condition code of a Jcc, or -1. */
static int condition_of(const struct insn *i)
{
    if ((i->opcode_map == 0 && (i->opcode & 0xf0) == 0x70) ||
        (i->opcode_map == 1 && (i->opcode & 0xf0) == 0x80))
        return i->vex ? -1 : i->opcode & 15;
    return -1;
}

static int fusible_operation(const struct insn *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_CMP:
        return OP_cmp;
    case ZYDIS_MNEMONIC_TEST:
        return OP_test;
    case ZYDIS_MNEMONIC_AND:
        return OP_and;
    case ZYDIS_MNEMONIC_SUB:
        return OP_sub;
    case ZYDIS_MNEMONIC_ADD:
        return OP_add;
    case ZYDIS_MNEMONIC_INC:
        return OP_inc;
    case ZYDIS_MNEMONIC_DEC:
        return OP_dec;
    default:
        return -1;
    }
}

/* The form, with registers, address and immediate put in the uop, or -1; *wide: the displacement
 * goes to imm32. */
static int emit_fused_operands(struct emit *e, int op, bool *wide)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    bool one = op == OP_inc || op == OP_dec;
    int64_t imm = op == OP_inc ? 1 : op == OP_dec ? -1 : (int64_t)s->imm;
    struct uop *u = e->uop;

    *wide = true;
    if (d->kind == OPERAND_MEM) {
        if ((op != OP_cmp && op != OP_test) || !emit_memory(e, d))
            return -1;
        if (s->kind == OPERAND_IMM) {
            if (d->bytes == 1)
                imm = (int8_t)imm;
            if (imm != (int16_t)imm)
                return -1;
            u->d = (uint8_t)imm;
            u->s = (uint8_t)(imm >> 8);
            return FORM_mi;
        }
        u->s = emit_gpr(s);
        return FORM_mr;
    }
    u->d = emit_gpr(d);
    if (!one && s->kind == OPERAND_MEM)
        return emit_memory(e, s) ? FORM_rm : -1;
    *wide = false;
    if (one || s->kind == OPERAND_IMM) {
        u->imm32 = (int32_t)imm;
        return FORM_ri;
    }
    u->s = emit_gpr(s);
    return FORM_rr;
}

bool emit_fused(struct emit *e)
{
    int code = condition_of(e->next), op = fusible_operation(e->insn), form;
    uint32_t bytes = e->insn->op[0].bytes;
    struct uop saved = *e->uop, *u = e->uop;
    int64_t delta = u->at + e->insn->length + e->next->length + (int64_t)e->next->op[0].imm;
    op_fn *fn = NULL;
    bool wide;

    if (code < 0 || op < 0 || delta != (int32_t)delta)
        return false;
    if (!(e->mode & MODE_64) &&
        ((e->mode & (MODE_32 | MODE_FLAT)) != (MODE_32 | MODE_FLAT) || e->next->osize != 4))
        return false;
    /* After a logic instruction OF is 0: L is S, GE is NS. */
    if (op == OP_test && (code | 1) == CODE_nl)
        code = CODE_s | (code & 1);
    form = emit_fused_operands(e, op, &wide);
    if (form >= 0)
        fn = table_fused[op][form][size_log(bytes)][code];
    if (!fn) {
        *u = saved;
        return false;
    }
    if (wide)
        u->imm32 = (int32_t)delta;
    else
        u->disp = (int32_t)delta;
    u->link = NULL;
    u->fn = fn;
    e->fused = true;
    return true;
}

/* ---- emitters ------------------------------------------------------------------------------- */

static void emit_relative(struct emit *e, uint8_t decides)
{
    struct uop *u = e->uop;

    u->imm = u->at + e->insn->length + e->insn->op[0].imm;
    u->d = decides;
    u->s = e->mode & MODE_64 ? 8 : e->insn->osize;
    u->base = e->insn->asize;
    u->seg = SEG_SS;
}

/* Direct branches need no check here. */
static bool is_flat(const struct emit *e)
{
    return e->mode & MODE_64 ||
           ((e->mode & (MODE_32 | MODE_FLAT)) == (MODE_32 | MODE_FLAT) && e->insn->osize == 4);
}

static void emit_indirect(struct emit *e)
{
    e->uop->seg = SEG_SS;
    emit_rm(e, &e->insn->op[0], e->mode & MODE_64 ? 8 : e->insn->op[0].bytes);
}

static bool is_far(const struct emit *e)
{
    const struct insn *i = e->insn;

    return i->op[0].kind == OPERAND_FAR || (i->opcode == 0xff && (i->modrm >> 3 & 1));
}

/* A near jump or call: to where the instruction says, or to where an operand does; `r` and `m` are
 * for 64-bit mode, where the operand is a register or simple enough memory. */
static bool emit_near(struct emit *e, op_fn *direct, op_fn *indirect, op_fn *r, op_fn *m)
{
    const struct operand *o = &e->insn->op[0];

    if (is_far(e))
        return false;
    e->ends = true;
    if (o->kind == OPERAND_IMM) {
        emit_relative(e, BRANCH_ALWAYS);
        e->uop->fn = direct;
        return true;
    }
    emit_indirect(e);
    e->uop->fn = indirect;
    if (e->mode & MODE_64) {
        if (o->kind == OPERAND_REG)
            e->uop->fn = r;
        else if (emit_memory(e, o))
            e->uop->fn = m;
    }
    return true;
}

static bool emit_jmp(struct emit *e)
{
    return emit_near(e, is_flat(e) ? op_jmp : op_branch_any, op_jmp_any, op_jmp64_r, op_jmp64_m);
}

static bool emit_call(struct emit *e)
{
    return emit_near(e, e->mode & MODE_64 ? op_call64 : op_call_any, op_indirect_call_any,
                     op_call64_r, op_call64_m);
}

static bool emit_ret(struct emit *e)
{
    const struct insn *i = e->insn;
    struct uop *u = e->uop;

    if ((i->opcode & 0xfe) != 0xc2)
        return false;
    u->imm = i->opcode == 0xc2 ? i->op[0].imm & UINT16_MAX : 0;
    u->seg = SEG_SS;
    u->osize = e->mode & MODE_64 ? 8 : i->osize;
    u->fn = e->mode & MODE_64 ? op_ret64 : op_ret_any;
    e->ends = true;
    return true;
}

static bool emit_jcc(struct emit *e)
{
    int code = condition_of(e->insn);

    if (code < 0)
        return false;
    emit_relative(e, (uint8_t)code);
    e->uop->fn = is_flat(e) ? table_jcc[code] : op_branch_any;
    return true;
}

#define DEFINE_COUNTED(name, decides)                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        emit_relative(e, decides);                                                                 \
        e->uop->fn = op_branch_any;                                                                \
        return true;                                                                               \
    }
DEFINE_COUNTED(jcxz, BRANCH_CXZ)
DEFINE_COUNTED(loop, BRANCH_LOOP)
DEFINE_COUNTED(loope, BRANCH_LOOPE)
DEFINE_COUNTED(loopne, BRANCH_LOOPNE)

const struct emit_entry emit_branch[] = {
    {ZYDIS_MNEMONIC_JMP, emit_jmp},       {ZYDIS_MNEMONIC_CALL, emit_call},
    {ZYDIS_MNEMONIC_RET, emit_ret},       {ZYDIS_MNEMONIC_JO, emit_jcc},
    {ZYDIS_MNEMONIC_JNO, emit_jcc},       {ZYDIS_MNEMONIC_JB, emit_jcc},
    {ZYDIS_MNEMONIC_JNB, emit_jcc},       {ZYDIS_MNEMONIC_JZ, emit_jcc},
    {ZYDIS_MNEMONIC_JNZ, emit_jcc},       {ZYDIS_MNEMONIC_JBE, emit_jcc},
    {ZYDIS_MNEMONIC_JNBE, emit_jcc},      {ZYDIS_MNEMONIC_JS, emit_jcc},
    {ZYDIS_MNEMONIC_JNS, emit_jcc},       {ZYDIS_MNEMONIC_JP, emit_jcc},
    {ZYDIS_MNEMONIC_JNP, emit_jcc},       {ZYDIS_MNEMONIC_JL, emit_jcc},
    {ZYDIS_MNEMONIC_JNL, emit_jcc},       {ZYDIS_MNEMONIC_JLE, emit_jcc},
    {ZYDIS_MNEMONIC_JNLE, emit_jcc},      {ZYDIS_MNEMONIC_JCXZ, emit_jcxz},
    {ZYDIS_MNEMONIC_JECXZ, emit_jcxz},    {ZYDIS_MNEMONIC_JRCXZ, emit_jcxz},
    {ZYDIS_MNEMONIC_LOOP, emit_loop},     {ZYDIS_MNEMONIC_LOOPE, emit_loope},
    {ZYDIS_MNEMONIC_LOOPNE, emit_loopne}, {0, NULL},
};
