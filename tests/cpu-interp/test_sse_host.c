/* SPDX-License-Identifier: MIT
 *
 * test_sse_host.c - every form of every vector instruction, by the engine and by the host's own
 * processor, on the same operands.
 *
 * The forms are found by asking Zydis' encoder for each mnemonic of the engine's tables with each
 * combination of operands. Operands are random, with NaNs, denormals, infinities and small integers
 * among them, and so are rounding, DAZ and FTZ; exceptions are masked. Compared are the vector
 * registers, the x87's as MMX leaves them, general registers, RFLAGS, MXCSR and memory.
 *
 * With SSE_RECORD=FILE what the host does is written there, for test_sse_recorded.c.
 *
 * It does not prove: exceptions, alignment, gathers, XSAVE; those have tests of their own. On a
 * host without a feature, or that is no x86, its instructions are left out.
 */
#include "vectors.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "decode/emit.h"
#include "decode/features.h"
#include "fpu/mxcsr.h"

#if defined(__x86_64__)

#define ROUNDS 40u
#define RECORDED_IMMEDIATES 4u

/* The assembly below knows the offsets. */
static_assert(offsetof(struct state, v) == 512 && offsetof(struct state, reg) == 1024 &&
                  offsetof(struct state, flags) == 1072,
              "as the assembly has it");

/* clang-format off */
__asm__(".pushsection .rodata\n"
        "host_before:\n"
        "push %rbx; push %rbp; push %r12\n"
        "mov %rdi, %r12\n"
        "fxrstor64 (%r12)\n"
        "vmovups 512(%r12), %ymm0; vmovups 544(%r12), %ymm1\n"
        "vmovups 576(%r12), %ymm2; vmovups 608(%r12), %ymm3\n"
        "vmovups 640(%r12), %ymm4\n"
        "mov 1024(%r12), %rax; mov 1032(%r12), %rcx; mov 1040(%r12), %rdx\n"
        "mov 1048(%r12), %rbx; mov 1056(%r12), %rsi; mov 1064(%r12), %rdi\n"
        "push 1072(%r12); popfq\n"
        "host_before_end:\n"
        "host_after:\n"
        "pushfq; pop 1072(%r12)\n"
        "mov %rax, 1024(%r12); mov %rcx, 1032(%r12); mov %rdx, 1040(%r12)\n"
        "mov %rbx, 1048(%r12); mov %rsi, 1056(%r12); mov %rdi, 1064(%r12)\n"
        "vmovups %ymm0, 512(%r12); vmovups %ymm1, 544(%r12)\n"
        "vmovups %ymm2, 576(%r12); vmovups %ymm3, 608(%r12)\n"
        "vmovups %ymm4, 640(%r12)\n"
        "fxsave64 (%r12)\n"
        "fninit; vzeroupper\n"
        "pop %r12; pop %rbp; pop %rbx; ret\n"
        "host_after_end:\n"
        ".popsection\n");
/* clang-format on */
extern const uint8_t host_before[], host_before_end[], host_after[], host_after_end[];

struct fixture {
    struct vectors v; /* first; data: the host's, at DATA */
    uint8_t *code;
    uint32_t forms, failures;
    FILE *record; /* NULL: none */
};

