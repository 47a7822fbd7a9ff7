/* SPDX-License-Identifier: MIT
 *
 * decode/features.h - what an instruction needs CPUID to announce.
 *
 * cpu.features holds one bit for each, computed from the table that cpu_cpuid_set() is given; the
 * builder gives #UD for an instruction whose feature is absent.
 */
#ifndef INTERP_FEATURES_H
#define INTERP_FEATURES_H

#include "../cpu.h"

enum feature {
    FEATURE_BASE, /* always there */
    FEATURE_X87,
    FEATURE_CMOV,
    FEATURE_CX8,
    FEATURE_CX16,
    FEATURE_MMX,
    FEATURE_FXSR,
    FEATURE_SSE,
    FEATURE_SSE2,
    FEATURE_SSE3,
    FEATURE_SSSE3,
    FEATURE_SSE41,
    FEATURE_SSE42,
    FEATURE_POPCNT,
    FEATURE_AES,
    FEATURE_PCLMUL,
    FEATURE_SHA,
    FEATURE_GFNI,
    FEATURE_MOVBE,
    FEATURE_LZCNT,
    FEATURE_BMI1,
    FEATURE_BMI2,
    FEATURE_ADX,
    FEATURE_F16C,
    FEATURE_FMA,
    FEATURE_AVX,
    FEATURE_AVX2,
    FEATURE_XSAVE,
    FEATURE_XSAVEOPT,
    FEATURE_XSAVEC,
    FEATURE_XSAVES,
    FEATURE_SYSCALL,
    FEATURE_SEP,
    FEATURE_LONG,
    FEATURE_LAHF64,
    FEATURE_FSGSBASE,
    FEATURE_RDTSCP,
    FEATURE_RDRAND,
    FEATURE_RDSEED,
    FEATURE_RDPID,
    FEATURE_SMEP,
    FEATURE_SMAP,
    FEATURE_UMIP,
    FEATURE_PCID,
    FEATURE_INVPCID,
    FEATURE_CLFLUSH,
    FEATURE_CLFLUSHOPT,
    FEATURE_CLWB,
    FEATURE_PREFETCHW,
    FEATURE_SERIALIZE,
    FEATURE_NX,
    FEATURE_PAGE1GB,
    FEATURE_PGE,
    FEATURE_TSC_DEADLINE,
    FEATURE_X2APIC,
    FEATURE_ABSENT, /* what the engine does not have at all */
    FEATURES
};

static inline bool cpu_has(const struct cpu *c, enum feature f)
{
    return c->features[f >> 6] >> (f & 63) & 1;
}

#endif
