/* SPDX-License-Identifier: MIT
 *
 * ops/atomic.c - read-modify-writes with LOCK, and XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B
 * without it.
 *
 * Intel SDM 2, each instruction's page; SDM 3, 8.1. One access is a compare-and-swap of the host on
 * guest memory; an unaligned one is that of the aligned eight bytes around it. Where the host has
 * none (across eight bytes, devices) the engine's split lock is held around a load and a store:
 * such accesses are atomic among themselves, but not against a plain store of another processor to
 * the same bytes. The same goes for CMPXCHG16B on hosts other than x86-64.
 */
#include "operands.h"

#include "../engine.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)
#define NOINLINE static __attribute__((noinline))

/* In extra[1]. */
enum { ADD, OR, ADC, SBB, AND, SUB, XOR, NEG, NOT, INC, DEC, BTS, BTR, BTC, EXCHANGE, XADD };

/* ---- one step of memory ---------------------------------------------------------------------- */

/* Compares and swaps at an aligned host address; *old is what was there. */
static bool host_swap(void *p, uint64_t *old, uint64_t new, uint32_t bytes)
{
#define SWAP(type)                                                                                 \
    do {                                                                                           \
        type expected = (type)*old;                                                                \
        bool done = __atomic_compare_exchange_n((type *)p, &expected, (type) new, false,           \
                                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);               \
        *old = expected;                                                                           \
        return done;                                                                               \
    } while (0)
    switch (bytes) {
    case 1:
        SWAP(uint8_t);
    case 2:
        SWAP(uint16_t);
    case 4:
        SWAP(uint32_t);
    default:
        SWAP(uint64_t);
    }
#undef SWAP
}

