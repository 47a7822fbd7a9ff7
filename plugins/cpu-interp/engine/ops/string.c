/* SPDX-License-Identifier: MIT
 *
 * ops/string.c - MOVS, STOS, LODS, SCAS, CMPS and their repetition.
 *
 * Intel SDM 2, each instruction's page and REP; SDM 1, 7.3.9. Registers are brought forward after
 * each element or run of elements, so a fault shows the iteration that it belongs to, with the
 * flags of before the instruction. What is pending ends a repetition between elements: RIP is still
 * at the instruction then. INS and OUTS are in io.c.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)
#define NOINLINE static __attribute__((noinline))

/* How a repetition ends, in `d`. */
enum { REPEAT_ONCE, REPEAT_ALL, REPEAT_EQUAL, REPEAT_NOT_EQUAL };

/* ---- registers ------------------------------------------------------------------------------ */

INLINE uint64_t count_left(const struct cpu *c, const struct uop *u)
{
    return c->reg[RCX] & size_mask(u->asize);
}

/* RSI or RDI goes on by `n` elements. */
INLINE void advance(struct cpu *c, const struct uop *u, uint32_t reg, uint64_t n)
{
    uint64_t bytes = n * u->osize;

    set_reg(c, reg, u->asize, c->rflags & FLAG_DF ? c->reg[reg] - bytes : c->reg[reg] + bytes);
}

INLINE void count_down(struct cpu *c, const struct uop *u, uint64_t n)
{
    set_reg(c, RCX, u->asize, c->reg[RCX] - n);
}

/* A repetition with 32-bit addresses in 64-bit code clears the upper half of RCX before all else:
 * also if the count is 0, or its first element faults. MOVS and STOS clear those of RSI and RDI. So
 * AMD's processors. */
INLINE void begin(struct cpu *c, const struct uop *u, bool from, bool to)
{
    if (likely(u->asize != 4))
        return;
    c->reg[RCX] = (uint32_t)c->reg[RCX];
    if (from)
        c->reg[RSI] = (uint32_t)c->reg[RSI];
    if (to)
        c->reg[RDI] = (uint32_t)c->reg[RDI];
}

/* True: the repetition has to be left now, though it is not done. */
INLINE bool interrupted(const struct cpu *c)
{
    return unlikely(__atomic_load_n(&c->pend, __ATOMIC_RELAXED)) || (c->rflags & FLAG_TF) ||
           unlikely(c->debug.on);
}

/* ---- addresses ------------------------------------------------------------------------------ */

INLINE uint64_t source(struct cpu *c, const struct uop *u)
{
    return ea_segment(c, u, u->seg, c->reg[RSI] & size_mask(u->asize), u->osize, ACCESS_READ);
}

INLINE uint64_t destination(struct cpu *c, const struct uop *u, uint32_t access)
{
    return ea_segment(c, u, SEG_ES, c->reg[RDI] & size_mask(u->asize), u->osize, access);
}

/* Of `bytes` bytes upwards from offset reg, how many the segment's limit and the address size
 * allow; ea_segment() has allowed the first element. */
static uint64_t room(const struct cpu *c, const struct uop *u, uint8_t seg, uint32_t reg,
                     uint64_t bytes)
{
    uint64_t mask = size_mask(u->asize), offset = c->reg[reg] & mask, left = mask - offset;

    if (!(c->mode & MODE_64)) {
        const struct segment *s = &c->seg[seg];
        if ((s->attributes & (SEG_CODE | SEG_DOWN)) == SEG_DOWN || offset > s->limit)
            return 0;
        if (s->limit - offset < left)
            left = s->limit - offset;
    }
    return left < bytes ? left + 1 : bytes;
}

/* A host pointer to `la` and how much of its page follows, or NULL: one by one then. */
INLINE uint8_t *run(struct cpu *c, const struct uop *u, uint64_t la, uint32_t access,
                    uint32_t *bytes)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);

    if (likely(tlb_hit(access == ACCESS_WRITE ? e->wtag : e->rtag, la, 1))) {
        *bytes = PAGE_SIZE - (uint32_t)(la & ~PAGE_MASK);
        return tlb_host(e, la);
    }
    return mem_run(c, u, la, access, bytes);
}

INLINE uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- MOVS ----------------------------------------------------------------------------------- */

/* As elements of `size` bytes, upwards: where the destination begins inside the source, what was
 * written is read again. */
