/* SPDX-License-Identifier: MIT
 *
 * fpu/host.h - x87 operations by the x87 of an x86-64 host.
 *
 * The guest's control word goes into the host's unit for the one instruction, masks and all: an
 * x87 exception is raised only by the next waiting instruction (SDM 1, 8.7), and before there is
 * one FNCLEX has removed it. So every result, flag and condition code is the host's by
 * construction, those of unmasked exceptions too.
 *
 * Between the operations the host's unit is as the ABI wants it: empty, control word 0x37f, and no
 * flags. (An unmasked exception keeps an instruction from popping; FFREE then empties what
 * is left, and leaves TOP somewhere else, which nobody minds.)
 */
#ifndef INTERP_HOST_H
#define INTERP_HOST_H

#if defined(__x86_64__)

#define HOST_CONTROL 0x37fu
#define HOST_STATUS 0x473fu /* flags and condition codes */

#define HOST_CLOBBERS "cc", "st", "st(1)", "st(2)"

/* FNCLEX is slow, and often there is nothing to clear. */
#define HOST_DONE                                                                                  \
    "fnstsw %w[sw]\n\t"                                                                            \
    "testb $0x3f, %b[sw]\n\t"                                                                      \
    "jz 1f\n\t"                                                                                    \
    "fnclex\n"                                                                                     \
    "1:\n\t"                                                                                       \
    "fldcw %[usual]\n\t"

