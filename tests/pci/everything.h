/* SPDX-License-Identifier: MIT
 *
 * pci/everything.h - for tests: the device of tests/fakes/plugins/pci_parts.c on the fake host.
 */
#ifndef TESTS_PCI_EVERYTHING_H
#define TESTS_PCI_EVERYTHING_H

#include "fakes/pci.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Its functions, as the first free device is 1. */
#define FN0 0x08u
#define FN1 0x09u
#define FN2 0x0au

/* Its registers. */
#define ID 0x00u
#define NOTIFY 0x04u
#define INTX 0x08u
#define GPA 0x0cu
#define DMA 0x10u
#define RING 0x14u
#define MASKED 0x18u
#define SCRATCH 0x1cu
#define ID_VALUE 0x49435042u

#define COMMAND 0x04u
#define STATUS 0x06u
#define BAR(n) (0x10u + 4 * (n))

#define MEMORY FAKE_BAR_MEMORY(FN0, 0)
#define PORTS FAKE_BAR_IO(FN0, 2)
#define TABLE (MEMORY + 0x2000)
#define PBA (MEMORY + 0x3000)

static inline uint32_t get(struct fake_host *h, uint64_t offset)
{
    return (uint32_t)fake_read(h, BP_SPACE_MMIO, MEMORY + offset, 4);
}

static inline void put(struct fake_host *h, uint64_t offset, uint32_t value)
{
    fake_write(h, BP_SPACE_MMIO, MEMORY + offset, value, 4);
}

/* As after power-on. */
static inline int make_device(void **state)
{
    uint32_t any = BP_PCI_ANY;

    *state = fake_host_new(PCI_PARTS, "everything", &any);
    return 0;
}

/* With every function decoded, and bus masters. */
static inline int start_device(void **state)
{
    make_device(state);
    for (uint32_t devfn = FN0; devfn <= FN2; devfn++)
        fake_pci_start(*state, devfn);
    return 0;
}

static inline int free_device(void **state)
{
    fake_host_free(*state);
    return 0;
}

#endif
