/* SPDX-License-Identifier: MIT
 *
 * platform/cpuid.h - the one place that decides what CPUID tells a guest.
 *
 * A backend says what it can offer; a level says what is wanted; each vCPU is given the table
 * computed here, whatever the backend. So a guest started under one backend finds the same
 * processor under another that offers as much.
 */
#ifndef PLATFORM_CPUID_H
#define PLATFORM_CPUID_H

#include "base/error.h"

#include <backplane/ext/x86.h>

/* In the order of the `level` key's choices. */
enum cpuid_level {
    CPUID_V2,   /* x86-64-v2 and what docs/machine-file.md lists beside it */
    CPUID_V3,   /* x86-64-v3 likewise */
    CPUID_HOST, /* all that the backend offers */
};

/* Computes the table of vCPU `index` of `cpus`: one socket, `cpus` cores of one thread, APIC ID
 * `index`. Leaves ascend, none stands twice, those that are all zeroes are left out. Bits that
 * mirror what a guest writes (OSXSAVE, OSPKE) are clear and the backend's to show; leaf 0xD's sizes
 * are those of all components of XCR0 enabled. -ENOTSUP, with the missing features by name, if the
 * backend cannot offer the level; -EINVAL for an offer that is no CPUID (no leaf 0 or 1, a leaf
 * twice) or a vCPU beyond `cpus`; -ENOSPC if the result has more than BP_X86_CPUID_MAX leaves.
 * [main] */
int cpuid_compute(const struct bp_x86_cpuid *offered, enum cpuid_level level, uint32_t index,
                  uint32_t cpus, struct bp_x86_cpuid *out, struct error *e);

#endif
