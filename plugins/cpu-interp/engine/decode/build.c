/* SPDX-License-Identifier: MIT
 *
 * decode/build.c - decodes a stretch of code, finds out which flags are read, and has every
 * instruction's group emit its uop.
 *
 * Liveness goes backwards through the block: an instruction need not leave flags that the ones
 * after it overwrite before they are read. A branch and the end of a block read all; so does an
 * instruction that may fault, as the frame of its fault shows them.
 */
#include "build.h"

#include "../engine.h"
#include "emit.h"
#include "features.h"

#include <Zydis/Mnemonic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A mnemonic may be in several groups: locked forms are atomic.c's, MOV is also that of control
 * registers, JMP that of far ones, MOVSD that of a string and of SSE2. */
#define EMITTERS 3u

struct emit_table {
    emit_fn *by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1][EMITTERS];
};

static const struct emit_entry *const groups[] = {
    emit_alu,    emit_shift,    emit_muldiv,    emit_mov,       emit_stack,       emit_branch,
    emit_bit,    emit_bcd,      emit_atomic,    emit_string,    emit_far,         emit_iret,
    emit_system, emit_msr,      emit_io,        emit_interrupt, emit_x87,         emit_x87_env,
    emit_mmx,    emit_sse_move, emit_sse_arith, emit_sse_int,   emit_sse_convert, emit_sse4,
    emit_crypto, emit_avx,      emit_avx_move,  emit_avx2,      emit_fma,         emit_xsave,
};

static void add_emitter(struct emit_table *t, const struct emit_entry *e)
{
    emit_fn **at = t->by_mnemonic[e->mnemonic];

    for (uint32_t k = 0; k < EMITTERS; k++) {
        if (!at[k]) {
            at[k] = e->emit;
            return;
        }
    }
    assert(!"a mnemonic is in more groups than EMITTERS");
}

const struct emit_table *emit_table_new(void)
{
    struct emit_table *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    for (size_t k = 0; k < sizeof(groups) / sizeof(groups[0]); k++)
        for (const struct emit_entry *e = groups[k]; e && e->emit; e++)
            add_emitter(t, e);
    return t;
}

void emit_table_free(const struct emit_table *t)
{
    free((void *)(uintptr_t)t); /* NOLINT(performance-no-int-to-ptr): it was calloc()ed here */
}

/* ---- what emitters use ---------------------------------------------------------------------- */

bool emit_memory(struct emit *e, const struct operand *o)
{
    struct uop *u = e->uop;
    int64_t disp = o->disp;

    u->base = o->base;
    u->index = o->index;
    u->scale = o->scale;
    u->seg = o->seg;
    u->asize = e->insn->asize;
    if (o->base == REG_RIP)
        disp += u->at + e->insn->length;
    u->disp = (int32_t)disp;
    if (disp != u->disp) {
        /* MOV's 64-bit offset has no base; its emitter takes it from the operand. */
        u->disp = 0;
        return false;
    }
    return e->mode & MODE_64 && u->asize == 8 && o->seg < SEG_FS;
}

uint8_t emit_gpr(const struct operand *o)
{
    if (o->bytes == 1)
        return (uint8_t)(o->number * 8 + o->high);
    return o->number;
}

/* ---- uops of our own ------------------------------------------------------------------------ */

const struct uop *op_stale(struct cpu *c, const struct uop *u)
{
    LEAVE(c, uop_rip(c, u));
}

static const struct uop *op_undefined(struct cpu *c, const struct uop *u)
{
    raise_exception(c, u, EXC_UD);
}

static const struct uop *op_too_long(struct cpu *c, const struct uop *u)
{
    raise_error(c, u, EXC_GP, 0);
}

/* The block goes on in another one. */
static const struct uop *op_continue(struct cpu *c, const struct uop *u)
{
    CHAIN_JUMP(c, uop_rip(c, u));
}

/* Before a block of segmented code: all its `imm` bytes are inside the limit of CS. Otherwise its
 * instructions are run one by one, and the one that is not inside raises #GP. */
static const struct uop *op_check_limit(struct cpu *c, const struct uop *u)
{
    uint64_t last = c->reg[REG_RIP] + u->imm - 1;

    if (unlikely(last > c->seg[SEG_CS].limit || last > c->ip_mask)) {
        if (u->d)
            raise_error(c, u, EXC_GP, 0);
        c->single = 1;
        LEAVE(c, c->reg[REG_RIP]);
    }
    NEXT(c, u);
}

/* The uop after it is the instruction. */
static const struct uop *op_intercept(struct cpu *c, const struct uop *u)
{
    c->rip = uop_rip(c, u);
    c->engine->user.instruction(c->engine->user.context, c, (uint32_t)u->imm, u->d);
    NEXT(c, u);
}

/* What VMX and SVM let a hypervisor intercept (SDM 3, 25.1.2 and 25.1.3), but for the instructions
 * of VMX itself, which all are #UD here. */
static bool may_be_intercepted(uint16_t mnemonic, const struct insn *i)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_INVD:
    case ZYDIS_MNEMONIC_WBINVD:
    case ZYDIS_MNEMONIC_INVLPG:
    case ZYDIS_MNEMONIC_RDPMC:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_WRMSR:
    case ZYDIS_MNEMONIC_XSETBV:
    case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT:
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
    case ZYDIS_MNEMONIC_LMSW:
    case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_CLTS:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_INTO:
    case ZYDIS_MNEMONIC_PAUSE:
        return true;
    case ZYDIS_MNEMONIC_MOV:
        return i->opcode_map == 1 && (i->opcode & 0xfc) == 0x20;
    default:
        return false;
    }
}

