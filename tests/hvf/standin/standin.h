/* SPDX-License-Identifier: MIT
 *
 * standin/standin.h - a stand-in for Hypervisor.framework: what its files share, and what tests
 * may ask of it.
 *
 * It has VT-x' semantics (Intel SDM 3C, chapters 24 to 27) on cpu-interp's engine: VMCS fields are
 * words, VM entry checks them and loads the engine's processor, which then runs until an
 * instruction, an access or an event is to exit. Like the framework it is one a process, which is
 * why it has globals.
 *
 * Left out: nested virtualization, SMM, I/O and MSR bitmaps of the caller's, the preemption timer,
 * virtual APICs, host state, and exits from within INT n (the instruction is started again).
 */
#ifndef HVF_STANDIN_H
#define HVF_STANDIN_H

#include "engine.h"

#include <Hypervisor/hv.h>
#include <Hypervisor/hv_vmx.h>

#include <vmx.h>

#define STANDIN_VCPUS 64u
#define STANDIN_REGIONS 32u
#define STANDIN_FIELDS 2048u

/* What a vCPU of the engine gets as its handle. */
struct bp_vcpu {
    struct standin_vcpu *v;
};

struct standin_vcpu {
    struct bp_vcpu handle;
    struct cpu *c;
    pthread_t thread;
    uint32_t interrupted; /* atomic: hv_vcpu_interrupt() was called */
    uint32_t runs;
    uint64_t field[STANDIN_FIELDS]; /* standin_field() */
    uint64_t tpr;
    uint32_t native_msrs; /* bits by native_msr() */
    /* While it runs: */
    uint32_t mnemonic, length;           /* of the instruction that may exit */
    bool resume;                         /* it was done here: go on */
    bool injecting;                      /* the event of the VM entry has not been delivered yet */
    uint32_t vectoring, vectoring_error; /* what is being delivered */
};

struct standin_region {
    uint64_t gpa, size; /* 0: unused */
    uint64_t flags;
};

struct standin {
    pthread_mutex_t lock;
    struct engine *engine; /* NULL: there is no VM */
    struct standin_vcpu *vcpus[STANDIN_VCPUS];
    struct standin_region regions[STANDIN_REGIONS];
    hv_return_t create_result; /* what hv_vm_create() answers */
    uint32_t lacks[5];         /* by hv_vmx_capability_t: allowed-1 bits that are taken away */
};

struct standin *standin(void);

/* ---- for tests ------------------------------------------------------------------------------ */

#pragma GCC visibility push(default)
/* Has hv_vm_create() fail from now on; HV_SUCCESS: no more. */
void standin_refuse(hv_return_t result);
/* Takes bits from what a control may have. */
void standin_lack(hv_vmx_capability_t capability, uint32_t bits);
/* Which rule the last VM entry that was refused broke. */
const char *standin_why(void);
#pragma GCC visibility pop

/* ---- among its files ------------------------------------------------------------------------ */

/* The vCPU of the calling thread, or NULL. */
struct standin_vcpu *standin_vcpu(hv_vcpuid_t id);
/* The word of a VMCS field; NULL if there is no such field. */
uint64_t *standin_field(struct standin_vcpu *v, uint32_t encoding);

static inline uint64_t field_get(struct standin_vcpu *v, uint32_t encoding)
{
    return *standin_field(v, encoding);
}

static inline void field_set(struct standin_vcpu *v, uint32_t encoding, uint64_t value)
{
    *standin_field(v, encoding) = value;
}

/* Bits that must and may be 1. */
uint64_t standin_capability(hv_vmx_capability_t capability);
/* Memory permissions at `gpa`: HV_MEMORY_*, 0: nothing there. */
uint64_t standin_permissions(uint64_t gpa);

/* The checks of VM entry: NULL, or what is wrong. Of controls (SDM 3C, 26.2) and of guest state
 * (26.3). */
const char *entry_check_controls(struct standin_vcpu *v);
const char *entry_check_state(struct standin_vcpu *v);

/* Guest state from the VMCS into the engine's processor, and back. */
void state_load(struct standin_vcpu *v);
void state_save(struct standin_vcpu *v);

/* The engine's hooks and bus: exits.c. */
extern const struct bp_bus exits_bus;
void exits_instruction(void *context, struct cpu *c, uint32_t mnemonic, uint32_t length);
void exits_event(void *context, struct cpu *c);
void exits_boundary(void *context, struct cpu *c);
void exits_task(void *context, struct cpu *c, uint16_t selector, uint32_t reason, uint64_t next);
/* The bit of an MSR that can be native, or 0. */
uint32_t native_msr(uint32_t index);

#endif
