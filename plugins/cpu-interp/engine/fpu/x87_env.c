/* SPDX-License-Identifier: MIT
 *
 * fpu/x87_env.c - x87 control instructions: control and status word, environment, state images;
 * EMMS, LDMXCSR and STMXCSR.
 *
 * After the Intel SDM 1, 8.1.8 to 8.1.10 (formats in figures 8-9 to 8-12) and 8.3.11, and SDM 2.
 * None of these but FNOP notes FIP. Those whose name begins with FN do not wait for a pending
 * exception.
 */
#include "x87.h"

#include <Zydis/Mnemonic.h>

#include "mxcsr.h"

/* ---- environments: FSTENV, FLDENV, FSAVE, FRSTOR -------------------------------------------- */

/* Environment in memory: seven words or doublewords. */
enum { ENV_CONTROL, ENV_STATUS, ENV_TAG, ENV_IP, ENV_CS, ENV_DP, ENV_DS, ENV_WORDS };

struct image {
    uint8_t bytes[28 + 80];
};

void x87_init(struct fpu *f)
{
    f->control = CW_DEFAULT;
    f->status = 0;
    f->top = 0;
    f->valid = 0;
    f->opcode = 0;
    f->ip = f->dp = 0;
    f->cs = f->ds = 0;
}

/* Two bits a register: 0 valid, 1 zero, 2 special, 3 empty (SDM 1, 8.1.7). */
static uint16_t tag_word(const struct fpu *f)
{
    uint32_t tags = 0;

    for (uint32_t i = 0; i < 8; i++) {
        uint32_t exponent = f->r[i].sign_exponent & 0x7fffu, tag;

        if (!(f->valid >> i & 1))
            tag = 3;
        else if (exponent == 0 && f->r[i].mantissa == 0)
            tag = 1;
        else if (exponent == 0 || exponent == 0x7fff || !(f->r[i].mantissa >> 63))
            tag = 2;
        else
            tag = 0;
        tags |= tag << 2 * i;
    }
    return (uint16_t)tags;
}

static uint32_t env_bytes(const struct uop *u)
{
    return u->osize == 2 ? 14 : 28;
}

static void put_env(const struct cpu *c, const struct uop *u, uint8_t *to)
{
    const struct fpu *f = &c->fpu;
    uint32_t word[ENV_WORDS] = {f->control, x87_status(f), tag_word(f)};

    if (cpu_protected(c)) {
        /* FCS and FDS are saved as 0: 8.1.8. */
        word[ENV_IP] = (uint32_t)f->ip;
        word[ENV_DP] = (uint32_t)f->dp;
        if (u->osize != 2)
            word[ENV_CS] = (uint32_t)f->opcode << 16;
    } else {
        uint32_t ip = (uint32_t)f->ip + f->cs * 16u, dp = (uint32_t)f->dp + f->ds * 16u;

        word[ENV_IP] = ip & 0xffff;
        word[ENV_DP] = dp & 0xffff;
        word[ENV_CS] = ip >> 16 << 12 | f->opcode;
        word[ENV_DS] = dp >> 16 << 12;
    }
    if (u->osize == 2) {
        for (uint32_t i = 0; i < ENV_WORDS; i++) {
            uint16_t half = (uint16_t)word[i];

            memcpy(to + 2 * i, &half, 2);
        }
        return;
    }
    /* Processors write ones where the upper half is reserved. */
    for (uint32_t i = ENV_CONTROL; i <= ENV_TAG; i++)
        word[i] |= 0xffff0000u;
    if (cpu_protected(c)) {
        word[ENV_DS] |= 0xffff0000u;
    } else {
        word[ENV_IP] |= 0xffff0000u;
        word[ENV_DP] |= 0xffff0000u;
    }
    memcpy(to, word, sizeof(word));
}

