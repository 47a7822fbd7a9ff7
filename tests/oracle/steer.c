/* SPDX-License-Identifier: MIT
 *
 * steer.c - a case: instructions, and a state before them in which they have something to do.
 *
 * Addresses are steered into the data pages, mostly inside, sometimes across an edge; branches to
 * the INT3s around the code; counts of string instructions are kept small. What the host could not
 * survive, or its kernel would not pass on (TF, NT, AC, ID by POPF), is kept out.
 */
#include "oracle.h"

#include <string.h>

enum { A, C, D, B, SP, BP, SI, DI };

/* What goes on while a case is made. */
struct making {
    const struct forms *f;
    struct random *r;
    struct test *t;
    uint32_t locked;  /* registers that are steered */
    uint32_t written; /* registers that an earlier instruction writes */
    bool sequence;
};

static int gpr_of(ZydisRegister reg)
{
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

    if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64)
        return -1;
    return ZydisRegisterGetId(whole);
}

static uint64_t value_of(const struct test *t, ZydisRegister reg)
{
    int n = gpr_of(reg);
    uint32_t width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);

    if (n < 0)
        return 0;
    return width == 64 ? t->in.gpr[n] : t->in.gpr[n] & ((1ull << width) - 1);
}

/* The place in `memory` of a linear address, or NULL. */
static uint8_t *memory_at(struct test *t, uint64_t la, uint32_t bytes)
{
    if (la < DATA_AT || la > DATA_AT + DATA_BYTES - bytes)
        return NULL;
    return &t->memory[la - DATA_AT];
}

/* ---- addresses ------------------------------------------------------------------------------ */

static uint64_t choose_address(struct random *r, uint32_t bytes, bool sequence)
{
    uint32_t align = bytes ? bytes : 8;
    uint32_t kind = random_below(r, sequence ? 20 : 32);

    if (align & (align - 1))
        align = 16;
    if (kind < 18)
        return DATA_AT + random_below(r, (WRITABLE_BYTES - 0x200) / align) * align;
    if (kind < 26)
        return DATA_AT + random_below(r, WRITABLE_BYTES - 0x200);
    if (kind < 28) /* from one page into the next */
        return DATA_AT + 0x1000 - random_below(r, align + 1);
    if (kind < 30) /* into what cannot be written */
        return DATA_AT + WRITABLE_BYTES - random_below(r, 2 * align);
    if (kind == 30)
        return DATA_AT + DATA_BYTES - random_below(r, 2 * align);
    return DATA_AT - random_below(r, 2 * align);
}

static uint64_t segment_base(const ZydisDecodedOperand *o)
{
    return o->mem.segment == ZYDIS_REGISTER_GS ? GS_BASE : 0;
}

/* Writes the displacement of the instruction at `code`. */
static bool set_displacement(const struct decoded *d, uint8_t *code, int64_t value)
{
    uint32_t bytes = d->insn.raw.disp.size / 8u;

    if (bytes < 4 || (bytes == 4 && value != (int32_t)value))
        return false;
    memcpy(code + d->insn.raw.disp.offset, &value, bytes);
    return true;
}

/* True if the register may have the value that an address needs. */
static bool may_steer(const struct making *m, int n)
{
    return n >= 0 && !(m->written >> n & 1) && !(m->locked >> n & 1);
}

static void set_gpr(struct making *m, int n, uint64_t value)
{
    m->t->in.gpr[n] = value;
    m->locked |= 1u << n;
}

/* Has a memory operand reach `want`. False: it cannot be in a sequence. */
static bool steer_operand(struct making *m, struct decoded *d, const ZydisDecodedOperand *o,
                          uint8_t *code, uint64_t rip)
{
    uint64_t want = choose_address(m->r, o->size / 8u, m->sequence) - segment_base(o);
    int64_t disp = o->mem.disp.has_displacement ? o->mem.disp.value : 0;
    int base = gpr_of(o->mem.base), index = gpr_of(o->mem.index);
    uint64_t scale = o->mem.scale ? o->mem.scale : 1;

    if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
        return set_displacement(d, code, (int64_t)(want - rip - d->insn.length));
    if (base < 0 && index < 0)
        return set_displacement(d, code, (int64_t)want);
    if (m->sequence &&
        ((base >= 0 && m->written >> base & 1) || (index >= 0 && m->written >> index & 1)))
        return false;
    if (index >= 0 && index != base && may_steer(m, index) && base >= 0 && !random_once(m->r, 4)) {
        /* A small index leaves the base near the data. */
        uint64_t small = random_below(m->r, 256);
        if (random_once(m->r, 4))
            small = 0 - small;
        if (ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, o->mem.index) > 8)
            set_gpr(m, index, small);
    }
    if (base >= 0 && base != index) {
        if (may_steer(m, base))
            set_gpr(m, base, want - (uint64_t)disp - value_of(m->t, o->mem.index) * scale);
        else
            return !m->sequence || m->locked >> base & 1;
    } else if (may_steer(m, index)) {
        uint64_t times = base >= 0 ? scale + 1 : scale;
        set_gpr(m, index, (want - (uint64_t)disp) / times);
    }
    /* What is above an address size of 32 bits counts for nothing. */
    if (d->insn.address_width == 32 && base >= 0 && random_once(m->r, 4))
        m->t->in.gpr[base] |= random_next(m->r) << 32;
    return true;
}

