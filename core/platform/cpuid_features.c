/* SPDX-License-Identifier: MIT
 *
 * platform/cpuid_features.c - which CPUID bits the levels v2 and v3 need, and which they give if
 * offered.
 *
 * Bits: Intel SDM 2A, CPUID (table 3-8); AMD APM 3, appendix E; KVM's from the Linux kernel's
 * documentation, virt/kvm/x86/cpuid. Levels: x86-64 psABI, 3.1.1, micro-architecture levels.
 *
 * What stands beside the psABI's bits was chosen so: it works alike under every backend that offers
 * it; a kernel is better, or safer, with it; and it needs no state beyond the register sets of
 * ext/x86.h. Hence no AVX in v2, no AVX-512, AMX, PKU, CET, LA57, TSX or MPX in either, no
 * MONITOR/MWAIT (a guest that waits with it holds a core or exits at every wait; HLT does the same
 * for every backend), no performance counters, no VMX or SVM. Of KVM's paravirtual features only
 * the clock and the port delay: the others (steal time, PV EOI, asynchronous page faults, PV IPIs,
 * spin locks, TLB flush, poll control) are a protocol between this host's scheduler and the guest,
 * and a guest that uses them cannot go on under another backend.
 *
 * Mitigations are given wherever offered: without IBRS, STIBP, SSBD, IBPB, MD_CLEAR a Linux guest
 * reports "Vulnerable" or falls back to what is slower; without the "not affected" bits
 * (ARCH_CAPABILITIES, LFENCE_RDTSC, SSB_NO, BTC_NO, NO_NESTED_DATA_BP, AUTOIBRS, SRSO_NO ...) it
 * mitigates what this processor does not have.
 */
#include "platform/cpuid_features.h"

#define F(name_, leaf_, subleaf_, reg_, bit_, kind_)                                               \
    {                                                                                              \
        .name = (name_), .leaf = (leaf_), .subleaf = (subleaf_), .reg = CPUID_##reg_,              \
        .bit = (bit_), .kind = CPUID_##kind_                                                       \
    }