static void get_env(struct cpu *c, const struct uop *u, const uint8_t *from)
{
    struct fpu *f = &c->fpu;
    uint32_t word[ENV_WORDS];

    for (uint32_t i = 0; i < ENV_WORDS; i++) {
        if (u->osize == 2) {
            uint16_t half;

            memcpy(&half, from + 2 * i, 2);
            word[i] = half;
        } else {
            memcpy(&word[i], from + 4 * i, 4);
        }
    }
    x87_set_control(f, (uint16_t)word[ENV_CONTROL]);
    x87_set_status(f, (uint16_t)word[ENV_STATUS]);
    x87_update(f);
    f->valid = 0;
    for (uint32_t i = 0; i < 8; i++)
        if ((word[ENV_TAG] >> 2 * i & 3) != 3)
            f->valid = (uint8_t)(f->valid | 1u << i);
    f->cs = f->ds = 0;
    if (cpu_protected(c)) {
        f->ip = word[ENV_IP];
        f->dp = word[ENV_DP];
        f->cs = (uint16_t)word[ENV_CS];
        f->ds = (uint16_t)word[ENV_DS];
        f->opcode = u->osize == 2 ? 0 : word[ENV_CS] >> 16 & 0x7ff;
    } else {
        f->ip = (word[ENV_IP] & 0xffff) | (word[ENV_CS] >> 12 & 0xffff) << 16;
        f->dp = (word[ENV_DP] & 0xffff) | (word[ENV_DS] >> 12 & 0xffff) << 16;
        f->opcode = word[ENV_CS] & 0x7ff;
    }
}

static __attribute__((noinline)) void fnstenv(struct cpu *c, const struct uop *u)
{
    struct image image;
    uint64_t la;

    x87_available(c, u);
    la = x87_ea(c, u, env_bytes(u), ACCESS_WRITE);
    put_env(c, u, image.bytes);
    store_bytes(c, u, la, image.bytes, env_bytes(u), ACCESS_WRITE);
    c->fpu.control |= CW_MASKS;
    x87_update(&c->fpu);
    x87_ferr_follow(c);
}

static __attribute__((noinline)) void fldenv(struct cpu *c, const struct uop *u)
{
    struct image image;

    x87_wait(c, u);
    load_bytes(c, u, x87_ea(c, u, env_bytes(u), ACCESS_READ), image.bytes, env_bytes(u),
               ACCESS_READ);
    get_env(c, u, image.bytes);
    x87_ferr_follow(c);
}

static __attribute__((noinline)) void fnsave(struct cpu *c, const struct uop *u)
{
    struct image image;
    uint32_t at = env_bytes(u);
    uint64_t la;

    x87_available(c, u);
    la = x87_ea(c, u, at + 80, ACCESS_WRITE);
    put_env(c, u, image.bytes);
    for (uint32_t i = 0; i < 8; i++) {
        const struct f80 *r = x87_st(&c->fpu, i);

        memcpy(image.bytes + at + 10 * i, &r->mantissa, 8);
        memcpy(image.bytes + at + 10 * i + 8, &r->sign_exponent, 2);
    }
    store_bytes(c, u, la, image.bytes, at + 80, ACCESS_WRITE);
    x87_init(&c->fpu);
    x87_ferr_follow(c);
}

static __attribute__((noinline)) void frstor(struct cpu *c, const struct uop *u)
{
    struct image image;
    uint32_t at = env_bytes(u);

    x87_wait(c, u);
    load_bytes(c, u, x87_ea(c, u, at + 80, ACCESS_READ), image.bytes, at + 80, ACCESS_READ);
    get_env(c, u, image.bytes);
    x87_ferr_follow(c);
    for (uint32_t i = 0; i < 8; i++) {
        struct f80 *r = x87_st(&c->fpu, i);

        memcpy(&r->mantissa, image.bytes + at + 10 * i, 8);
        memcpy(&r->sign_exponent, image.bytes + at + 10 * i + 8, 2);
    }
}

/* ---- FXSAVE, FXRSTOR ------------------------------------------------------------------------ */

static uint64_t fx_address(struct cpu *c, const struct uop *u, uint32_t access)
{
    uint64_t la;

    x87_available(c, u);
    la = x87_ea(c, u, 512, access);
    if (la & 15)
        raise_error(c, u, EXC_GP, 0);
    return la;
}