static void copy_up(uint8_t *to, const uint8_t *from, uint64_t bytes, uint32_t size)
{
    uintptr_t distance = (uintptr_t)to - (uintptr_t)from;

    if (distance >= bytes) { /* also below the source, where it has wrapped */
        memmove(to, from, bytes);
        return;
    }
    /* Pieces that do not reach what they write; shorter than an element: by a copy of it. */
    uint64_t piece = distance < size ? size : distance - distance % size;
    for (uint64_t k = 0; k < bytes; k += piece)
        memmove(to + k, from + k, least(piece, bytes - k));
}

static void movs_one(struct cpu *c, const struct uop *u)
{
    uint64_t value = load(c, u, source(c, u), u->osize);

    store(c, u, destination(c, u, ACCESS_WRITE), value, u->osize);
    advance(c, u, RSI, 1);
    advance(c, u, RDI, 1);
}

/* A run of elements in RAM, inside a page at either side. 0: not possible. */
static uint64_t movs_run(struct cpu *c, const struct uop *u, uint64_t count)
{
    uint32_t from_bytes, to_bytes;
    uint8_t *from, *to;
    uint64_t n;

    if (c->rflags & (FLAG_DF | FLAG_TF) || c->debug.on)
        return 0;
    from = run(c, u, source(c, u), ACCESS_READ, &from_bytes);
    if (!from || from_bytes < u->osize) /* the source's faults come first */
        return 0;
    to = run(c, u, destination(c, u, ACCESS_WRITE), ACCESS_WRITE, &to_bytes);
    if (!to)
        return 0;
    n = room(c, u, u->seg, RSI, least(from_bytes, to_bytes));
    n = least(room(c, u, SEG_ES, RDI, n) / u->osize, count);
    copy_up(to, from, n * u->osize, u->osize);
    advance(c, u, RSI, n);
    advance(c, u, RDI, n);
    return n;
}

/* These return false if something is pending before the end. */
NOINLINE bool movs(struct cpu *c, const struct uop *u)
{
    uint64_t count;

    begin(c, u, true, true);
    while ((count = count_left(c, u)) != 0) {
        uint64_t n = movs_run(c, u, count);
        if (!n) {
            movs_one(c, u);
            n = 1;
        }
        count_down(c, u, n);
        if (n < count && interrupted(c))
            return false;
    }
    return true;
}

/* ---- STOS ----------------------------------------------------------------------------------- */

static void stos_one(struct cpu *c, const struct uop *u)
{
    store(c, u, destination(c, u, ACCESS_WRITE), c->reg[RAX], u->osize);
    advance(c, u, RDI, 1);
}

static void fill(uint8_t *to, uint64_t value, uint64_t n, uint32_t size)
{
    uint64_t mask = size_mask(size);

    if (size == 1 || (value & mask) == ((value & 0xff) * 0x0101010101010101u & mask)) {
        memset(to, (int)(value & 0xff), n * size);
        return;
    }
    switch (size) {
    case 2: {
        uint16_t v = (uint16_t)value;
        for (uint64_t k = 0; k < n; k++)
            memcpy(to + 2 * k, &v, sizeof(v));
        break;
    }
    case 4: {
        uint32_t v = (uint32_t)value;
        for (uint64_t k = 0; k < n; k++)
            memcpy(to + 4 * k, &v, sizeof(v));
        break;
    }
    default:
        for (uint64_t k = 0; k < n; k++)
            memcpy(to + 8 * k, &value, sizeof(value));
        break;
    }
}

static uint64_t stos_run(struct cpu *c, const struct uop *u, uint64_t count)
{
    uint32_t bytes;
    uint8_t *to;
    uint64_t n;

    if (c->rflags & (FLAG_DF | FLAG_TF) || c->debug.on)
        return 0;
    to = run(c, u, destination(c, u, ACCESS_WRITE), ACCESS_WRITE, &bytes);
    if (!to)
        return 0;
    n = least(room(c, u, SEG_ES, RDI, bytes) / u->osize, count);
    fill(to, c->reg[RAX], n, u->osize);
    advance(c, u, RDI, n);
    return n;
}

NOINLINE bool stos(struct cpu *c, const struct uop *u)
{
    uint64_t count;

    begin(c, u, false, true);
    while ((count = count_left(c, u)) != 0) {
        uint64_t n = stos_run(c, u, count);
        if (!n) {
            stos_one(c, u);
            n = 1;
        }
        count_down(c, u, n);
        if (n < count && interrupted(c))
            return false;
    }
    return true;
}

/* ---- LODS, SCAS, CMPS ----------------------------------------------------------------------- */

