/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/irqchip.h - "bp.irqchip/1", offered by a device that is a PC's interrupt
 * controllers: a local APIC for each vCPU, the I/O APIC and the pair of 8259s. For CPU backends
 * without BP_CPU_IRQCHIP.
 *
 * A local APIC's page is one per vCPU, and a region's callback does not know which vCPU it serves,
 * so it is no region: the backend traps the page at IA32_APIC_BASE, the MSRs named below and CR8,
 * and calls the controller with the vCPU's index, which is also its APIC ID. The I/O APIC and the
 * 8259s are ordinary regions of the device. Its model says BP_MODEL_IRQCHIP.
 *
 * A backend asks its host in vcpu_create(): host->extension(node, BP_IRQCHIP_ID) answers a
 * `const struct bp_peer *`, or NULL if the machine has no such device: then no interrupt ever comes
 * from outside. The answer is good until vm_destroy() returns. A reset of the machine is the
 * device's reset() for the controllers, local APICs included; it comes before vcpu_reset().
 *
 * Threads. Every function is [any] unless it says otherwise, in or outside a domain, and takes
 * leaf locks only (one a local APIC, one for each other chip). It calls back nothing but
 * `attention`, `tsc` and the EOI listener. Functions that take `vcpu` and are tagged [vcpu] stand
 * for that processor's own accesses.
 *
 * Time. The timers of the local APICs need no timer of the host: `deadline_ns` says when the next
 * is due, and the backend calls expire() at or after that time. How it comes to know is its own
 * affair: a comparison every few thousand instructions, a thread that sleeps until the earliest,
 * the time-out of its HLT.
 *
 *     a vCPU's loop:   if (__atomic_load_n(view.deadline_ns, RELAXED) <= now)      expire()
 *                      if (__atomic_load_n(view.pending, ACQUIRE) & what it can take now)
 *                          INIT -> take(), reset(INIT), own INIT;  SIPI -> take();  NMI -> take()
 *                          INTR -> acknowledge() gives the vector
 */
#ifndef BACKPLANE_EXT_IRQCHIP_H
#define BACKPLANE_EXT_IRQCHIP_H

#include "../abi.h"
BP_BEGIN

#define BP_IRQCHIP_ID "bp.irqchip/1"

#define BP_IRQCHIP_VCPUS 4096u /* attach() takes lower indexes */

/* What waits for a vCPU: bits of *bp_irqchip_view.pending (SDM 3A, 11.5.1 and 11.6.1). */
#define BP_IRQCHIP_INTR 1u /* acknowledge() has a vector: for a CPU whose IF is 1 */
#define BP_IRQCHIP_NMI 2u
#define BP_IRQCHIP_SMI 4u
#define BP_IRQCHIP_INIT 8u
#define BP_IRQCHIP_SIPI 16u /* counts only if the CPU waits for it; dropped otherwise */

/* Kinds of reset(). */
#define BP_IRQCHIP_RESET_POWER_ON 0u
#define BP_IRQCHIP_RESET_INIT                                                                      \
    1u /* IA32_APIC_BASE, and so the mode and ID, survive: SDM 3A, 11.4.7.3 */

/* The MSRs that msr_read() and msr_write() answer; x2APIC's are 0x800 to 0x8ff. */
#define BP_IRQCHIP_MSR_APIC_BASE 0x1bu
#define BP_IRQCHIP_MSR_TSC_DEADLINE 0x6e0u
#define BP_IRQCHIP_MSR_X2APIC 0x800u
#define BP_IRQCHIP_MSR_X2APIC_LAST 0x8ffu

/* What a backend gives for each of its vCPUs. Its functions may be called under the lock of the
 * vCPU's local APIC: they must not call the controller, nor wait. */
