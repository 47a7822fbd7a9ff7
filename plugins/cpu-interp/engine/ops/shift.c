/* SPDX-License-Identifier: MIT
 *
 * ops/shift.c - SHL SHR SAR ROL ROR RCL RCR SHLD SHRD, RORX SARX SHLX SHRX.
 *
 * Intel SDM 2, each instruction's page. A count of 0 after masking changes no flag. OF for counts
 * above 1, which the manual leaves undefined, follows the formula for 1; AF of shifts is 0.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)

/* As ModRM.reg has them; 6 is SHL again. */
enum { ROL, ROR, RCL, RCR, SHL, SHR, SAL, SAR };

struct shifted {
    uint64_t value;
    uint32_t flags; /* CF and OF */
};

INLINE struct shifted with_flags(uint64_t r, uint64_t carry, uint64_t overflow)
{
    return (struct shifted){r, (uint32_t)(carry & 1) | (uint32_t)(overflow & 1) << 11};
}

/* `n` is masked, and not 0; `a` zero-extended. */
INLINE struct shifted shift_left(uint64_t a, uint32_t n, uint32_t bits)
{
    uint64_t r = a << n & size_mask(bits / 8);
    uint64_t carry = n <= bits ? a >> (bits - n) : 0;

    return with_flags(r, carry, carry ^ r >> (bits - 1));
}

INLINE struct shifted shift_right(uint64_t a, uint32_t n, uint32_t bits)
{
    uint64_t r = a >> n;

    return with_flags(r, a >> (n - 1), (r ^ r << 1) >> (bits - 1));
}

INLINE struct shifted shift_arithmetic(uint64_t a, uint32_t n, uint32_t bits)
{
    int64_t wide = (int64_t)sign_extend(a, bits / 8);

    return with_flags((uint64_t)(wide >> n) & size_mask(bits / 8), (uint64_t)(wide >> (n - 1)), 0);
}

static struct shifted rotate_left(uint64_t a, uint32_t n, uint32_t bits)
{
    uint64_t r = a;

    n &= bits - 1;
    if (n)
        r = (a << n | a >> (bits - n)) & size_mask(bits / 8);
    return with_flags(r, r, r ^ r >> (bits - 1));
}

static struct shifted rotate_right(uint64_t a, uint32_t n, uint32_t bits)
{
    uint64_t r = a;

    n &= bits - 1;
    if (n)
        r = (a >> n | a << (bits - n)) & size_mask(bits / 8);
    return with_flags(r, r >> (bits - 1), r >> (bits - 1) ^ r >> (bits - 2));
}

static struct shifted rotate_carry(uint64_t a, uint32_t n, uint32_t bits, bool left, uint32_t flags)
{
    uint64_t carry = flags & FLAG_CF, out;

    if (bits < 32)
        n %= bits + 1;
    if (!n)
        return (struct shifted){a, flags & (FLAG_CF | FLAG_OF)};
    while (n--) {
        if (left) {
            out = a >> (bits - 1);
            a = (a << 1 | carry) & size_mask(bits / 8);
        } else {
            out = a & 1;
            a = a >> 1 | carry << (bits - 1);
        }
        carry = out;
    }
    return with_flags(a, carry, left ? carry ^ a >> (bits - 1) : a >> (bits - 1) ^ a >> (bits - 2));
}

static struct shifted shift_by(uint32_t op, uint64_t a, uint32_t n, uint32_t bits, uint32_t flags)
{
    switch (op) {
    case ROL:
        return rotate_left(a, n, bits);
    case ROR:
        return rotate_right(a, n, bits);
    case RCL:
    case RCR:
        return rotate_carry(a, n, bits, op == RCL, flags);
    case SHR:
        return shift_right(a, n, bits);
    case SAR:
        return shift_arithmetic(a, n, bits);
    default:
        return shift_left(a, n, bits);
    }
}

/* ---- handlers ------------------------------------------------------------------------------- */

