/* SPDX-License-Identifier: MIT
 *
 * mmu/physical.c - guest physical memory: RAM by slot, the local APIC's page, all else by the bus.
 *
 * A device may change the memory map while it answers: no slot or host pointer outlives an access
 * to the bus.
 */
#include "physical.h"

#include <errno.h>
#include <string.h>

#include "../engine.h"
#include "../remote.h"
#include "../trace.h"
#include "tlb.h"

/* An aligned access is one of the host's, whatever the compiler makes of the rest. */
#define DEFINE_HOST(bits, type)                                                                    \
    static uint64_t host_load##bits(const uint8_t *from)                                           \
    {                                                                                              \
        type value;                                                                                \
        if (likely(((uintptr_t)from & (sizeof(type) - 1)) == 0))                                   \
            return __atomic_load_n((const type *)(const void *)from, __ATOMIC_RELAXED);            \
        memcpy(&value, from, sizeof(type));                                                        \
        return value;                                                                              \
    }                                                                                              \
    static void host_store##bits(uint8_t *to, uint64_t wide)                                       \
    {                                                                                              \
        type value = (type)wide;                                                                   \
        if (likely(((uintptr_t)to & (sizeof(type) - 1)) == 0))                                     \
            __atomic_store_n((type *)(void *)to, value, __ATOMIC_RELAXED);                         \
        else                                                                                       \
            memcpy(to, &value, sizeof(type));                                                      \
    }
DEFINE_HOST(8, uint8_t)
DEFINE_HOST(16, uint16_t)
DEFINE_HOST(32, uint32_t)
DEFINE_HOST(64, uint64_t)
#undef DEFINE_HOST

static uint64_t host_load(const uint8_t *from, uint32_t size)
{
    uint64_t value = 0;

    switch (size) {
    case 8:
        return host_load64(from);
    case 4:
        return host_load32(from);
    case 2:
        return host_load16(from);
    case 1:
        return host_load8(from);
    default: /* one part of what crosses pages */
        memcpy(&value, from, size);
        return value;
    }
}

static void host_store(uint8_t *to, uint64_t value, uint32_t size)
{
    switch (size) {
    case 8:
        host_store64(to, value);
        break;
    case 4:
        host_store32(to, value);
        break;
    case 2:
        host_store16(to, value);
        break;
    case 1:
        host_store8(to, value);
        break;
    default:
        memcpy(to, &value, size);
        break;
    }
}

static uint64_t bus_read(struct cpu *c, uint64_t gpa, uint32_t size)
{
    uint64_t value;

    remote_bus_enter(c);
    value = c->bus->mmio_read(c->handle, gpa, size);
    remote_bus_leave(c);
    if (unlikely(c->trace_events))
        trace_mmio(c, false, gpa, value, size);
    return value;
}

static void bus_write(struct cpu *c, uint64_t gpa, uint64_t value, uint32_t size)
{
    remote_bus_enter(c);
    c->bus->mmio_write(c->handle, gpa, value, size);
    remote_bus_leave(c);
    if (unlikely(c->trace_events))
        trace_mmio(c, true, gpa, value, size);
}

uint64_t device_read(struct cpu *c, uint64_t gpa, uint32_t size)
{
    uint64_t value = 0;

    if (!mmu_is_apic(c, gpa) ||
        c->chip->mmio_read(c->chip_self, c->index, (uint32_t)(gpa & ~PAGE_MASK), size, &value) != 0)
        return bus_read(c, gpa, size);
    if (unlikely(c->trace_events))
        trace_mmio(c, false, gpa, value, size);
    return value;
}

void device_write(struct cpu *c, uint64_t gpa, uint64_t value, uint32_t size)
{
    if (!mmu_is_apic(c, gpa) ||
        c->chip->mmio_write(c->chip_self, c->index, (uint32_t)(gpa & ~PAGE_MASK), size, value)) {
        bus_write(c, gpa, value, size);
        return;
    }
    if (unlikely(c->trace_events))
        trace_mmio(c, true, gpa, value, size);
    c->engine->user.deadline_changed(c->engine->user.context, c);
}

/* All of the `size` bytes are in one page, and in the slot. */
static bool in_page(uint64_t gpa, uint32_t size)
{
    return (gpa & ~PAGE_MASK) + size <= PAGE_SIZE;
}

uint64_t physical_read(struct cpu *c, uint64_t gpa, uint32_t size)
{
    const struct memory_slot *slot = memory_slot_at(c->engine, gpa);

    if (slot && in_page(gpa, size))
        return host_load(slot->host + (gpa - slot->gpa), size);
    return bus_read(c, gpa, size);
}

void physical_write(struct cpu *c, uint64_t gpa, uint64_t value, uint32_t size)
{
    struct memory_slot *slot = memory_slot_at(c->engine, gpa);

    if (slot && memory_takes_stores(slot, gpa) && in_page(gpa, size)) {
        host_store(slot->host + (gpa - slot->gpa), value, size);
        if (__atomic_load_n(memory_code_word(slot, gpa), __ATOMIC_SEQ_CST))
            smc_stored(c, gpa, size);
    } else {
        bus_write(c, gpa, value, size);
    }
}

uint64_t piece_read(struct cpu *c, uint64_t gpa, uint32_t size)
{
    return mmu_is_apic(c, gpa) ? device_read(c, gpa, size) : physical_read(c, gpa, size);
}

void piece_write(struct cpu *c, uint64_t gpa, uint64_t value, uint32_t size)
{
    if (mmu_is_apic(c, gpa))
        device_write(c, gpa, value, size);
    else
        physical_write(c, gpa, value, size);
}

/* Bytes that one access to a device takes of `bytes`: up to 8, aligned where it can. */
static uint32_t device_step(uint64_t gpa, uint32_t bytes)
{
    uint32_t step = 8;

    while (step > bytes || (gpa & (step - 1)))
        step /= 2;
    return step;
}

void piece_load(struct cpu *c, uint64_t gpa, uint8_t *to, uint32_t bytes)
{
    const struct memory_slot *slot = memory_slot_at(c->engine, gpa);

    if (slot && !mmu_is_apic(c, gpa)) {
        memcpy(to, slot->host + (gpa - slot->gpa), bytes);
        return;
    }
    while (bytes) {
        uint32_t step = device_step(gpa, bytes);
        uint64_t value = device_read(c, gpa, step);

        memcpy(to, &value, step);
        to += step;
        gpa += step;
        bytes -= step;
    }
}

void piece_store(struct cpu *c, uint64_t gpa, const uint8_t *from, uint32_t bytes)
{
    struct memory_slot *slot = memory_slot_at(c->engine, gpa);

    if (slot && memory_takes_stores(slot, gpa) && !mmu_is_apic(c, gpa)) {
        memcpy(slot->host + (gpa - slot->gpa), from, bytes);
        if (__atomic_load_n(memory_code_word(slot, gpa), __ATOMIC_SEQ_CST))
            smc_stored(c, gpa, bytes);
        return;
    }
    while (bytes) {
        uint32_t step = device_step(gpa, bytes);
        uint64_t value = 0;

        memcpy(&value, from, step);
        device_write(c, gpa, value, step);
        from += step;
        gpa += step;
        bytes -= step;
    }
}
