/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/fake_kvm.h - a kernel's KVM of which each answer is the test's.
 *
 * The test program exports an ioctl(), an open() and a stat() of its own, which the plugin finds
 * before the C library's. Device, VM and vCPU are memory files, so that mmap() works on them.
 * Nothing is run: KVM_RUN asks the test's script what the guest did.
 */
#ifndef CPU_KVM_FAKE_KVM_H
#define CPU_KVM_FAKE_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fake_kvm {
    bool on;            /* off: all calls are the kernel's */
    int open_errno;     /* of opening /dev/kvm, 0: it opens */
    mode_t device_mode; /* what stat() says of it */
    gid_t device_group;
    uid_t user;             /* of the process */
    int api_version;        /* negative: no KVM device */
    unsigned long missing;  /* a capability that is absent; UINT64_MAX: none */
    int create_errno;       /* of KVM_CREATE_VM */
    unsigned create_eintrs; /* that KVM_CREATE_VM fails with EINTR first */
    unsigned long refused;  /* a request that fails with `refused_errno` */
    int refused_errno;
    uint32_t max_vcpus;
    bool has_xsave; /* what CPUID leaf 1 offers */
    uint64_t xcr0;  /* as KVM was told it */
    uint64_t rflags;
    struct kvm_guest_debug debug; /* as KVM was told last, and how often it was */
    unsigned debugs;
    int debug_flags; /* that KVM_CAP_SET_GUEST_DEBUG2 offers */
    /* The guest: fills in `run` and returns what KVM_RUN does, -1 with errno set, or 0. `n` counts.
     */
    int (*script)(struct kvm_run *run, unsigned n);
    unsigned runs;
};

/* The one that the calls go to. */
struct fake_kvm *fake_kvm(void);
/* On, with every answer as of a good KVM, and no script. */
void fake_kvm_reset(void);

#endif