/* ---- building ------------------------------------------------------------------------------- */

/* Without LZCNT and BMI1 their encodings are BSR and BSF with a prefix that means nothing. */
static void apply_features(const struct cpu *c, struct insn *i)
{
    if (i->feature == FEATURE_LZCNT && !cpu_has(c, FEATURE_LZCNT)) {
        i->mnemonic = ZYDIS_MNEMONIC_BSR;
        i->feature = FEATURE_BASE;
    } else if (i->mnemonic == ZYDIS_MNEMONIC_TZCNT && !cpu_has(c, FEATURE_BMI1)) {
        i->mnemonic = ZYDIS_MNEMONIC_BSF;
        i->feature = FEATURE_BASE;
    }
}

/* Decodes up to the end of the block. Returns the number of instructions; what comes after them in
 * *stop: 0, or why the next one cannot be decoded. */
static uint32_t decode(const struct cpu *c, struct builder *b, const uint8_t *code,
                       uint32_t available, uint32_t mode, uint32_t most, int *stop)
{
    uint32_t at = 0, n = 0;

    *stop = 0;
    while (n < most) {
        struct insn *i = &b->insns[n];
        int err = at < available ? insn_decode(code + at, available - at, mode, i) : -EAGAIN;
        if (err) {
            *stop = err;
            break;
        }
        apply_features(c, i);
        at += i->length;
        n++;
        if (i->ends)
            break;
    }
    return n;
}

static void find_live(struct builder *b, uint32_t count)
{
    uint32_t live = FLAGS_ARITHMETIC;

    for (uint32_t k = count; k-- > 0;) {
        const struct insn *i = &b->insns[k];
        b->live[k] = live;
        live = (live & ~i->flags_written) | i->flags_read;
        if (i->branches || i->faults)
            live = FLAGS_ARITHMETIC;
    }
}

static void clear(struct uop *u, uint16_t at)
{
    memset(u, 0, sizeof(*u));
    u->base = REG_ZERO;
    u->index = REG_ZERO;
    u->at = at;
}

/* Asks the groups that know the mnemonic, each with a fresh uop. */
static bool emit_one(struct emit *e)
{
    const struct insn *i = e->insn;
    emit_fn *const *emit = e->cpu->engine->emitters->by_mnemonic[i->mnemonic];

    if (!cpu_has(e->cpu, (enum feature)i->feature))
        return false;
    for (uint32_t k = 0; k < EMITTERS && emit[k]; k++) {
        if (emit[k](e))
            return true;
        clear(e->uop, e->uop->at);
        e->ends = false;
        e->fused = false;
    }
    return false;
}

static struct uop *add(struct builder *b, op_fn *fn, uint32_t at)
{
    struct uop *u = &b->uops[b->count++];

    memset(u, 0, sizeof(*u));
    u->fn = fn;
    u->base = REG_ZERO;
    u->index = REG_ZERO;
    u->at = (uint16_t)at;
    return u;
}

/* Emits the first `count` instructions; returns how many it took: fewer if one of them ends the
 * block. *ended: none goes on. */
static uint32_t emit_all(struct cpu *c, struct builder *b, uint32_t mode, uint32_t count,
                         bool *ended)
{
    uint32_t at = 0;

    *ended = false;
    for (uint32_t k = 0; k < count; k++) {
        struct emit e = {.cpu = c,
                         .insn = &b->insns[k],
                         .next = k + 1 < count ? &b->insns[k + 1] : NULL,
                         .mode = mode,
                         .live = b->live[k]};
        if (unlikely(c->engine->user.instruction != NULL) &&
            may_be_intercepted(e.insn->mnemonic, e.insn)) {
            struct uop *u = add(b, op_intercept, at);
            u->imm = e.insn->mnemonic;
            u->d = e.insn->length;
        }
        e.uop = add(b, NULL, at);
        if (!emit_one(&e)) {
            uint16_t here = e.uop->at;
            b->count--;
            add(b, op_undefined, here);
            e.ends = true;
            e.fused = false;
        }
        at += e.insn->length;
        if (e.fused) {
            k++;
            at += b->insns[k].length;
        }
        b->bytes = at;
        if (e.ends) {
            *ended = true;
            return k + 1;
        }
    }
    return count;
}

int build_block(struct cpu *c, struct builder *b, const uint8_t *code, uint32_t available,
                uint32_t mode, bool single)
{
    bool checks = !(mode & (MODE_64 | MODE_FLAT));
    bool ended;
    int stop;
    uint32_t count =
        decode(c, b, code, available, mode, single || mode & MODE_STEP ? 1 : BLOCK_INSNS, &stop);

    if (!count && stop == -EAGAIN)
        return -EAGAIN;
    for (;;) {
        b->count = 0;
        b->bytes = 0;
        find_live(b, count);
        if (checks)
            add(b, op_check_limit, 0);
        uint32_t used = emit_all(c, b, mode, count, &ended);
        if (used == count)
            break;
        /* Flags are live where the block really ends. */
        count = used;
        stop = 0;
    }
    if (!ended) {
        if (stop == -EINVAL || stop == -E2BIG) {
            add(b, stop == -EINVAL ? op_undefined : op_too_long, b->bytes);
            b->bytes++; /* one byte of it at least was read */
        } else {
            add(b, op_continue, b->bytes);
        }
    }
    if (checks) {
        b->uops[0].imm = b->bytes;
        b->uops[0].d = count <= 1;
    }
    uint32_t bound = b->bytes;
    add(b, op_stale, bound);
    b->count--;
    return 0;
}