const struct cpuid_feature cpuid_features[] = {
    /* Leaf 1: the x86-64 baseline. APIC mirrors IA32_APIC_BASE.EN; it is set after power on. */
    F("fpu", 1, 0, EDX, 0, NEED_V2),
    F("vme", 1, 0, EDX, 1, MAY_V2),
    F("de", 1, 0, EDX, 2, MAY_V2),
    F("pse", 1, 0, EDX, 3, NEED_V2),
    F("tsc", 1, 0, EDX, 4, NEED_V2),
    F("msr", 1, 0, EDX, 5, NEED_V2),
    F("pae", 1, 0, EDX, 6, NEED_V2),
    F("mce", 1, 0, EDX, 7, MAY_V2),
    F("cx8", 1, 0, EDX, 8, NEED_V2),
    F("apic", 1, 0, EDX, 9, NEED_V2),
    F("sep", 1, 0, EDX, 11, MAY_V2),
    F("mtrr", 1, 0, EDX, 12, MAY_V2),
    F("pge", 1, 0, EDX, 13, MAY_V2),
    F("mca", 1, 0, EDX, 14, MAY_V2),
    F("cmov", 1, 0, EDX, 15, NEED_V2),
    F("pat", 1, 0, EDX, 16, MAY_V2),
    F("pse36", 1, 0, EDX, 17, MAY_V2),
    F("clflush", 1, 0, EDX, 19, MAY_V2),
    F("mmx", 1, 0, EDX, 23, NEED_V2),
    F("fxsr", 1, 0, EDX, 24, NEED_V2),
    F("sse", 1, 0, EDX, 25, NEED_V2),
    F("sse2", 1, 0, EDX, 26, NEED_V2),
    F("ss", 1, 0, EDX, 27,
      MAY_V2), /* self snoop: without it Linux flushes caches at each PAT change */
    /* HTT (28) is computed. */
    F("sse3", 1, 0, ECX, 0, NEED_V2),
    F("pclmulqdq", 1, 0, ECX, 1, MAY_V2),
    F("ssse3", 1, 0, ECX, 9, NEED_V2),
    F("fma", 1, 0, ECX, 12, NEED_V3),
    F("cx16", 1, 0, ECX, 13, NEED_V2),
    F("pcid", 1, 0, ECX, 17, MAY_V3),
    F("sse4_1", 1, 0, ECX, 19, NEED_V2),
    F("sse4_2", 1, 0, ECX, 20, NEED_V2),
    F("x2apic", 1, 0, ECX, 21, MAY_V2),
    F("movbe", 1, 0, ECX, 22, NEED_V3),
    F("popcnt", 1, 0, ECX, 23, NEED_V2),
    F("tsc_deadline_timer", 1, 0, ECX, 24, MAY_V2),
    F("aes", 1, 0, ECX, 25, MAY_V2),
    F("xsave", 1, 0, ECX, 26, NEED_V3), /* OSXSAVE (27) mirrors CR4: the backend's */
    F("avx", 1, 0, ECX, 28, NEED_V3),
    F("f16c", 1, 0, ECX, 29, NEED_V3),
    F("rdrand", 1, 0, ECX, 30, MAY_V2),
    F("hypervisor", 1, 0, ECX, 31, MAY_V2), /* and set in any case */

    F("arat", 6, 0, EAX, 2, MAY_V2),

    /* Leaf 7. */
    F("fsgsbase", 7, 0, EBX, 0, MAY_V2),
    F("tsc_adjust", 7, 0, EBX, 1, MAY_V2),
    F("bmi1", 7, 0, EBX, 3, NEED_V3),
    F("avx2", 7, 0, EBX, 5, NEED_V3),
    F("fdp_excptn_only", 7, 0, EBX, 6, MAY_V2),
    F("smep", 7, 0, EBX, 7, MAY_V2),
    F("bmi2", 7, 0, EBX, 8, NEED_V3),
    F("erms", 7, 0, EBX, 9, MAY_V2),
    F("invpcid", 7, 0, EBX, 10, MAY_V3),
    F("zero_fcs_fds", 7, 0, EBX, 13, MAY_V2),
    F("rdseed", 7, 0, EBX, 18, MAY_V2),
    F("adx", 7, 0, EBX, 19, MAY_V3),
    F("smap", 7, 0, EBX, 20, MAY_V3),
    F("clflushopt", 7, 0, EBX, 23, MAY_V2),
    F("sha_ni", 7, 0, EBX, 29, MAY_V2),
    F("umip", 7, 0, ECX, 2, MAY_V2),
    F("fsrm", 7, 0, EDX, 4, MAY_V2),
    F("srbds_ctrl", 7, 0, EDX, 9, MAY_V2),
    F("md_clear", 7, 0, EDX, 10, MAY_V2),
    F("spec_ctrl", 7, 0, EDX, 26, MAY_V2), /* IBRS and IBPB */
    F("intel_stibp", 7, 0, EDX, 27, MAY_V2),
    F("flush_l1d", 7, 0, EDX, 28, MAY_V2),
    F("arch_capabilities", 7, 0, EDX, 29, MAY_V2),
    F("spec_ctrl_ssbd", 7, 0, EDX, 31, MAY_V2),
    F("fzrm", 7, 1, EAX, 10, MAY_V2),
    F("fsrs", 7, 1, EAX, 11, MAY_V2),
    F("fsrc", 7, 1, EAX, 12, MAY_V2),
    F("intel_psfd", 7, 2, EDX, 0, MAY_V2),
    F("ipred_ctrl", 7, 2, EDX, 1, MAY_V2),
    F("rrsba_ctrl", 7, 2, EDX, 2, MAY_V2),
    F("ddpd_u", 7, 2, EDX, 3, MAY_V2),
    F("bhi_ctrl", 7, 2, EDX, 4, MAY_V2),
    F("mcdt_no", 7, 2, EDX, 5, MAY_V2),

    /* Leaf 0xD. AVX is of no use without its state. */
    F("x87-state", 0xd, 0, EAX, 0, NEED_V3),
    F("sse-state", 0xd, 0, EAX, 1, NEED_V3),
    F("avx-state", 0xd, 0, EAX, 2, NEED_V3),
    F("xsaveopt", 0xd, 1, EAX, 0, MAY_V3),
    F("xsavec", 0xd, 1, EAX, 1, MAY_V3),
    F("xgetbv1", 0xd, 1, EAX, 2, MAY_V3),

    F("kvm-nop-io-delay", 0x40000001, 0, EAX, 1, MAY_V2),
    F("kvm-clocksource2", 0x40000001, 0, EAX, 3, MAY_V2),
    F("kvm-clocksource-stable", 0x40000001, 0, EAX, 24, MAY_V2),

    /* Leaf 0x80000001. CMP_LEGACY (ECX 1), and on AMD the copies of leaf 1 in EDX, are computed. */
    F("lahf_lm", 0x80000001, 0, ECX, 0, NEED_V2),
    F("lzcnt", 0x80000001, 0, ECX, 5, NEED_V3),
    F("3dnowprefetch", 0x80000001, 0, ECX, 8, MAY_V2),
    F("topoext", 0x80000001, 0, ECX, 22, MAY_V2),
    F("syscall", 0x80000001, 0, EDX, 11, NEED_V2),
    F("nx", 0x80000001, 0, EDX, 20, MAY_V2),
    F("mmxext", 0x80000001, 0, EDX, 22, MAY_V2),
    F("pdpe1gb", 0x80000001, 0, EDX, 26, MAY_V2),
    F("rdtscp", 0x80000001, 0, EDX, 27, MAY_V2),
    F("lm", 0x80000001, 0, EDX, 29, NEED_V2),

    F("invariant_tsc", 0x80000007, 0, EDX, 8, MAY_V2),

    F("xsaveerptr", 0x80000008, 0, EBX, 2, MAY_V2),
    F("ibpb", 0x80000008, 0, EBX, 12, MAY_V2),
    F("ibrs", 0x80000008, 0, EBX, 14, MAY_V2),
    F("stibp", 0x80000008, 0, EBX, 15, MAY_V2),
    F("ibrs_always_on", 0x80000008, 0, EBX, 16, MAY_V2),
    F("stibp_always_on", 0x80000008, 0, EBX, 17, MAY_V2),
    F("ibrs_preferred", 0x80000008, 0, EBX, 18, MAY_V2),
    F("ibrs_same_mode", 0x80000008, 0, EBX, 19, MAY_V2),
    F("amd_ssbd", 0x80000008, 0, EBX, 24, MAY_V2),
    F("virt_ssbd", 0x80000008, 0, EBX, 25, MAY_V2),
    F("ssb_no", 0x80000008, 0, EBX, 26, MAY_V2),
    F("amd_psfd", 0x80000008, 0, EBX, 28, MAY_V2),
    F("btc_no", 0x80000008, 0, EBX, 29, MAY_V2),
    F("ibpb_ret", 0x80000008, 0, EBX, 30, MAY_V2),

    F("no_nested_data_bp", 0x80000021, 0, EAX, 0, MAY_V2),
    F("lfence_rdtsc", 0x80000021, 0, EAX, 2, MAY_V2),
    F("verw_clear", 0x80000021, 0, EAX, 5, MAY_V2),
    F("null_sel_clr_base", 0x80000021, 0, EAX, 6, MAY_V2),
    F("autoibrs", 0x80000021, 0, EAX, 8, MAY_V2),
    F("no_smm_ctl_msr", 0x80000021, 0, EAX, 9, MAY_V2),
    F("amd_fsrs", 0x80000021, 0, EAX, 10, MAY_V2),
    F("amd_fsrc", 0x80000021, 0, EAX, 11, MAY_V2),
    F("sbpb", 0x80000021, 0, EAX, 27, MAY_V2),
    F("ibpb_brtype", 0x80000021, 0, EAX, 28, MAY_V2),
    F("srso_no", 0x80000021, 0, EAX, 29, MAY_V2),
    F("srso_user_kernel_no", 0x80000021, 0, EAX, 30, MAY_V2),
    F("tsa_sq_no", 0x80000021, 0, ECX, 1, MAY_V2),
    F("tsa_l1_no", 0x80000021, 0, ECX, 2, MAY_V2),
    {.name = 0},
};

