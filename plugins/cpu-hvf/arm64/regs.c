/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/arm64/regs.c - the register sets of ext/arm64.h, both ways.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>

/* As MRS encodes them: Arm ARM, C5.3. */
#define ENCODING(op0, op1, crn, crm, op2)                                                          \
    ((hv_sys_reg_t)((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)))

struct system_register {
    uint16_t at; /* in struct bp_arm64_sys */
    hv_sys_reg_t number;
};

#define AT(member) offsetof(struct bp_arm64_sys, member)

static const struct system_register system_registers[] = {
    {AT(sp_el0), ENCODING(3, 0, 4, 1, 0)},        {AT(sp_el1), ENCODING(3, 4, 4, 1, 0)},
    {AT(elr_el1), ENCODING(3, 0, 4, 0, 1)},       {AT(spsr_el1), ENCODING(3, 0, 4, 0, 0)},
    {AT(sctlr_el1), ENCODING(3, 0, 1, 0, 0)},     {AT(cpacr_el1), ENCODING(3, 0, 1, 0, 2)},
    {AT(ttbr0_el1), ENCODING(3, 0, 2, 0, 0)},     {AT(ttbr1_el1), ENCODING(3, 0, 2, 0, 1)},
    {AT(tcr_el1), ENCODING(3, 0, 2, 0, 2)},       {AT(mair_el1), ENCODING(3, 0, 10, 2, 0)},
    {AT(amair_el1), ENCODING(3, 0, 10, 3, 0)},    {AT(esr_el1), ENCODING(3, 0, 5, 2, 0)},
    {AT(afsr0_el1), ENCODING(3, 0, 5, 1, 0)},     {AT(afsr1_el1), ENCODING(3, 0, 5, 1, 1)},
    {AT(far_el1), ENCODING(3, 0, 6, 0, 0)},       {AT(par_el1), ENCODING(3, 0, 7, 4, 0)},
    {AT(vbar_el1), ENCODING(3, 0, 12, 0, 0)},     {AT(contextidr_el1), ENCODING(3, 0, 13, 0, 1)},
    {AT(tpidr_el0), ENCODING(3, 3, 13, 0, 2)},    {AT(tpidrro_el0), ENCODING(3, 3, 13, 0, 3)},
    {AT(tpidr_el1), ENCODING(3, 0, 13, 0, 4)},    {AT(cntkctl_el1), ENCODING(3, 0, 14, 1, 0)},
    {AT(mdscr_el1), ENCODING(2, 0, 0, 2, 2)},     {AT(csselr_el1), ENCODING(3, 2, 0, 0, 0)},
    {AT(cntv_ctl_el0), ENCODING(3, 3, 14, 3, 1)}, {AT(cntv_cval_el0), ENCODING(3, 3, 14, 3, 2)},
    {AT(mpidr_el1), ENCODING(3, 0, 0, 0, 5)},
};

#define SYSTEM_REGISTERS (sizeof(system_registers) / sizeof(system_registers[0]))

/* A set, and its functions: what the framework answered. */
struct set {
    const char *id;
    uint32_t size;
    hv_return_t (*get)(struct vcpu *v, void *regs);
    hv_return_t (*set)(struct vcpu *v, const void *regs);
};

static hv_return_t gpr_get(struct vcpu *v, void *regs)
{
    struct bp_arm64_gpr *to = regs;
    hv_return_t result = HV_SUCCESS;

    for (uint32_t i = 0; i < 31; i++)
        to->x[i] = reg_read(v, i);
    result |= hv_vcpu_get_reg(v->id, HV_REG_PC, &to->pc);
    result |= hv_vcpu_get_reg(v->id, HV_REG_CPSR, &to->pstate);
    return result;
}

static hv_return_t gpr_set(struct vcpu *v, const void *regs)
{
    const struct bp_arm64_gpr *from = regs;
    hv_return_t result = hv_vcpu_set_reg(v->id, HV_REG_CPSR, from->pstate);

    if (result != HV_SUCCESS)
        return result;
    for (uint32_t i = 0; i < 31; i++)
        reg_write(v, i, from->x[i]);
    v->waits = false;
    return hv_vcpu_set_reg(v->id, HV_REG_PC, from->pc);
}

