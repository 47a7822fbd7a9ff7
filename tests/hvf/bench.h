/* SPDX-License-Identifier: MIT
 *
 * hvf/bench.h - a vCPU of the stand-in, by the framework's own calls: in a state from which each
 * test departs.
 */
#ifndef HVF_BENCH_H
#define HVF_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "standin.h"

#define BENCH_RAM_BYTES 0x10000u /* at 0 */
#define BENCH_CODE 0x1000u       /* RIP */

struct setting {
    uint32_t field;
    uint64_t value;
};

struct bench {
    hv_vcpuid_t id;
    uint8_t *ram;
};

/* Real mode, CS:IP 0:1000h, with HLT there, which exits. */
struct bench bench_set_up(void);
void bench_tear_down(struct bench b);
/* The same state again. */
void bench_write_valid(hv_vcpuid_t id);
/* Puts code at RIP. The stand-in's processor does not see by itself that others change its code. */
void bench_code(struct bench b, const uint8_t *code, size_t length);
/* A VMCS field that exists. */
void bench_write(hv_vcpuid_t id, uint32_t field, uint64_t value);
uint64_t bench_get(hv_vcpuid_t id, uint32_t field);

#endif
