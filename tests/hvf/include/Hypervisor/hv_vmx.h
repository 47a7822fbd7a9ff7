/* SPDX-License-Identifier: MIT
 *
 * Hypervisor/hv_vmx.h - the VMX part of the names that plugins/cpu-hvf uses: see hv.h. Encodings of
 * VMCS fields and bits of controls are the Intel SDM's, and the plugin has its own names for them.
 */
#ifndef BACKPLANE_STANDIN_HV_VMX_H
#define BACKPLANE_STANDIN_HV_VMX_H

#include "hv.h"

/* The value: bits that must be 1 in the lower half, bits that may be 1 in the upper half, as the
 * VMX capability MSRs have it (SDM 3D, A.3). */
typedef enum {
    HV_VMX_CAP_PINBASED = 0,
    HV_VMX_CAP_PROCBASED = 1,
    HV_VMX_CAP_PROCBASED2 = 2,
    HV_VMX_CAP_ENTRY = 3,
    HV_VMX_CAP_EXIT = 4
} hv_vmx_capability_t;

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

hv_return_t hv_vmx_read_capability(hv_vmx_capability_t field, uint64_t *value);
hv_return_t hv_vmx_vcpu_read_vmcs(hv_vcpuid_t vcpu, uint32_t field, uint64_t *value);
hv_return_t hv_vmx_vcpu_write_vmcs(hv_vcpuid_t vcpu, uint32_t field, uint64_t value);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
