/* SPDX-License-Identifier: MIT
 *
 * standin/vcpu.c - vCPUs: their life, registers, VMCS fields, and running.
 *
 * Every 16th VM entry ends at once by an external interrupt, as the host's own may come any time.
 */
#include "standin.h"

#include <stdlib.h>
#include <string.h>

#include "mmu/tlb.h"

struct standin_vcpu *standin_vcpu(hv_vcpuid_t id)
{
    struct standin_vcpu *v = id < STANDIN_VCPUS ? standin()->vcpus[id] : NULL;

    return v && pthread_equal(v->thread, pthread_self()) ? v : NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

static uint32_t free_id(struct standin *s)
{
    for (uint32_t i = 0; i < STANDIN_VCPUS; i++)
        if (!s->vcpus[i])
            return i;
    return STANDIN_VCPUS;
}

hv_return_t hv_vcpu_create(hv_vcpuid_t *vcpu, hv_vcpu_options_t flags)
{
    struct bp_x86_cpuid *table = calloc(1, sizeof(*table));
    struct standin_vcpu *v = calloc(1, sizeof(*v));
    struct standin *s = standin();
    hv_return_t result = HV_NO_RESOURCES;
    uint32_t id;

    pthread_mutex_lock(&s->lock);
    id = free_id(s);
    if (flags != HV_VCPU_DEFAULT)
        result = HV_BAD_ARGUMENT;
    else if (!s->engine)
        result = HV_ERROR;
    else if (v && table && id < STANDIN_VCPUS &&
             cpu_create(s->engine, id, &v->handle, &exits_bus, NULL, NULL, &v->c) == 0)
        result = HV_SUCCESS;
    if (result == HV_SUCCESS) {
        cpuid_offered(s->engine, table);
        cpu_cpuid_set(v->c, table);
        v->handle.v = v;
        v->thread = pthread_self();
        v->c->mp_state = BP_X86_MP_RUNNABLE;
        field_set(v, VMX_LINK_POINTER, UINT64_MAX);
        s->vcpus[id] = v;
        *vcpu = id;
        v = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    free(v);
    free(table);
    return result;
}

hv_return_t hv_vcpu_destroy(hv_vcpuid_t vcpu)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    struct standin *s = standin();

    if (!v)
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&s->lock);
    s->vcpus[vcpu] = NULL;
    pthread_mutex_unlock(&s->lock);
    cpu_destroy(v->c);
    free(v);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_interrupt(hv_vcpuid_t *vcpus, unsigned int vcpu_count)
{
    struct standin *s = standin();
    hv_return_t result = HV_SUCCESS;

    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < vcpu_count; i++) {
        struct standin_vcpu *v = vcpus[i] < STANDIN_VCPUS ? s->vcpus[vcpus[i]] : NULL;

        if (!v) {
            result = HV_BAD_ARGUMENT;
            continue;
        }
        __atomic_store_n(&v->interrupted, 1, __ATOMIC_SEQ_CST);
        cpu_pend(v->c, PEND_CHECK);
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

/* ---- VMCS ----------------------------------------------------------------------------------- */

/* Encodings (SDM 3C, 24.11.2): index in bits 9:1, type in 11:10, width in 14:13. What the stand-in
 * has of each kind is up to the last index that it knows. */
uint64_t *standin_field(struct standin_vcpu *v, uint32_t encoding)
{
    static const uint8_t last[16] = {
        /* 16, 64, 32 bits, natural: controls, read-only, guest, host */
        [0x2] = 7, [0x4] = 0x19, [0x5] = 0, [0x6] = 8, [0x8] = 0x13,
        [0x9] = 7, [0xa] = 0x17, [0xc] = 3, [0xd] = 5, [0xe] = 0x13,
    };
    uint32_t kind = (encoding >> 13 & 3) << 2 | (encoding >> 10 & 3), index = encoding >> 1 & 0x1ff;
    bool known = kind == 5 || last[kind];

    if (encoding & ~0x6ffeu || !known || index > last[kind])
        return NULL;
    return &v->field[kind * 128 + index];
}

hv_return_t hv_vmx_vcpu_read_vmcs(hv_vcpuid_t vcpu, uint32_t field, uint64_t *value)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    const uint64_t *word = v ? standin_field(v, field) : NULL;

    if (!word)
        return HV_BAD_ARGUMENT;
    *value = *word;
    return HV_SUCCESS;
}

hv_return_t hv_vmx_vcpu_write_vmcs(hv_vcpuid_t vcpu, uint32_t field, uint64_t value)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    uint64_t *word = v ? standin_field(v, field) : NULL;
    uint32_t width = field >> 13 & 3;

