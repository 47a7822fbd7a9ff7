/* SPDX-License-Identifier: MIT
 *
 * Tests of x87 instructions in the engine. On x86-64 hosts every encoding of D8 to DF runs bare as
 * well, from the same state: registers, status, tags, pointers, memory and EFLAGS must come out the
 * same. Formats that 64-bit mode does not have, and faults, have cases of their own.
 *
 * Does not prove: anything of the encodings on hosts that are not Intel's; FOP and FDP where the
 * host keeps them by other rules (fpu/x87.h).
 */
#include "bench.h"
#include "fpu/mxcsr.h"
#include "fpu/x87.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define OPERAND BENCH_DATA
#define OPERAND_BYTES 128u

static int make_bench(void **state)
{
    *state = bench_create(1);
    return 0;
}

static int drop_bench(void **state)
{
    bench_destroy(*state);
    return 0;
}

/* ---- against the bare CPU ------------------------------------------------------------------- */

#if defined(__x86_64__)

#include <cpuid.h>

static uint64_t next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Bytes of one x87 operand in any format. */
static void random_register(uint64_t *seed, uint8_t to[10])
{
    static const uint16_t exponents[] = {0,      1,      0x3bcd, 0x3c01, 0x3f6a, 0x3f81,
                                         0x3ffe, 0x3fff, 0x4000, 0x400e, 0x401e, 0x403e,
                                         0x407e, 0x43fe, 0x7ffe, 0x7fff};
    static const uint64_t mantissas[] = {0,
                                         1,
                                         UINT64_C(0x4000000000000000),
                                         UINT64_C(0x8000000000000000),
                                         UINT64_C(0x8000000000000001),
                                         UINT64_C(0xa000000000000000),
                                         UINT64_C(0xc000000000000000),
                                         UINT64_C(0xffffffffffffffff)};
    uint64_t r = next(seed), mantissa = next(seed);
    uint16_t exponent = (uint16_t)(r >> 48);

    if (r & 7)
        mantissa |= UINT64_C(1) << 63;
    if (!(r >> 3 & 3))
        mantissa = mantissas[r >> 5 & 7];
    if (r >> 8 & 1)
        exponent = (uint16_t)((exponent & 0x8000) | exponents[r >> 9 & 15]);
    else if (r >> 13 & 1)
        exponent = (uint16_t)((exponent & 0x8000) | (0x3fff - 64 + (r >> 14 & 127)));
    memcpy(to, &mantissa, 8);
    memcpy(to + 8, &exponent, 2);
}

static void random_memory(uint64_t *seed, uint8_t to[OPERAND_BYTES])
{
    uint64_t kind = next(seed);

    for (uint32_t i = 0; i < OPERAND_BYTES; i += 8) {
        uint64_t r = next(seed);

        memcpy(to + i, &r, 8);
    }
    if ((kind & 3) == 0)
        random_register(seed, to);
    if ((kind & 3) == 1)
        for (uint32_t i = 0; i < 9; i++)
            to[i] = (uint8_t)(next(seed) % 10 << 4 | next(seed) % 10);
    if (kind & 4) {
        /* Exponents of floats at their ends. */
        uint64_t ends = kind & 8 ? UINT64_C(0x7ff000007f800000) : 0;
        uint64_t value;

        memcpy(&value, to, 8);
        value = (value & ~UINT64_C(0x7ff000007f800000)) | ends;
        if (kind & 16)
            value &= UINT64_C(0xfff80000ffc00000);
        memcpy(to, &value, 8);
    }
}

