/* SPDX-License-Identifier: MIT
 *
 * decode/zydis.c - the only file that calls Zydis: from bytes to struct insn.
 */
#include "insn.h"

#include "features.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <string.h>

static_assert(ZYDIS_CPUFLAG_CF == FLAG_CF && ZYDIS_CPUFLAG_OF == FLAG_OF &&
                  ZYDIS_CPUFLAG_AF == FLAG_AF,
              "Zydis numbers flags as RFLAGS does");

/* ---- features ------------------------------------------------------------------------------- */

/* By Zydis' instruction set; what is not here is an instruction that the engine does not have. */
static const uint8_t feature_of_set[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    [ZYDIS_ISA_SET_ADOX_ADCX] = FEATURE_ADX + 1,
    [ZYDIS_ISA_SET_AES] = FEATURE_AES + 1,
    [ZYDIS_ISA_SET_AVX] = FEATURE_AVX + 1,
    [ZYDIS_ISA_SET_AVX2] = FEATURE_AVX2 + 1,
    [ZYDIS_ISA_SET_AVX2GATHER] = FEATURE_AVX2 + 1,
    [ZYDIS_ISA_SET_AVXAES] = FEATURE_AES + 1,
    [ZYDIS_ISA_SET_BMI1] = FEATURE_BMI1 + 1,
    [ZYDIS_ISA_SET_BMI2] = FEATURE_BMI2 + 1,
    [ZYDIS_ISA_SET_CLFLUSHOPT] = FEATURE_CLFLUSHOPT + 1,
    [ZYDIS_ISA_SET_CLFSH] = FEATURE_CLFLUSH + 1,
    [ZYDIS_ISA_SET_CLWB] = FEATURE_CLWB + 1,
    [ZYDIS_ISA_SET_CMOV] = FEATURE_CMOV + 1,
    [ZYDIS_ISA_SET_CMPXCHG16B] = FEATURE_CX16 + 1,
    [ZYDIS_ISA_SET_F16C] = FEATURE_F16C + 1,
    [ZYDIS_ISA_SET_FAT_NOP] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_FCMOV] = FEATURE_X87 + 1,
    [ZYDIS_ISA_SET_FMA] = FEATURE_FMA + 1,
    [ZYDIS_ISA_SET_FXSAVE] = FEATURE_FXSR + 1,
    [ZYDIS_ISA_SET_FXSAVE64] = FEATURE_FXSR + 1,
    [ZYDIS_ISA_SET_I186] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_I286PROTECTED] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_I286REAL] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_I386] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_I486] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_I486REAL] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_I86] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_INVPCID] = FEATURE_INVPCID + 1,
    [ZYDIS_ISA_SET_LAHF] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_LONGMODE] = FEATURE_LONG + 1,
    [ZYDIS_ISA_SET_LZCNT] = FEATURE_LZCNT + 1,
    /* There without being offered, as with KVM: a kernel that idles by it would never sleep. */
    [ZYDIS_ISA_SET_MONITOR] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_MOVBE] = FEATURE_MOVBE + 1,
    [ZYDIS_ISA_SET_PAUSE] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_PCLMULQDQ] = FEATURE_PCLMUL + 1,
    [ZYDIS_ISA_SET_PENTIUMMMX] = FEATURE_MMX + 1,
    [ZYDIS_ISA_SET_PENTIUMREAL] = FEATURE_CX8 + 1,
    [ZYDIS_ISA_SET_POPCNT] = FEATURE_POPCNT + 1,
    [ZYDIS_ISA_SET_PPRO] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_PREFETCH_NOP] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_PREFETCHWT1] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_RDPID] = FEATURE_RDPID + 1,
    [ZYDIS_ISA_SET_RDPMC] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_RDRAND] = FEATURE_RDRAND + 1,
    [ZYDIS_ISA_SET_RDSEED] = FEATURE_RDSEED + 1,
    [ZYDIS_ISA_SET_RDTSCP] = FEATURE_RDTSCP + 1,
    [ZYDIS_ISA_SET_RDWRFSGS] = FEATURE_FSGSBASE + 1,
    [ZYDIS_ISA_SET_SERIALIZE] = FEATURE_SERIALIZE + 1,
    [ZYDIS_ISA_SET_SHA] = FEATURE_SHA + 1,
    [ZYDIS_ISA_SET_SMAP] = FEATURE_SMAP + 1,
    [ZYDIS_ISA_SET_SSE] = FEATURE_SSE + 1,
    [ZYDIS_ISA_SET_SSE2] = FEATURE_SSE2 + 1,
    [ZYDIS_ISA_SET_SSE2MMX] = FEATURE_SSE2 + 1,
    [ZYDIS_ISA_SET_SSE3] = FEATURE_SSE3 + 1,
    [ZYDIS_ISA_SET_SSE3X87] = FEATURE_SSE3 + 1,
    [ZYDIS_ISA_SET_SSE4] = FEATURE_SSE41 + 1,
    [ZYDIS_ISA_SET_SSE42] = FEATURE_SSE42 + 1,
    [ZYDIS_ISA_SET_SSEMXCSR] = FEATURE_SSE + 1,
    [ZYDIS_ISA_SET_SSE_PREFETCH] = FEATURE_BASE + 1,
    [ZYDIS_ISA_SET_SSSE3] = FEATURE_SSSE3 + 1,
    [ZYDIS_ISA_SET_SSSE3MMX] = FEATURE_SSSE3 + 1,
    [ZYDIS_ISA_SET_VTX] = FEATURE_ABSENT + 1,
    [ZYDIS_ISA_SET_X87] = FEATURE_X87 + 1,
    [ZYDIS_ISA_SET_XSAVE] = FEATURE_XSAVE + 1,
    [ZYDIS_ISA_SET_XSAVEC] = FEATURE_XSAVEC + 1,
    [ZYDIS_ISA_SET_XSAVEOPT] = FEATURE_XSAVEOPT + 1,
    [ZYDIS_ISA_SET_XSAVES] = FEATURE_XSAVES + 1,
};