#define ALL 0xffffffffu

const struct cpuid_leaf_rule cpuid_leaf_rules[] = {
    {0x0, CPUID_COMPUTED, {0}},
    {0x1, CPUID_FILTER, {ALL, 0x0000ffff, 0, 0}}, /* signature; brand index and CLFLUSH size */
    {0x2, CPUID_COPY, {0}},                       /* caches, TLBs */
    {0x4, CPUID_COMPUTED, {0}},                   /* caches, and who shares them */
    {0x6, CPUID_FILTER, {0}},
    {0x7, CPUID_FILTER, {0}},
    {0xb, CPUID_COMPUTED, {0}}, /* topology */
    {0xd, CPUID_COMPUTED, {0}}, /* XSAVE */
    {0x15, CPUID_COPY, {0}},    /* TSC frequency, if the backend knows it */
    {0x16, CPUID_COPY, {0}},
    {0x1f, CPUID_COMPUTED, {0}}, /* topology */
    {0x40000000, CPUID_COMPUTED, {0}},
    {0x40000001, CPUID_FILTER, {0}},
    {0x80000000, CPUID_COMPUTED, {0}},
    {0x80000001, CPUID_FILTER, {ALL, ALL, 0, 0}}, /* signature, package type */
    {0x80000002, CPUID_COPY, {0}},                /* brand string */
    {0x80000003, CPUID_COPY, {0}},
    {0x80000004, CPUID_COPY, {0}},
    {0x80000005, CPUID_COPY, {0}}, /* L1, TLBs */
    {0x80000006, CPUID_COPY, {0}}, /* L2, L3 */
    {0x80000007, CPUID_FILTER, {0}},
    {0x80000008, CPUID_FILTER, {ALL, 0, 0, 0}}, /* address sizes */
    {0x80000019, CPUID_COPY, {0}},              /* TLBs of 1 GiB pages */
    {0x8000001a, CPUID_COPY, {0}},              /* performance hints */
    {0x8000001d, CPUID_COMPUTED, {0}},          /* caches, and who shares them */
    {0x8000001e, CPUID_COMPUTED, {0}},          /* topology */
    {0x80000021, CPUID_FILTER, {0}},
};

const uint32_t cpuid_leaf_rule_count = sizeof(cpuid_leaf_rules) / sizeof(cpuid_leaf_rules[0]);