struct bp_irqchip_vcpu {
    uint32_t size;
    uint32_t reserved;
    void *context; /* first argument of the functions */
    /* A bit of *pending became 1 that was 0, or nothing did. Also called on the vCPU's own thread,
     * from within the calls that it makes itself. [any] */
    void (*attention)(void *context);
    /* The vCPU's time-stamp counter as the guest would read it now. Stands still while guest time
     * does. [any] */
    uint64_t (*tsc)(void *context);
    uint64_t tsc_hz; /* at which it counts guest time; not 0 */
};

/* What attach() gives: words to be read without a lock, until detach(). */
struct bp_irqchip_view {
    uint32_t size; /* the caller's: no more is written */
    uint32_t reserved;
    const uint32_t *pending; /* BP_IRQCHIP_* bits; load-acquire */
    const uint64_t
        *deadline_ns; /* guest time, host->clock_ns(), of the next timer; UINT64_MAX: none */
};

struct bp_irqchip {
    uint32_t size;
    uint32_t reserved;

    /* ---- life ---- */

    /* Gives vCPU `vcpu` a local APIC in its power-on state; all are there before the first runs.
     * `user` is copied. 0 and *view; -EINVAL for an index from BP_IRQCHIP_VCPUS on, or what is
     * missing in `user`; -EEXIST, -ENOMEM. No other vCPU runs. [any] */
    int (*attach)(void *self, uint32_t vcpu, const struct bp_irqchip_vcpu *user,
                  struct bp_irqchip_view *view);
    /* Ends it. No vCPU runs, none will; interrupts may still be raised. -ENOENT. [any] */
    int (*detach)(void *self, uint32_t vcpu);
    /* BP_IRQCHIP_RESET_*. After INIT a SIPI that came meanwhile is still pending. [vcpu] */
    void (*reset)(void *self, uint32_t vcpu, uint32_t kind);

    /* ---- the processor's accesses ---- */

    /* An access of 1 to 8 bytes at `offset`, below 4096, of the local APIC's page. 0; -ENOENT if
     * there is no page now, in x2APIC mode and with the APIC off: the access goes to the bus then.
     * Registers are accessed by aligned doublewords (SDM 3A, 11.4.1): other writes are dropped,
     * other reads give the bytes in question. [vcpu] */
    int (*mmio_read)(void *self, uint32_t vcpu, uint32_t offset, uint32_t width, uint64_t *value);
    int (*mmio_write)(void *self, uint32_t vcpu, uint32_t offset, uint32_t width, uint64_t value);
    /* The MSRs named above. 0; -EINVAL: #GP(0), as for reserved bits, for a register that is absent
     * in x2APIC mode or may not be read or written, for a mode that cannot be entered from the
     * present one, and for x2APIC's outside x2APIC mode (SDM 3A, 11.12). The backend itself refuses
     * what its CPUID lacks: x2APIC, the TSC deadline, physical addresses beyond MAXPHYADDR. [vcpu]
     */
    int (*msr_read)(void *self, uint32_t vcpu, uint32_t index, uint64_t *value);
    int (*msr_write)(void *self, uint32_t vcpu, uint32_t index, uint64_t value);
    /* Bits 7:4 of the task priority register. cr8_set() takes the low 4 bits of `value`; those
     * above them are the backend's to refuse (SDM 3A, 11.8.6). [vcpu] */
    uint64_t (*cr8_get)(void *self, uint32_t vcpu);
    void (*cr8_set)(void *self, uint32_t vcpu, uint64_t value);

    /* ---- interrupts to the processor ---- */

    /* The INTA cycle: the CPU takes an interrupt now. Returns its vector 0..255: of the 8259s, if
     * their INTR reaches this processor (ExtINT), else the highest of its own, now in service. If
     * that has gone meanwhile: the vector that the hardware gives then (IRQ 7 of the 8259s,
     * or the spurious vector; SDM 3A, 11.9); -EAGAIN if the APIC is disabled and no 8259 is behind
     * it: none is to be taken. [vcpu] */
    int32_t (*acknowledge)(void *self, uint32_t vcpu);
    /* Takes those of `bits` (not INTR) that are pending: returns them, and they no longer are.
     * *sipi_vector, which may be NULL, is set with SIPI: the CPU starts at `vector << 12`. [vcpu]
     */
    uint32_t (*take)(void *self, uint32_t vcpu, uint32_t bits, uint32_t *sipi_vector);
    /* Makes `bits` (not INTR) pending, as a message to this processor would: for "x86.events/1",
     * and for a user's NMI. An INIT drops a pending SIPI; a second SIPI before the first is taken
     * is dropped. */
    void (*post)(void *self, uint32_t vcpu, uint32_t bits, uint32_t sipi_vector);