/* An image for FXRSTOR64, without anything pending. */
static void random_image(uint64_t *seed, uint8_t image[512])
{
    uint64_t r = next(seed);
    uint16_t control = (uint16_t)(0x40 | (r & 0xf3f)), status = (uint16_t)(r >> 16);
    uint32_t mxcsr = 0x1f80;

    memset(image, 0, 512);
    /* Reserved precision: processors differ. */
    if ((control & 0x300) == 0x100)
        control |= 0x200;
    if (r >> 32 & 3)
        control |= 0x3f;
    status = (uint16_t)(status & 0x7f40 & ~0x80);
    status |= (uint16_t)(r >> 36 & control & 0x3f);
    memcpy(image, &control, 2);
    memcpy(image + 2, &status, 2);
    image[4] = (uint8_t)(r >> 42);
    if (r >> 50 & 1)
        image[4] = (uint8_t)(0xff & ~(1u << ((((uint32_t)status >> 11) - 1) & 7)));
    if (r >> 51 & 1)
        image[4] |= (uint8_t)(3u << (status >> 11 & 7) | 3u << (status >> 11 & 7) >> 8);
    memcpy(image + 24, &mxcsr, 4);
    for (uint32_t i = 0; i < 8; i++)
        random_register(seed, image + 32 + 16 * i);
}

/* What one instruction makes of a state. */
struct outcome {
    uint8_t image[512] __attribute__((aligned(16)));
    uint8_t memory[OPERAND_BYTES];
    uint64_t rax, flags, at; /* `at`: the instruction's own address */
};

/* rdi: memory operand, rsi: image in, rdx: image out, rcx: flags in and out, r8: rax out. */
static const uint8_t before[] = {
    0xff, 0x31,                      /* push [rcx] */
    0x9d,                            /* popfq */
    0x48, 0x0f, 0xae, 0x0e,          /* fxrstor64 [rsi] */
    0x48, 0xc7, 0xc0, 0,    0, 0, 0, /* mov rax, 0 */
};
static const uint8_t after[] = {
    0x48, 0x0f, 0xae, 0x02, /* fxsave64 [rdx] */
    0x9c,                   /* pushfq */
    0x8f, 0x01,             /* pop [rcx] */
    0x49, 0x89, 0x00,       /* mov [r8], rax */
    0xdb, 0xe3,             /* fninit */
    0xc3,                   /* ret */
};

typedef void bare(void *memory, const void *in, void *out, uint64_t *flags, uint64_t *rax);

static void run_bare(uint8_t *page, const uint8_t *code, uint32_t bytes, const uint8_t *image,
                     struct outcome *o)
{
    bare *fn;
    uint8_t in[512] __attribute__((aligned(16)));

    memcpy(in, image, 512);
    memcpy(page, before, sizeof(before));
    memcpy(page + sizeof(before), code, bytes);
    memcpy(page + sizeof(before) + bytes, after, sizeof(after));
    memcpy(&fn, &page, sizeof(fn));
    memset(o->image, 0, 512);
    o->at = (uintptr_t)page + sizeof(before);
    fn(o->memory, in, o->image, &o->flags, &o->rax);
}

static void run_engine(struct bench *b, const uint8_t *code, uint32_t bytes, const uint8_t *image,
                       struct outcome *o)
{
    struct cpu *c = b->cpu[0];
    int how;

    memcpy(b->ram + OPERAND, o->memory, OPERAND_BYTES);
    assert_int_equal(fpu_image_set(c, image), 0);
    c->reg[RDI] = OPERAND;
    c->reg[RAX] = 0;
    bench_rflags_set(b, 0, o->flags);
    how = bench_run(b, code, bytes);
    if (how != BENCH_STOPPED)
        fail_msg("%02x %02x: %d", code[0], code[1], how);
    fpu_image_get(c, o->image);
    memcpy(o->memory, b->ram + OPERAND, OPERAND_BYTES);
    o->rax = c->reg[RAX];
    o->flags = bench_rflags(b, 0);
    o->at = BENCH_CODE;
}

