/* SPDX-License-Identifier: MIT
 *
 * standin/entry.c - VM entry: its checks, and guest state into the engine's processor and back.
 *
 * Intel SDM 3C, 26.2.1 (controls), 26.3.1 (guest state), 26.3.2, 27.3 (saving). The sentences are
 * for tests; VMX itself tells less.
 */
#include "standin.h"

#include "mmu/tlb.h"
#include "ops/privileged.h"

#define PHYSICAL_BITS 46u

static const char *say(const char *why)
{
    static const char *last;

    if (why)
        __atomic_store_n(&last, why, __ATOMIC_RELAXED);
    return __atomic_load_n(&last, __ATOMIC_RELAXED);
}

const char *standin_why(void)
{
    return say(NULL);
}

/* The first rule that does not hold ends the function. */
#define RULE(holds, text)                                                                          \
    do {                                                                                           \
        if (!(holds))                                                                              \
            return say(text);                                                                      \
    } while (0)

/* ---- controls ------------------------------------------------------------------------------- */

static bool allowed(struct standin_vcpu *v, hv_vmx_capability_t capability, uint32_t field)
{
    uint64_t cap = standin_capability(capability), value = field_get(v, field);

    return ((uint32_t)cap & ~value) == 0 && (value & ~(cap >> 32)) == 0;
}

static const char *check_injection(struct standin_vcpu *v)
{
    uint32_t info = (uint32_t)field_get(v, VMX_ENTRY_INTERRUPTION), type = info & INTERRUPTION_TYPE;
    uint32_t vector = info & INTERRUPTION_VECTOR;
    bool protected =
        field_get(v, VMX_CR0) & CR0_PE || !(field_get(v, VMX_PROC2_CONTROLS) & PROC2_UNRESTRICTED);
    bool errs = type == INTERRUPTION_EXCEPTION && vector < 32 && 0x227d00u >> vector & 1;

    if (!(info & INTERRUPTION_VALID))
        return NULL;
    RULE(type != 0x100 && type != INTERRUPTION_OTHER, "interruption type");
    RULE((info & 0x7ffff000) == 0, "interruption information's reserved bits");
    RULE(type != INTERRUPTION_NMI || vector == 2, "NMI is vector 2");
    RULE(type != INTERRUPTION_EXCEPTION || vector < 32, "exceptions are vectors below 32");
    RULE(!(info & INTERRUPTION_HAS_ERROR) == !(errs && protected), "delivery of an error code");
    RULE(!(info & INTERRUPTION_HAS_ERROR) || field_get(v, VMX_ENTRY_ERROR_CODE) <= 0x7fff,
         "error code's reserved bits");
    if (type >= INTERRUPTION_SOFTWARE)
        RULE(field_get(v, VMX_ENTRY_LENGTH) - 1 < 15, "instruction length");
    return NULL;
}

const char *entry_check_controls(struct standin_vcpu *v)
{
    uint64_t pin = field_get(v, VMX_PIN_CONTROLS), proc = field_get(v, VMX_PROC_CONTROLS);

    RULE(allowed(v, HV_VMX_CAP_PINBASED, VMX_PIN_CONTROLS), "pin-based controls");
    RULE(allowed(v, HV_VMX_CAP_PROCBASED, VMX_PROC_CONTROLS), "processor-based controls");
    RULE(allowed(v, HV_VMX_CAP_PROCBASED2, VMX_PROC2_CONTROLS), "secondary controls");
    RULE(allowed(v, HV_VMX_CAP_EXIT, VMX_EXIT_CONTROLS), "VM-exit controls");
    RULE(allowed(v, HV_VMX_CAP_ENTRY, VMX_ENTRY_CONTROLS), "VM-entry controls");
    RULE(pin & PIN_NMI || !(pin & PIN_VIRTUAL_NMI), "virtual NMIs need NMI exiting");
    RULE(pin & PIN_VIRTUAL_NMI || !(proc & PROC_NMI_WINDOW),
         "NMI-window exiting needs virtual NMIs");
    return check_injection(v);
}

/* ---- guest state ---------------------------------------------------------------------------- */

static uint64_t seg_field(struct standin_vcpu *v, uint32_t first, uint32_t seg)
{
    return field_get(v, first + 2 * seg);
}

