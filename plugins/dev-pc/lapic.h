/* SPDX-License-Identifier: MIT
 *
 * dev-pc/lapic.h - one local APIC, and the messages that go between them.
 *
 * A local APIC has a lock of its own, which is a leaf: under it only the backend's `attention` and
 * `tsc` are called. Whoever delivers to several takes one lock after the other. Functions marked
 * (locked) are called with it held. References are to the Intel SDM, volume 3A, chapter 11 (chapter
 * 10 before 2022).
 */
#ifndef DEV_PC_LAPIC_H
#define DEV_PC_LAPIC_H

#include <backplane/ext/irqchip.h>
#include <backplane/ext/x86.h>
#include <pthread.h>
#include <stdbool.h>

struct irqchip;

/* Registers by number: their offset in the page is 16 times that (table 11-1). */
enum {
    APIC_ID = 0x02,
    APIC_VERSION = 0x03,
    APIC_TPR = 0x08,
    APIC_APR = 0x09,
    APIC_PPR = 0x0a,
    APIC_EOI = 0x0b,
    APIC_RRD = 0x0c,
    APIC_LDR = 0x0d,
    APIC_DFR = 0x0e,
    APIC_SVR = 0x0f,
    APIC_ISR = 0x10, /* 8 of each */
    APIC_TMR = 0x18,
    APIC_IRR = 0x20,
    APIC_ESR = 0x28,
    APIC_ICR = 0x30,
    APIC_ICR_HIGH = 0x31,
    APIC_LVT_TIMER = 0x32,
    APIC_LVT_THERMAL = 0x33,
    APIC_LVT_PMC = 0x34,
    APIC_LVT_LINT0 = 0x35,
    APIC_LVT_LINT1 = 0x36,
    APIC_LVT_ERROR = 0x37,
    APIC_TIMER_INITIAL = 0x38,
    APIC_TIMER_CURRENT = 0x39,
    APIC_TIMER_DIVIDE = 0x3e,
    APIC_SELF_IPI = 0x3f, /* x2APIC only */
    APIC_REGISTERS = 64,
};

/* IA32_APIC_BASE (figure 11-5, 11-26). */
#define BASE_BSP (UINT64_C(1) << 8)
#define BASE_EXTD (UINT64_C(1) << 10) /* x2APIC mode */
#define BASE_EN (UINT64_C(1) << 11)
#define BASE_ADDRESS UINT64_C(0x000ffffffffff000)
#define BASE_DEFAULT UINT64_C(0xfee00000)

#define SVR_VECTOR 0xffu
#define SVR_ENABLE (1u << 8)
#define SVR_FOCUS (1u << 9) /* writable, no effect since the Pentium 4 */
#define SVR_NO_EOI_BROADCAST (1u << 12)

#define VERSION_NO_EOI_BROADCAST (1u << 24)

/* A local vector table entry (figure 11-8). */
#define LVT_VECTOR 0xffu
#define LVT_MODE 0x700u
#define LVT_MODE_SHIFT 8
#define LVT_POLARITY (1u << 13)
#define LVT_REMOTE_IRR (1u << 14)
#define LVT_LEVEL (1u << 15)
#define LVT_MASKED (1u << 16)
#define LVT_TIMER_MODE (3u << 17)
#define LVT_TIMER_PERIODIC (1u << 17)
#define LVT_TIMER_DEADLINE (2u << 17)

/* Error status (figure 11-9). */
#define ESR_SEND_VECTOR (1u << 5)
#define ESR_RECEIVE_VECTOR (1u << 6)
#define ESR_REGISTER (1u << 7)

/* Delivery modes, of LVT, ICR, messages and redirection entries. */
enum {
    MODE_FIXED = 0,
    MODE_LOWEST = 1,
    MODE_SMI = 2,
    MODE_RESERVED = 3,
    MODE_NMI = 4,
    MODE_INIT = 5,
    MODE_SIPI = 6, /* reserved but in ICR */
    MODE_EXTINT = 7,
};

/* An interrupt on its way to local APICs. */
struct apic_message {
    uint32_t destination; /* an ID, or a logical destination */
    uint8_t vector, mode; /* MODE_* */
    bool logical, level;  /* level: to be told back by EOI */
    bool lowest;          /* to one of those that match only: mode 1, or the hint of an MSI */
    bool broadcast;       /* an IPI to all, whatever mode they are in */
    bool wide;            /* from an x2APIC: 32 bits of destination, 0xff is one of many */
    uint8_t reserved;
};

struct lapic {
    pthread_mutex_t lock;
    struct irqchip *chip;
    struct lapic *next; /* of those detached */
    struct bp_irqchip_vcpu user;
    uint32_t id;          /* the vCPU's index; never changes */
    uint32_t pending;     /* BP_IRQCHIP_*; atomic, written under the lock */
    uint64_t deadline_ns; /* atomic, written under the lock */