/* Shifts of a register by a constant other than 0; q: nobody reads the flags. */
#define DEFINE_SHIFT(name, compute, bits, log)                                                     \
    HANDLER(op_##name##_ri##bits)                                                                  \
    {                                                                                              \
        struct shifted r = compute(get##bits(c, u->d), u->imm8, bits);                             \
                                                                                                   \
        set##bits(c, u->d, (uint##bits##_t)r.value);                                               \
        flags_set(c, r.flags | flags_szp(r.value, log));                                           \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_##name##q_ri##bits)                                                                 \
    {                                                                                              \
        set##bits(c, u->d, (uint##bits##_t)compute(get##bits(c, u->d), u->imm8, bits).value);      \
        NEXT(c, u);                                                                                \
    }
DEFINE_SHIFT(shl, shift_left, 32, 2)
DEFINE_SHIFT(shl, shift_left, 64, 3)
DEFINE_SHIFT(shr, shift_right, 32, 2)
DEFINE_SHIFT(shr, shift_right, 64, 3)
DEFINE_SHIFT(sar, shift_arithmetic, 32, 2)
DEFINE_SHIFT(sar, shift_arithmetic, 64, 3)

/* By operation, flags, and size. */
static op_fn *const table_shift[8][2][2] = {
    [SHL] = {{op_shlq_ri32, op_shlq_ri64}, {op_shl_ri32, op_shl_ri64}},
    [SAL] = {{op_shlq_ri32, op_shlq_ri64}, {op_shl_ri32, op_shl_ri64}},
    [SHR] = {{op_shrq_ri32, op_shrq_ri64}, {op_shr_ri32, op_shr_ri64}},
    [SAR] = {{op_sarq_ri32, op_sarq_ri64}, {op_sar_ri32, op_sar_ri64}},
};

/* The general one. extra[0]: memory; extra[1]: operation; extra[2]: by CL instead of imm8. */
static uint32_t count_of(const struct cpu *c, const struct uop *u)
{
    return (u->extra[2] ? get8(c, RCX * 8) : u->imm8) & (u->osize == 8 ? 63 : 31);
}

static __attribute__((noinline)) void set_flags(struct cpu *c, const struct uop *u, uint64_t value,
                                                uint32_t carry_overflow, uint32_t old)
{
    if (u->extra[1] >= SHL)
        flags_set(c, carry_overflow | flags_szp(value, size_log(u->osize)));
    else
        flags_set(c, (old & ~(FLAG_CF | FLAG_OF)) | carry_overflow);
}

HANDLER(op_shift_r)
{
    uint32_t n = count_of(c, u), bytes = u->osize, flags;
    uint64_t a = get_reg(c, u->d, bytes);

    if (n) {
        flags = u->extra[1] < SHL ? flags_get(c) : 0;
        struct shifted r = shift_by(u->extra[1], a, n, bytes * 8, flags);
        set_reg(c, u->d, bytes, r.value);
        set_flags(c, u, r.value, r.flags, flags);
    } else {
        set_reg(c, u->d, bytes, a); /* 32 bits: the upper half becomes 0 all the same */
    }
    NEXT(c, u);
}

static __attribute__((noinline)) void shift_memory(struct cpu *c, const struct uop *u, uint64_t la)
{
    uint32_t n = count_of(c, u), bytes = u->osize, flags = flags_get(c);
    uint64_t a;

    probe_write(c, u, la, bytes);
    a = load(c, u, la, bytes);
    if (!n)
        return;
    struct shifted r = shift_by(u->extra[1], a, n, bytes * 8, flags);
    store(c, u, la, r.value, bytes);
    set_flags(c, u, r.value, r.flags, flags);
}

HANDLER(op_shift_m)
{
    shift_memory(c, u, ea_any(c, u, u->osize, ACCESS_WRITE));
    NEXT(c, u);
}

/* ---- SHLD, SHRD ----------------------------------------------------------------------------- */

/* extra[1]: right. The register is `s`. Counts above 16 bits give what the three words destination,
 * source, destination in a row give. */
static struct shifted shift_double(const struct uop *u, uint64_t a, uint64_t b, uint32_t n)
{
    uint32_t bits = u->osize * 8u;
    uint64_t r, carry, mask = size_mask(u->osize);

    if (u->extra[1]) {
        r = bits == 16 ? (a << 32 | b << 16 | a) >> n : a >> n | b << (bits - n);
        carry = bits == 16 ? (a << 32 | b << 16 | a) >> (n - 1) : a >> (n - 1);
    } else {
        r = bits == 16 ? (a << 32 | b << 16 | a) << n >> 32 : a << n | b >> (bits - n);
        carry = bits == 16 ? (a << 32 | b << 16 | a) >> (48 - n) : a >> (bits - n);
    }
    r &= mask;
    return with_flags(r, carry, (r ^ a) >> (bits - 1));
}

HANDLER(op_shift_double_r)
{
    uint32_t n = count_of(c, u), bytes = u->osize;
    uint64_t a = get_reg(c, u->d, bytes);

    if (n) {
        struct shifted r = shift_double(u, a, get_reg(c, u->s, bytes), n);
        set_reg(c, u->d, bytes, r.value);
        flags_set(c, r.flags | flags_szp(r.value, size_log(bytes)));
    } else {
        set_reg(c, u->d, bytes, a);
    }
    NEXT(c, u);
}

HANDLER(op_shift_double_m)
{
    uint32_t n = count_of(c, u), bytes = u->osize;
    uint64_t la = ea_any(c, u, bytes, ACCESS_WRITE), a;

    probe_write(c, u, la, bytes);
    a = load(c, u, la, bytes);
    if (n) {
        struct shifted r = shift_double(u, a, get_reg(c, u->s, bytes), n);
        store(c, u, la, r.value, bytes);
        flags_set(c, r.flags | flags_szp(r.value, size_log(bytes)));
    }
    NEXT(c, u);
}

/* ---- BMI2 ----------------------------------------------------------------------------------- */

/* extra[1]: operation; extra[2]: register with the count. */
HANDLER(op_shiftx)
{
    uint32_t bytes = u->osize;
    uint64_t a = get_rm(c, u, bytes), n = c->reg[u->extra[2]] & (bytes * 8 - 1);

    if (u->extra[1] == SHL)
        a <<= n;
    else if (u->extra[1] == SHR)
        a >>= n;
    else
        a = (uint64_t)((int64_t)sign_extend(a, bytes) >> n);
    set_reg(c, u->d, bytes, a);
    NEXT(c, u);
}

HANDLER(op_rorx)
{
    uint32_t bytes = u->osize;

    set_reg(c, u->d, bytes, rotate_right(get_rm(c, u, bytes), u->imm8, bytes * 8).value);
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

/* The count, which is operand `k`. */
static void emit_count(struct emit *e, uint32_t k)
{
    const struct operand *o = &e->insn->op[k];

    if (e->insn->count > k && o->kind == OPERAND_REG)
        e->uop->extra[2] = 1;
    else
        e->uop->imm8 = e->insn->count > k ? (uint8_t)o->imm : 1;
}

static bool emit_shift_any(struct emit *e)
{
    const struct operand *d = &e->insn->op[0];
    uint8_t op = e->insn->modrm >> 3 & 7;
    struct uop *u = e->uop;
    uint32_t n;

    if (d->kind == OPERAND_MEM) {
        emit_memory(e, d);
        u->fn = op_shift_m;
    } else {
        u->d = emit_gpr(d);
        u->fn = op_shift_r;
    }
    u->osize = d->bytes;
    u->extra[1] = op;
    emit_count(e, 1);
    n = u->imm8 & (d->bytes == 8 ? 63 : 31);
    if (d->kind == OPERAND_REG && d->bytes >= 4 && !u->extra[2] && n && op >= SHL) {
        u->imm8 = (uint8_t)n;
        u->fn = table_shift[op][e->live != 0][d->bytes == 8];
    }
    return true;
}

static bool emit_double(struct emit *e, bool right)
{
    const struct operand *d = &e->insn->op[0];
    struct uop *u = e->uop;

    if (d->kind == OPERAND_MEM) {
        emit_memory(e, d);
        u->fn = op_shift_double_m;
    } else {
        u->d = emit_gpr(d);
        u->fn = op_shift_double_r;
    }
    u->s = emit_gpr(&e->insn->op[1]);
    u->osize = d->bytes;
    u->extra[1] = right;
    emit_count(e, 2);
    return true;
}

static bool emit_shld(struct emit *e)
{
    return emit_double(e, false);
}

static bool emit_shrd(struct emit *e)
{
    return emit_double(e, true);
}

static bool emit_shiftx(struct emit *e, uint8_t op)
{
    emit_rm(e, &e->insn->op[1], e->insn->op[0].bytes);
    e->uop->d = emit_gpr(&e->insn->op[0]);
    e->uop->extra[1] = op;
    e->uop->extra[2] = e->insn->op[2].number;
    e->uop->fn = op_shiftx;
    return true;
}

static bool emit_shlx(struct emit *e)
{
    return emit_shiftx(e, SHL);
}

static bool emit_shrx(struct emit *e)
{
    return emit_shiftx(e, SHR);
}

static bool emit_sarx(struct emit *e)
{
    return emit_shiftx(e, SAR);
}

static bool emit_rorx(struct emit *e)
{
    emit_rm(e, &e->insn->op[1], e->insn->op[0].bytes);
    e->uop->d = emit_gpr(&e->insn->op[0]);
    e->uop->imm8 = (uint8_t)e->insn->op[2].imm;
    e->uop->fn = op_rorx;
    return true;
}

const struct emit_entry emit_shift[] = {
    {ZYDIS_MNEMONIC_SHL, emit_shift_any}, {ZYDIS_MNEMONIC_SHR, emit_shift_any},
    {ZYDIS_MNEMONIC_SAR, emit_shift_any}, {ZYDIS_MNEMONIC_ROL, emit_shift_any},
    {ZYDIS_MNEMONIC_ROR, emit_shift_any}, {ZYDIS_MNEMONIC_RCL, emit_shift_any},
    {ZYDIS_MNEMONIC_RCR, emit_shift_any}, {ZYDIS_MNEMONIC_SHLD, emit_shld},
    {ZYDIS_MNEMONIC_SHRD, emit_shrd},     {ZYDIS_MNEMONIC_SHLX, emit_shlx},
    {ZYDIS_MNEMONIC_SHRX, emit_shrx},     {ZYDIS_MNEMONIC_SARX, emit_sarx},
    {ZYDIS_MNEMONIC_RORX, emit_rorx},     {0, NULL},
};