static void host_run(struct fixture *f, const uint8_t *bytes, size_t length, struct state *s)
{
    size_t before = (size_t)(host_before_end - host_before);
    uint32_t mxcsr = MXCSR_DEFAULT;
    void (*run)(struct state *);
    uint8_t *to = f->code;

    memcpy(to, host_before, before);
    memcpy(to + before, bytes, length);
    memcpy(to + before + length, host_after, (size_t)(host_after_end - host_after));
    memcpy(&run, &to, sizeof(run));
    run(s);
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

/* ---- recording ------------------------------------------------------------------------------ */

static int host_act(struct vectors *v, const uint8_t *bytes, size_t length, struct state *s)
{
    host_run((struct fixture *)v, bytes, length, s);
    return 0;
}

/* A line of recorded.txt. RCP and RSQRT are as exact as the maker likes: SDM 2. */
static void record_form(struct fixture *f, const uint8_t *bytes, size_t length)
{
    char text[96];
    uint32_t values, mxcsr;

    insn_format(bytes, (uint32_t)length, MODE_64 | MODE_FLAT | MODE_PE, 0, text, sizeof(text));
    if (strncmp(text, "rcp", 3) == 0 || strncmp(text, "vrcp", 4) == 0 ||
        strncmp(text, "rsqrt", 5) == 0 || strncmp(text, "vrsqrt", 6) == 0)
        return;
    (void)vectors_digest(&f->v, host_act, bytes, length, &values, &mxcsr);
    for (size_t i = 0; i < length; i++)
        (void)fprintf(f->record, "%02x", bytes[i]);
    (void)fprintf(f->record, " %08x %08x\n", values, mxcsr);
}

/* ---- comparison ----------------------------------------------------------------------------- */

static bool differ(struct fixture *f, const struct state *host, const struct state *engine,
                   char *what, size_t size)
{
    for (uint32_t i = 0; i < 5; i++)
        if (memcmp(&host->v[i], &engine->v[i], 32) != 0) {
            (void)snprintf(what, size,
                           "ymm%u is %016lx %016lx %016lx %016lx, not %016lx %016lx %016lx %016lx",
                           i, engine->v[i].u64[3], engine->v[i].u64[2], engine->v[i].u64[1],
                           engine->v[i].u64[0], host->v[i].u64[3], host->v[i].u64[2],
                           host->v[i].u64[1], host->v[i].u64[0]);
            return true;
        }
    for (uint32_t i = 0; i < S_GPRS; i++)
        if (host->reg[i] != engine->reg[i]) {
            (void)snprintf(what, size, "register %u is %lx, not %lx", vectors_gpr(i),
                           engine->reg[i], host->reg[i]);
            return true;
        }
    if ((host->flags ^ engine->flags) & FLAGS_ARITHMETIC) {
        (void)snprintf(what, size, "flags are %lx, not %lx", engine->flags & FLAGS_ARITHMETIC,
                       host->flags & FLAGS_ARITHMETIC);
        return true;
    }
    if (memcmp(host->image + 24, engine->image + 24, 4) != 0) {
        (void)snprintf(what, size, "MXCSR's flags are %02x, not %02x", engine->image[24] & 0x3f,
                       host->image[24] & 0x3f);
        return true;
    }
    if (host->image[3] != engine->image[3] || host->image[4] != engine->image[4]) {
        (void)snprintf(what, size, "FSW and tags are %02x %02x, not %02x %02x", engine->image[3],
                       engine->image[4], host->image[3], host->image[4]);
        return true;
    }
    for (uint32_t i = 0; i < 8; i++)
        if (memcmp(host->image + 32 + 16 * i, engine->image + 32 + 16 * i, 10) != 0) {
            (void)snprintf(what, size, "mm%u differs", i);
            return true;
        }
    if (memcmp(f->v.data, f->v.bench->ram + DATA, DATA_BYTES) != 0) {
        (void)snprintf(what, size, "memory differs");
        return true;
    }
    return false;
}

static bool is_nan(const union vreg *v, uint32_t lane, uint32_t bytes)
{
    return bytes == 8 ? (v->u64[lane] & INT64_MAX) > 0x7ff0000000000000u
                      : (v->u32[lane] & INT32_MAX) > 0x7f800000u;
}

/* DPPS and DPPD: which of several NaNs survives the additions is no manual's, and makers differ;
 * nor is, on AMD's, which of the products and sums that are not asked for set flags. */
static void dot_product(struct state *host, struct state *engine, uint32_t bytes)
{
    for (uint32_t lane = 0; lane < 32 / bytes; lane++)
        if (is_nan(&host->v[1], lane, bytes) && is_nan(&engine->v[1], lane, bytes)) {
            if (bytes == 8)
                engine->v[1].u64[lane] = host->v[1].u64[lane];
            else
                engine->v[1].u32[lane] = host->v[1].u32[lane];
        }
    if (!__builtin_cpu_is("intel"))
        memcpy(engine->image + 24, host->image + 24, 4);
}

static void print_state(const struct state *s)
{
    for (uint32_t i = 0; i < 5; i++)
        print_error("    ymm%u %016lx %016lx %016lx %016lx\n", i, s->v[i].u64[3], s->v[i].u64[2],
                    s->v[i].u64[1], s->v[i].u64[0]);
    print_error("    mxcsr %02x%02x rax %lx rcx %lx rdx %lx\n", s->image[25], s->image[24],
                s->reg[S_RAX], s->reg[S_RCX], s->reg[S_RDX]);
}

static void compare_form(struct fixture *f, const uint8_t *bytes, size_t length)
{
    char what[256], text[96];

    f->forms++;
    insn_format(bytes, (uint32_t)length, MODE_64 | MODE_FLAT | MODE_PE, 0, text, sizeof(text));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct state before __attribute__((aligned(64))), host __attribute__((aligned(64))),
            engine __attribute__((aligned(64)));
        int stopped;

        vectors_draw(&f->v, &before);
        host = engine = before;
        uint8_t data[64];
        memcpy(data, f->v.data + AT, 64);
        stopped = vectors_run(&f->v, bytes, length, &engine);
        if (stopped != BENCH_STOPPED) {
            print_error("%s: stopped by %d\n", text, stopped);
            f->failures++;
            return;
        }
        host_run(f, bytes, length, &host);
        if (strstr(text, "dpps ") || strstr(text, "dppd "))
            dot_product(&host, &engine, strstr(text, "dppd ") ? 8 : 4);
        if (differ(f, &host, &engine, what, sizeof(what))) {
            uint64_t m[4];
            memcpy(m, data, 32);
            print_error("%s: %s\n", text, what);
            print_state(&before);
            print_error("    mem  %016lx %016lx %016lx %016lx\n", m[3], m[2], m[1], m[0]);
            f->failures++;
            return;
        }
    }
}