/* ---- branches ------------------------------------------------------------------------------- */

/* Somewhere in the code pages where there is no code of this case; or elsewhere. */
static uint64_t choose_target(struct making *m)
{
    const struct test *t = m->t;

    for (uint32_t tries = 0; tries < 20; tries++) {
        uint32_t at = random_below(m->r, CODE_BYTES);
        if (at + 16 < t->at || at >= t->at + CASE_BYTES)
            return CODE_AT + at;
    }
    return CODE_AT + CODE_BYTES;
}

static bool steer_branch(struct making *m, const struct decoded *d, uint8_t *code, uint64_t rip)
{
    const ZydisDecodedOperand *o = &d->op[0];
    uint64_t next = rip + d->insn.length, target;

    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.is_relative) {
        uint32_t bytes = d->insn.raw.imm[0].size / 8u;
        int64_t distance;
        if (m->sequence && (bytes == 1 || !random_once(m->r, 8))) {
            distance = 0;
        } else if (bytes == 1) {
            /* Clear of the code on either side. */
            distance = random_once(m->r, 2) ? 30 + random_below(m->r, 97)
                                            : -100 - (int64_t)random_below(m->r, 28);
        } else {
            distance = (int64_t)(choose_target(m) - next);
            if (random_once(m->r, 8))
                distance = (int32_t)random_next(m->r);
        }
        target = next + (uint64_t)distance;
        if (distance && target + 16 > CODE_AT + m->t->at &&
            target < CODE_AT + m->t->at + m->t->bytes + 16)
            return false;
        memcpy(code + d->insn.raw.imm[0].offset, &distance, bytes);
        return true;
    }
    if (random_once(m->r, 4))
        return true;
    target = choose_target(m);
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(o->reg.value) >= 0) {
        if (may_steer(m, gpr_of(o->reg.value)))
            m->t->in.gpr[gpr_of(o->reg.value)] = target;
    }
    for (uint32_t i = 0; i < d->insn.operand_count; i++)
        if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            d->op[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ) {
            uint64_t la =
                segment_base(&d->op[i]) + value_of(m->t, d->op[i].mem.base) +
                value_of(m->t, d->op[i].mem.index) * (d->op[i].mem.scale ? d->op[i].mem.scale : 1) +
                (uint64_t)d->op[i].mem.disp.value;
            uint8_t *at = memory_at(m->t, la, 8);
            if (at)
                memcpy(at, &target, 8);
        }
    return true;
}

/* ---- what single instructions want ---------------------------------------------------------- */

static uint8_t *operand_memory(struct making *m, const struct decoded *d, uint32_t bytes)
{
    for (uint32_t i = 0; i < d->insn.operand_count; i++) {
        const ZydisDecodedOperand *o = &d->op[i];
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
            gpr_of(o->mem.base) >= 0)
            return memory_at(m->t,
                             value_of(m->t, o->mem.base) +
                                 value_of(m->t, o->mem.index) * (o->mem.scale ? o->mem.scale : 1) +
                                 (uint64_t)(o->mem.disp.has_displacement ? o->mem.disp.value : 0),
                             bytes);
    }
    return NULL;
}

/* Quotients that fit, half of the time. */
static void want_division(struct making *m)
{
    uint64_t *gpr = m->t->in.gpr;

    switch (random_below(m->r, 4)) {
    case 0:
        gpr[D] = 0;
        gpr[A] &= 0xff;
        break;
    case 1:
        gpr[D] = (uint64_t)((int64_t)gpr[A] >> 63);
        break;
    case 2:
        gpr[D] &= 0xf;
        break;
    default:
        break;
    }
}