static uint16_t feature_of(const ZydisDecodedInstruction *z)
{
    uint8_t f = feature_of_set[z->meta.isa_set];

    return f ? f - 1 : FEATURE_ABSENT;
}

/* ---- operands ------------------------------------------------------------------------------- */

static void register_operand(ZydisRegister r, struct operand *o)
{
    o->kind = OPERAND_REG;
    switch (ZydisRegisterGetClass(r)) {
    case ZYDIS_REGCLASS_GPR8: {
        /* AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8B... */
        uint8_t n = (uint8_t)(r - ZYDIS_REGISTER_AL);
        o->file = FILE_GPR;
        o->high = n >= 4 && n < 8;
        o->number = n < 4 ? n : n - 4;
        break;
    }
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        o->file = FILE_GPR;
        o->number = (uint8_t)ZydisRegisterGetId(r);
        break;
    case ZYDIS_REGCLASS_SEGMENT:
        o->file = FILE_SEGMENT;
        o->number = (uint8_t)ZydisRegisterGetId(r);
        break;
    case ZYDIS_REGCLASS_CONTROL:
        o->file = FILE_CONTROL;
        o->number = (uint8_t)ZydisRegisterGetId(r);
        break;
    case ZYDIS_REGCLASS_DEBUG:
        o->file = FILE_DEBUG;
        o->number = (uint8_t)ZydisRegisterGetId(r);
        break;
    case ZYDIS_REGCLASS_X87:
        o->file = FILE_X87;
        o->number = (uint8_t)ZydisRegisterGetId(r);
        break;
    case ZYDIS_REGCLASS_MMX:
        o->file = FILE_MMX;
        o->number = (uint8_t)ZydisRegisterGetId(r);
        break;
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
        o->file = FILE_XMM;
        o->number = (uint8_t)ZydisRegisterGetId(r);
        break;
    default:
        o->file = FILE_OTHER;
        break;
    }
}

static uint8_t address_register(ZydisRegister r)
{
    if (r == ZYDIS_REGISTER_NONE)
        return REG_ZERO;
    if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
        return REG_RIP;
    return (uint8_t)ZydisRegisterGetId(r);
}

static void memory_operand(const ZydisDecodedOperandMem *m, uint32_t mode, struct operand *o)
{
    o->kind = OPERAND_MEM;
    o->base = address_register(m->base);
    o->index = address_register(m->index);
    o->scale = m->scale ? (uint8_t)__builtin_ctz(m->scale) : 0;
    o->disp = m->disp.has_displacement ? m->disp.value : 0;
    o->seg = SEG_DS;
    if (ZydisRegisterGetClass(m->segment) == ZYDIS_REGCLASS_SEGMENT)
        o->seg = (uint8_t)ZydisRegisterGetId(m->segment);
    /* The others have no base there; which one decides about #SS only. */
    if (mode & MODE_64 && o->seg < SEG_FS && o->seg != SEG_SS)
        o->seg = SEG_DS;
}