/* XMM8 to XMM15 in 64-bit mode only; what is reserved or the program's is not written. */
static __attribute__((noinline)) void fxsave(struct cpu *c, const struct uop *u)
{
    uint8_t image[512];
    uint64_t la = fx_address(c, u, ACCESS_WRITE);

    x87_image_get(c, image, u->osize == 8);
    probe_write(c, u, la, 512);
    store_bytes(c, u, la, image, cpu_64bit(c) ? 416 : 288, ACCESS_WRITE);
}

static __attribute__((noinline)) void fxrstor(struct cpu *c, const struct uop *u)
{
    uint8_t image[512];
    uint32_t mxcsr;

    load_bytes(c, u, fx_address(c, u, ACCESS_READ), image, 512, ACCESS_READ);
    memcpy(&mxcsr, image + 24, 4);
    if (mxcsr & ~MXCSR_VALID)
        raise_error(c, u, EXC_GP, 0);
    x87_image_set(c, image, u->osize == 8, cpu_64bit(c) ? 16 : 8);
}

/* ---- control and status word ---------------------------------------------------------------- */

static __attribute__((noinline)) void fldcw(struct cpu *c, const struct uop *u)
{
    x87_wait(c, u);
    x87_set_control(&c->fpu, ld16(c, u, x87_ea(c, u, 2, ACCESS_READ)));
    x87_update(&c->fpu);
    x87_ferr_follow(c);
}

static __attribute__((noinline)) void fnstcw(struct cpu *c, const struct uop *u)
{
    x87_available(c, u);
    st16(c, u, x87_ea(c, u, 2, ACCESS_WRITE), c->fpu.control);
}

static __attribute__((noinline)) void fnstsw(struct cpu *c, const struct uop *u)
{
    x87_available(c, u);
    st16(c, u, x87_ea(c, u, 2, ACCESS_WRITE), x87_status(&c->fpu));
}

static __attribute__((noinline)) void fnstsw_ax(struct cpu *c, const struct uop *u)
{
    x87_available(c, u);
    c->reg[RAX] = (c->reg[RAX] & ~UINT64_C(0xffff)) | x87_status(&c->fpu);
}

static __attribute__((noinline)) void fninit(struct cpu *c, const struct uop *u)
{
    x87_available(c, u);
    x87_init(&c->fpu);
    x87_ferr_follow(c);
}

/* What becomes of C0 to C3 is undefined: they stay. */
static __attribute__((noinline)) void fnclex(struct cpu *c, const struct uop *u)
{
    x87_available(c, u);
    c->fpu.status &= SW_CC;
    x87_ferr_follow(c);
}

/* FNOP waits and notes FIP; what was FENI, FDISI and FSETPM only asks for the FPU. */
static __attribute__((noinline)) void fnop(struct cpu *c, const struct uop *u)
{
    x87_wait(c, u);
    (void)x87_flags(c, u, 0, 0);
}

static __attribute__((noinline)) void nop_of_8087(struct cpu *c, const struct uop *u)
{
    x87_available(c, u);
}

