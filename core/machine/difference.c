/* SPDX-License-Identifier: MIT
 *
 * machine/difference.c - in what two states of a vCPU differ, for bp_machine_compare().
 *
 * Left out: registers that stepping or the backends' own interrupt controllers touch (DR6 and DR7,
 * CR8, IA32_APIC_BASE), RF, MSRs, the addresses of the last x87 instruction.
 */
#include "machine/compare.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RFLAGS_RF 0x10000u

void difference_add(struct difference *d, const char *format, ...)
{
    size_t used = strlen(d->text);
    va_list args;

    d->found = true;
    va_start(args, format);
    vsnprintf(d->text + used, sizeof(d->text) - used, format, args);
    va_end(args);
}

static void differs(struct difference *d, const char *name, uint64_t first, uint64_t second)
{
    if (first != second)
        difference_add(d, "  %s: 0x%llx and 0x%llx\n", name, (unsigned long long)first,
                       (unsigned long long)second);
}

static void compare_segment(struct difference *d, const char *name, const struct bp_x86_segment *a,
                            const struct bp_x86_segment *b)
{
    char text[24];

    differs(d, name, a->selector, b->selector);
    if (!(a->attributes & b->attributes & 0x80))
        return;
    snprintf(text, sizeof(text), "%s base", name);
    differs(d, text, a->base, b->base);
    /* Rights: the DPL, L and D. */
    snprintf(text, sizeof(text), "%s rights", name);
    differs(d, text, a->attributes & 0x6060, b->attributes & 0x6060);
}

static void compare_sys(struct difference *d, const struct bp_x86_sys *a,
                        const struct bp_x86_sys *b)
{
    static const char *const names[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr"};
    const struct bp_x86_segment *first = &a->es, *second = &b->es;

    for (uint32_t i = 0; i < 8; i++)
        compare_segment(d, names[i], &first[i], &second[i]);
    differs(d, "gdt base", a->gdt.base, b->gdt.base);
    differs(d, "gdt limit", a->gdt.limit, b->gdt.limit);
    differs(d, "idt base", a->idt.base, b->idt.base);
    differs(d, "idt limit", a->idt.limit, b->idt.limit);
    differs(d, "cr0", a->cr0, b->cr0);
    differs(d, "cr2", a->cr2, b->cr2);
    differs(d, "cr3", a->cr3, b->cr3);
    differs(d, "cr4", a->cr4, b->cr4);
    differs(d, "efer", a->efer, b->efer);
    differs(d, "xcr0", a->xcr0, b->xcr0);
}

void difference_gpr(struct difference *d, const struct bp_x86_gpr *a, const struct bp_x86_gpr *b)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    const uint64_t *first = &a->rax, *second = &b->rax;

    for (uint32_t i = 0; i < 16; i++)
        differs(d, names[i], first[i], second[i]);
    differs(d, "rip", a->rip, b->rip);
    differs(d, "rflags", a->rflags & ~(uint64_t)RFLAGS_RF, b->rflags & ~(uint64_t)RFLAGS_RF);
}

/* A component that XSTATE_BV lacks is in its initial state, whatever the area has. */
static void compare_fpu(struct difference *d, const uint8_t *a, const uint8_t *b)
{
    static const uint8_t initial[FPU_BYTES] = {[0] = 0x7f, [1] = 0x03, [24] = 0x80, [25] = 0x1f};
    static const struct part {
        uint16_t at, bytes, component;
        const char *name;
    } parts[] = {{0, 2, 1, "x87 control word"},
                 {2, 2, 1, "x87 status word"},
                 {4, 1, 1, "x87 tags"},
                 {24, 4, 2, "mxcsr"}};

    for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct part *p = &parts[i];
        uint32_t first = 0, second = 0;

        /* MXCSR is always there. */
        memcpy(&first, a[512] & p->component || p->at == 24 ? a + p->at : initial + p->at,
               p->bytes);
        memcpy(&second, b[512] & p->component || p->at == 24 ? b + p->at : initial + p->at,
               p->bytes);
        differs(d, p->name, first, second);
    }
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t at = i < 8 ? 32 + 16 * i : i < 24 ? 160 + 16 * (i - 8) : 576 + 16 * (i - 24);
        uint8_t component = i < 8 ? 1 : i < 24 ? 2 : 4;
        const uint8_t *first = a[512] & component ? a + at : initial + 128;
        const uint8_t *second = b[512] & component ? b + at : initial + 128;

        if (memcmp(first, second, i < 8 ? 10 : 16) != 0)
            difference_add(d, "  %s%u\n",
                           i < 8    ? "st"
                           : i < 24 ? "xmm"
                                    : "upper half of ymm",
                           i < 8    ? i
                           : i < 24 ? i - 8
                                    : i - 24);
    }
}

void difference_states(struct difference *d, const struct state *a, const struct state *b)
{
    difference_gpr(d, &a->gpr, &b->gpr);
    compare_sys(d, &a->sys, &b->sys);
    if (a->has_fpu && b->has_fpu)
        compare_fpu(d, a->fpu, b->fpu);
}