    if (!word || (field >> 10 & 3) == 1)
        return HV_BAD_ARGUMENT;
    *word = width == 0 ? (uint16_t)value : width == 2 ? (uint32_t)value : value;
    return HV_SUCCESS;
}

/* ---- registers ------------------------------------------------------------------------------ */

/* Those that are fields of the VMCS. */
static const uint16_t register_fields[HV_X86_REGISTERS_MAX] = {
    [HV_X86_RIP] = VMX_RIP,
    [HV_X86_RFLAGS] = VMX_RFLAGS,
    [HV_X86_RSP] = VMX_RSP,
    [HV_X86_CS] = VMX_CS_SELECTOR,
    [HV_X86_SS] = VMX_SS_SELECTOR,
    [HV_X86_DS] = 0x806,
    [HV_X86_ES] = VMX_ES_SELECTOR,
    [HV_X86_FS] = 0x808,
    [HV_X86_GS] = 0x80a,
    [HV_X86_IDT_BASE] = VMX_IDTR_BASE,
    [HV_X86_IDT_LIMIT] = VMX_IDTR_LIMIT,
    [HV_X86_GDT_BASE] = VMX_GDTR_BASE,
    [HV_X86_GDT_LIMIT] = VMX_GDTR_LIMIT,
    [HV_X86_LDTR] = VMX_LDTR_SELECTOR,
    [HV_X86_LDT_BASE] = VMX_ES_BASE + 12,
    [HV_X86_LDT_LIMIT] = VMX_ES_LIMIT + 12,
    [HV_X86_LDT_AR] = VMX_ES_RIGHTS + 12,
    [HV_X86_TR] = VMX_TR_SELECTOR,
    [HV_X86_TSS_BASE] = VMX_ES_BASE + 14,
    [HV_X86_TSS_LIMIT] = VMX_ES_LIMIT + 14,
    [HV_X86_TSS_AR] = VMX_ES_RIGHTS + 14,
    [HV_X86_CR0] = VMX_CR0,
    [HV_X86_CR3] = VMX_CR3,
    [HV_X86_CR4] = VMX_CR4,
    [HV_X86_DR7] = VMX_DR7,
};

static uint64_t *register_word(struct standin_vcpu *v, hv_x86_reg_t reg)
{
    static const uint8_t gpr[] = {
        [HV_X86_RAX] = RAX, [HV_X86_RCX] = RCX, [HV_X86_RDX] = RDX, [HV_X86_RBX] = RBX,
        [HV_X86_RSI] = RSI, [HV_X86_RDI] = RDI, [HV_X86_RBP] = RBP, [HV_X86_R8] = R8,
        [HV_X86_R9] = R9,   [HV_X86_R10] = R10, [HV_X86_R11] = R11, [HV_X86_R12] = R12,
        [HV_X86_R13] = R13, [HV_X86_R14] = R14, [HV_X86_R15] = R15,
    };

    if ((unsigned)reg >= HV_X86_REGISTERS_MAX)
        return NULL;
    if (register_fields[reg])
        return standin_field(v, register_fields[reg]);
    if (reg >= HV_X86_RAX && reg <= HV_X86_R15)
        return &v->c->reg[gpr[reg]];
    if (reg >= HV_X86_DR0 && reg <= HV_X86_DR3)
        return &v->c->dr[reg - HV_X86_DR0];
    return reg == HV_X86_CR2    ? &v->c->cr2
           : reg == HV_X86_DR6  ? &v->c->dr6
           : reg == HV_X86_TPR  ? &v->tpr
           : reg == HV_X86_XCR0 ? &v->c->xcr0
                                : NULL;
}