    uint64_t base; /* IA32_APIC_BASE */
    uint32_t registers[APIC_REGISTERS];
    uint64_t tsc_deadline; /* 0: not armed */
    uint64_t due_ns;       /* when the count reaches 0; UINT64_MAX: it does not run */
    uint32_t errors;       /* found since ESR was last written */
    bool errors_told;      /* one of them raised the error interrupt: not again before that */
    bool lint[2];          /* levels of the pins */
    bool extint;           /* a message said that the 8259s have something for us */
    uint8_t sipi_vector;
    bool ferr; /* the processor's FERR# is asserted; of ferr.c, under its lock */
    uint8_t reserved;
};

static inline bool lapic_is_on(const struct lapic *l)
{
    return l->base & BASE_EN;
}

static inline bool lapic_is_x2(const struct lapic *l)
{
    return l->base & BASE_EXTD;
}

static inline bool lapic_is_enabled(const struct lapic *l)
{
    return lapic_is_on(l) && (l->registers[APIC_SVR] & SVR_ENABLE);
}

/* ---- lapic.c: interrupts ---- */

/* Everything to its value after power-on, or after INIT. (locked) */
void lapic_reset(struct lapic *l, bool power_on);
/* Registers of the mode that `base` asks for: those lost with it are as after power-on. (locked) */
void lapic_set_base(struct lapic *l, uint64_t base);
/* Computes PPR and what is pending after any change. (locked) */
void lapic_update(struct lapic *l);
/* Adds pending bits other than INTR. (locked) */
void lapic_post(struct lapic *l, uint32_t bits, uint8_t sipi_vector);
/* A message of `mode` arrives. False if the APIC does not take it. (locked) */
bool lapic_accept(struct lapic *l, uint32_t mode, uint8_t vector, bool level);
/* One of the ESR_* errors happened. (locked) */
void lapic_error(struct lapic *l, uint32_t error);
/* The source of LVT entry `entry`, a register number, has an event. (locked) */
void lapic_local(struct lapic *l, uint32_t entry);
/* What unmasking or changing LVT entry `entry` of a LINT pin brings about. (locked) */
void lapic_lint_changed(struct lapic *l, uint32_t pin);
/* The level of pin LINT0 or LINT1. Takes the lock. */
void lapic_lint(struct lapic *l, uint32_t pin, bool level);
/* Ends the interrupt in service: its vector if the I/O APICs must hear of it, else -1. (locked) */
int32_t lapic_eoi(struct lapic *l);
/* The INTA cycle (irqchip.h). Takes the lock, and after it that of the 8259s. */
int32_t lapic_acknowledge(struct lapic *l);
/* True if the 8259s' INTR comes through to the processor when it is up. (locked) */
bool lapic_takes_pic(const struct lapic *l);
bool lapic_matches(const struct lapic *l, const struct apic_message *m); /* (locked) */
/* The highest bit of the 256 in 8 registers from `first` on, or -1. (locked) */
int32_t lapic_highest(const struct lapic *l, uint32_t first);
int lapic_state_get(struct lapic *l, struct bp_x86_lapic *to);         /* takes the lock */
int lapic_state_set(struct lapic *l, const struct bp_x86_lapic *from); /* takes the lock */

/* ---- lapic_registers.c: the processor's accesses; each takes the lock ---- */

int lapic_mmio_read(struct lapic *l, uint32_t offset, uint32_t width, uint64_t *value);
int lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t width, uint64_t value);
int lapic_msr_read(struct lapic *l, uint32_t index, uint64_t *value);
int lapic_msr_write(struct lapic *l, uint32_t index, uint64_t value);
void lapic_tpr_set(struct lapic *l, uint8_t tpr);
/* The writable bits of LVT entry `entry`, a register number. */
uint32_t lapic_lvt_bits(uint32_t entry);

/* ---- lapic_timer.c (locked) ---- */

void lapic_timer_stop(struct lapic *l);
void lapic_timer_start(struct lapic *l, uint32_t initial);
void lapic_timer_mode(struct lapic *l, uint32_t lvt); /* LVT_TIMER is about to become `lvt` */
void lapic_timer_divide(struct lapic *l, uint32_t divide);
uint32_t lapic_timer_current(const struct lapic *l);
void lapic_timer_set_deadline(struct lapic *l, uint64_t tsc);
uint64_t lapic_timer_deadline(const struct lapic *l);
void lapic_timer_expire(struct lapic *l);
/* Continues with `current` ticks left, as a snapshot says. */
void lapic_timer_resume(struct lapic *l, uint32_t current);
void lapic_timer_publish(struct lapic *l);

/* ---- apic_bus.c: takes the local APICs' locks, one at a time ---- */

/* Delivers to every local APIC that matches, but not to `except` (may be NULL). Returns how many
 * took it. */
uint32_t apic_send(struct irqchip *chip, const struct apic_message *m, const struct lapic *except);
/* What the interrupt command register says. */
void apic_send_ipi(struct lapic *from, uint32_t icr, uint32_t destination);
/* An MSI's address and data. */
void apic_send_msi(struct irqchip *chip, uint64_t address, uint32_t data);

#endif