static bool exists(uint8_t opcode, uint8_t modrm)
{
    switch (opcode << 8 | modrm) {
    case 0xdae9:
    case 0xd9d0:
    case 0xded9:
    case 0xdfe0:
        return true;
    default:
        break;
    }
    if (modrm < 0xc0)
        switch (opcode << 8 | (modrm & 0x38)) {
        case 0xd908:
        case 0xdb20:
        case 0xdb30:
        case 0xdd28:
            return false;
        default:
            return true;
        }
    switch (opcode << 8 | (modrm & 0xf8)) {
    case 0xd9d0:
    case 0xdae0:
    case 0xdae8:
    case 0xdaf0:
    case 0xdaf8:
    case 0xdbf8:
    case 0xddf0:
    case 0xddf8:
    case 0xded8:
    case 0xdfe0:
    case 0xdff8:
        return false;
    case 0xd9e0:
        return modrm == 0xe0 || modrm == 0xe1 || modrm == 0xe4 || modrm == 0xe5;
    case 0xd9e8:
        return modrm != 0xef;
    case 0xdbe0:
        return modrm <= 0xe4;
    default:
        return true;
    }
}

/* FOP and FDP of the host as fpu/x87.h has them. */
static bool same_pointers(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx & 1u << 6 && ebx & 1u << 13;
}

static void print_image(const char *name, const struct outcome *o)
{
    print_message("%s: fcw %02x%02x fsw %02x%02x ftw %02x fop %02x%02x flags %llx rax %llx\n", name,
                  o->image[1], o->image[0], o->image[3], o->image[2], o->image[4], o->image[7],
                  o->image[6], (unsigned long long)o->flags, (unsigned long long)o->rax);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t mantissa;
        uint16_t exponent;

        memcpy(&mantissa, o->image + 32 + 16 * i, 8);
        memcpy(&exponent, o->image + 40 + 16 * i, 2);
        print_message("  st%u %04x.%016llx", i, exponent, (unsigned long long)mantissa);
    }
    print_message("\n  memory");
    for (uint32_t i = 0; i < 32; i++)
        print_message(" %02x", o->memory[i]);
    print_message("\n");
}

static void compare(const uint8_t *code, const uint8_t *image, const struct outcome *native,
                    const struct outcome *engine, const uint8_t *memory, bool pointers)
{
    struct outcome start;
    uint64_t flags_mask = FLAGS_ARITHMETIC;
    uint64_t native_ip, engine_ip;
    bool same;

    memcpy(&native_ip, native->image + 8, 8);
    memcpy(&engine_ip, engine->image + 8, 8);
    same = memcmp(native->image, engine->image, pointers ? 8 : 6) == 0 &&
           memcmp(native->image + 32, engine->image + 32, 128) == 0 &&
           memcmp(native->memory, engine->memory, OPERAND_BYTES) == 0 &&
           native->rax == engine->rax &&
           (native->flags & flags_mask) == (engine->flags & flags_mask);
    if (same && pointers) {
        uint64_t native_dp, engine_dp;

        memcpy(&native_dp, native->image + 16, 8);
        memcpy(&engine_dp, engine->image + 16, 8);
        if (native_dp == (uintptr_t)native->memory)
            native_dp = OPERAND;
        same = native_dp == engine_dp &&
               (native_ip == native->at ? engine_ip == engine->at : native_ip == engine_ip);
    }
    if (same)
        return;
    memset(&start, 0, sizeof(start));
    memcpy(start.image, image, 512);
    memcpy(start.memory, memory, OPERAND_BYTES);
    print_image("start ", &start);
    print_image("native", native);
    print_image("engine", engine);
    fail_msg("%02x %02x: ip %llx %llx", code[0], code[1],
             (unsigned long long)(native_ip - native->at),
             (unsigned long long)(engine_ip - engine->at));
}

