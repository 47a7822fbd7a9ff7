/* SPDX-License-Identifier: MIT
 *
 * fpu/x87_image.c - the image of FXSAVE (SDM 2, FXSAVE, tables 3-43 to 3-46), of the instructions
 * and for register sets from outside.
 *
 * EFER.FFXSR is not offered. XMM registers and MXCSR are saved and restored whatever CR4.OSFXSR
 * is.
 */
#include "x87.h"

#include <errno.h>

#include "../engine.h"
#include "mxcsr.h"

/* Where things are. */
enum {
    AT_CONTROL = 0,
    AT_STATUS = 2,
    AT_TAG = 4,
    AT_OPCODE = 6,
    AT_IP = 8,
    AT_CS = 12, /* with 32-bit pointers */
    AT_DP = 16,
    AT_DS = 20,
    AT_MXCSR = 24,
    AT_MXCSR_MASK = 28,
    AT_ST = 32,
    AT_XMM = 160
};

void x87_image_get(struct cpu *c, uint8_t image[512], bool wide)
{
    const struct fpu *f = &c->fpu;
    uint16_t status = x87_status(f);
    uint32_t mxcsr = mxcsr_sync(c), mask = MXCSR_VALID;

    memset(image, 0, 512);
    memcpy(image + AT_CONTROL, &f->control, 2);
    memcpy(image + AT_STATUS, &status, 2);
    image[AT_TAG] = f->valid;
    memcpy(image + AT_OPCODE, &f->opcode, 2);
    /* FCS and FDS stay 0. */
    memcpy(image + AT_IP, &f->ip, wide ? 8 : 4);
    memcpy(image + AT_DP, &f->dp, wide ? 8 : 4);
    memcpy(image + AT_MXCSR, &mxcsr, 4);
    memcpy(image + AT_MXCSR_MASK, &mask, 4);
    for (uint32_t i = 0; i < 8; i++) {
        const struct f80 *r = &f->r[x87_at(f, i)];

        memcpy(image + AT_ST + 16 * i, &r->mantissa, 8);
        memcpy(image + AT_ST + 16 * i + 8, &r->sign_exponent, 2);
    }
    for (uint32_t i = 0; i < 16; i++)
        memcpy(image + AT_XMM + 16 * i, &c->v[i], 16);
}

void x87_image_set(struct cpu *c, const uint8_t image[512], bool wide, uint32_t vectors)
{
    struct fpu *f = &c->fpu;
    uint16_t control, status;
    uint32_t mxcsr;

    memcpy(&control, image + AT_CONTROL, 2);
    memcpy(&status, image + AT_STATUS, 2);
    memcpy(&mxcsr, image + AT_MXCSR, 4);
    x87_set_control(f, control);
    x87_set_status(f, status);
    x87_update(f);
    x87_ferr_follow(c);
    f->valid = image[AT_TAG];
    memcpy(&f->opcode, image + AT_OPCODE, 2);
    f->opcode &= 0x7ff;
    f->ip = f->dp = 0;
    f->cs = f->ds = 0;
    memcpy(&f->ip, image + AT_IP, wide ? 8 : 4);
    memcpy(&f->dp, image + AT_DP, wide ? 8 : 4);
    if (!wide) {
        memcpy(&f->cs, image + AT_CS, 2);
        memcpy(&f->ds, image + AT_DS, 2);
    }
    for (uint32_t i = 0; i < 8; i++) {
        struct f80 *r = x87_st(f, i);

        memcpy(&r->mantissa, image + AT_ST + 16 * i, 8);
        memcpy(&r->sign_exponent, image + AT_ST + 16 * i + 8, 2);
    }
    for (uint32_t i = 0; i < vectors; i++)
        memcpy(&c->v[i], image + AT_XMM + 16 * i, 16);
    mxcsr_load(c, mxcsr);
}

void fpu_image_get(struct cpu *c, uint8_t image[512])
{
    x87_image_get(c, image, true);
}

int fpu_image_set(struct cpu *c, const uint8_t image[512])
{
    uint32_t mxcsr;

    memcpy(&mxcsr, image + AT_MXCSR, 4);
    if (mxcsr & ~MXCSR_VALID)
        return -EINVAL;
    x87_image_set(c, image, true, 16);
    return 0;
}