hv_return_t hv_vcpu_read_register(hv_vcpuid_t vcpu, hv_x86_reg_t reg, uint64_t *value)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    const uint64_t *word = v ? register_word(v, reg) : NULL;

    if (!word)
        return HV_BAD_ARGUMENT;
    *value = *word;
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_write_register(hv_vcpuid_t vcpu, hv_x86_reg_t reg, uint64_t value)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    uint64_t *word = v ? register_word(v, reg) : NULL;

    if (!word || (reg == HV_X86_XCR0 && (!(value & 1) || value & ~7ull || (value & 6) == 4)))
        return HV_BAD_ARGUMENT;
    *word = value;
    return HV_SUCCESS;
}

/* An XSAVE area in standard format: x87, SSE and AVX. */
#define AREA_BYTES 832u

hv_return_t hv_vcpu_read_fpstate(hv_vcpuid_t vcpu, void *buffer, size_t size)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    uint8_t *area = buffer;

    if (!v || size < AREA_BYTES)
        return HV_BAD_ARGUMENT;
    memset(area, 0, size);
    fpu_image_get(v->c, area);
    area[512] = 7;
    for (uint32_t i = 0; i < 16; i++)
        memcpy(area + 576 + (size_t)i * 16, &v->c->v[i].u8[16], 16);
    return HV_SUCCESS;
}

/* Components that XSTATE_BV lacks are in their initial state. */
hv_return_t hv_vcpu_write_fpstate(hv_vcpuid_t vcpu, const void *buffer, size_t size)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    const uint8_t *area = buffer;

    if (!v || size < AREA_BYTES || area[512] & ~7u || fpu_image_set(v->c, area))
        return HV_BAD_ARGUMENT;
    for (uint32_t i = 0; i < 16; i++) {
        if (!(area[512] & 2))
            memset(v->c->v[i].u8, 0, 16);
        memset(&v->c->v[i].u8[16], 0, 16);
        if (area[512] & 4)
            memcpy(&v->c->v[i].u8[16], area + 576 + (size_t)i * 16, 16);
    }
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_invalidate_tlb(hv_vcpuid_t vcpu)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);

    if (!v)
        return HV_BAD_ARGUMENT;
    tlb_flush(v->c);
    /* A processor would have seen that its code was changed; here it is seen now. */
    blocks_drop_all(v->c);
    return HV_SUCCESS;
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

uint32_t native_msr(uint32_t index)
{
    static const uint32_t known[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                     0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
                                     0x174,      0x175,      0x176,      0x10};

    for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i] == index)
            return 1u << i;
    return 0;
}

hv_return_t hv_vcpu_enable_native_msr(hv_vcpuid_t vcpu, uint32_t msr, bool enable)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);

    if (!v || !native_msr(msr))
        return HV_BAD_ARGUMENT;
    v->native_msrs = enable ? v->native_msrs | native_msr(msr) : v->native_msrs & ~native_msr(msr);
    return HV_SUCCESS;
}

/* Those that VM entry loads are fields, and not these. */
static uint64_t *msr_word(struct standin_vcpu *v, uint32_t msr)
{
    struct cpu *c = v->c;

    switch (msr) {
    case 0xc0000081:
        return &c->star;
    case 0xc0000082:
        return &c->lstar;
    case 0xc0000083:
        return &c->cstar;
    case 0xc0000084:
        return &c->sfmask;
    case 0xc0000102:
        return &c->kernel_gs_base;
    case 0xc0000103:
        return &c->tsc_aux;
    default:
        return NULL;
    }
}

