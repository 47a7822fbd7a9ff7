/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/cpuid.c - x86.cpuid/1: what KVM can offer, put right, and what a vCPU is given.
 *
 * After api.rst: KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2; SDM 2A, CPUID; APM 3, appendix E;
 * Documentation/virt/kvm/x86/cpuid.rst. KVM's answer says what it could do with any user space.
 * What is added, and taken away, for this one:
 *
 *   leaf 1     x2APIC and TSC deadline are the kernel's local APIC's, which we always use; KVM
 * leaves the bits to user space (the second is announced by a capability). The hypervisor bit has
 *              guests look at 0x40000000. VMX and MONITOR are taken away: no register set holds
 *              nested state, and MWAIT would either spin or keep the host's processor. OSXSAVE and
 * the APIC's ID follow the guest, so they are 0 here. Topology is the core's. leaf 5     MONITOR's
 * sizes: gone with it. leaf 6     ARAT alone: the local APIC timer never stops. The rest is the
 * host's power management. leaf 0x12  SGX, with its bits in leaf 7: there is no enclave memory.
 *   leaf 0xB, 0x1F  topology of the host: the core's to compute.
 *   leaf 0x15  the ratio of TSC and core crystal. Given on Intel's only (SDM; reserved on AMD's),
 * with the local APIC's 1 GHz for the crystal, as SDM has the APIC timer run at its frequency: a
 * guest without KVM's clock need calibrate neither. 0x40000001 the paravirtual features are KVM's
 * own word; edx, its hints, would promise the guest that its vCPUs never wait for a processor,
 * which nobody guarantees. 0x40000010 TSC and APIC frequency in kHz, a convention that BSDs read
 * where they find it. 0x80000001 SVM and SKINIT as VMX; 0x8000000A, 0x8000001F (nested paging,
 * memory encryption) with it.
 *
 * Leaves that are all zero are dropped: an absent leaf answers so.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define LEAF1_ECX_MONITOR (1u << 3)
#define LEAF1_ECX_VMX (1u << 5)
#define LEAF1_ECX_X2APIC (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define LEAF1_EBX_BRAND_CLFLUSH 0xffffu
#define LEAF6_EAX_ARAT (1u << 2)
#define LEAF7_EBX_SGX (1u << 2)
#define LEAF7_ECX_SGX_LC (1u << 30)
#define EXT1_ECX_SVM (1u << 2)
#define EXT1_ECX_SKINIT (1u << 12)

#define APIC_KHZ 1000000u /* of the local APIC timer in KVM: one count a ns */
#define HYPERVISOR_BASE 0x40000000u
#define HYPERVISOR_TIMING 0x40000010u

#define ASK_FIRST 256u
#define ASK_MAX 4096u

/* KVM_GET_SUPPORTED_CPUID into memory of its own, or NULL with errno set. */
static struct kvm_cpuid2 *ask_kvm(int device_fd)
{
    for (uint32_t n = ASK_FIRST; n <= ASK_MAX; n *= 2) {
        struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + n * sizeof(c->entries[0]));

        if (!c) {
            errno = ENOMEM;
            return NULL;
        }
        c->nent = n;
        if (ioctl(device_fd, KVM_GET_SUPPORTED_CPUID, c) == 0)
            return c;
        free(c);
        if (errno != E2BIG)
            return NULL;
    }
    return NULL;
}

static bool is_intel(const struct kvm_cpuid2 *c)
{
    /* "GenuineIntel" in EBX, EDX, ECX */
    return c->nent > 0 && c->entries[0].function == 0 && c->entries[0].ebx == 0x756e6547 &&
           c->entries[0].edx == 0x49656e69 && c->entries[0].ecx == 0x6c65746e;
}

/* False: the leaf is not offered. */
static bool fix_leaf(const struct vm *vm, struct bp_x86_cpuid_leaf *l, uint32_t tsc_khz, bool intel)
{
    switch (l->leaf) {
    case 0x1:
        l->ebx &= LEAF1_EBX_BRAND_CLFLUSH;
        l->ecx &= ~(LEAF1_ECX_MONITOR | LEAF1_ECX_VMX | LEAF1_ECX_OSXSAVE);
        l->ecx |= LEAF1_ECX_X2APIC | LEAF1_ECX_HYPERVISOR;
        if (kvm_extension(vm->device_fd, KVM_CAP_TSC_DEADLINE_TIMER))
            l->ecx |= LEAF1_ECX_TSC_DEADLINE;
        break;
    case 0x6:
        l->eax = LEAF6_EAX_ARAT;
        l->ebx = l->ecx = l->edx = 0;
        break;
    case 0x7:
        if (l->subleaf == 0) {
            l->ebx &= ~LEAF7_EBX_SGX;
            l->ecx &= ~LEAF7_ECX_SGX_LC;
        }
        break;
    case 0x5:
    case 0xb:
    case 0x12:
    case 0x1f:
    case 0x8000000a:
    case 0x8000001f:
        return false;
    case 0x15:
        if (!intel || !tsc_khz)
            return false;
        *l = (struct bp_x86_cpuid_leaf){
            .leaf = 0x15, .eax = APIC_KHZ, .ebx = tsc_khz, .ecx = APIC_KHZ * 1000u};
        break;
    case HYPERVISOR_BASE:
        l->eax = tsc_khz ? HYPERVISOR_TIMING : HYPERVISOR_BASE + 1;
        break;
    case HYPERVISOR_BASE + 1:
        l->edx = 0;
        break;
    case 0x80000001:
        l->ecx &= ~(EXT1_ECX_SVM | EXT1_ECX_SKINIT);
        break;
    default:
        break;
    }
    return l->eax || l->ebx || l->ecx || l->edx;
}