static uint64_t host_load(const void *p, uint32_t bytes)
{
    switch (bytes) {
    case 1:
        return __atomic_load_n((const uint8_t *)p, __ATOMIC_RELAXED);
    case 2:
        return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
    case 4:
        return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
    default:
        return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

/* Where host_swap() can do it: `word` of `bytes` bytes, in which the operand begins at bit `shift`.
 * `gpa`: of the operand, if it is in a page that may have code; otherwise NO_CODE. */
struct target {
    void *word;
    uint64_t gpa;
    uint32_t bytes, shift;
};

#define NO_CODE UINT64_MAX

/* False after all faults have been raised: the host cannot. */
static inline bool find_target(struct cpu *c, const struct uop *u, uint64_t la, uint32_t bytes,
                               struct target *t)
{
    uint32_t inside;
    void *p;

    *t = (struct target){.gpa = NO_CODE, .bytes = bytes};
    p = mem_rw(c, u, la, bytes);
    if (unlikely(!p))
        p = mem_locked(c, u, la, bytes, &t->gpa);
    if (unlikely(!p))
        return false;
    t->word = p;
    if (likely(((uintptr_t)p & (bytes - 1)) == 0))
        return true;
    inside = (uint32_t)((uintptr_t)p & 7);
    if (inside + bytes > 8) {
        probe_write(c, u, la, bytes);
        return false;
    }
    t->word = (uint8_t *)p - inside;
    t->bytes = 8;
    t->shift = inside * 8;
    return true;
}

/* Tells of the write, and gives what was in the operand's place in the word. */
static inline uint64_t target_done(struct cpu *c, const struct target *t, uint64_t word,
                                   uint32_t bytes)
{
    if (unlikely(t->gpa != NO_CODE))
        smc_stored(c, t->gpa, bytes);
    return (word >> t->shift) & size_mask(bytes);
}

/* The word with `value` in the operand's place. */
static inline uint64_t target_with(const struct target *t, uint64_t word, uint64_t value,
                                   uint32_t bytes)
{
    return (word & ~(size_mask(bytes) << t->shift)) | (value & size_mask(bytes)) << t->shift;
}

static uint64_t compute(uint32_t op, uint64_t a, uint64_t b, uint32_t carry)
{
    switch (op) {
    case ADD:
    case XADD:
        return a + b;
    case ADC:
        return a + b + carry;
    case OR:
    case BTS:
        return a | b;
    case SBB:
        return a - b - carry;
    case AND:
        return a & b;
    case SUB:
        return a - b;
    case XOR:
    case BTC:
        return a ^ b;
    case NEG:
        return 0 - a;
    case NOT:
        return ~a;
    case INC:
        return a + 1;
    case DEC:
        return a - 1;
    case BTR:
        return a & ~b;
    default:
        return b;
    }
}

/* Does it; returns what was there. */
static uint64_t modify(struct cpu *c, const struct uop *u, uint64_t la, uint64_t b)
{
    uint32_t op = u->extra[1], bytes = u->osize, carry = flags_carry(c);
    struct target t;
    uint64_t old;

    if (likely(find_target(c, u, la, bytes, &t))) {
        uint64_t word = host_load(t.word, t.bytes), next;
        do {
            old = (word >> t.shift) & size_mask(bytes);
            next = target_with(&t, word, compute(op, old, b, carry), bytes);
        } while (!host_swap(t.word, &word, next, t.bytes));
        return target_done(c, &t, word, bytes);
    }
    split_enter(c);
    old = load(c, u, la, bytes);
    store(c, u, la, compute(op, old, b, carry) & size_mask(bytes), bytes);
    split_leave(c);
    return old;
}

/* Stores `new` if `expected` is there; returns what was there. */
static uint64_t exchange_if(struct cpu *c, const struct uop *u, uint64_t la, uint64_t expected,
                            uint64_t new, uint32_t bytes)
{
    struct target t;
    uint64_t old;

    if (likely(find_target(c, u, la, bytes, &t))) {
        uint64_t word = host_load(t.word, t.bytes);
        /* Bytes around the operand may change meanwhile. */
        do {
            old = (word >> t.shift) & size_mask(bytes);
        } while (old == expected &&
                 !host_swap(t.word, &word, target_with(&t, word, new, bytes), t.bytes));
        return target_done(c, &t, word, bytes);
    }
    split_enter(c);
    old = load(c, u, la, bytes);
    /* The store is done in any case, as on the bus. */
    store(c, u, la, old == expected ? new : old, bytes);
    split_leave(c);
    return old;
}

/* ---- flags ---------------------------------------------------------------------------------- */

static void modify_flags(struct cpu *c, uint32_t op, uint64_t a, uint64_t b, uint32_t bytes)
{
    uint32_t log = size_log(bytes), carry = flags_carry(c), top = bytes * 8 - 1;
    uint64_t r = compute(op, a, b, carry) & size_mask(bytes);

    switch (op) {
    case ADD:
    case XADD:
        flags_lazy(c, CC_ADD + log, r, b);
        break;
    case SUB:
        flags_lazy(c, CC_SUB + log, r, b);
        break;
    case NEG:
        flags_lazy(c, CC_SUB + log, r, a);
        break;
    case OR:
    case AND:
    case XOR:
        flags_lazy(c, CC_LOGIC + log, r, 0);
        break;
    case INC:
        flags_lazy(c, CC_INC + log, r, carry);
        break;
    case DEC:
        flags_lazy(c, CC_DEC + log, r, carry);
        break;
    case ADC:
        flags_set(c, flags_szp(r, log) | ((uint32_t)(a ^ b ^ r) & FLAG_AF) |
                         (uint32_t)(((a & b) | ((a | b) & ~r)) >> top & 1) |
                         (uint32_t)(((a ^ r) & (b ^ r)) >> top & 1) << 11);
        break;
    case SBB:
        flags_set(c, flags_szp(r, log) | ((uint32_t)(a ^ b ^ r) & FLAG_AF) |
                         (uint32_t)(((~a & b) | (~(a ^ b) & r)) >> top & 1) |
                         (uint32_t)(((a ^ b) & (a ^ r)) >> top & 1) << 11);
        break;
    case BTS:
    case BTR:
    case BTC:
        flags_set(c, (a & b ? FLAG_CF : 0) | (flags_zero(c) ? FLAG_ZF : 0));
        break;
    default:
        break;
    }
}

/* ---- memory --------------------------------------------------------------------------------- */

/* extra[2]: the second operand is the immediate. */
static uint64_t second(const struct cpu *c, const struct uop *u)
{
    return (u->extra[2] ? (uint64_t)(int64_t)u->imm32 : get_reg(c, u->s, u->osize)) &
           size_mask(u->osize);
}

NOINLINE void modify_memory(struct cpu *c, const struct uop *u)
{
    uint64_t b = second(c, u), la = ea_any(c, u, u->osize, ACCESS_WRITE);

    modify_flags(c, u->extra[1], modify(c, u, la, b), b, u->osize);
}

HANDLER(op_lock)
{
    modify_memory(c, u);
    NEXT(c, u);
}

NOINLINE void modify_bit(struct cpu *c, const struct uop *u)
{
    uint32_t bytes = u->osize;
    int64_t number = u->extra[2] ? u->imm8 & (int64_t)(bytes * 8 - 1)
                                 : (int64_t)sign_extend(get_reg(c, u->s, bytes), bytes);
    uint64_t words = (uint64_t)(number >> (3 + size_log(bytes)));
    uint64_t bit = (uint64_t)1 << (number & (int64_t)(bytes * 8 - 1));
    uint64_t la = ea_segment(c, u, u->seg, (ea_offset(c, u) + words * bytes) & size_mask(u->asize),
                             bytes, ACCESS_WRITE);

    modify_flags(c, u->extra[1], modify(c, u, la, bit), bit, bytes);
}

HANDLER(op_lock_bit)
{
    modify_bit(c, u);
    NEXT(c, u);
}

/* XCHG and XADD: the register gets what was there. */
NOINLINE void exchange(struct cpu *c, const struct uop *u)
{
    uint64_t b = get_reg(c, u->s, u->osize), la = ea_any(c, u, u->osize, ACCESS_WRITE);
    uint64_t old = modify(c, u, la, b);

    set_reg(c, u->s, u->osize, old);
    modify_flags(c, u->extra[1], old, b, u->osize);
}

HANDLER(op_exchange_m)
{
    exchange(c, u);
    NEXT(c, u);
}

/* The accumulator is written only if it was different. */
NOINLINE void compare_exchange(struct cpu *c, const struct uop *u)
{
    uint32_t bytes = u->osize;
    uint64_t la = ea_any(c, u, bytes, ACCESS_WRITE), a = get_reg(c, RAX, bytes);
    uint64_t old = exchange_if(c, u, la, a, get_reg(c, u->s, bytes), bytes);

    if (old != a)
        set_reg(c, RAX, bytes, old);
    flags_lazy(c, CC_SUB + size_log(bytes), (a - old) & size_mask(bytes), old);
}

HANDLER(op_cmpxchg_m)
{
    compare_exchange(c, u);
    NEXT(c, u);
}

static void set_zero(struct cpu *c, bool zero)
{
    flags_set(c, (flags_get(c) & ~FLAG_ZF) | (zero ? FLAG_ZF : 0));
}

NOINLINE void compare_exchange8(struct cpu *c, const struct uop *u)
{
    uint64_t la = ea_any(c, u, 8, ACCESS_WRITE);
    uint64_t expected = c->reg[RDX] << 32 | (uint32_t)c->reg[RAX];
    uint64_t old = exchange_if(c, u, la, expected, c->reg[RCX] << 32 | (uint32_t)c->reg[RBX], 8);

    if (old != expected) {
        c->reg[RAX] = (uint32_t)old;
        c->reg[RDX] = old >> 32;
    }
    set_zero(c, old == expected);
}

HANDLER(op_cmpxchg8b)
{
    compare_exchange8(c, u);
    NEXT(c, u);
}

/* RDX:RAX with 16 aligned bytes at a host address. */
static bool host_swap16(struct cpu *c, void *p, uint64_t *low, uint64_t *high)
{
    bool equal;

#if defined(__x86_64__)
    __extension__ unsigned __int128 *where = p;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(equal), "+m"(*where), "+a"(*low), "+d"(*high)
                     : "b"(c->reg[RBX]), "c"(c->reg[RCX])
                     : "memory");
#else
    uint64_t *words = p, first, next;

    split_enter(c);
    first = __atomic_load_n(&words[0], __ATOMIC_SEQ_CST);
    next = __atomic_load_n(&words[1], __ATOMIC_SEQ_CST);
    equal = first == *low && next == *high;
    if (equal) {
        __atomic_store_n(&words[0], c->reg[RBX], __ATOMIC_SEQ_CST);
        __atomic_store_n(&words[1], c->reg[RCX], __ATOMIC_SEQ_CST);
    }
    split_leave(c);
    *low = first;
    *high = next;
#endif
    return equal;
}

NOINLINE void compare_exchange16(struct cpu *c, const struct uop *u)
{
    uint64_t base = u->seg >= SEG_FS ? c->seg[u->seg].base : 0, la;
    uint64_t low = c->reg[RAX], high = c->reg[RDX];
    struct target t;
    bool equal;

    /* Before what is wrong with the address otherwise. */
    if ((ea_offset(c, u) + base) & 15)
        raise_error(c, u, EXC_GP, 0);
    la = ea_any(c, u, 16, ACCESS_WRITE);
    if (find_target(c, u, la, 16, &t)) {
        equal = host_swap16(c, t.word, &low, &high);
        if (t.gpa != NO_CODE)
            smc_stored(c, t.gpa, 16);
    } else {
        split_enter(c);
        low = load(c, u, la, 8);
        high = load(c, u, la + 8, 8);
        equal = low == c->reg[RAX] && high == c->reg[RDX];
        store(c, u, la, equal ? c->reg[RBX] : low, 8);
        store(c, u, la + 8, equal ? c->reg[RCX] : high, 8);
        split_leave(c);
    }
    if (!equal) {
        c->reg[RAX] = low;
        c->reg[RDX] = high;
    }
    set_zero(c, equal);
}

HANDLER(op_cmpxchg16b)
{
    compare_exchange16(c, u);
    NEXT(c, u);
}

/* ---- registers ------------------------------------------------------------------------------ */

HANDLER(op_xchg_r64)
{
    uint64_t a = c->reg[u->d];

    c->reg[u->d] = c->reg[u->s];
    c->reg[u->s] = a;
    NEXT(c, u);
}

HANDLER(op_xchg_r)
{
    uint64_t a = get_reg(c, u->d, u->osize), b = get_reg(c, u->s, u->osize);

    set_reg(c, u->d, u->osize, b);
    set_reg(c, u->s, u->osize, a);
    NEXT(c, u);
}

HANDLER(op_xadd_r)
{
    uint64_t a = get_reg(c, u->d, u->osize), b = get_reg(c, u->s, u->osize);

    set_reg(c, u->s, u->osize, a);
    set_reg(c, u->d, u->osize, a + b);
    modify_flags(c, XADD, a, b, u->osize);
    NEXT(c, u);
}

HANDLER(op_cmpxchg_r)
{
    uint64_t old = get_reg(c, u->d, u->osize), a = get_reg(c, RAX, u->osize);

    if (old == a)
        set_reg(c, u->d, u->osize, get_reg(c, u->s, u->osize));
    else
        set_reg(c, RAX, u->osize, old);
    flags_lazy(c, CC_SUB + size_log(u->osize), (a - old) & size_mask(u->osize), old);
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

static int operation_of(uint16_t mnemonic)
{
    static const uint16_t names[] = {
        [ADD] = ZYDIS_MNEMONIC_ADD, [OR] = ZYDIS_MNEMONIC_OR,   [ADC] = ZYDIS_MNEMONIC_ADC,
        [SBB] = ZYDIS_MNEMONIC_SBB, [AND] = ZYDIS_MNEMONIC_AND, [SUB] = ZYDIS_MNEMONIC_SUB,
        [XOR] = ZYDIS_MNEMONIC_XOR, [NEG] = ZYDIS_MNEMONIC_NEG, [NOT] = ZYDIS_MNEMONIC_NOT,
        [INC] = ZYDIS_MNEMONIC_INC, [DEC] = ZYDIS_MNEMONIC_DEC, [BTS] = ZYDIS_MNEMONIC_BTS,
        [BTR] = ZYDIS_MNEMONIC_BTR, [BTC] = ZYDIS_MNEMONIC_BTC,
    };

    for (uint32_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
        if (names[k] == mnemonic)
            return (int)k;
    return -1;
}

bool emit_locked(struct emit *e)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    int op = operation_of(e->insn->mnemonic);
    struct uop *u = e->uop;

    if (op < 0 || d->kind != OPERAND_MEM)
        return false;
    emit_memory(e, d);
    u->osize = d->bytes;
    u->extra[1] = (uint8_t)op;
    if (e->insn->count > 1 && s->kind == OPERAND_REG) {
        u->s = emit_gpr(s);
    } else {
        u->extra[2] = 1;
        u->imm32 = e->insn->count > 1 ? (int32_t)(uint32_t)s->imm : 0;
    }
    u->fn = op >= BTS ? op_lock_bit : op_lock;
    return true;
}

/* XCHG has its operands in either order. */
static bool emit_pair(struct emit *e, op_fn *memory, op_fn *registers, uint8_t op)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    struct uop *u = e->uop;

    if (s->kind == OPERAND_MEM) {
        d = s;
        s = &e->insn->op[0];
    }
    if (d->kind == OPERAND_MEM) {
        emit_memory(e, d);
        u->fn = memory;
    } else {
        u->d = emit_gpr(d);
        u->fn = registers;
    }
    u->s = emit_gpr(s);
    u->osize = s->bytes;
    u->extra[1] = op;
    return true;
}

static bool emit_xchg(struct emit *e)
{
    return emit_pair(e, op_exchange_m, e->insn->op[0].bytes == 8 ? op_xchg_r64 : op_xchg_r,
                     EXCHANGE);
}

static bool emit_xadd(struct emit *e)
{
    return emit_pair(e, op_exchange_m, op_xadd_r, XADD);
}

static bool emit_cmpxchg(struct emit *e)
{
    return emit_pair(e, op_cmpxchg_m, op_cmpxchg_r, EXCHANGE);
}

static bool emit_wide(struct emit *e, op_fn *fn)
{
    if (e->insn->op[0].kind != OPERAND_MEM)
        return false;
    emit_memory(e, &e->insn->op[0]);
    e->uop->fn = fn;
    return true;
}

static bool emit_cmpxchg8b(struct emit *e)
{
    return emit_wide(e, op_cmpxchg8b);
}

static bool emit_cmpxchg16b(struct emit *e)
{
    return emit_wide(e, op_cmpxchg16b);
}

const struct emit_entry emit_atomic[] = {
    {ZYDIS_MNEMONIC_XCHG, emit_xchg},
    {ZYDIS_MNEMONIC_XADD, emit_xadd},
    {ZYDIS_MNEMONIC_CMPXCHG, emit_cmpxchg},
    {ZYDIS_MNEMONIC_CMPXCHG8B, emit_cmpxchg8b},
    {ZYDIS_MNEMONIC_CMPXCHG16B, emit_cmpxchg16b},
    {0, NULL},
};
