/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/debug.c - "bp.debug/1": steps by the monitor trap flag, points in the debug registers.
 *
 * Intel SDM 3C, 25.5.2 (monitor trap flag: an exit after each instruction, and after an event that
 * the entry injected), 27.2.1 (qualification of #DB). While there are points they have DR0 to DR3
 * and DR7; the guest's are kept here, moves to and from them exit, and its own breakpoints do not
 * stop it.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>

#define DR7_FIXED 0x400u
#define DR7_GD 0x2000u
#define DR6_FIXED 0xffff0ff0u
#define DR6_MASK 0xe00fu

/* ---- the guest's registers ------------------------------------------------------------------ */

static hv_x86_reg_t address_register(uint32_t n)
{
    return (hv_x86_reg_t)(HV_X86_DR0 + (int)n);
}

uint64_t dr_read(const struct vcpu *v, uint32_t n)
{
    if (n == 6)
        return reg_read(v, HV_X86_DR6);
    if (n == 7)
        return v->debug.request.point_count ? v->debug.dr7 : field_read(v, VMX_DR7);
    return v->debug.request.point_count ? v->debug.dr[n] : reg_read(v, address_register(n));
}

void dr_write(struct vcpu *v, uint32_t n, uint64_t value)
{
    bool kept = v->debug.request.point_count;

    if (n == 6)
        reg_write(v, HV_X86_DR6, value);
    else if (n == 7 && kept)
        v->debug.dr7 = value;
    else if (n == 7)
        field_write(v, VMX_DR7, value);
    else if (kept)
        v->debug.dr[n] = value;
    else
        reg_write(v, address_register(n), value);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void take_registers(struct vcpu *v, const struct bp_debug_request *r)
{
    uint64_t dr7 = DR7_FIXED;

    for (uint32_t n = 0; n < r->point_count; n++) {
        reg_write(v, address_register(n), r->points[n].address);
        dr7 |= bp_debug_dr7(&r->points[n], n);
    }
    field_write(v, VMX_DR7, dr7);
}

static int debug_set(void *self, const struct bp_debug_request *request)
{
    struct vcpu *v = self;
    uint64_t dr[4], dr7 = dr_read(v, 7), may = 0;
    uint32_t trap;

    if (!bp_debug_request_is_sound(request))
        return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                        "bp.debug/1: that request makes no sense");
    hv_vmx_read_capability(HV_VMX_CAP_PROCBASED, &may);
    if (request->flags & BP_DEBUG_STEP && !(may >> 32 & PROC_TRAP_FLAG))
        return bp_failf(v->vm->host, v->vm->node, -ENOTSUP,
                        "this processor cannot step guests: it lacks the monitor trap flag");
    for (uint32_t n = 0; n < 4; n++)
        dr[n] = dr_read(v, n);
    v->debug.request = *request;
    v->debug.stop = (struct bp_debug_stop){0};
    memcpy(v->debug.dr, dr, sizeof(dr));
    v->debug.dr7 = dr7;
    if (request->point_count) {
        take_registers(v, request);
    } else {
        for (uint32_t n = 0; n < 4; n++)
            dr_write(v, n, dr[n]);
        dr_write(v, 7, dr7);
    }
    trap = request->flags & BP_DEBUG_STEP ? PROC_TRAP_FLAG : 0;
    vmcs_proc_set(v, PROC_TRAP_FLAG, trap != 0);
    vmcs_proc_set(v, PROC_MOV_DR, request->point_count != 0);
    field_write(v, VMX_EXCEPTION_BITMAP,
                1u << EXC_DB | 1u << EXC_AC | 1u << EXC_MC |
                    (request->flags & BP_DEBUG_SOFTWARE ? 1u << EXC_BP : 0));
    return 0;
}

static void debug_why(void *self, struct bp_debug_stop *out)
{
    const struct vcpu *v = self;
    uint32_t size = out->size < sizeof(*out) ? out->size : (uint32_t)sizeof(*out);

    memcpy(out, &v->debug.stop, size);
    out->size = size;
}

const void *debug_table(void)
{
    static const struct bp_debug table = {
        .size = sizeof(table), .set = debug_set, .why = debug_why};

    return &table;
}

/* ---- around the loop ------------------------------------------------------------------------ */

void debug_begin(struct vcpu *v)
{
    v->debug.stop = (struct bp_debug_stop){0};
    v->debug.progress = false;
    if (v->debug.passes)
        field_write(v, VMX_RFLAGS, field_read(v, VMX_RFLAGS) | RFLAGS_RF);
    v->debug.passes = false;
}

bool debug_stops(struct vcpu *v)
{
    if (v->debug.progress && v->debug.request.flags & BP_DEBUG_STEP)
        v->debug.stop.reasons |= BP_DEBUG_BY_STEP;
    v->debug.progress = false;
    return v->debug.stop.reasons != 0;
}

uint64_t debug_points_met(struct vcpu *v, uint64_t qualification)
{
    uint32_t points = (uint32_t)qualification & ((1u << v->debug.request.point_count) - 1);

    if (!points)
        return qualification;
    v->debug.stop.reasons |= BP_DEBUG_BY_POINT;
    v->debug.stop.points = points;
    for (uint32_t n = 0; n < v->debug.request.point_count; n++)
        v->debug.passes |= points >> n & 1 && v->debug.request.points[n].kind == BP_DEBUG_EXECUTE;
    return qualification & ~UINT64_C(0xf);
}

bool debug_takes_int3(struct vcpu *v)
{
    if (!(v->debug.request.flags & BP_DEBUG_SOFTWARE))
        return false;
    v->debug.stop.reasons |= BP_DEBUG_BY_SOFTWARE;
    return true;
}

/* MOV to and from debug registers: qualification, SDM 3C, table 27-4; the rules, SDM 3B, 17.2. */
void debug_register_exit(struct vcpu *v)
{
    uint64_t qualification = field_read(v, VMX_EXIT_QUALIFICATION);
    uint32_t n = qualification & 7, gpr = qualification >> 8 & 15;
    uint64_t value;

    if (n == 4 || n == 5) {
        if (cr4_read(v) & CR4_DE) {
            exit_raise(v, EXC_UD);
            return;
        }
        n += 2;
    }
    if (v->debug.dr7 & DR7_GD) {
        v->debug.dr7 &= ~(uint64_t)DR7_GD;
        reg_write(v, HV_X86_DR6, reg_read(v, HV_X86_DR6) | DR7_GD);
        exit_raise(v, EXC_DB);
        return;
    }
    if (qualification & 0x10) {
        gpr_write(v, gpr, dr_read(v, n));
        exit_skip(v);
        return;
    }
    value = is_64bit(v) ? gpr_read(v, gpr) : (uint32_t)gpr_read(v, gpr);
    if (n >= 6 && value >> 32) {
        exit_raise_error(v, EXC_GP, 0);
        return;
    }
    if (n == 6)
        value = (value & DR6_MASK) | DR6_FIXED;
    if (n == 7)
        value = (value & 0xffff2bff) | DR7_FIXED;
    dr_write(v, n, value);
    exit_skip(v);
}
