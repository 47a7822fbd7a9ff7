/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/waiter.h - a guest that waits for an interrupt, and the controllers that let one through.
 */
#ifndef CPU_KVM_WAITER_H
#define CPU_KVM_WAITER_H

#include "rig.h"

#include <string.h>

#define LINE_VECTOR 0x44u /* of line 4: a base's low bits are 0 */
#define HANDLER_AT 0x1800u

/* sti; hlt; jmp back: a guest that waits; an interrupt's handler tells that it came. */
static inline void load_waiter(struct rig *r, uint8_t vector)
{
    static const uint8_t code[] = {0xfb, 0xf4, 0xeb, 0xfd};
    static const uint8_t handler[] = {0xe6, PORT_DONE, 0xcf};
    const uint16_t entry[2] = {HANDLER_AT, 0};
    struct bp_x86_sys sys;

    memcpy(r->ram + HANDLER_AT, handler, sizeof(handler));
    memcpy(r->ram + (size_t)vector * 4, entry, sizeof(entry));
    rig_load_real(r, code, sizeof(code));
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.ss.base = 0;
    sys.ss.selector = 0;
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
}

static inline void enable_lapic(struct rig *r)
{
    struct bp_x86_lapic lapic;

    rig_get(r, 0, BP_X86_LAPIC, &lapic, sizeof(lapic));
    lapic.registers[0xf] |= 0x100;
    rig_set(r, 0, BP_X86_LAPIC, &lapic, sizeof(lapic));
}

static inline void set_up_pic(struct rig *r)
{
    struct bp_x86_pic pic;

    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, &pic, sizeof(pic)), 0);
    pic.chip[0].irq_base = LINE_VECTOR - 4;
    pic.chip[0].imr = 0xef;
    pic.chip[0].init_state = 0;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_PIC, &pic, sizeof(pic)), 0);
}

#endif
