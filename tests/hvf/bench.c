/* SPDX-License-Identifier: MIT
 *
 * hvf/bench.c - see bench.h.
 */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

void bench_write(hv_vcpuid_t id, uint32_t field, uint64_t value)
{
    assert_int_equal(hv_vmx_vcpu_write_vmcs(id, field, value), HV_SUCCESS);
}

uint64_t bench_get(hv_vcpuid_t id, uint32_t field)
{
    uint64_t value = 0;

    assert_int_equal(hv_vmx_vcpu_read_vmcs(id, field, &value), HV_SUCCESS);
    return value;
}

/* Real mode, CS:IP 0:1000h, with HLT there. */
void bench_write_valid(hv_vcpuid_t id)
{
    static const struct setting valid[] = {
        {VMX_PIN_CONTROLS, 0x3f},
        {VMX_PROC_CONTROLS, 0x94006172 | PROC_HLT},
        {VMX_PROC2_CONTROLS, PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED},
        {VMX_ENTRY_CONTROLS, 0x11fb | ENTRY_LOAD_EFER | ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT},
        {VMX_EXIT_CONTROLS, 0x36dfb | EXIT_HOST_64 | EXIT_SAVE_EFER | EXIT_LOAD_EFER},
        {VMX_ENTRY_INTERRUPTION, 0},
        {VMX_ENTRY_ERROR_CODE, 0},
        {VMX_ENTRY_LENGTH, 0},
        {VMX_CR0, 0x30},
        {VMX_CR3, 0},
        {VMX_CR4, 0x2000},
        {VMX_EFER, 0},
        {VMX_PAT, 0x0007040600070406},
        {VMX_DEBUGCTL, 0},
        {VMX_DR7, 0x400},
        {VMX_SYSENTER_ESP, 0},
        {VMX_SYSENTER_EIP, 0},
        {VMX_GDTR_BASE, 0},
        {VMX_GDTR_LIMIT, 0xffff},
        {VMX_IDTR_BASE, 0},
        {VMX_IDTR_LIMIT, 0x3ff},
        {VMX_RIP, 0x1000},
        {VMX_RSP, 0x8000},
        {VMX_RFLAGS, 2},
        {VMX_ACTIVITY, 0},
        {VMX_INTERRUPTIBILITY, 0},
        {VMX_PENDING_DEBUG, 0},
        {VMX_LINK_POINTER, UINT64_MAX},
    };

    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
        bench_write(id, valid[i].field, valid[i].value);
    for (uint32_t i = 0; i < 8; i++) {
        bench_write(id, VMX_ES_SELECTOR + 2 * i, 0);
        bench_write(id, VMX_ES_BASE + 2 * i, 0);
        bench_write(id, VMX_ES_LIMIT + 2 * i, 0xffff);
        bench_write(id, VMX_ES_RIGHTS + 2 * i,
                    i == SEG_CS    ? 0x9b
                    : i == SEG_TR  ? 0x8b
                    : i == SEG_LDT ? 0x82
                                   : 0x93);
        if (i < 4)
            bench_write(id, VMX_PDPTE0 + 2 * i, 0);
    }
}

struct bench bench_set_up(void)
{
    struct bench b;

    b.ram = mmap(NULL, BENCH_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(b.ram, MAP_FAILED);
    b.ram[0x1000] = 0xf4;
    assert_int_equal(hv_vm_create(HV_VM_DEFAULT), HV_SUCCESS);
    assert_int_equal(
        hv_vm_map(b.ram, 0, BENCH_RAM_BYTES, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
        HV_SUCCESS);
    assert_int_equal(hv_vcpu_create(&b.id, HV_VCPU_DEFAULT), HV_SUCCESS);
    bench_write_valid(b.id);
    return b;
}

void bench_tear_down(struct bench b)
{
    assert_int_equal(hv_vcpu_destroy(b.id), HV_SUCCESS);
    assert_int_equal(hv_vm_destroy(), HV_SUCCESS);
    munmap(b.ram, BENCH_RAM_BYTES);
}

void bench_code(struct bench b, const uint8_t *code, size_t length)
{
    memcpy(b.ram + BENCH_CODE, code, length);
    assert_int_equal(
        hv_vm_protect(BENCH_CODE, 0x1000, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
        HV_SUCCESS);
}