/* SDM 3, table 2-2: EM means nothing to it. */
static __attribute__((noinline)) void fwait(struct cpu *c, const struct uop *u)
{
    if ((c->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        raise_exception(c, u, EXC_NM);
    if (c->fpu.status & SW_ES)
        x87_pending(c, u);
}

static __attribute__((noinline)) void emms(struct cpu *c, const struct uop *u)
{
    if (c->cr0 & CR0_EM)
        raise_exception(c, u, EXC_UD);
    x87_wait(c, u);
    c->fpu.top = 0; /* as every MMX instruction does */
    c->fpu.valid = 0;
}

/* ---- MXCSR ---------------------------------------------------------------------------------- */

static void sse_available(struct cpu *c, const struct uop *u)
{
    if (likely(!c->no_sse))
        return;
    if (c->cr0 & CR0_EM || !(c->cr4 & CR4_OSFXSR))
        raise_exception(c, u, EXC_UD);
    raise_exception(c, u, EXC_NM);
}

static __attribute__((noinline)) void ldmxcsr(struct cpu *c, const struct uop *u)
{
    uint32_t value;

    sse_available(c, u);
    value = ld32(c, u, x87_ea(c, u, 4, ACCESS_READ));
    if (value & ~MXCSR_VALID)
        raise_error(c, u, EXC_GP, 0);
    mxcsr_load(c, value);
}

static __attribute__((noinline)) void stmxcsr(struct cpu *c, const struct uop *u)
{
    sse_available(c, u);
    st32(c, u, x87_ea(c, u, 4, ACCESS_WRITE), mxcsr_sync(c));
}

/* ---- handlers and emitters ------------------------------------------------------------------ */

#define DEFINE(name)                                                                               \
    static const struct uop *op_##name(struct cpu *c, const struct uop *u)                         \
    {                                                                                              \
        name(c, u);                                                                                \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        x87_emit(e, op_##name);                                                                    \
        return true;                                                                               \
    }

DEFINE(fnstenv)
DEFINE(fldenv)
DEFINE(fnsave)
DEFINE(frstor)
DEFINE(fxsave)
DEFINE(fxrstor)
DEFINE(fldcw)
DEFINE(fnstcw)
DEFINE(fninit)
DEFINE(fnclex)
DEFINE(fnop)
DEFINE(nop_of_8087)
DEFINE(fwait)
DEFINE(emms)
DEFINE(ldmxcsr)
DEFINE(stmxcsr)

static const struct uop *op_fnstsw(struct cpu *c, const struct uop *u)
{
    fnstsw(c, u);
    NEXT(c, u);
}

static const struct uop *op_fnstsw_ax(struct cpu *c, const struct uop *u)
{
    fnstsw_ax(c, u);
    NEXT(c, u);
}

static bool emit_fnstsw(struct emit *e)
{
    x87_emit(e, e->insn->op[0].kind == OPERAND_MEM ? op_fnstsw : op_fnstsw_ax);
    return true;
}

/* Zydis counts REX.W in the mnemonic. */
static bool emit_fxsave64(struct emit *e)
{
    x87_emit(e, op_fxsave);
    e->uop->osize = 8;
    return true;
}

static bool emit_fxrstor64(struct emit *e)
{
    x87_emit(e, op_fxrstor);
    e->uop->osize = 8;
    return true;
}

const struct emit_entry emit_x87_env[] = {
    {ZYDIS_MNEMONIC_FNSTENV, emit_fnstenv},
    {ZYDIS_MNEMONIC_FLDENV, emit_fldenv},
    {ZYDIS_MNEMONIC_FNSAVE, emit_fnsave},
    {ZYDIS_MNEMONIC_FRSTOR, emit_frstor},
    {ZYDIS_MNEMONIC_FXSAVE, emit_fxsave},
    {ZYDIS_MNEMONIC_FXSAVE64, emit_fxsave64},
    {ZYDIS_MNEMONIC_FXRSTOR, emit_fxrstor},
    {ZYDIS_MNEMONIC_FXRSTOR64, emit_fxrstor64},
    {ZYDIS_MNEMONIC_FLDCW, emit_fldcw},
    {ZYDIS_MNEMONIC_FNSTCW, emit_fnstcw},
    {ZYDIS_MNEMONIC_FNSTSW, emit_fnstsw},
    {ZYDIS_MNEMONIC_FNINIT, emit_fninit},
    {ZYDIS_MNEMONIC_FNCLEX, emit_fnclex},
    {ZYDIS_MNEMONIC_FNOP, emit_fnop},
    {ZYDIS_MNEMONIC_FENI8087_NOP, emit_nop_of_8087},
    {ZYDIS_MNEMONIC_FDISI8087_NOP, emit_nop_of_8087},
    {ZYDIS_MNEMONIC_FSETPM287_NOP, emit_nop_of_8087},
    {ZYDIS_MNEMONIC_FWAIT, emit_fwait},
    {ZYDIS_MNEMONIC_EMMS, emit_emms},
    {ZYDIS_MNEMONIC_LDMXCSR, emit_ldmxcsr},
    {ZYDIS_MNEMONIC_STMXCSR, emit_stmxcsr},
    {0, NULL},
};