static hv_return_t sys_get(struct vcpu *v, void *regs)
{
    for (uint32_t i = 0; i < SYSTEM_REGISTERS; i++) {
        uint64_t *word = (void *)((uint8_t *)regs + system_registers[i].at);
        hv_return_t result = hv_vcpu_get_sys_reg(v->id, system_registers[i].number, word);

        if (result != HV_SUCCESS)
            return result;
    }
    return HV_SUCCESS;
}

static hv_return_t sys_set(struct vcpu *v, const void *regs)
{
    for (uint32_t i = 0; i < SYSTEM_REGISTERS; i++) {
        const uint64_t *word = (const void *)((const uint8_t *)regs + system_registers[i].at);
        hv_return_t result = hv_vcpu_set_sys_reg(v->id, system_registers[i].number, *word);

        if (result != HV_SUCCESS)
            return result;
    }
    return HV_SUCCESS;
}

static hv_return_t simd_get(struct vcpu *v, void *regs)
{
    struct bp_arm64_simd *to = regs;
    hv_return_t result = HV_SUCCESS;

    for (uint32_t i = 0; i < 32; i++) {
        hv_simd_fp_uchar16_t value = {0};

        result |=
            hv_vcpu_get_simd_fp_reg(v->id, (hv_simd_fp_reg_t)(HV_SIMD_FP_REG_Q0 + (int)i), &value);
        memcpy(to->v[i], &value, sizeof(value));
    }
    result |= hv_vcpu_get_reg(v->id, HV_REG_FPCR, &to->fpcr);
    result |= hv_vcpu_get_reg(v->id, HV_REG_FPSR, &to->fpsr);
    return result;
}

static hv_return_t simd_set(struct vcpu *v, const void *regs)
{
    const struct bp_arm64_simd *from = regs;
    hv_return_t result = HV_SUCCESS;

    for (uint32_t i = 0; i < 32; i++) {
        hv_simd_fp_uchar16_t value;

        memcpy(&value, from->v[i], sizeof(value));
        result |=
            hv_vcpu_set_simd_fp_reg(v->id, (hv_simd_fp_reg_t)(HV_SIMD_FP_REG_Q0 + (int)i), value);
    }
    result |= hv_vcpu_set_reg(v->id, HV_REG_FPCR, from->fpcr);
    result |= hv_vcpu_set_reg(v->id, HV_REG_FPSR, from->fpsr);
    return result;
}

static const struct set sets[] = {
    {BP_ARM64_GPR, sizeof(struct bp_arm64_gpr), gpr_get, gpr_set},
    {BP_ARM64_SYS, sizeof(struct bp_arm64_sys), sys_get, sys_set},
    {BP_ARM64_SIMD, sizeof(struct bp_arm64_simd), simd_get, simd_set},
};

/* 0 with *out; -ENOENT, -EINVAL. */
static int find(const struct vcpu *v, const char *id, uint32_t size, const struct set **out)
{
    for (uint32_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (strcmp(sets[i].id, id) != 0)
            continue;
        if (sets[i].size != size)
            return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                            "%s has %u bytes here, and %u were given", id, sets[i].size, size);
        *out = &sets[i];
        return 0;
    }
    return -ENOENT;
}

int regs_get(void *self, const char *id, void *regs, uint32_t size)
{
    struct vcpu *v = self;
    const struct set *set = NULL;
    int err = find(v, id, size, &set);

    if (!err && set && set->get(v, regs) != HV_SUCCESS)
        err = bp_failf(v->vm->host, v->vm->node, -EIO, "%s: Hypervisor.framework does not give it",
                       id);
    return err;
}

int regs_set(void *self, const char *id, const void *regs, uint32_t size)
{
    struct vcpu *v = self;
    const struct set *set = NULL;
    int err = find(v, id, size, &set);

    if (!err && set && set->set(v, regs) != HV_SUCCESS)
        err = bp_failf(v->vm->host, v->vm->node, -EINVAL,
                       "%s: Hypervisor.framework does not take it", id);
    return err;
}