static void run_opcode(struct bench *b, uint8_t opcode, uint32_t rounds)
{
    uint8_t *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = opcode;
    bool pointers = same_pointers();

    assert_ptr_not_equal(page, MAP_FAILED);
    bench_mode(b, 0, BENCH_LONG);
    for (uint32_t m = 0; m < 256; m++) {
        /* Memory operands at [rdi]. */
        uint8_t code[2] = {opcode, (uint8_t)m};

        if ((m < 0xc0 && (m & 0xc7) != 7) || !exists(opcode, (uint8_t)m))
            continue;
        for (uint32_t i = 0; i < (m < 0xc0 ? rounds * 4 : rounds); i++) {
            struct outcome native = {0}, engine = {0};
            uint8_t image[512], memory[OPERAND_BYTES];

            random_image(&seed, image);
            random_memory(&seed, memory);
            /* Environments that the test wants to go on with. */
            memcpy(native.memory, memory, OPERAND_BYTES);
            memcpy(engine.memory, memory, OPERAND_BYTES);
            native.flags = engine.flags = 2 | (next(&seed) & FLAGS_ARITHMETIC);
            run_bare(page, code, 2, image, &native);
            run_engine(b, code, 2, image, &engine);
            compare(code, image, &native, &engine, memory, pointers);
        }
    }
    munmap(page, 4096);
}

#define OPCODE_TEST(opcode)                                                                        \
    static void opcode_##opcode##_does_what_the_bare_cpu_does(void **state)                        \
    {                                                                                              \
        run_opcode(*state, 0x##opcode, 60);                                                        \
    }
OPCODE_TEST(d8)
OPCODE_TEST(d9)
OPCODE_TEST(da)
OPCODE_TEST(db)
OPCODE_TEST(dc)
OPCODE_TEST(dd)
OPCODE_TEST(de)
OPCODE_TEST(df)

#endif

/* ---- pending and missing -------------------------------------------------------------------- */

static void unmasked_division_by_zero_is_raised_by_the_next_waiting_instruction(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr0 |= CR0_NE;
    cpu_mode_changed(c);
    c->reg[RDI] = OPERAND;
    bench_poke(b, OPERAND, 0x37b, 2);
    /* fldcw [rdi]; fld1; fldz; fdivp st1, st0; fnstsw ax; fwait */
    assert_int_equal(BENCH_RUN(b, 0xd9, 0x2f, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0xdf, 0xe0, 0x9b),
                     EXC_MF);
    assert_int_equal(c->rip, BENCH_CODE + 10);
    assert_int_equal(c->reg[RAX] & 0xffff, 0xb084);
    assert_int_equal(c->fpu.ip, BENCH_CODE + 6);
    assert_int_equal(c->fpu.opcode, 0x6f9);
}

static void pending_exception_is_dropped_by_fnclex(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr0 |= CR0_NE;
    c->reg[RDI] = OPERAND;
    bench_poke(b, OPERAND, 0x37b, 2);
    assert_int_equal(BENCH_RUN(b, 0xd9, 0x2f, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0xdb, 0xe2, 0x9b),
                     BENCH_STOPPED);
}

static void pending_exception_without_ne_is_not_raised(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr0 &= ~(uint64_t)CR0_NE;
    c->reg[RDI] = OPERAND;
    bench_poke(b, OPERAND, 0x37b, 2);
    assert_int_equal(BENCH_RUN(b, 0xd9, 0x2f, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b),
                     BENCH_STOPPED);
}

static void task_switched_flag_gives_nm(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr0 = (c->cr0 | CR0_TS) & ~(uint64_t)(CR0_MP | CR0_EM);
    cpu_mode_changed(c);
    assert_int_equal(BENCH_RUN(b, 0xd9, 0xe8), EXC_NM);       /* fld1 */
    assert_int_equal(BENCH_RUN(b, 0xdb, 0xe3), EXC_NM);       /* fninit */
    assert_int_equal(BENCH_RUN(b, 0x9b), BENCH_STOPPED);      /* fwait */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xae, 0x07), EXC_NM); /* fxsave */
    c->cr0 |= CR0_MP;
    assert_int_equal(BENCH_RUN(b, 0x9b), EXC_NM);
    c->cr0 = (c->cr0 & ~(uint64_t)CR0_TS) | CR0_EM;
    cpu_mode_changed(c);
    assert_int_equal(BENCH_RUN(b, 0x9b), BENCH_STOPPED);
    assert_int_equal(BENCH_RUN(b, 0xd9, 0xe8), EXC_NM);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x77), EXC_UD); /* emms */
}

