/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/arm64.h - the register sets of arm64 backends, as ext/x86.h has those of x86.
 *
 * Values as in the Arm ARM (DDI 0487). No machine has arm64 processors yet: these are what
 * bp_cpu_ops.regs_get and regs_set move once there is one, and until then may still change.
 */
#ifndef BACKPLANE_EXT_ARM64_H
#define BACKPLANE_EXT_ARM64_H

#include "../abi.h"
BP_BEGIN

#define BP_ARM64_GPR "arm64.gpr/1"
struct bp_arm64_gpr {
    uint64_t x[31];
    uint64_t pc;
    uint64_t pstate; /* as SPSR_ELx has it: C5.2.18 */
};

/* Of EL0 and EL1. */
#define BP_ARM64_SYS "arm64.sys/1"
struct bp_arm64_sys {
    uint64_t sp_el0, sp_el1, elr_el1, spsr_el1;
    uint64_t sctlr_el1, cpacr_el1, ttbr0_el1, ttbr1_el1, tcr_el1, mair_el1, amair_el1;
    uint64_t esr_el1, afsr0_el1, afsr1_el1, far_el1, par_el1, vbar_el1, contextidr_el1;
    uint64_t tpidr_el0, tpidrro_el0, tpidr_el1, cntkctl_el1, mdscr_el1, csselr_el1;
    uint64_t cntv_ctl_el0, cntv_cval_el0;
    uint64_t mpidr_el1; /* set: which processor it is */
};

#define BP_ARM64_SIMD "arm64.simd/1"
struct bp_arm64_simd {
    uint8_t v[32][16]; /* Q0 to Q31, little-endian */
    uint64_t fpcr, fpsr;
};

BP_END
#endif
