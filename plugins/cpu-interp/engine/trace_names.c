/* SPDX-License-Identifier: MIT
 *
 * trace_names.c - names of exceptions (SDM 3, table 6-1) and of MSRs (SDM 4, chapter 2; AMD's APM
 * 2, appendix A; KVM's paravirtual ones). MSRs that guests of PCs use, not all that there are.
 */
#include "trace_names.h"

#include <stddef.h>

static const char *const exceptions[32] = {
    [0] = "#DE",  [1] = "#DB",  [2] = "NMI",  [3] = "#BP",  [4] = "#OF",  [5] = "#BR",
    [6] = "#UD",  [7] = "#NM",  [8] = "#DF",  [10] = "#TS", [11] = "#NP", [12] = "#SS",
    [13] = "#GP", [14] = "#PF", [16] = "#MF", [17] = "#AC", [18] = "#MC", [19] = "#XM",
};

/* In ascending order. */
static const struct {
    uint32_t index;
    const char *name;
} msrs[] = {
    {0x10, "IA32_TIME_STAMP_COUNTER"},
    {0x17, "IA32_PLATFORM_ID"},
    {0x1b, "IA32_APIC_BASE"},
    {0x3a, "IA32_FEATURE_CONTROL"},
    {0x3b, "IA32_TSC_ADJUST"},
    {0x48, "IA32_SPEC_CTRL"},
    {0x49, "IA32_PRED_CMD"},
    {0x79, "IA32_BIOS_UPDT_TRIG"},
    {0x8b, "IA32_BIOS_SIGN_ID"},
    {0xce, "MSR_PLATFORM_INFO"},
    {0xe7, "IA32_MPERF"},
    {0xe8, "IA32_APERF"},
    {0xfe, "IA32_MTRRCAP"},
    {0x10a, "IA32_ARCH_CAPABILITIES"},
    {0x10b, "IA32_FLUSH_CMD"},
    {0x122, "IA32_TSX_CTRL"},
    {0x140, "MISC_FEATURE_ENABLES"},
    {0x174, "IA32_SYSENTER_CS"},
    {0x175, "IA32_SYSENTER_ESP"},
    {0x176, "IA32_SYSENTER_EIP"},
    {0x179, "IA32_MCG_CAP"},
    {0x17a, "IA32_MCG_STATUS"},
    {0x1a0, "IA32_MISC_ENABLE"},
    {0x1d9, "IA32_DEBUGCTL"},
    {0x250, "IA32_MTRR_FIX64K_00000"},
    {0x258, "IA32_MTRR_FIX16K_80000"},
    {0x259, "IA32_MTRR_FIX16K_A0000"},
    {0x268, "IA32_MTRR_FIX4K_C0000"},
    {0x269, "IA32_MTRR_FIX4K_C8000"},
    {0x26a, "IA32_MTRR_FIX4K_D0000"},
    {0x26b, "IA32_MTRR_FIX4K_D8000"},
    {0x26c, "IA32_MTRR_FIX4K_E0000"},
    {0x26d, "IA32_MTRR_FIX4K_E8000"},
    {0x26e, "IA32_MTRR_FIX4K_F0000"},
    {0x26f, "IA32_MTRR_FIX4K_F8000"},
    {0x277, "IA32_PAT"},
    {0x2ff, "IA32_MTRR_DEF_TYPE"},
    {0x345, "IA32_PERF_CAPABILITIES"},
    {0x6e0, "IA32_TSC_DEADLINE"},
    {0x802, "IA32_X2APIC_APICID"},
    {0x803, "IA32_X2APIC_VERSION"},
    {0x808, "IA32_X2APIC_TPR"},
    {0x80a, "IA32_X2APIC_PPR"},
    {0x80b, "IA32_X2APIC_EOI"},
    {0x80d, "IA32_X2APIC_LDR"},
    {0x80f, "IA32_X2APIC_SIVR"},
    {0x828, "IA32_X2APIC_ESR"},
    {0x82f, "IA32_X2APIC_LVT_CMCI"},
    {0x830, "IA32_X2APIC_ICR"},
    {0x832, "IA32_X2APIC_LVT_TIMER"},
    {0x833, "IA32_X2APIC_LVT_THERMAL"},
    {0x834, "IA32_X2APIC_LVT_PMI"},
    {0x835, "IA32_X2APIC_LVT_LINT0"},
    {0x836, "IA32_X2APIC_LVT_LINT1"},
    {0x837, "IA32_X2APIC_LVT_ERROR"},
    {0x838, "IA32_X2APIC_INIT_COUNT"},
    {0x839, "IA32_X2APIC_CUR_COUNT"},
    {0x83e, "IA32_X2APIC_DIV_CONF"},
    {0x83f, "IA32_X2APIC_SELF_IPI"},
    {0xda0, "IA32_XSS"},
    {0x4b564d00, "MSR_KVM_WALL_CLOCK_NEW"},
    {0x4b564d01, "MSR_KVM_SYSTEM_TIME_NEW"},
    {0x4b564d02, "MSR_KVM_ASYNC_PF_EN"},
    {0x4b564d03, "MSR_KVM_STEAL_TIME"},
    {0x4b564d04, "MSR_KVM_PV_EOI_EN"},
    {0xc0000080, "IA32_EFER"},
    {0xc0000081, "IA32_STAR"},
    {0xc0000082, "IA32_LSTAR"},
    {0xc0000083, "IA32_CSTAR"},
    {0xc0000084, "IA32_FMASK"},
    {0xc0000100, "IA32_FS_BASE"},
    {0xc0000101, "IA32_GS_BASE"},
    {0xc0000102, "IA32_KERNEL_GS_BASE"},
    {0xc0000103, "IA32_TSC_AUX"},
    {0xc0010015, "HWCR"},
    {0xc0011029, "DE_CFG"},
};

const char *exception_name(uint8_t vector)
{
    return vector < 32 ? exceptions[vector] : NULL;
}

const char *msr_name(uint32_t index)
{
    size_t low = 0, high = sizeof(msrs) / sizeof(msrs[0]);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (msrs[middle].index == index)
            return msrs[middle].name;
        if (msrs[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
