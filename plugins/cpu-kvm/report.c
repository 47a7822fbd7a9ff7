/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/report.c - what is said when KVM_RUN gives up: the reason in a sentence, then the
 * registers and the bytes at RIP, as one needs them to tell a broken guest from a KVM that cannot
 * run it.
 *
 * After api.rst: chapter 5, the kvm_run structure, and KVM_TRANSLATE.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define INSTRUCTION_BYTES 15u /* the longest there is (SDM 2A, 2.3.11) */

static const char *const exit_names[] = {
    [KVM_EXIT_UNKNOWN] = "KVM_EXIT_UNKNOWN",
    [KVM_EXIT_EXCEPTION] = "KVM_EXIT_EXCEPTION",
    [KVM_EXIT_IO] = "KVM_EXIT_IO",
    [KVM_EXIT_HYPERCALL] = "KVM_EXIT_HYPERCALL",
    [KVM_EXIT_DEBUG] = "KVM_EXIT_DEBUG",
    [KVM_EXIT_HLT] = "KVM_EXIT_HLT",
    [KVM_EXIT_MMIO] = "KVM_EXIT_MMIO",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "KVM_EXIT_IRQ_WINDOW_OPEN",
    [KVM_EXIT_SHUTDOWN] = "KVM_EXIT_SHUTDOWN",
    [KVM_EXIT_FAIL_ENTRY] = "KVM_EXIT_FAIL_ENTRY",
    [KVM_EXIT_INTR] = "KVM_EXIT_INTR",
    [KVM_EXIT_SET_TPR] = "KVM_EXIT_SET_TPR",
    [KVM_EXIT_TPR_ACCESS] = "KVM_EXIT_TPR_ACCESS",
    [KVM_EXIT_NMI] = "KVM_EXIT_NMI",
    [KVM_EXIT_INTERNAL_ERROR] = "KVM_EXIT_INTERNAL_ERROR",
    [KVM_EXIT_SYSTEM_EVENT] = "KVM_EXIT_SYSTEM_EVENT",
    [KVM_EXIT_IOAPIC_EOI] = "KVM_EXIT_IOAPIC_EOI",
    [KVM_EXIT_HYPERV] = "KVM_EXIT_HYPERV",
    [KVM_EXIT_X86_RDMSR] = "KVM_EXIT_X86_RDMSR",
    [KVM_EXIT_X86_WRMSR] = "KVM_EXIT_X86_WRMSR",
    [KVM_EXIT_DIRTY_RING_FULL] = "KVM_EXIT_DIRTY_RING_FULL",
    [KVM_EXIT_AP_RESET_HOLD] = "KVM_EXIT_AP_RESET_HOLD",
    [KVM_EXIT_X86_BUS_LOCK] = "KVM_EXIT_X86_BUS_LOCK",
    [KVM_EXIT_XEN] = "KVM_EXIT_XEN",
};

const char *report_exit_name(uint32_t reason)
{
    if (reason >= sizeof(exit_names) / sizeof(exit_names[0]) || !exit_names[reason])
        return "an unknown exit";
    return exit_names[reason];
}

static const char *internal_error_name(uint32_t suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "it cannot emulate the instruction";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
        return "two exceptions at once";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "an exit while it delivered an event";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
        return "the processor gave an exit that it does not know";
    default:
        return "no further reason";
    }
}

/* "0f 0b 90", or why they cannot be had. */
static void instruction_text(struct vcpu *v, uint64_t linear, char *text, size_t size)
{
    size_t used = 0;

    for (uint64_t i = 0; i < INSTRUCTION_BYTES && used + 4 < size; i++) {
        struct kvm_translation at = {.linear_address = linear + i};
        const uint8_t *byte;
        uint64_t length;

        if (ioctl(v->fd, KVM_TRANSLATE, &at) != 0 || !at.valid)
            break;
        byte = vm_memory(v->vm, at.physical_address, &length);
        if (!byte)
            break;
        used += (size_t)snprintf(text + used, size - used, "%s%02x", i ? " " : "", *byte);
    }
    if (used == 0)
        snprintf(text, size, "unreadable");
}

