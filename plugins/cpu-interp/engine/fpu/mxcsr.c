/* SPDX-License-Identifier: MIT
 *
 * fpu/mxcsr.c - see mxcsr.h.
 */
#include "mxcsr.h"

#include <fenv.h>

#if defined(__x86_64__)

static inline uint32_t host_read(void)
{
    uint32_t value;

    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static inline void host_write(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

/* The flags that the host has collected. */
static inline uint32_t host_flags(void)
{
    return host_read() & MXCSR_FLAGS;
}

/* The guest's rounding and flushing; no flags, all masked. DAZ and FTZ exist in every x86-64 host.
 */
static inline void host_set(uint32_t mxcsr)
{
    host_write((mxcsr & (MXCSR_RC | MXCSR_FTZ | MXCSR_DAZ)) | MXCSR_MASKS);
}

/* The x87's control word is the ABI's as well: x87 handlers go from it to the guest's and back. */
static uint64_t host_save(void)
{
    const uint16_t usual = 0x37f;
    uint16_t control;

    __asm__ volatile("fnstcw %0" : "=m"(control));
    __asm__ volatile("fnclex");
    __asm__ volatile("fldcw %0" : : "m"(usual));
    return host_read() | (uint64_t)control << 32;
}

static void host_restore(uint64_t saved)
{
    uint16_t control = (uint16_t)(saved >> 32);

    host_write((uint32_t)saved);
    __asm__ volatile("fldcw %0" : : "m"(control));
}

#else

static uint32_t host_flags(void)
{
    int raised = fetestexcept(FE_ALL_EXCEPT);
    uint32_t flags = 0;

    if (raised & FE_INVALID)
        flags |= MXCSR_IE;
    if (raised & FE_DIVBYZERO)
        flags |= MXCSR_ZE;
    if (raised & FE_OVERFLOW)
        flags |= MXCSR_OE;
    if (raised & FE_UNDERFLOW)
        flags |= MXCSR_UE;
    if (raised & FE_INEXACT)
        flags |= MXCSR_PE;
    return flags;
}

static void host_flush(bool both)
{
#if defined(__aarch64__)
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = both ? fpcr | 1u << 24 : fpcr & ~(uint64_t)(1u << 24);
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
#else
    (void)both;
#endif
}

static void host_set(uint32_t mxcsr)
{
    static const int rounding[4] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};

    feclearexcept(FE_ALL_EXCEPT);
    fesetround(rounding[(mxcsr & MXCSR_RC) >> 13]);
    host_flush((mxcsr & MXCSR_FTZ) && (mxcsr & MXCSR_DAZ));
}

static uint64_t host_save(void)
{
    return (uint64_t)fegetround();
}

static void host_restore(uint64_t saved)
{
    feclearexcept(FE_ALL_EXCEPT);
    fesetround((int)saved);
    host_flush(false);
}

#endif

uint64_t mxcsr_enter(struct cpu *c)
{
    uint64_t saved = host_save();

    host_set(c->fpu.mxcsr);
    c->fpu.entered = 1;
    return saved;
}

void mxcsr_leave(struct cpu *c, uint64_t saved)
{
    (void)mxcsr_sync(c);
    c->fpu.entered = 0;
    host_restore(saved);
}

uint32_t mxcsr_sync(struct cpu *c)
{
    if (c->fpu.entered)
        c->fpu.mxcsr |= host_flags();
    return c->fpu.mxcsr;
}

void mxcsr_load(struct cpu *c, uint32_t value)
{
    c->fpu.mxcsr = value & MXCSR_VALID;
    if (c->fpu.entered)
        host_set(value);
}

/* With underflow unmasked a result that is tiny but exact underflows too (SDM 1, 11.5.2.5), which
 * masked arithmetic does not show; but flushing to zero flags every tiny result. As FTZ has no
 * effect while underflow is unmasked, the host can have it set exactly then: where nothing
 * underflows it changes nothing, and elsewhere the result is dropped. */
void mxcsr_begin(struct cpu *c)
{
    uint32_t mxcsr = mxcsr_sync(c);

    if (mxcsr & MXCSR_UE << 7)
        host_set(mxcsr);
    else
        host_set(mxcsr | MXCSR_FTZ);
}

void mxcsr_end(struct cpu *c, const struct uop *u)
{
    const uint32_t before = MXCSR_IE | MXCSR_DE | MXCSR_ZE;
    uint32_t flags = host_flags(), raised = flags & ~(c->fpu.mxcsr >> 7) & MXCSR_FLAGS;

    host_set(c->fpu.mxcsr);
    /* Those found before the computation keep it from being done: SDM 1, 11.5.2. */
    if (raised & before)
        flags &= before;
    c->fpu.mxcsr |= flags;
    if (raised)
        raise_exception(c, u, c->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}
