/* SPDX-License-Identifier: MIT
 *
 * platform/cpuid_features.h - the feature bits and the leaves that CPUID levels know, as data.
 *
 * A bit that is not in the table is given to no guest but one of level `host`.
 */
#ifndef PLATFORM_CPUID_FEATURES_H
#define PLATFORM_CPUID_FEATURES_H

#include <stdint.h>

enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX, CPUID_REGISTERS };

/* Whom a feature is for. */
enum cpuid_class {
    CPUID_NEED_V2, /* without it no v2, nor v3 */
    CPUID_MAY_V2,  /* v2 and v3 give it if the backend offers it */
    CPUID_NEED_V3, /* without it no v3; v2 does not give it */
    CPUID_MAY_V3,  /* v3 gives it if the backend offers it; v2 does not */
};

struct cpuid_feature {
    const char *name; /* as Linux spells it in /proc/cpuinfo, where it does */
    uint32_t leaf, subleaf;
    uint8_t reg, bit; /* enum cpuid_register, 0..31 */
    uint8_t kind;     /* enum cpuid_class */
    uint8_t reserved;
};

/* Ends with name == NULL. */
extern const struct cpuid_feature cpuid_features[];

/* What v2 and v3 do with a leaf. One that is not in the table is not given to them. */
enum cpuid_rule {
    CPUID_COPY,     /* as offered */
    CPUID_FILTER,   /* the bits of cpuid_features that the level has, subleaf by subleaf */
    CPUID_COMPUTED, /* by code of its own in cpuid.c */
};

struct cpuid_leaf_rule {
    uint32_t leaf;
    uint32_t rule;                  /* enum cpuid_rule */
    uint32_t keep[CPUID_REGISTERS]; /* with FILTER: bits that are no features and are copied too */
};

extern const struct cpuid_leaf_rule cpuid_leaf_rules[];
extern const uint32_t cpuid_leaf_rule_count;

#endif