static const char *check_control_registers(struct standin_vcpu *v)
{
    uint64_t cr0 = field_get(v, VMX_CR0), cr4 = field_get(v, VMX_CR4),
             efer = field_get(v, VMX_EFER);
    uint64_t entry = field_get(v, VMX_ENTRY_CONTROLS);
    bool free_pe = field_get(v, VMX_PROC2_CONTROLS) & PROC2_UNRESTRICTED;
    bool long_mode = entry & ENTRY_GUEST_64;

    RULE(cr0 & CR0_NE && (free_pe || (cr0 & (CR0_PG | CR0_PE)) == (CR0_PG | CR0_PE)),
         "CR0's fixed bits");
    RULE((cr0 & ~UINT64_C(0xe005003f)) == 0, "CR0's reserved bits");
    RULE(!(cr0 & CR0_PG) || cr0 & CR0_PE, "CR0.PG needs CR0.PE");
    RULE(cr4 & 0x2000, "CR4.VMXE is fixed to 1");
    RULE((cr4 & ~UINT64_C(0x372fff)) == 0, "CR4's reserved bits");
    RULE(!long_mode || (cr0 & CR0_PG && cr4 & CR4_PAE), "IA-32e mode needs paging and PAE");
    RULE(long_mode || !(cr4 & CR4_PCIDE), "CR4.PCIDE needs IA-32e mode");
    RULE(field_get(v, VMX_CR3) >> PHYSICAL_BITS == 0, "CR3 beyond physical addresses");
    RULE(!(entry & ENTRY_LOAD_DEBUG) || field_get(v, VMX_DR7) >> 32 == 0, "DR7's upper half");
    RULE(!(entry & ENTRY_LOAD_DEBUG) || (field_get(v, VMX_DEBUGCTL) & ~3ull) == 0,
         "IA32_DEBUGCTL's reserved bits");
    RULE(canonical(field_get(v, VMX_SYSENTER_ESP)) && canonical(field_get(v, VMX_SYSENTER_EIP)),
         "SYSENTER's addresses");
    if (entry & ENTRY_LOAD_PAT)
        for (uint32_t i = 0; i < 8; i++) {
            uint64_t type = field_get(v, VMX_PAT) >> (8 * i) & 0xff;
            RULE(type < 8 && type != 2 && type != 3, "IA32_PAT's types");
        }
    if (entry & ENTRY_LOAD_EFER) {
        RULE((efer & ~UINT64_C(0xd01)) == 0, "IA32_EFER's reserved bits");
        RULE(!(efer & EFER_LMA) == !long_mode, "IA32_EFER.LMA and IA-32e mode");
        RULE(!(cr0 & CR0_PG) || !(efer & EFER_LMA) == !(efer & EFER_LME), "IA32_EFER.LME and LMA");
    }
    return NULL;
}

static const char *check_v8086_segments(struct standin_vcpu *v)
{
    for (uint32_t i = 0; i < 6; i++) {
        RULE(seg_field(v, VMX_ES_BASE, i) == seg_field(v, VMX_ES_SELECTOR, i) << 4,
             "virtual-8086 segment base");
        RULE(seg_field(v, VMX_ES_LIMIT, i) == 0xffff, "virtual-8086 segment limit");
        RULE(seg_field(v, VMX_ES_RIGHTS, i) == 0xf3, "virtual-8086 segment rights");
    }
    return NULL;
}

/* G and the limit (26.3.1.2): what a descriptor can say. */
static bool limit_fits(uint64_t limit, uint64_t rights)
{
    if (rights & SEG_G)
        return (limit & 0xfff) == 0xfff;
    return limit >> 20 == 0;
}

static const char *check_segment(struct standin_vcpu *v, uint32_t i)
{
    uint64_t rights = seg_field(v, VMX_ES_RIGHTS, i), base = seg_field(v, VMX_ES_BASE, i);
    uint64_t limit = seg_field(v, VMX_ES_LIMIT, i), type = rights & SEG_TYPE;
    bool free_pe = field_get(v, VMX_PROC2_CONTROLS) & PROC2_UNRESTRICTED;
    uint64_t dpl = rights >> SEG_DPL_SHIFT & 3;
    uint64_t rpl = seg_field(v, VMX_ES_SELECTOR, i) & 3;

    if (i == SEG_FS || i == SEG_GS)
        RULE(canonical(base), "base of FS or GS");
    if (i == SEG_CS)
        RULE(base >> 32 == 0, "base of CS");
    if (rights & RIGHTS_UNUSABLE) {
        RULE(i != SEG_CS, "CS is unusable");
        return NULL;
    }
    if (i != SEG_FS && i != SEG_GS)
        RULE(base >> 32 == 0, "base of SS, DS or ES");
    if (i == SEG_CS)
        RULE((type & 9) == 9 || (free_pe && type == 3), "type of CS");
    else if (i == SEG_SS)
        RULE(type == 3 || type == 7, "type of SS");
    else
        RULE(type & 1 && (!(type & SEG_CODE) || type & 2), "type of a data segment");
    RULE(rights & SEG_S, "a segment of the system");
    RULE(rights & SEG_P, "a segment that is not present");
    RULE((rights & 0xfffe0f00) == 0, "reserved bits of rights");
    RULE(limit_fits(limit, rights), "granularity of a limit");
    if (i == SEG_CS) {
        uint64_t ss_dpl = seg_field(v, VMX_ES_RIGHTS, SEG_SS) >> SEG_DPL_SHIFT & 3;
        RULE(!(rights & SEG_L && rights & SEG_DB &&
               field_get(v, VMX_ENTRY_CONTROLS) & ENTRY_GUEST_64),
             "CS has both L and D");
        RULE(type != 3 || dpl == 0, "DPL of CS");
        RULE((type != 9 && type != 11) || dpl == ss_dpl, "DPL of CS and SS");
        RULE((type != 13 && type != 15) || dpl <= ss_dpl, "DPL of conforming CS");
    } else if (i == SEG_SS) {
        RULE(free_pe || dpl == rpl, "DPL of SS");
        RULE(field_get(v, VMX_CR0) & CR0_PE || dpl == 0, "DPL of SS in real mode");
    } else {
        RULE(free_pe || type > 11 || dpl >= rpl, "DPL of a data segment");
    }
    return NULL;
}