static void lods_one(struct cpu *c, const struct uop *u)
{
    set_reg(c, RAX, u->osize, load(c, u, source(c, u), u->osize));
    advance(c, u, RSI, 1);
}

NOINLINE bool lods(struct cpu *c, const struct uop *u)
{
    begin(c, u, false, false);
    while (count_left(c, u)) {
        lods_one(c, u);
        count_down(c, u, 1);
        if (count_left(c, u) && interrupted(c))
            return false;
    }
    return true;
}

struct pair {
    uint64_t left, right;
};

static struct pair scas_one(struct cpu *c, const struct uop *u)
{
    struct pair p = {get_reg(c, RAX, u->osize),
                     load(c, u, destination(c, u, ACCESS_READ), u->osize)};

    advance(c, u, RDI, 1);
    return p;
}

static struct pair cmps_one(struct cpu *c, const struct uop *u)
{
    struct pair p;

    p.left = load(c, u, source(c, u), u->osize);
    p.right = load(c, u, destination(c, u, ACCESS_READ), u->osize);
    advance(c, u, RSI, 1);
    advance(c, u, RDI, 1);
    return p;
}

static void compared(struct cpu *c, const struct uop *u, struct pair p)
{
    flags_lazy(c, CC_SUB + size_log(u->osize), (p.left - p.right) & size_mask(u->osize), p.right);
}

/* extra[1]: CMPS. */
NOINLINE bool compare(struct cpu *c, const struct uop *u)
{
    bool until = u->d == REPEAT_NOT_EQUAL, any = false, done = true;
    struct pair p = {0, 0};

    begin(c, u, false, false);
    while (count_left(c, u)) {
        p = u->extra[1] ? cmps_one(c, u) : scas_one(c, u);
        any = true;
        count_down(c, u, 1);
        if ((p.left == p.right) == until)
            break;
        if (count_left(c, u) && interrupted(c)) {
            done = false;
            break;
        }
    }
    if (any)
        compared(c, u, p);
    return done;
}

/* ---- handlers ------------------------------------------------------------------------------- */