hv_return_t hv_vcpu_read_msr(hv_vcpuid_t vcpu, uint32_t msr, uint64_t *value)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    const uint64_t *word = v ? msr_word(v, msr) : NULL;

    if (!word || !(v->native_msrs & native_msr(msr)))
        return HV_BAD_ARGUMENT;
    *value = *word;
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_write_msr(hv_vcpuid_t vcpu, uint32_t msr, uint64_t value)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    uint64_t *word = v ? msr_word(v, msr) : NULL;

    if (!word || !(v->native_msrs & native_msr(msr)))
        return HV_BAD_ARGUMENT;
    *word = value;
    return HV_SUCCESS;
}

/* ---- running -------------------------------------------------------------------------------- */

/* The event that VM entry injects (SDM 3C, 26.6). */
static void inject(struct standin_vcpu *v)
{
    uint32_t info = (uint32_t)field_get(v, VMX_ENTRY_INTERRUPTION), type = info & INTERRUPTION_TYPE;
    struct cpu *c = v->c;

    v->injecting = (info & INTERRUPTION_VALID) != 0;
    if (!v->injecting)
        return;
    c->waiting = (struct event){
        .vector = info & INTERRUPTION_VECTOR,
        .has_error = (info & INTERRUPTION_HAS_ERROR) != 0,
        .error = (uint32_t)field_get(v, VMX_ENTRY_ERROR_CODE),
        .soft = type == INTERRUPTION_SOFTWARE || type == INTERRUPTION_SOFTWARE_EXCEPTION,
        .external = type == INTERRUPTION_EXTERNAL || type == INTERRUPTION_NMI,
        .cr2 = c->cr2};
    c->has_waiting = 1;
    v->vectoring = info;
    v->vectoring_error = c->waiting.error;
    if (type >= INTERRUPTION_SOFTWARE)
        c->rip += field_get(v, VMX_ENTRY_LENGTH);
}

/* The monitor trap flag (SDM 3C, 25.5.2): an exit after one instruction, or one delivery. */
static void set_trap_flag(struct standin_vcpu *v)
{
    const struct bp_debug_request request = {
        .size = sizeof(request),
        .flags = field_get(v, VMX_PROC_CONTROLS) & PROC_TRAP_FLAG ? BP_DEBUG_STEP : 0};

    if (v->c->debug.request.flags != request.flags)
        cpu_debug_set(v->c, &request);
}

static void exit_with(struct standin_vcpu *v, uint32_t reason)
{
    field_set(v, VMX_EXIT_REASON, reason);
    field_set(v, VMX_EXIT_QUALIFICATION, 0);
}

hv_return_t hv_vcpu_run(hv_vcpuid_t vcpu)
{
    struct standin_vcpu *v = standin_vcpu(vcpu);
    int left;

    if (!v)
        return HV_BAD_ARGUMENT;
    if (entry_check_controls(v))
        return HV_ERROR;
    if (entry_check_state(v)) {
        exit_with(v, EXIT_INVALID_ENTRY | EXIT_INVALID_STATE);
        return HV_SUCCESS;
    }
    if (++v->runs % 16 == 0)
        __atomic_store_n(&v->interrupted, 1, __ATOMIC_SEQ_CST);
    field_set(v, VMX_IDT_VECTORING, 0);
    field_set(v, VMX_EXIT_INTERRUPTION, 0);
    state_load(v);
    set_trap_flag(v);
    inject(v);
    do {
        v->resume = false;
        cpu_pend(v->c, PEND_CHECK);
        left = cpu_run(v->c);
        /* An instruction that was done here is one, too. */
        if (left == CPU_LEFT && v->resume && v->c->debug.on)
            left = BP_STOP_DEBUG;
    } while (left == BP_STOP_KICKED || (left == CPU_LEFT && v->resume));
    if (left == BP_STOP_TRIPLE_FAULT) {
        v->c->shutdown = 0;
        exit_with(v, EXIT_TRIPLE_FAULT);
    }
    if (left == BP_STOP_DEBUG)
        exit_with(v, EXIT_TRAP_FLAG);
    state_save(v);
    return left < 0 ? HV_ERROR : HV_SUCCESS;
}
