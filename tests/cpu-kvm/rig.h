/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/rig.h - a machine of one CPU backend, some RAM and a bus that writes down what it is
 * asked.
 *
 * Guests are a few bytes of code. One that is done writes to port PORT_DONE, upon which the bus
 * kicks its vCPU and vcpu_run() returns. Every rig has an alarm: a guest that hangs ends the test
 * program.
 */
#ifndef CPU_KVM_RIG_H
#define CPU_KVM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <backplane/ext/x86.h>
#include <backplane/plugin.h>
#include <stdbool.h>

#define RIG_RAM_BYTES 0x80000u
#define RIG_CODE_AT 0x1000u
#define RIG_STACK_TOP 0x7000u
#define REAL_MMIO 0xd0000u  /* DS in real mode; no memory there */
#define LONG_MMIO 0x200000u /* mapped, two pages and more; no memory there */
#define PORT_DONE 0xf4u
#define RIG_ACCESSES 256u
#define RIG_VCPUS 4u
#define RIG_SECONDS 60u

struct access {
    bool mmio, write;
    uint32_t width;
    uint64_t address, value;
};

struct rig {
    const struct bp_cpu_ops *ops;
    void *vm;
    void *vcpus[RIG_VCPUS]; /* the first is created by rig_new() on the calling thread */
    struct bp_vcpu *handles[RIG_VCPUS];
    uint8_t *ram;
    uint64_t answer; /* what reads give, cut to width; plus 1 each time */
    struct access accesses[RIG_ACCESSES];
    unsigned access_count;
    void (*on_access)(struct rig *r, const struct access *a); /* or NULL */
    void *context;                                            /* the test's */
    uint32_t done;                                            /* bit a vCPU */
};

/* The backend of the rigs that are made from now on: "cpu-kvm", as at the start, or another. */
void rig_backend(const char *plugin);
/* Does it bring interrupt controllers? */
bool rig_has_controllers(void);
/* Those that rigs offer from now on as "bp.irqchip/1"; NULL, as at the start: none. */
void rig_offer_controllers(const struct bp_peer *chip);
/* The plugin's operations. */
const struct bp_cpu_ops *rig_ops(void);
/* The host that rigs use, for calls without one, and its node. */
const struct bp_host *rig_host(void);
struct bp_node *rig_node(void);
/* The last sentence given to host->fail() and the last log line; "" if none. Cleared by rig_new().
 */
const char *rig_failure(void);
const char *rig_log(unsigned from_last);
uint32_t rig_log_level(void); /* of the last log line */
void rig_forget(void);

/* A machine with vCPU 0, reset; or the test is skipped, with the reason, where KVM is not to be
 * had. */
struct rig *rig_new(uint32_t vcpus);
void rig_free(struct rig *r);
/* Creates and resets another vCPU on the calling thread, and destroys it there. */
void rig_add_vcpu(struct rig *r, uint32_t index);
void rig_remove_vcpu(struct rig *r, uint32_t index);

/* Puts code at RIG_CODE_AT and vCPU 0 at its start, in real mode with DS at REAL_MMIO, or in long
 * mode at CPL 0 with RDI at LONG_MMIO; RDX and DX are 0x80, RCX 4, RSI 0x2000. */
void rig_load_real(struct rig *r, const void *code, size_t length);
void rig_load_long(struct rig *r, const void *code, size_t length);
/* BP_TIME_*: the backend's, and the host's clock with it. */
void rig_time(struct rig *r, uint32_t runs);
/* Runs vCPU 0 and wants it to return `reason`. */
void rig_run(struct rig *r, int reason);
void rig_get(struct rig *r, uint32_t vcpu, const char *set, void *regs, uint32_t size);
void rig_set(struct rig *r, uint32_t vcpu, const char *set, const void *regs, uint32_t size);
/* Wants access `n` to have been just this one. */
void rig_expect(struct rig *r, unsigned n, bool mmio, bool write, uint64_t address, uint64_t value,
                uint32_t width);

#endif