#define DEFINE_GENERAL(name)                                                                       \
    HANDLER(op_##name##_one)                                                                       \
    {                                                                                              \
        name##_one(c, u);                                                                          \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_##name##_rep)                                                                       \
    {                                                                                              \
        if (!name(c, u))                                                                           \
            LEAVE(c, uop_rip(c, u));                                                               \
        NEXT(c, u);                                                                                \
    }
DEFINE_GENERAL(movs)
DEFINE_GENERAL(stos)
DEFINE_GENERAL(lods)

HANDLER(op_scas_one)
{
    compared(c, u, scas_one(c, u));
    NEXT(c, u);
}

HANDLER(op_cmps_one)
{
    compared(c, u, cmps_one(c, u));
    NEXT(c, u);
}

HANDLER(op_compare_rep)
{
    if (!compare(c, u))
        LEAVE(c, uop_rip(c, u));
    NEXT(c, u);
}

/* 64-bit code and addresses, no FS or GS: once. */
#define DEFINE_FLAT(bits)                                                                          \
    HANDLER(op_movs_flat##bits)                                                                    \
    {                                                                                              \
        uint64_t step = c->rflags & FLAG_DF ? -(uint64_t)(bits / 8) : bits / 8;                    \
                                                                                                   \
        st##bits(c, u, c->reg[RDI], ld##bits(c, u, c->reg[RSI]));                                  \
        c->reg[RSI] += step;                                                                       \
        c->reg[RDI] += step;                                                                       \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_stos_flat##bits)                                                                    \
    {                                                                                              \
        st##bits(c, u, c->reg[RDI], get##bits(c, RAX));                                            \
        c->reg[RDI] += c->rflags & FLAG_DF ? -(uint64_t)(bits / 8) : bits / 8;                     \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_lods_flat##bits)                                                                    \
    {                                                                                              \
        set##bits(c, RAX, ld##bits(c, u, c->reg[RSI]));                                            \
        c->reg[RSI] += c->rflags & FLAG_DF ? -(uint64_t)(bits / 8) : bits / 8;                     \
        NEXT(c, u);                                                                                \
    }
DEFINE_FLAT(8)
DEFINE_FLAT(16)
DEFINE_FLAT(32)
DEFINE_FLAT(64)

static op_fn *const flat_movs[4] = {op_movs_flat8, op_movs_flat16, op_movs_flat32, op_movs_flat64};
static op_fn *const flat_stos[4] = {op_stos_flat8, op_stos_flat16, op_stos_flat32, op_stos_flat64};
static op_fn *const flat_lods[4] = {op_lods_flat8, op_lods_flat16, op_lods_flat32, op_lods_flat64};

/* ---- emitters ------------------------------------------------------------------------------- */

/* A5 is MOVSD, A7 CMPSD: the names of SSE instructions as well. */
static bool is_string(const struct emit *e)
{
    return e->insn->opcode_map == 0 && !e->insn->vex;
}

static void emit_members(struct emit *e, uint8_t bytes)
{
    struct uop *u = e->uop;

    u->osize = bytes;
    u->asize = e->insn->asize;
    u->seg = e->insn->seg;
}

static bool emit_plain(struct emit *e, uint8_t bytes, op_fn *rep, op_fn *one, op_fn *const flat[4])
{
    bool is_flat = e->mode & MODE_64 && e->insn->asize == 8 && e->insn->seg < SEG_FS;

    if (!is_string(e))
        return false;
    emit_members(e, bytes);
    e->uop->fn = e->insn->rep || e->insn->repne ? rep : is_flat ? flat[size_log(bytes)] : one;
    return true;
}

static bool emit_comparing(struct emit *e, uint8_t bytes, op_fn *one, bool cmps)
{
    if (!is_string(e))
        return false;
    emit_members(e, bytes);
    e->uop->d = e->insn->repne ? REPEAT_NOT_EQUAL : e->insn->rep ? REPEAT_EQUAL : REPEAT_ONCE;
    e->uop->extra[1] = cmps;
    e->uop->fn = e->uop->d == REPEAT_ONCE ? one : op_compare_rep;
    return true;
}

#define DEFINE_EMITTERS(letter, bytes)                                                             \
    static bool emit_movs##letter(struct emit *e)                                                  \
    {                                                                                              \
        return emit_plain(e, bytes, op_movs_rep, op_movs_one, flat_movs);                          \
    }                                                                                              \
    static bool emit_stos##letter(struct emit *e)                                                  \
    {                                                                                              \
        return emit_plain(e, bytes, op_stos_rep, op_stos_one, flat_stos);                          \
    }                                                                                              \
    static bool emit_lods##letter(struct emit *e)                                                  \
    {                                                                                              \
        return emit_plain(e, bytes, op_lods_rep, op_lods_one, flat_lods);                          \
    }                                                                                              \
    static bool emit_scas##letter(struct emit *e)                                                  \
    {                                                                                              \
        return emit_comparing(e, bytes, op_scas_one, false);                                       \
    }                                                                                              \
    static bool emit_cmps##letter(struct emit *e)                                                  \
    {                                                                                              \
        return emit_comparing(e, bytes, op_cmps_one, true);                                        \
    }
DEFINE_EMITTERS(b, 1)
DEFINE_EMITTERS(w, 2)
DEFINE_EMITTERS(d, 4)
DEFINE_EMITTERS(q, 8)

const struct emit_entry emit_string[] = {
    {ZYDIS_MNEMONIC_MOVSB, emit_movsb},
    {ZYDIS_MNEMONIC_MOVSW, emit_movsw},
    {ZYDIS_MNEMONIC_MOVSD, emit_movsd},
    {ZYDIS_MNEMONIC_MOVSQ, emit_movsq},
    {ZYDIS_MNEMONIC_STOSB, emit_stosb},
    {ZYDIS_MNEMONIC_STOSW, emit_stosw},
    {ZYDIS_MNEMONIC_STOSD, emit_stosd},
    {ZYDIS_MNEMONIC_STOSQ, emit_stosq},
    {ZYDIS_MNEMONIC_LODSB, emit_lodsb},
    {ZYDIS_MNEMONIC_LODSW, emit_lodsw},
    {ZYDIS_MNEMONIC_LODSD, emit_lodsd},
    {ZYDIS_MNEMONIC_LODSQ, emit_lodsq},
    {ZYDIS_MNEMONIC_SCASB, emit_scasb},
    {ZYDIS_MNEMONIC_SCASW, emit_scasw},
    {ZYDIS_MNEMONIC_SCASD, emit_scasd},
    {ZYDIS_MNEMONIC_SCASQ, emit_scasq},
    {ZYDIS_MNEMONIC_CMPSB, emit_cmpsb},
    {ZYDIS_MNEMONIC_CMPSW, emit_cmpsw},
    {ZYDIS_MNEMONIC_CMPSD, emit_cmpsd},
    {ZYDIS_MNEMONIC_CMPSQ, emit_cmpsq},
    {0, NULL},
};