    /* ---- time ---- */

    /* Lets the local APIC's timer expire if it is due, by clock or TSC; harmless if not. */
    void (*expire)(void *self, uint32_t vcpu);
    /* The TSC jumped, the guest wrote it: *deadline_ns is computed anew. [vcpu] */
    void (*tsc_changed)(void *self, uint32_t vcpu);

    /* ---- interrupts from devices ---- */

    /* Line `line` of host->irq_set(), as the router in the host has joined it: to the 8259s below
     * 16, and to the I/O APIC input of the same number, but line 0 to input 2, as a PC is wired.
     * Line 2, their cascade, and those from 24 on go nowhere. */
    void (*line_set)(void *self, uint32_t line, uint32_t level);
    /* A message-signalled interrupt (SDM 3A, 11.11). Bits 11:5 of the address extend the
     * destination to 15 bits, for guests that find KVM's CPUID bit for it. What is no interrupt is
     * dropped, and logged at level GUEST. */
    void (*msi)(void *self, uint64_t address, uint32_t data);
    /* The line to LINT1 of every local APIC: the board's NMI. */
    void (*nmi_set)(void *self, uint32_t level);
    /* `eoi(context, line)` is called, under no lock of the controller, after an interrupt that came
     * in by `line` was ended: at the I/O APIC if level-triggered, at the 8259s always. It may call
     * line_set(). One listener; NULL ends it. [main] */
    void (*eoi_listen)(void *self, void (*eoi)(void *context, uint32_t line), void *context);
    /* 0: the PIT's counter 0 is taken off line 0, where an HPET in legacy replacement mode now
     * stands (HPET 1.0a, 2.3.5); 1: it is back. */
    void (*timer_connect)(void *self, uint32_t on);

    /* ---- state ---- */

    /* The sets of x86.h: "x86.lapic/1" of vCPU `vcpu`; "x86.pic/1", "x86.ioapic/1" and "x86.pit/1",
     * for which `vcpu` is ignored. -ENOENT for another set or a vCPU not attached; -EINVAL for a
     * wrong size, or a state that no chip can be in. The mode of a local APIC comes first: by
     * apic_base_set(). Levels in the state stand for lines that will be told again, or fall. [main]
     */
    int (*state_get)(void *self, uint32_t vcpu, const char *set, void *state, uint32_t size);
    int (*state_set)(void *self, uint32_t vcpu, const char *set, const void *state, uint32_t size);
    /* IA32_APIC_BASE without the rules for changes of mode: for "x86.sys/1". -EINVAL for reserved
     * bits, and for x2APIC without enable. [main] */
    int (*apic_base_set)(void *self, uint32_t vcpu, uint64_t value);

    /* ---- the coprocessor's errors ---- */

    /* The processor's FERR# has this level: 1 at a waiting x87 or MMX instruction that finds an
     * unmasked exception pending while CR0.NE is 0, 0 when it no longer is (SDM 1, 8.7.2 and
     * appendix D). Raises IRQ 13. Returns IGNNE#: 1 if the instruction shall ignore the exception,
     * else the processor stands still before it until an interrupt comes. When IGNNE# rises the
     * `attention` of every vCPU is called. May be missing: as if IGNNE# were always 1. Takes the
     * locks of irq_set() besides. [vcpu] */
    uint32_t (*ferr_set)(void *self, uint32_t vcpu, uint32_t level);
};

BP_END
#endif