static const char *check_system_segments(struct standin_vcpu *v)
{
    uint64_t tr = seg_field(v, VMX_ES_RIGHTS, SEG_TR), ldtr = seg_field(v, VMX_ES_RIGHTS, SEG_LDT);
    bool long_mode = field_get(v, VMX_ENTRY_CONTROLS) & ENTRY_GUEST_64;

    RULE(!(field_get(v, VMX_TR_SELECTOR) & 4), "TR is in an LDT");
    RULE((tr & SEG_TYPE) == 11 || (!long_mode && (tr & SEG_TYPE) == 3), "type of TR");
    RULE(!(tr & SEG_S) && tr & SEG_P && !(tr & 0xffff0f00), "rights of TR");
    RULE(limit_fits(seg_field(v, VMX_ES_LIMIT, SEG_TR), tr), "granularity of TR");
    RULE(canonical(seg_field(v, VMX_ES_BASE, SEG_TR)), "base of TR");
    if (!(ldtr & RIGHTS_UNUSABLE)) {
        RULE(!(field_get(v, VMX_LDTR_SELECTOR) & 4), "LDTR is in an LDT");
        RULE((ldtr & SEG_TYPE) == 2, "type of LDTR");
        RULE(!(ldtr & SEG_S) && ldtr & SEG_P && !(ldtr & 0xfffe0f00), "rights of LDTR");
        RULE(limit_fits(seg_field(v, VMX_ES_LIMIT, SEG_LDT), ldtr), "granularity of LDTR");
        RULE(canonical(seg_field(v, VMX_ES_BASE, SEG_LDT)), "base of LDTR");
    }
    RULE(canonical(field_get(v, VMX_GDTR_BASE)) && canonical(field_get(v, VMX_IDTR_BASE)),
         "base of a descriptor table");
    RULE(field_get(v, VMX_GDTR_LIMIT) >> 16 == 0 && field_get(v, VMX_IDTR_LIMIT) >> 16 == 0,
         "limit of a descriptor table");
    return NULL;
}

static const char *check_rip_and_flags(struct standin_vcpu *v)
{
    uint64_t rip = field_get(v, VMX_RIP), flags = field_get(v, VMX_RFLAGS);
    uint64_t info = field_get(v, VMX_ENTRY_INTERRUPTION);
    bool long_mode = field_get(v, VMX_ENTRY_CONTROLS) & ENTRY_GUEST_64;
    bool code64 = long_mode && seg_field(v, VMX_ES_RIGHTS, SEG_CS) & SEG_L;

    RULE(code64 ? canonical(rip) : rip >> 32 == 0, "RIP");
    RULE((flags & ~(uint64_t)FLAGS_DEFINED) == 0 && flags & FLAG_ONE, "RFLAGS' reserved bits");
    RULE(!(flags & FLAG_VM) || (!long_mode && field_get(v, VMX_CR0) & CR0_PE), "RFLAGS.VM");
    if (info & INTERRUPTION_VALID && (info & INTERRUPTION_TYPE) == INTERRUPTION_EXTERNAL)
        RULE(flags & FLAG_IF, "an interrupt with RFLAGS.IF clear");
    return NULL;
}