/* ---- forms ---------------------------------------------------------------------------------- */

struct choice {
    ZydisOperandType type;
    uint32_t value; /* a register, or bytes of memory */
};

#define REG(name)                                                                                  \
    {                                                                                              \
        ZYDIS_OPERAND_TYPE_REGISTER, ZYDIS_REGISTER_##name                                         \
    }
#define MEM(bytes)                                                                                 \
    {                                                                                              \
        ZYDIS_OPERAND_TYPE_MEMORY, bytes                                                           \
    }
#define IMM                                                                                        \
    {                                                                                              \
        ZYDIS_OPERAND_TYPE_IMMEDIATE, 0                                                            \
    }
#define NONE                                                                                       \
    {                                                                                              \
        ZYDIS_OPERAND_TYPE_UNUSED, 0                                                               \
    }
#define MEMS MEM(1), MEM(2), MEM(4), MEM(8), MEM(16), MEM(32)

static const struct choice choices[4][20] = {
    {REG(XMM1), REG(YMM1), REG(MM1), REG(EAX), REG(RAX), MEMS},
    {REG(XMM2), REG(YMM2), REG(MM2), REG(CL), REG(CX), REG(ECX), REG(RCX), IMM, MEMS},
    {NONE, REG(XMM3), REG(YMM3), REG(XMM0), REG(EDX), REG(RDX), IMM, MEMS},
    {NONE, IMM, REG(XMM4), REG(YMM4)},
};

static bool encode(struct fixture *f, uint16_t mnemonic, const struct choice *const o[4],
                   uint8_t *bytes, ZyanUSize *length)
{
    ZydisEncoderRequest r;

    memset(&r, 0, sizeof(r));
    r.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    r.allowed_encodings = ZYDIS_ENCODABLE_ENCODING_LEGACY | ZYDIS_ENCODABLE_ENCODING_VEX;
    r.mnemonic = (ZydisMnemonic)mnemonic;
    for (uint32_t i = 0; i < 4 && o[i]->type != ZYDIS_OPERAND_TYPE_UNUSED; i++) {
        ZydisEncoderOperand *to = &r.operands[r.operand_count++];

        to->type = o[i]->type;
        if (to->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            to->reg.value = (ZydisRegister)o[i]->value;
        } else if (to->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            to->mem.base = ZYDIS_REGISTER_RSI;
            to->mem.size = (ZyanU16)o[i]->value;
        } else {
            to->imm.u = vectors_random(&f->v) & 0x7f;
        }
    }
    *length = 15;
    return ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&r, bytes, length));
}

/* The host's features, as CPUID says. */
static bool host_has(uint16_t feature)
{
    switch (feature) {
    case FEATURE_SHA:
    case FEATURE_GFNI:
    case FEATURE_ABSENT:
        return false;
    case FEATURE_AES:
        return __builtin_cpu_supports("aes");
    case FEATURE_PCLMUL:
        return __builtin_cpu_supports("pclmul");
    case FEATURE_FMA:
        return __builtin_cpu_supports("fma");
    case FEATURE_AVX2:
    case FEATURE_F16C:
        return __builtin_cpu_supports("avx2");
    default:
        return true;
    }
}