/* ST(0) op ST(1), not popping; also FSCALE and FPREM, where the second is left alone. */
#define HOST_BINARY(name, insn)                                                                    \
    static inline struct f80_out host_##name(const struct f80 *a, const struct f80 *b,             \
                                             uint16_t control)                                     \
    {                                                                                              \
        const uint16_t usual = HOST_CONTROL;                                                       \
        struct f80_out out = {0};                                                                  \
                                                                                                   \
        __asm__ volatile("fldt %[b]\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn "\n\t" HOST_DONE         \
                         "fstpt %[r]\n\tfstp %%st(0)"                                              \
                         : [r] "=m"(out.value), [sw] "=&a"(out.status)                             \
                         : [a] "m"(*a), [b] "m"(*b), [cw] "m"(control), [usual] "m"(usual)         \
                         : HOST_CLOBBERS);                                                         \
        out.status &= HOST_STATUS;                                                                 \
        return out;                                                                                \
    }

/* ST(0) op memory: as `type`, so that the host sees a denormal or a NaN in its format. */
#define HOST_MEMORY(name, insn, type)                                                              \
    static inline struct f80_out host_##name(const struct f80 *a, type b, uint16_t control)        \
    {                                                                                              \
        const uint16_t usual = HOST_CONTROL;                                                       \
        struct f80_out out = {0};                                                                  \
                                                                                                   \
        __asm__ volatile("fldt %[a]\n\tfldcw %[cw]\n\t" insn " %[b]\n\t" HOST_DONE "fstpt %[r]"    \
                         : [r] "=m"(out.value), [sw] "=&a"(out.status)                             \
                         : [a] "m"(*a), [b] "m"(b), [cw] "m"(control), [usual] "m"(usual)          \
                         : HOST_CLOBBERS);                                                         \
        out.status &= HOST_STATUS;                                                                 \
        return out;                                                                                \
    }

#define HOST_ARITHMETIC(name)                                                                      \
    HOST_BINARY(name, "f" #name " %%st(1), %%st")                                                  \
    HOST_MEMORY(name##_f32, "f" #name "s", uint32_t)                                               \
    HOST_MEMORY(name##_f64, "f" #name "l", uint64_t)

HOST_ARITHMETIC(add)
HOST_ARITHMETIC(mul)
HOST_ARITHMETIC(sub)
HOST_ARITHMETIC(subr)
HOST_ARITHMETIC(div)
HOST_ARITHMETIC(divr)
HOST_BINARY(scale, "fscale")
HOST_BINARY(prem, "fprem")
HOST_BINARY(prem1, "fprem1")

/* Only the status counts: C3, C2, C0. */
HOST_BINARY(com, "fcom %%st(1)")
HOST_BINARY(ucom, "fucom %%st(1)")
HOST_MEMORY(com_f32, "fcoms", uint32_t)
HOST_MEMORY(com_f64, "fcoml", uint64_t)

/* ST(1) op ST(0), popping; `a` is ST(0). */
#define HOST_POPPING(name, insn)                                                                   \
    static inline struct f80_out host_##name(const struct f80 *a, const struct f80 *b,             \
                                             uint16_t control)                                     \
    {                                                                                              \
        const uint16_t usual = HOST_CONTROL;                                                       \
        struct f80_out out = {0};                                                                  \
                                                                                                   \
        __asm__ volatile("fldt %[b]\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn "\n\t" HOST_DONE         \
                         "fstpt %[r]\n\tffree %%st(0)"                                             \
                         : [r] "=m"(out.value), [sw] "=&a"(out.status)                             \
                         : [a] "m"(*a), [b] "m"(*b), [cw] "m"(control), [usual] "m"(usual)         \
                         : HOST_CLOBBERS);                                                         \
        out.status &= HOST_STATUS;                                                                 \
        return out;                                                                                \
    }

HOST_POPPING(patan, "fpatan")
HOST_POPPING(yl2x, "fyl2x")
HOST_POPPING(yl2xp1, "fyl2xp1")

#define HOST_UNARY(name, insn)                                                                     \
    static inline struct f80_out host_##name(const struct f80 *a, uint16_t control)                \
    {                                                                                              \
        const uint16_t usual = HOST_CONTROL;                                                       \
        struct f80_out out = {0};                                                                  \
                                                                                                   \
        __asm__ volatile("fldt %[a]\n\tfldcw %[cw]\n\t" insn "\n\t" HOST_DONE "fstpt %[r]"         \
                         : [r] "=m"(out.value), [sw] "=&a"(out.status)                             \
                         : [a] "m"(*a), [cw] "m"(control), [usual] "m"(usual)                      \
                         : HOST_CLOBBERS);                                                         \
        out.status &= HOST_STATUS;                                                                 \
        return out;                                                                                \
    }

HOST_UNARY(sqrt, "fsqrt")
HOST_UNARY(rndint, "frndint")
HOST_UNARY(f2xm1, "f2xm1")
HOST_UNARY(sin, "fsin")
HOST_UNARY(cos, "fcos")

/* If nothing was pushed the second store finds an empty register, and its flag has to go. */
#define HOST_PUSHING(name, insn)                                                                   \
    static inline struct f80_pair host_##name(const struct f80 *a, uint16_t control)               \
    {                                                                                              \
        const uint16_t usual = HOST_CONTROL;                                                       \
        struct f80_pair out = {0};                                                                 \
                                                                                                   \
        __asm__ volatile(                                                                          \
            "fldt %[a]\n\tfldcw %[cw]\n\t" insn "\n\t" HOST_DONE                                   \
            "fstpt %[upper]\n\tfstpt %[lower]\n\tfnclex"                                           \
            : [upper] "=m"(out.upper), [lower] "=m"(out.lower), [sw] "=&a"(out.status)             \
            : [a] "m"(*a), [cw] "m"(control), [usual] "m"(usual)                                   \
            : HOST_CLOBBERS);                                                                      \
        out.status &= HOST_STATUS;                                                                 \
        return out;                                                                                \
    }

HOST_PUSHING(sincos, "fsincos")
HOST_PUSHING(ptan, "fptan")
HOST_PUSHING(xtract, "fxtract")

/* Conversions. FISTTP is FISTP with another rounding: the caller's control word says so. */
#define HOST_STORE(name, insn, type)                                                               \
    static inline struct f80_bits host_##name(const struct f80 *a, uint16_t control)               \
    {                                                                                              \
        const uint16_t usual = HOST_CONTROL;                                                       \
        struct f80_bits out = {0};                                                                 \
        type to = 0;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt %[a]\n\tfldcw %[cw]\n\t" insn " %[r]\n\t" HOST_DONE "ffree %%st(0)" \
                         : [r] "+m"(to), [sw] "=&a"(out.status)                                    \
                         : [a] "m"(*a), [cw] "m"(control), [usual] "m"(usual)                      \
                         : HOST_CLOBBERS);                                                         \
        out.status &= HOST_STATUS;                                                                 \
        out.bits = to;                                                                             \
        return out;                                                                                \
    }

HOST_STORE(to_f32, "fstps", uint32_t)
HOST_STORE(to_f64, "fstpl", uint64_t)
HOST_STORE(to_i16, "fistps", uint16_t)
HOST_STORE(to_i32, "fistpl", uint32_t)
HOST_STORE(to_i64, "fistpll", uint64_t)

static inline struct f80_bits host_to_bcd(const struct f80 *a, uint16_t control)
{
    const uint16_t usual = HOST_CONTROL;
    struct f80_bits out = {0};
    struct f80 to = {0};

    __asm__ volatile("fldt %[a]\n\tfldcw %[cw]\n\tfbstp %[r]\n\t" HOST_DONE "ffree %%st(0)"
                     : [r] "+m"(to), [sw] "=&a"(out.status)
                     : [a] "m"(*a), [cw] "m"(control), [usual] "m"(usual)
                     : HOST_CLOBBERS);
    out.status &= HOST_STATUS;
    out.bits = to.mantissa;
    out.high = to.sign_exponent;
    return out;
}

static inline struct f80 host_from_bcd(uint64_t low, uint16_t high)
{
    struct f80 from = {low, high}, to = {0};

    __asm__ volatile("fbld %[b]\n\tfstpt %[r]" : [r] "=m"(to) : [b] "m"(from) : HOST_CLOBBERS);
    return to;
}

#endif
#endif