/* Comparisons that are equal, half of the time. */
static void want_equal(struct making *m, const struct decoded *d)
{
    uint8_t *at;

    if (random_once(m->r, 2))
        return;
    if (d->insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG) {
        if (d->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(d->op[0].reg.value) >= 0) {
            m->t->in.gpr[A] = m->t->in.gpr[gpr_of(d->op[0].reg.value)];
            return;
        }
        at = operand_memory(m, d, 8);
        if (at && !(m->locked & 1u << A))
            memcpy(&m->t->in.gpr[A], at, 8);
        return;
    }
    at = operand_memory(m, d, 16);
    if (!at || m->locked & (1u << A | 1u << D))
        return;
    if (d->insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B) {
        m->t->in.gpr[A] = m->t->in.gpr[D] = 0;
        memcpy(&m->t->in.gpr[A], at, 4);
        memcpy(&m->t->in.gpr[D], at + 4, 4);
    } else {
        memcpy(&m->t->in.gpr[A], at, 8);
        memcpy(&m->t->in.gpr[D], at + 8, 8);
    }
}

/* No flag that the kernel keeps for the process from then on: TF, NT, AC, ID. */
static bool want_flags(struct making *m)
{
    uint64_t rsp;
    uint8_t *at;
    uint64_t flags;

    if (m->sequence)
        return false;
    rsp = DATA_AT + random_below(m->r, WRITABLE_BYTES - 0x100);
    set_gpr(m, SP, rsp);
    at = memory_at(m->t, rsp, 8);
    memcpy(&flags, at, 8);
    flags &= ~(uint64_t)(0x100 | 0x4000 | 0x40000 | 0x200000);
    memcpy(at, &flags, 8);
    return true;
}