static const char *check_other_state(struct standin_vcpu *v)
{
    uint64_t blocked = field_get(v, VMX_INTERRUPTIBILITY);
    uint64_t info = field_get(v, VMX_ENTRY_INTERRUPTION);
    uint64_t pending = field_get(v, VMX_PENDING_DEBUG), flags = field_get(v, VMX_RFLAGS);
    bool virtual_nmi = field_get(v, VMX_PIN_CONTROLS) & PIN_VIRTUAL_NMI;

    RULE(field_get(v, VMX_ACTIVITY) == 0, "activity state");
    RULE((blocked & ~0xfull) == 0, "interruptibility's reserved bits");
    RULE((blocked & 3) != 3, "blocking by both STI and MOV SS");
    RULE(!(blocked & BLOCKED_BY_STI) || flags & FLAG_IF, "blocking by STI with RFLAGS.IF clear");
    RULE(!(blocked & BLOCKED_BY_SMI), "blocking by SMI");
    if (info & INTERRUPTION_VALID && (info & INTERRUPTION_TYPE) == INTERRUPTION_EXTERNAL)
        RULE(!(blocked & 3), "an interrupt while they are blocked");
    if (info & INTERRUPTION_VALID && (info & INTERRUPTION_TYPE) == INTERRUPTION_NMI) {
        RULE(!(blocked & BLOCKED_BY_MOV_SS), "an NMI while MOV SS blocks it");
        RULE(!virtual_nmi || !(blocked & BLOCKED_BY_NMI), "an NMI while NMIs are blocked");
    }
    RULE((pending & ~UINT64_C(0x500f)) == 0, "pending debug exceptions' reserved bits");
    if (blocked & 3)
        RULE(!(pending & PENDING_DEBUG_STEP) == !(flags & FLAG_TF), "pending single-step");
    RULE(field_get(v, VMX_LINK_POINTER) == UINT64_MAX, "VMCS link pointer");
    return NULL;
}

static bool loads_pdptes(struct standin_vcpu *v)
{
    return field_get(v, VMX_CR0) & CR0_PG && field_get(v, VMX_CR4) & CR4_PAE &&
           !(field_get(v, VMX_ENTRY_CONTROLS) & ENTRY_GUEST_64);
}

const char *entry_check_state(struct standin_vcpu *v)
{
    const char *why = check_control_registers(v);

    if (!why && field_get(v, VMX_RFLAGS) & FLAG_VM)
        why = check_v8086_segments(v);
    else
        for (uint32_t i = 0; !why && i < 6; i++)
            why = check_segment(v, i);
    if (!why)
        why = check_system_segments(v);
    if (!why)
        why = check_rip_and_flags(v);
    if (!why)
        why = check_other_state(v);
    for (uint32_t i = 0; !why && loads_pdptes(v) && i < 4; i++) {
        uint64_t entry = field_get(v, VMX_PDPTE0 + 2 * i);

        RULE(!(entry & 1) || !(entry & (0x1e6 | ~((1ull << PHYSICAL_BITS) - 1))),
             "a PDPTE's reserved bits");
    }
    return why;
}

/* ---- loading and saving --------------------------------------------------------------------- */

static void load_segments(struct standin_vcpu *v)
{
    for (uint32_t i = 0; i < SEGS; i++) {
        uint64_t rights = seg_field(v, VMX_ES_RIGHTS, i);

        v->c->seg[i] = (struct segment){
            .base = seg_field(v, VMX_ES_BASE, i),
            .limit = (uint32_t)seg_field(v, VMX_ES_LIMIT, i),
            .selector = (uint16_t)seg_field(v, VMX_ES_SELECTOR, i),
            .attributes = (uint16_t)(rights & RIGHTS_UNUSABLE ? rights & 0xf07f : rights & 0xf0ff)};
    }
}

