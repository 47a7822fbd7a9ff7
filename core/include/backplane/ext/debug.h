/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/debug.h - "bp.debug/1", offered by a CPU backend: steps and breakpoints, for who
 * debugs a guest from outside. The guest sees nothing of it: its own debug registers and TF are as
 * it left them, but where a backend says otherwise in its documentation.
 *
 *     set(STEP)   vcpu_run() -> BP_STOP_DEBUG   why() -> BY_STEP   regs_get()   vcpu_run() ...
 */
#ifndef BACKPLANE_EXT_DEBUG_H
#define BACKPLANE_EXT_DEBUG_H

#include "../abi.h"
BP_BEGIN

#define BP_DEBUG_ID "bp.debug/1"

/* What to stop for, beside the points. */
/* After one instruction, or after an exception or interrupt was delivered, before the first
 * instruction of its handler. HLT is an instruction: the run after it waits. Of a repeated string
 * instruction it is one repetition. */
#define BP_DEBUG_STEP 1u
/* Before an INT3 of the guest, in place of its #BP. */
#define BP_DEBUG_SOFTWARE 2u
/* Stops for nothing; interrupts and NMIs wait while it is set. */
#define BP_DEBUG_HOLD 4u

/* Kinds of points, as in DR7 (SDM 3B, 17.2.4). */
#define BP_DEBUG_EXECUTE 0u /* before the instruction; the next run passes it. `length` is 1 */
#define BP_DEBUG_WRITE 1u   /* after the instruction, likewise */
#define BP_DEBUG_ACCESS 3u  /* reads and writes */

struct bp_debug_point {
    uint64_t address; /* linear; a multiple of `length` */
    uint32_t kind;    /* BP_DEBUG_EXECUTE ... */
    uint32_t length;  /* bytes: 1, 2, 4 or 8 */
};

#define BP_DEBUG_POINTS 4u

struct bp_debug_request {
    uint32_t size;
    uint32_t flags; /* BP_DEBUG_STEP ...; 0 and no point: debugging ends */
    uint32_t point_count;
    uint32_t reserved;
    struct bp_debug_point points[BP_DEBUG_POINTS];
};

/* Why vcpu_run() gave BP_STOP_DEBUG; several may have come together. */
#define BP_DEBUG_BY_STEP 1u
#define BP_DEBUG_BY_SOFTWARE 2u
#define BP_DEBUG_BY_POINT 4u
/* Beside BY_STEP, of a backend that can tell: the step was the delivery of an exception or
 * interrupt, INT n included. */
#define BP_DEBUG_BY_EVENT 8u

struct bp_debug_stop {
    uint32_t size; /* the caller's: no more is written */
    uint32_t reasons;
    uint32_t points; /* bit n: points[n] */
    uint32_t reserved;
};

struct bp_debug {
    uint32_t size;
    uint32_t reserved;
    /* From the next vcpu_run() of `vcpu`, what vcpu_create() made. 0; -EINVAL for what is not
     * described above; -ENOTSUP for what this host lacks, after host->fail(). [vcpu] */
    int (*set)(void *vcpu, const struct bp_debug_request *request);
    /* Of the last BP_STOP_DEBUG; zeroes if there was none. [vcpu] */
    void (*why)(void *vcpu, struct bp_debug_stop *out);
};

/* Is the request sound? For backends: the rules are the same for all. */
static inline int32_t bp_debug_request_is_sound(const struct bp_debug_request *r)
{
    uint32_t i;

    if (r->size < sizeof(*r) || r->point_count > BP_DEBUG_POINTS ||
        (r->flags & ~(BP_DEBUG_STEP | BP_DEBUG_SOFTWARE | BP_DEBUG_HOLD)))
        return 0;
    for (i = 0; i < r->point_count; i++) {
        const struct bp_debug_point *p = &r->points[i];

        if (p->kind != BP_DEBUG_EXECUTE && p->kind != BP_DEBUG_WRITE && p->kind != BP_DEBUG_ACCESS)
            return 0;
        if (p->length != 1 && p->length != 2 && p->length != 4 && p->length != 8)
            return 0;
        if (p->address & (p->length - 1) || (p->kind == BP_DEBUG_EXECUTE && p->length != 1))
            return 0;
    }
    return 1;
}

/* DR7's bits for a point in slot `n`: enabled, kind, length (SDM 3B, 17.2.4). */
static inline uint64_t bp_debug_dr7(const struct bp_debug_point *p, uint32_t n)
{
    uint64_t length = p->length == 8 ? 2u : p->length - 1;

    return (uint64_t)2 << (2 * n) | (uint64_t)p->kind << (16 + 4 * n) | length << (18 + 4 * n);
}

BP_END
#endif