static int add_leaf(struct vm *vm, struct bp_x86_cpuid *to, const struct bp_x86_cpuid_leaf *l)
{
    if (to->count == BP_X86_CPUID_MAX) {
        return bp_failf(vm->host, vm->node, -E2BIG,
                        "this host's KVM offers more than %u CPUID leaves", BP_X86_CPUID_MAX);
    }
    to->leaves[to->count++] = *l;
    return 0;
}

int cpuid_offered(struct vm *vm, void *state)
{
    struct bp_x86_cpuid *to = state;
    struct kvm_cpuid2 *from = ask_kvm(vm->device_fd);
    struct bp_x86_cpuid_leaf timing = {.leaf = HYPERVISOR_TIMING, .ebx = APIC_KHZ};
    bool intel, has_arat = false;
    int err = 0, khz;

    if (!from)
        return bp_failf(vm->host, vm->node, -errno, "KVM_GET_SUPPORTED_CPUID failed: %m");
    /* Of the machine, since Linux 5.18; before, only a vCPU knows, and there is none yet. */
    khz = ioctl(vm->fd, KVM_GET_TSC_KHZ, 0);
    timing.eax = khz > 0 ? (uint32_t)khz : 0;
    intel = is_intel(from);
    to->count = 0;
    for (uint32_t i = 0; i < from->nent && !err; i++) {
        const struct kvm_cpuid_entry2 *e = &from->entries[i];
        struct bp_x86_cpuid_leaf l = {
            .leaf = e->function,
            .subleaf = e->index,
            .has_subleaf = (e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
            .eax = e->eax,
            .ebx = e->ebx,
            .ecx = e->ecx,
            .edx = e->edx,
        };

        if (fix_leaf(vm, &l, timing.eax, intel)) {
            has_arat |= l.leaf == 0x6;
            err = add_leaf(vm, to, &l);
        }
    }
    if (!err && !has_arat)
        err = add_leaf(vm, to, &(struct bp_x86_cpuid_leaf){.leaf = 6, .eax = LEAF6_EAX_ARAT});
    if (!err && timing.eax)
        err = add_leaf(vm, to, &timing);
    free(from);
    return err;
}

int cpuid_get(struct vcpu *v, void *regs)
{
    /* As set, not as KVM_GET_CPUID2 has it: that mirrors CR4 and IA32_APIC_BASE in some bits. */
    memcpy(regs, &v->cpuid, sizeof(v->cpuid));
    return 0;
}

int cpuid_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_cpuid *from = regs;
    struct kvm_cpuid2 *to;
    int err = 0;

    if (from->count > BP_X86_CPUID_MAX) {
        return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s: a count of %u is above %u",
                        BP_X86_CPUID, from->count, BP_X86_CPUID_MAX);
    }
    to = calloc(1, sizeof(*to) + from->count * sizeof(to->entries[0]));
    if (!to)
        return bp_failf(v->vm->host, v->vm->node, -ENOMEM, "out of memory");
    to->nent = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        const struct bp_x86_cpuid_leaf *l = &from->leaves[i];

        to->entries[i] = (struct kvm_cpuid_entry2){
            .function = l->leaf,
            .index = l->subleaf,
            .flags = l->has_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = l->eax,
            .ebx = l->ebx,
            .ecx = l->ecx,
            .edx = l->edx,
        };
    }
    if (ioctl(v->fd, KVM_SET_CPUID2, to) != 0) {
        err = errno == E2BIG
                  ? bp_failf(v->vm->host, v->vm->node, -E2BIG,
                             "KVM refuses %u CPUID leaves: kernels before Linux 5.11 take 80",
                             from->count)
                  : bp_failf(
                        v->vm->host, v->vm->node, -errno,
                        "KVM refuses the CPUID table of vCPU %u; once it has run it cannot change: "
                        "%m",
                        v->index);
    } else {
        v->cpuid = *from;
    }
    free(to);
    return err;
}