static void store_that_faults_leaves_no_flags(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    assert_int_equal(BENCH_RUN(b, 0xd9, 0xeb), BENCH_STOPPED); /* fldpi */
    bench_page_set(b, BENCH_FREE, 0);
    c->reg[RDI] = BENCH_FREE;
    assert_int_equal(BENCH_RUN(b, 0xd9, 0x1f), EXC_PF); /* fstp dword [rdi] */
    assert_int_equal(c->fpu.status, 0);
    assert_int_equal(c->fpu.top, 7);
}

/* ---- images --------------------------------------------------------------------------------- */

static void environment_has_the_format_of_the_mode(void **state)
{
    static const enum bench_mode modes[] = {BENCH_LONG, BENCH_PROTECTED, BENCH_PROTECTED16,
                                            BENCH_REAL};
    struct bench *b = *state;

    for (uint32_t i = 0; i < 4; i++) {
        struct cpu *c = bench_mode(b, 0, modes[i]);
        uint64_t address = i < 3 ? OPERAND : 0xc000;

        c->fpu.control = 0x37f;
        c->fpu.status = SW_C3;
        c->fpu.top = 5;
        c->fpu.valid = 0xe0;
        for (uint32_t r = 0; r < 8; r++)
            c->fpu.r[r] = (struct f80){0, 0};
        c->fpu.r[5] = f80_from_int(1);
        c->fpu.r[6] = (struct f80){1, 0};
        c->fpu.ip = 0x12345;
        c->fpu.dp = 0x6789a;
        c->fpu.cs = c->fpu.ds = 0;
        c->fpu.opcode = 0x6f9;
        c->reg[RDI] = address;
        memset(b->ram + address, 0, 64);
        if (i < 2) {
            assert_int_equal(BENCH_RUN(b, 0xd9, 0x37), BENCH_STOPPED); /* fnstenv [rdi] */
            assert_int_equal(bench_peek(b, address, 4), 0xffff037f);
            assert_int_equal(bench_peek(b, address + 4, 4), 0xffff6800);
            assert_int_equal(bench_peek(b, address + 8, 4), 0xffff63ff);
            assert_int_equal(bench_peek(b, address + 12, 4), 0x12345);
            assert_int_equal(bench_peek(b, address + 16, 4), 0x6f90000);
            assert_int_equal(bench_peek(b, address + 20, 4), 0x6789a);
        } else {
            /* fnstenv [di]; fldenv [di] */
            assert_int_equal(BENCH_RUN(b, 0xd9, 0x35), BENCH_STOPPED);
            assert_int_equal(bench_peek(b, address, 2), 0x37f);
            assert_int_equal(bench_peek(b, address + 2, 2), 0x6800);
            assert_int_equal(bench_peek(b, address + 4, 2), 0x63ff);
            assert_int_equal(bench_peek(b, address + 6, 2), 0x2345);
            assert_int_equal(bench_peek(b, address + 8, 2), i == 2 ? 0 : 0x16f9);
            assert_int_equal(bench_peek(b, address + 10, 2), 0x789a);
            assert_int_equal(bench_peek(b, address + 12, 2), i == 2 ? 0 : 0x6000);
        }
        assert_int_equal(c->fpu.control, 0x37f);
        x87_init(&c->fpu);
        assert_int_equal(i < 2 ? BENCH_RUN(b, 0xd9, 0x27) : BENCH_RUN(b, 0xd9, 0x25),
                         BENCH_STOPPED);
        assert_int_equal(x87_status(&c->fpu), 0x6800);
        assert_int_equal(c->fpu.valid, 0xe0);
        assert_int_equal(c->fpu.ip, i == 2 ? 0x2345 : 0x12345);
        assert_int_equal(c->fpu.opcode, i == 2 ? 0 : 0x6f9);
    }
}