static void convert_operand(const ZydisDecodedOperand *z, uint32_t mode, struct operand *o)
{
    o->bytes = z->size / 8 > 32 ? 0 : (uint8_t)(z->size / 8);
    o->read = (z->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    o->written = (z->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    switch (z->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        register_operand(z->reg.value, o);
        break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        memory_operand(&z->mem, mode, o);
        if (z->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
            o->bytes = 0;
        break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        o->kind = OPERAND_FAR;
        o->imm = z->ptr.offset;
        o->selector = z->ptr.segment;
        break;
    default:
        o->kind = OPERAND_IMM;
        o->imm = z->imm.value.u;
        break;
    }
}

/* A SIB byte without base (SDM 2, table 2-3: base 5 with mod 0) has none whatever REX.B says. Zydis
 * 4.0 takes it for R13 without a displacement if there is a prefix 67h too. */
static void forget_base(const ZydisDecodedInstruction *z, struct operand *o)
{
    if (z->attributes & ZYDIS_ATTRIB_HAS_SIB && z->raw.modrm.mod == 0 && z->raw.sib.base == 5 &&
        o->base == R13) {
        o->base = REG_ZERO;
        o->disp = z->raw.disp.value;
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void decoder_init(uint32_t mode, ZydisDecoder *d)
{
    ZydisStackWidth stack = mode & MODE_SS32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;
    ZydisMachineMode machine = mode & MODE_32   ? ZYDIS_MACHINE_MODE_LEGACY_32
                               : mode & MODE_PE ? ZYDIS_MACHINE_MODE_LEGACY_16
                                                : ZYDIS_MACHINE_MODE_REAL_16;

    if (mode & MODE_64) {
        machine = ZYDIS_MACHINE_MODE_LONG_64;
        stack = ZYDIS_STACK_WIDTH_64;
    }
    ZydisDecoderInit(d, machine, stack);
    /* Their opcodes are NOPs for a processor that does not announce them. */
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
}

/* Which arithmetic flags it reads, and which it surely writes. */
static void convert_flags(const ZydisDecodedInstruction *z, struct insn *i)
{
    if (z->cpu_flags) {
        i->flags_read = z->cpu_flags->tested & FLAGS_ARITHMETIC;
        i->flags_written = (z->cpu_flags->modified | z->cpu_flags->set_0 | z->cpu_flags->set_1 |
                            z->cpu_flags->undefined) &
                           FLAGS_ARITHMETIC;
    }
    switch (z->meta.category) {
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE: {
        /* A count of 0 leaves all flags alone; the rotates others than CF and OF. BMI2's write
         * none. */
        const struct operand *count = i->count ? &i->op[i->count - 1] : NULL;
        if (!count || count->kind != OPERAND_IMM || !(count->imm & (i->osize == 8 ? 63 : 31)))
            i->flags_written = 0;
        break;
    }
    case ZYDIS_CATEGORY_STRINGOP:
        if (i->rep || i->repne)
            i->flags_written = 0;
        break;
    default:
        break;
    }
}

/* By an operand: memory, or a register that is loaded with checks. */
static bool may_fault(const ZydisDecodedOperand *o)
{
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        ZydisRegisterClass class = ZydisRegisterGetClass(o->reg.value);
        return class == ZYDIS_REGCLASS_SEGMENT || class == ZYDIS_REGCLASS_CONTROL ||
               class == ZYDIS_REGCLASS_DEBUG;
    }
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type != ZYDIS_MEMOP_TYPE_AGEN;
}

/* Works on general registers and flags alone: no #NM, no #XM. */
static bool integer(const ZydisDecodedInstruction *z)
{
    switch (z->meta.isa_ext) {
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_LONGMODE:
    case ZYDIS_ISA_EXT_BMI1:
    case ZYDIS_ISA_EXT_BMI2:
    case ZYDIS_ISA_EXT_LZCNT:
    case ZYDIS_ISA_EXT_ADOX_ADCX:
        return true;
    default:
        return false;
    }
}

/* True for those that with registers alone cannot fault, whatever the registers hold. */
static bool harmless(const ZydisDecodedInstruction *z)
{
    if (!integer(z))
        return z->mnemonic == ZYDIS_MNEMONIC_POPCNT;
    switch (z->meta.category) {
    case ZYDIS_CATEGORY_BINARY:
        return z->mnemonic != ZYDIS_MNEMONIC_DIV && z->mnemonic != ZYDIS_MNEMONIC_IDIV;
    case ZYDIS_CATEGORY_FLAGOP:
        return z->mnemonic != ZYDIS_MNEMONIC_CLI && z->mnemonic != ZYDIS_MNEMONIC_STI;
    case ZYDIS_CATEGORY_MISC:
        return z->mnemonic == ZYDIS_MNEMONIC_LEA;
    case ZYDIS_CATEGORY_DATAXFER:
    case ZYDIS_CATEGORY_LOGICAL:
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE:
    case ZYDIS_CATEGORY_BITBYTE:
    case ZYDIS_CATEGORY_CMOV:
    case ZYDIS_CATEGORY_CONVERT:
    case ZYDIS_CATEGORY_SETCC:
    case ZYDIS_CATEGORY_SEMAPHORE:
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
    case ZYDIS_CATEGORY_BMI1:
    case ZYDIS_CATEGORY_BMI2:
    case ZYDIS_CATEGORY_LZCNT:
    case ZYDIS_CATEGORY_ADOX_ADCX:
        return true;
    default:
        return false;
    }
}

static void convert_kind(const ZydisDecodedInstruction *z, struct insn *i)
{
    if (!harmless(z))
        i->faults = true;
    switch (z->meta.category) {
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_INTERRUPT:
        i->ends = true;
        i->branches = true;
        break;
    case ZYDIS_CATEGORY_COND_BR:
        i->branches = true;
        break;
    default:
        break;
    }
}

static uint8_t implicit_segment(const ZydisDecodedInstruction *z, uint32_t mode)
{
    if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS)
        return SEG_FS;
    if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS)
        return SEG_GS;
    if (mode & MODE_64)
        return SEG_DS;
    if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS)
        return SEG_CS;
    if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS)
        return SEG_SS;
    if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES)
        return SEG_ES;
    return SEG_DS;
}

