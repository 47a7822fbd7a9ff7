/* SPDX-License-Identifier: MIT
 *
 * backplane/abi.h - the rules that every Backplane interface table follows.
 *
 * 1. The major number is part of the entry symbol: bp_plugin_v0 while anything may still change,
 *    bp_plugin_v1 from release 1.0 on. Under one symbol no table ever changes incompatibly.
 * 2. Every table starts with `uint32_t size`, set by whoever compiled it to sizeof(table). A minor
 *    revision only appends members; a reader asks BP_HAS() before it uses an appended one.
 * 3. The host copies each plugin table once, at load, into a full-size copy of its own with stubs
 *    for absent members, and calls only that copy. What a plugin reads of the host's it may
 *    keep by pointer: host tables live until the last destroy().
 * 4. Fixed-width integers and pointers cross the boundary, nothing else: no enum, long, bool,
 *    bit-field, FILE *, off_t, varargs or implicit padding (the headers build with -Wpadded).
 * 5. Functions return 0, or a count, or a negative errno of the host's libc.
 *
 * Thread tags, one on each function pointer:
 *   [main]  set-up, snapshot and teardown: no vCPU runs, no callback of the instance runs.
 *   [dom]   inside the instance's lock domain, on a vCPU or loop thread; never two at a time.
 *   [vcpu]  on the thread of the vCPU in question; other vCPUs may be in the same function.
 *   [any]   any thread, concurrently.
 * A lock domain is a device together with the backends that it names: net, char, block.
 */
#ifndef BACKPLANE_ABI_H
#define BACKPLANE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define BP_BEGIN extern "C" {
#define BP_END }
#define BP_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define BP_BEGIN
#define BP_END
#define BP_EXPORT extern __attribute__((visibility("default")))
#endif

#define BP_ABI_MAJOR 0u
#define BP_ABI_MINOR 0u

/* Nonzero if `table` was compiled with `member`: the test before using an appended member of a
 * table that did not come through the host. */
#define BP_HAS(table, member)                                                                      \
    ((table)->size >= offsetof(__typeof__(*(table)), member) + sizeof((table)->member))

struct bp_node;   /* the host's handle of one configured instance; first argument of host calls */
struct bp_vcpu;   /* the host's handle of one vCPU */
struct bp_region; /* a range of an address space, mapped or not */

#endif
