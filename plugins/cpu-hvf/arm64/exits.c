/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/arm64/exits.c - exceptions that the guest takes to us: accesses to devices, WFI, PSCI,
 * system registers.
 *
 * Arm ARM, D17.2.37 (ESR_EL2 and its ISS encodings); PSCI (DEN 0022), 5.1.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>

#define EC_WFX 0x01u
#define EC_HVC64 0x16u
#define EC_SMC64 0x17u
#define EC_SYSTEM_REGISTER 0x18u
#define EC_INSTRUCTION_ABORT 0x20u
#define EC_DATA_ABORT 0x24u

#define ISS_WFE 0x1u
#define ISS_VALID 0x1000000u
#define ISS_SIGN_EXTEND 0x200000u
#define ISS_64BIT 0x8000u
#define ISS_WRITE 0x40u

#define PSCI_VERSION 0x84000000u
#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u
#define PSCI_1_0 0x10000u
#define PSCI_NOT_SUPPORTED UINT64_MAX

uint64_t reg_read(const struct vcpu *v, uint32_t number)
{
    uint64_t value = 0;

    if (number < 31)
        hv_vcpu_get_reg(v->id, (hv_reg_t)(HV_REG_X0 + (int)number), &value);
    return value;
}

void reg_write(const struct vcpu *v, uint32_t number, uint64_t value)
{
    if (number < 31)
        hv_vcpu_set_reg(v->id, (hv_reg_t)(HV_REG_X0 + (int)number), value);
}

/* Past the instruction; all have four bytes. */
static void skip(struct vcpu *v)
{
    uint64_t pc = 0;

    hv_vcpu_get_reg(v->id, HV_REG_PC, &pc);
    hv_vcpu_set_reg(v->id, HV_REG_PC, pc + 4);
}

static int give_up(struct vcpu *v, const char *why)
{
    uint64_t pc = 0;

    hv_vcpu_get_reg(v->id, HV_REG_PC, &pc);
    return bp_failf(v->vm->host, v->vm->node, -EIO,
                    "vCPU %u cannot go on: %s (syndrome 0x%llx, at 0x%llx, pc 0x%llx)", v->index,
                    why, (unsigned long long)v->exit->exception.syndrome,
                    (unsigned long long)v->exit->exception.physical_address,
                    (unsigned long long)pc);
}

/* A load or store of one register, which the syndrome describes; others it does not. */
static int data_abort(struct vcpu *v, uint32_t iss)
{
    uint64_t gpa = v->exit->exception.physical_address, value, top;
    uint32_t width = 1u << (iss >> 22 & 3), number = iss >> 16 & 31;

    if (!(iss & ISS_VALID))
        return give_up(v, "it accesses a device by an instruction that is no plain load or store");
    if (iss & ISS_WRITE) {
        value = reg_read(v, number);
        if (width < 8)
            value &= (UINT64_C(1) << 8 * width) - 1;
        v->bus->mmio_write(v->handle, gpa, value, width);
        skip(v);
        return 0;
    }
    value = v->bus->mmio_read(v->handle, gpa, width);
    if (width < 8) {
        top = UINT64_C(1) << (8 * width - 1);
        value &= 2 * top - 1;
        if (iss & ISS_SIGN_EXTEND)
            value = (value ^ top) - top;
    }
    reg_write(v, number, iss & ISS_64BIT ? value : (uint32_t)value);
    skip(v);
    return 0;
}

static void psci(struct vcpu *v)
{
    const struct bp_host *host = v->vm->host;

    switch ((uint32_t)reg_read(v, 0)) {
    case PSCI_VERSION:
        reg_write(v, 0, PSCI_1_0);
        break;
    case PSCI_SYSTEM_OFF:
        host->request(v->vm->node, BP_REQUEST_POWER_OFF, 0);
        break;
    case PSCI_SYSTEM_RESET:
        host->request(v->vm->node, BP_REQUEST_RESET, 0);
        break;
    default:
        reg_write(v, 0, PSCI_NOT_SUPPORTED);
        break;
    }
}

/* Reads as zero, writes are ignored. */
static void system_register(struct vcpu *v, uint32_t iss)
{
    if (iss & 1)
        reg_write(v, iss >> 5 & 31, 0);
    bp_logf(v->vm->host, v->vm->node, BP_LOG_WARN | BP_LOG_GUEST,
            "vCPU %u %s system register op0 %u op1 %u CRn %u CRm %u op2 %u, which is not there",
            v->index, iss & 1 ? "reads" : "writes", iss >> 20 & 3, iss >> 14 & 7, iss >> 10 & 15,
            iss >> 1 & 15, iss >> 17 & 7);
    skip(v);
}

int exit_exception(struct vcpu *v)
{
    uint64_t syndrome = v->exit->exception.syndrome;
    uint32_t iss = (uint32_t)syndrome & 0x1ffffff;

    switch (syndrome >> 26 & 0x3f) {
    case EC_WFX:
        skip(v);
        v->waits = !(iss & ISS_WFE);
        return 0;
    case EC_HVC64:
        psci(v); /* PC is past it already */
        return 0;
    case EC_SMC64:
        psci(v);
        skip(v);
        return 0;
    case EC_SYSTEM_REGISTER:
        system_register(v, iss);
        return 0;
    case EC_DATA_ABORT:
        return data_abort(v, iss);
    case EC_INSTRUCTION_ABORT:
        return give_up(v, "it executes code where there is no memory");
    default:
        return give_up(v, "it took an exception that is not handled");
    }
}
