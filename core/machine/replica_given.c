/* SPDX-License-Identifier: MIT
 *
 * machine/replica_given.c - steps that a second backend of bp_machine_compare() which steps by TF
 * does not run: those that would lose TF, show it, or wait. It is given the first's registers after
 * them, and the frame on the stack; what else they write to memory record.c has copied.
 */
#include "machine/compare.h"

#include <string.h>

#define RFLAGS_VM 0x20000u

const uint8_t *state_opcode(const struct state *s, uint32_t *left)
{
    uint32_t i = 0;

    while (i < s->code_bytes) {
        uint8_t b = s->code[i];

        if (b != 0x66 && b != 0x67 && b != 0xf2 && b != 0xf3 && b != 0x2e && b != 0x36 &&
            b != 0x3e && b != 0x26 && b != 0x64 && b != 0x65 && b != 0xf0 &&
            !((b & 0xf0) == 0x40 && s->sys.efer & 0x400 && s->sys.cs.attributes & 0x2000))
            break;
        i++;
    }
    *left = s->code_bytes - i;
    return s->code + i;
}

#define MSR_TSC 0x10u

bool state_reads_the_world(const struct state *s, const struct bp_x86_gpr *before)
{
    uint32_t left;
    const uint8_t *o = state_opcode(s, &left);

    if (left < 2 || o[0] != 0x0f)
        return false;
    if (o[1] == 0x31 || o[1] == 0x33)
        return true;
    if (o[1] == 0x32)
        return (uint32_t)before->rcx == MSR_TSC;
    if (left < 3)
        return false;
    if (o[1] == 0x01)
        return o[2] == 0xf9;
    return o[1] == 0xc7 && o[2] >= 0xf0; /* of registers: /6 and /7 */
}

/* Ports and addresses of a PC's interrupt controllers and PIT, which such a backend keeps to
 * itself. */
static bool is_of_own_chip(const struct event *e)
{
    uint64_t a = e->address;

    if (e->kind == EVENT_PORT_READ || e->kind == EVENT_PORT_WRITE)
        return (a & ~UINT64_C(1)) == 0x20 || (a & ~UINT64_C(1)) == 0xa0 ||
               (a & ~UINT64_C(1)) == 0x4d0 || (a & ~UINT64_C(3)) == 0x40 || a == 0x61;
    if (e->kind == EVENT_MEMORY_READ || e->kind == EVENT_MEMORY_WRITE)
        return a >> 12 == 0xfec00 || a >> 12 == 0xfee00;
    return true;
}

/* The CPL: the DPL of SS, which is 0 in real mode and 3 in virtual-8086 mode. */
static uint32_t ring(const struct state *s)
{
    return s->sys.ss.attributes >> 5 & 3;
}

/* By an interrupt, far CALL or JMP, or IRET; LTR loads the register, too. */
bool state_enters_task(const struct state *from, const struct state *s)
{
    uint32_t left;
    const uint8_t *o = state_opcode(s, &left);
    bool is_ltr = left > 2 && o[0] == 0x0f && o[1] == 0x00 && (o[2] >> 3 & 7) == 3;

    return from->sys.tr.selector != s->sys.tr.selector && !is_ltr;
}

bool state_enters_ring(const struct state *from, const struct state *s)
{
    return ring(s) < ring(from);
}

/* Is the I/O bitmap asked for a port? */
static bool needs_bitmap(const struct state *from)
{
    return ring(from) > (from->gpr.rflags >> 12 & 3) || from->gpr.rflags & RFLAGS_VM;
}

/* HLT would wait in the kernel; PUSHF shows TF; ways into another ring or task clear TF, and PAUSE
 * may lose it. Where the I/O bitmap is asked a processor that QEMU emulates does not take TR as KVM
 * sets it. */
bool replica_is_given(const struct recording *first, const struct state *from,
                      const struct state *s)
{
    uint32_t left;
    const uint8_t *o = state_opcode(s, &left);

    for (uint32_t i = from == &first->before ? 0 : from->end; i < s->end; i++)
        if (is_of_own_chip(&first->events[i]) ||
            (first->events[i].kind <= EVENT_PORT_WRITE && needs_bitmap(from)))
            return true;
    return s->is_delivery || (left && (o[0] == 0x9c || o[0] == 0xf4)) ||
           (left && o > s->code && o[0] == 0x90 && o[-1] == 0xf3) ||
           (left > 1 && o[0] == 0x0f && (o[1] == 0x05 || o[1] == 0x34)) ||
           state_enters_ring(from, s) || state_enters_task(from, s);
}

int replica_give(struct replica *r, struct bp_vcpu *v, const struct state *s)
{
    uint8_t *frame = s->frame_bytes ? replica_memory(r, s->frame_gpa, s->frame_bytes) : NULL;
    /* It may have taken HLT along, behind STI. */
    const struct bp_x86_mp runs = {.state = BP_X86_MP_RUNNABLE};
    int err = v->ops->regs_set(v->self, BP_X86_MP, &runs, sizeof(runs));

    if (!err)
        err = v->ops->regs_set(v->self, BP_X86_SYS, &s->sys, sizeof(s->sys));
    if (!err)
        err = v->ops->regs_set(v->self, BP_X86_GPR, &s->gpr, sizeof(s->gpr));
    if (!err && frame) {
        memcpy(frame, s->frame, s->frame_bytes);
        v->ops->code_changed(r->vm, s->frame_gpa, s->frame_bytes);
    }
    return err;
}
