/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/memory.c - guest memory as the guest's processor would access it, for what is emulated;
 * and which pages it writes.
 *
 * Intel SDM 3A, chapter 4: page walks with the rights of the access. The hardware has checked the
 * access that exited; other operands of its instruction it has not. Left out: setting A and D (the
 * tables of what exits have them already, those of a string's other operand lack them at worst),
 * protection keys, reserved bits.
 *
 * Dirty pages: a slot that is logged is mapped without write permission, and the first write of
 * each page comes here as an EPT violation.
 */
#include "hvf.h"

#include <backplane/ext/dirty_log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u
#define PAGE_MASK (~UINT64_C(0xfff))

/* ---- physical memory ------------------------------------------------------------------------ */

/* Holds vm->lock. */
static struct memory_slot *slot_at(struct vm *vm, uint64_t gpa)
{
    for (uint32_t i = 0; i < HVF_SLOTS; i++)
        if (gpa - vm->slots[i].gpa < vm->slots[i].length)
            return &vm->slots[i];
    return NULL;
}

enum place memory_place(struct vm *vm, uint64_t gpa)
{
    enum place place = PLACE_NOTHING;
    const struct memory_slot *s;

    pthread_mutex_lock(&vm->lock);
    s = slot_at(vm, gpa);
    if (s)
        place = s->flags & BP_RAM_READONLY ? PLACE_ROM : PLACE_MEMORY;
    pthread_mutex_unlock(&vm->lock);
    return place;
}

static bool is_apic(struct vcpu *v, uint64_t gpa)
{
    uint64_t base = 0;

    return v->chip && gpa >> 20 == 0xfee &&
           v->chip->msr_read(v->chip_self, v->index, BP_IRQCHIP_MSR_APIC_BASE, &base) == 0 &&
           (base & 0xc00) == 0x800 && ((base ^ gpa) & PAGE_MASK) == 0;
}

/* True if it was memory. A store into a logged page counts as the guest's. */
static bool copy(struct vm *vm, uint64_t gpa, void *bytes, uint32_t count, bool write)
{
    struct memory_slot *s;

    pthread_mutex_lock(&vm->lock);
    s = slot_at(vm, gpa);
    if (s && write && s->flags & BP_RAM_READONLY)
        s = NULL;
    if (s && write) {
        uint64_t page = (gpa - s->gpa) / PAGE_BYTES;

        memcpy(s->host + (gpa - s->gpa), bytes, count);
        if (s->dirty)
            s->dirty[page / 64] |= UINT64_C(1) << (page & 63);
    } else if (s) {
        memcpy(bytes, s->host + (gpa - s->gpa), count);
    }
    pthread_mutex_unlock(&vm->lock);
    return s != NULL;
}

/* Bytes that one access to a device takes of `count`. */
static uint32_t device_step(uint64_t gpa, uint32_t count)
{
    uint32_t step = 8;

    if (count <= 8 && (count & (count - 1)) == 0)
        return count;
    while (step > count || gpa & (step - 1))
        step /= 2;
    return step;
}

void physical_read(struct vcpu *v, uint64_t gpa, void *to, uint32_t bytes)
{
    if (copy(v->vm, gpa, to, bytes, false))
        return;
    for (uint8_t *at = to; bytes;) {
        uint32_t step = device_step(gpa, bytes);
        uint64_t value = 0;

        if (!is_apic(v, gpa) ||
            v->chip->mmio_read(v->chip_self, v->index, (uint32_t)(gpa & ~PAGE_MASK), step, &value))
            value = v->bus->mmio_read(v->handle, gpa, step);
        memcpy(at, &value, step);
        at += step;
        gpa += step;
        bytes -= step;
    }
}

void physical_write(struct vcpu *v, uint64_t gpa, const void *from, uint32_t bytes)
{
    uint8_t copied[64];

    if (bytes > sizeof(copied))
        return;
    memcpy(copied, from, bytes);
    if (copy(v->vm, gpa, copied, bytes, true))
        return;
    for (const uint8_t *at = copied; bytes;) {
        uint32_t step = device_step(gpa, bytes);
        uint64_t value = 0;

        memcpy(&value, at, step);
        if (is_apic(v, gpa) && v->chip->mmio_write(v->chip_self, v->index,
                                                   (uint32_t)(gpa & ~PAGE_MASK), step, value) == 0)
            timer_deadline_changed(v);
        else
            v->bus->mmio_write(v->handle, gpa, value, step);
        at += step;
        gpa += step;
        bytes -= step;
    }
}

/* ---- page walks ----------------------------------------------------------------------------- */

#define PTE_P 1u
#define PTE_W 2u
#define PTE_U 4u
#define PTE_PS 0x80u
#define PF_P 1u
#define PF_W 2u
#define PF_U 4u

struct walk {
    uint64_t gpa;
    uint32_t rights; /* PTE_W and PTE_U that all levels have */
};

static uint64_t entry_at(struct vcpu *v, uint64_t gpa, uint32_t bytes)
{
    uint64_t entry = 0;

    physical_read(v, gpa, &entry, bytes);
    return entry;
}

/* Long mode and PAE: tables of 512 entries of 8 bytes. */
static bool walk_wide(struct vcpu *v, uint64_t la, struct walk *w, bool long_mode)
{
    uint64_t table = field_read(v, VMX_CR3) & UINT64_C(0xffffffffff000), entry;
    int level = 3;

    if (!long_mode) {
        entry = field_read(v, VMX_PDPTE0 + 2 * (uint32_t)(la >> 30 & 3));
        if (!(entry & PTE_P))
            return false;
        table = entry & UINT64_C(0xffffffffff000);
        level = 1;
    }
    for (;; level--) {
        uint32_t shift = 12 + 9 * (uint32_t)level;

        entry = entry_at(v, table + (la >> shift & 511) * 8, 8);
        if (!(entry & PTE_P))
            return false;
        w->rights &= (uint32_t)entry;
        if (level == 0 || (level < 3 && entry & PTE_PS)) {
            uint64_t mask = (UINT64_C(1) << shift) - 1;

            w->gpa = (entry & UINT64_C(0xffffffffff000) & ~mask) | (la & mask);
            return true;
        }
        table = entry & UINT64_C(0xffffffffff000);
    }
}

static bool walk_32(struct vcpu *v, uint64_t la, struct walk *w)
{
    uint64_t entry = entry_at(v, (field_read(v, VMX_CR3) & 0xfffff000) + (la >> 22 & 1023) * 4, 4);

    if (!(entry & PTE_P))
        return false;
    w->rights &= (uint32_t)entry;
    if (entry & PTE_PS && field_read(v, VMX_CR4) & CR4_PSE) {
        w->gpa = (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32 | (la & 0x3fffff);
        return true;
    }
    entry = entry_at(v, (entry & 0xfffff000) + (la >> 12 & 1023) * 4, 4);
    w->rights &= (uint32_t)entry;
    w->gpa = (entry & 0xfffff000) | (la & 0xfff);
    return entry & PTE_P;
}

static bool allows(struct vcpu *v, const struct walk *w, uint32_t access, bool user)
{
    if (user && !(w->rights & PTE_U))
        return false;
    if (access & ACCESS_WRITE && !(w->rights & PTE_W) && (user || field_read(v, VMX_CR0) & CR0_WP))
        return false;
    return user || !(w->rights & PTE_U) || !(field_read(v, VMX_CR4) & CR4_SMAP) ||
           (!(access & ACCESS_SYSTEM) && field_read(v, VMX_RFLAGS) & RFLAGS_AC);
}

static int translate(struct vcpu *v, uint64_t la, uint32_t access, uint64_t *gpa)
{
    bool user = !(access & ACCESS_SYSTEM) && cpl_read(v) == 3, found;
    struct walk w = {.rights = PTE_W | PTE_U};
    uint32_t error;

    if (!(field_read(v, VMX_CR0) & CR0_PG)) {
        *gpa = la & UINT32_MAX;
        return 0;
    }
    if (is_long_mode(v))
        found = walk_wide(v, la, &w, true);
    else if (field_read(v, VMX_CR4) & CR4_PAE)
        found = walk_wide(v, la & UINT32_MAX, &w, false);
    else
        found = walk_32(v, la & UINT32_MAX, &w);
    if (found && allows(v, &w, access, user)) {
        *gpa = w.gpa;
        return 0;
    }
    error = (found ? PF_P : 0) | (access & ACCESS_WRITE ? PF_W : 0) | (user ? PF_U : 0);
    reg_write(v, HV_X86_CR2, la);
    exit_raise_error(v, EXC_PF, error);
    return -EFAULT;
}

int load_pdptes(struct vcpu *v, uint64_t cr3)
{
    uint64_t beyond = ~((UINT64_C(1) << cpuid_physical_bits(v)) - 1), entry[4];

    for (uint32_t i = 0; i < 4; i++) {
        entry[i] = entry_at(v, (cr3 & 0xffffffe0) + UINT64_C(8) * i, 8);
        if (entry[i] & 1 && entry[i] & (0x1e6 | beyond))
            return -EINVAL;
    }
    for (uint32_t i = 0; i < 4; i++)
        field_write(v, VMX_PDPTE0 + 2 * i, entry[i]);
    return 0;
}

/* ---- linear memory -------------------------------------------------------------------------- */

/* Where up to 64 bytes are: all is translated before any is moved. */
struct span {
    uint64_t gpa[2];
    uint32_t first;
};

static int find(struct vcpu *v, uint64_t la, uint32_t bytes, uint32_t access, struct span *s)
{
    uint32_t room = PAGE_BYTES - (uint32_t)(la & ~PAGE_MASK);
    int err;

    if (!is_64bit(v) && !(access & ACCESS_SYSTEM && is_long_mode(v)))
        la &= UINT32_MAX;
    s->first = bytes < room ? bytes : room;
    err = translate(v, la, access, &s->gpa[0]);
    if (!err && bytes > room)
        err = translate(v, la + room, access, &s->gpa[1]);
    return err;
}

int linear_read(struct vcpu *v, uint64_t la, void *to, uint32_t bytes, uint32_t access)
{
    struct span s;
    int err = find(v, la, bytes, access, &s);

    if (err)
        return err;
    physical_read(v, s.gpa[0], to, s.first);
    if (bytes > s.first)
        physical_read(v, s.gpa[1], (uint8_t *)to + s.first, bytes - s.first);
    return 0;
}

int linear_write(struct vcpu *v, uint64_t la, const void *from, uint32_t bytes, uint32_t access)
{
    struct span s;
    int err = find(v, la, bytes, access | ACCESS_WRITE, &s);

    if (err)
        return err;
    physical_write(v, s.gpa[0], from, s.first);
    if (bytes > s.first)
        physical_write(v, s.gpa[1], (const uint8_t *)from + s.first, bytes - s.first);
    return 0;
}

int linear_probe(struct vcpu *v, uint64_t la, uint32_t bytes, uint32_t access)
{
    struct span s;

    return find(v, la, bytes, access, &s);
}

/* ---- dirty pages ---------------------------------------------------------------------------- */

bool memory_log_write(struct vm *vm, uint64_t gpa)
{
    const struct memory_slot *s;
    bool logged = false;

    pthread_mutex_lock(&vm->lock);
    s = slot_at(vm, gpa);
    if (s && s->dirty) {
        uint64_t page = (gpa - s->gpa) / PAGE_BYTES;

        s->dirty[page / 64] |= UINT64_C(1) << (page & 63);
        logged = hv_vm_protect(gpa & PAGE_MASK, PAGE_BYTES,
                               HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC) == HV_SUCCESS;
    }
    pthread_mutex_unlock(&vm->lock);
    return logged;
}

static uint64_t words(const struct memory_slot *s)
{
    return (s->length / PAGE_BYTES + 63) / 64;
}

static int log_switch(struct memory_slot *s, bool on)
{
    hv_memory_flags_t flags = HV_MEMORY_READ | HV_MEMORY_EXEC | (on ? 0 : HV_MEMORY_WRITE);

    if (on == (s->dirty != NULL) || s->flags & BP_RAM_READONLY)
        return 0;
    if (on) {
        s->dirty = calloc(words(s), sizeof(*s->dirty));
        if (!s->dirty)
            return -ENOMEM;
    } else {
        free(s->dirty);
        s->dirty = NULL;
    }
    return hv_vm_protect(s->gpa, s->length, flags) == HV_SUCCESS ? 0 : -EIO;
}

static int dirty_log_enable(void *self, uint32_t slot_index, uint32_t on)
{
    struct vm *vm = self;
    int err = -ENOENT;

    pthread_mutex_lock(&vm->lock);
    if (slot_index < HVF_SLOTS && vm->slots[slot_index].length)
        err = log_switch(&vm->slots[slot_index], on != 0);
    pthread_mutex_unlock(&vm->lock);
    return err;
}

static int dirty_log_fetch(void *self, uint32_t slot_index, uint64_t *bitmap, uint64_t bitmap_bytes)
{
    struct vm *vm = self;
    struct memory_slot *s;
    int err = -ENOENT;

    pthread_mutex_lock(&vm->lock);
    s = slot_index < HVF_SLOTS ? &vm->slots[slot_index] : NULL;
    if (s && s->length) {
        err = -EINVAL;
        if (s->dirty && bitmap_bytes >= words(s) * 8) {
            /* First: what is written from here on waits for the lock. */
            err = hv_vm_protect(s->gpa, s->length, HV_MEMORY_READ | HV_MEMORY_EXEC) == HV_SUCCESS
                      ? 0
                      : -EIO;
            memcpy(bitmap, s->dirty, words(s) * 8);
            memset(s->dirty, 0, words(s) * 8);
        }
    }
    pthread_mutex_unlock(&vm->lock);
    return err;
}

const void *dirty_log_table(void)
{
    static const struct bp_dirty_log table = {
        .size = sizeof(table),
        .enable = dirty_log_enable,
        .fetch = dirty_log_fetch,
    };

    return &table;
}