static bool want(struct making *m, const struct decoded *d)
{
    uint64_t *gpr = m->t->in.gpr;
    uint8_t *at;

    if (d->insn.attributes &
        (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) {
        if (!(m->written >> C & 1) && !random_once(m->r, 16))
            gpr[C] = random_below(m->r, random_once(m->r, 4) ? 4 : 300);
        if (m->written >> C & 1)
            return false;
    }
    switch (d->insn.mnemonic) {
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
        if (!m->sequence && !(m->locked & (1u << A | 1u << D)))
            want_division(m);
        return true;
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
        if (!m->sequence)
            want_equal(m, d);
        return true;
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
        return want_flags(m);
    case ZYDIS_MNEMONIC_LEAVE:
        if (may_steer(m, BP))
            set_gpr(m, BP, choose_address(m->r, 8, m->sequence));
        return true;
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        if (d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            d->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            int n = gpr_of(d->op[1].reg.value);
            if (!may_steer(m, n))
                return !m->sequence;
            gpr[n] = random_below(m->r, 0x4000) - 0x2000ull;
        }
        return true;
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
        at = operand_memory(m, d, 4);
        if (at && !random_once(m->r, 8))
            at[2] = at[3] = 0;
        return true;
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
        at = operand_memory(m, d, 512);
        if (at && !random_once(m->r, 8))
            at[FX_MXCSR + 2] = at[FX_MXCSR + 3] = 0;
        return true;
    case ZYDIS_MNEMONIC_FBLD:
        at = operand_memory(m, d, 10);
        for (uint32_t i = 0; at && i < 9; i++) /* digits only */
            at[i] = (uint8_t)((at[i] & 0x0f) % 10 | (at[i] >> 4) % 10 << 4);
        return true;
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_VPCMPESTRI:
    case ZYDIS_MNEMONIC_VPCMPESTRM:
        if (may_steer(m, A) && may_steer(m, D) && !random_once(m->r, 4)) {
            gpr[A] = (gpr[A] & ~0xffffffffull) | random_below(m->r, 20);
            gpr[D] = (gpr[D] & ~0xffffffffull) | random_below(m->r, 20);
        }
        return true;
    default:
        return true;
    }
}

/* ---- cases ---------------------------------------------------------------------------------- */

static bool append(struct making *m, const struct form *form)
{
    struct test *t = m->t;
    uint64_t rip = CODE_AT + t->at + t->bytes;
    struct decoded d;
    uint8_t code[16];
    uint32_t n = form_generate(m->f, form, m->r, code, &d);

    if (n == 0 || t->bytes + n > CASE_BYTES - 16)
        return false;
    for (uint32_t i = 0; i < d.insn.operand_count; i++)
        if (d.op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && d.op[i].mem.type == ZYDIS_MEMOP_TYPE_MEM &&
            (m->sequence || !random_once(m->r, 64)) && !steer_operand(m, &d, &d.op[i], code, rip) &&
            m->sequence)
            return false;
    if (!want(m, &d))
        return false;
    if (d.insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && !steer_branch(m, &d, code, rip))
        return false;
    /* Whatever was changed, it must be the same form still. */
    if (!forms_decode(m->f, code, n, &d) || d.insn.length != n || forms_of(m->f, &d) != form)
        return false;
    for (uint32_t i = 0; i < d.insn.operand_count; i++) {
        int gpr;

        if (d.op[i].type != ZYDIS_OPERAND_TYPE_REGISTER ||
            !(d.op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            continue;
        gpr = gpr_of(d.op[i].reg.value);
        if (gpr >= 0)
            m->written |= 1u << gpr;
    }
    memcpy(t->code + t->bytes, code, n);
    t->bytes += n;
    t->count++;
    return true;
}

static void begin(const struct forms *f, struct random *r, struct test *t, struct making *m,
                  bool sequence)
{
    *m = (struct making){.f = f, .r = r, .t = t, .sequence = sequence};
    random_state(r, &t->in);
    random_memory(f->pool, r, t->memory, DATA_BYTES);
    memset(t->code, 0xcc, sizeof(t->code));
    t->bytes = t->count = 0;
    t->at = 128 + random_below(r, CODE_BYTES / CASE_BYTES - 2) * CASE_BYTES;
    if (random_once(r, 32)) /* from one page into the next, or into what is not there */
        t->at = (random_once(r, 4) ? CODE_BYTES : CODE_BYTES / 2) - 1 - random_below(r, 15);
    t->in.rip = CODE_AT + t->at;
}

bool case_single(const struct forms *f, const struct form *form, struct random *r, struct test *t)
{
    struct making m;

    begin(f, r, t, &m, false);
    return append(&m, form);
}

/* Forms whose undefined results would go on into other instructions. */
static bool sequence_allows(const struct forms *f, const struct form *form, struct random *r)
{
    static const char *const not [] = {"int",     "bsf",   "bsr",   "bswap",    "shld",
                                       "shrd",    "f",     "rcpps", "rcpss",    "rsqrtps",
                                       "rsqrtss", "vrcpp", "vrcps", "vrsqrtps", "vrsqrtss",
                                       "popf",    "enter", "leave", "ldmxcsr",  "vldmxcsr"};

    (void)f;
    (void)r;
    for (uint32_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        if (strncmp(form->mnemonic, not [i], strlen(not [i])) == 0)
            return false;
    return true;
}

bool case_sequence(const struct forms *f, struct form *const *usable, uint32_t usable_count,
                   uint32_t length, struct random *r, struct test *t)
{
    struct making m;
    uint32_t undefined = 0;

    begin(f, r, t, &m, true);
    t->at &= ~(CASE_BYTES - 1);
    if (t->at == 0 || t->at >= CODE_BYTES - CASE_BYTES)
        t->at = CASE_BYTES;
    t->in.rip = CODE_AT + t->at;
    for (uint32_t tries = 0; tries < 20 * length && t->count < length; tries++) {
        const struct form *form = usable[random_below(r, usable_count)];
        struct test before;
        struct making m_before;
        struct decoded d;
        uint32_t read, bytes = t->bytes;
        if (!sequence_allows(f, form, r))
            continue;
        /* Few registers are touched: cheap to take back. */
        before.in = t->in;
        m_before = m;
        if (!append(&m, form)) {
            t->in = before.in;
            m = m_before;
            memset(t->code + bytes, 0xcc, sizeof(t->code) - bytes);
            t->bytes = bytes;
            continue;
        }
        (void)forms_decode(f, t->code + bytes, t->bytes - bytes, &d);
        read = d.insn.cpu_flags ? d.insn.cpu_flags->tested : 0;
        if (strncmp(form->mnemonic, "pushf", 5) == 0 || strcmp(form->mnemonic, "lahf") == 0)
            read = F_ALL;
        if (read & undefined) {
            t->in = before.in;
            m = m_before;
            memset(t->code + bytes, 0xcc, sizeof(t->code) - bytes);
            t->bytes = bytes;
            t->count--;
            continue;
        }
        undefined |= undefined_flags_ever(&d);
    }
    return t->count > 0;
}