static void log_registers(struct vcpu *v, const struct kvm_regs *r, const struct kvm_sregs *s)
{
    const struct bp_host *host = v->vm->host;
    struct bp_node *node = v->vm->node;

    bp_logf(host, node, BP_LOG_ERROR,
            "vCPU %u: rax %016llx rbx %016llx rcx %016llx rdx %016llx rsi %016llx rdi %016llx rsp "
            "%016llx rbp %016llx",
            v->index, r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp, r->rbp);
    bp_logf(host, node, BP_LOG_ERROR,
            "vCPU %u: r8 %016llx r9 %016llx r10 %016llx r11 %016llx r12 %016llx r13 %016llx r14 "
            "%016llx r15 %016llx",
            v->index, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15);
    bp_logf(host, node, BP_LOG_ERROR,
            "vCPU %u: rip %016llx rflags %08llx cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer "
            "%04llx apic_base %llx",
            v->index, r->rip, r->rflags, s->cr0, s->cr2, s->cr3, s->cr4, s->efer, s->apic_base);
    bp_logf(
        host, node, BP_LOG_ERROR,
        "vCPU %u: cs %04x base %llx ss %04x base %llx ds %04x es %04x fs %04x base %llx gs %04x "
        "base %llx tr %04x base %llx gdt %llx idt %llx",
        v->index, s->cs.selector, s->cs.base, s->ss.selector, s->ss.base, s->ds.selector,
        s->es.selector, s->fs.selector, s->fs.base, s->gs.selector, s->gs.base, s->tr.selector,
        s->tr.base, s->gdt.base, s->idt.base);
}

static void reason_text(const struct vcpu *v, int err, char *text, size_t size)
{
    const struct kvm_run *run = v->run;

    if (err) {
        errno = err;
        snprintf(text, size, "KVM_RUN failed: %m");
        return;
    }
    switch (run->exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
        snprintf(text, size, "KVM_RUN ended in KVM_EXIT_INTERNAL_ERROR %u (%s)",
                 run->internal.suberror, internal_error_name(run->internal.suberror));
        break;
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(text, size,
                 "KVM_RUN ended in KVM_EXIT_FAIL_ENTRY (the processor refuses the guest's state, "
                 "hardware reason 0x%llx)",
                 run->fail_entry.hardware_entry_failure_reason);
        break;
    case KVM_EXIT_UNKNOWN:
        snprintf(text, size, "KVM_RUN ended in KVM_EXIT_UNKNOWN (hardware reason 0x%llx)",
                 run->hw.hardware_exit_reason);
        break;
    default:
        snprintf(text, size, "KVM_RUN ended in %s (number %u), which this machine does not use",
                 report_exit_name(run->exit_reason), run->exit_reason);
        break;
    }
}

int report_stopped(struct vcpu *v, int err)
{
    struct vm *vm = v->vm;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    char reason[256], bytes[3 * INSTRUCTION_BYTES + 4];

    reason_text(v, err, reason, sizeof(reason));
    if (ioctl(v->fd, KVM_GET_REGS, &regs) != 0 || ioctl(v->fd, KVM_GET_SREGS, &sregs) != 0) {
        return bp_failf(vm->host, vm->node, err ? -err : -EIO,
                        "vCPU %u: %s; its registers cannot be read", v->index, reason);
    }
    instruction_text(v, sregs.cs.base + regs.rip, bytes, sizeof(bytes));
    log_registers(v, &regs, &sregs);
    return bp_failf(vm->host, vm->node, err ? -err : -EIO,
                    "vCPU %u: %s at %04x:%016llx, instruction bytes %s", v->index, reason,
                    sregs.cs.selector, regs.rip, bytes);
}