static uint8_t opcode_map(const ZydisDecodedInstruction *z)
{
    switch (z->opcode_map) {
    case ZYDIS_OPCODE_MAP_0F:
        return 1;
    case ZYDIS_OPCODE_MAP_0F38:
        return 2;
    case ZYDIS_OPCODE_MAP_0F3A:
        return 3;
    default:
        return 0;
    }
}

/* In real mode these are #GP, not #UD (SDM 2, SYSENTER and SYSEXIT), but Zydis does not know them
 * there. */
static bool decode_sysenter(const uint8_t *bytes, uint32_t available, uint32_t mode,
                            ZydisDecodedInstruction *z, ZydisDecodedOperand *operands)
{
    ZydisDecoder d;

    if ((mode & (MODE_PE | MODE_64)) != 0)
        return false;
    decoder_init(mode | MODE_PE, &d);
    return !ZYAN_FAILED(ZydisDecoderDecodeFull(&d, bytes, available, z, operands)) &&
           (z->mnemonic == ZYDIS_MNEMONIC_SYSENTER || z->mnemonic == ZYDIS_MNEMONIC_SYSEXIT);
}

int insn_decode(const uint8_t *bytes, uint32_t available, uint32_t mode, struct insn *i)
{
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction z;
    ZydisDecoder d;

    decoder_init(mode, &d);
    ZyanStatus status = ZydisDecoderDecodeFull(&d, bytes, available, &z, operands);
    if (status == ZYDIS_STATUS_NO_MORE_DATA)
        return -EAGAIN;
    if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
        return -E2BIG;
    if (ZYAN_FAILED(status) && !decode_sysenter(bytes, available, mode, &z, operands))
        return -EINVAL;
    memset(i, 0, sizeof(*i));
    i->mnemonic = (uint16_t)z.mnemonic;
    i->length = z.length;
    i->osize = z.operand_width / 8;
    i->asize = z.address_width / 8;
    i->stack = z.stack_width / 8;
    i->lock = (z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
    i->rep = (z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0;
    i->repne = (z.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0;
    i->vex = z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    i->w = i->vex ? z.raw.vex.W : z.raw.rex.W;
    i->vector = i->vex && z.raw.vex.L ? 32 : 16;
    i->opcode = z.opcode;
    i->opcode_map = opcode_map(&z);
    if (z.attributes & ZYDIS_ATTRIB_HAS_MODRM)
        i->modrm = (uint8_t)(z.raw.modrm.mod << 6 | z.raw.modrm.reg << 3 | z.raw.modrm.rm);
    i->seg = implicit_segment(&z, mode);
    i->feature =
        z.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY || i->vex ? feature_of(&z) : FEATURE_ABSENT;
    for (uint32_t k = 0; k < z.operand_count; k++) {
        if (may_fault(&operands[k]))
            i->faults = true;
        if (k < z.operand_count_visible && k < INSN_OPERANDS) {
            convert_operand(&operands[k], mode, &i->op[k]);
            if (i->op[k].kind == OPERAND_MEM)
                forget_base(&z, &i->op[k]);
            i->count++;
        }
    }
    convert_flags(&z, i);
    convert_kind(&z, i);
    return 0;
}

void insn_format(const uint8_t *bytes, uint32_t available, uint32_t mode, uint64_t rip, char *text,
                 uint32_t size)
{
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction z;
    ZydisFormatter formatter;
    ZydisDecoder d;

    decoder_init(mode, &d);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(&d, bytes, available, &z, operands)) ||
        ZYAN_FAILED(ZydisFormatterFormatInstruction(
            &formatter, &z, operands, z.operand_count_visible, text, size, rip, NULL))) {
        if (size)
            strncpy(text, "(bad)", size - 1)[size - 1] = 0;
    }
}