static void fxsave_and_fxrstor_agree(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RDI] = OPERAND;
    memset(b->ram + OPERAND, 0xee, 512);
    c->v[15].u64[1] = 0x1122334455667788;
    mxcsr_load(c, 0x1fa0);
    /* fldpi; fxsave64 [rdi] */
    assert_int_equal(BENCH_RUN(b, 0xd9, 0xeb, 0x48, 0x0f, 0xae, 0x07), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, OPERAND + 4, 1), 0x80);
    assert_int_equal(bench_peek(b, OPERAND + 8, 8), BENCH_CODE);
    assert_int_equal(bench_peek(b, OPERAND + 24, 4), 0x1fa0);
    assert_int_equal(bench_peek(b, OPERAND + 28, 4), MXCSR_VALID);
    assert_int_equal(bench_peek(b, OPERAND + 32, 8), UINT64_C(0xc90fdaa22168c235));
    assert_int_equal(bench_peek(b, OPERAND + 408, 8), 0x1122334455667788);
    assert_int_equal(bench_peek(b, OPERAND + 416, 1), 0xee);
    x87_init(&c->fpu);
    c->v[15].u64[1] = 0;
    mxcsr_load(c, MXCSR_DEFAULT);
    assert_int_equal(BENCH_RUN(b, 0x48, 0x0f, 0xae, 0x0f), BENCH_STOPPED); /* fxrstor64 [rdi] */
    assert_int_equal(c->fpu.top, 7);
    assert_int_equal(c->fpu.valid, 0x80);
    assert_int_equal(c->fpu.ip, BENCH_CODE);
    assert_int_equal(c->v[15].u64[1], 0x1122334455667788);
    assert_int_equal(mxcsr_sync(c), 0x1fa0);
}

static void fxsave_outside_64_bit_mode_has_eight_vectors(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    c->reg[RDI] = OPERAND;
    memset(b->ram + OPERAND, 0xee, 512);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xae, 0x07), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, OPERAND + 287, 1), 0);
    assert_int_equal(bench_peek(b, OPERAND + 288, 1), 0xee);
}

static void fxrstor_refuses_reserved_bits_and_bad_alignment(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RDI] = OPERAND;
    memset(b->ram + OPERAND, 0, 512);
    bench_poke(b, OPERAND + 24, 0x11f80, 4);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xae, 0x0f), EXC_GP);
    assert_int_equal(b->frame.error, 0);
    assert_int_equal(c->fpu.control, 0x37f);
    c->reg[RDI] = OPERAND + 8;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xae, 0x0f), EXC_GP);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xae, 0x07), EXC_GP);
}

static void image_with_reserved_bits_in_mxcsr_is_refused(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint8_t image[512];

    fpu_image_get(c, image);
    assert_int_equal(fpu_image_set(c, image), 0);
    image[27] = 1;
    assert_int_not_equal(fpu_image_set(c, image), 0);
}

/* ---- MXCSR ---------------------------------------------------------------------------------- */

static void mxcsr_is_loaded_and_stored(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RDI] = OPERAND;
    bench_poke(b, OPERAND, 0x7fa1, 4);
    /* ldmxcsr [rdi]; stmxcsr [rdi+4] */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xae, 0x17, 0x0f, 0xae, 0x5f, 0x04), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, OPERAND + 4, 4), 0x7fa1);
    bench_poke(b, OPERAND, 0x10000, 4);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xae, 0x17), EXC_GP);
    assert_int_equal(mxcsr_sync(c), 0x7fa1);
}

