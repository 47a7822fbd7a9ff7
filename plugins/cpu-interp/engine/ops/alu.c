/* SPDX-License-Identifier: MIT
 *
 * ops/alu.c - ADD OR ADC SBB AND SUB XOR CMP TEST, NEG NOT INC DEC, ADCX ADOX.
 *
 * Intel SDM 2, each instruction's page. Handlers come by operand size, kind of operands, and
 * whether anybody reads the flags. LOCK forms are in atomic.c, compare-and-branch pairs in
 * branch.c.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

/* What of the flags is to be written. */
enum { NONE, ALL, CARRY, LEVELS };

/* CF for ADC and SBB: an ADD or an ADC came before in nearly all cases. */
INLINE uint32_t carry_in(const struct cpu *c)
{
    if (likely((c->cc_op & ~3u) == CC_ADD))
        return c->cc_res < c->cc_src;
    if (c->cc_op == CC_EXPLICIT)
        return c->cc_src & FLAG_CF;
    return flags_carry(c);
}

/* Flags of a + b + carry = r, or of a - b - carry = r with `borrow`. `top`: the sign's bit. */
INLINE uint32_t carry_flags(uint64_t a, uint64_t b, uint64_t r, uint32_t log, bool borrow)
{
    uint32_t top = (8u << log) - 1;
    uint64_t out = borrow ? (~a & b) | (~(a ^ b) & r) : (a & b) | ((a | b) & ~r);
    uint64_t over = borrow ? (a ^ b) & (a ^ r) : (a ^ r) & (b ^ r);

    return flags_szp(r, log) | (uint32_t)(out >> top & 1) | ((uint32_t)(a ^ b ^ r) & FLAG_AF) |
           (uint32_t)(over >> top & 1) << 11;
}

INLINE uint32_t carry_only(uint64_t a, uint64_t b, uint64_t r, uint32_t log, bool borrow)
{
    uint64_t out = borrow ? (~a & b) | (~(a ^ b) & r) : (a & b) | ((a | b) & ~r);

    return (uint32_t)(out >> ((8u << log) - 1) & 1);
}

#define DEFINE_LAZY(name, kind, expression, source, bits, log)                                     \
    INLINE uint##bits##_t do_##name##bits(struct cpu *c, uint##bits##_t a, uint##bits##_t b,       \
                                          int level)                                               \
    {                                                                                              \
        uint##bits##_t r = (uint##bits##_t)(expression);                                           \
                                                                                                   \
        if (level)                                                                                 \
            flags_lazy(c, kind + log, r, source);                                                  \
        return r;                                                                                  \
    }

#define DEFINE_CARRY(name, sign, borrow, bits, log)                                                \
    INLINE uint##bits##_t do_##name##bits(struct cpu *c, uint##bits##_t a, uint##bits##_t b,       \
                                          int level)                                               \
    {                                                                                              \
        uint##bits##_t r = (uint##bits##_t)(a sign b sign carry_in(c));                            \
                                                                                                   \
        if (level == ALL)                                                                          \
            flags_set(c, carry_flags(a, b, r, log, borrow));                                       \
        if (level == CARRY)                                                                        \
            flags_set(c, carry_only(a, b, r, log, borrow));                                        \
        return r;                                                                                  \
    }

#define DEFINE_COMPUTE(bits, log)                                                                  \
    DEFINE_LAZY(add, CC_ADD, a + b, b, bits, log)                                                  \
    DEFINE_LAZY(sub, CC_SUB, a - b, b, bits, log)                                                  \
    DEFINE_LAZY(and, CC_LOGIC, a &b, 0, bits, log)                                                 \
    DEFINE_LAZY(or, CC_LOGIC, a | b, 0, bits, log)                                                 \
    DEFINE_LAZY(xor, CC_LOGIC, a ^ b, 0, bits, log)                                                \
    DEFINE_CARRY(adc, +, false, bits, log)                                                         \
    DEFINE_CARRY(sbb, -, true, bits, log)
DEFINE_COMPUTE(8, 0)
DEFINE_COMPUTE(16, 1)
DEFINE_COMPUTE(32, 2)
DEFINE_COMPUTE(64, 3)

/* ---- two operands --------------------------------------------------------------------------- */

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)