static void try_form(struct fixture *f, uint16_t mnemonic, const struct choice *const o[4])
{
    uint32_t mode = MODE_64 | MODE_FLAT | MODE_PE;
    uint8_t bytes[16];
    ZyanUSize length;
    struct insn insn;

    if (!encode(f, mnemonic, o, bytes, &length))
        return;
    if (insn_decode(bytes, (uint32_t)length, mode, &insn) != 0 || insn.mnemonic != mnemonic ||
        !host_has(insn.feature))
        return;
    /* Every other immediate too. */
    for (uint32_t i = 0; i < 12; i++) {
        compare_form(f, bytes, length);
        if (f->record && i < RECORDED_IMMEDIATES)
            record_form(f, bytes, length);
        if (o[1]->type != ZYDIS_OPERAND_TYPE_IMMEDIATE &&
            o[2]->type != ZYDIS_OPERAND_TYPE_IMMEDIATE &&
            o[3]->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
            break;
        bytes[length - 1] = (uint8_t)vectors_random(&f->v);
    }
}

static uint32_t try_mnemonic(struct fixture *f, uint16_t mnemonic)
{
    const struct choice *o[4];
    uint32_t before = f->forms;

    for (uint32_t a = 0; a < 11; a++)
        for (uint32_t b = 0; b < 14; b++)
            for (uint32_t c = 0; c < 13; c++)
                for (uint32_t d = 0; d < (c ? 4 : 1); d++) {
                    uint32_t memory = 0;

                    o[0] = &choices[0][a];
                    o[1] = &choices[1][b];
                    o[2] = &choices[2][c];
                    o[3] = &choices[3][d];
                    for (uint32_t i = 0; i < 4; i++)
                        memory += o[i]->type == ZYDIS_OPERAND_TYPE_MEMORY;
                    if (memory <= 1)
                        try_form(f, mnemonic, o);
                }
    return f->forms - before;
}

static void try_group(void **state, const struct emit_entry *group)
{
    struct fixture *f = *state;
    const char *only = getenv("SSE_ONLY");

    f->failures = 0;
    f->forms = 0;
    for (const struct emit_entry *e = group; e->emit; e++) {
        const char *name = ZydisMnemonicGetString((ZydisMnemonic)e->mnemonic);

        if (only && strcmp(only, name) != 0)
            continue;
        if (!try_mnemonic(f, e->mnemonic) && getenv("SSE_VERBOSE"))
            print_message("%s: no form\n", name);
    }
    print_message("%u forms\n", f->forms);
    assert_int_equal(f->failures, 0);
}

#define GROUP_TEST(name, group)                                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        try_group(state, group);                                                                   \
    }
GROUP_TEST(moves_are_the_hosts, emit_sse_move)
GROUP_TEST(integer_instructions_are_the_hosts, emit_sse_int)
GROUP_TEST(arithmetic_is_the_hosts, emit_sse_arith)
GROUP_TEST(conversions_are_the_hosts, emit_sse_convert)
GROUP_TEST(ssse3_and_sse4_are_the_hosts, emit_sse4)
GROUP_TEST(aes_and_carryless_multiplication_are_the_hosts, emit_crypto)
GROUP_TEST(mmx_is_the_hosts, emit_mmx)
GROUP_TEST(avx_is_the_hosts, emit_avx)
GROUP_TEST(avx_moves_are_the_hosts, emit_avx_move)
GROUP_TEST(avx2_is_the_hosts, emit_avx2)
GROUP_TEST(fma_and_f16c_are_the_hosts, emit_fma)

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

    *f = (struct fixture){.v.random = 88172645463325252};
    if (getenv("SSE_RECORD")) {
        f->record = fopen(getenv("SSE_RECORD"), "w");
        assert_non_null(f->record);
    }
    vectors_start(&f->v);
    f->v.data = mmap((void *)(uintptr_t)DATA, /* NOLINT(performance-no-int-to-ptr) */
                     DATA_BYTES, PROT_READ | PROT_WRITE, fixed, -1, 0);
    f->code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(f->v.data != MAP_FAILED && f->code != MAP_FAILED);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->record)
        assert_int_equal(fclose(f->record), 0);
    munmap(f->v.data, DATA_BYTES);
    munmap(f->code, 4096);
    vectors_stop(&f->v);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_are_the_hosts),
        cmocka_unit_test(integer_instructions_are_the_hosts),
        cmocka_unit_test(arithmetic_is_the_hosts),
        cmocka_unit_test(conversions_are_the_hosts),
        cmocka_unit_test(ssse3_and_sse4_are_the_hosts),
        cmocka_unit_test(aes_and_carryless_multiplication_are_the_hosts),
        cmocka_unit_test(mmx_is_the_hosts),
        cmocka_unit_test(avx_is_the_hosts),
        cmocka_unit_test(avx_moves_are_the_hosts),
        cmocka_unit_test(avx2_is_the_hosts),
        cmocka_unit_test(fma_and_f16c_are_the_hosts),
    };

    /* The host's side saves and loads YMM registers whatever is tested. */
    if (!__builtin_cpu_supports("avx"))
        return 0;
    return cmocka_run_group_tests(tests, setup, teardown);
}

#else

int main(void)
{
    return 0;
}

#endif