static void sse_flags_are_collected_and_the_hosts_environment_kept(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    volatile double one = 1, three = 3, quotient;

    c->reg[RDI] = OPERAND;
    c->v[0].f64[0] = 1;
    c->v[1].f64[0] = 3;
    mxcsr_load(c, 0x1f80 | 2u << 13); /* rounds up */
    /* divsd xmm0, xmm1; stmxcsr [rdi] */
    assert_int_equal(BENCH_RUN(b, 0xf2, 0x0f, 0x5e, 0xc1, 0x0f, 0xae, 0x1f), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, OPERAND, 4), 0x5fa0);
    assert_int_equal(c->v[0].u64[0], UINT64_C(0x3fd5555555555556));
    quotient = one / three;
    assert_true(quotient < c->v[0].f64[0]);
}

static void unmasked_sse_exception_comes_before_the_result(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu_mode_changed(c);
    c->v[0].f64[0] = 1;
    c->v[1].f64[0] = 0;
    mxcsr_load(c, 0x1f80 & ~(MXCSR_ZE << 7));
    assert_int_equal(BENCH_RUN(b, 0xf2, 0x0f, 0x5e, 0xc1), EXC_XM);
    assert_true(c->v[0].f64[0] > 0.5 && c->v[0].f64[0] < 1.5);
    assert_int_equal(mxcsr_sync(c) & MXCSR_FLAGS, MXCSR_ZE);
    c->cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
    assert_int_equal(BENCH_RUN(b, 0xf2, 0x0f, 0x5e, 0xc1), EXC_UD);
}

static void exact_tiny_result_underflows_only_if_unmasked(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu_mode_changed(c);
    c->v[0].u64[0] = UINT64_C(0x0010000000000000); /* the smallest normal number */
    c->v[1].f64[0] = 0.5;
    /* mulsd xmm0, xmm1 */
    assert_int_equal(BENCH_RUN(b, 0xf2, 0x0f, 0x59, 0xc1), BENCH_STOPPED);
    assert_int_equal(c->v[0].u64[0], UINT64_C(0x0008000000000000));
    assert_int_equal(mxcsr_sync(c) & MXCSR_FLAGS, 0);
#if defined(__x86_64__)
    /* Other hosts do not see it: fpu/mxcsr.h. */
    c->v[0].u64[0] = UINT64_C(0x0010000000000000);
    mxcsr_load(c, 0x1f80 & ~(MXCSR_UE << 7));
    assert_int_equal(BENCH_RUN(b, 0xf2, 0x0f, 0x59, 0xc1), EXC_XM);
    assert_int_equal(c->v[0].u64[0], UINT64_C(0x0010000000000000));
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bench, drop_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        TEST(opcode_d8_does_what_the_bare_cpu_does),
        TEST(opcode_d9_does_what_the_bare_cpu_does),
        TEST(opcode_da_does_what_the_bare_cpu_does),
        TEST(opcode_db_does_what_the_bare_cpu_does),
        TEST(opcode_dc_does_what_the_bare_cpu_does),
        TEST(opcode_dd_does_what_the_bare_cpu_does),
        TEST(opcode_de_does_what_the_bare_cpu_does),
        TEST(opcode_df_does_what_the_bare_cpu_does),
#endif
        TEST(unmasked_division_by_zero_is_raised_by_the_next_waiting_instruction),
        TEST(pending_exception_is_dropped_by_fnclex),
        TEST(pending_exception_without_ne_is_not_raised),
        TEST(task_switched_flag_gives_nm),
        TEST(store_that_faults_leaves_no_flags),
        TEST(environment_has_the_format_of_the_mode),
        TEST(fxsave_and_fxrstor_agree),
        TEST(fxsave_outside_64_bit_mode_has_eight_vectors),
        TEST(fxrstor_refuses_reserved_bits_and_bad_alignment),
        TEST(image_with_reserved_bits_in_mxcsr_is_refused),
        TEST(mxcsr_is_loaded_and_stored),
        TEST(sse_flags_are_collected_and_the_hosts_environment_kept),
        TEST(unmasked_sse_exception_comes_before_the_result),
        TEST(exact_tiny_result_underflows_only_if_unmasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