void state_load(struct standin_vcpu *v)
{
    uint64_t cr0 = field_get(v, VMX_CR0), cr3 = field_get(v, VMX_CR3), cr4 = field_get(v, VMX_CR4);
    uint64_t efer = field_get(v, VMX_EFER), proc = field_get(v, VMX_PROC_CONTROLS);
    struct cpu *c = v->c;
    bool other = c->cr0 != cr0 || c->cr3 != cr3 || c->cr4 != cr4 || c->efer != efer;
    uint64_t cs_base = c->seg[SEG_CS].base;

    c->cr0 = cr0;
    c->cr3 = cr3;
    c->cr4 = cr4;
    c->efer = efer;
    c->reg[RSP] = field_get(v, VMX_RSP);
    c->rip = field_get(v, VMX_RIP);
    load_segments(v);
    c->gdt = (struct table){field_get(v, VMX_GDTR_BASE), (uint32_t)field_get(v, VMX_GDTR_LIMIT), 0};
    c->idt = (struct table){field_get(v, VMX_IDTR_BASE), (uint32_t)field_get(v, VMX_IDTR_LIMIT), 0};
    if (field_get(v, VMX_ENTRY_CONTROLS) & ENTRY_LOAD_DEBUG)
        c->dr7 = field_get(v, VMX_DR7) | DR7_FIXED;
    c->sysenter_cs = field_get(v, VMX_SYSENTER_CS);
    c->sysenter_esp = field_get(v, VMX_SYSENTER_ESP);
    c->sysenter_eip = field_get(v, VMX_SYSENTER_EIP);
    for (uint32_t i = 0; i < 4 && loads_pdptes(v); i++)
        c->pdpte[i] = field_get(v, VMX_PDPTE0 + 2 * i);
    c->cpl = cr0 & CR0_PE ? (uint8_t)(c->seg[SEG_SS].attributes >> SEG_DPL_SHIFT & 3) : 0;
    c->shadow = field_get(v, VMX_INTERRUPTIBILITY) & 3;
    c->nmi_masked = (field_get(v, VMX_INTERRUPTIBILITY) & BLOCKED_BY_NMI) != 0;
    c->pending_db = field_get(v, VMX_PENDING_DEBUG) & 0x400f;
    c->tsc_offset = proc & PROC_TSC_OFFSET ? (int64_t)field_get(v, VMX_TSC_OFFSET) : 0;
    c->double_fault_stage = 0;
    c->shadow_before = 0;
    c->walking = 0;
    c->has_waiting = 0;
    cpu_rflags_set(c, field_get(v, VMX_RFLAGS));
    cpu_mode_changed(c);
    if (other)
        tlb_flush(c);
    else if (cs_base != c->seg[SEG_CS].base)
        jumps_flush(c);
}

static void save_segments(struct standin_vcpu *v)
{
    for (uint32_t i = 0; i < SEGS; i++) {
        const struct segment *s = &v->c->seg[i];
        uint32_t rights = s->attributes;

        if (!(rights & SEG_P))
            rights |= RIGHTS_UNUSABLE;
        field_set(v, VMX_ES_SELECTOR + 2 * i, s->selector);
        field_set(v, VMX_ES_BASE + 2 * i, s->base);
        field_set(v, VMX_ES_LIMIT + 2 * i, s->limit);
        field_set(v, VMX_ES_RIGHTS + 2 * i, rights);
    }
}

void state_save(struct standin_vcpu *v)
{
    uint64_t entry = field_get(v, VMX_ENTRY_CONTROLS), exit = field_get(v, VMX_EXIT_CONTROLS);
    struct cpu *c = v->c;

    field_set(v, VMX_CR0, c->cr0);
    field_set(v, VMX_CR3, c->cr3);
    field_set(v, VMX_CR4, c->cr4);
    if (exit & EXIT_SAVE_EFER)
        field_set(v, VMX_EFER, c->efer);
    if (exit & EXIT_SAVE_DEBUG)
        field_set(v, VMX_DR7, c->dr7);
    field_set(v, VMX_ENTRY_CONTROLS,
              cpu_long_mode(c) ? entry | ENTRY_GUEST_64 : entry & ~(uint64_t)ENTRY_GUEST_64);
    field_set(v, VMX_RSP, c->reg[RSP]);
    field_set(v, VMX_RIP, c->rip);
    field_set(v, VMX_RFLAGS, cpu_rflags(c));
    save_segments(v);
    field_set(v, VMX_GDTR_BASE, c->gdt.base);
    field_set(v, VMX_GDTR_LIMIT, c->gdt.limit);
    field_set(v, VMX_IDTR_BASE, c->idt.base);
    field_set(v, VMX_IDTR_LIMIT, c->idt.limit);
    field_set(v, VMX_SYSENTER_CS, c->sysenter_cs);
    field_set(v, VMX_SYSENTER_ESP, c->sysenter_esp);
    field_set(v, VMX_SYSENTER_EIP, c->sysenter_eip);
    for (uint32_t i = 0; i < 4; i++)
        field_set(v, VMX_PDPTE0 + 2 * i, c->pdpte[i]);
    field_set(v, VMX_INTERRUPTIBILITY,
              c->shadow | c->shadow_before | (c->nmi_masked ? BLOCKED_BY_NMI : 0));
    field_set(v, VMX_PENDING_DEBUG, c->pending_db & 0x400f);
    field_set(v, VMX_ENTRY_INTERRUPTION,
              field_get(v, VMX_ENTRY_INTERRUPTION) & ~(uint64_t)INTERRUPTION_VALID);
    c->pending_db = 0;
}