#define DEFINE_RM(name, form, bits, level, address)                                                \
    HANDLER(op_##name##_##form##bits##_##level)                                                    \
    {                                                                                              \
        uint##bits##_t b = ld##bits(c, u, address);                                                \
                                                                                                   \
        set##bits(c, u->d, do_##name##bits(c, get##bits(c, u->d), b, level));                      \
        NEXT(c, u);                                                                                \
    }

#define DEFINE_MX(name, form, bits, level, address, source)                                        \
    HANDLER(op_##name##_##form##bits##_##level)                                                    \
    {                                                                                              \
        uint64_t la = address;                                                                     \
        void *p = mem_rw(c, u, la, bits / 8);                                                      \
        uint##bits##_t a = rmw_load##bits(c, u, la, p);                                            \
                                                                                                   \
        rmw_store##bits(c, u, la, p, do_##name##bits(c, a, source, level));                        \
        NEXT(c, u);                                                                                \
    }

#define EA_READ(bits) ea_any(c, u, bits / 8, ACCESS_READ)
#define EA_WRITE(bits) ea_any(c, u, bits / 8, ACCESS_WRITE)
#define SOURCE_REGISTER(bits) get##bits(c, u->s)
#define SOURCE_IMM32(bits) ((uint##bits##_t)(int64_t)u->imm32)

#define DEFINE_FORMS(name, bits, level)                                                            \
    HANDLER(op_##name##_rr##bits##_##level)                                                        \
    {                                                                                              \
        set##bits(c, u->d, do_##name##bits(c, get##bits(c, u->d), get##bits(c, u->s), level));     \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_##name##_ri##bits##_##level)                                                        \
    {                                                                                              \
        set##bits(c, u->d, do_##name##bits(c, get##bits(c, u->d), (uint##bits##_t)u->imm, level)); \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    DEFINE_RM(name, rm, bits, level, ea_fast(c, u))                                                \
    DEFINE_MX(name, mr, bits, level, ea_fast(c, u), SOURCE_REGISTER(bits))                         \
    DEFINE_MX(name, mi, bits, level, ea_fast(c, u), SOURCE_IMM32(bits))

/* In other than flat 64-bit code flags are always written. */
#define DEFINE_SLOW_FORMS(name, bits)                                                              \
    DEFINE_RM(name, rn, bits, ALL, EA_READ(bits))                                                  \
    DEFINE_MX(name, nr, bits, ALL, EA_WRITE(bits), SOURCE_REGISTER(bits))                          \
    DEFINE_MX(name, ni, bits, ALL, EA_WRITE(bits), SOURCE_IMM32(bits))

#define DEFINE_SIZE(name, bits)                                                                    \
    DEFINE_FORMS(name, bits, NONE)                                                                 \
    DEFINE_FORMS(name, bits, ALL)                                                                  \
    DEFINE_SLOW_FORMS(name, bits)

#define DEFINE_TWO(name)                                                                           \
    DEFINE_SIZE(name, 8)                                                                           \
    DEFINE_SIZE(name, 16)                                                                          \
    DEFINE_SIZE(name, 32)                                                                          \
    DEFINE_SIZE(name, 64)

DEFINE_TWO(add)
DEFINE_TWO(or)
DEFINE_TWO(adc)
DEFINE_TWO(sbb)
DEFINE_TWO(and)
DEFINE_TWO(sub)
DEFINE_TWO(xor)
/* Of a long number's middle words only CF is of interest. */
DEFINE_FORMS(adc, 32, CARRY)
DEFINE_FORMS(adc, 64, CARRY)
DEFINE_FORMS(sbb, 32, CARRY)
DEFINE_FORMS(sbb, 64, CARRY)

enum { FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI, FORM_RN, FORM_NR, FORM_NI, FORMS };

#define FORM_COLUMN(name, bits, level)                                                             \
    {                                                                                              \
        op_##name##_rr##bits##_##level, op_##name##_ri##bits##_##level,                            \
            op_##name##_rm##bits##_##level, op_##name##_mr##bits##_##level,                        \
            op_##name##_mi##bits##_##level, op_##name##_rn##bits##_ALL,                            \
            op_##name##_nr##bits##_ALL, op_##name##_ni##bits##_ALL                                 \
    }
#define FORM_ROW(name, level)                                                                      \
    {                                                                                              \
        FORM_COLUMN(name, 8, level), FORM_COLUMN(name, 16, level), FORM_COLUMN(name, 32, level),   \
            FORM_COLUMN(name, 64, level)                                                           \
    }
#define FORM_TABLE(name)                                                                           \
    static op_fn *const table_##name[LEVELS][4][FORMS] = {                                         \
        FORM_ROW(name, NONE), FORM_ROW(name, ALL), FORM_ROW(name, ALL)};
#define FORM_TABLE_CARRY(name)                                                                     \
    static op_fn *const table_##name[LEVELS][4][FORMS] = {                                         \
        FORM_ROW(name, NONE),                                                                      \
        FORM_ROW(name, ALL),                                                                       \
        {FORM_COLUMN(name, 8, ALL), FORM_COLUMN(name, 16, ALL), FORM_COLUMN(name, 32, CARRY),      \
         FORM_COLUMN(name, 64, CARRY)}};
FORM_TABLE(add)
FORM_TABLE(or)
FORM_TABLE_CARRY(adc)
FORM_TABLE_CARRY(sbb)
FORM_TABLE(and)
FORM_TABLE(sub)
FORM_TABLE(xor)

/* XOR and SUB of a register with itself. */
HANDLER(op_zero)
{
    c->reg[u->d] = 0;
    NEXT(c, u);
}

HANDLER(op_zero_flags)
{
    c->reg[u->d] = 0;
    flags_lazy(c, CC_LOGIC, 0, 0);
    NEXT(c, u);
}

/* ---- CMP and TEST --------------------------------------------------------------------------- */

#define COMPARE_SUB(bits, log, a, b)                                                               \
    uint##bits##_t left = a, right = b;                                                            \
    flags_lazy(c, CC_SUB + log, (uint##bits##_t)(left - right), right);
#define COMPARE_AND(bits, log, a, b) flags_lazy(c, CC_LOGIC + log, (uint##bits##_t)(a & b), 0);

#define DEFINE_COMPARE(name, how, bits, log)                                                       \
    HANDLER(op_##name##_rr##bits)                                                                  \
    {                                                                                              \
        how(bits, log, get##bits(c, u->d), get##bits(c, u->s)) NEXT(c, u);                         \
    }                                                                                              \
    HANDLER(op_##name##_ri##bits)                                                                  \
    {                                                                                              \
        how(bits, log, get##bits(c, u->d), (uint##bits##_t)u->imm) NEXT(c, u);                     \
    }                                                                                              \
    DEFINE_COMPARE_MEMORY(name, how, bits, log, m, ea_fast(c, u))                                  \
    DEFINE_COMPARE_MEMORY(name, how, bits, log, n, EA_READ(bits))

#define DEFINE_COMPARE_MEMORY(name, how, bits, log, form, address)                                 \
    HANDLER(op_##name##_r##form##bits)                                                             \
    {                                                                                              \
        uint##bits##_t value = ld##bits(c, u, address);                                            \
        how(bits, log, get##bits(c, u->d), value) NEXT(c, u);                                      \
    }                                                                                              \
    HANDLER(op_##name##_##form##r##bits)                                                           \
    {                                                                                              \
        uint##bits##_t value = ld##bits(c, u, address);                                            \
        how(bits, log, value, get##bits(c, u->s)) NEXT(c, u);                                      \
    }                                                                                              \
    HANDLER(op_##name##_##form##i##bits)                                                           \
    {                                                                                              \
        uint##bits##_t value = ld##bits(c, u, address);                                            \
        how(bits, log, value, SOURCE_IMM32(bits)) NEXT(c, u);                                      \
    }

DEFINE_COMPARE(cmp, COMPARE_SUB, 8, 0)
DEFINE_COMPARE(cmp, COMPARE_SUB, 16, 1)
DEFINE_COMPARE(cmp, COMPARE_SUB, 32, 2)
DEFINE_COMPARE(cmp, COMPARE_SUB, 64, 3)
DEFINE_COMPARE(test, COMPARE_AND, 8, 0)
DEFINE_COMPARE(test, COMPARE_AND, 16, 1)
DEFINE_COMPARE(test, COMPARE_AND, 32, 2)
DEFINE_COMPARE(test, COMPARE_AND, 64, 3)

#define COMPARE_COLUMN(name, bits)                                                                 \
    {                                                                                              \
        op_##name##_rr##bits, op_##name##_ri##bits, op_##name##_rm##bits, op_##name##_mr##bits,    \
            op_##name##_mi##bits, op_##name##_rn##bits, op_##name##_nr##bits, op_##name##_ni##bits \
    }
#define COMPARE_TABLE(name)                                                                        \
    static op_fn *const table_##name[4][FORMS] = {                                                 \
        COMPARE_COLUMN(name, 8), COMPARE_COLUMN(name, 16), COMPARE_COLUMN(name, 32),               \
        COMPARE_COLUMN(name, 64)};
COMPARE_TABLE(cmp)
COMPARE_TABLE(test)

/* ---- one operand ---------------------------------------------------------------------------- */

#define DEFINE_ONE(name, bits, log, expression, flags)                                             \
    HANDLER(op_##name##_r##bits)                                                                   \
    {                                                                                              \
        uint##bits##_t a = get##bits(c, u->d), r = (uint##bits##_t)(expression);                   \
                                                                                                   \
        set##bits(c, u->d, r);                                                                     \
        flags;                                                                                     \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_##name##_q##bits)                                                                   \
    {                                                                                              \
        uint##bits##_t a = get##bits(c, u->d);                                                     \
                                                                                                   \
        set##bits(c, u->d, (uint##bits##_t)(expression));                                          \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    DEFINE_ONE_MEMORY(name, m, bits, expression, flags, ea_fast(c, u))                             \
    DEFINE_ONE_MEMORY(name, n, bits, expression, flags, EA_WRITE(bits))

#define DEFINE_ONE_MEMORY(name, form, bits, expression, flags, address)                            \
    HANDLER(op_##name##_##form##bits)                                                              \
    {                                                                                              \
        uint64_t la = address;                                                                     \
        void *p = mem_rw(c, u, la, bits / 8);                                                      \
        uint##bits##_t a = rmw_load##bits(c, u, la, p), r = (uint##bits##_t)(expression);          \
                                                                                                   \
        rmw_store##bits(c, u, la, p, r);                                                           \
        flags;                                                                                     \
        NEXT(c, u);                                                                                \
    }

/* q: a register, and nobody reads the flags. */
#define DEFINE_ONES(bits, log)                                                                     \
    DEFINE_ONE(inc, bits, log, a + 1, flags_lazy(c, CC_INC + log, r, flags_carry(c)))              \
    DEFINE_ONE(dec, bits, log, a - 1, flags_lazy(c, CC_DEC + log, r, flags_carry(c)))              \
    DEFINE_ONE(neg, bits, log, 0 - a, flags_lazy(c, CC_SUB + log, r, a))                           \
    DEFINE_ONE(not, bits, log, ~a, (void)0)
DEFINE_ONES(8, 0)
DEFINE_ONES(16, 1)
DEFINE_ONES(32, 2)
DEFINE_ONES(64, 3)

/* r: with flags; q: without; m, n: memory. */
enum { ONE_R, ONE_Q, ONE_M, ONE_N, ONES };

#define ONE_COLUMN(name, bits)                                                                     \
    {                                                                                              \
        op_##name##_r##bits, op_##name##_q##bits, op_##name##_m##bits, op_##name##_n##bits         \
    }
#define ONE_TABLE(name)                                                                            \
    static op_fn *const table_##name[4][ONES] = {ONE_COLUMN(name, 8), ONE_COLUMN(name, 16),        \
                                                 ONE_COLUMN(name, 32), ONE_COLUMN(name, 64)};
ONE_TABLE(inc)
ONE_TABLE(dec)
ONE_TABLE(neg)
ONE_TABLE(not )

/* ---- ADCX, ADOX ----------------------------------------------------------------------------- */

/* `v` is the flag that carries. */
HANDLER(op_adx)
{
    uint32_t bytes = u->osize, flags, flag = u->extra[1] ? FLAG_OF : FLAG_CF;
    uint64_t b = get_rm(c, u, bytes), a = get_reg(c, u->d, bytes), r;

    flags = flags_get(c);
    r = (a + b + ((flags & flag) != 0)) & size_mask(bytes);
    set_reg(c, u->d, bytes, r);
    flags_set(c, carry_only(a, b, r, size_log(bytes), false) ? flags | flag : flags & ~flag);
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

/* The operands of a two-operand instruction: its form, and the uop's members for it. */
static uint32_t emit_form(struct emit *e)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    struct uop *u = e->uop;

    if (d->kind == OPERAND_MEM) {
        bool fast = emit_memory(e, d);

        if (s->kind == OPERAND_IMM) {
            u->imm32 = (int32_t)(uint32_t)s->imm;
            return fast ? FORM_MI : FORM_NI;
        }
        u->s = emit_gpr(s);
        return fast ? FORM_MR : FORM_NR;
    }
    u->d = emit_gpr(d);
    if (s->kind == OPERAND_MEM)
        return emit_memory(e, s) ? FORM_RM : FORM_RN;
    if (s->kind == OPERAND_IMM) {
        u->imm = s->imm;
        return FORM_RI;
    }
    u->s = emit_gpr(s);
    return FORM_RR;
}

static bool emit_two(struct emit *e, op_fn *const table[LEVELS][4][FORMS])
{
    uint32_t level = !e->live ? NONE : e->live == FLAG_CF ? CARRY : ALL;
    uint32_t log = size_log(e->insn->op[0].bytes);

    if (e->insn->lock)
        return emit_locked(e);
    if (e->next && emit_fused(e))
        return true;
    e->uop->fn = table[level][log][emit_form(e)];
    return true;
}

/* Of a register of 32 or 64 bits with itself. */
static bool is_zeroing(const struct emit *e)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];

    return d->kind == OPERAND_REG && s->kind == OPERAND_REG && d->bytes >= 4 &&
           d->number == s->number;
}

static bool emit_add(struct emit *e)
{
    return emit_two(e, table_add);
}

static bool emit_or(struct emit *e)
{
    return emit_two(e, table_or);
}

static bool emit_adc(struct emit *e)
{
    return emit_two(e, table_adc);
}

static bool emit_sbb(struct emit *e)
{
    return emit_two(e, table_sbb);
}

static bool emit_and(struct emit *e)
{
    return emit_two(e, table_and);
}

static bool emit_zero(struct emit *e)
{
    e->uop->d = emit_gpr(&e->insn->op[0]);
    e->uop->fn = e->live ? op_zero_flags : op_zero;
    return true;
}

static bool emit_sub(struct emit *e)
{
    return is_zeroing(e) ? emit_zero(e) : emit_two(e, table_sub);
}

static bool emit_xor(struct emit *e)
{
    return is_zeroing(e) ? emit_zero(e) : emit_two(e, table_xor);
}

static bool emit_compare(struct emit *e, op_fn *const table[4][FORMS])
{
    if (e->next && emit_fused(e))
        return true;
    e->uop->fn = table[size_log(e->insn->op[0].bytes)][emit_form(e)];
    return true;
}

static bool emit_cmp(struct emit *e)
{
    return emit_compare(e, table_cmp);
}

static bool emit_test(struct emit *e)
{
    return emit_compare(e, table_test);
}

static bool emit_one(struct emit *e, op_fn *const table[4][ONES])
{
    const struct operand *d = &e->insn->op[0];
    uint32_t form;

    if (e->insn->lock)
        return emit_locked(e);
    if (e->next && emit_fused(e))
        return true;
    if (d->kind == OPERAND_MEM) {
        form = emit_memory(e, d) ? ONE_M : ONE_N;
    } else {
        e->uop->d = emit_gpr(d);
        form = e->live ? ONE_R : ONE_Q;
    }
    e->uop->fn = table[size_log(d->bytes)][form];
    return true;
}

static bool emit_inc(struct emit *e)
{
    return emit_one(e, table_inc);
}

static bool emit_dec(struct emit *e)
{
    return emit_one(e, table_dec);
}

static bool emit_neg(struct emit *e)
{
    return emit_one(e, table_neg);
}

static bool emit_not(struct emit *e)
{
    return emit_one(e, table_not);
}

static bool emit_adx(struct emit *e)
{
    e->uop->d = emit_gpr(&e->insn->op[0]);
    emit_rm(e, &e->insn->op[1], e->insn->op[0].bytes);
    e->uop->extra[1] = e->insn->mnemonic == ZYDIS_MNEMONIC_ADOX;
    e->uop->fn = op_adx;
    return true;
}

const struct emit_entry emit_alu[] = {
    {ZYDIS_MNEMONIC_ADD, emit_add},   {ZYDIS_MNEMONIC_OR, emit_or},
    {ZYDIS_MNEMONIC_ADC, emit_adc},   {ZYDIS_MNEMONIC_SBB, emit_sbb},
    {ZYDIS_MNEMONIC_AND, emit_and},   {ZYDIS_MNEMONIC_SUB, emit_sub},
    {ZYDIS_MNEMONIC_XOR, emit_xor},   {ZYDIS_MNEMONIC_CMP, emit_cmp},
    {ZYDIS_MNEMONIC_TEST, emit_test}, {ZYDIS_MNEMONIC_INC, emit_inc},
    {ZYDIS_MNEMONIC_DEC, emit_dec},   {ZYDIS_MNEMONIC_NEG, emit_neg},
    {ZYDIS_MNEMONIC_NOT, emit_not},   {ZYDIS_MNEMONIC_ADCX, emit_adx},
    {ZYDIS_MNEMONIC_ADOX, emit_adx},  {0, NULL},
};
